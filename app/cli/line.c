/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/line.c: see line.h. Prompts go to standard error, so that standard output holds answers only. While a line
 * is edited Ctrl-C is a key, not a signal: the terminal's signals are off and the keys are bound here, because
 * a signal would arrive in the middle of libedit's work.
 *
 * Without libedit (EDIT=0) a line is what the terminal gives, and Ctrl-C a signal that ends its reading. */
#include "cli/line.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#if LAR_EDIT
#include <histedit.h>
#include <wchar.h>
#endif

#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "cli/in.h"
#include "cli/out.h"
#include "cli/whole.h"

enum { HISTORY_LINES = 1000 };

struct line {
    char *history_path;
    const char *prompt;
    int interrupted;
#if LAR_EDIT
    EditLine *el;
    History *history;
    char held[4]; /* bytes of a character that is not whole yet */
    size_t nheld, bad; /* bad: bytes of this line that are no UTF-8 */
    int failed, pastes; /* the terminal knows how to bracket what is pasted */
#endif
};

static volatile sig_atomic_t signalled;

static void on_signal(int sig)
{
    (void)sig;
    signalled = 1;
}

enum { NDEADLY = 3 };

/* What SIGINT did before a line was read, and those that end the program. */
struct habit {
    struct sigaction action, deadly[NDEADLY];
    sigset_t mask;
};

/* Until leave_signal SIGINT ends the reading of a line. It is held back but for the time of waiting: one that came
 * between a look at the flag and a read would be lost. */
static void take_signal(struct habit *before)
{
    struct sigaction a;
    sigset_t set;
    memset(&a, 0, sizeof a);
    a.sa_handler = on_signal;
    signalled = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, &before->mask);
    sigaction(SIGINT, &a, &before->action);
}

static void leave_signal(const struct habit *before)
{
    pthread_sigmask(SIG_SETMASK, &before->mask, NULL);
    sigaction(SIGINT, &before->action, NULL);
}

/* 1 when there is something to read, or its end; 0 when a signal ends the line; -1 on an error. */
static int await_input(void)
{
    sigset_t open;
    pthread_sigmask(SIG_BLOCK, NULL, &open);
    sigdelset(&open, SIGINT);
    while (!signalled) {
        struct pollfd p = {STDIN_FILENO, POLLIN, 0};
        int k = ppoll(&p, 1, NULL, &open);
        if (k > 0) return 1;
        if (k < 0 && errno != EINTR) return -1;
    }
    return 0;
}

const char *line_history_path(const struct line *l) { return l->history_path; }

#if LAR_EDIT

static const char paste_on[] = "\033[?2004h", paste_off[] = "\033[?2004l";
static const int deadly[NDEADLY] = {SIGTERM, SIGHUP, SIGQUIT};

/* The terminal shall not go on bracketing what is pasted when nobody takes the brackets off any more. */
static void on_deadly(int sig)
{
    (void)!write(STDERR_FILENO, paste_off, sizeof paste_off - 1);
    signal(sig, SIG_DFL);
    raise(sig);
}

static void take_deadly(struct habit *before)
{
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_handler = on_deadly;
    for (int i = 0; i < NDEADLY; i++) {
        sigaction(deadly[i], &a, &before->deadly[i]);
        if (before->deadly[i].sa_handler == SIG_IGN) sigaction(deadly[i], &before->deadly[i], NULL); /* nohup */
    }
}

static void leave_deadly(const struct habit *before)
{
    for (int i = 0; i < NDEADLY; i++) sigaction(deadly[i], &before->deadly[i], NULL);
}

static char *prompt_of(EditLine *el)
{
    struct line *l = NULL;
    static char text[16];
    el_get(el, EL_CLIENTDATA, &l);
    snprintf(text, sizeof text, "%s", l->prompt);
    return text;
}

/* A character from the terminal. libedit's own reader passes over bytes that are no UTF-8 without a word; here each becomes U+FFFD and is
 * counted. A SIGINT that somebody sends (typed, Ctrl-C is a key) ends the line as the key does. */
static int read_char(EditLine *el, wchar_t *out)
{
    struct line *l = NULL;
    el_get(el, EL_CLIENTDATA, &l);
    for (;;) {
        uint32_t c = 0;
        size_t k = l->nheld ? utf8_decode(l->held, l->nheld, &c) : 0;
        int cut = l->nheld && !k && utf8_incomplete_tail(l->held, l->nheld) == l->nheld;
        if (l->nheld && !cut) {
            if (!k) l->bad++;
            *out = k ? (wchar_t)c : 0xfffd;
            l->nheld -= k ? k : 1;
            memmove(l->held, l->held + (k ? k : 1), l->nheld);
            return 1;
        }
        ssize_t n = await_input() > 0 ? read(STDIN_FILENO, l->held + l->nheld, 1) : -1;
        if (n == 1) {
            l->nheld++;
        } else if (n == 0 || errno != EINTR || signalled) {
            l->interrupted = signalled;
            return n == 0 ? 0 : -1;
        }
    }
}

/* What a terminal brackets as pasted is text to its end: its line ends and tabs too. */
static unsigned char on_paste(EditLine *el, int key)
{
    static const wchar_t end[] = L"\033[201~";
    enum { END = sizeof end / sizeof *end - 1 };
    struct line *l = NULL;
    wchar_t c[2] = {0}, last = 0;
    size_t met = 0;
    (void)key;
    el_get(el, EL_CLIENTDATA, &l);
    while (met < END) {
        if (el_wgetc(el, c) != 1 || c[0] == 3) {
            l->interrupted = 1;
            return CC_EOF;
        }
        if (c[0] == end[met]) {
            met++;
            continue;
        }
        for (size_t i = 0; i < met; i++) el_winsertstr(el, (wchar_t[]){end[i], 0});
        met = c[0] == end[0];
        if (met) continue;
        wchar_t was = last;
        last = c[0];
        if (c[0] == L'\n' && was == L'\r') continue;
        if (c[0] == L'\r') c[0] = L'\n';
        if (c[0]) l->failed |= el_winsertstr(el, c) < 0;
    }
    return CC_REFRESH;
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
    struct line *l = NULL;
    (void)key;
    el_get(el, EL_CLIENTDATA, &l);
    if (l->pastes) fputs(paste_off, stderr);
    el_set(el, EL_PREP_TERM, 0);
    raise(SIGTSTP);
    el_set(el, EL_PREP_TERM, 1);
    if (l->pastes) fputs(paste_on, stderr);
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
    el_set(l->el, EL_ADDFN, "lar-paste", "takes what is pasted as it is", on_paste);
    el_set(l->el, EL_BIND, "^C", "lar-interrupt", NULL);
    el_set(l->el, EL_BIND, "^I", "ed-insert", NULL); /* a tab is text: there is nothing to complete */
    el_set(l->el, EL_BIND, "\\e[200~", "lar-paste", NULL);
    el_wset(l->el, EL_GETCFN, read_char);
    char *up = NULL, name[] = "up"; /* a terminal that is known, and moves its cursor */
    l->pastes = isatty(STDERR_FILENO) && el_get(l->el, EL_GETTC, name, &up) == 0 && up && *up;
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

/* libedit writes its file in place, and a full disk would cost the lines of other days. Its form: a line of its own, then the oldest line
 * first, what is no visible byte as \ooo (vis(3)). */
static int write_history(struct line *l, const char *path, struct lar_err *err)
{
    HistEvent ev;
    struct buf b = {0};
    buf_puts(&b, "_HiStOrY_V2_\n");
    for (int more = history(l->history, &ev, H_LAST); more >= 0; more = history(l->history, &ev, H_PREV)) {
        for (const char *p = ev.str; *p; p++) {
            unsigned char c = (unsigned char)*p;
            if (c <= ' ' || c == '\\' || c == 0x7f)
                buf_printf(&b, "\\%03o", (unsigned)c);
            else
                buf_putc(&b, *p);
        }
        buf_putc(&b, '\n');
    }
    int e = b.failed ? lar_fail(err, LAR_ENOMEM, "out of memory for %s", path) : whole_write(path, &b, WHOLE_OWN, err);
    buf_done(&b);
    return e;
}

static void remember(struct line *l, const char *text)
{
    HistEvent ev;
    struct lar_err err;
    if (text[0] == '\n' || !text[0]) return;
    history(l->history, &ev, H_ENTER, text);
    if (!l->history_path || write_history(l, l->history_path, &err) == 0) return;
    say_err(&err);
    fputs("Lines are kept no longer (/set history on tries again).\n", stderr);
    mem_free(l->history_path);
    l->history_path = NULL;
}

enum line_end line_read(struct line *l, const char *prompt, struct buf *b)
{
    int n = 0;
    struct habit before;
    l->prompt = prompt;
    l->interrupted = l->failed = 0;
    l->bad = 0;
    buf_clear(b);
    take_signal(&before);
    if (l->pastes) take_deadly(&before), fputs(paste_on, stderr);
    const char *text = el_gets(l->el, &n);
    if (l->pastes) fputs(paste_off, stderr), leave_deadly(&before);
    leave_signal(&before);
    if (l->bad) say("%zu bytes of this line are no UTF-8; U+FFFD stands in their place", l->bad);
    if (!text || n <= 0) {
        fputc('\n', stderr);
        return l->interrupted ? LINE_INTERRUPTED : LINE_END;
    }
    remember(l, text);
    size_t length = strlen(text);
    buf_add(b, text, length - (text[length - 1] == '\n'));
    b->failed |= l->failed;
    return LINE_TEXT;
}

enum { HISTORY_BYTES_MAX = 16 << 20 };

/* What the file holds, if it is there. An empty one holds nothing and is no error. */
static int load_history(struct line *l, const char *path, struct lar_err *err)
{
    HistEvent ev;
    struct stat st;
    if (stat(path, &st)) return 0; /* writing will say what is wrong */
    int fd = in_regular(path, err);
    if (fd < 0) return fd;
    close(fd);
    if (st.st_size > HISTORY_BYTES_MAX)
        return lar_fail(err, LAR_ELIMIT, "%s: no history: more than %d MiB", path, HISTORY_BYTES_MAX >> 20);
    if (st.st_size && history(l->history, &ev, H_LOAD, path) < 0)
        return lar_fail(err, LAR_EFORMAT, "%s: is no history of lines", path);
    return 0;
}

int line_history(struct line *l, const char *path, struct lar_err *err)
{
    char *own = NULL;
    if (path) {
        HistEvent ev;
        history(l->history, &ev, H_CLEAR); /* what was typed before was not to be written */
        int e = load_history(l, path, err);
        if (e == 0) e = write_history(l, path, err); /* can it be kept there at all? */
        if (e < 0) return e;
        size_t n = strlen(path) + 1;
        if (!(own = mem_alloc(n))) return lar_fail(err, LAR_ENOMEM, "out of memory");
        memcpy(own, path, n);
    }
    mem_free(l->history_path);
    l->history_path = own;
    return 0;
}

#else /* without libedit */

struct line *line_open(void) { return mem_zalloc(sizeof(struct line)); }

void line_close(struct line *l) { mem_free(l); }

enum line_end line_read(struct line *l, const char *prompt, struct buf *b)
{
    struct habit before;
    char c = 0;
    ssize_t k = 0;
    take_signal(&before);
    buf_clear(b);
    fprintf(stderr, "%s", prompt);
    /* The terminal hands over whole lines; byte by byte leaves the next one for the next call. */
    while (!b->failed && await_input() > 0 && (k = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n')
        buf_putc(b, c);
    leave_signal(&before);
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
