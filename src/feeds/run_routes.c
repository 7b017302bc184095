/* Runs over HTTP, by hand, on schedule. */
#include "base/date.h"
#include "base/json.h"
#include "base/settings.h"
#include "feeds/run_parts.h"
#include "identity/audit.h"
#include "identity/identity.h"
#include "net/command.h"
#include "net/listing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/banned.h"

#define RUN_LIMIT_US (4 * 3600 * US_PER_S)
#define DAY_US (24 * 3600 * US_PER_S)

/* What is asked for. */
struct asked {
    struct str date, bucket, store, from, organisation;
    bool dry_run;
};
static const struct field ASKED_FIELDS[] = {
    FIELD(struct asked, date, CREATE, "Of which date, YYYY-MM-DD; today if not given.", .min = 10, .max = 10),
    FIELD(struct asked, bucket, CREATE, "Only this feed.", .max = 40),
    FIELD(struct asked, store, CREATE, "Only this store, by its code.", .max = 64),
    FIELD(struct asked, dry_run, CREATE, "Only say what would be; nothing is written to the database."),
};
static const struct schema ASKED = SCHEMA(struct asked, "FeedRunOrder", ASKED_FIELDS);
/* By the operator, who may name a folder of the machine. */
static const struct field ORDERED_FIELDS[] = {
    FIELD(struct asked, date, CREATE, "Of which date, YYYY-MM-DD; today if not given.", .min = 10, .max = 10),
    FIELD(struct asked, bucket, CREATE, "Only this feed.", .max = 40),
    FIELD(struct asked, store, CREATE, "Only this store, by its code.", .max = 64),
    FIELD(struct asked, dry_run, CREATE, "Only say what would be; nothing is written to the database."),
    FIELD(struct asked, from, CREATE, "A folder with individual files, which stay.", .max = 4000),
    FIELD(struct asked, organisation, CREATE, "For which, by name or slug; else for the oldest.", .max = 200),
};
static const struct schema ORDERED = SCHEMA(struct asked, "FeedRunOrderHere", ORDERED_FIELDS);

struct outcome {
    int64_t exit_status;
    struct list runs; /* of struct feed_run: the one */
    struct json events;
};
static const struct field OUTCOME_FIELDS[] = {
    FIELD(struct outcome, exit_status, OUT, "0 all well, 1 some bucket failed, 2 nothing could run."),
    FIELD(struct outcome, runs, OUT, "The run.", .of = &FEED_RUN),
    FIELD(struct outcome, events, OUT, "What happened, in order.", .max = 16 << 20),
};
static const struct schema OUTCOME = SCHEMA(struct outcome, "FeedRunOutcome", OUTCOME_FIELDS);

/* What the command looks at of it. */
static const struct field PRINTED_FIELDS[] = {
    FIELD(struct outcome, exit_status, OUT, "0 all well, 1 some bucket failed, 2 nothing could run."),
    FIELD(struct outcome, events, OUT, "What happened, in order.", .max = 16 << 20),
};
static const struct schema PRINTED = SCHEMA(struct outcome, "FeedRunPrinted", PRINTED_FIELDS);

enum { NEWEST };
#define RUN_COLUMNS "id, run_date, bucket, store, origin, state, message, started_at, finished_at, actor"
static const struct stmt SQL[] = {
    [NEWEST] =
        {"feed_runs", TENANT,
         "SELECT " RUN_COLUMNS " FROM feed_run WHERE org_id = $org AND id < COALESCE($3,"
         " x'ffffffffffffffffffffffffffffffff') AND CAST($4 AS text) IS NULL"
         " AND (CAST($5 AS text) IS NULL OR run_date = $5) AND (CAST($6 AS text) IS NULL OR state = $6)"
         " ORDER BY id DESC LIMIT $1 OFFSET $2",
         "SELECT " RUN_COLUMNS " FROM feed_run WHERE org_id = $org AND id < COALESCE($3,"
         " 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid) AND CAST($4 AS text) IS NULL"
         " AND (CAST($5 AS text) IS NULL OR run_date = $5) AND (CAST($6 AS text) IS NULL OR state = $6)"
         " ORDER BY id DESC LIMIT $1 OFFSET $2",
         &FEED_RUN},
};

static bool two_digits(struct str s, int *out) {
    if (s.n != 2 || s.p[0] < '0' || s.p[0] > '9' || s.p[1] < '0' || s.p[1] > '9')
        return false;
    *out = (s.p[0] - '0') * 10 + (s.p[1] - '0');
    return true;
}

static enum err order_of(struct ctx *cx, const struct asked *a, struct run_order *out) {
    struct date d = {0};
    *out = (struct run_order){.day = cx->now.us / DAY_US,
                              .bucket = a->bucket,
                              .store = a->store,
                              .from = a->from,
                              .dry = a->dry_run};
    if (!a->date.p)
        return OK;
    if (!str_int(str_sub(a->date, 0, 4), &d.year) || a->date.p[4] != '-' || a->date.p[7] != '-' ||
        !two_digits(str_sub(a->date, 5, 2), &d.month) || !two_digits(str_sub(a->date, 8, 2), &d.day) ||
        d.month < 1 || d.month > 12 || d.day < 1 || d.day > date_month_days(d.year, d.month))
        return fail_field(cx, S("date"), "must be a day, YYYY-MM-DD");
    out->day = date_days(d);
    return OK;
}

static struct feed_run row_of(struct ctx *cx, const struct run_order *o, struct str date) {
    char text[32];
    struct str today = str_sub(instant_format(cx->now, text), 0, 10);
    return (struct feed_run){.id = uuid_new(cx->now),
                             .run_date = date.p ? date : str_dup(cx->mem, today),
                             .bucket = o->bucket,
                             .store = o->store,
                             .state = S("running"),
                             .started_at = cx->now,
                             .actor = cx->actor.name};
}

static enum err enqueue(struct ctx *cx, const struct asked *a, const struct feed_run *run) {
    struct asked args = *a;
    struct buf b = buf_new(cx->mem, 4096);
    args.date = run->run_date; /* tomorrow it is still that of today */
    schema_encode(&ASKED, CREATE, &args, &b);
    return jobs_enqueue(cx, &(struct job_new){.name = "feeds_run", .args = {buf_str(&b)}});
}

/* POST /api/v1/feeds/runs: the run is there at once, a job goes through it. */
static enum err create(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct asked *a = rq->in;
    struct run_order order;
    enum err e = order_of(cx, a, &order);
    if (e)
        return e;
    if (a->bucket.p && !feed_find(feeds_of(cx), a->bucket))
        return fail_field(cx, S("bucket"), "is no feed");
    struct feed_run run = row_of(cx, &order, a->date);
    if ((!a->dry_run && (e = run_open(cx, &run))) || (e = enqueue(cx, a, &run)))
        return e;
    if ((e = audit_write(cx, S("feeds.run"), run.run_date, (struct json){0},
                         audit_json(cx, &FEED_RUN, &run))))
        return e;
    return answer_object(cx, an, 201, &FEED_RUN, &run);
}

static enum err get(struct ctx *cx, struct request *rq, struct answer *an) {
    struct uuid id;
    struct feed_run run;
    if (!uuid_parse(rq->param[0], &id))
        return fail(cx, ERR_NOT_FOUND, "There is no run with this id.");
    enum err e = run_find(cx, id, &run);
    return e ? e : answer_object(cx, an, 200, &FEED_RUN, &run);
}

/* F12: a person has looked; the run goes on. */
static enum err approve(struct ctx *cx, struct request *rq, struct answer *an) {
    struct uuid id;
    struct feed_run run;
    if (!uuid_parse(rq->param[0], &id))
        return fail(cx, ERR_NOT_FOUND, "There is no run with this id.");
    enum err e = run_find(cx, id, &run);
    if (e || (e = run_approve(cx, id, rq->param[1])))
        return e;
    if (!run.origin.p && /* one from a folder is gone on with by its command */
        (e = enqueue(cx, &(struct asked){.bucket = run.bucket, .store = run.store}, &run)))
        return e;
    if ((e = audit_write(cx, S("feeds.approve"), rq->param[1], (struct json){0},
                         audit_json(cx, &FEED_RUN, &run))) ||
        (e = run_find(cx, id, &run)))
        return e;
    return answer_object(cx, an, 200, &FEED_RUN, &run);
}

/* The job. */
static enum err run_job(struct ctx *cx, const struct job *job) {
    struct asked a;
    struct run_order order;
    struct run_result result = {0};
    enum err e = schema_decode(cx, &ASKED, CREATE, REFUSE_UNKNOWN, job->args.text, &a, NULL);
    if (e || (e = order_of(cx, &a, &order)) || (e = run_feeds(cx, &order, job, NULL, &result)))
        return e;
    struct buf b = buf_new(cx->mem, 1 << 20);
    schema_encode(&FEED_RUN, OUT, &result.run, &b);
    return b.failed ? OK : job_result(cx, job, (struct json){buf_str(&b)});
}

static enum err find_organisation(struct ctx *cx, struct str name) {
    struct list all;
    struct organisation org;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    if (name.p) {
        e = organisation_find(cx, name, &org);
    } else if (!(e = organisation_list(cx, &all))) {
        if (all.n == 0)
            e = fail(cx, ERR_USAGE, "There is no organisation yet; run `entrepot seed`.");
        else
            org = *(const struct organisation *)all.items;
    }
    db_read_end(cx);
    if (!e)
        cx->actor.org = org.id;
    return e;
}

static struct json all_events(struct ctx *cx, const struct run_result *r) {
    const struct json *v = r->events.items;
    struct buf b = buf_new(cx->mem, 16 << 20);
    buf_byte(&b, '[');
    for (size_t i = 0; i < r->events.n; i++) {
        if (i)
            buf_byte(&b, ',');
        buf_add(&b, v[i].text);
    }
    buf_byte(&b, ']');
    return (struct json){b.failed ? S("[]") : buf_str(&b)};
}

/* POST /operator/feeds/run: `entrepot run`, at once. What keeps it from beginning is a matter of set-up. */
static enum err run_here(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct asked *a = rq->in;
    struct run_order order;
    struct run_result result = {0};
    enum err e = order_of(cx, a, &order);
    if (e || (e = find_organisation(cx, a->organisation)))
        return e;
    e = run_feeds(cx, &order, NULL, NULL, &result);
    if ((e == ERR_UNAVAILABLE || e == ERR_CONFLICT) && result.events.n == 0) {
        struct str why = cx->fault.message;
        return fail(cx, ERR_USAGE, "%.*s", STR_FMT(why));
    }
    if (e)
        return e;
    struct outcome o = {result.status, {&result.run, 1}, all_events(cx, &result)};
    return answer_object(cx, an, 200, &OUTCOME, &o);
}

static enum err request(struct ctx *cx, const struct command_line *line, struct str *target,
                        struct str *body) {
    enum { O_DRY, O_DATE, O_BUCKET, O_STORE, O_FROM, O_ORG };
    char *from = line->option[O_FROM].p ? realpath(str_z(cx->mem, line->option[O_FROM]), NULL) : NULL;
    if (line->option[O_FROM].p && !from)
        return fail(cx, ERR_USAGE, "There is no folder %.*s.", STR_FMT(line->option[O_FROM]));
    struct asked a = {.date = line->option[O_DATE],
                      .bucket = line->option[O_BUCKET],
                      .store = line->option[O_STORE],
                      .from = str_dup(cx->mem, str_of(from)),
                      .organisation = line->option[O_ORG],
                      .dry_run = line->option[O_DRY].p != NULL};
    free(from);
    struct buf b = buf_new(cx->mem, 16384);
    schema_encode(&ORDERED, CREATE, &a, &b);
    *target = S("/operator/feeds/run");
    *body = buf_str(&b);
    return OK;
}

/* One event a line, as they happened. */
static void print(struct ctx *cx, struct str data) {
    struct outcome o;
    struct json_reader r;
    struct str event;
    bool first = true;
    if (schema_decode(cx, &PRINTED, OUT, IGNORE_UNKNOWN, data, &o, NULL))
        return;
    json_begin(&r, cx->mem, o.events.text);
    if (!json_enter(&r, JSON_ARRAY))
        return;
    while (json_next(&r, NULL, &first) && json_skip(&r, &event))
        printf("%.*s\n", STR_FMT(event));
}

static int judge(struct ctx *cx, struct str data) {
    struct outcome o;
    return schema_decode(cx, &PRINTED, OUT, IGNORE_UNKNOWN, data, &o, NULL) ? 1 : (int)o.exit_status;
}

static const struct option OPTIONS[] = {
    {"dry_run", NULL, false, "Only shows what would be; nothing is written to the database."},
    {"date", "YYYY-MM-DD", false, "Of which date; today if not given."},
    {"bucket", "NAME", false, "Only this feed."},
    {"store", "CODE", false, "Only this store."},
    {"from", "DIR", false, "Takes the individual files from a folder, where they stay."},
    {"org", "NAME", false, "For which organisation, by name or slug; the oldest if not given."},
    {0}};
static const struct command COMMANDS[] = {
    {.name = "run",
     .options = OPTIONS,
     .doc = "Runs the feeds: merges, takes in, audits and removes the files of a date.",
     .method = POST,
     .request = request,
     .print = print,
     .judge = judge},
};

static const struct job_type JOBS[] = {
    {.name = "feeds_run",
     .mode = JOB_THREAD,
     .run = run_job,
     .time_limit_us = RUN_LIMIT_US,
     .keep_done = true,
     .by_hand = true,
     .doc = "Runs the feeds for a date ({\"date\", \"bucket\", \"store\", \"dry_run\"}); today's if none is "
            "given."},
};

static const struct listing_sort SORTS[] = {{"-started_at", &SQL[NEWEST], "id", NULL}};
static const struct listing_filter FILTERS[] = {
    {"run_date", NULL, "date", &ASKED_FIELDS[0], NULL},
    {"state", NULL, "state", &ASKED_FIELDS[1], NULL},
};
static const struct listing LISTING = {&FEED_RUN, SORTS, 1, FILTERS, 2};
static const enum err BUSY[] = {ERR_CONFLICT, OK};
static const enum err SET_UP[] = {ERR_USAGE, ERR_NOT_FOUND, ERR_UNAVAILABLE, ERR_LEASE_LOST, OK};
static const struct route ROUTES[] = {
    ROUTE(POST, "/api/v1/feeds/runs", WRITE, AREA_CATALOGUE, NEED_WRITE, create,
          "Runs the feeds for a date in the background; the run shows how it goes.",
          .flags = ROUTE_CREATES | ROUTE_BODY_OPTIONAL | ROUTE_IDEMPOTENT, .in = &ASKED, .in_use = CREATE,
          .out = &FEED_RUN),
    ROUTE(GET, "/api/v1/feeds/runs", READ, AREA_CATALOGUE, NEED_READ, listing_answer,
          "Lists the runs, newest first.", .flags = ROUTE_LIST, .out = &FEED_RUN, .listing = &LISTING),
    ROUTE(GET, "/api/v1/feeds/runs/{id}", READ, AREA_CATALOGUE, NEED_READ, get,
          "Shows a run with its counts by bucket and store.", .out = &FEED_RUN),
    ROUTE(POST, "/api/v1/feeds/runs/{id}/buckets/{bucket}/approve", WRITE, AREA_CATALOGUE, NEED_WRITE,
          approve, "Lets a bucket that a guard has stopped go on.", .out = &FEED_RUN, .errors = BUSY),
    ROUTE(POST, "/operator/feeds/run", SLOW, AREA_OPERATOR, NEED_WRITE, run_here,
          "Runs the feeds at once and answers with all that happened.", .in = &ORDERED, .in_use = CREATE,
          .out = &OUTCOME, .errors = SET_UP),
};

static const struct setting SETTINGS[] = {
    {.name = "INGEST_BATCH_SIZE",
     .type = SETTING_INT,
     .fallback = "3000",
     .min = 1,
     .max = 100000,
     .doc = "Rows of a feed that are handed to the database at a time."},
};

/* The statements of the feeds' tables: connections remember them by their address. */
struct tables {
    const struct feed *first;
    struct bulk_table **v;
};

static enum err start(struct ctx *cx, void **state) {
    const struct feeds *feeds = feeds_of(cx);
    struct tables *t = NEW(cx->mem, struct tables);
    if (!t || !(t->v = NEW_N(cx->mem, struct bulk_table *, feeds->n + 1)))
        return fail(cx, ERR_MEMORY, "The feeds' tables do not fit in memory.");
    t->first = feeds->v;
    enum err e = OK;
    for (size_t i = 0; !e && i < feeds->n; i++)
        e = ingest_table(cx, cx->mem, &feeds->v[i], &t->v[i]);
    *state = t;
    return e;
}

const struct bulk_table *run_table(const struct ctx *cx, const struct feed *feed) {
    const struct tables *t = module_state(cx, &RUN_MODULE);
    return t->v[feed - t->first];
}

const struct module RUN_MODULE = {.name = "feeds_runs",
                                  TABLE(routes, ROUTES),
                                  TABLE(stmts, SQL),
                                  TABLE(jobs, JOBS),
                                  TABLE(commands, COMMANDS),
                                  TABLE(settings, SETTINGS),
                                  .start = start};
