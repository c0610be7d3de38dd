/* SPDX-License-Identifier: Apache-2.0
 *
 * text/calls.c: the reader of calls: one buffer of bytes that are not decided yet, and steps that each take what they can of it.
 *
 * A step says: done (go on with the next), wait (more bytes are needed), or that this is no call. The buffer keeps all of a call until it
 * has ended, so that nothing is lost when it proves to be none. Arguments that are not written as JSON are in calls_args.c.
 */
#include "text/calls_impl.h"

/* Longer than these, what should be a header, or stand between name and arguments, is neither. */
enum { HEAD_MAX = 300, BEHIND_MAX = 160 };

int calls_match(const struct calls *c, size_t at, const char *lit, size_t *n)
{
    struct str h = buf_view(&c->hold);
    size_t p = at, last = strlen(lit);
    while (last && is_blank(lit[last - 1])) last--;
    if (last && !is_blank(*lit))
        while (p < h.n && is_blank(h.p[p])) p++;
    for (size_t i = 0; i < last; i++) {
        if (is_blank(lit[i])) {
            while (p < h.n && is_blank(h.p[p])) p++;
            continue;
        }
        if (p == h.n) return WAIT;
        if (h.p[p++] != lit[i]) return BROKEN;
    }
    *n = p - at;
    return DONE;
}

int calls_literal(struct calls *c, const char *lit)
{
    size_t n = 0;
    int rc = calls_match(c, c->at, lit, &n);
    if (rc == DONE) c->at += n;
    return rc;
}

static void event(struct calls *c, enum call_event e, struct str s)
{
    if (s.n || e == CALL_END || e == CALL_BROKEN) c->on(c->ctx, e, c->ncall, s);
}

void calls_args(struct calls *c, struct str s) { event(c, CALL_ARGS, s); }

static void drop(struct calls *c, size_t n)
{
    if (n == 0) return;
    memmove(c->hold.p, c->hold.p + n, c->hold.n - n);
    c->hold.n -= n;
    c->at = 0;
}

static void say(struct calls *c, size_t n)
{
    struct str s = {buf_view(&c->hold).p, n};
    for (size_t i = 0; i < n && !c->said; i++) c->said = !is_blank(s.p[i]);
    event(c, c->step == THOUGHT ? CALL_THINKING : CALL_TEXT, s);
    drop(c, n);
}

/* Name and, where a list of tools is given, that there is one of this name. */
int calls_named(struct calls *c)
{
    struct str n = buf_view(&c->name);
    int ok = n.n > 0 && n.n <= CALL_NAME_MAX;
    for (size_t i = 0; i < n.n; i++) ok &= (unsigned char)n.p[i] > ' ';
    if (ok && c->tools && !calls_tool(c->tools, n)) ok = 0;
    if (!ok) return BROKEN;
    c->named = 1;
    event(c, CALL_BEGIN, n);
    return DONE;
}

int calls_ended(struct calls *c)
{
    event(c, CALL_END, STR(""));
    c->ncall++;
    c->named = 0;
    c->rest = c->form->end;
    drop(c, c->at);
    c->step = END;
    return DONE;
}

/* What is held is no call. */
static void broken(struct calls *c, const char *why)
{
    size_t n = c->at > c->matched ? c->at : c->matched;
    /* Where a mark may be missing and the first byte already begins no call, marks may follow: the rest is looked at again. */
    if (c->form->body == CALL_HARMONY && c->step == HEAD && !n) n = HEAD_MAX;
    if (n > c->hold.n || (!n && !c->form->bare)) n = c->hold.n;
    if (!c->form->bare || c->named || c->matched)
        snprintf(c->warning, sizeof c->warning,
                 "what looked like a call of a function is none (%s): it is given "
                 "as text",
                 why);
    int named = c->named;
    c->named = 0;
    c->step = c->form->body == CALL_HARMONY ? MESSAGE : TEXT;
    c->tried = 1;
    if (named) {
        event(c, CALL_BROKEN, (struct str){c->hold.p, n});
        c->said = 1;
        drop(c, n);
    } else
        say(c, n);
    c->at = 0;
}

/* ---- text ---- */

static void reset(struct calls *c)
{
    buf_clear(&c->name);
    buf_clear(&c->args);
    c->named = c->depth = 0;
    c->first = 1;
}

static void start(struct calls *c, size_t mark_n)
{
    c->at = c->matched = mark_n;
    reset(c);
    c->step = c->form->section ? OPEN : BEGIN;
}

/* How many bytes at the end of the held text may begin the mark, or are white space before it. */
static size_t undecided(const struct calls *c, const char *mark)
{
    struct str h = buf_view(&c->hold);
    size_t k = strlen(mark) - 1;
    if (k > h.n) k = h.n;
    while (k && memcmp(h.p + h.n - k, mark, k) != 0) k--;
    while (k < h.n && k < 256 && is_blank(h.p[h.n - k - 1])) k++;
    return k;
}

/* Where a mark may be missing: at the beginning, and behind another call. */
static int bare(struct calls *c)
{
    size_t n = 0, k = 0;
    struct str h = buf_view(&c->hold);
    if (c->said || c->tried) return BROKEN;
    if (c->ncall) {
        int rc = calls_match(c, 0, c->form->sep, &k);
        if (rc == WAIT) return WAIT;
        if (rc == BROKEN) k = 0;
    }
    for (n = k; n < h.n && is_blank(h.p[n]);) n++;
    if (n == h.n) return WAIT;
    if (c->form->body == CALL_OBJECT && h.p[n] != '{') return BROKEN;
    if (c->form->body == CALL_NAMED && h.p[n] == '>') return BROKEN; /* the mark is there */
    start(c, 0);
    c->at = n;
    return DONE;
}

static int text(struct calls *c)
{
    struct str h = buf_view(&c->hold);
    const char *mark = c->form->mark;
    size_t n = strlen(mark), blank = 0;
    if (!h.n) return WAIT;
    if (c->form->bare) {
        int rc = bare(c);
        if (rc != BROKEN) return rc;
    }
    const char *p = memmem(h.p, h.n, mark, n);
    if (p) {
        size_t k = (size_t)(p - h.p);
        while (k && is_blank(h.p[k - 1])) k--;
        blank = (size_t)(p - h.p) - k; /* goes with the call */
        say(c, k);
        start(c, blank + n);
        return DONE;
    }
    n = h.n - undecided(c, mark);
    if (n == 0) return WAIT;
    say(c, n);
    return WAIT;
}

/* ---- a call ---- */

static int is_name_end(char ch) { return ch && strchr("<[>\n{\": ", ch) != NULL; }

static int name(struct calls *c)
{
    struct str h = buf_view(&c->hold);
    size_t i = c->at;
    int python = c->form->body == CALL_PYTHON;
    while (python && c->at < h.n && is_blank(h.p[c->at])) i = ++c->at;
    while (i < h.n && !is_name_end(h.p[i]) && !(python && h.p[i] == '(')) i++;
    if (i - c->at > CALL_NAME_MAX) return BROKEN;
    if (i == h.n) return WAIT;
    buf_clear(&c->name);
    buf_add(&c->name, h.p + c->at, i - c->at);
    c->at = i;
    if (str_is(buf_view(&c->name), "all") &&
        !strcmp(c->form->mark, ">>>")) { /* Functionary's word for a plain answer */
        drop(c, i + 1);
        c->step = TEXT;
        c->tried = 1;
        return DONE;
    }
    c->is_key = c->kind = 0;
    c->step = c->form->body == CALL_BRACES ? BRACES : BEHIND;
    if (c->step == BRACES) return h.p[i] == '{' ? calls_named(c) : BROKEN;
    if (python) {
        c->step = PYTHON;
        c->at++;
        return h.p[i] == '(' ? calls_named(c) : BROKEN;
    }
    return DONE;
}

/* Between name and arguments: ids, words that name the language. */
static int behind(struct calls *c)
{
    const char *lit = c->form->behind, *number = strchr(lit, '#');
    if (c->form->body == CALL_TAGS) {
        int rc = calls_literal(c, lit);
        if (rc != DONE) return rc;
        c->step = PAIR;
        return calls_named(c);
    }
    if (number) lit = number + 1;
    while (is_blank(*lit)) lit++;
    size_t n = strlen(lit), i;
    while (n && is_blank(lit[n - 1])) n--;
    struct str h = str_from(buf_view(&c->hold), c->at);
    const char *p = n ? memmem(h.p, h.n, lit, n) : h.p;
    i = p ? (size_t)(p - h.p) : h.n > n ? h.n + 1 - n : 0; /* where it stands, or where it can at the earliest */
    if (i > BEHIND_MAX) return BROKEN;
    if (!p) return WAIT;
    c->at += i + n;
    c->step = ARGS;
    call_json_begin(&c->json);
    return c->form->bare ? DONE : calls_named(c); /* where anything may be a name, the arguments must begin */
}

/* Arguments as JSON, given on as they come. */
int calls_json(struct calls *c, int to)
{
    struct str h = buf_view(&c->hold);
    if (c->first) {
        while (c->at < h.n && is_blank(h.p[c->at])) c->at++;
        if (c->at == h.n) return WAIT;
        if (h.p[c->at] != '{') return BROKEN;
        if (!c->named && calls_named(c) != DONE) return BROKEN;
        c->first = 0;
    }
    size_t from = c->at;
    int rc = CALL_JSON_MORE;
    while (c->at < h.n && rc == CALL_JSON_MORE) rc = call_json_byte(&c->json, (unsigned char)h.p[c->at++]);
    calls_args(c, (struct str){h.p + from, c->at - from - (rc == CALL_JSON_BAD)});
    if (rc == CALL_JSON_BAD) return BROKEN;
    if (rc != CALL_JSON_DONE) return WAIT;
    c->step = to;
    return to == END ? calls_ended(c) : DONE;
}

static int end(struct calls *c)
{
    int rc = calls_literal(c, c->rest);
    if (rc == WAIT) return WAIT;
    drop(c, c->at); /* one that is missing is not missed: the arguments are whole */
    c->matched = 0;
    reset(c);
    c->step = c->form->body == CALL_HARMONY ? HEAD : c->form->section ? NEXT : TEXT;
    c->said = 0;
    return DONE;
}

/* Behind a call of several: another one, or the end. */
static int next(struct calls *c)
{
    const struct call_form *f = c->form;
    size_t n = 0, k = 0;
    int close = calls_match(c, 0, f->close, &n), more;
    const char *lit = is_blank_text(f->sep) ? f->begin : f->sep;
    more = is_blank_text(lit) ? BROKEN : calls_match(c, 0, lit, &k);
    if (close == DONE) {
        drop(c, n);
        c->step = TEXT;
        return DONE;
    }
    if (more == DONE) {
        if (lit == f->sep) c->at = k;
        c->matched = 0;
        c->step = BEGIN;
        return DONE;
    }
    if (close == WAIT || more == WAIT) return WAIT;
    c->step = TEXT;
    return DONE;
}

/* ---- messages with headers ---- */

static int head(struct calls *c)
{
    static const char to[] = "to=functions.";
    struct str h = buf_view(&c->hold);
    size_t i = 0;
    while (i < h.n && is_blank(h.p[i])) i++;
    if (i == h.n) return WAIT;
    if (h.p[i] != '<' && !str_starts(STR("to="), (struct str){h.p + i, h.n - i > 3 ? 3 : h.n - i})) {
        c->step = MESSAGE;
        return DONE;
    }
    const char *p = memmem(h.p, h.n, c->form->behind, strlen(c->form->behind));
    size_t lit = strlen(c->form->behind), n = p ? (size_t)(p - h.p) : h.n > lit ? h.n + 1 - lit : 0;
    if (n > HEAD_MAX) return BROKEN;
    if (!p) return WAIT;
    const char *q = memmem(h.p, n, to, sizeof to - 1);
    c->at = c->matched = n + lit;
    if (!q) {
        int thought = memmem(h.p, n, "analysis", 8) != NULL;
        drop(c, c->at);
        c->matched = 0;
        c->step = thought ? THOUGHT : MESSAGE;
        return DONE;
    }
    reset(c);
    q += sizeof to - 1;
    size_t k = 0;
    while (q + k < p && !is_name_end(q[k])) k++;
    buf_add(&c->name, q, k);
    c->step = ARGS;
    call_json_begin(&c->json);
    return DONE;
}

static int message(struct calls *c)
{
    static const char *const ends[] = {"<|end|>", "<|return|>", "<|call|>", "<|start|>", "<|channel|>"};
    struct str h = buf_view(&c->hold);
    const char *best = NULL;
    size_t k = 0, n = 0;
    for (size_t i = 0; i < 5; i++) {
        size_t u = undecided(c, ends[i]);
        const char *p = memmem(h.p, h.n, ends[i], strlen(ends[i]));
        if (u > k) k = u;
        if (p && (!best || p < best)) best = p, n = i < 3 ? strlen(ends[i]) : 0;
    }
    say(c, best ? (size_t)(best - h.p) : h.n - k);
    if (!best) return WAIT;
    drop(c, n);
    c->step = HEAD;
    return c->hold.n ? DONE : WAIT;
}

/* ---- all ---- */

static int step(struct calls *c)
{
    int rc;
    switch (c->step) {
    case TEXT: return text(c);
    case OPEN:
        if ((rc = calls_literal(c, c->form->open)) == DONE) c->step = BEGIN;
        return rc;
    case BEGIN:
        if ((rc = calls_literal(c, c->form->begin)) != DONE) return rc;
        reset(c);
        c->step = c->form->body == CALL_OBJECT || c->form->body == CALL_KEYED ? OBJECT : NAME;
        return DONE;
    case NAME: return name(c);
    case BEHIND: return behind(c);
    case ARGS: return calls_json(c, END);
    case END: return end(c);
    case NEXT: return next(c);
    case HEAD: return head(c);
    case MESSAGE:
    case THOUGHT: return message(c);
    case PAIR:
    case KEY:
    case FLAG:
    case VALUE: return calls_tags(c);
    case BRACES: return calls_braces(c);
    case PYTHON: return calls_python(c);
    default: return calls_object(c);
    }
}

void calls_begin(struct calls *c) { c->step = c->form->body == CALL_HARMONY ? HEAD : TEXT; }

void calls_add(struct calls *c, struct str s)
{
    int rc = DONE;
    buf_str(&c->hold, s);
    while (rc != WAIT) {
        rc = step(c);
        if (rc == BROKEN)
            broken(c, c->named                 ? "its arguments are not in order"
                      : c->name.n && !c->tools ? "its form is not in order"
                      : c->name.n              ? "no such function, or its form is not in order"
                                               : "its form is not in order");
    }
}

void calls_end(struct calls *c)
{
    while (c->hold.n) {
        if (c->step == END || c->step == NEXT) {
            c->step = TEXT;
            c->said = 1;
        }
        if (c->step == TEXT || c->step == MESSAGE || c->step == THOUGHT) {
            struct str h = buf_view(&c->hold);
            while (h.n && is_blank(h.p[h.n - 1]) && c->ncall) h.n--; /* white space behind calls is nobody's */
            say(c, h.n);
            drop(c, c->hold.n);
        } else if (c->form->body == CALL_HARMONY && c->step == HEAD)
            drop(c, c->hold.n); /* a header without its message */
        else {
            c->at = c->hold.n;
            broken(c, "the answer ends within it");
        }
    }
}

void calls_done(struct calls *c)
{
    buf_done(&c->hold);
    buf_done(&c->name);
    buf_done(&c->key);
    buf_done(&c->args);
}
