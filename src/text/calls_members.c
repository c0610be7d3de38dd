/* SPDX-License-Identifier: Apache-2.0
 *
 * text/calls_members.c: rules for arguments that are not written as JSON: between tags, as Python's, and in braces with strings between marks.
 *
 * The members of an object may come in any order, each once, those that are required among them: up to FREE_MAX members there is a rule for each
 * set of those that have come (a tool's whole list of arguments, most often); with more the schema's own order is kept, which is narrower and
 * never wrong. Values in braces follow the schema down: objects, lists, unions, references (which may come back to themselves); what else a
 * schema says of them is refused by name. Plain values are held to the schema itself, by reference. */
#include <stdio.h>

#include "text/calls_impl.h"

enum {
    FREE_MAX = 6,
    SETS_MAX = 4096,
    MEMBERS_MAX = 64,
    VALUES_MAX = 2000,
    DEPTH_MAX = 60,
    POINTER_MAX = 1000
};

struct where {
    size_t tool;
    struct str name;           /* of the tool */
    const struct json *root;   /* its parameters */
    const struct json *at;     /* a schema below */
    char pointer[POINTER_MAX]; /* which way */
    int depth;
};

static size_t value(struct make *m, const struct where *w);

/* ---- keywords ---- */

/* Refuses a keyword that is none of those named, and no annotation. */
static int only(struct make *m, const struct where *w, const char *const *known)
{
    static const char *const told[] = {"type",     "title",       "description", "default",
                                       "examples", "example",     "$comment",    "deprecated",
                                       "readOnly", "writeOnly",   "$schema",     "$id",
                                       "$defs",    "definitions", NULL};
    for (const struct json *c = w->at->child; c; c = c->next) {
        size_t i = 0, k = 0;
        while (told[i] && !str_is(c->key, told[i])) i++;
        while (known[k] && !str_is(c->key, known[k])) k++;
        if (!told[i] && !known[k]) return calls_refuse(m, w->name, c->key);
    }
    return m->rc;
}

static int below(struct make *m, const struct where *w, const char *step, const struct json *to,
                 struct where *out)
{
    *out = *w;
    out->at = to;
    out->depth++;
    size_t n = strlen(w->pointer);
    int k = snprintf(out->pointer + n, sizeof out->pointer - n, "/%s", step);
    if (k < 0 || (size_t)k >= sizeof out->pointer - n || out->depth > DEPTH_MAX)
        return calls_refuse(m, w->name, STR("a schema that is nested so deep"));
    return 0;
}

/* One name as a step of a JSON pointer in a URI. */
static int pointer_step(struct make *m, const struct where *w, struct str s, char out[256])
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < 250; i++) {
        unsigned char c = (unsigned char)s.p[i];
        int plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-' || c == '.' || c == '$';
        if (c == '~' || c == '/')
            n += (size_t)snprintf(out + n, 256 - n, c == '~' ? "~0" : "~1");
        else if (plain)
            out[n++] = (char)c;
        else
            n += (size_t)snprintf(out + n, 256 - n, "%%%02X", c);
    }
    out[n] = 0;
    return n >= 250 ? calls_refuse(m, w->name, s) : 0;
}

/* ---- objects ---- */

static int is_required(const struct json *schema, struct str key)
{
    const struct json *list = json_get(schema, "required");
    for (const struct json *c = list && list->kind == JSON_ARRAY ? list->child : NULL; c;
         c = c->next)
        if (c->kind == JSON_STRING && str_eq(c->s, key)) return 1;
    return 0;
}

static int has_key(const struct json *object, struct str key)
{
    for (const struct json *c = object ? object->child : NULL; c; c = c->next)
        if (str_eq(c->key, key)) return 1;
    return 0;
}

static void any_order(struct make *m, size_t id, size_t n, unsigned must, const char *comma)
{
    for (unsigned set = 0; set < 1u << n; set++) {
        int ways = 0;
        buf_printf(&m->b, "s%zu-%u ::=", id, set);
        if ((must & ~set) == 0) buf_puts(&m->b, ways++ ? " | \"\"" : " \"\"");
        for (unsigned i = 0; i < n; i++)
            if (!(set >> i & 1))
                buf_printf(&m->b, "%s%s p%zu-%u s%zu-%u", ways++ ? " |" : "", set ? comma : "", id,
                           i, id, set | 1u << i);
        buf_putc(&m->b, '\n');
    }
    m->nset += (size_t)1 << n;
}

/* s ID-I: from member I on, nothing having come before; t ID-I: something has. */
static void own_order(struct make *m, size_t id, size_t n, const uint8_t *must, const char *comma)
{
    for (int some = 0; some < 2; some++) {
        char c = some ? 't' : 's';
        for (size_t i = 0; i < n; i++) {
            buf_printf(&m->b, "%c%zu-%zu ::=%s p%zu-%zu t%zu-%zu", c, id, i, some ? comma : "", id,
                       i, id, i + 1);
            if (!must[i]) buf_printf(&m->b, " | %c%zu-%zu", c, id, i + 1);
            buf_putc(&m->b, '\n');
        }
        buf_printf(&m->b, "%c%zu-%zu ::= \"\"\n", c, id, n);
    }
}

/* What Python's words for true and false say all of; other values are written as JSON, which is Python's but for these and null. */
static int only_boolean(const struct json *schema)
{
    int n = 0;
    for (const struct json *c = schema->child; c; c = c->next)
        n += !str_is(c->key, "title") && !str_is(c->key, "description") && !str_is(c->key, "default");
    return n == 1 && str_is(json_str(json_get(schema, "type"), STR("")), "boolean");
}

/* An argument between tags, in brackets, or a member in braces. */
static void member(struct make *m, const struct where *w, const struct json *c, size_t inner)
{
    const struct call_form *f = m->f;
    if (f->body == CALL_BRACES) {
        calls_quote(&m->b, c->key);
        buf_printf(&m->b, " \":\" v%zu", inner);
        return;
    }
    if (f->body == CALL_PYTHON) {
        struct buf k = {0};
        calls_quote(&m->b, c->key);
        buf_puts(&m->b, " \"=\"");
        calls_quote(&k, c->key);
        if (only_boolean(c))
            buf_puts(&m->b, " ( \"True\" | \"False\" )");
        else
            buf_printf(&m->b, " @%zu.%s", w->tool, buf_z(&k) + 1);
        m->b.failed |= k.failed;
        buf_done(&k);
        return;
    }
    int text = calls_is_text(m->tool, c->key);
    calls_put(m, f->pair);
    calls_quote(&m->b, c->key);
    calls_put(m, f->mid);
    if (f->mid[strlen(f->mid) - 1] == '"')
        calls_quote(&m->b, text ? STR("true\">") : STR("false\">"));
    buf_printf(&m->b, " %c%zu.", text ? '$' : '@', w->tool);
    struct buf k = {0};
    calls_quote(&k, c->key);
    if (text) {
        const char *z = f->done;
        while (is_blank(*z)) z++;
        size_t n = 0;
        while (z[n] && !is_blank(z[n])) n++;
        buf_str(&m->b, str_from(buf_view(&k), 1));
        buf_clear(&k);
        calls_quote(&k, (struct str){z, n});
        buf_putc(&m->b, '!');
    }
    buf_str(&m->b, str_from(buf_view(&k), 1));
    m->b.failed |= k.failed;
    buf_done(&k);
    calls_put(m, f->done);
}

/* Rules of an object's members; gives its number: s NUMBER-0 is all of them. */
static size_t members(struct make *m, const struct where *w)
{
    const struct json *list = json_get(w->at, "properties");
    const struct json *required = json_get(w->at, "required");
    size_t n = 0, inner[MEMBERS_MAX], id = m->nvalue++;
    uint8_t must[MEMBERS_MAX];
    unsigned set = 0;
    char step[256], path[300];
    struct where v;
    for (const struct json *c = required && required->kind == JSON_ARRAY ? required->child : NULL;
         c; c = c->next)
        if (c->kind == JSON_STRING && !has_key(list, c->s))
            calls_refuse(m, w->name, STR("required, of what is no property"));
    for (const struct json *c = list ? list->child : NULL; c && !m->rc; c = c->next, n++) {
        if (n == MEMBERS_MAX)
            return (void)calls_refuse(m, w->name, STR("an object of more than 64 members")), id;
        must[n] = (uint8_t)is_required(w->at, c->key);
        if (n < FREE_MAX) set |= (unsigned)must[n] << n;
        inner[n] = 0;
        if (m->f->body != CALL_BRACES || pointer_step(m, w, c->key, step)) continue;
        snprintf(path, sizeof path, "properties/%s", step);
        if (below(m, w, path, c, &v) == 0) inner[n] = value(m, &v);
    }
    n = 0;
    for (const struct json *c = list ? list->child : NULL; c && !m->rc; c = c->next, n++) {
        buf_printf(&m->b, "p%zu-%zu ::=", id, n);
        member(m, w, c, inner[n]);
        buf_putc(&m->b, '\n');
    }
    const char *comma = m->f->body == CALL_BRACES ? " \",\"" : m->f->body == CALL_PYTHON ? " \", \"" : "";
    if (n <= FREE_MAX && m->nset + ((size_t)1 << n) <= SETS_MAX)
        any_order(m, id, n, set, comma);
    else
        own_order(m, id, n, must, comma);
    return id;
}

size_t calls_members(struct make *m, size_t tool, const struct json *fn, const struct json *params)
{
    static const char *const whole[] = {"anyOf",
                                        "oneOf",
                                        "allOf",
                                        "not",
                                        "if",
                                        "$ref",
                                        "minProperties",
                                        "maxProperties",
                                        "propertyNames",
                                        "dependentRequired",
                                        "dependentSchemas",
                                        "dependencies",
                                        NULL};
    static const struct json nothing = {.kind = JSON_OBJECT};
    struct where w = {.tool = tool,
                      .name = json_str(json_get(fn, "name"), STR("")),
                      .root = params ? params : &nothing};
    w.at = w.root;
    m->tool = fn;
    for (size_t i = 0; whole[i]; i++)
        if (json_get(params, whole[i])) calls_refuse(m, w.name, str_of(whole[i]));
    return members(m, &w);
}

/* ---- values in braces ---- */

/* What the schema here says of one type, as a member of the parts' schema: for plain values. */
static size_t part(struct make *m, const struct where *w, struct str type)
{
    buf_printf(&m->parts, ",\"%zu\":{\"$ref\":\"#/properties/%zu%s\",\"type\":", m->npart, w->tool,
               w->pointer);
    buf_json_str(&m->parts, type);
    buf_putc(&m->parts, '}');
    return m->npart++;
}

static void text(struct make *m, const struct where *w)
{
    struct buf k = {0};
    calls_put(m, m->f->pair);
    calls_quote(&k, str_of(m->f->pair));
    buf_printf(&m->b, " $%zu!%s", part(m, w, STR("string")), buf_z(&k) + 1);
    calls_put(m, m->f->pair);
    m->b.failed |= k.failed;
    buf_done(&k);
}

/* Members of an enum: strings between marks. */
static void choices(struct make *m, const struct where *w, const struct json *list)
{
    static const char *const known[] = {"enum", "const", NULL};
    const struct json *type = json_get(w->at, "type");
    int n = 0;
    only(m, w, known);
    if (type && type->kind != JSON_STRING)
        calls_refuse(m, w->name, STR("an enum of several types"));
    for (const struct json *c = list; c && !m->rc; c = c->next) {
        struct buf b = {0};
        if (c->kind == JSON_OBJECT || c->kind == JSON_ARRAY)
            calls_refuse(m, w->name, STR("an enum with objects or lists"));
        if (type && (c->kind == JSON_STRING) != str_is(type->s, "string"))
            calls_refuse(m, w->name, STR("an enum of another type"));
        if (c->kind == JSON_STRING && memmem(c->s.p, c->s.n, m->f->pair, strlen(m->f->pair)))
            calls_refuse(m, w->name, STR("an enum with the form's own mark"));
        buf_puts(&m->b, n++ ? " |" : "");
        if (c->kind == JSON_STRING) {
            calls_put(m, m->f->pair);
            calls_quote(&m->b, c->s);
            calls_put(m, m->f->pair);
        } else {
            json_write(&b, c);
            calls_quote(&m->b, buf_view(&b));
        }
        m->b.failed |= b.failed;
        buf_done(&b);
        if (list->key.n && str_is(list->key, "const")) break;
    }
}

static const struct json *first_type(const struct json *schema, size_t i)
{
    const struct json *t = json_get(schema, "type");
    if (!t || t->kind != JSON_ARRAY) return i == 0 ? t : NULL;
    for (t = t->child; t && i; i--) t = t->next;
    return t;
}

static size_t count_of(const struct json *schema, const char *key, size_t otherwise)
{
    const struct json *v = json_get(schema, key);
    return v && v->kind == JSON_NUMBER && v->num >= 0 && v->num <= 1000 ? (size_t)v->num
                                                                        : otherwise;
}

static void list(struct make *m, const struct where *w, size_t item)
{
    size_t lo = count_of(w->at, "minItems", 0), hi = count_of(w->at, "maxItems", SIZE_MAX);
    if (hi == 0) {
        buf_puts(&m->b, " \"[]\"");
        return;
    }
    buf_printf(&m->b, " \"[\" ( v%zu ( \",\" v%zu ){%zu,", item, item, lo ? lo - 1 : 0);
    if (hi != SIZE_MAX) buf_printf(&m->b, "%zu", hi - 1);
    buf_printf(&m->b, "} )%s \"]\"", lo ? "" : "?");
}

/* What a value of one type is; inner: what was made for its parts before. */
static void of_type(struct make *m, const struct where *w, struct str type, size_t inner,
                    int closed)
{
    if (str_is(type, "string"))
        text(m, w);
    else if (str_is(type, "array"))
        list(m, w, inner);
    else if (str_is(type, "object") && closed)
        buf_printf(&m->b, " \"{\" s%zu-0 \"}\"", inner);
    else if (str_is(type, "object"))
        buf_printf(&m->b, " \"{\" ( key \":\" v%zu ( \",\" key \":\" v%zu )* )? \"}\"", inner,
                   inner);
    else
        buf_printf(&m->b, " @%zu", part(m, w, type));
}

/* Anything at all, for what a schema leaves open. */
static size_t anything(struct make *m)
{
    if (m->any) return m->any - 1;
    size_t id = m->nvalue++;
    m->any = id + 1;
    struct buf k = {0};
    calls_quote(&k, str_of(m->f->pair));
    buf_puts(&m->b, "key ::= [a-zA-Z0-9_.$-]{1,100}\n");
    buf_printf(&m->b, "v%zu ::=", id);
    calls_put(m, m->f->pair);
    buf_printf(&m->b, " ~%s", buf_z(&k) + 1);
    calls_put(m, m->f->pair);
    buf_puts(
        &m->b,
        " | \"true\" | \"false\" | \"null\" | \"-\"? ( \"0\" | [1-9] [0-9]{0,17} ) ( \".\" [0-9]{1,17} )?");
    buf_printf(&m->b, " | \"[\" ( v%zu ( \",\" v%zu )* )? \"]\"", id, id);
    buf_printf(&m->b, " | \"{\" ( key \":\" v%zu ( \",\" key \":\" v%zu )* )? \"}\"\n", id, id);
    m->b.failed |= k.failed;
    buf_done(&k);
    return id;
}

/* The parts of lists and objects, before the rule that needs them. Types are told apart here. */
static void typed(struct make *m, const struct where *w, size_t id)
{
    static const char *const array[] = {"items", "minItems", "maxItems", NULL};
    static const char *const object[] = {"properties", "required", "additionalProperties", NULL};
    static const char *const none[] = {NULL};
    size_t inner[7] = {0}, n = 0;
    int closed[7] = {0};
    struct where v;
    for (const struct json *t; (t = first_type(w->at, n)) != NULL && n < 7 && !m->rc; n++) {
        int several = json_get(w->at, "type")->kind == JSON_ARRAY;
        if (several && str_is(t->s, "string")) only(m, w, none);
        if (str_is(t->s, "array") && only(m, w, array) == 0) {
            const struct json *items = json_get(w->at, "items");
            if (items && items->kind == JSON_ARRAY) calls_refuse(m, w->name, STR("items, a list"));
            inner[n] = items && items->kind == JSON_OBJECT && below(m, w, "items", items, &v) == 0
                           ? value(m, &v)
                           : anything(m);
        }
        if (str_is(t->s, "object") && only(m, w, object) == 0) {
            const struct json *more = json_get(w->at, "additionalProperties");
            closed[n] = json_get(w->at, "properties") != NULL ||
                        (more && more->kind == JSON_BOOL && !more->boolean);
            if (closed[n])
                inner[n] = members(m, w);
            else if (json_get(w->at, "required"))
                calls_refuse(m, w->name, STR("required, without properties"));
            else if (more && more->kind == JSON_OBJECT)
                anything(m), inner[n] = below(m, w, "additionalProperties", more, &v) == 0
                                            ? value(m, &v)
                                            : 0;
            else
                inner[n] = anything(m);
        }
    }
    buf_printf(&m->b, "v%zu ::=", id);
    for (size_t i = 0; i < n && !m->rc; i++) {
        if (i) buf_puts(&m->b, " |");
        struct where one = *w;
        of_type(m, &one, first_type(w->at, i)->s, inner[i], closed[i]);
    }
}

static void either(struct make *m, const struct where *w, const char *kw, size_t id)
{
    const struct json *all = json_get(w->at, kw);
    const char *const known[] = {kw, NULL};
    size_t inner[MEMBERS_MAX], n = 0;
    char step[40];
    struct where v;
    if (json_get(w->at, "type")) calls_refuse(m, w->name, STR("type beside alternatives"));
    only(m, w, known);
    for (const struct json *c = all->child; c && !m->rc; c = c->next, n++) {
        if (n == MEMBERS_MAX || c->kind != JSON_OBJECT) {
            calls_refuse(m, w->name, str_of(kw));
            return;
        }
        snprintf(step, sizeof step, "%s/%zu", kw, n);
        inner[n] = below(m, w, step, c, &v) == 0 ? value(m, &v) : 0;
        for (const struct json *d = all->child; !strcmp(kw, "oneOf") && d != c;
             d = d->next) { /* must exclude one another */
            const struct json *a = json_get(c, "type"), *b = json_get(d, "type");
            if (!a || !b || a->kind != JSON_STRING || b->kind != JSON_STRING ||
                str_eq(a->s, b->s) || (str_is(a->s, "number") && str_is(b->s, "integer")) ||
                (str_is(b->s, "number") && str_is(a->s, "integer")))
                calls_refuse(m, w->name, STR("oneOf whose ways are not of different types"));
        }
    }
    buf_printf(&m->b, "v%zu ::=", id);
    for (size_t i = 0; i < n; i++) buf_printf(&m->b, "%s v%zu", i ? " |" : "", inner[i]);
}

/* "#/$defs/x" within the tool's parameters. */
static int follow(struct make *m, const struct where *w, struct where *out)
{
    struct str ref = json_str(json_get(w->at, "$ref"), STR(""));
    static const char *const known[] = {"$ref", NULL};
    *out = *w;
    out->at = w->root;
    out->pointer[0] = 0;
    out->depth++;
    if (only(m, w, known) || ref.n == 0 || ref.p[0] != '#' || json_get(w->root, "$id") ||
        out->depth > DEPTH_MAX)
        return calls_refuse(m, w->name, STR("$ref"));
    for (struct str rest = str_from(ref, 1); rest.n;) {
        size_t n = 1;
        while (n < rest.n && rest.p[n] != '/') n++;
        struct str step = {rest.p + 1, n - 1};
        const struct json *to = NULL;
        for (const struct json *c = out->at->child; c; c = c->next)
            if (out->at->kind == JSON_OBJECT && str_eq(c->key, step)) to = c;
        if (*rest.p != '/' || !to || strlen(out->pointer) + n + 1 > sizeof out->pointer ||
            memchr(step.p, '~', step.n) || memchr(step.p, '%', step.n))
            return calls_refuse(m, w->name, ref);
        size_t end = strlen(out->pointer);
        memcpy(out->pointer + end, rest.p, n);
        out->pointer[end + n] = 0;
        out->at = to;
        rest = str_from(rest, n);
    }
    return out->at->kind == JSON_OBJECT ? 0 : calls_refuse(m, w->name, ref);
}

/* The rule for a schema's values: v NUMBER. A schema that was seen before has its number already. */
static size_t value(struct make *m, const struct where *w)
{
    const struct json *list = json_get(w->at, "enum"), *one = json_get(w->at, "const");
    struct where to;
    for (size_t i = 0; i < m->nknown; i++)
        if (m->known[i].schema == w->at && m->known[i].tool == w->tool) return m->known[i].id;
    if (m->nknown == VALUES_MAX)
        return (void)calls_refuse(m, w->name, STR("so many different values")), 0;
    if (w->at->kind == JSON_BOOL)
        return w->at->boolean ? anything(m) : (size_t)calls_refuse(m, w->name, STR("false")), 0;
    struct known *v = mem_resize(m->known, (m->nknown + 1) * sizeof *v);
    if (!v) return m->b.failed = 1, 0;
    m->known = v;
    size_t id = m->nvalue++;
    v[m->nknown++] = (struct known){w->at, w->tool, id};
    if (json_get(w->at, "$ref")) {
        size_t at = follow(m, w, &to) == 0 ? value(m, &to) : 0;
        buf_printf(&m->b, "v%zu ::= v%zu", id, at);
    } else if ((list && list->kind == JSON_ARRAY) || one) {
        buf_printf(&m->b, "v%zu ::=", id);
        choices(m, w, one ? one : list->child);
    } else if (json_get(w->at, "anyOf") || json_get(w->at, "oneOf"))
        either(m, w, json_get(w->at, "anyOf") ? "anyOf" : "oneOf", id);
    else if (first_type(w->at, 0))
        typed(m, w, id);
    else {
        static const char *const none[] = {NULL};
        only(m, w, none);
        size_t at = anything(m);
        buf_printf(&m->b, "v%zu ::= v%zu", id, at);
    }
    buf_putc(&m->b, '\n');
    return id;
}
