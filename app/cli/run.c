/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/run.c: `lar run`: one answer to one prompt, for people and for scripts. Without a prompt on a terminal
 * it hands over to the chat (chat.c). */
#include "cli/run.h"

#include <lar/plan.h>

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/time.h"
#include "base/utf8.h"
#include "cli/adapters.h"
#include "cli/choice.h"
#include "cli/in.h"
#include "cli/interrupt.h"
#include "cli/lock.h"
#include "cli/out.h"
#include "cli/size.h"
#include "cli/stream.h"
#include "cli/verbs.h"

_Static_assert(LAR_KV_F16 == 0 && LAR_KV_F32 == 1 && LAR_KV_Q8_0 == 2, "as the words of --kv");

/* ---- the prompt ---------------------------------------------------------------------------------------------- */

enum { PIPE_PATIENCE_MS = 3000 };

/* Standard input without its last newline, which whoever wrote it did not mean. */
static int read_stdin(struct buf *b, struct lar_err *err)
{
    int e = in_all("-", b, err);
    if (e == 0 && b->n && b->p[b->n - 1] == '\n') b->n--;
    if (e == 0 && b->n && b->p[b->n - 1] == '\r') b->n--;
    if (b->p) b->p[b->n] = 0;
    return e;
}

/* A prompt in argv and a pipe or file behind it belong together. A pipe that says nothing may be one that
 * somebody left open: say what is being waited for. */
static int add_stdin(struct buf *b, struct lar_err *err)
{
    struct buf more = {0};
    struct pollfd p = {STDIN_FILENO, POLLIN, 0};
    enum in_kind kind = in_kind();
    if (kind != IN_PIPE && kind != IN_FILE) return 0;
    if (kind == IN_PIPE && poll(&p, 1, PIPE_PATIENCE_MS) == 0)
        say("waiting for the rest of the prompt: standard input is a pipe that is still open (</dev/null ends it)");
    int e = read_stdin(&more, err);
    if (e == 0 && more.n) {
        buf_puts(b, "\n\n");
        buf_str(b, buf_view(&more));
    }
    buf_done(&more);
    return e;
}

/* 1 with the prompt in b, 0 when there is none and a person sits at the terminal, negative on failure. */
static int read_prompt(struct buf *b, char **arg, int narg, int raw, struct lar_err *err)
{
    int e;
    if (narg > 1 && strcmp(arg[1], "-") != 0) {
        buf_puts(b, arg[1]);
        e = add_stdin(b, err);
    } else {
        if (narg < 2 && in_kind() == IN_TERMINAL) return 0;
        e = read_stdin(b, err);
        if (e == 0 && b->n == 0)
            e = lar_fail(err, LAR_EINVAL,
                         "run: no prompt: standard input is empty and no terminal to chat at");
    }
    if (e < 0) return e;
    if (b->failed) return lar_fail(err, LAR_ENOMEM, "out of memory for the prompt");
    if (memchr(buf_z(b), 0, b->n))
        return lar_fail(err, LAR_EINVAL, "the prompt has a NUL byte at %zu: it is no text",
                        strlen(b->p));
    if (b->n == 0 && !raw) return lar_fail(err, LAR_EINVAL, "run: the prompt is empty");
    return 1;
}

/* ---- model, session, request ------------------------------------------------------------------------------------ */

static int open_model(struct runner *r, struct lar_err *err)
{
    struct lar_model_options mo = {.threads = r->o.threads, .deterministic = r->o.deterministic};
    struct adapters ad;
    int e = adapters_read(&ad, &r->o.adapter, &mo, err);
    if (e == 0) e = named_load(&r->m, &r->named, &mo, err);
    adapters_done(&ad);
    if (e < 0) return e;
    lar_model_info(r->m, &r->info);
    if (*lar_model_warning(r->m)) say("warning: %s", lar_model_warning(r->m));
    r->raw = r->o.raw || !r->info.has_template;
    const char *why = r->o.raw ? "--raw" : "a model without a chat template";
    if (r->raw) settings_drop(r);
    if (r->raw && r->o.system)
        return lar_fail(err, LAR_EINVAL, "--system: %s has no place for it", why);
    if (r->raw && r->o.think)
        return lar_fail(err, LAR_EINVAL, "--think, --no-think: %s knows no thinking", why);
    if (r->o.think == LAR_THINK_ON && !r->info.can_think)
        return lar_fail(err, LAR_EINVAL, "--think: the chat template of %s knows no thinking",
                        r->path);
    if (r->raw && !r->o.raw)
        say("%s has no chat template: the prompt is continued as plain text (--raw says so)",
            r->path);
    return 0;
}

int runner_session(struct runner *r, struct lar_err *err)
{
    struct lar_session_options so = {.ctx = r->o.ctx, .kv = (enum lar_kv)r->o.kv};
    struct lar_plan plan;
    uint64_t most = 0;
    if (r->s) return 0;
    int e = size_parse("--memory", r->o.memory, &most, err);
    if (e == 0 && (e = lar_plan(r->m, &so, most, &plan, err)) == 0 && !r->o.force)
        e = lar_plan_check(&plan, r->path, err);
    if (e < 0 || (e = lar_session_open(&r->s, r->m, &so, err)) < 0) return e;
    struct lar_model_options mo = {.threads = r->o.threads, .deterministic = r->o.deterministic};
    uint64_t left = !most ? 0 : most > plan.total ? most - plan.total : 1;
    if ((e = drafting_join(&r->draft, &r->o.draft, r->s, r->m, &so, &mo, left, err)) < 0) return e;
    if (r->info.ctx_train > 0 && lar_session_ctx(r->s) > r->info.ctx_train)
        say("warning: a context of %d tokens, and the model was trained with %d: beyond these answers may lose "
            "their sense",
            lar_session_ctx(r->s), r->info.ctx_train);
    return 0;
}

void runner_request(const struct runner *r, struct lar_sampling *sampling, struct lar_request *req)
{
    const struct opt_list *cuts = &r->o.breaker;
    int none = cuts->n == 1 && !strcmp(cuts->v[0], "none");
    sampling_merge(&r->o.sampling, r->m, sampling);
    *req = (struct lar_request){
        .think = (enum lar_think)r->o.think,
        .parse_special = r->o.parse_special,
        .sampling = sampling,
        .max_tokens = r->o.max_tokens,
        .lookup = r->o.lookup,
        .stop = r->o.stop.v,
        .nstop = r->o.stop.n,
        .dry_breaker = cuts->n ? cuts->v : NULL,
        .ndry_breaker = none ? 0 : cuts->n,
        .grammar = r->grammar,
    };
}

/* ---- what is told after an answer ------------------------------------------------------------------------------- */

/* Tokens a second, negative when there was nothing to time. */
static double prompt_rate(const struct lar_result *res)
{
    return res->prompt_ms > 0
               ? (double)(res->prompt_tokens - res->prompt_reused) * 1000 / res->prompt_ms
               : -1;
}

static double answer_rate(const struct lar_result *res)
{
    return res->ntoken > 1 && res->generate_ms > 0
               ? (double)(res->ntoken - 1) * 1000 / res->generate_ms
               : -1;
}

/* An empty line is no answer, and who reads it should know why it is empty. */
static void tell_thoughts(const struct runner *r, const struct lar_result *res)
{
    if (res->text_n || !res->thinking_n) return;
    if (res->stop == LAR_STOP_LENGTH)
        say("the model was still thinking when the answer reached its %d tokens (%s N gives it more)", r->o.max_tokens,
            r->chatting ? "/set parameter max-tokens" : "--max-tokens");
    else if (res->stop == LAR_STOP_STRING)
        say("the model was still thinking when '%s' ended the answer", res->stop_string);
    else if (res->stop == LAR_STOP_END)
        say("the model ended within its thinking, without an answer");
}

void runner_tell(const struct runner *r, const struct lar_result *res)
{
    tell_thoughts(r, res);
    if (res->warning[0]) say("warning: %s", res->warning);
    if (res->stop == LAR_STOP_FULL)
        say("the answer stops here: the context of %d tokens is full (%s N makes more room)",
            lar_session_ctx(r->s), r->chatting ? "/set parameter ctx" : "--ctx");
    else if (r->grammar && res->stop != LAR_STOP_END && res->stop != LAR_STOP_CANCEL)
        say("the answer was ended by %s: it is only the beginning of what was asked for", lar_stop_name(res->stop));
    if (!r->o.verbose) return;
    double p = prompt_rate(res), a = answer_rate(res);
    fprintf(stderr, "prompt %zu tokens (%zu reused)", res->prompt_tokens, res->prompt_reused);
    if (p >= 0) fprintf(stderr, ", %.0f/s", p);
    fprintf(stderr, "; first token after %.1f ms; answer %zu tokens", res->first_token_ms,
            res->ntoken);
    if (a >= 0) fprintf(stderr, ", %.1f/s", a);
    if (r->o.lookup || r->draft.d)
        fprintf(stderr, "; %zu of %zu guessed tokens were right", res->guessed_right, res->guessed);
    fprintf(stderr, "; stopped by %s; load %.1f ms\n", lar_stop_name(res->stop), r->load_ms);
}

static void number_or_null(struct buf *b, const char *key, double v)
{
    buf_printf(b, "\"%s\":", key);
    if (v < 0)
        buf_puts(b, "null");
    else
        buf_json_num(b, v);
}

static void write_json(const struct runner *r, const struct lar_result *res, const struct calling *tools)
{
    struct buf *b = out();
    buf_puts(b, "{\"text\":");
    buf_json_str(b, tools->t ? buf_view(&tools->text) : (struct str){res->text, res->text_n});
    if (tools->t) {
        buf_puts(b, ",\"tool_calls\":[");
        buf_str(b, buf_view(&tools->calls));
        buf_putc(b, ']');
    }
    if (res->thinking_n) {
        buf_puts(b, ",\"thinking\":");
        buf_json_str(b, (struct str){res->thinking, res->thinking_n});
    }
    buf_puts(b, ",\"tokens\":[");
    for (size_t i = 0; i < res->ntoken; i++) buf_printf(b, "%s%d", i ? "," : "", res->tokens[i]);
    buf_puts(b, "]");
    if (r->o.lookup || r->draft.d)
        buf_printf(b, ",\"guessed\":%zu,\"guessed_right\":%zu", res->guessed, res->guessed_right);
    buf_printf(b, ",\"stop\":\"%s\",\"seed\":%lld,\"prompt_tokens\":%zu,\"timings\":{", lar_stop_name(res->stop),
               (long long)res->seed, res->prompt_tokens);
    number_or_null(b, "load_ms", r->load_ms);
    buf_putc(b, ',');
    number_or_null(b, "prompt_tok_s", prompt_rate(res));
    buf_putc(b, ',');
    number_or_null(b, "first_token_ms", res->first_token_ms);
    buf_putc(b, ',');
    number_or_null(b, "tok_s", answer_rate(res));
    buf_puts(b, "}}\n");
}

/* ---- the verb ---------------------------------------------------------------------------------------------------- */

static int answer(struct runner *r, const char *prompt, int *interrupted, struct lar_err *err)
{
    struct talk talk = {0};
    struct lar_sampling sampling;
    struct lar_request req;
    struct lar_result res;
    struct stream stream;
    struct calling tools = {0};
    struct buf chat_text = {0};
    int e = settings_talk(r, &talk, err);
    if (e == 0) e = talk_add(&talk, "user", str_of(prompt), (struct str){0}, err);
    if (e == 0 && r->o.tools.file) e = calling_open(&tools, &r->o.tools, r->m, err);
    if (e == 0 && tools.t) e = calling_chat(&tools, &talk, &chat_text, err);
    if (e < 0) return talk_done(&talk), calling_close(&tools), buf_done(&chat_text), e;
    runner_request(r, &sampling, &req);
    stream_init(&stream, r->o.think == LAR_THINK_ON, r->o.hide_thinking);
    if (r->raw)
        req.text = prompt;
    else if (tools.t)
        req.chat = buf_z(&chat_text), req.tools = tools.t;
    else
        req.messages = talk.msg, req.nmessage = talk.n;
    if (!r->o.json) req.on_text = stream_text, req.on_prompt = stream_prompt, req.ctx = &stream;
    if (tools.t) {
        if (!r->o.json) tools.stream = &stream;
        req.on_text = calling_text, req.ctx = &tools;
        req.on_prompt = NULL; /* its place is the stream's */
    }
    in_odd("the prompt", str_of(prompt));
    interrupt_begin(r->s, 1);
    e = lar_generate(r->s, &req, &res, err);
    *interrupted = interrupt_end();
    talk_done(&talk);
    buf_done(&chat_text);
    if (e == 0 && tools.t) calling_end(&tools);
    if (!r->o.json && ((e == 0 && !tools.ncall) || stream.now != STREAM_NOTHING || stream.progress))
        stream_end(&stream);
    if (e == 0) {
        if (r->o.json)
            write_json(r, &res, &tools);
        else if (tools.t)
            calling_print(&tools);
        runner_tell(r, &res);
        r->invalid = constraint_judge(r->grammar, res.text ? res.text : "", res.text_n);
        lar_result_free(&res);
    }
    calling_close(&tools);
    return e;
}

static int run(const void *values, char **arg, int narg)
{
    struct runner r = {.o = *(const struct run_options *)values, .path = arg[0]};
    struct buf prompt = {0};
    struct lar_err err;
    int interrupted = 0, refused = 0, code = EXIT_DONE;
    int e = read_prompt(&prompt, arg, narg, r.o.raw, &err), has_prompt = e;
    if (e >= 0 && r.o.think && r.o.no_think)
        e = lar_fail(&err, LAR_EINVAL, "run: --think and --no-think exclude each other");
    if (r.o.no_think) r.o.think = LAR_THINK_OFF;
    if (e >= 0 && !*arg[0]) e = lar_fail(&err, LAR_EINVAL, "run: MODEL is empty: give a file, a folder or a name");
    if (e == 0 && r.o.json)
        e = lar_fail(&err, LAR_EINVAL, "run: --json needs a PROMPT: a chat is for people");
    if (e >= 0 && r.o.lock_file && !r.o.locked) e = lar_fail(&err, LAR_EINVAL, "run: --lock-file: only with --locked");
    if (e >= 0 && r.o.system) in_odd("--system", str_of(r.o.system));
    if (e >= 0 && (r.o.tools.choice || r.o.tools.single) && !r.o.tools.file)
        e = lar_fail(&err, LAR_EINVAL, "run: --tool-choice and --one-call: only with --tools");
    if (e >= 0 && r.o.tools.file && (!has_prompt || r.o.raw))
        e = lar_fail(&err, LAR_EINVAL, "run: --tools needs a PROMPT and the model's chat template");
    if (e >= 0) e = constraint_open(&r.o.constraint, &r.grammar, &err), refused = e < 0;
    if (e >= 0 && r.grammar && r.o.tools.file)
        e = lar_fail(&err, LAR_EINVAL, "run: --tools and what the answer must be otherwise exclude each other");
    int64_t start = time_ns();
    if (e >= 0) choice_use();
    if (e >= 0 && (e = named_open(&r.named, arg[0], &err)) == 0 &&
        (!r.o.locked || (e = lock_apply(&r, r.o.lock_file, arg[0], &err)) == 0) &&
        (e = settings_apply(&r, &err)) == 0 &&
        (e = open_model(&r, &err)) == 0)
        e = runner_session(&r, &err);
    r.load_ms = time_ms_since(start);
    if (e == 0 && has_prompt)
        e = answer(&r, buf_z(&prompt), &interrupted, &err);
    else if (e == 0)
        r.chatting = 1, code = chat(&r);
    if (e == 0 && r.invalid) code = EXIT_FAILED;
    if (e < 0 && !(e == LAR_ECANCEL && interrupted)) code = say_err(&err);
    if (refused && e != LAR_EIO && e != LAR_ENOMEM) code = EXIT_MISUSE;
    buf_done(&prompt);
    lar_session_close(r.s);
    drafting_close(&r.draft);
    lar_grammar_close(r.grammar);
    lar_model_close(r.m);
    named_close(&r.named);
    return out_done(code);
}

#define AT(field) offsetof(struct run_options, field)
/* Answers are UTF-8, so another text would never end one. */
static int stop_is_text(void *base, const struct opt *o, struct lar_err *err)
{
    const struct opt_list *l = (const void *)((const char *)base + o->at);
    const char *last = l->n ? l->v[l->n - 1] : "";
    if (utf8_valid(last, strlen(last))) return 0;
    return lar_fail(err, LAR_EINVAL, "is no UTF-8, so no answer could ever have it");
}

/* clang-format off */
const struct opt generation_options[] = {
    {.kind = OPT_INT, .name = "ctx", .at = AT(ctx), .arg = "N", .min = 1, .max = 1 << 28,
     .help = "Tokens of room for prompt and answers; without it the length the model was trained with, at most 4096."},
    {.kind = OPT_WORD, .name = "kv", .at = AT(kv), .arg = "TYPE", .words = "f16 f32 q8_0",
     .help = "How keys and values are kept: f16 (the default), f32 or q8_0."},
    {.kind = OPT_INT, .name = "max-tokens", .at = AT(max_tokens), .arg = "N", .max = 1 << 30,
     .help = "Ends the answer after N tokens; 0, the default, is until the context is full."},
    {.kind = OPT_INT, .name = "lookup", .at = AT(lookup), .arg = "N", .max = 16,
     .help = "Guesses up to N next tokens (16 at most) from what stands in prompt and answer, and evaluates them "
             "together: faster where the answer repeats its prompt, as edited text and code do. The answer is drawn "
             "as without. 0, the default: none."},
    {.kind = OPT_LIST, .name = "stop", .at = AT(stop), .arg = "TEXT", .check = stop_is_text,
     .help = "Ends the answer before TEXT; may be given more than once."},
    {.kind = OPT_LIST, .name = "dry-sequence-breaker", .at = AT(breaker), .arg = "TEXT",
     .help = "DRY follows no repetition across TEXT; may be given more than once, \"none\" alone stands for nothing. "
             "Without it: line break, colon, double quote, asterisk."},
    {.kind = OPT_END},
};

static const struct opt options[] = {
    {.kind = OPT_HEAD, .name = "Prompt and answer"},
    {.kind = OPT_TEXT, .name = "system", .at = AT(system), .arg = "TEXT", .help = "The system message."},
    {.kind = OPT_FLAG, .name = "raw", .at = AT(raw), .value = 1,
     .help = "No chat template: the prompt is text to be continued."},
    {.kind = OPT_FLAG, .name = "think", .at = AT(think), .value = LAR_THINK_ON,
     .help = "The model shall think first. On a terminal its thinking is shown dim; elsewhere it goes to standard "
             "error, and only with this option."},
    {.kind = OPT_FLAG, .name = "no-think", .at = AT(no_think), .value = 1,
     .help = "The model shall answer at once."},
    {.kind = OPT_FLAG, .name = "parse-special", .at = AT(parse_special), .value = 1,
     .help = "Names of control tokens in messages, such as <|im_end|>, become those tokens. Without it they are text, "
             "but in the system message."},
    {.kind = OPT_FLAG, .name = "hide-thinking", .at = AT(hide_thinking), .value = 1,
     .help = "Thinking is not shown."},
    {.kind = OPT_FLAG, .name = "json", .at = AT(json), .value = 1,
     .help = "One object at the end: text, tool_calls (with --tools), thinking (when there was any), tokens, stop, "
             "seed, prompt_tokens, timings. stop is end (the model's own), string (--stop), length (--max-tokens), "
             "context (full) or cancel."},
    {.kind = OPT_FLAG, .name = "verbose", .letter = 'v', .at = AT(verbose), .value = 1,
     .help = "Timings on standard error."},
    {.kind = OPT_GROUP, .group = generation_options},
    {.kind = OPT_GROUP, .group = drafting_options, .at = AT(draft)},
    {.kind = OPT_GROUP, .group = adapters_opts, .at = AT(adapter)},
    {.kind = OPT_FLAG, .name = "deterministic", .at = AT(deterministic), .value = 1,
     .help = "The same to the last bit, whatever the batch, slices and threads are; prompts are slower."},
    {.kind = OPT_INT, .name = "threads", .at = AT(threads), .arg = "N", .min = 1, .max = 256,
     .help = "Worker threads; without it as many as there are cores."},
    {.kind = OPT_TEXT, .name = "memory", .at = AT(memory), .arg = "SIZE",
     .help = "A model that needs more than this (4GB, 700MiB) is refused; without it, more than is free."},
    {.kind = OPT_FLAG, .name = "locked", .at = AT(locked), .value = 1,
     .help = "Only what lar.lock says (lar help lock), or what --lock-file does: that model to the byte, which is read "
             "through, that version of Lar, those settings."},
    {.kind = OPT_TEXT, .name = "lock-file", .at = AT(lock_file), .arg = "FILE", .help = "Another file than lar.lock."},
    {.kind = OPT_FLAG, .name = "force", .at = AT(force), .value = 1,
     .help = "Runs a model that does not fit: its weights are read from the disk again and again."},
    {.kind = OPT_HEAD, .name = "What the answer must be (behind its thinking)"},
    {.kind = OPT_GROUP, .group = constraint_options, .at = AT(constraint)},
    {.kind = OPT_HEAD, .name = "Functions"},
    {.kind = OPT_GROUP, .group = calling_options, .at = AT(tools)},
    {.kind = OPT_HEAD, .name = "Choice of tokens (what the model's file recommends is the default)"},
    {.kind = OPT_GROUP, .group = sampling_options, .at = AT(sampling)},
    {.kind = OPT_END},
};

const struct verb verb_run = {
    .name = "run",
    .synopsis = "MODEL [PROMPT]",
    .summary = "answers PROMPT, or chats",
    .about =
        "Answers PROMPT: the answer goes to standard output as it is made, with one newline at its end. PROMPT - "
        "reads it from standard input, as does a pipe when there is no PROMPT; with both, the text from the pipe or "
        "file follows PROMPT after an empty line. The last newline of standard input does not count.\n"
        "\n"
        "Without a prompt, on a terminal, it is a chat: \"\"\" begins and ends a message of several lines, Ctrl-C "
        "stops an answer, Ctrl-D or /bye leaves, /? tells the commands. Nothing that is typed is written to disk "
        "unless LAR_HISTORY names a file or /set history on is given.\n"
        "\n"
        "Examples:\n"
        "  lar run models/lar-demo-q8_0.gguf \"Where is my order A-1234? It is late!\"\n"
        "  lar run model.gguf \"Summarise this:\" < letter.txt\n"
        "  lar run model.gguf --raw --temp 0 --max-tokens 50 \"Once upon a time\"\n",
    .more = chat_help,
    .opts = options,
    .size = sizeof(struct run_options),
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
/* clang-format on */
