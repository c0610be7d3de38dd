/* SPDX-License-Identifier: Apache-2.0
 * tests/test_gbnf.c: grammars in llama.cpp's form: what they accept, what is refused and where, and llama.cpp's own files where they lie
 * beside the project. */
#include "base/buf.h"
#include "base/mem.h"
#include "io/filemap.h"
#include "tap.h"
#include "text/grammar.h"

static struct lar_err why;

static int accepts(const char *grammar, const char *text)
{
    struct grammar *g;
    int e = grammar_open(&g, GRAMMAR_GBNF, str_of(grammar), NULL, NULL, &why);
    if (e < 0) return e;
    int ok = grammar_accepts(g, grammar_walk(g, grammar_start(g), str_of(text), NULL));
    if (grammar_failed(g, &why)) ok = -100;
    grammar_close(g);
    return ok;
}

static void all(const char *grammar, const char *const *good, const char *const *bad)
{
    for (; *good; good++)
        if (accepts(grammar, *good) != 1) printf("# %s must accept \"%s\" "
        "%s\n", grammar, *good, why.msg), tap_case_bad++;
    for (; *bad; bad++)
        if (accepts(grammar, *bad) != 0) printf("# %s must not accept \"%s\"\n", grammar, *bad), tap_case_bad++;
}
#define L(...) \
    (const char *const[]) { __VA_ARGS__, NULL }

static void rules_follow_one_another(void)
{
    all("root ::= \"a\" b? [c-e]+ # what\nb ::= \"b\"{2,"
        "3}\n", L("ac", "abbcde", "abbbe"), L("a", "abc", "abbbbc", "acb"));
    all("root ::= (\"x\" |\n  \"y\" | [^a-w\\n])*", L("", "xy", "\xc3\xa9z"), L("a", "x\n"));
    all("root ::= \"\\x41\\u00e9\\U0001F600\\\"\\\\\" "
        ".", L("A\xc3\xa9\xf0\x9f\x98\x80\"\\q"), L("A", "A\xc3\xa9\xf0\x9f\x98\x80\"\\"));
    all("root ::= a{2} | b{0,} c\na ::= \"a\"\nb ::= \"b\"\nc ::= \"c\"", L("aa"), L("a", "aaa"));
}

static void rules_may_call_themselves(void)
{
    all("root ::= \"(\" root \")\" | \"x\"", L("x", "((x))"), L("", "((x)", "(x))", "()"));
    all("root ::= e\ne ::= t ((\"+\" | \"-\") t)*\nt ::= [0-9]+ | \"(\" e "
        "\")\"", L("1", "12+(3-4)", "((1))+2"), L("1+", "(1", "1)"));
    all("root ::= \"a\" root | \"\"", L("", "a", "aaaa"), L("b", "ab"));
    all("root ::= s*\ns ::= t? u?\nt ::= \"t\" s \".\"\nu ::= \"u\"", L("", "t.", "tt..u", "ut.u"), L("t", ".", "t.."));
    all("root ::= \"a\" dead | \"b\"\ndead ::= \"x\" dead", L("b"), L("a", "ax"));
}

static void what_is_wrong_is_named_with_its_line(void)
{
    static const struct {
        const char *text, *says;
        int code;
    } t[] = {{"root ::= a\n", "no rule a", LAR_EFORMAT},
             {"x ::= \"a\"\n", "no rule root", LAR_EFORMAT},
             {"root ::= \"a\"\nb = \"c\"", "line 2", LAR_EFORMAT},
             {"root ::= (\"a\"", "parenthesis", LAR_EFORMAT},
             {"root ::= \"a", "without its end", LAR_EFORMAT},
             {"root ::= [z-a]", "range", LAR_EFORMAT},
             {"root ::= \"a\"{3,2}", "repetition", LAR_EFORMAT},
             {"root ::= \"\\q\"", "escape", LAR_EFORMAT},
             {"root ::= <think>", "tokens", LAR_EUNSUPPORTED},
             {"root ::= e\ne ::= e \"+\" t | t\nt ::= \"x\"", "left recursion", LAR_EUNSUPPORTED},
             {"root ::= a\na ::= n b\nn ::= \"n\"?\nb ::= a \"b\" | \"c\"", "left recursion", LAR_EUNSUPPORTED},
             {"root ::= \"a\"\nroot ::= \"b\"", "there already", LAR_EFORMAT}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        CHECK_EQ(accepts(t[i].text, ""), t[i].code);
        if (!strstr(why.msg, t[i].says)) printf("# %s: %s\n", t[i].text, why.msg), tap_case_bad++;
    }
}

static void hostile_grammars_are_bounded(void)
{
    struct buf b = {0};
    buf_puts(&b, "root ::= ");
    for (int i = 0; i < 5000; i++) buf_putc(&b, '(');
    CHECK(accepts(buf_z(&b), "") < 0);
    buf_clear(&b);
    for (int i = 0; i < 3000; i++) buf_printf(&b, "r%d ::= r%d r%d\n", i, i + 1, i + 1);
    buf_puts(&b, "r3000 ::= \"a\"\nroot ::= r0");
    CHECK(accepts(buf_z(&b), "a") <= 0);
    CHECK(accepts("root ::= (((\"a\" root){2000}){2000}){2000}", "a") <= 0);
    CHECK(accepts("root ::= ((((\"a\"*)*)*)*)*", "aaa") == 1);
    CHECK(accepts("root ::= ((r*)*)*\nr ::= \"a\" r \"b\" | \"\"", "aabb") == 1);
    buf_done(&b);
}

static void llama_cpp_s_own_grammars_are_read(void)
{
    static const struct {
        const char *file, *good, *bad;
    } t[] = {{"json", "{\"a\": [1, 2.5e3, \"x\\n\"], \"b\": null}", "{\"a\": }"},
             {"json_arr", "[\n1,\n2]", "1"},
             {"arithmetic", "(1+x) *3=y\n", "1 + = 3\n"},
             {"list", "- one\n- two\n", "one\n"},
             {"chess", "1. e4 e5\n2. Nf3 Nc6\n", "e4 e5"},
             {"c", "int main(){return 0;}", "main(){}"},
             {"english", "Hello, world!", "Hell\xc3\xb6"},
             {"japanese", "\xe3\x81\x82\xe3\x82\xa2", "abc"}};
    int seen = 0;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char path[100];
        struct filemap f;
        snprintf(path, sizeof path, "../shared/data/schema/gbnf/%s.gbnf", t[i].file);
        if (filemap_open(&f, path, NULL) < 0) continue;
        struct buf text = {0};
        buf_add(&text, f.p, f.n);
        seen++;
        if (accepts(buf_z(&text), t[i].good) != 1) printf("# %s: %s "
        "%s\n", t[i].file, t[i].good, why.msg), tap_case_bad++;
        if (accepts(buf_z(&text), t[i].bad) != 0) printf("# %s: %s\n", t[i].file, t[i].bad), tap_case_bad++;
        buf_done(&text);
        filemap_close(&f);
    }
    if (!seen) printf("# no grammars beside the project: nothing looked at\n");
}

static int left;
static int fail_one(size_t n, void *ctx)
{
    (void)n, (void)ctx;
    return left-- == 0;
}

static void every_allocation_may_fail(void)
{
    long before = mem_live();
    int ok = 0;
    for (int i = 0; ok != 1 && i < 5000; i++) {
        left = i;
        mem_set_hook(fail_one, NULL);
        ok = accepts("root ::= e\ne ::= t (\"+\" t)*\nt ::= [0-9]+ | \"(\" e \")\"", "12+(3+4)");
        mem_set_hook(NULL, NULL);
        if (ok == 0) tap_case_bad++;
    }
    if (ok != 1) printf("# %d %s\n", ok, why.msg);
    CHECK_EQ(ok, 1);
    CHECK_EQ(mem_live(), before);
}

int main(void)
{
    tap_timeout(60);
    RUN(rules_follow_one_another);
    RUN(rules_may_call_themselves);
    RUN(what_is_wrong_is_named_with_its_line);
    RUN(hostile_grammars_are_bounded);
    RUN(llama_cpp_s_own_grammars_are_read);
    RUN(every_allocation_may_fail);
    return tap_done();
}
