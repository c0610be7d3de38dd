/* SPDX-License-Identifier: Apache-2.0
 * net/watch.c: see watch.h. */
#include "net/watch.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include "base/mem.h"
#include "base/time.h"

#define OVER_NS INT64_C(500000000) /* 0.5 s */

struct watched {
    struct watched *next, **from;
    int fd, arrived;
    int64_t since;
};

struct watch {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct watched *first;
    int64_t patience;
    int stop;
};

/* Who sends no more, and has had time for his last request to be read. */
static int is_over(const struct watched *c, int64_t waited)
{
    struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};
    char next;
    if (waited < OVER_NS || poll(&p, 1, 0) <= 0 || !(p.revents & (POLLRDHUP | POLLHUP | POLLERR))) return 0;
    return waited >= 10 * OVER_NS || recv(c->fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/* With the lock held. */
static void end_late_ones(struct watch *w)
{
    int64_t now = time_ns();
    for (struct watched *c = w->first; c; c = c->next) {
        if (c->arrived || (now - c->since < w->patience && !is_over(c, now - c->since))) continue;
        shutdown(c->fd, SHUT_RDWR);
        c->arrived = 1; /* once is enough */
    }
}

static void *look(void *ctx)
{
    struct watch *w = ctx;
    struct timespec t;
    int64_t pause = w->patience / 4 > 1000000000 ? 1000000000 : w->patience / 4;
    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        while (!w->first && !w->stop) pthread_cond_wait(&w->wake, &w->lock);
        clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_nsec += (long)(pause % 1000000000);
        t.tv_sec += pause / 1000000000 + t.tv_nsec / 1000000000;
        t.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&w->wake, &w->lock, &t);
        end_late_ones(w);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

int watch_open(struct watch **out, int64_t patience_ns, struct lar_err *err)
{
    pthread_condattr_t attr;
    struct watch *w = mem_zalloc(sizeof *w);
    *out = NULL;
    if (!w) return lar_fail(err, LAR_ENOMEM, "server: out of memory");
    w->patience = patience_ns;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&w->thread, NULL, look, w)) {
        mem_free(w);
        return lar_fail(err, LAR_ENOMEM, "server: cannot start a thread");
    }
    *out = w;
    return 0;
}

void watch_close(struct watch *w)
{
    if (!w) return;
    pthread_mutex_lock(&w->lock);
    w->stop = 1;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    mem_free(w);
}

struct watched *watch_add(struct watch *w, int fd)
{
    struct watched *c = mem_zalloc(sizeof *c);
    if (!c) return NULL;
    c->fd = fd;
    c->since = time_ns();
    pthread_mutex_lock(&w->lock);
    if (!w->first) pthread_cond_signal(&w->wake);
    c->next = w->first;
    c->from = &w->first;
    if (c->next) c->next->from = &c->next;
    w->first = c;
    pthread_mutex_unlock(&w->lock);
    return c;
}

void watch_remove(struct watch *w, struct watched *c)
{
    if (!c) return;
    pthread_mutex_lock(&w->lock);
    *c->from = c->next;
    if (c->next) c->next->from = c->from;
    pthread_mutex_unlock(&w->lock);
    mem_free(c);
}

void watch_arrived(struct watch *w, struct watched *c, int arrived)
{
    if (!c) return;
    pthread_mutex_lock(&w->lock);
    c->arrived = arrived;
    c->since = time_ns();
    pthread_mutex_unlock(&w->lock);
}
