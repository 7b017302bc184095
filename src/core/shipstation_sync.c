/* The job shipstation_sync: reads what was made, changed or voided since it last did, and takes it like a
 * webhook would have. It reads by V1's key where that is set, else by V2's: each API tells of the same. Each
 * stream has a cursor of its own. What cannot be asked for by the time of its void has a window that reaches
 * further back. Windows overlap, because clocks differ, Pacific times repeat an hour in November, and lists
 * move while they are read; what is known already changes nothing. Orders come last, when it is known what
 * of them has left. */
#include "base/settings.h"
#include "core/shipstation.h"
#include "services/pacific.h"

#include "base/banned.h"

#define HOUR_US (3600 * US_PER_S)
#define DAY_US (24 * HOUR_US)
#define PAGE_SIZE 250
#define PATIENCE_US (3 * 60 * US_PER_S)

struct cursor {
    struct instant covered_until;
};
static const struct field CURSOR_FIELDS[] = {
    FIELD(struct cursor, covered_until, ROW, "Everything before it was read.")};
static const struct schema CURSOR = SCHEMA(struct cursor, "ShipStationCursor", CURSOR_FIELDS);

enum { SHOW, MOVE };
static const struct stmt SQL[] = {
    [SHOW] = {"shipstation_cursor", TENANT,
              "SELECT covered_until FROM shipstation_cursor WHERE org_id = $org AND stream = $1", NULL,
              &CURSOR},
    [MOVE] = {"shipstation_cursor_move", TENANT,
              "INSERT INTO shipstation_cursor (org_id, stream, covered_until) VALUES ($org, $1, $2)"
              " ON CONFLICT (org_id, stream) DO UPDATE SET covered_until = excluded.covered_until"
              " WHERE shipstation_cursor.covered_until < excluded.covered_until",
              NULL, NULL},
};

struct stream {
    bool v2;
    const char *name, *path, *from, *order;
    enum shipstation_list list;
    int64_t overlap_us;
    bool sorted; /* by the time that the cursor counts, so that each page moves it */
};
#define BY_CREATION "&sortBy=CreateDate&sortDir=ASC"
static const struct stream STREAMS[] = {
    {false, "shipments", "shipments", "createDateStart", BY_CREATION, SHIPMENT_LIST, 3 * HOUR_US, true},
    {false, "voids", "shipments", "voidDateStart", "", SHIPMENT_LIST, 3 * HOUR_US, false},
    {false, "fulfillments", "fulfillments", "createDateStart", BY_CREATION, FULFILLMENT_LIST, 7 * DAY_US,
     true},
    {false, "orders", "orders", "modifyDateStart", "&sortBy=ModifyDate&sortDir=ASC", ORDER_LIST, 3 * HOUR_US,
     true},
    {true, "v2 labels", "v2/labels", "created_at_start", "&sort_by=created_at&sort_dir=asc", LABEL_LIST,
     3 * HOUR_US, true},
    {true, "v2 voids", "v2/labels", "created_at_start", "&label_status=voided", LABEL_LIST, 30 * DAY_US,
     false},
    {true, "v2 fulfillments", "v2/fulfillments", "create_date_start", "", V2_FULFILLMENT_LIST, 7 * DAY_US,
     false},
    {true, "v2 orders", "v2/shipments", "modified_at_start", "&sort_by=modified_at&sort_dir=asc",
     V2_ORDER_LIST, 3 * HOUR_US, true},
};

struct sync_args {
    struct instant since;
};
static const struct field ARGS_FIELDS[] = {
    FIELD(struct sync_args, since, CREATE, "Read everything since then, whatever was read before.")};
static const struct schema SYNC_ARGS = SCHEMA(struct sync_args, "ShipStationSync", ARGS_FIELDS);

/* One stream on its way. */
struct course {
    const struct stream *stream;
    struct instant begun, covered;
};

/* With a page: what is covered now. In order of time, up to its last record; the last page, up to the
 * beginning of this run. */
static enum err move_cursor(struct ctx *cx, const struct shipstation_page *page, void *arg) {
    const struct course *c = arg;
    const struct shipstation_parcel *p = page->parcels.items;
    struct instant until = {0};
    if (page->last)
        until = c->begun;
    else if (c->stream->sorted && page->parcels.n)
        until = shipstation_is_order(c->stream->list) ? p[page->parcels.n - 1].modified
                                                      : p[page->parcels.n - 1].created;
    if (!until.us || until.us > c->begun.us)
        until = page->last ? c->begun : (struct instant){0};
    if (!until.us)
        return OK;
    return db_exec(cx, &SQL[MOVE], ARGS(A(str_of(c->stream->name)), A(until)), NULL);
}

static enum err since_of(struct ctx *cx, const struct stream *s, struct instant asked, struct instant *out) {
    struct cursor cursor = {0};
    bool found = false;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = db_get(cx, &SQL[SHOW], ARGS(A(str_of(s->name))), &cursor, &found);
    db_read_end(cx);
    int64_t first = cx->now.us - setting_int(cx->modules->settings, "SHIPSTATION_SYNC_DAYS") * DAY_US;
    out->us = asked.us ? asked.us : found ? cursor.covered_until.us - s->overlap_us : first;
    return e;
}

static enum err run_stream(struct ctx *cx, const struct job *job, const struct shipstation *service,
                           const struct stream *s, struct instant asked, int64_t *parcels) {
    struct course course = {.stream = s, .begun = cx->now};
    struct shipstation_walk w = {
        .service = service, .list = s->list, .size = PAGE_SIZE, .along = move_cursor, .arg = &course};
    struct instant since;
    enum err e = since_of(cx, s, asked, &since);
    if (e)
        return e;
    char utc[32];
    struct str from = s->v2 ? instant_format(since, utc) : pacific_format(cx->mem, since);
    if (!from.p) /* and not from the beginning of time */
        return fail(cx, ERR_UNAVAILABLE, "This machine has no tz database to write ShipStation's times by.");
    struct buf query = buf_new(cx->mem, 512);
    buf_printf(&query, "%s=", s->from);
    http_put_encoded(&query, from);
    buf_add(&query, str_of(s->order));
    if (query.failed)
        return fail(cx, ERR_MEMORY, "There is not enough memory.");
    w.url = shipstation_url(cx, service, s->path, buf_str(&query));
    e = shipstation_walk(cx, job, &w);
    *parcels += w.parcels;
    return e;
}

static enum err sync(struct ctx *cx, const struct job *job) {
    struct shipstation service;
    struct sync_args args;
    int64_t parcels = 0;
    enum err e = schema_decode(cx, &SYNC_ARGS, CREATE, REFUSE_UNKNOWN, job->args.text, &args, NULL);
    if (e || (e = shipstation_find(cx, job, &service)))
        return e;
    if (!service.key.p && !service.v2_key.p)
        /* on its schedule it has nothing to do; whoever runs it by hand wants to know */
        return job->lease ? OK
                          : fail(cx, ERR_USAGE,
                                 "Neither SHIPSTATION_API_KEY with SHIPSTATION_API_SECRET nor "
                                 "SHIPSTATION_V2_API_KEY is set for this organisation.");
    service.patience_us = PATIENCE_US;
    cx->now = clock_now(cx->clock);
    for (size_t i = 0; !e && i < sizeof(STREAMS) / sizeof(STREAMS[0]); i++)
        if (STREAMS[i].v2 == !service.key.p)
            e = run_stream(cx, job, &service, &STREAMS[i], args.since, &parcels);
    return e;
}

static const struct job_type JOBS[] = {
    {.name = "shipstation_sync",
     .mode = JOB_THREAD,
     .run = sync,
     .args = &SYNC_ARGS,
     .time_limit_us = 60 * 60 * US_PER_S,
     .schedule = "*/15 * * * *",
     .doc = "Reads ShipStation's shipments, fulfillments, voids and orders since the last run, and repairs "
            "what webhooks missed."},
};

static const struct setting SETTINGS[] = {
    {.name = "SHIPSTATION_SYNC_DAYS",
     .type = SETTING_INT,
     .fallback = "3",
     .min = 1,
     .max = 90,
     .doc = "How many days back the first shipstation_sync reads; later ones go on from there."},
};

const struct module SHIPSTATION_SYNC_MODULE = {
    .name = "shipstation_sync", TABLE(stmts, SQL), TABLE(jobs, JOBS), TABLE(settings, SETTINGS)};
