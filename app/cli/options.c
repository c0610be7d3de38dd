/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/options.c: the command line against a table. Forms: --name value, --name=value, -x value, -xvalue,
 * flags without a value; options and arguments in any order. An unknown option is an error that names the
 * nearest known one, never a guess. */
#include "cli/options.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"

/* ---- likeness of names --------------------------------------------------------------------------------- */

enum { NAME_MAX_LEN = 32 };

static int min3(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

/* Edits between two names (insert, drop, change, swap neighbours); names beyond the limit are far. */
static int distance(const char *a, const char *b)
{
    int d[NAME_MAX_LEN + 1][NAME_MAX_LEN + 1];
    size_t na = strlen(a), nb = strlen(b);
    if (na > NAME_MAX_LEN || nb > NAME_MAX_LEN) return NAME_MAX_LEN;
    for (size_t i = 0; i <= na; i++) d[i][0] = (int)i;
    for (size_t j = 0; j <= nb; j++) d[0][j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        for (size_t j = 1; j <= nb; j++) {
            int same = a[i - 1] == b[j - 1];
            d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + !same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i][j] > d[i - 2][j - 2] + 1)
                d[i][j] = d[i - 2][j - 2] + 1;
        }
    }
    return d[na][nb];
}

/* Keeps name when it is nearer to word than what was best; a name that word begins counts as near. */
static void nearer(const char *word, const char *name, const char **best, int *score)
{
    size_t n = strlen(word);
    int d = distance(word, name), enough = (int)(strlen(name) + 2) / 3;
    if (n >= 3 && strncmp(word, name, n) == 0) d = 1;
    if (d <= enough && d < *score) {
        *score = d;
        *best = name;
    }
}

const char *options_nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    int score = NAME_MAX_LEN;
    for (; *names; names++) nearer(word, *names, &best, &score);
    return best;
}

static void nearest_option(const struct opt *o, const char *word, const char **best, int *score)
{
    for (; o->kind != OPT_END; o++) {
        if (o->kind == OPT_GROUP)
            nearest_option(o->group, word, best, score); /* groups hold no groups */
        else if (o->kind != OPT_HEAD)
            nearer(word, o->name, best, score);
    }
}

const char *verb_nearest(const char *name)
{
    const char *best = NULL;
    int score = NAME_MAX_LEN;
    for (int i = 0; verbs[i]; i++) nearer(name, verbs[i]->name, &best, &score);
    return best;
}

const struct verb *verb_find(const char *name)
{
    for (int i = 0; verbs[i]; i++)
        if (strcmp(verbs[i]->name, name) == 0) return verbs[i];
    return NULL;
}

/* ---- finding --------------------------------------------------------------------------------------------- */

static int same_name(const char *name, const char *asked, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (name[i] != (asked[i] == '_' ? '-' : asked[i])) return 0;
    return name[n] == 0;
}

/* By name (n bytes) or, when name is NULL, by letter. */
static const struct opt *find(const struct opt *o, const char *name, size_t n, char letter,
                              void **base)
{
    for (; o->kind != OPT_END; o++) {
        if (o->kind == OPT_GROUP) {
            void *inner = (char *)*base + o->at;
            const struct opt *g = find(o->group, name, n, letter, &inner);
            if (g) return *base = inner, g;
        } else if (o->kind != OPT_HEAD &&
                   (name ? same_name(o->name, name, n) : o->letter == letter)) {
            return o;
        }
    }
    return NULL;
}

const struct opt *options_find(const struct opt *table, const char *name, void **base)
{
    return find(table, name, strlen(name), 0, base);
}

/* ---- values ---------------------------------------------------------------------------------------------- */

static int whole_number(const char *shown, const char *text, int64_t *v, struct lar_err *err)
{
    char *end;
    errno = 0;
    long long x = strtoll(text, &end, 10);
    if (end == text || *end || text[0] == ' ')
        return lar_fail(err, LAR_EINVAL, "%s needs a whole number, not '%s'", shown, text);
    if (errno == ERANGE)
        return lar_fail(err, LAR_EINVAL, "%s: %s is too large a number", shown, text);
    *v = x;
    return 0;
}

static int store_int(const struct opt *o, int *to, const char *shown, const char *text,
                     struct lar_err *err)
{
    int64_t v;
    double min = o->min < o->max ? o->min : INT32_MIN, max = o->min < o->max ? o->max : INT32_MAX;
    struct lar_err why = {0};
    if (whole_number(shown, text, &v, &why)) {
        if (!strstr(why.msg, "too large")) return lar_fail(err, LAR_EINVAL, "%s", why.msg);
        v = INT64_MAX;
    }
    if ((double)v < min || (double)v > max)
        return lar_fail(err, LAR_EINVAL, "%s: %s is out of range (%.0f to %.0f)", shown, text, min,
                        max);
    *to = (int)v;
    return 0;
}

static int store_num(float *to, const char *shown, const char *text, struct lar_err *err)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || text[0] == ' ' || strpbrk(text, "xX") || !isfinite(v) || fabs(v) > 1e30)
        return lar_fail(err, LAR_EINVAL, "%s needs a number, not '%s'", shown, text);
    *to = (float)v;
    return 0;
}

static int store_word(const struct opt *o, int *to, const char *shown, const char *text,
                      struct lar_err *err)
{
    int index = 0;
    size_t n = strlen(text);
    for (const char *w = o->words; *w; index++) {
        size_t k = strcspn(w, " ");
        if (k == n && memcmp(w, text, k) == 0) return *to = index, 0;
        w += k + (w[k] == ' ');
    }
    return lar_fail(err, LAR_EINVAL, "%s: '%s' is none of: %s", shown, text, o->words);
}

int options_store(const struct opt *o, void *base, const char *shown, const char *text,
                  struct lar_err *err)
{
    void *to = (char *)base + o->at;
    struct opt_list *list = to;
    int e = 0;
    switch (o->kind) {
    case OPT_FLAG: *(int *)to = o->value; break;
    case OPT_INT: e = store_int(o, to, shown, text, err); break;
    case OPT_I64: e = whole_number(shown, text, to, err); break;
    case OPT_NUM: e = store_num(to, shown, text, err); break;
    case OPT_TEXT: *(const char **)to = text; break;
    case OPT_WORD: e = store_word(o, to, shown, text, err); break;
    case OPT_LIST:
        if (list->n == OPT_LIST_MAX)
            return lar_fail(err, LAR_EINVAL, "%s: more than %d of them", shown, OPT_LIST_MAX);
        if (!*text) return lar_fail(err, LAR_EINVAL, "%s needs a value that is not empty", shown);
        list->v[list->n++] = text;
        break;
    default: break; /* headings and groups are not found */
    }
    if (e == 0 && o->check && (e = o->check(base, o, err)) < 0) {
        struct lar_err why = *err;
        lar_fail(err, e, "%s %s: %s", shown, text ? text : "", why.msg);
    }
    return e;
}

/* ---- the command line ------------------------------------------------------------------------------------ */

struct line {
    const struct verb *v;
    void *values;
    char **argv;
    int argc, at;
    struct lar_err *err;
};

static int unknown(const struct line *l, const char *shown, const char *name)
{
    const char *best = NULL;
    int score = NAME_MAX_LEN;
    if (name) nearest_option(l->v->opts, name, &best, &score);
    if (best)
        return lar_fail(l->err, LAR_EINVAL, "%s: unknown option %s; did you mean --%s?", l->v->name,
                        shown, best);
    if (strchr(shown, ' '))
        return lar_fail(l->err, LAR_EINVAL,
                        "%s: '%s' is no option; text that begins with - goes after --", l->v->name,
                        shown);
    return lar_fail(l->err, LAR_EINVAL, "%s: unknown option %s (lar help %s lists them)",
                    l->v->name, shown, l->v->name);
}

/* value is what stands behind '=' or the letter, or NULL: then the next word is taken when one is needed. */
static int take(struct line *l, const struct opt *o, void *base, const char *shown,
                const char *value)
{
    if (o->kind == OPT_FLAG && value)
        return lar_fail(l->err, LAR_EINVAL, "%s: %s takes no value", l->v->name, shown);
    if (o->kind != OPT_FLAG && !value) {
        if (l->at == l->argc)
            return lar_fail(l->err, LAR_EINVAL, "%s: %s needs a value (%s)", l->v->name, shown,
                            o->arg);
        value = l->argv[l->at++];
    }
    return options_store(o, base, shown, value, l->err);
}

static int long_option(struct line *l, const char *word)
{
    char shown[NAME_MAX_LEN + 3] = "--";
    const char *name = word + 2, *eq = strchr(name, '=');
    size_t n = eq ? (size_t)(eq - name) : strlen(name);
    void *base = l->values;
    if (n > NAME_MAX_LEN) return unknown(l, word, NULL);
    memcpy(shown + 2, name, n);
    const struct opt *o = find(l->v->opts, name, n, 0, &base);
    return o ? take(l, o, base, shown, eq ? eq + 1 : NULL) : unknown(l, shown, shown + 2);
}

static int short_option(struct line *l, const char *word)
{
    char shown[3] = {'-', word[1], 0};
    void *base = l->values;
    const struct opt *o = find(l->v->opts, NULL, 0, word[1], &base);
    if (!o) return unknown(l, word, NULL);
    return take(l, o, base, shown, word[2] ? word + 2 + (word[2] == '=') : NULL);
}

int options_parse(const struct verb *v, int argc, char **argv, void *values, char **arg,
                  struct lar_err *err)
{
    struct line l = {v, values, argv, argc, 0, err};
    int narg = 0, open = 1;
    while (l.at < argc) {
        char *word = argv[l.at++];
        int e = 0;
        if (!open || word[0] != '-' || !word[1])
            arg[narg++] = word;
        else if (strcmp(word, "--") == 0)
            open = 0;
        else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            return OPTIONS_HELP;
        else
            e = word[1] == '-' ? long_option(&l, word) : short_option(&l, word);
        if (e < 0) return e;
    }
    if (narg < v->min_args)
        return lar_fail(err, LAR_EINVAL, "%s: an argument is missing: lar %s %s", v->name, v->name,
                        v->synopsis);
    if (narg > v->max_args)
        return lar_fail(err, LAR_EINVAL,
                        "%s: one argument too many: '%s' (text with spaces needs quotes)", v->name,
                        arg[v->max_args]);
    return narg;
}
