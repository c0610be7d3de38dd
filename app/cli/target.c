/* SPDX-License-Identifier: Apache-2.0
 * cli/target.c: see target.h. Files are compared by device and inode, so no spelling of a path hides what it means. */
#include "cli/target.h"

#include <lar/lar.h>

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/look.h"
#include "cli/named.h"
#include "cli/talk.h"

void target_input(struct target *t, const char *path)
{
    if (path && t->ninput < TARGET_INPUTS_MAX) t->input[t->ninput++] = path;
}

/* ---- one of the inputs? ------------------------------------------------------------------------------------------ */

enum { PART_TAIL = sizeof "-00001-of-00002.gguf" - 1 };

/* Does the name end as a part of a split model does? Gives the length of what stands before, 0: no. */
static size_t part_stem(const char *name, size_t n)
{
    static const char form[] = "-00000-of-00000.gguf";
    if (n <= PART_TAIL) return 0;
    for (size_t i = 0; i < PART_TAIL; i++) {
        char c = name[n - PART_TAIL + i];
        if (form[i] == '0' ? c < '0' || c > '9' : c != form[i]) return 0;
    }
    return n - PART_TAIL;
}

static int same(const struct stat *a, const struct stat *b) { return a->st_dev == b->st_dev && a->st_ino == b->st_ino; }

/* The folder of a path, with its slash; "./" when it has none. The rest is *name. */
static void split_path(const char *path, struct buf *folder, const char **name)
{
    const char *slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    buf_clear(folder);
    if (slash)
        buf_add(folder, path, (size_t)(slash + 1 - path));
    else
        buf_puts(folder, "./");
}

/* Is st a part in this folder whose name begins with the n bytes of stem, or, when n is 0, any file of a model in Hugging Face's form? (A
 * GGUF file beside that is none of it: most likely what an earlier lar convert made.) */
static int in_folder(const struct stat *st, const char *folder, const char *stem, size_t n)
{
    struct dirent *e;
    struct stat its;
    int found = 0;
    DIR *d = opendir(folder);
    while (d && !found && (e = readdir(d))) {
        struct str name = str_of(e->d_name);
        if (n ? part_stem(name.p, name.n) != n || memcmp(name.p, stem, n) != 0 : str_ends(name, STR(".gguf"))) continue;
        found = fstatat(dirfd(d), e->d_name, &its, 0) == 0 && S_ISREG(its.st_mode) && same(st, &its);
    }
    if (d) closedir(d);
    return found;
}

/* Does the input mean the file st? */
static int means(const char *input, const struct stat *st)
{
    struct stat its;
    struct buf folder = {0};
    const char *name;
    if (strcmp(input, "-") == 0) return fstat(STDIN_FILENO, &its) == 0 && same(st, &its);
    if (stat(input, &its)) return 0;
    if (S_ISDIR(its.st_mode)) return in_folder(st, input, "", 0);
    if (same(st, &its)) return 1;
    split_path(input, &folder, &name);
    size_t n = part_stem(name, strlen(name));
    int found = n && in_folder(st, buf_z(&folder), name, n);
    buf_done(&folder);
    return found;
}

static int refuse_input(const char *path, const char *input, struct lar_err *err)
{
    return lar_fail(err, LAR_EINVAL, "%s: is also read from (%s): give the output another name", path,
                    strcmp(input, "-") ? input : "standard input");
}

static int check_inputs(const struct target *t, const char *path, const struct stat *st, struct lar_err *err)
{
    for (size_t i = 0; i < t->ninput; i++)
        if (means(t->input[i], st)) return refuse_input(path, t->input[i], err);
    return 0;
}

/* Parts that stand there already under the names that the writer may choose. */
static int check_parts(const struct target *t, const char *path, struct lar_err *err)
{
    struct buf folder = {0};
    struct dirent *e;
    struct stat st;
    const char *name;
    int rc = 0;
    split_path(path, &folder, &name);
    size_t n = strlen(name);
    if (n > 5 && strcmp(name + n - 5, ".gguf") == 0) n -= 5;
    DIR *d = opendir(buf_z(&folder));
    while (d && rc == 0 && (e = readdir(d))) {
        if (part_stem(e->d_name, strlen(e->d_name)) != n || memcmp(e->d_name, name, n) != 0) continue;
        if (fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode)) rc = check_inputs(t, e->d_name, &st, err);
    }
    if (d) closedir(d);
    buf_done(&folder);
    return rc;
}

/* ---- of another kind? ---------------------------------------------------------------------------------------------- */

static const char *const made_by[] = {
    "a model's GGUF file", "an importance matrix", "safetensors",   "a saved base of lar perplexity",
    "a saved chat",        "a history of lines",   "a packed model"};

/* What a GGUF file is for: an importance matrix or (also when it cannot be read) a model. */
static enum target_kind gguf_kind(const char *path)
{
    struct lar_file *f;
    struct str type;
    enum target_kind kind = TARGET_MODEL;
    if (lar_file_open(&f, path, NULL) < 0) return kind;
    if (look_str(f, "general.type", &type) && str_is(type, "imatrix")) kind = TARGET_IMATRIX;
    lar_file_close(f);
    return kind;
}

static int is_talk(const char *path)
{
    struct talk t = {0};
    struct lar_err err;
    int is = talk_load(&t, path, &err) == 0;
    talk_done(&t);
    return is;
}

/* Is what stands there of this kind? Only a chat is read whole, and only when it begins like one. */
static int is_kind(const char *path, enum target_kind kind)
{
    unsigned char head[16] = {0};
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(head, 1, sizeof head, f) : 0, at = 0;
    if (f) fclose(f);
    if (!f || n == 0) return 1; /* nothing to lose, or the writer will say what is wrong */
    int gguf = n >= 4 && memcmp(head, "GGUF", 4) == 0;
    switch (kind) {
    case TARGET_MODEL:
    case TARGET_IMATRIX: return gguf && gguf_kind(path) == kind;
    case TARGET_NUMBERS: return n > 9 && !head[5] && !head[6] && !head[7] && head[8] == '{' && !gguf;
    case TARGET_BASE: return n >= 8 && memcmp(head, "LARBASE1", 8) == 0;
    case TARGET_HISTORY: return n >= 9 && memcmp(head, "_HiStOrY_", 9) == 0;
    case TARGET_PACK: return n >= 11 && memcmp(head, "oci-layout", 11) == 0;
    case TARGET_TALK: break;
    }
    while (at < n && strchr(" \t\r\n", head[at])) at++;
    return at < n && (head[at] == '{' || head[at] == '[') && is_talk(path);
}

int target_check(const struct target *t, const char *path, enum target_kind kind, int parts, struct lar_err *err)
{
    struct stat st;
    if (strcmp(path, "-") == 0)
        return lar_fail(err, LAR_EINVAL,
                        "-: this output goes to a file, not to standard output (./- is a file of that name)");
    int rc = parts ? check_parts(t, path, err) : 0;
    if (rc < 0 || stat(path, &st)) return rc;
    if ((rc = check_inputs(t, path, &st, err)) < 0) return rc;
    if (kind == TARGET_PACK && !S_ISREG(st.st_mode))
        return lar_fail(err, LAR_EINVAL, "%s: is no regular file, it cannot be replaced", path);
    if (!S_ISREG(st.st_mode) || is_kind(path, kind)) return 0;
    return lar_fail(err, LAR_EINVAL,
                    "%s: is there and is not %s, so it is not replaced: remove it, or choose another name", path,
                    made_by[kind]);
}

int target_check_model(const struct target *t, const char *model, const char *path, enum target_kind kind,
                       struct lar_err *err)
{
    struct named n;
    struct target all = *t;
    int rc = named_open(&n, model, err);
    if (rc == 0) {
        target_input(&all, n.path);
        rc = target_check(&all, path, kind, 0, err);
    }
    named_close(&n);
    return rc;
}
