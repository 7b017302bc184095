/* Many threads write, read and ask for the time at once; the thread sanitizer looks on. */
#include "db_test.h"

#define THREADS 16
#define WRITES 60

struct thread {
    struct rig *rig;
    pthread_t id;
    int n;
    int refused;
};

struct one {
    int64_t id;
    bool refuse;
};
static enum err add(struct ctx *cx, void *arg) {
    struct one *o = arg;
    cx->after = AFTER_WAKE_JOBS;
    enum err e = add_thing(cx, &o->id);
    return e ? e : o->refuse ? fail(cx, ERR_INSUFFICIENT, "no") : OK;
}

static void *work(void *arg) {
    struct thread *t = arg;
    for (int i = 0; i < WRITES; i++) {
        struct ctx cx = rig_ctx(t->rig);
        struct one o = {(int64_t)t->n * WRITES + i, i % 10 == 3};
        cx.actor.org = rig_org(t->n % 3);
        enum err e = db_write_wait(&cx, add, &o);
        if (e != (o.refuse ? ERR_INSUFFICIENT : OK))
            t->refused++;
        struct number n = {0};
        bool found;
        fault_clear(&cx);
        if (db_read_begin(&cx) || db_get(&cx, &TEST_STMTS[THING_COUNT], ARGS(), &n, &found))
            t->refused++;
        db_read_end(&cx);
        if (db_time(t->rig->db).us <= 0 || n.n <= 0)
            t->refused++;
        arena_free(cx.mem);
    }
    return NULL;
}

static void count_calls(void *arg, unsigned after) {
    *(unsigned *)arg += after; /* called by one thread at a time */
}

static void many_threads_write_and_read(void **state) {
    struct rig *r = *state;
    struct thread threads[THREADS];
    unsigned calls = 0;
    if (!r->db)
        skip();
    db_on_commit(r->db, count_calls, &calls);
    for (int i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){.rig = r, .n = i};
        assert_int_equal(pthread_create(&threads[i].id, NULL, work, &threads[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i].id, NULL);
        assert_int_equal(threads[i].refused, 0);
    }
    db_on_commit(r->db, NULL, NULL);
    assert_true(calls > 0);
    struct number n;
    bool found;
    rig_must(&r->cx, db_read_begin(&r->cx));
    rig_must(&r->cx, db_get(&r->cx, &TEST_STMTS[THING_COUNT_ALL], ARGS(), &n, &found));
    db_read_end(&r->cx);
    assert_int_equal(n.n, THREADS * WRITES * 9 / 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {BOTH(many_threads_write_and_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
