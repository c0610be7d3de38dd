/* SPDX-License-Identifier: Apache-2.0
 * cli/whole.h: a small file of the person's own (a conversation, a history, a plot), written whole or not at all. */
#ifndef CLI_WHOLE_H
#define CLI_WHOLE_H

#include <lar/err.h>

#include "base/buf.h"

/* Writes beside path and renames over it; mode: WHOLE_OWN, or WHOLE_OPEN less the umask. A link is followed, what is no regular file refused. */
enum { WHOLE_OWN = 0600, WHOLE_OPEN = 0666 };
int whole_write(const char *path, const struct buf *b, int mode, struct lar_err *err);

#endif
