#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/objects.t: what the compiler made: no wide instruction outside the kernels, only lar_* outside the library, nothing inside
# that prints or ends the process, and a program of the size that we promise.
. tests/sh.inc
: "${OBJDUMP:=objdump}"
cross=${OBJDUMP%objdump}
case $OBJDUMP in *objdump) NM=${cross}nm STRIP=${cross}strip ;; *) NM=nm STRIP=strip ;; esac
objects=$(find "$B/src" "$B/app" -name '*.o' 2>/dev/null | LC_ALL=C sort)
# An object whose source is gone lies there from an earlier build.
objects=$(for o in $objects; do c=${o#"$B/"}; [ ! -e "${c%.o}.c" ] || echo "$o"; done)
arch=$($OBJDUMP -f "$B/liblar.a" | awk '/^architecture/ { print $2; exit }')

without() # PATTERN OBJECT...: no object may hold an instruction or register of that pattern
{
    pattern=$1
    shift
    for o; do
        if $OBJDUMP -d --no-show-raw-insn "$o" | grep -Em1 "$pattern" > "$TMP/found"; then
            echo "$o: $(cat "$TMP/found")"
            return 1
        fi
    done
}
pick() { echo "$objects" | grep -E "$1"; }
leave() { echo "$objects" | grep -Ev "$1"; }

case $arch in
i386:x86-64,|i386:x86-64)
    ok "objects outside src/kern/x86 hold no ymm or zmm register and no VEX instruction" \
        without '%[yz]mm|[[:space:]]v[a-z0-9]+ .*%xmm' $(leave '/src/kern/x86/')
    avx2=$(pick '/src/kern/x86/.*_avx2\.o$')
    [ -z "$avx2" ] || ok "kernels for AVX2 hold no zmm and no mask register" without '%zmm|%k[0-7]\b' $avx2
    [ -z "$avx2" ] || ok "and do hold ymm registers: this test sees what it looks for" not without '%ymm' $avx2
    ;;
aarch64,|aarch64)
    ok "objects outside src/kern/arm hold no dot product and no matrix instruction" \
        without '[[:space:]]([us]dot|[us]mmla|usdot|bfdot|bfmmla)[[:space:]]' $(leave '/src/kern/arm/')
    dot=$(pick '/src/kern/arm/.*_dot\.o$')
    [ -z "$dot" ] || ok "kernels for the dot product hold no matrix instruction" without '[[:space:]]([us]mmla|usmmla|bfmmla)[[:space:]]' $dot
    ;;
*) skip "no instruction rules for $arch" ;;
esac

exports() # FLAG FILE: names that a program could link to, less ours
{
    $NM $1 --defined-only "$2" | awk 'NF == 3 && $2 ~ /^[A-TV-Z]$/ { print $3 }' > "$TMP/names"
    grep -q '^lar_model_open$' "$TMP/names" || { echo "lar_model_open is not among the names"; return 1; }
    ! grep -Ev '^lar_' "$TMP/names"
}
if [ -n "${SAN-}" ]; then
    skip "sanitizers add names of their own"
else
    ok "the static library shows lar_* and nothing else" exports -g "$B/liblar.a"
    ok "and so does the shared one" exports -D "$B/liblar.so"

    quiet() { ! $NM -u "$B/liblar.o" | awk '{ print $2 }' | sed 's/@.*//' |
        grep -Ex '_?exit|abort|quick_exit|printf|vprintf|puts|putchar|perror|stdout|stderr|system|popen|signal|sigaction|__printf_chk'; }
    # (An assert may, but only for a mistake of ours: STYLE.md.)
    ok "the library calls nothing that prints, ends the process or takes signals" quiet
    one_heap() {
        for o in $(pick '/src/' | grep -v '/src/base/mem\.o$'); do
            $NM -u "$o" | grep -Ex ' *U (malloc|calloc|realloc|free|aligned_alloc|posix_memalign|strdup|strndup|asprintf)' && { echo "in $o"; return 1; }
        done
        return 0
    }
    ok "only base/mem.c asks the system for memory" one_heap
    cp "$B/lar" "$TMP/lar"
    small() { $STRIP "$TMP/lar" && size=$(wc -c < "$TMP/lar") && echo "# stripped: $size bytes" && [ "$size" -lt 3000000 ]; }
    ok "the program is smaller than 3 MB when stripped" small
fi
tap_done
