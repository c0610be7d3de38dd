/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_hf_pre.c: the pre_tokenizer of a byte-level BPE in tokenizer.json, as a name of tokenizer.ggml.pre.
 *
 * Its steps become a list of regular expressions, each applied to the pieces that the one before left. A list that stands in the table
 * below has a splitter written by hand (split.h), and a name that other programs know too; any other is run as it stands (split_regex.h), or refused
 * when an expression holds what is not known there.
 */
#include "text/regex.h"
#include "text/split_regex.h"
#include "text/vocab_make.h"

// clang-format off
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define LLAMA3 \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{" \
    "N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define QWEN2 \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[" \
    "\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define QWEN35 \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\" \
    "p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define GPT4O \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]" \
    "+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}" \
    "]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\" \
    "p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define TEKKEN \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]" \
    "+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M" \
    "}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define KIMI \
    "[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*[\\p" \
    "{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N" \
    "}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p" \
    "{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\" \
    "r\\n]+|\\s+(?!\\S)|\\s+"
#define SEED \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}" \
    "\r\n]+|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
#define EXAONE_MOE \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+" \
    "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"
#define BLOOM " ?[^(\\s|[.,!?…。，、।۔،])]+"
#define GROUPED "\\d{1,3}(?=(?:\\d{3})*\\b)"
#define LINE "[\r\n]"
#define LETTERS_SP "\\s?\\p{L}+"
#define PUNCT_SP "\\s?\\p{P}+"
#define CJK "[一-龥ࠀ-一가-퟿]+"
#define SCRIPTS_SP \
    "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯ" \
    "Ͱ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ" \
    "-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-" \
    "Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ" \
    "-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ" \
    "-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-" \
    "ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ" \
    "-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻" \
    "𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
#define SYMBOLS_SP "\\s?[!-/:-~！-／：-～‘-‟　-。]+"
#define SPACES_END "\\s+$"
#define DIGITS3 "\\p{N}{1,3}"
#define CJK3 "[一-龥぀-ゟ゠-ヿ]+"
#define DEEPSEEK3 \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L" \
    "}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define DIGIT "\\p{N}"
#define PUNCT "[\\p{P}!-/:-@\\[-`{-~]+"
#define PUNCT_ONE "[\\p{P}!-/:-@\\[-`{-~]"
#define ASCII3 "[0-9][0-9][0-9]"

/* For the same expressions the name whose flags are those of the file is taken, else the first. */
static const struct { const char *name, *stage[SPLIT_STAGES_MAX]; } known[] = {
    {"gpt-2", {GPT2}}, {"mpt", {GPT2}},
    {"llama-bpe", {LLAMA3}}, {"dbrx", {LLAMA3}},
    {"qwen2", {QWEN2}}, {"hunyuan", {QWEN2}},
    {"qwen35", {QWEN35}},
    {"gpt-4o", {GPT4O}}, {"granite-embed-multi-97m", {GPT4O}},
    {"tekken", {TEKKEN}},
    {"kimi-k2", {KIMI}},
    {"seed-coder", {SEED}},
    {"exaone-moe", {EXAONE_MOE}},
    {"bloom", {BLOOM}}, {"viking", {BLOOM, DIGIT}},
    {"smollm", {DIGIT, GPT2}}, {"command-r", {DIGIT, GPT2}},
    {"falcon", {PUNCT, GPT2, ASCII3}},
    {"tiny_aya", {GROUPED, GPT4O}},
    {"deepseek-coder", {LINE, LETTERS_SP, PUNCT_SP, CJK, DIGIT}},
    {"deepseek-llm", {LINE, SCRIPTS_SP, SYMBOLS_SP, SPACES_END, CJK, DIGIT}},
    {"deepseek-v3", {DIGITS3, CJK3, DEEPSEEK3}},
};
// clang-format on

#define COUNT(a) (sizeof(a) / sizeof *(a))

static int is(const struct json *v, const char *type)
{
    return str_is(json_str(json_get(v, "type"), STR("")), type);
}

static int unknown(const struct json *v, const char *what, struct lar_err *err)
{
    return lar_fail(err, LAR_EUNSUPPORTED, "tokenizer.json: pre_tokenizer \"%.*s\": %s",
                    STR_ARG(json_str(json_get(v, "type"), STR(""))), what);
}

/* One more expression, and what becomes of its matches. */
static int add_split(struct vocab_make *m, struct str regex, int how, int inverted, struct lar_err *err)
{
    size_t n = m->split.n;
    int rc = make_list_add(&m->split, regex, err);
    if (rc < 0) return rc;
    m->how[n] = (unsigned char)how;
    m->inverted[n] = inverted != 0;
    m->alphabet[n] = m->is_alphabet != 0;
    return 0;
}

/* A text as the expression that matches it. */
static int literal(struct vocab_make *m, struct str s, int how, int inverted, struct lar_err *err)
{
    char *p = arena_alloc(&m->a, 2 * s.n + 1);
    size_t n = 0;
    if (!p) return lar_fail(err, LAR_ENOMEM, "tokenizer.json: out of memory");
    for (size_t i = 0; i < s.n; i++) {
        if (strchr("\\^$.|?*+()[]{}", s.p[i]) && s.p[i]) p[n++] = '\\';
        p[n++] = s.p[i];
    }
    return add_split(m, (struct str){p, n}, how, inverted, err);
}

/* SPLIT_* of a behavior's name, 0 for none. */
static int behavior(const struct json *v)
{
    static const struct {
        const char *name;
        int how;
    } of[] = {{"Isolated", SPLIT_ISOLATED}, {"Removed", SPLIT_REMOVED}, {"MergedWithPrevious", SPLIT_PREVIOUS},
              {"MergedWithNext", SPLIT_NEXT}, {"Contiguous", SPLIT_CONTIGUOUS}};
    struct str name = json_str(json_get(v, "behavior"), STR("Isolated"));
    for (size_t i = 0; i < COUNT(of); i++)
        if (str_is(name, of[i].name)) return of[i].how;
    return 0;
}

static int read_split(struct vocab_make *m, const struct json *v, struct lar_err *err)
{
    const struct json *pattern = json_get(v, "pattern");
    struct str regex = json_str(json_get(pattern, "Regex"), STR("")),
               text = json_str(json_get(pattern, "String"), STR(""));
    int how = behavior(v), inverted = json_bool(json_get(v, "invert"), 0);
    if (!how) return unknown(v, "this behavior is not known to Lar", err);
    if (regex.n) return add_split(m, regex, how, inverted, err);
    return text.n ? literal(m, text, how, inverted, err) : unknown(v, "it has no pattern", err);
}

/* Isolated and Contiguous as expressions, as falcon's name has them. What counts as punctuation is an older table's, which vocab_make.c names. */
static int read_punctuation(struct vocab_make *m, const struct json *v, struct lar_err *err)
{
    int how = behavior(v), all = how == SPLIT_CONTIGUOUS;
    if (!how) return unknown(v, "this behavior is not known to Lar", err);
    m->punctuation |= 1u << m->split.n;
    return add_split(m, all ? STR(PUNCT) : STR(PUNCT_ONE), all ? SPLIT_ISOLATED : how, 0, err);
}

static int read_step(struct vocab_make *m, const struct json *v, int depth, struct lar_err *err)
{
    int rc = 0;
    if (is(v, "Sequence") && depth < 4) {
        const struct json *l = json_get(v, "pretokenizers");
        for (const struct json *e = l ? l->child : NULL; e && rc == 0; e = e->next)
            rc = read_step(m, e, depth + 1, err);
        return rc;
    }
    if (is(v, "Split")) return read_split(m, v, err);
    if (is(v, "Punctuation")) return read_punctuation(m, v, err);
    struct str digits = json_bool(json_get(v, "individual_digits"), 0) ? STR(DIGIT) : STR(DIGIT "+");
    if (is(v, "Digits")) return add_split(m, digits, SPLIT_ISOLATED, 0, err);
    if (!is(v, "ByteLevel"))
        return unknown(v, "known are Split, Punctuation, Digits and ByteLevel", err);
    if (json_bool(json_get(v, "add_prefix_space"), 1)) {
        if (m->split.n) return unknown(v, "add_prefix_space is known for the first step only", err);
        m->prefix = PREFIX_UNLESS;
    }
    rc = json_bool(json_get(v, "use_regex"), 1) ? add_split(m, STR(GPT2), SPLIT_ISOLATED, 0, err) : 0;
    m->is_alphabet = 1;
    return rc;
}

/* An expression that matches everywhere leaves nothing that inverting and removing could take. */
static int keeps_all(const struct vocab_make *m, size_t i, const struct splitter *sp)
{
    if (m->how[i] == SPLIT_ISOLATED) return 1;
    return m->how[i] == SPLIT_REMOVED && m->inverted[i] && i + 1 == m->split.n && sp && sp->last;
}

static int same_stages(const struct vocab_make *m, const char *const *stage, const struct splitter *sp)
{
    const struct make_list *l = &m->split;
    for (size_t i = 0; i < SPLIT_STAGES_MAX; i++) {
        if (!stage[i]) return l->n == i;
        if (i == l->n || !str_is(l->s[i], stage[i]) || !keeps_all(m, i, sp)) return 0;
    }
    return l->n == SPLIT_STAGES_MAX;
}

static unsigned flags_of(const struct vocab_make *m)
{
    unsigned f = m->ignore_merges > 0 ? SPLIT_IGNORE_MERGES : 0;
    for (size_t i = 0; i < m->normalizer.n; i++)
        if (str_is(m->normalizer.s[i], "NFC")) f |= SPLIT_NFC;
    return f;
}

/* What is not understood is told here, where the file is known. */
static int check_split(const struct vocab_make *m, struct lar_err *err)
{
    int rc = m->split.n > SPLIT_STAGES_MAX
                 ? lar_fail(err, LAR_EUNSUPPORTED, "tokenizer.json: pre_tokenizer: %zu steps, %d is the most",
                            m->split.n, SPLIT_STAGES_MAX)
                 : 0;
    for (size_t i = 0; i < m->split.n && rc == 0; i++) {
        struct regex *re;
        struct lar_err why;
        if ((rc = regex_open(&re, m->split.s[i], &why)) < 0)
            rc = lar_fail(err, rc, "tokenizer.json: pre_tokenizer: %s", why.msg);
        regex_close(re);
    }
    return rc;
}

int vocab_hf_pre(struct vocab_make *m, const struct json *pre, struct lar_err *err)
{
    int rc = pre && pre->kind == JSON_OBJECT ? read_step(m, pre, 0, err) : 0;
    if (rc < 0) return rc;
    if (m->prefix < 0) m->prefix = PREFIX_NONE;
    unsigned mask = SPLIT_NFC | SPLIT_IGNORE_MERGES, want = flags_of(m);
    for (size_t i = 0; i < COUNT(known); i++) {
        const struct splitter *sp = split_find(str_of(known[i].name));
        if (!same_stages(m, known[i].stage, sp)) continue;
        int exact = sp && (sp->flags & mask) == want;
        if (exact || !m->pre.n) m->pre = str_of(known[i].name);
        if (exact) break;
    }
    if (m->pre.n) m->split.n = 0;
    if (m->pre.n || !m->split.n) return 0;
    for (size_t i = 0; i < m->split.n; i++)
        if (m->alphabet[i])
            return lar_fail(err, LAR_EUNSUPPORTED,
                            "tokenizer.json: pre_tokenizer: a step behind ByteLevel is known to Lar in falcon's "
                            "list only; this one is %.*s",
                            STR_ARG(m->split.s[i]));
    m->pre = STR("lar.split");
    return check_split(m, err);
}

const char *const *vocab_hf_stages(struct str pre)
{
    const struct splitter *want = split_find(pre);
    for (size_t i = 0; want && i < COUNT(known); i++) {
        const struct splitter *sp = split_find(str_of(known[i].name));
        if (sp && sp->last == want->last && !memcmp(sp->stage, want->stage, sizeof sp->stage)) return known[i].stage;
    }
    return NULL;
}
