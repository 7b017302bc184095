#include "identity/password.h"

#include <sodium.h>

#include "base/banned.h"

#define PASSES 2
#define MEMORY (UINT64_C(19) * 1024 * 1024)
#define RANDOM_BYTES 15

/* The hash of a password that nobody knows, with the parameters of real ones. */
static const char DUMMY[] = "$argon2id$v=19$m=19456,t=2,p=1$MlvlD22ELkwaXL9A1F0PLQ$"
                            "Sv70HyqhksXYmvxlgm/k2rC1hwwKsVmhEmGq8NRcFuw";

enum err password_hash(struct ctx *cx, struct str password, struct str *hash) {
    char text[crypto_pwhash_STRBYTES];
    if (crypto_pwhash_str_alg(text, password.p, password.n, PASSES, MEMORY, crypto_pwhash_ALG_ARGON2ID13))
        return fail(cx, ERR_MEMORY, "There is no memory to hash a password just now.");
    struct str copy = str_dup(cx->mem, str_of(text));
    if (!copy.p)
        return fail(cx, ERR_MEMORY, "There is no memory to hash a password just now.");
    *hash = copy;
    return OK;
}

bool password_verify(struct str password, struct str hash) {
    char text[crypto_pwhash_STRBYTES] = {0};
    bool known = hash.p && hash.n < sizeof(text);
    struct str against = known ? hash : (struct str){DUMMY, sizeof(DUMMY) - 1};
    memcpy(text, against.p, against.n);
    bool fits = crypto_pwhash_str_verify(text, password.p ? password.p : "", password.n) == 0;
    return known && fits;
}

struct str password_random(struct ctx *cx) {
    unsigned char bytes[RANDOM_BYTES];
    randombytes_buf(bytes, sizeof(bytes));
    return base64url_encode(cx->mem, (struct bytes){bytes, sizeof(bytes)});
}
