/* SPDX-License-Identifier: Apache-2.0
 * cli/gpu.c: see gpu.h. NVIDIA's tell through their management library, which comes with the driver and is loaded when asked for (NVML API
 * Reference; six functions whose form is a promise of its ABI); AMD's through sysfs (Linux: amdgpu, mem_info_vram_total). */
#include "cli/gpu.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

struct nvml {
    int (*init)(void);
    int (*count)(unsigned *n);
    int (*handle)(unsigned i, void **device);
    int (*name)(void *device, char *text, unsigned n);
    int (*memory)(void *device, unsigned long long total_free_used[3]);
    int (*end)(void);
};

static int load(void *so, struct nvml *v)
{
    static const char *const names[] = {
        "nvmlInit_v2",       "nvmlDeviceGetCount_v2",   "nvmlDeviceGetHandleByIndex_v2",
        "nvmlDeviceGetName", "nvmlDeviceGetMemoryInfo", "nvmlShutdown"};
    for (size_t i = 0; i < 6; i++) {
        void *f = dlsym(so, names[i]);
        if (!f) return -1;
        memcpy((char *)v + i * sizeof f, &f, sizeof f); /* POSIX: a function's address fits */
    }
    return 0;
}
_Static_assert(sizeof(struct nvml) == 6 * sizeof(void *), "as load fills it");

static int nvidia(struct gpu *g, int n)
{
    struct nvml v;
    unsigned count = 0;
    void *so = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!so) return n;
    if (load(so, &v) == 0 && v.init() == 0) {
        if (v.count(&count) != 0) count = 0;
        for (unsigned i = 0; i < count && n < GPUS_MAX; i++) {
            void *device;
            unsigned long long m[3] = {0};
            g[n] = (struct gpu){.name = "NVIDIA"};
            if (v.handle(i, &device) != 0 || v.memory(device, m) != 0) continue;
            (void)v.name(device, g[n].name, sizeof g[n].name);
            g[n].name[sizeof g[n].name - 1] = 0;
            g[n].memory = m[0];
            g[n].free = m[1];
            n++;
        }
        v.end();
    }
    dlclose(so);
    return n;
}

static unsigned long long number_in(const char *card, const char *name)
{
    char path[320];
    unsigned long long v = 0;
    snprintf(path, sizeof path, "/sys/class/drm/%.64s/device/%s", card, name);
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    if (fscanf(f, "%llu", &v) != 1) v = 0;
    fclose(f);
    return v;
}

static int amd(struct gpu *g, int n)
{
    struct dirent *e;
    DIR *d = opendir("/sys/class/drm");
    while (d && n < GPUS_MAX && (e = readdir(d))) {
        if (strncmp(e->d_name, "card", 4) != 0 || strchr(e->d_name, '-')) continue;
        unsigned long long all = number_in(e->d_name, "mem_info_vram_total"),
                           used = number_in(e->d_name, "mem_info_vram_used");
        if (!all) continue;
        g[n] = (struct gpu){.memory = all, .free = used < all ? all - used : 0};
        snprintf(g[n].name, sizeof g[n].name, "AMD %.40s", e->d_name);
        n++;
    }
    if (d) closedir(d);
    return n;
}

int gpu_list(struct gpu g[GPUS_MAX]) { return amd(g, nvidia(g, 0)); }
