/* SPDX-License-Identifier: Apache-2.0
 * serve/tools.c: see tools.h: what a job and its rows do with tools. How requests name them: tools_read.c. */
#include "serve/tools.h"

#include "base/err.h"
#include "serve/job.h"

enum { CALLS_MAX = 128 };

/* ---- the job ----------------------------------------------------------------------------------------------------------- */

/* Puts words into the system message of a chat, making one where there is none. */
static int tell(struct ask *q, struct ask_prompt *p, struct str words, struct lar_err *err)
{
    const struct json *v = json_parse(&q->a, str_of(p->chat), err), *list = json_get(v, "messages");
    struct buf b = {.limit = ASK_ARENA_MAX};
    if (!v) return LAR_ENOMEM;
    const struct json *m = list ? list->child : NULL;
    int own = m && str_is(json_str(json_get(m, "role"), STR("")), "system");
    struct buf text = {0};
    buf_str(&text, words);
    if (own) buf_puts(&text, "\n\n"), buf_str(&text, json_str(json_get(m, "content"), STR("")));
    buf_puts(&b, "{\"messages\":[{\"role\":\"system\",\"content\":");
    buf_json_str(&b, buf_view(&text));
    buf_putc(&b, '}');
    for (m = own ? m->next : m; m; m = m->next) buf_putc(&b, ','), json_write(&b, m);
    buf_putc(&b, ']');
    for (const struct json *c = v->child; c; c = c->next) {
        if (str_is(c->key, "messages")) continue;
        buf_putc(&b, ',');
        buf_json_str(&b, c->key);
        buf_putc(&b, ':');
        json_write(&b, c);
    }
    buf_putc(&b, '}');
    int rc = b.failed || text.failed ? lar_fail(err, LAR_ENOMEM, "the request is too large")
                                     : ask_text(q, buf_view(&b), &p->chat, err);
    buf_done(&b);
    buf_done(&text);
    return rc;
}

int tools_open(struct job *j, struct lar_err *err)
{
    struct ask *q = &j->ask;
    struct lar_tools_options o = {.choice = (enum lar_tool_choice)q->choice,
                                  .name = q->tool_name,
                                  .single = q->single,
                                  .strict = q->strict};
    if (!q->tools_text.n) return 0;
    int rc = compiled_tools(&j->engine->compiled, &j->called, j->engine->model, q->tools_text, &o, err);
    if (rc == 0) j->tools = j->called->tools;
    struct str words = rc == 0 ? str_of(lar_tools_prompt(j->tools)) : STR("");
    for (size_t i = 0; rc == 0 && words.n && i < q->nprompt; i++)
        if (q->prompt[i].chat) rc = tell(q, &q->prompt[i], words, err);
    return rc;
}

/* ---- a row ------------------------------------------------------------------------------------------------------------- */

static void make_id(const struct row *r, size_t index, char id[12])
{
    static const char digit[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    size_t n = (size_t)r->index * CALLS_MAX + index;
    memcpy(id, r->job->id, 6);
    for (int i = 8; i > 5; i--, n /= 36) id[i] = digit[n % 36];
    id[9] = 0;
}

static struct row_call *add_call(struct row *r, size_t index)
{
    struct row_calls *k = &r->calls;
    if (index == k->room) {
        size_t room = k->room ? 2 * k->room : 4;
        struct row_call *v = room > 4 * CALLS_MAX ? NULL : mem_resize(k->call, room * sizeof *v);
        if (!v) return NULL;
        memset(v + k->room, 0, (room - k->room) * sizeof *v);
        k->call = v;
        k->room = room;
    }
    struct row_call *c = &k->call[index];
    *c = (struct row_call){0};
    make_id(r, index, c->id);
    k->ncall = index + 1;
    return c;
}

/* Calls of one row by their number; one that broke keeps its number, so the reader's are counted on by those. */
static void on_event(void *ctx, enum lar_call_event e, size_t index, const char *text, size_t n)
{
    struct row *r = ctx;
    struct row_calls *k = &r->calls;
    struct row_call *c = k->ncall ? &k->call[k->ncall - 1] : NULL;
    (void)index;
    if (e == LAR_CALL_BEGIN) {
        if ((c = add_call(r, k->ncall)) != NULL)
            buf_add(&c->name, text, n);
        else
            k->text.failed = 1;
    } else if (e == LAR_CALL_ARGS) {
        if (c) buf_add(&c->args, text, n);
    } else if (e == LAR_CALL_END) {
        if (c) c->ended = 1;
        k->nwhole++;
    } else {
        if (e == LAR_CALL_BROKEN && c) c->broken = 1;
        int thinking = e == LAR_CALL_THINKING;
        buf_add(thinking ? &k->thinking : &k->text, text, n);
        if (r->job->ask.stream) buf_add(&r->piece[thinking], text, n);
    }
}

int tools_is_new(const struct row_call *c, int whole)
{
    if (whole) return c->ended && !c->told;
    return c->told ? c->sent < c->args.n : !c->broken;
}

int tools_news(const struct row *r)
{
    for (size_t i = 0; i < r->calls.ncall; i++)
        if (tools_is_new(&r->calls.call[i], r->job->dialect->whole_calls)) return 1;
    return 0;
}

int tools_row_begin(struct job *j, struct row *r, struct lar_err *err)
{
    return j->tools ? lar_calls_open(&r->calls.reader, j->tools, on_event, r, err) : 0;
}

void tools_row_text(struct row *r, const char *text, size_t n) { lar_calls_add(r->calls.reader, text, n); }

void tools_row_end(struct row *r)
{
    struct row_calls *k = &r->calls;
    if (!k->reader) return;
    lar_calls_end(k->reader);
    int failed = k->text.failed | k->thinking.failed;
    for (size_t i = 0; i < k->ncall; i++) failed |= k->call[i].name.failed | k->call[i].args.failed;
    if (failed) job_fail(r->job, 500, "out of memory");
}

void tools_row_free(struct row *r)
{
    struct row_calls *k = &r->calls;
    for (size_t i = 0; i < k->ncall; i++) buf_done(&k->call[i].name), buf_done(&k->call[i].args);
    mem_free(k->call);
    buf_done(&k->text);
    buf_done(&k->thinking);
    lar_calls_close(k->reader);
}

struct str row_text(const struct row *r)
{
    return r->calls.reader ? buf_view(&r->calls.text) : (struct str){r->result.text, r->result.text_n};
}

struct str row_thinking(const struct row *r)
{
    return r->calls.thinking.n ? buf_view(&r->calls.thinking) : (struct str){r->result.thinking, r->result.thinking_n};
}

/* What of the format was not enforced, and whether the answer is valid by it all the same. */
static void partial_warning(const struct row *r, struct buf *b)
{
    struct lar_grammar *g = r->job->format->grammar;
    struct lar_err why = {0};
    char *left = NULL;
    if (lar_grammar_left_out(g, &left, NULL) == 0 && *left) {
        size_t n = strlen(left);
        int rc = lar_grammar_judge(g, r->result.text ? r->result.text : "", r->result.text_n, &why);
        while (n && left[n - 1] == '\n') left[--n] = 0;
        buf_printf(b, "not enforced while writing: %s\nthe answer is %svalid by the whole schema%s%s", left,
                   rc > 0 ? "" : rc == 0 ? "not " : "perhaps ", rc > 0 ? "" : ": ", rc > 0 ? "" : why.msg);
    }
    lar_free(left);
}

void tools_warning(const struct row *r, struct buf *b)
{
    const char *words = r->calls.reader ? lar_calls_warning(r->calls.reader) : "";
    const char *note = r->job->tools ? lar_tools_note(r->job->tools) : "";
    struct buf all = {0};
    if (!*words && !*note && !r->job->ask.partial) return;
    if (*note) buf_printf(&all, "calls are not held to the schemas: %s", note);
    if (*words) buf_printf(&all, "%s%s", *note ? "; " : "", words);
    if (r->job->format) partial_warning(r, &all);
    if (all.n) buf_puts(b, ",\"warning\":"), buf_json_str(b, buf_view(&all));
    b->failed |= all.failed;
    buf_done(&all);
}
