/* SPDX-License-Identifier: Apache-2.0
 * serve/anthropic_read.c: Anthropic's requests, read by tables. Blocks of text, thinking, tool use and tool results become messages as chat
 * templates know them; images and documents are refused by name. */
#include "base/err.h"
#include "serve/anthropic.h"
#include "serve/chat.h"
#include "serve/field.h"
#include "serve/tools.h"

/* A system prompt: a string or a list of text blocks. */
static int read_system(struct ask *q, const struct json *v, const struct field *f,
                       struct lar_err *err)
{
    struct buf b = {0};
    (void)f;
    int rc = chat_content(&b, v, err);
    const char *p = rc == 0 && !b.failed ? arena_copy(&q->a, buf_z(&b), b.n) : NULL;
    if (p) q->role_system = (struct str){p, b.n};
    if (rc == 0 && !p) rc = lar_fail(err, LAR_ENOMEM, "the request is too large");
    buf_done(&b);
    return rc;
}

/* {"type":"disabled"}, or enabled or adaptive; a budget of tokens is a wish that no model here can be held to. */
static int read_thinking(struct ask *q, const struct json *v, const struct field *f,
                         struct lar_err *err)
{
    struct str type = json_str(json_get(v, "type"), STR(""));
    (void)f;
    if (str_is(type, "disabled")) return q->think = LAR_THINK_OFF, 0;
    if (json_get(v, "budget_tokens"))
        return lar_fail(err, LAR_EUNSUPPORTED, "budget_tokens is not supported by this server");
    if (str_is(type, "enabled") || str_is(type, "adaptive")) return q->think = LAR_THINK_ON, 0;
    return lar_fail(err, LAR_EINVAL, "type must be enabled, adaptive or disabled");
}

static int read_choice(struct ask *q, const struct json *v, const struct field *f,
                       struct lar_err *err)
{
    (void)f;
    return tools_choice_anthropic(q, v, err);
}

static int read_tools(struct ask *q, const struct json *v, const struct field *f,
                      struct lar_err *err)
{
    (void)f;
    return tools_read_flat(q, v, "input_schema", err);
}

static int read_output(struct ask *q, const struct json *v, const struct field *f,
                       struct lar_err *err)
{
    const struct json *format = json_get(v, "format"), *schema = json_get(format, "schema");
    (void)f;
    for (const struct json *c = v->child; c; c = c->next)
        if (c->kind != JSON_NULL && !str_is(c->key, "format"))
            return lar_fail(err, LAR_EUNSUPPORTED, "%.*s is not supported by this server",
                            STR_ARG(c->key));
    if (!format || format->kind == JSON_NULL) return 0;
    if (!str_is(json_str(json_get(format, "type"), STR("")), "json_schema") || !schema)
        return lar_fail(err, LAR_EINVAL, "format needs type json_schema and a schema");
    return chat_format(q, schema, err);
}

#define AT(x) offsetof(struct ask, x)
/* clang-format off */
static const struct field fields[] = {
    {"model", field_str, AT(model), 0, 0, NULL},
    {"max_tokens", field_int, AT(max_tokens), 1, 1 << 30, NULL},
    {"messages", field_node, AT(messages), 0, 0, NULL},
    {"system", read_system, 0, 0, 0, NULL},
    {"stream", field_flag, AT(stream), 0, 0, NULL},
    {"temperature", field_param, ASK_TEMP, 0, 1, NULL},
    {"top_p", field_param, ASK_TOP_P, 0, 1, NULL},
    {"top_k", field_whole, ASK_TOP_K, 0, 1 << 30, NULL},
    {"stop_sequences", field_stop, 0, 0, 0, NULL},
    {"thinking", read_thinking, 0, 0, 0, NULL},
    {"metadata", field_hint, 0, 0, 0, NULL},
    {"tools", read_tools, 0, 0, 0, NULL},
    {"tool_choice", read_choice, 0, 0, 0, NULL},
    {"cache_control", field_hint, 0, 0, 0, NULL}, /* what was read is kept without it */
    {"service_tier", field_hint, 0, 0, 0, NULL}, /* there is one tier */
    {"container", field_false, 0, 0, 0, NULL},
    {"mcp_servers", field_false, 0, 0, 0, NULL},
    {"output_config", read_output, 0, 0, 0, NULL},
    {NULL, NULL, 0, 0, 0, NULL},
};
/* clang-format on */

/* What one message's blocks are together. */
struct parts {
    struct buf text, thinking, calls,
        results; /* results: messages of their own, each with a comma behind it */
};

static void key(struct buf *b, const char *name, struct str value)
{
    buf_printf(b, "\"%s\":", name);
    buf_json_str(b, value);
}

static int result_block(struct parts *p, const struct json *v, struct lar_err *err)
{
    struct buf text = {0};
    int rc = chat_content(&text, json_get(v, "content"), err);
    buf_puts(&p->results, "{\"role\":\"tool\",");
    key(&p->results, "tool_call_id", json_str(json_get(v, "tool_use_id"), STR("")));
    buf_putc(&p->results, ',');
    key(&p->results, "content", buf_view(&text));
    buf_puts(&p->results, "},");
    p->results.failed |= text.failed;
    buf_done(&text);
    return rc;
}

static int use_block(struct parts *p, const struct json *v, struct lar_err *err)
{
    const struct json *input = json_get(v, "input"), *name = json_get(v, "name");
    if (!name || name->kind != JSON_STRING)
        return lar_fail(err, LAR_EINVAL, "a tool_use block lacks its name");
    if (input && input->kind != JSON_OBJECT)
        return lar_fail(err, LAR_EINVAL, "input of tool_use must be an object");
    if (p->calls.n) buf_putc(&p->calls, ',');
    buf_puts(&p->calls, "{\"type\":\"function\",");
    key(&p->calls, "id", json_str(json_get(v, "id"), STR("")));
    buf_puts(&p->calls, ",\"function\":{");
    key(&p->calls, "name", name->s);
    buf_puts(&p->calls, ",\"arguments\":");
    if (input)
        json_write(&p->calls, input);
    else
        buf_puts(&p->calls, "{}");
    buf_puts(&p->calls, "}}");
    return 0;
}

static int block(struct parts *p, const struct json *v, struct lar_err *err)
{
    struct str type = json_str(json_get(v, "type"), STR("")),
               text = json_str(json_get(v, "text"), STR(""));
    if (str_is(type, "text")) return buf_str(&p->text, text), 0;
    if (str_is(type, "thinking"))
        return buf_str(&p->thinking, json_str(json_get(v, "thinking"), STR(""))), 0;
    if (str_is(type, "tool_use")) return use_block(p, v, err);
    if (str_is(type, "tool_result")) return result_block(p, v, err);
    return lar_fail(err, LAR_EUNSUPPORTED,
                    "blocks of type '%.*s' are not supported: this model reads text",
                    STR_ARG(type));
}

static void write_message(struct buf *b, struct str role, struct parts *p)
{
    buf_str(b, buf_view(&p->results));
    if (p->results.n && !p->text.n && !p->calls.n) return;
    buf_putc(b, '{');
    key(b, "role", role);
    buf_putc(b, ',');
    key(b, "content", buf_view(&p->text));
    if (p->thinking.n) {
        buf_putc(b, ',');
        key(b, "reasoning_content", buf_view(&p->thinking));
    }
    if (p->calls.n) {
        buf_puts(b, ",\"tool_calls\":[");
        buf_str(b, buf_view(&p->calls));
        buf_putc(b, ']');
    }
    buf_puts(b, "},");
}

static int message(struct buf *b, const struct json *m, struct lar_err *err)
{
    struct parts p = {{0}, {0}, {0}, {0}};
    struct str role = json_str(json_get(m, "role"), STR(""));
    const struct json *content = json_get(m, "content");
    int rc = 0;
    if (!str_is(role, "user") && !str_is(role, "assistant"))
        return lar_fail(err, LAR_EINVAL, "role '%.*s' is neither user nor assistant",
                        STR_ARG(role));
    for (const struct json *c = m->child; c; c = c->next)
        if (!str_is(c->key, "role") && !str_is(c->key, "content"))
            return lar_fail(err, LAR_EINVAL, "%.*s is not known here", STR_ARG(c->key));
    if (!content || (content->kind != JSON_STRING && content->kind != JSON_ARRAY))
        return lar_fail(err, LAR_EINVAL, "content: needs a string or a list of blocks");
    if (content->kind == JSON_STRING) buf_str(&p.text, content->s);
    for (const struct json *c = content->child; c && rc == 0; c = c->next) rc = block(&p, c, err);
    if (rc == 0) write_message(b, role, &p);
    b->failed |= p.text.failed | p.thinking.failed | p.calls.failed | p.results.failed;
    buf_done(&p.text);
    buf_done(&p.thinking);
    buf_done(&p.calls);
    buf_done(&p.results);
    return rc;
}

static int prompt(struct ask *q, struct lar_err *err)
{
    struct buf b = {.limit = ASK_ARENA_MAX};
    int i = 0;
    const struct json *tools;
    int rc = tools_settle(q, &tools, err);
    buf_puts(&b, "{\"messages\":[");
    if (q->role_system.n) {
        buf_puts(&b, "{\"role\":\"system\",");
        key(&b, "content", q->role_system);
        buf_puts(&b, "},");
    }
    for (const struct json *m = q->messages->child; m && rc == 0; m = m->next, i++) {
        struct lar_err why = {0};
        rc = message(&b, m, &why);
        if (rc < 0) lar_fail(err, rc, "messages[%d]: %s", i, why.msg);
    }
    if (b.n && !b.failed && b.p[b.n - 1] == ',') b.n--;
    buf_putc(&b, ']');
    if (tools) buf_puts(&b, ",\"tools\":"), json_write(&b, tools);
    buf_putc(&b, '}');
    if (rc == 0 && b.failed) rc = lar_fail(err, LAR_ENOMEM, "the request is too large");
    struct ask_prompt *p = rc == 0 ? ask_add(q, err) : NULL;
    if (p) rc = ask_text(q, buf_view(&b), &p->chat, err);
    buf_done(&b);
    return rc < 0 ? rc : p ? 0 : LAR_ENOMEM;
}

int anthropic_read(struct ask *q, int kind, struct str body, struct lar_err *err)
{
    if (body.n == 0) return lar_fail(err, LAR_EINVAL, "the request has no body");
    const struct json *v = json_parse(&q->a, body, err);
    int rc = v ? field_read(q, v, fields, "", err) : LAR_EINVAL;
    if (rc < 0) return rc;
    if (kind == ANTHROPIC_MESSAGES && !q->max_tokens)
        return lar_fail(err, LAR_EINVAL, "max_tokens is required");
    if (!q->messages || q->messages->kind != JSON_ARRAY || !q->messages->n)
        return lar_fail(err, LAR_EINVAL, "messages is required and must not be empty");
    return prompt(q, err);
}
