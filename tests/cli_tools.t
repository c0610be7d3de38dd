#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_tools.t: show, tokenize, template, logits and bench: the forms that other programs rely on.
. tests/sh.inc
model=models/lar-demo-q8_0.gguf
look() { perl tests/look.pl "$@"; }
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
says() { grep -qF -- "$1" "$TMP/out" || { cat "$TMP/out"; return 1; }; }
one_line() { [ ! -s "$TMP/out" ] && [ "$(wc -l < "$TMP/err")" = 1 ] || { cat "$TMP/out" "$TMP/err"; return 1; }; }
nothing() { [ ! -s "$1" ] || { cat "$1"; return 1; }; }

# ---- show ----------------------------------------------------------------------------------------------------------
try "lar show" $LAR show $model
ok "tells the architecture" says 'qwen3'
ok "cuts long arrays" grep -q 'tokenizer.ggml.tokens *string\[2560\] *\["Ā", "ā", "Ă", "ă", \.\.\.\]' "$TMP/out"
ok "lists tensors" grep -qE 'token_embd.weight +Q8_0 +256, 2560 +[0-9]+ +696320' "$TMP/out"
ok "tells the memory" says 'Memory at a context of 512 tokens, keys and values in F16'
try "lar show --all" $LAR show --all $model
ok "cuts nothing" not grep -qF '...' "$TMP/out"
try "lar show --json" $LAR show $model --json
cp "$TMP/out" "$TMP/json"
ok "has the metadata" look json "$TMP/json" '$j->{metadata}{"general.architecture"} eq "qwen3" && @{$j->{metadata}{"tokenizer.ggml.tokens"}} == 2560'
ok "with numbers as they are" look json "$TMP/json" 'abs($j->{metadata}{"qwen3.attention.layer_norm_rms_epsilon"} - 1e-6) < 1e-12 && $j->{metadata}{"qwen3.block_count"} == 6'
ok "with truth as truth" look json "$TMP/json" 'ref $j->{metadata}{"tokenizer.ggml.add_bos_token"} eq "JSON::PP::Boolean"'
ok "has the tensors" look json "$TMP/json" '@{$j->{tensors}} == 68 && !grep { !defined $_->{offset} || !$_->{bytes} || !@{$_->{shape}} } @{$j->{tensors}}'
ok "each behind the one before" look json "$TMP/json" 'my $at = 0; !grep { my $bad = $_->{offset} < $at; $at = $_->{offset} + $_->{bytes}; $bad } @{$j->{tensors}}'
ok "the last within the file" look json "$TMP/json" "my \$t = \$j->{tensors}[-1]; \$t->{offset} + \$t->{bytes} <= $(wc -c < $model) && \$j->{bytes} == $(wc -c < $model)"
folder=tests/data/tiny-llama
try "a folder as its maker published it" $LAR show $folder
ok "is told as such" says "$folder: as published, "
ok "with its tensors, their types, shapes and files" grep -qE '^  model.layers.0.mlp.down_proj.weight +(F16|F32|BF16) +[0-9]+, [0-9]+ +[0-9]+ +[0-9]+  model-0000[12]-of-00002.safetensors$' "$TMP/out"
ok "and its tokenizer's keys" says 'tokenizer.ggml.model'
try "  ... as JSON" $LAR show $folder --json
cp "$TMP/out" "$TMP/folder"
wanted=$(grep -c 'safetensors"' $folder/model.safetensors.index.json)
ok "every tensor of the index, in the file that it names" look json "$TMP/folder" "@{\$j->{tensors}} == $wanted && \$j->{parts} == 2 && \$j->{version} == 0 && !grep { \$_->{file} !~ /^model-0000[12]-of-00002.safetensors\$/ || !@{\$_->{shape}} } @{\$j->{tensors}}"
inside() { look json "$TMP/folder" "!grep { \$_->{offset} + \$_->{bytes} > (-s '$folder/' . \$_->{file}) } @{\$j->{tensors}}"; }
ok "inside it" inside
try "one file of weights" $LAR show $folder/model-00001-of-00002.safetensors
ok "has its own" says 'model-00001-of-00002.safetensors: as published, '
mkdir "$TMP/cut"
cp $folder/* "$TMP/cut" && head -c 5000 $folder/model-00002-of-00002.safetensors > "$TMP/cut/model-00002-of-00002.safetensors"
try_status 2 "a folder with a cut file" $LAR show "$TMP/cut"
ok "names the file" said "$TMP/cut/model-00002-of-00002.safetensors"
mkdir "$TMP/tokenizer" && cp $folder/tokenizer*.json "$TMP/tokenizer"
try "a folder with a tokenizer alone" $LAR show "$TMP/tokenizer"
ok "has no tensors, and says what it is" says "$TMP/tokenizer: a tokenizer, 18 keys, 0 tensors"
ok "has the memory" look json "$TMP/json" 'my $m = $j->{memory}; $m->{ctx} == 512 && $m->{total} == $m->{weights} + $m->{kv} + $m->{work} && $m->{kv} > 0'
kv() { $LAR show $model --json --ctx "$1" --kv "$2" > "$TMP/kv" && look get "$TMP/kv" '$j->{memory}{kv} + 0'; }
ok "twice the context is twice the keys" test "$(kv 1024 f16)" = $(($(kv 512 f16) * 2))
ok "F32 is twice F16" test "$(kv 512 f32)" = $(($(kv 512 f16) * 2))
ok "Q8_0 is little more than half" test "$(kv 512 q8_0)" -lt $(($(kv 512 f16) * 6 / 10))
try "lar show --template" $LAR show --template $model
look get "$TMP/json" '$j->{metadata}{"tokenizer.chat_template"}' > "$TMP/template"
ok "is the template, to the byte" cmp "$TMP/out" "$TMP/template"
look patch $model "$TMP/strange.gguf" general.architecture general.architecturX
try "a file without an architecture can be looked into" $LAR show "$TMP/strange.gguf" --json
ok "and says why its memory is not known" look json "$TMP/out" '!defined $j->{memory} && length $j->{memory_unknown} > 10 && @{$j->{tensors}} == 68'
try "in text too" $LAR show "$TMP/strange.gguf"
ok "  ... with the reason" says 'Memory is not known: '
look patch $model "$TMP/plain.gguf" tokenizer.chat_template tokenizer.chat_templatX
try_status 1 "no template" $LAR show --template "$TMP/plain.gguf"
ok "is one line" one_line

# ---- tokenize --------------------------------------------------------------------------------------------------------
text='Order A-48213, straße 北京 😀: {"x":1}'
try "lar tokenize" $LAR tokenize $model "$text"
ok "gives a token a line" grep -qE '^ *[0-9]+  ".*"$' "$TMP/out"
try "lar tokenize --json" $LAR tokenize $model --json "$text"
cp "$TMP/out" "$TMP/ids"
ok "gives ids and pieces" look json "$TMP/ids" '@{$j->{ids}} == @{$j->{pieces}} && @{$j->{ids}} > 10'
ids=$(look get "$TMP/ids" 'join ",", @{$j->{ids}}')
try "and --decode gives the text" $LAR tokenize $model --decode "$ids"
printf %s "$text" > "$TMP/text"
ok "  ... to the byte" cmp "$TMP/out" "$TMP/text"
try "from standard input, ids as JSON" sh -c 'echo "[$1]" | "$2" tokenize "$3" --decode --json' - "$ids" "$LAR" $model
ok "  ... and back as JSON" look json "$TMP/out" "use utf8; \$j->{text} eq '$text'"
try "standard input" sh -c 'printf "%s" "$1" | "$2" tokenize "$3" --json' - "$text" "$LAR" $model
ok "is the same" cmp "$TMP/out" "$TMP/ids"
try "a newline at its end" sh -c 'echo "$1" | "$2" tokenize "$3" --json -' - "$text" "$LAR" $model
ok "counts" look json "$TMP/out" "@{\$j->{ids}} == $(look get "$TMP/ids" '@{$j->{ids}} + 1')"
try "a special token by its name" $LAR tokenize $model --json '<|im_start|>'
ok "is one" look json "$TMP/out" '@{$j->{ids}} == 1 && $j->{pieces}[0] eq "<|im_start|>"'
special=$(look get "$TMP/out" '$j->{ids}[0]')
try "with --no-special" $LAR tokenize $model --json --no-special '<|im_start|>'
ok "it is text" look json "$TMP/out" '@{$j->{ids}} > 1'
try "decoding it" $LAR tokenize $model --decode $special
ok "gives its name" says '<|im_start|>'
try "with --no-special" $LAR tokenize $model --decode --no-special $special
ok "gives nothing" nothing "$TMP/out"
for bad in "1,,2" "1;2" "x" "[1,2" "-1" "1,"; do
    try_status 2 "ids written as '$bad' are refused" $LAR tokenize $model --decode -- "$bad"
    ok "  ... in one line" one_line
done
try_status 2 "an id beyond the vocabulary" $LAR tokenize $model --decode 99999
ok "  ... in one line" one_line

printf '"%s"\n"two"\n""\n"a\\nb\\u00e9"\n' "$(printf %s "$text" | sed 's/"/\\"/g')" > "$TMP/batch"
try "--batch takes a JSON string a line" sh -c '"$1" tokenize "$2" --batch < "$3"' - "$LAR" $model "$TMP/batch"
ok "and gives an object a line" test "$(look lines "$TMP/out" '@{$j->{ids}} == @{$j->{pieces}}')" = 4
head -1 "$TMP/out" > "$TMP/first"
ok "the first as above" cmp "$TMP/first" "$TMP/ids"
printf '"good"\nnot JSON\n17\n"better"' > "$TMP/batch"
try_status 2 "bad lines in a batch" sh -c '"$1" tokenize "$2" --batch < "$3"' - "$LAR" $model "$TMP/batch"
ok "fail alone" test "$(look lines "$TMP/out" '$n == 2 || $n == 3 ? $j->{error} : $j->{ids}')" = 4
ok "and are told by number" said 'line 3:'
printf '[1,2]\n[]\n' > "$TMP/batch"
try "--batch --decode" sh -c '"$1" tokenize "$2" --batch --decode < "$3"' - "$LAR" $model "$TMP/batch"
ok "takes lists of ids" test "$(look lines "$TMP/out" 'defined $j->{text}')" = 2

mkfifo "$TMP/to" "$TMP/from"
$LAR tokenize $model --batch < "$TMP/to" > "$TMP/from" &
exec 3> "$TMP/to" 4< "$TMP/from"
partner() { echo "\"$1\"" >&3 && timeout 60 head -n 1 <&4 | grep -q '^{"ids":'; }
ok "a line is answered while the next one is not there yet" partner one
ok "and the next as well" partner two
exec 3>&- 4<&-
wait
n=20000
[ -z "${LAR_SLOW-}" ] || n=500
awk -v n=$n 'BEGIN { for (i = 0; i < n; i++) printf "\"line %d of many: the quick brown fox\"\n", i }' > "$TMP/batch"
try "$n lines" sh -c '"$1" tokenize "$2" --batch < "$3"' - "$LAR" $model "$TMP/batch"
ok "give as many" test "$(wc -l < "$TMP/out")" = $n

# ---- template --------------------------------------------------------------------------------------------------------
cat > "$TMP/in.json" << 'END'
{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "<b>Grüße & \"Küsse\"</b>"}], "add_generation_prompt": true}
END
try "lar template MODEL" $LAR template $model "$TMP/in.json"
printf '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n<b>Grüße & "Küsse"</b><|im_end|>\n<|im_start|>assistant\n' > "$TMP/wanted"
ok "is the text, to the byte" cmp "$TMP/out" "$TMP/wanted"
try "lar template FILE -" sh -c '"$1" template "$2" - < "$3"' - "$LAR" "$TMP/template" "$TMP/in.json"
ok "is the same" cmp "$TMP/out" "$TMP/wanted"
printf '{{ bos_token }}|{{ eos_token }}|{{ x }}' > "$TMP/t.jinja"
echo ' {"x": "y"}' > "$TMP/x.json"
try "a file has no tokens of its own" $LAR template "$TMP/t.jinja" "$TMP/x.json"
ok "  ... so they are nothing" test "$(cat "$TMP/out")" = '||y'
pad='{{ bos_token }}|{{ eos_token }}|{{ x }}{# '
look patch $model "$TMP/tokens.gguf" "$(head -c 100 "$TMP/template")" "$pad"
try_status 1 "a damaged template" $LAR template "$TMP/tokens.gguf" "$TMP/x.json"
ok "is one line" one_line
look patch $model "$TMP/tokens.gguf" "$(cat "$TMP/template")" '{{ bos_token }}|{{ eos_token }}|{{ x }}|{#'"$(printf '%*s' 130 '' | tr ' ' x)"'#}'
try "a model's are added" $LAR template "$TMP/tokens.gguf" "$TMP/x.json"
ok "  ... by their names" says '<|endoftext|>|<|im_end|>|y|'
echo '{"eos_token": "END"}' > "$TMP/x.json"
try "unless the input has them" $LAR template "$TMP/tokens.gguf" "$TMP/x.json"
ok "  ... itself" says '<|endoftext|>|END||'
echo '{}' > "$TMP/x.json"
try "an empty input" $LAR template "$TMP/tokens.gguf" "$TMP/x.json"
ok "  ... is one" says '<|endoftext|>|<|im_end|>||'
echo '{{ raise_exception("no " ~ who) }}' > "$TMP/t.jinja"
echo '{"who": "body"}' > "$TMP/x.json"
try_status 1 "raise_exception" $LAR template "$TMP/t.jinja" "$TMP/x.json"
ok "is one line" one_line
ok "with its words" said 'no body'
echo '{% if %}' > "$TMP/t.jinja"
try_status 1 "a template that is none" $LAR template "$TMP/t.jinja" "$TMP/x.json"
ok "is one line" one_line
for bad in '[]' '{"a":' ''; do
    printf %s "$bad" > "$TMP/x.json"
    try_status 1 "an input of '$bad'" $LAR template "$TMP/template" "$TMP/x.json"
    ok "is one line" one_line
done
try_status 1 "a model without a template" $LAR template "$TMP/plain.gguf" "$TMP/in.json"
ok "is one line" one_line

# ---- logits ----------------------------------------------------------------------------------------------------------
ids=2558,340,10,585,1967,115,1923,32,114,406,277,46,2559,10,2558,348,10
at=$TMP/numbers
logits() { try "lar logits $*" $LAR logits $model --kv f32 "$@"; }
logits --tokens $ids -o "$at.last"
ok "says nothing" nothing "$TMP/out"
ok "writes one row" look shape "$at.last" logits F32 1,2560
logits --tokens $ids --all --greedy 5 -o "$at.all"
ok "writes all rows" look shape "$at.all" logits F32 17,2560
ok "and the continuation" look shape "$at.all" greedy I32 5
ok "the last row is the one row" look near "$at.all" logits "$at.last" logits 1e-4 -1 0
echo "[$ids]" > "$TMP/ids.json"
logits --tokens-file "$TMP/ids.json" --all --slices 1,7,4 -o "$at.slices"
ok "slices change nothing" look near "$at.all" logits "$at.slices" logits 1e-4
logits --tokens $ids --all --threads 1 --slices 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1 -o "$at.single"
ok "nor does one token after the other" look near "$at.all" logits "$at.single" logits 1e-4
$LAR tokenize $model --decode $ids > "$TMP/text"
logits --prompt "$(cat "$TMP/text")
" -o "$at.text"
ok "nor does a text in place of its tokens" look near "$at.last" logits "$at.text" logits 1e-6
try "lar run --raw --temp 0" $LAR run $model --raw --temp 0 --kv f32 --max-tokens 5 --json "$(cat "$TMP/text")
"
ok "goes on as --greedy does" test "$(look get "$TMP/out" 'join ",", @{$j->{tokens}}')" = "$(look ints "$at.all" greedy)"
cp "$at.last" "$TMP/before"
refused() # SENTENCE OPTION...
{
    try_status 2 "$@"
    ok "  ... in one line" one_line
}
refused "no prompt" $LAR logits $model -o "$at.last"
refused "two prompts" $LAR logits $model --tokens 1 --prompt x -o "$at.last"
refused "no output" $LAR logits $model --tokens 1
refused "no tokens" $LAR logits $model --tokens "" -o "$at.last"
refused "a token beyond the vocabulary" $LAR logits $model --tokens 1,2560 -o "$at.last"
refused "an empty slice" $LAR logits $model --tokens 1,2 --slices 0,2 -o "$at.last"
refused "too small a context" $LAR logits $model --tokens 1,2,3 --ctx 2 -o "$at.last"
ok "and the old file is as it was" cmp "$at.last" "$TMP/before"
try_status 1 "a folder that is not there" $LAR logits $model --tokens 1 -o "$TMP/nowhere/x.safetensors"
ok "is one line" one_line
left() { ls "$TMP"/numbers* | grep -v -E '\.(last|all|slices|single|text)$'; }
ok "nothing is left lying about" not left

# ---- golden models ------------------------------------------------------------------------------------------------------
golden=../shared/golden/models
if [ -d $golden ]; then
    for name in llama-plain llama-biases llama-linear llama-long llama-mha-tied llama-rope3 llama-yarn qwen3-dense smollm2-like; do
        [ -e $golden/$name/model-f32.gguf ] || continue
        prompt=$(look ints $golden/$name/expected.safetensors input_ids)
        rows=$(look get $golden/$name/note.json '$j->{logits_rows} =~ /(\d+)/ ? $1 : 0')
        tolerance=$(look get $golden/$name/note.json 'my $t = 4 * $j->{float32_deviation}; $t > 2e-4 ? $t : 2e-4')
        try "$name" $LAR logits $golden/$name/model-f32.gguf --tokens $prompt --kv f32 --all --greedy 24 -o "$at.golden"
        ok "  ... last row as the reference" look near "$at.golden" logits $golden/$name/expected.safetensors logits $tolerance -1 -1
        ok "  ... first of its $rows rows too" look near "$at.golden" logits $golden/$name/expected.safetensors logits $tolerance -$rows 0
        ok "  ... the same continuation" test "$(look ints "$at.golden" greedy)" = "$(look ints $golden/$name/expected.safetensors greedy)"
    done
else
    skip "no ../shared/golden/models"
fi

# ---- bench -------------------------------------------------------------------------------------------------------------
try "lar bench --json" $LAR bench $model --json -p 32 -n 8 -r 2 -t 1,2 -s 1
ok "gives a list" look json "$TMP/out" 'ref $j eq "ARRAY"'
ok "of two tests at two numbers of threads" look json "$TMP/out" 'my @t = map { "$_->{test} $_->{threads}" } grep { $_->{test} =~ /^(pp|tg)/ } @$j; "@t" eq "pp32 1 tg8 1 pp32 2 tg8 2"'
ok "each with its speed" look json "$TMP/out" '!grep { $_->{test} =~ /^(pp|tg)/ && !($_->{tok_s} > 0) } @$j'
ok "the limits it was set against" look json "$TMP/out" '!grep { $_->{test} eq "limits" && !($_->{read_gbs} > 0 && $_->{int8_gops} > 0) } @$j'
try "lar bench" $LAR bench $model -p 8 -n 2 -r 1
ok "of one conversation and of sixteen" grep -qE '^tg2x16 ' "$TMP/out"
ok "in words" grep -qE '^tg2 +[0-9]+ +[0-9.]+' "$TMP/out"
try "several conversations behind some context" $LAR bench $model --json -p 8 -n 2 -r 1 -t 2 -d 0,20 -s 1,3
ok "are tests of their own" look json "$TMP/out" 'my @t = map { $_->{test} } grep { $_->{tok_s} } @$j; "@t" eq q(pp8 tg2 tg2x3 pp8@20 tg2@20 tg2x3@20)'
cat > "$TMP/peer" <<'EOF'
#!/bin/sh
[ "$2" = models/lar-demo-q8_0.gguf ] && echo '{"model_filename": "x", "avg_ts": 12.5, "stddev_ts": 0}'
EOF
chmod +x "$TMP/peer"
try "another program takes turns" $LAR bench $model --json -p 8 -n 0 -r 3 -t 1 -d 0 --compare "$TMP/peer"
ok "and is told beside" look json "$TMP/out" '$j->[0]{peers}[0]{name} eq "peer" && $j->[0]{peers}[0]{tok_s} == 12.5 && abs($j->[0]{peers}[0]{times} * 12.5 / $j->[0]{tok_s} - 1) < .01'
try_status 1 "one that gives nothing" $LAR bench $model -p 8 -n 0 -r 1 --compare /bin/true
mkdir "$TMP/empty"
try_status 2 "no llama.cpp where it should be" $LAR bench $model --compare "$TMP/empty"
try_status 2 "nothing to measure" $LAR bench $model -p 0 -n 0
mkdir -p "$TMP/node-llama-cpp/dist"
: > "$TMP/node-llama-cpp/dist/index.js"
case $LAR in
*' '*) ;; # a runner that is itself found by PATH
*)
    try_status 1 "node-llama-cpp and no node to run it" env PATH="$TMP/empty" $LAR bench $model --compare "$TMP/node-llama-cpp"
    ok "  ... says what is needed, and what serves instead" grep -q 'Node.js in $PATH; or name a llama-bench' "$TMP/err"
    ;;
esac
try_status 2 "no threads" $LAR bench $model -t 0
try_status 2 "too many conversations" $LAR bench $model -s 65

# ---- tokenizers and templates in other forms ---------------------------------------------------------------------------
printf '%s' '{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}' > "$TMP/t.gotmpl"
printf '%s' '{"messages":[{"role":"user","content":"Hi"}]}' > "$TMP/chat.json"
try "a template in Go's language" $LAR template "$TMP/t.gotmpl" "$TMP/chat.json"
ok "is rendered" test "$(cat "$TMP/out")" = '<user>Hi'
printf '%s' 'a
{{ .Nope.No }}' > "$TMP/t.gotmpl"
try_status 1 "one that fails" $LAR template "$TMP/t.gotmpl" "$TMP/chat.json"
ok "says where" said 'line 2, column 4'
mkdir "$TMP/hf"
printf '%s' '{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},
"added_tokens":[{"id":3,"content":"<x>","special":true}]}' > "$TMP/hf/tokenizer.json"
printf '%s' '{"chat_template":"{{ messages[0].content }}!","bos_token":"<x>"}' > "$TMP/hf/tokenizer_config.json"
try "lar tokenize with a Hugging Face folder" $LAR tokenize "$TMP/hf" --json 'ab<x>a'
ok "reads its tokenizer.json" test "$(cat "$TMP/out")" = '{"ids":[2,3,0],"pieces":["ab","<x>","a"]}'
try "or the file itself" $LAR tokenize "$TMP/hf/tokenizer.json" --decode 2,3,0
ok "  ... and back" test "$(cat "$TMP/out")" = 'ab<x>a'
try "lar template with the folder" $LAR template "$TMP/hf" "$TMP/chat.json"
ok "renders the template of its tokenizer_config.json" test "$(cat "$TMP/out")" = 'Hi!'
try_status 2 "a folder without a tokenizer" $LAR tokenize "$TMP" x
ok "says what it looked for" said 'tokenizer.json'


# ---- slips that are told ---------------------------------------------------------------------------------------------------
slip() # PATTERN SENTENCE COMMAND...
{
    pattern=$1
    shift
    try_status 2 "$@"
    ok "  ... is told" grep -q -e "$pattern" "$TMP/err"
}
demo=models/lar-demo-q8_0.gguf
slip 'slices: 11 tokens in slices, but the prompt has 3' "slices beyond the prompt" $LAR logits $demo --tokens 1,2,3 --slices 5,6 -o "$TMP/slices.st"
slip '-t, --threads: .abc. is no list' "no number of threads" $LAR bench $demo -t abc
slip 'exclude each other' "to think and not to think" $LAR run $demo --think --no-think hi
slip 'MODEL is empty' "no name at all" $LAR run "" hi
mkdir "$TMP/nomodel"
slip 'a folder without a model' "a folder without a model" $LAR run "$TMP/nomodel" hi
printf 'one two three four five six seven eight nine ten eleven twelve' >"$TMP/few"
try "a short base" $LAR perplexity $demo -f "$TMP/few" --ctx 4 --chunks 2 --save-base "$TMP/few.base"
try "and more chunks than it has" $LAR perplexity $demo -f "$TMP/few" --ctx 4 --chunks 3 --base "$TMP/few.base"
ok "  ... is told" grep -q -e '--chunks 3: only 2 were compared' "$TMP/err"
tap_done
