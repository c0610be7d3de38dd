/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/kcheck/kcheck.h: the proving tool for kernels: one engine, one file a family.
 *
 * The engine climbs the ladder of levels that this processor has, fills a table for each and
 * hands it to every family together with the one below; a family proves (and, with --bench,
 * times) each pointer that is new at this level:
 *
 *     if (now->rms != below->rms && kc_begin("rms")) {
 *         ... kc_expect(fabs(got - want) <= tolerance, "n %zu: got %g, not %g", n, got, want);
 *         kc_end();
 *     }
 *
 * Buffers end at a page that cannot be read, so a kernel that looks past its input dies on the
 * spot; canaries stand before them, and the tester sees to what lies between the rows of an
 * output. Float tolerances are scaled by the condition of the sum (KC_EPS * sum of |a * b|), so
 * that cancellation is no fault and a real one is.
 */
#ifndef KCHECK_H
#define KCHECK_H

#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "kern/fit.h"
#include "kern/kern.h"

#define KC_EPS 0x1p-24 /* half a unit in the last place of a float */
/* What a float sum of n products may be off by, in units of KC_EPS * sum of |a * b|. Equal terms are
 * rounded the same way again and again, so a lane's drift grows with its terms; kernels keep a lane
 * to at most 256 of them. */
static inline double kc_drift(size_t n) { return 8 + (double)(n < 256 ? n : 256) / 4; }

/* The tables: the scalar one, the rung below, and the one on trial. At the level "c" all of them
 * are the scalar one, and families whose scalar code needs proof of its own may give it there. */
struct kc_level {
    const char *name;
    const struct kern *ref, *below, *now;
    const struct fit *fit_ref, *fit_below, *fit; /* the same of kern/fit.h */
};

/* Families: each checks everything of its own that is new at this level. */
void kc_quant(const struct kc_level *level);
void kc_float(const struct kc_level *level);
void kc_attn(const struct kc_level *level);
void kc_row(const struct kc_level *level);
void kc_scan(const struct kc_level *level);
void kc_fit(const struct kc_level *level);

/* Opens the case "<what>_<level>"; 0 when --only leaves it out. Between kc_begin and kc_end: */
int kc_begin(const char *what, ...) __attribute__((format(printf, 1, 2)));
void kc_expect(int ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int kc_failed(void); /* true once an expectation of this case was not met: leave the loops */
void kc_end(void);

/* --bench was given: time things. */
int kc_bench(void);
int kc_threads(void); /* --threads N (1) */
/* What follows multiplies 8-bit integers, or floats: shares of the machine's limit are told by it. */
void kc_products(int integer);
/* Runs fn(ctx, thread, threads) on all threads, many times (let it take a millisecond or so);
 * prints a robust time with GB/s and Gop/s (0: not told), the larger of their shares of what the
 * machine can (above 100 %: from a cache), and how many times faster than base_ns
 * (0: not told). Gives the ns of one run. */
double kc_time(const char *what, void (*fn)(void *ctx, int thread, int threads), void *ctx,
               double bytes, double ops, double base_ns);

/* The random numbers of this run (--seed). */
struct rng *kc_rng(void);
uint64_t kc_random(uint64_t n); /* below n */

/* n bytes that end at a guard page, start + n being as near to it as `align` (a power of two, up
 * to 4096) allows. Freed by kc_free, which also looks at the canary before it. */
void *kc_alloc(size_t n, size_t align);
void kc_free(void *p);

/* n floats of one of KC_FILLS kinds: ordinary numbers, zeros, large, alternating signs, subnormal,
 * one huge among small. */
enum { KC_FILLS = 6 };
void kc_fill(int kind, float *x, size_t n);
const char *kc_fill_name(int kind);

#endif
