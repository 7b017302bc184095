#include "app/app.h"

#include "app/modules.h"
#include "app/schema_commands.h"
#include "core/seed.h"
#include "db/db.h"
#include "db/migrate.h"
#include "identity/identity.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/banned.h"

static const char *const ENVIRONMENTS[] = {"local", "stage", "production", "prod", NULL};
static const char *const LEVELS[] = {"DEBUG", "INFO", "WARN", "ERROR", NULL};

static const struct setting SETTINGS[] = {
    {.name = "DATABASE_URL",
     .alias = "APP_DATABASE_URL",
     .type = SETTING_TEXT,
     .fallback = "",
     .secret = true,
     .doc = "sqlite:///relative.db, sqlite:////absolute.db or postgresql://…; entrepot.db in the data folder "
            "if not"
            " set.",
     .check = db_url_valid,
     .rule = "must be sqlite:///path or postgresql://…"},
    {.name = "ENTREPOT_DATA", .type = SETTING_TEXT, .fallback = "./data", .doc = "The data folder."},
    {.name = "ENVIRONMENT",
     .type = SETTING_CHOICE,
     .fallback = "production",
     .choices = ENVIRONMENTS,
     .doc = "local is for trying things out: documents are open and missing secrets are made up."},
    {.name = "LOG_LEVEL",
     .type = SETTING_CHOICE,
     .fallback = "",
     .choices = LEVELS,
     .doc = "The least that is logged; DEBUG in local, INFO elsewhere if not set."},
    {.name = "LOG_FILE", .type = SETTING_TEXT, .fallback = "", .doc = "A file that gets the log as well."},
    {.name = "MIGRATE_ON_START",
     .type = SETTING_BOOL,
     .fallback = "1",
     .doc = "Whether serve and worker bring an older schema up to date; else they refuse it."},
    {.name = "ENTREPOT_CLOCK",
     .type = SETTING_TEXT,
     .fallback = "",
     .doc = "For tests: a file with seconds to add to the time; refused in production."},
};
const struct module APP_MODULE = {.name = "app", TABLE(settings, SETTINGS)};

#define LOG_ROTATE_BYTES (INT64_C(64) << 20)

static enum err load_settings(struct app *app) {
    const struct setting **tables = NEW_N(app->mem, const struct setting *, MODULES_N);
    size_t *counts = NEW_N(app->mem, size_t, MODULES_N);
    if (!tables || !counts)
        return fail(&app->cx, ERR_MEMORY, "The settings do not fit in memory.");
    for (size_t i = 0; i < MODULES_N; i++) {
        tables[i] = MODULES[i]->settings;
        counts[i] = MODULES[i]->n_settings;
    }
    return settings_load(&app->cx, tables, counts, MODULES_N, environ, S("."), &app->settings);
}

static enum err make_metrics(struct app *app) {
    const struct metric **tables = NEW_N(app->mem, const struct metric *, MODULES_N);
    size_t *counts = NEW_N(app->mem, size_t, MODULES_N);
    if (!tables || !counts)
        return fail(&app->cx, ERR_MEMORY, "The metrics do not fit in memory.");
    for (size_t i = 0; i < MODULES_N; i++) {
        tables[i] = MODULES[i]->metrics;
        counts[i] = MODULES[i]->n_metrics;
    }
    app->metrics = metrics_new(tables, counts, MODULES_N);
    return app->metrics ? OK : fail(&app->cx, ERR_MEMORY, "The metrics do not fit in memory.");
}

static enum err make_clock(struct app *app) {
    struct str file = setting_text(app->settings, "ENTREPOT_CLOCK");
    if (file.n && settings_production(app->settings))
        return fail_field(&app->cx, S("ENTREPOT_CLOCK"), "must not be set in production"),
               app->cx.fault.code = ERR_USAGE;
    app->clock = clock_new(file.n ? str_z(app->mem, file) : NULL);
    if (!app->clock)
        return fail(&app->cx, ERR_USAGE, "ENTREPOT_CLOCK names a file that cannot be read.");
    app->cx.clock = app->clock;
    app->cx.now = clock_now(app->clock);
    return OK;
}

static enum err make_log(struct app *app) {
    enum level level = settings_local(app->settings) ? LOG_DEBUG : LOG_INFO;
    struct str text = setting_text(app->settings, "LOG_LEVEL"),
               file = setting_text(app->settings, "LOG_FILE");
    if (text.n)
        (void)level_parse(text, &level);
    app->log = log_new(level, file.n ? str_z(app->mem, file) : NULL, LOG_ROTATE_BYTES);
    app->cx.log = app->log;
    return app->log ? OK : fail(&app->cx, ERR_USAGE, "LOG_FILE cannot be opened: %s.", strerror(errno));
}

void app_init(struct app *app) {
    *app = (struct app){.mem = arena_new((size_t)256 << 20)};
    app->cx.mem = app->mem;
    app->cx.actor = (struct actor){.name = S("operator"), .role = ROLE_OPERATOR};
    if (!app->mem || sodium_init() < 0) {
        fputs("entrepot: no memory or no random numbers\n", stderr);
        exit(1);
    }
}

enum err app_begin(struct app *app) {
    struct ctx *cx = &app->cx;
    enum err e = load_settings(app);
    if (e || (e = make_metrics(app)) || (e = make_clock(app)) || (e = make_log(app)))
        return e;
    void **state = NEW_N(app->mem, void *, MODULES_N);
    if (!state)
        return fail(cx, ERR_MEMORY, "The modules do not fit in memory.");
    app->modules = (struct modules){MODULES, state, MODULES_N, app->settings, app->metrics};
    cx->modules = &app->modules;
    app->data = setting_text(app->settings, "ENTREPOT_DATA");
    char id[36];
    cx->request_id = str_dup(app->mem, uuid_format(uuid_new(cx->now), id));
    return OK;
}

enum err app_open_db(struct app *app) {
    const char *folder = str_z(app->mem, app->data);
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return fail(&app->cx, ERR_USAGE, "The data folder %s cannot be made: %s.", folder, strerror(errno));
    struct str url = setting_text(app->settings, "DATABASE_URL");
    if (url.n == 0)
        url = str_printf(app->mem, "sqlite:///%.*s/entrepot.db", STR_FMT(app->data));
    enum err e = db_open(&app->cx, url, app->data, &app->db);
    app->cx.database = app->db;
    return e;
}

static enum err check_schema(struct app *app, enum schema_policy policy) {
    struct ctx *cx = &app->cx;
    bool upgrade = policy == SCHEMA_UPGRADED && setting_bool(app->settings, "MIGRATE_ON_START");
    enum err e = upgrade ? migrate_up(cx, -1) : migrate_check(cx);
    if (!e)
        e = schema_tables(cx, upgrade);
    if (!e && settings_production(app->settings))
        e = db_refuse_superuser(cx);
    return e ? e : schema_check_stmts(cx);
}

enum err app_start(struct app *app, enum schema_policy policy) {
    struct ctx *cx = &app->cx;
    enum err e = policy == SCHEMA_UNSEEN ? OK : check_schema(app, policy);
    for (size_t i = 0; !e && i < MODULES_N; i++) {
        if (MODULES[i]->start)
            e = MODULES[i]->start(cx, &app->modules.state[i]);
        app->started = e ? i : i + 1;
    }
    if (e)
        return e;
    struct identity *identity = module_state(cx, &IDENTITY_MODULE);
    identity_on_organisation(identity, seed_organisation_created);
    struct router_setup setup = {.modules = MODULES,
                                 .n_modules = MODULES_N,
                                 .aliases = ALIASES,
                                 .n_aliases = ALIASES_N,
                                 .authenticate = identity_authenticate,
                                 .authenticate_arg = identity,
                                 .settings = app->settings,
                                 .metrics = app->metrics,
                                 .db = app->db,
                                 .log = app->log,
                                 .clock = app->clock};
    return router_new(cx, &setup, &app->router);
}

void app_end(struct app *app) {
    if (app->router)
        router_free(app->router);
    if (app->db)
        db_close(app->db); /* what still waits is run, with the modules there */
    for (size_t i = app->started; i-- > 0;)
        if (MODULES[i]->stop)
            MODULES[i]->stop(app->modules.state[i]);
    metrics_free(app->metrics);
    log_free(app->log);
    clock_free(app->clock);
    arena_free(app->mem);
}

int app_report(struct ctx *cx) {
    struct fault *f = &cx->fault;
    struct buf b = buf_new(cx->mem, 1 << 16);
    buf_printf(&b, "entrepot: %.*s", STR_FMT(f->message));
    for (size_t i = 0; i < f->n; i++)
        buf_printf(&b, "%s%.*s %.*s",
                   i              ? "; "
                   : f->message.n ? " "
                                  : "",
                   STR_FMT(f->problems[i].field), STR_FMT(f->problems[i].problem));
    if (f->cause.n)
        buf_printf(&b, " (%.*s)", STR_FMT(f->cause));
    fprintf(stderr, "%.*s\n", STR_FMT(buf_str(&b)));
    return err_info(f->code)->exit;
}
