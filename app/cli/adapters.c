/* SPDX-License-Identifier: Apache-2.0
 * cli/adapters.c: see adapters.h. */
#include "cli/adapters.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

/* clang-format off */
const struct opt adapters_opts[] = {
    {.kind = OPT_LIST, .name = "adapter", .arg = "FILE[:SCALE]",
     .help = "A LoRA adapter (a GGUF, see lar convert --lora) on top of the model, SCALE times as strong as it was "
             "trained; may be given more than once."},
    {.kind = OPT_END},
};
/* clang-format on */

static int read_one(const char *text, struct lar_adapter *a, struct buf *path, struct lar_err *err)
{
    const char *colon = strrchr(text, ':');
    size_t n = strlen(text);
    a->scale = 1;
    if (colon && access(text, F_OK) != 0) {
        char *end;
        a->scale = strtof(colon + 1, &end);
        if (end == colon + 1 || *end)
            return lar_fail(err, LAR_EINVAL, "--adapter %s: no such file, and '%s' is no scale",
                            text, colon + 1);
        n = (size_t)(colon - text);
    }
    buf_add(path, text, n);
    a->path = buf_z(path);
    return path->failed ? lar_fail(err, LAR_ENOMEM, "--adapter: out of memory") : 0;
}

int adapters_read(struct adapters *a, const struct opt_list *list, struct lar_model_options *mo, struct lar_err *err)
{
    int rc = 0;
    *a = (struct adapters){0};
    for (size_t i = 0; i < list->n && rc == 0; i++) rc = read_one(list->v[i], &a->a[i], &a->path[i], err);
    mo->adapters = a->a;
    mo->nadapter = list->n;
    return rc;
}

void adapters_done(struct adapters *a)
{
    for (size_t i = 0; i < OPT_LIST_MAX; i++) buf_done(&a->path[i]);
}
