/* SPDX-License-Identifier: Apache-2.0
 *
 * text/split_word.c: the splitters that cover a text in one pass: GPT-2's, and the families of Llama 3 (words of letters) and
 * GPT-4o (words that break where small letters meet capitals).
 *
 * The expressions, in the order in which they are tried at each place (Llama 3, with the places where relatives differ in angles):
 *     (?i:'s|'t|'re|'ve|'m|'ll|'d) | [^\r\n\p{L}\p{N}]?<\p{L}>+ | \p{N}<{1,3}> | ?<[^\s\p{L}\p{N}]>+<[\r\n]*> |
 *     \s*[\r\n]+ | \s+(?!\S) | \s+
 * A backtracking engine would try and go back; each function here knows where that would end. White space: a run that holds a
 * line end matches up to its last line end; else all of it at the end of the piece; else all but its last character, which the
 * next word may take; else the one character. (?i) folds the long s, U+017F, to s.
 */
#include "text/split.h"
#include "text/split_char.h"

#define INLINE static inline __attribute__((always_inline))

/* ---- parts ------------------------------------------------------------------------------------------------------- */

/* The end of 's 't 're 've 'm 'll 'd at i, or i. fold: in either case. */
INLINE size_t contraction(const char *s, size_t n, size_t i, int fold)
{
    if (n - i < 2 || s[i] != '\'') return i;
    int bit = fold ? 0x20 : 0;
    int a = s[i + 1] | bit, b = n - i > 2 ? s[i + 2] | bit : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return i + 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return i + 3;
    if (fold && n - i > 2 && s[i + 1] == '\xc5' && s[i + 2] == '\xbf') return i + 3;
    return i;
}

/* The end of the white space at i, where there is some. lines: line ends are matched first; 2: but all of it at the end of the piece. */
INLINE size_t spaces(const char *s, size_t n, size_t i, int lines)
{
    size_t last = i, line = i, at = i; /* where the last character begins; behind the last line end */
    while (at < n) {
        size_t k;
        unsigned c = split_at(s, n, at, &k);
        if (!(c & C_S)) break;
        last = at;
        at += k;
        if (c & C_R) line = at;
    }
    if (lines == 2 && at == n) return n;
    if (lines && line > i) return line;
    return at < n && last > i ? last : at;
}

/* The end of \p{N}{1,most} at i, where one stands. */
INLINE size_t digits(const char *s, size_t n, size_t i, int most)
{
    for (int d = 0; d < most && i < n; d++) {
        size_t k;
        if (!(split_at(s, n, i, &k) & C_N)) break;
        i += k;
    }
    return i;
}

/* ---- Llama 3 and its family -------------------------------------------------------------------------------------------- */

enum { NONE, FIRST, SUFFIX };
enum { PLAIN, HAN, END };
enum { TAIL_NONE, TAIL_LINES, TAIL_LINES_SLASH, TAIL_ONE };

struct shape {
    int contractions;  /* NONE, FIRST: the first alternative, SUFFIX: at the end of a word */
    unsigned letters;  /* what words consist of, in the Llama 3 family */
    int digits;        /* at most so many in one piece */
    unsigned not_sign; /* what signs are not */
    int tail;          /* what a run of signs takes along */
    int extra;         /* HAN: Chinese characters are words of their own (Kimi); END: \s++$ comes before line ends (tiktoken) */
};

INLINE size_t tail_of(const char *s, size_t n, size_t i, int tail)
{
    if (tail == TAIL_ONE) return i + (i < n && (s[i] == '\r' || s[i] == '\n' || s[i] == '/'));
    while (tail != TAIL_NONE && i < n &&
           (s[i] == '\r' || s[i] == '\n' || (tail == TAIL_LINES_SLASH && s[i] == '/')))
        i++;
    return i;
}

/* What all of both families share: everything but words. c is the class of the character at i, k its length. */
INLINE size_t not_a_word(const char *s, size_t n, size_t i, unsigned c, size_t k, struct shape f)
{
    if (c & C_N) return digits(s, n, i, f.digits);
    size_t at = s[i] == ' ' ? i + 1 : i;
    if (at < n) {
        size_t kk;
        if (!(split_at(s, n, at, &kk) & f.not_sign))
            return tail_of(s, n, split_run_not(s, n, at, f.not_sign), f.tail);
    }
    return c & C_S ? spaces(s, n, i, f.extra == END ? 2 : 1) : i + k;
}

INLINE size_t llama_like(const char *s, size_t n, size_t i, struct shape f)
{
    size_t k, kk;
    unsigned c = split_at(s, n, i, &k);
    if (c & f.letters) return split_run(s, n, i + k, f.letters);
    if (f.contractions == FIRST && s[i] == '\'') {
        size_t end = contraction(s, n, i, 1);
        if (end > i) return end;
    }
    if (!(c & (C_R | C_N)) && i + k < n && (split_at(s, n, i + k, &kk) & f.letters))
        return split_run(s, n, i + k + kk, f.letters);
    return not_a_word(s, n, i, c, k, f);
}

#define LLAMA(...) return llama_like(s, n, at, (struct shape){__VA_ARGS__})
#define STAGE(name)                                  \
    size_t name(const char *s, size_t n, size_t at) \
    {

STAGE(split_llama3) LLAMA(FIRST, C_L, 3, C_S | C_L | C_N, TAIL_LINES, PLAIN); }
STAGE(split_cl100k) LLAMA(FIRST, C_L, 3, C_S | C_L | C_N, TAIL_LINES, END); }
STAGE(split_qwen2) LLAMA(FIRST, C_L, 1, C_S | C_L | C_N, TAIL_LINES, PLAIN); }
STAGE(split_qwen35) LLAMA(FIRST, C_L | C_M, 1, C_S | C_L | C_M | C_N, TAIL_LINES, PLAIN); }
STAGE(split_seed_coder) LLAMA(FIRST, C_L, 1, C_S | C_L | C_N, TAIL_NONE, PLAIN); }
STAGE(split_ufakzeka) LLAMA(NONE, C_L, 1, C_S | C_L | C_N, TAIL_LINES, PLAIN); }
STAGE(split_minicpm5) LLAMA(FIRST, C_L, 1 << 30, C_S | C_L | C_N, TAIL_LINES, PLAIN); }

/* [^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+: words with single spaces between them are one piece. */
STAGE(split_exaone_moe)
    static const struct shape f = {FIRST, C_L, 1, C_S | C_L | C_N, TAIL_ONE, PLAIN};
    size_t k, kk;
    unsigned c = split_at(s, n, at, &k);
    if (s[at] == '\'') {
        size_t end = contraction(s, n, at, 1);
        if (end > at) return end;
    }
    size_t i = at;
    if (!(c & (C_R | C_N | C_L)) && at + k < n && (split_at(s, n, at + k, &kk) & C_L)) i = at + k;
    else if (!(c & C_L)) return not_a_word(s, n, at, c, k, f);
    for (;;) {
        split_at(s, n, i, &k); /* a letter */
        i = split_run(s, n, i + k, C_M);
        size_t next = i < n && s[i] == ' ' ? i + 1 : i;
        if (next >= n || !(split_at(s, n, next, &k) & C_L)) return i;
        i = next;
    }
}

/* ---- GPT-4o and its family ------------------------------------------------------------------------------------------------- */

/* Han in Unicode 16's Scripts.txt. */
int split_is_han(uint32_t c)
{
    static const uint32_t han[][2] = {
        {0x2e80, 0x2e99},   {0x2e9b, 0x2ef3},   {0x2f00, 0x2fd5},   {0x3005, 0x3005},   {0x3007, 0x3007},
        {0x3021, 0x3029},   {0x3038, 0x303b},   {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xf900, 0xfa6d},
        {0xfa70, 0xfad9},   {0x16fe2, 0x16fe3}, {0x16ff0, 0x16ff1}, {0x20000, 0x2a6df}, {0x2a700, 0x2b739},
        {0x2b740, 0x2b81d}, {0x2b820, 0x2cea1}, {0x2ceb0, 0x2ebe0}, {0x2ebf0, 0x2ee5d}, {0x2f800, 0x2fa1d},
        {0x30000, 0x3134a}, {0x31350, 0x323af},
    };
    for (size_t i = 0; i < sizeof han / sizeof *han && c >= han[i][0]; i++)
        if (c <= han[i][1]) return 1;
    return 0;
}

/* Class of the character at i; with han, a Chinese character is neither capital nor small. */
INLINE unsigned cased_at(const char *s, size_t n, size_t i, size_t *k, int han)
{
    unsigned c = split_at(s, n, i, k);
    if (han && *k > 2) {
        size_t kk;
        if (split_is_han(split_cp(s, n, i, &kk))) c &= ~(unsigned)(C_UP | C_LOW);
    }
    return c;
}

struct cased {
    size_t small, capital; /* ends of [UP]*[LOW]+ and of [UP]+[LOW]*; where they began when they do not match */
};

/* Both alternatives from i. [UP]* takes all it can; when no [LOW] follows it goes back to the last character that is both, which
 * [LOW]+ then takes. */
INLINE struct cased cased_from(const char *s, size_t n, size_t i, int han)
{
    struct cased r = {i, i};
    size_t k, at = i;
    unsigned c = 0;
    for (; at < n; at += k) {
        c = cased_at(s, n, at, &k, han);
        if (!(c & C_UP)) break;
        if (c & C_LOW) r.small = at + k;
    }
    r.capital = at;
    if (at < n && (c & C_LOW)) {
        while (at < n && (cased_at(s, n, at, &k, han) & C_LOW)) at += k;
        r.small = at;
    }
    return r;
}

INLINE size_t gpt4o_like(const char *s, size_t n, size_t i, struct shape f)
{
    size_t k, kk, end = i;
    unsigned c = split_at(s, n, i, &k);
    if (f.extra == HAN && k > 2 && split_is_han(split_cp(s, n, i, &kk))) {
        while (i < n && split_is_han(split_cp(s, n, i, &kk))) i += kk;
        return i;
    }
    struct cased with = {i, i}, bare = {i, i}; /* with a character before the word, and without */
    int prefix = !(c & (C_R | C_L | C_N)) && i + k < n;
    if (prefix) with = cased_from(s, n, i + k, f.extra == HAN);
    if (c & (C_UP | C_LOW)) bare = cased_from(s, n, i, f.extra == HAN);
    if (prefix && with.small > i + k) end = with.small;
    else if (bare.small > i) end = bare.small;
    else if (prefix && with.capital > i + k) end = with.capital;
    else end = bare.capital;
    if (end == i) return not_a_word(s, n, i, c, k, f);
    return f.contractions == SUFFIX ? contraction(s, n, end, 1) : end;
}

#define GPT4O(...) return gpt4o_like(s, n, at, (struct shape){__VA_ARGS__})

STAGE(split_gpt4o) GPT4O(SUFFIX, 0, 3, C_S | C_L | C_N, TAIL_LINES_SLASH, PLAIN); }
STAGE(split_youtu) GPT4O(SUFFIX, 0, 1, C_S | C_L | C_N, TAIL_LINES_SLASH, PLAIN); }
STAGE(split_tekken) GPT4O(NONE, 0, 1, C_S | C_L | C_N, TAIL_LINES_SLASH, PLAIN); }
STAGE(split_kimi) GPT4O(SUFFIX, 0, 3, C_S | C_L | C_N, TAIL_LINES, HAN); }

/* ---- GPT-2 --------------------------------------------------------------------------------------------------------------------- */

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
STAGE(split_gpt2)
    if (s[at] == '\'') {
        size_t end = contraction(s, n, at, 0);
        if (end > at) return end;
    }
    size_t k, i = at;
    unsigned c = split_at(s, n, i, &k);
    if (s[i] == ' ' && i + 1 < n) {
        c = split_at(s, n, ++i, &k);
        if (c & C_S) return spaces(s, n, at, 0);
    }
    if (c & C_L) return split_run(s, n, i + k, C_L);
    if (c & C_N) return split_run(s, n, i + k, C_N);
    if (c & C_S) return spaces(s, n, at, 0);
    return split_run_not(s, n, i + k, C_S | C_L | C_N);
}
