/* SPDX-License-Identifier: Apache-2.0
 *
 * text/calls_form.c: the table of forms. They are what the families' own chat templates write for calls; where a template does not
 * write them (Granite 3, Functionary's and FireFunction's instructions) what it tells the model to write, and where it does not tell either
 * (LFM2) what the model's documentation shows.
 *
 * The first whose signs all stand in the template is taken, so special forms come before those they resemble.
 */
#include "text/calls.h"

#define BAR   "\xef\xbd\x9c" /* U+FF5C, a wide bar: of DeepSeek's tokens */
#define LOW   "\xe2\x96\x81" /* U+2581, its space */
#define DS(x) "<" BAR x BAR ">"

/* clang-format off */
static const struct call_form forms[] = {
    {.name = "harmony", .sign = {"<|channel|>", "<|message|>", "functions."}, .body = CALL_HARMONY,
     .mark = "<|channel|>", .begin = "commentary to=functions.", .behind = "<|message|>", .end = "<|call|>"},
    {.name = "deepseek-v3.2", .sign = {BAR "DSML" BAR, "function_calls"}, .body = CALL_TAGS, .section = 1,
     .mark = "<" BAR "DSML" BAR "function_calls>", .open = "\n", .begin = "<" BAR "DSML" BAR "invoke name=\"",
     .behind = "\">\n",
     .end = "</" BAR "DSML" BAR "invoke>\n", .sep = "", .close = "</" BAR "DSML" BAR "function_calls>",
     .pair = "<" BAR "DSML" BAR "parameter name=\"", .mid = "\" string=\"",
     .done = "</" BAR "DSML" BAR "parameter>\n"},
    {.name = "deepseek-v4", .sign = {BAR "DSML" BAR}, .body = CALL_TAGS, .section = 1,
     .mark = "<" BAR "DSML" BAR "tool_calls>", .open = "\n", .begin = "<" BAR "DSML" BAR "invoke name=\"",
     .behind = "\">\n",
     .end = "</" BAR "DSML" BAR "invoke>\n", .sep = "", .close = "</" BAR "DSML" BAR "tool_calls>",
     .pair = "<" BAR "DSML" BAR "parameter name=\"", .mid = "\" string=\"",
     .done = "</" BAR "DSML" BAR "parameter>\n"},
    {.name = "deepseek-r1", .sign = {DS("tool" LOW "calls" LOW "begin"), "```json"}, .body = CALL_NAMED, .section = 1,
     .mark = DS("tool" LOW "calls" LOW "begin"), .open = "",
     .begin = DS("tool" LOW "call" LOW "begin") "function" DS("tool" LOW "sep"),
     .behind = "\n```json\n", .end = "\n```" DS("tool" LOW "call" LOW "end"), .sep = "\n",
     .close = DS("tool" LOW "calls" LOW "end")},
    {.name = "deepseek-v3.1", .sign = {DS("tool" LOW "calls" LOW "begin")}, .body = CALL_NAMED, .section = 1,
     .mark = DS("tool" LOW "calls" LOW "begin"), .open = "", .begin = DS("tool" LOW "call" LOW "begin"),
     .behind = DS("tool" LOW "sep"),
     .end = DS("tool" LOW "call" LOW "end"), .sep = "", .close = DS("tool" LOW "calls" LOW "end")},
    {.name = "kimi", .sign = {"<|tool_calls_section_begin|>"}, .body = CALL_NAMED, .section = 1,
     .mark = "<|tool_calls_section_begin|>", .open = "", .begin = "<|tool_call_begin|>functions.",
     .behind = ":#<|tool_call_argument_begin|>", .end = "<|tool_call_end|>", .sep = "",
     .close = "<|tool_calls_section_end|>"},
    {.name = "gemma4", .sign = {"<|tool_call>", "<tool_call|>"}, .body = CALL_BRACES,
     .mark = "<|tool_call>", .begin = "call:", .end = "<tool_call|>", .sep = "", .pair = "<|\"|>"},
    {.name = "functiongemma", .sign = {"<start_function_call>"}, .body = CALL_BRACES,
     .mark = "<start_function_call>", .begin = "call:", .end = "<end_function_call>", .sep = "", .pair = "<escape>"},
    {.name = "command-r7b", .sign = {"<|START_ACTION|>"}, .body = CALL_OBJECT, .section = 1,
     .mark = "<|START_ACTION|>", .open = "[\n", .begin = "    ", .end = "", .sep = ",\n",
     .close = "\n]<|END_ACTION|>",
     .key = "tool_name", .args = "parameters", .extra = "\"tool_call_id\": \"#\", "},
    {.name = "command-r", .sign = {"Action:", "tool_name", "```json"}, .body = CALL_OBJECT, .section = 1,
     .mark = "Action:", .open = " ```json\n[\n", .begin = "    ", .end = "", .sep = ",\n", .close = "\n]```",
     .key = "tool_name", .args = "parameters"},
    {.name = "apertus", .sign = {"<|tools_prefix|>"}, .body = CALL_KEYED, .section = 1,
     .mark = "<|tools_prefix|>", .open = "[", .begin = "", .end = "", .sep = ", ", .close = "]<|tools_suffix|>"},
    {.name = "mistral-args", .sign = {"[TOOL_CALLS]", "[ARGS]"}, .body = CALL_NAMED,
     .mark = "[TOOL_CALLS]", .begin = "", .behind = "[ARGS]", .end = "", .sep = ""},
    {.name = "mistral", .sign = {"[TOOL_CALLS]"}, .body = CALL_OBJECT, .section = 1,
     .mark = "[TOOL_CALLS]", .open = "[", .begin = "", .end = "", .sep = ", ", .close = "]", .key = "name",
     .args = "arguments", .id = 1},
    {.name = "apriel", .sign = {"<tool_calls>["}, .body = CALL_OBJECT, .section = 1,
     .mark = "<tool_calls>", .open = "[", .begin = "", .end = "", .sep = ", ", .close = "]</tool_calls>",
     .key = "name", .args = "arguments", .id = 1},
    {.name = "gigachat3.1", .sign = {"<|function_call|>"}, .body = CALL_OBJECT,
     .mark = "<|function_call|>", .begin = "", .end = "", .sep = "", .key = "name", .args = "arguments"},
    {.name = "gigachat3", .sign = {"function call", "<|role_sep|>"}, .body = CALL_OBJECT,
     .mark = "function call<|role_sep|>", .begin = "\n", .end = "", .sep = "", .key = "name", .args = "arguments"},
    {.name = "firefunction", .sign = {"functools["}, .body = CALL_OBJECT, .section = 1,
     .mark = "functools[", .open = "", .begin = "", .end = "", .sep = ", ", .close = "]", .key = "name",
     .args = "arguments"},
    {.name = "seed", .sign = {"<seed:tool_call>"}, .body = CALL_TAGS,
     .mark = "<seed:tool_call>", .begin = "\n<function=", .behind = ">\n",
     .end = "</function>\n</seed:tool_call>", .sep = "\n",
     .pair = "<parameter=", .mid = ">", .done = "</parameter>\n"},
    {.name = "glm-4.6", .sign = {"</arg_key>\n<arg_value>"}, .body = CALL_TAGS,
     .mark = "<tool_call>", .begin = "", .behind = "\n", .end = "</tool_call>", .sep = "\n",
     .pair = "<arg_key>", .mid = "</arg_key>\n<arg_value>", .done = "</arg_value>\n"},
    {.name = "glm", .sign = {"<arg_key>"}, .body = CALL_TAGS,
     .mark = "<tool_call>", .begin = "", .behind = "", .end = "</tool_call>", .sep = "",
     .pair = "<arg_key>", .mid = "</arg_key><arg_value>", .done = "</arg_value>"},
    {.name = "qwen3-coder", .sign = {"<tool_call>", "<function=", "<parameter="}, .body = CALL_TAGS,
     .mark = "<tool_call>", .begin = "\n<function=", .behind = ">\n", .end = "</function>\n</tool_call>", .sep = "\n",
     .pair = "<parameter=", .mid = ">\n", .done = "\n</parameter>\n"},
    {.name = "hermes", .sign = {"<tool_call>"}, .body = CALL_OBJECT,
     .mark = "<tool_call>", .begin = "\n", .end = "\n</tool_call>", .sep = "\n", .key = "name", .args = "arguments"},
    {.name = "functionary-v3.1", .sign = {"<function="}, .body = CALL_NAMED,
     .mark = "<function=", .begin = "", .behind = ">", .end = "</function>", .sep = ""},
    {.name = "functionary-v3.2", .sign = {">>>", "recipient"}, .body = CALL_NAMED, .bare = 1,
     .mark = ">>>", .begin = "", .behind = "\n", .end = "", .sep = ""},
    {.name = "lfm2", .sign = {"<|tool_list_start|>"}, .body = CALL_PYTHON, .section = 1,
     .mark = "<|tool_call_start|>", .open = "[", .begin = "", .end = "", .sep = ", ", .close = "]<|tool_call_end|>"},
    {.name = "lfm2", .sign = {"\"List of tools: [\"", "keep_past_thinking"}, .body = CALL_PYTHON, .section = 1,
     .mark = "<|tool_call_start|>", .open = "[", .begin = "", .end = "", .sep = ", ", .close = "]<|tool_call_end|>"},
    {.name = "phi4-mini", .sign = {"<|tool_call|>", "<|/tool_call|>"}, .body = CALL_OBJECT, .section = 1,
     .mark = "<|tool_call|>", .open = "[", .begin = "", .end = "", .sep = ", ", .close = "]<|/tool_call|>",
     .key = "name", .args = "arguments"},
    {.name = "phi4-mini", .sign = {"<|tool|>", "<|/tool|>"}, .body = CALL_OBJECT, .section = 1,
     .mark = "<|tool_call|>", .open = "[", .begin = "", .end = "", .sep = ", ", .close = "]<|/tool_call|>",
     .key = "name", .args = "arguments"},
    {.name = "granite", .sign = {"<|tool_call|>"}, .body = CALL_OBJECT, .section = 1,
     .mark = "<|tool_call|>", .open = "[", .begin = "", .end = "", .sep = ", ", .close = "]", .key = "name",
     .args = "arguments"},
    {.name = "llama3", .sign = {"\"parameters\":", "<|start_header_id|>", "ipython"}, .body = CALL_OBJECT, .bare = 1,
     .mark = "<|python_tag|>", .begin = "", .end = "", .sep = "; ", .key = "name", .args = "parameters"},
};
/* clang-format on */

enum { NFORM = sizeof forms / sizeof *forms };

static int holds(struct str s, const char *what) { return memmem(s.p, s.n, what, strlen(what)) != NULL; }

const struct call_form *call_form_at(size_t i) { return i < NFORM ? &forms[i] : NULL; }

const struct call_form *call_form_of(struct str source, int *told)
{
    if (told) *told = holds(source, "tools") || holds(source, ".Tools");
    for (size_t i = 0; i < NFORM; i++) {
        int all = 1;
        for (size_t k = 0; k < 3 && forms[i].sign[k]; k++) all &= holds(source, forms[i].sign[k]);
        if (all) return &forms[i];
    }
    size_t i = 0;
    while (strcmp(forms[i].name, "hermes") != 0) i++;
    return &forms[i];
}

const char *call_form_mark(const struct call_form *f, size_t i)
{
    const char *const list[] = {f->mark, f->open, f->begin, f->behind, f->end, f->close, f->pair, f->mid, f->done};
    size_t n = 0;
    for (size_t k = 0; k < sizeof list / sizeof *list; k++)
        if (list[k] && *list[k] && n++ == i) return list[k];
    return NULL;
}

const struct json *calls_tool(const struct json *tools, struct str name)
{
    for (const struct json *t = tools ? tools->child : NULL; t; t = t->next) {
        const struct json *f = json_get(t, "function");
        if (!f) f = t;
        if (str_eq(json_str(json_get(f, "name"), STR("")), name)) return f;
    }
    return NULL;
}
