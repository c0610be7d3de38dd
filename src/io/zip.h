/* SPDX-License-Identifier: Apache-2.0
 *
 * io/zip.h: the entries of a zip archive that are stored as they are (PKWARE APPNOTE 6.3.10, with the 64-bit records). What is compressed,
 * encrypted, twice there, or called one thing in its own header and another in the directory is refused: such an archive means different
 * things to different readers.
 */
#ifndef IO_ZIP_H
#define IO_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

struct zip_entry {
    struct str name;
    const uint8_t *data;
    uint64_t bytes;
};

struct zip {
    struct zip_entry *entry; /* n of them, sorted by name */
    size_t n;
};

/* p[n] outlives z; tables come from a. file is for messages. */
int zip_open(struct zip *z, const uint8_t *p, size_t n, const char *file, struct arena *a, struct lar_err *err);
const struct zip_entry *zip_find(const struct zip *z, struct str name);

#endif
