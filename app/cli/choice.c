/* SPDX-License-Identifier: Apache-2.0
 * cli/choice.c: see choice.h. */
#include "cli/choice.h"

#include <lar/plan.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"

void choice_use(void)
{
    const char *own = getenv("LAR_CACHE"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    struct buf b = {0};
    if (own && *own) {
        buf_puts(&b, own);
    } else if (cache && *cache == '/') { /* a relative one does not count, says its specification */
        buf_puts(&b, cache);
    } else if (home && *home) {
        buf_printf(&b, "%s/.cache", home);
    } else {
        return;
    }
    (void)mkdir(buf_z(&b), 0700);
    if (!own || !*own) {
        buf_puts(&b, "/lar");
        (void)mkdir(buf_z(&b), 0700);
    }
    if (!b.failed) (void)lar_machine_choice(buf_z(&b), NULL); /* see choice.h */
    buf_done(&b);
}
