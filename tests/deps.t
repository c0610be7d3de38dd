#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/deps.t: tools/install-deps.sh asks for what is missing and for nothing else. apt-get, sudo and id are stand-ins here that
# write down how they were called; nothing is installed.
. tests/sh.inc

real=$PATH
bin=$TMP/bin
mkdir -p "$bin"
fake() # NAME SCRIPT
{
    rm -f "$bin/$1"
    printf '#!/bin/sh\n%s\n' "$2" > "$bin/$1"
    chmod +x "$bin/$1"
}
world() # a PATH that holds the usual commands less those named
{
    rm -f "$bin"/*
    for c in sh env cat grep awk sed mkdir rm gcc clang make objcopy curl openssl prove pkg-config g++ nginx docker-registry qemu-aarch64 aarch64-linux-gnu-gcc; do
        case " $* " in *" $c "*) continue ;; esac
        path=$(PATH=$real command -v "$c") || path=
        if [ -n "$path" ]; then ln -s "$path" "$bin/$c"; else fake "$c" 'exit 0'; fi
    done
    fake apt-get "echo apt-get \"\$@\" >> '$TMP/calls'"
    fake id 'echo 0'
    : > "$TMP/calls"
}
deps() { PATH=$bin tools/install-deps.sh "$@"; }
said() { grep -qF -- "$1" "$TMP/$2" || { cat "$TMP/$2"; return 1; }; }
empty() { [ ! -s "$1" ] || { cat "$1"; return 1; }; }

if [ -e /usr/include/stdio.h ]; then
    world
    try "does nothing when all is there" deps gcc '' EDIT=0
    ok "without a word" empty "$TMP/err"
    ok "and without calling apt-get" empty "$TMP/calls"
else
    skip "no C library headers here"
fi
world prove
try "installs what is missing" deps gcc '' EDIT=0
ok "and says why" said 'perl is missing: prove, which runs the tests' err
ok "by apt-get" said 'install -y --no-install-recommends perl' calls
world aarch64-linux-gnu-gcc qemu-aarch64
try "follows CC and RUN" deps aarch64-linux-gnu-gcc 'qemu-aarch64 -L /usr/aarch64-linux-gnu' EDIT=0
ok "to the cross compiler" said gcc-aarch64-linux-gnu calls
ok "and the emulator" said qemu-user calls
world g++ clang
try "takes several wishes, also for the same thing" deps gcc '' EDIT=0 cxx ci
ok "and fulfils each once" said 'install -y --no-install-recommends g++ clang' calls
world clang
try "does not want a compiler that nobody named" deps gcc '' EDIT=0
ok "so clang stays away" not said clang calls
world prove
fake id 'echo 1000'
fake sudo 'exit 1'
try_status 1 "fails when it may not install" deps gcc '' EDIT=0
ok "and names what to type" said 'sudo apt-get install perl' err
fake sudo "shift; echo sudo \"\$@\" >> '$TMP/calls'"
try "uses sudo when that asks for nothing" deps gcc '' EDIT=0
ok "for the installation" said 'sudo apt-get' calls
world prove
fake apt-get 'echo "E: no network" >&2; exit 100'
try_status 100 "fails when apt-get fails" deps gcc '' EDIT=0
try_status 2 "refuses a word that it does not know" deps gcc '' chocolate
asks_for_line_editing() { make -n deps CC=gcc-that-is-not-here 2>/dev/null | grep -q 'EDIT=1'; }
ok "before there is a compiler, line editing is already asked for" asks_for_line_editing
tap_done
