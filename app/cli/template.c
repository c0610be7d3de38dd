/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/template.c: `lar template`: renders a chat template. The template is a file of Jinja or (.gotmpl) of Go's, or the one inside a
 * GGUF; then the model's own bos_token and eos_token are variables too, unless INPUT sets them. Any GGUF
 * serves, also of models that Lar cannot run. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/json.h"
#include "cli/in.h"
#include "cli/look.h"
#include "cli/named.h"
#include "cli/out.h"
#include "cli/verbs.h"

struct source {
    struct lar_file *f; /* NULL: the template is in b */
    struct buf b;
    struct str text;
    struct named named;
    int go, refused; /* refused: it is a model file, and damaged */
};

/* A GGUF by its first bytes, the model that a folder holds, else text. */
static int source_open(struct source *s, const char *arg, struct lar_err *err)
{
    char magic[4] = {0};
    int e = named_open(&s->named, arg, err);
    if (e < 0) return e;
    const char *path = s->named.path;
    s->go = str_ends(str_of(path), STR(".gotmpl"));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return lar_fail_errno(err, "cannot open %s", path);
    ssize_t k = read(fd, magic, sizeof magic);
    int why = errno;
    close(fd);
    errno = why;
    if (k < 0 && why != EISDIR) return lar_fail_errno(err, "cannot read %s", path);
    if (k >= 0 && (k < 4 || memcmp(magic, "GGUF", 4) != 0)) {
        if ((e = in_all(path, &s->b, err)) < 0) return e;
        s->text = buf_view(&s->b);
        return 0;
    }
    if ((e = lar_file_open(&s->f, path, err)) < 0) return s->refused = 1, e;
    if (s->named.m.template_text && *s->named.m.template_text) {
        s->text = str_of(s->named.m.template_text);
        s->go = strstr(s->text.p, "{%") == NULL;
        return 0;
    }
    if (!look_str(s->f, "tokenizer.chat_template", &s->text))
        return lar_fail(err, LAR_EUNSUPPORTED,
                        "%s holds no chat template (tokenizer.chat_template)", path);
    return 0;
}

static void source_done(struct source *s)
{
    named_close(&s->named);
    lar_file_close(s->f);
    buf_done(&s->b);
}

/* Adds "name":"text of the token that key names" behind the opening brace unless input has it. */
static void add_token(struct buf *b, const struct source *s, const struct json *input,
                      const char *name, const char *key)
{
    struct str token;
    if (json_get(input, name) || !s->f || !look_token(s->f, key, &token)) return;
    buf_printf(b, "\"%s\":", name);
    buf_json_str(b, token);
    buf_puts(b, ",");
}

/* The input with the model's variables: text again, for the library's renderer. */
static int complete(struct buf *b, const struct source *s, struct str text, struct lar_err *err)
{
    struct arena a;
    arena_init(&a, 0);
    struct json *input = json_parse(&a, text, err);
    int e = !input ? err->code : 0;
    if (input && input->kind != JSON_OBJECT)
        e = lar_fail(err, LAR_EFORMAT, "is no JSON object (messages, tools, add_generation_prompt, ...)");
    if (e == 0) {
        size_t brace = (size_t)((const char *)memchr(text.p, '{', text.n) - text.p);
        buf_putc(b, '{');
        add_token(b, s, input, "bos_token", "tokenizer.ggml.bos_token_id");
        add_token(b, s, input, "eos_token", "tokenizer.ggml.eos_token_id");
        if (input->n == 0 && b->n > 1) b->n--; /* no comma before a brace that closes at once */
        buf_str(b, str_from(text, brace + 1));
        if (b->failed) e = lar_fail(err, LAR_ENOMEM, "out of memory");
    }
    arena_done(&a);
    return e;
}

static int render(const struct source *s, struct str input, char **out, size_t *n, struct lar_err *err)
{
    return s->go ? lar_template_render_go(s->text.p, s->text.n, input.p, input.n, out, n, err)
                 : lar_template_render(s->text.p, s->text.n, input.p, input.n, out, n, err);
}

static int run(const void *values, char **arg, int narg)
{
    struct source s = {0};
    struct buf file = {0}, input = {0};
    struct lar_err err;
    char *text = NULL;
    size_t n = 0;
    int e, code = EXIT_DONE;
    (void)values, (void)narg;
    if ((e = source_open(&s, arg[0], &err)) == 0 && (e = in_all(arg[1], &file, &err)) == 0 &&
        (e = in_blame(arg[1], complete(&input, &s, buf_view(&file), &err), &err)) == 0 &&
        (e = render(&s, buf_view(&input), &text, &n, &err)) == 0)
        out_text(text, n);
    else
        code = say_err(&err);
    if (!s.refused && code) code = EXIT_FAILED;
    lar_free(text);
    buf_done(&input);
    buf_done(&file);
    source_done(&s);
    return out_done(code);
}

static const struct opt options[] = {{.kind = OPT_END}};

/* clang-format off */
const struct verb verb_template = {
    .name = "template",
    .synopsis = "MODEL|FILE.jinja|FILE.gotmpl INPUT.json",
    .summary = "renders a chat template, to the byte",
    .about = "Renders the chat template of MODEL, or the one that FILE.jinja is (FILE.gotmpl: in Go's language, as "
             "Ollama's Modelfiles have them), with the variables of INPUT.json (- "
             "is standard input): an object with messages, tools, add_generation_prompt and any other variable. "
             "bos_token and eos_token come from MODEL when INPUT lacks them. An error, the template's own "
             "raise_exception too, is one line and exit code 1; only a damaged MODEL is 2, as for every verb.",
    .opts = options,
    .min_args = 2,
    .max_args = 2,
    .run = run,
};
/* clang-format on */
