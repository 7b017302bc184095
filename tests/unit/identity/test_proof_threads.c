/* Many threads find and add proofs at once: nobody ever gets another's. For the thread sanitizer too.
 */
#include "identity_test.h"

#include <pthread.h>

#include "identity/proof.h"

#define THREADS 4
#define ROUNDS 40000
#define TOKENS 6000 /* more than the table has places */
#define STEADY INT64_C(5000000)

struct work {
    struct proofs *proofs;
    unsigned seed;
    size_t found, wrong;
};

/* The user of a token is its number, so that a mix-up shows. */
static struct proof proof_of(uint32_t number) {
    struct proof p = {.expires_at = {INT64_MAX}};
    for (size_t i = 0; i < 16; i++)
        p.user.b[i] = p.org.b[i] = (uint8_t)(number >> (i % 4 * 8));
    return p;
}

static void *run(void *arg) {
    struct work *w = arg;
    for (int i = 0; i < ROUNDS; i++) {
        w->seed = w->seed * 1664525U + 1013904223U;
        uint32_t number = (w->seed >> 8) % TOKENS;
        char token[32];
        int n = snprintf(token, sizeof(token), "token %u", number);
        struct proof_key key = proofs_key(w->proofs, (struct str){token, (size_t)n});
        struct proof good = proof_of(number), out;
        if (proofs_find(w->proofs, key, STEADY + i, (struct instant){1}, &out)) {
            w->found++;
            w->wrong += !uuid_eq(out.user, good.user) || !uuid_eq(out.org, good.org);
        } else {
            proofs_add(w->proofs, key, STEADY + i, &good);
        }
    }
    return NULL;
}

static void nobody_gets_the_proof_of_another(void **state) {
    (void)state;
    struct proofs *p = proofs_new();
    struct work work[THREADS];
    pthread_t threads[THREADS];
    size_t found = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        work[i] = (struct work){.proofs = p, .seed = i * 7919 + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, run, &work[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(work[i].wrong, 0);
        found += work[i].found;
    }
    assert_true(found > 0);
    proofs_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nobody_gets_the_proof_of_another)};
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
