/* SPDX-License-Identifier: Apache-2.0
 *
 * text/split.c: the table of splitters and the running of their stages.
 *
 * Names and expressions are those of llama.cpp's llama-vocab.cpp; where that file says that it changed the original expression,
 * the original one counts. Which of them normalise is not in the file format: it is a fact about each model's tokenizer.json.
 */
#include "text/split.h"

#include "text/split_char.h"

enum { NFC = SPLIT_NFC, WHOLE = SPLIT_IGNORE_MERGES, BOS = SPLIT_ADD_BOS };

static split_find_fn split_gpt2_find, split_llama3_find;

// clang-format off
static const struct splitter table[] = {
    {"gpt-2 phi-2 jina-es jina-de gigachat a.x-4.0 mellum jais trillion granite-docling exaone4", {0}, split_gpt2, 0},
    {"jina-v1-en jina-v2-es jina-v2-de jina-v2-code roberta-bpe", {0}, split_gpt2, SPLIT_MASK_LSTRIP},
    {"modern-bert", {0}, split_gpt2, NFC | SPLIT_MASK_LSTRIP},
    {"mpt olmo", {0}, split_gpt2, NFC},
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", {0}, split_llama3, WHOLE | BOS},
    {"dbrx smaug-bpe chatglm-bpe glm4", {0}, split_llama3, 0},
    {"cl100k", {0}, split_cl100k, 0}, /* tiktoken's own */
    {"jais-2", {split_llama3_find, split_space_powers}, NULL, 0},
    {"minicpm5", {split_digits3}, split_minicpm5, WHOLE},
    {"qwen2 deepseek-r1-qwen megrez kormo f2llmv2 stablelm2", {0}, split_qwen2, NFC},
    {"hunyuan solar-open grok-2 bailingmoe bailingmoe2 llada-moe", {0}, split_qwen2, 0},
    {"qwen35", {0}, split_qwen35, NFC},
    {"laguna", {split_lines}, split_qwen2, 0},
    {"ufakzeka", {0}, split_ufakzeka, 0},
    {"seed-coder", {0}, split_seed_coder, 0},
    {"exaone-moe", {0}, split_exaone_moe, NFC | SPLIT_LONG},
    {"gpt-4o llama4 kanana2 talkie minimax-m2", {0}, split_gpt4o, 0},
    {"granite-embed-multi-97m", {0}, split_gpt4o, WHOLE},
    {"tiny_aya cohere2moe", {split_grouped_digits}, split_gpt4o, NFC},
    {"tekken", {0}, split_tekken, WHOLE | BOS},
    {"youtu", {split_youtu_cjk}, split_youtu, WHOLE},
    {"kimi-k2", {0}, split_kimi, 0},
    {"starcoder refact smollm codeshell exaone minerva-7b mellum2", {split_digit}, split_gpt2, 0},
    {"command-r", {split_digit}, split_gpt2, NFC},
    {"falcon", {split_punct_falcon, split_gpt2_find, split_ascii_digits3}, NULL, 0},
    {"default", {split_punct_falcon, split_gpt2_find, split_digits, split_ascii_digits3}, NULL, 0},
    {"deepseek-llm",
     {split_newline, split_scripts_sp, split_symbols_sp, split_spaces_end, split_cjk, split_digit}, NULL, 0},
    {"deepseek-coder", {split_newline, split_letters_sp, split_punct_sp, split_cjk, split_digit}, NULL, 0},
    {"deepseek-v3 hunyuan-dense joyai-llm hy_v4", {split_digits3, split_deepseek_cjk, split_deepseek3}, NULL, 0},
    {"spark2_5", {split_digits3, split_deepseek_cjk, split_spark, split_digit}, NULL, 0},
    {"afmoe", {split_grouped_digits_all, split_asian, split_deepseek3}, NULL, 0},
    {"superbpe", {split_digits, split_thousands}, NULL, SPLIT_LONG},
    {"bloom gpt3-finnish poro-chat", {split_bloom}, NULL, 0},
    {"viking", {split_bloom, split_digit}, NULL, 0},
    {"chameleon",
     {split_chameleon, split_chameleon_space, split_digit, split_chameleon_punct}, split_gpt2, BOS},
};

/* Architectures whose files were made before tokenizer.ggml.pre was. */
static const struct { const char *arch, *pre; } usual[] = {
    {"gptneox", "mpt"}, {"mpt", "mpt"}, {"olmo", "olmo"}, {"gpt2", "gpt-2"}, {"gptj", "gpt-2"}, {"phi2", "gpt-2"},
    {"falcon", "falcon"}, {"starcoder", "starcoder"}, {"starcoder2", "starcoder"}, {"refact", "refact"},
    {"bloom", "bloom"}, {"qwen2", "qwen2"}, {"qwen2moe", "qwen2"}, {"command-r", "command-r"}, {"dbrx", "dbrx"},
    {"codeshell", "codeshell"},
};
// clang-format on

#define COUNT(a) (sizeof(a) / sizeof *(a))

static int has_name(const char *names, struct str name)
{
    for (size_t k; *names; names += k + (names[k] == ' ')) {
        k = strcspn(names, " ");
        if (str_eq(name, (struct str){names, k})) return 1;
    }
    return 0;
}

const struct splitter *split_find(struct str name)
{
    for (size_t i = 0; i < COUNT(table); i++)
        if (has_name(table[i].names, name)) return &table[i];
    return NULL;
}

const struct splitter *split_find_arch(struct str arch)
{
    for (size_t i = 0; i < COUNT(usual); i++)
        if (str_is(arch, usual[i].arch)) return split_find(str_of(usual[i].pre));
    return split_find(STR("default"));
}

void split_names(struct buf *out)
{
    for (size_t i = 0; i < COUNT(table); i++) buf_printf(out, "%s%s", i ? " " : "", table[i].names);
}

/* Stages that match everywhere, where others follow them. */
static size_t split_gpt2_find(const char *s, size_t n, size_t from, size_t *start)
{
    return split_gpt2(s, n, *start = from);
}

static size_t split_llama3_find(const char *s, size_t n, size_t from, size_t *start)
{
    return split_llama3(s, n, *start = from);
}

/* Stage i of the splitter on one piece; the depth is the number of stages. */
static int run_stage(const struct splitter *sp, int i, const char *s, size_t n, split_emit *emit,
                     void *ctx)
{
    int rc = 0;
    if (i == SPLIT_STAGES_MAX || !sp->stage[i]) {
        if (!sp->last) return emit(ctx, s, n);
        for (size_t at = 0, end; at < n && rc == 0; at = end) {
            end = sp->last(s, n, at);
            rc = emit(ctx, s + at, end - at);
        }
        return rc;
    }
    for (size_t at = 0, start, end; at < n && rc == 0; at = end) {
        end = sp->stage[i](s, n, at, &start);
        if (start > at) rc = run_stage(sp, i + 1, s + at, start - at, emit, ctx);
        if (start == n) break;
        if (rc == 0) rc = run_stage(sp, i + 1, s + start, end - start, emit, ctx);
    }
    return rc;
}

int split_each(const struct splitter *sp, struct str s, split_emit *emit, void *ctx)
{
    return s.n ? run_stage(sp, 0, s.p, s.n, emit, ctx) : 0;
}

uint16_t split_class(uint32_t cp)
{
    static const uint16_t of[] = {
        [UC_CN] = 0, [UC_LU] = C_L | C_UP, [UC_LL] = C_L | C_LOW, [UC_LT] = C_L | C_UP,
        [UC_LM] = C_L | C_UP | C_LOW, [UC_LO] = C_L | C_UP | C_LOW, [UC_MN] = C_M | C_UP | C_LOW,
        [UC_MC] = C_M | C_UP | C_LOW, [UC_ME] = C_M | C_UP | C_LOW, [UC_ND] = C_N | C_D,
        [UC_NL] = C_N, [UC_NO] = C_N, [UC_PC] = C_P, [UC_PD] = C_P, [UC_PS] = C_P, [UC_PE] = C_P,
        [UC_PI] = C_P, [UC_PF] = C_P, [UC_PO] = C_P, [UC_SM] = C_Y, [UC_SC] = C_Y, [UC_SK] = C_Y,
        [UC_SO] = C_Y, [UC_CO] = 0,
    };
    struct unicode_class c = unicode_of(cp);
    return (uint16_t)(of[c.gc] | (c.flags & UC_SPACE ? C_S : 0) | (c.flags & UC_WORD ? C_W : 0) |
                      (c.flags & UC_BERT_PUNCT ? C_BP : 0));
}

// clang-format off
#define Z_ 0
#define SP C_S
#define NL (C_S | C_R)
#define UP (C_L | C_UP | C_A | C_W)
#define LO (C_L | C_LOW | C_A | C_W)
#define DI (C_N | C_D | C_W)
#define PU (C_P | C_X | C_BP)
#define SY (C_Y | C_X | C_BP)
#define PW (C_P | C_X | C_BP | C_W) /* _ */
const uint16_t split_ascii[128] = {
    Z_, Z_, Z_, Z_, Z_, Z_, Z_, Z_, Z_, SP, NL, SP, SP, NL, Z_, Z_,
    Z_, Z_, Z_, Z_, Z_, Z_, Z_, Z_, Z_, Z_, Z_, Z_, Z_, Z_, Z_, Z_,
    SP, PU, PU, PU, SY, PU, PU, PU, PU, PU, PU, SY, PU, PU, PU, PU,
    DI, DI, DI, DI, DI, DI, DI, DI, DI, DI, PU, PU, SY, SY, SY, PU,
    PU, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP,
    UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, PU, PU, PU, SY, PW,
    SY, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO,
    LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, PU, SY, PU, SY, Z_,
};
// clang-format on
