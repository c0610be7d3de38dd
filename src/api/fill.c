/* SPDX-License-Identifier: Apache-2.0
 * api/fill.c: lar/fill.h's prompts. */
#include <lar/fill.h>

#include "api/api.h"

/* Ids in the order in which they are told, until one cannot be. */
struct laying {
    const struct vocab *v;
    struct ids ids;
    struct lar_err *err;
    int rc;
};

static void mark(struct laying *l, int32_t id)
{
    if (l->rc < 0 || id < 0 || ids_add(&l->ids, id) == 0) return;
    l->rc = lar_fail(l->err, LAR_ENOMEM, "fill: out of memory");
}

static void text(struct laying *l, const char *s)
{
    if (l->rc >= 0 && s && *s) l->rc = vocab_encode(l->v, str_of(s), 0, &l->ids, l->err);
}

/* One text and what ends its line, as one. */
static void line(struct laying *l, const char *s)
{
    struct buf b = {0};
    buf_printf(&b, "%s\n", s);
    if (b.failed) l->rc = lar_fail(l->err, LAR_ENOMEM, "fill: out of memory");
    text(l, buf_z(&b));
    buf_done(&b);
}

static void project(struct laying *l, const struct vocab_special *s, const struct lar_fill *f)
{
    mark(l, s->fim_rep);
    if (s->fim_rep >= 0) line(l, "myproject");
    for (size_t i = 0; i < f->nfile; i++) {
        mark(l, s->fim_sep);
        if (s->fim_sep >= 0)
            line(l, f->file[i].name ? f->file[i].name : "tmp");
        else
            text(l, "\n\n--- snippet ---\n\n");
        text(l, f->file[i].text);
    }
    mark(l, s->fim_sep);
    if (s->fim_sep >= 0) line(l, "filename");
}

int64_t lar_fill_tokens(const struct lar_model *m, const struct lar_fill *f, int32_t **out, struct lar_err *err)
{
    if (!m || !f || !out || (!f->file && f->nfile))
        return lar_fail(err, LAR_EINVAL, "lar_fill_tokens: model, texts and out are needed");
    *out = NULL;
    const struct vocab_special *s = vocab_special(m->vocab);
    if (s->fim_pre < 0 || s->fim_suf < 0 || s->fim_mid < 0)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "this model fills in no middles: its vocabulary has no token that says %s",
                        s->fim_pre < 0   ? "\"prefix\""
                        : s->fim_suf < 0 ? "\"suffix\""
                                         : "\"middle\"");
    struct laying l = {.v = m->vocab, .err = err};
    if (f->project) project(&l, s, f);
    if (s->add_bos) mark(&l, s->bos);
    mark(&l, s->fim_pre);
    text(&l, f->prefix);
    text(&l, f->prompt);
    mark(&l, s->fim_suf);
    text(&l, f->suffix);
    mark(&l, s->fim_mid);
    if (l.rc < 0) {
        ids_done(&l.ids);
        return l.rc;
    }
    *out = l.ids.id; /* from base/mem.h, as lar_free wants it */
    return (int64_t)l.ids.n;
}
