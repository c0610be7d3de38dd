/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_norm.c: the steps of a Hugging Face normalizer, in the order of tokenizer.lar.normalizer:
 *     NFC  NFD  Lowercase  StripAccents  Replace<US>text<US>by
 * <US> is U+001F. Every step is linear; Replace may make a text longer, all together at most NORM_TIMES as long.
 */
#include "text/vocab_norm.h"

#include "base/utf8.h"
#include "text/unicode.h"

enum { NORM_TIMES = 64 };

static const char *const names[] = {[NORM_NFC] = "NFC",
                                    [NORM_NFD] = "NFD",
                                    [NORM_LOWERCASE] = "Lowercase",
                                    [NORM_STRIP] = "StripAccents",
                                    [NORM_REPLACE] = "Replace"};

int vocab_norm_load(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    const char *key = "tokenizer.lar.normalizer";
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv) return 0;
    if (kv->type != GGUF_ARRAY || (kv->etype != GGUF_STRING && kv->count) || kv->count > NORM_STEPS)
        return lar_fail(err, LAR_EFORMAT, "%s: expected at most %d strings", key, NORM_STEPS);
    for (size_t i = 0; i < kv->count; i++) {
        struct str s = gguf_str_at(kv, i), name = s;
        const char *sep = s.n ? memchr(s.p, 0x1f, s.n) : NULL, *sep2;
        struct norm_step *step = &v->norm[i];
        size_t k = 0;
        if (sep) name.n = (size_t)(sep - s.p);
        while (k < sizeof names / sizeof *names && !str_is(name, names[k])) k++;
        step->kind = (enum norm_kind)k;
        if (k == NORM_REPLACE && sep) {
            s = str_from(s, name.n + 1);
            sep2 = s.n ? memchr(s.p, 0x1f, s.n) : NULL;
            step->from = (struct str){s.p, sep2 ? (size_t)(sep2 - s.p) : 0};
            if (sep2) step->to = str_from(s, step->from.n + 1);
        }
        if (k == sizeof names / sizeof *names || (k == NORM_REPLACE && !step->from.n))
            return lar_fail(err, LAR_EUNSUPPORTED, "%s: step \"%.*s\" is not known", key,
                            STR_ARG(name));
        v->nnorm = i + 1;
    }
    return 0;
}

static void replace(const struct norm_step *step, struct str s, struct buf *out)
{
    size_t done = 0, at = 0;
    while (at + step->from.n <= s.n) {
        const char *hit = memchr(s.p + at, step->from.p[0], s.n - step->from.n + 1 - at);
        if (!hit) break;
        at = (size_t)(hit - s.p);
        if (memcmp(hit, step->from.p, step->from.n) != 0) {
            at++;
            continue;
        }
        buf_add(out, s.p + done, at - done);
        buf_str(out, step->to);
        done = at += step->from.n;
    }
    buf_add(out, s.p + done, s.n - done);
}

static void by_character(enum norm_kind kind, struct str s, struct buf *out)
{
    for (size_t i = 0, k; i < s.n; i += k) {
        uint32_t cp, more = 0;
        char c[4];
        k = utf8_decode(s.p + i, s.n - i, &cp);
        if (!k) {
            buf_putc(out, s.p[i]);
            k = 1;
        } else if (kind == NORM_STRIP) {
            struct unicode_class u = unicode_of(cp);
            if (u.gc != UC_MN && u.gc != UC_MC && u.gc != UC_ME) buf_add(out, s.p + i, k);
        } else {
            buf_add(out, c, utf8_encode(unicode_lower(cp, &more), c));
            if (more) buf_add(out, c, utf8_encode(more, c));
        }
    }
}

int vocab_norm_apply(const struct vocab *v, struct str *s, struct buf *a, struct buf *b)
{
    size_t most = s->n < SIZE_MAX / NORM_TIMES - 64 ? NORM_TIMES * s->n + 64 : SIZE_MAX;
    for (size_t i = 0; i < v->nnorm; i++) {
        const struct norm_step *step = &v->norm[i];
        if (step->kind == NORM_NFC && unicode_is_nfc(*s)) continue;
        buf_clear(a);
        switch (step->kind) {
        case NORM_NFC: unicode_nfc(*s, a); break;
        case NORM_NFD: unicode_nfd(*s, a); break;
        case NORM_LOWERCASE:
        case NORM_STRIP: by_character(step->kind, *s, a); break;
        case NORM_REPLACE: replace(step, *s, a); break;
        }
        if (a->failed) return LAR_ENOMEM;
        if (a->n > most) return LAR_ELIMIT;
        *s = buf_view(a);
        struct buf *t = a;
        a = b;
        b = t;
    }
    return 0;
}
