/* SPDX-License-Identifier: Apache-2.0
 *
 * api/guide.c: masks for a model's tokens, and one answer under a grammar: which tokens may come, what state it is in, what is forced.
 *
 * Forced text becomes the tokens that the tokenizer makes of it together with the token before it; the last of them is left to the
 * model, as what follows may join it (the name "order" might have been the beginning of "orderId"). When the tokenizer would
 * have cut differently before, nothing is forced. */
#include <lar/grammar.h>

#include "api/guide.h"

enum { SPACES_MAX = 40, DIGITS_MAX = 24, FORCED_MAX = 512 };

/* ---- the model's tokens ---- */

/* A byte ff is in no text: marks of calls begin with it (text/gbnf.h), so nothing else may. */
static int is_text(const struct vocab *v, int32_t id)
{
    enum token_type t = vocab_type(v, id);
    if (t == TOKEN_BYTE && vocab_bytes(v, id).n == 1 && *vocab_bytes(v, id).p == (char)0xff) return 0;
    return (t == TOKEN_NORMAL || t == TOKEN_BYTE || t == TOKEN_USER) && !vocab_is_end(v, id);
}

/* Marks of calls that are control tokens stand in the tree as the byte ff and their name. */
static int mark_bytes(struct lar_model *m, struct str *bytes, struct lar_err *err)
{
    struct buf b = {0};
    for (size_t i = 0; i < m->call_marks.n; i++) {
        buf_putc(&b, (char)0xff);
        buf_str(&b, vocab_piece(m->vocab, m->call_marks.id[i]));
    }
    if (b.failed) {
        buf_done(&b);
        return lar_fail(err, LAR_ENOMEM, "out of memory for tokens");
    }
    m->mark_bytes = b.p;
    size_t at = 0;
    for (size_t i = 0; i < m->call_marks.n; i++) {
        int32_t id = m->call_marks.id[i];
        bytes[id] = (struct str){b.p + at, vocab_piece(m->vocab, id).n + 1};
        at += bytes[id].n;
    }
    return 0;
}

static int build_trie(struct lar_model *m, struct lar_err *err)
{
    uint32_t n = (uint32_t)vocab_size(m->vocab), nend = 0;
    struct str *bytes = mem_zalloc((n + 1) * sizeof *bytes);
    for (uint32_t i = 0; i < n; i++) nend += (uint32_t)vocab_is_end(m->vocab, (int32_t)i);
    int32_t *end = mem_alloc((nend + 1) * sizeof *end);
    struct toktrie *trie = NULL;
    int rc = bytes && end ? 0 : lar_fail(err, LAR_ENOMEM, "out of memory for the bytes of %u tokens", n);
    nend = 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        if (vocab_is_end(m->vocab, (int32_t)i)) end[nend++] = (int32_t)i;
        if (is_text(m->vocab, (int32_t)i)) bytes[i] = vocab_bytes(m->vocab, (int32_t)i);
    }
    if (rc == 0) rc = mark_bytes(m, bytes, err);
    if (rc == 0 && (rc = toktrie_open(&trie, bytes, n, err)) == 0) {
        m->trie = trie;
        m->trie_bytes = bytes;
        m->end = end;
        m->nend = nend;
        return 0;
    }
    mem_free(bytes);
    mem_free(end);
    mem_free(m->mark_bytes);
    m->mark_bytes = NULL;
    return rc;
}

/* The tree of the model's tokens, made when the first grammar wants it. */
static int make_trie(struct lar_model *m, struct lar_err *err)
{
    pthread_mutex_lock(&m->trie_lock);
    int rc = m->trie ? 0 : build_trie(m, err);
    pthread_mutex_unlock(&m->trie_lock);
    return rc;
}

/* Whether g can be bound to m, as far as that is known at once. */
static int may_bind(const struct lar_grammar *g, const struct lar_model *m, struct lar_err *err)
{
    if (!g->m || g->m == m) return 0;
    return lar_fail(err, LAR_EINVAL, "a grammar can be bound to one model only: open another one for %s", m->name);
}

static int bind_locked(struct lar_grammar *g, struct lar_model *m, struct lar_err *err)
{
    int rc = may_bind(g, m, err);
    if (rc < 0 || g->m) return rc;
    if ((rc = make_trie(m, err)) < 0 || (rc = masks_open(&g->masks, g->g, m->trie, 0, err)) < 0) return rc;
    atomic_fetch_add(&m->refs, 1);
    g->m = m;
    return 0;
}

int lar_grammar_bind(struct lar_grammar *g, struct lar_model *m, struct lar_err *err)
{
    if (!g || !m) return lar_fail(err, LAR_EINVAL, "lar_grammar_bind: a grammar and a model are needed");
    pthread_mutex_lock(&g->lock);
    int rc = bind_locked(g, m, err);
    pthread_mutex_unlock(&g->lock);
    return rc;
}

uint32_t lar_grammar_start(const struct lar_grammar *g) { return g ? grammar_start(g->g) : 0; }

int lar_grammar_mask(struct lar_grammar *g, uint32_t place, uint64_t *set, struct lar_err *err)
{
    int rc = LAR_EINVAL;
    if (!g || !g->masks || !set)
        return lar_fail(err, LAR_EINVAL, "lar_grammar_mask: a bound grammar, one of its places and a set are needed");
    pthread_mutex_lock(&g->lock);
    if (place >= grammar_states(g->g))
        lar_fail(err, LAR_EINVAL, "lar_grammar_mask: %u is no place of this grammar", place);
    else
        rc = masks_fill(g->masks, place, set, err);
    if (rc == 0 && grammar_accepts(g->g, place))
        for (uint32_t i = 0; i < g->m->nend; i++) tokset_add(set, (uint32_t)g->m->end[i]);
    pthread_mutex_unlock(&g->lock);
    return rc;
}

uint32_t lar_grammar_next(struct lar_grammar *g, uint32_t place, int32_t token)
{
    if (!g || !g->m || token < 0 || (uint32_t)token >= g->m->trie->nvocab) return 0;
    struct str s = g->m->trie_bytes[token];
    if (!s.n) return 0;
    pthread_mutex_lock(&g->lock);
    uint32_t to = place < grammar_states(g->g) ? grammar_walk(g->g, place, s, NULL) : 0;
    pthread_mutex_unlock(&g->lock);
    return to;
}

int lar_grammar_ends(struct lar_grammar *g, uint32_t place)
{
    if (!g) return 0;
    pthread_mutex_lock(&g->lock);
    int ends = place < grammar_states(g->g) && grammar_accepts(g->g, place);
    pthread_mutex_unlock(&g->lock);
    return ends;
}

/* ---- one answer ---- */

struct binding {
    pthread_t thread;
    struct lar_grammar *g;
    struct lar_model *m;
    struct lar_err err;
};

static void *bind_meanwhile(void *arg)
{
    struct binding *b = arg;
    lar_grammar_bind(b->g, b->m, &b->err);
    return NULL;
}

/* Waits until the grammar is bound. Where that failed it is tried again, which tells why. */
static int ready(struct guide *u, struct lar_err *err)
{
    struct binding *b = u->binding;
    if (!b) return !u->g || u->g->m ? 0 : lar_fail(err, LAR_ENOMEM, "the grammar could not be bound to the model");
    struct lar_model *m = b->m;
    pthread_join(b->thread, NULL);
    mem_free(b);
    u->binding = NULL;
    return lar_grammar_bind(u->g, m, err);
}

static int start_binding(struct guide *u, struct lar_model *m, struct lar_err *err)
{
    int made = 0;
    if (pthread_mutex_trylock(&m->trie_lock) == 0) { /* else it is being made */
        made = m->trie != NULL;
        pthread_mutex_unlock(&m->trie_lock);
    }
    struct binding *b = made ? NULL : mem_zalloc(sizeof *b);
    if (b) {
        b->g = u->g;
        b->m = m;
        if (pthread_create(&b->thread, NULL, bind_meanwhile, b) == 0) {
            u->binding = b;
            return 0;
        }
        mem_free(b);
    }
    return lar_grammar_bind(u->g, m, err);
}

int guide_open(struct guide *u, struct lar_grammar *g, struct lar_model *m, int drops, struct lar_err *err)
{
    *u = (struct guide){.g = g, .drops = drops};
    if (!g) return 0;
    pthread_mutex_lock(&g->lock);
    int rc = may_bind(g, m, err);
    u->state = grammar_start(g->g);
    pthread_mutex_unlock(&g->lock);
    if (rc < 0) return rc;
    if (!u->state)
        return lar_fail(err, LAR_EUNSUPPORTED, "the grammar accepts no text at all: there is nothing to answer");
    size_t n = (size_t)m->model->h.vocab, nv = (size_t)vocab_size(m->vocab); /* either may be the larger */
    u->nword = ((n > nv ? n : nv) + 63) / 64;
    u->set = mem_zalloc(u->nword * sizeof *u->set);
    if (!u->set) return lar_fail(err, LAR_ENOMEM, "out of memory for masks");
    return start_binding(u, m, err);
}

void guide_done(struct guide *u)
{
    ready(u, NULL);
    mem_free(u->set);
    *u = (struct guide){0};
}

static void leave_out(struct guide *u, const uint32_t *list, uint32_t n)
{
    uint64_t other = 0;
    for (uint32_t i = 0; i < n; i++) u->set[list[i] >> 6] &= ~((uint64_t)1 << (list[i] & 63));
    for (uint32_t i = 0; i < u->g->m->trie->nword; i++) other |= u->set[i];
    for (uint32_t i = 0; !other && i < n && !grammar_accepts(u->g->g, u->state); i++) tokset_add(u->set, list[i]);
}

/* White space between parts of JSON and digits of a number may go on for ever: after some of them something else must come. */
static void bound_runs(struct guide *u)
{
    const struct toktrie *t = u->g->m->trie;
    struct grammar *g = u->g->g;
    uint32_t s = u->state;
    if (u->spaces < SPACES_MAX && u->digits < DIGITS_MAX) return;
    int text = grammar_step(g, s, 'a') != 0; /* where anything goes, so does any run */
    if (u->spaces >= SPACES_MAX && !text && grammar_step(g, s, '\n')) leave_out(u, t->space, t->nspace);
    if (u->digits >= DIGITS_MAX && !text && grammar_step(g, s, '0') &&
        (grammar_accepts(g, s) || grammar_step(g, s, ',') || grammar_step(g, s, ']') || grammar_step(g, s, '}')))
        leave_out(u, t->digit, t->ndigit);
}

static int fill(struct guide *u, struct lar_err *err)
{
    struct lar_grammar *g = u->g;
    pthread_mutex_lock(&g->lock);
    int rc = masks_fill(g->masks, u->state, u->set, err);
    if (rc == 0 && u->drops && !u->begun) rc = masks_add_behind(g->masks, u->state, ' ', u->set, err);
    if (rc == 0) bound_runs(u);
    u->may_end = rc == 0 && grammar_accepts(g->g, u->state);
    pthread_mutex_unlock(&g->lock);
    return rc;
}

const uint64_t *guide_set(struct guide *u, int32_t also, struct lar_err *err)
{
    if (ready(u, err) < 0 || fill(u, err) < 0) return NULL;
    const struct lar_model *m = u->g->m;
    size_t know = m->trie->nword;
    memset(u->set + know, 0, (u->nword - know) * sizeof *u->set);
    if (also >= 0) tokset_add(u->set, (uint32_t)also);
    if (u->may_end)
        for (uint32_t i = 0; i < m->nend; i++) tokset_add(u->set, (uint32_t)m->end[i]);
    return u->set;
}

const uint64_t *guide_thinking(struct guide *u, struct lar_err *err)
{
    if (ready(u, err) < 0) return NULL;
    const struct lar_model *m = u->g->m;
    memset(u->set, 0xff, u->nword * sizeof *u->set);
    for (uint32_t i = 0; i < m->nend; i++) u->set[m->end[i] >> 6] &= ~((uint64_t)1 << (m->end[i] & 63));
    return u->set;
}

int guide_text(struct guide *u, struct str text, struct lar_err *err)
{
    int rc = ready(u, err);
    if (rc < 0) return rc;
    pthread_mutex_lock(&u->g->lock);
    uint32_t to = grammar_walk(u->g->g, u->state, text, NULL);
    rc = grammar_failed(u->g->g, err);
    pthread_mutex_unlock(&u->g->lock);
    if (rc < 0) return rc;
    if (!to)
        return lar_fail(err, LAR_EFORMAT, "the grammar does not go on with \"%.*s\"", STR_ARG(text));
    u->state = to;
    u->begun |= text.n > 0;
    return 0;
}

int guide_token(struct guide *u, int32_t id, struct lar_err *err)
{
    int rc = ready(u, err);
    if (rc < 0) return rc;
    struct str s = u->g->m->trie_bytes[id];
    size_t space = 0, digit = 0;
    if (u->drops && !u->begun && s.n && *s.p == ' ') s = str_from(s, 1);
    while (space < s.n && strchr(" \n\r\t", s.p[space]) && s.p[space]) space++;
    while (digit < s.n && ((s.p[digit] >= '0' && s.p[digit] <= '9') || s.p[digit] == '.')) digit++;
    u->spaces = space == s.n ? u->spaces + s.n : 0;
    u->digits = digit == s.n ? u->digits + s.n : 0;
    u->begun = 1;
    return guide_text(u, s, err);
}

int guide_final(struct guide *u)
{
    pthread_mutex_lock(&u->g->lock);
    int r = grammar_final(u->g->g, u->state);
    pthread_mutex_unlock(&u->g->lock);
    return r;
}

size_t guide_forced(struct guide *u, int32_t last, int32_t *out, size_t cap)
{
    const struct lar_model *m = u->g->m;
    struct str before = m->trie_bytes[last];
    struct buf text = {0};
    struct ids ids = {0};
    size_t n = 0;
    buf_str(&text, before);
    pthread_mutex_lock(&u->g->lock);
    masks_forced(u->g->masks, u->state, &text, FORCED_MAX);
    pthread_mutex_unlock(&u->g->lock);
    if (text.n > before.n + 1 && !text.failed && vocab_encode(m->vocab, buf_view(&text), 0, &ids, NULL) == 0 &&
        ids.n > 2 && ids.id[0] == last) {
        size_t most = ids.n - 2, at = before.n;
        for (; n < most && n < cap; n++) {
            struct str s = m->trie_bytes[ids.id[n + 1]];
            if (!s.n || s.n > text.n - at || memcmp(text.p + at, s.p, s.n) != 0) break;
            at += s.n;
            out[n] = ids.id[n + 1];
        }
    }
    buf_done(&text);
    ids_done(&ids);
    return n;
}
