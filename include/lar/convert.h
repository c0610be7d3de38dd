/* SPDX-License-Identifier: Apache-2.0
 *
 * lar/convert.h: models between the forms in which they are published and GGUF.
 *
 * Weights of others are only ever read as data: safetensors, PyTorch checkpoints without executing them, configuration as JSON. What is not
 * understood is refused by name, because a model without it would answer wrongly.
 */
#ifndef LAR_CONVERT_H
#define LAR_CONVERT_H

#include <stddef.h>
#include <stdint.h>

#include <lar/err.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lar_convert_options {
    const char *type; /* "f32", "f16", "bf16", "q8_0", or "auto" (also NULL): the float type that the weights have */
    /* Called now and then while tensors are written; done and total are bytes of the new file. A non-zero answer stops with LAR_ECANCEL. */
    int (*on_progress)(void *ctx, const char *tensor, size_t tensor_n, uint64_t done, uint64_t total);
    /* Called once the file is whole with the name of each tensor that is not in it although it is of this model: what only training or the guessing of
     * words left out needs (BERT's pooler where nothing reads it, heads of masked language models). NULL: not called. */
    void (*on_left_out)(void *ctx, const char *tensor, size_t tensor_n);
    void *ctx;
};

struct lar_convert_result {
    char architecture[32]; /* general.architecture of the new file */
    size_t tensors;        /* in it */
    size_t left_out;       /* of the source, because they belong to a vision or audio tower or to heads for further tokens */
    uint64_t bytes;        /* of tensors in the new file */
};

/* Writes the GGUF file `to` from a Hugging Face folder, or from a weights file (.safetensors, .bin, .pt, .pth) with config.json beside
 * it. Nothing stands under the name before the file is whole. Memory does not grow with the model. out may be NULL. */
LAR_API int lar_convert(const char *from, const char *to, const struct lar_convert_options *opt,
                        struct lar_convert_result *out, struct lar_err *err);

struct lar_export_options {
    const char *type;     /* of matrices: "f32", "f16", "bf16"; NULL or "auto": what the file has, BF16 where that is quantised */
    uint64_t shard_bytes; /* of tensors in one file; 0: 5 GB */
    int (*on_progress)(void *ctx, const char *tensor, size_t tensor_n, uint64_t done, uint64_t total);
    void *ctx;
};

struct lar_export_result {
    char architecture[64]; /* transformers' class */
    char type[8];          /* of the matrices */
    size_t tensors, files;
    size_t rounded;        /* tensors of the file whose values are not the same, or were quantised */
    uint64_t bytes;
};

/* The way back: writes a folder that transformers loads (safetensors, config.json, the tokenizer, generation_config.json, the chat template) from a
 * GGUF file. lar_convert of it gives the file's keys and tensors again; a file of which that cannot be is refused, by the name of the key or
 * tensor. The folder must not exist, or be empty; it appears when it is whole. out may be NULL. */
LAR_API int lar_export(const char *from, const char *to, const struct lar_export_options *opt,
                       struct lar_export_result *out, struct lar_err *err);

/* Writes the adapter GGUF `to` from a LoRA adapter of PEFT or MLX (a folder with adapter_config.json, or its weights file). base says what it
 * belongs to: the Hugging Face folder, or a .gguf made from it; of both no weights are read. out may be NULL. */
LAR_API int lar_convert_lora(const char *from, const char *base, const char *to, struct lar_convert_result *out,
                             struct lar_err *err);

/* The way back: PEFT's folder (adapter_model.safetensors, adapter_config.json) from an adapter GGUF, whose base is needed as above: its names, and how
 * its heads lie. out->architecture is the base's; one file, whatever shard_bytes is. out may be NULL. */
LAR_API int lar_export_lora(const char *from, const char *base, const char *to, const struct lar_export_options *opt,
                            struct lar_export_result *out, struct lar_err *err);

/* Changes a model's matrices while it is open, W + scale (alpha / rank) B A: a GGUF file. See lar_model_options. */
struct lar_adapter {
    const char *path;
    float scale; /* 1: as it was trained */
};

#ifdef __cplusplus
}
#endif
#endif
