/* SPDX-License-Identifier: Apache-2.0
 * store/parts.c: split models. Their parts find each other by their files' names, which blobs have not: so a folder of links under the right
 * names lies beside the blobs. The layers' names come from strangers; only what is a part's name, without a slash, becomes a link. */
#include <errno.h>
#include <unistd.h>

#include "base/err.h"
#include "store/impl.h"

int layer_part(const struct layer *l)
{
    struct str s = l->name;
    if (!str_ends(s, STR(".gguf")) || memchr(s.p, '/', s.n) || s.p[0] == '.' || s.n > 200) return 0;
    s.n -= 5;
    size_t n = s.n;
    int part = places_cut_part(&s);
    return s.n < n ? part : 0;
}

void parts_path(const char *root, const struct layer *first, struct buf *b)
{
    buf_printf(b, "%s/parts/%s/", root, first->digest);
    buf_str(b, first->name);
}

int parts_link(struct store *s, const struct manifest *m, struct lar_err *err)
{
    struct buf folder = {0}, path = {0}, to = {0};
    const struct layer *first = NULL;
    int e = 0;
    for (size_t i = 0; i < m->n; i++)
        if (layer_is(&m->layer[i], "model") && layer_part(&m->layer[i]) == 1) first = &m->layer[i];
    if (!first) return 0;
    buf_printf(&folder, "%s/parts/%s", s->root, first->digest);
    e = folder.failed ? lar_fail(err, LAR_ENOMEM, "store: out of memory")
                      : disk_folders(buf_z(&folder), err);
    for (size_t i = 0; e == 0 && i < m->n; i++) {
        const struct layer *l = &m->layer[i];
        if (!layer_is(l, "model") || !layer_part(l)) continue;
        buf_clear(&path);
        buf_clear(&to);
        buf_printf(&path, "%s/", buf_z(&folder));
        buf_str(&path, l->name);
        buf_printf(&to, "../../blobs/sha256-%s", l->digest);
        if (path.failed || to.failed)
            e = lar_fail(err, LAR_ENOMEM, "store: out of memory");
        else if (symlink(buf_z(&to), buf_z(&path)) && errno != EEXIST)
            e = lar_fail_errno(err, "%s: cannot be made", buf_z(&path));
    }
    if (e == 0) disk_sync_folder(buf_z(&folder));
    buf_done(&folder);
    buf_done(&path);
    buf_done(&to);
    return e;
}
