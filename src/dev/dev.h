/* SPDX-License-Identifier: Apache-2.0
 *
 * dev/dev.h: where tensors live and what can be done with them: the operations of a forward pass on n rows at a time.
 *
 * A backend is one struct of functions (struct dev_ops); dev/cpu is the one there is. Rows are F32, row-major, `stride` elements apart;
 * pointers are the backend's memory. Operations run in the order in which they are called and are done when they return.
 * The caller holds the device (dev_lock) for a whole step.
 */
#ifndef DEV_DEV_H
#define DEV_DEV_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/dtype.h"
#include "kern/kern.h"

#define DEV_LORA_COLUMNS 256

/* What an adapter adds to a matrix W: scale B A, of low rank. rank 0: nothing. */
struct dev_lora {
    const void *a;  /* [rank][k] */
    const void *bt; /* B transposed, so that rows of the output are summed side by side, DEV_LORA_COLUMNS (or what is left) at once, which lie
                     * together: [rows / columns][rank][columns] */
    enum dtype a_type, bt_type; /* F32, F16 or BF16 */
    size_t rank;
    float scale;
};

/* An adapter, as strong as wanted. */
struct dev_low {
    const struct dev_lora *of; /* by the matrix's slot */
    float scale;
};

/* A matrix of `rows` rows of k elements, as the file has it. */
struct dev_matrix {
    const void *data; /* NULL: not there */
    enum dtype type;
    size_t k, rows;
    size_t stride; /* bytes from row to row */
    const float *scale; /* one number that products are multiplied by; NULL: 1 */
    uint32_t slot; /* its place in adapters; 0: none changes it. For products only, with a row for each of the step's rows */
    int exact; /* activations stay F32 whatever the type: where small differences of the results count */
};

struct dev_rows {
    float *p; /* [n][stride] */
    size_t stride;
};

/* Keys and values of one layer in the block pool. A block holds DEV_KV_BLOCK positions of every layer; within it, at the layer's offset,
 * K [nkv][DEV_KV_BLOCK][k_row bytes], then V likewise. v_at may be k_at: then a value is the beginning of its key, and is not written. */
#define DEV_KV_BLOCK 32
struct dev_kv_layer {
    enum kern_kv type;
    size_t k_at, v_at;   /* offset in a block */
    size_t k_row, v_row; /* bytes of one head's row at one position */
};

/* Rows first .. first + n - 1 of a batch belong to one timeline and stand at positions pos .. pos + n - 1 of it. */
struct dev_seq {
    uint8_t *const *block; /* block[i] holds positions i * DEV_KV_BLOCK ... of all layers */
    float *state;          /* of recurrent layers, all of them; NULL where the model has none */
    int64_t pos;
    size_t first, n;
    const struct dev_low *low; /* [nlow] adapters of these rows */
    size_t nlow;
};

/* A causal convolution of each channel by itself: y[t] = b + sum over k of w[k] x[t - kernel + 1 + k], then silu or not. */
struct dev_conv {
    size_t channels, kernel; /* channels 0: none */
    const float *w, *b;      /* [channels][kernel]; [channels] or NULL */
    int silu;
};

/* Recurrences. Heads h of a group share what is given per group.
 * Mamba-2, state S [hd][dstate]:  dt' = softplus(dt + dt_bias), S = exp(dt' a) S + dt' x B^T, y = S C + d x.
 * Gated delta rule, state S [dstate][hd]; q and k made unit length, q also divided by sqrt(dstate):
 *   S = exp(a softplus(alpha + dt_bias)) S;   S += k (sigmoid(beta) (v - S^T k))^T;   y = S^T q. */
struct dev_scan {
    size_t nhead, ngroup, hd, dstate;
    int tiled; /* head h belongs to group h % ngroup; else h / (nhead / ngroup) */
    const float *a, *d, *dt_bias; /* [nhead]; d unused by the delta rule */
};

struct dev_attn {
    size_t nhead, nkv;  /* nhead % nkv == 0; query head h uses key head h / (nhead / nkv) */
    size_t hd, hdv;     /* elements of a key and a value */
    float scale;        /* of q . k */
    float softcap;      /* 0: none; else s = cap * tanh(s / cap) */
    int64_t window;     /* 0: all; else position j is seen from i when i - window < j <= i */
    int both;           /* the future is seen too, all of it or up to j < i + window; a timeline goes in one piece */
    const float *sinks; /* [nhead] or NULL: a score that takes part in the sum and has no value */
};

/* GATE_RELU2: max(g, 0)^2. GATE_XIELU (Huang and Schlag 2024), par = alpha_p, alpha_n, beta, eps: g > 0: alpha_p g^2 + beta g; else
 * alpha_n (expm1(min(g, eps)) - g) + beta g. */
/* GATE_OSS: g' = min(g, 7), u' = min(max(u, -7), 7): g' sigmoid(1.702 g') (u' + 1). */
enum dev_gate { GATE_SILU, GATE_GELU, GATE_GELU_TANH, GATE_RELU2, GATE_XIELU, GATE_OSS };

/* Angles of a batch: row i has rot/2 cosines then rot/2 sines. */
struct dev_angles {
    const float *p; /* [n][rot] */
    size_t rot;
    int neox;
};

struct dev;

struct dev_ops {
    /* out[i] = w[i] . x for `count` matrices of the same k that share their input; out[i] rows of w[i]->rows. */
    void (*matmul)(struct dev *d, int count, const struct dev_matrix *const *w, struct dev_rows x,
                   size_t n, const struct dev_rows *out);
    /* Row ids[i] of w, as F32. */
    void (*gather)(struct dev *d, const struct dev_matrix *w, const int32_t *ids, size_t n,
                   struct dev_rows out);
    /* Each of the `heads` parts of width `width` of each row by itself (heads 1: the row). w NULL: ones. out may be x. */
    void (*rms)(struct dev *d, struct dev_rows x, size_t n, size_t heads, size_t width,
                const float *w, float eps, struct dev_rows out);
    void (*norm)(struct dev *d, struct dev_rows x, size_t n, size_t heads, size_t width,
                 const float *w, const float *b, float eps, struct dev_rows out);
    void (*rope)(struct dev *d, struct dev_rows x, size_t n, size_t heads, size_t hd,
                 struct dev_angles a);
    void (*gate)(struct dev *d, enum dev_gate kind, const float *par, struct dev_rows g,
                 struct dev_rows u, size_t n, size_t width,
                 struct dev_rows out); /* u.p NULL: ones */
    void (*add)(struct dev *d, struct dev_rows x, size_t n, size_t width, float scale,
                struct dev_rows y); /* y += scale x */
    void (*bias)(struct dev *d, const float *b, size_t n, size_t width,
                 struct dev_rows y);                                                  /* y += b */
    void (*scale)(struct dev *d, float a, size_t n, size_t width, struct dev_rows y); /* y *= a */
    void (*softcap)(struct dev *d, float cap, size_t n, size_t width, struct dev_rows y);
    void (*kv_write)(struct dev *d, const struct dev_kv_layer *kv, const struct dev_attn *a,
                     const struct dev_seq *seq, size_t nseq, struct dev_rows k, struct dev_rows v);
    void (*attend)(struct dev *d, const struct dev_kv_layer *kv, const struct dev_attn *a,
                   const struct dev_seq *seq, size_t nseq, struct dev_rows q, struct dev_rows out);
    /* state_at: the layer's place in dev_seq.state. */
    void (*conv)(struct dev *d, const struct dev_conv *c, const struct dev_seq *seq, size_t nseq,
                 size_t state_at, struct dev_rows x, struct dev_rows out);
    void (*mamba2)(struct dev *d, const struct dev_scan *s, const struct dev_seq *seq, size_t nseq,
                   size_t state_at, struct dev_rows x, struct dev_rows b, struct dev_rows c,
                   struct dev_rows dt, struct dev_rows out);
    void (*delta)(struct dev *d, const struct dev_scan *s, const struct dev_seq *seq, size_t nseq,
                  size_t state_at, struct dev_rows q, struct dev_rows k, struct dev_rows v,
                  struct dev_rows alpha_beta, struct dev_rows out);
    void (*close)(struct dev *d);
};

struct dev {
    const struct dev_ops *ops;
    const char *level; /* "avx512" ... */
    int threads;
    /* 1: what a row gets does not depend, to the last bit, on the rows that are evaluated with it: sums are always made in the same order,
     * at the cost of slower prompts. May be set before the first step. */
    int steady;
    struct pool *pool;
    const struct kern *kern;
    const struct dev_low *always; /* [nalways] adapters of all rows; before the first step */
    size_t nalways;
    /* Of the step under way, for adapters of some rows; nseq 0: there are none. */
    const struct dev_seq *seq;
    size_t nseq;
};

/* What a device must be able to hold as work space; it is all taken when the device is opened. */
struct dev_need {
    size_t batch;             /* rows at once */
    size_t k_max;             /* longest row of a matrix */
    size_t hd_max, group_max; /* largest head; most query heads that share a key head */
    size_t exact;             /* 1: some matrices are */
    size_t low;               /* 1: there are adapters */
    uint64_t types;           /* of the matrices, a bit each (1 << enum dtype); 0: any */
};

/* The CPU device. LAR_CPU is honoured. */
int dev_cpu_open(struct dev **out, int threads, struct lar_err *err);
/* Grows the work space; call before the first step with larger needs, holding no lock. */
int dev_cpu_reserve(struct dev *d, const struct dev_need *need, struct lar_err *err);
size_t dev_cpu_reserve_bytes(const struct dev *d, const struct dev_need *need);
void dev_close(struct dev *d);
/* 1 when matrices of this type can be multiplied. */
int dev_can(const struct dev *d, enum dtype t);
void dev_lock(struct dev *d);
/* The same for a step of these timelines, which may have adapters. */
void dev_begin(struct dev *d, const struct dev_seq *seq, size_t nseq);
void dev_unlock(struct dev *d);

#endif
