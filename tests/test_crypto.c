/* SPDX-License-Identifier: Apache-2.0
 * tests/test_crypto.c: requests signed for Ollama's registry: a key in OpenSSH's form (openssh/openssh-portable, PROTOCOL.key), signatures as RFC 8032
 * (7.1, tests 1 to 3) has them, MD5 as RFC 1321 (A.5). Without libcrypto on this machine there is nothing to test. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/crypto.h"
#include "tap.h"

static const struct {
    const char *seed, *pub, *text, *sig;
} vector[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
     "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

static void hex(const char *text, struct buf *b)
{
    char two[3] = "";
    for (; *text; text += 2) {
        memcpy(two, text, 2);
        buf_putc(b, (char)strtol(two, NULL, 16));
    }
}

static void word(struct buf *b, const void *p, size_t n)
{
    for (int i = 3; i >= 0; i--) buf_putc(b, (char)(n >> 8 * i & 255));
    buf_add(b, p, n);
}

/* The key file of a vector. */
static void write_key(const char *path, int i, const char *cipher)
{
    static const char kind[] = "ssh-ed25519";
    struct buf seed = {0}, pub = {0}, blob = {0}, inner = {0}, all = {0}, text = {0};
    hex(vector[i].seed, &seed);
    hex(vector[i].pub, &pub);
    buf_str(&seed, buf_view(&pub));
    word(&blob, kind, sizeof kind - 1);
    word(&blob, pub.p, pub.n);
    buf_add(&inner, "abcdabcd", 8);
    buf_str(&inner, buf_view(&blob));
    word(&inner, seed.p, seed.n);
    word(&inner, "me", 2);
    for (char pad = 1; inner.n % 8; pad++) buf_putc(&inner, pad);
    buf_add(&all, "openssh-key-v1", 15);
    word(&all, cipher, strlen(cipher));
    word(&all, "none", 4);
    word(&all, "", 0);
    buf_add(&all, "\0\0\0\1", 4);
    word(&all, blob.p, blob.n);
    word(&all, inner.p, inner.n);
    buf_puts(&text, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    crypto_base64(all.p, all.n, &text);
    buf_puts(&text, "\n-----END OPENSSH PRIVATE KEY-----\n");
    FILE *f = fopen(path, "wb");
    if (f) fwrite(text.p, 1, text.n, f), fclose(f);
    struct buf *list[] = {&seed, &pub, &blob, &inner, &all, &text};
    for (size_t k = 0; k < sizeof list / sizeof *list; k++) buf_done(list[k]);
}

static int signs_as_the_standard(const char *path, int i)
{
    struct buf text = {0}, sig = {0}, want = {0}, out = {0};
    struct lar_err err;
    write_key(path, i, "none");
    hex(vector[i].text, &text);
    hex(vector[i].sig, &sig);
    buf_putc(&want, ':');
    crypto_base64(sig.p, sig.n, &want);
    int e = crypto_sign(path, buf_view(&text), &out, &err);
    int ok = e == 0 && str_ends(buf_view(&out), buf_view(&want)) &&
             str_starts(buf_view(&out), STR("AAAAC3NzaC1lZDI1NTE5AAAAI"));
    if (e < 0) printf("# %s\n", err.msg);
    struct buf *list[] = {&text, &sig, &want, &out};
    for (size_t k = 0; k < sizeof list / sizeof *list; k++) buf_done(list[k]);
    return ok;
}

static void damaged_keys(const char *path)
{
    struct buf out = {0};
    struct lar_err err;
    char text[2048];
    int bad = 0;
    write_key(path, 0, "none");
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(text, 1, sizeof text, f) : 0;
    if (f) fclose(f);
    for (size_t cut = 0; cut + 60 < n;
         cut++) { /* behind that only the comment and the last line are left away */
        f = fopen(path, "wb");
        if (f) fwrite(text, 1, cut, f), fclose(f);
        buf_clear(&out);
        int e = crypto_sign(path, STR("x"), &out, &err);
        bad += e == 0 || out.n != 0;
    }
    tap_ok(n > 300 && !bad, "a key file that is cut anywhere is refused");
    write_key(path, 0, "aes256-ctr");
    tap_ok(crypto_sign(path, STR("x"), &out, &err) == LAR_EUNSUPPORTED &&
               strstr(err.msg, "passphrase"),
           "one with a passphrase too");
    buf_done(&out);
}

static void md5(const char *path)
{
    static const char text[] =
        "12345678901234567890123456789012345678901234567890123456789012345678901234567890";
    unsigned char a[CRYPTO_MD5], b[CRYPTO_MD5];
    struct buf want = {0};
    struct lar_err err;
    hex("57edf4a22be3c955ac49da2e2107b67a", &want);
    FILE *f = fopen(path, "wb");
    if (f) fprintf(f, "ab%sc", text), fclose(f);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    tap_ok(crypto_md5(text, 80, a, &err) == 0 && memcmp(a, want.p, sizeof a) == 0 &&
               crypto_md5_file(fd, 2, 80, b, &err) == 0 && memcmp(b, want.p, sizeof b) == 0,
           "MD5 is the standard's, also of a part of a file");
    tap_ok(crypto_md5_file(fd, 2, 82, b, &err) < 0, "a part that is not there is an error");
    if (fd >= 0) close(fd);
    buf_done(&want);
}

int main(void)
{
    char path[] = "/tmp/lar-crypto-" "XX" "XX" "XX";
    unsigned char sum[CRYPTO_MD5];
    struct lar_err err;
    int fd = mkstemp(path);
    if (fd >= 0) close(fd);
    if (crypto_md5("", 0, sum, &err) == LAR_EUNSUPPORTED) {
        tap_ok(strstr(err.msg, "libssl3") != NULL, "without libcrypto the package is named");
    } else {
        for (int i = 0; i < 3; i++)
            tap_ok(signs_as_the_standard(path, i), "signs as a test of RFC 8032 says");
        damaged_keys(path);
        md5(path);
    }
    unlink(path);
    return tap_done();
}
