/* SPDX-License-Identifier: Apache-2.0
 *
 * run/embed_text.c: what stands round a text that is embedded, ranked or classified: the frame that the model was trained with.
 *
 *     BERT and its kin        [CLS] a [SEP]            [CLS] a [SEP] b [SEP], b and what follows it being of type 1
 *     RoBERTa, XLM-R          <s> a </s>               <s> a </s></s> b </s>
 *     Qwen3-Embedding         a <|endoftext|>          whatever the file's end token is
 *     others                  what the file's tokenizer adds
 * XLM-R's files often lack the keys that say so, so that families in which every token sees the text do not ask them. Where a text
 * already ends in the end that would be added, none is added.
 */
#include "run/embed.h"

#include <string.h>

struct frame {
    int32_t first, last; /* -1: none */
    int twice;           /* two ends between a and b */
    int typed;           /* b is of type 1 */
};

void embed_ids_done(struct embed_ids *t)
{
    ids_done(&t->ids);
    ids_done(&t->types);
}

static int32_t either(int32_t a, int32_t b) { return a >= 0 ? a : b; }

static int frame_of(const struct model *m, const struct vocab *v, enum pooling pool,
                    struct frame *f, struct lar_err *err)
{
    const struct vocab_special *sp = vocab_special(v);
    struct str kind = STR("");
    *f = (struct frame){-1, -1, 0, 0};
    if (gguf_str(&m->gguf, "tokenizer.ggml.model", &kind, err) < 0) return LAR_EFORMAT;
    if (m->arch->both && m->arch->norm == NORM_LAYER) {
        f->first = either(sp->cls, sp->bos);
        f->last = either(sp->sep, sp->eos);
        f->twice = m->arch->post_norm && !str_is(kind, "bert");
        f->typed = m->type_embed.rows > 1 && !f->twice;
        if (f->first < 0 || f->last < 0)
            return lar_fail(err, LAR_EFORMAT,
                            "%s: the tokenizer names no begin and end (cls, sep) for texts",
                            m->arch->name);
        return 0;
    }
    if (sp->add_bos) f->first = sp->bos;
    if (sp->add_eos) f->last = sp->eos;
    if (pool == POOL_LAST && str_is(str_of(m->arch->name), "qwen3"))
        f->last = either(vocab_find(v, STR("<|endoftext|>")), f->last);
    return 0;
}

/* Takes tokens off the longer text's end until all fit; the frame itself must fit. */
static int fit(size_t *a, size_t *b, size_t frame, size_t most, struct lar_err *err)
{
    if (frame > most)
        return lar_fail(err, LAR_EINVAL, "texts cannot be cut to %zu tokens: %zu stand round them",
                        most, frame);
    while (*a + *b + frame > most) {
        size_t over = *a + *b + frame - most, *longer = *a > *b ? a : b;
        size_t gap = *a > *b ? *a - *b : *b - *a, cut = gap > over ? over : gap;
        *longer -= cut ? cut : 1;
    }
    return 0;
}

static int put(struct embed_ids *t, int32_t id, int32_t type)
{
    if (id < 0) return 0;
    return ids_add(&t->ids, id) < 0 || ids_add(&t->types, type) < 0;
}

static int put_all(struct embed_ids *t, const int32_t *id, size_t n, int32_t type)
{
    int bad = 0;
    for (size_t i = 0; i < n && !bad; i++) bad = put(t, id[i], type);
    return bad;
}

int embed_encode(const struct model *m, const struct vocab *v, struct str a, const struct str *b,
                 enum pooling pool, size_t most, struct embed_ids *t, struct places *places,
                 struct lar_err *err)
{
    struct frame f;
    struct ids in = {0};
    size_t na, nb;
    int rc = frame_of(m, v, pool, &f, err), bad = 0;
    t->ids.n = t->types.n = 0;
    t->before = f.first >= 0;
    if (rc == 0)
        rc = places ? vocab_encode_places(v, a, &in, places, err)
                    : vocab_encode(v, a, VOCAB_PARSE_SPECIAL, &in, err);
    na = in.n;
    if (rc == 0 && b) rc = vocab_encode(v, *b, VOCAB_PARSE_SPECIAL, &in, err);
    nb = in.n - na;
    if (rc == 0 && b && f.last < 0)
        rc = lar_fail(err, LAR_EUNSUPPORTED, "%s: the tokenizer knows no form for pairs of texts",
                      m->arch->name);
    if (rc == 0 && !b && na && in.id[na - 1] == f.last) na--;
    if (rc == 0 && most) {
        size_t frame = (f.first >= 0) + (f.last >= 0) + (b ? 1 + (size_t)f.twice : 0);
        size_t keep = na;
        rc = fit(&na, &nb, frame, most, err);
        if (rc == 0 && b) memmove(in.id + na, in.id + keep, nb * sizeof *in.id);
    }
    if (places && places->n > na) places->n = na;
    if (rc == 0) {
        bad = put(t, f.first, 0) || put_all(t, in.id, na, 0) || put(t, f.last, 0);
        if (b) {
            bad = bad || (f.twice && put(t, f.last, 0));
            bad = bad || put_all(t, in.id + na, nb, f.typed) || put(t, f.last, f.typed);
        }
        if (bad) rc = lar_fail(err, LAR_ENOMEM, "tokenizing: out of memory");
    }
    ids_done(&in);
    return rc;
}
