/* Flags: what the numbers do not say. At a place the quantity of an item may be unknown: the level is what
 * the ledger has, and nobody vouches for it until an approved count has found out. An item may need a refill,
 * until some are received from a supplier. Who set or cleared a flag, when and why is in the audit trail. */
#ifndef CORE_FLAG_H
#define CORE_FLAG_H

#include "core/ledger.h"

/* These moves were posted just now: what came in from a supplier needs no refill any more. */
MUST_USE enum err flag_received(struct ctx *cx, const struct move *moves, size_t n);
/* This count of this place was approved: what it counted is known. */
MUST_USE enum err flag_counted(struct ctx *cx, struct uuid count, struct str place);

extern const struct module FLAG_MODULE;

#endif
