/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_hf_json.c: Hugging Face's tokenizer.json: normalizer, pre_tokenizer, model, added tokens, post_processor.
 *
 * What each part means is stated by the tokenizers library's own sources. Three families come out: byte-level BPE (gpt2), BPE over
 * characters with U+2581 for spaces (llama, gemma4), Unigram (t5), WordPiece (bert). A part that would change ids and has no counterpart here is
 * refused by its name; the decoder is not read, it follows from the family.
 */
#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "text/vocab_make.h"

#define SPACE_SIGN "\xe2\x96\x81"

enum { STEPS = 16 };

/* A Sequence's members in order, or the one step itself. */
struct steps {
    const struct json *s[STEPS];
    size_t n;
};

static struct str type_of(const struct json *v) { return json_str(json_get(v, "type"), STR("")); }

static int is(const struct json *v, const char *type) { return str_is(type_of(v), type); }

static int flatten(struct steps *out, const struct json *v, const char *members, int depth,
                   struct lar_err *err)
{
    int rc = 0;
    if (!v || v->kind == JSON_NULL) return 0;
    if (is(v, "Sequence") && depth < 4) {
        const struct json *l = json_get(v, members);
        for (const struct json *e = l ? l->child : NULL; e && rc == 0; e = e->next)
            rc = flatten(out, e, members, depth + 1, err);
        return rc;
    }
    if (out->n == STEPS || depth >= 4)
        return lar_fail(err, LAR_EUNSUPPORTED, "tokenizer.json: %s: more than %d steps", members,
                        STEPS);
    out->s[out->n++] = v;
    return 0;
}

static int has(const struct steps *l, const char *type)
{
    for (size_t i = 0; i < l->n; i++)
        if (is(l->s[i], type)) return 1;
    return 0;
}

static int unknown(const char *part, const struct json *v, struct lar_err *err)
{
    return lar_fail(err, LAR_EUNSUPPORTED,
                    "tokenizer.json: %s \"%.*s\": this form is not known to Lar", part,
                    STR_ARG(type_of(v)));
}

static int nomem(struct lar_err *err)
{
    return lar_fail(err, LAR_ENOMEM, "tokenizer.json: out of memory");
}

/* ---- normalizer ----------------------------------------------------------------------------------------------------------- */

/* name, or name and arguments with U+001F between them: what tokenizer.lar.normalizer holds. */
static int add_step(struct vocab_make *m, const char *name, const struct str *arg, size_t narg,
                    struct lar_err *err)
{
    struct buf b = {0};
    buf_puts(&b, name);
    for (size_t i = 0; i < narg; i++) {
        buf_putc(&b, '\x1f');
        buf_str(&b, arg[i]);
    }
    char *p = b.failed ? NULL : arena_copy(&m->a, buf_z(&b), b.n);
    size_t n = b.n;
    buf_done(&b);
    return p ? make_list_add(&m->normalizer, (struct str){p, n}, err) : nomem(err);
}

static int base64(struct vocab_make *m, struct str s, struct str *out, struct lar_err *err)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char *p = arena_alloc(&m->a, s.n / 4 * 3 + 3);
    size_t n = 0, bits = 0;
    uint32_t v = 0;
    if (!p) return nomem(err);
    while (s.n && s.p[s.n - 1] == '=') s.n--;
    for (size_t i = 0; i < s.n; i++) {
        const char *d = s.p[i] ? strchr(digits, s.p[i]) : NULL;
        if (!d)
            return lar_fail(err, LAR_EFORMAT,
                            "tokenizer.json: precompiled_charsmap: byte %zu is no base64", i);
        v = v << 6 | (uint32_t)(d - digits);
        if ((bits += 6) >= 8) p[n++] = (unsigned char)(v >> (bits -= 8));
    }
    *out = (struct str){(char *)p, n};
    return 0;
}

static int joins_spaces(const struct json *v)
{
    struct str to = json_str(json_get(v, "content"), STR(""));
    return is(v, "Replace") && str_is(json_str(json_get(json_get(v, "pattern"), "Regex"), STR("")), " {2,}") &&
           (str_is(to, " ") || str_is(to, SPACE_SIGN));
}

static int read_replace(struct vocab_make *m, const struct json *v, struct lar_err *err)
{
    static const char *const runs[] = {" {2,}", " +", "\\s+", "\\s{2,}"};
    const struct json *pattern = json_get(v, "pattern");
    struct str to = json_str(json_get(v, "content"), STR("")), text = json_str(json_get(pattern, "String"), STR("")),
               regex = json_str(json_get(pattern, "Regex"), STR(""));
    if (joins_spaces(v)) m->remove_spaces = 1;
    if (text.n && !memchr(text.p, 0x1f, text.n)) return add_step(m, "Replace", (struct str[]){text, to}, 2, err);
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        if (str_is(regex, runs[i])) return add_step(m, "Runs", (struct str[]){regex, to}, 2, err);
    return lar_fail(err, LAR_EUNSUPPORTED,
                    "tokenizer.json: normalizer \"Replace\": the expression \"%.*s\" is not known to Lar; "
                    "known are texts and runs of white space",
                    STR_ARG(regex));
}

static int read_bert_normalizer(struct vocab_make *m, const struct json *v, struct lar_err *err)
{
    char how[5] = "";
    size_t n = 0;
    m->lowercase = json_bool(json_get(v, "lowercase"), 1);
    m->strip_accents = json_bool(json_get(v, "strip_accents"), m->lowercase);
    if (json_bool(json_get(v, "clean_text"), 1)) how[n++] = 'c';
    if (json_bool(json_get(v, "handle_chinese_chars"), 1)) how[n++] = 'z';
    if (m->strip_accents) how[n++] = 'a';
    if (m->lowercase) how[n++] = 'l';
    return add_step(m, "Bert", &(struct str){how, n}, 1, err);
}

static int read_strip(struct vocab_make *m, const struct steps *l, size_t i, struct lar_err *err)
{
    int left = json_bool(json_get(l->s[i], "strip_left"), 1), right = json_bool(json_get(l->s[i], "strip_right"), 1);
    struct str sides = left && right ? STR("lr") : left ? STR("l") : STR("r");
    if (right && (left || (i + 1 < l->n && joins_spaces(l->s[i + 1]))))
        m->remove_spaces = 1; /* as other programs do it */
    return left || right ? add_step(m, "Strip", &sides, 1, err) : 0;
}

static int read_prepend(struct vocab_make *m, const struct json *v, struct lar_err *err)
{
    struct str text = json_str(json_get(v, "prepend"), STR(""));
    if (str_is(text, SPACE_SIGN)) m->prefix = PREFIX_ALWAYS;
    if (!text.n || memchr(text.p, 0x1f, text.n)) return unknown("normalizer", v, err);
    return add_step(m, "Prepend", &text, 1, err);
}

static int read_precompiled(struct vocab_make *m, const struct json *v, struct lar_err *err)
{
    int rc = base64(m, json_str(json_get(v, "precompiled_charsmap"), STR("")), &m->charsmap, err);
    if (rc < 0 || !m->charsmap.n) return rc; /* none at all: nothing changes */
    return add_step(m, "Precompiled", NULL, 0, err);
}

static int read_normalizer(struct vocab_make *m, const struct steps *l, struct lar_err *err)
{
    static const char *const plain[] = {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt"};
    for (size_t i = 0; i < l->n; i++) {
        const struct json *v = l->s[i];
        int rc = 0, known = 0;
        for (size_t k = 0; k < sizeof plain / sizeof *plain && !known; k++)
            if (is(v, plain[k])) known = 1, rc = add_step(m, plain[k], NULL, 0, err);
        if (known) (void)0;
        else if (is(v, "Replace")) rc = read_replace(m, v, err);
        else if (is(v, "Prepend")) rc = read_prepend(m, v, err);
        else if (is(v, "Precompiled")) rc = read_precompiled(m, v, err);
        else if (is(v, "BertNormalizer")) rc = read_bert_normalizer(m, v, err);
        else if (is(v, "Strip")) rc = read_strip(m, l, i, err);
        else rc = unknown("normalizer", v, err);
        if (rc < 0) return rc;
    }
    return 0;
}

/* ---- pre_tokenizer of all but byte-level BPE ----------------------------------------------------------------------------- */

static int read_metaspace(struct vocab_make *m, const struct json *v, struct lar_err *err)
{
    struct str scheme = json_str(json_get(v, "prepend_scheme"), STR("always"));
    if (!json_bool(json_get(v, "add_prefix_space"), 1)) scheme = STR("never"); /* older files */
    if (!str_is(json_str(json_get(v, "replacement"), STR(SPACE_SIGN)), SPACE_SIGN))
        return unknown("pre_tokenizer", v, err);
    m->prefix = str_is(scheme, "never")   ? PREFIX_NONE
                : str_is(scheme, "first") ? PREFIX_FIRST
                                          : PREFIX_UNLESS;
    if (json_bool(json_get(v, "split"), 1)) m->words |= WORDS_SIGN;
    return 0;
}

static int writes_signs(const struct vocab_make *m)
{
    for (size_t i = 0; i < m->normalizer.n; i++)
        if (str_is(m->normalizer.s[i], "Replace\x1f \x1f" SPACE_SIGN)) return 1;
    return 0;
}

/* signs: the model's pieces have U+2581 for spaces, which must then be written somewhere unless none is left. */
static int read_words(struct vocab_make *m, const struct steps *l, int signs, struct lar_err *err)
{
    static const struct {
        const char *name;
        int words;
    } cuts[] = {{"WhitespaceSplit", WORDS_SPACE}, {"BertPreTokenizer", WORDS_BERT}, {"Whitespace", WORDS_CLASS}};
    int written = writes_signs(m), rc = 0;
    m->words = 0;
    for (size_t i = 0; i < l->n && rc == 0; i++) {
        const struct json *v = l->s[i];
        size_t k = 0;
        while (k < sizeof cuts / sizeof *cuts && !is(v, cuts[k].name)) k++;
        if (k < sizeof cuts / sizeof *cuts && !m->words && !written) m->words = cuts[k].words;
        else if (is(v, "Metaspace") && signs && !(m->words & WORDS_SIGN)) rc = read_metaspace(m, v, err), written = 1;
        else if (is(v, "Split") && written &&
                 str_is(json_str(json_get(json_get(v, "pattern"), "String"), STR("")), " "))
            continue; /* none is left */
        else rc = unknown("pre_tokenizer", v, err);
    }
    if (m->words & WORDS_SPACE) m->remove_spaces = 1;
    if (rc == 0 && signs && !written && !(m->words & (WORDS_SPACE | WORDS_BERT | WORDS_CLASS)))
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "tokenizer.json: pre_tokenizer: neither Metaspace nor a normalizer writes U+2581 for spaces; "
                        "a vocabulary with plain spaces in it is not known to Lar");
    if (rc == 0 && !signs && !m->words)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "tokenizer.json: pre_tokenizer: WordPiece is known with BertPreTokenizer, Whitespace and "
                        "WhitespaceSplit");
    return rc;
}

/* ---- models ---------------------------------------------------------------------------------------------------------------- */

static int is_byte_name(struct str s)
{
    return s.n == 6 && !memcmp(s.p, "<0x", 3) && s.p[5] == '>' &&
           memchr("0123456789ABCDEF", s.p[3], 16) && memchr("0123456789ABCDEF", s.p[4], 16);
}

static int read_vocab(struct vocab_make *m, const struct json *vocab, int fallback, struct str unk,
                      struct lar_err *err)
{
    int rc = 0;
    for (const struct json *e = vocab->child; e && rc == 0; e = e->next) {
        enum token_type type = fallback && is_byte_name(e->key) ? TOKEN_BYTE
                               : unk.n && str_eq(e->key, unk)   ? TOKEN_UNKNOWN
                                                                : TOKEN_NORMAL;
        if (!e->is_int)
            return lar_fail(err, LAR_EFORMAT, "tokenizer.json: the id of \"%.*s\" is no integer",
                            STR_ARG(e->key));
        rc = vocab_make_token(m, e->i, e->key, type, 0, err);
        if (rc == 0 && type == TOKEN_UNKNOWN) m->special.unk = (int32_t)e->i;
    }
    return rc;
}

/* Merges are "left right", in newer files ["left", "right"]. */
static int read_merges(struct vocab_make *m, const struct json *merges, struct lar_err *err)
{
    m->merge = arena_array(&m->a, merges->n + 1, sizeof *m->merge);
    if (!m->merge) return nomem(err);
    for (const struct json *e = merges->child; e; e = e->next) {
        struct str s = e->s;
        if (e->kind == JSON_ARRAY && e->n == 2) {
            struct str a = json_str(e->child, STR("")), b = json_str(e->child->next, STR(""));
            if (memchr(a.p, ' ', a.n) || memchr(b.p, ' ', b.n))
                return lar_fail(
                    err, LAR_EUNSUPPORTED,
                    "tokenizer.json: merge %zu joins pieces that hold a space, which no GGUF can say",
                    m->nmerge);
            char *p = arena_alloc(&m->a, a.n + b.n + 1);
            if (!p) return nomem(err);
            memcpy(p, a.p, a.n);
            p[a.n] = ' ';
            memcpy(p + a.n + 1, b.p, b.n);
            s = (struct str){p, a.n + b.n + 1};
        } else if (e->kind != JSON_STRING) {
            return lar_fail(err, LAR_EFORMAT,
                            "tokenizer.json: merge %zu is neither a string nor two", m->nmerge);
        }
        m->merge[m->nmerge++] = s;
    }
    return 0;
}

/* For programs that know scores only: an earlier piece is the better one, as SentencePiece numbers them. */
static void make_scores(struct vocab_make *m)
{
    m->scores = 1;
    for (size_t i = 0; i < m->n; i++) m->score[i] = m->type[i] == TOKEN_NORMAL ? -(double)i : 0;
}

static int read_bpe(struct vocab_make *m, const struct json *model, const struct steps *pre,
                    int bytes, const struct json *pre_json, struct lar_err *err)
{
    const struct json *vocab = json_get(model, "vocab"), *merges = json_get(model, "merges");
    int fallback = !bytes && json_bool(json_get(model, "byte_fallback"), 0), rc;
    struct str unk = json_str(json_get(model, "unk_token"), STR(""));
    static const char *const never[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < 2; i++)
        if (json_str(json_get(model, never[i]), STR("")).n)
            return lar_fail(err, LAR_EUNSUPPORTED, "tokenizer.json: model: %s is not known to Lar",
                            never[i]);
    if (json_num(json_get(model, "dropout"), 0) > 0)
        return lar_fail(err, LAR_EUNSUPPORTED, "tokenizer.json: model: dropout makes ids random");
    if (!vocab || vocab->kind != JSON_OBJECT || !merges || merges->kind != JSON_ARRAY)
        return lar_fail(err, LAR_EFORMAT, "tokenizer.json: model: BPE needs vocab and merges");
    if ((rc = read_vocab(m, vocab, fallback, bytes ? STR("") : unk, err)) < 0) return rc;
    if ((rc = read_merges(m, merges, err)) < 0) return rc;
    m->ignore_merges = json_bool(json_get(model, "ignore_merges"), 0);
    if (bytes) {
        m->model = "gpt2";
        m->special.unk = vocab_make_find(m, unk);
        return vocab_hf_pre(m, pre_json, err);
    }
    if (m->ignore_merges)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "tokenizer.json: model: ignore_merges is known for byte-level BPE only");
    if (m->prefix < 0) m->prefix = PREFIX_NONE;
    if ((rc = read_words(m, pre, 1, err)) < 0) return rc;
    if (!json_bool(json_get(model, "fuse_unk"), 0)) m->words |= WORDS_LONE;
    m->model = m->prefix == PREFIX_NONE ? "gemma4" : "llama";
    if (m->prefix != PREFIX_NONE) m->pre = STR("default");
    m->remove_spaces = m->remove_spaces > 0;
    make_scores(m);
    return 0;
}

/* Scores decide ties to the last bit, and serde_json, by which the library reads them, does not round as it should: digits as far as they fit
 * into 64 bits, as a double, times or by a power of ten. */
double vocab_hf_double(struct str s)
{
    uint64_t digits = 0;
    int64_t ten = 0, e = 0;
    size_t i = s.n && s.p[0] == '-';
    for (int point = 0, full = 0; i < s.n && (s.p[i] | 32) != 'e'; i++) {
        unsigned d = (unsigned)(s.p[i] - '0');
        if (s.p[i] == '.') {
            point = 1;
            continue;
        }
        full |= digits > (UINT64_MAX - d) / 10;
        if (!full) digits = digits * 10 + d;
        ten += full ? !point : -point;
    }
    int down = i + 1 < s.n && s.p[i + 1] == '-';
    for (; i < s.n; i++)
        if (s.p[i] >= '0' && s.p[i] <= '9' && e < 100000) e = e * 10 + (s.p[i] - '0');
    double f = (double)digits;
    for (ten += down ? -e : e; f > 0 && (ten > 308 || ten < -308); ten += 308) {
        if (ten > 0) return HUGE_VAL;
        f /= 1e308;
    }
    char power[16];
    snprintf(power, sizeof power, "1e%d", f > 0 ? (int)(ten < 0 ? -ten : ten) : 0);
    f = ten < 0 ? f / num_parse(power, NULL) : f * num_parse(power, NULL);
    return s.n && s.p[0] == '-' ? -f : f;
}

static int read_unigram(struct vocab_make *m, const struct json *model, const struct steps *pre,
                        struct lar_err *err)
{
    const struct json *vocab = json_get(model, "vocab"), *unk = json_get(model, "unk_id");
    int fallback = json_bool(json_get(model, "byte_fallback"), 0), rc = 0;
    if (!vocab || vocab->kind != JSON_ARRAY)
        return lar_fail(err, LAR_EFORMAT,
                        "tokenizer.json: model: Unigram needs vocab, a list of pairs");
    for (const struct json *e = vocab->child; e && rc == 0; e = e->next) {
        if (e->kind != JSON_ARRAY || e->n != 2 || e->child->kind != JSON_STRING ||
            e->child->next->kind != JSON_NUMBER)
            return lar_fail(err, LAR_EFORMAT,
                            "tokenizer.json: piece %zu is no pair of a text and a score", m->n);
        struct str s = e->child->s;
        int is_unk = unk && unk->is_int && unk->i == (int64_t)m->n;
        enum token_type type = is_unk                        ? TOKEN_UNKNOWN
                               : fallback && is_byte_name(s) ? TOKEN_BYTE
                                                             : TOKEN_NORMAL;
        if (is_unk) m->special.unk = (int32_t)m->n;
        rc = vocab_make_token(m, (int64_t)m->n, s, type, vocab_hf_double(e->child->next->s), err);
    }
    if (rc < 0) return rc;
    m->model = "t5";
    m->pre = STR("default");
    m->scores = 1;
    if (m->prefix < 0) m->prefix = PREFIX_NONE;
    rc = read_words(m, pre, 1, err);
    m->remove_spaces = m->remove_spaces > 0;
    return rc;
}

/* A piece as a GGUF writes it: "##x" is x, "x" is U+2581 x; names of special tokens stay. */
static int wordpiece(struct vocab_make *m, int64_t id, struct str s, struct lar_err *err)
{
    struct str t = str_from(s, 2);
    int inner = str_starts(s, STR("##")) && s.n > 2;
    if (!inner) {
        char *p = arena_alloc(&m->a, s.n + 3);
        if (!p) return nomem(err);
        memcpy(p, SPACE_SIGN, 3);
        memcpy(p + 3, s.p, s.n);
        t = (struct str){p, s.n + 3};
    }
    int rc = vocab_make_token(m, id, t, TOKEN_NORMAL, 0, err);
    if (rc == 0) m->added[id] = inner ? MAKE_INNER : 0;
    return rc;
}

static int read_wordpiece(struct vocab_make *m, const struct json *model, const struct steps *pre,
                          struct lar_err *err)
{
    const struct json *vocab = json_get(model, "vocab"), *e;
    struct str unk = json_str(json_get(model, "unk_token"), STR("[UNK]"));
    int rc = 0;
    if (!vocab || vocab->kind != JSON_OBJECT)
        return lar_fail(err, LAR_EFORMAT, "tokenizer.json: model: WordPiece needs vocab");
    double most = json_num(json_get(model, "max_input_chars_per_word"), WORD_MAX);
    if (!str_is(json_str(json_get(model, "continuing_subword_prefix"), STR("##")), "##") || most < 1 ||
        most > WORD_MAX_MOST)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "tokenizer.json: model: WordPiece is known with ## and words of up to %d characters",
                        WORD_MAX_MOST);
    m->word_max = (int)most;
    if ((rc = read_words(m, pre, 0, err)) < 0) return rc;
    for (e = vocab->child; e && rc == 0; e = e->next) {
        if (!e->is_int)
            return lar_fail(err, LAR_EFORMAT, "tokenizer.json: the id of \"%.*s\" is no integer",
                            STR_ARG(e->key));
        rc = wordpiece(m, e->i, e->key, err);
    }
    if (rc < 0) return rc;
    m->model = "bert";
    for (e = vocab->child; e; e = e->next)
        if (str_eq(e->key, unk)) {
            m->special.unk = (int32_t)e->i;
            m->token[e->i] = e->key;
            m->type[e->i] = TOKEN_UNKNOWN;
        }
    return 0;
}

int vocab_hf_wordpieces(struct vocab_make *m, struct str text, struct lar_err *err)
{
    int rc = 0;
    for (int64_t id = 0; text.n && rc == 0; id++) {
        const char *end = memchr(text.p, '\n', text.n);
        struct str s = {text.p, end ? (size_t)(end - text.p) : text.n};
        text = str_from(text, end ? s.n + 1 : s.n);
        if (s.n && s.p[s.n - 1] == '\r') s.n--;
        static const char *const name[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
        int32_t *const of[] = {&m->special.pad, &m->special.unk, &m->special.cls, &m->special.sep,
                               &m->special.mask};
        size_t k = 0;
        while (k < 5 && !str_is(s, name[k])) k++;
        if (!s.n) continue;
        if (k == 5) {
            rc = wordpiece(m, id, s, err);
        } else if ((rc = vocab_make_token(m, id, s, k == 1 ? TOKEN_UNKNOWN : TOKEN_CONTROL, 0,
                                          err)) == 0) {
            *of[k] = (int32_t)id;
            m->added[id] = MAKE_ADDED;
        }
    }
    m->model = "bert";
    m->lowercase = m->strip_accents = 1; /* tokenizer_config.json may say otherwise */
    return rc;
}

/* ---- added tokens, post_processor ------------------------------------------------------------------------------------------- */

int vocab_hf_added(struct vocab_make *m, const struct json *list, struct lar_err *err)
{
    int rc = 0;
    for (const struct json *e = list ? list->child : NULL; e && rc == 0; e = e->next) {
        struct str text = json_str(json_get(e, "content"), STR(""));
        const struct json *id = json_get(e, "id");
        if (!id || !id->is_int || !text.n)
            return lar_fail(err, LAR_EFORMAT,
                            "tokenizer.json: added_tokens: \"%.*s\" has no text or no id",
                            STR_ARG(text));
        int special = json_bool(json_get(e, "special"), 0),
            unk = id->i == m->special.unk && strcmp(m->model, "gpt2") != 0,
            old = id->i >= 0 && id->i < (int64_t)m->n && m->token[id->i].n;
        enum token_type type = unk ? TOKEN_UNKNOWN : special ? TOKEN_CONTROL : TOKEN_USER;
        int byte = m->exact && old && m->type[id->i] == TOKEN_BYTE,
            piece = m->exact && old && type == TOKEN_USER && m->type[id->i] == TOKEN_NORMAL;
        unsigned keep = piece ? MAKE_PIECE | (m->added[id->i] & MAKE_INNER) : 0;
        rc = vocab_make_token(m, id->i, text, byte ? TOKEN_BYTE : type, piece ? m->score[id->i] : 0, err);
        if (rc < 0) return rc;
        m->added[id->i] =
            (uint8_t)(MAKE_ADDED | keep | (json_bool(json_get(e, "lstrip"), 0) ? MAKE_LSTRIP : 0) |
                      (json_bool(json_get(e, "rstrip"), 0) ? MAKE_RSTRIP : 0) |
                      (json_bool(json_get(e, "single_word"), 0) ? MAKE_SINGLE : 0) |
                      (json_bool(json_get(e, "normalized"), !special) ? MAKE_NORMALIZED : 0));
    }
    return rc;
}

static int add_id(int32_t *list, size_t *n, const struct vocab_make *m, int64_t id,
                  struct lar_err *err)
{
    if (id < 0 || id >= (int64_t)m->n)
        return lar_fail(err, LAR_EFORMAT, "tokenizer.json: post_processor: %lld is no token",
                        (long long)id);
    if (*n == MAKE_LIST)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "tokenizer.json: post_processor: more than %d tokens", MAKE_LIST);
    list[(*n)++] = (int32_t)id;
    return 0;
}

static int read_template(struct vocab_make *m, const struct json *v, struct lar_err *err)
{
    const struct json *single = json_get(v, "single"), *names = json_get(v, "special_tokens");
    int behind = 0, rc = 0;
    for (const struct json *e = single ? single->child : NULL; e && rc == 0; e = e->next) {
        const struct json *token = json_get(e, "SpecialToken"), *name = json_get(token, "id"),
                          *ids = NULL;
        if (!token) {
            behind = 1;
            continue;
        }
        for (const struct json *s = names ? names->child : NULL; s; s = s->next)
            if (name && str_eq(s->key, name->s)) ids = json_get(s, "ids");
        for (ids = ids ? ids->child : NULL; ids && rc == 0; ids = ids->next)
            rc = behind ? add_id(m->after, &m->nafter, m, ids->is_int ? ids->i : -1, err)
                        : add_id(m->before, &m->nbefore, m, ids->is_int ? ids->i : -1, err);
    }
    return rc;
}

static int read_cls_sep(struct vocab_make *m, const struct json *v, struct lar_err *err)
{
    const struct json *cls = json_get(v, "cls"), *sep = json_get(v, "sep");
    if (!cls || cls->n != 2 || !sep || sep->n != 2) return unknown("post_processor", v, err);
    m->special.cls = (int32_t)json_num(cls->child->next, -1);
    m->special.sep = (int32_t)json_num(sep->child->next, -1);
    int rc = add_id(m->before, &m->nbefore, m, m->special.cls, err);
    return rc < 0 ? rc : add_id(m->after, &m->nafter, m, m->special.sep, err);
}

static int read_post(struct vocab_make *m, const struct json *post, struct lar_err *err)
{
    struct steps l = {.n = 0};
    int rc = flatten(&l, post, "processors", 0, err);
    for (size_t i = 0; i < l.n && rc == 0; i++) {
        if (is(l.s[i], "TemplateProcessing"))
            rc = read_template(m, l.s[i], err);
        else if (is(l.s[i], "RobertaProcessing") || is(l.s[i], "BertProcessing"))
            rc = read_cls_sep(m, l.s[i], err);
        else if (!is(l.s[i], "ByteLevel"))
            rc = unknown("post_processor", l.s[i], err);
    }
    m->lists = 1;
    return rc;
}

int vocab_hf_json(struct vocab_make *m, struct str text, struct lar_err *err)
{
    struct lar_err why;
    const struct json *v = json_parse(&m->a, text, &why), *model = json_get(v, "model");
    struct steps norm = {.n = 0}, pre = {.n = 0}, dec = {.n = 0};
    int rc;
    m->exact = 1;
    if (!v) return lar_fail(err, why.code, "tokenizer.json: %s", why.msg);
    if (!model || model->kind != JSON_OBJECT)
        return lar_fail(err, LAR_EFORMAT, "tokenizer.json: it has no \"model\"");
    if ((rc = flatten(&norm, json_get(v, "normalizer"), "normalizers", 0, err)) < 0) return rc;
    if ((rc = flatten(&pre, json_get(v, "pre_tokenizer"), "pretokenizers", 0, err)) < 0) return rc;
    if ((rc = flatten(&dec, json_get(v, "decoder"), "decoders", 0, err)) < 0) return rc;
    const struct json *vocab = json_get(model, "vocab");
    int bytes = has(&pre, "ByteLevel") || has(&dec, "ByteLevel");
    if ((rc = read_normalizer(m, &norm, err)) < 0) return rc;
    if (is(model, "WordPiece"))
        rc = read_wordpiece(m, model, &pre, err);
    else if (is(model, "Unigram") || (!type_of(model).n && vocab && vocab->kind == JSON_ARRAY))
        rc = read_unigram(m, model, &pre, err);
    else if (is(model, "BPE") || !type_of(model).n)
        rc = read_bpe(m, model, &pre, bytes, json_get(v, "pre_tokenizer"), err);
    else
        rc = unknown("model", model, err);
    if (rc == 0) rc = vocab_hf_added(m, json_get(v, "added_tokens"), err);
    return rc < 0 ? rc : read_post(m, json_get(v, "post_processor"), err);
}

/* ---- vocab.json and merges.txt --------------------------------------------------------------------------------------------- */

static const struct {
    const char *class, *pre;
    int nfc;
} classes[] = {
    {"Qwen2Tokenizer", "qwen2", 1},
    {"GPT2Tokenizer", "gpt-2", 0},
    {"CodeGenTokenizer", "gpt-2", 0},
    {"RobertaTokenizer", "roberta-bpe", 0},
};

static int count_lines(struct str s)
{
    int n = 1;
    for (size_t i = 0; i < s.n; i++) n += s.p[i] == '\n';
    return n;
}

int vocab_hf_pair(struct vocab_make *m, struct str vocab, struct str merges, struct str class,
                  struct lar_err *err)
{
    const struct json *v = json_parse(&m->a, vocab, err);
    struct str fast = STR("Fast"); /* the same class in Rust */
    size_t k = 0;
    if (!v) return err ? err->code : LAR_EFORMAT;
    if (str_ends(class, fast)) class.n -= fast.n;
    while (k < sizeof classes / sizeof *classes && !str_is(class, classes[k].class)) k++;
    if (k == sizeof classes / sizeof *classes)
        return lar_fail(
            err, LAR_EUNSUPPORTED,
            "vocab.json: how text is cut is told by tokenizer_class in tokenizer_config.json; "
            "\"%.*s\" is not known, known are "
            "Qwen2Tokenizer, GPT2Tokenizer, CodeGenTokenizer and RobertaTokenizer; tokenizer.json would say it",
            STR_ARG(class));
    m->merge = arena_array(&m->a, (size_t)count_lines(merges), sizeof *m->merge);
    if (!m->merge) return nomem(err);
    for (int line = 0; merges.n; line++) {
        const char *end = memchr(merges.p, '\n', merges.n);
        struct str s = {merges.p, end ? (size_t)(end - merges.p) : merges.n};
        merges = str_from(merges, end ? s.n + 1 : s.n);
        if (s.n && s.p[s.n - 1] == '\r') s.n--;
        if (s.n && !(line == 0 && str_starts(s, STR("#version")))) m->merge[m->nmerge++] = s;
    }
    m->model = "gpt2";
    m->pre = str_of(classes[k].pre);
    m->ignore_merges = 0;
    m->exact = 1;
    m->prefix = PREFIX_NONE;
    m->special.add_bos = m->special.add_eos = 0;
    if (classes[k].nfc && add_step(m, "NFC", NULL, 0, err) < 0) return LAR_ENOMEM;
    return v->kind == JSON_OBJECT ? read_vocab(m, v, 0, STR(""), err)
                                  : lar_fail(err, LAR_EFORMAT, "vocab.json: is no object");
}
