/* SPDX-License-Identifier: Apache-2.0
 * cli/interrupt.h: a signal stops what is being done, tidily: an answer, or a file that is being written. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <lar/lar.h>

/* From here on SIGINT cancels what runs in s. With verb_ends SIGTERM and SIGHUP do so too, a second signal ends the program as usual, and
 * interrupt_leave lets the first one end it. */
void interrupt_begin(struct lar_session *s, int verb_ends);
/* Has one come since interrupt_begin? */
int interrupt_seen(void);
/* Back to what was before; true when one came meanwhile. */
int interrupt_end(void);
/* The program's last call but its return: when a signal ended the verb it ends the program too. */
void interrupt_leave(void);

#endif
