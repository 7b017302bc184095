#include "net/limit.h"

#include <pthread.h>
#include <sodium.h>

#include "base/banned.h"

#define SETS 2048
#define WAYS 8
#define LOCKS 64

/* The bucket as one number (generic cell rate algorithm): when it would be full again if nothing more were
 * taken. What lies in the past is a full bucket, and as good as none. */
struct bucket {
    uint64_t key;
    int64_t full_at;
};

struct limiter {
    int64_t step, burst; /* microseconds per event; how far full_at may run ahead */
    unsigned char secret[crypto_shorthash_KEYBYTES];
    pthread_mutex_t locks[LOCKS];
    struct bucket buckets[SETS][WAYS];
};

struct limiter *limiter_new(struct rate rate) {
    struct limiter *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    if (rate.count > 0) {
        l->step = rate.period_us / rate.count > 0 ? rate.period_us / rate.count : 1;
        l->burst = l->step * rate.count;
    }
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&l->locks[i], NULL);
    randombytes_buf(l->secret, sizeof(l->secret));
    return l;
}

void limiter_free(struct limiter *l) {
    if (!l)
        return;
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&l->locks[i]);
    free(l);
}

static struct bucket *find(struct bucket set[static WAYS], uint64_t key) {
    struct bucket *oldest = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (set[i].full_at < oldest->full_at)
            oldest = &set[i];
    }
    *oldest = (struct bucket){.key = key};
    return oldest;
}

int64_t limiter_take(struct limiter *l, struct str key, int64_t now) {
    if (l->step == 0)
        return 0;
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)key.p, key.n, l->secret);
    size_t set = hash % SETS;
    pthread_mutex_lock(&l->locks[set % LOCKS]);
    struct bucket *b = find(l->buckets[set], hash);
    int64_t full_at = (b->full_at > now ? b->full_at : now) + l->step;
    int64_t wait = full_at - now - l->burst;
    if (wait <= 0)
        b->full_at = full_at;
    pthread_mutex_unlock(&l->locks[set % LOCKS]);
    return wait > 0 ? wait : 0;
}
