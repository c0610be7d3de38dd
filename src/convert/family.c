/* SPDX-License-Identifier: Apache-2.0
 * convert/family.c: finding a family, and the rule for a tensor's name. */
#include "convert/family.h"

#include <inttypes.h>
#include <stdio.h>

#include "convert/family_table.h"

struct str family_part(const char *names, int i)
{
    for (; names && i > 0; i--) {
        names = strchr(names, '|');
        if (names) names++;
    }
    return names ? (struct str){names, strcspn(names, "|")} : STR("");
}

int family_lists(const char *names, struct str s)
{
    if (!names) return 0;
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, "|");
        if (s.n == n && !memcmp(p, s.p, n)) return 1;
        p += n + (p[n] == '|');
    }
    return 0;
}

/* Layers of a state space: by name, or by the numbers of those that are none. */
static int has_states(const struct config *c)
{
    const struct json *types = config_find(c, "layer_types|layers_block_type");
    if (!types || types->kind != JSON_ARRAY) return 1;
    for (const struct json *t = types->child; t; t = t->next)
        if (!str_is(json_str(t, STR("")), "attention")) return 1;
    return 0;
}

static const struct family *refine(const struct family *f, const struct config *c)
{
    int experts = json_num(config_find(c, "num_experts_per_tok"), 0) > 0;
    if (!strcmp(f->arch, "gemma3") && json_bool(config_find(c, "use_bidirectional_attention"), 0))
        return &family_gemma_embedding;
    if (strcmp(f->arch, "granitehybrid")) return f;
    if (has_states(c)) return experts ? f : &family_granite_states;
    return experts ? &family_granite_moe : &family_granite_dense;
}

int family_find(const struct family **out, const struct config *c, struct lar_err *err)
{
    struct str a = c->architecture;
    if (!c->root)
        return lar_fail(err, LAR_EFORMAT, "%s: is a folder without a model (it has no config.json)",
                        buf_z(&c->folder));
    if (!a.n)
        return lar_fail(err, LAR_EFORMAT,
                        "%s/config.json: architectures is missing; it names the model's class",
                        buf_z(&c->folder));
    for (const struct family *f = family_table; f->hf; f++)
        if (family_lists(f->hf, a)) return *out = refine(f, c), 0;
    return lar_fail(
        err, LAR_EFAMILY, "%s/config.json: the architecture \"%.*s\" is not known",
        buf_z(&c->folder), STR_ARG(a));
}

const struct family *family_of(struct str arch)
{
    for (const struct family *f = family_table; f->hf; f++)
        if (str_is(arch, f->arch)) return f;
    return NULL;
}

struct str family_bare(struct str name)
{
    static const char *const prefix[] = {"model.",    "language_model.", "transformer.", "gpt_neox.",
                                         "backbone.", "text_model.",     "ernie.",       "bert.",
                                         "roberta.",  "distilbert."};
    for (size_t i = 0; i < sizeof prefix / sizeof *prefix; i++) {
        if (!str_starts(name, str_of(prefix[i]))) continue;
        name = str_from(name, strlen(prefix[i]));
        i = (size_t)-1; /* from the beginning: they nest in every order */
    }
    return name;
}

int family_other_part(struct str bare)
{
    for (const char *const *p = family_other_parts; *p; p++)
        if (str_starts(bare, str_of(*p))) return 1;
    return 0;
}

static int number(struct str s, size_t *at, int64_t *out)
{
    size_t from = *at;
    int64_t v = 0;
    while (*at < s.n && s.p[*at] >= '0' && s.p[*at] <= '9' && *at - from < 6)
        v = 10 * v + (s.p[(*at)++] - '0');
    *out = v;
    return *at > from;
}

static int fits(const char *pattern, struct str s, struct family_match *m)
{
    size_t at = 0;
    m->layer = m->number = -1;
    for (; *pattern; pattern++) {
        if (*pattern == '#' || *pattern == '*') {
            if (!number(s, &at, *pattern == '#' ? &m->layer : &m->number)) return 0;
        } else {
            if (at >= s.n || s.p[at] != *pattern) return 0;
            at++;
        }
    }
    return at == s.n;
}

static const struct name_rule *find(const struct name_rule *r, struct str name,
                                    struct family_match *m)
{
    struct str suffix = STR("");
    if (str_ends(name, STR(".weight"))) suffix = STR(".weight");
    if (str_ends(name, STR(".bias"))) suffix = STR(".bias");
    struct str stem = {name.p, name.n - suffix.n};
    for (; r && r->from; r++) {
        m->suffix = STR("");
        if (fits(r->from, name, m)) return r;
        m->suffix = suffix;
        if (suffix.n && fits(r->from, stem, m)) return r;
    }
    return NULL;
}

const struct name_rule *family_rule(const struct family *f, struct str name, struct family_match *m)
{
    const struct name_rule *r = find(f->names, name, m);
    return r ? r : find(family_names, name, m);
}

/* Does the rule's name `to` with this suffix give tail? */
static int gives(struct str to, const char *suffix, struct str tail)
{
    size_t n = strlen(suffix);
    return tail.n == to.n + n && !memcmp(tail.p, to.p, to.n) && !memcmp(tail.p + to.n, suffix, n);
}

/* The name that the rule reads, with its numbers. */
static void put_source(const struct name_rule *r, int64_t layer, int64_t number, const char *suffix,
                       char out[160])
{
    size_t n = 0;
    for (const char *p = r->from; *p && n < 100; p++)
        if (*p == '#' || *p == '*')
            n += (size_t)snprintf(out + n, 160 - n, "%" PRId64, *p == '#' ? layer : number);
        else
            out[n++] = *p;
    snprintf(out + n, 160 - n, "%s", suffix);
}

const struct name_rule *family_source(const struct family *f, struct str name,
                                      struct family_match *m, int *which, char bare[160])
{
    static const char *const suffix[] = {"", ".weight", ".bias"};
    const struct name_rule *const list[] = {f->names, family_names};
    struct str tail = name;
    size_t at = 4;
    *m = (struct family_match){.layer = -1, .number = -1};
    if (str_starts(name, STR("blk.")) && number(name, &at, &m->layer) && at < name.n &&
        name.p[at] == '.')
        tail = str_from(name, at + 1);
    for (int l = 0; l < 2; l++)
        for (const struct name_rule *r = list[l]; r && r->from; r++) {
            if ((strchr(r->from, '#') != NULL) != (m->layer >= 0)) continue;
            for (*which = 0;; ++*which) {
                struct str to = family_part(r->to, *which);
                if (!to.n) break;
                int keep = to.p[to.n - 1] == '!';
                to.n -= (size_t)keep;
                for (int s = 0; s < 3; s++) {
                    struct family_match back;
                    if (!gives(to, keep ? "" : suffix[s], tail)) continue;
                    put_source(r, m->layer, 0, suffix[keep ? 1 : s], bare);
                    m->suffix = str_of(suffix[keep ? 1 : s]);
                    if (family_rule(f, str_of(bare), &back) == r) return r;
                    if (keep) break;
                }
            }
        }
    return NULL;
}
