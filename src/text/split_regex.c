/* SPDX-License-Identifier: Apache-2.0
 * text/split_regex.c: see split_regex.h. What the behaviors do is the library's NormalizedString::split, and how matches are found one after the other
 * that of the onig crate: an empty one right behind the last is passed over by a character. */
#include "text/split_regex.h"

#include "base/mem.h"
#include "text/regex.h"

struct split_own {
    struct regex *re[SPLIT_STAGES_MAX];
    unsigned char how[SPLIT_STAGES_MAX], inverted[SPLIT_STAGES_MAX];
    int n;
};

int split_own_open(struct split_own **out, const struct gguf *g, struct lar_err *err)
{
    const char *key = "tokenizer.lar.split";
    const struct gguf_kv *kv = gguf_find(g, key);
    *out = NULL;
    if (!kv) return 0;
    if (kv->type != GGUF_ARRAY || (kv->etype != GGUF_STRING && kv->count) ||
        kv->count > SPLIT_STAGES_MAX)
        return lar_fail(err, LAR_EFORMAT, "%s: expected at most %d strings", key, SPLIT_STAGES_MAX);
    struct split_own *o = mem_zalloc(sizeof *o);
    int rc = o ? 0 : lar_fail(err, LAR_ENOMEM, "%s: out of memory", key);
    for (uint64_t i = 0; i < kv->count && rc == 0; i++) {
        struct str s = gguf_str_at(kv, i);
        int not = s.n > 1 && s.p[1] == '!';
        if (s.n < 2 || !memchr("irpnc", s.p[0], 5) || (size_t) not +1 >= s.n ||
            s.p[1 + not ] != '\x1f') {
            rc = lar_fail(err, LAR_EFORMAT, "%s: \"%.*s\" is no step", key, STR_ARG(s));
            break;
        }
        o->how[i] = (unsigned char)s.p[0];
        o->inverted[i] = (unsigned char)not ;
        rc = regex_open(&o->re[i], str_from(s, 2 + (size_t) not ), err);
        o->n += rc == 0;
    }
    if (rc == 0) return *out = o, 1;
    split_own_close(o);
    return rc;
}

void split_own_close(struct split_own *o)
{
    for (int i = 0; o && i < o->n; i++) regex_close(o->re[i]);
    mem_free(o);
}

struct job {
    const struct split_own *o;
    struct regex_search *search[SPLIT_STAGES_MAX];
    split_emit *emit;
    void *ctx;
};

static int stage(const struct job *j, int i, struct str s);

/* Pieces of one stage on their way: one is held back until it is known what joins it. */
struct joiner {
    const struct job *j;
    struct str s;
    size_t begin, end;            /* the piece held back */
    int i, how, holds, was, last; /* it was a match; the last part was one */
};

static int let_go(struct joiner *w)
{
    if (!w->holds || w->begin == w->end) return 0;
    return stage(w->j, w->i + 1, (struct str){w->s.p + w->begin, w->end - w->begin});
}

static int add(struct joiner *w, size_t begin, size_t end, int match)
{
    int join = 0, rc;
    if (w->how == SPLIT_REMOVED && match) return 0;
    if (w->how == SPLIT_PREVIOUS) join = match && !w->last;
    if (w->how == SPLIT_CONTIGUOUS) join = match == w->last;
    if (w->how == SPLIT_NEXT) join = !match && w->was;
    w->last = match;
    if (join && w->holds) {
        w->end = end;
        w->was = 0;
        return 0;
    }
    if ((rc = let_go(w)) != 0) return rc;
    w->begin = begin;
    w->end = end;
    w->holds = 1;
    w->was = match;
    return 0;
}

static int stage(const struct job *j, int i, struct str s)
{
    if (i == j->o->n) return j->emit(j->ctx, s.p, s.n);
    struct joiner w = {.j = j, .s = s, .i = i, .how = j->o->how[i]};
    struct regex_search *r = j->search[i];
    int not = j->o->inverted[i], rc = regex_search_text(r, s), found = 0;
    size_t done = 0, from = 0, begin, end, last = SIZE_MAX;
    while (rc == 0 && from <= s.n && (found = regex_search_next(r, from, &begin, &end)) > 0) {
        if (begin == end && end == last) { /* not one more of nothing at one place */
            from = end + 1;
            while (from < s.n && ((unsigned char)s.p[from] & 0xc0) == 0x80) from++;
            continue;
        }
        from = last = end;
        if (begin > done) rc = add(&w, done, begin, not );
        if (rc == 0) rc = add(&w, begin, end, !not );
        done = end;
    }
    if (rc == 0 && found < 0) rc = found;
    if (rc == 0 && done < s.n) rc = add(&w, done, s.n, not );
    return rc == 0 ? let_go(&w) : rc;
}

int split_own_each(const struct split_own *o, struct str s, split_emit *emit, void *ctx)
{
    struct job j = {.o = o, .emit = emit, .ctx = ctx};
    int rc = 0;
    for (int i = 0; i < o->n; i++)
        if (!(j.search[i] = regex_search_open(o->re[i]))) rc = LAR_ENOMEM;
    if (rc == 0 && s.n) rc = stage(&j, 0, s);
    for (int i = 0; i < o->n; i++) regex_search_close(j.search[i]);
    return rc;
}
