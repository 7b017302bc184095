#include "app/cli.h"
#include "app/modules.h"
#include "base/log.h"
#include "identity/audit_seal.h"
#include "jobs/jobs.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/banned.h"

#define GRACE_US (10 * US_PER_S)

/* Signals come to the one thread that waits for them; every thread made later inherits the mask. */
static void hold_signals(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static enum err number(struct ctx *cx, struct str text, const char *name, int64_t least, int64_t most,
                       int64_t *out) {
    if (text.p && (!str_int(text, out) || *out < least || *out > most))
        return fail(cx, ERR_USAGE, "--%s must be a whole number from %d to %d.", name, (int)least, (int)most);
    return OK;
}

static enum err start_runner(struct app *app, int64_t workers, struct runner **out) {
    struct runner_setup setup = {.modules = MODULES,
                                 .n_modules = MODULES_N,
                                 .settings = app->settings,
                                 .metrics = app->metrics,
                                 .log = app->log,
                                 .clock = app->clock,
                                 .db = app->db,
                                 .workers = workers};
    return runner_start(&app->cx, &setup, out);
}

/* Says where it is, waits for the signal, and lets go in reverse: first no new requests, then no new jobs. */
static void run_until_told(struct app *app, struct server *server, struct runner *runner,
                           const sigset_t *signals) {
    int got = 0;
    struct sealer *sealer = NULL;
    if (sealer_start(&app->cx, &sealer))
        LOG(&app->cx, LOG_ERROR, "app", S("no thread to seal the audit trail"));
    if (server)
        LOG(&app->cx, LOG_INFO, "app", S("serving"), LOG_STR("version", S(ENTREPOT_VERSION)),
            LOG_INT("port", server_port(server)), LOG_INT("pid", getpid()));
    else
        LOG(&app->cx, LOG_INFO, "app", S("working"), LOG_INT("pid", getpid()));
    sigwait(signals, &got);
    LOG(&app->cx, LOG_INFO, "app", S("stopping"), LOG_INT("signal", got));
    if (server)
        server_stop(server, GRACE_US);
    if (runner)
        runner_stop(runner, GRACE_US);
    sealer_stop(sealer); /* the last: what was done until now is sealed */
    LOG(&app->cx, LOG_INFO, "app", S("stopped"));
}

int tool_serve(struct app *app, const struct command_line *line) {
    struct ctx *cx = &app->cx;
    struct server *server = NULL;
    struct runner *runner = NULL;
    struct str host = line->option[1].p ? line->option[1] : setting_text(app->settings, "HOST");
    int64_t port = setting_int(app->settings, "PORT"), workers = 2;
    sigset_t signals;
    hold_signals(&signals);
    struct str socket = str_printf(app->mem, "%.*s/entrepot.sock", STR_FMT(app->data));
    enum err e = number(cx, line->option[0], "port", 0, 65535, &port);
    if (e || (e = number(cx, line->option[2], "workers", 0, 256, &workers)) || (e = app_open_db(app)) ||
        (e = app_start(app, SCHEMA_UPGRADED)) || (workers > 0 && (e = start_runner(app, workers, &runner))))
        return app_report(cx);
    if ((e = server_start(cx, app->router, host, port, socket, &server))) {
        if (runner)
            runner_stop(runner, GRACE_US);
        return app_report(cx);
    }
    run_until_told(app, server, runner, &signals);
    return 0;
}

int tool_worker(struct app *app, const struct command_line *line) {
    struct ctx *cx = &app->cx;
    struct runner *runner;
    int64_t workers = 2;
    sigset_t signals;
    hold_signals(&signals);
    enum err e = number(cx, line->option[0], "concurrency", 1, 256, &workers);
    if (e || (e = app_open_db(app)) || (e = app_start(app, SCHEMA_UPGRADED)) ||
        (e = start_runner(app, workers, &runner)))
        return app_report(cx);
    run_until_told(app, NULL, runner, &signals);
    return 0;
}
