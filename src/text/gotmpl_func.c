/* SPDX-License-Identifier: Apache-2.0
 *
 * text/gotmpl_func.c: the functions of Go templates: text/template's own (funcs.go), and Ollama's json, currentDate, yesterdayDate,
 * toTypeScriptType (its template.go). toJson is another name of json.
 */
#include "text/gotmpl_impl.h"

#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "base/utf8.h"

typedef int func(struct go_run *r, const struct go_val *a, size_t n, struct go_val *out);

int go_truth(struct go_val v)
{
    switch (v.kind) {
    case GO_NIL: return 0;
    case GO_BOOL:
    case GO_INT: return v.i != 0;
    case GO_FLOAT: return v.f != 0;
    case GO_STR: return v.s.n != 0;
    case GO_LIST:
    case GO_MAP: return v.n != 0;
    case GO_STRUCT: break;
    }
    return 1;
}

const char *go_kind_name(struct go_val v)
{
    static const char *const names[] = {"nil",    "bool", "int", "float",
                                        "string", "list", "map", "struct"};
    return names[v.kind];
}

/* ---- comparing --------------------------------------------------------------------------------------------------------- */

/* -1, 0, 1; 2 for what is not equal and has no order. Negative codes are below -1. */
static int compare(struct go_run *r, struct go_val a, struct go_val b, int *out)
{
    *out = 2;
    if (a.kind == GO_NIL || b.kind == GO_NIL) return *out = a.kind == b.kind ? 0 : 2, 0;
    if (a.kind != b.kind)
        return go_fail(r, LAR_EFORMAT, "incompatible types for comparison: %s and %s",
                       go_kind_name(a), go_kind_name(b));
    switch (a.kind) {
    case GO_BOOL: *out = a.i == b.i ? 0 : 2; break;
    case GO_INT: *out = a.i < b.i ? -1 : a.i > b.i; break;
    case GO_FLOAT: *out = a.f < b.f ? -1 : a.f > b.f; break;
    case GO_STR: {
        int c = memcmp(a.s.p, b.s.p, a.s.n < b.s.n ? a.s.n : b.s.n);
        *out = c ? (c < 0 ? -1 : 1) : a.s.n < b.s.n ? -1 : a.s.n > b.s.n;
        break;
    }
    default: return go_fail(r, LAR_EFORMAT, "a %s cannot be compared", go_kind_name(a));
    }
    return 0;
}

static int f_eq(struct go_run *r, const struct go_val *a, size_t n, struct go_val *out)
{
    int c = 2, rc = 0;
    if (n < 2) return go_fail(r, LAR_EFORMAT, "missing argument for comparison");
    for (size_t i = 1; i < n && rc == 0 && c != 0; i++) rc = compare(r, a[0], a[i], &c);
    *out = go_bool(c == 0);
    return rc;
}

static int f_ne(struct go_run *r, const struct go_val *a, size_t n, struct go_val *out)
{
    int rc = f_eq(r, a, n, out);
    out->i = !out->i;
    return rc;
}

static int ordered(struct go_run *r, const struct go_val *a, int *c)
{
    int rc = compare(r, a[0], a[1], c);
    if (rc == 0 && (*c == 2 || a[0].kind == GO_BOOL || a[0].kind == GO_NIL))
        rc = go_fail(r, LAR_EFORMAT, "a %s has no order",
                     go_kind_name(a[0].kind == GO_NIL ? a[0] : a[1]));
    return rc;
}

#define ORDER(name, cond)                                                                   \
    static int name(struct go_run *r, const struct go_val *a, size_t n, struct go_val *out) \
    {                                                                                       \
        int c = 0, rc = ordered(r, a, &c);                                                  \
        (void)n;                                                                            \
        *out = go_bool(cond);                                                               \
        return rc;                                                                          \
    }
ORDER(f_lt, c < 0)
ORDER(f_le, c <= 0)
ORDER(f_gt, c > 0)
ORDER(f_ge, c >= 0)

static int f_not(struct go_run *r, const struct go_val *a, size_t n, struct go_val *out)
{
    (void)r, (void)n;
    *out = go_bool(!go_truth(a[0]));
    return 0;
}

/* ---- lists and maps ------------------------------------------------------------------------------------------------------ */

static int f_len(struct go_run *r, const struct go_val *a, size_t n, struct go_val *out)
{
    (void)n;
    if (a[0].kind == GO_STR) return *out = go_int((int64_t)a[0].s.n), 0;
    if (a[0].kind == GO_LIST || a[0].kind == GO_MAP) return *out = go_int((int64_t)a[0].n), 0;
    return go_fail(r, LAR_EFORMAT, "len of type %s", go_kind_name(a[0]));
}

static int f_index(struct go_run *r, const struct go_val *a, size_t n, struct go_val *out)
{
    struct go_val v = a[0];
    for (size_t i = 1; i < n; i++) {
        if (v.kind == GO_MAP) {
            size_t k = 0;
            if (a[i].kind != GO_STR)
                return go_fail(r, LAR_EFORMAT, "a map has no %s for a key", go_kind_name(a[i]));
            while (k < v.n && !str_eq(v.member[k].key, a[i].s)) k++;
            v = k < v.n ? v.member[k].v : go_nil();
            continue;
        }
        if (v.kind != GO_LIST && v.kind != GO_STR)
            return go_fail(r, LAR_EFORMAT, "can't index item of type %s", go_kind_name(v));
        size_t len = v.kind == GO_STR ? v.s.n : v.n;
        if (a[i].kind != GO_INT)
            return go_fail(r, LAR_EFORMAT, "cannot index with a %s", go_kind_name(a[i]));
        if (a[i].i < 0 || (uint64_t)a[i].i >= len)
            return go_fail(r, LAR_EFORMAT, "index out of range: %lld", (long long)a[i].i);
        v = v.kind == GO_STR ? go_int((unsigned char)v.s.p[a[i].i]) : v.item[a[i].i];
    }
    *out = v;
    return 0;
}

static int f_slice(struct go_run *r, const struct go_val *a, size_t n, struct go_val *out)
{
    if (a[0].kind != GO_STR && a[0].kind != GO_LIST)
        return go_fail(r, LAR_EFORMAT, "can't slice item of type %s", go_kind_name(a[0]));
    int64_t len = (int64_t)(a[0].kind == GO_STR ? a[0].s.n : a[0].n), from = 0, to = len;
    for (size_t i = 1; i < n; i++) {
        if (a[i].kind != GO_INT)
            return go_fail(r, LAR_EFORMAT, "cannot index with a %s", go_kind_name(a[i]));
        if (a[i].i < 0 || a[i].i > len)
            return go_fail(r, LAR_EFORMAT, "index out of range: %lld", (long long)a[i].i);
        if (i == 1) from = a[i].i;
        if (i == 2) to = a[i].i;
    }
    if (n > 3 && a[0].kind == GO_STR)
        return go_fail(r, LAR_EFORMAT, "cannot 3-index slice a string");
    if (from > to)
        return go_fail(r, LAR_EFORMAT, "invalid slice index: %lld > %lld", (long long)from,
                       (long long)to);
    *out = a[0];
    if (a[0].kind == GO_STR)
        out->s = (struct str){a[0].s.p + from, (size_t)(to - from)};
    else {
        out->item = a[0].item ? a[0].item + from : NULL;
        out->n = (size_t)(to - from);
    }
    return 0;
}

/* ---- text ------------------------------------------------------------------------------------------------------------------ */

static int finish(struct go_run *r, struct buf *b, int rc, struct go_val *out)
{
    if (rc == 0) rc = go_step(r, b->n / 16);
    if (rc == 0) return go_give(r, b, out);
    buf_done(b);
    return rc;
}

static struct buf text_buf(const struct go_run *r) { return (struct buf){.limit = r->out_limit}; }

/* Spaces between operands when neither is a string. */
static int f_print(struct go_run *r, const struct go_val *a, size_t n, struct go_val *out)
{
    struct buf b = text_buf(r);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (i && a[i].kind != GO_STR && a[i - 1].kind != GO_STR) buf_putc(&b, ' ');
        rc = go_print(r, &b, a[i], 0);
    }
    return finish(r, &b, rc, out);
}

static int f_println(struct go_run *r, const struct go_val *a, size_t n, struct go_val *out)
{
    struct buf b = text_buf(r);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (i) buf_putc(&b, ' ');
        rc = go_print(r, &b, a[i], 0);
    }
    buf_putc(&b, '\n');
    return finish(r, &b, rc, out);
}

struct verb {
    char flag[8];
    int width, precision; /* -1: none */
    char c;
};

/* Reads what stands behind %; gives how many bytes. */
static size_t read_verb(struct str s, struct verb *v)
{
    size_t i = 0, nflag = 0;
    *v = (struct verb){.width = -1, .precision = -1};
    while (i < s.n && nflag < 6 && s.p[i] && strchr("-+# 0", s.p[i])) v->flag[nflag++] = s.p[i++];
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && v->width < 1000; i++)
        v->width = (v->width < 0 ? 0 : v->width) * 10 + s.p[i] - '0';
    if (i < s.n && s.p[i] == '.')
        for (v->precision = 0, i++;
             i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && v->precision < 1000; i++)
            v->precision = v->precision * 10 + s.p[i] - '0';
    if (i < s.n) v->c = s.p[i++];
    return i;
}

static void pad(struct buf *b, struct str s, const struct verb *v)
{
    size_t chars = 0, left = strchr(v->flag, '-') != NULL;
    for (size_t i = 0; i < s.n; i++) chars += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    size_t fill = v->width > 0 && (size_t)v->width > chars ? (size_t)v->width - chars : 0;
    for (size_t i = 0; !left && i < fill; i++) buf_putc(b, ' ');
    buf_str(b, s);
    for (size_t i = 0; left && i < fill; i++) buf_putc(b, ' ');
}

/* A locale's point becomes '.'; where it had more bytes than that the field is filled up again. */
static size_t mend_field(char *text, const struct verb *v)
{
    size_t was = strlen(text), lead = strspn(text, " "), n = lead + num_mend_point(text + lead);
    size_t width = v->width > 0 ? (size_t)v->width : 0, fill = width > n ? width - n : 0;
    if (fill > was - n) fill = was - n;
    int zeros = strchr(v->flag, '0') != NULL, left = strchr(v->flag, '-') != NULL;
    size_t at = left ? n : zeros ? lead + (text[lead] == '-' || text[lead] == '+') : 0;
    memmove(text + at + fill, text + at, n - at);
    memset(text + at, zeros && !left ? '0' : ' ', fill);
    return n + fill;
}

/* Numbers go through C's printf, whose forms these verbs share with Go's. */
static int format_number(struct go_run *r, struct buf *b, const struct verb *v, struct go_val a)
{
    char form[48], w[16] = "", p[16] = "";
    if (v->width >= 0) snprintf(w, sizeof w, "%d", v->width);
    if (v->precision >= 0) snprintf(p, sizeof p, ".%d", v->precision);
    snprintf(form, sizeof form, "%%%s%s%s%s%c", v->flag, w, p, a.kind == GO_INT ? "ll" : "", v->c);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    char text[2400];
    int n = a.kind == GO_INT ? snprintf(text, sizeof text, form, (long long)a.i)
                             : snprintf(text, sizeof text, form, a.f);
#pragma GCC diagnostic pop
    if (n < 0 || (size_t)n >= sizeof text)
        return go_fail(r, LAR_ELIMIT, "printf: a number of %d characters", n);
    buf_add(b, text, a.kind == GO_FLOAT ? mend_field(text, v) : (size_t)n);
    return 0;
}

static int format_one(struct go_run *r, struct buf *b, const struct verb *v, struct go_val a)
{
    struct buf t = text_buf(r);
    int rc = 0;
    if (a.kind == GO_INT && v->c && strchr("dxXo", v->c) && (v->c == 'd' || a.i >= 0))
        return format_number(r, b, v, a);
    if (a.kind == GO_FLOAT && v->c && strchr("fFeEgG", v->c) &&
        (v->precision >= 0 || strchr("fFeE", v->c)))
        return format_number(r, b, v, a);
    if ((v->c == 's' && a.kind != GO_INT && a.kind != GO_FLOAT && a.kind != GO_BOOL &&
         a.kind != GO_NIL) ||
        v->c == 'v' || (v->c == 't' && a.kind == GO_BOOL) || (v->c == 'g' && a.kind == GO_FLOAT)) {
        rc = go_print(r, &t, a, 0);
    } else if (v->c == 'q' && a.kind == GO_STR) {
        buf_json_str(&t, a.s);
    } else if (v->c == 'c' && a.kind == GO_INT) {
        char c[4];
        buf_add(&t, c, utf8_encode(a.i >= 0 && a.i <= 0x10ffff ? (uint32_t)a.i : 0xfffd, c));
    } else {
        rc = go_fail(r, LAR_EUNSUPPORTED, "printf: %%%c of a %s is not known to Lar",
                     v->c >= ' ' && v->c < 127 ? v->c : '?', go_kind_name(a));
    }
    struct str s = buf_view(&t);
    if (v->c == 's' && v->precision >= 0)
        for (size_t i = 0, chars = 0; i < s.n; i++)
            if (((unsigned char)s.p[i] & 0xc0) != 0x80 && chars++ == (size_t)v->precision) s.n = i;
    if (rc == 0) pad(b, s, v);
    buf_done(&t);
    return rc;
}

static int f_printf(struct go_run *r, const struct go_val *a, size_t n, struct go_val *out)
{
    struct buf b = text_buf(r);
    struct str s = a[0].s;
    size_t next = 1;
    int rc = a[0].kind == GO_STR
                 ? 0
                 : go_fail(r, LAR_EFORMAT, "printf: the form is a %s", go_kind_name(a[0]));
    while (rc == 0 && s.n) {
        const char *percent = memchr(s.p, '%', s.n);
        size_t plain = percent ? (size_t)(percent - s.p) : s.n;
        struct verb v;
        buf_add(&b, s.p, plain);
        if (!percent) break;
        s = str_from(s, plain + 1);
        s = str_from(s, read_verb(s, &v));
        if (v.c == '%')
            buf_putc(&b, '%');
        else if (next == n)
            rc = go_fail(r, LAR_EFORMAT, "printf: no argument for %%%c",
                         v.c >= ' ' && v.c < 127 ? v.c : '?');
        else
            rc = format_one(r, &b, &v, a[next++]);
        if (rc == 0) rc = go_step(r, 1);
    }
    if (rc == 0 && next < n) rc = go_fail(r, LAR_EFORMAT, "printf: more arguments than verbs");
    return finish(r, &b, rc, out);
}

/* ---- Ollama's -------------------------------------------------------------------------------------------------------------- */

static int f_json(struct go_run *r, const struct go_val *a, size_t n, struct go_val *out)
{
    struct buf b = text_buf(r);
    (void)n;
    return finish(r, &b, go_json(r, &b, a[0], 0), out);
}

/* Days since 1970 to a date: Howard Hinnant's civil_from_days. */
static int date(struct go_run *r, int64_t seconds, struct go_val *out)
{
    struct buf b = text_buf(r);
    int64_t z = seconds / 86400 - (seconds % 86400 < 0) + 719468,
            era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097, yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int64_t m = mp < 10 ? mp + 3 : mp - 9, y = yoe + era * 400 + (m <= 2);
    buf_printf(&b, "%04lld-%02lld-%02lld", (long long)y, (long long)m,
               (long long)(doy - (153 * mp + 2) / 5 + 1));
    return finish(r, &b, 0, out);
}

static int f_today(struct go_run *r, const struct go_val *a, size_t n, struct go_val *out)
{
    (void)a, (void)n;
    return date(r, r->now, out);
}

static int f_yesterday(struct go_run *r, const struct go_val *a, size_t n, struct go_val *out)
{
    (void)a, (void)n;
    return date(r, r->now - 86400, out);
}

static struct go_val member(struct go_val v, const char *key)
{
    for (size_t i = 0; v.kind == GO_STRUCT && i < v.n; i++)
        if (str_is(v.member[i].key, key)) return v.member[i].v;
    return go_nil();
}

static void typescript_type(struct buf *b, struct str type)
{
    static const char *const names[][2] = {{"string", "string"},  {"number", "number"},
                                           {"integer", "number"}, {"boolean", "boolean"},
                                           {"array", "any[]"},    {"object", "Record<string, any>"},
                                           {"null", "null"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_is(type, names[i][0])) {
            buf_puts(b, names[i][1]);
            return;
        }
    buf_puts(b, "any");
}

static int typescript(struct go_run *r, struct buf *b, struct go_val property, int depth)
{
    struct go_val any = member(property, "anyOf"), type = member(property, "type");
    int rc = go_step(r, 1);
    if (depth > GO_DEPTH)
        return go_fail(r, LAR_ELIMIT, "anyOf is nested more than %d deep", GO_DEPTH);
    if (any.kind == GO_LIST && any.n) {
        for (size_t i = 0; i < any.n && rc == 0; i++) {
            if (i) buf_puts(b, " | ");
            rc = typescript(r, b, any.item[i], depth + 1);
        }
        return rc;
    }
    if (type.kind == GO_STR)
        typescript_type(b, type.s);
    else if (type.kind != GO_LIST || !type.n)
        buf_puts(b, "any");
    for (size_t i = 0; type.kind == GO_LIST && i < type.n; i++) {
        if (i) buf_puts(b, " | ");
        typescript_type(b, type.item[i].kind == GO_STR ? type.item[i].s : STR(""));
    }
    return rc;
}

static int f_typescript(struct go_run *r, const struct go_val *a, size_t n, struct go_val *out)
{
    struct buf b = text_buf(r);
    (void)n;
    return finish(r, &b, typescript(r, &b, a[0], 0), out);
}

/* ---- the table --------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    func *f; /* NULL: and, or, which gotmpl_run.c does */
    size_t least, most;
} table[] = {
    {"and", NULL, 1, 0},
    {"or", NULL, 1, 0},
    {"not", f_not, 1, 1},
    {"eq", f_eq, 1, SIZE_MAX},
    {"ne", f_ne, 2, 2},
    {"lt", f_lt, 2, 2},
    {"le", f_le, 2, 2},
    {"gt", f_gt, 2, 2},
    {"ge", f_ge, 2, 2},
    {"len", f_len, 1, 1},
    {"index", f_index, 1, SIZE_MAX},
    {"slice", f_slice, 1, 4},
    {"print", f_print, 0, SIZE_MAX},
    {"println", f_println, 0, SIZE_MAX},
    {"printf", f_printf, 1, SIZE_MAX},
    {"json", f_json, 1, 1},
    {"toJson", f_json, 1, 1},
    {"currentDate", f_today, 0, SIZE_MAX},
    {"yesterdayDate", f_yesterday, 0, SIZE_MAX},
    {"toTypeScriptType", f_typescript, 1, 1},
};

static size_t find(struct str name)
{
    size_t i = 0;
    while (i < sizeof table / sizeof *table && !str_is(name, table[i].name)) i++;
    return i;
}

int go_func_known(struct str name) { return find(name) < sizeof table / sizeof *table; }

int go_call(struct go_run *r, struct str name, const struct go_val *arg, size_t n,
            struct go_val *out)
{
    size_t i = find(name);
    *out = go_nil();
    if (i == sizeof table / sizeof *table || !table[i].f || n < table[i].least || n > table[i].most)
        return go_fail(r, LAR_EFORMAT, "wrong number of args for %.*s: %zu", STR_ARG(name), n);
    return table[i].f(r, arg, n, out);
}
