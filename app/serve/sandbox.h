/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/sandbox.h: what a server gives up once it has started, so that a mistake in it is worth little to who finds it.
 *
 * Two stages. sandbox_files comes before there are threads (Landlock holds for who calls and whom he starts): no new privileges, no capabilities
 * but those that files and ports need, and no file but those that were allowed. sandbox_calls comes when the server listens and all its threads
 * run: system calls by a list (seccomp), for all of them at once: no program is run, no process made, none looked into, no memory is both
 * written and executed, and without `changes` no connection is opened.
 *
 * Not every kernel has both, an emulator neither, and sanitizers need calls that are not listed: what could not be done is told, and refused
 * where it was required. Numbers and layouts are those of Linux's include/uapi (landlock.h, seccomp.h, filter.h), which older headers lack.
 */
#ifndef SERVE_SANDBOX_H
#define SERVE_SANDBOX_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/err.h"

enum sandbox_want { SANDBOX_TRY, SANDBOX_REQUIRE, SANDBOX_OFF };

struct sandbox {
    enum sandbox_want want;
    int changes;  /* models may be fetched and made: connections, and files beneath what may be written */
    int keeps;    /* a cache is written, whatever changes says */
    int ruleset;  /* of Landlock; -1: none */
    int abi;      /* Landlock's version; 0: none */
    int calls;    /* system calls go by a list */
    int nread;    /* places */
    struct buf told; /* a line about what holds */
    atomic_int done; /* calls and told are what they stay: other threads may look */
};

enum sandbox_access { SANDBOX_READ, SANDBOX_WRITE, SANDBOX_SOCKET };

/* Nothing is given up yet. What every program needs is allowed. LAR_EUNSUPPORTED: required, and not to be had here. */
int sandbox_open(struct sandbox *b, enum sandbox_want want, int changes, struct lar_err *err);
/* A file, or a folder with all that is in it. SOCKET: a folder in which a socket is made and removed. What is not there is passed over. */
void sandbox_allow(struct sandbox *b, const char *path, enum sandbox_access access);
/* What a model may consist of: the file, the folder, or, where its parts lie beside it or its files are links into a cache, the folder above. Also a
 * folder in which there are only models: a file that takes one's place is a file that nobody has allowed, but in a folder that somebody has. */
void sandbox_allow_model(struct sandbox *b, const char *path);
int sandbox_files(struct sandbox *b, struct lar_err *err);
int sandbox_calls(struct sandbox *b, struct lar_err *err);
void sandbox_done(struct sandbox *b);

#endif
