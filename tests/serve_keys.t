#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_keys.t: who may ask how much of a server, under which name it is told, and how it is hidden on its way.
. tests/sh.inc
. tests/serve.inc
model=models/lar-demo-q8_0.gguf
hash() { printf '%s' "$1" | sha256sum | cut -c1-64; }
line() { name=$1; shift; printf '%s:%s %s\n' "$name" "$(hash "key-of-$name")" "$*"; }
as() { as=$1; shift; "$@" -H "Authorization: Bearer key-of-$as"; }
said() { i=0; until grep -q -- "$1" "$TMP/server"; do i=$((i + 1)); [ $i -lt 3000 ] || return 1; sleep 0.02; done; }
perl tests/look.pl patch $model "$TMP/endless.gguf" eos_token_id xos_token_id '<|im_end|>' '<|im_foo|>' '<|endoftext|>' '<|unending_|>'

# ---- limits of a key --------------------------------------------------------------------------------------------------------
{
    echo '# who may what'
    line ann
    line few requests=3
    line one concurrent=1
    line short tokens=40
    line some models=demo,nobody:7b
    line gone
} > "$TMP/keys"
serve --model demo=$model --model endless="$TMP/endless.gguf" --key-file "$TMP/keys"
for i in 1 2 3; do
    as few get /api/tags
    ok "request $i of three in a minute" is 200
done
as few get /api/tags
ok "the fourth is too many" is 429
ok "and is told when to come again" header 'retry-after: [1-9]'
as few post /v1/chat/completions '{}'
ok "in the words of who asks" has '$j->{error}{message} =~ /requests of a minute/'
as ann get /api/tags
ok "which is nothing to others" is 200

chat='"messages":[{"role":"user","content":"x"}],"stream":false'
as short post /api/chat "{\"model\":\"demo\",$chat,\"options\":{\"num_predict\":60}}"
ok "who has tokens left may ask for more than that" is 200
as short post /api/chat "{\"model\":\"demo\",$chat}"
ok "and must then wait" is 429
as short post /api/embed '{"model":"demo","input":"x"}'
ok "with whatever it asks" is 429

long='"model":"endless","prompt":"x","raw":true,"options":{"num_ctx":100000,"temperature":3,"top_k":0,"top_p":1,"min_p":0}'
curl -sN "$url/api/generate" -H 'x-api-key: key-of-one' -d "{$long}" -o "$TMP/stream" &
reader=$!
began() { i=0; until [ -s "$TMP/stream" ]; do i=$((i + 1)); [ $i -lt 3000 ] || return 1; sleep 0.02; done; }
ok "one answer at once" began
as one get /api/tags
ok "is all that one may have" is 429
kill $reader
wait $reader 2>/dev/null
again() { i=0; while [ $i -lt 600 ]; do as one get /api/tags; [ "$status" = 200 ] && return 0; i=$((i + 1)); sleep 0.1; done; return 1; }
ok "until it is over, or its reader gone" again

as some post /api/chat "{\"model\":\"demo:latest\",$chat,\"options\":{\"num_predict\":1}}"
ok "a key of some models has these" is 200
as some post /api/chat "{\"model\":\"endless\",$chat,\"options\":{\"num_predict\":1}}"
ok "and no others" is 403
as some post /v1/messages/count_tokens '{"model":"endless","messages":[{"role":"user","content":"x"}]}'
ok "not to count with" is 403
as some post /v1/embeddings '{"model":"endless","input":"x"}'
ok "nor to read with" is 403
for what in create copy pull push; do
    as some post /api/$what '{"model":"endless","source":"endless","destination":"nobody:7b"}'
    ok "nor may it $what models" is 403
done
as some ask -X DELETE -d '{"model":"endless"}' "$url/api/delete"
ok "nor delete them" is 403

# ---- the file again ---------------------------------------------------------------------------------------------------------
as gone get /api/tags
ok "a key is good" is 200
{ line ann; line new; line few requests=100; } > "$TMP/keys"
kill -HUP $server
ok "SIGHUP reads the keys again" said 'read again: 3 keys'
as gone get /api/tags
ok "and those that are gone open nothing" is 401
as new get /api/tags
ok "new ones do" is 200
as few get /api/tags
ok "and limits are what they are now" is 200
{ line other; echo 'ann:12345'; } > "$TMP/keys"
kill -HUP $server
ok "a file with a mistake is told" said 'the keys are what they were: .*keys:2: needs NAME:HEX'
as other get /api/tags
ok "and nothing of it holds" is 401
as ann get /api/tags
ok "what held before does" is 200

# ---- names in the log -------------------------------------------------------------------------------------------------------
as ann get /api/version -H 'X-Request-Id: mine-1.2_3'
ok "a request keeps its id" header 'x-request-id: mine-1.2_3$'
ok "which stands in the log with the key's name" said 'GET /api/version 200 .* ms mine-1.2_3 ann$'
as ann get /api/version -H 'X-Request-Id: a b"c'
ok "but for one that is none" header 'x-request-id: [0-9a-f]\{32\}$'
get '/api/x%0Alar:%20forged%1b%5B31m'
ok "a path is told" said forged
ok "it makes no line of its own" not grep -aq '^lar: forged' "$TMP/server"
ok "nor colours" not grep -q "$(printf '\033')" "$TMP/server"
ok "no key is in the log" not grep -q 'key-of' "$TMP/server"
serve_end
for bad in 'ann' ':'"$(hash x)" "ann:$(hash x)0" "ann:$(hash x) requests=0" "ann:$(hash x) tokens=-1" "ann:$(hash x) speed=3" "ann:$(hash x) models="; do
    echo "$bad" > "$TMP/keys"
    try_status 2 "no line of a key file: $bad" timeout 60 "$LAR" serve --port 0 --key-file "$TMP/keys" $model
    ok "and says so" grep -q 'keys:1: ' "$TMP/err"
done

# ---- a log for programs -----------------------------------------------------------------------------------------------------
serve --model demo=$model --log-json
url=$(sed -n 's/.*listening on \([^"]*\).*/\1/p' "$TMP/server")
get '/api/x%0A%22forged' -H 'X-Request-Id: id-7'
post /api/chat '{"model":"demo","messages":[{"role":"user","content":"kettle-5521"}],"options":{"num_predict":3}}'
ok "the log may be JSON" said '"path":"/api/chat"'
cp "$TMP/server" "$TMP/body"
ok "each line an object of a request or of the server" lines '$j->{event} eq "server" ? length $j->{text} : $j->{event} ne "request" || ($j->{status} > 0 && $j->{ms} >= 0 && length $j->{id} && $j->{time} =~ /^\d{4}-.*Z$/)'
ok "with the request's id" grep -q '"id":"id-7","method":"GET","path":"/api/x\\n\\"forged","status":404' "$TMP/server"
ok "and nothing that was said" not grep -q kettle "$TMP/server"
serve_end

# ---- TLS --------------------------------------------------------------------------------------------------------------------
certificate() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout "$TMP/$1.key" -out "$TMP/$1.pem" 2>/dev/null; }
line ann > "$TMP/keys"
if certificate one && certificate two; then
    try_status 2 "a certificate needs its key" timeout 60 "$LAR" serve --port 0 --tls-cert "$TMP/one.pem" $model
    try_status 2 "and that one's" timeout 60 "$LAR" serve --port 0 --tls-cert "$TMP/one.pem" --tls-key "$TMP/two.key" $model
    ok "and says so" grep -q -- '--tls-key a pair' "$TMP/err"
    live() { cp "$TMP/$1.pem" "$TMP/live.pem"; cp "$TMP/$2.key" "$TMP/live.key"; }
    told() { i=0; while [ $i -lt 600 ]; do grep -q "$1" "$TMP/server" && return 0; i=$((i + 1)); sleep 0.1; done; return 1; }
    live one one
    serve --model demo=$model --model endless="$TMP/endless.gguf" --tls-cert "$TMP/live.pem" --tls-key "$TMP/live.key" --key-file "$TMP/keys" --host 0.0.0.0
    ok "with keys and TLS other machines may ask" expr "$url" : 'https://0.0.0.0:'
    port=${url##*:} url=https://127.0.0.1:${url##*:}
    as ann post /api/chat '{"model":"demo","messages":[{"role":"user","content":"x"}],"options":{"num_predict":9}}' --cacert "$TMP/one.pem"
    ok "who knows the certificate has an answer" is 200
    ok "all of it" grep -q '"done":true' "$TMP/body"
    ask --cacert "$TMP/two.pem" "$url/health"
    ok "who knows another has none" not is 200
    ask "http://127.0.0.1:$port/health"
    ok "nor who speaks in the clear" not is 200
    openssl s_client -connect "127.0.0.1:$port" -tls1_1 -cipher DEFAULT@SECLEVEL=0 < /dev/null > "$TMP/out" 2>&1
    ok "nor in an old version" grep -q "^New, (NONE), Cipher is (NONE)" "$TMP/out"
    openssl s_client -connect "127.0.0.1:$port" -tls1_2 < /dev/null > "$TMP/out" 2>&1
    ok "as a newer one would" grep -q "^New, TLSv1.2, Cipher is [A-Z]" "$TMP/out"
    rm -f "$TMP/stream"
    curl -sN --cacert "$TMP/one.pem" "$url/api/generate" -H 'x-api-key: key-of-ann' -d "{$long}" -o "$TMP/stream" &
    reader=$!
    ok "a stream comes as it is written" began
    live two one
    kill -HUP $server
    ok "files that are no pair are refused at SIGHUP" told 'the certificate is what it was: .* no pair'
    ask --cacert "$TMP/one.pem" "$url/health"
    ok "and the old ones stay" is 200
    live two two
    kill -HUP $server
    ok "a good pair is taken" told 'certificate was read again'
    ask --cacert "$TMP/two.pem" "$url/health"
    ok "new connections get it" is 200
    ask --cacert "$TMP/one.pem" "$url/health"
    ok "and only it" not is 200
    size=$(wc -c < "$TMP/stream")
    grows() { i=0; while [ $i -lt 600 ]; do [ "$(wc -c < "$TMP/stream")" -gt "$size" ] && return 0; i=$((i + 1)); sleep 0.1; done; return 1; }
    ok "a stream that began before goes on" grows
    rm "$TMP/live.key"
    kill -HUP $server
    ok "a file that is gone is told" told 'the certificate is what it was: --tls-key'
    ask --cacert "$TMP/two.pem" "$url/health"
    ok "and serving goes on" is 200
    cp "$TMP/two.pem" "$TMP/one.pem" # for what follows
    kill $reader
    wait $reader 2>/dev/null
    idle() { i=0; while [ $i -lt 600 ]; do as ann get /metrics --cacert "$TMP/one.pem"; grep -q '^lar_requests_running 0$' "$TMP/body" && return 0; i=$((i + 1)); sleep 0.1; done; return 1; }
    ok "and ends when its reader goes" idle
    serve_end
else
    skip "no openssl to make a certificate"
fi

# ---- a socket's mode --------------------------------------------------------------------------------------------------------
serve --model demo=$model --host "$TMP/lar.sock"
ok "a Unix socket is its owner's alone" test "$(stat -c %a "$TMP/lar.sock")" = 600
kill -9 $server
wait $server 2>/dev/null
serve --model demo=$model --host "$TMP/lar.sock" --socket-mode 0660
ok "one that was left behind is in nobody's way, and may be a group's" test "$(stat -c %a "$TMP/lar.sock")" = 660
ask --unix-socket "$TMP/lar.sock" http://localhost/health
ok "who may open it is answered" is 200
serve_end
ok "and it goes with its server" not test -e "$TMP/lar.sock"
try_status 2 "a mode is octal" timeout 60 "$LAR" serve --host "$TMP/lar.sock" --socket-mode 668 $model
tap_done
