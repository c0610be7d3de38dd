/* SPDX-License-Identifier: Apache-2.0
 *
 * text/gotmpl_print.c: values as text, twice: as Go's fmt prints them with %v, and as its encoding/json does (which escapes <, > and &).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "base/utf8.h"
#include "text/gotmpl_impl.h"

/* The shortest digits that read back to f (strconv's 'g' with precision -1), with an exponent below 10^low and from
 * 10^high on. */
static void put_float(struct buf *b, double f, int low, int high, int json)
{
    char t[40];
    int precision = 0;
    if (isnan(f) || isinf(f)) {
        buf_puts(b, isnan(f) ? "NaN" : f < 0 ? "-Inf" : "+Inf");
        return;
    }
    do num_print(t, sizeof t, 'e', precision, f);
    while (num_parse(t, NULL) != f && ++precision < 17);
    int e = (int)strtol(strchr(t, 'e') + 1, NULL, 10);
    if (f == 0 || (e >= low && e < high)) {
        num_put(b, 'f', 0, precision > e ? precision - e : 0, f);
    } else if (json && e < 0 && e > -10) {
        buf_printf(b, "%.*se-%d", (int)(strchr(t, 'e') - t), t, -e); /* e-07 as e-7 */
    } else {
        buf_puts(b, t);
    }
}

static void put_escaped(struct buf *b, struct str s)
{
    size_t from = 0;
    buf_putc(b, '"');
    for (size_t i = 0, k; i < s.n; i += k) {
        uint32_t cp;
        k = utf8_decode(s.p + i, s.n - i, &cp);
        int ok = k && cp >= 0x20 && cp != '"' && cp != '\\' && cp != '<' && cp != '>' &&
                 cp != '&' && cp != 0x2028 && cp != 0x2029;
        if (!k) k = 1, cp = 0xfffd;
        if (ok) continue;
        buf_add(b, s.p + from, i - from);
        from = i + k;
        const char *at = cp < 0x80 && cp ? strchr("\"\"\\\\\nn\rr\tt\bb\ff", (int)cp) : NULL;
        if (at)
            buf_putc(b, '\\'), buf_putc(b, at[1]);
        else
            buf_printf(b, "\\u%04x", (unsigned)cp);
    }
    buf_add(b, s.p + from, s.n - from);
    buf_putc(b, '"');
}

static int too_deep(struct go_run *r)
{
    return go_fail(r, LAR_ELIMIT, "a value is nested more than %d deep", GO_DEPTH);
}

int go_json(struct go_run *r, struct buf *b, struct go_val v, int depth)
{
    int rc = go_step(r, 1), first = 1;
    if (rc < 0) return rc;
    if (depth > GO_DEPTH) return too_deep(r);
    switch (v.kind) {
    case GO_NIL: buf_puts(b, "null"); break;
    case GO_BOOL: buf_puts(b, v.i ? "true" : "false"); break;
    case GO_INT: buf_printf(b, "%lld", (long long)v.i); break;
    case GO_FLOAT: put_float(b, v.f, -6, 21, 1); break;
    case GO_STR: put_escaped(b, v.s); break;
    case GO_LIST:
        if (!v.item) return buf_puts(b, "null"), 0;
        buf_putc(b, '[');
        for (size_t i = 0; i < v.n && rc == 0; i++) {
            if (i) buf_putc(b, ',');
            rc = go_json(r, b, v.item[i], depth + 1);
        }
        buf_putc(b, ']');
        break;
    case GO_MAP:
    case GO_STRUCT:
        buf_putc(b, '{');
        for (size_t i = 0; i < v.n && rc == 0; i++) {
            const struct go_member *m = &v.member[i];
            if (m->omit && !go_truth(m->v)) continue;
            if (!first) buf_putc(b, ',');
            first = 0;
            put_escaped(b, m->key);
            buf_putc(b, ':');
            rc = go_json(r, b, m->v, depth + 1);
        }
        buf_putc(b, '}');
        break;
    }
    return rc;
}

int go_print(struct go_run *r, struct buf *b, struct go_val v, int depth)
{
    int rc = go_step(r, 1);
    if (rc < 0) return rc;
    if (depth > GO_DEPTH) return too_deep(r);
    if (v.as_json) return go_json(r, b, v, depth);
    switch (v.kind) {
    case GO_NIL: buf_puts(b, "<nil>"); break;
    case GO_BOOL: buf_puts(b, v.i ? "true" : "false"); break;
    case GO_INT: buf_printf(b, "%lld", (long long)v.i); break;
    case GO_FLOAT: put_float(b, v.f, -4, 6, 0); break;
    case GO_STR: buf_str(b, v.s); break;
    case GO_LIST:
        buf_putc(b, '[');
        for (size_t i = 0; i < v.n && rc == 0; i++) {
            if (i) buf_putc(b, ' ');
            rc = go_print(r, b, v.item[i], depth + 1);
        }
        buf_putc(b, ']');
        break;
    case GO_MAP:
    case GO_STRUCT:
        buf_puts(b, v.kind == GO_MAP ? "map[" : "{");
        for (size_t i = 0; i < v.n && rc == 0; i++) {
            if (i) buf_putc(b, ' ');
            if (v.kind == GO_MAP) buf_str(b, v.member[i].key), buf_putc(b, ':');
            rc = go_print(r, b, v.member[i].v, depth + 1);
        }
        buf_putc(b, v.kind == GO_MAP ? ']' : '}');
        break;
    }
    return rc;
}
