/* SPDX-License-Identifier: Apache-2.0
 * cli/size.h: sizes as people write them. */
#ifndef CLI_SIZE_H
#define CLI_SIZE_H

#include <lar/err.h>

#include <stdint.h>

/* "4.0GB", "500MiB", "2G", a plain number of bytes; what names the option in the error. NULL or "" gives 0. */
int size_parse(const char *what, const char *text, uint64_t *out, struct lar_err *err);

#endif
