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

int api_chat_format(const struct lar_model *m, const struct lar_message *msg, size_t nmsg,
                    enum lar_think think, struct buf *out, struct lar_err *err)
{
    struct buf b = {0};
    if (m->template_source.n == 0)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "this model has no chat template: give it plain text (raw)");
    if (!m->template)
        return lar_fail(err, LAR_EFORMAT, "the model's chat template does not compile: %s",
                        m->template_err.msg);
    buf_puts(&b, "{\"messages\":[");
    for (size_t i = 0; i < nmsg; i++) {
        buf_puts(&b, i ? ",{\"role\":" : "{\"role\":");
        buf_json_str(&b, str_of(msg[i].role));
        buf_puts(&b, ",\"content\":");
        buf_json_str(&b, str_of(msg[i].content));
        buf_putc(&b, '}');
    }
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

int lar_chat_format(const struct lar_model *m, const struct lar_message *msg, size_t nmsg,
                    enum lar_think think, char **out, size_t *n, struct lar_err *err)
{
    struct buf b = {0};
    if (!m || !out || (!msg && nmsg))
        return lar_fail(err, LAR_EINVAL, "lar_chat_format: model, messages and out are needed");
    for (size_t i = 0; i < nmsg; i++)
        if (!msg[i].role || !msg[i].content)
            return lar_fail(err, LAR_EINVAL, "message %zu lacks role or content", i);
    int rc = api_chat_format(m, msg, nmsg, think, &b, err);
    if (rc == 0) rc = api_give(&b, out, n, err);
    buf_done(&b);
    return rc;
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
