/* SPDX-License-Identifier: Apache-2.0
 * net/mhd.c: see mhd.h. */
#include "net/mhd.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static struct mhd table;
static int loaded;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int look_up(void *library, const char *name, void *to, struct lar_err *err)
{
    void *symbol = dlsym(library, name);
    if (!symbol)
        return lar_fail(err, LAR_EIO, "libmicrohttpd has no %s: is it older than 0.9.59?", name);
    memcpy(to, &symbol, sizeof symbol);
    return 0;
}

const struct mhd *mhd_load(struct lar_err *err)
{
    int rc = 0;
    pthread_mutex_lock(&lock);
    if (!loaded) {
        void *library = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
        if (!library)
            rc = lar_fail(
                err, LAR_EIO,
                "a server needs libmicrohttpd, which is not here: apt-get install libmicrohttpd12 (%s)",
                dlerror());
#define X(name) \
    if (rc == 0) rc = look_up(library, "MHD_" #name, &table.name, err);
        MHD_NAMES(X)
#undef X
        loaded = rc == 0;
        if (library && rc < 0) dlclose(library);
    }
    pthread_mutex_unlock(&lock);
    return rc < 0 ? NULL : &table;
}
