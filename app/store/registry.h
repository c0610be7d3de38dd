/* SPDX-License-Identifier: Apache-2.0
 *
 * store/registry.h: talking to a registry: the Docker Registry HTTP API V2 (distribution/distribution, docs/spec/api.md) with its token
 * authentication (docs/spec/auth/token.md), as Ollama's and any OCI registry speak it.
 *
 * $LAR_REGISTRY_AUTH, "user:password", goes to the registry named and to a token service of the same origin, nowhere else. Ollama's own registry
 * gets, when it asks who we are and that is not set, a request signed by the key ~/.ollama/id_ed25519 ($LAR_REGISTRY_KEY names another).
 */
#ifndef STORE_REGISTRY_H
#define STORE_REGISTRY_H

#include "net/client.h"
#include "store/name.h"

struct registry {
    struct buf base;          /* "https://host/v2/namespace/model" */
    struct buf authorization; /* the header's value, "" before the registry asked */
    int ollama; /* its own registry, or a mirror of it: who asks is known by a key, and pieces are sent its way */
    int (*on_wait)(void *ctx); /* as client_call's */
    void *ctx;
};

int registry_open(struct registry *r, const struct name *n, struct lar_err *err);
void registry_done(struct registry *r);
/* One call to base + path; authorises when asked to. path may also be a whole address that the registry gave. */
int registry_call(struct registry *r, struct client_call *c, const char *path,
                  struct client_reply *reply, struct lar_err *err);
/* LAR_EIO: it does not let us do that; how to say who we are. */
int registry_stranger(const struct registry *r, const char *what, struct lar_err *err);
/* LAR_EIO with what the registry says of it. */
int registry_refused(const struct client_reply *reply, const char *what, struct lar_err *err);

#endif
