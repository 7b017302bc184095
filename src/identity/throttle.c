#include "identity/throttle.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sodium.h>

#include "base/banned.h"

#define SETS 512
#define WAYS 8
#define V6_PREFIX_BYTES 8

static const int64_t LIMITS[THROTTLES] = {[BY_ACCOUNT] = 10, [BY_ADDRESS] = 100};

struct counter {
    unsigned char key[crypto_shorthash_siphashx24_BYTES];
    int64_t began, count; /* count 0: empty */
};

struct throttle {
    unsigned char secret[crypto_shorthash_siphashx24_KEYBYTES];
    pthread_mutex_t lock;
    struct counter counters[SETS][WAYS];
};

struct throttle *throttle_new(void) {
    struct throttle *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    randombytes_buf(t->secret, sizeof(t->secret));
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void throttle_free(struct throttle *t) {
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static struct str network(struct str address, unsigned char v6[static 16]) {
    static const unsigned char MAPPED[12] = {
        [10] = 0xff, [11] = 0xff}; /* an IPv4 address in IPv6's clothes */
    char text[INET6_ADDRSTRLEN] = {0};
    if (address.n >= sizeof(text))
        return address;
    memcpy(text, address.p ? address.p : "", address.n);
    if (inet_pton(AF_INET6, text, v6) != 1)
        return address;
    return (struct str){(const char *)v6, memcmp(v6, MAPPED, sizeof(MAPPED)) == 0 ? 16 : V6_PREFIX_BYTES};
}

/* The counter of who in its set, or, if there is none and one is wanted, the one to give up for it: a lapsed
 * or empty one, else that with the fewest attempts. Needs the lock. */
static struct counter *find(struct throttle *t, enum throttle_by by, struct str who, int64_t steady,
                            bool make) {
    unsigned char v6[16], key[crypto_shorthash_siphashx24_BYTES];
    if (by == BY_ADDRESS)
        who = network(who, v6);
    crypto_shorthash_siphashx24(key, (const unsigned char *)who.p, who.n, t->secret);
    key[0] ^= (unsigned char)by;
    struct counter *set = t->counters[((size_t)key[1] | (size_t)key[2] << 8) % SETS], *least = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].count && steady - set[i].began >= THROTTLE_WINDOW_US)
            set[i] = (struct counter){0};
        if (set[i].count && memcmp(set[i].key, key, sizeof(key)) == 0)
            return &set[i];
        if (set[i].count < least->count)
            least = &set[i];
    }
    if (!make)
        return NULL;
    *least = (struct counter){.began = steady};
    memcpy(least->key, key, sizeof(key));
    return least;
}

int64_t throttle_take(struct throttle *t, enum throttle_by by, struct str who, int64_t steady) {
    int64_t wait = 0;
    pthread_mutex_lock(&t->lock);
    struct counter *c = find(t, by, who, steady, true);
    if (c->count >= LIMITS[by])
        wait = c->began + THROTTLE_WINDOW_US - steady;
    else
        c->count++;
    pthread_mutex_unlock(&t->lock);
    return wait;
}

void throttle_give_back(struct throttle *t, enum throttle_by by, struct str who, int64_t steady) {
    pthread_mutex_lock(&t->lock);
    struct counter *c = find(t, by, who, steady, false);
    if (c)
        c->count = by == BY_ACCOUNT ? 0 : c->count - 1;
    pthread_mutex_unlock(&t->lock);
}
