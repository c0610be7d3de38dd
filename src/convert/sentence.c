/* SPDX-License-Identifier: Apache-2.0
 *
 * convert/sentence.c: what sentence-transformers keeps beside an embedder and no key of ggml's says, as keys of Lar's own, both ways
 * (https://sbert.net, "Custom Models"; prompts: SentenceTransformer.encode). A key is written only where the folder says other than what is taken for
 * granted, so that an ordinary file has none:
 *
 *     lar.embedding.normalize       bool false: modules.json has no Normalize
 *     lar.embedding.max_tokens      u32: max_seq_length of sentence_bert_config.json, where it is not the model's
 *     lar.embedding.lowercase       bool true: do_lower_case of it
 *     lar.embedding.prompt_names    strings, and .prompts: what stands before texts, by name (not where all are "query" and "document" and empty)
 *     lar.embedding.default_prompt  string: the one that stands before a text unless another is named
 *     lar.embedding.similarity      string: similarity_fn_name, where that is not "cosine"
 *
 * Which versions wrote the folder (__version__) is not kept.
 */
#include <inttypes.h>
#include <stdio.h>

#include "convert/export.h"
#include "convert/family_table.h"
#include "convert/meta.h"

#define KEY(name) "lar.embedding." name

static int wrong(const struct meta *m, const char *file, const char *what)
{
    return lar_fail(m->err, LAR_EFORMAT, "%s/%s: %s", buf_z(&m->c->folder), file, what);
}

/* ---- to keys ------------------------------------------------------------------------------------------------------------- */

static int is_kind(const struct json *v, const char *kind)
{
    struct json alone = *v, list = {.kind = JSON_ARRAY, .child = &alone};
    struct config one = {.modules = &list};
    alone.next = NULL;
    return config_module(&one, kind) != NULL;
}

/* Of a list with a Pooling: Transformer, Pooling, dense layers where the family has them, Normalize. */
static int modules(struct meta *m)
{
    static const char *const order[] = {"Transformer", "Pooling", "Dense", "Normalize"};
    int at = 0, i = 0, k, dense = !strcmp(m->f->arch, "gemma-embedding");
    if (!config_module(m->c, "Pooling")) return 0;
    for (const struct json *v = m->c->modules->child; v; v = v->next, i++) {
        struct str path = json_str(config_in(v, "path"), STR(""));
        if (is_kind(v, "Dropout")) continue; /* of training */
        for (k = at; k < 4 && !is_kind(v, order[k]); k++) {}
        if (k == 4 || (k == 2 && (!dense || (!str_is(path, "2_Dense") && !str_is(path, "3_Dense")))))
            return lar_fail(m->err, LAR_EUNSUPPORTED,
                            "%s/modules.json: entry %d (%.*s) is none that a GGUF of %s can hold there: known are "
                            "Transformer, Pooling%s and Normalize, in this order; without it the vectors would be "
                            "others",
                            buf_z(&m->c->folder), i, STR_ARG(json_str(config_in(v, "type"), STR("without a type"))),
                            m->f->arch, dense ? ", 2_Dense, 3_Dense" : "");
        at = k == 2 ? 2 : k + 1;
    }
    if (!config_module(m->c, "Normalize")) gguf_keys_bool(m->k, KEY("normalize"), 0);
    return 0;
}

/* Tokens that the model itself can read; 0: config.json does not say. */
static int context(struct meta *m, uint32_t *out)
{
    uint32_t pad = 1;
    int rc = config_u32(m->c, "max_position_embeddings|n_ctx|n_positions|max_sequence_length|model_max_length", out,
                        m->err);
    if (rc < 0 || (m->f->names != roberta_names && m->f->names != roberta_each_names)) return rc < 0 ? rc : 0;
    rc = config_u32(m->c, "pad_token_id", &pad, m->err);
    if (*out > pad) *out -= pad + 1;
    return rc < 0 ? rc : 0;
}

static int length(struct meta *m)
{
    const struct json *most = config_in(m->c->sentence, "max_seq_length"),
                      *lower = config_in(m->c->sentence, "do_lower_case");
    uint32_t own = 0;
    int rc = context(m, &own);
    if (rc < 0) return rc;
    if (most && (most->kind != JSON_NUMBER || !most->is_int || most->i < 1 || most->i > INT32_MAX))
        return wrong(m, "sentence_bert_config.json", "max_seq_length is no whole number above 0");
    if (lower && lower->kind != JSON_BOOL)
        return wrong(m, "sentence_bert_config.json", "do_lower_case is neither true nor false");
    if (most && most->i != own) gguf_keys_u32(m->k, KEY("max_tokens"), (uint32_t)most->i);
    if (json_bool(lower, 0)) gguf_keys_bool(m->k, KEY("lowercase"), 1);
    return 0;
}

static int is_usual(const struct json *p)
{
    return (str_is(p->key, "query") || str_is(p->key, "document")) && !json_str(p, STR("")).n;
}

static int prompts(struct meta *m)
{
    static const char file[] = "config_sentence_transformers.json";
    const struct json *all = config_in(m->c->prompts, "prompts");
    const struct json *first = config_in(m->c->prompts, "default_prompt_name");
    const struct json *likeness = config_in(m->c->prompts, "similarity_fn_name");
    size_t n = 0, found = 0, usual = 0, most = all ? all->n : 0;
    if (all && all->kind != JSON_OBJECT) return wrong(m, file, "prompts is no object");
    if (first && first->kind != JSON_STRING) return wrong(m, file, "default_prompt_name is no string");
    if (likeness && likeness->kind != JSON_STRING) return wrong(m, file, "similarity_fn_name is no string");
    struct str *name = arena_array(m->p->a, most + 1, sizeof *name);
    struct str *text = arena_array(m->p->a, most + 1, sizeof *text);
    if (!name || !text) return lar_fail(m->err, LAR_ENOMEM, "prompts: out of memory");
    for (const struct json *p = all ? all->child : NULL; p; p = p->next) {
        if (p->kind != JSON_STRING && p->kind != JSON_NULL) return wrong(m, file, "a prompt is no string");
        for (size_t i = 0; i < n; i++)
            if (str_eq(name[i], p->key)) return wrong(m, file, "two prompts have the same name");
        found |= first && str_eq(p->key, first->s);
        usual += (size_t)is_usual(p);
        name[n] = p->key;
        text[n++] = json_str(p, STR(""));
    }
    if (first && !found) return wrong(m, file, "default_prompt_name is none of its prompts");
    if (n > usual || first) {
        gguf_keys_strs(m->k, KEY("prompt_names"), name, n);
        gguf_keys_strs(m->k, KEY("prompts"), text, n);
    }
    if (first) gguf_keys_str(m->k, KEY("default_prompt"), first->s);
    if (likeness && !str_is(likeness->s, "cosine")) gguf_keys_str(m->k, KEY("similarity"), likeness->s);
    return 0;
}

int meta_sentence(struct meta *m)
{
    int rc = modules(m);
    if (rc == 0) rc = length(m);
    return rc < 0 ? rc : prompts(m);
}

/* ---- and back ------------------------------------------------------------------------------------------------------------- */

static const struct gguf_kv *strings(const struct export *e, const char *key)
{
    const struct gguf_kv *kv = gguf_find(&e->g, key);
    return kv && kv->type == GGUF_ARRAY && kv->etype == GGUF_STRING ? kv : NULL;
}

static void modules_json(struct export *e)
{
    static const char *const module[] = {"Transformer", "Pooling", "Dense", "Dense", "Normalize"};
    struct buf *b = &e->modules;
    int n = 0, unit = 1;
    if (!e->pooling.n) return;
    (void)gguf_bool(&e->g, KEY("normalize"), &unit, NULL);
    for (int i = 0; i < 4 + (unit != 0); i++) {
        if ((i == 2 || i == 3) && !e->c.dense[i - 2][0]) continue;
        buf_printf(b, "%s{\"idx\": %d, \"name\": \"%d\", \"path\": \"", n ? ",\n  " : "[\n  ", n, n);
        if (i) buf_printf(b, "%d_%s", n, module[i]);
        buf_printf(b, "\", \"type\": \"sentence_transformers.models.%s\"}", module[i]);
        n++;
    }
    buf_puts(b, "\n]\n");
}

static void sentence_json(struct export *e)
{
    struct buf *b = &e->sentence;
    uint32_t most = 0;
    int lower = 0, some = gguf_u32(&e->g, KEY("max_tokens"), &most, NULL) == 1;
    if ((gguf_bool(&e->g, KEY("lowercase"), &lower, NULL) != 1 || !lower) && !some) return;
    buf_puts(b, "{\n");
    if (some) buf_printf(b, "  \"max_seq_length\": %" PRIu32 ",\n", most);
    buf_printf(b, "  \"do_lower_case\": %s\n}\n", lower ? "true" : "false");
}

static void prompts_json(struct export *e)
{
    const struct gguf_kv *name = strings(e, KEY("prompt_names")), *text = strings(e, KEY("prompts"));
    struct str first = STR(""), likeness = STR("cosine");
    struct buf *b = &e->prompts;
    int some = gguf_str(&e->g, KEY("default_prompt"), &first, NULL) == 1,
        other = gguf_str(&e->g, KEY("similarity"), &likeness, NULL) == 1;
    if (!some && !other && !name) return;
    buf_puts(b, "{\n  \"prompts\": {");
    for (uint64_t i = 0; name && text && i < name->count && i < text->count; i++) {
        buf_puts(b, i ? ",\n    " : "\n    ");
        buf_json_str(b, gguf_str_at(name, i));
        buf_puts(b, ": ");
        buf_json_str(b, gguf_str_at(text, i));
    }
    buf_puts(b, name ? "\n  },\n  \"default_prompt_name\": " : "},\n  \"default_prompt_name\": ");
    if (some)
        buf_json_str(b, first);
    else
        buf_puts(b, "null");
    buf_puts(b, ",\n  \"similarity_fn_name\": ");
    buf_json_str(b, likeness);
    buf_puts(b, "\n}\n");
}

static int take(struct export *e, struct buf *b, const struct json **to, struct lar_err *err)
{
    if (b->failed) return lar_fail(err, LAR_ENOMEM, "files of sentence-transformers: out of memory");
    *to = b->n ? json_parse(&e->c.a, buf_view(b), err) : NULL;
    return b->n && !*to ? LAR_EFORMAT : 0;
}

int export_sentence(struct export *e, struct lar_err *err)
{
    buf_clear(&e->modules), buf_clear(&e->sentence), buf_clear(&e->prompts);
    modules_json(e);
    sentence_json(e);
    prompts_json(e);
    int rc = take(e, &e->modules, &e->c.modules, err);
    if (rc == 0) rc = take(e, &e->sentence, &e->c.sentence, err);
    return rc < 0 ? rc : take(e, &e->prompts, &e->c.prompts, err);
}

int export_sentence_write(const struct export *e, const char *folder, struct lar_err *err)
{
    const struct {
        const char *name;
        const struct buf *text;
    } file[] = {{"modules.json", &e->modules},
                {"sentence_bert_config.json", &e->sentence},
                {"config_sentence_transformers.json", &e->prompts}};
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++)
        if (file[i].text->n) rc = export_text(folder, file[i].name, buf_view(file[i].text), err);
    return rc;
}
