/* Tokens: the input as it is, and, so that the fuzzer gets past the signature, "header\npayload" rightly
 * signed. */
#include "identity/token.h"

#include <assert.h>

#include "../unit/identity/signed_token.h"

#include "base/banned.h"

#define SECRET "a secret of the fuzzer that is long enough"
#define NOW_S INT64_C(1800000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct ctx *cx, const struct token_key *key, struct str token, bool may_hold) {
    struct claims c;
    fault_clear(cx);
    enum err e = token_verify(cx, key, token, &c);
    if (e) {
        assert(e == ERR_UNAUTHENTICATED && cx->fault.code == e);
        return;
    }
    assert(may_hold && token.n <= TOKEN_MAX);
    assert(!uuid_is_nil(c.sub) && !uuid_is_nil(c.org_id) && !uuid_is_nil(c.jti));
    assert(c.exp > NOW_S && c.exp > c.iat && c.iat <= NOW_S + 60);
    assert(str_eq(c.iss, S("entrepot")) && str_eq(c.aud, S("entrepot")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ctx cx = {.mem = arena_new(4 << 20), .now = {NOW_S * US_PER_S}};
    struct token_key *key = NULL;
    struct str input = {(const char *)data, size}, header, payload;
    if (!cx.mem ||
        token_key_new(&cx, (struct bytes){(const unsigned char *)SECRET, sizeof(SECRET) - 1}, &key))
        return 0;
    check(&cx, key, input, false);
    if (str_cut(input, '\n', &header, &payload))
        check(&cx, key, signed_token(cx.mem, header, payload, S(SECRET)), true);
    token_key_free(key);
    arena_free(cx.mem);
    return 0;
}
