/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/export_tokens.c: the tokenizer's files from tokenizer.ggml.* (and tokenizer.lar.*, which say what the former cannot). Pieces with scores and
 * without merges came from a SentencePiece model and become one again (tokenizer.model); everything else becomes a tokenizer.json. What was written is
 * read by the reader that convert has (vocab_hf.h), and must give the same tokenizer.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "convert/export.h"
#include "text/split_regex.h"
#include "text/vocab_hf.h"
#include "text/vocab_make.h"

#define SPACE_SIGN "\xe2\x96\x81"

struct tok {
    const struct gguf *g;
    const struct gguf_kv *tokens, *types, *scores, *merges, *added, *charsmap;
    struct str model, pre, arch;
    uint64_t n; /* tokens, without the unused ones at the end */
    int prefix, words;
    uint32_t context;          /* of a model that reads: what sentence-transformers cuts texts to */
    int reads, framed; /* a model that reads; of BERT's kin, which stand between two tokens whatever the keys say */
    int typed, fairseq; /* of two texts the second has another type; XLM-R's numbers for SentencePiece's pieces */
    struct buf b;
    struct lar_err *err;
};

static const struct gguf_kv *array(const struct gguf *g, const char *key, enum gguf_type t,
                                   uint64_t n)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    return kv && kv->type == GGUF_ARRAY && kv->etype == t && (!n || kv->count == n) ? kv : NULL;
}

static int type_of(const struct tok *t, uint64_t i)
{
    return t->types ? (int)gguf_int_at(t->types, i) : TOKEN_NORMAL;
}

static int flag(const struct tok *t, const char *key, int otherwise)
{
    int v = otherwise;
    (void)gguf_bool(t->g, key, &v, NULL);
    return v;
}

static int64_t id_of(const struct tok *t, const char *key)
{
    uint32_t id = 0;
    return gguf_u32(t->g, key, &id, NULL) == 1 && id < t->tokens->count ? (int64_t)id : -1;
}

static int is_added(const struct tok *t, uint64_t i)
{
    if (t->added) return gguf_int_at(t->added, i) & MAKE_ADDED;
    int type = type_of(t, i);
    return type == TOKEN_CONTROL || type == TOKEN_USER || type == TOKEN_UNKNOWN;
}

/* ---- SentencePiece --------------------------------------------------------------------------------------------------------- */

static void varint(struct buf *b, uint64_t v)
{
    for (; v > 127; v >>= 7) buf_putc(b, (char)(v | 128));
    buf_putc(b, (char)v);
}

static void field_int(struct buf *b, unsigned number, int64_t v)
{
    varint(b, number << 3);
    varint(b, (uint64_t)v);
}

static void field_bytes(struct buf *b, unsigned number, const void *p, size_t n)
{
    varint(b, number << 3 | 2);
    varint(b, n);
    buf_add(b, p, n);
}

/* XLM-R's first are <s>, <pad>, </s>, <unk> and its last is <mask>; SentencePiece's <unk>, <s>, </s> (vocab_hf.c). */
static int is_fairseq(const struct tok *t)
{
    static const char *const first[] = {"<s>", "<pad>", "</s>", "<unk>"};
    int same = t->n > 4 && (str_is(gguf_str_at(t->tokens, t->n - 1), "<mask>") ||
                            type_of(t, t->n - 1) == TOKEN_UNUSED); /* as ggml's converter has it */
    for (uint64_t i = 0; i < 4 && same; i++) same = str_is(gguf_str_at(t->tokens, i), first[i]);
    return same && str_is(t->arch, "bert") && str_is(t->model, "t5");
}

static void pieces(struct tok *t)
{
    static const uint64_t begin[] = {3, 0, 2};
    struct buf one = {0};
    for (uint64_t k = 0, i = 0; k < t->n - 2 * (uint64_t)t->fairseq; k++) {
        i = !t->fairseq ? k : k < 3 ? begin[k] : k + 1;
        struct str s = gguf_str_at(t->tokens, i);
        float score = (float)gguf_num_at(t->scores, i);
        buf_clear(&one);
        field_bytes(&one, 1, s.p, s.n);
        varint(&one, 2 << 3 | 5);
        buf_add(&one, &score, 4);
        if (type_of(t, i) != TOKEN_NORMAL) field_int(&one, 3, type_of(t, i));
        field_bytes(&t->b, 1, one.p, one.n);
    }
    if (one.failed) t->b.failed = 1;
    buf_done(&one);
}

static void sentencepiece(struct tok *t)
{
    static const char *const key[] = {"unknown", "bos", "eos", "padding"};
    struct buf part = {0};
    int bytes = 0;
    for (uint64_t i = 0; i < t->n; i++) bytes |= type_of(t, i) == TOKEN_BYTE;
    pieces(t);
    field_int(&part, 3, str_is(t->model, "t5") ? 1 : 2);
    field_int(&part, 4, (int64_t)t->n - 2 * t->fairseq);
    if (bytes) field_int(&part, 35, 1);
    for (unsigned i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "tokenizer.ggml.%s_token_id", key[i]);
        int64_t id = id_of(t, name);
        for (uint64_t k = 0; i == 0 && id < 0 && k < t->n; k++)
            id = type_of(t, k) == TOKEN_UNKNOWN ? (int64_t)k : -1;
        static const int64_t own[] = {0, 1, 2, -1};
        field_int(&part, 40 + i, t->fairseq ? own[i] : id);
    }
    field_bytes(&t->b, 2, part.p, part.n);
    buf_clear(&part);
    field_bytes(&part, 1, "identity", 8);
    if (t->charsmap) field_bytes(&part, 2, t->charsmap->data, t->charsmap->count);
    field_int(&part, 3, t->prefix != PREFIX_NONE);
    field_int(&part, 4, flag(t, "tokenizer.ggml.remove_extra_whitespaces", 0));
    field_int(&part, 5, 1);
    field_bytes(&t->b, 3, part.p, part.n);
    if (part.failed) t->b.failed = 1;
    buf_done(&part);
}

/* ---- tokenizer.json ---------------------------------------------------------------------------------------------------------- */

static void text(struct tok *t, struct str s) { buf_json_str(&t->b, s); }

static void truth(struct tok *t, const char *name, int v)
{
    buf_printf(&t->b, ", \"%s\": %s", name, v ? "true" : "false");
}

/* The added tokens, each an object whose id stands between before and behind. */
static void each_added(struct tok *t, const char *before, const char *behind)
{
    int any = 0;
    for (uint64_t i = 0; i < t->n; i++) {
        if (!is_added(t, i)) continue;
        int type = type_of(t, i);
        int64_t how = t->added ? gguf_int_at(t->added, i) : 0;
        buf_printf(&t->b, "%s\n    %s%" PRIu64 "%s\"content\": ", any++ ? "," : "", before, i, behind);
        text(t, gguf_str_at(t->tokens, i));
        truth(t, "single_word", (how & MAKE_SINGLE) != 0);
        truth(t, "lstrip", (how & MAKE_LSTRIP) != 0);
        truth(t, "rstrip", (how & MAKE_RSTRIP) != 0);
        truth(t, "normalized", (how & MAKE_NORMALIZED) != 0);
        truth(t, "special", type == TOKEN_CONTROL || type == TOKEN_UNKNOWN);
        buf_putc(&t->b, '}');
    }
}

static void added_tokens(struct tok *t)
{
    buf_puts(&t->b, "  \"added_tokens\": [");
    each_added(t, "{\"id\": ", ", ");
    buf_puts(&t->b, "\n  ],\n");
}

static void base64(struct tok *t, const uint8_t *p, uint64_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (uint64_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) |
                     (i + 2 < n ? p[i + 2] : 0);
        for (unsigned k = 0; k < 4; k++)
            buf_putc(&t->b, i + k > n ? '=' : digit[v >> (18 - 6 * k) & 63]);
    }
}

static struct str part(struct str *s)
{
    const char *sep = s->n ? memchr(s->p, 0x1f, s->n) : NULL;
    struct str v = {s->p, sep ? (size_t)(sep - s->p) : s->n};
    *s = str_from(*s, sep ? v.n + 1 : v.n);
    return v;
}

static int holds(struct str s, char c) { return s.n && memchr(s.p, c, s.n) != NULL; }

/* One step of tokenizer.lar.normalizer (vocab_hf_json.c makes them). */
static void normalizer_step(struct tok *t, struct str s)
{
    struct str name = part(&s);
    int replace = str_is(name, "Replace"), runs = str_is(name, "Runs");
    buf_puts(&t->b, "{\"type\": ");
    text(t, runs ? STR("Replace") : str_is(name, "Bert") ? STR("BertNormalizer") : name);
    if (replace || runs) {
        buf_printf(&t->b, ", \"pattern\": {\"%s\": ", replace ? "String" : "Regex");
        text(t, part(&s));
        buf_puts(&t->b, "}, \"content\": ");
        text(t, s);
    } else if (str_is(name, "Prepend")) {
        buf_puts(&t->b, ", \"prepend\": ");
        text(t, s);
    } else if (str_is(name, "Strip")) {
        truth(t, "strip_left", holds(s, 'l'));
        truth(t, "strip_right", holds(s, 'r'));
    } else if (str_is(name, "Bert")) {
        truth(t, "clean_text", holds(s, 'c'));
        truth(t, "handle_chinese_chars", holds(s, 'z'));
        truth(t, "strip_accents", holds(s, 'a'));
        truth(t, "lowercase", holds(s, 'l'));
    } else if (str_is(name, "Precompiled")) {
        buf_puts(&t->b, ", \"precompiled_charsmap\": \"");
        if (t->charsmap) base64(t, t->charsmap->data, t->charsmap->count);
        buf_putc(&t->b, '"');
    }
    buf_putc(&t->b, '}');
}

static void normalizer(struct tok *t)
{
    const struct gguf_kv *steps = gguf_find(t->g, "tokenizer.lar.normalizer");
    const struct splitter *sp = split_find(t->pre);
    struct str usual[4];
    uint64_t n = 0;
    if (steps) {
        n = steps->type == GGUF_ARRAY && (steps->etype == GGUF_STRING) ? steps->count : 0;
    } else if (str_is(t->model, "gpt2")) {
        if (sp && sp->flags & SPLIT_NFC) usual[n++] = STR("NFC");
    } else if (str_is(t->model, "bert")) {
        int lower = flag(t, "tokenizer.ggml.normalizer.lowercase", 1),
            accents = flag(t, "tokenizer.ggml.normalizer.strip_accents", lower);
        usual[n++] = accents ? lower ? STR("Bert\x1f"
                                           "czal")
                                     : STR("Bert\x1f"
                                           "cza")
                     : lower ? STR("Bert\x1f"
                                   "czl")
                             : STR("Bert\x1f"
                                   "cz");
    } else {
        if (t->charsmap) usual[n++] = STR("Precompiled");
        if (t->prefix != PREFIX_NONE) usual[n++] = STR("Prepend\x1f" SPACE_SIGN);
        usual[n++] = STR("Replace\x1f \x1f" SPACE_SIGN);
    }
    buf_puts(&t->b, "  \"normalizer\": ");
    if (n == 0) buf_puts(&t->b, "null");
    if (n > 1) buf_puts(&t->b, "{\"type\": \"Sequence\", \"normalizers\": [");
    for (uint64_t i = 0; i < n; i++) {
        if (i) buf_puts(&t->b, ", ");
        normalizer_step(t, steps ? gguf_str_at(steps, i) : usual[i]);
    }
    buf_puts(&t->b, n > 1 ? "]},\n" : ",\n");
}

/* A step of tokenizer.lar.split (vocab_make.c makes them). */
static void own_step(struct tok *t, struct str s)
{
    static const struct {
        char how;
        const char *name;
    } of[] = {{SPLIT_ISOLATED, "Isolated"},
              {SPLIT_REMOVED, "Removed"},
              {SPLIT_PREVIOUS, "MergedWithPrevious"},
              {SPLIT_NEXT, "MergedWithNext"},
              {SPLIT_CONTIGUOUS, "Contiguous"}};
    const char *name = "";
    int inverted = s.n > 1 && s.p[1] == '!';
    struct str regex = str_from(s, 2 + (size_t)inverted), punct = STR("\\p{BertPunctuation}");
    for (size_t i = 0; i < 5; i++)
        if (s.n && of[i].how == s.p[0]) name = of[i].name;
    if (str_starts(regex, punct)) {
        if (regex.n > punct.n) name = "Contiguous";
        buf_printf(&t->b, "    {\"type\": \"Punctuation\", \"behavior\": \"%s\"},\n", name);
        return;
    }
    buf_puts(&t->b, "    {\"type\": \"Split\", \"pattern\": {\"Regex\": ");
    text(t, regex);
    buf_printf(&t->b, "}, \"behavior\": \"%s\", \"invert\": %s},\n", name, inverted ? "true" : "false");
}

static int byte_level(struct tok *t)
{
    const struct gguf_kv *own = array(t->g, "tokenizer.lar.split", GGUF_STRING, 0);
    const char *const *stage = vocab_hf_stages(t->pre.n ? t->pre : STR("default"));
    if (!stage && !own)
        return lar_fail(
            t->err, LAR_EUNSUPPORTED,
            "tokenizer.ggml.pre \"%.*s\": lar has no expression for tokenizer.json that cuts words so",
            STR_ARG(t->pre));
    if (t->prefix == PREFIX_UNLESS) { /* the library puts the space before each piece that an earlier step left: here must be none */
        if (own || stage[0] != vocab_hf_stages(STR("gpt-2"))[0] || stage[1])
            return lar_fail(t->err, LAR_EUNSUPPORTED,
                            "tokenizer.lar.prefix: tokenizer.json has add_prefix_space beside GPT-2's words only, "
                            "not \"%.*s\"",
                            STR_ARG(t->pre));
        buf_puts(&t->b, "  \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
                        "\"trim_offsets\": true, \"use_regex\": true},\n");
        return 0;
    }
    buf_puts(&t->b, "  \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [\n");
    for (uint64_t i = 0; own && i < own->count; i++) own_step(t, gguf_str_at(own, i));
    for (int i = 0; !own && i < SPLIT_STAGES_MAX && stage[i]; i++) {
        buf_puts(&t->b, "    {\"type\": \"Split\", \"pattern\": {\"Regex\": ");
        text(t, str_of(stage[i]));
        buf_puts(&t->b, "}, \"behavior\": \"Isolated\", \"invert\": false},\n");
    }
    buf_puts(&t->b, "    {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, "
                    "\"use_regex\": false}\n  ]},\n");
    return 0;
}

static int signs_written(const struct tok *t)
{
    const struct gguf_kv *steps = gguf_find(t->g, "tokenizer.lar.normalizer");
    if (!steps) return 1;
    for (uint64_t i = 0;
         steps->type == GGUF_ARRAY && steps->etype == GGUF_STRING && i < steps->count; i++)
        if (str_is(gguf_str_at(steps, i), "Replace\x1f \x1f" SPACE_SIGN)) return 1;
    return 0;
}

static int pre_tokenizer(struct tok *t)
{
    static const struct {
        int bit;
        const char *name;
    } cut[] = {{WORDS_SPACE, "WhitespaceSplit"},
               {WORDS_BERT, "BertPreTokenizer"},
               {WORDS_CLASS, "Whitespace"}};
    int n = 0, words = t->words < 0 ? str_is(t->model, "bert") ? WORDS_BERT : 0 : t->words;
    if (str_is(t->model, "gpt2")) return byte_level(t);
    buf_puts(&t->b, "  \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [");
    for (int i = 0; i < 3; i++)
        if (words & cut[i].bit)
            buf_printf(&t->b, "%s{\"type\": \"%s\"}", n++ ? ", " : "", cut[i].name);
    int signs = t->prefix == PREFIX_UNLESS || t->prefix == PREFIX_FIRST || words & WORDS_SIGN ||
                (!signs_written(t) && !str_is(t->model, "bert"));
    if (signs && t->prefix != PREFIX_ALWAYS)
        buf_printf(&t->b,
                   "%s{\"type\": \"Metaspace\", \"replacement\": \"" SPACE_SIGN
                   "\", \"prepend_scheme\": \"%s\", \"split\": %s}",
                   n++ ? ", " : "",
                   t->prefix == PREFIX_NONE    ? "never"
                   : t->prefix == PREFIX_FIRST ? "first"
                                               : "always",
                   words & WORDS_SIGN ? "true" : "false");
    buf_puts(&t->b, "]},\n");
    if (n) return 0;
    t->b.n -= strlen("{\"type\": \"Sequence\", \"pretokenizers\": []},\n");
    buf_puts(&t->b, "null,\n");
    return 0;
}

/* Ids before (or behind) a text, by name. */
static uint64_t around(const struct tok *t, int behind, int64_t id[MAKE_LIST])
{
    const struct gguf_kv *l =
        array(t->g, behind ? "tokenizer.lar.after" : "tokenizer.lar.before", GGUF_I32, 0);
    const struct splitter *sp = split_find(t->pre);
    int bert = str_is(t->model, "bert"), gpt2 = str_is(t->model, "gpt2");
    uint64_t n = 0;
    for (uint64_t i = 0; l && i < l->count && n < MAKE_LIST; i++) id[n++] = gguf_int_at(l, i);
    if (l || gguf_find(t->g, "tokenizer.lar.before")) return n;
    if (t->framed) { /* run/embed_text.c: whatever the keys say */
        id[0] = id_of(t, behind ? "tokenizer.ggml.seperator_token_id" : "tokenizer.ggml.cls_token_id");
        if (id[0] < 0) id[0] = id_of(t, behind ? "tokenizer.ggml.eos_token_id" : "tokenizer.ggml.bos_token_id");
        return id[0] >= 0;
    }
    int usual = behind
                    ? bert
                    : bert || (gpt2 ? sp && sp->flags & SPLIT_ADD_BOS : str_is(t->model, "llama"));
    if (!flag(t,
              behind ? bert ? "tokenizer.ggml.add_sep_token" : "tokenizer.ggml.add_eos_token"
                     : "tokenizer.ggml.add_bos_token",
              usual || (behind && str_is(t->model, "t5"))))
        return 0;
    id[0] = id_of(t, behind ? "tokenizer.ggml.eos_token_id" : "tokenizer.ggml.bos_token_id");
    if (bert)
        id[0] =
            id_of(t, behind ? "tokenizer.ggml.seperator_token_id" : "tokenizer.ggml.cls_token_id");
    return id[0] >= 0;
}

static void special(struct tok *t, int64_t id, int type)
{
    buf_puts(&t->b, "{\"SpecialToken\": {\"id\": ");
    text(t, gguf_str_at(t->tokens, (uint64_t)id));
    buf_printf(&t->b, ", \"type_id\": %d}}", type);
}

static void sequence(struct tok *t, const int64_t *id, uint64_t nbefore, uint64_t n, int pair)
{
    for (uint64_t i = 0; i < nbefore; i++) special(t, id[i], 0), buf_puts(&t->b, ", ");
    buf_puts(&t->b, "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}");
    for (uint64_t i = nbefore; i < n; i++) buf_puts(&t->b, ", "), special(t, id[i], 0);
    if (!pair) return;
    int type = !t->reads || t->typed; /* what stands between two texts: run/embed_text.c */
    int twice = t->reads && str_is(t->arch, "bert") && !str_is(t->model, "bert");
    uint64_t from = twice ? nbefore : 0, to = twice ? n : t->reads ? 0 : nbefore;
    for (uint64_t i = from; i < to; i++) buf_puts(&t->b, ", "), special(t, id[i], type);
    buf_printf(&t->b, ", {\"Sequence\": {\"id\": \"B\", \"type_id\": %d}}", type);
    for (uint64_t i = nbefore; i < n; i++) buf_puts(&t->b, ", "), special(t, id[i], type);
}

static int post_processor(struct tok *t)
{
    int64_t id[2 * MAKE_LIST];
    uint64_t before = around(t, 0, id), n = before + around(t, 1, id + before);
    for (uint64_t i = 0; i < n; i++)
        if (id[i] < 0 || id[i] >= (int64_t)t->tokens->count)
            return lar_fail(t->err, LAR_EFORMAT,
                            "tokenizer: %" PRId64 " is put around texts, and is no token", id[i]);
    buf_puts(&t->b, "  \"post_processor\": ");
    if (n == 0) {
        buf_puts(&t->b, "null,\n");
        return 0;
    }
    buf_puts(&t->b, "{\"type\": \"TemplateProcessing\", \"single\": [");
    sequence(t, id, before, n, 0);
    buf_puts(&t->b, "], \"pair\": [");
    sequence(t, id, before, n, 1);
    buf_puts(&t->b, "], \"special_tokens\": {");
    for (uint64_t i = 0; i < n; i++) {
        struct str s = gguf_str_at(t->tokens, (uint64_t)id[i]);
        int seen = 0;
        for (uint64_t k = 0; k < i; k++) seen |= id[k] == id[i];
        if (seen) continue;
        if (i) buf_puts(&t->b, ", ");
        text(t, s);
        buf_puts(&t->b, ": {\"id\": ");
        text(t, s);
        buf_printf(&t->b, ", \"ids\": [%" PRId64 "], \"tokens\": [", id[i]);
        text(t, s);
        buf_puts(&t->b, "]}");
    }
    buf_puts(&t->b, "}},\n");
    return 0;
}

static void decoder(struct tok *t)
{
    buf_puts(&t->b, "  \"decoder\": ");
    if (str_is(t->model, "gpt2"))
        buf_puts(
            &t->b,
            "{\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": true},\n");
    else if (str_is(t->model, "bert"))
        buf_puts(&t->b, "{\"type\": \"WordPiece\", \"prefix\": \"##\", \"cleanup\": true},\n");
    else if (str_is(t->model, "t5"))
        buf_puts(&t->b, "{\"type\": \"Metaspace\", \"replacement\": \"" SPACE_SIGN
                        "\", \"prepend_scheme\": \"always\", \"split\": true},\n");
    else
        buf_printf(
            &t->b,
            "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": {\"String\": \"" SPACE_SIGN
            "\"}, \"content\": \" \"}, {\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}%s]},\n",
            t->prefix != PREFIX_NONE
                ? ", {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}"
                : "");
}

/* A WordPiece as vocab.txt has it: U+2581 x is x, x is ##x. */
static void wordpiece(struct tok *t, uint64_t i)
{
    struct str s = gguf_str_at(t->tokens, i);
    int inner =
        t->added ? (gguf_int_at(t->added, i) & MAKE_INNER) != 0 : !str_starts(s, STR(SPACE_SIGN));
    struct buf b = {0};
    if (is_added(t, i) && type_of(t, i) != TOKEN_NORMAL &&
        !(t->added && gguf_int_at(t->added, i) & MAKE_PIECE))
        inner = 0;
    else if (!inner && str_starts(s, STR(SPACE_SIGN)))
        s = str_from(s, 3);
    if (inner) buf_puts(&b, "##");
    buf_str(&b, s);
    text(t, buf_view(&b));
    if (b.failed) t->b.failed = 1;
    buf_done(&b);
}

/* Digits that make the same double in the reader's library, whose last bit is not always what they say. */
static void score(struct tok *t, uint64_t i)
{
    double v = t->scores ? gguf_num_at(t->scores, i) : 0, got;
    char z[48];
    size_t n = 0;
    for (int digits = 1; digits <= 19; digits++) {
        n = num_print(z, sizeof z, 'g', digits, v);
        got = vocab_hf_double((struct str){z, n});
        if (!memcmp(&got, &v, sizeof v)) break;
    }
    buf_add(&t->b, z, n);
    if (!memchr(z, '.', n) && !memchr(z, 'e', n)) buf_puts(&t->b, ".0");
}

/* Tokens of the model itself: those at the end that are only found by their names get the same ids by being added after them. */
static uint64_t own(const struct tok *t)
{
    uint64_t n = t->n;
    while (t->added && n > 1 && (gguf_int_at(t->added, n - 1) & (MAKE_ADDED | MAKE_PIECE)) == MAKE_ADDED &&
           (type_of(t, n - 1) == TOKEN_CONTROL || type_of(t, n - 1) == TOKEN_USER))
        n--;
    return n;
}

static void model(struct tok *t)
{
    int64_t unk = id_of(t, "tokenizer.ggml.unknown_token_id");
    uint32_t most = WORD_MAX;
    int bert = str_is(t->model, "bert"), unigram = str_is(t->model, "t5"),
        gpt2 = str_is(t->model, "gpt2"), bytes = 0;
    for (uint64_t i = 0; i < t->n; i++) {
        bytes |= type_of(t, i) == TOKEN_BYTE;
        if (unk < 0 && !gpt2 && type_of(t, i) == TOKEN_UNKNOWN) unk = (int64_t)i;
    }
    if (unk >= 0 && !gpt2 && t->added && type_of(t, (uint64_t)unk) != TOKEN_UNKNOWN)
        unk = -1; /* a role, not the model's */
    (void)gguf_u32(t->g, "tokenizer.lar.word_max", &most, NULL);
    buf_printf(&t->b, "  \"model\": {\"type\": \"%s\"",
               bert      ? "WordPiece"
               : unigram ? "Unigram"
                         : "BPE");
    if (unigram) {
        if (unk >= 0) buf_printf(&t->b, ", \"unk_id\": %" PRId64, unk);
    } else {
        buf_puts(&t->b, ", \"unk_token\": ");
        if (unk >= 0)
            text(t, gguf_str_at(t->tokens, (uint64_t)unk));
        else
            buf_puts(&t->b, "null");
    }
    if (bert)
        buf_printf(&t->b,
                   ", \"continuing_subword_prefix\": \"##\", \"max_input_chars_per_word\": %u",
                   most);
    else
        truth(t, "byte_fallback", bytes && !gpt2);
    if (!bert && !unigram) {
        const struct splitter *sp = split_find(t->pre);
        truth(t, "fuse_unk", !gpt2 && !(t->words > 0 && t->words & WORDS_LONE));
        truth(t, "ignore_merges",
              gpt2 &&
                  flag(t, "tokenizer.lar.ignore_merges", sp && sp->flags & SPLIT_IGNORE_MERGES));
        buf_puts(
            &t->b,
            ", \"dropout\": null, \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null");
    }
    buf_puts(&t->b, unigram ? ",\n    \"vocab\": [" : ",\n    \"vocab\": {");
    for (uint64_t i = 0, n = own(t); i < n; i++) {
        buf_puts(&t->b, i ? ",\n      " : "\n      ");
        if (unigram) buf_putc(&t->b, '[');
        if (bert)
            wordpiece(t, i);
        else
            text(t, gguf_str_at(t->tokens, i));
        if (unigram) {
            buf_puts(&t->b, ", ");
            score(t, i);
            buf_putc(&t->b, ']');
        } else {
            buf_printf(&t->b, ": %" PRIu64, i);
        }
    }
    buf_puts(&t->b, unigram ? "\n    ]" : "\n    }");
    if (!bert && !unigram) {
        buf_puts(&t->b, ",\n    \"merges\": [");
        for (uint64_t i = 0; t->merges && i < t->merges->count; i++) {
            buf_puts(&t->b, i ? ",\n      " : "\n      ");
            text(t, gguf_str_at(t->merges, i));
        }
        buf_puts(&t->b, "\n    ]");
    }
    buf_puts(&t->b, "\n  }\n}\n");
}

static int tokenizer_json(struct tok *t)
{
    buf_puts(&t->b, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n");
    added_tokens(t);
    normalizer(t);
    int rc = pre_tokenizer(t);
    if (rc == 0) rc = post_processor(t);
    if (rc < 0) return rc;
    decoder(t);
    model(t);
    return 0;
}

/* ---- beside it ------------------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *key, *name;
} roles[] = {
    {"bos", "bos_token"},       {"eos", "eos_token"},     {"unknown", "unk_token"},
    {"seperator", "sep_token"}, {"padding", "pad_token"}, {"cls", "cls_token"},
    {"mask", "mask_token"},
};

static void tokenizer_config(struct tok *t, int spm)
{
    buf_printf(&t->b, "{\n  \"tokenizer_class\": \"%s\"",
               !spm                     ? "PreTrainedTokenizerFast"
               : t->fairseq             ? "XLMRobertaTokenizer"
               : str_is(t->model, "t5") ? "T5Tokenizer"
                                        : "LlamaTokenizer");
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        char key[64];
        snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", roles[i].key);
        int64_t id = id_of(t, key);
        struct str role = str_of(roles[i].key);
        if (id < 0 && t->framed && str_is(role, "cls")) id = id_of(t, "tokenizer.ggml.bos_token_id");
        if (id < 0 && t->framed && str_is(role, "seperator")) id = id_of(t, "tokenizer.ggml.eos_token_id");
        if (id < 0) continue;
        buf_printf(&t->b, ",\n  \"%s\": ", roles[i].name);
        text(t, gguf_str_at(t->tokens, (uint64_t)id));
    }
    int64_t id[MAKE_LIST];
    buf_printf(&t->b, ",\n  \"add_bos_token\": %s,\n  \"add_eos_token\": %s",
               around(t, 0, id) ? "true" : "false", around(t, 1, id) ? "true" : "false");
    buf_printf(&t->b, ",\n  \"model_input_names\": [\"input_ids\", %s\"attention_mask\"]",
               t->typed ? "\"token_type_ids\", " : "");
    if (t->context) buf_printf(&t->b, ",\n  \"model_max_length\": %u", t->context);
    if (spm) truth(t, "legacy", 0), truth(t, "add_prefix_space", t->prefix != PREFIX_NONE);
    buf_puts(&t->b, ",\n  \"clean_up_tokenization_spaces\": false,\n  \"added_tokens_decoder\": {");
    each_added(t, "\"", "\": {");
    buf_puts(&t->b, "\n  }\n}\n");
}

static void generation(struct tok *t)
{
    static const char *const all[][2] = {{"general.sampling.top_k", "top_k"},
                                         {"general.sampling.top_p", "top_p"},
                                         {"general.sampling.min_p", "min_p"},
                                         {"general.sampling.temp", "temperature"},
                                         {"general.sampling.penalty_repeat", "repetition_penalty"}};
    static const char *const id[][2] = {{"bos", "bos"}, {"eos", "eos"}, {"padding", "pad"}};
    int any = 0;
    buf_puts(&t->b, "{");
    for (int i = 0; i < 3; i++) {
        char key[64];
        snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", id[i][0]);
        int64_t v = id_of(t, key), eot = i == 1 ? id_of(t, "tokenizer.ggml.eot_token_id") : -1;
        if (v < 0) continue;
        buf_printf(&t->b, "%s\n  \"%s_token_id\": ", any++ ? "," : "", id[i][1]);
        if (eot >= 0 && eot != v)
            buf_printf(&t->b, "[%" PRId64 ", %" PRId64 "]", v, eot);
        else
            buf_printf(&t->b, "%" PRId64, v);
    }
    int sampled = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const struct gguf_kv *kv = gguf_find(t->g, all[i][0]);
        if (!kv || kv->type == GGUF_STRING || kv->type == GGUF_ARRAY || kv->type == GGUF_BOOL)
            continue;
        buf_printf(&t->b, "%s\n  \"%s\": ", any++ ? "," : "", all[i][1]);
        if (i == 0)
            buf_printf(&t->b, "%" PRId64, (int64_t)gguf_num_at(kv, 0));
        else
            export_float(&t->b, (float)gguf_num_at(kv, 0));
        sampled = 1;
    }
    if (sampled) buf_puts(&t->b, ",\n  \"do_sample\": true");
    buf_puts(&t->b, "\n}\n");
}

/* ---- the proof ------------------------------------------------------------------------------------------------------------------ */

static int differs(const char *key, struct lar_err *err)
{
    return lar_fail(err, LAR_EUNSUPPORTED,
                    "%s: a tokenizer that other programs read cannot say this", key);
}

/* A token without use may have got one: XLM-R's <mask>. */
static int same_tokens(const struct tok *t, const struct gguf_kv *x)
{
    if (!x || x->type != GGUF_ARRAY || x->etype != GGUF_STRING || x->count != t->tokens->count) return 0;
    for (uint64_t i = 0; i < x->count; i++)
        if (!str_eq(gguf_str_at(x, i), gguf_str_at(t->tokens, i)) && type_of(t, i) != TOKEN_UNUSED) return 0;
    return 1;
}

static int check(const struct tok *t, const char *folder, int spm, struct lar_err *err)
{
    static const char *const same[] = {"tokenizer.lar.split", "tokenizer.ggml.bos_token_id",
                                       "tokenizer.ggml.eos_token_id", "tokenizer.ggml.tokens", "tokenizer.ggml.merges"};
    struct vocab_image im;
    int rc = vocab_hf_open(&im, folder, (int64_t)t->tokens->count, err);
    if (rc < 0) return rc;
    struct str m = STR(""), pre = STR("");
    (void)gguf_str(&im.g, "tokenizer.ggml.model", &m, NULL);
    (void)gguf_str(&im.g, "tokenizer.ggml.pre", &pre, NULL);
    if (!str_eq(m, t->model) && !str_is(t->model, "gemma4"))
        rc = differs("tokenizer.ggml.model", err);
    const struct splitter *a = split_find(pre), *b = split_find(t->pre);
    if (rc == 0 && str_is(t->model, "gpt2") && a && b &&
        (memcmp(a->stage, b->stage, sizeof a->stage) || a->last != b->last))
        rc = differs("tokenizer.ggml.pre", err);
    for (size_t i = 0; i < sizeof same / sizeof *same && rc == 0; i++) {
        const struct gguf_kv *x = gguf_find(&im.g, same[i]), *y = gguf_find(t->g, same[i]);
        if (y == t->tokens && same_tokens(t, x)) continue;
        if (!y || (x && x->bytes == y->bytes && !memcmp(x->data, y->data, x->bytes))) continue;
        rc = differs(same[i], err);
    }
    const struct gguf_kv *s = gguf_find(&im.g, "tokenizer.lar.scores");
    if (!s) s = gguf_find(&im.g, "tokenizer.ggml.scores");
    for (uint64_t i = 0; rc == 0 && (spm || str_is(t->model, "t5")) && t->scores && s && i < t->n;
         i++)
        if (gguf_num_at(s, i) < gguf_num_at(t->scores, i) ||
            gguf_num_at(s, i) > gguf_num_at(t->scores, i)) {
            if (type_of(t, i) == TOKEN_NORMAL) rc = differs("tokenizer.ggml.scores", err);
            break;
        }
    vocab_hf_close(&im);
    return rc;
}

static int put(struct tok *t, const char *folder, const char *name, int rc)
{
    if (rc == 0 && t->b.failed) rc = lar_fail(t->err, LAR_ENOMEM, "%s: out of memory", name);
    if (rc == 0) rc = export_text(folder, name, buf_view(&t->b), t->err);
    buf_clear(&t->b);
    return rc;
}

static int load(struct tok *t, const struct gguf *g, struct lar_err *err)
{
    uint32_t v;
    int spaces = -1;
    *t = (struct tok){.g = g, .err = err, .words = -1};
    (void)gguf_str(g, "tokenizer.ggml.model", &t->model, NULL);
    (void)gguf_str(g, "tokenizer.ggml.pre", &t->pre, NULL);
    (void)gguf_str(g, "general.architecture", &t->arch, NULL);
    static const char *const known[] = {"gpt2", "llama", "gemma4", "t5", "bert"};
    int ok = 0;
    for (int i = 0; i < 5; i++) ok |= str_is(t->model, known[i]);
    t->tokens = array(g, "tokenizer.ggml.tokens", GGUF_STRING, 0);
    if (!ok || !t->tokens || !t->tokens->count)
        return lar_fail(
            err, LAR_EUNSUPPORTED,
            "tokenizer.ggml.model \"%.*s\": cannot be exported; gpt2, llama, gemma4, t5 and bert can",
            STR_ARG(t->model));
    uint64_t n = t->n = t->tokens->count;
    t->types = array(g, "tokenizer.ggml.token_type", GGUF_I32, n);
    t->scores = array(g, "tokenizer.lar.scores", GGUF_F64, n);
    if (!t->scores) t->scores = array(g, "tokenizer.ggml.scores", GGUF_F32, n);
    t->merges = array(g, "tokenizer.ggml.merges", GGUF_STRING, 0);
    t->added = array(g, "tokenizer.lar.added", GGUF_U8, n);
    t->charsmap = gguf_find(g, "tokenizer.ggml.precompiled_charsmap");
    if (t->charsmap &&
        (t->charsmap->type != GGUF_ARRAY || gguf_type_bytes(t->charsmap->etype) != 1))
        t->charsmap = NULL;
    while (t->n > 1 &&
           type_of(t, t->n - 1) == TOKEN_UNUSED) { /* [PADn], which a reader makes again */
        char name[32];
        int k = snprintf(name, sizeof name, "[PAD%" PRIu64 "]", t->n - 1);
        if (!str_eq(gguf_str_at(t->tokens, t->n - 1), (struct str){name, (size_t)k})) break;
        t->n--;
    }
    (void)gguf_bool(g, "tokenizer.ggml.add_space_prefix", &spaces, NULL);
    int chars = str_is(t->model, "llama") || str_is(t->model, "t5");
    t->prefix = chars && spaces != 0 ? PREFIX_ALWAYS : PREFIX_NONE;
    if (gguf_u32(g, "tokenizer.lar.prefix", &v, NULL) == 1 && v <= PREFIX_FIRST) t->prefix = (int)v;
    if (gguf_u32(g, "tokenizer.lar.words", &v, NULL) == 1 && v <= WORDS_ALL) t->words = (int)v;
    return 0;
}

int export_tokens(const struct export *e, const char *folder, struct lar_err *err)
{
    struct tok t;
    struct str chat = STR("");
    const struct gguf_tensor *types = gguf_tensor(&e->g, "token_types.weight");
    int rc = load(&t, &e->g, err);
    if (rc < 0) return rc;
    int spm =
        t.scores && !t.merges && !t.added && (str_is(t.model, "llama") || str_is(t.model, "t5"));
    t.reads = (e->f->flags & FAMILY_READS) != 0;
    t.framed = t.reads && !str_is(t.arch, "gemma-embedding");
    t.context = t.reads ? (uint32_t)fmax(export_num(e, "context_length", 0), 0) : 0;
    t.typed = types && types->ndim > 1 && types->dim[1] > 1;
    t.fairseq = spm && is_fairseq(&t);
    if (spm && !t.fairseq && str_is(t.arch, "bert"))
        return lar_fail(err, LAR_EUNSUPPORTED, "tokenizer: its pieces are not numbered as XLM-R's");
    if (spm)
        sentencepiece(&t);
    else
        rc = tokenizer_json(&t);
    rc = put(&t, folder, t.fairseq ? "sentencepiece.bpe.model" : spm ? "tokenizer.model" : "tokenizer.json", rc);
    if (rc == 0) tokenizer_config(&t, spm);
    rc = put(&t, folder, "tokenizer_config.json", rc);
    if (rc == 0 && !t.reads) generation(&t);
    if (!t.reads) rc = put(&t, folder, "generation_config.json", rc);
    if (gguf_str(&e->g, "tokenizer.chat_template", &chat, NULL) == 1 && rc == 0)
        rc = export_text(folder, "chat_template.jinja", chat, err);
    if (rc == 0) rc = check(&t, folder, spm, err);
    buf_done(&t.b);
    return rc;
}
