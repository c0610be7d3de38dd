/* SPDX-License-Identifier: Apache-2.0
 * cli/out.c: see out.h. */
#include "cli/out.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <lar/lar.h>

#include "base/err.h"
#include "base/utf8.h"

enum { SPILL_BYTES = 1 << 16 };

static struct buf buffer;
static int broken; /* errno of the first write that failed */

struct buf *out(void) { return &buffer; }

int out_flush(void)
{
    size_t at = 0;
    while (!broken && at < buffer.n) {
        ssize_t k = write(STDOUT_FILENO, buffer.p + at, buffer.n - at);
        if (k >= 0) {
            at += (size_t)k;
        } else if (errno == EAGAIN) { /* somebody made the descriptor non-blocking */
            struct pollfd p = {STDOUT_FILENO, POLLOUT, 0};
            poll(&p, 1, -1);
        } else if (errno != EINTR) {
            broken = errno;
        }
    }
    if (buffer.failed && !broken) broken = ENOMEM;
    buf_clear(&buffer);
    return broken ? -1 : 0;
}

void out_spill(void)
{
    if (buffer.n >= SPILL_BYTES || buffer.failed) out_flush();
}

int out_done(int code)
{
    out_flush();
    buf_done(&buffer);
    if (!broken) return code;
    errno = broken;
    struct lar_err err;
    lar_fail_errno(&err, "cannot write to standard output");
    if (broken == EPIPE)
        say("standard output was closed before all was written");
    else
        say_err(&err);
    return code == EXIT_DONE ? EXIT_FAILED : code;
}

void out_text_to(struct buf *b, int is_terminal, const char *p, size_t n)
{
    if (!is_terminal) {
        buf_add(b, p, n);
        return;
    }
    for (size_t i = 0; i < n;) {
        uint32_t c;
        size_t k = utf8_decode(p + i, n - i, &c);
        if (k == 0 || (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0)) {
            buf_puts(b, "\xef\xbf\xbd");
            k = k ? k : 1;
        } else {
            buf_add(b, p + i, k);
        }
        i += k;
    }
}

void out_text(const char *p, size_t n) { out_text_to(&buffer, isatty(STDOUT_FILENO), p, n); }

int out_colours(int fd)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fd) && !(no && *no) && term && *term && strcmp(term, "dumb") != 0;
}

void say(const char *fmt, ...)
{
    char text[252];
    struct lar_err clean;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    lar_fail(&clean, LAR_EINVAL, "%s", text);
    fprintf(stderr, "lar: %s\n", clean.msg);
}

static void say_families(void)
{
    const char *name;
    fprintf(stderr, "lar: known are");
    for (size_t i = 0; (name = lar_family(i)); i++)
        fprintf(stderr, "%s%s%s", i ? "," : "", i % 10 ? " " : "\n    ", name);
    fputc('\n', stderr);
}

int say_err(const struct lar_err *err)
{
    say("%s", err->msg[0] ? err->msg : lar_code_text(err->code));
    if (err->code == LAR_EFAMILY) say_families();
    switch (err->code) {
    case LAR_EFAMILY:
    case LAR_EINVAL:
    case LAR_EFORMAT:
    case LAR_ELIMIT:
    case LAR_EUNSUPPORTED: return EXIT_MISUSE;
    default: return EXIT_FAILED;
    }
}

void buf_bytes(struct buf *b, uint64_t n)
{
    static const char *const unit[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)n;
    int u = 0;
    while (v >= 1024 && u < 6) {
        v /= 1024;
        u++;
    }
    if (u == 0)
        buf_printf(b, "%u %s", (unsigned)n, unit[0]);
    else
        buf_printf(b, "%.*f %s", v < 10 ? 2 : v < 100 ? 1 : 0, v, unit[u]);
}
