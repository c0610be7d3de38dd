#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_sentence.t: what sentence-transformers keeps beside an embedder (Normalize, max_seq_length, do_lower_case, prompts, similarity): through the
# file and back, what lar embed makes of it, and what is refused; heads that convert leaves out are named; RoBERTa's space before a text.
. tests/sh.inc
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
keys() { $LAR show "$1" --json | grep -o '"lar\.embedding\.[a-z_]*"' | tr -d '"' | sed 's/.*\.//' | sort | tr '\n' ' '; }
vector() { $LAR embed "$@" --json; }

try "a plain embedder" $LAR export tests/data/embed-mean.gguf "$TMP/plain"
try "  ... and back" $LAR convert "$TMP/plain" -o "$TMP/plain.gguf"
ok "has no key of Lar's" test -z "$(keys "$TMP/plain.gguf")"
ok "its folder has Normalize" grep -q 'Normalize' "$TMP/plain/modules.json"
ok "  ... and no settings beside it" test ! -e "$TMP/plain/sentence_bert_config.json" -a ! -e "$TMP/plain/config_sentence_transformers.json"

cp -R "$TMP/plain" "$TMP/full"
mv "$TMP/full/1_Pooling" "$TMP/full/mean"
cat >"$TMP/full/modules.json" <<'J'
[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"},
 {"idx": 1, "name": "1", "path": "mean", "type": "sentence_transformers.sentence_transformer.modules.pooling.Pooling"}]
J
echo '{"max_seq_length": 12, "do_lower_case": true}' >"$TMP/full/sentence_bert_config.json"
cat >"$TMP/full/config_sentence_transformers.json" <<'J'
{"__version__": {"sentence_transformers": "5.1.0"}, "prompts": {"query": "Who is ", "document": "", "task: \"é\"": "Gods,\n"},
 "default_prompt_name": "query", "similarity_fn_name": "dot"}
J
try "settings of sentence-transformers" $LAR convert "$TMP/full" -o "$TMP/full.gguf"
ok "become keys" test "$(keys "$TMP/full.gguf")" = "default_prompt lowercase max_tokens normalize prompt_names prompts similarity "
mkdir "$TMP/w"
try "  ... and a folder" $LAR export "$TMP/full.gguf" "$TMP/w/full"
ok "  ... without Normalize" test -z "$(grep Normalize "$TMP/w/full/modules.json")"
ok "  ... with its length" grep -q '"max_seq_length": 12,' "$TMP/w/full/sentence_bert_config.json"
ok "  ... in small letters" grep -q '"do_lower_case": true' "$TMP/w/full/sentence_bert_config.json"
ok "  ... with the prompts" perl tests/look.pl json "$TMP/w/full/config_sentence_transformers.json" \
    '$j->{prompts}{query} eq "Who is " && $j->{prompts}{"task: \"\x{e9}\""} eq "Gods,\n" && $j->{default_prompt_name} eq "query" && $j->{similarity_fn_name} eq "dot"'
try "  ... and a file" $LAR convert "$TMP/w/full" -o "$TMP/w/full.gguf"
ok "equal to the byte" cmp "$TMP/full.gguf" "$TMP/w/full.gguf"
try "quantised" $LAR quantize "$TMP/full.gguf" "$TMP/q.gguf" q8_0
ok "it keeps them" test "$(keys "$TMP/q.gguf")" = "$(keys "$TMP/full.gguf")"

vector "$TMP/plain.gguf" "who is anna?" >"$TMP/a"
vector "$TMP/full.gguf" "ANNA?" >"$TMP/b"
ok "lar embed puts the default prompt before a text, in small letters" cmp "$TMP/a" "$TMP/b"
vector "$TMP/full" "ANNA?" >"$TMP/b"
ok "  ... of the folder too" cmp "$TMP/a" "$TMP/b"
vector "$TMP/full.gguf" --prompt document "who is Anna?" >"$TMP/b"
ok "--prompt names another" cmp "$TMP/a" "$TMP/b"
vector "$TMP/full.gguf" --prompt "" "Who is Anna?" >"$TMP/b"
ok "  ... or none" cmp "$TMP/a" "$TMP/b"
vector "$TMP/full.gguf" --prefix "who " "is Anna?" >"$TMP/b"
ok "--prefix takes its place" cmp "$TMP/a" "$TMP/b"
try_status 2 "a prompt that is none" $LAR embed "$TMP/full.gguf" --prompt passage "x"
ok "  ... names those there are" said 'prompt passage: the model'"'"'s file knows query, document, task: "é"'
try_status 2 "of a file without any" $LAR embed "$TMP/plain.gguf" --prompt query "x"
ok "  ... is said" said 'knows none by name'
try_status 2 "both at once" $LAR embed "$TMP/full.gguf" --prompt query --prefix x "x"
t='the the the the the the the the the'
vector "$TMP/plain.gguf" --truncate 12 "$t $t" >"$TMP/a"
vector "$TMP/full.gguf" --prompt "" --truncate -1 "$t $t" >"$TMP/b"
ok "--truncate -1 cuts at max_seq_length" cmp "$TMP/a" "$TMP/b"

# ---- what is refused ------------------------------------------------------------------------------------------------------------
folder() { rm -rf "$TMP/bad" && cp -R "$TMP/full" "$TMP/bad"; }
refused() { # WHAT FILE TEXT WORDS
    folder
    [ -z "$3" ] || echo "$3" >"$TMP/bad/$2"
    try_status 2 "$1" $LAR convert "$TMP/bad" -o "$TMP/no.gguf"
    ok "  ... is said" said "bad/$2: $4"
}
P='{"type": "a.Transformer", "path": ""}, {"type": "a.Pooling", "path": "mean"}'
refused "a dense layer that a BERT has no place for" modules.json "[$P, {\"type\": \"a.Dense\", \"path\": \"2_Dense\"}]" 'entry 2 (a.Dense)'
refused "Normalize before Pooling" modules.json '[{"type": "a.Normalize"}, {"type": "a.Pooling", "path": "mean"}]' 'entry 1 (a.Pooling)'
refused "a module that nobody knows" modules.json "[$P, {\"type\": \"own.Secret\"}]" 'entry 2 (own.Secret)'
refused "a path that leads out" modules.json '[{"type": "a.Pooling", "path": "../plain"}]' 'the path "../plain" of Pooling'
refused "modules that are no list" modules.json '{"a": 1}' 'is no JSON array'
refused "a length that is none" sentence_bert_config.json '{"max_seq_length": "12"}' 'max_seq_length'
refused "a prompt that is no text" config_sentence_transformers.json '{"prompts": {"query": 5}}' 'a prompt is no string'
refused "two prompts of one name" config_sentence_transformers.json '{"prompts": {"q": "a", "q": "b"}}' 'two prompts'
refused "a default that is no prompt" config_sentence_transformers.json '{"prompts": {}, "default_prompt_name": "query"}' 'default_prompt_name is none'
folder
echo '{"pooling_mode_mean_tokens": true, "include_prompt": false}' >"$TMP/bad/mean/config.json"
try_status 2 "prompts that do not count" $LAR convert "$TMP/bad" -o "$TMP/no.gguf"
ok "  ... are told" said 'include_prompt'
rm -r "$TMP/bad/mean"
try_status 2 "a pooling that is not there" $LAR convert "$TMP/bad" -o "$TMP/no.gguf"
ok "  ... is told" said 'bad/mean/config.json: is missing'
perl -0777 -pe 's/lar\.embedding\.similarity/lar.embedding.similority/' "$TMP/full.gguf" >"$TMP/w.gguf"
try_status 2 "a key that no folder has" $LAR export "$TMP/w.gguf" "$TMP/no"
ok "  ... is named" said 'lar.embedding.similority'

# ---- heads ---------------------------------------------------------------------------------------------------------------------
try "a cross encoder" $LAR export tests/data/embed-rank.gguf "$TMP/rank"
try "  ... back" $LAR convert "$TMP/rank" -o "$TMP/rank.gguf"
ok "  ... leaves nothing out" test ! -s "$TMP/err"
perl -pi -e 's/BertForSequenceClassification/BertForTokenClassification/' "$TMP/rank/config.json"
try "without its pooler" $LAR convert "$TMP/rank" -o "$TMP/rank.gguf"
ok "  ... says so by name" said 'left out, since no vector and no score needs them (poolers, heads that guess words): bert.pooler.dense.bias, bert.pooler.dense.weight'

# ---- the space before a text -----------------------------------------------------------------------------------------------------
cp -R tests/data/tiny-llama "$TMP/space"
perl -pi -e 's/"pre_tokenizer":\{"type":"ByteLevel","add_prefix_space":false/"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true/' "$TMP/space/tokenizer.json"
try "add_prefix_space" $LAR convert "$TMP/space" -o "$TMP/space.gguf"
try "  ... goes back" $LAR export "$TMP/space.gguf" "$TMP/w/space"
ok "  ... as it was" grep -q '{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}' "$TMP/w/space/tokenizer.json"
try "  ... and again" $LAR convert "$TMP/w/space" -o "$TMP/w/space.gguf"
ok "equal to the byte" cmp "$TMP/space.gguf" "$TMP/w/space.gguf"
$LAR tokenize "$TMP/space" --json "hello world" >"$TMP/a"
$LAR tokenize "$TMP/w/space" --json "hello world" >"$TMP/b"
$LAR tokenize tests/data/tiny-llama --json "hello world" >"$TMP/c"
ok "the same tokens" cmp "$TMP/a" "$TMP/b"
ok "others than without it" sh -c '! cmp -s "$1" "$2"' - "$TMP/a" "$TMP/c"
ok "nothing was left behind" test ! -e "$TMP/no" -a ! -e "$TMP/no.gguf"
tap_done
