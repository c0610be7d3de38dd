/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_page.c: any bytes as a page of a prompt cache on the disk. What damage changes the checksum finds at once, so identity and checksum are put
 * right first: what is behind them is what malice could write. What is taken grows the timeline by as many tokens of the vocabulary as it says;
 * what is refused changes nothing. */
#include <lar/batch.h>
#include <string.h>

#include "base/mem.h"
#include "must.h"
#include "run/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { CTX = 128, BEFORE = 3 };

static struct lar_model *model;
static struct lar_session *session;
static char id[LAR_IMAGE_ID];

static void open_once(void)
{
    struct lar_err err = {0};
    struct lar_model_options mo = {.threads = 1, .deterministic = 1};
    struct lar_session_options so = {.ctx = CTX, .kv = LAR_KV_F32, .batch = 8};
    if (session) return;
    MUST(lar_model_open(&model, "tests/data/tiny-llama", &mo, &err) == 0);
    MUST(lar_session_open(&session, model, &so, &err) >= 0);
    MUST(lar_session_identity(session, id, &err) >= 0);
}

/* Onto a timeline of `before` tokens. */
static void read_it(const uint8_t *p, size_t n, size_t before)
{
    static const int32_t tokens[BEFORE] = {3, 5, 8};
    struct lar_err err = {0};
    size_t have = 0;
    MUST(lar_session_cut(session, 0, &err) == 0);
    if (before) MUST(lar_session_extend(session, tokens, before, NULL, &err) == 0);
    int64_t got = lar_session_unpack(session, p, n, &err);
    const int32_t *all = lar_session_tokens(session, &have);
    if (got < 0) {
        MUST(err.code == (int)got && err.msg[0]);
        MUST(have == before);
    } else {
        struct lar_model_info info;
        lar_model_info(model, &info);
        MUST(have == before + (size_t)got && have <= CTX);
        for (size_t i = 0; i < have; i++) MUST(all[i] >= 0 && all[i] < info.vocab);
    }
    MUST(memcmp(all, tokens, before * sizeof *all) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t *p = mem_alloc(n + 1);
    open_once();
    if (!p) return 0;
    if (n) memcpy(p, data, n);
    read_it(p, n, 0);
    if (n >= IMAGE_HEAD) {
        uint64_t sum;
        memcpy(p + IMAGE_ID, id, SHA256_HEX);
        sum = image_sum(p, n);
        memcpy(p + IMAGE_SUM, &sum, sizeof sum);
        read_it(p, n, 0);
        read_it(p, n, BEFORE);
    }
    mem_free(p);
    return 0;
}
