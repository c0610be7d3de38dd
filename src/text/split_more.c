/* SPDX-License-Identifier: Apache-2.0
 *
 * text/split_more.c: the stages of splitters that are built of several, each with its expression above it.
 * White space and marks that no expression takes stay between the matches, as pieces of their own.
 */
#include "text/split.h"
#include "text/split_char.h"

#define STAGE(name)                                                        \
    size_t name(const char *s, size_t n, size_t at, struct split_memo *m) \
    {                                                                      \
        (void)m, (void)n;
#define COUNT(a) (sizeof(a) / sizeof *(a))

struct range {
    uint32_t first, last;
};

static int in_ranges(uint32_t c, const struct range *r, size_t n)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (r[mid].last < c) lo = mid + 1;
        else hi = mid;
    }
    return lo < n && c >= r[lo].first;
}

/* [ranges]+ at i */
static size_t range_run(const char *s, size_t n, size_t i, const struct range *r, size_t nr)
{
    size_t k;
    while (i < n && in_ranges(split_cp(s, n, i, &k), r, nr)) i += k;
    return i;
}

/* \s?[ranges]+ at i */
static size_t sp_range_run(const char *s, size_t n, size_t i, const struct range *r, size_t nr)
{
    size_t k;
    if (split_at(s, n, i, &k) & C_S) {
        size_t end = range_run(s, n, i + k, r, nr);
        if (end > i + k) return end;
    }
    return range_run(s, n, i, r, nr);
}

/* \s?[classes]+ at i */
static size_t sp_class_run(const char *s, size_t n, size_t i, unsigned classes)
{
    size_t k;
    if (split_at(s, n, i, &k) & C_S) {
        size_t end = split_run(s, n, i + k, classes);
        return end > i + k ? end : i;
    }
    return split_run(s, n, i, classes);
}

/* ---- digits ------------------------------------------------------------------------------------------------------------ */

/* \p{N} */
STAGE(split_digit)
    size_t k;
    return split_at(s, n, at, &k) & C_N ? at + k : at;
}

/* \p{N}+ */
STAGE(split_digits)
    return split_run(s, n, at, C_N);
}

/* \p{N}{1,3} */
STAGE(split_digits3)
    for (int d = 0; d < 3 && at < n; d++) {
        size_t k;
        if (!(split_at(s, n, at, &k) & C_N)) break;
        at += k;
    }
    return at;
}

/* [0-9][0-9][0-9] */
STAGE(split_ascii_digits3)
    if (n - at < 3) return at;
    for (int d = 0; d < 3; d++)
        if (!(split_ascii[s[at + (size_t)d] & 127] & C_D) || s[at + (size_t)d] & 0x80) return at;
    return at + 3;
}

/* Groups of three counted from the right end of a run of \d, the first shorter. bound: only when no \w follows. */
static size_t grouped(const char *s, size_t n, size_t at, struct split_memo *m, int bound)
{
    size_t k, take = 3;
    if (at < m->until || !(split_at(s, n, at, &k) & C_D)) return at;
    if (at >= m->group) {
        size_t end = at, count = 0;
        for (; end < n && (split_at(s, n, end, &k) & C_D); end += k) count++;
        if (bound && end < n && (split_at(s, n, end, &k) & C_W)) {
            m->until = end;
            return at;
        }
        m->group = end;
        if (count % 3) take = count % 3;
    }
    for (; take && at < m->group; take--) at += split_length(s, n, at);
    return at;
}

/* \d{1,3}(?=(?:\d{3})*\b) */
STAGE(split_grouped_digits)
    return grouped(s, n, at, m, 1);
}

/* The same without \b: AFMoE's rule. */
STAGE(split_grouped_digits_all)
    return grouped(s, n, at, m, 0);
}

/* (?=(\d{3})+(?!\d)): cuts before every group of three, and nowhere else. The piece that begins at at; inside a run of digits that is
 * known to the memo, at is such a cut. */
STAGE(split_thousands)
    size_t k, count = at < m->group ? 3 : 0; /* digits to take before the next cut */
    for (size_t i = at; i < n; i += k) {
        if (!(split_at(s, n, i, &k) & C_D)) continue;
        if (i >= m->group) {
            size_t end = i;
            for (size_t kk; end < n && (split_at(s, n, end, &kk) & C_D); end += kk) count++;
            m->group = end;
            if (i > at && count >= 3 && count % 3 == 0) {
                m->group = i; /* measured again by the next call */
                return i;
            }
            count = count % 3 ? count % 3 : 3;
        }
        if (count == 0) return i;
        count--;
    }
    return n;
}

/* ---- DeepSeek ------------------------------------------------------------------------------------------------------------ */

/* [\r\n] */
STAGE(split_newline)
    return at + (s[at] == '\r' || s[at] == '\n');
}

/* [^\n]+|[\n]+ */
STAGE(split_lines)
    int line = s[at] == '\n';
    while (at < n && (s[at] == '\n') == line) at++;
    return at;
}

/* \s?\p{L}+ */
STAGE(split_letters_sp)
    return sp_class_run(s, n, at, C_L);
}

/* \s?\p{P}+ */
STAGE(split_punct_sp)
    return sp_class_run(s, n, at, C_P);
}

/* \s+$ */
STAGE(split_spaces_end)
    if (at < m->until) return at;
    size_t end = split_run(s, n, at, C_S);
    if (end == n) return end;
    m->until = end;
    return at;
}

/* [一-龥ࠀ-一가-퟿]+ */
STAGE(split_cjk)
    static const struct range r[] = {{0x800, 0x9fa5}, {0xac00, 0xd7ff}};
    return range_run(s, n, at, r, COUNT(r));
}

/* [一-龥぀-ゟ゠-ヿ]+ */
STAGE(split_deepseek_cjk)
    static const struct range r[] = {{0x3040, 0x30ff}, {0x4e00, 0x9fa5}};
    return range_run(s, n, at, r, COUNT(r));
}

/* \s?[A-Za-zµÀ-Ö...]+: the cased scripts, as DeepSeek LLM's tokenizer.json lists them */
STAGE(split_scripts_sp)
    // clang-format off
    static const struct range r[] = {
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
    return sp_range_run(s, n, at, r, COUNT(r));
}

/* \s?[!-/:-~！-／：-～‘-‟　-。]+ */
STAGE(split_symbols_sp)
    static const struct range r[] = {{0x21, 0x2f},     {0x3a, 0x7e},     {0x2018, 0x201f},
                                     {0x3000, 0x3002}, {0xff01, 0xff0f}, {0xff1a, 0xff5e}};
    return sp_range_run(s, n, at, r, COUNT(r));
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
STAGE(split_deepseek3)
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

/* deepseek_word | ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+ */
STAGE(split_spark)
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

/* ---- others ------------------------------------------------------------------------------------------------------------------ */

/* [\p{P}\$\+<=>\^~\|`]+, and which marks are \p{P} is as in BERT */
STAGE(split_punct_falcon)
    return split_run(s, n, at, C_BP);
}

/* ` ?[^(\s|.,!?…。，、।۔،)]+` */
STAGE(split_bloom)
    static const struct range not[] = {
        {'!', '!'}, {'(', ')'}, {',', ','}, {'.', '.'}, {'?', '?'}, {'|', '|'}, {0x60c, 0x60c},
        {0x6d4, 0x6d4}, {0x964, 0x964}, {0x2026, 0x2026}, {0x3001, 0x3002}, {0xff0c, 0xff0c},
    };
    size_t i = at + (s[at] == ' '), from = i, k;
    for (; i < n; i += k) {
        if (split_at(s, n, i, &k) & C_S) break;
        if (in_ranges(split_cp(s, n, i, &k), not, COUNT(not))) break;
    }
    return i > from ? i : at;
}

/* AFMoE: the scripts that are written without spaces, and Hangul */
STAGE(split_asian)
    static const struct range r[] = {
        {0xe40, 0xeff},   {0x1000, 0x109f}, {0x1100, 0x11ff}, {0x1780, 0x17ff}, {0x2f00, 0x2fdf},
        {0x3040, 0x30ff}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff}, {0xa9e0, 0xa9ff}, {0xaa60, 0xaa7f},
        {0xac00, 0xd7af}, {0xf900, 0xfaff}, {0xff65, 0xff9f},
    };
    return range_run(s, n, at, r, COUNT(r));
}

/* [가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+ */
STAGE(split_youtu_cjk)
    static const struct range a[] = {{0x3131, 0x318e}, {0xac00, 0xd7a3}};
    static const struct range b[] = {{0x2014, 0x2014}, {0x2018, 0x2019}, {0x201c, 0x201d}, {0x2026, 0x2026},
                                     {0x3001, 0x303f}, {0xfe30, 0xfe4f}, {0xff01, 0xff01}, {0xff0c, 0xff0c},
                                     {0xff1a, 0xff1b}};
    static const struct range c[] = {{0x3105, 0x312f}};
    static const struct range d[] = {{0x3040, 0x30ff}, {0x4e00, 0x9fa5}};
    size_t end = range_run(s, n, at, a, COUNT(a));
    if (end == at) end = range_run(s, n, at, b, COUNT(b));
    if (end == at) end = range_run(s, n, at, c, COUNT(c));
    return end == at ? range_run(s, n, at, d, COUNT(d)) : end;
}

/* <sentinel:[0-9]+>|IMGIMG[A-I]{1,4}Z */
STAGE(split_chameleon)
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

/* ([\t\n]|    |  ) */
STAGE(split_chameleon_space)
    if (s[at] == '\t' || s[at] == '\n') return at + 1;
    if (n - at >= 4 && !memcmp(s + at, "    ", 4)) return at + 4;
    return n - at >= 2 && !memcmp(s + at, "  ", 2) ? at + 2 : at;
}

/* [\p{P}!-/:-@\[-`{-~] */
STAGE(split_chameleon_punct)
    size_t k;
    return split_at(s, n, at, &k) & (C_P | C_X) ? at + k : at;
}
