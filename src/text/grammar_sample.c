/* SPDX-License-Identifier: Apache-2.0
 *
 * text/grammar_sample.c: random texts that a grammar accepts, without any model.
 *
 * A walk byte by byte over the machine: of the bytes that lead on one is drawn, those that close something more often than their share, white
 * space seldom. A text that has grown long enough is brought to its end: what is being read is completed by a short text of its
 * expression, objects and arrays are closed as soon as they may be, of values the plain ones are taken. That ends for almost every grammar;
 * where a schema asks for branch upon branch it may not, and then another walk is begun. The texts are no fair draw from the language.
 *
 * Of masks the walk goes from token to token as a model's answer does: each is drawn from the mask of its place, or, for what is written byte by
 * byte, is the token of that byte if the mask has it. A mask that allows what the machine does not take is told as an error. */
#include "base/rng.h"
#include "text/grammar_impl.h"
#include "text/mask.h"

enum { WALK_MAX = 1 << 14, TRIES = 8, SHORT_MAX = 512, DRAWS = 64, WEIGHT_MAX = 384 };

struct walk {
    struct grammar *g;
    struct rng r;
    struct buf *out;
    uint32_t state;
    size_t from, soft; /* where the text begins; how long it grows before it is ended */
    struct masks *masks; /* NULL: a walk over bytes */
    const struct toktrie *t;
    uint64_t *set; /* the mask of state `masked` */
    uint32_t masked, wrong;
    uint32_t one[256]; /* the token of a byte + 1, 0: there is none */
};

/* 1: the mask of where the walk is stands in set. */
static int fill(struct walk *w, uint32_t state)
{
    if (w->masked != state && masks_fill(w->masks, state, w->set, NULL) < 0) return 0;
    w->masked = state;
    return 1;
}

/* Whether the masks have the tokens of these bytes, one behind the other. */
static int masks_have(struct walk *w, struct str s)
{
    uint32_t state = w->state;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char b = (unsigned char)s.p[i];
        if (!w->one[b] || !fill(w, state) || !tokset_has(w->set, w->one[b] - 1)) return 0;
        if (!(state = grammar_step(w->g, state, b))) {
            w->wrong = w->one[b];
            return 0;
        }
    }
    return 1;
}

static int go(struct walk *w, struct str s)
{
    uint32_t to = s.n ? grammar_walk(w->g, w->state, s, NULL) : 0;
    if (!to) return 0;
    w->state = to;
    buf_str(w->out, s);
    return 1;
}

static int take(struct walk *w, struct str s) { return (!w->masks || masks_have(w, s)) && go(w, s); }

static int holds_one_of(struct str s, const char *bytes)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] && strchr(bytes, s.p[i])) return 1;
    return 0;
}

static int take_token(struct walk *w, uint32_t id)
{
    if (go(w, w->t->bytes[id])) return 1;
    if (!w->g->failed) w->wrong = id + 1;
    return 0;
}

/* A token of the mask, all as likely; one without the bytes of shun if there is one. */
static int draw_token(struct walk *w, const char *shun)
{
    uint32_t id, best[2] = {0}, seen[2] = {0};
    if (!fill(w, w->state)) return 0;
    for (int i = 0; i < DRAWS; i++) {
        id = (uint32_t)(rng_u64(&w->r) % w->t->nvocab);
        if (tokset_has(w->set, id) && !holds_one_of(w->t->bytes[id], shun)) return take_token(w, id);
    }
    for (uint32_t i = 0; i < w->t->nword; i++)
        for (uint64_t left = w->set[i]; left; left &= left - 1) {
            id = i * 64 + (uint32_t)__builtin_ctzll(left);
            int k = holds_one_of(w->t->bytes[id], shun);
            if (rng_u64(&w->r) % ++seen[k] == 0) best[k] = id;
        }
    return seen[0] ? take_token(w, best[0]) : seen[1] ? take_token(w, best[1]) : 0;
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
    if (b == '"') return WEIGHT_MAX;
    if (b == ',') return 256;
    if (b && strchr("}]{[", (int)b)) return 192;
    if (b == '\\') return 1;
    return b <= ' ' || b >= 0x80 ? 8 : 64;
}

static void without(struct rx_set *can, const char *bytes)
{
    struct rx_set s = *can;
    for (const char *c = bytes; *c; c++) s.w[*c >> 6] &= ~((uint64_t)1 << (*c & 63));
    if (s.w[0] | s.w[1] | s.w[2] | s.w[3]) *can = s;
}

static int take_byte(struct walk *w, unsigned b) { return take(w, (struct str){(const char[]){(char)b}, 1}); }

/* Of all bytes but those that shun names, with their weights. What leads on is found by trying, which asks the machine for few of its
 * states; where most lead nowhere, all are looked at. */
static int draw(struct walk *w, const char *shun)
{
    struct rx_set can;
    if (w->masks && (w->wrong || rng_u64(&w->r) % 2)) return draw_token(w, shun);
    for (int i = 0; i < DRAWS; i++) {
        unsigned b = (unsigned)(rng_u64(&w->r) % 256), k = (unsigned)(rng_u64(&w->r) % WEIGHT_MAX);
        if (k < weight(b) && !(b && strchr(shun, (int)b)) && take_byte(w, b)) return 1;
    }
    if (w->masks) return draw_token(w, shun);
    grammar_bytes_of(w->g, w->state, &can);
    without(&can, shun);
    uint64_t sum = 0;
    for (unsigned b = 0; b < 256; b++) sum += rx_set_has(&can, b) ? weight(b) : 0;
    if (!sum) return 0;
    uint64_t at = rng_u64(&w->r) % sum;
    for (unsigned b = 0; b < 256; b++) {
        unsigned k = rx_set_has(&can, b) ? weight(b) : 0;
        if (at < k) return take_byte(w, b);
        at -= k;
    }
    return 0;
}

/* Towards the end: what closes first, then plain values, then what must be. */
static int close(struct walk *w, const char *shun)
{
    if (end_text(w)) return 1;
    for (const char *c = w->g->gbnf.nnode ? "}])0\"" : "}],ntf0\""; *c; c++)
        if (take(w, (struct str){c, 1})) return 1;
    return draw(w, shun);
}

/* How many of the last bytes could be a number's: long ones and those with exponents say more than others' readers can hold. */
static size_t digits(const struct walk *w)
{
    size_t n = 0;
    while (n < w->out->n - w->from && strchr("0123456789.-", w->out->p[w->out->n - 1 - n])) n++;
    return n;
}

/* 1 when the text is whole, 0 when it grew too long or the machine failed. */
static int walk(struct walk *w)
{
    struct grammar *g = w->g;
    int json = g->schema && !g->gbnf.nnode;
    while (w->state && !g->failed && !w->out->failed && w->out->n - w->from < WALK_MAX) {
        size_t number = json ? digits(w) : 0;
        int late = w->out->n - w->from >= w->soft || number > 5;
        if (grammar_accepts(g, w->state) && (late || grammar_final(g, w->state) || rng_u64(&w->r) % 8 == 0)) return 1;
        const char *shun = !json ? "" : number ? "\n\r\teE" : "\n\r\t"; /* one line */
        if (late ? !close(w, shun) : !draw(w, shun)) return grammar_accepts(g, w->state);
    }
    return 0;
}

static int use_masks(struct walk *w, const struct toktrie *t)
{
    if (!(w->set = mem_alloc((size_t)t->nword * sizeof *w->set))) return 0;
    w->t = t;
    for (uint32_t i = t->nvocab; i-- > 0;)
        if (t->bytes[i].n == 1) w->one[(unsigned char)t->bytes[i].p[0]] = i + 1;
    return 1;
}

int grammar_sample(struct grammar *g, struct masks *masks, const struct toktrie *t, uint64_t seed, size_t soft,
                   struct buf *out, struct lar_err *err)
{
    struct walk w = {.g = g, .out = out, .from = out->n, .masks = masks};
    int done = 0;
    rng_seed(&w.r, seed);
    if (masks && !use_masks(&w, t)) return lar_fail(err, LAR_ENOMEM, "out of memory");
    for (int i = 0; i < TRIES && grammar_start(g) && !done && !w.wrong && !grammar_failed(g, NULL); i++) {
        out->n = w.from;
        w.state = grammar_start(g);
        w.soft = i < TRIES / 2 && soft ? rng_u64(&w.r) % soft : 0;
        done = walk(&w);
    }
    mem_free(w.set);
    if (w.wrong) return lar_fail(err, LAR_EFORMAT, "a mask has the token %u, which cannot come there", w.wrong - 1);
    if (done) return out->failed ? lar_fail(err, LAR_ENOMEM, "out of memory") : 0;
    out->n = w.from;
    if (grammar_failed(g, err)) return grammar_failed(g, NULL);
    if (!grammar_start(g)) return lar_fail(err, LAR_ELIMIT, "nothing is accepted by this grammar");
    return lar_fail(err, LAR_ELIMIT, "no text that was begun came to its end within %d bytes", (int)WALK_MAX);
}
