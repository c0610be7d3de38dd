/* SPDX-License-Identifier: Apache-2.0
 * cli/drafting.c: see drafting.h. */
#include "cli/drafting.h"

#include <lar/plan.h>

#include "base/err.h"
#include "cli/named.h"

static int open_model(struct drafting *d, const char *name, const struct lar_model *m,
                      const struct lar_model_options *o, struct lar_err *err)
{
    struct lar_model_options mo = {.threads = o->threads, .deterministic = o->deterministic};
    struct lar_err why;
    int e = named_model(&d->m, name, &mo, &why);
    if (e == 0) e = lar_draft_check(m, d->m, &why);
    if (e == 0) e = lar_draft_open(&d->d, d->m, 1, &why);
    return e < 0 ? lar_fail(err, e, "--draft %s: %s", name, why.msg) : 0;
}

int drafting_join(struct drafting *d, const struct drafting_given *g, struct lar_session *s, const struct lar_model *m,
                  const struct lar_session_options *o, const struct lar_model_options *mo, uint64_t most,
                  struct lar_err *err)
{
    struct lar_session_options so = {.ctx = lar_session_ctx(s), .kv = o->kv};
    struct lar_plan p;
    if (!g->model) {
        if (!g->most && !g->always) return 0;
        return lar_fail(err, LAR_EINVAL, "--draft-max and --draft-always: only with --draft");
    }
    int e = d->m ? 0 : open_model(d, g->model, m, mo, err);
    if (e == 0) e = lar_plan(d->m, &so, most, &p, err);
    if (e == 0 && most) e = lar_plan_check(&p, g->model, err);
    if (e < 0) return e;
    lar_session_close(d->s);
    d->s = NULL;
    if ((e = lar_session_open(&d->s, d->m, &so, err)) < 0) return e;
    return lar_session_draft(s, d->d, d->s, g->most, g->always, err);
}

void drafting_close(struct drafting *d)
{
    lar_session_close(d->s);
    lar_draft_close(d->d);
    lar_model_close(d->m);
    *d = (struct drafting){0};
}

#define AT(field) offsetof(struct drafting_given, field)
/* clang-format off */
const struct opt drafting_options[] = {
    {.kind = OPT_TEXT, .name = "draft", .at = AT(model), .arg = "MODEL",
     .help = "This smaller model with the same tokens guesses what comes next, and MODEL evaluates the guesses in one "
             "step: faster where it is often right. The answer is drawn as without. While it does not pay, which is "
             "measured, it hardly guesses."},
    {.kind = OPT_INT, .name = "draft-max", .at = AT(most), .arg = "N", .min = 1, .max = LAR_GUESSES_MAX,
     .help = "It guesses up to N tokens at once (16 at most); 8 without it."},
    {.kind = OPT_FLAG, .name = "draft-always", .at = AT(always), .value = 1,
     .help = "It guesses whether it pays or not."},
    {.kind = OPT_END},
};
/* clang-format on */
