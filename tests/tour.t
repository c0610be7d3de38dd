#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/tour.t: the guides tell the truth: each `file:function` that TOUR.md names is defined there, each file that the documents
# name exists, stops are short enough to read, and each make target that is named is one.
. tests/sh.inc

defined() # FILE NAME: a function, struct, enum or macro of that name is defined in that file
{
    grep -Eq "^[a-zA-Z].*[ *]$2\(|^(static |typedef )?(struct|enum|union) $2\b|^#define $2\b|^[a-zA-Z][a-zA-Z0-9_ *]* \*?$2(\[|;| =)" "$1"
}
functions() # DOCUMENT
{
    grep -oE '`[A-Za-z0-9_./-]+\.[a-z]+:[A-Za-z_][A-Za-z0-9_]*`' "$1" | tr -d '\140' | LC_ALL=C sort -u > "$TMP/stops"
    bad=0
    while IFS=: read -r file name; do
        if [ ! -f "$file" ]; then echo "$1: there is no $file"; bad=1
        elif ! defined "$file" "$name"; then echo "$1: $file does not define $name"; bad=1; fi
    done < "$TMP/stops"
    return $bad
}
files() # DOCUMENT: names in backquotes that look like our paths
{
    bad=0
    for f in $(grep -oE '`(src|app|include|tests|tools|doc|models)/[A-Za-z0-9_./-]*`' "$1" | tr -d '\140' | grep -v NAME | LC_ALL=C sort -u); do
        [ -e "$f" ] || { echo "$1: there is no $f"; bad=1; }
    done
    return $bad
}
links() # DOCUMENT: [words](path)
{
    bad=0
    for f in $(grep -oE '\]\([A-Za-z0-9_./-]+\)' "$1" | tr -d '])(' | LC_ALL=C sort -u); do
        [ -e "$(dirname "$1")/$f" ] || { echo "$1: there is no $f"; bad=1; }
    done
    return $bad
}
targets() # DOCUMENT: `make word`
{
    bad=0
    for t in $(grep -oE '`make [a-z]+' "$1" | awk '{ print $2 }' | LC_ALL=C sort -u); do
        grep -Eq "^([a-z -]* )?$t( [a-z -]*)?:" Makefile || { echo "$1: make has no $t"; bad=1; }
    done
    return $bad
}
short() # every .c or .h that is a stop of the tour: the first name in a row's second column
{
    bad=0
    for f in $(awk -F'|' '$2 ~ /[0-9]/ { print $3 }' TOUR.md | grep -oE '`[A-Za-z0-9_./-]+\.[ch]' | tr -d '\140' | LC_ALL=C sort -u); do
        n=$(wc -l < "$f")
        [ "$n" -le 400 ] || { echo "$f has $n lines: too long for a stop"; bad=1; }
    done
    return $bad
}

for d in README.md TOUR.md STYLE.md $(ls doc/*.md models/README.md 2>/dev/null); do
    ok "$d is there" test -s "$d"
    ok "$d: files that it names exist" files "$d"
    ok "$d: links lead somewhere" links "$d"
    ok "$d: functions are where it says" functions "$d"
    ok "$d: make targets exist" targets "$d"
done
ok "the tour names at least ten functions" eval 'functions TOUR.md && [ "$(wc -l < "$TMP/stops")" -ge 10 ]'
ok "the tour's stops have at most 400 lines" short
floors() { for d in $(awk -F: '/^[a-z]/ { print $1 }' tools/house.txt); do grep -qE "^\| [0-9]+ \| \`(src|app)/$d/" TOUR.md || { echo "no stop in $d"; return 1; }; done; }
ok "the tour stops on every floor" floors
minutes() { awk -F'|' '/^\| [0-9]/ { if ($2 + 0 < last) { print "minute " $2 " after " last; bad = 1 } last = $2 + 0 } END { exit bad || last >= 30 }' TOUR.md; }
ok "in order, within thirty minutes" minutes
echo 'See `src/base/mem.h:mem_nothing`, `src/base/nothing.c` and `make coffee`.' > "$TMP/lies.md"
ok "a function that is not there is found out" not functions "$TMP/lies.md"
ok "so is a file" not files "$TMP/lies.md"
ok "so is a target" not targets "$TMP/lies.md"
tap_done
