/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/keys.c: see keys.h. What is presented is hashed, and all hashes are compared to their end, so time tells nothing of how much was right.
 *
 * Limits of a minute are buckets: full at first, refilled evenly, never above a minute's worth. A request may begin while there is something in
 * each; tokens are taken out afterwards, when it is known how many they were, and may leave a debt.
 */
#include "serve/keys.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/time.h"

enum { KEYS_MAX = 4096, KEYS_FILE_MAX = 1 << 20, MODELS_BYTES = 512 };

struct bucket {
    int64_t minute; /* 0: no limit */
    double level;
    int64_t at; /* ns of the last look */
};

struct key {
    struct keys *all;
    char name[KEYS_NAME], hex[SHA256_HEX], models[MODELS_BYTES]; /* models: "a,b", or "" for all */
    struct bucket requests, tokens;
    int concurrent, running; /* concurrent 0: no limit */
    int listed;              /* 0: its line is gone */
};

struct keys {
    pthread_mutex_t lock;
    char *path;
    struct key *key[KEYS_MAX];
    size_t n;
};

/* ---- the file ------------------------------------------------------------------------------------------------------------- */

static int read_number(struct str s, int64_t *out)
{
    int64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || v > INT32_MAX) return -1;
        v = 10 * v + (s.p[i] - '0');
    }
    *out = v;
    return s.n && v > 0 && v <= INT32_MAX ? 0 : -1;
}

static struct str cut(struct str *s, char at)
{
    const char *end = s->n ? memchr(s->p, at, s->n) : NULL;
    struct str first = {s->p, end ? (size_t)(end - s->p) : s->n};
    *s = str_from(*s, first.n + (end != NULL));
    return first;
}

/* One limit of a line; -1: it is none. */
static int read_limit(struct key *k, struct str word)
{
    int64_t n;
    struct str what = cut(&word, '=');
    if (str_is(what, "models")) {
        if (word.n == 0 || word.n >= sizeof k->models) return -1;
        memcpy(k->models, word.p, word.n);
        k->models[word.n] = 0;
        return 0;
    }
    if (read_number(word, &n) < 0) return -1;
    if (str_is(what, "requests")) return k->requests.minute = n, 0;
    if (str_is(what, "tokens")) return k->tokens.minute = n, 0;
    if (str_is(what, "concurrent")) return k->concurrent = (int)n, 0;
    return -1;
}

static int read_line(struct key *k, struct str line, const char *path, int number,
                     struct lar_err *err)
{
    struct str name = cut(&line, ':'), hex = cut(&line, ' ');
    int bad = hex.n != SHA256_HEX || name.n == 0;
    for (size_t i = 0; i < hex.n && !bad; i++) {
        char c = hex.p[i];
        if (c >= 'A' && c <= 'F') c = (char)(c + 32);
        bad = !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
        k->hex[i] = c;
    }
    if (bad)
        return lar_fail(err, LAR_EFORMAT,
                        "%s:%d: needs NAME:HEX, the SHA-256 of the key in 64 hexadecimal digits",
                        path, number);
    if (name.n >= sizeof k->name)
        return lar_fail(err, LAR_EFORMAT, "%s:%d: a name has at most %d bytes", path, number,
                        KEYS_NAME - 1);
    memcpy(k->name, name.p, name.n);
    while (line.n) {
        struct str word = cut(&line, ' ');
        if (word.n && read_limit(k, word) < 0)
            return lar_fail(
                err, LAR_EFORMAT,
                "%s:%d: '%.*s': a limit is requests=N, concurrent=N, tokens=N or models=NAME,NAME",
                path, number, (int)(word.n < 80 ? word.n : 80), word.p);
    }
    return 0;
}

/* Into list (empty entries are to be had from mem_zalloc). Gives the number of keys. */
static int read_all(struct key **list, struct str text, const char *path, struct lar_err *err)
{
    int n = 0, rc = 0;
    for (int number = 1; text.n; number++) {
        struct str line = cut(&text, '\n');
        while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' ')) line.n--;
        if (line.n == 0 || line.p[0] == '#') continue;
        if (n == KEYS_MAX)
            return lar_fail(err, LAR_ELIMIT, "%s: more than %d keys", path, KEYS_MAX);
        if (!(list[n] = mem_zalloc(sizeof **list)))
            return lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
        if ((rc = read_line(list[n++], line, path, number, err)) < 0) return rc;
    }
    return n ? n : lar_fail(err, LAR_EFORMAT, "%s: holds no key", path);
}

static int read_file(struct key **list, const char *path, struct lar_err *err)
{
    struct buf b = {.limit = KEYS_FILE_MAX};
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    ssize_t n = 0;
    if (fd < 0) return lar_fail_errno(err, "%s", path);
    for (char *p; (p = buf_room(&b, 4096)) && (n = read(fd, p, 4096)) > 0;) b.n += (size_t)n;
    if (n < 0) rc = lar_fail_errno(err, "%s", path);
    if (rc == 0 && b.failed)
        rc = lar_fail(err, LAR_ELIMIT, "%s: longer than %d bytes", path, KEYS_FILE_MAX);
    close(fd);
    if (rc == 0) rc = read_all(list, buf_view(&b), path, err);
    buf_done(&b);
    return rc;
}

/* ---- all of them ---------------------------------------------------------------------------------------------------------- */

static struct key *by_hash(const struct keys *k, const char *hex)
{
    struct key *found = NULL;
    for (size_t i = 0; i < k->n; i++) {
        unsigned different = 0;
        for (size_t j = 0; j < SHA256_HEX; j++)
            different |= (unsigned)(unsigned char)(hex[j] ^ k->key[i]->hex[j]);
        if (!different) found = k->key[i];
    }
    return found;
}

static void set_limit(struct bucket *b, int64_t minute)
{
    if (b->minute != minute)
        *b = (struct bucket){.minute = minute, .level = (double)minute, .at = time_ns()};
}

/* What a line says now of a key that may be at work. With the lock held. */
static int take_line(struct keys *k, struct key *line)
{
    struct key *have = by_hash(k, line->hex);
    if (!have) {
        if (k->n == KEYS_MAX) return -1;
        have = k->key[k->n++] = line;
        have->all = k;
        int64_t requests = line->requests.minute, tokens = line->tokens.minute;
        line->requests.minute = line->tokens.minute = 0;
        set_limit(&have->requests, requests);
        set_limit(&have->tokens, tokens);
    } else {
        memcpy(have->name, line->name, sizeof have->name);
        memcpy(have->models, line->models, sizeof have->models);
        have->concurrent = line->concurrent;
        set_limit(&have->requests, line->requests.minute);
        set_limit(&have->tokens, line->tokens.minute);
        mem_free(line);
    }
    have->listed = 1;
    return 0;
}

int keys_reload(struct keys *k, struct lar_err *err)
{
    struct key **list = mem_zalloc(KEYS_MAX * sizeof *list);
    int n = list ? read_file(list, k->path, err)
                 : lar_fail(err, LAR_ENOMEM, "%s: out of memory", k->path),
        full = 0;
    for (size_t i = 0; list && n < 0 && i < KEYS_MAX; i++) mem_free(list[i]);
    if (n > 0) {
        pthread_mutex_lock(&k->lock);
        for (size_t i = 0; i < k->n; i++) k->key[i]->listed = 0;
        for (int i = 0; i < n; i++)
            if (take_line(k, list[i]) < 0) {
                mem_free(list[i]);
                full = 1;
            }
        pthread_mutex_unlock(&k->lock);
    }
    mem_free(list);
    return full ? lar_fail(err, LAR_ELIMIT,
                           "%s: more than %d keys since the start: some are left out", k->path,
                           KEYS_MAX)
                : n;
}

int keys_open(struct keys **out, const char *path, struct lar_err *err)
{
    struct keys *k = mem_zalloc(sizeof *k);
    size_t n = strlen(path) + 1;
    *out = NULL;
    if (!k || !(k->path = mem_alloc(n))) {
        mem_free(k);
        return lar_fail(err, LAR_ENOMEM, "%s: out of memory", path);
    }
    memcpy(k->path, path, n);
    pthread_mutex_init(&k->lock, NULL);
    int rc = keys_reload(k, err);
    if (rc < 0)
        keys_close(k);
    else
        *out = k;
    return rc < 0 ? rc : 0;
}

void keys_close(struct keys *k)
{
    if (!k) return;
    for (size_t i = 0; i < k->n; i++) mem_free(k->key[i]);
    pthread_mutex_destroy(&k->lock);
    mem_free(k->path);
    mem_free(k);
}

struct key *keys_find(struct keys *k, const char *authorization, const char *api_key)
{
    char hex[SHA256_HEX + 1];
    if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0) api_key = authorization + 7;
    if (!api_key) return NULL;
    sha256_of(api_key, strlen(api_key), hex);
    pthread_mutex_lock(&k->lock);
    struct key *key = by_hash(k, hex);
    if (key && !key->listed) key = NULL;
    pthread_mutex_unlock(&k->lock);
    return key;
}

/* ---- one ------------------------------------------------------------------------------------------------------------------ */

/* Seconds until there is something in it. */
static int refill(struct bucket *b, int64_t now)
{
    if (!b->minute) return 0;
    double full = (double)b->minute, rate = full / 60;
    if (now > b->at) b->level += (double)(now - b->at) * 1e-9 * rate;
    if (b->level > full) b->level = full;
    b->at = now;
    double wait = b->level >= 1 ? 0 : (1 - b->level) / rate;
    return wait <= 0 ? 0 : wait > 86400 ? 86400 : (int)wait + 1;
}

int keys_enter(struct key *key, int64_t now_ns, const char **why)
{
    if (!key) return 0;
    pthread_mutex_lock(&key->all->lock);
    int requests = refill(&key->requests, now_ns), tokens = refill(&key->tokens, now_ns), wait = 0;
    if (key->concurrent && key->running >= key->concurrent)
        wait = 1,
        *why = "this key has as many requests at work as it may: try again when one is done";
    else if (requests || tokens)
        wait = requests > tokens ? requests : tokens,
        *why = requests ? "this key has had its requests of a minute: try again later"
                        : "this key has had its tokens of a minute: try again later";
    if (!wait) {
        key->running++;
        key->requests.level--;
    }
    pthread_mutex_unlock(&key->all->lock);
    return wait;
}

void keys_leave(struct key *key)
{
    if (!key) return;
    pthread_mutex_lock(&key->all->lock);
    key->running--;
    pthread_mutex_unlock(&key->all->lock);
}

void keys_spend(struct key *key, int64_t tokens)
{
    if (!key) return;
    pthread_mutex_lock(&key->all->lock);
    if (key->tokens.minute) key->tokens.level -= (double)tokens;
    pthread_mutex_unlock(&key->all->lock);
}

/* ":latest" is what a name without a tag means. */
static struct str bare(struct str name)
{
    if (str_ends(name, STR(":latest"))) name.n -= 7;
    return name;
}

int keys_allow(struct key *key, const char *model)
{
    if (!key) return 1;
    pthread_mutex_lock(&key->all->lock);
    struct str list = str_of(key->models), want = bare(str_of(model ? model : ""));
    int ok = list.n == 0;
    while (list.n && model && !ok) {
        struct str one = bare(cut(&list, ','));
        ok = one.n == want.n && memcmp(one.p, want.p, one.n) == 0;
    }
    pthread_mutex_unlock(&key->all->lock);
    return ok;
}

const char *keys_name(struct key *key, char out[KEYS_NAME])
{
    out[0] = 0;
    if (!key) return out;
    pthread_mutex_lock(&key->all->lock);
    memcpy(out, key->name, KEYS_NAME);
    pthread_mutex_unlock(&key->all->lock);
    return out;
}
