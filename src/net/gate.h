/* The gate: what a request's head must look like before anything else looks at it. libmicrohttpd 0.9.75 is
 * lenient (two lengths, a length beside chunks, two hosts, odd names pass), and what two programs read
 * differently is how requests are smuggled past a proxy; so all that is visible and doubtful is refused, and
 * the connection is closed. RFC 9110 sections 5 and 7.2, RFC 9112 sections 2, 3.2 and 6. A pure function over
 * the head. */
#ifndef NET_GATE_H
#define NET_GATE_H

#include "net/route.h"

#define GATE_TARGET_MAX 8192
#define GATE_HEADERS_MAX 100        /* lines */
#define GATE_HEADER_BYTES_MAX 16384 /* names and values together */

struct gate_head {
    struct str method, target, version; /* "GET", "/path?query", "HTTP/1.1" */
    const struct header *headers;       /* names and values as they came, trimmed by the server library */
    size_t n_headers;
};
/* What the gate learned about the body. */
struct gate_body {
    bool chunked;
    int64_t length; /* -1 without Content-Length */
};

/* OK, or ERR_MALFORMED, ERR_HEADERS_TOO_LARGE, ERR_NOT_IMPLEMENTED with a sentence in why. */
MUST_USE enum err gate_check(const struct gate_head *head, struct gate_body *body, const char **why);

#endif
