#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tools/install-deps.sh CC RUN [WHAT...]: installs the Debian packages that a build or the tests need and that are not here.
#
# WHAT: `EDIT=1` the chat's line editing, `ci` everything that .ci/run needs. Says what it installs and why, and does
# nothing when all is there. Uses apt-get as root, or through sudo when that asks for no password; where neither is to be
# had it names the command to type and fails.
set -eu
CC=${1:-gcc}
RUN=${2-}
shift 2 || true

list= # packages
need() # PACKAGE WHY COMMAND...: wanted unless COMMAND succeeds
{
    package=$1 why=$2
    shift 2
    "$@" >/dev/null 2>&1 && return
    case " $list " in *" $package "*) return 0 ;; esac
    echo "install-deps: $package is missing: $why" >&2
    list="$list $package"
}
has() { command -v "$1"; }
has_file() { for f in "$@"; do [ ! -e "$f" ] || return 0; done; return 1; }

compiler() # CC: the compiler and its libc
{
    case $1 in
    *clang*) need clang "the compiler that CC names" has clang
             need libc6-dev "the C library's headers" has_file /usr/include/stdio.h ;;
    aarch64-linux-gnu-gcc*)
        need gcc-aarch64-linux-gnu "the compiler that CC names" has aarch64-linux-gnu-gcc
        need libc6-dev-arm64-cross "the C library of that machine" has_file /usr/aarch64-linux-gnu/include/stdio.h ;;
    *)  need gcc "the C compiler" has gcc
        need libc6-dev "the C library's headers" has_file /usr/include/stdio.h ;;
    esac
}
emulator() # RUN
{
    case $1 in qemu-*) need qemu-user "runs programs of another machine" has "${1%% *}" ;; esac
}

need make "reads the Makefile" has make
need binutils "ar, objcopy and objdump" has objcopy
need perl "prove, which runs the tests" has prove
need pkg-config "the test of the installed library" has pkg-config
need libmicrohttpd-dev "HTTP for lar serve" has_file /usr/include/microhttpd.h
compiler "$CC"
emulator "$RUN"
for what; do
    case $what in
    EDIT=1) need libedit-dev "line editing in the chat" has_file /usr/include/editline/readline.h ;;
    EDIT=0) ;;
    cxx)
        need g++ "the public headers are also compiled as C++" has g++
        need curl "the tests of lar serve" has curl
        need openssl "the tests of lar serve: a certificate" has openssl
        ;;
    net) need libcurl4 "lar pull (loaded when it is wanted)" has_file /usr/lib/*/libcurl.so.4 /usr/lib/libcurl.so.4 ;;
    ci)
        need libcurl4 "lar pull (loaded when it is wanted)" has_file /usr/lib/*/libcurl.so.4 /usr/lib/libcurl.so.4
        need g++ "the public headers are also compiled as C++" has g++
        need curl "the tests of lar serve" has curl
        need openssl "the tests of lar serve: a certificate" has openssl
        need nginx-light "the tests of lar pull" has nginx
        need docker-registry "the tests of lar push" has docker-registry
        need clang "the second compiler" has clang
        need libclang-rt-14-dev "clang's sanitizers and fuzzer" has_file /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-x86_64.a
        compiler aarch64-linux-gnu-gcc
        emulator qemu-aarch64
        ;;
    *) echo "install-deps: unknown word $what" >&2; exit 2 ;;
    esac
done
[ -n "$list" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
    sudo='sudo -n'
    $sudo true 2>/dev/null || { echo "install-deps: not root, and sudo would ask: please type  sudo apt-get install$list" >&2; exit 1; }
fi
command -v apt-get >/dev/null || { echo "install-deps: no apt-get here; please install what the packages$list of Debian hold" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
echo "install-deps: apt-get install$list" >&2
# shellcheck disable=SC2086
$sudo apt-get -qq update && $sudo apt-get -qq install -y --no-install-recommends $list >&2
