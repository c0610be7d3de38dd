#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_pack.t: a model in one file: `lar pack` and `lar unpack`, through files and pipes, and everything that can happen to such a file on its way.
. tests/sh.inc
model=$PWD/models/lar-demo-q8_0.gguf
HOME=$TMP/home LAR_MODELS=$TMP/models
export HOME LAR_MODELS
unset OLLAMA_MODELS HF_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE XDG_CACHE_HOME || true
mkdir -p "$HOME"
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
told() { grep -qF -- "$1" "$TMP/out" || { cat "$TMP/out"; return 1; }; }
look() { perl tests/look.pl "$@"; }
other() { env LAR_MODELS="$TMP/other" $LAR "$@"; }
none() { [ -z "$(find "$TMP/other/manifests" -type f 2> /dev/null)" ]; }

printf 'FROM %s\nPARAMETER temperature 0\nSYSTEM reads messages\nLICENSE Apache-2.0\n' "$model" > "$TMP/Modelfile"
$LAR create team/clerk:v1 -f "$TMP/Modelfile" || exit 1
manifest=$LAR_MODELS/manifests/registry.ollama.ai/team/clerk/v1
message='Where is my order A-48213?'

try "packs" $LAR pack team/clerk:v1 -o "$TMP/clerk.lar"
try "again, over the first" $LAR pack team/clerk:v1 -o "$TMP/again.lar" --json
ok "  ... and says how far it is" told '{"status":"success"}'
ok "  ... the same bytes" cmp "$TMP/clerk.lar" "$TMP/again.lar"
ok "no half of a file is left" sh -c '! ls "$1" | grep -q part' - "$TMP"
if command -v tar > /dev/null; then
    ok "tar lists it" sh -c 'tar tf "$1" | head -1 | grep -qx oci-layout' - "$TMP/clerk.lar"
    mkdir "$TMP/x"
    ok "  ... and unpacks it" tar xf "$TMP/clerk.lar" -C "$TMP/x"
    ok "  ... an OCI layout" look json "$TMP/x/index.json" '$j->{manifests}[0]{digest} =~ /^sha256:/ && $j->{manifests}[0]{annotations}{"org.opencontainers.image.ref.name"} eq "team/clerk:v1"'
    ok "  ... whose blobs are what their names say" sh -c 'cd "$1/blobs/sha256" && for f in *; do [ "$(sha256sum < $f | cut -c1-64)" = $f ] || exit 1; done' - "$TMP/x"
else
    skip "no tar here"
fi
try "unpacks on another machine" other unpack "$TMP/clerk.lar"
ok "  ... under its name" told 'team/clerk:v1'
ok "  ... the manifest to the byte" cmp "$TMP/other/manifests/registry.ollama.ai/team/clerk/v1" "$manifest"
try "  ... all of it" other verify
try "it runs there" other run team/clerk:v1 "$message"
cp "$TMP/out" "$TMP/there"
try "  ... as it does here" $LAR run team/clerk:v1 "$message"
ok "  ... with the same answer" cmp "$TMP/out" "$TMP/there"
try "once more, when all is there" other unpack "$TMP/clerk.lar" copy:of
try "  ... under another name" other show copy:of --parameters
rm -rf "$TMP/other"
try "through a pipe" sh -c '"$1" pack team/clerk:v1 -o - | LAR_MODELS=$2 "$1" unpack - piped' - "$LAR" "$TMP/other"
ok "  ... the same" cmp "$TMP/other/manifests/registry.ollama.ai/library/piped/latest" "$manifest"
rm -rf "$TMP/other"
if command -v tar > /dev/null; then
    (cd "$TMP/x" && tar cf "$TMP/order.lar" blobs index.json oci-layout)
    try "another program's archive, in another order" other unpack "$TMP/order.lar"
    ok "  ... the same" cmp "$TMP/other/manifests/registry.ollama.ai/team/clerk/v1" "$manifest"
    rm -rf "$TMP/other"
fi

# ---- on its way ----------------------------------------------------------------------------------------------------------------------
size=$(wc -c < "$TMP/clerk.lar")
for part in 100 1000 2000 3000000 $((size - 600000)) $((size - 1500)); do
    head -c "$part" "$TMP/clerk.lar" > "$TMP/cut.lar"
    try_status 2 "cut after $part bytes it is refused" other unpack "$TMP/cut.lar"
    ok "  ... and nothing has the name" none
done
# A byte of the weights, of the manifest, of a header.
hit() # AT: another byte there
{
    cp "$TMP/clerk.lar" "$TMP/bad.lar"
    printf '\377' | dd of="$TMP/bad.lar" bs=1 seek="$1" conv=notrunc 2> /dev/null
}
for at in 3000000 2100 5; do
    hit $at
    try_status 2 "changed at byte $at it is refused" other unpack "$TMP/bad.lar"
    ok "  ... and nothing has the name" none
done
try_status 2 "no archive" other unpack "$model" x
try_status 1 "no file" other unpack "$TMP/none.lar"
try_status 2 "no name" other unpack "$TMP/clerk.lar" 'a b'
try_status 2 "no output" $LAR pack team/clerk:v1
try_status 1 "no model" $LAR pack nobody -o "$TMP/y.lar"
ok "  ... no file" test ! -e "$TMP/y.lar"
cp "$model" "$TMP/precious.gguf"
try_status 2 "another kind of file is not replaced" $LAR pack team/clerk:v1 -o "$TMP/precious.gguf"
ok "  ... it is still there" cmp "$model" "$TMP/precious.gguf"
try_status 2 "a loose file lies in no store" $LAR pack "$model" -o "$TMP/y.lar"
blob=$LAR_MODELS/blobs/sha256-$(sha256sum < "$model" | cut -c1-64)
printf x | dd of="$blob" bs=1 seek=3000000 conv=notrunc 2> /dev/null
try_status 2 "what was damaged in the store is not packed" $LAR pack team/clerk:v1 -o "$TMP/y.lar"
ok "  ... which is said" said "was changed"
ok "  ... no file" sh -c '! ls "$1" | grep -q y.lar' - "$TMP"
mkfifo "$TMP/pipe"
try_status 2 "what is no file is not replaced" $LAR pack team/clerk:v1 -o "$TMP/pipe"
ok "  ... it is still there" test -p "$TMP/pipe"
tap_done
