/* SPDX-License-Identifier: Apache-2.0
 *
 * text/grammar_sample.c: random texts that a grammar accepts, without any model.
 *
 * A walk byte by byte over the machine: of the bytes that lead on one is drawn, those that close something more often than their share, white
 * space seldom. A text that has grown long enough is brought to its end: what is being read is completed by a short text of its
 * expression, objects and arrays are closed as soon as they may be, of values the plain ones are taken. That ends for almost every grammar;
 * where a schema asks for branch upon branch it may not, and then another walk is begun. The texts are no fair draw from the language. */
#include "base/rng.h"
#include "text/grammar_impl.h"

enum { WALK_MAX = 1 << 14, TRIES = 8, SHORT_MAX = 512 };

struct walk {
    struct grammar *g;
    struct rng r;
    struct buf *out;
    uint32_t state;
    size_t from, soft; /* where the text begins; how long it grows before it is ended */
};

static int take(struct walk *w, struct str s)
{
    uint32_t to = s.n ? grammar_walk(w->g, w->state, s, NULL) : 0;
    if (!to) return 0;
    w->state = to;
    buf_str(w->out, s);
    return 1;
}

/* s as it stands in a JSON string, and with end the quote behind it. */
static int take_escaped(struct walk *w, struct str s, int end)
{
    struct buf b = {.limit = 8 * SHORT_MAX};
    buf_json_str(&b, s);
    int ok = b.n > 1 && !b.failed && take(w, (struct str){b.p + 1, b.n - 2 + (size_t)end});
    buf_done(&b);
    return ok;
}

static int take_short(struct walk *w, uint32_t a, int quoted)
{
    char text[SHORT_MAX];
    int n = rx_short(w->g->rx, a, text, sizeof text);
    if (n < 0 || (n == 0 && !quoted)) return 0;
    struct str s = {text, (size_t)n};
    return quoted ? take_escaped(w, s, 1) : take(w, s);
}

static int end_key(struct walk *w, const struct item *it)
{
    const struct schema_obj *o = w->g->os[it->a].o;
    struct kstate k = w->g->ks[it->b];
    for (int required = 1; required >= 0; required--)
        for (uint32_t i = k.lo; i < k.hi; i++)
            if (o->name[i].required == required && json_name_can(w->g, it, i) &&
                take_escaped(w, str_from(o->name[i].name, k.at), 1))
                return 1;
    for (uint32_t i = 0; i < k.n; i++)
        if (k.rx[i] != RX_EMPTY && take_short(w, k.rx[i], 1)) return 1;
    return 0;
}

/* Completes the text that is being read, if one is. */
static int end_text(struct walk *w)
{
    struct state s = w->g->state[w->state];
    for (uint32_t i = 0; i < s.n && !w->g->failed; i++) {
        struct item it = w->g->item[w->g->ids[s.items + i]];
        if (it.kind == I_KEY && it.c == 0 && end_key(w, &it)) return 1;
        if (it.kind == I_STRING && it.b == 0 && take_short(w, it.a, 1)) return 1;
        if ((it.kind == I_SCALAR || it.kind == I_TERM) && take_short(w, it.a, 0)) return 1;
    }
    return 0;
}

static unsigned weight(unsigned b)
{
    if (b == '"') return 384;
    if (b == ',') return 256;
    if (b && strchr("}]{[", (int)b)) return 192;
    if (b == '\\') return 1;
    return b <= ' ' || b >= 0x80 ? 8 : 64;
}

static int draw(struct walk *w, const struct rx_set *can)
{
    uint64_t sum = 0;
    for (unsigned b = 0; b < 256; b++) sum += rx_set_has(can, b) ? weight(b) : 0;
    if (!sum) return 0;
    uint64_t at = rng_u64(&w->r) % sum;
    for (unsigned b = 0; b < 256; b++) {
        unsigned k = rx_set_has(can, b) ? weight(b) : 0;
        if (at < k) return take(w, (struct str){(const char[]){(char)b}, 1});
        at -= k;
    }
    return 0;
}

/* Towards the end: what closes first, then plain values, then what must be. */
static int close(struct walk *w, const struct rx_set *can)
{
    if (end_text(w)) return 1;
    for (const char *c = w->g->gbnf.nnode ? "}])0\"" : "}],ntf0\""; *c; c++)
        if (rx_set_has(can, (unsigned char)*c) && take(w, (struct str){c, 1})) return 1;
    return draw(w, can);
}

/* How many of the last bytes could be a number's: long ones and those with exponents say more than others' readers can hold. */
static size_t digits(const struct walk *w)
{
    size_t n = 0;
    while (n < w->out->n - w->from && strchr("0123456789.-", w->out->p[w->out->n - 1 - n])) n++;
    return n;
}

static void without(struct rx_set *can, const char *bytes)
{
    struct rx_set s = *can;
    for (const char *c = bytes; *c; c++) s.w[*c >> 6] &= ~((uint64_t)1 << (*c & 63));
    if (s.w[0] | s.w[1] | s.w[2] | s.w[3]) *can = s;
}

/* 1 when the text is whole, 0 when it grew too long or the machine failed. */
static int walk(struct walk *w)
{
    struct grammar *g = w->g;
    int json = g->schema && !g->gbnf.nnode;
    while (w->state && !g->failed && !w->out->failed && w->out->n - w->from < WALK_MAX) {
        struct rx_set can;
        size_t number = json ? digits(w) : 0;
        int late = w->out->n - w->from >= w->soft || number > 5;
        if (grammar_accepts(g, w->state) && (late || grammar_final(g, w->state) || rng_u64(&w->r) % 8 == 0)) return 1;
        grammar_bytes_of(g, w->state, &can);
        if (json) without(&can, number ? "\n\r\teE" : "\n\r\t"); /* one line */
        if (late ? !close(w, &can) : !draw(w, &can)) return grammar_accepts(g, w->state);
    }
    return 0;
}

int grammar_sample(struct grammar *g, uint64_t seed, size_t soft, struct buf *out, struct lar_err *err)
{
    struct walk w = {.g = g, .out = out, .from = out->n};
    rng_seed(&w.r, seed);
    for (int i = 0; i < TRIES && grammar_start(g); i++) {
        out->n = w.from;
        w.state = grammar_start(g);
        w.soft = i < TRIES / 2 && soft ? rng_u64(&w.r) % soft : 0;
        if (walk(&w)) return out->failed ? lar_fail(err, LAR_ENOMEM, "out of memory") : 0;
        if (grammar_failed(g, err)) return grammar_failed(g, NULL);
    }
    out->n = w.from;
    if (!grammar_start(g)) return lar_fail(err, LAR_ELIMIT, "nothing is accepted by this grammar");
    return lar_fail(err, LAR_ELIMIT, "no text that was begun came to its end within %d bytes", (int)WALK_MAX);
}
