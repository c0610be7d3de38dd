/* SPDX-License-Identifier: Apache-2.0
 * base/buf.c: see buf.h. Doubles when full. */
#include "base/buf.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"

void buf_done(struct buf *b)
{
    mem_free(b->p);
    *b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->failed = 0;
    if (b->p) b->p[0] = 0;
}

char *buf_room(struct buf *b, size_t n)
{
    size_t need;
    if (b->failed) return NULL;
    if (add_size(b->n, n, &need) || (b->limit && need > b->limit) || need == SIZE_MAX) {
        b->failed = 1;
        return NULL;
    }
    if (need + 1 > b->cap) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < need + 1) cap = cap > SIZE_MAX / 2 ? need + 1 : cap * 2;
        char *p = mem_resize(b->p, cap);
        if (!p) {
            b->failed = 1;
            return NULL;
        }
        b->p = p;
        b->cap = cap;
    }
    return b->p + b->n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    char *at = buf_room(b, n);
    if (!at) return;
    if (n) memcpy(at, p, n);
    b->n += n;
    b->p[b->n] = 0;
}

void buf_puts(struct buf *b, const char *z) { buf_add(b, z, strlen(z)); }

void buf_putc(struct buf *b, char c) { buf_add(b, &c, 1); }

void buf_str(struct buf *b, struct str s) { buf_add(b, s.p, s.n); }

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *at = n < 0 ? NULL : buf_room(b, (size_t)n);
    if (!at) {
        b->failed = 1;
        return;
    }
    va_start(ap, fmt);
    vsnprintf(at, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
}

void buf_json_str(struct buf *b, struct str s)
{
    buf_putc(b, '"');
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        size_t k = utf8_decode(s.p + i, s.n - i, &cp);
        if (k == 0) {
            buf_puts(b, "\xef\xbf\xbd");
            i++;
            continue;
        }
        switch (cp) {
        case '"': buf_puts(b, "\\\""); break;
        case '\\': buf_puts(b, "\\\\"); break;
        case '\n': buf_puts(b, "\\n"); break;
        case '\r': buf_puts(b, "\\r"); break;
        case '\t': buf_puts(b, "\\t"); break;
        case '\b': buf_puts(b, "\\b"); break;
        case '\f': buf_puts(b, "\\f"); break;
        default:
            if (cp < 0x20 || cp == 0x7f)
                buf_printf(b, "\\u%04x", (unsigned)cp);
            else
                buf_add(b, s.p + i, k);
        }
        i += k;
    }
    buf_putc(b, '"');
}

void buf_json_num(struct buf *b, double v)
{
    char t[40];
    if (!isfinite(v)) {
        buf_puts(b, "null");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) { /* the shortest that reads back the same */
        num_print(t, sizeof t, 'g', digits, v);
        if (num_parse(t, NULL) == v) break;
    }
    buf_puts(b, t);
}
