/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_writer.c: what a server needs of the library: answers written token by token while many sessions step together, timelines that
 * begin as another's, biased draws, chats as JSON. On the demonstration model.
 */
#include <lar/batch.h>

#include "tap.h"

#define DEMO "models/lar-demo-q8_0.gguf"
enum { N = 4, CTX = 256 };

static struct lar_model *model;
static struct lar_err err;
static const char *const asks[N] = {
    "Hi, where is my order A-48213?", "The blue kettle leaks. I want a refund!",
    "Please cancel order B-77120, it is too late now.", "Thanks, all is well."};

static void ask(struct lar_request *q, struct lar_message *msg, struct lar_sampling *p, int i)
{
    lar_sampling_default(p, model);
    p->temp = 0;
    *msg = (struct lar_message){"user", asks[i]};
    int most = getenv("LAR_SLOW") ? 10 + i : 0;
    *q = (struct lar_request){.messages = msg, .nmessage = 1, .sampling = p, .max_tokens = most};
}

static void writers_in_one_batch_write_what_generate_writes(void)
{
    struct lar_result alone[N], got;
    struct lar_message msg[N];
    struct lar_sampling p;
    struct lar_request q[N];
    struct lar_writer *w[N];
    struct lar_session *s[N];
    struct lar_batch *b;
    struct lar_part part[N];
    int32_t next[N];
    size_t n;
    int open = 0;
    for (int i = 0; i < N; i++) {
        ask(&q[i], &msg[i], &p, i);
        CHECK_EQ(lar_session_open(&s[0], model, NULL, &err), 0);
        CHECK_EQ(lar_generate(s[0], &q[i], &alone[i], &err), 0);
        lar_session_close(s[0]);
    }
    CHECK_EQ(lar_batch_open(&b, model, NULL, &err), 0);
    for (int i = 0; i < N; i++) {
        CHECK_EQ(lar_session_open(&s[i], model,
                                  &(struct lar_session_options){.ctx = CTX, .batch = 1}, &err),
                 0);
        CHECK_EQ(lar_writer_open(&w[i], model, &q[i], &err), 0);
        CHECK_EQ(lar_writer_begin(w[i], CTX, &err), 0);
        part[i] =
            (struct lar_part){.session = s[i], .tokens = lar_writer_prompt(w[i], &n), .logits = 1};
        part[i].n = n;
    }
    for (int steps = 0; (steps == 0 || open) && steps < CTX; steps++) {
        struct lar_part go[N];
        int who[N], k = 0;
        for (int i = 0; i < N; i++)
            if (part[i].session) who[k] = i, go[k++] = part[i];
        CHECK_EQ(lar_batch_step(b, go, (size_t)k, &err), k);
        open = 0;
        for (int j = 0; j < k; j++) {
            int i = who[j], rc = lar_writer_step(w[i], go[j].out, &next[i], &err);
            CHECK(rc >= 0);
            part[i] = (struct lar_part){
                .session = rc > 0 ? s[i] : NULL, .tokens = &next[i], .n = 1, .logits = 1};
            open += rc > 0;
        }
    }
    for (int i = 0; i < N; i++) {
        CHECK_EQ(lar_writer_end(w[i], &got, &err), 0);
        CHECK_STR(got.text, alone[i].text);
        CHECK_EQ(got.ntoken, alone[i].ntoken);
        CHECK_EQ(got.stop, q[i].max_tokens ? LAR_STOP_LENGTH : LAR_STOP_END);
        CHECK_EQ(got.prompt_tokens, alone[i].prompt_tokens);
        lar_result_free(&got);
        lar_result_free(&alone[i]);
        lar_writer_close(w[i]);
        lar_session_close(s[i]);
    }
    lar_batch_close(b);
}

/* The most probable token after these, evaluated whole. */
static int32_t top_after(const int32_t *t, size_t n)
{
    struct lar_session *s;
    struct lar_model_info info;
    int32_t best = 0;
    lar_model_info(model, &info);
    if (lar_session_open(&s, model, NULL, &err) < 0 || lar_session_sync(s, t, n, &err) < 0)
        return -1;
    const float *l = lar_session_logits(s);
    for (int i = 1; i < info.vocab; i++)
        if (l[i] > l[best]) best = i;
    lar_session_close(s);
    return best;
}

static void a_forked_timeline_goes_on_as_if_it_had_been_evaluated(void)
{
    struct lar_session *a, *b, *c;
    struct lar_session_options o = {.ctx = CTX};
    struct lar_model_info info;
    int32_t t[100], u[100];
    lar_model_info(model, &info);
    for (int i = 0; i < 100; i++) t[i] = 5 + i * 7 % 500;
    memcpy(u, t, sizeof u);
    for (int i = 75; i < 100; i++) u[i] = 9 + i;
    CHECK_EQ(lar_session_open(&a, model, &o, &err), 0);
    CHECK_EQ(lar_session_open(&b, model, &o, &err), 0);
    CHECK_EQ(lar_session_open(&c, model,
                              &(struct lar_session_options){.ctx = CTX, .kv = LAR_KV_F32}, &err),
             0);
    CHECK_EQ(lar_session_sync(a, t, 100, &err), 100);
    CHECK_EQ(lar_session_shared(a, u, 100), 75);
    CHECK_EQ(lar_session_shared(a, t, 100), 99);
    CHECK_EQ(lar_session_fork(c, a, u, 100, &err), LAR_EINVAL);
    CHECK_EQ(lar_session_fork(b, a, u, 100, &err), 75);
    CHECK_EQ(lar_session_sync(b, u, 100, &err), 25);
    int32_t best = 0;
    for (int i = 1; i < info.vocab; i++)
        if (lar_session_logits(b)[i] > lar_session_logits(b)[best]) best = i;
    CHECK_EQ(best, top_after(u, 100));
    /* The first one's memory was not written to: it goes on as before. */
    CHECK_EQ(lar_session_sync(a, t, 90, &err), 1);
    best = 0;
    for (int i = 1; i < info.vocab; i++)
        if (lar_session_logits(a)[i] > lar_session_logits(a)[best]) best = i;
    CHECK_EQ(best, top_after(t, 90));
    lar_session_close(a);
    CHECK_EQ(lar_session_sync(b, u, 95, &err), 1);
    lar_session_close(b);
    lar_session_close(c);
}

static void a_bias_forces_and_forbids_tokens(void)
{
    struct lar_session *s;
    struct lar_message msg;
    struct lar_sampling p;
    struct lar_request q;
    struct lar_result r;
    int32_t free_choice;
    ask(&q, &msg, &p, 0);
    q.max_tokens = 3;
    CHECK_EQ(lar_session_open(&s, model, NULL, &err), 0);
    CHECK_EQ(lar_generate(s, &q, &r, &err), 0);
    free_choice = r.tokens[0];
    lar_result_free(&r);
    struct lar_bias bias[2] = {{free_choice, -100}, {300, 100}};
    q.bias = bias;
    q.nbias = 1;
    CHECK_EQ(lar_generate(s, &q, &r, &err), 0);
    for (size_t i = 0; i < r.ntoken; i++) CHECK(r.tokens[i] != free_choice);
    lar_result_free(&r);
    q.nbias = 2;
    p.temp = 1;
    p.repeat_penalty = 1.1f;
    CHECK_EQ(lar_generate(s, &q, &r, &err), 0);
    for (size_t i = 0; i < r.ntoken; i++) CHECK_EQ(r.tokens[i], 300);
    lar_result_free(&r);
    bias[0].token = 1 << 30;
    CHECK_EQ(lar_generate(s, &q, &r, &err), LAR_EINVAL);
    lar_session_close(s);
}

/* CVE-2025-52566: no more ids are written than there is room for, and all are counted. */
static void ids_beyond_the_room_are_counted_and_not_written(void)
{
    const char text[] = "Where is my order A-48213?";
    int32_t all[64], id[65];
    int64_t n = lar_tokenize(model, text, strlen(text), 0, all, 64, &err);
    CHECK(n > 4 && n <= 64);
    for (int64_t cap = 0; cap <= n; cap++) {
        for (int i = 0; i < 65; i++) id[i] = -77;
        CHECK_EQ(lar_tokenize(model, text, strlen(text), 0, id, (size_t)cap, &err), n);
        CHECK(!memcmp(id, all, (size_t)cap * sizeof *id));
        for (int64_t i = cap; i < 65; i++) CHECK_EQ(id[i], -77);
    }
}

static struct lar_session *to_cancel;
static int in_prompt;

static void cancel_at_prompt(void *ctx, size_t done, size_t total)
{
    (void)ctx;
    if (in_prompt && done < total) lar_session_cancel(to_cancel);
}

static int cancel_at_text(void *ctx, enum lar_text_kind kind, const char *text, size_t n)
{
    (void)ctx, (void)kind, (void)text, (void)n;
    lar_session_cancel(to_cancel);
    return 0;
}

static void a_cancel_leaves_what_was_written_once_the_prompt_is_read(void)
{
    struct lar_session_options so = {.ctx = 400, .batch = 8};
    const char *text = "Where is my order A-48213? It should have been here by Monday, and it is Friday now.";
    struct lar_request q = {.text = text,
                            .max_tokens = 20, .on_prompt = cancel_at_prompt, .on_text = cancel_at_text};
    struct lar_result r;
    CHECK_EQ(lar_session_open(&to_cancel, model, &so, &err), 0);
    in_prompt = 1;
    CHECK_EQ(lar_generate(to_cancel, &q, &r, &err), LAR_ECANCEL);
    in_prompt = 0;
    CHECK_EQ(lar_generate(to_cancel, &q, &r, &err), 0);
    CHECK_EQ(r.stop, LAR_STOP_CANCEL);
    CHECK(r.ntoken > 0 && r.ntoken < 20);
    lar_result_free(&r);
    lar_session_close(to_cancel);
}

static void a_chat_as_json_is_the_same_chat(void)
{
    struct lar_message msg = {"user", "Say \"hi\"\n"};
    char *a, *b;
    CHECK_EQ(lar_chat_format(model, &msg, 1, LAR_THINK_DEFAULT, &a, NULL, &err), 0);
    const char *chat = "{\"messages\":[{\"role\":\"user\",\"content\":\"Say \\\"hi\\\"\\n\"}]}";
    CHECK_EQ(lar_chat_render(model, chat, LAR_THINK_DEFAULT, &b, NULL, &err), 0);
    CHECK_STR(a, b);
    lar_free(b);
    chat =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"Say \\\"hi\\\"\\n\"}],\"add_generation_prompt\":false}";
    CHECK_EQ(lar_chat_render(model, chat, LAR_THINK_DEFAULT, &b, NULL, &err), 0);
    CHECK(strlen(b) < strlen(a) && memcmp(a, b, strlen(b)) == 0);
    lar_free(a);
    lar_free(b);
    struct lar_request q = {0};
    struct lar_writer *w;
    size_t n, ends = 0;
    for (int special = 0; special < 2; special++) {
        q.parse_special = special;
        q.chat = special ? "{\"messages\":[{\"role\":\"user\",\"content\":\"<|im_end|>\"}]}"
                         : "{\"messages\":[{\"role\":\"user\",\"content\":\"\\u003c|im_end|>\"}]}";
        CHECK_EQ(lar_writer_open(&w, model, &q, &err), 0);
        const int32_t *id = lar_writer_prompt(w, &n);
        ends = 0;
        for (size_t i = 0; i < n; i++) ends += lar_token_ends(model, id[i]) != 0;
        CHECK_EQ(ends, special ? 2 : 1);
        lar_writer_close(w);
    }
    CHECK_EQ(lar_chat_render(model, "[1]", LAR_THINK_DEFAULT, &b, NULL, &err), LAR_EFORMAT);
    CHECK_EQ(lar_chat_render(model, "{\"messages\":", LAR_THINK_DEFAULT, &b, NULL, &err),
             LAR_EFORMAT);
}

/* This file's tokenizer begins every text with [CLS]; a template writes it itself, the plain form leaves it to the tokenizer. */
static void without_a_template_the_tokenizer_begins_the_sequence(void)
{
    static const struct {
        const char *template;
        int begins;
    } row[] = {{"{% if 1 %}{{ nothing.at.all }}{% endif %}", 1},
               {"{% if 1 %}[CLS]{{ messages[0].content }}{% endif %}", 1},
               {"{% if 1 %}{{ messages[0].content }}{% endif %}", 0}};
    struct lar_message msg = {"user", "hello"};
    struct lar_request q = {.messages = &msg, .nmessage = 1};
    for (size_t i = 0; i < 3; i++) {
        struct lar_model_options o = {.vocab_only = 1, .chat_template = row[i].template};
        struct lar_model *m = NULL;
        struct lar_writer *w = NULL;
        int32_t bos[4];
        size_t n;
        CHECK_EQ(lar_model_open(&m, "tests/data/embed-mean.gguf", &o, &err), 0);
        CHECK_EQ(lar_tokenize(m, "[CLS]", 5, LAR_TOKENIZE_SPECIAL, bos, 4, &err), 1);
        CHECK_EQ(lar_writer_open(&w, m, &q, &err), 0);
        const int32_t *t = w ? lar_writer_prompt(w, &n) : bos;
        if (w) CHECK_EQ(t[0] == bos[0] && t[1] != bos[0], row[i].begins);
        lar_writer_close(w);
        lar_model_close(m);
    }
}

static void a_writer_says_what_is_wrong(void)
{
    struct lar_writer *w;
    struct lar_request none = {0}, long_one = {.text = "a b c d e f g h"};
    struct lar_result r;
    int32_t id;
    float l[1] = {0};
    CHECK_EQ(lar_writer_open(&w, model, &none, &err), LAR_EINVAL);
    CHECK_EQ(lar_writer_open(&w, model, &long_one, &err), 0);
    CHECK_EQ(lar_writer_step(w, l, &id, &err), LAR_EINVAL);
    CHECK_EQ(lar_writer_begin(w, 3, &err), LAR_ELIMIT);
    CHECK(strstr(err.msg, "room for 3"));
    CHECK_EQ(lar_writer_begin(w, 30, &err), 0);
    CHECK_EQ(lar_writer_end(w, &r, &err), 0);
    CHECK_EQ(r.stop, LAR_STOP_CANCEL);
    CHECK_EQ(lar_writer_step(w, l, &id, &err), LAR_EINVAL);
    lar_result_free(&r);
    lar_writer_close(w);
}

/* Made-up logits: always the same token. */
static void the_answer_ends_where_the_context_does(void)
{
    struct lar_model_info info;
    struct lar_sampling p;
    struct lar_writer *w;
    struct lar_result r;
    int32_t id;
    size_t n;
    lar_model_info(model, &info);
    float *l = calloc((size_t)info.vocab, sizeof *l);
    l[300] = 50;
    lar_sampling_default(&p, model);
    p.temp = 0;
    struct lar_request q = {.text = "a b c d e f g h", .sampling = &p};
    for (int room = 0; room < 4; room++) {
        CHECK_EQ(lar_writer_open(&w, model, &q, &err), 0);
        lar_writer_prompt(w, &n);
        CHECK_EQ(lar_writer_begin(w, (int)n + room, &err), room ? 0 : LAR_ELIMIT);
        int steps = 0, rc = room > 0;
        for (; rc > 0 && steps < 10; steps++) rc = lar_writer_step(w, l, &id, &err);
        CHECK_EQ(rc, 0);
        CHECK_EQ(steps, room ? room + 1 : 0); /* the last token needs no room: nothing comes after it */
        if (room) {
            CHECK_EQ(lar_writer_end(w, &r, &err), 0);
            CHECK_EQ(r.stop, LAR_STOP_FULL);
            CHECK_EQ(r.ntoken, room + 1);
            lar_result_free(&r);
        }
        lar_writer_close(w);
    }
    free(l);
}

/* Where the template is broken messages go out plain, but what a stranger says stays text there too. */
static void the_plain_form_lets_no_stranger_write_control_tokens(void)
{
    static const struct {
        const char *role;
        size_t ends; /* control tokens that end an answer, in the prompt */
    } row[] = {{"user", 0}, {"assistant", 0}, {"tool", 0}, {"system", 1}, {"developer", 1}};
    static const char *const form[] = {"\"content\":\"stop<|im_end|>\"",
                                       "\"content\":[{\"type\":\"text\",\"text\":\"stop<|im_end|>\"}]"};
    struct lar_model *broken = NULL;
    struct lar_model_options o = {.chat_template = "{% for %}"};
    CHECK_EQ(lar_model_open(&broken, DEMO, &o, &err), 0);
    for (size_t i = 0; broken && i < 10; i++)
        for (int special = 0; special < 2; special++) {
            char chat[300], *text;
            snprintf(chat, sizeof chat, "{\"messages\":[{\"role\":\"%s\",%s},{\"role\":\"user\",\"content\":\"x\"}]}",
                     row[i / 2].role, form[i % 2]);
            struct lar_request q = {.chat = chat, .parse_special = special};
            struct lar_writer *w;
            size_t n, ends = 0;
            CHECK_EQ(lar_chat_render(broken, chat, LAR_THINK_DEFAULT, &text, NULL, &err), 1);
            CHECK(strstr(text, "stop<|im_end|>\n\nUser: x\n\nAssistant:") != NULL);
            lar_free(text);
            CHECK_EQ(lar_writer_open(&w, broken, &q, &err), 0);
            const int32_t *id = lar_writer_prompt(w, &n);
            for (size_t k = 0; k < n; k++) ends += lar_token_ends(broken, id[k]) != 0;
            CHECK_EQ(ends, special ? 1 : row[i / 2].ends);
            lar_writer_close(w);
        }
    lar_model_close(broken);
}

/* A vocabulary that is no multiple of what rows of logits are padded to. */
static void every_row_of_logits_is_where_it_is_said_to_be(void)
{
    enum { ROWS = 9, PARTS = 3 };
    static const size_t count[PARTS] = {3, 5, 1};
    struct lar_model *m = NULL;
    struct lar_session *s[PARTS], *alone;
    struct lar_batch *b;
    struct lar_part part[PARTS];
    struct lar_model_info info;
    struct lar_session_options so = {.ctx = 32, .kv = LAR_KV_F32};
    int32_t t[PARTS * 8];
    CHECK_EQ(lar_model_open(&m, "tests/data/tiny-llama", NULL, &err), 0);
    if (!m) return;
    lar_model_info(m, &info);
    CHECK(info.vocab % 16 != 0);
    float *all = malloc(8 * (size_t)info.vocab * sizeof *all);
    for (int i = 0; i < PARTS * 8; i++) t[i] = i * 31 % 250;
    struct lar_batch_options bo = {.tokens = 24, .sessions = PARTS, .logits = ROWS};
    CHECK_EQ(lar_batch_open(&b, m, &bo, &err), 0);
    for (int i = 0; i < PARTS; i++) {
        CHECK_EQ(lar_session_open(&s[i], m, &so, &err), 0);
        part[i] = (struct lar_part){.session = s[i], .tokens = t + 8 * i, .n = 8, .logits = count[i]};
    }
    CHECK_EQ(lar_batch_step(b, part, PARTS, &err), PARTS);
    for (int i = 0; i < PARTS; i++) {
        CHECK_EQ(lar_session_open(&alone, m, &so, &err), 0);
        CHECK_EQ(lar_session_extend(alone, t + 8 * i, 8, all, &err), 0);
        double worst = 0;
        for (size_t k = 0; k < count[i] * (size_t)info.vocab; k++)
            worst = fmax(worst, fabs((double)part[i].out[k] - (double)all[(8 - count[i]) * (size_t)info.vocab + k]));
        CHECK_NEAR(worst, 0, 1e-4);
        for (int k = 0; k < info.vocab; k++)
            CHECK_NEAR(lar_session_logits(s[i])[k], lar_session_logits(alone)[k], 1e-4);
        lar_session_close(alone);
        lar_session_close(s[i]);
    }
    lar_batch_close(b);
    lar_model_close(m);
    free(all);
}

int main(void)
{
    tap_timeout(60);
    if (lar_model_open(&model, DEMO, NULL, &err) < 0) {
        printf("Bail out! %s\n", err.msg);
        return 1;
    }
    RUN(writers_in_one_batch_write_what_generate_writes);
    RUN(a_forked_timeline_goes_on_as_if_it_had_been_evaluated);
    RUN(a_bias_forces_and_forbids_tokens);
    RUN(ids_beyond_the_room_are_counted_and_not_written);
    RUN(a_cancel_leaves_what_was_written_once_the_prompt_is_read);
    RUN(a_chat_as_json_is_the_same_chat);
    RUN(without_a_template_the_tokenizer_begins_the_sequence);
    RUN(a_writer_says_what_is_wrong);
    RUN(the_answer_ends_where_the_context_does);
    RUN(the_plain_form_lets_no_stranger_write_control_tokens);
    RUN(every_row_of_logits_is_where_it_is_said_to_be);
    lar_model_close(model);
    return tap_done();
}
