/* SPDX-License-Identifier: Apache-2.0
 *
 * net/crypto.h: the two things that Ollama's registry asks of whoever pushes: a signature by an Ed25519 key, and MD5 of what is sent. Both come from
 * OpenSSL's libcrypto, loaded when first wanted (as libcurl is, see curl.h).
 */
#ifndef NET_CRYPTO_H
#define NET_CRYPTO_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Reads an Ed25519 key as OpenSSH writes it (openssh/openssh-portable, PROTOCOL.key), without a passphrase, and appends to out "KEY:SIGNATURE": the
 * public key in OpenSSH's form and the signature of text, both in base64. */
int crypto_sign(const char *key_file, struct str text, struct buf *out, struct lar_err *err);
enum { CRYPTO_MD5 = 16 };
/* Of n bytes of a file, from `from` on. */
int crypto_md5_file(int fd, uint64_t from, uint64_t n, unsigned char out[CRYPTO_MD5],
                    struct lar_err *err);
int crypto_md5(const void *p, size_t n, unsigned char out[CRYPTO_MD5], struct lar_err *err);
void crypto_base64(const void *p, size_t n, struct buf *out);

#endif
