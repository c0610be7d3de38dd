#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_llama2c.t: `lar convert` of llama2.c's .bin files: a small one that is made here, in all three versions, and stories260K.
. tests/sh.inc
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }

# dim 8, hidden 12, 2 layers, 2 heads, 1 of keys, 262 tokens, 16 positions; every weight a multiple of 1/64. make VERSION SHARED FILE
cat >"$TMP/make.pl" <<'EOF'
my ($version, $shared, $file) = @ARGV;
my ($d, $f, $l, $h, $kv, $n, $s) = (8, 12, 2, 2, 1, 262, 16);
my $seed = 1;
sub some { my ($n) = @_; map { $seed = ($seed * 1103515245 + 12345) % 2147483648; (int($seed / 65536) % 127 - 63) / 64 } 1 .. $n }
my %t;
for (['embed', $n * $d, 1], ['an', $d, $l], ['q', $d * $d, $l], ['k', $d * $d / 2, $l], ['v', $d * $d / 2, $l], ['o', $d * $d, $l],
     ['fn', $d, $l], ['w1', $d * $f, $l], ['w2', $d * $f, $l], ['w3', $d * $f, $l], ['last', $d, 1], ['out', $n * $d, 1]) {
    my ($name, $count, $layers) = @$_;
    $t{$name} = [map { [some($count)] } 1 .. $layers];
}
open my $o, '>:raw', $file or die;
print $o pack('a4 l<', '24ka', $version) if $version;
print $o pack('l<7', $d, $f, $l, $h, $kv, $shared || $version ? $n : -$n, $s);
print $o pack('C', $shared) if $version;
print $o pack('l<', 4) if $version == 2;
print $o "\0" x (256 - tell $o) if $version;
sub plain { print $o pack 'f<*', map { @$_ } @{$t{$_[0]}} }
sub eight { for my $m (@{$t{$_[0]}}) { print $o pack('c*', map { $_ * 64 } @$m), pack('f<*', (1 / 64) x (@$m / 4)) } }
my $put = $version == 2 ? \&eight : \&plain;
if ($version) { plain($_) for qw(an fn last); $put->($_) for qw(embed q k v o w1 w2 w3) }
else { plain($_) for qw(embed an q k v o fn w1 w2 w3 last); print $o "\0" x (2 * 4 * $s * 2) }
$put->('out') unless $shared;
open my $k, '>:raw', $file =~ s/[^\/]*$/tok262.bin/r or die;
print $k pack('l<', 7), map { pack('f< l< a*', $_->[1], length $_->[0], $_->[0]) } ['<unk>', 0], ["\n<s>\n", 0], ["\n</s>\n", 0],
    (map { [sprintf('<0x%02X>', $_), 0] } 0 .. 255), [' ', -1], ['a', -2], [' a', 0];
EOF
make() { perl "$TMP/make.pl" "$@"; }
for v in 0 1 2; do
    make $v 0 "$TMP/m$v.bin"
    try "version $v" $LAR convert "$TMP/m$v.bin" -o "$TMP/m$v.gguf"
    try "runs" $LAR logits "$TMP/m$v.gguf" --prompt 'a a' --all -o "$TMP/m$v.st"
done
ok "1 is 0" cmp "$TMP/m0.st" "$TMP/m1.st"
ok "2 is 0, to the bit: its weights are multiples of their factors" cmp "$TMP/m0.st" "$TMP/m2.st"
$LAR show "$TMP/m0.gguf" --json >"$TMP/json"
look() { perl tests/look.pl "$@"; }
ok "the keys are Llama's" look json "$TMP/json" '$j->{metadata}{"llama.context_length"} == 16 && $j->{metadata}{"llama.attention.head_count_kv"} == 1 && $j->{metadata}{"llama.rope.dimension_count"} == 4'
ok "the tokens SentencePiece's" look json "$TMP/json" '$j->{metadata}{"tokenizer.ggml.tokens"}[261] eq "\x{2581}a" && $j->{metadata}{"tokenizer.ggml.token_type"}[1] == 3 && $j->{metadata}{"tokenizer.ggml.token_type"}[3] == 6'
make 0 1 "$TMP/m.bin"
try "an output that is the embedding" $LAR convert "$TMP/m.bin" -o "$TMP/t.gguf"
ok "is not there twice" grep -q 'llama, 20 tensors' "$TMP/out"
try "and a folder for transformers" $LAR export "$TMP/m0.gguf" "$TMP/hf"
try "is the same" $LAR logits "$TMP/hf" --prompt 'a a' --all -o "$TMP/hf.st"
ok "  ... model" cmp "$TMP/hf.st" "$TMP/m0.st"

# ---- what is refused -----------------------------------------------------------------------------------------------------------
no() { try_status 2 "$1" $LAR convert "$TMP/no/m.bin" -o "$TMP/no.gguf"; }
fresh() { rm -rf "$TMP/no" && mkdir "$TMP/no" && make 1 0 "$TMP/no/m.bin"; }
bend() { fresh && perl -e 'open F, "+<:raw", $ARGV[0]; seek F, $ARGV[1], 0; print F pack "l<", $ARGV[2]' "$TMP/no/m.bin" "$1" "$2"; }
bend 4 3 && no "a version that is none"
ok "  ... is said" said 'whose version or numbers'
bend 4 2 && no "groups of nothing"
bend 8 -8 && no "a negative width"
bend 8 2147483647 && no "an absurd width"
bend 20 3 && no "heads that do not divide"
bend 16 5000 && no "layers beyond all measure"
bend 28 300 && no "more tokens than the file has"
ok "  ... is said" said 'its header asks for'
fresh && head -c 5000 "$TMP/no/m.bin" >"$TMP/no/c.bin" && mv "$TMP/no/c.bin" "$TMP/no/m.bin" && no "half a file"
fresh && head -c 100 "$TMP/no/m.bin" >"$TMP/no/c.bin" && mv "$TMP/no/c.bin" "$TMP/no/m.bin" && no "half a head"
fresh && rm "$TMP/no/tok262.bin" && no "no tokenizer"
ok "  ... names what it looked for" said 'tok262.bin'
fresh && head -c 300 "$TMP/m0.gguf" >/dev/null && head -c 300 "$TMP/no/tok262.bin" >"$TMP/no/tokenizer.bin" && no "half a tokenizer"
ok "  ... by the token" said 'of 262'
fresh && perl -e 'print pack("l< f< l<", 7, 0, -5)' >"$TMP/no/tokenizer.bin" && no "a token of negative length"
fresh && (cat "$TMP/no/tok262.bin"; echo more) >"$TMP/no/tokenizer.bin" && no "more than its tokens"
ok "nothing was left behind" test ! -e "$TMP/no.gguf"

S=../shared/data/models/stories260k
if [ -d $S ]; then
    for f in stories260K stories260K-v1-f32 stories260K-q8; do
        try "$f" $LAR convert $S/$f.bin -o "$TMP/s.gguf"
        try "tells the story" $LAR run "$TMP/s.gguf" --raw --temp 0 --max-tokens 60 ""
        ok "that it is known for" grep -q 'Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball.' "$TMP/out"
        try "numbers" $LAR logits "$TMP/s.gguf" --tokens 1,403,407 --all -o "$TMP/$f.st"
    done
    try "those of the GGUF that others made" $LAR logits $S/stories260K.gguf --tokens 1,403,407 --all -o "$TMP/g.st"
    ok "are version 0's" cmp "$TMP/g.st" "$TMP/stories260K.st"
    ok "and version 1's" cmp "$TMP/g.st" "$TMP/stories260K-v1-f32.st"
fi
tap_done
