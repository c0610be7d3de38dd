/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/figures.c: see figures.h.
 *
 *     {"lar": "0.1.0", "question": "sha256", "measured": [{"type": "Q6_K", "bytes": 1, ..., "file": [bytes, nanoseconds]}, ...]}
 *
 * Models are known by size, time and their first MiB (all keys and names): reading them whole would take as long as a candidate. The text is hashed.
 */
#include "cli/figures.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/json.h"
#include "base/sha256.h"
#include "cli/in.h"
#include "cli/whole.h"

static const char source[] = "(source)";

static const struct {
    const char *name;
    size_t at;
} number[] = {
#define AT(name, field) {name, offsetof(struct figures, field)}
    AT("bits", bits),       AT("tok_s", tok_s),         AT("ppl", p.ppl),     AT("ppl_error", p.ppl_error),
    AT("kld", p.kl),        AT("kld_error", p.kl_error), AT("kld_99", p.kl_99), AT("same_top", p.same_top),
#undef AT
};
enum { NUMBERS = sizeof number / sizeof *number };

static int64_t nanoseconds(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static int add_file(struct sha256 *h, const char *path, struct lar_err *err)
{
    struct stat st;
    char *room = malloc(1 << 20), line[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 && room && fstat(fd, &st) == 0 ? read(fd, room, 1 << 20) : -1;
    int rc = n < 0 ? lar_fail_errno(err, "%s: cannot be read", path) : 0;
    if (rc == 0) {
        int k = snprintf(line, sizeof line, "%lld %lld\n", (long long)st.st_size, (long long)nanoseconds(&st));
        sha256_add(h, line, (size_t)k);
        sha256_add(h, room, (size_t)n);
    }
    if (fd >= 0) close(fd);
    free(room);
    return rc;
}

int figures_ask(struct figures_book *b, const char *model, const char *imatrix, const char *text, size_t text_n,
                int ctx, int chunks, struct lar_err *err)
{
    struct sha256 h;
    char line[160];
    *b = (struct figures_book){.n = 0};
    sha256_init(&h);
    int k = snprintf(line, sizeof line, "%s\n%d %d %d %zu\n", lar_version(), ctx, chunks, imatrix != NULL, text_n);
    sha256_add(&h, line, (size_t)k);
    sha256_add(&h, text, text_n);
    int rc = add_file(&h, model, err);
    if (rc == 0 && imatrix) rc = add_file(&h, imatrix, err);
    sha256_end(&h, b->id);
    return rc;
}

static int place_of(struct buf *path, const char *folder, const char *name, const char *tail, struct lar_err *err)
{
    buf_printf(path, "%s/%s%s", folder, name, tail);
    return path->failed ? lar_fail(err, LAR_ENOMEM, "out of memory") : 0;
}

static uint64_t whole(const struct json *v)
{
    return v && v->kind == JSON_NUMBER && v->is_int && v->i > 0 ? (uint64_t)v->i : 0;
}

static int take(struct figures_book *b, const struct json *v)
{
    struct figures *f = &b->v[b->n];
    const struct json *file = json_get(v, "file");
    struct str type = json_str(json_get(v, "type"), STR(""));
    if (b->n == FIGURES_MAX || type.n < 1 || type.n >= FIGURES_NAME || !file || file->kind != JSON_ARRAY ||
        file->n != 2)
        return -1;
    *f = (struct figures){.bytes = whole(json_get(v, "bytes")), .memory = whole(json_get(v, "memory"))};
    memcpy(f->type, type.p, type.n);
    f->file_bytes = (int64_t)whole(file->child);
    f->file_time = (int64_t)whole(file->child->next);
    for (size_t i = 0; i < NUMBERS; i++) {
        const struct json *x = json_get(v, number[i].name);
        if (!x || (x->kind != JSON_NUMBER && x->kind != JSON_NULL)) return -1;
        memcpy((char *)f + number[i].at, &(double){json_num(x, 0)}, sizeof(double));
    }
    b->n++;
    return 0;
}

static int understand(struct figures_book *b, struct str text, struct lar_err *err)
{
    struct arena a;
    struct lar_err why = {0};
    arena_init(&a, 1 << 20);
    const struct json *root = json_parse(&a, text, &why);
    const struct json *id = json_get(root, "question"), *list = json_get(root, "measured");
    int bad = !id || id->kind != JSON_STRING || !list || list->kind != JSON_ARRAY;
    b->other = !bad && !str_is(id->s, b->id);
    if (!bad && !b->other)
        for (const struct json *v = list->child; v && !bad; v = v->next) bad = take(b, v) < 0;
    arena_done(&a);
    return bad ? lar_fail(err, LAR_EFORMAT, "is not what lar quality writes; move it away") : 0;
}

int figures_read(struct figures_book *b, const char *folder, struct lar_err *err)
{
    struct buf path = {0}, text = {0};
    int rc = place_of(&path, folder, "quality", ".json", err);
    if (rc == 0 && access(buf_z(&path), F_OK) == 0) {
        rc = in_file(buf_z(&path), &text, err);
        if (rc >= 0 && (rc = understand(b, buf_view(&text), err)) < 0) rc = in_blame(buf_z(&path), rc, err);
    }
    buf_done(&text);
    buf_done(&path);
    return rc < 0 ? rc : 0;
}

const struct figures *figures_find(const struct figures_book *b, const char *folder, const char *type)
{
    const struct figures *f = NULL;
    struct buf path = {0};
    struct stat st;
    for (size_t i = 0; i < b->n; i++)
        if (!strcmp(b->v[i].type, type)) f = &b->v[i];
    if (!f || !strcmp(type, source)) return f;
    if (place_of(&path, folder, type, ".gguf", NULL) < 0 || stat(buf_z(&path), &st) || st.st_size != f->file_bytes ||
        nanoseconds(&st) != f->file_time)
        f = NULL;
    buf_done(&path);
    return f;
}

static void put(struct buf *b, const struct figures *f)
{
    buf_printf(b, "  {\"type\": \"%s\", \"bytes\": %llu, \"memory\": %llu, \"file\": [%lld, %lld]", f->type,
               (unsigned long long)f->bytes, (unsigned long long)f->memory, (long long)f->file_bytes,
               (long long)f->file_time);
    for (size_t i = 0; i < NUMBERS; i++) {
        double v;
        memcpy(&v, (const char *)f + number[i].at, sizeof v);
        buf_printf(b, ", \"%s\": ", number[i].name);
        buf_json_num(b, v);
    }
    buf_putc(b, '}');
}

int figures_add(struct figures_book *b, const char *folder, const struct figures *f, struct lar_err *err)
{
    struct buf path = {0}, text = {0};
    struct stat st;
    size_t i = 0;
    while (i < b->n && strcmp(b->v[i].type, f->type)) i++;
    if (i == FIGURES_MAX) return 0; /* then it is measured anew next time */
    b->v[i] = *f;
    if (i == b->n) b->n++;
    if (!strcmp(f->type, source)) return 0; /* written with the first candidate: a folder without one is removed */
    int rc = place_of(&path, folder, f->type, ".gguf", err);
    if (rc == 0 && stat(buf_z(&path), &st)) rc = lar_fail_errno(err, "%s", buf_z(&path));
    if (rc == 0) b->v[i].file_bytes = (int64_t)st.st_size, b->v[i].file_time = nanoseconds(&st);
    buf_clear(&path);
    if (rc == 0) rc = place_of(&path, folder, "quality", ".json", err);
    buf_printf(&text, "{\"lar\": \"%s\", \"question\": \"%s\", \"measured\": [\n", lar_version(), b->id);
    for (size_t k = 0; k < b->n; k++) {
        if (k) buf_puts(&text, ",\n");
        put(&text, &b->v[k]);
    }
    buf_puts(&text, "\n]}\n");
    if (rc == 0 && text.failed) rc = lar_fail(err, LAR_ENOMEM, "out of memory");
    if (rc == 0) rc = whole_write(buf_z(&path), &text, WHOLE_OPEN, err);
    buf_done(&text);
    buf_done(&path);
    return rc;
}
