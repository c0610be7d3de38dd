#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_more.t: lar serve beyond answers: Anthropic's words, beginnings that are shared, tokens, vectors, keys, Unix sockets, numbers.
. tests/sh.inc
. tests/serve.inc
model=models/lar-demo-q8_0.gguf
message='Hi, where is my order A-48213? Please answer asap!'
$LAR run $model --temp 0 "$message" > "$TMP/answer"
look() { perl tests/look.pl "$@"; }
embedder=../shared/golden/embed/bert-mean/model.gguf
ranker=../shared/golden/embed/xlmr-reranker/model.gguf
[ -e $embedder ] && [ -e $ranker ] || embedder=
[ -z "$embedder" ] || set -- --model embed=$embedder --model rank=$ranker
serve --model demo=$model "$@"

# ---- Anthropic -------------------------------------------------------------------------------------------------------
ask="\"model\":\"demo\",\"max_tokens\":200,\"temperature\":0,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"$message\"}]}]"
post /v1/messages "{$ask}"
look get "$TMP/body" '$j->{content}[0]{text} . "\n"' > "$TMP/text"
ok "a message gets its answer" cmp "$TMP/text" "$TMP/answer"
ok "in Anthropic's form" has '$j->{type} eq "message" && $j->{role} eq "assistant" && $j->{stop_reason} eq "end_turn" && $j->{usage}{output_tokens} > 10 && $j->{id} =~ /^msg_/'
tokens=$(look get "$TMP/body" '$j->{usage}{input_tokens} + $j->{usage}{cache_read_input_tokens}')
post /v1/messages/count_tokens "{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",\"content\":\"$message\"}]}"
ok "count_tokens gives the same number" has "\$j->{input_tokens} == $tokens"
post /v1/messages "{$ask,\"stream\":true}"
ok "a stream of named events" sh -c 'grep "^event:" "$1" | uniq | tr -d "\r" | paste -sd, | grep -qx "event: message_start,event: ping,event: content_block_start,event: content_block_delta,event: content_block_stop,event: message_delta,event: message_stop"' - "$TMP/body"
ok "each named as its data" sh -c 'awk "/^event:/ { e = \$2 } /^data:/ && index(\$0, \"\\\"type\\\":\\\"\" e \"\\\"\") != 8 { exit 1 }" "$1"' - "$TMP/body"
events '1' > /dev/null
ok "together the answer" sh -c 'perl tests/look.pl get "$1" '\''join("", map { $_->{delta}{text} // "" } @$j) . "\n"'\'' | cmp - "$2"' - "$TMP/events" "$TMP/answer"
post /v1/messages "{$ask,\"stop_sequences\":[\"nothing\",\"urgency\"]}"
ok "names the stop sequence" has '$j->{stop_reason} eq "stop_sequence" && $j->{stop_sequence} eq "urgency"'
post /v1/messages "{$ask,\"system\":[{\"type\":\"text\",\"text\":\"Be kind.\"}],\"max_tokens\":1}"
ok "takes a system prompt" has '$j->{stop_reason} eq "max_tokens"'
post /v1/messages '{"model":"demo","messages":[{"role":"user","content":"x"}]}'
ok "max_tokens is required" has '$j->{type} eq "error" && $j->{error}{type} eq "invalid_request_error" && $j->{error}{message} =~ /max_tokens/'
post /v1/messages '{"model":"demo","max_tokens":1,"messages":[{"role":"user","content":[{"type":"image","source":{}}]}]}'
ok "images are refused by name" has '$j->{error}{message} =~ /image/'

# ---- beginnings -------------------------------------------------------------------------------------------------------
chat() { post /v1/chat/completions "{\"model\":\"demo\",\"temperature\":0,\"messages\":[$1]$2}"; }
system='{"role":"system","content":"You read messages to a shop. Answer with one line of JSON that has the seven keys and nothing else at all."}'
chat "$system,{\"role\":\"user\",\"content\":\"Where is order B-1?\"}"
look get "$TMP/body" '$j->{choices}[0]{message}{content}' > "$TMP/first"
ok "what is new has to be read" has '$j->{usage}{prompt_tokens_details}{cached_tokens} < 16'
chat "$system,{\"role\":\"user\",\"content\":\"Where is order B-1?\"}"
look get "$TMP/body" '$j->{choices}[0]{message}{content}' > "$TMP/again"
ok "what was read is there" has '$j->{usage}{prompt_tokens_details}{cached_tokens} == $j->{usage}{prompt_tokens} - 1'
ok "with the same answer" cmp "$TMP/first" "$TMP/again"
chat "$system,{\"role\":\"user\",\"content\":\"I want my money back!\"}"
ok "a system prompt is read once for all" has '$j->{usage}{prompt_tokens_details}{cached_tokens} > 20 && $j->{usage}{prompt_tokens_details}{cached_tokens} < $j->{usage}{prompt_tokens} - 3'
chat "$system,{\"role\":\"user\",\"content\":\"Four answers to one question, please, about order C-4\"}" ',"n":4,"max_tokens":8'
ok "several answers to one prompt are one answer's" has '(grep { $_->{message}{content} ne $j->{choices}[0]{message}{content} } @{$j->{choices}}) == 0 && @{$j->{choices}} == 4'

# ---- guessed tokens ------------------------------------------------------------------------------------------------------
counted=$(get /metrics; sed -n 's/^lar_guessed_right_tokens_total //p' "$TMP/body")
ok "nobody guesses unasked" test "$counted" = 0
list='1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 1 2 3 4 5 6'
post /v1/completions "{\"model\":\"demo\",\"temperature\":0,\"max_tokens\":40,\"prompt\":\"$list\"}"
look get "$TMP/body" '$j->{choices}[0]{text}' > "$TMP/first"
post /v1/completions "{\"model\":\"demo\",\"temperature\":0,\"max_tokens\":40,\"prompt\":\"$list\",\"lookup\":8,\"logprobs\":1}"
look get "$TMP/body" '$j->{choices}[0]{text}' > "$TMP/again"
ok "guessed tokens change no answer" cmp "$TMP/first" "$TMP/again"
ok "each token has its probability" has '@{$j->{choices}[0]{logprobs}{tokens}} == $j->{usage}{completion_tokens} && $j->{usage}{completion_tokens} == 40'
ok "how many were right is told" has '$j->{usage}{completion_tokens_details}{accepted_prediction_tokens} > 10'
post /api/generate "{\"model\":\"demo\",\"raw\":true,\"stream\":false,\"options\":{\"temperature\":0,\"num_predict\":40,\"lookup\":16},\"prompt\":\"$list\"}"
look get "$TMP/body" '$j->{response}' > "$TMP/again"
ok "the same in Ollama's form" cmp "$TMP/first" "$TMP/again"
post /v1/completions "{\"model\":\"demo\",\"temperature\":0,\"max_tokens\":40,\"prompt\":\"$list\",\"lookup\":8,\"stream\":true}"
events '1' > /dev/null
look get "$TMP/events" 'join("", map { $_->{choices}[0]{text} // "" } @$j)' > "$TMP/again"
ok "and in a stream" cmp "$TMP/first" "$TMP/again"
post /v1/completions '{"model":"demo","prompt":"a","lookup":17}'
ok "more than 16 are refused" has '$j->{error}{message} =~ /lookup/'
get /metrics
ok "and counted" sh -c '[ "$(sed -n "s/^lar_guessed_right_tokens_total //p" "$1")" -gt 20 ]' - "$TMP/body"

# ---- tokens ------------------------------------------------------------------------------------------------------------
post /tokenize '{"model":"demo","content":"Order A-4"}'
ok "tokens of a text" has 'join(",", @{$j->{tokens}}) eq "682,32,65,45,52"'
post /tokenize '{"model":"demo","content":"Order A-4","with_pieces":true}'
ok "with their pieces" has 'join("|", map { $_->{piece} } @{$j->{tokens}}) eq "Order| |A|-|4"'
post /detokenize '{"model":"demo","tokens":[682,32,65,45,52]}'
ok "and back" has '$j->{content} eq "Order A-4"'
post /apply-template '{"model":"demo","messages":[{"role":"user","content":"Hi"}]}'
ok "a chat as its template writes it" has '$j->{prompt} eq "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"'
post /tokenize '{"model":"demo","content":"x","frob":1}'
ok "what is not known is refused here too" has '$j->{error} =~ /frob/'

# ---- vectors -----------------------------------------------------------------------------------------------------------
post /v1/embeddings '{"model":"demo","input":"x"}'
ok "a model that makes no vectors says so" sh -c "[ $status = 400 ]"
if [ -n "$embedder" ]; then
    post /v1/embeddings '{"model":"embed","input":["a kettle","a ship"]}'
    ok "vectors" has '@{$j->{data}} == 2 && $j->{data}[1]{index} == 1 && @{$j->{data}[0]{embedding}} > 3 && $j->{usage}{prompt_tokens} > 3'
    cp "$TMP/body" "$TMP/float"
    post /v1/embeddings '{"model":"embed","input":["a kettle","a ship"],"encoding_format":"base64"}'
    ok "in base64 the same" sh -c 'perl -MJSON::PP -MMIME::Base64 -e "
        local \$/; my (\$a, \$b) = map { open my \$f, \"<\", \$_ or die; decode_json(<\$f>) } @ARGV;
        my @v = unpack(\"f<*\", decode_base64(\$b->{data}[1]{embedding})); my \$w = \$a->{data}[1]{embedding};
        exit 1 if @v != @\$w; for (0 .. \$#v) { exit 1 if abs(\$v[\$_] - \$w->[\$_]) > 1e-7 }" "$1" "$2"' - "$TMP/float" "$TMP/body"
    post /api/embed '{"model":"embed","input":"a kettle"}'
    ok "in Ollama's form" sh -c 'perl -MJSON::PP -e "
        local \$/; my (\$a, \$b) = map { open my \$f, \"<\", \$_ or die; decode_json(<\$f>) } @ARGV;
        my (\$v, \$w) = (\$b->{embeddings}[0], \$a->{data}[0]{embedding}); for (0 .. \$#\$w) { exit 1 if abs(\$v->[\$_] - \$w->[\$_]) > 1e-5 }" "$1" "$2"' - "$TMP/float" "$TMP/body"
    post /api/embeddings '{"model":"embed","prompt":"a kettle"}'
    ok "and in its older one" has '@{$j->{embedding}} > 3'
    post /api/chat '{"model":"embed","messages":[{"role":"user","content":"x"}]}'
    ok "a model that only reads does not chat" has '$j->{error} =~ /"embed" does not support generate/'
    post /v1/rerank '{"model":"rank","query":"where is my kettle","documents":["a ship sails","the kettle is here"],"return_documents":true}'
    ok "documents by how well they answer" has '@{$j->{results}} == 2 && $j->{results}[0]{relevance_score} >= $j->{results}[1]{relevance_score} && $j->{results}[0]{document}{text}'
    post /v1/rerank '{"model":"rank","query":"where is my kettle","documents":["a ship sails","the kettle is here"],"top_n":1}'
    ok "the best of them" has '@{$j->{results}} == 1'

else
    skip "no embedding model in ../shared"
fi

# ---- numbers -------------------------------------------------------------------------------------------------------------
get /metrics
ok "numbers for Prometheus" header 'content-type: text/plain'
number() { awk -v n="$1" '$1 == n { v = $2 } END { print v + 0 }' "$TMP/body"; }
ok "requests are counted" sh -c '[ "$1" -ge 8 ]' - "$(number 'lar_requests_total{result="done"}')"
ok "tokens too" sh -c '[ "$1" -ge 50 ] && [ "$2" -ge 50 ]' - "$(number lar_answer_tokens_total)" "$(number lar_prompt_tokens_total)"
ok "and those that needed no reading" sh -c '[ "$1" -ge 50 ]' - "$(number lar_prompt_tokens_reused_total)"
ok "times to the first token lie in buckets" sh -c '[ "$1" -ge 10 ] && [ "$1" = "$2" ]' - "$(number 'lar_first_token_seconds_bucket{le="+Inf"}')" "$(number lar_first_token_seconds_count)"
serve_end

# ---- keys ------------------------------------------------------------------------------------------------------------------
hash() { printf '%s' "$1" | sha256sum | cut -c1-64; }
printf '# two keys\nann:%s\n\nbob:%s\n' "$(hash secret-ann)" "$(hash secret-bob)" > "$TMP/keys"
serve --model demo=$model --key-file "$TMP/keys"
get /v1/models
ok "without a key nothing is told" is 401
ok "in the dialect's form" has '$j->{error}{type} eq "authentication_error"'
get /v1/models -H 'Authorization: Bearer wrong'
ok "nor with a wrong one" is 401
get /v1/models -H "Authorization: Bearer $(hash secret-ann)"
ok "nor with the hash itself" is 401
get /v1/models -H 'Authorization: Bearer secret-bob'
ok "a right one opens" is 200
get /v1/models -H 'x-api-key: secret-ann'
ok "also as Anthropic's clients send it" is 200
get /health
ok "health is for everybody" is 200
serve_end
try_status 2 "an open address needs --insecure beside keys" $LAR serve --host 0.0.0.0 --port 0 --key-file "$TMP/keys" $model
ok "and says so" grep -q -- '--insecure' "$TMP/err"
printf 'ann:12\n' > "$TMP/keys"
try_status 2 "a key file that is none is refused" $LAR serve --port 0 --key-file "$TMP/keys" $model
ok "by its line" grep -q 'keys:1' "$TMP/err"

# ---- models by name ----------------------------------------------------------------------------------------------------------
printf 'FROM %s\nPARAMETER temperature 0\nPARAMETER num_predict 7\nSYSTEM Be kind.\n' "$PWD/$model" > "$TMP/Modelfile"
serve
get /api/tags
ok "a server without models lists none" has '@{$j->{models}} == 0'
ok "a model is made" $LAR create clerk -f "$TMP/Modelfile"
get /api/tags
ok "and served from then on" has '$j->{models}[0]{name} eq "clerk:latest" && $j->{models}[0]{digest} =~ /^[0-9a-f]{64}$/'
post /api/chat "{\"model\":\"clerk\",\"stream\":false,\"messages\":[{\"role\":\"user\",\"content\":\"$message\"}]}"
ok "with the PARAMETERs of its Modelfile" has '$j->{done_reason} eq "length" && $j->{eval_count} == 7'
asked=$(look get "$TMP/body" '$j->{prompt_eval_count}')
post /api/chat "{\"model\":\"clerk\",\"stream\":false,\"messages\":[{\"role\":\"user\",\"content\":\"$message\"}],\"options\":{\"num_predict\":3}}"
ok "which a request overrides" has '$j->{eval_count} == 3'
post /v1/chat/completions "{\"model\":\"clerk:latest\",\"messages\":[{\"role\":\"system\",\"content\":\"\"},{\"role\":\"user\",\"content\":\"$message\"}]}"
ok "in every dialect; a system message of its own takes the place of the Modelfile's" has "\$j->{usage}{completion_tokens} == 7 && \$j->{usage}{prompt_tokens} < $asked"
post /api/show '{"model":"clerk"}'
ok "shown with its Modelfile" has '$j->{system} eq "Be kind." && $j->{modelfile} =~ /num_predict 7/ && $j->{parameters} =~ /temperature/'
ok "a model is removed" $LAR rm clerk
post /api/chat '{"model":"clerk","messages":[{"role":"user","content":"x"}]}'
ok "and no longer served" is 404
serve_end

# ---- a socket in the file system ----------------------------------------------------------------------------------------------
cp -r tests/data/tiny-llama "$TMP/odd"
chmod -R u+w "$TMP/odd"
echo '{"top_p": 1.5}' > "$TMP/odd/generation_config.json"
$LAR convert "$TMP/odd" -o "$TMP/odd.gguf" > /dev/null
serve --host "$TMP/lar.sock" --model demo=$model --model odd="$TMP/odd.gguf"
url=http://localhost
get /api/version --unix-socket "$TMP/lar.sock"
ok "a Unix socket serves" has '$j->{version}'
ok "its owner only" sh -c '[ "$(stat -c %a "$1")" = 600 ] || [ "$(stat -c %a "$1")" = 700 ]' - "$TMP/lar.sock"
for i in 1 2; do post /api/generate '{"model":"odd","prompt":"hi","stream":false,"options":{"num_predict":1}}' --unix-socket "$TMP/lar.sock"; done
ok "a model that recommends nonsense is served" has '$j->{done}'
ok "  ... and told once, when it is loaded" test "$(grep -c 'odd: warning: general.sampling.top_p is 1.5, expected 0 to 1' "$TMP/server")" = 1
serve_end
ok "and is gone afterwards" test ! -e "$TMP/lar.sock"
tap_done
