/* SPDX-License-Identifier: Apache-2.0
 * cli/idlist.c: see ids.h. */
#include "cli/idlist.h"

#include "base/err.h"
#include "base/mem.h"

void idlist_done(struct idlist *t)
{
    mem_free(t->v);
    *t = (struct idlist){0};
}

int idlist_room(struct idlist *t, size_t cap, struct lar_err *err)
{
    size_t bytes;
    if (cap <= t->cap) return 0;
    int32_t *v = mul_size(cap, sizeof *v, &bytes) ? NULL : mem_resize(t->v, bytes);
    if (!v) return lar_fail(err, LAR_ENOMEM, "out of memory for %zu token ids", cap);
    t->v = v;
    t->cap = cap;
    return 0;
}

static int is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

int idlist_parse(struct idlist *t, struct str text, struct lar_err *err)
{
    size_t i = 0, n = text.n;
    int comma = 0; /* the last thing seen was a comma: a number must follow */
    while (i < n && is_space(text.p[i])) i++;
    while (n > i && is_space(text.p[n - 1])) n--;
    if (i < n && text.p[i] == '[') {
        if (text.p[--n] != ']' || n == i)
            return lar_fail(err, LAR_EFORMAT, "token ids: a '[' without its ']'");
        i++;
    }
    t->n = 0;
    for (;;) {
        int64_t v = 0;
        while (i < n && is_space(text.p[i])) i++;
        if (i == n) break;
        size_t start = i;
        for (; i < n && text.p[i] >= '0' && text.p[i] <= '9' && v <= INT32_MAX; i++)
            v = v * 10 + (text.p[i] - '0');
        if (i == start || v > INT32_MAX)
            return lar_fail(err, LAR_EFORMAT, "token ids, byte %zu: expected a number from 0 to %d",
                            start, INT32_MAX);
        if (t->n == t->cap && idlist_room(t, t->cap ? t->cap * 2 : 256, err)) return LAR_ENOMEM;
        t->v[t->n++] = (int32_t)v;
        size_t end = i;
        while (i < n && is_space(text.p[i])) i++;
        comma = i < n && text.p[i] == ',';
        if (comma)
            i++;
        else if (i == end && i < n)
            return lar_fail(err, LAR_EFORMAT, "token ids, byte %zu: expected a comma", i);
    }
    return comma ? lar_fail(err, LAR_EFORMAT, "token ids: nothing behind the last comma") : 0;
}

int idlist_tokenize(struct idlist *t, const struct lar_model *m, struct str text, unsigned flags,
                    struct lar_err *err)
{
    int e = idlist_room(t, text.n / 3 + 64, err);
    while (e == 0) {
        int64_t n = lar_tokenize(m, text.p, text.n, flags, t->v, t->cap, err);
        if (n < 0) return (int)n;
        t->n = (size_t)n;
        if (t->n <= t->cap) return 0;
        e = idlist_room(t, t->n, err);
    }
    t->n = 0;
    return e;
}

int idlist_check(const struct idlist *t, const struct lar_model *m, struct lar_err *err)
{
    struct lar_model_info info;
    lar_model_info(m, &info);
    for (size_t i = 0; i < t->n; i++)
        if (t->v[i] >= info.vocab)
            return lar_fail(err, LAR_EINVAL, "token %zu is %d, but the vocabulary ends at %d", i,
                            t->v[i], info.vocab - 1);
    return 0;
}
