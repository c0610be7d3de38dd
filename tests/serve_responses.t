#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_responses.t: /v1/responses with curl alone: items, events and their numbers, what is kept and for whom.
. tests/sh.inc
. tests/serve.inc
model=models/lar-demo-q8_0.gguf
message='Hi, where is my order A-48213? Please answer asap!'
$LAR run $model --temp 0 "$message" > "$TMP/answer"
serve --model demo=$model
id() { perl tests/look.pl get "$TMP/body" '$j->{id}'; }
ask="\"model\":\"demo\",\"temperature\":0"

post /v1/responses "{$ask,\"input\":\"$message\"}"
first=$(id)
ok "an answer is a response with one message" has '$j->{object} eq "response" && $j->{status} eq "completed" && @{$j->{output}} == 1 && $j->{output}[0]{type} eq "message" && $j->{id} =~ /^resp_/ && $j->{store}'
perl tests/look.pl get "$TMP/body" '$j->{output}[0]{content}[0]{text} . "\n"' > "$TMP/text"
ok "which says what lar run says" cmp "$TMP/text" "$TMP/answer"
cp "$TMP/body" "$TMP/whole"
get "/v1/responses/$first"
ok "it is kept as it was told" cmp "$TMP/body" "$TMP/whole"
post /v1/responses "{$ask,\"input\":\"$message\",\"stream\":true}"
ok "a stream of named events" sh -c 'grep "^event:" "$1" | uniq | tr -d "\r" | sed "s/event: response.//" | paste -sd, | grep -qx "created,in_progress,output_item.added,content_part.added,output_text.delta,output_text.done,content_part.done,output_item.done,completed"' - "$TMP/body"
ok "each named as its data" sh -c 'awk "/^event:/ { e = \$2 } /^data:/ && index(\$0, \"\\\"type\\\":\\\"\" e \"\\\"\") != 8 { exit 1 }" "$1"' - "$TMP/body"
ok "numbered, of one item, with one answer" events '(grep { $j->[$_]{sequence_number} != $_ } 0 .. $#$j) == 0 && (grep { exists $_->{item_id} && $_->{item_id} ne $j->[2]{item}{id} } @$j) == 0 && join("", map { $_->{delta} // "" } @$j) eq $j->[-1]{response}{output}[0]{content}[0]{text}'
tool='{"type":"function","name":"refund","parameters":{"type":"object","properties":{"order":{"enum":["A-1","B-2"]}},"required":["order"],"additionalProperties":false}}'
post /v1/responses "{$ask,\"input\":\"$message\",\"tools\":[$tool],\"tool_choice\":\"required\",\"parallel_tool_calls\":false}"
ok "a call is an item" has '$j->{output}[0]{type} eq "function_call" && $j->{output}[0]{name} eq "refund" && $j->{output}[0]{status} eq "completed" && $j->{output}[0]{arguments} =~ /A-1|B-2/'
called=$(id) call=$(perl tests/look.pl get "$TMP/body" '$j->{output}[0]{call_id}')
post /v1/responses "{$ask,\"previous_response_id\":\"$called\",\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"$call\",\"output\":\"ok\"}],\"max_output_tokens\":2}"
ok "what it gave goes on from there" has '$j->{status} eq "incomplete" && $j->{incomplete_details}{reason} eq "max_output_tokens" && $j->{usage}{output_tokens} == 2'
get "/v1/responses/$(id)/input_items?order=asc"
ok "its items are those of both" has 'join(",", map { $_->{type} } @{$j->{data}}) eq "message,function_call,function_call_output" && !$j->{has_more}'
get "/v1/responses/$called/input_items?limit=0"
ok "a page of no items is refused" is 400
post /v1/responses "{$ask,\"input\":\"x\",\"instructions\":\"Be kind.\",\"max_output_tokens\":1}"
tokens=$(perl tests/look.pl get "$TMP/body" '$j->{usage}{input_tokens}')
post /v1/responses "{$ask,\"input\":[{\"role\":\"developer\",\"content\":\"Be kind.\"},{\"role\":\"user\",\"content\":\"x\"}],\"max_output_tokens\":1}"
ok "instructions are a system message" has "\$j->{usage}{input_tokens} == $tokens"
post /v1/responses/input_tokens '{"model":"demo","instructions":"Be kind.","input":"x"}'
ok "which is counted" has "\$j->{input_tokens} == $tokens"
post /v1/responses "{$ask,\"input\":\"Late?\",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"x\",\"schema\":{\"type\":\"object\",\"properties\":{\"late\":{\"type\":\"boolean\"}},\"required\":[\"late\"],\"additionalProperties\":false}}}}"
ok "text.format holds the answer" has '$j->{output}[0]{content}[0]{text} =~ /^\{\s*"late"\s*:\s*(true|false)\s*\}$/'

# ---- what is refused, by name ------------------------------------------------------------------------------------------
refuses() { post /v1/responses "{$ask,$2}"; ok "refuses $1" has "\$j->{error}{message} =~ /\Q$1\E/ && \$j->{error}{type} eq 'invalid_request_error'"; }
refuses previous_response_id '"input":"x","previous_response_id":"resp_none"'
refuses background '"input":"x","background":true'
refuses conversation '"input":"x","conversation":"conv_1"'
refuses truncation '"input":"x","truncation":"auto"'
refuses verbosity '"input":"x","text":{"verbosity":"low"}'
refuses summary '"input":"x","reasoning":{"summary":"concise"}'
refuses include '"input":"x","include":["file_search_call.results"]'
refuses file_search '"input":"x","tools":[{"type":"file_search"}]'
refuses item_reference '"input":[{"type":"item_reference","id":"x"}]'
refuses input_file '"input":[{"role":"user","content":[{"type":"input_file","file_id":"x"}]}]'
refuses 'input[1]' '"input":[{"role":"user","content":"x"},null]'
refuses frob '"input":"x","frob":1'
refuses input '"input":[]'
post "/v1/responses/$first/cancel" '{}'
ok "nothing is cancelled" is 400
get "/v1/responses/$first/other"
ok "nothing else is there" is 404
ask -X DELETE "$url/v1/responses/$first"
ok "an answer is deleted" has '$j->{deleted}'
get "/v1/responses/$first"
ok "and gone" has '$j->{error}{type} eq "not_found_error"'
serve_end

# ---- keys ------------------------------------------------------------------------------------------------------------------
hash() { printf '%s' "$1" | sha256sum | cut -c1-64; }
printf 'ann:%s\nbob:%s\n' "$(hash secret-ann)" "$(hash secret-bob)" > "$TMP/keys"
serve --model demo=$model --key-file "$TMP/keys"
post /v1/responses "{$ask,\"input\":\"x\",\"max_output_tokens\":1}" -H 'Authorization: Bearer secret-ann'
first=$(id)
get "/v1/responses/$first" -H 'Authorization: Bearer secret-ann'
ok "who asked finds the answer" is 200
get "/v1/responses/$first" -H 'x-api-key: secret-ann'
ok "also in Anthropic's way" is 200
get "/v1/responses/$first" -H 'Authorization: Bearer secret-bob'
ok "nobody else does" is 404
post /v1/responses "{$ask,\"input\":\"x\",\"previous_response_id\":\"$first\"}" -H 'Authorization: Bearer secret-bob'
ok "nor goes on from it" is 400
ask -X DELETE "$url/v1/responses/$first" -H 'Authorization: Bearer secret-bob'
ok "nor deletes it" is 404
serve_end
tap_done
