/* SPDX-License-Identifier: Apache-2.0
 * serve/sandbox.c: see sandbox.h. */
#include "serve/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { FOLDER_MAX = 4096 };

/* ---- Landlock ------------------------------------------------------------------------------------------------------------- */

enum { CREATE_RULESET = 444, ADD_RULE, RESTRICT_SELF, RULE_PATH = 1, GIVE_VERSION = 1 };
enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_MAKE_SOCK = 1 << 9,
    FS_MAKE_SYM = 1 << 12,
    FS_REFER = 1 << 13,    /* from version 2 on: a file may go from one folder to another */
    FS_TRUNCATE = 1 << 14, /* 3 */
    FS_IOCTL_DEV = 1 << 15, /* 5 */
    NET_CONNECT = 1 << 1,  /* 4 */
    SCOPES = 3,            /* 6: abstract sockets and signals of others */
    FS_OF_FILES = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV,
    FS_OF_READING = FS_READ_FILE | FS_READ_DIR,
    FS_OF_WRITING = FS_OF_READING | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG |
                    FS_MAKE_SYM | FS_REFER | FS_TRUNCATE
};
struct ruleset_attr {
    uint64_t fs, net, scoped;
};
struct __attribute__((packed)) path_attr {
    uint64_t access;
    int32_t fd;
};

static uint64_t all_fs(int abi)
{
    return abi < 2 ? 0x1fff : abi < 3 ? 0x3fff : abi < 5 ? 0x7fff : 0xffff;
}

/* What the C library, name look-ups, TLS and the look at this machine's memory read. Not all of /etc, and of /proc not other programs. */
static const char *const common[] = {
    "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share", "/lib", "/lib64", "/sys", "/dev/null", "/dev/urandom",
    "/proc/self", "/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/sys", "/etc/ld.so.cache", "/etc/localtime",
    "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
    "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/gnutls", "/etc/crypto-policies", "/run/systemd/resolve",
    "/run/resolvconf", "/run/NetworkManager"};

int sandbox_open(struct sandbox *b, enum sandbox_want want, int changes, struct lar_err *err)
{
    *b = (struct sandbox){.want = want, .changes = changes, .ruleset = -1};
    if (want == SANDBOX_OFF) return 0;
    long abi = syscall(CREATE_RULESET, NULL, 0, GIVE_VERSION);
    b->abi = abi > 0 ? (int)(abi < 7 ? abi : 7) : 0;
    /* the first version lets no file go from one folder to another, which is how those of a store come to their places */
    if (b->abi < (changes ? 2 : 1)) {
        b->abi = 0;
        if (want != SANDBOX_REQUIRE) return 0;
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "--sandbox require: this kernel has no Landlock that will do (Linux 5.19 or newer, and "
                        "landlock in /sys/kernel/security/lsm)");
    }
    struct ruleset_attr a = {.fs = all_fs(b->abi),
                             .net = b->abi >= 4 && !changes ? NET_CONNECT : 0,
                             .scoped = b->abi >= 6 ? SCOPES : 0};
    b->ruleset = (int)syscall(CREATE_RULESET, &a, b->abi < 4 ? 8 : b->abi < 6 ? 16 : sizeof a, 0);
    if (b->ruleset < 0) return lar_fail_errno(err, "--sandbox: Landlock");
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) sandbox_allow(b, common[i], SANDBOX_READ);
    b->nread = 0;
    return 0;
}

void sandbox_allow(struct sandbox *b, const char *path, enum sandbox_access access)
{
    static const uint64_t right[] = {FS_OF_READING, FS_OF_WRITING, FS_MAKE_SOCK | FS_REMOVE_FILE};
    struct path_attr a = {.access = right[access] & all_fs(b->abi)};
    struct stat st;
    if (b->ruleset < 0 || !path || !*path) return;
    a.fd = open(path, O_PATH | O_CLOEXEC);
    if (a.fd < 0) return;
    if (fstat(a.fd, &st) == 0 && !S_ISDIR(st.st_mode)) a.access &= FS_OF_FILES;
    syscall(ADD_RULE, b->ruleset, RULE_PATH, &a, 0);
    close(a.fd);
    b->nread += access == SANDBOX_READ;
}

/* Nothing but .gguf files, and not too many to look at. */
static int only_models(const char *file)
{
    static const char end[] = ".gguf";
    char folder[PATH_MAX];
    const char *slash = strrchr(file, '/');
    size_t n = slash ? (size_t)(slash - file) : 0, seen = 0;
    if (n == 0 || n >= sizeof folder) return 0;
    memcpy(folder, file, n);
    folder[n] = 0;
    DIR *d = opendir(folder);
    int all = d != NULL;
    for (struct dirent *e; all && (e = readdir(d));) {
        size_t len = strlen(e->d_name), tail = sizeof end - 1;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        all = ++seen <= FOLDER_MAX && e->d_type != DT_DIR && len > tail && strcmp(e->d_name + len - tail, end) == 0;
    }
    if (d) closedir(d);
    return all;
}

void sandbox_allow_model(struct sandbox *b, const char *path)
{
    char *real = b->ruleset < 0 ? NULL : realpath(path, NULL), *cut = NULL;
    struct stat st;
    if (!real) return;
    char *snapshots = strstr(real, "/snapshots/");
    if (strstr(path, "/snapshots/") && !snapshots) { /* a file of Hugging Face's cache is a link into blobs/ */
        cut = strrchr(real, '/');
    } else if (snapshots) {
        cut = snapshots;
    } else if (only_models(real) || (strstr(real, "-of-") && stat(real, &st) == 0 && S_ISREG(st.st_mode))) {
        cut = strrchr(real, '/');
    }
    if (cut && cut != real) *cut = 0;
    sandbox_allow(b, real, SANDBOX_READ);
    free(real);
}

/* Capabilities are a thread's own: before there are others. Those to read and write others' files and to bind low ports are kept, if there. */
static void drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    uint32_t keep = 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH | 1u << CAP_NET_BIND_SERVICE;
    if (syscall(SYS_capget, &head, data)) return;
    data[0].effective &= keep;
    data[0].permitted &= keep;
    data[0].inheritable = 0;
    data[1] = (struct __user_cap_data_struct){0};
    syscall(SYS_capset, &head, data);
}

int sandbox_files(struct sandbox *b, struct lar_err *err)
{
    if (b->want == SANDBOX_OFF) return 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && b->want == SANDBOX_REQUIRE)
        return lar_fail_errno(err, "--sandbox require: no_new_privs");
    drop_capabilities();
    if (b->ruleset < 0) return 0;
    int bad = syscall(RESTRICT_SELF, b->ruleset, 0) != 0;
    if (bad) lar_fail_errno(err, "--sandbox: Landlock");
    close(b->ruleset);
    b->ruleset = -1;
    if (bad) b->abi = 0;
    return bad && b->want == SANDBOX_REQUIRE ? LAR_EUNSUPPORTED : 0;
}

/* ---- seccomp -------------------------------------------------------------------------------------------------------------- */

#ifdef ARCH
#define CALL(name) (short)__NR_##name
static const short always[] = {
    /* memory, threads, time */
    CALL(brk), CALL(munmap), CALL(mremap), CALL(madvise), CALL(mincore), CALL(msync), CALL(futex),
    CALL(set_robust_list), CALL(get_robust_list), CALL(set_tid_address), CALL(gettid), CALL(getpid),
    CALL(getppid), CALL(tgkill), CALL(exit), CALL(exit_group), CALL(sched_yield), CALL(sched_getaffinity),
    CALL(sched_setaffinity),
    CALL(getcpu), CALL(membarrier), CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn),
    CALL(rt_sigtimedwait), CALL(sigaltstack), CALL(restart_syscall), CALL(clock_gettime), CALL(clock_getres),
    CALL(clock_nanosleep), CALL(nanosleep), CALL(gettimeofday), CALL(getrandom), CALL(getrusage), CALL(uname),
    CALL(sysinfo), CALL(getuid), CALL(geteuid), CALL(getgid), CALL(getegid), CALL(getrlimit),
    /* files */
    CALL(read), CALL(readv), CALL(pread64), CALL(preadv), CALL(write), CALL(writev), CALL(pwrite64), CALL(lseek),
    CALL(openat), CALL(close), CALL(fstat), CALL(newfstatat), CALL(statx), CALL(statfs), CALL(fstatfs),
    CALL(faccessat), CALL(readlinkat), CALL(getdents64), CALL(getcwd), CALL(dup), CALL(dup3), CALL(fcntl),
    CALL(flock), CALL(fadvise64), CALL(readahead), CALL(unlinkat), CALL(pipe2), CALL(eventfd2),
    /* clients */
    CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_pwait), CALL(ppoll), CALL(pselect6), CALL(accept), CALL(accept4),
    CALL(recvfrom), CALL(recvmsg), CALL(sendto), CALL(sendmsg), CALL(sendfile), CALL(shutdown), CALL(getsockname),
    CALL(getpeername), CALL(getsockopt), CALL(setsockopt),
#ifdef __NR_rseq
    CALL(rseq),
#endif
#ifdef __NR_faccessat2
    CALL(faccessat2),
#endif
#ifdef __x86_64__ /* those that newer machines never had */
    CALL(open), CALL(stat), CALL(lstat), CALL(access), CALL(readlink), CALL(unlink), CALL(dup2), CALL(pipe), CALL(poll),
    CALL(select), CALL(epoll_wait), CALL(time), CALL(getdents), CALL(arch_prctl),
#endif
};
/* To fetch and make models. */
static const short changing[] = {
    CALL(connect), CALL(bind), CALL(socketpair), CALL(sendmmsg), CALL(recvmmsg), CALL(mkdirat), CALL(renameat),
    CALL(renameat2), CALL(linkat), CALL(symlinkat), CALL(ftruncate), CALL(fallocate), CALL(fsync), CALL(fdatasync),
    CALL(sync_file_range), CALL(copy_file_range), CALL(fchmod), CALL(fchmodat), CALL(utimensat), CALL(umask),
#ifdef __x86_64__
    CALL(mkdir), CALL(rmdir), CALL(rename), CALL(link), CALL(symlink), CALL(chmod), CALL(truncate),
#endif
};
/* Of these, to write a cache. */
static const short keeping[] = {CALL(renameat), CALL(renameat2), CALL(fsync), CALL(utimensat)};

enum { STEPS_MAX = 512 };
struct program {
    struct sock_filter step[STEPS_MAX];
    unsigned short n;
};

static void add(struct program *p, unsigned code, uint32_t k, unsigned yes, unsigned no)
{
    p->step[p->n++] =
        (struct sock_filter){.code = (unsigned short)code, .jt = (uint8_t)yes, .jf = (uint8_t)no, .k = k};
}

static void load(struct program *p, size_t at) { add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0, 0); }

static void allow_all(struct program *p, const short *call, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call[i], 0, 1);
        add(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    }
}

enum { NO = SECCOMP_RET_ERRNO | ENOSYS }; /* as a kernel without the call: who has another way takes it */

/* A call whose argument (its lower half) masked must be one of value[]. Numbers are in the accumulator before and after. */
static void allow_if(struct program *p, short call, int arg, uint32_t mask, const uint32_t *value, unsigned n)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 2 * n + 3);
    load(p, offsetof(struct seccomp_data, args) + 8 * (size_t)arg);
    add(p, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    for (unsigned i = 0; i < n; i++) {
        add(p, BPF_JMP | BPF_JEQ | BPF_K, value[i], 0, 1);
        add(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    }
    add(p, BPF_RET | BPF_K, NO, 0, 0);
}

static void write_program(struct program *p, int changes, int keeps)
{
    static const uint32_t none = 0, thread = 0x10000, name = PR_SET_NAME; /* CLONE_THREAD */
    static const uint32_t not_both[] = {0, PROT_WRITE, PROT_EXEC};
    static const uint32_t family[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    static const uint32_t ioctls[] = {FIONBIO, FIONREAD, 0x5401 /* TCGETS, of isatty */};
    p->n = 0;
    load(p, offsetof(struct seccomp_data, arch));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
    add(p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
    load(p, offsetof(struct seccomp_data, nr));
    allow_if(p, CALL(clone), 0, thread, &thread, 1);
    allow_if(p, CALL(mmap), 2, PROT_WRITE | PROT_EXEC, not_both, 3);
    allow_if(p, CALL(mprotect), 2, PROT_EXEC, &none, 1);
    allow_if(p, CALL(prctl), 0, UINT32_MAX, &name, 1);
    allow_if(p, CALL(prlimit64), 0, UINT32_MAX, &none, 1); /* one's own */
    allow_if(p, CALL(ioctl), 1, UINT32_MAX, ioctls, 3);
    if (changes) allow_if(p, CALL(socket), 0, UINT32_MAX, family, 4);
    allow_all(p, always, sizeof always / sizeof *always);
    if (changes) allow_all(p, changing, sizeof changing / sizeof *changing);
    if (keeps) allow_all(p, keeping, sizeof keeping / sizeof *keeping);
    add(p, BPF_RET | BPF_K, NO, 0, 0);
}

/* 0, or why not. */
static const char *filter_calls(int changes, int keeps)
{
    struct program p;
    if (SANITIZED) return "this program is built with a sanitizer";
    write_program(&p, changes, keeps);
    struct sock_fprog f = {.len = p.n, .filter = p.step};
    long rc = syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &f);
    return rc == 0 ? NULL : rc > 0 ? "a thread has another filter" : strerror(errno);
}
#else
static const char *filter_calls(int changes, int keeps) { return (void)changes, (void)keeps, "not for this processor"; }
#endif

int sandbox_calls(struct sandbox *b, struct lar_err *err)
{
    if (b->want == SANDBOX_OFF) {
        buf_puts(&b->told, "sandbox: off, as asked for");
        atomic_store(&b->done, 1);
        return 0;
    }
    const char *why = filter_calls(b->changes, b->keeps);
    if (why && b->want == SANDBOX_REQUIRE)
        return lar_fail(err, LAR_EUNSUPPORTED, "--sandbox require: no filter of system calls (seccomp): %s", why);
    b->calls = !why;
    buf_puts(&b->told, why ? "sandbox: NO filter of system calls: " : "sandbox: system calls by a list");
    if (why) buf_puts(&b->told, why);
    if (b->abi)
        buf_printf(&b->told, "; files by a list (Landlock %d)%s", b->abi,
                   b->changes ? ", the store may be written" : ", none may be written");
    else
        buf_puts(&b->told, "; NO list of files: this kernel has no Landlock that will do");
    atomic_store(&b->done, 1);
    return 0;
}

void sandbox_done(struct sandbox *b)
{
    if (b->ruleset >= 0) close(b->ruleset);
    buf_done(&b->told);
}
