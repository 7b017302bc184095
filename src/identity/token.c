#include "identity/token.h"

#include "base/json.h"

#include <cjose/cjose.h>
#include <sodium.h>

#include "base/banned.h"

#define ISSUER "entrepot"
#define LAST_SECOND INT64_C(253402300799) /* of the year 9999 */
#define SIGNATURE_BYTES 32

static const char *const ALGORITHMS[] = {"HS256", NULL};
static const char *const TYPES[] = {"JWT", NULL};
static const char *const ISSUERS[] = {ISSUER, NULL};

struct head {
    struct str alg, typ;
};
static const struct field HEAD_FIELDS[] = {
    FIELD(struct head, alg, CREATE | REQUIRED, "The one algorithm.", .one_of = ALGORITHMS),
    FIELD(struct head, typ, CREATE, "What it is.", .one_of = TYPES),
};
static const struct schema HEAD = SCHEMA(struct head, "TokenHead", HEAD_FIELDS);

#define CLAIM (CREATE | OUT | REQUIRED)
static const struct field CLAIMS_FIELDS[] = {
    FIELD(struct claims, sub, CLAIM, "The user."),
    FIELD(struct claims, org_id, CLAIM, "His organisation."),
    FIELD(struct claims, roles, CLAIM, "His roles when it was issued.", .max = 1000),
    FIELD(struct claims, iss, CLAIM, "Who issued it.", .one_of = ISSUERS),
    FIELD(struct claims, aud, CLAIM, "Whom it is for.", .one_of = ISSUERS),
    FIELD(struct claims, iat, CLAIM, "Issued at.", .min = 0, .max = LAST_SECOND),
    FIELD(struct claims, nbf, CREATE, "Not before.", .min = 0, .max = LAST_SECOND),
    FIELD(struct claims, exp, CLAIM, "Expires at.", .min = 0, .max = LAST_SECOND),
    FIELD(struct claims, jti, CLAIM, "Its own name, to revoke it by."),
};
static const struct schema CLAIMS = SCHEMA(struct claims, "Claims", CLAIMS_FIELDS);

struct token_key {
    cjose_jwk_t *jwk;
};

static void drop_jwk(cjose_jwk_t **p) { cjose_jwk_release(*p); }
static void drop_jws(cjose_jws_t **p) { cjose_jws_release(*p); }
static void drop_header(cjose_header_t **p) { cjose_header_release(*p); }

enum err token_key_new(struct ctx *cx, struct bytes secret, struct token_key **out) {
    cjose_jwk_t *jwk __attribute__((cleanup(drop_jwk))) = cjose_jwk_create_oct_spec(secret.p, secret.n, NULL);
    struct token_key *k = calloc(1, sizeof(*k));
    if (!jwk || !k) {
        free(k);
        return fail(cx, ERR_MEMORY, "There is no memory for the key of tokens.");
    }
    k->jwk = cjose_jwk_retain(jwk, NULL);
    *out = k;
    return OK;
}

void token_key_derive(struct str master, unsigned char out[static 32]) {
    static const unsigned char INFO[] = "entrepot tokens HS256\1"; /* the last byte is HKDF's counter */
    static const unsigned char SALT[crypto_auth_hmacsha256_KEYBYTES] = {0};
    unsigned char prk[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256(prk, (const unsigned char *)master.p, master.n, SALT);
    crypto_auth_hmacsha256(out, INFO, sizeof(INFO) - 1, prk);
    sodium_memzero(prk, sizeof(prk));
}

void token_key_free(struct token_key *k) {
    if (!k)
        return;
    cjose_jwk_release(k->jwk);
    free(k);
}

static enum err sign(struct ctx *cx, const struct token_key *k, struct str payload, struct str *token) {
    cjose_header_t *head __attribute__((cleanup(drop_header))) = cjose_header_new(NULL);
    const char *text = NULL;
    if (!head || !cjose_header_set(head, CJOSE_HDR_ALG, CJOSE_HDR_ALG_HS256, NULL) ||
        !cjose_header_set(head, "typ", "JWT", NULL))
        return fail(cx, ERR_MEMORY, "There is no memory to sign a token.");
    cjose_jws_t *jws __attribute__((cleanup(drop_jws))) =
        cjose_jws_sign(k->jwk, head, (const uint8_t *)payload.p, payload.n, NULL);
    if (!jws || !cjose_jws_export(jws, &text, NULL))
        return fail(cx, ERR_INTERNAL, "A token could not be signed.");
    struct str copy = str_dup(cx->mem, str_of(text));
    if (!copy.p)
        return fail(cx, ERR_MEMORY, "There is no memory to sign a token.");
    *token = copy;
    return OK;
}

enum err token_issue(struct ctx *cx, const struct token_key *k, struct uuid user, struct uuid org,
                     struct str role, struct str *token, struct instant *expires_at) {
    struct claims c = {
        .sub = user, .org_id = org, .jti = uuid_new(cx->now), .iss = S(ISSUER), .aud = S(ISSUER)};
    c.roles.text = str_printf(cx->mem, "[\"%.*s\"]", STR_FMT(role));
    c.iat = cx->now.us / US_PER_S;
    c.exp = c.iat + TOKEN_LIFE_US / US_PER_S;
    struct buf payload = buf_new(cx->mem, TOKEN_MAX);
    schema_encode(&CLAIMS, OUT, &c, &payload);
    if (payload.failed || !c.roles.text.p)
        return fail(cx, ERR_MEMORY, "There is no memory to sign a token.");
    enum err e = sign(cx, k, buf_str(&payload), token);
    if (!e)
        *expires_at = (struct instant){c.exp * US_PER_S};
    return e;
}

static enum err refuse(struct ctx *cx, const char *why) {
    fault_clear(cx);
    fail(cx, ERR_UNAUTHENTICATED, "The token is not valid or no longer valid; log in again.");
    return fail_cause(cx, ERR_UNAUTHENTICATED, "%s", why);
}

/* Base64url in its one canonical spelling, so that no two tokens are the same token. */
static bool decode(struct ctx *cx, struct str part, struct bytes *out) {
    return base64url_decode(cx->mem, part, out) && str_eq(base64url_encode(cx->mem, *out), part);
}

static const char *check_form(struct ctx *cx, struct str token) {
    struct str first, rest, second, third, more;
    struct bytes head, payload, signature;
    if (token.n > TOKEN_MAX)
        return "the token is too long";
    if (!str_cut(token, '.', &first, &rest) || !str_cut(rest, '.', &second, &third) ||
        str_cut(third, '.', &more, &more))
        return "the token has not three parts";
    if (!decode(cx, first, &head) || !decode(cx, second, &payload) || !decode(cx, third, &signature))
        return "a part is not base64url";
    struct head h;
    if (schema_decode(cx, &HEAD, CREATE, REFUSE_UNKNOWN, (struct str){(const char *)head.p, head.n}, &h,
                      NULL))
        return "the header is not ours";
    return signature.n == SIGNATURE_BYTES ? NULL : "the signature has a wrong length";
}

static const char *check_times(const struct ctx *cx, const struct claims *c) {
    int64_t now = cx->now.us, ahead = now + TOKEN_SKEW_US;
    if (c->exp * US_PER_S <= now)
        return "the token has expired";
    if (c->iat * US_PER_S > ahead || (c->nbf.has && c->nbf.v * US_PER_S > ahead))
        return "the token is not valid yet";
    if (c->exp <= c->iat || (c->exp - c->iat) * US_PER_S > TOKEN_LIFE_US)
        return "the token's life is not ours";
    return NULL;
}

enum err token_verify(struct ctx *cx, const struct token_key *k, struct str token, struct claims *out) {
    const char *why = check_form(cx, token);
    if (why)
        return refuse(cx, why);
    cjose_jws_t *jws __attribute__((cleanup(drop_jws))) = cjose_jws_import(token.p, token.n, NULL);
    if (!jws || !cjose_jws_verify(jws, k->jwk, NULL))
        return refuse(cx, "the signature does not fit");
    uint8_t *bytes = NULL;
    size_t n = 0;
    if (!cjose_jws_get_plaintext(jws, &bytes, &n, NULL))
        return refuse(cx, "the token has no content");
    /* The library frees its bytes; the claims' strings point into this copy. */
    struct str payload = str_dup(cx->mem, (struct str){(const char *)bytes, n});
    struct str ignored;
    struct json_reader r;
    json_begin(&r, cx->mem, payload);
    struct claims c;
    if (!json_skip(&r, &ignored) || !json_end(&r) ||
        schema_decode(cx, &CLAIMS, CREATE, IGNORE_UNKNOWN, payload, &c, NULL))
        return refuse(cx, "the claims are not ours");
    if (c.roles.text.n == 0 || c.roles.text.p[0] != '[')
        return refuse(cx, "the roles are no list");
    if ((why = check_times(cx, &c)))
        return refuse(cx, why);
    *out = c;
    return OK;
}
