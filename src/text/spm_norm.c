/* SPDX-License-Identifier: Apache-2.0
 *
 * text/spm_norm.c: SentencePiece's normaliser (its normalizer.cc states the rules).
 *
 * Text is read piece by piece: one of the user's own pieces stays as it is; else the longest entry of the model's map is replaced; else one
 * character is copied, or U+FFFD for a byte that is none. The map is a double array (darts-clone's units, cited below) with the replacement
 * texts behind it, both from the file: every step is checked.
 */
#include "base/utf8.h"
#include "text/unicode.h"
#include "text/vocab_impl.h"

#define SPACE_SIGN "\xe2\x96\x81"

static uint32_t unit(struct str trie, size_t i)
{
    uint32_t u = 0;
    for (size_t b = 0; b < 4; b++) u |= (uint32_t)(unsigned char)trie.p[4 * i + b] << 8 * b;
    return u;
}

/* The longest entry of the map that s begins with: its length, 0 for none; the place of its replacement in *at.
 * A unit: bits 0-7 and 31 label, bit 8 has a leaf, bits 10-30 offset, bit 9 shifts it by 8 (darts.h, DoubleArrayUnit). */
static size_t map_longest(const struct vocab *v, struct str s, size_t *at)
{
    size_t units = v->map_trie.n / 4, node = 0, longest = 0;
    if (!units) return 0;
    uint32_t u = unit(v->map_trie, 0);
    node ^= (size_t)(u >> 10) << ((u & 512) >> 6);
    for (size_t i = 0; i < s.n; i++) {
        node ^= (unsigned char)s.p[i];
        if (node >= units) break;
        u = unit(v->map_trie, node);
        if ((u & 0x800000ff) != (unsigned char)s.p[i]) break;
        node ^= (size_t)(u >> 10) << ((u & 512) >> 6);
        if (!(u & 256)) continue;
        if (node >= units) break;
        longest = i + 1;
        *at = unit(v->map_trie, node) & 0x7fffffff;
    }
    return longest;
}

/* The replacement text at a place of the map: up to its NUL. */
static struct str map_text(const struct vocab *v, size_t at)
{
    struct str s = str_from(v->map_text, at);
    const char *end = s.n ? memchr(s.p, 0, s.n) : NULL;
    return (struct str){s.p, end ? (size_t)(end - s.p) : s.n};
}

static int has_space_sign(struct str s)
{
    for (size_t i = 0; i + 3 <= s.n; i++)
        if (!memcmp(s.p + i, SPACE_SIGN, 3)) return 1;
    return 0;
}

/* What the first part of s (s.n > 0) becomes; its length in *n. */
static struct str normalise_prefix(const struct vocab *v, struct str s, size_t *n)
{
    size_t at;
    if (v->verbatim.root[(unsigned char)s.p[0]] && trie_longest(&v->verbatim, s, n) >= 0)
        return (struct str){s.p, *n};
    if ((*n = map_longest(v, s, &at))) return map_text(v, at);
    uint32_t cp;
    if ((*n = utf8_decode(s.p, s.n, &cp))) return (struct str){s.p, *n};
    *n = 1;
    return STR("\xef\xbf\xbd");
}

/* Turns every U+2581 of b into a space. */
static void fold_space_signs(struct buf *b, size_t from)
{
    size_t out = from;
    for (size_t i = from; i < b->n;) {
        if (b->n - i >= 3 && !memcmp(b->p + i, SPACE_SIGN, 3)) {
            b->p[out++] = ' ';
            i += 3;
        } else {
            b->p[out++] = b->p[i++];
        }
    }
    b->n = out;
}

/* Copies text without a map. */
static void copy_clean(struct str s, struct buf *out)
{
    size_t done = 0;
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        size_t k = (unsigned char)s.p[i] < 0x80 ? 1 : utf8_decode(s.p + i, s.n - i, &cp);
        if (!k) {
            buf_add(out, s.p + done, i - done);
            buf_puts(out, "\xef\xbf\xbd");
            done = ++i;
        } else {
            i += k;
        }
    }
    buf_add(out, s.p + done, s.n - done);
}

int spm_clean(struct encoder *e, struct str *s)
{
    if (!has_space_sign(*s) && utf8_valid(s->p, s->n)) return 0;
    buf_clear(&e->norm);
    copy_clean(*s, &e->norm);
    if (e->norm.failed) return encoder_nomem(e);
    fold_space_signs(&e->norm, 0);
    *s = buf_view(&e->norm);
    return 0;
}

void spm_copy(struct str s, struct buf *out)
{
    size_t from = out->n;
    copy_clean(s, out);
    if (!out->failed && has_space_sign(s)) fold_space_signs(out, from);
}

/* ---- as Hugging Face applies the map -------------------------------------------------------------------------------- */

/* The shortest entry of the map that s begins with, or 0. */
static size_t map_shortest(const struct vocab *v, struct str s, size_t *at)
{
    for (size_t n = 1; n <= s.n; n++)
        if (map_longest(v, (struct str){s.p, n}, at)) return n;
    return 0;
}

static int within(uint32_t cp, const uint32_t (*r)[2], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (cp >= r[i][0] && cp <= r[i][1]) return 1;
    return 0;
}

/* What goes on with a cluster (Unicode annex 29: Extend, ZWJ, SpacingMark): marks, and a few that are none. */
static int joins_before(uint32_t cp)
{
    static const uint32_t more[][2] = {{0x200c, 0x200d},   {0xe33, 0xe33},     {0xeb3, 0xeb3},
                                       {0xff9e, 0xff9f},   {0x1f3fb, 0x1f3ff}, {0xe0020, 0xe007f}};
    static const uint32_t not[][2] = {{0x102b, 0x102c}, {0x1038, 0x1038}, {0x1062, 0x1064}, {0x1067, 0x106d},
                                      {0x1083, 0x1083}, {0x1087, 0x108c}, {0x108f, 0x108f}, {0x109a, 0x109c},
                                      {0x1a61, 0x1a61}, {0x1a63, 0x1a64}, {0xaa7b, 0xaa7b}, {0xaa7d, 0xaa7d},
                                      {0x11720, 0x11721}};
    int gc = unicode_of(cp).gc;
    if (gc == UC_MN || gc == UC_ME || gc == UC_MC) return !within(cp, not, sizeof not / sizeof *not);
    return within(cp, more, sizeof more / sizeof *more);
}

/* What begins a cluster with the character behind it (Prepend). */
static int joins_behind(uint32_t cp)
{
    static const uint32_t all[][2] = {{0x600, 0x605}, {0x6dd, 0x6dd}, {0x70f, 0x70f}, {0x890, 0x891}, {0x8e2, 0x8e2},
                                      {0xd4e, 0xd4e}};
    return cp >= 0x600 && within(cp, all, sizeof all / sizeof *all);
}

static int is_control(uint32_t cp)
{
    int gc = unicode_of(cp).gc;
    return gc == UC_CC || gc == UC_ZL || gc == UC_ZP || (gc == UC_CF && !joins_before(cp) && !joins_behind(cp));
}

enum { CLUSTER_MOST = 5 }; /* a longer one is taken character by character */

/* The bytes of the first cluster of s, or CLUSTER_MOST + 1 for more than that: only so short ones matter, so that what needs six bytes
 * (syllables of Hangul, flags, joined emoji) is left out. *k: the first character's. */
static size_t cluster(struct str s, size_t *k)
{
    uint32_t cp, next;
    *k = utf8_decode(s.p, s.n, &cp);
    if (!*k) return *k = 1;
    if (cp == '\r' && s.n > 1 && s.p[1] == '\n') return 2;
    if (is_control(cp)) return *k;
    size_t n = *k;
    for (size_t m; n < s.n && n <= CLUSTER_MOST; n += m) {
        if ((unsigned char)s.p[n] < 0x80 && !joins_behind(cp)) break;
        m = utf8_decode(s.p + n, s.n - n, &next);
        if (!m || !(joins_before(next) || (joins_behind(cp) && !is_control(next)))) break;
        cp = next;
    }
    return n;
}

void spm_map_clusters(const struct vocab *v, struct str s, struct buf *out)
{
    while (s.n) {
        size_t k, n = 1, at;
        if (s.n > 1 && (unsigned char)s.p[0] < 0x80 && (unsigned char)s.p[1] < 0x80 && s.p[0] != '\r') k = 1;
        else n = cluster(s, &k);
        if (n > k && n <= CLUSTER_MOST && map_shortest(v, (struct str){s.p, n}, &at)) {
            buf_str(out, map_text(v, at));
            s = str_from(s, n);
            continue;
        }
        for (size_t end = n, done = 0; done < end; done += k, s = str_from(s, k)) {
            uint32_t cp;
            struct str c = {s.p, k = utf8_decode(s.p, s.n, &cp)};
            if (!k) c = STR("\xef\xbf\xbd"), k = 1;
            buf_str(out, map_shortest(v, c, &at) ? map_text(v, at) : c);
        }
    }
}

int vocab_wants_prefix(const struct vocab *v, struct str s, int first)
{
    if (!s.n || v->prefix == PREFIX_NONE) return 0;
    if (v->prefix == PREFIX_ALWAYS) return v->words < 0 && !(first & STRETCH_NEXT);
    if (v->prefix == PREFIX_FIRST && !(first & STRETCH_FIRST)) return 0;
    size_t k;
    if (v->words >= 0) return !str_starts(s, STR(" ")) && !str_starts(s, STR(SPACE_SIGN));
    if (v->map_trie.n) s = normalise_prefix(v, s, &k); /* what the text begins with is seen behind the normaliser */
    if (v->remove_spaces > 0 && v->kind == VOCAB_UNIGRAM) /* where no space is left */
        return !str_starts(s, STR(SPACE_SIGN));
    return !str_starts(s, STR(" ")) && (v->kind == VOCAB_BPE || !str_starts(s, STR(SPACE_SIGN)));
}

static int ends_in_space(const struct buf *b, size_t *n)
{
    if (b->n && b->p[b->n - 1] == ' ') return *n = 1, 1;
    return b->n >= 3 && !memcmp(b->p + b->n - 3, SPACE_SIGN, 3) ? (*n = 3, 1) : 0;
}

/* The general case: a map, or white space to remove, or the user's own pieces. LAR_ELIMIT when the map writes more than any text needs:
 * real ones make eighteen characters of one at most. */
static int normalise(const struct vocab *v, struct str s, int prefix, struct buf *out)
{
    size_t k, most = 64 * s.n + 64;
    int after_space = v->remove_spaces;
    while (v->remove_spaces && s.n && str_is(normalise_prefix(v, s, &k), " ")) s = str_from(s, k);
    if (!s.n) return 0;
    if (prefix) buf_putc(out, ' ');
    for (; s.n; s = str_from(s, k)) {
        struct str t = normalise_prefix(v, s, &k);
        while (after_space && t.n && t.p[0] == ' ') t = str_from(t, 1);
        if (t.n) after_space = v->remove_spaces && t.p[t.n - 1] == ' ';
        if (out->n + t.n > most) return LAR_ELIMIT;
        buf_str(out, t);
    }
    while (v->remove_spaces && ends_in_space(out, &k)) out->n -= k;
    return 0;
}

int spm_normalise(struct encoder *e, struct str *s, int first)
{
    const struct vocab *v = e->v;
    struct buf *b = &e->norm;
    int prefix = vocab_wants_prefix(v, *s, first);
    buf_clear(b);
    if (v->map_trie.n || v->remove_spaces) {
        if (normalise(v, *s, prefix, b) < 0)
            return lar_fail(e->err, LAR_ELIMIT,
                            "tokenizing: normalising makes a text of %zu bytes more than 64 times as long", s->n);
    } else {
        if (prefix) buf_putc(b, ' ');
        copy_clean(*s, b);
    }
    if (b->failed) return encoder_nomem(e);
    fold_space_signs(b, 0);
    *s = buf_view(b);
    return 0;
}
