/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_test.c: the tests: what may follow `is`.
 */
#include "text/template_val.h"

#define ARGS struct tpl_run *r, const struct val *a, const struct tpl_args *raw

static struct val answer(int is) { return is < 0 ? tpl_failed() : tpl_bool(is); }

/* Tests that only look at the kind. */
#define KIND(name, condition)         \
    static struct val is_##name(ARGS) \
    {                                 \
        struct val v = a[0];          \
        (void)r, (void)raw;           \
        return tpl_bool(condition);   \
    }
KIND(defined, v.kind != TPL_UNDEF)
KIND(undefined, v.kind == TPL_UNDEF)
KIND(none, v.kind == TPL_NONE)
KIND(boolean, v.kind == TPL_BOOL)
KIND(false, v.kind == TPL_BOOL && !v.u.i)
KIND(true, v.kind == TPL_BOOL && v.u.i)
KIND(integer, v.kind == TPL_INT || v.kind == TPL_BIG)
KIND(float, v.kind == TPL_FLOAT)
KIND(number, tpl_is_number(v))
KIND(string, v.kind == TPL_STR)
KIND(mapping, v.kind == TPL_DICT)
KIND(iterable, tpl_iter_can(v))
KIND(callable, tpl_val_callable(v))
KIND(escaped, v.kind == TPL_STR && v.markup)
KIND(sameas, tpl_val_same(v, a[1]))
KIND(sequence, v.kind == TPL_UNDEF || v.kind == TPL_STR || v.kind == TPL_BYTES || tpl_is_seq(v) ||
                   v.kind == TPL_DICT || v.kind == TPL_RANGE)
KIND(filter, v.kind == TPL_STR && tpl_filter_find(tpl_view(v)))
KIND(test, v.kind == TPL_STR && tpl_test_find(tpl_view(v)))

/* v % n == rest */
static struct val leaves(struct tpl_run *r, struct val v, struct val n, int64_t rest)
{
    v = tpl_num_op(r, '%', v, n);
    return tpl_bad(v) ? v : answer(tpl_val_eq(r, v, tpl_int(rest)));
}

static struct val is_odd(ARGS)
{
    (void)raw;
    return leaves(r, a[0], tpl_int(2), 1);
}
static struct val is_even(ARGS)
{
    (void)raw;
    return leaves(r, a[0], tpl_int(2), 0);
}
static struct val is_divisibleby(ARGS)
{
    (void)raw;
    return leaves(r, a[0], a[1], 0);
}

static struct val cased(struct tpl_run *r, struct val v, tpl_fn *ask)
{
    v = tpl_repr_str(r, v);
    return tpl_bad(v) ? v : ask(r, &v, NULL);
}

static struct val is_lower(ARGS)
{
    (void)raw;
    return cased(r, a[0], tpl_asks_islower);
}
static struct val is_upper(ARGS)
{
    (void)raw;
    return cased(r, a[0], tpl_asks_isupper);
}

static struct val is_eq(ARGS)
{
    (void)raw;
    return answer(tpl_val_eq(r, a[0], a[1]));
}
static struct val is_ne(ARGS)
{
    int is = tpl_val_eq(r, a[0], a[1]);
    (void)raw;
    return answer(is < 0 ? is : !is);
}
static struct val is_lt(ARGS)
{
    (void)raw;
    return answer(tpl_val_order(r, a[0], a[1], "<"));
}
static struct val is_le(ARGS)
{
    (void)raw;
    return answer(tpl_val_order(r, a[0], a[1], "<="));
}
static struct val is_gt(ARGS)
{
    (void)raw;
    return answer(tpl_val_order(r, a[0], a[1], ">"));
}
static struct val is_ge(ARGS)
{
    (void)raw;
    return answer(tpl_val_order(r, a[0], a[1], ">="));
}
static struct val is_in(ARGS)
{
    (void)raw;
    return answer(tpl_val_in(r, a[0], a[1]));
}

const struct tpl_sig *tpl_test_find(struct str name)
{
    static const struct tpl_sig tests[] = {
        {"defined", "", 0, is_defined},
        {"string", "", 0, is_string},
        {"none", "", 0, is_none},
        {"mapping", "", 0, is_mapping},
        {"undefined", "", 0, is_undefined},
        {"iterable", "", 0, is_iterable},
        {"sequence", "", 0, is_sequence},
        {"true", "", 0, is_true},
        {"false", "", 0, is_false},
        {"boolean", "", 0, is_boolean},
        {"number", "", 0, is_number},
        {"integer", "", 0, is_integer},
        {"float", "", 0, is_float},
        {"in", "seq", 1, is_in},
        {"equalto", "_", 1, is_eq},
        {"eq", "_", 1, is_eq},
        {"==", "_", 1, is_eq},
        {"ne", "_", 1, is_ne},
        {"!=", "_", 1, is_ne},
        {"lt", "_", 1, is_lt},
        {"lessthan", "_", 1, is_lt},
        {"<", "_", 1, is_lt},
        {"le", "_", 1, is_le},
        {"<=", "_", 1, is_le},
        {"gt", "_", 1, is_gt},
        {"greaterthan", "_", 1, is_gt},
        {">", "_", 1, is_gt},
        {"ge", "_", 1, is_ge},
        {">=", "_", 1, is_ge},
        {"odd", "", 0, is_odd},
        {"even", "", 0, is_even},
        {"divisibleby", "num", 1, is_divisibleby},
        {"lower", "", 0, is_lower},
        {"upper", "", 0, is_upper},
        {"callable", "", 0, is_callable},
        {"sameas", "other", 1, is_sameas},
        {"escaped", "", 0, is_escaped},
        {"filter", "", 0, is_filter},
        {"test", "", 0, is_test},
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (str_is(name, tests[i].name)) return &tests[i];
    return NULL;
}
