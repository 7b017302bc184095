/* Which addresses a fetch may go to: only those that the internet routes to anybody. IPv4: not the blocks
 * that IANA's special-purpose registry (RFC 6890) sets aside. IPv6: only global unicast (2000::/3), and of
 * that neither documentation nor what carries an IPv4 address or a tunnel inside (6to4, Teredo); mapped and
 * NAT64 addresses lie outside of it. */
#ifndef SERVICES_ADDRESS_H
#define SERVICES_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

bool address_public(const struct sockaddr *address, socklen_t n);

#endif
