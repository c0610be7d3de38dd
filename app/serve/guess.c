/* SPDX-License-Identifier: Apache-2.0
 * serve/guess.c: see guess.h. */
#include "serve/guess.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "serve/job.h"

enum { READ = 256, WANT = 4 }; /* tokens that a draft reads of texts in a step; guesses at first */

int guess_model(struct engine *e, const char *path, const struct shelf_options *o, struct lar_err *err)
{
    struct lar_model_options mo = {.threads = o->threads, .deterministic = o->deterministic};
    struct lar_session_options so = {.ctx = 1024, .kv = (enum lar_kv)o->kv, .batch = 1};
    struct lar_err why;
    uint64_t kv = 0;
    int rc = lar_model_open(&e->guess.model, path, &mo, &why);
    if (rc == 0) rc = lar_draft_check(e->model, e->guess.model, &why);
    if (rc == 0) rc = lar_session_bytes(e->guess.model, &so, &kv, NULL, &why);
    e->guess.kv_token_bytes = (double)kv / 1024;
    e->guess.kv = so.kv;
    return rc < 0 ? lar_fail(err, rc, "its draft %s: %s", path, why.msg) : 0;
}

int guess_open(struct engine *e, const struct shelf_options *o, struct lar_err *err)
{
    struct guessing *g = &e->guess;
    g->lookup_pays = lar_pays_open();
    g->draft_pays = lar_pays_open();
    g->guess = mem_zalloc(e->row_room * sizeof *g->guess);
    g->who = mem_zalloc(e->row_room * sizeof *g->who);
    if (!g->lookup_pays || !g->draft_pays || !g->guess || !g->who) return lar_fail(err, LAR_ENOMEM, "out of memory");
    return g->model ? lar_draft_open(&g->draft, g->model, o->parallel, err) : 0;
}

void guess_done(struct guessing *g)
{
    lar_draft_close(g->draft);
    lar_model_close(g->model);
    lar_pays_close(g->lookup_pays);
    lar_pays_close(g->draft_pays);
    mem_free(g->guess);
    mem_free(g->who);
}

/* The draft's session of r, which begins empty. 0: there is no memory for it. */
static int has_session(struct guessing *g, struct row *r)
{
    struct lar_session_options so = {.ctx = r->ctx, .kv = g->kv, .batch = 1};
    if (r->draft || r->no_draft) return r->draft != NULL;
    r->want = WANT;
    r->no_draft = lar_session_open(&r->draft, g->model, &so, NULL) < 0;
    return r->draft != NULL;
}

/* Rows without guesses that may have some get them together. */
static void ask_draft(struct engine *e, size_t cap, int pays)
{
    struct guessing *g = &e->guess;
    size_t n = 0;
    for (size_t i = 0; i < e->nrow; i++) {
        struct row *r = e->row[i];
        int said = r->job->ask.draft;
        if (r->state != ROW_WRITES || r->nnext > r->sure || said == 0 || (said < 0 && !pays)) continue;
        if (!has_session(g, r)) continue;
        size_t most = said > 0 && (size_t)said < cap ? (size_t)said : cap, npast = 0;
        if ((size_t)r->want > most) r->want = (int)most;
        const int32_t *past = lar_session_tokens(r->session, &npast);
        g->guess[n] = (struct lar_guess){
            .session = r->draft, .past = past, .npast = npast, .next = r->ahead, .nnext = r->sure, .want = r->want};
        g->who[n++] = r;
    }
    if (n == 0) return;
    g->by_draft = 1;
    if (lar_draft_guess(g->draft, g->guess, n, READ, &g->read_ns, NULL) < 0) return; /* then there are none */
    for (size_t i = 0; i < n; i++) {
        struct row *r = g->who[i];
        int made = lar_writer_offer(r->writer, g->guess[i].token, g->guess[i].n, r->ahead + r->sure, (int)cap);
        r->nnext = r->sure + (size_t)made;
        r->drafted = made > 0;
        g->made += (size_t)made;
    }
}

void guess_make(struct engine *e, size_t prompts)
{
    struct guessing *g = &e->guess;
    size_t cap = e->nrow ? ROW_GUESSES / e->nrow : 0; /* the more answers, the less of a step's arithmetic is free */
    size_t writers = 0;
    for (size_t i = 0; i < e->nrow; i++) writers += e->row[i]->state == ROW_WRITES;
    int lookup_pays = !prompts && lar_pays_now(g->lookup_pays, writers);
    g->began = time_ns();
    g->by_lookup = g->by_draft = 0;
    g->made = g->right = 0;
    g->read_ns = 0;
    for (size_t i = 0; i < e->nrow; i++) {
        struct row *r = e->row[i];
        if (r->state != ROW_WRITES) continue;
        r->nnext = r->sure;
        r->drafted = 0;
        if (!cap || !r->req.lookup || (r->job->ask.lookup < 0 && !lookup_pays)) continue;
        int made = lar_writer_guess(r->writer, r->ahead + r->sure, (int)cap);
        r->nnext += (size_t)made;
        g->made += (size_t)made;
        g->by_lookup |= made > 0;
    }
    if (g->draft && cap) ask_draft(e, cap, !prompts && lar_pays_now(g->draft_pays, writers));
}

void guess_right(struct engine *e, struct row *r, size_t made, size_t right)
{
    e->guess.right += right;
    if (!r->drafted) return;
    r->want = right == made ? r->want + 1 : (int)right + 1;
    if (r->want > ROW_GUESSES) r->want = ROW_GUESSES;
}

void guess_note(struct engine *e, size_t nwrite, size_t nprompt)
{
    struct guessing *g = &e->guess;
    double ns = (double)(time_ns() - g->began);
    if (nprompt || !nwrite) return;
    if (!g->by_draft) lar_pays_note(g->lookup_pays, nwrite, g->by_lookup, ns, 0, g->right);
    if (!g->by_lookup) lar_pays_note(g->draft_pays, nwrite, g->by_draft, ns, g->read_ns, g->right);
}
