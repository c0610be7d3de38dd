/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab.c: opening a tokenizer from a GGUF's keys, and asking it about its tokens.
 *
 * tokenizer.ggml.model names the kind, tokenizer.ggml.pre the splitter of byte-level BPE. What an unknown name would need is not
 * guessed: the file is refused with the names that are known.
 */
#include "text/vocab.h"

#include "text/vocab_impl.h"

static const struct {
    const char *model;
    enum vocab_kind kind;
} kinds[] = {
    {"gpt2", VOCAB_BPE},   {"llama", VOCAB_SPM},      {"gemma4", VOCAB_CHARS},
    {"t5", VOCAB_UNIGRAM}, {"bert", VOCAB_WORDPIECE}, {"rwkv", VOCAB_RWKV},
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static int load_kind(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    struct str model = STR("");
    int rc = gguf_str(g, "tokenizer.ggml.model", &model, err);
    if (rc < 0) return rc;
    if (rc == 0)
        return lar_fail(err, LAR_EFORMAT, "tokenizer.ggml.model: missing; this file has no tokenizer");
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (!str_is(model, kinds[i].model)) continue;
        v->kind = kinds[i].kind;
        /* Merges over characters under the other name: ggml tells them by the splitter's. */
        struct str pre = STR("");
        if ((rc = gguf_str(g, "tokenizer.ggml.pre", &pre, err)) < 0) return rc;
        if (v->kind == VOCAB_BPE && (str_is(pre, "gemma4") || str_is(pre, "granite-embed-multi-311m")))
            v->kind = VOCAB_CHARS;
        return 0;
    }
    return lar_fail(err, LAR_EUNSUPPORTED,
                    "tokenizer.ggml.model: \"%.*s\" is unknown; known are gpt2, llama, gemma4, t5, bert and rwkv",
                    STR_ARG(model));
}

static int load_splitter(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    struct str pre = STR(""), arch = STR("");
    int rc = split_own_open(&v->own, g, err);
    if (rc != 0) return rc < 0 ? rc : 0;
    if ((rc = gguf_str(g, "tokenizer.ggml.pre", &pre, err)) < 0) return rc;
    if ((rc = gguf_str(g, "general.architecture", &arch, err)) < 0) return rc;
    v->split = pre.n && !str_is(pre, "default") ? split_find(pre) : split_find_arch(arch);
    if (v->split) return 0;
    struct buf names = {0};
    split_names(&names);
    rc = lar_fail(err, LAR_EUNSUPPORTED,
                  "tokenizer.ggml.pre: \"%.*s\" is unknown; a model's folder, whose tokenizer.json says more, may do. "
                  "Known are %s",
                  STR_ARG(pre), buf_z(&names));
    buf_done(&names);
    return rc;
}

/* SentencePiece vocabularies that were made from a Hugging Face file keep its merges and have no scores worth the name: all are
 * equal. The merges say the same and more. */
static int merges_instead(const struct vocab *v, const struct gguf *g)
{
    if (!gguf_find(g, "tokenizer.ggml.merges")) return 0;
    if (v->exact) return 1;
    for (int32_t i = 1; i < v->n; i++)
        if (v->score[i] < v->score[0] || v->score[i] > v->score[0]) return 0;
    return 1;
}

static int load(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    int rc;
    if ((rc = load_kind(v, g, err)) < 0) return rc;
    if (v->kind == VOCAB_BPE && (rc = load_splitter(v, g, err)) < 0) return rc;
    if ((rc = vocab_load_pieces(v, g, err)) < 0) return rc;
    if ((rc = vocab_load_exact(v, g, err)) < 0) return rc;
    if ((rc = vocab_load_special(v, g, err)) < 0) return rc;
    switch (v->kind) {
    case VOCAB_BPE:
    case VOCAB_CHARS:
        if (v->prefix < 0) v->prefix = PREFIX_NONE;
        rc = bpe_load(v, g, err);
        break;
    case VOCAB_SPM:
        if ((rc = vocab_load_scores(v, g, err)) < 0 || (rc = spm_load(v, g, err)) < 0) return rc;
        if (merges_instead(v, g)) {
            v->kind = VOCAB_CHARS;
            rc = bpe_load(v, g, err);
        } else if (v->words >= 0) {
            rc = lar_fail(err, LAR_EFORMAT, "tokenizer.ggml.merges: missing; a file with tokenizer.lar.words has them");
        }
        break;
    case VOCAB_UNIGRAM:
        if ((rc = vocab_load_scores(v, g, err)) < 0 || (rc = spm_load(v, g, err)) < 0) return rc;
        rc = unigram_load(v, g, err);
        break;
    case VOCAB_WORDPIECE: rc = wordpiece_load(v, g, err); break;
    case VOCAB_RWKV: rc = rwkv_load(v, err); break;
    }
    return rc < 0 ? rc : vocab_load_added(v, err);
}

int vocab_open(struct vocab **out, const struct gguf *g, struct lar_err *err)
{
    *out = NULL;
    struct vocab *v = mem_zalloc(sizeof *v);
    if (!v) return lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory");
    arena_init(&v->a, 0);
    int rc = load(v, g, err);
    if (rc < 0) {
        vocab_close(v);
        return rc;
    }
    *out = v;
    return 0;
}

void vocab_close(struct vocab *v)
{
    if (!v) return;
    split_own_close(v->own);
    trie_done(&v->added);
    trie_done(&v->added_norm);
    trie_done(&v->verbatim);
    trie_done(&v->user);
    trie_done(&v->pieces);
    arena_done(&v->a);
    mem_free(v);
}

int32_t vocab_size(const struct vocab *v)
{
    return v->n;
}

static int is_token(const struct vocab *v, int32_t id)
{
    return id >= 0 && id < v->n;
}

struct str vocab_piece(const struct vocab *v, int32_t id)
{
    return is_token(v, id) ? gguf_str_at(v->tokens, (uint64_t)id) : (struct str){NULL, 0};
}

struct str vocab_bytes(const struct vocab *v, int32_t id)
{
    return is_token(v, id) ? vocab_raw(v, id) : (struct str){NULL, 0};
}

enum token_type vocab_type(const struct vocab *v, int32_t id)
{
    return is_token(v, id) ? (enum token_type)vocab_type_of(v, id) : (enum token_type)0;
}

int vocab_is_end(const struct vocab *v, int32_t id)
{
    return is_token(v, id) && (v->type[id] & TOKEN_ENDS);
}

const struct vocab_special *vocab_special(const struct vocab *v)
{
    return &v->special;
}

void ids_done(struct ids *l)
{
    mem_free(l->id);
    *l = (struct ids){0};
}

int ids_add(struct ids *l, int32_t id)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64, bytes;
        int32_t *p = mul_size(cap, sizeof *p, &bytes) ? NULL : mem_resize(l->id, bytes);
        if (!p) return LAR_ENOMEM;
        l->id = p;
        l->cap = cap;
    }
    l->id[l->n++] = id;
    return 0;
}
