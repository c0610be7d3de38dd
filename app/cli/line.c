/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/line.c: see line.h. Prompts go to standard error, so that standard output holds answers only. While a line
 * is edited Ctrl-C is a key, not a signal: the terminal's signals are off and the keys are bound here, because
 * a signal would arrive in the middle of libedit's work.
 *
 * Without libedit (EDIT=0) a line is what the terminal gives, and Ctrl-C a signal that ends its reading. */
#include "cli/line.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#if LAR_EDIT
#include <histedit.h>
#endif

#include "base/err.h"
#include "base/mem.h"

enum { HISTORY_LINES = 1000 };

struct line {
    char *history_path;
    const char *prompt;
    int interrupted;
#if LAR_EDIT
    EditLine *el;
    History *history;
#endif
};

const char *line_history_path(const struct line *l) { return l->history_path; }

#if LAR_EDIT

static char *prompt_of(EditLine *el)
{
    struct line *l = NULL;
    static char text[16];
    el_get(el, EL_CLIENTDATA, &l);
    snprintf(text, sizeof text, "%s", l->prompt);
    return text;
}

static unsigned char on_interrupt(EditLine *el, int key)
{
    struct line *l = NULL;
    (void)key;
    el_get(el, EL_CLIENTDATA, &l);
    l->interrupted = 1;
    return CC_EOF;
}

/* Ctrl-Z: libedit's own handler gives the terminal back, and takes it again after SIGCONT. */
static unsigned char on_suspend(EditLine *el, int key)
{
    (void)el, (void)key;
    raise(SIGTSTP);
    return CC_REFRESH;
}

/* libedit edits in the characters of the locale; without one every byte would be a character. */
static void use_utf8(void)
{
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
}

struct line *line_open(void)
{
    struct line *l = mem_zalloc(sizeof *l);
    HistEvent ev;
    if (!l) return NULL;
    use_utf8();
    l->el = el_init("lar", stdin, stderr, stderr);
    l->history = history_init();
    if (!l->el || !l->history) {
        line_close(l);
        return NULL;
    }
    history(l->history, &ev, H_SETSIZE, HISTORY_LINES);
    history(l->history, &ev, H_SETUNIQUE, 1);
    el_set(l->el, EL_CLIENTDATA, l);
    el_set(l->el, EL_PROMPT, prompt_of);
    el_set(l->el, EL_EDITOR, "emacs");
    el_set(l->el, EL_HIST, history, l->history);
    el_set(l->el, EL_SIGNAL, 1);
    el_set(l->el, EL_ADDFN, "lar-interrupt", "drops the line", on_interrupt);
    el_set(l->el, EL_ADDFN, "lar-suspend", "stops the program", on_suspend);
    el_set(l->el, EL_SETTY, "-d", "-isig", NULL);
    el_source(l->el, NULL); /* the person's ~/.editrc */
    el_set(l->el, EL_BIND, "^C", "lar-interrupt", NULL);
    el_set(l->el, EL_BIND, "^Z", "lar-suspend", NULL);
    return l;
}

void line_close(struct line *l)
{
    if (!l) return;
    if (l->el) el_end(l->el);
    if (l->history) history_end(l->history);
    mem_free(l->history_path);
    mem_free(l);
}

static void remember(struct line *l, const char *text)
{
    HistEvent ev;
    if (text[0] == '\n' || !text[0]) return;
    history(l->history, &ev, H_ENTER, text);
    if (l->history_path) history(l->history, &ev, H_SAVE, l->history_path);
}

enum line_end line_read(struct line *l, const char *prompt, struct buf *b)
{
    int n = 0;
    l->prompt = prompt;
    l->interrupted = 0;
    buf_clear(b);
    const char *text = el_gets(l->el, &n);
    if (!text || n <= 0) {
        fputc('\n', stderr);
        return l->interrupted ? LINE_INTERRUPTED : LINE_END;
    }
    remember(l, text);
    buf_add(b, text, strcspn(text, "\n"));
    return LINE_TEXT;
}

int line_history(struct line *l, const char *path, struct lar_err *err)
{
    HistEvent ev;
    char *own = NULL;
    if (path) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* can it be kept there at all? */
        if (fd < 0) return lar_fail_errno(err, "cannot keep a history in %s", path);
        close(fd);
        size_t n = strlen(path) + 1;
        if (!(own = mem_alloc(n))) return lar_fail(err, LAR_ENOMEM, "out of memory");
        memcpy(own, path, n);
        history(l->history, &ev, H_LOAD, path);
    }
    mem_free(l->history_path);
    l->history_path = own;
    return 0;
}

#else /* without libedit */

static volatile sig_atomic_t signalled;

static void on_signal(int sig)
{
    (void)sig;
    signalled = 1;
}

struct line *line_open(void) { return mem_zalloc(sizeof(struct line)); }

void line_close(struct line *l) { mem_free(l); }

enum line_end line_read(struct line *l, const char *prompt, struct buf *b)
{
    struct sigaction a, before;
    char c = 0;
    ssize_t k = 0;
    memset(&a, 0, sizeof a);
    a.sa_handler = on_signal; /* no SA_RESTART: read shall end */
    sigaction(SIGINT, &a, &before);
    signalled = 0;
    buf_clear(b);
    fprintf(stderr, "%s", prompt);
    /* The terminal hands over whole lines; byte by byte leaves the next one for the next call. */
    while (!signalled && !b->failed && (k = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n')
        buf_putc(b, c);
    sigaction(SIGINT, &before, NULL);
    l->interrupted = signalled;
    if (k == 1 && c == '\n') return LINE_TEXT;
    fputc('\n', stderr);
    return signalled ? LINE_INTERRUPTED : b->n ? LINE_TEXT : LINE_END;
}

int line_history(struct line *l, const char *path, struct lar_err *err)
{
    (void)l;
    return path ? lar_fail(err, LAR_EUNSUPPORTED, "no history: this lar was built without libedit")
                : 0;
}

#endif
