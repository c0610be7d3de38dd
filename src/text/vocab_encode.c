/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_encode.c: text to ids: added tokens cut the text into stretches, each kind of tokenizer takes these.
 */
#include "base/utf8.h"
#include "text/bpe.h"
#include "text/vocab_added.h"
#include "text/vocab_norm.h"

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
    if (e->v->words >= 0) return words_encode(e, s, first);
    switch (e->v->kind) {
    case VOCAB_BPE: return bpe_encode(e, s, first);
    case VOCAB_CHARS: return chars_encode(e, s, first);
    case VOCAB_SPM: return spm_encode(e, s, first);
    case VOCAB_UNIGRAM: return unigram_encode(e, s, first);
    case VOCAB_WORDPIECE: return wordpiece_encode(e, s);
    case VOCAB_RWKV: return rwkv_encode(e, s);
    }
    return 0;
}

/* Is nothing left of the text's first character? Then what is left does not begin where the text does, and Hugging Face's "first" sets no
 * space before it. */
static int loses_first(struct encoder *e, struct str s)
{
    uint32_t cp;
    size_t n = utf8_decode(s.p, s.n, &cp);
    struct str one = {s.p, n};
    return n && vocab_norm_apply(e->v, &one, &e->step, &e->step2) == 0 && one.n == 0;
}

/* A stretch without tokens that are found before normalising: normalised, then those that are found after it. */
static int encode_normal(struct encoder *e, struct str s, int first, unsigned flags)
{
    const struct vocab *v = e->v;
    if (v->nnorm && v->prefix == PREFIX_FIRST && (first & STRETCH_FIRST) && loses_first(e, s)) first &= ~STRETCH_FIRST;
    int rc = v->nnorm ? vocab_norm_apply(v, &s, &e->step, &e->step2) : 0;
    if (rc == LAR_ENOMEM) return encoder_nomem(e);
    if (rc < 0) return lar_fail(e->err, rc, "tokenizing: normalising makes a text too long");
    if (!v->added_norm.nnode) return encode_stretch(e, s, first);
    if (v->words < 0 && vocab_wants_prefix(v, s, first) && v->prefix == PREFIX_ALWAYS) { /* a step of the normalizer: tokens are found behind it */
        struct buf *b = s.p == e->step.p ? &e->step2 : &e->step;
        buf_clear(b);
        buf_putc(b, ' ');
        buf_str(b, s);
        if (b->failed) return encoder_nomem(e);
        s = buf_view(b);
        first = STRETCH_NEXT;
    }
    struct added_search search = {.v = v, .trie = &v->added_norm, .s = s, .flags = flags};
    for (struct added a; rc == 0;) {
        size_t done = search.done;
        a = vocab_added_next(&search);
        if (a.begin > done)
            rc = encode_stretch(e, (struct str){s.p + done, a.begin - done}, done ? STRETCH_NEXT : first);
        if (a.id < 0) break;
        if (rc == 0) rc = encoder_push(e, a.id);
    }
    return rc;
}

/* The same for a stretch that may hold guards. */
static int encode_guarded(struct encoder *e, struct str s, int first, unsigned flags)
{
    buf_clear(&e->clean);
    if (!vocab_unguard(e->guard, s, &e->clean)) return encode_normal(e, s, first, flags);
    if (e->clean.failed) return encoder_nomem(e);
    return encode_normal(e, buf_view(&e->clean), first, flags & ~(unsigned)VOCAB_PARSE_SPECIAL);
}

static int encode_text(struct encoder *e, struct str s, unsigned flags)
{
    struct added_search search = {.v = e->v, .trie = &e->v->added, .s = s, .flags = flags, .guard = e->guard};
    int rc = 0;
    for (struct added a; rc == 0;) {
        size_t done = search.done;
        a = vocab_added_next(&search);
        if (a.begin > done)
            rc = encode_guarded(e, (struct str){s.p + done, a.begin - done}, done ? 0 : STRETCH_FIRST, flags);
        if (a.id < 0) break;
        if (rc == 0) rc = encoder_push(e, a.id);
    }
    return rc;
}

static int push_list(struct encoder *e, const int32_t *id, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) rc = encoder_push(e, id[i]);
    return rc;
}

/* What the tokenizer puts before a text, and behind it. */
static int push_begin(struct encoder *e)
{
    const struct vocab_special *sp = &e->v->special;
    if (e->v->lists) return push_list(e, e->v->before, e->v->nbefore);
    return sp->add_bos && sp->bos >= 0 ? encoder_push(e, sp->bos) : 0;
}

static int push_end(struct encoder *e)
{
    const struct vocab_special *sp = &e->v->special;
    if (e->v->lists) return push_list(e, e->v->after, e->v->nafter);
    if (sp->add_eos && sp->eos >= 0) return encoder_push(e, sp->eos);
    return e->v->kind == VOCAB_WORDPIECE && sp->add_sep && sp->sep >= 0 ? encoder_push(e, sp->sep) : 0;
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
    return vocab_encode_guarded(v, text, STR(""), flags, out, err);
}

int vocab_encode_guarded(const struct vocab *v, struct str text, struct str guard, unsigned flags, struct ids *out,
                         struct lar_err *err)
{
    int add = (flags & VOCAB_ADD_SPECIAL) != 0, rc = 0;
    struct encoder e = {.v = v, .out = out, .err = err, .guard = guard};
    if (text.n > INT32_MAX)
        return lar_fail(err, LAR_ELIMIT, "tokenizing: a text of %zu bytes; %d at once is the most", text.n, INT32_MAX);
    prepare(&e, text.n);
    if (add) rc = push_begin(&e);
    if (rc == 0) rc = encode_text(&e, text, flags);
    if (rc == 0 && add) rc = push_end(&e);
    mem_free(e.seen);
    mem_free(e.scratch);
    buf_done(&e.norm);
    buf_done(&e.norm2);
    buf_done(&e.step);
    buf_done(&e.step2);
    buf_done(&e.clean);
    return rc;
}
