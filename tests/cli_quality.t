#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_quality.t: `lar quality` says of each candidate what `lar perplexity --base` says of it, and leaves nothing behind.
. tests/sh.inc
M=models/lar-demo-q8_0.gguf
look() { perl tests/look.pl "$@"; }
perl -ne 'print "$1\n" if /"message": "(.*?)", "expected"/' models/test.jsonl >"$TMP/text"
few=4 many=8
[ -z "${LAR_SLOW-}" ] || few=1 many=3
TMPDIR=$TMP/tmp
export TMPDIR
mkdir "$TMPDIR"

try "a table of candidates" $LAR quality $M -f "$TMP/text" -c 64 --chunks $few --types Q6_K,Q4_0
ok "has a line each" test "$(grep -cE '^(\(source\)|Q6_K|Q4_0) ' "$TMP/out")" = 3
ok "nothing stays behind" test -z "$(ls "$TMPDIR")"
try "as JSON, with a plot, keeping the files" $LAR quality $M -f "$TMP/text" -c 64 --chunks $many --types Q6_K,Q3_K_M --json --svg "$TMP/q.svg" --keep "$TMP/kept"
cp "$TMP/out" "$TMP/json"
ok "smaller ones are further away" look json "$TMP/json" '$j->[0]{type} eq "source" && $j->[1]{bytes} > $j->[2]{bytes} && $j->[1]{kld} < $j->[2]{kld} && $j->[1]{same_top} > $j->[2]{same_top}'
ok "the files are there, and their figures" test "$(ls "$TMP/kept" | tr '\n' ' ')" = "Q3_K_M.gguf Q6_K.gguf quality.json "
ok "the plot names both" test "$(grep -cE '>(Q6_K|Q3_K_M)</text>' "$TMP/q.svg")" = 2
try "lar perplexity --base" $LAR perplexity "$TMP/kept/Q3_K_M.gguf" -f "$TMP/text" -c 64 --chunks $many --base $M --json
printf '[%s,%s]' "$(cat "$TMP/json")" "$(cat "$TMP/out")" >"$TMP/both"
ok "says the same" look json "$TMP/both" 'my ($q, $p) = ($j->[0][2], $j->[1]); abs($q->{ppl} - $p->{ppl}) < 1e-3 * $p->{ppl} && abs($q->{kld} - $p->{kld}) < 1e-6 && abs($q->{kld_99} - $p->{kld_99}) < 1e-6 && abs($q->{same_top} - $p->{same_top}) < 1e-6'


# ---- the same question again ---------------------------------------------------------------------------------------------
again() { $LAR quality $M -f "$TMP/text" -c 64 --chunks $many --json --keep "$TMP/kept" "$@"; }
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
try "the same again" again --types Q6_K,Q3_K_M
ok "is not measured twice" said '3 of 3 were measured before'
ok "  ... and says the same" cmp "$TMP/out" "$TMP/json"
try "one type more" again --types Q4_0,Q3_K_M
ok "costs only itself" said '2 of 3 were measured before'
try "a candidate that is gone" sh -c 'rm "$1/Q6_K.gguf"' - "$TMP/kept"
try "  ... is made again" again --types Q6_K,Q3_K_M
ok "  ... it alone" said '2 of 3 were measured before'
cp "$TMP/kept/Q3_K_M.gguf" "$TMP/kept/Q6_K.gguf"
try "one that is another file" again --types Q6_K
ok "  ... too" said '1 of 2 were measured before'
ok "  ... as it was" look json "$TMP/out" '$j->[1]{bytes} == '"$(sed -n 's/.*"type":"Q6_K","bytes":\([0-9]*\).*/\1/p' "$TMP/json")"
echo more >>"$TMP/text"
try "another text" again --types Q6_K
ok "is another question" said 'all is measured anew'
echo '{"a":1}' >"$TMP/kept/quality.json"
try_status 2 "figures that are none" again --types Q6_K
ok "are left alone" grep -qx '{"a":1}' "$TMP/kept/quality.json"
ok "  ... and named" said 'quality.json: is not what lar quality writes'

if [ -z "${RUN-}" ]; then
    ulimited() { (ulimit -f 1 && exec "$@"); }
    try_status 1 "files that may not become so large" ulimited $LAR quality $M -f "$TMP/text" -c 64 --chunks 1 --types Q4_0 --keep "$TMP/none"
    ok "leave no folder" test ! -e "$TMP/none"
fi
try_status 2 "no text" $LAR quality $M
try_status 2 "an unknown type" $LAR quality $M -f "$TMP/text" --types Q4_K_M,Q9
ok "is named before anything is done" grep -q "'Q9' is no type" "$TMP/err"
try_status 2 "a type that needs importance" $LAR quality $M -f "$TMP/text" -c 64 --chunks 1 --types Q4_0,Q2_K_S
ok "is told" grep -q imatrix "$TMP/err"
ok "what was measured is shown" grep -q '^Q4_0 ' "$TMP/out"
try_status 2 "half a model" sh -c 'head -c 3000000 "$1" >"$2/cut.gguf"; "$3" quality "$2/cut.gguf" -f "$2/text"' - $M "$TMP" "$LAR"
ok "nothing was left behind" test -z "$(ls "$TMPDIR")"
tap_done
