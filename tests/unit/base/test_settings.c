#include "base/settings.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/dotenv.h"
#include "fixture.h"

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const environments[] = {"local", "stage", "production", NULL};
static const struct setting first_rows[] = {
    {.name = "ENVIRONMENT",
     .type = SETTING_CHOICE,
     .fallback = "production",
     .choices = environments,
     .doc = "Where."},
    {.name = "LOG_LEVEL",
     .type = SETTING_CHOICE,
     .fallback = "info",
     .choices = levels,
     .doc = "What is logged."},
    {.name = "PORT", .type = SETTING_INT, .fallback = "8000", .min = 1, .max = 65535, .doc = "Port."},
    {.name = "MIGRATE", .type = SETTING_BOOL, .fallback = "1", .doc = "Whether."},
};
static const struct setting second_rows[] = {
    {.name = "SECRET_KEY",
     .alias = "APP_SECRET_KEY",
     .type = SETTING_TEXT,
     .fallback = "",
     .min = 32,
     .secret = true,
     .production_required = true,
     .doc = "The key."},
    {.name = "SECRETS",
     .alias = "APP_SECRETS",
     .type = SETTING_LIST,
     .fallback = "",
     .secret = true,
     .doc = "Some."},
    {.name = "RATE", .type = SETTING_RATE, .fallback = "100/s", .doc = "How often."},
    {.name = "TITLE", .alias = "APP_TITLE", .type = SETTING_TEXT, .fallback = "none", .doc = "A text."},
};
static const struct setting *const tables[] = {first_rows, second_rows};
static const size_t counts[] = {COUNT(first_rows), COUNT(second_rows)};

#define GOOD_KEY "0123456789abcdef0123456789abcdef"

struct fixture {
    struct ctx *cx;
    char dir[40];
};

static void write_text(const struct fixture *f, const char *name, const char *text) {
    char path[80];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int open_folder(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/entrepot-settings-XXXXXX");
    void *cx = NULL;
    if (!mkdtemp(f->dir) || begin(&cx))
        return -1;
    f->cx = cx;
    *state = f;
    return 0;
}

static int close_folder(void **state) {
    static const char *const files[] = {".env",   ".env.local", ".env.stage", ".env.production",
                                        "secret", "secrets"};
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(files); i++) {
        char path[80];
        snprintf(path, sizeof path, "%s/%s", f->dir, files[i]);
        unlink(path);
    }
    rmdir(f->dir);
    void *cx = f->cx;
    end(&cx);
    free(f);
    return 0;
}

static enum err load(struct fixture *f, const char *const *environment, struct settings **s) {
    fault_clear(f->cx);
    return settings_load(f->cx, tables, counts, 2, (char *const *)(uintptr_t)environment, str_of(f->dir), s);
}
#define LOAD(f, s, ...) load((f), (const char *const[]){__VA_ARGS__, NULL}, (s))

static void assert_problem(struct ctx *cx, const char *field, const char *problem) {
    for (size_t i = 0; i < cx->fault.n; i++)
        if (str_eq(cx->fault.problems[i].field, str_of(field)) &&
            str_starts(cx->fault.problems[i].problem, str_of(problem)))
            return;
    fail_msg("%s: %s is not among the problems; the first is %.*s: %.*s", field, problem,
             STR_FMT(cx->fault.problems[0].field), STR_FMT(cx->fault.problems[0].problem));
}

static void fallbacks_stand(void **state) {
    struct fixture *f = *state;
    struct settings *s;
    assert_int_equal(LOAD(f, &s, "ENVIRONMENT=local"), OK);
    assert_true(settings_local(s) && !settings_production(s));
    assert_int_equal(setting_int(s, "PORT"), 8000);
    assert_true(setting_bool(s, "MIGRATE"));
    assert_str(setting_text(s, "LOG_LEVEL"), S("info"));
    assert_str(setting_text(s, "SECRET_KEY"), S(""));
    assert_str(setting_text(s, "TITLE"), S("none"));
    assert_int_equal(setting_list(s, "SECRETS").n, 0);
    assert_true(setting_rate(s, "RATE").count == 100 && setting_rate(s, "RATE").period_us == US_PER_S);
}

static void sources_in_their_order(void **state) {
    struct fixture *f = *state;
    struct settings *s;
    write_text(f, ".env", "TITLE=dotenv\nPORT=1\nLOG_LEVEL=warn\n");
    write_text(f, ".env.stage", "TITLE=stage\nPORT=2\n");
    assert_int_equal(LOAD(f, &s, "ENVIRONMENT=stage", "PORT=3"), OK);
    assert_int_equal(setting_int(s, "PORT"), 3);
    assert_str(setting_text(s, "TITLE"), S("stage"));
    assert_str(setting_text(s, "LOG_LEVEL"), S("warn"));
    assert_str(setting_text(s, "ENVIRONMENT"), S("stage"));
    write_text(f, ".env", "ENVIRONMENT=local\nTITLE=dotenv\n");
    assert_int_equal(LOAD(f, &s, "PORT="), OK);
    assert_true(settings_local(s));
    assert_str(setting_text(s, "TITLE"), S("dotenv"));
    assert_int_equal(setting_int(s, "PORT"), 8000);
    assert_int_equal(LOAD(f, &s, "TITLE="), OK);
    assert_str(setting_text(s, "TITLE"), S(""));
}

static void names_and_aliases(void **state) {
    struct fixture *f = *state;
    struct settings *s;
    assert_int_equal(LOAD(f, &s, "ENVIRONMENT=local", "APP_TITLE=alias"), OK);
    assert_str(setting_text(s, "TITLE"), S("alias"));
    assert_int_equal(LOAD(f, &s, "ENVIRONMENT=local", "APP_TITLE=same", "TITLE=same"), OK);
    assert_int_equal(LOAD(f, &s, "ENVIRONMENT=local", "APP_TITLE=a", "TITLE=b"), ERR_USAGE);
    assert_problem(f->cx, "TITLE", "and its alias APP_TITLE are both set, to different values");
    write_text(f, ".env", "TITLE=a\nAPP_TITLE=b\n");
    assert_int_equal(LOAD(f, &s, "ENVIRONMENT=local", "TITLE=c"), ERR_USAGE);
    assert_problem(f->cx, "TITLE", "and its alias APP_TITLE are both set, to different values");
    write_text(f, ".env", "TITLE=main in the file\n");
    assert_int_equal(LOAD(f, &s, "ENVIRONMENT=local", "APP_TITLE=alias in the environment"), OK);
    assert_str(setting_text(s, "TITLE"), S("alias in the environment"));
}

static void secrets_from_files(void **state) {
    struct fixture *f = *state;
    struct settings *s;
    char key[100], list[100], more[100];
    write_text(f, "secret", GOOD_KEY "\n");
    write_text(f, "secrets", "demo:c,d\r\n\n e \n");
    write_text(f, ".env", "SECRET_KEY=of the .env file\n");
    snprintf(key, sizeof key, "SECRET_KEY_FILE=%s/secret", f->dir);
    snprintf(list, sizeof list, "APP_SECRETS_FILE=%s/secrets", f->dir);
    assert_int_equal(LOAD(f, &s, key, list, "SECRETS= a ,,b"), OK);
    assert_true(settings_production(s));
    assert_str(setting_text(s, "SECRET_KEY"), S(GOOD_KEY));
    struct list l = setting_list(s, "SECRETS");
    static const char *const wanted[] = {"a", "b", "demo:c,d", "e"};
    assert_int_equal(l.n, 4);
    for (size_t i = 0; i < l.n; i++)
        assert_str(((const struct str *)l.items)[i], str_of(wanted[i]));
    snprintf(more, sizeof more, "SECRETS_FILE=%s/secret", f->dir);
    assert_int_equal(LOAD(f, &s, key, list, more), OK);
    assert_int_equal(setting_list(s, "SECRETS").n, 3);
    assert_int_equal(LOAD(f, &s, "SECRET_KEY_FILE=/nonexistent"), ERR_USAGE);
    assert_problem(f->cx, "SECRET_KEY", "cannot be read from /nonexistent: No such file");
}

static void production_is_strict(void **state) {
    struct fixture *f = *state;
    struct settings *s;
    assert_int_equal(LOAD(f, &s, "ENVIRONMENT=prod", "SECRET_KEY=" GOOD_KEY), OK);
    assert_true(settings_production(s));
    assert_str(setting_text(s, "ENVIRONMENT"), S("production"));
    assert_int_equal(LOAD(f, &s, "X=1"), ERR_USAGE);
    assert_problem(f->cx, "SECRET_KEY", "is required in production");
    assert_int_equal(LOAD(f, &s, "SECRET_KEY=short but not so easy"), ERR_USAGE);
    assert_problem(f->cx, "SECRET_KEY", "must have at least 32 bytes");
    assert_int_equal(LOAD(f, &s, "SECRET_KEY=xyxyxyxyxyxyxyxyxyxyxyxyxyxyxyxyxyxyxyxy"), ERR_USAGE);
    assert_problem(f->cx, "SECRET_KEY", "is too easy to guess");
    assert_int_equal(LOAD(f, &s, "ENVIRONMENT=local", "SECRET_KEY=short"), OK);
}

static void all_problems_at_once(void **state) {
    struct fixture *f = *state;
    struct settings *s;
    write_text(f, ".env", "fine=1\nthis is nothing\n");
    assert_int_equal(
        LOAD(f, &s, "ENVIRONMENT=moon", "PORT=0", "LOG_LEVEL=loud", "MIGRATE=maybe", "RATE=often"),
        ERR_USAGE);
    assert_int_equal(f->cx->fault.code, ERR_USAGE);
    assert_problem(f->cx, "ENVIRONMENT", "must be one of: local, stage, production");
    assert_problem(f->cx, "PORT", "must be from 1 to 65535");
    assert_problem(f->cx, "LOG_LEVEL", "must be one of: debug, info, warn, error");
    assert_problem(f->cx, "MIGRATE", "must be 1 or 0");
    assert_problem(f->cx, "RATE", "must be a number of events");
    assert_problem(f->cx, ".env", "line 2: it is not of the form NAME=value");
    assert_int_equal(LOAD(f, &s, "ENVIRONMENT=local", "PORT=80x"), ERR_USAGE);
    assert_problem(f->cx, "PORT", "must be an integer");
}

static void rates(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *text;
        int64_t count, period_us;
    } cases[] = {{"RATE=5", 5, US_PER_S},
                 {"RATE=5/s", 5, US_PER_S},
                 {"RATE=7/min", 7, 60 * US_PER_S},
                 {"RATE=9/h", 9, 3600 * US_PER_S},
                 {"RATE=0", 0, US_PER_S},
                 {"RATE=-1", -1, 0},
                 {"RATE=1/d", -1, 0},
                 {"RATE=/s", -1, 0},
                 {"RATE=1.5", -1, 0}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct settings *s;
        bool good = LOAD(f, &s, "ENVIRONMENT=local", cases[i].text) == OK;
        assert_case(cases[i].text, good == (cases[i].count >= 0));
        if (good)
            assert_case(cases[i].text, setting_rate(s, "RATE").count == cases[i].count &&
                                           setting_rate(s, "RATE").period_us == cases[i].period_us);
    }
}

static void env_files_are_read(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *text, *name, *value; /* value NULL: the line is wrong; name NULL: no pair */
    } cases[] = {
        {"A=b", "A", "b"},
        {"A=", "A", ""},
        {" A = b c ", "A", "b c"},
        {"export A=b", "A", "b"},
        {"export\tA=b", "A", "b"},
        {"A=b # comment", "A", "b"},
        {"A=b#c", "A", "b#c"},
        {"A=#c", "A", ""},
        {"A= # c", "A", ""},
        {"A='b # c' # d", "A", "b # c"},
        {"A='a\\n$x\"'", "A", "a\\n$x\""},
        {"A=\"a\\n\\t\\\"\\\\\\$x\"", "A", "a\n\t\"\\$x"},
        {"A=\"\"", "A", ""},
        {"A=b=c", "A", "b=c"},
        {"A=b\r\n", "A", "b"},
        {"\xEF\xBB\xBF"
         "A=b",
         "A", "b"},
        {"A=1\nA=2", "A", "2"},
        {"# A=b", NULL, NULL},
        {"\n \n\t# x\n", NULL, NULL},
        {"A", "A", NULL},
        {"=b", "A", NULL},
        {"1A=b", "A", NULL},
        {"A-B=c", "A", NULL},
        {"A='b", "A", NULL},
        {"A=\"b\\\"", "A", NULL},
        {"A='b' c", "A", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct list pairs;
        size_t line;
        const char *problem;
        struct str value;
        assert_true(dotenv_parse(f->cx->mem, str_of(cases[i].text), &pairs, &line, &problem));
        assert_case(cases[i].text, (line == 0) == (cases[i].value || !cases[i].name));
        if (cases[i].value) {
            assert_case(cases[i].text, pairs_find(pairs, str_of(cases[i].name), &value));
            assert_str(value, str_of(cases[i].value));
        }
        if (!cases[i].name)
            assert_int_equal(pairs.n, 0);
    }
}

static void printed_settings_can_be_read(void **state) {
    struct fixture *f = *state;
    struct settings *s;
    assert_int_equal(
        LOAD(f, &s, "ENVIRONMENT=local", "TITLE=a \"b\" # c\td\\", "SECRET_KEY=hidden value", "PORT=9"), OK);
    struct buf b = buf_new(f->cx->mem, 10000);
    settings_print(tables, counts, 2, s, &b);
    assert_null(strstr(str_z(f->cx->mem, buf_str(&b)), "hidden value"));
    write_text(f, ".env", str_z(f->cx->mem, buf_str(&b)));
    assert_int_equal(LOAD(f, &s, "X=1"), OK);
    assert_str(setting_text(s, "TITLE"), S("a \"b\" # c\td\\"));
    assert_int_equal(setting_int(s, "PORT"), 9);
    b = buf_new(f->cx->mem, 10000);
    settings_print(tables, counts, 2, NULL, &b);
    assert_non_null(strstr(str_z(f->cx->mem, buf_str(&b)), "# Port.\n# PORT=8000\n"));
    assert_non_null(strstr(str_z(f->cx->mem, buf_str(&b)), "# One of: debug | info | warn | error\n"));
    assert_non_null(strstr(str_z(f->cx->mem, buf_str(&b)), "# Also read as APP_SECRET_KEY.\n"));
}

#define IN_FOLDER(function) cmocka_unit_test_setup_teardown(function, open_folder, close_folder)
int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(fallbacks_stand),
        IN_FOLDER(sources_in_their_order),
        IN_FOLDER(names_and_aliases),
        IN_FOLDER(secrets_from_files),
        IN_FOLDER(production_is_strict),
        IN_FOLDER(all_problems_at_once),
        IN_FOLDER(rates),
        IN_FOLDER(env_files_are_read),
        IN_FOLDER(printed_settings_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
