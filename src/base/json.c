/* SPDX-License-Identifier: Apache-2.0
 * base/json.c: a recursive descent with a depth counter. Errors name the byte offset. */
#include "base/json.h"

#include <stdlib.h>

#include "base/num.h"
#include "base/utf8.h"

struct reader {
    struct arena *a;
    const char *begin, *p, *end;
    struct lar_err *err;
    int depth;
};

static struct json *value(struct reader *r);

static struct json *bad(struct reader *r, const char *what)
{
    lar_fail(r->err, LAR_EFORMAT, "JSON, byte %zu: %s", (size_t)(r->p - r->begin), what);
    return NULL;
}

static struct json *no_memory(struct reader *r)
{
    lar_fail(r->err, LAR_ENOMEM, "JSON of %zu bytes: out of memory", (size_t)(r->end - r->begin));
    return NULL;
}

static void space(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
        r->p++;
}

static int hex4(struct reader *r, uint32_t *out)
{
    uint32_t v = 0;
    if (r->end - r->p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        char c = *r->p++;
        uint32_t d = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                            : 16;
        if (d == 16) return -1;
        v = v << 4 | d;
    }
    *out = v;
    return 0;
}

/* One escape after the backslash, into out; gives its length or 0. A lone surrogate is an error. */
static size_t escape(struct reader *r, char out[4])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (r->p == r->end) return 0;
    char c = *r->p++;
    for (int i = 0; from[i]; i++)
        if (c == from[i]) return out[0] = to[i], 1;
    uint32_t hi, lo;
    if (c != 'u' || hex4(r, &hi)) return 0;
    if (hi >= 0xd800 && hi < 0xdc00) {
        if (r->end - r->p < 2 || r->p[0] != '\\' || r->p[1] != 'u') return 0;
        r->p += 2;
        if (hex4(r, &lo) || lo < 0xdc00 || lo >= 0xe000) return 0;
        hi = 0x10000 + ((hi - 0xd800) << 10) + (lo - 0xdc00);
    } else if (hi >= 0xdc00 && hi < 0xe000) {
        return 0;
    }
    return utf8_encode(hi, out);
}

/* r->p stands after the opening quote. */
static int string(struct reader *r, struct str *out)
{
    const char *q = r->p;
    while (q < r->end && *q != '"') q += *q == '\\' && q + 1 < r->end ? 2 : 1;
    if (q >= r->end) return bad(r, "a string that never ends"), -1;
    char *w = arena_alloc(r->a, (size_t)(q - r->p) + 1), *at = w; /* never longer than its text */
    if (!w) return no_memory(r), -1;
    while (*r->p != '"') {
        uint32_t cp;
        if (*r->p == '\\') {
            r->p++;
            size_t k = escape(r, at);
            if (!k) return bad(r, "a bad escape in a string"), -1;
            at += k;
            continue;
        }
        size_t k = utf8_decode(r->p, (size_t)(r->end - r->p), &cp);
        if (!k) return bad(r, "a string that is not UTF-8"), -1;
        if (cp < 0x20) return bad(r, "a control character in a string (it must be escaped)"), -1;
        memcpy(at, r->p, k);
        at += k;
        r->p += k;
    }
    r->p++;
    *out = (struct str){w, (size_t)(at - w)};
    return 0;
}

static struct json *number(struct reader *r, struct json *v)
{
    const char *s = r->p, *q = s;
    int whole = 1;
    if (q < r->end && *q == '-') q++;
    const char *digits = q;
    while (q < r->end && *q >= '0' && *q <= '9') q++;
    if (q == digits || (*digits == '0' && q - digits > 1)) return bad(r, "not a number");
    if (q < r->end && *q == '.') {
        const char *f = ++q;
        whole = 0;
        while (q < r->end && *q >= '0' && *q <= '9') q++;
        if (q == f) return bad(r, "a number without digits after its point");
    }
    if (q < r->end && (*q == 'e' || *q == 'E')) {
        whole = 0;
        if (++q < r->end && (*q == '+' || *q == '-')) q++;
        const char *f = q;
        while (q < r->end && *q >= '0' && *q <= '9') q++;
        if (q == f) return bad(r, "a number without digits in its exponent");
    }
    v->kind = JSON_NUMBER;
    v->s = (struct str){s, (size_t)(q - s)};
    char *z = arena_copy(r->a, s, v->s.n); /* num_parse wants an end */
    if (!z) return no_memory(r);
    v->num = num_parse(z, NULL);
    if (whole && v->s.n <= 20) {
        int64_t i = 0;
        int over = 0;
        for (const char *d = digits; d < q; d++)
            over |= __builtin_mul_overflow(i, (int64_t)10, &i) ||
                    __builtin_sub_overflow(i, (int64_t)(*d - '0'), &i);
        if (*s != '-') over |= __builtin_sub_overflow((int64_t)0, i, &i);
        v->is_int = !over;
        v->i = over ? 0 : i;
    }
    r->p = q;
    return v;
}

static struct json *members(struct reader *r, struct json *v, char close)
{
    struct json **tail = &v->child;
    if (++r->depth > JSON_DEPTH_MAX) return bad(r, "nested too deeply");
    r->p++;
    space(r);
    if (r->p < r->end && *r->p == close) {
        r->p++;
        r->depth--;
        return v;
    }
    for (;;) {
        struct str key = {0};
        space(r);
        if (v->kind == JSON_OBJECT) {
            if (r->p == r->end || *r->p != '"') return bad(r, "expected a quoted key");
            r->p++;
            if (string(r, &key)) return NULL;
            space(r);
            if (r->p == r->end || *r->p != ':') return bad(r, "expected ':' after a key");
            r->p++;
        }
        struct json *c = value(r);
        if (!c) return NULL;
        c->key = key;
        *tail = c;
        tail = &c->next;
        v->n++;
        space(r);
        if (r->p == r->end) return bad(r, "the text ends inside an array or object");
        char ch = *r->p;
        if (ch != ',' && ch != close) return bad(r, "expected ',' or a closing bracket");
        r->p++;
        if (ch == close) break;
    }
    r->depth--;
    return v;
}

static int word(struct reader *r, const char *w)
{
    size_t n = strlen(w);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, w, n)) return 0;
    r->p += n;
    return 1;
}

static struct json *value(struct reader *r)
{
    space(r);
    if (r->p == r->end) return bad(r, "the text ends where a value should be");
    struct json *v = arena_alloc(r->a, sizeof *v);
    if (!v) return no_memory(r);
    switch (*r->p) {
    case '{': v->kind = JSON_OBJECT; return members(r, v, '}');
    case '[': v->kind = JSON_ARRAY; return members(r, v, ']');
    case '"':
        v->kind = JSON_STRING;
        r->p++;
        return string(r, &v->s) ? NULL : v;
    case 't':
    case 'f':
        v->kind = JSON_BOOL;
        v->boolean = *r->p == 't';
        return word(r, "true") || word(r, "false") ? v : bad(r, "not a JSON value");
    case 'n': return word(r, "null") ? v : bad(r, "not a JSON value");
    default:
        if (*r->p == '-' || (*r->p >= '0' && *r->p <= '9')) return number(r, v);
        return bad(r, "not a JSON value");
    }
}

struct json *json_parse(struct arena *a, struct str text, struct lar_err *err)
{
    struct reader r = {a, text.p, text.p, text.p + text.n, err, 0};
    struct json *v = value(&r);
    if (!v) return NULL;
    space(&r);
    return r.p == r.end ? v : bad(&r, "more text after the value");
}

struct json *json_get(const struct json *v, const char *key)
{
    struct json *found = NULL;
    if (!v || v->kind != JSON_OBJECT) return NULL;
    for (struct json *c = v->child; c; c = c->next)
        if (str_is(c->key, key)) found = c;
    return found;
}

struct str json_str(const struct json *v, struct str otherwise)
{
    return v && v->kind == JSON_STRING ? v->s : otherwise;
}

double json_num(const struct json *v, double otherwise)
{
    return v && v->kind == JSON_NUMBER ? v->num : otherwise;
}

int json_bool(const struct json *v, int otherwise)
{
    return v && v->kind == JSON_BOOL ? v->boolean : otherwise;
}

/* The parser has bounded the depth. */
void json_write(struct buf *b, const struct json *v)
{
    static const char *const word[] = {"null", "false", "true"};
    int list = v->kind == JSON_ARRAY;
    switch (v->kind) {
    case JSON_NULL: buf_puts(b, word[0]); return;
    case JSON_BOOL: buf_puts(b, word[1 + (v->boolean != 0)]); return;
    case JSON_NUMBER: buf_str(b, v->s); return;
    case JSON_STRING: buf_json_str(b, v->s); return;
    case JSON_ARRAY:
    case JSON_OBJECT: break;
    }
    buf_putc(b, list ? '[' : '{');
    for (const struct json *c = v->child; c; c = c->next) {
        if (c != v->child) buf_putc(b, ',');
        if (!list) {
            buf_json_str(b, c->key);
            buf_putc(b, ':');
        }
        json_write(b, c);
    }
    buf_putc(b, list ? ']' : '}');
}
