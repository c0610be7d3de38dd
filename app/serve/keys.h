/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/keys.h: who may use the server. A key file has a line a key, NAME:HEX, where HEX is the SHA-256 of the key; so the file opens nothing to
 * who reads it. Empty lines and lines that begin with # are nothing. Keys are meant to be long and random: `openssl rand -hex 32`.
 */
#ifndef SERVE_KEYS_H
#define SERVE_KEYS_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct keys;

int keys_open(struct keys **out, const char *path, struct lar_err *err);
/* The same from the file's text. */
int keys_read(struct keys **out, struct str text, const char *path, struct lar_err *err);
void keys_close(struct keys *k);
/* The name of who presents this, as "Authorization: Bearer KEY" or "x-api-key: KEY" (either may be NULL); NULL: nobody. */
const char *keys_name(const struct keys *k, const char *authorization, const char *api_key);

#endif
