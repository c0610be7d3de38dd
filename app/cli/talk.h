/* SPDX-License-Identifier: Apache-2.0
 * cli/talk.h: a conversation: its messages, and its form on disk. */
#ifndef CLI_TALK_H
#define CLI_TALK_H

#include <lar/lar.h>

#include "base/str.h"

/* A zeroed struct is an empty conversation. Strings are its own. */
struct talk {
    struct lar_message *msg; /* [n]; a system message, when there is one, is the first */
    char **thinking; /* [n], NULL where there was none; kept for the person, not sent again */
    size_t n, cap;
};

void talk_done(struct talk *t);
/* role is one of those that talk_role knows. */
int talk_add(struct talk *t, const char *role, struct str content, struct str thinking,
             struct lar_err *err);
void talk_drop_last(struct talk *t);
/* The system message's text, or NULL; setting it to "" takes it away. */
const char *talk_system(const struct talk *t);
int talk_set_system(struct talk *t, const char *text, struct lar_err *err);
/* All but the system message goes. */
void talk_clear(struct talk *t);

/* {"model":..., "messages":[{"role","content","thinking"?}]}, whole or not at all, readable by its owner only. */
int talk_save(const struct talk *t, const char *model, const char *path, struct lar_err *err);
/* That form, or a bare array of messages. On failure t is as it was. */
int talk_load(struct talk *t, const char *path, struct lar_err *err);

#endif
