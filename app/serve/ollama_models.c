/* SPDX-License-Identifier: Apache-2.0
 * serve/ollama_models.c: Ollama's answers about models: which there are, which are loaded, and all about one. */
#include <lar/lar.h>
#include <math.h>
#include <time.h>

#include "base/err.h"
#include "base/time.h"
#include "serve/field.h"
#include "serve/ollama.h"

enum { LONG_ARRAY = 64 }; /* longer ones are shown only to who asks for all */

static void stamp(struct buf *b, struct timespec t)
{
    struct tm tm;
    gmtime_r(&t.tv_sec, &tm);
    buf_printf(b, "\"%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ\"", tm.tm_year + 1900, tm.tm_mon + 1,
               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, t.tv_nsec);
}

/* The digest of a manifest; of a file by itself which it is, by its place, size and time: FNV-1a, four times with other beginnings. Not a hash of its contents. */
static void identity(struct buf *b, const struct book *k)
{
    struct buf text = {0};
    if (k->stored && k->stored->digest[0]) {
        buf_puts(b, k->stored->digest);
        return;
    }
    buf_printf(&text, "%s %lld %lld.%09ld", k->path, (long long)k->bytes,
               (long long)k->modified.tv_sec, k->modified.tv_nsec);
    for (uint64_t part = 0; part < 4; part++) {
        uint64_t h = 0xcbf29ce484222325 + part;
        for (size_t i = 0; i < text.n; i++) h = (h ^ (unsigned char)text.p[i]) * 0x100000001b3;
        buf_printf(b, "%016llx", (unsigned long long)h);
    }
    buf_done(&text);
}

static void parameters(struct buf *b, int64_t n)
{
    double v = (double)n;
    if (n >= 1000000000)
        buf_printf(b, "%.1fB", v / 1e9);
    else if (n >= 1000000)
        buf_printf(b, "%.1fM", v / 1e6);
    else
        buf_printf(b, "%.1fK", v / 1e3);
}

static void details(struct buf *b, const struct book *k)
{
    buf_puts(b, "{\"parent_model\":\"\",\"format\":\"gguf\",\"family\":");
    buf_json_str(b, str_of(k->architecture));
    buf_puts(b, ",\"families\":[");
    buf_json_str(b, str_of(k->architecture));
    buf_puts(b, "],\"parameter_size\":\"");
    parameters(b, k->parameters);
    buf_puts(b, "\",\"quantization_level\":");
    buf_json_str(b, str_of(k->file_type));
    buf_printf(b, ",\"context_length\":%lld,\"embedding_length\":%lld}", (long long)k->ctx_train,
               (long long)k->width);
}

static void book_head(struct buf *b, const struct book *k, const char *name, int64_t size)
{
    buf_puts(b, "{\"name\":");
    buf_json_str(b, str_of(name));
    buf_puts(b, ",\"model\":");
    buf_json_str(b, str_of(name));
    buf_puts(b, ",\"modified_at\":");
    stamp(b, k->modified);
    buf_printf(b, ",\"size\":%lld,\"digest\":\"", (long long)size);
    identity(b, k);
    buf_puts(b, "\",\"details\":");
    details(b, k);
}

static void adapted(struct buf *b, const struct book *k, const struct lora *l, const char *name)
{
    buf_putc(b, ',');
    book_head(b, k, name, l->bytes);
    buf_putc(b, '}');
}

/* When a loaded model may go, on the clock that people read; what stays for good leaves in a hundred years. */
static void expires(struct buf *b, const struct book *k)
{
    struct timespec t;
    int64_t left = k->held ? k->keep : k->until == INT64_MAX ? -1 : k->until - time_ns();
    clock_gettime(CLOCK_REALTIME, &t);
    if (k->pinned || (left < 0 && (k->held || k->until == INT64_MAX)))
        t.tv_sec += (int64_t)3155760000;
    else if (left > 0)
        t.tv_sec += left / 1000000000;
    stamp(b, t);
}

void ollama_tags(struct buf *b, struct shelf *s, int running)
{
    int first = 1;
    buf_puts(b, "{\"models\":[");
    pthread_mutex_lock(&s->lock);
    if (!running) shelf_refresh(s);
    for (size_t i = 0; i < s->nbook; i++) {
        const struct book *k = &s->book[i];
        if (running ? !k->engine : !book_shown(k)) continue;
        if (!first) buf_putc(b, ',');
        first = 0;
        book_head(b, k, k->name, running ? (int64_t)shelf_bytes(k) : k->bytes);
        if (running) {
            buf_puts(b, ",\"expires_at\":");
            expires(b, k);
            buf_printf(b, ",\"size_vram\":0,\"context_length\":%d",
                       k->engine->reads_only ? k->engine->info.ctx_train
                       : s->opt.ctx          ? s->opt.ctx
                                             : engine_ctx(k->engine));
            loras_loaded(s, k->engine, b);
        }
        buf_putc(b, '}');
        if (!running) loras_each(s, k, adapted, b);
    }
    pthread_mutex_unlock(&s->lock);
    buf_puts(b, "]}\n");
}

static void meta_value(struct buf *b, const struct lar_file *f, size_t i, const struct lar_meta *m,
                       uint64_t at)
{
    enum lar_meta_type t = m->type == LAR_META_ARRAY ? m->element : m->type;
    size_t n = 0;
    const char *text;
    switch (t) {
    case LAR_META_STRING:
        text = lar_file_meta_str(f, i, at, &n);
        buf_json_str(b, (struct str){text ? text : "", text ? n : 0});
        break;
    case LAR_META_BOOL: buf_puts(b, lar_file_meta_int(f, i, at) ? "true" : "false"); break;
    case LAR_META_F32:
    case LAR_META_F64: buf_json_num(b, lar_file_meta_num(f, i, at)); break;
    case LAR_META_ARRAY: buf_puts(b, "null"); break;
    default: buf_printf(b, "%lld", (long long)lar_file_meta_int(f, i, at));
    }
}

static void model_info(struct buf *b, const struct lar_file *f, const struct book *k, int verbose)
{
    struct lar_file_info info;
    lar_file_info(f, &info);
    buf_printf(b, "{\"general.parameter_count\":%lld", (long long)k->parameters);
    for (size_t i = 0; i < info.nmeta; i++) {
        struct lar_meta m;
        lar_file_meta(f, i, &m);
        if (str_is((struct str){m.key, m.key_n}, "tokenizer.chat_template"))
            continue; /* stands under its own name */
        buf_putc(b, ',');
        buf_json_str(b, (struct str){m.key, m.key_n});
        buf_putc(b, ':');
        if (m.type != LAR_META_ARRAY) {
            meta_value(b, f, i, &m, 0);
        } else if (m.count > LONG_ARRAY && !verbose) {
            buf_puts(b, "null");
        } else {
            buf_putc(b, '[');
            for (uint64_t j = 0; j < m.count; j++) {
                if (j) buf_putc(b, ',');
                meta_value(b, f, i, &m, j);
            }
            buf_putc(b, ']');
        }
    }
    buf_putc(b, '}');
}

static void tensors(struct buf *b, const struct lar_file *f)
{
    struct lar_file_info info;
    lar_file_info(f, &info);
    buf_puts(b, ",\"tensors\":[");
    for (size_t i = 0; i < info.ntensor; i++) {
        struct lar_tensor t;
        lar_file_tensor(f, i, &t);
        buf_puts(b, i ? ",{\"name\":" : "{\"name\":");
        buf_json_str(b, (struct str){t.name, t.name_n});
        buf_printf(b, ",\"type\":\"%s\",\"shape\":[", t.type);
        for (int d = 0; d < t.ndim; d++)
            buf_printf(b, "%s%lld", d ? "," : "", (long long)t.shape[d]);
        buf_puts(b, "]}");
    }
    buf_putc(b, ']');
}

static struct str template_of(const struct lar_file *f)
{
    struct lar_file_info info;
    lar_file_info(f, &info);
    for (size_t i = 0; i < info.nmeta; i++) {
        struct lar_meta m;
        struct str s = {"", 0};
        lar_file_meta(f, i, &m);
        if (m.type != LAR_META_STRING ||
            !str_is((struct str){m.key, m.key_n}, "tokenizer.chat_template"))
            continue;
        s.p = lar_file_meta_str(f, i, 0, &s.n);
        return s;
    }
    return (struct str){"", 0};
}

#define AT(x) offsetof(struct ask, x)
/* clang-format off */
static const struct field show_fields[] = {
    {"model", field_str, AT(model), 0, 0, NULL},
    {"name", field_str, AT(model), 0, 0, NULL}, /* the older word */
    {"verbose", field_flag, AT(raw), 0, 0, NULL},
    {"system", field_false, 0, 0, 0, NULL},
    {"template", field_false, 0, 0, 0, NULL},
    {"options", field_false, 0, 0, 0, NULL},
    {NULL, NULL, 0, 0, 0, NULL},
};
/* clang-format on */

static void show(struct buf *b, const struct lar_file *f, const struct book *k, int verbose)
{
    struct str t = k->stored && k->stored->template_text && *k->stored->template_text
                       ? str_of(k->stored->template_text)
                       : template_of(f);
    buf_puts(b, "{\"modelfile\":");
    struct buf text = {0};
    if (k->stored)
        store_modelfile(k->stored, &text);
    else
        buf_printf(&text, "FROM %s\n", k->path);
    buf_json_str(b, buf_view(&text));
    buf_done(&text);
    buf_puts(b, ",\"parameters\":");
    if (k->stored) store_parameters(k->stored, &text);
    buf_json_str(b, buf_view(&text));
    buf_done(&text);
    if (k->stored && k->stored->system) {
        buf_puts(b, ",\"system\":");
        buf_json_str(b, str_of(k->stored->system));
    }
    buf_puts(b, ",\"template\":");
    buf_json_str(b, t);
    buf_puts(b, ",\"details\":");
    details(b, k);
    buf_puts(b, ",\"model_info\":");
    model_info(b, f, k, verbose);
    if (verbose) tensors(b, f);
    buf_puts(b, ",\"capabilities\":[");
    buf_puts(b, k->reads_only ? "\"embedding\"" : "\"completion\"");
    if (t.n && memmem(t.p, t.n, "think>", 6)) buf_puts(b, ",\"thinking\"");
    buf_puts(b, "],\"modified_at\":");
    stamp(b, k->modified);
    buf_puts(b, "}\n");
}

int ollama_show(struct buf *b, struct shelf *s, struct str body, struct lar_err *err)
{
    struct ask q;
    struct lar_file *f;
    ask_init(&q);
    const struct json *v = body.n ? json_parse(&q.a, body, err) : NULL;
    int rc = body.n ? v ? field_read(&q, v, show_fields, "", err) : LAR_EINVAL
                    : lar_fail(err, LAR_EINVAL, "missing request body");
    const struct book *k = rc == 0 ? shelf_find(s, q.model.p ? q.model.p : "", q.model.n) : NULL;
    if (rc == 0 && !k) {
        lar_fail(err, LAR_EINVAL, "model '%.*s' not found", STR_ARG(q.model));
        rc = 404;
    }
    if (rc == 0 && (rc = lar_file_open(&f, k->path, err)) == 0) {
        show(b, f, k, q.raw);
        lar_file_close(f);
    }
    ask_done(&q);
    return rc;
}
