#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_cache.t: prompts that were read are there after a restart (--cache-dir); what is damaged is read again; a kill loses nothing.
. tests/sh.inc
. tests/serve.inc
MODEL=models/lar-demo-q8_0.gguf
DIR=$TMP/cache
LONG=$(awk 'BEGIN { for (i = 0; i < 90; i++) printf "The kettle %d is warm. ", i * 7 % 31 }')

complete() { post /v1/completions "{\"prompt\":\"$LONG$1\",\"max_tokens\":12,\"temperature\":0,\"seed\":1}"; }
cached() { sed -n 's/.*"cached_tokens":\([0-9]*\).*/\1/p' "$TMP/body"; }
text() { sed -n 's/.*"text":\(".*"\),"logprobs".*/\1/p' "$TMP/body" | grep .; }
start() { serve -m "demo=${2:-$MODEL}" --ctx 2048 --cache-dir "$DIR" ${1:-}; }
files() { find "$DIR" -name '*.kv' | wc -l; }

start
complete One
ok "a long prompt is read" is 200
text > "$TMP/answer"
ok "and nothing of it was there" test "$(cached)" = 0
ok "nor is anything written while memory has room" test "$(files)" = 0
serve_end
n=$(files)
ok "at the end it is in the folder" test "$n" -ge 8
ok "which only its owner may look into" sh -c "test \$(stat -c %a '$DIR') = 700 && ! find '$DIR' -type f ! -perm 600 | grep ."
ok "no half of a file is left" sh -c "! find '$DIR' -name 'new-*' | grep ."

start
complete One
reused=$(cached)
ok "after a restart most of the same prompt is there ($reused tokens)" test "$reused" -ge $((n * 64 - 128))
ok "and the answer is the same" sh -c '[ "$1" = "$(cat "$2")" ]' - "$(text)" "$TMP/answer"
complete Two
ok "another that begins alike finds it too" test "$(cached)" -ge $((n * 64 - 192))
get /metrics
ok "pages that were read back are counted" awk '$1 == "lar_disk_cache_hits_total" && $2 >= 8 { n++ } $1 == "lar_disk_cache_read_bytes_total" && $2 > 8000 { n++ } $1 == "lar_disk_cache_bytes" && $2 > 8000 { n++ } END { exit n != 3 }' "$TMP/body"
ok "and prompts that were not there" grep -qx 'lar_disk_cache_misses_total [0-9]*' "$TMP/body"
try_status 2 "a second server with this folder is refused" "$LAR" serve --port 0 --cache-dir "$DIR" $MODEL
ok "and told why" grep -q "another server uses this folder" "$TMP/err"
kill -9 "$server"
wait "$server" 2>/dev/null || :
server=

# damage: a bit of one file, another cut, one of nonsense, one that is another's
set -- $(find "$DIR" -name '*.kv' | sort)
ok "there are files to damage" test $# -ge 6
perl -e 'open F, "+<", $ARGV[0]; seek F, 3000, 0; read F, $c, 1; seek F, 3000, 0; print F chr(ord($c) ^ 4)' "$1"
head -c 1000 "$2" > "$2.short" && mv "$2.short" "$2"
echo nonsense > "$3"
cp "$5" "$4"
: > "$DIR/new-123"
: > "$DIR/somebody-elses"
start
complete One
ok "a folder with damaged files gives the same answer" sh -c '[ "$1" = "$(cat "$2")" ]' - "$(text)" "$TMP/answer"
ok "of fewer tokens that were there" test "$(cached)" -lt "$reused"
ok "what is damaged is told" grep -q "cache: .*removed" "$TMP/server"
ok "halves of an earlier server are gone, others' files are not" sh -c "test ! -e '$DIR/new-123' && test -e '$DIR/somebody-elses'"
serve_end
start
complete One
ok "and next time it is there again" test "$(cached)" = "$reused"
serve_end

start "--kv f32"
complete One
ok "another kind of keys and values does not take it" test "$(cached)" = 0
serve_end

start "--cache-size 60000 --read-only"
complete Other
serve_end
ok "the folder keeps to its size" test "$(find "$DIR" -name '*.kv' -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }')" -le 60000
try_status 2 "a size without a folder is refused" "$LAR" serve --port 0 --cache-size 1G $MODEL

# a recurrent model: whole beginnings
rm -rf "$DIR"
start "" tests/data/golden/lfm2
LONG=$(awk 'BEGIN { for (i = 0; i < 60; i++) printf "%s%d", i ? "," : "", i * 7 % 90 + 3 }')
post /v1/completions "{\"prompt\":[$LONG],\"max_tokens\":8,\"temperature\":0}"
ok "a recurrent model answers" is 200
serve_end
ok "its beginnings are kept" test "$(files)" -ge 1
start "" tests/data/golden/lfm2
post /v1/completions "{\"prompt\":[$LONG,5,6,7],\"max_tokens\":8,\"temperature\":0}"
ok "and go on after a restart" test "$(cached)" = 60
text > "$TMP/answer"
serve_end
rm -rf "$DIR"
start "" tests/data/golden/lfm2
post /v1/completions "{\"prompt\":[$LONG,5,6,7],\"max_tokens\":8,\"temperature\":0}"
ok "with the answer that it gives without" sh -c '[ "$1" = "$(cat "$2")" ]' - "$(text)" "$TMP/answer"
serve_end
tap_done
