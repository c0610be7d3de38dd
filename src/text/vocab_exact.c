/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_exact.c: the keys of Lar's own (vocab_make.h lists them), for tokenizers that were made from their own files.
 * A file without them is read as before: prefix is then -1 here, for spm_load.c to decide.
 */
#include "text/vocab_make.h"
#include "text/vocab_norm.h"

int vocab_load_found(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    const struct gguf_kv *kv = gguf_find(g, "tokenizer.lar.added");
    int64_t words = -1;
    int rc = gguf_i64(g, "tokenizer.lar.words", &words, err);
    if (rc < 0) return rc;
    if (words < -1 || words > WORDS_ALL || (words >= 0 && !kv))
        return lar_fail(err, LAR_EFORMAT, "tokenizer.lar.words: %lld, expected 0 to %d beside tokenizer.lar.added",
                        (long long)words, WORDS_ALL);
    v->words = v->kind == VOCAB_BPE || v->kind == VOCAB_RWKV ? -1 : (int)words;
    if (!kv) return 0;
    if (kv->type != GGUF_ARRAY || kv->etype != GGUF_U8 || kv->count < (uint64_t)v->n)
        return lar_fail(
            err, LAR_EFORMAT,
            "tokenizer.lar.added: %llu values of type %s, expected %d of u8, one a token",
            (unsigned long long)kv->count, gguf_type_name(kv->etype), v->n);
    v->exact = 1;
    v->found = kv->data;
    return 0;
}

static int load_list(struct vocab *v, const struct gguf *g, const char *key, int32_t *id, size_t *n,
                     struct lar_err *err)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv) return 0;
    if (kv->type != GGUF_ARRAY || !gguf_is_int(kv->etype) || kv->count > ADDED_IDS)
        return lar_fail(err, LAR_EFORMAT, "%s: expected at most %d ids", key, ADDED_IDS);
    for (size_t i = 0; i < kv->count; i++) {
        int64_t x = gguf_int_at(kv, i);
        if (x < 0 || x >= v->n)
            return lar_fail(err, LAR_EFORMAT, "%s: %lld is no token; there are %d", key,
                            (long long)x, v->n);
        id[i] = (int32_t)x;
    }
    *n = kv->count;
    v->lists = 1;
    return 0;
}

int vocab_load_exact(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    int64_t prefix = -1, word_max = WORD_MAX;
    int ignore = -1, rc;
    v->split_flags = v->split ? v->split->flags : 0;
    if ((rc = load_list(v, g, "tokenizer.lar.before", v->before, &v->nbefore, err)) < 0) return rc;
    if ((rc = load_list(v, g, "tokenizer.lar.after", v->after, &v->nafter, err)) < 0) return rc;
    if ((rc = gguf_i64(g, "tokenizer.lar.prefix", &prefix, err)) < 0) return rc;
    if (rc == 1 && (prefix < PREFIX_NONE || prefix > PREFIX_FIRST))
        return lar_fail(err, LAR_EFORMAT, "tokenizer.lar.prefix: %lld, expected 0 to 3",
                        (long long)prefix);
    v->prefix = (int)prefix;
    if ((rc = gguf_i64(g, "tokenizer.lar.word_max", &word_max, err)) < 0) return rc;
    if (word_max < 1 || word_max > WORD_MAX_MOST)
        return lar_fail(err, LAR_EFORMAT, "tokenizer.lar.word_max: %lld, expected 1 to %d", (long long)word_max,
                        WORD_MAX_MOST);
    v->word_max = (size_t)word_max;
    if ((rc = gguf_bool(g, "tokenizer.lar.ignore_merges", &ignore, err)) < 0) return rc;
    if (ignore == 0) v->split_flags &= ~(unsigned)SPLIT_IGNORE_MERGES;
    if (ignore > 0) v->split_flags |= SPLIT_IGNORE_MERGES;
    if (gguf_find(g, "tokenizer.lar.normalizer"))
        v->split_flags &= ~(unsigned)SPLIT_NFC; /* it stands there if it is to be done */
    return vocab_norm_load(v, g, err);
}
