/* The driver of jobs on both databases, by hand: what is claimed, who may end it, what a sweep finds. */
#include "jobs_test.h"

#define DRIVER JOB_DRIVER_DB

static struct world world;

static int open_world(void **state) {
    (void)state;
    world_open(&world, NULL);
    return 0;
}
static int close_world(void **state) {
    (void)state;
    world_close(&world);
    return 0;
}

static enum err enqueue_and_refuse(struct ctx *cx, void *arg) {
    enum err e = jobs_enqueue(cx, arg);
    return e ? e : ERR_CONFLICT;
}

static void j1_a_rolled_back_transaction_leaves_no_job(void **state) {
    (void)state;
    struct job_new job = {.name = "noop"};
    assert_int_equal(db_write_wait(&world.cx, enqueue_and_refuse, &job), ERR_CONFLICT);
    assert_int_equal(world_count(&world, &COUNT_NAME, "noop"), 0);
    world_enqueue(&world, job);
    assert_int_equal(world_count(&world, &COUNT_NAME, "noop"), 1);
}

static void j1_what_was_enqueued_is_what_is_claimed(void **state) {
    (void)state;
    world.cx.request_id = S("req-1");
    world_enqueue(
        &world, (struct job_new){
                    .name = "noop", .args = {S("{\"a\": [1, \"ü\"]}")}, .unique_key = S("k"), .priority = 3});
    struct list jobs = world_claim(&world, 10);
    assert_int_equal(jobs.n, 1);
    const struct job *job = jobs.items;
    assert_true(uuid_eq(job->org_id, ORG_A));
    assert_true(str_eq(job->name, S("noop")) && str_eq(job->queue, S("default")));
    assert_true(str_eq(job->request_id, S("req-1")) && str_eq(job->unique_key, S("k")));
    assert_non_null(memmem(job->args.text.p, job->args.text.n, "ü", 2));
    assert_int_equal(job->priority, 3);
    assert_int_equal(job->attempts, 1);
    assert_int_equal(job->attempts_max, JOB_ATTEMPTS_DEFAULT);
    assert_int_equal(job->lease, 1);
    assert_int_equal(world_claim(&world, 10).n, 0);
}

static void j1_arguments_that_are_no_object_are_refused(void **state) {
    (void)state;
    struct job_new job = {.name = "noop", .args = {S("[1]")}};
    assert_int_equal(db_write_wait(&world.cx, enqueue_run, &job), ERR_INVALID);
    char *big = malloc(JOB_ARGS_MAX + 8);
    memset(big, ' ', JOB_ARGS_MAX + 8);
    memcpy(big, "{}", 2);
    job.args.text = (struct str){big, JOB_ARGS_MAX + 1};
    assert_int_equal(db_write_wait(&world.cx, enqueue_run, &job), ERR_TOO_LARGE);
    free(big);
}

static void j1_claims_go_by_priority_then_due_time(void **state) {
    (void)state;
    int64_t now = clock_now(world.clock).us;
    world_enqueue(&world, (struct job_new){.name = "third", .due_at = {now - 1000}, .priority = 1});
    world_enqueue(&world, (struct job_new){.name = "second", .due_at = {now - 1000}});
    world_enqueue(&world, (struct job_new){.name = "first", .due_at = {now - 9000}});
    world_enqueue(&world, (struct job_new){.name = "zeroth", .due_at = {now - 10}, .priority = -1});
    world_enqueue(&world,
                  (struct job_new){.name = "not yet", .due_at = {now + 3600 * US_PER_S}, .priority = -9});
    const char *const order[] = {"zeroth", "first", "second"};
    struct list jobs = world_claim(&world, 3);
    assert_int_equal(jobs.n, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(str_eq(((const struct job *)jobs.items)[i].name, str_of(order[i])));
    assert_int_equal(world_claim(&world, 3).n, 1);
}

struct ending {
    const struct job *jobs;
    size_t n;
    struct instant due;
    bool keep;
};
static enum err finish_run(struct ctx *cx, void *arg) {
    const struct ending *e = arg;
    enum err err =
        jobs_enqueue(cx, &(struct job_new){.name = "effect", .due_at = {cx->now.us + US_PER_S * 999}});
    struct instant until = {e->keep ? cx->now.us + JOB_KEEP_US : 0};
    return err ? err : DRIVER.finish(cx, e->jobs, e->n, until);
}
static enum err fail_run(struct ctx *cx, void *arg) {
    const struct ending *e = arg;
    return (DRIVER.fail)(cx, e->jobs, S("unavailable: Not now."), e->due);
}
static enum err hold_run(struct ctx *cx, void *arg) {
    return DRIVER.hold(cx, ((const struct ending *)arg)->jobs);
}
static enum err give_back_run(struct ctx *cx, void *arg) {
    const struct ending *e = arg;
    return DRIVER.give_back(cx, e->jobs, e->n);
}
static enum err sweep_run(struct ctx *cx, void *arg) { return DRIVER.sweep(cx, arg); }
static enum err recover_run(struct ctx *cx, void *arg) {
    (void)arg;
    return DRIVER.recover(cx);
}

static void sweep(void) {
    bool more;
    world_do(&world, sweep_run, &more);
    assert_false(more);
}

static void j4_a_stale_lease_can_neither_finish_nor_write(void **state) {
    (void)state;
    world_enqueue(&world, (struct job_new){.name = "noop"});
    struct list stale = world_claim(&world, 1);
    world_do(&world, end_leases_run, NULL);
    sweep();
    struct ending old = {.jobs = stale.items, .n = 1, .due = {1}};
    /* Swept, not yet claimed again: the old holder has lost it already. */
    assert_int_equal(db_write_wait(&world.cx, finish_run, &old), ERR_LEASE_LOST);
    struct list fresh = world_claim(&world, 1);
    assert_int_equal(fresh.n, 1);
    assert_int_equal(((const struct job *)fresh.items)->lease, 2);
    assert_int_equal(db_write_wait(&world.cx, finish_run, &old), ERR_LEASE_LOST);
    assert_int_equal(db_write_wait(&world.cx, fail_run, &old), ERR_LEASE_LOST);
    assert_int_equal(db_write_wait(&world.cx, hold_run, &old), ERR_LEASE_LOST);
    assert_int_equal(db_write_wait(&world.cx, give_back_run, &old), ERR_LEASE_LOST);
    assert_int_equal(world_count(&world, &COUNT_NAME, "effect"), 0);
    struct ending current = {.jobs = fresh.items, .n = 1};
    world_do(&world, hold_run, &current);
    world_do(&world, finish_run, &current);
    assert_int_equal(world_count(&world, &COUNT_NAME, "effect"), 1);
    assert_int_equal(world_count(&world, &COUNT_NAME, "noop"), 0);
    assert_int_equal(db_write_wait(&world.cx, finish_run, &current), ERR_LEASE_LOST);
}

static void j4_several_finish_together_or_not_at_all(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++)
        world_enqueue(&world, (struct job_new){.name = "noop"});
    struct list jobs = world_claim(&world, 5);
    ((struct job *)jobs.items)[3].lease++;
    struct ending all = {.jobs = jobs.items, .n = 5};
    assert_int_equal(db_write_wait(&world.cx, finish_run, &all), ERR_LEASE_LOST);
    assert_int_equal(world_count(&world, &COUNT_NAME, "noop"), 5);
    assert_int_equal(world_count(&world, &COUNT_NAME, "effect"), 0);
    ((struct job *)jobs.items)[3].lease--;
    world_do(&world, finish_run, &all);
    assert_int_equal(world_count(&world, &COUNT_NAME, "noop"), 0);
}

static void j4_another_organisation_cannot_end_a_job(void **state) {
    (void)state;
    world_enqueue(&world, (struct job_new){.name = "noop"});
    struct list jobs = world_claim(&world, 1);
    struct ending end = {.jobs = jobs.items, .n = 1};
    struct job seen;
    bool found;
    world.cx.actor.org = ORG_B;
    assert_int_equal(db_write_wait(&world.cx, finish_run, &end), ERR_LEASE_LOST);
    MUST(&world, db_read_begin(&world.cx));
    MUST(&world, DRIVER.get(&world.cx, end.jobs->id, &seen, &found));
    db_read_end(&world.cx);
    assert_false(found);
}

static void j1_jobs_of_the_server_have_no_organisation(void **state) {
    (void)state;
    world.cx.actor.org = (struct uuid){0};
    world_enqueue(&world, (struct job_new){.name = "noop", .unique_key = S("one")});
    world_enqueue(&world, (struct job_new){.name = "noop", .unique_key = S("one")});
    struct list jobs = world_claim(&world, 5);
    assert_int_equal(jobs.n, 1);
    assert_true(uuid_is_nil(((const struct job *)jobs.items)->org_id));
    world_do(&world, finish_run, &(struct ending){.jobs = jobs.items, .n = 1});
    assert_int_equal(world_count(&world, &COUNT_NAME, "noop"), 0);
}

static void j1_a_failed_job_waits_and_comes_again(void **state) {
    (void)state;
    world_enqueue(&world, (struct job_new){.name = "noop"});
    struct list jobs = world_claim(&world, 1);
    struct ending end = {.jobs = jobs.items, .n = 1, .due = {clock_now(world.clock).us + 3 * US_PER_S}};
    world_do(&world, fail_run, &end);
    struct job job;
    assert_true(world_job(&world, "noop", &job));
    assert_true(str_eq(job.state, S("waiting")) && str_eq(job.last_error, S("unavailable: Not now.")));
    assert_int_equal(job.due_at.us, end.due.us);
    sweep();
    assert_int_equal(world_claim(&world, 1).n, 0);
    while (clock_now(world.clock).us <= end.due.us)
        usleep(10000);
    sweep();
    jobs = world_claim(&world, 1);
    assert_int_equal(jobs.n, 1);
    assert_int_equal(((const struct job *)jobs.items)->attempts, 2);
    assert_int_equal(((const struct job *)jobs.items)->lease, 2);
}

static enum err next_due_run(struct ctx *cx, void *arg) { return DRIVER.next_due(cx, arg); }

static void j1_the_next_due_time_is_known(void **state) {
    (void)state;
    struct instant due, later = {clock_now(world.clock).us + 100 * US_PER_S};
    world_do(&world, next_due_run, &due);
    assert_int_equal(due.us, 0);
    world_enqueue(&world, (struct job_new){.name = "noop", .due_at = {later.us + 1}});
    world_enqueue(&world, (struct job_new){.name = "noop", .due_at = later});
    world_do(&world, next_due_run, &due);
    assert_int_equal(due.us, later.us);
}

static void j1_a_job_handed_back_keeps_its_attempts(void **state) {
    (void)state;
    world_enqueue(&world, (struct job_new){.name = "noop"});
    struct list jobs = world_claim(&world, 1);
    world_do(&world, give_back_run, &(struct ending){.jobs = jobs.items, .n = 1});
    jobs = world_claim(&world, 1);
    assert_int_equal(jobs.n, 1);
    assert_int_equal(((const struct job *)jobs.items)->attempts, 1);
    assert_int_equal(((const struct job *)jobs.items)->lease, 2);
}

static void j4_a_job_whose_worker_died_runs_again_until_its_last_attempt(void **state) {
    (void)state;
    world_enqueue(&world, (struct job_new){.name = "noop"});
    for (int attempt = 1; attempt <= JOB_ATTEMPTS_DEFAULT; attempt++) {
        struct list jobs = world_claim(&world, 1);
        assert_int_equal(jobs.n, 1);
        assert_int_equal(((const struct job *)jobs.items)->attempts, attempt);
        sweep(); /* its lease holds */
        assert_int_equal(world_claim(&world, 1).n, 0);
        world_do(&world, end_leases_run, NULL);
        sweep();
    }
    struct job job;
    assert_true(world_job(&world, "noop", &job));
    assert_true(str_eq(job.state, S("dead")));
    assert_true(str_starts(job.last_error, S("lease-lost")));
    assert_true(job.finished_at.us > 0);
}

static void j4_orphans_of_an_earlier_life_are_taken_back_at_once(void **state) {
    (void)state;
    world_enqueue(&world, (struct job_new){.name = "noop"});
    assert_int_equal(world_claim(&world, 1).n, 1);
    world_do(&world, recover_run, NULL);
    if (postgres_url[0]) {
        assert_int_equal(world_claim(&world, 1).n,
                         0); /* another process may hold it: its lease is waited for */
        world_do(&world, end_leases_run, NULL);
        world_do(&world, recover_run, NULL);
    }
    assert_int_equal(world_claim(&world, 1).n, 1);
}

struct extending {
    struct job_hold holds[3];
    struct list kept;
};
static enum err extend_run(struct ctx *cx, void *arg) {
    struct extending *x = arg;
    return DRIVER.extend(cx, x->holds, 3, (struct instant){db_time(cx->database).us + 60 * US_PER_S},
                         &x->kept);
}

static void j1_a_heartbeat_extends_only_what_is_held(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        world.cx.actor.org = i == 1 ? ORG_B : ORG_A;
        world_enqueue(&world, (struct job_new){.name = "noop"});
    }
    world.cx.actor.org = ORG_A;
    struct list jobs = world_claim(&world, 3);
    struct extending x;
    for (size_t i = 0; i < 3; i++) {
        const struct job *job = (const struct job *)jobs.items + i;
        x.holds[i] = (struct job_hold){job->org_id, job->id, job->lease - (i == 2)};
    }
    world_do(&world, end_leases_run, NULL);
    world_do(&world, extend_run, &x);
    assert_int_equal(x.kept.n, 2);
    sweep();
    jobs = world_claim(&world, 3);
    assert_int_equal(jobs.n, 1);
    assert_true(uuid_eq(((const struct job *)jobs.items)->id, x.holds[2].id));
}

static void j1_a_unique_key_has_one_live_job_and_is_free_again_after_it(void **state) {
    (void)state;
    struct job_new job = {.name = "noop", .unique_key = S("sheet-7")};
    world_enqueue(&world, job);
    world_enqueue(&world, job);
    assert_int_equal(world_count(&world, &COUNT_NAME, "noop"), 1);
    struct list jobs = world_claim(&world, 5);
    world_enqueue(&world, job); /* running is live */
    assert_int_equal(world_count(&world, &COUNT_NAME, "noop"), 1);
    world.cx.actor.org = ORG_B;
    world_enqueue(&world, job);
    world.cx.actor.org = ORG_A;
    world_enqueue(&world, (struct job_new){.name = "other", .unique_key = S("sheet-7")});
    assert_int_equal(world_count(&world, &COUNT_NAME, "noop"), 2);
    world_do(&world, fail_run, &(struct ending){.jobs = jobs.items, .n = 1}); /* dead */
    world_enqueue(&world, job);
    assert_int_equal(world_count(&world, &COUNT_NAME, "noop"), 3);
}

static void j1_what_is_done_can_be_kept_for_a_while(void **state) {
    (void)state;
    world_enqueue(&world, (struct job_new){.name = "noop"});
    struct list jobs = world_claim(&world, 1);
    world_do(&world, finish_run, &(struct ending){.jobs = jobs.items, .n = 1, .keep = true});
    struct job job;
    assert_true(world_job(&world, "noop", &job));
    assert_true(str_eq(job.state, S("done")) && job.finished_at.us);
    sweep();
    assert_int_equal(world_count(&world, &COUNT_NAME, "noop"), 1);
    struct ctx later = world.cx;
    later.clock = NULL; /* else the lane would take its time */
    later.now.us += JOB_KEEP_US + US_PER_S;
    bool more;
    MUST(&world, db_write_wait(&later, sweep_run, &more));
    assert_int_equal(world_count(&world, &COUNT_NAME, "noop"), 0);
}

static enum err retry_run(struct ctx *cx, void *arg) { return DRIVER.retry(cx, *(const struct uuid *)arg); }
static enum err drop_run(struct ctx *cx, void *arg) { return DRIVER.drop(cx, *(const struct uuid *)arg); }

static void j1_a_dead_job_is_retried_or_dropped_by_hand_a_running_one_is_not(void **state) {
    (void)state;
    struct job_new new = {.name = "noop", .unique_key = S("k")};
    world_enqueue(&world, new);
    struct list jobs = world_claim(&world, 1);
    struct uuid id = ((const struct job *)jobs.items)->id;
    assert_int_equal(db_write_wait(&world.cx, retry_run, &id), ERR_CONFLICT);
    assert_int_equal(db_write_wait(&world.cx, drop_run, &id), ERR_CONFLICT);
    world_do(&world, fail_run, &(struct ending){.jobs = jobs.items, .n = 1});
    world_enqueue(&world, new); /* it has the key now */
    assert_int_equal(db_write_wait(&world.cx, retry_run, &id), ERR_CONFLICT);
    struct list live = world_claim(&world, 1);
    world_do(&world, finish_run, &(struct ending){.jobs = live.items, .n = 1});
    world_do(&world, retry_run, &id);
    jobs = world_claim(&world, 1);
    assert_int_equal(jobs.n, 1);
    assert_int_equal(((const struct job *)jobs.items)->attempts, 1);
    assert_int_equal(((const struct job *)jobs.items)->lease, 2);
    world_do(&world, fail_run, &(struct ending){.jobs = jobs.items, .n = 1});
    world.cx.actor.org = ORG_B;
    assert_int_equal(db_write_wait(&world.cx, drop_run, &id), ERR_NOT_FOUND);
    world.cx.actor.org = ORG_A;
    world_do(&world, drop_run, &id);
    assert_int_equal(db_write_wait(&world.cx, drop_run, &id), ERR_NOT_FOUND);
}

static void j5_ready_jobs_are_counted(void **state) {
    (void)state;
    int64_t n = 9;
    world_enqueue(&world, (struct job_new){.name = "noop"});
    world_enqueue(&world, (struct job_new){.name = "noop"});
    MUST(&world, db_read_begin(&world.cx));
    MUST(&world, DRIVER.count_ready(&world.cx, S("default"), &n));
    assert_int_equal(n, 2);
    MUST(&world, DRIVER.count_ready(&world.cx, S("other"), &n));
    assert_int_equal(n, 0);
    db_read_end(&world.cx);
}

static void every_statement_fits_its_row(void **state) {
    (void)state;
    MUST(&world, db_check_stmts(&world.cx, JOB_STMTS, JOB_STMTS_N));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

static int run(void) {
    const struct CMUnitTest tests[] = {
        TEST(every_statement_fits_its_row),
        TEST(j1_a_rolled_back_transaction_leaves_no_job),
        TEST(j1_what_was_enqueued_is_what_is_claimed),
        TEST(j1_arguments_that_are_no_object_are_refused),
        TEST(j1_claims_go_by_priority_then_due_time),
        TEST(j4_a_stale_lease_can_neither_finish_nor_write),
        TEST(j4_several_finish_together_or_not_at_all),
        TEST(j4_another_organisation_cannot_end_a_job),
        TEST(j1_jobs_of_the_server_have_no_organisation),
        TEST(j1_a_failed_job_waits_and_comes_again),
        TEST(j1_the_next_due_time_is_known),
        TEST(j1_a_job_handed_back_keeps_its_attempts),
        TEST(j4_a_job_whose_worker_died_runs_again_until_its_last_attempt),
        TEST(j4_orphans_of_an_earlier_life_are_taken_back_at_once),
        TEST(j1_a_heartbeat_extends_only_what_is_held),
        TEST(j1_a_unique_key_has_one_live_job_and_is_free_again_after_it),
        TEST(j1_what_is_done_can_be_kept_for_a_while),
        TEST(j1_a_dead_job_is_retried_or_dropped_by_hand_a_running_one_is_not),
        TEST(j5_ready_jobs_are_counted),
    };
    return cmocka_run_group_tests_name(postgres_url[0] ? "jobs, PostgreSQL" : "jobs, SQLite", tests, NULL,
                                       NULL);
}

int main(void) { return run_on_both(run); }
