/* SPDX-License-Identifier: Apache-2.0
 *
 * text/schema_negate.c: "not": how a keyword can fail for a type, one way after the other. A schema fails where one of its keywords
 * does; one way is taken at once, several are a choice. An array or object differs from a constant by its length, by a name, or in one part. */
#include "text/schema_expand.h"

/* How many ways there are for keyword k of x to fail for this type. */
size_t expand_ways(struct expand *e, const struct sch *x, const struct sch_kw *k)
{
    size_t n = k->nsub;
    int list;
    switch (k->kw) {
    case KW_TYPE: return expand_type_in(k->j, e->type) == 1 ? 0 : 1;
    case KW_CONST:
    case KW_ENUM:
    case KW_REF:
    case KW_DYNAMIC_REF:
    case KW_RECURSIVE_REF:
    case KW_ANY_OF:
    case KW_NOT: return 1;
    case KW_ALL_OF: return n;
    case KW_ONE_OF: return 1 + n * (n - 1) / 2;
    case KW_IF: return (size_t) !!sch_get(x, KW_THEN) + (size_t) !!sch_get(x, KW_ELSE);
    default: break;
    }
    if (e->type == T_ARRAY) switch (k->kw) {
        case KW_ITEMS: return k->j->kind == JSON_ARRAY ? (sch_get(x, KW_PREFIX_ITEMS) ? 0 : n) : 1;
        case KW_PREFIX_ITEMS: return n;
        case KW_ADDITIONAL_ITEMS:
            list = !sch_get(x, KW_PREFIX_ITEMS) && sch_get(x, KW_ITEMS) &&
                   sch_get(x, KW_ITEMS)->j->kind == JSON_ARRAY;
            return list ? 1 : 0;
        case KW_CONTAINS: return 2;
        case KW_MIN_ITEMS:
        case KW_MAX_ITEMS:
        case KW_UNEVALUATED_ITEMS: return 1;
        case KW_UNIQUE_ITEMS: return k->j->boolean ? 1 : 0;
        default: return 0;
        }
    if (e->type == T_OBJECT) switch (k->kw) {
        case KW_PROPERTIES:
        case KW_PATTERN_PROPERTIES: return n;
        case KW_REQUIRED:
        case KW_DEPENDENT_SCHEMAS:
        case KW_DEPENDENCIES: return k->j->n;
        case KW_DEPENDENT_REQUIRED: return k->j->n;
        case KW_ADDITIONAL_PROPERTIES:
        case KW_PROPERTY_NAMES:
        case KW_MIN_PROPERTIES:
        case KW_MAX_PROPERTIES:
        case KW_UNEVALUATED_PROPERTIES: return 1;
        default: return 0;
        }
    int says;
    struct sch_kw copy = *k;
    expand_text(e, x, &copy, &says);
    return says ? 1 : 0;
}

const struct json *expand_nth(const struct json *j, size_t i)
{
    const struct json *c = j->child;
    while (c && i--) c = c->next;
    return c;
}

static int fail_array(struct expand *e, const struct sch *x, const struct sch_kw *k, size_t way)
{
    struct leaf *l;
    const struct sch_kw *more;
    uint64_t lo, hi;
    switch (k->kw) {
    case KW_PREFIX_ITEMS:
    case KW_ITEMS:
    case KW_ADDITIONAL_ITEMS:
        if (k->kw == KW_PREFIX_ITEMS || (k->kw == KW_ITEMS && k->j->kind == JSON_ARRAY)) {
            expand_leaf(e, A_MIN)->n = way + 1;
            l = expand_leaf(e, A_PREFIX);
            l->from = way;
            l->lit = k->sub[way] << 1 | 1;
            return 1;
        }
        more = sch_get(x, k->kw == KW_ITEMS ? KW_PREFIX_ITEMS : KW_ITEMS);
        l = expand_leaf(e, A_CONTAINS);
        l->from = more ? more->nsub : 0;
        l->lit = k->sub[0] << 1 | 1;
        l->n = 1;
        l->m = UINT64_MAX;
        return 1;
    case KW_CONTAINS:
        lo = (more = sch_get(x, KW_MIN_CONTAINS)) ? (uint64_t)more->j->num : 1;
        hi = (more = sch_get(x, KW_MAX_CONTAINS)) ? (uint64_t)more->j->num : UINT64_MAX;
        if (way == 0 ? lo == 0 : hi == UINT64_MAX) return 0;
        l = expand_leaf(e, A_CONTAINS);
        l->lit = k->sub[0] << 1;
        l->n = way == 0 ? 0 : hi + 1;
        l->m = way == 0 ? lo - 1 : UINT64_MAX;
        return 1;
    case KW_MIN_ITEMS:
        if (k->j->num < 1) return 0;
        expand_leaf(e, A_MAX)->n = (uint64_t)k->j->num - 1;
        return 1;
    case KW_MAX_ITEMS: expand_leaf(e, A_MIN)->n = (uint64_t)k->j->num + 1; return 1;
    default:
        if (!e->probe)
            schema_refuse(e->s, x->path, k->kw, "the negation of %s is not supported",
                        schema_kw_name[k->kw]);
        return e->probe;
    }
}

static int fail_object(struct expand *e, uint32_t id, struct sch_kw *k, size_t way)
{
    struct schema *s = e->s;
    const struct sch *x = &s->sch[id];
    const struct json *member = expand_nth(k->j, way);
    struct leaf *l;
    uint32_t r;
    switch (k->kw) {
    case KW_PROPERTIES:
        expand_leaf(e, O_REQUIRED)->name = member->key;
        l = expand_leaf(e, O_NAME);
        l->name = member->key;
        l->lit = k->sub[way] << 1 | 1;
        return 1;
    case KW_PATTERN_PROPERTIES:
        r = expand_pattern(s, k, (uint32_t)way, member->key, x->path);
        l = expand_leaf(e, O_SOME_PATTERN);
        l->rx = r;
        l->lit = k->sub[way] << 1 | 1;
        return 1;
    case KW_ADDITIONAL_PROPERTIES:
        if (s->sch[k->sub[0]].kind == SCH_TRUE) return 0;
        l = expand_leaf(e, O_SOME_REST);
        l->x = id;
        l->lit = k->sub[0] << 1 | 1;
        return 1;
    case KW_PROPERTY_NAMES:
        r = expand_strings(s, k->sub[0] << 1 | 1);
        expand_leaf(e, O_SOME_KEY)->rx = r;
        return r != RX_EMPTY;
    case KW_REQUIRED: expand_leaf(e, O_FORBIDDEN)->name = member->s; return 1;
    case KW_MIN_PROPERTIES:
        if (k->j->num < 1) return 0;
        expand_leaf(e, O_MAX)->n = (uint64_t)k->j->num - 1;
        return 1;
    case KW_MAX_PROPERTIES: expand_leaf(e, O_MIN)->n = (uint64_t)k->j->num + 1; return 1;
    case KW_DEPENDENT_SCHEMAS:
    case KW_DEPENDENCIES:
    case KW_DEPENDENT_REQUIRED:
        expand_leaf(e, O_REQUIRED)->name = member->key;
        if (member->kind ==
            JSON_ARRAY) { /* one of the names is missing: a choice again, bound to its place */
            if (member->n == 0) return 0;
            if (member->n == 1) {
                expand_leaf(e, O_FORBIDDEN)->name = member->child->s;
                return 1;
            }
            expand_choice(e, C_NOT_CONST, id, (uint32_t)(k - x->kw) | (uint32_t)way << 8,
                          UINT32_MAX);
            return 1;
        }
        return expand_lit(e, k->sub[way] << 1 | 1, UINT32_MAX);
    default:
        if (!e->probe)
            schema_refuse(s, x->path, k->kw, "the negation of %s is not supported",
                        schema_kw_name[k->kw]);
        return e->probe;
    }
}

/* Lets keyword k of schema id fail in the given way; 0 when it cannot. */
int expand_fail(struct expand *e, uint32_t id, struct sch_kw *k, size_t way)
{
    struct schema *s = e->s;
    const struct sch *x = &s->sch[id];
    const struct sch_kw *branch;
    int says;
    switch (k->kw) {
    case KW_TYPE: return expand_narrow(e, s->num_int, 1);
    case KW_CONST:
    case KW_ENUM:
        if (!structural(e->type)) return expand_narrow(e, expand_text(e, x, k, &says), 1);
        if (k->kw == KW_CONST) return expand_unlike(e, k->j);
        for (const struct json *c = k->j->child; c; c = c->next)
            if (!expand_unlike(e, c)) return 0;
        return 1;
    case KW_REF:
    case KW_DYNAMIC_REF:
    case KW_RECURSIVE_REF:
    case KW_ALL_OF: return expand_lit(e, k->sub[way] << 1 | 1, UINT32_MAX);
    case KW_NOT: return expand_lit(e, k->sub[0] << 1, UINT32_MAX);
    case KW_ANY_OF:
        for (uint32_t i = 0; i < k->nsub; i++)
            if (!expand_lit(e, k->sub[i] << 1 | 1, UINT32_MAX)) return 0;
        return 1;
    case KW_ONE_OF:
        for (uint32_t i = 0; way == 0 && i < k->nsub; i++)
            if (!expand_lit(e, k->sub[i] << 1 | 1, UINT32_MAX)) return 0;
        for (uint32_t i = 0; way > 0 && i < k->nsub; i++) /* the way-th pair: both hold */
            for (uint32_t n = i + 1; n < k->nsub; n++)
                if (--way == 0)
                    return expand_lit(e, k->sub[i] << 1, UINT32_MAX) &&
                           expand_lit(e, k->sub[n] << 1, UINT32_MAX);
        return 1;
    case KW_IF:
        branch = sch_get(x, KW_THEN);
        if (!branch || way == 1) branch = sch_get(x, KW_ELSE);
        return expand_lit(e, k->sub[0] << 1 | (branch->kw == KW_ELSE), UINT32_MAX) &&
               expand_lit(e, branch->sub[0] << 1 | 1, UINT32_MAX);
    default: break;
    }
    if (e->type == T_ARRAY) return fail_array(e, x, k, way);
    if (e->type == T_OBJECT) return fail_object(e, id, k, way);
    return expand_narrow(e, expand_text(e, x, k, &says), 1);
}

int expand_unlike(struct expand *e, const struct json *j)
{
    if (expand_type(j) != e->type) return 1;
    if (!structural(e->type)) return expand_narrow(e, expand_const(e, j), 1);
    uint32_t x = sch_const(e->s, j);
    if (x == UINT32_MAX) return 0;
    expand_choice(e, C_NOT_CONST, x, UINT32_MAX, UINT32_MAX);
    return 1;
}

/* Not schema id: done at once when there is one way at most, else a choice. */
int expand_negation(struct expand *e, uint32_t id)
{
    struct schema *s = e->s;
    size_t n = 0;
    struct sch_kw *only = NULL;
    for (uint32_t i = 0; i < s->sch[id].nkw && !s->failed; i++) {
        struct sch_kw *k = &s->sch[id].kw[i];
        if (k->kw == KW_TYPE && !expand_type_in(k->j, e->type))
            return 1; /* the type alone makes it fail */
        if ((k->kw == KW_CONST && expand_type(k->j) != e->type)) return 1;
        if (!k->rx && (k->kw == KW_PATTERN || k->kw == KW_FORMAT || k->kw == KW_MINIMUM ||
                       k->kw == KW_MAXIMUM || k->kw == KW_EXCLUSIVE_MINIMUM ||
                       k->kw == KW_EXCLUSIVE_MAXIMUM || k->kw == KW_MULTIPLE_OF)) {
            int says;
            expand_text(e, &s->sch[id], k, &says); /* once, so that it is remembered */
        }
        size_t ways = expand_ways(e, &s->sch[id], k);
        if (ways) only = k;
        n += ways;
    }
    if (n == 0) return 0;
    if (n == 1) return expand_fail(e, id, only, 0);
    expand_choice(e, C_NOT, id, 0, UINT32_MAX);
    return 1;
}

/* The ways in which an array or object is unlike j: shorter, longer, another part. */
int expand_unlike_part(struct expand *e, const struct choice *c, size_t i)
{
    if (c->kw != UINT32_MAX) { /* of several names one is missing (fail_object) */
        const struct json *list = expand_nth(e->s->sch[c->x].kw[c->kw & 255].j, c->kw >> 8);
        if (i >= list->n) return -1;
        expand_leaf(e, O_FORBIDDEN)->name = expand_nth(list, i)->s;
        return 1;
    }
    const struct json *j = e->s->sch[c->x].j;
    int array = e->type == T_ARRAY;
    if (i == 0) {
        expand_leaf(e, array ? A_MIN : O_MIN)->n = j->n + 1;
        return 1;
    }
    if (i == 1 && array) {
        if (j->n == 0) return 0;
        expand_leaf(e, A_MAX)->n = j->n - 1;
        return 1;
    }
    size_t at = array ? i - 2 : (i - 1) / 2;
    if (at >= j->n) return -1;
    const struct json *part = expand_nth(j, at);
    struct leaf *l;
    if (array) {
        expand_leaf(e, A_MIN)->n = at + 1;
        l = expand_leaf(e, A_PREFIX);
        l->from = at;
    } else {
        if (i & 1) {
            expand_leaf(e, O_FORBIDDEN)->name = part->key;
            return 1;
        }
        expand_leaf(e, O_REQUIRED)->name = part->key;
        l = expand_leaf(e, O_NAME);
        l->name = part->key;
    }
    uint32_t lit = sch_const(e->s, part) << 1 | 1;
    e->leaf[e->nleaf - 1].lit = lit;
    return 1;
}
