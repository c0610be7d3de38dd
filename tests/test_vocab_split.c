/* SPDX-License-Identifier: Apache-2.0
 * tests/test_vocab_split.c: the splitters of byte-level BPE. What each must give was made by running its regular expressions, as the
 * models' tokenizer.json files or llama.cpp's llama-vocab.cpp state them, in Hugging Face's tokenizers 0.23.3. */
#include <time.h>

#include "base/rng.h"
#include "base/utf8.h"
#include "tap.h"
#include "text/split.h"

// clang-format off
static const char *const text[] = {
    "Hello, I'm 12345 and they'll say \"don't\"  !\n\n  ok",
    "HTTPServer iPhone éÉ e\xcc\x81" "A 中文字かな 한국 १२३४५ a\xc2\xa0" "b",
    "'ſ x'RE\tfoo\r\n \n 1,234.5e6 ½² $x=y//z\n",
    "  two   three\n\n\n …。،। end  ",
};

static const struct {
    const char *pre;
    const char *want[4]; /* the pieces of each text, joined by | */
} row[] = {
    {"gpt-2",
     {"Hello|,| I|'m| 12345| and| they|'ll| say| \"|don|'t|\"| | !|\n\n | ok",
      "HTTPServer| iPhone| éÉ| e|\xcc\x81" "|A| 中文字かな| 한국| १२३४५| a|\xc2\xa0" "|b",
      "'|ſ| x|'|RE|\t|foo|\r\n \n| 1|,|234|.|5|e|6| ½²| $|x|=|y|//|z|\n",
      " | two|  | three|\n\n\n| …。،।| end|  "}},
    {"llama-bpe",
     {"Hello|,| I|'m| |123|45| and| they|'ll| say| \"|don|'t|\"| | !\n\n| | ok",
      "HTTPServer| iPhone| éÉ| e|\xcc\x81" "A| 中文字かな| 한국| |१२३|४५| a|\xc2\xa0" "b",
      "'ſ| x|'RE|\tfoo|\r\n \n| |1|,|234|.|5|e|6| |½²| $|x|=y|//|z|\n",
      " | two|  | three|\n\n\n| …。،।| end|  "}},
    {"qwen2",
     {"Hello|,| I|'m| |1|2|3|4|5| and| they|'ll| say| \"|don|'t|\"| | !\n\n| | ok",
      "HTTPServer| iPhone| éÉ| e|\xcc\x81" "A| 中文字かな| 한국| |१|२|३|४|५| a|\xc2\xa0" "b",
      "'ſ| x|'RE|\tfoo|\r\n \n| |1|,|2|3|4|.|5|e|6| |½|²| $|x|=y|//|z|\n",
      " | two|  | three|\n\n\n| …。،।| end|  "}},
    {"qwen35",
     {"Hello|,| I|'m| |1|2|3|4|5| and| they|'ll| say| \"|don|'t|\"| | !\n\n| | ok",
      "HTTPServer| iPhone| éÉ| e\xcc\x81" "A| 中文字かな| 한국| |१|२|३|४|५| a|\xc2\xa0" "b",
      "'ſ| x|'RE|\tfoo|\r\n \n| |1|,|2|3|4|.|5|e|6| |½|²| $|x|=y|//|z|\n",
      " | two|  | three|\n\n\n| …。،।| end|  "}},
    {"seed-coder",
     {"Hello|,| I|'m| |1|2|3|4|5| and| they|'ll| say| \"|don|'t|\"| | !|\n\n| | ok",
      "HTTPServer| iPhone| éÉ| e|\xcc\x81" "A| 中文字かな| 한국| |१|२|३|४|५| a|\xc2\xa0" "b",
      "'ſ| x|'RE|\tfoo|\r\n \n| |1|,|2|3|4|.|5|e|6| |½|²| $|x|=y|//|z|\n",
      " | two|  | three|\n\n\n| …。،।| end|  "}},
    {"exaone-moe",
     {"Hello|,| I|'m| |1|2|3|4|5| and they|'ll| say| \"|don|'t|\"| | !\n|\n| | ok",
      "HTTPServer iPhone éÉ e\xcc\x81" "A 中文字かな 한국| |१|२|३|४|५| a|\xc2\xa0" "b",
      "'ſ| x|'RE|\tfoo|\r\n \n| |1|,|2|3|4|.|5|e|6| |½|²| $|x|=y|//|z|\n",
      " | two|  | three|\n\n\n| …。،।| end|  "}},
    {"gpt-4o",
     {"Hello|,| I'm| |123|45| and| they'll| say| \"|don't|\"| | !\n\n| | ok",
      "HTTPServer| i|Phone| é|É| e\xcc\x81" "|A| 中文字かな| 한국| |१२३|४५| a|\xc2\xa0" "b",
      "'ſ| x'RE|\tfoo|\r\n \n| |1|,|234|.|5|e|6| |½²| $|x|=y|//|z|\n",
      " | two|  | three|\n\n\n| …。،।| end|  "}},
    {"tekken",
     {"Hello|,| I|'m| |1|2|3|4|5| and| they|'ll| say| \"|don|'t|\"| | !\n\n| | ok",
      "HTTPServer| i|Phone| é|É| e\xcc\x81" "|A| 中文字かな| 한국| |१|२|३|४|५| a|\xc2\xa0" "b",
      "'ſ| x|'RE|\tfoo|\r\n \n| |1|,|2|3|4|.|5|e|6| |½|²| $|x|=y|//|z|\n",
      " | two|  | three|\n\n\n| …。،।| end|  "}},
    {"tiny_aya",
     {"Hello|,| I'm| |12|345| and| they'll| say| \"|don't|\"| | !\n\n| | ok",
      "HTTPServer| i|Phone| é|É| e\xcc\x81" "|A| 中文字かな| 한국| |१२|३४५| a|\xc2\xa0" "b",
      "'ſ| x'RE|\tfoo|\r\n \n| |1|,|234|.|5|e|6| |½²| $|x|=y|//|z|\n",
      " | two|  | three|\n\n\n| …。،।| end|  "}},
    {"kimi-k2",
     {"Hello|,| I'm| |123|45| and| they'll| say| \"|don't|\"| | !\n\n| | ok",
      "HTTPServer| i|Phone| é|É| e\xcc\x81" "|A| |中文字|かな| 한국| |१२३|४५| a|\xc2\xa0" "b",
      "'ſ| x'RE|\tfoo|\r\n \n| |1|,|234|.|5|e|6| |½²| $|x|=y|//|z|\n",
      " | two|  | three|\n\n\n| …。،।| end|  "}},
    {"bloom",
     {"Hello|,| I'm| 12345| and| they'll| say| \"don't\"|  !\n\n | ok",
      "HTTPServer| iPhone| éÉ| e\xcc\x81" "A| 中文字かな| 한국| १२३४५| a|\xc2\xa0" "|b",
      "'ſ| x'RE|\t|foo|\r\n \n| 1|,|234|.|5e6| ½²| $x=y//z|\n",
      " | two|  | three|\n\n\n …。،।| end|  "}},
    {"deepseek-llm",
     {"Hello|,| I|'|m| |1|2|3|4|5| and| they|'|ll| say| \"|don|'|t|\"| | !|\n|\n| | ok",
      "HTTPServer| iPhone| éÉ| e|\xcc\x81" "|A| |中文字かな| |한국| |१|२|३|४|५| a|\xc2\xa0" "b",
      "'|ſ| x|'|RE|\tfoo|\r|\n| |\n| |1|,|2|3|4|.|5|e|6| |½|²| $|x|=|y|//|z|\n",
      " | two|  | three|\n|\n|\n| |…|。|،|।| end|  "}},
    {"deepseek-coder",
     {"Hello|,| I|'|m| |1|2|3|4|5| and| they|'|ll| say| \"|don|'|t|\"| | !|\n|\n| | ok",
      "HTTPServer| iPhone| éÉ| e|\xcc\x81" "|A| |中文字かな| |한국| |१|२|३|४|५| a|\xc2\xa0" "b",
      "'|ſ| x|'|RE|\tfoo|\r|\n| |\n| |1|,|2|3|4|.|5|e|6| |½|²| $|x|=|y|//|z|\n",
      " | two|  | three|\n|\n|\n| |…。|،|।| end|  "}},
    {"deepseek-v3",
     {"Hello|,| I|'m| |123|45| and| they|'ll| say| \"|don|'t|\"| | !\n\n| | ok",
      "HTTPServer| iPhone| éÉ| e\xcc\x81" "A| |中文字かな| 한국| |१२३|४५| a|\xc2\xa0" "b",
      "'|ſ| x|'RE|\tfoo|\r\n \n| |1|,|234|.|5|e|6| |½²| $|x|=y|//|z|\n",
      " | two|  | three|\n\n\n| …。،।| end|  "}},
    {"falcon",
     {"Hello|,| I|'|m| |123|45| and| they|'|ll| say| |\"|don|'|t|\"|  |!|\n\n | ok",
      "HTTPServer| iPhone| éÉ| e|\xcc\x81" "|A| 中文字かな| 한국| १२३४५| a|\xc2\xa0" "|b",
      "'|ſ| x|'|RE|\t|foo|\r\n \n| 1|,|234|.|5|e|6| ½²| |$|x|=|y|//|z|\n",
      " | two|  | three|\n\n\n |…。،।| end|  "}},
    {"default",
     {"Hello|,| I|'|m| |123|45| and| they|'|ll| say| |\"|don|'|t|\"|  |!|\n\n | ok",
      "HTTPServer| iPhone| éÉ| e|\xcc\x81" "|A| 中文字かな| 한국| |१२३४५| a|\xc2\xa0" "|b",
      "'|ſ| x|'|RE|\t|foo|\r\n \n| |1|,|234|.|5|e|6| |½²| |$|x|=|y|//|z|\n",
      " | two|  | three|\n\n\n |…。،।| end|  "}},
    {"bailingmoe",
     {"Hello|,| I|'m| |1|2|3|4|5| and| they|'ll| say| \"|don|'t|\"| | !\n\n| | ok",
      "HTTPServer| iPhone| éÉ| e|\xcc\x81" "A| 中文字かな| 한국| |१|२|३|४|५| a|\xc2\xa0" "b",
      "'ſ| x|'RE|\tfoo|\r\n \n| |1|,|2|3|4|.|5|e|6| |½|²| $|x|=y|//|z|\n",
      " | two|  | three|\n\n\n| …。،।| end|  "}},
    {"ufakzeka",
     {"Hello|,| I|'m| |1|2|3|4|5| and| they|'ll| say| \"|don|'t|\"| | !\n\n| | ok",
      "HTTPServer| iPhone| éÉ| e|\xcc\x81" "A| 中文字かな| 한국| |१|२|३|४|५| a|\xc2\xa0" "b",
      "'ſ| x|'RE|\tfoo|\r\n \n| |1|,|2|3|4|.|5|e|6| |½|²| $|x|=y|//|z|\n",
      " | two|  | three|\n\n\n| …。،।| end|  "}},
    {"laguna",
     {"Hello|,| I|'m| |1|2|3|4|5| and| they|'ll| say| \"|don|'t|\"| | !|\n\n| | ok",
      "HTTPServer| iPhone| éÉ| e|\xcc\x81" "A| 中文字かな| 한국| |१|२|३|४|५| a|\xc2\xa0" "b",
      "'ſ| x|'RE|\tfoo|\r|\n| |\n| |1|,|2|3|4|.|5|e|6| |½|²| $|x|=y|//|z|\n",
      " | two|  | three|\n\n\n| …。،।| end|  "}},
    {"minicpm5",
     {"Hello|,| I|'m| |123|45| and| they|'ll| say| \"|don|'t|\"| | !\n\n| | ok",
      "HTTPServer| iPhone| éÉ| e|\xcc\x81" "A| 中文字かな| 한국| |१२३|४५| a|\xc2\xa0" "b",
      "'ſ| x|'RE|\tfoo|\r\n \n| |1|,|234|.|5|e|6| |½²| $|x|=y|//|z|\n",
      " | two|  | three|\n\n\n| …。،।| end|  "}},
    {"jais-2",
     {"Hello|,| I|'m| |123|45| and| they|'ll| say| \"|don|'t|\"| | !\n\n| | ok",
      "HTTPServer| iPhone| éÉ| e|\xcc\x81" "A| 中文字かな| 한국| |१२३|४५| a|\xc2\xa0" "b",
      "'ſ| x|'RE|\tfoo|\r\n \n| |1|,|234|.|5|e|6| |½²| $|x|=y|//|z|\n",
      " | two|  | three|\n\n\n| …。،।| end|  "}},
    {"spark2_5",
     {"Hello|,| I|'m| |1|2|3|4|5| and| they|'ll| say| \"|don|'t|\"| | !|\n|\n| | ok",
      "HTTPServer| iPhone| éÉ| e\xcc\x81" "A| |中文字かな| 한국| |१|२|३|४|५| a|\xc2\xa0" "b",
      "'|ſ| x|'RE|\tfoo|\r|\n| \n |1|,|2|3|4|.|5|e|6| |½|²| $|x|=y|//|z|\n",
      " | two|  | three|\n|\n|\n| …。،।| end|  "}},
    {"superbpe",
     {"Hello, I'm |12|345| and they'll say \"don't\"  !\n\n  ok",
      "HTTPServer iPhone éÉ e\xcc\x81" "A 中文字かな 한국 |१२|३४५| a\xc2\xa0" "b",
      "'ſ x'RE\tfoo\r\n \n |1|,|234|.|5|e|6| |½²| $x=y//z\n",
      "  two   three\n\n\n …。،। end  "}},
    {"youtu",
     {"Hello|,| I'm| |1|2|3|4|5| and| they'll| say| \"|don't|\"| | !\n\n| | ok",
      "HTTPServer| i|Phone| é|É| e\xcc\x81" "|A| |中文字かな| |한국| |१|२|३|४|५| a|\xc2\xa0" "b",
      "'ſ| x'RE|\tfoo|\r\n \n| |1|,|2|3|4|.|5|e|6| |½|²| $|x|=y|//|z|\n",
      " | two|  | three|\n\n\n| |…。|،।| end|  "}},
    {"chameleon",
     {"Hello|,| I|'|m| |1|2|3|4|5| and| they|'|ll| say| |\"|don|'|t|\"|  |!|\n|\n|  |ok",
      "HTTPServer| iPhone| éÉ| e|\xcc\x81" "|A| 中文字かな| 한국| |१|२|३|४|५| a|\xc2\xa0" "|b",
      "'|ſ| x|'|RE|\t|foo|\r|\n| |\n| |1|,|2|3|4|.|5|e|6| |½|²| |$|x|=|y|/|/|z|\n",
      "  |two|  | three|\n|\n|\n| |…|。|،|।| end|  "}},
    {"viking",
     {"Hello|,| I'm| |1|2|3|4|5| and| they'll| say| \"don't\"|  !\n\n | ok",
      "HTTPServer| iPhone| éÉ| e\xcc\x81" "A| 中文字かな| 한국| |१|२|३|४|५| a|\xc2\xa0" "|b",
      "'ſ| x'RE|\t|foo|\r\n \n| |1|,|2|3|4|.|5|e|6| |½|²| $x=y//z|\n",
      " | two|  | three|\n\n\n …。،।| end|  "}},
    {"starcoder",
     {"Hello|,| I|'m| |1|2|3|4|5| and| they|'ll| say| \"|don|'t|\"| | !|\n\n | ok",
      "HTTPServer| iPhone| éÉ| e|\xcc\x81" "|A| 中文字かな| 한국| |१|२|३|४|५| a|\xc2\xa0" "|b",
      "'|ſ| x|'|RE|\t|foo|\r\n \n |1|,|2|3|4|.|5|e|6| |½|²| $|x|=|y|//|z|\n",
      " | two|  | three|\n\n\n| …。،।| end|  "}},
};
// clang-format on

#define COUNT(a) (sizeof(a) / sizeof *(a))

static int join(void *ctx, const char *p, size_t n)
{
    struct buf *b = ctx;
    if (b->n) buf_putc(b, '|');
    buf_add(b, p, n);
    return 0;
}

static void every_splitter_cuts_as_its_expression_does(void)
{
    for (size_t i = 0; i < COUNT(row); i++) {
        const struct splitter *sp = split_find(str_of(row[i].pre));
        CHECK(sp);
        for (int k = 0; sp && k < 4; k++) {
            struct buf b = {0};
            CHECK_EQ(split_each(sp, str_of(text[k]), join, &b), 0);
            CHECK_STR(buf_z(&b), row[i].want[k]);
            buf_done(&b);
        }
    }
}

static void names_are_found_and_unknown_ones_are_not(void)
{
    CHECK(split_find(STR("qwen2")) && split_find(STR("qwen2")) == split_find(STR("deepseek-r1-qwen")));
    CHECK(split_find(STR("llama-bpe"))->flags & SPLIT_IGNORE_MERGES);
    CHECK(!split_find(STR("qwen")) && !split_find(STR("")) && !split_find(STR("qwen2 megrez")));
    CHECK(split_find_arch(STR("gptneox"))->flags & SPLIT_NFC);
    CHECK(split_find_arch(STR("no such thing")) == split_find(STR("default")));
    struct buf b = {0};
    split_names(&b);
    CHECK(strstr(buf_z(&b), "llama-bpe") && strstr(buf_z(&b), "chameleon"));
    buf_done(&b);
}

/* ---- for every name ------------------------------------------------------------------------------------------------- */

static void each_name(void (*fn)(const struct splitter *sp))
{
    struct buf b = {0};
    split_names(&b);
    for (const char *p = buf_z(&b); *p;) {
        size_t n = strcspn(p, " ");
        const struct splitter *sp = split_find((struct str){p, n});
        CHECK(sp);
        if (sp) fn(sp);
        p += n + (p[n] == ' ');
    }
    buf_done(&b);
}

struct cover {
    const char *at;
    size_t pieces;
};

static int cover(void *ctx, const char *p, size_t n)
{
    struct cover *c = ctx;
    if (p != c->at || !n) return 1;
    c->at += n;
    c->pieces++;
    return 0;
}

static struct rng r;

static void covers_random_bytes(const struct splitter *sp)
{
    for (int i = 0; i < 60; i++) {
        struct buf b = {0};
        for (uint64_t n = rng_u64(&r) % 80; n > 0; n--) {
            char c[4];
            uint64_t kind = rng_u64(&r) % 4;
            if (kind == 0) buf_putc(&b, (char)rng_u64(&r));
            else if (kind == 1) buf_add(&b, c, utf8_encode((uint32_t)(rng_u64(&r) % 0x110000), c));
            else buf_putc(&b, " \n\t'a1B.s,/\r"[rng_u64(&r) % 12]);
        }
        struct cover c = {buf_z(&b), 0};
        CHECK_EQ(split_each(sp, buf_view(&b), cover, &c), 0);
        CHECK(c.at == buf_z(&b) + b.n);
        buf_done(&b);
    }
}

static void pieces_cover_any_bytes_without_gap(void)
{
    rng_seed(&r, 3);
    each_name(covers_random_bytes);
}

static const char *const unit[] = {"a", "A", " ", "\n", "7", "!", "'", "\xcc\x81", "中", "\xff", " a", "1a", " \n",
                                   "\xd9\xa3", "\xc2\xa0", "e\xcc\x81 ", "\t"};

/* Quadratic time over 100,000 characters would be many seconds for each; two seconds are ample for linear time, whatever the machine. */
static void is_linear(const struct splitter *sp)
{
    for (size_t u = 0; u < COUNT(unit); u++) {
        struct buf b = {0};
        while (b.n < 100000) buf_puts(&b, unit[u]);
        buf_puts(&b, "x");
        struct cover c = {buf_z(&b), 0};
        clock_t start = clock();
        CHECK_EQ(split_each(sp, buf_view(&b), cover, &c), 0);
        double s = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (s > 2) printf("# %.10s... with %s: %.1f s\n", sp->names, unit[u], s);
        CHECK(s <= 2);
        buf_done(&b);
    }
}

static void a_run_of_one_character_takes_linear_time(void)
{
    each_name(is_linear);
}

/* (?=(\d{3})+(?!\d)) as a stage by itself, whatever stands around the digits. */
static void thousands_are_cut_before_every_group_of_three(void)
{
    static const char *const want[] = {"12", "123", "1|234", "12|345", "123|456", "1|234|567", "a|123", "a12",
                                       "a1|234", "a|123|456", "a|123|456b1|234", "a|123 |456",
                                       "12a|345|678.9", "\xc3\xa9|123\xc3\xa9|456"};
    for (size_t i = 0; i < COUNT(want); i++) {
        char joined[64], got[128];
        size_t n = 0, k = 0, start;
        for (const char *p = want[i]; *p; p++)
            if (*p != '|') joined[n++] = *p;
        for (size_t at = 0; at < n;) {
            size_t end = split_thousands(joined, n, at, &start);
            CHECK(start == at && end > at && end <= n);
            if (end <= at || end > n) break;
            if (at) got[k++] = '|';
            memcpy(got + k, joined + at, end - at);
            k += end - at;
            at = end;
        }
        got[k] = 0;
        CHECK_STR(got, want[i]);
    }
}

int main(void)
{
    tap_timeout(120);
    RUN(every_splitter_cuts_as_its_expression_does);
    RUN(thousands_are_cut_before_every_group_of_three);
    RUN(names_are_found_and_unknown_ones_are_not);
    RUN(pieces_cover_any_bytes_without_gap);
    RUN(a_run_of_one_character_takes_linear_time);
    return tap_done();
}
