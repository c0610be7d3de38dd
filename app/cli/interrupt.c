/* SPDX-License-Identifier: Apache-2.0
 * cli/interrupt.c: the handler only sets flags, its own and the session's. */
#include "cli/interrupt.h"

#include <signal.h>
#include <string.h>

static struct lar_session *volatile watched;
static volatile sig_atomic_t seen, ends;
static struct sigaction before;

static void on_interrupt(int sig)
{
    struct lar_session *s = watched;
    if (seen && ends) {
        signal(sig, SIG_DFL);
        raise(sig);
    }
    seen = 1;
    if (s) lar_session_cancel(s);
}

void interrupt_begin(struct lar_session *s, int twice_ends)
{
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_handler = on_interrupt;
    a.sa_flags = SA_RESTART;
    sigemptyset(&a.sa_mask);
    seen = 0;
    ends = twice_ends;
    watched = s;
    sigaction(SIGINT, &a, &before);
}

int interrupt_seen(void) { return seen; }

int interrupt_end(void)
{
    sigaction(SIGINT, &before, NULL);
    watched = NULL;
    return seen;
}
