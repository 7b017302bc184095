/* A route call through the socket of the server that is running on the same data folder. */
#ifndef APP_REMOTE_H
#define APP_REMOTE_H

#include "net/route.h"

/* there is false when no server listens; then nothing was sent. The answer's body and status come back; what
 * the server refused is in them, not an error here. */
MUST_USE enum err remote_call(struct ctx *cx, struct str data, enum method method, struct str target,
                              struct str body, bool *there, int64_t *status, struct str *answer);

#endif
