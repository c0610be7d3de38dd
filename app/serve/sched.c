/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/sched.c: see sched.h. Jobs come in through a list under a lock; everything else (rows, sessions, lists) is the thread's alone.
 *
 * A row waits until there is a place among those at work and memory for its keys and values; it then opens a session of its own. Whether
 * clients are still there is looked at every LOOK_NS, and their rows leave before the next step.
 */
#include "serve/sched.h"

#include <malloc.h>
#include <math.h>

#include "base/err.h"
#include "base/time.h"

#define LOOK_NS 10000000 /* 10 ms */
#define TIDY_NS 2000000000 /* 2 s */
#define READ_NS 50000000 /* of files, where nobody waits for a next token */
#define SLOWER  2.0
#define SLOWEST 8.0

enum { CACHE_TOKENS = 16 }; /* shorter timelines are not worth keeping */

struct sched {
    struct sched_options opt;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, empty;
    struct job **in; /* [nin] */
    size_t nin, in_room;
    long numbered; /* jobs so far */
    int closing, stop; /* takes no more; ends now */
    struct metrics number;
    /* the thread's */
    struct job **job; /* [njob], all that are not done */
    size_t njob, job_room;
    double kv_used;
    int64_t looked, tidied;
};

/* ---- rows ---------------------------------------------------------------------------------------------------------------- */

static double kv_of(const struct row *r)
{
    const struct engine *e = r->job->engine;
    return (e->kv_token_bytes + e->guess.kv_token_bytes) * r->ctx;
}

/* Shown as it is now. With the lock held. */
static void show(const struct row *r)
{
    struct slot *k = &r->job->engine->slot[r->slot];
    k->read = r->at;
    k->written = r->steps;
}

/* The first place that nobody has; there is one. */
static void take_slot(struct sched *s, struct engine *e, struct row *r)
{
    const struct ask *q = &r->job->ask;
    pthread_mutex_lock(&s->lock);
    for (r->slot = 0; e->slot[r->slot].busy;) r->slot++;
    e->slot[r->slot] = (struct slot){.task = r->job->number,
                                     .busy = 1,
                                     .ctx = r->ctx,
                                     .max_tokens = q->max_tokens,
                                     .stream = q->stream,
                                     .guesses = r->req.lookup > 0 || (e->guess.draft && q->draft != 0),
                                     .prompt = r->nprompt,
                                     .cached = r->reused,
                                     .sampling = r->sampling};
    pthread_mutex_unlock(&s->lock);
}

static void leave_slot(struct sched *s, struct row *r)
{
    pthread_mutex_lock(&s->lock);
    show(r);
    r->job->engine->slot[r->slot].busy = 0;
    pthread_mutex_unlock(&s->lock);
}

static void row_unqueue(struct engine *e, const struct row *r)
{
    for (struct row **p = &e->waiting; *p; p = &(*p)->next)
        if (*p == r) {
            *p = r->next;
            if (e->tail == &r->next) e->tail = p;
            return;
        }
}

/* Out of the engine's lists; its session is given back. */
static void row_leave(struct sched *s, struct row *r)
{
    struct engine *e = r->job->engine;
    if (r->state == ROW_WAITS) {
        row_unqueue(e, r);
    } else if (r->state != ROW_DONE) {
        for (size_t i = 0; i < e->nrow; i++)
            if (e->row[i] == r) e->row[i] = e->row[--e->nrow];
        s->kv_used -= kv_of(r);
        e->kv_used -= kv_of(r);
        leave_slot(s, r);
    }
    size_t n = 0;
    if (r->session) lar_session_tokens(r->session, &n);
    if (n >= CACHE_TOKENS)
        cache_put(&e->cache, r->session, e->kv_token_bytes * (double)n);
    else
        lar_session_close(r->session);
    lar_session_close(r->draft);
    r->session = r->draft = NULL;
    r->state = ROW_DONE;
}

static void row_fail(struct sched *s, struct row *r, const struct lar_err *why)
{
    (void)s;
    job_fail(r->job, job_status(why->code), why->msg);
}

/* The answer is complete: text and tokens come out of the writer. */
static void row_complete(struct sched *s, struct row *r)
{
    struct lar_err err;
    int rc = lar_writer_end(r->writer, &r->result, &err);
    r->ended = time_ns();
    row_leave(s, r);
    if (rc < 0) {
        row_fail(s, r, &err);
        return;
    }
    r->nout = r->result.ntoken;
    pthread_mutex_lock(&s->lock);
    s->number.answer_tokens += (long)r->result.ntoken;
    s->number.guessed_tokens += (long)r->result.guessed;
    s->number.right_tokens += (long)r->result.guessed_right;
    if (r->nout > 1 && r->last > r->first)
        metrics_note_count(&s->number.answer_rate, (double)(r->nout - 1) * 1e9 / (double)(r->last - r->first));
    pthread_mutex_unlock(&s->lock);
    job_row_done(r->job, r);
}

/* ---- probabilities --------------------------------------------------------------------------------------------------------- */

static void note_top(struct logprob *l, int want, int32_t id, float x)
{
    int at = l->ntop;
    if (at == want && (at == 0 || x <= l->top[at - 1].p)) return;
    if (at < want)
        l->ntop++;
    else
        at--;
    while (at > 0 && l->top[at - 1].p < x) {
        l->top[at] = l->top[at - 1];
        at--;
    }
    l->top[at].id = id;
    l->top[at].p = x;
}

static struct logprob *new_logprob(struct row *r, int32_t id)
{
    if (r->nprob == r->prob_room) {
        size_t room = r->prob_room ? 2 * r->prob_room : 16;
        struct logprob *p = mem_resize(r->prob, room * sizeof *p);
        if (!p) return NULL;
        r->prob = p;
        r->prob_room = room;
    }
    r->prob[r->nprob] = (struct logprob){.id = id};
    return &r->prob[r->nprob++];
}

/* Of the model's own distribution, before any setting of sampling. */
static int note_logprob(struct row *r, const float *logits, int32_t id)
{
    int vocab = r->job->engine->info.vocab;
    struct logprob *l = new_logprob(r, id);
    if (!l) return -1;
    float max = -INFINITY;
    for (int i = 0; i < vocab; i++) {
        if (logits[i] > max) max = logits[i];
        note_top(l, r->job->ask.top, i, logits[i]);
    }
    double sum = 0;
    for (int i = 0; i < vocab; i++) sum += exp((double)(logits[i] - max));
    float norm = max + (float)log(sum);
    l->p = logits[id] - norm;
    for (int i = 0; i < l->ntop; i++) l->top[i].p -= norm;
    return 0;
}

/* The prompt's own tokens are to be told with their probabilities: it is evaluated whole, with logits everywhere. */
static int scored(const struct row *r) { return r->job->ask.echo && r->job->ask.logprobs; }

/* The prompt's first token: nothing says how probable it is. A text's may be the model's mark of a beginning, which is not in the text. */
static int note_first(struct row *r)
{
    const struct ask_prompt *p = &r->job->ask.prompt[r->index / r->job->ask.n];
    struct logprob *l = new_logprob(r, r->prompt[0]);
    size_t n = 0;
    if (!l) return -1;
    const char *bytes = lar_token_bytes(r->job->engine->model, l->id, &n);
    l->first = 1;
    l->unseen = p->text && bytes && strncmp(p->text, bytes, n) != 0;
    return 0;
}

/* After a slice of n tokens from r->at on, with logits after each: the tokens that follow them in the prompt. */
static int note_prompt(struct row *r, const float *logits, size_t n)
{
    size_t vocab = (size_t)r->job->engine->info.vocab;
    if (r->at == 0 && note_first(r) < 0) return -1;
    for (size_t i = 0; i < n && r->at + i + 1 < r->nprompt; i++)
        if (note_logprob(r, logits + i * vocab, r->prompt[r->at + i + 1]) < 0) return -1;
    return 0;
}

/* ---- a step ------------------------------------------------------------------------------------------------------------------ */

/* The timeline that r begins as, at work or kept: shared, not evaluated again. */
static int share_beginning(struct engine *e, struct row *r, struct lar_err *err)
{
    int64_t most, kept = 0;
    struct lar_session *from = cache_best(&e->cache, r->session, r->prompt, r->nprompt, &most);
    for (size_t i = 0; i < e->nrow; i++) {
        int64_t k = lar_session_shared(e->row[i]->session, r->prompt, r->nprompt);
        if (k <= most || !lar_session_alike(e->row[i]->session, r->session)) continue;
        most = k;
        from = e->row[i]->session;
    }
    if (from && most >= CACHE_TOKENS) {
        kept = lar_session_fork(r->session, from, r->prompt, r->nprompt, err);
        if (kept > 0) cache_outgrown(&e->cache, from, kept);
    }
    if (kept < 0) return (int)kept;
    r->at = r->reused = (size_t)kept;
    if (e->cache.disk) disk_find(e->cache.disk, &r->disk, r->session, r->prompt, r->nprompt);
    return 0;
}

/* Answers to one prompt wait until the first of them has evaluated it. */
static int waits_for_sibling(const struct row *r)
{
    const struct row *first = r - r->index % r->job->ask.n;
    return first != r && first->state <= ROW_PROMPT && !r->job->over;
}

/* LAR_ENOMEM only when no answer is at work whose end would help. */
static int open_session(struct sched *s, struct engine *e, struct row *r, struct lar_err *err)
{
    struct lar_session_options o = {.ctx = r->ctx, .kv = s->opt.kv, .batch = 1};
    int rc;
    if (kv_of(r) > s->opt.kv_bytes)
        return lar_fail(
            err, LAR_ELIMIT,
            "a context of %d tokens needs %.0f MiB, this server has %.0f for all: lower "
            "num_ctx or max_tokens",
            r->ctx, kv_of(r) / 1048576, s->opt.kv_bytes / 1048576);
    do rc = lar_session_open(&r->session, e->model, &o, err);
    while (rc == LAR_ENOMEM && cache_drop(&e->cache));
    if (rc == 0) rc = lar_session_adapt(r->session, r->job->loras.v, r->job->loras.n, err);
    return rc < 0 || scored(r) ? rc : share_beginning(e, r, err);
}

/* 0: not now, and who stands behind waits too. */
static int admit_one(struct sched *s, struct engine *e, struct row *r)
{
    struct lar_err err = {0};
    double need = kv_of(r);
    int rc = 0;
    while (s->kv_used + e->cache.bytes + need > s->opt.kv_bytes && cache_drop(&e->cache)) continue;
    if (s->kv_used + need > s->opt.kv_bytes && s->kv_used > 0) return 0; /* when others are done */
    do rc = shelf_grow(s->opt.shelf, e, e->kv_used + need, e->cache.bytes, &err);
    while (rc == SHELF_LATER && cache_drop(&e->cache));
    if (rc == SHELF_LATER && s->kv_used > 0) return 0;
    if (rc == SHELF_LATER) /* nobody's end would help */
        rc = lar_fail(&err, LAR_ENOMEM, "a context of %d tokens needs %.0f MiB that other models hold: try again later",
                      r->ctx, need / 1048576);
    if (rc == 0) rc = open_session(s, e, r, &err);
    if (rc == LAR_ENOMEM && e->nrow) return 0;
    if (rc < 0) {
        row_fail(s, r, &err);
        row_leave(s, r);
        return 1;
    }
    row_unqueue(e, r);
    e->kv_used += need;
    r->state = ROW_PROMPT;
    r->began = time_ns();
    e->row[e->nrow++] = r;
    take_slot(s, e, r);
    s->kv_used += need;
    return 1;
}

/* From the waiting to those at work, in the order of arrival. */
static void admit(struct sched *s, struct engine *e)
{
    struct row *next;
    for (struct row *r = e->waiting; r && e->nrow < e->row_room; r = next) {
        next = r->next;
        if (!waits_for_sibling(r) && !admit_one(s, e, r)) return;
    }
}

/* How many prompt tokens a step may have beside nwrite answers: as many as make it SLOWER times as long as one that only writes, and more
 * where more prompts wait than answers are written: whoever waits for a first token counts as much as who waits for the next. */
static size_t slice(const struct sched *s, const struct engine *e, size_t nwrite, size_t waiting)
{
    size_t most = (size_t)s->opt.step_tokens;
    if (nwrite == 0 || e->step_ns <= 0 || e->token_ns <= 0)
        return nwrite ? (most < 64 ? most : 64) : most;
    double times = (double)waiting / (double)nwrite;
    times = times < SLOWER - 1 ? SLOWER - 1 : times > SLOWEST - 1 ? SLOWEST - 1 : times;
    double n = times * e->step_ns / e->token_ns;
    return n < 8 ? 8 : n > (double)most ? most : (size_t)n;
}

static size_t rest_of(const struct row *r) { return r->nprompt - r->at; }

/* The prompts being read, those with the least left first, behind one another in who. Gives their number, and the oldest of them. */
static size_t list_prompts(const struct engine *e, struct row **who, struct row **oldest)
{
    size_t n = 0;
    *oldest = NULL;
    for (size_t i = 0; i < e->nrow; i++) {
        struct row *r = e->row[i];
        if (r->state != ROW_PROMPT || r->disk.end) continue;
        size_t at = n++;
        for (; at > 0 && rest_of(who[at - 1]) > rest_of(r); at--) who[at] = who[at - 1];
        who[at] = r;
        if (!*oldest || r->began < (*oldest)->began) *oldest = r;
    }
    return n;
}

/* Prompts whose beginnings are on the disk: as many files before a step as take no longer than its prompts may, but one. */
static void read_back(struct engine *e)
{
    int64_t began = time_ns(), most = READ_NS;
    for (size_t i = 0; i < e->nrow; i++)
        if (e->row[i]->state == ROW_WRITES && e->step_ns > 0) most = (int64_t)((SLOWER - 1) * e->step_ns);
    for (size_t i = 0; i < e->nrow; i++) {
        struct row *r = e->row[i];
        while (r->state == ROW_PROMPT && r->disk.end && !r->job->over && time_ns() - began < most) {
            if (disk_next(e->cache.disk, &r->disk, r->session, r->prompt)) continue;
            r->at = r->reused = (size_t)lar_session_reuse(r->session, r->prompt, r->nprompt);
        }
    }
}

/* Next tokens first, then slices of prompts: the shortest first, so that many of them wait for few; but half of it is the oldest's, so that
 * none waits for ever. Gives the number of parts. */
static size_t gather(struct sched *s, struct engine *e, size_t *nwrite, size_t *nprompt)
{
    size_t n = 0, logits = SHELF_SCORED, reading = 0;
    for (size_t i = 0; i < e->nrow; i++) reading += e->row[i]->state == ROW_PROMPT;
    guess_make(e, reading);
    for (size_t i = 0; i < e->nrow; i++) {
        struct row *r = e->row[i];
        if (r->state != ROW_WRITES) continue;
        logits -= r->nnext - r->sure;
        e->who[n] = r;
        e->part[n++] = (struct lar_part){
            .session = r->session, .tokens = r->ahead, .n = r->nnext, .logits = 1 + r->nnext - r->sure};
    }
    struct row *oldest, **prompt = e->who + n;
    size_t waiting = list_prompts(e, prompt, &oldest), left = slice(s, e, n, waiting),
           kept = left / 2;
    *nwrite = n;
    *nprompt = 0;
    for (size_t i = 0; i < waiting; i++) {
        struct row *r = prompt[i];
        if (r == oldest) kept = 0;
        size_t rest = rest_of(r), take = rest < left - kept ? rest : left - kept;
        if (scored(r) && take > logits) take = logits;
        if (take == 0) continue;
        if (scored(r)) logits -= take;
        left -= take;
        *nprompt += take;
        e->who[n] = r;
        e->part[n++] = (struct lar_part){.session = r->session,
                                         .tokens = r->prompt + r->at,
                                         .n = take,
                                         .logits = scored(r) ? take : take == rest,
                                         .prompt_end = take == rest};
    }
    return n;
}

static void note_token(struct sched *s, struct row *r)
{
    int64_t now = time_ns();
    pthread_mutex_lock(&s->lock);
    if (!r->first) {
        double took = (double)(now - r->began) * 1e-9;
        metrics_note(&s->number.first, (double)(now - r->job->arrived) * 1e-9);
        metrics_note(&s->number.queue, (double)(r->began - r->job->arrived) * 1e-9);
        metrics_note_count(&s->number.cached, (double)r->reused);
        if (took > 0) metrics_note_count(&s->number.prompt_rate, (double)(r->nprompt - r->reused) / took);
        s->number.reused_tokens += (long)r->reused;
    } else {
        metrics_note(&s->number.between, (double)(now - r->last) * 1e-9);
    }
    pthread_mutex_unlock(&s->lock);
    if (!r->first) r->first = now;
    r->last = now;
}

/* Logits became known: the next token, and what a grammar forces behind it. Gives their number; 0: the row is at its end. */
static int write_token(struct sched *s, struct row *r, const float *logits, int32_t *next)
{
    struct lar_err err;
    r->steps++;
    int forced = 0, rc = lar_writer_step(r->writer, logits, next, &err);
    note_token(s, r);
    if (rc >= 0 && r->job->ask.logprobs && note_logprob(r, logits, *next) < 0)
        rc = lar_fail(&err, LAR_ENOMEM, "logprobs: out of memory");
    if (rc > 0 && !r->job->ask.logprobs && (forced = lar_writer_forced(r->writer, next + 1, ROW_FORCED, &err)) < 0)
        rc = forced;
    if (rc < 0) {
        row_fail(s, r, &err);
    } else if (rc == 0) {
        row_complete(s, r);
    } else {
        r->state = ROW_WRITES;
        job_piece(r->job, r);
    }
    return rc > 0 && !r->job->over ? 1 + forced : 0;
}

/* The logits of a step, a row of them after the last of the sure tokens and after each guess: draws as long as the guesses are right. */
static void write_tokens(struct sched *s, struct row *r, const float *logits)
{
    struct engine *e = r->job->engine;
    size_t vocab = (size_t)e->info.vocab, sure = r->sure, at = sure, more, same, all = 0;
    int32_t next[1 + ROW_FORCED];
    do {
        more = (size_t)write_token(s, r, logits, next);
        if (more == 0) break;
        for (same = 0; same < more && at < r->nnext && r->ahead[at] == next[same]; same++) at++;
        logits += same * vocab;
    } while (same == more);
    guess_right(e, r, r->nnext - sure, at - sure);
    if (more == 0) return;
    lar_session_tokens(r->session, &all);
    lar_session_cut(r->session, all - (r->nnext - at), NULL);
    r->sure = more - same;
    memcpy(r->ahead, next + same, r->sure * sizeof *next);
}

/* A prompt's token costs more in the few of a slice than in a long one: what slices say counts, and long ones only before there are any. It costs more
 * the further the prompt is, too, and who is being answered waits for a slice that is too long: so what is slower counts at once. */
static void measure(struct engine *e, double ns, size_t nwrite, size_t nprompt)
{
    if (nprompt == 0) {
        e->step_ns = e->step_ns > 0 ? 0.8 * e->step_ns + 0.2 * ns : ns;
    } else if (nprompt >= 8 && (nwrite || e->token_ns <= 0)) {
        double one = (ns - (nwrite ? e->step_ns : 0)) / (double)nprompt;
        if (one > 0) e->token_ns = one > e->token_ns ? one : 0.7 * e->token_ns + 0.3 * one;
    }
}

static void count_step(struct sched *s, struct engine *e, double ns, size_t nprompt)
{
    pthread_mutex_lock(&s->lock);
    s->number.steps++;
    for (size_t i = 0; i < e->nrow; i++) show(e->row[i]);
    s->number.kv_bytes = s->kv_used;
    s->number.cache_bytes = e->cache.bytes;
    s->number.kv_limit = s->opt.kv_bytes;
    atomic_store(&e->shown_kv, (int64_t)e->kv_used);
    atomic_store(&e->shown_kept, (int64_t)e->cache.bytes);
    s->number.step_s += ns * 1e-9;
    if (nprompt) s->number.prompt_s += ns * 1e-9;
    s->number.prompt_tokens += (long)nprompt;
    pthread_mutex_unlock(&s->lock);
}

/* A model waits for bytes: what is kept for later makes way. */
static void make_way(struct sched *s, struct engine *e)
{
    if (atomic_load(&s->opt.shelf->short_of) <= 0) return;
    while (e->kv_used + e->cache.bytes > (double)e->kv_one && cache_drop(&e->cache)) continue;
    atomic_store(&e->shown_kept, (int64_t)e->cache.bytes);
}

static void step(struct sched *s, struct engine *e)
{
    struct lar_err err;
    if (e->cache.disk) read_back(e);
    size_t nwrite, nprompt, n = gather(s, e, &nwrite, &nprompt);
    if (n == 0) return;
    int64_t began = time_ns();
    int rc = lar_batch_step(e->batch, e->part, n, &err);
    double ns = (double)(time_ns() - began);
    if (nprompt || !(e->guess.by_lookup || e->guess.by_draft)) measure(e, ns, nwrite, nprompt);
    count_step(s, e, ns, nprompt);
    for (size_t i = 0; i < n; i++) {
        struct row *r = e->who[i];
        struct lar_part *p = &e->part[i];
        if (rc < 0 || p->rc < 0) {
            row_fail(s, r, rc < 0 ? &err : &p->why);
            continue;
        }
        const float *last = p->out;
        r->job->spent += (int64_t)p->n;
        if (r->state == ROW_PROMPT) {
            if (scored(r) && note_prompt(r, p->out, p->n) < 0) {
                lar_fail(&err, LAR_ENOMEM, "logprobs: out of memory");
                row_fail(s, r, &err);
                continue;
            }
            if (scored(r)) last += (p->n - 1) * (size_t)e->info.vocab;
            r->at += p->n;
            if (r->at < r->nprompt) continue;
        }
        if (p->logits && !r->job->over) write_tokens(s, r, last);
    }
    guess_note(e, nwrite, nprompt);
}

/* ---- jobs --------------------------------------------------------------------------------------------------------------------- */

/* Everything that is done, failed or gone leaves. */
static void clear_away(struct sched *s)
{
    for (size_t i = 0; i < s->njob;) {
        struct job *j = s->job[i];
        if (j->left && !j->over) {
            i++;
            continue;
        }
        for (size_t k = 0; k < j->nrow; k++) row_leave(s, &j->row[k]);
        int failed = j->over;
        atomic_store(&j->engine->shown_kv, (int64_t)j->engine->kv_used);
        atomic_store(&j->engine->shown_kept, (int64_t)j->engine->cache.bytes);
        if (s->opt.over) s->opt.over(s->opt.ctx, j);
        job_free(j);
        s->job[i] = s->job[--s->njob];
        pthread_mutex_lock(&s->lock);
        s->number.kv_bytes = s->kv_used;
        s->number.running--;
        if (failed)
            s->number.failed++;
        else
            s->number.done++;
        if (s->number.running == 0) pthread_cond_broadcast(&s->empty);
        pthread_mutex_unlock(&s->lock);
    }
}

/* Thousands of requests leave holes between what lives longer than they: pages that are all holes go back to the system. */
static void tidy(struct sched *s)
{
#ifdef __GLIBC__
    int64_t now = time_ns();
    if (now - s->tidied < TIDY_NS) return;
    s->tidied = now;
    malloc_trim(0);
#else
    (void)s;
#endif
}

static void look_for_gone(struct sched *s)
{
    int64_t now = time_ns();
    if (now - s->looked < LOOK_NS) return;
    s->looked = now;
    for (size_t i = 0; i < s->njob; i++) {
        struct job *j = s->job[i];
        if (j->over || !http_gone(j->call)) continue;
        job_fail(j, 499, "the client closed its connection before the answer was complete");
        pthread_mutex_lock(&s->lock);
        s->number.gone++;
        pthread_mutex_unlock(&s->lock);
    }
}

/* New jobs into the engines' lists. With the lock held. */
static void take_in(struct sched *s)
{
    for (size_t i = 0; i < s->nin; i++) {
        struct job *j = s->in[i];
        struct engine *e = j->engine;
        s->job[s->njob++] = j;
        for (size_t k = 0; k < j->nrow; k++) {
            struct row *r = &j->row[k];
            r->next = NULL;
            *e->tail = r;
            e->tail = &r->next;
        }
    }
    s->nin = 0;
}

static void run_engines(struct sched *s)
{
    struct shelf *shelf = s->opt.shelf;
    for (size_t i = 0;; i++) {
        pthread_mutex_lock(&shelf->lock);
        if (i >= shelf->nbook) {
            pthread_mutex_unlock(&shelf->lock);
            return;
        }
        struct engine *e = shelf->book[i].held ? shelf->book[i].engine : NULL;
        pthread_mutex_unlock(&shelf->lock);
        if (!e) continue;
        make_way(s, e);
        if (atomic_exchange(&e->lora_gone, 0)) cache_drop_adapted(&e->cache);
        admit(s, e);
        step(s, e);
        clear_away(s);
    }
}

static void *work(void *ctx)
{
    struct sched *s = ctx;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        take_in(s);
        if (s->stop)
            for (size_t i = 0; i < s->njob; i++)
                job_fail(s->job[i], 503,
                         "the server is shutting down and the time to finish answers is over");
        if (s->njob == 0) {
            if (s->stop) break;
            if (s->nin == 0 && !s->stop) pthread_cond_wait(&s->wake, &s->lock);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        look_for_gone(s);
        clear_away(s);
        tidy(s);
        run_engines(s);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- from outside ------------------------------------------------------------------------------------------------------------------ */

int sched_open(struct sched **out, const struct sched_options *opt, struct lar_err *err)
{
    pthread_condattr_t attr;
    struct sched *s = mem_zalloc(sizeof *s);
    *out = NULL;
    if (!s) return lar_fail(err, LAR_ENOMEM, "scheduler: out of memory");
    s->opt = *opt;
    s->in_room = s->job_room = (size_t)opt->queue + 1;
    s->in = mem_zalloc(s->in_room * sizeof *s->in);
    s->job = mem_zalloc(s->job_room * sizeof *s->job);
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &attr);
    pthread_cond_init(&s->empty, &attr);
    pthread_condattr_destroy(&attr);
    if (!s->in || !s->job || pthread_create(&s->thread, NULL, work, s)) {
        mem_free(s->in);
        mem_free(s->job);
        mem_free(s);
        return lar_fail(err, LAR_ENOMEM, "scheduler: no memory or no thread");
    }
    *out = s;
    return 0;
}

void sched_submit(struct sched *s, struct job *j)
{
    const char *why = NULL;
    pthread_mutex_lock(&s->lock);
    if (s->closing)
        why = "the server is shutting down";
    else if (s->number.running >= s->opt.queue)
        why = "too many requests are waiting: try again later";
    if (!why) {
        s->in[s->nin++] = j;
        j->number = ++s->numbered;
        s->number.running++;
        pthread_cond_signal(&s->wake);
    }
    if (why) s->number.refused++;
    pthread_mutex_unlock(&s->lock);
    if (!why) return;
    job_fail(j, 503, why);
    if (s->opt.over) s->opt.over(s->opt.ctx, j);
    job_free(j);
}

void sched_drain(struct sched *s, int64_t ns)
{
    struct timespec t;
    int late = 0;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ns / 1000000000;
    pthread_mutex_lock(&s->lock);
    s->closing = 1;
    while (s->number.running && !late) late = pthread_cond_timedwait(&s->empty, &s->lock, &t);
    s->stop = 1;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

void sched_close(struct sched *s)
{
    if (!s) return;
    sched_drain(s, 0);
    pthread_join(s->thread, NULL);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->wake);
    pthread_cond_destroy(&s->empty);
    mem_free(s->in);
    mem_free(s->job);
    mem_free(s);
}

void sched_look(struct sched *s, struct metrics *out)
{
    pthread_mutex_lock(&s->lock);
    *out = s->number;
    pthread_mutex_unlock(&s->lock);
}

void sched_slots(struct sched *s, const struct engine *e, struct slot *out)
{
    pthread_mutex_lock(&s->lock);
    memcpy(out, e->slot, e->row_room * sizeof *out);
    pthread_mutex_unlock(&s->lock);
}
