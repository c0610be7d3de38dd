/* SPDX-License-Identifier: Apache-2.0
 *
 * store/name.h: names of models: [host/][namespace/]model[:tag][@sha256:digest], as Ollama writes them
 * (ollama/ollama, types/model/name.go): what is left away is registry.ollama.ai, library and latest. Every part begins with a letter, a digit
 * or '_' and goes on with these, '-' and '.' (no '.' in a namespace, ':' in a host); so no part is "..", and a name is a path that stays
 * below its folder. hf.co/user/repo:quant is a name like any other; huggingface.co is another word for hf.co.
 */
#ifndef STORE_NAME_H
#define STORE_NAME_H

#include "base/buf.h"
#include "base/err.h"
#include "base/sha256.h"

#define NAME_HOST  "registry.ollama.ai"
#define NAME_SPACE "library"
#define NAME_TAG   "latest"
enum { NAME_HOST_MAX = 350, NAME_PART_MAX = 80 };

struct name {
    char host[NAME_HOST_MAX + 1], space[NAME_PART_MAX + 1], model[NAME_PART_MAX + 1],
        tag[NAME_PART_MAX + 1];
    char digest[SHA256_HEX + 1]; /* of the manifest, pinned by @sha256:; "" when not */
    int plain;                   /* was written http://: for a registry on one's own machine */
    int tagged;                  /* a tag was written */
};

/* Fills n; LAR_EINVAL names the part at fault. "@sha256:..." alone has an empty model. */
int name_parse(struct name *n, struct str text, struct lar_err *err);
/* The shortest text that means n, its tag always shown: what people read. */
void name_show(const struct name *n, struct buf *b);
/* "host/namespace/model/tag": n as a path below a store's manifests. */
void name_path(const struct name *n, struct buf *b);
/* The other way: 0 when path is one. */
int name_of_path(struct name *n, struct str path);
/* Is text 64 hexadecimal digits, as digests are written (small letters)? */
int name_is_digest(struct str hex);
/* "sha256:HEX" or "sha256-HEX" to HEX: 0 when it is one. */
int name_digest(struct str text, char hex[SHA256_HEX + 1]);

#endif
