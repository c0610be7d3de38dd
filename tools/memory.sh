#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tools/memory.sh [-c CTX] [-k KV] FILE.gguf...: rows of the table in doc/MEMORY.md: what `lar fit --check` foretold for each file and what the
# kernel then counted. Exit status 1 when one is further apart than 3 %. $LAR is the program, build/lar without it.
set -eu
ctx=256 kv=f16
while getopts c:k: o; do
    case $o in
    c) ctx=$OPTARG ;;
    k) kv=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
bad=0
for file; do
    name=${file%/model-f32.gguf}
    "${LAR:-build/lar}" fit "$file" --ctx "$ctx" --kv "$kv" --threads 2 --check --json | NAME=${name##*/} perl -MJSON::PP -e '
        local $/;
        my $c = decode_json(<STDIN>)->{check};
        my $apart = 100 * ($c->{measured} / $c->{foretold} - 1);
        printf "| %s | %d | %s | %.2f | %.2f | %.2f | %+.1f %% |\n", $ENV{NAME}, $c->{ctx}, $c->{kv}, map({ $_ / 2**20 } @$c{qw(own foretold measured)}), $apart;
        exit(abs($apart) > 3)' || bad=1
done
exit $bad
