/* SPDX-License-Identifier: Apache-2.0
 * cli/in.h: reading standard input and small files whole or by line, with a wall (IN_BYTES_MAX). */
#ifndef CLI_IN_H
#define CLI_IN_H

#include <lar/err.h>

#include "base/buf.h"

#define IN_BYTES_MAX ((size_t)1 << 30)
#define IN_FILE_MAX ((size_t)64 << 20)

/* All of a file or pipe, or of standard input when path is "-". Devices are refused: some never end. Appends to b; its limit is set. */
int in_all(const char *path, struct buf *b, struct lar_err *err);
/* The same of a regular file of at most IN_FILE_MAX bytes: for a place that must not wait for a pipe's other end. */
int in_file(const char *path, struct buf *b, struct lar_err *err);
/* A regular file opened for reading, or a negative code; never waits. */
int in_regular(const char *path, struct lar_err *err);
/* Says how many bytes of a text are no UTF-8, for what may become of them. */
void in_odd(const char *what, struct str text);
/* What err says (e < 0) is about what stands in this file: puts its name before it. Gives e. */
int in_blame(const char *path, int e, struct lar_err *err);

/* Lines of standard input. A zeroed struct is a fresh one; free with in_done. */
struct in {
    struct buf b;
    size_t at, looked; /* start of the unread part; where the search for a newline goes on */
    int ended;
};
/* 1 and *line without its newline (valid until the next call), 0 at the end, negative on failure. */
int in_line(struct in *r, struct str *line, struct lar_err *err);
/* True when another whole line is here already, so that nobody waits for an answer. */
int in_ready(const struct in *r);
void in_done(struct in *r);

/* What standard input is, for a verb that takes its text from there when it is not a terminal. */
enum in_kind { IN_TERMINAL, IN_FILE, IN_PIPE, IN_OTHER };
enum in_kind in_kind(void);

#endif
