#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_chat.t: the chat, at a terminal that script(1) makes. What is typed waits for what should appear, so nothing here
# depends on how fast the machine is.
. tests/sh.inc
model=models/lar-demo-q8_0.gguf
look() { perl tests/look.pl "$@"; }
HOME=$TMP/home TERM=xterm
export HOME TERM
unset LAR_HISTORY NO_COLOR
mkdir "$HOME"
if ! command -v script >/dev/null; then
    skip "no script(1) here"
    tap_done
fi
editing=
case $($LAR version --json) in *line-editing*) editing=1 ;; esac

screen=$TMP/screen mark=1
# What appeared since the last line was typed.
esc=$(printf '\033')
news() { tail -c "+$mark" "$screen" | tr -d '\r' | sed "s/$esc\[?2004[hl]//g"; } # but the words by which pasting is bracketed
# PATTERN: until it has appeared and the chat waits for the next line.
appears()
{
    for _ in $(seq ${patience:-600}); do
        if news | grep -q -- "$1" && news | tail -n 1 | grep -q '^>>> '; then return 0; fi
        kill -0 $pid 2>/dev/null || break
        sleep 0.05
    done
    echo "'$1' did not appear:"
    news
    return 1
}
start() # OPTION...
{
    rm -f "$TMP/keys"
    mkfifo "$TMP/keys"
    : > "$screen"
    mark=1
    script -qefc "exec $LAR run $*" "$screen" < "$TMP/keys" > "$TMP/script" 2>&1 &
    pid=$!
    exec 5> "$TMP/keys"
    ok "lar run $*" appears 'Ctrl-D leaves'
}
# TEXT PATTERN: types a line and waits.
type()
{
    mark=$(($(wc -c < "$screen") + 1))
    printf '%s\n' "$1" >&5
    appears "$2"
}
press() { mark=$(($(wc -c < "$screen") + 1)); printf "$1" >&5; }
leaves() # STATUS
{
    exec 5>&-
    status=0
    wait $pid || status=$?
    [ $status = "$1" ] || { echo "exit status $status"; return 1; }
}
# PID: the last of the line of its children, which is the chat under script(1). By /proc: pgrep need not be there.
last_child()
{
    child=$(cat /proc/[0-9]*/stat 2>/dev/null | awk -v of="$1" '{ id = $1; sub(/^.*\) /, ""); if ($2 == of) { print id; exit } }')
    if [ "$child" ]; then last_child "$child"; else echo "$1"; fi
}
number() { news | sed -n "s/.*$1.*/\\1/p" | tail -n 1; }

start "$model --temp 0 --verbose"
ok "a message is answered" type 'Where is my order A-48213? Please hurry!' '"order_id":"A-48213"'
whole=$(($(number 'prompt \([0-9]*\) tokens') + $(number 'answer \([0-9]*\) tokens')))
ok "with its timings" news
ok "a second one as well" type 'I want to cancel order 555-77, thank you.' '^{"intent":"cancel"'
reused=$(number '(\([0-9]*\) reused)')
echo "# first turn $whole tokens, of these $reused reused in the second"
ok "and what the first one left is not evaluated again" test "$reused" -ge $((whole - 2))
ok "/show messages shows them" type '/show messages' 'user: I want to cancel'
ok "  ... with the answers" sh -c 'echo "$1" | grep -q "^assistant: {"' - "$(news)"
ok "/show info" type '/show info' 'architecture qwen3'
ok "/show parameters" type '/show parameters' 'top-k  *40'
ok "/show template" type '/show template' 'im_start'
ok "/show system" type '/show system' 'no system message'
ok "/show alone" type '/show' 'messages'
ok "/save writes the conversation" type "/save $TMP/talk.json" '4 messages saved'
ok "  ... as JSON" look json "$TMP/talk.json" '@{$j->{messages}} == 4 && $j->{messages}[0]{role} eq "user" && $j->{messages}[3]{content} =~ /^\{"intent":"cancel"/'
ok "  ... for its owner only" test "$(stat -c %a "$TMP/talk.json")" = 600
ok "/save to a place that is none" type "/save $TMP/nowhere/talk.json" 'cannot create'
ok "/save to a device" type "/save /dev/null" 'no regular file'
ok "  ... which stays one" test -c /dev/null
cp $model "$TMP/other.gguf"
ok "/save onto a model" type "/save $TMP/other.gguf" 'is not a saved chat, so it is not replaced'
ok "  ... leaves it" cmp $model "$TMP/other.gguf"
ok "/save onto an earlier conversation" type "/save $TMP/talk.json" '4 messages saved'
ok "/clear forgets" type '/clear' 'a new conversation'
ok "  ... them" type '/show messages' 'no messages yet'
ok "/load continues" type "/load $TMP/talk.json" '4 messages loaded'
ok "  ... where it was" type '/show messages' '^user: I want to cancel'
ok "/load of what is no conversation" type "/load $model" 'lar: '
ok "  ... costs nothing" type '/show messages' '^user: I want to cancel'
echo '[]' >"$TMP/none.json"
ok "/load of an empty list" type "/load $TMP/none.json" 'none.json: no conversation: an empty list'
echo '{"messages":[],"system":"x"}' >"$TMP/none.json"
ok "/load of what would be ignored" type "/load $TMP/none.json" "none.json: 'system' is nothing that Lar knows"
echo '{"messages":' >"$TMP/none.json"
ok "/load of half a file names it" type "/load $TMP/none.json" 'lar: .*none.json: '
printf '{"messages":[{"role":"user","content":"a","colour":"x"}]}' >"$TMP/none.json"
ok "/load of a message with more" type "/load $TMP/none.json" "none.json: message 0: 'colour' is nothing that Lar knows"
printf '{"messages":[{"role":"user","content":"a","content":"b"}]}' >"$TMP/none.json"
ok "/load of a message with two contents" type "/load $TMP/none.json" "none.json: message 0: 'content' is there twice"
printf '[{"role":"user","content":"a"}]' >"$HOME/one.json"
ok "/load knows ~" type '/load ~/one.json' '^1 message loaded'
ok "/save too" type '/save ~/two.json' '^1 message saved'
ok "  ... where it is" test -s "$HOME/two.json"
ok "/clear again" type '/clear' 'a new conversation'

ok "/set system" type '/set system Answer with JSON.' '^>>> '
ok "  ... is the first message" type '/show messages' '^system: Answer with JSON\.$'
ok "/set system takes it away" type '/set system' '^>>> '
ok "  ... again" type '/show system' 'no system message'
ok "/set parameter by the names of other programs" type '/set parameter temperature 0.5' '^>>> '
ok "/set parameter by ours" type '/set parameter top_p 0.5' '^>>> '
ok "/set parameter with a space behind it" type '/set parameter temp 0.5  ' '^>>> '
ok "  ... is taken" not sh -c 'echo "$1" | grep -q "lar:"' - "$(news)"
ok "/set parameter of a string" type '/set parameter stop urgency' '^>>> '
ok "are shown" type '/show parameters' '^  temp  *0\.5$'
ok "  ... all of them" sh -c 'echo "$1" | grep -q "^  top-p  *0\.5$" && echo "$1" | grep -q "^  stop  *\"urgency\"$"' - "$(news)"
ok "and taken" type 'Where is my order A-48213?' '^{"intent":"[a-z_]*","$'
ok "a parameter out of range is refused" type '/set parameter top_p 5' 'lar: top-p 5: '
ok "  ... and the old value stays" type '/show parameters' '^  top-p  *0\.5$'
ok "an unknown parameter is named" type '/set parameter temprature 1' "'temprature'; did you mean 'temperature'"
ok "no more stop strings" type '/set parameter stop' '^>>> '
ok "/set think is refused where there is no thinking" type '/set think' 'knows no thinking'
ok "/set verbose off turns it off" type '/set verbose off' '^>>> '
ok "  ... so no timings follow" type 'Where is order C-18?' '^{"intent"'
ok "  ... none at all" not sh -c 'echo "$1" | grep -q "first token after"' - "$(news)"
ok "/set verbose on turns it on" type '/set verbose on' '^>>> '
ok "  ... again" type 'Where is order C-18?' 'first token after'
ok "/set of neither on nor off" type '/set verbose maybe' 'lar: /set verbose on, or off'
ok "nothing stands behind /set quiet" type '/set quiet now' "lar: quiet takes nothing behind it, so not 'now'"
ok "nor behind /clear" type '/clear now' "lar: /clear takes nothing behind it, so not 'now'"
ok "  ... which clears nothing" type '/show messages' '^user: Where is order C-18'
ok "nor behind /bye" type '/bye now' "lar: /bye takes nothing behind it, so not 'now'"
ok "nor /help" type '/help run' "lar: /help takes nothing behind it, so not 'run'"
ok "/show takes one word" type '/show info extra' "lar: /show takes one word: 'extra' is too much"
ok "/set of what there is not" type '/set verbos' "did you mean 'verbose'"
ok "/set quiet" type '/set quiet' '^>>> '
ok "an unknown command is named" type '/shwo info' "'/shwo'; did you mean '/show'"
ok "/? tells the commands" type '/?' '^/clear '
ok "an empty line is nothing" type '' '^>>> $'
ok "/clear" type '/clear' 'a new conversation'

press '"""Hello,\n'
for _ in $(seq 200); do news | grep -q '^\.\.\. ' && break; sleep 0.05; done
press '\nwhere is order B-17?\n'
ok "a message of several lines" type '"""' '"order_id":"B-17"'
ok "is one" type "/save $TMP/talk.json" 'messages saved'
ok "  ... with its lines" look json "$TMP/talk.json" '$j->{messages}[0]{content} eq "Hello,\n\nwhere is order B-17?"'
ok "a command's name between fences" type '"""/bye"""' '^{"'
ok "  ... is a message" type '/show messages' 'user: /bye'
if [ $editing ]; then
    press '"""\n'
    for _ in $(seq 200); do news | grep -q '^\.\.\. ' && break; sleep 0.05; done
    press '\tan indented line"""and behind it\n'
    ok "a tab, and what stands behind the fence" appears '^{"intent"'
    ok "  ... are kept" type "/save $TMP/talk.json" 'messages saved'
    ok "  ... in the message" look json "$TMP/talk.json" '$j->{messages}[-2]{content} eq "\tan indented lineand behind it"'
    press '\033[200~pasted first\r\tsecond\n/third\033[201~ and typed\n'
    ok "what is pasted" appears '^{"intent"'
    ok "  ... is one message" type "/save $TMP/talk.json" 'messages saved'
    ok "  ... with all its lines" look json "$TMP/talk.json" '$j->{messages}[-2]{content} eq "pasted first\n\tsecond\n/third and typed"'
    press 'a byte \377 of no character, and caf\303\251\n'
    ok "bytes that are no UTF-8 are told" appears 'lar: 1 bytes of this line are no UTF-8'
    ok "  ... and stand for themselves" type "/save $TMP/talk.json" 'messages saved'
    ok "  ... where they were" look json "$TMP/talk.json" '$j->{messages}[-2]{content} eq "a byte \x{fffd} of no character, and caf\x{e9}"'
else
    skip "pasting needs line editing"
fi
press '"""half a message\n'
for _ in $(seq 200); do news | grep -q '^\.\.\. ' && break; sleep 0.05; done
press '\004'
ok "Ctrl-D within a fence" appears 'no closing """ and was not sent; Ctrl-D again leaves'
press 'a line that is thought better of'
press '\003'
ok "Ctrl-C drops a line" appears 'Ctrl-D or /bye leaves'
ok "and the chat goes on" type 'Where is order C-18?' '^{"intent"'
mark=$(($(wc -c < "$screen") + 1))
kill -s INT "$(last_child $pid)"
ok "a SIGINT that is sent does as the key" appears 'Ctrl-D or /bye leaves'
ok "and the chat goes on" type 'Where is order C-18?' '^{"intent"'
if [ $editing ]; then
    mark=$(($(wc -c < "$screen") + 1))
    press '\020\001\033[C'   # the line before, to its beginning, a step to the right
    ok "an old line comes back to be edited" type '' '^{"intent"'
    ok "  ... and was what it had been" type '/show messages' 'user: Where is order C-18?'
else
    skip "no line editing built in"
fi
ok "nothing was written to disk" test ! -e "$HOME/.lar"
press '/bye\n'
ok "/bye leaves" leaves 0

# ---- Ctrl-C ---------------------------------------------------------------------------------------------------------------
# The model without its end tokens never ends.
look patch $model "$TMP/endless.gguf" eos_token_id xos_token_id '<|im_end|>' '<|im_foo|>' '<|endoftext|>' '<|unending_|>'
start "$TMP/endless.gguf --temp 3 --top-k 0 --top-p 1 --min-p 0 --seed 1 --ctx 60000"
press 'tell me everything\n'
for _ in $(seq 200); do [ "$(news | wc -c)" -gt 200 ] && break; sleep 0.05; done
press '\003'
ok "Ctrl-C stops an answer" appears '^>>> '
ok "and keeps what there was" type '/show messages' '^assistant: '
press '\033[200~'
yes 'a long letter, read before the first word is answered' | head -n 3000 >&5
press '\033[201~\n'
for _ in $(seq 200); do news | grep -q 'reading the prompt' && break; sleep 0.05; done
press '\003'
ok "Ctrl-C before the first word" appears 'Your message was not kept.'
ok "  ... takes the message back" type '/show messages' '^assistant: '
ok "  ... that it stopped" not sh -c 'echo "$1" | grep -q "a long letter"' - "$(news)"
ok "/set parameter temp 0" type '/set parameter temp 0' '^>>> '
ok "/set parameter max-tokens" type '/set parameter max-tokens 20' '^>>> '
ok "and the chat goes on" type 'Where is my order A-48213?' 'intent'
press '\004'
ok "Ctrl-D leaves" leaves 0

# ---- a full context ------------------------------------------------------------------------------------------------------------
long='And where is my order D-19? I have been waiting for it for a very long time now, and nobody answers my letters or my calls.'
start "$model --temp 0 --ctx 120 --system Brief."
ok "a short context is enough for one" type 'Where is order C-18?' '"order_id":"C-18"'
ok "not for a second" type "$long $long" 'was not sent'
ok "  ... which is told" sh -c 'echo "$1" | grep -q "/set parameter ctx 512"' - "$(news)"
ok "  ... and nothing was cut" type "/save $TMP/talk.json" '3 messages saved'
ok "  ... of them" look json "$TMP/talk.json" '$j->{messages}[0]{content} eq "Brief." && $j->{messages}[1]{content} eq "Where is order C-18?"'
ok "an answer that does not fit stops" type "$long" 'the answer stops here: the context of 120 tokens is full (/set parameter ctx'
ok "a larger one" type '/set parameter ctx 400' '^>>> '
ok "is enough" type "$long" '^{"intent".*}$'
ok "one that no memory holds" type '/set parameter ctx 200000000' 'lar: '
ok "leaves the old one" type '/show info' 'context  *400 tokens'
press '\004'
ok "Ctrl-D leaves" leaves 0

# ---- history ----------------------------------------------------------------------------------------------------------------------
if [ $editing ]; then
    start "$model --temp 0 --max-tokens 1"
    ok "what is typed before /set history on" type 'an earlier secret' '^>>> '
    ok "/set history on" type '/set history on' '^>>> '
    ok "keeps" type 'Where is order C-18?' '^>>> '
    ok "  ... what is typed" grep -q 'Where.*C-18' "$HOME/.lar/history"
    ok "  ... and nothing of before" not grep -q 'earlier' "$HOME/.lar/history"
    ok "  ... for its owner only" test "$(stat -c %a "$HOME/.lar/history" "$HOME/.lar" | tr '\n' ' ')" = '600 700 '
    ok "/set history off" type '/set history off' '^>>> '
    ok "keeps" type 'a secret' '^>>> '
    ok "  ... nothing" not grep -q 'secret' "$HOME/.lar/history"
    press '\004'
    ok "Ctrl-D leaves" leaves 0
    LAR_HISTORY=$TMP/lines
    export LAR_HISTORY
    start "$model --temp 0 --max-tokens 1"
    ok "LAR_HISTORY names another file" type 'Where is order E-20?' '^>>> '
    ok "  ... which is used" grep -q 'E-20' "$TMP/lines"
    press '\004'
    ok "Ctrl-D leaves" leaves 0
    LAR_HISTORY=/dev/null
    start "$model --temp 0 --max-tokens 1"
    ok "/dev/null is none" type 'Where is order E-20?' '^>>> '
    press '\004'
    ok "Ctrl-D leaves" leaves 0
    mkdir "$TMP/place"
    LAR_HISTORY=$TMP/place/lines
    start "$model --temp 0 --max-tokens 1"
    ok "a history" type 'Where is order E-20?' '^>>> '
    ok "  ... for which there is a place" grep -q 'E-20' "$TMP/place/lines"
    rm -r "$TMP/place"
    ok "a place that is lost" type 'Where is order E-21?' 'lar: cannot create .*/place/lines'
    ok "  ... is told" sh -c 'echo "$1" | grep -q "Lines are kept no longer"' - "$(news)"
    ok "  ... once" type 'Where is order E-22?' '^>>> '
    ok "  ... and no more" not sh -c 'echo "$1" | grep -q "lar:"' - "$(news)"
    mkfifo "$TMP/pipe"
    ok "/load of a pipe" type "/load $TMP/pipe" 'pipe: is no regular file'
    ok "/load of what never ends" type '/load /dev/zero' '/dev/zero: is no regular file'
    ok "what is pasted is bracketed" eval 'tail -c 200 "$screen" | grep -q "$esc\[?2004h[^$esc]*\$"'
    kill -s TERM "$(last_child $pid)"
    ok "SIGTERM ends the chat" leaves 143
    ok "  ... and what is pasted is bracketed no longer" eval 'tail -c 200 "$screen" | tr -d "\r\n" | grep -q "2004h[^h]*$esc\[?2004l"'
    for f in /dev/zero /dev/full "$TMP/pipe"; do
        LAR_HISTORY=$f timeout 60 script -qec "$LAR run $model" /dev/null </dev/null >"$TMP/said" 2>&1
        ok "LAR_HISTORY=$(basename $f) is refused" grep -q "$f: is no regular file" "$TMP/said"
    done
    TERM=nonsense
    unset LAR_HISTORY
    start "$model --temp 0 --max-tokens 1"
    ok "an unknown terminal brackets nothing" not grep -q '2004h' "$screen"
    press '\004'
    ok "Ctrl-D leaves" leaves 0
    TERM=xterm
    unset LAR_HISTORY
else
    skip "no history without line editing"
fi

# ---- under a lock file -------------------------------------------------------------------------------------------------------------------
$LAR lock $model -o "$TMP/lar.lock" --set temp=0 > /dev/null 2>&1
start "$model --locked --lock-file $TMP/lar.lock --max-tokens 4"
ok "a locked chat answers" type 'Where is order C-18?' '^[^>]*"'
ok "/set parameter is refused in it" type '/set parameter temp 1' 'this chat is locked'
ok "  ... also its context" type '/set parameter ctx 100' 'this chat is locked'
ok "  ... and the system message" type '/set system x' 'this chat is locked'
ok "  ... and one that /load brings" type "/load $TMP/talk.json" 'this chat is locked'
ok "how much is answered is no part of the lock" type '/set parameter max-tokens 6' '^>>> '
ok "  ... so that is done" type '/show parameters' 'max-tokens *6'
ok "what is locked is as it was" type '/show parameters' 'temp *0$'
press '\004'
ok "Ctrl-D leaves" leaves 0

# ---- without a template, and with thoughts -----------------------------------------------------------------------------------------
look patch $model "$TMP/plain.gguf" tokenizer.chat_template tokenizer.chat_templatX
start "$TMP/plain.gguf --temp 0 --max-tokens 4"
ok "without a template that is told" sh -c 'echo "$1" | grep -q "one text that goes on"' - "$(news)"
ok "  ... a line is continued" type '{"intent":"refund","urg' '^[^>]*"'
ok "/set system is refused there" type '/set system x' 'no chat template'
ok "/load of a system message as well" type "/load $TMP/talk.json" 'no chat template'
ok "a second line continues both" type 'and then' '^>>> '
$LAR run "$TMP/plain.gguf" --temp 0 --max-tokens 4 '{"intent":"refund","urg' >"$TMP/first" 2>/dev/null
printf '%s%s\nand then' '{"intent":"refund","urg' "$(cat "$TMP/first")" >"$TMP/both"
$LAR run "$TMP/plain.gguf" --temp 0 --max-tokens 4 - <"$TMP/both" >"$TMP/second" 2>/dev/null
ok "  ... as one text" eval 'grep -qxF -- "$(cat "$TMP/second")" <<-END
$(news)
END'
ok "/save keeps it" type "/save $TMP/text.json" '4 messages saved'
ok "/load takes it back" type "/load $TMP/text.json" '4 messages loaded'
ok "  ... all" type '/show messages' '^user: and then'
press '\004'
ok "Ctrl-D leaves" leaves 0
template=$($LAR show $model --template)
thinker="{%- for m in messages %}{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{%- endfor %}{{- '<|im_start|>assistant\n<think>' }}{# </think> #}"
look patch $model "$TMP/thinker.gguf" "$template" "$thinker"
start "$TMP/thinker.gguf --temp 0 --max-tokens 12"
ok "thinking is shown" type 'Where is order C-18?' '2m'
ok "  ... dim, and the colours end with it" sh -c 'echo "$1" | grep -q "$(printf "\\033\\[2m")" && echo "$1" | grep -q "$(printf "\\033\\[0m")"' - "$(news)"
ok "that there is no answer yet is told" sh -c 'echo "$1" | grep -q "still thinking when the answer reached its 12 tokens (/set parameter max-tokens N"' - "$(news)"
ok "the turn is kept" type '/show messages' '^user: Where is order C-18?'
ok "  ... with what was thought" sh -c 'echo "$1" | grep -q "^assistant, thinking: ."' - "$(news)"
ok "  ... on disk too" type "/save $TMP/thoughts.json" '2 messages saved'
ok "  ... whole" look json "$TMP/thoughts.json" '$j->{messages}[0]{content} eq "Where is order C-18?" && $j->{messages}[1]{content} eq "" && length $j->{messages}[1]{thinking} > 5'
ok "  ... from where it comes back" type "/load $TMP/thoughts.json" '2 messages loaded'
ok "/set think off turns it off" type '/set think off' '^>>> '
ok "/set nothink on is no form" type '/set nothink on' "lar: nothink takes nothing behind it, so not 'on'"
ok "/set think sideways neither" type '/set think sideways' 'lar: /set think on, or off'
ok "/set hidethinking off shows it" type '/set hidethinking off' '^>>> '
ok "  ... as before" type 'Where is order C-18?' '2m'
ok "/set hidethinking" type '/set hidethinking' '^>>> '
ok "hides it" type 'Where is order C-18?' '^>>> '
ok "  ... from sight" not sh -c 'echo "$1" | grep -q "$(printf "\\033\\[2m")"' - "$(news)"
press '\004'
ok "Ctrl-D leaves" leaves 0
NO_COLOR=1
export NO_COLOR
start "$TMP/thinker.gguf --temp 0 --max-tokens 12"
ok "with NO_COLOR" type 'Where is order C-18?' '^>>> '
ok "  ... there are none" not sh -c 'echo "$1" | grep -q "$(printf "\\033\\[2m")"' - "$(news)"
press '\004'
ok "Ctrl-D leaves" leaves 0
tap_done
