/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_special.c: the tokens that have a part to play: begin, end, unknown, fill in the middle.
 *
 * A file names them by id; many name only some, so that tokens with well-known names are taken for what they are. Ends of an answer are
 * all of eos, eot, eom, the well-known names below, and the fill-in tokens that never stand in code. Many files give such a name the type
 * of ordinary text: it is taken for a control token all the same, as llama.cpp does (llama-vocab.cpp, "control-looking token").
 */
#include "text/vocab_impl.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const struct {
    const char *key;
    size_t field;
    int strict; /* generation depends on it: a wrong id is an error */
} keys[] = {
#define F(name) offsetof(struct vocab_special, name)
    {"bos_token_id", F(bos), 1},         {"eos_token_id", F(eos), 1},
    {"eot_token_id", F(eot), 1},         {"eom_token_id", F(eom), 1},
    {"unknown_token_id", F(unk), 0},     {"seperator_token_id", F(sep), 0},
    {"separator_token_id", F(sep), 0},   {"padding_token_id", F(pad), 0},
    {"cls_token_id", F(cls), 0},         {"mask_token_id", F(mask), 0},
    {"prefix_token_id", F(fim_pre), 0},  {"suffix_token_id", F(fim_suf), 0},
    {"middle_token_id", F(fim_mid), 0},  {"fim_pre_token_id", F(fim_pre), 0},
    {"fim_suf_token_id", F(fim_suf), 0}, {"fim_mid_token_id", F(fim_mid), 0},
    {"fim_pad_token_id", F(fim_pad), 0}, {"fim_rep_token_id", F(fim_rep), 0},
    {"fim_sep_token_id", F(fim_sep), 0},
};

/* Names by which a token is known where no key names it; the first that the vocabulary has. */
static const struct {
    size_t field;
    const char *names;
} known[] = {
    {F(eot), "<|eot_id|> <|im_end|> <|end|> <end_of_turn> <turn|> <|endoftext|> <|end_of_text|> <EOT> "
             "_<EOT> [EOT] <｜end▁of▁sentence｜> <end_of_utterance>"},
    {F(eom), "<|eom_id|>"},
    {F(fim_pre), "<|fim_prefix|> <fim-prefix> <fim_prefix> <｜fim▁begin｜> <PRE> ▁<PRE> "
                 "<|code_prefix|> <|prefix|>"},
    {F(fim_suf), "<|fim_suffix|> <fim-suffix> <fim_suffix> <｜fim▁hole｜> <SUF> ▁<SUF> "
                 "<|code_suffix|> <|suffix|>"},
    {F(fim_mid), "<|fim_middle|> <fim-middle> <fim_middle> <｜fim▁end｜> <MID> ▁<MID> "
                 "<|code_middle|> <|middle|>"},
    {F(fim_pad), "<|fim_pad|> <fim-pad> <fim_pad> <PAD> [PAD]"},
    {F(fim_rep), "<|fim_repo|> <|repo_name|> <fim-repo> <REPO> <reponame>"},
    {F(fim_sep), "<|file_sep|>"},
#undef F
};

static const char ends[] =
    "<|eot_id|> <|im_end|> <|end|> <|return|> <|call|> <|flush|> <|calls|> <end_of_turn> <|endoftext|> "
    "</s> <|eom_id|> <EOT> _<EOT> [EOT] [EOS] <|end_of_text|> <end_of_utterance> <eos> <turn|> "
    "<|tool_response> <｜end▁of▁sentence｜> [e~[";

static int32_t *field_of(struct vocab *v, size_t offset)
{
    return (int32_t *)(void *)((char *)&v->special + offset);
}

/* The next of names separated by spaces; n = 0 at the end. */
static struct str next_name(const char **names)
{
    size_t n = strcspn(*names, " ");
    struct str s = {*names, n};
    *names += n + ((*names)[n] == ' ');
    return s;
}

static int holds(const char *names, struct str s)
{
    for (struct str name; (name = next_name(&names)).n;)
        if (str_eq(name, s)) return 1;
    return 0;
}

/* A token whose name says that it has a part to play; of the fill-in ones only where no key names another. */
static int looks_control(struct str s, const int *named)
{
    if (s.n < 3 || s.n > 40 || !strchr("<[_\xe2", s.p[0]) || !strchr(">][", s.p[s.n - 1])) return 0;
    if (holds(ends, s)) return 1;
    for (size_t i = 0; i < COUNT(known); i++)
        if (!named[i] && holds(known[i].names, s)) return 1;
    return 0;
}

void vocab_type_by_name(struct vocab *v, const struct gguf *g)
{
    int named[COUNT(known)] = {0}, answers = 0; /* there is a key; Gemma 4 is among them */
    char key[64] = "tokenizer.ggml.";
    if (gguf_find(g, "tokenizer.lar.added")) return; /* made from the tokenizer's own files, which say it themselves */
    for (size_t i = 0; i < COUNT(known); i++)
        for (size_t j = 0; j < COUNT(keys); j++) {
            if (keys[j].field != known[i].field) continue;
            memcpy(key + 15, keys[j].key, strlen(keys[j].key) + 1);
            named[i] |= gguf_find(g, key) != NULL;
        }
    int32_t html = -1;
    for (int32_t i = 0; i < v->n; i++) {
        struct str s = gguf_str_at(v->tokens, (uint64_t)i);
        if (!looks_control(s, named)) continue;
        answers |= str_is(s, "<|tool_response>");
        if (vocab_type_of(v, i) != TOKEN_NORMAL) continue; /* the user's own are found in text and end an answer as they are */
        if (str_is(s, "</s>")) html = i;
        else v->type[i] = TOKEN_CONTROL;
    }
    if (html >= 0 && !answers) v->type[html] = TOKEN_CONTROL; /* Gemma 4 writes </s> as HTML */
}

static int is_marked(const struct vocab *v, int32_t id)
{
    return id >= 0 && (vocab_type_of(v, id) == TOKEN_CONTROL || vocab_type_of(v, id) == TOKEN_USER);
}

static int32_t find_marked(const struct vocab *v, const char *name)
{
    int32_t id = vocab_find(v, str_of(name));
    return is_marked(v, id) ? id : -1;
}

static int load_ids(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    char key[64] = "tokenizer.ggml.";
    for (size_t i = 0; i < COUNT(keys); i++) {
        int64_t id = -1;
        memcpy(key + 15, keys[i].key, strlen(keys[i].key) + 1);
        int rc = gguf_i64(g, key, &id, err);
        if (rc < 0) return rc;
        if (id >= 0 && id < v->n) *field_of(v, keys[i].field) = (int32_t)id;
        else if (rc == 1 && keys[i].strict && id != -1 && id != UINT32_MAX)
            return lar_fail(err, LAR_EFORMAT, "%s: %lld is no token; there are %d", key, (long long)id, v->n);
    }
    return 0;
}

/* What files that name none mean: the customary place, when what lies there has the customary name. */
static void customary(struct vocab *v, int32_t *id, int32_t place, const char *names)
{
    if (v->exact || *id >= 0 || place >= v->n) return;
    for (struct str s; (s = next_name(&names)).n;)
        if (str_eq(vocab_piece(v, place), s)) *id = place;
}

static void find_known(struct vocab *v)
{
    struct vocab_special *sp = &v->special;
    if (v->kind == VOCAB_SPM) {
        customary(v, &sp->unk, 0, "<unk>");
        customary(v, &sp->bos, 1, "<s>");
        customary(v, &sp->eos, 2, "</s>");
    } else if (v->kind == VOCAB_UNIGRAM) {
        customary(v, &sp->pad, 0, "<pad>");
        customary(v, &sp->eos, 1, "</s>");
        customary(v, &sp->unk, 2, "<unk>");
    } else if (v->kind == VOCAB_WORDPIECE) {
        customary(v, &sp->pad, 0, "[PAD]");
        customary(v, &sp->unk, 100, "[UNK]");
        customary(v, &sp->cls, 101, "[CLS]");
        customary(v, &sp->sep, 102, "[SEP]");
        customary(v, &sp->mask, 103, "[MASK]");
    }
    for (size_t i = 0; i < COUNT(known); i++) {
        int32_t *id = field_of(v, known[i].field);
        const char *names = known[i].names;
        for (struct str s; *id < 0 && (s = next_name(&names)).n;) {
            int32_t found = vocab_find(v, s);
            if (is_marked(v, found)) *id = found;
        }
    }
    for (int32_t i = 0; sp->unk < 0 && v->kind != VOCAB_BPE && i < v->n; i++)
        if (vocab_type_of(v, i) == TOKEN_UNKNOWN) sp->unk = i;
}

static void mark_end(struct vocab *v, int32_t id)
{
    if (id >= 0) v->type[id] |= TOKEN_ENDS;
}

static void unmark_end(struct vocab *v, const char *name)
{
    int32_t id = vocab_find(v, str_of(name));
    if (id >= 0 && id != v->special.eos) v->type[id] &= (uint8_t)~TOKEN_ENDS;
}

static void mark_ends(struct vocab *v)
{
    const struct vocab_special *sp = &v->special;
    const char *names = ends;
    for (struct str s; (s = next_name(&names)).n;) {
        int32_t id = vocab_find(v, s);
        if (is_marked(v, id)) mark_end(v, id);
    }
    mark_end(v, sp->eos);
    mark_end(v, sp->eot);
    mark_end(v, sp->eom);
    mark_end(v, sp->fim_pad);
    mark_end(v, sp->fim_rep);
    mark_end(v, sp->fim_sep);
    /* Harmony and its like: <|end|> ends one message of an answer, not the answer. */
    int call = find_marked(v, "<|call|>") >= 0 || find_marked(v, "<|calls|>") >= 0;
    if (call && (find_marked(v, "<|return|>") >= 0 || find_marked(v, "<|flush|>") >= 0)) unmark_end(v, "<|end|>");
    if (find_marked(v, "<|tool_response>") >= 0) unmark_end(v, "</s>"); /* Gemma 4 writes it as HTML */
}

/* What the tokenizer adds by itself: the keys, or what was usual for the kind. */
static int load_added(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    struct vocab_special *sp = &v->special;
    int rc;
    if (v->kind == VOCAB_WORDPIECE) {
        if (sp->bos < 0) sp->bos = sp->cls;
        if (sp->cls < 0) sp->cls = sp->bos;
    }
    sp->add_bos = v->kind == VOCAB_SPM || v->kind == VOCAB_WORDPIECE ||
                  (v->split_flags & SPLIT_ADD_BOS);
    sp->add_eos = v->kind == VOCAB_UNIGRAM;
    sp->add_sep = v->kind == VOCAB_WORDPIECE;
    if ((rc = gguf_bool(g, "tokenizer.ggml.add_bos_token", &sp->add_bos, err)) < 0) return rc;
    if ((rc = gguf_bool(g, "tokenizer.ggml.add_eos_token", &sp->add_eos, err)) < 0) return rc;
    if ((rc = gguf_bool(g, "tokenizer.ggml.add_sep_token", &sp->add_sep, err)) < 0) return rc;
    /* Early files of Gemma 4 say that it adds none; the model was trained with one. */
    if (v->kind == VOCAB_CHARS && !v->exact) sp->add_bos = 1;
    return 0;
}

int vocab_load_special(struct vocab *v, const struct gguf *g, struct lar_err *err)
{
    v->special = (struct vocab_special){-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0};
    int rc = load_ids(v, g, err);
    if (rc < 0) return rc;
    find_known(v);
    mark_ends(v);
    v->unk = v->kind == VOCAB_BPE ? -1 : v->special.unk;
    return load_added(v, g, err);
}
