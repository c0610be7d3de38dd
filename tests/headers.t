#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/headers.t: each public header compiles alone, as C and as C++, in the oldest and newest form that we promise, and says
# nothing under strict warnings. Headers of the inside compile alone too, so that an include line can stand anywhere.
. tests/sh.inc
: "${CC:=gcc}" "${CXX:=g++}"
strict='-Wall -Wextra -Wpedantic -Wundef -Wstrict-aliasing -Werror -fsyntax-only'

alone() # COMPILER LANGUAGE FLAGS HEADER
{
    printf '#include <%s>\n#include <%s>\nint main(void) { return 0; }\n' "$4" "$4" > "$TMP/alone"
    $1 $3 $strict -x "$2" "$TMP/alone"
}
for h in include/lar/*.h; do
    name=lar/${h##*/}
    ok "$name alone as C11" alone "$CC" c '-std=c11 -Iinclude -Wstrict-prototypes' "$name"
    ok "$name alone as C99" alone "$CC" c '-std=c99 -Iinclude' "$name"
    if command -v "${CXX%% *}" >/dev/null; then
        ok "$name alone as C++11" alone "$CXX" c++ '-std=c++11 -Iinclude' "$name"
        ok "$name alone as C++20" alone "$CXX" c++ '-std=c++20 -Iinclude' "$name"
    else
        skip "$name as C++: no ${CXX%% *} here"
    fi
done
# Those of src/kern/x86, arm and vec are bodies for files with flags of their own.
inside() { for h in $(find src -name '*.h' ! -path 'src/kern/*/*' | LC_ALL=C sort); do alone "$CC" c '-std=c11 -D_GNU_SOURCE -Isrc -Iinclude' "${h#src/}" || return 1; done; }
ok "each header of the inside alone" inside
tap_done
