#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_full.t: no room. Each verb that writes into the store is stopped in the midst of it: by a limit on the size of files, and by a small file
# system that is really full where we may make one. It says so, nothing half made has a name, what was there is whole, and with room it succeeds.
. tests/sh.inc
model=$PWD/models/lar-demo-q8_0.gguf
HOME=$TMP/home LAR_MODELS=$TMP/models
export HOME LAR_MODELS
unset OLLAMA_MODELS HF_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE XDG_CACHE_HOME LAR_REGISTRY LAR_REGISTRY_AUTH || true
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy || true
mkdir -p "$HOME" "$TMP/reg/blobs" "$TMP/reg/manifests"
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
message='Where is my order A-48213?'
printf 'FROM %s\nPARAMETER temperature 0\n' "$model" > "$TMP/Modelfile"
printf 'FROM tiny\nSYSTEM reads\n' > "$TMP/small"
$LAR convert tests/data/tiny-llama -o "$TMP/tiny.gguf" > /dev/null 2>&1
$LAR create tiny --from "$TMP/tiny.gguf" || exit 1
LAR_MODELS=$TMP/other $LAR create shop -f "$TMP/Modelfile" || exit 1
LAR_MODELS=$TMP/other $LAR pack shop -o "$TMP/shop.lar" || exit 1
server=
trap '[ -z "$server" ] || kill $server 2> /dev/null; umount "$TMP/fs" 2> /dev/null; rm -rf "$TMP"' EXIT
host=
if perl -MIO::Socket::INET -MDigest::SHA -e 1 2> /dev/null && ! $LAR pull 127.0.0.1:1/x/y 2>&1 | grep -q libcurl4; then
    perl tests/registry.pl "$TMP/reg" "$TMP/port" "$TMP/log" < /dev/null > /dev/null 2>&1 &
    server=$!
    for i in $(seq 600); do [ -e "$TMP/port" ] && break; sleep 0.1; done
    read -r port other < "$TMP/port"
    host=127.0.0.1:$port
    LAR_MODELS=$TMP/other $LAR push shop $host/any/shop --quiet || exit 1
fi
whole() { $LAR verify > "$TMP/v" 2>&1 && $LAR list | grep -q '^tiny' && ! $LAR list | grep -q '^shop' || { cat "$TMP/v"; $LAR list; return 1; }; }

# ---- files that may not grow: 1 MB -----------------------------------------------------------------------------------------------------
limited() { (ulimit -f 2000 && exec "$@"); }
stopped() # VERB COMMAND...
{
    verb=$1
    shift
    try_status 1 "$verb: a file that may not grow is an error" limited "$@"
    ok "  ... which is said in one line" sh -c '[ "$(grep -c "too large" "$1")" = 1 ]' - "$TMP/err"
    ok "  ... nothing has the name, and all that has one is whole" whole
}
stopped unpack $LAR unpack "$TMP/shop.lar"
stopped pack env LAR_MODELS="$TMP/other" $LAR pack shop -o "$TMP/half.one"
ok "  ... nor is there a file" sh -c '! ls "$1" | grep -q "half"' - "$TMP"
stopped "create, quantised" $LAR create shop --from "$model" --quantize Q6_K
[ -z "$host" ] || stopped pull $LAR pull $host/any/shop
try "with room unpack succeeds" $LAR unpack "$TMP/shop.lar"
try "  ... to a model that answers" $LAR run shop "$message"
$LAR rm shop
if [ -n "$host" ]; then
    try "with room pull succeeds" $LAR pull $host/any/shop
    try "  ... to the same" $LAR verify
    $LAR rm $host/any/shop
else
    skip "no registry here"
fi
try "gc --now" $LAR gc --now
ok "  ... leaves nothing of it all" sh -c '[ -z "$(ls "$1/tmp")" ] && ! ls "$1/blobs" | grep -q partial' - "$LAR_MODELS"

# ---- a file system of 3 MB ----------------------------------------------------------------------------------------------------------------
mkdir "$TMP/fs"
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=3m tmpfs "$TMP/fs" 2> /dev/null; then
    LAR_MODELS=$TMP/fs/models
    $LAR create tiny --from "$TMP/tiny.gguf"
    full() # VERB COMMAND...
    {
        verb=$1
        shift
        try_status 1 "$verb: a full disk is an error" "$@"
        ok "  ... which is said" sh -c 'grep -Eq "No space left|[0-9] (bytes|KB|MB) are free there" "$1"' - "$TMP/err"
        ok "  ... and nothing has the name" whole
        $LAR gc --now > /dev/null
    }
    full unpack $LAR unpack "$TMP/shop.lar"
    full create $LAR create shop -f "$TMP/Modelfile"
    full pack env LAR_MODELS="$TMP/other" $LAR pack shop -o "$TMP/fs/half.one"
    ok "  ... nor is there a file" sh -c '! ls "$1" | grep -q "half"' - "$TMP/fs"
    [ -z "$host" ] || full pull $LAR pull $host/any/shop
    try "what is small still goes" $LAR create small -f "$TMP/small"
    ok "  ... and all is whole" $LAR verify
else
    skip "no file system can be made here"
fi
tap_done
