/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_places.c: which bytes of a text each of its tokens stands for: what a token classifier's labels are of.
 *
 * Byte-level BPE changes no byte, so lengths add up; a token that holds a part of a character is said to be of all of it, and white space before a
 * word is not of the word, both as the reference reports them (ByteLevel, trim_offsets). WordPiece changes characters and is followed one by
 * one (wordpiece.c).
 */
#include "text/bpe.h"
#include "text/vocab_added.h"

void places_done(struct places *l)
{
    mem_free(l->at);
    *l = (struct places){0};
}

int places_add(struct encoder *e, struct places *l, struct vocab_place place)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64, bytes;
        struct vocab_place *p = mul_size(cap, sizeof *p, &bytes) ? NULL : mem_resize(l->at, bytes);
        if (!p) return encoder_nomem(e);
        l->at = p;
        l->cap = cap;
    }
    l->at[l->n++] = place;
    return 0;
}

static int inside(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

/* A token of bytes from..to of s, as it is reported. */
static struct vocab_place trimmed(struct str s, size_t from, size_t to, size_t base)
{
    while (from < to && (s.p[from] == ' ' || (s.p[from] >= '\t' && s.p[from] <= '\r'))) from++;
    while (from > 0 && from < s.n && inside(s.p[from])) from--;
    while (to < s.n && inside(s.p[to])) to++;
    return (struct vocab_place){base + from, base + to};
}

static int bpe_places(struct encoder *e, struct str s, size_t base, struct places *places)
{
    size_t start = e->out->n, at = 0;
    int rc = bpe_encode(e, s, base == 0 ? STRETCH_FIRST : 0);
    for (size_t i = start; i < e->out->n && rc == 0; i++) {
        size_t n = vocab_bytes(e->v, e->out->id[i]).n;
        if (n > s.n - at) break;
        rc = places_add(e, places, trimmed(s, at, at + n, base));
        at += n;
    }
    if (rc == 0 && at != s.n)
        return lar_fail(e->err, LAR_EUNSUPPORTED,
                        "this tokenizer changes the text, so that its tokens have no places in it");
    return rc;
}

static int stretch(struct encoder *e, struct str s, size_t base, struct places *places)
{
    if (e->v->kind == VOCAB_WORDPIECE) return wordpiece_places(e, s, base, places);
    if (e->v->kind == VOCAB_BPE) return bpe_places(e, s, base, places);
    return lar_fail(e->err, LAR_EUNSUPPORTED,
                    "where tokens lie in a text is known for WordPiece and byte-level BPE only");
}

static int encode(struct encoder *e, struct str s, struct places *places)
{
    struct added_search search = {.v = e->v, .trie = &e->v->added, .s = s, .flags = VOCAB_PARSE_SPECIAL};
    int rc = 0;
    for (struct added a; rc == 0;) {
        size_t done = search.done;
        a = vocab_added_next(&search);
        if (a.begin > done) rc = stretch(e, (struct str){s.p + done, a.begin - done}, done, places);
        if (a.id < 0) break;
        if (rc == 0) rc = encoder_push(e, a.id);
        if (rc == 0) rc = places_add(e, places, (struct vocab_place){a.begin, a.end});
    }
    return rc;
}

/* The ids must be those of vocab_encode: what it does besides (prefixes, normal forms) has no places here. */
static int check(const struct encoder *e, struct str s, size_t start)
{
    struct ids plain = {0};
    size_t n = e->out->n - start;
    int rc = vocab_encode(e->v, s, VOCAB_PARSE_SPECIAL, &plain, e->err);
    if (rc == 0 && (plain.n != n || (n && memcmp(plain.id, e->out->id + start, n * sizeof *plain.id))))
        rc = lar_fail(e->err, LAR_EUNSUPPORTED,
                      "this tokenizer changes the text, so that its tokens have no places in it");
    ids_done(&plain);
    return rc;
}

int vocab_encode_places(const struct vocab *v, struct str text, struct ids *out, struct places *places,
                        struct lar_err *err)
{
    struct encoder e = {.v = v, .out = out, .err = err};
    size_t start = out->n;
    if (text.n > INT32_MAX) return lar_fail(err, LAR_ELIMIT, "tokenizing: a text of %zu bytes", text.n);
    int rc = encode(&e, text, places);
    if (rc == 0) rc = check(&e, text, start);
    mem_free(e.scratch);
    buf_done(&e.norm);
    buf_done(&e.norm2);
    buf_done(&e.step);
    buf_done(&e.step2);
    return rc;
}
