/* What identity keeps as long as the process lives, and its counters. For the files of this folder. */
#ifndef IDENTITY_STATE_H
#define IDENTITY_STATE_H

#include "base/metrics.h"
#include "identity/identity.h"
#include "identity/known.h"
#include "identity/proof.h"
#include "identity/throttle.h"
#include "identity/token.h"

#define SECRET_MIN 32 /* bytes of a secret, in production */

struct identity {
    struct token_key *key;
    struct proofs *proofs;
    struct known *known;
    struct throttle *throttle;
    organisation_created_fn *on_organisation;
};

struct identity *identity_of(const struct ctx *cx);
/* After a user or a token has changed: looks at once, so that the next request here sees it. */
void identity_changed(struct ctx *cx);

enum identity_metric { LOGINS, PROOFS, IDENTITY_METRICS_N };
extern const struct metric IDENTITY_METRICS[IDENTITY_METRICS_N];
void identity_count(const struct ctx *cx, enum identity_metric metric, struct str label);

/* The token of the request's one Authorization header; false when there is none or it is not of that form. */
bool bearer_token(const struct request *rq, struct str *token);

#endif
