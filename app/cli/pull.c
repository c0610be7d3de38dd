/* SPDX-License-Identifier: Apache-2.0
 * cli/pull.c: `lar pull` and `lar push`: a model from a registry or from Hugging Face, and to a registry. */
#include "cli/moving.h"
#include "cli/out.h"
#include "cli/size.h"
#include "cli/verbs.h"
#include "store/store.h"

struct pull_options {
    const char *rate;
    int connections, quiet, json;
};

static int run(const void *values, char **arg, int narg)
{
    const struct pull_options *o = values;
    struct moving m;
    struct store_pull how = {
        .connections = o->connections, .on_progress = moving_progress, .ctx = &m};
    struct store *s = NULL;
    struct lar_err err;
    (void)narg;
    int e = size_parse("--limit-rate", o->rate, &how.rate, &err);
    if (e == 0) e = store_open(&s, NULL, &err);
    if (e == 0) {
        moving_begin(&m, o->json, o->quiet);
        e = store_pull(s, arg[0], &how, &err);
        moving_end(&m, e);
    }
    store_close(s);
    return e < 0 ? say_err(&err) : out_done(EXIT_DONE);
}

static int run_push(const void *values, char **arg, int narg)
{
    const struct pull_options *o = values;
    struct moving m;
    struct store_push how = {.on_progress = moving_progress, .ctx = &m};
    struct store *s = NULL;
    struct lar_err err;
    int e = size_parse("--limit-rate", o->rate, &how.rate, &err);
    if (e == 0) e = store_open(&s, NULL, &err);
    if (e == 0) {
        moving_begin(&m, o->json, o->quiet);
        e = store_push(s, arg[0], narg > 1 ? arg[1] : NULL, &how, &err);
        moving_end(&m, e);
    }
    store_close(s);
    return e < 0 ? say_err(&err) : out_done(EXIT_DONE);
}

#define AT(field) offsetof(struct pull_options, field)
/* clang-format off */
static const struct opt options[] = {
    {.kind = OPT_TEXT, .name = "limit-rate", .at = AT(rate), .arg = "RATE",
     .help = "At most so many bytes a second: 500KB, 2M, 1.5GiB."},
    {.kind = OPT_INT, .name = "connections", .at = AT(connections), .arg = "N", .min = 1, .max = 64,
     .help = "Parts fetched side by side; without it 8."},
    {.kind = OPT_FLAG, .name = "json", .at = AT(json), .value = 1,
     .help = "An object a line: status, and while bytes come completed and total."},
    {.kind = OPT_FLAG, .name = "quiet", .letter = 'q', .at = AT(quiet), .value = 1, .help = "Errors only."},
    {.kind = OPT_END},
};

static const struct opt push_options[] = {
    {.kind = OPT_TEXT, .name = "limit-rate", .at = AT(rate), .arg = "RATE",
     .help = "At most so many bytes a second: 500KB, 2M, 1.5GiB."},
    {.kind = OPT_FLAG, .name = "json", .at = AT(json), .value = 1,
     .help = "An object a line: status, and while bytes go completed and total."},
    {.kind = OPT_FLAG, .name = "quiet", .letter = 'q', .at = AT(quiet), .value = 1, .help = "Errors only."},
    {.kind = OPT_END},
};

const struct verb verb_push = {
    .name = "push",
    .synopsis = "NAME [AS]",
    .summary = "sends a model to a registry",
    .about =
        "Sends a model of the store (Lar's or Ollama's) to the registry that its name says, or, with AS, under that "
        "name: host/namespace/model[:tag]. Any OCI registry will do. What it has already is not sent; a piece that a "
        "broken connection spoilt is sent again. The name appears there when everything behind it is there, and the "
        "manifest is the same to the byte, so that the digest is the model's.\n"
        "\n"
        "LAR_REGISTRY, LAR_REGISTRY_AUTH=user:password and LAR_CA_BUNDLE are as for lar pull. Ollama's own "
        "registry knows "
        "who asks by the key ~/.ollama/id_ed25519 (LAR_REGISTRY_KEY names another; without a passphrase; "
        "ssh-keygen -t "
        "ed25519 makes one), whose .pub your account there must list. That needs libcrypto (Debian's libssl3).\n",
    .opts = push_options,
    .size = sizeof(struct pull_options),
    .min_args = 1,
    .max_args = 2,
    .run = run_push,
};

const struct verb verb_pull = {
    .name = "pull",
    .synopsis = "NAME",
    .summary = "fetches a model",
    .about =
        "Fetches NAME into the store: [host/][namespace/]model[:tag] from a registry (Ollama's, when no host is "
        "named), hf.co/user/repo[:quant] from Hugging Face, split models and projectors too. http:// before the host "
        "is for a registry without TLS; on the machine itself it is understood.\n"
        "\n"
        "Large files come in parts side by side, and are hashed as they come. What is broken off, by a kill "
        "too, goes "
        "on where it was when the same is pulled again. The name appears when everything is here and is what its "
        "digests say. Free space is looked at first.\n"
        "\n"
        "LAR_REGISTRY is the address of a mirror of Ollama's registry, HF_ENDPOINT of one of Hugging Face. "
        "LAR_REGISTRY_AUTH=user:password and HF_TOKEN say who asks; they go to the server that they are for "
        "and, when "
        "it leads elsewhere, not along. https_proxy and its like are heeded, and "
        "LAR_CA_BUNDLE (else CURL_CA_BUNDLE, SSL_CERT_FILE) names a file of certificates to trust instead of the "
        "system's. A server that asks for patience (429, 503, Retry-After) is waited for, two minutes at most. "
        "It needs libcurl (Debian's libcurl4).\n",
    .opts = options,
    .size = sizeof(struct pull_options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
/* clang-format on */
