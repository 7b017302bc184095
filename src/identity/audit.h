/* The audit trail: who did what to which thing, before and after, when, by which request; append-only. A row
 * is written in the transaction of the change and thinks nothing of the chain; audit_seal.c chains rows in
 * batches, audit_verify.c finds what does not fit. What before and after hold comes from the resource's field
 * list (its OUT fields), so a password or a secret, which is in no answer, is in no row. */
#ifndef IDENTITY_AUDIT_H
#define IDENTITY_AUDIT_H

#include "base/module.h"
#include "db/db.h"

/* action: "item.create", the kind of thing and what was done to it; target: the thing's key. before: NULL for
 * one that is new, after: NULL for one that is gone. Of a change only the fields that differ are kept. */
MUST_USE enum err audit_change(struct ctx *cx, struct str action, struct str target, const struct schema *s,
                               const void *before, const void *after);
/* The same where before and after are no objects of one schema: JSON or no value. */
MUST_USE enum err audit_write(struct ctx *cx, struct str action, struct str target, struct json before,
                              struct json after);
/* The same as a step of db_steps. */
MUST_USE enum err audit_step(struct ctx *cx, struct str action, struct str target, struct json before,
                             struct json after, struct step *out);

/* What cx's actor did, as one more row of what several did at once. */
MUST_USE enum err audit_add(struct steps *rows, struct ctx *cx, struct str action, struct str target,
                            struct json before, struct json after);

/* An object as its OUT fields, for before and after. What does not fit in memory has no text, and is refused
 * by audit_write: nothing is recorded with less than what it was. */
struct json audit_json(struct ctx *cx, const struct schema *s, const void *object);

/* A row as it is shown. */
struct audit_entry {
    struct uuid id;
    struct instant recorded_at;
    struct str actor, action, target;
    struct json before, after;
    struct str request_id;
};
extern const struct schema AUDIT_ENTRY;

extern const struct module AUDIT_MODULE;

#endif
