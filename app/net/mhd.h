/* SPDX-License-Identifier: Apache-2.0
 *
 * net/mhd.h: libmicrohttpd, loaded when a server starts.
 *
 * The program does not link it: `lar run` would pay for it, and for GnuTLS behind it, at every start. The names below are looked up once; their
 * types come from the library's own header.
 */
#ifndef NET_MHD_H
#define NET_MHD_H

#if !defined(__has_include) || __has_include(<microhttpd.h>)
#include <microhttpd.h>
#else
#error "microhttpd.h is missing: apt-get install libmicrohttpd-dev (make check installs it)"
#endif

#include "base/err.h"

#define MHD_NAMES(X)                 \
    X(start_daemon)                  \
    X(stop_daemon)                   \
    X(quiesce_daemon)                \
    X(suspend_connection)            \
    X(resume_connection)             \
    X(create_response_from_callback) \
    X(create_response_from_buffer)   \
    X(add_response_header)           \
    X(queue_response)                \
    X(destroy_response)              \
    X(lookup_connection_value)       \
    X(get_connection_info)           \
    X(get_daemon_info)               \
    X(is_feature_supported)

struct mhd {
#define X(name) __typeof__(MHD_##name) *name;
    MHD_NAMES(X)
#undef X
};

/* NULL, with the package's name in err, when the library is not on this machine. */
const struct mhd *mhd_load(struct lar_err *err);

#endif
