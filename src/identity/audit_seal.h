/* The sealer: chains the audit rows that have been committed, in batches. Any number of processes may try; a
 * lease says which one does, its token fences off one that has lost it, and the chain's head moves on only
 * from where it was found. A crash leaves a batch whole or not at all. */
#ifndef IDENTITY_AUDIT_SEAL_H
#define IDENTITY_AUDIT_SEAL_H

#include "base/metrics.h"
#include "db/db.h"

struct audit_sealed {
    int64_t batches, rows; /* sealed by this call */
    bool elsewhere;        /* another process holds the lease */
};
/* Seals what is committed and cannot be preceded any more. Outside a transaction; waits on the database. */
MUST_USE enum err audit_seal_all(struct ctx *cx, struct audit_sealed *out);

struct sealer;
/* A thread that seals once a second. cx gives log, clock, database and modules, which outlive it. */
MUST_USE enum err sealer_start(const struct ctx *cx, struct sealer **out);
void sealer_stop(struct sealer *s); /* after a last sealing; takes NULL */

enum { AUDIT_SEALED, AUDIT_BATCH, AUDIT_FAILURES, AUDIT_METRICS_N };
extern const struct metric AUDIT_METRICS[AUDIT_METRICS_N];

#endif
