/* Tables that a file describes (F2): made on both databases, extended, and every other difference refused. */
#include "db/table.h"

#include "db_test.h"

static const struct table_column COLUMNS[] = {
    {S("no"), TABLE_TEXT, true},        {S("n"), TABLE_INT, false},      {S("amount"), TABLE_DECIMAL, false},
    {S("day"), TABLE_DATE, false},      {S("yes"), TABLE_BOOL, false},   {S("store"), TABLE_TEXT, true},
    {S("loaded_at"), TABLE_TIME, true}, {S("by_run"), TABLE_UUID, true},
};
static const struct str KEYS[] = {S("store"), S("no")};
static const struct table LEADS = {S("leads"), COLUMNS, COUNT(COLUMNS), KEYS, COUNT(KEYS)};

static const struct stmt ADD = {"leads_add", TENANT,
                                "INSERT INTO leads (org_id, no, store, n, loaded_at, by_run)"
                                " VALUES ($org, $1, $2, $3, $4, $5)",
                                NULL, NULL};
static const struct stmt COUNT_THEM = {"leads_count", TENANT,
                                       "SELECT count(*) AS n FROM leads WHERE org_id = $org", NULL, &NUMBER};
static const struct stmt COUNT_UNASKED = {
    "leads_count_unasked", TENANT,
    "SELECT count(*) AS n FROM leads WHERE org_id IS NOT NULL OR by_run = $org", NULL, &NUMBER};

static enum err add(struct ctx *cx, void *arg) {
    return db_exec(cx, &ADD, ARGS(A(*(struct str *)arg), A(S("S1")), A(7), A(cx->now), A(rig_org(3))), NULL);
}

static int64_t count(struct rig *r, const struct stmt *st, int org) {
    struct number n = {-1};
    bool found;
    r->cx.actor.org = rig_org(org);
    rig_must(&r->cx, db_read_begin(&r->cx));
    rig_must(&r->cx, db_get(&r->cx, st, ARGS(), &n, &found));
    db_read_end(&r->cx);
    return n.n;
}

static void F2_a_table_is_made_from_its_file(void **state) {
    struct rig *r = *state;
    struct str no = S("P-1");
    assert_int_equal(tables_agree(&r->cx, &LEADS, 1, false), ERR_UNAVAILABLE);
    assert_true(str_ends(r->cx.fault.message, S("run `entrepot db upgrade`.")));
    rig_must(&r->cx, tables_agree(&r->cx, &LEADS, 1, true));
    rig_must(&r->cx, tables_agree(&r->cx, &LEADS, 1, true));
    rig_must(&r->cx, tables_agree(&r->cx, &LEADS, 1, false));
    r->cx.actor.org = rig_org(1);
    rig_must(&r->cx, db_write_wait(&r->cx, add, &no));
    assert_int_equal(db_write_wait(&r->cx, add, &no), ERR_CONFLICT);
    assert_int_equal(count(r, &COUNT_THEM, 1), 1);
    assert_int_equal(count(r, &COUNT_THEM, 2), 0);
    if (r->postgres) /* row-level security stands behind a statement that forgets */
        assert_int_equal(count(r, &COUNT_UNASKED, 2), 0);
}

static void F2_new_columns_are_added(void **state) {
    struct rig *r = *state;
    struct table_column more[COUNT(COLUMNS) + 1];
    struct str no = S("P-1");
    rig_must(&r->cx, tables_agree(&r->cx, &LEADS, 1, true));
    r->cx.actor.org = rig_org(1);
    rig_must(&r->cx, db_write_wait(&r->cx, add, &no));
    memcpy(more, COLUMNS, sizeof(COLUMNS));
    more[COUNT(COLUMNS)] = (struct table_column){S("extra"), TABLE_DECIMAL, false};
    struct table wider = {S("leads"), more, COUNT(more), KEYS, COUNT(KEYS)};
    assert_int_equal(tables_agree(&r->cx, &wider, 1, false), ERR_UNAVAILABLE);
    rig_must(&r->cx, tables_agree(&r->cx, &wider, 1, true));
    rig_must(&r->cx, tables_agree(&r->cx, &wider, 1, false));
    assert_int_equal(count(r, &COUNT_THEM, 1), 1);
    assert_int_equal(tables_agree(&r->cx, &LEADS, 1, true), ERR_UNAVAILABLE); /* extra stands there only */
}

static void F2_other_differences_are_refused(void **state) {
    struct rig *r = *state;
    rig_must(&r->cx, tables_agree(&r->cx, &LEADS, 1, true));
    for (size_t i = 1; i < 5; i++)
        for (enum table_type type = TABLE_TEXT; type <= TABLE_UUID; type++) {
            struct table_column other[COUNT(COLUMNS)];
            struct table t = {S("leads"), other, COUNT(other), KEYS, COUNT(KEYS)};
            memcpy(other, COLUMNS, sizeof(COLUMNS));
            if (other[i].type == type || (type == TABLE_TIME && other[i].type == TABLE_INT))
                continue;
            other[i].type = type;
            fault_clear(&r->cx);
            assert_int_equal(tables_agree(&r->cx, &t, 1, true), ERR_UNAVAILABLE);
            assert_non_null(memmem(r->cx.fault.message.p, r->cx.fault.message.n, "has the type", 12));
        }
    struct str turned[] = {S("no"), S("store")};
    struct table t = LEADS;
    t.keys = turned;
    assert_int_equal(tables_agree(&r->cx, &t, 1, true), ERR_UNAVAILABLE);
    t.keys = KEYS;
    t.n_keys = 1;
    assert_int_equal(tables_agree(&r->cx, &t, 1, true), ERR_UNAVAILABLE);
    t = LEADS;
    t.name = S("thing"); /* a table of something else */
    assert_int_equal(tables_agree(&r->cx, &t, 1, true), ERR_UNAVAILABLE);
    rig_must(&r->cx, tables_agree(&r->cx, &LEADS, 1, true));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON("sqlite", F2_a_table_is_made_from_its_file), ON("postgres", F2_a_table_is_made_from_its_file),
        ON("sqlite", F2_new_columns_are_added),         ON("postgres", F2_new_columns_are_added),
        ON("sqlite", F2_other_differences_are_refused), ON("postgres", F2_other_differences_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
