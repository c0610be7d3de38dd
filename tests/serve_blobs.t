#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/serve_blobs.t: bringing a model to lar serve as Ollama's clients do: a blob by its digest, then a model of it.
. tests/sh.inc
. tests/serve.inc
model=models/lar-demo-q8_0.gguf
digest=sha256:$(sha256sum $model | cut -c1-64)
wrong=sha256:$(printf 'something else' | sha256sum | cut -c1-64)
bring() { url_path=$1 file=$2; shift 2; ask -X POST -T "$file" "$@" "$url/api/blobs/$url_path"; }
there() { status=$(curl -s -o /dev/null -I -w '%{http_code}' "$url/api/blobs/$1" || true); }
serve --max-body 1
there "$digest"
ok "a blob that was not brought is not there" is 404
bring "$digest" $model
ok "it is brought, though larger than any other body may be" is 201
there "$digest"
ok "and there from then on" is 200
bring "$digest" $model
ok "bringing it twice does no harm" is 200
bring "$wrong" $model
ok "bytes that are not those of the digest are refused" is 400
there "$wrong"
ok "and not kept" is 404
bring "sha256:12" $model
ok "what is no digest is refused by name" has '$j->{error} =~ /sha256:12/'
get "/api/blobs/$digest"
ok "nobody reads a blob" is 405
post /api/create "{\"model\":\"clerk\",\"files\":{\"demo.gguf\":\"$digest\"},\"parameters\":{\"num_predict\":5},\"stream\":false}"
ok "a model is made of it" has '$j->{status} eq "success"'
post /api/chat '{"model":"clerk","stream":false,"messages":[{"role":"user","content":"Hi"}]}'
ok "and answers as it was told to" has '$j->{eval_count} == 5'
post /api/create "{\"model\":\"other\",\"files\":{\"demo.gguf\":\"$wrong\"},\"stream\":false}"
ok "there is no model of a blob that is not there" has '$j->{error} =~ /no blob/'
post /api/create '{"model":"other","files":{"demo.gguf":"/etc/passwd"},"stream":false}'
ok "nor of a file of this machine" has '$j->{error} =~ /digest/'
post /api/create "{\"model\":\"other\",\"from\":\"clerk\",\"files\":{\"demo.gguf\":\"$digest\"},\"stream\":false}"
ok "from and files exclude each other" has '$j->{error} =~ /from and files/'
post /api/create "{\"model\":\"other\",\"files\":{\"a.safetensors\":\"$digest\"},\"stream\":false}"
ok "other kinds of files are refused by name" has '$j->{error} =~ /a.safetensors/'
serve_end

hash() { printf '%s' "$1" | sha256sum | cut -c1-64; }
printf 'ann:%s\nbob:%s models=clerk\n' "$(hash secret-ann)" "$(hash secret-bob)" > "$TMP/keys"
serve --key-file "$TMP/keys"
bring "$wrong" $model
ok "who has no key brings nothing" is 401
bring "$wrong" $model -H 'Authorization: Bearer secret-bob'
ok "nor does who has some models only" is 403
bring "$wrong" $model -H 'Authorization: Bearer secret-ann'
ok "others may" is 400
serve_end
tap_done
