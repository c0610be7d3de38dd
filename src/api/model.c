/* SPDX-License-Identifier: Apache-2.0
 * api/model.c: lar.h's models and tokens: argument checks, then one call down. */
#include <lar/convert.h>

#include "api/api.h"
#include "api/tools.h"
#include "base/cpu.h"
#include "convert/convert.h"
#include "model/adapter.h"

#ifndef LAR_VERSION
#define LAR_VERSION "0.0.0"
#endif

int lar_abi(void) { return LAR_ABI; }

const char *lar_version(void) { return LAR_VERSION; }

const char *lar_family(size_t i) { return arch_name(i); }

const char *lar_cpu_level(void)
{
    unsigned flags = 0;
    struct kern k;
    if (cpu_flags(&flags, NULL) < 0) return "c";
    kern_init(&k, flags);
    return cpu_level_name(k.flags);
}

void lar_free(void *p) { mem_free(p); }

int api_give(const struct buf *b, char **out, size_t *n, struct lar_err *err)
{
    *out = b->failed ? NULL : mem_alloc(b->n + 1);
    if (!*out) return lar_fail(err, LAR_ENOMEM, "text of %zu bytes: out of memory", b->n);
    memcpy(*out, buf_z(b), b->n);
    (*out)[b->n] = 0;
    if (n) *n = b->n;
    return 0;
}

/* Jinja's statements have no place in Go's language. */
static void compile_template(struct lar_model *m)
{
    if (!m->template_source.n) return;
    if (!m->from_caller || memmem(m->template_text, m->template_source.n, "{%", 2))
        m->template = template_compile(m->template_source, &m->template_err);
    else
        m->gotmpl = gotmpl_compile(m->template_source, &m->template_err);
}

static int load_text(struct lar_model *m, int vocab_only, const char *chat_template, struct lar_err *err)
{
    struct str name = STR("");
    struct gguf *g = &m->model->gguf;
    int rc;
    if ((rc = vocab_open(&m->vocab, g, err)) < 0) return rc;
    if (!vocab_only && (size_t)vocab_size(m->vocab) > m->model->h.vocab)
        return lar_fail(err, LAR_EFORMAT,
                        "the tokenizer has %d tokens, but token_embd.weight has only %zu rows",
                        vocab_size(m->vocab), m->model->h.vocab);
    if ((rc = gguf_str(g, "tokenizer.chat_template", &m->template_source, err)) < 0) return rc;
    m->from_caller = chat_template != NULL;
    if (chat_template) m->template_source = str_of(chat_template);
    if ((rc = gguf_str(g, "general.name", &name, err)) < 0) return rc;
    m->name = arena_copy(&m->model->a, name.p, name.n);
    m->template_text = arena_copy(&m->model->a, m->template_source.p, m->template_source.n);
    if (!m->name || !m->template_text) return lar_fail(err, LAR_ENOMEM, "model: out of memory");
    m->template_source.p = m->template_text;
    compile_template(m);
    m->marks = answer_marks_of((struct str){m->template_text, m->template_source.n});
    return api_tools_init(m, err);
}

/* A tokenizer in its own files. */
static int open_own(struct lar_model *m, const char *path, struct lar_err *err)
{
    int rc = vocab_hf_open(&m->image, path, 0, err);
    return rc < 0 ? rc : model_open_memory(&m->model, m->image.bytes.p, m->image.bytes.n, err);
}

/* A GGUF, or what can be read as one: a Hugging Face folder or weights that lie in one. */
static int open_weights(struct lar_model *m, const char *path, int threads, const struct lar_model_options *o,
                        struct lar_err *err)
{
    struct gguf g;
    int rc = convert_is(path) ? convert_memory(&g, path, err) : gguf_open(&g, path, err);
    if (rc < 0) return rc;
    struct adapter_file *f = mem_zalloc((o->nadapter + 1) * sizeof *f);
    if (!f) {
        gguf_close(&g);
        return lar_fail(err, LAR_ENOMEM, "model: out of memory");
    }
    for (size_t i = 0; i < o->nadapter; i++) f[i] = (struct adapter_file){o->adapters[i].path, o->adapters[i].scale};
    rc = model_open_adapted(&m->model, &g, path, threads, f, o->nadapter, err);
    mem_free(f);
    return rc;
}

int lar_model_open(struct lar_model **out, const char *path, const struct lar_model_options *opt,
                   struct lar_err *err)
{
    struct lar_model_options o = opt ? *opt : (struct lar_model_options){0};
    if (!out || !path) return lar_fail(err, LAR_EINVAL, "lar_model_open: out and path are needed");
    *out = NULL;
    if (o.threads < 0 || o.threads > 256)
        return lar_fail(err, LAR_EINVAL, "%d threads: use 1 to 256, or 0 for all cores", o.threads);
    if (o.nadapter > 64 || (o.nadapter && (!o.adapters || o.vocab_only)))
        return lar_fail(err, LAR_EINVAL, "lar_model_open: %zu adapters", o.nadapter);
    for (size_t i = 0; i < o.nadapter; i++)
        if (!o.adapters[i].path) return lar_fail(err, LAR_EINVAL, "lar_model_open: adapter %zu has no path", i);
    struct lar_model *m = mem_zalloc(sizeof *m);
    if (!m) return lar_fail(err, LAR_ENOMEM, "model: out of memory");
    atomic_init(&m->refs, 1);
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->trie_lock, NULL);
    int rc = !o.vocab_only       ? open_weights(m, path, o.threads ? o.threads : cpu_count(), &o, err)
             : vocab_hf_is(path) ? open_own(m, path, err)
                                 : model_open_file(&m->model, path, err);
    if (rc == 0 && !o.vocab_only) m->model->dev->steady = o.deterministic != 0;
    if (rc == 0) rc = api_recommended(m, err);
    if (rc == 0) rc = load_text(m, o.vocab_only, o.chat_template, err);
    if (rc < 0) {
        api_model_unref(m);
        return rc;
    }
    *out = m;
    return 0;
}

void api_model_unref(struct lar_model *m)
{
    if (!m || atomic_fetch_sub(&m->refs, 1) != 1) return;
    for (int i = 0; i < KV_COUNT; i++) kv_pool_close(m->pool[i]);
    toktrie_close(m->trie);
    mem_free(m->trie_bytes);
    mem_free(m->mark_bytes);
    ids_done(&m->call_marks);
    mem_free(m->end);
    vocab_close(m->vocab);
    template_free(m->template);
    gotmpl_free(m->gotmpl);
    model_close(m->model);
    vocab_hf_close(&m->image);
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->trie_lock);
    mem_free(m);
}

void lar_model_close(struct lar_model *m) { api_model_unref(m); }

void lar_model_info(const struct lar_model *m, struct lar_model_info *out)
{
    const struct model *d = m->model;
    *out = (struct lar_model_info){.architecture = d->arch ? d->arch->name : "",
                                   .name = m->name,
                                   .ctx_train = (int)d->h.ctx_train,
                                   .vocab = d->arch ? (int)d->h.vocab : vocab_size(m->vocab),
                                   .layers = (int)d->h.nlayer,
                                   .width = (int)d->h.width,
                                   .threads = d->dev ? d->dev->threads : 0,
                                   .has_template = m->template_source.n > 0,
                                   .can_think = m->marks.open.n > 0,
                                   .parameters = d->parameters,
                                   .weight_bytes = d->weight_bytes,
                                   .token_weights = d->token_weights,
                                   .token_bytes = d->token_bytes,
                                   .integer = d->integer};
}

const char *lar_model_template(const struct lar_model *m) { return m->template_text; }

int64_t lar_tokenize(const struct lar_model *m, const char *text, size_t n, unsigned flags,
                     int32_t *out, size_t cap, struct lar_err *err)
{
    struct ids ids = {0};
    if (!m || (!text && n) || (!out && cap))
        return lar_fail(err, LAR_EINVAL, "lar_tokenize: model, text and out are needed");
    unsigned f = (flags & LAR_TOKENIZE_SPECIAL ? VOCAB_PARSE_SPECIAL : 0u) |
                 (flags & LAR_TOKENIZE_BOS ? VOCAB_ADD_SPECIAL : 0u);
    int64_t rc = vocab_encode(m->vocab, (struct str){text ? text : "", n}, f, &ids, err);
    if (rc >= 0) {
        rc = (int64_t)ids.n;
        if (cap) memcpy(out, ids.id, (ids.n < cap ? ids.n : cap) * sizeof *out);
    }
    ids_done(&ids);
    return rc;
}

const char *lar_token_bytes(const struct lar_model *m, int32_t id, size_t *n)
{
    struct str s = vocab_bytes(m->vocab, id);
    if (n) *n = s.n;
    return s.p;
}

const char *lar_token_piece(const struct lar_model *m, int32_t id, size_t *n)
{
    struct str s = vocab_piece(m->vocab, id);
    if (n) *n = s.n;
    return s.p;
}

int lar_token_type(const struct lar_model *m, int32_t id) { return (int)vocab_type(m->vocab, id); }

int lar_token_ends(const struct lar_model *m, int32_t id) { return vocab_is_end(m->vocab, id); }

int lar_detokenize(const struct lar_model *m, const int32_t *ids, size_t nid, unsigned flags,
                   char **out, size_t *n, struct lar_err *err)
{
    struct buf b = {0};
    struct vocab_decoder d = {.started = flags & LAR_DETOKENIZE_BYTES ? VOCAB_DECODE_EXACT : 0};
    if (!m || !out || (!ids && nid))
        return lar_fail(err, LAR_EINVAL, "lar_detokenize: model, ids and out are needed");
    for (size_t i = 0; i < nid; i++) {
        if (!vocab_type(m->vocab, ids[i])) {
            buf_done(&b);
            return lar_fail(err, LAR_EINVAL, "token %zu is %d; ids of this model are 0 to %d", i,
                            ids[i], vocab_size(m->vocab) - 1);
        }
        vocab_decode(m->vocab, &d, ids[i], (flags & LAR_DETOKENIZE_SPECIAL) != 0, &b);
    }
    vocab_decode_end(&d, &b);
    int rc = api_give(&b, out, n, err);
    buf_done(&b);
    return rc;
}
