#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_lora.t: adapters that do not belong to their base, or whose settings do not belong to their matrices: refused at convert, at export and when
# they are loaded, by file, key or tensor. (What is right: test_lora.c.)
. tests/sh.inc
D=tests/data/tiny-llama
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
# peft FOLDER IN OUT RANK SETTINGS: an adapter of layer 0's first query matrix
peft() {
    mkdir -p "$1"
    echo "{\"peft_type\": \"LORA\", $5}" >"$1/adapter_config.json"
    perl -e 'my ($in, $out, $r, $f) = @ARGV; my $n = "base_model.model.model.layers.0.self_attn.q_proj";
        my ($a, $b) = (4 * $r * $in, 4 * $out * $r);
        my $h = qq({"$n.lora_A.weight":{"dtype":"F32","shape":[$r,$in],"data_offsets":[0,$a]},) .
            qq("$n.lora_B.weight":{"dtype":"F32","shape":[$out,$r],"data_offsets":[$a,@{[$a + $b]}]}});
        open my $o, ">:raw", $f; print $o pack("Q<", length $h), $h, pack("f<*", map { 0.01 * ($_ % 7) } 1 .. ($a + $b) / 4)' \
        "$2" "$3" "$4" "$1/adapter_model.safetensors"
}
$LAR convert $D -o "$TMP/base.gguf" >/dev/null
set -- $($LAR show "$TMP/base.gguf" --json | perl -0777 -ne 'print "$1 $2" if /"name": *"blk\.0\.attn_q\.weight"[^}]*?"shape": *\[ *(\d+), *(\d+)/')
IN=$1 OUT=$2
ok "the matrix has a size" test "$IN" -gt 0 -a "$OUT" -gt 0
R='"r": 4, "lora_alpha": 8'
good() { # WHAT SETTINGS
    peft "$TMP/a" $IN $OUT 4 "$2"
    try "$1" $LAR convert "$TMP/a" --lora $D -o "$TMP/a.gguf"
    try "  ... of the file" $LAR convert "$TMP/a" --lora "$TMP/base.gguf" -o "$TMP/b.gguf"
    ok "  ... is the same" cmp "$TMP/a.gguf" "$TMP/b.gguf"
}
bad() { # WHAT WORDS: "$TMP/a" is refused
    try_status 2 "$1" $LAR convert "$TMP/a" --lora $D -o "$TMP/no.gguf"
    ok "  ... is said" said "$2"
    try_status 2 "  ... of the file too" $LAR convert "$TMP/a" --lora "$TMP/base.gguf" -o "$TMP/no.gguf"
    ok "  ... is said" said "$2"
}
wrong() { peft "$TMP/a" $IN $OUT 4 "$2"; bad "$1" "$3"; }

good "an adapter" "$R"
good "whose patterns say its rank" '"r": 8, "rank_pattern": {"q_proj": 4}, "alpha_pattern": {"q_proj": 4}'
good "of a class that is the base's" "$R, \"auto_mapping\": {\"base_model_class\": \"LlamaForCausalLM\"}"
wrong "a factor as text" '"r": 4, "lora_alpha": "8"' 'a/adapter_config.json: lora_alpha is no number'
wrong "a rank as text" '"r": "4", "lora_alpha": 8' 'a/adapter_config.json: r is no number'
wrong "another rank than the matrices have" '"r": 8, "lora_alpha": 8' 'q_proj.lora_A.weight: has rank 4, and '
wrong "by its pattern" "$R, \"rank_pattern\": {\"q_proj\": 2}" 'adapter_config.json says 2 (r, rank_pattern)'
wrong "a pattern's factor as text" "$R, \"alpha_pattern\": {\"q_proj\": \"x\"}" 'adapter_config.json: alpha_pattern.q_proj is no number'
wrong "no factor at all" '"r": 4, "lora_alpha": 0' 'lora_alpha'
wrong "an adapter of another family" "$R, \"auto_mapping\": {\"base_model_class\": \"Qwen3ForCausalLM\"}" 'is an adapter of a qwen3 model (auto_mapping)'
mkdir "$TMP/gemma" && echo '{"architectures": ["Gemma2ForCausalLM"]}' >"$TMP/gemma/config.json"
wrong "made on a folder of another family" "$R, \"base_model_name_or_path\": \"$TMP/gemma\"" 'is an adapter of a gemma2 model (base_model_name_or_path)'
peft "$TMP/a" $((IN / 2)) $OUT 4 "$R"
bad "a matrix of another width" "the adapter changes a matrix of $((IN / 2)) columns"
peft "$TMP/a" $IN $((OUT * 2)) 4 "$R"
bad "a matrix of other rows" 'it is of another model'

peft "$TMP/a" $IN $OUT 4 "$R"
$LAR convert "$TMP/a" --lora $D -o "$TMP/a.gguf" >/dev/null
perl -0777 -pe 's/(general\.architecture.{4}.{8})llama/${1}gemma/s' "$TMP/a.gguf" >"$TMP/g.gguf"
try_status 2 "an adapter GGUF of another family is not loaded" $LAR run "$TMP/base.gguf" --adapter "$TMP/g.gguf" x
ok "  ... is said" said 'is an adapter of a gemma model; this one is llama'
try_status 2 "  ... nor exported" $LAR export "$TMP/g.gguf" "$TMP/no" --lora "$TMP/base.gguf"
ok "  ... is said" said 'gemma'
ok "nothing was left behind" test ! -e "$TMP/no" -a ! -e "$TMP/no.gguf"
tap_done
