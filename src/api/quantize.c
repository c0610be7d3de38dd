/* SPDX-License-Identifier: Apache-2.0
 * api/quantize.c: lar/quant.h: checks, then quant/requantise.h. */
#include <lar/quant.h>

#include "base/cpu.h"
#include "quant/requantise.h"
#include "quant/target.h"

struct quantize {
    const struct lar_quantize_options *o;
    struct requantise q;
    struct gguf in;
    struct imatrix imatrix;
    struct mix_override *override;
    struct mix_tensor *plan;
};

const char *lar_quantize_type(size_t i)
{
    const struct mix *m = mix_at(i);
    return m ? m->name : NULL;
}

static int tell(void *ctx, size_t i)
{
    struct quantize *z = ctx;
    const struct gguf_tensor *t = &z->in.tensor[i];
    struct lar_quantize_tensor r = {.name = t->name.p,
                                    .name_n = t->name.n,
                                    .from = dtype_info(t->type).name,
                                    .to = dtype_info(z->plan[i].type).name,
                                    .bytes_from = t->bytes,
                                    .bytes_to = requantise_bytes(&z->q, i),
                                    .elements = t->dim[0] * t->dim[1] * t->dim[2] * t->dim[3],
                                    .fell_back = z->plan[i].fell_back,
                                    .index = i,
                                    .count = z->in.ntensor};
    return z->o->on_tensor ? z->o->on_tensor(z->o->ctx, &r) : 0;
}

static int check(const char *in, const char *out, const struct lar_quantize_options *o,
                 struct lar_err *err)
{
    if (!in || !o || !o->type || (!out && !o->dry_run))
        return lar_fail(err, LAR_EINVAL,
                        "lar_quantize: in, out, options and their type are needed");
    if (o->threads < 0 || o->threads > POOL_THREADS_MAX)
        return lar_fail(err, LAR_EINVAL, "%d threads: use 1 to %d, or 0 for all cores", o->threads,
                        POOL_THREADS_MAX);
    if (!mix_find(o->type))
        return lar_fail(err, LAR_EINVAL, "%s: no such quantisation; lar help quantize names them",
                        o->type);
    return LAR_OK;
}

/* A file's size is that of its tensors and what stands before them, which hardly changes. */
static int aim(struct quantize *z, struct lar_err *err)
{
    uint64_t elements = 0, data = 0, head;
    for (size_t i = 0; i < z->in.ntensor; i++) {
        const struct gguf_tensor *t = &z->in.tensor[i];
        elements += (uint64_t)(t->dim[0] * t->dim[1] * t->dim[2] * t->dim[3]);
        data += t->bytes;
    }
    head = z->in.file_bytes - data + 1024;
    double bytes = z->o->target_bits > 0       ? z->o->target_bits * (double)elements / 8
                   : z->o->target_bytes > head ? (double)(z->o->target_bytes - head)
                                               : 0;
    z->q.on_tensor = NULL; /* it is called while writing */
    int rc = target_plan(&z->q, z->plan, bytes < 1e18 ? (uint64_t)bytes : UINT64_MAX, err);
    z->q.on_tensor = tell;
    return rc;
}

static int prepare(struct quantize *z, const char *in, struct lar_err *err)
{
    const struct lar_quantize_options *o = z->o;
    int rc = cpu_flags(&z->q.cpu_flags, err);
    if (rc == LAR_OK) rc = gguf_open(&z->in, in, err);
    if (rc == LAR_OK && o->imatrix) rc = imatrix_open(&z->imatrix, o->imatrix, err);
    if (rc == LAR_OK) rc = mix_override_open(&z->override, o->tensor_type, o->ntensor_type, err);
    if (rc == LAR_OK) rc = pool_open(&z->q.pool, o->threads ? o->threads : cpu_count(), err);
    if (rc < 0) return rc;
    z->plan = mem_zalloc((z->in.ntensor + 1) * sizeof *z->plan);
    if (!z->plan) return lar_fail(err, LAR_ENOMEM, "%s: out of memory", in);
    z->q.in = &z->in;
    z->q.mix = mix_find(o->type);
    z->q.plan = z->plan;
    z->q.imatrix = o->imatrix ? &z->imatrix : NULL;
    z->q.imatrix_path = o->imatrix;
    z->q.on_tensor = tell;
    z->q.ctx = z;
    rc = mix_plan(&z->in, z->q.mix, z->override, o->imatrix != NULL, o->pure, z->plan, err);
    return rc < 0 || !(o->target_bytes || o->target_bits > 0) ? rc : aim(z, err);
}

int lar_quantize(const char *in, const char *out, const struct lar_quantize_options *opt,
                 struct lar_err *err)
{
    struct quantize z = {.o = opt};
    int rc = check(in, out, opt, err);
    if (rc == LAR_OK) rc = prepare(&z, in, err);
    if (rc == LAR_OK && opt->dry_run) {
        for (size_t i = 0; i < z.in.ntensor && rc == LAR_OK; i++)
            if (tell(&z, i)) rc = lar_fail(err, LAR_ECANCEL, "%s: stopped", in);
    } else if (rc == LAR_OK) {
        rc = requantise_write(&z.q, out, opt->part_bytes, err);
    }
    mem_free(z.plan);
    pool_close(z.q.pool);
    mix_override_close(z.override);
    imatrix_close(&z.imatrix);
    gguf_close(&z.in);
    return rc;
}
