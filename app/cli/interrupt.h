/* SPDX-License-Identifier: Apache-2.0
 * cli/interrupt.h: Ctrl-C stops an answer, not the program. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <lar/lar.h>

/* From here on SIGINT cancels what runs in s. With twice_ends a second one ends the program as usual. */
void interrupt_begin(struct lar_session *s, int twice_ends);
/* Has a SIGINT come since interrupt_begin? */
int interrupt_seen(void);
/* Back to what was before; true when a SIGINT came meanwhile. */
int interrupt_end(void);

#endif
