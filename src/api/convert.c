/* SPDX-License-Identifier: Apache-2.0
 * api/convert.c: lar/convert.h: argument checks, then one call down. */
#include <lar/convert.h>

#include <stdio.h>

#include "convert/convert.h"
#include "convert/export.h"
#include "convert/lora.h"

static int type_of(const char *name, enum convert_type *t, struct lar_err *err)
{
    static const char *const names[] = {[CONVERT_AUTO] = "auto",
                                        [CONVERT_F32] = "f32",
                                        [CONVERT_F16] = "f16",
                                        [CONVERT_BF16] = "bf16",
                                        [CONVERT_Q8_0] = "q8_0"};
    *t = CONVERT_AUTO;
    if (!name) return 0;
    for (int i = 0; i < 5; i++)
        if (!strcmp(name, names[i])) return *t = (enum convert_type)i, 0;
    return lar_fail(err, LAR_EINVAL,
                    "type %s: use f32, f16, bf16, q8_0 or auto (lar quantize makes the smaller ones)", name);
}

int lar_convert(const char *from, const char *to, const struct lar_convert_options *opt,
                struct lar_convert_result *out, struct lar_err *err)
{
    struct lar_convert_options o = opt ? *opt : (struct lar_convert_options){0};
    struct convert_job job = {.progress = o.on_progress, .ctx = o.ctx};
    struct convert c;
    if (!from || !to) return lar_fail(err, LAR_EINVAL, "lar_convert: from and to are needed");
    int rc = type_of(o.type, &job.type, err);
    if (rc < 0 || (rc = convert_open(&c, from, err)) < 0) return rc;
    rc = convert_file(&c, to, &job, err);
    for (size_t i = 0; rc == 0 && o.on_left_out && i < c.p.nhead; i++)
        o.on_left_out(o.ctx, c.p.head[i]->name.p, c.p.head[i]->name.n);
    if (rc == 0 && out) {
        *out = (struct lar_convert_result){.tensors = c.p.n, .left_out = c.p.other, .bytes = job.bytes};
        snprintf(out->architecture, sizeof out->architecture, "%s", c.f->arch);
    }
    convert_close(&c);
    return rc;
}

static const char *const float_name[] = {[CONVERT_F32] = "f32", [CONVERT_F16] = "f16", [CONVERT_BF16] = "bf16"};

int lar_export(const char *from, const char *to, const struct lar_export_options *opt, struct lar_export_result *out,
               struct lar_err *err)
{
    struct lar_export_options o = opt ? *opt : (struct lar_export_options){0};
    struct export_job job = {
        .shard = o.shard_bytes ? o.shard_bytes : 5000000000U, .progress = o.on_progress, .ctx = o.ctx};
    struct export e;
    if (!from || !to) return lar_fail(err, LAR_EINVAL, "lar_export: from and to are needed");
    int rc = type_of(o.type, &job.type, err);
    if (rc == 0 && job.type == CONVERT_Q8_0)
        rc = lar_fail(err, LAR_EINVAL, "type q8_0: safetensors have f32, f16 or bf16");
    if (rc < 0 || (rc = export_open(&e, from, err)) < 0) return rc;
    rc = export_write(&e, to, &job, err);
    if (rc == 0 && out) {
        *out = (struct lar_export_result){
            .tensors = e.w.n, .files = job.files, .rounded = job.rounded, .bytes = job.bytes};
        snprintf(out->architecture, sizeof out->architecture, "%.*s", STR_ARG(e.hf));
        snprintf(out->type, sizeof out->type, "%s", float_name[job.used]);
    }
    export_close(&e);
    return rc;
}

int lar_export_lora(const char *from, const char *base, const char *to, const struct lar_export_options *opt,
                    struct lar_export_result *out, struct lar_err *err)
{
    struct lar_export_options o = opt ? *opt : (struct lar_export_options){0};
    struct export_job job = {.type = CONVERT_AUTO};
    const struct family *f;
    if (!from || !base || !to) return lar_fail(err, LAR_EINVAL, "lar_export_lora: from, base and to are needed");
    int rc = type_of(o.type, &job.type, err);
    if (rc == 0 && job.type == CONVERT_Q8_0)
        rc = lar_fail(err, LAR_EINVAL, "type q8_0: safetensors have f32, f16 or bf16");
    if (rc < 0 || (rc = export_lora(from, base, to, &job, &f, err)) < 0) return rc;
    if (out) {
        *out = (struct lar_export_result){
            .tensors = (size_t)rc, .files = job.files, .rounded = job.rounded, .bytes = job.bytes};
        snprintf(out->architecture, sizeof out->architecture, "adapter of %s", f->arch);
        snprintf(out->type, sizeof out->type, "%s", float_name[job.used]);
    }
    return 0;
}

int lar_convert_lora(const char *from, const char *base, const char *to, struct lar_convert_result *out,
                     struct lar_err *err)
{
    struct lora l;
    if (!from || !base || !to) return lar_fail(err, LAR_EINVAL, "lar_convert_lora: from, base and to are needed");
    int rc = lora_read(&l, from, base, err);
    if (rc < 0) return rc;
    rc = lora_write(&l, to, err);
    if (rc >= 0 && out) {
        *out = (struct lar_convert_result){.tensors = (size_t)rc};
        for (size_t i = 0; i < l.n; i++)
            out->bytes += 4 * (uint64_t)(l.module[i].rank * (l.module[i].in + l.module[i].out));
        snprintf(out->architecture, sizeof out->architecture, "%s", l.f->arch);
    }
    lora_done(&l);
    return rc < 0 ? rc : 0;
}
