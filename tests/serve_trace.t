#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_trace.t: what a server tells of its work: numbers for Prometheus, traces for OpenTelemetry. Never what was said, unless asked to.
. tests/sh.inc
. tests/serve.inc
model=models/lar-demo-q8_0.gguf
said='kettle-5521 is the order that I wait for since last week'
chat="\"messages\":[{\"role\":\"user\",\"content\":\"$said\"}],\"temperature\":0"
id=0af7651916cd43dd8448eb211c80319c span=b7ad6b7169203331
serve --model demo=$model --trace-file "$TMP/trace" --log-json
url=$(sed -n 's/.*listening on \([^"]*\).*/\1/p' "$TMP/server")

# ---- numbers ----------------------------------------------------------------------------------------------------------------
post /v1/chat/completions "{\"model\":\"demo\",$chat,\"max_tokens\":6}" -H "traceparent: 00-$id-$span-01" -H 'X-Request-Id: one'
ok "usage says that nothing was there at first" has '$j->{usage}{prompt_tokens_details}{cached_tokens} == 0'
post /v1/chat/completions "{\"model\":\"demo\",$chat,\"max_tokens\":6,\"n\":2,\"seed\":1}"
ok "and how much was the second time" has '$j->{usage}{prompt_tokens_details}{cached_tokens} > 16'
get /metrics
cp "$TMP/body" "$TMP/metrics"
for name in lar_first_token_seconds lar_between_tokens_seconds lar_queue_seconds lar_prompt_tokens_per_second lar_answer_tokens_per_second lar_cached_prompt_tokens; do
    ok "$name is a histogram" grep -q "^# TYPE $name histogram" "$TMP/metrics"
    ok "of what was" awk -v n="$name" '$1 == n "_count" && $2 >= 3 { seen = 1 } END { exit !seen }' "$TMP/metrics"
    ok "whose buckets add up" awk -v n="$name" '
        index($1, n "_bucket{") == 1 { if ($2 < last) bad = 1; last = $2 } $1 == n "_count" { if ($2 != last) bad = 1; seen = 1 } END { exit bad || !seen }' "$TMP/metrics"
done
ok "cache hits are counted in tokens" awk '$1 == "lar_cached_prompt_tokens_sum" && $2 > 16 { seen = 1 } END { exit !seen }' "$TMP/metrics"
for part in weights kept; do
    ok "a model's memory has its $part" awk -v n="lar_model_bytes{model=\"demo\",part=\"$part\"}" '$1 == n && $2 > 1000 { seen = 1 } END { exit !seen }' "$TMP/metrics"
done
ok "each line is one that Prometheus reads" not grep -vEq '^(# (HELP|TYPE) lar_[a-z_]+ .+|lar_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? (-?[0-9.]+(e[+-]?[0-9]+)?|\+Inf))$' "$TMP/metrics"
ok "each thing has one type" test -z "$(sed -n 's/^# TYPE \([a-z_]*\) .*/\1/p' "$TMP/metrics" | sort | uniq -d)"

# ---- traces -----------------------------------------------------------------------------------------------------------------
post /v1/embeddings "{\"model\":\"demo\",\"input\":\"$said\"}" -H "traceparent: 00-$id-$span-01"
post /v1/chat/completions "{\"model\":\"demo\",$chat,\"frobnicate\":1}" -H "traceparent: 00-nonsense"
post /api/chat "{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":\"$said\"}],\"options\":{\"num_predict\":3}}"
ok "a log of objects tells an answer's tokens" grep -q '"event":"answer","id":"one","model":"demo","complete":true,"prompt_tokens":[0-9]*,"cached_tokens":0,"answer_tokens":6,"first_token_ms":[0-9.]*,"ms":' "$TMP/server"
serve_end
cp "$TMP/trace" "$TMP/body"
ok "each answer is a line" test "$(wc -l < "$TMP/trace")" = 5
root='my $s = $j->{resourceSpans}[0]{scopeSpans}[0]{spans}; my %a = map { $_->{key} => (values %{$_->{value}})[0] } @{$s->[0]{attributes}}'
ok "of OTLP, with spans within their time" lines "$root; \$s->[0]{kind} == 2 && \$a{'lar.request_id'} && !grep { \$_->{traceId} !~ /^[0-9a-f]{32}\$/ || \$_->{spanId} !~ /^[0-9a-f]{16}\$/ || \$_->{startTimeUnixNano} > \$_->{endTimeUnixNano} || \$_->{startTimeUnixNano} < 1.6e18 } @\$s"
nth() { sed -n "$1p" "$TMP/trace" > "$TMP/body"; has "$root; $2"; }
ok "the first goes on with its client's trace" nth 1 "\$s->[0]{traceId} eq '$id' && \$s->[0]{parentSpanId} eq '$span' && \$a{'lar.request_id'} eq 'one'"
ok "says what it was" nth 1 '$s->[0]{name} eq "chat demo" && $a{"openinference.span.kind"} eq "LLM" && $a{"gen_ai.request.model"} eq "demo" && $a{"llm.token_count.completion"} == 6 && $a{"gen_ai.usage.input_tokens"} > 16 && $a{"http.response.status_code"} == 200'
ok "and has its parts: wait, prompt, answer" nth 1 'join(" ", map { "$_->{name}" . ($_->{parentSpanId} eq $s->[0]{spanId}) } @$s[1..3]) eq "queue1 prompt1 answer1" && @$s == 4'
ok "one of two answers has both" nth 2 '@$s == 7 && $a{"llm.token_count.prompt_details.cache_read"} > 16 && @{$a{"gen_ai.response.finish_reasons"}{values}} == 2'
ok "vectors are told too" nth 3 '$s->[0]{name} eq "embeddings demo" && $a{"openinference.span.kind"} eq "EMBEDDING" && defined $a{"llm.token_count.prompt"}'
ok "and go on with their client's trace" nth 3 "\$s->[0]{traceId} eq '$id' && \$s->[0]{parentSpanId} eq '$span'"
ok "and what was refused" nth 4 '$s->[0]{status}{code} == 2 && $a{"http.response.status_code"} == 400 && !$s->[0]{parentSpanId}'
ok "nothing that was said is in them" not grep -q kettle "$TMP/trace"
ok "nor in the log" not grep -q kettle "$TMP/server"
ok "they are their owner's alone" test "$(stat -c %a "$TMP/trace")" = 600

serve --model demo=$model --trace-file "$TMP/trace" --trace-content
post /v1/chat/completions "{\"model\":\"demo\",$chat,\"max_tokens\":6}"
perl tests/look.pl get "$TMP/body" '$j->{choices}[0]{message}{content}' > "$TMP/answer"
ok "the log is as it was" not grep -q kettle "$TMP/server"
kill -9 $server
wait $server 2>/dev/null
server=
ok "a kill leaves whole lines" test "$(tail -c 1 "$TMP/trace" | od -An -tu1 | tr -d ' ')" = 10
ok "appended to those of before" test "$(wc -l < "$TMP/trace")" = 6
ok "what was said is in a trace when asked for" nth 6 '$a{"input.value"} =~ /kettle-5521/ && length $a{"output.value"} && $a{"llm.output_messages.0.message.role"} eq "assistant"'
perl -MJSON::PP -0777 -ne 'my %a = map { $_->{key} => (values %{$_->{value}})[0] } @{decode_json($_)->{resourceSpans}[0]{scopeSpans}[0]{spans}[0]{attributes}}; binmode STDOUT, ":utf8"; print $a{"output.value"}' "$TMP/body" > "$TMP/traced"
ok "and so is what was answered" cmp "$TMP/traced" "$TMP/answer"
try_status 1 "a file that cannot be made is told" timeout 60 "$LAR" serve --port 0 --trace-file /nowhere/trace $model
tap_done
