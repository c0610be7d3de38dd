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
ok "the files are there, and no other" test "$(ls "$TMP/kept" | tr '\n' ' ')" = "Q3_K_M.gguf Q6_K.gguf "
ok "the plot names both" test "$(grep -cE '>(Q6_K|Q3_K_M)</text>' "$TMP/q.svg")" = 2
try "lar perplexity --base" $LAR perplexity "$TMP/kept/Q3_K_M.gguf" -f "$TMP/text" -c 64 --chunks $many --base $M --json
printf '[%s,%s]' "$(cat "$TMP/json")" "$(cat "$TMP/out")" >"$TMP/both"
ok "says the same" look json "$TMP/both" 'my ($q, $p) = ($j->[0][2], $j->[1]); abs($q->{ppl} - $p->{ppl}) < 1e-3 * $p->{ppl} && abs($q->{kld} - $p->{kld}) < 1e-6 && abs($q->{kld_99} - $p->{kld_99}) < 1e-6 && abs($q->{same_top} - $p->{same_top}) < 1e-6'

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
