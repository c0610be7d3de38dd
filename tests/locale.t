#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/locale.t: a host program may have set a locale that writes 0,5. What reads and writes numbers must not care: the tests of it once
# more under such a locale, made here, since hardly a machine has one installed.
. tests/sh.inc

printf 'comment_char %%\nescape_char /\nLC_NUMERIC\ndecimal_point ","\nthousands_sep "."\ngrouping 3;3\nEND LC_NUMERIC\n' >"$TMP/comma.src"
command -v localedef >/dev/null && localedef -c -i "$TMP/comma.src" "$TMP/comma" >/dev/null 2>&1
if [ -n "${RUN-}" ]; then
    skip "another machine's locale (RUN is set)"
elif [ ! -f "$TMP/comma/LC_NUMERIC" ]; then
    skip "no localedef that makes a locale"
else
    tests='num template template_golden gotmpl grammar vocab_hf convert'
    [ -z "${LAR_SLOW-}" ] || tests='num gotmpl' # what sanitizers see is the same under every locale
    for t in $tests; do
        try "test_$t under a comma" env LOCPATH="$TMP" LAR_TEST_LOCALE=comma "$B/tests/test_$t"
    done
fi
# A point of two bytes (Arabic's).
sed 's/","/"<U066B>"/' "$TMP/comma.src" >"$TMP/wide.src"
[ ! -f "$TMP/comma/LC_NUMERIC" ] || localedef -c -f UTF-8 -i "$TMP/wide.src" "$TMP/wide" >/dev/null 2>&1
if [ -n "${RUN-}" ] || [ ! -f "$TMP/wide/LC_NUMERIC" ]; then
    skip "no locale with a point of two bytes"
else
    tests='template gotmpl'
    [ -z "${LAR_SLOW-}" ] || tests=gotmpl
    for t in $tests; do
        try "test_$t under a wide point" env LOCPATH="$TMP" LAR_TEST_LOCALE=wide "$B/tests/test_$t"
    done
fi
tap_done
