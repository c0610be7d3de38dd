/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_time.c: strftime_now: a moment in words, in the C locale, whatever the process's
 * own is.
 */
#include <time.h>

#include "text/template_val.h"

static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};

/* A number in a field: the flags '-', '_' and '0' of glibc choose how it is filled. */
static void put(struct buf *b, int n, int width, char fill, char flag)
{
    if (flag == '-')
        buf_printf(b, "%d", n);
    else if (flag == '_' || (!flag && fill == ' '))
        buf_printf(b, "%*d", width, n);
    else
        buf_printf(b, "%0*d", width, n);
}

static void name(struct buf *b, const char *s, size_t n, char flag)
{
    struct str text = {s, n && strlen(s) > n ? n : strlen(s)};
    if (flag == '^')
        tpl_str_case_to(b, text, TPL_UPPER);
    else
        buf_str(b, text);
}

static int leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

/* The week of ISO 8601 and the year it belongs to. */
static int iso_week(const struct tm *t, int *year)
{
    int day = (t->tm_wday + 6) % 7; /* Monday 0 */
    int week = (t->tm_yday - day + 10) / 7;
    *year = t->tm_year + 1900;
    if (week < 1) {
        int days_before = leap(*year - 1) ? 366 : 365;
        --*year;
        return (t->tm_yday + days_before - day + 10) / 7;
    }
    if (week == 53 && t->tm_yday - day + 3 >= (leap(*year) ? 366 : 365)) return ++*year, 1;
    return week;
}

static void one(struct buf *b, char c, char flag, const struct tm *t, int64_t now);

static void several(struct buf *b, const char *list, const struct tm *t, int64_t now)
{
    for (; *list; list++) {
        if (*list >= 'A')
            one(b, *list, 0, t, now);
        else
            buf_putc(b, *list);
    }
}

static void one(struct buf *b, char c, char flag, const struct tm *t, int64_t now)
{
    int hour12 = t->tm_hour % 12 ? t->tm_hour % 12 : 12, year = t->tm_year + 1900, iso;
    int week = iso_week(t, &iso);
    switch (c) {
    case 'a': name(b, days[t->tm_wday], 3, flag); break;
    case 'A': name(b, days[t->tm_wday], 0, flag); break;
    case 'b':
    case 'h': name(b, months[t->tm_mon], 3, flag); break;
    case 'B': name(b, months[t->tm_mon], 0, flag); break;
    case 'c':
        several(b, "a b ", t, now);
        put(b, t->tm_mday, 2, ' ', 0);
        several(b, " H:M:S Y", t, now);
        break;
    case 'C': put(b, year / 100, 2, '0', flag); break;
    case 'd': put(b, t->tm_mday, 2, '0', flag); break;
    case 'D':
    case 'x': several(b, "m/d/y", t, now); break;
    case 'e': put(b, t->tm_mday, 2, ' ', flag); break;
    case 'f': buf_puts(b, "000000"); break; /* microseconds: now has none */
    case 'F': several(b, "Y-m-d", t, now); break;
    case 'g': put(b, iso % 100, 2, '0', flag); break;
    case 'G': put(b, iso, 1, '0', flag); break;
    case 'H': put(b, t->tm_hour, 2, '0', flag); break;
    case 'I': put(b, hour12, 2, '0', flag); break;
    case 'j': put(b, t->tm_yday + 1, 3, '0', flag); break;
    case 'k': put(b, t->tm_hour, 2, ' ', flag); break;
    case 'l': put(b, hour12, 2, ' ', flag); break;
    case 'm': put(b, t->tm_mon + 1, 2, '0', flag); break;
    case 'M': put(b, t->tm_min, 2, '0', flag); break;
    case 'n': buf_putc(b, '\n'); break;
    case 'p': buf_puts(b, t->tm_hour < 12 ? "AM" : "PM"); break;
    case 'P': buf_puts(b, t->tm_hour < 12 ? "am" : "pm"); break;
    case 'r': several(b, "I:M:S p", t, now); break;
    case 'R': several(b, "H:M", t, now); break;
    case 's': buf_printf(b, "%lld", (long long)now); break;
    case 'S': put(b, t->tm_sec, 2, '0', flag); break;
    case 't': buf_putc(b, '\t'); break;
    case 'T':
    case 'X': several(b, "H:M:S", t, now); break;
    case 'u': put(b, t->tm_wday ? t->tm_wday : 7, 1, '0', flag); break;
    case 'U': put(b, (t->tm_yday + 7 - t->tm_wday) / 7, 2, '0', flag); break;
    case 'V': put(b, week, 2, '0', flag); break;
    case 'w': put(b, t->tm_wday, 1, '0', flag); break;
    case 'W': put(b, (t->tm_yday + 7 - (t->tm_wday + 6) % 7) / 7, 2, '0', flag); break;
    case 'y': put(b, year % 100, 2, '0', flag); break;
    case 'Y': put(b, year, 1, '0', flag); break;
    case 'z':
    case 'Z': break; /* a time without a zone */
    case '%': buf_putc(b, '%'); break;
    default: /* as glibc: what is unknown stays */
        buf_putc(b, '%');
        if (flag) buf_putc(b, flag);
        buf_putc(b, c);
    }
}

struct val tpl_time_format(struct tpl_run *r, struct str s, int64_t now)
{
    struct tm t = {0};
    time_t when = (time_t)now;
    size_t begin = tpl_begin(r);
    if (!gmtime_r(&when, &t) || t.tm_year > 8099 || t.tm_year < -1899)
        return tpl_fail(r, LAR_EUNSUPPORTED, "strftime_now: the year is not within 1 to 9999");
    if (tpl_step_bytes(r, s.n * 8)) return tpl_failed();
    for (size_t i = 0; i < s.n; i++) {
        char flag = 0;
        if (s.p[i] != '%' || i + 1 >= s.n) {
            buf_putc(&r->work, s.p[i]);
            continue;
        }
        i++;
        if (i + 1 < s.n && s.p[i] && strchr("-_0^#", s.p[i])) flag = s.p[i++];
        if (i + 1 < s.n && (s.p[i] == 'E' || s.p[i] == 'O')) i++;
        one(&r->work, s.p[i], flag, &t, now);
    }
    return tpl_end(r, begin);
}
