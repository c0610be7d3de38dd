/* SPDX-License-Identifier: Apache-2.0
 * cli/progress.c: see progress.h. */
#include "cli/progress.h"

#include <unistd.h>

#include "base/buf.h"
#include "base/time.h"
#include "cli/interrupt.h"
#include "cli/out.h"

void progress_begin(struct progress *w, int quiet)
{
    *w = (struct progress){.terminal = isatty(STDERR_FILENO) && !quiet, .began = time_ns()};
    interrupt_begin(NULL, 1);
}

int progress_tell(void *ctx, const char *tensor, size_t n, uint64_t done, uint64_t total)
{
    struct progress *w = ctx;
    int64_t now = time_ns();
    if (w->terminal && now - w->told > 50000000) {
        double s = time_ms_since(w->began) * 1e-3, share = total ? (double)done / (double)total : 1;
        struct buf b = {0};
        buf_printf(&b, "\r\033[K%3.0f %%  ", 100 * share);
        out_text_to(&b, 1, tensor, n > 50 ? 50 : n);
        if (share > 0.02) buf_printf(&b, "  %.0f s left", s / share - s);
        (void)!write(STDERR_FILENO, buf_z(&b), b.n);
        buf_done(&b);
        w->told = now;
    }
    return interrupt_seen();
}

void progress_end(const struct progress *w)
{
    interrupt_end();
    if (w->terminal && w->told) (void)!write(STDERR_FILENO, "\r\033[K", 4);
}
