/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/peer.h: another program that does the tests of `lar bench`, for comparison: llama.cpp as node-llama-cpp of npm brings it, or a llama-bench.
 * Each is a process of its own. The one of node stays, its model loaded, and waits for the next test; llama-bench is started for each.
 */
#ifndef CLI_PEER_H
#define CLI_PEER_H

#include <lar/err.h>
#include <stdio.h>
#include <sys/types.h>

/* Tokens evaluated in pieces of `step` behind `depth` others, in each of `sessions` conversations. */
struct bench_test {
    const char *name; /* "pp", "tg" */
    int tokens, step, depth, sessions;
};

struct peer_setup {
    const char *model;
    int threads, ctx, sessions; /* conversations at most, each of ctx tokens */
    const char *kv;             /* "f16" ... */
};

struct peer {
    char name[64]; /* as results call it */
    char path[1024];
    int node;
    pid_t pid;
    FILE *to, *from;
    struct peer_setup setup;
};

/* what: "llama.cpp" (node-llama-cpp, searched for), a folder that holds it, or a llama-bench. A failure says what to install. */
int peer_open(struct peer *p, const char *what, const struct peer_setup *s, struct lar_err *err);
void peer_close(struct peer *p);
int peer_can(const struct peer *p, const struct bench_test *t);
/* Does t once. */
int peer_once(struct peer *p, const struct bench_test *t, double *tok_s, struct lar_err *err);

#endif
