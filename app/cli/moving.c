/* SPDX-License-Identifier: Apache-2.0
 * cli/moving.c: see moving.h. */
#include "cli/moving.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/time.h"
#include "cli/interrupt.h"
#include "cli/out.h"

static void clock_text(struct buf *b, double s)
{
    if (s >= 3600)
        buf_printf(b, "%.0f h %02.0f min", floor(s / 3600), floor(fmod(s, 3600) / 60));
    else if (s >= 60)
        buf_printf(b, "%.0f min %02.0f s", floor(s / 60), fmod(s, 60));
    else
        buf_printf(b, "%.0f s", s);
}

static void draw(struct moving *s, uint64_t done, uint64_t total)
{
    struct buf b = {0};
    buf_printf(&b, "\r\033[K%s %3.0f %%  ", s->what, (double)done * 100 / (double)total);
    buf_bytes(&b, done);
    buf_puts(&b, " of ");
    buf_bytes(&b, total);
    if (s->rate) {
        buf_puts(&b, "  ");
        buf_bytes(&b, s->rate);
        buf_puts(&b, "/s  ");
        clock_text(&b, (double)(total - done) / (double)s->rate);
        buf_puts(&b, " left");
    }
    (void)!write(STDERR_FILENO, buf_z(&b), b.n);
    buf_done(&b);
}

static void measure(struct moving *s, uint64_t done, int64_t now)
{
    double span = (double)(now - s->mark_ns) * 1e-9;
    if (span < 1) return;
    double fresh = (double)(done - s->mark) / span;
    s->rate = s->rate ? (uint64_t)(0.7 * (double)s->rate + 0.3 * fresh) : (uint64_t)fresh;
    s->mark = done;
    s->mark_ns = now;
}

static void begin(struct moving *s, const char *what, uint64_t done)
{
    size_t n = strlen(what);
    memcpy(s->what, what, n < sizeof s->what ? n + 1 : sizeof s->what);
    s->what[sizeof s->what - 1] = 0;
    s->mark_ns = time_ns();
    s->mark = done;
    s->rate = 0;
    s->drawn_ns = 0;
    if (s->json) {
        buf_puts(out(), "{\"status\":");
        buf_json_str(out(), str_of(s->what));
        buf_puts(out(), "}\n");
        out_flush();
    } else if (!s->quiet && !s->terminal) {
        say("%s", s->what);
    }
}

int moving_progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    struct moving *s = ctx;
    int64_t now = time_ns();
    if (strncmp(what, s->what, sizeof s->what - 1) != 0) begin(s, what, done);
    measure(s, done, now);
    if (total && s->terminal && !s->quiet && (now - s->drawn_ns > 100000000 || done == total)) {
        draw(s, done, total);
        s->drawn_ns = now;
    }
    if (total && s->json && (now - s->drawn_ns > 500000000 || done == total)) {
        buf_printf(out(), "{\"status\":\"%s\",\"completed\":%llu,\"total\":%llu}\n", s->what,
                   (unsigned long long)done, (unsigned long long)total);
        out_flush();
        s->drawn_ns = now;
    }
    return interrupt_seen();
}

void moving_begin(struct moving *s, int json, int quiet)
{
    *s = (struct moving){.terminal = isatty(STDERR_FILENO) && !json, .quiet = quiet, .json = json};
    interrupt_begin(NULL, 1);
}

void moving_end(struct moving *s, int e)
{
    interrupt_end();
    if (s->terminal && !s->quiet) (void)!write(STDERR_FILENO, "\r\033[K", 4);
    if (e == 0 && s->json) buf_puts(out(), "{\"status\":\"success\"}\n");
}
