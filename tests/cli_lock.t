#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_lock.t: `lar lock` writes down which models these are, and `lar run --locked` runs that and nothing else.
. tests/sh.inc
model=$PWD/models/lar-demo-q8_0.gguf
HOME=$TMP/home LAR_MODELS=$TMP/models
export HOME LAR_MODELS
unset OLLAMA_MODELS HF_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE XDG_CACHE_HOME || true
mkdir -p "$HOME"
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
message='Hi, where is my order A-48213?'
cp "$model" "$TMP/w.gguf"
printf 'FROM ./w.gguf\nPARAMETER top_k 20\n' > "$TMP/Modelfile"
$LAR create clerk -f "$TMP/Modelfile" || exit 1
$LAR create other -f "$TMP/Modelfile" || exit 1

try "locks a model and settings" $LAR lock clerk "$TMP/w.gguf" -o "$TMP/lar.lock" --set temp=0.7 --set seed=7 --set ctx=400
lock=$TMP/lar.lock
digest=$(sha256sum < "$LAR_MODELS"/manifests/registry.ollama.ai/library/clerk/latest | cut -c1-64)
sum=$(sha256sum < "$TMP/w.gguf" | cut -c1-64)
ok "  ... names, digests, the version" perl tests/look.pl json "$lock" "\$j->{lar} =~ /^\\d/ && \$j->{models}[0]{name} eq 'clerk:latest' && \$j->{models}[0]{digest} eq 'sha256:$digest' && \$j->{models}[0]{weights} eq 'sha256:$sum' && \$j->{models}[1]{digest} eq 'sha256:$sum'"
ok "  ... parameters and settings" perl tests/look.pl json "$lock" '$j->{models}[0]{parameters}{top_k} == 20 && $j->{settings}{seed} eq "7"'
try "runs what is locked" $LAR run clerk --locked --lock-file "$lock" "$message"
cp "$TMP/out" "$TMP/locked"
try "as the same settings on the command line do" $LAR run clerk --temp 0.7 --seed 7 --ctx 400 "$message"
ok "  ... the same answer" cmp "$TMP/out" "$TMP/locked"
try "a file too" $LAR run "$TMP/w.gguf" --locked --lock-file "$lock" --max-tokens 1 "$message"
try_status 2 "no other model" $LAR run other --locked --lock-file "$lock" "$message"
ok "  ... which is said" said "names no model other"
try_status 2 "no other settings" $LAR run clerk --locked --lock-file "$lock" --temp 1 "$message"
ok "  ... which is said" said "lar lock --set"
try_status 2 "no other context" $LAR run clerk --locked --lock-file "$lock" --ctx 100 "$message"
for part in 's/"weights": "sha256:./&0/' 's/"size": [0-9]/&1/' 's/"top_k": *20/"top_k": 30/'; do
    sed "$part" "$lock" > "$TMP/changed.lock"
    try_status 2 "not by a file that was changed: $part" $LAR run clerk --locked --lock-file "$TMP/changed.lock" "$message"
    ok "  ... which is said" sh -c '! cmp -s "$1" "$2"' - "$lock" "$TMP/changed.lock"
done
printf 'FROM ./w.gguf\nPARAMETER top_k 21\n' > "$TMP/Modelfile"
$LAR create clerk -f "$TMP/Modelfile"
try_status 2 "not what the name means now" $LAR run clerk --locked --lock-file "$lock" "$message"
ok "  ... which is said" said "and not the sha256"
printf 'FROM ./w.gguf\nPARAMETER top_k 20\n' > "$TMP/Modelfile"
$LAR create clerk -f "$TMP/Modelfile"
try "but when it is the old one again" $LAR run clerk --locked --lock-file "$lock" --max-tokens 1 "$message"
printf x | dd of="$TMP/w.gguf" bs=1 seek=3000000 conv=notrunc 2> /dev/null
try_status 2 "not a file that was changed" $LAR run "$TMP/w.gguf" --locked --lock-file "$lock" "$message"
blob=$LAR_MODELS/blobs/sha256-$sum
chmod u+w "$blob"
printf x | dd of="$blob" bs=1 seek=3000000 conv=notrunc 2> /dev/null
try_status 2 "not a blob that was changed" $LAR run clerk --locked --lock-file "$lock" "$message"
ok "  ... which is said" said "was changed"
sed 's/"lar": "[^"]*"/"lar": "0.0.1"/' "$lock" > "$TMP/old.lock"
try_status 2 "not by another Lar" $LAR run clerk --locked --lock-file "$TMP/old.lock" "$message"
ok "  ... which is said" said "is of Lar 0.0.1"
echo '{ "lar" ' > "$TMP/broken.lock"
try_status 2 "not by a broken one" $LAR run clerk --locked --lock-file "$TMP/broken.lock" "$message"
ok "  ... which is named" said "broken.lock: JSON"
try_status 1 "not without a lock file" $LAR run clerk --locked --lock-file "$TMP/none.lock" "$message"
try_status 2 "a setting that is none" $LAR lock clerk --set colour=red -o "$TMP/y"
try_status 2 "a setting that cannot be" $LAR lock clerk --set temp=-5 -o "$TMP/y"
cp "$TMP/Modelfile" "$TMP/keep.txt"
try_status 2 "another kind of file is not replaced" $LAR lock clerk -o "$TMP/keep.txt"
ok "  ... it is still there" cmp "$TMP/Modelfile" "$TMP/keep.txt"
try "all of the store, to standard output" $LAR lock -o -
ok "  ... both" perl tests/look.pl json "$TMP/out" '@{$j->{models}} == 2'
tap_done
