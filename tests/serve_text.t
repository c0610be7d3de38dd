#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_text.t: what programs that measure models ask of a server: how probable a given text is (echo with logprobs).
. tests/sh.inc
. tests/serve.inc
model=models/lar-demo-q8_0.gguf
serve --model demo=$model
look() { perl tests/look.pl "$@"; }
ids() { $LAR tokenize $model --json "$1" | perl -MJSON::PP -e 'print join ",", @{decode_json(<>)->{ids}}'; }

# A model's own greedy answer, then the same tokens given as a text: the same probabilities, reached another way.
prompt=$(ids "Where is my order, please? I have waited for it since Monday and nobody answers the telephone in your shop")
post /v1/completions "{\"prompt\":[$prompt],\"max_tokens\":40,\"temperature\":0,\"logprobs\":2}"
cp "$TMP/body" "$TMP/answer"
answer=$(look get "$TMP/answer" 'join ",", map { 0 + $_ } @{$j->{choices}[0]{logprobs}{token_logprobs}}')
text=$(look get "$TMP/answer" '$j->{choices}[0]{text}')
ok "an answer with its probabilities" sh -c 'echo "$1" | tr "," "\n" | wc -l | grep -qx "40"' - "$answer"
post /tokenize "$(perl -MJSON::PP -e 'print encode_json({content => $ARGV[0]})' "$text")"
more=$(look get "$TMP/body" 'join ",", @{$j->{tokens}}')
post /v1/completions "{\"prompt\":[$prompt,$more],\"max_tokens\":1,\"temperature\":0,\"logprobs\":2,\"echo\":true}"
ok "echo gives the prompt back" sh -c 'perl tests/look.pl json "$1" "substr(\$j->{choices}[0]{text}, 0, 12) eq q(Where is my )"' - "$TMP/body"
n=$(echo "$prompt,$more" | tr ',' '\n' | wc -l)
ok "with a probability for each token and the next, but none for the first" has "@{\$j->{choices}[0]{logprobs}{token_logprobs}} == $n + 1 && !defined \$j->{choices}[0]{logprobs}{token_logprobs}[0] && !defined \$j->{choices}[0]{logprobs}{top_logprobs}[0] && @{\$j->{choices}[0]{logprobs}{tokens}} == $n + 1"
same() # probabilities of the answer's tokens, where the text was cut into the same tokens
{
    perl -MJSON::PP -e '
        local $/; my ($own, $told) = map { open my $f, "<", $_ or die; decode_json(<$f>)->{choices}[0]{logprobs} } @ARGV;
        my $at = @{$told->{tokens}} - 1 - @{$own->{tokens}}; my $n = 0;
        for (0 .. $#{$own->{tokens}}) {
            my ($x, $y) = ($own->{token_logprobs}[$_], $told->{token_logprobs}[$at + $_]);
            die "token $_ is $told->{tokens}[$at + $_]\n" if $own->{tokens}[$_] ne $told->{tokens}[$at + $_];
            die "$_: $x and $y\n" if abs($x - $y) > 0.05 + 0.02 * abs($x);
            my ($best) = sort { $b <=> $a } values %{$told->{top_logprobs}[$at + $_]};
            $n++ if $best == $y;
        }
        die "only $n are the best\n" if $n < 38' "$TMP/answer" "$TMP/body"
}
if [ "$(echo "$more" | tr ',' '\n' | wc -l)" = 40 ]; then ok "they are those that the answer had" same; else skip "the text is cut into other tokens"; fi
ok "usage counts them" has "\$j->{usage}{prompt_tokens} == $n && \$j->{usage}{completion_tokens} == 1"
cp "$TMP/body" "$TMP/scored"
post /v1/completions "{\"prompt\":[$prompt,$more],\"max_tokens\":0,\"temperature\":0,\"logprobs\":2,\"echo\":true}"
ok "max_tokens 0: the prompt alone" has "@{\$j->{choices}[0]{logprobs}{token_logprobs}} == $n && \$j->{usage}{completion_tokens} == 0"
post /v1/completions "{\"prompt\":[[$prompt],[$prompt,$more]],\"max_tokens\":1,\"temperature\":0,\"logprobs\":1,\"echo\":true}"
ok "several at once" has "@{\$j->{choices}} == 2 && @{\$j->{choices}[1]{logprobs}{tokens}} == $n + 1"
ok "each as it is alone" sh -c 'perl -MJSON::PP -e "
    local \$/; my (\$a, \$b) = map { open my \$f, q(<), \$_ or die; decode_json(<\$f>) } @ARGV;
    my (\$v, \$w) = (\$a->{choices}[0]{logprobs}{token_logprobs}, \$b->{choices}[1]{logprobs}{token_logprobs});
    for (1 .. \$#\$v) { exit 1 if abs(\$v->[\$_] - \$w->[\$_]) > 0.05 + 0.02 * abs(\$v->[\$_]) }" "$1" "$2"' - "$TMP/scored" "$TMP/body"
post /v1/completions '{"prompt":"Hi there","max_tokens":2,"temperature":0,"echo":true}'
ok "without logprobs the text alone" has '$j->{choices}[0]{text} =~ /^Hi there/ && !defined $j->{choices}[0]{logprobs}'
post /v1/completions '{"prompt":"Hi there","max_tokens":2,"echo":true,"stream":true}'
ok "a stream does not echo, and says so" has '$j->{error}{message} =~ /echo/'
post /v1/completions '{"prompt":"Hi there","max_tokens":0}'
ok "nothing to answer and nothing to echo is refused" has '$j->{error}{message} =~ /max_tokens/'
serve_end
tap_done
