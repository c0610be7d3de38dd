/* SPDX-License-Identifier: Apache-2.0
 * tests/test_fetch.c: parts of a download that fall silent: in the midst of their bytes, before the first of them, or dripping. Each is asked for
 * again from where it stood. (tests/cli_pull.t has the rest, from servers that are wrong in other ways.) */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "net/curl.h"
#include "net/fetch.h"
#include "tap.h"

enum { PART = 1 << 20, SIZE = 3 * PART + 7777, ASKED_MAX = 64, SENT = 5000 };

/* What is wrong with the first answer to each part: all at once, since libcurl looks at the speed of some seconds. */
enum { WHOLE, HALFWAY, AT_ONCE, DRIP, PARTS };

/* What the server was asked, seen from all processes. */
static struct shared {
    int n, wrong[PARTS];
    long long from[ASKED_MAX];
} *asked;
static uint8_t *file;
static int port;

static void say(int fd, const void *p, size_t n)
{
    for (const char *at = p; n;) {
        ssize_t k = send(fd, at, n, MSG_NOSIGNAL);
        if (k <= 0) _exit(0);
        at += k;
        n -= (size_t)k;
    }
}

static void answer(int fd, long long from, long long to)
{
    char head[256];
    int at = __atomic_fetch_add(&asked->n, 1, __ATOMIC_SEQ_CST);
    if (at < ASKED_MAX) asked->from[at] = to > 0 ? from : -1;
    int part = (int)(from / PART), fault = to > 0 ? part : WHOLE; /* bytes 0-0 only look whether there are ranges */
    int wrong = fault != WHOLE && __atomic_fetch_add(&asked->wrong[part], 1, __ATOMIC_SEQ_CST) == 0;
    if (wrong && fault == AT_ONCE)
        for (;;) pause();
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 206 Partial\r\nContent-Length: %lld\r\nContent-Range: bytes %lld-%lld/%d\r\n\r\n",
                     to - from + 1, from, to, SIZE);
    say(fd, head, (size_t)n);
    say(fd, file + from, wrong ? SENT : (size_t)(to - from + 1));
    if (!wrong) return;
    for (from += SENT;; from++) {
        if (fault == HALFWAY) pause();
        say(fd, file + from, 1);
        usleep(100000);
    }
}

static void serve(int listening)
{
    char text[4096];
    int fd;
    signal(SIGCHLD, SIG_IGN);
    while ((fd = accept(listening, NULL, NULL)) >= 0) {
        if (fork() != 0) {
            close(fd);
            continue;
        }
        for (size_t n = 0;;) {
            ssize_t k = read(fd, text + n, sizeof text - 1 - n);
            if (k <= 0) _exit(0);
            text[n += (size_t)k] = 0;
            if (!strstr(text, "\r\n\r\n")) continue;
            const char *range = strstr(text, "bytes=");
            char *dash = NULL;
            long long from = range ? strtoll(range + 6, &dash, 10) : 0;
            if (!range || *dash != '-') _exit(1);
            answer(fd, from, strtoll(dash + 1, NULL, 10));
            n = 0;
        }
    }
    _exit(0);
}

static pid_t begin(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(asked, 0, sizeof *asked);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 64) ||
        getsockname(fd, (struct sockaddr *)&a, &size))
        return -1;
    port = ntohs(a.sin_port);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0); /* with what answers in its name */
        serve(fd);
    }
    setpgid(pid, pid);
    close(fd);
    return pid;
}

static int asks_of(long long from)
{
    int n = 0;
    for (int i = 0; i < asked->n && i < ASKED_MAX; i++) n += asked->from[i] == from;
    return n;
}

static void parts_that_fall_silent_are_asked_for_again_from_where_they_stood(void)
{
    char url[64], path[64], state[80];
    char hex[SHA256_HEX + 1] = "", want[SHA256_HEX + 1];
    struct lar_err err = {0};
    pid_t pid = begin();
    snprintf(path, sizeof path, "/tmp/lar-fetch-%ld", (long)getpid());
    snprintf(state, sizeof state, "%s-state", path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(pid > 0 && fd >= 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/file", port);
    struct fetch get = {.url = url, .fd = fd, .state = state, .total = SIZE, .connections = PARTS, .silent_s = 1};
    int e = fetch_file(&get, hex, &err);
    if (e < 0) printf("# %s\n", err.msg);
    CHECK_EQ(e, 0);
    sha256_of(file, SIZE, want);
    CHECK_STR(hex, want);
    CHECK_EQ(asks_of((long long)HALFWAY * PART), 1);
    CHECK_EQ(asks_of((long long)HALFWAY * PART + SENT), 1);
    CHECK(asks_of((long long)AT_ONCE * PART) >= 2);
    CHECK_EQ(asks_of((long long)DRIP * PART), 1);
    CHECK_EQ(asks_of((long long)DRIP * PART + SENT), 0); /* some drops came, and were kept */
    CHECK(asked->wrong[DRIP] >= 2);
    if (pid > 0) {
        kill(-pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    close(fd);
    unlink(path);
    unlink(state);
}

int main(void)
{
    const struct curl *k;
    tap_timeout(120);
    if (curl_open(&k, NULL) < 0) {
        printf("1..0 # SKIP no libcurl here\n");
        return 0;
    }
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    unsetenv("all_proxy");
    asked = mmap(NULL, sizeof *asked, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    file = malloc(SIZE);
    if (asked == MAP_FAILED || !file) return 1;
    for (size_t i = 0; i < SIZE; i++) file[i] = (uint8_t)(i * 2654435761u >> 13);
    RUN(parts_that_fall_silent_are_asked_for_again_from_where_they_stood);
    free(file);
    return tap_done();
}
