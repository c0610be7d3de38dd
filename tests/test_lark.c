/* SPDX-License-Identifier: Apache-2.0
 * tests/test_lark.c: grammars in Lark's language: what their documentation's examples are about (a calculator, JSON, a settings file), each
 * construct by texts that it takes and others that it does not, and what is refused, by name and line. */
#include "base/mem.h"
#include "tap.h"
#include "text/grammar.h"

static struct grammar *open_it(const char *text, struct lar_err *err)
{
    struct grammar *g = NULL;
    *err = (struct lar_err){0};
    grammar_open(&g, GRAMMAR_LARK, str_of(text), NULL, NULL, err);
    return g;
}

/* Each line of yes is accepted, none of no is; a line's \ is an end of line. */
static void language(const char *text, const char *yes, const char *no)
{
    struct lar_err err;
    struct grammar *g = open_it(text, &err);
    if (!g) printf("# %s\n# %s\n", text, err.msg);
    CHECK(g != NULL);
    for (int want = 1; g && want >= 0; want--)
        for (const char *at = want ? yes : no; at && *at;) {
            const char *end = strchrnul(at, '\n');
            char s[300];
            size_t n = (size_t)(end - at);
            CHECK(n < sizeof s);
            memcpy(s, at, n);
            for (size_t i = 0; i < n; i++)
                if (s[i] == '\\') s[i] = '\n';
            int ok =
                grammar_accepts(g, grammar_walk(g, grammar_start(g), (struct str){s, n}, NULL));
            if (ok != want)
                printf("# %s: \"%.*s\" is%s accepted\n", text, (int)n, at, ok ? "" : " not");
            CHECK_EQ(ok, want);
            at = *end ? end + 1 : end;
        }
    grammar_close(g);
}

static void refused(const char *text, int code, const char *words)
{
    struct lar_err err;
    struct grammar *g = open_it(text, &err);
    CHECK(g == NULL);
    CHECK_EQ(err.code, code);
    if (!strstr(err.msg, words)) printf("# \"%s\" says nothing of \"%s\"\n", err.msg, words);
    CHECK(strstr(err.msg, words));
    grammar_close(g);
}

static void a_calculator_is_read(void)
{
    language("?start: sum\n"
             "?sum: product\n"
             "    | sum \"+\" product -> add\n"
             "    | sum \"-\" product -> sub\n"
             "?product: atom | product (\"*\" | \"/\") atom // left recursion\n"
             "?atom: NUMBER -> number\n"
             "     | \"-\" atom -> neg\n"
             "     | NAME \"(\" [sum (\",\" sum)*] \")\"\n"
             "     | \"(\" sum \")\"\n"
             "%import common.NUMBER\n"
             "%import common.CNAME -> NAME\n"
             "%import common.WS_INLINE\n"
             "%ignore WS_INLINE\n",
             "1\n 1 + 2\n-(3.5e2)*x( )\nf(1, 2,-3)/4-5", "\n1 +\n1 2\n(1\n1\\+2\nf(,)");
}

static void json_is_read(void)
{
    language(
        "start: value\n"
        "?value: object | array | ESCAPED_STRING | SIGNED_NUMBER | \"true\" | \"false\" | \"null\"\n"
        "array  : \"[\" [value (\",\" value)*] \"]\"\n"
        "object : \"{\" [pair (\",\" pair)*] \"}\"\n"
        "pair   : ESCAPED_STRING \":\" value\n"
        "%import common (ESCAPED_STRING, SIGNED_NUMBER, WS)\n"
        "%ignore WS\n",
        "[]\n{\"a\" : [1, -2.5e3, \"x\"],\"b\":null}\n\"\"", "[1,]\n{a:1}\n{\"a\"}\n");
}

static void a_settings_file_is_read(void)
{
    language("start: (section | COMMENT)+\n"
             "section: \"[\" NAME \"]\" _NL item*\n"
             "item: NAME \"=\" VALUE? _NL\n"
             "NAME: LETTER (LETTER | DIGIT | \"_\")~0..9\n"
             "VALUE: /[^\\n]+/\n"
             "COMMENT: \";\" /[^\\n]*/ _NL\n"
             "_NL: /\\r?\\n/\n"
             "%import common (LETTER, DIGIT)\n",
             "[a]\\\n; x\\[net_1]\\port=80\\host=\\", "[a]\n[1a]\\\n[a]\\b\\\n[abcdefghijk]\\");
}

static void each_construct_is_what_it_says(void)
{
    language("start: \"a\"~2 \"b\"~1..2 \"c\"{2} \"d\"{1,2} \"e\"{,1} \"f\"{1,}",
             "aabccdf\naabbccddefff", "abccdf\naabccd\naabbbccdf");
    language("start: \"Select\"i \"\\u00e9\\x41\\t\"",
             "sELECT\xc3\xa9"
             "A\t",
             "selec\xc3\xa9"
             "A\t");
    language("start: \"a\"..\"c\" \"x\"? [\"y\"] (\"z\")+", "az\nbxyzz\ncyz", "dz\nax");
    language("start: /a.b/s /c\\/d\\\"/ /[\\-x]+/ /ef/i", "a\\bc/d\"-xeF\naxbc/d\"xEf",
             "abc/d\"xef\na\\bc/d\"yef");
    language("start: | \"a\" start \"b\"", "ab\naabb", "a\naab");
    language("start: x y\nx: x \"a\" | \"b\"\ny: y \"c\" | y \"d\" | \"e\" | \"f\"", "be\nbaafcdc",
             "ae\nb\nbec\\");
}

static void schemas_may_stand_within(void)
{
    language(
        "%llguidance {}\nstart: \"call \" NAME \" \" %json {\"type\": \"object\","
        " \"properties\": {\"n\": {\"type\": \"integer\",\n"
        "\"maximum\": 9, \"minimum\": 3}}, \"required\": [\"n\"],"
        " \"additionalProperties\": false} \".\"\nNAME: /[a-z]+/",
        "call f {\"n\": 4}.\ncall ff {\"n\":9}.",
        "call f {\"n\": 2}.\ncall f {}.\ncall f {\"n\": 4}");
}

static void what_is_not_known_is_refused_by_name_and_line(void)
{
    refused("start: x\nx{y}: \"b\"", LAR_EUNSUPPORTED, "line 2: a template of rules");
    refused("start: \"a\"\n\n%declare B", LAR_EUNSUPPORTED, "line 3: %declare");
    refused("start: \"a\" <think>", LAR_EUNSUPPORTED, "line 1: a token by name");
    refused("start[capture]: \"a\"", LAR_EUNSUPPORTED, "line 1: a rule's attribute");
    refused("start: %lark {start: \"a\"}", LAR_EUNSUPPORTED, "line 1: %lark");
    refused("start: /a/x", LAR_EUNSUPPORTED, "line 1: x: this flag");
    refused("start: A\nA: ~/b/", LAR_EUNSUPPORTED, "line 2: a negation");
    refused("start: /(?<=a)b/", LAR_EUNSUPPORTED, "look-behind");
    refused("%import python.NAME\nstart: NAME", LAR_EUNSUPPORTED, "line 1: python");
    refused("%import common.NOTHING\nstart: NOTHING", LAR_EUNSUPPORTED, "line 1: NOTHING");
    refused("start: \"a\"\n    | b\nb: %json {\"$ref\": \"http://else.example/x\"}",
            LAR_EUNSUPPORTED, "else.example");
    refused("start: x\nx: y \"a\" | \"b\"\ny: x \"c\"", LAR_EUNSUPPORTED, "left recursion");
    refused("start: b", LAR_EFORMAT, "there is no rule b");
    refused("begin: \"a\"", LAR_EFORMAT, "there is no rule start");
    refused("start: \"a", LAR_EFORMAT, "line 1: a string without its end");
    refused("start: (\"a\"", LAR_EFORMAT, "a parenthesis is not closed");
    refused("start: start \"a\"", LAR_EFORMAT, "only begins with itself");
    refused("start: \"b\"..\"a\"", LAR_EFORMAT, "two characters in order");
}

static int left;
static int fail_one(size_t n, void *ctx)
{
    (void)n, (void)ctx;
    return left-- == 0;
}

static void every_allocation_may_fail_one(void)
{
    static const char text[] =
        "start: a (\",\" a)* %json {\"enum\": [1]}\na: a \"x\" | INT\n%import common.INT\n%ignore \" \"";
    long before = mem_live();
    int step = getenv("LAR_SLOW") ? 7 : 1, ok = 0;
    for (int i = 0; !ok && i < 5000; i += step) {
        struct lar_err err;
        left = i;
        mem_set_hook(fail_one, NULL);
        struct grammar *g = open_it(text, &err);
        mem_set_hook(NULL, NULL);
        if (!g && err.code != LAR_ENOMEM && err.code != LAR_ELIMIT)
            printf("# at %d: %s\n", i, err.msg), tap_case_bad++;
        ok = g != NULL;
        grammar_close(g);
    }
    CHECK(ok);
    CHECK_EQ(mem_live(), before);
}

int main(void)
{
    tap_timeout(60);
    RUN(a_calculator_is_read);
    RUN(json_is_read);
    RUN(a_settings_file_is_read);
    RUN(each_construct_is_what_it_says);
    RUN(schemas_may_stand_within);
    RUN(what_is_not_known_is_refused_by_name_and_line);
    RUN(every_allocation_may_fail_one);
    return tap_done();
}
