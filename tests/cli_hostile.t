#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_hostile.t: a store in which somebody has meddled: manifests that are none, pipes, loops and devices in their place, a file where the
# folder should be. Every verb answers, names what is wrong, and leaves what is whole alone.
. tests/sh.inc
model=models/lar-demo-q8_0.gguf
HOME=$TMP/home LAR_MODELS=$TMP/models
export HOME LAR_MODELS
unset OLLAMA_MODELS HF_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE XDG_CACHE_HOME || true
mkdir -p "$HOME"
look() { perl tests/look.pl "$@"; }
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
told() { grep -qF -- "$1" "$TMP/out" || { cat "$TMP/out"; return 1; }; }
$LAR create good --from $model || exit 1
d=$LAR_MODELS/manifests/registry.ollama.ai/library
for name in empty big broken deep list size missing loop folder/latest device nothing pipe; do mkdir -p "$d/$name"; done
: > "$d/empty/latest"
head -c 5000000 /dev/zero > "$d/big/latest"
echo '{"schemaVersion":2,' > "$d/broken/latest"
perl -e 'print "[" x 100000' > "$d/deep/latest"
echo '[1,2]' > "$d/list/latest"
sed 's/"size":[0-9]*/"size":12/' "$d/good/latest" > "$d/size/latest"
sed 's/sha256:[0-9a-f]\{10\}/sha256:0000000000/g' "$d/good/latest" > "$d/missing/latest"
ln -s latest "$d/loop/latest"
ln -s /dev/zero "$d/device/latest"
printf '\0\0' > "$d/nothing/latest"
mkfifo "$d/pipe/latest"
ln -s "$d" "$d/itself"
ln -s around "$LAR_MODELS/manifests/around"

try "lists" $LAR list --json
ok "  ... all that can be a name" look json "$TMP/out" '@$j == 11'
ok "  ... what is wrong with each that is none" look json "$TMP/out" '8 == grep { $_->{fault} } @$j'
ok "  ... and the whole one as it is" look json "$TMP/out" 'grep { $_->{name} eq "good:latest" && !$_->{fault} && $_->{size} > 5e6 } @$j'
try_status 1 "verifies" $LAR verify --json
ok "  ... and names everyone that is not whole" look json "$TMP/out" '
    my %f = map { ($_->{name} =~ /(.*):/, 1) } @{$j->{faults}};
    join(" ", sort keys %f) eq "big broken deep device empty list missing nothing pipe size"' # loop and folder are no files
for name in empty big broken deep list size missing nothing; do
    try_status 2 "$name is refused" $LAR show $name
    ok "  ... in words that name it" said "$name"
done
for name in loop folder device pipe; do try_status 1 "$name is no model" $LAR run $name hi; done
ok "nothing is collected while a manifest cannot be read" not $LAR gc --now
$LAR rm empty big broken deep list missing nothing pipe device > /dev/null 2>&1
ok "what cannot be read can be removed" not ls "$d/empty/latest" "$d/big/latest" "$d/pipe/latest" "$d/deep/latest"
try "the whole one answers" $LAR run good --max-tokens 1 hi
rm "$d/size/latest"
try "gc" $LAR gc --now
try "and all is whole" $LAR verify

echo text > "$TMP/file"
for verb in list gc verify fit "rm x" "create x --from $model" "show x"; do
    # shellcheck disable=SC2086
    try_status 2 "where the store is a file, lar $verb" env LAR_MODELS="$TMP/file" $LAR $verb
    ok "  ... says so" said "is no folder"
done
tap_done
