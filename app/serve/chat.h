/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/chat.h: messages as clients write them into the JSON object that a chat template reads. Contents that are lists of parts become one
 * text; arguments of tool calls become objects; what is not text (images, audio, files) is refused by name.
 */
#ifndef SERVE_CHAT_H
#define SERVE_CHAT_H

#include "serve/ask.h"

/* messages: a list of objects with role, content and what else their dialect has. system (may be empty) is put before them. Writes the template's
 * object to q's arena as the ask's one prompt. */
int chat_prompt(struct ask *q, const struct json *messages, struct str system,
                const struct json *tools, struct lar_err *err);
/* Appends the text of a content: a string, or a list of {"type":"text","text":...}. */
int chat_content(struct buf *b, const struct json *content, struct lar_err *err);

/* The answer must be JSON that follows schema (NULL: any object). */
int chat_format(struct ask *q, const struct json *schema, struct lar_err *err);

#endif
