/* SPDX-License-Identifier: Apache-2.0
 *
 * lar/err.h: errors are values.
 *
 * A function that can fail because of data or of the world returns 0 (or a count) on success and one
 * of these negative codes on failure, and writes a sentence for a person into the caller's struct:
 * what failed, where, and what to do about it. The struct is the caller's own (usually on the stack);
 * there is nothing to free, and NULL is allowed where the sentence is not wanted.
 */
#ifndef LAR_ERR_H
#define LAR_ERR_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LAR_API __attribute__((visibility("default")))
#else
#define LAR_API
#endif

#define LAR_ERR_MAP(X)                                                 \
    X(EINVAL, -1, "the caller passed something invalid")               \
    X(ENOMEM, -2, "out of memory or over budget")                      \
    X(EIO, -3, "the operating system said no")                         \
    X(EFORMAT, -4, "the file is not what it claims to be")             \
    X(ELIMIT, -5, "a stated limit was reached")                        \
    X(ECANCEL, -6, "the caller asked to stop")                         \
    X(EUNSUPPORTED, -7, "well formed, but not something Lar can do")   \
    X(EFAMILY, -8, "a family of models that Lar does not know")

enum lar_code {
    LAR_OK = 0,
#define X(name, value, text) LAR_##name = value,
    LAR_ERR_MAP(X)
#undef X
};

struct lar_err {
    int code;      /* LAR_OK or one of the negative codes */
    char msg[252]; /* one line, no trailing full stop or newline; "" when code is LAR_OK */
};

/* The general meaning of a code; never NULL. */
LAR_API const char *lar_code_text(int code);

#ifdef __cplusplus
}
#endif
#endif
