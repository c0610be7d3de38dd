/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_export.c: the way back (../shared/golden/models and embed; skipped where absent). Each folder becomes a GGUF, that a folder, that a GGUF:
 * the two files must be equal to the byte, and the weights of the two folders by name, shape and value. The same from the files that ggml's own
 * converter made: what comes out must be the weights that were published. (Of models that read, those that Lar's own file gives: published ones have
 * rows for the positions of padding, which no GGUF has, and Qwen3's are named without "model.".)
 */
#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>

#include "convert/export.h"
#include "tap.h"

#define ROOT "../shared/golden"

static char temp[200];

static int convert(const char *from, const char *to, struct lar_err *err)
{
    struct convert c;
    struct convert_job job = {.type = CONVERT_AUTO};
    int rc = convert_open(&c, from, err);
    if (rc < 0) return rc;
    rc = convert_file(&c, to, &job, err);
    convert_close(&c);
    return rc;
}

static int export(const char *from, const char *to, struct lar_err *err)
{
    struct export e;
    struct export_job job = {.type = CONVERT_AUTO};
    int rc = export_open(&e, from, err);
    if (rc < 0) return rc;
    rc = export_write(&e, to, &job, err);
    CHECK_EQ(job.rounded, 0);
    export_close(&e);
    return rc;
}

/* Equal names, shapes and values, whatever float types they have; or also the types. */
static int same_weights(const char *a, const char *b, int types)
{
    struct weights x, y;
    struct lar_err err = {0};
    int bad = 0;
    if (weights_open(&x, a, &err) < 0) return printf("# %s\n", err.msg), 0;
    if (weights_open(&y, b, &err) < 0) return printf("# %s\n", err.msg), weights_close(&x), 0;
    bad += x.n != y.n;
    for (size_t i = 0; i < x.n && i < y.n && !bad; i++) {
        const struct weight *v = &x.w[i], *w = &y.w[i];
        int same = str_eq(v->name, w->name) && v->ndim == w->ndim &&
                   !memcmp(v->dim, w->dim, sizeof v->dim);
        for (int64_t k = 0; k < v->n && same; k++) {
            float p, q;
            weight_read(v, k, 1, 1, &p);
            weight_read(w, k, 1, 1, &q);
            same = !memcmp(&p, &q, 4);
        }
        if (types) same &= v->type == w->type;
        if (!same) printf("# %.*s and %.*s differ\n", STR_ARG(v->name), STR_ARG(w->name)), bad = 1;
    }
    weights_close(&x);
    weights_close(&y);
    return !bad;
}

static int same_files(const char *a, const char *b)
{
    FILE *f = fopen(a, "rb"), *g = fopen(b, "rb");
    int x = 0, y = 0;
    long at = 0;
    while (f && g && x == y && x != EOF) x = getc(f), y = getc(g), at++;
    if (x != y) printf("# %s and %s differ at byte %ld\n", a, b, at);
    int same = f && g && x == y;
    if (f) fclose(f);
    if (g) fclose(g);
    return same;
}

static void folder_remove(const char *p);

static void path(char out[600], const char *kind, const char *name)
{
    snprintf(out, 600, "%s/%s/%s", temp, kind, name);
}

static void one(const char *kind, const char *name)
{
    char golden[400], first[600], folder[600], again[600], theirs[420], from[600], said[400];
    struct lar_err err = {0};
    long live = mem_live();
    tap_case_bad = 0;
    int reads = !strcmp(kind, "embed");
    snprintf(golden, sizeof golden, ROOT "/%s/%s", kind, name);
    snprintf(theirs, sizeof theirs, "%s/model%s.gguf", golden, reads ? "" : "-f32");
    snprintf(first, sizeof first, "%s/model.safetensors", golden);
    if (reads && access(first, R_OK)) return;
    path(first, "first", name);
    path(folder, "folder", name);
    path(again, "again", name);
    path(from, "theirs", name);
    int rc = convert(golden, first, &err);
    if (rc == 0) rc = export(first, folder, &err);
    if (rc == 0) rc = convert(folder, again, &err);
    if (rc == 0) CHECK(same_files(first, again));
    if (rc == 0 && !reads) CHECK(same_weights(golden, folder, 1));
    snprintf(said, sizeof said, "%s: there and back", name);
    if (rc < 0) printf("# %s\n", err.msg);
    tap_ok(rc == 0 && !tap_case_bad, said);
    if (access(theirs, R_OK) == 0) {
        tap_case_bad = 0;
        rc = export(theirs, from, &err);
        if (!strcmp(name, "bert-cross-encoder")) { /* theirs lacks the pooler, without which the score is another */
            CHECK_EQ(rc, LAR_EUNSUPPORTED);
            CHECK(strstr(err.msg, "cls.weight") != NULL);
            rc = 0;
        } else {
            if (rc < 0) printf("# %s\n", err.msg);
            if (rc == 0) CHECK(same_weights(reads ? folder : golden, from, 0));
        }
        snprintf(said, sizeof said, "%s: from ggml's file, the published weights", name);
        tap_ok(rc == 0 && !tap_case_bad, said);
    }
    CHECK_EQ(mem_live(), live);
    unlink(first);
    unlink(again);
    folder_remove(folder);
    folder_remove(from);
}

static int drop(const char *file, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(file);
}

static void folder_remove(const char *p) { nftw(p, drop, 8, FTW_DEPTH | FTW_PHYS); }

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int main(void)
{
    static const char *const kind[] = {"first", "folder", "again", "theirs"};
    static const char *const what[] = {"embed", "models"};
    struct dirent **list = NULL;
    char sub[400];
    int step = getenv("LAR_SLOW") ? 7 : 1;
    tap_timeout(240);
    if (access(ROOT "/models", R_OK)) SKIP(ROOT " is not here");
    /* a thousand small files, each forced to the disk: where there is memory to be had, in it */
    snprintf(temp, sizeof temp, "%s/lar-export-%d", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm",
             (int)getpid());
    CHECK_EQ(mkdir(temp, 0700), 0);
    for (int i = 0; i < 4; i++) {
        snprintf(sub, sizeof sub, "%s/%s", temp, kind[i]);
        CHECK_EQ(mkdir(sub, 0700), 0);
    }
    for (int k = 0; k < 2; k++) {
        snprintf(sub, sizeof sub, ROOT "/%s", what[k]);
        int n = scandir(sub, &list, NULL, by_name);
        for (int i = 0; i < n; i++) {
            if (list[i]->d_name[0] != '.' && i % step == 0) one(what[k], list[i]->d_name);
            free(list[i]);
        }
        free(list);
    }
    folder_remove(temp);
    return tap_done();
}
