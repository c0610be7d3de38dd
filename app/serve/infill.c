/* SPDX-License-Identifier: Apache-2.0
 * serve/infill.c: see infill.h. The form of /infill and its answer is tools/server/README.md's of llama.cpp; nothing of prefix, suffix or files is
 * ever cut here: what does not fit the context is an error. */
#include "serve/infill.h"

#include <lar/fill.h>

#include "base/err.h"
#include "serve/field.h"
#include "serve/openai.h"

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

/* -1 and -2: as long as the context. */
static int read_predict(struct ask *q, const struct json *v, const struct field *f, struct lar_err *err)
{
    int rc = field_int(q, v, f, err);
    if (rc == 0 && q->max_tokens == 0) rc = lar_fail(err, LAR_EINVAL, "0 tokens cannot be answered; -1 means no limit");
    if (rc == 0 && q->max_tokens < 0) q->max_tokens = 0;
    return rc;
}

#define AT(x) offsetof(struct ask, x)
/* clang-format off */
static const struct field fields[] = {
    {"model", field_str, AT(model), 0, 0, NULL},
    {"input_prefix", field_str, AT(prefix), 0, 0, NULL},
    {"input_suffix", field_str, AT(suffix), 0, 0, NULL},
    {"input_extra", field_node, AT(extra), 0, 0, NULL},
    {"prompt", field_str, AT(text), 0, 0, NULL},
    {"n_predict", read_predict, AT(max_tokens), -2, 1 << 30, NULL},
    {"stream", field_flag, AT(stream), 0, 0, NULL},
    {"temperature", field_param, ASK_TEMP, 0, 1000, NULL},
    {"top_p", field_param, ASK_TOP_P, 0, 1, NULL},
    {"top_k", field_whole, ASK_TOP_K, 0, 1 << 30, NULL},
    {"min_p", field_param, ASK_MIN_P, 0, 1, NULL},
    {"typical_p", field_param, ASK_TYPICAL_P, 0, 1, NULL},
    {"repeat_penalty", field_param, ASK_REPEAT_PENALTY, 0.01, 100, NULL},
    {"repeat_last_n", field_whole, ASK_REPEAT_LAST_N, -1, 1 << 30, NULL},
    {"presence_penalty", field_param, ASK_PRESENCE, -100, 100, NULL},
    {"frequency_penalty", field_param, ASK_FREQUENCY, -100, 100, NULL},
    {"dry_multiplier", field_param, ASK_DRY_MULTIPLIER, 0, 1000, NULL},
    {"dry_base", field_param, ASK_DRY_BASE, 1, 1000, NULL},
    {"dry_allowed_length", field_whole, ASK_DRY_ALLOWED, 0, 1 << 30, NULL},
    {"dry_penalty_last_n", field_whole, ASK_DRY_LAST_N, -1, 1 << 30, NULL},
    {"xtc_probability", field_param, ASK_XTC_PROBABILITY, 0, 1, NULL},
    {"xtc_threshold", field_param, ASK_XTC_THRESHOLD, 0, 1, NULL},
    {"seed", field_seed, 0, 0, 0, NULL},
    {"stop", field_stop, 0, 0, 0, NULL},
    {"lora", loras_read, 0, 0, 0, NULL},
    {"lookup", field_int, AT(lookup), 0, ROW_GUESSES, NULL},
    {"cache_prompt", field_hint, 0, 0, 0, NULL}, /* what is kept changes nothing but speed */
    {"id_slot", field_hint, 0, 0, 0, NULL},
    {"n_probs", field_false, 0, 0, 0, NULL},
    {"n_indent", field_false, 0, 0, 0, NULL},
    {"n_keep", field_hint, 0, 0, 0, NULL}, /* of a context that shifts; here none does */
    {"t_max_prompt_ms", field_false, 0, 0, 0, NULL},
    {"t_max_predict_ms", field_false, 0, 0, 0, NULL},
    {"samplers", field_refused, 0, 0, 0, NULL},
    {"response_fields", field_refused, 0, 0, 0, NULL},
    {NULL, NULL, 0, 0, 0, NULL},
};
/* clang-format on */

static int check_extra(const struct json *v, struct lar_err *err)
{
    if (v && v->kind != JSON_ARRAY && v->kind != JSON_NULL)
        return lar_fail(err, LAR_EINVAL, "input_extra: needs a list");
    for (const struct json *c = v ? v->child : NULL; c; c = c->next) {
        const struct json *text = json_get(c, "text"), *name = json_get(c, "filename");
        if (c->kind != JSON_OBJECT || !text || text->kind != JSON_STRING || (name && name->kind != JSON_STRING) ||
            c->n != (size_t)1 + (name != NULL))
            return lar_fail(err, LAR_EINVAL, "input_extra: each has a \"text\" and may have a \"filename\", no more");
    }
    return 0;
}

int infill_read(struct ask *q, int kind, struct str body, struct lar_err *err)
{
    (void)kind;
    if (body.n == 0) return lar_fail(err, LAR_EINVAL, "the request has no body");
    const struct json *v = json_parse(&q->a, body, err);
    int rc = v ? field_read(q, v, fields, "", err) : LAR_EINVAL;
    if (rc < 0) return rc;
    if (!json_get(v, "input_prefix")) return lar_fail(err, LAR_EINVAL, "input_prefix is required");
    if (!json_get(v, "input_suffix")) return lar_fail(err, LAR_EINVAL, "input_suffix is required");
    if ((rc = check_extra(q->extra, err)) < 0) return rc;
    q->fill = ASK_FILL_PROJECT;
    struct ask_prompt *p = ask_add(q, err);
    return p ? ask_text(q, q->prefix, &p->text, err) : LAR_ENOMEM;
}

/* ---- the prompt --------------------------------------------------------------------------------------------------------------- */

static int take_files(struct ask *q, struct lar_fill *f, struct lar_err *err)
{
    size_t n = q->extra && q->extra->kind == JSON_ARRAY ? q->extra->n : 0;
    struct lar_fill_file *file = arena_array(&q->a, n + 1, sizeof *file);
    int rc = 0;
    if (!file) return lar_fail(err, LAR_ENOMEM, "the request is too large");
    for (const struct json *c = n ? q->extra->child : NULL; c && rc == 0; c = c->next) {
        const struct json *name = json_get(c, "filename");
        rc = ask_text(q, json_get(c, "text")->s, &file[f->nfile].text, err);
        if (rc == 0 && name) rc = ask_text(q, name->s, &file[f->nfile].name, err);
        f->nfile++;
    }
    f->file = file;
    return rc;
}

int infill_prompts(struct job *j, struct lar_err *err)
{
    struct ask *q = &j->ask;
    struct lar_fill f = {.project = q->fill == ASK_FILL_PROJECT};
    int rc = ask_text(q, q->suffix, &f.suffix, err);
    if (rc == 0 && f.project) rc = ask_text(q, q->text, &f.prompt, err);
    if (rc == 0) rc = take_files(q, &f, err);
    for (size_t i = 0; i < q->nprompt && rc == 0; i++) {
        struct ask_prompt *p = &q->prompt[i];
        int32_t *ids = NULL, *own;
        if (!p->text) return lar_fail(err, LAR_EINVAL, "suffix: needs a prompt that is text");
        f.prefix = p->text;
        int64_t n = lar_fill_tokens(j->engine->model, &f, &ids, err);
        if (n < 0) return (int)n;
        own = arena_array(&q->a, (size_t)n, sizeof *own);
        if (own) memcpy(own, ids, (size_t)n * sizeof *own);
        if (!own) rc = lar_fail(err, LAR_ENOMEM, "the request is too large");
        lar_free(ids);
        *p = (struct ask_prompt){.tokens = own, .ntoken = (size_t)n};
    }
    return rc;
}

/* ---- answering ------------------------------------------------------------------------------------------------------------------ */

static void model_of(struct job *j, struct buf *b)
{
    buf_puts(b, ",\"model\":");
    buf_json_str(b, j->ask.model.n ? j->ask.model : buf_view(&j->name));
}

static void piece(struct job *j, struct row *r, struct buf *b)
{
    struct buf all = {0};
    buf_str(&all, buf_view(&r->piece[1]));
    buf_str(&all, buf_view(&r->piece[0]));
    buf_puts(b, "data: {\"index\":0,\"content\":");
    buf_json_str(b, buf_view(&all));
    buf_puts(b, ",\"stop\":false");
    model_of(j, b);
    buf_printf(b, ",\"tokens_predicted\":%zu,\"tokens_evaluated\":%zu}\n\n", r->steps, r->nprompt);
    buf_done(&all);
}

static void timings(const struct row *r, struct buf *b)
{
    double prompt = (double)(r->first - r->began) * 1e-6, wrote = (double)(r->last - r->first) * 1e-6;
    size_t fresh = r->nprompt - r->reused;
    buf_printf(b, ",\"timings\":{\"cache_n\":%zu,\"prompt_n\":%zu,\"prompt_ms\":%.3f,\"prompt_per_second\":%.3f,",
               r->reused, fresh, prompt, prompt > 0 ? (double)fresh * 1e3 / prompt : 0);
    buf_printf(b, "\"predicted_n\":%zu,\"predicted_ms\":%.3f,\"predicted_per_second\":%.3f}", r->nout, wrote,
               wrote > 0 && r->nout > 1 ? (double)(r->nout - 1) * 1e3 / wrote : 0);
}

static void last(struct job *j, struct buf *b, struct str content)
{
    struct row *r = &j->row[0];
    enum lar_stop s = r->result.stop;
    char *text = NULL;
    size_t n = 0;
    buf_puts(b, "{\"index\":0,\"content\":");
    buf_json_str(b, content);
    buf_puts(b, ",\"stop\":true");
    model_of(j, b);
    buf_printf(b, ",\"tokens_predicted\":%zu,\"tokens_evaluated\":%zu,\"prompt\":", r->nout, r->nprompt);
    lar_detokenize(j->engine->model, r->prompt, r->nprompt, LAR_DETOKENIZE_SPECIAL, &text, &n, NULL);
    buf_json_str(b, (struct str){text ? text : "", n});
    lar_free(text);
    buf_printf(b, ",\"truncated\":false,\"stop_type\":\"%s\",\"tokens_cached\":%zu",
               s == LAR_STOP_END      ? "eos"
               : s == LAR_STOP_STRING ? "word"
                                      : "limit",
               r->nprompt + (r->nout ? r->nout - 1 : 0));
    timings(r, b);
    buf_puts(b, "}");
}

static void finish(struct job *j, struct buf *b)
{
    buf_puts(b, "data: ");
    last(j, b, STR(""));
    buf_puts(b, "\n\n");
}

static void whole(struct job *j, struct buf *b)
{
    struct buf all = {0};
    buf_add(&all, j->row[0].result.thinking, j->row[0].result.thinking_n);
    buf_add(&all, j->row[0].result.text, j->row[0].result.text_n);
    last(j, b, buf_view(&all));
    buf_putc(b, '\n');
    buf_done(&all);
}

static void broken(struct job *j, struct buf *b, const char *message)
{
    (void)j;
    buf_puts(b, "data: ");
    openai_error(b, 500, message);
    buf_putc(b, '\n');
}

const struct dialect infill_dialect = {
    .stream_type = "text/event-stream",
    .error = openai_error,
    .piece = piece,
    .finish = finish,
    .broken = broken,
    .whole = whole,
};
