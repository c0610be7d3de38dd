/* SPDX-License-Identifier: Apache-2.0
 * api/grammar.c: lar/grammar.h: argument checks, then one call down; and why a document is not accepted, in words. */
#include <lar/grammar.h>

#include "api/api.h"
#include "api/guide.h"

int lar_grammar_open(struct lar_grammar **out, enum lar_grammar_kind kind, const char *text,
                     size_t n, const struct lar_grammar_options *opt, char **notes,
                     struct lar_err *err)
{
    struct lar_grammar_options o = opt ? *opt : (struct lar_grammar_options){0};
    struct grammar_options go = {.limit = o.limit,
                                 .space = o.space < 0    ? 0
                                          : o.space == 0 ? -1
                                                         : o.space};
    struct buf b = {.limit = 1 << 20};
    int rc = 0;
    if (!out || (!text && n))
        return lar_fail(err, LAR_EINVAL, "lar_grammar_open: out and text are needed");
    *out = NULL;
    if (notes) *notes = NULL;
    if (kind < LAR_GRAMMAR_SCHEMA || kind > LAR_GRAMMAR_LARK)
        return lar_fail(err, LAR_EINVAL, "grammar kind %d is not known", (int)kind);
    if (o.draft && o.draft != 4 && o.draft != 6 && o.draft != 7 && o.draft != 2019 &&
        o.draft != 2020)
        return lar_fail(err, LAR_EINVAL, "draft %d: use 4, 6, 7, 2019 or 2020", o.draft);
    go.schema.draft = o.draft;
    go.schema.format = o.ignore_format ? SCHEMA_FORMAT_IGNORE : SCHEMA_FORMAT_ASSERT;
    go.schema.limit = o.limit;
    go.schema.partial = o.partial;
    struct lar_grammar *g = mem_zalloc(sizeof *g);
    if (!g) return lar_fail(err, LAR_ENOMEM, "out of memory");
    pthread_mutex_init(&g->lock, NULL);
    rc = grammar_open(&g->g, (enum grammar_kind)kind, (struct str){text ? text : "", n}, &go,
                      notes ? &b : NULL, err);
    if (rc == 0 && notes) rc = api_give(&b, notes, NULL, err);
    buf_done(&b);
    if (rc < 0)
        lar_grammar_close(g);
    else
        *out = g;
    return rc < 0 ? rc : 0;
}

void lar_grammar_close(struct lar_grammar *g)
{
    if (!g) return;
    masks_close(g->masks);
    grammar_close(g->g);
    api_model_unref(g->m);
    pthread_mutex_destroy(&g->lock);
    mem_free(g);
}

size_t lar_grammar_bytes(struct lar_grammar *g)
{
    size_t n = SIZE_MAX;
    if (!g) return 0;
    pthread_mutex_lock(&g->lock);
    if (!grammar_failed(g->g, NULL)) n = sizeof *g + grammar_bytes(g->g) + (g->masks ? masks_bytes(g->masks) : 0);
    pthread_mutex_unlock(&g->lock);
    return n;
}

/* The bytes of s as a reader sees them: 'a', a range, or a number. */
static void add_expected(struct buf *b, const struct rx_set *s)
{
    int shown = 0;
    for (unsigned i = 0; i < 256; i++) {
        if (!rx_set_has(s, i)) continue;
        unsigned last = i;
        while (last < 255 && rx_set_has(s, last + 1)) last++;
        if (shown++ == 12) {
            buf_puts(b, " ...");
            return;
        }
        buf_putc(b, ' ');
        unsigned end[2] = {i, last};
        for (int k = 0; k < 2 && (k == 0 || last > i); k++) {
            if (k) buf_puts(b, "-");
            if (end[k] > 32 && end[k] < 127)
                buf_putc(b, (char)end[k]);
            else
                buf_printf(b, "%02x", end[k]);
        }
        i = last;
    }
}

static int check(struct lar_grammar *g, const char *text, size_t n, size_t *at, struct lar_err *why)
{
    uint32_t s = grammar_start(g->g), good = s;
    size_t i = 0;
    for (; i < n && s; i++) {
        good = s;
        s = grammar_step(g->g, s, (unsigned char)text[i]);
    }
    if (grammar_failed(g->g, why)) return grammar_failed(g->g, NULL);
    if (at) *at = s ? n : i ? i - 1 : 0;
    if (grammar_accepts(g->g, s)) return 1;
    struct rx_set expected;
    struct buf b = {.limit = 512};
    grammar_bytes_of(g->g, s ? s : good, &expected);
    if (grammar_failed(g->g, why)) return grammar_failed(g->g, NULL);
    if (!grammar_start(g->g))
        buf_puts(&b, "nothing is accepted by this grammar");
    else {
        if (s)
            buf_puts(&b, "it ends too early; it could go on with");
        else
            buf_printf(&b, "byte %02x cannot stand here; expected%s", (unsigned char)text[i - 1],
                       grammar_accepts(g->g, good) ? " the end or" : "");
        add_expected(&b, &expected);
    }
    lar_fail(why, LAR_EFORMAT, "%s", buf_z(&b));
    buf_done(&b);
    return 0;
}

int lar_grammar_check(struct lar_grammar *g, const char *text, size_t n, size_t *at,
                      struct lar_err *why)
{
    if (!g || (!text && n))
        return lar_fail(why, LAR_EINVAL, "lar_grammar_check: a grammar and a text are needed");
    pthread_mutex_lock(&g->lock);
    int rc = check(g, text, n, at, why);
    pthread_mutex_unlock(&g->lock);
    return rc;
}

int lar_grammar_left_out(struct lar_grammar *g, char **text, struct lar_err *err)
{
    struct buf b = {0};
    if (!g || !text)
        return lar_fail(err, LAR_EINVAL, "lar_grammar_left_out: a grammar and a place for the text are needed");
    *text = NULL;
    grammar_left_out(g->g, &b);
    int rc = api_give(&b, text, NULL, err);
    buf_done(&b);
    return rc < 0 ? rc : 0;
}

int lar_grammar_judge(struct lar_grammar *g, const char *text, size_t n, struct lar_err *why)
{
    if (!g || (!text && n)) return lar_fail(why, LAR_EINVAL, "lar_grammar_judge: a grammar and a text are needed");
    pthread_mutex_lock(&g->lock);
    int rc = grammar_judge(g->g, (struct str){text ? text : "", n}, why);
    pthread_mutex_unlock(&g->lock);
    return rc;
}

int lar_grammar_sample(struct lar_grammar *g, uint64_t seed, size_t soft, char **text, size_t *n, struct lar_err *err)
{
    struct buf b = {0};
    if (!g || !text)
        return lar_fail(err, LAR_EINVAL, "lar_grammar_sample: a grammar and a place for the text are needed");
    *text = NULL;
    pthread_mutex_lock(&g->lock);
    int rc = grammar_sample(g->g, g->masks, g->m ? g->m->trie : NULL, seed, soft ? soft : 200, &b, err);
    pthread_mutex_unlock(&g->lock);
    if (rc == 0) rc = api_give(&b, text, n, err);
    buf_done(&b);
    return rc;
}
