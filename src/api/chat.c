/* SPDX-License-Identifier: Apache-2.0
 * api/chat.c: lar.h's chat templates: the JSON that a template sees, and rendering. */
#include <time.h>

#include "api/api.h"

/* strftime_now shows local time: seconds as if the local clock were UTC. */
static int64_t local_now(void)
{
    time_t t = time(NULL);
    struct tm tm;
    if (!localtime_r(&t, &tm)) return (int64_t)t;
    return (int64_t)t + tm.tm_gmtoff;
}

static void add_token(struct buf *b, const struct vocab *v, const char *key, int32_t id)
{
    struct str s = id >= 0 ? vocab_piece(v, id) : (struct str){"", 0};
    buf_printf(b, ",\"%s\":", key);
    buf_json_str(b, s.p ? s : (struct str){"", 0});
}

/* One of the two. */
struct either {
    const struct template *jinja;
    const struct gotmpl *go;
};

static int render_tree(struct either t, const struct json *v, struct buf *out, struct lar_err *err)
{
    if (v->kind != JSON_OBJECT)
        return lar_fail(err, LAR_EFORMAT, "a template's input must be a JSON object");
    return t.go ? gotmpl_render(t.go, v, local_now(), NULL, out, err)
                : template_render(t.jinja, v, local_now(), NULL, out, err);
}

static int render(struct either t, struct str json, struct buf *out, struct lar_err *err)
{
    struct arena a;
    arena_init(&a, (size_t)1 << 30);
    struct json *v = json_parse(&a, json, err);
    int rc = v ? render_tree(t, v, out, err) : LAR_EFORMAT;
    arena_done(&a);
    return rc;
}

/* ---- what strangers say -------------------------------------------------------------------------------------------- */

/* Does any string of the tree hold these bytes? The parser has bounded the depth. */
static int holds(const struct json *v, struct str what)
{
    if (v->kind == JSON_STRING)
        return v->s.n >= what.n && memmem(v->s.p, v->s.n, what.p, what.n) != NULL;
    for (const struct json *c = v->child; c; c = c->next)
        if (holds(c, what)) return 1;
    return 0;
}

/* A noncharacter of Unicode that stands in no message, nor in the template: those between U+FDD0 and U+FDEF. */
static int choose_guard(const struct lar_model *m, const struct json *chat, struct chat_guard *g,
                        struct lar_err *err)
{
    for (unsigned char last = 0x90; last <= 0xaf; last++) {
        memcpy(g->text, (char[]){'\xef', '\xb7', (char)last, 0}, 4);
        if (!strstr(m->template_text, g->text) && !holds(chat, str_of(g->text))) return 0;
    }
    return lar_fail(
        err, LAR_EINVAL,
        "the messages hold all 32 noncharacters from U+FDD0 on, one of which Lar needs");
}

/* What an operator writes may use control tokens; what anybody else says is text. */
static int is_trusted(const struct json *message)
{
    struct str role = json_str(json_get(message, "role"), STR(""));
    return str_is(role, "system") || str_is(role, "developer");
}

/* Every string below v, but a role, gets guards; 1 when it needed one, -1 without memory. */
static int guard_strings(struct arena *a, const struct lar_model *m, struct json *v,
                         struct str guard)
{
    int used = 0;
    if (v->kind == JSON_STRING && !str_is(v->key, "role")) {
        struct buf b = {0};
        if (vocab_guard(m->vocab, v->s, guard, &b)) {
            char *p = b.failed ? NULL : arena_copy(a, b.p, b.n);
            used = p ? 1 : -1;
            if (p) v->s = (struct str){p, b.n};
        }
        buf_done(&b);
        return used;
    }
    for (struct json *c = v->child; c; c = c->next) {
        int rc = guard_strings(a, m, c, guard);
        if (rc < 0) return rc;
        used |= rc;
    }
    return used;
}

static int guard_messages(struct arena *a, const struct lar_model *m, struct json *chat,
                          struct chat_guard *g, struct lar_err *err)
{
    struct json *list = json_get(chat, "messages");
    int used = 0;
    if (choose_guard(m, chat, g, err) < 0) return LAR_EINVAL;
    for (struct json *c = list ? list->child : NULL; c; c = c->next) {
        int rc = is_trusted(c) ? 0 : guard_strings(a, m, c, str_of(g->text));
        if (rc < 0) return lar_fail(err, LAR_ENOMEM, "messages: out of memory");
        used |= rc;
    }
    if (!used) g->text[0] = 0;
    return 0;
}

/* ---- the prompt ------------------------------------------------------------------------------------------------------ */

/* The form for a template that is broken: Role: content, an empty line between, and the opening of the answer. */
static int plain_form(const struct json *chat, struct buf *out, struct lar_err *err)
{
    const struct json *list = json_get(chat, "messages");
    for (const struct json *c = list ? list->child : NULL; c; c = c->next) {
        struct str role = json_str(json_get(c, "role"), STR(""));
        const struct json *content = json_get(c, "content");
        char first = role.n ? role.p[0] : 0;
        if (first >= 'a' && first <= 'z') first = (char)(first - 32);
        if (first) buf_putc(out, first), buf_str(out, str_from(role, 1));
        buf_puts(out, ": ");
        buf_str(out, json_str(content, STR("")));
        for (const struct json *part = content && content->kind == JSON_ARRAY ? content->child
                                                                              : NULL;
             part; part = part->next)
            buf_str(out, json_str(json_get(part, "text"), STR("")));
        buf_puts(out, "\n\n");
    }
    buf_puts(out, "Assistant:");
    return out->failed ? lar_fail(err, LAR_ENOMEM, "messages: out of memory") : 1;
}

/* What the template sees unless the chat says otherwise. */
static void usual(struct buf *b, const struct lar_model *m, enum lar_think think)
{
    const struct vocab_special *sp = vocab_special(m->vocab);
    buf_puts(b, "{\"tools\":null,\"documents\":null,\"add_generation_prompt\":true");
    if (think != LAR_THINK_DEFAULT)
        buf_printf(b, ",\"enable_thinking\":%s", think == LAR_THINK_ON ? "true" : "false");
    if (m->gotmpl && m->marks.open.n) /* thinks unless told not to, as with Ollama */
        buf_printf(b, ",\"think\":%s", think != LAR_THINK_OFF ? "true" : "false");
    add_token(b, m->vocab, "bos_token", sp->bos);
    add_token(b, m->vocab, "eos_token", sp->eos);
    buf_putc(b, '}');
}

/* The usual variables, then the chat's own: of two members of one name the last counts. */
static struct json *variables(struct arena *a, const struct lar_model *m, struct str chat,
                              enum lar_think think, struct lar_err *err)
{
    struct buf b = {0};
    usual(&b, m, think);
    char *copy = b.failed ? NULL : arena_copy(a, b.p, b.n);
    struct json *own = copy ? json_parse(a, (struct str){copy, b.n}, err) : NULL;
    if (!copy) lar_fail(err, LAR_ENOMEM, "messages: out of memory");
    buf_done(&b);
    struct json *v = own ? json_parse(a, chat, err) : NULL, *last = own ? own->child : NULL;
    if (!v) return NULL;
    if (v->kind != JSON_OBJECT) {
        lar_fail(err, LAR_EFORMAT, "a chat must be a JSON object with messages");
        return NULL;
    }
    while (last->next) last = last->next;
    last->next = v->child;
    own->n += v->n;
    return own;
}

static int use_template(const struct lar_model *m, const struct json *v, struct buf *out,
                        struct lar_err *err)
{
    if (!m->template && !m->gotmpl) return lar_fail(err, LAR_EFORMAT, "%s", m->template_err.msg);
    return render_tree((struct either){m->template, m->gotmpl}, v, out, err);
}

static int format_chat(struct arena *a, const struct lar_model *m, struct str chat,
                       enum lar_think think, struct chat_guard *g, struct buf *out,
                       struct lar_err *err)
{
    struct lar_err why = {0};
    size_t before = out->n;
    struct json *v = variables(a, m, chat, think, err);
    if (!v) return err && err->code == LAR_ENOMEM ? LAR_ENOMEM : LAR_EFORMAT;
    int rc = g ? guard_messages(a, m, v, g, err) : 0;
    if (rc < 0 || (rc = use_template(m, v, out, &why)) == 0) return rc;
    /* Refusing (raise_exception) is the template's right, and memory is nobody's fault. */
    if (rc == LAR_EINVAL || rc == LAR_ENOMEM) return lar_fail(err, rc, "%s", why.msg);
    out->n = before;
    rc = plain_form(v, out, err);
    if (rc > 0)
        lar_fail(
            err, LAR_EFORMAT,
            "the model's chat template is broken, so the messages went out as plain \"User: ...\" lines (%s)",
            why.msg);
    return rc;
}

int api_chat_render(const struct lar_model *m, struct str chat, enum lar_think think,
                    struct chat_guard *g, struct buf *out, struct lar_err *err)
{
    struct arena a;
    if (m->template_source.n == 0)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "this model has no chat template: give it plain text (raw)");
    arena_init(&a, (size_t)1 << 30);
    int rc = format_chat(&a, m, chat, think, g, out, err);
    arena_done(&a);
    return rc;
}

int api_chat_format(const struct lar_model *m, const struct lar_message *msg, size_t nmsg,
                    enum lar_think think, struct chat_guard *g, struct buf *out,
                    struct lar_err *err)
{
    struct buf b = {0};
    buf_puts(&b, "{\"messages\":[");
    for (size_t i = 0; i < nmsg; i++) {
        buf_puts(&b, i ? ",{\"role\":" : "{\"role\":");
        buf_json_str(&b, str_of(msg[i].role));
        buf_puts(&b, ",\"content\":");
        buf_json_str(&b, str_of(msg[i].content));
        buf_putc(&b, '}');
    }
    buf_puts(&b, "]}");
    int rc = b.failed ? lar_fail(err, LAR_ENOMEM, "messages: out of memory")
                      : api_chat_render(m, buf_view(&b), think, g, out, err);
    buf_done(&b);
    return rc;
}

/* Takes what one of the above wrote. */
static int give_prompt(int rc, struct buf *b, char **out, size_t *n, struct lar_err *err)
{
    int given = rc >= 0 ? api_give(b, out, n, err) : rc;
    buf_done(b);
    return given < 0 ? given : rc;
}

int lar_chat_format(const struct lar_model *m, const struct lar_message *msg, size_t nmsg,
                    enum lar_think think, char **out, size_t *n, struct lar_err *err)
{
    struct buf b = {0};
    if (!m || !out || (!msg && nmsg))
        return lar_fail(err, LAR_EINVAL, "lar_chat_format: model, messages and out are needed");
    for (size_t i = 0; i < nmsg; i++)
        if (!msg[i].role || !msg[i].content)
            return lar_fail(err, LAR_EINVAL, "message %zu lacks role or content", i);
    return give_prompt(api_chat_format(m, msg, nmsg, think, NULL, &b, err), &b, out, n, err);
}

int lar_chat_render(const struct lar_model *m, const char *chat, enum lar_think think, char **out,
                    size_t *n, struct lar_err *err)
{
    struct buf b = {0};
    if (!m || !out || !chat)
        return lar_fail(err, LAR_EINVAL, "lar_chat_render: model, chat and out are needed");
    return give_prompt(api_chat_render(m, str_of(chat), think, NULL, &b, err), &b, out, n, err);
}

static int render_text(int go, struct str source, struct str input, char **out, size_t *n,
                       struct lar_err *err)
{
    struct lar_err why = {0};
    struct buf b = {0};
    struct template *jinja = go ? NULL : template_compile(source, &why);
    struct gotmpl *gotmpl = go ? gotmpl_compile(source, &why) : NULL;
    int rc = jinja || gotmpl ? render((struct either){jinja, gotmpl}, input, &b, err)
                             : lar_fail(err, why.code, "%s", why.msg);
    if (rc == 0) rc = api_give(&b, out, n, err);
    buf_done(&b);
    template_free(jinja);
    gotmpl_free(gotmpl);
    return rc;
}

int lar_template_render(const char *tmpl, size_t tmpl_n, const char *input, size_t input_n,
                        char **out, size_t *n, struct lar_err *err)
{
    if (!tmpl || !input || !out)
        return lar_fail(err, LAR_EINVAL, "lar_template_render: template, input and out are needed");
    return render_text(0, (struct str){tmpl, tmpl_n}, (struct str){input, input_n}, out, n, err);
}

int lar_template_render_go(const char *tmpl, size_t tmpl_n, const char *input, size_t input_n,
                           char **out, size_t *n, struct lar_err *err)
{
    if (!tmpl || !input || !out)
        return lar_fail(err, LAR_EINVAL,
                        "lar_template_render_go: template, input and out are needed");
    return render_text(1, (struct str){tmpl, tmpl_n}, (struct str){input, input_n}, out, n, err);
}
