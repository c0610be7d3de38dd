/* SPDX-License-Identifier: Apache-2.0
 * tests/test_vocab.c: tokenizers of every kind on small vocabularies whose right answers can be seen.
 * The references' own answers on hard texts are in test_vocab_golden.c. */
#include "vocab_build.h"

#include <pthread.h>

#include "base/rng.h"

/* he=256 ll=257 llo=258 hello=259, then the tokens of the tests. */
static void hello(struct vb *b, const char *pre)
{
    b->model = "gpt2";
    b->pre = pre;
    vb_alphabet(b);
    vb_pair(b, "h", "e");
    vb_pair(b, "l", "l");
    vb_pair(b, "ll", "o");
    vb_pair(b, "he", "llo");
}

static void merges_apply_by_rank_then_from_the_left(void)
{
    struct vb b = {0};
    struct vt t;
    hello(&b, "gpt-2");
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_ids(&t, "hello", 0), "259");
    CHECK_STR(vt_ids(&t, "lllo", 0), "257 108 111"); /* ll from the left, so llo is never reached */
    CHECK_STR(vt_ids(&t, "lllllo", 0), "257 257 108 111");
    CHECK_STR(vt_ids(&t, " hello", 0), "32 259");
    CHECK_STR(vt_ids(&t, "", 0), "");
    CHECK_STR(vt_ids_n(&t, "a\0b", 3, 0), "97 0 98");
    CHECK_STR(vt_ids_n(&t, "h\xff\xc3", 3, 0), "104 255 195"); /* what is no UTF-8 goes byte by byte */
    vt_close(&t);
}

static void long_words_merge_as_short_ones_do(void)
{
    struct vb b = {0};
    struct vt t;
    struct buf s = {0}, want = {0};
    hello(&b, "gpt-2");
    CHECK_EQ(vt_open(&t, &b), 0);
    for (int i = 0; i < 100; i++) {
        buf_puts(&s, i % 3 ? "hello" : "lllohe");
        buf_printf(&want, "%s%s", i ? " " : "", i % 3 ? "259" : "257 108 111 256");
    }
    CHECK_STR(vt_ids(&t, buf_z(&s), 0), buf_z(&want));
    buf_done(&s);
    buf_done(&want);
    vt_close(&t);
}

static void a_word_that_is_a_token_is_whole_only_where_merges_lead_there(void)
{
    struct vb b = {0};
    struct vt t;
    hello(&b, "gpt-2");
    vb_add(&b, "world", TOKEN_NORMAL, 0); /* 260: no merge makes it */
    CHECK_EQ(vt_open(&t, &b), 0);
    for (int twice = 0; twice < 2; twice++) CHECK_STR(vt_ids(&t, "world", 0), "119 111 114 108 100");
    vt_close(&t);
    hello(&b, "llama-bpe"); /* which ignores merges */
    vb_add(&b, "world", TOKEN_NORMAL, 0);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_ids(&t, "world", 0), "260");
    CHECK_STR(vt_ids(&t, "worlds", 0), "119 111 114 108 100 115");
    vt_close(&t);
}

static void the_user_s_own_pieces_take_part_in_merges(void)
{
    struct vb b = {0};
    struct vt t;
    b.model = "gpt2";
    b.pre = "gpt-2";
    vb_alphabet(&b);
    vb_merge(&b, "Ġ Ġ");
    vb_merge(&b, "ĠĠ h");
    vb_merge(&b, "h i");
    vb_add(&b, "  ", TOKEN_USER, 0); /* 256: ĠĠ, as converters write what a user added */
    vb_add(&b, "ĠĠh", TOKEN_NORMAL, 0);
    vb_add(&b, "hi", TOKEN_USER, 0);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_ids(&t, "a  hi", 0), "97 256 258"); /* found before any merge */
    vt_close(&t);
}

static void qwen_normalises_and_gpt2_does_not(void)
{
    struct vb b = {0};
    struct vt t;
    hello(&b, "qwen2");
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_ids(&t, "e\xcc\x81", 0), "195 169");
    CHECK_STR(vt_ids(&t, "\xe2\x84\xab", 0), "195 133"); /* the angstrom sign */
    CHECK_STR(vt_ids_n(&t, "e\xcc\x81\xff" "e\xcc\x81", 7, 0), "195 169 255 195 169");
    vt_close(&t);
    hello(&b, "gpt-2");
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_ids(&t, "e\xcc\x81", 0), "101 204 129");
    vt_close(&t);
}

static void added_tokens_are_found_first_the_longest_first(void)
{
    struct vb b = {0};
    struct vt t;
    hello(&b, "gpt-2");
    vb_add(&b, "<|im_end|>", TOKEN_CONTROL, 0); /* 260 */
    vb_add(&b, "<think>", TOKEN_USER, 0);       /* 261 */
    vb_add(&b, "<think>\n", TOKEN_USER, 0);     /* 262 */
    vb_add(&b, "|im", TOKEN_USER, 0);           /* 263: inside another's name */
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_ids(&t, "hello<|im_end|>", VOCAB_PARSE_SPECIAL), "259 260");
    CHECK_STR(vt_ids(&t, "<think><think>\nhello", VOCAB_PARSE_SPECIAL), "261 262 259");
    CHECK_STR(vt_ids(&t, "<think>\n", 0), "262");
    /* As text it is nobody's name, and not taken apart into added tokens either. */
    CHECK_STR(vt_ids(&t, "<|im_end|>", 0), "60 124 105 109 95 101 110 100 124 62");
    CHECK_STR(vt_ids(&t, "<|im", 0), "60 263");
    vt_close(&t);
}

static void roberta_s_mask_swallows_the_space_before_it(void)
{
    struct vb b = {0};
    struct vt t;
    hello(&b, "roberta-bpe");
    vb_add(&b, "<mask>", TOKEN_CONTROL, 0); /* 260 */
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_ids(&t, "hello \xe2\x80\x83<mask> a", VOCAB_PARSE_SPECIAL), "259 260 32 97");
    CHECK_STR(vt_ids(&t, "<mask> <mask>", VOCAB_PARSE_SPECIAL), "260 260");
    vt_close(&t);
}

static void what_a_tokenizer_adds_is_added_on_request(void)
{
    struct vb b = {0};
    struct vt t;
    hello(&b, "gpt-2");
    vb_add(&b, "<s>", TOKEN_CONTROL, 0);  /* 260 */
    vb_add(&b, "</s>", TOKEN_CONTROL, 0); /* 261 */
    gb_kv_int(&b.g, K "bos_token_id", GGUF_U32, 260);
    gb_kv_int(&b.g, K "eos_token_id", GGUF_U32, 261);
    gb_kv_int(&b.g, K "add_bos_token", GGUF_BOOL, 1);
    gb_kv_int(&b.g, K "add_eos_token", GGUF_BOOL, 1);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_ids(&t, "hello", 0), "259");
    CHECK_STR(vt_ids(&t, "hello", VOCAB_ADD_SPECIAL), "260 259 261");
    CHECK_STR(vt_ids(&t, "", VOCAB_ADD_SPECIAL), "260 261");
    CHECK_EQ(vocab_special(t.v)->bos, 260);
    CHECK_EQ(vocab_special(t.v)->pad, -1);
    vt_close(&t);
}

/* ---- SentencePiece ------------------------------------------------------------------------------------------------ */

/* <unk>=0 <s>=1 </s>=2, bytes 3 to 258, then pieces from 259 on. */
static void sentencepiece(struct vb *b)
{
    static const char *const piece[] = {"▁", "h", "e", "l", "o", "▁h",
                                        "he", "ll", "llo", "▁he", "▁hello", "▁▁"};
    b->model = "llama";
    b->no_merges = 1;
    vb_add(b, "<unk>", TOKEN_UNKNOWN, 0);
    vb_add(b, "<s>", TOKEN_CONTROL, 0);
    vb_add(b, "</s>", TOKEN_CONTROL, 0);
    vb_bytes(b);
    for (int i = 0; i < 12; i++) vb_add(b, piece[i], TOKEN_NORMAL, (float)-i);
}

static void sentencepiece_merges_by_score(void)
{
    struct vb b = {0};
    struct vt t;
    sentencepiece(&b);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_pieces(&t, "hello", 0), "▁hello");
    CHECK_STR(vt_pieces(&t, "hello hello", 0), "▁hello|▁hello");
    CHECK_STR(vt_pieces(&t, " hello", 0), "▁|▁hello");
    CHECK_STR(vt_pieces(&t, "ohe", 0), "▁|o|he");
    CHECK_STR(vt_pieces(&t, "   h", 0), "▁▁|▁|▁h"); /* ▁h before ▁▁, by their scores */
    CHECK_STR(vt_pieces(&t, "▁h", 0), "▁|▁h");       /* the sign itself is a space */
    CHECK_STR(vt_pieces(&t, "é", 0), "▁|<0xC3>|<0xA9>");
    CHECK_STR(vt_pieces(&t, "a\n", 0), "▁|<0x61>|<0x0A>");
    CHECK_STR(vt_ids_n(&t, "\xff", 1, 0), "259 242 194 192"); /* U+FFFD */
    CHECK_STR(vt_ids(&t, "", 0), "");
    CHECK_STR(vt_ids(&t, "h", VOCAB_ADD_SPECIAL), "1 264");
    CHECK_STR(vt_pieces(&t, "h<s>h", VOCAB_PARSE_SPECIAL), "▁h|<s>|▁h");
    CHECK_STR(vt_pieces(&t, "<s>", 0), "▁|<0x3C>|<0x73>|<0x3E>");
    vt_close(&t);
}

static void sentencepiece_without_a_prefix_adds_none(void)
{
    struct vb b = {0};
    struct vt t;
    sentencepiece(&b);
    gb_kv_int(&b.g, K "add_space_prefix", GGUF_BOOL, 0);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_pieces(&t, "hello", 0), "he|llo");
    const int32_t id[] = {269, 269};
    CHECK_STR(vt_text(&t, id, 2, 0), " hello hello");
    vt_close(&t);
}

static void a_prefix_for_the_first_word_only(void)
{
    struct vb b = {0};
    struct vt t;
    sentencepiece(&b);
    vb_add(&b, "<|im_end|>", TOKEN_CONTROL, 0); /* not scored as something that was added afterwards */
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_pieces(&t, "h<s>h", VOCAB_PARSE_SPECIAL), "▁h|<s>|h");
    CHECK_STR(vt_pieces(&t, " h", VOCAB_PARSE_SPECIAL), "▁h");
    CHECK_STR(vt_pieces(&t, "<s>h", VOCAB_PARSE_SPECIAL), "<s>|h");
    vt_close(&t);
    sentencepiece(&b);
    vb_add(&b, "<|im_end|>", TOKEN_CONTROL, -1000);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_pieces(&t, "h<s>h", VOCAB_PARSE_SPECIAL), "▁h|<s>|▁h");
    vt_close(&t);
}

static void the_user_s_own_pieces_never_merge(void)
{
    struct vb b = {0};
    struct vt t;
    sentencepiece(&b);
    vb_add(&b, "ell", TOKEN_USER, 0);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_pieces(&t, "hello", 0), "▁h|ell|o");
    vt_close(&t);
}

static void unused_pieces_are_taken_apart(void)
{
    struct vb b = {0};
    struct vt t;
    b.model = "llama";
    b.no_merges = 1;
    vb_add(&b, "<unk>", TOKEN_UNKNOWN, 0);
    vb_bytes(&b);
    const char *piece[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) vb_add(&b, piece[i], TOKEN_NORMAL, -9);
    vb_add(&b, "ab", TOKEN_UNUSED, -1);
    vb_add(&b, "abc", TOKEN_NORMAL, -2);
    gb_kv_int(&b.g, K "add_space_prefix", GGUF_BOOL, 0);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_pieces(&t, "abcab", 0), "abc|a|b");
    vt_close(&t);
}

static void without_byte_tokens_unknown_runs_are_one(void)
{
    struct vb b = {0};
    struct vt t;
    b.model = "llama";
    b.no_merges = 1;
    vb_add(&b, "<unk>", TOKEN_UNKNOWN, 0);
    vb_add(&b, "▁", TOKEN_NORMAL, -1);
    vb_add(&b, "a", TOKEN_NORMAL, -2);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_ids(&t, "a中文a文", 0), "1 2 0 2 0");
    /* No piece has two spaces and there are no byte tokens: SentencePiece's default, white space collapsed. */
    CHECK_STR(vt_ids(&t, "  a   a  ", 0), "1 2 1 2");
    CHECK_STR(vt_round(&t, "a中", 4, 0), "a ⁇ ");
    vt_close(&t);
    /* Words are remembered within a text (of some length), but not one that an unknown run before it shortened. */
    b.model = "llama";
    b.no_merges = 1;
    vb_add(&b, "<unk>", TOKEN_UNKNOWN, 0);
    vb_add(&b, "a", TOKEN_NORMAL, -1);
    vb_add(&b, "zab", TOKEN_NORMAL, -1); /* so that za is a word, though z alone is unknown */
    gb_kv_int(&b.g, K "add_space_prefix", GGUF_BOOL, 0);
    gb_kv_int(&b.g, K "remove_extra_whitespaces", GGUF_BOOL, 0);
    CHECK_EQ(vt_open(&t, &b), 0);
    struct buf s = {0}, want = {0};
    for (int i = 0; i < 200; i++) {
        buf_puts(&s, "!zaaza");
        buf_printf(&want, "%s0 1 1 0 1", i ? " " : "");
    }
    CHECK_STR(vt_ids(&t, buf_z(&s), 0), buf_z(&want));
    buf_done(&s);
    buf_done(&want);
    vt_close(&t);
}

static void merges_stand_in_for_scores_that_say_nothing(void)
{
    struct vb b = {0};
    struct vt t;
    b.model = "llama";
    vb_add(&b, "<unk>", TOKEN_UNKNOWN, 0);
    vb_bytes(&b);
    const char *piece[] = {"▁", "a", "b", "c", "ab", "bc", "▁a"};
    for (int i = 0; i < 7; i++) vb_add(&b, piece[i], TOKEN_NORMAL, 0);
    vb_merge(&b, "b c");
    vb_merge(&b, "a b");
    vb_merge(&b, "▁ a");
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_pieces(&t, "abc", 0), "▁a|bc");
    vt_close(&t);
}

static void merges_over_spaces(const char *model, const char *pre)
{
    struct vb b = {0};
    struct vt t;
    b.model = model;
    b.pre = pre;
    vb_add(&b, "<unk>", TOKEN_UNKNOWN, 0);
    vb_add(&b, "<bos>", TOKEN_CONTROL, 0);
    vb_bytes(&b);
    const char *piece[] = {"▁", "a", "b", "a▁", "a▁b"};
    for (int i = 0; i < 5; i++) vb_add(&b, piece[i], TOKEN_NORMAL, 0);
    vb_add(&b, "\n\n", TOKEN_USER, 0);
    gb_kv_int(&b.g, K "bos_token_id", GGUF_U32, 1);
    gb_kv_int(&b.g, K "add_bos_token", GGUF_BOOL, 0); /* early files say so and are wrong */
    vb_merge(&b, "a ▁");
    vb_merge(&b, "a▁ b");
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_pieces(&t, "a b a", 0), "a▁b|▁|a");
    CHECK_STR(vt_pieces(&t, "é\n\na", 0), "<0xC3>|<0xA9>|\n\n|a");
    CHECK_STR(vt_ids(&t, "a", VOCAB_ADD_SPECIAL), "1 259");
    CHECK_STR(vt_round(&t, " a b é中", 10, 0), " a b é中");
    vt_close(&t);
}

static void gemma4_merges_over_spaces_and_falls_back_to_bytes(void)
{
    merges_over_spaces("gemma4", NULL);
    merges_over_spaces("gpt2", "gemma4"); /* the same under the other name */
    merges_over_spaces("gpt2", "granite-embed-multi-311m");
}

/* ---- Unigram ---------------------------------------------------------------------------------------------------------- */

static void unigram(struct vb *b)
{
    b->model = "t5";
    b->no_merges = 1;
    vb_add(b, "<pad>", TOKEN_CONTROL, 0);
    vb_add(b, "</s>", TOKEN_CONTROL, 0);
    vb_add(b, "<unk>", TOKEN_UNKNOWN, 0);
    vb_add(b, "▁", TOKEN_NORMAL, -2);
    vb_add(b, "a", TOKEN_NORMAL, -3);
    vb_add(b, "b", TOKEN_NORMAL, -3);
    vb_add(b, "ab", TOKEN_NORMAL, -4);
    vb_add(b, "▁ab", TOKEN_NORMAL, -5);
    vb_add(b, "ba", TOKEN_NORMAL, -4.5f);
    vb_add(b, "<x>", TOKEN_USER, 0);
}

static void unigram_takes_the_best_sum(void)
{
    struct vb b = {0};
    struct vt t;
    unigram(&b);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_pieces(&t, "ab", 0), "▁ab");
    CHECK_STR(vt_pieces(&t, "aba", 0), "▁ab|a"); /* -8; ▁ a ba is -9.5 */
    CHECK_STR(vt_pieces(&t, "  ab  aba ", 0), "▁ab|▁ab|a");
    CHECK_STR(vt_pieces(&t, "zz<x>z", 0), "▁|<unk>|<x>|<unk>");
    CHECK_STR(vt_ids(&t, "ab", VOCAB_ADD_SPECIAL), "7 1");
    CHECK_STR(vt_pieces(&t, "ab</s>ab", VOCAB_PARSE_SPECIAL), "▁ab|</s>|▁ab");
    CHECK_STR(vt_ids(&t, "   ", 0), "");
    vt_close(&t);
}

/* ---- WordPiece -------------------------------------------------------------------------------------------------------- */

static void wordpiece(struct vb *b)
{
    static const char *const piece[] = {"▁the", "▁wa", "nt", "ed", "▁,", "▁中",
                                        "▁e", "s", "▁.", "▁'", "▁s"};
    b->model = "bert";
    b->no_merges = b->no_scores = 1;
    vb_add(b, "[PAD]", TOKEN_CONTROL, 0);
    vb_add(b, "[UNK]", TOKEN_CONTROL, 0);
    vb_add(b, "[CLS]", TOKEN_CONTROL, 0);
    vb_add(b, "[SEP]", TOKEN_CONTROL, 0);
    gb_kv_int(&b->g, K "unknown_token_id", GGUF_U32, 1);
    gb_kv_int(&b->g, K "cls_token_id", GGUF_U32, 2);
    gb_kv_int(&b->g, K "seperator_token_id", GGUF_U32, 3);
    for (int i = 0; i < 11; i++) vb_add(b, piece[i], TOKEN_NORMAL, 0);
}

static void wordpiece_cleans_cuts_and_covers(void)
{
    struct vb b = {0};
    struct vt t;
    char a[102] = {0};
    wordpiece(&b);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_pieces(&t, "The WANTED,the", 0), "▁the|▁wa|nt|ed|▁,|▁the");
    CHECK_STR(vt_pieces(&t, "É e\xcc\x81", 0), "▁e|▁e");
    CHECK_STR(vt_pieces(&t, "the中the文", 0), "▁the|▁中|▁the|[UNK]");
    CHECK_STR(vt_pieces(&t, "th\xe2\x80\x8d" "e\x01", 0), "▁the"); /* control characters go */
    CHECK_STR(vt_pieces(&t, "wantx", 0), "[UNK]");
    CHECK_STR(vt_ids(&t, "the", VOCAB_ADD_SPECIAL), "2 4 3");
    CHECK_STR(vt_ids(&t, "[CLS] the", VOCAB_PARSE_SPECIAL), "2 4");
    memset(a, 's', 101);
    CHECK_STR(vt_pieces(&t, a, 0), "[UNK]"); /* more than a hundred characters */
    a[100] = 0;
    CHECK(strcmp(vt_pieces(&t, a, 0), "[UNK]"));
    vt_close(&t);
}

static void wordpiece_decodes_without_spaces_before_marks(void)
{
    struct vb b = {0};
    struct vt t;
    wordpiece(&b);
    CHECK_EQ(vt_open(&t, &b), 0);
    const int32_t id[] = {2, 4, 5, 6, 7, 12, 3};
    CHECK_STR(vt_text(&t, id, 7, 1), "[CLS] the wanted. [SEP]");
    CHECK_STR(vt_text(&t, id, 7, 0), "the wanted.");
    const int32_t continues[] = {11, 13, 14};
    CHECK_STR(vt_text(&t, continues, 3, 0), "##s ' s");
    vt_close(&t);
}

/* ---- RWKV ------------------------------------------------------------------------------------------------------------- */

static void rwkv_takes_the_longest_piece(void)
{
    static const char *const piece[] = {"a", "b", "ab", "abc\\xe4", "\\n", "\\n\\n",
                                        "\\\\", "\\'", "\\xe4", "\\xb8\\xad"};
    struct vb b = {0};
    struct vt t;
    b.model = "rwkv";
    b.no_merges = b.no_scores = 1;
    vb_add(&b, "<s>", TOKEN_CONTROL, 0);
    for (int i = 0; i < 10; i++) vb_add(&b, piece[i], TOKEN_NORMAL, 0);
    vb_add(&b, "[PAD11]", TOKEN_UNUSED, 0);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_ids(&t, "abba\n\n\n", 0), "3 2 1 6 5");
    CHECK_STR(vt_ids(&t, "\\'中", 0), "7 8 9 10");
    CHECK_STR(vt_round(&t, "ab\\'中\n", 8, 0), "ab\\'中\n");
    CHECK(str_is(vocab_bytes(t.v, 6), "\n\n") && vocab_find(t.v, STR("\\n\\n")) == 6);
    vt_close(&t);
}

/* ---- decoding ------------------------------------------------------------------------------------------------------------- */

static void decoding_never_gives_half_a_character(void)
{
    struct vb b = {0};
    struct vt t;
    hello(&b, "gpt-2");
    vb_add(&b, "<|im_end|>", TOKEN_CONTROL, 0); /* 260 */
    vb_add(&b, "<t>", TOKEN_USER, 0);           /* 261 */
    CHECK_EQ(vt_open(&t, &b), 0);
    const int32_t smile[] = {0xf0, 0x9f, 0x98, 0x80, 259};
    CHECK_STR(vt_text(&t, smile, 5, 0), "😀hello");
    const int32_t cut[] = {0xf0, 0x9f, 259, 0xe2, 0x82};
    CHECK_STR(vt_text(&t, cut, 5, 0), "\xef\xbf\xbdhello\xef\xbf\xbd"); /* once for each beginning */
    const int32_t bad[] = {0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80, 97};
    CHECK_STR(vt_text(&t, bad, 7, 0),
              "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" "a");
    const int32_t control[] = {0xc3, 260, 0xa9, 261};
    CHECK_STR(vt_text(&t, control, 4, 0), "é<t>");
    CHECK_STR(vt_text(&t, control, 4, 1), "\xef\xbf\xbd<|im_end|>\xef\xbf\xbd<t>");
    const int32_t none[] = {-1, 99999, 97};
    CHECK_STR(vt_text(&t, none, 3, 1), "a");
    vt_close(&t);
}

#define BAD "\xef\xbf\xbd"

/* As its decoder does: one for each byte that belongs to no character, and none for those that do. */
static void sentencepiece_s_bytes_are_replaced_one_by_one(void)
{
    struct vb b = {.model = "llama"};
    struct vt t;
    vb_bytes(&b); /* a byte's id is the byte */
    vb_add(&b, "a", TOKEN_NORMAL, 0);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_text(&t, (int32_t[]){0xe2, 0x82, 0xac}, 3, 0), "\xe2\x82\xac");
    CHECK_STR(vt_text(&t, (int32_t[]){0xe2, 0x82}, 2, 0), BAD BAD);
    CHECK_STR(vt_text(&t, (int32_t[]){0xf0, 0x9f, 0x98, 256}, 4, 0), BAD BAD BAD "a");
    CHECK_STR(vt_text(&t, (int32_t[]){0xe2, 0xe2, 0x82, 0xac}, 4, 0), BAD "\xe2\x82\xac");
    CHECK_STR(vt_text(&t, (int32_t[]){0xf0, 0x9f, 'b', 0xc3, 0xa9}, 5, 0), BAD BAD "b\xc3\xa9");
    CHECK_STR(vt_text(&t, (int32_t[]){0xff, 0x80, 'c'}, 3, 0), BAD BAD "c");
    CHECK_STR(vt_text(&t, (int32_t[]){0xf0, 0x9f, 0xff, 256}, 4, 0), BAD BAD BAD "a");
    vt_close(&t);
}

static void sentencepiece_s_first_space_is_taken_back(void)
{
    struct vb b = {0};
    struct vt t;
    sentencepiece(&b);
    CHECK_EQ(vt_open(&t, &b), 0);
    const int32_t id[] = {1, 269, 269, 3 + 0xe4, 3 + 0xb8, 3 + 0xad, 2};
    CHECK_STR(vt_text(&t, id, 7, 0), "hello hello中");
    const int32_t broken[] = {269, 3 + 0xe4, 3 + 0xb8, 262};
    CHECK_STR(vt_text(&t, broken, 4, 0), "hello\xef\xbf\xbd\xef\xbf\xbdl"); /* once for each byte */
    CHECK_STR(vt_round(&t, "  é 中\n hello", 15, 0), "  é 中\n hello");
    vt_close(&t);
}

static void random_unicode_goes_round(void)
{
    static const char *const pre[] = {"gpt-2", "llama-bpe", "smollm", "gpt-4o",
                                      "deepseek-v3", "falcon", "tekken"};
    struct rng r;
    rng_seed(&r, 7);
    for (int p = 0; p < 7; p++) {
        struct vb b = {0};
        struct vt t;
        hello(&b, pre[p]);
        CHECK_EQ(vt_open(&t, &b), 0);
        for (int i = 0; i < 200 && !tap_case_bad; i++) {
            struct buf s = {0};
            for (uint64_t n = rng_u64(&r) % 60; n > 0; n--) {
                char c[4];
                uint32_t range = rng_u64(&r) % 3 ? 0x250 : 0x110000;
                uint32_t cp = (uint32_t)(rng_u64(&r) % range);
                buf_add(&s, c, utf8_encode(cp ? cp : 1, c));
            }
            CHECK_STR(vt_round(&t, buf_z(&s), s.n, 0), buf_z(&s));
            buf_done(&s);
        }
        vt_close(&t);
    }
}

/* ---- asking ------------------------------------------------------------------------------------------------------------------ */

static void tokens_answer_for_themselves(void)
{
    struct vb b = {0};
    struct vt t;
    hello(&b, "gpt-2");
    vb_add(&b, "Ġhello", TOKEN_NORMAL, 0);      /* 260 */
    vb_add(&b, "<|im_end|>", TOKEN_CONTROL, 0); /* 261 */
    vb_add(&b, "", TOKEN_UNUSED, 0);            /* 262 */
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_EQ(vocab_size(t.v), 263);
    CHECK(str_is(vocab_piece(t.v, 260), "Ġhello"));
    CHECK(str_is(vocab_bytes(t.v, 260), " hello"));
    CHECK(str_is(vocab_bytes(t.v, 261), "<|im_end|>"));
    CHECK_EQ(vocab_bytes(t.v, 262).n, 0);
    CHECK_EQ(vocab_type(t.v, 261), TOKEN_CONTROL);
    CHECK_EQ(vocab_type(t.v, 263), 0);
    CHECK_EQ(vocab_type(t.v, -1), 0);
    CHECK(!vocab_piece(t.v, 263).p && !vocab_piece(t.v, -1).p);
    CHECK_EQ(vocab_find(t.v, STR("Ġhello")), 260);
    CHECK_EQ(vocab_find(t.v, STR(" hello")), -1); /* pieces are written as in the file */
    CHECK_EQ(vocab_find(t.v, STR("<|im_end|>")), 261);
    CHECK_EQ(vocab_find(t.v, STR("")), -1);
    for (int32_t i = 0; i < 262; i++) CHECK_EQ(vocab_find(t.v, vocab_piece(t.v, i)), i);
    vt_close(&t);
}

static void the_ends_of_an_answer_are_known(void)
{
    struct vb b = {0};
    struct vt t;
    hello(&b, "gpt-2");
    const char *end[] = {"<|im_end|>", "<|eot_id|>", "<|end|>",
                         "<end_of_turn>", "<|fim_pad|>", "<|endoftext|>"};
    for (int i = 0; i < 6; i++) vb_add(&b, end[i], TOKEN_CONTROL, 0); /* 260 to 265 */
    vb_add(&b, "<|im_start|>", TOKEN_CONTROL, 0);
    vb_add(&b, "</s>", TOKEN_NORMAL, 0);
    gb_kv_int(&b.g, K "eos_token_id", GGUF_U32, 259);
    CHECK_EQ(vt_open(&t, &b), 0);
    for (int32_t i = 259; i < 266; i++) CHECK(vocab_is_end(t.v, i));
    CHECK(!vocab_is_end(t.v, 266) && vocab_is_end(t.v, 267) && !vocab_is_end(t.v, 5) && !vocab_is_end(t.v, -1));
    CHECK_EQ(vocab_special(t.v)->eot, 261);
    CHECK_EQ(vocab_special(t.v)->fim_pad, 264);
    vt_close(&t);
    static const char *const repo[] = {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"};
    for (int i = 0; i < 5; i++) { /* a file's name never stands in an answer */
        hello(&b, "gpt-2");
        vb_add(&b, repo[i], TOKEN_CONTROL, 0);
        vb_add(&b, "<|file_sep|>", TOKEN_CONTROL, 0);
        vb_add(&b, "<|fim_prefix|>", TOKEN_CONTROL, 0);
        CHECK_EQ(vt_open(&t, &b), 0);
        CHECK_EQ(vocab_special(t.v)->fim_rep, 260);
        CHECK_EQ(vocab_special(t.v)->fim_sep, 261);
        CHECK(vocab_is_end(t.v, 260) && vocab_is_end(t.v, 261) && !vocab_is_end(t.v, 262));
        vt_close(&t);
    }
    hello(&b, "gpt-4o"); /* Harmony: <|end|> ends a message, <|return|> and <|call|> an answer */
    vb_add(&b, "<|end|>", TOKEN_CONTROL, 0);
    vb_add(&b, "<|return|>", TOKEN_CONTROL, 0);
    vb_add(&b, "<|call|>", TOKEN_CONTROL, 0);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK(!vocab_is_end(t.v, 260) && vocab_is_end(t.v, 261) && vocab_is_end(t.v, 262));
    vt_close(&t);
}

/* Names that llama.cpp takes for control tokens whatever their type is. */
static void a_turn_s_end_of_a_wrong_type_is_an_end_and_a_token(void)
{
    static const char *const name[] = {"<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>",
                                       "<|endoftext|>", "</s>", "<|return|>", "<|eom_id|>",
                                       "<EOT>", "[EOS]", "<turn|>", "[e~["};
    enum { N = sizeof name / sizeof *name };
    struct vb b = {0};
    struct vt t;
    char text[64], want[64];
    hello(&b, "gpt-2");
    for (int i = 0; i < N; i++) vb_add(&b, name[i], TOKEN_NORMAL, 0); /* from 260 on */
    vb_add(&b, "<|fim_middle|>", TOKEN_NORMAL, 0);
    vb_add(&b, "<|im_start|>", TOKEN_NORMAL, 0); /* not among them */
    vb_add(&b, "<eos>", TOKEN_USER, 0);
    CHECK_EQ(vt_open(&t, &b), 0);
    for (int32_t i = 0; i < N; i++) {
        snprintf(text, sizeof text, "a%sb", name[i]);
        snprintf(want, sizeof want, "97 %d 98", 260 + i);
        CHECK_STR(vt_ids(&t, text, VOCAB_PARSE_SPECIAL), want);
        CHECK(strchr(vt_ids(&t, text, 0), ' ') && strcmp(vt_ids(&t, text, 0), want)); /* somebody's text stays text */
        CHECK_EQ(vocab_type(t.v, 260 + i), TOKEN_CONTROL);
        CHECK(vocab_is_end(t.v, 260 + i));
    }
    CHECK_EQ(vocab_type(t.v, 260 + N), TOKEN_CONTROL);
    CHECK_EQ(vocab_special(t.v)->fim_mid, 260 + N);
    CHECK(!vocab_is_end(t.v, 260 + N));
    CHECK_EQ(vocab_type(t.v, 261 + N), TOKEN_NORMAL);
    CHECK(vocab_type(t.v, 262 + N) == TOKEN_USER && vocab_is_end(t.v, 262 + N));
    vt_close(&t);
    hello(&b, "gpt-2"); /* Gemma 4: </s> is HTML; a key names the middle, so that the name says nothing */
    vb_add(&b, "</s>", TOKEN_NORMAL, 0);
    vb_add(&b, "<|tool_response>", TOKEN_NORMAL, 0);
    vb_add(&b, "<|fim_middle|>", TOKEN_NORMAL, 0);
    gb_kv_int(&b.g, K "fim_mid_token_id", GGUF_U32, 259);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK(!vocab_is_end(t.v, 260) && vocab_type(t.v, 260) == TOKEN_NORMAL);
    CHECK(vocab_is_end(t.v, 261) && vocab_type(t.v, 262) == TOKEN_NORMAL);
    vt_close(&t);
}

static void files_without_keys_mean_what_was_usual(void)
{
    struct vb b = {0};
    struct vt t;
    sentencepiece(&b);
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_EQ(vocab_special(t.v)->bos, 1);
    CHECK_EQ(vocab_special(t.v)->eos, 2);
    CHECK_EQ(vocab_special(t.v)->unk, 0);
    CHECK(vocab_special(t.v)->add_bos && !vocab_special(t.v)->add_eos);
    vt_close(&t);
    hello(&b, NULL); /* no splitter named */
    gb_kv_text(&b.g, "general.architecture", "gptneox");
    CHECK_EQ(vt_open(&t, &b), 0);
    CHECK_STR(vt_ids(&t, "e\xcc\x81", 0), "195 169"); /* GPT-NeoX normalises */
    CHECK_EQ(vocab_special(t.v)->bos, -1);
    vt_close(&t);
}

static void *encode_many(void *arg)
{
    struct vt *t = arg;
    struct lar_err err;
    for (int i = 0; i < 200; i++) {
        struct ids ids = {0};
        int rc = vocab_encode(t->v, STR("hello lllo hello he hello, llo world"), 0, &ids, &err);
        if (rc < 0 || ids.n != 20) arg = NULL;
        ids_done(&ids);
    }
    return arg;
}

static void threads_share_a_vocabulary(void)
{
    struct vb b = {0};
    struct vt t;
    pthread_t thread[4];
    hello(&b, "gpt-2");
    CHECK_EQ(vt_open(&t, &b), 0);
    for (int i = 0; i < 4; i++) CHECK_EQ(pthread_create(&thread[i], NULL, encode_many, &t), 0);
    for (int i = 0; i < 4; i++) {
        void *all_right = NULL;
        CHECK_EQ(pthread_join(thread[i], &all_right), 0);
        CHECK(all_right);
    }
    vt_close(&t);
}

int main(void)
{
    tap_timeout(120);
    RUN(merges_apply_by_rank_then_from_the_left);
    RUN(long_words_merge_as_short_ones_do);
    RUN(a_word_that_is_a_token_is_whole_only_where_merges_lead_there);
    RUN(the_user_s_own_pieces_take_part_in_merges);
    RUN(qwen_normalises_and_gpt2_does_not);
    RUN(added_tokens_are_found_first_the_longest_first);
    RUN(roberta_s_mask_swallows_the_space_before_it);
    RUN(what_a_tokenizer_adds_is_added_on_request);
    RUN(sentencepiece_merges_by_score);
    RUN(sentencepiece_without_a_prefix_adds_none);
    RUN(a_prefix_for_the_first_word_only);
    RUN(the_user_s_own_pieces_never_merge);
    RUN(unused_pieces_are_taken_apart);
    RUN(without_byte_tokens_unknown_runs_are_one);
    RUN(merges_stand_in_for_scores_that_say_nothing);
    RUN(gemma4_merges_over_spaces_and_falls_back_to_bytes);
    RUN(unigram_takes_the_best_sum);
    RUN(wordpiece_cleans_cuts_and_covers);
    RUN(wordpiece_decodes_without_spaces_before_marks);
    RUN(rwkv_takes_the_longest_piece);
    RUN(decoding_never_gives_half_a_character);
    RUN(sentencepiece_s_bytes_are_replaced_one_by_one);
    RUN(sentencepiece_s_first_space_is_taken_back);
    RUN(random_unicode_goes_round);
    RUN(tokens_answer_for_themselves);
    RUN(the_ends_of_an_answer_are_known);
    RUN(a_turn_s_end_of_a_wrong_type_is_an_end_and_a_token);
    RUN(files_without_keys_mean_what_was_usual);
    RUN(threads_share_a_vocabulary);
    return tap_done();
}
