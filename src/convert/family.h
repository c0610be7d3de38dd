/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/family.h: what is to be known of a family to convert it: which of its tensors becomes which of GGUF's, how it is rearranged,
 * and which numbers of its config.json become which keys. A family is data (family_table.c); a new one of known parts needs a line
 * there and perhaps some names.
 */
#ifndef CONVERT_FAMILY_H
#define CONVERT_FAMILY_H

#include "convert/config.h"
#include "io/gguf.h"

/* How the elements of GGUF's tensor lie in the source (shapes outermost first; out[...] = source[...]). */
enum how {
    HOW_SAME,        /* as they lie; dimensions of 1 in the middle go (convolutions) */
    HOW_SKIP,        /* not needed: a buffer that can be computed */
    HOW_HEAD,        /* not needed for what the file is for (BERT's pooler, the guessing of words left out): told by name */
    HOW_ROPE_Q,      /* rows of each head: first half and second half take turns, because ggml turns neighbours: [h][i][2] = [h][2][i] */
    HOW_ROPE_K,      /* the same for key heads */
    HOW_PLUS_ONE,    /* + 1: these norms multiply by 1 + w */
    HOW_NEG_EXP,     /* A_log -> -exp(A_log) */
    HOW_COLUMN,      /* [n] -> [n][1] */
    HOW_COLUMN_NEG_EXP,
    HOW_GROUPS,      /* [n] -> [groups][n / groups] */
    HOW_TRANSPOSE,   /* [a][b] -> [b][a]: Conv1D of GPT-2 */
    HOW_STACK,       /* one of *: all are stacked to [n][...] */
    HOW_HALVES,      /* two tensors: the first and the second half of the rows (of each expert) */
    HOW_TURNS,       /* two tensors from [e][k][2 r], transposed: even columns, odd columns; from [e][2 r]: even, odd */
    HOW_FLIP,        /* [e][k][r] -> [e][r][k] */
    HOW_QKV_HEADS,   /* [h][3][d] -> [3][h][d]: GPT-NeoX */
    HOW_QKVZ,        /* [hk][q k v z] -> two tensors: q of all heads, k, v; and z */
    HOW_V_ROWS,      /* value heads grouped by their key head -> key heads take turns; whole rows */
    HOW_V_ROWS_NEG_EXP,
    HOW_V_TAIL,      /* the same behind the rows of q and k */
    HOW_V_COLUMNS,   /* the same for columns */
    HOW_POSITIONS,   /* without the rows up to that of padding: RoBERTa */
    HOW_KV_B,        /* latent attention: two tensors, [h][latent][nope] (transposed) and [h][v][latent] */
    HOW_XIELU,       /* a constant of the activation: becomes a key */
    HOW_MXFP4        /* with its twin _scales: gpt-oss' 4-bit blocks (the tensor named in `to`, two: even and odd rows) */
};

/* from: a name without its wrapper's prefixes, with # for the layer's number and * for another number; .weight or .bias at its end may
 * be left out, then it is carried over. to: names of the tensors it becomes, "a|b" where it is two; behind # they stand in
 * "blk.#."; "!" at the end keeps them without .weight. */
struct name_rule {
    const char *from, *to;
    enum how how;
};

enum key_kind { KEY_U32, KEY_F32, KEY_BOOL, KEY_TRUE_IF_MISSING };
/* A number of config.json ("a|b": the first that is there) under "<architecture>.<key>". */
struct key_rule {
    const char *key, *from;
    enum key_kind kind;
};

enum {
    FAMILY_VOCAB_SIZE = 1,     /* writes vocab_size */
    FAMILY_ROPE_DIM = 2,       /* writes rope.dimension_count */
    FAMILY_NO_ROPE_BASE = 4,   /* leaves rope.freq_base out when it is 10000 */
    FAMILY_NO_KV_HEADS = 8,
    FAMILY_NO_HEAD_DIM = 16,   /* ignores head_dim */
    FAMILY_NO_FILE_TYPE = 32,
    FAMILY_NORM_PLUS_ONE = 64,  /* every *norm.weight but linear_attn.norm */
    FAMILY_ROTARY_PAIRS = 128,  /* q and k are rearranged (HOW_ROPE_*) */
    FAMILY_FACTORS = 512,       /* factors of config.json go into the weights */
    FAMILY_NO_EXPERTS = 256,   /* expert_count is not written though config.json has such a number */
    FAMILY_READS = 1024        /* an embedder or a classifier: its encoder is no part of something else */
};

struct meta;
struct family {
    const char *hf;   /* names in config.json's architectures, "a|b" */
    const char *type; /* model_type of each of them (those behind the last are not exported) */
    const char *arch; /* general.architecture */
    unsigned flags;
    int window_period; /* with a window: each period-th layer sees everything, which readers know without being told; 0: none does */
    const struct name_rule *names; /* asked before the common ones; ends with from = NULL */
    const struct key_rule *keys;   /* beside the common ones; ends with key = NULL */
    int (*more)(struct meta *m);   /* keys that need arithmetic; may be NULL */
    /* For the way back (export.h): what stands before the names of all tensors but the output's, where it is not "model."; which
     * spelling of a setting this family's class reads, "a|b", where that is not the first of its rule. */
    const char *prefix, *spell;
};

/* By the first of config.json's architectures; LAR_EUNSUPPORTED with the known ones. */
int family_find(const struct family **out, const struct config *c, struct lar_err *err);
/* The first of this general.architecture, or NULL. */
const struct family *family_of(struct str arch);
/* The rule for a name and what its # and * stand for (-1: none); NULL: none. */
struct family_match {
    int64_t layer, number;
    struct str suffix; /* ".weight", ".bias" or "" */
};
const struct name_rule *family_rule(const struct family *f, struct str name, struct family_match *m);
/* The other way: the first rule that gives a tensor of this name (and that no rule before it hides). *which: the place of that name among those
 * of the rule, "a|b"; bare: the name of the source, without prefix, where * is 0. NULL: none. */
const struct name_rule *family_source(const struct family *f, struct str name, struct family_match *m, int *which,
                                      char bare[160]);
/* The name without the prefixes of its wrappers. */
struct str family_bare(struct str name);
/* The i-th of "a|b", "" where there is none. */
struct str family_part(const char *names, int i);
int family_lists(const char *names, struct str s);
/* True for parts that a language model does not need: vision and audio towers, prediction heads for further tokens. */
int family_other_part(struct str bare);

#endif
