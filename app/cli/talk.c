/* SPDX-License-Identifier: Apache-2.0
 * cli/talk.c: see talk.h. */
#include "cli/talk.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/in.h"
#include "cli/whole.h"

static const char *const roles[] = {"system", "user", "assistant", "tool", NULL};

static const char *known_role(struct str s)
{
    for (int i = 0; roles[i]; i++)
        if (str_is(s, roles[i])) return roles[i];
    return NULL;
}

static void free_text(const char *p)
{
    union {
        const char *in;
        char *out;
    } u = {.in = p}; /* struct lar_message lends const text; this one is ours */
    mem_free(u.out);
}

static char *copy(struct str s, struct lar_err *err)
{
    char *p = mem_alloc(s.n + 1);
    if (!p) {
        lar_fail(err, LAR_ENOMEM, "out of memory for a message of %zu bytes", s.n);
        return NULL;
    }
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return p;
}

void talk_drop_last(struct talk *t)
{
    t->n--;
    free_text(t->msg[t->n].content);
    mem_free(t->thinking[t->n]);
}

void talk_done(struct talk *t)
{
    while (t->n) talk_drop_last(t);
    mem_free(t->msg);
    mem_free(t->thinking);
    *t = (struct talk){0};
}

static int grow(struct talk *t, struct lar_err *err)
{
    size_t cap = t->cap ? t->cap * 2 : 16;
    struct lar_message *msg = mem_resize(t->msg, cap * sizeof *msg);
    if (msg) t->msg = msg;
    char **thinking = msg ? mem_resize(t->thinking, cap * sizeof *thinking) : NULL;
    if (!thinking)
        return lar_fail(err, LAR_ENOMEM, "out of memory for a conversation of %zu messages", t->n);
    t->thinking = thinking;
    t->cap = cap;
    return 0;
}

int talk_add(struct talk *t, const char *role, struct str content, struct str thinking,
             struct lar_err *err)
{
    const char *r = known_role(str_of(role));
    if (!r) return lar_fail(err, LAR_EINVAL, "no role is called '%s'", role);
    if (t->n == t->cap && grow(t, err)) return LAR_ENOMEM;
    char *text = copy(content, err), *thought = thinking.n ? copy(thinking, err) : NULL;
    if (!text || (thinking.n && !thought)) {
        mem_free(text);
        return LAR_ENOMEM;
    }
    t->msg[t->n] = (struct lar_message){r, text};
    t->thinking[t->n++] = thought;
    return 0;
}

const char *talk_system(const struct talk *t)
{
    return t->n && strcmp(t->msg[0].role, "system") == 0 ? t->msg[0].content : NULL;
}

int talk_set_system(struct talk *t, const char *text, struct lar_err *err)
{
    struct lar_message m = {"system", copy(str_of(text), err)};
    if (!m.content) return LAR_ENOMEM;
    if (talk_system(t)) {
        free_text(t->msg[0].content);
        t->msg[0] = m;
        if (*text) return 0;
        free_text(m.content);
        t->n--;
        memmove(t->msg, t->msg + 1, t->n * sizeof *t->msg);
        memmove(t->thinking, t->thinking + 1, t->n * sizeof *t->thinking);
        return 0;
    }
    if (!*text || (t->n == t->cap && grow(t, err))) {
        free_text(m.content);
        return *text ? LAR_ENOMEM : 0;
    }
    memmove(t->msg + 1, t->msg, t->n * sizeof *t->msg);
    memmove(t->thinking + 1, t->thinking, t->n * sizeof *t->thinking);
    t->msg[0] = m;
    t->thinking[0] = NULL;
    t->n++;
    return 0;
}

void talk_clear(struct talk *t)
{
    size_t keep = talk_system(t) ? 1 : 0;
    while (t->n > keep) talk_drop_last(t);
}

/* ---- on disk -------------------------------------------------------------------------------------------------- */

static void to_json(const struct talk *t, const char *model, struct buf *b)
{
    buf_puts(b, "{\"model\":");
    buf_json_str(b, str_of(model));
    buf_puts(b, ",\n \"messages\":[");
    for (size_t i = 0; i < t->n; i++) {
        buf_printf(b, "%s{\"role\":\"%s\",\"content\":", i ? ",\n  " : "\n  ", t->msg[i].role);
        buf_json_str(b, str_of(t->msg[i].content));
        if (t->thinking[i]) {
            buf_puts(b, ",\"thinking\":");
            buf_json_str(b, str_of(t->thinking[i]));
        }
        buf_putc(b, '}');
    }
    buf_puts(b, "\n ]}\n");
}

int talk_save(const struct talk *t, const char *model, const char *path, struct lar_err *err)
{
    struct buf b = {0};
    to_json(t, model, &b);
    int e = b.failed ? lar_fail(err, LAR_ENOMEM, "out of memory for %s", path)
                     : whole_write(path, &b, WHOLE_OWN, err);
    buf_done(&b);
    return e;
}

/* Every key of an object known, and none twice. */
static int check_keys(const struct json *v, const char *known, const char *path, const char *where, struct lar_err *err)
{
    for (const struct json *k = v->child; k; k = k->next) {
        const char *at = known;
        size_t n = 0;
        for (; *at; at += n + (at[n] == ' '))
            if (n = strcspn(at, " "), k->key.n == n && memcmp(k->key.p, at, n) == 0) break;
        if (!*at)
            return lar_fail(err, LAR_EFORMAT, "%s: %s'%.*s' is nothing that Lar knows beside %s%s", path, where,
                            STR_ARG(k->key), known, str_is(k->key, "system") ? " (make it the first message)" : "");
        for (const struct json *other = v->child; other != k; other = other->next)
            if (str_eq(other->key, k->key))
                return lar_fail(err, LAR_EFORMAT, "%s: %s'%.*s' is there twice", path, where, STR_ARG(k->key));
    }
    return 0;
}

static int from_json(struct talk *t, const struct json *v, const char *path, struct lar_err *err)
{
    const struct json *list = v->kind == JSON_ARRAY ? v : json_get(v, "messages");
    size_t i = 0;
    if (!list || list->kind != JSON_ARRAY)
        return lar_fail(err, LAR_EFORMAT, "%s: no conversation: 'messages' is not a list", path);
    if (list == v && !list->child) return lar_fail(err, LAR_EFORMAT, "%s: no conversation: an empty list", path);
    if (list != v && check_keys(v, "model messages", path, "", err) < 0) return err->code;
    for (const struct json *m = list->child; m; m = m->next, i++) {
        const struct json *content = json_get(m, "content");
        char where[40];
        snprintf(where, sizeof where, "message %zu: ", i);
        if (m->kind == JSON_OBJECT && check_keys(m, "role content thinking", path, where, err) < 0) return err->code;
        const char *role = known_role(json_str(json_get(m, "role"), STR("")));
        if (!role)
            return lar_fail(err, LAR_EFORMAT, "%s: message %zu: its role is none that Lar knows",
                            path, i);
        if (!content || content->kind != JSON_STRING || memchr(content->s.p, 0, content->s.n))
            return lar_fail(err, LAR_EFORMAT, "%s: message %zu: its content is no text", path, i);
        if (i && strcmp(role, "system") == 0)
            return lar_fail(err, LAR_EFORMAT, "%s: message %zu: a system message must be the first",
                            path, i);
        int e =
            talk_add(t, role, content->s, json_str(json_get(m, "thinking"), (struct str){0}), err);
        if (e < 0) return e;
    }
    return 0;
}

int talk_load(struct talk *t, const char *path, struct lar_err *err)
{
    struct talk fresh = {0};
    struct buf b = {0};
    struct arena a;
    arena_init(&a, 0);
    int e = in_file(path, &b, err);
    struct json *v = e == 0 ? json_parse(&a, buf_view(&b), err) : NULL;
    if (e == 0 && !v) {
        struct lar_err why = *err;
        e = lar_fail(err, why.code, "%s: %s", path, why.msg);
    }
    if (e == 0) e = from_json(&fresh, v, path, err);
    if (e == 0) {
        talk_done(t);
        *t = fresh;
    } else {
        talk_done(&fresh);
    }
    arena_done(&a);
    buf_done(&b);
    return e;
}
