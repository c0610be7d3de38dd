# SPDX-License-Identifier: Apache-2.0
# tests/look.pl: what the shell scripts ask about files that a shell cannot read. Only what Debian's perl package has.
#     perl tests/look.pl json FILE EXPRESSION         the whole file is one JSON value, $j; the expression must be true
#     perl tests/look.pl get FILE EXPRESSION          prints the expression
#     perl tests/look.pl lines FILE EXPRESSION        the same for each line; $n counts from 1
#     perl tests/look.pl shape FILE NAME TYPE 2,512   a .safetensors file holds that tensor
#     perl tests/look.pl ints FILE NAME               prints an I32 tensor's values, separated by commas
#     perl tests/look.pl near FILE NAME FILE2 NAME2 TOLERANCE [ROW ROW2]   two F32 tensors, or a row of each; from the end if negative
#     perl tests/look.pl patch FROM TO OLD NEW ...    a copy of FROM, each first OLD replaced by its NEW, padded with spaces to its length
use strict;
use warnings;
use JSON::PP;

my ($what, @arg) = @ARGV;

sub slurp {
    my ($file) = @_;
    open my $f, '<:raw', $file or die "$file: $!\n";
    local $/;
    my $text = <$f>;
    return defined $text ? $text : '';
}

sub ask {
    my ($j, $n, $expression) = @_;
    my $value = eval "no warnings; $expression";
    die "$expression: $@" if $@;
    return $value;
}

sub parse { return JSON::PP->new->utf8->allow_nonref->decode($_[0]) }

# (type, shape, bytes) of a tensor.
sub tensor {
    my ($file, $name) = @_;
    my $all = slurp($file);
    my $n = unpack 'Q<', $all;
    my $t = parse(substr $all, 8, $n)->{$name} or die "$file: no tensor $name\n";
    my ($from, $to) = @{$t->{data_offsets}};
    die "$file: $name ends past the file\n" if 8 + $n + $to > length $all;
    return ($t->{dtype}, $t->{shape}, substr $all, 8 + $n + $from, $to - $from);
}

sub floats {
    my ($file, $name, $row) = @_;
    my ($type, $shape, $bytes) = tensor($file, $name);
    die "$file: $name is $type\n" if $type ne 'F32';
    my @v = unpack 'f<*', $bytes;
    return \@v unless defined $row;
    my $width = $shape->[-1];
    $row += @v / $width if $row < 0;
    return [@v[$row * $width .. ($row + 1) * $width - 1]];
}

if ($what eq 'json') {
    ask(parse(slurp($arg[0])), 0, $arg[1]) or die "not true: $arg[1]\n" . substr(slurp($arg[0]), 0, 400) . "\n";
} elsif ($what eq 'get') {
    binmode STDOUT, ':utf8';
    print ask(parse(slurp($arg[0])), 0, $arg[1]);
} elsif ($what eq 'lines') {
    my $n = 0;
    for my $line (split /\n/, slurp($arg[0])) {
        $n++;
        ask(parse($line), $n, $arg[1]) or die "line $n, not true: $arg[1]\n$line\n";
    }
    print "$n\n";
} elsif ($what eq 'shape') {
    my ($type, $shape, $bytes) = tensor($arg[0], $arg[1]);
    my $is = join ',', @$shape;
    my $count = 1;
    $count *= $_ for @$shape;
    die "$arg[1] is $type [$is], " . length($bytes) . " bytes\n" if "$type $is" ne "$arg[2] $arg[3]" || length $bytes != 4 * $count;
} elsif ($what eq 'ints') {
    my ($type, $shape, $bytes) = tensor($arg[0], $arg[1]);
    print join(',', unpack $type eq 'I64' ? 'q<*' : 'l<*', $bytes), "\n";
} elsif ($what eq 'near') {
    my ($f, $name, $f2, $name2, $tolerance, $row, $row2) = @arg;
    my ($a, $b) = (floats($f, $name, $row), floats($f2, $name2, $row2));
    die scalar(@$a) . ' values against ' . scalar(@$b) . "\n" if @$a != @$b;
    my $worst = 0;
    for my $i (0 .. $#$a) {
        my $d = abs($a->[$i] - $b->[$i]);
        die "value $i: $a->[$i] against $b->[$i]\n" unless $d <= $tolerance;
        $worst = $d if $d > $worst;
    }
    print "# furthest apart: $worst\n";
} elsif ($what eq 'patch') {
    my ($from, $to, @pairs) = @arg;
    my $all = slurp($from);
    while (my ($old, $new) = splice @pairs, 0, 2) {
        my $at = index $all, $old;
        die "'$old' is not in $from\n" if $at < 0;
        die "'$new' is longer than '$old'\n" if length $new > length $old;
        substr $all, $at, length $old, $new . ' ' x (length($old) - length $new);
    }
    open my $f, '>:raw', $to or die "$to: $!\n";
    print $f $all;
    close $f or die "$to: $!\n";
} else {
    die "look.pl knows no '$what'\n";
}
