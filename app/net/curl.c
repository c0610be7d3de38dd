/* SPDX-License-Identifier: Apache-2.0
 * net/curl.c: see curl.h. */
#include "net/curl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lar/lar.h>

static struct curl table;
static char why[200];
static int loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct {
    const char *name;
    size_t at;
} functions[] = {
#define F(name)                                    \
    {                                              \
        "curl_" #name, offsetof(struct curl, name) \
    }
    F(global_init),         F(easy_init),      F(easy_setopt),  F(easy_getinfo),
    F(easy_perform),        F(easy_reset),     F(easy_cleanup), F(easy_strerror),
    F(slist_append),        F(slist_free_all), F(multi_init),   F(multi_add_handle),
    F(multi_remove_handle), F(multi_perform),  F(multi_poll),   F(multi_info_read),
    F(multi_cleanup),       F(getdate),
#undef F
};

static void keep_reason(const char *text)
{
    if (text) strncpy(why, text, sizeof why - 1);
}

/* Debian builds it with three TLS libraries; any will do. */
static void load(void)
{
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl-nss.so.4"};
    void *so = NULL;
    for (int i = 0; i < 3 && !so; i++) {
        so = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (!so && i == 0) keep_reason(dlerror());
    }
    if (!so) return;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *f = dlsym(so, functions[i].name);
        if (!f) {
            keep_reason(dlerror());
            return;
        }
        memcpy((char *)&table + functions[i].at, &f,
               sizeof f); /* POSIX: a function's address fits */
    }
    loaded = table.global_init(3) == 0; /* SSL and Win32, as CURL_GLOBAL_ALL */
    if (!loaded) keep_reason("curl_global_init failed");
}

int curl_open(const struct curl **out, struct lar_err *err)
{
    pthread_once(&once, load);
    *out = &table;
    if (loaded) return 0;
    return lar_fail(
        err, LAR_EUNSUPPORTED,
        "the network needs libcurl, which Debian's package libcurl4 holds (apt-get install libcurl4): %s",
        why);
}

/* NULL: the system's own. */
static const char *certificates(void)
{
    static const char *const names[] = {"LAR_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"};
    for (int i = 0; i < 3; i++) {
        const char *v = getenv(names[i]);
        if (v && *v) return v;
    }
    return NULL;
}

void curl_begin(void *easy, const char *url, long silent)
{
    const char *ca = certificates();
    char agent[64];
    snprintf(agent, sizeof agent, "lar/%s", lar_version());
    table.easy_reset(easy);
    table.easy_setopt(easy, CURL_URL, url);
    table.easy_setopt(easy, CURL_PROTOCOLS, (long)(CURL_PROTO_HTTP | CURL_PROTO_HTTPS));
    table.easy_setopt(easy, CURL_FOLLOWLOCATION, 0L);
    table.easy_setopt(easy, CURL_HTTP_VERSION, (long)CURL_HTTP_1_1);
    table.easy_setopt(easy, CURL_NOSIGNAL, 1L);
    table.easy_setopt(easy, CURL_USERAGENT, agent);
    table.easy_setopt(easy, CURL_CONNECTTIMEOUT, 30L);
    table.easy_setopt(easy, CURL_LOW_SPEED_LIMIT, 64L);
    table.easy_setopt(easy, CURL_LOW_SPEED_TIME, silent);
    if (ca) table.easy_setopt(easy, CURL_CAINFO, ca);
}
