/* SPDX-License-Identifier: Apache-2.0
 * serve/keys.c: see keys.h. What is presented is hashed, and all hashes are compared to their end, so time tells nothing of how much was right. */
#include "serve/keys.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/sha256.h"

enum { KEYS_MAX = 4096, FILE_MAX = 1 << 20 };

struct keys {
    struct arena a;
    struct {
        const char *name;
        char hex[SHA256_HEX];
    } * key;
    size_t n;
};

static int read_line(struct keys *k, struct str line, const char *path, int number,
                     struct lar_err *err)
{
    const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
    struct str hex = colon ? str_from(line, (size_t)(colon - line.p) + 1) : (struct str){"", 0};
    if (!colon || colon == line.p || hex.n != SHA256_HEX)
        return lar_fail(err, LAR_EFORMAT,
                        "%s:%d: needs NAME:HEX, the SHA-256 of the key in 64 digits", path, number);
    if (k->n == KEYS_MAX) return lar_fail(err, LAR_ELIMIT, "%s: more than %d keys", path, KEYS_MAX);
    for (size_t i = 0; i < hex.n; i++) {
        char c = hex.p[i];
        if (c >= 'A' && c <= 'F') c = (char)(c + 32);
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return lar_fail(err, LAR_EFORMAT,
                            "%s:%d: the hash has something that is no hexadecimal digit", path,
                            number);
        k->key[k->n].hex[i] = c;
    }
    k->key[k->n].name = arena_copy(&k->a, line.p, (size_t)(colon - line.p));
    return k->key[k->n++].name ? 0 : lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
}

int keys_read(struct keys **out, struct str text, const char *path, struct lar_err *err)
{
    struct keys *k = mem_zalloc(sizeof *k);
    int rc = 0;
    *out = NULL;
    if (!k) return lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
    arena_init(&k->a, 0);
    k->key = arena_array(&k->a, KEYS_MAX, sizeof *k->key);
    if (!k->key) rc = lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
    for (int number = 1; rc == 0 && text.n; number++) {
        const char *end = memchr(text.p, '\n', text.n);
        struct str line = {text.p, end ? (size_t)(end - text.p) : text.n};
        text = str_from(text, line.n + (end != NULL));
        while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' ')) line.n--;
        if (line.n && line.p[0] != '#') rc = read_line(k, line, path, number, err);
    }
    if (rc == 0 && k->n == 0) rc = lar_fail(err, LAR_EFORMAT, "%s: holds no key", path);
    if (rc < 0)
        keys_close(k);
    else
        *out = k;
    return rc;
}

int keys_open(struct keys **out, const char *path, struct lar_err *err)
{
    struct buf b = {.limit = FILE_MAX};
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    ssize_t n = 0;
    *out = NULL;
    if (fd < 0) return lar_fail_errno(err, "%s", path);
    for (char *p; (p = buf_room(&b, 4096)) && (n = read(fd, p, 4096)) > 0;) b.n += (size_t)n;
    if (n < 0) rc = lar_fail_errno(err, "%s", path);
    if (rc == 0 && b.failed)
        rc = lar_fail(err, LAR_ELIMIT, "%s: longer than %d bytes", path, FILE_MAX);
    close(fd);
    if (rc == 0) rc = keys_read(out, buf_view(&b), path, err);
    buf_done(&b);
    return rc;
}

void keys_close(struct keys *k)
{
    if (!k) return;
    arena_done(&k->a);
    mem_free(k);
}

const char *keys_name(const struct keys *k, const char *authorization, const char *api_key)
{
    char hex[SHA256_HEX + 1];
    const char *name = NULL;
    if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0) api_key = authorization + 7;
    if (!api_key) return NULL;
    sha256_of(api_key, strlen(api_key), hex);
    for (size_t i = 0; i < k->n; i++) {
        unsigned different = 0;
        for (size_t j = 0; j < SHA256_HEX; j++)
            different |= (unsigned)(unsigned char)(hex[j] ^ k->key[i].hex[j]);
        if (!different) name = k->key[i].name;
    }
    return name;
}
