/* SPDX-License-Identifier: Apache-2.0
 *
 * text/schema_judge.c: whether a whole document is valid by a schema, keyword by keyword as the specification tells it.
 *
 * The machine of text/grammar.h says what may come next, and for that must know of every keyword in advance; this looks at a document that is
 * there, and so knows all keywords, those too that the machine refuses: annotations, dynamic scopes, any number of contains. Used when parts of a
 * schema were left out (schema_partial.c). Three answers: valid, not valid, and not decided, which only what is elsewhere ($ref that leads out
 * of the text) and patterns that text/rx.h does not read can bring about; logic is Kleene's. Depth and steps are bounded. */
#include "base/mem.h"
#include "text/schema_expand.h"

enum { NO, MAYBE, YES };
enum { SEEN = 1, MAY_BE_SEEN = 2 };
enum { DEPTH_MAX = 300, SCOPE_MAX = 300, STEPS_MAX = 4000000 };

struct judge {
    struct schema *s;
    struct arena a;
    uint32_t scope[SCOPE_MAX]; /* resources, the outermost first */
    size_t nscope;
    int depth;
    long steps;
    int sure;         /* the first NO was seen outside of alternatives */
    const char *path; /* of the first thing that is wrong, or not decided */
    const char *what;
    int quiet; /* below a choice: what fails there need not fail all */
};

static int eval(struct judge *g, uint32_t id, const struct json *v, uint8_t *seen);

static int both(int a, int b) { return a < b ? a : b; }
static int either(int a, int b) { return a > b ? a : b; }

static int blame(struct judge *g, const struct sch *x, enum schema_kw kw, int result)
{
    if (result != YES && !g->quiet && (!g->what || (result == NO && !g->sure))) {
        g->path = x->path;
        g->what = schema_kw_name[kw];
        g->sure = result == NO;
    }
    return result;
}

/* ---- values ---- */

/* A number's text without exponent. */
static int plain(struct judge *g, const struct json *v, struct buf *out)
{
    int rc = schema_plain(g->s, v, out);
    g->s->failed = 0;
    return rc == 0;
}

static int same_number(struct judge *g, const struct json *a, const struct json *b)
{
    struct buf x = {0}, y = {0};
    int r = plain(g, a, &x) && plain(g, b, &y) ? (str_eq(buf_view(&x), buf_view(&y)) ? YES : NO) : MAYBE;
    buf_done(&x);
    buf_done(&y);
    return r;
}

static const struct json *member(const struct json *v, struct str key)
{
    const struct json *hit = NULL;
    for (const struct json *c = v->child; c; c = c->next)
        if (str_eq(c->key, key)) hit = c;
    return hit;
}

/* The parser has bounded the depth. */
static int same(struct judge *g, const struct json *a, const struct json *b)
{
    int r = YES;
    if (--g->steps < 0) return MAYBE;
    if (a->kind != b->kind) return NO;
    switch (a->kind) {
    case JSON_NULL: return YES;
    case JSON_BOOL: return a->boolean == b->boolean ? YES : NO;
    case JSON_NUMBER: return same_number(g, a, b);
    case JSON_STRING: return str_eq(a->s, b->s) ? YES : NO;
    default: break;
    }
    if (a->n != b->n) return NO;
    const struct json *d = b->child;
    for (const struct json *c = a->child; c && r; c = c->next, d = d->next) {
        const struct json *other = a->kind == JSON_ARRAY ? d : member(b, c->key);
        r = other ? both(r, same(g, c, other)) : NO;
    }
    return r;
}

static int unique(struct judge *g, const struct json *v)
{
    int r = YES;
    for (const struct json *c = v->child; c && r; c = c->next)
        for (const struct json *d = c->next; d && r; d = d->next) r = both(r, YES - same(g, c, d));
    return r;
}

/* What keyword k says about a text, by the expression that the machine has for it. */
static int scalar(struct judge *g, const struct sch *x, struct sch_kw *k, const struct json *v)
{
    struct expand e = {.s = g->s, .type = expand_type(v)};
    struct buf t = {0};
    int says = 0, r = YES;
    uint32_t rx = expand_text(&e, x, k, &says);
    if (g->s->failed) {
        g->s->failed = 0;
        return MAYBE;
    }
    if (!says) return YES;
    if (v->kind == JSON_NUMBER)
        r = plain(g, v, &t) ? YES : MAYBE;
    else
        buf_str(&t, v->s);
    if (r) r = both(r, rx_matches(g->s->rx, rx, buf_view(&t)) ? YES : NO);
    buf_done(&t);
    return r;
}

static int has_pattern(struct judge *g, const struct sch *x, struct sch_kw *k, uint32_t i, struct str pattern,
                       struct str key)
{
    uint32_t rx = expand_pattern(g->s, k, i, pattern, x->path);
    if (g->s->failed) return g->s->failed = 0, MAYBE;
    return rx_matches(g->s->rx, rx, key) ? YES : NO;
}

/* ---- objects ---- */

static int names(const struct json *v, const struct json *list)
{
    for (const struct json *c = list->child; c; c = c->next)
        if (!member(v, c->s)) return NO;
    return YES;
}

static int dependent(struct judge *g, struct sch_kw *k, const struct json *v, uint8_t *seen)
{
    int r = YES;
    uint32_t i = 0;
    for (const struct json *c = k->j->child; c && r; c = c->next, i++) {
        if (!member(v, c->key)) continue;
        r = both(r, c->kind == JSON_ARRAY ? names(v, c) : eval(g, k->sub[i], v, seen));
    }
    return r;
}

static int properties(struct judge *g, const struct sch_kw *k, const struct json *v, uint8_t *seen)
{
    int r = YES;
    uint32_t i = 0;
    for (const struct json *p = k->j->child; p; p = p->next, i++) {
        size_t n = 0;
        for (const struct json *c = v->child; c && r; c = c->next, n++)
            if (str_eq(c->key, p->key)) {
                r = both(r, eval(g, k->sub[i], c, NULL));
                seen[n] = SEEN;
            }
    }
    return r;
}

static int pattern_properties(struct judge *g, const struct sch *x, struct sch_kw *k, const struct json *v,
                              uint8_t *seen)
{
    int r = YES;
    uint32_t i = 0;
    for (const struct json *p = k->j->child; p; p = p->next, i++) {
        size_t n = 0;
        for (const struct json *c = v->child; c && r; c = c->next, n++) {
            int has = has_pattern(g, x, k, i, p->key, c->key);
            if (has == NO) continue;
            r = both(r, either(eval(g, k->sub[i], c, NULL), YES - has));
            seen[n] = SEEN;
        }
    }
    return r;
}

/* Whether properties or patternProperties of x name the key. */
static int is_named(struct judge *g, const struct sch *x, struct str key)
{
    const struct sch_kw *p = sch_get(x, KW_PROPERTIES), *q = sch_get(x, KW_PATTERN_PROPERTIES);
    int r = p && member(p->j, key) ? YES : NO;
    uint32_t i = 0;
    for (const struct json *c = q ? q->j->child : NULL; c && r < YES; c = c->next, i++)
        r = either(r, has_pattern(g, x, (struct sch_kw *)(uintptr_t)q, i, c->key, key));
    return r;
}

static int object(struct judge *g, const struct sch *x, struct sch_kw *k, const struct json *v, uint8_t *seen)
{
    int r = YES;
    size_t n = 0;
    switch (k->kw) {
    case KW_PROPERTIES: return properties(g, k, v, seen);
    case KW_PATTERN_PROPERTIES: return pattern_properties(g, x, k, v, seen);
    case KW_ADDITIONAL_PROPERTIES:
        for (const struct json *c = v->child; c && r; c = c->next, n++) {
            int named = is_named(g, x, c->key);
            if (named == YES) continue;
            r = both(r, either(eval(g, k->sub[0], c, NULL), named));
            seen[n] = SEEN;
        }
        return r;
    case KW_PROPERTY_NAMES:
        for (const struct json *c = v->child; c && r; c = c->next) {
            struct json key = {.kind = JSON_STRING, .s = c->key};
            r = both(r, eval(g, k->sub[0], &key, NULL));
        }
        return r;
    case KW_REQUIRED: return names(v, k->j);
    case KW_MIN_PROPERTIES: return (double)v->n >= k->j->num ? YES : NO;
    case KW_MAX_PROPERTIES: return (double)v->n <= k->j->num ? YES : NO;
    case KW_DEPENDENCIES:
    case KW_DEPENDENT_REQUIRED:
    case KW_DEPENDENT_SCHEMAS: return dependent(g, k, v, seen);
    case KW_UNEVALUATED_PROPERTIES:
        for (const struct json *c = v->child; c && r; c = c->next, n++)
            if (!(seen[n] & SEEN))
                r = both(r, either(eval(g, k->sub[0], c, NULL), seen[n] ? MAYBE : NO)), seen[n] = SEEN;
        return r;
    default: return YES;
    }
}

/* ---- arrays ---- */

static int contains(struct judge *g, const struct sch *x, const struct sch_kw *k, const struct json *v, uint8_t *seen)
{
    const struct sch_kw *lo = sch_get(x, KW_MIN_CONTAINS), *hi = sch_get(x, KW_MAX_CONTAINS);
    double yes = 0, maybe = 0, least = lo ? lo->j->num : 1;
    size_t n = 0;
    for (const struct json *c = v->child; c; c = c->next, n++) {
        int r = eval(g, k->sub[0], c, NULL);
        yes += r == YES;
        maybe += r == MAYBE;
        if (r == YES && x->draft >= 2020) seen[n] = SEEN;
    }
    if (yes + maybe < least || (hi && yes > hi->j->num)) return NO;
    return yes < least || (hi && yes + maybe > hi->j->num) ? MAYBE : YES;
}

static int items(struct judge *g, const struct sch_kw *k, const struct json *v, size_t from, uint8_t *seen)
{
    int r = YES;
    size_t n = 0;
    for (const struct json *c = v->child; c && r; c = c->next, n++) {
        int before = k->kw == KW_UNEVALUATED_ITEMS ? seen[n] : 0;
        if (n < from || (before & SEEN)) continue;
        r = both(r, either(eval(g, k->sub[0], c, NULL), before ? MAYBE : NO));
        seen[n] = SEEN;
    }
    return r;
}

static int array(struct judge *g, const struct sch *x, struct sch_kw *k, const struct json *v, uint8_t *seen)
{
    const struct sch_kw *prefix = sch_get(x, KW_PREFIX_ITEMS), *list = sch_get(x, KW_ITEMS);
    int r = YES;
    size_t n = 0;
    switch (k->kw) {
    case KW_PREFIX_ITEMS:
    case KW_ITEMS:
        if (k->kw == KW_ITEMS && k->j->kind != JSON_ARRAY) return items(g, k, v, prefix ? prefix->nsub : 0, seen);
        for (const struct json *c = v->child; c && r && n < k->nsub; c = c->next, n++) {
            r = both(r, eval(g, k->sub[n], c, NULL));
            seen[n] = SEEN;
        }
        return r;
    case KW_ADDITIONAL_ITEMS:
        return list && list->j->kind == JSON_ARRAY ? items(g, k, v, list->nsub, seen) : YES;
    case KW_CONTAINS: return contains(g, x, k, v, seen);
    case KW_MIN_ITEMS: return (double)v->n >= k->j->num ? YES : NO;
    case KW_MAX_ITEMS: return (double)v->n <= k->j->num ? YES : NO;
    case KW_UNIQUE_ITEMS: return k->j->boolean ? unique(g, v) : YES;
    case KW_UNEVALUATED_ITEMS: return items(g, k, v, 0, seen);
    default: return YES;
    }
}

/* ---- schemas ---- */

/* $dynamicRef and $recursiveRef: the outermost resource on the way here that has the anchor. */
static uint32_t dynamic(struct judge *g, const struct sch_kw *k)
{
    uint32_t id = k->sub[0];
    for (size_t i = 0; id != UINT32_MAX && i < g->nscope; i++) {
        uint32_t to = schema_anchored(g->s, g->scope[i], id, k);
        if (to != UINT32_MAX) return to;
    }
    return id;
}

static int choice(struct judge *g, const struct sch_kw *k, const struct json *v, uint8_t *seen)
{
    int yes = 0, maybe = 0;
    g->quiet++;
    for (uint32_t i = 0; i < k->nsub; i++) {
        int r = eval(g, k->sub[i], v, seen);
        yes += r == YES;
        maybe += r == MAYBE;
    }
    g->quiet--;
    if (k->kw == KW_ANY_OF) return yes ? YES : maybe ? MAYBE : NO;
    return yes > 1 ? NO : maybe ? MAYBE : yes ? YES : NO;
}

static int condition(struct judge *g, const struct sch *x, const struct sch_kw *k, const struct json *v, uint8_t *seen)
{
    const struct sch_kw *then = sch_get(x, KW_THEN), *or_else = sch_get(x, KW_ELSE);
    g->quiet++;
    int r = eval(g, k->sub[0], v, seen);
    g->quiet--;
    int a = then && r != NO ? eval(g, then->sub[0], v, seen) : YES;
    int b = or_else && r != YES ? eval(g, or_else->sub[0], v, seen) : YES;
    return r == YES ? a : r == NO ? b : a == b ? a : MAYBE;
}

static int keyword(struct judge *g, const struct sch *x, struct sch_kw *k, const struct json *v, uint8_t *seen)
{
    int r = YES;
    switch (k->kw) {
    case KW_TYPE:
        r = expand_type_in(k->j, expand_type(v));
        if (r == 2) {
            struct buf t = {0};
            r = !plain(g, v, &t) ? MAYBE : memchr(t.p, '.', t.n) ? NO : YES;
            buf_done(&t);
            return r;
        }
        return r ? YES : NO;
    case KW_CONST: return same(g, k->j, v);
    case KW_ENUM:
        r = NO;
        for (const struct json *c = k->j->child; c && r < YES; c = c->next) r = either(r, same(g, c, v));
        return r;
    case KW_REF: return eval(g, k->sub[0], v, seen);
    case KW_DYNAMIC_REF:
    case KW_RECURSIVE_REF: return eval(g, dynamic(g, k), v, seen);
    case KW_ALL_OF:
        for (uint32_t i = 0; i < k->nsub && r; i++) r = both(r, eval(g, k->sub[i], v, seen));
        return r;
    case KW_ANY_OF:
    case KW_ONE_OF: return choice(g, k, v, seen);
    case KW_NOT:
        g->quiet++;
        r = YES - eval(g, k->sub[0], v, NULL);
        g->quiet--;
        return r;
    case KW_IF: return condition(g, x, k, v, seen);
    default: break;
    }
    return v->kind == JSON_OBJECT  ? object(g, x, k, v, seen)
           : v->kind == JSON_ARRAY ? array(g, x, k, v, seen)
                                   : scalar(g, x, k, v);
}

static int keywords(struct judge *g, uint32_t id, const struct json *v, uint8_t *seen)
{
    int r = YES;
    for (int late = 0; late < 2; late++) /* what asks for annotations comes last */
        for (uint32_t i = 0; i < g->s->sch[id].nkw && r; i++) {
            const struct sch *x = &g->s->sch[id];
            struct sch_kw *k = &x->kw[i];
            if (late != (k->kw == KW_UNEVALUATED_ITEMS || k->kw == KW_UNEVALUATED_PROPERTIES)) continue;
            r = both(r, blame(g, x, k->kw, keyword(g, x, k, v, seen)));
        }
    return r;
}

static int unknown(const struct json *v, uint8_t *seen)
{
    for (size_t i = 0; seen && i < v->n; i++) seen[i] |= MAY_BE_SEEN;
    return MAYBE;
}

/* seen: of v's members or items those that were looked at; marked when v is valid by schema id. NULL: nobody asks. */
static int eval(struct judge *g, uint32_t id, const struct json *v, uint8_t *seen)
{
    if (id == UINT32_MAX) return unknown(v, seen);
    if (--g->steps < 0 || g->depth >= DEPTH_MAX || g->nscope >= SCOPE_MAX) return MAYBE;
    enum sch_kind kind = g->s->sch[id].kind;
    if (kind != SCH_OBJECT) return kind == SCH_FALSE ? NO : YES;
    uint8_t *own = arena_alloc(&g->a, v->n + 1);
    if (!own) return MAYBE;
    uint32_t res = g->s->sch[id].res;
    int enters = !g->nscope || g->scope[g->nscope - 1] != res;
    if (enters) g->scope[g->nscope++] = res;
    g->depth++;
    int r = keywords(g, id, v, own);
    g->depth--;
    g->nscope -= (size_t)enters;
    for (size_t i = 0; r != NO && seen && i < v->n; i++) seen[i] |= own[i];
    return r;
}

int schema_judge(struct schema *s, struct str text, struct lar_err *why)
{
    struct schema *whole = s->whole ? s->whole : s;
    struct judge g = {.s = whole, .steps = STEPS_MAX};
    uint32_t root = schema_top(whole);
    arena_init(&g.a, (size_t)64 << 20);
    const struct json *v = json_parse(&g.a, text, why);
    int r = v ? eval(&g, root, v, NULL) : NO;
    if (v && r == NO)
        lar_fail(why, LAR_EFORMAT, "%s/%s is not satisfied", g.path ? g.path : "", g.what ? g.what : "");
    if (v && r == MAYBE)
        lar_fail(why, LAR_EUNSUPPORTED, "%s/%s cannot be checked", g.path ? g.path : "", g.what ? g.what : "");
    arena_done(&g.a);
    return r == YES ? 1 : r == NO ? 0 : LAR_EUNSUPPORTED;
}
