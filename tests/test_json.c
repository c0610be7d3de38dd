/* SPDX-License-Identifier: Apache-2.0
 * tests/test_json.c: what base/json reads, what it refuses and where it says the fault is (RFC 8259). Texts lie in heap of exactly their size,
 * so that a sanitizer sees a read past them. */
#include "base/json.h"

#include "base/buf.h"
#include "tap.h"

static struct arena arena;
static struct lar_err err;
static char *text; /* of the tree at hand */

static struct json *parse_n(const char *p, size_t n)
{
    free(text);
    text = malloc(n ? n : 1);
    memcpy(text, p, n);
    arena_done(&arena);
    arena_init(&arena, 0);
    err = (struct lar_err){0};
    return json_parse(&arena, (struct str){text, n}, &err);
}

static struct json *parse(const char *z) { return parse_n(z, strlen(z)); }

static void reads(const char *z, const char *want, size_t n)
{
    const struct json *v = parse(z);
    if (!v || v->kind != JSON_STRING || v->s.n != n || memcmp(v->s.p, want, n)) {
        printf("# %s is read as %.*s (%s)\n", z, v ? (int)v->s.n : 0, v ? v->s.p : "", err.msg);
        tap_case_bad++;
    }
}

/* Refused, at this byte, with these words. */
static void refuses_n(const char *p, size_t n, size_t at, const char *words)
{
    char place[32];
    snprintf(place, sizeof place, "byte %zu:", at);
    if (parse_n(p, n) || err.code != LAR_EFORMAT || !strstr(err.msg, place) || !strstr(err.msg, words)) {
        printf("# %.*s: \"%s\", not at byte %zu, %s\n", (int)n, p, err.msg, at, words);
        tap_case_bad++;
    }
}

static void refuses(const char *z, size_t at, const char *words) { refuses_n(z, strlen(z), at, words); }

static void every_kind_of_value_is_read(void)
{
    const struct json *v = parse(" \t\r\n{\"a\":[1,true,false,null,\"x\",{}],\"b\":-2.5e1 , \"\":[]}\n ");
    CHECK(v && v->kind == JSON_OBJECT);
    if (!v) return;
    CHECK_EQ(v->n, 3);
    const struct json *a = json_get(v, "a"), *c = a->child;
    CHECK(a->kind == JSON_ARRAY);
    CHECK_EQ(a->n, 6);
    CHECK(c->kind == JSON_NUMBER && c->is_int && c->i == 1);
    c = c->next;
    CHECK(c->kind == JSON_BOOL && c->boolean == 1);
    c = c->next;
    CHECK(c->kind == JSON_BOOL && c->boolean == 0);
    c = c->next;
    CHECK(c->kind == JSON_NULL);
    c = c->next;
    CHECK(c->kind == JSON_STRING && str_is(c->s, "x"));
    c = c->next;
    CHECK(c->kind == JSON_OBJECT && c->n == 0 && !c->child && !c->next);
    CHECK_NEAR(json_num(json_get(v, "b"), 0), -25, 0);
    CHECK(str_is(json_get(v, "b")->s, "-2.5e1"));
    CHECK(json_get(v, "")->kind == JSON_ARRAY && json_get(v, "")->n == 0);
    CHECK(!json_get(v, "c") && !json_get(a, "a") && !json_get(NULL, "a"));
    CHECK(parse("\"\"") && parse("0") && parse("null"));
}

static void a_default_stands_for_what_is_missing_or_of_another_kind(void)
{
    const struct json *v = parse("{\"n\":3,\"s\":\"t\",\"b\":true,\"z\":null}");
    CHECK(str_is(json_str(json_get(v, "s"), STR("d")), "t") && str_is(json_str(json_get(v, "n"), STR("d")), "d"));
    CHECK_NEAR(json_num(json_get(v, "n"), 7), 3, 0);
    CHECK_NEAR(json_num(json_get(v, "s"), 7), 7, 0);
    CHECK_NEAR(json_num(NULL, 7), 7, 0);
    CHECK(json_bool(json_get(v, "b"), 0) == 1 && json_bool(json_get(v, "n"), 0) == 0 && json_bool(NULL, 1) == 1);
}

static void escapes_become_their_characters(void)
{
    reads("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
    reads("\"\\u0041\\u00e9\\u20AC\\uffff\"", "A\xc3\xa9\xe2\x82\xac\xef\xbf\xbf", 9);
    reads("\"\\u0000|\\u001f|\\u007F\"", "\0|\x1f|\x7f", 5);
    reads("\"\\\\u0041\"", "\\u0041", 6);
    reads("\"\xc3\xa9\xf0\x9f\x98\x80\"", "\xc3\xa9\xf0\x9f\x98\x80", 6);
    const struct json *v = parse("{\"\\u006bey\":1}");
    CHECK(json_get(v, "key") != NULL);
    refuses("\"\\x\"", 3, "bad escape");
    refuses("\"\\U0041\"", 3, "bad escape");
    refuses("\"\\u00g1\"", 6, "bad escape");
    refuses("\"\\u004\"", 7, "bad escape");
    refuses("\"\\u00", 1, "never ends");
}

static void pairs_of_surrogates_become_one_character(void)
{
    reads("\"\\ud800\\udc00\"", "\xf0\x90\x80\x80", 4);            /* U+10000, the first */
    reads("\"\\ud801\\udc37\"", "\xf0\x90\x90\xb7", 4);            /* U+10437 */
    reads("\"\\uD83D\\uDE00\"", "\xf0\x9f\x98\x80", 4);            /* U+1F600 */
    reads("\"\\ud83d\\ude00\\u0041\"", "\xf0\x9f\x98\x80" "A", 5);
    reads("\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf", 4);            /* U+10FFFF, the last */
    reads("\"\\ud7ff\\ue000\"", "\xed\x9f\xbf\xee\x80\x80", 6);    /* the neighbours of surrogates are none */
}

static void half_a_pair_is_refused(void)
{
    refuses("\"\\ud800\"", 7, "bad escape");
    refuses("\"\\udbff\"", 7, "bad escape");
    refuses("\"\\udc00\"", 7, "bad escape");
    refuses("\"\\udfff\"", 7, "bad escape");
    refuses("\"\\ud83d!\\ude00\"", 7, "bad escape");
    refuses("\"\\ud83d\\n\"", 7, "bad escape");
    refuses("\"\\ud83d\\ud83d\"", 13, "bad escape");
    refuses("\"\\ud83d\\udbff\"", 13, "bad escape");
    refuses("\"\\ud83d\\ue000\"", 13, "bad escape");
    refuses("\"\\ud83d\\u0041\"", 13, "bad escape");
    refuses("\"\\ude00\\ud83d\"", 7, "bad escape");
    refuses("\"\\ud83d\\ude\"", 9, "bad escape");
}

static void strings_hold_utf_8_and_no_control_characters(void)
{
    refuses("\"a\nb\"", 2, "control character");
    refuses("\"\x1f\"", 1, "control character");
    refuses_n("\"\0\"", 3, 1, "control character");
    refuses("\"a\xff\"", 2, "not UTF-8");
    refuses("\"\xc3\"", 1, "not UTF-8");
    refuses("\"\xc0\x80\"", 1, "not UTF-8");         /* overlong */
    refuses("\"\xed\xa0\x80\"", 1, "not UTF-8");     /* a surrogate */
    refuses("\"\xf4\x90\x80\x80\"", 1, "not UTF-8"); /* beyond U+10FFFF */
    reads("\"\x7f\"", "\x7f", 1);
}

static void numbers_are_read_as_they_are_written(void)
{
    static const struct {
        const char *z;
        double num;
    } row[] = {{"0", 0}, {"-0", 0}, {"10", 10}, {"1.5", 1.5}, {"-0.25", -0.25}, {"1e3", 1000}, {"1E+3", 1000},
               {"2e-2", 0.02}, {"0e1", 0}, {"0.0", 0}, {"123456789012345678901234567890", 1.2345678901234568e29},
               {"1e400", (double)INFINITY}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const struct json *v = parse(row[i].z);
        CHECK(v && v->kind == JSON_NUMBER && v->num == row[i].num && str_is(v->s, row[i].z));
    }
    CHECK(parse("-0")->is_int && !parse("1.0")->is_int && !parse("1e0")->is_int);
    static const struct {
        const char *z;
        size_t at;
    } wrong[] = {{"-", 0}, {"+1", 0}, {".5", 0}, {"01", 0}, {"-01", 0}, {"00", 0}, {"1.", 0}, {"1.e1", 0},
                 {"1e", 0}, {"1e+", 0}, {"1.5E-", 0}, {"-a", 0}, {"0x10", 1}, {"1_0", 1}, {"NaN", 0}, {"Infinity", 0},
                 {"-Infinity", 0}, {"1 2", 2}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) refuses(wrong[i].z, wrong[i].at, "");
}

static void whole_numbers_are_exact_up_to_64_bits(void)
{
    static const struct {
        const char *z;
        int is_int;
        int64_t i;
    } row[] = {{"9007199254740993", 1, 9007199254740993}, {"9223372036854775807", 1, INT64_MAX},
               {"-9223372036854775807", 1, -INT64_MAX},   {"-9223372036854775808", 1, INT64_MIN},
               {"9223372036854775808", 0, 0},             {"-9223372036854775809", 0, 0},
               {"18446744073709551616", 0, 0},            {"99999999999999999999", 0, 0},
               {"100000000000000000000000", 0, 0}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const struct json *v = parse(row[i].z);
        CHECK(v != NULL);
        if (!v) continue;
        CHECK_EQ(v->is_int, row[i].is_int);
        CHECK_EQ(v->i, row[i].i);
        CHECK(v->num == strtod(row[i].z, NULL));
    }
}

static void of_two_equal_keys_the_last_counts(void)
{
    const struct json *v = parse("{\"a\":1,\"b\":2,\"a\":3}");
    CHECK_EQ(v->n, 3);
    CHECK_EQ(json_get(v, "a")->i, 3);
    CHECK_EQ(v->child->i, 1);
}

static void nesting_has_its_limit(void)
{
    struct buf b = {0};
    for (int i = 0; i < JSON_DEPTH_MAX; i++) buf_putc(&b, '[');
    for (int i = 0; i < JSON_DEPTH_MAX; i++) buf_putc(&b, ']');
    CHECK(parse_n(b.p, b.n) != NULL);
    buf_clear(&b);
    for (int i = 0; i <= JSON_DEPTH_MAX; i++) buf_putc(&b, '[');
    refuses_n(b.p, b.n, JSON_DEPTH_MAX, "too deeply");
    buf_clear(&b);
    for (int i = 0; i <= JSON_DEPTH_MAX; i++) buf_puts(&b, "{\"\":");
    refuses_n(b.p, b.n, 4 * JSON_DEPTH_MAX, "too deeply");
    buf_clear(&b);
    buf_putc(&b, '['); /* depth is what is open, not what there is */
    for (int i = 0; i < 1000; i++) buf_puts(&b, "[[]],{\"a\":{}},");
    buf_puts(&b, "0]");
    const struct json *v = parse_n(b.p, b.n);
    CHECK(v && v->n == 2001);
    buf_clear(&b);
    for (int i = 0; i < 1000000; i++) buf_putc(&b, '[');
    CHECK(!parse_n(b.p, b.n) && err.code == LAR_EFORMAT);
    buf_done(&b);
}

static void a_text_that_breaks_off_is_refused_wherever_it_does(void)
{
    static const char whole[] = "{\"a\":[1.5e3,true,null,\"\\ud83d\\ude00\xc3\xa9\"],\"b\":{\"c\":false}}";
    for (size_t n = 0; n + 1 < sizeof whole; n++) {
        CHECK(!parse_n(whole, n));
        CHECK_EQ(err.code, LAR_EFORMAT);
    }
    CHECK(parse_n(whole, sizeof whole - 1) != NULL);
    refuses("", 0, "where a value should be");
    refuses("  ", 2, "where a value should be");
    refuses("[1", 2, "ends inside");
    refuses("{\"a\":", 5, "where a value should be");
    refuses("\"abc", 1, "never ends");
    refuses("\"abc\\\"", 1, "never ends");
    refuses("\"abc\\", 1, "never ends");
}

static void what_is_no_json_is_refused(void)
{
    refuses("1 x", 2, "more text");
    refuses("{} {}", 3, "more text");
    refuses("[1]]", 3, "more text");
    refuses("nullx", 4, "more text");
    refuses_n("1\0", 2, 1, "more text");
    refuses("[1,]", 3, "not a JSON value");
    refuses("[,1]", 1, "not a JSON value");
    refuses("[1 2]", 3, "expected ','");
    refuses("[1}", 2, "expected ','");
    refuses("{\"a\":1]", 6, "expected ','");
    refuses("{\"a\":1,}", 7, "quoted key");
    refuses("{a:1}", 1, "quoted key");
    refuses("{1:1}", 1, "quoted key");
    refuses("{\"a\" 1}", 5, "expected ':'");
    refuses("{\"a\"}", 4, "expected ':'");
    refuses("{\"a\"::1}", 5, "not a JSON value");
    refuses("tru", 0, "not a JSON value");
    refuses("True", 0, "not a JSON value");
    refuses("nul", 0, "not a JSON value");
    refuses("'a'", 0, "not a JSON value");
    refuses("/* */ 1", 0, "not a JSON value");
    refuses("\xef\xbb\xbf" "1", 0, "not a JSON value"); /* a byte order mark is none of JSON's white space */
    refuses("\f1", 0, "not a JSON value");
    refuses("\xc2\xa0" "1", 0, "not a JSON value");
}

static long allowed;
static int fail_later(size_t n, void *ctx)
{
    (void)n, (void)ctx;
    return allowed-- <= 0;
}

static void without_memory_it_says_so(void)
{
    struct buf b = {0};
    buf_putc(&b, '[');
    for (int i = 0; i < 20000; i++) buf_puts(&b, "\"a string\",12,");
    buf_puts(&b, "null]");
    CHECK(parse_n(b.p, b.n) != NULL);
    long before = mem_live();
    int refused = 0;
    for (long i = 0; i < 200; i++) {
        struct arena a;
        struct lar_err e = {0};
        arena_init(&a, 0);
        allowed = i;
        mem_set_hook(fail_later, NULL);
        const struct json *v = json_parse(&a, buf_view(&b), &e);
        mem_set_hook(NULL, NULL);
        arena_done(&a);
        if (v) break;
        CHECK_EQ(e.code, LAR_ENOMEM);
        refused++;
    }
    CHECK(refused > 3 && refused < 200);
    CHECK_EQ(mem_live(), before);
    buf_done(&b);
}

int main(void)
{
    tap_timeout(60);
    arena_init(&arena, 0);
    RUN(every_kind_of_value_is_read);
    RUN(a_default_stands_for_what_is_missing_or_of_another_kind);
    RUN(escapes_become_their_characters);
    RUN(pairs_of_surrogates_become_one_character);
    RUN(half_a_pair_is_refused);
    RUN(strings_hold_utf_8_and_no_control_characters);
    RUN(numbers_are_read_as_they_are_written);
    RUN(whole_numbers_are_exact_up_to_64_bits);
    RUN(of_two_equal_keys_the_last_counts);
    RUN(nesting_has_its_limit);
    RUN(a_text_that_breaks_off_is_refused_wherever_it_does);
    RUN(what_is_no_json_is_refused);
    RUN(without_memory_it_says_so);
    arena_done(&arena);
    free(text);
    return tap_done();
}
