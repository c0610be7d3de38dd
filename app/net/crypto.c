/* SPDX-License-Identifier: Apache-2.0
 * net/crypto.c: see crypto.h. The key file is read here, a few lengths and words; what is computed is computed by libcrypto. */
#include "net/crypto.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum { KEY_FILE_MAX = 16 << 10, SEED = 32, SIGNATURE = 64, ED25519 = 1087, PIECE = 256 << 10 };

/* As openssl/evp.h declares them; the same since OpenSSL 1.1.1. */
static struct {
    void *(*EVP_PKEY_new_raw_private_key)(int type, void *engine, const unsigned char *key,
                                          size_t n);
    void (*EVP_PKEY_free)(void *key);
    void *(*EVP_MD_CTX_new)(void);
    void (*EVP_MD_CTX_free)(void *ctx);
    int (*EVP_DigestSignInit)(void *ctx, void *pctx, const void *type, void *engine, void *key);
    int (*EVP_DigestSign)(void *ctx, unsigned char *sig, size_t *nsig, const unsigned char *text,
                          size_t n);
    const void *(*EVP_md5)(void);
    int (*EVP_DigestInit_ex)(void *ctx, const void *type, void *engine);
    int (*EVP_DigestUpdate)(void *ctx, const void *p, size_t n);
    int (*EVP_DigestFinal_ex)(void *ctx, unsigned char *out, unsigned *n);
} evp;
static const char *const names[] = {"EVP_PKEY_new_raw_private_key",
                                    "EVP_PKEY_free",
                                    "EVP_MD_CTX_new",
                                    "EVP_MD_CTX_free",
                                    "EVP_DigestSignInit",
                                    "EVP_DigestSign",
                                    "EVP_md5",
                                    "EVP_DigestInit_ex",
                                    "EVP_DigestUpdate",
                                    "EVP_DigestFinal_ex"};
_Static_assert(sizeof evp == sizeof names, "a name for each");
static int loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
    void *so = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    if (!so) so = dlopen("libcrypto.so.1.1", RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; so && i < sizeof names / sizeof *names; i++) {
        void *f = dlsym(so, names[i]);
        if (!f) return;
        memcpy((char *)&evp + i * sizeof f, &f, sizeof f); /* POSIX: a function's address fits */
    }
    loaded = so != NULL;
}

static int open_library(struct lar_err *err)
{
    pthread_once(&once, load);
    if (loaded) return 0;
    return lar_fail(
        err, LAR_EUNSUPPORTED,
        "signing for Ollama's registry needs libcrypto, which Debian's package libssl3 holds (apt-get install "
        "libssl3)");
}

/* ---- base64 ------------------------------------------------------------------------------------------------------------- */

static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void crypto_base64(const void *p, size_t n, struct buf *b)
{
    const unsigned char *s = p;
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = 0;
        for (size_t j = 0; j < 3; j++) v = v << 8 | (i + j < n ? s[i + j] : 0u);
        for (size_t j = 0; j < 4; j++)
            buf_putc(b, i + j <= n ? digit[v >> (18 - 6 * j) & 63] : '=');
    }
}

/* Up to the first character that is neither a digit nor white space. */
static void from_base64(const char *p, struct buf *out)
{
    unsigned v = 0;
    int bits = 0;
    for (; *p; p++) {
        const char *at = strchr(digit, *p);
        if (*p == '\n' || *p == '\r' || *p == ' ') continue;
        if (!at) return;
        v = v << 6 | (unsigned)(at - digit);
        if ((bits += 6) >= 8) buf_putc(out, (char)(v >> (bits -= 8) & 255));
    }
}

/* ---- the key -------------------------------------------------------------------------------------------------------------- */

static uint32_t take_u32(struct str *s)
{
    uint32_t v = 0;
    if (s->n < 4) return s->n = 0, 0;
    for (int i = 0; i < 4; i++) v = v << 8 | (unsigned char)s->p[i];
    *s = str_from(*s, 4);
    return v;
}

/* A length and so many bytes; empty when they are not there. */
static struct str take(struct str *s)
{
    uint32_t n = take_u32(s);
    struct str part = {s->p, n <= s->n ? n : 0};
    *s = n <= s->n ? str_from(*s, n) : (struct str){"", 0};
    return part;
}

static int read_key(const char *path, struct buf *text, struct lar_err *err)
{
    char piece[1024];
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return lar_fail_errno(err, "%s: the key for Ollama's registry", path);
    while ((n = read(fd, piece, sizeof piece)) > 0 && text->n < KEY_FILE_MAX)
        buf_add(text, piece, (size_t)n);
    explicit_bzero(piece, sizeof piece);
    close(fd);
    return n == 0 && !text->failed ? 0 : lar_fail(err, LAR_EFORMAT, "%s: is no key file", path);
}

/* raw: the decoded file. Gives the public part in OpenSSH's form and the seed, both within raw. */
static int parse_key(const char *path, struct str raw, struct str *blob, struct str *seed,
                     struct lar_err *err)
{
    static const char magic[] = "openssh-key-v1";
    struct str s = raw, cipher, all;
    if (s.n < sizeof magic || memcmp(s.p, magic, sizeof magic) != 0)
        return lar_fail(err, LAR_EFORMAT,
                        "%s: is no OpenSSH private key (ssh-keygen -t ed25519 makes one)", path);
    s = str_from(s, sizeof magic);
    cipher = take(&s);
    take(&s); /* how a passphrase becomes a key, and with what */
    take(&s);
    take_u32(&s); /* one key */
    *blob = take(&s);
    all = take(&s);
    if (!str_is(cipher, "none"))
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "%s: has a passphrase; Lar, as Ollama, wants a key without (ssh-keygen -p)",
                        path);
    uint32_t a = take_u32(&all), b = take_u32(&all);
    struct str kind = take(&all), pub = take(&all);
    *seed = take(&all);
    if (a != b || !str_is(kind, "ssh-ed25519") || pub.n != SEED || seed->n != 2 * SEED)
        return lar_fail(err, LAR_EFORMAT, "%s: is no Ed25519 key (ssh-keygen -t ed25519 makes one)",
                        path);
    seed->n = SEED;
    return 0;
}

static int sign(struct str seed, struct str text, unsigned char sig[SIGNATURE])
{
    size_t n = SIGNATURE;
    void *key =
        evp.EVP_PKEY_new_raw_private_key(ED25519, NULL, (const unsigned char *)seed.p, seed.n);
    void *ctx = evp.EVP_MD_CTX_new();
    int ok = key && ctx && evp.EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
             evp.EVP_DigestSign(ctx, sig, &n, (const unsigned char *)text.p, text.n) == 1 &&
             n == SIGNATURE;
    if (ctx) evp.EVP_MD_CTX_free(ctx);
    if (key) evp.EVP_PKEY_free(key);
    return ok;
}

int crypto_sign(const char *path, struct str text, struct buf *out, struct lar_err *err)
{
    static const char head[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
    struct buf file = {0}, raw = {0};
    struct str blob = {"", 0}, seed = {"", 0};
    unsigned char sig[SIGNATURE];
    int e = open_library(err);
    if (e == 0) e = read_key(path, &file, err);
    const char *at = e == 0 ? strstr(buf_z(&file), head) : NULL;
    if (at) from_base64(at + sizeof head - 1, &raw);
    if (e == 0) e = parse_key(path, buf_view(&raw), &blob, &seed, err);
    if (e == 0 && !sign(seed, text, sig))
        e = lar_fail(err, LAR_EFORMAT, "%s: libcrypto does not sign with this key", path);
    if (e == 0) {
        crypto_base64(blob.p, blob.n, out);
        buf_putc(out, ':');
        crypto_base64(sig, sizeof sig, out);
    }
    if (file.p) explicit_bzero(file.p, file.n);
    if (raw.p) explicit_bzero(raw.p, raw.n);
    buf_done(&file);
    buf_done(&raw);
    return e;
}

/* ---- MD5 --------------------------------------------------------------------------------------------------------------------- */

int crypto_md5_file(int fd, uint64_t from, uint64_t n, unsigned char out[CRYPTO_MD5],
                    struct lar_err *err)
{
    int e = open_library(err);
    if (e < 0) return e;
    void *ctx = evp.EVP_MD_CTX_new(), *piece = mem_alloc(PIECE);
    int ok = ctx && piece && evp.EVP_DigestInit_ex(ctx, evp.EVP_md5(), NULL) == 1;
    while (ok && n) {
        ssize_t k = pread(fd, piece, n < PIECE ? (size_t)n : PIECE, (off_t)from);
        if (k < 0 && errno == EINTR) continue;
        ok = k > 0 && evp.EVP_DigestUpdate(ctx, piece, (size_t)k) == 1;
        if (ok) from += (uint64_t)k, n -= (uint64_t)k;
    }
    ok = ok && evp.EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    if (ctx) evp.EVP_MD_CTX_free(ctx);
    mem_free(piece);
    return ok ? 0 : lar_fail(err, LAR_EIO, "push: what is to be sent cannot be read");
}

int crypto_md5(const void *p, size_t n, unsigned char out[CRYPTO_MD5], struct lar_err *err)
{
    int e = open_library(err);
    if (e < 0) return e;
    void *ctx = evp.EVP_MD_CTX_new();
    int ok = ctx && evp.EVP_DigestInit_ex(ctx, evp.EVP_md5(), NULL) == 1 &&
             evp.EVP_DigestUpdate(ctx, p, n) == 1 && evp.EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    if (ctx) evp.EVP_MD_CTX_free(ctx);
    return ok ? 0 : lar_fail(err, LAR_ENOMEM, "push: out of memory");
}
