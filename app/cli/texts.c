/* SPDX-License-Identifier: Apache-2.0
 * cli/texts.c: see texts.h. When several texts fail together each is tried alone, so that the one at fault is named and, in a batch, fails
 * alone. */
#include "cli/named.h"
#include "cli/texts.h"

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/out.h"

#define AT(field) offsetof(struct texts_options, field)
/* clang-format off */
const struct opt texts_opts[] = {
    {.kind = OPT_WORD, .name = "pooling", .arg = "KIND", .at = AT(pooling), .words = "model mean cls last",
     .help = "How a text's tokens become one vector: model (as its file says, the default), mean, cls or last."},
    {.kind = OPT_INT, .name = "truncate", .arg = "N", .at = AT(truncate), .min = -1, .max = 1 << 24,
     .help = "Cut texts to N tokens, -1: to what the model can read. Without it a text that is too long is refused."},
    {.kind = OPT_FLAG, .name = "batch", .at = AT(batch), .value = 1,
     .help = "Standard input has a JSON string a line, so that texts may hold line ends; a line that is refused gives "
             "{\"error\":...} in its place and exit code 2 in the end. Implies --json."},
    {.kind = OPT_INT, .name = "threads", .arg = "N", .at = AT(threads), .min = 0, .max = 256,
     .help = "Worker threads; 0, the default, takes all cores given to the process."},
    {.kind = OPT_END},
};
/* clang-format on */

int texts_open(struct texts_reader *r, const char *path, const struct texts_options *o,
               struct lar_embed_options more)
{
    struct lar_err err;
    struct lar_model_options mo = {.threads = o->threads};
    *r = (struct texts_reader){0};
    more.pooling = (enum lar_pooling)o->pooling;
    more.truncate = o->truncate;
    if (named_model(&r->m, path, &mo, &err) >= 0 &&
        lar_embedder_open(&r->e, r->m, &more, &err) >= 0)
        return EXIT_DONE;
    texts_close(r);
    return say_err(&err);
}

void texts_close(struct texts_reader *r)
{
    lar_embedder_close(r->e);
    lar_model_close(r->m);
}

struct source {
    const struct texts_options *o;
    struct str prefix;
    texts_fn *fn;
    void *ctx;
    struct texts now;
    struct arena a;                /* of the texts in now */
    const char *broken[TEXTS_MAX]; /* of a line that is no JSON string: why */
    size_t bad;
};

/* Says what is wrong with text i of now; in a batch that is no end. */
static int at_fault(struct source *s, size_t i, const char *why)
{
    say("%s %zu: %s", s->o->batch ? "line" : "text", s->now.first + i + 1, why);
    s->bad++;
    if (!s->o->batch) return -1;
    struct buf *b = out();
    buf_puts(b, "{\"error\":");
    buf_json_str(b, str_of(why));
    buf_puts(b, "}\n");
    return 0;
}

static int one_by_one(struct source *s)
{
    int rc = 0;
    for (size_t i = 0; i < s->now.n && rc == 0; i++) {
        struct texts alone = {.t = {s->now.t[i]}, .n = 1, .first = s->now.first + i};
        struct lar_err err;
        if (s->broken[i])
            rc = at_fault(s, i, s->broken[i]);
        else if (s->fn(s->ctx, &alone, &err) < 0) /* for the library it was text 1; its number here comes before */
            rc = at_fault(s, i, strncmp(err.msg, "text 1 ", 7) == 0 ? err.msg + 7 : err.msg);
    }
    return rc;
}

/* What was gathered goes through; -1 ends all. */
static int hand_over(struct source *s)
{
    struct lar_err err;
    int broken = 0, rc = 0;
    for (size_t i = 0; i < s->now.n; i++) broken |= s->broken[i] != NULL;
    if (s->now.n && (broken || s->fn(s->ctx, &s->now, &err) < 0)) rc = one_by_one(s);
    s->now.first += s->now.n;
    s->now.n = 0;
    arena_done(&s->a);
    arena_init(&s->a, IN_BYTES_MAX);
    return rc;
}

/* Puts a text into now, the prefix before it. */
static int gather(struct source *s, struct str text)
{
    size_t i = s->now.n;
    struct lar_err err;
    s->broken[i] = NULL;
    if (s->o->batch) {
        struct json *v = json_parse(&s->a, text, &err);
        text = v && v->kind == JSON_STRING ? v->s : STR("");
        if (!v) s->broken[i] = arena_copy(&s->a, err.msg, strlen(err.msg));
        if (v && v->kind != JSON_STRING) s->broken[i] = "not a JSON string";
    }
    char *all = arena_alloc(&s->a, s->prefix.n + text.n + 1);
    if (!all) {
        say("text %zu: out of memory", s->now.first + i + 1);
        return -1;
    }
    memcpy(all, s->prefix.p, s->prefix.n);
    if (text.n) memcpy(all + s->prefix.n, text.p, text.n);
    s->now.t[i] = (struct lar_text){.text = all, .n = s->prefix.n + text.n};
    s->now.n++;
    return 0;
}

static int from_input(struct source *s)
{
    struct in in = {0};
    struct lar_err err;
    struct str line;
    int k, rc = 0;
    while (rc == 0 && (k = in_line(&in, &line, &err)) > 0) {
        rc = gather(s, line);
        if (rc == 0 && in_ready(&in) && s->now.n < TEXTS_MAX) continue;
        if (rc == 0) rc = hand_over(s);
        if (out_flush() < 0) rc = -1;
    }
    if (rc == 0) rc = hand_over(s);
    if (rc == 0 && k < 0) {
        say_err(&err);
        rc = -1;
    }
    in_done(&in);
    return rc;
}

int texts_each(char **arg, int narg, const struct texts_options *o, const char *prefix,
               texts_fn *fn, void *ctx)
{
    struct source s = {.o = o, .prefix = str_of(prefix ? prefix : ""), .fn = fn, .ctx = ctx};
    int rc = 0;
    if (o->batch && narg) {
        say("--batch reads standard input; '%s' is too much", arg[0]);
        return EXIT_MISUSE;
    }
    arena_init(&s.a, IN_BYTES_MAX);
    for (int i = 0; i < narg && rc == 0; i++) {
        rc = gather(&s, str_of(arg[i]));
        if (rc == 0 && (i + 1 == narg || s.now.n == TEXTS_MAX)) rc = hand_over(&s);
    }
    if (!narg) rc = from_input(&s);
    arena_done(&s.a);
    return out_done(s.bad ? EXIT_MISUSE : rc < 0 ? EXIT_FAILED : EXIT_DONE);
}
