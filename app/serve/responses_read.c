/* SPDX-License-Identifier: Apache-2.0
 * serve/responses_read.c: requests to /v1/responses, read by a table; items become messages as chat templates know them. Tools that would have to
 * run here (search, code, MCP), images and files are refused by name. */
#include "base/err.h"
#include "serve/chat.h"
#include "serve/field.h"
#include "serve/openai.h"
#include "serve/responses.h"

/* ---- fields ---------------------------------------------------------------------------------------------------------------------- */

static int read_no_store(struct ask *q, const struct json *v, const struct field *f,
                         struct lar_err *err)
{
    int rc = field_flag(q, v, f, err);
    if (rc == 0) q->no_store = !q->no_store;
    return rc;
}

/* What an answer tells beside itself. Reasoning is told in the clear, which is all that its encrypted form is for. */
static int read_include(struct ask *q, const struct json *v, const struct field *f,
                        struct lar_err *err)
{
    (void)f;
    if (v->kind != JSON_ARRAY) return lar_fail(err, LAR_EINVAL, "needs a list of strings");
    for (const struct json *c = v->child; c; c = c->next) {
        struct str s = json_str(c, STR(""));
        if (str_is(s, "message.output_text.logprobs"))
            q->logprobs = 1;
        else if (!str_is(s, "reasoning.encrypted_content"))
            return lar_fail(err, LAR_EUNSUPPORTED, "'%.*s' is not supported by this server",
                            STR_ARG(s));
    }
    return 0;
}

/* "auto" and "detailed": the reasoning itself stands as its summary; a shorter one nobody writes here. */
static int read_summary(struct ask *q, const struct json *v, const struct field *f,
                        struct lar_err *err)
{
    (void)f;
    q->summary = v->kind == JSON_STRING && (str_is(v->s, "auto") || str_is(v->s, "detailed"));
    return q->summary
               ? 0
               : lar_fail(err, LAR_EUNSUPPORTED, "only \"auto\" and \"detailed\" are supported");
}

/* Its at is the one word that changes nothing. */
static int read_only(struct ask *q, const struct json *v, const struct field *f,
                     struct lar_err *err)
{
    static const char *const word[] = {"disabled", "medium", "standard", "all_turns", "in_memory"};
    (void)q;
    if (v->kind == JSON_STRING && str_is(v->s, word[f->at])) return 0;
    return lar_fail(err, LAR_EUNSUPPORTED, "only \"%s\" is supported by this server", word[f->at]);
}

static int read_format(struct ask *q, const struct json *v, const struct field *f,
                       struct lar_err *err)
{
    struct str type = json_str(json_get(v, "type"), STR(""));
    (void)f;
    return str_is(type, "json_schema") ? openai_schema(q, v, err) : openai_format(q, v, f, err);
}

static int read_tools(struct ask *q, const struct json *v, const struct field *f,
                      struct lar_err *err)
{
    (void)f;
    return tools_read_flat(q, v, "parameters", err);
}

static int read_choice(struct ask *q, const struct json *v, const struct field *f,
                       struct lar_err *err)
{
    (void)f;
    return tools_choice(q, v, 1, err);
}

/* The tools that it would bound are those of a server; there are none. */
static int read_calls(struct ask *q, const struct json *v, const struct field *f,
                      struct lar_err *err)
{
    int top = q->top, rc = field_int(q, v, f, err);
    q->top = top;
    return rc;
}

#define AT(x) offsetof(struct ask, x)
/* clang-format off */
static const struct field reasoning[] = {
    {"effort", openai_effort, 0, 0, 0, NULL},
    {"summary", read_summary, 0, 0, 0, NULL},
    {"generate_summary", read_summary, 0, 0, 0, NULL}, /* the older word */
    {"mode", read_only, 2, 0, 0, NULL},
    {"context", read_only, 3, 0, 0, NULL},
    {NULL, NULL, 0, 0, 0, NULL},
};
static const struct field text_fields[] = {
    {"format", read_format, 0, 0, 0, NULL},
    {"verbosity", read_only, 1, 0, 0, NULL},
    {NULL, NULL, 0, 0, 0, NULL},
};
static const struct field stream_options[] = {
    {"include_obfuscation", field_false, 0, 0, 0, NULL},
    {NULL, NULL, 0, 0, 0, NULL},
};
static const struct field fields[] = {
    {"model", field_str, AT(model), 0, 0, NULL},
    {"input", field_node, AT(messages), 0, 0, NULL},
    {"instructions", field_str, AT(role_system), 0, 0, NULL},
    {"previous_response_id", field_str, AT(previous), 0, 0, NULL},
    {"store", read_no_store, AT(no_store), 0, 0, NULL},
    {"stream", field_flag, AT(stream), 0, 0, NULL},
    {"stream_options", field_object, 0, 0, 0, stream_options},
    {"max_output_tokens", field_int, AT(max_tokens), 1, 1 << 30, NULL},
    {"max_tool_calls", read_calls, AT(top), 1, 1 << 30, NULL},
    {"temperature", field_param, ASK_TEMP, 0, 1000, NULL},
    {"top_p", field_param, ASK_TOP_P, 0, 1, NULL},
    {"top_k", field_whole, ASK_TOP_K, 0, 1 << 30, NULL},
    {"min_p", field_param, ASK_MIN_P, 0, 1, NULL},
    {"repeat_penalty", field_param, ASK_REPEAT_PENALTY, 0.01, 100, NULL},
    {"presence_penalty", field_param, ASK_PRESENCE, -100, 100, NULL},
    {"frequency_penalty", field_param, ASK_FREQUENCY, -100, 100, NULL},
    {"seed", field_seed, 0, 0, 0, NULL},
    {"stop", field_stop, 0, 0, 0, NULL},
    {"num_ctx", field_int, AT(ctx), 1, 1 << 28, NULL},
    {"top_logprobs", field_int, AT(top), 0, 20, NULL},
    {"include", read_include, 0, 0, 0, NULL},
    {"text", field_object, 0, 0, 0, text_fields},
    {"reasoning", field_object, 0, 0, 0, reasoning},
    {"tools", read_tools, 0, 0, 0, NULL},
    {"tool_choice", read_choice, 0, 0, 0, NULL},
    {"parallel_tool_calls", openai_parallel, 0, 0, 0, NULL},
    {"truncation", read_only, 0, 0, 0, NULL},
    {"prompt_cache_retention", read_only, 4, 0, 0, NULL},
    {"service_tier", openai_tier, 0, 0, 0, NULL},
    {"metadata", field_hint, 0, 0, 0, NULL},
    {"user", field_hint, 0, 0, 0, NULL},
    {"safety_identifier", field_hint, 0, 0, 0, NULL},
    {"prompt_cache_key", field_hint, 0, 0, 0, NULL},
    {"background", field_false, 0, 0, 0, NULL},
    {"background_options", field_refused, 0, 0, 0, NULL},
    {"conversation", field_refused, 0, 0, 0, NULL},
    {"context_management", field_false, 0, 0, 0, NULL},
    {"prompt", field_refused, 0, 0, 0, NULL},
    {"prompt_cache_options", field_false, 0, 0, 0, NULL},
    {"moderation", field_refused, 0, 0, 0, NULL},
    {"access_programs", field_refused, 0, 0, 0, NULL},
    {"image", field_refused, 0, 0, 0, NULL},
    {NULL, NULL, 0, 0, 0, NULL},
};
/* clang-format on */

/* ---- items into messages ---------------------------------------------------------------------------------------------------------- */

/* Reasoning, text and calls that follow each other are one message of the assistant's. */
struct fold {
    struct buf out, text, thinking, calls;
    struct str system; /* instructions that are not yet in a message */
};

static void flush(struct fold *f)
{
    if (!f->text.n && !f->calls.n && !f->thinking.n) return;
    buf_puts(&f->out, "{\"role\":\"assistant\",\"content\":");
    buf_json_str(&f->out, buf_view(&f->text));
    if (f->thinking.n)
        buf_puts(&f->out, ",\"reasoning_content\":"), buf_json_str(&f->out, buf_view(&f->thinking));
    if (f->calls.n)
        buf_puts(&f->out, ",\"tool_calls\":["), buf_str(&f->out, buf_view(&f->calls)),
            buf_putc(&f->out, ']');
    buf_puts(&f->out, "},");
    f->out.failed |= f->text.failed | f->thinking.failed | f->calls.failed;
    buf_clear(&f->text);
    buf_clear(&f->thinking);
    buf_clear(&f->calls);
}

static int message(struct fold *f, const struct json *v, struct lar_err *err)
{
    struct str role = json_str(json_get(v, "role"), STR(""));
    const struct json *content = json_get(v, "content");
    struct buf text = {0};
    int system = str_is(role, "system") || str_is(role, "developer");
    if (!content) return lar_fail(err, LAR_EINVAL, "content is required");
    if (str_is(role, "assistant")) {
        if (f->text.n || f->calls.n) flush(f);
        return chat_content(&f->text, content, err);
    }
    if (!system && !str_is(role, "user"))
        return lar_fail(err, LAR_EINVAL,
                        "role '%.*s' is none of user, assistant, system, developer", STR_ARG(role));
    flush(f);
    if (system && f->system.n &&
        !f->out.n) { /* templates know one system message, at the beginning */
        buf_str(&text, f->system);
        buf_puts(&text, "\n\n");
    }
    int rc = chat_content(&text, content, err);
    buf_printf(&f->out, "{\"role\":\"%s\",\"content\":", system ? "system" : "user");
    buf_json_str(&f->out, buf_view(&text));
    buf_puts(&f->out, "},");
    f->out.failed |= text.failed;
    buf_done(&text);
    return rc;
}

static int call(struct fold *f, const struct json *v, struct lar_err *err)
{
    const struct json *name = json_get(v, "name"), *args = json_get(v, "arguments"),
                      *id = json_get(v, "call_id");
    if (!name || name->kind != JSON_STRING || !args || args->kind != JSON_STRING || !id ||
        id->kind != JSON_STRING)
        return lar_fail(err, LAR_EINVAL,
                        "a function_call needs call_id, name and arguments, which are strings");
    if (str_is(json_str(json_get(v, "status"), STR("")), "incomplete"))
        return 0; /* it was broken off */
    buf_puts(&f->calls,
             f->calls.n ? ",{\"type\":\"function\",\"id\":" : "{\"type\":\"function\",\"id\":");
    buf_json_str(&f->calls, id->s);
    buf_puts(&f->calls, ",\"function\":{\"name\":");
    buf_json_str(&f->calls, name->s);
    buf_puts(&f->calls, ",\"arguments\":");
    buf_json_str(&f->calls, args->s);
    buf_puts(&f->calls, "}}");
    return 0;
}

static int output(struct fold *f, const struct json *v, struct lar_err *err)
{
    struct buf text = {0};
    const struct json *id = json_get(v, "call_id");
    if (!id || id->kind != JSON_STRING)
        return lar_fail(err, LAR_EINVAL, "a function_call_output needs a call_id");
    flush(f);
    int rc = chat_content(&text, json_get(v, "output"), err);
    buf_puts(&f->out, "{\"role\":\"tool\",\"tool_call_id\":");
    buf_json_str(&f->out, id->s);
    buf_puts(&f->out, ",\"content\":");
    buf_json_str(&f->out, buf_view(&text));
    buf_puts(&f->out, "},");
    f->out.failed |= text.failed;
    buf_done(&text);
    return rc;
}

static int thought(struct fold *f, const struct json *v, struct lar_err *err)
{
    const struct json *list = json_get(v, "content"), *code = json_get(v, "encrypted_content");
    if (!list || !list->n) list = json_get(v, "summary");
    if (code && code->kind != JSON_NULL)
        return lar_fail(err, LAR_EUNSUPPORTED, "encrypted_content can be read by its maker alone");
    if (f->text.n || f->calls.n) flush(f);
    for (const struct json *c = list ? list->child : NULL; c; c = c->next)
        buf_str(&f->thinking, json_str(json_get(c, "text"), STR("")));
    return 0;
}

static int item(struct fold *f, const struct json *v, struct lar_err *err)
{
    static const char *const known[] = {
        "type", "id",        "status", "role",    "content",           "phase", "call_id",
        "name", "arguments", "output", "summary", "encrypted_content", NULL};
    struct str type = json_str(json_get(v, "type"), STR("message"));
    if (v->kind != JSON_OBJECT) return lar_fail(err, LAR_EINVAL, "needs an object");
    for (const struct json *c = v->child; c; c = c->next) {
        size_t i = 0;
        while (known[i] && !str_is(c->key, known[i])) i++;
        if (!known[i] && c->kind != JSON_NULL)
            return lar_fail(err, LAR_EINVAL, "%.*s is not known here", STR_ARG(c->key));
    }
    if (str_is(type, "message")) return message(f, v, err);
    if (str_is(type, "function_call")) return call(f, v, err);
    if (str_is(type, "function_call_output")) return output(f, v, err);
    if (str_is(type, "reasoning")) return thought(f, v, err);
    return lar_fail(err, LAR_EUNSUPPORTED, "items of type '%.*s' are not supported by this server",
                    STR_ARG(type));
}

/* First those of an earlier answer, then the request's own, which an error counts. */
static int fold_all(struct ask *q, struct fold *f, struct str before, struct lar_err *err)
{
    struct buf b = {.limit = ASK_ARENA_MAX};
    int i = 0, own = 0, rc = 0;
    buf_putc(&b, '[');
    buf_str(&b, before);
    buf_puts(&b, before.n ? ",null" : "null"); /* the border between them */
    if (q->items.n) buf_putc(&b, ',');
    buf_str(&b, q->items);
    buf_putc(&b, ']');
    const char *copy = b.failed ? NULL : arena_copy(&q->a, b.p, b.n);
    const struct json *list = copy ? json_parse(&q->a, (struct str){copy, b.n}, err) : NULL;
    buf_done(&b);
    if (!list) return copy ? LAR_EINVAL : lar_fail(err, LAR_ENOMEM, "the request is too large");
    for (const struct json *v = list->child; v && rc == 0; v = v->next) {
        struct lar_err why = {0};
        int border = v->kind == JSON_NULL && !own;
        if (!border) rc = item(f, v, &why);
        if (rc < 0)
            lar_fail(err, rc, "%s[%d]: %s", own ? "input" : "the earlier answer", i, why.msg);
        own |= border;
        i = border ? 0 : i + 1;
    }
    return rc;
}

int responses_prompt(struct ask *q, struct str before, struct lar_err *err)
{
    struct fold f = {
        {.limit = ASK_ARENA_MAX}, {0}, {0}, {0}, q->from_file ? STR("") : q->role_system};
    const struct json *tools;
    int rc = tools_settle(q, &tools, err);
    if (rc == 0) rc = fold_all(q, &f, before, err);
    flush(&f);
    struct str all = buf_view(&f.out);
    struct buf b = {.limit = ASK_ARENA_MAX, .failed = f.out.failed};
    buf_putc(&b, '[');
    buf_str(&b, (struct str){all.p, all.n ? all.n - 1 : 0});
    buf_putc(&b, ']');
    const char *copy = b.failed ? NULL : arena_copy(&q->a, b.p, b.n);
    const struct json *list =
        rc == 0 && copy ? json_parse(&q->a, (struct str){copy, b.n}, err) : NULL;
    q->nprompt = 0;
    if (list)
        rc = chat_prompt(q, list, q->role_system, tools, err);
    else if (rc == 0)
        rc = lar_fail(err, LAR_ENOMEM, "the request is too large");
    buf_done(&b);
    buf_done(&f.out);
    buf_done(&f.text);
    buf_done(&f.thinking);
    buf_done(&f.calls);
    return rc;
}

/* ---- the request ------------------------------------------------------------------------------------------------------------------- */

/* As it will be kept: a message says that it is one, a text is a list of parts. */
static void own_item(struct buf *b, const struct json *v)
{
    const struct json *content = json_get(v, "content");
    int assistant = str_is(json_str(json_get(v, "role"), STR("")), "assistant");
    if (v->kind != JSON_OBJECT) {
        json_write(b, v);
        return;
    }
    buf_puts(b, json_get(v, "type") ? "{" : "{\"type\":\"message\",");
    for (const struct json *c = v->child; c; c = c->next) {
        if (c != v->child) buf_putc(b, ',');
        buf_json_str(b, c->key);
        buf_putc(b, ':');
        if (c != content || c->kind != JSON_STRING) {
            json_write(b, c);
            continue;
        }
        buf_printf(b, "[{\"type\":\"%s_text\",\"text\":", assistant ? "output" : "input");
        buf_json_str(b, c->s);
        buf_puts(b, assistant ? ",\"annotations\":[]}]" : "}]");
    }
    if (b->n && b->p[b->n - 1] == ',') b->n--; /* an empty object */
    buf_putc(b, '}');
}

static int own_items(struct ask *q, const struct json *v, struct lar_err *err)
{
    struct buf b = {.limit = ASK_ARENA_MAX};
    if (!v || (v->kind != JSON_STRING && v->kind != JSON_ARRAY))
        return lar_fail(err, LAR_EINVAL, "input is required: a string or a list of items");
    if (v->kind == JSON_STRING) {
        buf_puts(
            &b,
            "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":");
        buf_json_str(&b, v->s);
        buf_puts(&b, "}]}");
    }
    for (const struct json *c = v->child; c; c = c->next) {
        if (c != v->child) buf_putc(&b, ',');
        own_item(&b, c);
    }
    if (!b.n && !q->previous.n) return lar_fail(err, LAR_EINVAL, "input is empty");
    const char *p = b.failed ? NULL : arena_copy(&q->a, buf_z(&b), b.n);
    q->items = (struct str){p ? p : "", p ? b.n : 0};
    buf_done(&b);
    return p ? 0 : lar_fail(err, LAR_ENOMEM, "the request is too large");
}

int responses_read(struct ask *q, int kind, struct str body, struct lar_err *err)
{
    if (body.n == 0) return lar_fail(err, LAR_EINVAL, "the request has no body");
    const struct json *v = json_parse(&q->a, body, err);
    int rc = v ? field_read(q, v, fields, "", err) : LAR_EINVAL;
    if (rc < 0) return rc;
    q->body = v;
    if (q->role_system.n && json_get(v, "instructions") &&
        json_get(v, "instructions")->kind == JSON_STRING)
        q->from_file = 0;
    if (q->top) q->logprobs = 1;
    if (kind == RESPONSES_COUNT && q->stream)
        return lar_fail(err, LAR_EINVAL, "stream: a count is one number");
    rc = own_items(q, q->messages, err);
    return rc < 0 ? rc : responses_prompt(q, STR(""), err);
}
