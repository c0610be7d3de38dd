/* SPDX-License-Identifier: Apache-2.0
 * tests/vocab_build.h: small tokenizers made in memory as GGUF files, for tests of src/text/vocab.h. */
#ifndef VOCAB_BUILD_H
#define VOCAB_BUILD_H

#include "base/utf8.h"
#include "gguf_build.h"
#include "text/vocab.h"

#define K "tokenizer.ggml."

/* A vocabulary in the making: what is added here is written by vb_end. */
struct vb {
    struct gb g;          /* other keys may be added to it before vb_end */
    struct buf tokens, types, scores, merges;
    uint32_t ntoken, nmerge;
    const char *model, *pre;
    int no_types, no_scores, no_merges; /* leave these keys out */
};

struct vt { /* an open one */
    struct gb_file file;
    struct gguf g;
    struct vocab *v;
    struct lar_err err;
};

static inline void vb_token(struct vb *b, const char *p, size_t n, int type, float score)
{
    uint32_t u;
    memcpy(&u, &score, 4);
    gb_bytes(&b->tokens, p, n);
    gb_int(&b->types, (uint64_t)(int64_t)type, 4);
    gb_int(&b->scores, u, 4);
    b->ntoken++;
}

static inline void vb_add(struct vb *b, const char *z, int type, float score)
{
    vb_token(b, z, strlen(z), type, score);
}

static inline void vb_merge(struct vb *b, const char *z)
{
    gb_text(&b->merges, z);
    b->nmerge++;
}

/* The 256 tokens of GPT-2's alphabet, in the order of bytes: the id of a byte is the byte, when they come first. */
static inline void vb_alphabet(struct vb *b)
{
    for (int i = 0, next = 256; i < 256; i++) {
        int c = (i >= 0x21 && i <= 0x7e) || (i >= 0xa1 && i <= 0xac) || i >= 0xae ? i : next++;
        char s[2] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};
        if (c < 0x80) vb_token(b, (char[]){(char)c}, 1, TOKEN_NORMAL, 0);
        else vb_token(b, s, 2, TOKEN_NORMAL, 0);
    }
}

/* <0x00> to <0xFF> */
static inline void vb_bytes(struct vb *b)
{
    for (int i = 0; i < 256; i++) {
        char s[8];
        snprintf(s, sizeof s, "<0x%02X>", (unsigned)i);
        vb_add(b, s, TOKEN_BYTE, 0);
    }
}

/* A merge of two pieces in GPT-2's alphabet, and the token that it makes. */
static inline void vb_pair(struct vb *b, const char *left, const char *right)
{
    char s[256];
    snprintf(s, sizeof s, "%s %s", left, right);
    vb_merge(b, s);
    snprintf(s, sizeof s, "%s%s", left, right);
    vb_add(b, s, TOKEN_NORMAL, 0);
}

/* The file; b is empty afterwards. */
static inline struct gb_file vb_end(struct vb *b)
{
    if (b->model) gb_kv_text(&b->g, K "model", b->model);
    if (b->pre) gb_kv_text(&b->g, K "pre", b->pre);
    buf_str(gb_array(&b->g, K "tokens", GGUF_STRING, b->ntoken), buf_view(&b->tokens));
    if (!b->no_types) buf_str(gb_array(&b->g, K "token_type", GGUF_I32, b->ntoken), buf_view(&b->types));
    if (!b->no_scores) buf_str(gb_array(&b->g, K "scores", GGUF_F32, b->ntoken), buf_view(&b->scores));
    if (!b->no_merges) buf_str(gb_array(&b->g, K "merges", GGUF_STRING, b->nmerge), buf_view(&b->merges));
    buf_done(&b->tokens);
    buf_done(&b->types);
    buf_done(&b->scores);
    buf_done(&b->merges);
    struct gb_file f = gb_end(&b->g);
    *b = (struct vb){0};
    return f;
}

/* Opens what was built; t->v is NULL and t->err says why when it is refused. Gives the code. */
static inline int vt_open(struct vt *t, struct vb *b)
{
    *t = (struct vt){.file = vb_end(b)};
    int rc = gguf_open_memory(&t->g, t->file.p, t->file.n, &t->err);
    if (rc == 0) rc = vocab_open(&t->v, &t->g, &t->err);
    return rc;
}

static inline void vt_close(struct vt *t)
{
    vocab_close(t->v);
    gguf_close(&t->g);
    free(t->file.p);
    *t = (struct vt){0};
}

/* "1 2 3": the ids of text, in a static buffer. */
static inline const char *vt_ids_n(struct vt *t, const char *p, size_t n, unsigned flags)
{
    static struct buf out;
    struct ids ids = {0};
    buf_clear(&out);
    if (vocab_encode(t->v, (struct str){p, n}, flags, &ids, &t->err) < 0) buf_puts(&out, t->err.msg);
    for (size_t i = 0; i < ids.n; i++) buf_printf(&out, "%s%d", i ? " " : "", ids.id[i]);
    ids_done(&ids);
    return buf_z(&out);
}

static inline const char *vt_ids(struct vt *t, const char *z, unsigned flags)
{
    return vt_ids_n(t, z, strlen(z), flags);
}

/* "he|llo": the pieces of text. */
static inline const char *vt_pieces(struct vt *t, const char *z, unsigned flags)
{
    static struct buf out;
    struct ids ids = {0};
    buf_clear(&out);
    if (vocab_encode(t->v, str_of(z), flags, &ids, &t->err) < 0) buf_puts(&out, t->err.msg);
    for (size_t i = 0; i < ids.n; i++) {
        struct str s = vocab_piece(t->v, ids.id[i]);
        if (i) buf_putc(&out, '|');
        buf_str(&out, s);
    }
    ids_done(&ids);
    return buf_z(&out);
}

/* The text of n ids, one at a time, each step checked to be whole characters. */
static inline const char *vt_text(struct vt *t, const int32_t *id, size_t n, int special)
{
    static struct buf out;
    struct vocab_decoder d = {0};
    buf_clear(&out);
    for (size_t i = 0; i < n; i++) {
        size_t before = out.n;
        vocab_decode(t->v, &d, id[i], special, &out);
        CHECK(utf8_valid(buf_z(&out) + before, out.n - before));
    }
    vocab_decode_end(&d, &out);
    return buf_z(&out);
}

/* Text to ids to text. */
static inline const char *vt_round(struct vt *t, const char *p, size_t n, unsigned flags)
{
    struct ids ids = {0};
    if (vocab_encode(t->v, (struct str){p, n}, flags, &ids, &t->err) < 0) return t->err.msg;
    const char *z = vt_text(t, ids.id, ids.n, 1);
    ids_done(&ids);
    return z;
}

#endif
