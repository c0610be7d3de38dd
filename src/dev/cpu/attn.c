/* SPDX-License-Identifier: Apache-2.0
 *
 * dev/cpu/attn.c: attention over the block pool, without a score matrix (flash attention: Dao et al. 2022, online softmax: Milakov and
 * Gimelshein 2018).
 *
 * The work is cut into (timeline, key head, tile of tokens). A tile's query rows are all heads of the group for up to `tile` tokens, copied
 * together and scaled; block after block of 32 positions gives scores, the running maximum and sum are updated, and the values
 * are added up. Blocks that no row of the tile may see (the future, or before the window) are never read.
 *
 *   scratch of a thread:  q [rows][hd] | s [rows][32] | o [rows][hdv] | m [rows] | l [rows] | the kernel's own
 */
#include <math.h>
#include <string.h>

#include "dev/cpu/cpu.h"

static size_t round16(size_t n) { return (n + 15) & ~(size_t)15; }

size_t cpu_attn_scratch(const struct dev_need *need, size_t tile)
{
    size_t rows = tile * need->group_max, hd = round16(need->hd_max);
    return 4 * (rows * (2 * hd + DEV_KV_BLOCK) + 2 * round16(rows)) +
           kern_attn_scratch(need->hd_max, DEV_KV_BLOCK) + 256;
}

struct write_job {
    const struct cpu_dev *c;
    const struct dev_kv_layer *kv;
    const struct dev_attn *a;
    const struct dev_seq *seq;
    struct dev_rows k, v;
};

static void write_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct write_job *j = ctx;
    const struct dev_kv_layer *kv = j->kv;
    const struct dev_seq *s = j->seq;
    kern_kv_store_fn *store = j->c->kern.kv_store[kv->type];
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        size_t pos = (size_t)s->pos + i, at = pos % DEV_KV_BLOCK;
        uint8_t *b = s->block[pos / DEV_KV_BLOCK];
        const float *k = j->k.p + (s->first + i) * j->k.stride,
                    *v = j->v.p + (s->first + i) * j->v.stride;
        for (size_t h = 0; h < j->a->nkv; h++) {
            store(j->a->hd, k + h * j->a->hd, b + kv->k_at + (h * DEV_KV_BLOCK + at) * kv->k_row);
            if (kv->v_at != kv->k_at)
                store(j->a->hdv, v + h * j->a->hdv,
                      b + kv->v_at + (h * DEV_KV_BLOCK + at) * kv->v_row);
        }
    }
}

void cpu_kv_write(struct dev *d, const struct dev_kv_layer *kv, const struct dev_attn *a,
                  const struct dev_seq *seq, size_t nseq, struct dev_rows k, struct dev_rows v)
{
    for (size_t i = 0; i < nseq; i++) {
        struct write_job j = {cpu_of(d), kv, a, &seq[i], k, v};
        cpu_rows(cpu_of(d), seq[i].n, a->nkv * (a->hd + a->hdv), write_rows, &j);
    }
}

struct attend_job {
    const struct cpu_dev *c;
    const struct dev_kv_layer *kv;
    const struct dev_attn *a;
    const struct dev_seq *seq;
    struct dev_rows q, out;
    size_t tile;
};

static size_t tiles(const struct attend_job *j, size_t seq)
{
    return (j->seq[seq].n + j->tile - 1) / j->tile;
}

struct tile {
    float *q, *s, *o, *m, *l;
    void *work;
    size_t hd, hdv; /* strides */
    size_t rows;    /* group * tokens; row = token * group + head of the group */
};

static struct tile tile_lay(const struct attend_job *j, int thread, size_t rows)
{
    struct tile t = {.hd = round16(j->a->hd), .hdv = round16(j->a->hdv), .rows = rows};
    t.q = (float *)(void *)(j->c->scratch + (size_t)thread * j->c->scratch_bytes);
    t.s = t.q + rows * t.hd;
    t.o = t.s + rows * DEV_KV_BLOCK;
    t.m = t.o + rows * t.hdv;
    t.l = t.m + round16(rows);
    t.work = (void *)(((uintptr_t)(t.l + round16(rows)) + 63) & ~(uintptr_t)63);
    return t;
}

/* Scores of positions base .. base + npos - 1: soft cap, then -inf for what the row may not see, then the online softmax. */
static void tile_softmax(const struct attend_job *j, struct tile *t, int64_t first_pos,
                         int64_t base, size_t npos)
{
    size_t group = j->a->nhead / j->a->nkv;
    float cap = j->a->softcap;
    for (size_t r = 0; r < t->rows; r++) {
        int64_t pos = first_pos + (int64_t)(r / group);
        float *s = t->s + r * DEV_KV_BLOCK;
        int64_t see = pos - base + 1, from = j->a->window ? pos - j->a->window + 1 - base : 0;
        if (j->a->both) see = j->a->window ? pos + j->a->window - base : (int64_t)npos;
        if (cap > 0)
            for (size_t i = 0; i < npos; i++) s[i] = cap * tanhf(s[i] / cap);
        for (int64_t i = see < 0 ? 0 : see; i < (int64_t)npos; i++) s[i] = -INFINITY;
        for (int64_t i = 0; i < from && i < (int64_t)npos; i++) s[i] = -INFINITY;
        float f = j->c->kern.softmax(npos, s, &t->m[r], &t->l[r]);
        if (f != 1.0f)
            for (size_t i = 0; i < t->hdv; i++) t->o[r * t->hdv + i] *= f;
    }
}

/* A few query rows do little with a block: the next one is asked for meanwhile. It lies far from this one, behind those of other layers and heads,
 * where no prefetcher looks. */
enum { FETCH_ROWS = 32 };

static void fetch(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 64) __builtin_prefetch(p + i, 0, 2);
}

static void attend_tile(const struct attend_job *j, const struct dev_seq *seq, size_t head,
                        size_t tok0, size_t ntok, int thread)
{
    const struct dev_attn *a = j->a;
    const struct dev_kv_layer *kv = j->kv;
    const struct kern *kern = &j->c->kern;
    size_t group = a->nhead / a->nkv;
    struct tile t = tile_lay(j, thread, ntok * group);
    int64_t first = seq->pos + (int64_t)tok0, last = first + (int64_t)ntok - 1;
    int64_t end = seq->pos + (int64_t)seq->n - 1;
    if (a->both) last = a->window && last + a->window - 1 < end ? last + a->window - 1 : end;

    for (size_t r = 0; r < t.rows; r++) {
        const float *q = j->q.p + (seq->first + tok0 + r / group) * j->q.stride +
                         (head * group + r % group) * a->hd;
        for (size_t i = 0; i < a->hd; i++) t.q[r * t.hd + i] = q[i] * a->scale;
        t.m[r] = a->sinks ? a->sinks[head * group + r % group] : -INFINITY;
        t.l[r] = a->sinks ? 1 : 0;
    }
    memset(t.o, 0, t.rows * t.hdv * sizeof *t.o);

    int64_t from = a->window && first - a->window + 1 > 0 ? first - a->window + 1 : 0;
    for (int64_t b = from / DEV_KV_BLOCK; b <= last / DEV_KV_BLOCK; b++) {
        int64_t base = b * DEV_KV_BLOCK;
        size_t npos = last - base + 1 < DEV_KV_BLOCK ? (size_t)(last - base + 1) : DEV_KV_BLOCK;
        const uint8_t *block = seq->block[b];
        const uint8_t *next =
            t.rows < FETCH_ROWS && b < last / DEV_KV_BLOCK ? seq->block[b + 1] : NULL;
        if (next)
            fetch(next + kv->k_at + head * DEV_KV_BLOCK * kv->k_row, DEV_KV_BLOCK * kv->k_row);
        kern->qk[kv->type](a->hd, t.rows, t.q, t.hd, npos,
                           block + kv->k_at + head * DEV_KV_BLOCK * kv->k_row, kv->k_row, t.s,
                           DEV_KV_BLOCK, t.work);
        tile_softmax(j, &t, first, base, npos);
        if (next && kv->v_at != kv->k_at)
            fetch(next + kv->v_at + head * DEV_KV_BLOCK * kv->v_row, DEV_KV_BLOCK * kv->v_row);
        kern->pv[kv->type](a->hdv, t.rows, t.s, DEV_KV_BLOCK, npos,
                           block + kv->v_at + head * DEV_KV_BLOCK * kv->v_row, kv->v_row, t.o,
                           t.hdv, t.work);
    }
    for (size_t r = 0; r < t.rows; r++) {
        float *out = j->out.p + (seq->first + tok0 + r / group) * j->out.stride +
                     (head * group + r % group) * a->hdv;
        float inv = 1 / t.l[r];
        for (size_t i = 0; i < a->hdv; i++) out[i] = t.o[r * t.hdv + i] * inv;
    }
}

/* Items are laid timeline after timeline, in each head after head, in each tile after tile. */
static void attend_items(void *ctx, size_t begin, size_t end, int thread)
{
    const struct attend_job *j = ctx;
    size_t seq = 0, before = 0;
    for (size_t i = begin; i < end; i++) {
        /* Later tiles see more: the long ones first would be best for balance; stealing from the back sees to it. */
        while (i - before >= j->a->nkv * tiles(j, seq)) before += j->a->nkv * tiles(j, seq++);
        const struct dev_seq *s = &j->seq[seq];
        size_t ntile = tiles(j, seq), head = (i - before) / ntile,
               tok0 = (i - before) % ntile * j->tile;
        attend_tile(j, s, head, tok0, s->n - tok0 < j->tile ? s->n - tok0 : j->tile, thread);
    }
}

void cpu_attend(struct dev *d, const struct dev_kv_layer *kv, const struct dev_attn *a,
                const struct dev_seq *seq, size_t nseq, struct dev_rows q, struct dev_rows out)
{
    struct cpu_dev *c = cpu_of(d);
    /* The kernels' order of sums depends on how many rows they get: one token's are always as many. */
    struct attend_job j = {c, kv, a, seq, q, out, d->steady ? 1 : c->tile};
    size_t items = 0, work = 0;
    for (size_t i = 0; i < nseq; i++) {
        items += a->nkv * tiles(&j, i);
        work += a->nkv * tiles(&j, i) * ((size_t)seq[i].pos + seq[i].n) * a->hd;
    }
    /* A loop over threads costs about a microsecond: a short past is quicker alone. */
    pool_for(d->pool, items, work < 4096 ? items : 1, attend_items, &j);
}
