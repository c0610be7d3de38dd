/* SPDX-License-Identifier: Apache-2.0
 *
 * net/curl.h: the few functions and numbers of libcurl that we use. The library is loaded when the network is first wanted, so that a
 * program which never goes there starts without it, and builds for any machine without its headers: its numbers are a promise of its ABI
 * (curl/include/curl/curl.h; "never remove or renumber"), and tests/curl.t compares them with the header where there is one.
 */
#ifndef NET_CURL_H
#define NET_CURL_H

#include <time.h>

#include "base/err.h"

enum {
    CURL_LONG = 0,
    CURL_PTR = 10000,
    CURL_FN = 20000,
    CURL_OFF = 30000,

    CURL_WRITEDATA = CURL_PTR + 1,
    CURL_URL = CURL_PTR + 2,
    CURL_RANGE = CURL_PTR + 7,
    CURL_READDATA = CURL_PTR + 9,
    CURL_ERRORBUFFER = CURL_PTR + 10,
    CURL_WRITEFUNCTION = CURL_FN + 11,
    CURL_READFUNCTION = CURL_FN + 12,
    CURL_USERAGENT = CURL_PTR + 18,
    CURL_LOW_SPEED_LIMIT = CURL_LONG + 19,
    CURL_LOW_SPEED_TIME = CURL_LONG + 20,
    CURL_HTTPHEADER = CURL_PTR + 23,
    CURL_HEADERDATA = CURL_PTR + 29,
    CURL_CUSTOMREQUEST = CURL_PTR + 36,
    CURL_NOBODY = CURL_LONG + 44,
    CURL_UPLOAD = CURL_LONG + 46,
    CURL_FOLLOWLOCATION = CURL_LONG + 52,
    CURL_CONNECTTIMEOUT = CURL_LONG + 78,
    CURL_HEADERFUNCTION = CURL_FN + 79,
    CURL_HTTP_VERSION = CURL_LONG + 84,
    CURL_NOSIGNAL = CURL_LONG + 99,
    CURL_PRIVATE = CURL_PTR + 103,
    CURL_CAINFO = CURL_PTR + 65,
    CURL_INFILESIZE_LARGE = CURL_OFF + 115,
    CURL_MAX_SEND_SPEED_LARGE = CURL_OFF + 145,
    CURL_MAX_RECV_SPEED_LARGE = CURL_OFF + 146,
    CURL_PROTOCOLS = CURL_LONG + 181,

    CURL_HTTP_1_1 = 2,
    CURL_PROTO_HTTP = 1,
    CURL_PROTO_HTTPS = 2,
    CURL_GET_STATUS = 0x200000 + 2,
    CURL_GET_PRIVATE = 0x100000 + 21,
    CURL_GET_REDIRECT = 0x100000 + 31,
    CURL_MESSAGE_DONE = 1,
    CURL_READ_ABORT = 0x10000000
};

struct curl_message {
    int kind;
    void *easy;
    union {
        void *whatever;
        int result;
    } data;
};

struct curl_slist;

/* As curl/curl.h declares them; handles are void *. */
struct curl {
    int (*global_init)(long flags);
    void *(*easy_init)(void);
    int (*easy_setopt)(void *easy, int option, ...);
    int (*easy_getinfo)(void *easy, int info, ...);
    int (*easy_perform)(void *easy);
    void (*easy_reset)(void *easy);
    void (*easy_cleanup)(void *easy);
    const char *(*easy_strerror)(int code);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
    void (*slist_free_all)(struct curl_slist *list);
    void *(*multi_init)(void);
    int (*multi_add_handle)(void *multi, void *easy);
    int (*multi_remove_handle)(void *multi, void *easy);
    int (*multi_perform)(void *multi, int *running);
    int (*multi_poll)(void *multi, void *extra, unsigned n, int timeout_ms, int *ready);
    struct curl_message *(*multi_info_read)(void *multi, int *left);
    int (*multi_cleanup)(void *multi);
    time_t (*getdate)(const char *text, const time_t *unused);
};

/* The library, loaded at the first call; LAR_EUNSUPPORTED names the package that holds it. Not to be closed. */
int curl_open(const struct curl **out, struct lar_err *err);
/* What every request of ours has in common: a fresh handle for url, which gives up after `silent` seconds with next to nothing (below 64 bytes a
 * second). Certificates are those of the system, or of the file that $LAR_CA_BUNDLE, $CURL_CA_BUNDLE or $SSL_CERT_FILE names. */
void curl_begin(void *easy, const char *url, long silent);

#endif
