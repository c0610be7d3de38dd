/* SPDX-License-Identifier: Apache-2.0
 * run/lookup.c: see lookup.h. */
#include "run/lookup.h"

#include <string.h>

enum { LEAST = 2, LONGEST = 8, PAUSE = 16, PAUSE_MOST = 256 }; /* tokens that must be alike; looked at; draws */
/* What a row more costs, in steps of one row: small quantised models read their weights in the time of some three rows' arithmetic. */
#define COST 0.3f

void lookup_init(struct lookup *l, int most)
{
    *l = (struct lookup){.most = most < LOOKUP_MAX ? most : LOOKUP_MAX, .pause = PAUSE};
    l->want = l->most < 4 ? l->most : 4;
}

static int32_t at(const struct ids *a, const struct ids *b, size_t i) { return i < a->n ? a->id[i] : b->id[i - a->n]; }

/* Where the end of the text stood before: behind the place with the longest likeness, of these the last. 0: nowhere. */
static size_t find(const struct ids *a, const struct ids *b, size_t n)
{
    size_t best = LEAST - 1, place = 0;
    for (size_t p = n - 1; p >= LEAST && best < LONGEST; p--) {
        size_t k = 0;
        while (k < LONGEST && k < p && at(a, b, p - 1 - k) == at(a, b, n - 1 - k)) k++;
        if (k <= best) continue;
        best = k;
        place = p;
    }
    return place;
}

/* The guess that is open is over: what the next one shall be. */
static void judge(struct lookup *l)
{
    if (!l->n) return;
    l->taken += (size_t)l->right;
    if (l->offered) {
        l->offered = l->n = l->right = 0;
        return;
    }
    l->worth = 0.75f * l->worth + 0.25f * ((float)l->right - COST * (float)l->n);
    l->want = l->right == l->n ? 2 * l->n : l->right + 1;
    if (l->want > l->most) l->want = l->most;
    if (l->worth < 0) {
        l->rest = l->pause;
        if (l->pause < PAUSE_MOST) l->pause *= 2;
        l->worth = 0;
    } else if (l->right) {
        l->pause = PAUSE;
    }
    l->n = l->right = 0;
}

void lookup_predict(struct lookup *l, const int32_t *tokens, size_t n)
{
    l->predicted = (struct ids){.id = (int32_t *)(uintptr_t)tokens, .n = n}; /* only read */
    l->so_far = 0;
}

int lookup_make(struct lookup *l, const struct ids *prompt, const struct ids *answer, size_t cap)
{
    size_t n = l->predicted.n, from = 0;
    judge(l);
    if (l->most == 0 || (l->rest > 0 && l->rest--)) return 0;
    if (n && l->so_far && l->so_far < n)
        from = l->so_far;
    else if (n && (n += answer->n) > LEAST)
        from = find(&l->predicted, answer, n);
    if (from && from != l->predicted.n) { /* there the answer itself begins */
        prompt = &l->predicted;
    } else {
        n = prompt->n + answer->n;
        if (n <= LEAST || !(from = find(prompt, answer, n))) return 0;
    }
    size_t most = n - from < (size_t)l->want ? n - from : (size_t)l->want;
    if (most > cap) most = cap;
    for (; (size_t)l->n < most; l->n++) l->guess[l->n] = at(prompt, answer, from + (size_t)l->n);
    l->made += most;
    return l->n;
}

int lookup_offer(struct lookup *l, const int32_t *guess, size_t n)
{
    judge(l);
    if (n > LOOKUP_MAX) n = LOOKUP_MAX;
    memcpy(l->guess, guess, n * sizeof *guess);
    l->made += n;
    l->offered = n > 0;
    return l->n = (int)n;
}

void lookup_token(struct lookup *l, int32_t id)
{
    if (l->so_far < l->predicted.n) l->so_far = l->predicted.id[l->so_far] == id ? l->so_far + 1 : SIZE_MAX;
    if (l->right < l->n && l->guess[l->right] == id)
        l->right++;
    else
        judge(l);
}
