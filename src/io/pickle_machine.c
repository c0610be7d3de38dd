/* SPDX-License-Identifier: Apache-2.0
 *
 * io/pickle_machine.c: Python's unpickling machine (Lib/pickletools.py describes it), cut down to what torch.save needs for dictionaries of tensors.
 *
 * A stack of values, a memo of values, and instructions of one byte with arguments. The dangerous ones are GLOBAL, which names anything
 * that Python can import, and REDUCE, which calls it. Here GLOBAL knows the names of the table below and refuses every other one, and REDUCE
 * knows what five of them would build. An instruction that is not in run() is refused with its number. Nothing loops: each instruction is read once.
 */
#include "io/pickle_machine.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/cursor.h"

enum callable { STORAGE_TYPE, REBUILD_TENSOR, REBUILD_TENSOR_AS, REBUILD_PARAMETER, ORDERED_DICT, SIZE, TYPE };

static const struct {
    const char *module, *name;
    enum callable what;
    const char *type; /* of a storage, or the type itself */
    int size;
} names[] = {
    {"torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR, NULL, 0},
    {"torch._utils", "_rebuild_tensor_v3", REBUILD_TENSOR_AS, NULL, 0}, /* types that have no storage of their own */
    {"torch._utils", "_rebuild_parameter", REBUILD_PARAMETER, NULL, 0},
    {"collections", "OrderedDict", ORDERED_DICT, NULL, 0},
    {"torch", "Size", SIZE, NULL, 0},
    {"torch", "FloatStorage", STORAGE_TYPE, "F32", 4},
    {"torch", "HalfStorage", STORAGE_TYPE, "F16", 2},
    {"torch", "BFloat16Storage", STORAGE_TYPE, "BF16", 2},
    {"torch", "DoubleStorage", STORAGE_TYPE, "F64", 8},
    {"torch", "ByteStorage", STORAGE_TYPE, "U8", 1},
    {"torch", "CharStorage", STORAGE_TYPE, "I8", 1},
    {"torch", "ShortStorage", STORAGE_TYPE, "I16", 2},
    {"torch", "IntStorage", STORAGE_TYPE, "I32", 4},
    {"torch", "LongStorage", STORAGE_TYPE, "I64", 8},
    {"torch", "BoolStorage", STORAGE_TYPE, "BOOL", 1},
    {"torch.storage", "UntypedStorage", STORAGE_TYPE, "U8", 1},
    {"torch", "float8_e4m3fn", TYPE, "F8_E4M3", 1},
    {"torch", "float8_e5m2", TYPE, "F8_E5M2", 1},
};

enum { STACK_MAX = 1 << 16, MEMO_MAX = 1 << 22 };

struct machine {
    struct cursor c;
    const char *file;
    struct arena *a;
    struct lar_err *err;
    const struct pickle_value **stack; /* [STACK_MAX] */
    size_t n;
    const struct pickle_value **memo; /* [nmemo] */
    size_t nmemo, memoized;
    const struct pickle_storage *storages; /* named so far */
};

static int bad(struct machine *m, const char *what)
{
    return lar_fail(m->err, LAR_EFORMAT, "%.80s: data.pkl at byte %" PRIu64 ": %s", m->file, cursor_offset(&m->c),
                    what);
}

static struct pickle_value *make(struct machine *m, enum pickle_kind kind)
{
    struct pickle_value *v = arena_alloc(m->a, sizeof *v);
    if (v)
        v->kind = kind;
    else
        lar_fail(m->err, LAR_ENOMEM, "%.80s: data.pkl: out of memory", m->file);
    return v;
}

static int push(struct machine *m, const struct pickle_value *v)
{
    if (!v) return LAR_ENOMEM;
    if (m->n == STACK_MAX)
        return lar_fail(m->err, LAR_ELIMIT, "%.80s: data.pkl: more than %d values on its stack", m->file, STACK_MAX);
    m->stack[m->n++] = v;
    return 0;
}

static const struct pickle_value *pop(struct machine *m)
{
    static const struct pickle_value none;
    if (m->n && m->stack[m->n - 1]->kind != PICKLE_MARK) return m->stack[--m->n];
    m->c.failed = 1; /* told by run() */
    return &none;
}

/* Where the values above the newest mark begin; the mark itself is below. SIZE_MAX: none. */
static size_t above_mark(const struct machine *m)
{
    for (size_t i = m->n; i-- > 0;)
        if (m->stack[i]->kind == PICKLE_MARK) return i + 1;
    return SIZE_MAX;
}

static int push_int(struct machine *m, enum pickle_kind kind, int64_t i)
{
    struct pickle_value *v = make(m, kind);
    if (v) v->integer = i;
    return push(m, v);
}

static int push_str(struct machine *m, uint64_t n)
{
    const uint8_t *p = cursor_take(&m->c, n);
    if (!p) return bad(m, "a string reaches past the end");
    struct pickle_value *v = make(m, PICKLE_STR);
    if (v) v->str = (struct str){(const char *)p, (size_t)n};
    return push(m, v);
}

static int push_tuple(struct machine *m, size_t n)
{
    struct pickle_value *v = make(m, PICKLE_TUPLE);
    if (!v) return LAR_ENOMEM;
    if (n > m->n) return bad(m, "a tuple of more values than there are");
    v->items.v = arena_array(m->a, n, sizeof *v->items.v);
    if (n && !v->items.v) return lar_fail(m->err, LAR_ENOMEM, "%.80s: data.pkl: out of memory", m->file);
    v->items.n = n;
    for (size_t i = 0; i < n; i++) {
        v->items.v[n - 1 - i] = pop(m);
        if (m->c.failed) return bad(m, "a tuple reaches below a mark");
    }
    return push(m, v);
}

static int tuple_from_mark(struct machine *m)
{
    size_t at = above_mark(m);
    if (at == SIZE_MAX) return bad(m, "there is no mark");
    size_t n = m->n - at;
    struct pickle_value *v = make(m, PICKLE_TUPLE);
    if (!v || !(v->items.v = arena_array(m->a, n, sizeof *v->items.v))) return LAR_ENOMEM;
    v->items.n = n;
    if (n) memcpy(v->items.v, m->stack + at, n * sizeof *v->items.v);
    m->n = at - 1;
    return push(m, v);
}

static int remember(struct machine *m, uint64_t i)
{
    if (i >= m->nmemo) return bad(m, "a memo's number is out of range");
    if (!m->n) return bad(m, "nothing to remember");
    m->memo[i] = m->stack[m->n - 1];
    return 0;
}

static int recall(struct machine *m, uint64_t i)
{
    if (i >= m->nmemo || !m->memo[i]) return bad(m, "recalls what was not remembered");
    return push(m, m->memo[i]);
}

/* ---- the named ---------------------------------------------------------------------------------------------------- */

static int push_name(struct machine *m, struct str module, struct str name)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!str_is(module, names[i].module) || !str_is(name, names[i].name)) continue;
        struct pickle_value *v = make(m, PICKLE_NAME);
        if (v) v->name = (int)i;
        return push(m, v);
    }
    return lar_fail(m->err, LAR_EUNSUPPORTED,
                    "%.80s: data.pkl names %.*s.%.*s, which no tensor needs: it is refused, nothing was executed",
                    m->file, STR_ARG(module), STR_ARG(name));
}

static struct str line(struct machine *m)
{
    size_t n = 0, left = cursor_left(&m->c);
    const char *p = (const char *)m->c.at;
    while (n < left && p[n] != '\n') n++;
    if (n == left)
        m->c.failed = 1;
    else
        cursor_take(&m->c, n + 1);
    return (struct str){p, n};
}

static int global(struct machine *m)
{
    struct str module = line(m), name = line(m);
    return m->c.failed ? bad(m, "a name without an end") : push_name(m, module, name);
}

static int stack_global(struct machine *m)
{
    const struct pickle_value *name = pop(m), *module = pop(m);
    if (m->c.failed || name->kind != PICKLE_STR || module->kind != PICKLE_STR)
        return bad(m, "a name that is no string");
    return push_name(m, module->str, name->str);
}

static int numbers(const struct pickle_value *t, int64_t out[PICKLE_DIMS_MAX])
{
    if (t->kind != PICKLE_TUPLE || t->items.n > PICKLE_DIMS_MAX) return -1;
    for (size_t i = 0; i < t->items.n; i++) {
        if (t->items.v[i]->kind != PICKLE_INT) return -1;
        out[i] = t->items.v[i]->integer;
    }
    return (int)t->items.n;
}

/* (storage, offset, size, stride, requires_grad, hooks ...) */
static int rebuild_tensor(struct machine *m, const struct pickle_value *arg)
{
    struct pickle_value *v = make(m, PICKLE_TENSOR);
    if (!v) return LAR_ENOMEM;
    if (arg->items.n < 4 || arg->items.v[0]->kind != PICKLE_STORAGE || arg->items.v[1]->kind != PICKLE_INT)
        return bad(m, "a tensor of something else than a storage");
    v->tensor.storage = &arg->items.v[0]->storage;
    v->tensor.offset = arg->items.v[1]->integer;
    v->tensor.ndim = numbers(arg->items.v[2], v->tensor.size);
    if (v->tensor.ndim < 0 || numbers(arg->items.v[3], v->tensor.stride) != v->tensor.ndim)
        return bad(m, "a tensor whose shape is no tuple of at most 8 numbers");
    return push(m, v);
}

/* (storage of bytes, offset, size, stride, requires_grad, hooks, type ...) */
static int rebuild_tensor_as(struct machine *m, const struct pickle_value *arg)
{
    const struct pickle_value *type = arg->items.n > 6 ? arg->items.v[6] : NULL;
    struct pickle_storage *s = arena_alloc(m->a, sizeof *s);
    if (!s) return lar_fail(m->err, LAR_ENOMEM, "%.80s: data.pkl: out of memory", m->file);
    if (!type || type->kind != PICKLE_NAME || names[type->name].what != TYPE)
        return bad(m, "a tensor of a type that is none");
    int rc = rebuild_tensor(m, arg);
    if (rc < 0) return rc;
    struct pickle_value *v = (struct pickle_value *)(uintptr_t)m->stack[m->n - 1]; /* made just now */
    if (v->tensor.storage->size != 1) return bad(m, "a tensor of bytes that are none");
    *s = *v->tensor.storage;
    s->type = names[type->name].type;
    s->next = NULL;
    v->tensor.storage = s;
    return 0;
}

static int reduce(struct machine *m)
{
    const struct pickle_value *arg = pop(m), *f = pop(m);
    if (m->c.failed || arg->kind != PICKLE_TUPLE || f->kind != PICKLE_NAME)
        return bad(m, "calls what cannot be called");
    switch (names[f->name].what) {
    case REBUILD_TENSOR: return rebuild_tensor(m, arg);
    case REBUILD_TENSOR_AS: return rebuild_tensor_as(m, arg);
    case REBUILD_PARAMETER:
        if (arg->items.n < 1 || arg->items.v[0]->kind != PICKLE_TENSOR)
            return bad(m, "a parameter that is no tensor");
        return push(m, arg->items.v[0]);
    case ORDERED_DICT:
        if (arg->items.n) return bad(m, "a dictionary with arguments");
        return push(m, make(m, PICKLE_DICT));
    case SIZE:
        if (arg->items.n != 1 || arg->items.v[0]->kind != PICKLE_TUPLE) return bad(m, "a size that is no tuple");
        return push(m, arg->items.v[0]);
    case TYPE:
    case STORAGE_TYPE: break;
    }
    return bad(m, "calls a type");
}

/* ("storage", type, key, place, number of elements); before 1.6 also None, or a view, which is refused */
static int persistent(struct machine *m)
{
    const struct pickle_value *t = pop(m);
    const struct pickle_value **v =
        t->kind == PICKLE_TUPLE && (t->items.n == 5 || (t->items.n == 6 && t->items.v[5]->kind == PICKLE_NONE))
            ? t->items.v
            : NULL;
    if (m->c.failed || !v || v[0]->kind != PICKLE_STR || !str_is(v[0]->str, "storage") || v[1]->kind != PICKLE_NAME ||
        names[v[1]->name].what != STORAGE_TYPE || v[2]->kind != PICKLE_STR || v[4]->kind != PICKLE_INT)
        return bad(m, "a storage that is none");
    struct pickle_value *s = make(m, PICKLE_STORAGE);
    if (!s) return LAR_ENOMEM;
    s->storage = (struct pickle_storage){v[2]->str, names[v[1]->name].type, names[v[1]->name].size, v[4]->integer,
                                         m->storages};
    m->storages = &s->storage;
    return push(m, s);
}

/* ---- dictionaries and lists ------------------------------------------------------------------------------------------ */

static int add_pair(struct machine *m, const struct pickle_value *to, const struct pickle_value *key,
                    const struct pickle_value *value)
{
    /* made by this machine, in its own memory */
    struct pickle_value *d = (struct pickle_value *)(uintptr_t)to;
    struct pickle_pair *p = arena_alloc(m->a, sizeof *p);
    if (!p) return lar_fail(m->err, LAR_ENOMEM, "%.80s: data.pkl: out of memory", m->file);
    *p = (struct pickle_pair){key, value, NULL};
    if (d->last)
        d->last->next = p;
    else
        d->pairs = p;
    d->last = p;
    return 0;
}

static int set_items(struct machine *m, size_t at)
{
    if (at == SIZE_MAX || at < 1) return bad(m, "there is no mark");
    size_t base = m->stack[at - 1]->kind == PICKLE_MARK ? at - 1 : at;
    if (base < 1 || (m->n - at) % 2 || m->stack[base - 1]->kind != PICKLE_DICT)
        return bad(m, "items of something that is no dictionary");
    int rc = 0;
    for (size_t i = at; i < m->n && rc == 0; i += 2) rc = add_pair(m, m->stack[base - 1], m->stack[i], m->stack[i + 1]);
    m->n = base;
    return rc;
}

static int append(struct machine *m, size_t at)
{
    if (at == SIZE_MAX || at < 1) return bad(m, "there is no mark");
    size_t base = m->stack[at - 1]->kind == PICKLE_MARK ? at - 1 : at;
    if (base < 1 || m->stack[base - 1]->kind != PICKLE_LIST) return bad(m, "members of something that is no list");
    int rc = 0;
    for (size_t i = at; i < m->n && rc == 0; i++) rc = add_pair(m, m->stack[base - 1], NULL, m->stack[i]);
    m->n = base;
    return rc;
}

/* Attributes of a dictionary (its _metadata): not needed. */
static int build(struct machine *m)
{
    const struct pickle_value *state = pop(m);
    if (m->c.failed || !m->n || m->stack[m->n - 1]->kind != PICKLE_DICT || state->kind != PICKLE_DICT)
        return bad(m, "sets the state of something that is no dictionary");
    return 0;
}

static int long_integer(struct machine *m)
{
    unsigned n = (unsigned)cursor_uint(&m->c, 1);
    if (n > 8) return bad(m, "a number of more than 64 bits (a checkpoint of PyTorch before 1.6? save it again)");
    uint64_t v = cursor_uint(&m->c, n);
    if (n && n < 8 && v >> (8 * n - 1)) v |= ~(uint64_t)0 << 8 * n;
    return push_int(m, PICKLE_INT, (int64_t)v);
}

/* One instruction; 1: the program has ended. */
static int step(struct machine *m)
{
    unsigned op = (unsigned)cursor_uint(&m->c, 1);
    if (m->c.failed) return bad(m, "ends without STOP");
    switch (op) {
    case 0x80: /* PROTO */
        if (cursor_uint(&m->c, 1) > 5) return bad(m, "a protocol above 5");
        return 0;
    case 0x95: cursor_take(&m->c, 8); return 0; /* FRAME */
    case '.': return 1;                         /* STOP */
    case '(': return push(m, make(m, PICKLE_MARK));
    case '0': pop(m); return 0; /* POP */
    case 'N': return push(m, make(m, PICKLE_NONE));
    case 0x88: return push_int(m, PICKLE_BOOL, 1);
    case 0x89: return push_int(m, PICKLE_BOOL, 0);
    case '}': return push(m, make(m, PICKLE_DICT));
    case ']': return push(m, make(m, PICKLE_LIST));
    case ')': return push_tuple(m, 0);
    case 0x85: return push_tuple(m, 1);
    case 0x86: return push_tuple(m, 2);
    case 0x87: return push_tuple(m, 3);
    case 't': return tuple_from_mark(m);
    case 'J': return push_int(m, PICKLE_INT, (int32_t)cursor_uint(&m->c, 4)); /* BININT */
    case 'K': return push_int(m, PICKLE_INT, (int64_t)cursor_uint(&m->c, 1));
    case 'M': return push_int(m, PICKLE_INT, (int64_t)cursor_uint(&m->c, 2));
    case 0x8a: return long_integer(m);
    case 'G': return push_int(m, PICKLE_FLOAT, (int64_t)cursor_u64(&m->c));
    case 'X': return push_str(m, cursor_u32(&m->c)); /* BINUNICODE */
    case 'T': return push_str(m, cursor_u32(&m->c)); /* BINSTRING */
    case 0x8c:
    case 'U': return push_str(m, cursor_uint(&m->c, 1));
    case 0x8d: return push_str(m, cursor_u64(&m->c));
    case 'q': return remember(m, cursor_uint(&m->c, 1));
    case 'r': return remember(m, cursor_u32(&m->c));
    case 0x94: return remember(m, m->memoized++); /* MEMOIZE */
    case 'h': return recall(m, cursor_uint(&m->c, 1));
    case 'j': return recall(m, cursor_u32(&m->c));
    case 'c': return global(m);
    case 0x93: return stack_global(m);
    case 'R': return reduce(m);
    case 'Q': return persistent(m);
    case 'b': return build(m);
    case 's': return m->n < 3 ? bad(m, "an item of nothing") : set_items(m, m->n - 2);
    case 'u': return set_items(m, above_mark(m));
    case 'a': return m->n < 2 ? bad(m, "a member of nothing") : append(m, m->n - 1);
    case 'e': return append(m, above_mark(m));
    default: break;
    }
    char what[80];
    snprintf(what, sizeof what, "instruction 0x%02x is not one that tensors need; nothing was executed", op);
    lar_fail(m->err, LAR_EUNSUPPORTED, "%.80s: data.pkl at byte %" PRIu64 ": %s", m->file, cursor_offset(&m->c) - 1,
             what);
    return LAR_EUNSUPPORTED;
}

static int run(struct machine *m, struct str bytes)
{
    int rc = 0;
    m->nmemo = bytes.n < MEMO_MAX ? bytes.n + 1 : MEMO_MAX; /* remembering takes two bytes */
    m->stack = arena_array(m->a, STACK_MAX, sizeof *m->stack);
    m->memo = arena_array(m->a, m->nmemo, sizeof *m->memo);
    if (!m->stack || !m->memo)
        return lar_fail(m->err, LAR_ENOMEM, "%.80s: data.pkl of %zu bytes: out of memory", m->file, bytes.n);
    while (rc == 0) {
        rc = step(m);
        if (rc >= 0 && m->c.failed) rc = bad(m, "reaches past its end, or below its stack");
    }
    if (rc < 0) return rc;
    return m->n == 1 ? 0 : bad(m, "leaves not one value");
}

int pickle_run(const struct pickle_value **root, struct str program, const char *file, struct arena *a,
               struct lar_err *err)
{
    struct machine m = {.c = cursor_of(program.p, program.n), .file = file, .a = a, .err = err};
    int rc = run(&m, program);
    if (rc == 0 && cursor_left(&m.c)) rc = bad(&m, "more bytes follow its end, perhaps a second program");
    if (rc == 0) *root = m.stack[0];
    return rc;
}

int pickle_run_first(const struct pickle_value **root, struct str bytes, size_t *used,
                     const struct pickle_storage **storages, const char *file, struct arena *a, struct lar_err *err)
{
    struct machine m = {.c = cursor_of(bytes.p, bytes.n), .file = file, .a = a, .err = err};
    int rc = run(&m, bytes);
    if (rc < 0) return rc;
    *root = m.stack[0];
    *used = bytes.n - cursor_left(&m.c);
    *storages = m.storages;
    return 0;
}
