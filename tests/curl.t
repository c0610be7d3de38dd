#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/curl.t: the numbers of libcurl's ABI in app/net/curl.h are those of its own header, where that is here. The program itself needs no header.
. tests/sh.inc
: "${CC:=gcc}"

{
    echo '#include <curl/curl.h>'
    sed -n 's/^ *CURL_\([A-Z0-9_]*\) = CURL_\(LONG\|PTR\|FN\|OFF\) + \([0-9]*\),*$/\1 \2 \3/p' app/net/curl.h |
        while read -r name kind n; do
            case $kind in LONG) base=0 ;; PTR) base=10000 ;; FN) base=20000 ;; OFF) base=30000 ;; esac
            echo "_Static_assert(CURLOPT_$name == $base + $n, \"$name\");"
        done
    cat <<'END'
_Static_assert(CURL_HTTP_VERSION_1_1 == 2 && CURLPROTO_HTTP == 1 && CURLPROTO_HTTPS == 2, "numbers");
_Static_assert(CURLINFO_RESPONSE_CODE == 0x200000 + 2 && CURLINFO_PRIVATE == 0x100000 + 21, "info");
_Static_assert(CURLINFO_REDIRECT_URL == 0x100000 + 31 && CURLMSG_DONE == 1, "info");
_Static_assert(sizeof(CURLMsg) == sizeof(struct { int a; void *b; union { void *c; int d; } e; }), "message");
_Static_assert(offsetof(CURLMsg, data) == 2 * sizeof(void *) && sizeof(curl_off_t) == 8, "message");
END
} > "$TMP/abi.c"
ok "every option that is used is there" test "$(grep -c CURLOPT_ "$TMP/abi.c")" -ge 24
if echo '#include <curl/curl.h>' | $CC -E - > /dev/null 2>&1; then
    ok "and each has the number of the header" $CC -std=c11 -D_GNU_SOURCE -Wno-deprecated-declarations -fsyntax-only -include stddef.h "$TMP/abi.c"
else
    skip "no curl/curl.h for $CC here"
fi
tap_done
