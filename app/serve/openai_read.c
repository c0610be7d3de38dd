/* SPDX-License-Identifier: Apache-2.0
 * serve/openai_read.c: OpenAI's requests, read by tables; with them what llama.cpp's server takes beside (top_k, min_p, ...). */
#include "base/err.h"
#include "serve/chat.h"
#include "serve/field.h"
#include "serve/openai.h"
#include "serve/tools.h"

enum { N_MAX = 64, BIAS_MAX = 1024 };

static int read_bias(struct ask *q, const struct json *v, const struct field *f,
                     struct lar_err *err)
{
    (void)f;
    if (v->kind != JSON_OBJECT)
        return lar_fail(err, LAR_EINVAL, "needs an object of token ids and numbers");
    if (v->n > BIAS_MAX) return lar_fail(err, LAR_EINVAL, "more than %d tokens", BIAS_MAX);
    q->bias = arena_array(&q->a, v->n + 1, sizeof *q->bias);
    if (!q->bias) return lar_fail(err, LAR_ENOMEM, "the request is too large");
    q->nbias = 0;
    for (const struct json *c = v->child; c; c = c->next) {
        int64_t id = 0;
        size_t i = 0;
        for (; i < c->key.n && i < 9 && c->key.p[i] >= '0' && c->key.p[i] <= '9'; i++)
            id = id * 10 + (c->key.p[i] - '0');
        if (c->key.n == 0 || i < c->key.n)
            return lar_fail(err, LAR_EINVAL, "'%.*s' is no token id", STR_ARG(c->key));
        if (c->kind != JSON_NUMBER || !(c->num >= -100 && c->num <= 100))
            return lar_fail(err, LAR_EINVAL, "of %lld needs a number from -100 to 100",
                            (long long)id);
        q->bias[q->nbias++] = (struct lar_bias){(int32_t)id, (float)c->num};
    }
    return 0;
}

static int read_stream_options(struct ask *q, const struct json *v, const struct field *f,
                               struct lar_err *err)
{
    /* clang-format off */
    static const struct field table[] = {
        {"include_usage", field_flag, offsetof(struct ask, usage), 0, 0, NULL},
        {"include_obfuscation", field_false, 0, 0, 0, NULL},
        {NULL, NULL, 0, 0, 0, NULL},
    };
    /* clang-format on */
    (void)f;
    return field_read(q, v, table, "", err);
}

int openai_schema(struct ask *q, const struct json *v, struct lar_err *err)
{
    static const char *const known[] = {"name", "schema", "strict", "description", "type"};
    const struct json *schema = json_get(v, "schema");
    if (!v || v->kind != JSON_OBJECT || !schema)
        return lar_fail(err, LAR_EINVAL, "json_schema needs an object with name and schema");
    for (const struct json *c = v->child; c; c = c->next) {
        size_t i = 0;
        while (i < 5 && !str_is(c->key, known[i])) i++;
        if (i == 5)
            return lar_fail(err, LAR_EINVAL, "json_schema: %.*s is not known here",
                            STR_ARG(c->key));
    }
    return chat_format(q, schema, err);
}

int openai_format(struct ask *q, const struct json *v, const struct field *f,
                       struct lar_err *err)
{
    struct str type = json_str(json_get(v, "type"), STR(""));
    (void)f;
    if (v->kind != JSON_OBJECT) return lar_fail(err, LAR_EINVAL, "needs an object such as {\"type\": \"json_object\"}");
    if (str_is(type, "text")) return 0;
    if (str_is(type, "json_object")) return chat_format(q, NULL, err);
    if (str_is(type, "json_schema")) return openai_schema(q, json_get(v, "json_schema"), err);
    return lar_fail(err, LAR_EUNSUPPORTED, "type '%.*s' is not supported by this server",
                    STR_ARG(type));
}

/* "none" and "minimal" switch thinking off; the others leave it to the model, which knows no degrees. */
int openai_effort(struct ask *q, const struct json *v, const struct field *f,
                       struct lar_err *err)
{
    static const char *const on[] = {"low", "medium", "high", "xhigh", "max"};
    (void)f;
    if (v->kind != JSON_STRING) return lar_fail(err, LAR_EINVAL, "needs a string");
    if (str_is(v->s, "none") || str_is(v->s, "minimal")) return q->think = LAR_THINK_OFF, 0;
    for (size_t i = 0; i < sizeof on / sizeof *on; i++)
        if (str_is(v->s, on[i])) return q->think = LAR_THINK_ON, 0;
    return lar_fail(err, LAR_EINVAL, "'%.*s' is none of none, minimal, low, medium, high, xhigh, max",
                    STR_ARG(v->s));
}

/* What this server does anyway, said by the client: its at is which. */
static int read_usual(struct ask *q, const struct json *v, const struct field *f, struct lar_err *err)
{
    static const char *const word[] = {"[\"text\"]", "\"medium\"", "\"in_memory\"", "1"};
    struct buf b = {0};
    (void)q;
    json_write(&b, v);
    int same = str_is(buf_view(&b), word[f->at]);
    buf_done(&b);
    return same ? 0 : lar_fail(err, LAR_EUNSUPPORTED, "only %s is supported by this server", word[f->at]);
}

/* Only what changes nothing. */
int openai_tier(struct ask *q, const struct json *v, const struct field *f,
                     struct lar_err *err)
{
    (void)q, (void)f;
    if (v->kind == JSON_STRING && (str_is(v->s, "auto") || str_is(v->s, "default"))) return 0;
    return lar_fail(err, LAR_EUNSUPPORTED, "only \"auto\" and \"default\" are supported");
}

static int read_choice(struct ask *q, const struct json *v, const struct field *f,
                       struct lar_err *err)
{
    (void)f;
    return tools_choice(q, v, 0, err);
}

static int read_tools(struct ask *q, const struct json *v, const struct field *f,
                      struct lar_err *err)
{
    (void)f;
    return tools_read(q, v, err);
}

int openai_parallel(struct ask *q, const struct json *v, const struct field *f,
                         struct lar_err *err)
{
    (void)f;
    if (v->kind != JSON_BOOL) return lar_fail(err, LAR_EINVAL, "needs true or false");
    q->single = !v->boolean;
    return 0;
}

/* Of chats a boolean, of texts a number of alternatives. */
static int read_text_logprobs(struct ask *q, const struct json *v, const struct field *f,
                              struct lar_err *err)
{
    int rc = field_int(q, v, f, err);
    q->logprobs = rc == 0;
    return rc;
}

/* Of texts 0 is a number too: with echo, the prompt alone. */
static int read_text_max(struct ask *q, const struct json *v, const struct field *f,
                         struct lar_err *err)
{
    q->answers_none = v->kind == JSON_NUMBER && v->is_int && v->i == 0;
    if (!q->answers_none) return field_int(q, v, f, err);
    q->max_tokens = 1;
    return 0;
}

static int read_template_kwargs(struct ask *q, const struct json *v, const struct field *f,
                                struct lar_err *err)
{
    (void)f;
    const struct json *think = json_get(v, "enable_thinking");
    if (v->kind != JSON_OBJECT || v->n > 1 || (v->n == 1 && (!think || think->kind != JSON_BOOL)))
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "only {\"enable_thinking\": true or false} is supported");
    if (think) q->think = think->boolean ? LAR_THINK_ON : LAR_THINK_OFF;
    return 0;
}

/* {"type":"content","content": a text, or parts of one} */
static int read_prediction(struct ask *q, const struct json *v, const struct field *f, struct lar_err *err)
{
    const struct json *content = json_get(v, "content");
    struct buf all = {0};
    const char *z;
    int ok = str_is(json_str(json_get(v, "type"), STR("")), "content") && v->n == 2 && content, rc = 0;
    (void)f;
    if (ok && content->kind == JSON_STRING) return q->predicted = content->s, 0;
    for (const struct json *c = ok && content->kind == JSON_ARRAY ? content->child : NULL; c && ok; c = c->next) {
        const struct json *text = json_get(c, "text");
        ok = str_is(json_str(json_get(c, "type"), STR("")), "text") && text && text->kind == JSON_STRING && c->n == 2;
        if (ok) buf_str(&all, text->s);
    }
    if (!ok || content->kind != JSON_ARRAY)
        rc = lar_fail(err, LAR_EINVAL, "needs {\"type\": \"content\", \"content\": a text or a list of text parts}");
    else if (all.failed)
        rc = lar_fail(err, LAR_ENOMEM, "the request is too large");
    if (rc == 0 && (rc = ask_text(q, buf_view(&all), &z, err)) == 0) q->predicted = (struct str){z, all.n};
    buf_done(&all);
    return rc;
}

#define AT(x) offsetof(struct ask, x)
/* clang-format off */
#define COMMON                                                            \
    {"model", field_str, AT(model), 0, 0, NULL},                          \
    {"stream", field_flag, AT(stream), 0, 0, NULL},                       \
    {"stream_options", read_stream_options, 0, 0, 0, NULL},               \
    {"temperature", field_param, ASK_TEMP, 0, 1000, NULL},                \
    {"top_p", field_param, ASK_TOP_P, 0, 1, NULL},                        \
    {"top_k", field_whole, ASK_TOP_K, 0, 1 << 30, NULL},                  \
    {"min_p", field_param, ASK_MIN_P, 0, 1, NULL},                        \
    {"typical_p", field_param, ASK_TYPICAL_P, 0, 1, NULL},                \
    {"repeat_penalty", field_param, ASK_REPEAT_PENALTY, 0.01, 100, NULL}, \
    {"repeat_last_n", field_whole, ASK_REPEAT_LAST_N, -1, 1 << 30, NULL}, \
    {"presence_penalty", field_param, ASK_PRESENCE, -100, 100, NULL},     \
    {"frequency_penalty", field_param, ASK_FREQUENCY, -100, 100, NULL},   \
    {"dry_multiplier", field_param, ASK_DRY_MULTIPLIER, 0, 1000, NULL},   \
    {"dry_base", field_param, ASK_DRY_BASE, 1, 1000, NULL},               \
    {"dry_allowed_length", field_whole, ASK_DRY_ALLOWED, 0, 1 << 30, NULL}, \
    {"dry_penalty_last_n", field_whole, ASK_DRY_LAST_N, -1, 1 << 30, NULL}, \
    {"xtc_probability", field_param, ASK_XTC_PROBABILITY, 0, 1, NULL},    \
    {"xtc_threshold", field_param, ASK_XTC_THRESHOLD, 0, 1, NULL},        \
    {"mirostat", field_whole, ASK_MIROSTAT, 0, 2, NULL},                  \
    {"mirostat_tau", field_param, ASK_MIROSTAT_TAU, 0, 100, NULL},        \
    {"mirostat_eta", field_param, ASK_MIROSTAT_ETA, 0, 100, NULL},        \
    {"seed", field_seed, 0, 0, 0, NULL},                                  \
    {"stop", field_stop, 0, 0, 0, NULL},                                  \
    {"n", field_int, AT(n), 1, N_MAX, NULL},                              \
    {"num_ctx", field_int, AT(ctx), 1, 1 << 28, NULL},                    \
    {"logit_bias", read_bias, 0, 0, 0, NULL},                             \
    {"user", field_hint, 0, 0, 0, NULL},                                  \
    {"metadata", field_hint, 0, 0, 0, NULL},                              \
    {"safety_identifier", field_hint, 0, 0, 0, NULL},                     \
    {"prompt_cache_key", field_hint, 0, 0, 0, NULL},                      \
    {"prompt_cache_retention", read_usual, 2, 0, 0, NULL},                \
    {"prompt_cache_options", field_false, 0, 0, 0, NULL},                 \
    {"service_tier", openai_tier, 0, 0, 0, NULL},                           \
    {"store", field_false, 0, 0, 0, NULL},                                \
    {"lora", loras_read, 0, 0, 0, NULL},                                  \
    {"lookup", field_int, AT(lookup), 0, ROW_GUESSES, NULL}, {"draft", field_int, AT(draft), 0, ROW_GUESSES, NULL}

static const struct field chat_fields[] = {
    COMMON,
    {"messages", field_node, AT(messages), 0, 0, NULL},
    {"max_tokens", field_int, AT(max_tokens), 1, 1 << 30, NULL},
    {"max_completion_tokens", field_int, AT(max_tokens), 1, 1 << 30, NULL},
    {"logprobs", field_flag, AT(logprobs), 0, 0, NULL},
    {"top_logprobs", field_int, AT(top), 0, 20, NULL},
    {"response_format", openai_format, 0, 0, 0, NULL},
    {"partial", field_flag, AT(partial), 0, 0, NULL},
    {"reasoning_effort", openai_effort, 0, 0, 0, NULL},
    {"chat_template_kwargs", read_template_kwargs, 0, 0, 0, NULL},
    {"tools", read_tools, 0, 0, 0, NULL},
    {"tool_choice", read_choice, 0, 0, 0, NULL},
    {"parallel_tool_calls", openai_parallel, 0, 0, 0, NULL},
    {"functions", field_false, 0, 0, 0, NULL},
    {"modalities", read_usual, 0, 0, 0, NULL},
    {"audio", field_refused, 0, 0, 0, NULL},
    {"prediction", read_prediction, 0, 0, 0, NULL},
    {"web_search_options", field_refused, 0, 0, 0, NULL},
    {"verbosity", read_usual, 1, 0, 0, NULL},
    {"function_call", field_refused, 0, 0, 0, NULL},
    {"moderation", field_refused, 0, 0, 0, NULL},
    {NULL, NULL, 0, 0, 0, NULL},
};
static const struct field text_fields[] = {
    COMMON,
    {"prompt", field_node, AT(messages), 0, 0, NULL},
    {"logprobs", read_text_logprobs, AT(top), 0, 20, NULL},
    {"max_tokens", read_text_max, AT(max_tokens), 1, 1 << 30, NULL},
    {"echo", field_flag, AT(echo), 0, 0, NULL},
    {"suffix", field_str, AT(suffix), 0, 0, NULL},
    {"best_of", read_usual, 3, 0, 0, NULL},
    {NULL, NULL, 0, 0, 0, NULL},
};
/* clang-format on */

static int token_prompt(struct ask *q, const struct json *v, struct lar_err *err)
{
    struct ask_prompt *p = ask_add(q, err);
    int32_t *id = p ? arena_array(&q->a, v->n, sizeof *id) : NULL;
    if (p && !id) return lar_fail(err, LAR_ENOMEM, "the request is too large");
    if (!p) return LAR_ENOMEM;
    for (const struct json *c = v->child; c; c = c->next) {
        if (c->kind != JSON_NUMBER || !c->is_int || c->i < 0 || c->i > INT32_MAX)
            return lar_fail(err, LAR_EINVAL, "prompt: a list of token ids holds something else");
        id[p->ntoken++] = (int32_t)c->i;
    }
    p->tokens = id;
    return 0;
}

static int text_prompt(struct ask *q, const struct json *v, struct lar_err *err)
{
    if (v->kind == JSON_STRING) {
        struct ask_prompt *p = ask_add(q, err);
        return p ? ask_text(q, v->s, &p->text, err) : LAR_ENOMEM;
    }
    if (v->kind == JSON_ARRAY && v->child && v->child->kind == JSON_NUMBER)
        return token_prompt(q, v, err);
    return lar_fail(err, LAR_EINVAL,
                    "prompt: needs a string, a list of token ids, or a list of such");
}

static int text_prompts(struct ask *q, const struct json *v, struct lar_err *err)
{
    int rc = 0;
    if (!v) return lar_fail(err, LAR_EINVAL, "prompt is required");
    if (v->kind != JSON_ARRAY || !v->child || v->child->kind == JSON_NUMBER)
        return text_prompt(q, v, err);
    for (const struct json *c = v->child; c && rc == 0; c = c->next) rc = text_prompt(q, c, err);
    return rc;
}

int openai_read(struct ask *q, int kind, struct str body, struct lar_err *err)
{
    if (body.n == 0) return lar_fail(err, LAR_EINVAL, "the request has no body");
    const struct json *v = json_parse(&q->a, body, err);
    int rc =
        v ? field_read(q, v, kind == OPENAI_CHAT ? chat_fields : text_fields, "", err) : LAR_EINVAL;
    if (rc < 0) return rc;
    if (kind == OPENAI_TEXT) {
        if (!q->max_tokens) q->max_tokens = 16; /* the reference's default */
        if (q->echo && q->stream)
            return lar_fail(err, LAR_EUNSUPPORTED, "echo: only without stream");
        if (q->answers_none && !q->echo)
            return lar_fail(err, LAR_EINVAL, "max_tokens: 0 is out of range (1 or more, or echo: true)");
        if (q->suffix.n) q->fill = ASK_FILL_PLAIN;
        if (q->fill && q->echo) return lar_fail(err, LAR_EUNSUPPORTED, "echo: not together with suffix");
        return text_prompts(q, q->messages, err);
    }
    if (q->top && !q->logprobs)
        return lar_fail(err, LAR_EINVAL, "top_logprobs needs logprobs: true");
    if (!q->messages || !q->messages->n)
        return lar_fail(err, LAR_EINVAL, "messages is required and must not be empty");
    const struct json *tools;
    if ((rc = tools_settle(q, &tools, err)) < 0) return rc;
    return chat_prompt(q, q->messages, q->role_system, tools, err);
}
