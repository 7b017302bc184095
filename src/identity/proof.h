/* Proofs: what a token proved, kept for one second so that the requests of a busy caller need neither
 * cryptography nor the database. A bounded table; a full one forgets its oldest. The token itself is not
 * kept, only its hash under a key of this process. Thread-safe: short locks over parts of the table. */
#ifndef IDENTITY_PROOF_H
#define IDENTITY_PROOF_H

#include "base/ctx.h"
#include "identity/email.h"

#define PROOF_LIFE_US US_PER_S

struct proof {
    struct uuid org, user;
    enum role role;
    struct str email;
    struct instant expires_at; /* of the token */
};
struct proof_key {
    unsigned char b[16];
};

struct proofs;
struct proofs *proofs_new(void); /* NULL when memory is out */
void proofs_free(struct proofs *p);
struct proof_key proofs_key(const struct proofs *p, struct str token);
/* Only if it is younger than PROOF_LIFE_US at steady (clock_steady) and the token lives at now. email goes to
 * mem. */
bool proofs_find(struct proofs *p, struct proof_key key, int64_t steady, struct instant now,
                 struct arena *mem, struct proof *out);
/* Forgets all: after a user or a token has changed in this process. A proof that was read before the change
 * and is added after it does not count: era is what proofs_era gave before the reading. */
void proofs_forget(struct proofs *p);
uint64_t proofs_era(const struct proofs *p);
void proofs_add(struct proofs *p, struct proof_key key, int64_t steady, uint64_t era,
                const struct proof *proof);

#endif
