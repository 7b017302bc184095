/* Identity: organisations, users, passwords, tokens. Users belong to one organisation; an e-mail address is
 * unique over all. Log-in gives a JWT (HS256, 24 h); every request proves itself by one. Users and
 * ended tokens are kept in memory and looked at again several times a second, so that a disabled user or a
 * changed role takes effect within a second, in the process that changed it at once. */
#ifndef IDENTITY_IDENTITY_H
#define IDENTITY_IDENTITY_H

#include "base/module.h"
#include "base/settings.h"
#include "db/db.h"
#include "net/route.h"

struct organisation {
    struct uuid id;
    struct str slug, name;
    struct instant created_at;
};
extern const struct schema ORGANISATION;

struct identity; /* keys, the cache of proofs, the log-in throttle */
/* The module's start and stop call these. ERR_USAGE where no good secret is set; only a local server makes
 * its own. */
MUST_USE enum err identity_new(struct ctx *cx, const struct settings *settings, struct identity **out);
void identity_free(struct identity *id);
/* A key for another purpose, named by label, from the server's master secret: the same in every process that
 * has the same settings. */
MUST_USE enum err identity_derive(struct ctx *cx, struct str label, unsigned char out[static 32]);
/* authenticate_fn. Never asks the database: who is there is known from the last look, which the module's
 * refresh takes. ERR_UNAVAILABLE when that is too long ago. */
enum err identity_authenticate(struct ctx *cx, const struct request *rq, void *identity);

/* In a transaction: a number that grows with every change of organisations, users and ended tokens, for those
 * who keep copies of them. */
MUST_USE enum err directory_version(struct ctx *cx, int64_t *out);

/* In a transaction. By slug or by name (exactly); ERR_NOT_FOUND. */
MUST_USE enum err organisation_find(struct ctx *cx, struct str slug_or_name, struct organisation *out);
/* In a transaction: what the operator asks for is for this organisation from here on, by slug or by name; no
 * value: the oldest. ERR_NOT_FOUND. */
MUST_USE enum err organisation_choose(struct ctx *cx, struct str slug_or_name);
/* Finds or creates; created says which. The slug is made from the name ("Demo Company" → "demo-company").
 * Creating does not give it places or items: core's seed does. */
MUST_USE enum err organisation_ensure(struct ctx *cx, struct str name, struct organisation *out,
                                      bool *created);
/* All, oldest first (created_at, id): the first owns settings that name no organisation. Needs a transaction.
 */
MUST_USE enum err organisation_list(struct ctx *cx, struct list *out);
/* Whose an item of a setting is: "slug:value" belongs to the organisation with the slug, anything else whole
 * to the oldest. orgs: of organisation_list, not empty. Gives the value. */
struct str organisation_owner(const struct list *orgs, struct str item, struct uuid *org);
/* Called in the transaction that creates an organisation, with cx->actor.org set to it; the app sets it
 * (core's seed of places), so that identity need not know the core. */
typedef enum err organisation_created_fn(struct ctx *cx, const struct organisation *org);
void identity_on_organisation(struct identity *id, organisation_created_fn *hook);

extern const struct module IDENTITY_MODULE;

#endif
