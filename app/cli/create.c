/* SPDX-License-Identifier: Apache-2.0
 * cli/create.c: `lar create`: a model under a name, from a Modelfile or from what --from names. */
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/in.h"
#include "cli/interrupt.h"
#include "cli/out.h"
#include "cli/verbs.h"
#include "store/store.h"

struct create_options {
    const char *file, *from, *quantize;
};

struct shown {
    int terminal, percent;
    const char *what;
};

/* On a terminal: what is read, and how far. */
static int progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    struct shown *s = ctx;
    int percent = total ? (int)((double)done * 100 / (double)total) : -1;
    if (s->terminal && (percent != s->percent || what != s->what)) {
        struct buf b = {0}, clean = {0};
        buf_printf(&b, "%.60s", what);
        if (percent >= 0) buf_printf(&b, " %d %%", percent);
        out_text_to(&clean, 1, buf_z(&b), b.n);
        (void)!write(STDERR_FILENO, "\r\033[K", 4);
        (void)!write(STDERR_FILENO, buf_z(&clean), clean.n);
        buf_done(&b);
        buf_done(&clean);
    }
    s->percent = percent;
    s->what = what;
    return interrupt_seen();
}

/* "a/b/Modelfile" lies in "a/b". */
static int folder_of(const char *path, struct buf *b)
{
    const char *slash = strrchr(path, '/');
    if (slash) buf_add(b, path, slash > path ? (size_t)(slash - path) : 1);
    return slash != NULL;
}

static int read_modelfile(const struct create_options *o, struct modelfile *f, struct buf *folder,
                          struct lar_err *err)
{
    struct buf text = {0};
    const char *path = o->file ? o->file : "Modelfile";
    if (o->from && !o->file) return modelfile_add(f, MODELFILE_FROM, STR(""), str_of(o->from), err);
    int e = in_all(path, &text, err);
    if (e == 0 && (e = modelfile_parse(f, buf_view(&text), err)) < 0) {
        struct lar_err why = *err;
        lar_fail(err, e, "%s: %s", path, why.msg);
    }
    if (e == 0 && o->from) e = modelfile_add(f, MODELFILE_FROM, STR(""), str_of(o->from), err);
    folder_of(path, folder);
    buf_done(&text);
    return e;
}

static void warn(const struct modelfile *f)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct modelfile_command *c = &f->command[i];
        const struct param *p = c->what == MODELFILE_PARAMETER ? param_find(c->name) : NULL;
        if (p && p->idle) say("PARAMETER %s is kept, but has no effect in Lar", p->name);
        if (c->what == MODELFILE_RENDERER || c->what == MODELFILE_PARSER)
            say("%s is kept, but has no effect in Lar: the template decides",
                c->what == MODELFILE_PARSER ? "PARSER" : "RENDERER");
    }
}

static int run(const void *values, char **arg, int narg)
{
    const struct create_options *o = values;
    struct shown shown = {.terminal = isatty(STDERR_FILENO), .percent = -1};
    struct modelfile f = {0};
    struct buf folder = {0};
    struct store *s = NULL;
    struct lar_err err;
    (void)narg;
    int e = read_modelfile(o, &f, &folder, &err);
    struct store_create how = {folder.n ? buf_z(&folder) : NULL, o->quantize, progress, &shown};
    if (e == 0) e = store_open(&s, NULL, &err);
    if (e == 0) {
        warn(&f);
        interrupt_begin(NULL, 1);
        e = store_create(s, arg[0], &f, &how, &err);
        interrupt_end();
        if (shown.terminal && shown.what) (void)!write(STDERR_FILENO, "\r\033[K", 4);
    }
    store_close(s);
    modelfile_done(&f);
    buf_done(&folder);
    return e < 0 ? say_err(&err) : EXIT_DONE;
}

#define AT(field) offsetof(struct create_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_TEXT, .name = "file", .letter = 'f', .at = AT(file), .arg = "FILE",
     .help = "The Modelfile; - is standard input. Without this option and --from it is ./Modelfile."},
    {.kind = OPT_TEXT, .name = "from", .at = AT(from), .arg = "WHAT",
     .help = "As a line FROM WHAT: a .gguf file, a folder, or the name of a model."},
    {.kind = OPT_TEXT, .name = "quantize", .letter = 'q', .at = AT(quantize), .arg = "TYPE",
     .help = "Quantises the weights first: Q4_K_M, Q8_0 and the others of lar quantize."},
    {.kind = OPT_END},
};

const struct verb verb_create = {
    .name = "create",
    .synopsis = "NAME [-f Modelfile]",
    .summary = "a model under a name, from a Modelfile",
    .about =
        "Makes a model that the other verbs know by NAME ([host/][namespace/]model[:tag]). The Modelfile is Ollama's, "
        "with all its commands: FROM (a file, a folder, a name), PARAMETER, TEMPLATE (in Go's language, or Jinja), "
        "SYSTEM, MESSAGE, LICENSE, ADAPTER (a GGUF, or a folder as PEFT or MLX saves it), REQUIRES, RENDERER, PARSER "
        "and DRAFT. Relative paths begin at the Modelfile's folder. What FROM names is taken into the store: shared on "
        "disk where the file system can clone, else copied. The name appears when everything is there, or not at all.\n"
        "\n"
        "The store is $LAR_MODELS, else ~/.lar/models, in Ollama's layout.\n",
    .opts = options,
    .size = sizeof(struct create_options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
/* clang-format on */
