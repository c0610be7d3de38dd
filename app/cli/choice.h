/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/choice.h: where what was measured of this machine is kept (lar_machine_choice): $LAR_CACHE, else $XDG_CACHE_HOME/lar or ~/.cache/lar. */
#ifndef CLI_CHOICE_H
#define CLI_CHOICE_H

/* Before models are opened. No home, a folder that takes nothing: all goes on with the numbers of the program, as LAR_CACHE=/dev/null wants it. */
void choice_use(void);

#endif
