/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/tokenize.c: `lar tokenize`: text to token ids and back. The batch form is a filter for other programs:
 * a line in, a line out, written at once when nobody else is waiting, one bad line failing alone. */
#include <unistd.h>

#include "base/err.h"
#include "base/json.h"
#include "cli/idlist.h"
#include "cli/in.h"
#include "cli/named.h"
#include "cli/out.h"
#include "cli/verbs.h"

struct tokenize_options {
    int json, no_bos, no_special, batch, decode;
};

struct tokenize {
    const struct tokenize_options *o;
    struct lar_model *m;
    struct idlist ids;
};

static void write_ids(struct tokenize *t)
{
    struct buf *b = out();
    buf_puts(b, "{\"ids\":[");
    for (size_t i = 0; i < t->ids.n; i++) {
        buf_printf(b, "%s%d", i ? "," : "", t->ids.v[i]);
        out_spill();
    }
    buf_puts(b, "],\"pieces\":[");
    for (size_t i = 0; i < t->ids.n; i++) {
        struct str piece = {0};
        piece.p = lar_token_piece(t->m, t->ids.v[i], &piece.n);
        if (i) buf_putc(b, ',');
        buf_json_str(b, piece);
        out_spill();
    }
    buf_puts(b, "]}\n");
}

static void write_table(struct tokenize *t)
{
    struct buf *b = out();
    for (size_t i = 0; i < t->ids.n; i++) {
        struct str piece = {0};
        piece.p = lar_token_piece(t->m, t->ids.v[i], &piece.n);
        buf_printf(b, "%8d  ", t->ids.v[i]);
        buf_json_str(b, piece);
        buf_putc(b, '\n');
        out_spill();
    }
}

static int encode(struct tokenize *t, struct str text, int json, struct lar_err *err)
{
    unsigned flags =
        (t->o->no_special ? 0u : LAR_TOKENIZE_SPECIAL) | (t->o->no_bos ? 0u : LAR_TOKENIZE_BOS);
    int e = idlist_tokenize(&t->ids, t->m, text, flags, err);
    if (e < 0) return e;
    in_odd("the text", text);
    if (json)
        write_ids(t);
    else
        write_table(t);
    return 0;
}

static int decode(struct tokenize *t, struct str list, int json, struct lar_err *err)
{
    char *text;
    size_t n;
    int e;
    unsigned flags = (t->o->no_special ? 0u : LAR_DETOKENIZE_SPECIAL) | (json ? 0u : LAR_DETOKENIZE_BYTES);
    if ((e = idlist_parse(&t->ids, list, err)) < 0 || (e = idlist_check(&t->ids, t->m, err)) < 0 ||
        (e = lar_detokenize(t->m, t->ids.v, t->ids.n, flags, &text, &n, err)) < 0)
        return e;
    struct buf *b = out();
    if (json) {
        buf_puts(b, "{\"text\":");
        buf_json_str(b, (struct str){text, n});
        buf_puts(b, "}\n");
    } else {
        out_text(text, n);
        if (isatty(STDOUT_FILENO)) buf_putc(b, '\n');
    }
    lar_free(text);
    return 0;
}

/* One line of the batch: a JSON string, or with --decode a JSON array of ids. */
static int batch_line(struct tokenize *t, struct str line, struct lar_err *err)
{
    struct arena a;
    if (t->o->decode) return decode(t, line, 1, err);
    arena_init(&a, 0);
    struct json *v = json_parse(&a, line, err);
    int e = !v                       ? err->code
            : v->kind != JSON_STRING ? lar_fail(err, LAR_EFORMAT, "not a JSON string")
                                     : encode(t, v->s, 1, err);
    arena_done(&a);
    return e;
}

static int batch(struct tokenize *t)
{
    struct in in = {0};
    struct lar_err err;
    struct str line;
    size_t number = 0, bad = 0;
    int e;
    while ((e = in_line(&in, &line, &err)) > 0) {
        number++;
        if (batch_line(t, line, &err) < 0) {
            struct buf *b = out();
            bad++;
            say("line %zu: %s", number, err.msg);
            buf_puts(b, "{\"error\":");
            buf_json_str(b, str_of(err.msg));
            buf_puts(b, "}\n");
        }
        if (in_ready(&in))
            out_spill();
        else if (out_flush() < 0)
            break;
    }
    in_done(&in);
    return e < 0 ? out_done(say_err(&err)) : out_done(bad ? EXIT_MISUSE : EXIT_DONE);
}

static int one(struct tokenize *t, const char *text)
{
    struct lar_err err;
    struct buf all = {0};
    struct str s = str_of(text);
    int e = 0;
    if (!text || strcmp(text, "-") == 0) {
        e = in_all("-", &all, &err);
        s = buf_view(&all);
    }
    if (e == 0) e = t->o->decode ? decode(t, s, t->o->json, &err) : encode(t, s, t->o->json, &err);
    buf_done(&all);
    return out_done(e < 0 ? say_err(&err) : EXIT_DONE);
}

static int run(const void *values, char **arg, int narg)
{
    struct tokenize t = {.o = values};
    struct lar_err err;
    int code;
    if (t.o->batch && narg > 1) {
        say("tokenize: --batch reads standard input; '%s' is too much", arg[1]);
        return EXIT_MISUSE;
    }
    struct lar_model_options mo = {.vocab_only = 1};
    if (named_model(&t.m, arg[0], &mo, &err) < 0) return say_err(&err);
    code = t.o->batch ? batch(&t) : one(&t, narg > 1 ? arg[1] : NULL);
    idlist_done(&t.ids);
    lar_model_close(t.m);
    return code;
}

#define AT(field) offsetof(struct tokenize_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_FLAG, .name = "json", .at = AT(json), .value = 1,
     .help = "One object {\"ids\":[...],\"pieces\":[...]}; with --decode {\"text\":...}."},
    {.kind = OPT_FLAG, .name = "no-bos", .at = AT(no_bos), .value = 1,
     .help = "Do not add what the tokenizer adds by itself (begin of sequence and the like)."},
    {.kind = OPT_FLAG, .name = "no-special", .at = AT(no_special), .value = 1,
     .help = "Text that looks like a special token stays text; with --decode, special tokens are left out."},
    {.kind = OPT_FLAG, .name = "batch", .at = AT(batch), .value = 1,
     .help = "Reads one JSON string a line (with --decode: one array of ids) and writes one object a line. A line "
             "that is refused gives {\"error\":...} and exit code 2 in the end."},
    {.kind = OPT_FLAG, .name = "decode", .at = AT(decode), .value = 1,
     .help = "Takes ids (1,2,3 or a JSON array) and gives their text, to the byte (with --json, what is no "
             "UTF-8 is U+FFFD)."},
    {.kind = OPT_END},
};

const struct verb verb_tokenize = {
    .name = "tokenize",
    .synopsis = "MODEL [TEXT]",
    .summary = "text to token ids and pieces, and back",
    .about = "Prints the token ids of TEXT, each with its piece as the vocabulary writes it. Without TEXT, or with -, "
             "standard input is read and every byte of it counts, the last newline too. MODEL may be a file that "
             "holds a tokenizer only, or a Hugging Face folder, tokenizer.json, tokenizer.model or .tiktoken file.",
    .opts = options,
    .size = sizeof(struct tokenize_options),
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
/* clang-format on */
