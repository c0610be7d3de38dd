/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/aim.c: see aim.h. Models of several sizes are made, their types chosen by what each tensor loses, and each is measured against the original.
 * The logarithm of the divergence falls nearly evenly with the bits, by ln 4 a bit at first guess, so that four or five trials are enough: the last
 * that is near enough, when it is within a tenth of what was asked or a sixteenth of a bit from one that is not.
 */
#include "cli/aim.h"

#include <math.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/in.h"
#include "cli/interrupt.h"
#include "cli/scratch.h"

enum { TRIALS = 12 };
static const double MOST = 16, CLOSE = 1.0 / 16, SLOPE = 1.386294361119890619; /* ln 4 */

struct trial {
    const struct aim *a;
    struct lar_model *original;
    struct scratch scratch;
    struct buf text, path;
    double bits;
    int n;
};

static int show(const struct trial *t, const char *what, int i, int n)
{
    if (t->a->show) {
        struct buf b = {0};
        buf_printf(&b, "\r\033[Ktrial %d, %.2f bits a weight: %s [%d/%d]", t->n, t->bits, what, i, n);
        (void)!write(STDERR_FILENO, buf_z(&b), b.n);
        buf_done(&b);
    }
    return interrupt_seen();
}

static int on_tensor(void *ctx, const struct lar_quantize_tensor *t)
{
    return show(ctx, "quantising", (int)t->index + 1, (int)t->count);
}

static int on_chunk(void *ctx, const struct lar_perplexity *p)
{
    return show(ctx, "measuring", p->chunks, p->chunks_all);
}

/* Makes one of so many bits and measures it. LAR_ELIMIT: so few cannot be. */
static int try(struct trial *t, double bits, double *kld, struct lar_err *err)
{
    struct lar_quantize_options q = *t->a->quantize;
    struct lar_model_options mo = {.threads = q.threads};
    struct lar_perplexity_options po = {.ctx = t->a->ctx,
                                        .chunks = t->a->chunks,
                                        .base = t->original,
                                        .on_chunk = on_chunk,
                                        .ctx_on_chunk = t};
    struct lar_perplexity p;
    struct lar_model *m = NULL;
    q.target_bits = t->bits = bits;
    q.dry_run = 0;
    q.part_bytes = 0;
    q.on_tensor = on_tensor;
    q.ctx = t;
    t->n++;
    int rc = lar_quantize(t->a->from, buf_z(&t->path), &q, err);
    if (rc >= 0) rc = lar_model_open(&m, buf_z(&t->path), &mo, err);
    if (rc >= 0) rc = lar_perplexity(m, buf_z(&t->text), t->text.n, &po, &p, err);
    lar_model_close(m);
    unlink(buf_z(&t->path));
    if (rc >= 0) *kld = fmax(p.kl, 1e-12);
    return rc < 0 ? rc : 0;
}

/* What has been found: below lo it is too far (far: how far, 0 not known), hi (0: none yet) is near enough. */
struct bracket {
    double lo, far, hi, near;
};

static double next_of(const struct bracket *k, double want)
{
    double goal = log(0.95 * want), bits;
    if (k->hi <= 0)
        bits = k->lo + (k->far > 0 ? fmax((log(k->far) - goal) / SLOPE, 0.25) : 1);
    else if (k->far > 0 && k->far > k->near)
        bits = k->hi - (k->hi - k->lo) * (goal - log(k->near)) / (log(k->far) - log(k->near));
    else
        bits = fmax(k->hi - fmax((goal - log(k->near)) / SLOPE, 0.25), 0.5 * (k->lo + k->hi));
    if (k->hi <= 0) return fmin(bits, MOST);
    double edge = 0.1 * (k->hi - k->lo);
    return fmin(fmax(bits, k->lo + edge), k->hi - edge);
}

static int search(struct trial *t, double *bits, double *kld, struct lar_err *err)
{
    struct bracket k = {.lo = 1};
    double at = 4.5, got = 0;
    for (int i = 0; i < TRIALS; i++, at = next_of(&k, t->a->kld)) {
        int rc = try(t, at, &got, err);
        if (rc < 0 && rc != LAR_ELIMIT) return rc;
        if (rc == 0 && got <= t->a->kld) {
            k.hi = at;
            k.near = got;
        } else {
            k.lo = at;
            k.far = rc == 0 ? got : 0;
        }
        if (k.hi > 0 && (k.near >= 0.9 * t->a->kld || k.hi - k.lo < CLOSE)) break;
        if (k.lo >= MOST) break;
    }
    *bits = k.hi;
    *kld = k.near;
    if (k.hi > 0) return 0;
    return lar_fail(err, LAR_ELIMIT, "a divergence of %g cannot be reached: with %g bits a weight it is %g", t->a->kld,
                    at, got);
}

int aim_bits(const struct aim *a, double *bits, double *kld, struct lar_err *err)
{
    struct trial t = {.a = a};
    struct lar_model_options mo = {.threads = a->quantize->threads};
    int rc = in_all(a->file, &t.text, err);
    if (rc == 0) rc = scratch_begin(&t.scratch, "aim", err);
    buf_printf(&t.path, "%s/trial.gguf", buf_z(&t.scratch.folder));
    if (rc == 0 && t.path.failed) rc = lar_fail(err, LAR_ENOMEM, "out of memory");
    if (rc == 0) rc = lar_model_open(&t.original, a->from, &mo, err);
    if (rc >= 0) rc = search(&t, bits, kld, err);
    lar_model_close(t.original);
    scratch_end(&t.scratch);
    if (a->show) (void)!write(STDERR_FILENO, "\r\033[K", 4);
    buf_done(&t.text);
    buf_done(&t.path);
    return rc < 0 ? rc : 0;
}
