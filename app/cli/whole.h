/* SPDX-License-Identifier: Apache-2.0
 * cli/whole.h: a small file of the person's own (a conversation, a history), written whole or not at all. */
#ifndef CLI_WHOLE_H
#define CLI_WHOLE_H

#include <lar/err.h>

#include "base/buf.h"

/* Writes beside path and renames over it, readable by its owner only; a link is followed, what is no regular file refused. */
int whole_write(const char *path, const struct buf *b, struct lar_err *err);

#endif
