/* SPDX-License-Identifier: Apache-2.0
 *
 * text/wordpiece.c: BERT's tokenizer: text is cleaned and cut at white space and punctuation, each word is covered with the longest
 * pieces from the left, or is unknown.
 *
 * A GGUF writes a piece that begins a word with U+2581 before it and one that continues a word bare (BERT's own file: bare, and with ##).
 * Both are found in one trie, by a space before the first. Cleaning is BertNormalizer's: control characters go, white space
 * becomes a space, Chinese characters stand alone; then, as the file says, accents go (NFD without nonspacing marks) and case.
 * A word of more than 100 characters is unknown. From a tokenizer.json all that is the normalizer's steps and words (vocab_words.c).
 */
#include "base/utf8.h"
#include "text/unicode.h"
#include "text/vocab_make.h"
#include "text/vocab_norm.h"

/* A piece of a tokenizer.json, which says which of them go on with a word. One that is found by its name as well is written by that. */
static int load_piece(struct vocab *v, int32_t id, struct lar_err *err)
{
    unsigned f = v->found[id];
    struct str s = vocab_raw(v, id);
    char key[PIECE_MAX + 1] = " ";
    int t = vocab_type_of(v, id);
    if (t == TOKEN_CONTROL || t == TOKEN_UNKNOWN || (f & MAKE_ADDED && !(f & MAKE_PIECE))) return 0;
    if (f & MAKE_ADDED) s = vocab_piece(v, id);
    if (f & MAKE_INNER) return vocab_trie_add(&v->pieces, v, id, f & MAKE_ADDED ? str_from(s, 2) : s, err);
    if (!(f & MAKE_ADDED)) return vocab_trie_add(&v->pieces, v, id, s, err); /* begins with a space */
    memcpy(key + 1, s.p, s.n);
    return vocab_trie_add(&v->pieces, v, id, (struct str){key, s.n + 1}, err);
}

int wordpiece_load(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    int rc;
    v->lowercase = 1;
    if (!v->word_max) v->word_max = WORD_MAX;
    if ((rc = gguf_bool(g, "tokenizer.ggml.normalizer.lowercase", &v->lowercase, err)) < 0) return rc;
    v->strip_accents = v->lowercase;
    if ((rc = gguf_bool(g, "tokenizer.ggml.normalizer.strip_accents", &v->strip_accents, err)) < 0) return rc;
    if (v->unk < 0)
        return lar_fail(err, LAR_EFORMAT, "tokenizer.ggml.unknown_token_id: missing; a bert tokenizer needs it");
    rc = 0;
    for (int32_t i = 0; i < v->n && rc == 0; i++) {
        int t = vocab_type_of(v, i);
        if (v->words >= 0) rc = load_piece(v, i, err);
        else if (t != TOKEN_CONTROL && t != TOKEN_UNKNOWN)
            rc = vocab_trie_add(&v->pieces, v, i, vocab_raw(v, i), err);
    }
    return rc;
}

/* The blocks of Chinese characters as BERT lists them. */
static int is_chinese(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) ||
           (c >= 0x2a700 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0x2f800 && c <= 0x2fa1f);
}

static void put(struct buf *b, uint32_t cp)
{
    char c[4];
    buf_add(b, c, utf8_encode(cp, c));
}

/* Without what BERT deletes; white space as spaces; spaces round Chinese characters. Bytes that are no UTF-8 count as
 * U+FFFD, which is deleted. */
void bert_clean(struct str s, unsigned how, struct buf *out)
{
    for (size_t i = 0, k; i < s.n; i += k) {
        uint32_t cp = 0xfffd;
        for (k = 0; i + k < s.n && s.p[i + k] >= ' ' && s.p[i + k] < 0x7f; k++) continue;
        if (k) { /* plain ASCII */
            buf_add(out, s.p + i, k);
            continue;
        }
        k = utf8_decode(s.p + i, s.n - i, &cp);
        if (!k) k = 1;
        unsigned flags = how & BERT_CLEAN ? unicode_of(cp).flags : 0;
        if (flags & UC_BERT_DELETE) continue;
        if (flags & UC_SPACE) buf_putc(out, ' ');
        else if (how & BERT_CHINESE && is_chinese(cp)) {
            buf_putc(out, ' ');
            buf_add(out, s.p + i, k);
            buf_putc(out, ' ');
        } else {
            buf_add(out, s.p + i, k);
        }
    }
}

/* Takes away accents' marks, lowers what is left. */
void bert_fold(struct str s, unsigned how, struct buf *out)
{
    int lower = (how & BERT_LOWER) != 0;
    for (size_t i = 0; i < s.n;) {
        uint32_t cp, more = 0;
        size_t run = 0, k;
        while (i + run < s.n && (unsigned char)s.p[i + run] < 0x80) run++;
        char *room = run ? buf_room(out, run) : NULL;
        for (size_t j = 0; room && j < run; j++)
            room[j] = lower && (unsigned char)(s.p[i + j] - 'A') < 26 ? (char)(s.p[i + j] | 32) : s.p[i + j];
        if (room) out->n += run;
        if ((i += run) == s.n) break;
        k = utf8_decode(s.p + i, s.n - i, &cp);
        if (!k) {
            buf_putc(out, s.p[i++]);
            continue;
        }
        i += k;
        if (how & BERT_ACCENTS && (unicode_of(cp).flags & UC_BERT_MARK)) continue;
        if (lower) cp = unicode_lower(cp, &more);
        put(out, cp);
        if (more) put(out, more);
    }
}

/* A word that is written with ## begins with pieces that go on with one as well: to the reference both are names (tokenizer.json). */
static int32_t longest_first(const struct vocab *v, struct str word, size_t *n)
{
    size_t m;
    int32_t id = trie_longest(&v->pieces, word, n), inner = -1;
    if (v->words >= 0 && str_starts(word, STR(" ##"))) inner = trie_longest(&v->pieces, str_from(word, 3), &m);
    if (inner < 0 || (id >= 0 && m + 3 <= *n)) return id;
    *n = m + 3;
    return inner;
}

/* The longest pieces from the left over one word; all of it or unknown. */
int wordpiece_word(struct encoder *e, struct str w)
{
    const struct vocab *v = e->v;
    size_t start = e->out->n, chars = 0, n;
    for (size_t i = 0; i < w.n; i++) chars += ((unsigned char)w.p[i] & 0xc0) != 0x80;
    if (chars > v->word_max || w.n > 4 * v->word_max) return encoder_push(e, v->unk);
    char text[1 + 4 * WORD_MAX_MOST];
    text[0] = ' ';
    memcpy(text + 1, w.p, w.n);
    struct str rest = {text, w.n + 1};
    while (rest.n) {
        int32_t id = rest.p == text ? longest_first(v, rest, &n) : trie_longest(&v->pieces, rest, &n);
        if (id < 0 || (rest.p == text && n == 1)) { /* a space alone begins no word */
            e->out->n = start;
            return encoder_push(e, v->unk);
        }
        int rc = encoder_push(e, id);
        if (rc < 0) return rc;
        rest = str_from(rest, n);
    }
    return 0;
}

/* s as words are looked up: cleaned, without accents and case as the file says. In e->norm or e->norm2; NULL when out of memory. */
static struct buf *normalise(struct encoder *e, struct str s)
{
    const struct vocab *v = e->v;
    struct buf *a = &e->norm, *b = &e->norm2;
    buf_clear(a);
    bert_clean(s, BERT_CLEAN | BERT_CHINESE, a);
    if (v->strip_accents) {
        buf_clear(b);
        unicode_nfd(buf_view(a), b);
        struct buf *t = a;
        a = b;
        b = t;
    }
    buf_clear(b);
    bert_fold(buf_view(a), (v->strip_accents ? BERT_ACCENTS : 0u) | (v->lowercase ? BERT_LOWER : 0u), b);
    return a->failed || b->failed ? NULL : b;
}

int wordpiece_encode(struct encoder *e, struct str s)
{
    const struct vocab *v = e->v;
    const struct buf *b = normalise(e, s);
    if (!b) return encoder_nomem(e);
    int rc = 0;
    struct str t = buf_view(b);
    size_t word = 0;
    for (size_t i = 0, k; i < t.n && rc == 0; i += k) {
        enum word_class kind = vocab_word_class(v, t, i, &k);
        if (kind == CLASS_INSIDE) continue;
        if (i > word) rc = wordpiece_word(e, (struct str){t.p + word, i - word});
        if (kind == CLASS_ALONE && rc == 0) rc = wordpiece_word(e, (struct str){t.p + i, k});
        word = i + k;
    }
    if (rc == 0 && t.n > word) rc = wordpiece_word(e, str_from(t, word));
    return rc;
}

/* ---- with places ----------------------------------------------------------------------------------------------------- */

/* A word on its way: its bytes as looked up, and where each comes from. */
struct word {
    struct buf text, from; /* from: struct vocab_place of each byte */
};

/* Encodes and empties w. A piece's place goes from its first byte's to its last one's; an unknown word's is all of it. */
static int place_word(struct encoder *e, struct word *w, struct places *places)
{
    size_t start = e->out->n, at = 0;
    const struct vocab_place *from = (const struct vocab_place *)(void *)w->from.p;
    if (!w->text.n) return 0;
    int rc = wordpiece_word(e, buf_view(&w->text));
    for (size_t i = start; i < e->out->n && rc == 0; i++) {
        int32_t id = e->out->id[i];
        int inner = e->v->words >= 0 && e->v->found[id] & MAKE_INNER;
        size_t n = id == e->v->unk ? w->text.n : vocab_raw(e->v, id).n - (i == start && !inner);
        if (inner && i == start) n += 2; /* its ## */
        rc = places_add(e, places, (struct vocab_place){from[at].begin, from[at + n - 1].end});
        at += n;
    }
    buf_clear(&w->text);
    buf_clear(&w->from);
    return rc;
}

/* What one character at `place` became: words grow by it or end. */
static int place_char(struct encoder *e, struct str t, struct vocab_place place, struct word *w,
                      struct places *places)
{
    int rc = 0;
    for (size_t i = 0, k; i < t.n && rc == 0; i += k) {
        enum word_class kind = vocab_word_class(e->v, t, i, &k);
        if (kind != CLASS_INSIDE) rc = place_word(e, w, places);
        if (kind == CLASS_SPACE) continue;
        buf_add(&w->text, t.p + i, k);
        for (size_t j = 0; j < k; j++) buf_add(&w->from, &place, sizeof place);
        if (w->text.failed || w->from.failed) return encoder_nomem(e);
        if (kind == CLASS_ALONE && rc == 0) rc = place_word(e, w, places);
    }
    return rc;
}

/* Each character is normalised by itself, which gives what the whole text gives: marks that would change places are stripped. */
int wordpiece_places(struct encoder *e, struct str s, size_t base, struct places *places)
{
    struct word w = {0};
    int rc = 0;
    for (size_t i = 0, k; i < s.n && rc == 0; i += k) {
        uint32_t cp;
        k = utf8_decode(s.p + i, s.n - i, &cp);
        if (!k) k = 1;
        struct str c = {s.p + i, k};
        if (e->v->words >= 0) {
            if (vocab_norm_apply(e->v, &c, &e->step, &e->step2) < 0) rc = encoder_nomem(e);
        } else {
            const struct buf *b = normalise(e, c);
            if (b) c = buf_view(b);
            else rc = encoder_nomem(e);
        }
        if (rc == 0) rc = place_char(e, c, (struct vocab_place){base + i, base + i + k}, &w, places);
    }
    if (rc == 0) rc = place_word(e, &w, places);
    buf_done(&w.text);
    buf_done(&w.from);
    return rc;
}
