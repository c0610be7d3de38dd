/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/export.h: the way back, from a GGUF to the folder that transformers loads.
 *
 * Nothing is described twice: a config.json and a list of source tensors are guessed from the GGUF's keys and names (export_config.c,
 * family_source), then read by convert's own code as if a maker had published them. Only when that gives the file's keys and tensors again, one by
 * one, is a folder written; each value then goes through the same views (plan.h), the other way.
 */
#ifndef CONVERT_EXPORT_H
#define CONVERT_EXPORT_H

#include "convert/convert.h"
#include "io/gguf.h"

struct export
{
    struct gguf g;
    const struct family *f;
    struct str hf, type; /* transformers' class and its model_type */
    struct config c;     /* of text */
    struct weights w;    /* what will be written: names and shapes */
    struct plan p;
    struct buf text;                 /* config.json */
    struct buf pooling;              /* 1_Pooling/config.json; empty: none; so the next three: */
    struct buf modules, sentence, prompts; /* modules.json, sentence_bert_config.json, config_sentence_transformers.json */
    const struct gguf_tensor **from; /* [p.n] the tensor that output i is; NULL: computed */
    struct arena a;
};

struct export_job {
    enum convert_type
        type;       /* of matrices; CONVERT_AUTO: what the file has, BF16 where that is no float */
    uint64_t shard; /* bytes of tensors in a file at most, unless one tensor has more */
    int (*progress)(void *ctx, const char *tensor, size_t n, uint64_t done, uint64_t total);
    void *ctx;
    enum convert_type used; /* given back: the type */
    uint64_t bytes;         /* of all tensors */
    size_t files, rounded;  /* of weights; tensors that were quantised or had to be rounded */
};

/* Refuses, by name, what no config.json or no tensor of a known family can say. On failure e is zeroed. */
int export_open(struct export *e, const char *path, struct lar_err *err);
/* The same of an open file, which e takes over in any case. */
int export_open_gguf(struct export *e, struct gguf *g, const char *path, struct lar_err *err);
void export_close(struct export *e);
/* The folder `to` must not exist or be empty; it appears when it is whole. */
int export_write(struct export *e, const char *to, struct export_job *job, struct lar_err *err);

/* The same of an adapter GGUF (export_lora.c): PEFT's folder. base: the folder or the .gguf that it belongs to, of which no weights are read. Gives the
 * number of tensors; *f: the base's family. */
int export_lora(const char *from, const char *base, const char *to, struct export_job *job, const struct family **f,
                struct lar_err *err);

/* Its parts. export_config.c: e->text from e's keys for e->f and e->hf, without what only the weights' type decides. */
int export_config(struct export *e, struct lar_err *err);
/* A number of the file as JSON: the shortest that reads back to the same float. */
void export_float(struct buf *b, float v);
/* export_reader.c, of models that read: which class of an architecture's the file can be; what its config.json says of its head; which of the file's
 * tensors have their place beside the model (dense layers after pooling, a reranker's two rows); what e->c is given for them, with a check of those rows;
 * and their files, into the folder. */
int export_reader_fits(const struct export *e, struct str hf);
void export_reader_config(struct export *e);
int export_reader_beside(const struct export *e, struct str tensor);
int export_reader_give(struct export *e, struct lar_err *err);
int export_reader_write(const struct export *e, const char *folder, struct lar_err *err);
/* sentence.c: what sentence-transformers keeps in files of its own beside the pooling's, into e and its config; and their files. */
int export_sentence(struct export *e, struct lar_err *err);
int export_sentence_write(const struct export *e, const char *folder, struct lar_err *err);
/* For export_reader_config: "name": value, unless it is there already. */
void export_put_int(struct export *e, const char *name, int64_t v);
void export_put_bool(struct export *e, const char *name, int v);
void export_put_str(struct export *e, const char *name, struct str v);
/* v as it stands; NULL: the value is for the caller to write into e->text, when this gives 1. */
int export_put(struct export *e, const char *name, const char *v);
/* A key's number ("<architecture>.<tail>"); of an array the largest. */
double export_num(const struct export *e, const char *tail, double otherwise);

/* export_tokens.c: the tokenizer's files, generation_config.json and the chat template into the folder; checked by reading them again. */
int export_tokens(const struct export *e, const char *folder, struct lar_err *err);
/* export_file.c: a folder beside its place, which `end` moves there or, after a failure, removes (it gives rc, or a failure of its own). */
struct export_folder {
    char temp[4096]; /* its path until then; "" when there is none */
    int claim;
};
int export_folder_begin(struct export_folder *f, const char *to, struct lar_err *err);
int export_folder_end(struct export_folder *f, const char *to, int rc, struct lar_err *err);
/* A whole small file. */
int export_text(const char *folder, const char *name, struct str text, struct lar_err *err);

#endif
