/* SPDX-License-Identifier: Apache-2.0
 * cli/chat.h: the chat's state, shared by its loop (chat.c) and its commands (chat_command.c). */
#ifndef CLI_CHAT_H
#define CLI_CHAT_H

#include "base/mem.h"
#include "cli/line.h"
#include "cli/run.h"
#include "cli/talk.h"

struct chat {
    struct runner *r;
    struct talk talk;
    struct line *line;
    struct arena kept; /* texts that options point to */
    int leaving;
};

/* Runs a line that begins with a slash. */
void chat_command(struct chat *c, const char *text);
/* Turns the history of lines on (in LAR_HISTORY or ~/.lar/history) or off. */
int chat_history(struct chat *c, int on, struct lar_err *err);

#endif
