#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_store.t: models by name: what `lar create` makes, what the other verbs say of it, and stores of other programs, made here by hand
# from what is known of their layout, read in place and left as they were.
. tests/sh.inc
model=$PWD/models/lar-demo-q8_0.gguf
message='Hi, where is my order A-48213? It should have been here by Monday. Please answer asap!'
HOME=$TMP/home LAR_MODELS=$TMP/models
export HOME LAR_MODELS
unset OLLAMA_MODELS HF_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE XDG_CACHE_HOME || true
mkdir -p "$HOME"
look() { perl tests/look.pl "$@"; }
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
told() { grep -qF -- "$1" "$TMP/out" || { cat "$TMP/out"; return 1; }; }
empty() { [ ! -s "$1" ] || { cat "$1"; return 1; }; }

# ---- create, and what it made ----------------------------------------------------------------------------------------------------
$LAR run "$model" --temp 0 "$message" > "$TMP/answer"
mkdir "$TMP/src"
cp "$model" "$TMP/src/w.gguf"
cat > "$TMP/src/Modelfile" <<'END'
# reads messages
FROM ./w.gguf
PARAMETER temperature 0
PARAMETER num_ctx 300
PARAMETER stop "}"
PARAMETER num_gpu 99
LICENSE Apache-2.0
END
try "creates from a Modelfile, whose folder relative paths begin at" $LAR create clerk -f "$TMP/src/Modelfile"
ok "says what has no effect" said "num_gpu"
rm "$TMP/src/w.gguf"
try "runs by name, without the file" $LAR run clerk "$message"
printf '%s\n' "$(sed 's/}$//' "$TMP/answer")" > "$TMP/cut"
ok "with the Modelfile's temperature and stop" cmp "$TMP/out" "$TMP/cut"
try "options go before parameters" $LAR run clerk --json --ctx 400 --temp 5 --top-k 0 --seed 1 --max-tokens 30 "$message"
ok "  ... so that it answers otherwise" look json "$TMP/out" '$j->{text} !~ /order_status/ || $j->{stop} eq "length"'
try "the parameters' context is what a chat gets" sh -c 'echo "$2" | "$1" run clerk --json --max-tokens 2 -' - "$LAR" "$message"
long=$(printf 'word %.0s' $(seq 400))
try_status 2 "  ... and refuses what does not fit" $LAR run clerk "$long"
ok "  ... with its 300 tokens" said 300
try "lists" $LAR list
ok "name and digest" grep -qE '^clerk:latest +[0-9a-f]{12} +5\.[0-9]+ MiB' "$TMP/out"
try "lists as JSON" $LAR list --json
ok "  ... the same" look json "$TMP/out" '@$j == 1 && $j->[0]{name} eq "clerk:latest" && $j->[0]{place} eq "lar"'
digest=$(look get "$TMP/out" '$j->[0]{digest}')
manifest=$LAR_MODELS/manifests/registry.ollama.ai/library/clerk/latest
ok "the digest is the manifest's SHA-256" sh -c '[ "$(sha256sum < "$1" | cut -c1-64)" = "$2" ]' - "$manifest" "$digest"
ok "the manifest is one of Ollama's" look json "$manifest" '$j->{schemaVersion} == 2 && $j->{layers}[0]{mediaType} eq "application/vnd.ollama.image.model" && !grep { $_->{digest} !~ /^sha256:[0-9a-f]{64}$/ } @{$j->{layers}}'
names() { for f in "$LAR_MODELS"/blobs/sha256-*; do [ "$(sha256sum < "$f" | cut -c1-64)" = "${f##*-}" ] || return 1; done; }
ok "every blob is what its name says" names
params=$(grep -l num_ctx "$LAR_MODELS"/blobs/*)
ok "parameters have their kinds" look json "$params" '$j->{stop}[0] eq "}" && $j->{num_ctx} == 300'
try "shows the Modelfile" $LAR show clerk --modelfile
cp "$TMP/out" "$TMP/again"
try "which makes the same again" $LAR create clerk2 -f "$TMP/again"
ok "  ... to the manifest's byte" cmp "$manifest" "$LAR_MODELS/manifests/registry.ollama.ai/library/clerk2/latest"
try "shows parameters" $LAR show clerk --parameters
ok "  ... each on its line" told 'num_ctx                        300'
try "shows all as JSON" $LAR show clerk --json
ok "  ... with the digest" look json "$TMP/out" "\$j->{digest} eq '$digest' && \$j->{memory}{ctx} > 0 && \$j->{modelfile} =~ /^FROM /"
try "runs by digest" $LAR run "@sha256:$digest" "$message"
ok "  ... the same" cmp "$TMP/out" "$TMP/cut"
try "runs a name that is pinned" $LAR run "clerk@sha256:$digest" --max-tokens 1 "$message"
try_status 2 "but not when it has become another" $LAR run "clerk@sha256:$(echo "$digest" | tr 0-9a-f 1-9a-f0)" "$message"
try "tokenizes by name" $LAR tokenize clerk "x"
try "quantizes by name" $LAR quantize clerk --dry-run Q4_0

# ---- fit -------------------------------------------------------------------------------------------------------------------------------
try "says what fits" $LAR fit clerk --ctx 300 --json --check
cp "$TMP/out" "$TMP/fit"
ok "  ... here, this model does" look json "$TMP/fit" '$j->{plans}[0]{fits} && $j->{read_gbs} > 0 && $j->{tok_s_at_best} > 0'
$LAR show clerk --json --ctx 300 > "$TMP/show"
ok "  ... with the bytes that the library tells" look json "$TMP/fit" "\$j->{plans}[0]{total} == $(look get "$TMP/show" '$j->{memory}{total}')"
if [ -z "${LAR_SLOW-}" ]; then # emulators and sanitizers have memory of their own
    ok "  ... and they are what is taken: a tenth at most is between, of 20 MiB" look json "$TMP/fit" 'abs($j->{check}{measured} / $j->{check}{foretold} - 1) < 0.1'
else
    skip "memory is not measured where all is slower"
fi
try "of all models in short" $LAR fit
ok "  ... by name" told "clerk:latest: "

# ---- templates, systems, messages ---------------------------------------------------------------------------------------------------
cat > "$TMP/go" <<'END'
FROM clerk
TEMPLATE """{{- if .System }}<|im_start|>system
{{ .System }}<|im_end|>
{{ end }}{{- range .Messages }}{{ if ne .Role "system" }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}{{ end }}<|im_start|>assistant
"""
SYSTEM """Answer in JSON."""
PARAMETER top_k 7
MESSAGE user "Hello
there"
MESSAGE assistant Hm.
END
try "creates from a name" $LAR create go -f "$TMP/go"
try "keeps what it inherits and adds" $LAR show go --parameters
ok "  ... stop" told '"}"'
ok "  ... and top_k" told 'top_k                          7'
try "answers with all of it" $LAR run go --json "$message"
cp "$TMP/out" "$TMP/named"
printf '<|im_start|>system\nAnswer in JSON.<|im_end|>\n<|im_start|>user\nHello\nthere<|im_end|>\n<|im_start|>assistant\nHm.<|im_end|>\n<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n' "$message" > "$TMP/prompt"
try "which is the prompt written by hand" sh -c '"$1" run clerk --raw --json "$(cat "$2")
"' - "$LAR" "$TMP/prompt"
ok "  ... with as many tokens" look json "$TMP/out" "\$j->{prompt_tokens} == $(look get "$TMP/named" '$j->{prompt_tokens}')"
ok "  ... and the same answer" look json "$TMP/out" "\$j->{text} eq q~$(look get "$TMP/named" '$j->{text}')~"
printf '{"messages":[{"role":"user","content":"Hi"}]}' > "$TMP/in.json"
try "renders its template" $LAR template go "$TMP/in.json"
ok "  ... in Go's language" grep -qx 'Hi<|im_end|>' "$TMP/out"
printf 'FROM clerk\nTEMPLATE """{%% for m in messages %%}[{{ m.role }}] {{ m.content }}{%% endfor %%}"""\n' > "$TMP/jinja"
$LAR create jinja -f "$TMP/jinja" 2>/dev/null
try "a template in Jinja is one too" $LAR template jinja "$TMP/in.json"
ok "  ... to the byte" sh -c '[ "$(cat "$1")" = "[user] Hi" ]' - "$TMP/out"
try "quantizes while it creates" $LAR create small --from clerk --quantize Q4_0
ok "  ... smaller" sh -c '"$1" show small --json | grep -q "\"type\":\"Q4_0\""' - "$LAR"
ok "  ... and still with parameters" sh -c '"$1" show small --parameters | grep -q num_ctx' - "$LAR"

folder=$PWD/../shared/golden/models/gemma1
if [ -e "$folder" ]; then
    mkdir "$TMP/hf"
    for f in config.json model.safetensors tokenizer.model tokenizer_config.json; do ln -s "$folder/$f" "$TMP/hf/$f"; done
    try "converts a Hugging Face folder" $LAR create gemma --from "$TMP/hf"
    ok "  ... into a GGUF" sh -c '"$1" show gemma --json | grep -q "\"general.architecture\":\"gemma\""' - "$LAR"
    try "  ... which is gone when it goes" $LAR rm gemma
else
    skip "no ../shared/golden"
fi

# ---- everything that a Modelfile can say, there and back ---------------------------------------------------------------------------------
id_of() { sha256sum < "$LAR_MODELS/manifests/registry.ollama.ai/library/$1/latest"; }
back() { $LAR show "$1" --modelfile > "$TMP/back" && $LAR create "$1-back" -f "$TMP/back" 2> /dev/null && [ "$(id_of "$1")" = "$(id_of "$1-back")" ] || { cat "$TMP/back"; return 1; }; }
cat > "$TMP/all" <<'END'
# a comment
license """First
licence"""
  # another
MESSAGE user "Hello, ""you"""
message assistant """He said "no".
Twice."""
MESSAGE system Be short.
Parameter temperature 0.35
PARAMETER STOP "<|im_end|>"
PARAMETER stop "Human:"
PARAMETER num_keep 4
PARAMETER seed 7
PARAMETER num_predict -1
PARAMETER top_k 41
PARAMETER top_p 0.91
PARAMETER min_p 0.01
PARAMETER typical_p 0.9
PARAMETER repeat_last_n -1
PARAMETER repeat_penalty 1.1
PARAMETER presence_penalty 0.5
PARAMETER frequency_penalty 0.25
PARAMETER num_ctx 256
PARAMETER num_batch 64
PARAMETER num_gpu 0
PARAMETER main_gpu 0
PARAMETER use_mmap true
PARAMETER num_thread 2
PARAMETER mirostat 0
PARAMETER mirostat_tau 5.0
PARAMETER mirostat_eta 0.1
PARAMETER draft_num_predict 4
PARAMETER penalize_newline false
PARAMETER low_vram false
PARAMETER f16_kv true
PARAMETER logits_all false
PARAMETER vocab_only false
PARAMETER use_mlock false
PARAMETER tfs_z 1
PARAMETER num_gqa 1
PARAMETER numa false
REQUIRES 0.5.0
RENDERER qwen3
PARSER qwen3
SYSTEM """
You read "messages".

Answer in JSON.
"""
LICENSE Second.
TEMPLATE """{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
FROM clerk
DRAFT clerk.gguf
END
cp "$model" "$TMP/clerk.gguf"
try "takes every command and parameter that Ollama knows" $LAR create all -f "$TMP/all"
ok "which lar show tells so that the same model comes of it, to the manifest's byte" back all
ok "  ... with the system message as it was written" sh -c '"$1" show all --modelfile | grep -q "^You read \"messages\"\.$"' - "$LAR"
ok "  ... with the licences, also the one of its base, and the draft" sh -c '"$1" show all --modelfile > "$2" && [ "$(grep -c "^LICENSE" "$2")" = 3 ] && grep -q "^DRAFT /" "$2"' - "$LAR" "$TMP/said"
for name in go jinja small; do ok "and so does $name's" back $name; done
try "a folder of safetensors, quantised" $LAR create tiny --from tests/data/tiny-llama --quantize Q8_0
ok "  ... and back" back tiny
$LAR quantize "$model" "$TMP/split/w.gguf" Q4_0 --part-size 2MB > /dev/null 2>&1 || { mkdir -p "$TMP/split" && $LAR quantize "$model" "$TMP/split/w.gguf" Q4_0 --part-size 2MB > /dev/null 2>&1; }
first=$(ls "$TMP/split"/w-00001-of-*.gguf)
try "a split model" $LAR create split --from "$first"
try "  ... runs" $LAR run split --max-tokens 1 hi
ok "  ... and back" back split
try "its folder too" $LAR create split2 --from "$TMP/split"
ok "  ... is the same" sh -c 'cd "$1" && cmp "$(find manifests -path "*/split/latest")" "$(find manifests -path "*/split2/latest")"' - "$LAR_MODELS"
$LAR rm split2 > /dev/null
try_status 2 "but not from its second part" $LAR create x --from "$(ls "$TMP/split"/w-00002-of-*.gguf)"
ok "  ... which is said" said "FROM wants the first part"
lora=$PWD/../shared/golden/train
if [ -e "$lora/lora/plain-llama" ]; then
    mkdir "$TMP/llama"
    for f in "$lora"/models/llama/* "$PWD"/../shared/golden/models/llama-plain/tokenizer*; do ln -s "$f" "$TMP/llama"; done
    printf 'FROM ./llama\nADAPTER %s\n' "$lora/lora/plain-llama" > "$TMP/peft"
    try "an adapter as PEFT saves it" $LAR create peft -f "$TMP/peft"
    $LAR convert "$TMP/llama" -o "$TMP/base.gguf" > /dev/null 2>&1
    $LAR convert "$lora/lora/plain-llama" --lora "$TMP/base.gguf" -o "$TMP/adapter.gguf" > /dev/null 2>&1
    try "  ... is applied" $LAR run peft --temp 0 --raw --json --max-tokens 8 "the house of"
    text=$(look get "$TMP/out" 'join " ", @{$j->{tokens}}')
    try "  ... as that which lar convert makes of it" $LAR run "$TMP/base.gguf" --adapter "$TMP/adapter.gguf" --temp 0 --raw --json --max-tokens 8 "the house of"
    ok "  ... the same answer" test "$(look get "$TMP/out" 'join " ", @{$j->{tokens}}')" = "$text"
    ok "  ... and back" back peft
    printf 'FROM %s\nADAPTER %s\n' "$TMP/base.gguf" "$TMP/adapter.gguf" > "$TMP/peft"
    try "an adapter GGUF is the same" $LAR create peft2 -f "$TMP/peft"
    ok "  ... to the manifest's byte" test "$(id_of peft)" = "$(id_of peft2)"
    printf 'FROM clerk\nADAPTER %s\n' "$lora/lora/plain-llama" > "$TMP/bad"
    try_status 2 "an adapter of another model is refused" $LAR create x -f "$TMP/bad"
    ok "  ... by the matrix that does not fit" said "mlp.down_proj.weight: the adapter changes a matrix of"
    $LAR rm peft peft-back peft2 > /dev/null
else
    skip "no ../shared/golden"
fi
printf 'FROM clerk\nADAPTER %s\n' "$model" > "$TMP/bad"
try_status 2 "a model is no adapter" $LAR create x -f "$TMP/bad"
ok "  ... which is said" said "is no adapter"
for bad in 'PARAMETER top_k many' 'PARAMETER top_k 1.5' 'PARAMETER colour red' 'MESSAGE nobody hi' 'SYSTEM """never closed' 'FORM x' 'PARAMETER use_mmap maybe' 'LICENSE' \
    'PARAMETER num_ctx -5' 'PARAMETER num_ctx 0' 'PARAMETER temperature -1' 'PARAMETER top_p 1.5' 'PARAMETER top_k 3000000000' 'PARAMETER mirostat 3' \
    'MESSAGE user' 'TEMPLATE {{ if }}' 'TEMPLATE {{ if .System }}a' 'TEMPLATE """{% if x %}a"""' 'TEMPLATE """{% for %}"""'; do
    printf '# one\nFROM clerk\n%s\n' "$bad" > "$TMP/bad"
    $LAR create x -f "$TMP/bad" > "$TMP/out" 2> "$TMP/err"
    ok "refused with its line: $bad" said "$TMP/bad: line 3:"
done
for good in 'PARAMETER num_predict -1' 'PARAMETER seed -1' 'PARAMETER repeat_last_n -1' 'PARAMETER temperature 0' 'MESSAGE user ""' \
    'TEMPLATE {{ .Prompt }}' 'TEMPLATE """{% if not tools %}{{ raise_exception("no tools") }}{% endif %}"""'; do
    printf '# one\nFROM clerk\n%s\n' "$good" > "$TMP/good"
    try "taken: $good" $LAR create fine -f "$TMP/good"
done
$LAR rm fine
try_status 1 "rm of a name that nobody has" $LAR rm hf.co/org/repo-GGUF
ok "  ... tells it whole" said "is called hf.co/org/repo-GGUF:latest ("
$LAR gc --now > /dev/null
$LAR rm all all-back go-back jinja-back small-back tiny tiny-back split split-back > /dev/null

# ---- what is wrong -------------------------------------------------------------------------------------------------------------------
try_status 1 "a name that is not there" $LAR run nobody "x"
ok "  ... is said" said "no model here is called nobody:latest"
try_status 1 "a file that is not there" $LAR run ./nobody.gguf "x"
ok "  ... is a file" said "nobody.gguf"
printf 'FROM ./none.gguf\n' > "$TMP/bad"
try_status 1 "a Modelfile whose file is missing" $LAR create bad -f "$TMP/bad"
ok "  ... makes no name" not test -e "$LAR_MODELS/manifests/registry.ollama.ai/library/bad"
printf 'PARAMETER top_k 1\n' > "$TMP/bad"
try_status 2 "a Modelfile without FROM" $LAR create bad -f "$TMP/bad"
printf 'FROM clerk\nPARAMETRE top_k 1\n' > "$TMP/bad"
try_status 2 "a command that is none" $LAR create bad -f "$TMP/bad"
ok "  ... is named with file and line" said "bad: line 2: 'PARAMETRE'"
try_status 2 "a name that is none" $LAR create ../x --from clerk
mkdir "$TMP/two"
cp "$model" "$TMP/two/a.gguf"
cp "$model" "$TMP/two/b.gguf"
try_status 2 "a folder with two models" $LAR create bad --from "$TMP/two"
ok "  ... is said to be one" said "FROM names 2 models"
$LAR gc --now > /dev/null
head -c 1000 /dev/zero > "$TMP/zero.gguf"
try_status 2 "weights that are none" $LAR create bad --from "$TMP/zero.gguf"

# ---- cp, rm, gc, verify ------------------------------------------------------------------------------------------------------------------
try "copies" $LAR cp clerk you/clerk:v1
try "verifies" $LAR verify
ok "  ... all" told "all as they were"
blob=$(look get "$manifest" 'substr $j->{layers}[0]{digest}, 7')
printf 'x' | dd of="$LAR_MODELS/blobs/sha256-$blob" bs=1 seek=5000 conv=notrunc 2>/dev/null
try_status 1 "finds a changed byte" $LAR verify clerk --json
ok "  ... and says where" look json "$TMP/out" '@{$j->{faults}} == 1 && $j->{faults}[0]{what} =~ /was changed/'
cp "$model" "$LAR_MODELS/blobs/sha256-$blob"
try "removes" $LAR rm clerk clerk2 go jinja small
ok "the copy stays" $LAR run you/clerk:v1 --max-tokens 1 "x"
try_status 1 "what is gone is gone" $LAR rm clerk
try "removes the last" $LAR rm you/clerk:v1
ok "with all blobs" sh -c '[ -z "$(ls "$1/blobs")" ]' - "$LAR_MODELS"
echo rest > "$LAR_MODELS/tmp/1-1"
try "gc" $LAR gc
ok "  ... takes what a crash left" told "1 files removed"

# ---- other programs' models -------------------------------------------------------------------------------------------------------------
ollama=$HOME/.ollama/models
put() { d=$(sha256sum < "$1" | cut -c1-64); cp "$1" "$ollama/blobs/sha256-$d"; echo "$d"; }
mkdir -p "$ollama/blobs" "$ollama/manifests/registry.ollama.ai/library/shop"
w=$(put "$model")
printf '{"temperature":0,"stop":["}"]}' > "$TMP/p"
p=$(put "$TMP/p")
printf '{"model_format":"gguf","model_family":"qwen3","model_type":"5.4M","file_type":"Q8_0"}' > "$TMP/c"
c=$(put "$TMP/c")
size() { wc -c < "$1" | tr -d ' '; }
printf '{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:%s","size":%s},{"mediaType":"application/vnd.ollama.image.params","digest":"sha256:%s","size":%s}]}' \
    "$c" "$(size "$TMP/c")" "$w" "$(size "$model")" "$p" "$(size "$TMP/p")" > "$ollama/manifests/registry.ollama.ai/library/shop/8b"
hub=$HOME/.cache/huggingface/hub/models--org--shop-GGUF
mkdir -p "$hub/refs" "$hub/snapshots/abc123" "$hub/blobs" "$HOME/.lmstudio/models/pub/shop"
printf abc123 > "$hub/refs/main"
cp "$model" "$hub/blobs/b1"
ln -s ../../blobs/b1 "$hub/snapshots/abc123/shop-Q8_0.gguf"
cp "$model" "$HOME/.lmstudio/models/pub/shop/shop-Q8_0.gguf"
cp "$model" "$LAR_MODELS/loose.gguf"
state() { (cd "$HOME" && find . -printf '%p %y %s %m %T@ %C@ %n\n' | LC_ALL=C sort && find . -type f -exec sha256sum {} + | LC_ALL=C sort); }
state > "$TMP/before"
try "list --all" $LAR list --all
ok "shows Ollama's" grep -qE '^shop:8b .*ollama' "$TMP/out"
ok "shows Hugging Face's" grep -qE '^hf.co/org/shop-GGUF:Q8_0 .*huggingface' "$TMP/out"
ok "shows LM Studio's" grep -qE '^pub/shop:Q8_0 .*lmstudio' "$TMP/out"
ok "shows loose files" grep -qE 'loose.gguf .*file' "$TMP/out"
for name in shop:8b hf.co/org/shop-GGUF hf.co/org/shop-GGUF:q8_0 pub/shop pub/shop:Q8_0; do
    try "runs $name in place" $LAR run $name --temp 0 "$message"
    [ $name = shop:8b ] && want=cut || want=answer
    ok "  ... rightly" cmp "$TMP/out" "$TMP/$want"
done
try_status 1 "another quant is not there" $LAR run hf.co/org/shop-GGUF:Q4_0 x
try_status 1 "rm does not touch them" $LAR rm shop:8b
try "gc neither" $LAR gc --now
state > "$TMP/after"
ok "nothing of theirs was changed" cmp "$TMP/before" "$TMP/after"
# Every verb that takes names, on theirs: what is in their folders, and since when, stays. (Blobs that cp and create take over may get a second name.)
theirs() { (cd "$HOME" && find .ollama .cache .lmstudio -printf '%p %y %s %m %T@ %l\n' | LC_ALL=C sort && find . -type f -exec sha256sum {} + | LC_ALL=C sort); }
theirs > "$TMP/before"
$LAR create taken --from shop:8b > /dev/null 2>&1
$LAR create taken2 --from hf.co/org/shop-GGUF > /dev/null 2>&1
$LAR create taken3 --from pub/shop --quantize Q4_0 > /dev/null 2>&1
ok "their models can be taken in" sh -c '"$1" list | grep -c "^taken" | grep -qx 3' - "$LAR"
for name in shop:8b hf.co/org/shop-GGUF:Q8_0 pub/shop:Q8_0; do
    for verb in "show" "show --json" "show --modelfile" "fit --ctx 64" "tokenize" "verify" "rm" "lock -o $TMP/x.lock" "pack -o $TMP/x.lar"; do
        # shellcheck disable=SC2086
        $LAR ${verb%% *} $name ${verb#"${verb%% *}"} < /dev/null > "$TMP/said.$$" 2>&1
        case $verb in
        rm) ok "rm $name refuses" sh -c 'grep -q "no model in" "$1"' - "$TMP/said.$$" ;;
        esac
    done
    $LAR push $name 127.0.0.1:1/x/y > /dev/null 2>&1
    LAR_REGISTRY=http://127.0.0.1:1 HF_ENDPOINT=http://127.0.0.1:1 $LAR pull $name > /dev/null 2>&1
    $LAR cp $name copied > /dev/null 2>&1
    rm -f "$TMP/x.lock" "$TMP/x.lar"
done
$LAR rm taken taken2 taken3 copied > /dev/null 2>&1
$LAR gc --now > /dev/null
theirs > "$TMP/after"
ok "no verb changes anything of theirs" cmp "$TMP/before" "$TMP/after"
mkdir -p "$TMP/elsewhere/snap"
mv "$HOME/.ollama/models" "$TMP/elsewhere/ollama"
mv "$HOME/.cache/huggingface/hub" "$TMP/elsewhere/hub"
try "OLLAMA_MODELS and HF_HUB_CACHE say where theirs lie" env OLLAMA_MODELS="$TMP/elsewhere/ollama" HF_HUB_CACHE="$TMP/elsewhere/hub" $LAR list --all --json
ok "  ... and they are found there" look json "$TMP/out" '(grep { $_->{name} eq "shop:8b" && $_->{place} eq "ollama" } @$j) && grep { $_->{name} eq "hf.co/org/shop-GGUF:Q8_0" } @$j'
mv "$TMP/elsewhere/ollama" "$HOME/.ollama/models"
mv "$TMP/elsewhere/hub" "$HOME/.cache/huggingface/hub"
try "cp takes one over" $LAR cp shop:8b mine
rm -rf "$HOME/.ollama"
ok "which stays when they remove theirs" $LAR run mine --max-tokens 1 "$message"
try "and is whole" $LAR verify mine
tap_done
