/* SPDX-License-Identifier: Apache-2.0
 *
 * store/store.h: models by name.
 *
 * A store is a folder in Ollama's layout: blobs/sha256-HEX, whose name is what they hold, and manifests/host/namespace/model/tag, which say of
 * which blobs a model is made. Lar's own ($LAR_MODELS, else ~/.lar/models) is the only one that is ever written; an Ollama store beside it
 * ($OLLAMA_MODELS, ~/.ollama/models, /usr/share/ollama/.ollama/models), Hugging Face's cache and LM Studio's folder are read where they are.
 *
 * Crashes and neighbours: a blob or manifest appears under its name whole or not at all (written in tmp/, forced to the disk, renamed).
 * Who adds blobs holds the lock shared until the manifest that names them is in place, who removes blobs holds it alone; the lock goes with
 * its process. So a kill at any moment leaves at worst blobs that nobody names, which store_gc removes.
 *
 * One struct store is for one thread at a time; several processes, and several open stores of one process, may work on one folder.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "store/manifest.h"
#include "store/modelfile.h"
#include "store/name.h"

struct store;

/* root NULL: $LAR_MODELS, else ~/.lar/models. Nothing is made before something is written. */
int store_open(struct store **out, const char *root, struct lar_err *err);
void store_close(struct store *s);
const char *store_root(const struct store *s);

/* Makes its folder, where there is none. */
int store_make(struct store *s, struct lar_err *err);

enum store_place { STORE_LAR, STORE_OLLAMA, STORE_HF, STORE_LMSTUDIO, STORE_FILE };
const char *store_place_name(
    enum store_place p); /* "lar", "ollama", "huggingface", "lmstudio", "file" */

/* The folder of that place; "" when it is not here. */
const char *store_place_root(const struct store *s, enum store_place p);

/* ---- one model -------------------------------------------------------------------------------------------------------- */

/* Everything lies in a; texts are terminated. What a model lacks is NULL or empty. */
struct store_model {
    struct arena a;
    enum store_place place;
    const char *
        name; /* as name_show writes it; of a place without manifests its path where it can have no name */
    char digest[SHA256_HEX + 1]; /* of the manifest; "" in places that have none */
    const char *path;            /* what lar_model_open opens: a file, or a Hugging Face folder */
    uint64_t bytes;              /* of all that belongs to it */
    int64_t modified;            /* seconds since 1970 */
    struct str manifest_text;    /* to the byte */
    struct manifest manifest;
    struct json *config;   /* model_family, model_type, file_type, ... */
    struct json *params;   /* PARAMETERs, an object */
    struct json *messages; /* an array of role, content */
    const char *template_text, *system;
    struct str *license; /* [nlicense] */
    size_t nlicense;
    const char **adapter; /* [nadapter] paths */
    size_t nadapter;
    const char *projector, *draft; /* paths */
};

/* The model of that name in Lar's store, else in one of the others. "@sha256:HEX" is the model whose manifest (or weights) has that digest;
 * "NAME@sha256:HEX" is refused unless it has. Small layers are checked against their digests. LAR_EIO when there is none. The caller frees with
 * store_model_done also after a failure. */
int store_find(struct store *s, const char *name, struct store_model *out, struct lar_err *err);
void store_model_done(struct store_model *m);
/* 1 when s, or one of the places beside it, has the name; nothing of it is read. */
int store_has(struct store *s, const char *name);
/* "name value" a line, as Ollama writes them. */
void store_parameters(const struct store_model *m, struct buf *b);
/* Writes the Modelfile that makes m again. */
void store_modelfile(const struct store_model *m, struct buf *b);

/* ---- all of them ------------------------------------------------------------------------------------------------------ */

struct store_entry {
    enum store_place place;
    const char *name, *path; /* path: of the manifest, or of the file or folder */
    char digest[SHA256_HEX + 1];
    uint64_t bytes;
    int64_t modified;
    const char *fault; /* why it cannot be used, or NULL */
};
struct store_list {
    struct arena a;
    struct store_entry *entry; /* newest first */
    size_t n, cap;
};
/* all: also what lies in the other places. */
int store_list(struct store *s, int all, struct store_list *out, struct lar_err *err);
void store_list_done(struct store_list *l);

/* ---- changing ----------------------------------------------------------------------------------------------------------- */

struct store_create {
    const char *folder;   /* relative paths of the Modelfile begin here; NULL: the current folder */
    const char *quantize; /* a mix of lar_quantize, or NULL */
    /* Called with what is being done ("reading FILE") and how much of it (total 0: not known); non-zero stops with LAR_ECANCEL. */
    int (*on_progress)(void *ctx, const char *what, uint64_t done, uint64_t total);
    void *ctx;
};
int store_create(struct store *s, const char *name, const struct modelfile *f,
                 const struct store_create *opt, struct lar_err *err);
/* Takes the name away, and the blobs that no other model needs. Gives 1 when blobs had to stay because another process is writing. */
int store_delete(struct store *s, const char *name, struct lar_err *err);
struct store_pull {
    int connections; /* 0: 8 */
    uint64_t rate;   /* bytes a second at most, 0: no limit */
    /* What is being done: "pulling manifest", "pulling 2ca8bf077bfc" with total > 0 and done growing, ...; non-zero stops with
     * LAR_ECANCEL. */
    int (*on_progress)(void *ctx, const char *what, uint64_t done, uint64_t total);
    void *ctx;
};
/* Fetches a model and gives it its name when all of it is here and is what its digests say: from an OCI registry as Ollama's (its
 * manifest kept to the byte; $LAR_REGISTRY is the address of a mirror of the usual one), hf.co/user/repo[:quant] from Hugging Face
 * ($HF_ENDPOINT, $HF_TOKEN). What is here already is not fetched; what a broken pull left is gone on with. */
int store_pull(struct store *s, const char *name, const struct store_pull *opt,
               struct lar_err *err);

struct store_push {
    uint64_t rate; /* bytes a second at most, 0: no limit */
    int (*on_progress)(void *ctx, const char *what, uint64_t done, uint64_t total); /* as store_pull's */
    void *ctx;
};
/* Sends a model to the registry that `as` names (NULL: name itself): the blobs that it lacks, then the manifest to the byte, which gives the name
 * there. A piece that a broken connection spoilt is sent again. */
int store_push(struct store *s, const char *name, const char *as, const struct store_push *opt, struct lar_err *err);

/* Another name for the same; from may be in an Ollama store, whose blobs are then taken over (shared on disk where the file system can). */
int store_copy(struct store *s, const char *from, const char *to, struct lar_err *err);

/* Removes blobs that no model needs, unfinished downloads and what crashes left: what was touched within the last hour stays unless `now`. LAR_EIO
 * while another process writes. */
struct store_gc {
    size_t files;
    uint64_t bytes;
};
int store_gc(struct store *s, int now, struct store_gc *out, struct lar_err *err);
/* Reads everything of a name (NULL: of the whole store) and compares digests. on_fault gets a sentence for each thing that is wrong; gives
 * their number. on_file: before each blob is read; non-zero stops with LAR_ECANCEL. */
struct store_verify {
    void (*on_fault)(void *ctx, const char *name, const char *what);
    int (*on_file)(void *ctx, const char *path, uint64_t bytes);
    void *ctx;
    size_t models, blobs; /* that were looked at */
    uint64_t bytes;
};
int store_verify(struct store *s, const char *name, struct store_verify *v, struct lar_err *err);

/* ---- files ----------------------------------------------------------------------------------------------------------- */

/* Writes a small file, whole or not at all. */
int store_write(const char *path, struct str text, struct lar_err *err);
/* The SHA-256 of a file. on_piece may be NULL; non-zero stops with LAR_ECANCEL. */
int store_digest(const char *path, char hex[SHA256_HEX + 1], uint64_t *size, int (*on_piece)(void *ctx, uint64_t done),
                 void *ctx, struct lar_err *err);

/* ---- blobs ------------------------------------------------------------------------------------------------------------- */

/* 1 and its path (appended to b) and size when the blob is there; 0 when not. */
int store_blob(const struct store *s, const char *hex, struct buf *b, uint64_t *size);
/* A blob that comes in pieces. store_blob_end gives it its name, and LAR_EFORMAT when want (unless NULL) is not its digest. */
struct store_blob_writer;
int store_blob_begin(struct store *s, struct store_blob_writer **out, struct lar_err *err);
int store_blob_write(struct store_blob_writer *w, const void *p, size_t n, struct lar_err *err);
int store_blob_end(struct store_blob_writer *w, const char *want, char hex[SHA256_HEX + 1],
                   struct lar_err *err);
void store_blob_close(struct store_blob_writer *w); /* always, last; NULL allowed */

#endif
