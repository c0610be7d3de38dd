/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_storm.c: many clients of `lar serve` at once, most of them bad: who goes in the middle of a request or of an answer, who says nonsense,
 * who reads or writes a few bytes at a time, who closes only his sending side. Every answer must be whole or a proper error, the server must
 * have given everything back at the end, its memory must not grow, and it must end by itself without a complaint (of a sanitizer, too).
 *
 * One thread, one poll. LAR_STORM=N makes it N requests instead of a few hundred; LAR_STORM_SEED=N another order of things.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "tap.h"

enum { SLOTS = 24, OUT = 64 << 10, IN = 1 << 20, STUCK_S = 120, GROWTH_KB = 8 << 10, FIFTHS = 5 };

enum way { WHOLE, STREAM, BAD, GARBAGE, WAYS };            /* what is asked */
enum manner { PLAIN, LEAVES, SLOW, HALF, DRIPS, MANNERS }; /* how it is asked */

struct slot {
    int fd;
    enum way way;
    enum manner manner;
    size_t nout, sent, nin, leave_at; /* leave_at: bytes sent and read until the client goes */
    time_t since;
    char out[OUT], in[IN + 1];
};

static struct slot slots[SLOTS];
static uint64_t seed = 1;
static int port, server_log = -1;
static pid_t server;
static char log_text[1 << 16];
static size_t log_n;
static long told; /* what went wrong, so far */
static long count[WAYS][MANNERS], whole[WAYS][MANNERS];

static unsigned draw(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static void wrong(const struct slot *s, const char *what)
{
    if (told++ < 5)
        printf("# %s (way %d, manner %d)\n# asked: %.300s\n# answered, %zu bytes: %.400s\n", what,
               (int)s->way, (int)s->manner, s->out, s->nin, s->in);
}

/* ---- requests ---------------------------------------------------------------------------------------------------------- */

#define SAYS "\"messages\":[{\"role\":\"user\",\"content\":\"kettle %u\"}]"
#define DEEP "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
#define HEAD "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"

static const struct {
    const char *path, *body, *end; /* end: how the last piece of a stream looks */
} whole_ones[] =
    {{"/v1/chat/completions", "{\"model\":\"demo\"," SAYS ",\"max_tokens\":%u}", NULL},
     {"/v1/completions",
      "{\"prompt\":[\"kettle %u\",\"b\"],\"max_tokens\":%u,\"n\":2,\"temperature\":1}", NULL},
     {"/api/chat",
      "{\"model\":\"demo\"," SAYS ",\"stream\":false,\"options\":{\"num_predict\":%u}}", NULL},
     {"/api/generate",
      "{\"model\":\"demo\",\"prompt\":\"kettle %u\",\"stream\":false,\"options\":{\"num_predict\":%u}}",
      NULL},
     {"/v1/messages", "{\"model\":\"demo\"," SAYS ",\"max_tokens\":%u}", NULL},
     {"/tokenize", "{\"model\":\"demo\",\"content\":\"kettle %u %u\"}", NULL},
     {"/api/show", "{\"model\":\"demo\",\"verbose\":true}", NULL},
     {"/v1/chat/completions",
      "{" SAYS
      ",\"max_tokens\":%u,\"logprobs\":true,\"top_logprobs\":3,\"response_format\":{\"type\":\"json_object\"}}",
      NULL},
     {NULL, NULL, NULL}},
  stream_ones[] =
      {{"/v1/chat/completions", "{\"model\":\"demo\"," SAYS ",\"max_tokens\":%u,\"stream\":true}",
        "[DONE]"},
       {"/v1/completions",
        "{\"prompt\":\"kettle %u\",\"max_tokens\":%u,\"stream\":true,\"temperature\":2}", "[DONE]"},
       {"/api/chat", "{\"model\":\"demo\"," SAYS ",\"options\":{\"num_predict\":%u}}",
        "\"done\":true"},
       {"/api/generate",
        "{\"model\":\"demo\",\"prompt\":\"kettle %u\",\"options\":{\"num_predict\":%u}}",
        "\"done\":true"},
       {"/v1/messages", "{\"model\":\"demo\"," SAYS ",\"max_tokens\":%u,\"stream\":true}",
        "message_stop"},
       {NULL, NULL, NULL}},
  bad_ones[] = {
      {"/v1/chat/completions", "{\"model\":\"demo\",\"messages\":[{\"role\":\"user\",", NULL},
      {"/v1/chat/completions", "{\"model\":\"demo\",\"messages\":\"kettle %u\",\"x\":%u}", NULL},
      {"/v1/completions", "{\"model\":\"kettle %u\",\"prompt\":\"%u\"}", NULL},
      {"/v1/completions", "{\"prompt\":[%u,99999999,%u]}", NULL},
      {"/api/chat", "{\"model\":\"demo\",\"messages\":[{\"role\":\"kettle %u %u\"}]}", NULL},
      {"/api/generate", "\x00\xff\xfe kettle", NULL},
      {"/api/generate",
       "{\"model\":\"demo\",\"prompt\":\"\\ud800 %u\",\"options\":{\"num_ctx\":%u000000000}}",
       NULL},
      {"/v1/messages", "{\"model\":\"demo\"," SAYS ",\"max_tokens\":-%u}", NULL},
      {"/nothing/here", "{}", NULL},
      {"/metrics", "{}", NULL},
      {"/v1/completions", DEEP DEEP DEEP DEEP, NULL},
      {"/v1/completions",
       "{\"prompt\":\"kettle %u\",\"response_format\":{\"type\":\"json_schema\","
       "\"json_schema\":{\"schema\":{\"type\":%u}}}}",
       NULL},
      {NULL, NULL, NULL}};
/* waits: the server rightly waits for more, so the client leaves */
static const struct {
    const char *text;
    int waits;
} garbage[] = {{"GET / HTTP/9.9\r\n\r\n", 0},
               {"\x16\x03\x01\x02\x01\x01\xfc\x03\x03kettle", 1},
               {HEAD "Content-Length: -5\r\n\r\n", 0},
               {HEAD "Content-Length: 99999999999999999999\r\n\r\nx", 0},
               {HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\nkettle", 0},
               {"\r\n\r\n\r\n kettle \r\n\r\n", 1},
               {HEAD "Content-Length: 50\r\n\r\n{\"kettle", 1},
               {"GET /%00%ff%zz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 0},
               {"POST /api/chat HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 2\r\n\r\n{}", 0}};

/* body has room for one line of the tables and two numbers */
static void ask(struct slot *s, const char *path, const char *form)
{
    char body[4096];
    unsigned number = draw(50), tokens = s->way == STREAM ? 4 + draw(60) : 1 + draw(12);
    size_t n = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
    if (form[0]) n = (size_t)snprintf(body, sizeof body, form, number, tokens);
#pragma GCC diagnostic pop
    if (n == 0) memcpy(body, "\0\xff\xfe", n = 3);
    s->nout = (size_t)snprintf(
        s->out, OUT,
        "POST %s HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: application/json\r\n"
        "Content-Length: %zu\r\n\r\n",
        path, port, n);
    memcpy(s->out + s->nout, body, n);
    s->nout += n;
    s->out[s->nout] = 0;
}

/* 1: the server will wait for more */
static int say_garbage(struct slot *s)
{
    unsigned k = draw(sizeof garbage / sizeof *garbage + 1);
    if (k < sizeof garbage / sizeof *garbage) {
        s->nout = (size_t)snprintf(s->out, OUT, "%s", garbage[k].text);
        return garbage[k].waits;
    }
    s->nout =
        (size_t)snprintf(s->out, OUT, "GET /api/tags HTTP/1.1\r\nHost: localhost\r\nX-Long: ");
    memset(s->out + s->nout, 'k', 60000); /* more than the server takes of headers */
    s->nout += 60000;
    s->nout += (size_t)snprintf(s->out + s->nout, OUT - s->nout, "\r\n\r\n");
    return 0;
}

static int begin(struct slot *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int small = 2048, waits = 0;
    unsigned k;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->way = (enum way)draw(WAYS);
    s->manner = (enum manner)draw(MANNERS);
    s->sent = s->nin = 0;
    s->leave_at = SIZE_MAX;
    s->in[0] = 0;
    s->since = time(NULL);
    if (s->way == WHOLE) {
        k = draw(sizeof whole_ones / sizeof *whole_ones - 1);
        ask(s, whole_ones[k].path, whole_ones[k].body);
    } else if (s->way == STREAM) {
        k = draw(sizeof stream_ones / sizeof *stream_ones - 1);
        ask(s, stream_ones[k].path, stream_ones[k].body);
    } else if (s->way == BAD) {
        k = draw(sizeof bad_ones / sizeof *bad_ones - 1);
        ask(s, bad_ones[k].path, bad_ones[k].body);
    } else {
        waits = say_garbage(s);
    }
    if (s->manner == LEAVES) s->leave_at = 1 + draw((unsigned)s->nout + 3000);
    if (waits && s->leave_at > s->nout) s->leave_at = s->nout;
    count[s->way][s->manner]++;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0) return -1;
    if (s->manner == SLOW) setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (connect(s->fd, (struct sockaddr *)&a, sizeof a)) return -1;
    return fcntl(s->fd, F_SETFL, O_NONBLOCK);
}

/* ---- answers ----------------------------------------------------------------------------------------------------------- */

/* 1: what came is a whole answer; 0: something is missing; -1: it is none. *status, *body: of it. */
static int complete(struct slot *s, int *status, const char **body)
{
    const char *end = strstr(s->in, "\r\n\r\n"), *length, *at;
    char *stop;
    if (strncmp(s->in, "HTTP/1.1 ", s->nin < 9 ? s->nin : 9) != 0) return -1;
    if (!end) return 0;
    *status = atoi(s->in + 9);
    *body = at = end + 4;
    size_t rest = s->nin - (size_t)(at - s->in);
    length = strstr(s->in, "Content-Length: ");
    if (length && length < end) return rest == strtoull(length + 16, NULL, 10) ? 1 : 0;
    length = strstr(s->in, "Transfer-Encoding: chunked");
    if (!length || length > end) return -1;
    for (;;) {
        size_t n = strtoull(at, &stop, 16);
        if (stop == at) return *at ? -1 : 0;
        if (strncmp(stop, "\r\n", 2) != 0) return 0;
        if ((size_t)(s->in + s->nin - stop) < n + 4) return 0;
        at = stop + 2 + n + 2;
        if (n == 0) return at == s->in + s->nin ? 1 : -1;
    }
}

static const char *stream_end(const struct slot *s)
{
    for (size_t i = 0; stream_ones[i].path; i++)
        if (strstr(s->out, stream_ones[i].path)) return stream_ones[i].end;
    return "?";
}

/* A whole answer is there: is it what such a request must get? */
static void judge(struct slot *s, int status, const char *body)
{
    int error = strstr(body, "error") != NULL;
    whole[s->way][s->manner]++;
    if (s->manner == HALF && (status == 499 || (status == 200 && error)))
        return; /* he was taken for gone */
    switch (s->way) {
    case WHOLE:
        if (status != 200) wrong(s, "a good request got no answer");
        break;
    case STREAM:
        if (status != 200 || !strstr(body, stream_end(s))) wrong(s, "a stream without its end");
        break;
    case BAD:
        if (status < 400 || status > 499 || !error)
            wrong(s, "a bad request got no error that says so");
        break;
    default:
        if (status < 400) wrong(s, "nonsense got an answer");
        break;
    }
}

static void end(struct slot *s)
{
    close(s->fd);
    s->fd = -1;
}

/* Who closes his sending side in the instant in which the request arrives may be taken for gone before anything is written. */
static void closed(struct slot *s)
{
    if (s->way != GARBAGE && s->manner != LEAVES && (s->manner != HALF || s->nin))
        wrong(s, "the connection ended before the answer did");
    end(s);
}

static void read_some(struct slot *s)
{
    int status = 0;
    const char *body = "";
    size_t room = IN - s->nin, most = s->manner == SLOW ? 1 + draw(400) : room;
    if (s->manner == SLOW && draw(3)) return;
    ssize_t n = recv(s->fd, s->in + s->nin, most < room ? most : room, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        closed(s);
        return;
    }
    s->nin += (size_t)n;
    s->in[s->nin] = 0;
    s->since = time(NULL);
    int whole_one = complete(s, &status, &body);
    if (whole_one < 0 || s->nin == IN) wrong(s, "this is no answer of HTTP");
    if (whole_one > 0) judge(s, status, body);
    if (whole_one != 0 || s->nin == IN) end(s);
}

static void write_some(struct slot *s)
{
    size_t left = s->nout - s->sent, most = s->manner == DRIPS ? 1 + draw(40) : left;
    ssize_t n = send(s->fd, s->out + s->sent, most < left ? most : left, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) { /* an answer may have come although not all was sent */
        s->sent = s->nout;
        return;
    }
    s->sent += (size_t)n;
    s->since = time(NULL);
    if (s->sent == s->nout && s->manner == HALF) shutdown(s->fd, SHUT_WR);
}

/* ---- the server -------------------------------------------------------------------------------------------------------- */

static char report[8192]; /* of a sanitizer */

static void keep_report(void)
{
    const char *found = strstr(log_text, "Sanitizer");
    if (found && !*report) snprintf(report, sizeof report, "%s", found);
}

static void drain_log(void)
{
    if (log_n > sizeof log_text / 2) keep_report(), log_n = 0;
    ssize_t n = read(server_log, log_text + log_n, sizeof log_text - log_n - 1);
    if (n <= 0) return;
    log_n += (size_t)n;
    log_text[log_n] = 0;
    if (strstr(log_text, "kettle") && told++ < 5)
        printf("# what was said stands in the log: %.300s\n", log_text);
}

/* 0: there is none for this machine */
static int start(void)
{
    const char *lar = getenv("LAR") ? getenv("LAR") : "build/lar", *at;
    int p[2], status;
    if (pipe(p)) return 0;
    server = fork();
    if (server == 0) {
        dup2(p[1], 2);
        close(p[0]);
        close(p[1]);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(lar, lar, "serve", "--port", "0", "--model", "demo=models/lar-demo-q8_0.gguf",
              "--ctx", "512", (char *)NULL);
        _exit(127);
    }
    close(p[1]);
    server_log = p[0];
    for (;;) {
        ssize_t n = read(server_log, log_text + log_n, sizeof log_text - log_n - 1);
        if (n <= 0) break;
        log_n += (size_t)n;
        log_text[log_n] = 0;
        if ((at = strstr(log_text, "listening on http://127.0.0.1:")) && strchr(at, '\n')) {
            port = atoi(at + 30);
            return fcntl(server_log, F_SETFL, O_NONBLOCK) == 0;
        }
    }
    waitpid(server, &status, 0);
    printf("# %.300s\n", log_text);
    if (!strstr(log_text, "libmicrohttpd")) tap_ok(0, "the server starts");
    return 0;
}

/* Its open files and sockets. */
static int server_files(void)
{
    char path[64];
    int n = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)server);
    DIR *d = opendir(path);
    while (d && readdir(d)) n++;
    if (d) closedir(d);
    return n;
}

/* A line of what the kernel says of it. */
static long server_kb(const char *name)
{
    char path[64], line[256];
    long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)server);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, name, strlen(name)) != 0) continue;
        kb = atol(line + strlen(name));
        break;
    }
    if (f) fclose(f);
    return kb;
}

/* The value of a line of /metrics, or -1. */
static double number(const char *name)
{
    static struct slot s;
    int status;
    const char *body = "", *at;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s.nin = 0;
    s.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s.fd < 0 || connect(s.fd, (struct sockaddr *)&a, sizeof a)) return -1;
    dprintf(s.fd, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (ssize_t n;
         complete(&s, &status, &body) == 0 && (n = recv(s.fd, s.in + s.nin, IN - s.nin, 0)) > 0;) {
        s.nin += (size_t)n;
        s.in[s.nin] = 0;
    }
    close(s.fd);
    for (at = body; (at = strstr(at, name)); at++)
        if (at[-1] == '\n' && at[strlen(name)] == ' ') return atof(at + strlen(name));
    return -1;
}

/* ---- the storm --------------------------------------------------------------------------------------------------------- */

static void one_slot(struct slot *s, const struct pollfd *p)
{
    if (time(NULL) - s->since > STUCK_S) {
        wrong(s, "nothing came for two minutes");
        end(s);
        return;
    }
    if (p->revents & POLLOUT && s->sent < s->nout) write_some(s);
    if (s->sent + s->nin >= s->leave_at) {
        end(s);
        return;
    }
    if (p->revents & (POLLIN | POLLHUP | POLLERR)) read_some(s);
}

static void turn(void)
{
    struct pollfd p[SLOTS + 1];
    for (int i = 0; i < SLOTS; i++)
        p[i] = (struct pollfd){slots[i].fd,
                               (short)(POLLIN | (slots[i].sent < slots[i].nout ? POLLOUT : 0)), 0};
    p[SLOTS] = (struct pollfd){server_log, POLLIN, 0};
    if (poll(p, SLOTS + 1, 1000) < 0) return;
    if (p[SLOTS].revents) drain_log();
    for (int i = 0; i < SLOTS; i++)
        if (slots[i].fd >= 0) one_slot(&slots[i], &p[i]);
}

/* kb: its memory after each fifth. */
static void storm(long n, long kb[FIFTHS])
{
    long begun = 0, open = 1, told_of = 0;
    while (begun < n || open) {
        open = 0;
        for (int i = 0; i < SLOTS; i++) {
            if (slots[i].fd < 0 && begun < n && ++begun && begin(&slots[i]) < 0)
                wrong(&slots[i], "cannot connect");
            open += slots[i].fd >= 0;
            if (told_of == FIFTHS - 1 || begun < n * (told_of + 1) / FIFTHS) continue;
            kb[told_of++] = server_kb("VmRSS:");
            printf("# %ld requests: %ld kB, %ld of them its own\n", begun, kb[told_of - 1], server_kb("RssAnon:"));
            fflush(stdout);
        }
        turn();
        if (told > 20) break;
    }
    kb[FIFTHS - 1] = server_kb("VmRSS:");
    printf("# %ld requests: %ld kB, %ld of them its own\n", begun, kb[FIFTHS - 1], server_kb("RssAnon:"));
}

int main(void)
{
    const char *asked = getenv("LAR_STORM"), *other = getenv("LAR_STORM_SEED");
    int slow = getenv("LAR_SLOW") != NULL, status = -1;
    long n = asked ? atol(asked) : slow ? 100 : 300;
    tap_timeout(asked ? 3600 : 170);
    signal(SIGPIPE, SIG_IGN);
    if (other) seed = (uint64_t)atoll(other);
    for (int i = 0; i < SLOTS; i++) slots[i].fd = -1;
    if (!start()) {
        SKIP("no server for this machine");
        return tap_done();
    }
    long kb[FIFTHS] = {0};
    int files = server_files();
    storm(n, kb);
    tap_ok(told == 0,
           "every answer is whole or a proper error, and nothing that was said is in the log");
    long asked_all = 0, whole_all = 0;
    for (int w = 0; w < WAYS; w++)
        for (int m = 0; m < MANNERS; m++) asked_all += count[w][m], whole_all += whole[w][m];
    printf("# %ld requests, %ld whole answers\n", asked_all, whole_all);
    tap_ok(asked_all == n && whole_all > n / 2, "most get an answer");
    double running = 1, kept = 1;
    for (int i = 0; i < (slow ? 6000 : 1200) && (running > 0 || kept > 0); i++) {
        running = number("lar_requests_running");
        kept = number("lar_kv_reserved_bytes");
        drain_log();
        if (running > 0 || kept > 0) nanosleep(&(struct timespec){0, 50000000}, NULL);
    }
    tap_ok(running == 0 && kept == 0, "nothing is left over of who went away");
    for (int i = 0; i < (slow ? 6000 : 1200) && server_files() > files + 2; i++)
        nanosleep(&(struct timespec){0, 50000000}, NULL);
    tap_ok(server_files() <= files + 2, "nor a connection");
    if (slow)
        SKIP("its memory: a sanitizer has memory of its own");
    else
        tap_ok(kb[FIFTHS - 1] - kb[FIFTHS / 2] < GROWTH_KB, "its memory does not grow");
    kill(server, SIGTERM);
    while (waitpid(server, &status, WNOHANG) == 0) {
        drain_log();
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    drain_log();
    keep_report();
    if (!WIFEXITED(status) || WEXITSTATUS(status)) printf("# status %d: %s\n", status, *report ? report : log_text);
    tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "and it ends by itself when told to");
    return tap_done();
}
