/* Follows the chain of the audit trail from its beginning and tells what does not fit: rows that were
 * changed, taken out, put in or exchanged, and batches and a head that are not what the sealer left. */
#ifndef IDENTITY_AUDIT_VERIFY_H
#define IDENTITY_AUDIT_VERIFY_H

#include "db/db.h"

#define AUDIT_FINDINGS_MAX 1000

struct audit_finding {
    int64_t batch;
    struct optional_int row;
    struct uuid organisation;
    struct instant recorded_at;
    struct str actor, action, target, problem;
};

struct audit_report {
    int64_t batches, rows; /* followed */
    struct str head;       /* hexadecimal */
    struct instant sealed_at;
    int64_t unsealed;
    struct instant unsealed_since;
    struct list findings; /* at most AUDIT_FINDINGS_MAX */
};
extern const struct schema AUDIT_REPORT;

/* Outside a transaction: it reads in pieces. anchor: a head that was kept elsewhere and must be part of the
 * chain, or no value. */
MUST_USE enum err audit_verify(struct ctx *cx, struct bytes anchor, struct audit_report *out);

#endif
