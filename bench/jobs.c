/* Jobs drained a second: `jobs [--moves] [--jobs 200000] URL FOLDER` on an empty database. Enqueues them
 * first, then starts a runner as `entrepot serve` does, and takes the time until the last has ended. --moves:
 * each job posts one move of a ledger's, in lots, as deliveries are. Prints one JSON object. */
#include "app/modules.h"
#include "base/log.h"
#include "core/item.h"
#include "core/ledger.h"
#include "core/seed.h"
#include "db/migrate.h"
#include "identity/identity.h"
#include "jobs/statements.h"
#include "jobs/work.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 500

static enum err move_all(struct ctx *cx, const struct job *jobs, size_t n) {
    struct move *lines = NEW_N(cx->mem, struct move, n);
    char id[36];
    for (size_t i = 0; lines && i < n; i++)
        lines[i] = (struct move){.sku = S("BENCH"),
                                 .quantity = 1,
                                 .from = S("supplier"),
                                 .to = S("warehouse"),
                                 .reason = S("receipt"),
                                 .source = S("bench"),
                                 .source_ref = str_dup(cx->mem, uuid_format(jobs[i].id, id)),
                                 .actor = S("bench")};
    enum err e = lines ? ledger_post_lot(cx, lines, n, FACT) : fail(cx, ERR_MEMORY, "No memory.");
    return e;
}
static enum err move_one(struct ctx *cx, const struct job *job) { return move_all(cx, job, 1); }

static const struct job_type TYPES[] = {
    {.name = "bench.move",
     .mode = JOB_CLOSURE,
     .run = move_one,
     .run_all = move_all,
     .batch = 32,
     .doc = "One move."},
};
static const struct module BENCH = {.name = "bench", TABLE(jobs, TYPES)};

struct filling {
    const char *name;
    int64_t n;
};

static enum err fill(struct ctx *cx, void *arg) {
    const struct filling *f = arg;
    enum err e = OK;
    for (int64_t i = 0; !e && i < f->n; i++)
        e = jobs_enqueue(cx, &(struct job_new){.name = f->name});
    return e;
}

static enum err make_item(struct ctx *cx, void *org) {
    bool created;
    enum err e = organisation_ensure(cx, S("Bench"), org, &created);
    cx->actor.org = ((struct organisation *)org)->id;
    if (!e && created)
        e = seed_organisation_created(cx, org);
    return e ? e
             : item_create(cx, &(struct item){.sku = S("BENCH"), .name = S("Bench"), .kind = S("product")},
                           &created);
}

static enum err left(struct ctx *cx, int64_t *n) {
    struct job_count row = {0};
    bool found;
    static const struct stmt LEFT = {"left", SYSTEM,
                                     "SELECT count(*) AS n FROM (SELECT 1 FROM job LIMIT 1) AS some_row",
                                     NULL, &JOB_COUNT};
    enum err e = db_read_begin(cx);
    if (!e)
        e = db_get(cx, &LEFT, ARGS(), &row, &found);
    db_read_end(cx);
    *n = row.n;
    return e;
}

static void must(struct ctx *cx, enum err e, const char *what) {
    if (!e)
        return;
    fprintf(stderr, "%s: %.*s %.*s\n", what, STR_FMT(cx->fault.message), STR_FMT(cx->fault.cause));
    exit(1);
}

int main(int argc, char **argv) {
    int64_t jobs = 200000;
    bool moves = false;
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++)
        if (!strcmp(argv[i], "--moves"))
            moves = true;
        else if (!strcmp(argv[i], "--jobs") && i + 1 < argc)
            jobs = strtoll(argv[++i], NULL, 10);
    if (argc - i != 2 || jobs < CHUNK) {
        fprintf(stderr, "usage: jobs [--moves] [--jobs N] URL FOLDER\n");
        return 2;
    }
    const struct module *list[64];
    size_t n = MODULES_N;
    memcpy(list, MODULES, n * sizeof *list);
    list[n++] = &BENCH;
    struct modules modules = {.list = list, .n = n};
    struct ctx cx = {.mem = arena_new((size_t)1 << 30),
                     .clock = clock_new(NULL),
                     .log = log_new(LOG_ERROR, NULL, 0),
                     .modules = &modules,
                     .actor = {.name = S("bench"), .role = ROLE_OPERATOR}};
    struct db *db;
    struct organisation org;
    struct runner *runner;
    cx.now = clock_now(cx.clock);
    must(&cx, db_open(&cx, str_of(argv[i]), str_of(argv[i + 1]), &db), "open");
    cx.database = db;
    must(&cx, migrate_up(&cx, -1), "migrate");
    must(&cx, db_write_wait(&cx, make_item, &org), "item");
    cx.actor.org = org.id;
    struct arena *mem = cx.mem;
    struct filling f = {moves ? "bench.move" : "noop", CHUNK};
    cx.mem = arena_new(64 << 20);
    int64_t begun = clock_steady(), n_left = 1;
    for (int64_t done = 0; done < jobs; done += CHUNK, arena_reset(cx.mem))
        must(&cx, db_write_wait(&cx, fill, &f), "enqueue");
    double filled = (double)(clock_steady() - begun) / 1e6;
    struct runner_setup setup = {
        .modules = list, .n_modules = n, .log = cx.log, .clock = cx.clock, .db = db, .workers = 2};
    begun = clock_steady();
    must(&cx, runner_start(&cx, &setup, &runner), "runner");
    while (n_left) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        arena_reset(cx.mem);
        must(&cx, left(&cx, &n_left), "count");
    }
    double drained = (double)(clock_steady() - begun) / 1e6;
    printf("{\"kind\": \"%s\", \"jobs\": %" PRId64 ", \"enqueued_per_s\": %.0f, \"drained_per_s\": %.0f}\n",
           moves ? "move" : "noop", jobs, (double)jobs / filled, (double)jobs / drained);
    runner_stop(runner, 5 * US_PER_S);
    db_close(db);
    arena_free(mem);
    return 0;
}
