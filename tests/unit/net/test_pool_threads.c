#include "net/pool.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void count(void *arg) { atomic_fetch_add((atomic_int *)arg, 1); }

static void runs_all_before_it_ends(void **state) {
    (void)state;
    enum { N = 1000 };
    static struct task tasks[N];
    atomic_int done = 0;
    struct pool *p = pool_new(4, N);
    for (int i = 0; i < N; i++) {
        tasks[i] = (struct task){.run = count, .arg = &done};
        assert_true(pool_submit(p, &tasks[i]));
    }
    pool_free(p);
    assert_int_equal(atomic_load(&done), N);
}

struct gate {
    pthread_mutex_t lock;
    atomic_int entered;
};

static void wait_at(void *arg) {
    struct gate *g = arg;
    atomic_fetch_add(&g->entered, 1);
    pthread_mutex_lock(&g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void refuses_what_it_cannot_queue(void **state) {
    (void)state;
    struct gate g = {PTHREAD_MUTEX_INITIALIZER, 0};
    struct task running = {wait_at, &g, NULL}, waiting = {wait_at, &g, NULL}, refused = {wait_at, &g, NULL};
    pthread_mutex_lock(&g.lock);
    struct pool *p = pool_new(1, 1);
    assert_true(pool_submit(p, &running));
    while (atomic_load(&g.entered) == 0)
        ;
    assert_true(pool_submit(p, &waiting));
    assert_false(pool_submit(p, &refused));
    pthread_mutex_unlock(&g.lock);
    pool_free(p);
    assert_int_equal(atomic_load(&g.entered), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_all_before_it_ends),
        cmocka_unit_test(refuses_what_it_cannot_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
