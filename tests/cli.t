#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli.t: the program's manners, without a model's answer in them: help, version, exit codes, and one clear line for each misuse.
. tests/sh.inc
model=models/lar-demo-q8_0.gguf

# The last try said one line, on stderr, and nothing on stdout; the line holds the words given.
one_line()
{
    [ ! -s "$TMP/out" ] || { echo "on stdout: $(head -c 200 "$TMP/out")"; return 1; }
    [ "$(wc -l < "$TMP/err")" = 1 ] || { echo "lines on stderr: $(cat "$TMP/err")"; return 1; }
    for w; do grep -qF -- "$w" "$TMP/err" || { echo "'$w' is not in: $(cat "$TMP/err")"; return 1; }; done
}
refused() # STATUS SENTENCE WORD... -- COMMAND...
{
    want=$1 sentence=$2 words=
    shift 2
    while [ "$1" != -- ]; do words="$words|$1"; shift; done
    shift
    try_status "$want" "$sentence" "$@"
    old=$IFS
    IFS='|'
    # shellcheck disable=SC2086
    set -- ${words#|}
    IFS=$old
    ok "  ... in one line" one_line "$@"
}

# ---- help and version --------------------------------------------------------------------------------------------
try "lar help lists the verbs" $LAR help
cp "$TMP/out" "$TMP/overview"
for verb in run show tokenize template logits bench help version; do
    ok "  ... $verb among them" grep -q "^  lar $verb " "$TMP/overview"
    try "lar help $verb" $LAR help $verb
    ok "  ... is not empty" test -s "$TMP/out"
    cp "$TMP/out" "$TMP/help"
    try "lar $verb --help" $LAR $verb --help
    ok "  ... says the same" cmp "$TMP/out" "$TMP/help"
    ok "  ... in 80 columns" not grep -E '^.{81}' "$TMP/help"
done
try "lar --help is lar help" $LAR --help
ok "  ... word for word" cmp "$TMP/out" "$TMP/overview"
try "lar help --man writes the manual page" $LAR help --man
ok "  ... that doc/lar.1 is (lar help --man > doc/lar.1 writes it)" cmp "$TMP/out" doc/lar.1
if command -v man >/dev/null && man --version >/dev/null 2>&1; then
    mandoc_says() { [ -z "$(LC_ALL=C.UTF-8 MANROFFSEQ='' man --warnings -E UTF-8 -l doc/lar.1 2>&1 >/dev/null)" ]; }
    ok "  ... and man reads it without a warning" mandoc_says
else
    skip "no man here"
fi
for word in --temp --top-k --top-p --min-p --typical --repeat-penalty --repeat-last-n --presence-penalty --frequency-penalty \
    --dry-multiplier --dry-base --dry-allowed-length --dry-penalty-last-n --xtc-probability --xtc-threshold --mirostat \
    --mirostat-tau --mirostat-eta --seed --stop --ctx --max-tokens --threads --kv --raw --think --no-think --hide-thinking \
    --json --verbose --system; do
    ok "lar help run tells of $word" sh -c "\$1 help run | grep -qE -- '(^| )$word( |\$)'" - "$LAR"
done
try "lar version" $LAR version
ok "  ... names the version" grep -qE '^lar [0-9]+\.[0-9]+\.[0-9]+ ' "$TMP/out"
ok "  ... and the level in use" grep -qE 'level (c|avx2|avx512|neon) in use' "$TMP/out"
try "LAR_CPU=c lowers the level" env LAR_CPU=c $LAR version --json
ok "  ... to c" grep -q '"cpu_level":"c"' "$TMP/out"
try "LAR_CPU=ref does too" env LAR_CPU=ref $LAR version --json
ok "  ... to c" grep -q '"cpu_level":"c"' "$TMP/out"
case $($LAR version) in *x86_64*) foreign=neon ;; *) foreign=avx2 ;; esac
try "a level of another kind of processor" env LAR_CPU=$foreign $LAR version
ok "  ... is told from ours" grep -q "LAR_CPU=$foreign: this processor is of another kind, so the level in use is c" "$TMP/err"
refused 2 "LAR_CPU=fast is refused" LAR_CPU -- env LAR_CPU=fast $LAR version

# ---- verbs and options -------------------------------------------------------------------------------------------
try_status 2 "no verb at all is misuse" $LAR
ok "  ... and tells what there is, on stderr" sh -c '[ ! -s "$1/out" ] && grep -q "lar run" "$1/err"' - "$TMP"
refused 2 "an unknown verb" "'rnu'" "'lar run'" -- $LAR rnu
refused 2 "an unknown verb like no other" "'chocolate'" "lar help" -- $LAR chocolate
refused 2 "help for an unknown verb" "'tokenise'" "'tokenize'" -- $LAR help tokenise
refused 2 "an unknown option, the nearest one suggested" "--tmp" "did you mean --temp?" -- $LAR run $model --tmp 1 hi
refused 2 "another, with swapped letters" "--max-tokesn" "--max-tokens" -- $LAR run $model --max-tokesn=1 hi
refused 2 "an option like no other" "--chocolate" -- $LAR run $model --chocolate hi
refused 2 "an unknown letter" "-z" -- $LAR run $model -z hi
refused 2 "text that looks like an option" "after --" -- $LAR run $model "- is this an item?"
refused 2 "an option without its value" "--temp" "value" -- $LAR run $model hi --temp
refused 2 "a flag with a value" "--raw" "no value" -- $LAR run $model --raw=1 hi
refused 2 "a number that is none" "--top-k" "'many'" -- $LAR run $model --top-k many hi
refused 2 "half a number" "--temp" "'0.5x'" -- $LAR run $model --temp 0.5x hi
refused 2 "an empty number" "--temp" -- $LAR run $model --temp= hi
refused 2 "not a number at all" "--temp" "'nan'" -- $LAR run $model --temp nan hi
refused 2 "a number beyond all bounds" "--seed" "99999999999999999999" -- $LAR run $model --seed 99999999999999999999 hi
refused 2 "a negative temperature" "--temp" -- $LAR run $model --temp -1 hi
refused 2 "top-p above one" "--top-p" -- $LAR run $model --top-p 1.5 hi
refused 2 "top-p in the form with =" "--top-p" -- $LAR run $model --top-p=1.5 hi
refused 2 "mirostat 3" "--mirostat" -- $LAR run $model --mirostat 3 hi
refused 2 "no threads" "--threads" -- $LAR run $model --threads 0 hi
refused 2 "a negative top-k, named once" "lar: --top-k -5: expected 0 or more" -- $LAR run $model --top-k -5 hi
refused 2 "a context beyond what can be" "--ctx" "1 to 268435456" -- $LAR run $model --ctx 1000000000 hi
refused 2 "a context beyond all numbers" "--ctx" "1 to 268435456" -- $LAR run $model --ctx 99999999999999999999 hi
echo '{"messages": [' > "$TMP/cut.json"
refused 1 "an input that is cut is named" "lar: $TMP/cut.json: JSON, byte" -- $LAR template $model "$TMP/cut.json"
refused 2 "and a schema" "lar: $TMP/cut.json: " -- $LAR run $model --schema "$TMP/cut.json" hi
refused 2 "and a list of tokens" "lar: $TMP/cut.json: token ids, byte 0" -- $LAR logits $model --tokens-file "$TMP/cut.json" -o "$TMP/none"
refused 2 "a choice of nothing" "--choices 'a,,b'" -- $LAR run $model --choices a,,b hi
refused 2 "an end that is empty" "--stop" "not empty" -- $LAR run $model --stop "" hi
refused 2 "a model without a name" "name is empty" -- $LAR show ""
refused 2 "an output without a name" "name of the file to write is empty" -- $LAR logits $model --tokens 1 -o ""
refused 2 "a context of nothing" "--ctx" -- $LAR run $model --ctx 0 hi
refused 2 "keys in an unknown type" "--kv" "f16 f32 q8_0" -- $LAR run $model --kv q4_0 hi
refused 2 "an argument too many" "'there'" -- $LAR run $model hi there
refused 2 "no model" "MODEL" -- $LAR run
refused 2 "--raw with a system message" "--system" -- $LAR run $model --raw --system x hi
refused 2 "--think for a model that cannot" "--think" -- $LAR run $model --think hi
refused 2 "an empty prompt" "empty" -- $LAR run $model ""
refused 2 "no prompt and no terminal" "prompt" -- $LAR run $model </dev/null
refused 2 "--json without a prompt" "prompt" -- $LAR run $model --json </dev/null
printf 'a\0b' > "$TMP/nul"
refused 2 "a prompt with a NUL byte" "NUL" "1" -- sh -c '"$1" run "$2" - < "$3"' - $LAR $model "$TMP/nul"

# ---- files that are no models --------------------------------------------------------------------------------------
head -c 100000 $model > "$TMP/cut.gguf"
head -c 20 $model > "$TMP/short.gguf"
echo "This is a letter, not a model." > "$TMP/text.gguf"
: > "$TMP/empty.gguf"
mkdir "$TMP/folder.gguf"
for verb in "run FILE hi" "show FILE" "show FILE --json" "tokenize FILE hi" "logits FILE --tokens 1 -o $TMP/none" "bench FILE"; do
    for file in missing folder cut short text empty; do
        # shellcheck disable=SC2046
        set -- $(echo "$verb" | sed "s|FILE|$TMP/$file.gguf|")
        status=0
        $LAR "$@" >"$TMP/out" 2>"$TMP/err" || status=$?
        fails() { [ $status = 1 ] || [ $status = 2 ] || { echo "exit status $status"; cat "$TMP/err"; return 1; }; }
        ok "lar $verb: $file file fails" fails
        ok "  ... in one line that names it" one_line "$file.gguf"
    done
done
ok "and nothing was written" not test -e "$TMP/none"
refused 1 "lar template: a missing file" "missing.gguf" -- $LAR template "$TMP/missing.gguf" /dev/null
refused 2 "lar template: a folder" "folder.gguf" -- $LAR template "$TMP/folder.gguf" /dev/null
refused 2 "lar template: a cut model" "lar: $TMP/cut.gguf: " -- $LAR template "$TMP/cut.gguf" /dev/null

# ---- outputs that take nothing more ---------------------------------------------------------------------------------
: > "$TMP/out"
for verb in "help" "version" "show $model" "show $model --json" "show $model --template" "tokenize $model hello" \
    "tokenize $model hello --json" "run $model --max-tokens 3 hi" "run $model --max-tokens 3 --json hi"; do
    status=0
    # shellcheck disable=SC2086
    $LAR $verb >/dev/full 2>"$TMP/err" || status=$?
    ok "lar $verb: a full disk is exit 1" test $status = 1
    ok "  ... and one line" one_line "No space left"
    # The reader has left before the first byte.
    # shellcheck disable=SC2086
    { sleep 0.1; $LAR $verb 2>"$TMP/err"; echo $? >"$TMP/status"; } | true
    ok "lar $verb: a reader that went away is exit 1" grep -qx 1 "$TMP/status"
    ok "  ... and one line" one_line "standard output was closed"
done
status=0
$LAR version >&- 2>"$TMP/err" || status=$?
ok "a closed standard output is exit 1" test $status = 1
ok "  ... and one line" one_line "standard output"
status=0
$LAR run $model - <&- >"$TMP/out" 2>"$TMP/err" || status=$?
ok "a closed standard input is an error" test $status != 0
ok "  ... and one line" one_line "standard input"
grep -A1 '^\$ lar run modles' README.md | tail -n 1 >"$TMP/readme"
try_status 1 "a model that is not there" $LAR run modles/x.gguf hi
ok "is told as the README shows it" cmp "$TMP/readme" "$TMP/err"
perl tests/look.pl patch $model "$TMP/unknown.gguf" qwen3 rwen3
try_status 2 "a family that nobody knows" $LAR run "$TMP/unknown.gguf" hi
ok "is told with its name" grep -q 'the architecture "rwen3" is not known' "$TMP/err"
ok "and with all that are known, first and last" sh -c 'grep -q "^    llama," "$1" && grep -q "gemma-embedding$" "$1"' - "$TMP/err"
tap_done
