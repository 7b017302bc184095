/* Idempotency-Key on POSTs that create: the first request with a key stores its answer in the transaction of
 * its effect; a repeat within 24 hours gets that answer and has no effect. Keys belong to an organisation and
 * a route. A key is claimed before the handler runs, so of two at once one waits for the other. */
#ifndef NET_IDEMPOTENCY_H
#define NET_IDEMPOTENCY_H

#include "net/route.h"

#define IDEMPOTENCY_KEY_MAX 255
#define IDEMPOTENCY_US (INT64_C(24) * 3600 * US_PER_S)

/* 1 to 255 visible ASCII characters. */
bool idempotency_key_valid(struct str key);
/* In the closure: runs the route's handler, or answers what it answered before. ERR_CONFLICT when the key
 * came with another request. */
MUST_USE enum err idempotency_run(struct ctx *cx, struct request *rq, struct answer *an, struct str key);

/* For SLOW handlers of ROUTE_IDEMPOTENT: runs a closure that also answers, under the request's
 * Idempotency-Key where it brought one. */
MUST_USE enum err idempotency_write(struct ctx *cx, struct request *rq, struct answer *an,
                                    enum err (*run)(struct ctx *cx, void *arg), void *arg);

#define IDEMPOTENCY_STMTS_N 4
extern const struct stmt IDEMPOTENCY_STMTS[IDEMPOTENCY_STMTS_N];

#endif
