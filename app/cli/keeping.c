/* SPDX-License-Identifier: Apache-2.0
 * cli/keeping.c: `lar cp`, `lar rm`, `lar gc` and `lar verify`: a few lines each around store/keep.c. */
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/interrupt.h"
#include "cli/out.h"
#include "cli/verbs.h"
#include "store/store.h"

static int run_cp(const void *values, char **arg, int narg)
{
    struct store *s;
    struct lar_err err;
    (void)values, (void)narg;
    int e = store_open(&s, NULL, &err);
    if (e == 0) e = store_copy(s, arg[0], arg[1], &err);
    store_close(s);
    return e < 0 ? say_err(&err) : EXIT_DONE;
}

static int run_rm(const void *values, char **arg, int narg)
{
    struct store *s;
    struct lar_err err;
    int code = EXIT_DONE, left = 0;
    (void)values;
    if (store_open(&s, NULL, &err) < 0) return say_err(&err);
    for (int i = 0; i < narg; i++) {
        int e = store_delete(s, arg[i], &err);
        if (e < 0) code = say_err(&err);
        left |= e > 0;
    }
    if (left)
        say("its blobs stay for now, for another process is writing in the store; lar gc removes them later");
    store_close(s);
    return code;
}

struct gc_options {
    int now, json;
};

static int run_gc(const void *values, char **arg, int narg)
{
    const struct gc_options *o = values;
    struct store *s;
    struct store_gc gc;
    struct lar_err err;
    (void)arg, (void)narg;
    int e = store_open(&s, NULL, &err);
    if (e == 0) e = store_gc(s, o->now, &gc, &err);
    store_close(s);
    if (e < 0) return say_err(&err);
    if (o->json) {
        buf_printf(out(), "{\"files\":%zu,\"bytes\":%llu}\n", gc.files,
                   (unsigned long long)gc.bytes);
    } else {
        buf_printf(out(), "%zu files removed, ", gc.files);
        buf_bytes(out(), gc.bytes);
        buf_puts(out(), " freed\n");
    }
    return out_done(EXIT_DONE);
}

struct verify_options {
    int json;
};

struct verifying {
    int json, n, terminal;
};

static void on_fault(void *ctx, const char *name, const char *what)
{
    struct verifying *v = ctx;
    struct buf *b = out();
    if (v->json) {
        buf_puts(b, v->n ? ",{\"name\":" : "{\"name\":");
        buf_json_str(b, str_of(name));
        buf_puts(b, ",\"what\":");
        buf_json_str(b, str_of(what));
        buf_putc(b, '}');
    } else {
        out_text_to(b, 1, name, strlen(name));
        buf_puts(b, ": ");
        out_text_to(b, 1, what, strlen(what));
        buf_putc(b, '\n');
    }
    v->n++;
}

static int on_file(void *ctx, const char *path, uint64_t bytes)
{
    struct verifying *v = ctx;
    struct buf b = {0};
    const char *slash = strrchr(path, '/');
    if (v->terminal) {
        buf_printf(&b, "\r\033[K%.19s... ", slash ? slash + 1 : path);
        buf_bytes(&b, bytes);
        (void)!write(STDERR_FILENO, buf_z(&b), b.n);
    }
    buf_done(&b);
    return interrupt_seen();
}

static int run_verify(const void *values, char **arg, int narg)
{
    const struct verify_options *o = values;
    struct verifying g = {o->json, 0, isatty(STDERR_FILENO)};
    struct store_verify v = {.on_fault = on_fault, .on_file = on_file, .ctx = &g};
    struct store *s;
    struct lar_err err;
    int e = store_open(&s, NULL, &err);
    if (o->json) buf_puts(out(), "{\"faults\":[");
    interrupt_begin(NULL, 1);
    if (e == 0) e = store_verify(s, narg ? arg[0] : NULL, &v, &err);
    interrupt_end();
    if (g.terminal && v.blobs) (void)!write(STDERR_FILENO, "\r\033[K", 4);
    store_close(s);
    if (e < 0) return say_err(&err);
    if (o->json) {
        buf_printf(out(), "],\"models\":%zu,\"blobs\":%zu,\"bytes\":%llu}\n", v.models, v.blobs,
                   (unsigned long long)v.bytes);
    } else {
        buf_printf(out(), "%zu models, %zu blobs, ", v.models, v.blobs);
        buf_bytes(out(), v.bytes);
        buf_printf(out(), ": %s\n", e ? "not as they were" : "all as they were");
    }
    return out_done(e ? EXIT_FAILED : EXIT_DONE);
}

static const struct opt no_options[] = {{.kind = OPT_END}};

/* clang-format off */
const struct verb verb_cp = {
    .name = "cp",
    .synopsis = "FROM TO",
    .summary = "another name for a model",
    .about = "Gives a model another name. Its blobs are shared. FROM may also lie in Ollama's store: then its blobs "
             "are taken over (as clones or second names of the same bytes where the file system can), and the model "
             "stays when Ollama removes its own.",
    .opts = no_options,
    .min_args = 2,
    .max_args = 2,
    .run = run_cp,
};

const struct verb verb_rm = {
    .name = "rm",
    .synopsis = "NAME...",
    .summary = "removes models",
    .about = "Takes names away, and removes the blobs that no other model needs. Only Lar's own store is changed.",
    .opts = no_options,
    .min_args = 1,
    .max_args = 1000,
    .run = run_rm,
};

static const struct opt gc_opts[] = {
    {.kind = OPT_FLAG, .name = "now", .at = offsetof(struct gc_options, now), .value = 1,
     .help = "Also what was touched within the last hour."},
    {.kind = OPT_FLAG, .name = "json", .at = offsetof(struct gc_options, json), .value = 1,
     .help = "An object with files and bytes."},
    {.kind = OPT_END},
};

const struct verb verb_gc = {
    .name = "gc",
    .synopsis = "[--now]",
    .summary = "removes what no model needs",
    .about = "Removes blobs that no model of Lar's store needs, unfinished downloads, and what crashes left behind. "
             "Nothing is removed while another process writes there, nor while a manifest cannot be read.",
    .opts = gc_opts,
    .size = sizeof(struct gc_options),
    .run = run_gc,
};

static const struct opt verify_opts[] = {
    {.kind = OPT_FLAG, .name = "json", .at = offsetof(struct verify_options, json), .value = 1,
     .help = "An object with faults (name, what), models, blobs and bytes."},
    {.kind = OPT_END},
};

const struct verb verb_verify = {
    .name = "verify",
    .synopsis = "[NAME]",
    .summary = "is everything still what it was?",
    .about = "Reads every blob of NAME, or of all models of Lar's store, and compares it with its digest. Exit code 1 "
             "when something is missing or was changed; each is named.",
    .opts = verify_opts,
    .size = sizeof(struct verify_options),
    .max_args = 1,
    .run = run_verify,
};
/* clang-format on */
