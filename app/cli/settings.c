/* SPDX-License-Identifier: Apache-2.0
 * cli/settings.c: what a name's Modelfile says to `lar run`: PARAMETERs become options that were not given, SYSTEM and MESSAGEs the beginning
 * of the conversation. The TEMPLATE goes to the library when the model is opened (named.c). */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "cli/out.h"
#include "cli/run.h"

const char *const settings_names[][2] = {
    {"temperature", "temp"},       {"typical_p", "typical"},      {"num_ctx", "ctx"},
    {"num_predict", "max-tokens"}, {"mirostat_mode", "mirostat"}, {NULL, NULL}};

const char *settings_name(const char *name)
{
    for (int i = 0; settings_names[i][0]; i++)
        if (strcmp(name, settings_names[i][0]) == 0) return settings_names[i][1];
    return name;
}

static int stop(struct runner *r, const struct json *v, struct lar_err *err)
{
    struct opt_list *l = &r->o.stop;
    if (v->kind != JSON_STRING)
        return lar_fail(err, LAR_EFORMAT, "%s: PARAMETER stop is no text", r->named.m.name);
    if (!v->s.n) return 0;
    char *text = arena_copy(&r->named.m.a, v->s.p, v->s.n);
    if (!text) return lar_fail(err, LAR_ENOMEM, "%s: out of memory", r->named.m.name);
    if (l->n == OPT_LIST_MAX)
        return lar_fail(err, LAR_ELIMIT, "%s: more than %d PARAMETERs stop", r->named.m.name,
                        OPT_LIST_MAX);
    l->v[l->n++] = text;
    return 0;
}

/* Was the option given on the command line? */
static int given(const struct run_options *o, const struct opt *opt, int of_sampling)
{
    if (of_sampling) return (int)(o->sampling.set >> (opt - sampling_options) & 1);
    return *(const int *)(const void *)((const char *)o + opt->at) !=
           0; /* ctx and max-tokens: 0 is none */
}

static int number(struct runner *r, const struct json *v, struct lar_err *err)
{
    char key[40], text[64], shown[64];
    if (v->key.n >= sizeof key || v->s.n >= sizeof text || v->kind != JSON_NUMBER)
        return lar_fail(err, LAR_EFORMAT, "%s: PARAMETER %.*s is no number", r->named.m.name,
                        STR_ARG(v->key));
    memcpy(key, v->key.p, v->key.n), key[v->key.n] = 0;
    memcpy(text, v->s.p, v->s.n), text[v->s.n] = 0;
    snprintf(shown, sizeof shown, "PARAMETER %s", key);
    if (strcmp(key, "num_thread") == 0) {
        if (!r->o.threads && v->is_int && v->i > 0 && v->i <= 256) r->o.threads = (int)v->i;
        return 0;
    }
    /* -1 is without an end and -2 until the context is full, which here is the same. */
    if (strcmp(key, "num_predict") == 0 && v->num < 0) return 0;
    void *base = &r->o, *sampling = &r->o.sampling;
    const char *name = settings_name(key);
    const struct opt *o = options_find(generation_options, name, &base);
    int of_sampling = !o;
    if (!o && (o = options_find(sampling_options, name, &sampling))) base = sampling;
    if (!o || given(&r->o, o, of_sampling)) return 0;
    return options_store(o, base, shown, text, err);
}

static int parameter(struct runner *r, const struct json *v, struct lar_err *err)
{
    const struct param *p = param_find(v->key);
    int e = 0;
    if (!p) {
        say("%s: PARAMETER %.*s is not known here, and has no effect", r->named.m.name,
            STR_ARG(v->key));
        return 0;
    }
    if (p->idle || v->kind == JSON_NULL) return 0;
    if (p->kind != PARAM_TEXTS) return number(r, v, err);
    if (v->kind != JSON_ARRAY) return stop(r, v, err);
    for (const struct json *c = v->child; c && e == 0; c = c->next) e = stop(r, c, err);
    return e;
}

int settings_apply(struct runner *r, struct lar_err *err)
{
    const struct json *params = r->named.m.params;
    int e = 0;
    r->path = r->named.path;
    for (const struct json *v = params ? params->child : NULL; v && e == 0; v = v->next)
        e = parameter(r, v, err);
    if (r->o.raw) return e;
    if (!r->o.system && r->named.m.system && *r->named.m.system) r->o.system = r->named.m.system;
    r->said = r->named.m.messages;
    return e;
}

void settings_drop(struct runner *r)
{
    int dropped = r->said || (r->o.system && r->o.system == r->named.m.system);
    if (r->o.system == r->named.m.system) r->o.system = NULL;
    r->said = NULL;
    if (dropped)
        say("%s: its SYSTEM and MESSAGEs have no place, for it has no chat template",
            r->named.m.name);
}

int settings_talk(const struct runner *r, struct talk *t, struct lar_err *err)
{
    struct str none = {0};
    int e = r->o.system ? talk_set_system(t, r->o.system, err) : 0;
    for (const struct json *v = r->said ? r->said->child : NULL; v && e == 0; v = v->next) {
        char role[16];
        struct str word = json_str(json_get(v, "role"), STR("user"));
        snprintf(role, sizeof role, "%.*s", STR_ARG(word));
        e = talk_add(t, role, json_str(json_get(v, "content"), STR("")), none, err);
    }
    return e;
}
