/* SPDX-License-Identifier: Apache-2.0
 *
 * serve/disk.h: timelines in a folder, so that a prompt that was read before a restart need not be read again.
 *
 * A timeline is cut into pages of DISK_PAGE tokens, a file each (the format is in src/run/image.h), called by a chained hash: of the model's
 * identity, then of the name before and the page's tokens. So whoever begins alike shares files, and a name says all that its contents follow
 * from. Of models with recurrent layers, whose state belongs to one place, the whole beginning up to such a place is one file.
 *
 * A file appears under its name whole (written beside, forced to the disk, renamed); what is stale, cut or damaged is removed when it is met and the
 * prompt read as usual. One thread writes: what it is given (timelines that leave the memory, all of them at the end) is kept in memory until then, at
 * most `pending` bytes of it. Above `limit` bytes the least recently used go. Folder 0700, files 0600: they tell what was said.
 */
#ifndef SERVE_DISK_H
#define SERVE_DISK_H

#include <lar/batch.h>

#include "base/buf.h"
#include "base/err.h"

enum { DISK_PAGE = 64 };

struct disk;

/* How a prompt is being read back; begins as zeros. */
struct disk_run {
    char name[LAR_IMAGE_ID]; /* of the page before */
    size_t at, end;          /* tokens: there, and to be had; end 0: nothing (any more) */
    int whole;               /* one file has all */
};

struct disk_look {
    double bytes, limit, read; /* there; at most; read back so far */
    long files, hits, misses, bad, written,
        dropped; /* pages read; not there; refused; made; given up */
};

/* Makes the folder; NULL: no cache, *out is NULL; LAR_EINVAL when another server uses it. */
int disk_open(struct disk **out, const char *folder, double limit, double pending,
              void (*say)(const char *line), struct lar_err *err);
/* Its thread; apart from disk_open, since a sandbox of files comes before threads. */
int disk_start(struct disk *d, struct lar_err *err);
/* Writes what is still to be written, and ends. NULL is allowed. */
void disk_close(struct disk *d);
/* From here on nothing is given up for want of room to wait in. */
void disk_last(struct disk *d);
/* The session is the disk's: written when there is room, then closed. d NULL: closed. */
void disk_take(struct disk *d, struct lar_session *s, double bytes);
/* Looks what of tokens (less the last) is there beyond those in s; s is cut to where that begins. */
void disk_find(struct disk *d, struct disk_run *r, struct lar_session *s, const int32_t *tokens,
               size_t n);
/* Reads the next file into s. 0: that was all, or it is damaged: r->end is 0. */
int disk_next(struct disk *d, struct disk_run *r, struct lar_session *s, const int32_t *tokens);
void disk_look(struct disk *d, struct disk_look *out);
/* Appends to a metrics page; d NULL: nothing. */
void disk_metrics(struct disk *d, struct buf *b);

#endif
