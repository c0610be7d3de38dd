/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_ask.c: what the server understands before it does anything: requests of each dialect become one form, durations and names are read,
 * who may talk to it is told from headers. No network here.
 */
#include "net/origin.h"
#include "serve/ollama.h"
#include "serve/openai.h"
#include "tap.h"

static struct ask q;
static struct lar_err err;

static int ollama(int kind, const char *text)
{
    ask_init(&q);
    err = (struct lar_err){0};
    return ollama_read(&q, kind, str_of(text), &err);
}

static int openai(int kind, const char *text)
{
    ask_init(&q);
    err = (struct lar_err){0};
    return openai_read(&q, kind, str_of(text), &err);
}

static void both_dialects_become_one_form(void)
{
    struct lar_sampling a, b;
    CHECK_EQ(
        ollama(
            OLLAMA_CHAT,
            "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":false,\"options\":"
            "{\"temperature\":0.5,\"top_k\":7,\"seed\":3,\"num_predict\":9,\"stop\":\"x\",\"num_ctx\":77}}"),
        0);
    lar_sampling_default(&a, NULL);
    CHECK_EQ(ask_sampling(&q, &a, &err), 0);
    CHECK_STR(q.prompt[0].chat, "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    CHECK_EQ(q.max_tokens, 9);
    CHECK_EQ(q.ctx, 77);
    CHECK_STR(q.stop[0], "x");
    CHECK_EQ(q.stream, 0);
    ask_done(&q);
    CHECK_EQ(
        openai(
            OPENAI_CHAT,
            "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}],"
            "\"temperature\":0.5,\"top_k\":7,\"seed\":3,\"max_completion_tokens\":9,"
        "\"stop\":[\"x\"],\"num_ctx\":77}"),
        0);
    lar_sampling_default(&b, NULL);
    CHECK_EQ(ask_sampling(&q, &b, &err), 0);
    CHECK_STR(q.prompt[0].chat, "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    CHECK_EQ(q.max_tokens, 9);
    CHECK_EQ(q.nstop, 1);
    CHECK(memcmp(&a, &b, sizeof a) == 0);
    CHECK_NEAR(a.temp, 0.5, 1e-6);
    CHECK_EQ(a.top_k, 7);
    CHECK_EQ(a.seed, 3);
    ask_done(&q);
}

static void what_was_not_said_is_the_models(void)
{
    struct lar_sampling p = {.temp = 0.3f,
                             .top_k = 5,
                             .top_p = 0.5f,
                             .typical_p = 1,
                             .repeat_penalty = 1,
                             .dry_base = 1.75f};
    CHECK_EQ(openai(OPENAI_TEXT, "{\"prompt\":\"x\",\"top_p\":0.25,\"temperature\":null}"), 0);
    CHECK_EQ(ask_sampling(&q, &p, &err), 0);
    CHECK_NEAR(p.temp, 0.3, 1e-6);
    CHECK_NEAR(p.top_p, 0.25, 1e-6);
    CHECK_EQ(p.seed, -1);
    CHECK_EQ(q.max_tokens, 16);
    CHECK_EQ(q.keep_ns, ASK_KEEP_DEFAULT);
    ask_done(&q);
}

static void tool_calls_get_objects_for_arguments(void)
{
    CHECK_EQ(
        openai(
            OPENAI_CHAT,
            "{\"messages\":[{\"role\":\"assistant\",\"content\":null,"
        "\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\","
            "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": 1.50}\"}}]},"
            "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"ok\"}]}"),
        0);
    CHECK_STR(
        q.prompt[0].chat,
        "{\"messages\":[{\"role\":\"assistant\",\"content\":\"\","
        "\"tool_calls\":[{\"type\":\"function\",\"id\":\"c1\",\"function\":"
        "{\"name\":\"f\",\"arguments\":{\"a\":1.50}}}]},{\"role\":\"tool\",\"content\":\"ok\","
        "\"tool_call_id\":\"c1\"}]}");
    ask_done(&q);
    CHECK_EQ(
        openai(
            OPENAI_CHAT,
            "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
        "\"arguments\":\"[\"}}]}]}"),
        LAR_EINVAL);
    CHECK(strstr(err.msg, "messages[0]: tool_calls: arguments"));
    ask_done(&q);
}

static void prompts_may_be_texts_and_ids(void)
{
    CHECK_EQ(openai(OPENAI_TEXT, "{\"prompt\":[\"a\",[1,2,3],\"b\"]}"), 0);
    CHECK_EQ(q.nprompt, 3);
    CHECK_STR(q.prompt[0].text, "a");
    CHECK_EQ(q.prompt[1].ntoken, 3);
    CHECK_EQ(q.prompt[1].tokens[2], 3);
    ask_done(&q);
    CHECK_EQ(openai(OPENAI_TEXT, "{\"prompt\":[7,8]}"), 0);
    CHECK_EQ(q.nprompt, 1);
    CHECK_EQ(q.prompt[0].ntoken, 2);
    ask_done(&q);
    CHECK_EQ(openai(OPENAI_TEXT, "{\"prompt\":[7,-8]}"), LAR_EINVAL);
    ask_done(&q);
    CHECK_EQ(openai(OPENAI_TEXT, "{\"prompt\":\"a\\u0000b\"}"), LAR_EINVAL);
    CHECK(strstr(err.msg, "NUL"));
    ask_done(&q);
}

static void refused(int rc, const char *words)
{
    CHECK(rc < 0);
    if (!strstr(err.msg, words)) printf("# '%s' does not say '%s'\n", err.msg, words);
    CHECK(strstr(err.msg, words) != NULL);
    ask_done(&q);
}

static void refusals_name_the_field(void)
{
    refused(openai(OPENAI_CHAT, "{\"mesages\":[]}"), "mesages is not known");
    refused(openai(OPENAI_CHAT, "{\"messages\":[]}"), "messages is required");
    refused(openai(OPENAI_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"n\":0}"),
            "n: 0 is out of range");
    refused(openai(OPENAI_CHAT,
                   "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":1.5}"),
            "max_tokens: needs a whole");
    refused(openai(OPENAI_CHAT,
                   "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stop\":[\"\"]}"),
            "stop: ");
    refused(
        openai(OPENAI_CHAT,
               "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"logit_bias\":{\"x\":1}}"),
        "'x' is no token id");
    refused(openai(OPENAI_CHAT,
                   "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"top_logprobs\":3}"),
            "logprobs");
    refused(
        openai(OPENAI_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"audio\":{}}"),
        "audio: is not supported");
    refused(openai(OPENAI_CHAT, "[]"), "the body must be an object");
    refused(openai(OPENAI_TEXT, "{}"), "prompt is required");
    refused(openai(OPENAI_TEXT, "{\"prompt\":\"x\",\"suffix\":\"y\",\"echo\":true}"), "echo: not together with suffix");
    refused(ollama(OLLAMA_GENERATE, "{\"prompt\":\"x\",\"options\":{\"num_gpu\":99}}"),
            "options: num_gpu");
    refused(ollama(OLLAMA_GENERATE, "{\"prompt\":\"x\",\"options\":{\"num_predict\":0}}"),
            "num_predict: 0 tokens");
    refused(ollama(OLLAMA_GENERATE, "{\"prompt\":\"x\",\"raw\":true,\"system\":\"y\"}"),
            "raw mode");
    refused(ollama(OLLAMA_CHAT,
                   "{\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"images\":[\"a\"]}]}"),
            "messages[0]: images");
    refused(ollama(OLLAMA_CHAT, "{\"messages\":[{\"role\":\"user\",\"text\":\"x\"}]}"),
            "messages[0]: text is not known");
    refused(ollama(OLLAMA_CHAT, "{\"keep_alive\":\"soon\"}"), "keep_alive: 'soon' is no duration");
}

static void what_is_done_anyway_may_be_said(void)
{
    static const char text[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"modalities\":[\"text\"],\"verbosity\":"
        "\"medium\",\"prompt_cache_retention\":\"in_memory\",\"prompt_cache_options\":{},\"user\":\"me\"}";
    CHECK_EQ(openai(OPENAI_CHAT, text), 0);
    ask_done(&q);
    CHECK_EQ(openai(OPENAI_TEXT, "{\"prompt\":\"x\",\"best_of\":1}"), 0);
    ask_done(&q);
    refused(openai(OPENAI_TEXT, "{\"prompt\":\"x\",\"best_of\":2}"), "best_of: only 1");
    refused(openai(OPENAI_CHAT, "{\"messages\":[],\"modalities\":[\"text\",\"audio\"]}"),
            "modalities: only");
    refused(openai(OPENAI_CHAT, "{\"messages\":[],\"verbosity\":\"low\"}"), "verbosity: only");
}

static void durations_are_read_as_go_writes_them(void)
{
    static const struct {
        const char *json;
        int64_t ns;
    } good[] = {{"{\"keep_alive\":5}", 5000000000},
                {"{\"keep_alive\":\"5m\"}", 300000000000},
                {"{\"keep_alive\":\"1h30m\"}", 5400000000000},
                {"{\"keep_alive\":\"1.5s\"}", 1500000000},
                {"{\"keep_alive\":-1}", -1},
                {"{\"keep_alive\":\"-1m\"}", -1},
                {"{\"keep_alive\":0}", 0},
                {"{\"keep_alive\":\"250ms\"}", 250000000},
                {"{\"keep_alive\":\"-1\"}", -1},
                {"{\"keep_alive\":1e12}", INT64_MAX}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CHECK_EQ(ollama(OLLAMA_CHAT, good[i].json), 0);
        CHECK_EQ(q.keep_ns, good[i].ns);
        CHECK_EQ(q.load_only, 1);
        ask_done(&q);
    }
    refused(ollama(OLLAMA_CHAT, "{\"keep_alive\":\"5x\"}"), "no duration");
    refused(ollama(OLLAMA_CHAT, "{\"keep_alive\":true}"), "needs seconds");
    refused(ollama(OLLAMA_CHAT, "{\"keep_alive\":\"5m-3s\"}"), "no duration");
}

static void only_this_machine_and_who_is_named_may_ask(void)
{
    static const char *const allow[] = {"lar.example", "https://app.example"};
    static const char *const good[] = {"localhost",    "LOCALHOST:11434", "127.0.0.1",
                                       "127.0.0.1:80", "127.9.8.7",       "[::1]",
                                       "[::1]:80",     "x.localhost:1",   "lar.example:7"};
    static const char *const bad[] = {"",
                                      "evil.example",
                                      "localhost.evil.example",
                                      "127.0.0.1.evil.example",
                                      "128.0.0.1",
                                      "127.0.0",
                                      "127.0.0.256",
                                      "[::2]",
                                      "[::1",
                                      "localhost:",
                                      "localhost:x",
                                      "localhost:999999",
                                      "127.0.0.1:80:80",
                                      "localhost@evil",
                                      "xlocalhost",
                                      "127.0.0.1x",
                                      "0.0.0.0"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK(origin_host_ok(good[i], allow, 2));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (origin_host_ok(bad[i], allow, 2)) printf("# %s was let in\n", bad[i]);
        CHECK(!origin_host_ok(bad[i], allow, 2));
    }
    CHECK(origin_ok("http://localhost:3000", allow, 2));
    CHECK(origin_ok("https://127.0.0.1", allow, 2));
    CHECK(origin_ok("https://app.example", allow, 2));
    CHECK(!origin_ok("http://app.example", allow, 2));
    CHECK(!origin_ok("null", allow, 2));
    CHECK(!origin_ok("file://", allow, 2));
    CHECK(!origin_ok("http://evil.example", allow, 2));
    CHECK(!origin_ok("http://localhost:3000/x", allow, 2));
    CHECK(origin_is_loopback("::1") && origin_is_loopback("127.0.0.1") &&
          origin_is_loopback("localhost"));
    CHECK(!origin_is_loopback("0.0.0.0") && !origin_is_loopback("::") &&
          !origin_is_loopback("192.168.0.1"));
}

/* Every allocation of reading a request fails once; each time an error, and nothing is left behind. */
static long until_failure;
static int fail_once(size_t n, void *ctx)
{
    (void)n, (void)ctx;
    return until_failure-- == 0;
}

static void every_allocation_may_fail(void)
{
    const char *text =
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stop\":[\"a\",\"b\"]}";
    int rc = -1;
    long live = mem_live();
    for (long i = 0; rc < 0 && i < 1000; i++) {
        until_failure = i;
        mem_set_hook(fail_once, NULL);
        rc = openai(OPENAI_CHAT, text);
        mem_set_hook(NULL, NULL);
        ask_done(&q);
        CHECK_EQ(mem_live(), live);
        if (rc < 0) CHECK(err.msg[0]);
    }
    CHECK_EQ(rc, 0);
}

int main(void)
{
    tap_timeout(30);
    RUN(both_dialects_become_one_form);
    RUN(what_was_not_said_is_the_models);
    RUN(tool_calls_get_objects_for_arguments);
    RUN(prompts_may_be_texts_and_ids);
    RUN(refusals_name_the_field);
    RUN(what_is_done_anyway_may_be_said);
    RUN(durations_are_read_as_go_writes_them);
    RUN(only_this_machine_and_who_is_named_may_ask);
    RUN(every_allocation_may_fail);
    return tap_done();
}
