#include "db_test.h"

static struct asset file(const char *path, const char *text) {
    return (struct asset){path, (const unsigned char *)text, strlen(text)};
}

static struct list set_of(struct rig *r, const struct asset *files, size_t n) {
    struct list out;
    rig_must(&r->cx, migration_files(&r->cx, files, n, &out));
    return out;
}

static void tokens_expand(void **state) {
    struct rig *r = *state;
    static const struct {
        const char *text, *sqlite, *postgres;
        enum direction way;
    } CASES[] = {
        {"a {int} {time},\n{table_end}", "a INTEGER INTEGER,\n) STRICT;\n", "a bigint timestamptz,\n);\n",
         UP},
        {"x {text}", "x TEXT\n", "x text COLLATE \"C\"\n", UP},
        {"{bool}{json}{bytes}{uuid}", "INTEGERTEXTBLOBBLOB\n", "booleanjsonbbyteauuid\n", UP},
        {"{table_keyed}", ") STRICT, WITHOUT ROWID;\n", ");\n", UP},
        {"a\n{sqlite}\nb\n{end}\n{postgres}\nc\n{end}\nd", "a\nb\nd\n", "a\nc\nd\n", UP},
        {"a\n-- down\nb", "a\n", "a\n", UP},
        {"a\n-- down\nb", "b\n", "b\n", DOWN},
        {"-- {nonsense} in a comment", "-- {nonsense} in a comment\n", "-- {nonsense} in a comment\n", UP},
        {"a\n-- irreversible: gone is gone", "a\n", "a\n", UP},
        {"{nonsense}", NULL, NULL, UP},
        {"a\n-- irreversible: gone is gone", NULL, NULL, DOWN},
    };
    for (size_t i = 0; i < COUNT(CASES); i++)
        for (int postgres = 0; postgres < 2; postgres++) {
            struct migration m = {.version = 7, .text = str_of(CASES[i].text)};
            const char *wanted = postgres ? CASES[i].postgres : CASES[i].sqlite;
            struct str got = {0};
            enum err e = migration_text(&r->cx, &m, CASES[i].way, postgres, &got);
            if ((e == OK) != (wanted != NULL) || (wanted && !str_eq(got, str_of(wanted))))
                fail_msg("case %zu: %.*s", i, STR_FMT(got));
        }
    struct migration m = {.version = 7, .text = S("{tenant thing}")};
    struct str got;
    rig_must(&r->cx, migration_text(&r->cx, &m, UP, true, &got));
    assert_true(memmem(got.p, got.n, "ALTER TABLE thing FORCE ROW LEVEL SECURITY", 42) != NULL);
}

static void file_names_are_checked(void **state) {
    struct rig *r = *state;
    static const char *const BAD[] = {"migrations/1_a.sql",    "migrations/0001.sql",
                                      "migrations/0001_.sql",  "migrations/000x_a.sql",
                                      "migrations/0000_a.sql", "migrations/0001_a.txt"};
    struct list out;
    for (size_t i = 0; i < COUNT(BAD); i++) {
        struct asset a = file(BAD[i], "");
        assert_int_equal(migration_files(&r->cx, &a, 1, &out), ERR_INTERNAL);
    }
    struct asset twice[] = {file("migrations/0001_a.sql", ""), file("migrations/0001_b.sql", "")};
    assert_int_equal(migration_files(&r->cx, twice, 2, &out), ERR_INTERNAL);
    struct asset mixed[] = {file("migrations/0003_a_b.sql", "x"), file("src/net/page.html", ""),
                            file("migrations/0005_c.sql", "")};
    rig_must(&r->cx, migration_files(&r->cx, mixed, 3, &out));
    const struct migration *m = out.items;
    assert_true(out.n == 2 && m[0].version == 3 && str_eq(m[0].name, S("a_b")) && m[1].version == 5);
    assert_true(str_eq(m[0].checksum, S("2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")));
}

static void history_is(struct rig *r, struct list files, const char *wanted) {
    struct list states;
    char got[32];
    rig_must(&r->cx, migration_history(&r->cx, files, &states));
    const struct migration_state *s = states.items;
    for (size_t i = 0; i < states.n; i++) {
        got[i] = s[i].applied ? 'x' : '-';
        assert_true(s[i].applied == (s[i].applied_at.us > 0));
    }
    got[states.n] = '\0';
    assert_string_equal(got, wanted);
}

static void up_and_down(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    struct asset files[] = {
        TEST_FILES[0],
        file("migrations/0002_b.sql", "CREATE TABLE two (a {int}\n{table_end}\n-- down\nDROP TABLE two;"),
        file("migrations/0003_c.sql", "CREATE TABLE three (a {int}\n{table_end}\n-- irreversible: No way.")};
    struct list all = set_of(r, files, 3), two = set_of(r, files, 2);
    int64_t version;
    history_is(r, all, "x--");
    assert_int_equal(migration_check(&r->cx, all), ERR_UNAVAILABLE);
    assert_true(memmem(r->cx.fault.message.p, r->cx.fault.message.n, "db upgrade", 10) != NULL);
    rig_must(&r->cx, migration_up(&r->cx, all, 2));
    history_is(r, all, "xx-");
    rig_must(&r->cx, migration_check(&r->cx, two));
    rig_must(&r->cx, migration_down(&r->cx, all, 0));
    history_is(r, all, "---");
    rig_must(&r->cx, migrate_current(&r->cx, &version));
    assert_int_equal(version, 0);
    rig_must(&r->cx, migration_up(&r->cx, all, -1));
    rig_must(&r->cx, migration_up(&r->cx, all, -1));
    rig_must(&r->cx, migration_check(&r->cx, all));
    rig_must(&r->cx, migrate_current(&r->cx, &version));
    assert_int_equal(version, 3);
    history_is(r, all, "xxx");
    assert_int_equal(migration_down(&r->cx, all, 0), ERR_USAGE);
    assert_true(str_ends(r->cx.fault.message, S("No way.")));
    history_is(r, two, "xxx");
    fault_clear(&r->cx);
    assert_int_equal(migration_check(&r->cx, two), ERR_UNAVAILABLE); /* newer than the program */
    assert_int_equal(migration_up(&r->cx, two, -1), ERR_UNAVAILABLE);
}

static void a_changed_file_is_noticed(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    struct asset changed = file("migrations/0001_test_tables.sql", "-- other");
    struct asset renumbered = {"migrations/0002_test_tables.sql", TEST_FILES[0].bytes, TEST_FILES[0].size};
    assert_int_equal(migration_check(&r->cx, set_of(r, &changed, 1)), ERR_UNAVAILABLE);
    assert_int_equal(migration_up(&r->cx, set_of(r, &changed, 1), -1), ERR_UNAVAILABLE);
    assert_int_equal(migration_down(&r->cx, set_of(r, &changed, 1), 0), ERR_UNAVAILABLE);
    assert_int_equal(migration_check(&r->cx, set_of(r, &renumbered, 1)), ERR_UNAVAILABLE);
}

static void a_failed_migration_leaves_nothing(void **state) {
    struct rig *r = *state;
    if (!r->db)
        skip();
    struct asset files[] = {
        TEST_FILES[0],
        file("migrations/0002_bad.sql",
             "CREATE TABLE two (a {int}\n{table_end}\nCREATE TABLE thing (a {int}\n{table_end}")};
    struct list all = set_of(r, files, 2);
    assert_int_equal(migration_up(&r->cx, all, -1), ERR_INTERNAL);
    assert_true(str_starts(r->cx.fault.message, S("Migration 0002_bad failed and was taken back:")));
    history_is(r, all, "x-");
    files[1] = file("migrations/0002_good.sql", "CREATE TABLE two (a {int}\n{table_end}");
    rig_must(&r->cx, migration_up(&r->cx, set_of(r, files, 2), -1));
}

struct migrating {
    struct rig rig;
    struct list files;
    pthread_t thread;
    enum err e;
};
static void *migrate(void *arg) {
    struct migrating *m = arg;
    m->e = migration_up(&m->rig.cx, m->files, -1);
    return NULL;
}

/* Several processes start at once: each finds the schema current in the end, and no file is applied twice. */
static void one_at_a_time(void **state) {
    struct rig *r = *state;
    struct migrating m[4];
    if (!r->db)
        skip();
    struct asset files[] = {
        TEST_FILES[0],
        file("migrations/0002_slow.sql", "CREATE TABLE two (a {int}\n{table_end}\nSELECT pg_sleep(0.4);")};
    for (size_t i = 0; i < COUNT(m); i++) {
        m[i].rig = *r;
        m[i].rig.cx = rig_ctx(r);
        m[i].rig.db = m[i].rig.cx.database = rig_open(r, &m[i].rig.cx);
        m[i].files = set_of(&m[i].rig, files, 2);
    }
    for (size_t i = 0; i < COUNT(m); i++)
        assert_int_equal(pthread_create(&m[i].thread, NULL, migrate, &m[i]), 0);
    for (size_t i = 0; i < COUNT(m); i++) {
        pthread_join(m[i].thread, NULL);
        rig_must(&m[i].rig.cx, m[i].e);
        db_close(m[i].rig.db);
        arena_free(m[i].rig.cx.mem);
    }
    history_is(r, set_of(r, files, 2), "xx");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON("sqlite", tokens_expand),
        ON("sqlite", file_names_are_checked),
        BOTH(up_and_down),
        BOTH(a_changed_file_is_noticed),
        BOTH(a_failed_migration_leaves_nothing),
        ON("postgres", one_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
