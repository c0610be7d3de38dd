/* SPDX-License-Identifier: Apache-2.0
 *
 * quant/grid.c: the types whose elements are not rounded one by one but, 4 or 8 together, to a point of a grid: IQ1_S to IQ3_S. A block of 256 has a
 * step D in binary16; each group of 16 or 32 a level l of 8 or 16; x ~ D u (2 l + 1) v, v a point's values, u the format's unit. The
 * grids of IQ2 and IQ3 hold magnitudes; signs stand beside, of each 8 in seven bits where their number must be even. Those of IQ1 hold
 * -1, 0, 1, all moved up or down by an eighth. Of their 2048 points only those are looked at that have no sign but the elements' own: for
 * each of the 256 patterns of signs there is a list of some 130. (All points make the error smaller by a quarter of a per cent, in five times the time.)
 *
 *   1. the sums of every point with every piece (kern/fit.h): any step is then judged against the whole grid at little cost
 *   2. each group's own best step, among some, then nearer
 *   3. D so that the largest step is one of the largest levels, some of these; each group takes the best of the levels around its step
 *   4. D by least squares for the points chosen, the levels again, as long as the error falls
 *
 * ggml's quantiser rounds and corrects with lists of neighbours, and multiplies D by a factor found by trying; here nothing is
 * guessed and no list is needed. Where the number of signs is odd, the element that costs least is turned.
 */
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "kern/quant_grid.h"
#include "quant/quantise.h"

enum { PIECES = 64, GROUPS = 16 };
enum { LISTS = 256 * 144, LISTED = 160 }; /* IQ1: points of all lists, and of one, at most */

enum signs { BESIDE, EVEN, WITHIN }; /* eight bits, seven, none: the points have them */

/* What became of a block. */
struct chosen {
    unsigned index[PIECES], sign[32]; /* of each piece; eight bits of each 8 elements */
    int level[GROUPS];
    uint16_t d;
};

struct gtype {
    size_t dim, npoint, group; /* npoint: of one piece, at most */
    int nhalf, levels;         /* nhalf 2: a group's points are all moved up, or all moved down */
    enum signs signs;
    float unit, top, bottom; /* the largest and the smallest value of a point */
    float low, high,
        mean; /* the steps tried, times largest magnitude / top; mean: of the importance's weight, times the mean square */
    void (*pack)(const struct chosen *c, uint8_t *out);
};

/* ---- layouts, as src/kern/ref/quant_small.c reads them -------------------------------------------- */

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static void put_scales(const int *level, int n, uint8_t *out)
{
    for (int g = 0; g < n; g += 2) out[g / 2] = (uint8_t)(level[g] | level[g + 1] << 4);
}

/* Four times seven signs and a level. */
static void put_signs(const unsigned *sign, int level, uint8_t *out)
{
    uint32_t v = (uint32_t)level << 28;
    for (int j = 0; j < 4; j++) v |= (sign[j] & 127) << 7 * j;
    memcpy(out, &v, 4);
}

static void pack_iq2_xxs(const struct chosen *c, uint8_t *out)
{
    put16(out, c->d);
    for (int g = 0; g < 8; g++) {
        for (int j = 0; j < 4; j++) out[2 + 8 * g + j] = (uint8_t)c->index[4 * g + j];
        put_signs(c->sign + 4 * g, c->level[g], out + 6 + 8 * g);
    }
}

static void pack_iq2_xs(const struct chosen *c, uint8_t *out)
{
    put16(out, c->d);
    for (int j = 0; j < 32; j++) put16(out + 2 + 2 * j, c->index[j] | (c->sign[j] & 127) << 9);
    put_scales(c->level, 16, out + 66);
}

static void pack_iq2_s(const struct chosen *c, uint8_t *out)
{
    put16(out, c->d);
    memset(out + 66, 0, 8);
    for (int j = 0; j < 32; j++) {
        out[2 + j] = (uint8_t)c->index[j];
        out[34 + j] = (uint8_t)c->sign[j];
        out[66 + j / 4] |= (uint8_t)(c->index[j] >> 8 << j % 4 * 2);
    }
    put_scales(c->level, 16, out + 74);
}

static void pack_iq3_xxs(const struct chosen *c, uint8_t *out)
{
    put16(out, c->d);
    for (int j = 0; j < 64; j++) out[2 + j] = (uint8_t)c->index[j];
    for (int g = 0; g < 8; g++) put_signs(c->sign + 4 * g, c->level[g], out + 66 + 4 * g);
}

static void pack_iq3_s(const struct chosen *c, uint8_t *out)
{
    put16(out, c->d);
    memset(out + 66, 0, 8);
    for (int j = 0; j < 64; j++) {
        out[2 + j] = (uint8_t)c->index[j];
        out[66 + j / 8] |= (uint8_t)(c->index[j] >> 8 << j % 8);
    }
    for (int j = 0; j < 32; j++) out[74 + j] = (uint8_t)c->sign[j];
    put_scales(c->level, 8, out + 106);
}

/* Of IQ1 the indices from 2048 are the points moved down. */
static void pack_iq1_s(const struct chosen *c, uint8_t *out)
{
    put16(out, c->d);
    for (int g = 0; g < 8; g++) {
        unsigned word = (unsigned)c->level[g] << 12 | c->index[4 * g] >> 11 << 15;
        for (int j = 0; j < 4; j++) {
            out[2 + 4 * g + j] = (uint8_t)c->index[4 * g + j];
            word |= (c->index[4 * g + j] >> 8 & 7) << 3 * j;
        }
        put16(out + 34 + 2 * g, word);
    }
}

static void pack_iq1_m(const struct chosen *c, uint8_t *out)
{
    memset(out + 32, 0, 16);
    for (int j = 0; j < 32; j++) {
        out[j] = (uint8_t)c->index[j];
        out[32 + j / 2] |= (uint8_t)(c->index[j] >> 8 << j % 2 * 4);
    }
    for (int i = 0; i < 4; i++) {
        unsigned word = (c->d >> 4 * i & 15u) << 12;
        for (int g = 0; g < 4; g++) word |= (unsigned)c->level[4 * i + g] << 3 * g;
        put16(out + 48 + 2 * i, word);
    }
}

/* ---- the types and their points -------------------------------------------------------------------- */

static const struct gtype *gtype_of(enum dtype t)
{
    static const struct gtype
        xxs2 = {8, 256, 32, 1, 16, EVEN, 0.125f, 43, 8, 0.6f, 1.25f, 1, pack_iq2_xxs},
        xs2 = {8, 512, 16, 1, 16, EVEN, 0.125f, 43, 8, 0.6f, 1.25f, 1, pack_iq2_xs},
        s2 = {8, 1024, 16, 1, 16, BESIDE, 0.125f, 43, 8, 0.6f, 1.25f, 2, pack_iq2_s},
        xxs3 = {4, 256, 32, 1, 16, EVEN, 0.25f, 62, 4, 0.7f, 1.3f, 2, pack_iq3_xxs},
        s3 = {4, 512, 32, 1, 16, BESIDE, 1, 15, 1, 0.7f, 1.3f, 2, pack_iq3_s},
        s1 = {8, 2 * LISTED, 32, 2, 8, WITHIN, 0.125f, 9, 7, 0.3f, 1.1f, 2, pack_iq1_s},
        m1 = {8, 2 * LISTED, 16, 1, 8, WITHIN, 0.125f, 9, 7, 0.3f, 1.1f, 2, pack_iq1_m};
    switch (t) {
    case DT_IQ2_XXS: return &xxs2;
    case DT_IQ2_XS: return &xs2;
    case DT_IQ2_S: return &s2;
    case DT_IQ3_XXS: return &xxs3;
    case DT_IQ3_S: return &s3;
    case DT_IQ1_S: return &s1;
    case DT_IQ1_M: return &m1;
    default: return NULL;
    }
}

/* Element e of point p of type d; IQ1's moved up. */
static float value_of(enum dtype d, size_t p, size_t e)
{
    uint64_t eight = d == DT_IQ2_XXS   ? quant_iq2_xxs[p]
                     : d == DT_IQ2_XS  ? quant_iq2_xs[p]
                     : d == DT_IQ2_S   ? quant_iq2_s[p]
                     : d == DT_IQ3_XXS ? quant_iq3_xxs[p]
                     : d == DT_IQ3_S   ? quant_iq3_s[p]
                                       : quant_iq1[p];
    int8_t v = (int8_t)(eight >> 8 * e & 255);
    return (float)(d == DT_IQ1_S || d == DT_IQ1_M ? v + 1 : v);
}

/* In the scratch memory: whose points they are, the points (of IQ1: as listed), then a and b of each piece of a block. */
struct tables {
    uint64_t made; /* 1 + the type */
    struct list {
        uint32_t first, n;
    } list[256];
    uint16_t id[LISTS];
    _Alignas(64) float value[];
};

static size_t stored_points(const struct gtype *t)
{
    return t->signs == WITHIN ? LISTS : t->npoint;
}

size_t grid_scratch(enum dtype d)
{
    const struct gtype *t = gtype_of(d);
    if (!t) return 0;
    return sizeof(struct tables) +
           sizeof(float) * (stored_points(t) * t->dim + t->npoint * 2 * (256 / t->dim));
}

/* Has point p only signs that are in `minus` (a bit is an element below 0)? */
static int agrees(uint64_t p, unsigned minus)
{
    for (int e = 0; e < 8; e++) {
        int8_t v = (int8_t)(p >> 8 * e & 255);
        if (v != 0 && (v < 0) != (minus >> e & 1)) return 0;
    }
    return 1;
}

/* A list is filled up to whole sixteens with its last point. */
static void make_lists(struct tables *m)
{
    uint32_t n = 0;
    for (unsigned minus = 0; minus < 256; minus++) {
        m->list[minus].first = n;
        for (unsigned p = 0; p < 2048; p++)
            if (agrees(quant_iq1[p], minus)) m->id[n++] = (uint16_t)p;
        for (; n % 16; n++) m->id[n] = m->id[n - 1];
        m->list[minus].n = n - m->list[minus].first;
    }
}

static void make_points(const struct gtype *t, enum dtype d, struct tables *m)
{
    size_t n = stored_points(t);
    if (t->signs == WITHIN) {
        make_lists(m);
        n = m->list[255].first + m->list[255].n;
    }
    for (size_t p = 0; p < n; p++)
        for (size_t e = 0; e < t->dim; e++)
            m->value[(p / 16 * t->dim + e) * 16 + p % 16] =
                value_of(d, t->signs == WITHIN ? m->id[p] : p, e);
    m->made = 1 + (uint64_t)d;
}

/* ---- a block ------------------------------------------------------------------------------------------ */

struct work {
    const struct gtype *t;
    const struct fit *f;
    const struct tables *tables;
    float *sums;      /* a and b of each piece */
    size_t n[PIECES]; /* points of each, of one half */
    float x[256], w[256], step[GROUPS];
    int level[GROUPS], half[GROUPS];
    const struct list *list[32]; /* IQ1: of each piece */
    struct chosen out;
};

static float *a_of(const struct work *w, size_t piece)
{
    return w->sums + 2 * piece * w->t->npoint;
}
static float *b_of(const struct work *w, size_t piece) { return a_of(w, piece) + w->t->npoint; }

/* The weights in the error, as kquant.c has them: importance * sqrt(mean * mean square + x^2), without it 1 for each, or with grids of 4 half the group's
 * mean square + x^2. */
static void weigh(struct work *w, const float *importance)
{
    size_t n = w->t->group;
    float all = 0;
    for (size_t i = 0; i < 256; i++) all += w->x[i] * w->x[i];
    all *= w->t->mean / 256;
    for (size_t g = 0; g < 256; g += n) {
        float known = 0, own = 0;
        for (size_t i = g; i < g + n; i++) {
            known += importance ? importance[i] : 0;
            own += w->x[i] * w->x[i];
        }
        own *= 0.5f / (float)n;
        for (size_t i = g; i < g + n; i++) {
            float square = w->x[i] * w->x[i];
            w->w[i] = known > 0        ? importance[i] * sqrtf(all + square)
                      : w->t->dim == 8 ? sqrtf(all + square)
                                       : own + square;
        }
    }
}

/* Signs aside; x becomes the magnitude. An odd number in a type that cannot have one: the element whose turn costs least is turned, and its
 * magnitude counts as negative. */
static void take_signs(struct work *w)
{
    for (size_t j = 0; j < 32 && w->t->signs != WITHIN; j++) {
        float *x = w->x + 8 * j, *u = w->w + 8 * j, least = INFINITY;
        unsigned bits = 0, odd = 0, who = 0;
        for (unsigned i = 0; i < 8; i++) {
            unsigned minus = x[i] < 0;
            float cost = u[i] * x[i] * x[i];
            if (cost < least) {
                least = cost;
                who = i;
            }
            bits |= minus << i;
            odd ^= minus;
            x[i] = fabsf(x[i]);
        }
        if (odd && w->t->signs == EVEN) {
            bits ^= 1u << who;
            x[who] = -x[who];
        }
        w->out.sign[j] = bits;
    }
}

static void sum_points(struct work *w, size_t p)
{
    const struct gtype *t = w->t;
    w->n[p] = t->npoint;
    w->f->points(t->dim, t->npoint, w->tables->value, w->x + p * t->dim, w->w + p * t->dim,
                 a_of(w, p), b_of(w, p));
}

/* The same of IQ1's list for the signs. Points moved down stand behind those moved up: v - 2 for v, so a - 4 sum w v + 4 sum w and b + 4 sum w x. */
static void sum_list(struct work *w, size_t p)
{
    static const float half[8] = {-0.5f, -0.5f, -0.5f, -0.5f,
                                  -0.5f, -0.5f, -0.5f, -0.5f}; /* b is then sum w v */
    const float *x = w->x + 8 * p, *u = w->w + 8 * p;
    float *a = a_of(w, p), *b = b_of(w, p), all = 0, product = 0;
    unsigned minus = 0;
    for (unsigned i = 0; i < 8; i++) {
        all += 4 * u[i];
        product += 4 * (u[i] * x[i]);
        minus |= (unsigned)(x[i] < 0) << i;
    }
    const struct list *list = w->list[p] = &w->tables->list[minus];
    size_t n = list->n;
    w->f->points(8, n, w->tables->value + 8 * list->first, half, u, a, a + n);
    w->f->points(8, n, w->tables->value + 8 * list->first, x, u, a, b);
    for (size_t i = 0; i < n; i++) {
        a[n + i] = a[i] - 4 * a[n + i] + all;
        b[n + i] = b[i] + product;
    }
    w->n[p] = w->t->nhalf == 2 ? n : 2 * n;
}

/* The number of point i of a piece in the grid; 2048 more when it is moved down. */
static unsigned listed(const struct work *w, size_t p, size_t i)
{
    const struct list *list = w->list[p];
    return i < list->n ? w->tables->id[list->first + i]
                       : w->tables->id[list->first + i - list->n] | 2048u;
}

/* What four steps leave of group g's error (less what no step changes), and the half of the points that does it. */
static void judge(const struct work *w, size_t g, const float s[4], float cost[4], int half[4])
{
    const struct gtype *t = w->t;
    size_t per = t->group / t->dim;
    for (int c = 0; c < 4; c++) cost[c] = INFINITY;
    for (int h = 0; h < t->nhalf; h++) {
        float sum[4] = {0}, least[4];
        for (size_t p = g * per; p < (g + 1) * per; p++) {
            size_t at = (size_t)h * w->n[p];
            w->f->least(w->n[p], a_of(w, p) + at, b_of(w, p) + at, s, least);
            for (int c = 0; c < 4; c++) sum[c] += least[c];
        }
        for (int c = 0; c < 4; c++)
            if (s[c] * sum[c] < cost[c]) {
                cost[c] = s[c] * sum[c];
                half[c] = h;
            }
    }
}

/* Step 2: four steps spread over the range, then four closer around the best. Where all magnitudes are nearly the same, also steps at which
 * smaller values stand for them, down to the smallest. */
static float best_step(const struct work *w, size_t g)
{
    const struct gtype *t = w->t;
    float top = 0, least = 0, best = 0, spread = (t->high - t->low) / 4, sum = 0;
    for (size_t i = g * t->group; i < (g + 1) * t->group; i++) {
        top = fabsf(w->x[i]) > top ? fabsf(w->x[i]) : top;
        sum += fabsf(w->x[i]);
    }
    float unit = top / t->top, from = t->low + 0.5f * spread;
    int flat = sum > 0.7f * (float)t->group * top;
    for (int round = 0; round < 2 + flat; round++) {
        float s[4], cost[4];
        int half[4];
        for (int c = 0; c < 4; c++)
            s[c] =
                round == 2 ? top / (t->bottom * (float)(1 + 2 * c)) : unit * (from + spread * (float)c);
        judge(w, g, s, cost, half);
        for (int c = 0; c < 4; c++)
            if (cost[c] < least * 1.0001f) { /* the first of those that are as good */
                least = cost[c];
                best = s[c];
            }
        spread *= 0.4f;
        from = (unit > 0 ? best / unit : 0) - 1.5f * spread;
    }
    return best;
}

static float limit(float v, float lo, float hi) { return v > lo ? v < hi ? v : hi : lo; }

/* Step 3 for one D: levels (and halves) of all groups, by what they leave; gives the sum. */
static double settle(const struct work *w, float d, int level[GROUPS], int half[GROUPS])
{
    const struct gtype *t = w->t;
    double sum = 0;
    for (size_t g = 0; g < 256 / t->group; g++) {
        float s[4], cost[4], want = d > 0 ? (w->step[g] / d - 1) * 0.5f : 0;
        int first = (int)limit(floorf(want) - 1, 0, (float)(t->levels - 4)), best = 0,
            halves[4] = {0};
        for (int c = 0; c < 4; c++) s[c] = d * (float)(2 * (first + c) + 1);
        judge(w, g, s, cost, halves);
        for (int c = 1; c < 4; c++)
            if (cost[c] < cost[best]) best = c;
        level[g] = first + best;
        half[g] = halves[best];
        sum += (double)cost[best];
    }
    return sum;
}

/* The points for the levels that were chosen; gives the D (with the unit) that fits them best. */
static float choose_points(struct work *w, float d)
{
    const struct gtype *t = w->t;
    size_t per = t->group / t->dim;
    double up = 0, down = 0;
    for (size_t g = 0; g < 256 / t->group; g++) {
        float l = (float)(2 * w->level[g] + 1);
        for (size_t p = g * per; p < (g + 1) * per; p++) {
            size_t at = (size_t)w->half[g] * w->n[p];
            const float *a = a_of(w, p) + at, *b = b_of(w, p) + at;
            size_t i = w->f->nearest(w->n[p], a, b, d * l);
            w->out.index[p] = t->signs == WITHIN ? listed(w, p, at + i) : (unsigned)i;
            up -= 0.5 * (double)l * (double)b[i];
            down += (double)l * (double)l * (double)a[i];
        }
        w->out.level[g] = w->level[g];
    }
    return down > 0 ? (float)(up / down) : 0;
}

/* D as the file will have it, with the unit. */
static float kept(const struct work *w, float d, uint16_t *half)
{
    *half = half_from_f32(d / w->t->unit);
    return half_to_f32(*half) * w->t->unit;
}

static void settle_block(struct work *w)
{
    static const float less[] = {1, 1.04f};
    const struct gtype *t = w->t;
    float top = 0, d = 0;
    double least = HUGE_VAL;
    int level[GROUPS], half[GROUPS];
    uint16_t bits;
    for (size_t g = 0; g < 256 / t->group; g++) {
        w->step[g] = best_step(w, g);
        top = w->step[g] > top ? w->step[g] : top;
    }
    memset(w->level, 0, sizeof w->level);
    memset(w->half, 0, sizeof w->half);
    for (size_t i = 0; i < sizeof less / sizeof *less + 3; i++) {
        float fitted = i < 2 ? top / (float)(2 * t->levels - 1) * less[i] : choose_points(w, d);
        float now = kept(w, fitted, &bits);
        if (i >= 2 && now == d) return;
        double error = settle(w, now, level, half);
        if (i > 0 && !(error < least)) {
            if (i >= 2) return;
            continue;
        }
        least = error;
        d = now;
        w->out.d = bits;
        memcpy(w->level, level, sizeof level);
        memcpy(w->half, half, sizeof half);
    }
    choose_points(w, d);
}

void grid_row(const struct fit *f, enum dtype d, size_t k, const float *x, const float *importance,
              uint8_t *out, void *scratch)
{
    struct tables *m = scratch;
    struct work w = {.t = gtype_of(d), .f = f, .tables = m};
    if (m->made != 1 + (uint64_t)d) make_points(w.t, d, m);
    w.sums = m->value + w.t->dim * stored_points(w.t);
    for (size_t b = 0; b < k; b += 256, out += dtype_info(d).bytes) {
        memcpy(w.x, x + b, sizeof w.x);
        weigh(&w, importance ? importance + b : NULL);
        take_signs(&w);
        for (size_t p = 0; p < 256 / w.t->dim; p++)
            if (w.t->signs == WITHIN)
                sum_list(&w, p);
            else
                sum_points(&w, p);
        settle_block(&w);
        w.t->pack(&w.out, out);
    }
}
