/* The ledger's past: levels as of an instant, and what a number consists of.
 *
 * An answer about an instant must stay so once it was given, though whoever began to record before may not
 * have committed yet, and clocks of several processes differ. So the reader seals the organisation's ledger
 * up to that instant: from then on a posting that would fall before the seal gets an instant behind it (the
 * guard stands in the ledger's statements). Those who looked at the seal before it was raised have a
 * transaction id by then; the reader waits until they have ended, and notes that this is settled, so that the
 * next one need not wait. An instant that is settled is a plain read. */
#ifndef CORE_HISTORY_H
#define CORE_HISTORY_H

#include "base/module.h"
#include "net/route.h"

/* For a READ route (cx is in its transaction, which may be ended and begun anew): afterwards nothing can be
 * recorded at or before this instant any more. ERR_INVALID naming "at" for one in the future,
 * ERR_UNAVAILABLE when a transaction stands in the way for too long. */
MUST_USE enum err history_settle(struct ctx *cx, struct instant at);
/* The parameter "at" of a request, settled; 0 when it has none. */
MUST_USE enum err history_at(struct ctx *cx, const struct request *rq, struct instant *out);
/* Whether it asks for an instant: it may have to wait. */
bool history_asked(struct ctx *cx, const struct request *rq);

extern const struct module HISTORY_MODULE;

#endif
