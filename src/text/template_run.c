/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_run.c: one rendering: its limits, its errors, its memory, and the way in and out.
 *
 * Everything a rendering makes lives in one arena with a limit and is freed at its end; texts in
 * the making share one stack of bytes (r->work). So a failure needs no cleaning up on its way out,
 * wherever it happens.
 */
#include <stdarg.h>
#include <stdio.h>

#include "text/template.h"
#include "text/template_ast.h"

enum { STEPS = 10000000 };
#define MEMORY ((size_t)256 << 20)
#define OUTPUT ((size_t)64 << 20)

__attribute__((format(printf, 3, 0))) static void fail_v(struct tpl_run *r, int code,
                                                         const char *fmt, va_list ap)
{
    char text[220];
    if (r->failed) return; /* the first error is the cause */
    r->failed = code;
    vsnprintf(text, sizeof text, fmt, ap);
    if (r->at && r->t) {
        unsigned line, column;
        tpl_lex_where(r->t, r->at->at, &line, &column);
        lar_fail(r->err, code, "template line %u, column %u: %s", line, column, text);
    } else {
        lar_fail(r->err, code, "template: %s", text);
    }
}

struct val tpl_fail(struct tpl_run *r, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fail_v(r, code, fmt, ap);
    va_end(ap);
    return tpl_failed();
}

struct val tpl_type_error(struct tpl_run *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fail_v(r, LAR_EFORMAT, fmt, ap);
    va_end(ap);
    return tpl_failed();
}

struct val tpl_out_of_steps(struct tpl_run *r)
{
    r->steps = 0;
    return tpl_fail(r, LAR_ELIMIT, "the template takes too many steps: a loop without end?");
}

int tpl_enter_slow(struct tpl_run *r)
{
    tpl_fail(r, LAR_ELIMIT, "nested more than %d deep: a recursion without end?", TPL_DEPTH_MAX);
    return -1;
}

static void no_memory(struct tpl_run *r, size_t n)
{
    size_t limit = r->a.limit;
    if (limit && (n > limit || r->a.used > limit - n))
        tpl_fail(r, LAR_ELIMIT, "the template makes more than %zu %s of values",
                 limit >> (limit >> 20 ? 20 : 10), limit >> 20 ? "MiB" : "KiB");
    else
        tpl_fail(r, LAR_ENOMEM, "out of memory");
}

/* The work buffer took no more: it does not say why, but near its limit the limit is the reason. */
static void no_room(struct tpl_run *r)
{
    no_memory(r, r->work.n >= r->work.limit / 2 ? SIZE_MAX : r->work.n);
}

void *tpl_alloc(struct tpl_run *r, size_t n)
{
    void *p = r->failed ? NULL : arena_alloc(&r->a, n);
    if (!p) no_memory(r, n);
    return p;
}

void *tpl_array(struct tpl_run *r, size_t count, size_t size)
{
    size_t n;
    if (mul_size(count, size, &n)) n = SIZE_MAX;
    return tpl_alloc(r, n);
}

int tpl_write(struct tpl_run *r, struct str s)
{
    if (tpl_step_bytes(r, s.n)) return -1;
    if (r->dst == r->out && (s.n > r->out_max || r->out->n > r->out_max - s.n)) {
        tpl_fail(r, LAR_ELIMIT, "the template writes more than its limit");
        return -1;
    }
    buf_str(r->dst, s);
    if (!r->dst->failed) return 0;
    if (r->dst == &r->work)
        no_room(r);
    else
        tpl_fail(r, r->out->limit ? LAR_ELIMIT : LAR_ENOMEM,
                 "no room for the text that the template writes");
    return -1;
}

struct val tpl_end(struct tpl_run *r, size_t begin)
{
    size_t n = r->work.n - begin;
    if (r->work.failed) {
        no_room(r);
        return tpl_failed();
    }
    if (r->failed || tpl_step_bytes(r, n)) return tpl_failed();
    struct val v = tpl_str_new(r, (struct str){buf_z(&r->work) + begin, n});
    r->work.n = begin;
    return v;
}

/* The template's name of a variable; SIZE_MAX when it uses none of this name. */
static size_t find_name(const struct template *t, struct str s)
{
    uint32_t h = 2166136261u;
    if (!t->slot) return SIZE_MAX;
    for (size_t i = 0; i < s.n; i++) h = (h ^ (unsigned char)s.p[i]) * 16777619u;
    for (size_t i = h & t->mask; t->slot[i]; i = (i + 1) & t->mask)
        if (str_eq(t->name[t->slot[i] - 1], s)) return t->slot[i] - 1;
    return SIZE_MAX;
}

/* The context: the template's names, as the input and the globals know them. */
static int bind(struct tpl_run *r, struct tpl_ctx *ctx, const struct json *input)
{
    size_t n = r->t->nname;
    ctx->vars = tpl_array(r, n, sizeof *ctx->vars);
    ctx->parent = tpl_array(r, n, sizeof *ctx->parent);
    if (!ctx->vars || !ctx->parent) return -1;
    for (size_t i = 0; i < n; i++) {
        const struct tpl_sig *g = tpl_call_global(r->t->name[i]);
        if (g) ctx->parent[i] = (struct val){.kind = TPL_FUNC, .u.func = g};
    }
    for (const struct json *j = input ? input->child : NULL; j; j = j->next) {
        size_t i = find_name(r->t, j->key);
        if (tpl_step(r, 1)) return -1;
        if (i == SIZE_MAX) continue;
        struct val v = tpl_val_json(r, j);
        if (tpl_bad(v)) return -1;
        ctx->parent[i] = v;
    }
    return 0;
}

static void render(struct tpl_run *r, const struct json *input)
{
    const struct tpl_body *root = r->t->root;
    struct tpl_ctx *ctx = tpl_alloc(r, sizeof *ctx);
    if (!ctx || bind(r, ctx, input)) return;
    struct tpl_act *act = tpl_exec_act(r, &root->func, NULL);
    if (!act) return;
    act->ctx = ctx;
    r->act = act;
    if (root->self >= 0) act->slot[root->self] = (struct val){.kind = TPL_SELF, .u.ctx = ctx};
    tpl_exec_enter(r, &root->scope);
    tpl_exec(r, root->list);
}

int template_render(const struct template *t, const struct json *input, int64_t now,
                    const struct template_limits *limits, struct buf *out, struct lar_err *err)
{
    static const struct template_limits none;
    if (!limits) limits = &none;
    if (!t || (input && input->kind != JSON_OBJECT))
        return lar_fail(err, LAR_EINVAL, "a template's input must be a JSON object");
    size_t memory = limits->memory_bytes ? limits->memory_bytes : MEMORY;
    size_t output = limits->output_bytes ? limits->output_bytes : OUTPUT;
    struct tpl_run r = {.t = t, .err = err, .out = out, .dst = out, .now = now};
    r.steps = limits->steps ? limits->steps : STEPS;
    r.out_max = output > SIZE_MAX - out->n ? SIZE_MAX : out->n + output;
    r.work.limit = memory;
    arena_init(&r.a, memory);
    rng_seed(&r.rng, (uint64_t)now);
    render(&r, input);
    buf_done(&r.work);
    arena_done(&r.a);
    return r.failed;
}
