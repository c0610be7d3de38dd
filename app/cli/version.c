/* SPDX-License-Identifier: Apache-2.0
 * cli/version.c: `lar version`: which Lar this is, the processor level in use, and what was built in. */
#include <lar/lar.h>

#include "base/cpu.h"
#include "cli/out.h"
#include "cli/verbs.h"

struct version_options {
    int json;
};

static const char *const features[] = {
#if LAR_EDIT
    "line-editing",
#endif
#if defined(__SANITIZE_ADDRESS__)
    "address-sanitizer",
#endif
#if defined(__SANITIZE_THREAD__)
    "thread-sanitizer",
#endif
    NULL,
};

static const struct {
    unsigned flag;
    const char *name;
} cpu_names[] = {
    {CPU_AVX2, "avx2"},         {CPU_AVX512, "avx512"},       {CPU_AVX512_BF16, "avx512-bf16"},
    {CPU_NEON_DOT, "neon-dot"}, {CPU_NEON_I8MM, "neon-i8mm"},
};

#if defined(__x86_64__)
#define MACHINE "x86_64"
#elif defined(__aarch64__)
#define MACHINE "aarch64"
#else
#define MACHINE "other"
#endif

static void names(struct buf *b, int json, unsigned flags, int of_cpu)
{
    size_t n =
        of_cpu ? sizeof cpu_names / sizeof *cpu_names : sizeof features / sizeof *features - 1;
    int first = 1;
    if (json) buf_putc(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (of_cpu && !(flags & cpu_names[i].flag)) continue;
        if (!first) buf_puts(b, json ? "," : " ");
        first = 0;
        if (json) buf_putc(b, '"');
        buf_puts(b, of_cpu ? cpu_names[i].name : features[i]);
        if (json) buf_putc(b, '"');
    }
    if (json)
        buf_putc(b, ']');
    else if (first)
        buf_puts(b, "none");
}

static int run(const void *values, char **arg, int narg)
{
    const struct version_options *o = values;
    struct buf *b = out();
    struct lar_err err;
    unsigned flags;
    (void)arg, (void)narg;
    if (cpu_flags(&flags, &err) < 0) return say_err(&err);
    if (o->json) {
        buf_printf(b, "{\"version\":\"%s\",\"machine\":\"%s\",\"cpu_level\":\"%s\",\"cpu\":",
                   lar_version(), MACHINE, lar_cpu_level());
        names(b, 1, flags, 1);
        buf_printf(b, ",\"cores\":%d,\"features\":", cpu_count());
        names(b, 1, 0, 0);
        buf_puts(b, "}\n");
    } else {
        buf_printf(b, "lar %s (%s)\nprocessor  level %s in use; this one has: ", lar_version(),
                   MACHINE, lar_cpu_level());
        names(b, 0, cpu_detect(), 1);
        buf_printf(b, "\ncores      %d\nbuilt in   ", cpu_count());
        names(b, 0, 0, 0);
        buf_putc(b, '\n');
    }
    return out_done(EXIT_DONE);
}

/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_FLAG, .name = "json", .at = offsetof(struct version_options, json), .value = 1,
     .help = "One JSON object: version, machine, cpu_level, cpu, cores, features."},
    {.kind = OPT_END},
};

const struct verb verb_version = {
    .name = "version",
    .synopsis = "[--json]",
    .summary = "version, processor level in use, what is built in",
    .about = "Prints the version, the level of instructions in use (LAR_CPU lowers it), what the processor has, the "
             "cores given to this process, and what was built in.",
    .opts = options,
    .size = sizeof(struct version_options),
    .run = run,
};
/* clang-format on */
