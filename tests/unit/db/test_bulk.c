/* Bulk loads on both databases: what is inserted, updated and unchanged; what is left alone; pieces,
 * resuming, dry runs. */
#include "db/bulk.h"
#include "db_test.h"

#define ROWS 5000

static const struct bulk_column COLUMNS[] = {
    {"id", BULK_KEY, 0},         {"i", BULK_VALUE, 0}, {"s", BULK_VALUE, 0}, {"at", BULK_STAMP, ARG_INSTANT},
    {"u", BULK_STAMP, ARG_UUID},
};

/* Rows 0 … n, whose i is id + 100, and shift more where id % every == 0; of the bad one it is what the table
 * refuses. */
struct feed {
    int64_t n, shift, every, bad, next;
    struct arg *cells[2];
    int turn;
    size_t batch;
    struct bulk_counts would, did;
    int64_t records, fail_at, cursor;
    bool last;
    bool refuse;
};

static enum err rewind_feed(struct ctx *cx, void *arg, int64_t from) {
    struct feed *f = arg;
    (void)cx;
    f->next = from;
    return OK;
}

static enum err next_rows(struct ctx *cx, void *arg, const struct arg **cells, size_t *n) {
    struct feed *f = arg;
    f->turn = !f->turn;
    if (!f->cells[f->turn])
        f->cells[f->turn] = NEW_N(cx->mem, struct arg, 3 * f->batch);
    struct arg *a = f->cells[f->turn];
    *cells = a;
    for (*n = 0; *n < f->batch && f->next < f->n; ++*n, f->next++, a += 3) {
        a[0] = A(f->next);
        a[1] = A(f->bad && f->next == f->bad ? 13 : f->next + 100 + (f->next % f->every == 0 ? f->shift : 0));
        a[2] = f->next % 7 == 0 ? A((struct str){0}) : A(S("tab\there \\ new\nline \r \"q\" ü"));
    }
    return OK;
}

static enum err decide(struct ctx *cx, void *arg, const struct bulk_counts *would) {
    struct feed *f = arg;
    f->would = *would;
    return f->refuse ? fail(cx, ERR_CONFLICT, "too many") : OK;
}

static enum err record(struct ctx *cx, void *arg, const struct bulk_counts *did, bool last) {
    struct feed *f = arg;
    if (f->fail_at && f->records + 1 == f->fail_at)
        return fail(cx, ERR_STALE, "another holds it");
    f->records++;
    f->did.inserted += did->inserted;
    f->did.updated += did->updated;
    f->did.unchanged += did->unchanged;
    f->cursor += did->inserted + did->updated + did->unchanged;
    f->last = last;
    return OK;
}

static struct bulk_table *table_of(struct rig *r) {
    struct bulk_table *t = NULL;
    rig_must(&r->cx, bulk_table_new(&r->cx, r->cx.mem, "thing", COLUMNS, COUNT(COLUMNS), &t));
    rig_must(&r->cx, bulk_table_check(&r->cx, t));
    return t;
}

static enum err load(struct rig *r, const struct bulk_table *t, struct feed *f, bool asks, bool dry) {
    struct bulk b = {.table = t,
                     .stamps = ARGS(A((struct instant){1000000}), A(rig_org(7))),
                     .rewind = rewind_feed,
                     .next = next_rows,
                     .decide = asks ? decide : NULL,
                     .record = record,
                     .arg = f,
                     .from = f->cursor,
                     .dry = dry};
    f->every = f->every ? f->every : 1;
    f->batch = f->batch ? f->batch : 300;
    return db_bulk(&r->cx, &b);
}

static void expect(struct bulk_counts c, int64_t inserted, int64_t updated, int64_t unchanged) {
    assert_int_equal(c.inserted, inserted);
    assert_int_equal(c.updated, updated);
    assert_int_equal(c.unchanged, unchanged);
}

static void rows_are_inserted_updated_or_left(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    struct bulk_table *t = table_of(r);
    struct feed first = {.n = ROWS};
    rig_must(&r->cx, load(r, t, &first, true, false));
    expect(first.would, ROWS, 0, 0);
    expect(first.did, ROWS, 0, 0);
    assert_true(first.last);
    assert_int_equal(count_things(r), ROWS);
    struct feed again = {.n = ROWS};
    rig_must(&r->cx, load(r, t, &again, true, false));
    expect(again.would, 0, 0, ROWS);
    expect(again.did, 0, 0, ROWS);
    struct feed unasked = {.n = ROWS};
    rig_must(&r->cx, load(r, t, &unasked, false, false));
    expect(unasked.did, 0, 0, ROWS);
    struct feed changed = {.n = ROWS + 100, .shift = 5, .every = 10};
    rig_must(&r->cx, load(r, t, &changed, true, false));
    expect(changed.would, 100, ROWS / 10, ROWS - ROWS / 10);
    expect(changed.did, 100, ROWS / 10, ROWS - ROWS / 10);
    assert_int_equal(count_things(r), ROWS + 100);
}

static void values_and_stamps_arrive(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    struct bulk_table *t = table_of(r);
    struct thing back;
    bool found;
    struct feed f = {.n = 8};
    rig_must(&r->cx, load(r, t, &f, true, false));
    rig_must(&r->cx, db_read_begin(&r->cx));
    rig_must(&r->cx, db_get(&r->cx, &TEST_STMTS[THING_GET], ARGS(A(7)), &back, &found));
    assert_true(found && back.i == 107 && !back.s.p && back.at.us == 1000000 && uuid_eq(back.u, rig_org(7)));
    rig_must(&r->cx, db_get(&r->cx, &TEST_STMTS[THING_GET], ARGS(A(1)), &back, &found));
    assert_true(str_eq(back.s, S("tab\there \\ new\nline \r \"q\" ü")));
    db_read_end(&r->cx);
    r->cx.actor.org = rig_org(2); /* another organisation has none of it */
    assert_int_equal(count_things(r), 0);
    struct feed other = {.n = 8};
    rig_must(&r->cx, load(r, t, &other, true, false));
    expect(other.did, 8, 0, 0);
}

static void a_refusal_or_a_dry_run_writes_nothing(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    struct bulk_table *t = table_of(r);
    struct feed dry = {.n = ROWS}, refused = {.n = ROWS, .refuse = true};
    rig_must(&r->cx, load(r, t, &dry, true, true));
    expect(dry.would, ROWS, 0, 0);
    assert_int_equal(dry.records, 0);
    assert_int_equal(load(r, t, &refused, true, false), ERR_CONFLICT);
    assert_true(str_eq(r->cx.fault.message, S("too many")));
    fault_clear(&r->cx);
    assert_int_equal(count_things(r), 0);
}

/* A record that is refused takes its piece with it; the load goes on behind the last one that was kept. */
static void it_goes_on_where_it_was_recorded(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    struct bulk_table *t = table_of(r);
    for (int64_t at = 1; at <= 4; at++) {
        struct feed f = {.n = ROWS, .fail_at = at, .shift = at};
        enum err e = load(r, t, &f, true, false);
        struct bulk_counts done = f.did;
        if (e) {
            assert_int_equal(e, ERR_STALE);
            assert_true(str_eq(r->cx.fault.message, S("another holds it")));
            fault_clear(&r->cx);
            if (at == 1)
                assert_int_equal(count_things(r), done.inserted);
            f.fail_at = 0;
            rig_must(&r->cx, load(r, t, &f, f.cursor == 0, false));
        }
        assert_true(f.last);
        assert_int_equal(f.did.inserted + f.did.updated + f.did.unchanged, ROWS);
        expect(f.did, at == 1 ? ROWS : 0, at == 1 ? 0 : ROWS, 0);
    }
}

static void a_bad_value_fails_the_load(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    struct bulk_table *t = table_of(r);
    struct feed bad = {.n = 20, .bad = 15};
    assert_int_equal(load(r, t, &bad, true, false), ERR_CONFLICT);
    fault_clear(&r->cx);
    assert_int_equal(count_things(r), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(rows_are_inserted_updated_or_left),
        BOTH(values_and_stamps_arrive),
        BOTH(a_refusal_or_a_dry_run_writes_nothing),
        BOTH(it_goes_on_where_it_was_recorded),
        BOTH(a_bad_value_fails_the_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
