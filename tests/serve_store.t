#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_store.t: Ollama's create, copy, delete, pull and push, asked of a running server.
. tests/sh.inc
. tests/serve.inc
model=models/lar-demo-q8_0.gguf
export HOME="$TMP/home"
unset HF_HOME HF_HUB_CACHE LAR_REGISTRY LAR_REGISTRY_AUTH HF_ENDPOINT HF_TOKEN http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy || true
printf 'FROM %s\nPARAMETER temperature 0\n' "$PWD/$model" > "$TMP/Modelfile"
$LAR create base -f "$TMP/Modelfile" > /dev/null || exit 1
serve --model demo=$model
names() { get /api/tags; perl tests/look.pl get "$TMP/body" 'join(",", sort map { $_->{name} } @{$j->{models}})'; }
last() { tail -1 "$TMP/body" > "$TMP/last"; perl tests/look.pl json "$TMP/last" "$1"; }

# ---- create, copy, delete ---------------------------------------------------------------------------------------------------
post /api/create '{"model":"clerk","from":"base","system":"Be kind.","parameters":{"num_predict":5,"stop":["a b","c"],"temperature":0.5},"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}],"license":["one","two"]}'
ok "a model is made" is 200
ok "told in lines of JSON" lines 'exists $j->{status}'
ok "to the word success" last '$j->{status} eq "success"'
ok "and is served" test "$(names)" = 'base:latest,clerk:latest,demo'
post /api/show '{"model":"clerk"}'
ok "as it was asked for" has '$j->{system} eq "Be kind." && $j->{parameters} =~ /num_predict\s+5/ && $j->{parameters} =~ /stop\s+"?a b/ && $j->{parameters} =~ /temperature\s+0.5/ && $j->{modelfile} =~ /MESSAGE assistant Hello/ && $j->{modelfile} =~ /LICENSE one.*LICENSE two/s'
post /api/generate '{"model":"clerk","prompt":"x","stream":false,"raw":true}'
ok "with its parameters" has '$j->{eval_count} <= 5'
post /api/create '{"name":"clerk2","from":"clerk","stream":false}'
ok "without a stream in one answer" has '$j->{status} eq "success"'
post /api/copy '{"source":"clerk","destination":"shop/clerk:v1"}'
ok "a copy" is 200
post /api/delete '{"model":"clerk"}' -X DELETE
ok "one is deleted" is 200
ok "the others are there" test "$(names)" = 'base:latest,clerk2:latest,demo,shop/clerk:v1'
post /api/chat '{"model":"shop/clerk:v1","stream":false,"messages":[{"role":"user","content":"x"}]}'
ok "and answer" is 200
refuses() # STATUS WORDS PATH JSON [CURL...]
{
    code=$1 words=$2 path=$3 data=$4
    shift 4
    post "$path" "$data" "$@"
    ok "refused with $code: $words" sh -c '[ "$1" = "$2" ] && grep -qF -- "$3" "$4" || { cat "$4"; exit 1; }' - "$status" "$code" "$words" "$TMP/body"
}
refuses 404 "model 'nobody' not found" /api/delete '{"model":"nobody"}' -X DELETE
refuses 404 "model 'nobody' not found" /api/copy '{"source":"nobody","destination":"x"}'
refuses 404 "from must be a model of the store" /api/create '{"model":"x","from":"demo","stream":false}'
refuses 404 "from must be a model of the store" /api/create "{\"model\":\"x\",\"from\":\"$model\",\"stream\":false}"
refuses 400 "name" /api/create "{\"model\":\"x\",\"from\":\"$PWD/$model\",\"stream\":false}"
refuses 400 "mirosat" /api/create '{"model":"x","from":"base","parameters":{"mirosat":1},"stream":false}'
refuses 400 "modelfile is not known here" /api/create '{"model":"x","modelfile":"FROM base"}'
refuses 400 "destination is required" /api/copy '{"source":"base"}'
refuses 400 "name" /api/copy '{"source":"base","destination":"../../x"}'
refuses 400 "missing request body" /api/pull ''
ok "nothing came of those" test "$(names)" = 'base:latest,clerk2:latest,demo,shop/clerk:v1'

# ---- pull and push ------------------------------------------------------------------------------------------------------------
with_registry()
{
    perl -MIO::Socket::INET -MDigest::SHA -e 1 2>/dev/null || return 1
    $LAR pull 127.0.0.1:1/x/y 2>&1 | grep -q libcurl4 && return 1
    return 0
}
if with_registry; then
    mkdir -p "$TMP/reg/blobs" "$TMP/reg/manifests/any/shop"
    cp "$LAR_MODELS/blobs"/* "$TMP/reg/blobs"
    cp "$LAR_MODELS/manifests/registry.ollama.ai/library/base/latest" "$TMP/reg/manifests/any/shop/latest"
    perl tests/registry.pl "$TMP/reg" "$TMP/port" "$TMP/log" < /dev/null > /dev/null 2>&1 &
    registry=$!
    trap 'kill $registry 2>/dev/null; [ -z "$server" ] || kill -9 "$server" 2>/dev/null; rm -rf "$TMP"' EXIT
    i=0
    until [ -e "$TMP/port" ] || [ $i = 600 ]; do i=$((i + 1)); sleep 0.1; done
    read -r port other < "$TMP/port"
    for name in base clerk2 shop/clerk:v1; do post /api/delete "{\"model\":\"$name\"}" -X DELETE; done
    ok "all models can go" test "$(names)" = demo
    post /api/pull "{\"model\":\"127.0.0.1:$port/any/shop\"}"
    ok "a model is fetched" last '$j->{status} eq "success"'
    ok "with how far it is" sh -c 'grep -q "\"completed\":" "$1" && grep -q "pulling manifest" "$1"' - "$TMP/body"
    ok "and served" sh -c 'echo "$1" | grep -q "127.0.0.1:$2/any/shop:latest"' - "$(names)" "$port"
    post /api/pull "{\"model\":\"127.0.0.1:$port/any/none\"}"
    ok "what is not there is an error" sh -c 'grep -q "\"error\":" "$1"' - "$TMP/body"
    post /api/copy "{\"source\":\"127.0.0.1:$port/any/shop\",\"destination\":\"127.0.0.1:$port/any/sent\"}"
    post /api/push "{\"model\":\"127.0.0.1:$port/any/sent\",\"stream\":false}"
    ok "a model is sent" has '$j->{status} eq "success"'
    ok "and is there" test -s "$TMP/reg/manifests/any/sent/latest"
else
    skip "no libcurl, or no perl, for a registry"
fi
serve_end
tap_done
