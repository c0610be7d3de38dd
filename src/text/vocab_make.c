/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_make.c: the tokens of a tokenizer as they are collected, and the keys of a GGUF that say the same.
 */
#include "text/vocab_make.h"

#include "io/gguf_keys.h"

#include <stdio.h>

int vocab_make_init(struct vocab_make *m, struct lar_err *err)
{
    *m = (struct vocab_make){.prefix = -1,
                             .words = -1,
                             .remove_spaces = -1,
                             .lowercase = -1,
                             .strip_accents = -1,
                             .ignore_merges = -1};
    m->special = (struct vocab_special){-1, -1, -1, -1, -1, -1, -1, -1, -1,
                                        -1, -1, -1, -1, -1, -1, -1, -1, -1};
    arena_init(&m->a, 0);
    return vocab_make_room(m, 1024, err) < 0 ? LAR_ENOMEM : (m->n = 0, 0);
}

void vocab_make_done(struct vocab_make *m)
{
    mem_free(m->token);
    mem_free(m->type);
    mem_free(m->added);
    mem_free(m->score);
    arena_done(&m->a);
}

/* p with room for n things of size bytes, the new ones zero; NULL when there is none (p is then as it was). */
static void *grown(void *p, size_t old, size_t n, size_t size)
{
    char *q = mem_resize(p, n * size);
    if (q) memset(q + old * size, 0, (n - old) * size);
    return q;
}

int vocab_make_room(struct vocab_make *m, size_t n, struct lar_err *err)
{
    if (n <= m->n) return 0;
    if (n > MAKE_IDS_MAX)
        return lar_fail(err, LAR_ELIMIT, "tokenizer: %zu tokens, %d is the most", n, MAKE_IDS_MAX);
    if (n > m->cap) {
        size_t cap = m->cap ? m->cap : 1024;
        while (cap < n) cap *= 2;
        void *p;
#define GROW(field) ((p = grown(m->field, m->cap, cap, sizeof *m->field)) ? (m->field = p, 1) : 0)
        if (!GROW(token) || !GROW(type) || !GROW(added) || !GROW(score))
            return lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory for %zu tokens", n);
#undef GROW
        m->cap = cap;
    }
    m->n = n;
    return 0;
}

int vocab_make_token(struct vocab_make *m, int64_t id, struct str text, enum token_type type,
                     double score, struct lar_err *err)
{
    if (id < 0 || id >= MAKE_IDS_MAX)
        return lar_fail(err, LAR_EFORMAT, "tokenizer: the token \"%.*s\" has the id %lld",
                        STR_ARG(text), (long long)id);
    int rc = vocab_make_room(m, (size_t)id + 1, err);
    if (rc < 0) return rc;
    m->token[id] = text;
    m->type[id] = (uint8_t)type;
    m->score[id] = score;
    return 0;
}

int32_t vocab_make_find(const struct vocab_make *m, struct str text)
{
    for (size_t i = 0; text.n && i < m->n; i++)
        if (m->token[i].n == text.n && str_eq(m->token[i], text)) return (int32_t)i;
    return -1;
}

int make_list_add(struct make_list *l, struct str s, struct lar_err *err)
{
    if (l->n == MAKE_LIST)
        return lar_fail(err, LAR_EUNSUPPORTED, "tokenizer: more than %d steps, the next is %.*s",
                        MAKE_LIST, STR_ARG(s));
    l->s[l->n++] = s;
    return 0;
}

/* ---- the keys ----------------------------------------------------------------------------------------------------- */

static void put_str(struct gguf_keys *k, const char *key, struct str s)
{
    if (s.n) gguf_keys_str(k, key, s);
}

/* flag: -1 where nothing is said */
static void put_bool(struct gguf_keys *k, const char *key, int flag)
{
    if (flag >= 0) gguf_keys_bool(k, key, flag);
}

static void put_id(struct gguf_keys *k, const char *key, int32_t id)
{
    if (id >= 0) gguf_keys_u32(k, key, (uint32_t)id);
}

/* Other programs know floats; a Unigram of Hugging Face's own trainer has doubles, by which ties fall. */
static int put_scores(struct gguf_keys *k, struct vocab_make *m)
{
    float *f = arena_array(&m->a, m->n, sizeof *f);
    int same = 1;
    for (size_t i = 0; f && i < m->n; i++) {
        f[i] = (float)m->score[i];
        same &= (double)f[i] >= m->score[i] && (double)f[i] <= m->score[i];
    }
    if (!f) return LAR_ENOMEM;
    gguf_keys_array(k, "tokenizer.ggml.scores", GGUF_F32, f, m->n);
    if (!same) gguf_keys_array(k, "tokenizer.lar.scores", GGUF_F64, m->score, m->n);
    return 0;
}

static int put_tokens(struct gguf_keys *k, struct vocab_make *m, struct lar_err *err)
{
    int32_t *type = arena_array(&m->a, m->n, sizeof *type);
    if (!type) return lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory for %zu tokens", m->n);
    for (size_t i = 0; i < m->n; i++) type[i] = m->type[i];
    gguf_keys_strs(k, "tokenizer.ggml.tokens", m->token, m->n);
    gguf_keys_array(k, "tokenizer.ggml.token_type", GGUF_I32, type, m->n);
    if (m->scores && put_scores(k, m) < 0)
        return lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory for %zu tokens", m->n);
    if (m->nmerge || !strcmp(m->model, "gpt2") || (m->words >= 0 && m->merge))
        gguf_keys_strs(k, "tokenizer.ggml.merges", m->merge, m->nmerge);
    if (m->exact) gguf_keys_array(k, "tokenizer.lar.added", GGUF_U8, m->added, m->n);
    return 0;
}

static void put_special(struct gguf_keys *k, const struct vocab_make *m)
{
    const struct vocab_special *sp = &m->special;
    put_id(k, "tokenizer.ggml.bos_token_id", sp->bos);
    put_id(k, "tokenizer.ggml.eos_token_id", sp->eos);
    put_id(k, "tokenizer.ggml.eot_token_id", sp->eot);
    put_id(k, "tokenizer.ggml.unknown_token_id", sp->unk);
    put_id(k, "tokenizer.ggml.seperator_token_id", sp->sep); /* spelled so */
    put_id(k, "tokenizer.ggml.padding_token_id", sp->pad);
    put_id(k, "tokenizer.ggml.cls_token_id", sp->cls);
    put_id(k, "tokenizer.ggml.mask_token_id", sp->mask);
    put_bool(k, "tokenizer.ggml.add_bos_token", sp->add_bos);
    put_bool(k, "tokenizer.ggml.add_eos_token", sp->add_eos);
    put_bool(k, "tokenizer.ggml.add_sep_token", sp->add_sep);
    if (!m->lists) return;
    gguf_keys_array(k, "tokenizer.lar.before", GGUF_I32, m->before, m->nbefore);
    gguf_keys_array(k, "tokenizer.lar.after", GGUF_I32, m->after, m->nafter);
}

/* Steps as split_regex.h reads them. */
static void put_split(struct gguf_keys *k, struct vocab_make *m)
{
    struct buf b = {0};
    struct str s[MAKE_LIST];
    size_t at[MAKE_LIST + 1] = {0};
    for (size_t i = 0; i < m->split.n; i++) {
        int punctuation = m->punctuation >> i & 1, all = punctuation && str_ends(m->split.s[i], STR("+"));
        buf_putc(&b, (char)m->how[i]);
        buf_puts(&b, m->inverted[i] ? "!\x1f" : "\x1f");
        if (punctuation) buf_puts(&b, all ? "\\p{BertPunctuation}+" : "\\p{BertPunctuation}");
        else buf_str(&b, m->split.s[i]);
        at[i + 1] = b.n;
    }
    for (size_t i = 0; i < m->split.n && !b.failed; i++) s[i] = (struct str){b.p + at[i], at[i + 1] - at[i]};
    if (b.failed) k->b.failed = 1;
    else if (m->split.n) gguf_keys_strs(k, "tokenizer.lar.split", s, m->split.n);
    buf_done(&b);
}

static void put_rules(struct gguf_keys *k, const struct vocab_make *m)
{
    if (m->prefix >= 0) {
        gguf_keys_bool(k, "tokenizer.ggml.add_space_prefix", m->prefix != PREFIX_NONE);
        gguf_keys_u32(k, "tokenizer.lar.prefix", (uint32_t)m->prefix);
    }
    put_bool(k, "tokenizer.ggml.remove_extra_whitespaces", m->remove_spaces);
    put_bool(k, "tokenizer.ggml.normalizer.lowercase", m->lowercase);
    put_bool(k, "tokenizer.ggml.normalizer.strip_accents", m->strip_accents);
    put_bool(k, "tokenizer.lar.ignore_merges", m->ignore_merges);
    if (m->exact) gguf_keys_strs(k, "tokenizer.lar.normalizer", m->normalizer.s, m->normalizer.n);
    if (m->words >= 0) gguf_keys_u32(k, "tokenizer.lar.words", (uint32_t)m->words);
    if (m->word_max > 0) gguf_keys_u32(k, "tokenizer.lar.word_max", (uint32_t)m->word_max);
    if (m->charsmap.n)
        gguf_keys_array(k, "tokenizer.ggml.precompiled_charsmap", GGUF_U8, m->charsmap.p,
                        m->charsmap.n);
}

/* Ids that no token has, up to the last: nobody can write them, and they stand for nothing. */
static int name_gaps(struct vocab_make *m, struct lar_err *err)
{
    for (size_t i = 0; i < m->n; i++) {
        char name[24];
        if (m->token[i].n) continue;
        int k = snprintf(name, sizeof name, "[PAD%zu]", i);
        const char *text = arena_copy(&m->a, name, (size_t)k);
        if (!text) return lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory");
        m->token[i] = (struct str){text, (size_t)k};
        m->type[i] = TOKEN_UNUSED;
        m->score[i] = -1000;
    }
    return 0;
}

static void put_u64(struct buf *b, uint64_t v)
{
    for (int i = 0; i < 8; i++) buf_putc(b, (char)(v >> 8 * i));
}

int vocab_make_image(struct vocab_make *m, struct buf *out, struct lar_err *err)
{
    struct gguf_keys k = {.n = 0};
    int rc = name_gaps(m, err);
    if (rc == 0 && !m->n) rc = lar_fail(err, LAR_EFORMAT, "tokenizer: it has no tokens");
    if (rc < 0) return rc;
    put_str(&k, "tokenizer.ggml.model", str_of(m->model));
    put_str(&k, "tokenizer.ggml.pre", m->pre);
    rc = put_tokens(&k, m, err);
    put_special(&k, m);
    put_rules(&k, m);
    put_split(&k, m);
    put_str(&k, "tokenizer.chat_template", m->chat_template);
    buf_add(out, "GGUF\3\0\0", 8);
    put_u64(out, 0); /* tensors */
    put_u64(out, k.n);
    buf_str(out, buf_view(&k.b));
    if (rc == 0 && (out->failed || k.b.failed || k.at.failed))
        rc = lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory for %zu tokens", m->n);
    gguf_keys_done(&k);
    return rc;
}
