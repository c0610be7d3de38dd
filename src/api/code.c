/* SPDX-License-Identifier: Apache-2.0
 * api/code.c: what the error codes mean. It lies here and not in base because it is a public name: programs of this
 * project link the public library and base side by side, and no name may be in both. */
#include <lar/err.h>

const char *lar_code_text(int code)
{
    switch (code) {
    case LAR_OK: return "no error";
#define X(name, value, text) \
    case LAR_##name: return text;
        LAR_ERR_MAP(X)
#undef X
    default: return "unknown error code";
    }
}
