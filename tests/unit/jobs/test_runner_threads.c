/* The runner over a real database: every job once while its lease holds, whatever fails around it. */
#include "jobs_test.h"

#include <pthread.h>

#include "base/metrics.h"

/* What the jobs of these tests have done and are to do; they reach it by cx->app. */
struct seen {
    atomic_int runs, threads, cancelled, refused;
    atomic_bool go;
    atomic_int failures; /* so many runs of "flaky" fail */
};
static struct seen seen;
static struct world world;

static void wait_ms(int ms) { usleep((useconds_t)ms * 1000); }

/* True as soon as the condition holds, at most 15 s. */
#define WITHIN_15_S(condition)                            \
    ({                                                    \
        int64_t give_up = clock_steady() + 15 * US_PER_S; \
        while (!(condition) && clock_steady() < give_up)  \
            wait_ms(2);                                   \
        (condition);                                      \
    })

static enum err add_effect(struct ctx *cx, void *arg) {
    (void)arg;
    return jobs_enqueue(cx, &(struct job_new){.name = "effect", .due_at = {cx->now.us + 9999 * US_PER_S}});
}

static enum err count(struct ctx *cx, const struct job *job) {
    (void)job;
    atomic_fetch_add(&((struct seen *)cx->app)->runs, 1);
    return add_effect(cx, NULL);
}

static enum err flaky(struct ctx *cx, const struct job *job) {
    struct seen *s = cx->app;
    enum err e = count(cx, job);
    if (e)
        return e;
    return atomic_fetch_sub(&s->failures, 1) > 0 ? fail_cause(cx, ERR_UNAVAILABLE, "the reason") : OK;
}

static enum err poison(struct ctx *cx, const struct job *job) {
    (void)job;
    return (fail)(cx, ERR_INVALID, "The row is wrong.");
}

/* Fails where its arguments say so: {"bad": true}. */
static enum err batched(struct ctx *cx, const struct job *job) {
    enum err e = count(cx, job);
    return e ? e : memmem(job->args.text.p, job->args.text.n, "true", 4) ? poison(cx, job) : OK;
}

static enum err slow(struct ctx *cx, const struct job *job) {
    struct seen *s = cx->app;
    atomic_fetch_add(&s->threads, 1);
    while (!atomic_load(&s->go)) {
        if (job_cancelled(job)) {
            atomic_fetch_add(&s->cancelled, 1);
            return ERR_UNAVAILABLE;
        }
        wait_ms(2);
    }
    return job_write(cx, job, add_effect, NULL);
}

/* Ignores that it was told to stop, and then finds that it cannot write. */
static enum err deaf(struct ctx *cx, const struct job *job) {
    struct seen *s = cx->app;
    bool first = atomic_fetch_add(&s->threads, 1) == 0;
    while (first && !atomic_load(&s->go))
        wait_ms(2);
    enum err e = job_write(cx, job, add_effect, NULL);
    if (e == ERR_LEASE_LOST)
        atomic_fetch_add(&s->refused, 1);
    return e;
}

static enum err late(struct ctx *cx, const struct job *job) {
    wait_ms(30);
    return count(cx, job);
}

static const struct job_type TYPES[] = {
    {.name = "count", .mode = JOB_CLOSURE, .run = count},
    {.name = "flaky", .mode = JOB_CLOSURE, .run = flaky, .attempts_max = 3},
    {.name = "poison", .mode = JOB_CLOSURE, .run = poison},
    {.name = "batched", .mode = JOB_CLOSURE, .run = batched, .batch = 128},
    {.name = "kept", .mode = JOB_CLOSURE, .run = count, .keep_done = true},
    {.name = "slow", .mode = JOB_THREAD, .run = slow, .queue = "slow"},
    {.name = "limited", .mode = JOB_THREAD, .run = slow, .time_limit_us = 50 * US_PER_MS, .attempts_max = 1},
    {.name = "deaf", .mode = JOB_THREAD, .run = deaf},
    {.name = "stuck",
     .mode = JOB_THREAD,
     .run = deaf,
     .time_limit_us = 50 * US_PER_MS,
     .hard_limit_us = 100 * US_PER_MS,
     .attempts_max = 1},
    {.name = "late", .mode = JOB_CLOSURE, .run = late, .time_limit_us = 5 * US_PER_MS, .attempts_max = 1},
};
static const struct module MODULE = {.name = "test", TABLE(jobs, TYPES)};

static int open_world(void **state) {
    (void)state;
    seen = (struct seen){0};
    world_open(&world, &MODULE);
    return 0;
}
static int close_world(void **state) {
    (void)state;
    world_close(&world);
    return 0;
}

static struct runner *start_on(struct db *db, int64_t workers, int64_t lease_us) {
    struct runner_setup setup = {
        .modules = world.list,
        .n_modules = 2,
        .log = world.log,
        .clock = world.clock,
        .db = db,
        .app = &seen,
        .workers = workers,
        .lease_us = lease_us,
    };
    struct runner *r;
    MUST(&world, runner_start(&world.cx, &setup, &r));
    return r;
}
static struct runner *start(int64_t workers) { return start_on(world.db, workers, 0); }

struct many {
    struct job_new job;
    int n;
};
static enum err enqueue_many(struct ctx *cx, void *arg) {
    const struct many *m = arg;
    enum err e = OK;
    for (int i = 0; !e && i < m->n; i++)
        e = jobs_enqueue(cx, &m->job);
    return e;
}

static void j1_jobs_run_once_and_are_gone(void **state) {
    (void)state;
    world_do(&world, enqueue_many, &(struct many){{.name = "count"}, 700});
    struct runner *r = start(0);
    world_do(&world, enqueue_many, &(struct many){{.name = "count"}, 300});
    assert_true(WITHIN_15_S(world_count(&world, &COUNT_NAME, "count") == 0));
    runner_stop(r, US_PER_S);
    assert_int_equal(atomic_load(&seen.runs), 1000);
    assert_int_equal(world_count(&world, &COUNT_NAME, "effect"), 1000);
}

static void j1_a_job_starts_without_being_polled_for(void **state) {
    (void)state;
    struct runner *r = start(0);
    wait_ms(300);
    int64_t begun = clock_steady();
    world_enqueue(&world, (struct job_new){.name = "count"});
    assert_true(WITHIN_15_S(atomic_load(&seen.runs) == 1));
    assert_in_range(clock_steady() - begun, 0, 4 * US_PER_S); /* it polls every 5 */
    begun = clock_steady();
    world_enqueue(&world,
                  (struct job_new){.name = "count", .due_at = {clock_now(world.clock).us + 300 * US_PER_MS}});
    assert_true(WITHIN_15_S(atomic_load(&seen.runs) == 2));
    assert_in_range(clock_steady() - begun, 290 * US_PER_MS, 5 * US_PER_S);
    runner_stop(r, US_PER_S);
}

static void j4_a_failed_run_leaves_nothing_and_is_tried_again(void **state) {
    (void)state;
    atomic_store(&seen.failures, 1);
    struct runner *r = start(0);
    world_enqueue(&world, (struct job_new){.name = "flaky"});
    struct job job = {0};
    assert_true(WITHIN_15_S(world_job(&world, "flaky", &job) && str_eq(job.state, S("waiting"))));
    assert_int_equal(world_count(&world, &COUNT_NAME, "effect"), 0);
    assert_true(str_starts(job.last_error, S("unavailable: ")));
    assert_non_null(memmem(job.last_error.p, job.last_error.n, "the reason", 10));
    assert_in_range(job.due_at.us - job.created_at.us, 700 * US_PER_MS, 5 * US_PER_S);
    assert_true(WITHIN_15_S(world_count(&world, &COUNT_NAME, "flaky") == 0));
    assert_int_equal(world_count(&world, &COUNT_NAME, "effect"), 1);
    assert_int_equal(atomic_load(&seen.runs), 2);
    runner_stop(r, US_PER_S);
}

static void j1_permanent_errors_and_last_attempts_go_to_the_dead_letters(void **state) {
    (void)state;
    atomic_store(&seen.failures, 99);
    struct runner *r = start(0);
    world_enqueue(&world, (struct job_new){.name = "poison"});
    struct job job = {0};
    assert_true(WITHIN_15_S(world_job(&world, "poison", &job) && str_eq(job.state, S("dead"))));
    assert_int_equal(job.attempts, 1);
    assert_true(str_eq(job.last_error, S("invalid: The row is wrong.")));
    world_enqueue(&world, (struct job_new){.name = "flaky"});
    assert_true(WITHIN_15_S(world_job(&world, "flaky", &job) && str_eq(job.state, S("dead"))));
    assert_int_equal(job.attempts, 3);
    runner_stop(r, US_PER_S);
}

static void j1_an_unknown_name_is_kept_for_somebody_who_knows_it(void **state) {
    (void)state;
    struct runner *r = start(0);
    world_enqueue(&world, (struct job_new){.name = "of tomorrow"});
    struct job job = {0};
    assert_true(WITHIN_15_S(world_job(&world, "of tomorrow", &job) && str_eq(job.state, S("waiting"))));
    assert_true(str_eq(job.last_error, S("unavailable: No job here is called of tomorrow.")));
    runner_stop(r, US_PER_S);
}

static void j4_one_bad_job_of_a_batch_costs_the_others_nothing(void **state) {
    (void)state;
    world_do(&world, enqueue_many, &(struct many){{.name = "batched"}, 50});
    world_enqueue(&world, (struct job_new){.name = "batched", .args = {S("{\"bad\": true}")}});
    world_do(&world, enqueue_many, &(struct many){{.name = "batched"}, 49});
    struct runner *r = start(0);
    assert_true(WITHIN_15_S(world_count(&world, &COUNT_NAME, "effect") == 99));
    assert_true(WITHIN_15_S(world_count(&world, &COUNT_STATE, "dead") == 1));
    assert_int_equal(world_count(&world, &COUNT_NAME, "batched"), 1);
    runner_stop(r, US_PER_S);
    assert_int_equal(world_count(&world, &COUNT_NAME, "effect"), 99);
}

static void j1_done_jobs_are_kept_where_their_type_says_so(void **state) {
    (void)state;
    struct runner *r = start(0);
    world_enqueue(&world, (struct job_new){.name = "kept"});
    assert_true(WITHIN_15_S(world_count(&world, &COUNT_STATE, "done") == 1));
    runner_stop(r, US_PER_S);
}

static void j1_a_thread_job_longer_than_its_lease_runs_once(void **state) {
    (void)state;
    struct runner *r = start_on(world.db, 2, 300 * US_PER_MS);
    world_enqueue(&world, (struct job_new){.name = "slow"});
    world_enqueue(&world, (struct job_new){.name = "count"}); /* is not held up by it */
    assert_true(WITHIN_15_S(atomic_load(&seen.threads) == 1 && atomic_load(&seen.runs) == 1));
    wait_ms(1500);
    assert_int_equal(atomic_load(&seen.threads), 1);
    atomic_store(&seen.go, true);
    assert_true(WITHIN_15_S(world_count(&world, &COUNT_NAME, "slow") == 0));
    assert_int_equal(world_count(&world, &COUNT_NAME, "effect"), 2);
    runner_stop(r, US_PER_S);
    assert_int_equal(atomic_load(&seen.threads), 1);
}

static void j1_a_job_past_its_time_is_told(void **state) {
    (void)state;
    struct runner *r = start(1);
    world_enqueue(&world, (struct job_new){.name = "limited"});
    assert_true(WITHIN_15_S(world_count(&world, &COUNT_STATE, "dead") == 1));
    assert_int_equal(atomic_load(&seen.cancelled), 1);
    runner_stop(r, US_PER_S);
}

/* The lease is taken away behind the runner's back, as by a pause that nobody noticed. */
static bool is_dead(const char *name) {
    struct job job;
    return world_job(&world, name, &job) && str_eq(job.state, S("dead"));
}

static void j1_a_thread_past_its_hard_limit_is_given_up_and_replaced(void **state) {
    (void)state;
    struct runner *r = start(1);
    world_enqueue(&world, (struct job_new){.name = "stuck"});
    assert_true(WITHIN_15_S(is_dead("stuck")));
    struct job job;
    assert_true(world_job(&world, "stuck", &job));
    assert_true(str_starts(job.last_error, S("time-limit: ")));
    world_enqueue(&world, (struct job_new){.name = "deaf"}); /* the one worker does not come back */
    assert_true(WITHIN_15_S(world_count(&world, &COUNT_NAME, "effect") == 1));
    atomic_store(&seen.go, true);
    assert_true(WITHIN_15_S(atomic_load(&seen.refused) == 1));
    runner_stop(r, 10 * US_PER_S);
    assert_int_equal(world_count(&world, &COUNT_NAME, "effect"), 1);
    assert_true(is_dead("stuck"));
}

static void j1_a_closure_past_its_time_has_no_effect(void **state) {
    (void)state;
    struct runner *r = start(0);
    world_enqueue(&world, (struct job_new){.name = "late"});
    assert_true(WITHIN_15_S(is_dead("late")));
    assert_int_equal(world_count(&world, &COUNT_NAME, "effect"), 0);
    runner_stop(r, 10 * US_PER_S);
}

static void j4_a_worker_that_lost_its_lease_can_neither_write_nor_finish(void **state) {
    (void)state;
    struct runner *r = start(2);
    world_enqueue(&world, (struct job_new){.name = "deaf"});
    assert_true(WITHIN_15_S(atomic_load(&seen.threads) == 1));
    /* Again and again, because the heartbeat may move the lease's end before the sweep has seen it. */
    for (int i = 0; i < 150 && atomic_load(&seen.threads) == 1; i++) {
        world_do(&world, end_leases_run, NULL);
        wait_ms(100);
    }
    /* The sweep has given it to the other worker, which does it; then the first one wakes up. */
    assert_true(WITHIN_15_S(world_count(&world, &COUNT_NAME, "deaf") == 0));
    atomic_store(&seen.go, true);
    assert_true(WITHIN_15_S(atomic_load(&seen.refused) == 1));
    runner_stop(r, US_PER_S);
    assert_int_equal(atomic_load(&seen.threads), 2);
    assert_int_equal(world_count(&world, &COUNT_NAME, "effect"), 1);
}

static void j1_stopping_hands_back_what_is_not_begun(void **state) {
    (void)state;
    struct runner *r = start(1);
    world_do(&world, enqueue_many, &(struct many){{.name = "slow"}, 3});
    assert_true(WITHIN_15_S(atomic_load(&seen.threads) == 1));
    int64_t begun = clock_steady();
    runner_stop(r, 60 * US_PER_S);
    assert_in_range(clock_steady() - begun, 0, 30 * US_PER_S);
    /* The one that ran was told, broke off, and is handed back as well. */
    assert_int_equal(world_count(&world, &COUNT_STATE, "ready"), 3);
    struct job job;
    assert_true(world_job(&world, "slow", &job));
    assert_int_equal(job.attempts, 0);
    atomic_store(&seen.go, true);
    r = start(2);
    assert_true(WITHIN_15_S(world_count(&world, &COUNT_NAME, "slow") == 0));
    runner_stop(r, US_PER_S);
    assert_int_equal(world_count(&world, &COUNT_NAME, "effect"), 3);
}

static void j1_stopping_under_load_loses_and_doubles_nothing(void **state) {
    (void)state;
    world_do(&world, enqueue_many, &(struct many){{.name = "count"}, 4000});
    for (int i = 0; i < 4; i++) {
        struct runner *r = start(1);
        wait_ms(30);
        runner_stop(r, 5 * US_PER_S);
        assert_int_equal(world_count(&world, &COUNT_STATE, "running"), 0);
        assert_int_equal(
            world_count(&world, &COUNT_NAME, "count") + world_count(&world, &COUNT_NAME, "effect"), 4000);
    }
    struct runner *r = start(1);
    assert_true(WITHIN_15_S(world_count(&world, &COUNT_NAME, "count") == 0));
    runner_stop(r, US_PER_S);
    assert_int_equal(world_count(&world, &COUNT_NAME, "effect"), 4000);
}

/* A process that was killed between claim and end leaves running rows; the next one on SQLite takes them back
 * at once, on PostgreSQL once their lease has ended. */
static void j4_a_job_killed_between_claim_and_end_runs_again(void **state) {
    (void)state;
    world_do(&world, enqueue_many, &(struct many){{.name = "count"}, 20});
    assert_int_equal(world_claim(&world, 20).n, 20);
    if (postgres_url[0])
        world_do(&world, end_leases_run, NULL);
    struct runner *r = start(0);
    assert_true(WITHIN_15_S(world_count(&world, &COUNT_NAME, "count") == 0));
    runner_stop(r, US_PER_S);
    assert_int_equal(world_count(&world, &COUNT_NAME, "effect"), 20);
}

struct enqueuer {
    pthread_t thread;
    struct ctx cx;
    struct job_new job;
};
static void *enqueue_thread(void *arg) {
    struct enqueuer *e = arg;
    return db_write_wait(&e->cx, enqueue_run, &e->job) ? arg : NULL;
}

static void j1_of_64_concurrent_enqueues_of_one_key_one_is_kept(void **state) {
    (void)state;
    static struct enqueuer all[64];
    for (int i = 0; i < 64; i++) {
        all[i] = (struct enqueuer){.cx = world.cx, .job = {.name = "noop", .unique_key = S("once")}};
        all[i].cx.mem = arena_new(1 << 20);
        assert_int_equal(pthread_create(&all[i].thread, NULL, enqueue_thread, &all[i]), 0);
    }
    for (int i = 0; i < 64; i++) {
        void *failed;
        pthread_join(all[i].thread, &failed);
        assert_null(failed);
        arena_free(all[i].cx.mem);
    }
    assert_int_equal(world_count(&world, &COUNT_NAME, "noop"), 1);
}

static void j1_two_runners_on_one_database_never_run_a_job_twice(void **state) {
    (void)state;
    if (!postgres_url[0])
        skip(); /* SQLite has one process */
    struct db *second = world_connect(&world);
    struct runner *a = start_on(world.db, 2, 0), *b = start_on(second, 2, 0);
    atomic_store(&seen.go, true);
    for (int i = 0; i < 5; i++) {
        world_do(&world, enqueue_many, &(struct many){{.name = "count"}, 400});
        world_do(&world, enqueue_many, &(struct many){{.name = "slow"}, 5});
    }
    assert_true(WITHIN_15_S(
        world_count(&world, &COUNT_NAME, "count") + world_count(&world, &COUNT_NAME, "slow") == 0));
    runner_stop(a, US_PER_S);
    runner_stop(b, US_PER_S);
    db_close(second);
    assert_int_equal(atomic_load(&seen.runs), 2000);
    assert_int_equal(atomic_load(&seen.threads), 25);
    assert_int_equal(world_count(&world, &COUNT_NAME, "effect"), 2025);
}

static void j5_a_job_runs_in_the_foreground(void **state) {
    (void)state;
    struct runner_setup setup = {.modules = world.list, .n_modules = 2};
    world.cx.app = &seen;
    MUST(&world, runner_foreground(&world.cx, &setup, S("count"), S("{}")));
    atomic_store(&seen.go, true);
    MUST(&world, runner_foreground(&world.cx, &setup, S("slow"), (struct str){0}));
    assert_int_equal(runner_foreground(&world.cx, &setup, S("none"), S("{}")), ERR_INVALID);
    assert_int_equal(runner_foreground(&world.cx, &setup, S("count"), S("[]")), ERR_INVALID);
    assert_int_equal(runner_foreground(&world.cx, &setup, S("poison"), S("{}")), ERR_INVALID);
    assert_true(str_eq(world.cx.fault.message, S("The row is wrong.")));
    assert_int_equal(world_count(&world, &COUNT_NAME, "effect"), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

static int run(void) {
    const struct CMUnitTest tests[] = {
        TEST(j1_jobs_run_once_and_are_gone),
        TEST(j1_a_job_starts_without_being_polled_for),
        TEST(j4_a_failed_run_leaves_nothing_and_is_tried_again),
        TEST(j1_permanent_errors_and_last_attempts_go_to_the_dead_letters),
        TEST(j1_an_unknown_name_is_kept_for_somebody_who_knows_it),
        TEST(j4_one_bad_job_of_a_batch_costs_the_others_nothing),
        TEST(j1_done_jobs_are_kept_where_their_type_says_so),
        TEST(j1_a_thread_job_longer_than_its_lease_runs_once),
        TEST(j1_a_job_past_its_time_is_told),
        TEST(j1_a_thread_past_its_hard_limit_is_given_up_and_replaced),
        TEST(j1_a_closure_past_its_time_has_no_effect),
        TEST(j4_a_worker_that_lost_its_lease_can_neither_write_nor_finish),
        TEST(j1_stopping_hands_back_what_is_not_begun),
        TEST(j1_stopping_under_load_loses_and_doubles_nothing),
        TEST(j4_a_job_killed_between_claim_and_end_runs_again),
        TEST(j1_of_64_concurrent_enqueues_of_one_key_one_is_kept),
        TEST(j1_two_runners_on_one_database_never_run_a_job_twice),
        TEST(j5_a_job_runs_in_the_foreground),
    };
    return cmocka_run_group_tests_name(postgres_url[0] ? "runner, PostgreSQL" : "runner, SQLite", tests, NULL,
                                       NULL);
}

int main(void) { return run_on_both(run); }
