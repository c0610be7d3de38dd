/* SPDX-License-Identifier: Apache-2.0
 * cli/line.h: one line from the person at the terminal, with editing and history where libedit was built in. */
#ifndef CLI_LINE_H
#define CLI_LINE_H

#include <lar/err.h>

#include "base/buf.h"

struct line;
enum line_end { LINE_TEXT, LINE_END, LINE_INTERRUPTED };

/* NULL when out of memory. */
struct line *line_open(void);
void line_close(struct line *l);
/* Shows prompt and reads a line into b (replaced, without its newline); what the terminal says was pasted may hold line ends of its own. LINE_END is Ctrl-D on an empty line,
 * LINE_INTERRUPTED Ctrl-C. */
enum line_end line_read(struct line *l, const char *prompt, struct buf *b);
/* Keeps the history of lines in a file (read now, written after each line, for its owner only) or, when path is
 * NULL, no longer. */
int line_history(struct line *l, const char *path, struct lar_err *err);
/* The file, or NULL. */
const char *line_history_path(const struct line *l);

#endif
