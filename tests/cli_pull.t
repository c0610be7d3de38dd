#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_pull.t: `lar pull` from a small registry on loopback (tests/registry.pl), with everything that goes wrong with real ones: cut
# connections, wrong bytes, wrong lengths, wrong ranges, no ranges, redirects to other hosts, tokens, kills.
. tests/sh.inc
model=$PWD/models/lar-demo-q8_0.gguf
HOME=$TMP/home LAR_MODELS=$TMP/models
export HOME LAR_MODELS
unset OLLAMA_MODELS HF_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE XDG_CACHE_HOME LAR_REGISTRY LAR_REGISTRY_AUTH HF_ENDPOINT HF_TOKEN || true
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy || true
mkdir -p "$HOME" "$TMP/reg/blobs" "$TMP/reg/manifests/any/shop" "$TMP/reg/hub/org/shop-GGUF/big"
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
told() { grep -qF -- "$1" "$TMP/out" || { cat "$TMP/out"; return 1; }; }

perl -MIO::Socket::INET -e 1 2>/dev/null || { skip "no perl with IO::Socket::INET"; tap_done; }
$LAR pull 127.0.0.1:1/x/y > "$TMP/out" 2> "$TMP/err" || true
if grep -q 'libcurl4' "$TMP/err"; then
    ok "without libcurl the package is named" said "apt-get install libcurl4"
    skip "no libcurl for this machine here"
    tap_done
fi

# ---- the registry: a model made by lar create, and one by hand --------------------------------------------------------------------------
printf 'FROM %s\nPARAMETER temperature 0\n' "$model" > "$TMP/Modelfile"
LAR_MODELS=$TMP/made $LAR create shop -f "$TMP/Modelfile" || exit 1
cp "$TMP/made/blobs"/* "$TMP/reg/blobs"
manifest=$TMP/reg/manifests/any/shop/latest
cp "$TMP/made/manifests/registry.ollama.ai/library/shop/latest" "$manifest"
sum=$(sha256sum < "$model" | cut -c1-64)
perl tests/registry.pl "$TMP/reg" "$TMP/port" "$TMP/log" < /dev/null > /dev/null 2>&1 &
server=$!
trap 'kill $server 2>/dev/null; rm -rf "$TMP"' EXIT
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -e "$TMP/port" ] || sleep 0.1; done
read -r port other < "$TMP/port"
host=127.0.0.1:$port
same() { cmp "$LAR_MODELS/manifests/$host/$1/shop/latest" "$manifest" && cmp "$LAR_MODELS/blobs/sha256-$sum" "$model"; }
fresh() { rm -rf "$LAR_MODELS"; : > "$TMP/log"; }
none() { [ ! -e "$LAR_MODELS/manifests/$host/$1/shop/latest" ]; }

fresh
try "pulls" $LAR pull $host/any/shop
ok "the manifest to the byte, and the weights" same any
ok "in parts" sh -c '[ "$(grep -c "bytes=[0-9]*-[0-9]" "$1")" -ge 6 ]' - "$TMP/log"
ok "leaves nothing else" sh -c '! ls "$1/blobs" | grep -q partial && [ -z "$(ls "$1/tmp")" ]' - "$LAR_MODELS"
try "runs" $LAR run $host/any/shop --max-tokens 1 hi
: > "$TMP/log"
try "pulls again" $LAR pull $host/any/shop
ok "without the blobs that are here" sh -c '! grep -q blobs "$1"' - "$TMP/log"
fresh
$LAR pull $host/any/shop --connections 1 --quiet
config=$(sed 's/.*"config":{[^}]*"digest":"sha256:\([0-9a-f]*\)".*/\1/' "$manifest")
params=$(sed 's/.*image.params","digest":"sha256:\([0-9a-f]*\)".*/\1/' "$manifest")
sed "s/$sum/WEIGHTS/; s/$config/CONFIG/; s/$params/PARAMS/" "$TMP/log" > "$TMP/talk"
{
    echo '0 GET /v2/any/shop/manifests/latest - -'
    echo '0 GET /v2/any/shop/blobs/sha256:CONFIG bytes=0-0 -'
    echo "0 GET /v2/any/shop/blobs/sha256:CONFIG bytes=0-$(($(wc -c < "$TMP/reg/blobs/sha256-$config") - 1)) -"
    echo '0 GET /v2/any/shop/blobs/sha256:WEIGHTS bytes=0-0 -'
    at=0 size=$(wc -c < "$model")
    while [ $at -lt "$size" ]; do
        to=$((at + 1048575))
        [ $to -lt "$size" ] || to=$((size - 1))
        echo "0 GET /v2/any/shop/blobs/sha256:WEIGHTS bytes=$at-$to -"
        at=$((to + 1))
    done
    echo '0 GET /v2/any/shop/blobs/sha256:PARAMS bytes=0-0 -'
    echo "0 GET /v2/any/shop/blobs/sha256:PARAMS bytes=0-$(($(wc -c < "$TMP/reg/blobs/sha256-$params") - 1)) -"
} > "$TMP/protocol"
ok "the conversation is the protocol's: manifest, then each blob by ranges" diff "$TMP/protocol" "$TMP/talk"
fresh
try "pulls from a mirror" env LAR_REGISTRY="http://$host" $LAR pull any/shop
ok "under its usual name" cmp "$LAR_MODELS/manifests/registry.ollama.ai/any/shop/latest" "$manifest"
digest=$(sha256sum < "$manifest" | cut -c1-64)
cp "$manifest" "$TMP/reg/manifests/any/shop/sha256:$digest"
try "pulls what is pinned" $LAR pull "$host/any/shop@sha256:$digest" --json
ok "  ... and says how far it is" told '{"status":"success"}'
wrong=$(echo "$digest" | tr 0-9a-f 1-9a-f0)
cp "$manifest" "$TMP/reg/manifests/any/shop/sha256:$wrong"
try_status 2 "but not another under that digest" $LAR pull "$host/any/shop@sha256:$wrong"

# ---- what goes wrong -----------------------------------------------------------------------------------------------------------------------
fresh
try "goes on where connections are cut" $LAR pull $host/cut/shop --connections 4
ok "  ... to the same bytes" same cut
ok "  ... asking for what was missing only" sh -c 'grep -q "bytes=200000-" "$1"' - "$TMP/log"
fresh
try "pulls without ranges" $LAR pull $host/norange/shop
ok "  ... the same bytes" same norange
fresh
try "and where connections are cut, too" $LAR pull $host/norange-cut/shop
ok "  ... the same bytes" same norange-cut
ok "  ... each blob from its beginning, until it was whole" sh -c '
    [ "$(grep -c "blobs/sha256:$2" "$1")" = 4 ] && [ "$(grep -c "blobs/.* - -$" "$1")" = 6 ]' - "$TMP/log" "$sum"
fresh
try_status 2 "wrong bytes" $LAR pull $host/lies/shop
ok "  ... are named" said "has the digest"
ok "  ... and kept out" none lies
ok "  ... all of them" sh -c '! find "$1/blobs" -type f -size +1k | grep -q .' - "$LAR_MODELS"
fresh
try_status 2 "a wrong length" $LAR pull $host/long/shop
ok "  ... is named" said "bytes, not the"
ok "  ... and nothing has the name" none long
fresh
try_status 1 "a wrong range" $LAR pull $host/shift/shop
ok "  ... is named" said "another part than the one asked for"
try_status 1 "what is not there" $LAR pull $host/any/nothing
ok "  ... is named" said "manifest unknown"
mkdir -p "$TMP/reg/manifests/any/page" "$TMP/reg/manifests/any/empty"
echo '<html>Sign in</html>' > "$TMP/reg/manifests/any/page/latest"
: > "$TMP/reg/manifests/any/empty/latest"
for name in page empty; do
    try_status 2 "a manifest that is none: $name" $LAR pull $host/any/$name
    ok "  ... is told with its address" said "http://$host/v2/any/$name/manifests/latest sends no manifest: "
done
sed "s/\"size\":$(wc -c < "$model" | tr -d ' ')/\"size\":9000000000000000000/" "$manifest" > "$TMP/huge"
mkdir -p "$TMP/reg/manifests/any/huge"
mv "$TMP/huge" "$TMP/reg/manifests/any/huge/latest"
try_status 1 "more than the disk has room for" $LAR pull $host/any/huge
ok "  ... is told in units that fit" said " TB are to come, and "
try_status 1 "no server" $LAR pull 127.0.0.1:1/x/y
try_status 2 "no rate" $LAR pull $host/any/shop --limit-rate fast

# ---- who asks ---------------------------------------------------------------------------------------------------------------------------------
fresh
try "fetches a token when asked to" $LAR pull $host/auth/shop
ok "  ... the same bytes" same auth
ok "  ... which the registry sees" grep -q '^0 GET /v2/auth/shop/blobs/.* Bearer TOK$' "$TMP/log"
ok "  ... and no other host" not grep -q '^1 .*Bearer' "$TMP/log"
fresh
try "fetches another token when one has ended" $LAR pull $host/expire/shop --connections 2
ok "  ... the same bytes" same expire
ok "  ... with one after the other" sh -c '[ "$(grep -o "Bearer E[0-9]*" "$1" | sort -u | wc -l)" -ge 2 ]' - "$TMP/log"
fresh
try "asks through a proxy" env http_proxy="http://$host" LAR_REGISTRY=http://registry.invalid $LAR pull any/shop
ok "  ... for what the proxy knows how to find" grep -q '^0 GET http://registry.invalid/v2/any/shop/blobs/' "$TMP/log"
ok "  ... the same bytes" cmp "$LAR_MODELS/blobs/sha256-$sum" "$model"
fresh
try_status 1 "but not where no_proxy says so" env http_proxy="http://$host" no_proxy=registry.invalid LAR_REGISTRY=http://registry.invalid $LAR pull any/shop
ok "  ... nothing was asked of it" test ! -s "$TMP/log"
try_status 2 "a mirror that is no address" env LAR_REGISTRY=registry.invalid $LAR pull any/shop
ok "  ... is named" said "LAR_REGISTRY=registry.invalid"
fresh
try "follows a redirect to another host" $LAR pull $host/away/shop
ok "  ... where the parts come from" grep -q '^1 GET .*bytes=1048576-' "$TMP/log"

# ---- kill -9, and two at once --------------------------------------------------------------------------------------------------------------------
fresh
$LAR pull $host/slow/shop --connections 2 > /dev/null 2>&1 &
pid=$!
sleep 2.6
kill -9 $pid
wait $pid 2>/dev/null
ok "a kill leaves no name" none slow
got=$(find "$LAR_MODELS/blobs" -name '*-partial' -exec du -k {} \; | awk '{ s += $1 } END { print s + 0 }')
ok "but what has come" test "$got" -ge 100
: > "$TMP/log"
try "the next pull" $LAR pull $host/slow/shop --connections 16
ok "  ... gives the same bytes" same slow
ok "  ... and does not begin at the beginning" not grep -q 'bytes=0-1048575' "$TMP/log"
fresh
$LAR pull $host/any/shop > /dev/null 2>&1 &
pid=$!
try "two pulls of one model at once" $LAR pull $host/any/shop
wait $pid
ok "  ... both succeed" test $? = 0
ok "  ... with the same bytes" same any
fresh
began=$(date +%s)
try "a rate of 2 MB/s for 5.5 MB" $LAR pull $host/any/shop --limit-rate 2M
ok "  ... takes two seconds at least" test $(($(date +%s) - began)) -ge 2

# ---- Hugging Face -----------------------------------------------------------------------------------------------------------------------------------
hub=$TMP/reg/hub/org/shop-GGUF
cp "$model" "$hub/shop-Q8_0.gguf"
$LAR quantize "$model" "$hub/big/shop-Q4_0.gguf" Q4_0 --part-size 2MB > /dev/null 2>&1
entry() { printf '{"type":"file","path":"%s","size":%s,"oid":"x","lfs":{"oid":"%s","size":%s,"pointerSize":135}}' "$1" "$(wc -c < "$hub/$1" | tr -d ' ')" "$(sha256sum < "$hub/$1" | cut -c1-64)" "$(wc -c < "$hub/$1" | tr -d ' ')"; }
{
    printf '[{"type":"file","path":"README.md","size":10,"oid":"y"},'
    for f in "$hub"/big/*.gguf; do entry "big/${f##*/}"; printf ','; done
    entry shop-Q8_0.gguf
    printf ']'
} > "$hub/tree.json"
HF_ENDPOINT=http://$host HF_TOKEN=hf_secret
export HF_ENDPOINT HF_TOKEN
fresh
try "pulls from Hugging Face" $LAR pull hf.co/org/shop-GGUF:q8_0
ok "  ... the right file" cmp "$LAR_MODELS/blobs/sha256-$sum" "$model"
ok "  ... with the token" grep -q '^0 .*resolve/main/shop-Q8_0.gguf .*Bearer hf_secret' "$TMP/log"
ok "  ... which goes nowhere else" not grep -q '^1 .*hf_secret' "$TMP/log"
try "runs it" $LAR run hf.co/org/shop-GGUF:q8_0 --max-tokens 1 hi
try "without a quant the one that most would take" $LAR pull hf.co/org/shop-GGUF
ok "  ... all parts of it" sh -c '[ "$(grep -c "cdn.*big/shop-Q4_0-.*bytes=0-0" "$1")" -ge 2 ]' - "$TMP/log"
try "runs a split model" $LAR run hf.co/org/shop-GGUF --max-tokens 1 hi
try "which verifies" $LAR verify hf.co/org/shop-GGUF
try_status 1 "a quant that is not there" $LAR pull hf.co/org/shop-GGUF:Q2_K
ok "  ... and which there are" said "there are Q4_0 Q8_0"
try_status 1 "a repository that is not there" $LAR pull hf.co/org/none
mkdir -p "$TMP/reg/hub/gated" "$TMP/reg/hub/private"
cp -r "$hub" "$TMP/reg/hub/gated/shop"
cp -r "$hub" "$TMP/reg/hub/private/shop"
head -c 3000 "$model" > "$TMP/reg/hub/gated/shop/mmproj-shop-f16.gguf"
sum2=$(sha256sum < "$TMP/reg/hub/gated/shop/mmproj-shop-f16.gguf" | cut -c1-64)
sed 's/]$//' "$hub/tree.json" > "$TMP/reg/hub/gated/shop/tree.json"
printf ',{"type":"file","path":"mmproj-shop-f16.gguf","size":3000,"oid":"x","lfs":{"oid":"%s","size":3000}}]' "$sum2" >> "$TMP/reg/hub/gated/shop/tree.json"
for who in '' hf_other; do
    try_status 1 "a private repository, token '$who'" env HF_TOKEN=$who $LAR pull hf.co/private/shop:Q8_0
    ok "  ... which is said, with the remedy" said "HF_TOKEN=hf_..."
done
fresh
try_status 1 "a gated repository's file" env HF_TOKEN=hf_other $LAR pull hf.co/gated/shop:Q8_0
ok "  ... which is said, with the remedy" said "terms must be accepted on its page"
ok "  ... and has no name" not grep -rq . "$LAR_MODELS/manifests"
try "it comes with the right token" $LAR pull hf.co/gated/shop:Q8_0
try "  ... and the private one" $LAR pull hf.co/private/shop:Q8_0
ok "  ... the projector beside it, as a layer of its kind" grep -q "image.projector\",\"digest\":\"sha256:$sum2" "$LAR_MODELS/manifests/hf.co/gated/shop/Q8_0"
ok "  ... its bytes" test -s "$LAR_MODELS/blobs/sha256-$sum2"
try "and go again" $LAR rm hf.co/gated/shop:Q8_0 hf.co/private/shop:Q8_0
$LAR pull hf.co/org/shop-GGUF:q8_0 > /dev/null 2>&1
$LAR pull hf.co/org/shop-GGUF > /dev/null 2>&1
try "removes" $LAR rm hf.co/org/shop-GGUF hf.co/org/shop-GGUF:q8_0
try "gc" $LAR gc --now
ok "leaves nothing" sh -c '[ -z "$(ls "$1/blobs" "$1/parts" | grep -v :$)" ]' - "$LAR_MODELS"
tap_done
