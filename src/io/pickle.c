/* SPDX-License-Identifier: Apache-2.0
 *
 * io/pickle.c: from the archive to the list of tensors. The machine that reads data.pkl (pickle_machine.c) gives a tree of dictionaries
 * with tensors as leaves; here the tree is flattened and each tensor is found in the archive and checked against it.
 */
#include "io/pickle.h"

#include <inttypes.h>

#include "base/buf.h"
#include "io/pickle_machine.h"
#include "io/zip.h"

enum { DEPTH_MAX = 16, TENSORS_MAX = 1 << 20, NAME_MAX_BYTES = 512 };

struct opener {
    struct pickle *p;
    const char *file;
    struct lar_err *err;
    struct zip zip;
    struct str prefix; /* of the entries: "archive/" */
    size_t cap, visits, visits_max;
};

static int bad(struct opener *o, struct str name, const char *what)
{
    return lar_fail(o->err, LAR_EFORMAT, "%.80s: tensor %.*s: %s", o->file, STR_ARG(name), what);
}

static int place(struct opener *o, struct pickle_tensor *t, const struct pickle_value *v)
{
    const struct pickle_storage *s = v->tensor.storage;
    struct buf b = {0};
    int64_t expect = 1;
    t->elements = 1;
    t->ndim = v->tensor.ndim;
    t->type = s->type;
    for (int i = v->tensor.ndim - 1; i >= 0; i--) {
        int64_t d = v->tensor.size[i];
        t->shape[i] = d;
        if (d < 0) return bad(o, t->name, "a dimension is negative");
        if (d > 1 && v->tensor.stride[i] != expect)
            return bad(o, t->name, "its elements do not lie side by side; save it again with .contiguous()");
        if (__builtin_mul_overflow(t->elements, d, &t->elements)) return bad(o, t->name, "its size is 2^63 or more");
        if (d > 1) expect = t->elements;
    }
    buf_str(&b, o->prefix);
    buf_puts(&b, "data/");
    buf_str(&b, s->key);
    const struct zip_entry *e = b.failed ? NULL : zip_find(&o->zip, buf_view(&b));
    int failed = b.failed;
    buf_done(&b);
    if (failed) return lar_fail(o->err, LAR_ENOMEM, "%.80s: out of memory", o->file);
    if (!e) return bad(o, t->name, "its data is not in the archive");
    uint64_t have = e->bytes / (uint64_t)s->size;
    if (s->count < 0 || (uint64_t)s->count > have || v->tensor.offset < 0 || v->tensor.offset > s->count ||
        t->elements > s->count - v->tensor.offset)
        return bad(o, t->name, "reaches past the end of its data");
    t->bytes = (uint64_t)t->elements * (uint64_t)s->size;
    t->data = e->data + (uint64_t)v->tensor.offset * (uint64_t)s->size;
    return 0;
}

static int add(struct opener *o, struct str name, const struct pickle_value *v)
{
    struct pickle *p = o->p;
    if (p->ntensor == TENSORS_MAX)
        return lar_fail(o->err, LAR_ELIMIT, "%.80s: more than %d tensors", o->file, TENSORS_MAX);
    if (p->ntensor == o->cap) {
        size_t cap = o->cap ? 2 * o->cap : 256;
        struct pickle_tensor *t = arena_array(&p->a, cap, sizeof *t);
        if (!t) return lar_fail(o->err, LAR_ENOMEM, "%.80s: out of memory", o->file);
        if (p->ntensor) memcpy(t, p->tensor, p->ntensor * sizeof *t);
        p->tensor = t;
        o->cap = cap;
    }
    struct pickle_tensor *t = &p->tensor[p->ntensor];
    *t = (struct pickle_tensor){.name = {arena_copy(&p->a, name.p, name.n), name.n}};
    if (!t->name.p) return lar_fail(o->err, LAR_ENOMEM, "%.80s: out of memory", o->file);
    int rc = place(o, t, v);
    if (rc == 0) p->ntensor++;
    return rc;
}

/* Depth first; keys joined by dots. A dictionary may be met again and again through the memo, even inside itself: steps are bounded. */
static int flatten(struct opener *o, struct buf *name, const struct pickle_value *v, int depth)
{
    size_t n = name->n;
    if (depth > DEPTH_MAX || ++o->visits > o->visits_max)
        return lar_fail(o->err, LAR_ELIMIT, "%.80s: its dictionaries are nested too deep", o->file);
    if (v->kind == PICKLE_TENSOR) return add(o, buf_view(name), v);
    if (v->kind != PICKLE_DICT) return 0;
    for (const struct pickle_pair *i = v->pairs; i; i = i->next) {
        if (n) buf_putc(name, '.');
        if (i->key->kind == PICKLE_STR)
            buf_str(name, i->key->str);
        else if (i->key->kind == PICKLE_INT)
            buf_printf(name, "%" PRId64, i->key->integer);
        else
            buf_putc(name, '?');
        if (name->n > NAME_MAX_BYTES) return lar_fail(o->err, LAR_ELIMIT, "%.80s: a name is too long", o->file);
        int rc = flatten(o, name, i->value, depth + 1);
        if (rc < 0) return rc;
        name->n = n;
    }
    return 0;
}

static int find_program(struct opener *o, struct str *program)
{
    for (size_t i = 0; i < o->zip.n; i++) {
        struct str name = o->zip.entry[i].name;
        if (!str_ends(name, STR("/data.pkl")) && !str_is(name, "data.pkl")) continue;
        o->prefix = (struct str){name.p, name.n - strlen("data.pkl")};
        if (memchr(o->prefix.p, '/', o->prefix.n) != (o->prefix.n ? o->prefix.p + o->prefix.n - 1 : NULL)) continue;
        *program = (struct str){(const char *)o->zip.entry[i].data, o->zip.entry[i].bytes};
        return 0;
    }
    return lar_fail(o->err, LAR_EFORMAT, "%.80s: is a zip archive without data.pkl: no PyTorch checkpoint", o->file);
}

static int check_order(struct opener *o)
{
    struct buf b = {0};
    buf_str(&b, o->prefix);
    buf_puts(&b, "byteorder");
    const struct zip_entry *e = b.failed ? NULL : zip_find(&o->zip, buf_view(&b));
    buf_done(&b);
    if (!e || (e->bytes == 6 && !memcmp(e->data, "little", 6))) return 0;
    return lar_fail(o->err, LAR_EUNSUPPORTED, "%.80s: its numbers are not little-endian", o->file);
}

static int read_archive(struct opener *o, const struct pickle_value **root, size_t *used)
{
    struct pickle *p = o->p;
    struct str program;
    int rc = zip_open(&o->zip, p->map.p, p->map.n, o->file, &p->a, o->err);
    if (rc == 0) rc = find_program(o, &program);
    if (rc == 0) rc = check_order(o);
    if (rc == 0) rc = pickle_run(root, program, o->file, &p->a, o->err);
    if (rc == 0) *used = program.n;
    return rc;
}

static int read_all(struct pickle *p, const char *file, struct lar_err *err)
{
    struct opener o = {.p = p, .file = file, .err = err, .prefix = STR("")};
    const struct pickle_value *root = NULL;
    struct buf name = {0};
    size_t used = 0;
    arena_init(&p->a, (size_t)1 << 30);
    if (p->map.n > 512 && !memcmp(p->map.p + 257, "ustar", 5))
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "%.80s: is a tar archive, the form of the very first PyTorch (0.1), which lar does not read: "
                        "load it with torch.load and save it again",
                        file);
    int rc = pickle_legacy(&o.zip, &root, &used, p->map.p, p->map.n, file, &p->a, err);
    if (rc == 0) rc = read_archive(&o, &root, &used);
    if (rc < 0) return rc;
    o.visits_max = 4 * used + 16;
    rc = flatten(&o, &name, root, 0);
    if (rc == 0 && name.failed) rc = lar_fail(err, LAR_ENOMEM, "%.80s: out of memory", file);
    buf_done(&name);
    if (rc == 0 && p->ntensor == 0) rc = lar_fail(err, LAR_EFORMAT, "%.80s: has no tensors", file);
    return rc;
}

int pickle_open(struct pickle *p, const char *path, struct lar_err *err)
{
    *p = (struct pickle){0};
    int rc = filemap_open(&p->map, path, err);
    if (rc == 0) rc = read_all(p, filemap_shown(path), err);
    if (rc < 0) pickle_close(p);
    return rc;
}

int pickle_open_memory(struct pickle *p, const void *bytes, size_t n, struct lar_err *err)
{
    *p = (struct pickle){.map = {bytes, n}, .borrowed = 1};
    int rc = read_all(p, "checkpoint in memory", err);
    if (rc < 0) pickle_close(p);
    return rc;
}

void pickle_close(struct pickle *p)
{
    if (!p->borrowed) filemap_close(&p->map);
    arena_done(&p->a);
    *p = (struct pickle){0};
}
