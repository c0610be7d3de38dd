/* SPDX-License-Identifier: Apache-2.0
 * serve/kept.c: see kept.h. A list, latest used first; a look-up goes along it, which for a thousand is nothing beside an answer. */
#include "serve/kept.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/time.h"
#include "serve/openai.h"

enum { LIST_MAX = 100, LIST_DEFAULT = 20, TEXT_MAX = 2 * KEPT_BYTES_MAX };

struct answer {
    struct answer *next;
    int64_t used; /* monotonic ns */
    size_t bytes;
    struct str id, input, output, object; /* behind this */
    const void *owner;                    /* the key; NULL: there are none */
};

struct kept {
    pthread_mutex_t lock;
    struct answer *first;
    size_t n, bytes;
};

/* The last ones go while there are too many; so do those whose time is over. */
static void evict(struct kept *k)
{
    int64_t old = time_ns() - (int64_t)KEPT_SECONDS * 1000000000;
    struct answer **at = &k->first;
    size_t n = 0, bytes = 0;
    while (*at) {
        struct answer *a = *at;
        if (n < KEPT_MAX && bytes + a->bytes <= KEPT_BYTES_MAX && a->used > old) {
            n++;
            bytes += a->bytes;
            at = &a->next;
            continue;
        }
        *at = a->next;
        mem_free(a);
    }
    k->n = n;
    k->bytes = bytes;
}

/* Takes it out of the list; NULL: there is none. */
static struct answer *take(struct kept *k, const void *owner, struct str id)
{
    evict(k);
    for (struct answer **at = &k->first; *at; at = &(*at)->next) {
        struct answer *a = *at;
        if (!str_eq(a->id, id) || a->owner != owner) continue;
        *at = a->next;
        return a;
    }
    return NULL;
}

static void put_first(struct kept *k, struct answer *a)
{
    a->used = time_ns();
    a->next = k->first;
    k->first = a;
    evict(k);
}

static struct str lay(char **p, struct str s)
{
    struct str at = {*p, s.n};
    if (s.n) memcpy(*p, s.p, s.n);
    *p += s.n;
    return at;
}

int kept_add(struct kept *k, const void *owner, const struct kept_answer *v)
{
    size_t bytes = sizeof(struct answer) + v->id.n + v->input.n + v->output.n + v->object.n;
    struct answer *a = bytes > KEPT_BYTES_MAX ? NULL : mem_alloc(bytes);
    if (!a) return 0;
    *a = (struct answer){.bytes = bytes};
    char *p = (char *)(a + 1);
    a->id = lay(&p, v->id);
    a->input = lay(&p, v->input);
    a->output = lay(&p, v->output);
    a->object = lay(&p, v->object);
    a->owner = owner;
    pthread_mutex_lock(&k->lock);
    put_first(k, a);
    pthread_mutex_unlock(&k->lock);
    return 1;
}

int kept_items(struct kept *k, const void *owner, struct str id, struct buf *items)
{
    pthread_mutex_lock(&k->lock);
    struct answer *a = take(k, owner, id);
    if (a) {
        buf_str(items, a->input);
        if (a->input.n && a->output.n) buf_putc(items, ',');
        buf_str(items, a->output);
        put_first(k, a);
    }
    pthread_mutex_unlock(&k->lock);
    return a != NULL;
}

/* ---- over HTTP ------------------------------------------------------------------------------------------------------------------ */

struct page {
    size_t limit;
    int up; /* the oldest first */
    struct str after;
};

/* What the query asks for; 0: something that is not done here, told in b. */
static int read_page(struct http_call *c, struct page *p, struct buf *b)
{
    const char *limit = http_query(c, "limit"), *order = http_query(c, "order"),
               *after = http_query(c, "after");
    long n = limit ? strtol(limit, NULL, 10) : LIST_DEFAULT;
    *p = (struct page){(size_t)n, order && strcmp(order, "asc") == 0, str_of(after)};
    if (n < 1 || n > LIST_MAX)
        return buf_printf(b, "limit: needs a number from 1 to %d", LIST_MAX), 0;
    if (order && !p->up && strcmp(order, "desc") != 0)
        return buf_puts(b, "order: is neither asc nor desc"), 0;
    return 1;
}

static void one_item(struct buf *b, const struct json *v, size_t index)
{
    const struct json *id = json_get(v, "id");
    int named = id && id->kind == JSON_STRING;
    if (b->p[b->n - 1] == '}') buf_putc(b, ',');
    buf_putc(b, '{');
    if (!named) buf_printf(b, "\"id\":\"item_%zu\"", index);
    for (const struct json *c = v->child; c; c = c->next) {
        if (!named && str_is(c->key, "id")) continue;
        if (b->p[b->n - 1] != '{') buf_putc(b, ',');
        buf_json_str(b, c->key);
        buf_putc(b, ':');
        json_write(b, c);
    }
    buf_putc(b, '}');
}

static int is_after(const struct json *v, size_t index, struct str after)
{
    char made[32];
    snprintf(made, sizeof made, "item_%zu", index);
    return str_eq(json_str(json_get(v, "id"), str_of(made)), after);
}

/* b: the answer. Items stand in arrays here, since most lists are wanted from their end. */
static int list(struct buf *b, struct str input, const struct page *p)
{
    struct arena a;
    struct buf text = {0};
    arena_init(&a, TEXT_MAX);
    buf_putc(&text, '[');
    buf_str(&text, input);
    buf_putc(&text, ']');
    const struct json *all = text.failed ? NULL : json_parse(&a, buf_view(&text), NULL);
    const struct json **v = all ? arena_array(&a, all->n + 1, sizeof *v) : NULL;
    size_t n = 0, said = 0, first = 0, last = 0, i = 0;
    for (const struct json *c = v ? all->child : NULL; c; c = c->next) v[n++] = c;
    buf_puts(b, "{\"object\":\"list\",\"data\":[");
    for (int begun = p->after.n == 0; i < n; i++) {
        size_t at = p->up ? i : n - 1 - i;
        if (!begun) {
            begun = is_after(v[at], at, p->after);
            continue;
        }
        if (said == p->limit) break;
        if (!said++) first = at;
        last = at;
        one_item(b, v[at], at);
    }
    buf_puts(b, "]");
    for (int k = 0; k < 2; k++) {
        char made[32];
        size_t at = k ? last : first;
        snprintf(made, sizeof made, "item_%zu", at);
        buf_printf(b, ",\"%s_id\":", k ? "last" : "first");
        if (said)
            buf_json_str(b, json_str(json_get(v[at], "id"), str_of(made)));
        else
            buf_puts(b, "null");
    }
    buf_printf(b, ",\"has_more\":%s}\n", i < n ? "true" : "false");
    b->failed |= v == NULL;
    buf_done(&text);
    arena_done(&a);
    return 200;
}

static int answer(struct kept *k, struct http_call *c, struct buf *b)
{
    static const char root[] = "/v1/responses/";
    const char *path = http_path(c) + sizeof root - 1, *slash = strchr(path, '/');
    struct str id = {path, slash ? (size_t)(slash - path) : strlen(path)};
    int is_delete = strcmp(http_method(c), "DELETE") == 0,
        is_post = strcmp(http_method(c), "POST") == 0;
    int items = slash && strcmp(slash, "/input_items") == 0,
        cancel = slash && strcmp(slash, "/cancel") == 0;
    struct page page = {0};
    if ((slash && !items && !cancel) || is_post != cancel || (items && is_delete))
        return buf_printf(b, "there is nothing at %.200s", http_path(c)), 404;
    if (cancel)
        return buf_puts(
                   b, "only answers in the background could be cancelled, and there are none here"),
               400;
    if (http_query(c, "stream") && strcmp(http_query(c, "stream"), "false") != 0)
        return buf_puts(b, "stream: an answer that is kept comes as a whole"), 400;
    if (items && !read_page(c, &page, b)) return 400;
    struct buf input = {0};
    pthread_mutex_lock(&k->lock);
    struct answer *a = take(k, http_owner(c), id);
    if (a && !items && !is_delete) buf_str(b, a->object), buf_putc(b, '\n');
    if (a && items) buf_str(&input, a->input);
    if (a && !is_delete) put_first(k, a);
    pthread_mutex_unlock(&k->lock);
    if (!a) return buf_printf(b, "no answer '%.*s' is kept here (any more)", STR_ARG(id)), 404;
    if (items) list(b, buf_view(&input), &page);
    b->failed |= input.failed;
    buf_done(&input);
    if (!is_delete) return 200;
    mem_free(a);
    buf_puts(b, "{\"id\":");
    buf_json_str(b, id);
    buf_puts(b, ",\"object\":\"response\",\"deleted\":true}\n");
    return 200;
}

void kept_take(struct kept *k, struct http_call *c)
{
    struct buf b = {0}, text = {0};
    int status = answer(k, c, &b);
    if (b.failed) status = 503;
    if (status != 200) openai_error(&text, status, status == 503 ? "out of memory" : buf_z(&b));
    http_reply(c, status, "application/json", buf_view(status == 200 ? &b : &text));
    buf_done(&b);
    buf_done(&text);
}

int kept_open(struct kept **out, struct lar_err *err)
{
    struct kept *k = mem_zalloc(sizeof *k);
    *out = k;
    if (!k) return lar_fail(err, LAR_ENOMEM, "server: out of memory");
    pthread_mutex_init(&k->lock, NULL);
    return 0;
}

void kept_close(struct kept *k)
{
    if (!k) return;
    for (struct answer *a = k->first, *next; a; a = next) {
        next = a->next;
        mem_free(a);
    }
    pthread_mutex_destroy(&k->lock);
    mem_free(k);
}
