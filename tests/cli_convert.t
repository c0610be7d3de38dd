#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_convert.t: `lar convert`, and folders as MODEL, on the small one of tests/data.
. tests/sh.inc
D=tests/data/tiny-llama
look() { perl tests/look.pl "$@"; }
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
nothing_new() { [ ! -e "$TMP/no.gguf" ] && [ -z "$(ls "$TMP" | grep tmp-)" ]; }
folder() { rm -rf "$TMP/d"; cp -r $D "$TMP/d"; chmod -R u+w "$TMP/d"; }

try "lar convert" $LAR convert $D -o "$TMP/a.gguf"
ok "says what it made" grep -q 'a.gguf: llama, 20 tensors' "$TMP/out"
$LAR show "$TMP/a.gguf" --json >"$TMP/json"
ok "of the type that the weights have" look json "$TMP/json" '(grep { $_->{name} eq "blk.0.attn_q.weight" } @{$j->{tensors}})[0]{type} eq "BF16"'
ok "vectors are F32" look json "$TMP/json" '(grep { $_->{name} eq "blk.0.attn_norm.weight" } @{$j->{tensors}})[0]{type} eq "F32"'
ok "with what config.json says" look json "$TMP/json" '$j->{metadata}{"llama.block_count"} == 2 && $j->{metadata}{"llama.attention.head_count_kv"} == 1'
ok "the recommended sampling" look json "$TMP/json" 'abs($j->{metadata}{"general.sampling.temp"} - 0.6) < 1e-6 && $j->{metadata}{"general.sampling.top_k"} == 20'
ok "and the template" look json "$TMP/json" '$j->{metadata}{"tokenizer.chat_template"} =~ /m.role/'

P='hello world'
try "logits of the file" $LAR logits "$TMP/a.gguf" --prompt "$P" --all --greedy 8 -o "$TMP/a.st"
try "and of the folder" $LAR logits $D --prompt "$P" --all --greedy 8 -o "$TMP/d.st"
ok "are the same, to the bit" cmp "$TMP/a.st" "$TMP/d.st"
try "F32" $LAR convert $D --type f32 -o "$TMP/f.gguf"
try "is exact" $LAR logits "$TMP/f.gguf" --prompt "$P" --all --greedy 8 -o "$TMP/f.st"
ok "to the bit" cmp "$TMP/a.st" "$TMP/f.st"
for t in f16 q8_0; do
    try "$t" $LAR convert $D --type $t -o "$TMP/t.gguf"
    try "runs" $LAR run "$TMP/t.gguf" --raw --temp 0 --max-tokens 4 "$P"
done
try "a folder runs" $LAR run $D --raw --temp 0 --max-tokens 4 "$P"
try "and tokenizes" $LAR tokenize $D --json "$P"
cp "$TMP/out" "$TMP/ids"
try "as the file does" $LAR tokenize "$TMP/a.gguf" --json "$P"
ok "to the byte" cmp "$TMP/out" "$TMP/ids"
folder
try "a file over an old one" $LAR convert "$TMP/d/" --type f32 -o "$TMP/t.gguf"
ok "replaces it" test "$(wc -c <"$TMP/t.gguf")" -gt "$(wc -c <"$TMP/a.gguf")"

# ---- settings that ggml's keys do not have ------------------------------------------------------------------------------------
yarn() { folder && sed -i 's/"rope_theta": 10000.0/"rope_theta": 10000.0, "rope_scaling": {"rope_type": "yarn", "factor": 6.0, "original_max_position_embeddings": 100, "truncate": '$1'}/' "$TMP/d/config.json"; }
yarn true && try "YaRN" $LAR logits "$TMP/d" --prompt "$P" --all -o "$TMP/a.st"
yarn false && try "without whole bounds" $LAR logits "$TMP/d" --prompt "$P" --all -o "$TMP/d.st"
differ() { ! cmp -s "$TMP/a.st" "$TMP/d.st"; }
ok "turns otherwise" differ
G=../shared/golden/models/gemma2
if [ -d $G ]; then
    rm -rf "$TMP/d" && cp -r $G "$TMP/d" && chmod -R u+w "$TMP/d"
    sed -i 's/"query_pre_attn_scalar": [0-9]*/"query_pre_attn_scalar": 64/' "$TMP/d/config.json"
    try "a scale of the queries" $LAR convert "$TMP/d" -o "$TMP/g.gguf"
    $LAR show "$TMP/g.gguf" --json >"$TMP/json"
    ok "is written" look json "$TMP/json" '$j->{metadata}{"gemma2.attention.scale"} == 0.125'
    try "and" $LAR logits "$TMP/g.gguf" --tokens 5,6,7 -o "$TMP/a.st"
    try "another one" $LAR logits $G --tokens 5,6,7 -o "$TMP/d.st"
    ok "counts" differ
fi

# ---- what is refused, and nothing is left behind ----------------------------------------------------------------------------
try_status 2 "no name for the output" $LAR convert $D
try_status 2 "a type that is none" $LAR convert $D --type q4_0 -o "$TMP/no.gguf"
try_status 1 "a folder that is not there" $LAR convert "$TMP/nowhere" -o "$TMP/no.gguf"
folder && rm "$TMP/d/config.json"
try_status 2 "no config.json" $LAR convert "$TMP/d" -o "$TMP/no.gguf"
ok "is said" said 'config.json'
folder && echo '{"architectures":' >"$TMP/d/config.json"
try_status 2 "half a config.json" $LAR convert "$TMP/d" -o "$TMP/no.gguf"
folder && sed -i s/LlamaForCausalLM/SomethingForCausalLM/ "$TMP/d/config.json"
try_status 2 "an unknown architecture" $LAR convert "$TMP/d" -o "$TMP/no.gguf"
ok "is named" said 'SomethingForCausalLM'
folder && sed -i 's/"num_attention_heads": 2/"num_attention_heads": 3/' "$TMP/d/config.json"
try_status 2 "heads that do not divide" $LAR convert "$TMP/d" -o "$TMP/no.gguf"
ok "by the tensor's name" said 'self_attn.q_proj.weight'
folder && sed -i 's/"num_hidden_layers": 2/"num_hidden_layers": 1/' "$TMP/d/config.json"
try_status 2 "a layer too many" $LAR convert "$TMP/d" -o "$TMP/no.gguf"
ok "  ... by its name" said 'model.layers.1.'
folder && sed -i 's/"hidden_act": "silu"/"hidden_act": "gelu"/' "$TMP/d/config.json"
try_status 2 "another activation" $LAR convert "$TMP/d" -o "$TMP/no.gguf"
ok "  ... by its name" said 'hidden_act'
folder && sed -i 's/"rope_theta": 10000.0/"rope_scaling": {"rope_type": "spiral", "factor": 2.0}/' "$TMP/d/config.json"
try_status 2 "an unknown rotation" $LAR convert "$TMP/d" -o "$TMP/no.gguf"
ok "  ... by its name" said 'spiral'
folder && sed -i 's/"hidden_act"/"quantization_config": {"quant_method": "awq"}, "hidden_act"/' "$TMP/d/config.json"
try_status 2 "weights that another method has quantised" $LAR convert "$TMP/d" -o "$TMP/no.gguf"
ok "  ... by the method's name" said 'awq'
folder && sed -i 's|model-00002-of-00002|../d/model-00002-of-00002|' "$TMP/d/model.safetensors.index.json"
try_status 2 "an index that leads out of the folder" $LAR convert "$TMP/d" -o "$TMP/no.gguf"
ok "is told" said 'no name of a weights file'
folder && sed -i 's|"model.norm.weight": "model-00002|"model.norm.weight": "model-00001|' "$TMP/d/model.safetensors.index.json"
try_status 2 "an index that is wrong" $LAR convert "$TMP/d" -o "$TMP/no.gguf"
ok "by the tensor's name" said 'model.norm.weight'
folder && rm "$TMP/d/model-00002-of-00002.safetensors"
try_status 1 "a shard that is missing" $LAR convert "$TMP/d" -o "$TMP/no.gguf"
ok "by the file's name" said 'd/model.safetensors.index.json: model-00002-of-00002.safetensors, in which it has model.'
ok "  ... with the remedy" said 'fetch it too'
folder && cp "$TMP/d/model-00001-of-00002.safetensors" "$TMP/d/again.safetensors" &&
    sed -i 's|"model.embed_tokens.weight": "model-00001-of-00002|"model.embed_tokens.weight": "again|' "$TMP/d/model.safetensors.index.json"
try_status 2 "a shard under two names" $LAR convert "$TMP/d" -o "$TMP/no.gguf"
ok "by both" said 'is in two files, again.safetensors and model-00001-of-00002.safetensors: take one of them away'
folder && head -c 9000 $D/model-00001-of-00002.safetensors >"$TMP/d/model-00001-of-00002.safetensors"
try_status 2 "a shard that is cut off" $LAR convert "$TMP/d" -o "$TMP/no.gguf"
folder && rm "$TMP/d/model.safetensors.index.json"
try_status 2 "two files and no index" $LAR convert "$TMP/d" -o "$TMP/no.gguf"
folder && rm "$TMP"/d/*.safetensors* && cp tests/fuzz/corpus/pickle/system "$TMP/d/pytorch_model.bin"
try_status 2 "a checkpoint that is none" $LAR convert "$TMP/d" -o "$TMP/no.gguf"
folder && rm "$TMP"/d/*.safetensors* && cp tests/fuzz/corpus/pickle/archive.zip "$TMP/d/pytorch_model.bin"
try_status 2 "a tensor that belongs to nothing" $LAR convert "$TMP/d" -o "$TMP/no.gguf"
ok "  ... by its name" said 'tensor w is no part'
folder && try_status 2 "a folder that is no adapter" $LAR convert "$TMP/d" --lora $D -o "$TMP/no.gguf"
ok "  ... for want of a file" said 'adapter_config.json'
try_status 2 "an adapter of another type than F32" $LAR convert "$TMP/d" --lora $D --type f16 -o "$TMP/no.gguf"
try_status 2 "an adapter's scale that is none" $LAR run $D --adapter "$TMP/a.gguf:strong" x
ok "  ... is said" said "'strong' is no scale"
try_status 2 "a model is no adapter" $LAR run $D --adapter "$TMP/a.gguf:0.5" x
ok "  ... is said too" said 'is no LoRA adapter'
try_status 2 "the output is a folder" $LAR convert $D -o "$TMP/d"
ok "nothing was left behind" nothing_new
tap_done
