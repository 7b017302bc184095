/* Schedules over HTTP and on the command line. */
#include "identity/audit.h"
#include "jobs/routes.h"
#include "jobs/schedule.h"
#include "jobs/work.h"
#include "net/listing.h"
#include "net/path.h"

#include <inttypes.h>

#include "base/banned.h"

#define PREVIEW_MAX 1000
#define CHANGE_TRIES 5

static const struct listing_sort BY_NAME[] = {{"name", &SCHEDULE_STMTS[SCHEDULE_PAGE], "name", NULL}};
static const struct listing_sort BY_ORGANISATION[] = {
    {"organisation", &SCHEDULE_STMTS[SCHEDULE_PAGE_ALL], "organisation", "name"},
};
static const struct listing LISTING = {.row = &SCHEDULE, .sorts = BY_NAME, .n_sorts = 1};
static const struct listing LISTING_ALL = {.row = &SCHEDULE, .sorts = BY_ORGANISATION, .n_sorts = 1};

/* A type that has a schedule of the organisation's, and its row, or what the row will be. */
static enum err require(struct ctx *cx, struct str name, const struct job_type **type, struct schedule *row) {
    bool found;
    *type = job_type_find(cx->modules->list, cx->modules->n, name);
    if (!*type || !(*type)->schedule || (*type)->of_server)
        return fail(cx, ERR_NOT_FOUND, "There is no such schedule.");
    enum err e = schedule_get(cx, name, row, &found);
    if (!e && !found)
        *row = (struct schedule){.org_id = cx->actor.org, .name = name};
    return e;
}

struct change {
    struct str cron, time_zone;
    bool paused;
};
static const struct field CHANGE_FIELDS[] = {
    FIELD(struct change, cron, PATCH, "minute hour day-of-month month day-of-week; null for the type's own.",
          .min = 1, .max = CRON_MAX),
    FIELD(struct change, time_zone, PATCH, "A name of the tz database; null for the server's TIME_ZONE.",
          .min = 1, .max = ZONE_NAME_MAX),
    FIELD(struct change, paused, PATCH, "Whether it is left out for now."),
};
static const struct schema CHANGE = SCHEMA(struct change, "ScheduleChange", CHANGE_FIELDS);
enum { HAS_CRON = 1, HAS_ZONE = 2, HAS_PAUSED = 4 };

/* The scheduler and other people change the same row: changed only from what was read. */
static enum err change_once(struct ctx *cx, const struct request *rq, struct schedule *row, bool *changed) {
    const struct change *in = rq->in;
    const struct job_type *type;
    struct timing t;
    enum err e = require(cx, rq->param[0], &type, row);
    if (e)
        return e;
    const struct schedule was = *row;
    if (rq->present & HAS_CRON)
        row->own_cron = in->cron;
    if (rq->present & HAS_ZONE)
        row->own_time_zone = in->time_zone;
    if (rq->present & HAS_PAUSED)
        row->paused = in->paused;
    if ((e = schedule_timing(cx, type, row, &t)))
        return e;
    row->cron = t.cron;
    row->time_zone = t.time_zone;
    row->next_at = schedule_next(&t, cx->now, row->last_at);
    if ((e = schedule_set(cx, &was, row, changed)) || !*changed)
        return e;
    return audit_write(cx, S("schedule.change"), row->name, audit_json(cx, &SCHEDULE, &was),
                       audit_json(cx, &SCHEDULE, row));
}

static enum err change(struct ctx *cx, struct request *rq, struct answer *an) {
    struct schedule row;
    bool changed = false;
    for (int try = 0; try < CHANGE_TRIES && !changed; try++) {
        enum err e = change_once(cx, rq, &row, &changed);
        if (e)
            return e;
    }
    if (!changed)
        return fail(cx, ERR_CONFLICT, "The schedule is being changed by others just now; try again.");
    return answer_object(cx, an, 200, &SCHEDULE, &row);
}

static enum err run(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct job_type *type;
    struct schedule row;
    struct job job;
    struct uuid id;
    bool found;
    enum err e = require(cx, rq->param[0], &type, &row);
    const struct job_new new = {.name = e ? NULL : type->name, .unique_key = S(SCHEDULE_KEY)};
    if (e || (e = jobs_enqueue_id(cx, &new, &id)))
        return e;
    if (uuid_is_nil(id))
        return fail(cx, ERR_CONFLICT, "Its job waits or runs already.");
    if ((e = audit_write(cx, S("schedule.run"), row.name, (struct json){0}, (struct json){0})) ||
        (e = JOB_DRIVER_DB.get(cx, id, &job, &found)))
        return e;
    return answer_object(cx, an, 201, &JOB, &job);
}

struct preview {
    struct str cron, time_zone;
    struct list times;
};
struct preview_time {
    struct instant at;
};
static const struct field TIME_FIELDS[] = {FIELD(struct preview_time, at, OUT | REQUIRED, "An instant.")};
static const struct schema TIME = SCHEMA(struct preview_time, "ScheduleTime", TIME_FIELDS);
static const struct field PREVIEW_FIELDS[] = {
    FIELD(struct preview, cron, OUT | REQUIRED, "The expression."),
    FIELD(struct preview, time_zone, OUT | REQUIRED, "The time zone."),
    FIELD(struct preview, times, OUT | REQUIRED, "The next instants.", .of = &TIME, .max = PREVIEW_MAX),
};
static const struct schema PREVIEW = SCHEMA(struct preview, "SchedulePreview", PREVIEW_FIELDS);

struct asked {
    struct str cron, time_zone;
    struct instant from;
    int64_t count;
};
static const struct field ASKED_FIELDS[] = {
    FIELD(struct asked, cron, 0, "minute hour day-of-month month day-of-week.", .min = 1, .max = CRON_MAX),
    FIELD(struct asked, time_zone, 0, "A name of the tz database; TIME_ZONE if not given.", .min = 1,
          .max = ZONE_NAME_MAX),
    FIELD(struct asked, from, 0, "Instants after this one; now if not given."),
    FIELD(struct asked, count, 0, "How many.", .min = 1, .max = PREVIEW_MAX),
};
static const struct query ASKED[] = {
    {"cron", &ASKED_FIELDS[0]},
    {"time_zone", &ASKED_FIELDS[1]},
    {"from", &ASKED_FIELDS[2]},
    {"count", &ASKED_FIELDS[3]},
    {NULL, NULL},
};

static enum err read_asked(struct ctx *cx, const struct request *rq, struct asked *out) {
    void *const into[] = {&out->cron, &out->time_zone, &out->from, &out->count};
    for (size_t i = 0; ASKED[i].name; i++) {
        struct str text, name = str_of(ASKED[i].name);
        enum err e = request_query(cx, rq, name, &text);
        if (!e && text.p)
            e = field_parse(cx, ASKED[i].field, name, text, into[i]);
        if (e)
            return e;
    }
    return out->cron.p ? OK : fail_field(cx, S("cron"), "is required");
}

static enum err preview(struct ctx *cx, struct request *rq, struct answer *an) {
    struct asked in = {.from = cx->now, .count = 10};
    struct timing t;
    enum err e = read_asked(cx, rq, &in);
    const struct schedule row = {.own_cron = in.cron, .own_time_zone = in.time_zone};
    if (e || (e = schedule_timing(cx, &(struct job_type){.schedule = ""}, &row, &t)))
        return e;
    struct preview_time *times = NEW_N(cx->mem, struct preview_time, (size_t)in.count);
    size_t n = 0;
    if (!times)
        return fail(cx, ERR_MEMORY, "There is no memory for so many times.");
    for (struct instant at = in.from; n < (size_t)in.count && (at = cron_next(&t.parsed, t.zone, at)).us;)
        times[n++].at = at;
    struct preview p = {t.cron, t.time_zone, {times, n}};
    return answer_object(cx, an, 200, &PREVIEW, &p);
}

static const enum err NOT_NOW[] = {ERR_NOT_FOUND, ERR_CONFLICT, OK};
#define PREVIEW_DOC "The next times of an expression, by the clock of a time zone."

static const struct route ROUTES[] = {
    ROUTE(GET, "/api/v1/schedules", READ, AREA_JOBS, NEED_READ, listing_answer,
          "What is run by itself, and when.", .flags = ROUTE_LIST, .out = &SCHEDULE, .listing = &LISTING),
    ROUTE(GET, "/api/v1/schedules/preview", READ, AREA_JOBS, NEED_READ, preview, PREVIEW_DOC, .out = &PREVIEW,
          .query = ASKED),
    ROUTE(PATCH_, "/api/v1/schedules/{name}", WRITE, AREA_JOBS, NEED_WRITE, change,
          "Gives a schedule an expression or a time zone of the organisation's own, pauses or resumes it.",
          .in = &CHANGE, .in_use = PATCH, .out = &SCHEDULE, .errors = NOT_NOW),
    ROUTE(POST, "/api/v1/schedules/{name}/run", WRITE, AREA_JOBS, NEED_WRITE, run,
          "Enqueues the job of a schedule now.", .flags = ROUTE_CREATES | ROUTE_IDEMPOTENT, .out = &JOB,
          .errors = NOT_NOW),
    ROUTE(GET, "/operator/schedules", READ, AREA_OPERATOR, NEED_READ, listing_answer,
          "Schedules of all organisations and of the server.", .flags = ROUTE_LIST, .out = &SCHEDULE,
          .listing = &LISTING_ALL),
    ROUTE(GET, "/operator/schedules/preview", READ, AREA_OPERATOR, NEED_READ, preview, PREVIEW_DOC,
          .out = &PREVIEW, .query = ASKED),
};

static enum err list_request(struct ctx *cx, const struct command_line *line, struct str *target,
                             struct str *body) {
    (void)cx, (void)line, (void)body;
    *target = S("/operator/schedules?");
    return OK;
}

static void print_time(const char *before, struct instant t) {
    char text[32];
    struct str at = t.us ? instant_format(t, text) : S("-");
    printf("%s%-20.*s", before, STR_FMT(at));
}

static void list_print(struct ctx *cx, struct str data) {
    struct list rows;
    struct fault *faults;
    if (schema_decode_array(cx, &SCHEDULE, OUT, data, PAGE_SIZE_MAX, &rows, &faults))
        return;
    if (!rows.n)
        printf("No schedules yet: a server that runs them makes their rows at its start.\n");
    for (size_t i = 0; i < rows.n; i++) {
        const struct schedule *s = (const struct schedule *)rows.items + i;
        char id[36];
        struct str whose = uuid_is_nil(s->org_id) ? S("the server") : uuid_format(s->org_id, id);
        printf("%-36.*s  %-22.*s %-18.*s %-20.*s", STR_FMT(whose), STR_FMT(s->name), STR_FMT(s->cron),
               STR_FMT(s->time_zone));
        print_time(s->paused ? " paused " : " next ", s->next_at);
        print_time(" last ", s->last_at);
        printf(" %" PRId64 " times\n", s->fired);
    }
}

enum { NEXT_ZONE, NEXT_FROM, NEXT_COUNT, NEXT_OPTIONS };
static const struct option NEXT_OPTION[] = {
    [NEXT_ZONE] = {"zone", "NAME", false, "By whose clock, \"Europe/Berlin\"; TIME_ZONE if not given."},
    [NEXT_FROM] = {"from", "TIME", false, "After this instant (RFC 3339); now if not given."},
    [NEXT_COUNT] = {"count", "N", false, "How many; 10 if not given."},
    [NEXT_OPTIONS] = {NULL, NULL, false, NULL},
};

static enum err next_request(struct ctx *cx, const struct command_line *line, struct str *target,
                             struct str *body) {
    struct buf b = buf_new(cx->mem, 4096);
    (void)body;
    buf_add(&b, S("/operator/schedules/preview?"));
    query_put(&b, "cron", line->words[0]);
    query_put(&b, "time_zone", line->option[NEXT_ZONE]);
    query_put(&b, "from", line->option[NEXT_FROM]);
    query_put(&b, "count", line->option[NEXT_COUNT]);
    if (b.failed)
        return fail(cx, ERR_USAGE, "The words of the command are too long.");
    *target = buf_str(&b);
    return OK;
}

static void next_print(struct ctx *cx, struct str data) {
    struct preview p;
    if (schema_decode(cx, &PREVIEW, OUT, REFUSE_UNKNOWN, data, &p, NULL))
        return;
    for (size_t i = 0; i < p.times.n; i++) {
        print_time("", ((const struct preview_time *)p.times.items)[i].at);
        printf("\n");
    }
    if (!p.times.n)
        printf("It never comes.\n");
}

static const struct command COMMANDS[] = {
    {.name = "schedule list",
     .doc = "Shows what is run by itself, and when.",
     .method = GET,
     .request = list_request,
     .print = list_print,
     .pages = true},
    {.name = "schedule next",
     .words = "CRON",
     .options = NEXT_OPTION,
     .doc = "Shows when a cron expression comes next: entrepot schedule next '*/15 * * * *'.",
     .method = GET,
     .request = next_request,
     .print = next_print},
};

static const struct setting SETTINGS[] = {
    {.name = "TIME_ZONE",
     .type = SETTING_TEXT,
     .fallback = "UTC",
     .doc = "By whose clock schedules run that name no time zone of their own, \"Europe/Berlin\".",
     .check = zone_known,
     .rule = "must be a name of the tz database (package tzdata)"},
};

const struct module SCHEDULE_MODULE = {
    .name = "schedules",
    TABLE(routes, ROUTES),
    .stmts = SCHEDULE_STMTS,
    .n_stmts = SCHEDULE_STMTS_N,
    TABLE(settings, SETTINGS),
    .metrics = SCHEDULE_METRICS,
    .n_metrics = SCHEDULE_METRICS_N,
    TABLE(commands, COMMANDS),
};
