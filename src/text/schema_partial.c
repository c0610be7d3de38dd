/* SPDX-License-Identifier: Apache-2.0
 *
 * text/schema_partial.c: a schema as far as it can be enforced: what refuses it is left out, keyword by keyword, and listed.
 *
 * The schema is opened again and again, each time without the keyword that refused it the last time, until it opens. What is left out
 * makes the answers wider (below a negation narrower) than the schema; so the whole schema is kept beside, and schema_judge.c says of a
 * complete answer whether it is valid. Nothing of this happens unless it is asked for (schema_options.partial). */
#include "base/mem.h"
#include "text/schema_impl.h"

enum { LEFT_MAX = 64, FOLLOW_MAX = 20 };

int schema_is_left(const struct schema *s, const char *path, int kw)
{
    for (size_t i = 0; i < s->nleft; i++)
        if ((s->left[i].kw == kw || s->left[i].kw < 0) && !strcmp(s->left[i].path, path)) return 1;
    return 0;
}

/* What most often is behind a refusal that names only a place, first. */
static int guess(const struct sch *x)
{
    static const enum schema_kw order[] = {KW_UNEVALUATED_PROPERTIES, KW_UNEVALUATED_ITEMS, KW_CONTAINS,
                                           KW_DEPENDENT_SCHEMAS,      KW_DEPENDENCIES,      KW_DEPENDENT_REQUIRED,
                                           KW_NOT,                    KW_IF,                KW_PROPERTY_NAMES,
                                           KW_ONE_OF,                 KW_ANY_OF,            KW_PATTERN_PROPERTIES,
                                           KW_PREFIX_ITEMS,           KW_ITEMS,             KW_ENUM,
                                           KW_ALL_OF};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (sch_get(x, order[i])) return (int)order[i];
    return -1;
}

/* The schema at fail_path, or behind its references the first one that says anything. NULL: none is there. */
static const struct sch *culprit(const struct schema *s)
{
    const struct sch *x = NULL;
    for (size_t i = 0; i < s->nsch && !x; i++)
        if (s->sch[i].kind != SCH_CONST && s->sch[i].path && !strcmp(s->sch[i].path, s->fail_path)) x = &s->sch[i];
    for (int i = 0; x && i < FOLLOW_MAX && s->fail_kw < 0 && guess(x) < 0; i++) {
        const struct sch_kw *ref = sch_get(x, KW_REF);
        if (!ref || !ref->sub || ref->sub[0] >= s->nsch) break;
        x = &s->sch[ref->sub[0]];
    }
    return x;
}

static char *copy(const char *z)
{
    size_t n = strlen(z) + 1;
    char *c = mem_alloc(n);
    if (c) memcpy(c, z, n);
    return c;
}

int schema_leave(struct schema *s, struct schema_left **left, size_t *nleft)
{
    if (s->failed != LAR_EUNSUPPORTED || !s->fail_path || *nleft == LEFT_MAX) return 0;
    const struct sch *x = culprit(s);
    if (!x) return 0;
    struct schema_left l = {.kw = s->fail_kw >= 0 ? s->fail_kw : guess(x)};
    for (size_t i = 0; i < *nleft; i++) /* left out already, and still refused: then all of that schema */
        if (!strcmp((*left)[i].path, x->path) && (*left)[i].kw == l.kw) {
            if (l.kw < 0) return 0;
            l.kw = -1;
        }
    struct schema_left *v = mem_resize(*left, (*nleft + 1) * sizeof *v);
    if (!v) return 0;
    *left = v;
    l.path = copy(x->path);
    l.why = copy(s->err.msg);
    v[(*nleft)++] = l;
    return l.path && l.why;
}

void schema_left_free(struct schema_left *left, size_t n)
{
    for (size_t i = 0; i < n; i++) mem_free(left[i].path), mem_free(left[i].why);
    mem_free(left);
}

void schema_left_out(const struct schema *s, struct buf *out)
{
    for (size_t i = 0; i < s->nleft; i++) {
        const struct schema_left *l = &s->left[i];
        const char *why = strstr(l->why, ": ");
        buf_printf(out, "%s/%s: %s\n", l->path, l->kw < 0 ? "" : schema_kw_name[l->kw], why ? why + 2 : l->why);
    }
}
