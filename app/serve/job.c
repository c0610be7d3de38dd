/* SPDX-License-Identifier: Apache-2.0
 * serve/job.c: see job.h. */
#include "serve/job.h"

#include <lar/grammar.h>

#include <sys/random.h>
#include <time.h>

#include "base/err.h"
#include "base/time.h"
#include "serve/infill.h"
#include "serve/keys.h"

enum { ROWS_MAX = 256 };

/* ---- making ------------------------------------------------------------------------------------------------------------- */

static void make_id(struct job *j)
{
    unsigned char random[12] = {0};
    static const char hex[] = "0123456789abcdef";
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        memcpy(random, &j->arrived, sizeof j->arrived);
    for (size_t i = 0; i < sizeof random; i++) {
        j->id[2 * i] = hex[random[i] >> 4];
        j->id[2 * i + 1] = hex[random[i] & 15];
    }
}

struct job *job_new(struct http_call *c, const struct dialect *d, int kind)
{
    struct job *j = mem_zalloc(sizeof *j);
    if (!j) return NULL;
    http_keep(c);
    j->call = c;
    j->dialect = d;
    j->kind = kind;
    j->created = (int64_t)time(NULL);
    j->arrived = time_ns();
    ask_init(&j->ask);
    make_id(j);
    trace_parent(c, j->parent);
    return j;
}

static void row_free(struct row *r)
{
    lar_writer_close(r->writer);
    lar_session_close(r->session);
    lar_result_free(&r->result);
    buf_done(&r->piece[0]);
    buf_done(&r->piece[1]);
    mem_free(r->prob);
    tools_row_free(r);
}

void job_free(struct job *j)
{
    if (!j) return;
    for (size_t i = 0; j->row && i < j->nrow; i++) row_free(&j->row[i]);
    mem_free(j->row);
    keys_spend(http_owner(j->call), j->spent);
    if (j->dialect->leave) j->dialect->leave(j);
    if (j->engine) compiled_drop(&j->engine->compiled, j->format);
    if (j->engine) compiled_drop(&j->engine->compiled, j->called);
    loras_drop(&j->loras);
    buf_done(&j->name);
    if (j->book) shelf_release(j->shelf, j->book, j->ask.keep_ns);
    http_drop(j->call);
    ask_done(&j->ask);
    mem_free(j);
}

static void have(struct job *j, int rc, const struct lar_err *why)
{
    struct lar_err err;
    if (rc == 0) {
        j->book = j->wait.book;
        j->engine = j->book->engine;
        if (j->loras.n) rc = loras_hold(j->shelf, j->engine, &j->loras, &err), why = &err;
    }
    j->held(j, rc == LAR_EINVAL ? LAR_EFORMAT : rc, why);
}

static void loaded(struct shelf_wait *w, int rc, const struct lar_err *why)
{
    struct job *j = (struct job *)w;
    j->load_ns = time_ns() - w->since;
    have(j, rc, why);
}

static int left(struct shelf_wait *w) { return http_gone(((struct job *)w)->call); }

void job_hold(struct job *j, struct shelf *s)
{
    struct str name = j->ask.model;
    struct lar_err err = {0};
    struct book *b = shelf_find(s, name.p ? name.p : "", name.n);
    if (b)
        buf_puts(&j->name, b->name);
    else
        b = loras_find(s, name, &j->loras, &j->name);
    if (b && j->ask.lora) loras_pick(s, b, j->ask.lora, &j->loras, &j->name, &err);
    j->forbidden = b && !keys_allow(http_owner(j->call), buf_z(&j->name));
    if (err.code)
        j->forbidden = 0; /* told as it is */
    else if (!b && name.n == 0)
        lar_fail(&err, LAR_EINVAL, "model is required: this server has several");
    else if (!b)
        lar_fail(&err, LAR_EINVAL, "model '%.*s' not found", STR_ARG(name));
    else if (j->forbidden)
        lar_fail(&err, LAR_EINVAL, "this key may not use model '%s'", buf_z(&j->name));
    if (err.code) {
        j->held(j, err.code, &err);
        return;
    }
    j->shelf = s;
    j->wait = (struct shelf_wait){.book = b, .keep_ns = j->ask.keep_ns, .gone = left, .ready = loaded};
    int rc = shelf_hold(s, b, &j->wait, &err);
    if (rc != SHELF_LATER) have(j, rc, &err);
}

static int on_text(void *ctx, enum lar_text_kind kind, const char *text, size_t n)
{
    struct row *r = ctx;
    if (kind == LAR_TEXT_THINKING) r->nthink = r->steps;
    if (r->calls.reader && kind == LAR_TEXT_ANSWER)
        tools_row_text(r, text, n);
    else if (r->job->ask.stream)
        buf_add(&r->piece[kind == LAR_TEXT_THINKING], text, n);
    return 0;
}

/* Room for prompt and answer: what was asked for, no more than they can need. */
static int room(const struct job *j, const struct row *r, int ctx)
{
    int64_t most = j->ask.ctx ? j->ask.ctx : ctx;
    int64_t need = j->ask.max_tokens ? (int64_t)r->nprompt + j->ask.max_tokens : most;
    return (int)(need < most ? need : most);
}

/* What the answer is said to be like, as tokens, once for all rows. */
static int predict(struct job *j, struct row *r, struct lar_err *err)
{
    struct str s = j->ask.predicted;
    const struct lar_model *m = j->engine->model;
    if (!j->predicted) {
        int64_t n = lar_tokenize(m, s.p, s.n, 0, NULL, 0, err);
        if (n < 0) return (int)n;
        j->predicted = arena_array(&j->ask.a, (size_t)n + 1, sizeof *j->predicted);
        if (!j->predicted) return lar_fail(err, LAR_ENOMEM, "the request is too large");
        if (n) n = lar_tokenize(m, s.p, s.n, 0, j->predicted, (size_t)n, err);
        j->npredicted = n > 0 ? (size_t)n : 0;
    }
    return lar_writer_predict(r->writer, j->predicted, j->npredicted, err);
}

static int row_open(struct job *j, struct row *r, const struct ask_prompt *p, int ctx,
                    struct lar_err *err)
{
    const struct ask *q = &j->ask;
    lar_sampling_default(&r->sampling, j->engine->model);
    int rc = ask_sampling(q, &r->sampling, err);
    if (rc < 0) return rc;
    if (q->seed >= 0) r->sampling.seed = q->seed + r->index % q->n;
    r->req = (struct lar_request){.chat = p->chat,
                                  .text = p->text,
                                  .tokens = p->tokens,
                                  .ntoken = p->ntoken,
                                  .think = q->think,
                                  .sampling = &r->sampling,
                                  .bias = q->bias,
                                  .nbias = q->nbias,
                                  .max_tokens = q->max_tokens,
                                  .lookup = q->lookup >= 0     ? q->lookup
                                            : q->predicted.n ? ROW_GUESSES
                                                             : j->shelf->opt.lookup,
                                  .stop = q->stop,
                                  .nstop = q->nstop,
                                  .grammar = j->format ? j->format->grammar : NULL,
                                  .tools = j->tools,
                                  .on_text = on_text,
                                  .ctx = r};
    if ((rc = tools_row_begin(j, r, err)) < 0) return rc;
    if ((rc = lar_writer_open(&r->writer, j->engine->model, &r->req, err)) < 0) return rc;
    r->prompt = lar_writer_prompt(r->writer, &r->nprompt);
    r->ctx = room(j, r, ctx);
    if ((rc = lar_writer_begin(r->writer, r->ctx, err)) < 0 || !q->predicted.n) return rc;
    return predict(j, r, err);
}

static int open_grammar(struct job *j, struct lar_err *err)
{
    const struct ask *q = &j->ask;
    struct lar_grammar_options o = {.partial = q->partial};
    struct lar_err why = {0};
    int rc = compiled_grammar(&j->engine->compiled, &j->format, (enum lar_grammar_kind)(q->format - 1), q->schema,
                              &o, &why);
    return rc < 0 ? lar_fail(err, rc, "the format of the answer: %s", why.msg) : 0;
}

int job_prepare(struct job *j, int ctx, struct lar_err *err)
{
    const struct ask *q = &j->ask;
    size_t n = q->nprompt * (size_t)q->n;
    int rc = 0;
    if (q->draft > 0 && !j->engine->guess.draft)
        return lar_fail(err, LAR_EINVAL, "draft: nothing guesses for '%s' here (lar serve --draft NAME=FILE)",
                        j->book->name);
    if (ctx == 0) ctx = engine_ctx(j->engine);
    if (n == 0 || n > ROWS_MAX)
        return lar_fail(err, LAR_EINVAL, "%zu answers in a request; 1 to %d", n, ROWS_MAX);
    j->row = mem_zalloc(n * sizeof *j->row);
    if (!j->row) return lar_fail(err, LAR_ENOMEM, "request: out of memory");
    j->nrow = j->left = n;
    if (j->dialect->settle && (rc = j->dialect->settle(j, err)) < 0) return rc;
    if (q->fill && (rc = infill_prompts(j, err)) < 0) return rc;
    if (q->format && (rc = open_grammar(j, err)) < 0) return rc;
    if ((rc = tools_open(j, err)) < 0) return rc;
    for (size_t i = 0; i < n && rc == 0; i++) {
        j->row[i].job = j;
        j->row[i].index = (int)i;
        rc = row_open(j, &j->row[i], &q->prompt[i / (size_t)q->n], ctx, err);
    }
    return rc;
}

int job_count(struct job *j, size_t *n, struct lar_err *err)
{
    struct lar_writer *w;
    int rc = j->dialect->settle ? j->dialect->settle(j, err) : 0;
    if (rc == 0) rc = tools_open(j, err);
    if (rc < 0) return rc;
    struct lar_request req = {.chat = j->ask.prompt[0].chat, .think = j->ask.think};
    rc = lar_writer_open(&w, j->engine->model, &req, err);
    if (rc < 0) return rc;
    lar_writer_prompt(w, n);
    lar_writer_close(w);
    return 0;
}

/* ---- answering ------------------------------------------------------------------------------------------------------------- */

static void send(struct job *j, struct buf *b)
{
    if (b->n && !b->failed) http_write(j->call, buf_view(b));
    if (b->failed) job_fail(j, 500, "out of memory");
    buf_done(b);
}

static void begin_stream(struct job *j, struct buf *b)
{
    if (j->begun) return;
    j->begun = 1;
    http_stream(j->call, 200, j->dialect->stream_type);
    if (j->dialect->begin) j->dialect->begin(j, b);
}

void job_piece(struct job *j, struct row *r)
{
    struct buf b = {0};
    if (!j->ask.stream || j->over || (!r->piece[0].n && !r->piece[1].n && !tools_news(r))) return;
    begin_stream(j, &b);
    j->dialect->piece(j, r, &b);
    buf_clear(&r->piece[0]);
    buf_clear(&r->piece[1]);
    r->nprob = 0;
    send(j, &b);
}

void job_row_done(struct job *j, struct row *r)
{
    struct buf b = {0};
    j->left--;
    if (!j->over) tools_row_end(r);
    if (j->over) return;
    if (j->ask.stream) {
        job_piece(j, r);
        begin_stream(j, &b);
        if (j->dialect->row_end) j->dialect->row_end(j, r, &b);
        if (!j->left) j->dialect->finish(j, &b);
        send(j, &b);
        if (!j->left) http_end(j->call);
    } else if (!j->left) {
        j->dialect->whole(j, &b);
        if (b.failed)
            job_fail(j, 500, "out of memory");
        else
            http_reply(j->call, 200, "application/json", buf_view(&b));
        buf_done(&b);
    }
}

void job_fail(struct job *j, int status, const char *message)
{
    struct buf b = {0};
    if (j->over) return;
    j->over = 1;
    if (j->begun) {
        j->dialect->broken(j, &b, message);
        http_write(j->call, buf_view(&b));
        http_end(j->call);
    } else {
        j->dialect->error(&b, status, message);
        http_reply(j->call, status, "application/json", buf_view(&b));
    }
    buf_done(&b);
}

int job_status(int code)
{
    switch (code) {
    case LAR_EINVAL:
    case LAR_EFORMAT:
    case LAR_ELIMIT: return 400;
    case LAR_EFAMILY:
    case LAR_EUNSUPPORTED: return 400;
    case LAR_ENOMEM: return 503;
    case LAR_ECANCEL: return 499;
    default: return 500;
    }
}

/* ---- what dialects tell ------------------------------------------------------------------------------------------------------ */

size_t job_prompt_tokens(const struct job *j)
{
    size_t n = 0;
    for (size_t i = 0; i < j->nrow; i += (size_t)j->ask.n) n += j->row[i].nprompt;
    return n;
}

size_t job_reused(const struct job *j)
{
    size_t n = 0;
    for (size_t i = 0; i < j->nrow; i += (size_t)j->ask.n) n += j->row[i].reused;
    return n;
}

size_t job_answer_tokens(const struct job *j)
{
    size_t n = 0;
    for (size_t i = 0; i < j->nrow; i++) n += j->row[i].nout;
    return n;
}

static void one_token(struct buf *b, const struct lar_model *m, int32_t id, float p)
{
    size_t n;
    const char *bytes = lar_token_bytes(m, id, &n);
    buf_puts(b, "\"token\":");
    buf_json_str(b, (struct str){bytes ? bytes : "", bytes ? n : 0});
    buf_puts(b, ",\"logprob\":");
    buf_json_num(b, (double)p);
    buf_puts(b, ",\"bytes\":[");
    for (size_t i = 0; bytes && i < n; i++)
        buf_printf(b, "%s%u", i ? "," : "", (unsigned)(unsigned char)bytes[i]);
    buf_putc(b, ']');
}

void job_logprobs(struct job *j, struct row *r, struct buf *b)
{
    const struct lar_model *m = j->engine->model;
    buf_putc(b, '[');
    for (size_t i = 0; i < r->nprob; i++) {
        const struct logprob *l = &r->prob[i];
        buf_puts(b, i ? ",{" : "{");
        one_token(b, m, l->id, l->p);
        buf_puts(b, ",\"top_logprobs\":[");
        for (int k = 0; k < l->ntop; k++) {
            buf_puts(b, k ? ",{" : "{");
            one_token(b, m, l->top[k].id, l->top[k].p);
            buf_putc(b, '}');
        }
        buf_puts(b, "]}");
    }
    buf_putc(b, ']');
}

void job_time(struct buf *b)
{
    struct timespec t;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    buf_printf(b, "\"%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ\"", tm.tm_year + 1900, tm.tm_mon + 1,
               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, t.tv_nsec / 1000);
}
