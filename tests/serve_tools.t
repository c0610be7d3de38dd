#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_tools.t: functions that the model may call, in three dialects. The demonstration model has never heard of tools: what it must call it
# calls with arguments that the schema accepts, and what it need not it leaves alone.
. tests/sh.inc
. tests/serve.inc
serve --model demo=models/lar-demo-q8_0.gguf
schema='{"type":"object","properties":{"order":{"enum":["A-1","B-2"]},"full":{"type":"boolean"}},"required":["order","full"],"additionalProperties":false}'
tool="{\"type\":\"function\",\"function\":{\"name\":\"refund\",\"parameters\":$schema}}"
other='{"type":"function","function":{"name":"count","parameters":{"type":"object","properties":{"n":{"type":"integer","minimum":3,"maximum":7}},"required":["n"],"additionalProperties":false}}}'
message='{"role":"user","content":"Where is my order?"}'
chat() { post /v1/chat/completions "{\"model\":\"demo\",\"temperature\":0,\"messages\":[$message]$1}"; }

# ---- OpenAI ------------------------------------------------------------------------------------------------------------
chat ",\"tools\":[$tool,$other],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"refund\"}},\"parallel_tool_calls\":false"
ok "a tool by name is called" has '$j->{choices}[0]{finish_reason} eq "tool_calls" && $j->{choices}[0]{message}{tool_calls}[0]{function}{name} eq "refund" && !defined $j->{choices}[0]{message}{content}'
ok "with arguments of its schema" has '$j->{choices}[0]{message}{tool_calls}[0]{function}{arguments} =~ /^\{(?=.*"order" ?: ?"(A-1|B-2)")(?=.*"full" ?: ?(true|false)).*\}$/s'
ok "under an id of its own" has '$j->{choices}[0]{message}{tool_calls}[0]{id} =~ /^[0-9a-z]{9}$/ && $j->{choices}[0]{message}{tool_calls}[0]{type} eq "function"'
chat ",\"tools\":[$tool,$other],\"tool_choice\":\"required\",\"parallel_tool_calls\":false,\"n\":3"
ok "where one is required each answer calls one" has '(grep { @{$_->{message}{tool_calls}} == 1 && $_->{message}{tool_calls}[0]{function}{name} =~ /^(refund|count)$/ } @{$j->{choices}}) == 3'
chat ",\"tools\":[$tool,$other],\"tool_choice\":\"required\",\"parallel_tool_calls\":false,\"stream\":true"
events '1' > /dev/null
ok "a stream names the call once" sh -c 'perl tests/look.pl json "$1" '\''(grep { $_->{choices}[0]{delta}{tool_calls} && $_->{choices}[0]{delta}{tool_calls}[0]{id} } @$j) == 1'\' - "$TMP/events"
ok "and gives its arguments in fragments" sh -c 'perl tests/look.pl json "$1" '\''my $a = join "", map { map { $_->{function}{arguments} } @{$_->{choices}[0]{delta}{tool_calls} || []} } @$j; (grep { $_->{choices}[0]{delta}{tool_calls} } @$j) > 3 && $a =~ /^\{.*\}$/s && $j->[-1]{choices}[0]{finish_reason} eq "tool_calls"'\' - "$TMP/events"
chat ",\"tools\":[$tool],\"max_tokens\":200"
ok "a model that knows no tools answers without" has '$j->{choices}[0]{finish_reason} eq "stop" && $j->{choices}[0]{message}{content} =~ /intent/ && !$j->{choices}[0]{message}{tool_calls}'
with=$(perl tests/look.pl get "$TMP/body" '$j->{usage}{prompt_tokens}')
chat ",\"tools\":[$tool],\"tool_choice\":\"none\""
ok "with none it is not told of them" has "\$j->{usage}{prompt_tokens} < $with / 2"
post /v1/chat/completions "{\"model\":\"demo\",\"max_tokens\":3,\"tools\":[$tool],\"messages\":[$message,{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"x\",\"type\":\"function\",\"function\":{\"name\":\"refund\",\"arguments\":\"{\\\"order\\\":\\\"A-1\\\",\\\"full\\\":true}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"x\",\"content\":\"done\"}]}"
ok "takes back what a tool gave" is 200
for bad in "\"tool_choice\":\"required\"" "\"tools\":[$tool],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"nobody\"}}" "\"tools\":[$tool,$tool]" \
    "\"tools\":[{\"type\":\"web_search\"}]" "\"tools\":[$tool],\"response_format\":{\"type\":\"json_object\"}" "\"tools\":[$tool],\"tool_choice\":\"maybe\"" \
    '"tools":[{"type":"function","function":{"name":"x","parameters":{"type":"object","properties":{"a":{"$ref":"http://example.com/x"}}},"strict":true}}]'; do
    chat ",$bad"
    ok "refused: $(printf %.60s "$bad")" is 400
done

# ---- what is no call, what cannot be held, what was compiled before ------------------------------------------------------
cut="\"tools\":[$tool],\"tool_choice\":\"required\",\"max_tokens\":24"
chat ",$cut"
ok "a call that is cut off is text with a warning" has '$j->{choices}[0]{message}{content} =~ /refund/ && !$j->{choices}[0]{message}{tool_calls} && $j->{choices}[0]{warning} =~ /ends within it/ && $j->{choices}[0]{finish_reason} eq "length"'
chat ",$cut,\"stream\":true"
events '1' > /dev/null
ok "in a stream too" sh -c 'perl tests/look.pl json "$1" '\''join("", map { $_->{choices}[0]{delta}{content} // "" } @$j) =~ /refund/ && $j->[-1]{choices}[0]{warning} =~ /ends within it/'\' - "$TMP/events"
post /api/chat "{\"model\":\"demo\",\"stream\":false,\"options\":{\"temperature\":0,\"num_predict\":40},\"messages\":[$message],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"x\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"\$ref\":\"http://example.com/x\"}}}}}]}"
ok "why calls are free is told" has '$j->{done} && $j->{warning} =~ m{^calls are not held to the schemas: .*http://example.com/x}'
number() { get /metrics && awk -v n="$1" '$1 == n { v = $2 } END { print v + 0 }' "$TMP/body"; }
made=$(number lar_grammars_compiled_total) found=$(number lar_grammars_reused_total)
chat ",\"tools\":[$tool,$other],\"tool_choice\":\"required\",\"max_tokens\":3"
chat ",\"tools\":[$tool,$other],\"tool_choice\":\"required\",\"max_tokens\":3"
ok "tools that were compiled are there for the next request" test "$(number lar_grammars_compiled_total) $(number lar_grammars_reused_total)" = "$((made + 1)) $((found + 1))"
format="\"max_tokens\":3,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\",\"schema\":{\"enum\":[\"cached\"]}}}"
chat ",$format"
chat ",$format"
ok "and so are schemas" test "$(number lar_grammars_compiled_total) $(number lar_grammars_reused_total)" = "$((made + 2)) $((found + 2))"

part='{"type":"object","properties":{"a":{"enum":["x"],"$ref":"http://else.example/x"}},"required":["a"],"additionalProperties":false}'
chat ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\",\"schema\":$part}}"
ok "a schema that cannot be enforced is refused" is 400
chat ",\"partial\":true,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\",\"schema\":$part}}"
ok "or, when asked for, enforced in part" has '$j->{choices}[0]{message}{content} =~ /"a"\s*:\s*"x"/ && $j->{choices}[0]{warning} =~ m{/properties/a/\$ref.*perhaps valid}s'
post /api/chat "{\"model\":\"demo\",\"stream\":false,\"partial\":true,\"format\":$part,\"messages\":[$message]}"
ok "by Ollama's clients too" has '$j->{warning} =~ m{/properties/a/\$ref}'

# ---- Ollama --------------------------------------------------------------------------------------------------------------
post /api/chat "{\"model\":\"demo\",\"stream\":false,\"options\":{\"temperature\":0},\"messages\":[$message],\"tools\":[$tool]}"
ok "Ollama's tools need not be called" has '$j->{message}{content} =~ /intent/ && !$j->{message}{tool_calls} && $j->{done}'
post /api/chat "{\"model\":\"demo\",\"stream\":false,\"options\":{\"num_predict\":3},\"tools\":[$tool],\"messages\":[$message,{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"refund\",\"arguments\":{\"order\":\"A-1\",\"full\":true}}}]},{\"role\":\"tool\",\"tool_name\":\"refund\",\"content\":\"done\"}]}"
ok "and what they gave is taken" is 200

# ---- Anthropic -----------------------------------------------------------------------------------------------------------
ask="\"model\":\"demo\",\"max_tokens\":200,\"temperature\":0,\"tools\":[{\"name\":\"refund\",\"description\":\"Pays back\",\"input_schema\":$schema}],\"messages\":[$message]"
post /v1/messages "{$ask,\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":true}}"
ok "any tool is used" has '@{$j->{content}} == 1 && $j->{content}[0]{type} eq "tool_use" && $j->{content}[0]{name} eq "refund" && $j->{content}[0]{input}{order} =~ /^(A-1|B-2)$/ && $j->{stop_reason} eq "tool_use"'
post /v1/messages "{$ask,\"stream\":true,\"tool_choice\":{\"type\":\"tool\",\"name\":\"refund\",\"disable_parallel_tool_use\":true}}"
ok "a stream has a block of it" sh -c 'grep "^event:" "$1" | uniq | tr -d "\r" | paste -sd, | grep -qx "event: message_start,event: ping,event: content_block_start,event: content_block_delta,event: content_block_stop,event: message_delta,event: message_stop"' - "$TMP/body"
events '1' > /dev/null
ok "whose input comes in fragments" sh -c 'perl tests/look.pl json "$1" '\''join("", map { $_->{delta}{partial_json} // "" } @$j) =~ /^\{.*"order".*\}$/s'\' - "$TMP/events"
post /v1/messages "{$ask}"
ok "auto lets it answer" has '@{$j->{content}} == 1 && $j->{content}[0]{type} eq "text" && $j->{stop_reason} ne "tool_use"'
serve_end
tap_done
