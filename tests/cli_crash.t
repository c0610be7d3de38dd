#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_crash.t: kill -9 at random moments, two processes at work in one store: pull, create, gc, rm, unpack, pack, cp; and push. What was complete stays
# complete, nothing half made has a name, and the next try succeeds. (build/tests/test_store does the same below the command line.)
. tests/sh.inc
model=$PWD/models/lar-demo-q8_0.gguf
HOME=$TMP/home LAR_MODELS=$TMP/models
export HOME LAR_MODELS
unset OLLAMA_MODELS HF_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE XDG_CACHE_HOME LAR_REGISTRY LAR_REGISTRY_AUTH || true
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy || true
mkdir -p "$HOME" "$TMP/reg/blobs" "$TMP/reg/manifests"
perl -MIO::Socket::INET -MTime::HiRes -MDigest::SHA -e 1 2>/dev/null || { skip "no perl with what the registry needs"; tap_done; }
$LAR pull 127.0.0.1:1/x/y 2>&1 | grep -q libcurl4 && { skip "no libcurl for this machine here"; tap_done; }
rounds=${LAR_SLOW:+3}
: "${rounds:=12}"

printf 'FROM %s\nPARAMETER temperature 0\n' "$model" > "$TMP/Modelfile"
printf 'FROM %s\nSYSTEM another\n' "$model" > "$TMP/Modelfile2"
$LAR create keep -f "$TMP/Modelfile" || exit 1
$LAR pack keep -o "$TMP/keep.lar" || exit 1
perl tests/registry.pl "$TMP/reg" "$TMP/port" "$TMP/log" < /dev/null > /dev/null 2>&1 &
server=$! a='' b=''
trap 'kill -9 $server $a $b 2>/dev/null; rm -rf "$TMP"' EXIT
i=0
while [ ! -e "$TMP/port" ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done
read -r port other < "$TMP/port"
host=127.0.0.1:$port
$LAR push keep $host/any/shop || exit 1
mkdir -p "$TMP/reg/manifests/slow/shop"
cp "$TMP/reg/manifests/any/shop/latest" "$TMP/reg/manifests/slow/shop/latest"
moment() { perl -MTime::HiRes=sleep -e 'sleep rand 0.5'; }
start() # NUMBER: one of the things that write, in the place of this shell, so that its process is the one to kill
{
    case $(($1 % 8)) in
    0) exec $LAR pull $host/slow/shop ;;
    1) exec $LAR create made -f "$TMP/Modelfile2" ;;
    2) exec $LAR gc --now ;;
    3) exec $LAR unpack "$TMP/keep.lar" unpacked ;;
    4) exec $LAR rm made ;;
    5) exec $LAR pull $host/any/shop ;;
    6) exec $LAR pack keep -o "$TMP/packed" ;;
    7) exec $LAR cp keep copied ;;
    esac
}
packed_whole() { [ ! -e "$TMP/packed" ] || LAR_MODELS=$TMP/from $LAR unpack "$TMP/packed" > "$TMP/said" 2>&1 || { cat "$TMP/said"; return 1; }; }
all_whole() { packed_whole && $LAR verify > "$TMP/said" 2>&1 || { cat "$TMP/said"; return 1; }; $LAR list | grep -q '^keep:latest'; }

bad=0 n=0
while [ $n -lt "$rounds" ]; do
    (start $n) > /dev/null 2>&1 < /dev/null &
    a=$!
    (start $((n * 5 + 3))) > /dev/null 2>&1 < /dev/null &
    b=$!
    moment
    kill -9 $a 2>/dev/null
    [ $((n % 2)) = 0 ] || { moment; kill -9 $b 2>/dev/null; }
    wait $a 2>/dev/null
    wait $b 2>/dev/null
    a='' b=''
    all_whole > "$TMP/.whole" 2>&1 || { bad=$((bad + 1)); sed "s/^/# round $n: /" "$TMP/.whole"; }
    n=$((n + 1))
done
ok "whenever one or both of two processes are killed, all that has a name is whole ($rounds times)" test $bad = 0
again() { (start "$1"); }
try "afterwards create succeeds" again 1
try "  ... and unpack" again 3
try "  ... and pull" again 5
try "  ... and pack" again 6
try "  ... and cp" again 7
try "  ... of what was begun often" again 0
try "gc" $LAR gc --now
ok "  ... leaves nothing half made" sh -c '! ls "$1/blobs" | grep -q partial && [ -z "$(ls "$1/tmp")" ]' - "$LAR_MODELS"
ok "  ... and all that has a name" all_whole

# ---- push: the registry has all of a model, or nothing of that name ------------------------------------------------------------------------
registry_whole()
{
    for f in "$TMP/reg/blobs"/sha256-*; do
        [ ! -e "$f" ] || [ "$(sha256sum < "$f" | cut -c1-64)" = "${f##*-}" ] || { echo "$f is not whole"; return 1; }
    done
    [ ! -e "$TMP/reg/manifests/p$1/shop/latest" ] || LAR_MODELS=$TMP/try$1 $LAR pull $host/p$1/shop
}
bad=0 n=0
while [ $n -lt $((rounds / 3)) ]; do
    rm -rf "$TMP/reg/blobs"
    mkdir "$TMP/reg/blobs"
    (exec $LAR push keep $host/p$n/shop --limit-rate 20M) > /dev/null 2>&1 < /dev/null &
    a=$!
    (exec $LAR gc --now) > /dev/null 2>&1 < /dev/null &
    b=$!
    moment
    kill -9 $a 2>/dev/null
    wait $a 2>/dev/null
    wait $b 2>/dev/null
    a='' b=''
    registry_whole $n > "$TMP/.whole" 2>&1 || { bad=$((bad + 1)); sed "s/^/# push $n: /" "$TMP/.whole"; }
    rm -rf "$TMP/try$n"
    n=$((n + 1))
done
ok "a push that is killed leaves a whole model or no name" test $bad = 0
try "the next push succeeds" $LAR push keep $host/p0/shop
ok "  ... with all of it" registry_whole 0
ok "and the store is as it was" all_whole
tap_done
