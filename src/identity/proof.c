#include "identity/proof.h"

#include <pthread.h>
#include <sodium.h>

#include "base/banned.h"

#define SETS 1024
#define WAYS 4
#define LOCKS 64

struct slot {
    struct proof_key key;
    int64_t used_at; /* steady; 0: empty */
    struct proof proof;
};

struct proofs {
    unsigned char secret[crypto_shorthash_siphashx24_KEYBYTES];
    pthread_mutex_t locks[LOCKS];
    struct slot slots[SETS][WAYS];
};

struct proofs *proofs_new(void) {
    struct proofs *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    randombytes_buf(p->secret, sizeof(p->secret));
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&p->locks[i], NULL);
    return p;
}

void proofs_free(struct proofs *p) {
    if (!p)
        return;
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&p->locks[i]);
    free(p);
}

struct proof_key proofs_key(const struct proofs *p, struct str token) {
    struct proof_key key;
    crypto_shorthash_siphashx24(key.b, (const unsigned char *)token.p, token.n, p->secret);
    return key;
}

/* Locks the set that the key belongs to. */
static struct slot *open_set(struct proofs *p, struct proof_key key, pthread_mutex_t **lock) {
    size_t set = ((size_t)key.b[0] | (size_t)key.b[1] << 8) % SETS;
    *lock = &p->locks[set % LOCKS];
    pthread_mutex_lock(*lock);
    return p->slots[set];
}

static struct slot *find(struct slot *set, struct proof_key key) {
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].used_at && memcmp(set[i].key.b, key.b, sizeof(key.b)) == 0)
            return &set[i];
    return NULL;
}

bool proofs_find(struct proofs *p, struct proof_key key, int64_t steady, struct instant now,
                 struct proof *out) {
    pthread_mutex_t *lock;
    struct slot *s = find(open_set(p, key, &lock), key);
    bool found = s && s->proof.expires_at.us > now.us;
    if (found) {
        s->used_at = steady;
        *out = s->proof;
    }
    pthread_mutex_unlock(lock);
    return found;
}

void proofs_add(struct proofs *p, struct proof_key key, int64_t steady, const struct proof *proof) {
    pthread_mutex_t *lock;
    struct slot *set = open_set(p, key, &lock), *s = find(set, key);
    for (size_t i = 0; !s && i < WAYS; i++)
        s = set[i].used_at == 0 ? &set[i] : NULL;
    for (size_t i = s ? WAYS : 0; i < WAYS; i++)
        s = !s || set[i].used_at < s->used_at ? &set[i] : s;
    *s = (struct slot){key, steady, *proof};
    pthread_mutex_unlock(lock);
}
