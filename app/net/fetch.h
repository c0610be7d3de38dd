/* SPDX-License-Identifier: Apache-2.0
 *
 * net/fetch.h: one large file, in parts side by side. What has come is written where it belongs, hashed as soon as everything before it is there,
 * and noted beside the file (STATE) about once a second, so that after a kill the next fetch goes on where this one was.
 *
 * Nothing the server says is believed: an answer's range and length must be those that were asked for, a part that ends early or falls silent
 * for 30 seconds (or drips, below 64 bytes a second) is asked for again from where it stood (six times without a byte, then it is an error), and the caller compares the digest.
 */
#ifndef NET_FETCH_H
#define NET_FETCH_H

#include <stdint.h>

#include "base/err.h"
#include "base/sha256.h"

struct fetch {
    const char *url;
    const char *authorization; /* for the origin of url only; NULL: none */
    /* Asked for another authorization when the server takes that one no longer (401); NULL: there is none. May be NULL. */
    const char *(*renew)(void *ctx);
    void *renew_ctx;
    int fd;            /* written to, at its offsets */
    const char *state; /* path of the notes; removed when all is there */
    uint64_t total;    /* bytes of the file, which the server must agree to */
    int connections;   /* 0: 8; one when the server knows no ranges or a rate is set */
    uint64_t rate;     /* bytes a second at most, 0: no limit */
    int silent_s;      /* a part that falls silent for so long is asked for again; 0: 30 */
    /* Called several times a second; non-zero stops with LAR_ECANCEL, what has come is kept. */
    int (*on_progress)(void *ctx, uint64_t done, uint64_t total);
    void *ctx;
};

int fetch_file(const struct fetch *f, char hex[SHA256_HEX + 1], struct lar_err *err);

#endif
