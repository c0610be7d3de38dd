#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_end.t: how a server ends: it finishes what it has begun, within a limit; and a kill costs nothing that was made.
. tests/sh.inc
. tests/serve.inc
model=models/lar-demo-q8_0.gguf
export HOME="$TMP/home"
perl tests/look.pl patch $model "$TMP/endless.gguf" eos_token_id xos_token_id '<|im_end|>' '<|im_foo|>' '<|endoftext|>' '<|unending_|>'
tokens=600
[ -z "$slow" ] || tokens=100
long='"model":"endless","prompt":"x","raw":true,"options":{"num_ctx":100000,"temperature":3,"top_k":0,"top_p":1,"min_p":0'
reads() { curl -sN "$url/api/generate" -d "{$long$1}}" -o "$TMP/stream" & reader=$!; }
until_true() { i=0; until "$@"; do i=$((i + 1)); [ $i -lt 6000 ] || return 1; sleep 0.02; done; }
has_begun() { [ -s "$TMP/stream" ]; }
said() { grep -q "$1" "$TMP/server"; }
last() { tail -1 "$TMP/stream" > "$TMP/last"; perl tests/look.pl json "$TMP/last" "$1"; }
ended() { code=0; wait "$server" || code=$?; server=; test $code = 0; }

# ---- what was begun is finished ---------------------------------------------------------------------------------------------
serve --model endless="$TMP/endless.gguf" --drain 3600
reads ",\"num_predict\":$tokens"
ok "a stream begins" until_true has_begun
kill -TERM $server
ok "a server that is told to end ends" ended
wait $reader
ok "when what it was writing is written" last '$j->{done} && $j->{done_reason} eq "length" && $j->{eval_count} == '"$tokens"

# ---- but not for ever -------------------------------------------------------------------------------------------------------
rm -f "$TMP/stream"
serve --model endless="$TMP/endless.gguf" --drain 1
reads
ok "another begins" until_true has_begun
kill -TERM $server
ok "and has its limit" ended
wait $reader
ok "at which it says why it ends" last '$j->{error} =~ /shutting down/'

rm -f "$TMP/stream"
serve --model endless="$TMP/endless.gguf" --drain 3600
reads
ok "one more" until_true has_begun
kill -TERM $server
ok "is waited for" until_true said 'finishing what is being answered'
get /health
ok "by nobody who comes later" not is 200
ok "and still written" kill -0 $reader
kill -TERM $server
ok "until the second signal" ended
wait $reader
ok "says so too" last '$j->{error} =~ /shutting down/'

# ---- killed -----------------------------------------------------------------------------------------------------------------
printf 'FROM %s\nPARAMETER temperature 0\n' "$PWD/$model" > "$TMP/Modelfile"
try "a model is made" $LAR create base -f "$TMP/Modelfile"
sum() { find "$LAR_MODELS/blobs" "$LAR_MODELS/manifests" -type f | sort | xargs sha256sum | sha256sum; }
before=$(sum)
for round in 1 2 3; do
    rm -f "$TMP/stream"
    serve --model endless="$TMP/endless.gguf"
    reads
    until_true has_begun
    curl -sN "$url/api/create" -d "{\"model\":\"made$round\",\"from\":\"base\",\"quantize\":\"q4_0\"}" -o "$TMP/create$round" &
    maker=$!
    [ $round = 1 ] || until_true test -s "$TMP/create$round"
    kill -9 $server
    wait $server $reader $maker 2>/dev/null
    server=
done
ok "what was there before three kills is as it was" eval '$LAR list > "$TMP/list" && grep -q ^base "$TMP/list" && for f in $(find "$LAR_MODELS/blobs" -type f -name "sha256-*"); do [ "$(sha256sum < "$f" | cut -c1-64)" = "${f##*sha256-}" ] || exit 1; done'
for round in 1 2 3; do $LAR rm made$round > /dev/null 2>&1; done
serve
post /api/create '{"model":"made","from":"base","quantize":"q4_0","stream":false}'
ok "a server that comes after makes what they did not" is 200
post /api/chat '{"model":"made","messages":[{"role":"user","content":"x"}],"stream":false,"options":{"num_predict":3}}'
ok "and it answers" is 200
post /api/delete '{"model":"made"}' -X DELETE
serve_end
ok "in the end the store has the same bytes" test "$(sum)" = "$before"
tap_done
