/* The router's inside: the tree of paths, made once from the rows of all modules, and what requests share. */
#ifndef NET_ROUTER_H
#define NET_ROUTER_H

#include "net/cursor.h"
#include "net/limit.h"
#include "net/server.h"

#include <stdatomic.h>

/* Refusals that come in floods are counted and told once a second. */
struct flood {
    _Atomic int64_t second, count;
};

/* All operations of one path. */
struct endpoint {
    const char *path;
    const struct route *routes[METHODS];
    struct str labels[METHODS]; /* "GET /api/v1/catalog", for log lines and metrics */
    struct flood floods[METHODS];
    struct endpoint *next;
};

struct pulse;
struct router {
    struct router_setup setup;
    const struct modules *modules;
    struct arena *mem; /* of the tree and all that lives as long as the router */
    struct node *root;
    struct endpoint *endpoints; /* in the order of the rows */
    struct limiter *limit, *webhook_limit;
    unsigned char cursor_key[CURSOR_KEY_BYTES];
    struct list cors_origins;    /* of struct str */
    struct list trusted_proxies; /* of struct network */
    int64_t started;             /* clock_steady() */
    _Atomic int64_t in_flight;
    struct flood unrouted;
    struct str document, docs; /* /openapi.json and /docs, made at the start */
    struct str css,
        policy;          /* of the pages: their style, and the Content-Security-Policy that allows it alone */
    struct pulse *pulse; /* of the server; NULL in commands */
};

extern const char *const METHOD_NAMES[METHODS]; /* "GET" … */

/* The endpoint at a path, and its decoded {…} segments; aliases are followed. ERR_NOT_FOUND,
 * ERR_MALFORMED. */
MUST_USE enum err router_match(const struct router *r, struct ctx *cx, struct str path,
                               struct str params[static PATH_PARAMS_MAX], struct endpoint **out);
/* The methods that it answers for this role, as Allow wants them; no value if there are none. */
struct str router_allow(const struct endpoint *ep, struct arena *mem, bool operator_too);

#endif
