/* SPDX-License-Identifier: Apache-2.0
 * cli/help.h: help texts and the manual page, both from the table of verbs. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/options.h"

/* All verbs in a few lines each; one verb in full; the manual page in man(7) form. */
void help_overview(struct buf *b);
void help_verb(struct buf *b, const struct verb *v);
void help_man(struct buf *b);

extern const struct verb verb_help;

#endif
