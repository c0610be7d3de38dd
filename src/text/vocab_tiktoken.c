/* SPDX-License-Identifier: Apache-2.0
 *
 * text/vocab_tiktoken.c: tiktoken's files: a line for each token, its bytes in base64 and its rank, which is its id.
 *
 * The file says neither how text is cut nor which special tokens there are: tiktoken's own code does (tiktoken_ext/openai_public.py, and
 * llama-models' tokenizer.py for Llama 3). An encoding is known by its number of ranks.
 *
 * tiktoken merges whatever neighbours together are a token, the lowest rank first. Merges that say the same: each way to cut a
 * token into two tokens, in the order of the ranks of the whole, then of the left, then of the right half.
 */
#include "text/vocab_make.h"
#include "text/vocab_table.h"

#include <stdio.h>
#include <stdlib.h>

static const struct encoding {
    size_t ranks;
    const char *pre, *bos, *eos,
        *special; /* special: "id name" pairs, ids counted from the first behind the ranks */
} encodings[] = {
    {50256, "gpt-2", NULL, "<|endoftext|>", "0 <|endoftext|>"},
    {50280, "gpt-2", NULL, "<|endoftext|>", "-24 <|endoftext|>"},
    {100256, "cl100k", NULL, "<|endoftext|>",
     "1 <|endoftext|> 2 <|fim_prefix|> 3 <|fim_middle|> 4 <|fim_suffix|> 20 <|endofprompt|>"},
    {199998, "gpt-4o", NULL, "<|endoftext|>", "1 <|endoftext|> 20 <|endofprompt|>"},
    {128000, "llama-bpe", "<|begin_of_text|>", "<|end_of_text|>",
     "0 <|begin_of_text|> 1 <|end_of_text|> 2 <|reserved_special_token_0|> 3 <|reserved_special_token_1|> "
     "4 <|finetune_right_pad_id|> 5 <|reserved_special_token_2|> 6 <|start_header_id|> 7 <|end_header_id|> "
     "8 <|eom_id|> 9 <|eot_id|> 10 <|python_tag|>"},
    {151643, "qwen2", NULL, "<|endoftext|>", "0 <|endoftext|> 1 <|im_start|> 2 <|im_end|>"},
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- lines ------------------------------------------------------------------------------------------------------------- */

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The next line: base64 of the bytes, then the rank. -1 when it is none of that kind. */
static int read_line(struct str *file, struct str *bytes64, int64_t *rank)
{
    const char *end = memchr(file->p, '\n', file->n);
    size_t n = end ? (size_t)(end - file->p) : file->n, k = 0;
    struct str line = {file->p, n && file->p[n - 1] == '\r' ? n - 1 : n};
    *file = str_from(*file, end ? n + 1 : n);
    while (k < line.n && line.p[k] != ' ') k++;
    *bytes64 = (struct str){line.p, k};
    if (!k || k % 4 || k + 1 >= line.n) return -1;
    *rank = 0;
    for (k++; k < line.n; k++) {
        if (line.p[k] < '0' || line.p[k] > '9' || *rank > MAKE_IDS_MAX) return -1;
        *rank = *rank * 10 + (line.p[k] - '0');
    }
    return 0;
}

/* Bytes of base64 text whose length is a multiple of four; -1 when it is none. out has room for 3/4 of it. */
static int64_t base64_decode(struct str s, unsigned char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i += 4) {
        int pad = i + 4 == s.n ? (s.p[i + 3] == '=') + (s.p[i + 3] == '=' && s.p[i + 2] == '=') : 0;
        uint32_t v = 0;
        for (int j = 0; j < 4; j++) {
            int d = j >= 4 - pad ? 0 : base64_digit(s.p[i + (size_t)j]);
            if (d < 0) return -1;
            v = v << 6 | (uint32_t)d;
        }
        for (int j = 0; j < 3 - pad; j++) out[n++] = (unsigned char)(v >> (16 - 8 * j));
    }
    return (int64_t)n;
}

int vocab_tiktoken_is(struct str file)
{
    struct str s;
    int64_t rank;
    unsigned char few[48];
    return file.n && read_line(&file, &s, &rank) == 0 && s.n <= 64 && base64_decode(s, few) >= 0;
}

/* ---- tokens ------------------------------------------------------------------------------------------------------------ */

/* The bytes in GPT-2's alphabet (see vocab_load.c), in UTF-8. */
static size_t alphabet(const unsigned char *b, size_t n, char *out)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned c = b[i];
        if (c <= 0x20)
            c += 0x100; /* 33 of these */
        else if (c >= 0x7f && c <= 0xa0)
            c += 0x121 - 0x7f; /* 34 */
        else if (c == 0xad)
            c = 0x143;
        if (c < 0x80)
            out[k++] = (char)c;
        else {
            out[k++] = (char)(0xc0 | c >> 6);
            out[k++] = (char)(0x80 | (c & 63));
        }
    }
    return k;
}

/* All ranks: where the bytes of token i lie, and from bytes to token. A rank that is missing has no bytes. */
struct ranks {
    char *pool;    /* bytes; [off[n]] */
    uint32_t *off; /* [n + 1] */
    size_t n, cap;
    struct vocab_table table;
};

static int32_t find(const struct ranks *r, const char *p, size_t n)
{
    return vocab_table_find(&r->table, r->pool, r->off, vocab_key(p, n), p, n, 0);
}

static int insert(struct ranks *r, uint32_t id)
{
    const char *p = r->pool + r->off[id];
    uint32_t n = r->off[id + 1] - r->off[id];
    uint64_t key = vocab_key(p, n);
    uint32_t i = vocab_slot(&r->table, key, n);
    for (uint32_t tries = 0; r->table.e[i].len; tries++, i = (i + 1) & r->table.mask)
        if (tries > PROBES_MAX) return -1;
    r->table.e[i] = (struct vocab_entry){key, n, (int32_t)id};
    return 0;
}

enum { LONGEST = 1024 }; /* bytes of a token: the longest of the known encodings has 128 */

static int read_ranks(struct ranks *r, struct str file, struct lar_err *err)
{
    for (size_t line = 1; file.n; line++) {
        struct str s;
        int64_t rank, n;
        if (read_line(&file, &s, &rank) < 0 || s.n > LONGEST ||
            (n = base64_decode(s, (unsigned char *)r->pool + r->off[r->n])) <= 0)
            return lar_fail(err, LAR_EFORMAT, "tiktoken file, line %zu: expected base64 and a rank",
                            line);
        if (rank < (int64_t)r->n || rank >= (int64_t)r->cap)
            return lar_fail(err, LAR_EFORMAT, "tiktoken file, line %zu: rank %lld after rank %zu",
                            line, (long long)rank, r->n);
        for (; (int64_t)r->n < rank; r->n++) r->off[r->n + 1] = r->off[r->n];
        r->off[r->n + 1] = r->off[r->n] + (uint32_t)n;
        r->n++;
    }
    for (uint32_t i = 0; i < r->n; i++)
        if (r->off[i + 1] > r->off[i] && insert(r, i) < 0)
            return lar_fail(err, LAR_ELIMIT, "tiktoken file: tokens are made to collide");
    return 0;
}

/* Room for as many tokens as the file has lines, and gaps between their ranks. */
static int open_ranks(struct ranks *r, struct arena *a, struct str file, struct lar_err *err)
{
    size_t lines = 1 + 64;
    for (size_t i = 0; i < file.n; i++) lines += file.p[i] == '\n';
    uint64_t places = vocab_table_places(lines);
    r->cap = 2 * lines - 1;
    r->off = file.n < UINT32_MAX ? arena_array(a, 2 * lines, sizeof *r->off) : NULL;
    r->pool = arena_alloc(a, file.n + LONGEST);
    r->table = (struct vocab_table){arena_array(a, places, sizeof *r->table.e),
                                    (uint32_t)(places - 1), vocab_table_shift(places)};
    if (!r->off || !r->pool || !r->table.e)
        return lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory for %zu tokens", lines);
    return 0;
}

/* ---- merges -------------------------------------------------------------------------------------------------------------- */

struct halves {
    int32_t left, right;
};

/* All ways to cut token id into two tokens, sorted; gives how many. */
static size_t cut(const struct ranks *r, size_t id, struct halves *h)
{
    const char *p = r->pool + r->off[id];
    size_t n = r->off[id + 1] - r->off[id], m = 0;
    for (size_t k = 1; k < n; k++) {
        struct halves c = {find(r, p, k), 0};
        if (c.left < 0 || (c.right = find(r, p + k, n - k)) < 0) continue;
        size_t at = m++;
        for (; at &&
               (h[at - 1].left > c.left || (h[at - 1].left == c.left && h[at - 1].right > c.right));
             at--)
            h[at] = h[at - 1];
        h[at] = c;
    }
    return m;
}

static int make_merges(struct vocab_make *m, const struct ranks *r, struct lar_err *err)
{
    struct halves h[LONGEST];
    size_t count = 0, at = 0;
    for (size_t i = 0; i < r->n; i++) count += cut(r, i, h);
    m->merge = arena_array(&m->a, count + 1, sizeof *m->merge);
    if (!m->merge)
        return lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory for %zu merges", count);
    for (size_t i = 0; i < r->n; i++) {
        size_t k = cut(r, i, h);
        for (size_t j = 0; j < k; j++) {
            struct str a = m->token[h[j].left], b = m->token[h[j].right];
            char *p = arena_alloc(&m->a, a.n + b.n + 1);
            if (!p)
                return lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory for %zu merges", count);
            memcpy(p, a.p, a.n);
            p[a.n] = ' ';
            memcpy(p + a.n + 1, b.p, b.n);
            m->merge[at++] = (struct str){p, a.n + b.n + 1};
        }
    }
    m->nmerge = at;
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------- */

static int add_special(struct vocab_make *m, const struct encoding *e, struct lar_err *err)
{
    int rc = 0;
    for (const char *p = e->special; *p && rc == 0;) {
        char *name;
        long id = (long)e->ranks + strtol(p, &name, 10);
        size_t n = strcspn(++name, " ");
        rc = vocab_make_token(m, id, (struct str){name, n}, TOKEN_CONTROL, 0, err);
        if (rc == 0) m->added[id] = MAKE_ADDED;
        p = name + n + (name[n] == ' ');
    }
    /* Llama 3 fills its 256 places up. */
    for (long id = 128011; e->ranks == 128000 && id < 128256 && rc == 0; id++) {
        char name[40];
        int n = snprintf(name, sizeof name, "<|reserved_special_token_%ld|>", id - 128008);
        const char *text = arena_copy(&m->a, name, (size_t)n);
        if (!text) return lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory");
        rc = vocab_make_token(m, id, (struct str){text, (size_t)n}, TOKEN_CONTROL, 0, err);
        if (rc == 0) m->added[id] = MAKE_ADDED;
    }
    return rc;
}

int vocab_tiktoken_read(struct vocab_make *m, struct str file, struct lar_err *err)
{
    struct ranks r = {0};
    const struct encoding *e = NULL;
    int rc = open_ranks(&r, &m->a, file, err);
    if (rc == 0) rc = read_ranks(&r, file, err);
    if (rc < 0) return rc;
    size_t have = 0;
    for (size_t i = 0; i < r.n; i++) have += r.off[i + 1] > r.off[i];
    for (size_t i = 0; i < COUNT(encodings); i++)
        if (have == encodings[i].ranks) e = &encodings[i];
    if (!e)
        return lar_fail(
            err, LAR_EUNSUPPORTED,
            "tiktoken file: %zu ranks; known are 50256 (r50k), 50280 (p50k), 100256 (cl100k), 199998 (o200k), 128000 "
            "(Llama 3) and 151643 (Qwen)",
            have);
    char *text = arena_alloc(&m->a, 2 * (size_t)r.off[r.n] + 1);
    if (!text) return lar_fail(err, LAR_ENOMEM, "tokenizer: out of memory for %zu tokens", r.n);
    for (size_t i = 0; i < r.n && rc == 0; i++) {
        size_t n = r.off[i + 1] - r.off[i],
               k = n ? alphabet((unsigned char *)r.pool + r.off[i], n, text) : 0;
        if (k) rc = vocab_make_token(m, (int64_t)i, (struct str){text, k}, TOKEN_NORMAL, 0, err);
        text += k;
    }
    if (rc == 0) rc = add_special(m, e, err);
    if (rc == 0) rc = make_merges(m, &r, err);
    if (rc < 0) return rc;
    m->model = "gpt2";
    m->pre = str_of(e->pre);
    m->ignore_merges = m->exact = 1;
    m->special.bos = vocab_make_find(m, str_of(e->bos ? e->bos : ""));
    m->special.eos = vocab_make_find(m, str_of(e->eos));
    m->special.add_bos = e->bos != NULL;
    m->special.add_eos = 0;
    return 0;
}
