/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_embed.c: embedders, rerankers and token classifiers against the numbers of the reference implementation, in float64
 * (../shared/golden/embed; skipped where absent). Ids, last hidden states, pooled rows, vectors, scores, labels; each text alone and all together
 * give the same; at each CPU level this machine has. MiniLM's file is not there: LAR_MINILM names one (see its README.md).
 * Of each model all texts are read, but at level c, and where all is slower (LAR_SLOW), only the first four: texts_at().
 */
#include <dirent.h>
#include <fcntl.h>
#include <lar/lar.h>

#include "api/embed.h"
#include "base/cpu.h"
#include "base/json.h"
#include "io/safetensors.h"
#include "tap.h"

#define ROOT "../shared/golden/embed"

enum { TEXTS_MAX = 256 };

struct golden {
    char name[64];
    struct arena a;
    struct json *note;
    struct safetensors st;
    struct lar_model *m;
    struct lar_text text[TEXTS_MAX], second[TEXTS_MAX];
    int32_t *ids[TEXTS_MAX]; /* the reference's */
    size_t nid[TEXTS_MAX], n;
    int cut[TEXTS_MAX]; /* the reference was given a text's ids up to a length: they go in as ids */
    int pairs; /* 1: text and second are pairs; 2: the texts are the filled form, pairs are beside them */
};

static int read_all(const char *path, struct buf *b)
{
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    for (size_t k = 1; k;) {
        char *room = buf_room(b, 65536);
        k = room ? fread(room, 1, 65536, f) : 0;
        b->n += k;
    }
    fclose(f);
    return !b->failed;
}

static const float *expected(const struct golden *g, const char *name, size_t *n, size_t *width)
{
    const struct safetensors_tensor *t = safetensors_find(&g->st, name);
    *n = *width = 0;
    if (!t) return NULL;
    *n = (size_t)t->shape[0];
    *width = t->ndim > 1 ? (size_t)t->shape[t->ndim - 1] : 1;
    return (const float *)(const void *)t->data;
}

static void take_texts(struct golden *g, size_t most)
{
    const struct json *pairs = json_get(g->note, "pairs"), *texts = json_get(g->note, "texts");
    g->pairs = pairs ? 2 : texts && texts->child && texts->child->kind == JSON_ARRAY;
    for (const struct json *t = pairs ? pairs->child : texts->child; t && g->n < most;
         t = t->next) {
        const struct json *one = g->pairs ? t->child : t;
        g->text[g->n] = (struct lar_text){.text = one->s.p, .n = one->s.n};
        if (g->pairs)
            g->second[g->n] = (struct lar_text){.text = one->next->s.p, .n = one->next->s.n};
        g->n++;
    }
}

static void check_ids(const struct golden *g, const struct embed_ids *t, size_t i)
{
    int same = g->nid[i] == t->ids.n && !memcmp(g->ids[i], t->ids.id, t->ids.n * sizeof *t->ids.id);
    if (!same && !g->cut[i])
        printf("# %s: other ids than the reference's for text %zu\n", g->name, i), tap_case_bad++;
}

/* Takes the reference's ids; those that are only the beginning of ours become the text. */
static void take_ids(struct golden *g)
{
    const struct json *list = json_get(g->note, "ids")->child;
    struct embed_ids t = {0};
    for (size_t i = 0; i < g->n && list; i++, list = list->next) {
        struct str s = {g->text[i].text, g->text[i].n};
        g->ids[i] = arena_array(&g->a, list->n + 1, sizeof **g->ids);
        for (const struct json *id = list->child; id; id = id->next)
            g->ids[i][g->nid[i]++] = (int32_t)id->i;
        if (g->pairs || embed_encode(g->m->model, g->m->vocab, s, NULL, g->m->model->head.pooling,
                                     0, &t, NULL, NULL) < 0)
            continue;
        g->cut[i] =
            t.ids.n > g->nid[i] && !memcmp(t.ids.id, g->ids[i], g->nid[i] * sizeof **g->ids);
        if (g->cut[i]) g->text[i] = (struct lar_text){.tokens = g->ids[i], .ntoken = g->nid[i]};
    }
    embed_ids_done(&t);
}

static size_t texts_at(const char *level, int again)
{
    return again || strcmp(level, "c") == 0 || getenv("LAR_SLOW") ? 4 : TEXTS_MAX;
}

static int open_golden(struct golden *g, const char *name, const char *gguf, size_t most)
{
    static struct buf text[1];
    char path[300];
    struct lar_err err = {0};
    memset(g, 0, sizeof *g);
    snprintf(g->name, sizeof g->name, "%s", name);
    snprintf(path, sizeof path, ROOT "/%s/note.json", name);
    arena_init(&g->a, 0);
    buf_clear(text);
    if (!read_all(path, text) ||
        !(g->note =
              json_parse(&g->a, (struct str){arena_copy(&g->a, text->p, text->n), text->n}, &err)))
        return printf("# %s: %s\n", path, err.msg), -1;
    snprintf(path, sizeof path, ROOT "/%s/expected.safetensors", name);
    if (safetensors_open(&g->st, path, &err) < 0 || lar_model_open(&g->m, gguf, NULL, &err) < 0)
        return printf("# %s: %s\n", name, err.msg), -1;
    take_texts(g, most);
    take_ids(g);
    return 0;
}

static void close_golden(struct golden *g)
{
    lar_model_close(g->m);
    safetensors_close(&g->st);
    arena_done(&g->a);
}

/* The largest difference, and of what was expected the largest value. */
static double off(const float *got, const float *want, size_t n, double *largest)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - (double)want[i]);
        if (!(d <= worst)) worst = d;
        if (largest && fabs((double)want[i]) > *largest) *largest = fabs((double)want[i]);
    }
    return worst;
}

static void within(const struct golden *g, const char *what, double worst, double allowed)
{
    if (!(worst <= allowed))
        printf("# %s: %s off by %g, allowed %g\n", g->name, what, worst, allowed), tap_case_bad++;
    else if (getenv("LAR_SHOW"))
        printf("# %s: %s off by %g of %g\n", g->name, what, worst, allowed);
}

static struct lar_embedder *open_embedder(const struct golden *g, const struct lar_embed_options *o)
{
    struct lar_err err = {0};
    struct lar_embedder *e = NULL;
    if (lar_embedder_open(&e, g->m, o, &err) < 0)
        printf("# %s: %s\n", g->name, err.msg), tap_case_bad++;
    return e;
}

/* ---- vectors ------------------------------------------------------------------------------------------------------ */

/* The last hidden states of the text that e has just embedded alone; with the last token's pooling only that row. */
static double hidden_off(const struct golden *g, const struct lar_embedder *e, size_t i,
                         double *largest)
{
    size_t n, width;
    const float *want = expected(g, "last_hidden_state", &n, &width);
    const struct safetensors_tensor *t = safetensors_find(&g->st, "last_hidden_state");
    size_t rows = g->nid[i], first = embedder_pooling(e) == POOL_LAST ? rows - 1 : 0;
    double worst = 0;
    for (size_t r = first; r < rows; r++) {
        const float *row = want + (i * (size_t)t->shape[1] + r) * width;
        double d = off(e->e.work.h.p + (r - first) * e->e.work.h.stride, row, width, largest);
        if (!(d <= worst)) worst = d;
    }
    return worst;
}

static void each_alone(const struct golden *g, struct lar_embedder *e, float *out, size_t width)
{
    struct lar_err err = {0};
    double worst = 0, largest = 0;
    for (size_t i = 0; i < g->n; i++) {
        if (lar_embed(e, &g->text[i], 1, out + i * width, &err) < 0) {
            printf("# %s, text %zu: %s\n", g->name, i, err.msg), tap_case_bad++;
            return;
        }
        check_ids(g, &e->ids[0], i);
        double d = hidden_off(g, e, i, &largest);
        if (!(d <= worst)) worst = d;
    }
    within(g, "hidden states", worst, 1e-4 * largest);
}

static void check_vectors(const struct golden *g)
{
    size_t n = 0, width = 0, np, wp;
    const float *want = expected(g, "embedding", &n, &width),
                *pooled = expected(g, "pooled", &np, &wp);
    struct lar_err err = {0};
    struct lar_embed_options raw = {.raw = 1}, tight = {.batch = 150};
    struct lar_embedder *e = open_embedder(g, NULL), *r = open_embedder(g, &raw),
                        *t = open_embedder(g, &tight);
    int enough = n >= g->n;
    n = g->n;
    float *alone = calloc(n * width, sizeof *alone), *all = calloc(n * width, sizeof *all);
    struct lar_embedder_info info;
    if (e && r && t && alone && all && enough) {
        lar_embedder_info(e, &info);
        CHECK_EQ(info.dimensions, width);
        each_alone(g, e, alone, width);
        within(g, "vectors", off(alone, want, n * width, NULL), 2e-5);
        CHECK(lar_embed(e, g->text, n, all, &err) > 0);
        within(g, "vectors of all texts at once from those alone", off(all, alone, n * width, NULL),
               2e-6);
        CHECK(lar_embed(t, g->text, n, all, &err) > 0);
        within(g, "the same in small batches", off(all, alone, n * width, NULL), 2e-6);
        double largest = 0, worst;
        CHECK(lar_embed(r, g->text, n, all, &err) > 0);
        if (!g->m->model->head.dense[0].data && wp == width) {
            worst = off(all, pooled, n * width, &largest);
            within(g, "pooled rows", worst, 1e-4 * largest);
        }
    } else {
        CHECK(!"an embedder and as many texts as vectors");
    }
    free(alone);
    free(all);
    lar_embedder_close(e);
    lar_embedder_close(r);
    lar_embedder_close(t);
}

/* ---- scores ------------------------------------------------------------------------------------------------------- */

static void rank_all(const struct golden *g, struct lar_embedder *e, const float *want,
                     double allowed)
{
    struct lar_err err = {0};
    float score[TEXTS_MAX], together[TEXTS_MAX];
    for (size_t i = 0; i < g->n; i++) {
        if (lar_rank(e, &g->text[i], &g->second[i], 1, &score[i], &err) < 0) {
            printf("# %s, pair %zu: %s\n", g->name, i, err.msg), tap_case_bad++;
            return;
        }
        check_ids(g, &e->ids[0], i);
    }
    within(g, "scores", off(score, want, g->n, NULL), allowed);
    /* one query with all documents gives what each gives alone */
    CHECK(lar_rank(e, &g->text[0], g->second, g->n, together, &err) > 0);
    for (size_t i = 0; i < g->n; i++)
        CHECK(lar_rank(e, &g->text[0], &g->second[i], 1, &score[i], &err) > 0);
    within(g, "scores of all documents at once", off(together, score, g->n, NULL), 2e-6);
}

static void check_scores(const struct golden *g)
{
    size_t n, width;
    double largest = 0;
    struct lar_embed_options raw = {.raw = 1};
    struct lar_embedder *e = open_embedder(g, NULL), *r = open_embedder(g, &raw);
    const float *score = expected(g, "score", &n, &width),
                *logit = expected(g, "logits", &n, &width);
    if (e && r) {
        rank_all(g, e, score, 2e-5);
        if (logit) off(logit, logit, n, &largest);
        if (logit) rank_all(g, r, logit, 1e-4 * largest);
    }
    lar_embedder_close(e);
    lar_embedder_close(r);
}

/* ---- labels ------------------------------------------------------------------------------------------------------- */

static void check_places(const struct golden *g, struct lar_embedder *e, size_t i)
{
    const struct json *o = json_get(g->note, "offsets")->child;
    struct lar_err err = {0};
    struct lar_span *s;
    size_t n;
    for (size_t k = i; k > 0; k--) o = o->next;
    if (lar_classify(e, &g->text[i], LAR_GROUP_TOKENS, &s, &n, &err) < 0) {
        printf("# text %zu: %s\n", i, err.msg), tap_case_bad++;
        return;
    }
    CHECK_EQ(n + 2, o->n); /* [CLS] and [SEP] have no place */
    const struct json *at = o->child->next;
    for (size_t k = 0; k < n && at->next; k++, at = at->next)
        if ((int64_t)s[k].char_begin != at->child->i ||
            (int64_t)s[k].char_end != at->child->next->i) {
            printf("# text %zu, token %zu: %zu to %zu, not %lld to %lld\n", i, k, s[k].char_begin,
                   s[k].char_end, (long long)at->child->i, (long long)at->child->next->i);
            tap_case_bad++;
        }
    lar_free(s);
}

static void check_labels(const struct golden *g)
{
    size_t n, width;
    const float *want = expected(g, "logits", &n, &width);
    size_t longest = (size_t)safetensors_find(&g->st, "logits")->shape[1];
    struct lar_embedder *e = open_embedder(g, NULL);
    struct lar_err err = {0};
    double worst = 0, largest = 0;
    for (size_t i = 0; e && i < g->n; i++) {
        float *got = NULL;
        size_t rows = 0;
        if (lar_classify_logits(e, &g->text[i], &got, &rows, &err) < 0 || rows > longest) {
            printf("# text %zu: %s\n", i, err.msg), tap_case_bad++;
            break;
        }
        double d = off(got, want + i * longest * width, rows * width, &largest);
        if (!(d <= worst)) worst = d;
        lar_free(got);
        check_places(g, e, i);
    }
    within(g, "logits", worst, 1e-4 * largest);
    const struct json *label = json_get(g->note, "labels")->child;
    for (int i = 0; e && label; i++, label = label->next) {
        const char *mine = lar_embedder_label(e, i);
        CHECK(mine && str_is(label->s, mine));
    }
    lar_embedder_close(e);
}

/* ---- all of them -------------------------------------------------------------------------------------------------- */

/* again: what was checked from another form of the same model; a few texts at the highest level are enough. */
static void one(const char *name, const char *gguf, int again)
{
    static const char *const level[] = {"c", "avx2", "avx512", "neon"};
    char said[200];
    for (size_t i = 0; i < sizeof level / sizeof *level; i++) {
        struct golden g;
        setenv("LAR_CPU", level[i], 1);
        if (strcmp(lar_cpu_level(), level[i]) != 0 || (again && i == 0)) continue;
        tap_case_bad = 0;
        if (open_golden(&g, name, gguf, texts_at(level[i], again)) < 0)
            tap_case_bad++;
        else if (json_get(g.note, "offsets"))
            check_labels(&g);
        else if (g.pairs)
            check_scores(&g);
        else
            check_vectors(&g);
        close_golden(&g);
        snprintf(said, sizeof said, "%s (%s) is as the reference has it, at level %s", name,
                 strstr(gguf, ".gguf") ? "file" : "folder", level[i]);
        tap_ok(!tap_case_bad, said);
    }
    unsetenv("LAR_CPU");
}

/* ---- MiniLM ------------------------------------------------------------------------------------------------------- */

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

struct pair {
    double value, rank;
    size_t at;
};

static int by_value(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

static int by_place(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

/* Ranks, equals sharing the mean of theirs. */
static void ranks(struct pair *p, size_t n)
{
    qsort(p, n, sizeof *p, by_value);
    for (size_t i = 0, next; i < n; i = next) {
        for (next = i + 1; next < n && !(p[next].value > p[i].value);) next++;
        for (size_t k = i; k < next; k++) p[k].rank = (double)(i + next - 1) / 2;
    }
    qsort(p, n, sizeof *p, by_place);
}

static double spearman(struct pair *a, struct pair *b, size_t n)
{
    double ma = 0, mb = 0, ab = 0, aa = 0, bb = 0;
    ranks(a, n);
    ranks(b, n);
    for (size_t i = 0; i < n; i++) ma += a[i].rank / (double)n, mb += b[i].rank / (double)n;
    for (size_t i = 0; i < n; i++) {
        ab += (a[i].rank - ma) * (b[i].rank - mb);
        aa += (a[i].rank - ma) * (a[i].rank - ma);
        bb += (b[i].rank - mb) * (b[i].rank - mb);
    }
    return ab / sqrt(aa * bb);
}

/* One field of a CSV line, quotes taken off in place; *at moves behind its comma. */
static struct lar_text field(char **at)
{
    char *p = *at, *to = p, *begin = p;
    int quoted = *p == '"';
    if (quoted) p++;
    for (; *p && *p != '\n' && (quoted || *p != ','); *to++ = *p++)
        if (quoted && *p == '"') {
            if (p[1] != '"') {
                p++;
                break;
            }
            p++;
        }
    *at = *p == ',' ? p + 1 : p;
    return (struct lar_text){.text = begin, .n = (size_t)(to - begin)};
}

static void sts_b(struct lar_embedder *e, double allowed)
{
    enum { PAIRS = 1379, WIDTH = 384 };
    static struct lar_text text[2 * PAIRS];
    static struct pair human[PAIRS], ours[PAIRS];
    struct buf all = {0};
    struct lar_err err = {0};
    size_t n = 0;
    if (!read_all("../shared/data/eval/stsb/stsb-en-test.csv", &all)) {
        SKIP("STS-B's test is not here");
        return;
    }
    float *v = calloc(2 * PAIRS * WIDTH, sizeof *v);
    char *at = all.p;
    for (; n < PAIRS && *at; n++) {
        text[2 * n] = field(&at);
        text[2 * n + 1] = field(&at);
        human[n] = (struct pair){strtod(at, &at), 0, n};
        at += strspn(at, "\r\n");
    }
    CHECK_EQ(n, PAIRS);
    CHECK(v && lar_embed(e, text, 2 * n, v, &err) > 0);
    for (size_t i = 0; v && i < n; i++)
        ours[i] = (struct pair){dot(v + 2 * i * WIDTH, v + (2 * i + 1) * WIDTH, WIDTH), 0, i};
    double rho = spearman(human, ours, n);
    printf("# STS-B test: Spearman %.5f\n", rho);
    CHECK_NEAR(rho, 0.82035, allowed);
    tap_ok(!tap_case_bad, "STS-B's test has the reference's rank correlation");
    free(v);
    buf_done(&all);
}

/* The file that LAR_MINILM names: all-MiniLM-L6-v2 in F16, or in 8 bits, whose vectors may turn a little. */
static void minilm(const char *gguf)
{
    struct golden g;
    struct lar_embed_options o = {.truncate = 256};
    int eight = strstr(gguf, "q8") != NULL;
    tap_case_bad = 0;
    if (open_golden(&g, "all-minilm-l6-v2", gguf, TEXTS_MAX) < 0) {
        tap_ok(0, "MiniLM opens");
        return;
    }
    struct lar_embedder *e = open_embedder(&g, &o);
    struct lar_err err = {0};
    size_t n, width;
    const float *want = expected(&g, "embedding", &n, &width);
    float v[384];
    double least = 1;
    for (size_t i = 0; e && i < g.n; i++) {
        CHECK(lar_embed(e, &g.text[i], 1, v, &err) > 0);
        check_ids(&g, &e->ids[0], i);
        double c = dot(v, want + i * width, width);
        if (c < least) least = c;
    }
    printf("# MiniLM: least cosine %.8f\n", least);
    CHECK(least >= (eight ? 0.9995 : 0.99999));
    tap_ok(!tap_case_bad, "MiniLM's vectors are the reference's");
    if (e) sts_b(e, eight ? 1e-3 : 5e-6);
    lar_embedder_close(e);
    close_golden(&g);
}

static void a_cross_encoder_without_its_pooler_is_refused(void)
{
    struct lar_err err = {0};
    struct lar_model *m = NULL;
    struct lar_embedder *e = NULL;
    struct lar_text a = {.text = "a", .n = 1};
    float v[64];
    CHECK_EQ(lar_model_open(&m, ROOT "/bert-cross-encoder/model.gguf", NULL, &err), 0);
    CHECK_EQ(lar_embedder_open(&e, m, NULL, &err), 0);
    CHECK_EQ(lar_rank(e, &a, &a, 1, v, &err), LAR_EUNSUPPORTED);
    CHECK(strstr(err.msg, "pooler"));
    CHECK_EQ(lar_embed(e, &a, 1, v, &err), LAR_EUNSUPPORTED);
    lar_embedder_close(e);
    lar_model_close(m);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int main(void)
{
    struct dirent **entry = NULL;
    tap_timeout(300);
    int n = scandir(ROOT, &entry, NULL, by_name);
    if (n < 0) SKIP(ROOT " is not here");
    for (int i = 0; i < n; i++) {
        char path[300];
        snprintf(path, sizeof path, ROOT "/%s/model.gguf", entry[i]->d_name);
        int again = 0, whole = strstr(entry[i]->d_name, "bert-cross-encoder") == NULL; /* its GGUF lacks the pooler */
        if (entry[i]->d_name[0] != '.' && whole && access(path, R_OK) == 0) one(entry[i]->d_name, path, 0), again = 1;
        snprintf(path, sizeof path, ROOT "/%s/model.safetensors", entry[i]->d_name);
        if (entry[i]->d_name[0] == '.' || access(path, R_OK) != 0) {
            free(entry[i]);
            continue;
        }
        snprintf(path, sizeof path, ROOT "/%s", entry[i]->d_name);
        one(entry[i]->d_name, path, again);
        free(entry[i]);
    }
    free(entry);
    if (getenv("LAR_MINILM")) minilm(getenv("LAR_MINILM"));
    if (n >= 0) RUN(a_cross_encoder_without_its_pooler_is_refused);
    return tap_done();
}
