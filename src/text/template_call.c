/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_call.c: calling things: arguments to parameters, and the global functions.
 */
#include "text/template_ast.h"

#define ARGS struct tpl_run *r, const struct val *a, const struct tpl_args *raw

/* The name of parameter i in a list separated by blanks. */
static struct str param(const char *list, size_t i)
{
    for (; i; i--) {
        list = strchr(list, ' ');
        if (!list) return STR("");
        list++;
    }
    return (struct str){list, strcspn(list, " ")};
}

static int bind(struct tpl_run *r, const struct tpl_sig *sig, const struct tpl_args *args,
                struct val *out, size_t n)
{
    if (args->npos > n) {
        tpl_type_error(r, "%s() takes %zu arguments, got %zu", sig->name, n, args->npos);
        return -1;
    }
    for (size_t i = 0; i < args->npos; i++) out[i] = args->pos[i];
    for (size_t k = 0; k < args->nkw; k++) {
        size_t i = 0;
        while (i < n && !(param(sig->params, i).p[0] != '_' &&
                          str_eq(param(sig->params, i), args->kw[k].name)))
            i++;
        if (i == n) {
            tpl_type_error(r, "%s() got an unexpected keyword argument '%.*s'", sig->name,
                           STR_ARG(args->kw[k].name));
            return -1;
        }
        if (out[i].kind != TPL_MISSING) {
            tpl_type_error(r, "%s() got two values for '%.*s'", sig->name,
                           STR_ARG(args->kw[k].name));
            return -1;
        }
        out[i] = args->kw[k].v;
    }
    for (int i = 0; i < sig->required; i++) {
        if (out[i].kind != TPL_MISSING) continue;
        tpl_type_error(r, "%s() lacks required argument %d", sig->name, i + 1);
        return -1;
    }
    return 0;
}

struct val tpl_call_sig(struct tpl_run *r, const struct tpl_sig *sig, struct val self,
                        const struct tpl_args *args)
{
    struct val a[1 + TPL_PARAMS_MAX] = {self};
    size_t n = 0;
    if (sig->params && sig->params[0])
        for (const char *p = sig->params; p; n++)
            if ((p = strchr(p, ' '))) p++;
    if (sig->params && bind(r, sig, args, a + 1, n)) return tpl_failed();
    if (tpl_enter(r)) return tpl_failed();
    struct val v = sig->fn(r, a, args);
    tpl_leave(r);
    return v;
}

static struct val call_joiner(struct tpl_run *r, struct tpl_cycle *j, const struct tpl_args *args)
{
    if (args->npos || args->nkw) return tpl_type_error(r, "a joiner takes no arguments");
    if (j->at) return j->items->p[0];
    j->at = 1;
    return tpl_str_z(r, "");
}

struct val tpl_call(struct tpl_run *r, struct val f, const struct tpl_args *args)
{
    switch (f.kind) {
    case TPL_MACRO: return tpl_invoke_macro(r, f.u.macro, args);
    case TPL_FUNC: return tpl_call_sig(r, f.u.func, tpl_missing(), args);
    case TPL_METHOD: return tpl_call_sig(r, f.u.method->sig, f.u.method->self, args);
    case TPL_LOOP: return tpl_invoke_loop(r, f.u.loop, args);
    case TPL_JOINER: return call_joiner(r, f.u.cycle, args);
    case TPL_BLOCK: return tpl_invoke_block_text(r, f.u.block, args);
    case TPL_UNDEF: return tpl_undefined_error(r, f);
    default: return tpl_type_error(r, "'%s' object is not callable", tpl_val_type(f));
    }
}

/* ---- global functions ---- */

enum { RANGE_MAX = 100000 }; /* Jinja's sandbox */

static struct val fn_range(ARGS)
{
    int64_t v[3] = {0, 0, 1};
    (void)a;
    if (raw->nkw) return tpl_type_error(r, "range() takes no keyword arguments");
    if (raw->npos < 1 || raw->npos > 3)
        return tpl_type_error(r, "range expected 1 to 3 arguments, got %zu", raw->npos);
    for (size_t i = 0; i < raw->npos; i++)
        if (tpl_val_index(r, raw->pos[i], &v[raw->npos == 1 ? 1 : i])) return tpl_failed();
    if (v[2] == 0) return tpl_type_error(r, "range() arg 3 must not be zero");
    uint64_t n = 0, step = (uint64_t)v[2];
    if (v[2] > 0 && v[0] < v[1]) n = ((uint64_t)v[1] - (uint64_t)v[0] - 1) / step + 1;
    if (v[2] < 0 && v[0] > v[1]) n = ((uint64_t)v[0] - (uint64_t)v[1] - 1) / -step + 1;
    if (n > RANGE_MAX) return tpl_fail(r, LAR_ELIMIT, "a range of more than %d numbers", RANGE_MAX);
    struct tpl_range *g = tpl_alloc(r, sizeof *g);
    if (!g) return tpl_failed();
    *g = (struct tpl_range){v[0], v[1], v[2], (size_t)n};
    return (struct val){.kind = TPL_RANGE, .u.range = g};
}

static struct val fn_dict(ARGS)
{
    (void)a;
    return tpl_dict_make(r, raw);
}

static struct val fn_namespace(ARGS)
{
    struct val v = tpl_dict_make(r, raw);
    (void)a;
    if (!tpl_bad(v)) v.kind = TPL_NS;
    return v;
}

static struct val new_cycle(struct tpl_run *r, int kind, struct val items)
{
    struct tpl_cycle *c = tpl_alloc(r, sizeof *c);
    if (!c || tpl_bad(items)) return tpl_failed();
    *c = (struct tpl_cycle){items.u.l, 0};
    return (struct val){.kind = (uint8_t)kind, .u.cycle = c};
}

static struct val fn_cycler(ARGS)
{
    (void)a;
    if (raw->nkw) return tpl_type_error(r, "cycler takes no keyword arguments");
    if (!raw->npos) return tpl_type_error(r, "at least one item has to be provided");
    return new_cycle(r, TPL_CYCLER, tpl_list_of(r, TPL_TUPLE, raw->pos, raw->npos));
}

static struct val fn_joiner(ARGS)
{
    struct val sep = a[1].kind == TPL_MISSING ? tpl_str_z(r, ", ") : a[1];
    (void)raw;
    return tpl_bad(sep) ? sep : new_cycle(r, TPL_JOINER, tpl_list_of(r, TPL_TUPLE, &sep, 1));
}

static struct val fn_lipsum(ARGS)
{
    (void)a, (void)raw;
    return tpl_fail(r, LAR_EUNSUPPORTED, "lipsum() (random text) is left out");
}

/* The message is the caller's own words: no place is added. */
static struct val fn_raise_exception(ARGS)
{
    struct val text = tpl_repr_str(r, a[1]);
    (void)raw;
    if (tpl_bad(text) || r->failed) return tpl_failed();
    struct str s = tpl_view(text);
    r->failed = LAR_EINVAL;
    lar_fail(r->err, LAR_EINVAL, "%.*s", (int)(s.n < 1000 ? s.n : 1000), s.p);
    return tpl_failed();
}

static struct val fn_strftime_now(ARGS)
{
    (void)raw;
    if (!tpl_is_str(a[1]))
        return tpl_type_error(r, "strftime() argument 1 must be str, not %s", tpl_val_type(a[1]));
    return tpl_time_format(r, tpl_view(a[1]), r->now);
}

const struct tpl_sig *tpl_call_global(struct str name)
{
    static const struct tpl_sig globals[] = {
        {"range", NULL, 0, fn_range},
        {"dict", NULL, 0, fn_dict},
        {"namespace", NULL, 0, fn_namespace},
        {"cycler", NULL, 0, fn_cycler},
        {"joiner", "sep", 0, fn_joiner},
        {"lipsum", NULL, 0, fn_lipsum},
        {"raise_exception", "message", 1, fn_raise_exception},
        {"strftime_now", "format", 1, fn_strftime_now},
    };
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (str_is(name, globals[i].name)) return &globals[i];
    return NULL;
}
