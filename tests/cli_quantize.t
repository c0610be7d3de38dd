#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_quantize.t: quantize, perplexity and imatrix on the model that the repository carries. That every type comes out the same at
# every level of processor is test_quantize's to prove; here one simple type says so for the program. Texts are as short as the differences allow.
. tests/sh.inc
M=models/lar-demo-q8_0.gguf
MSG='Hi, where is my order A-48213?'

try "makes a smaller model" $LAR quantize $M "$TMP/q4.gguf" Q4_K_M
ok "says what became of it" grep -q 'Q4_K .*Q6_K\|Q6_K .*Q4_K' "$TMP/out"
ok "warns that the weights lose twice" grep -q 'lose a second time' "$TMP/err"
try "which still answers" $LAR run "$TMP/q4.gguf" --temp 0 "$MSG"
ok "with the order's number" grep -q '"order_id":"A-48213"' "$TMP/out"
ok "and is smaller" test "$(wc -c <"$TMP/q4.gguf")" -lt $(($(wc -c <$M) * 2 / 3))
try "it says how it was made" $LAR show "$TMP/q4.gguf" --json
ok "by its file type" grep -q '"general.file_type":15' "$TMP/out"
ok "and the version of its layouts" grep -q '"general.quantization_version":2' "$TMP/out"

try "any number of threads makes" $LAR quantize $M "$TMP/q4-1.gguf" q4_k_m --threads 1
ok "the same file" cmp "$TMP/q4.gguf" "$TMP/q4-1.gguf"
try "a simpler type" $LAR quantize $M "$TMP/plain.gguf" Q4_0
try "is on a processor of no kind" env LAR_CPU=c $LAR quantize $M "$TMP/plain-c.gguf" Q4_0
ok "the same to the byte" cmp "$TMP/plain.gguf" "$TMP/plain-c.gguf"

try "F16 from Q8_0" $LAR quantize $M "$TMP/f16.gguf" F16
try "and back" $LAR quantize "$TMP/f16.gguf" "$TMP/back.gguf" Q8_0 --pure
$LAR run $M --temp 0 "$MSG" >"$TMP/was" 2>/dev/null
try "answers as it did" $LAR run "$TMP/back.gguf" --temp 0 "$MSG"
ok "to the letter" cmp "$TMP/was" "$TMP/out"

try "tensors by pattern" $LAR quantize "$TMP/f16.gguf" "$TMP/mixed.gguf" Q4_0 --tensor-type 'attn_(q|k)=q5_1' --tensor-type 'blk\.[01]\..*=Q8_0'
$LAR show "$TMP/mixed.gguf" --all >"$TMP/tensors" 2>/dev/null
ok "get their type" grep -q 'blk.0.attn_q.weight.*Q5_1' "$TMP/tensors"
ok "the first pattern decides" grep -q 'blk.1.attn_v.weight.*Q8_0' "$TMP/tensors"
ok "the rest is the mix's" grep -q 'blk.2.attn_v.weight.*Q4_0' "$TMP/tensors"

try "a dry run tells every tensor" $LAR quantize $M Q3_K_M --dry-run
ok "and the sum" grep -q 'bits a weight' "$TMP/out"
try "parts" $LAR quantize $M "$TMP/part.gguf" Q5_K_S --part-size 2MB
ok "are several files" test -f "$TMP/part-00001-of-00002.gguf" -a -f "$TMP/part-00002-of-00002.gguf"
try "that are one model" $LAR run "$TMP/part-00001-of-00002.gguf" --temp 0 "$MSG"
ok "and answer" grep -q '"order_id":"A-48213"' "$TMP/out"

types='Q5_0 Q5_1 Q4_1 Q6_K Q2_K Q3_K Q5_K IQ4_XS IQ4_NL NVFP4 MXFP4 TQ1_0 TQ2_0 Q1_0 Q2_0 BF16' n=0
set --
for t in $types; do # each for a tensor of one file
    set -- "$@" --tensor-type "blk\.$((n % 6))\.$([ $n -lt 6 ] && echo attn_q || { [ $n -lt 12 ] && echo attn_k || echo attn_v; })\.=$t"
    n=$((n + 1))
done
try "every type is written" $LAR quantize "$TMP/f16.gguf" "$TMP/all.gguf" Q4_0 "$@"
try "and read" $LAR run "$TMP/all.gguf" --temp 0 --max-tokens 4 "$MSG"
$LAR show "$TMP/all.gguf" --all >"$TMP/tensors" 2>/dev/null
for t in $types; do ok "$t is there" grep -q "blk.*attn_[qkv].weight.* $t\b" "$TMP/tensors"; done

# ---- a size instead of a mix -----------------------------------------------------------------------------------------------
want=$(wc -c <"$TMP/q4.gguf")
try "types for a size" $LAR quantize "$TMP/f16.gguf" "$TMP/aimed.gguf" --target-size $want
ok "fill it, and no more" test "$(wc -c <"$TMP/aimed.gguf")" -le $want -a "$(wc -c <"$TMP/aimed.gguf")" -gt $((want * 98 / 100))
if [ -z "${LAR_SLOW-}" ]; then # each of these measures what every tensor loses
try "with one thread" $LAR quantize "$TMP/f16.gguf" --target-size $want --dry-run --threads 1
cp "$TMP/out" "$TMP/plan-1"
try "and with two" $LAR quantize "$TMP/f16.gguf" --target-size $want --dry-run --threads 2
ok "they are the same" cmp "$TMP/out" "$TMP/plan-1"
try "types for bits a weight" $LAR quantize "$TMP/f16.gguf" --target-bpw 4 --dry-run --tensor-type 'attn_v=q8_0'
ok "make them, or nearly" grep -qE ', (3\.9[0-9]|4\.00) bits a weight' "$TMP/out"
ok "what was named stays so" test "$(grep -c 'attn_v.weight.* Q8_0 ' "$TMP/out")" = 6
fi
try_status 2 "a size that cannot be" $LAR quantize "$TMP/f16.gguf" "$TMP/no.gguf" --target-size 1MB
ok "says what the smallest types make" grep -q 'the smallest types make' "$TMP/err"
try_status 2 "both at once" $LAR quantize "$TMP/f16.gguf" "$TMP/no.gguf" --target-size 4MB --target-bpw 4
try_status 2 "no output name with them" $LAR quantize "$TMP/f16.gguf" --target-bpw 4

try_status 2 "an unknown type" $LAR quantize $M "$TMP/no.gguf" Q9
ok "is named" grep -q 'Q9' "$TMP/err"
try_status 2 "a bad pattern" $LAR quantize $M "$TMP/no.gguf" Q4_0 --tensor-type 'a(=q8_0'
try_status 2 "a pattern that fits no tensor" $LAR quantize $M "$TMP/no.gguf" Q4_0 --tensor-type 'attn_q=q8_0' --tensor-type 'nosuch=q8_0'
ok "is named" grep -q 'nosuch=q8_0: the pattern fits no tensor' "$TMP/err"
try_status 2 "a type that needs importance" $LAR quantize $M "$TMP/no.gguf" IQ2_XS
ok "is told what to give" grep -q 'IQ2_XS without knowing .*--imatrix' "$TMP/err"
$LAR help quantize >"$TMP/help"
ok "and the help names those" grep -q 'IQ1_S to IQ2_M, IQ3_XXS and Q2_K_S need --imatrix' "$TMP/help"
made() { for t in $(sed -n '/types:/,/need --imatrix/p' "$TMP/help" | grep -v need | sed 's/types://'); do case $t in IQ1* | IQ2* | IQ3_XXS | Q2_K_S) continue ;; esac; $LAR quantize "$TMP/f16.gguf" $t --dry-run >/dev/null 2>&1 || { echo $t; return 1; }; done; }
ok "  ... all others can be made without" made
mkdir "$TMP/folder"
try_status 2 "a folder" $LAR quantize "$TMP/folder" "$TMP/no.gguf" Q4_0
ok "is to be converted first" grep -q 'lar convert' "$TMP/err"
try_status 2 "a type that needs importance" $LAR quantize $M "$TMP/no.gguf" Q2_K_S
ok "says what is missing" grep -q 'imatrix' "$TMP/err"
try_status 2 "a file that is no importance matrix" $LAR quantize $M "$TMP/no.gguf" Q4_0 --imatrix $M
ok "is told" grep -q 'no importance matrix' "$TMP/err"
try_status 1 "a folder that is not there" $LAR quantize $M "$TMP/nowhere/no.gguf" Q4_0
ok "is told of the file that was asked for" grep -q "^lar: $TMP/nowhere/no.gguf: cannot be created: No such file" "$TMP/err"
try_status 2 "no output name" $LAR quantize $M Q4_0
head -c 3000000 $M >"$TMP/cut.gguf"
try_status 2 "half a model" $LAR quantize "$TMP/cut.gguf" "$TMP/no.gguf" Q4_0
ok "nothing half done stays" test -z "$(ls "$TMP" | grep -e '^no' -e tmp-)"

# ---- ended from outside -------------------------------------------------------------------------------------------------
if [ -n "${RUN-}" ]; then
    skip "an emulator takes the signals"
else
    # A signal that comes when the work is done takes nothing away: then once more.
    for s in 'TERM 143' 'HUP 129'; do
        set -- $s
        for _ in 1 2 3 4 5 6; do
            rm -f "$TMP/ended.gguf"
            $LAR quantize $M "$TMP/ended.gguf" Q3_K_M -t 1 >/dev/null 2>&1 &
            pid=$!
            for _ in $(seq 500); do ls "$TMP"/ended.gguf.tmp-* >/dev/null 2>&1 && break; sleep 0.01; done
            kill -s $1 $pid 2>/dev/null
            status=0
            wait $pid 2>/dev/null || status=$?
            test -e "$TMP/ended.gguf" || break
        done
        ok "SIG$1 ends the work as by the signal" test $status = $2
        ok "  ... and leaves no file" test -z "$(ls "$TMP" | grep ended)"
    done
    perl -ne 'print "$1\n" if /"message": "(.*?)", "expected"/' models/test.jsonl >"$TMP/text"
    TMPDIR="$TMP" $LAR quantize $M "$TMP/ended.gguf" --target-kld 0.01 -f "$TMP/text" >/dev/null 2>&1 &
    pid=$!
    for _ in $(seq 2000); do ls "$TMP"/lar-aim-*/trial* >/dev/null 2>&1 && break; sleep 0.01; done
    kill -s TERM $pid
    status=0
    wait $pid 2>/dev/null || status=$?
    ok "ended while it tries sizes" test $status = 143
    ok "  ... it leaves no trial" test -z "$(ls "$TMP" | grep -e ended -e lar-aim)"
    ulimited() { (ulimit -f 1 && exec "$@"); }
    try_status 1 "a file that may not become so large" ulimited $LAR quantize $M "$TMP/ended.gguf" Q4_0
    ok "is told" grep -q 'File too large' "$TMP/err"
    ok "  ... and leaves no file" test -z "$(ls "$TMP" | grep ended)"
fi

# ---- what it costs: lar perplexity ------------------------------------------------------------------------------------
perl -ne 'print "$1\n" if /"message": "(.*?)", "expected"/' models/test.jsonl >"$TMP/text"
near() { awk -v a="$1" -v b="$2" -v e="$3" 'BEGIN { d = a - b; if (d < 0) d = -d; exit !(d <= e) }'; }
figure() { sed -n "s/.*\"$1\":\([-0-9.e]*\).*/\1/p" "$2"; }
try "perplexity of a text" $LAR perplexity $M -f "$TMP/text" --ctx 64 --chunks 10 --json
cp "$TMP/out" "$TMP/q8"
ok "is a number with its error" near "$(figure ppl_error "$TMP/q8")" 0 "$(figure ppl "$TMP/q8")"
try "a model against itself" $LAR perplexity $M -f "$TMP/text" --ctx 64 --chunks 5 --base $M --kld --json
ok "diverges by nothing" near "$(figure kld "$TMP/out")" 0 1e-6
ok "and agrees always" near "$(figure same_top "$TMP/out")" 1 0
try "Q4_K_M against Q8_0 in one pass" $LAR perplexity "$TMP/q4.gguf" -f "$TMP/text" --ctx 64 --chunks 10 --base $M --json
cp "$TMP/out" "$TMP/both"
ok "diverges a little" near "$(figure kld "$TMP/both")" 0.05 0.05
ok "but not by nothing" not near "$(figure kld "$TMP/both")" 0 1e-4
ok "the base's perplexity is the base's" near "$(figure base_ppl "$TMP/both")" "$(figure ppl "$TMP/q8")" 1e-6
try "a base is saved" $LAR perplexity $M -f "$TMP/text" --ctx 64 --chunks 10 --save-base "$TMP/base"
ok "in a hundredth of 2 bytes a token id" test "$(wc -c <"$TMP/base")" -le $((10 * 31 * 2560 * 2 / 100 + 40))
try "and compared with" $LAR perplexity "$TMP/q4.gguf" -f "$TMP/text" --ctx 64 --chunks 10 --base "$TMP/base" --json
ok "tells the same divergence" near "$(figure kld "$TMP/out")" "$(figure kld "$TMP/both")" "$(figure kld_error "$TMP/out" | awk '{ print 4 * $1 }')"
ok "and the same agreement" near "$(figure same_top "$TMP/out")" "$(figure same_top "$TMP/both")" 0
try "the same size by chosen types" $LAR perplexity "$TMP/aimed.gguf" -f "$TMP/text" --ctx 64 --chunks 10 --base $M --json
ok "diverges less" awk -v a="$(figure kld "$TMP/out")" -v b="$(figure kld "$TMP/both")" 'BEGIN { exit !(a + 0 > 0 && a + 0 < 0.8 * b) }'
if [ -z "${LAR_SLOW-}" ]; then # some models are made and measured
try "types for a divergence" env TMPDIR="$TMP" $LAR quantize "$TMP/f16.gguf" "$TMP/near.gguf" --target-kld 0.1 -f "$TMP/text" --ctx 64 --chunks 5
ok "tell what was measured" grep -qE '^a divergence of 0\.[01][0-9]* \(at most 0.1 was asked\) at [0-9.]* bits a weight' "$TMP/out"
$LAR perplexity "$TMP/near.gguf" -f "$TMP/text" --ctx 64 --chunks 5 --base "$TMP/f16.gguf" --json >"$TMP/is"
ok "and the file has it" awk -v a="$(figure kld "$TMP/is")" 'BEGIN { exit !(a > 0.04 && a <= 0.1001) }'
fi
ok "no trial stays" test -z "$(ls "$TMP" | grep lar-aim)"
try_status 2 "a divergence without a text" $LAR quantize "$TMP/f16.gguf" --target-kld 0.1 --dry-run
ok "is told what is missing" grep -q 'needs a text' "$TMP/err"
try_status 2 "a text without a divergence" $LAR quantize "$TMP/f16.gguf" "$TMP/no.gguf" Q4_0 -f "$TMP/text"
try_status 2 "a divergence and a size" $LAR quantize "$TMP/f16.gguf" "$TMP/no.gguf" --target-kld 0.1 -f "$TMP/text" --target-bpw 4
try_status 2 "another text than the base's" $LAR perplexity $M -f README.md --ctx 64 --base "$TMP/base"
ok "is refused" grep -q 'another text' "$TMP/err"
try_status 2 "too short a text" $LAR perplexity $M -f tools/lsan.supp
try_status 2 "no text" $LAR perplexity $M
# ---- what matters: lar imatrix ------------------------------------------------------------------------------------------
try "an importance matrix is made" $LAR imatrix $M -f "$TMP/text" -o "$TMP/im.gguf" --ctx 64 --chunks 10
try "of every weight in the layers" $LAR show "$TMP/im.gguf" --all
ok "  ... the sums" test "$(grep -c 'blk.*in_sum2' "$TMP/out")" = 42
ok "  ... and the counts" test "$(grep -c 'blk.*counts' "$TMP/out")" = 42
try "threads do not matter to it" $LAR imatrix $M -f "$TMP/text" -o "$TMP/im1.gguf" --ctx 64 --chunks 10 --threads 1
ok "  ... to the byte" cmp "$TMP/im.gguf" "$TMP/im1.gguf"
for t in IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ3_XXS IQ3_XS IQ3_S IQ3_M; do
    try "with it $t can be made" $LAR quantize $M "$TMP/$t.gguf" $t --imatrix "$TMP/im.gguf"
    try "  ... and read" $LAR run "$TMP/$t.gguf" --temp 0 --max-tokens 4 "$MSG"
done
try "of the types there are few other sizes" $LAR show "$TMP/IQ2_XXS.gguf" --all
ok "  ... the mix is the usual one" sh -c 'test $(grep -c "weight.* IQ2_XXS " "$1") = 36 && grep -q "token_embd.weight.* Q5_K " "$1"' - "$TMP/out"
$LAR perplexity "$TMP/IQ1_S.gguf" -f "$TMP/text" --ctx 64 --chunks 10 --base $M --json >"$TMP/one"
$LAR perplexity "$TMP/IQ3_S.gguf" -f "$TMP/text" --ctx 64 --chunks 10 --base $M --json >"$TMP/three"
ok "three bits are nearer to the original than one" awk -v a="$(figure kld "$TMP/three")" -v b="$(figure kld "$TMP/one")" 'BEGIN { exit !(a > 0 && a < 0.3 * b) }'
if [ -z "${LAR_SLOW-}" ]; then # measures every type with a grid
try "with it a size may be below two and a half bits" $LAR quantize "$TMP/f16.gguf" "$TMP/tiny.gguf" --target-bpw 2.4 --imatrix "$TMP/im.gguf"
ok "  ... of types with grids" grep -q 'IQ1_[SM] .*IQ2_X*S\|IQ2_X*S .*IQ1_[SM]' "$TMP/out"
$LAR perplexity "$TMP/tiny.gguf" -f "$TMP/text" --ctx 64 --chunks 10 --base $M --json >"$TMP/tiny"
$LAR perplexity "$TMP/IQ2_XXS.gguf" -f "$TMP/text" --ctx 64 --chunks 10 --base $M --json >"$TMP/two"
ok "  ... nearer than a larger mix" sh -c 'test $(wc -c <"$1") -lt $(wc -c <"$2")' - "$TMP/tiny.gguf" "$TMP/IQ2_XXS.gguf"
ok "  ... in divergence" awk -v a="$(figure kld "$TMP/tiny")" -v b="$(figure kld "$TMP/two")" 'BEGIN { exit !(a > 0 && a < b) }'
fi
try "it lets a small type be made" $LAR quantize $M "$TMP/q2i.gguf" Q2_K_S --imatrix "$TMP/im.gguf"
try "  ... whose file says so" $LAR show "$TMP/q2i.gguf" --json
ok "  ... by the number of entries" grep -q '"quantize.imatrix.entries_count":42' "$TMP/out"
$LAR quantize $M "$TMP/q2.gguf" Q2_K --pure >/dev/null 2>&1
$LAR quantize $M "$TMP/q2i.gguf" Q2_K --pure --imatrix "$TMP/im.gguf" >/dev/null 2>&1
$LAR perplexity "$TMP/q2.gguf" -f "$TMP/text" --ctx 64 --chunks 12 --base $M --json >"$TMP/without"
$LAR perplexity "$TMP/q2i.gguf" -f "$TMP/text" --ctx 64 --chunks 12 --base $M --json >"$TMP/with"
ok "a model made with it is nearer to the original" awk -v a="$(figure kld "$TMP/with")" -v b="$(figure kld "$TMP/without")" 'BEGIN { exit !(a + 0 > 0 && a + 0 < b + 0) }'
try_status 2 "a matrix is no model" $LAR quantize "$TMP/im.gguf" "$TMP/no.gguf" Q4_0
ok "is told" grep -q 'importance matrix, no model' "$TMP/err"
try_status 2 "no text to read" $LAR imatrix $M -o "$TMP/no.gguf"
try_status 2 "no name for the matrix" $LAR imatrix $M -f "$TMP/text"
try_status 2 "too short a text to read" $LAR imatrix $M -f tools/lsan.supp -o "$TMP/no.gguf"
head -c 2000 "$TMP/base" >"$TMP/cut"
try_status 2 "half a base" $LAR perplexity $M -f "$TMP/text" --ctx 64 --base "$TMP/cut"
tap_done
