/* SPDX-License-Identifier: Apache-2.0
 *
 * net/origin.h: who may talk to a server that listens on this machine only.
 *
 * Every page in a browser can send requests to 127.0.0.1. Two headers tell them from programs: Host, which names what the page believes to talk
 * to (another name than this machine's own means that somebody points a name of his at us: DNS rebinding), and Origin, which names the page.
 */
#ifndef NET_ORIGIN_H
#define NET_ORIGIN_H

#include <stddef.h>

/* Host without its port is localhost, a name below it, 127.x.y.z or [::1], or one of allow. */
int origin_host_ok(const char *host, const char *const *allow, size_t n);
/* Origin is http(s)://LOOPBACK[:port], or one of allow, or allow holds "*". */
int origin_ok(const char *origin, const char *const *allow, size_t n);
/* An address to listen on is one of the loopback's. */
int origin_is_loopback(const char *address);

#endif
