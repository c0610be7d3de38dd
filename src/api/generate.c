/* SPDX-License-Identifier: Apache-2.0
 *
 * api/generate.c: a prompt in, an answer out: bring the session up to date, then draw and evaluate until something ends it.
 *
 * What is drawn and what text it is belongs to api/writer.c.
 */
#include <lar/batch.h>

#include "api/api.h"
#include "base/time.h"

const char *lar_stop_name(enum lar_stop s)
{
    static const char *const name[] = {"end", "string", "length", "context", "cancel"};
    return (unsigned)s < sizeof name / sizeof *name ? name[s] : "";
}

void lar_result_free(struct lar_result *r)
{
    if (!r) return;
    mem_free(r->text);
    mem_free(r->thinking);
    mem_free(r->tokens);
    *r = (struct lar_result){0};
}

struct run {
    struct lar_session *s;
    const struct lar_request *req;
    struct lar_writer *w;
    size_t reused;
    double prompt_ms, first_token_ms;
};

static void on_prompt(void *ctx, size_t done, size_t total)
{
    const struct lar_request *req = ctx;
    req->on_prompt(req->ctx, done, total);
}

static int evaluate_prompt(struct run *r, struct lar_err *err)
{
    size_t n;
    const int32_t *prompt = lar_writer_prompt(r->w, &n);
    int64_t t = time_ns();
    int rc = session_sync(&r->s->s, prompt, n, r->req->on_prompt ? on_prompt : NULL,
                          (void *)(uintptr_t)r->req, err);
    if (rc < 0) return rc;
    r->reused = n - (size_t)rc;
    r->prompt_ms = time_ms_since(t);
    return 0;
}

static int decode(struct run *r, int64_t start, struct lar_err *err)
{
    struct session *s = &r->s->s;
    int32_t id[64]; /* the token drawn, and what a grammar forces behind it */
    int rc;
    while ((rc = lar_writer_step(r->w, session_logits(s), id, err)) > 0) {
        if (r->first_token_ms == 0) r->first_token_ms = time_ms_since(start);
        if (atomic_load(&s->cancel)) return 0;
        if (r->req->grammar && (rc = lar_writer_forced(r->w, id + 1, 63, err)) < 0) return rc;
        rc = session_extend(s, id, r->req->grammar ? (size_t)rc + 1 : 1, NULL, NULL, NULL, err);
        if (rc < 0) return rc == LAR_ECANCEL ? 0 : rc;
    }
    if (r->first_token_ms == 0) r->first_token_ms = time_ms_since(start);
    return rc;
}

int lar_generate(struct lar_session *s, const struct lar_request *req, struct lar_result *out,
                 struct lar_err *err)
{
    if (!s || !req || !out)
        return lar_fail(err, LAR_EINVAL, "lar_generate: session, request and out are needed");
    *out = (struct lar_result){0};
    atomic_store(&s->s.cancel, 0);
    struct run r = {.s = s, .req = req};
    int64_t start = time_ns();
    int rc = lar_writer_open(&r.w, s->m, req, err);
    if (rc == 0) rc = lar_writer_begin(r.w, (int)s->s.ctx, err);
    if (rc == 0) rc = evaluate_prompt(&r, err);
    if (rc == 0) rc = decode(&r, start, err);
    if (rc == 0) rc = lar_writer_end(r.w, out, err);
    lar_writer_close(r.w);
    if (rc < 0) return rc;
    out->prompt_reused = r.reused;
    out->prompt_ms = r.prompt_ms;
    out->first_token_ms = r.first_token_ms;
    return 0;
}
