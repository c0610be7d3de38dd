/* SPDX-License-Identifier: Apache-2.0
 * cli/interrupt.c: the handler only sets flags, its own and the session's. A verb that ends by a signal first removes what is half done;
 * then main lets the signal end the program, so that whoever started it sees what it was (a shell: 128 and the signal's number). */
#include "cli/interrupt.h"

#include <signal.h>
#include <string.h>

enum { NSIGNAL = 3 };
static const int signals[NSIGNAL] = {SIGINT, SIGTERM, SIGHUP};

static struct lar_session *volatile watched;
static volatile sig_atomic_t seen, ends; /* seen: the signal's number */
static struct sigaction before[NSIGNAL];
static int ended_by;

static void on_interrupt(int sig)
{
    struct lar_session *s = watched;
    if (seen && ends) {
        signal(sig, SIG_DFL);
        raise(sig);
    }
    seen = sig;
    if (s) lar_session_cancel(s);
}

void interrupt_begin(struct lar_session *s, int verb_ends)
{
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_handler = on_interrupt;
    a.sa_flags = SA_RESTART;
    sigemptyset(&a.sa_mask);
    seen = 0;
    ends = verb_ends;
    watched = s;
    for (int i = 0; i < (ends ? NSIGNAL : 1); i++) {
        sigaction(signals[i], &a, &before[i]);
        if (i && before[i].sa_handler == SIG_IGN) sigaction(signals[i], &before[i], NULL); /* nohup */
    }
}

int interrupt_seen(void) { return seen != 0; }

int interrupt_end(void)
{
    for (int i = 0; i < (ends ? NSIGNAL : 1); i++) sigaction(signals[i], &before[i], NULL);
    watched = NULL;
    if (seen && ends) ended_by = (int)seen;
    return seen != 0;
}

void interrupt_leave(void)
{
    if (!ended_by) return;
    signal(ended_by, SIG_DFL);
    raise(ended_by);
}
