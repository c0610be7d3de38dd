/* SPDX-License-Identifier: Apache-2.0
 *
 * text/split_more.c: the stages of splitters that are built of several, each with its expression above it.
 * White space and marks that no expression takes stay between the matches, as pieces of their own.
 */
#include "text/split.h"
#include "text/split_char.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* FIND(name) makes the stage split_name of name_at, which finds the end of the match that begins at `at`, or gives `at`. */
#define FIND(name)                                                           \
    size_t split_##name(const char *s, size_t n, size_t from, size_t *start) \
    {                                                                        \
        for (size_t at = from; at < n;) {                                    \
            size_t end = name##_at(s, n, at);                                \
            if (end > at) return *start = at, end;                           \
            at += (unsigned char)s[at] < 0x80 ? 1 : split_length(s, n, at);  \
        }                                                                    \
        return *start = n;                                                   \
    }
#define STAGE(name) size_t split_##name(const char *s, size_t n, size_t from, size_t *start)
#define AT(name) static inline size_t name##_at(const char *s, size_t n, size_t at)

/* A set of characters: classes of ASCII ones, ranges of the others. */
struct set {
    unsigned ascii;
    const uint32_t (*range)[2]; /* first and last, in order */
    size_t nrange;
};
#define SET(ascii, ranges) (struct set){ascii, ranges, COUNT(ranges)}

static int in_ranges(uint32_t c, struct set set)
{
    size_t lo = 0, hi = set.nrange;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (set.range[mid][1] < c) lo = mid + 1;
        else hi = mid;
    }
    return lo < set.nrange && c >= set.range[lo][0];
}

/* Is the character at i in the set? Its length in *k. */
static inline int in_set(const char *s, size_t n, size_t i, struct set set, size_t *k)
{
    if ((unsigned char)s[i] < 0x80) return *k = 1, split_ascii[(unsigned char)s[i]] & set.ascii;
    return in_ranges(split_cp(s, n, i, k), set);
}

static inline size_t set_run(const char *s, size_t n, size_t i, struct set set)
{
    for (size_t k; i < n && in_set(s, n, i, set, &k);) i += k;
    return i;
}

/* [set]+, and with space \s?[set]+. */
static inline __attribute__((always_inline)) size_t find_set(const char *s, size_t n, size_t from, size_t *start,
                                                             struct set set, int space)
{
    size_t k, kk;
    for (size_t i = from; i < n; i += k) {
        int in = in_set(s, n, i, set, &k);
        if (space && i + k < n && (split_at(s, n, i, &k) & C_S) && in_set(s, n, i + k, set, &kk)) in = 1;
        if (in) return *start = i, set_run(s, n, i + k, set);
    }
    return *start = n;
}

/* \s?[classes]+ */
static inline __attribute__((always_inline)) size_t find_classes(const char *s, size_t n, size_t from, size_t *start,
                                                                 unsigned classes)
{
    size_t i = from, k, kk;
    while ((i = split_run_not(s, n, i, classes | C_S)) < n) {
        unsigned c = split_at(s, n, i, &k);
        if ((c & classes) || (i + k < n && (split_at(s, n, i + k, &kk) & classes)))
            return *start = i, split_run(s, n, i + k, classes);
        i += k;
    }
    return *start = n;
}

/* ---- digits ------------------------------------------------------------------------------------------------------------ */

/* \p{N} */
STAGE(digit)
{
    size_t k = 0;
    *start = split_run_not(s, n, from, C_N);
    if (*start < n) split_at(s, n, *start, &k);
    return *start + k;
}

/* \p{N}+ */
STAGE(digits)
{
    return split_run(s, n, *start = split_run_not(s, n, from, C_N), C_N);
}

/* \p{N}{1,3} */
STAGE(digits3)
{
    size_t at = *start = split_run_not(s, n, from, C_N);
    for (int d = 0; d < 3 && at < n; d++) {
        size_t k;
        if (!(split_at(s, n, at, &k) & C_N)) break;
        at += k;
    }
    return at;
}

/* [0-9][0-9][0-9] */
AT(ascii_digits3)
{
    if (n - at < 3) return at;
    for (int d = 0; d < 3; d++)
        if (!(split_ascii[s[at + (size_t)d] & 127] & C_D) || (s[at + (size_t)d] & 0x80)) return at;
    return at + 3;
}
FIND(ascii_digits3)

/* Has the character before i, at or after from, one of the classes? */
static int is_after(const char *s, size_t i, size_t from, unsigned classes)
{
    size_t b = i, k;
    while (b > from && i - b < 4 && ((unsigned char)s[b - 1] & 0xc0) == 0x80) b--;
    if (b > from) b--;
    return b < i && (split_at(s, i, b, &k) & classes) && b + k == i;
}

/* Cuts runs of \d into groups of three counted from the right end, the first shorter. bound: only runs that no \w follows. A call
 * that begins behind a digit goes on in a run that an earlier one began to cut. */
static size_t find_group(const char *s, size_t n, size_t from, size_t *start, int bound)
{
    size_t k, take = 3, at = split_run_not(s, n, from, C_D);
    while (at < n && !(at == from && is_after(s, at, 0, C_D))) {
        size_t end = at, count = 0;
        for (; end < n && (split_at(s, n, end, &k) & C_D); end += k) count++;
        take = count % 3 ? count % 3 : 3;
        if (!bound || end == n || !(split_at(s, n, end, &k) & C_W)) break;
        at = split_run_not(s, n, end, C_D);
    }
    for (*start = at; take && at < n; take--) at += split_length(s, n, at);
    return at;
}

/* \d{1,3}(?=(?:\d{3})*\b) */
STAGE(grouped_digits)
{
    return find_group(s, n, from, start, 1);
}

/* The same without \b: AFMoE's rule. */
STAGE(grouped_digits_all)
{
    return find_group(s, n, from, start, 0);
}

/* (?=(\d{3})+(?!\d)): cuts before every group of three, and nowhere else: a match here is all up to the next cut. */
STAGE(thousands)
{
    size_t k, count = is_after(s, from, 0, C_D) ? 3 : 0; /* digits to take before the next cut */
    int in_run = count > 0;
    *start = from;
    for (size_t i = from; i < n; i += k) {
        if (!(split_at(s, n, i, &k) & C_D)) {
            in_run = 0;
            continue;
        }
        if (!in_run) {
            size_t end = i;
            for (size_t kk; end < n && (split_at(s, n, end, &kk) & C_D); end += kk) count++;
            if (i > from && count % 3 == 0) return i;
            count = count % 3 ? count % 3 : 3;
            in_run = 1;
        }
        if (count == 0) return i;
        count--;
    }
    return n;
}

/* ---- DeepSeek ------------------------------------------------------------------------------------------------------------ */

/* [\r\n] */
STAGE(newline)
{
    while (from < n && s[from] != '\r' && s[from] != '\n') from++;
    *start = from;
    return from + (from < n);
}

/* [^\n]+|[\n]+ */
STAGE(lines)
{
    int line = s[*start = from] == '\n';
    while (from < n && (s[from] == '\n') == line) from++;
    return from;
}

/* \s?\p{L}+ */
STAGE(letters_sp)
{
    return find_classes(s, n, from, start, C_L);
}

/* \s?\p{P}+ */
STAGE(punct_sp)
{
    return find_classes(s, n, from, start, C_P);
}

/* \s+$ */
STAGE(spaces_end)
{
    size_t end = from;
    do {
        *start = split_run_not(s, n, end, C_S);
        end = split_run(s, n, *start, C_S);
    } while (end < n);
    return end;
}

/* [一-龥ࠀ-一가-퟿]+ */
STAGE(cjk)
{
    static const uint32_t r[][2] = {{0x800, 0x9fa5}, {0xac00, 0xd7ff}};
    return find_set(s, n, from, start, SET(0, r), 0);
}

/* [一-龥぀-ゟ゠-ヿ]+ */
STAGE(deepseek_cjk)
{
    static const uint32_t r[][2] = {{0x3040, 0x30ff}, {0x4e00, 0x9fa5}};
    return find_set(s, n, from, start, SET(0, r), 0);
}

/* \s?[A-Za-zµÀ-Ö...]+: the cased scripts, as DeepSeek LLM's tokenizer.json lists them */
STAGE(scripts_sp)
{
    // clang-format off
    static const uint32_t r[][2] = {
        {0x41, 0x5a}, {0x61, 0x7a}, {0xb5, 0xb5}, {0xc0, 0xd6}, {0xd8, 0xf6}, {0xf8, 0x1ba}, {0x1bc, 0x1bf},
        {0x1c4, 0x293}, {0x295, 0x2af}, {0x370, 0x373}, {0x376, 0x377}, {0x37b, 0x37d}, {0x37f, 0x37f}, {0x386, 0x386},
        {0x388, 0x38a}, {0x38c, 0x38c}, {0x38e, 0x3a1}, {0x3a3, 0x3f5}, {0x3f7, 0x481}, {0x48a, 0x52f}, {0x531, 0x556},
        {0x10a0, 0x10c5}, {0x13a0, 0x13f5}, {0x13f8, 0x13fd}, {0x1c90, 0x1cba}, {0x1cbd, 0x1cbf}, {0x1d00, 0x1d2b},
        {0x1d6b, 0x1d77}, {0x1d79, 0x1d9a}, {0x1e00, 0x1f15}, {0x1f18, 0x1f1d}, {0x1f20, 0x1f45}, {0x1f48, 0x1f4d},
        {0x1f50, 0x1f57}, {0x1f59, 0x1f59}, {0x1f5b, 0x1f5b}, {0x1f5d, 0x1f5d}, {0x1f5f, 0x1f7d}, {0x1f80, 0x1fb4},
        {0x1fb6, 0x1fbc}, {0x1fbe, 0x1fbe}, {0x1fc2, 0x1fc4}, {0x1fc6, 0x1fcc}, {0x1fd0, 0x1fd3}, {0x1fd6, 0x1fdb},
        {0x1fe0, 0x1fec}, {0x1ff2, 0x1ff4}, {0x1ff6, 0x1ffc}, {0x2102, 0x2102}, {0x2107, 0x2107}, {0x210a, 0x2113},
        {0x2115, 0x2115}, {0x2119, 0x211d}, {0x2124, 0x2124}, {0x2126, 0x2126}, {0x2128, 0x2128}, {0x212a, 0x212d},
        {0x212f, 0x2134}, {0x2139, 0x2139}, {0x213c, 0x213f}, {0x2145, 0x2149}, {0x214e, 0x214e}, {0x2183, 0x2184},
        {0x2c00, 0x2c7b}, {0x2c7e, 0x2ce4}, {0x2ceb, 0x2cee}, {0x2cf2, 0x2cf3}, {0xa640, 0xa66d}, {0xa680, 0xa69b},
        {0xa722, 0xa76f}, {0xa771, 0xa787}, {0xa78b, 0xa78e}, {0xab70, 0xabbf}, {0xfb00, 0xfb06}, {0xfb13, 0xfb17},
        {0xff21, 0xff3a}, {0xff41, 0xff5a}, {0x10400, 0x1044f}, {0x104b0, 0x104d3}, {0x104d8, 0x104fb},
        {0x10c80, 0x10cb2}, {0x10cc0, 0x10cf2}, {0x118a0, 0x118df}, {0x1e900, 0x1e943},
    };
    // clang-format on
    return find_set(s, n, from, start, SET(C_A, r), 1);
}

/* \s?[!-/:-~！-／：-～‘-‟　-。]+ */
STAGE(symbols_sp)
{
    static const uint32_t r[][2] = {{0x21, 0x2f},     {0x3a, 0x7e},     {0x2018, 0x201f},
                                     {0x3000, 0x3002}, {0xff01, 0xff0f}, {0xff1a, 0xff5e}};
    return find_set(s, n, from, start, SET(C_A | C_X, r), 1);
}

/* The words of DeepSeek V3: [!-/:-@[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+, or at. */
static size_t deepseek_word(const char *s, size_t n, size_t at, unsigned c, size_t k)
{
    size_t kk;
    if (c & (C_L | C_M)) return split_run(s, n, at + k, C_L | C_M);
    if (at + k >= n) return at;
    unsigned next = split_at(s, n, at + k, &kk);
    if ((c & C_X) && (next & C_A)) return split_run(s, n, at + k, C_A);
    if (!(c & (C_R | C_P | C_Y)) && (next & (C_L | C_M)))
        return split_run(s, n, at + k + kk, C_L | C_M);
    return at;
}

/* ` ?[\p{P}\p{S}]+` at i, or i */
static size_t sp_signs(const char *s, size_t n, size_t i)
{
    size_t from = s[i] == ' ' ? i + 1 : i, end = split_run(s, n, from, C_P | C_Y);
    return end > from ? end : i;
}

/* deepseek_word | ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+. White space is as in GPT-2's and Llama 3's splitters. */
AT(deepseek3)
{
    size_t k;
    unsigned c = split_at(s, n, at, &k);
    size_t end = deepseek_word(s, n, at, c, k);
    if (end > at) return end;
    end = sp_signs(s, n, at);
    if (end > at) {
        while (end < n && (s[end] == '\r' || s[end] == '\n')) end++;
        return end;
    }
    /* What begins with white space and is no word and no sign is white space to that splitter too, unless a sign or a
     * digit follows a single space; then the space alone is left. */
    if (!(c & C_S)) return at;
    size_t last = at, line = at, i = at;
    for (unsigned d; i < n && ((d = split_at(s, n, i, &k)) & C_S); i += k) {
        last = i;
        if (d & C_R) line = i + k;
    }
    if (line > at) return line;
    return i < n && last > at ? last : i;
}
FIND(deepseek3)

/* deepseek_word | ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+ */
AT(spark)
{
    size_t k;
    unsigned c = split_at(s, n, at, &k);
    size_t end = deepseek_word(s, n, at, c, k);
    if (end > at || (end = sp_signs(s, n, at)) > at) return end;
    if (c & C_R) return at + 1;
    if (!(c & C_S)) return at;
    size_t last = at, i = at;
    for (; i < n && (split_at(s, n, i, &k) & C_S); i += k) last = i;
    return i < n && last > at ? last : i;
}
FIND(spark)

/* ---- others ------------------------------------------------------------------------------------------------------------------ */

/* [\p{P}\$\+<=>\^~\|`]+, and which marks are \p{P} is as in BERT */
STAGE(punct_falcon)
{
    return split_run(s, n, *start = split_run_not(s, n, from, C_BP), C_BP);
}

/* ` ?[^(\s|.,!?…。，、।۔،)]+` */
AT(bloom)
{
    static const uint32_t not[][2] = {{0x60c, 0x60c},   {0x6d4, 0x6d4},   {0x964, 0x964},
                                      {0x2026, 0x2026}, {0x3001, 0x3002}, {0xff0c, 0xff0c}};
    size_t i = at + (s[at] == ' '), from = i, k;
    for (; i < n; i += k) {
        if (split_at(s, n, i, &k) & C_S) break;
        if (k == 1 ? strchr("(|.,!?)", s[i]) && s[i] : in_ranges(split_cp(s, n, i, &k), SET(0, not))) break;
    }
    return i > from ? i : at;
}
FIND(bloom)

/* AFMoE: the scripts that are written without spaces, and Hangul */
STAGE(asian)
{
    static const uint32_t r[][2] = {
        {0xe40, 0xeff},   {0x1000, 0x109f}, {0x1100, 0x11ff}, {0x1780, 0x17ff}, {0x2f00, 0x2fdf},
        {0x3040, 0x30ff}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff}, {0xa9e0, 0xa9ff}, {0xaa60, 0xaa7f},
        {0xac00, 0xd7af}, {0xf900, 0xfaff}, {0xff65, 0xff9f},
    };
    return find_set(s, n, from, start, SET(0, r), 0);
}

/* [가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+ */
AT(youtu_cjk)
{
    static const uint32_t a[][2] = {{0x3131, 0x318e}, {0xac00, 0xd7a3}};
    static const uint32_t b[][2] = {{0x2014, 0x2014}, {0x2018, 0x2019}, {0x201c, 0x201d}, {0x2026, 0x2026},
                                    {0x3001, 0x303f}, {0xfe30, 0xfe4f}, {0xff01, 0xff01}, {0xff0c, 0xff0c},
                                    {0xff1a, 0xff1b}};
    static const uint32_t c[][2] = {{0x3105, 0x312f}};
    static const uint32_t d[][2] = {{0x3040, 0x30ff}, {0x4e00, 0x9fa5}};
    size_t end = set_run(s, n, at, SET(0, a));
    if (end == at) end = set_run(s, n, at, SET(0, b));
    if (end == at) end = set_run(s, n, at, SET(0, c));
    return end == at ? set_run(s, n, at, SET(0, d)) : end;
}
FIND(youtu_cjk)

/* <sentinel:[0-9]+>|IMGIMG[A-I]{1,4}Z */
AT(chameleon)
{
    size_t i = at;
    if (n - at > 10 && !memcmp(s + at, "<sentinel:", 10)) {
        for (i = at + 10; i < n && s[i] >= '0' && s[i] <= '9'; i++) continue;
        return i > at + 10 && i < n && s[i] == '>' ? i + 1 : at;
    }
    if (n - at > 7 && !memcmp(s + at, "IMGIMG", 6)) {
        for (i = at + 6; i < n && i < at + 10 && s[i] >= 'A' && s[i] <= 'I'; i++) continue;
        return i > at + 6 && i < n && s[i] == 'Z' ? i + 1 : at;
    }
    return at;
}
FIND(chameleon)

/* ([\t\n]|    |  ) */
AT(chameleon_space)
{
    if (s[at] == '\t' || s[at] == '\n') return at + 1;
    if (n - at >= 4 && !memcmp(s + at, "    ", 4)) return at + 4;
    return n - at >= 2 && !memcmp(s + at, "  ", 2) ? at + 2 : at;
}
FIND(chameleon_space)

/* [\p{P}!-/:-@\[-`{-~] */
AT(chameleon_punct)
{
    size_t k;
    return split_at(s, n, at, &k) & (C_P | C_X) ? at + k : at;
}
FIND(chameleon_punct)

/* Jais 2, on the pieces of Llama 3's splitter: one of white space without line ends falls into powers of two, the largest first: 512 to 4,
 * then twos, then one. Others stay whole. */
STAGE(space_powers)
{
    size_t left = 0, take = 512, k;
    *start = n;
    if (from == 0 && (split_run(s, n, 0, C_S) < n || split_run_not(s, n, 0, C_R) < n)) return n;
    for (size_t i = from; i < n && left < take; i += k, left++) k = split_length(s, n, i);
    while (take > left) take /= 2;
    for (*start = from; take; take--) from += split_length(s, n, from);
    return from;
}
