#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/cli_embed.t: embed, rerank, classify on the tiny models of tests/data, whose numbers tools/tiny_bert.py took from the formulas.
. tests/sh.inc
mean=tests/data/embed-mean.gguf rank=tests/data/embed-rank.gguf tokens=tests/data/embed-tokens.gguf
want=tests/data/embed.json
look() { perl tests/look.pl "$@"; }
said() { grep -qF -- "$1" "$TMP/err" || { cat "$TMP/err"; return 1; }; }
one_line() { [ ! -s "$TMP/out" ] && [ "$(wc -l < "$TMP/err")" = 1 ] || { cat "$TMP/out" "$TMP/err"; return 1; }; }
# both FILE EXPRESSION: of $j, what the program wrote ({"got": ...}), and $w, what it should have written
both() { { printf '{"got":'; cat "$1"; printf ',"want":'; cat $want; printf '}'; } > "$TMP/both" && look json "$TMP/both" "my \$w = \$j->{want}; my \$g = \$j->{got}; $2"; }
array() { { printf '['; sed '$!s/$/,/' "$1"; printf ']'; } > "$2"; } # lines of JSON as one array
near='sub far { my ($a, $b) = @_; return 1 if @$a != @$b; my $f = 0; for (0 .. $#$a) { $f = 1 if abs($a->[$_] - $b->[$_]) > 2e-6 } $f }'
texts() { look get $want 'use utf8; binmode STDOUT, ":utf8"; join "\n", map { $_->{text} } @{$j->{embed}}'; }

# ---- embed -----------------------------------------------------------------------------------------------------------
texts > "$TMP/texts"
try "lar embed reads a text a line" sh -c '"$1" embed "$2" --json < "$3"' - "$LAR" $mean "$TMP/texts"
cp "$TMP/out" "$TMP/lines"
array "$TMP/out" "$TMP/all"
ok "and gives the vector of each" both "$TMP/all" "$near; @\$g == 5 && !grep { far(\$g->[\$_], \$w->{embed}[\$_]{vector}) } 0 .. 4"
ok "of unit length" look lines "$TMP/lines" 'my $s = 0; $s += $_ * $_ for @$j; abs($s - 1) < 1e-6 or die "length $s\n"'
try "the same from arguments" $LAR embed $mean --json "The cat sleeps." "" "Who is Anna?" "Gods, houses!" "zebra the"
ok "  ... to the byte" cmp "$TMP/out" "$TMP/lines"
try "as plain numbers" $LAR embed $mean "The cat sleeps."
{ printf '['; tr ' ' ',' < "$TMP/out"; printf ']'; } > "$TMP/plain"
ok "  ... the same" both "$TMP/plain" "$near; !far(\$g, \$w->{embed}[0]{vector})"
try "--no-normalize" $LAR embed $mean --json --no-normalize "Gods, houses!"
ok "gives them as they come" both "$TMP/out" "$near; !far(\$g, \$w->{embed}[3]{raw})"
try "--dimensions 3" $LAR embed $mean --json --dimensions 3 "Gods, houses!"
ok "gives the first three, of unit length" both "$TMP/out" "$near; my @v = @{\$w->{embed}[3]{raw}}[0 .. 2]; my \$s = sqrt(\$v[0]**2 + \$v[1]**2 + \$v[2]**2); !far(\$g, [map { \$_ / \$s } @v])"
try "--prefix" $LAR embed $mean --json --prefix "Gods, " "houses!"
ok "stands before the text" both "$TMP/out" "$near; !far(\$g, \$w->{embed}[3]{vector})"
try "another pooling" $LAR embed $mean --json --pooling cls "Gods, houses!"
ok "gives another vector" both "$TMP/out" "$near; far(\$g, \$w->{embed}[3]{vector})"
printf '"Gods, houses!"\n{}\nx"\n"The cat\\nsleeps."\n' > "$TMP/batch"
try_status 2 "--batch takes a JSON string a line" sh -c '"$1" embed "$2" --batch < "$3"' - "$LAR" $mean "$TMP/batch"
array "$TMP/out" "$TMP/all"
ok "and bad lines fail alone" both "$TMP/all" "$near; @\$g == 4 && \$g->[1]{error} && \$g->[2]{error} && !far(\$g->[0], \$w->{embed}[3]{vector}) && !far(\$g->[3], \$w->{embed}[0]{vector})"

long='the the the the the the the the the the the the the the the the the the the the the the the the'
try_status 2 "a text that is too long is refused" $LAR embed $mean "the" "$long"
ok "with its number and both lengths" said 'text 2: has 26 tokens; the model reads 24 at most'
try "--truncate -1 cuts it" $LAR embed $mean --truncate -1 "$long"
cp "$TMP/out" "$TMP/cut"
try "to what fits" $LAR embed $mean "${long#the the }"
ok "  ... the same" cmp "$TMP/out" "$TMP/cut"
try_status 2 "a file that names no pooling is refused" $LAR embed models/lar-demo-q8_0.gguf "x"
ok "  ... in one line" one_line
ok "  ... with the remedy" said 'name it (mean, cls, last)'
try "named, it embeds" $LAR embed models/lar-demo-q8_0.gguf --pooling mean --dimensions 4 "x"
try_status 2 "more dimensions than there are" $LAR embed $mean --dimensions 9 "x"
ok "  ... in one line" one_line
try_status 2 "such a model writes nothing" $LAR run $mean --raw "x"
ok "  ... and says what it is for" said 'use it to embed, rank or classify'

# ---- rerank ----------------------------------------------------------------------------------------------------------
query='who lives in the house?'
try "lar rerank" $LAR rerank $rank --json "$query" "a god" "Anna lives in Berlin." "the dog"
array "$TMP/out" "$TMP/all"
ok "gives each document's score" both "$TMP/all" 'my $d = $w->{rank}{documents}; @$g == 3 && !grep { abs($_->{score} - $d->[$_->{index}]{score}) > 1e-6 || $_->{text} ne $d->[$_->{index}]{text} } @$g'
ok "the best first" look json "$TMP/all" '$j->[0]{score} >= $j->[1]{score} && $j->[1]{score} >= $j->[2]{score}'
printf 'a god\nAnna lives in Berlin.\nthe dog\n' > "$TMP/docs"
try "--raw from standard input, in its order" sh -c '"$1" rerank "$2" --json --raw --no-sort "$4" < "$3"' - "$LAR" $rank "$TMP/docs" "$query"
array "$TMP/out" "$TMP/all"
ok "gives logits" both "$TMP/all" 'my $d = $w->{rank}{documents}; !grep { $g->[$_]{index} != $_ || abs($g->[$_]{score} - $d->[$_]{logit}) > 1e-5 } 0 .. 2'
try "--top 1 for people" $LAR rerank $rank --top 1 "$query" "a god" "Anna lives in Berlin." "the dog"
ok "is one line" test "$(wc -l < "$TMP/out")" = 1
try_status 2 "what is no reranker is refused" $LAR rerank $mean a b
ok "  ... in one line" one_line
try_status 2 "a token classifier too" $LAR rerank $tokens a b
look patch $rank "$TMP/headless.gguf" cls.weight clX.weight cls.bias clX.bias
try_status 2 "a tensor that nobody reads is refused" $LAR rerank "$TMP/headless.gguf" a b

# ---- classify --------------------------------------------------------------------------------------------------------
text=$(look get $want 'use utf8; binmode STDOUT, ":utf8"; $j->{tokens}{text}')
try "lar classify --tokens" $LAR classify $tokens --json --tokens "$text"
ok "labels every token, in its place" both "$TMP/out" 'my $f = $w->{tokens}{found}; @$g == @$f && !grep { my ($a, $b) = ($g->[$_], $f->[$_]); $a->{entity} ne $b->{entity} || $a->{start} != $b->{start} || $a->{end} != $b->{end} || abs($a->{score} - $b->{score}) > 2e-6 } 0 .. $#$f'
try "lar classify" $LAR classify $tokens --json "$text"
ok "puts neighbours of one kind together" look json "$TMP/out" 'join(" ", map { "$_->{entity_group}:$_->{start}-$_->{end}" } @$j) eq "PER:6-14 LOC:22-29 LOC:29-30"'
ok "with their words" look json "$TMP/out" '$j->[0]{word} eq "lives at"'
ok "and the mean of their scores" both "$TMP/out" 'my $f = $w->{tokens}{found}; abs($g->[0]{score} - ($f->[1]{score} + $f->[2]{score}) / 2) < 2e-6'
try "for people" $LAR classify $tokens "$text"
ok "a line each" grep -qE '^0\.[0-9]+  6-14  PER  lives at$' "$TMP/out"
try_status 2 "what is no classifier is refused" $LAR classify $mean x
ok "  ... in one line" one_line
tap_done
