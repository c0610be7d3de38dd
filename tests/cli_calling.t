#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_calling.t: lar run --tools: calls of functions as lines of JSON, held to their schemas.
. tests/sh.inc
model=models/lar-demo-q8_0.gguf
cat > "$TMP/tools" << 'EOF'
[{"type":"function","function":{"name":"refund","description":"Pays an order back","parameters":{"type":"object",
 "properties":{"order":{"type":"string","pattern":"^[A-Z]-[0-9]{5}$"},"full":{"type":"boolean"}},"required":["order","full"]}}},
 {"type":"function","function":{"name":"now"}}]
EOF
line='^\{"name":"refund","arguments":\{("order":"[A-Z]-[0-9]{5}","full":(true|false)|"full":(true|false),"order":"[A-Z]-[0-9]{5}")\}\}$'
run() { $LAR run $model --temp 0 --tools "$TMP/tools" "$@" 'I want my money back for A-48213!' > "$TMP/out" 2> "$TMP/err"; }
code() { want=$1; shift; got=0; "$@" || got=$?; [ $got = "$want" ] || { echo "exit code $got"; cat "$TMP/err"; return 1; }; }
ok "a tool by its name is called" code 0 run --tool-choice refund --one-call
ok "the call is one line of JSON that the schema accepts" sh -c '[ "$(wc -l < "$1")" = 1 ] && grep -Eq "$2" "$1"' - "$TMP/out" "$line"
ok "with nothing on standard error" sh -c '[ ! -s "$1" ]' - "$TMP/err"
ok "with --json" code 0 run --tool-choice refund --one-call --json
ok "calls stand beside the text" perl tests/look.pl json "$TMP/out" '$j->{text} eq "" && @{$j->{tool_calls}} == 1 && $j->{tool_calls}[0]{name} eq "refund" && $j->{stop} eq "end"'
ok "left to itself the model answers" code 0 run
ok "with text and no call" sh -c 'grep -q "\"intent\"" "$1" && ! grep -q arguments "$1"' - "$TMP/out"
ok "a name that there is not is refused" code 2 run --tool-choice nobody
ok "by that name" grep -q "nobody" "$TMP/err"
ok "not with another form of the answer" code 2 run --regex a
echo '[{"type":"web_search"}]' > "$TMP/tools"
ok "what is no function is refused by its type" code 2 run
ok "which is named" grep -q web_search "$TMP/err"
ok "a choice needs tools" code 2 $LAR run $model --tool-choice none x 2> /dev/null
tap_done
