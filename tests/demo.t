#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/demo.t: what `make demo` shows is true: the command it prints is the command it runs, and the answer is the model's.
. tests/sh.inc
: "${MAKE:=make}"
model=models/lar-demo-q8_0.gguf

ok "make demo installs, builds and shows" sh -c "$MAKE -n --no-print-directory demo B='$B' | grep -q 'install-deps' &&
    $MAKE -n --no-print-directory demo B='$B' | grep -q tools/demo.sh"
try "the demonstration runs" env B="$B" RUN="${RUN-}" tools/demo.sh
cp "$TMP/out" "$TMP/shown"
ok "prints the command" grep -q "^\$ .*lar run $model --temp 0 'Hi, " "$TMP/shown"
tail -1 "$TMP/shown" > "$TMP/answer"
sed 's/^/# /' "$TMP/answer"
for field in '"intent":"refund"' '"urgency":"high"' '"sentiment":"negative"' '"order_id":"A-48213"' \
    '"product":"Nordvik trail backpack 40L"' '"amount":"$49.90"' '"summary":"'; do
    ok "the answer has $field" grep -qF -- "$field" "$TMP/answer"
done
ok "and is one JSON object on one line" grep -qx '{"intent".*}' "$TMP/answer"

# The line as printed, given to a shell as somebody would who copies it.
sed -n '/^\$ /,/'\''$/p' "$TMP/shown" | sed "1s|^\\\$ [^ ]*|\$LAR|" > "$TMP/typed"
try "typed by hand it runs too" sh "$TMP/typed"
ok "and answers the same" cmp "$TMP/out" "$TMP/answer"
for level in c avx2 avx512 neon; do
    case $($LAR version 2>/dev/null) in *"$level"*) ;; *) [ $level = c ] || continue ;; esac
    try "on the level $level it runs" env LAR_CPU=$level sh "$TMP/typed"
    ok "and answers the same" cmp "$TMP/out" "$TMP/answer"
done
tap_done
