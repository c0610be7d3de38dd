/* SPDX-License-Identifier: Apache-2.0
 *
 * model/model.h: what a model file means: its numbers, its layers, and the one forward pass.
 *
 * An architecture is data. A family (arch_*.c) names its constants in a struct arch and, where the file's keys do not say it all, a
 * small setup function; binding turns the file's tensors into struct layer, and the forward pass reads only that. A new family of
 * known parts is one small file; a new part is a new field here and a line in forward.c.
 *
 * Immutable after model_open. Shapes are written [rows][columns], the last contiguous.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "dev/dev.h"
#include "io/gguf.h"

enum norm_kind { NORM_RMS, NORM_LAYER };

struct norm {
    const float *w, *b; /* [width]; w NULL: no norm here */
    size_t width;
    int by_head; /* w has [heads][width]: each head's own */
};

/* Rotary embedding: angle of position p and pair i is p * inv[i]; cosines and sines are multiplied by mscale. */
struct rope {
    size_t rot;  /* elements that turn, even; 0: none */
    int neox;    /* pairs (i, i + rot/2); else (2i, 2i+1) */
    double *inv; /* [rot/2] */
    double mscale;
    double dynamic; /* factor of the stretching of texts longer than the trained context; 0: none */
    size_t trained; /* that context */
};

/* A feed-forward made of experts; see moe.c. nexpert 0: not one. */
struct moe {
    size_t nexpert, nused, nff;
    size_t ngroup,
        group_used; /* only experts of the best group_used of ngroup groups may be chosen; 1: all */
    int sigmoid, renorm, sparse; /* sparse: chosen as in Phi-3.5-MoE */
    float scale;
    const float *choice_bias;         /* [nexpert], added for choosing only; NULL: none */
    struct dev_matrix router;         /* [nexpert][width] */
    struct dev_matrix gate, up, down; /* [nexpert * nff][width], the same, [nexpert * width][nff] */
    int fused;                        /* no gate: up has 2 nff rows an expert, gate's then up's */
    const float *brouter, *bgate, *bup,
        *bdown; /* [nexpert], [nexpert][nff], the same, [nexpert][width]; NULL: none */
    struct dev_matrix shared_gate, shared_up, shared_down;
    const float *shared_bgate, *shared_bup, *shared_bdown; /* NULL: none */
    /* Where experts stand beside a dense feed-forward (Gemma 4; see moe_beside). */
    const float *
        router_norm; /* [width]: the router reads the stream normed with these weights; NULL: what the experts read */
    struct norm pre, post, dense_post;
    const float *shared_switch; /* [width]: the shared expert counts sigmoid of this . h; NULL: 1 */
};

/* Latent attention; see mla.c. rank 0: not this kind. */
struct mla {
    size_t rank, nope, rot,
        value;    /* of the latent; of a head's still and turning key, of its value */
    int absorbed; /* keys and values are the latent itself */
    struct dev_matrix q_a, kv_a;       /* [q_rank][width] or none; [rank + rot][width] */
    struct dev_matrix k_b, v_b;        /* [nhead * rank][nope], [nhead * value][rank]; or */
    struct dev_matrix kv_b;            /* [nhead * (nope + value)][rank] */
    const float *q_a_bias, *kv_a_bias; /* NULL: none */
    struct norm q_norm, kv_norm;
};

/* What stands where attention would: a layer that carries a state instead of keys and values; see recur.c. */
enum mixer {
    MIX_ATTENTION,
    MIX_SHORTCONV,
    MIX_MAMBA2,
    MIX_DELTA,
    MIX_BOTH, /* attention and Mamba-2, added */
    MIX_RWKV7 /* the whole layer is another: rwkv.c */
};

struct recur {
    struct dev_matrix in, out, z, ba, alpha, beta; /* shapes in recur.c */
    const float *bin, *bout;                       /* NULL: none */
    struct dev_conv conv;
    struct dev_scan scan;
    const float *norm; /* NULL: none */
    size_t norm_groups;
    size_t conv_at, scan_at; /* places in dev_seq.state */
};

/* The layers of rwkv.c. */
struct rwkv_pair {
    struct dev_matrix down, up; /* [rank][width], [width][rank] */
    const float *b;             /* [width]; NULL: none */
};
struct rwkv {
    size_t hd, state_at; /* of a head; the place in dev_seq.state */
    int gated;
    const float *shift;                               /* [5 or 6][width] */
    struct dev_matrix wr, wk, wv, wo;                 /* [width][width] */
    struct rwkv_pair w, a, v, g;
    const float *kk, *ka, *rk, *ln, *ln_b;            /* [width] */
    struct norm norm;                                 /* of the channel mix */
    const float *channel_shift;                       /* [width] */
    struct dev_matrix key, value;                     /* [nff][width], [width][nff] */
};

/* Gemma 3n's streams; see altup.c. */
enum { ALTUP_MAX = 16 };

struct altup {
    struct dev_matrix router, predict, correct, laurel_l, laurel_r;
    const float *scale; /* [width] */
    struct norm router_norm, laurel_norm;
};

struct layer {
    enum mixer mixer;
    struct recur recur; /* unless MIX_ATTENTION or MIX_RWKV7 */
    struct rwkv rwkv;

    /* attention: q [n][nhead][hd], k [n][nkv][hd], v [n][nkv][hdv] */
    struct norm attn_norm, q_norm, k_norm, attn_post;
    struct norm attn_sub, ffn_sub; /* before wo, before down; w NULL: none */
    struct norm attn_sum, ffn_sum; /* of the stream, after the block was added (BERT); w NULL: none */
    struct dev_matrix wq, wk, wv, wqkv, wo; /* either wqkv or the three */
    const float *bq, *bk, *bv, *bqkv, *bo;  /* NULL: none */
    int gated; /* wq gives each head's query and then a gate: attention's output is multiplied by its sigmoid */
    struct dev_attn attn;
    struct mla mla; /* wq then takes what it says, and there are no wk and wv */
    int rope;       /* index in model.rope, -1: none */
    size_t rope_at; /* where in a head the turning elements begin */
    size_t
        kv_from; /* the layer whose keys and values this one reads: itself, or an earlier one (then it has none) */
    int v_norm; /* values are normed, without weights */

    /* Per-layer input (Gemma 3n and 4): x += norm(Wproj (gelu(Wgate x) * input of this layer)); then x *= out_scale */
    struct dev_matrix pl_gate, pl_proj; /* [npl][width], [width][npl] */
    struct norm pl_post;
    float out_scale; /* 1 */
    struct altup altup;
    int sparse; /* of the gate's values only those count that are `sparsity` deviations above the mean */
    float sparsity;

    /* feed-forward: gate [nff][width], up [nff][width], down [width][nff] */
    struct norm ffn_norm, ffn_post;
    struct dev_matrix gate, up, down; /* gate absent: down(act(up)); fused: up holds gate then up */
    const float *bgate, *bup, *bdown;
    struct moe moe;
    const float *gate_par; /* constants of the activation, NULL: none */
    size_t nff;
    int fused; /* up has 2 nff rows: gate, then up */
};

struct hparams {
    size_t width, nlayer, nhead, vocab, ctx_train;
    size_t ndraft; /* layers after those that guess further tokens; not read */
    float eps;
    float embed_scale;                 /* of the token's vector; 1 */
    float residual_scale;              /* of what a block adds; 1 */
    float logit_scale;                 /* of the logits; 1 */
    float attn_scale;                  /* of q . k; 0: 1 / sqrt(hd) */
    float attn_softcap, final_softcap; /* 0: none */
    int64_t window;                    /* 0: none */
    float
        temp_scale; /* queries at position p are multiplied by 1 + temp_scale log(1 + floor(p / temp_period)); 0: not */
    uint32_t temp_period;
};

struct arch;

/* What becomes of the last layer's rows in an embedder; the numbers are those of the key pooling_type. POOL_RANK: one row goes
 * through the classifier. POOL_UNKNOWN: the file does not say. */
enum pooling { POOL_UNKNOWN = -1, POOL_NONE, POOL_MEAN, POOL_CLS, POOL_LAST, POOL_RANK };

/* What follows pooling: dense layers (EmbeddingGemma), or a classifier: out(norm(act(cls row))). See head.c. */
struct head {
    enum pooling pooling; /* as the file says */
    struct dev_matrix dense[2], cls, out; /* data NULL: none */
    const float *bdense[2], *bcls, *bout;
    struct norm cls_norm;
    size_t nlabel;                /* rows of out; 0: no classifier */
    const struct gguf_kv *labels; /* their names, NULL: none */
};

#define MODEL_ROPES 3

struct model {
    atomic_int refs;
    const struct arch *arch;
    int no_rope;  /* as arch.no_rope, or as the file says */
    int parallel; /* as arch.parallel, or as the file says */
    int both;     /* every token sees the whole text: the model reads and does not write */
    enum dev_gate gate;
    struct hparams h;
    struct gguf gguf;
    struct dev *dev;
    struct arena a;
    struct dev_matrix embed, output; /* [vocab][width] */
    /* Per-layer inputs: (embed row * sqrt(npl) + norm(Wmodel x / sqrt(width))) / sqrt(2), npl values for each layer. */
    size_t npl;                           /* 0: none */
    struct dev_matrix pl_embed, pl_model; /* [vocab][nlayer npl], [nlayer npl][width] */
    struct norm pl_norm;
    size_t altup, altup_active;                  /* streams, 0: one; the one that layers work on */
    struct dev_matrix altup_proj, altup_unembed; /* [(altup - 1) width][width] */
    struct dev_matrix pos_embed; /* [ctx_train][width], added to the token's vector */
    struct dev_matrix type_embed; /* [types][width], likewise: which of two texts the token is of */
    struct head head;
    const float *output_bias;
    struct norm embed_norm, output_norm;
    struct layer *layer; /* [h.nlayer] */
    struct rope rope[MODEL_ROPES];
    int nrope;
    int rope_long; /* the rope that takes rope[0]'s place when a session's context is longer than rope_long_above; 0: none */
    size_t rope_long_above;
    size_t q_max, k_max, v_max, att_max, qkv_max, ff_max, up_max; /* largest rows of any layer */
    size_t gate_max;                                              /* gate and up in one row, 0: nowhere */
    size_t expert_max, used_max; /* most experts; most at work for a token */
    size_t state_floats;         /* of all recurrent layers; 0: none */
    int64_t parameters;
    uint64_t weight_bytes;
    int64_t token_weights; /* as in struct lar_model_info */
    uint64_t token_bytes;
    int integer;
    uint64_t types; /* of its tensors, a bit each (1 << enum dtype) */
    const struct gguf_tensor **slot; /* [nslot + 1], from 1 on: the matrices that adapters may change; see adapter.h */
    size_t nslot;
    struct adapter **always; /* [nalways] */
    size_t nalways;
    uint8_t *bound; /* while binding: [gguf.ntensor] */
};

struct arch {
    const char *name; /* general.architecture */
    enum norm_kind norm;
    int neox;
    enum dev_gate gate;
    int parallel;      /* attention and feed-forward read the same input and both are added */
    float embed_scale; /* 0: 1; -1: sqrt(width) */
    /* When the file has a window: every layer sees only it, or, with a period, all but each period-th (i % period == period - 1). The key
     * attention.sliding_window_pattern (a period, or one bool a layer) overrides it. */
    int window_period;
    int no_rope;     /* positions are learned vectors */
    int nope_period; /* layers i with (i + 1) % period == 0 do not turn; 0: all turn */
    int nope_global; /* where there is a window, layers that see everything do not turn */
    float
        rope_base_window; /* base of windowed layers (rope.freq_base_swa overrides); 0: as the others */
    int latent;           /* attention is that of mla.c */
    int expert_sigmoid; /* of the router, unless the file says; -1: where experts have a bias for the choice */
    int sparse_mixer;  /* the router is Phi-3.5-MoE's; see moe.c */
    int expert_renorm; /* the chosen experts' weights are made to sum to 1 */
    int yarn_in_scale; /* YaRN's factor is in attn_scale (setup) where the file has a multiplier for it */
    int yarn_exact;   /* YaRN's correction range is not rounded */
    enum mixer mixer; /* of layers that are no attention */
    float attn_scale; /* of q . k; 0: 1 / sqrt(hd) */
    int own_kv_layers; /* layers from this one on share keys and values, unless attention.shared_kv_layers says; 0: none */
    int v_norm;               /* see struct layer */
    int factors_global;       /* rope_freqs is for layers that see everything */
    int gated_attention;      /* see struct layer */
    int delta_tiled;          /* see struct dev_scan */
    int embed_norm_is_output; /* the tensor token_embd_norm is the output's norm */
    int loose_ff; /* the file's feed_forward_length may be wrong; the tensors are right */
    int window_rope_plain; /* windowed layers turn unscaled, at the same base unless rope.freq_base_swa says */
    int norm_after_rope;       /* norms of queries and keys come after the rotation */
    int both; /* see struct model; the key attention.causal overrides it. A window then reaches half to each side */
    int post_norm;    /* norms come after adding; there is none at the end */
    int window_first; /* of each window_period layers the first sees everything, not the last */
    const char *ffn_norm_name; /* NULL: "ffn_norm" */
    /* Further constants, after the common keys are read and before tensors are bound. NULL: none. */
    int (*setup)(struct model *m, struct lar_err *err);
};

/* The family called name, or NULL; names of all into err messages. */
const struct arch *arch_find(struct str name);
const char *arch_name(size_t i); /* of the i-th family; NULL: there are not so many */

/* Opens on a device that the model then owns. */
int model_open(struct model **out, const char *path, int threads, struct lar_err *err);
/* On an opened GGUF, which it takes, also when it fails; path is for messages. */
int model_open_gguf(struct model **out, struct gguf *g, const char *path, int threads, struct lar_err *err);
/* The same with adapters of all rows (adapter.h). */
struct adapter_file {
    const char *path;
    float scale; /* multiplies what the adapter itself says (alpha / rank) */
};
int model_open_adapted(struct model **out, struct gguf *g, const char *path, int threads, const struct adapter_file *f,
                       size_t nfile, struct lar_err *err);
/* Only the file, for its vocabulary: no architecture, no device. */
int model_open_file(struct model **out, const char *path, struct lar_err *err);
/* The same on bytes that outlive the model. */
int model_open_memory(struct model **out, const void *p, size_t n, struct lar_err *err);
struct model *model_ref(struct model *m);
void model_close(struct model *m);

/* hparams.c: the keys "<architecture>.<tail>", of which %s in messages is the whole. As gguf_u32 and friends. */
int model_key_u32(const struct model *m, const char *tail, uint32_t *out, struct lar_err *err);
int model_key_f32(const struct model *m, const char *tail, float *out, struct lar_err *err);
/* Value for layer i of a key that may be a scalar or one value a layer: 1, 0 (missing) or an error. */
int model_key_layer(const struct model *m, const char *tail, size_t i, int64_t *out,
                    struct lar_err *err);
int model_hparams(struct model *m, struct lar_err *err);

/* bind.c */
int model_bind(struct model *m, struct lar_err *err);

/* rope.c: adds a rope to m->rope and gives its index or an error. factors [rot/2] divide the frequencies, NULL: none. */
int rope_add(struct model *m, size_t rot, double base, const float *factors, struct lar_err *err);
/* The same without the file's scaling (windowed layers of families that scale only the others). */
int rope_add_plain(struct model *m, size_t rot, double base, struct lar_err *err);
/* out [n][rot]: cosines then sines of positions pos .. pos + n - 1, in a text of length tokens. */
void rope_angles(const struct rope *r, size_t length, int64_t pos, size_t n, float *out);
/* Whether keys of a text of length a, in a session with room for ctx_a tokens, are turned as in one of b and ctx_b. */
int rope_alike(const struct model *m, size_t a, size_t ctx_a, size_t b, size_t ctx_b);

/* Where a layer's keys and values lie in a block of DEV_KV_BLOCK positions, for one kind of memory; layout [h.nlayer]. Gives
 * the bytes of a block. LAR_EUNSUPPORTED when the kind cannot hold this model's heads. */
int model_kv_layout(const struct model *m, enum kern_kv type, struct dev_kv_layer *layout,
                    size_t *block_bytes, struct lar_err *err);

/* head.c: binds what follows the last layer, if anything does. */
struct binder;
int head_bind(struct binder *b);
/* The longest row that it works with, 0: none. */
size_t head_width(const struct model *m);

/* What a forward pass of up to `batch` rows works in; one allocation. */
struct work {
    size_t batch;
    struct dev_rows x, h, q, k, v, qkv, att, o, gate, up, logits; /* logits [nlogit][vocab] */
    struct dev_rows pl, pl_x;                                     /* [batch][nlayer npl] twice */
    struct dev_rows streams, predicted, laurel,
        coef; /* [batch][altup width] twice, [batch][width], [batch][2 altup^2] */
    struct dev_rows score, moe_x, moe_y; /* experts: [batch][2 nexpert], [batch][width] twice */
    int32_t *pick, *slot;                /* [batch][used], [batch] */
    float *weight;                       /* [batch][used] */
    float *angles[MODEL_ROPES];          /* [batch][rot] */
    size_t nlogit;
    void *memory;
    size_t bytes;
};
size_t work_bytes(const struct model *m, size_t batch, size_t nlogit);
int work_open(struct work *w, const struct model *m, size_t batch, size_t nlogit,
              struct lar_err *err);
void work_close(struct work *w);

/* One step: n tokens of nseq timelines. The positions' blocks must exist. Of timeline i the last keep[i] rows (<= w->nlogit in all) get
 * logits, in order, in w->logits. Keys and values of all rows are written. LAR_ECANCEL when *cancel becomes non-zero meanwhile. */
struct batch {
    const int32_t *tokens; /* [n] */
    size_t n;
    struct dev_seq
        *seq;     /* their rows follow one another and cover 0 .. n - 1; changed by the call */
    size_t *keep; /* [nseq] */
    size_t nseq;
    const struct dev_kv_layer *layout; /* [h.nlayer] */
    size_t ctx;                        /* room of the sessions: picks rope_long */
    const size_t *ctx_of;              /* [nseq] where they differ; NULL: all have ctx */
    const size_t *length;              /* [nseq] of their texts (see rope_angles); NULL: up to the last row */
    const atomic_int *cancel;          /* may be NULL */
    const int32_t *types;              /* [n] rows of type_embed; NULL: all 0 */
    int hidden;                        /* no logits: the kept rows' last vectors stay in w->h */
};
int model_forward(const struct model *m, struct work *w, const struct batch *b,
                  struct lar_err *err);
/* After a pass with b->hidden: one row a timeline in out [nseq][...]: pooled (never POOL_RANK or POOL_UNKNOWN) and through the dense layers. */
void head_embed(const struct model *m, struct work *w, const struct batch *b, enum pooling pool,
                float *out);
/* Likewise a row's logits, [nlabel]; of every row for POOL_NONE. */
void head_logits(const struct model *m, struct work *w, const struct batch *b, enum pooling pool,
                 float *out);

#endif
