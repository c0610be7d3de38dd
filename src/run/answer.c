/* SPDX-License-Identifier: Apache-2.0
 *
 * run/answer.c: one buffer of text not yet given out, and a loop that gives out what no marker can claim any more.
 *
 * Markers at work: the stop strings always; the opening mark until something was said; the closing mark while thinking. The earliest in the
 * text counts, of equals the longest. What cannot be decided yet is the longest tail that is a beginning of a marker.
 */
#include "run/answer.h"

struct answer_marks answer_marks_of(struct str src)
{
    static const struct answer_marks known[] = {
        {{"<think>", 7}, {"</think>", 8}},
        {{"[THINK]", 7}, {"[/THINK]", 8}},
        {{"<|START_THINKING|>", 18}, {"<|END_THINKING|>", 16}},
        {{"<seed:think>", 12}, {"</seed:think>", 13}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (memmem(src.p, src.n, known[i].close.p, known[i].close.n)) return known[i];
    return (struct answer_marks){{"", 0}, {"", 0}};
}

static int is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

void answer_begin(struct answer *a, struct str prompt)
{
    while (prompt.n && is_space(prompt.p[prompt.n - 1])) prompt.n--;
    a->state = a->marks.open.n && str_ends(prompt, a->marks.open) ? ANSWER_THINKING : ANSWER_TEXT;
    a->begun = 0;
    a->trim = a->state == ANSWER_THINKING;
    a->stopped = a->refused = 0;
}

static void give(struct answer *a, const char *p, size_t n)
{
    if (a->trim) {
        while (n && is_space(*p)) p++, n--;
        if (n) a->trim = 0;
    }
    for (size_t i = 0; i < n && !a->begun; i++) a->begun = !is_space(p[i]);
    if (n == 0) return;
    buf_add(&a->text[a->state], p, n);
    if (a->on_text && !a->refused && a->on_text(a->ctx, a->state, p, n)) a->refused = 1;
}

/* Marker number i of those at work, n = 0 when there is none of that number; i = 0 opening, 1 closing, then the stop strings. */
static struct str marker(const struct answer *a, size_t i)
{
    struct str none = {"", 0};
    if (i == 0) return a->state == ANSWER_TEXT && !a->begun ? a->marks.open : none;
    if (i == 1) return a->state == ANSWER_THINKING ? a->marks.close : none;
    return str_of(a->stop[i - 2]);
}

/* The earliest whole marker in the held text: its number, or -1. */
static long first_marker(const struct answer *a, size_t *at)
{
    long best = -1;
    size_t best_n = 0;
    for (size_t i = 0; i < a->nstop + 2; i++) {
        struct str m = marker(a, i);
        const char *p = m.n && a->hold.n ? memmem(a->hold.p, a->hold.n, m.p, m.n) : NULL;
        if (!p) continue;
        size_t here = (size_t)(p - a->hold.p);
        if (best < 0 || here < *at || (here == *at && m.n > best_n))
            best = (long)i, *at = here, best_n = m.n;
    }
    return best;
}

/* How many bytes at the end of the held text may begin a marker. */
static size_t undecided(const struct answer *a)
{
    size_t most = 0;
    for (size_t i = 0; i < a->nstop + 2; i++) {
        struct str m = marker(a, i);
        for (size_t k = m.n ? m.n - 1 : 0; k > most; k--)
            if (k <= a->hold.n && !memcmp(a->hold.p + a->hold.n - k, m.p, k)) {
                most = k;
                break;
            }
    }
    return most;
}

static void drop_front(struct answer *a, size_t n)
{
    memmove(a->hold.p, a->hold.p + n, a->hold.n - n);
    a->hold.n -= n;
}

static void settle(struct answer *a, int end)
{
    size_t at = 0;
    while (!a->stopped && a->hold.n) {
        long i = first_marker(a, &at);
        if (i < 0) {
            size_t n = a->hold.n - (end ? 0 : undecided(a)), blank = 0;
            int begun = a->begun;
            while (blank < n && is_space(a->hold.p[blank])) blank++;
            if (!end && blank == n && marker(a, 0).n)
                return; /* white space before thinking is nobody's */
            give(a, a->hold.p, n);
            drop_front(a, n);
            if (!begun && a->begun && !end && a->hold.n)
                continue; /* the opening mark is no longer at work */
            return;
        }
        /* Thinking opens only at the start: text before the mark makes it ordinary text. */
        size_t mark_n = marker(a, (size_t)i).n;
        int opens = i == 0;
        if (opens) {
            size_t k = 0;
            while (k < at && is_space(a->hold.p[k])) k++;
            if (k < at) {
                give(a, a->hold.p, at);
                drop_front(a, at);
                continue;
            }
        } else {
            give(a, a->hold.p, at);
        }
        drop_front(a, at + mark_n);
        if (i >= 2) {
            a->stopped = 1;
            a->stopped_by = (size_t)i - 2;
            buf_clear(&a->hold);
        } else {
            a->state = opens ? ANSWER_THINKING : ANSWER_TEXT;
            a->trim = 1;
            if (!opens) a->begun = 1;
        }
    }
}

void answer_add(struct answer *a, struct str piece)
{
    if (a->stopped) return;
    buf_str(&a->hold, piece);
    settle(a, 0);
}

void answer_end(struct answer *a) { settle(a, 1); }

void answer_done(struct answer *a)
{
    buf_done(&a->hold);
    buf_done(&a->text[0]);
    buf_done(&a->text[1]);
}
