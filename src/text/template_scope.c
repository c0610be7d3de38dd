/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template_scope.c: who sees which variable. Gives every name in the tree its place
 * (template_ast.h), once, so that rendering never looks a variable up by name.
 *
 * This follows the rules of Jinja's own compiler, oddities included, because templates rely on
 * them:
 * - A scope is looked through as a whole before its code is made. A name that it reads before it
 * sets, or sets only under an {% if %}, starts with the value from around it, or from the context;
 * one that it sets first starts undefined.
 * - So a loop body that reads a name which the template sets further down at the top does not see
 * the input's variable.
 * - Bodies of {% for %}, {% with %}, {% set %}, {% filter %}, {% macro %}, {% call %} are scopes;
 * {% if %} is none.
 * - Macros see the variables around their definition as they are when the macro runs.
 * Two passes over a scope, then: look (what it reads and sets), and place.
 */
#include "text/template_ast.h"

struct fn { /* a function of the template */
    struct fn *up;
    struct tpl_func *out;
    unsigned depth;
    int loops; /* open loops: break is allowed */
};

struct entry {
    uint32_t name, slot;
    uint8_t how, stored;
    struct fn *alias_fn;
    uint32_t alias_slot;
};

struct syms { /* the names of a scope */
    struct syms *parent;
    struct fn *fn;
    struct entry *e;
    size_t n, cap;
    uint32_t *slot; /* hash table of entry + 1 over 2 * cap */
};

struct frame {
    struct syms *s;
    int toplevel,
        soft; /* soft: under an if; an unknown filter is an error only when it is reached */
    int in_for;
};

struct scope_pass {
    struct tpl_parse *p;
    uint32_t *log; /* names newly set, in order: what an {% if %} set */
    size_t nlog, cap_log;
};

static int look_list(struct scope_pass *c, struct syms *s, const struct tpl_node *list);
static int look(struct scope_pass *c, struct syms *s, const struct tpl_node *n);
static int place_list(struct scope_pass *c, struct frame *f, struct tpl_node *list);
static int place(struct scope_pass *c, struct frame *f, struct tpl_node *n);

/* ---- names of a scope ---- */

static struct entry *own(const struct syms *s, uint32_t name)
{
    if (!s->cap) return NULL;
    size_t mask = s->cap * 2 - 1;
    for (size_t i = (name * 2654435761u) & mask; s->slot[i]; i = (i + 1) & mask)
        if (s->e[s->slot[i] - 1].name == name) return &s->e[s->slot[i] - 1];
    return NULL;
}

static struct entry *visible(const struct syms *s, uint32_t name, const struct syms **where)
{
    for (; s; s = s->parent) {
        struct entry *e = own(s, name);
        *where = s;
        if (e) return e;
    }
    return NULL;
}

static void put_slot(struct syms *s, size_t i)
{
    size_t mask = s->cap * 2 - 1, at = (s->e[i].name * 2654435761u) & mask;
    while (s->slot[at]) at = (at + 1) & mask;
    s->slot[at] = (uint32_t)i + 1;
}

static struct entry *define(struct scope_pass *c, struct syms *s, uint32_t name,
                            enum tpl_load_how how)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 8;
        struct entry *e = tpl_array(&c->p->r, cap, sizeof *e);
        s->slot = tpl_array(&c->p->r, cap * 2, sizeof *s->slot);
        if (!e || !s->slot) return NULL;
        if (s->n) memcpy(e, s->e, s->n * sizeof *e);
        s->e = e;
        s->cap = cap;
        for (size_t i = 0; i < s->n; i++) put_slot(s, i);
    }
    struct entry *e = &s->e[s->n];
    *e = (struct entry){.name = name, .slot = (uint32_t)s->fn->out->nslot++, .how = (uint8_t)how};
    put_slot(s, s->n++);
    return e;
}

/* What a name starts as that is set here but may be seen before: the outer value, else the
 * context's. */
static void from_outside(struct entry *e, const struct syms *s)
{
    const struct syms *where;
    const struct entry *outer = s->parent ? visible(s->parent, e->name, &where) : NULL;
    e->how = outer ? TPL_LOAD_ALIAS : TPL_LOAD_RESOLVE;
    if (!outer) return;
    e->alias_fn = where->fn;
    e->alias_slot = outer->slot;
}

static int sym_load(struct scope_pass *c, struct syms *s, uint32_t name)
{
    const struct syms *where;
    return visible(s, name, &where) || define(c, s, name, TPL_LOAD_RESOLVE) ? 0 : -1;
}

static int sym_store(struct scope_pass *c, struct syms *s, uint32_t name)
{
    struct entry *e = own(s, name);
    if (!e) {
        e = define(c, s, name, TPL_LOAD_UNDEFINED);
        if (!e) return -1;
        from_outside(e, s);
        if (e->how == TPL_LOAD_RESOLVE) e->how = TPL_LOAD_UNDEFINED;
    }
    if (e->stored) return 0;
    e->stored = 1;
    if (c->nlog == c->cap_log) {
        size_t cap = c->cap_log ? c->cap_log * 2 : 64;
        uint32_t *log = tpl_array(&c->p->r, cap, sizeof *log);
        if (!log) return -1;
        if (c->nlog) memcpy(log, c->log, c->nlog * sizeof *log);
        c->log = log;
        c->cap_log = cap;
    }
    c->log[c->nlog++] = name;
    return 0;
}

static struct entry *sym_param(struct scope_pass *c, struct syms *s, uint32_t name)
{
    struct entry *e = own(s, name);
    if (!e) e = define(c, s, name, TPL_LOAD_PARAMETER);
    if (!e) return NULL;
    e->how = TPL_LOAD_PARAMETER;
    e->stored = 1;
    return e;
}

static struct syms *inner(struct scope_pass *c, struct syms *parent, struct fn *fn)
{
    struct syms *s = tpl_alloc(&c->p->r, sizeof *s);
    if (s) *s = (struct syms){.parent = parent, .fn = fn};
    return s;
}

static struct fn *new_fn(struct scope_pass *c, struct fn *up, struct tpl_func *out)
{
    struct fn *f = tpl_alloc(&c->p->r, sizeof *f);
    if (!f) return NULL;
    *f = (struct fn){.up = up, .out = out, .depth = up ? up->depth + 1 : 0};
    for (; up; up = up->up) up->out->closes = 1;
    return f;
}

/* ---- walking all names below a node, in the order of Jinja's visitors ---- */

struct finder {
    struct tpl_parse *p;
    uint32_t want[3]; /* names looked for */
    int open[3];      /* not yet set */
    int found[3];     /* read before set */
};

static void meet(struct finder *f, uint32_t name, int store)
{
    for (int i = 0; i < 3; i++) {
        if (f->want[i] != name) continue;
        if (store)
            f->open[i] = 0;
        else if (f->open[i])
            f->found[i] = 1;
    }
}

static int find_in(struct finder *f, const struct tpl_node *n);

static int find_list(struct finder *f, const struct tpl_node *n)
{
    for (; n; n = n->next)
        if (find_in(f, n)) return -1;
    return 0;
}

static int find_args(struct finder *f, const struct tpl_call_args *ca)
{
    if (find_list(f, ca->pos)) return -1;
    for (size_t i = 0; i < ca->nkw; i++)
        if (find_in(f, ca->kw[i].value)) return -1;
    return (ca->star && find_in(f, ca->star)) || (ca->star2 && find_in(f, ca->star2)) ? -1 : 0;
}

static int find_params(struct finder *f, const struct tpl_body *b)
{
    for (size_t i = 0; i < b->nparam; i++) meet(f, b->param[i].name, 1);
    for (size_t i = 0; i < b->nparam; i++)
        if (b->param[i].otherwise && find_in(f, b->param[i].otherwise)) return -1;
    return 0;
}

static int find_body(struct finder *f, const struct tpl_node *n)
{
    const struct tpl_body *b = n->u.body;
    switch (n->type) {
    case N_IF:
        for (const struct tpl_body *x = b; x; x = x->arm)
            if (find_in(f, x->a) || find_list(f, x->list)) return -1;
        return find_list(f, b->other);
    case N_FOR:
        if (find_in(f, b->a) || find_in(f, b->b) || find_list(f, b->list) || find_list(f, b->other))
            return -1;
        return b->c ? find_in(f, b->c) : 0;
    case N_FILTERBLOCK: return find_list(f, b->list) || find_in(f, b->c) ? -1 : 0;
    case N_SETBLOCK:
        return find_in(f, b->a) || (b->c && find_in(f, b->c)) || find_list(f, b->list) ? -1 : 0;
    case N_WITH: return find_list(f, b->a) || find_list(f, b->b) || find_list(f, b->list) ? -1 : 0;
    case N_BLOCK: return 0;
    default: /* macro, call, generation, autoescape */
        if (b->a && find_in(f, b->a)) return -1;
        return find_params(f, b) || find_list(f, b->list) ? -1 : 0;
    }
}

static int find_in(struct finder *f, const struct tpl_node *n)
{
    if (tpl_step(&f->p->r, 1)) return -1;
    switch (n->type) {
    case N_CONST:
    case N_NSREF:
    case N_TEXT:
    case N_BREAK:
    case N_CONTINUE:
    case N_REFUSED: return 0;
    case N_NAME: meet(f, n->u.var.name, n->store); return 0;
    case N_ATTR: return find_in(f, n->u.get.a);
    case N_TUPLE:
    case N_LIST:
    case N_DICT:
    case N_CONCAT: return find_list(f, n->u.seq.list);
    case N_COMPARE: return find_in(f, n->u.seq.a) || find_list(f, n->u.seq.list) ? -1 : 0;
    case N_CALL:
    case N_FILTER:
    case N_TEST:
        return (n->u.call.a && find_in(f, n->u.call.a)) || find_args(f, n->u.call.args) ? -1 : 0;
    default: break;
    }
    if (n->type == N_SET) return find_in(f, n->u.op4.a) || find_in(f, n->u.op4.b) ? -1 : 0;
    if (n->type > N_PRINT) return find_body(f, n);
    const struct tpl_node *part[] = {n->u.op4.a, n->u.op4.b, n->u.op4.c, n->u.op4.d};
    for (int i = 0; i < 4; i++)
        if (part[i] && find_in(f, part[i])) return -1;
    return 0;
}

/* Which of up to three names a body reads without having set them: bits. -1 on failure. */
static int reads(struct scope_pass *c, const struct tpl_node *list, const char *a, const char *b,
                 const char *d)
{
    struct finder f = {.p = c->p, .open = {1, 1, 1}};
    const char *names[] = {a, b, d};
    for (int i = 0; i < 3; i++) {
        f.want[i] = names[i] ? tpl_parse_intern(c->p, str_of(names[i])) : UINT32_MAX;
        if (names[i] && f.want[i] == UINT32_MAX) return -1;
    }
    if (find_list(&f, list)) return -1;
    return f.found[0] | f.found[1] << 1 | f.found[2] << 2;
}

/* ---- look: what a scope reads and sets ---- */

static int look_args(struct scope_pass *c, struct syms *s, const struct tpl_call_args *ca)
{
    if (look_list(c, s, ca->pos)) return -1;
    for (size_t i = 0; i < ca->nkw; i++)
        if (look(c, s, ca->kw[i].value)) return -1;
    return (ca->star && look(c, s, ca->star)) || (ca->star2 && look(c, s, ca->star2)) ? -1 : 0;
}

/* Targets are the scope's parameters: for, with. */
static int look_params(struct scope_pass *c, struct syms *s, const struct tpl_node *n)
{
    if (n->type == N_NAME) return sym_param(c, s, n->u.var.name) ? 0 : -1;
    for (const struct tpl_node *e = n->u.seq.list; n->type == N_TUPLE && e; e = e->next)
        if (look_params(c, s, e)) return -1;
    return 0;
}

static int look_if(struct scope_pass *c, struct syms *s, const struct tpl_body *b)
{
    size_t start = c->nlog;
    const struct tpl_node *other = b->other;
    for (; b; b = b->arm)
        if (look(c, s, b->a) || look_list(c, s, b->list)) return -1;
    if (look_list(c, s, other)) return -1;
    for (size_t i = start; i < c->nlog; i++) from_outside(own(s, c->log[i]), s);
    return 0;
}

static int look(struct scope_pass *c, struct syms *s, const struct tpl_node *n)
{
    if (tpl_step(&c->p->r, 1)) return -1;
    switch (n->type) {
    case N_NAME: return n->store ? sym_store(c, s, n->u.var.name) : sym_load(c, s, n->u.var.name);
    case N_NSREF: return sym_load(c, s, n->u.var.name);
    case N_ATTR: return look(c, s, n->u.get.a);
    case N_TUPLE:
    case N_LIST:
    case N_DICT:
    case N_CONCAT: return look_list(c, s, n->u.seq.list);
    case N_COMPARE: return look(c, s, n->u.seq.a) || look_list(c, s, n->u.seq.list) ? -1 : 0;
    case N_CALL:
    case N_FILTER:
    case N_TEST:
        return (n->u.call.a && look(c, s, n->u.call.a)) || look_args(c, s, n->u.call.args) ? -1 : 0;
    case N_SET: return look(c, s, n->u.op4.b) || look(c, s, n->u.op4.a) ? -1 : 0;
    case N_IF: return look_if(c, s, n->u.body);
    case N_FOR: return look(c, s, n->u.body->b);
    case N_SETBLOCK: return look(c, s, n->u.body->a);
    case N_MACRO: return sym_store(c, s, n->u.body->name);
    case N_CALLBLOCK: return look(c, s, n->u.body->a);
    case N_FILTERBLOCK: return look(c, s, n->u.body->c);
    case N_WITH: return look_list(c, s, n->u.body->b);
    case N_CONST:
    case N_TEXT:
    case N_GENERATION:
    case N_AUTOESCAPE:
    case N_BLOCK:
    case N_BREAK:
    case N_CONTINUE:
    case N_REFUSED: return 0;
    default: break;
    }
    const struct tpl_node *part[] = {n->u.op4.a, n->u.op4.b, n->u.op4.c, n->u.op4.d};
    for (int i = 0; i < 4; i++)
        if (part[i] && look(c, s, part[i])) return -1;
    return 0;
}

static int look_list(struct scope_pass *c, struct syms *s, const struct tpl_node *list)
{
    for (; list; list = list->next)
        if (look(c, s, list)) return -1;
    return 0;
}

/* ---- place: where each name lives ---- */

static int place_name(struct scope_pass *c, const struct frame *f, uint32_t name, uint32_t at,
                      struct tpl_place *out)
{
    const struct syms *where;
    const struct entry *e = visible(f->s, name, &where);
    if (!e)
        return tpl_parse_fail(c->p, at, "'%.*s' cannot be used here; {%% set %%} it before",
                              STR_ARG(c->p->t->name[name]));
    *out = (struct tpl_place){f->s->fn->depth - where->fn->depth, e->slot};
    return 0;
}

static int place_args(struct scope_pass *c, struct frame *f, struct tpl_call_args *ca)
{
    if (place_list(c, f, ca->pos)) return -1;
    for (size_t i = 0; i < ca->nkw; i++)
        if (place(c, f, ca->kw[i].value)) return -1;
    return (ca->star && place(c, f, ca->star)) || (ca->star2 && place(c, f, ca->star2)) ? -1 : 0;
}

static int place_call(struct scope_pass *c, struct frame *f, struct tpl_node *n)
{
    if (n->type != N_CALL && !n->u.call.sig && !f->soft)
        return tpl_parse_fail(c->p, n->at, "no %s named '%.*s'",
                              n->type == N_TEST ? "test" : "filter", STR_ARG(n->u.call.name));
    return (n->u.call.a && place(c, f, n->u.call.a)) || place_args(c, f, n->u.call.args) ? -1 : 0;
}

/* The loads of a scope, as a list for rendering. */
static int loads(struct scope_pass *c, const struct syms *s, struct tpl_scope *out)
{
    out->n = s->n;
    out->load = tpl_array(&c->p->r, s->n ? s->n : 1, sizeof *out->load);
    if (!out->load) return -1;
    for (size_t i = 0; i < s->n; i++) {
        const struct entry *e = &s->e[i];
        struct tpl_load *l = &out->load[i];
        *l = (struct tpl_load){.slot = e->slot, .how = e->how, .name = e->name};
        if (e->how == TPL_LOAD_ALIAS)
            l->place = (struct tpl_place){s->fn->depth - e->alias_fn->depth, e->alias_slot};
    }
    return 0;
}

/* A copy of a loop's target, for the function that filters. */
static struct tpl_node *copy_target(struct scope_pass *c, const struct tpl_node *n)
{
    struct tpl_node *m = tpl_parse_node(c->p, n->type, n->at);
    if (!m) return NULL;
    *m = *n;
    m->next = NULL;
    if (n->type != N_TUPLE) return m;
    struct tpl_node **tail = &m->u.seq.list;
    for (const struct tpl_node *e = n->u.seq.list; e; e = e->next) {
        *tail = copy_target(c, e);
        if (!*tail) return NULL;
        tail = &(*tail)->next;
    }
    *tail = NULL;
    return m;
}

static int place_test(struct scope_pass *c, struct frame *f, struct tpl_body *b)
{
    struct fn *fn = new_fn(c, f->s->fn, &b->test_func);
    struct syms *s = fn ? inner(c, f->s, fn) : NULL;
    struct frame in = {.s = s, .in_for = f->in_for + 1};
    b->test_target = copy_target(c, b->a);
    if (!s || !b->test_target || look_params(c, s, b->a) || look(c, s, b->c)) return -1;
    if (place(c, &in, b->test_target) || place(c, &in, b->c)) return -1;
    return loads(c, s, &b->test_scope);
}

static int has_scoped_block(const struct tpl_parse *p, const struct tpl_body *b)
{
    (void)b; /* any scoped block will do: `loop` costs little */
    for (size_t i = 0; i < p->t->nblock; i++)
        if (p->t->block[i].body->scoped) return 1;
    return 0;
}

static int place_for(struct scope_pass *c, struct frame *f, struct tpl_body *b)
{
    struct fn *fn = b->recursive ? new_fn(c, f->s->fn, &b->func) : f->s->fn;
    struct syms *s = fn ? inner(c, f->s, fn) : NULL, *other = fn ? inner(c, f->s, fn) : NULL;
    int reads_loop = reads(c, b->list, "loop", NULL, NULL);
    if (!s || !other || reads_loop < 0) return -1;
    b->extended = b->recursive || reads_loop || has_scoped_block(c->p, b);
    if (b->extended) {
        struct entry *e = sym_param(c, s, tpl_parse_intern(c->p, STR("loop")));
        if (!e) return -1;
        b->loop = e->slot;
    }
    if (look_params(c, s, b->a) || look_list(c, s, b->list) || look_list(c, other, b->other))
        return -1;
    if (b->c && place_test(c, f, b)) return -1;
    if (place(c, f, b->b)) return -1;
    struct frame in = {.s = s, .in_for = f->in_for + 1};
    fn->loops++;
    if (place(c, &in, b->a) || place_list(c, &in, b->list)) return -1;
    fn->loops--;
    in.s = other;
    if (place_list(c, &in, b->other)) return -1;
    return loads(c, s, &b->scope) || loads(c, other, &b->other_scope) ? -1 : 0;
}

static int special(struct scope_pass *c, struct syms *s, int used, const char *name, int32_t *slot)
{
    *slot = -1;
    if (!used) return 0;
    struct entry *e = sym_param(c, s, tpl_parse_intern(c->p, str_of(name)));
    if (!e) return -1;
    *slot = (int32_t)e->slot;
    return 0;
}

/* Macros, call blocks, generation: a function with parameters. */
static int place_macro(struct scope_pass *c, struct frame *f, struct tpl_body *b, uint32_t at)
{
    struct fn *fn = new_fn(c, f->s->fn, &b->func);
    struct syms *s = fn ? inner(c, f->s, fn) : NULL;
    struct frame in = {.s = s, .in_for = f->in_for};
    int used = reads(c, b->list, "caller", "kwargs", "varargs");
    if (!s || used < 0) return -1;
    for (size_t i = 0; i < b->nparam; i++) {
        struct entry *e = sym_param(c, s, b->param[i].name);
        if (!e) return -1;
        b->param[i].slot = e->slot;
        struct str name = c->p->t->name[b->param[i].name];
        if (str_is(name, "caller")) {
            b->explicit_caller = 1;
            if (used & 1 && !b->param[i].otherwise)
                return tpl_parse_fail(c->p, at, "a parameter named 'caller' needs a default");
            used &= ~1;
        }
        if (str_is(name, "kwargs")) used &= ~2;
        if (str_is(name, "varargs")) used &= ~4;
    }
    if (special(c, s, used & 1, "caller", &b->caller) ||
        special(c, s, used & 2, "kwargs", &b->kwargs) ||
        special(c, s, used & 4, "varargs", &b->varargs))
        return -1;
    for (size_t i = 0; i < b->nparam; i++)
        if (b->param[i].otherwise && look(c, s, b->param[i].otherwise)) return -1;
    if (look_list(c, s, b->list)) return -1;
    for (size_t i = 0; i < b->nparam; i++)
        if (b->param[i].otherwise && place(c, &in, b->param[i].otherwise)) return -1;
    return place_list(c, &in, b->list) || loads(c, s, &b->scope) ? -1 : 0;
}

/* A scope within its function: with, filter, set, autoescape. */
static int place_scope(struct scope_pass *c, struct frame *f, struct tpl_node *n)
{
    struct tpl_body *b = n->u.body;
    struct syms *s = inner(c, f->s, f->s->fn);
    struct frame in = {.s = s, .in_for = f->in_for};
    if (!s) return -1;
    for (struct tpl_node *t = b->a; n->type == N_WITH && t; t = t->next)
        if (look_params(c, s, t)) return -1;
    if (n->type == N_AUTOESCAPE && look(c, s, b->a)) return -1;
    if (look_list(c, s, b->list)) return -1;
    if (n->type == N_FILTERBLOCK && look(c, s, b->c)) return -1;
    if (n->type == N_WITH && place_list(c, f, b->b)) return -1;
    in.in_for = 0; /* {% with loop = ... %} is allowed anywhere */
    if ((n->type == N_WITH || n->type == N_AUTOESCAPE) && place_list(c, &in, b->a)) return -1;
    in.in_for = f->in_for;
    if (place_list(c, &in, b->list) || (b->c && place(c, &in, b->c))) return -1;
    if (n->type == N_SETBLOCK && place(c, f, b->a)) return -1;
    return loads(c, s, &b->scope);
}

/* {% block %} where it stands: a scoped one is given the variables that are set around it. */
static int place_block(struct scope_pass *c, struct frame *f, struct tpl_body *b)
{
    size_t n = 0;
    if (!b->scoped) return 0;
    for (const struct syms *s = f->s; s; s = s->parent) n += s->n;
    b->local = tpl_array(&c->p->r, n ? n : 1, sizeof *b->local);
    if (!b->local) return -1;
    for (const struct syms *s = f->s; s; s = s->parent) {
        for (size_t i = 0; i < s->n; i++) {
            const struct syms *where;
            if (!s->e[i].stored || visible(f->s, s->e[i].name, &where) != &s->e[i])
                continue; /* shadowed */
            b->local[b->nlocal++] =
                (struct tpl_export){s->e[i].name, {f->s->fn->depth - s->fn->depth, s->e[i].slot}};
        }
    }
    return 0;
}

static int place_if(struct scope_pass *c, struct frame *f, struct tpl_body *b)
{
    struct frame soft = *f;
    struct tpl_node *other = b->other;
    soft.soft = 1;
    for (; b; b = b->arm)
        if (place(c, &soft, b->a) || place_list(c, &soft, b->list)) return -1;
    return place_list(c, &soft, other);
}

static int place_var(struct scope_pass *c, struct frame *f, struct tpl_node *n)
{
    if (n->store) {
        n->export = f->toplevel != 0;
        if (f->in_for && str_is(c->p->t->name[n->u.var.name], "loop"))
            return tpl_parse_fail(c->p, n->at,
                                  "the special variable 'loop' cannot be set inside of a loop");
    }
    return place_name(c, f, n->u.var.name, n->at, &n->u.var.place);
}

static int place_statement(struct scope_pass *c, struct frame *f, struct tpl_node *n)
{
    struct tpl_body *b = n->u.body;
    switch (n->type) {
    case N_IF: return place_if(c, f, b);
    case N_FOR: return place_for(c, f, b);
    case N_MACRO:
        b->export = f->toplevel != 0;
        return place_macro(c, f, b, n->at) || place_name(c, f, b->name, n->at, &b->place) ? -1 : 0;
    case N_CALLBLOCK: return place_macro(c, f, b, n->at) || place(c, f, b->a) ? -1 : 0;
    case N_GENERATION: return place_macro(c, f, b, n->at);
    case N_SETBLOCK:
    case N_FILTERBLOCK:
    case N_WITH:
    case N_AUTOESCAPE: return place_scope(c, f, n);
    case N_BLOCK: return place_block(c, f, b);
    case N_BREAK:
    case N_CONTINUE:
        if (f->s->fn->loops) return 0;
        return tpl_parse_fail(c->p, n->at, "'%s' outside of a loop",
                              n->type == N_BREAK ? "break" : "continue");
    default: /* N_REFUSED */
        if (n->op && !f->toplevel)
            return tpl_parse_fail(c->p, n->at, "cannot extend from a scope below the top level");
        return 0;
    }
}

static int place(struct scope_pass *c, struct frame *f, struct tpl_node *n)
{
    struct frame soft;
    if (tpl_step(&c->p->r, 1)) return -1;
    switch (n->type) {
    case N_CONST:
    case N_TEXT: return 0;
    case N_NAME: return place_var(c, f, n);
    case N_NSREF: return place_name(c, f, n->u.var.name, n->at, &n->u.var.place);
    case N_ATTR: return place(c, f, n->u.get.a);
    case N_TUPLE:
    case N_LIST:
    case N_DICT:
    case N_CONCAT: return place_list(c, f, n->u.seq.list);
    case N_COMPARE: return place(c, f, n->u.seq.a) || place_list(c, f, n->u.seq.list) ? -1 : 0;
    case N_CALL:
    case N_FILTER:
    case N_TEST: return place_call(c, f, n);
    case N_COND:
        soft = *f;
        soft.soft = 1;
        f = &soft;
        break;
    default:
        if (n->type > N_PRINT && n->type != N_SET) return place_statement(c, f, n);
    }
    struct tpl_node *part[] = {n->u.op4.a, n->u.op4.b, n->u.op4.c, n->u.op4.d};
    for (int i = 0; i < 4; i++)
        if (part[i] && place(c, f, part[i])) return -1;
    return 0;
}

static int place_list(struct scope_pass *c, struct frame *f, struct tpl_node *list)
{
    for (; list; list = list->next)
        if (place(c, f, list)) return -1;
    return 0;
}

/* A function of its own without anything around it: the template, a block. */
static int place_root(struct scope_pass *c, struct tpl_body *b, int top)
{
    struct fn *fn = new_fn(c, NULL, &b->func);
    struct syms *s = fn ? inner(c, NULL, fn) : NULL;
    struct frame f = {.s = s, .toplevel = top};
    int used = reads(c, b->list, "self", top ? NULL : "super", NULL);
    if (!s || used < 0) return -1;
    if (special(c, s, used & 1, "self", &b->self) || special(c, s, used & 2, "super", &b->super))
        return -1;
    return look_list(c, s, b->list) || place_list(c, &f, b->list) || loads(c, s, &b->scope) ? -1
                                                                                            : 0;
}

int tpl_scope_template(struct tpl_parse *p)
{
    struct scope_pass c = {.p = p};
    if (place_root(&c, p->t->root, 1)) return -1;
    for (size_t i = 0; i < p->t->nblock; i++)
        if (place_root(&c, p->t->block[i].body, 0)) return -1;
    return 0;
}
