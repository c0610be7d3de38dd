/* SPDX-License-Identifier: Apache-2.0
 *
 * api/classify.c: lar.h's labels: of tokens, with where they lie in the text, and of whole texts.
 *
 * Groups are those of the transformers library's token-classification pipeline, strategy "simple": neighbours whose labels are of one kind, a
 * label that begins with B- always beginning a new one; the score is the mean of the tokens' best probabilities.
 */
#include "api/embed.h"

/* A text's tokens and what the model says of them. */
struct reading {
    struct embed_ids ids;
    struct places places; /* of tokens ids.before ... */
    float *logits;        /* [rows][nlabel] */
    size_t rows, nlabel;
    enum pooling pool;
};

static void reading_done(struct reading *r)
{
    embed_ids_done(&r->ids);
    places_done(&r->places);
    mem_free(r->logits);
}

static int read_text(struct lar_embedder *e, const struct lar_text *t, int places,
                     struct reading *r, struct lar_err *err)
{
    size_t bytes;
    int rc = embedder_classifier(e, &r->pool, err);
    if (rc < 0 || (rc = embedder_check_text(t, !places, err)) < 0) return rc;
    struct str text = {t->text ? t->text : "", t->n};
    r->nlabel = e->m->model->head.nlabel;
    places = places && r->pool == POOL_NONE;
    if (!t->tokens)
        rc = embed_encode(e->m->model, e->m->vocab, text, NULL, POOL_UNKNOWN, embedder_most(e),
                          &r->ids, places ? &r->places : NULL, err);
    if (rc < 0) return rc;
    struct embed_text in = {r->ids.ids.id, r->ids.types.id, r->ids.ids.n};
    if (t->tokens) in = (struct embed_text){t->tokens, NULL, t->ntoken};
    r->rows = r->pool == POOL_NONE ? in.n : 1;
    if (mul_size(r->rows, r->nlabel * sizeof *r->logits, &bytes) ||
        !(r->logits = mem_alloc(bytes ? bytes : 1)))
        return lar_fail(err, LAR_ENOMEM, "labels of %zu tokens: out of memory", r->rows);
    e->e.first = 0;
    return embed_logits(&e->e, &in, 1, r->pool, r->logits, err);
}

int lar_classify_logits(struct lar_embedder *e, const struct lar_text *text, float **out,
                        size_t *rows, struct lar_err *err)
{
    struct reading r = {0};
    if (!e || !text || !out || !rows)
        return lar_fail(err, LAR_EINVAL, "lar_classify_logits: embedder, text and out are needed");
    *out = NULL;
    int rc = read_text(e, text, 0, &r, err);
    if (rc == 0) {
        *out = r.logits;
        *rows = r.rows;
        r.logits = NULL;
    }
    reading_done(&r);
    return rc;
}

/* B-PER and I-PER are of the kind PER. *begins: the label begins a new group whatever stands before it. */
static struct str kind_of(const char *label, int *begins)
{
    *begins = label[0] == 'B' && label[1] == '-';
    return str_of(*begins || (label[0] == 'I' && label[1] == '-') ? label + 2 : label);
}

static struct lar_span span_of(const struct reading *r, size_t i)
{
    float *row = r->logits + (r->ids.before + i) * r->nlabel;
    size_t best = 0;
    for (size_t k = 1; k < r->nlabel; k++)
        if (row[k] > row[best]) best = k;
    embedder_probabilities(row, r->nlabel);
    return (struct lar_span){.label = (int)best,
                             .score = row[best],
                             .begin = r->places.at[i].begin,
                             .end = r->places.at[i].end,
                             .word = r->ids.before + i};
}

/* Joins spans in place; gives how many are left. "O" is left out afterwards: it parts its neighbours. */
static size_t group_spans(const struct lar_embedder *e, struct lar_span *s, size_t n)
{
    size_t groups = 0, kept = 0;
    for (size_t i = 0, next; i < n; i = next) {
        int begins;
        struct str kind = kind_of(e->label[s[i].label], &begins);
        struct lar_span g = s[i];
        double sum = (double)g.score;
        for (next = i + 1; next < n; next++) {
            struct str k = kind_of(e->label[s[next].label], &begins);
            if (begins || !str_eq(k, kind)) break;
            sum += (double)s[next].score;
            g.end = s[next].end;
        }
        g.score = (float)(sum / (double)(next - i));
        s[groups++] = g;
    }
    for (size_t i = 0; i < groups; i++)
        if (strcmp(e->label[s[i].label], "O") != 0) s[kept++] = s[i];
    return kept;
}

/* Bytes to characters, in one walk: spans come in the order of the text. */
static void count_chars(const char *text, struct lar_span *s, size_t n)
{
    size_t at = 0, chars = 0;
    for (size_t i = 0; i < n; i++) {
        size_t *edge[2] = {&s[i].char_begin, &s[i].char_end};
        size_t byte[2] = {s[i].begin, s[i].end};
        for (int k = 0; k < 2; k++) {
            if (byte[k] < at) at = chars = 0; /* tokens that share a character */
            for (; at < byte[k]; at++) chars += ((unsigned char)text[at] & 0xc0) != 0x80;
            *edge[k] = chars;
        }
    }
}

/* One span a label, the most probable first. */
static void rank_labels(const struct reading *r, size_t n, struct lar_span *s)
{
    embedder_probabilities(r->logits, r->nlabel);
    for (size_t i = 0; i < r->nlabel; i++) {
        size_t at = i;
        for (; at > 0 && s[at - 1].score < r->logits[i]; at--) s[at] = s[at - 1];
        s[at] = (struct lar_span){.label = (int)i, .score = r->logits[i], .end = n};
    }
}

int lar_classify(struct lar_embedder *e, const struct lar_text *text, enum lar_group group,
                 struct lar_span **out, size_t *n, struct lar_err *err)
{
    struct reading r = {0};
    struct lar_span *s = NULL;
    if (!e || !text || !out || !n)
        return lar_fail(err, LAR_EINVAL, "lar_classify: embedder, text and out are needed");
    *out = NULL;
    *n = 0;
    int rc = read_text(e, text, 1, &r, err);
    if (rc == 0 && group == LAR_GROUP_SPANS && r.pool == POOL_NONE && !e->label)
        rc = lar_fail(err, LAR_EUNSUPPORTED,
                      "the file names no labels, so that they cannot be grouped: ask for tokens");
    size_t most = r.pool == POOL_NONE ? r.places.n : r.nlabel;
    if (rc == 0 && !(s = mem_zalloc((most + 1) * sizeof *s)))
        rc = lar_fail(err, LAR_ENOMEM, "labels: out of memory");
    if (rc == 0 && r.pool == POOL_NONE) {
        for (size_t i = 0; i < most; i++) s[i] = span_of(&r, i);
        *n = group == LAR_GROUP_SPANS ? group_spans(e, s, most) : most;
    } else if (rc == 0) {
        rank_labels(&r, text->n, s);
        *n = most;
    }
    if (rc == 0 && *n) count_chars(text->text, s, *n);
    *out = s;
    reading_done(&r);
    return rc;
}
