#include "db_test.h"

static struct number counted(struct ctx *cx, const struct stmt *st) {
    struct number n = {-1};
    bool found;
    rig_must(cx, db_get(cx, st, ARGS(), &n, &found));
    return n;
}

static enum err add_given(struct ctx *cx, void *thing) {
    return db_exec(cx, &TEST_STMTS[THING_ADD], args_of(cx, &THING, thing, ARGS()), NULL);
}

static bool read_thing(struct rig *r, int64_t id, struct thing *out) {
    bool found;
    rig_must(&r->cx, db_read_begin(&r->cx));
    rig_must(&r->cx, db_get(&r->cx, &TEST_STMTS[THING_GET], ARGS(A(id)), out, &found));
    db_read_end(&r->cx);
    return found;
}

static bool bytes_eq(struct bytes a, struct bytes b) {
    return (a.p == NULL) == (b.p == NULL) && a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static enum err drop_all(struct ctx *cx, void *list) {
    const struct list *l = list;
    const struct thing *t = l->items;
    struct steps steps = {.cx = cx};
    for (size_t i = 0; i < l->n; i++)
        steps_add(&steps, &TEST_STMTS[THING_DROP], ARGS(A(t[i].id)), NULL);
    return steps_run(&steps);
}

/* All rows are one step, whatever stands between them; its changed is the sum. */
static enum err add_as_rows(struct ctx *cx, void *list) {
    const struct list *l = list;
    const struct thing *t = l->items;
    struct steps steps = {.cx = cx}, told = {.cx = cx};
    for (size_t i = 0; i < l->n; i++) {
        struct args args = args_of(cx, &THING, &t[i], ARGS());
        assert_int_equal(steps_add_row(&steps, &TEST_STMTS[THING_ADD_ROWS], args), 0);
        if (i == 0) /* and one that is known by then */
            (void)steps_add_row(&steps, &TEST_STMTS[THING_ADD_ROWS], args);
        steps_add(&steps, &TEST_STMTS[THING_COUNT], ARGS(), NULL);
        (void)steps_add_row(&told, &TEST_STMTS[THING_ADD_ROWS], args);
    }
    enum err e = steps_run(&steps);
    assert_int_equal(steps.n, l->n + 1);
    assert_int_equal(steps.v[0].changed, l->n);
    return e ? e : steps_tell(&told);
}

static void check_back(struct rig *r, const struct thing *things, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct thing *t = &things[i];
        const struct thing_part *parts = t->parts.items;
        struct thing back;
        assert_true(read_thing(r, t->id, &back));
        assert_true(back.id == t->id && back.b == t->b && back.i == t->i && back.at.us == t->at.us);
        assert_true(back.o.has == t->o.has && back.o.v == t->o.v && uuid_eq(back.u, t->u));
        assert_true((back.s.p == NULL) == (t->s.p == NULL) && str_eq(back.s, t->s) &&
                    bytes_eq(back.raw, t->raw));
        assert_true(back.price.minor == t->price.minor &&
                    str_eq(str_of(back.price.currency), str_of(t->price.currency)));
        assert_true((back.j.text.p == NULL) == (t->j.text.p == NULL) && str_eq(back.j.text, t->j.text));
        assert_true((back.parts.items == NULL) == (t->parts.items == NULL) && back.parts.n == t->parts.n);
        for (size_t k = 0; k < back.parts.n; k++) {
            const struct thing_part *p = (const struct thing_part *)back.parts.items + k;
            assert_true(str_eq(p->code, parts[k].code) && p->count == parts[k].count);
        }
    }
}

static void values_come_back_as_they_went(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    struct thing_part parts[] = {{S("a\"b"), 1}, {S("ü"), INT64_MIN}};
    char *big = arena_alloc(r->cx.mem, 1000000);
    memset(big, 'x', 1000000);
    struct thing things[] = {
        {.id = 1},
        {.id = INT64_MAX,
         .b = true,
         .i = INT64_MIN,
         .o = {0, true},
         .s = S(""),
         .raw = {(const unsigned char *)"", 0},
         .at = {1},
         .u = rig_org(9),
         .price = {-1, "JPY"},
         .j = {S("[]")},
         .parts = {parts, 0}},
        {.id = INT64_MIN,
         .i = INT64_MAX,
         .o = {INT64_MAX, true},
         .s = S("\x01'\"\\ \xf0\x9f\x93\xa6"),
         .raw = {(const unsigned char *)"\0\xff\0", 3},
         .at = {INT64_C(253402300799999999)},
         .price = {0, "USD"},
         .j = {S("{\"a\": [1, null, \"\\\"\"]}")},
         .parts = {parts, 2}},
        {.id = 0, .at = {-1}, .s = {big, 1000000}},
    };
    struct list all = {things, COUNT(things)};
    for (size_t i = 0; i < COUNT(things); i++)
        rig_must(&r->cx, db_write_wait(&r->cx, add_given, &things[i]));
    check_back(r, things, COUNT(things));
    rig_must(&r->cx, db_write_wait(&r->cx, drop_all, &all));
    rig_must(&r->cx, db_write_wait(&r->cx, add_as_rows, &all));
    check_back(r, things, COUNT(things));
    assert_false(read_thing(r, 12345, &things[0]));
}

static enum err add_many(struct ctx *cx, void *n) {
    for (int64_t i = 0; i < *(int64_t *)n; i++) {
        enum err e = add_thing(cx, &i);
        if (e)
            return e;
    }
    return OK;
}

struct seen {
    int64_t next, stop_at;
};
static enum err see(struct ctx *cx, void *row, void *arg) {
    struct seen *seen = arg;
    const struct thing *t = row;
    struct number n;
    bool found;
    assert_int_equal(t->id, seen->next++);
    if (t->id == 3) /* another statement, in the midst of this one */
        rig_must(cx, db_get(cx, &TEST_STMTS[THING_COUNT], ARGS(), &n, &found));
    return seen->next == seen->stop_at ? fail(cx, ERR_STALE, "enough") : OK;
}

static void many_rows_are_listed_in_order(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    int64_t n = 1000;
    rig_must(&r->cx, db_write_wait(&r->cx, add_many, &n));
    struct list all;
    struct seen seen = {0, -1}, some = {0, 5};
    rig_must(&r->cx, db_read_begin(&r->cx));
    rig_must(&r->cx, db_list(&r->cx, &TEST_STMTS[THING_ALL], ARGS(), &all));
    rig_must(&r->cx, db_each(&r->cx, &TEST_STMTS[THING_ALL], ARGS(), see, &seen));
    assert_int_equal(db_each(&r->cx, &TEST_STMTS[THING_ALL], ARGS(), see, &some), ERR_STALE);
    assert_true(str_eq(r->cx.fault.message, S("enough")));
    fault_clear(&r->cx);
    assert_int_equal(counted(&r->cx, &TEST_STMTS[THING_COUNT]).n, n); /* and it goes on */
    db_read_end(&r->cx);
    assert_true(all.n == 1000 && seen.next == 1000 && some.next == 5);
    for (size_t i = 0; i < all.n; i++)
        assert_int_equal(((const struct thing *)all.items)[i].id, i);
}

static void organisations_do_not_meet(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    for (int i = 1; i <= 3; i++) {
        int64_t n = i;
        r->cx.actor.org = rig_org(i);
        rig_must(&r->cx, db_write_wait(&r->cx, add_many, &n));
    }
    rig_must(&r->cx, db_read_begin(&r->cx));
    for (int i = 1; i <= 4; i++) {
        r->cx.actor.org = rig_org(i);
        assert_int_equal(counted(&r->cx, &TEST_STMTS[THING_COUNT]).n, i == 4 ? 0 : i);
        assert_int_equal(counted(&r->cx, &TEST_STMTS[THING_COUNT_ALL]).n, 6);
    }
    db_read_end(&r->cx);
}

static const struct stmt FORGETFUL = {"forgetful", TENANT,
                                      "SELECT count(*) AS n FROM thing WHERE org_id <> $org", NULL, &NUMBER};
static const struct stmt FORGING = {
    "forging", TENANT, "INSERT INTO thing (org_id, id) SELECT $2, $1 WHERE $org <> $2", NULL, NULL};
static enum err forge(struct ctx *cx, void *arg) {
    (void)arg;
    return db_exec(cx, &FORGING, ARGS(A(INT64_C(1)), A(rig_org(2))), NULL);
}

/* A statement that forgot its organisation finds and writes nothing of others. */
static void row_level_security_stands_behind(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    int64_t n = 3;
    r->cx.actor.org = rig_org(2);
    rig_must(&r->cx, db_write_wait(&r->cx, add_many, &n));
    r->cx.actor.org = rig_org(1);
    rig_must(&r->cx, db_read_begin(&r->cx));
    assert_int_equal(counted(&r->cx, &FORGETFUL).n, 0);
    db_read_end(&r->cx);
    assert_int_equal(db_write_wait(&r->cx, forge, NULL), ERR_INTERNAL);
    rig_sql(r, "DO $$ BEGIN IF (SELECT count(*) FROM thing) <> 0 THEN RAISE 'rows without an organisation'; "
               "END IF; END $$");
    rig_must(&r->cx, db_refuse_superuser(&r->cx));
}

static enum err step_through(struct ctx *cx, void *arg) {
    struct thing t = {.id = 1, .i = 5, .s = S("one")}, back = {0};
    struct number added = {0}, none = {-7};
    struct step steps[] = {
        {.st = &TEST_STMTS[THING_ADD], .args = args_of(cx, &THING, &t, ARGS())},
        {.st = &TEST_STMTS[THING_SET], .args = ARGS(A(INT64_C(1)), A(INT64_C(6)), A(S("two")))},
        {.st = &TEST_STMTS[THING_SET], .args = ARGS(A(INT64_C(99)), A(INT64_C(6)), A(S("two")))},
        {.st = &TEST_STMTS[THING_GET], .args = ARGS(A(INT64_C(1))), .row = &back},
        {.st = &TEST_STMTS[THING_ADD_RETURNING], .args = ARGS(A(INT64_C(2)), A(INT64_C(1))), .row = &added},
        {.st = &TEST_STMTS[THING_ADD_RETURNING], .args = ARGS(A(INT64_C(2)), A(INT64_C(1))), .row = &none},
    };
    (void)arg;
    enum err e = db_steps(cx, steps, COUNT(steps));
    if (e)
        return e;
    static const int64_t CHANGED[] = {1, 1, 0, 1, 1, 0};
    for (size_t i = 0; i < COUNT(steps); i++)
        assert_int_equal(steps[i].changed, CHANGED[i]);
    assert_true(back.i == 6 && str_eq(back.s, S("two")) && added.n == 2 && none.n == -7);
    return OK;
}

static void steps_run_in_order(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    rig_must(&r->cx, db_write_wait(&r->cx, step_through, NULL));
    assert_int_equal(count_things(r), 2);
}

static enum err many_steps(struct ctx *cx, void *arg) {
    struct step *steps = NEW_N(cx->mem, struct step, 1000);
    (void)arg;
    for (int64_t i = 0; i < 1000; i++) {
        struct arg *v = NEW_N(cx->mem, struct arg, 2);
        v[0] = A(i), v[1] = A(i * 2);
        steps[i] = (struct step){.st = &TEST_STMTS[THING_ADD_RETURNING], .args = {v, 2}};
    }
    enum err e = db_steps(cx, steps, 1000);
    for (int i = 0; !e && i < 1000; i++)
        assert_int_equal(steps[i].changed, 1);
    return e;
}

static enum err bad_steps(struct ctx *cx, void *arg) {
    struct step steps[] = {
        {.st = &TEST_STMTS[THING_ADD_RETURNING], .args = ARGS(A(INT64_C(1)), A(INT64_C(1)))},
        {.st = &TEST_STMTS[THING_ADD_RETURNING], .args = ARGS(A(INT64_C(2)), A(INT64_C(13)))},
        {.st = &TEST_STMTS[THING_ADD_RETURNING], .args = ARGS(A(INT64_C(3)), A(INT64_C(3)))},
    };
    (void)arg;
    return db_steps(cx, steps, COUNT(steps));
}

static void a_step_that_fails_takes_all_back(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    rig_must(&r->cx, db_write_wait(&r->cx, many_steps, NULL));
    assert_int_equal(count_things(r), 1000);
    r->cx.actor.org = rig_org(2);
    assert_int_equal(db_write_wait(&r->cx, bad_steps, NULL), ERR_CONFLICT);
    assert_int_equal(count_things(r), 0);
}

/* A closure cannot pass over a statement that failed, on either database. */
static enum err pass_over(struct ctx *cx, void *arg) {
    int64_t id = 1;
    (void)arg;
    rig_must(cx, add_thing(cx, &id));
    assert_int_equal(add_thing(cx, &id), ERR_CONFLICT);
    fault_clear(cx);
    id = 2;
    assert_int_equal(add_thing(cx, &id), ERR_CONFLICT);
    return OK;
}

static void a_failed_statement_fails_its_closure(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    assert_int_equal(db_write_wait(&r->cx, pass_over, NULL), ERR_CONFLICT);
    assert_int_equal(count_things(r), 0);
}

static void a_reader_cannot_write(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    int64_t id = 1;
    rig_must(&r->cx, db_read_begin(&r->cx));
    assert_int_not_equal(add_thing(&r->cx, &id), OK);
    db_read_end(&r->cx);
    db_read_end(&r->cx); /* takes one that has ended */
    fault_clear(&r->cx);
    assert_int_equal(count_things(r), 0);
}

static void a_reader_sees_one_moment(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    struct ctx other = rig_ctx(r);
    int64_t id = 1;
    rig_must(&r->cx, db_read_begin(&r->cx));
    assert_int_equal(counted(&r->cx, &TEST_STMTS[THING_COUNT]).n, 0);
    rig_must(&other, db_write_wait(&other, add_thing, &id));
    assert_int_equal(counted(&r->cx, &TEST_STMTS[THING_COUNT]).n, 0);
    db_read_end(&r->cx);
    assert_int_equal(count_things(r), 1);
    arena_free(other.mem);
}

static void statements_are_checked(void **state) {
    struct rig *r = *state;
    static const struct stmt BAD[] = {
        {"misnamed", SYSTEM, "SELECT count(*) AS m FROM thing", NULL, &NUMBER},
        {"too_many", SYSTEM, "SELECT 1 AS n, 2 AS m", NULL, &NUMBER},
        {"no_table", SYSTEM, "SELECT n FROM nowhere", NULL, &NUMBER},
        {"no_sql", SYSTEM, "SELEKT 1 AS n", NULL, &NUMBER},
        {"odd_parameter", SYSTEM, "SELECT 1 AS n WHERE 1 = $one", NULL, &NUMBER},
    };
    if (!r->db)
        skip();
    rig_must(&r->cx, db_check_stmts(&r->cx, TEST_STMTS, TEST_STMTS_N));
    rig_must(&r->cx, db_check_stmts(&r->cx, TEST_STMTS, TEST_STMTS_N));
    for (size_t i = 0; i < COUNT(BAD); i++) {
        const struct stmt both[] = {TEST_STMTS[THING_COUNT], BAD[i], TEST_STMTS[THING_COUNT]};
        fault_clear(&r->cx);
        assert_int_equal(db_check_stmts(&r->cx, both, COUNT(both)), ERR_INTERNAL);
        assert_true(str_starts(r->cx.fault.cause, str_of(BAD[i].name)));
    }
    fault_clear(&r->cx);
    assert_int_equal(count_things(r), 0);
}

static void the_time_and_the_ping(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    struct instant a = db_time(r->db);
    assert_true(llabs(a.us - clock_now(r->clock).us) < 5 * US_PER_S);
    rig_must(&r->cx, db_ping(r->db));
    struct instant b = db_time(r->db);
    assert_true(b.us - a.us > -US_PER_S && b.us - a.us < 5 * US_PER_S);
    assert_int_equal(db_reads_inline(r->db), !r->postgres);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(values_come_back_as_they_went),
        BOTH(many_rows_are_listed_in_order),
        BOTH(organisations_do_not_meet),
        BOTH(steps_run_in_order),
        BOTH(a_step_that_fails_takes_all_back),
        BOTH(a_reader_sees_one_moment),
        BOTH(a_failed_statement_fails_its_closure),
        BOTH(a_reader_cannot_write),
        BOTH(statements_are_checked),
        BOTH(the_time_and_the_ping),
        ON("postgres", row_level_security_stands_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
