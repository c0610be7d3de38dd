/* SPDX-License-Identifier: Apache-2.0
 * serve/anthropic.c: Anthropic's answers: see anthropic.h. A stream is blocks, one after another: thinking, then text; the job's state is the kind
 * of the open one (0: none yet, 1: text, 2: thinking), its number is in the row's text_at. */
#include "serve/anthropic.h"

enum { NONE, TEXT, THINKING, TOOL };

void anthropic_error(struct buf *b, int status, const char *message)
{
    const char *type = status == 401   ? "authentication_error"
                       : status == 403 ? "permission_error"
                       : status == 404 ? "not_found_error"
                       : status == 413 ? "request_too_large"
                       : status == 503 ? "overloaded_error"
                       : status >= 500 ? "api_error"
                                       : "invalid_request_error";
    buf_printf(b, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", type);
    buf_json_str(b, str_of(message));
    buf_puts(b, "}}\n");
}

static void broken(struct job *j, struct buf *b, const char *message)
{
    (void)j;
    buf_puts(b, "event: error\ndata: ");
    anthropic_error(b, 500, message);
    buf_putc(b, '\n');
}

static void head(struct job *j, struct buf *b)
{
    buf_printf(b,
               "{\"id\":\"msg_%s\",\"type\":\"message\",\"role\":\"assistant\",\"model\":", j->id);
    buf_json_str(b, j->ask.model.n ? j->ask.model : str_of(j->book->name));
}

/* Tokens of the prompt that were already there are counted by themselves, as the reference does it. */
static void usage(struct job *j, struct buf *b, size_t out)
{
    size_t in = job_prompt_tokens(j), reused = job_reused(j);
    buf_printf(
        b,
        "\"usage\":{\"input_tokens\":%zu,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":%zu,",
        in - reused, reused);
    buf_printf(b, "\"output_tokens\":%zu}", out);
}

static void reason(struct job *j, struct buf *b)
{
    const struct row *r = &j->row[0];
    static const char *const name[] = {[LAR_STOP_END] = "end_turn",
                                       [LAR_STOP_STRING] = "stop_sequence",
                                       [LAR_STOP_LENGTH] = "max_tokens",
                                       [LAR_STOP_FULL] = "max_tokens",
                                       [LAR_STOP_CANCEL] = "end_turn"};
    int calls = r->result.stop == LAR_STOP_END && r->calls.nwhole;
    buf_printf(b, "\"stop_reason\":\"%s\",\"stop_sequence\":", calls ? "tool_use" : name[r->result.stop]);
    if (r->result.stop == LAR_STOP_STRING && r->result.stop_string)
        buf_json_str(b, str_of(r->result.stop_string));
    else
        buf_puts(b, "null");
}

static void begin(struct job *j, struct buf *b)
{
    buf_puts(b, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
    head(j, b);
    buf_puts(b, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,");
    usage(j, b, 1);
    buf_puts(b, "}}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n");
}

static void close_block(struct job *j, struct row *r, struct buf *b)
{
    if (j->state == NONE) return;
    buf_printf(
        b, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":%zu}\n\n",
        r->text_at++);
    j->state = NONE;
}

static void open_block(struct job *j, struct row *r, struct buf *b, int kind)
{
    static const char *const empty[] = {
        "", "{\"type\":\"text\",\"text\":\"\"}",
        "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}"};
    if (j->state == kind) return;
    close_block(j, r, b);
    j->state = kind;
    buf_printf(
        b,
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":%zu,\"content_block\":%s}\n\n",
        r->text_at, empty[kind]);
}

static void delta(struct job *j, struct row *r, struct buf *b, int kind, struct str text)
{
    if (!text.n) return;
    open_block(j, r, b, kind);
    buf_printf(
        b,
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":%zu,\"delta\":",
        r->text_at);
    buf_puts(b, kind == TEXT ? "{\"type\":\"text_delta\",\"text\":"
                             : "{\"type\":\"thinking_delta\",\"thinking\":");
    buf_json_str(b, text);
    buf_puts(b, "}}\n\n");
}

/* Each call is a block of its own; its input comes in fragments. */
static void call_deltas(struct job *j, struct row *r, struct buf *b)
{
    for (size_t i = 0; i < r->calls.ncall; i++) {
        struct row_call *c = &r->calls.call[i];
        if (!tools_is_new(c, 0)) continue;
        if (!c->told) {
            close_block(j, r, b);
            j->state = TOOL;
            buf_puts(b, "event: content_block_start\ndata: {\"type\":\"content_block_start\",");
            buf_printf(b, "\"index\":%zu,", r->text_at);
            buf_printf(b, "\"content_block\":{\"type\":\"tool_use\",\"id\":\"%s\",\"name\":", c->id);
            buf_json_str(b, buf_view(&c->name));
            buf_puts(b, ",\"input\":{}}}\n\n");
            c->told = 1;
        }
        if (c->sent < c->args.n) {
            buf_puts(b, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",");
            buf_printf(b, "\"index\":%zu,", r->text_at);
            buf_puts(b, "\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":");
            buf_json_str(b, str_from(buf_view(&c->args), c->sent));
            buf_puts(b, "}}\n\n");
            c->sent = c->args.n;
        }
    }
}

static void piece(struct job *j, struct row *r, struct buf *b)
{
    delta(j, r, b, THINKING, buf_view(&r->piece[1]));
    delta(j, r, b, TEXT, buf_view(&r->piece[0]));
    call_deltas(j, r, b);
}

static void finish(struct job *j, struct buf *b)
{
    struct row *r = &j->row[0];
    if (j->state == NONE && r->text_at == 0)
        open_block(j, r, b, TEXT); /* an answer without a word is a block without one */
    close_block(j, r, b);
    buf_puts(b, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{");
    reason(j, b);
    buf_putc(b, '}');
    tools_warning(r, b);
    buf_putc(b, ',');
    usage(j, b, r->nout);
    buf_puts(b, "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

static void whole(struct job *j, struct buf *b)
{
    const struct row *r = &j->row[0];
    const struct lar_result *t = &r->result;
    struct str text = row_text(r), thinking = row_thinking(r);
    head(j, b);
    buf_puts(b, ",\"content\":[");
    if (thinking.n) {
        buf_puts(b, "{\"type\":\"thinking\",\"thinking\":");
        buf_json_str(b, thinking);
        buf_puts(b, ",\"signature\":\"\"},");
    }
    if (text.n || !r->calls.nwhole) {
        buf_puts(b, "{\"type\":\"text\",\"text\":");
        buf_json_str(b, text);
        buf_puts(b, "},");
    }
    for (size_t i = 0; i < r->calls.ncall; i++) {
        const struct row_call *c = &r->calls.call[i];
        if (!c->ended) continue;
        buf_printf(b, "{\"type\":\"tool_use\",\"id\":\"%s\",\"name\":", c->id);
        buf_json_str(b, buf_view(&c->name));
        buf_puts(b, ",\"input\":");
        buf_str(b, buf_view(&c->args));
        buf_puts(b, "},");
    }
    if (b->n && b->p[b->n - 1] == ',') b->n--;
    buf_puts(b, "]");
    tools_warning(r, b);
    buf_putc(b, ',');
    reason(j, b);
    buf_putc(b, ',');
    usage(j, b, t->ntoken);
    buf_puts(b, "}\n");
}

const struct dialect anthropic_dialect = {
    .stream_type = "text/event-stream",
    .error = anthropic_error,
    .begin = begin,
    .piece = piece,
    .finish = finish,
    .broken = broken,
    .whole = whole,
};
