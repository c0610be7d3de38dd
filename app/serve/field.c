/* SPDX-License-Identifier: Apache-2.0
 * serve/field.c: see field.h. */
#include "serve/field.h"

#include <math.h>

#include "base/err.h"

enum { STOP_MAX = 64 };

static void *place(struct ask *q, const struct field *f) { return (char *)q + f->at; }

int field_read(struct ask *q, const struct json *object, const struct field *table,
               const char *where, struct lar_err *err)
{
    const char *dot = *where ? "." : "";
    if (object->kind != JSON_OBJECT)
        return lar_fail(err, LAR_EINVAL, "%s must be an object", *where ? where : "the body");
    for (const struct json *v = object->child; v; v = v->next) {
        const struct field *f = table;
        struct lar_err why = {0};
        while (f->name && !str_is(v->key, f->name)) f++;
        if (!f->name)
            return lar_fail(err, LAR_EINVAL, "%s%s%.*s is not known here", where, dot,
                            STR_ARG(v->key));
        if (v->kind == JSON_NULL) continue;
        int rc = f->read(q, v, f, &why);
        if (rc < 0) return lar_fail(err, rc, "%s%s%s: %s", where, dot, f->name, why.msg);
    }
    return 0;
}

static int number(const struct json *v, const struct field *f, struct lar_err *err)
{
    if (v->kind != JSON_NUMBER || !isfinite(v->num))
        return lar_fail(err, LAR_EINVAL, "needs a number");
    if (f->min < f->max && !(v->num >= f->min && v->num <= f->max))
        return lar_fail(err, LAR_EINVAL, "%g is out of range (%g to %g)", v->num, f->min, f->max);
    return 0;
}

static int whole(const struct json *v, const struct field *f, struct lar_err *err)
{
    int rc = number(v, f, err);
    if (rc == 0 && (v->num != floor(v->num) || fabs(v->num) > INT32_MAX))
        rc = lar_fail(err, LAR_EINVAL, "needs a whole number");
    return rc;
}

int field_param(struct ask *q, const struct json *v, const struct field *f, struct lar_err *err)
{
    int rc = number(v, f, err);
    if (rc < 0) return rc;
    q->param[f->at] = v->num;
    q->has |= 1u << f->at;
    return 0;
}

int field_whole(struct ask *q, const struct json *v, const struct field *f, struct lar_err *err)
{
    int rc = whole(v, f, err);
    return rc < 0 ? rc : field_param(q, v, f, err);
}

int field_int(struct ask *q, const struct json *v, const struct field *f, struct lar_err *err)
{
    int rc = whole(v, f, err);
    if (rc == 0) *(int *)place(q, f) = (int)v->num;
    return rc;
}

int field_flag(struct ask *q, const struct json *v, const struct field *f, struct lar_err *err)
{
    if (v->kind != JSON_BOOL) return lar_fail(err, LAR_EINVAL, "needs true or false");
    *(int *)place(q, f) = v->boolean;
    return 0;
}

int field_str(struct ask *q, const struct json *v, const struct field *f, struct lar_err *err)
{
    if (v->kind != JSON_STRING) return lar_fail(err, LAR_EINVAL, "needs a string");
    *(struct str *)place(q, f) = v->s;
    return 0;
}

int field_node(struct ask *q, const struct json *v, const struct field *f, struct lar_err *err)
{
    (void)err;
    *(const struct json **)place(q, f) = v;
    return 0;
}

int field_object(struct ask *q, const struct json *v, const struct field *f, struct lar_err *err)
{
    if (v->kind != JSON_OBJECT) return lar_fail(err, LAR_EINVAL, "needs an object");
    return field_read(q, v, f->table, "", err);
}

int field_seed(struct ask *q, const struct json *v, const struct field *f, struct lar_err *err)
{
    (void)f;
    if (v->kind != JSON_NUMBER || !v->is_int)
        return lar_fail(err, LAR_EINVAL, "needs a whole number");
    q->seed = v->i; /* negative: by chance */
    return 0;
}

int field_stop(struct ask *q, const struct json *v, const struct field *f, struct lar_err *err)
{
    const struct json *one = v->kind == JSON_ARRAY ? v->child : v;
    size_t n = v->kind == JSON_ARRAY ? v->n : 1;
    int rc = 0;
    (void)f;
    if (n > STOP_MAX) return lar_fail(err, LAR_EINVAL, "more than %d strings", STOP_MAX);
    q->stop = arena_array(&q->a, n + 1, sizeof *q->stop);
    if (!q->stop) return lar_fail(err, LAR_ENOMEM, "the request is too large");
    for (q->nstop = 0; rc == 0 && q->nstop < n; one = one->next) {
        if (one->kind != JSON_STRING || one->s.n == 0)
            return lar_fail(err, LAR_EINVAL, "needs a string that is not empty, or a list of such");
        rc = ask_text(q, one->s, &q->stop[q->nstop++], err);
    }
    return rc;
}

int field_hint(struct ask *q, const struct json *v, const struct field *f, struct lar_err *err)
{
    (void)q, (void)v, (void)f, (void)err;
    return 0;
}

int field_false(struct ask *q, const struct json *v, const struct field *f, struct lar_err *err)
{
    (void)q, (void)f;
    int empty = (v->kind == JSON_BOOL && !v->boolean) ||
                (v->kind == JSON_NUMBER && v->num == 0.0) ||
                (v->kind == JSON_STRING && v->s.n == 0) ||
                ((v->kind == JSON_ARRAY || v->kind == JSON_OBJECT) && v->n == 0);
    return empty ? 0 : lar_fail(err, LAR_EUNSUPPORTED, "is not supported by this server");
}

int field_refused(struct ask *q, const struct json *v, const struct field *f, struct lar_err *err)
{
    (void)q, (void)v, (void)f;
    return lar_fail(err, LAR_EUNSUPPORTED, "is not supported by this server");
}
