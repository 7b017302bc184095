/* A thread that runs one libmicrohttpd daemon. The library's own threads will not do: one that gets as many
 * events at once as it asks for (128) waits for more before it looks at any of them, and the clients that it
 * has already heard wait for ever. Here the library is only ever asked what is ready now, and the waiting is
 * ours.
 *
 * It is also where suspended requests come back: they are resumed on this thread, between two runs, so that
 * whoever hands one back does no more than put it on a list. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

/* A suspended request on its way back; the caller's, until the library calls its handler again. */
struct handed {
    struct MHD_Connection *connection;
    struct handed *next;
};

struct loop;
/* Takes the daemon over, also when it fails; it was started with MHD_USE_EPOLL and MHD_ALLOW_SUSPEND_RESUME
 * and no thread of its own. *out is set before anything is handled. suspended is counted down for each
 * request that has been handed back. False: memory, descriptors or threads are out. */
bool loop_start(struct MHD_Daemon *daemon, _Atomic int64_t *suspended, struct loop **out);
void loop_hand_back(struct loop *l, struct handed *h); /* any thread */
void loop_quiesce(struct loop *l);                     /* soon nothing new is accepted; any thread */
void loop_stop(struct loop *l); /* ends the thread, closes all its connections and frees all; takes NULL */

#endif
