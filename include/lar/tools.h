/* SPDX-License-Identifier: Apache-2.0
 *
 * lar/tools.h: functions that a model may call.
 *
 * A model writes calls in the form that it was trained to; which one, its chat template shows. The template tells it of the tools
 * (lar_request.chat with "tools"); what it answers a reader takes apart: text, calls, fragments of their arguments as they are written. A grammar
 * holds calls to the tools' schemas, so that every call is one of a tool that there is, with arguments that its schema accepts.
 *
 *     struct lar_tools *t;
 *     if (lar_tools_open(&t, model, json, strlen(json), NULL, &err) < 0) ...
 *     struct lar_request req = {.chat = chat, .tools = t, .on_text = to_reader};     to_reader: lar_calls_add(calls, text, n)
 */
#ifndef LAR_TOOLS_H
#define LAR_TOOLS_H

#include <lar/lar.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lar_tools;

enum lar_tool_choice {
    LAR_TOOLS_AUTO,     /* the model decides */
    LAR_TOOLS_REQUIRED, /* at least one call, and nothing else */
    LAR_TOOLS_NAMED,    /* the same, of the tool called name */
    LAR_TOOLS_NONE      /* the template tells of tools, calls are neither held to a form nor read */
};
/* Zeroed, every field is the default. */
struct lar_tools_options {
    enum lar_tool_choice choice;
    const char *name; /* of LAR_TOOLS_NAMED */
    int single;       /* 1: one call at most */
    int strict;       /* 1: LAR_EUNSUPPORTED when a schema cannot be enforced; 0: with AUTO calls are then free (lar_tools_note says so) */
};

/* json: a list of {"type": "function", "function": {"name", "description", "parameters"}}, "parameters" being a JSON Schema. The model lives on
 * until the tools are closed. */
LAR_API int lar_tools_open(struct lar_tools **out, struct lar_model *m, const char *json, size_t n,
                           const struct lar_tools_options *opt, struct lar_err *err);
LAR_API void lar_tools_close(struct lar_tools *t);
LAR_API size_t lar_tools_bytes(const struct lar_tools *t); /* as lar_grammar_bytes */
LAR_API const char *lar_tools_form(const struct lar_tools *t); /* "hermes", "llama3", ... */
LAR_API const char *lar_tools_note(const struct lar_tools *t); /* why calls are not held to the schemas; "": they are */
/* What the model must be told of the tools, to be put into a system message, when its template leaves them out; "" when the template does it. */
LAR_API const char *lar_tools_prompt(const struct lar_tools *t);

/* ---- reading ---- */

enum lar_call_event {
    LAR_CALL_TEXT,     /* text of the answer */
    LAR_CALL_THINKING, /* thinking, of models that tell it from the answer by the same marks as calls */
    LAR_CALL_BEGIN,    /* a call: text is the function's name */
    LAR_CALL_ARGS,     /* a fragment of its arguments, which together are one JSON object */
    LAR_CALL_END,
    LAR_CALL_BROKEN /* the call that was begun is none after all: text is all that was written of it */
};
/* index: of the call, from 0; of other events, how many calls there were. */
typedef void lar_call_fn(void *ctx, enum lar_call_event e, size_t index, const char *text, size_t n);

/* Reads one answer. The tools live on until the reader is closed by the caller's care. */
struct lar_calls;
LAR_API int lar_calls_open(struct lar_calls **out, const struct lar_tools *t, lar_call_fn *on, void *ctx,
                           struct lar_err *err);
LAR_API void lar_calls_add(struct lar_calls *c, const char *text, size_t n);
LAR_API void lar_calls_end(struct lar_calls *c); /* the answer is complete: gives what was held back */
LAR_API const char *lar_calls_warning(const struct lar_calls *c); /* why something that looked like a call is text; "" */
LAR_API void lar_calls_close(struct lar_calls *c);

#ifdef __cplusplus
}
#endif
#endif
