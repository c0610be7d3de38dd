# SPDX-License-Identifier: Apache-2.0
# tests/cli_grammar.t: `lar grammar`: its lines and exit codes, which scripts rely on.
. tests/sh.inc

printf '{"type":"object","properties":{"a":{"type":"integer","minimum":3}},"required":["a"],"colour":1}' >"$TMP/s.json"
printf '{"a": 4}\n' >"$TMP/good.json"
printf '{"a": "x"}' >"$TMP/bad.json"
printf '{"a": 4' >"$TMP/short.json"
printf '{"properties":{"b":{"pattern":"(?<=x)y"}}}' >"$TMP/no.json"

try "a supported schema is exit code 0" $LAR grammar check "$TMP/s.json"
ok "what is no keyword is told" grep -q 'colour is no keyword' "$TMP/err"
try "an instance that fails is no failure of the command" $LAR grammar check -q "$TMP/s.json" "$TMP/good.json" "$TMP/bad.json" "$TMP/short.json"
ok "one line for each" [ "$(wc -l <"$TMP/out")" = 3 ]
ok "accepted" grep -q 'good.json","accepted":true}' "$TMP/out"
ok "refused at its byte" grep -q 'bad.json","accepted":false,"at":6,"why":"byte 22 cannot stand here; expected' "$TMP/out"
ok "too short: at its end" grep -q 'short.json","accepted":false,"at":7,"why":"it ends too early' "$TMP/out"
ok "no notes when they are not wanted" [ ! -s "$TMP/err" ]
try_status 2 "a schema that cannot be enforced is exit code 2" $LAR grammar check "$TMP/no.json" "$TMP/good.json"
ok "and names the keyword's path" grep -q '/properties/b: pattern' "$TMP/err"
ok "and judges nothing" [ ! -s "$TMP/out" ]
printf '{"b":"xy"}' >"$TMP/perhaps.json"
printf '{"b":"ax"}' >"$TMP/free.json"
printf '{"properties":{"b":{"pattern":"(?<=x)y"},"c":{"type":"null"}}}' >"$TMP/some.json"
printf '{"c":1}' >"$TMP/wrong.json"
try "with --partial the rest is enforced" $LAR grammar check --partial "$TMP/some.json" "$TMP/perhaps.json" "$TMP/wrong.json" "$TMP/good.json"
ok "what is left out is listed" grep -q '^lar: not enforced: /properties/b/pattern: ' "$TMP/err"
ok "what cannot be checked is null" grep -q 'perhaps.json","accepted":true,"valid":null,"not":"/properties/b/pattern cannot be checked"' "$TMP/out"
ok "the rest is held" grep -q 'wrong.json","accepted":false,.*"valid":false,"not":"/properties/c/type is not satisfied"' "$TMP/out"
ok "and judged" grep -q 'good.json","accepted":true,"valid":true}' "$TMP/out"
awk 'BEGIN { printf "{\"enum\":["; for (i = 0; i < 3000000; i++) printf "1,"; print "1]}" }' > "$TMP/large.json"
try_status 2 "one too large for its memory too" $LAR grammar check "$TMP/large.json"
ok "with the limit" grep -q 'needs more memory than its limit of 67108864 bytes' "$TMP/err"
try_status 1 "a file that is not there is exit code 1" $LAR grammar check "$TMP/nowhere.json"
try "random documents are made" $LAR grammar sample -n 7 --seed 5 "$TMP/s.json"
ok "as many as were asked for" [ "$(wc -l <"$TMP/out")" = 7 ]
cp "$TMP/out" "$TMP/first"
while read -r line; do i=$((${i-0} + 1)); printf '%s' "$line" >"$TMP/made$i.json"; done <"$TMP/out"
try "and judged" $LAR grammar check -q "$TMP/s.json" "$TMP"/made?.json
ok "all of them are accepted" [ "$(grep -c '"accepted":true' "$TMP/out")" = 7 ]
try "the same seed" $LAR grammar sample -n 7 --seed 5 "$TMP/s.json"
ok "makes the same" cmp "$TMP/out" "$TMP/first"
try_status 2 "of a refused schema none is made" $LAR grammar sample "$TMP/no.json"
printf 'false' >"$TMP/false.json"
try_status 2 "nor where none is valid" $LAR grammar sample "$TMP/false.json"
ok "which is told" grep -q 'nothing is accepted' "$TMP/err"
try_status 2 "an unknown action is misuse" $LAR grammar chek "$TMP/s.json"
printf 'a+b' >"$TMP/re"
printf 'aab' >"$TMP/t"
try "a regular expression for the whole text" $LAR grammar check --as regex "$TMP/re" "$TMP/t"
ok "matches" grep -q '"accepted":true' "$TMP/out"
printf 'start: "a" | start "b"\n  | "::="\n' >"$TMP/l.lark"
try "a grammar of Lark's" $LAR grammar check --as lark "$TMP/l.lark" "$TMP/t"
ok "with where it cannot go on" grep -q '"accepted":false,"at":1' "$TMP/out"
printf '{"maximum":3,"exclusiveMaximum":true}' >"$TMP/d4.json"
printf '3' >"$TMP/three"
try "the draft can be told" $LAR grammar check --draft 4 "$TMP/d4.json" "$TMP/three"
ok "draft 4: an exclusive maximum" grep -q '"accepted":false' "$TMP/out"
try "masks are timed along a document" $LAR grammar bench models/lar-demo-q8_0.gguf "$TMP/s.json" "$TMP/good.json" "$TMP/bad.json"
ok "compiling first" grep -q '^{"vocab":2560,"vocab_ms":[0-9.]*,"compile_us":[0-9.]*}$' "$TMP/out"
ok "then each document" grep -q 'good.json","accepted":true,"tokens":[0-9]*,"mask":{"n":[0-9]*,"mean_us"' "$TMP/out"
ok "refused where its token is not in the mask" grep -q 'bad.json","accepted":false' "$TMP/out"
tap_done
