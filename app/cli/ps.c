/* SPDX-License-Identifier: Apache-2.0
 * cli/ps.c: `lar ps` and `lar stop`: what a running server has loaded, and unloading it, through its own interface (Ollama's /api/ps, and a
 * request whose keep_alive is 0), so that they also work with Ollama's server, and `ollama ps` with ours. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/out.h"
#include "cli/verbs.h"
#include "net/local.h"

struct ps_options {
    const char *host, *key;
    int port, json;
};

static void init(void *values)
{
    *(struct ps_options *)values = (struct ps_options){.host = "127.0.0.1", .port = 11434};
}

/* Asks; a status that is no success becomes an error in the server's words. v: the answer, in a. */
static int ask(const struct ps_options *o, const char *method, const char *path, const char *text, struct buf *body,
               struct arena *a, struct json **v, struct lar_err *err)
{
    const char *key = o->key ? o->key : getenv("LAR_API_KEY");
    struct local_call c = {o->host, o->port, method, path, key && *key ? key : NULL, text};
    int status = local_ask(&c, body, err);
    if (status < 0) return status;
    *v = json_parse(a, buf_view(body), NULL);
    if (status == 200 && *v) return 0;
    const struct json *why = json_get(*v, "error");
    if (why && why->kind == JSON_OBJECT) why = json_get(why, "message");
    return lar_fail(err, LAR_EIO, "the server says %d: %.*s", status, STR_ARG(json_str(why, STR("no reason"))));
}

/* ---- ps -------------------------------------------------------------------------------------------------------------------- */

/* "2026-11-21T15:40:01.156Z", or with "+01:00": seconds since 1970, -1 when it is none. */
static int64_t when(struct str s)
{
    struct tm tm = {0};
    char text[64];
    int at = 0, zone_h = 0, zone_m = 0;
    char sign = 0;
    if (s.n >= sizeof text) return -1;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
               &tm.tm_sec, &at) != 6)
        return -1;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    const char *rest = text + at + strcspn(text + at, "+-Z");
    if (sscanf(rest, "%c%2d:%2d", &sign, &zone_h, &zone_m) == 3 && sign != 'Z') {
        int minutes = zone_h * 60 + zone_m;
        tm.tm_min -= sign == '-' ? -minutes : minutes;
    }
    return (int64_t)timegm(&tm);
}

static void until(struct buf *b, int64_t t)
{
    int64_t s = t - (int64_t)time(NULL);
    if (t < 0 || s > (int64_t)100 * 365 * 86400)
        buf_puts(b, "for good");
    else if (s <= 0)
        buf_puts(b, "stopping");
    else if (s < 120)
        buf_printf(b, "%lld seconds from now", (long long)s);
    else if (s < 7200)
        buf_printf(b, "%lld minutes from now", (long long)(s / 60));
    else
        buf_printf(b, "%lld hours from now", (long long)(s / 3600));
}

static void pad(struct buf *b, size_t start, size_t width)
{
    size_t n = b->n - start;
    buf_printf(b, "%*s", n < width ? (int)(width - n) : 2, "");
}

static long long whole(const struct json *v, const char *key)
{
    const struct json *n = json_get(v, key);
    return n && n->is_int ? (long long)n->i : 0;
}

static void table(const struct json *list)
{
    struct buf *b = out();
    size_t width = 24, start;
    for (const struct json *m = list ? list->child : NULL; m; m = m->next) {
        size_t n = json_str(json_get(m, "name"), STR("")).n + 2;
        if (n > width) width = n > 60 ? 60 : n;
    }
    start = b->n;
    buf_puts(b, "NAME");
    pad(b, start, width);
    buf_puts(b, "ID            SIZE        PROCESSOR    CONTEXT    UNTIL\n");
    for (const struct json *m = list ? list->child : NULL; m; m = m->next) {
        struct str name = json_str(json_get(m, "name"), STR("")), id = json_str(json_get(m, "digest"), STR("-"));
        long long size = whole(m, "size"), gpu = whole(m, "size_vram");
        if (str_starts(id, STR("sha256:"))) id = str_from(id, 7);
        start = b->n;
        out_text_to(b, 1, name.p, name.n);
        pad(b, start, width);
        start = b->n;
        out_text_to(b, 1, id.p, id.n < 12 ? id.n : 12);
        pad(b, start, 14);
        start = b->n;
        buf_bytes(b, (uint64_t)(size > 0 ? size : 0));
        pad(b, start, 12);
        start = b->n;
        if (gpu > 0 && size > 0)
            buf_printf(b, "%lld%% GPU", gpu * 100 / size);
        else
            buf_puts(b, "100% CPU");
        pad(b, start, 13);
        start = b->n;
        buf_printf(b, "%lld", whole(m, "context_length"));
        pad(b, start, 11);
        until(b, when(json_str(json_get(m, "expires_at"), STR(""))));
        buf_putc(b, '\n');
    }
}

static int run_ps(const void *values, char **arg, int narg)
{
    const struct ps_options *o = values;
    struct buf body = {0};
    struct json *v = NULL;
    struct arena a;
    struct lar_err err;
    (void)arg, (void)narg;
    arena_init(&a, 64 << 20);
    int e = ask(o, "GET", "/api/ps", NULL, &body, &a, &v, &err);
    if (e == 0 && o->json)
        buf_str(out(), buf_view(&body));
    else if (e == 0)
        table(json_get(v, "models"));
    arena_done(&a);
    buf_done(&body);
    return e < 0 ? say_err(&err) : out_done(EXIT_DONE);
}

/* ---- stop ------------------------------------------------------------------------------------------------------------------- */

static int run_stop(const void *values, char **arg, int narg)
{
    const struct ps_options *o = values;
    int code = EXIT_DONE;
    for (int i = 0; i < narg; i++) {
        struct buf text = {0}, body = {0};
        struct json *v = NULL;
        struct arena a;
        struct lar_err err;
        arena_init(&a, 16 << 20);
        buf_puts(&text, "{\"model\":");
        buf_json_str(&text, str_of(arg[i]));
        buf_puts(&text, ",\"keep_alive\":0,\"stream\":false}");
        if (ask(o, "POST", "/api/generate", buf_z(&text), &body, &a, &v, &err) < 0) code = say_err(&err);
        arena_done(&a);
        buf_done(&text);
        buf_done(&body);
    }
    return code;
}

#define AT(field) offsetof(struct ps_options, field)
/* clang-format off */
#define WHERE                                                                                                        \
    {.kind = OPT_TEXT, .name = "host", .at = AT(host), .arg = "ADDRESS",                                             \
     .help = "Where the server listens, 127.0.0.1 without it; a path that begins with / is a Unix socket."},         \
    {.kind = OPT_INT, .name = "port", .letter = 'p', .at = AT(port), .arg = "N", .min = 1, .max = 65535,             \
     .help = "Its port, 11434 without it."},                                                                         \
    {.kind = OPT_TEXT, .name = "key", .at = AT(key), .arg = "KEY",                                                   \
     .help = "The key of a server with --key-file; better in LAR_API_KEY, which others on this machine cannot see."}
static const struct opt options[] = {
    WHERE,
    {.kind = OPT_FLAG, .name = "json", .at = AT(json), .value = 1,
     .help = "What the server says: an object with models."},
    {.kind = OPT_END},
};
static const struct opt stop_options[] = {WHERE, {.kind = OPT_END}};

const struct verb verb_ps = {
    .name = "ps",
    .synopsis = "[--json]",
    .summary = "the models that a running server has loaded",
    .about = "Asks the server on this machine (lar serve, or Ollama's) which models are loaded, how large they are, "
             "and until when they stay.",
    .opts = options,
    .size = sizeof(struct ps_options),
    .init = init,
    .run = run_ps,
};

const struct verb verb_stop = {
    .name = "stop",
    .synopsis = "NAME...",
    .summary = "unloads a model of a running server",
    .about = "Asks the server on this machine to unload models; answers that are being written are finished first. The "
             "server itself goes on: SIGTERM ends it.",
    .opts = stop_options,
    .size = sizeof(struct ps_options),
    .init = init,
    .min_args = 1,
    .max_args = 1000,
    .run = run_stop,
};
/* clang-format on */
