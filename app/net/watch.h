/* SPDX-License-Identifier: Apache-2.0
 *
 * net/watch.h: patience with clients that send slowly. A library's idle time begins anew with every byte, so who sends one a minute holds a
 * connection for good; here a request must have arrived as a whole within a time, or the connection is ended.
 * So is one whose client closed it while it was not being looked at: libmicrohttpd may never see that end, and would keep it, with 40 KB, for its
 * whole idle time.
 *
 * A thread looks at all connections a few times in that time. It ends them by shutdown(2): closing and freeing stay with whoever opened them.
 */
#ifndef NET_WATCH_H
#define NET_WATCH_H

#include <stdint.h>

#include "base/err.h"

struct watch;
struct watched; /* a connection */

int watch_open(struct watch **out, int64_t patience_ns, struct lar_err *err);
/* All connections must have been removed. NULL is allowed. */
void watch_close(struct watch *w);
/* From now on a request is waited for. NULL without memory: then nobody watches this one. */
struct watched *watch_add(struct watch *w, int fd);
/* Before fd is closed. NULL is allowed, here and below. */
void watch_remove(struct watch *w, struct watched *c);
/* arrived 1: the request is there, take any time to answer it; 0: it is answered, the next one is waited for. */
void watch_arrived(struct watch *w, struct watched *c, int arrived);

#endif
