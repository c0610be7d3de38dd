/* SPDX-License-Identifier: Apache-2.0
 * cli/named.c: see named.h. A path costs one look at the file system, and no store is opened for it. */
#include "cli/named.h"

#include <sys/stat.h>

#include "base/err.h"

static int is_path(const char *arg)
{
    struct str s = str_of(arg);
    static const char *const ends[] = {".gguf",  ".json",   ".model",       ".tiktoken",
                                       ".jinja", ".gotmpl", ".safetensors", "/"};
    if (arg[0] == '/' || arg[0] == '.' || arg[0] == '~') return 1;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (str_ends(s, str_of(ends[i]))) return 1;
    return 0;
}

int named_open(struct named *n, const char *arg, struct lar_err *err)
{
    struct stat st;
    struct name name;
    int there = stat(arg, &st) == 0;
    *n = (struct named){.path = arg};
    if (!*arg) return lar_fail(err, LAR_EINVAL, "the model's name is empty: give a file, a folder or a name");
    if (is_path(arg) || (there && !S_ISDIR(st.st_mode)) || name_parse(&name, str_of(arg), NULL) < 0)
        return 0;
    int e = store_open(&n->store, NULL, there ? NULL : err);
    if (there && (e < 0 || !store_has(n->store, arg))) { /* a folder of that name */
        named_close(n);
        n->path = arg;
        return 0;
    }
    if (e == 0) e = store_find(n->store, arg, &n->m, err);
    n->path = n->m.path;
    return e;
}

void named_close(struct named *n)
{
    if (n->store) {
        store_model_done(&n->m);
        store_close(n->store);
    }
    *n = (struct named){0};
}

int named_load(struct lar_model **out, const struct named *n, const struct lar_model_options *opt,
               struct lar_err *err)
{
    struct lar_model_options o = opt ? *opt : (struct lar_model_options){0};
    struct lar_adapter all[64];
    size_t most = sizeof all / sizeof *all, own = o.vocab_only ? 0 : n->m.nadapter;
    if (own > most || o.nadapter > most - own)
        return lar_fail(err, LAR_EUNSUPPORTED, "%s: more than %zu adapters", n->path, most);
    for (size_t i = 0; i < own; i++) all[i] = (struct lar_adapter){n->m.adapter[i], 1};
    for (size_t i = 0; i < o.nadapter; i++) all[own + i] = o.adapters[i];
    o.adapters = all;
    o.nadapter += own;
    if (n->m.template_text && *n->m.template_text) o.chat_template = n->m.template_text;
    return lar_model_open(out, n->path, &o, err);
}

int named_model(struct lar_model **out, const char *arg, const struct lar_model_options *opt,
                struct lar_err *err)
{
    struct named n;
    int e = named_open(&n, arg, err);
    if (e == 0) e = named_load(out, &n, opt, err);
    named_close(&n);
    return e;
}
