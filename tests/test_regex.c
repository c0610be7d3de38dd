/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_regex.c: expressions of a tokenizer.json (text/regex.h). tests/data/regex_pieces.jsonl holds what Hugging Face's tokenizers 0.23.3 cuts by
 * them, Split with "Isolated"; and the splitters written by hand must give what their own expressions give.
 */
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "tap.h"
#include "text/regex.h"
#include "text/split.h"
#include "text/vocab_make.h"

static void piece(struct buf *out, const char *p, size_t n)
{
    if (!n) return;
    buf_add(out, p, n);
    buf_putc(out, '\x1f');
}

/* Matches and what lies between them, each followed by U+001F; -1 when the pattern is refused. */
static int cut(struct str pattern, struct str s, struct buf *out, struct lar_err *err)
{
    struct regex *re;
    size_t done = 0, from = 0, begin, end, last = SIZE_MAX;
    int rc = regex_open(&re, pattern, err);
    if (rc < 0) return rc;
    struct regex_search *r = regex_search_open(re);
    rc = r ? regex_search_text(r, s) : LAR_ENOMEM;
    while (rc == 0 && from <= s.n && (rc = regex_search_next(r, from, &begin, &end)) > 0) {
        rc = 0;
        if (begin == end && end == last) {
            from = end + 1;
            while (from < s.n && ((unsigned char)s.p[from] & 0xc0) == 0x80) from++;
            continue;
        }
        piece(out, s.p + done, begin - done);
        piece(out, s.p + begin, end - begin);
        done = from = last = end;
    }
    piece(out, s.p + done, s.n - done);
    regex_search_close(r);
    regex_close(re);
    return rc;
}

static void pieces_are_the_references(void)
{
    static char line[8192];
    FILE *f = fopen("tests/data/regex_pieces.jsonl", "r");
    int n = 0;
    CHECK(f != NULL);
    for (; f && fgets(line, sizeof line, f); n++) {
        struct arena a;
        struct buf got = {0}, want = {0};
        struct lar_err err = {0};
        arena_init(&a, 0);
        const struct json *v = json_parse(&a, str_of(line), NULL), *texts = json_get(v, "texts");
        struct str regex = json_str(json_get(v, "regex"), STR(""));
        CHECK(texts != NULL);
        for (const struct json *e = texts ? texts->child : NULL; e; e = e->next) {
            buf_clear(&got);
            buf_clear(&want);
            for (const struct json *w = e->child->next->child; w; w = w->next)
                piece(&want, w->s.p, w->s.n);
            CHECK_EQ(cut(regex, e->child->s, &got, &err), 0);
            if (!str_eq(buf_view(&got), buf_view(&want)))
                printf("# %.*s %s\n", STR_ARG(regex), err.msg);
            CHECK_STR(buf_z(&got), buf_z(&want));
        }
        buf_done(&got);
        buf_done(&want);
        arena_done(&a);
    }
    CHECK_EQ(n, 30);
    if (f) fclose(f);
}

static int to_buf(void *ctx, const char *p, size_t n) { return piece(ctx, p, n), 0; }

static size_t below(struct rng *r, size_t n) { return (size_t)(rng_u64(r) % n); }

/* Characters that splitters tell apart, and some from anywhere. */
static void random_text(struct rng *r, struct buf *b)
{
    static const char *const odd[] = {"'s",       "'RE",      "'\xc5\xbf",    "\r\n",
                                      "  ",       "\xc2\xa0", "\xe4\xb8\xad", "\xcc\x81",
                                      "\xc2\xbd", "\xd9\xa3", "\xc7\x85",     "/"};
    size_t n = below(r, 40);
    buf_clear(b);
    for (size_t i = 0; i < n; i++) {
        char c[4];
        uint32_t cp = (uint32_t)below(r, below(r, 4) ? 0x80 : 0x30000);
        if (below(r, 3) == 0)
            buf_puts(b, odd[below(r, sizeof odd / sizeof *odd)]);
        else if (cp < 0xd800 || cp >= 0xe000)
            buf_add(b, c, utf8_encode(cp, c));
    }
}

static void splitters_by_hand_are_their_expressions(void)
{
    static const char *const name[] = {"gpt-2",  "llama-bpe", "qwen2",      "qwen35",     "gpt-4o",
                                       "tekken", "kimi-k2",   "seed-coder", "exaone-moe", "bloom"};
    struct buf text = {0}, a = {0}, b = {0};
    struct lar_err err = {0};
    struct rng r;
    int rounds = getenv("LAR_SLOW") ? 20 : 300;
    rng_seed(&r, 4);
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        const char *const *stage = vocab_hf_stages(str_of(name[i]));
        CHECK(stage && stage[0] && !stage[1]);
        for (int k = 0; stage && k < rounds; k++) {
            random_text(&r, &text);
            buf_clear(&a);
            buf_clear(&b);
            split_each(split_find(str_of(name[i])), buf_view(&text), to_buf, &a);
            CHECK_EQ(cut(str_of(stage[0]), buf_view(&text), &b, &err), 0);
            if (!str_eq(buf_view(&a), buf_view(&b))) printf("# %s\n", name[i]);
            CHECK_STR(buf_z(&a), buf_z(&b));
        }
    }
    buf_done(&text);
    buf_done(&a);
    buf_done(&b);
}

/* Each of these costs a matcher that forgets what it tried the square of the text or worse: an hour. */
static void hostile_patterns_take_linear_time(void)
{
    static const char *const pattern[] = {"a+b|a",      "(?:a|aa)+b|a",       "a++b|a",
                                          "a(?=a*b)|.", "a(?=a*)|.",          "(?:a+)+$b|a",
                                          "a*?b|a",     "(?:a{1,30}){1,5}b|a"};
    struct buf text = {0}, out = {0};
    struct lar_err err = {0};
    size_t n = getenv("LAR_SLOW") ? 20000 : 200000;
    memset(buf_room(&text, n), 'a', n);
    text.n = n;
    for (size_t i = 0; i < sizeof pattern / sizeof *pattern; i++) {
        buf_clear(&out);
        CHECK_EQ(cut(str_of(pattern[i]), buf_view(&text), &out, &err), 0);
        CHECK_EQ(out.n, 2 * n); /* one by one */
    }
    buf_done(&text);
    buf_done(&out);
}

static void what_is_not_understood_is_refused_by_place(void)
{
    static const struct {
        const char *pattern, *want;
    } bad[] = {
        {"a\\1", "this escape at byte 2"},
        {"\\p{Greek}", "known are general categories"},
        {"(?<=ab)c", "look-behind by more"},
        {"(?>ab)+", "atomic"},
        {"(?:ab)++", "possessive"},
        {"(?:a*)*", "a loop over what may be empty"},
        {"(?i:ß)", "more than ASCII"},
        {"(?i)press", "one character folds to"},
        {"(?i)\\p{L}", "more than ASCII"},
        {"[a", "without its ]"},
        {"(a", "without its )"},
        {"a)", "a ) without"},
        {"*a", "a repetition of nothing"},
        {"a{3,2}", "number of repetitions"},
        {"a{2}?", "{n}?"},
        {"(?x: a)", "kind of group"},
        {"[[:alpha:]]", "[:name:]"},
        {"a{1000}{1000}", "so long"},
        {"(?:a?){600}", "may be empty"},
        {"(?:a?b){600}", "so many choices"},
        {"\\", "a backslash"},
        {"[b-a]", "a range"},
        {"\\xff", "\\x"},
    };
    struct buf deep = {0}, out = {0};
    struct lar_err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (struct lar_err){0};
        CHECK_EQ(cut(str_of(bad[i].pattern), STR("x"), &out, &err), LAR_EUNSUPPORTED);
        if (!strstr(err.msg, bad[i].want)) printf("# %s: %s\n", bad[i].pattern, err.msg);
        CHECK(strstr(err.msg, bad[i].want) != NULL);
    }
    for (int i = 0; i < 100000; i++) buf_putc(&deep, i % 2 ? '[' : '(');
    CHECK(cut(buf_view(&deep), STR("x"), &out, &err) < 0);
    buf_clear(&deep);
    buf_puts(&deep, "a");
    for (int i = 0; i < 100000; i++) buf_puts(&deep, "{1}");
    CHECK(cut(buf_view(&deep), STR("x"), &out, &err) < 0);
    buf_done(&deep);
    buf_done(&out);
}

static int allowed;

static int fail_later(size_t n, void *ctx) { return (void)n, (void)ctx, allowed-- <= 0; }

static void every_allocation_may_fail(void)
{
    char text[600];
    struct lar_err err;
    long before = mem_live();
    int refused = 0, rc = LAR_ENOMEM;
    memset(text, 'a', sizeof text);
    for (int i = 0; rc == LAR_ENOMEM && i < 200; i++, refused++) {
        struct regex *re = NULL;
        struct regex_search *r = NULL;
        size_t begin, end;
        allowed = i;
        mem_set_hook(fail_later, NULL);
        rc = regex_open(&re, STR("(?:a|aa)+(?=a+b)|[^x]++"), &err);
        if (rc == 0)
            rc = (r = regex_search_open(re)) ? regex_search_text(r, (struct str){text, sizeof text})
                                             : LAR_ENOMEM;
        if (rc == 0) rc = regex_search_next(r, 0, &begin, &end);
        mem_set_hook(NULL, NULL);
        regex_search_close(r);
        regex_close(re);
        CHECK_EQ(mem_live(), before);
    }
    CHECK_EQ(rc, 1);
    CHECK(refused > 6);
}

int main(void)
{
    tap_timeout(60);
    RUN(pieces_are_the_references);
    RUN(splitters_by_hand_are_their_expressions);
    RUN(hostile_patterns_take_linear_time);
    RUN(what_is_not_understood_is_refused_by_place);
    RUN(every_allocation_may_fail);
    return tap_done();
}
