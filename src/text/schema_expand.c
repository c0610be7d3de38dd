/* SPDX-License-Identifier: Apache-2.0
 *
 * text/schema_expand.c: a value's literals into alternatives, one JSON type after the other.
 *
 * A branch is a list of literals still to look at, disjunctions that wait, and demands (leaves). Literals are taken apart first, so
 * that whatever contradicts is seen before anything is chosen; then the first disjunction is opened, option by option, each as a branch
 * of its own. A branch with nothing left is an alternative. "Not S" is a disjunction over the keywords of S that matter
 * for the type; when its other side cannot hold together with what the branch already demands (the usual case in oneOf), it is
 * dropped, so that a union of n disjoint things stays n alternatives. */
#include "text/schema_expand.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { STEPS_MAX = 60000, DEPTH_MAX = 400, ALTERNATIVES_MAX = 2000 };

static void explore(struct expand *e);

int expand_grow(struct expand *e, void *v, size_t n, size_t *cap, size_t size)
{
    void *old, *fresh;
    memcpy(&old, v, sizeof old);
    if (n < *cap) return 0;
    size_t more = *cap ? *cap * 2 : 32;
    if (!(fresh = mem_resize(old, more * size)))
        return schema_fail(e->s, LAR_ENOMEM, "", "out of memory");
    *cap = more;
    memcpy(v, &fresh, sizeof fresh);
    return 0;
}

struct leaf *expand_leaf(struct expand *e, enum leaf_kind kind)
{
    if (expand_grow(e, &e->leaf, e->nleaf, &e->cap_leaf, sizeof *e->leaf)) return &e->nowhere;
    e->leaf[e->nleaf] = (struct leaf){.kind = kind};
    return &e->leaf[e->nleaf++];
}

void expand_choice(struct expand *e, enum choice_kind kind, uint32_t x, uint32_t kw,
                   uint32_t origin)
{
    if (expand_grow(e, &e->choice, e->nchoice, &e->cap_choice, sizeof *e->choice)) return;
    e->choice[e->nchoice++] = (struct choice){kind, x, kw, origin};
}

/* Adds a literal; 0 when it contradicts one that is there. The same one twice is one, except that where annotations matter (unevaluated...)
 * each way to a schema counts for itself; a circle of references stands still. */
int expand_lit(struct expand *e, uint32_t lit, uint32_t from)
{
    for (size_t i = 0; i < e->nlit; i++) {
        if (e->lit[i].lit == (lit ^ 1)) return 0;
        if (e->lit[i].lit == lit && !e->s->uneval) return 1;
    }
    if (e->s->uneval && from != UINT32_MAX)
        for (uint32_t i = from;; i = e->lit[i].from) {
            if (e->lit[i].lit == lit) return 1;
            if (e->lit[i].from == i) break;
        }
    if (expand_grow(e, &e->lit, e->nlit, &e->cap_lit, sizeof *e->lit)) return 0;
    e->lit[e->nlit] = (struct origin){lit, from == UINT32_MAX ? (uint32_t)e->nlit : from};
    e->nlit++;
    return 1;
}

/* ---- positive schemas ---- */

static int take_const(struct expand *e, const struct json *j)
{
    struct schema *s = e->s;
    uint32_t i = 0;
    if (expand_type(j) != e->type) return 0;
    if (!structural(e->type)) return expand_narrow(e, expand_const(e, j), 0);
    for (const struct json *c = j->child; c && !s->failed; c = c->next, i++) {
        uint32_t lit = sch_const(s, c) << 1;
        struct leaf *l = expand_leaf(e, e->type == T_ARRAY ? A_PREFIX : O_NAME);
        l->lit = lit;
        l->from = i;
        l->name = c->key;
        if (e->type == T_OBJECT) expand_leaf(e, O_REQUIRED)->name = c->key;
    }
    uint64_t n = j->n;
    if (e->type == T_OBJECT) { /* two equal keys are one member */
        n = 0;
        for (const struct json *c = j->child; c; c = c->next) {
            const struct json *d = c->next;
            while (d && !str_eq(d->key, c->key)) d = d->next;
            n += !d;
        }
    }
    expand_leaf(e, e->type == T_ARRAY ? A_MIN : O_MIN)->n = n;
    expand_leaf(e, e->type == T_ARRAY ? A_MAX : O_MAX)->n = n;
    return 1;
}

static void array_keyword(struct expand *e, const struct sch *x, const struct sch_kw *k,
                          uint32_t origin)
{
    struct leaf *l;
    const struct sch_kw *prefix = sch_get(x, KW_PREFIX_ITEMS), *items = sch_get(x, KW_ITEMS), *more;
    int list = !prefix && items &&
               items->j->kind ==
                   JSON_ARRAY; /* before 2020-12 a list under items is what prefixItems is now */
    switch (k->kw) {
    case KW_PREFIX_ITEMS:
    case KW_ITEMS:
        if (k->kw == KW_PREFIX_ITEMS || list)
            for (uint32_t i = 0; i < k->nsub; i++) {
                l = expand_leaf(e, A_PREFIX);
                l->from = i;
                l->lit = k->sub[i] << 1;
            }
        else if (k->j->kind != JSON_ARRAY) {
            l = expand_leaf(e, A_ITEMS);
            l->from = prefix ? prefix->nsub : 0;
            l->lit = k->sub[0] << 1;
        }
        break;
    case KW_ADDITIONAL_ITEMS:
        if (!list) break;
        l = expand_leaf(e, A_ITEMS);
        l->from = items->nsub;
        l->lit = k->sub[0] << 1;
        break;
    case KW_CONTAINS:
        l = expand_leaf(e, A_CONTAINS);
        l->lit = k->sub[0] << 1;
        l->n = (more = sch_get(x, KW_MIN_CONTAINS)) ? (uint64_t)more->j->num : 1;
        l->m = (more = sch_get(x, KW_MAX_CONTAINS)) ? (uint64_t)more->j->num : UINT64_MAX;
        break;
    case KW_MIN_ITEMS: expand_leaf(e, A_MIN)->n = (uint64_t)k->j->num; break;
    case KW_MAX_ITEMS: expand_leaf(e, A_MAX)->n = (uint64_t)k->j->num; break;
    case KW_UNIQUE_ITEMS:
        if (k->j->boolean) expand_leaf(e, A_UNIQUE);
        break;
    case KW_UNEVALUATED_ITEMS:
        l = expand_leaf(e, A_UNEVALUATED);
        l->owner = origin;
        l->lit = k->sub[0] << 1;
        break;
    default: break;
    }
}

static void object_keyword(struct expand *e, uint32_t id, struct sch_kw *k, uint32_t origin)
{
    struct schema *s = e->s;
    struct leaf *l;
    uint32_t i = 0, r;
    switch (k->kw) {
    case KW_PROPERTIES:
        for (const struct json *c = k->j->child; c; c = c->next, i++) {
            l = expand_leaf(e, O_NAME);
            l->name = c->key;
            l->lit = k->sub[i] << 1;
        }
        break;
    case KW_PATTERN_PROPERTIES:
        for (const struct json *c = k->j->child; c; c = c->next, i++) {
            r = expand_pattern(s, k, i, c->key, s->sch[id].path);
            l = expand_leaf(e, O_PATTERN);
            l->rx = r;
            l->lit = k->sub[i] << 1;
        }
        break;
    case KW_ADDITIONAL_PROPERTIES:
        if (s->sch[k->sub[0]].kind == SCH_TRUE) break;
        l = expand_leaf(e, O_REST);
        l->x = id;
        l->lit = k->sub[0] << 1;
        break;
    case KW_PROPERTY_NAMES:
        r = expand_strings(s, k->sub[0] << 1);
        expand_leaf(e, O_KEYS)->rx = r;
        break;
    case KW_REQUIRED:
        for (const struct json *c = k->j->child; c; c = c->next)
            expand_leaf(e, O_REQUIRED)->name = c->s;
        break;
    case KW_MIN_PROPERTIES: expand_leaf(e, O_MIN)->n = (uint64_t)k->j->num; break;
    case KW_MAX_PROPERTIES: expand_leaf(e, O_MAX)->n = (uint64_t)k->j->num; break;
    case KW_DEPENDENCIES:
    case KW_DEPENDENT_REQUIRED:
    case KW_DEPENDENT_SCHEMAS:
        for (; i < k->j->n; i++)
            expand_choice(e, C_DEPENDENT, id, (uint32_t)(k - s->sch[id].kw) | i << 8, origin);
        break;
    case KW_UNEVALUATED_PROPERTIES:
        l = expand_leaf(e, O_UNEVALUATED);
        l->owner = origin;
        l->lit = k->sub[0] << 1;
        break;
    default: break;
    }
}

/* All that schema x says, as the literal number `origin`. 0 when the type or what is there contradicts. */
static int take_schema(struct expand *e, uint32_t id, uint32_t origin)
{
    struct schema *s = e->s;
    for (uint32_t i = 0; i < s->sch[id].nkw && !s->failed; i++) {
        struct sch_kw *k = &s->sch[id].kw[i];
        int is, says;
        switch (k->kw) {
        case KW_TYPE:
            if (!(is = expand_type_in(k->j, e->type))) return 0;
            if (is == 2 && !expand_narrow(e, s->num_int, 0)) return 0;
            break;
        case KW_CONST:
        case KW_ENUM:
            if (!structural(e->type)) {
                if (!expand_narrow(e, expand_text(e, &s->sch[id], k, &says), 0)) return 0;
            } else if (k->kw == KW_CONST) {
                if (!take_const(e, k->j)) return 0;
            } else
                expand_choice(e, C_ENUM, id, i, origin);
            break;
        case KW_REF:
        case KW_DYNAMIC_REF:
        case KW_RECURSIVE_REF:
        case KW_ALL_OF:
            for (uint32_t n = 0; n < k->nsub; n++)
                if (!expand_lit(e, k->sub[n] << 1, origin)) return 0;
            break;
        case KW_NOT:
            if (!e->probe && !expand_lit(e, k->sub[0] << 1 | 1, origin)) return 0;
            break;
        case KW_ANY_OF:
        case KW_ONE_OF:
            if (k->nsub == 1 && !expand_lit(e, k->sub[0] << 1, origin)) return 0;
            if (k->nsub > 1) expand_choice(e, k->kw == KW_ANY_OF ? C_ANY : C_ONE, id, i, origin);
            break;
        case KW_IF:
            if (e->probe) break;
            if (s->uneval || sch_get(&s->sch[id], KW_THEN) || sch_get(&s->sch[id], KW_ELSE))
                expand_choice(e, C_IF, id, i, origin);
            break;
        default:
            if (e->type == T_ARRAY)
                array_keyword(e, &s->sch[id], k, origin);
            else if (e->type == T_OBJECT)
                object_keyword(e, id, k, origin);
            else {
                uint32_t r = expand_text(e, &s->sch[id], k, &says);
                if (says && !expand_narrow(e, r, 0)) return 0;
            }
        }
    }
    return 1;
}

/* ---- choices ---- */

static int take_names(struct expand *e, const struct json *list)
{
    for (const struct json *c = list->child; c; c = c->next)
        expand_leaf(e, O_REQUIRED)->name = c->s;
    return 1;
}

static int take_dependent(struct expand *e, const struct choice *c, size_t i)
{
    const struct sch_kw *k = &e->s->sch[c->x].kw[c->kw & 255];
    uint32_t at = c->kw >> 8;
    const struct json *member = expand_nth(k->j, at);
    if (i > 1) return -1;
    if (i == 0) {
        expand_leaf(e, O_FORBIDDEN)->name = member->key;
        return 1;
    }
    expand_leaf(e, O_REQUIRED)->name = member->key;
    return member->kind == JSON_ARRAY ? take_names(e, member)
                                      : expand_lit(e, k->sub[at] << 1, c->origin);
}

/* The same as expand_nth for those who ask for one member after another: a long list is gone through once. */
static const struct json *nth_in_turn(struct expand *e, const struct json *list, size_t i)
{
    if (e->turn_of != list || e->turn_at + 1 != i || !e->turn)
        e->turn = expand_nth(list, i);
    else
        e->turn = e->turn->next;
    e->turn_of = list;
    e->turn_at = i;
    return e->turn;
}

/* Option i of a choice: 1 taken, 0 impossible, -1 there are no more. */
static int take_option(struct expand *e, const struct choice *c, size_t i)
{
    struct schema *s = e->s;
    struct sch *x = &s->sch[c->x];
    struct sch_kw *k =
        c->kind == C_NOT || c->kind == C_DEPENDENT || c->kind == C_NOT_CONST ? NULL : &x->kw[c->kw];
    const struct sch_kw *branch;
    switch (c->kind) {
    case C_ANY:
        if (!s->uneval || e->probe)
            return i < k->nsub ? expand_lit(e, k->sub[i] << 1, c->origin) : -1;
        /* annotations: which of them hold must be certain */
        if (k->nsub > 12)
            return schema_fail(s, LAR_EUNSUPPORTED, x->path,
                               "anyOf of more than 12 beside an unevaluated keyword"),
                   -1;
        if (i + 1 >= (size_t)1 << k->nsub) return -1;
        for (uint32_t n = 0; n < k->nsub; n++)
            if (!expand_lit(e, k->sub[n] << 1 | !((i + 1) >> n & 1), c->origin)) return 0;
        return 1;
    case C_ONE:
        if (i >= k->nsub) return -1;
        for (uint32_t n = 0; n < k->nsub; n++)
            if ((n == i || !e->probe) && !expand_lit(e, k->sub[n] << 1 | (n != i), c->origin))
                return 0;
        return 1;
    case C_IF:
        if (i > 1) return -1;
        branch = sch_get(x, i == 0 ? KW_THEN : KW_ELSE);
        return expand_lit(e, k->sub[0] << 1 | (uint32_t)i, c->origin) &&
               (!branch || expand_lit(e, branch->sub[0] << 1, c->origin));
    case C_DEPENDENT: return take_dependent(e, c, i);
    case C_ENUM: {
        const struct json *j = nth_in_turn(e, k->j, i);
        return j ? take_const(e, j) : -1;
    }
    case C_NOT_CONST: return expand_unlike_part(e, c, i);
    case C_NOT:
        for (uint32_t n = 0; n < x->nkw; n++) {
            size_t ways = expand_ways(e, x, &x->kw[n]);
            if (i < ways) return expand_fail(e, c->x, &x->kw[n], i);
            i -= ways;
        }
        return -1;
    }
    return -1;
}

/* "Not x" is certain already when x cannot hold beside what the branch demands. */
static int needless(struct expand *e, const struct choice *c)
{
    if (c->kind != C_NOT || e->s->building > 6 || (e->quota && *e->quota < 0)) return 0;
    uint32_t small[64];
    size_t n = 0;
    for (size_t i = 0; i < e->nlit && n < 63; i++)
        if (!(e->lit[i].lit & 1)) small[n++] = e->lit[i].lit;
    small[n++] = c->x << 1;
    int quota = 400;
    return !expand_maybe(e->s, small, n, e->type, e->quota ? e->quota : &quota);
}

/* ---- branches ---- */

static void emit(struct expand *e)
{
    if (e->type == T_ARRAY)
        emit_array(e);
    else if (e->type == T_OBJECT)
        emit_object(e);
    else if (e->probe)
        e->found |= rx_alive(e->s->rx, e->node);
    else if (rx_alive(e->s->rx, e->node))
        e->sum = rx_alt(e->s->rx, e->sum, e->node);
    if (e->narr + e->nobj > ALTERNATIVES_MAX)
        schema_fail(e->s, LAR_EUNSUPPORTED, e->s->sch[e->lit[0].lit >> 1].path,
                    "more than %d alternatives for one value", ALTERNATIVES_MAX);
}

static int settle_literals(struct expand *e)
{
    struct schema *s = e->s;
    for (; e->at < e->nlit && !s->failed; e->at++) {
        uint32_t lit = e->lit[e->at].lit, id = lit >> 1;
        enum sch_kind kind = s->sch[id].kind;
        int ok;
        if (kind == SCH_TRUE || kind == SCH_FALSE)
            ok = (kind == SCH_TRUE) != (lit & 1);
        else if (kind == SCH_CONST)
            ok = lit & 1 ? expand_unlike(e, s->sch[id].j) : take_const(e, s->sch[id].j);
        else
            ok = lit & 1 ? expand_negation(e, id) : take_schema(e, id, (uint32_t)e->at);
        if (!ok) return 0;
    }
    return !s->failed;
}

static void explore(struct expand *e)
{
    if (e->found || e->s->failed) return;
    if (e->quota && --*e->quota < 0) { /* a probe that takes too long: perhaps */
        e->found |= e->probe;
        if (e->probe) return;
    }
    if (++e->steps > STEPS_MAX || e->depth > DEPTH_MAX) {
        schema_fail(e->s, LAR_EUNSUPPORTED, e->s->sch[e->lit[0].lit >> 1].path,
                    "its alternatives are too many to be told apart");
        return;
    }
    if (!settle_literals(e)) return;
    if (e->nchoice == 0) {
        emit(e);
        return;
    }
    struct choice c = e->choice[0];
    for (size_t i = 1; i < e->nchoice && c.kind == C_NOT;
         i++) /* negations last: the rest may settle them */
        if (e->choice[i].kind != C_NOT) {
            c = e->choice[i];
            e->choice[i] = e->choice[0];
            e->choice[0] = c;
        }
    size_t nchoice = --e->nchoice, nlit = e->nlit, nleaf = e->nleaf, at = e->at;
    uint32_t node = e->node;
    struct choice *kept = nchoice ? mem_alloc(nchoice * sizeof *kept) : NULL;
    if (nchoice && !kept) {
        schema_fail(e->s, LAR_ENOMEM, "", "out of memory");
        return;
    }
    if (nchoice) memcpy(kept, e->choice + 1, nchoice * sizeof *kept);
    int skip = needless(e, &c);
    for (size_t i = 0; !e->s->failed && !e->found; i++) {
        e->nlit = nlit;
        e->nleaf = nleaf;
        e->at = at;
        e->node = node;
        e->nchoice = nchoice;
        if (nchoice) memcpy(e->choice, kept, nchoice * sizeof *kept);
        int r = skip ? 1 : take_option(e, &c, i);
        if (r < 0) break;
        e->depth++;
        if (r) explore(e);
        e->depth--;
        if (skip) break;
    }
    mem_free(kept);
}

static void start(struct expand *e, struct schema *s, int type, const uint32_t *lit, size_t n)
{
    static const char *const text[] = {"null", "true", "false"};
    *e = (struct expand){.s = s, .type = type, .node = RX_ALL};
    if (type == T_NULL) e->node = rx_text(s->rx, str_of(text[0]));
    if (type == T_BOOL)
        e->node = rx_alt(s->rx, rx_text(s->rx, str_of(text[1])), rx_text(s->rx, str_of(text[2])));
    if (type == T_NUMBER) e->node = s->num_any;
    int ok = 1;
    for (size_t i = 0; i < n && ok; i++) ok = expand_lit(e, lit[i], UINT32_MAX);
    if (!ok) e->nlit = 0, e->steps = UINT32_MAX;
}

static void done(struct expand *e)
{
    mem_free(e->lit);
    mem_free(e->choice);
    mem_free(e->leaf);
    mem_free(e->arr);
    mem_free(e->obj);
}

int expand_maybe(struct schema *s, const uint32_t *lit, size_t n, int type, int *quota)
{
    struct expand e;
    s->building++;
    start(&e, s, type, lit, n);
    e.probe = 1;
    e.quota = quota;
    if (e.steps != UINT32_MAX) explore(&e);
    s->building--;
    int r = e.found || s->failed;
    done(&e);
    return r;
}

void schema_build(struct schema *s, uint32_t v)
{
    if (s->failed || s->val[v].built) return;
    uint32_t *lit = s->val[v].lit, nlit = s->val[v].nlit;
    s->val[v].built = 1;
    s->building++;
    if (s->building > 100) schema_fail(s, LAR_ELIMIT, "", "schemas that need one another too deep");
    for (int type = 0; type < T_COUNT && !s->failed; type++) {
        struct expand e;
        start(&e, s, type, lit, nlit);
        if (e.steps != UINT32_MAX) explore(&e);
        if (type == T_STRING)
            s->val[v].string = e.sum;
        else if (!structural(type))
            s->val[v].scalar = rx_alt(s->rx, s->val[v].scalar, e.sum);
        if (e.narr && !s->failed) {
            s->val[v].arr = arena_array(&s->a, e.narr, sizeof *e.arr);
            s->val[v].narr = s->val[v].arr ? (uint32_t)e.narr : 0;
            if (s->val[v].arr) memcpy(s->val[v].arr, e.arr, e.narr * sizeof *e.arr);
        }
        if (e.nobj && !s->failed) {
            s->val[v].obj = arena_array(&s->a, e.nobj, sizeof *e.obj);
            s->val[v].nobj = s->val[v].obj ? (uint32_t)e.nobj : 0;
            if (s->val[v].obj) memcpy(s->val[v].obj, e.obj, e.nobj * sizeof *e.obj);
        }
        if ((e.narr && !s->val[v].narr) || (e.nobj && !s->val[v].nobj))
            schema_fail(s, LAR_ELIMIT, "", "the schema needs more memory than its limit");
        done(&e);
    }
    s->building--;
}
