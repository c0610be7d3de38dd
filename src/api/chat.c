/* SPDX-License-Identifier: Apache-2.0
 * api/chat.c: lar.h's chat templates: the JSON that a template sees, and rendering. */
#include <time.h>

#include "api/api.h"
#include "text/gotmpl.h"

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

static int render(struct either t, struct str json, struct buf *out, struct lar_err *err)
{
    struct arena a;
    arena_init(&a, (size_t)1 << 30);
    struct json *v = json_parse(&a, json, err);
    int rc = LAR_EFORMAT;
    if (v && v->kind != JSON_OBJECT)
        lar_fail(err, LAR_EFORMAT, "a template's input must be a JSON object");
    else if (v)
        rc = t.go ? gotmpl_render(t.go, v, local_now(), NULL, out, err)
                  : template_render(t.jinja, v, local_now(), NULL, out, err);
    arena_done(&a);
    return rc;
}

/* A noncharacter of Unicode that stands in no message, nor in the template: those between U+FDD0 and U+FDEF. */
static int choose_guard(const struct lar_model *m, const struct lar_message *msg, size_t nmsg, struct chat_guard *g,
                        struct lar_err *err)
{
    for (unsigned char last = 0x90; last <= 0xaf; last++) {
        memcpy(g->text, (char[]){'\xef', '\xb7', (char)last, 0}, 4);
        int taken = strstr(m->template_text, g->text) != NULL;
        for (size_t i = 0; i < nmsg && !taken; i++) taken = strstr(msg[i].content, g->text) != NULL;
        if (!taken) return 0;
    }
    return lar_fail(err, LAR_EINVAL, "the messages hold all 32 noncharacters from U+FDD0 on, one of which Lar needs");
}

/* What an operator writes may use control tokens; what anybody else says is text. */
static int is_trusted(const struct lar_message *m)
{
    return !strcmp(m->role, "system") || !strcmp(m->role, "developer");
}

static void add_messages(struct buf *b, const struct lar_model *m, const struct lar_message *msg, size_t nmsg,
                         struct chat_guard *g)
{
    struct buf guarded = {0};
    int used = 0;
    for (size_t i = 0; i < nmsg; i++) {
        struct str content = str_of(msg[i].content);
        buf_clear(&guarded);
        if (g && !is_trusted(&msg[i])) {
            used |= vocab_guard(m->vocab, content, str_of(g->text), &guarded);
            content = buf_view(&guarded);
            b->failed |= guarded.failed;
        }
        buf_puts(b, i ? ",{\"role\":" : "{\"role\":");
        buf_json_str(b, str_of(msg[i].role));
        buf_puts(b, ",\"content\":");
        buf_json_str(b, content);
        buf_putc(b, '}');
    }
    buf_done(&guarded);
    if (g && !used) g->text[0] = 0;
}

/* The form for a template that is broken: Role: content, an empty line between, and the opening of the answer. */
static int plain_form(const struct lar_model *m, const struct lar_message *msg, size_t nmsg, struct chat_guard *g,
                      struct buf *out, struct lar_err *err)
{
    for (size_t i = 0; i < nmsg; i++) {
        char first = msg[i].role[0];
        if (first >= 'a' && first <= 'z') first = (char)(first - 32);
        if (first) buf_putc(out, first), buf_puts(out, msg[i].role + 1);
        buf_puts(out, ": ");
        if (g && !is_trusted(&msg[i])) vocab_guard(m->vocab, str_of(msg[i].content), str_of(g->text), out);
        else buf_puts(out, msg[i].content);
        buf_puts(out, "\n\n");
    }
    buf_puts(out, "Assistant:");
    return out->failed ? lar_fail(err, LAR_ENOMEM, "messages: out of memory") : 1;
}

static int use_template(const struct lar_model *m, const struct lar_message *msg, size_t nmsg, enum lar_think think,
                        struct chat_guard *g, struct buf *out, struct lar_err *err)
{
    struct buf b = {0};
    if (!m->template) return lar_fail(err, LAR_EFORMAT, "%s", m->template_err.msg);
    buf_puts(&b, "{\"messages\":[");
    add_messages(&b, m, msg, nmsg, g);
    buf_puts(&b, "],\"tools\":null,\"documents\":null,\"add_generation_prompt\":true");
    if (think != LAR_THINK_DEFAULT)
        buf_printf(&b, ",\"enable_thinking\":%s", think == LAR_THINK_ON ? "true" : "false");
    const struct vocab_special *sp = vocab_special(m->vocab);
    add_token(&b, m->vocab, "bos_token", sp->bos);
    add_token(&b, m->vocab, "eos_token", sp->eos);
    buf_putc(&b, '}');
    int rc = b.failed ? lar_fail(err, LAR_ENOMEM, "messages: out of memory")
                      : render((struct either){.jinja = m->template}, buf_view(&b), out, err);
    buf_done(&b);
    return rc;
}

int api_chat_format(const struct lar_model *m, const struct lar_message *msg, size_t nmsg,
                    enum lar_think think, struct chat_guard *g, struct buf *out, struct lar_err *err)
{
    struct lar_err why = {0};
    size_t before = out->n;
    if (m->template_source.n == 0)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "this model has no chat template: give it plain text (raw)");
    if (g && choose_guard(m, msg, nmsg, g, err) < 0) return LAR_EINVAL;
    struct chat_guard mine = g ? *g : (struct chat_guard){""};
    int rc = use_template(m, msg, nmsg, think, g, out, &why);
    if (rc == 0) return 0;
    /* Refusing (raise_exception) is the template's right, and memory is nobody's fault. */
    if (rc == LAR_EINVAL || rc == LAR_ENOMEM) return lar_fail(err, rc, "%s", why.msg);
    out->n = before;
    if (g) *g = mine;
    rc = plain_form(m, msg, nmsg, g, out, err);
    if (rc > 0)
        lar_fail(err, LAR_EFORMAT,
                 "the model's chat template is broken, so the messages went out as plain \"User: ...\" lines (%s)",
                 why.msg);
    return rc;
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
    int rc = api_chat_format(m, msg, nmsg, think, NULL, &b, err);
    int plain = rc;
    if (rc >= 0) rc = api_give(&b, out, n, err);
    buf_done(&b);
    return rc < 0 ? rc : plain;
}

static int render_text(int go, struct str source, struct str input, char **out, size_t *n, struct lar_err *err)
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
        return lar_fail(err, LAR_EINVAL, "lar_template_render_go: template, input and out are needed");
    return render_text(1, (struct str){tmpl, tmpl_n}, (struct str){input, input_n}, out, n, err);
}
