/* SPDX-License-Identifier: Apache-2.0
 *
 * text/gotmpl.h: chat templates in Go's text/template language, as Ollama's Modelfiles have them.
 *
 * The language is text/template's without user functions and methods: if, else if, range, with, define, template, block, break, continue,
 * variables, pipelines, the built-in functions (not call, html, js, urlquery), and Ollama's json, currentDate, yesterdayDate and
 * toTypeScriptType. What a template sees is what Ollama shows it (gotmpl_data.c). A template comes from a file that somebody else wrote:
 * rendering is bounded in steps, depth, memory and output, sees nothing but its input, and never crashes or hangs.
 */
#ifndef TEXT_GOTMPL_H
#define TEXT_GOTMPL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "text/template.h"

struct gotmpl;

/* Compiles source (which may be freed afterwards). NULL with err (line and column named) when it is no template (LAR_EFORMAT), is too
 * large or too deeply nested (LAR_ELIMIT), or uses what is left out (LAR_EUNSUPPORTED). */
struct gotmpl *gotmpl_compile(struct str source, struct lar_err *err);
void gotmpl_free(struct gotmpl *t);

/* Renders a chat; appends to out. input is an object: messages (role, content, thinking, tool_calls, tool_name, tool_call_id), tools, think
 * (a boolean or a level), system; or prompt, with suffix to fill in between. A template that knows no .Messages is run turn by turn with
 * .System, .Prompt and .Response. now is what currentDate sees: seconds since 1970, local time. limits: see template_render, and so for
 * the results: 0, or LAR_EINVAL for an input that is none, LAR_EFORMAT for what Go would refuse, LAR_ELIMIT, LAR_EUNSUPPORTED. */
int gotmpl_render(const struct gotmpl *t, const struct json *input, int64_t now,
                  const struct template_limits *limits, struct buf *out, struct lar_err *err);

#endif
