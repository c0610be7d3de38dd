/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_filter.c: the filters by name, and those that are about single values: numbers,
 * defaults, conversions.
 */
#include <math.h>

#include "text/template_val.h"

#define ARGS     struct tpl_run *r, const struct val *a, const struct tpl_args *raw
#define GIVEN(v) ((v).kind != TPL_MISSING)

static struct val f_abs(ARGS)
{
    (void)raw;
    if (a[0].kind == TPL_FLOAT) return tpl_float(fabs(a[0].u.f));
    if (tpl_is_integer(a[0])) return tpl_num_neg(r, a[0], !tpl_int_negative(a[0]));
    if (a[0].kind == TPL_UNDEF) return tpl_type_error(r, "bad operand type for abs(): 'Undefined'");
    return tpl_type_error(r, "bad operand type for abs(): '%s'", tpl_val_type(a[0]));
}

static struct val f_attr(ARGS)
{
    (void)raw;
    if (!tpl_is_str(a[1]))
        return tpl_type_error(r, "attribute name must be string, not '%s'", tpl_val_type(a[1]));
    struct val v = tpl_attr_own(r, a[0], tpl_view(a[1]));
    return GIVEN(v) ? v : tpl_val_undef_attr(r, a[0], a[1], 0);
}

static struct val f_default(ARGS)
{
    int use = a[0].kind == TPL_UNDEF;
    (void)raw;
    if (!use && GIVEN(a[2])) {
        int boolean = tpl_val_truth(r, a[2]), is = boolean > 0 ? tpl_val_truth(r, a[0]) : 1;
        if (boolean < 0 || is < 0) return tpl_failed();
        use = !is;
    }
    if (!use) return a[0];
    return GIVEN(a[1]) ? a[1] : tpl_str_z(r, "");
}

static struct val f_length(ARGS)
{
    size_t n;
    (void)raw;
    return tpl_val_len(r, a[0], &n) ? tpl_failed() : tpl_size(n);
}

static struct val f_list(ARGS)
{
    (void)raw;
    return tpl_list_from(r, TPL_LIST, a[0]);
}

static struct val f_string(ARGS)
{
    (void)raw;
    return tpl_repr_soft(r, a[0]);
}

static struct val f_safe(ARGS)
{
    struct val v = tpl_repr_soft(r, a[0]);
    (void)raw;
    v.markup = 1;
    return v;
}

static struct val f_escape(ARGS)
{
    (void)raw;
    return tpl_str_escape(r, a[0]);
}

static struct val f_pprint(ARGS)
{
    (void)raw;
    return tpl_pretty(r, a[0]);
}

/* ---- numbers ---- */

/* float(v) where Python has it: TPL_FLOAT, TPL_MISSING when it is no number, failed. */
static struct val as_float(struct tpl_run *r, struct val v)
{
    double f;
    if (tpl_is_str(v)) return tpl_num_parse_float(tpl_view(v));
    if (v.kind == TPL_UNDEF) return tpl_undefined_error(r, v);
    if (!tpl_is_number(v)) return tpl_missing();
    struct val rc = tpl_num_to_float(r, v, &f);
    return tpl_bad(rc) ? rc : tpl_float(f);
}

static struct val f_float(ARGS)
{
    struct val v = as_float(r, a[0]);
    (void)raw;
    if (v.kind != TPL_MISSING) return v;
    return GIVEN(a[1]) ? a[1] : tpl_float(0);
}

static struct val f_int(ARGS)
{
    int64_t base = 10;
    struct val v = tpl_missing();
    (void)raw;
    if (a[0].kind == TPL_UNDEF) return tpl_undefined_error(r, a[0]);
    if (a[0].kind == TPL_FLOAT && !isnan(a[0].u.f)) return tpl_num_from_float(r, a[0].u.f);
    if (tpl_is_small(a[0])) return tpl_int(a[0].u.i);
    if (a[0].kind == TPL_BIG) return a[0];
    if (GIVEN(a[2]) && tpl_val_index(r, a[2], &base)) return tpl_failed();
    if (tpl_is_str(a[0]) && (base == 0 || (base >= 2 && base <= 36))) {
        v = tpl_num_parse_int(r, tpl_view(a[0]), (int)base);
        if (GIVEN(v)) return v;
    }
    v = as_float(r, a[0]); /* "42.23" is 42 */
    if (v.kind == TPL_FLOAT && isfinite(v.u.f)) return tpl_num_from_float(r, v.u.f);
    if (tpl_bad(v)) return v;
    return GIVEN(a[1]) ? a[1] : tpl_int(0);
}

/* value * 10 ** p, up or down to a whole number, / 10 ** p */
static struct val directed(struct tpl_run *r, struct val v, struct val p, int up)
{
    struct val scale = tpl_num_op(r, 'p', tpl_int(10), p),
               x = tpl_bad(scale) ? scale : tpl_num_op(r, '*', v, scale);
    if (tpl_bad(x)) return x;
    if (x.kind == TPL_FLOAT)
        x = tpl_num_from_float(r, up ? ceil(x.u.f) : floor(x.u.f));
    else if (!tpl_is_integer(x))
        return tpl_type_error(r, "must be real number, not %s", tpl_val_type(x));
    return tpl_bad(x) ? x : tpl_num_op(r, '/', x, scale);
}

static struct val f_round(ARGS)
{
    struct str how = GIVEN(a[2]) ? tpl_is_str(a[2]) ? tpl_view(a[2]) : STR("?") : STR("common");
    int64_t digits = 0;
    (void)raw;
    if (str_is(how, "ceil") || str_is(how, "floor"))
        return directed(r, a[0], GIVEN(a[1]) ? a[1] : tpl_int(0), str_is(how, "ceil"));
    if (!str_is(how, "common")) return tpl_type_error(r, "method must be common, ceil or floor");
    if (GIVEN(a[1]) && a[1].kind == TPL_NONE) {
        struct val v = tpl_num_round(r, a[0], 0);
        return v.kind == TPL_FLOAT ? tpl_num_from_float(r, v.u.f) : v;
    }
    if (GIVEN(a[1]) && tpl_val_index(r, a[1], &digits)) return tpl_failed();
    return tpl_num_round(r, a[0], digits);
}

const struct tpl_sig *tpl_filter_find(struct str name)
{
    static const struct tpl_sig filters[] = {
        {"abs", "", 0, f_abs},
        {"attr", "name", 1, f_attr},
        {"batch", "linecount fill_with", 1, tpl_seq_batch},
        {"capitalize", "", 0, tpl_text_capitalize},
        {"center", "width", 0, tpl_text_center},
        {"count", "", 0, f_length},
        {"d", "default_value boolean", 0, f_default},
        {"default", "default_value boolean", 0, f_default},
        {"dictsort", "case_sensitive by reverse", 0, tpl_seq_dictsort},
        {"e", "", 0, f_escape},
        {"escape", "", 0, f_escape},
        {"filesizeformat", "binary", 0, tpl_text_filesize},
        {"first", "", 0, tpl_seq_first},
        {"float", "default", 0, f_float},
        {"forceescape", "", 0, tpl_text_forceescape},
        {"format", NULL, 0, tpl_text_format},
        {"groupby", "attribute default case_sensitive", 1, tpl_seq_groupby},
        {"indent", "width first blank", 0, tpl_text_indent},
        {"int", "default base", 0, f_int},
        {"items", "", 0, tpl_seq_items},
        {"join", "d attribute", 0, tpl_seq_join},
        {"last", "", 0, tpl_seq_last},
        {"length", "", 0, f_length},
        {"list", "", 0, f_list},
        {"lower", "", 0, tpl_text_lower},
        {"map", NULL, 0, tpl_seq_map},
        {"max", "case_sensitive attribute", 0, tpl_seq_max},
        {"min", "case_sensitive attribute", 0, tpl_seq_min},
        {"pprint", "", 0, f_pprint},
        {"random", "", 0, tpl_seq_random},
        {"reject", NULL, 0, tpl_seq_reject},
        {"rejectattr", NULL, 0, tpl_seq_rejectattr},
        {"replace", "old new count", 2, tpl_text_replace},
        {"reverse", "", 0, tpl_seq_reverse},
        {"round", "precision method", 0, f_round},
        {"safe", "", 0, f_safe},
        {"select", NULL, 0, tpl_seq_select},
        {"selectattr", NULL, 0, tpl_seq_selectattr},
        {"slice", "slices fill_with", 1, tpl_seq_slice},
        {"sort", "reverse case_sensitive attribute", 0, tpl_seq_sort},
        {"string", "", 0, f_string},
        {"striptags", "", 0, tpl_text_striptags},
        {"sum", "attribute start", 0, tpl_seq_sum},
        {"title", "", 0, tpl_text_title},
        {"tojson", "ensure_ascii indent separators sort_keys", 0, tpl_text_tojson},
        {"trim", "chars", 0, tpl_text_trim},
        {"truncate", "length killwords end leeway", 0, tpl_text_truncate},
        {"unique", "case_sensitive attribute", 0, tpl_seq_unique},
        {"upper", "", 0, tpl_text_upper},
        {"urlencode", "", 0, tpl_text_urlencode},
        {"urlize", "trim_url_limit nofollow target rel extra_schemes", 0, tpl_text_urlize},
        {"wordcount", "", 0, tpl_text_wordcount},
        {"wordwrap", "width break_long_words wrapstring break_on_hyphens", 0, tpl_text_wordwrap},
        {"xmlattr", "autospace", 0, tpl_text_xmlattr},
    };
    size_t lo = 0, hi = sizeof filters / sizeof *filters;
    while (lo < hi) { /* sorted by name */
        size_t mid = (lo + hi) / 2;
        struct str at = str_of(filters[mid].name);
        int c = memcmp(name.p, at.p, name.n < at.n ? name.n : at.n);
        if (c == 0) c = name.n < at.n ? -1 : name.n > at.n;
        if (c == 0) return &filters[mid];
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}
