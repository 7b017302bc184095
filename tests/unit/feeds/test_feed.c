/* F2: feeds are declared in files. Which ones ship, what a file may say, and how each fault is told. */
#include "base/fixture.h"
#include "feeds/feed.h"

#include <stdlib.h>
#include <unistd.h>

#define HEAD "name: leads\nfiles: [lead_*.csv]\ntable: leads\nkeys: [store_code, no]\n"
#define COLUMNS "columns:\n  - {name: store_code}\n  - {name: no, header: [No., Number]}\n"
#define SOURCE "source:\n  kind: http\n  server: main\n  path: /x/{store_code}/{yyyymmdd}.csv\n"

static const struct feed *shipped(struct ctx *cx, struct feeds *feeds, struct str name) {
    assert_int_equal(feeds_load(cx, S(""), feeds), OK);
    return feed_find(feeds, name);
}

static void F2_three_feeds_ship(void **state) {
    struct ctx *cx = *state;
    struct feeds feeds;
    const struct feed *f = shipped(cx, &feeds, S("missed_leads"));
    size_t rank;
    assert_int_equal(feeds.n, 3);
    assert_non_null(f);
    assert_str(f->table, S("missed_leads"));
    assert_str(f->merged, S("merged_missed_leads"));
    assert_int_equal(f->columns.n, 15);
    assert_int_equal(f->n_keys, 2);
    assert_str(feed_column(f, f->keys[1])->name, S("pickup_no"));
    assert_int_equal(feed_column(f, 0)->type, FEED_INT);
    assert_int_equal(feed_header(f, S("ID"), &rank), 0);
    assert_int_equal(feed_column(f, 14)->type, FEED_BOOL);
    f = feed_find(&feeds, S("undelivered_all"));
    assert_str(f->table, S("undelivered_orders"));
    assert_int_equal(feed_column(f, 5)->type, FEED_DECIMAL);
    f = feed_find(&feeds, S("repeat_customers"));
    assert_int_equal(feed_header(f, S("  mobile NO. "), &rank), 1);
    assert_int_equal(rank, 0);
    assert_int_equal(feed_header(f, S("mobile_no"), &rank), 1);
    assert_int_equal(rank, 1);
    assert_int_equal(feed_header(f, S("Mobile"), &rank), -1);
    assert_null(feed_find(&feeds, S("nobody")));
}

static void F2_files_are_found_by_name(void **state) {
    static const struct {
        const char *file, *feed;
    } CASES[] = {
        {"pickup_S1.csv", "missed_leads"},
        {"pickup_.csv", "missed_leads"},
        {"undelieverd_order_20261120.csv", "undelivered_all"},
        {"repeat.csv", "repeat_customers"},
        {"repeat_customers (2).csv", "repeat_customers"},
        {"pickup_S1.csv.part", NULL},
        {"apickup_S1.csv", NULL},
        {"merged_missed_leads_20261120.csv", NULL},
        {"rejects_missed_leads_20261120.csv", NULL},
        {"undelivered_order_1.csv", NULL},
        {"", NULL},
    };
    struct ctx *cx = *state;
    struct feeds feeds;
    (void)shipped(cx, &feeds, S("missed_leads"));
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const struct feed *f = feed_of_file(&feeds, str_of(CASES[i].file));
        assert_case(CASES[i].file, CASES[i].feed ? f && str_eq(f->name, str_of(CASES[i].feed)) : !f);
    }
}

static void F2_a_file_says_it_all(void **state) {
    struct ctx *cx = *state;
    struct feed f;
    assert_int_equal(feed_parse(cx, S("x.yaml"), S(HEAD COLUMNS SOURCE "dates: month_first\n"), &f), OK);
    assert_str(f.dates, S("month_first"));
    assert_int_equal(f.source.kind, FEED_FROM_HTTP);
    assert_false(f.source.has_login);
    assert_int_equal(f.source.attempts.v, 5);
    assert_int_equal(f.guards.shrink_percent.v, 80);
    assert_true(feed_required(feed_column(&f, 1)));
    const struct feed_column *c = feed_column(&f, 1);
    assert_int_equal(c->headers.n, 3); /* No., Number, no */
    struct feed_values v = {.store_code = S("S 1/ä"), .day = 20777};
    assert_str(feed_expand(cx->mem, f.source.path, &v, true), S("/x/S%201%2F%C3%A4/20261120.csv"));
    assert_str(feed_expand(cx->mem, S("{date} {yyyy}{mm}{dd}"), &v, false), S("2026-11-20 20261120"));
}

static void F2_faults_name_file_and_line(void **state) {
    static const struct {
        const char *text, *said;
    } CASES[] = {
        {"", "x.yaml:1: the file is empty."},
        {"name: [", "x.yaml:2: did not find expected node content."},
        {HEAD, "x.yaml:1: columns is required."},
        {HEAD "columns: []\n", "x.yaml:5: columns must not be empty."},
        {HEAD COLUMNS "colour: red\n", "x.yaml:8: colour is not a field of this resource."},
        {HEAD COLUMNS "  - {name: no}\n",
         "x.yaml:8: columns[2].name is the name of another column already: no."},
        {HEAD COLUMNS "  - {name: other, header: number}\n",
         "x.yaml:8: columns[2] has the header number, and so has no."},
        {HEAD COLUMNS "  - {name: other, type: float}\n",
         "x.yaml:8: columns[2].type must be one of: text, int, decimal, date, bool."},
        {HEAD COLUMNS "  - {name: run_id}\n",
         "x.yaml:8: columns[2].name is a column that every feed's table has by itself."},
        {HEAD COLUMNS "  - {name: select}\n",
         "x.yaml:8: columns[2].name must be a small letter and then small "
         "letters, digits or _, and no reserved word of SQL."},
        {HEAD COLUMNS "table: x\n", "x.yaml:8: table stands there already, on line 3."},
        {HEAD COLUMNS "doc: &a x\n", "x.yaml:8: anchors and tags are not taken; write the value."},
        {HEAD COLUMNS "doc: *a\n", "x.yaml:8: aliases are not taken; write the value again."},
        {HEAD COLUMNS "guards: {min_rows: many}\n", "x.yaml:8: guards.min_rows must be an integer."},
        {HEAD COLUMNS "guards: {max_rows: 1}\n",
         "x.yaml:8: guards.max_rows is not a field of this resource."},
        {HEAD COLUMNS "---\nname: y\n", "x.yaml:8: a second document begins here; a file has one."},
        {"name: leads\nfiles: lead.csv\ntable: t\nkeys: [no]\n" COLUMNS,
         "x.yaml:4: keys must have store_code among them: two stores may use one number."},
        {"name: leads\nfiles: lead.csv\ntable: t\nkeys:\n- store_code\n- nix\n" COLUMNS,
         "x.yaml:6: keys[1] is no column of the feed: nix."},
        {"name: leads\nfiles: a/lead.csv\ntable: t\nkeys: [store_code]\n" COLUMNS,
         "x.yaml:2: files[0] is a name without folders: they may be of any depth."},
        {"name: leads\nfiles: '*.csv'\ntable: t\nkeys: [store_code]\n" COLUMNS,
         "x.yaml:2: files[0] would take what the run writes itself for an individual file."},
        {"name: leads\nfiles: [{a: b}]\ntable: t\nkeys: [store_code]\n" COLUMNS,
         "x.yaml:2: files must be a text, or a list of 1 to 64 texts."},
        {HEAD COLUMNS "source: {kind: ftp, path: /x}\n",
         "x.yaml:8: source.kind must be one of: http, folder."},
        {HEAD COLUMNS "source: {kind: http, path: /x}\n",
         "x.yaml:8: source needs server: its name in FEEDS_SOURCES."},
        {HEAD COLUMNS "source: {kind: http, server: a, path: '//evil.example/x'}\n",
         "x.yaml:8: source.path must begin with one /: the server stands in FEEDS_SOURCES."},
        {HEAD COLUMNS "source: {kind: http, server: a, path: '/{password}'}\n",
         "x.yaml:8: source.path has {password}; there are {store_code} {date} {yyyymmdd} {yyyy} {mm} {dd}"
         " {bucket} {org}."},
        {HEAD COLUMNS "source: {kind: folder, path: x}\n", "x.yaml:8: source.path must be an absolute path."},
        {HEAD COLUMNS SOURCE "  login:\n    path: /in\n    form: {}\n",
         "x.yaml:14: source.login.form must be a mapping of 1 to 64 names to texts."},
    };
    struct ctx *cx = *state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct feed f;
        fault_clear(cx);
        enum err e = feed_parse(cx, S("x.yaml"), str_of(CASES[i].text), &f);
        assert_case(CASES[i].text, e == ERR_USAGE);
        assert_str(cx->fault.message, str_of(CASES[i].said));
    }
}

static void put(struct ctx *cx, const char *dir, const char *name, const char *text) {
    struct str path = str_printf(cx->mem, "%s/%s", dir, name);
    FILE *out = fopen(path.p, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    fclose(out);
}

static void F2_FEEDS_DIR_takes_their_place(void **state) {
    struct ctx *cx = *state;
    struct feeds feeds;
    char dir[] = "/tmp/entrepot-feeds-XXXXXX";
    assert_non_null(mkdtemp(dir));
    assert_int_equal(feeds_load(cx, str_of(dir), &feeds), ERR_USAGE); /* there is none */
    put(cx, dir, "b.yaml", HEAD COLUMNS);
    put(cx, dir, "README.txt", "no feed");
    assert_int_equal(feeds_load(cx, str_of(dir), &feeds), OK);
    assert_int_equal(feeds.n, 1);
    put(cx, dir, "c.yml", "name: other\nfiles: lead_x.csv\ntable: others\nkeys: [store_code]\n" COLUMNS);
    assert_int_equal(feeds_load(cx, str_of(dir), &feeds), ERR_USAGE); /* lead_* takes lead_x.csv as well */
    assert_true(str_ends(cx->fault.message, S("b.yaml as well.")));
    for (const char *const *f = (const char *const[]){"b.yaml", "README.txt", "c.yml", NULL}; *f; f++)
        assert_int_equal(unlink(str_printf(cx->mem, "%s/%s", dir, *f).p), 0);
    rmdir(dir);
    fault_clear(cx);
    assert_int_equal(feeds_load(cx, str_of(dir), &feeds), ERR_USAGE); /* gone */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(F2_three_feeds_ship),          TEST(F2_files_are_found_by_name),     TEST(F2_a_file_says_it_all),
        TEST(F2_faults_name_file_and_line), TEST(F2_FEEDS_DIR_takes_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
