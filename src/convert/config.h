/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/config.h: what the JSON files of a Hugging Face folder say: config.json (also in its nested and its older form),
 * generation_config.json, and what sentence-transformers keeps beside a model. A value that is null counts as missing. (The tokenizer's files: text/vocab_hf.h.)
 */
#ifndef CONVERT_CONFIG_H
#define CONVERT_CONFIG_H

#include "base/buf.h"
#include "base/json.h"

struct config {
    struct arena a;
    struct buf folder;                  /* path, without a slash at its end */
    const struct json *root;            /* config.json; NULL: there is none (only a tokenizer) */
    const struct json *text;            /* its text_config, or NULL: asked before root */
    const struct json *rope;            /* rope_parameters or rope_scaling; NULL: none */
    const struct json *rope_full;       /* those of layers that see everything: rope or a part of it */
    const struct json *rope_window;     /* of windowed layers where they are others, or NULL */
    const struct json *generation;      /* generation_config.json, or NULL */
    const struct json *modules;         /* modules.json of sentence-transformers, an array, or NULL */
    const struct json *pooling;         /* the config.json of its module Pooling (without it: 1_Pooling/config.json), or NULL */
    const struct json *sentence;        /* sentence_bert_config.json, or NULL */
    const struct json *prompts;         /* config_sentence_transformers.json, or NULL */
    struct str architecture;            /* first of architectures, "" when none */
    struct str model_type;              /* of the text model */
    struct str name;                    /* of the folder */
    struct str readme;                  /* README.md, "" when none */
    int given;           /* of a text: there is no folder, and what would lie in one is said by who made the text: pooling, readme, and */
    int64_t dense[2][2]; /* rows and columns of 2_Dense and 3_Dense; 0: there is none */
};

/* Reads the files that are there. On failure c is zeroed. Files are at most 64 MiB each. */
int config_open(struct config *c, const char *folder, struct lar_err *err);
/* The same of a text, which must outlive c; there is no folder. */
int config_parse(struct config *c, struct str text, struct lar_err *err);
void config_close(struct config *c);
/* The first of modules.json whose class is called so ("Pooling", whatever package it is in), or NULL. */
const struct json *config_module(const struct config *c, const char *kind);
/* The text of a file of the folder into the arena: 1, 0 (no such file), or an error. */
int config_file(struct config *c, const char *name, struct str *out, struct lar_err *err);
/* folder/name, in the arena; NULL when out of memory. */
char *config_path(struct config *c, const char *name);

/* The first of "a|b|c" that is there and not null: in the text part, then in the root. */
const struct json *config_find(const struct config *c, const char *names);
/* The same in one object. */
const struct json *config_in(const struct json *object, const char *names);
/* 1 and *out, 0 when missing (*out untouched), or an error that names the key. */
int config_u32(const struct config *c, const char *names, uint32_t *out, struct lar_err *err);
int config_num(const struct config *c, const char *names, double *out, struct lar_err *err);
/* Of the rotation: looked for in rope_full, rope, then as config_num. */
int config_rope(const struct config *c, const char *names, double *out, struct lar_err *err);
/* "default", "linear", "yarn", "llama3", "longrope", ... */
struct str config_rope_type(const struct config *c);

#endif
