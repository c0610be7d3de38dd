/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/main.c: from argv to a verb. Each verb is a file of this folder with a table of its options; this one
 * only finds it, has its options parsed, and runs it. The program sees the library through <lar/...> alone. */
#include <lar/lar.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/out.h"
#include "cli/verbs.h"

const struct verb *const verbs[] = {
    &verb_run,     &verb_show,     &verb_tokenize, &verb_template, &verb_logits,   &verb_embed,
    &verb_rerank,  &verb_classify, &verb_bench,    &verb_convert,  &verb_export,   &verb_quantize, &verb_perplexity,
    &verb_quality, &verb_imatrix,  &verb_grammar,  &verb_pull,     &verb_push,     &verb_pack,
    &verb_unpack,  &verb_ps,       &verb_stop,     &verb_lock,     &verb_fit,      &verb_create,
    &verb_list,    &verb_cp,       &verb_rm,       &verb_gc,       &verb_verify,   &verb_serve,
    &verb_help,    &verb_version,  NULL,
};

/* A program started without one of its three standard descriptors would get it for the next file it opens.
 * In its place goes one that can only be used the wrong way round, so that using it is an error. */
static void hold_standard_descriptors(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* A level of another kind of processor lowers everything away; whoever names it should know. */
static void check_level(void)
{
    const char *want = getenv("LAR_CPU");
#if defined(__x86_64__)
    int foreign = want && strcmp(want, "neon") == 0;
#else
    int foreign = want && strncmp(want, "avx", 3) == 0;
#endif
    if (foreign)
        say("LAR_CPU=%s: this processor is of another kind, so the level in use is %s", want,
            lar_cpu_level());
}

static int no_such_verb(const char *name)
{
    const char *near = verb_nearest(name);
    if (near)
        say("no verb is called '%s'; did you mean 'lar %s'?", name, near);
    else
        say("no verb is called '%s' (lar help lists them)", name);
    return EXIT_MISUSE;
}

static int run_verb(const struct verb *v, int argc, char **argv)
{
    struct lar_err err;
    void *values = mem_zalloc(v->size ? v->size : 1);
    char **arg = mem_zalloc(sizeof *arg * (size_t)(argc + 1));
    int code;
    if (!values || !arg) {
        say("out of memory");
        code = EXIT_FAILED;
    } else {
        if (v->init) v->init(values);
        int n = options_parse(v, argc, argv, values, arg, &err);
        if (n == OPTIONS_HELP) {
            help_verb(out(), v);
            code = out_done(EXIT_DONE);
        } else if (n < 0) {
            code = say_err(&err);
        } else {
            code = v->run(values, arg, n);
        }
    }
    mem_free(arg);
    mem_free(values);
    return code;
}

int main(int argc, char **argv)
{
    hold_standard_descriptors();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write, handled where we write */
    signal(SIGXFSZ, SIG_IGN); /* and so is a file that may not become larger (ulimit -f) */
    if (argc < 2) {
        help_overview(out());
        struct buf *b = out();
        (void)!write(STDERR_FILENO, buf_z(b), b->n);
        return EXIT_MISUSE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) name = "version";
    const struct verb *v = verb_find(name);
    check_level();
    int code = v ? run_verb(v, argc - 2, argv + 2) : no_such_verb(name);
    interrupt_leave();
    return code;
}
