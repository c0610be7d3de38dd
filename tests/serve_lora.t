#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_lora.t: adapters beside a model that is served: in every dialect, mixed, loaded and unloaded while it runs, and who may do that.
. tests/sh.inc
. tests/serve.inc
model=models/lar-demo-q8_0.gguf
message='Hi, where is my order A-48213? Please answer asap!'
adapter() { name=$1; shift; perl tests/lora.pl "$TMP/loras/$name.gguf" "$@"; }
mkdir "$TMP/loras" "$TMP/else"
adapter one qwen3 4 7 3 blk.0.attn_q.weight:256:256 blk.1.ffn_down.weight:768:256 blk.2.attn_v.weight:256:128
adapter two qwen3 2 9 3 blk.1.ffn_up.weight:256:768 blk.3.attn_output.weight:256:256
adapter wide qwen3 2 9 0.5 blk.1.ffn_up.weight:256:512
adapter norm qwen3 2 9 0.5 blk.1.ffn_up.weight:256:768 blk.1.ffn_norm.weight:256:1
adapter other llama 2 9 0.5 blk.1.ffn_up.weight:256:768
cp "$TMP/loras/two.gguf" "$TMP/else/two.gguf"
ln -s "$TMP/else/two.gguf" "$TMP/loras/link.gguf"
run() { $LAR run $model --temp 0 --max-tokens 24 "$@" "$message"; }
run > "$TMP/none"
run --adapter "$TMP/loras/one.gguf" > "$TMP/one"
run --adapter "$TMP/loras/two.gguf" > "$TMP/two"
run --adapter "$TMP/loras/one.gguf" --adapter "$TMP/loras/two.gguf" > "$TMP/both"
differ() { ! cmp -s "$TMP/none" "$TMP/one" && ! cmp -s "$TMP/none" "$TMP/two" && ! cmp -s "$TMP/one" "$TMP/both"; }
ok "the adapters change what is answered" differ

serve --model demo=$model --lora one="$TMP/loras/one.gguf" --lora demo+zwei="$TMP/loras/two.gguf" --lora-dir "$TMP/loras" --deterministic
chat() { printf '{"model":"%s","messages":[{"role":"user","content":"%s"}],"temperature":0,"max_tokens":24}' "$1" "$message"; }
answers() { post /v1/chat/completions "$(chat "$1")"; perl tests/look.pl get "$TMP/body" '$j->{choices}[0]{message}{content} . "\n"' > "$TMP/text"; cmp "$TMP/text" "$TMP/$2" && has '$j->{model} eq "'"$1"'"'; }

# ---- each alone, one after another: nothing of one is kept for another --------------------------------------------------
ok "the base answers as itself" answers demo none
ok "with an adapter as that adapter" answers demo+one one
ok "with another as the other" answers demo+zwei two
ok "with both as both" answers demo+one+zwei both
ok "and the base again as itself" answers demo none
ok "the adapter again" answers demo+one one
ok "whose prompt was kept" has '$j->{usage}{prompt_tokens_details}{cached_tokens} > 10'
ok "a tag of the base is no other base" answers demo:latest+one one
post /api/chat "{\"model\":\"demo+one\",\"messages\":[{\"role\":\"user\",\"content\":\"$message\"}],\"stream\":false,\"options\":{\"temperature\":0,\"num_predict\":24}}"
perl tests/look.pl get "$TMP/body" '$j->{message}{content} . "\n"' > "$TMP/text"
ok "in Ollama's words" cmp "$TMP/text" "$TMP/one"
post /v1/messages "$(chat demo+one)"
perl tests/look.pl get "$TMP/body" '$j->{content}[0]{text} . "\n"' > "$TMP/text"
ok "in Anthropic's words" cmp "$TMP/text" "$TMP/one"
post /v1/responses "{\"model\":\"demo+one\",\"input\":\"$message\",\"temperature\":0,\"max_output_tokens\":24}"
perl tests/look.pl get "$TMP/body" '(grep { $_->{type} eq "message" } @{$j->{output}})[0]{content}[0]{text} . "\n"' > "$TMP/text"
ok "and as a Response" cmp "$TMP/text" "$TMP/one"
post /v1/chat/completions "$(chat demo+nobody)"
ok "an adapter that there is not is no model" is 404
post /v1/chat/completions "$(chat nobody+one)"
ok "nor is one of a base that there is not" is 404
post /v1/chat/completions "$(chat demo+)"
ok "nor is none" is 404

# ---- together --------------------------------------------------------------------------------------------------------------
all=
for i in 1 2; do
    for who in demo:none demo+one:one demo+zwei:two demo+one+zwei:both; do
        chat "${who%%:*}" > "$TMP/body.$i.${who#*:}"
        all="$all --next -s -H Content-Type:application/json --data-binary @$TMP/body.$i.${who#*:} -o $TMP/got.$i.${who#*:} $url/v1/chat/completions"
    done
done
curl -s --no-progress-meter --parallel --parallel-immediate --max-time 120 ${all# --next} 2> /dev/null
each_its_own()
{
    for i in 1 2; do
        for who in none one two both; do
            perl tests/look.pl get "$TMP/got.$i.$who" '$j->{choices}[0]{message}{content} . "\n"' > "$TMP/text" && cmp "$TMP/text" "$TMP/$who" || return 1
        done
    done
}
ok "eight at once, mixed, each get what theirs answers alone" each_its_own

# ---- lists -------------------------------------------------------------------------------------------------------------------
get /v1/models
ok "they are models in OpenAI's list" has 'join(",", sort map { $_->{id} } @{$j->{data}}) eq "demo,demo+one,demo+zwei" && (grep { $_->{id} eq "demo+one" } @{$j->{data}})[0]{parent} eq "demo"'
get /v1/models/demo+one
ok "by name too" has '$j->{id} eq "demo+one"'
get /api/tags
ok "and in Ollama's" has 'join(",", sort map { $_->{name} } @{$j->{models}}) eq "demo,demo+one,demo+zwei"'
get /api/ps
ok "what is loaded says which adapters are" has '@{$j->{models}} == 1 && join(",", sort map { $_->{name} } @{$j->{models}[0]{adapters}}) eq "demo+one,demo+zwei" && $j->{models}[0]{adapters}[0]{size} > 10000'
get /metrics
ok "requests are counted" grep -Eq '^lar_adapter_requests_total\{model="demo\+one"\} [1-9]' "$TMP/body"
ok "and memory" grep -Eq '^lar_adapter_bytes\{model="demo\+zwei"\} [1-9]' "$TMP/body"
post /api/embed '{"model":"demo+one","input":"x"}'
ok "adapters are for answers: embeddings say so" grep -q 'adapter' "$TMP/body"
ok "with status 400" is 400

# ---- while it runs ------------------------------------------------------------------------------------------------------------
load() { post /v1/load_lora_adapter "$1"; }
load '{"lora_name":"more","lora_path":"two.gguf"}'
ok "one more is loaded" grep -q "adapter 'more' added" "$TMP/body"
ok "and answers" answers demo+more two
load '{"lora_name":"more","lora_path":"one.gguf"}'
ok "its name is taken" is 400
load '{"lora_name":"demo+third","lora_path":"'"$TMP"'/loras/one.gguf"}'
ok "by whole names and whole paths" answers demo+third one
load '{"lora_name":"w","lora_path":"wide.gguf"}'
ok "what does not fit is refused by its tensor" grep -q 'blk.1.ffn_up.weight' "$TMP/body"
load '{"lora_name":"w","lora_path":"norm.gguf"}'
ok "what changes a norm too" grep -q 'blk.1.ffn_norm.weight' "$TMP/body"
load '{"lora_name":"w","lora_path":"other.gguf"}'
ok "what is of another family too" grep -q 'adapter of a llama model' "$TMP/body"
post /v1/chat/completions "$(chat demo+w)"
ok "and is not there then" is 404
outside='is not there'
for path in ../else/two.gguf "$TMP/else/two.gguf" link.gguf "$PWD/$model" nothing.gguf '' /etc/passwd; do
    load '{"lora_name":"w","lora_path":"'"$path"'"}'
    grep -q 'there is no such file in the folder' "$TMP/body" || [ -z "$path" ] || outside="$path"
    is 400 > /dev/null || outside="$path"
done
ok "files elsewhere are not there: not by .., whole paths or links" test "$outside" = 'is not there'
load '{"lora_name":"a/b","lora_path":"one.gguf"}'
ok "names are simple" is 400
load '{"lora_name":"x","lora_path":"one.gguf","surprise":1}'
ok "what is not known is refused by name" grep -q surprise "$TMP/body"
get /lora-adapters
ok "llama-server's list has numbers and scales" has '@$j == 4 && $j->[0]{id} == 0 && $j->[0]{name} eq "demo+one" && $j->[0]{scale} == 1 && $j->[0]{path} =~ /one\.gguf$/'
post /lora-adapters '[{"id":1,"scale":1}]'
ok "scales are set" has '$j->{success}'
ok "what is not named becomes nothing" answers demo+one none
ok "what is named stays" answers demo+zwei two
post /lora-adapters '[{"id":9,"scale":1}]'
ok "a number that there is not changes nothing" is 400
ok "really" answers demo+zwei two
listed() { post /v1/chat/completions "{\"lora\":$2,$(chat "$1" | cut -c2-)"; perl tests/look.pl get "$TMP/body" '$j->{choices}[0]{message}{content} . "\n"' > "$TMP/text"; cmp "$TMP/text" "$TMP/$3"; }
ok "a request may have adapters by their numbers" listed demo '[{"id":0,"scale":1}]' one
ok "several" listed demo '[{"id":1,"scale":1.0},{"id":0,"scale":1}]' both
ok "one at nothing is none" listed demo '[{"id":0,"scale":0},{"id":1,"scale":1}]' two
ok "an empty list too" listed demo '[]' none
ok "scales of others stay theirs" answers demo+one none
refused() { post /v1/chat/completions "{\"lora\":$1,$(chat demo | cut -c2-)"; is 400 && grep -q "lora: .*$2" "$TMP/body"; }
ok "a number that there is not is refused by it" refused '[{"id":9,"scale":1}]' 'id 9'
for bad in '{"id":0,"scale":1}' '[{"id":0}]' '[{"id":0.5,"scale":1}]' '[{"id":0,"scale":1},{"id":0,"scale":1}]' '[{"id":0,"scale":1e9}]' '[{"id":-1,"scale":1}]' '[1]'; do
    ok "no such list: $bad" refused "$bad" 'GET /lora-adapters'
done
post /v1/chat/completions "{\"lora\":[],$(chat demo+one | cut -c2-)"
ok "nor twice: by name and by number" is 400
post /infill '{"model":"demo","input_prefix":"Order ","input_suffix":".","n_predict":4,"lora":[{"id":9,"scale":1}]}'
ok "holes are filled with them too" grep -Eq 'lora: id 9|fill' "$TMP/body"
post /v1/unload_lora_adapter '{"lora_name":"more"}'
ok "one is unloaded" is 200
post /v1/chat/completions "$(chat demo+more)"
ok "and gone" is 404
post /v1/unload_lora_adapter '{"lora_name":"more"}'
ok "twice is too often" is 404
load '{"lora_name":"more","lora_path":"one.gguf"}'
ok "its name may come to mean another" answers demo+more one
serve_end

# ---- who may --------------------------------------------------------------------------------------------------------------------
serve --model demo=$model --lora one="$TMP/loras/one.gguf" --lora-dir "$TMP/loras" --read-only
load '{"lora_name":"more","lora_path":"two.gguf"}'
ok "a server that changes nothing loads nothing" is 403
post /v1/unload_lora_adapter '{"lora_name":"one"}'
ok "unloads nothing" is 403
post /lora-adapters '[]'
ok "and sets no scales" is 403
ok "what it began with answers" answers demo+one one
serve_end
hash() { printf %s "$1" | sha256sum | cut -d' ' -f1; }
printf 'all:%s\nbase:%s models=demo\nonly:%s models=demo+one\n' "$(hash a)" "$(hash b)" "$(hash c)" > "$TMP/keys"
serve --model demo=$model --lora one="$TMP/loras/one.gguf" --key-file "$TMP/keys"
with() { key=$1; shift; post "$@" -H "Authorization: Bearer $key"; }
with b /v1/chat/completions "{\"lora\":[{\"id\":0,\"scale\":1}],$(chat demo | cut -c2-)"
ok "a key of the base alone has no adapters by number" is 403
with b /v1/chat/completions "$(chat demo+one)"
ok "a key for the base alone may not use an adapter" is 403
with b /v1/chat/completions "$(chat demo)"
ok "but the base" is 200
with c /v1/chat/completions "$(chat demo+one)"
ok "a key for the adapter may" is 200
with c /v1/chat/completions "$(chat demo)"
ok "but not the base" is 403
with b /lora-adapters '[]'
ok "and neither may set scales" is 403
with a /v1/load_lora_adapter '{"lora_name":"x","lora_path":"two.gguf"}'
ok "without a folder nothing is loaded for anybody" grep -q 'lora-dir' "$TMP/body"
serve_end
refused() { ! "$LAR" serve --port 0 --model demo=$model --sandbox off "$@" 2> "$TMP/err"; }
if "$LAR" serve --port 0 --lora x=y 2>&1 | grep -q libmicrohttpd; then skip "no libmicrohttpd"; else
    ok "one that does not fit is told at the start" refused --lora w="$TMP/loras/wide.gguf"
    ok "with its tensor" grep -q 'blk.1.ffn_up.weight' "$TMP/err"
    ok "one of nobody too" refused --lora nobody+w="$TMP/loras/one.gguf"
    ok "one without a file too" refused --lora w
fi
tap_done
