/* The audit log: who did what to which thing, before and after, when; append-only. Written in the transaction
 * of the change; rows are unchained here, a sealer chains them in batches. */
#ifndef IDENTITY_AUDIT_H
#define IDENTITY_AUDIT_H

#include "db/db.h"

/* action: "item.create"; target: the thing's key. before, after: JSON or no value. */
MUST_USE enum err audit_write(struct ctx *cx, struct str action, struct str target, struct json before,
                              struct json after);
/* The same as a step of db_steps. */
MUST_USE enum err audit_step(struct ctx *cx, struct str action, struct str target, struct json before,
                             struct json after, struct step *out);

/* An object as its OUT fields, for before and after. No value when memory is out. */
struct json audit_json(struct ctx *cx, const struct schema *s, const void *object);

#endif
