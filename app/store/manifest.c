/* SPDX-License-Identifier: Apache-2.0
 * store/manifest.c: see manifest.h. Manifests come from registries and from other programs' folders: a digest becomes a file's name only when
 * it is one, a size is a whole number of bytes, and there is an end to everything. */
#include "store/manifest.h"

#include "base/err.h"
#include "store/name.h"

static int text_of(struct str *out, struct arena *a, const struct json *v)
{
    struct str s = json_str(v, STR(""));
    char *p = arena_copy(a, s.p, s.n);
    *out = (struct str){p ? p : "", p ? s.n : 0};
    return p ? 0 : -1;
}

static int read_layer(struct layer *l, struct arena *a, const struct json *v, const char *what,
                      size_t i, struct lar_err *err)
{
    const struct json *size = json_get(v, "size");
    *l = (struct layer){.type = STR("")};
    if (name_digest(json_str(json_get(v, "digest"), STR("")), l->digest) < 0)
        return lar_fail(err, LAR_EFORMAT, "manifest: %s %zu has no sha256 digest", what, i);
    if (!size || !size->is_int || size->i < 0)
        return lar_fail(err, LAR_EFORMAT, "manifest: the size of %s %zu is no number of bytes",
                        what, i);
    l->size = (uint64_t)size->i;
    if (text_of(&l->type, a, json_get(v, "mediaType")) ||
        text_of(&l->name, a, json_get(v, "name")) || text_of(&l->from, a, json_get(v, "from")))
        return lar_fail(err, LAR_ENOMEM, "manifest: out of memory");
    return 0;
}

static int read_layers(struct manifest *m, struct arena *a, const struct json *v,
                       struct lar_err *err)
{
    const struct json *list = json_get(v, "layers"), *config = json_get(v, "config");
    int e = 0;
    if (!list || list->kind != JSON_ARRAY)
        return json_get(v, "manifests")
                   ? lar_fail(err, LAR_EUNSUPPORTED,
                              "manifest: a list of images for several machines, not one model")
                   : lar_fail(err, LAR_EFORMAT, "manifest: it has no list of layers");
    if (list->n > MANIFEST_LAYERS_MAX)
        return lar_fail(err, LAR_ELIMIT, "manifest: %zu layers; %d is the most", list->n,
                        MANIFEST_LAYERS_MAX);
    m->layer = arena_array(a, list->n ? list->n : 1, sizeof *m->layer);
    if (!m->layer) return lar_fail(err, LAR_ENOMEM, "manifest: out of memory");
    for (const struct json *l = list->child; l && e == 0; l = l->next, m->n++)
        e = read_layer(&m->layer[m->n], a, l, "layer", m->n, err);
    /* Old manifests of models without weights of their own have an empty digest there. */
    if (e == 0 && config && json_str(json_get(config, "digest"), STR("")).n)
        e = read_layer(&m->config, a, config, "config", 0, err);
    return e;
}

int manifest_parse(struct manifest *m, struct arena *a, struct str text, struct lar_err *err)
{
    *m = (struct manifest){0};
    if (text.n > MANIFEST_BYTES_MAX)
        return lar_fail(err, LAR_ELIMIT, "manifest: %zu bytes; %d is the most", text.n,
                        MANIFEST_BYTES_MAX);
    struct json *v = json_parse(a, text, err);
    if (!v) return LAR_EFORMAT;
    const struct json *version = json_get(v, "schemaVersion");
    if (!version || !version->is_int || version->i != 2)
        return lar_fail(err, LAR_EFORMAT, "manifest: no image manifest of schema version 2");
    return read_layers(m, a, v, err);
}

static void write_layer(const struct layer *l, struct buf *b)
{
    buf_puts(b, "{\"mediaType\":");
    buf_json_str(b, l->type);
    buf_printf(b, ",\"digest\":\"sha256:%s\",\"size\":%llu", l->digest,
               (unsigned long long)l->size);
    if (l->from.n) buf_puts(b, ",\"from\":"), buf_json_str(b, l->from);
    if (l->name.n) buf_puts(b, ",\"name\":"), buf_json_str(b, l->name);
    buf_putc(b, '}');
}

void manifest_write(const struct manifest *m, struct buf *b)
{
    buf_puts(b, "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST_TYPE "\"");
    if (m->config.digest[0]) buf_puts(b, ",\"config\":"), write_layer(&m->config, b);
    buf_puts(b, ",\"layers\":[");
    for (size_t i = 0; i < m->n; i++) {
        if (i) buf_putc(b, ',');
        write_layer(&m->layer[i], b);
    }
    buf_puts(b, "]}");
}

int layer_is(const struct layer *l, const char *kind)
{
    static const struct str ours = {MANIFEST_LAYER, sizeof MANIFEST_LAYER - 1};
    return str_starts(l->type, ours) && str_is(str_from(l->type, ours.n), kind);
}

uint64_t manifest_bytes(const struct manifest *m)
{
    uint64_t sum = m->config.digest[0] ? m->config.size : 0;
    for (size_t i = 0; i < m->n; i++)
        if (__builtin_add_overflow(sum, m->layer[i].size, &sum)) return UINT64_MAX;
    return sum;
}
