#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_draft.t: lar serve with a draft model: answers are those without it, alone and many at once, held to a schema or not, and when clients go.
. tests/sh.inc
. tests/serve.inc
model=models/lar-demo-q8_0.gguf
$LAR quantize $model "$TMP/small.gguf" Q4_0 > /dev/null 2>&1
serve --model demo=$model --model alone=$model --draft "demo=$TMP/small.gguf" --deterministic --threads 1 --quiet
look() { perl tests/look.pl get "$TMP/body" "$1"; }
guessed() { get /metrics; awk '$1 == "lar_guessed_right_tokens_total" { print $2 }' "$TMP/body"; }
chat() { post /v1/chat/completions "{\"model\":\"$1\",\"max_tokens\":60,\"messages\":[{\"role\":\"user\",\"content\":\"Hi, where is my order A-48213? Please answer asap!\"}]$2}"; }

for more in ',"temperature":0' ',"temperature":1.3,"seed":7' ',"temperature":0,"response_format":{"type":"json_object"}' ',"temperature":1,"seed":3,"n":5'; do
    chat alone "$more"
    look 'join("|", map { $_->{message}{content} } @{$j->{choices}})' > "$TMP/want"
    chat demo "$more,\"draft\":8"
    look 'join("|", map { $_->{message}{content} } @{$j->{choices}})' > "$TMP/have"
    ok "an answer is what it is without a draft ($more)" cmp "$TMP/want" "$TMP/have"
    [ "$more" != ',"temperature":0' ] || ok "how many guesses were right is told" has '$j->{usage}{completion_tokens_details}{accepted_prediction_tokens} > 10'
done
before=$(guessed)
chat demo ',"temperature":0,"draft":0'
ok "a request may do without" test "$(guessed)" = "$before"
chat demo ',"temperature":0'
ok "one that says nothing gets the same answer" sh -c 'perl tests/look.pl get "$1" "\$j->{choices}[0]{message}{content}" | grep -q order_status' - "$TMP/body"
chat alone ',"draft":4'
ok "a model without a draft says so" has '$j->{error}{message} =~ /^draft: nothing guesses for .alone./'
chat demo ',"draft":17'
ok "more than 16 are refused" has '$j->{error}{message} =~ /draft/'
post /api/generate '{"model":"demo","raw":true,"stream":false,"options":{"temperature":0,"num_predict":40,"draft":4},"prompt":"1 2 3 4 5 6 7 8 9 1 2 3"}'
look '$j->{response}' > "$TMP/have"
post /api/generate '{"model":"alone","raw":true,"stream":false,"options":{"temperature":0,"num_predict":40},"prompt":"1 2 3 4 5 6 7 8 9 1 2 3"}'
look '$j->{response}' > "$TMP/want"
ok "the same in Ollama's form" cmp "$TMP/want" "$TMP/have"

# Many at once, some of whom go away.
for i in 1 2 3 4 5 6 7 8; do
    curl -s -N --max-time 600 -X POST --data-binary "{\"model\":\"demo\",\"prompt\":\"Number $i: 1 2 3 4 5 6 7\",\"max_tokens\":60,\"temperature\":0,\"draft\":$((i * 2))}" "$url/v1/completions" > "$TMP/many.$i" &
    eval "p$i=$!"
    timeout 0.0$i curl -s -N -X POST --data-binary "{\"model\":\"demo\",\"prompt\":\"Gone $i\",\"max_tokens\":400,\"temperature\":1,\"draft\":8,\"stream\":true}" "$url/v1/completions" > /dev/null 2>&1 || true
done
same=0
for i in 1 2 3 4 5 6 7 8; do
    eval "wait \$p$i" || true
    post /v1/completions "{\"model\":\"alone\",\"prompt\":\"Number $i: 1 2 3 4 5 6 7\",\"max_tokens\":60,\"temperature\":0}"
    look '$j->{choices}[0]{text}' > "$TMP/want"
    perl tests/look.pl get "$TMP/many.$i" '$j->{choices}[0]{text}' > "$TMP/have"
    cmp -s "$TMP/want" "$TMP/have" && same=$((same + 1))
done
ok "each of many at once gets its own" test $same = 8
get '/slots?model=demo'
ok "who could guess is shown" has '(grep { $_->{speculative} } @$j) > 0'

# ---- what the answer is said to be like -------------------------------------------------------------------------------------
ask='"model":"alone","messages":[{"role":"user","content":"Where is my order A-48213?"}],"max_tokens":60,"temperature":0'
post /v1/chat/completions "{$ask}"
cp "$TMP/body" "$TMP/plain.json"
look '$j->{choices}[0]{message}{content}' > "$TMP/want"
predicted() { perl -MJSON::PP -e 'local $/; open my $f, "<", $ARGV[0] or die; my $t = <$f>; chomp $t; print JSON::PP->new->encode({type => "content", content => $ARGV[1] ? [map +{type => "text", text => $_}, split /(?<= )/, $t] : $t})' "$@"; }
same() { look '$j->{choices}[0]{message}{content}' > "$TMP/have"; cmp "$TMP/want" "$TMP/have"; }
# Whether a guess pays is a matter of the clock, and the machine may be busy: each is asked until it was worth a try.
taken() # EXPRESSION BODY
{
    for i in $(seq 200); do
        post /v1/chat/completions "$2"
        if ! same; then return 1; fi
        if has "$1" > "$TMP/hint"; then return 0; fi
    done
    cat "$TMP/hint"
    return 1
}
most='$j->{usage}{completion_tokens_details}{accepted_prediction_tokens} > $j->{usage}{completion_tokens} / 2'
ok "most of an answer that was predicted is taken from there, and it is the same" taken "$most" "{$ask,\"prediction\":$(predicted "$TMP/want")}"
ok "in parts too" taken "$most" "{$ask,\"prediction\":$(predicted "$TMP/want" parts)}"
sed 's/^[A-Za-z]*/Zebras/' "$TMP/want" > "$TMP/wrong"
ok "one that begins otherwise changes nothing and is found again behind it" \
    taken '$j->{usage}{completion_tokens_details}{accepted_prediction_tokens} > 4' "{$ask,\"prediction\":$(predicted "$TMP/wrong")}"
post /v1/chat/completions "{$ask,\"prediction\":{\"type\":\"content\",\"content\":\"Nothing of the kind was ever written.\"}}"
ok "nor does one that is wrong" same
for bad in '"text"' '{"type":"content"}' '{"type":"guess","content":"x"}' '{"type":"content","content":[{"type":"image_url"}]}' '{"type":"content","content":"x","more":1}'; do
    post /v1/chat/completions "{$ask,\"prediction\":$bad}"
    ok "no prediction: $bad" is 400
done
serve_end

other=../shared/golden/models/apertus/model-f32.gguf
if [ -e $other ]; then
    try_status 2 "a draft with other tokens is refused at the start" timeout 60 "$LAR" serve --port 0 --model demo=$model --draft demo=$other
    ok "with what differs" grep -q 'the draft has 512 tokens and the model 2560' "$TMP/err"
else
    skip "no model with other tokens here"
fi
try_status 2 "a draft for nobody is refused" timeout 60 "$LAR" serve --port 0 --model demo=$model --draft "nobody=$TMP/small.gguf"
tap_done
