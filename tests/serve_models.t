#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_models.t: several models in one lar serve: one number of bytes for all, who makes way, who waits, who never goes, and files that are replaced.
. tests/sh.inc
. tests/serve.inc
mkdir "$TMP/files"
for name in a b c; do cp models/lar-demo-q8_0.gguf "$TMP/files/$name.gguf"; done
load() { post /api/generate "{\"model\":\"$1\",\"stream\":false${2:+,$2}}"; }
loaded() { get /api/ps; perl tests/look.pl get "$TMP/body" 'join(",", sort map { $_->{name} } @{$j->{models}})'; }
until_loaded() { i=0; until [ "$(loaded)" = "$1" ]; do i=$((i + 1)); [ $i -lt 1200 ] || return 1; sleep 0.05; done; }
metric() { get /metrics; awk -v n="$1" '$1 == n { print $2 }' "$TMP/body"; }
until_metric() { i=0; until [ "$(metric "$1")" = "$2" ]; do i=$((i + 1)); [ $i -lt 1200 ] || return 1; sleep 0.05; done; }
all="--model a=$TMP/files/a.gguf --model b=$TMP/files/b.gguf --model c=$TMP/files/c.gguf --parallel 1 --ctx 2048 --quiet"

# ---- what one takes ------------------------------------------------------------------------------------------------------
serve $all
ok "no model is loaded unasked" test "$(loaded)" = ""
load a
ok "an empty request loads" has '$j->{done_reason} eq "load"'
ok "and it is there" test "$(loaded)" = a
one=$(perl tests/look.pl get "$TMP/body" '$j->{models}[0]{size}')
ok "its size is more than the file's" test "$one" -gt "$(wc -c < "$TMP/files/a.gguf")"
ok "it expires in five minutes" has 'use Time::Local; my @t = $j->{models}[0]{expires_at} =~ /(\d+)/g; my $left = timegm(@t[5, 4, 3, 2], $t[1] - 1, $t[0]) - time; $left > 200 && $left <= 301'
ok "its context is a request's" has '$j->{models}[0]{context_length} == 2048'
load a '"keep_alive":"1h"'
loaded > /dev/null
ok "or when the request says" has 'use Time::Local; my @t = $j->{models}[0]{expires_at} =~ /(\d+)/g; my $left = timegm(@t[5, 4, 3, 2], $t[1] - 1, $t[0]) - time; $left > 3500 && $left <= 3601'
load a '"keep_alive":-1'
loaded > /dev/null
ok "or never" has '$j->{models}[0]{expires_at} gt "2100"'
load b '"keep_alive":0'
ok "what is not loaded is not loaded to be given back" sh -c '[ "$1" = 1 ]' - "$(metric lar_models_loaded_total)"
load b '"keep_alive":"100ms"'
load a '"keep_alive":0'
ok "each goes when its time is over" until_loaded ""
serve_end

# ---- one number of bytes ---------------------------------------------------------------------------------------------------
serve $all --memory $((one * 5 / 2))
load a
load b
ok "two fit" test "$(loaded)" = a,b
load a
load c
ok "for a third the one used longest ago goes, and no other" test "$(loaded)" = a,c
ok "which is counted" test "$(metric lar_models_evicted_total)" = 1
ok "all of them stay within the bytes" perl -e 'exit !($ARGV[0] > 0 && $ARGV[0] <= $ARGV[1])' "$(metric lar_models_bytes)" "$(metric lar_models_limit_bytes)"
for part in weights work kv kept; do ok "each model's $part is told" grep -q "^lar_model_bytes{model=\"c\",part=\"$part\"}" "$TMP/body"; done

# Long answers keep a and c busy.
busy() { for m in a c; do curl -s -N --max-time 600 -X POST --data-binary "{\"model\":\"$m\",\"prompt\":[\"1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9\"],\"n\":64,\"max_tokens\":1900,\"temperature\":0,\"stream\":true}" "$url/v1/completions" > "$TMP/busy.$m" & eval "busy_$m=$!"; done; until [ -s "$TMP/busy.a" ] && [ -s "$TMP/busy.c" ]; do sleep 0.02; done; }
rm -f "$TMP"/busy.*
busy
curl -s --max-time 600 -X POST --data-binary '{"model":"b","prompt":"1","max_tokens":1}' "$url/v1/completions" > "$TMP/b.1" & first=$!
ok "while both are busy a third waits" until_metric lar_models_waiting 1
ok "and they stay" test "$(loaded)" = a,c
kill $first; wait $first 2>/dev/null || true
ok "who goes away waits no more" until_metric lar_models_waiting 0
curl -s --max-time 600 -X POST --data-binary '{"model":"b","prompt":"1","max_tokens":1}' "$url/v1/completions" > "$TMP/b.2" & second=$!
ok "another waits" until_metric lar_models_waiting 1
kill $busy_a; wait $busy_a 2>/dev/null || true
wait $second || true
ok "and gets its answer when one of them is free" grep -q '"usage"' "$TMP/b.2"
kill $busy_c; wait $busy_c 2>/dev/null || true
post /v1/embeddings '{"model":"a","input":"x"}'
ok "who reads texts waits in the same queue" until_loaded a,c
serve_end

# ---- pinned, and what never fits ---------------------------------------------------------------------------------------------
serve $all --memory $((one * 5 / 2)) --pin a
ok "a pinned model is there at the start" test "$(loaded)" = a
load b
load c
ok "and makes way for none" test "$(loaded)" = a,c
load a '"keep_alive":0'
ok "it cannot be given back" has '$j->{error} =~ /pinned/'
ok "nor does it expire" sh -c '[ "$1" = a,c ]' - "$(loaded)"
serve_end
serve $all --memory $((one * 3 / 2)) --pin a
load b
ok "what could never fit beside it is refused at once" is 503
ok "with the figures" has '$j->{error} =~ /does not fit: with a context of 2048 it takes \d+ MiB .* and \d+ MiB are free/'
post /v1/completions '{"model":"a","prompt":"hi","max_tokens":1}'
ok "and the others serve on" is 200
serve_end
try_status 2 "pinning what is not there is refused" timeout 60 "$LAR" serve --port 0 --pin nothing models/lar-demo-q8_0.gguf
ok "by name" grep -q -- '--pin nothing' "$TMP/err"

# ---- a request's own bytes ------------------------------------------------------------------------------------------------------
serve --model a="$TMP/files/a.gguf" --parallel 4 --ctx 256 --quiet --memory $((one + (1 << 20)))
post /api/generate '{"model":"a","prompt":"hi","stream":false,"options":{"num_ctx":1000000}}'
ok "a context that the bytes could never hold is refused" sh -c '[ "$1" = 400 ] && grep -q num_ctx "$2"' - $status "$TMP/body"
post /api/generate '{"model":"a","prompt":"hi","stream":false,"options":{"num_ctx":1024,"num_predict":2}}'
ok "one that they hold is not" is 200
serve_end

# ---- a file that is replaced ------------------------------------------------------------------------------------------------------
serve $all
load a
cp models/lar-demo-q8_0.gguf "$TMP/files/new.gguf"
touch -d '2020-01-02T03:04:05Z' "$TMP/files/new.gguf"
mv "$TMP/files/new.gguf" "$TMP/files/a.gguf"
post /v1/completions '{"model":"a","prompt":"hi","max_tokens":1}'
ok "a file that was replaced is noticed, in a sandbox too" grep -q 'a: .*was replaced$' "$TMP/server"
ok "and what is there now answers" is 200
get /api/tags
ok "which is what is shown" has '(grep { $_->{name} eq "a" && $_->{modified_at} =~ /^2020-01-02T03:04:05/ } @{$j->{models}}) == 1 && @{$j->{models}} == 3'
ok "the old one goes" until_loaded a
printf 'no model' > "$TMP/files/bad.gguf"
mv "$TMP/files/bad.gguf" "$TMP/files/a.gguf"
post /v1/completions '{"model":"a","prompt":"hi","max_tokens":1}'
ok "one that cannot be used changes nothing" is 200
ok "and is told" grep -q 'cannot be used' "$TMP/server"
get '/props?model=b'
ok "the sandbox is told" has '$j->{sandbox}{wanted} eq "try" && $j->{sandbox}{told} =~ /sandbox/ && exists $j->{sandbox}{landlock}'
serve_end
tap_done
