/* SPDX-License-Identifier: Apache-2.0
 *
 * api/choice.c: what kern/choose.h measured, kept for the next start: a text file a level, FOLDER/choice-LEVEL, that begins with whose it is: the
 * program (its size and age: another build may have other kernels) and the processor's name. Anything else is measured anew and replaced. Where nothing can be kept
 * nothing is measured either: it would be paid at each start, and two processes could differ in the last bit of what they compute.
 */
#include <lar/plan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/api.h"
#include "base/buf.h"
#include "base/cpu.h"
#include "base/time.h"
#include "io/filemap.h"
#include "io/outfile.h"
#include "kern/choose.h"

enum { LIMIT_MS = 30, FILE_MAX = 1 << 14 };

static int64_t machine_ns(void *ctx)
{
    (void)ctx;
    return time_ns();
}

static void whose(struct buf *b, unsigned flags)
{
    struct stat st = {0};
    char name[128];
    cpu_name(name, sizeof name);
    (void)stat("/proc/self/exe", &st);
    buf_printf(b, "lar %s, program %lld %lld.%09ld, flags %x, %s\n", lar_version(), (long long)st.st_size,
               (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, flags, name);
}

/* Lines "TYPE NUMBER"; 0 where one is none, or the file is another's. */
static int parse(const struct filemap *f, const struct buf *head, uint32_t from[DTYPE_COUNT])
{
    char text[FILE_MAX];
    if (f->n <= head->n || f->n >= sizeof text || memcmp(f->p, head->p, head->n) != 0) return 0;
    memcpy(text, f->p, f->n);
    text[f->n] = 0;
    for (char *line = text + head->n, *end; *line; line = end + 1) {
        unsigned n = 0;
        char name[16], rest;
        if (!(end = strchr(line, '\n'))) return 0;
        *end = 0;
        if (sscanf(line, "%15s %3u%c", name, &n, &rest) != 2 || n == 0) return 0;
        uint32_t t = 0;
        while (t < DTYPE_COUNT && (!dtype_info(t).name || strcmp(dtype_info(t).name, name) != 0)) t++;
        if (t == DTYPE_COUNT) return 0;
        from[t] = n;
    }
    return 1;
}

static void read_kept(const char *path, const struct buf *head, uint32_t from[DTYPE_COUNT])
{
    struct filemap f;
    if (filemap_open(&f, path, NULL) < 0) return;
    if (!parse(&f, head, from)) memset(from, 0, DTYPE_COUNT * sizeof *from);
    filemap_close(&f);
}

static int complete(const struct kern *k, const uint32_t from[DTYPE_COUNT])
{
    for (int t = 0; t < DTYPE_COUNT; t++)
        if (k->type[t].pack && !from[t]) return 0;
    return 1;
}

/* The file is begun first: what cannot be kept is not measured. */
static int measure_and_keep(const struct kern *k, const char *path, struct buf *text, const struct kern_clock *clock,
                            uint32_t from[DTYPE_COUNT], struct lar_err *err)
{
    struct outfile f;
    int rc = outfile_begin(&f, path, err);
    if (rc == 0) rc = kern_choose(k, clock, LIMIT_MS * (int64_t)1000000, from, err);
    for (uint32_t t = 0; t < DTYPE_COUNT; t++)
        if (from[t]) buf_printf(text, "%s %u\n", dtype_info(t).name, from[t]);
    if (rc >= 0) rc = outfile_write(&f, buf_z(text), text->n, err);
    if (rc >= 0) rc = outfile_commit(&f, err);
    outfile_done(&f);
    return rc;
}

static int choice_from(const char *folder, const struct kern_clock *clock, struct lar_err *err)
{
    uint32_t from[DTYPE_COUNT] = {0};
    struct buf path = {0}, text = {0};
    struct kern k;
    unsigned flags;
    int rc = cpu_flags(&flags, err);
    if (rc < 0) return rc;
    kern_init(&k, flags);
    buf_printf(&path, "%s/choice-%s", folder, cpu_level_name(k.flags));
    whose(&text, k.flags);
    read_kept(buf_z(&path), &text, from);
    if (!complete(&k, from)) rc = measure_and_keep(&k, buf_z(&path), &text, clock, from, err);
    if (rc >= 0) kern_choice(k.flags, from);
    buf_done(&path);
    buf_done(&text);
    return rc < 0 ? rc : LAR_OK;
}

int lar_machine_choice(const char *folder, struct lar_err *err)
{
    static const struct kern_clock clock = {machine_ns, NULL};
    if (!folder) return lar_fail(err, LAR_EINVAL, "lar_machine_choice: folder is needed");
    return choice_from(folder, &clock, err);
}
