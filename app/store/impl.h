/* SPDX-License-Identifier: Apache-2.0
 * store/impl.h: what the files of this folder share and nobody else sees. */
#ifndef STORE_IMPL_H
#define STORE_IMPL_H

#include "store/store.h"

struct store {
    struct arena a;
    char *root;   /* Lar's */
    char *ollama; /* "" when there is none; so for the next */
    char *hf, *lmstudio;
    int lock, nlock; /* descriptor of root/lock while held, and how many times it is held; -1 */
};

/* ---- files (disk.c) -------------------------------------------------------------------------------------------------- */

/* Makes a folder and those above it. */
int disk_folders(const char *path, struct lar_err *err);
/* The whole of a file of at most max bytes. LAR_EIO with errno kept when it cannot be opened. */
int disk_read(const char *path, size_t max, struct buf *b, struct lar_err *err);
void disk_sync_folder(const char *folder);
/* Opens a new file in root/tmp; path gets its name. */
int disk_temp(struct store *s, struct buf *path, struct lar_err *err);
int disk_write(int fd, const void *p, size_t n, const char *path, struct lar_err *err);
/* Forces fd to the disk, closes it and renames temp to path, whose folder is made. */
int disk_commit(int fd, const char *temp, const char *path, struct lar_err *err);
/* Opens a new file beside path: temp gets its name, whole the one that disk_commit takes. */
int disk_beside(const char *path, struct buf *temp, struct buf *whole, struct lar_err *err);
/* Walks a folder: calls f for each name that does not begin with a dot; a non-zero answer ends it and is given. A folder that is not there is
 * empty. is_folder follows links. */
typedef int disk_walk_fn(void *ctx, const char *path, const char *name, int is_folder);
int disk_walk(const char *folder, disk_walk_fn *f, void *ctx);
/* The same; links are given as what they are, also those that lead nowhere. */
int disk_walk_links(const char *folder, disk_walk_fn *f, void *ctx);

/* Holds the lock, shared or alone; nests while shared. LAR_EIO at once when somebody else's hold forbids it and wait is 0. */
int store_lock(struct store *s, int alone, int wait, struct lar_err *err);
void store_unlock(struct store *s);

/* ---- blobs (blob.c) ---------------------------------------------------------------------------------------------------- */

void blob_path(const char *root, const char *hex, struct buf *b);
/* Takes a file in: a clone where the file system can, else a copy; own 1: another store's blob, which nobody changes, so a second name for it
 * is enough. The digest is computed on the way. */
struct blob_source {
    const char *path;
    int own;
    const struct store_create *opt; /* for progress; may be NULL */
};
int blob_take(struct store *s, const struct blob_source *from, char hex[SHA256_HEX + 1],
              uint64_t *size, struct lar_err *err);
int blob_bytes(struct store *s, struct str text, char hex[SHA256_HEX + 1], struct lar_err *err);

/* ---- manifests ---------------------------------------------------------------------------------------------------------- */

void manifest_path(const char *root, const struct name *n, struct buf *b);
/* Is it a part of a split model: "x-00002-of-00003.gguf"? Gives its number, 0 when it is none. */
int layer_part(const struct layer *l);
/* Where the parts of a split model lie side by side under their names, as links to their blobs: "root/parts/HEX/NAME", HEX the first part's. */
void parts_path(const char *root, const struct layer *first, struct buf *b);
int parts_link(struct store *s, const struct manifest *m, struct lar_err *err);
/* Puts a manifest under its name; its blobs are there and the lock is held shared. */
int manifest_put(struct store *s, const struct name *n, struct str text, struct lar_err *err);
/* Calls f for each manifest of the store in root. */
typedef int manifest_walk_fn(void *ctx, const struct name *n, const char *path);
int manifest_walk(const char *root, manifest_walk_fn *f, void *ctx);

/* ---- other places (places.c) --------------------------------------------------------------------------------------------- */

/* What a model file's name says of it: 0 when it is none, or not the first part of one. */
int places_quant(const char *file, struct str *quant);
/* Without a tag: what most people would take has the lowest. */
int places_rank(struct str quant);
/* Cuts "-00001-of-00005" off a stem. Gives the part's number, 1 when there is none. */
int places_cut_part(struct str *stem);
/* But for the case of letters. */
int places_same(struct str a, struct str b);
void places_find(struct store *s);
/* Fills name, path, bytes, modified, place of a model in Hugging Face's cache or LM Studio's folder: 1 when there is one. */
int places_lookup(struct store *s, const struct name *n, struct store_model *out,
                  struct lar_err *err);
int places_list(struct store *s, struct store_list *l, struct lar_err *err);
int list_add(struct store_list *l, const struct store_entry *e, struct lar_err *err);

#endif
