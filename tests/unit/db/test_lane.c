#include "db_test.h"

#include <unistd.h>

static struct pushed *of(void *arg) { return arg; }

static enum err add(struct ctx *cx, void *arg) {
    of(arg)->runs++;
    cx->after |= AFTER_WAKE_JOBS;
    return add_thing(cx, &of(arg)->id);
}

/* Writes first and refuses then. */
static enum err add_and_refuse(struct ctx *cx, void *arg) {
    enum err e = add(cx, arg);
    return e ? e : fail(cx, ERR_INSUFFICIENT, "no");
}

static enum err add_orphan(struct ctx *cx, void *arg) {
    of(arg)->runs++;
    return db_exec(cx, &TEST_STMTS[CHILD_ADD], ARGS(A(of(arg)->id), A(of(arg)->id)), NULL);
}

static enum err do_nothing(struct ctx *cx, void *arg) {
    (void)cx;
    of(arg)->runs++;
    return OK;
}

/* Stands for a disk that is full, which ends SQLite's transaction, or a server that is gone. */
static enum err end_transaction(struct ctx *cx, void *arg) {
    const struct driver *d = cx->db->driver;
    enum err e = add(cx, arg);
    if (e || of(arg)->runs > 1)
        return e;
    if (d == &SQLITE_DRIVER)
        rig_must(cx, d->script(cx->db, cx, S("ROLLBACK")));
    else
        assert_int_not_equal(d->script(cx->db, cx, S("SELECT pg_terminate_backend(pg_backend_pid())")), OK);
    int64_t id = 777;
    e = add_thing(cx, &id);
    assert_int_not_equal(e, OK);
    return e;
}

/* One group of writes: what each should come to, and how often it may have run. */
struct member {
    enum err (*run)(struct ctx *cx, void *arg);
    int64_t id;
    enum err outcome;
    int runs;
};

static void run_group(struct rig *r, const struct member *m, size_t n) {
    struct pushed p[16];
    struct gate g;
    rig_hold(r, &g);
    for (size_t i = 0; i < n; i++)
        rig_run(r, &p[i], m[i].run, m[i].id);
    rig_release(&g);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(rig_wait(&p[i]), m[i].outcome);
        /* On a slow machine a group may have ended in time before this one, and it ran by itself. */
        assert_true(p[i].runs <= m[i].runs && (p[i].runs > 0) == (m[i].runs > 0));
    }
}

static void one_that_fails_leaves_the_others(void **state) {
    struct rig *r = *state;
    static const struct member GROUP[] = {
        {add_and_refuse, 1, ERR_INSUFFICIENT, 1},
        {add, 2, OK, 1},
        {add_and_refuse, 3, ERR_INSUFFICIENT, 1},
        {do_nothing, 0, OK, 1},
        {add, 4, OK, 1},
        {add, 4, ERR_CONFLICT, 1},
        {add, 5, OK, 1},
        {add_and_refuse, 5, ERR_CONFLICT, 1},
    };
    if (!r->db)
        skip();
    run_group(r, GROUP, COUNT(GROUP));
    assert_int_equal(count_things(r), 3);
}

/* What an attempt wrote before it refused is gone; what the closure writes itself before and after stays. */
static enum err attempt_and_go_on(struct ctx *cx, void *arg) {
    struct pushed *p = of(arg), inner = {.id = p->id + 100};
    enum err e = add(cx, p);
    if (e)
        return e;
    assert_int_equal(db_attempt(cx, add_and_refuse, &inner), ERR_INSUFFICIENT);
    assert_int_equal(db_attempt(cx, do_nothing, &inner), OK);
    assert_int_equal(db_attempt(cx, add_and_refuse, &inner), ERR_INSUFFICIENT);
    fault_clear(cx);
    rig_must(cx, db_attempt(cx, add, &inner)); /* the same id: it was free again */
    inner.id++;
    return db_attempt(cx, add, &inner);
}

/* A statement that fails goes back with the attempt, and a closure that fails with its attempts. */
static enum err attempt_twice_the_same(struct ctx *cx, void *arg) {
    struct pushed *p = of(arg), inner = {.id = p->id};
    enum err e = add(cx, p);
    if (!e)
        assert_int_equal(db_attempt(cx, add, &inner), ERR_CONFLICT);
    fault_clear(cx);
    return e;
}
static enum err attempt_and_refuse(struct ctx *cx, void *arg) {
    enum err e = attempt_and_go_on(cx, arg);
    return e ? e : fail(cx, ERR_INSUFFICIENT, "no");
}

static void an_attempt_is_taken_back_alone(void **state) {
    struct rig *r = *state;
    static const struct member GROUP[] = {{attempt_and_go_on, 1, OK, 1},
                                          {attempt_twice_the_same, 2, OK, 1},
                                          {attempt_and_refuse, 3, ERR_INSUFFICIENT, 1},
                                          {attempt_and_go_on, 4, OK, 1}};
    static const struct member ALONE[] = {{attempt_and_go_on, 10, OK, 1}};
    if (!r->db)
        skip();
    run_group(r, GROUP, COUNT(GROUP));
    run_group(r, ALONE, 1);
    assert_int_equal(count_things(r), 10);
}

static void all_may_fail(void **state) {
    struct rig *r = *state;
    static const struct member GROUP[] = {{add_and_refuse, 1, ERR_INSUFFICIENT, 1},
                                          {add_and_refuse, 1, ERR_INSUFFICIENT, 1}};
    static const struct member ALONE[] = {{add_and_refuse, 1, ERR_INSUFFICIENT, 1}};
    if (!r->db)
        skip();
    run_group(r, GROUP, 2);
    run_group(r, ALONE, 1);
    assert_int_equal(count_things(r), 0);
}

/* A lot whose writes note the largest that they were part of; 13 in it, and it refuses. */
static enum err add_lot(struct write *const *writes, size_t n) {
    struct ctx *cx = writes[0]->cx;
    struct steps rows = {.cx = cx};
    assert_true(n > 1 && n <= LOT_MAX);
    bool refuse = false;
    for (size_t i = 0; i < n; i++) {
        struct pushed *p = writes[i]->arg;
        struct thing t = {.id = p->id};
        assert_true(i == 0 || !writes[i]->cx->db);
        assert_true(uuid_eq(writes[i]->cx->actor.org, cx->actor.org));
        p->lots++;
        refuse = refuse || p->id == 13;
        (void)steps_add_row(&rows, &TEST_STMTS[THING_ADD_ROWS], args_of(cx, &THING, &t, ARGS()));
    }
    enum err e = steps_run(&rows);
    if (!e && rows.v[0].changed != (int64_t)n)
        e = fail(cx, ERR_CONFLICT, "known");
    return !e && refuse ? fail(cx, ERR_INSUFFICIENT, "13") : e;
}

static void push_lot(struct rig *r, struct pushed *p, int64_t id) {
    rig_prepare(r, p, id == 13 ? add_and_refuse : add, id);
    p->write.lot = add_lot;
    rig_push(r, p);
}

static void writes_go_in_lots(void **state) {
    static struct pushed p[100];
    struct rig *r = *state;
    struct gate g;
    if (!r->db)
        skip();
    memset(p, 0, sizeof(p));
    rig_hold(r, &g);
    for (int i = 0; i < 50; i++) {
        push_lot(r, &p[2 * i], 1000 + i);
        rig_run(r, &p[2 * i + 1], i % 2 ? add : add_and_refuse, 2000 + i); /* between them */
    }
    rig_release(&g);
    size_t in_lots = 0;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(rig_wait(&p[i]), i % 4 == 1 ? ERR_INSUFFICIENT : OK);
        assert_true(p[i].runs == 0 || p[i].lots == 0);
        in_lots += p[i].lots > 0;
    }
    assert_true(in_lots > 0);
    assert_int_equal(count_things(r), 75);
}

/* One that refuses and one that is known: those leave nothing, the others come through. */
static void a_lot_that_fails_comes_by_halves(void **state) {
    static struct pushed p[20];
    struct rig *r = *state;
    struct gate g;
    if (!r->db)
        skip();
    memset(p, 0, sizeof(p));
    rig_hold(r, &g);
    for (int i = 0; i < 20; i++)
        push_lot(r, &p[i], i == 19 ? 3 : i);
    rig_release(&g);
    int refused = 0, known = 0;
    for (int i = 0; i < 20; i++) {
        enum err e = rig_wait(&p[i]);
        refused += e == ERR_INSUFFICIENT && i == 13;
        known += e == ERR_CONFLICT && (i == 3 || i == 19);
        assert_true(e == OK || i == 13 || i == 3 || i == 19);
    }
    assert_true(refused == 1 && known == 1);
    assert_int_equal(count_things(r), 18);
}

/* The orphan is found out only by COMMIT, which fails for all; alone, it fails for itself. */
static void a_failed_commit_is_sorted_out(void **state) {
    struct rig *r = *state;
    static const struct member GROUP[] = {{add, 1, OK, 2},
                                          {add_orphan, 2, ERR_CONFLICT, 2},
                                          {add_and_refuse, 4, ERR_INSUFFICIENT, 2},
                                          {add, 3, OK, 2}};
    if (!r->db)
        skip();
    run_group(r, GROUP, COUNT(GROUP));
    assert_int_equal(count_things(r), 2);
}

static enum err tell(struct ctx *cx, void *arg) {
    of(arg)->runs++;
    return tell_thing(cx, of(arg)->id);
}

static enum err tell_many(struct ctx *cx, void *arg) {
    enum err e = OK;
    for (int64_t i = 0; !e && i < 200; i++)
        e = tell_thing(cx, of(arg)->id + i);
    return e;
}

static enum err tell_and_refuse(struct ctx *cx, void *arg) {
    enum err e = tell(cx, arg);
    return e ? e : fail(cx, ERR_INSUFFICIENT, "no");
}

/* What nobody waited for has failed by the time of the commit at the latest: on PostgreSQL in a later
 * closure's round trip, so that all are run again. */
static void what_is_told_fails_its_own_closure(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    int runs = r->db->driver == &POSTGRES_DRIVER ? 2 : 1;
    const struct member group[] = {{add, 1, OK, runs},
                                   {tell, 2, OK, runs},
                                   {tell, 2, ERR_CONFLICT, runs},
                                   {tell_and_refuse, 3, ERR_INSUFFICIENT, runs},
                                   {add, 4, OK, runs},
                                   {do_nothing, 0, OK, 1}};
    static const struct member GOOD[] = {{tell, 5, OK, 1},
                                         {tell_and_refuse, 6, ERR_INSUFFICIENT, 1},
                                         {tell, 7, OK, 1}},
                               ALONE[] = {{tell, 7, ERR_CONFLICT, 1}}, MANY[] = {{tell_many, 1000, OK, 0}};
    run_group(r, group, COUNT(group));
    assert_int_equal(count_things(r), 3);
    run_group(r, GOOD, COUNT(GOOD));
    run_group(r, ALONE, 1);
    assert_int_equal(count_things(r), 5);
    run_group(r, MANY, 1);
    assert_int_equal(count_things(r), 205);
}

static void a_lost_transaction_is_run_again(void **state) {
    struct rig *r = *state;
    static const struct member GROUP[] = {{add, 1, OK, 2}, {end_transaction, 2, OK, 2}, {add, 3, OK, 1}};
    if (!r->db)
        skip();
    run_group(r, GROUP, COUNT(GROUP));
    assert_int_equal(count_things(r), 3);
}

/* The file may not grow by more than a few pages: SQLite ends the whole transaction when it would. */
static enum err fill_disk(struct ctx *cx, void *arg) {
    char *big = arena_alloc(cx->mem, 1 << 20);
    of(arg)->runs++;
    memset(big, 'x', 1 << 20);
    rig_must(cx, cx->db->driver->script(cx->db, cx, S("PRAGMA max_page_count=40")));
    struct thing t = {.id = of(arg)->id, .s = {big, 1 << 20}};
    return db_exec(cx, &TEST_STMTS[THING_ADD], args_of(cx, &THING, &t, ARGS()), NULL);
}

static void a_full_disk_fails_only_what_does_not_fit(void **state) {
    struct rig *r = *state;
    static const struct member GROUP[] = {
        {add, 1, OK, 2}, {fill_disk, 2, ERR_DATABASE, 2}, {add, 3, OK, 1}, {add, 4, OK, 1}};
    if (!r->db)
        skip();
    run_group(r, GROUP, COUNT(GROUP));
    assert_int_equal(count_things(r), 3);
}

static enum err look(struct ctx *cx, void *arg) {
    (void)arg;
    assert_int_equal(cx->after, 0);
    assert_int_equal(cx->fault.code, OK);
    return OK;
}

/* What the first, vain run left in the context is gone in the second. */
static enum err leave_traces(struct ctx *cx, void *arg) {
    if (of(arg)->runs++)
        return look(cx, arg);
    cx->after = AFTER_WAKE_JOBS;
    (void)fail(cx, ERR_STALE, "left behind");
    return OK;
}

static void a_second_run_begins_clean(void **state) {
    struct rig *r = *state;
    static const struct member GROUP[] = {{leave_traces, 1, OK, 2}, {add_orphan, 2, ERR_CONFLICT, 2}};
    if (!r->db)
        skip();
    run_group(r, GROUP, COUNT(GROUP));
}

struct heard {
    pthread_mutex_t lock;
    int n;
    unsigned after;
};
static void hear(void *arg, unsigned after) {
    struct heard *h = arg;
    pthread_mutex_lock(&h->lock);
    h->n++;
    h->after |= after;
    pthread_mutex_unlock(&h->lock);
}
static int heard(struct heard *h) {
    pthread_mutex_lock(&h->lock);
    int n = h->n;
    pthread_mutex_unlock(&h->lock);
    return n;
}
static bool comes_to(struct heard *h, int n) {
    for (int i = 0; i < 500 && heard(h) < n; i++)
        usleep(10000);
    return heard(h) >= n;
}

/* How often, once it has been quiet for half a second: on a slow machine one group may have become two. */
static int heard_in_the_end(struct heard *h) {
    int n = heard(h);
    for (int quiet = 0; quiet < 10; quiet++) {
        usleep(50000);
        if (heard(h) != n)
            quiet = 0, n = heard(h);
    }
    return n;
}

static void the_hook_hears_of_commits(void **state) {
    struct rig *r = *state;
    struct heard h = {.lock = PTHREAD_MUTEX_INITIALIZER};
    static const struct member TWO[] = {{add, 1, OK, 1}, {add, 2, OK, 1}}, NONE[] = {{do_nothing, 1, OK, 1}},
                               BAD[] = {{add_and_refuse, 9, ERR_INSUFFICIENT, 1}};
    if (!r->db)
        skip();
    db_on_commit(r->db, hear, &h);
    if (r->postgres) /* its listener tells once that it listens now */
        assert_true(comes_to(&h, 1));
    int n = heard(&h);
    run_group(r, TWO, 2);
    assert_true(comes_to(&h, n + 1));
    n = heard_in_the_end(&h);
    run_group(r, NONE, 1);
    run_group(r, BAD, 1);
    assert_int_equal(heard_in_the_end(&h), n);
    db_on_commit(r->db, NULL, NULL);
    struct member again = {add, 3, OK, 1};
    run_group(r, &again, 1);
    assert_int_equal(heard(&h), n);
}

static void other_processes_hear_as_well(void **state) {
    struct rig *r = *state;
    struct heard h = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct member one = {add, 1, OK, 1}, two = {add, 2, OK, 1};
    if (!r->db)
        skip();
    struct db *other = rig_open(r, &r->cx);
    db_on_commit(other, hear, &h);
    assert_true(comes_to(&h, 1));
    run_group(r, &one, 1);
    assert_true(comes_to(&h, 2) && (h.after & AFTER_WAKE_JOBS));
    rig_sql(r, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
               " AND datname = current_database() AND pid <> pg_backend_pid()");
    assert_true(comes_to(&h, 3)); /* it listens again, and what it may have missed counts as heard */
    run_group(r, &two, 1);
    assert_true(comes_to(&h, 4));
    db_close(other);
}

static enum err set(struct ctx *cx, void *arg) {
    return db_exec(cx, &TEST_STMTS[THING_SET], ARGS(A(of(arg)->id), A(INT64_C(1)), A(S("held"))), NULL);
}
static enum err set_and_wait(struct ctx *cx, void *arg) {
    struct gate *g = of(arg)->arg;
    enum err e = set(cx, arg);
    pthread_mutex_lock(&g->lock);
    g->held = true;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
    return e;
}

/* Another process holds a row for longer than a lane waits: that one write is unavailable, its neighbours are
 * not. */
static void a_lock_is_not_waited_for_long(void **state) {
    struct rig *r = *state;
    struct gate hold = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct pushed far, near[3];
    struct gate g;
    int64_t id = 1;
    if (!r->db)
        skip();
    rig_must(&r->cx, db_write_wait(&r->cx, add_thing, &id));
    struct rig other = *r;
    other.db = rig_open(r, &r->cx);
    rig_prepare(&other, &far, set_and_wait, 1);
    far.arg = &hold;
    rig_push(&other, &far);
    pthread_mutex_lock(&hold.lock);
    while (!hold.held)
        pthread_cond_wait(&hold.changed, &hold.lock);
    pthread_mutex_unlock(&hold.lock);
    rig_hold(r, &g);
    rig_run(r, &near[0], add, 2);
    rig_run(r, &near[1], set, 1);
    rig_run(r, &near[2], add, 3);
    rig_release(&g);
    assert_int_equal(rig_wait(&near[1]), ERR_UNAVAILABLE);
    assert_int_equal(rig_wait(&near[0]), OK);
    assert_int_equal(rig_wait(&near[2]), OK);
    pthread_mutex_lock(&hold.lock);
    hold.open = true;
    pthread_cond_broadcast(&hold.changed);
    pthread_mutex_unlock(&hold.lock);
    assert_int_equal(rig_wait(&far), OK);
    db_close(other.db);
    assert_int_equal(count_things(r), 3);
}

#define END_OTHERS                                                                                    \
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'entrepot %'" \
    " AND datname = current_database()"

static void connections_come_back(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    for (int64_t id = 0; id < 5; id++) {
        rig_must(&r->cx, db_write_wait(&r->cx, add_thing, &id));
        assert_int_equal(count_things(r), id + 1);
        rig_sql(r, END_OTHERS);
        usleep(20000);
    }
    rig_must(&r->cx, db_ping(r->db));
}

/* A reader whose connection is cut in the midst fails once, and the next does not. */
static void a_cut_read_fails_cleanly(void **state) {
    struct rig *r = *state;
    struct number n;
    bool found;
    if (!r->db)
        skip();
    rig_must(&r->cx, db_read_begin(&r->cx));
    rig_must(&r->cx, db_get(&r->cx, &TEST_STMTS[THING_COUNT], ARGS(), &n, &found));
    rig_sql(r, END_OTHERS);
    assert_int_equal(db_get(&r->cx, &TEST_STMTS[THING_COUNT], ARGS(), &n, &found), ERR_DATABASE);
    assert_int_equal(db_get(&r->cx, &TEST_STMTS[THING_COUNT], ARGS(), &n, &found), ERR_DATABASE);
    db_read_end(&r->cx);
    fault_clear(&r->cx);
    assert_int_equal(count_things(r), 0);
}

static void a_full_lane_refuses(void **state) {
    struct rig *r = *state;
    struct gate g;
    size_t n = 0, cap = 5000;
    if (!r->db)
        skip();
    struct pushed *p = calloc(cap, sizeof(*p));
    rig_hold(r, &g);
    enum err e = OK;
    while (!e && n < cap) {
        rig_prepare(r, &p[n], do_nothing, 1);
        e = db_write(r->db, &p[n++].write);
    }
    assert_int_equal(e, ERR_UNAVAILABLE);
    assert_int_equal(p[n - 1].answered, 0);
    arena_free(p[n - 1].cx.mem);
    rig_release(&g);
    for (size_t i = 0; i + 1 < n; i++)
        assert_int_equal(rig_wait(&p[i]), OK);
    free(p);
}

static void closing_answers_what_waits(void **state) {
    struct rig *r = *state;
    struct pushed p[10];
    struct gate g;
    if (!r->db)
        skip();
    rig_hold(r, &g);
    for (int i = 0; i < 10; i++)
        rig_run(r, &p[i], add, i);
    rig_release(&g);
    db_close(r->db);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(p[i].answered, 1);
        assert_int_equal(rig_wait(&p[i]), OK);
    }
    r->cx.database = r->db = rig_open(r, &r->cx);
    assert_int_equal(count_things(r), 10);
}

/* The second process on the file is told so. */
static void one_process_owns_the_file(void **state) {
    struct rig *r = *state;
    struct db *second = NULL;
    assert_int_equal(db_open(&r->cx, r->url, str_of(r->folder), &second), ERR_UNAVAILABLE);
    assert_null(second);
    assert_true(memmem(r->cx.fault.message.p, r->cx.fault.message.n, "Another process", 15) != NULL);
}

static void what_cannot_be_opened_is_said(void **state) {
    struct rig *r = *state;
    struct db *none = NULL;
    static const struct {
        const char *url;
        enum err e;
    } CASES[] = {
        {"mysql://x", ERR_USAGE},
        {"sqlite:", ERR_USAGE},
        {"sqlite:///", ERR_USAGE},
        {"/tmp/x.db", ERR_USAGE},
        {"sqlite:////nowhere/at/all/x.db", ERR_USAGE},
        {"postgresql://?nonsense=1", ERR_USAGE},
        {"sqlite+aiosqlite:////nowhere/x.db", ERR_USAGE},
        {"postgresql+asyncpg://u@/d?host=/nowhere", ERR_DATABASE},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        fault_clear(&r->cx);
        assert_int_equal(db_open(&r->cx, str_of(CASES[i].url), str_of(r->folder), &none), CASES[i].e);
        assert_true(r->cx.fault.message.n > 0 && !none);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(one_that_fails_leaves_the_others),
        BOTH(an_attempt_is_taken_back_alone),
        BOTH(all_may_fail),
        BOTH(writes_go_in_lots),
        BOTH(a_lot_that_fails_comes_by_halves),
        BOTH(a_failed_commit_is_sorted_out),
        BOTH(what_is_told_fails_its_own_closure),
        BOTH(a_lost_transaction_is_run_again),
        ON("sqlite", a_full_disk_fails_only_what_does_not_fit),
        BOTH(a_second_run_begins_clean),
        BOTH(the_hook_hears_of_commits),
        BOTH(a_full_lane_refuses),
        BOTH(closing_answers_what_waits),
        ON("sqlite", one_process_owns_the_file),
        ON("sqlite", what_cannot_be_opened_is_said),
        ON("postgres", other_processes_hear_as_well),
        ON("postgres", a_lock_is_not_waited_for_long),
        ON("postgres", connections_come_back),
        ON("postgres", a_cut_read_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
