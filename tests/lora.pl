# SPDX-License-Identifier: Apache-2.0
# tests/lora.pl: writes a LoRA adapter GGUF of values that follow from a seed, for tests that need one which changes a model's answers.
#     perl tests/lora.pl OUT ARCHITECTURE RANK SEED SIZE NAME:COLUMNS:ROWS...     SIZE: of the largest value
use strict;
use warnings;

my ($out, $arch, $rank, $seed, $size, @matrix) = @ARGV;
my ($head, $data, $n) = ('', '', 0);

sub text { return pack('Q<', length $_[0]) . $_[0] }

sub number {
    $seed = ($seed * 1103515245 + 12345) % 2147483648;
    return $size * (2 * ($seed >> 8) / 8388608 - 1);
}

sub tensor {
    my ($name, $k, $rows) = @_;
    $head .= text($name) . pack('L<Q<Q<L<Q<', 2, $k, $rows, 0, length $data);
    $data .= pack 'f<*', map { number() } 1 .. $k * $rows;
    $data .= "\0" x (-length($data) % 32);
    $n++;
}

for (@matrix) {
    my ($name, $k, $rows) = split /:/;
    tensor("$name.lora_a", $k, $rank);
    tensor("$name.lora_b", $rank, $rows);
}
my $keys = join '', map { text($_->[0]) . pack('L<', 8) . text($_->[1]) }
    ['general.architecture', $arch], ['general.type', 'adapter'], ['adapter.type', 'lora'];
$keys .= text('adapter.lora.alpha') . pack('L<f<', 6, $rank);
my $file = 'GGUF' . pack('L<Q<Q<', 3, $n, 4) . $keys . $head;
$file .= "\0" x (-length($file) % 32);
open my $f, '>:raw', $out or die "$out: $!\n";
print $f $file, $data;
close $f or die "$out: $!\n";
