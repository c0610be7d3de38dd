/* SPDX-License-Identifier: Apache-2.0
 * serve/blobs.c: see blobs.h. */
#include "serve/blobs.h"

#include "base/mem.h"
#include "serve/ollama.h"
#include "store/name.h"
#include "store/store.h"

static const char root[] = "/api/blobs/";

struct blob {
    struct store *store;
    struct store_blob_writer *writer; /* NULL: the store has it already */
    char hex[SHA256_HEX + 1];
    struct lar_err err;
    int rc;
};

int blobs_wants(const struct http_call *c)
{
    return strcmp(http_method(c), "POST") == 0 && strncmp(http_path(c), root, sizeof root - 1) == 0;
}

static int digest_of(const struct http_call *c, char hex[SHA256_HEX + 1], struct lar_err *err)
{
    struct str s = str_of(http_path(c) + sizeof root - 1);
    if (name_digest(s, hex) == 0) return 0;
    return lar_fail(err, LAR_EINVAL, "'%.*s' is no digest: sha256: and 64 hexadecimal digits",
                    STR_ARG(s));
}

struct blob *blobs_begin(const struct http_call *c, struct lar_err *err)
{
    struct blob *b = mem_zalloc(sizeof *b);
    if (!b) lar_fail(err, LAR_ENOMEM, "out of memory");
    int rc = b ? digest_of(c, b->hex, err) : LAR_ENOMEM;
    if (rc == 0) rc = store_open(&b->store, NULL, err);
    if (rc == 0 && !store_blob(b->store, b->hex, NULL, NULL))
        rc = store_blob_begin(b->store, &b->writer, err);
    if (rc == 0) return b;
    blobs_free(b);
    return NULL;
}

void blobs_piece(struct blob *b, const char *data, size_t n)
{
    if (b->rc == 0 && b->writer) b->rc = store_blob_write(b->writer, data, n, &b->err);
}

void blobs_end(struct blob *b, struct http_call *c)
{
    char hex[SHA256_HEX + 1];
    struct buf text = {0};
    if (b->rc == 0 && b->writer) b->rc = store_blob_end(b->writer, b->hex, hex, &b->err);
    int status = b->rc < 0 ? job_status(b->rc) : b->writer ? 201 : 200;
    if (b->rc < 0) ollama_error(&text, status, b->err.msg);
    http_reply(c, status, b->rc < 0 ? "application/json" : "text/plain", buf_view(&text));
    buf_done(&text);
}

void blobs_free(struct blob *b)
{
    if (!b) return;
    store_blob_close(b->writer);
    store_close(b->store);
    mem_free(b);
}

void blobs_look(struct http_call *c)
{
    char hex[SHA256_HEX + 1];
    struct store *s = NULL;
    struct lar_err err = {0};
    struct buf text = {0};
    int rc = digest_of(c, hex, &err), found = 0;
    if (rc == 0) rc = store_open(&s, NULL, &err);
    if (rc == 0) found = store_blob(s, hex, NULL, NULL);
    store_close(s);
    if (rc < 0 || !found) ollama_error(&text, 404, rc < 0 ? err.msg : "there is no such blob");
    http_reply(c, rc < 0 ? job_status(rc) : found ? 200 : 404, "application/json", buf_view(&text));
    buf_done(&text);
}
