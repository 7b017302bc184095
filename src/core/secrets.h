/* The active webhook secrets. A setting may hold several, so that they can be rotated, each for one
 * organisation ("slug:secret"); one without a prefix belongs to the oldest. Organisations come and go while
 * the server runs: the pulse looks several times a second whether they have (module.refresh), and requests go
 * by what it saw.
 *
 * Of each secret the database keeps when a server first had it and when it last proved a delivery, under a
 * fingerprint keyed by SECRET_KEY: whoever reads the table learns nothing of the secret. The pulse sees to
 * that as well and hands the writes to the main lane, so that no request waits for them. */
#ifndef CORE_SECRETS_H
#define CORE_SECRETS_H

#include "base/module.h"
#include "db/db.h"

/* The settings that hold secrets. */
enum secret_setting { SECRETS_DIRECT, SECRETS_TOKENS, SECRETS_SMARTSHEET, SECRET_SETTINGS };

/* Which organisation's secret of the setting signs body with this signature (hexadecimal HMAC-SHA256), and
 * the how manieth of the setting it is, from 1. found is false for a signature that is empty, short, not
 * hexadecimal or simply wrong; every secret is tried in constant time. */
MUST_USE enum err secrets_verify(struct ctx *cx, enum secret_setting of, struct str signature,
                                 struct str body, struct uuid *org, int64_t *which, bool *found);

/* For the rows of those settings: no secret is given to two organisations, whose deliveries it could not tell
 * apart. */
bool secrets_one_owner_each(const struct list *items);
#define SECRETS_RULE "gives the same secret to two organisations; each needs its own"

extern const struct module SECRETS_MODULE;

#endif
