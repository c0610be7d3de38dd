/* SPDX-License-Identifier: Apache-2.0
 * cli/calling.c: see tools.h. */
#include "cli/calling.h"

#include <stddef.h>

#include "base/err.h"
#include "base/json.h"
#include "cli/in.h"
#include "cli/out.h"

static void on_call(void *ctx, enum lar_call_event e, size_t index, const char *text, size_t n)
{
    struct calling *k = ctx;
    (void)index;
    switch (e) {
    case LAR_CALL_BEGIN:
        k->from = k->calls.n; /* one that breaks is taken back */
        buf_puts(&k->calls, k->ncall ? ",{\"name\":" : "{\"name\":");
        buf_json_str(&k->calls, (struct str){text, n});
        buf_puts(&k->calls, ",\"arguments\":");
        return;
    case LAR_CALL_ARGS: buf_add(&k->calls, text, n); return;
    case LAR_CALL_END:
        buf_putc(&k->calls, '}');
        k->ncall++;
        return;
    case LAR_CALL_BROKEN: k->calls.n = k->from; break;
    case LAR_CALL_TEXT:
    case LAR_CALL_THINKING: break;
    }
    enum lar_text_kind kind = e == LAR_CALL_THINKING ? LAR_TEXT_THINKING : LAR_TEXT_ANSWER;
    if (kind == LAR_TEXT_ANSWER) buf_add(&k->text, text, n);
    if (k->stream) k->full |= stream_text(k->stream, kind, text, n);
}

int calling_open(struct calling *k, const struct calling_given *g, struct lar_model *m, struct lar_err *err)
{
    struct lar_tools_options o = {.single = g->single};
    const char *c = g->choice;
    if (c && strcmp(c, "auto") != 0) {
        o.choice = !strcmp(c, "required") ? LAR_TOOLS_REQUIRED : !strcmp(c, "none") ? LAR_TOOLS_NONE : LAR_TOOLS_NAMED;
        o.name = c;
    }
    int e = in_all(g->file, &k->list, err);
    if (e == 0) e = lar_tools_open(&k->t, m, buf_z(&k->list), k->list.n, &o, err);
    if (e == 0 && *lar_tools_note(k->t)) say("note: calls are not held to the schemas: %s", lar_tools_note(k->t));
    return e == 0 ? lar_calls_open(&k->reader, k->t, on_call, k, err) : e;
}

void calling_close(struct calling *k)
{
    lar_calls_close(k->reader);
    lar_tools_close(k->t);
    buf_done(&k->list);
    buf_done(&k->text);
    buf_done(&k->calls);
}

int calling_chat(const struct calling *k, const struct talk *talk, struct buf *b, struct lar_err *err)
{
    struct str words = str_of(lar_tools_prompt(k->t));
    size_t i = 0;
    buf_puts(b, "{\"messages\":[");
    if (words.n) {
        struct buf text = {0};
        buf_str(&text, words);
        if (talk->n && !strcmp(talk->msg[0].role, "system")) buf_printf(&text, "\n\n%s", talk->msg[i++].content);
        buf_puts(b, "{\"role\":\"system\",\"content\":");
        buf_json_str(b, buf_view(&text));
        buf_puts(b, "},");
        b->failed |= text.failed;
        buf_done(&text);
    }
    for (; i < talk->n; i++) {
        buf_puts(b, "{\"role\":");
        buf_json_str(b, str_of(talk->msg[i].role));
        buf_puts(b, ",\"content\":");
        buf_json_str(b, str_of(talk->msg[i].content));
        buf_puts(b, "},");
    }
    if (b->n && b->p[b->n - 1] == ',') b->n--;
    buf_puts(b, "],\"tools\":");
    buf_str(b, buf_view(&k->list));
    buf_puts(b, "}");
    return b->failed ? lar_fail(err, LAR_ENOMEM, "out of memory for the conversation") : 0;
}

int calling_text(void *tools, enum lar_text_kind kind, const char *text, size_t n)
{
    struct calling *k = tools;
    if (kind == LAR_TEXT_ANSWER)
        lar_calls_add(k->reader, text, n);
    else if (k->stream)
        k->full |= stream_text(k->stream, kind, text, n);
    return k->full;
}

void calling_end(struct calling *k)
{
    lar_calls_end(k->reader);
    if (*lar_calls_warning(k->reader)) say("warning: %s", lar_calls_warning(k->reader));
}

void calling_print(const struct calling *k)
{
    struct arena a;
    struct buf all = {0};
    arena_init(&a, 0);
    buf_putc(&all, '[');
    buf_str(&all, buf_view(&k->calls));
    buf_putc(&all, ']');
    const struct json *v = all.failed ? NULL : json_parse(&a, buf_view(&all), NULL);
    for (const struct json *c = v ? v->child : NULL; c; c = c->next) {
        json_write(out(), c);
        buf_putc(out(), '\n');
    }
    arena_done(&a);
    buf_done(&all);
    out_flush();
}

#define AT(field) offsetof(struct calling_given, field)
/* clang-format off */
const struct opt calling_options[] = {
    {.kind = OPT_TEXT, .name = "tools", .at = AT(file), .arg = "FILE",
     .help = "Functions that the model may call: a JSON list of {\"type\": \"function\", \"function\": {\"name\", "
             "\"description\", \"parameters\"}}. Calls come after the text, each as a line of JSON with name and "
             "arguments, which follow the schema in parameters; with --json in tool_calls."},
    {.kind = OPT_TEXT, .name = "tool-choice", .at = AT(choice), .arg = "WORD",
     .help = "auto, the default: the model decides; required: it must call; none: it must not; else the name of the "
             "one it must call."},
    {.kind = OPT_FLAG, .name = "one-call", .at = AT(single), .value = 1, .help = "At most one call in an answer."},
    {.kind = OPT_END},
};
/* clang-format on */
