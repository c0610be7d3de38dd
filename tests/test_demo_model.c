/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_demo_model.c: is the model of models/ as good here as its card says, and does it say the same as the reference?
 *
 *     test_demo_model              the tests
 *     test_demo_model --table      the tests, then the card's table with Lar's figures beside it (`make accuracy`)
 *
 * Accuracy: greedy answers to the 400 messages of models/test.jsonl, scored field by field: a value counts when it is
 * exactly the wanted one; an answer is valid when it is a JSON object with the seven keys in their order. The wanted shares are read
 * from the last column of the table in models/README.md ("llama.cpp, Q8_0 file"). They may differ by one point, four messages in 400
 * (two for the rows that count fewer): the card's own columns differ by up to 0.9, because engines round differently.
 *
 * Sameness: for the 50 prompts of ../shared/demo/expected.jsonl, which transformers answered in float32, the F16 file must give
 * the same prompt text, the same ids and the same answer.
 */
#include "tap.h"

#include <lar/lar.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/time.h"
#include "io/filemap.h"

#define Q8_0 "models/lar-demo-q8_0.gguf"
#define F16 "../shared/demo/lar-demo-f16.gguf"
#define EXPECTED "../shared/demo/expected.jsonl"
#define NKEY 7
#define ANSWER_MAX 128 /* tokens; the longest of the reference's has about half */

static const char *const keys[NKEY] = {"intent", "urgency", "sentiment", "order_id", "product", "amount", "summary"};

enum { ROW_VALID, ROW_KEY, ROW_WHOLE = ROW_KEY + NKEY, ROW_PRESENT, NROW = ROW_PRESENT + 3 };
struct row {
    int right, of;
    double card; /* percent */
    char name[64];
};

static struct row table[NROW];
static struct lar_model *model;
static struct lar_session *session;
static struct {
    long prompt, answer;
    double prompt_ms, answer_ms, seconds;
} spent;

/* ---- reading ---- */

static int next_line(struct str *rest, struct str *line)
{
    if (!rest->n) return 0;
    const char *end = memchr(rest->p, '\n', rest->n);
    size_t n = end ? (size_t)(end - rest->p) : rest->n;
    *line = (struct str){rest->p, n};
    *rest = str_from(*rest, n + (end != NULL));
    return 1;
}

/* The card's figures: of each row of its table the name and the last percentage. Gives the number of rows. */
static int read_card(void)
{
    struct filemap map;
    struct lar_err err;
    if (filemap_open(&map, "models/README.md", &err) < 0) return 0;
    struct str rest = {(const char *)map.p, map.n}, line;
    int n = 0, inside = 0;
    while (n < NROW && next_line(&rest, &line)) {
        if (!str_starts(line, STR("|"))) inside = 0;
        char z[256];
        snprintf(z, sizeof z, "%.*s", (int)line.n, line.p);
        if (strstr(z, "llama.cpp, Q8_0 file |")) inside = 1;
        char *last = inside ? strrchr(z, '%') : NULL;
        if (!last) continue;
        *last = 0;
        table[n].card = strtod(strrchr(z, '|') + 1, NULL);
        *strchr(z + 1, '|') = 0;
        snprintf(table[n].name, sizeof table[n].name, "%.*s", (int)sizeof table[n].name - 1, z + 2);
        n++;
    }
    filemap_close(&map);
    return n;
}

/* ---- answering ---- */

static int answer(const char *message, struct lar_result *out)
{
    struct lar_sampling greedy;
    struct lar_err err;
    lar_sampling_default(&greedy, model);
    greedy.temp = 0;
    struct lar_message m = {"user", message};
    struct lar_request req = {.messages = &m, .nmessage = 1, .sampling = &greedy, .max_tokens = ANSWER_MAX};
    if (lar_generate(session, &req, out, &err) == 0) return 0;
    printf("# %s\n", err.msg);
    return -1;
}

static int open_model(const char *path)
{
    struct lar_err err;
    if (lar_model_open(&model, path, NULL, &err) == 0 &&
        lar_session_open(&session, model, &(struct lar_session_options){.ctx = 512}, &err) == 0)
        return 1;
    printf("# %s\n", err.msg);
    lar_model_close(model);
    model = NULL;
    return 0;
}

static void close_model(void)
{
    lar_session_close(session);
    lar_model_close(model);
    session = NULL;
    model = NULL;
}

/* ---- accuracy ---- */

static int same(const struct json *got, const struct json *want)
{
    if (!got || got->kind != want->kind) return 0;
    return want->kind == JSON_NULL || (want->kind == JSON_STRING && str_eq(got->s, want->s));
}

static int seven_keys(const struct json *got)
{
    if (!got || got->kind != JSON_OBJECT || got->n != NKEY) return 0;
    int i = 0;
    for (const struct json *v = got->child; v; v = v->next)
        if (!str_is(v->key, keys[i++])) return 0;
    return 1;
}

static void score(const struct json *got, const struct json *want)
{
    int right = 0;
    table[ROW_VALID].right += seven_keys(got);
    for (int k = 0; k < NKEY; k++) {
        const struct json *w = json_get(want, keys[k]);
        int hit = same(json_get(got, keys[k]), w);
        right += hit;
        table[ROW_KEY + k].right += hit;
        if (k < 3 || k > 5 || w->kind == JSON_NULL) continue; /* order_id, product, amount where the message states one */
        table[ROW_PRESENT + k - 3].right += hit;
        table[ROW_PRESENT + k - 3].of++;
    }
    table[ROW_WHOLE].right += right == NKEY && got->n == NKEY;
    for (int r = 0; r < ROW_PRESENT; r++) table[r].of++;
}

/* Answers and scores one line of the test set; 0 when that was not possible. */
static int one_case(struct str line)
{
    struct arena a;
    struct lar_err err;
    struct lar_result r;
    arena_init(&a, 1 << 20);
    struct json *c = json_parse(&a, line, &err);
    struct json *want = json_get(c, "expected");
    char *message = c ? arena_copy(&a, json_get(c, "message")->s.p, json_get(c, "message")->s.n) : NULL;
    int ok = message && want && answer(message, &r) == 0;
    if (ok) {
        score(json_parse(&a, (struct str){r.text, r.text_n}, &err), want);
        spent.prompt += (long)(r.prompt_tokens - r.prompt_reused);
        spent.answer += (long)r.ntoken;
        spent.prompt_ms += r.prompt_ms;
        spent.answer_ms += r.generate_ms;
        lar_result_free(&r);
    }
    arena_done(&a);
    return ok;
}

static int messages, stride = 1; /* how many to read: one of so many lines */

static void every_message_is_answered(void)
{
    struct filemap map;
    struct lar_err err;
    int n = 0;
    CHECK_EQ(read_card(), NROW);
    CHECK(open_model(Q8_0));
    if (!model) return;
    CHECK_EQ(filemap_open(&map, "models/test.jsonl", &err), 0);
    struct str rest = {(const char *)map.p, map.n}, line;
    int64_t t = time_ns();
    for (int i = 0; n < messages && next_line(&rest, &line); i++) {
        if (i % stride) continue;
        CHECK(one_case(line));
        n++;
    }
    spent.seconds = (double)(time_ns() - t) / 1e9;
    CHECK_EQ(n, messages);
    filemap_close(&map);
    close_model();
}

static void every_answer_is_json_with_the_seven_keys(void)
{
    CHECK(table[ROW_VALID].of > 0);
    CHECK_EQ(table[ROW_VALID].right, table[ROW_VALID].of);
}

static double percent(const struct row *r)
{
    return r->of ? 100.0 * r->right / r->of : 0;
}

/* Fewer messages than the card's are a sample of them: three standard deviations then. */
static double allowed(const struct row *r)
{
    double least = 100.0 * (r->of < 400 ? 2.5 : 4.1) / (r->of ? r->of : 1);
    double p = r->card / 100;
    return messages == 400 ? least : 300 * sqrt(p * (1 - p) / (r->of ? r->of : 1)) + least;
}

static void shares_of_right_values_are_those_of_the_card(void)
{
    for (int r = 0; r < NROW; r++) {
        CHECK(table[r].of > 0);
        double d = percent(&table[r]) - table[r].card;
        if (fabs(d) > allowed(&table[r])) printf("# %s: %.1f %%, %+.1f\n", table[r].name, percent(&table[r]), d);
        CHECK(fabs(d) <= allowed(&table[r]));
    }
}

static void print_table(void)
{
    printf("\n%-44s %12s %8s %8s\n", "", "right", "Lar", "card");
    for (int r = 0; r < NROW; r++)
        printf("%-44s %5d of %3d %6.1f %% %6.1f %%\n", table[r].name, table[r].right, table[r].of, percent(&table[r]),
               table[r].card);
    printf("\n%d messages in %.1f s (%s): %ld prompt tokens at %.0f/s, %ld answer tokens at %.0f/s\n", messages,
           spent.seconds, lar_cpu_level(), spent.prompt, (double)spent.prompt / spent.prompt_ms * 1e3, spent.answer,
           (double)spent.answer / spent.answer_ms * 1e3);
}

/* ---- sameness ---- */

static int same_ids(const struct json *want, const int32_t *id, size_t n)
{
    if (!want || want->n != n) return 0;
    size_t i = 0;
    for (const struct json *v = want->child; v; v = v->next)
        if (v->i != id[i++]) return 0;
    return 1;
}

struct tally {
    int lines, prompts, ids, answers, texts;
};

static void compare(struct arena *a, const struct json *c, struct tally *t)
{
    struct lar_err err;
    struct lar_result r;
    struct str prompt = json_str(json_get(c, "prompt"), STR(""));
    struct str head = STR("<|im_start|>user\n"), tail = STR("<|im_end|>\n<|im_start|>assistant\n");
    t->lines++;
    if (!str_starts(prompt, head) || !str_ends(prompt, tail)) return;
    char *message = arena_copy(a, prompt.p + head.n, prompt.n - head.n - tail.n);
    struct lar_message m = {"user", message};
    char *text;
    size_t n;
    if (lar_chat_format(model, &m, 1, LAR_THINK_DEFAULT, &text, &n, &err) == 0) {
        int32_t id[1024];
        t->prompts += str_eq((struct str){text, n}, prompt);
        int64_t k = lar_tokenize(model, text, n, LAR_TOKENIZE_SPECIAL | LAR_TOKENIZE_BOS, id, 1024, &err);
        t->ids += k >= 0 && k <= 1024 && same_ids(json_get(c, "prompt_ids"), id, (size_t)k);
        lar_free(text);
    }
    if (answer(message, &r) < 0) return;
    t->answers += same_ids(json_get(c, "answer_ids"), r.tokens, r.ntoken);
    int right = str_eq((struct str){r.text, r.text_n}, json_str(json_get(c, "answer"), STR("")));
    t->texts += right;
    if (!right) printf("# line %d: %s\n", t->lines, r.text);
    lar_result_free(&r);
}

static int expected_lines = 50;

static void prompts_ids_and_answers_are_those_of_the_reference(void)
{
    struct filemap map;
    struct lar_err err;
    struct tally t = {0};
    CHECK(open_model(F16));
    if (!model) return;
    CHECK_EQ(filemap_open(&map, EXPECTED, &err), 0);
    struct str rest = {(const char *)map.p, map.n}, line;
    while (t.lines < expected_lines && next_line(&rest, &line)) {
        struct arena a;
        arena_init(&a, 1 << 20);
        compare(&a, json_parse(&a, line, &err), &t);
        arena_done(&a);
    }
    filemap_close(&map);
    close_model();
    CHECK_EQ(t.lines, expected_lines);
    CHECK_EQ(t.prompts, t.lines);
    CHECK_EQ(t.ids, t.lines);
    CHECK_EQ(t.answers, t.lines);
    CHECK_EQ(t.texts, t.lines);
}

int main(int argc, char **argv)
{
    int slow = getenv("LAR_SLOW") != NULL;
    tap_timeout(540);
    messages = slow ? 3 : 400;
    if (slow) stride = 19, expected_lines = 1; /* these state an order, a product and an amount */
    RUN(every_message_is_answered);
    RUN(every_answer_is_json_with_the_seven_keys);
    RUN(shares_of_right_values_are_those_of_the_card);
    if (access(F16, R_OK) == 0) RUN(prompts_ids_and_answers_are_those_of_the_reference);
    else SKIP("../shared/demo is not here: the F16 file and the reference's answers");
    if (argc > 1 && !strcmp(argv[1], "--table")) print_table();
    return tap_done();
}
