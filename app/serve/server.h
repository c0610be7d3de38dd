/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/server.h: the server as a whole: options in, then it runs until a signal ends it.
 */
#ifndef SERVE_SERVER_H
#define SERVE_SERVER_H

#include <lar/lar.h>

#include "base/err.h"
#include "serve/sandbox.h"

struct server_options {
    const char *host; /* an address of the loopback, or the path of a Unix socket */
    int port;
    const char *const *model; /* "NAME=FILE" */
    size_t nmodel;
    char *const *file;
    size_t nfile;
    const char *const *lora; /* "[BASE+]NAME=FILE" */
    size_t nlora;
    const char *lora_dir; /* whose files may be loaded as adapters while it runs; NULL: none */
    const char *const *origin, *const *host_name;
    size_t norigin, nhost_name;
    int threads, deterministic;
    enum lar_kv kv;
    int ctx;      /* of who says none; 0: the model's, at most 8192 */
    int parallel; /* answers written at once */
    int lookup;   /* tokens guessed at once, of requests that do not say */
    int queue;    /* requests at once, waiting ones included */
    int kv_mib;   /* keys and values of all; 0: half of the memory that is free */
    uint64_t memory; /* for models, bytes; 0: what is free */
    const char *const *draft; /* "NAME=FILE": guesses for NAME */
    size_t ndraft;
    const char *const *pin; /* names of models that stay loaded */
    size_t npin;
    int force;       /* 1: a model that does not fit is loaded all the same */
    const char *keep_alive;
    const char *key_file; /* NULL: whoever can reach the server may use it */
    const char *tls_cert, *tls_key; /* files in PEM; NULL: no TLS */
    int socket_mode;      /* of a Unix socket; 0: 0600 */
    int read_only;        /* 1: no models are fetched, made or deleted */
    enum sandbox_want sandbox;
    int insecure;         /* 1: keys and what is said may cross a network as they are */
    int max_body_mib;
    int patience_s; /* for a request to arrive */
    int drain_s;
    const char *cache_dir; /* timelines are kept there; NULL: only in memory */
    uint64_t cache_size;   /* bytes of it */
    int log;      /* a line a request: never what was said */
    int log_json; /* each an object */
    const char *trace_file; /* a trace of each answer; NULL: none */
    int trace_content;      /* with what was said */
    void (*say)(const char *line);
    void (*say_object)(const char *json); /* a line that is an object already */
};

int server_run(const struct server_options *opt, struct lar_err *err);

#endif
