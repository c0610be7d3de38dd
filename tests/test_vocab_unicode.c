/* SPDX-License-Identifier: Apache-2.0
 * tests/test_vocab_unicode.c: classes of characters, case and normal forms. Expected forms are those of the Unicode standard's
 * NormalizationTest.txt and of the reference tokenizers, whose tables are older (see tools/unicode.py). */
#include "base/rng.h"
#include "base/utf8.h"
#include "tap.h"
#include "text/unicode.h"

static const char *form(struct str s, int composed)
{
    static struct buf out[2];
    static int which;
    struct buf *b = &out[which ^= 1];
    buf_clear(b);
    if (composed) unicode_nfc(s, b);
    else unicode_nfd(s, b);
    return buf_z(b);
}

static const char *nfc(const char *z) { return form(str_of(z), 1); }
static const char *nfd(const char *z) { return form(str_of(z), 0); }

static void letters_and_marks_compose(void)
{
    CHECK_STR(nfc("e\xcc\x81"), "é");
    CHECK_STR(nfc("cafe\xcc\x81s"), "cafés");
    CHECK_STR(nfc("\xe2\x84\xab"), "\xc3\x85");                       /* angstrom: a singleton */
    CHECK_STR(nfc("\xe0\xa4\x95\xe0\xa4\xbc"), "\xe0\xa4\x95\xe0\xa4\xbc"); /* excluded from composition */
    CHECK_STR(nfc("\xe0\xa5\x98"), "\xe0\xa4\x95\xe0\xa4\xbc");
    CHECK_STR(nfc("o\xcc\x82\xcc\xa3"), "\xe1\xbb\x99");              /* sorted, then o.dot, then circumflex */
    CHECK_STR(nfc("\xcc\x81\xcc\xa3"), "\xcc\xa3\xcc\x81");           /* marks without a letter */
    CHECK_STR(nfc("a\xcc\x95\xcc\x80\xd6\xae\xcc\x80" "b"), "\xc3\xa0\xd6\xae\xcc\x80\xcc\x95" "b");
    CHECK_STR(nfd("\xe1\xbb\x99"), "o\xcc\xa3\xcc\x82");
    CHECK_STR(nfd("ascii only"), "ascii only");
}

static void hangul_is_computed(void)
{
    CHECK_STR(nfc("\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8"), "\xea\xb0\x81");
    CHECK_STR(nfc("\xea\xb0\x80\xe1\x86\xa8"), "\xea\xb0\x81");
    CHECK_STR(nfd("\xea\xb0\x81"), "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8");
    CHECK_STR(nfc("\xe1\x84\x80\xe1\x84\x80"), "\xe1\x84\x80\xe1\x84\x80");
}

static void bytes_that_are_no_text_stay(void)
{
    CHECK_STR(nfc("e\xcc\x81\xff" "e\xcc\x81\xe2\x82"), "\xc3\xa9\xff\xc3\xa9\xe2\x82");
    CHECK_STR(nfc("\xff\xcc\x81"), "\xff\xcc\x81");
    CHECK_STR(nfc(""), "");
}

static void what_is_said_to_be_nfc_is(void)
{
    CHECK(unicode_is_nfc(STR("plain text, naïve café")));
    CHECK(!unicode_is_nfc(STR("cafe\xcc\x81")));
    CHECK(!unicode_is_nfc(STR("\xe2\x84\xab")));
    struct rng r;
    rng_seed(&r, 1);
    int said = 0;
    for (int i = 0; i < 20000; i++) {
        struct buf b = {0};
        for (int k = 0; k < 6; k++) {
            static const uint32_t near[] = {0x41,   0xc0,   0x300, 0x330, 0x1100, 0x1161,
                                            0x11a8, 0xac00, 0x9c7, 0x9be, 0x5d0};
            char c[4];
            uint32_t cp = rng_u64(&r) % 2 ? (uint32_t)(rng_u64(&r) % 0x3000)
                                          : near[rng_u64(&r) % 11] + (uint32_t)(rng_u64(&r) % 20);
            buf_add(&b, c, utf8_encode(cp ? cp : 'x', c));
        }
        const char *one = form(buf_view(&b), 1), *two = nfc(one);
        CHECK_STR(two, one); /* once is enough */
        if (unicode_is_nfc(buf_view(&b))) {
            said++;
            CHECK_STR(one, buf_z(&b));
        }
        CHECK_STR(nfc(nfd(buf_z(&b))), nfc(buf_z(&b)));
        buf_done(&b);
    }
    CHECK(said > 1000);
}

static void a_letter_with_a_megabyte_of_marks_is_sorted(void)
{
    struct buf b = {0}, out = {0};
    buf_puts(&b, "a");
    for (int i = 0; i < 250000; i++) buf_puts(&b, i % 2 ? "\xcc\xa3" : "\xcc\x81"); /* classes 220 and 230 */
    unicode_nfc(buf_view(&b), &out);
    CHECK(!out.failed);
    CHECK_EQ(out.n, 3 + 2 * 249999); /* the first dot below joins the letter */
    CHECK(!memcmp(out.p, "\xe1\xba\xa1\xcc\xa3\xcc\xa3", 7) && !memcmp(out.p + out.n - 2, "\xcc\x81", 2));
    buf_done(&b);
    buf_done(&out);
}

static void classes_and_case(void)
{
    uint32_t more;
    CHECK_EQ(unicode_of('A').gc, UC_LU);
    CHECK_EQ(unicode_of(0x4e2d).gc, UC_LO);
    CHECK_EQ(unicode_of(0x1f600).gc, UC_SO);
    CHECK_EQ(unicode_of(0x10ffff).gc, UC_CN);
    CHECK_EQ(unicode_of(0xd800).gc, UC_CS);
    CHECK(unicode_of(0x85).flags & UC_SPACE);
    CHECK(!(unicode_of(0x200b).flags & UC_SPACE));
    CHECK_EQ(unicode_of(0x301).ccc, 230);
    CHECK_EQ(unicode_lower('Q', &more), 'q');
    CHECK_EQ(unicode_lower(0xc9, &more), 0xe9);
    CHECK_EQ(unicode_lower(0x3a3, &more), 0x3c3);
    CHECK_EQ(unicode_lower(0x130, &more), 'i');
    CHECK_EQ(more, 0x307);
    CHECK_EQ(unicode_lower(0x1e9e, &more), 0xdf);
    CHECK_EQ(unicode_lower(0xdf, &more), 0xdf);
    CHECK_EQ(unicode_lower(0x10ffff, &more), 0x10ffff);
    CHECK_EQ(more, 0);
}

int main(void)
{
    tap_timeout(60);
    RUN(letters_and_marks_compose);
    RUN(hangul_is_computed);
    RUN(bytes_that_are_no_text_stay);
    RUN(what_is_said_to_be_nfc_is);
    RUN(a_letter_with_a_megabyte_of_marks_is_sorted);
    RUN(classes_and_case);
    return tap_done();
}
