/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_vocab_golden.c: the ids and texts that the reference implementations give, for every tokenizer of the test data that a GGUF
 * can express: ../shared/golden/tokenizers (made with Hugging Face's tokenizers, sentencepiece and tiktoken; its README says how), the
 * .inp and .out pairs of llama.cpp, and Phi-3.5's own ids. Folders are walked: a new one is a new test.
 */
#include <dirent.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "tap.h"
#include "text/vocab.h"
#include "text/vocab_hf.h"

#define GOLDEN "../shared/golden/tokenizers"
#define DATA "../shared/data/tokenizers"

/* ---- files ------------------------------------------------------------------------------------------------------------ */

static char *read_all(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *p = NULL;
    long size;
    if (f && fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) >= 0 && fseek(f, 0, SEEK_SET) == 0) {
        p = malloc((size_t)size + 1);
        *n = p ? fread(p, 1, (size_t)size, f) : 0;
        if (p) p[*n] = 0;
    }
    if (f) fclose(f);
    return p;
}

static int exists(const char *path)
{
    return access(path, R_OK) == 0;
}

static const char *join(const char *a, const char *b, const char *c)
{
    static char path[4][1024];
    static int which;
    char *p = path[which++ & 3];
    snprintf(p, sizeof path[0], "%s/%s/%s", a, b, c);
    return p;
}

/* FIPS 180-4, for the long texts, whose ids are given by their digest. */
static void sha256(const uint8_t *p, size_t n, char hex[65])
{
    static uint32_t k[64], first[8];
    uint32_t h[8];
    for (uint32_t c = 2, i = 0; !k[63]; c++) { /* the fractions of the roots of the first primes */
        int prime = 1;
        for (uint32_t d = 2; d * d <= c; d++) prime &= c % d != 0;
        if (!prime) continue;
        if (i < 8) first[i] = (uint32_t)(fmod(sqrt(c), 1) * 0x1p32);
        k[i++] = (uint32_t)(fmod(cbrt(c), 1) * 0x1p32);
    }
    memcpy(h, first, sizeof h);
    size_t blocks = (n + 9 + 63) / 64;
    for (size_t b = 0; b < blocks; b++) {
        uint8_t m[64] = {0};
        uint32_t w[64], s[8];
        size_t at = b * 64;
        if (at < n) memcpy(m, p + at, n - at < 64 ? n - at : 64);
        if (at <= n && n < at + 64) m[n - at] = 0x80;
        if (b == blocks - 1)
            for (int i = 0; i < 8; i++) m[63 - i] = (uint8_t)((uint64_t)n * 8 >> 8 * i);
        for (int i = 0; i < 16; i++)
            w[i] = (uint32_t)m[4 * i] << 24 | (uint32_t)m[4 * i + 1] << 16 | (uint32_t)m[4 * i + 2] << 8 | m[4 * i + 3];
#define ROR(x, r) ((x) >> (r) | (x) << (32 - (r)))
        for (int i = 16; i < 64; i++)
            w[i] = w[i - 16] + (ROR(w[i - 15], 7) ^ ROR(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 7] +
                   (ROR(w[i - 2], 17) ^ ROR(w[i - 2], 19) ^ w[i - 2] >> 10);
        memcpy(s, h, sizeof s);
        for (int i = 0; i < 64; i++) {
            uint32_t t1 = s[7] + (ROR(s[4], 6) ^ ROR(s[4], 11) ^ ROR(s[4], 25)) +
                          ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
            uint32_t t2 = (ROR(s[0], 2) ^ ROR(s[0], 13) ^ ROR(s[0], 22)) +
                          ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
            memmove(s + 1, s, 7 * sizeof *s);
            s[4] += t1;
            s[0] = t1 + t2;
        }
        for (int i = 0; i < 8; i++) h[i] += s[i];
    }
    for (int i = 0; i < 8; i++) snprintf(hex + 8 * i, 9, "%08x", h[i]);
}

/* ---- comparing -------------------------------------------------------------------------------------------------------- */

static int shown; /* differences printed for this tokenizer */

static void show_ids(const char *what, const int32_t *id, size_t n)
{
    printf("#   %s", what);
    for (size_t i = 0; i < n && i < 24; i++) printf(" %d", id[i]);
    printf("%s\n", n > 24 ? " ..." : "");
}

/* Encodes s and compares with want[n]; the ids stay in got. */
static int same_ids(const struct vocab *v, struct str s, unsigned flags, const int32_t *want, size_t n,
                    struct ids *got)
{
    struct lar_err err = {0};
    got->n = 0;
    if (vocab_encode(v, s, flags, got, &err) < 0) {
        printf("# %s\n", err.msg);
        return 0;
    }
    if (got->n == n && (!n || !memcmp(got->id, want, n * sizeof *want))) return 1;
    if (shown++ < 3) {
        struct buf b = {0};
        buf_json_str(&b, (struct str){s.p, s.n < 200 ? s.n : 200});
        printf("# text %s, flags %u\n", buf_z(&b), flags);
        show_ids("got ", got->id, got->n);
        show_ids("want", want, n);
        buf_done(&b);
    }
    return 0;
}

static int same_text(const struct vocab *v, const struct ids *ids, struct str want)
{
    struct vocab_decoder d = {0};
    struct buf b = {0};
    int whole = 1;
    for (size_t i = 0; i < ids->n; i++) {
        size_t before = b.n;
        vocab_decode(v, &d, ids->id[i], 1, &b);
        whole &= utf8_valid(buf_z(&b) + before, b.n - before);
    }
    vocab_decode_end(&d, &b);
    int same = whole && str_eq(buf_view(&b), want);
    if (!same && shown++ < 3) {
        struct buf q = {0};
        buf_json_str(&q, buf_view(&b));
        buf_puts(&q, " instead of ");
        buf_json_str(&q, want);
        printf("# decoded %s\n", buf_z(&q));
        buf_done(&q);
    }
    buf_done(&b);
    return same;
}

static size_t numbers(const struct json *a, int32_t *out, size_t cap)
{
    size_t n = 0;
    for (const struct json *e = a ? a->child : NULL; e && n < cap; e = e->next) out[n++] = (int32_t)e->i;
    return n;
}

static int same_json_ids(const struct vocab *v, struct str s, unsigned flags, const struct json *want, struct ids *got)
{
    int32_t *id = malloc((want->n + 1) * sizeof *id);
    int same = id && same_ids(v, s, flags, id, numbers(want, id, want->n), got);
    free(id);
    return same;
}

static const struct json *at_index(const struct json *object, size_t i)
{
    char key[24];
    snprintf(key, sizeof key, "%zu", i);
    return json_get(object, key);
}

/* ---- one folder of golden ids --------------------------------------------------------------------------------------- */

struct golden {
    const struct vocab *v;
    const struct json *texts, *want; /* texts.json, expected.json */
    unsigned flags;                  /* how `ids` were made: SentencePiece knows no names of control tokens */
};

static void check_texts(const struct golden *g, struct ids *ids)
{
    const struct json *plain = json_get(g->want, "ids_plain"), *decoded = json_get(g->want, "decoded");
    const struct json *want = json_get(g->want, "ids")->child, *p, *d;
    size_t i = 0;
    for (const struct json *t = json_get(g->texts, "texts")->child; t && want; t = t->next, want = want->next, i++) {
        if (same_json_ids(g->v, t->s, g->flags, want, ids)) {
            d = at_index(decoded, i);
            CHECK(same_text(g->v, ids, d ? d->s : t->s));
        } else {
            CHECK(!"the ids differ");
        }
        if ((p = at_index(plain, i))) CHECK(same_json_ids(g->v, t->s, 0, p, ids));
    }
    CHECK(i > 100);
}

static void check_bytes(const struct golden *g, struct ids *ids)
{
    const struct json *want = json_get(g->want, "bytes");
    if (!want || !str_is(json_get(g->want, "reference")->s, "sentencepiece 0.2.3")) return;
    want = want->child;
    for (const struct json *t = json_get(g->texts, "bytes")->child; t && want; t = t->next, want = want->next) {
        char raw[64];
        size_t n = 0;
        for (; n < sizeof raw && 2 * n + 1 < t->s.n; n++) {
            char hex[3] = {t->s.p[2 * n], t->s.p[2 * n + 1], 0};
            raw[n] = (char)strtol(hex, NULL, 16);
        }
        CHECK(same_json_ids(g->v, (struct str){raw, n}, g->flags, want, ids));
    }
}

static void check_long(const struct golden *g, struct ids *ids)
{
    const struct json *want = json_get(g->want, "long")->child;
    for (const struct json *t = json_get(g->texts, "long")->child; t && want; t = t->next, want = want->next) {
        struct buf b = {0};
        struct lar_err err = {0};
        char hex[65];
        for (int64_t k = json_get(t, "times")->i; k > 0; k--) buf_str(&b, json_get(t, "unit")->s);
        ids->n = 0;
        CHECK_EQ(vocab_encode(g->v, buf_view(&b), g->flags, ids, &err), 0);
        CHECK_EQ(ids->n, json_get(want, "n")->i);
        sha256((const uint8_t *)ids->id, ids->n * 4, hex); /* little-endian u32, as this machine has them */
        if (!str_is(json_get(want, "sha256")->s, hex)) {
            printf("# long text %.*s\n", STR_ARG(json_get(t, "name")->s));
            CHECK(!"the ids differ");
        }
        buf_done(&b);
    }
}

/* special: the file says what is added (one rebuilt from another program's vocabulary may say otherwise). */
static void check_special(const struct golden *g, struct ids *ids, int special)
{
    const struct json *w = json_get(g->want, "with_special_tokens");
    if (!w) return;
    CHECK(same_json_ids(g->v, STR("a b"), 0, json_get(w, "bare"), ids));
    if (special) CHECK(same_json_ids(g->v, STR("a b"), VOCAB_ADD_SPECIAL, json_get(w, "one"), ids));
}

static void check_vocab(const struct gguf *file, const struct json *texts, const struct json *want, int special)
{
    struct vocab *v = NULL;
    struct lar_err err = {0};
    struct ids ids = {0};
    if (vocab_open(&v, file, &err) < 0) {
        printf("# %s\n", err.msg);
        CHECK(!"the tokenizer does not open");
    } else {
        struct str reference = json_get(want, "reference")->s;
        struct golden g = {v, texts, want, VOCAB_PARSE_SPECIAL};
        if (str_starts(reference, STR("sentencepiece"))) g.flags = 0;
        check_texts(&g, &ids);
        check_bytes(&g, &ids);
        check_long(&g, &ids);
        check_special(&g, &ids, special);
    }
    ids_done(&ids);
    vocab_close(v);
}

static void check_golden(const char *gguf, const struct json *texts, const struct json *want, int special)
{
    struct gguf file;
    struct lar_err err = {0};
    if (gguf_open(&file, gguf, &err) < 0) {
        printf("# %s\n", err.msg);
        CHECK(!"the file does not open");
        return;
    }
    check_vocab(&file, texts, want, special);
    gguf_close(&file);
}

/* The same from the tokenizer's own files. */
static void check_own(const char *path, const struct json *texts, const struct json *want)
{
    struct vocab_image im;
    struct lar_err err = {0};
    if (vocab_hf_open(&im, path, 0, &err) < 0) {
        printf("# %s\n", err.msg);
        CHECK(!"the file does not open");
        return;
    }
    CHECK(vocab_hf_is(path));
    check_vocab(&im.g, texts, want, 1);
    vocab_hf_close(&im);
}

/* The first file of a folder that is no GGUF; NULL when there is none. */
static const char *own_of(const char *folder, const struct json *want)
{
    const struct json *f = json_get(want, "files")->child;
    char name[512];
    if (!f || str_ends(f->s, STR(".gguf"))) return NULL;
    snprintf(name, sizeof name, "%.*s", STR_ARG(f->s));
    const char *path = str_starts(f->s, STR("data/")) ? join("..", "shared", name) : join(GOLDEN, folder, name);
    return exists(path) ? path : NULL;
}

/* The GGUF of a folder: its own, or one of the test data that it names. NULL: it has none. */
static const char *gguf_of(const char *folder, const struct json *want, int *own)
{
    const char *path = join(GOLDEN, folder, "vocab.gguf");
    if ((*own = exists(path))) return path;
    for (const struct json *f = json_get(want, "files")->child; f; f = f->next) {
        if (!str_ends(f->s, STR(".gguf"))) continue;
        char name[512];
        snprintf(name, sizeof name, "%.*s", STR_ARG(f->s));
        path = join("..", "shared", name);
        return exists(path) ? path : NULL;
    }
    return NULL;
}

static int visible(const struct dirent *e) { return e->d_name[0] != '.'; }

static void walk_golden(void)
{
    struct dirent **list;
    size_t n, m;
    char *texts_text = read_all(GOLDEN "/texts.json", &n);
    int count = texts_text ? scandir(GOLDEN, &list, visible, alphasort) : 0;
    if (count <= 0) SKIP(GOLDEN " is not here");
    for (int i = 0; i < count; i++) {
        char *text = read_all(join(GOLDEN, list[i]->d_name, "expected.json"), &m), name[300];
        struct arena a;
        struct lar_err err = {0};
        int own = 0;
        arena_init(&a, 0);
        const struct json *texts = json_parse(&a, (struct str){texts_text, n}, &err);
        const struct json *want = text ? json_parse(&a, (struct str){text, m}, &err) : NULL;
        const char *gguf = want && texts ? gguf_of(list[i]->d_name, want, &own) : NULL;
        if (gguf) {
            tap_case_bad = shown = 0;
            snprintf(name, sizeof name, "%s: the reference's ids and texts", list[i]->d_name);
            check_golden(gguf, texts, want, own);
            tap_ok(!tap_case_bad, name);
        }
        const char *path = want && texts ? own_of(list[i]->d_name, want) : NULL;
        if (path) {
            tap_case_bad = shown = 0;
            snprintf(name, sizeof name, "%s: the same from %s", list[i]->d_name, strrchr(path, '/') + 1);
            check_own(path, texts, want);
            tap_ok(!tap_case_bad, name);
        }
        arena_done(&a);
        free(text);
        free(list[i]);
    }
    if (count > 0) free(list);
    free(texts_text);
}

/* ---- llama.cpp's pairs -------------------------------------------------------------------------------------------- */

static void check_pairs(const struct vocab *v, char *in, char *out)
{
    static const char mark[] = "\n__ggml_vocab_test__\n";
    struct ids got = {0};
    int cases = 0;
    for (char *next, *line; in && out; in = next, cases++) {
        int32_t want[4096];
        size_t n = 0;
        next = strstr(in, mark);
        line = strchr(out, '\n');
        if (line) *line = 0;
        else if (!*out && !next) break; /* behind the last line */
        size_t len = next ? (size_t)(next - in) : strlen(in);
        for (char *p = out, *end; n < 4096; p = end) {
            long id = strtol(p, &end, 10);
            if (end == p) break;
            want[n++] = (int32_t)id;
        }
        CHECK(same_ids(v, (struct str){in, len}, 0, want, n, &got));
        out = line ? line + 1 : NULL;
        if (next) next += sizeof mark - 1;
    }
    CHECK(cases >= 40);
    ids_done(&got);
}

static void walk_pairs(void)
{
    struct dirent **list;
    int count = scandir(DATA "/llama.cpp", &list, visible, alphasort);
    if (count <= 0) SKIP(DATA "/llama.cpp is not here");
    for (int i = 0; i < count; i++) {
        char path[600], name[600];
        size_t n, m;
        snprintf(path, sizeof path, DATA "/llama.cpp/%s.inp", list[i]->d_name);
        char *in = str_ends(str_of(list[i]->d_name), STR(".gguf")) ? read_all(path, &n) : NULL;
        if (in) {
            struct gguf file;
            struct vocab *v = NULL;
            struct lar_err err = {0};
            snprintf(path, sizeof path, DATA "/llama.cpp/%s.out", list[i]->d_name);
            char *out = read_all(path, &m);
            snprintf(path, sizeof path, DATA "/llama.cpp/%s", list[i]->d_name);
            snprintf(name, sizeof name, "%s: llama.cpp's pairs", list[i]->d_name);
            tap_case_bad = shown = 0;
            CHECK_EQ(gguf_open(&file, path, &err), 0);
            CHECK_EQ(vocab_open(&v, &file, &err), 0);
            if (v && out) check_pairs(v, in, out);
            tap_ok(!tap_case_bad && out, name);
            vocab_close(v);
            gguf_close(&file);
            free(out);
        }
        free(in);
        free(list[i]);
    }
    if (count > 0) free(list);
}

/* ---- Phi-3.5: its vocabulary is Phi-3's, its ids are Hugging Face's --------------------------------------------------- */

static void phi_35_gives_its_own_ids(void)
{
    size_t n, m;
    char *corpus = read_all(DATA "/gridcore-refs/tokenizer-corpus.txt", &n);
    char *ref = read_all(DATA "/gridcore-refs/phi-3.5-mini-instruct.json", &m);
    struct gguf file = {0};
    struct vocab *v = NULL;
    struct lar_err err = {0};
    struct arena a;
    struct ids ids = {0};
    int lines = 0;
    arena_init(&a, 0);
    shown = 0;
    CHECK_EQ(gguf_open(&file, DATA "/llama.cpp/ggml-vocab-phi-3.gguf", &err), 0);
    CHECK_EQ(vocab_open(&v, &file, &err), 0);
    const struct json *want = json_parse(&a, (struct str){ref, m}, &err);
    want = want ? json_get(want, "ids")->child : NULL;
    for (char *line = corpus, *next; v && want && line && *line; line = next, want = want->next, lines++) {
        next = strchr(line, '\n');
        const struct json *t = json_parse(&a, (struct str){line, next ? (size_t)(next - line) : strlen(line)}, &err);
        CHECK(t && same_json_ids(v, t->s, VOCAB_PARSE_SPECIAL, want, &ids));
        if (next) next++;
    }
    CHECK(lines > 700);
    ids_done(&ids);
    arena_done(&a);
    vocab_close(v);
    gguf_close(&file);
    free(corpus);
    free(ref);
}

int main(void)
{
    tap_timeout(180);
    walk_golden();
    walk_pairs();
    if (exists(DATA "/gridcore-refs/phi-3.5-mini-instruct.json") &&
        exists(DATA "/llama.cpp/ggml-vocab-phi-3.gguf"))
        RUN(phi_35_gives_its_own_ids);
    else
        SKIP("Phi-3.5's ids are not here");
    return tap_done();
}
