/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_val.h: the values of a rendering, and the rendering itself. Inside of the template
 * interpreter only.
 *
 * Names tell the file: tpl_X_... is in template_X.c; those without an X (tpl_fail, tpl_alloc,
 * tpl_step) are in template_run.c. A value is 16 bytes, passed by copy; what it points to lives in
 * the rendering's arena (constants: in the template's) and is never changed once others can see it,
 * except namespaces, loops and iterators, which Jinja lets change. A function that fails gives a
 * value of kind TPL_FAIL (or -1, or NULL) after it called tpl_fail; callers only hand it on.
 */
#ifndef TEXT_TEMPLATE_VAL_H
#define TEXT_TEMPLATE_VAL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"

enum tpl_kind {
    TPL_MISSING, /* a variable never set; never seen by templates */
    TPL_FAIL,    /* not a value: an error was raised */
    TPL_UNDEF,
    TPL_NONE,
    TPL_BOOL,
    TPL_INT,
    TPL_BIG, /* an integer outside of int64 */
    TPL_FLOAT,
    TPL_STR,
    TPL_BYTES,
    TPL_LIST,
    TPL_TUPLE,
    TPL_DICT,
    TPL_RANGE,
    TPL_VIEW, /* d.keys(), d.values(), d.items() */
    TPL_ITER, /* a generator: can be walked once */
    TPL_NS,
    TPL_MACRO,
    TPL_FUNC,   /* a global function */
    TPL_METHOD, /* a function bound to its object */
    TPL_LOOP,
    TPL_CYCLER,
    TPL_JOINER,
    TPL_SELF,  /* `self`: the template's blocks */
    TPL_BLOCK, /* self.name */
};

struct tpl_node;
struct tpl_iter;

struct tpl_str {
    const char *p; /* valid UTF-8 (bytes: anything) */
    size_t n;
    size_t chars; /* TPL_UNKNOWN until counted */
    /* A place found before, character and byte: where the next look-up begins. */
    size_t at_char, at_p;
    struct tpl_room *room; /* what p points into, with spare bytes after the end; or NULL */
};
/* a + b in a loop must not copy a each time: the sum is written behind a where a ends at `used` and
 * there is room. The old value does not see it, so values stay immutable. Lists do the same. */
struct tpl_room {
    char *base;
    size_t used, cap; /* bytes */
};
#define TPL_UNKNOWN ((size_t)-1)

struct val {
    uint8_t kind;
    uint8_t markup; /* TPL_STR: already escaped (markupsafe's Markup) */
    uint16_t sub;   /* TPL_VIEW: enum tpl_view; TPL_TUPLE: 1 for the pairs of groupby */
    uint32_t hash;  /* keys of a dict with an index */
    union {
        int64_t i; /* TPL_INT, TPL_BOOL */
        double f;
        struct tpl_str *s;
        struct tpl_list *l;
        struct tpl_dict *d; /* TPL_DICT, TPL_NS, TPL_VIEW */
        struct tpl_big *big;
        struct tpl_range *range;
        struct tpl_iter *it;
        struct tpl_undef *undef; /* NULL: without a name */
        struct tpl_macro *macro;
        struct tpl_method *method;
        struct tpl_loop *loop;
        struct tpl_cycle *cycle; /* TPL_CYCLER and TPL_JOINER */
        const struct tpl_sig *func;
        struct tpl_ctx *ctx; /* TPL_SELF */
        const struct tpl_block_ref *block;
    } u;
};

enum tpl_view { TPL_KEYS, TPL_VALUES, TPL_ITEMS };

struct tpl_list {
    struct val *p;
    size_t n;
    struct tpl_room *room;
};
struct tpl_pair {
    struct val k, v;
};
struct tpl_dict {
    struct tpl_pair *e; /* in the order of insertion */
    size_t n, cap;
    uint32_t *slot; /* from nine entries on: hash table of entry + 1, mask + 1 slots */
    size_t mask;
};
struct tpl_range {
    int64_t start, stop, step;
    size_t n;
};
struct tpl_undef {
    int unsafe;          /* the message speaks of safety */
    struct str hint;     /* a ready message, or empty */
    struct val of, name; /* of.kind TPL_MISSING: a plain variable */
};
struct tpl_method {
    struct val self;
    const struct tpl_sig *sig;
};
struct tpl_cycle {
    struct tpl_list *items; /* joiner: one, the separator */
    size_t at;
};

/* Arguments of a call, as evaluated. */
struct tpl_kw {
    struct str name;
    struct val v;
};
struct tpl_args {
    const struct val *pos;
    size_t npos;
    const struct tpl_kw *kw;
    size_t nkw;
};

struct tpl_run;
struct tpl_iter {
    int (*next)(struct tpl_run *r, struct tpl_iter *it, struct val *out); /* 1, 0 at the end, -1 */
    struct val of;
    size_t i, n;
    struct tpl_iter *src;
    void *state;
    int step;
};
struct tpl_loop { /* jinja2's LoopContext */
    struct tpl_iter *it, mem;
    struct val of;                              /* what is walked: for its length */
    struct val after, current, before, changed; /* TPL_MISSING where there is none */
    int64_t index0;
    size_t length;
    int has_length;
    int depth0;
    const struct tpl_node *node; /* recursive: its {% for %} */
    struct tpl_act *up;          /* and the variables around it */
};
/* a: the arguments in the order of params, a[0] the filtered value or the object of a method
 * (absent ones TPL_MISSING); raw: what follows a[0], when params is NULL. */
typedef struct val tpl_fn(struct tpl_run *r, const struct val *a, const struct tpl_args *raw);
#define TPL_PARAMS_MAX 8
struct tpl_sig {
    const char *name;
    const char *params; /* names after a[0], blanks between; "_": positional only; NULL: any */
    int required;       /* how many of params */
    tpl_fn *fn;
};

struct tpl_ctx {        /* what names resolve to: two arrays over the template's names */
    struct val *vars;   /* exported by {% set %} at the top */
    struct val *parent; /* input and globals */
};

struct tpl_block_ref {
    const struct tpl_block *block;
    struct tpl_ctx *ctx;
};

/* The variables of one call of a function of the template (root, block, macro, ...). Closures point
 * to their maker's. */
struct tpl_act {
    struct tpl_act *up; /* also links those for reuse */
    struct tpl_ctx *ctx;
    struct val slot[];
};
#define TPL_IDLE 17 /* sizes of activations kept for reuse: 0 to 16 slots */

struct tpl_run {
    struct arena a;
    const struct template *t;
    struct lar_err *err;
    int failed;                /* the first error's code, or 0 */
    const struct tpl_node *at; /* what is being evaluated: where an error is */
    uint64_t steps;            /* left */
    int depth;
    struct buf *out; /* the caller's */
    size_t out_max;  /* its size at the limit */
    struct buf work; /* a stack of texts in the making: captures and string building */
    struct buf *dst; /* where {{ }} goes: out or work */
    int autoescape;
    int64_t now;
    struct rng rng;
    struct val piped; /* what {% filter %} captured, for its innermost filter */
    struct tpl_act *act;
    struct tpl_act *idle[TPL_IDLE]; /* activations for reuse, by number of slots */
};

/* Nested evaluations: what the C stack must bear (doc/TEMPLATES.md). */
#define TPL_DEPTH_MAX 2400

/* ---- run: errors, limits, memory ---- */
struct val tpl_fail(struct tpl_run *r, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), cold));
struct val tpl_type_error(struct tpl_run *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), cold)); /* LAR_EFORMAT */
struct val tpl_out_of_steps(struct tpl_run *r) __attribute__((cold));
struct val tpl_undefined_error(struct tpl_run *r, struct val v) __attribute__((cold));
/* Zeroed arena memory, NULL (and failed) at the limit. */
void *tpl_alloc(struct tpl_run *r, size_t n);
void *tpl_array(struct tpl_run *r, size_t count, size_t size);
int tpl_enter_slow(struct tpl_run *r) __attribute__((cold));
/* Writes to r->dst, within the limit on output. */
int tpl_write(struct tpl_run *r, struct str s);

static inline int tpl_step(struct tpl_run *r, uint64_t n)
{
    if (r->steps < n) {
        tpl_out_of_steps(r);
        return -1;
    }
    r->steps -= n;
    return 0;
}
/* The price of looking at n bytes. */
static inline int tpl_step_bytes(struct tpl_run *r, size_t n) { return tpl_step(r, 1 + n / 32); }
static inline int tpl_enter(struct tpl_run *r)
{
    if (r->depth >= TPL_DEPTH_MAX) return tpl_enter_slow(r);
    r->depth++;
    return 0;
}
static inline void tpl_leave(struct tpl_run *r) { r->depth--; }

/* Building text: begin; append to r->work; end gives the string and takes it off. Nests; nothing to
 * free on failure. */
static inline size_t tpl_begin(const struct tpl_run *r) { return r->work.n; }
struct val tpl_end(struct tpl_run *r, size_t begin);

/* ---- val: making, truth, equality, order, hashing ---- */
static inline int tpl_bad(struct val v) { return v.kind == TPL_FAIL; }
static inline struct val tpl_failed(void) { return (struct val){.kind = TPL_FAIL}; }
static inline struct val tpl_missing(void) { return (struct val){.kind = TPL_MISSING}; }
static inline struct val tpl_none(void) { return (struct val){.kind = TPL_NONE}; }
static inline struct val tpl_bool(int b) { return (struct val){.kind = TPL_BOOL, .u.i = b != 0}; }
static inline struct val tpl_int(int64_t i) { return (struct val){.kind = TPL_INT, .u.i = i}; }
static inline struct val tpl_size(size_t n) { return tpl_int((int64_t)n); }
static inline struct val tpl_float(double f) { return (struct val){.kind = TPL_FLOAT, .u.f = f}; }
static inline int tpl_is_str(struct val v) { return v.kind == TPL_STR; }
static inline int tpl_is_seq(struct val v) { return v.kind == TPL_LIST || v.kind == TPL_TUPLE; }
/* int and bool */
static inline int tpl_is_small(struct val v) { return v.kind == TPL_INT || v.kind == TPL_BOOL; }
static inline int tpl_is_integer(struct val v) { return tpl_is_small(v) || v.kind == TPL_BIG; }
static inline int tpl_is_number(struct val v) { return tpl_is_integer(v) || v.kind == TPL_FLOAT; }
static inline struct str tpl_view(struct val v) /* TPL_STR and TPL_BYTES */
{
    return (struct str){v.u.s->p, v.u.s->n};
}
const char *tpl_val_type(struct val v); /* Python's name of the type */
struct val tpl_val_undef(struct tpl_run *r, const char *hint, ...)
    __attribute__((format(printf, 2, 3)));
struct val tpl_val_undef_name(struct tpl_run *r, struct str name);
struct val tpl_val_undef_attr(struct tpl_run *r, struct val of, struct val name, int unsafe);
int tpl_val_truth(struct tpl_run *r, struct val v);            /* 0, 1, -1 */
int tpl_val_eq(struct tpl_run *r, struct val a, struct val b); /* 0, 1, -1 */
int tpl_val_same(struct val a, struct val b);                  /* Python's `is` */
/* Numbers: -1, 0, 1; 2 when one is not a number (NaN); -2 on failure. */
int tpl_val_compare(struct tpl_run *r, struct val a, struct val b);
/* a op b for op one of "<", ">", "<=", ">=": 0, 1, -1 */
int tpl_val_order(struct tpl_run *r, struct val a, struct val b, const char *op);
int tpl_val_hash(struct tpl_run *r, struct val v, uint32_t *h);    /* 0, -1 (unhashable) */
int tpl_val_len(struct tpl_run *r, struct val v, size_t *n);       /* 0, -1 */
int tpl_val_in(struct tpl_run *r, struct val item, struct val in); /* 0, 1, -1 */
int tpl_val_callable(struct val v);
/* An index of Python: int, bool; -1 with an error for others. Integers beyond int64 are clamped. */
int tpl_val_index(struct tpl_run *r, struct val v, int64_t *i);
uint32_t tpl_val_hash_str(struct str s);
struct val tpl_val_json(struct tpl_run *r, const struct json *j);

/* ---- list: lists, tuples, dicts ---- */
/* n elements, TPL_MISSING, to be filled. */
struct val tpl_list_new(struct tpl_run *r, int kind, size_t n);
struct val tpl_list_of(struct tpl_run *r, int kind, const struct val *p, size_t n);
struct val tpl_list_concat(struct tpl_run *r, struct val a, struct val b);
struct val tpl_list_pair(struct tpl_run *r, struct val a, struct val b);
struct val tpl_list_from(struct tpl_run *r, int kind, struct val iterable);
/* A list that grows while it is built; not shared before it is done. */
int tpl_list_push(struct tpl_run *r, struct tpl_list *l, struct val v);
/* obj[start:stop:step], each TPL_NONE or an index */
struct val tpl_list_slice(struct tpl_run *r, struct val of, const struct val bound[3]);
/* Stable, by keys[i]; -1 on failure. Both arrays are reordered; equal elements keep their order
 * when reversed, too. */
int tpl_list_sort(struct tpl_run *r, struct val *items, struct val *keys, size_t n, int reverse);
struct val tpl_dict_new(struct tpl_run *r);
int tpl_dict_set(struct tpl_run *r, struct tpl_dict *d, struct val k, struct val v);
/* 1 and *v, 0 when absent, -1 when the key is unhashable. */
int tpl_dict_get(struct tpl_run *r, const struct tpl_dict *d, struct val k, struct val *v);
/* NULL when absent. */
const struct val *tpl_dict_str(struct tpl_run *r, const struct tpl_dict *d, struct str key);
/* dict(mapping or pairs, **kw) */
struct val tpl_dict_make(struct tpl_run *r, const struct tpl_args *args);

/* ---- str: text ---- */
struct val tpl_str_new(struct tpl_run *r, struct str s); /* copied */
/* Not copied: s lives as long as the rendering. */
struct val tpl_str_view(struct tpl_run *r, struct str s);
struct val tpl_str_z(struct tpl_run *r, const char *z);    /* not copied */
struct val tpl_str_bytes(struct tpl_run *r, struct str s); /* TPL_BYTES; not copied */
void tpl_str_freeze(struct val v); /* several threads may read it from now on */
struct val tpl_str_concat(struct tpl_run *r, struct val a, struct val b);
size_t tpl_str_chars(struct tpl_str *s);
size_t tpl_str_byte(struct tpl_str *s, size_t ch); /* where character ch begins; n past the end */
/* Part of s, sharing its bytes. */
struct val tpl_str_cut(struct tpl_run *r, struct val s, struct str part);
struct val tpl_str_char(struct tpl_run *r, struct val s, size_t ch);
struct val tpl_str_slice(struct tpl_run *r, struct val s, int64_t start, int64_t step, size_t n);
struct val tpl_str_repeat(struct tpl_run *r, struct val s, int64_t times);
/* First (last) place of needle in s, or -1; rfind: -2 on failure. Linear time. */
int64_t tpl_str_find(struct str s, struct str needle);
int64_t tpl_str_rfind(struct tpl_run *r, struct str s, struct str needle);
struct val tpl_str_replace(struct tpl_run *r, struct val s, struct str old, struct str new,
                           int64_t max);
/* The end of the line that begins at `at`; *next is where the following begins (Python's
 * splitlines). */
size_t tpl_str_line(struct str s, size_t at, size_t *next);
/* Chars NULL: white space. */
struct str tpl_str_strip(struct str s, const struct str *chars, int left, int right);
/* The first four as tpl_char_map has them. */
enum tpl_case { TPL_UPPER, TPL_LOWER, TPL_TITLE, TPL_FOLD, TPL_CAPITAL, TPL_SWAP };
struct val tpl_str_case(struct tpl_run *r, struct val s, enum tpl_case how);
void tpl_str_case_to(struct buf *b, struct str s, enum tpl_case how);
struct val tpl_str_escape(struct tpl_run *r, struct val v); /* markupsafe.escape(v) */
void tpl_str_escape_to(struct buf *b, struct str s);
void tpl_str_put(struct buf *b, uint32_t cp);

/* ---- repr: str() and repr() ---- */
struct val tpl_repr_str(struct tpl_run *r, struct val v); /* str(v); Markup becomes plain */
/* The same, but a string stays what it is. */
struct val tpl_repr_soft(struct tpl_run *r, struct val v);
int tpl_repr_to(struct tpl_run *r, struct buf *b, struct val v, int repr); /* 0, -1 */
void tpl_repr_float(struct buf *b, double f);
void tpl_repr_text(struct buf *b, struct str s);

/* ---- pretty, wrap, url, html: what single filters need ---- */
struct val tpl_pretty(struct tpl_run *r, struct val v); /* pprint.pformat */
struct tpl_wrap_style {
    size_t width;
    int break_words, break_hyphens;
    struct str newline;
};
struct val tpl_wrap(struct tpl_run *r, struct str s, const struct tpl_wrap_style *style);
void tpl_url_quote(struct buf *b, struct str s, int query);
struct tpl_url_style {
    int64_t limit;          /* characters shown; -1: all */
    struct str rel, target; /* .p NULL: none */
    struct val schemes;     /* a list, or TPL_NONE */
};
struct val tpl_url_links(struct tpl_run *r, struct str s, const struct tpl_url_style *style);
struct val tpl_html_strip(struct tpl_run *r, struct str s); /* tags and entities away */
struct val tpl_time_format(struct tpl_run *r, struct str format, int64_t now); /* strftime */

/* ---- json ---- */
struct tpl_json_style {
    struct str indent, comma, colon;
    int indented, ascii, sorted;
};
struct val tpl_json(struct tpl_run *r, struct val v, const struct tpl_json_style *style);

/* ---- num: arithmetic ---- */
/* '+' '-' '*' '/' '%', 'f' //, 'p' **, 'q' see there. */
struct val tpl_num_op(struct tpl_run *r, int op, struct val a, struct val b);
struct val tpl_num_neg(struct tpl_run *r, struct val a, int plus);
/* Float(v) of numbers; TPL_NONE or failed. */
struct val tpl_num_to_float(struct tpl_run *r, struct val v, double *f);
struct val tpl_num_from_float(struct tpl_run *r, double f); /* int(f) */
struct val tpl_num_round(struct tpl_run *r, struct val v, int64_t digits);
/* int(text, base) and float(text) as Python reads them; TPL_MISSING when it is not a number. */
struct val tpl_num_parse_int(struct tpl_run *r, struct str s, int base);
struct val tpl_num_parse_float(struct str s);

/* ---- int: integers without limit (up to TPL_INT_LIMBS) ---- */
#define TPL_INT_LIMBS 2048 /* 65536 bits */
struct tpl_big { /* never used for what fits int64 */
    uint32_t n;
    int negative;
    uint32_t limb[]; /* base 2^32, the lowest first, the highest not 0 */
};
/* Op as tpl_num_op, without '/'. */
struct val tpl_int_op(struct tpl_run *r, int op, struct val a, struct val b);
int tpl_int_compare(struct val a, struct val b); /* -1, 0, 1; any integers */
double tpl_int_double(struct val a); /* rounded to nearest even; infinite when too large */
/* A / b, correctly rounded. */
struct val tpl_int_divide(struct tpl_run *r, struct val a, struct val b);
struct val tpl_int_from_double(struct tpl_run *r, double f); /* f finite: truncated */
struct val tpl_int_read(struct tpl_run *r, const unsigned char *digit, size_t n, int base,
                        int negative);
/* Digits in base 2, 8, 10 or 16, without sign. */
int tpl_int_write(struct tpl_run *r, struct buf *b, struct val a, int base, int upper);
int tpl_int_negative(struct val a);

/* ---- format: one value into a field; percent: "..." % args; braces: "...".format() ---- */
struct tpl_spec {
    struct str fill; /* one character */
    char align;      /* '<' '>' '^' '=', or 0 for the type's own */
    char sign;       /* '+', ' ', or 0: only a minus is written */
    char group;      /* ',' '_' or 0 */
    char type;       /* 0: none */
    int alternate;
    int64_t width, precision; /* precision -1: none */
};
/* Each appends to r->work: 0, -1. */
int tpl_format_int(struct tpl_run *r, struct val v, const struct tpl_spec *sp);
int tpl_format_float(struct tpl_run *r, double f, const struct tpl_spec *sp);
int tpl_format_text(struct tpl_run *r, struct str s, const struct tpl_spec *sp);
int tpl_format_value(struct tpl_run *r, struct val v, struct str spec); /* format(v, spec) */
void tpl_format_ascii(struct buf *b, struct str s); /* what is not ASCII as \x, \u, \U */
struct val tpl_percent(struct tpl_run *r, struct val fmt, struct val args);
/* map: format_map(map), else TPL_MISSING */
struct val tpl_braces(struct tpl_run *r, struct val fmt, const struct tpl_args *args,
                      struct val map);

/* ---- iter ---- */
/* iter(v): v's own iterator when it is one, else mem, filled. NULL: not iterable (an error was
 * raised). */
struct tpl_iter *tpl_iter_open(struct tpl_run *r, struct val v, struct tpl_iter *mem);
int tpl_iter_can(struct val v);
/* Reversed(v); TPL_MISSING when it cannot. */
struct val tpl_iter_reversed(struct tpl_run *r, struct val v);
struct val tpl_iter_new(struct tpl_run *r, const struct tpl_iter *it);
static inline int tpl_iter_next(struct tpl_run *r, struct tpl_iter *it, struct val *out)
{
    if (tpl_step(r, 1)) return -1;
    return it->next(r, it, out);
}

/* ---- attr: x.name, x["name"], methods ---- */
struct val tpl_attr_get(struct tpl_run *r, struct val of, struct val name); /* of.name */
struct val tpl_attr_item(struct tpl_run *r, struct val of, struct val key); /* of[key] */
/* Only the attribute, TPL_MISSING when there is none. */
struct val tpl_attr_own(struct tpl_run *r, struct val of, struct str name);
/* A path as filters take it ("a.b.0", 3): parts ready for tpl_attr_path. */
struct val tpl_attr_parts(struct tpl_run *r, struct val path);
struct val tpl_attr_path(struct tpl_run *r, struct val of, struct val parts, struct val otherwise);
extern const struct tpl_sig tpl_str_methods[], tpl_list_methods[], tpl_dict_methods[],
    tpl_int_methods[], tpl_float_methods[], tpl_bytes_methods[], tpl_range_methods[],
    tpl_loop_methods[], tpl_cycle_methods[];

/* ---- strings, asks: what methods of str and filters share ---- */
struct val tpl_strings_strip(struct tpl_run *r, struct val s, struct val chars, int left,
                             int right);
struct val tpl_strings_pad(struct tpl_run *r, struct val s, struct val width, struct val fill,
                           char align);
int tpl_strings_encoding(struct tpl_run *r, struct val name); /* 0 utf-8, 1 ascii, 2 latin-1, -1 */
tpl_fn tpl_asks_count, tpl_asks_endswith, tpl_asks_find, tpl_asks_index, tpl_asks_isalnum,
    tpl_asks_isalpha, tpl_asks_isascii, tpl_asks_isdecimal, tpl_asks_isdigit, tpl_asks_isidentifier,
    tpl_asks_islower, tpl_asks_isnumeric, tpl_asks_isprintable, tpl_asks_isspace, tpl_asks_istitle,
    tpl_asks_isupper, tpl_asks_rfind, tpl_asks_rindex, tpl_asks_startswith;

/* ---- loop ---- */
int tpl_loop_length(struct tpl_run *r, struct tpl_loop *l, size_t *n);
int tpl_loop_next(struct tpl_run *r, struct tpl_loop *l, struct val *out); /* 1, 0, -1 */
/* TPL_MISSING: none. */
struct val tpl_loop_attr(struct tpl_run *r, struct tpl_loop *l, struct str name);

/* ---- call ---- */
struct val tpl_call(struct tpl_run *r, struct val f, const struct tpl_args *args);
/* Fits args to sig and calls it; self is a[0]. */
struct val tpl_call_sig(struct tpl_run *r, const struct tpl_sig *sig, struct val self,
                        const struct tpl_args *args);
const struct tpl_sig *tpl_call_global(struct str name);

/* ---- filter, test: by name; seq, text: the filters on sequences and on text ---- */
const struct tpl_sig *tpl_filter_find(struct str name);
const struct tpl_sig *tpl_test_find(struct str name);
tpl_fn tpl_seq_batch, tpl_seq_dictsort, tpl_seq_first, tpl_seq_groupby, tpl_seq_items, tpl_seq_join,
    tpl_seq_last, tpl_seq_map, tpl_seq_max, tpl_seq_min, tpl_seq_random, tpl_seq_reject,
    tpl_seq_rejectattr, tpl_seq_reverse, tpl_seq_select, tpl_seq_selectattr, tpl_seq_slice,
    tpl_seq_sort, tpl_seq_sum, tpl_seq_unique;
tpl_fn tpl_text_capitalize, tpl_text_center, tpl_text_filesize, tpl_text_forceescape,
    tpl_text_format, tpl_text_indent, tpl_text_lower, tpl_text_replace, tpl_text_striptags,
    tpl_text_title, tpl_text_tojson, tpl_text_trim, tpl_text_truncate, tpl_text_upper,
    tpl_text_urlencode, tpl_text_urlize, tpl_text_wordcount, tpl_text_wordwrap, tpl_text_xmlattr;

#endif
