#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_llama.t: what clients of llama.cpp's server and evaluation harnesses ask lar serve for: /props, /slots, tokens in vLLM's words.
. tests/sh.inc
. tests/serve.inc
model=models/lar-demo-q8_0.gguf
serve --model demo=$model --parallel 3 --ctx 256
get /props
ok "the properties of the model that is served" has '$j->{total_slots} == 3 && $j->{default_generation_settings}{n_ctx} == 256 && $j->{model_alias} eq "demo" && $j->{eos_token} eq "<|im_end|>" && $j->{chat_template} =~ /im_start/ && !$j->{modalities}{vision}'
get /slots
ok "room for so many answers, none taken" has '@$j == 3 && (grep { $_->{is_processing} } @$j) == 0 && $j->[2]{n_ctx} == 256'
post /v1/completions '{"model":"demo","prompt":"One two","max_tokens":5,"temperature":0.5,"top_k":7}'
get /slots
ok "what the last answer was is told, and not what it said" has 'my $s = $j->[0]; !$s->{is_processing} && $s->{n_prompt_tokens} == 2 && $s->{next_token}[0]{n_decoded} == 5 && $s->{next_token}[0]{n_remain} == 0 && $s->{params}{top_k} == 7 && $s->{params}{temperature} == 0.5 && $s->{n_ctx} == 7 && $s->{id_task} == 1 && !exists $j->[1]{id_task} && !exists $s->{prompt}'
get '/slots?model=none'
ok "of no other model" is 404
get '/slots?fail_on_no_slot=1'
ok "which is enough for who asks whether there is some" is 200
get /tokenizer_info
ok "what an evaluation harness must know of the tokenizer" has '$j->{eos_token} eq "<|im_end|>" && exists $j->{bos_token} && exists $j->{pad_token} && length $j->{chat_template}'
get '/tokenizer_info?model=none'
ok "of a model that there is" is 404
post /tokenize '{"prompt":"Order A-4","add_special_tokens":false}'
ok "tokens as a harness asks for them" has 'join(",", @{$j->{tokens}}) eq "682,32,65,45,52"'
post /detokenize '{"tokens":[682,32,65,45,52]}'
ok "and back" has '$j->{prompt} eq "Order A-4"'
post /v1/completions '{"model":"demo","prompt":[[682,32,65],[682]],"echo":true,"logprobs":1,"max_tokens":1,"temperature":0,"seed":1}'
ok "how probable a text is, as it asks for it" has '@{$j->{choices}} == 2 && @{$j->{choices}[0]{logprobs}{token_logprobs}} == 4 && !defined $j->{choices}[0]{logprobs}{token_logprobs}[0] && $j->{choices}[0]{logprobs}{token_logprobs}[1] < 0'
get /v1/models
ok "a list of models" has '$j->{data}[0]{id} eq "demo"'
serve_end

serve --model embed=tests/data/embed-mean.gguf
post /api/embed '{"model":"embed","input":"a b c d e","options":{"temperature":null,"mirostat":null,"num_ctx":null}}'
ok "options that say nothing are fine" has '$j->{prompt_eval_count} > 2'
post /api/embed '{"model":"embed","input":"a b c d e","options":{"num_ctx":3}}'
ok "num_ctx cuts a text" has '$j->{prompt_eval_count} == 3'
post /api/embed '{"model":"embed","input":"a b c d e","truncate":false,"options":{"num_ctx":3}}'
ok "or is refused by name" has '$j->{error} =~ /num_ctx/'
post /api/embed '{"model":"embed","input":"a","options":{"frob":1}}'
ok "so is what nobody knows" has '$j->{error} =~ /frob/'
serve_end
tap_done
