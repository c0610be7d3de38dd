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
# What is passed by struct may change only together with LAR_ABI, which is in the shared library's name (lar.h, "Growing").
awk -f tools/abi.awk include/lar/*.h > "$TMP/abi"
changed() { ! cmp "$TMP/abi" tests/data/abi.txt; }
counted() { [ "$(grep '^LAR_ABI ' "$TMP/abi")" != "$(grep '^LAR_ABI ' tests/data/abi.txt)" ]; }
recorded()
{
    if ! changed; then return 0; fi
    diff tests/data/abi.txt "$TMP/abi" | cut -c1-120
    counted || echo "a struct or enum of include/lar changed: count LAR_ABI in lar.h up"
    echo "then record what there is: awk -f tools/abi.awk include/lar/*.h > tests/data/abi.txt"
    return 1
}
ok "structs and enums are those of this LAR_ABI" recorded
sed 's/int batch; /&int more; /' include/lar/lar.h > "$TMP/lar.h"
awk -f tools/abi.awk "$TMP/lar.h" > "$TMP/more"
ok "a member more would be seen" not cmp -s "$TMP/more" "$TMP/abi"
# Those of src/kern/x86, arm and vec are bodies for files with flags of their own.
inside() { for h in $(find src -name '*.h' ! -path 'src/kern/*/*' | LC_ALL=C sort); do alone "$CC" c '-std=c11 -D_GNU_SOURCE -Isrc -Iinclude' "${h#src/}" || return 1; done; }
ok "each header of the inside alone" inside
tap_done
