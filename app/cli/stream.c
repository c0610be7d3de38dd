/* SPDX-License-Identifier: Apache-2.0
 * cli/stream.c: see stream.h. */
#include "cli/stream.h"

#include <stdio.h>
#include <unistd.h>

#include "base/time.h"
#include "cli/out.h"

enum { PATIENCE_MS = 400, PROGRESS_WIDTH = 60 };

void stream_init(struct stream *s, int asked, int hide)
{
    *s = (struct stream){.terminal = isatty(STDOUT_FILENO), .colours = out_colours(STDOUT_FILENO)};
    s->thinking = hide ? STREAM_HIDE : s->terminal ? STREAM_OUT : asked ? STREAM_ERR : STREAM_HIDE;
}

static void err_text(const char *p, size_t n)
{
    struct buf b = {0};
    out_text_to(&b, isatty(STDERR_FILENO), p, n);
    fwrite(buf_z(&b), 1, b.n, stderr);
    fflush(stderr);
    buf_done(&b);
}

static void end_thinking(struct stream *s)
{
    if (s->now != STREAM_THINKING) return;
    if (s->thinking == STREAM_OUT)
        buf_puts(out(), s->colours ? "\033[0m\n\n" : "\n\n");
    else
        err_text("\n", 1);
}

void stream_prompt(void *stream, size_t done, size_t total)
{
    struct stream *s = stream;
    if (!s->terminal || !isatty(STDERR_FILENO) || total == 0) return;
    if (!s->start) s->start = time_ns();
    if (!s->progress && time_ms_since(s->start) < PATIENCE_MS) return;
    s->progress = 1;
    fprintf(stderr, "\rreading the prompt: %zu of %zu tokens ", done, total);
    fflush(stderr);
}

static void end_progress(struct stream *s)
{
    if (s->progress) fprintf(stderr, "\r%*s\r", PROGRESS_WIDTH, "");
    s->progress = 0;
}

int stream_text(void *stream, enum lar_text_kind kind, const char *text, size_t n)
{
    struct stream *s = stream;
    enum stream_part now = kind == LAR_TEXT_THINKING ? STREAM_THINKING : STREAM_ANSWER;
    end_progress(s);
    if (now == STREAM_THINKING && s->thinking == STREAM_HIDE) return out_flush();
    /* On a terminal the parts are set apart by us, not by the newlines that a model begins them with. */
    if (s->terminal && s->now != now && (now == STREAM_THINKING || s->now == STREAM_THINKING)) {
        while (n && *text == '\n') text++, n--;
        if (n == 0) return 0;
    }
    if (s->now != now) {
        end_thinking(s);
        if (now == STREAM_THINKING && s->thinking == STREAM_OUT && s->colours)
            buf_puts(out(), "\033[2m");
        s->now = now;
    }
    if (now == STREAM_THINKING && s->thinking == STREAM_ERR)
        err_text(text, n);
    else
        out_text(text, n);
    return out_flush();
}

void stream_end(struct stream *s)
{
    end_progress(s);
    if (s->now == STREAM_THINKING) {
        end_thinking(s);
        if (s->thinking == STREAM_OUT) {
            out_flush();
            return;
        }
    }
    buf_putc(out(), '\n');
    out_flush();
}
