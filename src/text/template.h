/* SPDX-License-Identifier: Apache-2.0
 *
 * text/template.h: chat templates: Jinja as transformers runs it.
 *
 * The language is Jinja2's (sandboxed, immutable) with trim_blocks, lstrip_blocks, loop controls and
 * {% generation %}; the globals are raise_exception, strftime_now, namespace, dict, range, cycler and
 * joiner; the filters and tests are Jinja's, with transformers' tojson. doc/TEMPLATES.md says what is
 * left out. A template comes from a file that somebody else wrote: rendering is bounded in steps,
 * depth, memory and output, sees nothing but its input, and never crashes or hangs.
 */
#ifndef TEXT_TEMPLATE_H
#define TEXT_TEMPLATE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

struct template;

/* Compiles source (which may be freed afterwards). NULL with err (line and column named) when it is
 * not Jinja (LAR_EFORMAT), too large or too deeply nested. */
struct template *template_compile(struct str source, struct lar_err *err);
void template_free(struct template *t);

struct template_limits {
    uint64_t steps;      /* 0: 10 million */
    size_t memory_bytes; /* 0: 256 MiB, of intermediate values */
    size_t output_bytes; /* 0: 64 MiB */
};

/* Renders with the members of input (a JSON object, or NULL) as variables; appends to out. now is what
 * strftime_now sees: seconds since 1970, local time as given by the caller, no zone is applied.
 * 0, or on failure out holds what was written so far and err names template line and column:
 *   LAR_EINVAL        the template itself refused: err holds the words of raise_exception, no place
 *                     (or input is no object)
 *   LAR_EFORMAT       an error that Python or Jinja would raise (undefined values, types, ...)
 *   LAR_ELIMIT        a limit was reached
 *   LAR_EUNSUPPORTED  something that doc/TEMPLATES.md leaves out
 * A compiled template may be rendered by several threads at once. */
int template_render(const struct template *t, const struct json *input, int64_t now,
                    const struct template_limits *limits, struct buf *out, struct lar_err *err);

#endif
