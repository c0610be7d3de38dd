/* SPDX-License-Identifier: Apache-2.0
 * serve/responses.c: answers of /v1/responses: see responses.h. An answer is a list of items, one open at a time: reasoning, a message, calls. What
 * a stream told of them and what the whole answer says come from the same functions; where nothing streams, the events are left out. */
#include "serve/responses.h"

#include <stdio.h>

#include "base/err.h"
#include "serve/openai.h"

enum { NONE, MESSAGE, REASONING, CALL };

struct reply {
    int seq, index, open;
    const struct row_call *call; /* that the open item is */
    struct buf before;           /* items of the earlier answers */
    struct buf text, probs;      /* of the open item */
    struct buf items;            /* that are complete */
};

/* ---- items and their events ---------------------------------------------------------------------------------------------------------- */

/* The beginning of an event; 0 where nothing streams. */
static int event(struct job *j, struct buf *b, const char *name)
{
    if (!j->ask.stream) return 0;
    buf_printf(b, "event: response.%s\ndata: {\"type\":\"response.%s\",\"sequence_number\":%d",
               name, name, j->reply->seq++);
    return 1;
}

static void event_end(struct buf *b) { buf_puts(b, "}\n\n"); }

static void item_id(const struct job *j, struct buf *b)
{
    static const char *const kind[] = {"", "msg", "rs", "fc"};
    buf_printf(b, "\"%s_%s%02d\"", kind[j->reply->open], j->id, j->reply->index);
}

/* Of what stands in an item's content or summary. */
static void part(struct job *j, struct buf *b, struct str text)
{
    int message = j->reply->open == MESSAGE;
    buf_printf(b, "{\"type\":\"%s_text\",\"text\":",
               message          ? "output"
               : j->ask.summary ? "summary"
                                : "reasoning");
    buf_json_str(b, text);
    if (message) {
        buf_puts(b, ",\"annotations\":[],\"logprobs\":[");
        if (text.n) buf_str(b, buf_view(&j->reply->probs));
        buf_putc(b, ']');
    }
    buf_putc(b, '}');
}

static void item(struct job *j, struct buf *b, const char *status)
{
    struct reply *p = j->reply;
    struct str text = buf_view(&p->text);
    int added = str_is(str_of(status), "in_progress"), summary = j->ask.summary;
    buf_puts(b, "{\"id\":");
    item_id(j, b);
    buf_printf(b, ",\"status\":\"%s\",", status);
    if (p->open == CALL) {
        buf_printf(b, "\"type\":\"function_call\",\"call_id\":\"%s\",\"name\":", p->call->id);
        buf_json_str(b, buf_view(&p->call->name));
        buf_puts(b, ",\"arguments\":");
        buf_json_str(b, text);
        buf_putc(b, '}');
        return;
    }
    buf_puts(b, p->open == MESSAGE ? "\"type\":\"message\",\"role\":\"assistant\",\"content\":["
                : summary          ? "\"type\":\"reasoning\",\"summary\":["
                                   : "\"type\":\"reasoning\",\"summary\":[],\"content\":[");
    if (!added) part(j, b, text);
    buf_puts(b, "]}");
}

/* Which item and which part of it an event is about. */
static void place(struct job *j, struct buf *b)
{
    buf_puts(b, ",\"item_id\":");
    item_id(j, b);
    buf_printf(b, ",\"output_index\":%d", j->reply->index);
    if (j->reply->open == CALL) return;
    buf_printf(b, ",\"%s_index\":0",
               j->reply->open == REASONING && j->ask.summary ? "summary" : "content");
}

static void part_event(struct job *j, struct buf *b, const char *what)
{
    char name[48];
    int summary = j->reply->open == REASONING && j->ask.summary;
    snprintf(name, sizeof name, "%s_part.%s", summary ? "reasoning_summary" : "content", what);
    if (j->reply->open == CALL || !event(j, b, name)) return;
    place(j, b);
    buf_puts(b, ",\"part\":");
    part(j, b, *what == 'a' ? STR("") : buf_view(&j->reply->text));
    event_end(b);
}

static void text_event(struct job *j, struct buf *b, const char *what, const char *field,
                       struct str text, struct str probs)
{
    static const char *const kind[] = {"", "output_text", "reasoning_text",
                                       "function_call_arguments"};
    char name[48];
    int open = j->reply->open;
    snprintf(name, sizeof name, "%s.%s",
             open == REASONING && j->ask.summary ? "reasoning_summary_text" : kind[open], what);
    if (!event(j, b, name)) return;
    place(j, b);
    buf_printf(b, ",\"%s\":", field);
    buf_json_str(b, text);
    if (open == CALL && *what == 'd' && what[1] == 'o')
        buf_puts(b, ",\"name\":"), buf_json_str(b, buf_view(&j->reply->call->name));
    if (open == MESSAGE) buf_puts(b, ",\"logprobs\":["), buf_str(b, probs), buf_putc(b, ']');
    event_end(b);
}

static void close_item(struct job *j, struct buf *b, const char *status)
{
    struct reply *p = j->reply;
    if (p->open == NONE) return;
    text_event(j, b, "done", p->open == CALL ? "arguments" : "text", buf_view(&p->text),
               buf_view(&p->probs));
    part_event(j, b, "done");
    if (p->items.n) buf_putc(&p->items, ',');
    size_t at = p->items.n;
    item(j, &p->items, status);
    if (event(j, b, "output_item.done")) {
        buf_printf(b, ",\"output_index\":%d,\"item\":", p->index);
        buf_str(b, str_from(buf_view(&p->items), at));
        event_end(b);
    }
    p->index++;
    p->open = NONE;
    buf_clear(&p->text);
    buf_clear(&p->probs);
}

static void open_item(struct job *j, struct buf *b, int kind)
{
    struct reply *p = j->reply;
    p->open = kind;
    if (event(j, b, "output_item.added")) {
        buf_printf(b, ",\"output_index\":%d,\"item\":", p->index);
        item(j, b, "in_progress");
        event_end(b);
    }
    part_event(j, b, "added");
}

static void add(struct job *j, struct row *r, struct buf *b, int kind, struct str text)
{
    struct reply *p = j->reply;
    struct buf probs = {0};
    if (!text.n) return;
    if (p->open != kind) {
        close_item(j, b, "completed");
        open_item(j, b, kind);
    }
    if (kind == MESSAGE && r->nprob) {
        job_logprobs(j, r, &probs);
        r->nprob = 0;
    }
    struct str inner = {probs.n ? probs.p + 1 : "",
                        probs.n ? probs.n - 2 : 0}; /* without the brackets */
    if (inner.n && p->probs.n) buf_putc(&p->probs, ',');
    buf_str(&p->probs, inner);
    buf_str(&p->text, text);
    text_event(j, b, "delta", "delta", text, inner);
    buf_done(&probs);
}

/* What is new of the calls; whole: of those that are complete alone. */
static void calls(struct job *j, struct row *r, struct buf *b, int whole)
{
    struct reply *p = j->reply;
    for (size_t i = 0; i < r->calls.ncall; i++) {
        struct row_call *c = &r->calls.call[i];
        if (!tools_is_new(c, whole)) continue;
        if (!c->told) {
            close_item(j, b, "completed");
            p->call = c;
            open_item(j, b, CALL);
            c->told = 1;
        }
        struct str news = str_from(buf_view(&c->args), c->sent);
        buf_str(&p->text, news);
        if (news.n) text_event(j, b, "delta", "delta", news, STR(""));
        c->sent = c->args.n;
    }
}

/* ---- the response itself ------------------------------------------------------------------------------------------------------------- */

/* A member as the request said it. */
static void say(const struct job *j, struct buf *b, const char *name, const char *otherwise)
{
    const struct json *v = json_get(j->ask.body, name);
    buf_printf(b, ",\"%s\":", name);
    if (v && v->kind != JSON_NULL)
        json_write(b, v);
    else
        buf_puts(b, otherwise);
}

static void usage(struct job *j, struct buf *b)
{
    const struct row *r = &j->row[0];
    size_t in = job_prompt_tokens(j);
    buf_printf(
        b,
        "{\"input_tokens\":%zu,\"input_tokens_details\":{\"cached_tokens\":%zu,\"cache_write_tokens\":0},",
        in, job_reused(j));
    buf_printf(
        b,
        "\"output_tokens\":%zu,\"output_tokens_details\":{\"reasoning_tokens\":%zu},\"total_tokens\":%zu}",
        r->nout, r->nthink, in + r->nout);
}

static int cut(const struct job *j)
{
    int stop = j->row[0].result.stop;
    return stop == LAR_STOP_LENGTH || stop == LAR_STOP_FULL;
}

static void object(struct job *j, struct buf *b, const char *status, const char *message)
{
    const struct row *r = &j->row[0];
    int over = !str_is(str_of(status), "in_progress");
    buf_printf(
        b,
        "{\"id\":\"resp_%s\",\"object\":\"response\",\"created_at\":%lld,\"status\":\"%s\",\"error\":",
        j->id, (long long)j->created, status);
    if (message) {
        buf_puts(b, "{\"code\":\"server_error\",\"message\":");
        buf_json_str(b, str_of(message));
        buf_putc(b, '}');
    } else {
        buf_puts(b, "null");
    }
    buf_printf(b, ",\"incomplete_details\":%s,\"model\":",
               over && !message && cut(j) ? "{\"reason\":\"max_output_tokens\"}" : "null");
    buf_json_str(b, j->ask.model.n ? j->ask.model : str_of(j->book->name));
    if (over && !message)
        buf_printf(b, ",\"completed_at\":%lld",
                   (long long)(j->created + (r->ended - j->arrived) / 1000000000));
    buf_puts(b, ",\"output\":[");
    buf_str(b, buf_view(&j->reply->items));
    buf_puts(b, "]");
    say(j, b, "instructions", "null");
    say(j, b, "max_output_tokens", "null");
    say(j, b, "max_tool_calls", "null");
    say(j, b, "parallel_tool_calls", "true");
    say(j, b, "previous_response_id", "null");
    say(j, b, "reasoning", "{\"effort\":null,\"summary\":null}");
    say(j, b, "text", "{\"format\":{\"type\":\"text\"}}");
    say(j, b, "tool_choice", "\"auto\"");
    say(j, b, "tools", "[]");
    say(j, b, "truncation", "\"disabled\"");
    say(j, b, "top_logprobs", "0");
    say(j, b, "metadata", "{}");
    say(j, b, "user", "null");
    buf_printf(b,
               ",\"store\":%s,\"background\":false,\"service_tier\":\"default\",\"temperature\":",
               j->ask.no_store ? "false" : "true");
    buf_json_num(b, (double)r->sampling.temp);
    buf_puts(b, ",\"top_p\":");
    buf_json_num(b, (double)r->sampling.top_p);
    if (over) tools_warning(r, b);
    buf_puts(b, ",\"usage\":");
    if (over && !message)
        usage(j, b);
    else
        buf_puts(b, "null");
    buf_putc(b, '}');
}

static void object_event(struct job *j, struct buf *b, const char *name, const char *status,
                         const char *message)
{
    if (!event(j, b, name)) return;
    buf_puts(b, ",\"response\":");
    object(j, b, status, message);
    event_end(b);
}

/* The last item is closed and the answer kept, before anybody hears that it is complete. */
static void complete(struct job *j, struct buf *b, struct buf *whole)
{
    struct reply *p = j->reply;
    const char *status = cut(j) ? "incomplete" : "completed";
    if (p->open == NONE && !p->items.n)
        open_item(j, b, MESSAGE); /* an answer without a word is a message without one */
    close_item(j, b,
               p->open == CALL && (!p->call->ended || p->call->broken) ? "incomplete" : status);
    object(j, whole, status, NULL);
    if (j->ask.no_store) return;
    struct buf id = {0}, input = {0};
    buf_printf(&id, "resp_%s", j->id);
    buf_str(&input, buf_view(&p->before));
    if (p->before.n && j->ask.items.n) buf_putc(&input, ',');
    buf_str(&input, j->ask.items);
    struct kept_answer a = {buf_view(&id), buf_view(&input), buf_view(&p->items), buf_view(whole)};
    if (input.failed || p->items.failed || p->text.failed || p->probs.failed) whole->failed = 1;
    if (!whole->failed && !kept_add(j->kept, http_owner(j->call), &a)) {
        j->ask.no_store = 1; /* which the answer says */
        buf_clear(whole);
        object(j, whole, status, NULL);
    }
    buf_done(&id);
    buf_done(&input);
}

/* ---- the dialect ---------------------------------------------------------------------------------------------------------------------- */

static int settle(struct job *j, struct lar_err *err)
{
    struct str id = j->ask.previous;
    j->reply = mem_zalloc(sizeof *j->reply);
    if (!j->reply) return lar_fail(err, LAR_ENOMEM, "out of memory");
    if (!id.n) return 0;
    if (!kept_items(j->kept, http_owner(j->call), id, &j->reply->before))
        return lar_fail(err, LAR_EINVAL,
                        "previous_response_id: no answer '%.*s' is kept here (any more)",
                        STR_ARG(id));
    if (j->reply->before.failed) return lar_fail(err, LAR_ENOMEM, "out of memory");
    return responses_prompt(&j->ask, buf_view(&j->reply->before), err);
}

static void leave(struct job *j)
{
    struct reply *p = j->reply;
    if (!p) return;
    buf_done(&p->before);
    buf_done(&p->text);
    buf_done(&p->probs);
    buf_done(&p->items);
    mem_free(p);
}

static void begin(struct job *j, struct buf *b)
{
    object_event(j, b, "created", "in_progress", NULL);
    object_event(j, b, "in_progress", "in_progress", NULL);
}

static void piece(struct job *j, struct row *r, struct buf *b)
{
    add(j, r, b, REASONING, buf_view(&r->piece[1]));
    add(j, r, b, MESSAGE, buf_view(&r->piece[0]));
    calls(j, r, b, 0);
}

static void finish(struct job *j, struct buf *b)
{
    struct buf whole = {0};
    complete(j, b, &whole);
    if (event(j, b, cut(j) ? "incomplete" : "completed")) {
        buf_puts(b, ",\"response\":");
        buf_str(b, buf_view(&whole));
        event_end(b);
    }
    b->failed |= whole.failed;
    buf_done(&whole);
}

static void broken(struct job *j, struct buf *b, const char *message)
{
    j->reply->open = NONE;
    object_event(j, b, "failed", "failed", message);
}

static void whole(struct job *j, struct buf *b)
{
    struct row *r = &j->row[0];
    struct buf none = {0};
    add(j, r, &none, REASONING, row_thinking(r));
    add(j, r, &none, MESSAGE, row_text(r));
    calls(j, r, &none, 1);
    complete(j, &none, b);
    buf_puts(b, "\n");
    buf_done(&none);
}

const struct dialect responses_dialect = {
    .stream_type = "text/event-stream",
    .settle = settle,
    .leave = leave,
    .error = openai_error,
    .begin = begin,
    .piece = piece,
    .finish = finish,
    .broken = broken,
    .whole = whole,
};
