#include "identity/proof.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>

#include "base/banned.h"

#define SETS 1024
#define WAYS 4
#define LOCKS 64

struct slot {
    struct proof_key key;
    struct uuid org, user;
    enum role role;
    int64_t read_at; /* steady; 0: empty */
    struct instant expires_at;
    uint64_t era;
    size_t email_n;
    char email[EMAIL_MAX];
};

struct proofs {
    unsigned char secret[crypto_shorthash_siphashx24_KEYBYTES];
    _Atomic uint64_t era;
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

static bool same(const struct slot *s, struct proof_key key) {
    return s->read_at && memcmp(s->key.b, key.b, sizeof(key.b)) == 0;
}

bool proofs_find(struct proofs *p, struct proof_key key, int64_t steady, struct instant now,
                 struct arena *mem, struct proof *out) {
    uint64_t era = atomic_load(&p->era);
    pthread_mutex_t *lock;
    struct slot *set = open_set(p, key, &lock);
    bool found = false;
    for (size_t i = 0; i < WAYS && !found; i++) {
        const struct slot *s = &set[i];
        if (!same(s, key) || s->era != era || steady - s->read_at >= PROOF_LIFE_US ||
            s->expires_at.us <= now.us)
            continue;
        struct str email = str_dup(mem, (struct str){s->email, s->email_n});
        if ((found = email.p != NULL))
            *out = (struct proof){s->org, s->user, s->role, email, s->expires_at};
    }
    pthread_mutex_unlock(lock);
    return found;
}

void proofs_forget(struct proofs *p) { atomic_fetch_add(&p->era, 1); }

uint64_t proofs_era(const struct proofs *p) { return atomic_load(&p->era); }

void proofs_add(struct proofs *p, struct proof_key key, int64_t steady, uint64_t era,
                const struct proof *proof) {
    if (proof->email.n > EMAIL_MAX)
        return;
    pthread_mutex_t *lock;
    struct slot *set = open_set(p, key, &lock), *s = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (same(&set[i], key)) {
            s = &set[i];
            break;
        }
        if (set[i].read_at < s->read_at)
            s = &set[i];
    }
    *s = (struct slot){.key = key,
                       .org = proof->org,
                       .user = proof->user,
                       .role = proof->role,
                       .read_at = steady,
                       .expires_at = proof->expires_at,
                       .era = era,
                       .email_n = proof->email.n};
    memcpy(s->email, proof->email.p, proof->email.n);
    pthread_mutex_unlock(lock);
}
