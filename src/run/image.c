/* SPDX-License-Identifier: Apache-2.0
 * run/image.c: see image.h. Everything in an image is checked before anything of the session is touched. */
#include "run/image.h"

#include <stdio.h>
#include <string.h>

#include "base/cursor.h"

static const char MAGIC[] = "LARIMAGE";
enum { VERSION = 1, AT_SUM = 120, KEY_MOST = 4096, SAMPLE = 256, SAMPLES = 4 };

/* ---- whose it is ----------------------------------------------------------------------------------------------------------- */

static void add_number(struct sha256 *h, uint64_t v) { sha256_add(h, &v, sizeof v); }

static void add_text(struct sha256 *h, struct str s)
{
    add_number(h, s.n);
    sha256_add(h, s.p, s.n);
}

void image_model(const struct model *m, char id[SHA256_HEX + 1])
{
    struct sha256 h;
    sha256_init(&h);
    add_text(&h, str_of(m->arch->name));
    for (size_t i = 0; i < m->gguf.nkv; i++) {
        const struct gguf_kv *k = &m->gguf.kv[i];
        if (k->key.n > 10 && memcmp(k->key.p, "tokenizer.", 10) == 0) continue;
        add_text(&h, k->key);
        add_number(&h, k->type);
        add_text(&h, (struct str){(const char *)k->data,
                                  k->bytes < KEY_MOST ? (size_t)k->bytes : KEY_MOST});
    }
    for (size_t i = 0; i < m->gguf.ntensor; i++) {
        const struct gguf_tensor *t = &m->gguf.tensor[i];
        add_text(&h, t->name);
        add_number(&h, t->type);
        for (int d = 0; d < 4; d++) add_number(&h, (uint64_t)t->dim[d]);
        uint64_t n = t->bytes < SAMPLE ? t->bytes : SAMPLE, rest = t->bytes - n;
        for (uint64_t k = 0; k < SAMPLES; k++)
            sha256_add(&h, t->data + rest / (SAMPLES - 1) * k, (size_t)n);
    }
    sha256_end(&h, id);
}

void image_identity(const struct session *s, const char *model, const char *extra,
                    char id[SHA256_HEX + 1])
{
    struct sha256 h;
    sha256_init(&h);
    add_text(&h, str_of(model));
    add_text(&h, str_of(extra));
    for (size_t i = 0; i < s->model->nalways + s->nlow; i++) {
        const struct adapter *l =
            i < s->model->nalways ? s->model->always[i] : s->adapter[i - s->model->nalways];
        const struct dev_low *d =
            i < s->model->nalways ? &s->model->dev->always[i] : &s->low[i - s->model->nalways];
        add_text(&h, str_of(l->id));
        sha256_add(&h, &d->scale, sizeof d->scale);
    }
    add_number(&h, (uint64_t)s->kind);
    add_number(&h, s->model->rope_long && s->ctx > s->model->rope_long_above);
    sha256_end(&h, id);
}

/* Four lanes, each changed for good by any word that differs: a multiplication by an odd number loses nothing. */
static uint64_t sum_of(uint64_t seed, const uint8_t *p, size_t n)
{
    const uint64_t odd = 0x9e3779b97f4a7c15u;
    uint64_t lane[4] = {seed + 1, seed + 2, seed + 3, seed + 4}, w[4], all = n;
    for (; n >= sizeof w; n -= sizeof w, p += sizeof w) {
        memcpy(w, p, sizeof w);
        for (int i = 0; i < 4; i++) {
            lane[i] = (lane[i] ^ w[i]) * odd;
            lane[i] ^= lane[i] >> 32;
        }
    }
    memset(w, 0, sizeof w);
    if (n) memcpy(w, p, n);
    for (int i = 0; i < 4; i++) {
        all = (all ^ lane[i] ^ (w[i] * odd)) * odd;
        all ^= all >> 29;
    }
    return all;
}

uint64_t image_sum(const uint8_t *p, size_t bytes)
{
    return sum_of(sum_of(0, p, AT_SUM), p + IMAGE_HEAD, bytes - IMAGE_HEAD);
}

/* ---- how much it is -------------------------------------------------------------------------------------------------------- */

/* Bytes of one position of all layers; calls copy for each stretch of rows in a block when p is not NULL. */
static size_t rows_of(const struct session *s, uint8_t *block, size_t first, size_t n, uint8_t *p,
                      int out)
{
    size_t at = 0;
    for (size_t i = 0; i < s->model->h.nlayer; i++) {
        const struct dev_kv_layer *l = &s->layout[i];
        size_t nkv = s->model->layer[i].attn.nkv;
        if (s->model->layer[i].kv_from != i) continue;
        for (int v = 0; v < (l->v_at == l->k_at ? 1 : 2); v++) {
            size_t row = v ? l->v_row : l->k_row, base = v ? l->v_at : l->k_at;
            for (size_t h = 0; h < nkv; h++, at += n * row) {
                if (!p || !row) continue;
                uint8_t *b = block + base + (h * DEV_KV_BLOCK + first) * row;
                memcpy(out ? p + at : b, out ? b : p + at, n * row);
            }
        }
    }
    return at;
}

/* Moves keys and values of positions from .. from + n - 1. */
static void move_rows(const struct session *s, size_t from, size_t n, uint8_t *p, int out)
{
    while (n) {
        size_t first = from % DEV_KV_BLOCK,
               take = DEV_KV_BLOCK - first < n ? DEV_KV_BLOCK - first : n;
        p += rows_of(s, s->kv.block[from / DEV_KV_BLOCK], first, take, p, out);
        from += take;
        n -= take;
    }
}

/* -1: more than a size can say. */
static int total(const struct session *s, uint64_t n, uint64_t nstate, uint64_t nlogit, size_t *out)
{
    size_t kv, states, logits, all;
    size_t one = rows_of(s, NULL, 0, 1, NULL, 1) + sizeof(int32_t);
    if (n > s->ctx || mul_size((size_t)n, one, &kv) ||
        mul_size((size_t)nstate, 8 + s->model->state_floats * sizeof(float), &states) ||
        mul_size((size_t)nlogit, sizeof(float), &logits) || add_size(kv, states, &all) ||
        add_size(all, logits, &all))
        return -1;
    return add_size(all, IMAGE_HEAD, out);
}

/* The states of that image: where, and their floats. */
struct states {
    size_t n, at[IMAGE_STATES];
    float *p[IMAGE_STATES];
};

static struct states states_of(const struct session *s)
{
    struct states a = {0};
    if (!s->state) return a;
    a.at[0] = s->n;
    a.p[a.n++] = s->state;
    for (int i = 0; i < 2; i++) {
        if (!s->check[i].n || s->check[i].n > s->n) continue;
        a.at[a.n] = s->check[i].n;
        a.p[a.n++] = s->check[i].state;
    }
    return a;
}

/* Those that go into an image that ends at `end`. */
static struct states chosen(const struct session *s, size_t end, enum image_with with)
{
    struct states a = states_of(s), b = {0};
    for (size_t i = 0; i < a.n; i++) {
        if (with == IMAGE_SLICE && (a.at[i] != end || b.n)) continue;
        b.at[b.n] = a.at[i];
        b.p[b.n++] = a.p[i];
    }
    return b;
}

size_t image_places(const struct session *s, size_t place[IMAGE_STATES])
{
    struct states a = states_of(s);
    for (size_t i = 0; i < a.n; i++) place[i] = a.at[i];
    return a.n;
}

static size_t logits_of(const struct session *s, enum image_with with)
{
    return with == IMAGE_WHOLE && s->has_logits ? s->model->h.vocab : 0;
}

int64_t image_bytes(const struct session *s, size_t from, size_t n, enum image_with with,
                    struct lar_err *err)
{
    size_t bytes;
    if (n > s->n || from > s->n - n)
        return lar_fail(err, LAR_EINVAL, "image: tokens %zu to %zu of a timeline of %zu", from,
                        from + n, s->n);
    struct states a = chosen(s, from + n, with);
    if (s->state && (from || !a.n || a.at[0] != from + n))
        return lar_fail(err, LAR_EINVAL, "image: the state after %zu tokens is not kept", from + n);
    if (total(s, n, a.n, logits_of(s, with), &bytes))
        return lar_fail(err, LAR_ELIMIT, "image: %zu tokens are too many", n);
    return (int64_t)bytes;
}

/* ---- out and in ------------------------------------------------------------------------------------------------------------ */

static uint8_t *put(uint8_t *p, const void *from, size_t n)
{
    if (n) memcpy(p, from, n);
    return p + n;
}

static uint8_t *put_u32(uint8_t *p, uint32_t v) { return put(p, &v, sizeof v); }
static uint8_t *put_u64(uint8_t *p, uint64_t v) { return put(p, &v, sizeof v); }

void image_write(const struct session *s, const char *id, size_t from, size_t n,
                 enum image_with with, uint8_t *out)
{
    struct states a = chosen(s, from + n, with);
    size_t nlogit = logits_of(s, with), floats = s->model->state_floats;
    uint8_t *p = put(out, MAGIC, 8);
    p = put_u32(p, VERSION);
    p = put_u32(p, (uint32_t)s->kind);
    p = put(p, id, SHA256_HEX);
    p = put_u64(p, from);
    p = put_u64(p, n);
    p = put_u64(p, s->length);
    p = put_u64(p, s->ctx);
    p = put_u32(p, (uint32_t)a.n);
    p = put_u32(p, (uint32_t)nlogit);
    p = put_u64(p, 0);
    p = put(p, s->tokens + from, n * sizeof *s->tokens);
    move_rows(s, from, n, p, 1);
    p += n * rows_of(s, NULL, 0, 1, NULL, 1);
    for (size_t i = 0; i < a.n; i++) {
        p = put_u64(p, a.at[i]);
        p = put(p, a.p[i], floats * sizeof(float));
    }
    p = put(p, s->work.logits.p, nlogit * sizeof(float));
    put_u64(out + AT_SUM, image_sum(out, (size_t)(p - out)));
}

struct image_head {
    uint32_t version, kind, nstate, nlogit;
    const uint8_t *id;
    uint64_t from, n, length, ctx, sum;
};

/* Whether it is as it was written. */
static int read_head(struct image_head *h, const uint8_t *p, size_t bytes, struct lar_err *err)
{
    struct cursor c = cursor_of(p, bytes);
    const uint8_t *magic = cursor_take(&c, 8);
    h->version = cursor_u32(&c);
    h->kind = cursor_u32(&c);
    h->id = cursor_take(&c, SHA256_HEX);
    h->from = cursor_u64(&c);
    h->n = cursor_u64(&c);
    h->length = cursor_u64(&c);
    h->ctx = cursor_u64(&c);
    h->nstate = cursor_u32(&c);
    h->nlogit = cursor_u32(&c);
    h->sum = cursor_u64(&c);
    if (c.failed || memcmp(magic, MAGIC, 8) != 0)
        return lar_fail(err, LAR_EFORMAT, "image: this is none");
    if (h->version != VERSION)
        return lar_fail(err, LAR_EFORMAT, "image: of version %u, this program reads %d", h->version,
                        VERSION);
    if (image_sum(p, bytes) != h->sum)
        return lar_fail(err, LAR_EFORMAT, "image: damaged, its checksum is wrong");
    return 0;
}

/* Whether it is whole, and goes on from where this session is. */
static int fits_here(const struct session *s, const struct image_head *h, const char *id,
                     size_t bytes, struct lar_err *err)
{
    size_t want;
    if (memcmp(h->id, id, SHA256_HEX) != 0 || h->kind != (uint32_t)s->kind)
        return lar_fail(err, LAR_EINVAL,
                        "image: of another model, or other adapters or kind of keys and values");
    if (h->from != s->n)
        return lar_fail(err, LAR_EINVAL, "image: of tokens from %llu on, the timeline has %zu",
                        (unsigned long long)h->from, s->n);
    if (h->n > s->ctx - s->n)
        return lar_fail(err, LAR_ELIMIT, "image: %llu tokens, the context of %zu has room for %zu",
                        (unsigned long long)h->n, s->ctx, s->ctx - s->n);
    if (h->nstate > IMAGE_STATES || (h->nlogit && h->nlogit != s->model->h.vocab) ||
        total(s, h->n, h->nstate, h->nlogit, &want) || want != bytes)
        return lar_fail(err, LAR_EFORMAT, "image: %zu bytes do not fit what its head says", bytes);
    if (!rope_alike(s->model, h->length, h->ctx, s->n ? s->length : h->length, s->ctx))
        return lar_fail(err, LAR_EINVAL,
                        "image: keys of a text of %llu tokens are turned otherwise here",
                        (unsigned long long)h->length);
    if (h->length < h->from + h->n || h->length > h->ctx || h->ctx > (uint64_t)1 << 32)
        return lar_fail(err, LAR_EFORMAT, "image: a text of %llu tokens in a context of %llu",
                        (unsigned long long)h->length, (unsigned long long)h->ctx);
    return 0;
}

static int32_t token_at(const uint8_t *p, size_t i)
{
    int32_t v;
    memcpy(&v, p + i * sizeof v, sizeof v);
    return v;
}

/* Of a recurrent model: the first state is that of the end, the others of places before it. */
static int check_states(const struct session *s, const struct image_head *h, const uint8_t *p,
                        struct lar_err *err)
{
    size_t bytes = s->model->state_floats * sizeof(float);
    if (!s->state != !h->nstate || (s->state && h->from))
        return lar_fail(err, LAR_EFORMAT, "image: a state is missing or too many");
    for (size_t i = 0; i < h->nstate; i++) {
        uint64_t at;
        memcpy(&at, p + i * (8 + bytes), sizeof at);
        if (i ? at == 0 || at > h->n : at != h->n)
            return lar_fail(err, LAR_EFORMAT, "image: state %zu is of no place", i);
    }
    return 0;
}

static void take_states(struct session *s, size_t n, const uint8_t *p)
{
    size_t bytes = s->model->state_floats * sizeof(float);
    for (int i = 0; s->state && i < 2; i++) s->check[i].n = 0;
    for (size_t i = 0; i < n; i++, p += 8 + bytes) {
        uint64_t at;
        memcpy(&at, p, sizeof at);
        memcpy(i ? s->check[i - 1].state : s->state, p + 8, bytes);
        if (i) s->check[i - 1].n = (size_t)at;
    }
    if (n == 1) session_keep(s);
}

int64_t image_read(struct session *s, const char *id, const uint8_t *p, size_t bytes,
                   struct lar_err *err)
{
    struct image_head h;
    int rc = read_head(&h, p, bytes, err);
    if (rc == 0) rc = fits_here(s, &h, id, bytes, err);
    if (rc < 0) return rc;
    size_t n = (size_t)h.n, one = rows_of(s, NULL, 0, 1, NULL, 0);
    const uint8_t *tokens = p + IMAGE_HEAD, *rows = tokens + n * sizeof *s->tokens,
                  *states = rows + n * one;
    for (size_t i = 0; i < n; i++) {
        int32_t t = token_at(tokens, i);
        if (t < 0 || (size_t)t >= s->model->h.vocab)
            return lar_fail(err, LAR_EFORMAT, "image: token %zu is %d", i, t);
    }
    if ((rc = check_states(s, &h, states, err)) < 0) return rc;
    kv_grow(&s->kv, s->n, s->n + n);
    move_rows(s, s->n, n, (uint8_t *)(uintptr_t)rows, 0); /* only read from */
    for (size_t i = 0; i < n; i++) s->tokens[s->n + i] = token_at(tokens, i);
    s->n += n;
    if (s->length < h.length) s->length = (size_t)h.length;
    take_states(s, h.nstate, states);
    s->has_logits = h.nlogit > 0;
    if (h.nlogit)
        memcpy(s->work.logits.p, states + h.nstate * (8 + s->model->state_floats * sizeof(float)),
               h.nlogit * sizeof(float));
    return (int64_t)n;
}
