/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/trace.h: what became of each request, in a file for programs that collect such: a line of OpenTelemetry's OTLP in JSON for each
 * (opentelemetry.io/docs/specs/otel/protocol/file-exporter), in the words of its conventions for generative models and of OpenInference's.
 * An answer is a span with parts: it waits, its prompt is read, it is written. What was said is in it only when that is asked for.
 *
 * A line is written at once and whole. What cannot be written is told, once, and lost; answers do not wait for it.
 */
#ifndef SERVE_TRACE_H
#define SERVE_TRACE_H

#include "base/err.h"
#include "net/http.h"

struct job;
struct trace;

enum { TRACE_PARENT = 56 };

/* Appends to the file. content: 1: what was said too. */
int trace_open(struct trace **out, const char *path, int content, void (*say)(const char *line), struct lar_err *err);
void trace_close(struct trace *t);
/* A job is over. t may be NULL, here and below. From any thread. */
void trace_job(struct trace *t, const struct job *j);
/* Texts were embedded or ranked: what is OpenInference's kind of it. */
void trace_reading(struct trace *t, const struct http_call *c, const char *what, const char *model, int64_t tokens,
                   const char *parent, int64_t began, int failed);
/* A request's traceparent: "00-", 32 hexadecimal digits, "-", 16, "-", 2 (w3.org/TR/trace-context); any other leaves out as it is. In its handler. */
void trace_parent(struct http_call *c, char out[TRACE_PARENT]);

#endif
