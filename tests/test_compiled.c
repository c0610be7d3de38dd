/* SPDX-License-Identifier: Apache-2.0
 * tests/test_compiled.c: the server's cache of compiled grammars: what is asked for twice is made once, what is too much goes, who holds one keeps it,
 * and threads may do all of it at once. */
#include "serve/compiled.h"

#include <stdio.h>

#include "tap.h"

static struct lar_model *model;
static struct lar_err err;
static const char tools[] = "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\","
                            "\"properties\":{\"a\":{\"type\":\"integer\"}}}}}]";

static struct compiled_item *schema(struct compiled *c, int number)
{
    char text[80];
    struct compiled_item *i = NULL;
    snprintf(text, sizeof text, "{\"enum\":[%d,\"one more\"]}", number);
    CHECK_EQ(compiled_grammar(c, &i, LAR_GRAMMAR_SCHEMA, str_of(text), NULL, &err), 0);
    return i;
}

static int accepts(struct compiled_item *i, const char *text)
{
    return lar_grammar_check(i->grammar, text, strlen(text), NULL, NULL) == 1;
}

static void what_is_asked_for_twice_is_made_once(void)
{
    struct compiled c;
    compiled_init(&c, COMPILED_BYTES);
    struct compiled_item *a = schema(&c, 1), *b = schema(&c, 1), *other = schema(&c, 2);
    CHECK(a == b && a != other);
    CHECK_EQ(c.made, 2);
    CHECK_EQ(c.found, 1);
    compiled_drop(&c, a);
    compiled_drop(&c, b);
    compiled_drop(&c, other);
    CHECK((b = schema(&c, 1)) == a);
    CHECK_EQ(c.found, 2);
    compiled_drop(&c, b);
    struct lar_grammar_options o = {.space = -1};
    CHECK_EQ(compiled_grammar(&c, &b, LAR_GRAMMAR_SCHEMA, STR("{\"enum\":[1,\"one more\"]}"), &o, &err), 0);
    CHECK(b != a); /* other options are another grammar */
    compiled_drop(&c, b);
    CHECK_EQ(compiled_grammar(&c, &b, LAR_GRAMMAR_REGEX, STR("("), NULL, &err), LAR_EUNSUPPORTED);
    CHECK(b == NULL);
    CHECK_EQ(compiled_grammar(&c, &b, LAR_GRAMMAR_CHOICES, STR("[\"one\",\"two\"]"), NULL, &err), 0);
    CHECK(accepts(b, "two"));
    compiled_drop(&c, b);
    compiled_done(&c);
}

static void tools_are_found_by_list_and_choice(void)
{
    struct compiled c;
    struct compiled_item *a, *b, *other;
    struct lar_tools_options o = {0}, named = {.choice = LAR_TOOLS_NAMED, .name = "f"};
    compiled_init(&c, COMPILED_BYTES);
    CHECK_EQ(compiled_tools(&c, &a, model, str_of(tools), &o, &err), 0);
    CHECK_EQ(compiled_tools(&c, &b, model, str_of(tools), &o, &err), 0);
    CHECK_EQ(compiled_tools(&c, &other, model, str_of(tools), &named, &err), 0);
    CHECK(a == b && a != other && a->tools && !a->grammar);
    CHECK(a->bytes > 1000);
    CHECK_EQ(c.found, 1);
    compiled_drop(&c, a);
    compiled_drop(&c, b);
    compiled_drop(&c, other);
    named.name = "g";
    CHECK(compiled_tools(&c, &other, model, str_of(tools), &named, &err) < 0);
    compiled_done(&c);
}

static void the_least_recently_used_goes_and_who_holds_one_keeps_it(void)
{
    struct compiled c;
    compiled_init(&c, COMPILED_BYTES);
    struct compiled_item *held = schema(&c, 1), *i;
    size_t one = held->bytes;
    compiled_drop(&c, schema(&c, 2));
    c.limit = 3 * one + one / 2;
    CHECK(schema(&c, 1) == held); /* now 2 is the oldest */
    compiled_drop(&c, held);
    for (int k = 3; k < 5; k++) compiled_drop(&c, schema(&c, k));
    CHECK_EQ(c.n, 3);
    CHECK_EQ(c.dropped, 1);
    long made = c.made;
    CHECK((i = schema(&c, 1)) == held);
    compiled_drop(&c, i);
    compiled_drop(&c, schema(&c, 2));
    CHECK_EQ(c.made, made + 1); /* 2 had gone, 1 had not */
    for (int k = 10; k < 20; k++) compiled_drop(&c, schema(&c, k));
    CHECK(c.bytes <= c.limit && !held->kept);
    CHECK(accepts(held, "1") && !accepts(held, "2")); /* forgotten, and still there for who holds it */
    CHECK((i = schema(&c, 1)) != held);
    compiled_drop(&c, i);
    compiled_drop(&c, held);
    c.limit = 1; /* nothing can be kept: all works without a cache */
    i = schema(&c, 1);
    CHECK(accepts(i, "1"));
    compiled_drop(&c, i);
    CHECK_EQ(c.n, 0);
    CHECK_EQ(c.bytes, 0);
    compiled_done(&c);
}

static void there_are_never_more_than_so_many(void)
{
    struct compiled c;
    compiled_init(&c, COMPILED_BYTES);
    for (int k = 0; k < COMPILED_MAX + 5; k++) compiled_drop(&c, schema(&c, k));
    CHECK_EQ(c.n, COMPILED_MAX);
    CHECK_EQ(c.dropped, 5);
    compiled_done(&c);
}

struct worker {
    struct compiled *c;
    pthread_t thread;
    int number, wrong;
};

static void *work(void *ctx)
{
    struct worker *w = ctx;
    int rounds = getenv("LAR_SLOW") ? 20 : 200;
    for (int k = 0; k < rounds; k++) {
        int number = (k * k + k / 3 + w->number) % 5; /* not round and round: that finds nothing */
        char text[40], one[8];
        struct compiled_item *i = NULL;
        snprintf(text, sizeof text, "{\"enum\":[%d]}", number);
        snprintf(one, sizeof one, "%d", number);
        if (compiled_grammar(w->c, &i, LAR_GRAMMAR_SCHEMA, str_of(text), NULL, NULL) < 0) {
            w->wrong++;
            continue;
        }
        w->wrong += lar_grammar_bind(i->grammar, model, NULL) < 0;
        uint32_t at = lar_grammar_start(i->grammar);
        int32_t id = -1;
        w->wrong += lar_tokenize(model, one, 1, 0, &id, 1, NULL) != 1;
        at = lar_grammar_next(i->grammar, at, id);
        w->wrong += !at || !lar_grammar_ends(i->grammar, at) || !accepts(i, one) || accepts(i, "77");
        compiled_drop(w->c, i);
    }
    return NULL;
}

static void threads_take_and_drop_at_once(void)
{
    struct compiled c;
    struct worker w[4];
    compiled_init(&c, COMPILED_BYTES);
    struct compiled_item *i = schema(&c, 1);
    CHECK_EQ(lar_grammar_bind(i->grammar, model, &err), 0);
    CHECK(accepts(i, "1") && !accepts(i, "77"));
    c.limit = 3 * lar_grammar_bytes(i->grammar) + 1000; /* so that some go all the time */
    compiled_drop(&c, i);
    for (int k = 0; k < 4; k++) {
        w[k] = (struct worker){.c = &c, .number = k};
        CHECK_EQ(pthread_create(&w[k].thread, NULL, work, &w[k]), 0);
    }
    for (int k = 0; k < 4; k++) {
        pthread_join(w[k].thread, NULL);
        CHECK_EQ(w[k].wrong, 0);
    }
    printf("# made %ld, found %ld, dropped %ld; %zu bytes of %zu\n", c.made, c.found, c.dropped, c.bytes, c.limit);
    CHECK(c.found > 0 && c.dropped > 0);
    for (size_t k = 0; k < c.n; k++) CHECK_EQ(c.item[k]->held, 0);
    compiled_done(&c);
}

int main(void)
{
    tap_timeout(60);
    if (lar_model_open(&model, "models/lar-demo-q8_0.gguf", &(struct lar_model_options){.threads = 1}, &err) < 0) {
        printf("Bail out! %s\n", err.msg);
        return 1;
    }
    RUN(what_is_asked_for_twice_is_made_once);
    RUN(tools_are_found_by_list_and_choice);
    RUN(the_least_recently_used_goes_and_who_holds_one_keeps_it);
    RUN(there_are_never_more_than_so_many);
    RUN(threads_take_and_drop_at_once);
    lar_model_close(model);
    return tap_done();
}
