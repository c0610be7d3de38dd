#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_safe.t: what keeps strangers and accidents out of a server. Each sentence fails when its defence is taken away.
. tests/sh.inc
. tests/serve.inc
model=models/lar-demo-q8_0.gguf
secret='kettle-5521'
hash() { printf '%s' "$1" | sha256sum | cut -c1-64; }
# Sends $1 (perl string) and gives what comes back until the server hangs up or has answered once.
raw() { perl -MIO::Socket::INET -e '
    $SIG{PIPE} = "IGNORE"; my ($port, $say, $drip) = @ARGV; my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $port) or die;
    $say = eval "\"$say\""; my ($from, $got) = (time, "");
    if ($drip) { for (split //, $say) { my $r = ""; vec($r, fileno $s, 1) = 1;
        if (!syswrite($s, $_) || (select($r, undef, undef, 0.2) && !sysread($s, $got, 4096, length $got))) { print "hung up\n"; exit } } }
    else { syswrite($s, substr($say, 0, 8192, "")) or last while length $say; sysread($s, $got, 65536, length $got); print $got }' "${url##*:}" "$@" > "$TMP/raw" 2>/dev/null; }
perl tests/look.pl patch $model "$TMP/endless.gguf" eos_token_id xos_token_id '<|im_end|>' '<|im_foo|>' '<|endoftext|>' '<|unending_|>'

# ---- pages and names ------------------------------------------------------------------------------------------------------
serve --max-body 1 --patience 1 --queue 2 --allow-origin https://app.example --allow-host lar.example --model demo=$model \
    --model endless="$TMP/endless.gguf"
get /api/tags -H 'Host: evil.example'
ok "a name that is not ours is refused: a page may have pointed its own at us" is 403
get /api/tags -H 'Host: 127.0.0.1.evil.example'
ok "however it begins" is 403
get /api/tags -H 'Host: lar.example:80'
ok "unless it was allowed" is 200
for page in https://evil.example http://localhost.evil.example https://app.example.evil.example http://app.example null file://; do
    post /api/generate '{"model":"demo","prompt":"x"}' -H "Origin: $page"
    ok "a page of $page is refused" is 403
    ok "and may not read even that" not header 'access-control-allow-origin'
done
post /api/show '{"model":"demo"}' -H 'Origin: https://app.example'
ok "a page of the list is not" is 200
ok "and may read what it gets, it alone" header 'access-control-allow-origin: https://app.example'
ask -X OPTIONS -H 'Origin: https://evil.example' -H 'Access-Control-Request-Method: POST' "$url/api/chat"
ok "a stranger's page hears no when it asks beforehand" is 403

# ---- too much ----------------------------------------------------------------------------------------------------------------
head -c 1100000 /dev/zero | tr '\0' ' ' > "$TMP/big"
post /api/chat "@$TMP/big"
ok "a body that says it is too long is refused" is 413
raw 'POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n'
ok "before any of it is sent" grep -q '^HTTP/1.1 413' "$TMP/raw"
post /api/chat "@$TMP/big" -H 'Transfer-Encoding: chunked'
ok "and one that does not say so" is 413
raw 'GET /api/tags HTTP/1.1\r\nHost: localhost\r\nX-Long: @{[q(k) x 100000]}\r\n\r\n'
ok "headers have an end" not grep -q '^HTTP/1.1 200' "$TMP/raw"
post /v1/completions '{"model":"demo","prompt":"x","n":65,"max_tokens":1}'
ok "so have the answers to one request" is 400
post /v1/completions "{\"model\":\"demo\",\"prompt\":[$(yes '"x"' | head -300 | paste -sd,)],\"max_tokens\":1}"
ok "its prompts too" is 400
post /v1/completions "$(yes '[' | head -100000 | tr -d '\n')"
ok "and its depth" is 400

# ---- too slow ------------------------------------------------------------------------------------------------------------------
raw 'POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n@{[q( ) x 300]}' drip
ok "who sends a byte now and then is hung up on" test "$(cat "$TMP/raw")" = 'hung up'
long='"model":"endless","prompt":"x","raw":true,"options":{"num_ctx":100000,"temperature":3,"top_k":0,"top_p":1,"min_p":0}'
curl -sN "$url/api/generate" -d "{$long}" -o "$TMP/stream" &
reader=$!
grew() { i=0; while [ $i -lt 600 ]; do [ "$(wc -l < "$TMP/stream" 2>/dev/null || echo 0)" -gt "$1" ] && return 0; i=$((i + 1)); sleep 0.1; done; return 1; }
ok "an answer begins" grew 3
curl -sN "$url/api/generate" -d "{$long}" -o "$TMP/stream2" &
second=$!
running() { i=0; while [ $i -lt 600 ]; do get /metrics; grep -q "^lar_requests_running $1\$" "$TMP/body" && return 0; i=$((i + 1)); sleep 0.1; done; return 1; }
ok "and another" running 2
post /api/generate '{"model":"demo","prompt":"x","stream":false}'
ok "who comes when the queue is full is told to come again" is 503
sleep 2.5
ok "an answer may take longer than a request" kill -0 $reader
ok "and goes on" grew "$(wc -l < "$TMP/stream")"
kill $reader $second
wait $reader $second 2>/dev/null
ok "their places are free again" running 0
post /v1/chat/completions "{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":\"$secret\"}],\"max_tokens\":4}"
post /v1/chat/completions "{\"model\":\"$secret\",\"messages\":[{\"role\":\"$secret\",\"content\":\"$secret\"}]}"
get "/api/tags?$secret"
ok "nothing that was said stands in the log" not grep -q "$secret" "$TMP/server"
ok "though the requests do" grep -q 'POST /v1/chat/completions 200' "$TMP/server"
serve_end

# ---- who may ask -----------------------------------------------------------------------------------------------------------------
for host in 0.0.0.0 ::; do
    try_status 2 "an address that others reach ($host) needs keys" timeout 60 "$LAR" serve --host $host --port 0 --insecure $model
    ok "and says so" grep -q -- '--key-file' "$TMP/err"
done
printf 'ann:%s\n' "$(hash $secret)" > "$TMP/keys"
try_status 2 "and TLS before it, or a word that there is none" timeout 60 "$LAR" serve --host 0.0.0.0 --port 0 --key-file "$TMP/keys" $model
serve --model demo=$model --key-file "$TMP/keys"
for path in /api/tags /v1/models /metrics /api/ps /; do
    get $path
    ok "without a key nothing is told at $path" is 401
done
get /v1/models -H "Authorization: Bearer ${secret}x"
ok "nor with one that begins like it" is 401
get /v1/models -H "Authorization: Bearer $(hash $secret)"
ok "nor with the file's hash" is 401
get /v1/models -H "Authorization: Bearer $secret"
ok "with the key it is" is 200
ok "which is in no log" not grep -q "$secret" "$TMP/server"
serve_end

# ---- what is given up ------------------------------------------------------------------------------------------------------------
mkdir -p "$TMP/home/.lmstudio/models/us/here" "$TMP/home/.lmstudio/models/us/away" "$TMP/away" "$TMP/models"
cp $model "$TMP/away/demo.gguf"
cp $model "$TMP/home/.lmstudio/models/us/here/x-q8_0.gguf"
ln -s "$TMP/away/demo.gguf" "$TMP/home/.lmstudio/models/us/away/x-q8_0.gguf"
home=$HOME HOME="$TMP/home"
serve --model demo=$model --read-only
ok "the log says what the server has given up" grep -q '^lar: sandbox: ' "$TMP/server"
if grep -q 'system calls by a list' "$TMP/server"; then
    ok "the kernel too" sh -c 'cat /proc/$1/task/*/status | grep -c "^Seccomp:.2" > "$2"; [ "$(cat "$2")" = "$(ls /proc/$1/task | wc -l)" ]' - $server "$TMP/n"
    ok "no privileges come back" grep -q '^NoNewPrivs:.1' /proc/$server/status
else
    skip "no filter of system calls here: $(cat "$TMP/server")"
fi
post /api/chat '{"model":"us/here:q8_0","messages":[{"role":"user","content":"x"}],"stream":false,"options":{"num_predict":2}}'
cp "$TMP/body" "$TMP/here"
post /api/chat '{"model":"us/away:q8_0","messages":[{"role":"user","content":"x"}],"stream":false,"options":{"num_predict":2}}'
if grep -q 'files by a list' "$TMP/server"; then
    ok "a folder of models is read" grep -q '"done":true' "$TMP/here"
    ok "and not what lies elsewhere, whatever leads there" not is 200
else
    skip "no list of files here: $(cat "$TMP/server")"
fi
for what in create copy pull push; do
    post /api/$what '{"model":"a","from":"demo","source":"demo","destination":"b"}'
    ok "a server that is read only does not $what" is 403
done
ask -X DELETE -d '{"model":"us/here:q8_0"}' "$url/api/delete"
ok "nor delete" is 403
serve_end
HOME=$home
if ! grep -q 'NO ' "$TMP/server"; then
    serve --sandbox require --model demo=$model
    ok "what is required is there" not grep -q 'NO ' "$TMP/server"
    serve_end
else
    try_status 2 "what is required and cannot be had ends it" timeout 60 "$LAR" serve --port 0 --sandbox require $model
    ok "with a word" grep -q -- '--sandbox require' "$TMP/err"
fi

# ---- a socket that another program opened, as systemd does -------------------------------------------------------------------------
cat > "$TMP/handed.pl" <<'END'
use IO::Socket::INET;
use POSIX;
use Fcntl;
my $s = IO::Socket::INET->new(LocalAddr => shift, LocalPort => 0, Listen => 8) or die;
POSIX::dup2(fileno $s, 3) unless fileno $s == 3;
open my $three, "<&=", 3;
fcntl $three, F_SETFD, 0;
%ENV = (%ENV, LISTEN_PID => $$, LISTEN_FDS => 1);
exec @ARGV or die;
END
try_status 2 "an address that others reach is refused in whatever way it comes" timeout 60 perl "$TMP/handed.pl" 0.0.0.0 "$LAR" serve --model demo=$model
ok "and says so" grep -q -- '--key-file' "$TMP/err"
: > "$TMP/server" # what the last one said must not be read as this one's
perl "$TMP/handed.pl" 127.0.0.1 "$LAR" serve --model demo=$model 2> "$TMP/server" < /dev/null &
server=$!
i=0
until grep -q 'listening on' "$TMP/server" || [ $i = 3000 ]; do i=$((i + 1)); sleep 0.02; done
url=$(sed -n 's/.*listening on //p' "$TMP/server" | head -1)
get /health
ok "a socket that was handed over serves" is 200
serve_end
tap_done
