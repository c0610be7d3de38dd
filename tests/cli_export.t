#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_export.t: `lar export` on the small models of tests/data: there and back, files, types, and what is refused. (All families: test_export.)
. tests/sh.inc
D=tests/data/tiny-llama
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
nothing_new() { [ ! -e "$TMP/no" ] && [ -z "$(ls "$TMP" | grep 'no\.')" ]; }

mkdir "$TMP/x" "$TMP/y"
$LAR convert $D -o "$TMP/x/m.gguf" >/dev/null
try "lar export" $LAR export "$TMP/x/m.gguf" "$TMP/m"
ok "says what it made" grep -q 'm: LlamaForCausalLM, 20 tensors in 1 file, bf16' "$TMP/out"
for f in config.json generation_config.json model.safetensors tokenizer.json tokenizer_config.json chat_template.jinja; do
    ok "  ... $f" test -s "$TMP/m/$f"
done
try "and back" $LAR convert "$TMP/m" -o "$TMP/y/m.gguf"
$LAR show "$TMP/x/m.gguf" --json >"$TMP/a.json"
$LAR show "$TMP/y/m.gguf" --json >"$TMP/b.json"
# the name is that of the folder
ok "every key is the same" test -z "$(diff "$TMP/a.json" "$TMP/b.json" | grep '^[<>]' | grep -v -e general.name -e '"file' -e '"path' -e '"offset')"
P='hello world'
try "logits of the model" $LAR logits $D --prompt "$P" --all --greedy 8 -o "$TMP/a.st"
try "and of the folder" $LAR logits "$TMP/m" --prompt "$P" --all --greedy 8 -o "$TMP/b.st"
ok "are the same, to the bit" cmp "$TMP/a.st" "$TMP/b.st"
try "in small files" $LAR export "$TMP/x/m.gguf" "$TMP/s" --shard-size 9000
ok "there are several" test -f "$TMP/s/model-00002-of-00003.safetensors"
ok "and their index" grep -q '"model.norm.weight": "model-0000' "$TMP/s/model.safetensors.index.json"
try "which is the same" $LAR logits "$TMP/s" --prompt "$P" --all --greedy 8 -o "$TMP/b.st"
ok "model" cmp "$TMP/a.st" "$TMP/b.st"
mkdir "$TMP/empty"
try "into an empty folder, as F32" $LAR export "$TMP/x/m.gguf" "$TMP/empty/" --type f32
try "  ... the same" $LAR logits "$TMP/empty" --prompt "$P" --all --greedy 8 -o "$TMP/b.st"
ok "  ... model" cmp "$TMP/a.st" "$TMP/b.st"
$LAR quantize "$TMP/x/m.gguf" "$TMP/q.gguf" q8_0 >/dev/null
try "a quantised file" $LAR export "$TMP/q.gguf" "$TMP/q"
ok "and that it was quantised is told" said 'were quantised, or had to be rounded to'
try "  ... in F32 it is the same" $LAR export "$TMP/q.gguf" "$TMP/q32" --type f32
try "  ... model" $LAR logits "$TMP/q32" --prompt "$P" --all -o "$TMP/b.st"

# ---- models that read -------------------------------------------------------------------------------------------------------------
embeds() { $LAR embed "$1" --json "The cat sleeps." "Gods, houses!" >"$2"; }
there_and_back() { # NAME CLASS: tests/data/embed-NAME.gguf to a folder and to a file
    try "a ${1}'s folder" $LAR export "tests/data/embed-$1.gguf" "$TMP/e-$1"
    ok "  ... is a $2" grep -q "e-$1: $2, " "$TMP/out"
    try "  ... and back" $LAR convert "$TMP/e-$1" -o "$TMP/e-$1.gguf"
}
there_and_back mean BertModel
for f in config.json model.safetensors tokenizer.json tokenizer_config.json modules.json 1_Pooling/config.json; do
    ok "  ... $f" test -s "$TMP/e-mean/$f"
done
ok "  ... no generation_config.json" test ! -e "$TMP/e-mean/generation_config.json"
ok "  ... pooling by the mean" grep -q '"pooling_mode_mean_tokens": true' "$TMP/e-mean/1_Pooling/config.json"
ok "  ... of two texts the second is of type 1" grep -q '"token_type_ids"' "$TMP/e-mean/tokenizer_config.json"
embeds tests/data/embed-mean.gguf "$TMP/va"
embeds "$TMP/e-mean.gguf" "$TMP/vb"
ok "  ... gives the same vectors" cmp "$TMP/va" "$TMP/vb"
try "a file made of its folder" $LAR export "$TMP/e-mean.gguf" "$TMP/e2"
try "  ... and of that folder" $LAR convert "$TMP/e2" -o "$TMP/e2.gguf"
$LAR show "$TMP/e-mean.gguf" --json | grep -v -e general.name -e '"file' -e '"path' >"$TMP/a.json"
$LAR show "$TMP/e2.gguf" --json | grep -v -e general.name -e '"file' -e '"path' >"$TMP/b.json"
ok "  ... has the same keys" test -z "$(diff "$TMP/a.json" "$TMP/b.json" | grep '^[<>]' | grep -v '"offset')"
there_and_back rank BertForSequenceClassification
$LAR rerank tests/data/embed-rank.gguf "Who is Anna?" "The cat sleeps." "Gods, houses!" >"$TMP/va"
$LAR rerank "$TMP/e-rank.gguf" "Who is Anna?" "The cat sleeps." "Gods, houses!" >"$TMP/vb"
ok "  ... gives the same scores" cmp "$TMP/va" "$TMP/vb"
there_and_back tokens BertForTokenClassification
ok "  ... with its labels" grep -q '"1": "B-PER"' "$TMP/e-tokens/config.json"
# DistilBERT: a BERT without types of tokens, under other names; layers stand one deeper than the rest
cp -R "$TMP/e-mean" "$TMP/distil"
perl -MJSON::PP -e '
    local $/;
    my ($from, $to) = @ARGV;
    open my $f, "<:raw", "$from/model.safetensors"; my $all = <$f>; close $f;
    my $n = unpack "Q<", $all;
    my $head = decode_json(substr $all, 8, $n);
    my (%new, $data);
    for my $old (grep { !/__metadata__|token_type|pooler/ } sort keys %$head) {
        my ($t, $name) = ($head->{$old}, $old);
        my ($a, $b) = @{$t->{data_offsets}};
        $name =~ s/^encoder\.layer/transformer.layer/;
        $name =~ s/attention\.self\.(.)\w+/attention.$1_lin/; $name =~ s/attention\.output\.dense/attention.out_lin/;
        $name =~ s/attention\.output\.LayerNorm/sa_layer_norm/; $name =~ s/intermediate\.dense/ffn.lin1/;
        $name =~ s/(\d)\.output\.dense/$1.ffn.lin2/; $name =~ s/(\d)\.output\.LayerNorm/$1.output_layer_norm/;
        $t->{data_offsets} = [length($data // ""), length($data // "") + $b - $a];
        $data .= substr $all, 8 + $n + $a, $b - $a;
        $new{$name} = $t;
    }
    my $text = JSON::PP->new->canonical->encode(\%new);
    open $f, ">:raw", "$to/model.safetensors"; print $f pack("Q<", length $text), $text, $data; close $f;
    open $f, ">", "$to.names"; print $f map { "$_\n" } sort keys %new; close $f;
    open $f, "<", "$to/config.json"; my $c = decode_json(<$f>); close $f;
    $c = {%$c, architectures => ["DistilBertModel"], model_type => "distilbert", activation => "gelu", dim => $c->{hidden_size},
          hidden_dim => $c->{intermediate_size}, n_layers => $c->{num_hidden_layers}, n_heads => $c->{num_attention_heads}};
    delete @$c{qw(hidden_size intermediate_size num_hidden_layers num_attention_heads hidden_act type_vocab_size layer_norm_eps)};
    open $f, ">", "$to/config.json"; print $f encode_json($c); close $f' "$TMP/e-mean" "$TMP/distil"
try "DistilBERT" $LAR convert "$TMP/distil" -o "$TMP/distil.gguf"
try "  ... and its folder" $LAR export "$TMP/distil.gguf" "$TMP/distil.back"
ok "  ... is a DistilBertModel" grep -q "DistilBertModel, " "$TMP/out"
perl -MJSON::PP -e 'open my $f, "<:raw", shift; read $f, my $n, 8; read $f, my $t, unpack "Q<", $n;
    print map { "$_\n" } grep { !/__metadata__/ } sort keys %{decode_json($t)}' "$TMP/distil.back/model.safetensors" >"$TMP/names"
ok "  ... with the names that it had" cmp "$TMP/names" "$TMP/distil.names"
sed -i 's/"n_heads": *[0-9]*/"n_heads":3/' "$TMP/distil/config.json"
try_status 2 "heads that do not divide the width" $LAR convert "$TMP/distil" -o "$TMP/no.gguf"
ok "  ... are told" said num_attention_heads
cp -R "$TMP/e-mean" "$TMP/half"
head -c 300 "$TMP/e-mean/tokenizer.json" >"$TMP/half/tokenizer.json"
try_status 2 "half a tokenizer.json" $LAR convert "$TMP/half" -o "$TMP/no.gguf"
ok "  ... by its name" said 'tokenizer.json: '
# a decoder that is pooled, and a folder of a killed process with a folder in it
cp -R $D "$TMP/pooled" && mkdir "$TMP/pooled/1_Pooling" "$TMP/back.tmp-999999999" "$TMP/back.tmp-999999999/1_Pooling"
echo '{"word_embedding_dimension": 64, "pooling_mode_lasttoken": true}' >"$TMP/pooled/1_Pooling/config.json"
: >"$TMP/back.tmp-999999999/1_Pooling/config.json"
: >"$TMP/back.tmp-999999999/2_Dense"
$LAR convert "$TMP/pooled" -o "$TMP/pooled.gguf" >/dev/null
try "a decoder with a pooling" $LAR export "$TMP/pooled.gguf" "$TMP/back"
ok "  ... has it" grep -q '"pooling_mode_lasttoken": true' "$TMP/back/1_Pooling/config.json"
ok "what a killed one left is gone" test ! -e "$TMP/back.tmp-999999999"
perl -0777 -pe 's/cls\.weight/clz.weight/' tests/data/embed-rank.gguf >"$TMP/w.gguf"
try_status 2 "a score without its first layer" $LAR export "$TMP/w.gguf" "$TMP/no"
ok "  ... is told" said 'cls.weight'

# ---- what is refused, and nothing is left behind ----------------------------------------------------------------------------------
try_status 2 "no folder" $LAR export "$TMP/x/m.gguf"
try_status 2 "a type that is none" $LAR export "$TMP/x/m.gguf" "$TMP/no" --type q8_0
try_status 1 "a file that is not there" $LAR export "$TMP/nowhere.gguf" "$TMP/no"
try_status 2 "a folder with something in it" $LAR export "$TMP/x/m.gguf" "$TMP/m"
ok "  ... is said" said 'something in it'
ok "  ... and is as it was" test -s "$TMP/m/config.json"
try_status 2 "a file is no folder" $LAR export "$TMP/x/m.gguf" "$TMP/q.gguf"
head -c 20000 "$TMP/x/m.gguf" >"$TMP/cut.gguf"
try_status 2 "half a file" $LAR export "$TMP/cut.gguf" "$TMP/no"
# one key or name of the file is changed for another of the same length
swap() { perl -0777 -pe "s/\Q$1\E/$2/" "$TMP/x/m.gguf" >"$TMP/w.gguf"; }
swap 'blk.0.attn_norm.weight' 'blk.0.attn_nomr.weight'
try_status 2 "a tensor that is none of the family" $LAR export "$TMP/w.gguf" "$TMP/no"
ok "  ... by its name" said 'blk.0.attn_nomr.weight'
swap 'blk.1.ffn_up.weight' 'blk.7.ffn_up.weight'
try_status 2 "a tensor of a layer that is none" $LAR export "$TMP/w.gguf" "$TMP/no"
swap 'llama.rope.dimension_count' 'llama.rope.dimension_uncot'
try_status 2 "a key that no config.json says" $LAR export "$TMP/w.gguf" "$TMP/no"
ok "  ... by its name" said 'llama.rope.dimension_uncot'
swap 'tokenizer.ggml.pre' 'tokenizer.ggml.prx'
try_status 2 "a way to cut words that nobody knows" $LAR export "$TMP/w.gguf" "$TMP/no"
ok "  ... is said" said 'tokenizer.ggml.pre'
perl -0777 -pe 's/(general\.architecture.{12})llama/${1}llamb/s' "$TMP/x/m.gguf" >"$TMP/w.gguf"
try_status 2 "an architecture that no class has" $LAR export "$TMP/w.gguf" "$TMP/no"
ok "  ... by its name" said 'llamb'
ok "nothing was left behind" nothing_new
tap_done
