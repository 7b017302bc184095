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

/* What a process runs beside requests. */
struct labour {
    struct runner *runner;
    struct scheduler *scheduler;
};

static struct runner_setup setup_of(const struct app *app) {
    return (struct runner_setup){.modules = MODULES,
                                 .n_modules = MODULES_N,
                                 .settings = app->settings,
                                 .metrics = app->metrics,
                                 .log = app->log,
                                 .clock = app->clock,
                                 .db = app->db};
}

static enum err start_runner(struct app *app, int64_t workers, const char *const *queues,
                             struct labour *labour) {
    struct runner_setup setup = setup_of(app);
    setup.workers = workers;
    setup.queues = queues;
    return runner_start(&app->cx, &setup, &labour->runner);
}

static enum err start_scheduler(struct app *app, struct labour *labour) {
    struct runner_setup setup = setup_of(app);
    return scheduler_start(&app->cx, &setup, &labour->scheduler);
}

static void stop_labour(const struct labour *labour) {
    if (labour->scheduler)
        scheduler_stop(labour->scheduler);
    if (labour->runner)
        runner_stop(labour->runner, GRACE_US);
}

/* Says where it is, waits for the signal, and lets go in reverse: first no new requests, then no new jobs. */
static void run_until_told(struct app *app, struct server *server, const struct labour *labour,
                           const sigset_t *signals) {
    int got = 0;
    struct sealer *sealer = NULL;
    if (sealer_start(&app->cx, &sealer))
        LOG(&app->cx, LOG_ERROR, "app", S("no thread to seal the audit trail"));
    if (server)
        LOG(&app->cx, LOG_INFO, "app", S("serving"), LOG_STR("version", S(ENTREPOT_VERSION)),
            LOG_INT("port", server_port(server)), LOG_INT("pid", getpid()));
    else
        LOG(&app->cx, LOG_INFO, "app", labour->runner ? S("working") : S("scheduling"),
            LOG_INT("pid", getpid()));
    sigwait(signals, &got);
    LOG(&app->cx, LOG_INFO, "app", S("stopping"), LOG_INT("signal", got));
    if (server)
        server_stop(server, GRACE_US);
    stop_labour(labour);
    sealer_stop(sealer); /* the last: what was done until now is sealed */
    LOG(&app->cx, LOG_INFO, "app", S("stopped"));
}

int tool_serve(struct app *app, const struct command_line *line) {
    struct ctx *cx = &app->cx;
    struct server *server = NULL;
    struct labour labour = {0};
    struct str host = line->option[1].p ? line->option[1] : setting_text(app->settings, "HOST");
    int64_t port = setting_int(app->settings, "PORT"), workers = 2;
    sigset_t signals;
    hold_signals(&signals);
    struct str socket = str_printf(app->mem, "%.*s/entrepot.sock", STR_FMT(app->data));
    enum err e = number(cx, line->option[0], "port", 0, 65535, &port);
    if (e || (e = number(cx, line->option[2], "workers", 0, 256, &workers)) || (e = app_open_db(app)) ||
        (e = app_start(app, SCHEMA_UPGRADED)) ||
        (workers > 0 && (e = start_runner(app, workers, NULL, &labour))))
        return app_report(cx);
    if ((workers > 0 && (e = start_scheduler(app, &labour))) ||
        (e = server_start(cx, app->router, host, port, socket, &server))) {
        stop_labour(&labour);
        return app_report(cx);
    }
    run_until_told(app, server, &labour, &signals);
    return 0;
}

/* "a,b" as the runner wants it; NULL: all. */
static enum err queue_names(struct app *app, struct str text, const char *const **out) {
    const char **names = NEW_N(app->mem, const char *, text.n + 2);
    size_t n = 0;
    *out = NULL;
    if (!text.p)
        return OK;
    if (!names)
        return fail(&app->cx, ERR_MEMORY, "There is no memory for the names of queues.");
    for (struct str rest = text, one = text; rest.p;) {
        bool more = str_cut(rest, ',', &one, &rest);
        struct str name = str_trim(more ? one : rest);
        if (name.n)
            names[n++] = str_z(app->mem, name);
        if (!more)
            break;
    }
    if (!n)
        return fail(&app->cx, ERR_USAGE, "--queues names no queue.");
    *out = names;
    return OK;
}

int tool_worker(struct app *app, const struct command_line *line) {
    struct ctx *cx = &app->cx;
    struct labour labour = {0};
    int64_t workers = 2;
    const char *const *queues;
    sigset_t signals;
    hold_signals(&signals);
    enum err e = number(cx, line->option[0], "concurrency", 1, 256, &workers);
    if (e || (e = queue_names(app, line->option[1], &queues)) || (e = app_open_db(app)) ||
        (e = app_start(app, SCHEMA_UPGRADED)) || (e = start_runner(app, workers, queues, &labour)))
        return app_report(cx);
    run_until_told(app, NULL, &labour, &signals);
    return 0;
}

int tool_schedule(struct app *app, const struct command_line *line) {
    struct labour labour = {0};
    sigset_t signals;
    (void)line;
    hold_signals(&signals);
    enum err e = app_open_db(app);
    if (e || (e = app_start(app, SCHEMA_UPGRADED)) || (e = start_scheduler(app, &labour)))
        return app_report(&app->cx);
    run_until_told(app, NULL, &labour, &signals);
    return 0;
}
