/* SPDX-License-Identifier: Apache-2.0
 * tests/test_store.c: names, manifests, Modelfiles, digests; and what a store promises when two processes write into it and when one of
 * them is killed at any moment. */
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/rng.h"
#include "gguf_build.h"
#include "store/impl.h"

static char root[64];
static char weights[128];

/* ---- digests and names --------------------------------------------------------------------------------------------------- */

/* FIPS 180-4's own examples (csrc.nist.gov, SHA256.pdf), and lengths about the end of a block against sha256sum. */
static void digests_are_those_of_the_standard(void)
{
    static const struct {
        size_t n; /* so many letters a; 0: text */
        const char *text, *hex;
    } known[] = {
        {0, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {0, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {0, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {55, NULL, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
        {56, NULL, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
        {64, NULL, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
        {1000000, NULL, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char hex[SHA256_HEX + 1], *p = malloc(known[i].n + 1);
        memset(p, 'a', known[i].n);
        sha256_of(known[i].n ? p : known[i].text, known[i].n ? known[i].n : strlen(known[i].text),
                  hex);
        CHECK_STR(hex, known[i].hex);
        struct sha256 s; /* and the same in odd pieces */
        sha256_init(&s);
        for (size_t at = 0, k = 1; at < known[i].n; at += k, k = k * 3 % 251 + 1)
            sha256_add(&s, p, known[i].n - at < k ? known[i].n - at : k);
        sha256_end(&s, hex);
        if (known[i].n) CHECK_STR(hex, known[i].hex);
        free(p);
    }
}

static void check_name(const char *text, const char *path, const char *shown)
{
    struct name n;
    struct buf b = {0};
    struct lar_err err = {0};
    int e = name_parse(&n, str_of(text), &err);
    CHECK_EQ(e, 0);
    if (e) printf("# %s: %s\n", text, err.msg);
    name_path(&n, &b);
    CHECK_STR(buf_z(&b), path);
    struct name again;
    CHECK_EQ(name_of_path(&again, buf_view(&b)), 0);
    buf_clear(&b);
    name_show(&again, &b);
    CHECK_STR(buf_z(&b), shown);
    buf_done(&b);
}

static void names_are_read_as_ollama_reads_them(void)
{
    check_name("qwen3", "registry.ollama.ai/library/qwen3/latest", "qwen3:latest");
    check_name("qwen3:4b-q8_0", "registry.ollama.ai/library/qwen3/4b-q8_0", "qwen3:4b-q8_0");
    check_name("me/x.y:1", "registry.ollama.ai/me/x.y/1", "me/x.y:1");
    check_name("localhost:5000/me/x", "localhost:5000/me/x/latest", "localhost:5000/me/x:latest");
    check_name("http://127.0.0.1:5000/me/x:t", "127.0.0.1:5000/me/x/t", "127.0.0.1:5000/me/x:t");
    check_name("https://hf.co/user/repo-GGUF:Q4_K_M", "hf.co/user/repo-GGUF/Q4_K_M",
               "hf.co/user/repo-GGUF:Q4_K_M");
    check_name("huggingface.co/user/repo", "hf.co/user/repo/latest", "hf.co/user/repo:latest");
    check_name("registry.ollama.ai/library/_x:a", "registry.ollama.ai/library/_x/a", "_x:a");
}

static void what_could_leave_the_folder_is_no_name(void)
{
    static const char *const bad[] = {
        "",         ".",       "..",        "a/..", "../a", "a/../b",      "a//b",  "/a",
        "a/",       "a:",      ":a",        "a b",  "a\\b", "-a",          "a:-b",  ".a",
        "a:..",     "a/b/c/d", "n.s/model", "a\nb", "a@b",  "a@sha256:12", "n:s/m", "a:b:c",
        "\xc3\xa4", "a*",      "~a",        "%a"};
    struct name n;
    struct lar_err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int e = name_parse(&n, str_of(bad[i]), &err);
        CHECK_EQ(e, LAR_EINVAL);
        if (e != LAR_EINVAL) printf("# %s\n", bad[i]);
    }
    char longest[400];
    memset(longest, 'a', sizeof longest);
    CHECK_EQ(name_parse(&n, (struct str){longest, 80}, NULL), 0);
    CHECK_EQ(name_parse(&n, (struct str){longest, 81}, NULL), LAR_EINVAL);
    CHECK_EQ(name_parse(&n, (struct str){"a\0b", 3}, NULL), LAR_EINVAL);
}

/* ---- manifests -------------------------------------------------------------------------------------------------------------- */

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LAYER(type, digest, size) \
    "{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":" size "}"

static int parse(const char *text)
{
    struct manifest m;
    struct arena a;
    struct lar_err err = {0};
    arena_init(&a, 0);
    int e = manifest_parse(&m, &a, str_of(text), &err);
    CHECK(e == 0 || err.msg[0]);
    arena_done(&a);
    return e;
}

static void a_manifest_is_checked_before_it_names_files(void)
{
    CHECK_EQ(parse("{\"schemaVersion\":2,\"layers\":[" LAYER("x", "sha256:" HEX, "1") "]}"), 0);
    CHECK_EQ(parse("{\"schemaVersion\":1,\"layers\":[]}"), LAR_EFORMAT);
    CHECK_EQ(parse("{\"schemaVersion\":2,\"manifests\":[]}"), LAR_EUNSUPPORTED);
    CHECK_EQ(parse("{\"schemaVersion\":2,\"layers\":[" LAYER("x", "sha256:../../../../etc/passwd",
                                                             "1") "]}"),
             LAR_EFORMAT);
    CHECK_EQ(parse("{\"schemaVersion\":2,\"layers\":[" LAYER("x", "sha512:" HEX, "1") "]}"),
             LAR_EFORMAT);
    CHECK_EQ(parse("{\"schemaVersion\":2,\"layers\":[" LAYER("x", "sha256:" HEX, "-1") "]}"),
             LAR_EFORMAT);
    CHECK_EQ(parse("{\"schemaVersion\":2,\"layers\":[" LAYER("x", "sha256:" HEX, "1e3") "]}"),
             LAR_EFORMAT);
    CHECK_EQ(parse("{\"schemaVersion\":2,\"layers\":{}}"), LAR_EFORMAT);
    CHECK_EQ(parse("[]"), LAR_EFORMAT);
}

/* ---- Modelfiles --------------------------------------------------------------------------------------------------------------- */

static void a_modelfile_is_read_as_ollama_reads_it(void)
{
    static const char text[] =
        "# comment\n\nfrom ./x.gguf\n  PARAMETER  Temperature 0.5\nparameter stop \"a b\"\n"
        "TEMPLATE \"\"\"{{ .Prompt }}\n\"q\"\n\"\"\"\nSYSTEM say \"hi\" # not a comment\n"
        "MESSAGE user  \"two\nlines\"\nLICENSE \"\"\"MIT\"\"\"\r\nADAPTER a.gguf";
    static const struct {
        enum modelfile_what what;
        const char *name, *value;
    } want[] = {{MODELFILE_FROM, "", "./x.gguf"},
                {MODELFILE_PARAMETER, "temperature", "0.5"},
                {MODELFILE_PARAMETER, "stop", "a b"},
                {MODELFILE_TEMPLATE, "", "{{ .Prompt }}\n\"q\"\n"},
                {MODELFILE_SYSTEM, "", "say \"hi\" # not a comment"},
                {MODELFILE_MESSAGE, "user", "two\nlines"},
                {MODELFILE_LICENSE, "", "MIT"},
                {MODELFILE_ADAPTER, "", "a.gguf"}};
    struct modelfile f = {0};
    struct lar_err err = {0};
    CHECK_EQ(modelfile_parse(&f, str_of(text), &err), 0);
    CHECK_STR(err.msg, "");
    CHECK_EQ(f.n, 8);
    for (size_t i = 0; i < f.n && i < 8; i++) {
        CHECK_EQ(f.command[i].what, want[i].what);
        CHECK_STR(f.command[i].name.p, want[i].name);
        CHECK_STR(f.command[i].value.p, want[i].value);
    }
    modelfile_done(&f);
}

static void what_is_wrong_in_a_modelfile_is_named_with_its_line(void)
{
    static const char *const bad[][2] = {
        {"FROM x\nTEMPERATURE 1\n", "line 2: 'TEMPERATURE' is no command"},
        {"FROM x\n\nPARAMETER heat 1\n", "line 3: no PARAMETER is called 'heat'"},
        {"PARAMETER top_k 1.5\n", "line 1: PARAMETER top_k needs a whole number"},
        {"PARAMETER temperature hot\n", "line 1: PARAMETER temperature needs a number"},
        {"PARAMETER use_mmap maybe\n", "line 1: PARAMETER use_mmap needs true or false"},
        {"FROM\n", "line 1: FROM is given no value"},
        {"MESSAGE tool x\n", "line 1: a MESSAGE is of system"},
        {"FROM x\nSYSTEM \"\"\"open\nstill\n", "line 2: the quotes"},
        {"SYSTEM \xff\n", "no UTF-8"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct modelfile f = {0};
        struct lar_err err = {0};
        CHECK(modelfile_parse(&f, str_of(bad[i][0]), &err) < 0);
        CHECK(strstr(err.msg, bad[i][1]) != NULL);
        if (!strstr(err.msg, bad[i][1])) printf("# %s\n", err.msg);
        modelfile_done(&f);
    }
}

static void what_is_written_of_a_modelfile_reads_the_same(void)
{
    static const char *const value[] = {
        "x",          "\"",         "a\nb",    " edge ",       "\n",
        "say \"hi\"", "\"quoted\"", "ends \"", "# no comment", "\"\"\"three"};
    for (size_t i = 0; i < sizeof value / sizeof *value; i++) {
        struct modelfile f = {0};
        struct buf b = {0};
        modelfile_write(&b, MODELFILE_SYSTEM, STR(""), str_of(value[i]));
        modelfile_write(&b, MODELFILE_PARAMETER, STR("stop"), str_of(value[i]));
        CHECK_EQ(modelfile_parse(&f, buf_view(&b), NULL), 0);
        CHECK_EQ(f.n, 2);
        if (f.n == 2) CHECK_STR(f.command[0].value.p, value[i]);
        if (f.n == 2) CHECK_STR(f.command[1].value.p, value[i]);
        modelfile_done(&f);
        buf_done(&b);
    }
}

/* ---- the store ---------------------------------------------------------------------------------------------------------------- */

static void write_weights(void)
{
    struct gb b = {.version = 3};
    gb_kv_text(&b, "general.architecture", "llama");
    gb_kv_int(&b, "llama.context_length", GGUF_U32, 128);
    gb_row(&b, "x", 16384, 0);
    gb_data(&b, 65536);
    struct gb_file f = gb_end(&b);
    snprintf(weights, sizeof weights, "%s/w.gguf", root);
    FILE *out = fopen(weights, "wb");
    CHECK(out && fwrite(f.p, 1, f.n, out) == f.n && fclose(out) == 0);
    free(f.p);
}

/* A model whose system message is its own. */
static int create(struct store *s, const char *name, const char *system, struct lar_err *err)
{
    struct modelfile f = {0};
    int e = modelfile_add(&f, MODELFILE_FROM, STR(""), str_of(weights), err);
    if (e == 0) e = modelfile_add(&f, MODELFILE_SYSTEM, STR(""), str_of(system), err);
    if (e == 0) e = store_create(s, name, &f, NULL, err);
    modelfile_done(&f);
    return e;
}

static struct store *opened(const char *folder)
{
    struct store *s;
    char path[160];
    snprintf(path, sizeof path, "%s/%s", root, folder);
    CHECK_EQ(store_open(&s, path, NULL), 0);
    return s;
}

static int has_system(struct store *s, const char *name, const char *system)
{
    struct store_model m;
    int ok = store_find(s, name, &m, NULL) == 0 && m.system && strcmp(m.system, system) == 0;
    store_model_done(&m);
    return ok;
}

static void a_model_is_made_found_copied_and_removed(void)
{
    struct store *s = opened("a");
    struct store_list l;
    struct store_model m;
    struct store_gc gc;
    struct lar_err err = {0};
    CHECK_EQ(create(s, "one", "first", &err), 0);
    CHECK_STR(err.msg, "");
    CHECK(has_system(s, "one:latest", "first"));
    CHECK_EQ(store_copy(s, "one", "me/two:x", &err), 0);
    CHECK_EQ(create(s, "one", "again", &err), 0);
    CHECK(has_system(s, "one", "again"));
    CHECK(has_system(s, "me/two:x", "first"));
    CHECK_EQ(store_find(s, "me/two:x", &m, &err), 0);
    CHECK_EQ(m.manifest.n, 2);
    CHECK_STR(json_str(json_get(m.config, "model_type"), STR("")).p, "16K");
    char by[100];
    snprintf(by, sizeof by, "@sha256:%s", m.digest);
    store_model_done(&m);
    CHECK(has_system(s, by, "first"));
    CHECK_EQ(store_list(s, 0, &l, &err), 0);
    CHECK_EQ(l.n, 2);
    store_list_done(&l);
    CHECK_EQ(store_delete(s, "one", &err), 0);
    CHECK_EQ(store_find(s, "one", &m, &err), LAR_EIO);
    store_model_done(&m);
    CHECK(has_system(s, "me/two:x", "first"));
    CHECK_EQ(store_gc(s, 1, &gc, &err), 0);
    CHECK_EQ(gc.files, 0); /* removing took them along */
    CHECK_EQ(create(s, "lone", "p", &err), 0);
    CHECK_EQ(create(s, "lone", "q", &err), 0);
    CHECK_EQ(store_gc(s, 0, &gc, &err), 0);
    CHECK_EQ(gc.files, 0); /* too young: somebody may be about to name it */
    CHECK_EQ(store_gc(s, 1, &gc, &err), 0);
    CHECK_EQ(gc.files, 2); /* the first one's config, and "p" */
    CHECK(has_system(s, "lone", "q"));
    CHECK_EQ(store_delete(s, "lone", &err), 0);
    CHECK_EQ(store_delete(s, "me/two:x", &err), 0);
    CHECK_EQ(store_gc(s, 1, &gc, &err), 0);
    CHECK_EQ(gc.files, 0);
    store_close(s);
}

/* ---- kill -9 -------------------------------------------------------------------------------------------------------------------- */

enum { NAMES = 8 };

/* Makes and removes models until it is killed; tells what is done, and before it removes that it will. */
static void worker(const char *folder, int to, int number)
{
    struct store *s = opened(folder);
    char name[32], text[32];
    for (int i = 0;; i++) {
        int k = i % NAMES;
        snprintf(name, sizeof name, "w%d/m%d", number, k);
        snprintf(text, sizeof text, "round %d", i);
        if (i >= NAMES || i % 3 == 2) {
            char gone[2] = {'-', (char)k};
            if (write(to, gone, 2) != 2) _exit(1);
        }
        if (i % 3 == 2 && i >= NAMES)
            (void)store_delete(s, name, NULL);
        else if (create(s, name, text, NULL) == 0) {
            char done[2] = {'+', (char)k};
            if (write(to, done, 2) != 2) _exit(1);
        }
        struct store_gc gc;
        if (i % 5 == 4) (void)store_gc(s, 1, &gc, NULL);
    }
}

struct child {
    pid_t pid;
    int from, number;
};

static struct child start(const char *folder, int number)
{
    int fd[2];
    CHECK_EQ(pipe(fd), 0);
    struct child c = {fork(), fd[0], number};
    if (c.pid == 0) {
        close(fd[0]);
        worker(folder, fd[1], number);
    }
    close(fd[1]);
    return c;
}

/* Kills it; every model that it called done and did not begin to change must be whole. */
static void end(struct child *c, const char *folder)
{
    int there[NAMES] = {0}, status;
    char said[2];
    kill(c->pid, SIGKILL);
    waitpid(c->pid, &status, 0);
    while (read(c->from, said, 2) == 2) there[(int)said[1]] = said[0] == '+';
    close(c->from);
    struct store *s = opened(folder);
    for (int k = 0; k < NAMES; k++) {
        struct store_model m;
        struct lar_err err = {0};
        char name[32];
        snprintf(name, sizeof name, "w%d/m%d", c->number, k);
        int e = there[k] ? store_find(s, name, &m, &err) : 1;
        CHECK(e >= 0);
        if (e < 0) printf("# %s: %s\n", name, err.msg);
        if (there[k]) store_model_done(&m);
    }
    store_close(s);
}

static void tell_fault(void *ctx, const char *name, const char *what)
{
    (void)ctx;
    printf("# %s: %s\n", name, what);
}

static void whole(const char *folder)
{
    struct store *s = opened(folder);
    struct store_verify v = {.on_fault = tell_fault};
    struct lar_err err = {0};
    CHECK_EQ(store_verify(s, NULL, &v, &err), 0);
    store_close(s);
}

static void a_kill_at_any_moment_loses_nothing_that_was_complete(void)
{
    struct rng r;
    rng_seed(&r, 20261121);
    int rounds = getenv("LAR_SLOW") ? 4 : 40;
    for (int i = 0; i < rounds; i++) {
        struct child c = start("kill", 0);
        usleep((unsigned)(1000 + rng_u64(&r) % 24000));
        end(&c, "kill");
        whole("kill");
    }
    struct store *s = opened("kill");
    struct store_gc gc;
    CHECK_EQ(store_gc(s, 1, &gc, NULL), 0); /* the lock went with its holder */
    store_close(s);
    whole("kill");
}

static void two_processes_write_side_by_side(void)
{
    struct rng r;
    rng_seed(&r, 7);
    int rounds = getenv("LAR_SLOW") ? 2 : 8;
    for (int i = 0; i < rounds; i++) {
        struct child a = start("two", 1), b = start("two", 2);
        usleep((unsigned)(10000 + rng_u64(&r) % 60000));
        end(&a, "two");
        end(&b, "two");
        whole("two");
    }
}

static void nothing_is_removed_while_a_manifest_cannot_be_read(void)
{
    struct store *s = opened("b");
    struct store_gc gc;
    struct lar_err err = {0};
    char path[200];
    CHECK_EQ(create(s, "good", "x", &err), 0);
    CHECK_EQ(create(s, "bad", "y", &err), 0);
    snprintf(path, sizeof path, "%s/b/manifests/registry.ollama.ai/library/bad/latest", root);
    CHECK_EQ(truncate(path, 20), 0);
    CHECK_EQ(store_gc(s, 1, &gc, &err), LAR_EFORMAT);
    CHECK_EQ(gc.files, 0);
    CHECK(strstr(err.msg, "bad/latest") != NULL);
    CHECK_EQ(store_delete(s, "bad", &err), 1); /* its blobs stay: nobody knows which they are */
    CHECK_EQ(store_gc(s, 1, &gc, &err), 0);
    CHECK(gc.files >= 2);
    CHECK(has_system(s, "good", "x"));
    store_close(s);
}

static int allow;
static int fail_one(size_t n, void *ctx)
{
    (void)n, (void)ctx;
    return allow-- == 0;
}

static void every_allocation_may_fail(void)
{
    struct lar_err err;
    int e = -1;
    long live = mem_live();
    for (int i = 0; e < 0 && i < 2000; i++) {
        struct store *s;
        char path[160];
        snprintf(path, sizeof path, "%s/alloc", root);
        allow = i;
        mem_set_hook(fail_one, NULL);
        e = store_open(&s, path, &err);
        if (e == 0) e = create(s, "x", "y", &err);
        struct store_model m = {0};
        if (e == 0) e = store_find(s, "x", &m, &err);
        if (e < 0) CHECK_EQ(err.code, LAR_ENOMEM);
        store_model_done(&m);
        store_close(s);
        mem_set_hook(NULL, NULL);
        CHECK_EQ(mem_live(), live);
    }
    CHECK_EQ(e, 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *w)
{
    (void)st, (void)type, (void)w;
    return remove(path);
}

int main(void)
{
    tap_timeout(60);
    snprintf(root, sizeof root, "/tmp/lar-store-%ld", (long)getpid());
    CHECK_EQ(mkdir(root, 0700), 0);
    setenv("HOME", root, 1);
    unsetenv("OLLAMA_MODELS");
    write_weights();
    RUN(digests_are_those_of_the_standard);
    RUN(names_are_read_as_ollama_reads_them);
    RUN(what_could_leave_the_folder_is_no_name);
    RUN(a_manifest_is_checked_before_it_names_files);
    RUN(a_modelfile_is_read_as_ollama_reads_it);
    RUN(what_is_wrong_in_a_modelfile_is_named_with_its_line);
    RUN(what_is_written_of_a_modelfile_reads_the_same);
    RUN(a_model_is_made_found_copied_and_removed);
    RUN(nothing_is_removed_while_a_manifest_cannot_be_read);
    RUN(a_kill_at_any_moment_loses_nothing_that_was_complete);
    RUN(two_processes_write_side_by_side);
    RUN(every_allocation_may_fail);
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return tap_done();
}
