# SPDX-License-Identifier: Apache-2.0
# tests/registry.pl FOLDER PORTFILE LOG: a small registry on loopback for tests/cli_pull.t, and what goes wrong with real ones.
#
# Serves GET /v2/NS/MODEL/manifests/TAG and .../blobs/DIGEST from FOLDER/manifests/NS/MODEL/TAG and FOLDER/blobs/sha256-HEX, and Hugging Face's
# list and files from FOLDER/hub. Two ports: the second is the "other host" that redirects lead to. The namespace says what goes wrong:
#   cut      every answer with bytes ends after 200000 of them     norange  ranges are not known
#   away     blobs are redirected to the other port                lies     a byte of each blob is another
#   auth     a token is asked for (Bearer, from /token)            long     says that blobs are longer than they are
#   slow     200 KB a second                                       shift    answers a range with another one
#   expire   as auth, but a token holds for four blobs only
#   norange-cut  ranges are not known, and of each blob the first question gets no answer, the two after it half of one
# What is pushed (OCI distribution-spec, "Pushing blobs in chunks") goes to FOLDER/blobs and FOLDER/manifests; there
#   cut      a first piece of an upload breaks off after 200000 bytes   away     pieces go to the other port
#   auth     a token that may push is asked for                         lies     a byte of what arrives is another
#   down     every piece is refused with status 503
#   mute     every upload is refused with status 507, and nothing more said; none, with 404
#   signed   as Ollama's: a token is for whoever signs; pieces are led to the other port by 307, the next address is in Docker-Upload-Location,
#            and the last PUT tells the MD5 of the pieces' MD5s
#   late     the first two POSTs are refused with 429, Retry-After: 1
# It may also be asked as a proxy: of an absolute address the path counts, and the host goes to the log before it.
# LOG gets a line a request: port, method, path, range, authorization.
use strict;
use warnings;
use IO::Socket::INET;
use IO::Select;
use Digest::SHA 'sha256_hex';
use Digest::MD5;
my ($root, $portfile, $log) = @ARGV;
$SIG{CHLD} = 'IGNORE';
$SIG{PIPE} = 'IGNORE';
my @listen = map { IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 64, ReuseAddr => 1) or die "listen: $!" } 1 .. 2;
my @port = map { $_->sockport } @listen;
open my $pf, '>', "$portfile.new" or die;
print $pf "@port\n";
close $pf;
rename "$portfile.new", $portfile or die;

sub slurp { my ($f) = @_; open my $h, '<:raw', $f or return undef; local $/; my $t = <$h>; return $t }

sub answer {
    my ($c, $status, $body, %h) = @_;
    my $text = "HTTP/1.1 $status X\r\nContent-Length: " . ($h{length} // length $body) . "\r\n";
    delete $h{length};
    $text .= "$_: $h{$_}\r\n" for sort keys %h;
    print $c "$text\r\n$body";
}

sub blob {
    my ($c, $ns, $file, $range) = @_;
    my $n = -s $file;
    return answer($c, 404, '{"errors":[{"message":"blob unknown"}]}') unless defined $n;
    my ($from, $to, $status) = (0, $n - 1, 200);
    my $tried = $ns eq 'norange-cut' ? count(1, "tried-" . $file =~ s{.*/}{}r) : 0;
    return 'cut' if $tried == 1;
    if ($range =~ /bytes=(\d+)-(\d*)/ && $ns !~ /^norange/) { ($from, $to, $status) = ($1, $2 eq '' ? $n - 1 : $2, 206) }
    $to = $n - 1 if $to > $n - 1;
    $from += 1000, $to += 1000 if $ns eq 'shift' && $to > 0 && $to < $n - 1000;
    my $total = $n + ($ns eq 'long' ? 7 : 0);
    my $len = $to - $from + 1;
    print $c "HTTP/1.1 $status X\r\nContent-Length: $len\r\n" . ($status == 206 ? "Content-Range: bytes $from-$to/$total\r\n" : '') . "\r\n";
    open my $h, '<:raw', $file or return;
    seek $h, $from, 0;
    my $half = $tried && $tried < 4;
    $len = int(($len + 1) / 2) if $half;
    my $sent = 0;
    while ($len > 0 && read($h, my $piece, $len > 20000 ? 20000 : $len)) {
        substr($piece, 0, 1) = chr(ord(substr $piece, 0, 1) ^ 1) if $ns eq 'lies' && $from + $sent == 0;
        print $c $piece or return;
        $sent += length $piece;
        $len -= length $piece;
        return 'cut' if $ns eq 'cut' && $sent >= 200000 && $len > 0;
        return 'cut' if $half && $len <= 0;
        select undef, undef, undef, 0.1 if $ns eq 'slow';
    }
    return;
}

# Takes n bytes of a request's body to the end of a file; at most `most` of them.
sub take {
    my ($c, $file, $n, $most) = @_;
    open my $h, '>>:raw', $file or return 0;
    my $got = 0;
    while ($got < $n && $got < $most && (my $k = read $c, my $piece, $n - $got > 50000 ? 50000 : $n - $got)) { print $h $piece; $got += $k }
    close $h;
    return $got;
}

# Uploads lie in FOLDER/up/ID. Gives 1 when the connection is to end.
sub upload {
    my ($c, $which, $method, $ns, $model, $rest, $len, $range, $auth, $redirects) = @_;
    my ($id, $query) = $rest =~ m{^/?(\w*)(?:\?(.*))?$} or return answer($c, 404, '{}');
    my $file = "$root/up/$id";
    return answer($c, $ns eq 'mute' ? 507 : 404, '') if $ns =~ /^(mute|none)$/;
    return answer($c, 429, '{}', 'Retry-After' => 1) if $ns eq 'late' && $method eq 'POST' && count(1) <= 2;
    my $to = sub { (Location => "/v2/$ns/$model/blobs/uploads/$id?s=" . (-s $file || 0), Range => '0-' . ((-s $file || 1) - 1)) };
    if ($method eq 'POST') {
        $id = "u$$" . int rand 1e9, $file = "$root/up/$id";
        mkdir "$root/up";
        open my $h, '>', $file or die;
        return answer($c, 202, '', $to->());
    }
    return answer($c, 404, '{"errors":[{"message":"upload unknown"}]}') unless -e $file;
    return answer($c, 204, '', $to->()) if $method eq 'GET';
    if ($ns eq 'signed' && $which == 1) { # the storage behind it: whoever has the address may
        return answer($c, 403, '{}') if $method ne 'PUT' || $auth ne '-';
        my $part = -s $file;
        take($c, $file, $len, $len);
        open my $h, '<:raw', $file or die;
        seek $h, $part, 0;
        my $md5 = Digest::MD5->new->addfile($h)->digest;
        open my $m, '>>:raw', "$file.md5" or die;
        print $m $md5;
        close $m;
        return answer($c, 200, '', ETag => unpack 'H*', $md5), 0;
    }
    if ($method eq 'PATCH' && $ns eq 'signed') {
        return answer($c, 400, '{}') unless $redirects;
        answer($c, 307, '', Location => "http://127.0.0.1:$port[1]/v2/signed/$model/blobs/uploads/$id?part=" . (-s $file), 'Docker-Upload-Location' => "/v2/signed/$model/blobs/uploads/$id");
        return 1; # nobody reads the piece here
    }
    if ($method eq 'PATCH') {
        my $have = -s $file;
        if ($ns eq 'away' && $which == 0) { take($c, '/dev/null', $len, $len); return answer($c, 307, '', Location => "http://127.0.0.1:$port[1]/v2/away/$model/blobs/uploads/$id") }
        if ($ns eq 'down') { take($c, '/dev/null', $len, $len); return answer($c, 503, '{"errors":[{"message":"no room"}]}') }
        if ($range !~ /^(\d+)-/ || $1 != $have) { take($c, '/dev/null', $len, $len); return answer($c, 416, '{}', $to->()) }
        my $most = $ns eq 'cut' && $have == 0 && $len > 200000 ? 200000 : $len;
        take($c, $file, $len, $most);
        return 1 if $most < $len;
        return answer($c, 202, '', $to->(), $which ? (Location => "http://127.0.0.1:$port[0]/v2/$ns/$model/blobs/uploads/$id?s=2") : ()), 0;
    }
    my ($hex) = ($query // '') =~ /digest=sha256(?:%3A|:)([0-9a-f]{64})/ or return answer($c, 400, '{}');
    if ($ns eq 'signed') {
        my $sums = slurp("$file.md5") // '';
        my $etag = Digest::MD5::md5_hex($sums) . '-' . length($sums) / 16;
        return answer($c, 400, '{"errors":[{"message":"etag"}]}'), 0 unless $query =~ /&etag=\Q$etag\E(?:&|$)/;
    }
    my $text = slurp($file);
    $text .= 'x' if $ns eq 'lies';
    return answer($c, 400, '{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match uploaded content"}]}'), 0 if sha256_hex($text) ne $hex;
    rename $file, "$root/blobs/sha256-$hex";
    answer($c, 201, '', 'Docker-Content-Digest' => "sha256:$hex");
    return 0;
}

# How often something happened, in whichever process; more by that many.
sub count {
    my ($more, $what) = (@_, 'count');
    if (open my $h, '>>', "$root/$what") { syswrite $h, '.' x $more; close $h }
    return -s "$root/$what";
}

sub put_manifest {
    my ($c, $ns, $model, $tag, $len) = @_;
    mkdir $_ for "$root/manifests/$ns", "$root/manifests/$ns/$model";
    my $file = "$root/manifests/$ns/$model/$tag";
    unlink "$file.new";
    take($c, "$file.new", $len, $len);
    for my $hex (slurp("$file.new") =~ /sha256:([0-9a-f]{64})/g) {
        return answer($c, 400, '{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}') unless -e "$root/blobs/sha256-$hex";
    }
    rename "$file.new", $file;
    answer($c, 201, '', 'Docker-Content-Digest' => 'sha256:' . sha256_hex(slurp($file)));
}

sub serve {
    my ($c, $which) = @_;
    binmode $c;
    $c->autoflush(1);
    while (defined(my $line = <$c>)) {
        my ($method, $path) = $line =~ m{^(\S+) (\S+)} or last;
        my $asked = $path;
        $path =~ s{^http://[^/]+}{};
        my %h;
        while (defined(my $l = <$c>)) {
            $l =~ s/\r?\n$//;
            last if $l eq '';
            $h{lc $1} = $2 if $l =~ /^([^:]+):\s*(.*)/;
        }
        my ($range, $auth) = ($h{range} // '-', $h{authorization} // '-');
        if (open my $f, '>>', $log) { syswrite $f, "$which $method $asked $range $auth\n"; close $f }
        my $end;
        if ($path =~ m{^/v2/expire/([\w.-]+)/} && $auth ne 'Bearer E' . int(count(0) / 4)) {
            answer($c, 401, $method eq 'HEAD' ? '' : '{}', 'WWW-Authenticate' => "Bearer realm=\"http://127.0.0.1:$port[0]/token\",service=\"test\",scope=\"repository:expire/$1:pull\"");
        } elsif ($path =~ m{^/token\?.*scope=repository%3Aexpire}) {
            answer($c, 200, '{"token":"E' . int(count(0) / 4) . '"}');
        } elsif ($path =~ m{^/token\?.*scope=repository%3Asigned}) {
            my $ok = $auth =~ m{^[\w+/]+=*:[\w+/]+=*$} && $path =~ /&ts=\d+&nonce=\w{16}/; # whose it is, the test finds out
            $ok ? answer($c, 200, '{"token":"SIGNED"}') : answer($c, 401, '{"error":"who are you?"}');
        } elsif ($path =~ m{^/token\?(.*)}) {
            answer($c, 200, '{"token":"T' . ($1 =~ /scope=repository%3Aauth.*push/ ? 'PUSH' : $1 =~ /scope=repository%3Aauth/ ? 'OK' : 'NO') . '"}');
        } elsif ($path =~ m{^/v2/([\w.-]+)/([\w.-]+)/blobs/uploads(/.*)$}) {
            my ($ns, $model, $rest) = ($1, $2, $3);
            if ($which == 0 && ($ns eq 'auth' && $auth ne 'Bearer TPUSH' || $ns eq 'signed' && $auth ne 'Bearer SIGNED')) {
                take($c, '/dev/null', $h{'content-length'} // 0, 1e12);
                answer($c, 401, '{}', 'WWW-Authenticate' => "Bearer realm=\"http://127.0.0.1:$port[0]/token\",service=\"test\",scope=\"repository:$ns/$model:pull,push\"");
            } else {
                $end = upload($c, $which, $method, $ns, $model, $rest, $h{'content-length'} // 0, $h{'content-range'} // '', $auth, $h{'x-redirect-uploads'}) eq '1';
            }
        } elsif ($method eq 'PUT' && $path =~ m{^/v2/([\w.-]+)/([\w.-]+)/manifests/([\w.-]+)$}) {
            put_manifest($c, $1, $2, $3, $h{'content-length'});
        } elsif ($method eq 'HEAD' && $path =~ m{^/v2/([\w.-]+)/[\w.-]+/blobs/sha256:(\w+)$}) {
            my ($ns, $n) = ($1, -s "$root/blobs/sha256-$2");
            defined $n ? answer($c, 200, '', length => $n) : answer($c, 404, '');
        } elsif ($path =~ m{^/v2/([\w.-]+)/([\w.-]+)/(manifests|blobs)/([\w.:-]+)$}) {
            my ($ns, $model, $kind, $id) = ($1, $2, $3, $4);
            count(1) if $ns eq 'expire' && $kind eq 'blobs' && $method eq 'GET';
            if ($ns eq 'auth' && $auth !~ /^Bearer T(OK|PUSH)$/) {
                answer($c, 401, '{}', 'WWW-Authenticate' => "Bearer realm=\"http://127.0.0.1:$port[0]/token\",service=\"test\",scope=\"repository:auth/$model:pull\"");
            } elsif ($kind eq 'manifests') {
                my $m = slurp("$root/manifests/$ns/$model/$id") // slurp("$root/manifests/any/$model/$id");
                defined $m ? answer($c, 200, $m) : answer($c, 404, '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}');
            } elsif (($ns eq 'away' || $ns eq 'auth') && $which == 0) {
                answer($c, 307, '', Location => "http://127.0.0.1:$port[1]$path?signed=1");
            } else {
                (my $f = $id) =~ s/:/-/;
                $end = blob($c, $ns, "$root/blobs/$f", $range);
            }
        } elsif ($path =~ m{^/v2/(?:away|auth)/[\w.-]+/blobs/sha256:(\w+)\?signed=1$}) {
            blob($c, '', "$root/blobs/sha256-$1", $range);
        } elsif ($path =~ m{^/api/models/private/} && $auth ne 'Bearer hf_secret') {
            answer($c, 401, '{"error":"Invalid username or password."}');
        } elsif ($path =~ m{^/gated/[\w.-]+/resolve/} && $auth ne 'Bearer hf_secret') {
            answer($c, 403, '{"error":"Access to this model is restricted"}');
        } elsif ($path =~ m{^/api/models/([\w.-]+/[\w.-]+)/tree/main}) {
            my $m = slurp("$root/hub/$1/tree.json");
            defined $m ? answer($c, 200, $m) : answer($c, 404, '{"error":"Repository not found"}');
        } elsif ($path =~ m{^/([\w.-]+/[\w.-]+)/resolve/main/([\w./-]+)$} && $2 !~ /\.\./) {
            answer($c, 302, '', Location => "http://127.0.0.1:$port[1]/cdn/$1/$2");
        } elsif ($path =~ m{^/cdn/([\w.-]+/[\w.-]+)/([\w./-]+)$} && $2 !~ /\.\./) {
            blob($c, '', "$root/hub/$1/$2", $range);
        } else {
            answer($c, 404, '{}');
        }
        last if $end;
    }
    close $c;
}

my $select = IO::Select->new(@listen);
my $parent = getppid;
while (1) {
    for my $l ($select->can_read(1)) {
        my $c = $l->accept or next;
        my $pid = fork;
        if (defined $pid && $pid == 0) { close $_ for @listen; serve($c, $l == $listen[0] ? 0 : 1); exit 0 }
        close $c;
    }
    exit 0 if getppid != $parent; # nobody is left to ask us
}
