/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_sandbox.c: what a server cannot do any more. Each case is a process of its own that gives everything up and then tries; what
 * this kernel (or an emulator, or a sanitizer) does not offer is skipped with a word.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "serve/sandbox.h"
#include "tap.h"

enum { PATH = 512 };

static char home[64], store[PATH], other[PATH];
static int files, calls; /* what there is here */

static void path_of(char *out, const char *folder, const char *name)
{
    snprintf(out, PATH, "%.200s/%.60s", folder, name);
}

static int put(const char *folder, const char *name)
{
    char path[PATH];
    path_of(path, folder, name);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (fd < 0) return -1;
    ssize_t n = write(fd, "x", 1);
    close(fd);
    return n == 1 ? 0 : -1;
}

static int get(const char *folder, const char *name)
{
    char path[PATH];
    path_of(path, folder, name);
    int fd = open(path, O_RDONLY);
    if (fd >= 0) close(fd);
    return fd >= 0 ? 0 : errno;
}

/* The number of a line of /proc/self/status. */
static unsigned long long status_of(const char *name, int base)
{
    char line[256];
    unsigned long long v = ~0ull;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0) v = strtoull(line + strlen(name), NULL, base);
    if (f) fclose(f);
    return v;
}

/* In a process of its own: gives up, then f, which tells by its result (0: all right, else a line). */
static int inside(int changes, int (*f)(void))
{
    int status = -1;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct sandbox b;
        struct lar_err err;
        if (sandbox_open(&b, SANDBOX_TRY, changes, &err) < 0) _exit(200);
        sandbox_allow(&b, store, changes ? SANDBOX_WRITE : SANDBOX_READ);
        if (sandbox_files(&b, &err) < 0 || sandbox_calls(&b, &err) < 0) _exit(201);
        _exit(f());
    }
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) printf("# signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define MUST(cond) \
    if (!(cond)) return __LINE__ % 199 + 1
#define NEEDS(what)                                             \
    if (!what) {                                                \
        printf("# no " #what " to be limited here: skipped\n"); \
        return;                                                 \
    }

static int only_what_was_allowed(void)
{
    MUST(get(store, "model") == 0);
    MUST(get(other, "secret") == EACCES);
    MUST(get("/etc", "passwd") == EACCES);
    MUST(get("/proc/1", "status") == EACCES || getpid() == 1);
    return 0;
}
static void files_that_were_not_allowed_are_closed(void)
{
    NEEDS(files);
    CHECK_EQ(inside(0, only_what_was_allowed), 0);
    CHECK_EQ(inside(1, only_what_was_allowed), 0);
}

static int writes_nothing(void)
{
    MUST(put(store, "new") != 0);
    MUST(put(other, "new") != 0);
    return 0;
}
static int writes_the_store(void)
{
    char from[PATH], to[PATH];
    path_of(from, store, "tmp/new");
    path_of(to, store, "blobs/new");
    MUST(put(store, "tmp/new") == 0);
    MUST(rename(from, to) == 0);
    MUST(unlink(to) == 0);
    MUST(put(other, "new") != 0);
    return 0;
}
static void only_a_server_that_makes_models_writes_and_to_its_store_alone(void)
{
    NEEDS(files);
    CHECK_EQ(inside(0, writes_nothing), 0);
    CHECK_EQ(inside(1, writes_the_store), 0);
}

static int runs_nothing(void)
{
    char *arg[] = {(char *)(uintptr_t) "true", NULL};
    execv("/bin/true", arg);
    MUST(errno == ENOSYS);
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    MUST(pid < 0 && errno == ENOSYS);
    return 0;
}
static void no_program_runs_and_no_process_is_made(void)
{
    NEEDS(calls);
    CHECK_EQ(inside(0, runs_nothing), 0);
    CHECK_EQ(inside(1, runs_nothing), 0);
}

static int looks_into_nobody(void)
{
    MUST(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) < 0 && errno == ENOSYS);
    MUST(kill(getppid(), 0) < 0 && errno == ENOSYS);
    return 0;
}
static void other_processes_are_left_alone(void)
{
    NEEDS(calls);
    CHECK_EQ(inside(1, looks_into_nobody), 0);
}

static int writes_no_code(void)
{
    int rw = PROT_READ | PROT_WRITE;
    char *p = mmap(NULL, 4096, rw | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(p == MAP_FAILED);
    p = mmap(NULL, 4096, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(p != MAP_FAILED);
    MUST(mprotect(p, 4096, PROT_READ | PROT_EXEC) < 0);
    MUST(mprotect(p, 4096, PROT_READ) == 0);
    return 0;
}
static void what_is_written_is_never_executed(void)
{
    NEEDS(calls);
    CHECK_EQ(inside(1, writes_no_code), 0);
}

static int calls_nobody(void)
{
    MUST(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == ENOSYS);
    MUST(socket(AF_UNIX, SOCK_STREAM, 0) < 0);
    return 0;
}
static int calls_registries(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    MUST(fd >= 0);
    MUST(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == ENOSYS);
    MUST(socket(AF_ALG, SOCK_SEQPACKET, 0) < 0 && errno == ENOSYS);
    return 0;
}
static void connections_are_for_who_fetches_models(void)
{
    NEEDS(calls);
    CHECK_EQ(inside(0, calls_nobody), 0);
    CHECK_EQ(inside(1, calls_registries), 0);
}

static int go[2];
static void *waits(void *ctx)
{
    char c;
    int *answer = ctx;
    if (read(go[0], &c, 1) == 1) *answer = socket(AF_INET, SOCK_STREAM, 0) < 0 ? 1 : 2;
    return NULL;
}
static int thread_of_before(void)
{
    struct sandbox b;
    pthread_t t;
    int answer = 0;
    MUST(pipe(go) == 0 && pthread_create(&t, NULL, waits, &answer) == 0);
    MUST(sandbox_open(&b, SANDBOX_TRY, 0, NULL) == 0 && sandbox_files(&b, NULL) == 0 &&
         sandbox_calls(&b, NULL) == 0);
    MUST(write(go[1], "x", 1) == 1);
    pthread_join(t, NULL);
    MUST(answer == 1);
    MUST(pthread_create(&t, NULL, waits, &answer) == 0); /* new ones can still be made */
    MUST(write(go[1], "x", 1) == 1);
    pthread_join(t, NULL);
    MUST(answer == 1);
    return 0;
}
static void threads_that_ran_already_are_held_too(void)
{
    int status = -1;
    NEEDS(calls);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) _exit(thread_of_before());
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
}

static int gave_up(void)
{
    unsigned long long cap = status_of("CapEff:", 16) | status_of("CapPrm:", 16);
    MUST(status_of("NoNewPrivs:", 10) == 1);
    MUST((cap & ~0x406ull) == 0); /* CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_NET_BIND_SERVICE */
    MUST(!calls || status_of("Seccomp:", 10) == 2);
    return 0;
}
static void privileges_go_and_none_come(void)
{
    if (status_of("NoNewPrivs:", 10) == ~0ull) {
        printf("# /proc says nothing of it: skipped\n");
        return;
    }
    CHECK_EQ(inside(1, gave_up), 0);
}

/* What is required and not to be had ends the start; what is tried is told. */
static int required(void)
{
    struct sandbox b;
    struct lar_err err = {0};
    int rc = sandbox_open(&b, SANDBOX_REQUIRE, 1, &err);
    if (rc == 0) rc = sandbox_files(&b, &err);
    if (rc == 0) rc = sandbox_calls(&b, &err);
    if (files && calls) {
        MUST(rc == 0);
        MUST(strstr(buf_z(&b.told), "system calls by a list") &&
             strstr(buf_z(&b.told), "files by a list"));
    } else {
        MUST(rc == LAR_EUNSUPPORTED && strstr(err.msg, "--sandbox require"));
    }
    return 0;
}
static void what_is_required_is_had_or_refused(void)
{
    int status = -1;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) _exit(required());
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
}

static int look(void)
{
    struct sandbox b;
    if (sandbox_open(&b, SANDBOX_TRY, 1, NULL) < 0 || sandbox_files(&b, NULL) < 0 ||
        sandbox_calls(&b, NULL) < 0)
        return 100;
    const char *told = buf_z(&b.told);
    return (strstr(told, "NO list of files") ? 0 : 1) | (strstr(told, "NO filter") ? 0 : 2);
}

int main(void)
{
    int status = -1;
    tap_timeout(60);
    const char *tmp = getenv("TMPDIR");
    snprintf(home, sizeof home, "%.30s/lar-sandbox-XX" "XX" "XX", tmp ? tmp : "/tmp");
    if (!mkdtemp(home)) return 1;
    path_of(store, home, "store");
    path_of(other, home, "other");
    char path[PATH];
    mkdir(store, 0700), mkdir(other, 0700);
    path_of(path, store, "tmp"), mkdir(path, 0700);
    path_of(path, store, "blobs"), mkdir(path, 0700);
    CHECK(put(store, "model") == 0 && put(other, "secret") == 0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) _exit(look());
    waitpid(pid, &status, 0);
    files = WIFEXITED(status) && (WEXITSTATUS(status) & 1);
    calls = WIFEXITED(status) && (WEXITSTATUS(status) & 2);
    tap_ok(WIFEXITED(status) && WEXITSTATUS(status) <= 3,
           "giving up works here, or is told not to");
    RUN(files_that_were_not_allowed_are_closed);
    RUN(only_a_server_that_makes_models_writes_and_to_its_store_alone);
    RUN(no_program_runs_and_no_process_is_made);
    RUN(other_processes_are_left_alone);
    RUN(what_is_written_is_never_executed);
    RUN(connections_are_for_who_fetches_models);
    RUN(threads_that_ran_already_are_held_too);
    RUN(privileges_go_and_none_come);
    RUN(what_is_required_is_had_or_refused);
    static const char *const made[] = {"tmp", "blobs", "model", "new"};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        path_of(path, store, made[i]);
        remove(path);
    }
    path_of(path, other, "secret");
    remove(path);
    rmdir(store), rmdir(other), rmdir(home);
    return tap_done();
}
