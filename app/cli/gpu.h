/* SPDX-License-Identifier: Apache-2.0
 * cli/gpu.h: graphics processors and their memory, for `lar fit` to tell. Lar computes on the processor. */
#ifndef CLI_GPU_H
#define CLI_GPU_H

#include <stdint.h>

enum { GPUS_MAX = 16 };

struct gpu {
    char name[96];
    uint64_t memory, free; /* bytes */
};

/* Gives how many there are. */
int gpu_list(struct gpu g[GPUS_MAX]);

#endif
