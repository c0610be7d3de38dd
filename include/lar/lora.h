/* SPDX-License-Identifier: Apache-2.0
 *
 * lar/lora.h: LoRA adapters beside one model, each session with its own.
 *
 * The model's weights are mapped once, whatever number of adapters stands beside it; sessions with different adapters, or none, go through one step
 * (lar/batch.h): the base is computed for all rows together, and to each row comes what its adapter adds. Adapters that all sessions of a model shall
 * have are opened with it (lar_model_options.adapters).
 *
 *     struct lar_lora *l;
 *     if (lar_lora_open(&l, model, "clerk.gguf", &err) < 0) ...
 *     struct lar_lora_use use = {l, 1};
 *     if (lar_session_adapt(session, &use, 1, &err) < 0) ...
 *     lar_lora_close(l);                                       it lives on until the session is closed or has others
 */
#ifndef LAR_LORA_H
#define LAR_LORA_H

#include <lar/lar.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lar_lora;

/* An adapter GGUF (lar_convert_lora makes them of PEFT's and MLX' folders). It is read wholly and the file let go. One that does not fit
 * the model is refused with the tensor named: one of another family, of other shapes, or that changes what no adapter can change here. May be called
 * while other threads use the model; never changes what their sessions compute. */
LAR_API int lar_lora_open(struct lar_lora **out, struct lar_model *m, const char *path, struct lar_err *err);
LAR_API struct lar_lora *lar_lora_ref(struct lar_lora *l); /* one more to close */
LAR_API void lar_lora_close(struct lar_lora *l); /* the model lives on until the last; NULL is allowed */

struct lar_lora_info {
    int rank;        /* the largest */
    int matrices;    /* that it changes */
    float alpha;     /* as the file has it */
    uint64_t bytes;  /* of memory */
};
LAR_API void lar_lora_info(const struct lar_lora *l, struct lar_lora_info *out);

enum { LAR_LORA_MAX = 8 }; /* of one session */

struct lar_lora_use {
    struct lar_lora *lora; /* opened for the session's model */
    float scale;           /* 1: as it was trained */
};

/* From here on the session has these adapters, all together; n 0: none (but those that were opened with the model). Its timeline is empty afterwards,
 * unless it had the same. Keys and values are never shared between sessions with different adapters: lar_session_fork gives 0. Not while
 * the session is in a step. */
LAR_API int lar_session_adapt(struct lar_session *s, const struct lar_lora_use *use, size_t n, struct lar_err *err);
/* How many adapters the session has. */
LAR_API int lar_session_adapters(const struct lar_session *s);
/* 1: both have the same model and the same adapters at the same scales. Only then lar_session_fork shares. */
LAR_API int lar_session_alike(const struct lar_session *a, const struct lar_session *b);

#ifdef __cplusplus
}
#endif
#endif
