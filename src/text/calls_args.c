/* SPDX-License-Identifier: Apache-2.0
 *
 * text/calls_args.c: what stands in a call: an object with name and arguments; arguments between tags; arguments in braces with strings
 * between marks. The last two become JSON here: what a value between tags is (text without quotes, or JSON) its tool's schema says.
 */
#include "text/calls_impl.h"

#define NOT_YET SIZE_MAX /* a value that has not begun */

static struct str held(const struct calls *c) { return str_from(buf_view(&c->hold), c->at); }

/* The JSON string s as its characters. */
static int unquote(struct str s, struct buf *out)
{
    struct arena a;
    arena_init(&a, 64 << 20);
    const struct json *j = json_parse(&a, s, NULL);
    int ok = j && j->kind == JSON_STRING;
    buf_clear(out);
    if (ok) buf_str(out, j->s);
    arena_done(&a);
    return ok ? DONE : BROKEN;
}

static int is_json(struct str s, enum json_kind *kind)
{
    struct arena a;
    arena_init(&a, 64 << 20);
    const struct json *j = json_parse(&a, s, NULL);
    if (j) *kind = j->kind;
    arena_done(&a);
    return j != NULL;
}

/* ---- an object ---- */

/* One JSON value from c->from on is taken; *value is its text when it is whole. */
static int value(struct calls *c, struct str *out)
{
    struct str h = buf_view(&c->hold);
    int rc = CALL_JSON_MORE;
    while (c->at < h.n && rc == CALL_JSON_MORE) rc = call_json_byte(&c->json, (unsigned char)h.p[c->at++]);
    if (rc == CALL_JSON_BAD) return BROKEN;
    if (rc == CALL_JSON_MORE) return WAIT;
    if (rc == CALL_JSON_BEHIND) c->at--;
    *out = (struct str){h.p + c->from, c->at - c->from};
    return DONE;
}

static int begin_value(struct calls *c, int step, size_t from)
{
    call_json_begin(&c->json);
    c->from = from;
    c->step = step;
    return DONE;
}

static int member(struct calls *c)
{
    const struct call_form *f = c->form;
    struct str k, v;
    int rc = value(c, &v);
    if (rc != DONE) return rc;
    if (unquote(v, &c->key) != DONE) return BROKEN;
    k = buf_view(&c->key);
    c->step = OBJECT_COLON;
    c->kind = OBJECT_OTHER;
    if (f->body == CALL_KEYED) {
        if (c->named || c->name.n) return BROKEN; /* one function a call */
        buf_str(&c->name, k);
        c->kind = OBJECT_ARGS;
    } else if (str_is(k, f->key) || str_is(k, "name"))
        c->kind = OBJECT_NAME;
    else if (str_is(k, f->args) || str_is(k, "arguments") || str_is(k, "parameters"))
        c->kind = OBJECT_ARGS;
    else if (f->bare && !c->matched && !c->named && !str_is(k, "type") && !str_is(k, "id"))
        return BROKEN; /* some other JSON */
    return DONE;
}

/* Arguments that came before the name, or as a string that holds JSON. */
static int whole_args(struct calls *c, struct str s)
{
    enum json_kind kind = JSON_NULL;
    struct buf b = {0};
    int rc = DONE;
    if (s.n && *s.p == '"') {
        if ((rc = unquote(s, &b)) == DONE) s = buf_view(&b);
    }
    while (s.n && is_blank(*s.p)) s = str_from(s, 1);
    while (s.n && is_blank(s.p[s.n - 1])) s.n--;
    if (rc == DONE && (!is_json(s, &kind) || (kind != JSON_OBJECT && kind != JSON_NULL))) rc = BROKEN;
    if (rc == DONE) {
        buf_clear(&c->args);
        buf_str(&c->args, kind == JSON_NULL ? STR("{}") : s);
        c->is_key = 1; /* there are arguments */
    }
    buf_done(&b);
    return rc;
}

static int object_value(struct calls *c)
{
    struct str v, h = held(c);
    int rc;
    if (c->from == NOT_YET) {
        while (h.n && is_blank(*h.p)) h = str_from(h, 1), c->at++;
        if (!h.n) return WAIT;
        c->from = c->at;
        if (c->step == OBJECT_ARGS && c->is_key) return BROKEN; /* twice */
        if (c->step == OBJECT_ARGS && (!c->name.n || *h.p != '{')) c->step = OBJECT_TEXT;
    }
    if (c->step == OBJECT_ARGS) {
        if ((rc = calls_json(c, OBJECT_NEXT)) == DONE) c->is_key = 2; /* given on */
        return rc;
    }
    if ((rc = value(c, &v)) != DONE) return rc;
    if (c->step == OBJECT_NAME) {
        if (c->name.n || unquote(v, &c->name) != DONE) return BROKEN;
    } else if (c->step == OBJECT_TEXT && (rc = whole_args(c, v)) != DONE)
        return rc;
    c->step = OBJECT_NEXT;
    return DONE;
}

static int object_end(struct calls *c)
{
    if (!c->named && calls_named(c) != DONE) return BROKEN;
    if (c->is_key < 2) calls_args(c, c->is_key ? buf_view(&c->args) : STR("{}"));
    return calls_ended(c);
}

int calls_object(struct calls *c)
{
    if (c->step >= OBJECT_NAME && c->step <= OBJECT_OTHER) return object_value(c);
    if (c->step == OBJECT_MEMBER) return member(c);
    struct str h = held(c);
    while (h.n && is_blank(*h.p)) h = str_from(h, 1), c->at++;
    if (!h.n) return WAIT;
    c->at++;
    switch (c->step) {
    case OBJECT:
        c->step = OBJECT_KEY;
        c->is_key = 0;
        return *h.p == '{' ? DONE : BROKEN;
    case OBJECT_KEY: return *h.p == '"' ? begin_value(c, OBJECT_MEMBER, --c->at) : BROKEN;
    case OBJECT_COLON: return *h.p == ':' ? begin_value(c, c->kind, NOT_YET) : BROKEN;
    default:
        if (*h.p == '}') return object_end(c);
        c->step = OBJECT_KEY;
        return *h.p == ',' ? DONE : BROKEN;
    }
}

/* ---- tags ---- */

enum { ANY, TEXT_ONLY, JSON_ONLY };

/* What the schema of the argument says of its text. */
static int kind_of(const struct json *tool, struct str key)
{
    const struct json *p = json_get(json_get(tool, "parameters"), "properties"), *s = NULL;
    for (const struct json *k = p ? p->child : NULL; k; k = k->next)
        if (str_eq(k->key, key)) s = k;
    const struct json *type = json_get(s, "type"), *list = json_get(s, "enum");
    if (type && type->kind == JSON_STRING) return str_is(type->s, "string") ? TEXT_ONLY : JSON_ONLY;
    if (type || !list) return ANY;
    for (const struct json *v = list->child; v; v = v->next)
        if (v->kind != JSON_STRING) return ANY;
    return TEXT_ONLY;
}

int calls_is_text(const struct json *tool, struct str key) { return kind_of(tool, key) == TEXT_ONLY; }

static void escape(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        if (ch == '"' || ch == '\\')
            buf_putc(b, '\\'), buf_putc(b, (char)ch);
        else if (ch == '\n')
            buf_puts(b, "\\n");
        else if (ch < 0x20)
            buf_printf(b, "\\u%04x", ch);
        else
            buf_putc(b, (char)ch);
    }
}

static void give(struct calls *c, struct buf *b)
{
    calls_args(c, buf_view(b));
    buf_done(b);
}

static void give_key(struct calls *c)
{
    struct buf b = {0};
    buf_puts(&b, c->first ? "{\"" : ", \"");
    escape(&b, buf_view(&c->key));
    buf_puts(&b, c->string ? "\": \"" : "\": ");
    c->first = 0;
    give(c, &b);
}

/* A value that is not known to be text: JSON, Python's constants, else text after all. python_too: its schema says that it is no text, so one of Python's
 * lists (some templates print them so) is read too. */
static void give_value(struct calls *c, struct str s, int python_too)
{
    static const char *const python[][2] = {{"None", "null"}, {"True", "true"}, {"False", "false"}};
    enum json_kind kind;
    struct buf b = {0};
    size_t i = 0;
    while (i < 3 && !str_is(s, python[i][0])) i++;
    if (i < 3)
        buf_puts(&b, python[i][1]);
    else if (is_json(s, &kind))
        buf_str(&b, s);
    else if (!python_too || !calls_python_json(s, &b)) {
        buf_putc(&b, '"');
        escape(&b, s);
        buf_putc(&b, '"');
    }
    give(c, &b);
}

static int ends_so(const char *z, char ch)
{
    size_t n = strlen(z);
    return n && z[n - 1] == ch;
}

static int pair(struct calls *c)
{
    const struct call_form *f = c->form;
    char first[64];
    size_t n = 0, k = 0;
    while (f->end[n] && !is_blank(f->end[n]) && n < sizeof first - 1) n++;
    snprintf(first, sizeof first, "%.*s", (int)n, f->end);
    int end = calls_match(c, c->at, first, &k), open = calls_match(c, c->at, f->pair, &n);
    if (open == DONE) {
        c->at += n;
        c->step = KEY;
        return DONE;
    }
    if (end == BROKEN && open == BROKEN) return BROKEN;
    if (end != DONE) return WAIT;
    c->at += k;
    calls_args(c, c->first ? STR("{}") : STR("}"));
    int rc = calls_ended(c);
    c->rest = f->end + strlen(first);
    return rc;
}

static int key(struct calls *c)
{
    struct str h = held(c);
    char stop = *c->form->mid;
    const char *p = h.n ? memchr(h.p, stop, h.n) : NULL;
    size_t n = p ? (size_t)(p - h.p) : h.n, k = 0;
    if (n > CALL_NAME_MAX) return BROKEN;
    if (!p) return WAIT;
    int rc = calls_match(c, c->at + n, c->form->mid, &k);
    if (rc != DONE) return rc;
    buf_clear(&c->key);
    buf_add(&c->key, h.p, n);
    c->at += n + k;
    c->kind = kind_of(calls_tool(c->tools, buf_view(&c->name)), buf_view(&c->key));
    c->step = ends_so(c->form->mid, '"') ? FLAG : VALUE;
    c->string = 2; /* its beginning is still to come */
    return DONE;
}

/* DeepSeek says itself whether a value is text. */
static int flag(struct calls *c)
{
    int yes = calls_match(c, c->at, "true\">", &c->from), no = BROKEN;
    if (yes == BROKEN) no = calls_match(c, c->at, "false\">", &c->from);
    if (yes == WAIT || no == WAIT) return WAIT;
    if (yes == BROKEN && no == BROKEN) return BROKEN;
    c->at += c->from;
    c->kind = yes == DONE ? TEXT_ONLY : JSON_ONLY;
    c->step = VALUE;
    return DONE;
}

/* One line break behind the opening and one before the closing tag are the form's, where it has them. */
static int tag_value(struct calls *c)
{
    const char *done = c->form->done;
    int line = *done == '\n';
    size_t n = 0, keep = 0;
    struct str h = held(c);
    if (c->string == 2) {
        if (!h.n) return WAIT;
        if (ends_so(c->form->mid, '\n') && *h.p == '\n') c->at++, h = str_from(h, 1);
        c->string = c->kind == TEXT_ONLY;
        c->from = c->at;
        if (c->string) give_key(c);
    }
    done += line;
    while (done[n] && !is_blank(done[n])) n++;
    const char *p = h.n ? memmem(h.p, h.n, done, n) : NULL;
    if (!p) { /* what may be the closing tag, with its line break, is not given on yet */
        keep = n - 1 < h.n ? n - 1 : h.n;
        while (keep && memcmp(h.p + h.n - keep, done, keep) != 0) keep--;
        if (line && keep < h.n && h.p[h.n - keep - 1] == '\n') keep++;
    }
    struct str s = {h.p, p ? (size_t)(p - h.p) : h.n - keep};
    if (p && line && s.n && s.p[s.n - 1] == '\n') s.n--;
    if (c->string) {
        struct buf b = {0};
        escape(&b, s);
        if (p) buf_putc(&b, '"');
        give(c, &b);
        c->at += p ? (size_t)(p - h.p) + n : s.n;
    } else if (p) {
        give_key(c);
        give_value(c, s, c->kind == JSON_ONLY);
        c->at += (size_t)(p - h.p) + n;
    }
    if (!p) return WAIT;
    c->step = PAIR;
    return DONE;
}

int calls_tags(struct calls *c)
{
    return c->step == PAIR ? pair(c) : c->step == KEY ? key(c) : c->step == FLAG ? flag(c) : tag_value(c);
}

/* ---- braces ---- */

static int brace_value(struct calls *c)
{
    const char *mark = c->form->pair;
    size_t n = 0, mark_n = strlen(mark);
    int rc = calls_match(c, c->at, mark, &n);
    struct str h = held(c);
    struct buf b = {0};
    if (rc == WAIT) return WAIT;
    if (rc == DONE) {
        const char *p = memmem(h.p + n, h.n - n, mark, mark_n);
        if (!p) return WAIT;
        size_t len = (size_t)(p - h.p) - n;
        buf_putc(&b, '"');
        escape(&b, (struct str){h.p + n, len});
        buf_putc(&b, '"');
        c->at += n + len + mark_n;
    } else {
        for (n = 0; n < h.n && !strchr(",}]{[", h.p[n] ? h.p[n] : ' ');) n++;
        if (n == h.n) return WAIT;
        c->at += n;
        while (n && is_blank(h.p[n - 1])) n--;
        if (!n) return BROKEN;
        give_value(c, (struct str){h.p, n}, 0);
    }
    give(c, &b);
    return DONE;
}

static int brace_key(struct calls *c)
{
    struct str h = held(c);
    struct buf b = {0};
    size_t n = 0;
    while (n < h.n && h.p[n] != ':' && h.p[n] != '}' && h.p[n] != '{') n++;
    if (n > CALL_NAME_MAX || (n < h.n && h.p[n] != ':')) return BROKEN;
    if (n == h.n) return WAIT;
    buf_putc(&b, '"');
    escape(&b, (struct str){h.p, n});
    buf_puts(&b, "\": ");
    give(c, &b);
    c->at += n + 1;
    c->is_key = 0;
    return DONE;
}

/* stack[depth - 1]: the bracket we are in; is_key: a key, an item or the end comes next, else a key's value; first: nothing stands in it
 * yet; kind: a comma was read. */
int calls_braces(struct calls *c)
{
    struct str h = held(c);
    while (h.n && is_blank(*h.p)) h = str_from(h, 1), c->at++;
    if (!h.n) return WAIT;
    char in = c->depth ? (char)c->stack[c->depth - 1] : 0;
    if (c->is_key && (*h.p == '}' || *h.p == ']')) {
        if (c->kind || in != (*h.p == '}' ? '{' : '[')) return BROKEN;
        c->at++;
        calls_args(c, in == '{' ? STR("}") : STR("]"));
        c->first = 0;
        return --c->depth ? DONE : calls_ended(c);
    }
    if (c->is_key && *h.p == ',') {
        if (c->first || c->kind) return BROKEN;
        c->at++;
        c->kind = 1;
        calls_args(c, STR(", "));
        return DONE;
    }
    if (c->is_key && in && !c->first && !c->kind) return BROKEN;
    if (c->is_key && in == '{') return brace_key(c);
    if (*h.p == '{' || *h.p == '[') {
        if (c->depth == CALL_DEPTH_MAX || (!c->depth && *h.p == '[')) return BROKEN;
        calls_args(c, *h.p == '{' ? STR("{") : STR("["));
        c->stack[c->depth++] = (unsigned char)*h.p;
        c->at++;
        c->first = c->is_key = 1;
        c->kind = 0;
        return DONE;
    }
    int rc = c->depth ? brace_value(c) : BROKEN;
    if (rc == DONE) c->first = c->kind = 0, c->is_key = 1;
    return rc;
}
