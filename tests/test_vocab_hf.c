/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/test_vocab_hf.c: tokenizers from their own files (text/vocab_hf.h): folders, small tokenizer.json, and what is refused. The ids
 * were made with Hugging Face's tokenizers 0.23.3 from the same files. The real ones are in test_vocab_golden.c.
 */
#include <sys/stat.h>

#include "base/json.h"
#include "tap.h"
#include "text/vocab.h"
#include "text/vocab_hf.h"

static char dir[64];

static const char *in_dir(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void put_bytes(const char *name, const void *p, size_t n)
{
    FILE *f = fopen(in_dir(name), "wb");
    CHECK(f && fwrite(p, 1, n, f) == n);
    if (f) fclose(f);
}

static void put(const char *name, const char *text) { put_bytes(name, text, strlen(text)); }

static void clear(void)
{
    static const char *const names[] = {"tokenizer.json",
                                        "tokenizer_config.json",
                                        "tokenizer.model",
                                        "vocab.json",
                                        "merges.txt",
                                        "vocab.txt",
                                        "added_tokens.json",
                                        "special_tokens_map.json",
                                        "generation_config.json",
                                        "config.json",
                                        "chat_template.jinja",
                                        "t.tiktoken"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(in_dir(names[i]));
}

struct opened {
    struct vocab_image im;
    struct vocab *v;
    struct lar_err err;
};

static int open_path(struct opened *o, const char *path, int64_t rows)
{
    *o = (struct opened){.v = NULL};
    int rc = vocab_hf_open(&o->im, path, rows, &o->err);
    if (rc == 0) rc = vocab_open(&o->v, &o->im.g, &o->err);
    return rc;
}

static void done(struct opened *o)
{
    vocab_close(o->v);
    vocab_hf_close(&o->im);
}

/* The ids as text: "1 2 3". */
static const char *ids_of(const struct opened *o, const char *text, unsigned flags)
{
    static char out[512];
    struct ids ids = {0};
    struct lar_err err = {0};
    size_t n = 0;
    out[0] = 0;
    if (!o->v) return o->err.msg;
    if (vocab_encode(o->v, str_of(text), flags, &ids, &err) < 0)
        snprintf(out, sizeof out, "%s", err.msg);
    for (size_t i = 0; i < ids.n && n + 16 < sizeof out; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, i ? " %d" : "%d", ids.id[i]);
    ids_done(&ids);
    return out;
}

/* Opens json as tokenizer.json in the folder; the message of a refusal stays in o->err. */
static void open_json(struct opened *o, const char *json)
{
    clear();
    put("tokenizer.json", json);
    open_path(o, dir, 0);
}

// clang-format off
#define SP "\xe2\x96\x81"
#define LLAMA_MODEL \
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":true,\"byte_fallback\":true," \
    "\"vocab\":{\"<unk>\":0," \
    "\"<s>\":1,\"<0x21>\":2,\"<0xC3>\":3,\"<0xA9>\":4,\"" SP "\":5,\"a\":6,\"b\":7,\"ab\":8,\"" SP "a\":9," \
    "\"" SP "ab\":10},\"merges\":[\"a b\",[\"" SP "\",\"ab\"],[\"" SP "\",\"a\"]]}"
#define ADDED \
    "\"added_tokens\":[{\"id\":1,\"content\":\"<s>\",\"special\":true,\"normalized\":false}," \
    "{\"id\":11,\"content\":\"ab!\",\"special\":false,\"normalized\":true}],"
#define METASPACE "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"" SP "\",\"prepend_scheme\":\"never\"},"
// clang-format on

static void a_prefix_is_put_as_the_file_says(void)
{
    static const char *const text[] = {"ab<s>ab \xc3\xa9", " ab", "ab!ab", "aab!ab <s>ab!",
                                       " ab! ab!"};
    static const struct {
        const char *parts, *want[5];
    } row[] = {
        {"\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"first\"},",
         {"10 1 8 5 3 4", "10", "11 8", "9 11 8 5 1 11", "5 11 5 11"}},
        {"\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"always\"},",
         {"10 1 10 5 3 4", "10", "11 10", "9 11 10 5 1 11", "5 11 5 11"}},
        {"\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\xe2\x96\x81\"},"
         "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xe2\x96\x81\"}]},",
         {"10 1 10 5 3 4", "5 10", "11 8", "9 8 2 8 5 1 11", "5 11 11"}},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct opened o;
        char json[2048];
        snprintf(json, sizeof json, "{" ADDED "%s" LLAMA_MODEL "}", row[i].parts);
        open_json(&o, json);
        for (size_t k = 0; k < 5; k++)
            CHECK_STR(ids_of(&o, text[k], VOCAB_PARSE_SPECIAL), row[i].want[k]);
        done(&o);
    }
}

/* Found with tokenizers 0.23.3. A single word is one between what Rust's \\w is not: U+200D is, 1/2 is not. White space that a token swallowed and
 * that is a token too counts twice, and what is left behind that one is text again. */
static void flags_of_added_tokens_are_the_references(void)
{
    struct opened o;
    open_json(&o, "{\"added_tokens\":[{\"id\":11,\"content\":\"qq\",\"single_word\":true,\"normalized\":false},"
                  "{\"id\":12,\"content\":\"r\",\"rstrip\":true,\"normalized\":false},"
                  "{\"id\":13,\"content\":\"    \",\"normalized\":false}],\"normalizer\":{\"type\":\"Replace\","
                  "\"pattern\":{\"String\":\" \"},\"content\":\"" SP "\"}," LLAMA_MODEL "}");
    CHECK_STR(ids_of(&o, "qq", VOCAB_PARSE_SPECIAL), "11");
    CHECK_STR(ids_of(&o, "aqq", VOCAB_PARSE_SPECIAL), "6 0");
    CHECK_STR(ids_of(&o, "qq\xc2\xbd", VOCAB_PARSE_SPECIAL), "11 0");
    CHECK_STR(ids_of(&o, "qq\xe2\x80\x8d", VOCAB_PARSE_SPECIAL), "0");
    CHECK_STR(ids_of(&o, "r     a", VOCAB_PARSE_SPECIAL), "12 13 9");
    CHECK_STR(ids_of(&o, "r     ", VOCAB_PARSE_SPECIAL), "12 13 5");
    done(&o);
}

/* Found with tokenizers 0.23.3: the two forms in which XLM-R's and T5's tokenizers are saved. */
static void the_prefix_stands_before_what_is_left_of_the_spaces(void)
{
    static const char *const form[] = {
        "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Strip\",\"strip_left\":false,"
        "\"strip_right\":true},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\"" SP "\"}]},"
        "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"" SP "\",\"prepend_scheme\":\"always\"},",
        "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},{\"type\":"
        "\"Metaspace\",\"replacement\":\"" SP "\",\"prepend_scheme\":\"always\"}]},",
    };
    for (size_t i = 0; i < sizeof form / sizeof *form; i++) {
        struct opened o;
        char json[2048];
        snprintf(json, sizeof json,
                 "{%s\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"" SP "\",-2],"
                 "[\"a\",-3],[\"" SP "a\",-1]]}}",
                 form[i]);
        open_json(&o, json);
        CHECK_STR(ids_of(&o, "a a", 0), "3 3");
        CHECK_STR(ids_of(&o, " a", 0), "3");
        CHECK_STR(ids_of(&o, "   a  a ", 0), "3 3");
        CHECK_STR(ids_of(&o, " ", 0), "");
        done(&o);
    }
}

static void a_folder_tells_special_tokens_and_template(void)
{
    struct opened o;
    struct str s = STR("");
    struct lar_err err;
    clear();
    put("tokenizer.json",
        "{" ADDED METASPACE
        "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},"
        "{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[1]}}}," LLAMA_MODEL
        "}");
    put("tokenizer_config.json",
        "{\"eos_token\":{\"content\":\"ab!\"},\"chat_template\":[{\"name\":\"tool\",\"template\":\"no\"},"
        "{\"name\":\"default\",\"template\":\"yes\"}]}");
    put("config.json", "{\"pad_token_id\":0,\"eos_token_id\":[7,8]}");
    CHECK_EQ(open_path(&o, dir, 14), 0);
    if (o.v) {
        const struct vocab_special *sp = vocab_special(o.v);
        CHECK_EQ(sp->bos, 1);
        CHECK_EQ(sp->eos, 11);
        CHECK_EQ(sp->pad, 0);
        CHECK_EQ(sp->eot, 8);
        CHECK(sp->add_bos && !sp->add_eos);
        CHECK_EQ(vocab_size(o.v), 14);
        CHECK_EQ(vocab_type(o.v, 13), TOKEN_UNUSED);
        CHECK(str_is(vocab_piece(o.v, 13), "[PAD13]"));
        CHECK_EQ(gguf_str(&o.im.g, "tokenizer.chat_template", &s, &err), 1);
        CHECK(str_is(s, "yes"));
        CHECK_STR(ids_of(&o, "a", VOCAB_ADD_SPECIAL), "1 6");
    }
    done(&o);
    put("chat_template.jinja", "file");
    CHECK_EQ(open_path(&o, dir, 0), 0);
    CHECK_EQ(gguf_str(&o.im.g, "tokenizer.chat_template", &s, &err), 1);
    CHECK(str_is(s, "file"));
    done(&o);
}

/* tests/data/tokenizer_json.jsonl: a line each: name, tokenizer.json, texts and what tokenizers 0.23.3 makes of them. */
static void normalizers_and_words_are_the_references(void)
{
    static char line[8192];
    FILE *f = fopen("tests/data/tokenizer_json.jsonl", "r");
    int n = 0;
    CHECK(f != NULL);
    for (; f && fgets(line, sizeof line, f); n++) {
        struct arena a;
        struct opened o;
        char *json = strstr(line, "\"tokenizer\":"), *texts = strstr(line, ",\"texts\":["), want[512];
        arena_init(&a, 0);
        const struct json *v = json_parse(&a, str_of(line), NULL);
        CHECK(v && json && texts);
        if (!v || !json || !texts) continue;
        *texts = 0;
        open_json(&o, json + strlen("\"tokenizer\":"));
        for (const struct json *e = json_get(v, "texts")->child; e; e = e->next) {
            size_t k = 0;
            want[0] = 0;
            for (const struct json *id = e->child->next->child; id && k + 16 < sizeof want; id = id->next)
                k += (size_t)snprintf(want + k, sizeof want - k, k ? " %lld" : "%lld", (long long)id->i);
            char text[64];
            snprintf(text, sizeof text, "%.*s", STR_ARG(e->child->s));
            const char *got = ids_of(&o, text, VOCAB_PARSE_SPECIAL);
            if (strcmp(got, want) != 0) printf("# %.*s\n", STR_ARG(json_get(v, "name")->s));
            CHECK_STR(got, want);
        }
        done(&o);
        arena_done(&a);
    }
    CHECK_EQ(n, 31);
    if (f) fclose(f);
}

static void what_is_not_known_is_refused_by_name(void)
{
    static const struct {
        const char *json, *want;
    } bad[] = {
        {"{\"normalizer\":{\"type\":\"Odd\"}," LLAMA_MODEL "}", "Odd"},
        {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a+\"},\"content\":\"\"}," LLAMA_MODEL "}",
         "a+"},
        {"{" LLAMA_MODEL "}", "Metaspace"},
        {"{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"a\",-1]]}}", "Metaspace"},
        {"{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":"
         "{\"Regex\":\"(x)\\\\1\"},\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
         "\"use_regex\":false}]},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}",
         "this escape at byte 4"},
        {"{\"pre_tokenizer\":{\"type\":\"CharDelimiterSplit\"}," LLAMA_MODEL "}",
         "CharDelimiterSplit"},
        {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{}}}", "WordLevel"},
        {"{\"post_processor\":{\"type\":\"Odd\"}," METASPACE LLAMA_MODEL "}", "Odd"},
        {"{\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\",\"vocab\":{},\"merges\":[]}}",
         "end_of_word_suffix"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", "-1"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":99999999},\"merges\":[]}}", "99999999"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[1,2]]}}", "piece 0"},
        {"{}", "model"},
        {"{\"model\":", "byte 9"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct opened o;
        open_json(&o, bad[i].json);
        CHECK(!o.v);
        if (!strstr(o.err.msg, bad[i].want)) {
            printf("# %s\n", o.err.msg);
            CHECK(!"the message names it");
        }
        done(&o);
    }
    struct opened o;
    clear();
    CHECK(open_path(&o, dir, 0) < 0 && strstr(o.err.msg, "tokenizer.json"));
    done(&o);
    put("tokenizer.model", "\x0a\x05no");
    CHECK(open_path(&o, in_dir("tokenizer.model"), 0) < 0 && strstr(o.err.msg, "protobuf"));
    done(&o);
    put("t.tiktoken", "IQ== 0\nIg== 1\n");
    CHECK(open_path(&o, in_dir("t.tiktoken"), 0) < 0 && strstr(o.err.msg, "2 ranks"));
    done(&o);
}

int main(void)
{
    tap_timeout(60);
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.30s/lar-hf-XX" "XX" "XX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) return EXIT_FAILURE;
    RUN(a_prefix_is_put_as_the_file_says);
    RUN(the_prefix_stands_before_what_is_left_of_the_spaces);
    RUN(flags_of_added_tokens_are_the_references);
    RUN(a_folder_tells_special_tokens_and_template);
    RUN(normalizers_and_words_are_the_references);
    RUN(what_is_not_known_is_refused_by_name);
    clear();
    rmdir(dir);
    return tap_done();
}
