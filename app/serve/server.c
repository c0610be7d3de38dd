/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/server.c: see server.h. What a server is told, checked and opened in its order, and closed again; requests are serve/routes.c's.
 */
#include "serve/server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "net/origin.h"
#include "serve/blobs.h"
#include "serve/keys.h"
#include "serve/kept.h"
#include "serve/ollama.h"
#include "serve/reading.h"
#include "serve/routes.h"
#include "serve/sched.h"
#include "serve/state.h"
#include "serve/stock.h"
#include "serve/trace.h"
#include "serve/writing.h"

enum { STEP_TOKENS = 512, CONNECTIONS = 1024, PEM_MAX = 1 << 20 };

static void log_request(const struct server *s, struct http_call *c)
{
    char name[KEYS_NAME];
    struct buf b = {0};
    const char *path = http_path(c);
    keys_name(http_owner(c), name);
    if (s->opt.log_json) {
        buf_puts(&b, "{\"time\":");
        job_time(&b);
        buf_printf(&b, ",\"event\":\"request\",\"id\":\"%s\",\"method\":", http_id(c));
        buf_json_str(&b, str_of(http_method(c)));
        buf_puts(&b, ",\"path\":");
        buf_json_str(&b, (struct str){path, strnlen(path, 100)});
        buf_printf(&b, ",\"status\":%d,\"ms\":%.1f", http_status(c), http_ms(c));
        if (name[0]) {
            buf_puts(&b, ",\"key\":");
            buf_json_str(&b, str_of(name));
        }
        buf_putc(&b, '}');
        s->opt.say_object(buf_z(&b));
    } else {
        buf_printf(&b, "%.10s %.100s %d %.1f ms %s %s", http_method(c), path, http_status(c), http_ms(c), http_id(c),
                   name);
        s->opt.say(buf_z(&b));
    }
    buf_done(&b);
}

static void done(void *ctx, struct http_call *c)
{
    struct server *s = ctx;
    blobs_free(http_taker(c));
    if (s->opt.log) log_request(s, c);
    keys_leave(http_owner(c));
}

static int add_models(struct server *s, struct lar_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < s->opt.nmodel && rc == 0; i++) {
        const char *eq = strchr(s->opt.model[i], '=');
        char name[128];
        if (!eq || eq == s->opt.model[i] || (size_t)(eq - s->opt.model[i]) >= sizeof name)
            return lar_fail(err, LAR_EINVAL, "--model %s: needs NAME=FILE", s->opt.model[i]);
        memcpy(name, s->opt.model[i], (size_t)(eq - s->opt.model[i]));
        name[eq - s->opt.model[i]] = 0;
        rc = shelf_add(&s->shelf, name, eq + 1, err);
    }
    for (size_t i = 0; i < s->opt.nfile && rc == 0; i++)
        rc = shelf_add(&s->shelf, NULL, s->opt.file[i], err);
    return rc;
}

/* Once all bases are known. */
static int add_loras(struct server *s, struct lar_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < s->opt.nlora && rc == 0; i++) rc = loras_add(&s->shelf, s->opt.lora[i], err);
    if (rc == 0 && s->opt.lora_dir) rc = loras_allow(&s->shelf, s->opt.lora_dir, err);
    return rc;
}

/* Pinned ones; and one model with nothing to choose: it is there before the first request, and a bad one is told now. */
static int preload(struct server *s, struct lar_err *err)
{
    for (size_t i = 0; i < s->opt.npin; i++)
        if (shelf_pin(&s->shelf, s->opt.pin[i], err) < 0) return err->code;
    if (s->shelf.nbook != 1 || s->shelf.book[0].reads_only) return 0;
    int rc = shelf_load(&s->shelf, &s->shelf.book[0], err);
    return rc == 0 ? loras_hold_all(&s->shelf, &s->shelf.book[0], err) : rc;
}

static int read_pem(struct buf *b, const char *option, const char *path, struct lar_err *err)
{
    ssize_t n = -1;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (!path) return lar_fail(err, LAR_EINVAL, "%s is missing: --tls-cert and --tls-key go together", option);
    *b = (struct buf){.limit = PEM_MAX};
    if (fd < 0) return lar_fail_errno(err, "%s %s", option, path);
    for (char *p; (p = buf_room(b, 4096)) && (n = read(fd, p, 4096)) > 0;) b->n += (size_t)n;
    if (n < 0) lar_fail_errno(err, "%s %s", option, path);
    if (n > 0) lar_fail(err, LAR_EINVAL, "%s %s: longer than %d bytes", option, path, PEM_MAX);
    close(fd);
    buf_putc(b, 0);
    return n == 0 && !b->failed ? 0 : LAR_EINVAL;
}

/* What others can reach must know them, and hide what is said on its way. */
static int check_address(struct server *s, int unix_socket, struct lar_err *err)
{
    const struct server_options *o = &s->opt;
    int rc = 0;
    if (o->tls_cert || o->tls_key) {
        rc = read_pem(&s->cert, "--tls-cert", o->tls_cert, err);
        if (rc == 0) rc = read_pem(&s->cert_key, "--tls-key", o->tls_key, err);
        if (rc < 0) return rc;
    }
    if (unix_socket || origin_is_loopback(o->host)) return 0;
    if (!o->key_file)
        return lar_fail(err, LAR_EINVAL, "--host %s: other machines could use this server: it needs --key-file",
                        o->host);
    if (!o->insecure && !o->tls_cert)
        return lar_fail(err, LAR_EINVAL,
                        "--host %s: keys and answers would cross the network as they are: give --tls-cert and "
                        "--tls-key, or put a proxy with TLS before a server on 127.0.0.1, or say --insecure",
                        o->host);
    return 0;
}

static void allow_folder_of(struct sandbox *b, const char *path, enum sandbox_access access)
{
    struct buf folder = {0};
    const char *slash = strrchr(path, '/');
    buf_add(&folder, slash ? path : ".", slash ? (size_t)(slash - path) + (slash == path) : 1);
    sandbox_allow(b, buf_z(&folder), access);
    buf_done(&folder);
}

/* Before there are threads: no file any more but models, keys, the store, and what a program needs in any case. */
static int give_up_files(struct server *s, struct lar_err *err)
{
    static const char *const certificates[] = {"LAR_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR",
                                               "LAR_REGISTRY_KEY"};
    const struct server_options *o = &s->opt;
    struct sandbox *b = &s->sandbox;
    struct buf key = {0};
    const char *home = getenv("HOME");
    int rc = sandbox_open(b, o->sandbox, !o->read_only, err);
    if (rc < 0) return rc;
    if (o->sandbox != SANDBOX_OFF && !o->read_only)
        store_make(s->shelf.store, NULL); /* where it cannot be made nothing will be written */
    for (int p = STORE_LAR; p <= STORE_LMSTUDIO; p++)
        sandbox_allow(b, store_place_root(s->shelf.store, (enum store_place)p),
                      p == STORE_LAR && !o->read_only ? SANDBOX_WRITE : SANDBOX_READ);
    for (size_t i = 0; i < s->shelf.nbook; i++) {
        sandbox_allow_model(b, s->shelf.book[i].path);
        if (s->shelf.book[i].draft) sandbox_allow_model(b, s->shelf.book[i].draft);
    }
    for (size_t i = 0; i < s->shelf.loras.n; i++) sandbox_allow_model(b, s->shelf.loras.v[i].path);
    if (!o->read_only) sandbox_allow(b, s->shelf.loras.folder, SANDBOX_READ);
    for (size_t i = 0; !o->read_only && i < sizeof certificates / sizeof *certificates; i++)
        sandbox_allow(b, getenv(certificates[i]), SANDBOX_READ);
    if (home && !o->read_only) {
        buf_printf(&key, "%s/.ollama/id_ed25519", home);
        sandbox_allow(b, buf_z(&key), SANDBOX_READ);
        buf_done(&key);
    }
    if (o->key_file) allow_folder_of(b, o->key_file, SANDBOX_READ);
    if (o->tls_cert) allow_folder_of(b, o->tls_cert, SANDBOX_READ);
    if (o->tls_key) allow_folder_of(b, o->tls_key, SANDBOX_READ);
    if (o->cache_dir) sandbox_allow(b, o->cache_dir, SANDBOX_WRITE);
    b->keeps = o->cache_dir != NULL;
    if (o->host[0] == '/') allow_folder_of(b, o->host, SANDBOX_SOCKET);
    return sandbox_files(b, err);
}

static int open_all(struct server *s, struct lar_err *err)
{
    struct server_options *o = &s->opt;
    int inherited = http_inherited(s->inherited, sizeof s->inherited, err);
    if (inherited < 0) return inherited;
    if (inherited) o->host = s->inherited;
    int64_t keep = (int64_t)300 * 1000000000;
    int unix_socket = o->host[0] == '/';
    int rc = check_address(s, unix_socket, err);
    if (rc < 0) return rc;
    if (o->keep_alive) {
        struct json v = {.kind = JSON_STRING, .s = str_of(o->keep_alive)};
        struct lar_err why;
        if (ollama_duration(&v, &keep, &why) < 0)
            return lar_fail(err, LAR_EINVAL, "--keep-alive: %s", why.msg);
    }
    struct shelf_options so = {.threads = o->threads,
                               .deterministic = o->deterministic,
                               .kv = (int)o->kv,
                               .parallel = o->parallel,
                               .step_tokens = STEP_TOKENS + o->parallel * (1 + ROW_FORCED) + ROW_GUESSES,
                               .lookup = o->lookup,
                               .ctx = o->ctx,
                               .memory = o->memory,
                               .waiting = o->queue,
                               .force = o->force,
                               .say = o->say,
                               .keep_ns = keep};
    double kv = o->kv_mib    ? o->kv_mib * 1048576.0
                : o->memory ? (double)o->memory
                            : (double)cpu_memory_available() / 2;
    struct sched_options co = {.shelf = &s->shelf,
                               .parallel = o->parallel,
                               .step_tokens = STEP_TOKENS,
                               .kv_bytes = kv > 0 ? kv : 1e18,
                               .kv = o->kv,
                               .queue = o->queue,
                               .over = writing_over,
                               .ctx = s};
    struct http_options ho = {.host = o->host,
                              .port = o->port,
                              .inherited = inherited,
                              .body_max = (size_t)o->max_body_mib << 20,
                              .connections = CONNECTIONS,
                              .patience_s = o->patience_s,
                              .origin = o->origin, .norigin = o->norigin,
                              .host_name = o->host_name, .nhost_name = o->nhost_name,
                              .any_host = unix_socket || o->key_file,
                              .handle = routes_handle,
                              .cert = s->cert.n ? s->cert.p : NULL,
                              .key = s->cert_key.p,
                              .socket_mode = o->socket_mode,
                              .done = done, .wants = routes_wants, .piece = routes_piece, .ctx = s};
    rc = shelf_open(&s->shelf, &so, err);
    if (rc == 0 && o->key_file) rc = keys_open(&s->keys, o->key_file, err);
    if (rc == 0) rc = add_models(s, err);
    if (rc == 0) rc = shelf_use_store(&s->shelf, err);
    if (rc == 0) rc = add_loras(s, err);
    for (size_t i = 0; i < o->ndraft && rc == 0; i++) rc = shelf_draft(&s->shelf, o->draft[i], err);
    if (rc == 0 && o->trace_file) rc = trace_open(&s->trace, o->trace_file, o->trace_content, o->say, err);
    if (rc == 0) rc = disk_open(&s->disk, o->cache_dir, (double)o->cache_size, co.kv_bytes / 4, o->say, err);
    s->shelf.opt.disk = s->disk;
    if (rc == 0) rc = give_up_files(s, err);
    if (rc == 0) rc = disk_start(s->disk, err);
    if (rc == 0) rc = preload(s, err);
    if (rc == 0) rc = sched_open(&s->sched, &co, err);
    if (rc == 0) rc = shelf_start(&s->shelf, err);
    if (rc == 0) rc = reading_open(&s->reading, &s->shelf, s->trace, err);
    if (rc == 0) rc = stock_open(&s->stock, err);
    if (rc == 0) rc = kept_open(&s->kept, err);
    if (rc == 0) rc = http_open(&s->http, &ho, err);
    if (rc == 0) rc = sandbox_calls(&s->sandbox, err);
    if (rc == 0) s->opt.say(buf_z(&s->sandbox.told));
    return rc;
}

static void forget(struct buf *b)
{
    if (b->p) explicit_bzero(b->p, b->n);
    buf_done(b);
}

/* The certificate's files as they are now; those that were read before stay when these are not good. */
static void renew(struct server *s)
{
    struct buf cert = {0}, key = {0};
    struct lar_err err;
    int rc = read_pem(&cert, "--tls-cert", s->opt.tls_cert, &err);
    if (rc == 0) rc = read_pem(&key, "--tls-key", s->opt.tls_key, &err);
    if (rc == 0) rc = http_certify(s->http, cert.p, key.p, &err);
    if (rc < 0) {
        struct buf b = {0};
        buf_printf(&b, "the certificate is what it was: %s", err.msg);
        s->opt.say(buf_z(&b));
        buf_done(&b);
        forget(&cert);
        forget(&key);
        return;
    }
    forget(&s->cert);
    forget(&s->cert_key);
    s->cert = cert;
    s->cert_key = key;
    s->opt.say("the certificate was read again: new connections get it");
}

static void reload(struct server *s)
{
    struct lar_err err;
    struct buf b = {0};
    if (s->cert.n) renew(s);
    if (!s->keys) return;
    int n = keys_reload(s->keys, &err);
    if (n < 0)
        buf_printf(&b, "the keys are what they were: %s", err.msg);
    else
        buf_printf(&b, "%s read again: %d key%s", s->opt.key_file, n, n == 1 ? "" : "s");
    s->opt.say(buf_z(&b));
    buf_done(&b);
}

/* Until SIGTERM or SIGINT: then what is being answered is finished, within a limit; a second signal ends that too. */
static void wait_for_end(struct server *s, const sigset_t *set)
{
    struct timespec second = {.tv_sec = 0, .tv_nsec = 50000000};
    struct metrics n;
    int got = 0;
    while (sigwait(set, &got) == 0 && got == SIGHUP) reload(s);
    atomic_store(&s->draining, 1);
    s->opt.say("finishing what is being answered; another signal ends it now");
    http_stop_listening(s->http);
    for (int i = 0; i < s->opt.drain_s * 20; i++) {
        sched_look(s->sched, &n);
        if ((n.running == 0 && shelf_waiting(&s->shelf) == 0) || sigtimedwait(set, NULL, &second) > 0) break;
    }
    sched_drain(s->sched, 0);
}

int server_run(const struct server_options *opt, struct lar_err *err)
{
    struct server s = {.opt = *opt, .sandbox = {.ruleset = -1}};
    struct buf line = {0};
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (opt->key_file || opt->tls_cert) sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, &old); /* before there are threads, so that none of them gets these */
    int rc = open_all(&s, err);
    if (rc == 0) {
        buf_printf(&line, "listening on %s", http_address(s.http));
        opt->say(buf_z(&line));
        wait_for_end(&s, &set);
    }
    stock_close(s.stock);
    shelf_stop(&s.shelf);
    reading_close(s.reading);
    sched_close(s.sched);
    http_close(s.http);
    disk_last(s.disk);
    shelf_close(&s.shelf);
    disk_close(s.disk); /* writes what the shelf let go */
    kept_close(s.kept);
    trace_close(s.trace);
    keys_close(s.keys);
    sandbox_done(&s.sandbox);
    buf_done(&s.cert);
    forget(&s.cert_key);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    buf_done(&line);
    return rc;
}
