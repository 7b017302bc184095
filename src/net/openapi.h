/* The documents, printed from the same rows that route and validate: OpenAPI 3.1 for programs, a page for
 * people. */
#ifndef NET_OPENAPI_H
#define NET_OPENAPI_H

#include "net/router.h"

/* Fills the router's document and docs; they live in its arena. ERR_USAGE when two schemas share a name. */
MUST_USE enum err documents_make(struct ctx *cx, struct router *r);

MUST_USE enum err openapi_print(struct ctx *cx, const struct router *r, struct buf *out);
void docs_print(const struct router *r, struct buf *out); /* HTML */

/* Every status beyond success that the operation can answer, each once, ascending: what its mode, area, body
 * and errors bring, and what the gate and the server itself refuse. */
#define STATUSES_MAX 24
size_t route_statuses(const struct route *route, int out[static STATUSES_MAX]);
/* Success: 200 and 201 for what creates, else one. */
size_t route_successes(const struct route *route, int out[static 2]);

#endif
