/* Secrets of others that must be kept: sealed with XChaCha20-Poly1305 under a key derived from the server's
 * master secret, bound to what they are about. Sealed by another master secret, a text does not open. */
#ifndef IDENTITY_VAULT_H
#define IDENTITY_VAULT_H

#include "base/ctx.h"

#define VAULT_KEY_BYTES 32
struct vault {
    unsigned char key[VAULT_KEY_BYTES];
};
/* One for each purpose. */
MUST_USE enum err vault_begin(struct ctx *cx, struct str purpose, struct vault *out);
void vault_end(struct vault *v);

MUST_USE enum err vault_seal(struct ctx *cx, const struct vault *v, struct str about, struct str secret,
                             struct bytes *out);
/* No value: it was not sealed so, or is damaged. */
struct str vault_open(struct arena *mem, const struct vault *v, struct str about, struct bytes sealed);

#endif
