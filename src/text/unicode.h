/* SPDX-License-Identifier: Apache-2.0
 *
 * text/unicode.h: what tokenizers ask of a code point, and the normal forms that some of them apply.
 *
 * The data (unicode_table.c, written by tools/unicode.py) is the Unicode 16.0 character database, with the places where the
 * reference tokenizers hold older tables marked so: a tokenizer must split as its reference does, not as the newest standard says.
 */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* General categories. */
enum {
    UC_CN, UC_LU, UC_LL, UC_LT, UC_LM, UC_LO, UC_MN, UC_MC, UC_ME, UC_ND, UC_NL, UC_NO, UC_PC, UC_PD, UC_PS,
    UC_PE, UC_PI, UC_PF, UC_PO, UC_SM, UC_SC, UC_SK, UC_SO, UC_ZS, UC_ZL, UC_ZP, UC_CC, UC_CF, UC_CS, UC_CO,
};

enum {
    UC_SPACE = 1,        /* White_Space: \s */
    UC_WORD = 2,         /* \w, for \b */
    UC_BERT_PUNCT = 4,   /* what BERT's splitter takes for punctuation beside ASCII's own */
    UC_BERT_MARK = 8,    /* stripped with the accents */
    UC_BERT_DELETE = 16, /* control characters and the like that BERT deletes */
    UC_UNSTABLE = 32,    /* a starter that NFC may change or join to what stands before it */
    UC_DECOMPOSES = 64,  /* has a canonical decomposition in the table (Hangul syllables are computed) */
    UC_MARK = 128,       /* a mark to the reference's StripAccents */
};

#define UNICODE_CLASSES_MAX 256

struct unicode_class {
    uint8_t gc, ccc, flags; /* category, canonical combining class, UC_* flags */
};

struct unicode_run {
    uint32_t first, last, step;
    int32_t distance;
};

/* Code points that compatibility makes others: bits 0-20 the first, bit 21 every second, bits 22-31 last - first. */
struct unicode_near {
    uint32_t run;
    int32_t distance;
};

extern const struct unicode_class unicode_classes[UNICODE_CLASSES_MAX];
extern const uint8_t unicode_top[0x1100];
extern const uint16_t unicode_mid[];
extern const uint8_t unicode_leaf[];
extern const uint64_t unicode_decomp[]; /* code point << 42 | first << 21 | second, sorted */
extern const uint16_t unicode_comp[];   /* indices of unicode_decomp, sorted by first and second */
extern const struct unicode_run unicode_lower_runs[];
extern const struct unicode_near unicode_compat_runs[];
extern const uint32_t unicode_compat[]; /* code point << 8 | bytes of its text, sorted */
extern const uint16_t unicode_compat_at[]; /* where that lies in unicode_compat_text */
extern const unsigned char unicode_compat_text[];
extern const int unicode_ncompat_runs, unicode_ncompat;
extern const int unicode_ndecomp, unicode_ncomp, unicode_nlower;

/* The class of a scalar value (at most 0x10ffff). */
static inline unsigned unicode_class_of(uint32_t cp)
{
    return unicode_leaf[unicode_mid[unicode_top[cp >> 8] << 4 | (cp >> 4 & 15)] << 4 | (cp & 15)];
}
static inline struct unicode_class unicode_of(uint32_t cp)
{
    return unicode_classes[unicode_class_of(cp)];
}

/* Lower case of one code point; U+0130, whose lower case is two, gives 'i' and *more the second (else 0). */
uint32_t unicode_lower(uint32_t cp, uint32_t *more);

/* True when s is in NFC for certain (bytes that are no UTF-8 count as normal). The common case: most text is. */
int unicode_is_nfc(struct str s);
/* Appends s in NFC or NFD. Bytes that are no UTF-8 stay as they are, as boundaries. Linear but for the sorting of the marks on one
 * letter, which is n log n. Failure shows in out->failed. */
void unicode_nfc(struct str s, struct buf *out);
void unicode_nfd(struct str s, struct buf *out);
/* Appends s with what is there for compatibility only replaced; NFKC is NFC of that, NFKD NFD. */
void unicode_compat_of(struct str s, struct buf *out);

#endif
