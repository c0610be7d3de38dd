/* SPDX-License-Identifier: Apache-2.0
 * base/err.h: raising the errors that lar/err.h defines. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <lar/err.h>

/* Raise: `return lar_fail(err, LAR_EFORMAT, "tensor %s: ...", name);`
 * Gives back code. err may be NULL. Bytes of the message outside printable ASCII and valid UTF-8 are
 * replaced by '?', so a hostile file cannot send escape codes to somebody's terminal. */
int lar_fail(struct lar_err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), cold));

/* The same for a failed system call: appends strerror(errno). */
int lar_fail_errno(struct lar_err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), cold));

#endif
