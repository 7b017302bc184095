#include "services/address.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/banned.h"

struct block {
    uint8_t prefix[4];
    int bits;
};

static const struct block NOT_PUBLIC_4[] = {
    {{0}, 8},             /* this network */
    {{10}, 8},            /* private */
    {{100, 64}, 10},      /* shared by carriers */
    {{127}, 8},           /* loopback */
    {{169, 254}, 16},     /* link-local, and clouds' metadata */
    {{172, 16}, 12},      /* private */
    {{192, 0, 0}, 24},    /* protocol assignments */
    {{192, 0, 2}, 24},    /* documentation */
    {{192, 88, 99}, 24},  /* 6to4 relays */
    {{192, 168}, 16},     /* private */
    {{198, 18}, 15},      /* benchmarks */
    {{198, 51, 100}, 24}, /* documentation */
    {{203, 0, 113}, 24},  /* documentation */
    {{224}, 4},           /* multicast */
    {{240}, 4},           /* reserved, broadcast */
};
static const struct block GLOBAL_6 = {{0x20}, 3};
static const struct block NOT_PUBLIC_6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23}, /* protocol assignments: Teredo, ORCHID, benchmarks */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x20, 0x02}, 16},             /* 6to4 */
    {{0x3f, 0xff, 0x00}, 20},       /* documentation */
};

static bool inside(const struct block *b, const uint8_t *address) {
    for (int i = 0, left = b->bits; left > 0; i++, left -= 8) {
        unsigned mask = left >= 8 ? 0xffu : 0xffu << (8 - left) & 0xffu;
        if ((address[i] & mask) != b->prefix[i])
            return false;
    }
    return true;
}

static bool in_any(const struct block *blocks, size_t n, const uint8_t *address) {
    for (size_t i = 0; i < n; i++)
        if (inside(&blocks[i], address))
            return true;
    return false;
}

bool address_public(const struct sockaddr *address, socklen_t n) {
    if (address->sa_family == AF_INET && n >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        return !in_any(NOT_PUBLIC_4, sizeof(NOT_PUBLIC_4) / sizeof(NOT_PUBLIC_4[0]),
                       (const uint8_t *)&v4.sin_addr);
    }
    if (address->sa_family == AF_INET6 && n >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        return inside(&GLOBAL_6, v6.sin6_addr.s6_addr) &&
               !in_any(NOT_PUBLIC_6, sizeof(NOT_PUBLIC_6) / sizeof(NOT_PUBLIC_6[0]), v6.sin6_addr.s6_addr);
    }
    return false;
}
