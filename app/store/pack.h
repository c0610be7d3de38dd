/* SPDX-License-Identifier: Apache-2.0
 *
 * store/pack.h: a model in one file, to be carried where no network is.
 *
 * The file is an OCI image layout (opencontainers/image-spec, image-layout.md) in a tar archive, so that tar lists it and tools for
 * OCI archives read it:
 *
 *     oci-layout               {"imageLayoutVersion":"1.0.0"}
 *     index.json               one manifest: its digest, its size, and the model's name (org.opencontainers.image.ref.name)
 *     blobs/sha256/HEX         the manifest, to the byte: its digest is the model's
 *     blobs/sha256/HEX ...     the config and the layers that it names: weights, projector, adapters, template, system, params, messages, licences
 *
 * in that order, so that it can be written to and read from a pipe; the same model gives the same bytes. Archives of others may have another order.
 * Everything is compared with its digest on both ways, and a name appears when everything behind it is there.
 */
#ifndef STORE_PACK_H
#define STORE_PACK_H

#include "store/store.h"

struct store_packing {
    int (*on_progress)(void *ctx, const char *what, uint64_t done,
                       uint64_t total); /* as store_pull's */
    void *ctx;
};

/* Writes the model to a new file at path (whole or not at all), or, path being "-", to the descriptor out. */
int store_pack(struct store *s, const char *name, const char *path, int out,
               const struct store_packing *opt, struct lar_err *err);
/* Reads the file at path, or the descriptor in when path is "-". name NULL: as the file says. shown gets the name. */
int store_unpack(struct store *s, const char *path, int in, const char *name,
                 const struct store_packing *opt, struct buf *shown, struct lar_err *err);

#endif
