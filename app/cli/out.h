/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/out.h: what the program says, and to whom. Results go to standard output and nothing else does;
 * everything for the person at the terminal goes to standard error.
 *
 * Standard output is one growing buffer that is written by hand, not stdio: the first error of a write
 * is kept with its reason, so that a full disk is told from a reader that went away.
 */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <lar/err.h>

#include "base/buf.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_MISUSE = 2 };

/* The buffer: append with base/buf.h, then call out_spill now and then (it writes only what is much). */
struct buf *out(void);
void out_spill(void);
/* Writes all of it now; -1 when standard output no longer takes anything. */
int out_flush(void);
/* The last call of a verb: flushes and gives the exit code: code itself, or EXIT_FAILED when something
 * could not be written (said on stderr). */
int out_done(int code);
/* Text of a model or a file: to the byte, but on a terminal control characters other than newline and
 * tab are shown as U+FFFD, so that no file can drive somebody's terminal. */
void out_text(const char *p, size_t n);
void out_text_to(struct buf *b, int is_terminal, const char *p, size_t n);
/* Is this descriptor a terminal that takes colours (NO_COLOR unset, TERM not dumb)? */
int out_colours(int fd);

/* One line "lar: ..." on stderr; cut at 250 bytes, cleaned of control characters. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same for an error, giving the exit code that goes with it: misuse and refused input 2, the rest 1. */
int say_err(const struct lar_err *err);

/* "5.5 MiB" */
void buf_bytes(struct buf *b, uint64_t n);

#endif
