/* SPDX-License-Identifier: Apache-2.0
 * serve/ollama_read.c: Ollama's requests, read by tables. What Lar cannot honour (images, a template of the request's own, shifting a context that
 * is full) is refused by name. */
#include <math.h>
#include <stdlib.h>

#include "base/err.h"
#include "serve/chat.h"
#include "serve/field.h"
#include "serve/ollama.h"
#include "serve/tools.h"

int ollama_duration(const struct json *v, int64_t *ns, struct lar_err *err)
{
    static const struct {
        const char *name;
        double ns;
    } unit[] = {{"ns", 1},  {"us", 1e3}, {"\302\265s", 1e3}, {"ms", 1e6},
                {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
    double sum = 0, sign = 1;
    if (v->kind == JSON_NUMBER) {
        sum = v->num * 1e9;
    } else if (v->kind == JSON_STRING && v->s.n && v->s.n < 64) {
        char text[64] = {0}, *p = text, *end;
        memcpy(text, v->s.p, v->s.n);
        if (*p == '-' || *p == '+') sign = *p++ == '-' ? -1 : 1;
        while (*p) {
            double x = strtod(p, &end), scale = 0;
            if (end == p || *p == '-' || *p == '+')
                return lar_fail(err, LAR_EINVAL, "'%s' is no duration", text);
            size_t n = strspn(end, "nu\302\265msh");
            for (size_t i = 0; i < sizeof unit / sizeof *unit; i++)
                if (strlen(unit[i].name) == n && memcmp(end, unit[i].name, n) == 0)
                    scale = unit[i].ns;
            if (!*end && p == text + (sign < 0)) scale = 1e9; /* a bare number: seconds */
            if (scale == 0.0) return lar_fail(err, LAR_EINVAL, "'%s' is no duration", text);
            sum += x * scale;
            p = end + n;
        }
        sum *= sign;
    } else {
        return lar_fail(err, LAR_EINVAL, "needs seconds, or a duration such as \"5m\"");
    }
    if (!isfinite(sum)) return lar_fail(err, LAR_EINVAL, "is no duration");
    *ns = sum < 0 ? -1 : sum > 9e18 ? INT64_MAX : (int64_t)sum;
    return 0;
}

static int read_keep(struct ask *q, const struct json *v, const struct field *f,
                     struct lar_err *err)
{
    (void)f;
    return ollama_duration(v, &q->keep_ns, err);
}

static int read_think(struct ask *q, const struct json *v, const struct field *f,
                      struct lar_err *err)
{
    (void)f;
    if (v->kind == JSON_BOOL) return q->think = v->boolean ? LAR_THINK_ON : LAR_THINK_OFF, 0;
    return lar_fail(err, LAR_EUNSUPPORTED, "needs true or false: levels are not supported");
}

/* -1 and -2: as long as the context. */
static int read_predict(struct ask *q, const struct json *v, const struct field *f,
                        struct lar_err *err)
{
    int rc = field_int(q, v, f, err);
    if (rc == 0 && q->max_tokens == 0)
        rc = lar_fail(err, LAR_EINVAL, "0 tokens cannot be answered; -1 means no limit");
    if (rc == 0 && q->max_tokens < 0) q->max_tokens = 0;
    return rc;
}

/* true is the default that clients spell out; false asks for what is always so here: no context is ever cut. */
static int read_truncate(struct ask *q, const struct json *v, const struct field *f,
                         struct lar_err *err)
{
    (void)q, (void)f;
    if (v->kind == JSON_BOOL && !v->boolean) return 0;
    return lar_fail(err, LAR_EUNSUPPORTED,
                    "only false: a prompt that does not fit is an error here, never cut");
}

static int read_true(struct ask *q, const struct json *v, const struct field *f,
                     struct lar_err *err)
{
    (void)q, (void)f;
    if (v->kind == JSON_BOOL && v->boolean) return 0;
    return lar_fail(err, LAR_EUNSUPPORTED, "only true is supported by this server");
}

static int read_no_gpu(struct ask *q, const struct json *v, const struct field *f,
                       struct lar_err *err)
{
    (void)q, (void)f;
    if (v->kind == JSON_NUMBER && v->num <= 0) return 0;
    return lar_fail(err, LAR_EUNSUPPORTED,
                    "this server computes on the processor: 0 and -1 are all that is supported");
}

/* "json", or a schema. */
static int read_format(struct ask *q, const struct json *v, const struct field *f,
                       struct lar_err *err)
{
    (void)f;
    if (v->kind == JSON_STRING && v->s.n == 0) return 0;
    if (v->kind == JSON_STRING && str_is(v->s, "json")) return chat_format(q, NULL, err);
    if (v->kind == JSON_OBJECT) return chat_format(q, v, err);
    return lar_fail(err, LAR_EINVAL, "needs \"json\" or a schema");
}

static int read_tools(struct ask *q, const struct json *v, const struct field *f,
                      struct lar_err *err)
{
    (void)f;
    return tools_read(q, v, err);
}

#define AT(x) offsetof(struct ask, x)
/* clang-format off */
static const struct field options[] = {
    {"temperature", field_param, ASK_TEMP, 0, 1000, NULL},
    {"top_k", field_whole, ASK_TOP_K, 0, 1 << 30, NULL},
    {"top_p", field_param, ASK_TOP_P, 0, 1, NULL},
    {"min_p", field_param, ASK_MIN_P, 0, 1, NULL},
    {"typical_p", field_param, ASK_TYPICAL_P, 0, 1, NULL},
    {"repeat_last_n", field_whole, ASK_REPEAT_LAST_N, -1, 1 << 30, NULL},
    {"repeat_penalty", field_param, ASK_REPEAT_PENALTY, 0.01, 100, NULL},
    {"presence_penalty", field_param, ASK_PRESENCE, -100, 100, NULL},
    {"frequency_penalty", field_param, ASK_FREQUENCY, -100, 100, NULL},
    {"mirostat", field_whole, ASK_MIROSTAT, 0, 2, NULL},
    {"mirostat_tau", field_param, ASK_MIROSTAT_TAU, 0, 100, NULL},
    {"mirostat_eta", field_param, ASK_MIROSTAT_ETA, 0, 100, NULL},
    {"seed", field_seed, 0, 0, 0, NULL},
    {"stop", field_stop, 0, 0, 0, NULL},
    {"num_predict", read_predict, AT(max_tokens), -2, 1 << 30, NULL},
    {"lookup", field_int, AT(lookup), 0, ROW_GUESSES, NULL},
    {"draft", field_int, AT(draft), 0, ROW_GUESSES, NULL},
    {"num_ctx", field_int, AT(ctx), 1, 1 << 28, NULL},
    {"num_gpu", read_no_gpu, 0, 0, 0, NULL},
    {"main_gpu", field_false, 0, 0, 0, NULL},
    {"low_vram", field_false, 0, 0, 0, NULL},
    {"use_mmap", read_true, 0, 0, 0, NULL},
    {"use_mlock", field_false, 0, 0, 0, NULL},
    {"numa", field_false, 0, 0, 0, NULL},
    {"num_thread", field_false, 0, 0, 0, NULL},
    {"num_batch", field_hint, 0, 0, 0, NULL}, /* how a prompt is cut into steps changes nothing but speed */
    {"num_keep", field_hint, 0, 0, 0, NULL},  /* of a context that shifts; here none does */
    {NULL, NULL, 0, 0, 0, NULL},
};
#define COMMON                                               \
    {"model", field_str, AT(model), 0, 0, NULL},             \
    {"stream", field_flag, AT(stream), 0, 0, NULL},          \
    {"options", field_object, 0, 0, 0, options},             \
    {"keep_alive", read_keep, 0, 0, 0, NULL},                \
    {"think", read_think, 0, 0, 0, NULL},                    \
    {"format", read_format, 0, 0, 0, NULL},                  \
    {"partial", field_flag, AT(partial), 0, 0, NULL},        \
    {"truncate", read_truncate, 0, 0, 0, NULL},              \
    {"shift", read_truncate, 0, 0, 0, NULL},                 \
    {"logprobs", field_flag, AT(logprobs), 0, 0, NULL},      \
    {"top_logprobs", field_int, AT(top), 0, 20, NULL}

static const struct field chat_fields[] = {
    COMMON,
    {"messages", field_node, AT(messages), 0, 0, NULL},
    {"tools", read_tools, 0, 0, 0, NULL},
    {NULL, NULL, 0, 0, 0, NULL},
};
static const struct field generate_fields[] = {
    COMMON,
    {"prompt", field_str, AT(text), 0, 0, NULL},
    {"system", field_str, AT(role_system), 0, 0, NULL},
    {"raw", field_flag, AT(raw), 0, 0, NULL},
    {"images", field_false, 0, 0, 0, NULL},
    {"suffix", field_str, AT(suffix), 0, 0, NULL},
    {"template", field_false, 0, 0, 0, NULL},
    {"context", field_false, 0, 0, 0, NULL},
    {NULL, NULL, 0, 0, 0, NULL},
};
/* clang-format on */

/* The prompt as it stands, or as a user's message. */
static int generate_prompt(struct ask *q, struct lar_err *err)
{
    struct buf b = {0};
    int rc = 0;
    if (q->raw && q->role_system.n && !q->from_file)
        return lar_fail(err, LAR_EINVAL, "system: raw mode takes no system message");
    if (q->suffix.n && q->role_system.n && !q->from_file)
        return lar_fail(err, LAR_EUNSUPPORTED, "system: has no place where a middle is filled in (suffix)");
    if (q->suffix.n) q->fill = ASK_FILL_PLAIN;
    if (q->raw || q->fill) {
        struct ask_prompt *p = ask_add(q, err);
        return p ? ask_text(q, q->text, &p->text, err) : LAR_ENOMEM;
    }
    buf_puts(&b, "[{\"role\":\"user\",\"content\":");
    buf_json_str(&b, q->text);
    buf_puts(&b, "}]");
    const char *copy = b.failed ? NULL : arena_copy(&q->a, b.p, b.n);
    struct json *v = copy ? json_parse(&q->a, (struct str){copy, b.n}, err) : NULL;
    if (!copy) lar_fail(err, LAR_ENOMEM, "the request is too large");
    rc = v ? chat_prompt(q, v, q->role_system, NULL, err) : LAR_ENOMEM;
    buf_done(&b);
    return rc;
}

int ollama_params(struct ask *q, const struct json *params, const char *where, struct lar_err *err)
{
    return field_read(q, params, options, where, err);
}

int ollama_read(struct ask *q, int kind, struct str body, struct lar_err *err)
{
    q->stream = 1;
    if (body.n == 0) return lar_fail(err, LAR_EINVAL, "missing request body");
    const struct json *v = json_parse(&q->a, body, err);
    int rc = v ? field_read(q, v, kind == OLLAMA_CHAT ? chat_fields : generate_fields, "", err)
               : LAR_EINVAL;
    if (rc < 0) return rc;
    if (q->top && !q->logprobs) return lar_fail(err, LAR_EINVAL, "top_logprobs needs logprobs");
    q->load_only = kind == OLLAMA_CHAT ? !q->messages || !q->messages->n : q->text.n == 0 && q->suffix.n == 0;
    if (q->load_only) return 0;
    const struct json *tools;
    if ((rc = tools_settle(q, &tools, err)) < 0) return rc;
    return kind == OLLAMA_CHAT ? chat_prompt(q, q->messages, q->role_system, tools, err)
                               : generate_prompt(q, err);
}
