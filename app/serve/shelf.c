/* SPDX-License-Identifier: Apache-2.0
 * serve/shelf.c: see shelf.h. */
#include "serve/shelf.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cpu.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"

enum { BOOKS_MAX = 256 };
#define GRACE_NS (600 * (int64_t)1000000000) /* whoever found a book has long done with it */

int shelf_open(struct shelf *s, const struct shelf_options *opt, struct lar_err *err)
{
    pthread_condattr_t attr;
    *s = (struct shelf){.opt = *opt, .at_start = cpu_memory_available()};
    s->tail = &s->first;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &attr);
    pthread_condattr_destroy(&attr);
    s->book = mem_zalloc(BOOKS_MAX * sizeof *s->book);
    return s->book ? 0 : lar_fail(err, LAR_ENOMEM, "models: out of memory");
}

static void stored_free(struct store_model *m)
{
    if (m) store_model_done(m);
    mem_free(m);
}

static void book_free(struct book *b)
{
    engine_close(b->engine);
    mem_free(b->name);
    mem_free(b->path);
    mem_free(b->architecture);
    mem_free(b->title);
    mem_free(b->file_type);
    mem_free(b->draft);
    stored_free(b->stored);
}

void shelf_close(struct shelf *s)
{
    for (size_t i = 0; i < s->nbook; i++) {
        book_free(&s->book[i]);
    }
    mem_free(s->book);
    loras_done(&s->loras);
    store_close(s->store);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
}

/* ---- adding ------------------------------------------------------------------------------------------------------------ */

static char *copy(const char *p, size_t n)
{
    char *c = mem_alloc(n + 1);
    if (!c) return NULL;
    memcpy(c, p, n);
    c[n] = 0;
    return c;
}

/* Names as general.file_type means them (llama.h's llama_ftype). */
static const char *type_name(int64_t t)
{
    static const char *const name[] = {
        "F32",   "F16",     "Q4_0",   "Q4_1",   NULL,     NULL,      NULL,     "Q8_0",   "Q5_0",
        "Q5_1",  "Q2_K",    "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S",  "Q4_K_M", "Q5_K_S", "Q5_K_M",
        "Q6_K",  "IQ2_XXS", "IQ2_XS", "Q2_K_S", "IQ3_XS", "IQ3_XXS", "IQ1_S",  "IQ4_NL", "IQ3_S",
        "IQ3_M", "IQ2_S",   "IQ2_M",  "IQ4_XS", "IQ1_M",  "BF16",    NULL,     NULL,     NULL,
        "TQ1_0", "TQ2_0",   "MXFP4",  "NVFP4",  "Q1_0",   "Q2_0"};
    return t >= 0 && t < (int64_t)(sizeof name / sizeof *name) && name[t] ? name[t] : "unknown";
}

static int meta_find(const struct lar_file *f, const char *key, size_t *at)
{
    struct lar_file_info info;
    struct lar_meta m;
    lar_file_info(f, &info);
    for (size_t i = 0; i < info.nmeta; i++) {
        lar_file_meta(f, i, &m);
        if (m.key_n == strlen(key) && memcmp(m.key, key, m.key_n) == 0) return *at = i, 1;
    }
    return 0;
}

static int64_t meta_int(const struct lar_file *f, const char *key)
{
    size_t i;
    return meta_find(f, key, &i) ? lar_file_meta_int(f, i, 0) : 0;
}

static char *meta_str(const struct lar_file *f, const char *key)
{
    size_t i, n = 0;
    const char *p = meta_find(f, key, &i) ? lar_file_meta_str(f, i, 0, &n) : "";
    return copy(p ? p : "", p ? n : 0);
}

static int look_into(struct book *b, struct lar_err *err)
{
    struct lar_file *f;
    struct lar_file_info info;
    struct lar_tensor t;
    char key[128];
    int rc = lar_file_open(&f, b->path, err);
    if (rc < 0) return rc;
    lar_file_info(f, &info);
    if (stat(b->path, &b->file) == 0) b->modified = b->file.st_mtim;
    b->bytes = (int64_t)info.bytes;
    b->architecture = meta_str(f, "general.architecture");
    b->title = meta_str(f, "general.name");
    b->file_type = copy(type_name(meta_int(f, "general.file_type")),
                        strlen(type_name(meta_int(f, "general.file_type"))));
    for (size_t i = 0; i < info.ntensor; i++) {
        int64_t n = 1;
        lar_file_tensor(f, i, &t);
        for (int d = 0; d < t.ndim; d++) n *= t.shape[d];
        b->parameters += n;
    }
    if (b->architecture && b->title && b->file_type) {
        snprintf(key, sizeof key, "%.60s.context_length", b->architecture);
        b->ctx_train = meta_int(f, key);
        snprintf(key, sizeof key, "%.60s.embedding_length", b->architecture);
        b->width = meta_int(f, key);
        b->reads_only =
            strstr(b->architecture, "bert") != NULL || strstr(b->architecture, "embedding") != NULL;
    } else {
        rc = lar_fail(err, LAR_ENOMEM, "models: out of memory");
    }
    lar_file_close(f);
    return rc;
}

/* Room for one more: behind the others, or that of one that is gone. NULL: there are too many. */
static struct book *new_book(struct shelf *s)
{
    int64_t now = time_ns();
    for (size_t i = 0; i < s->nbook; i++) {
        struct book *b = &s->book[i];
        if (!b->gone || b->engine || b->held || b->loading || now - b->gone < GRACE_NS) continue;
        book_free(b);
        *b = (struct book){0};
        return b;
    }
    return s->nbook < BOOKS_MAX ? &s->book[s->nbook++] : NULL;
}

int shelf_add(struct shelf *s, const char *name, const char *path, struct lar_err *err)
{
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    size_t n = name ? strlen(name) : strlen(file);
    struct book *b = &s->book[s->nbook];
    if (!name) {
        name = file;
        if (n > 5 && strcmp(file + n - 5, ".gguf") == 0) n -= 5;
    }
    if (s->nbook == BOOKS_MAX) return lar_fail(err, LAR_EINVAL, "more than %d models", BOOKS_MAX);
    if (n == 0)
        return lar_fail(err, LAR_EINVAL, "%s: a model needs a name (--model NAME=FILE)", path);
    for (size_t i = 0; i < s->nbook; i++)
        if (strlen(s->book[i].name) == n && memcmp(s->book[i].name, name, n) == 0)
            return lar_fail(err, LAR_EINVAL,
                            "two models are called %.*s: name one otherwise (--model NAME=FILE)",
                            (int)n, name);
    b->name = copy(name, n);
    b->path = copy(path, strlen(path));
    s->nbook++; /* closed with the shelf whatever comes */
    if (!b->name || !b->path) return lar_fail(err, LAR_ENOMEM, "models: out of memory");
    return look_into(b, err);
}

static int is_called(const struct book *b, const char *name, size_t n)
{
    return !b->gone && strlen(b->name) == n && memcmp(b->name, name, n) == 0;
}

static int is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void retire(struct shelf *s, struct book *b)
{
    b->gone = time_ns();
    b->until = 0;
    b->pinned = 0;
    pthread_cond_signal(&s->wake);
}

static void tell_replaced(const struct shelf *s, const struct book *b, const struct lar_err *why)
{
    struct buf line = {0};
    if (!s->opt.say) return;
    buf_printf(&line, "%s: %s was replaced", b->name, b->path);
    if (why) buf_printf(&line, ", and what stands there now cannot be used: %s", why->msg);
    s->opt.say(buf_z(&line));
    buf_done(&line);
}

/* The book of what stands at its path now. A file that cannot be used is told once, and changes nothing. With the lock held. */
static struct book *as_it_is(struct shelf *s, struct book *b)
{
    struct stat now;
    struct lar_err err;
    if (stat(b->path, &now) < 0 || is_same(&now, &b->file)) return b;
    b->file = now;
    struct book next = {.pinned = b->pinned,
                        .name = copy(b->name, strlen(b->name)),
                        .path = copy(b->path, strlen(b->path))};
    int rc = next.name && next.path ? look_into(&next, &err) : lar_fail(&err, LAR_ENOMEM, "out of memory");
    struct book *at = rc < 0 ? NULL : new_book(s);
    if (rc == 0 && !at) lar_fail(&err, LAR_ELIMIT, "there are more than %d models", BOOKS_MAX);
    tell_replaced(s, b, at ? NULL : &err);
    if (!at) return book_free(&next), b;
    next.draft = b->draft;
    b->draft = NULL;
    *at = next;
    retire(s, b);
    return at;
}

/* ---- the store ------------------------------------------------------------------------------------------------------------ */

int shelf_use_store(struct shelf *s, struct lar_err *err)
{
    return store_open(&s->store, NULL, err);
}

/* The book of what the store has under that name now: a name may come to mean another model while we serve. With the lock held. */
static struct book *from_store(struct shelf *s, const char *name)
{
    struct store_model *m = mem_zalloc(sizeof *m);
    struct book *b = NULL;
    int rc = m ? store_find(s->store, name, m, NULL) : LAR_ENOMEM;
    for (size_t i = 0; rc == 0 && i < s->nbook && !b; i++) {
        const struct store_model *have = s->book[i].stored;
        if (!have || s->book[i].gone || strcmp(have->name, m->name) != 0) continue;
        if (strcmp(have->digest, m->digest) == 0 && strcmp(have->path, m->path) == 0)
            b = &s->book[i];
        else
            retire(s, &s->book[i]);
    }
    if (rc < 0 || b) {
        stored_free(m);
        return b ? as_it_is(s, b) : NULL;
    }
    struct book next = {.stored = m, .name = copy(m->name, strlen(m->name)), .path = copy(m->path, strlen(m->path))};
    if (next.name && next.path && look_into(&next, NULL) == 0 && (b = new_book(s)))
        *b = next;
    else
        book_free(&next);
    return b;
}

void shelf_refresh(struct shelf *s)
{
    struct store_list l;
    for (size_t i = 0; i < s->nbook; i++) {
        struct book *b = &s->book[i];
        b->listed = 0;
        if (!b->stored && !b->gone) as_it_is(s, b);
    }
    if (!s->store) return;
    if (store_list(s->store, 0, &l, NULL) == 0)
        for (size_t i = 0; i < l.n; i++) {
            struct book *b = l.entry[i].fault ? NULL : from_store(s, l.entry[i].name);
            if (b) b->listed = 1;
        }
    store_list_done(&l);
}

/* Of the command line's files; n = 0: the only one. */
static struct book *of_files(struct shelf *s, const char *name, size_t n)
{
    struct book *found = NULL;
    for (size_t i = 0; i < s->nbook; i++) {
        struct book *b = &s->book[i];
        if (b->stored || b->gone || (n && !is_called(b, name, n))) continue;
        if (found) return NULL;
        found = b;
    }
    return found ? as_it_is(s, found) : NULL;
}

static struct book *find(struct shelf *s, const char *name, size_t n)
{
    static const char latest[] = ":latest";
    size_t tail = sizeof latest - 1;
    char text[NAME_HOST_MAX + 4 * NAME_PART_MAX];
    struct book *b = of_files(s, name, n);
    if (!b && n > tail && memcmp(name + n - tail, latest, tail) == 0) b = of_files(s, name, n - tail);
    if (b || !s->store || n == 0 || n >= sizeof text || memchr(name, 0, n)) return b;
    memcpy(text, name, n);
    text[n] = 0;
    return from_store(s, text);
}

struct book *shelf_find(struct shelf *s, const char *name, size_t n)
{
    pthread_mutex_lock(&s->lock);
    struct book *b = find(s, name, n);
    pthread_mutex_unlock(&s->lock);
    return b;
}

int shelf_draft(struct shelf *s, const char *what, struct lar_err *err)
{
    const char *eq = strchr(what, '=');
    struct book *b = eq && eq != what && eq[1] ? shelf_find(s, what, (size_t)(eq - what)) : NULL;
    struct stat st;
    if (!b) return lar_fail(err, LAR_EINVAL, "--draft %s: needs NAME=FILE, where NAME is a model that is served", what);
    const char *path = eq + 1;
    if (stat(path, &st) < 0) {
        const struct book *named = shelf_find(s, path, strlen(path));
        if (!named) return lar_fail(err, LAR_EINVAL, "--draft %s: %s is no file and no model", what, path);
        path = named->path;
    }
    mem_free(b->draft);
    b->draft = copy(path, strlen(path));
    return b->draft ? 0 : lar_fail(err, LAR_ENOMEM, "models: out of memory");
}
