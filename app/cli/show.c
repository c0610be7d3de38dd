/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/show.c: `lar show`: what is in a GGUF, and the memory it will take. Looking into a file needs no support for
 * its architecture; only the memory does, and where that is missing the reason stands in its place. */
#include <stdio.h>
#include <stdlib.h>

#include <lar/lar.h>

#include "base/err.h"
#include "base/utf8.h"
#include "cli/look.h"
#include "cli/named.h"
#include "cli/out.h"
#include "cli/verbs.h"

struct show_options {
    int json, all, part, ctx, kv;
};

enum { STRING_SHOWN = 60, ELEMENTS_SHOWN = 4 };

struct memory {
    int known;
    int ctx;
    uint64_t weights, kv, work;
    struct lar_err why; /* when not known */
};

static const char *const kv_name[] = {"F16", "F32", "Q8_0"};
_Static_assert(LAR_KV_F16 == 0 && LAR_KV_F32 == 1 && LAR_KV_Q8_0 == 2, "as the words of --kv");

static void find_memory(struct memory *mem, const struct show_options *o, const char *path)
{
    struct lar_model *m;
    *mem = (struct memory){0};
    if (lar_model_open(&m, path, NULL, &mem->why) < 0) return;
    struct lar_model_info info;
    lar_model_info(m, &info);
    if (*lar_model_warning(m)) say("warning: %s", lar_model_warning(m));
    mem->ctx = o->ctx                                        ? o->ctx
               : info.ctx_train > 0 && info.ctx_train < 4096 ? info.ctx_train
                                                             : 4096;
    struct lar_session_options so = {.ctx = mem->ctx, .kv = (enum lar_kv)o->kv};
    mem->weights = info.weight_bytes;
    mem->known = lar_session_bytes(m, &so, &mem->kv, &mem->work, &mem->why) == 0;
    lar_model_close(m);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static const char *type_name(enum lar_meta_type t)
{
    static const char *const name[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                       "bool", "string", "array", "u64", "i64", "f64"};
    return name[t];
}

/* The shortest decimal that reads back as the same F32: what somebody typed once. */
static void short_float(struct buf *b, double v)
{
    char t[40];
    if (v > -1e9 && v < 1e9 && v == (double)(int64_t)v) {
        buf_printf(b, "%lld", (long long)v);
        return;
    }
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(t, sizeof t, "%.*g", digits, v);
        if (strtof(t, NULL) == (float)v) break;
    }
    buf_puts(b, t);
}

/* A string for eyes: quoted; control characters (also those of two bytes) and wrong bytes as escapes. */
static void visible(struct buf *b, struct str s, size_t max)
{
    size_t i = 0;
    buf_putc(b, '"');
    while (i < s.n && i < max) {
        uint32_t c;
        size_t k = utf8_decode(s.p + i, s.n - i, &c);
        if (k == 0)
            buf_printf(b, "\\x%02x", (unsigned char)s.p[i]);
        else if (c == '\n')
            buf_puts(b, "\\n");
        else if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", (int)c);
        else if (c < 0x20 || (c >= 0x7f && c < 0xa0))
            buf_printf(b, "\\u%04x", (unsigned)c);
        else
            buf_add(b, s.p + i, k);
        i += k ? k : 1;
    }
    buf_putc(b, '"');
    if (i < s.n) buf_printf(b, "... (%zu bytes)", s.n);
}

/* Element j of key i. */
static void value(struct buf *b, const struct lar_file *f, size_t i, uint64_t j,
                  enum lar_meta_type t, int json, size_t max)
{
    struct str s = {0};
    switch (t) {
    case LAR_META_STRING:
        s.p = lar_file_meta_str(f, i, j, &s.n);
        if (json)
            buf_json_str(b, s);
        else
            visible(b, s, max);
        break;
    case LAR_META_BOOL: buf_puts(b, lar_file_meta_int(f, i, j) ? "true" : "false"); break;
    case LAR_META_F32:
        if (json)
            buf_json_num(b, lar_file_meta_num(f, i, j));
        else
            short_float(b, lar_file_meta_num(f, i, j));
        break;
    case LAR_META_F64:
        if (json)
            buf_json_num(b, lar_file_meta_num(f, i, j));
        else
            buf_printf(b, "%.17g", lar_file_meta_num(f, i, j));
        break;
    case LAR_META_U64: buf_printf(b, "%llu", (unsigned long long)lar_file_meta_int(f, i, j)); break;
    default: buf_printf(b, "%lld", (long long)lar_file_meta_int(f, i, j));
    }
}

static void elements(struct buf *b, const struct lar_file *f, size_t i, const struct lar_meta *m,
                     int json, int all)
{
    uint64_t shown = json || all || m->count <= ELEMENTS_SHOWN ? m->count : ELEMENTS_SHOWN;
    buf_putc(b, '[');
    for (uint64_t j = 0; j < shown; j++) {
        if (j) buf_puts(b, json ? "," : ", ");
        value(b, f, i, j, m->element, json, all ? SIZE_MAX : STRING_SHOWN);
        out_spill();
    }
    if (shown < m->count) buf_puts(b, ", ...");
    buf_putc(b, ']');
}

static const char *tensor_shape(const struct lar_tensor *t, char *z, size_t n)
{
    size_t at = 0;
    z[0] = 0;
    for (int d = 0; d < t->ndim && at < n; d++)
        at += (size_t)snprintf(z + at, n - at, "%s%lld", d ? ", " : "", (long long)t->shape[d]);
    return z;
}

/* ---- JSON ---------------------------------------------------------------------------------------------------------- */

static void json_metadata(struct buf *b, const struct lar_file *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct lar_meta m;
        lar_file_meta(f, i, &m);
        if (i) buf_putc(b, ',');
        buf_json_str(b, (struct str){m.key, m.key_n});
        buf_putc(b, ':');
        if (m.type == LAR_META_ARRAY)
            elements(b, f, i, &m, 1, 1);
        else
            value(b, f, i, 0, m.type, 1, SIZE_MAX);
        out_spill();
    }
}

static void json_tensors(struct buf *b, const struct lar_file *f, const struct lar_file_info *info)
{
    for (size_t i = 0; i < info->ntensor; i++) {
        struct lar_tensor t;
        char shape[192];
        lar_file_tensor(f, i, &t);
        buf_puts(b, i ? ",{\"name\":" : "{\"name\":");
        buf_json_str(b, (struct str){t.name, t.name_n});
        buf_printf(b, ",\"type\":\"%s\",\"shape\":[%s],\"offset\":%llu,\"bytes\":%llu", t.type,
                   tensor_shape(&t, shape, sizeof shape), (unsigned long long)t.offset,
                   (unsigned long long)t.bytes);
        if (t.file) {
            buf_puts(b, ",\"file\":");
            buf_json_str(b, str_of(t.file));
        } else if (info->parts > 1) {
            buf_printf(b, ",\"part\":%d", t.part);
        }
        buf_putc(b, '}');
        out_spill();
    }
}

static void json_memory(struct buf *b, const struct memory *m, const struct show_options *o)
{
    if (m->known) {
        buf_printf(
            b,
            "{\"ctx\":%d,\"kv_type\":\"%s\",\"weights\":%llu,\"kv\":%llu,\"work\":%llu,\"total\":%llu}",
            m->ctx, kv_name[o->kv], (unsigned long long)m->weights, (unsigned long long)m->kv,
            (unsigned long long)m->work, (unsigned long long)(m->weights + m->kv + m->work));
    } else {
        buf_puts(b, "null,\"memory_unknown\":");
        buf_json_str(b, str_of(m->why.msg));
    }
}

static void json_text(struct buf *b, const char *key, const char *text)
{
    if (!text) return;
    buf_printf(b, "\"%s\":", key);
    buf_json_str(b, str_of(text));
    buf_putc(b, ',');
}

/* What only a model with a name has. */
static void json_named(struct buf *b, const struct named *n)
{
    struct buf text = {0};
    json_text(b, "name", n->m.name);
    json_text(b, "place", store_place_name(n->m.place));
    json_text(b, "path", n->path);
    if (n->m.digest[0]) json_text(b, "digest", n->m.digest);
    json_text(b, "template", n->m.template_text);
    json_text(b, "system", n->m.system);
    store_modelfile(&n->m, &text);
    json_text(b, "modelfile", buf_z(&text));
    buf_done(&text);
}

static void show_json(const struct named *n, const struct lar_file *f, const struct memory *m,
                      const struct show_options *o)
{
    struct buf *b = out();
    struct lar_file_info info;
    lar_file_info(f, &info);
    buf_putc(b, '{');
    if (n->store) json_named(b, n);
    buf_printf(b, "\"version\":%u,\"bytes\":%llu,\"parts\":%d,\"alignment\":%llu,\"metadata\":{",
               info.version, (unsigned long long)info.bytes, info.parts,
               (unsigned long long)info.alignment);
    json_metadata(b, f, info.nmeta);
    buf_puts(b, "},\"tensors\":[");
    json_tensors(b, f, &info);
    buf_puts(b, "],\"memory\":");
    json_memory(b, m, o);
    buf_puts(b, "}\n");
}

/* ---- text ---------------------------------------------------------------------------------------------------------- */

static void text_metadata(struct buf *b, const struct lar_file *f, size_t n, int all)
{
    buf_puts(b, "\nMetadata\n");
    for (size_t i = 0; i < n; i++) {
        struct lar_meta m;
        char type[40];
        lar_file_meta(f, i, &m);
        if (m.type == LAR_META_ARRAY)
            snprintf(type, sizeof type, "%s[%llu]", type_name(m.element),
                     (unsigned long long)m.count);
        else
            snprintf(type, sizeof type, "%s", type_name(m.type));
        buf_puts(b, "  ");
        size_t start = b->n;
        out_text_to(b, 1, m.key, m.key_n);
        int pad = b->n - start < 42 ? (int)(42 - (b->n - start)) : 1;
        buf_printf(b, "%*s%-14s ", pad, "", type);
        if (m.type == LAR_META_ARRAY)
            elements(b, f, i, &m, 0, all);
        else
            value(b, f, i, 0, m.type, 0, all ? SIZE_MAX : STRING_SHOWN);
        buf_putc(b, '\n');
        out_spill();
    }
}

static void text_tensors(struct buf *b, const struct lar_file *f, const struct lar_file_info *info)
{
    buf_printf(b, "\nTensors\n  %-42s%-9s%-22s%14s %12s\n", "name", "type", "shape", "offset",
               "bytes");
    for (size_t i = 0; i < info->ntensor; i++) {
        struct lar_tensor t;
        char shape[192];
        lar_file_tensor(f, i, &t);
        buf_puts(b, "  ");
        size_t start = b->n;
        out_text_to(b, 1, t.name, t.name_n);
        int pad = b->n - start < 42 ? (int)(42 - (b->n - start)) : 1;
        buf_printf(b, "%*s%-9s%-22s%14llu %12llu", pad, "", t.type,
                   tensor_shape(&t, shape, sizeof shape), (unsigned long long)t.offset,
                   (unsigned long long)t.bytes);
        if (t.file) {
            buf_puts(b, "  ");
            out_text_to(b, 1, t.file, strlen(t.file));
        } else if (info->parts > 1) {
            buf_printf(b, "  part %d", t.part);
        }
        buf_putc(b, '\n');
        out_spill();
    }
}

static void amount(struct buf *b, const char *what, uint64_t n)
{
    buf_printf(b, "  %-20s", what);
    buf_bytes(b, n);
    buf_putc(b, '\n');
}

static void text_memory(struct buf *b, const struct memory *m, const struct show_options *o)
{
    if (!m->known) {
        buf_printf(b, "\nMemory is not known: %s\n", m->why.msg);
        return;
    }
    buf_printf(b, "\nMemory at a context of %d tokens, keys and values in %s\n", m->ctx,
               kv_name[o->kv]);
    amount(b, "weights (mapped)", m->weights);
    amount(b, "keys and values", m->kv);
    amount(b, "work space", m->work);
    amount(b, "together", m->weights + m->kv + m->work);
}

static void text_field(struct buf *b, const char *what, const char *text)
{
    if (!text || !*text) return;
    buf_printf(b, "  %-20s", what);
    visible(b, str_of(text), STRING_SHOWN);
    buf_putc(b, '\n');
}

static void text_named(const struct named *n)
{
    struct buf *b = out(), params = {0};
    out_text_to(b, 1, n->m.name, strlen(n->m.name));
    buf_printf(b, " in %s", store_place_name(n->m.place));
    if (n->m.digest[0]) buf_printf(b, ", sha256:%s", n->m.digest);
    buf_puts(b, "\n");
    text_field(b, "template", n->m.template_text);
    text_field(b, "system", n->m.system);
    text_field(b, "license", n->m.nlicense ? n->m.license[0].p : NULL);
    store_parameters(&n->m, &params);
    for (size_t at = 0; at < params.n;) {
        size_t k = strcspn(params.p + at, "\n");
        buf_puts(b, "  ");
        out_text_to(b, 1, params.p + at, k);
        buf_putc(b, '\n');
        at += k + 1;
    }
    buf_putc(b, '\n');
    buf_done(&params);
}

static void show_text(const char *path, const struct lar_file *f, const struct memory *m,
                      const struct show_options *o)
{
    struct buf *b = out();
    struct lar_file_info info;
    lar_file_info(f, &info);
    out_text_to(b, 1, path, strlen(path));
    if (info.version)
        buf_printf(b, ": GGUF version %u, ", info.version);
    else
        buf_puts(b, info.parts ? ": as published, " : ": a tokenizer");
    if (info.parts) buf_bytes(b, info.bytes);
    if (info.parts > 1) buf_printf(b, " in %d %s", info.parts, info.version ? "parts" : "files");
    buf_printf(b, ", %zu keys, %zu tensors\n", info.nmeta, info.ntensor);
    text_memory(b, m, o);
    text_metadata(b, f, info.nmeta, o->all);
    text_tensors(b, f, &info);
}

/* ---- the verb ---------------------------------------------------------------------------------------------------- */

enum { PART_TEMPLATE = 1, PART_MODELFILE, PART_SYSTEM, PART_PARAMETERS, PART_LICENSE };

static int show_template(const struct lar_file *f, const struct named *n, const char *path)
{
    struct str text = str_of(n->m.template_text);
    if (!n->m.template_text && !look_str(f, "tokenizer.chat_template", &text)) {
        say("%s holds no chat template (tokenizer.chat_template)", path);
        return EXIT_FAILED;
    }
    out_text(text.p, text.n);
    return out_done(EXIT_DONE);
}

/* A part of the Modelfile alone: lines of one kind are what show_part prints of them. */
static int show_part(const struct named *n, int part, const char *arg)
{
    struct buf *b = out();
    const struct store_model *m = &n->m;
    if (!n->store) {
        say("%s is a file; only a model with a name has a Modelfile (lar create gives it one)", arg);
        return EXIT_MISUSE;
    }
    if (part == PART_MODELFILE) {
        buf_printf(b, "# %s, by lar show --modelfile; lar create NAME -f FILE makes it again\n", m->name);
        store_modelfile(m, b);
    } else if (part == PART_SYSTEM && m->system) {
        out_text(m->system, strlen(m->system));
        buf_putc(b, '\n');
    } else if (part == PART_PARAMETERS && m->params) {
        struct buf line = {0};
        store_parameters(m, &line);
        out_text(buf_z(&line), line.n);
        buf_done(&line);
    } else if (part == PART_LICENSE) {
        for (size_t i = 0; i < m->nlicense; i++) {
            out_text(m->license[i].p, m->license[i].n);
            buf_putc(b, '\n');
        }
    }
    return out_done(EXIT_DONE);
}

static int show_all(const struct named *n, const struct show_options *o, const char *arg, struct lar_err *err)
{
    struct lar_file *f;
    int code, e = lar_file_open(&f, n->path, err);
    if (e < 0) return say_err(err);
    if (o->part == PART_TEMPLATE) {
        code = show_template(f, n, arg);
    } else {
        struct memory m;
        find_memory(&m, o, n->path);
        if (o->json) {
            show_json(n, f, &m, o);
        } else {
            if (n->store) text_named(n);
            show_text(n->path, f, &m, o);
        }
        code = out_done(EXIT_DONE);
    }
    lar_file_close(f);
    return code;
}

static int run(const void *values, char **arg, int narg)
{
    const struct show_options *o = values;
    struct named n;
    struct lar_err err;
    (void)narg;
    if (o->json && o->part) {
        say("show: --json has all parts: --template, --modelfile and their like exclude it");
        return EXIT_MISUSE;
    }
    int e = named_open(&n, arg[0], &err), code;
    if (e < 0)
        code = say_err(&err);
    else if (o->part > PART_TEMPLATE)
        code = show_part(&n, o->part, arg[0]);
    else
        code = show_all(&n, o, arg[0], &err);
    named_close(&n);
    return code;
}

#define AT(field) offsetof(struct show_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_FLAG, .name = "json", .at = AT(json), .value = 1,
     .help = "One object with metadata, tensors (name, type, shape, offset from the beginning of its file, bytes; of a "
             "folder file) and memory (null, with memory_unknown saying why, for what Lar cannot run)."},
    {.kind = OPT_FLAG, .name = "all", .at = AT(all), .value = 1,
     .help = "Long strings and arrays whole; without it the first elements. JSON is always whole."},
    {.kind = OPT_FLAG, .name = "template", .at = AT(part), .value = PART_TEMPLATE,
     .help = "Only the chat template, to the byte."},
    {.kind = OPT_FLAG, .name = "modelfile", .at = AT(part), .value = PART_MODELFILE,
     .help = "Only the Modelfile that makes the model again."},
    {.kind = OPT_FLAG, .name = "system", .at = AT(part), .value = PART_SYSTEM, .help = "Only the system message."},
    {.kind = OPT_FLAG, .name = "parameters", .at = AT(part), .value = PART_PARAMETERS, .help = "Only the parameters."},
    {.kind = OPT_FLAG, .name = "license", .at = AT(part), .value = PART_LICENSE, .help = "Only the licence."},
    {.kind = OPT_INT, .name = "ctx", .at = AT(ctx), .arg = "N", .min = 1, .max = 1 << 28,
     .help = "Memory at a context of N tokens; without it what lar run takes."},
    {.kind = OPT_WORD, .name = "kv", .at = AT(kv), .arg = "TYPE", .words = "f16 f32 q8_0",
     .help = "Memory with keys and values kept as f16 (the default), f32 or q8_0."},
    {.kind = OPT_END},
};

const struct verb verb_show = {
    .name = "show",
    .synopsis = "MODEL",
    .summary = "what is in a model, and the memory it takes",
    .about = "Prints the metadata of a GGUF file, its tensors with types, shapes and offsets, and the memory that "
             "running it will take. Any well-formed GGUF can be looked into; memory is known for the architectures "
             "that Lar can run. Of a Hugging Face folder, or a weights file of one, it prints the keys that its "
             "tokenizer has in a GGUF, and its tensors as published, each with its file. Of a model with a name, "
             "what its Modelfile says comes first.",
    .opts = options,
    .size = sizeof(struct show_options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
/* clang-format on */
