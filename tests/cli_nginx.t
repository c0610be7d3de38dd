#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_nginx.t: `lar pull` from a real web server: nginx on loopback with ranges and without, other bytes and lengths, connections that are cut,
# rates, redirects, "not now" (429 by rate, 503 by connections), and TLS under a certificate of our own making. What nginx cannot do wrong,
# tests/registry.pl does (tests/cli_pull.t).
. tests/sh.inc
model=$PWD/models/lar-demo-q8_0.gguf
HOME=$TMP/home LAR_MODELS=$TMP/models
export HOME LAR_MODELS
unset OLLAMA_MODELS HF_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE XDG_CACHE_HOME LAR_REGISTRY LAR_REGISTRY_AUTH HF_ENDPOINT HF_TOKEN || true
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy LAR_CA_BUNDLE CURL_CA_BUNDLE SSL_CERT_FILE || true
PATH=$PATH:/usr/sbin:/sbin
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
nginx=${NGINX:-nginx}
command -v "$nginx" > /dev/null 2>&1 || { skip "no nginx here (Debian's package nginx-light)"; tap_done; }
perl -MIO::Socket::INET -e 1 2> /dev/null || { skip "no perl with IO::Socket::INET"; tap_done; }
$LAR pull 127.0.0.1:1/x/y 2>&1 | grep -q libcurl4 && { skip "no libcurl for this machine here"; tap_done; }

# ---- what it serves: a model, the same with a byte more, a byte less, another byte -------------------------------------------------------
mkdir -p "$HOME" "$TMP/reg/manifests" "$TMP/reg/blobs" "$TMP/t"
printf 'FROM %s\nPARAMETER temperature 0\n' "$model" > "$TMP/Modelfile"
LAR_MODELS=$TMP/made $LAR create shop -f "$TMP/Modelfile" || exit 1
for f in "$TMP/made/blobs"/*; do ln "$f" "$TMP/reg/blobs/sha256:${f##*-}"; done
manifest=$TMP/reg/manifests/latest
cp "$TMP/made/manifests/registry.ollama.ai/library/shop/latest" "$manifest"
sum=$(sha256sum < "$model" | cut -c1-64)
size=$(wc -c < "$model" | tr -d ' ')
for kind in long short lies; do
    cp -r "$TMP/reg" "$TMP/$kind"
    rm "$TMP/$kind/blobs/sha256:$sum"
    cp "$model" "$TMP/$kind/blobs/sha256:$sum"
done
printf x >> "$TMP/long/blobs/sha256:$sum"
truncate -s $((size - 1)) "$TMP/short/blobs/sha256:$sum" 2> /dev/null || head -c $((size - 1)) "$model" > "$TMP/short/blobs/sha256:$sum"
printf '\377' | dd of="$TMP/lies/blobs/sha256:$sum" bs=1 seek=3000000 conv=notrunc 2> /dev/null
tls=''
if command -v openssl > /dev/null 2>&1 &&
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ours -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        -keyout "$TMP/key.pem" -out "$TMP/ca.pem" > /dev/null 2>&1; then tls=yes; fi

config() # PORT OTHER SECURE
{
    cat <<END
user root;
daemon off; worker_processes 2; pid $TMP/t/pid; error_log $TMP/t/error.log;
events { worker_connections 256; }
http {
    client_body_temp_path $TMP/t/1; proxy_temp_path $TMP/t/2; fastcgi_temp_path $TMP/t/3; uwsgi_temp_path $TMP/t/4; scgi_temp_path $TMP/t/5;
    log_format asked '\$server_port \$request_method \$uri \$status \$body_bytes_sent [\$http_range] [\$http_authorization]';
    access_log $TMP/t/log asked;
    gzip on; gzip_types *; gzip_min_length 1;
    limit_req_zone \$server_port zone=often:1m rate=6r/s;
    limit_conn_zone \$server_port zone=many:1m;
    server {
        listen 127.0.0.1:$1;
        location /v2/any/shop/ { alias $TMP/reg/; }
        location /v2/slow/shop/ { alias $TMP/reg/; limit_rate 400k; }
        location /v2/norange/shop/ { alias $TMP/reg/; max_ranges 0; }
        location /v2/long/shop/ { alias $TMP/long/; }
        location /v2/short/shop/ { alias $TMP/short/; }
        location /v2/lies/shop/ { alias $TMP/lies/; }
        location /v2/away/shop/manifests/ { alias $TMP/reg/manifests/; auth_basic "ours"; auth_basic_user_file $TMP/t/users; }
        location /v2/away/shop/blobs/ {
            auth_basic "ours"; auth_basic_user_file $TMP/t/users;
            rewrite ^/v2/away/(.*)\$ http://127.0.0.1:$2/v2/any/\$1 redirect;
        }
        location /v2/round/ { return 302 http://127.0.0.1:$1\$request_uri; }
        location /v2/often/shop/ { alias $TMP/reg/; limit_req zone=often burst=2 nodelay; limit_req_status 429; error_page 429 @wait; }
        location @wait { internal; add_header Retry-After 1 always; return 429; }
        location /v2/many/shop/ { alias $TMP/reg/; limit_conn many 2; limit_conn_status 503; limit_rate 2m; }
        location /v2/never/ { add_header Retry-After 86400 always; return 503; }
    }
    server { listen 127.0.0.1:$2; location /v2/any/shop/ { alias $TMP/reg/; } }
END
    [ -z "$tls" ] || cat <<END
    server {
        listen 127.0.0.1:$3 ssl; ssl_certificate $TMP/ca.pem; ssl_certificate_key $TMP/key.pem;
        location /v2/any/shop/ { alias $TMP/reg/; }
        location /v2/down/shop/ { return 302 http://127.0.0.1:$1/v2/any/shop/manifests/latest; }
    }
END
    echo '}'
}
printf 'someone:{PLAIN}secret\n' > "$TMP/t/users"
server=
trap '[ -z "$server" ] || kill $server 2> /dev/null; rm -rf "$TMP"' EXIT
listens() { perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0])' "$1"; }
begin() # ports may be taken by somebody between our look and its bind
{
    for try in 1 2 3 4 5; do
        ports=$(perl -MIO::Socket::INET -e 'my @s = map { IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 0, Listen => 1) } 1 .. 3; print join " ", map { $_->sockport } @s')
        # shellcheck disable=SC2086
        config $ports > "$TMP/t/nginx.conf"
        "$nginx" -p "$TMP/t" -e "$TMP/t/error.log" -c "$TMP/t/nginx.conf" < /dev/null > "$TMP/t/said" 2>&1 &
        server=$!
        for i in $(seq 600); do
            listens "${ports%% *}" && return
            kill -0 $server 2> /dev/null || break
            sleep 0.1
        done
    done
    cat "$TMP/t/said" "$TMP/t/error.log"
    return 1
}
begin || { tap_say 1 "nginx starts"; tap_done; }
read -r port other secure <<END
$ports
END
host=127.0.0.1:$port
same() { cmp "$LAR_MODELS/manifests/$host/$1/shop/latest" "$manifest" && cmp "$LAR_MODELS/blobs/sha256-$sum" "$model"; }
fresh() { rm -rf "$LAR_MODELS"; : > "$TMP/t/log"; }
none() { [ ! -e "$LAR_MODELS/manifests/$host/$1/shop/latest" ]; }
asked() { grep -q -- "$1" "$TMP/t/log" || { cat "$TMP/t/log"; return 1; }; }

fresh
try "pulls from nginx, in ranges" $LAR pull $host/any/shop
ok "  ... the same bytes" same any
ok "  ... by parts" asked '/blobs/.* 206 .*bytes=1048576-'
fresh
try "from one that knows no ranges" $LAR pull $host/norange/shop
ok "  ... the same bytes" same norange
for kind in long short lies; do
    fresh
    try_status 2 "wrong bytes are refused ($kind)" $LAR pull $host/$kind/shop
    ok "  ... and nothing has the name" none $kind
    ok "  ... nor is kept" sh -c '! find "$1/blobs" -type f -size +1k | grep -q .' - "$LAR_MODELS"
done
fresh
try "follows a redirect to another host" env LAR_REGISTRY_AUTH=someone:secret $LAR pull $host/away/shop
ok "  ... the same bytes" same away
ok "  ... the first host is told who asks" asked "^$port .*\[Basic c29tZW9uZTpzZWNyZXQ=\]"
ok "  ... the other is not" not grep -q "^$other .*Basic" "$TMP/t/log"
fresh
try_status 1 "without saying who asks nothing comes" $LAR pull $host/away/shop
ok "  ... which is said" said "LAR_REGISTRY_AUTH"
try_status 1 "a redirect that leads round and round" $LAR pull $host/round/shop
ok "  ... is given up" said "more than 10 redirects"

# ---- not now -----------------------------------------------------------------------------------------------------------------------------
fresh
try "goes on where requests come too often (429, Retry-After)" $LAR pull $host/often/shop --connections 4
ok "  ... the same bytes" same often
ok "  ... after being told to wait" asked ' 429 '
fresh
try "goes on where connections are too many (503)" $LAR pull $host/many/shop --connections 8
ok "  ... the same bytes" same many
ok "  ... after being told so" asked ' 503 '
fresh
try_status 1 "a day of patience is too much" $LAR pull $host/never/shop
ok "  ... which is said" said "to come back in 86400 seconds"

# ---- slow, cut, killed --------------------------------------------------------------------------------------------------------------------
noted() { awk 'NR > 1 { s += $1 } END { print s + 0 }' "$LAR_MODELS/blobs/sha256-$sum-partial-state" 2> /dev/null || echo 0; }
until_half() { for i in $(seq 1200); do [ "$(noted)" -lt 1000000 ] || return 0; sleep 0.05; done; return 1; }
fresh
$LAR pull $host/slow/shop --connections 3 > /dev/null 2>&1 &
pid=$!
ok "a slow pull comes along" until_half
kill -9 $pid
wait $pid 2> /dev/null
had=$(noted)
: > "$TMP/t/log"
try "after a kill the next pull" $LAR pull $host/any/shop
ok "  ... gives the same bytes" same any
sent() { awk -v b="$sum" 'index($3, b) && $6 != "[bytes=0-0]" { s += $5 } END { print s + 0 }' "$TMP/t/log"; }
ok "  ... and fetches what was missing, not a byte more" test "$(sent)" = $((size - had))
fresh
$LAR pull $host/slow/shop --connections 3 > "$TMP/out" 2> "$TMP/err" &
pid=$!
ok "another comes along" until_half
workers=$(cat "/proc/$server/task/$server/children" 2> /dev/null)
if [ -n "$workers" ]; then
    # shellcheck disable=SC2086
    kill -9 $workers
    status=0
    wait $pid || status=$?
    ok "when the server's processes die under it, it asks again" test $status = 0
    ok "  ... and gets the same bytes" same slow
else
    kill $pid
    skip "this kernel does not tell the children of a process"
fi

# ---- TLS ------------------------------------------------------------------------------------------------------------------------------------
if [ -n "$tls" ]; then
    fresh
    try_status 1 "a certificate that nobody vouches for is refused" env LAR_REGISTRY="https://localhost:$secure" $LAR pull any/shop
    ok "  ... which is said" sh -c 'grep -qi certificate "$1"' - "$TMP/err"
    try "with ours it is trusted" env LAR_REGISTRY="https://localhost:$secure" LAR_CA_BUNDLE="$TMP/ca.pem" $LAR pull any/shop
    ok "  ... the same bytes" cmp "$LAR_MODELS/blobs/sha256-$sum" "$model"
    fresh
    try_status 1 "no redirect leads from https to http" env LAR_REGISTRY="https://localhost:$secure" LAR_CA_BUNDLE="$TMP/ca.pem" $LAR pull down/shop
    ok "  ... which is said" said "leads from https to"
else
    skip "no openssl here to make a certificate with"
fi
tap_done
