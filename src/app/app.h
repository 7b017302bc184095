/* The application: everything that lives as long as the process, opened in the order in which it is needed. A
 * command opens as much of it as it uses; app_end closes what is open, in reverse. */
#ifndef APP_APP_H
#define APP_APP_H

#include "base/log.h"
#include "base/metrics.h"
#include "base/module.h"
#include "base/settings.h"
#include "db/db.h"
#include "net/server.h"

struct app {
    struct arena *mem;
    struct settings *settings;
    struct clock *clock;
    struct log *log;
    struct metrics *metrics;
    struct modules modules;
    size_t started; /* how many modules */
    struct db *db;
    struct router *router;
    struct str data; /* the data folder */
    struct ctx cx;   /* the process's own work: starting, stopping, commands */
};

/* Memory only: enough to read a command line and to report. Exits when there is none. */
void app_init(struct app *app);
/* Settings, clock, log, metrics. On ERR_USAGE the fault lists every setting that is wrong. */
MUST_USE enum err app_begin(struct app *app);
/* The database, with its folder; the schema is not looked at. */
MUST_USE enum err app_open_db(struct app *app);
/* What a process asks of the schema before it works on it. */
enum schema_policy {
    SCHEMA_UNSEEN,  /* nothing: for what looks at the schema itself, or at no database at all */
    SCHEMA_CURRENT, /* refuse another one and say what to run */
    SCHEMA_UPGRADED /* bring it up to date first, if MIGRATE_ON_START says so */
};
/* Checks schema and statements, starts the modules and makes the router. */
MUST_USE enum err app_start(struct app *app, enum schema_policy policy);
void app_end(struct app *app);

/* One line on standard error that says what happened and to which fields; returns the exit status. */
int app_report(struct ctx *cx);

extern const struct module APP_MODULE; /* the settings of the process */

#endif
