/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/chat.c: the conversation at the terminal. Each turn gives the library all messages; the session finds by itself
 * that it knows their beginning and evaluates only what is new. What does not fit is refused and said, and the
 * conversation stays as it was: nothing is ever cut in silence. */
#include "cli/chat.h"

#include <lar/batch.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/interrupt.h"
#include "cli/out.h"
#include "cli/stream.h"

static const char fence[] = "\"\"\"";

/* Where the text of a message in fences begins: at the start of a line, or behind "/set system ". */
static const char *fenced(const char *line)
{
    static const char set[] = "/set system ";
    if (strncmp(line, set, sizeof set - 1) == 0) line += sizeof set - 1;
    return strncmp(line, fence, 3) == 0 ? line : NULL;
}

/* The rest of a message whose fence opens at text->p + at. An empty rest of the opening line and an empty beginning of the closing one are not
 * lines of the message; what stands behind the closing fence belongs to it. */
static enum line_end read_fenced(struct chat *c, struct buf *text, size_t at)
{
    struct buf all = {0}, line = {0};
    enum line_end end = LINE_TEXT;
    char *close;
    buf_puts(&all, text->p + at + sizeof fence - 1);
    text->n = at;
    text->p[at] = 0;
    while (!(close = strstr(buf_z(&all), fence)) && !all.failed) {
        if ((end = line_read(c->line, "... ", &line)) != LINE_TEXT) break;
        buf_putc(&all, '\n');
        buf_str(&all, buf_view(&line));
    }
    if (close) {
        size_t n = (size_t)(close - all.p), first = n && all.p[0] == '\n';
        const char *rest = close + sizeof fence - 1;
        buf_add(text, all.p + first, n - first - (n > first && close[-1] == '\n'));
        if (rest[strspn(rest, " \t\n")]) buf_puts(text, rest);
    }
    text->failed |= all.failed | line.failed;
    buf_done(&line);
    buf_done(&all);
    return end;
}

/* Where a line has """: nowhere, behind something, or before all else. */
enum fence { FENCE_NONE, FENCE_INSIDE, FENCE_FIRST };

/* A message: a line, or several between """ and """. */
static enum line_end read_message(struct chat *c, struct buf *text, enum fence *where)
{
    enum line_end end = line_read(c->line, ">>> ", text);
    const char *open = end == LINE_TEXT && text->n ? fenced(text->p) : NULL;
    *where = !open ? FENCE_NONE : open == text->p ? FENCE_FIRST : FENCE_INSIDE;
    return open ? read_fenced(c, text, (size_t)(open - text->p)) : end;
}

/* Without a template the conversation is one text: lines and answers as they stood on the screen, a line of the person's beginning a new one. */
static int raw_text(const struct chat *c, struct buf *text, struct lar_err *err)
{
    for (size_t i = 0; i < c->talk.n; i++) {
        int typed = strcmp(c->talk.msg[i].role, "user") == 0;
        if (typed && text->n && text->p[text->n - 1] != '\n') buf_putc(text, '\n');
        buf_puts(text, c->talk.msg[i].content);
    }
    return text->failed ? lar_fail(err, LAR_ENOMEM, "out of memory for the text") : 0;
}

/* What this turn is about: all messages, or text, which they become without a template. */
static int said(const struct chat *c, struct buf *text, struct lar_request *req, struct lar_err *err)
{
    int e = c->r->raw ? raw_text(c, text, err) : 0;
    if (c->r->raw)
        req->text = buf_z(text);
    else
        req->messages = c->talk.msg, req->nmessage = c->talk.n;
    return e;
}

static int generate(struct chat *c, struct lar_result *res, int *interrupted,
                    struct lar_err *err)
{
    struct runner *r = c->r;
    struct lar_sampling sampling;
    struct lar_request req;
    struct stream stream;
    struct buf text = {0};
    int e = runner_session(r, err);
    if (e < 0) return e;
    runner_request(r, &sampling, &req);
    if ((e = said(c, &text, &req, err)) < 0) return buf_done(&text), e;
    stream_init(&stream, r->o.think == LAR_THINK_ON, r->o.hide_thinking);
    req.on_text = stream_text;
    req.on_prompt = stream_prompt;
    req.ctx = &stream;
    interrupt_begin(r->s, 0);
    e = lar_generate(r->s, &req, res, err);
    *interrupted = interrupt_end();
    buf_done(&text);
    if (e == 0 || stream.now != STREAM_NOTHING || stream.progress) stream_end(&stream);
    return e;
}

/* Tokens of the prompt that this turn makes, 0 when it cannot be told. */
static size_t prompt_tokens(const struct chat *c)
{
    struct lar_sampling sampling;
    struct lar_request req;
    struct lar_writer *w;
    struct buf text = {0};
    size_t n = 0;
    runner_request(c->r, &sampling, &req);
    if (said(c, &text, &req, NULL) == 0 && lar_writer_open(&w, c->r->m, &req, NULL) == 0) {
        lar_writer_prompt(w, &n);
        lar_writer_close(w);
    }
    buf_done(&text);
    return n;
}

static void tell_full(const struct chat *c, size_t tokens, const struct lar_err *err)
{
    enum { STEP = 256 }; /* the least room for an answer */
    size_t room = (tokens + 2 * STEP - 1) / STEP * STEP, ctx = (size_t)lar_session_ctx(c->r->s);
    say("%s", err->msg);
    fprintf(
        stderr,
        "Your message was not sent, and nothing was cut. /set parameter ctx %zu makes more room, /save FILE keeps\n"
        "the conversation, /clear begins a new one.\n",
        room > 2 * ctx ? room : 2 * ctx);
}

static void not_kept(void) { fputs("Your message was not kept.\n", stderr); }

/* What came becomes a message, an answer that ended within its thinking too. */
static void keep(struct chat *c, const struct lar_result *res)
{
    struct lar_err err;
    if (!res->text_n && !res->thinking_n && res->stop == LAR_STOP_CANCEL) {
        talk_drop_last(&c->talk);
        not_kept();
    } else if (talk_add(&c->talk, "assistant", (struct str){res->text, res->text_n},
                        (struct str){res->thinking, res->thinking_n}, &err) < 0) {
        say_err(&err);
        talk_drop_last(&c->talk);
        not_kept();
    } else if (!res->text_n && !res->thinking_n) {
        fputs("(an empty answer)\n", stderr);
    }
}

static void turn(struct chat *c, const struct buf *text)
{
    struct lar_result res;
    struct lar_err err;
    int interrupted = 0, e;
    struct str none = {0};
    size_t tokens = 0;
    if ((e = talk_add(&c->talk, "user", buf_view(text), none, &err)) < 0) {
        say_err(&err);
        return;
    }
    e = generate(c, &res, &interrupted, &err);
    if (e == 0) {
        keep(c, &res);
        runner_tell(c->r, &res);
        lar_result_free(&res);
        return;
    }
    if (e == LAR_ELIMIT && c->r->s) tokens = prompt_tokens(c);
    talk_drop_last(&c->talk);
    if (e == LAR_ELIMIT && c->r->s) {
        tell_full(c, tokens, &err);
        return;
    }
    if (e != LAR_ECANCEL || !interrupted) say_err(&err);
    not_kept();
}

static void greet(const struct chat *c)
{
    const struct lar_model_info *i = &c->r->info;
    struct buf b = {0};
    buf_puts(&b, *i->name ? i->name : i->architecture);
    size_t named = b.n; /* a name is one line */
    buf_printf(&b, ", context %d tokens. /? tells the commands, Ctrl-D leaves.\n",
               lar_session_ctx(c->r->s));
    if (c->r->raw)
        buf_puts(&b, "What you type and what is answered is one text that goes on; /clear begins another.\n");
    struct buf clean = {0};
    for (size_t k = 0; k < named && k < b.n; k++)
        if (b.p[k] == '\n' || b.p[k] == '\t') b.p[k] = ' ';
    out_text_to(&clean, 1, buf_z(&b), b.n);
    fputs(buf_z(&clean), stderr);
    buf_done(&clean);
    buf_done(&b);
}

static int is_blank(const struct buf *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->p[i] != ' ' && b->p[i] != '\t' && b->p[i] != '\n') return 0;
    return 1;
}

/* What stands between """ is a message whatever it begins with, and so are several lines that were pasted, but for a system message. */
static int is_command(const struct buf *b, enum fence where)
{
    if (!b->n || b->p[0] != '/' || where == FENCE_FIRST) return 0;
    return !memchr(b->p, '\n', b->n) || strncmp(b->p, "/set system ", 12) == 0;
}

static void talk_on(struct chat *c)
{
    struct buf text = {0};
    while (!c->leaving && out_flush() == 0) {
        enum fence where;
        enum line_end end = read_message(c, &text, &where);
        if (end == LINE_END && where == FENCE_NONE) break;
        if (text.failed)
            say("out of memory for the message");
        else if (end == LINE_END)
            fputs("(the message had no closing \"\"\" and was not sent; Ctrl-D again leaves)\n", stderr);
        else if (end == LINE_INTERRUPTED)
            fputs("(Ctrl-D or /bye leaves)\n", stderr);
        else if (is_command(&text, where))
            chat_command(c, text.p);
        else if (!is_blank(&text))
            turn(c, &text);
    }
    buf_done(&text);
}

int chat(struct runner *r)
{
    struct chat c = {.r = r, .line = line_open()};
    struct lar_err err;
    const char *history = getenv("LAR_HISTORY");
    int code = EXIT_DONE;
    arena_init(&c.kept, 0);
    signal(
        SIGINT,
        SIG_IGN); /* an answer and the line editor take it for themselves; nothing else dies of it */
    if (!c.line) {
        say("out of memory for the line editor");
        code = EXIT_FAILED;
    } else if (settings_talk(r, &c.talk, &err) < 0 ||
               (history && *history && strcmp(history, "/dev/null") && chat_history(&c, 1, &err) < 0)) {
        code = say_err(&err);
    } else {
        greet(&c);
        talk_on(&c);
    }
    line_close(c.line);
    talk_done(&c.talk);
    arena_done(&c.kept);
    signal(SIGINT, SIG_DFL);
    return code;
}
