/* SPDX-License-Identifier: Apache-2.0
 * cli/chat_command.c: the lines of a chat that begin with a slash. What they print is for the person, so it goes
 * to standard error; standard output holds the answers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/chat.h"
#include "cli/out.h"
#include "cli/target.h"

/* ---- words ------------------------------------------------------------------------------------------------------- */

/* Cuts the first word off *text; "" when there is none. */
static struct str word(const char **text)
{
    *text += strspn(*text, " \t");
    struct str w = {*text, strcspn(*text, " \t")};
    *text += w.n;
    *text += strspn(*text, " \t");
    return w;
}

/* What stands behind a command that takes no more is refused, not passed over. */
static int nothing(const char *after, const char *rest, struct lar_err *err)
{
    rest += strspn(rest, " \t");
    return *rest ? lar_fail(err, LAR_EINVAL, "%s takes nothing behind it, so not '%s'", after, rest) : 0;
}

/* on, off, or no word, which is on. */
static int on_off(const char *what, const char *rest, int *on, struct lar_err *err)
{
    struct str w = word(&rest);
    *on = !str_is(w, "off");
    if (*rest || (w.n && *on && !str_is(w, "on")))
        return lar_fail(err, LAR_EINVAL, "/set %s on, or off", what);
    return 0;
}

static void show(const struct buf *b)
{
    struct buf clean = {0};
    out_text_to(&clean, isatty(STDERR_FILENO), buf_z(b), b->n);
    fwrite(buf_z(&clean), 1, clean.n, stderr);
    buf_done(&clean);
}

/* What a lock file says holds for the whole chat; what else the command line may say beside --locked may be set here too. */
static int locked(const struct chat *c, const char *what, struct lar_err *err)
{
    const struct run_options *o = &c->r->o;
    if (!o->locked) return 0;
    return lar_fail(
        err, LAR_EINVAL,
        "%s: this chat is locked: its settings stand in %s (lar lock --set NAME=VALUE) and stay as they are",
        what, o->lock_file ? o->lock_file : "lar.lock");
}

/* ---- /set ---------------------------------------------------------------------------------------------------------- */

enum { NAMES_MAX = 64 };

static int unknown_parameter(const char *name, struct lar_err *err)
{
    const struct opt *const table[] = {generation_options, sampling_options};
    const char *all[NAMES_MAX];
    size_t n = 0;
    for (int i = 0; settings_names[i][0]; i++) all[n++] = settings_names[i][0];
    for (int t = 0; t < 2; t++)
        for (const struct opt *o = table[t]; o->kind != OPT_END && n < NAMES_MAX - 1; o++)
            all[n++] = o->name;
    all[n] = NULL;
    const char *near = options_nearest(name, all);
    if (near)
        return lar_fail(err, LAR_EINVAL, "no parameter is called '%s'; did you mean '%s'?", name,
                        near);
    return lar_fail(err, LAR_EINVAL, "no parameter is called '%s' (/show parameters lists them)",
                    name);
}

static int set_parameter(struct chat *c, const char *rest, struct lar_err *err)
{
    struct run_options *o = &c->r->o, old = *o;
    struct str w = word(&rest);
    char *given = arena_copy(&c->kept, w.p, w.n), *value = arena_copy(&c->kept, rest, strlen(rest));
    if (!given || !value) return lar_fail(err, LAR_ENOMEM, "out of memory");
    if (!w.n)
        return lar_fail(err, LAR_EINVAL, "/set parameter NAME VALUE (/show parameters lists them)");
    const char *name = settings_name(given);
    void *base = o, *sampling = &o->sampling;
    const struct opt *opt = options_find(generation_options, name, &base);
    if (!opt && (opt = options_find(sampling_options, name, &sampling))) base = sampling;
    if (!opt) return unknown_parameter(name, err);
    if (strcmp(opt->name, "max-tokens") != 0 && locked(c, opt->name, err) < 0) return err->code;
    if (opt->kind != OPT_LIST && opt->kind != OPT_TEXT) /* a text may end in spaces, a number does not */
        for (size_t n = strlen(value); n && (value[n - 1] == ' ' || value[n - 1] == '\t');) value[--n] = 0;
    if (opt->kind == OPT_LIST && !*value) {
        ((struct opt_list *)(void *)((char *)base + opt->at))->n = 0;
        return 0;
    }
    if (!*value)
        return lar_fail(err, LAR_EINVAL, "/set parameter %s needs a value (%s)", name, opt->arg);
    int e = options_store(opt, base, opt->name, value, err);
    if (e < 0) {
        *o = old;
        return e;
    }
    if (o->ctx != old.ctx ||
        o->kv != old.kv) { /* another memory; it is filled again in the next turn */
        lar_session_close(c->r->s);
        c->r->s = NULL;
        if ((e = runner_session(c->r, err)) < 0) {
            struct lar_err second;
            *o = old;
            (void)runner_session(c->r,
                                 &second); /* what fitted before; if not, the next turn says so */
        }
    }
    return e;
}

static int set_system(struct chat *c, const char *rest, struct lar_err *err)
{
    if (c->r->raw)
        return lar_fail(err, LAR_EINVAL,
                        "there is no chat template, so a system message has no place");
    if (locked(c, "/set system", err) < 0) return err->code;
    return talk_set_system(&c->talk, rest, err);
}

static int set_thinking(struct chat *c, int on, struct lar_err *err)
{
    int think = on ? LAR_THINK_ON : LAR_THINK_OFF;
    if (on && (c->r->raw || !c->r->info.can_think))
        return lar_fail(err, LAR_EINVAL, "the chat template of this model knows no thinking");
    c->r->o.think = think;
    return 0;
}

static int default_history(struct buf *path, struct lar_err *err)
{
    const char *home = getenv("HOME");
    if (!home || !*home)
        return lar_fail(err, LAR_EINVAL,
                        "no history: HOME is not set; LAR_HISTORY=FILE names a file");
    buf_printf(path, "%s/.lar", home);
    if (mkdir(buf_z(path), 0700) && errno != EEXIST)
        return lar_fail_errno(err, "cannot create %s", buf_z(path));
    buf_puts(path, "/history");
    return path->failed ? lar_fail(err, LAR_ENOMEM, "out of memory") : 0;
}

int chat_history(struct chat *c, int on, struct lar_err *err)
{
    const char *env = getenv("LAR_HISTORY");
    struct buf path = {0};
    int e = 0;
    if (!on) return line_history(c->line, NULL, err);
    if (env && *env)
        buf_puts(&path, env);
    else
        e = default_history(&path, err);
    struct target reads = {.input = {c->r->path}, .ninput = 1};
    if (e == 0) e = target_check(&reads, buf_z(&path), TARGET_HISTORY, 0, err);
    if (e == 0) e = line_history(c->line, buf_z(&path), err);
    buf_done(&path);
    return e;
}

/* clang-format off */
static const char set_help[] =
    "/set system TEXT           the system message; without TEXT there is none\n"
    "/set parameter NAME VALUE  an option of lar run: temp, ctx, stop, ...\n"
    "/set think [on|off]        shall the model think first? /set nothink: not\n"
    "/set hidethinking [on|off] its thinking is not shown; /set showthinking: it is\n"
    "/set verbose [on|off]      timings after each answer; /set quiet: none\n"
    "/set history on            keeps typed lines in a file; off: no more\n";
/* clang-format on */

/* What is on or off; the words of `not` (ollama has them) turn it off and take nothing. */
static const struct flip {
    const char *name, *not;
    enum { THINKS, HIDES, TELLS } what;
} switches[] = {{"think", "nothink", THINKS}, {"hidethinking", "showthinking", HIDES}, {"verbose", "quiet", TELLS}};

static int flip(struct chat *c, const struct flip *f, int off, const char *rest, struct lar_err *err)
{
    int on = 0, e = off ? nothing(f->not, rest, err) : on_off(f->name, rest, &on, err);
    if (e < 0) return e;
    if (f->what == THINKS) return set_thinking(c, on, err);
    *(f->what == HIDES ? &c->r->o.hide_thinking : &c->r->o.verbose) = on;
    return 0;
}

static int set_history(struct chat *c, const char *rest, struct lar_err *err)
{
    int on = 0, e = *rest ? on_off("history", rest, &on, err) : lar_fail(err, LAR_EINVAL, "/set history on, or off");
    if (e == 0) e = chat_history(c, on, err);
    if (e == 0 && on) fprintf(stderr, "lines are kept in %s\n", line_history_path(c->line));
    return e;
}

static int set(struct chat *c, const char *rest, struct lar_err *err)
{
    static const char *const names[] = {
        "system",       "parameter",    "think", "nothink", "verbose",
        "hidethinking", "showthinking", "quiet", "history", NULL};
    struct str w = word(&rest);
    if (!w.n) return fputs(set_help, stderr), 0;
    if (str_is(w, "system")) return set_system(c, rest, err);
    if (str_is(w, "parameter")) return set_parameter(c, rest, err);
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
        if (str_is(w, switches[i].name) || str_is(w, switches[i].not))
            return flip(c, &switches[i], str_is(w, switches[i].not), rest, err);
    if (str_is(w, "history")) return set_history(c, rest, err);
    char *asked = arena_copy(&c->kept, w.p, w.n);
    const char *near = asked ? options_nearest(asked, names) : NULL;
    if (near)
        return lar_fail(err, LAR_EINVAL, "/set knows no '%s'; did you mean '%s'?", asked, near);
    return lar_fail(err, LAR_EINVAL, "/set knows no '%.*s' (/set alone lists what it knows)",
                    STR_ARG(w));
}

/* ---- /show --------------------------------------------------------------------------------------------------------- */

static void show_info(const struct chat *c, struct buf *b)
{
    const struct lar_model_info *i = &c->r->info;
    size_t used = 0;
    if (c->r->s) lar_session_tokens(c->r->s, &used);
    buf_printf(
        b,
        "  file         %s\n  name         %s\n  architecture %s, %d layers, width %d, %d token ids\n",
        c->r->path, i->name, i->architecture, i->layers, i->width, i->vocab);
    buf_printf(b, "  weights      %.1f million, ", (double)i->parameters * 1e-6);
    buf_bytes(b, i->weight_bytes);
    buf_printf(
        b,
        "\n  context      %d tokens, %zu in use; trained with %d\n  threads      %d\n  chat         %s%s\n",
        c->r->s ? lar_session_ctx(c->r->s) : 0, used, i->ctx_train, i->threads,
        i->has_template ? "template in the file" : "no template",
        i->can_think ? ", can think" : "");
}

static void show_parameters(const struct chat *c, struct buf *b)
{
    const struct run_options *o = &c->r->o;
    struct lar_sampling p;
    static const char *const kv[] = {"f16", "f32", "q8_0"};
    buf_printf(b, "  %-20s %d\n  %-20s %s\n  %-20s %d\n", "ctx",
               c->r->s ? lar_session_ctx(c->r->s) : o->ctx, "kv", kv[o->kv], "max-tokens",
               o->max_tokens);
    for (size_t i = 0; i < o->stop.n; i++) {
        buf_printf(b, "  %-20s ", "stop");
        buf_json_str(b, str_of(o->stop.v[i]));
        buf_putc(b, '\n');
    }
    sampling_merge(&o->sampling, c->r->m, &p);
    sampling_list(&p, b);
}

static void show_messages(const struct chat *c, struct buf *b)
{
    for (size_t i = 0; i < c->talk.n; i++) {
        const struct lar_message *m = &c->talk.msg[i];
        if (c->talk.thinking[i]) buf_printf(b, "%s, thinking: %s\n", m->role, c->talk.thinking[i]);
        if (*m->content || !c->talk.thinking[i]) buf_printf(b, "%s: %s\n", m->role, m->content);
    }
    if (!c->talk.n) buf_puts(b, "no messages yet\n");
}

static int show_what(struct chat *c, const char *rest, struct lar_err *err)
{
    struct buf b = {0};
    struct str w = word(&rest);
    if (*rest) return lar_fail(err, LAR_EINVAL, "/show takes one word: '%s' is too much", rest);
    if (!w.n)
        buf_puts(&b, "/show info | parameters | system | template | messages\n");
    else if (str_is(w, "info"))
        show_info(c, &b);
    else if (str_is(w, "parameters"))
        show_parameters(c, &b);
    else if (str_is(w, "messages"))
        show_messages(c, &b);
    else if (str_is(w, "system"))
        buf_printf(&b, "%s\n", talk_system(&c->talk) ? talk_system(&c->talk) : "no system message");
    else if (str_is(w, "template"))
        buf_printf(&b, "%s\n",
                   c->r->info.has_template ? lar_model_template(c->r->m) : "no template");
    else
        return lar_fail(
            err, LAR_EINVAL,
            "/show knows no '%.*s'; it knows info, parameters, system, template, messages",
            STR_ARG(w));
    show(&b);
    buf_done(&b);
    return 0;
}

/* ---- the rest ------------------------------------------------------------------------------------------------------ */

/* The file that a command names, ~/ being the home folder as in a shell. */
static const char *path_of(struct chat *c, const char *rest, const char *command, struct lar_err *err)
{
    const char *home = getenv("HOME");
    size_t n = strlen(rest);
    while (n && (rest[n - 1] == ' ' || rest[n - 1] == '\t')) n--;
    if (!n) lar_fail(err, LAR_EINVAL, "%s FILE", command);
    if (!n) return NULL;
    int at_home = n > 1 && rest[0] == '~' && rest[1] == '/' && home;
    size_t k = at_home ? strlen(home) : 0;
    char *path = arena_alloc(&c->kept, k + n + 1);
    if (!path) lar_fail(err, LAR_ENOMEM, "out of memory");
    if (!path) return NULL;
    if (k) memcpy(path, home, k);
    memcpy(path + k, rest + at_home, n - (size_t)at_home);
    path[k + n - (size_t)at_home] = 0;
    return path;
}

static void tell_count(const struct chat *c, const char *what)
{
    fprintf(stderr, "%zu message%s %s\n", c->talk.n, c->talk.n == 1 ? "" : "s", what);
}

static int save(struct chat *c, const char *rest, struct lar_err *err)
{
    const char *path = path_of(c, rest, "/save", err);
    if (!path) return err->code;
    struct target reads = {.input = {c->r->path}, .ninput = 1};
    if (target_check(&reads, path, TARGET_TALK, 0, err) < 0) return err->code;
    int e = talk_save(&c->talk, c->r->path, path, err);
    if (e == 0) tell_count(c, "saved");
    return e;
}

static int load(struct chat *c, const char *rest, struct lar_err *err)
{
    const char *path = path_of(c, rest, "/load", err);
    if (!path) return err->code;
    if (locked(c, "/load, which may bring a system message", err) < 0) return err->code;
    struct talk t = {0};
    int e = talk_load(&t, path, err);
    if (e < 0) return e;
    if (c->r->raw && talk_system(&t)) {
        talk_done(&t);
        return lar_fail(err, LAR_EINVAL, "%s: there is no chat template, so its system message has no place", path);
    }
    talk_done(&c->talk);
    c->talk = t;
    tell_count(c, "loaded");
    return 0;
}

static int clear(struct chat *c, const char *rest, struct lar_err *err)
{
    (void)rest, (void)err;
    talk_clear(&c->talk);
    fputs("a new conversation begins\n", stderr);
    return 0;
}

static int bye(struct chat *c, const char *rest, struct lar_err *err)
{
    (void)rest, (void)err;
    c->leaving = 1;
    return 0;
}

static int help(struct chat *c, const char *rest, struct lar_err *err);

static const struct command {
    const char *name, *arg, *what;
    int (*run)(struct chat *c, const char *rest, struct lar_err *err);
} commands[] = {
    {"/set", "WHAT", "changes how the model answers", set},
    {"/show", "WHAT", "shows info, parameters, system, template or messages", show_what},
    {"/save", "FILE", "writes the conversation as JSON", save},
    {"/load", "FILE", "continues a saved conversation", load},
    {"/clear", "", "forgets the conversation, but not the system message", clear},
    {"/bye", "", "leaves, as Ctrl-D does", bye},
    {"/help", "", "this; so does /?", help},
};
enum { NCOMMAND = sizeof commands / sizeof *commands };

void chat_help(struct buf *b)
{
    buf_puts(b, "In the chat:\n");
    buf_puts(b, set_help);
    for (int i = 1; i < NCOMMAND; i++) { /* all but /set */
        char form[24];
        snprintf(form, sizeof form, "%s %s", commands[i].name, commands[i].arg);
        buf_printf(b, "%-26s %s\n", form, commands[i].what);
    }
    buf_puts(b, "A message that begins with / is typed with a space before it.\n");
}

static int help(struct chat *c, const char *rest, struct lar_err *err)
{
    struct buf b = {0};
    (void)c, (void)rest, (void)err;
    chat_help(&b);
    fputs(buf_z(&b), stderr);
    buf_done(&b);
    return 0;
}

void chat_command(struct chat *c, const char *text)
{
    const char *names[NCOMMAND + 1] = {NULL}, *rest = text;
    struct lar_err err;
    struct str w = word(&rest);
    if (str_is(w, "/?")) w = STR("/help");
    if (str_is(w, "/exit") || str_is(w, "/quit")) w = STR("/bye");
    for (int i = 0; i < NCOMMAND; i++) {
        names[i] = commands[i].name;
        if (!str_is(w, names[i])) continue;
        int e = *commands[i].arg ? 0 : nothing(names[i], rest, &err);
        if (e < 0 || commands[i].run(c, rest, &err) < 0) say_err(&err);
        return;
    }
    char *asked = arena_copy(&c->kept, w.p, w.n);
    const char *near = asked ? options_nearest(asked, names) : NULL;
    if (near)
        say("no command is called '%s'; did you mean '%s'?", asked, near);
    else
        say("no command is called '%.*s' (/? tells the commands; with a space before it, it is text)",
            STR_ARG(w));
}
