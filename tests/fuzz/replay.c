/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/replay.c: a fuzz target without a fuzzer: runs LLVMFuzzerTestOneInput over files, with
 * any compiler, and prints TAP.
 *
 *     fuzz_NAME [FILE|FOLDER ...]     without arguments: the corpora of NAME (the program's own
 *                                     name after "fuzz_")
 *
 * Each input is a heap block of exactly its size, so that a sanitizer sees a read past its end. A
 * crash ends the program; the last "# FILE" line names the culprit. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>

#include "tap.h"

#define FILE_BYTES_MAX (64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Public corpora beside ours, where the test data is present. */
static const struct {
    const char *target, *folder;
} more[] = {
    {"gguf", "../shared/data/fuzz/gridcore/gguf_open"},
    {"json", "../shared/data/fuzz/gridcore/json_parse"},
};

static int run_bytes(FILE *f, size_t n)
{
    uint8_t *p = malloc(n ? n : 1);
    if (!p || fread(p, 1, n, f) != n) return free(p), -1;
    LLVMFuzzerTestOneInput(p, n);
    free(p);
    return 0;
}

static void run_file(const char *path)
{
    struct stat st;
    printf("# %s\n", path);
    fflush(stdout);
    FILE *f = fopen(path, "rb");
    int ok = f && fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_BYTES_MAX;
    if (ok) ok = run_bytes(f, (size_t)st.st_size) == 0;
    if (f) fclose(f);
    tap_ok(ok, path);
}

static int visible(const struct dirent *e) { return e->d_name[0] != '.'; }

/* The files of one folder, in a fixed order; folders inside it are not entered. */
static void run_folder(const char *folder)
{
    struct dirent **list;
    int n = scandir(folder, &list, visible, alphasort);
    if (n <= 0) tap_ok(0, folder);
    for (int i = 0; i < n; i++) {
        char path[4096];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
        if (stat(path, &st) || !S_ISDIR(st.st_mode)) run_file(path);
        free(list[i]);
    }
    if (n >= 0) free(list);
}

static void run_path(const char *path)
{
    struct stat st;
    if (stat(path, &st)) tap_ok(0, path);
    else if (S_ISDIR(st.st_mode)) run_folder(path);
    else run_file(path);
}

static void run_corpora(const char *program)
{
    char path[4096];
    const char *slash = strrchr(program, '/'), *name = slash ? slash + 1 : program;
    if (strncmp(name, "fuzz_", 5) == 0) name += 5;
    snprintf(path, sizeof path, "tests/fuzz/corpus/%s", name);
    run_path(path);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        if (strcmp(more[i].target, name) != 0) continue;
        if (access(more[i].folder, F_OK) == 0) run_path(more[i].folder);
        else SKIP("the public corpus is not here");
    }
}

int main(int argc, char **argv)
{
    tap_timeout(120);
    for (int i = 1; i < argc; i++) run_path(argv[i]);
    if (argc < 2) run_corpora(argv[0]);
    return tap_done();
}
