/* SPDX-License-Identifier: Apache-2.0
 * tests/test_schema_judge.c: schemas that are enforced in part: what is left out and why, and the judge of whole documents, which knows every
 * keyword. Cases follow the specification's own words; the judge and the machine, which share little, must agree on random documents. */
#include "base/mem.h"
#include "tap.h"
#include "text/grammar.h"

static struct grammar *open_it(const char *schema, int partial, struct lar_err *err)
{
    struct grammar_options o = {.space = 1, .schema = {.partial = partial}};
    struct grammar *g = NULL;
    grammar_open(&g, GRAMMAR_SCHEMA, str_of(schema), &o, NULL, err);
    return g;
}

/* The judge's verdict on each line of docs, as a text: y, n or ?. */
static void judged(const char *schema, const char *docs, const char *want)
{
    struct lar_err err = {0}, why;
    struct grammar *g = open_it(schema, 1, &err);
    char got[40] = "";
    size_t n = 0;
    if (!g) printf("# %s: %s\n", schema, err.msg);
    for (const char *at = docs; g && *at && n < sizeof got - 1;) {
        const char *end = strchrnul(at, '\n');
        int rc = grammar_judge(g, (struct str){at, (size_t)(end - at)}, &why);
        got[n++] = rc > 0 ? 'y' : rc == 0 ? 'n' : '?';
        at = *end ? end + 1 : end;
    }
    got[n] = 0;
    if (strcmp(got, want)) printf("# %s\n", schema);
    CHECK_STR(got, want);
    grammar_close(g);
}

static void the_judge_knows_what_values_are(void)
{
    judged("{\"type\":\"integer\",\"minimum\":-2,\"multipleOf\":0.5}", "3\n3.0\n30e-1\n1.5\n-3\n\"3\"", "yyynnn");
    judged("{\"const\":{\"a\":[1,2.0]}}", "{\"a\":[1.0,2]}\n{\"a\":[2,1]}\n{\"a\":[1,2],\"b\":1}", "ynn");
    judged("{\"enum\":[1,\"x\",null]}", "1.0\n\"x\"\nnull\nfalse\n\"y\"", "yyynn");
    judged("{\"maxLength\":2,\"pattern\":\"^a\"}", "\"a\\u00e9\"\n\"abc\"\n\"b\"\n7", "ynny");
    judged("{\"format\":\"date\"}", "\"2024-02-29\"\n\"2023-02-29\"\n5", "yny");
    judged("{\"uniqueItems\":true}", "[1,2]\n[1,1.0]\n[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1}]", "ynn");
}

static void the_judge_knows_members_and_items(void)
{
    judged("{\"properties\":{\"a\":{\"type\":\"string\"}},\"patternProperties\":{\"^x\":{\"type\":\"null\"}},"
           "\"additionalProperties\":{\"type\":\"boolean\"},\"required\":[\"a\"]}",
           "{\"a\":\"b\",\"xy\":null,\"z\":true}\n{\"a\":1}\n{\"xy\":null}\n{\"a\":\"\",\"xy\":1}\n{\"a\":\"\","
           "\"z\":1}", "ynnnn");
    judged("{\"propertyNames\":{\"maxLength\":2},\"minProperties\":1,\"maxProperties\":2}",
           "{\"ab\":1}\n{\"abc\":1}\n{}\n{\"a\":1,\"b\":1,\"c\":1}", "ynnn");
    judged("{\"dependentRequired\":{\"a\":[\"b\"]},\"dependentSchemas\":{\"c\":{\"required\":[\"d\"]}}}",
           "{\"a\":1,\"b\":1}\n{\"a\":1}\n{\"c\":1}\n{}", "ynny");
    judged("{\"prefixItems\":[{\"type\":\"string\"}],\"items\":{\"type\":\"number\"},\"maxItems\":3}",
           "[\"a\",1]\n[1]\n[\"a\",\"b\"]\n[\"a\",1,2,3]", "ynnn");
    judged("{\"contains\":{\"type\":\"string\"},\"minContains\":2,\"maxContains\":3}",
           "[\"a\",1,\"b\"]\n[\"a\"]\n[\"a\",\"b\",\"c\",\"d\"]", "ynn");
}

static void the_judge_knows_formulas_and_annotations(void)
{
    judged("{\"oneOf\":[{\"minimum\":3},{\"maximum\":5}]}", "2\n4\n6", "yny");
    judged("{\"if\":{\"type\":\"string\"},\"then\":{\"minLength\":2},\"else\":{\"minimum\":1}}",
        "\"ab\"\n\"a\"\n1\n0", "ynyn");
    judged("{\"not\":{\"anyOf\":[{\"type\":\"string\"},{\"const\":1}]}}", "2\n1\n\"a\"", "ynn");
    judged("{\"anyOf\":[{\"properties\":{\"a\":{\"const\":1}},\"required\":[\"a\"]},{\"properties\":{\"b\":true},"
           "\"required\":[\"b\"]}],"
           "\"unevaluatedProperties\":false}",
           "{\"a\":1}\n{\"a\":2,\"b\":1}\n{\"a\":1,\"b\":1}\n{\"a\":1,\"c\":1}", "ynyn");
    judged("{\"prefixItems\":[true],\"contains\":{\"const\":7},\"unevaluatedItems\":{\"type\":\"null\"}}",
           "[1,7,null]\n[1,7,2]", "yn");
    judged("{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"properties\":{\"next\":{\"$ref\":\"#\"}},"
           "\"required\":[\"v\"]}}}",
           "{\"v\":1,\"next\":{\"v\":2}}\n{\"v\":1,\"next\":{}}", "yn");
}

/* Two resources have the anchor, so the machine refuses; which one counts depends on the way (2020-12, 8.2.3.2). */
static void the_judge_follows_dynamic_references(void)
{
    judged("{\"$id\":\"https://a.example/strict\",\"$ref\":\"tree\",\"$dynamicAnchor\":\"node\","
           "\"unevaluatedProperties\":false,\"$defs\":{"
           "\"t\":{\"$id\":\"tree\",\"$dynamicAnchor\":\"node\",\"properties\":{\"data\":true,"
           "\"children\":{\"items\":{\"$dynamicRef\":\"#node\"}}}}}}",
           "{\"children\":[{\"data\":1}]}\n{\"children\":[{\"daat\":1}]}", "yn");
}

static void what_cannot_be_decided_is_said_to_be_so(void)
{
    judged("{\"properties\":{\"a\":{\"pattern\":\"(?<=x)y\"},\"b\":{\"type\":\"null\"}}}",
           "{\"a\":\"xy\"}\n{\"b\":1}\n{\"a\":1}\n{\"a\":\"xy\",\"b\":1}", "?nyn");
    judged("{\"anyOf\":[{\"$ref\":\"http://else.example/x\"},{\"const\":1}]}", "1\n2", "y?");
    judged("{\"not\":{\"$ref\":\"http://else.example/x\"}}", "1", "?");
    judged("{\"$ref\":\"http://else.example/x\",\"unevaluatedProperties\":false}", "{\"a\":1}\n{}", "??");
}

static void left_out_is_what_refused_and_nothing_else(void)
{
    struct lar_err err = {0};
    struct buf left = {0};
    const char *schema = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"(?<=x)y\","
           "\"maxLength\":3},"
                         "\"b\":{\"$ref\":\"http://else.example/x\"}},\"required\":[\"a\"],"
                         "\"additionalProperties\":false}";
    CHECK(open_it(schema, 0, &err) == NULL);
    CHECK_EQ(err.code, LAR_EUNSUPPORTED);
    struct grammar *g = open_it(schema, 1, &err);
    CHECK(g != NULL);
    if (!g) return;
    grammar_left_out(g, &left);
    printf("# %s", buf_z(&left));
    CHECK(strstr(buf_z(&left), "/properties/a/pattern: ") && strstr(buf_z(&left), "/properties/b/$ref: "));
    CHECK(strchr(strchr(buf_z(&left), '\n') + 1, '\n')[1] == 0); /* two lines */
    size_t at = 0;
    CHECK(grammar_accepts(g, grammar_walk(g, grammar_start(g), STR("{\"a\":\"xyz\",\"b\":[1]}"), &at)));
    CHECK_EQ(grammar_walk(g, grammar_start(g), STR("{\"a\":\"toolong\"}"), &at), 0); /* maxLength is held */
    CHECK_EQ(grammar_walk(g, grammar_start(g), STR("{\"c\":1}"), &at), 0);
    grammar_close(g);
    buf_done(&left);
}

static void judge_and_machine_agree_on_random_documents(void)
{
    static const char *const schema[] = {
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\",\"minimum\":-3,\"maximum\":40},"
        "\"b\":{\"type\":\"array\",\"items\":{\"enum\":"
        "[1,\"x\",null,true]},\"uniqueItems\":true,\"maxItems\":3},\"c\":{\"type\":\"string\","
        "\"format\":\"date-time\"}},\"required\":[\"b\"]}",
        "{\"oneOf\":[{\"type\":\"object\",\"required\":[\"k\"],\"properties\":{\"k\":{\"const\":1},"
        "\"v\":{\"multipleOf\":0.25,\"type\":\"number\"}}},"
        "{\"type\":\"array\",\"contains\":{\"type\":\"boolean\"},\"maxItems\":4}]}",
        "{\"type\":\"object\",\"patternProperties\":{\"^n\":{\"type\":\"null\"}},"
        "\"additionalProperties\":{\"not\":{\"type\":\"string\"}},"
        "\"minProperties\":1,\"maxProperties\":4}",
        "{\"$defs\":{\"t\":{\"type\":\"object\",\"properties\":{\"l\":{\"$ref\":\"#/$defs/t\"},"
        "\"x\":{\"type\":\"string\",\"minLength\":1}},"
        "\"required\":[\"x\"],\"additionalProperties\":false}},\"$ref\":\"#/$defs/t\"}"};
    int rounds = getenv("LAR_SLOW") ? 5 : 60;
    for (size_t i = 0; i < sizeof schema / sizeof *schema; i++) {
        struct lar_err err = {0};
        struct grammar *g = open_it(schema[i], 0, &err);
        CHECK(g != NULL);
        for (int k = 0; g && k < rounds; k++) {
            struct buf b = {0};
            CHECK_EQ(grammar_sample(g, NULL, NULL, (uint64_t)k, 100, &b, &err), 0);
            int rc = grammar_judge(g, buf_view(&b), &err);
            if (rc != 1) printf("# %s: %s\n", buf_z(&b), err.msg);
            CHECK_EQ(rc, 1);
            buf_done(&b);
        }
        grammar_close(g);
    }
}

int main(void)
{
    tap_timeout(60);
    long before = mem_live();
    RUN(the_judge_knows_what_values_are);
    RUN(the_judge_knows_members_and_items);
    RUN(the_judge_knows_formulas_and_annotations);
    RUN(the_judge_follows_dynamic_references);
    RUN(what_cannot_be_decided_is_said_to_be_so);
    RUN(left_out_is_what_refused_and_nothing_else);
    RUN(judge_and_machine_agree_on_random_documents);
    tap_ok(mem_live() == before, "all memory was given back");
    return tap_done();
}
