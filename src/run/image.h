/* SPDX-License-Identifier: Apache-2.0
 *
 * run/image.h: a timeline, or a slice of one, as bytes that another process can go on from: tokens, their keys and values, recurrent state.
 *
 * Numbers are little-endian, keys and values as the session's kind has them:
 *
 *     offset  bytes
 *     0       8      "LARIMAGE"
 *     8       4      version, 1
 *     12      4      kind of keys and values (enum kern_kv)
 *     16      64     identity, in hexadecimal: of model, adapters and whatever else the values follow from beside tokens
 *     80      8      position of the first token
 *     88      8      n, tokens
 *     96      8      length of the text that keys were turned for (rope_alike)
 *     104     8      context of the session
 *     112     4      recurrent states, at most IMAGE_STATES; 0 where the model has none
 *     116     4      logits after the last token: 0, or as many as the vocabulary
 *     120     8      checksum of all the other bytes
 *     128     4 n    tokens
 *             ...    for each block of DEV_KV_BLOCK positions, for each layer with keys of its own: [heads][positions] rows of keys, likewise values
 *             ...    for each state: position (8), floats; the first one's is the last token's
 *             ...    logits, F32
 *
 * The checksum finds damage, not malice: an image from who must not be trusted can say wrong things, but reading it stays within all bounds.
 */
#ifndef RUN_IMAGE_H
#define RUN_IMAGE_H

#include "base/sha256.h"
#include "run/session.h"

enum { IMAGE_ID = 16, IMAGE_SUM = 120, IMAGE_HEAD = 128, IMAGE_STATES = 3 };

enum image_with { IMAGE_SLICE, IMAGE_WHOLE }; /* one state, no logits; all that the session has */

/* What the model's values follow from: its keys (but the tokenizer's), the names, types and shapes of its tensors, and samples of each. */
void image_model(const struct model *m, char id[SHA256_HEX + 1]);
/* The same of a session of that model; extra: what the caller knows beside. */
void image_identity(const struct session *s, const char *model, const char *extra,
                    char id[SHA256_HEX + 1]);

/* The checksum of an image of so many bytes, at least IMAGE_HEAD; it stands at IMAGE_SUM. */
uint64_t image_sum(const uint8_t *p, size_t bytes);
/* Positions of the timeline at which a slice of a recurrent model may end, the last one first. Gives their number; 0: at any. */
size_t image_places(const struct session *s, size_t place[IMAGE_STATES]);
/* Bytes of n tokens from position from on. Of a recurrent model a slice begins at 0 and ends at a place. LAR_EINVAL otherwise. */
int64_t image_bytes(const struct session *s, size_t from, size_t n, enum image_with with,
                    struct lar_err *err);
/* out: [image_bytes] */
void image_write(const struct session *s, const char *id, size_t from, size_t n,
                 enum image_with with, uint8_t *out);
/* Appends the image's tokens to the timeline, which must be as long as where they begin. On failure nothing has changed. Gives their number;
 * LAR_EFORMAT: damaged or no image; LAR_EINVAL: of another model, kind or place; LAR_ELIMIT: no room. */
int64_t image_read(struct session *s, const char *id, const uint8_t *p, size_t bytes,
                   struct lar_err *err);

#endif
