/* SPDX-License-Identifier: Apache-2.0
 *
 * text/schema_load.c: reads the text of a schema: which JSON values are schemas, which keywords they bear, where references lead.
 *
 * Every keyword is looked at once here: its value must have the form that the specification gives it, and what is no keyword of any
 * draft becomes a note. References are resolved inside of the text: by pointer, by anchor, and by the URI of an $id, relative to the
 * nearest one above. Nothing is fetched: a schema elsewhere is refused with its URI. */
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "text/schema_impl.h"

const char *const schema_kw_name[KW_N] = {
#define X(a, b) [KW_##a] = b,
    SCHEMA_KEYWORDS(X)
#undef X
};

enum { SCHEMAS_MAX = 200000, URI_MAX = 2048 };

__attribute__((format(printf, 5, 0))) static int
fail_as(struct schema *s, int code, const char *path, int kw, const char *fmt, va_list ap)
{
    char text[200];
    if (s->failed) return s->failed;
    vsnprintf(text, sizeof text, fmt, ap);
    size_t n = strlen(path);
    s->fail_path = path;
    s->fail_kw = kw;
    s->failed = lar_fail(&s->err, code, "%s%s: %s",
                         n > 150 ? "..."
                         : *path ? ""
                                 : "(root)",
                         n > 150 ? path + n - 150 : path, text);
    return s->failed;
}

int schema_fail(struct schema *s, int code, const char *path, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = fail_as(s, code, path, -1, fmt, ap);
    va_end(ap);
    return rc;
}

int schema_refuse(struct schema *s, const char *path, enum schema_kw kw, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = fail_as(s, LAR_EUNSUPPORTED, path, (int)kw, fmt, ap);
    va_end(ap);
    return rc;
}

const struct sch_kw *sch_get(const struct sch *x, enum schema_kw kw)
{
    if (!(x->has >> kw & 1)) return NULL;
    for (uint32_t i = 0; i < x->nkw; i++)
        if (x->kw[i].kw == kw) return &x->kw[i];
    return NULL;
}

static int no_memory(struct schema *s)
{
    return schema_fail(s, LAR_ELIMIT, "",
                       "the schema needs more memory than its limit of %zu bytes", s->a.limit);
}

static size_t slot_of(const struct schema *s, const struct json *j)
{
    size_t h = ((uintptr_t)j >> 4) * 0x9e3779b97f4a7c15u >> 20 & (s->nby - 1);
    while (s->by_json[h] && s->sch[s->by_json[h] - 1].j != j) h = (h + 1) & (s->nby - 1);
    return h;
}

static uint32_t known(const struct schema *s, const struct json *j)
{
    return s->nby ? s->by_json[slot_of(s, j)] : 0;
}

/* A new schema for j, found by it afterwards. UINT32_MAX on failure. */
static uint32_t add(struct schema *s, enum sch_kind kind, const struct json *j, const char *path)
{
    if (s->nsch == s->cap_sch) {
        size_t cap = s->cap_sch ? s->cap_sch * 2 : 64;
        struct sch *v = cap > SCHEMAS_MAX * 2 ? NULL : mem_resize(s->sch, cap * sizeof *v);
        if (v) s->sch = v;
        uint32_t *by = v ? mem_zalloc(cap * 2 * sizeof *by) : NULL;
        if (!by) return no_memory(s), UINT32_MAX;
        s->cap_sch = cap;
        mem_free(s->by_json);
        s->by_json = by;
        s->nby = cap * 2;
        for (size_t i = 0; i < s->nsch; i++) by[slot_of(s, s->sch[i].j)] = (uint32_t)i + 1;
    }
    uint32_t id = (uint32_t)s->nsch++;
    s->sch[id] = (struct sch){.kind = kind, .j = j, .path = path};
    s->by_json[slot_of(s, j)] = id + 1;
    return id;
}

uint32_t sch_const(struct schema *s, const struct json *j)
{
    uint32_t id = known(s, j);
    if (id && s->sch[id - 1].kind == SCH_CONST) return id - 1;
    return add(s, SCH_CONST, j, "");
}

/* path + "/" + a (+ "/" + b), escaped as pointers are. */
static const char *path_of(struct schema *s, const char *path, const char *a, struct str b)
{
    struct buf t = {.limit = 65536};
    buf_puts(&t, path);
    buf_putc(&t, '/');
    buf_puts(&t, a);
    if (b.p) buf_putc(&t, '/');
    for (size_t i = 0; b.p && i < b.n; i++) {
        if (b.p[i] == '~' || b.p[i] == '/')
            buf_puts(&t, b.p[i] == '~' ? "~0" : "~1");
        else
            buf_putc(&t, b.p[i]);
    }
    const char *r = t.failed ? NULL : arena_copy(&s->a, buf_z(&t), t.n);
    buf_done(&t);
    if (!r) no_memory(s);
    return r ? r : "";
}

static int kw_find(struct str key)
{
    for (int k = 0; k < KW_N; k++)
        if (schema_kw_name[k][0] == (key.n ? key.p[0] : 0) && str_is(key, schema_kw_name[k]))
            return k;
    return -1;
}

__attribute__((format(printf, 3, 4))) static void note(struct schema *s, const char *path, const char *fmt, ...)
{
    char text[300];
    va_list ap;
    if (!s->notes || s->notes->n >= 65536) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf_printf(s->notes, "%s: %s\n", *path ? path : "(root)", text);
}

/* The draft that brought a keyword; what an older one says with it is an annotation. 0: all know it. */
static int since(enum schema_kw k, const struct json *j)
{
    switch (k) {
    case KW_EXCLUSIVE_MINIMUM:
    case KW_EXCLUSIVE_MAXIMUM: return j->kind == JSON_NUMBER ? 6 : 0;
    case KW_CONST:
    case KW_CONTAINS:
    case KW_PROPERTY_NAMES: return 6;
    case KW_IF:
    case KW_THEN:
    case KW_ELSE: return 7;
    case KW_DEPENDENT_REQUIRED:
    case KW_DEPENDENT_SCHEMAS:
    case KW_MIN_CONTAINS:
    case KW_MAX_CONTAINS:
    case KW_UNEVALUATED_ITEMS:
    case KW_UNEVALUATED_PROPERTIES:
    case KW_RECURSIVE_REF: return 2019;
    case KW_PREFIX_ITEMS:
    case KW_DYNAMIC_REF: return 2020;
    default: return 0;
    }
}

static int draft_of(struct schema *s, const struct json *j, const char *path, int otherwise)
{
    static const struct {
        const char *part;
        int draft;
    } known_draft[] = {{"draft-03", 3}, {"draft-04", 4},   {"draft-05", 4},  {"draft-06", 6},
                       {"draft-07", 7}, {"2019-09", 2019}, {"2020-12", 2020}};
    struct str u = json_str(json_get(j, "$schema"), (struct str){0});
    for (size_t i = 0; i < sizeof known_draft / sizeof *known_draft; i++) {
        size_t n = strlen(known_draft[i].part);
        for (size_t k = 0; k + n <= u.n; k++)
            if (!memcmp(u.p + k, known_draft[i].part, n)) return known_draft[i].draft;
    }
    if (u.n) note(s, path, "the $schema %.*s is not known here: read as draft %d", STR_ARG(u), otherwise);
    return otherwise;
}

/* What a keyword's value may be. */
enum form {
    ONE,
    LIST,
    MAP,
    ONE_OR_LIST,
    DEPS,
    COUNT,
    NUMBER,
    TEXT,
    FLAG,
    TYPES,
    VALUES,
    NAMES,
    NAME_MAP,
    ANYTHING
};
static enum form form_of(enum schema_kw k)
{
    switch (k) {
    case KW_ADDITIONAL_PROPERTIES:
    case KW_PROPERTY_NAMES:
    case KW_ADDITIONAL_ITEMS:
    case KW_CONTAINS:
    case KW_NOT:
    case KW_IF:
    case KW_THEN:
    case KW_ELSE:
    case KW_UNEVALUATED_PROPERTIES:
    case KW_UNEVALUATED_ITEMS: return ONE;
    case KW_ALL_OF:
    case KW_ANY_OF:
    case KW_ONE_OF:
    case KW_PREFIX_ITEMS: return LIST;
    case KW_PROPERTIES:
    case KW_PATTERN_PROPERTIES:
    case KW_DEPENDENT_SCHEMAS:
    case KW_DEFS:
    case KW_DEFINITIONS: return MAP;
    case KW_ITEMS: return ONE_OR_LIST;
    case KW_DEPENDENCIES: return DEPS;
    case KW_MIN_PROPERTIES:
    case KW_MAX_PROPERTIES:
    case KW_MIN_CONTAINS:
    case KW_MAX_CONTAINS:
    case KW_MIN_ITEMS:
    case KW_MAX_ITEMS:
    case KW_MIN_LENGTH:
    case KW_MAX_LENGTH: return COUNT;
    case KW_MINIMUM:
    case KW_MAXIMUM:
    case KW_MULTIPLE_OF: return NUMBER;
    case KW_PATTERN:
    case KW_FORMAT:
    case KW_REF:
    case KW_DYNAMIC_REF:
    case KW_RECURSIVE_REF: return TEXT;
    case KW_UNIQUE_ITEMS: return FLAG;
    case KW_TYPE: return TYPES;
    case KW_ENUM: return VALUES;
    case KW_REQUIRED: return NAMES;
    case KW_DEPENDENT_REQUIRED: return NAME_MAP;
    default: return ANYTHING;
    }
}

static int all_strings(const struct json *j)
{
    if (j->kind != JSON_ARRAY) return 0;
    for (const struct json *c = j->child; c; c = c->next)
        if (c->kind != JSON_STRING) return 0;
    return 1;
}

static const char *const type_name[] = {"null",  "boolean", "number", "string",
                                        "array", "object",  "integer"};

static int is_type(const struct json *j)
{
    for (size_t i = 0; i < sizeof type_name / sizeof *type_name; i++)
        if (j->kind == JSON_STRING && str_is(j->s, type_name[i])) return 1;
    return 0;
}

/* Refuses a value that its keyword does not have. */
static int check_form(struct schema *s, const struct json *j, enum form f, const char *path)
{
    int ok = 1;
    switch (f) {
    case LIST: ok = j->kind == JSON_ARRAY && j->n > 0; break;
    case MAP:
    case DEPS:
    case NAME_MAP: ok = j->kind == JSON_OBJECT; break;
    case COUNT:
        ok = j->kind == JSON_NUMBER && j->num >= 0 && j->num == (double)(int64_t)j->num &&
             j->num < 9e15;
        break;
    case NUMBER: ok = j->kind == JSON_NUMBER; break;
    case TEXT: ok = j->kind == JSON_STRING; break;
    case FLAG: ok = j->kind == JSON_BOOL; break;
    case VALUES: ok = j->kind == JSON_ARRAY; break;
    case NAMES: ok = all_strings(j); break;
    case TYPES:
        ok = is_type(j) || (j->kind == JSON_ARRAY && j->n > 0);
        for (const struct json *c = j->kind == JSON_ARRAY ? j->child : NULL; c; c = c->next)
            ok = ok && is_type(c);
        break;
    default: break;
    }
    for (const struct json *c = f == NAME_MAP && ok ? j->child : NULL; c; c = c->next)
        ok = ok && all_strings(c);
    if (!ok) schema_fail(s, LAR_EFORMAT, path, "this keyword cannot have that value");
    return ok;
}

static uint32_t load(struct schema *s, const struct json *j, const char *path, uint32_t res,
                     int draft, int depth);

static void load_subs(struct schema *s, struct sch_kw *k, const char *path, uint32_t res, int draft,
                      int depth)
{
    enum form f = form_of(k->kw);
    const struct json *j = k->j;
    const char *name = schema_kw_name[k->kw];
    if (f == ONE_OR_LIST) f = j->kind == JSON_ARRAY ? LIST : ONE;
    if (f == LIST && k->kw == KW_ITEMS && j->n == 0) return;
    if (f != ONE && f != LIST && f != MAP && f != DEPS) return;
    size_t n = f == ONE ? 1 : j->n, i = 0;
    if (!(k->sub = arena_array(&s->a, n ? n : 1, sizeof *k->sub))) {
        no_memory(s);
        return;
    }
    k->nsub = (uint32_t)n;
    if (f == ONE) {
        k->sub[0] = load(s, j, path_of(s, path, name, (struct str){0}), res, draft, depth);
        return;
    }
    for (const struct json *c = j->child; c && !s->failed; c = c->next, i++) {
        char digits[24];
        snprintf(digits, sizeof digits, "%zu", i);
        struct str step = f == LIST ? str_of(digits) : c->key;
        k->sub[i] = UINT32_MAX;
        if (f == DEPS && c->kind == JSON_ARRAY) {
            if (!all_strings(c))
                schema_fail(s, LAR_EFORMAT, path, "dependencies must be schemas or lists of names");
            continue;
        }
        k->sub[i] = load(s, c, path_of(s, path, name, step), res, draft, depth);
    }
}

/* ---- URIs (RFC 3986, what schemas need of it) ---- */

static struct str cut_fragment(struct str u, struct str *fragment)
{
    const char *h = u.n ? memchr(u.p, '#', u.n) : NULL;
    *fragment = h ? (struct str){h + 1, u.n - (size_t)(h - u.p) - 1} : (struct str){0};
    return h ? (struct str){u.p, (size_t)(h - u.p)} : u;
}

static size_t scheme_of(struct str u)
{
    for (size_t i = 0; i < u.n; i++) {
        char c = u.p[i];
        if (c == ':') return i ? i + 1 : 0;
        if (!((c | 32) >= 'a' && (c | 32) <= 'z') &&
            !(i && ((c >= '0' && c <= '9') || strchr("+-.", c))))
            return 0;
    }
    return 0;
}

/* Takes "." and ".." out of the path that begins at `from`. */
static void tidy(char *u, size_t from)
{
    size_t w = from, n = strlen(u);
    for (size_t i = from; i < n;) {
        size_t e = i + 1;
        while (e < n && u[e] != '/' && u[e] != '?') e++;
        size_t len = e - i;
        int last = e >= n || u[e] == '?';
        if (u[i] == '/' && len == 2 && u[i + 1] == '.') {
            if (last) u[w++] = '/';
        } else if (u[i] == '/' && len == 3 && u[i + 1] == '.' && u[i + 2] == '.') {
            while (w > from && u[--w] != '/') {
            }
            if (last) u[w++] = '/';
        } else {
            memmove(u + w, u + i, len);
            w += len;
        }
        if (e < n && u[e] == '?') {
            memmove(u + w, u + e, n - e);
            w += n - e;
            break;
        }
        i = e;
    }
    u[w] = 0;
}

/* u (without fragment) seen from base; in the arena. */
static const char *resolve(struct schema *s, const char *base, struct str u)
{
    char out[URI_MAX * 2];
    struct str b = str_of(base);
    if (u.n > URI_MAX || b.n > URI_MAX) {
        schema_fail(s, LAR_ELIMIT, "", "a URI of more than %d bytes", URI_MAX);
        return "";
    }
    size_t scheme = scheme_of(b), host = scheme;
    if (host + 1 < b.n && b.p[host] == '/' && b.p[host + 1] == '/') {
        host += 2;
        while (host < b.n && b.p[host] != '/') host++;
    }
    size_t keep = b.n;
    if (u.n == 0)
        keep = b.n;
    else if (scheme_of(u))
        keep = 0;
    else if (u.n > 1 && u.p[0] == '/' && u.p[1] == '/')
        keep = scheme;
    else if (u.p[0] == '/')
        keep = host;
    else
        while (keep > host && b.p[keep - 1] != '/') keep--;
    memcpy(out, b.p, keep);
    memcpy(out + keep, u.p ? u.p : "", u.n);
    out[keep + u.n] = 0;
    if (keep && keep >= host && u.n && u.p[0] != '?') tidy(out, host);
    char *r = arena_copy(&s->a, out, strlen(out));
    if (!r) no_memory(s);
    return r ? r : "";
}

static const char *base_of(const struct schema *s, uint32_t x)
{
    return s->sch[s->sch[x].res].base ? s->sch[s->sch[x].res].base : "";
}

/* ---- loading ---- */

/* $id makes a schema the root of a resource of its own, unless it is only a fragment (drafts 4 to 7: an anchor). */
static void set_base(struct schema *s, uint32_t id, const struct json *j, uint32_t res)
{
    struct sch *x = &s->sch[id];
    struct str u = json_str(json_get(j, x->draft == 4 ? "id" : "$id"), (struct str){0}), fragment;
    if (!u.p && x->draft == 4) u = json_str(json_get(j, "$id"), (struct str){0});
    if (x->draft <= 7 && json_get(j, "$ref")) u = (struct str){0};
    x->res = res == UINT32_MAX ? id : res;
    if (res == UINT32_MAX) x->base = "";
    u = cut_fragment(u, &fragment);
    if (u.n == 0) return;
    const char *base = resolve(s, base_of(s, id), u);
    s->sch[id].base = base;
    s->sch[id].res = id;
}

/* Keywords that say nothing without another one. */
static void note_idle(struct schema *s, const struct json *j, uint64_t has, const char *path)
{
    static const enum schema_kw pair[][2] = {{KW_THEN, KW_IF},
                                             {KW_ELSE, KW_IF},
                                             {KW_MIN_CONTAINS, KW_CONTAINS},
                                             {KW_MAX_CONTAINS, KW_CONTAINS}};
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++)
        if ((has >> pair[i][0] & 1) && !(has >> pair[i][1] & 1))
            note(s, path, "%s without %s demands nothing", schema_kw_name[pair[i][0]], schema_kw_name[pair[i][1]]);
    const struct json *items = json_get(j, "items");
    if ((has >> KW_ADDITIONAL_ITEMS & 1) && !(items && items->kind == JSON_ARRAY))
        note(s, path, "additionalItems without a list under items demands nothing");
    for (enum schema_kw k = KW_CONTENT_ENCODING; k <= KW_CONTENT_SCHEMA; k++)
        if (json_get(j, schema_kw_name[k])) note(s, path, "%s is an annotation: it demands nothing", schema_kw_name[k]);
}

static uint32_t load(struct schema *s, const struct json *j, const char *path, uint32_t res,
                     int draft, int depth)
{
    uint32_t id = known(s, j);
    if (id) return id - 1;
    if (s->failed) return UINT32_MAX;
    if (s->nsch > SCHEMAS_MAX)
        return schema_fail(s, LAR_ELIMIT, path, "more than %d schemas", SCHEMAS_MAX), UINT32_MAX;
    if (j->kind == JSON_BOOL) {
        id = add(s, j->boolean ? SCH_TRUE : SCH_FALSE, j, path);
        if (id != UINT32_MAX)
            s->sch[id].res = res == UINT32_MAX ? id : res, s->sch[id].draft = draft;
        return id;
    }
    if (j->kind != JSON_OBJECT)
        return schema_fail(s, LAR_EFORMAT, path, "a schema must be an object, true or false"),
               UINT32_MAX;
    if ((id = add(s, SCH_OBJECT, j, path)) == UINT32_MAX) return id;
    s->sch[id].draft = draft_of(s, j, path, draft);
    draft = s->sch[id].draft;
    if (draft == 3 && schema_is_left(s, path, -1)) {
        s->sch[id].kind = SCH_TRUE;
        s->sch[id].res = res == UINT32_MAX ? id : res;
        return id;
    }
    if (draft == 3 && !s->lenient)
        return schema_fail(s, LAR_EUNSUPPORTED, path,
                           "draft 3 is not supported; drafts 4 to 2020-12 are"),
               UINT32_MAX;
    set_base(s, id, j, res);
    res = s->sch[id].res;
    int only_ref = draft <= 7 && json_get(j, "$ref") && json_get(j, "$ref")->kind == JSON_STRING;
    struct sch_kw *kw = arena_array(&s->a, j->n ? j->n : 1, sizeof *kw);
    uint32_t n = 0;
    uint64_t has = 0;
    if (!kw) return no_memory(s), UINT32_MAX;
    for (const struct json *c = j->child; c && !s->failed; c = c->next) {
        int k = kw_find(c->key);
        if (k < 0 || k >= KW_ID) {
            if (k < 0) note(s, path, "%.*s is no keyword of JSON Schema: an annotation", STR_ARG(c->key));
            continue;
        }
        if (draft < since((enum schema_kw)k, c)) {
            note(s, path, "%s is no keyword of the draft declared (%d), but of %d: an annotation", schema_kw_name[k],
                 draft, since((enum schema_kw)k, c));
            continue;
        }
        if (s->nleft && schema_is_left(s, path, k)) continue;
        if (only_ref && k != KW_REF && k != KW_DEFINITIONS && k != KW_DEFS)
            continue; /* draft 7, 8.3: siblings of $ref are ignored */
        if ((k == KW_EXCLUSIVE_MINIMUM || k == KW_EXCLUSIVE_MAXIMUM) && c->kind != JSON_BOOL &&
            c->kind != JSON_NUMBER)
            schema_fail(s, LAR_EFORMAT, path, "%s must be a number", schema_kw_name[k]);
        if (!check_form(s, c, form_of((enum schema_kw)k),
                        path_of(s, path, schema_kw_name[k], (struct str){0})))
            break;
        for (uint32_t i = 0; i < n && (has >> k & 1); i++)
            if ((int)kw[i].kw == k)
                kw[i--] = kw[--n]; /* a key that stands twice: the last one counts */
        has |= (uint64_t)1 << k;
        kw[n] = (struct sch_kw){.kw = (enum schema_kw)k, .j = c};
        if (depth > JSON_DEPTH_MAX)
            schema_fail(s, LAR_ELIMIT, path, "nested deeper than %d", JSON_DEPTH_MAX);
        if (!s->failed) load_subs(s, &kw[n], path, res, draft, depth + 1);
        n++;
    }
    s->sch[id].kw = kw;
    s->sch[id].nkw = n;
    s->sch[id].has = has;
    note_idle(s, j, has, path);
    s->uneval |= (has >> KW_UNEVALUATED_PROPERTIES & 1) || (has >> KW_UNEVALUATED_ITEMS & 1);
    return s->failed ? UINT32_MAX : id;
}

/* ---- references ---- */

static int hex_digit(int c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* The next step of a JSON pointer in a URI fragment, unescaped into out. */
static struct str pointer_step(struct str *p, char *out, size_t cap)
{
    size_t i = 1, n = 0;
    for (; i < p->n && p->p[i] != '/' && n < cap; i++) {
        char c = p->p[i];
        if (c == '%' && i + 2 < p->n && hex_digit(p->p[i + 1]) >= 0 &&
            hex_digit(p->p[i + 2]) >= 0) {
            c = (char)(hex_digit(p->p[i + 1]) * 16 + hex_digit(p->p[i + 2]));
            i += 2;
        }
        if (n && out[n - 1] == '~' && (c == '0' || c == '1'))
            out[n - 1] = c == '0' ? '\1' : '/';
        else
            out[n++] = c;
    }
    for (size_t k = 0; k < n; k++)
        if (out[k] == '\1') out[k] = '~';
    *p = str_from(*p, i);
    return (struct str){out, n};
}

static const struct json *pointer(const struct json *j, struct str p)
{
    char step[1024];
    while (p.n && j) {
        if (p.p[0] != '/') return NULL;
        struct str name = pointer_step(&p, step, sizeof step);
        const struct json *c = NULL, *hit = NULL;
        size_t want = 0, i = 0;
        for (size_t k = 0; k < name.n; k++)
            want = name.p[k] >= '0' && name.p[k] <= '9' && k < 9
                       ? want * 10 + (size_t)(name.p[k] - '0')
                       : SIZE_MAX / 16;
        if (j->kind == JSON_OBJECT || j->kind == JSON_ARRAY)
            for (c = j->child; c; c = c->next, i++)
                if (j->kind == JSON_OBJECT ? str_eq(c->key, name) : i == want) hit = c;
        j = hit;
    }
    return j;
}

static int names(const struct json *j, const char *key, struct str name)
{
    return str_eq(json_str(json_get(j, key), (struct str){"", 0}), name);
}

/* The schema in resource res with this anchor, or UINT32_MAX. */
static uint32_t find_anchor(const struct schema *s, uint32_t res, struct str name, int dynamic_only)
{
    char fragment[256];
    for (size_t i = 0; i < s->nsch; i++) {
        const struct sch *x = &s->sch[i];
        if (x->kind != SCH_OBJECT || (res != UINT32_MAX && x->res != res)) continue;
        if (names(x->j, "$dynamicAnchor", name) || (!dynamic_only && names(x->j, "$anchor", name)))
            return (uint32_t)i;
        int n = snprintf(fragment, sizeof fragment, "#%.*s", (int)(name.n < 200 ? name.n : 200),
                         name.p);
        struct str id = json_str(json_get(x->j, x->draft == 4 ? "id" : "$id"), (struct str){0});
        if (!dynamic_only && x->draft <= 7 && n > 0 &&
            str_ends(id, (struct str){fragment, (size_t)n}))
            return (uint32_t)i;
    }
    return UINT32_MAX;
}

static uint32_t find_resource(const struct schema *s, const char *uri)
{
    for (size_t i = 0; i < s->nsch; i++)
        if (s->sch[i].base && (!strcmp(s->sch[i].base, uri))) return (uint32_t)i;
    return UINT32_MAX;
}

/* Where the reference u in schema x leads, loading it when it lies in a place that is no keyword's. */
static uint32_t target(struct schema *s, uint32_t x, struct str u, enum schema_kw kw)
{
    struct str fragment;
    const char *path = s->sch[x].path;
    struct str file = cut_fragment(u, &fragment);
    const char *uri = resolve(s, base_of(s, x), file);
    uint32_t res = file.n ? find_resource(s, uri) : s->sch[x].res;
    if (s->failed) return UINT32_MAX;
    if (res == UINT32_MAX) {
        if (!s->lenient)
            schema_refuse(s, path, kw, "$ref to %.120s, which is not in this text (nothing is fetched)", uri);
        return UINT32_MAX;
    }
    if (fragment.n == 0) return res;
    uint32_t id = UINT32_MAX;
    if (fragment.p[0] != '/')
        id = find_anchor(s, res, fragment, 0);
    else {
        const struct json *j = pointer(s->sch[res].j, fragment);
        if (j && known(s, j) && s->sch[known(s, j) - 1].kind != SCH_CONST) return known(s, j) - 1;
        if (j) {
            struct buf p = {0};
            buf_printf(&p, "%s%.*s", s->sch[res].path, (int)(fragment.n < 1000 ? fragment.n : 1000),
                       fragment.p);
            const char *where = arena_copy(&s->a, buf_z(&p), p.n);
            buf_done(&p);
            id = load(s, j, where ? where : "", res, s->sch[res].draft, 0);
        }
    }
    if (id == UINT32_MAX && !s->failed)
        schema_fail(s, LAR_EFORMAT, path, "$ref to %.*s, which is not there", STR_ARG(u));
    return id;
}

/* $dynamicRef and $recursiveRef depend on how their place was reached. Where only one target is possible they are plain references;
 * where the text offers several, they are refused. */
static uint32_t dynamic_target(struct schema *s, uint32_t x, const struct sch_kw *k)
{
    uint32_t id = target(s, x, k->j->s, k->kw);
    if (id == UINT32_MAX) return id;
    struct str fragment;
    cut_fragment(k->j->s, &fragment);
    int recursive = k->kw == KW_RECURSIVE_REF;
    if (recursive ? !json_bool(json_get(s->sch[id].j, "$recursiveAnchor"), 0)
                  : !(fragment.n && fragment.p[0] != '/' &&
                      names(s->sch[id].j, "$dynamicAnchor", fragment)))
        return id;
    for (size_t i = 0; i < s->nsch; i++) {
        const struct sch *y = &s->sch[i];
        if (y->kind != SCH_OBJECT || i == id) continue;
        if (recursive ? json_bool(json_get(y->j, "$recursiveAnchor"), 0) && y->base
                      : names(y->j, "$dynamicAnchor", fragment)) {
            if (s->lenient) return id;
            schema_refuse(s, s->sch[x].path, k->kw, "%s with more than one possible target", schema_kw_name[k->kw]);
            return UINT32_MAX;
        }
    }
    return id;
}

uint32_t schema_anchored(const struct schema *s, uint32_t res, uint32_t id, const struct sch_kw *k)
{
    struct str fragment;
    cut_fragment(k->j->s, &fragment);
    if (k->kw == KW_RECURSIVE_REF) {
        if (!json_bool(json_get(s->sch[id].j, "$recursiveAnchor"), 0)) return id;
        return json_bool(json_get(s->sch[res].j, "$recursiveAnchor"), 0) ? res : UINT32_MAX;
    }
    if (!fragment.n || fragment.p[0] == '/' || !names(s->sch[id].j, "$dynamicAnchor", fragment)) return id;
    return find_anchor(s, res, fragment, 1);
}

/* ---- circles ---- */

/* Whether what is below the keyword looks at the very same value. */
static int stays(enum schema_kw k)
{
    return k == KW_REF || k == KW_DYNAMIC_REF || k == KW_RECURSIVE_REF || k == KW_ALL_OF || k == KW_ANY_OF ||
           k == KW_ONE_OF || k == KW_NOT || k == KW_IF || k == KW_THEN || k == KW_ELSE || k == KW_DEPENDENT_SCHEMAS ||
           k == KW_DEPENDENCIES;
}

struct step {
    uint32_t id, kw, sub;
};

/* Goes down from schema `from`, as far as a value stays the same, and refuses a way back. seen: 1 on the way, 2 done. */
static void circle_from(struct schema *s, uint32_t from, struct step *way, uint8_t *seen)
{
    size_t n = 1;
    way[0] = (struct step){.id = from};
    seen[from] = 1;
    while (n && !s->failed) {
        struct step *w = &way[n - 1];
        const struct sch *x = &s->sch[w->id];
        if (w->kw == x->nkw) {
            seen[w->id] = 2;
            n--;
            continue;
        }
        const struct sch_kw *k = &x->kw[w->kw];
        if (!stays(k->kw) || w->sub >= k->nsub) {
            w->kw++;
            w->sub = 0;
            continue;
        }
        uint32_t to = k->sub[w->sub++];
        if (to >= s->nsch || seen[to] == 2) continue;
        if (seen[to]) {
            schema_refuse(s, x->path, k->kw, "%s: the schema refers to itself without reading anything",
                          schema_kw_name[k->kw]);
            return;
        }
        seen[to] = 1;
        way[n++] = (struct step){.id = to};
    }
}

static void refuse_circles(struct schema *s)
{
    struct step *way = mem_alloc((s->nsch + 1) * sizeof *way);
    uint8_t *seen = mem_zalloc(s->nsch + 1);
    if (!way || !seen) schema_fail(s, LAR_ENOMEM, "", "out of memory");
    for (size_t i = 0; i < s->nsch && !s->failed; i++)
        if (!seen[i]) circle_from(s, (uint32_t)i, way, seen);
    mem_free(way);
    mem_free(seen);
}

int schema_load(struct schema *s, struct str text)
{
    struct str *copy = arena_alloc(&s->a, sizeof *copy); /* the tree points into the text */
    char *bytes = arena_copy(&s->a, text.p, text.n);
    if (!copy || !bytes) return no_memory(s);
    struct lar_err e;
    if (str_starts(text, STR("\xef\xbb\xbf")))
        return schema_fail(s, LAR_EFORMAT, "", "a byte order mark before the JSON; save the schema without one");
    const struct json *j = json_parse(&s->a, (struct str){bytes, text.n}, &e);
    if (!j && e.code == LAR_ENOMEM) return no_memory(s);
    if (!j) return s->failed = lar_fail(&s->err, e.code, "the schema is no JSON: %.180s", e.msg);
    s->root = load(s, j, "", UINT32_MAX, s->opt.draft ? s->opt.draft : 2020, 0);
    s->top = s->root;
    for (size_t i = 0; i < s->nsch && !s->failed; i++) /* targets may load more */
        for (uint32_t n = 0; n < s->sch[i].nkw && !s->failed; n++) {
            struct sch_kw *k = &s->sch[i].kw[n];
            if (k->kw != KW_REF && k->kw != KW_DYNAMIC_REF && k->kw != KW_RECURSIVE_REF) continue;
            if (!(k->sub = arena_alloc(&s->a, sizeof *k->sub))) return no_memory(s);
            k->nsub = 1;
            k->sub[0] = k->kw == KW_REF ? target(s, (uint32_t)i, k->j->s, KW_REF)
                                        : dynamic_target(s, (uint32_t)i, k);
        }
    if (!s->failed && !s->lenient) refuse_circles(s);
    return s->failed;
}
