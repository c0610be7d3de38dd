/* SPDX-License-Identifier: Apache-2.0
 * serve/trace.c: see trace.h. */
#include "serve/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/time.h"
#include "serve/job.h"
#include "serve/keys.h"

struct trace {
    int fd, content;
    void (*say)(const char *line);
    atomic_int lost;
};

int trace_open(struct trace **out, const char *path, int content, void (*say)(const char *line), struct lar_err *err)
{
    struct trace *t = mem_zalloc(sizeof *t);
    *out = NULL;
    if (!t) return lar_fail(err, LAR_ENOMEM, "--trace-file: out of memory");
    *t = (struct trace){.content = content, .say = say};
    t->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (t->fd < 0) {
        mem_free(t);
        return lar_fail_errno(err, "--trace-file %s", path);
    }
    *out = t;
    return 0;
}

void trace_close(struct trace *t)
{
    if (!t) return;
    close(t->fd);
    mem_free(t);
}

/* ---- OTLP ----------------------------------------------------------------------------------------------------------------- */

static void hex_id(struct buf *b, size_t n)
{
    unsigned char random[16] = {1};
    if (getrandom(random, n, 0) != (ssize_t)n) memcpy(random, &(int64_t){time_ns()}, 8);
    for (size_t i = 0; i < n; i++) buf_printf(b, "%02x", random[i]);
}

static void key(struct buf *b, const char *name, const char *type)
{
    if (b->n && b->p[b->n - 1] == '}') buf_putc(b, ',');
    buf_printf(b, "{\"key\":\"%s\",\"value\":{\"%s\":", name, type);
}

static void text(struct buf *b, const char *name, struct str value)
{
    key(b, name, "stringValue");
    buf_json_str(b, value);
    buf_puts(b, "}}");
}

static void number(struct buf *b, const char *name, int64_t value)
{
    key(b, name, "intValue");
    buf_printf(b, "\"%lld\"}}", (long long)value);
}

/* From the monotonic clock to nanoseconds since 1970. */
static void span_time(struct buf *b, const char *name, int64_t mono)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    int64_t now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    buf_printf(b, ",\"%s\":\"%lld\"", name, (long long)(now - (time_ns() - mono)));
}

struct ids {
    struct buf trace, span; /* 32 and 16 hexadecimal digits */
    char parent[17];        /* the client's span, or "" */
};

/* Up to its attributes' opening bracket. part: of the request's own span; else that one, whose parent is the client's or "". */
static void begin_span(struct buf *b, const struct ids *id, int part, const char *name, int64_t from, int64_t to)
{
    const char *parent = part ? buf_z(&id->span) : id->parent;
    buf_printf(b, "{\"traceId\":\"%s\",\"spanId\":\"", buf_z(&id->trace));
    if (part)
        hex_id(b, 8);
    else
        buf_puts(b, buf_z(&id->span));
    if (*parent) buf_printf(b, "\",\"parentSpanId\":\"%s", parent);
    buf_puts(b, "\",\"name\":");
    buf_json_str(b, str_of(name));
    buf_printf(b, ",\"kind\":%d", part ? 1 : 2); /* internal, server */
    span_time(b, "startTimeUnixNano", from);
    span_time(b, "endTimeUnixNano", to);
    buf_puts(b, ",\"attributes\":[");
}

static void end_span(struct buf *b, int failed) { buf_printf(b, "]%s}", failed ? ",\"status\":{\"code\":2}" : ""); }

static void begin_line(struct buf *b)
{
    buf_puts(b, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    text(b, "service.name", STR("lar"));
    text(b, "service.version", str_of(lar_version()));
    buf_puts(b, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"lar.serve\"},\"spans\":[");
}

static void write_line(struct trace *t, struct buf *b)
{
    buf_puts(b, "]}]}]}\n");
    ssize_t n = b->failed ? -1 : write(t->fd, b->p, b->n);
    if (n != (ssize_t)b->n && atomic_fetch_add(&t->lost, 1) == 0) {
        struct buf line = {0};
        buf_printf(&line, "--trace-file: a line could not be written, and more may be lost: %s",
                   b->failed ? "out of memory" : n < 0 ? strerror(errno) : "no room");
        t->say(buf_z(&line));
        buf_done(&line);
    }
    buf_done(b);
}

/* ---- an answer ------------------------------------------------------------------------------------------------------------ */

static const char *reason(enum lar_stop stop)
{
    return stop == LAR_STOP_LENGTH || stop == LAR_STOP_FULL ? "length" : "stop";
}

static void say_request(struct buf *b, const struct job *j, const char *operation)
{
    char name[KEYS_NAME];
    struct str model = j->ask.model.n ? j->ask.model : str_of(j->book ? j->book->name : "");
    text(b, "openinference.span.kind", STR("LLM"));
    text(b, "gen_ai.operation.name", str_of(operation));
    text(b, "gen_ai.provider.name", STR("lar"));
    text(b, "gen_ai.request.model", model);
    text(b, "llm.model_name", j->book ? buf_view(&j->name) : model);
    text(b, "gen_ai.response.id", str_of(j->id));
    text(b, "lar.request_id", str_of(http_id(j->call)));
    if (*keys_name(http_owner(j->call), name)) text(b, "lar.key", str_of(name));
    number(b, "http.response.status_code", http_status(j->call));
    if (j->ask.max_tokens) number(b, "gen_ai.request.max_tokens", j->ask.max_tokens);
    if (j->ask.seed >= 0) number(b, "gen_ai.request.seed", j->ask.seed);
}

static void say_usage(struct buf *b, const struct job *j)
{
    int64_t prompt = (int64_t)job_prompt_tokens(j), answer = (int64_t)job_answer_tokens(j);
    number(b, "gen_ai.usage.input_tokens", prompt);
    number(b, "gen_ai.usage.output_tokens", answer);
    number(b, "llm.token_count.prompt", prompt);
    number(b, "llm.token_count.completion", answer);
    number(b, "llm.token_count.total", prompt + answer);
    number(b, "llm.token_count.prompt_details.cache_read", (int64_t)job_reused(j));
    key(b, "gen_ai.response.finish_reasons", "arrayValue");
    buf_puts(b, "{\"values\":[");
    for (size_t i = 0, n = 0; i < j->nrow; i++)
        if (j->row[i].result.text)
            buf_printf(b, "%s{\"stringValue\":\"%s\"}", n++ ? "," : "", reason(j->row[i].result.stop));
    buf_puts(b, "]}}}");
}

static void say_content(struct buf *b, const struct job *j)
{
    text(b, "input.value", http_body(j->call));
    text(b, "input.mime_type", STR("application/json"));
    for (size_t i = 0; i < j->nrow; i++) {
        const struct lar_result *r = &j->row[i].result;
        char name[64];
        if (!r->text) continue;
        if (i == 0) text(b, "output.value", (struct str){r->text, r->text_n});
        snprintf(name, sizeof name, "llm.output_messages.%zu.message.role", i);
        text(b, name, STR("assistant"));
        snprintf(name, sizeof name, "llm.output_messages.%zu.message.content", i);
        text(b, name, (struct str){r->text, r->text_n});
    }
}

/* A row's time: it waited, its prompt was read, it was written. */
static void row_spans(struct buf *b, const struct ids *id, const struct row *r, int64_t now)
{
    const char *name[] = {"queue", "prompt", "answer"};
    int64_t ended = r->ended ? r->ended : now, first = r->first ? r->first : ended;
    int64_t at[] = {r->job->arrived, r->began, first, ended};
    int64_t count[] = {0, (int64_t)(r->at - r->reused), (int64_t)r->nout};
    if (!r->began) return;
    for (int i = 0; i < 3; i++) {
        buf_putc(b, ',');
        begin_span(b, id, 1, name[i], at[i], at[i + 1]);
        number(b, "lar.row", r->index);
        if (i) number(b, "lar.tokens", count[i]);
        end_span(b, 0);
    }
}

/* traceparent of W3C's Trace Context, as trace_parent took it: 00-TRACE-SPAN-FLAGS. Without one a trace begins here. */
static void ids_init(struct ids *id, const char *parent)
{
    *id = (struct ids){.parent = ""};
    if (*parent) {
        buf_add(&id->trace, parent + 3, 32);
        memcpy(id->parent, parent + 36, 16);
    } else {
        hex_id(&id->trace, 16);
    }
    hex_id(&id->span, 8);
}

static void ids_done(struct ids *id)
{
    buf_done(&id->trace);
    buf_done(&id->span);
}

void trace_parent(struct http_call *c, char out[TRACE_PARENT])
{
    const char *p = http_header(c, "traceparent");
    if (!p || strlen(p) != TRACE_PARENT - 1 || strncmp(p, "00-", 3) != 0 || p[35] != '-' || p[52] != '-') return;
    if (strspn(p + 3, "0123456789abcdef") != 32 || strspn(p + 36, "0123456789abcdef") != 16) return;
    memcpy(out, p, TRACE_PARENT);
}

void trace_job(struct trace *t, const struct job *j)
{
    struct buf b = {0}, name = {0};
    struct ids id;
    if (!t || j->ask.load_only) return;
    int chats = j->ask.nprompt && j->ask.prompt[0].chat;
    const char *operation = chats ? "chat" : "text_completion";
    int64_t now = time_ns();
    buf_printf(&name, "%s %s", operation, j->book ? j->book->name : "");
    begin_line(&b);
    ids_init(&id, j->parent);
    begin_span(&b, &id, 0, buf_z(&name), j->arrived, now);
    say_request(&b, j, operation);
    if (j->row && !j->over) say_usage(&b, j);
    if (t->content) say_content(&b, j);
    end_span(&b, j->over);
    for (size_t i = 0; j->row && i < j->nrow; i++) row_spans(&b, &id, &j->row[i], now);
    write_line(t, &b);
    buf_done(&name);
    ids_done(&id);
}

void trace_reading(struct trace *t, const struct http_call *c, const char *what, const char *model, int64_t tokens,
                   const char *parent, int64_t began, int failed)
{
    struct buf b = {0}, name = {0};
    struct ids id;
    if (!t) return;
    buf_printf(&name, "%s %s", strcmp(what, "EMBEDDING") == 0 ? "embeddings" : "rerank", model);
    begin_line(&b);
    ids_init(&id, parent);
    begin_span(&b, &id, 0, buf_z(&name), began, time_ns());
    text(&b, "openinference.span.kind", str_of(what));
    text(&b, "gen_ai.request.model", str_of(model));
    text(&b, "gen_ai.provider.name", STR("lar"));
    text(&b, "lar.request_id", str_of(http_id(c)));
    number(&b, "gen_ai.usage.input_tokens", tokens);
    number(&b, "llm.token_count.prompt", tokens);
    end_span(&b, failed);
    write_line(t, &b);
    buf_done(&name);
    ids_done(&id);
}
