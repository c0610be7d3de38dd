/* SPDX-License-Identifier: Apache-2.0
 * cli/sampling.c: see sampling.h. Offsets are into struct sampling_given, whose first member is the struct
 * of the library. Ranges are the library's (lar_sampling_check), asked one option at a time so that the
 * message can name the one at fault. */
#include "cli/sampling.h"

#include "base/err.h"

static int check(void *base, const struct opt *o, struct lar_err *err);

#define AT(field) offsetof(struct sampling_given, v.field)
#define NUM(n, field, h)                                                                   \
    {                                                                                      \
        .kind = OPT_NUM, .name = n, .at = AT(field), .arg = "X", .help = h, .check = check \
    }
#define INT(n, field, h)                                                                   \
    {                                                                                      \
        .kind = OPT_INT, .name = n, .at = AT(field), .arg = "N", .help = h, .check = check \
    }

/* clang-format off */
const struct opt sampling_options[] = {
    NUM("temp", temp, "Temperature; 0 always takes the most probable token."),
    INT("top-k", top_k, "Only the N most probable tokens; 0 is off."),
    NUM("top-p", top_p, "Only the most probable tokens that together reach probability X; 1 is off."),
    NUM("min-p", min_p, "Only tokens at least X times as probable as the best; 0 is off."),
    NUM("typical", typical_p, "Only the most typical tokens that together reach probability X; 1 is off."),
    NUM("repeat-penalty", repeat_penalty, "Makes tokens that appeared already less probable; 1 is off."),
    INT("repeat-last-n", repeat_last_n, "How many tokens the penalties look back on; -1 is all, 0 is off."),
    NUM("presence-penalty", presence_penalty, "Taken once from every token that appeared; 0 is off."),
    NUM("frequency-penalty", frequency_penalty, "Taken for each time that a token appeared; 0 is off."),
    NUM("dry-multiplier", dry_multiplier, "Strength of the penalty on repeated phrases (DRY); 0 is off."),
    NUM("dry-base", dry_base, "DRY: how fast the penalty grows with the length of the phrase."),
    INT("dry-allowed-length", dry_allowed_length, "DRY: phrases up to this length are free."),
    INT("dry-penalty-last-n", dry_penalty_last_n, "DRY: how many tokens to look back on; -1 is all."),
    NUM("xtc-probability", xtc_probability, "Chance of dropping the most probable tokens (XTC); 0 is off."),
    NUM("xtc-threshold", xtc_threshold, "XTC: tokens at least this probable are the candidates."),
    INT("mirostat", mirostat, "Mirostat 1 or 2 in place of the cuts above; 0 is off."),
    NUM("mirostat-tau", mirostat_tau, "Mirostat: the surprise to aim at."),
    NUM("mirostat-eta", mirostat_eta, "Mirostat: how fast it learns."),
    {.kind = OPT_I64, .name = "seed", .at = AT(seed), .arg = "N", .check = check,
     .help = "The same seed gives the same text; negative takes one from the system (--json tells which)."},
    {.kind = OPT_END},
};
/* clang-format on */

static size_t width(const struct opt *o)
{
    return o->kind == OPT_I64 ? sizeof(int64_t) : o->kind == OPT_NUM ? sizeof(float) : sizeof(int);
}

static void copy_field(const struct opt *o, const struct lar_sampling *from,
                       struct lar_sampling *to)
{
    memcpy((char *)to + o->at, (const char *)from + o->at, width(o));
}

static int check(void *base, const struct opt *o, struct lar_err *err)
{
    struct sampling_given *g = base;
    struct lar_sampling p;
    lar_sampling_default(&p, NULL);
    copy_field(o, &g->v, &p);
    int e = lar_sampling_check(&p, err);
    if (e == 0) g->set |= (uint32_t)1 << (o - sampling_options);
    /* The option and its value are told already: what was expected remains to be said. */
    struct lar_err why = {0};
    if (e < 0) why = *err;
    const char *tail = strstr(why.msg, "expected ");
    return tail ? lar_fail(err, e, "%s", tail) : e;
}

void sampling_merge(const struct sampling_given *g, const struct lar_model *m,
                    struct lar_sampling *out)
{
    lar_sampling_default(out, m);
    for (int i = 0; sampling_options[i].kind != OPT_END; i++)
        if (g->set >> i & 1) copy_field(&sampling_options[i], &g->v, out);
}

void sampling_list(const struct lar_sampling *p, struct buf *b)
{
    for (const struct opt *o = sampling_options; o->kind != OPT_END; o++) {
        const char *at = (const char *)p + o->at;
        buf_printf(b, "  %-20s ", o->name);
        if (o->kind == OPT_NUM)
            buf_printf(b, "%g\n", (double)*(const float *)(const void *)at);
        else if (o->kind == OPT_INT)
            buf_printf(b, "%d\n", *(const int *)(const void *)at);
        else
            buf_printf(b, "%lld\n", (long long)*(const int64_t *)(const void *)at);
    }
}
