/* Connections and the requests on them, between libmicrohttpd's callbacks and the calls of call.h. A
 * connection has one request at a time, so it keeps one exchange and one arena for all of them, and nothing
 * here is locked. */
#ifndef NET_EXCHANGE_H
#define NET_EXCHANGE_H

#include "net/call.h"
#include "net/loop.h"
#include "net/peer.h"
#include "net/pool.h"

/* What all connections share; owned by the server. */
struct site {
    struct router *router;
    struct pool *slow, *reads;
    bool reads_inline;
    _Atomic bool draining;     /* answers close their connections */
    _Atomic bool closed;       /* nothing is handed to another thread any more */
    _Atomic int64_t suspended; /* requests that wait for another thread, or to be taken back from it */
};
/* A listening socket and a thread that serves it; several may share a socket. */
struct door {
    struct site *site;
    enum origin origin;
    struct links *links;
    struct loop *loop;
};

/* Callbacks for MHD_start_daemon; each takes the door as its closure. */
void *exchange_target(void *door, const char *uri, struct MHD_Connection *connection);
enum MHD_Result exchange_handle(void *door, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *data, size_t *size,
                                void **request);
void exchange_completed(void *door, struct MHD_Connection *connection, void **request,
                        enum MHD_RequestTerminationCode why);

struct link;
struct exchange;
struct exchange *exchange_new(struct door *door, struct link *link);
void exchange_free(struct exchange *x); /* takes NULL */

#endif
