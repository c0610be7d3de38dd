/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/peer.c: see peer.h. node gets a program of a few lines on its command line; test by test it reads what to do and writes the milliseconds.
 */
#include "cli/peer.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"

extern char **environ;

/* No module of its own kind (--input-type): node-llama-cpp starts node again with the same options. A line "tokens step depth sessions" is answered by "ms N". The past is kept where the last test had the same. */
static char script[] =
    "(async () => {\n"
    "const [dir, model, threads, ctx, n] = process.argv.slice(1);\n"
    "const lib = await import(dir + '/dist/index.js');\n"
    "const llama = await lib.getLlama({build: 'never', gpu: false, logLevel: 'error', maxThreads: +threads});\n"
    "const m = await llama.loadModel({modelPath: model, gpuLayers: 0});\n"
    "const c = await m.createContext({contextSize: +ctx, sequences: +n, threads: +threads, batchSize: 512});\n"
    "const s = Array.from({length: +n}, () => c.getSequence());\n"
    "const vocab = m.fileInfo.metadata.tokenizer.ggml.tokens.length;\n"
    "const tokens = Array.from({length: +ctx}, (_, i) => (i * 7919 + 17) % vocab);\n"
    "const run = (q, from, to) => q.evaluateWithoutGeneratingNewTokens(tokens.slice(from, to));\n"
    "console.log('ready ' + llama.llamaCppRelease.release);\n"
    "for await (const line of (await import('node:readline')).createInterface({input: process.stdin})) {\n"
    "  const [all, step, depth, sessions] = line.split(' ').map(Number), at = s.slice(0, sessions);\n"
    "  for (const q of at) {\n"
    "    if (depth && q.nextTokenIndex >= depth)\n"
    "      await q.eraseContextTokenRanges([{start: depth, end: q.nextTokenIndex}]);\n"
    "    else await q.clearHistory();\n"
    "    if (q.nextTokenIndex < depth) await run(q, q.nextTokenIndex, depth);\n"
    "  }\n"
    "  const start = performance.now();\n"
    "  for (let i = 0; i < all; i += step)\n"
    "    await Promise.all(at.map(q => run(q, depth + i, depth + Math.min(i + step, all))));\n"
    "  console.log('ms ' + (performance.now() - start));\n"
    "}\n"
    "process.exit(0);\n"
    "})();\n";

/* Starts argv with its standard output to *from and, when `to` is there, its standard input from *to. */
static int start(char *const *argv, pid_t *pid, FILE **to, FILE **from, struct lar_err *err)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    posix_spawn_file_actions_t fa;
    if (pipe(out) || (to && pipe(in))) {
        for (int i = 0; i < 2; i++)
            if (out[i] >= 0) close(out[i]);
        return lar_fail(err, LAR_EIO, "%s: no pipe: %s", argv[0], strerror(errno));
    }
    posix_spawn_file_actions_init(&fa);
    if (to) posix_spawn_file_actions_adddup2(&fa, in[0], 0);
    if (to) posix_spawn_file_actions_addclose(&fa, in[1]);
    posix_spawn_file_actions_adddup2(&fa, out[1], 1);
    posix_spawn_file_actions_addclose(&fa, out[0]);
    int why = posix_spawnp(pid, argv[0], &fa, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&fa);
    close(out[1]);
    if (to) close(in[0]);
    if (why) {
        close(out[0]);
        if (to) close(in[1]);
        return lar_fail(err, LAR_EIO, "%s cannot be started: %s", argv[0], strerror(why));
    }
    *from = fdopen(out[0], "r");
    if (to) *to = fdopen(in[1], "w");
    if (!*from || (to && !*to)) return lar_fail(err, LAR_ENOMEM, "%s: out of memory", argv[0]);
    return 0;
}

void peer_close(struct peer *p)
{
    if (p->to) fclose(p->to); /* node ends at the end of its input */
    if (p->from) fclose(p->from);
    if (p->pid > 0) {
        kill(p->pid, SIGTERM);
        waitpid(p->pid, NULL, 0);
    }
    p->to = p->from = NULL;
    p->pid = 0;
}

/* Is there a node-llama-cpp in this folder, as itself or among its modules? */
static int holds(struct peer *p, const char *folder)
{
    static const char *const inside[] = {"", "/node-llama-cpp", "/node_modules/node-llama-cpp",
                                         "/lib/node_modules/node-llama-cpp"};
    char at[PATH_MAX], real[PATH_MAX];
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        int n = snprintf(at, sizeof at, "%s%s/dist/index.js", folder, inside[i]);
        if (n < 0 || (size_t)n >= sizeof at || access(at, R_OK)) continue;
        at[(size_t)n - strlen("/dist/index.js")] = 0;
        if (!realpath(at, real) || strlen(real) >= sizeof p->path ||
            !strstr(real, "node-llama-cpp"))
            continue;
        memcpy(p->path, real, strlen(real) + 1);
        return 1;
    }
    return 0;
}

static int search(struct peer *p, struct lar_err *err)
{
    const char *const folders[] = {".",
                                   getenv("NODE_PATH"),
                                   "/usr/lib",
                                   "/usr/local",
                                   "/usr",
                                   getenv("HOME"),
                                   getenv("npm_config_prefix")};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (folders[i] && *folders[i] && holds(p, folders[i])) return 0;
    return lar_fail(
        err, LAR_EIO,
        "--compare llama.cpp: no node-llama-cpp in ./node_modules, $NODE_PATH or npm's global folder: "
        "`npm install node-llama-cpp`, or name the folder that holds it, or a llama-bench");
}

/* A line that begins with `word`; what stands behind it. What else is written goes unheard. */
static int answer(struct peer *p, const char *word, char *line, size_t cap, struct lar_err *err)
{
    size_t n = strlen(word);
    while (fgets(line, (int)cap, p->from))
        if (!strncmp(line, word, n) && line[n] == ' ') {
            memmove(line, line + n + 1, strlen(line + n + 1) + 1);
            line[strcspn(line, "\n")] = 0;
            return 0;
        }
    return lar_fail(err, LAR_EIO, "%s ended without an answer; what it said stands above", p->path);
}

static int open_node(struct peer *p, struct lar_err *err)
{
    char threads[16], ctx[16], sessions[16], model[PATH_MAX], line[256];
    if (strcmp(p->setup.kv, "f16") != 0)
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "--compare llama.cpp: with --kv f16 only (a llama-bench has the others)");
    if (!realpath(p->setup.model, model))
        return lar_fail(err, LAR_EIO, "--compare: %s is no file; llama.cpp needs a GGUF file",
                        p->setup.model);
    snprintf(threads, sizeof threads, "%d", p->setup.threads);
    snprintf(ctx, sizeof ctx, "%d", p->setup.ctx + 8);
    snprintf(sessions, sizeof sessions, "%d", p->setup.sessions);
    char *argv[] = {
        (char[]){"node"}, (char[]){"-e"}, script, p->path, model, threads, ctx, sessions, NULL};
    int e = start(argv, &p->pid, &p->to, &p->from, err);
    if (e < 0)
        return lar_fail(err, LAR_EIO,
                        "--compare llama.cpp: node cannot be started: node-llama-cpp needs Node.js in $PATH; or name a "
                        "llama-bench");
    if (e == 0) e = answer(p, "ready", line, sizeof line, err);
    if (e == 0) snprintf(p->name, sizeof p->name, "llama.cpp %.40s", line);
    return e;
}

int peer_open(struct peer *p, const char *what, const struct peer_setup *s, struct lar_err *err)
{
    struct stat st;
    *p = (struct peer){.setup = *s, .node = 1};
    if (!strcmp(what, "llama.cpp")) {
        int e = search(p, err);
        return e < 0 ? e : open_node(p, err);
    }
    if (stat(what, &st)) return lar_fail(err, LAR_EIO, "--compare %s: %s", what, strerror(errno));
    if (S_ISDIR(st.st_mode)) {
        if (!holds(p, what))
            return lar_fail(err, LAR_EINVAL, "--compare %s: no node-llama-cpp in it", what);
        return open_node(p, err);
    }
    if (strlen(what) >= sizeof p->path || access(what, X_OK))
        return lar_fail(err, LAR_EINVAL, "--compare %s: no program that can be started", what);
    memcpy(p->path, what, strlen(what) + 1);
    const char *base = strrchr(what, '/');
    snprintf(p->name, sizeof p->name, "%.60s", base ? base + 1 : what);
    p->node = 0;
    return 0;
}

int peer_can(const struct peer *p, const struct bench_test *t)
{
    return p->node || t->sessions == 1;
}

static int once_node(struct peer *p, const struct bench_test *t, double *tok_s, struct lar_err *err)
{
    char line[256];
    if (fprintf(p->to, "%d %d %d %d\n", t->tokens, t->step, t->depth, t->sessions) < 0 ||
        fflush(p->to))
        return lar_fail(err, LAR_EIO, "%s ended; what it said stands above", p->path);
    int e = answer(p, "ms", line, sizeof line, err);
    double ms = e < 0 ? 0 : strtod(line, NULL);
    if (e == 0 && !(ms > 0)) return lar_fail(err, LAR_EIO, "%s: '%s' is no time", p->path, line);
    if (e == 0) *tok_s = t->tokens * t->sessions * 1000.0 / ms;
    return e;
}

static int once_bench(struct peer *p, const struct bench_test *t, double *tok_s,
                      struct lar_err *err)
{
    char threads[16], n[16], depth[16], model[PATH_MAX], line[8192];
    snprintf(threads, sizeof threads, "%d", p->setup.threads);
    snprintf(n, sizeof n, "%d", t->tokens);
    snprintf(depth, sizeof depth, "%d", t->depth);
    snprintf(model, sizeof model, "%s", p->setup.model);
    char zero[] = "0", kv[16], *argv[24], **a = argv;
    snprintf(kv, sizeof kv, "%s", p->setup.kv);
    *a++ = p->path, *a++ = (char[]){"-m"}, *a++ = model, *a++ = (char[]){"-t"}, *a++ = threads;
    *a++ = (char[]){"-p"}, *a++ = t->step > 1 ? n : zero, *a++ = (char[]){"-n"},
    *a++ = t->step > 1 ? zero : n;
    *a++ = (char[]){"-r"}, *a++ = (char[]){"1"}, *a++ = (char[]){"-o"}, *a++ = (char[]){"jsonl"};
    *a++ = (char[]){"-ctk"}, *a++ = kv, *a++ = (char[]){"-ctv"}, *a++ = kv;
    if (t->depth) *a++ = (char[]){"-d"}, *a++ = depth; /* older ones do not know it */
    *a = NULL;
    int e = start(argv, &p->pid, NULL, &p->from, err);
    *tok_s = 0;
    while (e == 0 && fgets(line, sizeof line, p->from)) {
        const char *at = strstr(line, "\"avg_ts\":");
        if (at) *tok_s = strtod(at + strlen("\"avg_ts\":"), NULL);
    }
    if (p->pid > 0) waitpid(p->pid, NULL, 0);
    p->pid = 0;
    peer_close(p);
    if (e == 0 && !(*tok_s > 0))
        return lar_fail(err, LAR_EIO, "%s gave no result; what it said stands above", p->path);
    return e;
}

int peer_once(struct peer *p, const struct bench_test *t, double *tok_s, struct lar_err *err)
{
    return p->node ? once_node(p, t, tok_s, err) : once_bench(p, t, tok_s, err);
}
