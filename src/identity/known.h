/* What is known of users without asking the database: all of them and the tokens that were ended, as of the
 * last look, which the pulse takes several times a second (net/pulse.h). The copy is made anew only when the
 * directory's version has grown. */
#ifndef IDENTITY_KNOWN_H
#define IDENTITY_KNOWN_H

#include "identity/proof.h"

#include "db/db.h"

struct known;
struct known *known_new(void); /* NULL when memory is out */
void known_free(struct known *k);
/* In a read transaction. A look that is older than one that is there already changes nothing. */
MUST_USE enum err known_refresh(struct ctx *cx, struct known *k);

/* KNOWN_UNSEEN: the token is younger than the last look and its user not known; another process may have made
 * him just now. KNOWN_STALE: the last look is too long ago, or there was none. */
enum knowledge { KNOWN, KNOWN_NOT, KNOWN_UNSEEN, KNOWN_STALE };
/* Whether user and token of a proof hold; role and email (into mem) as they are now. */
enum knowledge known_find(struct known *k, const struct proof *p, struct arena *mem, enum role *role,
                          struct str *email);

#endif
