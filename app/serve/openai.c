/* SPDX-License-Identifier: Apache-2.0
 * serve/openai.c: OpenAI's answers: see openai.h. */
#include "serve/openai.h"

void openai_error(struct buf *b, int status, const char *message)
{
    const char *type = "invalid_request_error", *code = NULL;
    if (status == 401) type = "authentication_error", code = "invalid_api_key";
    if (status == 403) type = "permission_error";
    if (status == 404) type = "not_found_error", code = strncmp(message, "model ", 6) == 0 ? "model_not_found" : NULL;
    if (status == 503) type = "unavailable_error";
    if (status >= 500 && status != 503) type = "server_error";
    if (strstr(message, "previous_response_id: ")) code = "previous_response_not_found";
    if (strstr(message, "the context room for"))
        type = "exceed_context_size_error", code = "context_length_exceeded";
    buf_puts(b, "{\"error\":{\"message\":");
    buf_json_str(b, str_of(message));
    buf_printf(b, ",\"type\":\"%s\",\"param\":null,\"code\":", type);
    if (code)
        buf_json_str(b, str_of(code));
    else
        buf_puts(b, "null");
    buf_puts(b, "}}\n");
}

static void broken(struct job *j, struct buf *b, const char *message)
{
    (void)j;
    buf_puts(b, "data: ");
    openai_error(b, 500, message);
    buf_putc(b, '\n');
}

static const char *reason(const struct row *r)
{
    if (r->result.stop == LAR_STOP_END && r->calls.nwhole) return "tool_calls";
    return r->result.stop == LAR_STOP_LENGTH || r->result.stop == LAR_STOP_FULL ? "length" : "stop";
}

/* To the list of choices. */
static void head(struct job *j, struct buf *b, int stream)
{
    static const char *const object[2][2] = {{"chat.completion", "chat.completion.chunk"},
                                             {"text_completion", "text_completion"}};
    buf_printf(b, "{\"id\":\"%s-%s\",\"object\":\"%s\",\"created\":%lld,\"model\":",
               j->kind ? "cmpl" : "chatcmpl", j->id, object[j->kind][stream],
               (long long)j->created);
    buf_json_str(b, j->ask.model.n ? j->ask.model : str_of(j->book->name));
    buf_printf(b, ",\"system_fingerprint\":\"lar-%s\",\"choices\":[", lar_version());
}

static void usage(struct job *j, struct buf *b)
{
    size_t in = job_prompt_tokens(j), out = j->ask.answers_none ? 0 : job_answer_tokens(j);
    buf_printf(b,
               "\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu,",
               in, out, in + out);
    buf_printf(b, "\"prompt_tokens_details\":{\"cached_tokens\":%zu},", job_reused(j));
    size_t thought = 0;
    for (size_t i = 0; i < j->nrow; i++) thought += j->row[i].nthink;
    size_t made = 0, right = 0;
    for (size_t i = 0; i < j->nrow; i++) made += j->row[i].result.guessed, right += j->row[i].result.guessed_right;
    buf_printf(b, "\"completion_tokens_details\":{\"reasoning_tokens\":%zu", thought);
    if (made)
        buf_printf(b, ",\"accepted_prediction_tokens\":%zu,\"rejected_prediction_tokens\":%zu", right, made - right);
    buf_puts(b, "}}");
}

/* Older form: lists side by side, text_offset counted in characters of the answer. */
static void text_logprobs(struct job *j, struct row *r, struct buf *b)
{
    const struct lar_model *m = j->engine->model;
    size_t n;
    const char *p;
    buf_puts(b, "{\"tokens\":[");
    for (size_t i = 0; i < r->nprob; i++) {
        if (i) buf_putc(b, ',');
        p = lar_token_bytes(m, r->prob[i].id, &n);
        buf_json_str(b, (struct str){p ? p : "", p ? n : 0});
    }
    buf_puts(b, "],\"token_logprobs\":[");
    for (size_t i = 0; i < r->nprob; i++) {
        if (i) buf_putc(b, ',');
        if (r->prob[i].first)
            buf_puts(b, "null");
        else
            buf_json_num(b, (double)r->prob[i].p);
    }
    buf_puts(b, "],\"top_logprobs\":[");
    for (size_t i = 0; i < r->nprob; i++) {
        if (i) buf_putc(b, ',');
        if (r->prob[i].first) {
            buf_puts(b, "null");
            continue;
        }
        buf_putc(b, '{');
        for (int k = 0; k < r->prob[i].ntop; k++) {
            if (k) buf_putc(b, ',');
            p = lar_token_bytes(m, r->prob[i].top[k].id, &n);
            buf_json_str(b, (struct str){p ? p : "", p ? n : 0});
            buf_putc(b, ':');
            buf_json_num(b, (double)r->prob[i].top[k].p);
        }
        buf_putc(b, '}');
    }
    buf_puts(b, "],\"text_offset\":[");
    for (size_t i = 0; i < r->nprob; i++) {
        buf_printf(b, "%s%zu", i ? "," : "", r->text_at);
        p = lar_token_bytes(m, r->prob[i].id, &n);
        if (r->prob[i].unseen) n = 0;
        for (size_t k = 0; p && k < n; k++) r->text_at += ((unsigned char)p[k] & 0xc0) != 0x80;
    }
    buf_puts(b, "]}");
}

static void logprobs(struct job *j, struct row *r, struct buf *b)
{
    buf_puts(b, ",\"logprobs\":");
    if (!j->ask.logprobs || !r->nprob) {
        buf_puts(b, "null");
    } else if (j->kind == OPENAI_TEXT) {
        text_logprobs(j, r, b);
    } else {
        buf_puts(b, "{\"content\":");
        job_logprobs(j, r, b);
        buf_puts(b, ",\"refusal\":null}");
    }
    r->nprob = 0;
}

static void chunk_begin(struct job *j, struct row *r, struct buf *b)
{
    buf_puts(b, "data: ");
    head(j, b, 1);
    buf_printf(b, "{\"index\":%d,", r->index);
}

static void chunk_end(struct job *j, struct buf *b)
{
    buf_puts(b, "}]");
    if (j->ask.usage) buf_puts(b, ",\"usage\":null");
    buf_puts(b, "}\n\n");
}

static void begin(struct job *j, struct buf *b)
{
    for (size_t i = 0; j->kind == OPENAI_CHAT && i < j->nrow; i++) {
        chunk_begin(j, &j->row[i], b);
        buf_puts(
            b,
            "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null");
        chunk_end(j, b);
    }
}

/* What is new of the row's calls: in a stream fragments, else the whole ones. A comma follows. */
static void calls(struct row *r, struct buf *b, int stream)
{
    int first = 1;
    for (size_t i = 0; i < r->calls.ncall; i++) {
        struct row_call *c = &r->calls.call[i];
        if (!tools_is_new(c, !stream)) continue;
        buf_puts(b, first ? "\"tool_calls\":[{" : ",{");
        first = 0;
        if (stream) buf_printf(b, "\"index\":%zu,", i);
        if (!c->told) buf_printf(b, "\"id\":\"%s\",\"type\":\"function\",", c->id);
        buf_puts(b, "\"function\":{");
        if (!c->told) buf_puts(b, "\"name\":"), buf_json_str(b, buf_view(&c->name)), buf_putc(b, ',');
        buf_puts(b, "\"arguments\":");
        buf_json_str(b, str_from(buf_view(&c->args), c->sent));
        buf_puts(b, "}}");
        c->told = 1;
        c->sent = c->args.n;
    }
    if (!first) buf_puts(b, "],");
}

static void piece(struct job *j, struct row *r, struct buf *b)
{
    chunk_begin(j, r, b);
    if (j->kind == OPENAI_TEXT) {
        buf_puts(b, "\"text\":");
        struct buf all = {0}; /* of a text thinking is part */
        buf_str(&all, buf_view(&r->piece[1]));
        buf_str(&all, buf_view(&r->piece[0]));
        buf_json_str(b, buf_view(&all));
        buf_done(&all);
    } else {
        buf_puts(b, "\"delta\":{");
        if (r->piece[1].n) {
            buf_puts(b, "\"reasoning_content\":");
            buf_json_str(b, buf_view(&r->piece[1]));
            buf_putc(b, ',');
        }
        if (r->piece[0].n) {
            buf_puts(b, "\"content\":");
            buf_json_str(b, buf_view(&r->piece[0]));
            buf_putc(b, ',');
        }
        calls(r, b, 1);
        if (b->n && b->p[b->n - 1] == ',') b->n--;
        buf_putc(b, '}');
    }
    logprobs(j, r, b);
    buf_puts(b, ",\"finish_reason\":null");
    chunk_end(j, b);
}

static void row_end(struct job *j, struct row *r, struct buf *b)
{
    chunk_begin(j, r, b);
    buf_puts(b, j->kind == OPENAI_TEXT ? "\"text\":\"\"" : "\"delta\":{}");
    logprobs(j, r, b);
    buf_printf(b, ",\"finish_reason\":\"%s\"", reason(r));
    tools_warning(r, b);
    chunk_end(j, b);
}

static void finish(struct job *j, struct buf *b)
{
    if (j->ask.usage) {
        buf_puts(b, "data: ");
        head(j, b, 1);
        buf_puts(b, "],");
        usage(j, b);
        buf_puts(b, "}\n\n");
    }
    buf_puts(b, "data: [DONE]\n\n");
}

/* What was asked to be continued, as it was said or as its tokens read. */
static void echo(const struct job *j, const struct row *r, struct buf *b)
{
    const struct ask_prompt *p = &j->ask.prompt[r->index / j->ask.n];
    if (p->text) buf_puts(b, p->text);
    for (size_t i = 0; !p->text && i < p->ntoken; i++) {
        size_t n;
        const char *bytes = lar_token_bytes(j->engine->model, p->tokens[i], &n);
        if (bytes) buf_add(b, bytes, n);
    }
}

static void choice(struct job *j, struct row *r, struct buf *b)
{
    const struct lar_result *t = &r->result;
    struct str text = row_text(r), thinking = row_thinking(r);
    buf_printf(b, "%s{\"index\":%d,", r->index ? "," : "", r->index);
    if (j->kind == OPENAI_TEXT) {
        struct buf all = {0};
        if (j->ask.echo) echo(j, r, &all);
        if (!j->ask.answers_none) {
            buf_add(&all, t->thinking, t->thinking_n);
            buf_add(&all, t->text, t->text_n);
        } else if (r->nprob) {
            r->nprob--;
        }
        buf_puts(b, "\"text\":");
        buf_json_str(b, buf_view(&all));
        buf_done(&all);
    } else {
        buf_puts(b, "\"message\":{\"role\":\"assistant\",\"content\":");
        if (r->calls.nwhole && !text.n)
            buf_puts(b, "null");
        else
            buf_json_str(b, text);
        if (thinking.n) {
            buf_puts(b, ",\"reasoning_content\":");
            buf_json_str(b, thinking);
        }
        buf_putc(b, ',');
        calls(r, b, 0);
        buf_puts(b, "\"refusal\":null}");
    }
    logprobs(j, r, b);
    buf_printf(b, ",\"finish_reason\":\"%s\"", reason(r));
    tools_warning(r, b);
    buf_putc(b, '}');
}

static void whole(struct job *j, struct buf *b)
{
    head(j, b, 0);
    for (size_t i = 0; i < j->nrow; i++) choice(j, &j->row[i], b);
    buf_puts(b, "],");
    usage(j, b);
    buf_puts(b, "}\n");
}

const struct dialect openai_dialect = {
    .stream_type = "text/event-stream",
    .error = openai_error,
    .begin = begin,
    .piece = piece,
    .row_end = row_end,
    .finish = finish,
    .broken = broken,
    .whole = whole,
};

/* ---- models --------------------------------------------------------------------------------------------------------------------- */

static void model(struct buf *b, const struct book *k, const char *name)
{
    buf_puts(b, "{\"id\":");
    buf_json_str(b, str_of(name));
    buf_printf(b, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"lar\"", (long long)k->modified.tv_sec);
    if (name != k->name) { /* with an adapter: as vLLM tells it */
        buf_puts(b, ",\"parent\":");
        buf_json_str(b, str_of(k->name));
    }
    buf_putc(b, '}');
}

static void adapted(struct buf *b, const struct book *k, const struct lora *l, const char *name)
{
    (void)l;
    buf_putc(b, ',');
    model(b, k, name);
}

int openai_models(struct buf *b, struct shelf *s, struct str name)
{
    if (name.n) {
        const struct book *k = shelf_find(s, name.p, name.n);
        struct loras_use u;
        struct buf full = {0};
        if (k)
            model(b, k, k->name);
        else if ((k = loras_find(s, name, &u, &full)))
            model(b, k, buf_z(&full));
        buf_done(&full);
        return k != NULL;
    }
    int first = 1;
    buf_puts(b, "{\"object\":\"list\",\"data\":[");
    pthread_mutex_lock(&s->lock);
    shelf_refresh(s);
    for (size_t i = 0; i < s->nbook; i++) {
        if (!book_shown(&s->book[i])) continue;
        if (!first) buf_putc(b, ',');
        first = 0;
        model(b, &s->book[i], s->book[i].name);
        loras_each(s, &s->book[i], adapted, b);
    }
    pthread_mutex_unlock(&s->lock);
    buf_puts(b, "]}\n");
    return 1;
}
