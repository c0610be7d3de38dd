/* SPDX-License-Identifier: Apache-2.0
 *
 * text/spm_load.c: what a GGUF says, and does not say, about a SentencePiece model's normaliser.
 *
 * Keys exist for the prefix (a space before the text), for the removal of white space (t5 files only) and for the map of characters
 * (t5 only). Two things have none and are read off the vocabulary:
 *   - llama files never tell whether white space is collapsed. SentencePiece does so by default; a vocabulary made that way can hold no
 *     piece with two spaces. LLaMA switched it off together with turning on bytes for unknown characters. So: it is on when there are neither
 *     byte tokens nor such pieces.
 *   - Whether a prefix follows control tokens too. SentencePiece, and Hugging Face's older Llama tokenizers, put one before every
 *     stretch of text; with legacy=false only the beginning of the text gets one, and none when it begins with a space. llama.cpp's converter, when
 *     it adds tokens to a tokenizer.model, scores them -1000. A file whose appended control tokens are scored like pieces was not made from one: it
 *     comes from a tokenizer.json, where legacy=false is what today's files say.
 */
#include "text/bpe.h"

static int has_two_spaces(const struct vocab *v)
{
    for (int32_t i = 0; i < v->n; i++) {
        struct str s = vocab_raw(v, i);
        for (size_t k = 1; k < s.n; k++)
            if (s.p[k] == ' ' && s.p[k - 1] == ' ') return 1;
    }
    return 0;
}

/* Control tokens behind the last piece, and not scored as the converter scores what it adds. */
static int has_appended_control(const struct vocab *v)
{
    int found = 0;
    for (int32_t i = v->n - 1; i >= 0; i--) {
        int t = vocab_type_of(v, i);
        if (t == TOKEN_NORMAL || t == TOKEN_BYTE || t == TOKEN_UNUSED) break;
        if (v->score[i] <= -1000) return 0;
        if (t == TOKEN_CONTROL) found = 1;
    }
    return found;
}

/* Of type unused, and two pieces could merge to it: not so the names that fill up a model's rows. */
static int is_unused_piece(const struct vocab *v, int32_t id)
{
    struct str s = vocab_raw(v, id);
    if (vocab_type_of(v, id) != TOKEN_UNUSED || !s.n) return 0;
    if (bpe_char_length(s.p[0]) >= s.n) return 1; /* one character */
    for (size_t k = 1; k < s.n; k++)
        if (vocab_find_raw(v, vocab_key(s.p, k), s.p, k) >= 0 &&
            vocab_find_raw(v, vocab_key(s.p + k, s.n - k), s.p + k, s.n - k) >= 0)
            return 1;
    return 0;
}

int spm_load_map(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    const char *key = "tokenizer.ggml.precompiled_charsmap";
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv || (kv->type == GGUF_ARRAY && !kv->count)) return 0;
    if (kv->type != GGUF_ARRAY || (kv->etype != GGUF_U8 && kv->etype != GGUF_I8))
        return lar_fail(err, LAR_EFORMAT, "%s: is %s, expected an array of u8", key, gguf_type_name(kv->type));
    uint64_t n = 0;
    for (int i = 0; i < 4 && kv->bytes >= 4; i++) n |= (uint64_t)kv->data[i] << 8 * i;
    if (kv->bytes < 8 || !n || n % 4 || n >= kv->bytes - 4)
        return lar_fail(err, LAR_EFORMAT, "%s: %llu bytes with a trie of %llu", key,
                        (unsigned long long)kv->bytes, (unsigned long long)n);
    v->map_trie = (struct str){(const char *)kv->data + 4, (size_t)n};
    v->map_text = (struct str){(const char *)kv->data + 4 + n, (size_t)(kv->bytes - 4 - n)};
    return 0;
}

int spm_load(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    int rc, add_prefix = 1;
    v->remove_spaces = v->kind == VOCAB_UNIGRAM || (!v->byte_tokens && !has_two_spaces(v));
    if ((rc = gguf_bool(g, "tokenizer.ggml.add_space_prefix", &add_prefix, err)) < 0) return rc;
    if ((rc = gguf_bool(g, "tokenizer.ggml.remove_extra_whitespaces", &v->remove_spaces, err)) < 0) return rc;
    if (v->prefix < 0)
        v->prefix = !add_prefix                                        ? PREFIX_NONE
                    : v->kind == VOCAB_SPM && has_appended_control(v) ? PREFIX_FIRST
                                                                      : PREFIX_ALWAYS;
    for (int32_t i = 0; i < v->n && !v->unused_pieces; i++) v->unused_pieces = is_unused_piece(v, i);
    if ((rc = vocab_load_joins(v, err)) < 0) return rc;
    return spm_load_map(v, g, err);
}
