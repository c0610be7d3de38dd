/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/logits.c: `lar logits`: the numbers a model gives, in a file that others can compare: the tool by which
 * rightness is proved. Nothing is sampled and no template is applied. */
#include <lar/batch.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/adapters.h"
#include "cli/idlist.h"
#include "cli/in.h"
#include "cli/interrupt.h"
#include "cli/named.h"
#include "cli/out.h"
#include "cli/target.h"
#include "cli/verbs.h"

struct logits_options {
    const char *tokens, *tokens_file, *prompt, *slices, *output;
    int all, kv, greedy, threads, deterministic, ctx;
    struct opt_list adapter;
};

struct logits {
    const struct logits_options *o;
    struct lar_model *m;
    struct lar_session *s;
    struct lar_model_info info;
    struct idlist prompt, slices, greedy;
    float *rows; /* [--all: prompt.n, else 1][vocab] */
    size_t nrow;
};

/* ---- the prompt ---------------------------------------------------------------------------------------------- */

static int read_prompt(struct logits *l, struct lar_err *err)
{
    const struct logits_options *o = l->o;
    int e;
    if (o->prompt) {
        e = idlist_tokenize(&l->prompt, l->m, str_of(o->prompt),
                            LAR_TOKENIZE_SPECIAL | LAR_TOKENIZE_BOS, err);
    } else if (o->tokens) {
        e = idlist_parse(&l->prompt, str_of(o->tokens), err);
    } else {
        struct buf b = {0};
        if ((e = in_all(o->tokens_file, &b, err)) == 0)
            e = in_blame(o->tokens_file, idlist_parse(&l->prompt, buf_view(&b), err), err);
        buf_done(&b);
    }
    if (e == 0 && l->prompt.n == 0)
        e = lar_fail(err, LAR_EINVAL, "logits: the prompt has no tokens");
    if (e == 0) e = idlist_check(&l->prompt, l->m, err);
    if (e == 0 && o->slices) {
        e = idlist_parse(&l->slices, str_of(o->slices), err);
        for (size_t i = 0; e == 0 && i < l->slices.n; i++)
            if (l->slices.v[i] == 0)
                e = lar_fail(err, LAR_EINVAL, "--slices: a slice of no tokens");
        size_t all = 0;
        for (size_t i = 0; i < l->slices.n; i++) all += (size_t)l->slices.v[i];
        if (e == 0 && all > l->prompt.n)
            e = lar_fail(err, LAR_EINVAL, "--slices: %zu tokens in slices, but the prompt has %zu", all, l->prompt.n);
    }
    return e;
}

/* Room for prompt and continuation, in whole 256s where the model was trained for that much: some families choose
 * their rotary factors by the room, and this is the room that others give. */
static int room(const struct logits *l, struct lar_err *err)
{
    size_t need = l->prompt.n + (size_t)l->o->greedy, whole = (need + 255) / 256 * 256;
    if (need > INT32_MAX / 2)
        return lar_fail(err, LAR_ELIMIT, "logits: a prompt of %zu tokens is too long", need);
    if (l->o->ctx && (size_t)l->o->ctx < need)
        return lar_fail(err, LAR_ELIMIT,
                        "logits: --ctx %d is too small for %zu tokens of prompt and %d of --greedy",
                        l->o->ctx, l->prompt.n, l->o->greedy);
    if (l->o->ctx) return l->o->ctx;
    return (int)(l->info.ctx_train > 0 && whole > (size_t)l->info.ctx_train ? need : whole);
}

/* ---- evaluation ------------------------------------------------------------------------------------------------ */

static int take_rows(struct logits *l, struct lar_err *err)
{
    size_t count, bytes;
    l->nrow = l->o->all ? l->prompt.n : 1;
    if (mul_size(l->nrow, (size_t)l->info.vocab, &count) ||
        mul_size(count, sizeof *l->rows, &bytes) || !(l->rows = mem_alloc(bytes)))
        return lar_fail(err, LAR_ENOMEM, "out of memory for %zu rows of %d logits", l->nrow,
                        l->info.vocab);
    return 0;
}

/* A signal between two steps cancels neither: the next one would begin anew. */
static int stopped(struct lar_err *err)
{
    return interrupt_seen() ? lar_fail(err, LAR_ECANCEL, "stopped") : 0;
}

/* The prompt in its slices; what they leave over is the last piece. */
static int evaluate(struct logits *l, struct lar_err *err)
{
    size_t at = 0;
    lar_session_reuse(l->s, l->prompt.v, l->prompt.n); /* nothing to reuse: it says how long the prompt will be */
    for (size_t i = 0; at < l->prompt.n; i++) {
        size_t left = l->prompt.n - at, k = i < l->slices.n ? (size_t)l->slices.v[i] : left;
        if (k > left) k = left;
        float *rows = l->o->all ? l->rows + at * (size_t)l->info.vocab : NULL;
        int e = lar_session_extend(l->s, l->prompt.v + at, k, rows, err);
        if (e < 0 || (e = stopped(err)) < 0) return e;
        at += k;
    }
    if (!l->o->all)
        memcpy(l->rows, lar_session_logits(l->s), sizeof *l->rows * (size_t)l->info.vocab);
    return 0;
}

/* The most probable token, of equal ones the first; negative when a logit is no number. */
static int best(const float *row, int n)
{
    int at = 0;
    for (int i = 0; i < n; i++) {
        if (row[i] != row[i]) return -1;
        if (row[i] > row[at]) at = i;
    }
    return at;
}

static int continue_greedily(struct logits *l, struct lar_err *err)
{
    int e = idlist_room(&l->greedy, (size_t)l->o->greedy, err);
    while (e >= 0 && (e = stopped(err)) >= 0 && l->greedy.n < (size_t)l->o->greedy) {
        int32_t id = best(lar_session_logits(l->s), l->info.vocab);
        if (id < 0)
            return lar_fail(err, LAR_EFORMAT,
                            "a logit after token %zu is not a number: damaged weights?",
                            l->prompt.n + l->greedy.n);
        l->greedy.v[l->greedy.n++] = id;
        if (l->greedy.n < (size_t)l->o->greedy) e = lar_session_extend(l->s, &id, 1, NULL, err);
    }
    return e < 0 ? e : 0;
}

static int write_file(const struct logits *l, struct lar_err *err)
{
    struct lar_array a[2] = {
        {"logits", "F32", 2, {(int64_t)l->nrow, l->info.vocab}, l->rows},
        {"greedy", "I32", 1, {(int64_t)l->greedy.n}, l->greedy.v},
    };
    return lar_write_safetensors(l->o->output, a, l->o->greedy ? 2 : 1, err);
}

/* ---- the verb ---------------------------------------------------------------------------------------------------- */

static int check_options(const struct logits_options *o, struct lar_err *err)
{
    if (!!o->tokens + !!o->tokens_file + !!o->prompt != 1)
        return lar_fail(err, LAR_EINVAL,
                        "logits: give one of --tokens, --tokens-file and --prompt");
    if (!o->output)
        return lar_fail(err, LAR_EINVAL, "logits: -o FILE.safetensors says where the numbers go");
    return 0;
}

static int run(const void *values, char **arg, int narg)
{
    struct logits l = {.o = values};
    struct lar_err err;
    int e;
    (void)narg;
    struct target reads = {.ninput = 0};
    if (check_options(l.o, &err) < 0) return say_err(&err);
    struct adapters ad;
    target_input(&reads, l.o->tokens_file);
    struct lar_model_options mo = {.threads = l.o->threads, .deterministic = l.o->deterministic};
    e = adapters_read(&ad, &l.o->adapter, &mo, &err);
    for (size_t i = 0; i < l.o->adapter.n; i++) target_input(&reads, buf_z(&ad.path[i]));
    if (e == 0) e = target_check_model(&reads, arg[0], l.o->output, TARGET_NUMBERS, &err);
    if (e == 0 && (e = named_model(&l.m, arg[0], &mo, &err)) == 0) {
        lar_model_info(l.m, &l.info);
        e = read_prompt(&l, &err);
    }
    if (e == 0 && (e = room(&l, &err)) > 0) {
        struct lar_session_options so = {.ctx = e, .kv = (enum lar_kv)l.o->kv};
        e = lar_session_open(&l.s, l.m, &so, &err);
    }
    interrupt_begin(l.s, 1);
    if (e == 0 && (e = take_rows(&l, &err)) == 0 && (e = evaluate(&l, &err)) == 0 &&
        (e = continue_greedily(&l, &err)) == 0)
        e = write_file(&l, &err);
    adapters_done(&ad);
    interrupt_end();
    mem_free(l.rows);
    idlist_done(&l.prompt);
    idlist_done(&l.slices);
    idlist_done(&l.greedy);
    lar_session_close(l.s);
    lar_model_close(l.m);
    return e < 0 ? say_err(&err) : EXIT_DONE;
}

#define AT(field) offsetof(struct logits_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_TEXT, .name = "tokens", .at = AT(tokens), .arg = "1,2,3",
     .help = "The prompt as token ids. Nothing is added to them."},
    {.kind = OPT_TEXT, .name = "tokens-file", .at = AT(tokens_file), .arg = "F.json",
     .help = "The same from a file that holds a JSON array; - is standard input."},
    {.kind = OPT_TEXT, .name = "prompt", .at = AT(prompt), .arg = "TEXT",
     .help = "The prompt as text, tokenised as by lar tokenize; no template is applied."},
    {.kind = OPT_TEXT, .name = "output", .letter = 'o', .at = AT(output), .arg = "FILE",
     .help = "Where the result goes, as .safetensors; an old file is replaced in one step, at the end."},
    {.kind = OPT_FLAG, .name = "all", .at = AT(all), .value = 1,
     .help = "The logits after every token of the prompt, not only after the last."},
    {.kind = OPT_INT, .name = "greedy", .at = AT(greedy), .arg = "N", .max = 1 << 20,
     .help = "Also continues the prompt by N tokens, each the most probable one."},
    {.kind = OPT_TEXT, .name = "slices", .at = AT(slices), .arg = "1,7,40",
     .help = "Evaluates the prompt in pieces of these lengths; what is left over is one more piece."},
    {.kind = OPT_WORD, .name = "kv", .at = AT(kv), .arg = "TYPE", .words = "f16 f32 q8_0",
     .help = "How keys and values are kept: f16 (the default), f32 or q8_0."},
    {.kind = OPT_INT, .name = "ctx", .at = AT(ctx), .arg = "N", .min = 1, .max = 1 << 28,
     .help = "Tokens of room; without it what is needed, in whole 256s."},
    {.kind = OPT_GROUP, .group = adapters_opts, .at = AT(adapter)},
    {.kind = OPT_FLAG, .name = "deterministic", .at = AT(deterministic), .value = 1,
     .help = "The same to the last bit, whatever the batch, slices and threads are; prompts are slower."},
    {.kind = OPT_INT, .name = "threads", .at = AT(threads), .arg = "N", .min = 1, .max = 256,
     .help = "Worker threads; without it as many as there are cores."},
    {.kind = OPT_END},
};

const struct verb verb_logits = {
    .name = "logits",
    .synopsis = "MODEL (--prompt TEXT|--tokens 1,2,3) -o FILE",
    .summary = "the model's numbers, to a file",
    .about = "Evaluates a prompt and writes the logits: tensor logits, F32 [rows, vocabulary], the row after the last "
             "token or with --all after every one; with --greedy N also tensor greedy, I32 [N].",
    .opts = options,
    .size = sizeof(struct logits_options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
/* clang-format on */
