/* How answers are put together; what handlers use of it stands in route.h. */
#ifndef NET_ANSWER_H
#define NET_ANSWER_H

#include "net/route.h"

#define ANSWER_MAX (32u << 20)
#define TYPE_JSON S("application/json")

/* An answer without content whose success is as the route says; a closure that runs again begins again
 * here. */
void answer_begin(struct ctx *cx, struct answer *an, const struct route *route);
/* When the handler has succeeded: what wrote no content answers null, unless it has no content by its
 * status. */
void answer_end(struct answer *an);
int answer_status(const struct route *route); /* what success is */
/* The error object of cx's fault in place of whatever was there; says nothing of what is internal. Headers
 * stay. */
void answer_fault(struct ctx *cx, struct answer *an);

#endif
