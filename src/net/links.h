/* The open connections. libmicrohttpd's time limit starts anew with every byte, so a client that dribbles a
 * request could hold a connection for ever; here a request must be there whole within REQUEST_US of the last
 * answer, or the connection is shut down. */
#ifndef NET_LINKS_H
#define NET_LINKS_H

#include "net/exchange.h"

#define REQUEST_US (60 * US_PER_S)

struct links;
struct links *links_new(void); /* starts the thread that looks at them; NULL when memory or threads are out */
void links_free(struct links *l); /* after all are closed; takes NULL */

/* For MHD_OPTION_NOTIFY_CONNECTION, with the door as its closure. */
void links_notify(void *door, struct MHD_Connection *connection, void **context,
                  enum MHD_ConnectionNotificationCode what);
struct exchange *link_exchange(struct link *l);
struct str link_peer(const struct link *l);
void link_waits(struct link *l, bool for_client); /* true: it is the client's turn, the clock runs */

#endif
