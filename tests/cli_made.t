#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_made.t: the verbs that make models, killed (SIGKILL) at random moments and on a disk that is full: convert, export, quantize, imatrix, perplexity
# --save-base, quality. What has the name is whole, to the byte; what was there before is as it was; nothing half made stays once the next try is through.
. tests/sh.inc
M=models/lar-demo-q8_0.gguf
perl -MTime::HiRes -e 1 2>/dev/null || { skip "no perl"; tap_done; }
[ -z "${RUN-}" ] || { skip "an emulator takes the signals"; tap_done; }
rounds=${LAR_SLOW:+2}
: "${rounds:=3}"
TMPDIR=$TMP/tmp
export TMPDIR
mkdir "$TMPDIR" "$TMP/want"
trap 'umount "$TMP/fs" 2> /dev/null; rm -rf "$TMP"' EXIT
perl -ne 'print "$1\n" if /"message": "(.*?)", "expected"/' models/test.jsonl | head -n 60 >"$TMP/text"

# A folder whose weights are large enough that a moment within the work is likely.
$LAR quantize $M "$TMP/f32.gguf" F32 >/dev/null 2>&1
$LAR export "$TMP/f32.gguf" "$TMP/folder" --quiet >/dev/null 2>&1 || exit 1
start() # KIND INTO: in the place of this shell, so that its process is the one to kill
{
    case $1 in
    convert) exec $LAR convert "$TMP/folder" -o "$2/convert" --quiet ;;
    export) exec $LAR export "$TMP/f32.gguf" "$2/export" --shard-size 3MB --quiet ;;
    quantize) exec $LAR quantize $M "$2/quantize" Q4_K_M --quiet ;;
    parts) exec $LAR quantize $M "$2/parts.gguf" Q8_0 --part-size 2MB --quiet ;;
    imatrix) exec $LAR imatrix $M -f "$TMP/text" -c 64 --chunks 3 -o "$2/imatrix" --quiet ;;
    base) exec $LAR perplexity $M -f "$TMP/text" -c 64 --chunks 3 --save-base "$2/base" --quiet ;;
    quality) exec $LAR quality $M -f "$TMP/text" -c 32 --chunks 2 --types Q6_K,Q4_0 --svg "$2/quality" --quiet ;;
    kept) exec $LAR quality $M -f "$TMP/text" -c 32 --chunks 2 --types Q6_K,Q4_0 --keep "$2/kept" --quiet ;;
    esac
}
make() { (start "$@"); }
kinds='convert export quantize parts imatrix base quality kept'
for k in $kinds; do try "lar makes: $k" make $k "$TMP/want"; done

# All that has a final name in $1/ is what the same work makes when nobody disturbs it. (Figures and plots hold speeds: they must be whole texts.)
whole() # FOLDER
{
    for f in "$1"/*; do
        case ${f##*/} in
        *.tmp-* | '*') continue ;;
        quality) tail -n 1 "$f" | grep -qx '</svg>' || { echo "half a plot"; return 1; } ;;
        kept)
            for g in "$f"/*; do
                case ${g##*/} in
                *.tmp-* | '*') ;;
                quality.json) tail -n 1 "$g" | grep -qx ']}' || { echo "half of quality.json"; return 1; } ;;
                *) cmp "$g" "$TMP/want/kept/${g##*/}" || return 1 ;;
                esac
            done ;;
        export) diff -r "$f" "$TMP/want/export" || return 1 ;;
        parts-00001-of-*) for g in "$TMP/want"/parts-*; do cmp "$g" "$1/${g##*/}" || return 1; done ;; # the first is named last
        *) cmp "$f" "$TMP/want/${f##*/}" || return 1 ;;
        esac
    done
}
settled() { [ -z "$(find "$1" "$TMPDIR" -name '*tmp-*' -o -name 'lar-*')" ]; }

for k in $kinds; do
    bad=0 n=0 ended=0
    mkdir "$TMP/$k"
    # as long as the work takes: moments are drawn from its own time
    long=$(perl -MTime::HiRes=time -e 'print time') && make $k "$TMP/$k" >/dev/null 2>&1
    long=$(perl -MTime::HiRes=time -e 'print time - shift' "$long")
    while [ $n -lt $rounds ]; do
        [ $((n % 2)) = 0 ] || rm -rf "$TMP/$k"/* # over an earlier one, and where there is none
        (start $k "$TMP/$k") >/dev/null 2>&1 </dev/null &
        pid=$!
        perl -MTime::HiRes=sleep -e 'sleep rand(1.1 * shift)' "$long"
        kill -9 $pid 2>/dev/null || ended=$((ended + 1))
        wait $pid 2>/dev/null
        [ $k != export ] || [ ! -e "$TMP/$k/export" ] || ended=$((ended + 1))
        whole "$TMP/$k" >"$TMP/.whole" 2>&1 || { bad=$((bad + 1)); sed "s/^/# $k, round $n: /" "$TMP/.whole"; }
        [ $k != export ] || rm -rf "$TMP/$k/export"
        n=$((n + 1))
    done
    echo "# $k takes $long s"
    ok "$k, killed: what has the name is whole ($rounds times)" test $bad = 0
    try "  ... the next try succeeds" make $k "$TMP/$k"
    ok "  ... with the same result" whole "$TMP/$k"
    ok "  ... and nothing half made is left" settled "$TMP/$k"
done

# ---- a disk that is full -------------------------------------------------------------------------------------------------------------
mkdir "$TMP/fs"
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=3m tmpfs "$TMP/fs" 2>/dev/null; then
    for k in convert export quantize parts kept; do
        rm -rf "$TMP/fs"/*
        echo before >"$TMP/fs/other"
        head -c 900000 /dev/zero >"$TMP/fs/zeros"
        try_status 1 "$k on a full disk is an error" make $k "$TMP/fs"
        ok "  ... which is said" grep -Eq 'No space left' "$TMP/err"
        rm "$TMP/fs/zeros"
        ok "  ... and leaves nothing but what was there" test "$(ls "$TMP/fs") $(cat "$TMP/fs/other")" = "other before"
    done
    for k in imatrix base quality; do
        rm -rf "$TMP/fs"/*
        head -c 4000000 /dev/zero >"$TMP/fs/zeros" 2>/dev/null
        try_status 1 "$k on a full disk is an error" make $k "$TMP/fs"
        ok "  ... and leaves nothing" test "$(ls "$TMP/fs")" = zeros
    done
else
    skip "no file system can be made here"
fi
limited() { (ulimit -f 100 && "$@"); }
mkdir "$TMP/limit"
for k in convert export quantize parts imatrix; do
    try_status 1 "$k: a file that may not grow is an error" limited make $k "$TMP/limit"
    ok "  ... and leaves nothing" test -z "$(ls "$TMP/limit")"
done
tap_done
