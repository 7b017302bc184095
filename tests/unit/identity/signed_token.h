/* Makes tokens of any content, good or hostile, with code that is not the code under test. */
#ifndef TESTS_UNIT_IDENTITY_SIGNED_TOKEN_H
#define TESTS_UNIT_IDENTITY_SIGNED_TOKEN_H

#include "base/str.h"

#include <sodium.h>

/* header.payload.signature, signed with HS256 under key whatever the header says. */
static inline struct str signed_token(struct arena *mem, struct str header, struct str payload,
                                      struct str key) {
    struct str head = base64url_encode(mem, (struct bytes){(const unsigned char *)header.p, header.n});
    struct str body = base64url_encode(mem, (struct bytes){(const unsigned char *)payload.p, payload.n});
    struct str text = str_printf(mem, "%.*s.%.*s", STR_FMT(head), STR_FMT(body));
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)key.p, key.n);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)text.p, text.n);
    crypto_auth_hmacsha256_final(&state, mac);
    struct str signature = base64url_encode(mem, (struct bytes){mac, sizeof(mac)});
    return str_printf(mem, "%.*s.%.*s", STR_FMT(text), STR_FMT(signature));
}

#endif
