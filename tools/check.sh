#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tools/check.sh: runs test programs and test scripts under prove(1). Called by `make check`, which sets B, CC and RUN.
#
# Programs are run through RUN (an emulator, usually nothing); scripts run here and find the program under test in $LAR, which
# is a wrapper when there is an emulator, so that they need not know. Every test has ten minutes and no stdin.
set -eu
case ${1-} in
--one)
    test=$2
    case $test in
    *.t) exec timeout -k 10 600 sh "$test" </dev/null ;;
    *) exec timeout -k 10 600 ${RUN-} "$test" </dev/null ;;
    esac
    ;;
esac

LAR=$PWD/$B/lar
case $B in /*) LAR=$B/lar ;; esac
if [ -n "${RUN-}" ]; then
    mkdir -p "$B/run"
    printf '#!/bin/sh\nexec %s "%s" "$@"\n' "$RUN" "$LAR" > "$B/run/lar"
    chmod +x "$B/run/lar"
    LAR=$(cd "$B/run" && pwd)/lar
fi
export LAR
exec prove -e "$0 --one" "$@"
