/* SPDX-License-Identifier: Apache-2.0
 *
 * text/grammar_json.c: what a byte does to a place in JSON: values, strings with their escapes, objects with the keys that may come next, arrays
 * with what is to be counted.
 *
 * Expressions speak of characters, the text of a string of their escaped form: an escape is decoded on the way, and while its hexadecimal
 * digits come, it is asked whether any character that they may still become is allowed. A lone surrogate is no character and never
 * allowed. An object remembers which of its known names came (each may come once), how many keys, and which negated demands were
 * met; keys without a name are remembered only where the number of different keys matters. An array with uniqueItems remembers
 * the text of its items as literals "is not equal to it" that the next item must hold too. */
#include "base/mem.h"
#include "base/utf8.h"
#include "text/grammar_impl.h"

/* Places in an escape: 0 outside; tag, digits read << 4, their value << 8, the high half's ten bits << 20. */
enum { OUTSIDE, SLASH, HEX, LOW_SLASH, LOW_U, LOW_HEX };
enum { UNIQUE_MAX = 4096 };

static int is_space(unsigned b) { return b == ' ' || b == '\n' || b == '\r' || b == '\t'; }

/* White space before or behind a part: the item stays, its run is one longer. */
static void space(struct grammar *g, const struct item *it)
{
    struct item next = *it;
    if (g->opt.space == 0) return;
    if (g->opt.space > 0) {
        int most = g->opt.space < 255 ? g->opt.space : 255;
        if (it->space >= most) return;
        next.space++;
    }
    grammar_out(g, next);
}

/* ---- characters ---- */

struct reading { /* of a string or a key: what becomes of it */
    uint32_t rx, key;
    const struct ostate *os;
};

static uint32_t key_byte(struct grammar *g, const struct ostate *os, uint32_t ks, unsigned b);
static int key_can(struct grammar *g, const struct ostate *os, uint32_t ks);

static int feed(struct grammar *g, struct reading *r, unsigned b)
{
    if (r->os) return (r->key = key_byte(g, r->os, r->key, b)) != UINT32_MAX;
    r->rx = rx_step(g->rx, r->rx, b);
    return r->rx != RX_EMPTY;
}

static int feed_cp(struct grammar *g, struct reading *r, uint32_t cp)
{
    char t[4];
    size_t n = utf8_encode(cp, t);
    for (size_t i = 0; i < n; i++)
        if (!feed(g, r, (unsigned char)t[i])) return 0;
    return 1;
}

static int reading_can(struct grammar *g, const struct reading *r)
{
    return r->os ? key_can(g, r->os, r->key) : rx_alive(g->rx, r->rx);
}

/* Whether some character from lo to hi is allowed next. */
static int some_cp(struct grammar *g, const struct reading *r, uint32_t lo, uint32_t hi)
{
    struct rx *p = g->rx;
    if (lo == hi) {
        struct reading one = *r;
        return feed_cp(g, &one, lo) && reading_can(g, &one);
    }
    if (!r->os) return rx_some_char(p, r->rx, lo, hi);
    const struct kstate *k = &g->ks[r->key];
    for (uint32_t i = k->lo; i < k->hi; i++) {
        uint32_t cp;
        struct str rest = str_from(r->os->o->name[i].name, k->at);
        struct reading one = *r;
        if (utf8_decode(rest.p, rest.n, &cp) && cp >= lo && cp <= hi && feed_cp(g, &one, cp) &&
            reading_can(g, &one))
            return 1;
        k = &g->ks[r->key];
    }
    for (uint32_t i = 0; i < g->ks[r->key].n; i++)
        if (rx_some_char(p, g->ks[r->key].rx[i], lo, hi)) return 1;
    return 0;
}

static int hex_of(unsigned b)
{
    if (b >= '0' && b <= '9') return (int)b - '0';
    b |= 32;
    return b >= 'a' && b <= 'f' ? (int)b - 'a' + 10 : -1;
}

/* A hexadecimal digit of an escape; the place after it, or -1. */
static int64_t hex_digit(struct grammar *g, struct reading *r, uint32_t place, unsigned b)
{
    int d = hex_of(b), low = (place & 15) == LOW_HEX;
    uint32_t n = (place >> 4 & 15) + 1, v = (place >> 8 & 0xfff) << 4 | (uint32_t)d,
             high = place >> 20;
    if (d < 0) return -1;
    uint32_t first = v << 4 * (4 - n), last = first | ((1u << 4 * (4 - n)) - 1);
    if (low) {
        if (first < 0xdc00) first = 0xdc00;
        if (last > 0xdfff) last = 0xdfff;
        if (first > last) return -1;
        uint32_t base = 0x10000 + (high << 10) - 0xdc00;
        if (n < 4)
            return some_cp(g, r, base + first, base + last)
                       ? (int64_t)(LOW_HEX | n << 4 | v << 8 | high << 20)
                       : -1;
        return feed_cp(g, r, base + first) && reading_can(g, r) ? OUTSIDE : -1;
    }
    if (n < 4) {
        int ok = some_cp(g, r, first, last);
        if (!ok && last >= 0xd800 && first < 0xdc00) ok = some_cp(g, r, 0x10000, 0x10ffff);
        return ok ? (int64_t)(HEX | n << 4 | v << 8) : -1;
    }
    if (v >= 0xd800 && v < 0xdc00) {
        high = v - 0xd800;
        return some_cp(g, r, 0x10000 + (high << 10), 0x10000 + (high << 10) + 0x3ff)
                   ? (int64_t)(LOW_SLASH | high << 20)
                   : -1;
    }
    if (v >= 0xdc00 && v < 0xe000) return -1;
    return feed_cp(g, r, v) && reading_can(g, r) ? OUTSIDE : -1;
}

/* A byte inside of the quotes, not the closing one: the place after it, or -1. */
static int64_t string_byte(struct grammar *g, struct reading *r, uint32_t place, unsigned b)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *k;
    switch (place & 15) {
    case OUTSIDE:
        if (b < 0x20 || b == '"') return -1;
        if (b != '\\') return feed(g, r, b) && reading_can(g, r) ? OUTSIDE : -1;
        for (size_t i = 0; to[i]; i++) {
            struct reading one = *r;
            if (feed(g, &one, (unsigned char)to[i]) && reading_can(g, &one)) return SLASH;
        }
        return some_cp(g, r, 0, 0x10ffff) ? SLASH : -1;
    case SLASH:
        if (b == 'u') return some_cp(g, r, 0, 0x10ffff) ? HEX : -1;
        if (!b || !(k = strchr(from, (int)b))) return -1;
        return feed(g, r, (unsigned char)to[k - from]) && reading_can(g, r) ? OUTSIDE : -1;
    case LOW_SLASH: return b == '\\' ? (int64_t)((place & ~15u) | LOW_U) : -1;
    case LOW_U: return b == 'u' ? (int64_t)((place & ~15u) | LOW_HEX) : -1;
    default: return hex_digit(g, r, place, b);
    }
}

/* ---- objects ---- */

static uint32_t mix(uint32_t h, uint32_t v)
{
    h = (h ^ v) * 0x9e3779b1u;
    return h ^ h >> 15;
}

static size_t words(const struct schema_obj *o) { return (o->nname + 63) / 64; }

static uint32_t hash_os(const struct ostate *o)
{
    uint32_t h = mix(mix(mix((uint32_t)((uintptr_t)o->o >> 4), o->count), o->met), o->extra);
    for (size_t i = 0; i < words(o->o); i++)
        h = mix(mix(h, (uint32_t)o->seen[i]), (uint32_t)(o->seen[i] >> 32));
    return h;
}

/* Interns w, whose bits may lie on the stack. */
static uint32_t intern_os(struct grammar *g, const struct ostate *w)
{
    uint32_t h = hash_os(w);
    size_t n = words(w->o);
    for (uint32_t i = table_first(&g->tos, h); i; i = table_next(&g->tos, i)) {
        const struct ostate *o = &g->os[i - 1];
        if (o->o == w->o && o->count == w->count && o->met == w->met && o->extra == w->extra &&
            (!n || !memcmp(o->seen, w->seen, n * 8)))
            return i - 1;
    }
    if (grammar_grow(g, &g->os, g->nos, &g->cap_os, sizeof *g->os) ||
        grammar_table_add(g, &g->tos, g->nos, h)) return 0;
    struct ostate o = *w;
    o.seen = arena_array(&g->a, n ? n : 1, 8);
    if (!o.seen) {
        grammar_fail(g, LAR_ELIMIT, "the grammar needs more memory than its limit");
        return 0;
    }
    if (n) memcpy(o.seen, w->seen, n * 8);
    g->os[g->nos] = o;
    return (uint32_t)g->nos++;
}

static int seen(const struct ostate *o, uint32_t i)
{
    return (int)(o->seen[i / 64] >> (i & 63) & 1);
}

/* Whether one more key fits, which is one of the required ones or not. */
static int fits(const struct ostate *o, int required)
{
    return o->o->max == UINT64_MAX || (uint64_t)o->count + o->left + !required <= o->o->max;
}

static int name_can(const struct ostate *o, uint32_t i)
{
    const struct schema_name *m = &o->o->name[i];
    return m->allowed && !seen(o, i) && fits(o, m->required);
}

/* Whether any key may still come. */
static int more_keys(const struct ostate *o)
{
    if (o->o->ncls && fits(o, 0)) return 1;
    for (uint32_t i = 0; i < o->o->nname; i++)
        if (name_can(o, i)) return 1;
    return 0;
}

static int may_close(const struct ostate *o)
{
    return o->left == 0 && o->count >= o->o->min && o->met == (1u << o->o->nexist) - 1;
}

static uint32_t hash_ks(const struct kstate *k)
{
    uint32_t h = mix(mix(mix(mix(k->n, k->lo), k->hi), k->at), k->text);
    for (uint32_t i = 0; i < k->n; i++) h = mix(h, k->rx[i]);
    return h;
}

static uint32_t intern_ks(struct grammar *g, struct kstate *w)
{
    if (w->lo == w->hi) w->lo = w->hi = w->at = 0;
    uint32_t h = hash_ks(w);
    for (uint32_t i = table_first(&g->tks, h); i; i = table_next(&g->tks, i)) {
        const struct kstate *o = &g->ks[i - 1];
        if (o->lo == w->lo && o->hi == w->hi && o->at == w->at && o->text == w->text && o->n == w->n &&
            (!w->n || !memcmp(o->rx, w->rx, w->n * sizeof *w->rx)))
            return i - 1;
    }
    if (grammar_grow(g, &g->ks, g->nks, &g->cap_ks, sizeof *g->ks) ||
        grammar_table_add(g, &g->tks, g->nks, h)) return 0;
    struct kstate k = *w;
    k.rx = arena_array(&g->a, k.n ? k.n : 1, sizeof *k.rx);
    if (!k.rx) {
        grammar_fail(g, LAR_ELIMIT, "the grammar needs more memory than its limit");
        return 0;
    }
    if (k.n) memcpy(k.rx, w->rx, k.n * sizeof *k.rx);
    g->ks[g->nks] = k;
    return (uint32_t)g->nks++;
}

enum { CLASSES_MAX = 128 };

static uint32_t key_begin(struct grammar *g, const struct ostate *os)
{
    uint32_t rx[CLASSES_MAX];
    struct kstate k = {.hi = os->o->nname, .rx = rx};
    if (fits(os, 0))
        for (; k.n < os->o->ncls; k.n++) rx[k.n] = os->o->cls[k.n].rx;
    return intern_ks(g, &k);
}

/* The key's state after one more byte of it; UINT32_MAX when no key goes on so. */
static uint32_t key_byte(struct grammar *g, const struct ostate *os, uint32_t ks, unsigned b)
{
    uint32_t rx[CLASSES_MAX];
    struct kstate k = g->ks[ks];
    const struct schema_name *name = os->o->name;
    uint32_t lo = k.lo, hi = k.hi;
    while (lo < hi) { /* the first that has b or more at this place */
        uint32_t mid = (lo + hi) / 2;
        if (name[mid].name.n <= k.at || (unsigned char)name[mid].name.p[k.at] < b)
            lo = mid + 1;
        else
            hi = mid;
    }
    uint32_t from = lo;
    hi = k.hi;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if ((unsigned char)name[mid].name.p[k.at] <= b)
            lo = mid + 1;
        else
            hi = mid;
    }
    k.lo = from;
    k.hi = lo;
    k.at++;
    int any = k.lo < k.hi;
    for (uint32_t i = 0; i < k.n; i++) {
        rx[i] = rx_step(g->rx, k.rx[i], b);
        any |= rx[i] != RX_EMPTY;
    }
    if (!any) return UINT32_MAX;
    k.rx = rx;
    if (os->o->distinct) k.text = grammar_link(g, b, k.text);
    return intern_ks(g, &k);
}

static int key_can(struct grammar *g, const struct ostate *os, uint32_t ks)
{
    const struct kstate *k = &g->ks[ks];
    for (uint32_t i = 0; i < k->n; i++)
        if (rx_alive(g->rx, k->rx[i])) return 1;
    for (uint32_t i = k->lo; i < k->hi; i++)
        if (name_can(os, i)) return 1;
    return 0;
}

/* After the closing quote of a key, which is name i or (i = UINT32_MAX) of class c: the object with that key, one item for each set of
 * "some" demands that its value shall meet. */
static void key_is(struct grammar *g, const struct item *it, uint32_t i, uint32_t c)
{
    struct ostate os = g->os[it->a];
    const struct schema_obj *o = os.o;
    uint64_t small[16], *bits = small;
    uint32_t val = i != UINT32_MAX ? o->name[i].val : o->cls[c].val,
             exist = i != UINT32_MAX ? o->name[i].exist : o->cls[c].exist;
    if (words(o) > 16 && !(bits = mem_alloc(words(o) * 8))) {
        grammar_fail(g, LAR_ENOMEM, "out of memory");
        return;
    }
    if (words(o)) memcpy(bits, os.seen, words(o) * 8);
    if (i != UINT32_MAX) {
        bits[i / 64] |= (uint64_t)1 << (i & 63);
        os.left -= o->name[i].required;
    } else if (o->distinct)
        os.extra = grammar_link(g, g->ks[it->b].text, os.extra);
    if (os.count < o->min || o->max != UINT64_MAX) os.count++;
    exist &= ~os.met;
    os.seen = bits;
    for (uint32_t sub = exist; !g->failed; sub = (sub - 1) & exist) {
        struct ostate next = os;
        uint32_t v = val;
        next.met |= sub;
        for (uint32_t e = 0; e < o->nexist; e++)
            if ((sub >> e & 1) && o->exist[e] != UINT32_MAX)
                v = schema_with(g->schema, v, o->exist[e]);
        if (v == val || schema_sat(g->schema, v))
            grammar_out(g, (struct item){.kind = I_OBJECT,
                                         .phase = O_COLON,
                                         .a = intern_os(g, &next),
                                         .b = v,
                                         .parent = it->parent});
        if (sub == 0) break;
    }
    if (bits != small) mem_free(bits);
}

static void key_end(struct grammar *g, const struct item *it)
{
    const struct ostate *os = &g->os[it->a];
    const struct kstate *k = &g->ks[it->b];
    const struct schema_obj *o = os->o;
    if (k->lo < k->hi && o->name[k->lo].name.n == k->at) {
        if (name_can(os, k->lo)) key_is(g, it, k->lo, 0);
        return;
    }
    for (uint32_t i = 0; i < k->n; i++) {
        if (!rx_nullable(g->rx, k->rx[i])) continue;
        for (uint32_t e = os->extra; o->distinct && e; e = g->link[e - 1].before)
            if (g->link[e - 1].value == k->text) return;
        key_is(g, it, UINT32_MAX, i);
        return;
    }
}

uint32_t json_key_state(struct grammar *g, const struct item *it, uint32_t name, uint32_t cls)
{
    g->nout = 0;
    key_is(g, it, name, cls);
    return g->failed ? 0 : grammar_set(g, g->out, g->nout, 0);
}

int json_name_can(const struct grammar *g, const struct item *it, uint32_t i)
{
    return name_can(&g->os[it->a], i);
}

int json_string_can(struct grammar *g, uint32_t a, struct str s)
{
    struct reading r = {.rx = a};
    int64_t place = OUTSIDE;
    for (size_t i = 0; i < s.n && place >= 0; i++)
        place = s.p[i] == '"' && place == OUTSIDE ? -1 : string_byte(g, &r, (uint32_t)place, (unsigned char)s.p[i]);
    return place >= 0;
}

static void object_step(struct grammar *g, const struct item *it, unsigned b, uint32_t after)
{
    const struct ostate *os = &g->os[it->a];
    struct item next = *it;
    next.space = 0;
    if (is_space(b)) {
        space(g, it);
        return;
    }
    switch (it->phase) {
    case O_OPEN:
    case O_COMMA:
        if (b == '}' && it->phase == O_OPEN && may_close(os)) grammar_pop(g, it->parent, after);
        if (b == '"' && more_keys(os)) {
            next.kind = I_KEY;
            next.phase = 0;
            next.b = key_begin(g, os);
            grammar_out(g, next);
        }
        break;
    case O_COLON:
        if (b != ':') break;
        next.phase = O_NEXT;
        next.b = 0;
        grammar_out(g, (struct item){.kind = I_VALUE, .a = it->b, .parent = grammar_one(g, next)});
        break;
    default:
        if (b == '}' && may_close(os)) grammar_pop(g, it->parent, after);
        if (b == ',' && more_keys(os)) {
            next.phase = O_COMMA;
            grammar_out(g, next);
        }
    }
}

static void key_step(struct grammar *g, const struct item *it, unsigned b)
{
    struct ostate os = g->os[it->a];
    struct reading r = {.os = &os, .key = it->b};
    if (b == '"' && it->c == OUTSIDE) {
        key_end(g, it);
        return;
    }
    int64_t place = string_byte(g, &r, it->c, b);
    if (place < 0) return;
    struct item next = *it;
    next.b = r.key;
    next.c = (uint32_t)place;
    grammar_out(g, next);
}

/* ---- arrays ---- */

static uint32_t hash_as(const struct astate *a)
{
    uint32_t h = mix(mix((uint32_t)((uintptr_t)a->a >> 4), (uint32_t)a->count), a->unlike);
    for (uint32_t i = 0; i < a->a->ncontain; i++) h = mix(h, (uint32_t)a->seen[i]);
    return h;
}

static uint32_t intern_as(struct grammar *g, const struct astate *w)
{
    uint32_t h = hash_as(w);
    for (uint32_t i = table_first(&g->tas, h); i; i = table_next(&g->tas, i)) {
        const struct astate *o = &g->as[i - 1];
        if (o->a == w->a && o->count == w->count && o->unlike == w->unlike &&
            !memcmp(o->seen, w->seen, sizeof o->seen))
            return i - 1;
    }
    if (grammar_grow(g, &g->as, g->nas, &g->cap_as, sizeof *g->as) ||
        grammar_table_add(g, &g->tas, g->nas, h)) return 0;
    g->as[g->nas] = *w;
    return (uint32_t)g->nas++;
}

static int array_may_close(const struct astate *s)
{
    if (s->count < s->a->min) return 0;
    for (uint32_t i = 0; i < s->a->ncontain; i++)
        if (s->seen[i] < s->a->contain[i].min) return 0;
    return 1;
}

/* v without what came before. */
static uint32_t unlike(struct grammar *g, uint32_t v, uint32_t list)
{
    uint32_t small[64], *lit = small, n = 0;
    for (uint32_t i = list; i; i = g->link[i - 1].before) n++;
    if (!n) return v;
    if (n > 64 && !(lit = mem_alloc(n * sizeof *lit))) {
        grammar_fail(g, LAR_ENOMEM, "out of memory");
        return v;
    }
    n = 0;
    for (uint32_t i = list; i; i = g->link[i - 1].before) lit[n++] = g->link[i - 1].value;
    v = schema_with_all(g->schema, v, lit, n);
    if (lit != small) mem_free(lit);
    return v;
}

/* The items that the next element may begin as: one for each way to count it. */
static void elements(struct grammar *g, const struct astate *s, uint32_t parent, uint32_t after)
{
    const struct schema_arr *a = s->a;
    if (s->count >= a->max) return;
    for (uint32_t m = 0; m < 1u << a->ncontain && !g->failed; m++) {
        struct astate next = *s;
        int ok = 1;
        uint64_t need = 0;
        for (uint32_t i = 0; i < a->ncontain && ok; i++) {
            const struct schema_contain *c = &a->contain[i];
            if (m >> i & 1) {
                if (s->count < c->from || s->seen[i] >= c->max) ok = 0;
                if (next.seen[i] < c->min || c->max != UINT64_MAX)
                    next.seen[i]++;
                else
                    ok = 0; /* enough of them: counting makes no difference */
            }
            if (next.seen[i] < c->min && c->min - next.seen[i] > need) need = c->min - next.seen[i];
        }
        if (!ok) continue;
        uint64_t index = s->count;
        uint64_t cap = a->min > a->nprefix ? a->min : a->nprefix; /* beyond, all counts are alike */
        if (a->max != UINT64_MAX || s->count < cap + 1) next.count++;
        if (a->max != UINT64_MAX && next.count + need > a->max) continue;
        uint32_t v = unlike(g, schema_item(g->schema, a, index, m), s->unlike);
        if (!schema_sat(g->schema, v)) continue;
        struct item back = {
            .kind = I_ARRAY, .phase = A_NEXT, .a = intern_as(g, &next), .parent = parent};
        if (a->unique) {
            back.b = after;
            back.records = 1;
        }
        grammar_out(g, (struct item){.kind = I_VALUE, .a = v, .parent = grammar_one(g, back)});
    }
}

/* An element has ended: with uniqueItems its text becomes a literal for the ones to come. */
void json_resume(struct grammar *g, const struct item *it, uint32_t text)
{
    struct item next = *it;
    if (it->phase == A_NEXT && it->b && g->as[it->a].a->unique) {
        struct buf t = {.limit = 1 << 20};
        struct astate s = g->as[it->a];
        uint32_t n = 0;
        for (uint32_t i = text; i && i != it->b; i = g->link[i - 1].before)
            buf_putc(&t, (char)g->link[i - 1].value);
        for (size_t i = 0; i < t.n / 2; i++) { /* it was collected from its end */
            char c = t.p[i];
            t.p[i] = t.p[t.n - 1 - i];
            t.p[t.n - 1 - i] = c;
        }
        uint32_t lit = t.failed ? UINT32_MAX : schema_unlike(g->schema, buf_view(&t));
        for (uint32_t i = s.unlike; i; i = g->link[i - 1].before) n++;
        if (lit == UINT32_MAX || n > UNIQUE_MAX)
            grammar_fail(g, LAR_ELIMIT, "an array with uniqueItems is too large");
        buf_done(&t);
        if (g->failed) return;
        s.unlike = grammar_link(g, lit, s.unlike);
        next.a = intern_as(g, &s);
        next.b = 0;
        next.records = 1;
    }
    grammar_out(g, next);
}

static void array_step(struct grammar *g, const struct item *it, unsigned b, uint32_t after)
{
    struct astate s = g->as[it->a];
    if (is_space(b)) space(g, it);
    if (b == ']' && array_may_close(&s)) grammar_pop(g, it->parent, after);
    if (b == ',' && it->phase == A_NEXT) elements(g, &s, it->parent, after);
}

/* ---- values ---- */

static void value_step(struct grammar *g, const struct item *it, unsigned b, uint32_t after)
{
    const struct schema_val *v = schema_val(g->schema, it->a);
    struct item next = {.parent = it->parent};
    if (!v) return;
    if (is_space(b))
        space(g, it);
    else if (b == '"') {
        if (v->string == RX_EMPTY) return;
        next.kind = I_STRING;
        next.a = v->string;
        grammar_out(g, next);
    } else if (b == '{') {
        for (uint32_t i = 0; i < v->nobj && !g->failed; i++) {
            const struct schema_obj *o = &v->obj[i];
            uint64_t zero[16] = {0}, *bits = words(o) > 16 ? mem_zalloc(words(o) * 8) : zero;
            if (!o->sat) continue;
            if (!bits) {
                grammar_fail(g, LAR_ENOMEM, "out of memory");
                return;
            }
            next.kind = I_OBJECT;
            next.phase = O_OPEN;
            next.a = intern_os(g, &(struct ostate){.o = o, .left = o->nrequired, .seen = bits});
            if (bits != zero) mem_free(bits);
            grammar_out(g, next);
        }
    } else if (b == '[') {
        uint32_t n = v->narr;
        const struct schema_arr *arr = v->arr;
        for (uint32_t i = 0; i < n && !g->failed; i++) {
            if (!arr[i].sat) continue;
            struct astate s = {.a = &arr[i]};
            next.kind = I_ARRAY;
            next.phase = A_OPEN;
            next.a = intern_as(g, &s);
            if (array_may_close(&s)) grammar_out(g, next);
            elements(g, &s, it->parent, after);
        }
    } else {
        next.kind = I_SCALAR;
        next.a = rx_step(g->rx, v->scalar, b);
        if (next.a != RX_EMPTY && rx_alive(g->rx, next.a)) grammar_out(g, next);
    }
}

void json_step(struct grammar *g, const struct item *it, unsigned b, uint32_t before,
               uint32_t after)
{
    (void)before;
    switch (it->kind) {
    case I_END:
        if (it->phase && is_space(b)) space(g, it);
        break;
    case I_VALUE: value_step(g, it, b, after); break;
    case I_OBJECT: object_step(g, it, b, after); break;
    case I_KEY: key_step(g, it, b); break;
    case I_ARRAY: array_step(g, it, b, after); break;
    case I_STRING: {
        struct reading r = {.rx = it->a};
        struct item next = *it;
        if (b == '"' && it->b == OUTSIDE) {
            if (rx_nullable(g->rx, it->a)) grammar_pop(g, it->parent, after);
            return;
        }
        int64_t place = string_byte(g, &r, it->b, b);
        if (place < 0) return;
        next.a = r.rx;
        next.b = (uint32_t)place;
        grammar_out(g, next);
        break;
    }
    default: break;
    }
}
