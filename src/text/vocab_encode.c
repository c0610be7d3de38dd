/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_encode.c: text to ids: added tokens cut the text into stretches, each kind of tokenizer takes these.
 */
#include "text/bpe.h"
#include "text/vocab_added.h"

enum { SEEN_MIN = 64, SEEN_MAX = 8192, SEEN_WORD = 255 };

int encoder_nomem(struct encoder *e)
{
    return lar_fail(e->err, LAR_ENOMEM, "tokenizing: out of memory");
}

void *encoder_scratch(struct encoder *e, size_t n)
{
    if (n <= e->scratch_bytes) return e->scratch;
    mem_free(e->scratch);
    size_t want = n < SIZE_MAX / 2 ? n + n / 2 : n;
    e->scratch = mem_alloc(want);
    e->scratch_bytes = e->scratch ? want : 0;
    if (!e->scratch) encoder_nomem(e);
    return e->scratch;
}

struct seen *encoder_seen(struct encoder *e, uint64_t key, const char *p, size_t n, int *hit)
{
    *hit = 0;
    if (!e->seen || n > SEEN_WORD) return NULL;
    struct seen *s = &e->seen[(key ^ n << 56) * 0x9e3779b97f4a7c15 >> 40 & e->seen_mask];
    if (s->key != key || s->len != n) return s;
    if (n > 8 && (s->epoch != e->epoch || memcmp(e->text + s->at, p, n))) return s;
    struct ids *o = e->out;
    if (o->cap - o->n < s->n) return NULL; /* rare: the slow way grows it */
    for (unsigned i = 0; i < s->n; i++) o->id[o->n + i] = o->id[s->out + i];
    o->n += s->n;
    *hit = 1;
    return s;
}

void encoder_saw(struct encoder *e, struct seen *s, uint64_t key, const char *p, size_t n, size_t out)
{
    size_t ids = e->out->n - out;
    if (!ids || out > UINT32_MAX) return;
    *s = (struct seen){key, (uint32_t)(p - e->text), (uint32_t)out, e->epoch, (uint16_t)n, (uint16_t)ids};
}

static int encode_stretch(struct encoder *e, struct str s, int first)
{
    switch (e->v->kind) {
    case VOCAB_BPE: return bpe_encode(e, s);
    case VOCAB_CHARS: return chars_encode(e, s, first);
    case VOCAB_SPM: return spm_encode(e, s, first);
    case VOCAB_UNIGRAM: return unigram_encode(e, s, first);
    case VOCAB_WORDPIECE: return wordpiece_encode(e, s);
    case VOCAB_RWKV: return rwkv_encode(e, s);
    }
    return 0;
}

static int encode_text(struct encoder *e, struct str s, unsigned flags)
{
    int rc = 0;
    for (size_t at = 0; at < s.n && rc == 0;) {
        struct added a = vocab_added_next(e->v, s, at, flags);
        if (a.begin > at) rc = encode_stretch(e, (struct str){s.p + at, a.begin - at}, at == 0);
        if (a.id >= 0 && rc == 0) rc = encoder_push(e, a.id);
        at = a.end;
    }
    return rc;
}

/* Room for what a text of n bytes usually becomes, and a memory of its words. Both only save time. */
static void prepare(struct encoder *e, size_t n)
{
    size_t want = e->out->n + n / 3 + 16, places = SEEN_MIN;
    if (want > e->out->cap) {
        int32_t *p = mem_resize(e->out->id, want * sizeof *p);
        if (p) {
            e->out->id = p;
            e->out->cap = want;
        }
    }
    while (places < n / 16 && places < SEEN_MAX) places *= 2;
    if (n < 512) return;
    e->seen = mem_zalloc(places * sizeof *e->seen);
    e->seen_mask = (uint32_t)(places - 1);
}

int vocab_encode(const struct vocab *v, struct str text, unsigned flags, struct ids *out,
                 struct lar_err *err)
{
    const struct vocab_special *sp = &v->special;
    int add = (flags & VOCAB_ADD_SPECIAL) != 0, rc = 0;
    struct encoder e = {.v = v, .out = out, .err = err};
    if (text.n > INT32_MAX)
        return lar_fail(err, LAR_ELIMIT, "tokenizing: a text of %zu bytes; %d at once is the most", text.n, INT32_MAX);
    prepare(&e, text.n);
    if (add && sp->add_bos && sp->bos >= 0) rc = encoder_push(&e, sp->bos);
    if (rc == 0) rc = encode_text(&e, text, flags);
    if (rc == 0 && add && sp->add_eos && sp->eos >= 0) rc = encoder_push(&e, sp->eos);
    else if (rc == 0 && add && v->kind == VOCAB_WORDPIECE && sp->add_sep && sp->sep >= 0)
        rc = encoder_push(&e, sp->sep);
    mem_free(e.seen);
    mem_free(e.scratch);
    buf_done(&e.norm);
    buf_done(&e.norm2);
    return rc;
}
