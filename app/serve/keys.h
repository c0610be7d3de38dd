/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/keys.h: who may use the server, and how much of it. A key file has a line a key,
 *
 *     NAME:HEX [requests=N] [concurrent=N] [tokens=N] [models=NAME,NAME]
 *
 * where HEX is the SHA-256 of the key, so the file opens nothing to who reads it; requests and tokens are those of a minute, concurrent those at
 * once. Empty lines and lines that begin with # are nothing. Keys are meant to be long and random: `openssl rand -hex 32`.
 *
 * A key that has once been read stays in memory: who uses it points to it. keys_reload changes what it may, and a line that is gone lets nobody in.
 */
#ifndef SERVE_KEYS_H
#define SERVE_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum { KEYS_NAME = 64 };

struct keys;
struct key;

int keys_open(struct keys **out, const char *path, struct lar_err *err);
/* Reads the file again. When it cannot be read, or has a line that is none, nothing changes. Gives the number of keys. */
int keys_reload(struct keys *k, struct lar_err *err);
void keys_close(struct keys *k);
/* Who presents this, as "Authorization: Bearer KEY" or "x-api-key: KEY" (either may be NULL); NULL: nobody. */
struct key *keys_find(struct keys *k, const char *authorization, const char *api_key);

/* From here on NULL is a key that may everything. */

/* A request begins: 0, or after how many seconds it may come again, with the limit that it reached in *why. Pairs with keys_leave when 0. */
int keys_enter(struct key *key, int64_t now_ns, const char **why);
void keys_leave(struct key *key);
/* So many tokens were evaluated for it: what is over its limit must be waited for by the next request. */
void keys_spend(struct key *key, int64_t tokens);
/* May it use the model of that name? NULL: all of them? */
int keys_allow(struct key *key, const char *model);
/* Its name, for a log. */
const char *keys_name(struct key *key, char out[KEYS_NAME]);

#endif
