/* SPDX-License-Identifier: Apache-2.0
 * api/image.c: sessions as bytes and as files. What they hold, and where, is in run/image.h. */
#include "run/image.h"

#include <lar/batch.h>
#include <stdio.h>
#include <sys/stat.h>

#include "api/api.h"
#include "io/filemap.h"
#include "io/outfile.h"

_Static_assert(LAR_IMAGE_ID == SHA256_HEX + 1, "an identity is a SHA-256 in hexadecimal");

static void identity(const struct lar_session *s, char id[SHA256_HEX + 1])
{
    struct lar_model *m = s->m;
    struct buf extra = {0};
    pthread_mutex_lock(&m->lock);
    if (!m->image_id[0]) image_model(m->model, m->image_id);
    pthread_mutex_unlock(&m->lock);
    buf_printf(&extra, "%s %d", lar_cpu_level(), m->model->dev->steady);
    image_identity(&s->s, m->image_id, buf_z(&extra), id);
    buf_done(&extra);
}

int lar_session_identity(const struct lar_session *s, char id[LAR_IMAGE_ID], struct lar_err *err)
{
    if (!s || !id)
        return lar_fail(err, LAR_EINVAL, "lar_session_identity: a session and room are needed");
    identity(s, id);
    return 0;
}

int lar_session_places(const struct lar_session *s, size_t place[3])
{
    return s && place ? (int)image_places(&s->s, place) : 0;
}

int64_t lar_session_pack(const struct lar_session *s, size_t from, size_t n, void *out, size_t room,
                         struct lar_err *err)
{
    char id[SHA256_HEX + 1];
    if (!s) return lar_fail(err, LAR_EINVAL, "lar_session_pack: a session is needed");
    int64_t bytes = image_bytes(&s->s, from, n, IMAGE_SLICE, err);
    if (bytes < 0 || !out || (uint64_t)bytes > room) return bytes;
    identity(s, id);
    image_write(&s->s, id, from, n, IMAGE_SLICE, out);
    return bytes;
}

int64_t lar_session_unpack(struct lar_session *s, const void *p, size_t bytes, struct lar_err *err)
{
    char id[SHA256_HEX + 1];
    if (!s || !p)
        return lar_fail(err, LAR_EINVAL, "lar_session_unpack: a session and bytes are needed");
    identity(s, id);
    return image_read(&s->s, id, p, bytes, err);
}

int lar_session_save(const struct lar_session *s, const char *path, struct lar_err *err)
{
    struct outfile f;
    char id[SHA256_HEX + 1];
    if (!s || !path)
        return lar_fail(err, LAR_EINVAL, "lar_session_save: session and path are needed");
    int64_t bytes = image_bytes(&s->s, 0, s->s.n, IMAGE_WHOLE, err);
    if (bytes < 0) return (int)bytes;
    uint8_t *p = mem_alloc((size_t)bytes);
    if (!p)
        return lar_fail(err, LAR_ENOMEM, "%s: %lld bytes of memory are not to be had", path,
                        (long long)bytes);
    identity(s, id);
    image_write(&s->s, id, 0, s->s.n, IMAGE_WHOLE, p);
    int rc = outfile_begin(&f, path, err);
    if (rc == 0 && fchmod(f.fd, 0600))
        rc = lar_fail_errno(err, "%s: cannot be kept from others' eyes", path);
    if (rc == 0) rc = outfile_write(&f, p, (size_t)bytes, err);
    if (rc == 0) rc = outfile_commit(&f, err);
    outfile_done(&f);
    mem_free(p);
    return rc;
}

int64_t lar_session_load(struct lar_session *s, const char *path, struct lar_err *err)
{
    struct filemap f;
    struct lar_err why;
    if (!s || !path)
        return lar_fail(err, LAR_EINVAL, "lar_session_load: session and path are needed");
    int64_t rc = filemap_open(&f, path, err);
    if (rc < 0) return rc;
    lar_session_reuse(s, NULL, 0);
    rc = lar_session_unpack(s, f.p ? f.p : (const uint8_t *)"", f.n, &why);
    filemap_close(&f);
    return rc < 0 ? lar_fail(err, (int)rc, "%s: %s", path, why.msg) : rc;
}
