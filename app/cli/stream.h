/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/stream.h: an answer as it comes: text to standard output at once, and the thinking of models that think apart
 * from it. On a terminal thinking is dim and stands before the answer; elsewhere it goes to standard error, and
 * only when it was asked for, so that standard output holds the answer and nothing else. */
#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include <lar/lar.h>

enum stream_place { STREAM_HIDE, STREAM_OUT, STREAM_ERR };
enum stream_part { STREAM_NOTHING, STREAM_THINKING, STREAM_ANSWER };

struct stream {
    enum stream_place thinking; /* where thinking goes */
    enum stream_part now;       /* what was shown last */
    int terminal, colours;      /* standard output */
    int64_t start;              /* of the prompt's evaluation; 0 before */
    int progress;               /* a line about it stands on the terminal */
};

/* asked: --think was given; hide: --hide-thinking was. */
void stream_init(struct stream *s, int asked, int hide);
/* A lar_request's on_text, its ctx the stream. Non-zero when standard output takes no more. */
int stream_text(void *stream, enum lar_text_kind kind, const char *text, size_t n);
/* A lar_request's on_prompt: on a terminal, how far a prompt is that takes its time. */
void stream_prompt(void *stream, size_t done, size_t total);
/* After the last piece: colours back, the final newline. */
void stream_end(struct stream *s);

#endif
