#include "identity/vault.h"

#include "base/arena.h"
#include "identity/identity.h"

#include <sodium.h>
#include <string.h>

#include "base/banned.h"

/* A sealed text: the version of this form, a nonce, the cipher text with its tag. */
#define FORM 1
#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HEAD (1 + NONCE)
_Static_assert(VAULT_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "the cipher's key");

enum err vault_begin(struct ctx *cx, struct str purpose, struct vault *out) {
    return identity_derive(cx, purpose, out->key);
}

void vault_end(struct vault *v) { sodium_memzero(v->key, sizeof(v->key)); }

enum err vault_seal(struct ctx *cx, const struct vault *v, struct str about, struct str secret,
                    struct bytes *out) {
    unsigned char *sealed = NEW_N(cx->mem, unsigned char, HEAD + secret.n + TAG);
    unsigned long long n = 0;
    if (!sealed)
        return fail(cx, ERR_MEMORY, "The secret does not fit in memory.");
    sealed[0] = FORM;
    randombytes_buf(sealed + 1, NONCE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + HEAD, &n, (const unsigned char *)secret.p, secret.n,
                                               (const unsigned char *)about.p, about.n, NULL, sealed + 1,
                                               v->key);
    *out = (struct bytes){sealed, HEAD + (size_t)n};
    return OK;
}

struct str vault_open(struct arena *mem, const struct vault *v, struct str about, struct bytes sealed) {
    unsigned long long n = 0;
    if (sealed.n < HEAD + TAG || sealed.p[0] != FORM)
        return (struct str){0};
    unsigned char *plain = NEW_N(mem, unsigned char, sealed.n - HEAD);
    if (!plain || crypto_aead_xchacha20poly1305_ietf_decrypt(plain, &n, NULL, sealed.p + HEAD,
                                                             sealed.n - HEAD, (const unsigned char *)about.p,
                                                             about.n, sealed.p + 1, v->key))
        return (struct str){0};
    return (struct str){(const char *)plain, (size_t)n};
}
