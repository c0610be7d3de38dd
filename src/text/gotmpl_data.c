/* SPDX-License-Identifier: Apache-2.0
 *
 * text/gotmpl_data.c: what a template sees of a chat, as Ollama shows it (its template/template.go: Execute, collate,
 * convertMessagesForTemplate, convertToolsForTemplate; its api/types.go), and the three ways in which a template is run:
 *   - prompt and suffix are given: once, with .Prompt and .Suffix;
 *   - the template asks for .Messages: once, with .System, .Messages, .Tools;
 *   - else turn by turn with .System, .Prompt and .Response; the last turn ends where .Response would stand.
 * Messages of the same role in a row become one, but for those of tools. A Go map is sorted by key; numbers of JSON are floats.
 */
#include "base/sort.h"
#include "text/gotmpl_impl.h"

enum { STEPS = 10000000, MEMORY = 256 << 20, OUTPUT = 64 << 20 };

struct gotmpl *gotmpl_compile(struct str source, struct lar_err *err)
{
    struct gotmpl *t = mem_zalloc(sizeof *t);
    if (!t) return lar_fail(err, LAR_ENOMEM, "template: out of memory"), NULL;
    arena_init(&t->a, 0);
    int rc = 0;
    if (source.n > GO_SOURCE_MAX)
        rc = lar_fail(err, LAR_ELIMIT, "template: %zu bytes, %d is the most", source.n,
                      GO_SOURCE_MAX);
    t->source = (struct str){rc == 0 ? arena_copy(&t->a, source.n ? source.p : "", source.n) : NULL,
                             source.n};
    if (rc == 0 && !t->source.p) rc = lar_fail(err, LAR_ENOMEM, "template: out of memory");
    if (rc == 0) rc = gotmpl_parse(t, err);
    if (rc == 0) return t;
    gotmpl_free(t);
    return NULL;
}

void gotmpl_free(struct gotmpl *t)
{
    if (!t) return;
    arena_done(&t->a);
    mem_free(t);
}

/* "tool_call_id" is ToolCallID, "$defs" Defs, "anyOf" AnyOf, "Role" itself. */
int go_name_is(struct str key, struct str name)
{
    size_t k = 0;
    int upper = 1;
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        if (c == '_' || c == '$') {
            upper = 1;
            continue;
        }
        int id = upper && key.n - i == 2 && c == 'i' && key.p[i + 1] == 'd'; /* Go writes ID */
        if (upper && c >= 'a' && c <= 'z') c = (char)(c - 32);
        upper = id;
        if (k == name.n || name.p[k++] != c) return 0;
    }
    return k == name.n;
}

/* ---- JSON as values ----------------------------------------------------------------------------------------------------- */

static void *make(struct go_run *r, size_t count, size_t size)
{
    void *p = arena_array(&r->a, count ? count : 1, size);
    if (!p) lar_fail(r->err, LAR_ELIMIT, "template: the input takes too much memory");
    return p;
}

static int by_key(const void *ctx, uint32_t a, uint32_t b)
{
    const struct go_member *m = ctx;
    struct str x = m[a].key, y = m[b].key;
    int c = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);
    return c ? c : x.n < y.n ? -1 : x.n > y.n ? 1 : a < b ? -1 : 1;
}

typedef int convert_fn(struct go_run *r, const struct json *v, struct go_val *out);

static int any(struct go_run *r, const struct json *v, struct go_val *out);

/* An object as a Go map: sorted, of equal keys the last. */
static int map_of(struct go_run *r, const struct json *v, convert_fn *value, struct go_val *out)
{
    size_t n = v && v->kind == JSON_OBJECT ? v->n : 0, k = 0;
    struct go_member *m = make(r, n, sizeof *m), *sorted = make(r, n, sizeof *sorted);
    uint32_t *order = make(r, n, sizeof *order);
    if (!m || !sorted || !order) return LAR_ELIMIT;
    for (const struct json *e = n ? v->child : NULL; e; e = e->next, k++) {
        m[k].key = e->key;
        order[k] = (uint32_t)k;
        int rc = value(r, e, &m[k].v);
        if (rc < 0) return rc;
    }
    sort_u32(order, n, by_key, m);
    k = 0;
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && str_eq(m[order[i]].key, m[order[i + 1]].key)) continue;
        sorted[k++] = m[order[i]];
    }
    *out = (struct go_val){.kind = GO_MAP, .member = sorted, .n = k};
    return 0;
}

static int list_of(struct go_run *r, const struct json *v, convert_fn *value, struct go_val *out)
{
    size_t n = v && v->kind == JSON_ARRAY ? v->n : 0, k = 0;
    struct go_val *item = v && v->kind == JSON_ARRAY ? make(r, n, sizeof *item) : NULL;
    if (n && !item) return LAR_ELIMIT;
    for (const struct json *e = n ? v->child : NULL; e; e = e->next) {
        int rc = value(r, e, &item[k++]);
        if (rc < 0) return rc;
    }
    *out = (struct go_val){.kind = GO_LIST, .item = item, .n = n};
    return 0;
}

/* The parser of JSON bounds its depth, and so this. */
static int any(struct go_run *r, const struct json *v, struct go_val *out)
{
    *out = go_nil();
    if (!v) return 0;
    switch (v->kind) {
    case JSON_NULL: break;
    case JSON_BOOL: *out = go_bool(v->boolean); break;
    case JSON_NUMBER: *out = (struct go_val){.kind = GO_FLOAT, .f = v->num}; break;
    case JSON_STRING: *out = go_str(v->s); break;
    case JSON_ARRAY: return list_of(r, v, any, out);
    case JSON_OBJECT: return map_of(r, v, any, out);
    }
    return 0;
}

/* A struct of Go: its fields in order, what each is made from and by. */
struct form {
    const char *key;
    convert_fn *value;
    int omit;         /* omitempty */
    const char *name; /* in JSON, where it is not key */
};

static int struct_of(struct go_run *r, const struct json *v, const struct form *f, size_t n,
                     struct go_val *out)
{
    struct go_member *m = make(r, n, sizeof *m);
    if (!m) return LAR_ELIMIT;
    for (size_t i = 0; i < n; i++) {
        m[i].key = str_of(f[i].name ? f[i].name : f[i].key);
        m[i].omit = f[i].omit;
        int rc = f[i].value(r, json_get(v, f[i].key), &m[i].v);
        if (rc < 0) return rc;
    }
    *out = (struct go_val){.kind = GO_STRUCT, .member = m, .n = n};
    return 0;
}

#define STRUCT(form_) struct_of(r, v, form_, sizeof form_ / sizeof *form_, out)

static int text(struct go_run *r, const struct json *v, struct go_val *out)
{
    (void)r;
    *out = go_str(json_str(v, STR("")));
    return 0;
}

static int list(struct go_run *r, const struct json *v, struct go_val *out)
{
    return list_of(r, v, any, out);
}

/* ---- tools ---------------------------------------------------------------------------------------------------------------------- */

static int properties(struct go_run *r, const struct json *v, struct go_val *out);

static int property(struct go_run *r, const struct json *v, struct go_val *out);

static int property_list(struct go_run *r, const struct json *v, struct go_val *out)
{
    return list_of(r, v, property, out);
}

static int property(struct go_run *r, const struct json *v, struct go_val *out)
{
    static const struct form f[] = {
        {"anyOf", property_list, 1, NULL}, {"type", any, 1, NULL},
        {"items", any, 1, NULL},           {"description", text, 1, NULL},
        {"enum", list, 1, NULL},           {"properties", properties, 1, NULL},
        {"required", list, 1, NULL}};
    return STRUCT(f);
}

static int properties(struct go_run *r, const struct json *v, struct go_val *out)
{
    int rc = map_of(r, v, property, out);
    out->as_json = 1;
    return rc;
}

static int parameters(struct go_run *r, const struct json *v, struct go_val *out)
{
    static const struct form f[] = {{"type", text, 0, NULL},
                                    {"$defs", any, 1, NULL},
                                    {"items", any, 1, NULL},
                                    {"required", list, 1, NULL},
                                    {"properties", properties, 0, NULL}};
    return STRUCT(f);
}

static int function(struct go_run *r, const struct json *v, struct go_val *out)
{
    static const struct form f[] = {{"name", text, 0, NULL},
                                    {"description", text, 0, NULL},
                                    {"parameters", parameters, 0, NULL}};
    return STRUCT(f);
}

static int tool(struct go_run *r, const struct json *v, struct go_val *out)
{
    static const struct form f[] = {
        {"type", text, 0, NULL}, {"items", any, 1, NULL}, {"function", function, 0, NULL}};
    int rc = STRUCT(f);
    out->as_json = 1;
    return rc;
}

/* ---- messages ------------------------------------------------------------------------------------------------------------------- */

/* An object, or (as OpenAI writes it) the text of one. */
static int arguments(struct go_run *r, const struct json *v, struct go_val *out)
{
    struct lar_err why;
    if (v && v->kind == JSON_STRING && !(v = json_parse(&r->a, v->s, &why)))
        return lar_fail(r->err, LAR_EINVAL, "tool_calls: the arguments are no JSON: %s", why.msg);
    int rc = map_of(r, v, any, out);
    out->as_json = 1;
    return rc;
}

static int number(struct go_run *r, const struct json *v, struct go_val *out)
{
    (void)r;
    *out = go_int(v && v->is_int ? v->i : 0);
    return 0;
}

static int called(struct go_run *r, const struct json *v, struct go_val *out)
{
    static const struct form f[] = {{"index", number, 0, "Index"},
                                    {"name", text, 0, "Name"},
                                    {"arguments", arguments, 0, "Arguments"}};
    return STRUCT(f);
}

static int call(struct go_run *r, const struct json *v, struct go_val *out)
{
    static const struct form f[] = {{"id", text, 0, "ID"}, {"function", called, 0, "Function"}};
    return STRUCT(f);
}

static int calls(struct go_run *r, const struct json *v, struct go_val *out)
{
    return list_of(r, v, call, out);
}

/* A text, or parts of which those with text count. */
static int content(struct go_run *r, const struct json *v, struct go_val *out)
{
    struct buf b = {0};
    if (!v || v->kind != JSON_ARRAY) return text(r, v, out);
    for (const struct json *e = v->child; e; e = e->next) {
        if (!str_is(json_str(json_get(e, "type"), STR("")), "text")) {
            buf_done(&b);
            return lar_fail(r->err, LAR_EUNSUPPORTED,
                            "messages: a part of type \"%.*s\" has no place in a Go template",
                            STR_ARG(json_str(json_get(e, "type"), STR(""))));
        }
        buf_str(&b, json_str(json_get(e, "text"), STR("")));
    }
    return go_give(r, &b, out);
}

static const struct form message_form[] = {
    {"role", text, 0, "Role"},
    {"content", content, 0, "Content"},
    {"thinking", text, 0, "Thinking"},
    {"images", list, 0, "Images"},
    {"tool_calls", calls, 0, "ToolCalls"},
    {"tool_name", text, 0, "ToolName"},
    {"tool_call_id", text, 0, "ToolCallID"},
};
enum { ROLE, CONTENT, FIELDS = sizeof message_form / sizeof *message_form };

static int message(struct go_run *r, const struct json *v, struct go_val *out)
{
    if (v->kind != JSON_OBJECT)
        return lar_fail(r->err, LAR_EINVAL, "messages: expected objects with role and content");
    return struct_of(r, v, message_form, FIELDS, out);
}

static int join(struct go_run *r, struct go_val *into, struct str more)
{
    struct buf b = {0};
    buf_str(&b, into->s);
    buf_puts(&b, "\n\n");
    buf_str(&b, more);
    return go_give(r, &b, into);
}

/* Messages in a row of the same role become one; out keeps n of them. system gets the texts of that role. */
static int collate(struct go_run *r, struct go_val *l, struct go_val *system)
{
    struct go_val *item = make(r, l->n, sizeof *item);
    size_t n = 0;
    int rc = 0, seen = 0;
    if (!item) return LAR_ELIMIT;
    *system = go_str(STR(""));
    for (size_t i = 0; i < l->n && rc == 0; i++) {
        const struct go_member *m = l->item[i].member;
        struct str role = m[ROLE].v.s, what = m[CONTENT].v.s;
        if (str_is(role, "system")) {
            if (seen)
                rc = join(r, system, what);
            else
                *system = go_str(what);
            seen = 1;
        }
        struct go_member *last = make(r, FIELDS, sizeof *last);
        if (!last) return LAR_ELIMIT;
        if (rc < 0 || !n || str_is(role, "tool") || !str_eq(item[n - 1].member[ROLE].v.s, role)) {
            item[n++] = l->item[i];
            continue;
        }
        memcpy(last, item[n - 1].member, FIELDS * sizeof *last);
        rc = join(r, &last[CONTENT].v, what);
        item[n - 1].member = last;
    }
    l->item = item;
    l->n = n;
    return rc;
}

/* ---- running ------------------------------------------------------------------------------------------------------------------- */

enum { VALUES = 10 };

/* What the template's dot is. */
struct values {
    struct go_member m[VALUES];
    size_t n;
};

static void set(struct values *d, const char *name, struct go_val v)
{
    d->m[d->n++] = (struct go_member){.key = str_of(name), .v = v};
}

static void set_think(struct values *d, const struct json *input)
{
    const struct json *think = json_get(input, "think");
    int level = think && think->kind == JSON_STRING;
    set(d, "IsThinkSet", go_bool(think && think->kind != JSON_NULL));
    set(d, "Think", go_bool(level || json_bool(think, 0)));
    set(d, "ThinkLevel", go_str(json_str(think, STR(""))));
}

static int run(struct go_run *r, struct values *d)
{
    for (size_t i = 1; i < d->n; i++) /* as a Go map: sorted */
        for (size_t k = i; k && strcmp(d->m[k - 1].key.p, d->m[k].key.p) > 0; k--) {
            struct go_member t = d->m[k];
            d->m[k] = d->m[k - 1];
            d->m[k - 1] = t;
        }
    int rc = go_execute(r, (struct go_val){.kind = GO_MAP, .member = d->m, .n = d->n});
    if (rc == 0 && !r->t->messages &&
        !r->t->response) { /* Ollama appends {{ .Response }} to such a template */
        for (size_t i = 0; i < d->n; i++) {
            if (!str_is(d->m[i].key, "Response")) continue;
            if (d->m[i].v.s.n > r->out_limit - r->out->n)
                return go_fail(r, LAR_ELIMIT, "the template writes too much");
            buf_str(r->out, d->m[i].v.s);
        }
    }
    return rc;
}

struct turn {
    struct go_val system, prompt, response;
};

static int run_turn(struct go_run *r, struct turn *t, const struct json *input)
{
    struct values d = {.n = 0};
    set(&d, "Prompt", t->prompt);
    set(&d, "Response", t->response);
    set(&d, "System", t->system);
    set_think(&d, input);
    *t = (struct turn){go_str(STR("")), go_str(STR("")), go_str(STR(""))};
    return run(r, &d);
}

static int run_turns(struct go_run *r, struct go_val messages, const struct json *input)
{
    struct turn t = {go_str(STR("")), go_str(STR("")), go_str(STR(""))};
    int rc = 0;
    for (size_t i = 0; i < messages.n && rc == 0; i++) {
        struct str role = messages.item[i].member[ROLE].v.s;
        struct go_val what = messages.item[i].member[CONTENT].v;
        if (str_is(role, "system")) {
            if (t.prompt.s.n || t.response.s.n) rc = run_turn(r, &t, input);
            t.system = what;
        } else if (str_is(role, "user")) {
            if (t.response.s.n) rc = run_turn(r, &t, input);
            t.prompt = what;
        } else if (str_is(role, "assistant")) {
            t.response = what;
        }
    }
    r->cut = r->t->cut;
    return rc < 0 ? rc : run_turn(r, &t, input);
}

/* A message of one text before the others, or the only one. */
static int with_message(struct go_run *r, struct go_val *l, const char *role, struct str what)
{
    struct go_val *item = make(r, l->n + 1, sizeof *item);
    struct json v = {.kind = JSON_OBJECT};
    if (!item || message(r, &v, &item[0]) < 0) return LAR_ELIMIT;
    struct go_member *m = make(r, FIELDS, sizeof *m);
    if (!m) return LAR_ELIMIT;
    memcpy(m, item[0].member, FIELDS * sizeof *m);
    m[ROLE].v = go_str(str_of(role));
    m[CONTENT].v = go_str(what);
    item[0].member = m;
    if (l->n) memcpy(item + 1, l->item, l->n * sizeof *item);
    *l = (struct go_val){.kind = GO_LIST, .item = item, .n = l->n + 1};
    return 0;
}

static int read_messages(struct go_run *r, const struct json *input, struct go_val *l,
                         struct go_val *system)
{
    struct str prompt = json_str(json_get(input, "prompt"), STR("")),
               sys = json_str(json_get(input, "system"), STR(""));
    const struct json *messages = json_get(input, "messages");
    if (messages && messages->kind != JSON_ARRAY && messages->kind != JSON_NULL)
        return lar_fail(r->err, LAR_EINVAL, "messages: expected a list");
    int rc = list_of(r, messages, message, l);
    if (rc == 0 && !l->n && prompt.n) rc = with_message(r, l, "user", prompt);
    int has = rc == 0 && l->n && str_is(l->item[0].member[ROLE].v.s, "system");
    if (rc == 0 && sys.n && !has) rc = with_message(r, l, "system", sys);
    return rc < 0 ? rc : collate(r, l, system);
}

static int render(struct go_run *r, const struct json *input)
{
    struct go_val messages, system, tools = go_nil();
    const struct json *list = json_get(input, "tools");
    struct str prompt = json_str(json_get(input, "prompt"), STR("")),
               suffix = json_str(json_get(input, "suffix"), STR(""));
    struct values d = {.n = 0};
    int rc = read_messages(r, input, &messages, &system);
    if (rc == 0 && list && list->kind == JSON_ARRAY) {
        rc = list_of(r, list, tool, &tools);
        tools.as_json = 1;
    }
    if (rc < 0) return rc;
    if (!json_bool(json_get(input, "add_generation_prompt"), 1))
        return lar_fail(r->err, LAR_EUNSUPPORTED,
                        "add_generation_prompt is false: a Go template always opens the answer");
    if (prompt.n && suffix.n) {
        set(&d, "Prompt", go_str(prompt));
        set(&d, "Suffix", go_str(suffix));
        set(&d, "Response", go_str(STR("")));
        set_think(&d, input);
        return run(r, &d);
    }
    if (!r->t->messages) return run_turns(r, messages, input);
    set(&d, "System", system);
    set(&d, "Messages", messages);
    set(&d, "Tools", tools);
    set(&d, "Response", go_str(STR("")));
    set_think(&d, input);
    return run(r, &d);
}

int gotmpl_render(const struct gotmpl *t, const struct json *input, int64_t now,
                  const struct template_limits *limits, struct buf *out, struct lar_err *err)
{
    struct go_run *r = mem_zalloc(sizeof *r);
    struct template_limits l = limits ? *limits : (struct template_limits){0};
    if (!r) return lar_fail(err, LAR_ENOMEM, "template: out of memory");
    *r = (struct go_run){.t = t, .out = out, .err = err, .now = now, .cut = UINT32_MAX};
    r->steps = l.steps ? l.steps : STEPS;
    r->out_limit = out->n + (l.output_bytes ? l.output_bytes : OUTPUT);
    arena_init(&r->a, l.memory_bytes ? l.memory_bytes : MEMORY);
    int rc = !input || input->kind == JSON_OBJECT
                 ? render(r, input)
                 : lar_fail(err, LAR_EINVAL, "a template's input must be a JSON object");
    arena_done(&r->a);
    mem_free(r);
    return rc;
}
