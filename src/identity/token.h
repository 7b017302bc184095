/* Bearer tokens: JWT (RFC 7519) in compact form, HS256 and nothing else (RFC 8725). A token says who asks;
 * what he may do is read from the database. The algorithm is fixed before the signature is looked at: a
 * header other than
 * {"alg":"HS256"} with or without "typ":"JWT" (so any kid, crit, jku, jwk …) is refused. */
#ifndef IDENTITY_TOKEN_H
#define IDENTITY_TOKEN_H

#include "base/schema.h"

#define TOKEN_MAX 8192
#define TOKEN_LIFE_US (24 * 3600 * US_PER_S)
#define TOKEN_SKEW_US (60 * US_PER_S) /* how far the clock of the machine that issued it may be ahead */

struct token_key;
/* secret is used as it is (HS256's key). */
MUST_USE enum err token_key_new(struct ctx *cx, struct bytes secret, struct token_key **out);
/* A key of its own for each use of the one master secret: HKDF-SHA256 (RFC 5869). */
void token_key_derive(struct str master, unsigned char out[static 32]);
void token_key_free(struct token_key *k);

struct claims {
    struct uuid sub, org_id, jti;
    struct str iss, aud;
    struct json roles; /* for those who read tokens; this server asks the database */
    int64_t iat, exp;  /* seconds, as JWT has them */
    struct optional_int nbf;
};

/* From cx->now on, for TOKEN_LIFE_US; expires_at in whole seconds. */
MUST_USE enum err token_issue(struct ctx *cx, const struct token_key *k, struct uuid user, struct uuid org,
                              struct str role, struct str *token, struct instant *expires_at);
/* ERR_UNAUTHENTICATED, with the reason as cause. Any thread. */
MUST_USE enum err token_verify(struct ctx *cx, const struct token_key *k, struct str token,
                               struct claims *out);

#endif
