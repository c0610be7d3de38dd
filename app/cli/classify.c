/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/classify.c: `lar classify`: labels for stretches of a text (names, places, addresses), or for all of it. */
#include "base/err.h"
#include "cli/out.h"
#include "cli/texts.h"
#include "cli/verbs.h"

struct classify_options {
    int json, tokens;
    struct texts_options texts;
};

struct classify {
    const struct classify_options *o;
    struct texts_reader r;
};

/* A group is called by its kind, without B- and I-. */
static struct str name_of(const struct classify *c, const struct lar_span *s, struct buf *number)
{
    const char *label = lar_embedder_label(c->r.e, s->label);
    if (!label) {
        buf_clear(number);
        buf_printf(number, "%d", s->label);
        return buf_view(number);
    }
    int marked = (label[0] == 'B' || label[0] == 'I') && label[1] == '-';
    return str_of(marked && !c->o->tokens ? label + 2 : label);
}

/* The keys are those of the transformers library's pipeline; whole: a label of all of the text. */
static void write_json(const struct classify *c, const struct lar_text *t, const struct lar_span *s,
                       size_t n, int whole)
{
    struct buf *b = out(), number = {0};
    buf_putc(b, '[');
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "%s{\"%s\":", i ? "," : "",
                   whole          ? "label"
                   : c->o->tokens ? "entity"
                                  : "entity_group");
        buf_json_str(b, name_of(c, &s[i], &number));
        buf_printf(b, ",\"score\":%.9g", (double)s[i].score);
        if (!whole) {
            buf_puts(b, ",\"word\":");
            buf_json_str(b, (struct str){t->text + s[i].begin, s[i].end - s[i].begin});
            buf_printf(b, ",\"start\":%zu,\"end\":%zu", s[i].char_begin, s[i].char_end);
            if (c->o->tokens) buf_printf(b, ",\"index\":%zu", s[i].word);
        }
        buf_putc(b, '}');
    }
    buf_puts(b, "]\n");
    buf_done(&number);
}

static void write_lines(const struct classify *c, const struct lar_text *t,
                        const struct lar_span *s, size_t n, int whole)
{
    struct buf *b = out(), number = {0};
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "%8.6f  ", (double)s[i].score);
        if (!whole) buf_printf(b, "%zu-%zu  ", s[i].char_begin, s[i].char_end);
        struct str name = name_of(c, &s[i], &number);
        out_text(name.p, name.n);
        if (!whole) {
            buf_puts(b, "  ");
            out_text(t->text + s[i].begin, s[i].end - s[i].begin);
        }
        buf_putc(b, '\n');
    }
    buf_done(&number);
}

static int classify_texts(void *ctx, const struct texts *t, struct lar_err *err)
{
    struct classify *c = ctx;
    enum lar_group group = c->o->tokens ? LAR_GROUP_TOKENS : LAR_GROUP_SPANS;
    struct lar_embedder_info info;
    lar_embedder_info(c->r.e, &info);
    int whole = !info.labels_tokens;
    struct lar_span *s[TEXTS_MAX] = {0};
    size_t n[TEXTS_MAX];
    int rc = 0;
    for (size_t i = 0; i < t->n && rc == 0; i++)
        rc = lar_classify(c->r.e, &t->t[i], group, &s[i], &n[i], err);
    /* nothing is written when one fails: it is tried again alone */
    for (size_t i = 0; i < t->n && rc == 0; i++) {
        if (c->o->json || c->o->texts.batch)
            write_json(c, &t->t[i], s[i], n[i], whole);
        else
            write_lines(c, &t->t[i], s[i], n[i], whole);
        out_spill();
    }
    for (size_t i = 0; i < t->n; i++) lar_free(s[i]);
    return rc;
}

static int run(const void *values, char **arg, int narg)
{
    struct classify c = {.o = values};
    int code = texts_open(&c.r, arg[0], &c.o->texts, (struct lar_embed_options){0});
    if (code) return code;
    code = texts_each(arg + 1, narg - 1, &c.o->texts, NULL, classify_texts, &c);
    texts_close(&c.r);
    return code;
}

#define AT(field) offsetof(struct classify_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_FLAG, .name = "json", .at = AT(json), .value = 1,
     .help = "An array a text, of {\"entity_group\",\"score\",\"word\",\"start\",\"end\"}; start and end count "
             "characters."},
    {.kind = OPT_FLAG, .name = "tokens", .at = AT(tokens), .value = 1,
     .help = "Every token with its own label, not neighbours of one kind together; \"O\" is shown too."},
    {.kind = OPT_GROUP, .at = AT(texts), .group = texts_opts},
    {.kind = OPT_END},
};

const struct verb verb_classify = {
    .name = "classify",
    .synopsis = "MODEL [TEXT...]",
    .summary = "labels for parts of a text, or for all of it",
    .about = "Prints what a token classifier finds in each TEXT, or without any in each line of standard input: score, "
             "place (from character, up to character), label, words. Of a classifier of whole texts all labels, the "
             "most probable first.",
    .opts = options,
    .size = sizeof(struct classify_options),
    .min_args = 1,
    .max_args = 1 << 20,
    .run = run,
};
/* clang-format on */
