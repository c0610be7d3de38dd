#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_infill.t: what stands between two texts: /infill, and suffix in OpenAI's and Ollama's words. The model is the small Llama of
# tests/data, whose last words make way for the marks of such models; its tokens are bytes, so that a prompt can be read off its text.
. tests/sh.inc
. tests/serve.inc
marked() # FILE MARK...: a GGUF whose vocabulary has these in the place of its words
{
    file=$1; shift
    rm -rf "$TMP/hf"
    cp -r tests/data/tiny-llama "$TMP/hf"
    perl -MJSON::PP -e '
        my ($file, @mark) = @ARGV;
        local $/;
        open my $f, "<", $file or die; my $j = decode_json(<$f>); close $f;
        $j->{model}{merges} = [];
        my $at = 256;
        for my $word (sort { $j->{model}{vocab}{$a} <=> $j->{model}{vocab}{$b} } grep { $j->{model}{vocab}{$_} >= 256 } keys %{$j->{model}{vocab}}) {
            delete $j->{model}{vocab}{$word};
            my $mark = shift @mark // "<none$at>";
            push @{$j->{added_tokens}}, {id => $at++, content => $mark, single_word => JSON::PP::false, lstrip => JSON::PP::false, rstrip => JSON::PP::false, normalized => JSON::PP::false, special => JSON::PP::true};
        }
        open $f, ">", $file or die; print $f encode_json($j); close $f' "$TMP/hf/tokenizer.json" "$@"
    $LAR convert "$TMP/hf" -o "$file" > "$TMP/out" 2> "$TMP/err"
}
ok "a model with all marks" marked "$TMP/all.gguf" '<|fim_prefix|>' '<|fim_suffix|>' '<|fim_middle|>' '<|repo_name|>' '<|file_sep|>'
ok "one with three" marked "$TMP/three.gguf" '<PRE>' '<SUF>' '<MID>'
ok "one without a middle" marked "$TMP/two.gguf" '<PRE>' '<SUF>'
serve --model all="$TMP/all.gguf" --model three="$TMP/three.gguf" --model two="$TMP/two.gguf"

post /infill '{"model":"all","input_prefix":"a=","input_suffix":";c","n_predict":3,"temperature":0}'
ok "/infill lays out project and texts" has '$j->{prompt} eq "<|repo_name|>myproject\n<|file_sep|>filename\n<|fim_prefix|>a=<|fim_suffix|>;c<|fim_middle|>"'
ok "counts them" has '$j->{tokens_evaluated} == 1 + 10 + 1 + 9 + 1 + 2 + 1 + 2 + 1 && $j->{tokens_predicted} <= 3'
ok "and tells the end" has '$j->{stop} && $j->{stop_type} =~ /^(limit|eos)$/ && !$j->{truncated} && $j->{model} eq "all" && $j->{timings}{prompt_n} > 0'
cp "$TMP/body" "$TMP/whole"
post /infill '{"model":"all","input_prefix":"a=","input_suffix":";c","prompt":"  b","n_predict":3,"temperature":0,"input_extra":[{"filename":"x.c","text":"int x"},{"text":"y"}]}'
ok "other files, and how the middle begins" has '$j->{prompt} eq "<|repo_name|>myproject\n<|file_sep|>x.c\nint x<|file_sep|>tmp\ny<|file_sep|>filename\n<|fim_prefix|>a=  b<|fim_suffix|>;c<|fim_middle|>"'
post /infill '{"model":"three","input_prefix":"a","input_suffix":"<MID>","n_predict":1,"input_extra":[{"filename":"x.c","text":"q"}]}'
ok "without marks of files a line stands between" has '$j->{prompt} eq "\n\n--- snippet ---\n\nq<PRE>a<SUF><MID><MID>"'
ok "and names of marks in texts are text" has '$j->{tokens_evaluated} == 19 + 1 + 1 + 1 + 1 + 5 + 1'
post /infill '{"model":"all","input_prefix":"a=","input_suffix":";c","n_predict":3,"temperature":0,"stream":true}'
ok "a stream is events" header 'content-type: text/event-stream'
perl tests/look.pl get "$TMP/whole" '$j->{content}' > "$TMP/text"
ok "that together are the answer" events 'open my $f, "<:utf8", "'"$TMP"'/text"; local $/; my $t = <$f> // ""; join("", map { $_->{content} } @$j) eq $t && $j->[-1]{stop} && !grep { $_->{stop} } @$j[0 .. $#$j - 1]'

post /v1/completions '{"model":"all","prompt":"a=","suffix":";c","max_tokens":3,"temperature":0}'
ok "OpenAI's suffix" has '$j->{usage}{prompt_tokens} == 1 + 2 + 1 + 2 + 1 && $j->{choices}[0]{finish_reason}'
post /v1/completions '{"model":"all","prompt":["a","bb"],"suffix":"c","max_tokens":2,"temperature":0}'
ok "for each of several prompts" has '$j->{usage}{prompt_tokens} == 5 + 6 && @{$j->{choices}} == 2'
post /v1/completions '{"model":"all","prompt":[97,98],"suffix":"c","max_tokens":2}'
ok "which must be texts" is 400
post /v1/completions '{"model":"all","prompt":"a","suffix":"c","echo":true,"max_tokens":2}'
ok "and come back in no echo" is 400
post /v1/completions '{"model":"all","prompt":"a","suffix":"","max_tokens":2}'
ok "an empty suffix is none" has '$j->{usage}{prompt_tokens} == 1'
post /api/generate '{"model":"all","prompt":"a=","suffix":";c","stream":false,"options":{"num_predict":3,"temperature":0}}'
ok "Ollama's suffix" has '$j->{prompt_eval_count} == 7 && $j->{done}'
post /api/generate '{"model":"all","prompt":"a=","suffix":";c","system":"x","stream":false}'
ok "which has no place for a system message" grep -q system "$TMP/body"

for body in '/infill {"model":"two","input_prefix":"a","input_suffix":"b"}' '/v1/completions {"model":"two","prompt":"a","suffix":"b"}' '/api/generate {"model":"two","prompt":"a","suffix":"b"}'; do
    post "${body%% *}" "${body#* }"
    ok "${body%% *} of a model that cannot is refused" is 400
    ok "with what it lacks" grep -q 'has no token that says \\"middle\\"' "$TMP/body"
done
for body in '{"model":"all","input_suffix":"b"}' '{"model":"all","input_prefix":"b"}' '{"model":"all","input_prefix":"a","input_suffix":"b","input_extra":[{"filename":"x"}]}' \
    '{"model":"all","input_prefix":"a","input_suffix":"b","input_extra":[{"text":"x","more":1}]}' '{"model":"all","input_prefix":"a","input_suffix":"b","samplers":["top_k"]}' '[]' ''; do
    post /infill "$body"
    ok "refused: $body" is 400
done
long=$(printf '%0200d' 0)
post /infill '{"model":"all","input_prefix":"'"$long"'","input_suffix":"b"}'
ok "nothing is cut: what does not fit is an error" grep -q 'the context' "$TMP/body"
post /v1/messages '{}'
ok "Anthropic's clients find a request's id where they look" header 'request-id: [0-9a-z]'
serve_end
tap_done
