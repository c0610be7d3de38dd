/* SPDX-License-Identifier: Apache-2.0
 * cli/scratch.c: see scratch.h. */
#include "cli/scratch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/left.h"

static int is_model(const char *name) { return strstr(name, ".gguf") != NULL; }

int scratch_begin(struct scratch *s, const char *what, struct lar_err *err)
{
    const char *tmp = getenv("TMPDIR");
    *s = (struct scratch){.claim = -1};
    buf_printf(&s->folder, "%s/lar-%s-", tmp && *tmp ? tmp : "/tmp", what);
    if (!s->folder.failed) left_sweep(buf_z(&s->folder), is_model);
    buf_printf(&s->folder, "%ld", (long)getpid());
    if (s->folder.failed) return lar_fail(err, LAR_ENOMEM, "out of memory");
    if (mkdir(buf_z(&s->folder), 0700)) return lar_fail_errno(err, "%s", buf_z(&s->folder));
    s->made = 1;
    s->claim = open(buf_z(&s->folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->claim >= 0) left_claim(s->claim);
    return 0;
}

void scratch_end(struct scratch *s)
{
    if (s->made) {
        rmdir(buf_z(&s->folder));
        if (s->claim >= 0) close(s->claim);
    }
    buf_done(&s->folder);
    *s = (struct scratch){.claim = -1};
}
