#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tools/check.sh [PROVE OPTION...] TEST...: runs test programs and test scripts under prove(1). Called by `make check`, which sets B, CC
# and RUN in the environment.
#
# Programs run through RUN (an emulator, usually nothing). Scripts run here and find the program under test in $LAR, which is
# a wrapper when there is an emulator, so that they need not know. Every test has ten minutes (thirty where all is slower) and no stdin. Where tests run many times
# slower (RUN or SAN set) LAR_SLOW=1 tells those that can do with less. What each test said lies in $B/tap, and what was skipped is
# told on stderr: a test that did not run should be seen.
set -eu

if [ "${1-}" = --one ]; then
    test=$2
    tap=$B/tap/$(echo "${test##*/}" | tr -c 'a-zA-Z0-9._\n' _)
    status=0
    limit=${LAR_SLOW:+1800}
    limit=${limit:-600}
    case $test in
    *.t) timeout -k 10 $limit sh "$test" </dev/null >"$tap" || status=$? ;;
    *) timeout -k 10 $limit ${RUN-} "$test" </dev/null >"$tap" || status=$? ;;
    esac
    cat "$tap"
    [ $status != 124 ] || echo "$test: stopped after $limit seconds" >&2
    sed -n 's/^ok [0-9]*.*# SKIP */ /p' "$tap" | sort | uniq -c | sed "s|^ *|${test##*/}: skipped |" >&2
    exit $status
fi

LAR=$PWD/$B/lar
case $B in /*) LAR=$B/lar ;; esac
if [ -n "${RUN-}" ]; then
    mkdir -p "$B/run"
    printf '#!/bin/sh\nexec %s "%s" "$@"\n' "$RUN" "$LAR" > "$B/run/lar"
    chmod +x "$B/run/lar"
    LAR=$(cd "$B/run" && pwd)/lar
fi
export LAR
[ -z "${RUN-}${SAN-}" ] || export LAR_SLOW=1
export LSAN_OPTIONS="suppressions=$PWD/tools/lsan.supp:print_suppressions=0"
rm -rf "$B/tap"
mkdir -p "$B/tap"
exec prove --timer -e "$0 --one" "$@"
