/* SPDX-License-Identifier: Apache-2.0
 *
 * store/manifest.h: what a model is made of: an image manifest (Docker's schema 2, OCI's image manifest 1) whose layers are Ollama's:
 * application/vnd.ollama.image. model, projector, adapter, template, system, params, messages, license. The bytes are kept as they came: their
 * SHA-256 is the model's digest.
 */
#ifndef STORE_MANIFEST_H
#define STORE_MANIFEST_H

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/sha256.h"

#define MANIFEST_TYPE     "application/vnd.docker.distribution.manifest.v2+json"
#define MANIFEST_TYPE_OCI "application/vnd.oci.image.manifest.v1+json"
#define MANIFEST_CONFIG   "application/vnd.docker.container.image.v1+json"
#define MANIFEST_LAYER    "application/vnd.ollama.image."
enum { MANIFEST_BYTES_MAX = 4 << 20, MANIFEST_LAYERS_MAX = 4096 };

struct layer {
    struct str type;
    char digest[SHA256_HEX + 1];
    uint64_t size;
    struct str name; /* "" when absent; of a part of a split model, its file's name */
    struct str from; /* "" when absent */
};

struct manifest {
    struct layer config; /* digest "" when there is none */
    struct layer *layer;
    size_t n;
};

/* Strings and layers lie in a. LAR_EFORMAT for what is no such manifest; of a list of several machines' images LAR_EUNSUPPORTED. text need
 * not outlive the call. */
int manifest_parse(struct manifest *m, struct arena *a, struct str text, struct lar_err *err);
/* Writes one that parses to the same. */
void manifest_write(const struct manifest *m, struct buf *b);
/* Is it Ollama's layer of this kind ("model", "template", ...)? */
int layer_is(const struct layer *l, const char *kind);
/* Bytes of all layers and the config; saturates. */
uint64_t manifest_bytes(const struct manifest *m);

#endif
