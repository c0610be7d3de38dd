/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/writing.c: see writing.h. A request is read into the one form, the model is held, the prompt becomes tokens; then the scheduler has it.
 */
#include "serve/writing.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "serve/keys.h"
#include "serve/ollama.h"
#include "serve/sched.h"
#include "serve/trace.h"

void writing_error(struct http_call *c, writing_error_fn *form, int status, const char *message)
{
    struct buf b = {0};
    form(&b, status, message);
    http_reply(c, status, "application/json", buf_view(&b));
    buf_done(&b);
}

void writing_json(struct http_call *c, struct buf *b)
{
    if (b->failed)
        writing_error(c, ollama_error, 503, "out of memory");
    else
        http_reply(c, 200, "application/json", buf_view(b));
    buf_done(b);
}

static int cannot_think(const struct job *j, struct lar_err *err)
{
    if (j->ask.think != LAR_THINK_ON || j->engine->info.can_think) return 0;
    return lar_fail(err, LAR_EINVAL, "\"%s\" does not support thinking", j->book->name);
}

static int cannot_write(const struct job *j, struct lar_err *err)
{
    if (!j->engine->reads_only) return 0;
    return lar_fail(err, LAR_EUNSUPPORTED,
                    "\"%s\" does not support generate: it reads texts, to embed or rank them",
                    j->book->name);
}

/* A model with a Modelfile: what that says comes first, the request again on top of it. */
static int read_again(struct job *j, writing_read_fn *read, struct str body, struct lar_err *err)
{
    const struct store_model *m = j->book->stored;
    int rc = 0;
    if (!m || (!m->params && !m->messages && !(m->system && *m->system))) return 0;
    ask_done(&j->ask);
    ask_init(&j->ask);
    if (m->params && (rc = ollama_params(&j->ask, m->params, "PARAMETER", err)) < 0) return rc;
    if (m->system && *m->system) {
        j->ask.role_system = str_of(m->system);
        j->ask.from_file = 1;
    }
    j->ask.shots = m->messages;
    return read(&j->ask, j->kind, body, err);
}

void writing_over(void *ctx, const struct job *j)
{
    struct server *s = ctx;
    struct buf b = {0};
    int64_t first = j->row && j->row[0].first ? j->row[0].first - j->arrived : 0;
    trace_job(s->trace, j);
    if (!s->opt.log || !s->opt.log_json || !j->row) return;
    buf_puts(&b, "{\"time\":");
    job_time(&b);
    buf_printf(&b, ",\"event\":\"answer\",\"id\":\"%s\",\"model\":", http_id(j->call));
    buf_json_str(&b, buf_view(&j->name));
    buf_printf(&b, ",\"complete\":%s,\"prompt_tokens\":%zu,\"cached_tokens\":%zu,\"answer_tokens\":%zu",
               j->over ? "false" : "true", job_prompt_tokens(j), job_reused(j), job_answer_tokens(j));
    buf_printf(&b, ",\"first_token_ms\":%.1f,\"ms\":%.1f}", (double)first * 1e-6, time_ms_since(j->arrived));
    s->opt.say_object(buf_z(&b));
    buf_done(&b);
}

static void let_go(struct server *s, struct job *j)
{
    writing_over(s, j);
    job_free(j);
}

/* An empty request to give a model back needs none of it. */
static int unload(struct server *s, struct job *j)
{
    struct lar_err err;
    struct buf b = {0};
    struct book *k = shelf_find(&s->shelf, j->ask.model.p ? j->ask.model.p : "", j->ask.model.n);
    if (!k || !keys_allow(http_owner(j->call), k->name)) return 0;
    if (shelf_unload(&s->shelf, k, &err) < 0) {
        job_fail(j, 400, err.msg);
    } else {
        ollama_loaded(j, &b);
        writing_json(j->call, &b);
    }
    job_free(j);
    return 1;
}

/* The model is there: the job is answered, or the scheduler's. */
static void go_on(struct job *j, int rc, const struct lar_err *why)
{
    struct server *s = j->server;
    struct lar_err err = {0};
    if (rc < 0) {
        job_fail(j, rc != LAR_EINVAL ? job_status(rc) : j->forbidden ? 403 : j->ask.model.n ? 404 : 400, why->msg);
    } else if (j->ask.load_only) {
        struct buf b = {0};
        ollama_loaded(j, &b);
        writing_json(j->call, &b);
        job_free(j);
        return;
    } else if ((rc = read_again(j, j->read, http_body(j->call), &err)) < 0 || (rc = cannot_think(j, &err)) < 0 ||
               (rc = cannot_write(j, &err)) < 0 || (rc = job_prepare(j, s->opt.ctx, &err)) < 0) {
        job_fail(j, job_status(rc), err.msg);
    } else {
        sched_submit(s->sched, j);
        return;
    }
    let_go(s, j);
}

/* NULL: the answer is that there is no memory. */
static struct job *begin(const struct server *s, struct http_call *c, const struct dialect *d, int kind)
{
    struct job *j = job_new(c, d, kind);
    if (j)
        j->kept = s->kept;
    else
        writing_error(c, d->error, 503, "out of memory");
    return j;
}

void writing_take(struct server *s, struct http_call *c, const struct dialect *d, int kind,
                         writing_read_fn *read)
{
    struct lar_err err = {0};
    struct job *j = begin(s, c, d, kind);
    if (!j) return;
    int rc = read(&j->ask, kind, http_body(c), &err);
    if (rc == 0 && !atomic_load(&s->draining)) {
        if (j->ask.load_only && j->ask.keep_ns == 0 && unload(s, j)) return;
        j->held = go_on;
        j->server = s;
        j->read = read;
        job_hold(j, &s->shelf);
        return;
    }
    job_fail(j, rc < 0 ? job_status(rc) : 503, rc < 0 ? err.msg : "the server is shutting down");
    let_go(s, j);
}

static void counted(struct job *j, int rc, const struct lar_err *why)
{
    struct lar_err err = {0};
    struct buf b = {0};
    size_t n = 0;
    int status = 200;
    if (rc < 0)
        status = rc == LAR_EINVAL && j->shelf == NULL && j->server ? j->forbidden ? 403 : 404 : job_status(rc);
    else if ((rc = job_count(j, &n, &err)) < 0)
        status = job_status(rc), why = &err;
    if (rc < 0)
        j->dialect->error(&b, status, why->msg);
    else
        buf_printf(&b, "{%s\"input_tokens\":%zu}\n", j->form, n);
    http_reply(j->call, status, "application/json", buf_view(&b));
    buf_done(&b);
    job_free(j);
}

void writing_count(struct server *s, struct http_call *c, const struct dialect *d, int kind, writing_read_fn *read,
                  const char *form)
{
    struct lar_err err = {0};
    struct job *j = begin(s, c, d, kind);
    if (!j) return;
    j->form = form;
    j->held = counted;
    int rc = read(&j->ask, kind, http_body(c), &err);
    if (rc < 0) {
        counted(j, rc, &err);
        return;
    }
    j->server = s;
    job_hold(j, &s->shelf);
}
