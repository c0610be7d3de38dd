/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_loop.c: the `loop` variable. It stands between a {% for %} and what is walked, and
 * looks ahead only when asked (loop.last, loop.nextitem), or to the end when asked for a length
 * that the value itself cannot give.
 */
#include "text/template_val.h"

#define ARGS struct tpl_run *r, const struct val *a, const struct tpl_args *raw

int tpl_loop_next(struct tpl_run *r, struct tpl_loop *l, struct val *out)
{
    if (l->after.kind != TPL_MISSING) {
        *out = l->after;
        l->after = tpl_missing();
    } else {
        int got = tpl_iter_next(r, l->it, out);
        if (got != 1) return got;
    }
    l->index0++;
    l->before = l->current;
    l->current = *out;
    return 1;
}

/* Whether there is another item, in l->after: 1, 0, -1. */
static int peek(struct tpl_run *r, struct tpl_loop *l)
{
    if (l->after.kind != TPL_MISSING) return 1;
    int got = tpl_iter_next(r, l->it, &l->after);
    if (got != 1) l->after = tpl_missing();
    return got;
}

int tpl_loop_length(struct tpl_run *r, struct tpl_loop *l, size_t *n)
{
    if (!l->has_length) {
        if (l->of.kind != TPL_ITER) {
            if (tpl_val_len(r, l->of, &l->length)) return -1;
        } else { /* a generator: take all that is left */
            struct val rest = tpl_list_new(r, TPL_LIST, 0), v;
            int got;
            if (tpl_bad(rest)) return -1;
            while ((got = tpl_iter_next(r, l->it, &v)) == 1)
                if (tpl_list_push(r, rest.u.l, v)) return -1;
            if (got) return -1;
            l->it = tpl_iter_open(r, rest, &l->mem);
            l->length = rest.u.l->n + (size_t)(l->index0 + 1) + (l->after.kind != TPL_MISSING);
        }
        l->has_length = 1;
    }
    *n = l->length;
    return 0;
}

static struct val counted(struct tpl_run *r, struct tpl_loop *l, int64_t minus)
{
    size_t n;
    return tpl_loop_length(r, l, &n) ? tpl_failed() : tpl_int((int64_t)n - minus);
}

struct val tpl_loop_attr(struct tpl_run *r, struct tpl_loop *l, struct str name)
{
    if (str_is(name, "index")) return tpl_int(l->index0 + 1);
    if (str_is(name, "index0")) return tpl_int(l->index0);
    if (str_is(name, "first")) return tpl_bool(l->index0 == 0);
    if (str_is(name, "length")) return counted(r, l, 0);
    if (str_is(name, "revindex")) return counted(r, l, l->index0);
    if (str_is(name, "revindex0")) return counted(r, l, l->index0 + 1);
    if (str_is(name, "depth")) return tpl_int(l->depth0 + 1);
    if (str_is(name, "depth0")) return tpl_int(l->depth0);
    if (str_is(name, "last")) {
        int more = peek(r, l);
        return more < 0 ? tpl_failed() : tpl_bool(!more);
    }
    if (str_is(name, "previtem"))
        return l->index0 == 0 ? tpl_val_undef(r, "there is no previous item") : l->before;
    if (str_is(name, "nextitem")) {
        int more = peek(r, l);
        return more < 0 ? tpl_failed()
               : more   ? l->after
                        : tpl_val_undef(r, "there is no next item");
    }
    return tpl_missing();
}

static struct val cycle(ARGS)
{
    if (raw->nkw) return tpl_type_error(r, "loop.cycle takes no keyword arguments");
    if (!raw->npos) return tpl_type_error(r, "no items for cycling given");
    return raw->pos[(size_t)a[0].u.loop->index0 % raw->npos];
}

static struct val changed(ARGS)
{
    struct tpl_loop *l = a[0].u.loop;
    struct val now = tpl_list_of(r, TPL_TUPLE, raw->pos, raw->npos);
    if (tpl_bad(now)) return now;
    int same = l->changed.kind == TPL_MISSING ? 0 : tpl_val_eq(r, l->changed, now);
    if (same < 0) return tpl_failed();
    if (!same) l->changed = now;
    return tpl_bool(!same);
}

const struct tpl_sig tpl_loop_methods[] = {
    {"changed", NULL, 0, changed},
    {"cycle", NULL, 0, cycle},
    {NULL, NULL, 0, NULL},
};
