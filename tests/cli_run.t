#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_run.t: `lar run` with a prompt, as people and scripts use it.
. tests/sh.inc
model=models/lar-demo-q8_0.gguf
message='Hi, where is my order A-48213? It should have been here by Monday. Please answer asap!'
look() { perl tests/look.pl "$@"; }
silent() { [ ! -s "$TMP/err" ] || { cat "$TMP/err"; return 1; }; }
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
one_line() { [ "$(wc -l < "$TMP/err")" = 1 ] || { cat "$TMP/err"; return 1; }; }

# ---- the answer, and nothing else -----------------------------------------------------------------------------------
try "answers a prompt" $LAR run $model --temp 0 "$message"
cp "$TMP/out" "$TMP/answer"
ok "with one line of JSON" grep -qx '{"intent":"[a-z_]*",.*"order_id":"A-48213".*}' "$TMP/answer"
ok "and one newline at its end" sh -c '[ "$(wc -l < "$1")" = 1 ]' - "$TMP/answer"
ok "and nothing on stderr" silent
same() { try "$@"; ok "  ... and answers the same" cmp "$TMP/out" "$TMP/answer"; }
same "reads the prompt from a pipe" sh -c 'printf "%s\n" "$1" | "$2" run "$3" --temp 0' - "$message" "$LAR" $model
same "reads the prompt from - " sh -c 'printf "%s" "$1" | "$2" run "$3" --temp=0 -' - "$message" "$LAR" $model
printf '%s\r\n' "$message" > "$TMP/message"
same "reads the prompt from a file, its last line end left out" sh -c '"$1" run "$2" --temp 0 < "$3"' - "$LAR" $model "$TMP/message"
same "takes options before and after" $LAR run --temp 0 --threads 1 $model "$message" --kv f16
same "takes a prompt after --" $LAR run --temp=0 $model -- "$message"
same "keeps its keys as F32" $LAR run $model --temp 0 --kv f32 "$message"
try "joins a prompt and what a file holds" sh -c '"$1" run "$2" --temp 0 "Hello." < "$3"' - "$LAR" $model "$TMP/message"
cp "$TMP/out" "$TMP/joined"
try "like the two with an empty line between" $LAR run $model --temp 0 "Hello.

$message"
ok "  ... which gives the same" cmp "$TMP/out" "$TMP/joined"
try "a prompt and a pipe that says nothing" sh -c ': | "$1" run "$2" --temp 0 "$3"' - "$LAR" $model "$message"
ok "  ... is the prompt" cmp "$TMP/out" "$TMP/answer"

printf 'a\377b' > "$TMP/odd"
try "a prompt with a byte of no character" sh -c '"$1" run "$2" --temp 0 --max-tokens 1 - < "$3"' - "$LAR" $model "$TMP/odd"
ok "  ... is told" said "lar: of the prompt 1 byte is no UTF-8"
try "a system message with two" $LAR run $model --temp 0 --max-tokens 1 --system "$(printf 'a\377b\376')" hi
ok "  ... as well" said "lar: of --system 2 bytes are no UTF-8"
try_status 2 "a text to stop at that no answer can have" $LAR run $model --stop "$(printf '\377')" hi
ok "  ... is refused" said "is no UTF-8"
try_status 2 "--lock-file alone" $LAR run $model --lock-file x hi
ok "  ... is refused" said "--lock-file: only with --locked"
try "a context beyond the trained one" $LAR run $model --ctx 1000 --max-tokens 1 hi
ok "  ... is warned of" said "warning: a context of 1000 tokens, and the model was trained with 512"
ok "  ... in one line" one_line
try "the trained one" $LAR run $model --ctx 512 --max-tokens 1 hi
ok "  ... is not" silent
try_status 2 "a number in the manner of C" $LAR run $model --temp 0x10 hi
ok "  ... is refused" said "--temp needs a number, not '0x10'"
try_status 2 "show --json of one part" $LAR show $model --json --template
ok "  ... is refused" said "show: --json has all parts"
try "bytes of no character come back" $LAR tokenize $model --decode 97,255,98
ok "  ... as they were" cmp "$TMP/out" "$TMP/odd"
try "--json has U+FFFD" $LAR tokenize $model --decode --json 97,255,98
ok "  ... for them" look json "$TMP/out" '$j->{text} eq "a\x{fffd}b"'

# ---- JSON ----------------------------------------------------------------------------------------------------------
try "--json gives one object" $LAR run $model --temp 0 --json "$message"
cp "$TMP/out" "$TMP/json"
look get "$TMP/json" '$j->{text} . "\n"' > "$TMP/text"
ok "with the same text" cmp "$TMP/text" "$TMP/answer"
ok "with a list of ids" look json "$TMP/json" '@{$j->{tokens}} > 10 && !grep { !/^\d+$/ } @{$j->{tokens}}'
ok "with the reason of its end" look json "$TMP/json" '$j->{stop} eq "end"'
ok "with four timings" look json "$TMP/json" '!grep { !($j->{timings}{$_} > 0) } qw(load_ms prompt_tok_s first_token_ms tok_s)'
ok "without thinking, for there was none" look json "$TMP/json" '!exists $j->{thinking}'
ok "on stdout only" silent
look get "$TMP/json" 'join ",", @{$j->{tokens}}' > "$TMP/tokens"
try "its ids are the text" $LAR tokenize $model --decode --no-special "$(cat "$TMP/tokens")"
echo >> "$TMP/out"
ok "  ... to the byte" cmp "$TMP/out" "$TMP/answer"
printf '{"messages":[{"role":"user","content":"%s"}],"add_generation_prompt":true}' "$message" > "$TMP/in.json"
try "the prompt by hand: the template" $LAR template $model "$TMP/in.json"
cp "$TMP/out" "$TMP/prompt"
try "  ... its tokens" sh -c '"$1" tokenize "$2" --json --no-bos < "$3"' - "$LAR" $model "$TMP/prompt"
ok "  ... are as many as prompt_tokens says" look json "$TMP/json" "\$j->{prompt_tokens} == $(look get "$TMP/out" 'scalar @{$j->{ids}}')"
same "  ... and --raw continues it to the same answer" $LAR run $model --raw --temp 0 "$(cat "$TMP/prompt")
"

# ---- where an answer ends ------------------------------------------------------------------------------------------------
try "--max-tokens 3" $LAR run $model --temp 0 --max-tokens 3 --json "$message"
ok "ends after three" look json "$TMP/out" '@{$j->{tokens}} == 3 && $j->{stop} eq "length"'
try "--stop" $LAR run $model --temp 0 --stop urgency --stop nowhere --json "$message"
ok "ends before the text" look json "$TMP/out" '$j->{stop} eq "string" && $j->{text} =~ /^\{"intent":"\w+","$/'
try "--ctx 70" $LAR run $model --temp 0 --ctx 70 --json "$message"
ok "ends where the context is full" look json "$TMP/out" '$j->{stop} eq "context" && $j->{prompt_tokens} + @{$j->{tokens}} >= 70'
ok "and says so in one line" one_line
ok "which names the number and the remedy" said "70 tokens is full (--ctx"
try_status 2 "a prompt longer than the context is refused" $LAR run $model --ctx 10 "$message"
ok "in one line" one_line
ok "with both numbers" sh -c 'grep -q "has [0-9][0-9]* tokens.*10" "$1"' - "$TMP/err"
ok "and no answer" test ! -s "$TMP/out"
try_status 1 "a context larger than memory is refused" $LAR run $model --ctx 200000000 "$message"
ok "in one line" one_line

# ---- chance ----------------------------------------------------------------------------------------------------------
seed() { $LAR run $model --raw --temp 1.5 --top-k 0 --top-p 1 --min-p 0 --max-tokens 20 --seed "$1" "Hello" > "$TMP/$2"; }
ok "a seed gives a text" seed 7 seed7
ok "and the same one again" seed 7 again
ok "  ... to the byte" cmp "$TMP/seed7" "$TMP/again"
ok "another seed" seed 8 seed8
ok "another text" not cmp -s "$TMP/seed7" "$TMP/seed8"
wild='--raw --temp 1.5 --top-k 0 --top-p 1 --min-p 0 --max-tokens 20 --json'
try "without one the system gives it" $LAR run $model $wild "Hello"
ok "--json tells which" eval 'look get "$TMP/out" "\$j->{seed}" | grep -qx "[0-9][0-9]*"'
look get "$TMP/out" 'join ",", @{$j->{tokens}}' > "$TMP/drawn"
try "and with that" $LAR run $model $wild --seed "$(look get "$TMP/out" '$j->{seed}')" "Hello"
look get "$TMP/out" 'join ",", @{$j->{tokens}}' > "$TMP/again"
ok "it is the same again" cmp "$TMP/drawn" "$TMP/again"
try "every option of sampling at once" $LAR run $model --temp 0.7 --top-k 20 --top-p 0.9 --min-p 0.02 --typical 0.95 \
    --repeat-penalty 1.1 --repeat-last-n 32 --presence-penalty 0.1 --frequency-penalty 0.1 --dry-multiplier 0.5 --dry-base 1.75 \
    --dry-allowed-length 2 --dry-penalty-last-n 64 --xtc-probability 0.1 --xtc-threshold 0.2 --seed 3 --max-tokens 8 hi
try "mirostat" $LAR run $model --mirostat 2 --mirostat-tau 5 --mirostat-eta 0.1 --seed 3 --max-tokens 8 hi

# ---- what goes to stderr ------------------------------------------------------------------------------------------------
try "--verbose tells the timings" $LAR run $model --temp 0 --verbose "$message"
ok "on stderr" said "first token after"
ok "and the answer is what it was" cmp "$TMP/out" "$TMP/answer"

ok "a model without a template" look patch $model "$TMP/plain.gguf" tokenizer.chat_template tokenizer.chat_templatX
try "continues the prompt as text" $LAR run "$TMP/plain.gguf" --temp 0 --max-tokens 5 "$message"
ok "and says so in one line" one_line
ok "that tells why" said "no chat template"
cp "$TMP/out" "$TMP/continued"
try "as --raw does" $LAR run $model --raw --temp 0 --max-tokens 5 "$message"
ok "with the same text" cmp "$TMP/out" "$TMP/continued"
ok "and without a word" silent
try_status 2 "but a system message has no place there" $LAR run "$TMP/plain.gguf" --system x "$message"

# ---- a recommendation that is wrong -----------------------------------------------------------------------------------------
cp -r tests/data/tiny-llama "$TMP/nonsense"
chmod -R u+w "$TMP/nonsense"
echo '{"temperature": 0.6, "top_k": 0, "top_p": 1.5, "min_p": -1}' > "$TMP/nonsense/generation_config.json"
try "a model that recommends nonsense answers" $LAR run "$TMP/nonsense" --max-tokens 1 hi
ok "  ... and it is told in one line" one_line
ok "  ... with keys and values" said "warning: general.sampling.top_p is 1.5, expected 0 to 1; general.sampling.min_p is -1, expected 0 to 1: left out"
try "lar show" $LAR show "$TMP/nonsense"
ok "  ... tells it too" said "warning: general.sampling.top_p is 1.5, expected 0 to 1; general.sampling.min_p is -1, expected 0 to 1: left out"
ok "  ... in one line" one_line

# ---- what strangers write, and templates that are broken -----------------------------------------------------------------
n() { $LAR run "$@" --temp 0 --max-tokens 1 --json > "$TMP/n" && look get "$TMP/n" '$j->{prompt_tokens} + 0'; }
clean=$(n $model 'a b')
ok "a control token's name in a message is text, of several tokens" test "$(n $model 'a<|im_end|> b')" -gt $((clean + 3))
ok "with --parse-special it is the token" test "$(n $model --parse-special 'a<|im_end|> b')" -le $((clean + 2))
ok "as it is in the system message" test "$(n $model --system 'a<|im_end|>' 'a b')" -le $(($(n $model --system 'a' 'a b') + 1))
template=$($LAR show $model --template)
for broken in '{%- for m in messages %}{{ m.content }}' '{{ messages[0].content.nope.nope }}' \
    '{%- for i in range(1000000) %}{%- for j in range(1000000) %}{%- endfor %}{%- endfor %}' '{{ 1 | nofilter }}'; do
    look patch $model "$TMP/broken.gguf" "$template" "$broken"
    try "a broken template does not keep a message from its answer" $LAR run "$TMP/broken.gguf" --temp 0 --max-tokens 5 "$message"
    ok "  ... and is told in one line" one_line
    ok "  ... with what was done instead" said 'template is broken, so the messages went out as plain "User: ..." lines (template line 1'
done
cp "$TMP/out" "$TMP/plain"
try "which is this" $LAR run $model --raw --temp 0 --max-tokens 5 "User: $message

Assistant:"
ok "  ... to the byte" cmp "$TMP/out" "$TMP/plain"
look patch $model "$TMP/broken.gguf" "$template" '{{ raise_exception("no users here") }}'
try_status 2 "a template that refuses is obeyed" $LAR run "$TMP/broken.gguf" --temp 0 "$message"
ok "  ... in its own words" said 'no users here'

# ---- thinking: the demonstration model told that its answer is its thoughts ------------------------------------------------
template=$($LAR show $model --template)
thinker="{%- for m in messages %}{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{%- endfor %}{{- '<|im_start|>assistant\n<think>' }}{# </think> #}"
ok "a model that thinks" look patch $model "$TMP/thinker.gguf" "$template" "$thinker"
try "its thinking is no answer" $LAR run "$TMP/thinker.gguf" --temp 0 --max-tokens 20 "$message"
ok "so stdout holds a newline" sh -c '[ "$(wc -c < "$1")" = 1 ]' - "$TMP/out"
ok "and stderr why there is no answer" one_line
ok "  ... and what helps" said "the model was still thinking when the answer reached its 20 tokens (--max-tokens N gives it more)"
try "with --think it goes to stderr" $LAR run "$TMP/thinker.gguf" --temp 0 --max-tokens 20 --think "$message"
ok "  ... where it is" test "$(wc -c < "$TMP/err")" -gt 5
ok "  ... and stdout holds a newline" sh -c '[ "$(wc -c < "$1")" = 1 ]' - "$TMP/out"
try "--hide-thinking hides it there too" $LAR run "$TMP/thinker.gguf" --temp 0 --max-tokens 20 --think --hide-thinking "$message"
ok "  ... altogether" one_line
ok "  ... but that there is no answer" said "still thinking"
try "a text of --stop within the thinking" $LAR run "$TMP/thinker.gguf" --temp 0 --stop '""' "$message"
ok "  ... is named" said "still thinking when '\"\"' ended the answer"
look patch $model "$TMP/muser.gguf" "$template" "{# </think> #}${thinker%%<think>*}<think>\n' -}}"
try "an end within the thinking" $LAR run "$TMP/muser.gguf" --temp 0 hi
ok "  ... is told" said "ended within its thinking, without an answer"
try "--json has it apart" $LAR run "$TMP/thinker.gguf" --temp 0 --max-tokens 20 --json "$message"
ok "  ... under its name" look json "$TMP/out" 'length $j->{thinking} > 5 && $j->{text} eq ""'

# ---- Ctrl-C ---------------------------------------------------------------------------------------------------------------
if [ -n "${RUN-}" ]; then
    skip "an emulator takes the signals"
else
    # The model without its end tokens never ends.
    look patch $model "$TMP/endless.gguf" eos_token_id xos_token_id '<|im_end|>' '<|im_foo|>' '<|endoftext|>' '<|unending_|>'
    long="--raw --temp 3 --top-k 0 --top-p 1 --min-p 0 --seed 1 --ctx 60000"
    # shellcheck disable=SC2086
    try_status 130 "an interrupt ends the answer and the program, as by the signal" timeout --foreground --preserve-status -s INT 1 $LAR run "$TMP/endless.gguf" $long hi
    ok "  ... with what there was" test "$(wc -c < "$TMP/out")" -gt 20
    ok "  ... and a newline" sh -c '[ "$(tail -c 1 "$1" | od -An -c | tr -d " ")" = "\\n" ]' - "$TMP/out"
fi

# ---- a story ----------------------------------------------------------------------------------------------------------------
story=../shared/data/models/stories260k/stories260K
if [ -e $story.gguf ]; then
    try "stories260K tells its story" $LAR run $story.gguf --raw --temp 0 --max-tokens 256 ""
    awk '/^\$ .*-t 0.0$/ { on = 1; next } /^```/ { on = 0 } on' $story.md > "$TMP/story"
    # The first word's space belongs to the tokenizer's way of writing a beginning; the book leaves it out.
    sed '1s/^ //' "$TMP/out" > "$TMP/told"
    ok "which is the one in the book" cmp "$TMP/told" "$TMP/story"
else
    skip "no ../shared/data/models/stories260k"
fi
# ---- what the answer must be ------------------------------------------------------------------------------------------
printf '{"type":"object","required":["intent","order"],"additionalProperties":false,"properties":{"intent":{"enum":["refund","order_status"]},"order":{"type":"string","pattern":"^[A-Z]-[0-9]{5}$"}}}' > "$TMP/order.json"
try "follows a schema" $LAR run $model --temp 0 --compact --schema "$TMP/order.json" "$message"
ok "to the letter" grep -qx '{"intent":"[a-z_]*","order":"[A-Z]-[0-9]\{5\}"}' "$TMP/out"
try "chooses" $LAR run $model --seed 3 --choices 'yes,no,not sure' "$message"
ok "one of the choices" grep -qxE 'yes|no|not sure' "$TMP/out"
try "matches a regular expression" $LAR run $model --seed 3 --regex '[0-9]{3}-[a-z]{2}' "$message"
ok "as a whole" grep -qxE '[0-9]{3}-[a-z]{2}' "$TMP/out"
printf 'root ::= "<" item ("," item)* ">"\nitem ::= [a-c]{2} | "(" item ")"\n' > "$TMP/list.gbnf"
try "follows a grammar of llama.cpp's form" $LAR run $model --temp 0 --grammar "$TMP/list.gbnf" --max-tokens 200 "$message"
ok "from its first byte on" grep -qE '^<\(*[a-c]' "$TMP/out"
printf 'start: "ticket " ID ":" %%json {"enum": ["refund", "other"]} ("!" | ".")\nID: /[A-Z]-[0-9]{5}/\n' > "$TMP/ticket.lark"
try "and one in Lark's language, told apart by its form" $LAR run $model --temp 0 --grammar "$TMP/ticket.lark" "$message"
ok "to its end" grep -qxE 'ticket [A-Z]-[0-9]{5}:.?"(refund|other)"[!.]' "$TMP/out"
try "which may be named" $LAR run $model --seed 2 --lark "$TMP/ticket.lark" "$message"
ok "  ... too" grep -qxE 'ticket [A-Z]-[0-9]{5}:.?"(refund|other)"[!.]' "$TMP/out"
printf 'start: "a"\n%%declare B\n' > "$TMP/declare.lark"
try_status 2 "what it does not know of it is refused" $LAR run $model --lark "$TMP/declare.lark" "$message"
ok "by name and line" said 'line 2: %declare'
try "says when the answer was cut" $LAR run $model --temp 0 --max-tokens 3 --schema "$TMP/order.json" "$message"
ok "that it is only a beginning" said "only the beginning"
printf '{"properties":{"a":{"pattern":"(?<=x)y"}}}' > "$TMP/no.json"
try_status 2 "refuses a schema that it cannot enforce" $LAR run $model --schema "$TMP/no.json" "$message"
ok "with the place" said "/properties/a"
printf '{"type":"object","properties":{"a":{"enum":["x","y"],"$ref":"http://else.example/x"}},"required":["a"],"additionalProperties":false}' > "$TMP/part.json"
try_status 1 "with --partial follows what it can of it" $LAR run $model --temp 0 --partial --compact --schema "$TMP/part.json" "$message"
ok "of the rest" grep -qxE '\{"a":"(x|y)"\}' "$TMP/out"
ok "tells what it leaves out" said 'not enforced: /properties/a/$ref'
ok "and that nobody knows whether the answer is valid" said "perhaps valid by the whole schema"
printf '{"$id":"http://a.example/","$defs":{"o":{"$id":"o","$dynamicAnchor":"n","type":"object","properties":{"a":{"$dynamicRef":"#n"}},"required":["b"],"additionalProperties":false}},"$dynamicAnchor":"n","enum":["x"],"anyOf":[true,{"$ref":"o"}]}' > "$TMP/part.json"
try "an answer that is valid by all of it" $LAR run $model --temp 0 --partial --schema "$TMP/part.json" "$message"
ok "is told to be so" said "the answer is valid by the whole schema"
try_status 2 "--partial is of schemas" $LAR run $model --partial --regex a "$message"
try_status 2 "refuses two constraints at once" $LAR run $model --regex a --choices b,c "$message"
try_status 2 "a schema that never ends" timeout 60 $LAR run $model --schema /dev/zero "$message"
ok "  ... is refused" said "/dev/zero: is no regular file and no pipe"
try_status 1 "a schema that is not there" $LAR run $model --schema "$TMP/nowhere" "$message"
tap_done
