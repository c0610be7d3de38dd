/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_batch.c: many sessions in one step give each what it gives alone: on the demonstration model, and on the golden models of every
 * family (tests/data/golden, and ../shared/golden/models, skipped where absent; those without a GGUF from their folders). Prompts come in slices of
 * many lengths beside single tokens, sessions begin and end at different steps, one as a fork of another in the middle of its text, one has room for
 * so much that it is turned by long factors where a model has them, most go beyond the window, and every row's logits are compared. Each family goes
 * three ways (ways); the scalar one, which is slow, with shorter timelines (SHORT); where all is slower (LAR_SLOW) timelines are shorter
 * still, each family goes one way in turn and the demonstration model one, of the shared ones every third.
 */
#include <dirent.h>
#include <pthread.h>

#include <lar/batch.h>

#include "base/cpu.h"
#include "convert/convert.h"
#include "io/safetensors.h"
#include "run/batch.h"
#include "tap.h"

#define DEMO "models/lar-demo-q8_0.gguf"
#define OWN "tests/data/golden"
#define SHARED "../shared/golden/models"

enum { NSEQ = 5, FORKED = 4, ROOMY = 3, LENGTH = 70, SHORT = 30, SHORTEST = 20, ROWS = 24 };

struct house {
    struct model *model;
    struct kv_pool *pool;
    struct lar_err err;
};

static int house_open(struct house *h, const char *path, int threads, enum kern_kv kv)
{
    struct dev_kv_layer *layout = NULL;
    size_t block;
    struct gguf g;
    int rc = 0, folder = convert_is(path);
    *h = (struct house){0};
    if (folder) rc = convert_memory(&g, path, &h->err);
    if (rc == 0 && folder) rc = model_open_gguf(&h->model, &g, path, threads, &h->err);
    if (rc == 0 && !folder) rc = model_open(&h->model, path, threads, &h->err);
    if (rc == 0) layout = calloc(h->model->h.nlayer, sizeof *layout);
    if (rc == 0) rc = model_kv_layout(h->model, kv, layout, &block, &h->err);
    if (rc == 0) rc = kv_pool_open(&h->pool, block, &h->err);
    free(layout);
    return rc;
}

static void house_close(struct house *h)
{
    kv_pool_close(h->pool);
    model_close(h->model);
}

static int longest; /* the first timeline's, LENGTH at most */
static int length_of(int s) { return s == FORKED ? longest - 5 : longest * (LENGTH - 9 * s) / LENGTH; }
static size_t room_of(int s) { return s == ROOMY ? 1200 : 128; }
static size_t fork_at(void) { return (size_t)longest / 2; }

/* Timeline s: tokens that look random, each timeline its own; but the fork's begins as the first one's. */
static void timeline(size_t vocab, int s, int32_t t[LENGTH])
{
    for (int i = 0; i < LENGTH; i++) {
        uint32_t of = s == FORKED && (size_t)i < fork_at() ? 0 : (uint32_t)s;
        uint32_t x = 12345 + 777u * of + 2654435769u * (uint32_t)i;
        x = (x ^ x >> 15) * 0x2c1b3c6du;
        x = (x ^ x >> 12) * 0x297a2d39u;
        t[i] = (int32_t)(5 + (x >> 8) % (vocab - 5));
    }
}

/* Each timeline alone: all logits. */
static int alone(struct house *h, enum kern_kv kv, float *out[NSEQ])
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < NSEQ; i++) {
        struct session s;
        int32_t t[LENGTH];
        timeline(h->model->h.vocab, i, t);
        if ((rc = session_open(&s, h->model, h->pool, kv, room_of(i), 64, &h->err)) < 0) break;
        rc = session_extend(&s, t, (size_t)length_of(i), out[i], NULL, NULL, &h->err);
        session_close(&s);
    }
    return rc;
}

/* How many tokens session i brings to step k: prompts in slices beside single tokens; 0: it sits out. */
static size_t share(int i, int k, size_t left)
{
    static const size_t take[NSEQ][4] = {
        {1, 1, 1, 1}, {7, 5, 1, 3}, {0, 2, 1, 0}, {9, 0, 0, 9}, {1, 6, 0, 1}};
    size_t n = k < i && i != FORKED ? 0 : take[i][k % 4]; /* they begin one after another */
    return n < left ? n : left;
}

/* The fork begins when the first has come to where their ways part. Where keys are turned for a text's length it begins anew. */
static int begun(const struct model *m, struct session s[NSEQ], const int32_t *t)
{
    if (s[FORKED].n) return 1;
    if (s[0].n < fork_at()) return 0;
    size_t kept = session_fork(&s[FORKED], &s[0], t, (size_t)length_of(FORKED));
    CHECK_EQ(kept, m->nrope && m->rope[0].dynamic > 0 && (size_t)longest > m->rope[0].trained ? 0 : fork_at());
    return 1;
}

struct outcome {
    double worst;
    long off, rows; /* rows whose best token differs; all */
};

static int together(struct house *h, enum kern_kv kv, float *const want[NSEQ], struct outcome *o)
{
    struct session s[NSEQ];
    struct batch_step b;
    int32_t t[NSEQ][LENGTH];
    size_t vocab = h->model->h.vocab;
    int rc = batch_open(&b, h->model, ROWS, NSEQ, ROWS, &h->err), busy = 1, opened = 0;
    for (; rc == 0 && opened < NSEQ; opened++) {
        timeline(vocab, opened, t[opened]);
        rc = session_open(&s[opened], h->model, h->pool, kv, room_of(opened), 1, &h->err);
        if (rc < 0) break;
        session_reuse(&s[opened], t[opened], (size_t)length_of(opened)); /* says how long the text is */
    }
    for (int k = 0; rc == 0 && busy; k++) {
        struct batch_part part[NSEQ];
        size_t n = 0;
        int who[NSEQ];
        busy = 0;
        for (int i = 0; i < NSEQ; i++) {
            size_t left = (size_t)length_of(i) - s[i].n, take = share(i, k, left);
            busy |= left > 0;
            if (i == FORKED && !begun(h->model, s, t[i])) continue;
            if (!take) continue;
            /* Now and then a slice in the middle of a prompt of which nothing is wanted. */
            size_t wanted = (k + i) % 3 == 0 && take < left ? 0 : take;
            who[n] = i;
            part[n++] = (struct batch_part){
                .session = &s[i], .tokens = t[i] + s[i].n, .n = take, .nlogit = wanted};
        }
        if (n == 0) continue;
        rc = batch_eval(&b, part, n, &h->err);
        if (rc != (int)n) break;
        rc = 0;
        for (size_t p = 0; p < n; p++)
            for (size_t r = 0; r < part[p].nlogit; r++) {
                const float *got = part[p].logits + r * vocab;
                const float *ref = want[who[p]] + (s[who[p]].n - part[p].nlogit + r) * vocab;
                for (size_t v = 0; v < vocab; v++) {
                    double d = fabs((double)got[v] - (double)ref[v]);
                    if (!(d <= o->worst)) o->worst = d;
                }
                const struct kern *kern = h->model->dev->kern;
                o->off += kern->argmax(vocab, got) != kern->argmax(vocab, ref);
                o->rows++;
            }
    }
    for (int i = 0; i < opened; i++) session_close(&s[i]);
    batch_close(&b);
    return rc;
}

static void one(const char *path, int threads, int steady, enum kern_kv kv, double tolerance)
{
    struct house h;
    struct outcome o = {0};
    float *want[NSEQ] = {0};
    int rc = house_open(&h, path, steady ? 1 : threads, kv);
    if (rc == 0) h.model->dev->steady = steady;
    for (int i = 0; rc == 0 && i < NSEQ; i++)
        want[i] = malloc(LENGTH * h.model->h.vocab * sizeof **want);
    if (rc == 0) rc = alone(&h, kv, want);
    if (rc == 0 && steady) { /* nor does the number of threads matter */
        house_close(&h);
        rc = house_open(&h, path, threads, kv);
        if (rc == 0) h.model->dev->steady = steady;
    }
    if (rc == 0) rc = together(&h, kv, want, &o);
    for (int i = 0; i < NSEQ; i++) free(want[i]);
    if (rc != 0) printf("# %s: %s\n", path, h.err.msg);
    if (getenv("VERBOSE"))
        printf("# %s: %ld rows, worst %g, %ld of another best token\n", path, o.rows, o.worst,
               o.off);
    CHECK_EQ(rc, 0);
    CHECK(o.rows > longest);
    CHECK_NEAR(o.worst, 0, tolerance);
    CHECK_EQ(o.off, 0);
    house_close(&h);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static const struct way {
    const char *level;
    int threads, steady, length;
    double tolerance;
} ways[] = {
    {"c", 1, 0, SHORT, 0}, /* the specification: to the last bit */
    {NULL, 2, 1, LENGTH, 0},
    {NULL, 2, 0, LENGTH, 5e-4},
};
enum { NWAY = sizeof ways / sizeof *ways };

static void one_way(const char *path, const struct way *w)
{
    longest = getenv("LAR_SLOW") ? SHORTEST : w->length;
    if (w->level) setenv("LAR_CPU", w->level, 1);
    one(path, w->threads, w->steady, KV_F32, w->tolerance);
    if (w->level) unsetenv("LAR_CPU");
}

static void golden_families(const char *root)
{
    struct dirent **entry = NULL;
    int slow = getenv("LAR_SLOW") != NULL, every = slow && strcmp(root, OWN) != 0 ? 3 : 1;
    int n = scandir(root, &entry, NULL, by_name);
    if (n < 0) {
        printf("# %s is not here\n", root);
        SKIP("golden models of every family");
        return;
    }
    for (int i = 0; i < n; i++) {
        const char *name = entry[i]->d_name;
        char path[400], expected[400];
        snprintf(expected, sizeof expected, "%s/%s/expected.safetensors", root, name);
        snprintf(path, sizeof path, "%s/%s/model-f32.gguf", root, name);
        /* a GGUF that lost its window is not the model (the golden README) */
        if (access(path, R_OK) || !strcmp(name, "mistral-window")) snprintf(path, sizeof path, "%s/%s", root, name);
        if (name[0] != '.' && i % every == 0 && access(expected, R_OK) == 0) {
            tap_case_bad = 0;
            for (size_t w = 0; w < NWAY; w++)
                if (!slow || (size_t)(i / every) % NWAY == w) one_way(path, &ways[w]);
            tap_ok(!tap_case_bad, name);
        }
        free(entry[i]);
    }
    free(entry);
}

static void the_demonstration_model_gives_each_session_what_it_gives_alone(void)
{
    int slow = getenv("LAR_SLOW") != NULL;
    longest = slow ? SHORTEST : LENGTH;
    one(DEMO, 2, 1, KV_Q8_0, 0);
    if (slow) return;
    one(DEMO, 1, 1, KV_F32, 0);
    one(DEMO, 2, 1, KV_F16, 0);
}

static struct house house;

static void open_session(struct session *s, size_t ctx)
{
    if (session_open(s, house.model, house.pool, KV_F16, ctx, 8, &house.err) < 0) {
        printf("Bail out! %s\n", house.err.msg);
        exit(1);
    }
}

static void one_bad_part_fails_alone(void)
{
    struct session s[5];
    struct batch_step b;
    int32_t t[LENGTH], bad = -1;
    struct lar_err err = {0};
    timeline(house.model->h.vocab, 0, t);
    CHECK_EQ(batch_open(&b, house.model, 64, 5, 5, &err), 0);
    for (int i = 0; i < 5; i++) open_session(&s[i], i == 1 ? 4 : 64);
    atomic_store(&s[3].cancel, 1);
    struct batch_part part[] = {
        {.session = &s[0], .tokens = t, .n = 10, .nlogit = 1},
        {.session = &s[1], .tokens = t, .n = 10, .nlogit = 1},   /* no room */
        {.session = &s[2], .tokens = &bad, .n = 1, .nlogit = 1}, /* no token */
        {.session = &s[3], .tokens = t, .n = 3, .nlogit = 1},    /* stopped */
        {.session = &s[0], .tokens = t, .n = 1, .nlogit = 1},    /* twice */
    };
    CHECK_EQ(batch_eval(&b, part, 5, &err), 1);
    CHECK_EQ(part[0].rc, 0);
    CHECK_EQ(part[1].rc, LAR_ELIMIT);
    CHECK_EQ(part[2].rc, LAR_EINVAL);
    CHECK_EQ(part[3].rc, LAR_ECANCEL);
    CHECK_EQ(part[4].rc, LAR_EINVAL);
    CHECK(strstr(part[1].why.msg, "10") && strstr(part[1].why.msg, "4"));
    CHECK(part[1].logits == NULL && part[0].logits != NULL);
    CHECK_EQ(s[0].n, 10);
    CHECK_EQ(s[1].n + s[2].n + s[3].n, 0);
    CHECK(session_logits(&s[0]) && !session_logits(&s[1]));
    atomic_store(&s[3].cancel, 0);
    CHECK_EQ(batch_eval(&b, &part[3], 1, &err), 1);
    CHECK_EQ(s[3].n, 3);
    for (int i = 0; i < 5; i++) session_close(&s[i]);
    batch_close(&b);
}

static void a_step_that_is_too_large_does_nothing(void)
{
    struct session s[2];
    struct batch_step b;
    int32_t t[LENGTH];
    struct lar_err err = {0};
    timeline(house.model->h.vocab, 0, t);
    CHECK_EQ(batch_open(&b, house.model, 16, 2, 2, &err), 0);
    for (int i = 0; i < 2; i++) open_session(&s[i], 64);
    struct batch_part part[] = {{.session = &s[0], .tokens = t, .n = 10},
                                {.session = &s[1], .tokens = t, .n = 7}};
    CHECK_EQ(batch_eval(&b, part, 2, &err), LAR_EINVAL);
    CHECK(strstr(err.msg, "16"));
    part[1].n = 6;
    part[1].nlogit = 3;
    CHECK_EQ(batch_eval(&b, part, 2, &err), LAR_EINVAL);
    CHECK_EQ(s[0].n + s[1].n, 0);
    part[1].nlogit = 2;
    CHECK_EQ(batch_eval(&b, part, 2, &err), 2);
    CHECK_EQ(s[0].n, 10);
    CHECK(session_logits(&s[0]) == NULL);
    CHECK(session_logits(&s[1]) != NULL);
    for (int i = 0; i < 2; i++) session_close(&s[i]);
    batch_close(&b);
}

static int count_only(size_t n, void *ctx)
{
    (void)n;
    ++*(long *)ctx;
    return 0;
}

static void a_step_allocates_nothing(void)
{
    struct session s;
    struct batch_step b;
    int32_t t[LENGTH];
    long count = 0;
    timeline(house.model->h.vocab, 0, t);
    CHECK_EQ(batch_open(&b, house.model, 16, 2, 2, NULL), 0);
    open_session(&s, 64);
    struct batch_part part = {.session = &s, .tokens = t, .n = 10, .nlogit = 1};
    mem_set_hook(count_only, &count);
    CHECK_EQ(batch_eval(&b, &part, 1, NULL), 1);
    part.tokens += 10, part.n = 1;
    CHECK_EQ(batch_eval(&b, &part, 1, NULL), 1);
    mem_set_hook(NULL, NULL);
    CHECK_EQ(count, 0);
    session_close(&s);
    batch_close(&b);
}

static long allowed;
static int fail_later(size_t n, void *ctx)
{
    (void)n, (void)ctx;
    return allowed-- <= 0;
}

static void every_allocation_of_opening_may_fail(void)
{
    long before = mem_live();
    for (long i = 0; i < 50; i++) {
        struct batch_step b;
        allowed = i;
        mem_set_hook(fail_later, NULL);
        int rc = batch_open(&b, house.model, 64, 4, 4, NULL);
        mem_set_hook(NULL, NULL);
        if (rc == 0) {
            batch_close(&b);
            CHECK(i > 3);
            break;
        }
        CHECK_EQ(rc, LAR_ENOMEM);
    }
    CHECK_EQ(mem_live(), before);
}

/* The public form, as a scheduler would use it: a shared beginning is kept, the rest goes in slices, then tokens one by one. */
static void the_public_form_does_the_same(void)
{
    struct lar_model *m = NULL;
    struct lar_session *s[3] = {0};
    struct lar_batch *b = NULL;
    struct lar_err err = {0};
    struct lar_session_options so = {.ctx = 100, .kv = LAR_KV_F32, .batch = 8};
    struct lar_batch_options bo = {.tokens = 20, .sessions = 2};
    int32_t t[LENGTH];
    CHECK_EQ(lar_model_open(&m, DEMO, NULL, &err), 0);
    if (!m) return;
    struct lar_model_info info;
    lar_model_info(m, &info);
    timeline((size_t)info.vocab, 0, t);
    for (int i = 0; i < 3; i++) CHECK_EQ(lar_session_open(&s[i], m, &so, &err), 0);
    CHECK_EQ(lar_batch_open(&b, m, &bo, &err), 0);
    CHECK_EQ(lar_session_sync(s[0], t, 40, &err), 40);
    CHECK_EQ(lar_session_reuse(s[1], t, 40), 0);
    struct lar_part part[3] = {{.session = s[1], .tokens = t, .n = 20}};
    CHECK_EQ(lar_batch_step(b, part, 1, &err), 1);
    part[0].tokens += 20, part[0].n = 19;
    CHECK_EQ(lar_session_reuse(s[2], t, 1), 0);
    part[1] = (struct lar_part){.session = s[2], .tokens = t, .n = 1, .logits = 1};
    CHECK_EQ(lar_batch_step(b, part, 2, &err), 2);
    part[0] =
        (struct lar_part){.session = s[1], .tokens = t + 39, .n = 1, .logits = 1, .prompt_end = 1};
    CHECK_EQ(lar_batch_step(b, part, 1, &err), 1);
    double worst = 0;
    for (int v = 0; v < info.vocab; v++)
        worst = fmax(worst, fabs((double)lar_session_logits(s[0])[v] - (double)part[0].out[v]));
    CHECK_NEAR(worst, 0, 1e-3);
    CHECK_EQ(lar_session_reuse(s[1], t, 40), 39); /* the last one is to be evaluated again */
    CHECK_EQ(lar_session_reuse(s[1], t + 1, 10), 0);
    CHECK_EQ(lar_batch_step(b, part, 3, &err), LAR_EINVAL);
    part[0] = (struct lar_part){.session = s[1], .tokens = t, .n = 5, .logits = 6};
    CHECK_EQ(lar_batch_step(b, part, 1, &err), LAR_EINVAL);
    lar_session_cancel(s[1]);
    part[0].logits = 1;
    CHECK_EQ(lar_batch_step(b, part, 1, &err), 0);
    CHECK_EQ(part[0].rc, LAR_ECANCEL);
    CHECK_EQ(lar_session_reuse(s[1], t, 5), 0);
    CHECK_EQ(lar_batch_step(b, part, 1, &err), 1);
    bo.sessions = -1;
    struct lar_batch *none;
    CHECK_EQ(lar_batch_open(&none, m, &bo, &err), LAR_EINVAL);
    lar_batch_close(b);
    for (int i = 0; i < 3; i++) lar_session_close(s[i]);
    lar_model_close(m);
}

/* ---- threads ------------------------------------------------------------------------------------------------------- */

enum { OPENERS = 4, PROMPT = 48 };

struct opener {
    pthread_t thread;
    struct lar_model *model;
    int batch, wrong;
    const float *want; /* [vocab] */
};

/* Sessions of several sizes, so that the work space that all share grows while others use it. */
static void *open_and_evaluate(void *ctx)
{
    struct opener *o = ctx;
    struct lar_model_info info;
    struct lar_err err;
    int32_t t[LENGTH];
    lar_model_info(o->model, &info);
    timeline((size_t)info.vocab, 0, t);
    for (int round = 0; round < 3; round++) {
        struct lar_session *s;
        struct lar_session_options so = {.ctx = 64, .batch = o->batch + round};
        if (lar_session_open(&s, o->model, &so, &err) < 0 || lar_session_sync(s, t, PROMPT, &err) < 0) {
            o->wrong = 1;
            continue;
        }
        const float *logits = lar_session_logits(s);
        o->wrong |= memcmp(logits, o->want, (size_t)info.vocab * sizeof *logits) != 0; /* deterministic: to the bit */
        lar_session_close(s);
    }
    return NULL;
}

static void several_threads_open_sessions_of_one_model(void)
{
    struct opener o[OPENERS];
    struct lar_model_info info;
    struct lar_model *m;
    struct lar_session *alone;
    struct lar_err err;
    struct lar_model_options mo = {.threads = 2, .deterministic = 1};
    struct lar_session_options so = {.ctx = 64, .batch = 1};
    int32_t t[LENGTH];
    CHECK_EQ(lar_model_open(&m, DEMO, &mo, &err), 0);
    lar_model_info(m, &info);
    timeline((size_t)info.vocab, 0, t);
    float *want = calloc((size_t)info.vocab, sizeof *want);
    CHECK_EQ(lar_session_open(&alone, m, &so, &err), 0);
    CHECK_EQ(lar_session_sync(alone, t, PROMPT, &err), PROMPT);
    memcpy(want, lar_session_logits(alone), (size_t)info.vocab * sizeof *want);
    lar_session_close(alone);
    for (int i = 0; i < OPENERS; i++) {
        o[i] = (struct opener){.model = m, .batch = 2 << 2 * i >> 1, .want = want};
        pthread_create(&o[i].thread, NULL, open_and_evaluate, &o[i]);
    }
    for (int i = 0; i < OPENERS; i++) {
        pthread_join(o[i].thread, NULL);
        CHECK(!o[i].wrong);
    }
    free(want);
    lar_model_close(m);
}

/* test_batch [ROOT]: the models of another folder. */
int main(int argc, char **argv)
{
    tap_timeout(300);
    if (argc > 1) return golden_families(argv[1]), tap_done();
    RUN(the_demonstration_model_gives_each_session_what_it_gives_alone);
    if (house_open(&house, DEMO, 2, KV_F16) < 0) {
        printf("Bail out! %s\n", house.err.msg);
        return 1;
    }
    RUN(one_bad_part_fails_alone);
    RUN(a_step_that_is_too_large_does_nothing);
    RUN(a_step_allocates_nothing);
    RUN(every_allocation_of_opening_may_fail);
    house_close(&house);
    RUN(the_public_form_does_the_same);
    RUN(several_threads_open_sessions_of_one_model);
    golden_families(OWN);
    golden_families(SHARED);
    return tap_done();
}
