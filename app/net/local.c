/* SPDX-License-Identifier: Apache-2.0
 * net/local.c: see local.h. */
#include "net/local.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MAX = 16 << 20, PATIENCE_S = 120 };

static int nobody(const struct local_call *c, struct lar_err *err)
{
    return c->host[0] == '/'
               ? lar_fail(err, LAR_EIO, "no server runs at %.150s (lar serve starts one)", c->host)
               : lar_fail(err, LAR_EIO, "no server runs at %.150s:%d (lar serve starts one)",
                          c->host, c->port);
}

static int connect_unix(const struct local_call *c, struct lar_err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(c->host) >= sizeof a.sun_path)
        return lar_fail(err, LAR_EINVAL, "%.150s: is too long for a socket's path", c->host);
    memcpy(a.sun_path, c->host, strlen(c->host) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)(const void *)&a, sizeof a) == 0) return fd;
    if (fd >= 0) close(fd);
    return nobody(c, err);
}

static int connect_tcp(const struct local_call *c, struct lar_err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    char port[16];
    int fd = -1;
    snprintf(port, sizeof port, "%d", c->port);
    int e = getaddrinfo(c->host, port, &hints, &list);
    if (e) return lar_fail(err, LAR_EIO, "%.150s: is no address (%s)", c->host, gai_strerror(e));
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    return fd < 0 ? nobody(c, err) : fd;
}

static int send_all(int fd, const struct buf *b)
{
    for (size_t at = 0; at < b->n;) {
        ssize_t k = send(fd, b->p + at, b->n - at, MSG_NOSIGNAL);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return -1;
        at += (size_t)k;
    }
    return 0;
}

static int read_all(int fd, struct buf *b)
{
    for (;;) {
        char *at = buf_room(b, 1 << 16);
        ssize_t k = at ? recv(fd, at, 1 << 16, 0) : -1;
        if (at && k < 0 && errno == EINTR) continue;
        if (k < 0 || b->n > ANSWER_MAX) return -1;
        if (k == 0) return 0;
        b->n += (size_t)k;
    }
}

int local_ask(const struct local_call *c, struct buf *body, struct lar_err *err)
{
    struct buf b = {0};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    size_t n = c->body ? strlen(c->body) : 0;
    int fd = c->host[0] == '/' ? connect_unix(c, err) : connect_tcp(c, err), status = 0;
    if (fd < 0) return fd;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    buf_printf(
        &b,
        "%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n",
        c->method, c->path, n);
    if (c->key) buf_printf(&b, "Authorization: Bearer %s\r\n", c->key);
    buf_puts(&b, "\r\n");
    if (c->body) buf_puts(&b, c->body);
    int bad = b.failed || send_all(fd, &b);
    buf_clear(&b);
    bad = bad || read_all(fd, &b) || sscanf(buf_z(&b), "HTTP/1.%*1[01] %3d", &status) != 1;
    const char *end = bad ? NULL : strstr(buf_z(&b), "\r\n\r\n");
    if (end)
        buf_add(body, end + 4, b.n - (size_t)(end + 4 - b.p));
    else
        status = lar_fail(err, LAR_EIO, "%.150s: what listens there gives no answer that is one",
                          c->host);
    if (body->failed)
        status = lar_fail(err, LAR_ENOMEM, "%.150s: out of memory for the answer", c->host);
    close(fd);
    buf_done(&b);
    return status;
}
