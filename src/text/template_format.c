/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_format.c: one value written into a field of a width: what "%5d", "{:>5}" and
 * format(v, "05.2f") share. (Python's "Format Specification Mini-Language".) Widths and precisions
 * cost steps, and the work buffer has a limit.
 */
#include <math.h>

#include "base/num.h"
#include "base/utf8.h"
#include "text/template_val.h"

enum { PRECISION_MAX = 4000 };

/* Makes room for n copies of a character inside the work buffer. */
static int insert(struct tpl_run *r, size_t at, size_t n, struct str what)
{
    struct buf *b = &r->work;
    size_t bytes;
    if (!n) return 0;
    if (mul_size(n, what.n, &bytes)) bytes = SIZE_MAX;
    if (tpl_step_bytes(r, bytes)) return -1;
    if (!buf_room(b, bytes)) return tpl_end(r, b->n), -1; /* says why */
    memmove(b->p + at + bytes, b->p + at, b->n - at);
    for (size_t i = 0; i < n; i++) memcpy(b->p + at + i * what.n, what.p, what.n);
    b->n += bytes;
    return 0;
}

/* What stands from begin on, whose first `head` bytes are sign and prefix, padded to the width. */
static int pad(struct tpl_run *r, const struct tpl_spec *sp, size_t begin, size_t head, char align)
{
    struct buf *b = &r->work;
    size_t chars = 0;
    for (size_t i = begin; i < b->n; i++) chars += ((unsigned char)b->p[i] & 0xc0) != 0x80;
    if (sp->align) align = sp->align;
    if (sp->width <= 0 || (uint64_t)sp->width <= chars) return 0;
    size_t more = (size_t)sp->width - chars;
    size_t left = align == '<' ? 0 : align == '^' ? more / 2 : more;
    if (insert(r, align == '=' ? begin + head : begin, left, sp->fill)) return -1;
    return insert(r, b->n, more - left, sp->fill);
}

/* Separators into the digits from `from` to `to`; zeros that fill the field are grouped as well:
 * 0,001,234. */
static int group(struct tpl_run *r, const struct tpl_spec *sp, size_t begin, size_t from, size_t to,
                 size_t every)
{
    struct buf *b = &r->work;
    size_t n = to - from, other = b->n - begin - n, all = n;
    if (!sp->group) return 0;
    if (sp->align == '=' && str_is(sp->fill, "0") && sp->width > 0) {
        size_t room = (size_t)sp->width > other ? (size_t)sp->width - other : 0;
        size_t least = room - room / (every + 1); /* digits among room places */
        while (least && least + (least - 1) / every < room) least++;
        if (least > all) all = least;
    }
    if (insert(r, from, all - n, STR("0"))) return -1;
    size_t extra = all ? (all - 1) / every : 0, end = from + all;
    if (insert(r, end, extra, STR("0"))) return -1;
    for (size_t i = 0, w = end + extra; i < all && extra; i++) {
        b->p[--w] = b->p[end - 1 - i];
        if ((i + 1) % every == 0 && i + 1 < all) b->p[--w] = sp->group;
    }
    return 0;
}

static void put_sign(struct buf *b, int negative, const struct tpl_spec *sp)
{
    if (negative)
        buf_putc(b, '-');
    else if (sp->sign)
        buf_putc(b, sp->sign);
}

int tpl_format_int(struct tpl_run *r, struct val v, const struct tpl_spec *sp)
{
    struct buf *b = &r->work;
    size_t begin = b->n;
    char t = sp->type;
    int base = t == 'b' ? 2 : t == 'o' ? 8 : t == 'x' || t == 'X' ? 16 : 10;
    put_sign(b, tpl_int_negative(v), sp);
    if (sp->alternate && base != 10) buf_putc(b, '0'), buf_putc(b, t);
    size_t from = b->n;
    if (tpl_int_write(r, b, v, base, t == 'X')) return -1;
    if ((int64_t)(b->n - from) < sp->precision && /* "%.5d" */
        insert(r, from, (size_t)sp->precision - (b->n - from), STR("0")))
        return -1;
    if (group(r, sp, begin, from, b->n, base == 10 ? 3 : 4)) return -1;
    return pad(r, sp, begin, from - begin, '>');
}

int tpl_format_float(struct tpl_run *r, double f, const struct tpl_spec *sp)
{
    struct buf *b = &r->work;
    size_t begin = b->n;
    char t = sp->type;
    int upper = t == 'E' || t == 'F' || t == 'G', p = sp->precision < 0 ? 6 : (int)sp->precision;
    if (sp->precision > PRECISION_MAX)
        return tpl_fail(r, LAR_ELIMIT, "a precision above %d", PRECISION_MAX), -1;
    put_sign(b, signbit(f) && !isnan(f), sp);
    size_t from = b->n;
    f = fabs(f);
    if (t == '%') f *= 100;
    if (!isfinite(f)) {
        buf_puts(b, isnan(f) ? upper ? "NAN" : "nan" : upper ? "INF" : "inf");
    } else if (!t && sp->precision < 0) {
        tpl_repr_float(b, f);
    } else {
        num_put(b, t == '%' ? 'f' : t, sp->alternate, !t && p == 0 ? 1 : p, f);
        /* without a type there is at least one digit after a point */
        size_t n = b->n - from;
        if (!t && !b->failed && !memchr(b->p + from, '.', n) && !memchr(b->p + from, 'e', n))
            buf_puts(b, ".0");
    }
    if (t == '%') buf_putc(b, '%');
    if (b->failed) return tpl_end(r, b->n), -1;
    size_t to = from;
    while (to < b->n && b->p[to] >= '0' && b->p[to] <= '9') to++;
    if (to > from && group(r, sp, begin, from, to, 3)) return -1;
    return pad(r, sp, begin, from - begin, '>');
}

int tpl_format_text(struct tpl_run *r, struct str s, const struct tpl_spec *sp)
{
    size_t begin = r->work.n, n = 0;
    if (tpl_step_bytes(r, s.n)) return -1;
    if (sp->precision >= 0) { /* at most so many characters */
        int64_t chars = 0;
        for (; n < s.n; n++) {
            if (((unsigned char)s.p[n] & 0xc0) == 0x80) continue;
            if (chars++ == sp->precision) break;
        }
        s.n = n;
    }
    buf_str(&r->work, s);
    if (r->work.failed) return tpl_end(r, begin), -1;
    return pad(r, sp, begin, 0, '<');
}

/* ---- the specification as text ---- */

static int number(struct tpl_run *r, struct str *s, int64_t *out)
{
    int64_t n = 0;
    size_t i = 0;
    for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++) {
        n = n * 10 + (s->p[i] - '0');
        if (n <= INT32_MAX) continue;
        tpl_fail(r, LAR_ELIMIT, "too many decimal digits in a format");
        return -1;
    }
    if (i) *out = n;
    *s = str_from(*s, i);
    return 0;
}

static int is_align(struct str s, size_t at)
{
    return at < s.n && s.p[at] && strchr("<>=^", s.p[at]);
}

static char take(struct str *s, const char *any)
{
    char c = s->n && s->p[0] && strchr(any, s->p[0]) ? s->p[0] : 0;
    if (c) *s = str_from(*s, 1);
    return c;
}

static int parse(struct tpl_run *r, struct str s, struct tpl_spec *sp)
{
    uint32_t cp;
    size_t k = utf8_decode(s.p, s.n, &cp);
    *sp = (struct tpl_spec){.fill = STR(" "), .precision = -1, .width = -1};
    if (k && is_align(s, k)) {
        sp->fill = (struct str){s.p, k};
        sp->align = s.p[k];
        s = str_from(s, k + 1);
    } else {
        sp->align = take(&s, "<>=^");
    }
    int filled = k && sp->align;
    char sign = take(&s, "+- ");
    sp->sign = sign == '-' ? 0 : sign;
    if (take(&s, "z")) return tpl_fail(r, LAR_EUNSUPPORTED, "the format option 'z'"), -1;
    sp->alternate = take(&s, "#") != 0;
    if (s.n && s.p[0] == '0') {
        if (!filled || !sp->align) sp->fill = STR("0");
        if (!sp->align) sp->align = '0'; /* '=' for numbers; nothing for text */
    }
    if (number(r, &s, &sp->width)) return -1;
    sp->group = take(&s, ",_");
    if (take(&s, ".")) {
        size_t before = s.n;
        if (number(r, &s, &sp->precision)) return -1;
        if (s.n == before) return tpl_type_error(r, "a format lacks its precision"), -1;
    }
    if (s.n > 1) return tpl_type_error(r, "invalid format specifier"), -1;
    sp->type = s.n ? s.p[0] : 0;
    return 0;
}

static int unknown(struct tpl_run *r, const struct tpl_spec *sp, struct val v)
{
    tpl_type_error(r, "unknown format code '%c' for object of type '%s'", sp->type,
                   tpl_val_type(v));
    return -1;
}

static int format_number(struct tpl_run *r, struct val v, struct tpl_spec *sp)
{
    char t = sp->type;
    double f;
    if (sp->align == '0') sp->align = '=';
    if (t && strchr(v.kind == TPL_FLOAT ? "eEfFgG%n" : "eEfFgG%", t)) {
        if (tpl_bad(tpl_num_to_float(r, v, &f))) return -1;
        if (t == 'n') sp->type = 'g';
        return tpl_format_float(r, f, sp);
    }
    if (v.kind == TPL_FLOAT) return t ? unknown(r, sp, v) : tpl_format_float(r, v.u.f, sp);
    if (t && !strchr("bcdoxXn", t)) return unknown(r, sp, v);
    if (sp->precision >= 0)
        return tpl_type_error(r, "precision not allowed in integer format specifier"), -1;
    if (sp->group == ',' && t && strchr("boxXcn", t))
        return tpl_type_error(r, "cannot specify ',' with '%c'", t), -1;
    if (t != 'c') return tpl_format_int(r, v, sp);
    int64_t cp;
    char c[4];
    if (sp->sign || sp->alternate)
        return tpl_type_error(r, "sign and '#' are not allowed with 'c'"), -1;
    if (tpl_val_index(r, v, &cp)) return -1;
    if (cp < 0 || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
        return tpl_type_error(r, "no character %lld", (long long)cp), -1;
    if (!sp->align) sp->align = '>';
    return tpl_format_text(r, (struct str){c, utf8_encode((uint32_t)cp, c)}, sp);
}

int tpl_format_value(struct tpl_run *r, struct val v, struct str spec)
{
    struct tpl_spec sp;
    if (!spec.n) return tpl_repr_to(r, &r->work, v, 0);
    if (!tpl_is_number(v) && !tpl_is_str(v))
        return tpl_type_error(r, "unsupported format string passed to %s.__format__",
                              tpl_val_type(v)),
               -1;
    if (parse(r, spec, &sp)) return -1;
    if (tpl_is_number(v)) return format_number(r, v, &sp);
    if (sp.align == '0') sp.align = 0;
    if (sp.type && sp.type != 's') return unknown(r, &sp, v);
    if (sp.align == '=' || sp.sign || sp.alternate || sp.group)
        return tpl_type_error(r,
                              "'=', a sign, '#' and ',' are not allowed in the format of a string"),
               -1;
    return tpl_format_text(r, tpl_view(v), &sp);
}

void tpl_format_ascii(struct buf *b, struct str s)
{
    for (size_t i = 0, k; i < s.n; i += k) {
        uint32_t cp;
        k = utf8_decode(s.p + i, s.n - i, &cp);
        if (!k) k = 1, cp = (unsigned char)s.p[i];
        if (cp < 0x80)
            buf_putc(b, (char)cp);
        else
            buf_printf(b,
                       cp < 0x100     ? "\\x%02x"
                       : cp < 0x10000 ? "\\u%04x"
                                      : "\\U%08x",
                       (unsigned)cp);
    }
}
