/* SPDX-License-Identifier: Apache-2.0
 *
 * text/schema_text.c: what a keyword says about a text: numbers, strings, and the members of an enum that are of such a type, as
 * expressions. A branch keeps one expression, which every such keyword narrows. */
#include "base/mem.h"
#include "text/schema_expand.h"

static const char *const type_names[] = {"null", "boolean", "number", "string", "array", "object"};

int expand_type(const struct json *j)
{
    static const int of[] = {
        [JSON_NULL] = T_NULL,     [JSON_BOOL] = T_BOOL,   [JSON_NUMBER] = T_NUMBER,
        [JSON_STRING] = T_STRING, [JSON_ARRAY] = T_ARRAY, [JSON_OBJECT] = T_OBJECT};
    return of[j->kind];
}

/* 0 the type is not among them, 1 it is, 2 only integers are. */
int expand_type_in(const struct json *j, int type)
{
    int integer = 0;
    for (const struct json *c = j->kind == JSON_ARRAY ? j->child : j; c;
         c = j->kind == JSON_ARRAY ? c->next : NULL) {
        if (str_is(c->s, type_names[type])) return 1;
        integer |= type == T_NUMBER && str_is(c->s, "integer");
    }
    return integer ? 2 : 0;
}

uint32_t expand_const(struct expand *e, const struct json *j)
{
    struct rx *p = e->s->rx;
    switch (j->kind) {
    case JSON_NULL: return rx_text(p, STR("null"));
    case JSON_BOOL: return j->boolean ? rx_text(p, STR("true")) : rx_text(p, STR("false"));
    case JSON_NUMBER: return schema_number(e->s, j, RX_EQ, "/const");
    case JSON_STRING: return rx_text(p, j->s);
    default: return RX_EMPTY;
    }
}

/* The members of an enum that are of a scalar type. */
static uint32_t enum_text(struct expand *e, const struct json *j)
{
    struct rx *p = e->s->rx;
    uint32_t r = RX_EMPTY;
    if (e->type != T_STRING) {
        for (const struct json *c = j->child; c; c = c->next)
            if (expand_type(c) == e->type) r = rx_alt(p, r, expand_const(e, c));
        return r;
    }
    struct str *v = j->n ? mem_alloc(j->n * sizeof *v) : NULL;
    size_t n = 0;
    if (j->n && !v) return schema_fail(e->s, LAR_ENOMEM, "", "out of memory"), RX_EMPTY;
    for (const struct json *c = j->child; c; c = c->next)
        if (c->kind == JSON_STRING) v[n++] = c->s;
    r = rx_words(p, v, n);
    mem_free(v);
    return r;
}

uint32_t expand_pattern(struct schema *s, struct sch_kw *k, uint32_t i, struct str pattern,
                        const char *path)
{
    uint32_t *at = &k->rx;
    struct lar_err err;
    if (k->kw == KW_PATTERN_PROPERTIES) {
        if (!k->rxs && !(k->rxs = arena_array(&s->a, k->nsub, sizeof *k->rxs)))
            return schema_fail(s, LAR_ELIMIT, path, "too large"), RX_EMPTY;
        at = &k->rxs[i];
    }
    if (*at) return *at == UINT32_MAX ? RX_EMPTY : *at;
    int64_t r = rx_parse(s->rx, pattern, 0, &err);
    if (r < 0) {
        schema_fail(s, (int)r, path, "%s: %s", schema_kw_name[k->kw], err.msg);
        s->fail_kw = (int)k->kw;
        return RX_EMPTY;
    }
    *at = r == RX_EMPTY ? UINT32_MAX : (uint32_t)r;
    return (uint32_t)r;
}

/* minimum with its draft 4 partner: exclusiveMinimum as a boolean. */
static unsigned bound_of(const struct sch *x, enum schema_kw kw)
{
    int low = kw == KW_MINIMUM || kw == KW_EXCLUSIVE_MINIMUM;
    const struct sch_kw *ex = sch_get(x, low ? KW_EXCLUSIVE_MINIMUM : KW_EXCLUSIVE_MAXIMUM);
    int strict = kw == KW_EXCLUSIVE_MINIMUM || kw == KW_EXCLUSIVE_MAXIMUM ||
                 (ex && ex->j->kind == JSON_BOOL && ex->j->boolean);
    return (low ? RX_GT : RX_LT) | (strict ? 0u : RX_EQ);
}

static uint32_t text_of(struct expand *e, const struct sch *x, struct sch_kw *k, int *says)
{
    struct schema *s = e->s;
    struct rx *p = s->rx;
    int is_known;
    *says = 1;
    if (k->kw == KW_CONST) return expand_type(k->j) == e->type ? expand_const(e, k->j) : RX_EMPTY;
    if (k->kw == KW_ENUM) return enum_text(e, k->j);
    if (e->type == T_NUMBER) switch (k->kw) {
        case KW_MINIMUM:
        case KW_MAXIMUM: break;
        case KW_EXCLUSIVE_MINIMUM:
        case KW_EXCLUSIVE_MAXIMUM:
            if (k->j->kind == JSON_NUMBER) break;
            *says = 0;
            return RX_ALL;
        case KW_MULTIPLE_OF:
            if (!k->rx) k->rx = schema_multiple(s, k->j, x->path);
            return k->rx;
        default: *says = 0; return RX_ALL;
        }
    if (e->type == T_NUMBER) {
        if (!k->rx) k->rx = schema_number(s, k->j, bound_of(x, k->kw), x->path);
        return k->rx;
    }
    if (e->type == T_STRING) switch (k->kw) {
        case KW_MIN_LENGTH:
            return rx_cat(p,
                          rx_rep(p, RX_CHAR, (uint32_t)(k->j->num < 1e6 ? k->j->num : 1e6),
                                 (uint32_t)(k->j->num < 1e6 ? k->j->num : 1e6)),
                          RX_ALL);
        case KW_MAX_LENGTH:
            if (k->j->num >= 4e9) break;
            return rx_rep(p, RX_CHAR, 0, (uint32_t)k->j->num);
        case KW_PATTERN: return expand_pattern(s, k, 0, k->j->s, x->path);
        case KW_FORMAT:
            if (s->opt.format == SCHEMA_FORMAT_IGNORE) break;
            if (!k->rx) {
                k->rx = schema_format(s, k->j->s, &is_known);
                if (!is_known) {
                    k->rx = RX_ALL;
                    if (s->notes && s->notes->n < 65536)
                        buf_printf(s->notes, "%s: the format %.*s has no rule: an annotation\n",
                                   x->path, STR_ARG(k->j->s));
                }
            }
            if (k->rx == RX_ALL) break;
            return k->rx;
        default: break;
        }
    *says = 0;
    return RX_ALL;
}

/* The expression of what keyword k of x lets through, for scalars and strings; *says = 0 when it says nothing about the type. */
uint32_t expand_text(struct expand *e, const struct sch *x, struct sch_kw *k, int *says)
{
    int before = e->s->failed;
    uint32_t r = text_of(e, x, k, says);
    if (!before && e->s->failed) e->s->fail_path = x->path, e->s->fail_kw = (int)k->kw;
    return r;
}

/* The branch's texts are also in r, or (negative) not in it. 0 when none is left for certain. */
int expand_narrow(struct expand *e, uint32_t r, int negative)
{
    struct schema *s = e->s;
    if (e->type == T_NUMBER && e->node == s->num_any && !(negative && r == RX_EMPTY))
        e->node = s->num_plain;
    if (negative)
        e->node = rx_diff(s->rx, e->node, r);
    else
        e->node = e->node == s->num_plain ? r : rx_and(s->rx, e->node, r);
    return e->node != RX_EMPTY;
}

uint32_t expand_strings(struct schema *s, uint32_t lit)
{
    uint32_t v = schema_intern(s, (uint32_t[]){lit}, 1);
    if (s->failed) return RX_EMPTY;
    if (!s->val[v].built) schema_build(s, v);
    return s->failed ? RX_EMPTY : s->val[v].string;
}
