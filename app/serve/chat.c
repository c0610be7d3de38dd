/* SPDX-License-Identifier: Apache-2.0
 * serve/chat.c: see chat.h. */
#include "serve/chat.h"

#include <lar/grammar.h>

#include "base/err.h"

static int is_known_role(struct str s)
{
    static const char *const role[] = {"system", "developer", "user", "assistant", "tool"};
    for (size_t i = 0; i < sizeof role / sizeof *role; i++)
        if (str_is(s, role[i])) return 1;
    return 0;
}

int chat_content(struct buf *b, const struct json *v, struct lar_err *err)
{
    if (!v || v->kind == JSON_NULL) return 0;
    if (v->kind == JSON_STRING) {
        buf_str(b, v->s);
        return 0;
    }
    if (v->kind != JSON_ARRAY)
        return lar_fail(err, LAR_EINVAL, "content: needs a string or a list of parts");
    for (const struct json *c = v->child; c; c = c->next) {
        const struct json *type = json_get(c, "type"), *text = json_get(c, "text");
        struct str name = json_str(type, STR(""));
        if (!str_is(name, "text") && !str_is(name, "input_text") && !str_is(name, "output_text"))
            return lar_fail(
                err, LAR_EUNSUPPORTED,
                "content: parts of type '%.*s' are not supported: this model reads text",
                STR_ARG(name));
        if (!text || text->kind != JSON_STRING)
            return lar_fail(err, LAR_EINVAL, "content: a text part lacks its text");
        buf_str(b, text->s);
    }
    return 0;
}

/* OpenAI's clients send arguments as a string that holds JSON, templates want the object. */
static int arguments(struct ask *q, struct buf *b, const struct json *v, struct lar_err *err)
{
    const struct json *object = v;
    if (v && v->kind == JSON_STRING) object = json_parse(&q->a, v->s.n ? v->s : STR("{}"), NULL);
    if (v && (!object || object->kind != JSON_OBJECT))
        return lar_fail(err, LAR_EINVAL,
                        "tool_calls: arguments must be a JSON object, or a string that holds one");
    if (object)
        json_write(b, object);
    else
        buf_puts(b, "{}");
    return 0;
}

static int tool_calls(struct ask *q, struct buf *b, const struct json *list, struct lar_err *err)
{
    int rc = 0;
    if (list->kind != JSON_ARRAY) return lar_fail(err, LAR_EINVAL, "tool_calls: needs a list");
    if (!list->n) return 0;
    buf_puts(b, ",\"tool_calls\":[");
    for (const struct json *c = list->child; c && rc == 0; c = c->next) {
        const struct json *f = json_get(c, "function"), *name = json_get(f, "name"),
                          *id = json_get(c, "id");
        if (!name || name->kind != JSON_STRING)
            return lar_fail(err, LAR_EINVAL, "tool_calls: a call lacks function.name");
        buf_puts(b, c == list->child ? "{\"type\":\"function\"" : ",{\"type\":\"function\"");
        if (id && id->kind == JSON_STRING) {
            buf_puts(b, ",\"id\":");
            buf_json_str(b, id->s);
        }
        buf_puts(b, ",\"function\":{\"name\":");
        buf_json_str(b, name->s);
        buf_puts(b, ",\"arguments\":");
        rc = arguments(q, b, json_get(f, "arguments"), err);
        buf_puts(b, "}}");
    }
    buf_putc(b, ']');
    return rc;
}

/* A member that goes along under a name of the template's. */
static void carry(struct buf *b, const struct json *m, const char *from, const char *to)
{
    const struct json *v = json_get(m, from);
    if (!v || v->kind != JSON_STRING) return;
    buf_printf(b, ",\"%s\":", to);
    buf_json_str(b, v->s);
}

static int message(struct ask *q, struct buf *b, const struct json *m, struct lar_err *err)
{
    static const char *const known[] = {
        "role",      "content",      "name",     "images",        "tool_calls",
        "tool_name", "tool_call_id", "thinking", "reasoning",     "reasoning_content",
        "refusal",   "annotations",  "audio",    "function_call", NULL};
    struct buf text = {0};
    if (m->kind != JSON_OBJECT)
        return lar_fail(err, LAR_EINVAL, "needs an object with role and content");
    struct str role = json_str(json_get(m, "role"), STR(""));
    if (!is_known_role(role))
        return lar_fail(err, LAR_EINVAL,
                        "role '%.*s' is none of system, developer, user, assistant, tool",
                        STR_ARG(role));
    for (const struct json *c = m->child; c; c = c->next) {
        size_t i = 0;
        while (known[i] && !str_is(c->key, known[i])) i++;
        if (!known[i]) return lar_fail(err, LAR_EINVAL, "%.*s is not known here", STR_ARG(c->key));
        int empty = c->kind == JSON_NULL || (c->kind == JSON_ARRAY && !c->n);
        if (!empty && (str_is(c->key, "images") || str_is(c->key, "audio") ||
                       str_is(c->key, "function_call")))
            return lar_fail(err, LAR_EUNSUPPORTED, "%.*s are not supported: this model reads text",
                            STR_ARG(c->key));
    }
    int rc = chat_content(&text, json_get(m, "content"), err);
    buf_puts(b, "{\"role\":");
    buf_json_str(b, str_is(role, "developer") ? STR("system") : role);
    buf_puts(b, ",\"content\":");
    buf_json_str(b, buf_view(&text));
    carry(b, m, "name", "name");
    carry(b, m, "tool_name", "name");
    carry(b, m, "tool_call_id", "tool_call_id");
    carry(b, m, "thinking", "reasoning_content");
    carry(b, m, "reasoning", "reasoning_content");
    carry(b, m, "reasoning_content", "reasoning_content");
    const struct json *calls = json_get(m, "tool_calls");
    if (rc == 0 && calls && calls->kind != JSON_NULL) rc = tool_calls(q, b, calls, err);
    buf_putc(b, '}');
    b->failed |= text.failed;
    buf_done(&text);
    return rc;
}

int chat_prompt(struct ask *q, const struct json *messages, struct str system,
                const struct json *tools, struct lar_err *err)
{
    struct buf b = {.limit = ASK_ARENA_MAX};
    int rc = 0, i = 0, comma = 0;
    if (messages && messages->kind != JSON_ARRAY)
        return lar_fail(err, LAR_EINVAL, "messages: needs a list");
    if (messages && messages->child &&
        str_is(json_str(json_get(messages->child, "role"), STR("")), "system"))
        system = STR(""); /* the request's own counts, not the Modelfile's */
    buf_puts(&b, "{\"messages\":[");
    if (system.n) {
        buf_puts(&b, "{\"role\":\"system\",\"content\":");
        buf_json_str(&b, system);
        buf_putc(&b, '}');
        comma = 1;
    }
    for (const struct json *m = q->shots ? q->shots->child : NULL; m && rc == 0; m = m->next) {
        if (comma++) buf_putc(&b, ',');
        rc = message(q, &b, m, err);
    }
    for (const struct json *m = messages ? messages->child : NULL; m && rc == 0; m = m->next, i++) {
        struct lar_err why = {0};
        if (comma++) buf_putc(&b, ',');
        rc = message(q, &b, m, &why);
        if (rc < 0) lar_fail(err, rc, "messages[%d]: %s", i, why.msg);
    }
    buf_putc(&b, ']');
    if (tools) {
        buf_puts(&b, ",\"tools\":");
        json_write(&b, tools);
    }
    buf_putc(&b, '}');
    if (rc == 0 && b.failed) rc = lar_fail(err, LAR_ENOMEM, "the request is too large");
    struct ask_prompt *p = rc == 0 ? ask_add(q, err) : NULL;
    if (p) rc = ask_text(q, buf_view(&b), &p->chat, err);
    buf_done(&b);
    return rc < 0 ? rc : p ? 0 : LAR_ENOMEM;
}

int chat_format(struct ask *q, const struct json *schema, struct lar_err *err)
{
    struct buf b = {0};
    if (schema && schema->kind != JSON_OBJECT && schema->kind != JSON_BOOL)
        return lar_fail(err, LAR_EINVAL, "a schema must be an object");
    if (schema)
        json_write(&b, schema);
    else
        buf_puts(&b, "{\"type\":\"object\"}");
    const char *p = b.failed ? NULL : arena_copy(&q->a, b.p, b.n);
    q->schema = (struct str){p ? p : "", p ? b.n : 0};
    q->format = 1 + LAR_GRAMMAR_SCHEMA;
    buf_done(&b);
    return p ? 0 : lar_fail(err, LAR_ENOMEM, "the request is too large");
}
