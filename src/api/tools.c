/* SPDX-License-Identifier: Apache-2.0
 * api/tools.c: lar/tools.h: the model's form, a grammar of it for the tools at hand, and readers. */
#include "api/tools.h"

#include <lar/grammar.h>

#include "api/guide.h"
#include "text/calls.h"

enum { TOOLS_MAX = 512 };

struct lar_tools {
    struct lar_model *m; /* a reference of its own */
    struct arena a;
    const struct json *list;
    const struct call_form *form;
    struct lar_grammar *grammar; /* NULL: any text */
    int none;
    char *prompt;
    struct lar_err note;
};

struct lar_calls {
    struct calls c;
    int none;
    lar_call_fn *on;
    void *ctx;
};

/* ---- the model ---- */

static int is_control(void *ctx, struct str name)
{
    const struct lar_model *m = ctx;
    int32_t id = vocab_find(m->vocab, name);
    if (id < 0) return 0;
    return vocab_is_end(m->vocab, id) ? 2 : vocab_type(m->vocab, id) == TOKEN_CONTROL;
}

static int add_mark(struct lar_model *m, struct str name)
{
    int32_t id = vocab_find(m->vocab, name);
    if (id < 0 || api_is_call_mark(m, id)) return 0;
    return ids_add(&m->call_marks, id);
}

int api_tools_init(struct lar_model *m, struct lar_err *err)
{
    /* Harmony's other marks: without them its messages could not be told from one another. */
    static const char *const harmony[] = {"<|start|>", "<|channel|>", "<|constrain|>", "<|end|>"};
    const char *z;
    int kind, rc = 0;
    m->call_form = call_form_of(m->template_source, &m->call_told);
    for (size_t k = 0; rc == 0 && (z = call_form_mark(m->call_form, k)); k++)
        for (size_t i = 0; rc == 0 && z[i]; i++) {
            struct str t = calls_token(str_of(z), i, is_control, m, &kind);
            if (t.n && kind == 1) rc = add_mark(m, t);
        }
    for (size_t k = 0; rc == 0 && m->call_form->body == CALL_HARMONY && k < 4; k++)
        if (is_control(m, str_of(harmony[k])) == 1) rc = add_mark(m, str_of(harmony[k]));
    return rc < 0 ? lar_fail(err, LAR_ENOMEM, "model: out of memory") : 0;
}

int api_is_call_mark(const struct lar_model *m, int32_t id)
{
    for (size_t i = 0; i < m->call_marks.n; i++)
        if (m->call_marks.id[i] == id) return 1;
    return 0;
}

/* ---- tools ---- */

#define AN_OBJECT "arguments are an object: {\"type\":\"object\",\"properties\":{...}}"

/* Whether "type" lets an object through, alone or as one of several. */
static int may_be_object(const struct json *type)
{
    if (!type) return 1;
    if (type->kind == JSON_STRING) return str_is(type->s, "object");
    for (const struct json *c = type->kind == JSON_ARRAY ? type->child : NULL; c; c = c->next)
        if (c->kind == JSON_STRING && str_is(c->s, "object")) return 1;
    return 0;
}

static int read_list(struct lar_tools *t, struct str json, struct lar_err *err)
{
    char *copy = arena_copy(&t->a, json.p, json.n); /* the tree points into it */
    struct lar_err why = {0};
    if (!copy) return lar_fail(err, LAR_ENOMEM, "tools: out of memory");
    t->list = json_parse(&t->a, (struct str){copy, json.n}, &why);
    if (!t->list) return lar_fail(err, why.code, "tools: %s", why.msg);
    if (t->list->kind != JSON_ARRAY || !t->list->n || t->list->n > TOOLS_MAX)
        return lar_fail(err, LAR_EINVAL, "tools must be a list of 1 to %d functions", TOOLS_MAX);
    size_t i = 0;
    for (const struct json *c = t->list->child; c; c = c->next, i++) {
        struct str type = json_str(json_get(c, "type"), STR("function"));
        const struct json *f = json_get(c, "function");
        if (!f) f = c;
        struct str name = json_str(json_get(f, "name"), STR(""));
        const struct json *p = json_get(f, "parameters");
        int ok = name.n > 0 && name.n <= 128;
        for (size_t k = 0; k < name.n; k++)
            ok &= (unsigned char)name.p[k] > ' ' && !strchr("\"\\<>{}[]:,", name.p[k]);
        if (!str_is(type, "function"))
            return lar_fail(err, LAR_EUNSUPPORTED, "tools[%zu]: type '%.*s' is not supported, only functions are", i,
                            STR_ARG(type));
        if (!ok)
            return lar_fail(err, LAR_EINVAL, "tools[%zu]: a name of letters, digits, '_', '-' and '.' is needed", i);
        if (calls_tool(t->list, name) != f)
            return lar_fail(err, LAR_EINVAL, "tools[%zu]: there are two called %.*s", i, STR_ARG(name));
        if (p && p->kind != JSON_OBJECT && p->kind != JSON_NULL)
            return lar_fail(err, LAR_EINVAL, "tools[%zu]: parameters must be a JSON Schema, an object", i);
        if (p && !may_be_object(json_get(p, "type")))
            return lar_fail(err, LAR_EINVAL, "tools[%zu] \"%.*s\": parameters/type names no object; " AN_OBJECT, i,
                            STR_ARG(name));
    }
    return 0;
}

static struct str name_at(const struct lar_tools *t, size_t i)
{
    const struct json *c = t->list->child;
    while (i-- && c) c = c->next;
    return json_str(json_get(json_get(c, "function") ? json_get(c, "function") : c, "name"), STR(""));
}

/* An error of the tools' schemas: /properties/0/... is the first tool's. */
static int told(const struct lar_tools *t, int rc, const struct lar_err *why, struct lar_err *err)
{
    static const char head[] = "/properties/";
    const char *at = why->msg + sizeof head - 1;
    size_t i = 0;
    if (strncmp(why->msg, head, sizeof head - 1)) return lar_fail(err, rc, "tools: %s", why->msg);
    while (*at >= '0' && *at <= '9' && i <= TOOLS_MAX) i = i * 10 + (size_t)(*at++ - '0');
    if (i >= t->list->n) return lar_fail(err, rc, "tools: %s", why->msg);
    return lar_fail(err, rc, "tools[%zu] \"%.*s\": parameters%s", i, STR_ARG(name_at(t, i)), at);
}

/* Refuses parameters that no object satisfies, whatever the form of calls. */
static int check_objects(const struct lar_tools *t, struct lar_err *err)
{
    for (size_t i = 0; i < t->list->n; i++) {
        int rc = grammar_part_lives(t->grammar->g, (uint32_t)i, err);
        if (rc < 0) return rc;
        if (!rc)
            return lar_fail(err, LAR_EINVAL, "tools[%zu] \"%.*s\": no object satisfies parameters; " AN_OBJECT, i,
                            STR_ARG(name_at(t, i)));
    }
    return 0;
}

static int make_grammar(struct lar_tools *t, const struct lar_tools_options *o, struct lar_err *err)
{
    struct calls_choice q = {.choice = o->choice == LAR_TOOLS_AUTO ? CALLS_AUTO : CALLS_REQUIRED,
                             .single = o->single,
                             .control = is_control,
                             .ctx = t->m};
    struct buf b = {0};
    if (o->choice == LAR_TOOLS_NAMED) {
        q.name = str_of(o->name);
        if (!q.name.n || !calls_tool(t->list, q.name))
            return lar_fail(err, LAR_EINVAL, "tool_choice: there is no tool called '%.*s'", STR_ARG(q.name));
    }
    int rc = calls_grammar(t->form, t->list, &q, &b, err);
    if (rc == 0 && !(t->grammar = mem_zalloc(sizeof *t->grammar)))
        rc = lar_fail(err, LAR_ENOMEM, "tools: out of memory");
    if (rc == 0) {
        pthread_mutex_init(&t->grammar->lock, NULL);
        struct grammar_options go = {.space = 1};
        struct lar_err why = {0};
        rc = grammar_open(&t->grammar->g, GRAMMAR_PARTS, buf_view(&b), &go, NULL, &why);
        if (rc < 0) told(t, rc, &why, err);
    }
    if (rc == 0) rc = check_objects(t, err);
    if (rc == 0) rc = lar_grammar_bind(t->grammar, t->m, err);
    if (rc < 0) lar_grammar_close(t->grammar), t->grammar = NULL;
    buf_done(&b);
    return rc;
}

/* For templates that know no tools. */
static int make_prompt(struct lar_tools *t, struct lar_err *err)
{
    struct buf b = {0};
    if (!t->m->call_told && !t->none) {
        buf_puts(&b, "You may call functions. Each line in <tools> describes one:\n<tools>\n");
        for (const struct json *c = t->list->child; c; c = c->next) json_write(&b, c), buf_putc(&b, '\n');
        buf_puts(&b, "</tools>\nTo call one, write its name and arguments as JSON between tags, and nothing else:\n"
                     "<tool_call>\n{\"name\": \"the name\", \"arguments\": {...}}\n</tool_call>");
    }
    buf_putc(&b, 0);
    t->prompt = b.failed ? NULL : arena_copy(&t->a, b.p, b.n);
    buf_done(&b);
    return t->prompt ? 0 : lar_fail(err, LAR_ENOMEM, "tools: out of memory");
}

int lar_tools_open(struct lar_tools **out, struct lar_model *m, const char *json, size_t n,
                   const struct lar_tools_options *opt, struct lar_err *err)
{
    struct lar_tools_options o = opt ? *opt : (struct lar_tools_options){0};
    struct lar_err why = {0};
    if (!out || !m || !json) return lar_fail(err, LAR_EINVAL, "lar_tools_open: out, model and json are needed");
    *out = NULL;
    if ((unsigned)o.choice > LAR_TOOLS_NONE)
        return lar_fail(err, LAR_EINVAL, "tool choice %d is not known", (int)o.choice);
    struct lar_tools *t = mem_zalloc(sizeof *t);
    if (!t) return lar_fail(err, LAR_ENOMEM, "tools: out of memory");
    arena_init(&t->a, (size_t)64 << 20);
    atomic_fetch_add(&m->refs, 1);
    t->m = m;
    t->form = m->call_form;
    t->none = o.choice == LAR_TOOLS_NONE;
    int rc = read_list(t, (struct str){json, n}, err);
    if (rc == 0) rc = make_prompt(t, err);
    if (rc == 0 && !t->none) {
        rc = make_grammar(t, &o, &why);
        if (rc == LAR_EUNSUPPORTED && o.choice == LAR_TOOLS_AUTO && !o.strict)
            t->note = why, rc = 0;
        else if (rc < 0)
            lar_fail(err, rc, "%s", why.msg);
    }
    if (rc < 0)
        lar_tools_close(t);
    else
        *out = t;
    return rc;
}

void lar_tools_close(struct lar_tools *t)
{
    if (!t) return;
    lar_grammar_close(t->grammar);
    arena_done(&t->a);
    api_model_unref(t->m);
    mem_free(t);
}

size_t lar_tools_bytes(const struct lar_tools *t)
{
    size_t n = lar_grammar_bytes(t->grammar);
    return n == SIZE_MAX ? n : n + sizeof *t + t->a.used;
}

const char *lar_tools_form(const struct lar_tools *t) { return t->form->name; }
const char *lar_tools_note(const struct lar_tools *t) { return t->note.msg; }
const char *lar_tools_prompt(const struct lar_tools *t) { return t->prompt; }
struct lar_grammar *api_tools_grammar(const struct lar_tools *t) { return t->grammar; }

/* ---- reading ---- */

static void on_event(void *ctx, enum call_event e, size_t index, struct str s)
{
    struct lar_calls *c = ctx;
    c->on(c->ctx, (enum lar_call_event)e, index, s.p ? s.p : "", s.n);
}

int lar_calls_open(struct lar_calls **out, const struct lar_tools *t, lar_call_fn *on, void *ctx, struct lar_err *err)
{
    if (!out || !t || !on) return lar_fail(err, LAR_EINVAL, "lar_calls_open: out, tools and a function are needed");
    struct lar_calls *c = *out = mem_zalloc(sizeof *c);
    if (!c) return lar_fail(err, LAR_ENOMEM, "calls: out of memory");
    *c = (struct lar_calls){.none = t->none, .on = on, .ctx = ctx};
    c->c = (struct calls){.form = t->form, .tools = t->list, .on = on_event, .ctx = c};
    calls_begin(&c->c);
    return 0;
}

void lar_calls_add(struct lar_calls *c, const char *text, size_t n)
{
    if (c->none)
        c->on(c->ctx, LAR_CALL_TEXT, 0, text, n);
    else
        calls_add(&c->c, (struct str){text, n});
}

void lar_calls_end(struct lar_calls *c)
{
    if (!c->none) calls_end(&c->c);
}

const char *lar_calls_warning(const struct lar_calls *c) { return c->c.warning; }

void lar_calls_close(struct lar_calls *c)
{
    if (!c) return;
    calls_done(&c->c);
    mem_free(c);
}
