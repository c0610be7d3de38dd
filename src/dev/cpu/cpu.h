/* SPDX-License-Identifier: Apache-2.0
 * dev/cpu/cpu.h: what the files of the CPU device share. */
#ifndef DEV_CPU_CPU_H
#define DEV_CPU_CPU_H

#include <pthread.h>

#include "base/pool.h"
#include "dev/dev.h"

enum { CPU_ROWS_UNIT = 16 }; /* rows of a matrix that a thread takes at once */
enum { CPU_MATRICES = 8 };   /* that one call multiplies with */
enum { CPU_LOW_FLOATS = 1 << 17 };

struct cpu_dev {
    struct dev dev; /* first: a struct dev * is a struct cpu_dev * */
    struct kern kern;
    pthread_mutex_t growing; /* who reserves; behind it what is below changes with the device held as well */
    struct dev_need need;    /* reserved so far */
    uint8_t
        *act[ACT_COUNT]; /* [batch][act_bytes(k_max)], quantised activations; [ACT_F32] unused */
    uint8_t *scratch;    /* [threads][scratch_bytes], 64-byte aligned */
    size_t scratch_bytes;
    float *low;  /* [CPU_LOW_FLOATS], rows times the A of adapters; NULL: there are none */
    size_t tile; /* query tokens of an attention tile */
};

static inline struct cpu_dev *cpu_of(struct dev *d) { return (struct cpu_dev *)d; }

/* n rows of about `work` elements each: in parallel when that pays. */
void cpu_rows(struct cpu_dev *c, size_t n, size_t work, pool_fn *fn, void *ctx);

size_t cpu_attn_scratch(const struct dev_need *need, size_t tile);
void cpu_kv_write(struct dev *d, const struct dev_kv_layer *kv, const struct dev_attn *a,
                  const struct dev_seq *seq, size_t nseq, struct dev_rows k, struct dev_rows v);
void cpu_attend(struct dev *d, const struct dev_kv_layer *kv, const struct dev_attn *a,
                const struct dev_seq *seq, size_t nseq, struct dev_rows q, struct dev_rows out);
void cpu_conv(struct dev *d, const struct dev_conv *c, const struct dev_seq *seq, size_t nseq,
              size_t state_at, struct dev_rows x, struct dev_rows out);
void cpu_mamba2(struct dev *d, const struct dev_scan *s, const struct dev_seq *seq, size_t nseq,
                size_t state_at, struct dev_rows x, struct dev_rows b, struct dev_rows c,
                struct dev_rows dt, struct dev_rows out);
void cpu_delta(struct dev *d, const struct dev_scan *s, const struct dev_seq *seq, size_t nseq,
               size_t state_at, struct dev_rows q, struct dev_rows k, struct dev_rows v,
               struct dev_rows ab, struct dev_rows out);
void cpu_matmul(struct dev *d, int count, const struct dev_matrix *const *w, struct dev_rows x,
                size_t n, const struct dev_rows *out);
/* What adapters add to that; low.c. */
void cpu_low(struct cpu_dev *c, int count, const struct dev_matrix *const *w, struct dev_rows x, size_t n,
             const struct dev_rows *out);

#endif
