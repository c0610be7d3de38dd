/* SPDX-License-Identifier: Apache-2.0
 * serve/tools_read.c: how requests name functions and a choice among them, OpenAI's way and Anthropic's. It reads only: nothing here
 * needs a model. */
#include "serve/tools.h"

#include "base/err.h"

static int keep(struct ask *q, struct buf *b, struct lar_err *err)
{
    const char *p = b->failed ? NULL : arena_copy(&q->a, buf_z(b), b->n);
    if (p) q->tools_text = (struct str){p, b->n};
    buf_done(b);
    return p ? 0 : lar_fail(err, LAR_ENOMEM, "the request is too large");
}

int tools_read(struct ask *q, const struct json *list, struct lar_err *err)
{
    struct buf b = {0};
    if (list->kind != JSON_ARRAY) return lar_fail(err, LAR_EINVAL, "needs a list");
    if (!list->n) return 0;
    for (const struct json *t = list->child; t; t = t->next)
        q->strict |= json_bool(json_get(json_get(t, "function"), "strict"), 0);
    json_write(&b, list);
    return keep(q, &b, err);
}

/* What a client may say of a tool beside these is refused, so that nobody waits for what does not come. */
static int flat_fields(const struct json *t, const char *schema, struct lar_err *err)
{
    static const char *const known[] = {"name", "description", "type", "cache_control", "strict", NULL};
    for (const struct json *c = t->child; c; c = c->next) {
        size_t i = 0;
        while (known[i] && !str_is(c->key, known[i])) i++;
        if (!known[i] && !str_is(c->key, schema) && c->kind != JSON_NULL)
            return lar_fail(err, LAR_EINVAL, "%.*s is not known here", STR_ARG(c->key));
    }
    return 0;
}

int tools_read_flat(struct ask *q, const struct json *list, const char *schema, struct lar_err *err)
{
    struct buf b = {0};
    int rc = 0;
    const char *kind = str_is(str_of(schema), "parameters") ? "function" : "custom";
    if (list->kind != JSON_ARRAY) return lar_fail(err, LAR_EINVAL, "needs a list");
    if (!list->n) return 0;
    for (const struct json *t = list->child; t && rc == 0; t = t->next) {
        struct str type = json_str(json_get(t, "type"), str_of(kind));
        const struct json *given = json_get(t, schema), *about = json_get(t, "description");
        if (!str_is(type, kind))
            rc = lar_fail(err, LAR_EUNSUPPORTED, "type '%.*s' is not supported by this server", STR_ARG(type));
        if (rc == 0) rc = flat_fields(t, schema, err);
        buf_puts(&b, t == list->child ? "[" : ",");
        buf_puts(&b, "{\"type\":\"function\",\"function\":{\"name\":");
        buf_json_str(&b, json_str(json_get(t, "name"), STR("")));
        if (about && about->kind != JSON_NULL) buf_puts(&b, ",\"description\":"), json_write(&b, about);
        if (given && given->kind != JSON_NULL) buf_puts(&b, ",\"parameters\":"), json_write(&b, given);
        buf_puts(&b, "}}");
        q->strict |= json_bool(json_get(t, "strict"), 0);
    }
    buf_putc(&b, ']');
    if (rc < 0) buf_done(&b);
    return rc < 0 ? rc : keep(q, &b, err);
}

static int named(struct ask *q, struct str name, struct lar_err *err)
{
    q->choice = LAR_TOOLS_NAMED;
    q->choice_said = 1;
    if (!name.n) return lar_fail(err, LAR_EINVAL, "needs the name of a function");
    return ask_text(q, name, &q->tool_name, err);
}

static int one_of(struct ask *q, struct str s, const char *must, struct lar_err *err)
{
    q->choice_said = 1;
    q->choice = str_is(s, "auto") ? LAR_TOOLS_AUTO : str_is(s, "none") ? LAR_TOOLS_NONE : LAR_TOOLS_REQUIRED;
    if (q->choice != LAR_TOOLS_REQUIRED || str_is(s, must)) return 0;
    return lar_fail(err, LAR_EUNSUPPORTED, "'%.*s' is none of auto, none, %s", STR_ARG(s), must);
}

int tools_choice(struct ask *q, const struct json *v, int flat, struct lar_err *err)
{
    struct str type = json_str(json_get(v, "type"), STR(""));
    if (v->kind == JSON_STRING) return one_of(q, v->s, "required", err);
    if (!str_is(type, "function"))
        return lar_fail(err, LAR_EUNSUPPORTED, "type '%.*s' is not supported by this server", STR_ARG(type));
    return named(q, json_str(json_get(flat ? v : json_get(v, "function"), "name"), STR("")), err);
}

int tools_choice_anthropic(struct ask *q, const struct json *v, struct lar_err *err)
{
    struct str type = json_str(json_get(v, "type"), STR(""));
    q->single = json_bool(json_get(v, "disable_parallel_tool_use"), 0);
    if (str_is(type, "tool")) return named(q, json_str(json_get(v, "name"), STR("")), err);
    return one_of(q, type, "any", err);
}

int tools_settle(struct ask *q, const struct json **list, struct lar_err *err)
{
    *list = NULL;
    if (!q->tools_text.n) {
        if (q->choice_said && (q->choice == LAR_TOOLS_REQUIRED || q->choice == LAR_TOOLS_NAMED))
            return lar_fail(err, LAR_EINVAL, "tool_choice: there are no tools to choose from");
        return 0;
    }
    if (q->choice == LAR_TOOLS_NONE) q->tools_text.n = 0; /* the model is not told of what it must not use */
    if (!q->tools_text.n) return 0;
    if (q->format)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "a format of the answer together with tools is not supported by this server");
    *list = json_parse(&q->a, q->tools_text, err);
    return *list ? 0 : LAR_EINVAL;
}
