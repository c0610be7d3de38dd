/* SPDX-License-Identifier: Apache-2.0
 * tests/test_answer.c: thinking and stop strings are found however the text is cut into pieces. */
#include "run/answer.h"

#include "base/mem.h"
#include "tap.h"

struct seen {
    char text[2][400];
    int refuse;
};

static int on_text(void *ctx, enum answer_kind kind, const char *text, size_t n)
{
    struct seen *s = ctx;
    strncat(s->text[kind], text, n);
    return s->refuse;
}

/* Feeds text in pieces of `piece` bytes. */
static void feed(struct answer *a, struct seen *s, const char *prompt, const char *text,
                 size_t piece)
{
    size_t n = strlen(text);
    *s = (struct seen){.refuse = 0};
    a->on_text = on_text;
    a->ctx = s;
    answer_begin(a, str_of(prompt));
    for (size_t i = 0; i < n; i += piece)
        answer_add(a, (struct str){text + i, n - i < piece ? n - i : piece});
    answer_end(a);
}

static struct answer_marks think(void)
{
    return answer_marks_of(STR("{% if x %}<think>{% endif %}</think>"));
}

static void thinking_is_told_from_the_answer_in_any_pieces(void)
{
    for (size_t piece = 1; piece < 12; piece++) {
        struct answer a = {.marks = think()};
        struct seen s;
        feed(&a, &s, "user", "\n<think>\nhm <b> hm\n</think>\n\nYes < no", piece);
        CHECK_STR(s.text[ANSWER_THINKING], "hm <b> hm\n");
        CHECK_STR(s.text[ANSWER_TEXT], "Yes < no");
        CHECK_STR(buf_z(&a.text[ANSWER_THINKING]), "hm <b> hm\n");
        answer_done(&a);
    }
}

static void a_prompt_may_open_the_thinking(void)
{
    struct answer a = {.marks = think()};
    struct seen s;
    feed(&a, &s, "<|im_start|>assistant\n<think>\n", "so</think>done", 3);
    CHECK_STR(s.text[ANSWER_THINKING], "so");
    CHECK_STR(s.text[ANSWER_TEXT], "done");
    answer_done(&a);
}

static void thinking_opens_only_at_the_start(void)
{
    struct answer a = {.marks = think()};
    struct seen s;
    feed(&a, &s, "x", "The tag <think> is text</think>.", 4);
    CHECK_STR(s.text[ANSWER_THINKING], "");
    CHECK_STR(s.text[ANSWER_TEXT], "The tag <think> is text</think>.");
    answer_done(&a);
}

static void a_stop_string_ends_and_is_not_given(void)
{
    static const char *const stop[] = {"END", "EN", "zz"};
    for (size_t piece = 1; piece < 9; piece++) {
        struct answer a = {.stop = stop, .nstop = 3};
        struct seen s;
        feed(&a, &s, "", "one E two END three", piece);
        CHECK_STR(s.text[ANSWER_TEXT], "one E two ");
        CHECK_EQ(a.stopped, 1);
        answer_done(&a);
    }
}

static void what_only_began_like_a_stop_string_is_given_at_the_end(void)
{
    static const char *const stop[] = {"###"};
    struct answer a = {.stop = stop, .nstop = 1};
    struct seen s;
    feed(&a, &s, "", "a ##", 1);
    CHECK_STR(s.text[ANSWER_TEXT], "a ##");
    CHECK_EQ(a.stopped, 0);
    answer_done(&a);
}

static void nothing_is_held_back_without_need(void)
{
    static const char *const stop[] = {"\n\n"};
    struct answer a = {.stop = stop, .nstop = 1, .on_text = on_text};
    struct seen s = {.refuse = 0};
    a.ctx = &s;
    answer_begin(&a, STR(""));
    answer_add(&a, STR("hello"));
    CHECK_STR(s.text[ANSWER_TEXT], "hello");
    answer_add(&a, STR("\n"));
    CHECK_STR(s.text[ANSWER_TEXT], "hello");
    answer_add(&a, STR("x"));
    CHECK_STR(s.text[ANSWER_TEXT], "hello\nx");
    answer_done(&a);
}

static void a_refusing_listener_is_not_called_again(void)
{
    struct answer a = {.on_text = on_text};
    struct seen s = {.refuse = 1};
    a.ctx = &s;
    answer_begin(&a, STR(""));
    answer_add(&a, STR("one"));
    answer_add(&a, STR("two"));
    CHECK_STR(s.text[ANSWER_TEXT], "one");
    CHECK_EQ(a.refused, 1);
    CHECK_STR(buf_z(&a.text[ANSWER_TEXT]), "onetwo");
    answer_done(&a);
}

int main(void)
{
    RUN(thinking_is_told_from_the_answer_in_any_pieces);
    RUN(a_prompt_may_open_the_thinking);
    RUN(thinking_opens_only_at_the_start);
    RUN(a_stop_string_ends_and_is_not_given);
    RUN(what_only_began_like_a_stop_string_is_given_at_the_end);
    RUN(nothing_is_held_back_without_need);
    RUN(a_refusing_listener_is_not_called_again);
    CHECK_EQ(mem_live(), 0);
    return tap_done();
}
