/* SPDX-License-Identifier: Apache-2.0
 * base/err.c: writing an error's sentence. Cold code: clarity before speed. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* A message may quote names from a hostile file: no control characters, no broken UTF-8. */
static void clean(char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t k = utf8_decode(s + i, n - i, &cp);
        if (k == 0 || cp < 0x20 || (cp >= 0x7f && cp < 0xa0)) {
            s[i] = '?';
            k = 1;
        }
        i += k;
    }
}

static __attribute__((format(printf, 4, 0))) int fail_v(struct lar_err *err, int code,
                                                        const char *tail, const char *fmt,
                                                        va_list ap)
{
    if (!err) return code;
    err->code = code;
    int n = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    if (n < 0) n = 0;
    if (tail && (size_t)n < sizeof err->msg)
        snprintf(err->msg + n, sizeof err->msg - (size_t)n, ": %s", tail);
    clean(err->msg);
    return code;
}

int lar_fail(struct lar_err *err, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fail_v(err, code, NULL, fmt, ap);
    va_end(ap);
    return code;
}

int lar_fail_errno(struct lar_err *err, const char *fmt, ...)
{
    int code = errno == ENOMEM ? LAR_ENOMEM : LAR_EIO;
    const char *tail = strerror(errno);
    va_list ap;
    va_start(ap, fmt);
    fail_v(err, code, tail, fmt, ap);
    va_end(ap);
    return code;
}
