/* SPDX-License-Identifier: Apache-2.0
 * cli/list.c: `lar list`: the models that are here. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "cli/out.h"
#include "cli/verbs.h"
#include "store/store.h"

struct list_options {
    int all, json;
};

/* "3 days ago" */
static void ago(struct buf *b, int64_t then)
{
    static const struct {
        int64_t s;
        const char *unit;
    } step[] = {{31557600, "year"}, {2629800, "month"}, {604800, "week"},
                {86400, "day"},     {3600, "hour"},     {60, "minute"}};
    int64_t s = (int64_t)time(NULL) - then;
    for (size_t i = 0; i < sizeof step / sizeof *step; i++)
        if (s >= step[i].s) {
            long long n = (long long)(s / step[i].s);
            buf_printf(b, "%lld %s%s ago", n, step[i].unit, n == 1 ? "" : "s");
            return;
        }
    buf_puts(b, "just now");
}

static void pad(struct buf *b, size_t start, size_t width)
{
    size_t n = b->n - start;
    buf_printf(b, "%*s", n < width ? (int)(width - n) : 2, "");
}

static void as_table(const struct store_list *l, int all)
{
    struct buf *b = out();
    size_t width = 24;
    for (size_t i = 0; i < l->n; i++) {
        size_t n = strlen(l->entry[i].name) + 2;
        if (n > width) width = n > 60 ? 60 : n;
    }
    buf_puts(b, "NAME");
    pad(b, 0, width);
    buf_printf(b, "%-14s%-12s%s%s\n", "ID", "SIZE", all ? "PLACE        " : "", "MODIFIED");
    for (size_t i = 0; i < l->n; i++) {
        const struct store_entry *e = &l->entry[i];
        size_t start = b->n;
        out_text_to(b, 1, e->name, strlen(e->name));
        pad(b, start, width);
        buf_printf(b, "%-14.12s", e->digest[0] ? e->digest : "-");
        start = b->n;
        buf_bytes(b, e->bytes);
        pad(b, start, 12);
        if (all) buf_printf(b, "%-13s", store_place_name(e->place));
        if (e->fault)
            out_text_to(b, 1, e->fault, strlen(e->fault));
        else
            ago(b, e->modified);
        buf_putc(b, '\n');
        out_spill();
    }
}

static void member(struct buf *b, const char *key, const char *value)
{
    buf_printf(b, ",\"%s\":", key);
    buf_json_str(b, str_of(value));
}

static void as_json(const struct store_list *l)
{
    struct buf *b = out();
    buf_putc(b, '[');
    for (size_t i = 0; i < l->n; i++) {
        const struct store_entry *e = &l->entry[i];
        struct tm tm;
        time_t t = (time_t)e->modified;
        char when[32];
        gmtime_r(&t, &tm);
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
        buf_puts(b, i ? ",\n{\"name\":" : "{\"name\":");
        buf_json_str(b, str_of(e->name));
        member(b, "place", store_place_name(e->place));
        member(b, "path", e->path);
        if (e->digest[0]) member(b, "digest", e->digest);
        member(b, "modified_at", when);
        if (e->fault) member(b, "fault", e->fault);
        buf_printf(b, ",\"size\":%llu}", (unsigned long long)e->bytes);
        out_spill();
    }
    buf_puts(b, "]\n");
}

static int run(const void *values, char **arg, int narg)
{
    const struct list_options *o = values;
    struct store_list l = {0};
    struct store *s;
    struct lar_err err;
    (void)arg, (void)narg;
    int e = store_open(&s, NULL, &err);
    if (e == 0) e = store_list(s, o->all, &l, &err);
    if (e == 0) {
        if (o->json)
            as_json(&l);
        else
            as_table(&l, o->all);
    }
    store_list_done(&l);
    store_close(s);
    return e < 0 ? say_err(&err) : out_done(EXIT_DONE);
}

#define AT(field) offsetof(struct list_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_FLAG, .name = "all", .letter = 'a', .at = AT(all), .value = 1,
     .help = "Also what other programs keep: Ollama's store, Hugging Face's cache, LM Studio's folder; and .gguf files "
             "in the store's folder, the current one and ./models. All of it can be run in place."},
    {.kind = OPT_FLAG, .name = "json", .at = AT(json), .value = 1,
     .help = "An array of name, place, path, digest, modified_at, size; and fault for what cannot be used."},
    {.kind = OPT_END},
};

const struct verb verb_list = {
    .name = "list",
    .synopsis = "[--all]",
    .summary = "the models that are here",
    .about = "Lists the models of Lar's store, the newest first; with --all also those of other programs, which are "
             "read where they are and never changed.",
    .opts = options,
    .size = sizeof(struct list_options),
    .run = run,
};
/* clang-format on */
