#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_push.t: `lar push` to a small registry on loopback (tests/registry.pl), with what goes wrong with real ones; and to Debian's
# docker-registry where there is one ($DOCKER_REGISTRY names it).
. tests/sh.inc
model=$PWD/models/lar-demo-q8_0.gguf
HOME=$TMP/home LAR_MODELS=$TMP/models
export HOME LAR_MODELS
unset OLLAMA_MODELS HF_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE XDG_CACHE_HOME LAR_REGISTRY LAR_REGISTRY_AUTH HF_ENDPOINT HF_TOKEN || true
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy || true
mkdir -p "$HOME" "$TMP/reg/blobs" "$TMP/reg/manifests"
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
told() { grep -qF -- "$1" "$TMP/out" || { cat "$TMP/out"; return 1; }; }

perl -MIO::Socket::INET -MDigest::SHA -e 1 2>/dev/null || { skip "no perl with IO::Socket::INET and Digest::SHA"; tap_done; }
printf 'FROM %s\nPARAMETER temperature 0\nSYSTEM reads messages\n' "$model" > "$TMP/Modelfile"
$LAR create shop -f "$TMP/Modelfile" || exit 1
try_status 1 "no server" $LAR push shop 127.0.0.1:1/x/y
if grep -q 'libcurl4' "$TMP/err"; then skip "no libcurl for this machine here"; tap_done; fi
manifest=$LAR_MODELS/manifests/registry.ollama.ai/library/shop/latest
sum=$(sha256sum < "$model" | cut -c1-64)
perl tests/registry.pl "$TMP/reg" "$TMP/port" "$TMP/log" < /dev/null > /dev/null 2>&1 &
server=$! real=
trap 'kill $server $real 2>/dev/null; rm -rf "$TMP"' EXIT
wait_for() { i=0; while [ ! -e "$1" ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done; [ -e "$1" ]; }
wait_for "$TMP/port"
read -r port other < "$TMP/port"
host=127.0.0.1:$port
fresh() { rm -rf "$TMP/reg/blobs" "$TMP/reg/up" "$TMP/reg/manifests"; mkdir "$TMP/reg/blobs" "$TMP/reg/manifests"; : > "$TMP/log"; }
there() { cmp "$TMP/reg/manifests/$1/shop/latest" "$manifest" && cmp "$TMP/reg/blobs/sha256-$sum" "$model"; }
none() { [ ! -e "$TMP/reg/manifests/$1/shop/latest" ]; }
asks() { [ "$(grep -c "$1" "$TMP/log")" -ge "$2" ] || { cat "$TMP/log"; return 1; }; }

fresh
try "pushes" $LAR push shop $host/any/shop --json
ok "  ... and says how far it is" told '{"status":"success"}'
ok "  ... blobs and the manifest to the byte" there any
ok "  ... the manifest last" sh -c 'tail -1 "$1" | grep -q "PUT /v2/any/shop/manifests/latest"' - "$TMP/log"
: > "$TMP/log"
try "pushes again" $LAR push shop $host/any/shop
ok "  ... without what is there already" not grep -qE 'POST|PATCH' "$TMP/log"
try "another machine pulls it" env LAR_MODELS="$TMP/other" $LAR pull $host/any/shop
ok "  ... the same" cmp "$TMP/other/manifests/$host/any/shop/latest" "$manifest"
try "which verifies there" env LAR_MODELS="$TMP/other" $LAR verify
try "its own name is where it goes, too" $LAR cp shop $host/own/shop
try "  ... without another" $LAR push $host/own/shop
ok "  ... and is there" there own
fresh
try "goes on where a connection was cut" $LAR push shop $host/cut/shop
ok "  ... to the same bytes" there cut
ok "  ... from where the registry stands" asks 'GET /v2/cut/shop/blobs/uploads/' 1
fresh
try "pieces may go to another host" $LAR push shop $host/away/shop
ok "  ... the same bytes" there away
ok "  ... where they went" asks '^1 PATCH' 1
fresh
try "fetches a token that may push" $LAR push shop $host/auth/shop
ok "  ... the same bytes" there auth
ok "  ... with it" asks 'PATCH .* Bearer TPUSH$' 1
fresh
try_status 1 "what arrives as something else is refused" $LAR push shop $host/lies/shop
ok "  ... in the registry's words" said "provided digest did not match"
ok "  ... and nothing has the name" none lies
fresh
try "waits where a registry asks for patience" $LAR push shop $host/late/shop
ok "  ... the same bytes" there late
fresh
rm -f "$TMP/reg/count"
$LAR push shop $host/any/shop --quiet
sed 's/sha256\(:\|%3A\)[0-9a-f]*/D/; s/u[0-9][0-9]*/ID/; s/?s=[0-9]*/?s=N/' "$TMP/log" > "$TMP/talk"
for blob in $(sed 's/"digest":"sha256:/\n/g' "$manifest" | sed -n '2,$s/^\([0-9a-f]*\).*/\1/p'); do
    echo '0 HEAD /v2/any/shop/blobs/D - -'
    echo '0 POST /v2/any/shop/blobs/uploads/ - -'
    echo '0 PATCH /v2/any/shop/blobs/uploads/ID?s=N - -'
    echo '0 PUT /v2/any/shop/blobs/uploads/ID?s=N&digest=D - -'
done > "$TMP/protocol"
echo '0 PUT /v2/any/shop/manifests/latest - -' >> "$TMP/protocol"
ok "the conversation is the protocol's: HEAD, POST, PATCH, PUT of each blob, PUT of the manifest" diff "$TMP/protocol" "$TMP/talk"
fresh
try_status 1 "a registry that has no room" $LAR push shop $host/down/shop
ok "  ... is tried again, in vain" said "no room"
ok "  ... and nothing has the name" none down
ok "  ... after some tries" asks 'PATCH /v2/down' 3
try_status 1 "a registry that refuses without a word" $LAR push shop $host/mute/shop
ok "  ... what was sent, and where" grep -q "sending blob [0-9a-f]\{12\} of shop:latest to http://$host/v2/mute/shop: the server says 507\$" "$TMP/err"
try_status 1 "one that has no such place" $LAR push shop $host/none/shop
ok "  ... likewise" grep -q "of shop:latest to http://$host/v2/none/shop: is not there\$" "$TMP/err"
try_status 1 "a model that is not there" $LAR push nothing $host/any/nothing
try_status 2 "a name that is none" $LAR push shop 'a b'
try_status 2 "Hugging Face takes none" $LAR push shop hf.co/a/b

# ---- Ollama's own: who asks is known by a key, pieces are led aside ------------------------------------------------------------------------
ollama() { LAR_REGISTRY="http://$host" $LAR push shop signed/shop "$@"; }
fresh
try_status 1 "Ollama's registry lets nobody write whom it does not know" ollama
ok "  ... which is said" said ".ollama/id_ed25519"
if command -v ssh-keygen > /dev/null 2>&1; then
    mkdir -p "$HOME/.ollama"
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$HOME/.ollama/id_ed25519" < /dev/null
    : > "$TMP/log"
    try "with a key it does" ollama
    if grep -q libssl3 "$TMP/err"; then
        skip "no libcrypto for this machine here"
    else
        ok "  ... blobs and the manifest to the byte" there signed
        ok "  ... pieces go to the storage behind it, which is not told who we are" asks '^1 PUT /v2/signed/shop/blobs/uploads/[^ ]* - -$' 3
        ok "  ... never" not grep -q '^1 .* [^-]*$' "$TMP/log"
        grep ' GET /token' "$TMP/log" | head -1 > "$TMP/asked"
        ok "the request for a token is signed by the key" grep -q " $(cut -d' ' -f2 "$HOME/.ollama/id_ed25519.pub"):" "$TMP/asked"
        if command -v openssl > /dev/null 2>&1; then
            perl -MMIME::Base64 -MDigest::SHA=sha256_hex -e '
                my ($url, $key, $sig) = <STDIN> =~ m{GET (\S+) \S+ ([^:]+):(\S+)} or die;
                open my $f, ">:raw", "$ARGV[0]/pub.der"; print $f pack("H*", "302a300506032b6570032100") . substr decode_base64($key), -32; close $f;
                open $f, ">:raw", "$ARGV[0]/sig"; print $f decode_base64($sig); close $f;
                open $f, ">:raw", "$ARGV[0]/data"; print $f "GET,http://$ARGV[1]$url," . encode_base64(sha256_hex(""), ""); close $f;
            ' "$TMP" "$host" < "$TMP/asked"
            ok "  ... as OpenSSL finds" openssl pkeyutl -verify -pubin -keyform DER -inkey "$TMP/pub.der" -rawin -in "$TMP/data" -sigfile "$TMP/sig"
        else
            skip "no openssl here to look at the signature"
        fi
        ssh-keygen -q -p -N secret -f "$HOME/.ollama/id_ed25519" < /dev/null > /dev/null 2>&1
        fresh
        try_status 2 "a key with a passphrase" ollama
        ok "  ... is named" said "has a passphrase"
        : > "$HOME/.ollama/id_ed25519"
        try_status 2 "a file that is no key" ollama
        ok "  ... is named" said "is no OpenSSH private key"
    fi
    rm -rf "$HOME/.ollama"
else
    skip "no ssh-keygen here"
fi

# ---- a real one ------------------------------------------------------------------------------------------------------------------------
: "${DOCKER_REGISTRY:=docker-registry}"
if [ -z "${LAR_SLOW-}" ] && command -v "$DOCKER_REGISTRY" > /dev/null 2>&1; then
    cat > "$TMP/config.yml" <<END
version: 0.1
log: {level: info, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: $TMP/real}}
http: {addr: '127.0.0.1:0', secret: tests}
END
    "$DOCKER_REGISTRY" serve "$TMP/config.yml" < /dev/null > "$TMP/real.log" 2>&1 &
    real=$!
    for i in $(seq 600); do grep -q 'listening on' "$TMP/real.log" && break; sleep 0.1; done
    port=$(sed -n 's/.*listening on 127.0.0.1:\([0-9]*\).*/\1/p' "$TMP/real.log" | head -1)
    try "pushes to Debian's docker-registry" $LAR push shop "127.0.0.1:$port/space/shop:v1"
    try "which gives it to another machine" env LAR_MODELS="$TMP/third" $LAR pull "127.0.0.1:$port/space/shop:v1"
    ok "  ... the same" cmp "$TMP/third/manifests/127.0.0.1:$port/space/shop/v1" "$manifest"
    try "  ... all of it" env LAR_MODELS="$TMP/third" $LAR verify
    digest=$(sha256sum < "$manifest" | cut -c1-64)
    try "  ... by its digest too" env LAR_MODELS="$TMP/third" $LAR pull "127.0.0.1:$port/space/shop@sha256:$digest"
else
    skip "no docker-registry here (Debian's package of that name)"
fi
tap_done
