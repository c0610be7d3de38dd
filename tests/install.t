#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/install.t: `make install` puts everything where it belongs, and strangers' programs (tests/example) compile
# against what lies there, by pkg-config alone, with the shared library and with the static one, and answer.
. tests/sh.inc
: "${CC:=gcc}" "${CXX:=g++}" "${MAKE:=make}"
model=models/lar-demo-q8_0.gguf
root=$TMP/root
at=$root/opt/lar
san=${SAN:+-fsanitize=$SAN}
abi=$(sed -n 's/^#define LAR_ABI //p' include/lar/lar.h)

try "make install" $MAKE -s --no-print-directory B="$B" CC="$CC" SAN="${SAN-}" ${EDIT:+EDIT="$EDIT"} WERROR="${WERROR-}" \
    DESTDIR="$root" PREFIX=/opt/lar install
for f in bin/lar lib/liblar.a lib/liblar.so.$abi lib/liblar.so lib/pkgconfig/lar.pc include/lar/lar.h include/lar/err.h share/man/man1/lar.1; do
    ok "$f is there" test -s "$at/$f"
done
ok "the program is without symbols, below 3 MB" test "$(wc -c < "$at/bin/lar")" -lt $((${SAN:+100}3))000000
strangers() { ! find "$root" -type f | sed "s|^$at/||" | grep -Ev '^(bin/lar|lib/liblar\.(a|so\.[0-9.]+)|lib/pkgconfig/lar\.pc|include/lar/[a-z]+\.h|share/man/man1/lar[a-z-]*\.1|lib/systemd/system/lar\.(service|socket))$'; }
ok "and nothing else" strangers
ok "systemd's unit starts the program where it was put" grep -q '^ExecStart=/opt/lar/bin/lar serve' "$at/lib/systemd/system/lar.service"

# Installed in earnest by root, the library is made known to the loader; into a package's folder it is not.
plain=$TMP/plain
put() # WHERE...
{
    $MAKE -s --no-print-directory B="$B" CC="$CC" SAN="${SAN-}" ${EDIT:+EDIT="$EDIT"} WERROR="${WERROR-}" \
        LDCONFIG="touch $TMP/known; false" "$@" install
}
try "a packager's make install" put DESTDIR="$TMP/package" PREFIX=/usr/local
ok "leaves the loader alone" test ! -e "$TMP/known"
try "make install with no such folder" put PREFIX="$TMP/plain"
ok "makes the library known, when root does it" test "$([ -e "$TMP/known" ] && echo 0)" = "$(id -u | grep -x 0)"
ok "  ... and says nothing about it" test ! -s "$TMP/err"
if ! command -v pkg-config >/dev/null; then
    skip "no pkg-config here"
    tap_done
fi
pc() { PKG_CONFIG_PATH=$at/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root pkg-config "$@" lar; }
ok "pkg-config finds the library" pc --exists
try "and knows its version" pc --modversion
ok "which is the one that the library gives itself" grep -qx "$(sed -n 's/^VERSION *:= *//p' Makefile)" "$TMP/out"

warn='-Wall -Wextra -Wpedantic -Werror'
compile() # NAME COMPILER FLAGS...: with the flags that pkg-config gives, outside the project's folder
{
    name=$1 compiler=$2
    shift 2
    $compiler $warn $san "tests/example/${source:-answer.c}" $(pc --cflags) "$@" -o "$TMP/$name"
}
answers() # NAME: the example says what the program itself says
{
    ${RUN-} "$TMP/$1" $model "$message" > "$TMP/answer" || return 1
    echo "# $(cat "$TMP/answer")"
    cmp "$TMP/answer" "$TMP/wanted"
}
message='Where is my parcel? Order number 4711-A, please hurry.'
try "the program answers" $LAR run $model --temp 0 "$message"
cp "$TMP/out" "$TMP/wanted"
ok "with a JSON object" grep -q '^{"intent":"[a-z_]*",.*}$' "$TMP/wanted"
ok "the example compiles with the shared library" compile shared "$CC" -std=c11 $(pc --libs) "-Wl,-rpath,$at/lib"
ok "and answers the same" answers shared
ok "the example compiles with the static library" compile static "$CC" -std=c11 "$at/lib/liblar.a" $(pc --static --libs-only-other) -lm
ok "and answers the same" answers static
ok "a program of its own names is no clash: model_open, buf_add, kv_fork" sh -c "
    printf 'int model_open = 1, buf_add = 2, mem_alloc = 3, json_parse = 4, lar_fail = 5;\n' > '$TMP/names.c' &&
    $CC $san -c '$TMP/names.c' -o '$TMP/names.o'"
ok "not even in the static library" compile clash "$CC" -std=c11 "$TMP/names.o" "$at/lib/liblar.a" -lm -pthread
ok "and answers the same" answers clash
ok "programs ask the system for this form of the library: liblar.so.$abi" eval '[ -n "$abi" ] && grep -q "liblar\.so\.$abi" "$TMP/shared"'

# Evaluating and sampling by its own hand, the seed told, and the same again from that seed by the program.
source=tokens.c
ok "the example that evaluates and samples compiles" compile tokens "$CC" -std=c11 $(pc --libs) "-Wl,-rpath,$at/lib"
try "and goes on with a text" ${RUN-} "$TMP/tokens" $model 'Once upon'
seed=$(sed -n 's/^seed //p' "$TMP/err")
mv "$TMP/out" "$TMP/drawn"
ok "telling the seed it drew with" expr "$seed" : '[0-9][0-9]*$'
try "with which the program" $LAR run $model --raw --ctx 512 --seed "$seed" 'Once upon'
# Bytes that are no UTF-8, which sampling may draw, are what they are here and U+FFFD there.
for f in drawn out; do LC_ALL=C tr -cd ' -~' < "$TMP/$f" > "$TMP/$f.ascii"; done
ok "writes the same" cmp "$TMP/drawn.ascii" "$TMP/out.ascii"
ok "and something" test -s "$TMP/drawn.ascii"
source=
try_status 1 "without a model it fails" ${RUN-} "$TMP/shared" /nonexistent.gguf hello
ok "and says which file" grep -q '/nonexistent.gguf' "$TMP/err"
try "make uninstall" $MAKE -s --no-print-directory B="$B" CC="$CC" SAN="${SAN-}" ${EDIT:+EDIT="$EDIT"} DESTDIR="$root" PREFIX=/opt/lar uninstall
ok "leaves no file" eval '[ -z "$(find "$root" ! -type d)" ]'
tap_done
