#include "app/cli.h"
#include "app/modules.h"
#include "app/schema_commands.h"
#include "base/json.h"
#include "db/migrate.h"
#include "feeds/csv_commands.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/banned.h"

/* "0003_core_stock" → 3; "3" → 3. */
static enum err revision_of(struct ctx *cx, struct str text, int64_t *out) {
    struct str head = text, rest;
    (void)str_cut(text, '_', &head, &rest);
    while (head.n > 1 && head.p[0] == '0')
        head = str_sub(head, 1, head.n);
    return str_int(head, out) && *out >= 0 ? OK : fail(cx, ERR_USAGE, "%.*s is no revision.", STR_FMT(text));
}

static int db_upgrade(struct app *app, const struct command_line *line) {
    int64_t target = -1, version = 0;
    enum err e = line->n_words ? revision_of(&app->cx, line->words[0], &target) : OK;
    if (e || (e = app_open_db(app)) || (e = migrate_up(&app->cx, target)) ||
        (target < 0 && (e = schema_tables(&app->cx, true))) || (e = migrate_current(&app->cx, &version)))
        return app_report(&app->cx);
    if (version < target) {
        (void)fail(&app->cx, ERR_USAGE, "There is no revision %04" PRId64 "; the newest is %04" PRId64 ".",
                   target, version);
        return app_report(&app->cx);
    }
    printf("The schema is at revision %04" PRId64 ".\n", version);
    return 0;
}

/* A process that has just ended is still listed for a moment. */
#define LEAVING_US (3 * US_PER_S)
#define LOOK_EVERY_NS (50 * 1000 * 1000)

/* Taking tables away from a server that runs loses what it is told from then on. */
static enum err nobody_else(struct ctx *cx) {
    struct list others = {0};
    struct buf names = buf_new(cx->mem, 4096);
    int64_t until = clock_steady() + LEAVING_US;
    enum err e;
    while (!(e = migrate_others(cx, &others)) && others.n && clock_steady() < until)
        nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_NS}, NULL);
    const struct process_name *p = others.items;
    for (size_t i = 0; !e && i < others.n; i++)
        buf_printf(&names, "%s%.*s", i ? ", " : "", STR_FMT(p[i].name));
    return e || !others.n ? e
                          : fail(cx, ERR_CONFLICT,
                                 "The database is in use by %zu other entrepot process%s: %.*s. Stop them"
                                 " first, or take the schema away under them with --yes.",
                                 others.n, others.n == 1 ? "" : "es", STR_FMT(buf_str(&names)));
}

static int db_downgrade(struct app *app, const struct command_line *line) {
    int64_t target = 0, version = 0;
    enum err e = app_open_db(app);
    if (e || (e = migrate_current(&app->cx, &version)) || (!line->option[0].p && (e = nobody_else(&app->cx))))
        return app_report(&app->cx);
    target = version > 0 ? version - 1 : 0;
    if (line->n_words && (e = revision_of(&app->cx, line->words[0], &target)))
        return app_report(&app->cx);
    if (target > version) {
        (void)fail(&app->cx, ERR_USAGE,
                   "The schema is at revision %04" PRId64 "; it cannot go down to %04" PRId64 ".", version,
                   target);
        return app_report(&app->cx);
    }
    if ((e = migrate_down(&app->cx, target)) || (e = migrate_current(&app->cx, &version)))
        return app_report(&app->cx);
    printf("The schema is at revision %04" PRId64 ".\n", version);
    return 0;
}

/* A new migration file, numbered after the newest. */
static int db_revision(struct app *app, const struct command_line *line) {
    static const char TEXT[] = "-- What this changes, and why.\n\n-- down\n";
    int64_t newest = 0;
    struct list states;
    struct str name = line->words[0];
    enum err e = app_open_db(app);
    if (e || (e = migrate_history(&app->cx, &states)))
        return app_report(&app->cx);
    for (size_t i = 0; i < name.n; i++)
        if (!((name.p[i] >= 'a' && name.p[i] <= 'z') || (name.p[i] >= '0' && name.p[i] <= '9') ||
              name.p[i] == '_')) {
            (void)fail(&app->cx, ERR_USAGE, "The name takes small letters, digits and _: <module>_<what>.");
            return app_report(&app->cx);
        }
    if (states.n)
        newest = ((const struct migration_state *)states.items)[states.n - 1].version;
    struct str path = str_printf(app->mem, "migrations/%04" PRId64 "_%.*s.sql", newest + 1, STR_FMT(name));
    int fd = open(str_z(app->mem, path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, TEXT, sizeof(TEXT) - 1) != (ssize_t)sizeof(TEXT) - 1) {
        (void)fail(&app->cx, ERR_USAGE, "%.*s cannot be written: %s.", STR_FMT(path), strerror(errno));
        if (fd >= 0)
            close(fd);
        return app_report(&app->cx);
    }
    close(fd);
    printf("%.*s\n", STR_FMT(path));
    return 0;
}

static int print_settings(struct app *app, const struct settings *show) {
    const struct setting *tables[64];
    size_t counts[64];
    struct buf b = buf_new(app->mem, 1 << 20);
    assert(MODULES_N <= 64);
    for (size_t i = 0; i < MODULES_N; i++) {
        tables[i] = MODULES[i]->settings;
        counts[i] = MODULES[i]->n_settings;
    }
    settings_print(tables, counts, MODULES_N, show, &b);
    printf("%.*s", STR_FMT(buf_str(&b)));
    return 0;
}

/* One object, name to value as text; of a secret only whether it is set. */
static int print_settings_json(struct app *app) {
    struct buf b = buf_new(app->mem, 1 << 20);
    bool first = true;
    buf_byte(&b, '{');
    for (size_t i = 0; i < MODULES_N; i++)
        for (size_t k = 0; k < MODULES[i]->n_settings; k++) {
            const struct setting *row = &MODULES[i]->settings[k];
            struct str value = setting_text(app->settings, row->name);
            json_put_key(&b, &first, str_of(row->name));
            json_put_string(&b, row->secret && value.n ? S("(set)") : value);
        }
    buf_byte(&b, '}');
    printf("%.*s\n", STR_FMT(buf_str(&b)));
    return 0;
}

static int config(struct app *app, const struct command_line *line) {
    return line->json ? print_settings_json(app) : print_settings(app, app->settings);
}
static int config_example(struct app *app, const struct command_line *line) {
    (void)line;
    return print_settings(app, NULL);
}
/* Bad settings have been reported before any command runs. */
static int config_check(struct app *app, const struct command_line *line) {
    (void)app, (void)line;
    puts("The settings are good.");
    return 0;
}

static int openapi(struct app *app, const struct command_line *line) {
    (void)line;
    struct buf b = buf_new(app->mem, 16 << 20);
    enum err e = app_start(app, SCHEMA_UNSEEN);
    if (e || (e = router_document(app->router, &b)))
        return app_report(&app->cx);
    printf("%.*s\n", STR_FMT(buf_str(&b)));
    return 0;
}

static int csv_count(struct app *app, const struct command_line *line) {
    return csv_count_command(&app->cx, line);
}
static int csv_merge(struct app *app, const struct command_line *line) {
    return csv_merge_command(&app->cx, line);
}

static const struct option SERVE[] = {
    {"port", "N", false, "The port; 0 takes a free one. PORT or 8000 if not given."},
    {"host", "ADDRESS", false, "The address to listen on. HOST or 127.0.0.1 if not given."},
    {"workers", "N", false, "Threads for jobs that take long; 0 leaves all jobs to others. 2 if not given."},
    {0}};
static const struct option WORKER[] = {
    {"concurrency", "N", false, "Threads for jobs that take long; 2 if not given."},
    {"queues", "A,B", false, "Only jobs of these queues; of all if not given."},
    {0}};

static const struct option DOWNGRADE[] = {
    {"yes", NULL, false, "Also while other processes have the database open."}, {0}};

const struct tool TOOLS[] = {
    {"serve", NULL, SERVE, "Runs the API, the webhooks and the jobs in one process.", tool_serve, false},
    {"worker", NULL, WORKER, "Runs jobs only, beside servers on the same PostgreSQL.", tool_worker, false},
    {"schedule", NULL, NULL, "Runs schedules only, beside servers and workers on the same PostgreSQL.",
     tool_schedule, false},
    {"db upgrade", "[REV]", NULL, "Brings the schema up to date.", db_upgrade, false},
    {"db downgrade", "[REV]", DOWNGRADE, "Takes the schema back by one revision, or to REV.", db_downgrade,
     false},
    {"db revision", "NAME", NULL, "Makes a new migration file.", db_revision, false},
    {"config", NULL, NULL, "Prints the settings in force; secrets are left out.", config, false},
    {"config check", NULL, NULL, "Checks the settings and says everything that is wrong with them.",
     config_check, false},
    {"config example", NULL, NULL, "Prints an .env with every setting.", config_example, true},
    {"csv count", "FILE…", NULL, "Counts the rows of CSV files, without their headings.", csv_count, true},
    {"csv merge", "FILE…", CSV_MERGE_OPTIONS,
     "Makes one CSV file of several, without duplicates: of rows with one key the last one stays.", csv_merge,
     true},
    {"openapi", NULL, NULL, "Prints the API's description (OpenAPI 3.1).", openapi, false},
};
const size_t TOOLS_N = sizeof(TOOLS) / sizeof(TOOLS[0]);
