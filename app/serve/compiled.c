/* SPDX-License-Identifier: Apache-2.0
 * serve/compiled.c: see compiled.h. A few dozen keys are compared one by one. */
#include "serve/compiled.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

/* Of a grammar's 256 MiB: beyond it a new request gets a fresh one. */
#define GROWN ((size_t)64 << 20)

void compiled_init(struct compiled *c, size_t limit)
{
    *c = (struct compiled){.limit = limit};
    pthread_mutex_init(&c->lock, NULL);
}

static void item_close(struct compiled_item *i)
{
    lar_grammar_close(i->grammar);
    lar_tools_close(i->tools);
    mem_free(i);
}

void compiled_done(struct compiled *c)
{
    for (size_t k = 0; k < c->n; k++) item_close(c->item[k]);
    c->n = 0;
    pthread_mutex_destroy(&c->lock);
}

static size_t size_of(const struct compiled_item *i)
{
    return i->grammar ? lar_grammar_bytes(i->grammar) : lar_tools_bytes(i->tools);
}

/* ---- with the lock held ---- */

/* Out of the list; closed now, or by the last who holds it. */
static void forget(struct compiled *c, size_t k)
{
    struct compiled_item *i = c->item[k];
    c->item[k] = c->item[--c->n];
    c->bytes -= i->bytes;
    c->dropped++;
    i->kept = 0;
    if (!i->held) item_close(i);
}

/* Measures i anew: 0 when it has grown too large to be given out again. */
static int is_small(struct compiled *c, struct compiled_item *i)
{
    size_t now = size_of(i);
    c->bytes += now - i->bytes;
    i->bytes = now;
    return now <= GROWN && now <= c->limit;
}

/* The oldest go until there are `most` at most, and no more bytes than the limit. */
static void make_room(struct compiled *c, const struct compiled_item *but, size_t most)
{
    while (c->bytes > c->limit || c->n > most) {
        size_t oldest = COMPILED_MAX;
        for (size_t k = 0; k < c->n; k++)
            if (c->item[k] != but && (oldest == COMPILED_MAX || c->item[k]->used < c->item[oldest]->used)) oldest = k;
        if (oldest == COMPILED_MAX) return;
        forget(c, oldest);
    }
}

static struct compiled_item *take(struct compiled *c, const char *key)
{
    for (size_t k = 0; k < c->n; k++) {
        struct compiled_item *i = c->item[k];
        if (strcmp(i->key, key) != 0) continue;
        if (!is_small(c, i)) {
            forget(c, k);
            return NULL;
        }
        i->held++;
        i->used = ++c->turn;
        return i;
    }
    return NULL;
}

/* ---- taking ---- */

static struct compiled_item *find(struct compiled *c, const char *key)
{
    pthread_mutex_lock(&c->lock);
    struct compiled_item *i = take(c, key);
    if (i) c->found++;
    pthread_mutex_unlock(&c->lock);
    return i;
}

/* Puts a new one in, unless somebody else was quicker. */
static struct compiled_item *put(struct compiled *c, struct compiled_item *i)
{
    pthread_mutex_lock(&c->lock);
    struct compiled_item *other = take(c, i->key);
    c->made++;
    if (!other) {
        i->held = i->kept = 1;
        i->used = ++c->turn;
        make_room(c, NULL, COMPILED_MAX - 1);
        c->item[c->n++] = i;
        c->bytes += i->bytes = size_of(i);
        make_room(c, i, COMPILED_MAX);
    }
    pthread_mutex_unlock(&c->lock);
    if (other) item_close(i);
    return other ? other : i;
}

static void key_of(char key[SHA256_HEX + 1], const char *options, struct str name, struct str text)
{
    struct sha256 h;
    sha256_init(&h);
    sha256_add(&h, options, strlen(options) + 1);
    sha256_add(&h, name.p, name.n);
    sha256_add(&h, "", 1);
    sha256_add(&h, text.p, text.n);
    sha256_end(&h, key);
}

static int new_item(struct compiled_item **out, const char *key, struct lar_err *err)
{
    if (!(*out = mem_zalloc(sizeof **out))) return lar_fail(err, LAR_ENOMEM, "out of memory");
    memcpy((*out)->key, key, sizeof(*out)->key);
    return 0;
}

int compiled_grammar(struct compiled *c, struct compiled_item **out, enum lar_grammar_kind kind, struct str text,
                     const struct lar_grammar_options *opt, struct lar_err *err)
{
    char key[SHA256_HEX + 1], options[80];
    struct lar_grammar_options o = opt ? *opt : (struct lar_grammar_options){0};
    snprintf(options, sizeof options, "grammar %d %d %d %d %d %zu", (int)kind, o.draft, o.ignore_format, o.space,
             o.partial, o.limit);
    key_of(key, options, STR(""), text);
    if ((*out = find(c, key)) != NULL) return 0;
    int rc = new_item(out, key, err);
    if (rc == 0 && (rc = lar_grammar_open(&(*out)->grammar, kind, text.p, text.n, &o, NULL, err)) < 0) {
        mem_free(*out);
        *out = NULL;
    }
    if (rc == 0) *out = put(c, *out);
    return rc;
}

int compiled_tools(struct compiled *c, struct compiled_item **out, struct lar_model *m, struct str text,
                   const struct lar_tools_options *opt, struct lar_err *err)
{
    char key[SHA256_HEX + 1], options[80];
    snprintf(options, sizeof options, "tools %d %d %d", (int)opt->choice, opt->single, opt->strict);
    key_of(key, options, str_of(opt->name), text);
    if ((*out = find(c, key)) != NULL) return 0;
    int rc = new_item(out, key, err);
    if (rc == 0 && (rc = lar_tools_open(&(*out)->tools, m, text.p, text.n, opt, err)) < 0) {
        mem_free(*out);
        *out = NULL;
    }
    if (rc == 0) *out = put(c, *out);
    return rc;
}

void compiled_drop(struct compiled *c, struct compiled_item *i)
{
    if (!i) return;
    pthread_mutex_lock(&c->lock);
    int over = --i->held == 0 && !i->kept;
    if (i->kept && !is_small(c, i))
        for (size_t k = 0; k < c->n; k++)
            if (c->item[k] == i) {
                forget(c, k);
                break;
            }
    make_room(c, NULL, COMPILED_MAX);
    pthread_mutex_unlock(&c->lock);
    if (over) item_close(i);
}
