/* SPDX-License-Identifier: Apache-2.0
 * serve/ollama.c: Ollama's answers: see ollama.h. */
#include "serve/ollama.h"

void ollama_error(struct buf *b, int status, const char *message)
{
    (void)status;
    buf_puts(b, "{\"error\":");
    buf_json_str(b, str_of(message));
    buf_puts(b, "}\n");
}

static void broken(struct job *j, struct buf *b, const char *message)
{
    (void)j;
    ollama_error(b, 500, message);
}

static void head(struct job *j, struct buf *b)
{
    buf_puts(b, "{\"model\":");
    buf_json_str(b, j->ask.model.n ? j->ask.model : str_of(j->book->name));
    buf_puts(b, ",\"created_at\":");
    job_time(b);
}

/* Calls that are whole and not yet sent: arguments come as an object, so not in fragments. */
static void calls(struct row *r, struct buf *b)
{
    int first = 1;
    for (size_t i = 0; i < r->calls.ncall; i++) {
        struct row_call *c = &r->calls.call[i];
        if (!tools_is_new(c, 1)) continue;
        buf_printf(b, "%s{\"id\":\"%s\",\"function\":{\"index\":%zu,\"name\":",
                   first ? ",\"tool_calls\":[" : ",", c->id, i);
        buf_json_str(b, buf_view(&c->name));
        buf_puts(b, ",\"arguments\":");
        buf_str(b, buf_view(&c->args));
        buf_puts(b, "}}");
        c->told = 1;
        first = 0;
    }
    if (!first) buf_putc(b, ']');
}

static void content(struct job *j, struct buf *b, struct str text, struct str thinking)
{
    int chat = j->kind == OLLAMA_CHAT;
    buf_puts(b, chat ? ",\"message\":{\"role\":\"assistant\",\"content\":" : ",\"response\":");
    buf_json_str(b, text);
    if (thinking.n) {
        buf_puts(b, ",\"thinking\":");
        buf_json_str(b, thinking);
    }
    if (chat && j->row) calls(&j->row[0], b);
    if (chat) buf_putc(b, '}');
}

static void logprobs(struct job *j, struct row *r, struct buf *b)
{
    if (!j->ask.logprobs || !r->nprob) return;
    buf_puts(b, ",\"logprobs\":");
    job_logprobs(j, r, b);
}

static void piece(struct job *j, struct row *r, struct buf *b)
{
    head(j, b);
    content(j, b, buf_view(&r->piece[0]), buf_view(&r->piece[1]));
    logprobs(j, r, b);
    buf_puts(b, ",\"done\":false}\n");
}

static void count(struct buf *b, const char *name, int64_t v)
{
    if (v > 0) buf_printf(b, ",\"%s\":%lld", name, (long long)v);
}

static void tail(struct job *j, struct buf *b)
{
    const struct row *r = &j->row[0];
    int length = r->result.stop == LAR_STOP_LENGTH || r->result.stop == LAR_STOP_FULL;
    buf_printf(b, ",\"done\":true,\"done_reason\":\"%s\"", length ? "length" : "stop");
    if (j->kind == OLLAMA_GENERATE && !j->ask.raw) {
        buf_puts(b, ",\"context\":[");
        for (size_t i = 0; i < r->nprompt; i++)
            buf_printf(b, "%s%d", i ? "," : "", (int)r->prompt[i]);
        for (size_t i = 0; i < r->result.ntoken; i++)
            buf_printf(b, ",%d", (int)r->result.tokens[i]);
        buf_putc(b, ']');
    }
    tools_warning(r, b);
    count(b, "total_duration", r->ended - j->arrived);
    count(b, "load_duration", j->load_ns);
    count(b, "prompt_eval_count", (int64_t)r->nprompt);
    count(b, "prompt_eval_duration", r->first - r->began);
    count(b, "eval_count", (int64_t)r->nout);
    count(b, "eval_duration", r->ended - r->first);
    buf_puts(b, "}\n");
}

static void finish(struct job *j, struct buf *b)
{
    struct row *r = &j->row[0];
    head(j, b);
    content(j, b, STR(""), STR(""));
    logprobs(j, r, b); /* of tokens that gave no text any more */
    tail(j, b);
}

static void whole(struct job *j, struct buf *b)
{
    struct row *r = &j->row[0];
    head(j, b);
    content(j, b, row_text(r), row_thinking(r));
    logprobs(j, r, b);
    tail(j, b);
}

void ollama_loaded(struct job *j, struct buf *b)
{
    head(j, b);
    content(j, b, STR(""), STR(""));
    buf_printf(b, ",\"done\":true,\"done_reason\":\"%s\"}\n",
               j->ask.keep_ns == 0 ? "unload" : "load");
}

const struct dialect ollama_dialect = {
    .stream_type = "application/x-ndjson",
    .error = ollama_error,
    .piece = piece,
    .finish = finish,
    .broken = broken,
    .whole = whole,
    .whole_calls = 1,
};
