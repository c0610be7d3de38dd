/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/plan.c: from names and shapes to views. Sizes come from config.json and from the tensors, which need not agree: whatever a view
 * would read is checked against its source's length (check_piece), so a wrong number is an error and never a read outside.
 */
#include "convert/plan.h"

#include <inttypes.h>
#include <stdio.h>

struct planner {
    struct plan *p;
    const struct family *f;
    const struct config *c;
    const struct weights *w;
    struct lar_err *err;
    int lora;                                            /* tensors are halves of an adapter */
    uint32_t heads, kv_heads, groups;                    /* of attention; of a state space */
    uint32_t key_heads, value_heads, key_dim, value_dim; /* of a delta net */
    uint32_t latent, nope, v_head;                       /* of latent attention */
};

/* What a source tensor becomes. */
struct job {
    const struct weight *w;
    const struct name_rule *rule;
    struct family_match m;
    struct str bare;
};

static int bad(struct planner *b, const struct job *j, const char *what)
{
    return lar_fail(b->err, LAR_EFORMAT, "tensor %.*s: %s", STR_ARG(j->w->name), what);
}

static int no_memory(struct planner *b)
{
    return lar_fail(b->err, LAR_ENOMEM, "plan of %zu tensors: out of memory", b->w->n);
}

/* ---- outputs --------------------------------------------------------------------------------------------------- */

static struct output *grow(struct plan *p)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 256;
        struct output *o = arena_array(p->a, cap, sizeof *o);
        if (!o) return NULL;
        if (p->n) memcpy(o, p->out, p->n * sizeof *o);
        p->out = o;
        p->cap = cap;
    }
    return &p->out[p->n++];
}

/* Name number i of "a|b" of the rule, with layer and suffix. */
static int make_name(struct planner *b, const struct job *j, int i, struct str *out)
{
    char text[192];
    const char *to = j->rule->to;
    for (; i > 0; i--) to += strcspn(to, "|") + 1;
    int n = (int)strcspn(to, "|"), keep = n && to[n - 1] == '!';
    struct str suffix = keep ? STR("") : j->m.suffix;
    int k = j->m.layer >= 0
                ? snprintf(text, sizeof text, "blk.%" PRId64 ".%.*s%.*s", j->m.layer, n - keep, to, STR_ARG(suffix))
                : snprintf(text, sizeof text, "%.*s%.*s", n - keep, to, STR_ARG(suffix));
    out->p = arena_copy(b->p->a, text, (size_t)k);
    out->n = (size_t)k;
    return out->p ? 0 : no_memory(b);
}

static struct output *known(struct plan *p, struct str name)
{
    for (size_t i = p->n; i-- > 0;)
        if (str_eq(p->out[i].name, name)) return &p->out[i];
    return NULL;
}

/* The output called the rule's name i; dims outermost first. NULL with the error set. */
static struct output *output(struct planner *b, const struct job *j, int i, int ndim, const int64_t *dim)
{
    struct str name;
    if (make_name(b, j, i, &name) < 0) return NULL;
    if (known(b->p, name)) {
        lar_fail(b->err, LAR_EFORMAT, "tensor %.*s: another one has become %.*s already", STR_ARG(j->w->name),
                 STR_ARG(name));
        return NULL;
    }
    struct output *o = grow(b->p);
    if (!o) {
        no_memory(b);
        return NULL;
    }
    *o = (struct output){.name = name, .ndim = ndim, .dim = {1, 1, 1, 1}, .n = 1};
    for (int k = 0; k < ndim; k++) {
        o->dim[ndim - 1 - k] = dim[k];
        o->n *= dim[k]; /* at most the source's, checked by check_piece */
    }
    return o;
}

static struct piece *add_piece(struct planner *b, struct output *o, const struct weight *w, int64_t order)
{
    struct piece *p = o ? arena_alloc(b->p->a, sizeof *p) : NULL;
    if (!p) {
        if (o) no_memory(b);
        return NULL;
    }
    *p = (struct piece){
        .w = w, .order = order, .ndim = 1, .extent = {w->n}, .stride = {1}, .scale = 1, .next = o->piece};
    o->piece = p;
    o->npiece++;
    return p;
}

/* Appends a piece with a view: VIEW(b, o, w, base, {extent, stride}, ...). */
#define VIEW(b, o, w, base, ...) \
    add_view(b, o, w, base, sizeof(int64_t[][2]){__VA_ARGS__} / sizeof(int64_t[2]), (const int64_t[][2]){__VA_ARGS__})
static int add_view(struct planner *b, struct output *o, const struct weight *w, int64_t base, size_t n,
                    const int64_t (*v)[2])
{
    struct piece *p = add_piece(b, o, w, o ? (int64_t)o->npiece : 0);
    if (!p) return LAR_ENOMEM;
    p->base = base;
    p->ndim = (int)n;
    for (size_t i = 0; i < n; i++) p->extent[i] = v[i][0], p->stride[i] = v[i][1];
    return 0;
}

/* ---- rearrangements -------------------------------------------------------------------------------------------- */

/* Dimensions without the ones in the middle: [c][1][k] of a convolution is [c][k]. */
static int squeeze(const struct weight *w, int64_t dim[4])
{
    int n = 0;
    for (int i = 0; i < w->ndim; i++) {
        if (w->dim[i] == 1 && w->ndim > 2 && i > 0 && i < w->ndim - 1) continue;
        if (n == 4) return -1;
        dim[n++] = w->dim[i];
    }
    if (n == 0) dim[n++] = 1;
    return n;
}

static int same(struct planner *b, const struct job *j, enum value_op op)
{
    int64_t dim[4];
    int n = squeeze(j->w, dim);
    if (n < 0) return bad(b, j, "has more than 4 dimensions");
    struct output *o = output(b, j, 0, n, dim);
    if (!add_piece(b, o, j->w, 0)) return LAR_ENOMEM;
    o->op = op;
    return 0;
}

static int reshaped(struct planner *b, const struct job *j, int64_t rows, enum value_op op)
{
    if (rows < 1 || j->w->n % rows) return bad(b, j, "its length does not fit config.json");
    struct output *o = output(b, j, 0, 2, (int64_t[]){rows, j->w->n / rows});
    if (!add_piece(b, o, j->w, 0)) return LAR_ENOMEM;
    o->op = op;
    return 0;
}

/* Rows: elements of the outermost dimension. */
static int64_t row_of(const struct weight *w) { return w->dim[0] ? w->n / w->dim[0] : 0; }

static struct output *like(struct planner *b, const struct job *j)
{
    int64_t dim[4];
    int n = squeeze(j->w, dim);
    if (n < 0) {
        bad(b, j, "has more than 4 dimensions");
        return NULL;
    }
    return output(b, j, 0, n, dim);
}

static int rope_pairs(struct planner *b, const struct job *j, int64_t heads)
{
    const struct weight *w = j->w;
    if (!(b->f->flags & FAMILY_ROTARY_PAIRS)) return same(b, j, VALUE_SAME);
    if (heads < 1 || w->dim[0] % (2 * heads)) return bad(b, j, "its rows do not divide among config.json's heads");
    int64_t half = w->dim[0] / heads / 2, row = row_of(w);
    return VIEW(b, like(b, j), w, 0, {heads, 2 * half * row}, {half, row}, {2, half * row}, {row, 1});
}

static int transpose(struct planner *b, const struct job *j)
{
    const struct weight *w = j->w;
    if (w->ndim < 2) return same(b, j, VALUE_SAME);
    if (w->ndim > 2) return bad(b, j, "is expected to have two dimensions");
    return VIEW(b, output(b, j, 0, 2, (int64_t[]){w->dim[1], w->dim[0]}), w, 0, {w->dim[1], 1},
                {w->dim[0], w->dim[1]});
}

static int positions(struct planner *b, const struct job *j)
{
    const struct weight *w = j->w;
    uint32_t pad = 1;
    if (config_u32(b->c, "pad_token_id", &pad, b->err) < 0) return LAR_EFORMAT;
    int64_t skip = (int64_t)pad + 1, rows = w->dim[0] - skip, row = row_of(w);
    if (w->ndim != 2 || rows < 1) return bad(b, j, "has no rows behind that of pad_token_id");
    return VIEW(b, output(b, j, 0, 2, (int64_t[]){rows, row}), w, skip * row, {rows * row, 1});
}

static int stack(struct planner *b, const struct job *j)
{
    struct str name;
    if (make_name(b, j, 0, &name) < 0) return LAR_ENOMEM;
    struct output *o = known(b->p, name);
    int64_t dim[4];
    int n = squeeze(j->w, dim);
    if (n < 0 || n > 3) return bad(b, j, "has too many dimensions to be stacked");
    if (!o) {
        if (!(o = output(b, j, 0, n, dim))) return LAR_ENOMEM;
        o->stacked = 1;
    }
    if (o->n != j->w->n || o->dim[0] != dim[n - 1]) return bad(b, j, "its shape differs from that of its siblings");
    return add_piece(b, o, j->w, j->m.number) ? 0 : LAR_ENOMEM;
}

/* [2 r][k] or [e][2 r][k] */
static int halves(struct planner *b, const struct job *j)
{
    const struct weight *w = j->w;
    int64_t e = w->ndim == 3 ? w->dim[0] : 1, rows = w->dim[w->ndim == 3], k = w->ndim == 3 ? w->dim[2] : w->dim[1];
    if (w->ndim < 2 || w->ndim > 3 || rows % 2) return bad(b, j, "expected [experts][2 rows][columns]");
    int64_t r = rows / 2, dim[] = {e, r, k};
    for (int i = 0; i < 2; i++) {
        struct output *o = w->ndim == 3 ? output(b, j, i, 3, dim) : output(b, j, i, 2, dim + 1);
        int rc = VIEW(b, o, w, i * r * k, {e, rows * k}, {r * k, 1});
        if (rc < 0) return rc;
    }
    return 0;
}

static int turns(struct planner *b, const struct job *j)
{
    const struct weight *w = j->w;
    int64_t e = w->dim[0], last = w->dim[w->ndim > 1 ? w->ndim - 1 : 0], k = w->ndim == 3 ? w->dim[1] : 1,
            r = last / 2;
    if (w->ndim < 2 || w->ndim > 3 || last % 2) return bad(b, j, "expected [experts][columns][2 rows]");
    for (int i = 0; i < 2; i++) {
        int rc = w->ndim == 3
                     ? VIEW(b, output(b, j, i, 3, (int64_t[]){e, r, k}), w, i, {e, k * last}, {r, 2}, {k, last})
                     : VIEW(b, output(b, j, i, 2, (int64_t[]){e, r}), w, i, {e, last}, {r, 2});
        if (rc < 0) return rc;
    }
    return 0;
}

static int flip(struct planner *b, const struct job *j)
{
    const struct weight *w = j->w;
    if (w->ndim != 3) return bad(b, j, "expected [experts][columns][rows]");
    int64_t e = w->dim[0], k = w->dim[1], r = w->dim[2];
    return VIEW(b, output(b, j, 0, 3, (int64_t[]){e, r, k}), w, 0, {e, k * r}, {r, 1}, {k, r});
}

static int qkv_heads(struct planner *b, const struct job *j)
{
    const struct weight *w = j->w;
    int64_t h = b->heads, row = row_of(w);
    if (h < 1 || w->dim[0] % (3 * h)) return bad(b, j, "its rows do not divide among config.json's heads");
    int64_t d = w->dim[0] / (3 * h) * row;
    return VIEW(b, like(b, j), w, 0, {3, d}, {h, 3 * d}, {d, 1});
}

static int delta_heads(struct planner *b, const struct job *j)
{
    if (b->key_heads && b->value_heads && b->value_heads % b->key_heads == 0 && b->key_dim && b->value_dim &&
        b->value_heads <= 4096 && b->key_dim <= 4096 && b->value_dim <= 4096)
        return 0;
    return bad(b, j, "config.json's linear_num_key_heads, linear_num_value_heads and their dimensions do not fit");
}

/* [hk][q k v z of it] */
static int qkvz(struct planner *b, const struct job *j)
{
    const struct weight *w = j->w;
    int rc = delta_heads(b, j);
    if (rc < 0) return rc;
    int64_t row = row_of(w), hk = b->key_heads, dk = b->key_dim, v = b->value_heads / b->key_heads * b->value_dim;
    int64_t all = (2 * dk + 2 * v) * row;
    if (w->ndim != 2 || w->dim[0] != hk * (2 * dk + 2 * v))
        return bad(b, j, "its rows do not fit config.json's heads");
    struct output *o = output(b, j, 0, 2, (int64_t[]){hk * (2 * dk + v), row});
    if ((rc = VIEW(b, o, w, 0, {hk, all}, {dk * row, 1})) < 0) return rc;
    if ((rc = VIEW(b, o, w, dk * row, {hk, all}, {dk * row, 1})) < 0) return rc;
    if ((rc = VIEW(b, o, w, 2 * dk * row, {hk, all}, {v * row, 1})) < 0) return rc;
    return VIEW(b, output(b, j, 1, 2, (int64_t[]){hk * v, row}), w, (2 * dk + v) * row, {hk, all}, {v * row, 1});
}

/* Value heads [hk][r][d] -> [r][hk][d], behind `before` rows that stay. */
static int v_rows(struct planner *b, const struct job *j, int64_t before, enum value_op op)
{
    const struct weight *w = j->w;
    int rc = delta_heads(b, j);
    if (rc < 0) return rc;
    int64_t row = row_of(w), hk = b->key_heads, r = b->value_heads / b->key_heads, rows = w->dim[0] - before;
    if (rows < 1 || rows % b->value_heads) return bad(b, j, "its rows do not divide among config.json's value heads");
    int64_t d = rows / b->value_heads * row;
    struct output *o = like(b, j);
    if (before && (rc = VIEW(b, o, w, 0, {before * row, 1})) < 0) return rc;
    if ((rc = VIEW(b, o, w, before * row, {r, d}, {hk, r * d}, {d, 1})) < 0) return rc;
    o->op = op;
    return 0;
}

static int v_columns(struct planner *b, const struct job *j)
{
    const struct weight *w = j->w;
    int rc = delta_heads(b, j);
    if (rc < 0) return rc;
    int64_t hk = b->key_heads, r = b->value_heads / b->key_heads, k = row_of(w);
    if (w->ndim != 2 || k % b->value_heads)
        return bad(b, j, "its columns do not divide among config.json's value heads");
    int64_t d = k / b->value_heads;
    return VIEW(b, like(b, j), w, 0, {w->dim[0], k}, {r, d}, {hk, r * d}, {d, 1});
}

/* [h][nope + v][latent] -> [h][latent][nope], [h][v][latent] */
static int kv_b(struct planner *b, const struct job *j)
{
    const struct weight *w = j->w;
    int64_t h = b->heads, l = b->latent, q = b->nope, v = b->v_head, all = (q + v) * l;
    if (w->ndim != 2 || h < 1 || l < 1 || q < 1 || v < 1 || w->dim[1] != l || w->dim[0] != h * (q + v))
        return bad(b, j, "its shape does not fit config.json's kv_lora_rank, qk_nope_head_dim and v_head_dim");
    int rc = VIEW(b, output(b, j, 0, 3, (int64_t[]){h, l, q}), w, 0, {h, all}, {l, 1}, {q, l});
    return rc < 0 ? rc : VIEW(b, output(b, j, 1, 3, (int64_t[]){h, v, l}), w, q * l, {h, all}, {v * l, 1});
}

static int xielu(struct planner *b, const struct job *j)
{
    static const char *const name[] = {"alpha_p", "alpha_n", "beta", "eps"};
    struct plan *p = b->p;
    if (j->w->n != 1 || j->m.layer >= p->nlayer) return bad(b, j, "one number for each layer is expected");
    if (!p->xielu && !(p->xielu = arena_array(p->a, 4 * (size_t)p->nlayer, sizeof *p->xielu))) return no_memory(b);
    for (int i = 0; i < 4; i++)
        if (str_ends(j->bare, str_of(name[i]))) weight_read(j->w, 0, 1, 1, &p->xielu[i * p->nlayer + j->m.layer]);
    return 0;
}

/* name_blocks U8 [e][rows][groups][16], name_scales U8 [e][rows][groups] */
static int mxfp4(struct planner *b, const struct job *j)
{
    const struct weight *w = j->w;
    struct buf twin = {0};
    buf_add(&twin, w->name.p, w->name.n - strlen("_blocks"));
    buf_puts(&twin, "_scales");
    const struct weight *s = twin.failed ? NULL : weights_find(b->w, buf_view(&twin));
    buf_done(&twin);
    int two = strchr(j->rule->to, '|') != NULL;
    if (!s || w->type != WEIGHT_U8 || s->type != WEIGHT_U8 || w->ndim != 4 || s->ndim != 3 || w->dim[3] != 16 ||
        s->n * 16 != w->n || s->dim[1] != w->dim[1] || s->dim[0] != w->dim[0] || (two && w->dim[1] % 2))
        return bad(b, j, "expected U8 [experts][rows][groups][16] and _scales [experts][rows][groups]");
    for (int i = 0; i <= two; i++) {
        struct output *o = output(b, j, i, 3, (int64_t[]){w->dim[0], w->dim[1] / (1 + two), w->dim[2] * 32});
        if (!o) return LAR_ENOMEM;
        o->blocks = w;
        o->scales = s;
        o->first = i;
        o->step = 1 + two;
    }
    return 0;
}

/* A half of an adapter has the rows (or the columns) of its matrix and is rearranged as those are. */
static int arrange_half(struct planner *b, const struct job *j)
{
    if (j->m.layer < 0 && !str_is(j->bare, "lm_head.weight") && !str_is(j->bare, "embed_out.weight"))
        return bad(b, j, "an adapter of an embedding, which cannot be converted: merge it into the model");
    switch (j->rule->how) {
    case HOW_SAME:
    case HOW_TRANSPOSE: return same(b, j, VALUE_SAME); /* PEFT's halves are those of the matrix turned already */
    case HOW_ROPE_Q: return rope_pairs(b, j, b->heads);
    case HOW_ROPE_K: return rope_pairs(b, j, b->kv_heads);
    case HOW_QKV_HEADS: return qkv_heads(b, j);
    case HOW_QKVZ: return qkvz(b, j);
    case HOW_V_ROWS: return v_rows(b, j, 0, VALUE_SAME);
    case HOW_V_TAIL: return v_rows(b, j, 2 * (int64_t)b->key_heads * b->key_dim, VALUE_SAME);
    case HOW_V_COLUMNS: return v_columns(b, j);
    default: return bad(b, j, "an adapter of a matrix that is taken apart or put together: merge it into the model");
    }
}

static int leave_out(struct planner *b, const struct weight *w)
{
    struct plan *p = b->p;
    if (!p->head && !(p->head = arena_array(p->a, b->w->n, sizeof *p->head))) return no_memory(b);
    p->head[p->nhead++] = w;
    return 0;
}

static int arrange(struct planner *b, const struct job *j)
{
    int plus = b->f->flags & FAMILY_NORM_PLUS_ONE && str_ends(j->bare, STR("norm.weight")) &&
               !str_ends(j->bare, STR("linear_attn.norm.weight"));
    if (plus) return same(b, j, VALUE_PLUS_ONE);
    switch (j->rule->how) {
    case HOW_SAME: return same(b, j, VALUE_SAME);
    case HOW_SKIP: return 0;
    case HOW_HEAD: return leave_out(b, j->w);
    case HOW_ROPE_Q: return rope_pairs(b, j, b->heads);
    case HOW_ROPE_K: return rope_pairs(b, j, b->kv_heads);
    case HOW_PLUS_ONE: return same(b, j, VALUE_PLUS_ONE);
    case HOW_NEG_EXP: return same(b, j, VALUE_NEG_EXP);
    case HOW_COLUMN: return reshaped(b, j, j->w->n, VALUE_SAME);
    case HOW_COLUMN_NEG_EXP: return reshaped(b, j, j->w->n, VALUE_NEG_EXP);
    case HOW_GROUPS: return reshaped(b, j, b->groups, VALUE_SAME);
    case HOW_TRANSPOSE: return transpose(b, j);
    case HOW_STACK: return stack(b, j);
    case HOW_HALVES: return halves(b, j);
    case HOW_TURNS: return turns(b, j);
    case HOW_FLIP: return flip(b, j);
    case HOW_QKV_HEADS: return qkv_heads(b, j);
    case HOW_QKVZ: return qkvz(b, j);
    case HOW_V_ROWS: return v_rows(b, j, 0, VALUE_SAME);
    case HOW_V_ROWS_NEG_EXP: return v_rows(b, j, 0, VALUE_NEG_EXP);
    case HOW_V_TAIL: return v_rows(b, j, 2 * (int64_t)b->key_heads * b->key_dim, VALUE_SAME);
    case HOW_V_COLUMNS: return v_columns(b, j);
    case HOW_POSITIONS: return positions(b, j);
    case HOW_KV_B: return kv_b(b, j);
    case HOW_XIELU: return xielu(b, j);
    case HOW_MXFP4: return mxfp4(b, j);
    }
    return bad(b, j, "no way is known");
}

/* ---- factors --------------------------------------------------------------------------------------------------- */

/* 8-bit floats come with factors: NAME_scale_inv (DeepSeek's form, blocks) or NAME_scale (one a row, or one). */
static int find_scales(struct planner *b, const struct job *j, struct piece *p)
{
    static const char *const tail[] = {"_scale_inv", "_scale"};
    const struct weight *w = j->w, *s = NULL;
    uint32_t side[2] = {128, 128};
    if (w->type != WEIGHT_F8_E4M3 && w->type != WEIGHT_F8_E5M2) return 0;
    for (int i = 0; i < 2 && !s; i++) {
        struct buf name = {0};
        buf_str(&name, w->name);
        buf_puts(&name, tail[i]);
        s = name.failed ? NULL : weights_find(b->w, buf_view(&name));
        buf_done(&name);
    }
    if (!s) return bad(b, j, "is of 8-bit floats, but has no _scale_inv or _scale beside it");
    const struct json *q = config_find(b->c, "quantization_config"), *size = config_in(q, "weight_block_size");
    if (size && size->kind == JSON_ARRAY && size->n == 2)
        for (int i = 0; i < 2; i++) {
            double d = json_num(i ? size->child->next : size->child, 0);
            if (d >= 1 && d <= 1 << 20) side[i] = (uint32_t)d;
        }
    p->scales = s;
    for (int i = 0; i < 2; i++) {
        int64_t have = i < s->ndim ? s->dim[i] : 1, length = w->dim[i];
        p->block[i] = have == length ? 1 : have == 1 ? length : side[i];
        if (w->ndim != 2 || s->ndim > 2 || p->block[i] < 1 || (length + p->block[i] - 1) / p->block[i] != have)
            return bad(b, j, "the shape of its factors does not fit");
    }
    return 0;
}

static int is_factor(const struct planner *b, struct str name)
{
    static const char *const tail[] = {"_scale_inv", "_scale", ".activation_scale", ".input_scale"};
    for (int i = 0; i < 4; i++) {
        if (!str_ends(name, str_of(tail[i]))) continue;
        if (i >= 2) return 1;
        const struct weight *w = weights_find(b->w, (struct str){name.p, name.n - strlen(tail[i])});
        return w && (w->type == WEIGHT_F8_E4M3 || w->type == WEIGHT_F8_E5M2);
    }
    return 0;
}

static double multiplier(const struct planner *b, const char *name, int i)
{
    const struct json *v = config_find(b->c, name);
    if (!v) return 1;
    if (v->kind == JSON_ARRAY) {
        for (v = v->child; v && i > 0; i--) v = v->next;
        return json_num(v, 1);
    }
    return json_num(v, 1);
}

/* Falcon-H1 multiplies what its layers read and give by constants; they go into the weights. The rows of a state space's input are
 * z, x, B, C, dt, each with its own. */
static int falcon_h1(struct planner *b, const struct job *j, struct output *o)
{
    static const struct {
        const char *name, *factor;
        int i;
    } all[] = {
        {"down_proj", "mlp_multipliers", 1},
        {"gate_proj", "mlp_multipliers", 0},
        {"self_attn.k_proj", "key_multiplier", 0},
        {"self_attn.o_proj", "attention_out_multiplier", 0},
        {"mamba.out_proj", "ssm_out_multiplier", 0},
        {"lm_head", "lm_head_multiplier", 0},
        {"embed_tokens", "embedding_multiplier", 0},
        {"self_attn.q_proj", "attention_in_multiplier", 0},
        {"self_attn.k_proj", "attention_in_multiplier", 0},
        {"self_attn.v_proj", "attention_in_multiplier", 0},
    };
    struct str stem = {j->bare.p, j->bare.n - j->m.suffix.n};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (str_ends(stem, str_of(all[i].name))) o->piece->scale *= (float)multiplier(b, all[i].factor, all[i].i);
    if (!str_ends(stem, STR("mamba.in_proj"))) return 0;
    uint32_t inner = 0, group = 0, state = 0, expand = 2;
    if (config_u32(b->c, "hidden_size", &inner, b->err) < 0 || config_u32(b->c, "mamba_expand", &expand, b->err) < 0)
        return LAR_EFORMAT;
    inner = (uint64_t)inner * expand > INT32_MAX ? 0 : inner * expand;
    if (config_u32(b->c, "mamba_d_ssm", &inner, b->err) < 0 ||
        config_u32(b->c, "mamba_n_groups", &group, b->err) < 0 ||
        config_u32(b->c, "mamba_d_state", &state, b->err) < 0)
        return LAR_EFORMAT;
    int64_t row = row_of(j->w), gs = (int64_t)group * state, at = 0;
    int64_t rows[5] = {inner, inner, gs, gs, j->w->dim[0] - 2 * (int64_t)inner - 2 * gs};
    o->piece = NULL;
    o->npiece = 0;
    for (int i = 0; i < 5; i++) {
        if (rows[i] < 1)
            return bad(b, j, "its rows do not fit config.json's mamba_d_ssm, mamba_n_groups and mamba_d_state");
        int rc = VIEW(b, o, j->w, at * row, {rows[i] * row, 1});
        if (rc < 0) return rc;
        o->piece->scale = (float)(multiplier(b, "ssm_in_multiplier", 0)) * (float)multiplier(b, "ssm_multipliers", i);
        at += rows[i];
    }
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

/* Pieces in their order; what they read lies within their source. */
static int check_piece(struct planner *b, const struct output *o, const struct piece *p, int64_t *n)
{
    int64_t last = p->base, count = 1, step;
    for (int i = 0; i < p->ndim; i++) {
        if (p->extent[i] < 1 || p->stride[i] < 0 || __builtin_mul_overflow(p->extent[i] - 1, p->stride[i], &step) ||
            __builtin_add_overflow(last, step, &last) || __builtin_mul_overflow(count, p->extent[i], &count))
            last = INT64_MAX;
    }
    if (p->base < 0 || last >= p->w->n || __builtin_add_overflow(*n, count, n))
        return lar_fail(b->err, LAR_EFORMAT, "tensor %.*s: its shape does not fit what config.json says of %.*s",
                        STR_ARG(p->w->name), STR_ARG(o->name));
    return 0;
}

static int finish(struct planner *b, struct output *o)
{
    int64_t n = 0;
    if (o->made || o->blocks) return 0;
    struct piece *all = arena_array(b->p->a, o->npiece, sizeof *all);
    if (!all) return no_memory(b);
    for (struct piece *p = o->piece; p; p = p->next) {
        if (p->order < 0 || p->order >= (int64_t)o->npiece || all[p->order].w)
            return lar_fail(b->err, LAR_EFORMAT, "tensor %.*s: of its siblings some are missing (it would be %.*s)",
                            STR_ARG(p->w->name), STR_ARG(o->name));
        all[p->order] = *p;
    }
    o->piece = all;
    for (size_t i = 0; i < o->npiece; i++) {
        int rc = check_piece(b, o, &all[i], &n);
        if (rc < 0) return rc;
    }
    if (o->stacked) {
        o->dim[o->ndim++] = (int64_t)o->npiece;
        o->n = n;
    }
    int64_t product = 1;
    for (int i = 0; i < 4; i++)
        if (o->dim[i] < 1 || __builtin_mul_overflow(product, o->dim[i], &product)) product = -1;
    if (product != n || o->n != n)
        return lar_fail(b->err, LAR_EFORMAT, "tensor %.*s: its shape does not fit what config.json says",
                        STR_ARG(o->name));
    return 0;
}

static int unknown(struct planner *b, const struct weight *w)
{
    return lar_fail(
        b->err, LAR_EUNSUPPORTED,
        "tensor %.*s is no part of a %s model that lar convert knows; without it the model would answer wrongly",
        STR_ARG(w->name), b->f->arch);
}

static int add_weight(struct planner *b, const struct weight *w)
{
    struct job j = {.w = w, .bare = family_bare(w->name)};
    size_t before = b->p->n;
    int outside = !(b->f->flags & FAMILY_READS) && family_other_part(j.bare);
    if (outside && b->lora)
        return bad(b, &j, "an adapter of a part that is not converted (vision, audio, further tokens)");
    if (outside) return b->p->other++, 0;
    if (is_factor(b, w->name)) return 0;
    j.rule = family_rule(b->f, j.bare, &j.m);
    if (!j.rule) return unknown(b, w);
    if (j.m.layer >= b->p->nlayer) { /* layers behind the last predict further tokens */
        int further = j.m.layer < b->p->nlayer + 8 && config_find(b->c, "num_nextn_predict_layers");
        if (further && !b->lora) return b->p->other++, 0;
        return bad(b, &j, "is of a layer that config.json does not count");
    }
    if (w->n < 1) return bad(b, &j, "is empty");
    if (str_is(j.bare, "lm_head.weight") && json_bool(config_find(b->c, "tie_word_embeddings"), 0))
        return b->lora ? bad(b, &j, "an adapter of an output that is the embedding: merge it into the model") : 0;
    int rc = b->lora ? arrange_half(b, &j) : arrange(b, &j);
    if (rc < 0) return rc;
    int scaled = w->type == WEIGHT_F8_E4M3 || w->type == WEIGHT_F8_E5M2;
    if (scaled && j.rule->how == HOW_STACK) { /* the newest piece of an output that may be an old one */
        struct str name;
        if (make_name(b, &j, 0, &name) < 0) return LAR_ENOMEM;
        return find_scales(b, &j, known(b->p, name)->piece);
    }
    for (size_t i = before; i < b->p->n && scaled; i++)
        for (struct piece *p = b->p->out[i].piece; p; p = p->next)
            if ((rc = find_scales(b, &j, p)) < 0) return rc;
    return b->p->n > before && !strcmp(b->f->arch, "falcon-h1") ? falcon_h1(b, &j, &b->p->out[before]) : 0;
}

static int read_shape(struct planner *b)
{
    const struct config *c = b->c;
    uint32_t layers = 0;
    const struct {
        const char *names;
        uint32_t *out;
    } number[] = {
        {"num_hidden_layers|n_layer|n_layers|num_layers", &layers},
        {"num_attention_heads|n_head|n_heads", &b->heads},
        {"linear_num_key_heads", &b->key_heads},
        {"linear_num_value_heads", &b->value_heads},
        {"linear_key_head_dim", &b->key_dim},
        {"linear_value_head_dim", &b->value_dim},
        {"kv_lora_rank", &b->latent},
        {"qk_nope_head_dim", &b->nope},
        {"v_head_dim", &b->v_head},
    };
    for (size_t i = 0; i < sizeof number / sizeof *number; i++)
        if (config_u32(c, number[i].names, number[i].out, b->err) < 0) return LAR_EFORMAT;
    b->kv_heads = b->heads;
    b->groups = 1;
    if (config_u32(c, "num_key_value_heads|n_kv_heads", &b->kv_heads, b->err) < 0) return LAR_EFORMAT;
    if (config_u32(c, "mamba_n_groups|n_groups", &b->groups, b->err) < 0) return LAR_EFORMAT;
    if (layers < 1 || layers > 4096)
        return lar_fail(b->err, LAR_EFORMAT, "%s/config.json: num_hidden_layers is missing or %u", buf_z(&c->folder),
                        layers);
    b->p->nlayer = layers;
    return 0;
}

static int check_method(struct planner *b)
{
    const struct json *q = config_find(b->c, "quantization_config");
    struct str how = json_str(config_in(q, "quant_method"), STR(""));
    if (!how.n || str_is(how, "fp8") || str_is(how, "mxfp4")) return 0;
    for (size_t i = 0; i < b->w->n && str_is(how, "compressed-tensors"); i++)
        if (b->w->w[i].type == WEIGHT_F8_E4M3) return 0;
    return lar_fail(
        b->err, LAR_EUNSUPPORTED,
        "%s: its weights are quantised by \"%.*s\", which cannot be converted; take the model they were made from",
        buf_z(&b->c->folder), STR_ARG(how));
}

static int make(struct planner *b, struct arena *a)
{
    struct plan *p = b->p;
    *p = (struct plan){.a = a};
    int rc = read_shape(b);
    if (rc == 0 && !b->lora) rc = check_method(b); /* an adapter does not care how its base is stored */
    for (size_t i = 0; i < b->w->n && rc == 0; i++) rc = add_weight(b, &b->w->w[i]);
    for (size_t i = 0; i < p->n && rc == 0; i++) rc = finish(b, &p->out[i]);
    return rc;
}

int plan_make(struct plan *p, const struct family *f, const struct config *c, const struct weights *w,
              struct arena *a, struct lar_err *err)
{
    struct planner b = {.p = p, .f = f, .c = c, .w = w, .err = err};
    return make(&b, a);
}

int plan_make_lora(struct plan *p, const struct family *f, const struct config *c, const struct weights *w,
                   struct arena *a, struct lar_err *err)
{
    struct planner b = {.p = p, .f = f, .c = c, .w = w, .err = err, .lora = 1};
    return make(&b, a);
}

int plan_add(struct plan *p, const char *name, const float *v, int64_t n, int64_t row, struct lar_err *err)
{
    struct output *o = grow(p);
    float *copy = arena_array(p->a, (size_t)n, sizeof *copy);
    if (!o || !copy) return lar_fail(err, LAR_ENOMEM, "tensor %s: out of memory", name);
    memcpy(copy, v, (size_t)n * sizeof *v);
    struct str own = {arena_copy(p->a, name, strlen(name)), strlen(name)};
    if (!own.p) return lar_fail(err, LAR_ENOMEM, "tensor %s: out of memory", name);
    *o = (struct output){
        .name = own, .ndim = n == row ? 1 : 2, .dim = {row, n / row, 1, 1}, .n = n, .made = copy};
    return 0;
}
