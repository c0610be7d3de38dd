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
