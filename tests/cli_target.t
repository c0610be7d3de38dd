#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_target.t: no verb writes over what it reads, nor over a file of another kind; an earlier output is replaced as ever.
. tests/sh.inc
cp models/lar-demo-q8_0.gguf "$TMP/m.gguf"
M=$TMP/m.gguf
mkdir "$TMP/deep"
ln -s ../m.gguf "$TMP/deep/link.gguf"
ln "$M" "$TMP/hard.gguf"
perl -ne 'print "$1\n" if /"message": "(.*?)", "expected"/' models/test.jsonl | head -n 40 >"$TMP/text"
cp "$TMP/text" "$TMP/text.was"
one_line() { [ "$(wc -l <"$TMP/err")" = 1 ]; }
refused() # SENTENCE COMMAND...: exit 2, one line, and the model is what it was
{
    try_status 2 "$@"
    ok "  ... in one line" one_line
    ok "  ... and nothing is lost" cmp "$M" models/lar-demo-q8_0.gguf
}

refused "quantize onto its input" $LAR quantize "$M" "$M" Q4_0
ok "  ... which is named" grep -q 'is also read from' "$TMP/err"
refused "by another path" $LAR quantize "$M" "$TMP/deep/../m.gguf" Q4_0
refused "by a link" $LAR quantize "$M" "$TMP/deep/link.gguf" Q4_0
refused "by a second name of it" $LAR quantize "$M" "$TMP/hard.gguf" Q4_0
refused "from a link to the file" $LAR quantize "$TMP/deep/link.gguf" "$M" Q4_0
refused "logits onto the model" $LAR logits "$M" --tokens 1,2 -o "$M"
refused "imatrix onto the model" $LAR imatrix "$M" -f "$TMP/text" --ctx 64 --chunks 1 -o "$M"
refused "imatrix onto the text" $LAR imatrix "$M" -f "$TMP/text" --ctx 64 --chunks 1 -o "$TMP/text"
refused "imatrix onto the text that standard input is" sh -c "$LAR imatrix '$M' -f - --ctx 64 --chunks 1 -o '$TMP/text' <'$TMP/text'"
refused "perplexity's base onto the model" $LAR perplexity "$M" -f "$TMP/text" --ctx 64 --chunks 1 --save-base "$M"
refused "onto the text" $LAR perplexity "$M" -f "$TMP/text" --ctx 64 --chunks 1 --save-base "$TMP/text"
cp "$M" "$TMP/other.gguf"
refused "onto the model that it is compared with" $LAR perplexity "$M" -f "$TMP/text" --ctx 64 --chunks 1 --base "$TMP/other.gguf" --save-base "$TMP/other.gguf"
ok "the text is what it was" cmp "$TMP/text" "$TMP/text.was"
ok "the other model too" cmp "$M" "$TMP/other.gguf"

# ---- parts -----------------------------------------------------------------------------------------------------------------
try "a model in parts" $LAR quantize "$M" "$TMP/part.gguf" Q8_0 --part-size 3MB
first=$(echo "$TMP"/part-00001-of-*.gguf)
second=$(echo "$TMP"/part-00002-of-*.gguf)
cksum "$TMP"/part-* >"$TMP/sums"
unharmed() { cksum "$TMP"/part-0* | cmp - "$TMP/sums"; }
refused "quantize onto its second part" $LAR quantize "$first" "$second" Q4_0
refused "quantize onto its parts" $LAR quantize "$first" "$TMP/part.gguf" Q8_0 --part-size 3MB
refused "logits onto the second part" $LAR logits "$first" --tokens 1 -o "$second"
ok "the parts are what they were" unharmed
try "parts of another model are replaced" $LAR quantize "$M" "$TMP/part.gguf" Q8_0 --part-size 3MB

# ---- a Hugging Face folder ---------------------------------------------------------------------------------------------------
mkdir "$TMP/hf"
printf '{}' >"$TMP/hf/config.json"
refused "convert onto a file of its folder" $LAR convert "$TMP/hf" -o "$TMP/hf/config.json"
ok "which stays" grep -qx '{}' "$TMP/hf/config.json"

# ---- of another kind -----------------------------------------------------------------------------------------------------------
refused "logits onto another model" $LAR logits "$M" --tokens 1 -o "$TMP/other.gguf"
ok "says what to do" grep -q 'remove it, or choose another name' "$TMP/err"
refused "an importance matrix onto another model" $LAR imatrix "$M" -f "$TMP/text" --ctx 64 --chunks 1 -o "$TMP/other.gguf"
refused "a model onto a text" $LAR quantize "$M" "$TMP/text" Q4_0
ok "the other model is what it was" cmp "$M" "$TMP/other.gguf"
try "logits to a new file" $LAR logits "$M" --tokens 1 -o "$TMP/n.safetensors"
try "and again" $LAR logits "$M" --tokens 1,2 -o "$TMP/n.safetensors"
try "a model" $LAR quantize "$M" "$TMP/q.gguf" Q4_0
try "and again" $LAR quantize "$M" "$TMP/q.gguf" Q4_1
try "a matrix" $LAR imatrix "$M" -f "$TMP/text" --ctx 64 --chunks 1 -o "$TMP/i.gguf"
try "and again" $LAR imatrix "$M" -f "$TMP/text" --ctx 64 --chunks 1 -o "$TMP/i.gguf"
refused "a model onto a matrix" $LAR quantize "$M" "$TMP/i.gguf" Q4_0
refused "a model onto the matrix that it is made with" $LAR quantize "$M" "$TMP/i.gguf" Q4_0 --imatrix "$TMP/i.gguf"
try "a base" $LAR perplexity "$M" -f "$TMP/text" --ctx 64 --chunks 1 --save-base "$TMP/base"
try "and again" $LAR perplexity "$M" -f "$TMP/text" --ctx 64 --chunks 1 --save-base "$TMP/base"
refused "standard output is no file" $LAR logits "$M" --tokens 1 -o -
ok "none of that name appears" test ! -e ./-
tap_done
