/* The active webhook secrets. A setting may hold several, so that they can be rotated, each for one
 * organisation ("slug:secret"); one without a prefix belongs to the oldest. Organisations come and go while
 * the server runs: the pulse looks several times a second whether they have (module.refresh), and requests go
 * by what it saw. */
#ifndef CORE_SECRETS_H
#define CORE_SECRETS_H

#include "base/ctx.h"
#include "base/list.h"

struct secrets;
struct secrets *secrets_new(struct list texts); /* of struct str, copied; NULL when memory is out */
void secrets_free(struct secrets *s);

/* In a read transaction, by one thread: whose the secrets are now. Until it has been called they are
 * nobody's. */
MUST_USE enum err secrets_refresh(struct ctx *cx, struct secrets *s);

/* Which organisation's secret signs body with this signature (hexadecimal HMAC-SHA256), and the how manieth
 * of the setting it is, from 1. found is false for a signature that is empty, short, not hexadecimal or
 * simply wrong; every secret is tried in constant time. */
MUST_USE enum err secrets_verify(struct ctx *cx, struct secrets *s, struct str signature, struct str body,
                                 struct uuid *org, int64_t *which, bool *found);

#endif
