#include "net/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/banned.h"

static const unsigned char MAPPED[12] = {[10] = 0xff, [11] = 0xff};

static bool address_parse(struct str s, unsigned char out[static 16], bool *v4) {
    char z[INET6_ADDRSTRLEN];
    if (s.n >= sizeof(z) || s.n == 0)
        return false;
    memcpy(z, s.p, s.n);
    z[s.n] = '\0';
    if (inet_pton(AF_INET, z, out + 12) == 1) {
        memcpy(out, MAPPED, sizeof(MAPPED));
        *v4 = true;
        return true;
    }
    *v4 = false;
    return inet_pton(AF_INET6, z, out) == 1;
}

bool network_parse(struct str s, struct network *out) {
    struct str address = s, bits = {0};
    struct network net = {.bits = 128};
    bool v4;
    int64_t n;
    str_cut(s, '/', &address, &bits);
    if (!address_parse(address, net.address, &v4))
        return false;
    if (bits.p) {
        if (!str_int(bits, &n) || n < 0 || n > (v4 ? 32 : 128))
            return false;
        net.bits = (int)n + (v4 ? 96 : 0);
    }
    *out = net;
    return true;
}

static bool inside(const struct network *net, const unsigned char address[static 16]) {
    size_t whole = (size_t)net->bits / 8;
    int rest = net->bits % 8;
    if (memcmp(net->address, address, whole) != 0)
        return false;
    return rest == 0 || ((net->address[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

static bool trusted(struct list networks, struct str s) {
    unsigned char address[16];
    bool v4;
    if (!address_parse(s, address, &v4))
        return false;
    for (size_t i = 0; i < networks.n; i++)
        if (inside((const struct network *)networks.items + i, address))
            return true;
    return false;
}

struct str peer_format(const struct sockaddr *address, char buf[static PEER_TEXT_MAX]) {
    const char *text = NULL;
    if (address && address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;
        text = inet_ntop(AF_INET, &v4->sin_addr, buf, PEER_TEXT_MAX);
    } else if (address && address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)address;
        bool mapped = memcmp(&v6->sin6_addr, MAPPED, sizeof(MAPPED)) == 0;
        text = mapped ? inet_ntop(AF_INET, (const char *)&v6->sin6_addr + 12, buf, PEER_TEXT_MAX)
                      : inet_ntop(AF_INET6, &v6->sin6_addr, buf, PEER_TEXT_MAX);
    }
    return text ? str_of(text) : S("local");
}

/* The last comma-separated part; what is before it stays in s. */
static struct str take_last(struct str *s) {
    size_t at = s->n;
    while (at > 0 && s->p[at - 1] != ',')
        at--;
    struct str last = str_trim(str_sub(*s, at, s->n - at));
    s->n = at > 0 ? at - 1 : 0;
    return last;
}

struct str peer_client(struct list networks, struct str peer, const struct header *headers, size_t n) {
    unsigned char address[16];
    bool v4;
    for (size_t i = n; i-- > 0 && networks.n > 0;) {
        if (!str_eq_nocase(headers[i].name, S("X-Forwarded-For")))
            continue;
        for (struct str rest = headers[i].value; rest.n > 0;) {
            if (!trusted(networks, peer))
                return peer;
            struct str before = take_last(&rest);
            if (!address_parse(before, address, &v4))
                return peer;
            peer = before;
        }
    }
    return peer;
}

struct str peer_limit_key(struct str peer, char buf[static 16]) {
    unsigned char address[16];
    bool v4;
    if (!address_parse(peer, address, &v4))
        return peer;
    memcpy(buf, address, sizeof(address));
    return (struct str){buf, v4 ? 16 : 8};
}
