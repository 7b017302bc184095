/* Who is at the other end: addresses as text, and the client behind trusted proxies (TRUSTED_PROXIES:
 * addresses and networks, "10.0.0.0/8, ::1"). */
#ifndef NET_PEER_H
#define NET_PEER_H

#include "base/list.h"
#include "net/route.h"

#include <sys/socket.h>

#define PEER_TEXT_MAX 48

/* IPv4 as ::ffff:a.b.c.d, so that there is one kind of address. */
struct network {
    unsigned char address[16];
    int bits;
};
bool network_parse(struct str s, struct network *out);

struct str peer_format(const struct sockaddr *address,
                       char buf[static PEER_TEXT_MAX]); /* "local" for a Unix socket */
/* The last address of X-Forwarded-For that is not a trusted proxy's, if the peer itself is one; else the
 * peer. */
struct str peer_client(struct list networks, struct str peer, const struct header *headers, size_t n);
/* What is counted as one caller: an IPv4 address, or the /64 of an IPv6 one, which one customer has whole. */
struct str peer_limit_key(struct str peer, char buf[static 16]);

#endif
