/* SPDX-License-Identifier: Apache-2.0
 *
 * text/calls_grammar.c: from a list of tools the grammar of an answer that calls them in a model's form, arguments held to each tool's schema: what
 * GRAMMAR_PARTS of text/grammar.h reads.
 *
 * Every keyword of a tool's schema is enforced, or refused by name. Two forms write arguments otherwise than as JSON: calls_members.c.
 */
#include "text/calls.h"

#include "text/calls_impl.h"

void calls_quote(struct buf *b, struct str s)
{
    buf_puts(b, " \"");
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '"' || c == '\\') buf_putc(b, '\\');
        if (c == '\n')
            buf_puts(b, "\\n");
        else if ((unsigned char)c < 0x20)
            buf_printf(b, "\\x%02x", (unsigned char)c);
        else
            buf_putc(b, c);
    }
    buf_putc(b, '"');
}

struct str calls_token(struct str s, size_t at, int (*control)(void *ctx, struct str name), void *ctx, int *kind)
{
    if (control && (s.p[at] == '<' || s.p[at] == '['))
        for (size_t k = at + 1; k < s.n; k++) {
            struct str t = {s.p + at, k + 1 - at};
            if ((s.p[k] == '>' || s.p[k] == ']') && (*kind = control(ctx, t)) != 0) return t;
        }
    return (struct str){s.p, 0};
}

/* A text of the form: what are control tokens in this vocabulary goes by name. */
void calls_put(struct make *m, const char *z)
{
    struct str s = str_of(z);
    size_t from = 0, i = 0;
    while (i < s.n) {
        int kind = 0;
        struct str t = calls_token(s, i, m->q->control, m->q->ctx, &kind);
        int number = s.p[i] == '#';
        if (!t.n && !number) {
            i++;
            continue;
        }
        if (i > from) calls_quote(&m->b, (struct str){s.p + from, i - from});
        if (number) buf_puts(&m->b, " [0-9]{1,9}");
        if (t.n && kind == 1) buf_printf(&m->b, " \v%.*s\v", (int)t.n, t.p); /* kind 2 ends the answer by itself */
        i += t.n + (size_t)number;
        from = i;
    }
    if (s.n > from) calls_quote(&m->b, str_from(s, from));
}

/* ---- arguments that are not JSON ---- */

int calls_refuse(struct make *m, struct str tool, struct str what)
{
    if (!m->rc)
        m->rc = lar_fail(m->err, LAR_EUNSUPPORTED,
                         "tool %.*s: %.*s cannot be enforced in this model's form of calls (%s)", STR_ARG(tool),
                         STR_ARG(what), m->f->name);
    return m->rc;
}

/* ---- a call ---- */

static const struct json *function_of(const struct json *tool)
{
    const struct json *f = json_get(tool, "function");
    return f ? f : tool;
}

static const struct json *params_of(const struct json *tool)
{
    const struct json *p = json_get(tool, "parameters");
    return p && p->kind == JSON_OBJECT ? p : NULL;
}

static void key(struct make *m, const char *name)
{
    struct buf b = {0};
    buf_printf(&b, "\"%s\": ", name);
    calls_quote(&m->b, buf_view(&b));
    buf_done(&b);
}

static void object(struct make *m, size_t number, struct str name)
{
    struct buf b = {0};
    buf_json_str(&b, name);
    calls_quote(&m->b, STR("{"));
    if (m->f->body == CALL_KEYED) {
        calls_quote(&m->b, buf_view(&b));
        calls_quote(&m->b, STR(": "));
    } else {
        if (m->f->extra) calls_put(m, m->f->extra);
        key(m, m->f->key);
        calls_quote(&m->b, buf_view(&b));
        calls_quote(&m->b, STR(", "));
        key(m, m->f->args);
    }
    buf_printf(&m->b, " @%zu", number);
    if (m->f->id) buf_puts(&m->b, " ( \", \\\"id\\\": \\\"\" [a-zA-Z0-9]{9} \"\\\"\" )?");
    calls_quote(&m->b, STR("}"));
    buf_done(&b);
}

static void call(struct make *m, size_t number, const struct json *tool)
{
    const struct call_form *f = m->f;
    struct str name = json_str(json_get(tool, "name"), STR(""));
    int apart = f->body == CALL_TAGS || f->body == CALL_BRACES || f->body == CALL_PYTHON;
    size_t members = apart ? calls_members(m, number, tool, params_of(tool)) : 0;
    buf_printf(&m->b, "c%zu ::=", number);
    calls_put(m, f->begin);
    if (f->body == CALL_OBJECT || f->body == CALL_KEYED)
        object(m, number, name);
    else {
        calls_quote(&m->b, name);
        if (f->body == CALL_HARMONY) calls_put(m, " <|constrain|>json");
        if (f->body == CALL_BRACES)
            calls_quote(&m->b, STR("{"));
        else if (f->body == CALL_PYTHON)
            calls_quote(&m->b, STR("("));
        else
            calls_put(m, f->behind);
        if (f->body == CALL_NAMED || f->body == CALL_HARMONY)
            buf_printf(&m->b, " @%zu", number);
        else
            buf_printf(&m->b, " s%zu-0", members);
        if (f->body == CALL_BRACES) calls_quote(&m->b, STR("}"));
        if (f->body == CALL_PYTHON) calls_quote(&m->b, STR(")"));
    }
    if (f->body != CALL_HARMONY) calls_put(m, f->end);
    buf_putc(&m->b, '\n');
}

/* Text in which no call begins. */
static void free_text(struct make *m)
{
    const struct call_form *f = m->f;
    int kind = 0;
    if (f->bare && f->body == CALL_OBJECT)
        buf_puts(&m->b, "( [ \\n\\t]* [^{ \\n\\t] .* )?");
    else if (calls_token(str_of(f->mark), 0, m->q->control, m->q->ctx, &kind).n == strlen(f->mark))
        buf_puts(&m->b, ".*");
    else {
        if (f->bare) buf_puts(&m->b, "\"all\\n\" ");
        buf_puts(&m->b, "~");
        struct buf b = {0};
        calls_quote(&b, str_of(f->mark));
        buf_str(&m->b, str_from(buf_view(&b), 1));
        m->b.failed |= b.failed;
        buf_done(&b);
    }
}

/* gpt-oss: messages of thinking and of what is told before a call, then the call or the answer. */
static void messages(struct make *m)
{
    int kind = 0, whole = calls_token(STR("<|end|>"), 0, m->q->control, m->q->ctx, &kind).n != 0;
    buf_printf(&m->b, "root ::= note* %s\nsaid ::= %s\nnote ::=",
               m->q->choice == CALLS_AUTO ? "( calls | final )" : "calls", whole ? ".*" : "~\"<|\"");
    calls_put(m, m->f->mark);
    buf_puts(&m->b, " ( \"analysis\" | \"commentary\" )");
    calls_put(m, m->f->behind);
    buf_puts(&m->b, " said");
    calls_put(m, "<|end|><|start|>assistant");
    buf_puts(&m->b, "\nfinal ::=");
    calls_put(m, m->f->mark);
    buf_puts(&m->b, " \"final\"");
    calls_put(m, m->f->behind);
    buf_puts(&m->b, " said");
}

/* What every answer is: calls, or text and perhaps calls. */
static void root(struct make *m)
{
    const struct call_form *f = m->f;
    int single = m->q->single || f->body == CALL_HARMONY, alone = f->bare;
    if (f->body == CALL_HARMONY)
        messages(m);
    else if (m->q->choice != CALLS_AUTO)
        buf_puts(&m->b, "root ::= calls");
    else {
        buf_puts(&m->b, "root ::= ");
        if (alone) buf_puts(&m->b, "calls | ");
        free_text(m);
        if (!alone || f->body == CALL_NAMED) {
            if (alone) buf_puts(&m->b, " ("), calls_put(m, f->mark);
            buf_puts(&m->b, alone ? " calls )?" : " calls?");
        }
    }
    buf_puts(&m->b, "\ncalls ::=");
    if (!f->bare) calls_put(m, f->mark);
    if (f->section) calls_put(m, f->open);
    buf_puts(&m->b, " call");
    if (!single) {
        buf_puts(&m->b, " (");
        calls_put(m, f->sep);
        if (!f->section && (!f->bare || f->body == CALL_NAMED)) calls_put(m, f->mark);
        buf_puts(&m->b, " call )*");
    }
    if (f->section) calls_put(m, f->close);
    buf_putc(&m->b, '\n');
}

/* ---- the schema ---- */

static int closes(const struct json *p)
{
    static const char *const open[] = {"additionalProperties",
                                       "patternProperties",
                                       "unevaluatedProperties",
                                       "propertyNames",
                                       "allOf",
                                       "anyOf",
                                       "oneOf",
                                       "if",
                                       "$ref",
                                       "dependentSchemas",
                                       "not",
                                       "minProperties",
                                       NULL};
    for (size_t i = 0; open[i]; i++)
        if (json_get(p, open[i])) return 0;
    return json_get(p, "properties") != NULL;
}

/* A resource of its own, so that references find what they mean; always an object; and of what it names itself only that, where it leaves
 * the rest open without a word: a model that may write any member beside does. */
static void schema(struct buf *b, size_t number, const struct json *p)
{
    buf_printf(b, "%s\"%zu\":{", number ? "," : "", number);
    int old = str_ends(json_str(json_get(p, "$schema"), STR("")), STR("draft-04/schema#"));
    if (!json_get(p, "$id") && !json_get(p, "id"))
        buf_printf(b, "\"%s\":\"lar:/tools/%zu\",", old ? "id" : "$id", number);
    buf_puts(b, "\"type\":\"object\","); /* all that "type" may say here: api/tools.c refuses what names no object */
    if (!p || (!p->n && p->kind == JSON_OBJECT) || closes(p)) buf_puts(b, "\"additionalProperties\":false,");
    for (const struct json *c = p ? p->child : NULL; c; c = c->next) {
        if (str_is(c->key, "type")) continue;
        buf_json_str(b, c->key);
        buf_putc(b, ':');
        json_write(b, c);
        buf_putc(b, ',');
    }
    buf_puts(b, "\"title\":\"\"}");
}

int calls_grammar(const struct call_form *f, const struct json *tools, const struct calls_choice *q, struct buf *out,
                  struct lar_err *err)
{
    struct make m = {.f = f, .q = q, .err = err};
    size_t n = 0, taken = 0;
    for (const struct json *t = tools->child; t; t = t->next) m.npart++;
    root(&m);
    struct buf names = {0};
    for (const struct json *t = tools->child; t && !m.rc; t = t->next, n++) {
        const struct json *fn = function_of(t);
        if (q->name.n && !str_eq(q->name, json_str(json_get(fn, "name"), STR("")))) continue;
        buf_printf(&names, "%sc%zu", taken++ ? " | " : "call ::= ", n);
        call(&m, n, fn);
    }
    buf_str(&m.b, buf_view(&names));
    buf_puts(out, "{\"grammar\":");
    buf_json_str(out, buf_view(&m.b));
    buf_puts(out, ",\"schema\":{\"type\":\"object\",\"properties\":{");
    n = 0;
    for (const struct json *t = tools->child; t; t = t->next, n++) schema(out, n, params_of(function_of(t)));
    buf_str(out, buf_view(&m.parts));
    buf_puts(out, "}}}");
    if (!m.rc && (m.parts.failed || out->failed || m.b.failed || names.failed))
        m.rc = lar_fail(err, LAR_ENOMEM, "tools: out of memory");
    buf_done(&m.b);
    buf_done(&names);
    buf_done(&m.parts);
    mem_free(m.known);
    return m.rc;
}
