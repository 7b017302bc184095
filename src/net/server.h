/* The HTTP server: libmicrohttpd in front of the router. It owns the HTTP threads, the pool for SLOW work,
 * rate limits, and the requests in flight. See gate.h for what is refused before a route is looked for. */
#ifndef NET_SERVER_H
#define NET_SERVER_H

#include "base/metrics.h"
#include "base/module.h"
#include "base/settings.h"
#include "net/route.h"

struct router;
struct server;

/* Proves who asks, from the Authorization header or the cookie: fills cx->actor. Called on the HTTP
 * thread. */
typedef enum err authenticate_fn(struct ctx *cx, const struct request *rq, void *arg);

struct router_setup {
    const struct module *const *modules;
    size_t n_modules;
    const struct alias *aliases;
    size_t n_aliases;
    authenticate_fn *authenticate;
    void *authenticate_arg;
    struct settings *settings;
    struct metrics *metrics;
    struct db *db;
    struct log *log;
    const struct clock *clock;
};
/* Checks every row (area, statements of listings, path forms, no two for one path) and refuses to start on a
 * bad one. */
MUST_USE enum err router_new(struct ctx *cx, const struct router_setup *setup, struct router **out);
void router_free(struct router *r);
/* The operation as an in-process call, for commands: waits for the answer. actor is as given (the
 * operator). */
MUST_USE enum err router_call(struct router *r, struct ctx *cx, enum method method, struct str target,
                              struct str body, struct answer *an);
/* OpenAPI 3.1 of all routes. */
MUST_USE enum err router_document(struct router *r, struct buf *out);

MUST_USE enum err server_start(struct ctx *cx, struct router *r, struct str host, int64_t port,
                               struct str socket_path, struct server **out);
int64_t server_port(const struct server *s); /* the one it got, for --port 0 */
/* Stops accepting, answers what is in flight (at most grace_us), then ends. */
void server_stop(struct server *s, int64_t grace_us);

extern const struct module NET_MODULE; /* health, metrics, documents, the page at / */

#endif
