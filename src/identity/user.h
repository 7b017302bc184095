/* Users: people who may log in, each of one organisation, named by an e-mail address that is unique over all.
 * An organisation always keeps an owner who is not disabled; the statements see to it. */
#ifndef IDENTITY_USER_H
#define IDENTITY_USER_H

#include "db/db.h"

struct user {
    struct uuid id;
    struct str email, name, role;
    bool disabled;
    struct instant created_at, updated_at;
    struct str password; /* as it came in; only its hash is stored */
};
extern const struct schema USER;

/* The password's hash, or no value for a user who cannot log in by one yet. Slow; not in a transaction. */
MUST_USE enum err user_hash(struct ctx *cx, struct str password, struct str *hash);
/* In a transaction, for cx's organisation: fills in id and times, stores, writes the audit row. ERR_CONFLICT
 * where the address is taken. */
MUST_USE enum err user_insert(struct ctx *cx, struct user *u, struct str hash);

#endif
