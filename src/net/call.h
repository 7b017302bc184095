/* A call: one operation from the head of its request to its answer, without sockets. The server drives it
 * over HTTP, router_call inside the process. Order: route, rate limit, who asks, may he, media type, size;
 * for webhooks: head checks, size, throttle; then the body is decoded and the handler runs as its mode
 * says. */
#ifndef NET_CALL_H
#define NET_CALL_H

#include "net/gate.h"
#include "net/router.h"

#define BODY_MAX_DEFAULT 65536

enum origin { ORIGIN_NET, ORIGIN_SOCKET, ORIGIN_PROCESS };

struct call {
    struct router *router;
    struct ctx *cx;
    struct request rq;
    struct answer an;
    enum origin origin;
    struct endpoint *endpoint; /* NULL until found */
    struct gate_body body;     /* what the head says about it */
    bool answered;             /* an is complete without a handler: CORS preflight */
    struct str cors_origin;    /* the allowed Origin of the request, or no value */
    struct str allow;          /* for 405 */
    struct str idempotency_key;
    int64_t retry_after; /* seconds; for 429 and 503 */
    int64_t began;       /* clock_steady() */
    enum err outcome;
};

/* Sets up c->cx (whose arena is there) and c->rq; request_id is taken from the headers or made. */
void call_begin(struct call *c, struct router *r, struct ctx *cx, enum origin origin);
void call_request_id(struct call *c);
/* Everything that the head decides. rq.target, rq.headers, rq.peer and body are there. */
MUST_USE enum err call_open(struct call *c, struct str method);
size_t call_body_max(const struct call *c); /* of the route; 0 for a body that nothing reads */
/* Everything between the body's last byte and the handler: decoding, and the route's prepare. */
MUST_USE enum err call_prepare(struct call *c);
/* READ, SLOW and INSTANT: runs the handler, READ in its transaction. */
MUST_USE enum err call_run(struct call *c);
/* WRITE: the closure of a struct write, whose arg is the call. */
enum err call_closure(struct ctx *cx, void *call);
/* The same of several calls of one route that has a lot. */
enum err call_lot(struct write *const *writes, size_t n);
bool call_goes_in_lots(const struct call *c);
/* The answer of c->outcome, its general headers; the log line and the metrics. */
void call_finish(struct call *c);

extern const struct metric NET_METRICS[];
#define NET_METRICS_N 5
enum { METRIC_REQUESTS, METRIC_DURATION, METRIC_WEBHOOK, METRIC_REFUSED, METRIC_IN_FLIGHT };

#endif
