/* Tokens whose signature has been verified, so that the next request with one costs a look-up and no
 * cryptography. What a proof says stands until the token expires; whether user and token still hold is asked
 * each time (known.h). A fixed table: a full set forgets what was used longest ago. Any thread. */
#ifndef IDENTITY_PROOF_H
#define IDENTITY_PROOF_H

#include "base/ctx.h"

struct proof {
    struct uuid org, user, jti;
    struct instant issued; /* the end of the second that the token names: it has whole seconds only */
    struct instant expires_at;
};
struct proof_key {
    unsigned char b[16];
};

struct proofs;
struct proofs *proofs_new(void); /* NULL when memory is out */
void proofs_free(struct proofs *p);
struct proof_key proofs_key(const struct proofs *p, struct str token);
/* Only if the token lives at now. steady: clock_steady, to know what was used last. */
bool proofs_find(struct proofs *p, struct proof_key key, int64_t steady, struct instant now,
                 struct proof *out);
void proofs_add(struct proofs *p, struct proof_key key, int64_t steady, const struct proof *proof);

#endif
