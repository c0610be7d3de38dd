/* SPDX-License-Identifier: Apache-2.0
 * cli/serve.c: `lar serve`: models over HTTP. Everything behind the options is in app/serve. */
#include <lar/lar.h>

#include <stdio.h>
#include <stdlib.h>

#include "cli/choice.h"
#include "cli/out.h"
#include "cli/size.h"
#include "cli/verbs.h"
#include "serve/server.h"

#define CACHE_BYTES ((uint64_t)4 << 30)

struct serve_options {
    const char *host, *keep_alive, *key_file, *tls_cert, *tls_key, *socket_mode, *memory, *trace_file;
    struct opt_list model, lora, origin, host_name, pin, draft;
    const char *lora_dir, *cache_dir, *cache_size;
    int port, threads, deterministic, kv, ctx, parallel, lookup, queue, kv_mib, max_body, patience, drain,
        quiet, log_json, sandbox, read_only,
        trace_content, insecure, force;
};

static void init(void *values)
{
    *(struct serve_options *)values = (struct serve_options){.host = "127.0.0.1",
                                                             .port = 11434,
                                                             .parallel = 16,
                                                             .queue = 512,
                                                             .max_body = 32,
                                                             .patience = 120,
                                                             .drain = 30};
}

static void tell(const char *line) { say("%s", line); }

static void tell_object(const char *json) { fprintf(stderr, "%s\n", json); }

/* What is no request's line. */
static void tell_as_object(const char *line)
{
    struct buf b = {0};
    buf_puts(&b, "{\"event\":\"server\",\"text\":");
    buf_json_str(&b, str_of(line));
    buf_putc(&b, '}');
    tell_object(buf_z(&b));
    buf_done(&b);
}

static int read_mode(const char *text, int *mode, struct lar_err *err)
{
    char *end = NULL;
    long v = text ? strtol(text, &end, 8) : 0600;
    *mode = (int)v;
    return !text || (end != text && !*end && v > 0 && v <= 0777)
               ? 0
               : lar_fail(err, LAR_EINVAL, "--socket-mode %s: needs an octal mode such as 0660", text);
}

static int run(const void *values, char **arg, int narg)
{
    const struct serve_options *o = values;
    struct lar_err err;
    struct server_options so = {.host = o->host,
                                .port = o->port,
                                .model = o->model.v,
                                .nmodel = o->model.n,
                                .file = arg,
                                .nfile = (size_t)narg,
                                .lora = o->lora.v,
                                .nlora = o->lora.n,
                                .lora_dir = o->lora_dir,
                                .origin = o->origin.v,
                                .norigin = o->origin.n,
                                .host_name = o->host_name.v,
                                .nhost_name = o->host_name.n,
                                .draft = o->draft.v,
                                .ndraft = o->draft.n,
                                .pin = o->pin.v,
                                .npin = o->pin.n,
                                .threads = o->threads,
                                .deterministic = o->deterministic,
                                .kv = (enum lar_kv)o->kv,
                                .ctx = o->ctx,
                                .parallel = o->parallel,
                                .lookup = o->lookup,
                                .queue = o->queue,
                                .kv_mib = o->kv_mib,
                                .keep_alive = o->keep_alive,
                                .key_file = o->key_file,
                                .tls_cert = o->tls_cert,
                                .tls_key = o->tls_key,
                                .insecure = o->insecure,
                                .read_only = o->read_only,
                                .sandbox = (enum sandbox_want)o->sandbox,
                                .max_body_mib = o->max_body,
                                .patience_s = o->patience,
                                .drain_s = o->drain,
                                .log = !o->quiet,
                                .force = o->force,
                                .log_json = o->log_json,
                                .trace_file = o->trace_file,
                                .trace_content = o->trace_content,
                                .say = o->log_json ? tell_as_object : tell,
                                .say_object = tell_object};
    int rc = size_parse("--memory", o->memory, &so.memory, &err);
    so.cache_dir = o->cache_dir;
    so.cache_size = CACHE_BYTES;
    if (rc == 0 && o->cache_size) rc = size_parse("--cache-size", o->cache_size, &so.cache_size, &err);
    if (rc == 0 && o->cache_size && !o->cache_dir)
        rc = lar_fail(&err, LAR_EINVAL, "--cache-size: of which --cache-dir?");
    if (rc == 0) rc = read_mode(o->socket_mode, &so.socket_mode, &err);
    if (rc == 0) choice_use();
    if (rc == 0) rc = server_run(&so, &err);
    return rc < 0 ? say_err(&err) : out_done(EXIT_DONE);
}

#define AT(field) offsetof(struct serve_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_LIST, .name = "model", .letter = 'm', .at = AT(model), .arg = "NAME=FILE",
     .help = "A model and the name that clients call it by; may be given again."},
    {.kind = OPT_LIST, .name = "lora", .at = AT(lora), .arg = "[BASE+]NAME=FILE",
     .help = "A LoRA adapter (a GGUF, see lar convert --lora) of the model BASE, which may be left out where there is "
             "one: requests that call for the model BASE+NAME get it, beside others in one step. May be given again."},
    {.kind = OPT_TEXT, .name = "lora-dir", .at = AT(lora_dir), .arg = "DIR",
     .help = "Files of this folder may be loaded as adapters while the server runs (/v1/load_lora_adapter)."},
    {.kind = OPT_TEXT, .name = "host", .at = AT(host), .arg = "ADDRESS",
     .help = "Where to listen, 127.0.0.1 without it; a path that begins with / is a Unix socket. Addresses that "
             "other machines can reach need --key-file, and --tls-cert or --insecure."},
    {.kind = OPT_INT, .name = "port", .letter = 'p', .at = AT(port), .arg = "N", .min = 0, .max = 65535,
     .help = "The port, 11434 without it; 0 takes a free one and says which."},
    {.kind = OPT_TEXT, .name = "key-file", .at = AT(key_file), .arg = "FILE",
     .help = "Only who has a key may ask (Authorization: Bearer KEY, or x-api-key). A line a key: NAME:HEX "
             "[requests=N] [tokens=N] [concurrent=N] [models=NAME,NAME], where HEX is the SHA-256 of the key; requests "
             "and tokens in a minute, concurrent requests at once. SIGHUP reads it again."},
    {.kind = OPT_TEXT, .name = "tls-cert", .at = AT(tls_cert), .arg = "FILE",
     .help = "Speaks HTTPS (TLS 1.2 and 1.3) with this certificate and what it is signed by, in PEM. SIGHUP reads it "
             "and its key again."},
    {.kind = OPT_TEXT, .name = "tls-key", .at = AT(tls_key), .arg = "FILE",
     .help = "The certificate's private key, in PEM."},
    {.kind = OPT_TEXT, .name = "socket-mode", .at = AT(socket_mode), .arg = "MODE",
     .help = "Who may use a Unix socket, in octal as chmod has it; 0600 without it."},
    {.kind = OPT_FLAG, .name = "insecure", .at = AT(insecure), .value = 1,
     .help = "With --key-file and an address that others reach: keys and answers cross the network without TLS."},
    {.kind = OPT_FLAG, .name = "read-only", .at = AT(read_only), .value = 1,
     .help = "No models are fetched, made, renamed or deleted through the server; it then opens no connection and "
             "writes no file."},
    {.kind = OPT_WORD, .name = "sandbox", .at = AT(sandbox), .arg = "WHEN", .words = "try require off",
     .help = "Once started the server keeps to the files and system calls that it needs (Landlock, seccomp): as far as "
             "this kernel can (try, and says how far), or not without it (require), or not at all (off)."},
    {.kind = OPT_LIST, .name = "allow-origin", .at = AT(origin), .arg = "ORIGIN",
     .help = "Pages of this origin (https://app.example) may use the server, beside those of this machine; * "
             "allows all."},
    {.kind = OPT_LIST, .name = "allow-host", .at = AT(host_name), .arg = "NAME",
     .help = "Another name of this machine that clients may call it by."},
    {.kind = OPT_HEAD, .name = "Answers"},
    {.kind = OPT_INT, .name = "ctx", .letter = 'c', .at = AT(ctx), .arg = "N", .min = 1, .max = 1 << 28,
     .help = "Context for requests that name none (num_ctx); without it the model's own, at most 8192."},
    {.kind = OPT_INT, .name = "parallel", .at = AT(parallel), .arg = "N", .min = 1, .max = 1024,
     .help = "So many answers of a model are written at once, 16 without it; others wait."},
    {.kind = OPT_INT, .name = "lookup", .at = AT(lookup), .arg = "N", .max = 16,
     .help = "Guesses up to N next tokens (16 at most) from what stands in prompt and answer, as lar run's --lookup; "
             "shared by the answers at work. A request's own \"lookup\" comes first, "
             "without it guesses are made while they pay. 0, the default: none."},
    {.kind = OPT_LIST, .name = "draft", .at = AT(draft), .arg = "NAME=FILE",
     .help = "The smaller model FILE, with the same tokens, guesses for model NAME while that pays, as lar run's "
             "--draft; may be given again. A request's own \"draft\" (tokens at once, 0: none) comes first."},
    {.kind = OPT_INT, .name = "queue", .at = AT(queue), .arg = "N", .min = 1, .max = 1 << 16,
     .help = "So many requests may be waiting or at work, 512 without it; more are refused with status 503."},
    {.kind = OPT_INT, .name = "kv-memory", .at = AT(kv_mib), .arg = "MIB", .min = 1, .max = 1 << 24,
     .help = "Memory for the keys and values of all answers together; without it half of what is free at the start."},
    {.kind = OPT_TEXT, .name = "memory", .at = AT(memory), .arg = "SIZE",
     .help = "For all models together, with their work space, keys and values (4GB, 700MiB); without it what was free "
             "at the start. For one that does not fit beside the others those used longest ago go, once nobody uses "
             "them; requests wait for that. One that could never fit is refused."},
    {.kind = OPT_LIST, .name = "pin", .at = AT(pin), .arg = "NAME",
     .help = "This model is loaded at the start and never makes way; may be given again."},
    {.kind = OPT_FLAG, .name = "force", .at = AT(force), .value = 1,
     .help = "Loads models that do not fit: their weights are read from the disk again and again."},
    {.kind = OPT_WORD, .name = "kv", .at = AT(kv), .arg = "TYPE", .words = "f16 f32 q8_0",
     .help = "How keys and values are kept: f16, f32 or q8_0."},
    {.kind = OPT_TEXT, .name = "cache-dir", .at = AT(cache_dir), .arg = "FOLDER",
     .help = "Prompts that were read are kept there when they leave the memory and at the end, so that a server "
             "started again need not read them again. Made with mode 0700 where it is missing: what is in it "
             "tells what was said."},
    {.kind = OPT_TEXT, .name = "cache-size", .at = AT(cache_size), .arg = "SIZE",
     .help = "Of that folder; 4GiB without it. The least recently used goes."},
    {.kind = OPT_TEXT, .name = "keep-alive", .at = AT(keep_alive), .arg = "TIME",
     .help = "How long a model stays loaded after its last answer, 5m without it; -1 for good."},
    {.kind = OPT_FLAG, .name = "deterministic", .at = AT(deterministic), .value = 1,
     .help = "An answer does not depend, to the last bit, on what else is being answered; prompts take about "
             "twice as long."},
    {.kind = OPT_INT, .name = "threads", .letter = 't', .at = AT(threads), .arg = "N", .min = 1, .max = 256,
     .help = "Worker threads; without it as many as there are cores."},
    {.kind = OPT_HEAD, .name = "Running"},
    {.kind = OPT_INT, .name = "max-body", .at = AT(max_body), .arg = "MIB", .min = 1, .max = 1024,
     .help = "The longest request, 32 MiB without it."},
    {.kind = OPT_INT, .name = "patience", .at = AT(patience), .arg = "SECONDS", .min = 1, .max = 86400,
     .help = "A request must have arrived so long after its connection or the answer before it, and who reads nothing "
             "of an answer for so long is hung up on; 120 without it."},
    {.kind = OPT_INT, .name = "drain", .at = AT(drain), .arg = "SECONDS", .min = 0, .max = 86400,
     .help = "How long answers may still take after SIGTERM, 30 without it."},
    {.kind = OPT_FLAG, .name = "quiet", .letter = 'q', .at = AT(quiet), .value = 1,
     .help = "No line a request on standard error. What is said to a model is never in it."},
    {.kind = OPT_FLAG, .name = "log-json", .at = AT(log_json), .value = 1,
     .help = "Each line of that log is a JSON object: time, id (as in X-Request-Id), method, path, status, ms, key; "
             "and one more for each answer: its tokens and times."},
    {.kind = OPT_TEXT, .name = "trace-file", .at = AT(trace_file), .arg = "FILE",
     .help = "Appends a trace of each answer: a line of OpenTelemetry's OTLP in JSON, with OpenInference's "
             "attributes."},
    {.kind = OPT_FLAG, .name = "trace-content", .at = AT(trace_content), .value = 1,
     .help = "What was said is in these traces too."},
    {.kind = OPT_END},
};

const struct verb verb_serve = {
    .name = "serve",
    .synopsis = "[FILE...]",
    .summary = "models over HTTP: Ollama's, OpenAI's and Anthropic's interfaces",
    .about = "Answers requests of Ollama's clients (/api/chat, generate, embed, embeddings, tags, show, ps, "
             "create, blobs, copy, delete, pull, push, version), of OpenAI's (/v1/chat/completions, completions, "
             "responses, embeddings, models) and of Anthropic's (/v1/messages, with count_tokens) on this machine "
             "alone; beside these /v1/load_lora_adapter, unload_lora_adapter, /lora-adapters, /infill, /v1/rerank, "
             "/tokenize, /detokenize, /apply-template, /tokenizer_info, /props, /slots, /health and /metrics. A "
             "model is called by its name in the store (lar list), a file by its own name without .gguf. All "
             "requests are evaluated together, in steps that mix the next tokens of answers and slices of "
             "prompts.\n\nWhat a request asks for and this server cannot do is an error that names it.",
    .opts = options,
    .size = sizeof(struct serve_options),
    .init = init,
    .max_args = 64,
    .run = run,
};
/* clang-format on */
