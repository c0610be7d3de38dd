/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_norm.c: the steps of a Hugging Face normalizer, in the order of tokenizer.lar.normalizer; <US> is U+001F:
 *     NFC  NFD  NFKC  NFKD  Lowercase  StripAccents  Nmt
 *     Strip<US>l|r|lr                 white space at the ends
 *     Replace<US>text<US>by           Runs<US>expression<US>by: " {2,}", " +", "\\s+" or "\\s{2,}"
 *     Prepend<US>text                 unless there is nothing
 *     Precompiled                     the map of tokenizer.ggml.precompiled_charsmap
 *     Bert<US>c|z|a|l...              cleans, sets Chinese characters apart, takes away accents, lowers
 * Every step is linear; a text may grow, all together at most NORM_TIMES as long. What each step does is stated by the tokenizers library.
 */
#include "text/vocab_norm.h"

#include "base/utf8.h"
#include "text/split_char.h"
#include "text/unicode.h"

enum { NORM_TIMES = 64 };

/* Steps with an argument; two of ours for one of theirs where `then` says so. */
static const struct {
    const char *name;
    enum norm_kind kind;
    int args, then;
} known[] = {
    {"NFC", NORM_NFC, 0, -1},
    {"NFD", NORM_NFD, 0, -1},
    {"NFKC", NORM_COMPAT, 0, NORM_NFC},
    {"NFKD", NORM_COMPAT, 0, NORM_NFD},
    {"Lowercase", NORM_LOWERCASE, 0, -1},
    {"StripAccents", NORM_ACCENTS, 0, -1},
    {"Strip", NORM_STRIP, 1, -1},
    {"Replace", NORM_REPLACE, 2, -1},
    {"Runs", NORM_RUNS, 2, -1},
    {"Prepend", NORM_PREPEND, 1, -1},
    {"Nmt", NORM_NMT, 0, -1},
    {"Precompiled", NORM_MAP, 0, -1},
    {"Bert", NORM_BERT_CLEAN, 1, -1},
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* The part of *s before the next U+001F, which is passed over. */
static struct str part(struct str *s)
{
    const char *sep = s->n ? memchr(s->p, 0x1f, s->n) : NULL;
    struct str t = {s->p, sep ? (size_t)(sep - s->p) : s->n};
    *s = str_from(*s, sep ? t.n + 1 : t.n);
    return t;
}

static unsigned letters(struct str s, const char *names)
{
    unsigned how = 0;
    for (size_t i = 0; names[i]; i++)
        if (s.n && memchr(s.p, names[i], s.n)) how |= 1u << i;
    return how;
}

static void add(struct vocab *v, struct norm_step step) { v->norm[v->nnorm++] = step; }

/* BERT's: up to three steps. */
static void add_bert(struct vocab *v, unsigned how)
{
    struct norm_step step = {.kind = NORM_BERT_CLEAN, .how = how};
    if (how & (BERT_CLEAN | BERT_CHINESE)) add(v, step);
    if (how & BERT_ACCENTS) add(v, (struct norm_step){.kind = NORM_NFD});
    step.kind = NORM_BERT_FOLD;
    if (how & (BERT_ACCENTS | BERT_LOWER)) add(v, step);
}

/* Fills in what the arguments mean; -1 when they mean nothing. */
static int set_arguments(struct norm_step *step)
{
    static const char *const runs[] = {" +", "\\s+", " {2,}", "\\s{2,}"};
    unsigned k = 0;
    if (step->kind == NORM_STRIP) step->how = letters(step->from, "lr");
    if (step->kind == NORM_BERT_CLEAN) step->how = letters(step->from, "czal");
    if (step->kind != NORM_RUNS) return step->kind == NORM_BERT_CLEAN || step->from.n ? 0 : -1;
    while (k < COUNT(runs) && !str_is(step->from, runs[k])) k++;
    step->how = k;
    return k < COUNT(runs) ? 0 : -1;
}

int vocab_norm_load(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    const char *key = "tokenizer.lar.normalizer";
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv) return 0;
    if (kv->type != GGUF_ARRAY || (kv->etype != GGUF_STRING && kv->count) || kv->count > NORM_STEPS / 3)
        return lar_fail(err, LAR_EFORMAT, "%s: expected at most %d strings", key, NORM_STEPS / 3);
    for (size_t i = 0; i < kv->count; i++) {
        struct str s = gguf_str_at(kv, i), name = part(&s);
        struct norm_step step = {.how = 0};
        size_t k = 0;
        while (k < COUNT(known) && !str_is(name, known[k].name)) k++;
        if (k < COUNT(known)) {
            step.kind = known[k].kind;
            if (known[k].args > 0) step.from = part(&s);
            if (known[k].args > 1) step.to = s;
        }
        if (k == COUNT(known) || (known[k].args && set_arguments(&step) < 0))
            return lar_fail(err, LAR_EUNSUPPORTED, "%s: step \"%.*s\" is not known", key, STR_ARG(name));
        if (step.kind == NORM_MAP && !v->map_trie.n) {
            int rc = spm_load_map(v, g, err);
            if (rc < 0) return rc;
            if (!v->map_trie.n) return lar_fail(err, LAR_EFORMAT, "%s: Precompiled without a map", key);
        }
        if (step.kind == NORM_BERT_CLEAN) add_bert(v, step.how);
        else add(v, step);
        if (known[k].then >= 0) add(v, (struct norm_step){.kind = (enum norm_kind)known[k].then});
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
        } else if (kind == NORM_ACCENTS) {
            if (!(unicode_of(cp).flags & UC_MARK)) buf_add(out, s.p + i, k);
        } else {
            buf_add(out, c, utf8_encode(unicode_lower(cp, &more), c));
            if (more) buf_add(out, c, utf8_encode(more, c));
        }
    }
}

void vocab_norm_lower(struct str s, struct buf *out) { by_character(NORM_LOWERCASE, s, out); }

/* Control characters go, what is white space in translation's eyes becomes a space. */
static void nmt(struct str s, struct buf *out)
{
    for (size_t i = 0, k; i < s.n; i += k) {
        uint32_t c = (unsigned char)s.p[i];
        k = c < 0x80 ? 1 : utf8_decode(s.p + i, s.n - i, &c);
        if (!k) {
            buf_putc(out, s.p[i]);
            k = 1;
        } else if ((c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f) {
            continue;
        } else if (c == 9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 || (c >= 0x200b && c <= 0x200f) ||
                   c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xfeff || c == 0xfffd) {
            buf_putc(out, ' ');
        } else {
            buf_add(out, s.p + i, k);
        }
    }
}

/* Bytes of white space (of spaces: any = 0) at the beginning of s, and their characters in *chars. */
static size_t blank(struct str s, int any, size_t *chars)
{
    size_t n = 0, k = 1;
    for (*chars = 0; n < s.n; n += k, ++*chars) {
        uint32_t c = (unsigned char)s.p[n];
        k = c < 0x80 ? 1 : utf8_decode(s.p + n, s.n - n, &c);
        if (!k || !(any ? (unicode_of(c).flags & UC_SPACE) != 0 : c == ' ')) break;
    }
    return n;
}

static void runs(const struct norm_step *step, struct str s, struct buf *out)
{
    size_t done = 0, chars, n;
    for (size_t i = 0; i < s.n; i += n) {
        n = blank(str_from(s, i), step->how & 1, &chars);
        if (chars < (step->how & 2 ? 2u : 1u)) {
            if (!n) n = 1;
            continue;
        }
        buf_add(out, s.p + done, i - done);
        buf_str(out, step->to);
        done = i + n;
    }
    buf_add(out, s.p + done, s.n - done);
}

static struct str strip(struct str s, unsigned how)
{
    size_t chars, at = s.n, k;
    if (how & 1) s = str_from(s, blank(s, 1, &chars));
    for (at = s.n; how & 2 && at > 0; s.n = at) {
        size_t i = at - 1;
        while (i > 0 && at - i < 4 && ((unsigned char)s.p[i] & 0xc0) == 0x80) i--;
        if (!(split_at(s.p, at, i, &k) & C_S) || i + k != at) break;
        at = i;
    }
    return s;
}

static void apply(const struct vocab *v, const struct norm_step *step, struct str s, struct buf *out)
{
    switch (step->kind) {
    case NORM_NFC: unicode_nfc(s, out); break;
    case NORM_NFD: unicode_nfd(s, out); break;
    case NORM_COMPAT: unicode_compat_of(s, out); break;
    case NORM_LOWERCASE:
    case NORM_ACCENTS: by_character(step->kind, s, out); break;
    case NORM_REPLACE: replace(step, s, out); break;
    case NORM_RUNS: runs(step, s, out); break;
    case NORM_NMT: nmt(s, out); break;
    case NORM_MAP: spm_map_clusters(v, s, out); break;
    case NORM_BERT_CLEAN: bert_clean(s, step->how, out); break;
    case NORM_BERT_FOLD: bert_fold(s, step->how, out); break;
    case NORM_PREPEND:
        if (s.n) buf_str(out, step->from);
        buf_str(out, s);
        break;
    case NORM_STRIP: break;
    }
}

int vocab_norm_apply(const struct vocab *v, struct str *s, struct buf *a, struct buf *b)
{
    size_t most = s->n < SIZE_MAX / NORM_TIMES - 64 ? NORM_TIMES * s->n + 64 : SIZE_MAX;
    for (size_t i = 0; i < v->nnorm; i++) {
        const struct norm_step *step = &v->norm[i];
        if (step->kind == NORM_NFC && unicode_is_nfc(*s)) continue;
        if (step->kind == NORM_STRIP) {
            *s = strip(*s, step->how);
            continue;
        }
        buf_clear(a);
        apply(v, step, *s, a);
        if (a->failed) return LAR_ENOMEM;
        if (a->n > most) return LAR_ELIMIT;
        *s = buf_view(a);
        struct buf *t = a;
        a = b;
        b = t;
    }
    return 0;
}
