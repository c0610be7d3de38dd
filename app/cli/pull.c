/* SPDX-License-Identifier: Apache-2.0
 * cli/pull.c: `lar pull`: a model from a registry or from Hugging Face, with a line that says how far it is. */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/time.h"
#include "cli/interrupt.h"
#include "cli/out.h"
#include "cli/verbs.h"
#include "store/store.h"

struct pull_options {
    const char *rate;
    int connections, quiet, json;
};

/* What the line shows: the rate is that of the last seconds, not of all the time. */
struct shown {
    int terminal, quiet, json;
    char what[64];
    int64_t began_ns, drawn_ns, mark_ns;
    uint64_t first, mark, rate;
};

static void clock_text(struct buf *b, double s)
{
    if (s >= 3600)
        buf_printf(b, "%.0f h %02.0f min", floor(s / 3600), floor(fmod(s, 3600) / 60));
    else if (s >= 60)
        buf_printf(b, "%.0f min %02.0f s", floor(s / 60), fmod(s, 60));
    else
        buf_printf(b, "%.0f s", s);
}

static void draw(struct shown *s, uint64_t done, uint64_t total)
{
    struct buf b = {0};
    buf_printf(&b, "\r\033[K%s %3.0f %%  ", s->what, (double)done * 100 / (double)total);
    buf_bytes(&b, done);
    buf_puts(&b, " of ");
    buf_bytes(&b, total);
    if (s->rate) {
        buf_puts(&b, "  ");
        buf_bytes(&b, s->rate);
        buf_puts(&b, "/s  ");
        clock_text(&b, (double)(total - done) / (double)s->rate);
        buf_puts(&b, " left");
    }
    (void)!write(STDERR_FILENO, buf_z(&b), b.n);
    buf_done(&b);
}

static void measure(struct shown *s, uint64_t done, int64_t now)
{
    double span = (double)(now - s->mark_ns) * 1e-9;
    if (span < 1) return;
    double fresh = (double)(done - s->mark) / span;
    s->rate = s->rate ? (uint64_t)(0.7 * (double)s->rate + 0.3 * fresh) : (uint64_t)fresh;
    s->mark = done;
    s->mark_ns = now;
}

static void begin(struct shown *s, const char *what, uint64_t done)
{
    size_t n = strlen(what);
    memcpy(s->what, what, n < sizeof s->what ? n + 1 : sizeof s->what);
    s->what[sizeof s->what - 1] = 0;
    s->began_ns = s->mark_ns = time_ns();
    s->first = s->mark = done;
    s->rate = 0;
    s->drawn_ns = 0;
    if (s->json) {
        buf_puts(out(), "{\"status\":");
        buf_json_str(out(), str_of(s->what));
        buf_puts(out(), "}\n");
        out_flush();
    } else if (!s->quiet && !s->terminal) {
        say("%s", s->what);
    }
}

static int progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    struct shown *s = ctx;
    int64_t now = time_ns();
    if (strncmp(what, s->what, sizeof s->what - 1) != 0) begin(s, what, done);
    measure(s, done, now);
    if (total && s->terminal && !s->quiet && (now - s->drawn_ns > 100000000 || done == total)) {
        draw(s, done, total);
        s->drawn_ns = now;
    }
    if (total && s->json && (now - s->drawn_ns > 500000000 || done == total)) {
        buf_printf(out(), "{\"status\":\"%s\",\"completed\":%llu,\"total\":%llu}\n", s->what,
                   (unsigned long long)done, (unsigned long long)total);
        out_flush();
        s->drawn_ns = now;
    }
    return interrupt_seen();
}

/* "500K", "2M", "1.5G": bytes a second. */
static int parse_rate(const char *text, uint64_t *rate, struct lar_err *err)
{
    static const char unit[] = "kmg";
    char *end;
    double v = strtod(text, &end);
    const char *u = *end ? strchr(unit, *end | 32) : NULL;
    if (u) {
        for (int i = 0; i <= u - unit; i++) v *= 1024;
        end++;
    }
    if (end == text || *end || !(v >= 1) || v > 1e15)
        return lar_fail(err, LAR_EINVAL,
                        "--limit-rate needs bytes a second (500K, 2M, 1.5G), not '%s'", text);
    *rate = (uint64_t)v;
    return 0;
}

static int run(const void *values, char **arg, int narg)
{
    const struct pull_options *o = values;
    struct shown shown = {
        .terminal = isatty(STDERR_FILENO) && !o->json, .quiet = o->quiet, .json = o->json};
    struct store_pull how = {.connections = o->connections, .on_progress = progress, .ctx = &shown};
    struct store *s = NULL;
    struct lar_err err;
    (void)narg;
    int e = o->rate ? parse_rate(o->rate, &how.rate, &err) : 0;
    if (e == 0) e = store_open(&s, NULL, &err);
    if (e == 0) {
        interrupt_begin(NULL, 1);
        e = store_pull(s, arg[0], &how, &err);
        interrupt_end();
        if (shown.terminal && !o->quiet) (void)!write(STDERR_FILENO, "\r\033[K", 4);
    }
    store_close(s);
    if (e == 0 && o->json) buf_puts(out(), "{\"status\":\"success\"}\n");
    return e < 0 ? say_err(&err) : out_done(EXIT_DONE);
}

#define AT(field) offsetof(struct pull_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_TEXT, .name = "limit-rate", .at = AT(rate), .arg = "RATE",
     .help = "At most so many bytes a second: 500K, 2M, 1.5G."},
    {.kind = OPT_INT, .name = "connections", .at = AT(connections), .arg = "N", .min = 1, .max = 64,
     .help = "Parts fetched side by side; without it 8."},
    {.kind = OPT_FLAG, .name = "json", .at = AT(json), .value = 1,
     .help = "An object a line: status, and while bytes come completed and total."},
    {.kind = OPT_FLAG, .name = "quiet", .letter = 'q', .at = AT(quiet), .value = 1, .help = "Errors only."},
    {.kind = OPT_END},
};

const struct verb verb_pull = {
    .name = "pull",
    .synopsis = "NAME",
    .summary = "fetches a model",
    .about =
        "Fetches NAME into the store: [host/][namespace/]model[:tag] from a registry (Ollama's, when no host is "
        "named), hf.co/user/repo[:quant] from Hugging Face, split models and projectors too. http:// before the host "
        "is for a registry without TLS; on the machine itself it is understood.\n"
        "\n"
        "Large files come in parts side by side, and are hashed as they come. What is broken off, by a kill too, goes "
        "on where it was when the same is pulled again. The name appears when everything is here and is what its "
        "digests say. Free space is looked at first.\n"
        "\n"
        "LAR_REGISTRY is the address of a mirror of Ollama's registry, HF_ENDPOINT of one of Hugging Face. "
        "LAR_REGISTRY_AUTH=user:password and HF_TOKEN say who asks; they go to the server that they are for and, when "
        "it leads elsewhere, not along. https_proxy and its like are heeded. It needs libcurl (Debian's libcurl4).\n",
    .opts = options,
    .size = sizeof(struct pull_options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
/* clang-format on */
