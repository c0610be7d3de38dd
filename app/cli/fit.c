/* SPDX-License-Identifier: Apache-2.0
 * cli/fit.c: `lar fit`: what fits this machine, before anything is loaded. The bytes are those that the library will take, asked of it for a
 * model of which only the header was read; how fast it can decode at best follows from the bytes that a token reads and the bandwidth measured
 * now. Memory is what the kernel says is available, or less where a control group allows less. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <lar/plan.h>
#include <lar/quant.h>

#include "base/core.h"
#include "base/cpu.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/gpu.h"
#include "cli/named.h"
#include "cli/out.h"
#include "cli/size.h"
#include "cli/verbs.h"

struct fit_options {
    int json, check, ctx, kv, threads, sessions;
    const char *memory;
};

struct machine {
    int cores, nkind, ngpu;
    struct core_kind kind[CORE_KINDS_MAX];
    struct gpu gpu[GPUS_MAX];
    uint64_t total, available, disk; /* bytes; disk: free where models are kept */
    struct lar_limits limits;
};

static const char *const kv_name[] = {"f16", "f32", "q8_0"};
_Static_assert(LAR_KV_F16 == 0 && LAR_KV_F32 == 1 && LAR_KV_Q8_0 == 2, "as kv_name");

/* ---- the machine ------------------------------------------------------------------------------------------------- */

/* "Name:   123 kB" of a file in /proc. */
static uint64_t kilobytes(const char *path, const char *name)
{
    char line[256];
    unsigned long long v = 0;
    size_t n = strlen(name);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, n) == 0 && line[n] == ':') v = strtoull(line + n + 1, NULL, 10);
    if (f) fclose(f);
    return v * 1024;
}

static int look_at_machine(struct machine *m, int threads, uint64_t most, struct lar_err *err)
{
    struct statvfs fs;
    const char *root = getenv("LAR_MODELS"), *home = getenv("HOME");
    *m = (struct machine){.cores = cpu_count()};
    m->nkind = core_kinds("/sys/devices", m->kind);
    m->ngpu = gpu_list(m->gpu);
    m->total = kilobytes("/proc/meminfo", "MemTotal");
    m->available = most ? most : cpu_memory_available();
    if (statvfs(root && *root ? root : home ? home : "/", &fs) == 0 || statvfs("/", &fs) == 0)
        m->disk = (uint64_t)fs.f_bavail * fs.f_frsize;
    return lar_machine_limits(threads, &m->limits, err);
}

static void tell_machine(const struct machine *m)
{
    struct buf *b = out();
    buf_printf(b, "%d cores", m->cores);
    for (int i = 0; i < m->nkind && m->nkind > 1; i++)
        buf_printf(b, "%s%d %s", i ? ", " : " (", m->kind[i].n,
                   i == 0              ? "large"
                   : i == m->nkind - 1 ? "small)"
                                       : "medium");
    buf_puts(b, ", ");
    buf_bytes(b, m->available);
    buf_puts(b, " of ");
    buf_bytes(b, m->total);
    buf_printf(b, " memory available, read at %.1f GB/s (%s); ", m->limits.read_gbs,
               lar_cpu_level());
    buf_bytes(b, m->disk);
    buf_puts(b, " of disk free\n");
    if (!m->ngpu) buf_puts(b, "no graphics processor (none is needed: Lar computes on the processor)\n");
    for (int i = 0; i < m->ngpu; i++) {
        out_text_to(b, 1, m->gpu[i].name, strlen(m->gpu[i].name));
        buf_puts(b, ": ");
        buf_bytes(b, m->gpu[i].free);
        buf_puts(b, " of ");
        buf_bytes(b, m->gpu[i].memory);
        buf_puts(b, " free (not used: Lar computes on the processor)\n");
    }
}

static void machine_json(const struct machine *m)
{
    struct buf *b = out();
    buf_printf(
        b,
        "{\"cores\":%d,\"memory\":%llu,\"available\":%llu,\"disk_free\":%llu,\"read_gbs\":%.2f,\"cpu\":\"%s\"",
        m->cores, (unsigned long long)m->total, (unsigned long long)m->available,
        (unsigned long long)m->disk, m->limits.read_gbs, lar_cpu_level());
    buf_puts(b, ",\"core_kinds\":[");
    for (int i = 0; i < m->nkind; i++)
        buf_printf(b, "%s{\"cores\":%d,\"strength\":%ld}", i ? "," : "", m->kind[i].n,
                   m->kind[i].strength);
    buf_puts(b, "],\"gpus\":[");
    for (int i = 0; i < m->ngpu; i++) {
        buf_puts(b, i ? ",{\"name\":" : "{\"name\":");
        buf_json_str(b, str_of(m->gpu[i].name));
        buf_printf(b, ",\"memory\":%llu,\"free\":%llu}", (unsigned long long)m->gpu[i].memory,
                   (unsigned long long)m->gpu[i].free);
    }
    buf_putc(b, ']');
}

/* ---- one model ------------------------------------------------------------------------------------------------------ */

struct plan {
    struct lar_model_info info;
    struct lar_plan p;
    double tok_s;   /* at best */
    int reads_only; /* embeds, ranks or classifies: texts are read, none is written */
};

static void speed(const struct lar_model *m, const struct machine *mach, struct plan *p)
{
    lar_model_info(m, &p->info);
    double one = p->info.integer ? mach->limits.int8_gops : mach->limits.f32_gflops;
    p->reads_only = lar_session_bytes(m, NULL, NULL, NULL, NULL) == LAR_EUNSUPPORTED;
    if (p->reads_only)
        p->tok_s = p->info.token_weights ? one * 1e9 / 2 / (double)p->info.token_weights : 0;
    else
        p->tok_s = p->info.token_bytes ? mach->limits.read_gbs * 1e9 / (double)p->info.token_bytes : 0;
}

/* Several sessions have keys, values and states of their own each, and the rows of one step in common. */
static int plan_n(const struct lar_model *m, struct lar_session_options so, int sessions,
                  uint64_t have, struct lar_plan *p, struct lar_err *err)
{
    uint64_t kv = 0, work = 0;
    int e = lar_plan(m, &so, have, p, err);
    if (e < 0 || sessions < 2) return e;
    so.batch = 1;
    if ((e = lar_session_bytes(m, &so, &kv, &work, err)) < 0)
        return e == LAR_EUNSUPPORTED ? lar_fail(err, e, "--sessions: a model that only reads has none") : e;
    p->kv_bytes *= (uint64_t)sessions;
    p->work_bytes += (uint64_t)sessions * work;
    p->total = p->weight_bytes + p->kv_bytes + p->work_bytes;
    p->fits = p->total <= have;
    return 0;
}

static int plan_for(const struct lar_model *m, const struct machine *mach, int ctx, enum lar_kv kv,
                    int sessions, struct plan *p, struct lar_err *err)
{
    struct lar_session_options so = {.ctx = ctx, .kv = kv};
    *p = (struct plan){0};
    speed(m, mach, p);
    return plan_n(m, so, sessions, mach->available, &p->p, err);
}

static void row(const struct plan *p, int ctx, int kv, int json, int first)
{
    struct buf *b = out();
    if (json) {
        buf_printf(
            b,
            "%s{\"ctx\":%d,\"kv\":\"%s\",\"kv_bytes\":%llu,\"work_bytes\":%llu,\"total\":%llu,\"fits\":%s}",
            first ? "" : ",", ctx, kv_name[kv], (unsigned long long)p->p.kv_bytes,
            (unsigned long long)p->p.work_bytes, (unsigned long long)p->p.total,
            p->p.fits ? "true" : "false");
        return;
    }
    size_t at = b->n;
    buf_printf(b, "  %9d  %-5s ", ctx, kv_name[kv]);
    buf_bytes(b, p->p.kv_bytes);
    buf_printf(b, "%*s", b->n - at < 32 ? (int)(32 - (b->n - at)) : 1, "");
    buf_bytes(b, p->p.work_bytes);
    buf_printf(b, "%*s", b->n - at < 46 ? (int)(46 - (b->n - at)) : 1, "");
    buf_bytes(b, p->p.total);
    buf_printf(b, "%*s%s\n", b->n - at < 60 ? (int)(60 - (b->n - at)) : 1, "",
               p->p.fits ? "fits" : "does not fit");
}

/* The context doubles up to what the model was trained with. */
static int rows(const struct lar_model *m, const struct machine *mach, const struct fit_options *o,
                int trained, struct lar_err *err)
{
    struct plan p;
    int e = 0, first = 1, most = o->ctx ? o->ctx : trained > 0 ? trained : 4096;
    for (int64_t c = o->ctx ? o->ctx : most < 2048 ? most : 2048; e == 0; c *= 2) {
        int ctx = c > most ? most : (int)c;
        for (int kv = 0; kv < 3 && e == 0; kv += 2) { /* F16 and Q8_0; F32 is for comparisons */
            e = plan_for(m, mach, ctx, (enum lar_kv)kv, o->sessions, &p, err);
            if (e == 0 && p.reads_only) { /* whose keys and values are F32 */
                row(&p, ctx, LAR_KV_F32, o->json, first);
                first = 0;
                break;
            }
            if (e == LAR_EUNSUPPORTED && kv) { /* heads whose width fits no block */
                e = 0;
                continue;
            }
            if (e == 0) row(&p, ctx, kv, o->json, first);
            first = 0;
        }
        if (ctx == most) break;
    }
    return e;
}

/* ---- the same model, quantised ---------------------------------------------------------------------------------------- */

static int add_bytes(void *ctx, const struct lar_quantize_tensor *t)
{
    *(uint64_t *)ctx += t->bytes_to;
    return 0;
}

/* The longest context up to ctx with which so many sessions fit. */
static int longest(const struct lar_model *m, int ctx, int sessions, uint64_t have)
{
    struct lar_plan p;
    struct lar_session_options so = {.ctx = ctx};
    if (sessions < 2) return lar_plan(m, &so, have, &p, NULL) < 0 ? -1 : p.ctx_fits;
    int lo = 0, hi = ctx;
    while (lo < hi) {
        so.ctx = lo + (hi - lo + 1) / 2;
        if (plan_n(m, so, sessions, have, &p, NULL) < 0) return -1;
        if (p.fits)
            lo = so.ctx;
        else
            hi = so.ctx - 1;
    }
    return lo;
}

/* Exact bytes of each mix that is smaller than the file, and the longest context that then fits. */
static void smaller(const struct lar_model *m, const char *path, const struct machine *mach,
                    const struct fit_options *o, const struct plan *now)
{
    struct buf *b = out();
    int n = 0, ctx = o->ctx ? o->ctx : now->info.ctx_train > 0 ? now->info.ctx_train : 4096;
    static const char *const mixes[] = {"Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K"};
    if (o->json) buf_puts(b, ",\"quantised\":[");
    for (size_t i = 0; i < sizeof mixes / sizeof *mixes; i++) {
        const char *name = mixes[i];
        uint64_t bytes = 0, was = now->info.weight_bytes, have = mach->available;
        struct lar_quantize_options q = {
            .type = name, .dry_run = 1, .threads = 1, .on_tensor = add_bytes, .ctx = &bytes};
        if (lar_quantize(path, NULL, &q, NULL) < 0) break;
        int most = bytes < was ? longest(m, ctx, o->sessions, have + was - bytes) : -1;
        if (most < 0) continue;
        double tok_s = now->reads_only ? now->tok_s : now->tok_s * (double)was / (double)bytes;
        if (o->json) {
            buf_printf(
                b, "%s{\"type\":\"%s\",\"weight_bytes\":%llu,\"ctx_fits\":%d,\"tok_s_at_best\":",
                n ? "," : "", name, (unsigned long long)bytes, most);
            buf_json_num(b, tok_s);
            buf_putc(b, '}');
        } else {
            if (!n)
                buf_puts(b,
                         "\nSmaller, by lar quantize\n\n"
                         "  type      weights       longest context   tokens a second at best\n");
            buf_printf(b, "  %-10s", name);
            size_t at = b->n;
            buf_bytes(b, bytes);
            buf_printf(b, "%*s", (int)(14 - (b->n - at)), "");
            buf_printf(b, "%15d   %23.0f\n", most, tok_s);
        }
        n++;
    }
    if (o->json) buf_putc(b, ']');
}

/* ---- is it so? -------------------------------------------------------------------------------------------------------- */

/* From here on the kernel's peak counts anew (proc(5), clear_refs): measuring bandwidth took memory of its own. */
static void forget_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "we");
    if (!f) return;
    (void)!fputs("5", f);
    fclose(f);
}

/* What the process holds beside the model that it has opened: memory of its own (the vocabulary, tables), the head of the model's file, and pages
 * of other files, which are the program and its libraries. Pages of weights that opening happened to map are weights (exact, unlike VmRSS:
 * proc(5), smaps). */
struct own {
    uint64_t memory, head, files;
};

/* Of a folder or a split model there are several. */
static int holds_weights(const char *path)
{
    struct str s = str_of(path);
    return str_ends(s, STR(".gguf")) || str_ends(s, STR(".safetensors")) || strstr(path, "/blobs/sha256-") != NULL;
}

static struct own own_bytes(const char *path, uint64_t weights)
{
    struct stat st;
    struct own own = {0};
    char line[1024];
    unsigned long inode = 0, at;
    int weights_too = 0;
    uint64_t of_model = 0, kb;
    FILE *f = fopen("/proc/self/smaps", "re");
    if (stat(path, &st) != 0) st = (struct stat){0};
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%*x-%*x %*4s %*x %*x:%*x %lu", &at) == 1) {
            line[strcspn(line, "\n")] = 0;
            inode = at;
            weights_too = inode && (inode == st.st_ino || holds_weights(line));
        }
        if (strncmp(line, "Rss:", 4) != 0) continue;
        kb = strtoull(line + 4, NULL, 10);
        *(inode == 0 ? &own.memory : weights_too ? &of_model : &own.files) += kb * 1024;
    }
    if (f) fclose(f);
    own.head = (uint64_t)st.st_size > weights ? (uint64_t)st.st_size - weights : 0;
    if (own.head > of_model) own.head = of_model;
    return own;
}

/* One token again and again first: all rows of a batch then go to the same experts, the most that these can be given. Then many tokens, for which
 * all experts are read. */
static int write_on(struct lar_session *s, int32_t *ids, int n, int vocab, struct lar_err *err)
{
    int e = 0;
    for (int pass = 0; e >= 0 && pass < 2; pass++) {
        for (int i = 0; i < n; i++) ids[i] = (int32_t)((pass ? (int64_t)i + 1 : 1) * 7919 % vocab);
        e = lar_session_sync(s, ids, (size_t)n, err);
    }
    return e < 0 ? e : 0;
}

enum { TEXTS = 64 }; /* that an embedder takes at once */

/* As one text, and as many, of which each begins a block of keys and values. */
static int read_on(struct lar_embedder *r, const int32_t *ids, int n, float *vector, struct lar_err *err)
{
    struct lar_text text[TEXTS] = {{.tokens = ids, .ntoken = (size_t)n}};
    int64_t e = lar_embed(r, text, 1, vector, err);
    if (e < 0 || n < 2 * TEXTS) return e < 0 ? (int)e : 0;
    for (int i = 0; i < TEXTS; i++)
        text[i] = (struct lar_text){.tokens = ids + i, .ntoken = i == TEXTS - 1 ? (size_t)(n - i) : 1};
    e = lar_embed(r, text, TEXTS, vector, err);
    return e < 0 ? (int)e : 0;
}

/* Evaluates n tokens with all that is planned for; peak: what the process had at most by then. */
static int work_through(struct lar_model *m, const struct lar_session_options *so, int reads_only, int n,
                        uint64_t *peak, struct lar_err *err)
{
    struct lar_embed_options eo = {.pooling = LAR_POOL_MEAN};
    struct lar_embedder_info ei = {0};
    struct lar_embedder *r = NULL;
    struct lar_session *s = NULL;
    struct lar_model_info info;
    float *vector = NULL;
    lar_model_info(m, &info);
    int32_t *ids = mem_zalloc((size_t)n * sizeof *ids);
    int e = !ids         ? lar_fail(err, LAR_ENOMEM, "fit: out of memory")
            : reads_only ? lar_embedder_open(&r, m, &eo, err)
                         : lar_session_open(&s, m, so, err);
    if (e == 0 && r) {
        lar_embedder_info(r, &ei);
        for (int i = 0; i < n; i++) ids[i] = (int32_t)((int64_t)(i + 1) * 7919 % info.vocab);
        vector = mem_zalloc((size_t)TEXTS * (size_t)ei.dimensions * sizeof *vector);
        e = vector ? read_on(r, ids, n, vector, err) : lar_fail(err, LAR_ENOMEM, "fit: out of memory");
    } else if (e == 0) {
        e = write_on(s, ids, n, info.vocab, err);
    }
    if (peak) *peak = kilobytes("/proc/self/status", "VmHWM");
    lar_embedder_close(r);
    lar_session_close(s);
    mem_free(vector);
    mem_free(ids);
    return e;
}

/* Fills a context and compares what the process then takes at most with what was foretold. One token before that, in a session of its own: the
 * pages of the program and of its libraries that computing needs are the program's own too. */
static int check(struct lar_model *m, const char *path, const struct fit_options *o,
                 struct lar_err *err)
{
    struct lar_session_options so = {.ctx = 1, .kv = (enum lar_kv)o->kv};
    struct lar_model_info info;
    struct lar_plan p;
    uint64_t before = 0, peak = 0;
    lar_model_info(m, &info);
    int ctx = o->ctx ? o->ctx : 512, reads = lar_session_bytes(m, NULL, NULL, NULL, NULL) == LAR_EUNSUPPORTED;
    if (info.ctx_train > 0 && ctx > info.ctx_train) ctx = info.ctx_train;
    struct own own = own_bytes(path, info.weight_bytes);
    int e = work_through(m, &so, reads, 1, NULL, err);
    if (e < 0) return e;
    before = own.memory + own.head + own_bytes(path, info.weight_bytes).files;
    forget_peak();
    so.ctx = ctx;
    if ((e = lar_plan(m, &so, 0, &p, err)) < 0) return e;
    if ((e = work_through(m, &so, reads, reads || ctx == 1 ? ctx : ctx - 1, &peak, err)) < 0) return e;
    uint64_t foretold = p.total + before;
    struct buf *b = out();
    if (o->json) {
        buf_printf(
            b,
            ",\"check\":{\"ctx\":%d,\"kv\":\"%s\",\"own\":%llu,\"foretold\":%llu,\"measured\":%llu}",
            so.ctx, kv_name[reads ? LAR_KV_F32 : so.kv], (unsigned long long)before, (unsigned long long)foretold,
            (unsigned long long)peak);
        return 0;
    }
    buf_printf(b, "\nWith %d tokens, the program's own ", so.ctx);
    buf_bytes(b, before);
    buf_puts(b, " included: foretold ");
    buf_bytes(b, foretold);
    buf_puts(b, ", measured ");
    buf_bytes(b, peak);
    buf_printf(b, " (%+.1f %%)\n", 100 * ((double)peak / (double)foretold - 1));
    return 0;
}

static int one(const char *arg, const struct machine *mach, const struct fit_options *o,
               struct lar_err *err)
{
    struct lar_model_options mo = {.threads = o->threads};
    struct named named = {0};
    struct lar_model *m = NULL;
    struct buf *b = out();
    struct plan p;
    struct own own = {0};
    int e = named_open(&named, arg, err);
    if (e == 0) e = named_load(&m, &named, &mo, err);
    if (e == 0) e = plan_for(m, mach, 512, LAR_KV_F16, 1, &p, err);
    if (e == 0) {
        own = own_bytes(named.path, p.info.weight_bytes);
        if (o->json) {
            buf_puts(b, ",\"model\":");
            buf_json_str(b, str_of(arg));
            buf_printf(b, ",\"weight_bytes\":%llu,\"own_bytes\":%llu,\"tok_s_at_best\":",
                       (unsigned long long)p.info.weight_bytes,
                       (unsigned long long)(own.memory + own.head + own.files));
            buf_json_num(b, p.tok_s);
            buf_puts(b, ",\"plans\":[");
        } else {
            buf_puts(b, "\n");
            out_text_to(b, 1, arg, strlen(arg));
            buf_puts(b, ": weights ");
            buf_bytes(b, p.info.weight_bytes);
            buf_printf(b, ", at best %.0f tokens a second", p.tok_s);
            if (p.reads_only)
                buf_puts(b, " (it reads texts, and writes none)\n\n");
            else
                buf_printf(b, " (%.2f GB are read for each)\n\n", (double)p.info.token_bytes * 1e-9);
            if (o->sessions > 1) buf_printf(b, "  %d sessions, each with the context\n", o->sessions);
            buf_printf(b, "  %9s  %-5s %-16s%-14s%-14s\n", "context", "kv", "keys, values",
                       "work space", "together");
        }
        e = rows(m, mach, o, p.info.ctx_train, err);
        if (o->json) buf_putc(b, ']');
        if (e == 0) smaller(m, named.path, mach, o, &p);
    }
    if (e == 0 && o->check) e = check(m, named.path, o, err);
    lar_model_close(m);
    named_close(&named);
    return e;
}

/* ---- all of them ------------------------------------------------------------------------------------------------------- */

static int all(const struct machine *mach, const struct fit_options *o, struct lar_err *err)
{
    struct store_list l = {0};
    struct store *s = NULL;
    struct buf *b = out();
    int e = store_open(&s, NULL, err);
    if (e == 0) e = store_list(s, 1, &l, err);
    if (e == 0)
        buf_puts(
            b, o->json
                   ? ",\"models\":["
                   : "\nModels that are here, at a context of 4096 tokens or all that they have\n");
    for (size_t i = 0; e == 0 && i < l.n; i++) {
        struct lar_model *m = NULL;
        struct lar_err why;
        struct plan p = {0};
        int known = named_model(&m, l.entry[i].name, NULL, &why) == 0;
        if (known) {
            lar_model_info(m, &p.info);
            int ctx = p.info.ctx_train > 0 && p.info.ctx_train < 4096 ? p.info.ctx_train : 4096;
            known = plan_for(m, mach, ctx, LAR_KV_F16, 1, &p, &why) == 0;
        }
        if (o->json) {
            buf_puts(b, i ? ",{\"name\":" : "{\"name\":");
            buf_json_str(b, str_of(l.entry[i].name));
            if (known) {
                buf_printf(b, ",\"total\":%llu,\"fits\":%s,\"tok_s_at_best\":",
                           (unsigned long long)p.p.total, p.p.fits ? "true" : "false");
                buf_json_num(b, p.tok_s);
            } else {
                buf_puts(b, ",\"fault\":");
                buf_json_str(b, str_of(why.msg));
            }
            buf_putc(b, '}');
        } else {
            buf_puts(b, "  ");
            out_text_to(b, 1, l.entry[i].name, strlen(l.entry[i].name));
            buf_puts(b, ": ");
            if (known) {
                buf_bytes(b, p.p.total);
                buf_printf(b, ", %s, at best %.0f tokens a second\n",
                           p.p.fits ? "fits" : "does not fit", p.tok_s);
            } else {
                out_text_to(b, 1, why.msg, strlen(why.msg));
                buf_putc(b, '\n');
            }
        }
        lar_model_close(m);
    }
    if (e == 0 && o->json) buf_putc(b, ']');
    store_list_done(&l);
    store_close(s);
    return e;
}

static int run(const void *values, char **arg, int narg)
{
    const struct fit_options *o = values;
    struct machine m;
    struct lar_err err;
    uint64_t most = 0;
    int e = size_parse("--memory", o->memory, &most, &err);
    if (e == 0) e = look_at_machine(&m, o->threads, most, &err);
    if (e < 0) return say_err(&err);
    if (o->json)
        machine_json(&m);
    else
        tell_machine(&m);
    e = narg ? one(arg[0], &m, o, &err) : all(&m, o, &err);
    if (e < 0) {
        buf_clear(out());
        return say_err(&err);
    }
    if (o->json) buf_puts(out(), "}\n");
    return out_done(EXIT_DONE);
}

#define AT(field) offsetof(struct fit_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_INT, .name = "ctx", .at = AT(ctx), .arg = "N", .min = 1, .max = 1 << 28,
     .help = "Only for a context of N tokens; without it several, up to what the model was trained with."},
    {.kind = OPT_INT, .name = "sessions", .letter = 's', .at = AT(sessions), .arg = "N", .min = 1, .max = 1024,
     .help = "As if N conversations went on at once, each with the whole context."},
    {.kind = OPT_WORD, .name = "kv", .at = AT(kv), .arg = "TYPE", .words = "f16 f32 q8_0",
     .help = "For --check: how keys and values are kept."},
    {.kind = OPT_TEXT, .name = "memory", .at = AT(memory), .arg = "SIZE",
     .help = "As if so much were available (4GB, 700MiB): for another machine, or a part of this one."},
    {.kind = OPT_FLAG, .name = "check", .at = AT(check), .value = 1,
     .help = "Fills a context (--ctx, else 512 tokens) and compares the process's peak of memory with what was "
             "foretold."},
    {.kind = OPT_INT, .name = "threads", .letter = 't', .at = AT(threads), .arg = "N", .min = 1, .max = 256,
     .help = "Worker threads; without it as many as there are cores."},
    {.kind = OPT_FLAG, .name = "json", .at = AT(json), .value = 1, .help = "One object."},
    {.kind = OPT_END},
};

const struct verb verb_fit = {
    .name = "fit",
    .synopsis = "[MODEL]",
    .summary = "what fits this machine, and how fast it can be",
    .about = "Looks at the machine (cores and their kinds, memory that is available, limits of its control groups, "
             "graphics processors, free disk, and the bandwidth of memory, measured for about a second) and says of "
             "MODEL, from its header alone, the bytes that it takes at which context, whether that fits, which smaller "
             "quantisations would, and how many tokens a second it can decode at best. "
             "Without MODEL, the same in short for each model that is here.",
    .opts = options,
    .size = sizeof(struct fit_options),
    .max_args = 1,
    .run = run,
};
/* clang-format on */
