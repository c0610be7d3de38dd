#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_ps.t: `lar ps` and `lar stop` with a server that runs, over TCP, over a Unix socket and with keys, and with none.
. tests/sh.inc
. tests/serve.inc
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
told() { grep -qE -- "$1" "$TMP/out" || { cat "$TMP/out"; return 1; }; }
mkdir -p "$TMP/models"
(cd "$TMP" && printf 'FROM %s\n' "$OLDPWD/models/lar-demo-q8_0.gguf" > Modelfile)
$LAR create clerk -f "$TMP/Modelfile" || exit 1

try_status 1 "ps without a server" $LAR ps --host "$TMP/none.sock"
ok "  ... says so, and how to have one" said "lar serve starts one"
try_status 1 "stop without a server" $LAR stop clerk --host "$TMP/none.sock"
try_status 1 "an address that is none" $LAR ps --host ''

serve
port=${url##*:}
port=${port%/}
try "nothing is loaded" $LAR ps --port "$port"
ok "  ... the head of a table" told '^NAME +ID +SIZE +PROCESSOR +CONTEXT +UNTIL$'
ok "  ... and no more" test "$(wc -l < "$TMP/out")" = 1
post /api/generate '{"model":"clerk","prompt":"hi","stream":false,"options":{"num_predict":1}}'
ok "a model answers" is 200
try "then it is there" $LAR ps --port "$port"
ok "  ... with its digest and how long it stays" told '^clerk(:latest)? +[0-9a-f]{12} +1[0-9]\.[0-9]+ MiB +100% CPU +[0-9]+ +[0-9]+ (minutes|seconds) from now$'
try "as JSON" $LAR ps --port "$port" --json
ok "  ... what the server says" perl tests/look.pl json "$TMP/out" '@{$j->{models}} == 1'
gone() { i=0; while [ $i -lt 600 ]; do $LAR ps --port "$port" > "$TMP/out"; [ "$(wc -l < "$TMP/out")" = 1 ] && return; sleep 0.1; i=$((i + 1)); done; return 1; }
try "stops it" $LAR stop clerk --port "$port"
ok "  ... and it goes" gone
try_status 1 "stopping what nobody knows" $LAR stop nobody --port "$port"
ok "  ... in the server's words" said "the server says 404"
serve_end

hex=$(printf secret | sha256sum | cut -c1-64)
echo "me:$hex" > "$TMP/keys"
chmod 600 "$TMP/keys"
serve --host "$TMP/s.sock" --key-file "$TMP/keys"
try_status 1 "a server with keys wants one" $LAR ps --host "$TMP/s.sock"
ok "  ... which is said" said "the server says 401"
try "with it, over a Unix socket" env LAR_API_KEY=secret $LAR ps --host "$TMP/s.sock"
try "or named" $LAR ps --host "$TMP/s.sock" --key secret
serve_end
tap_done
