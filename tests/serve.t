#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve.t: lar serve in Ollama's and OpenAI's words, as curl sees it.
. tests/sh.inc
. tests/serve.inc
model=models/lar-demo-q8_0.gguf
message='Hi, where is my order A-48213? Please answer asap!'
$LAR run $model --temp 0 "$message" > "$TMP/answer"
answer=$(cat "$TMP/answer")
look() { perl tests/look.pl "$@"; }
look patch $model "$TMP/endless.gguf" eos_token_id xos_token_id '<|im_end|>' '<|im_foo|>' '<|endoftext|>' '<|unending_|>'
serve --model demo=$model --model other=$model --model endless="$TMP/endless.gguf"

# ---- Ollama -----------------------------------------------------------------------------------------------------------
get /api/version
ok "tells its version" has '$j->{version} =~ /^\d+\.\d+\.\d+$/'
get /
ok "answers at its root" is 200
get /api/tags
ok "lists its models" has 'join(",", sort map { $_->{name} } @{$j->{models}}) eq "demo,endless,other"'
ok "with what they are" has '$j->{models}[0]{details}{family} eq "qwen3" && $j->{models}[0]{details}{quantization_level} eq "Q8_0" && $j->{models}[0]{size} > 5e6'
get /api/ps
ok "none of them is loaded before it is used" has '@{$j->{models}} == 0'
post /api/show '{"model":"demo"}'
ok "shows one" has '$j->{model_info}{"general.architecture"} eq "qwen3" && $j->{template} =~ /im_start/ && grep { $_ eq "completion" } @{$j->{capabilities}}'
ok "without long lists" has '!defined $j->{model_info}{"tokenizer.ggml.tokens"}'
post /api/show '{"model":"demo","verbose":true}'
ok "but with them when asked" has '@{$j->{model_info}{"tokenizer.ggml.tokens"}} > 1000 && @{$j->{tensors}} == 68'
post /api/show '{"model":"nobody"}'
ok "an unknown one is 404" is 404
post /api/generate "{\"model\":\"demo\",\"prompt\":\"$message\",\"stream\":false,\"options\":{\"temperature\":0}}"
ok "generates" is 200
look get "$TMP/body" '$j->{response} . "\n"' > "$TMP/text"
ok "what lar run answers" cmp "$TMP/text" "$TMP/answer"
ok "with counts and nanoseconds" has '$j->{done} && $j->{done_reason} eq "stop" && $j->{prompt_eval_count} > 10 && $j->{eval_count} > 10 && $j->{total_duration} > 1000 && $j->{total_duration} >= $j->{eval_duration}'
post /api/chat "{\"model\":\"demo:latest\",\"messages\":[{\"role\":\"user\",\"content\":\"$message\"}],\"options\":{\"temperature\":0}}"
ok "chats in lines of JSON" header 'content-type: application/x-ndjson'
ok "each a piece" lines '$j->{model} eq "demo:latest" && $j->{message}{role} eq "assistant" && $j->{created_at} =~ /^\d{4}-\d\d-\d\dT.*Z$/'
ok "the last one with the end" sh -c 'tail -1 "$1" > "$1.last"; perl tests/look.pl json "$1.last" '\''$j->{done} && $j->{done_reason} eq "stop" && $j->{eval_count} > 10'\' - "$TMP/body"
perl -MJSON::PP -ne 'print decode_json($_)->{message}{content}' "$TMP/body" > "$TMP/text"; echo >> "$TMP/text"
ok "together the same answer" cmp "$TMP/text" "$TMP/answer"
post /api/chat "{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":\"$message\"}],\"stream\":false,\"options\":{\"temperature\":0,\"num_predict\":3}}"
ok "num_predict ends it" has '$j->{done_reason} eq "length" && $j->{eval_count} == 3'
post /api/generate "{\"model\":\"demo\",\"prompt\":\"$message\",\"stream\":false,\"options\":{\"temperature\":0,\"stop\":[\"urgency\"]}}"
ok "stop strings end it before themselves" has '$j->{response} =~ /^\{"intent":"\w+","$/'
post /api/chat '{"model":"demo","messages":[]}'
ok "an empty chat loads" has '$j->{done_reason} eq "load"'
get /api/ps
ok "and it is there" has '@{$j->{models}} == 1 && $j->{models}[0]{name} eq "demo" && $j->{models}[0]{expires_at} =~ /T/'
post /api/generate '{"model":"demo","keep_alive":0}'
ok "keep_alive 0 gives it back" has '$j->{done_reason} eq "unload"'
gone() { i=0; while [ $i -lt 100 ]; do get /api/ps; has '@{$j->{models}} == 0' >/dev/null 2>&1 && return 0; i=$((i + 1)); sleep 0.05; done; return 1; }
ok "and it goes" gone
post /api/chat '{"model":"demo","messages":[{"role":"user","content":"hi"}],"logprobs":true,"top_logprobs":2,"stream":false,"options":{"temperature":0,"num_predict":2}}'
ok "logprobs" has '@{$j->{logprobs}} == 2 && $j->{logprobs}[0]{logprob} <= 0 && @{$j->{logprobs}[0]{top_logprobs}} == 2 && $j->{logprobs}[0]{top_logprobs}[0]{token} eq $j->{logprobs}[0]{token}'

# ---- OpenAI -----------------------------------------------------------------------------------------------------------
get /v1/models
ok "lists models in OpenAI's form" has '$j->{object} eq "list" && @{$j->{data}} == 3 && $j->{data}[0]{object} eq "model"'
get /v1/models/other
ok "and one of them" has '$j->{id} eq "other"'
get /v1/models/nobody
ok "or 404" sh -c "[ $status = 404 ]"
chat="\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":\"$message\"}],\"temperature\":0"
post /v1/chat/completions "{$chat}"
look get "$TMP/body" '$j->{choices}[0]{message}{content} . "\n"' > "$TMP/text"
ok "completes a chat" cmp "$TMP/text" "$TMP/answer"
ok "with an id, a reason and usage" has '$j->{id} =~ /^chatcmpl-\w{20}/ && $j->{object} eq "chat.completion" && $j->{choices}[0]{finish_reason} eq "stop" && $j->{usage}{total_tokens} == $j->{usage}{prompt_tokens} + $j->{usage}{completion_tokens}'
post /v1/chat/completions "{$chat,\"stream\":true,\"stream_options\":{\"include_usage\":true}}"
ok "streams events" header 'content-type: text/event-stream'
ok "of one id" events '@$j > 5 && !grep { $_->{id} ne $j->[0]{id} || $_->{object} ne "chat.completion.chunk" } @$j'
ok "the first with the role" events '$j->[0]{choices}[0]{delta}{role} eq "assistant"'
ok "together the answer" sh -c 'perl tests/look.pl get "$1" '\''join("", map { $_->{choices}[0]{delta}{content} // "" } @$j) . "\n"'\'' | cmp - "$2"' - "$TMP/events" "$TMP/answer"
ok "the last with usage" events '@{$j->[-1]{choices}} == 0 && $j->[-1]{usage}{completion_tokens} > 10 && $j->[-2]{choices}[0]{finish_reason} eq "stop"'
ok "then [DONE]" sh -c 'tail -2 "$1" | grep -qx "data: \[DONE\]"' - "$TMP/body"
post /v1/chat/completions "{$chat,\"n\":3,\"max_completion_tokens\":4}"
ok "n answers" has '@{$j->{choices}} == 3 && $j->{choices}[2]{index} == 2 && $j->{choices}[2]{finish_reason} eq "length" && $j->{usage}{completion_tokens} == 12'
hot='"model":"demo","messages":[{"role":"user","content":"hello"}],"temperature":2,"top_p":1,"top_k":0,"min_p":0,"max_tokens":12'
post /v1/chat/completions "{$hot,\"seed\":7}"; look get "$TMP/body" '$j->{choices}[0]{message}{content}' > "$TMP/seed7"
post /v1/chat/completions "{$hot,\"seed\":7}"; look get "$TMP/body" '$j->{choices}[0]{message}{content}' > "$TMP/again"
post /v1/chat/completions "{$hot,\"seed\":8}"; look get "$TMP/body" '$j->{choices}[0]{message}{content}' > "$TMP/seed8"
ok "a seed gives the same again" cmp "$TMP/seed7" "$TMP/again"
ok "another seed something else" not cmp -s "$TMP/seed7" "$TMP/seed8"
post /v1/chat/completions "{$chat,\"max_tokens\":3,\"logit_bias\":{\"300\":100}}"
token=$($LAR tokenize $model --decode 300,300,300)
ok "logit_bias forces a token" sh -c '[ "$(perl tests/look.pl get "$1" "\$j->{choices}[0]{message}{content}")" = "$2" ]' - "$TMP/body" "$token"
post /v1/chat/completions "{$chat,\"max_tokens\":2,\"logprobs\":true,\"top_logprobs\":3}"
ok "logprobs of chats" has '@{$j->{choices}[0]{logprobs}{content}} == 2 && @{$j->{choices}[0]{logprobs}{content}[1]{top_logprobs}} == 3 && ref $j->{choices}[0]{logprobs}{content}[0]{bytes}'
post /v1/completions '{"model":"demo","prompt":["Hi there","Go"],"temperature":0,"max_tokens":3,"logprobs":2}'
ok "completes several texts" has '@{$j->{choices}} == 2 && $j->{object} eq "text_completion" && @{$j->{choices}[1]{logprobs}{tokens}} == 3 && $j->{choices}[0]{logprobs}{text_offset}[0] == 0'
ids=$($LAR tokenize $model --json "Hi there" | perl -MJSON::PP -e 'print join ",", @{decode_json(<>)->{ids}}')
look get "$TMP/body" '$j->{choices}[0]{text}' > "$TMP/text"
post /v1/completions "{\"model\":\"demo\",\"prompt\":[$ids],\"temperature\":0,\"max_tokens\":3}"
look get "$TMP/body" '$j->{choices}[0]{text}' > "$TMP/again"
ok "and token ids, to the same end" cmp "$TMP/text" "$TMP/again"
post /v1/chat/completions '{"model":"demo","messages":[{"role":"system","content":"x"},{"role":"user","content":[{"type":"text","text":"he"},{"type":"text","text":"llo"}]}],"max_tokens":1}'
ok "contents may be lists of texts" is 200

# ---- answers of a form -----------------------------------------------------------------------------------------------
schema='{"type":"object","properties":{"b":{"type":"boolean"},"k":{"enum":["x","y"]}},"required":["b","k"],"additionalProperties":false}'
form() { perl -MJSON::PP -e '
    local $/; open my $f, "<", $ARGV[0] or die; my $j = decode_json(<$f>);
    my $t = $j->{choices} ? $j->{choices}[0]{message}{content} : $j->{message}{content} // $j->{response};
    my $v = decode_json($t); exit 1 unless join(",", sort keys %$v) eq "b,k" && $v->{k} =~ /^[xy]$/ && ref($v->{b}) =~ /Boolean/' "$TMP/body"; }
post /v1/chat/completions "{$hot,\"temperature\":1,\"max_tokens\":400,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"strict\":true,\"schema\":$schema}}}"
ok "a schema holds, however hot the draw" form
post /api/chat "{\"model\":\"demo\",\"stream\":false,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"format\":$schema,\"options\":{\"temperature\":2,\"seed\":5}}"
ok "in Ollama's words too" form
post /api/generate '{"model":"demo","stream":false,"prompt":"x","format":"json","options":{"temperature":0}}'
ok "any object" sh -c 'perl tests/look.pl get "$1" "\$j->{response}" > "$1.text" && perl tests/look.pl json "$1.text" "ref \$j eq q(HASH)"' - "$TMP/body"
post /v1/chat/completions "{$chat,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":\"nonsense\"}}}}"
ok "a schema that cannot be is refused" has '$j->{error}{message} =~ /format of the answer/'
post /v1/chat/completions "{$chat,\"response_format\":\"json\"}"
ok "a format as a word too, with how it is written" has '$j->{error}{message} =~ /response_format.*needs an object/'

# ---- what cannot be done is said --------------------------------------------------------------------------------------
refuses() # STATUS WORDS PATH JSON
{
    post "$3" "$4"
    ok "refused with $1: $2" sh -c '[ "$1" = "$2" ] && grep -qF -- "$3" "$4" || { cat "$4"; exit 1; }' - "$status" "$1" "$2" "$TMP/body"
}
refuses 400 'frobnicate is not known' /v1/chat/completions "{$chat,\"frobnicate\":1}"
ok "in OpenAI's form" has '$j->{error}{type} eq "invalid_request_error" && $j->{error}{message}'
refuses 400 'options: mirosat is not known' /api/generate '{"model":"demo","prompt":"x","options":{"mirosat":1}}'
ok "in Ollama's form" has '!ref $j->{error}'
refuses 400 "temperature: needs a number" /v1/chat/completions '{"model":"demo","messages":[{"role":"user","content":"x"}],"temperature":"hot"}'
refuses 400 "top_p: 3 is out of range" /api/chat '{"model":"demo","messages":[{"role":"user","content":"x"}],"options":{"top_p":3}}'
refuses 400 "image_url" /v1/chat/completions '{"model":"demo","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}'
refuses 400 "images" /api/generate '{"model":"demo","prompt":"x","images":["AAAA"]}'
refuses 400 "does not support thinking" /api/chat '{"model":"demo","messages":[{"role":"user","content":"x"}],"think":true}'
refuses 400 "messages[1]: role 'wizard'" /api/chat '{"model":"demo","messages":[{"role":"user","content":"x"},{"role":"wizard","content":"x"}]}'
refuses 404 "model 'nobody' not found" /api/chat '{"model":"nobody","messages":[{"role":"user","content":"x"}]}'
refuses 404 "model 'nobody' not found" /v1/completions '{"model":"nobody","prompt":"x"}'
refuses 400 "model is required" /v1/completions '{"prompt":"x"}'
refuses 400 "missing request body" /api/chat ''
refuses 400 'byte 9' /api/chat '{"model":'
refuses 400 "room for 9" /api/generate '{"model":"demo","prompt":"one two three four five six seven eight nine","options":{"num_ctx":9}}'
refuses 400 "never cut" /api/chat '{"model":"demo","messages":[{"role":"user","content":"x"}],"truncate":true}'
refuses 404 "there is nothing at /api/nothing" /api/nothing '{}'
get /api/chat
ok "a wrong method is 405" sh -c "[ $status = 405 ]"

# ---- who may ask -------------------------------------------------------------------------------------------------------------
get /api/tags -H 'Host: evil.example'
ok "another host's name is refused" is 403
get /api/tags -H 'Host: localhost:99'
ok "this machine's is not" is 200
get /api/tags -H 'Origin: https://evil.example'
ok "a stranger's page is refused" is 403
get /api/tags -H 'Origin: http://localhost:3000'
ok "a page of this machine is not" is 200
ok "and may read the answer" header 'access-control-allow-origin: http://localhost:3000'
ask -X OPTIONS -H 'Origin: http://localhost:3000' -H 'Access-Control-Request-Method: POST' "$url/api/chat"
ok "and may ask beforehand" is 204
try_status 2 "an address that others reach is refused" $LAR serve --host 0.0.0.0 --port 0 $model
ok "by name" grep -q -- '--host 0.0.0.0' "$TMP/err"
try_status 1 "and a model that is not there" $LAR serve --port 0 nothing.gguf
port=${url##*:}
try_status 1 "a port that is taken is named" $LAR serve --port "$port" $model
ok "with the remedy" grep -q "port $port is taken.*--port" "$TMP/err"

# ---- many at once, and who goes ----------------------------------------------------------------------------------------------
many() # the same question twelve times at once: twelve times the same answer
{
    i=0
    while [ $i -lt 12 ]; do
        curl -s --max-time ${slow:-1}0 "$url/v1/chat/completions" -d "{$chat}" -o "$TMP/many.$i" &
        pids="${pids-} $!"
        i=$((i + 1))
    done
    # shellcheck disable=SC2086
    wait $pids
    for f in "$TMP"/many.*; do look get "$f" '$j->{choices}[0]{message}{content} . "\n"' | cmp - "$TMP/answer" || return 1; done
}
ok "twelve at once get what one gets" many
long='"model":"endless","prompt":"x","raw":true,"options":{"num_ctx":100000,"temperature":3,"top_k":0,"top_p":1,"min_p":0}'
curl -s --max-time 1 "$url/api/generate" -d "{$long,\"stream\":false}" -o /dev/null || true
freed() { i=0; while [ $i -lt 200 ]; do [ "$(grep -c 'generate 499' "$TMP/server")" = "$1" ] && return 0; i=$((i + 1)); sleep 0.05; done; cat "$TMP/server"; return 1; }
ok "an answer that nobody waits for ends" freed 1
curl -sN --max-time 60 "$url/api/generate" -d "{$long}" -o "$TMP/part" &
reader=$!
some_lines() { for _ in $(seq 1000); do [ "$(cat "$TMP/part" 2>/dev/null | wc -l)" -gt 3 ] && return 0; sleep 0.05; done; return 1; }
ok "so does a stream that nobody reads" some_lines
kill $reader
wait $reader 2>/dev/null || true
stopped() { i=0; while [ $i -lt 200 ]; do [ "$(grep -c 'api/generate 200' "$TMP/server")" = "$1" ] && return 0; i=$((i + 1)); sleep 0.05; done; cat "$TMP/server"; return 1; }
ok "and its connection is given up" stopped 5
post /api/generate "{\"model\":\"demo\",\"prompt\":\"$message\",\"stream\":false,\"options\":{\"temperature\":0}}"
ok "and the next one is as ever" sh -c 'perl tests/look.pl get "$1" "\$j->{response} . qq(\n)" | cmp - "$2"' - "$TMP/body" "$TMP/answer"
head -c 34000000 /dev/zero | tr '\0' ' ' > "$TMP/big"
post /api/chat "@$TMP/big"
ok "a body that is too long is refused" is 413
ok "nothing that was said stands in the log" not grep -q 'A-48213\|order' "$TMP/server"
serve_end
tap_done
