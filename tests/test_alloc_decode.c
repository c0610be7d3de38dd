/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_alloc_decode.c: once a session is open, decoding allocates nothing.
 *
 * Counted twice: by the hook of base/mem.h, through which the library allocates, and by standing in for the C library's allocator
 * itself, so that nothing can go past the hook (a thread, printf, qsort, ...). Sanitizers stand in for it themselves; there the
 * hook alone counts.
 */
#include "tap.h"

#include <lar/lar.h>

#include <errno.h>
#include <stdatomic.h>

#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static atomic_long by_hook, by_libc;

static int count_hook(size_t n, void *ctx)
{
    (void)n, (void)ctx;
    by_hook++;
    return 0;
}

#if !SANITIZED
/* glibc's own names for what it would have given us. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

void *malloc(size_t n)
{
    by_libc++;
    return __libc_malloc(n);
}
void *calloc(size_t n, size_t size)
{
    by_libc++;
    return __libc_calloc(n, size);
}
void *realloc(void *p, size_t n)
{
    by_libc++;
    return __libc_realloc(p, n);
}
void *aligned_alloc(size_t align, size_t n)
{
    by_libc++;
    return __libc_memalign(align, n);
}
int posix_memalign(void **out, size_t align, size_t n)
{
    by_libc++;
    *out = __libc_memalign(align, n);
    return *out ? 0 : ENOMEM;
}
#endif

static struct lar_model *model;
static struct lar_session *session;
static int32_t prompt[128];
static size_t nprompt;

static void count_begin(void) { by_hook = by_libc = 0; }

static int32_t most_probable(int vocab)
{
    const float *l = lar_session_logits(session);
    int32_t best = 0;
    for (int32_t i = 1; i < vocab; i++)
        if (l[i] > l[best]) best = i;
    return best;
}

static void the_counters_count(void)
{
    count_begin();
    void *volatile p = mem_alloc(100);
    mem_free(p);
    CHECK_EQ(by_hook, 1);
    if (!SANITIZED) CHECK(by_libc >= 1);
    p = malloc(10);
    free(p);
    CHECK_EQ(by_hook, 1);
    if (!SANITIZED) CHECK(by_libc >= 2);
}

static void a_hundred_tokens_one_by_one_allocate_nothing(void)
{
    struct lar_err err;
    struct lar_model_info info;
    lar_model_info(model, &info);
    CHECK(lar_session_sync(session, prompt, nprompt, &err) >= 0);
    count_begin();
    for (int i = 0; i < 100; i++) {
        int32_t t = most_probable(info.vocab);
        CHECK_EQ(lar_session_extend(session, &t, 1, NULL, &err), 0);
    }
    CHECK_EQ(by_hook, 0);
    CHECK_EQ(by_libc, 0);
}

static void a_prompt_allocates_nothing_either(void)
{
    struct lar_err err;
    CHECK(lar_session_sync(session, prompt, 1, &err) >= 0);
    count_begin();
    CHECK_EQ(lar_session_sync(session, prompt, nprompt, &err), (int)nprompt - 1);
    CHECK_EQ(by_hook, 0);
    CHECK_EQ(by_libc, 0);
}

static long at_first, at_last;
static int pieces;

static int watch(void *ctx, enum lar_text_kind kind, const char *text, size_t n)
{
    (void)ctx, (void)kind, (void)text, (void)n;
    at_last = by_hook > by_libc ? by_hook : by_libc;
    if (!pieces++) at_first = at_last;
    return 0;
}

/* With every sampling step on: from the first piece of text to the last. */
static void an_answer_with_sampling_allocates_nothing_between_its_pieces(void)
{
    struct lar_err err;
    struct lar_sampling p;
    struct lar_result r;
    lar_sampling_default(&p, model);
    p.temp = 0.7f, p.top_k = 40, p.top_p = 0.95f, p.min_p = 0.01f, p.typical_p = 0.98f;
    p.repeat_penalty = 1.05f, p.presence_penalty = 0.1f, p.frequency_penalty = 0.1f;
    p.dry_multiplier = 0.5f, p.xtc_probability = 0.1f, p.xtc_threshold = 0.2f;
    p.seed = 7;
    struct lar_request req = {
        .tokens = prompt, .ntoken = nprompt, .sampling = &p, .max_tokens = 100, .on_text = watch};
    pieces = 0;
    count_begin();
    CHECK_EQ(lar_generate(session, &req, &r, &err), 0);
    CHECK(pieces > 10);
    CHECK_EQ(at_last - at_first, 0);
    lar_result_free(&r);
}

static void closing_gives_everything_back(void)
{
    lar_session_close(session);
    lar_model_close(model);
    CHECK_EQ(mem_live(), 0);
}

int main(void)
{
    struct lar_err err;
    static const char text[] =
        "<|im_start|>user\nMy kettle (order 55-1209) never came, I want my 39 EUR back.<|im_end|>\n"
        "<|im_start|>assistant\n";
    tap_timeout(300);
    mem_set_hook(count_hook, NULL);
    RUN(the_counters_count);
    if (lar_model_open(&model, "models/lar-demo-q8_0.gguf", NULL, &err) < 0 ||
        lar_session_open(&session, model, &(struct lar_session_options){.ctx = 512}, &err) < 0) {
        printf("# %s\n", err.msg);
        tap_ok(0, "the demonstration model opens");
        return tap_done();
    }
    int64_t n = lar_tokenize(model, text, strlen(text), LAR_TOKENIZE_SPECIAL, prompt, 128, &err);
    tap_ok(n > 8 && n <= 128, "the prompt becomes tokens");
    nprompt = n > 0 && n <= 128 ? (size_t)n : 0;
    RUN(a_prompt_allocates_nothing_either);
    RUN(a_hundred_tokens_one_by_one_allocate_nothing);
    RUN(an_answer_with_sampling_allocates_nothing_between_its_pieces);
    RUN(closing_gives_everything_back);
    return tap_done();
}
