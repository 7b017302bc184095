#include "jobs/schedule.h"

#include "base/log.h"
#include "identity/identity.h"
#include "jobs/statements.h"
#include "jobs/work.h"

#include "base/banned.h"

#define LEASE_US (10 * US_PER_S)
#define FIRE_MAX 100 /* as in the statement */
#define LEADER "schedules"

const struct metric SCHEDULE_METRICS[SCHEDULE_METRICS_N] = {
    [SCHEDULES_FIRED] = {"entrepot_schedules_fired_total", METRIC_COUNTER, "name",
                         "Jobs that a schedule enqueued."},
    [SCHEDULES_SKIPPED] = {"entrepot_schedules_skipped_total", METRIC_COUNTER, "name",
                           "Times at which the job of the time before still waited or ran."},
    [SCHEDULES_LATE] = {"entrepot_schedule_late_seconds", METRIC_HISTOGRAM, "name",
                        "From the instant of a schedule to its job."},
    [SCHEDULES_LEADER] = {"entrepot_schedules_leader", METRIC_GAUGE, NULL,
                          "Whether this process is the one that runs schedules."},
};

static const struct field FIELDS[] = {
    FIELD_AS(struct schedule, org_id, "organisation", OUT | ROW, "Whose it is; null for one of the server's.",
             .column = "org_id"),
    FIELD(struct schedule, name, OUT | ROW | REQUIRED, "The type of job."),
    FIELD(struct schedule, cron, OUT | ROW | REQUIRED, "When: minute hour day-of-month month day-of-week."),
    FIELD(struct schedule, time_zone, OUT | ROW | REQUIRED, "By whose clock, \"Europe/Berlin\"."),
    FIELD(struct schedule, own_cron, OUT | ROW, "What the organisation has in place of the type's."),
    FIELD(struct schedule, own_time_zone, OUT | ROW, "What the organisation has in place of the server's."),
    FIELD(struct schedule, paused, OUT | ROW | REQUIRED, "Whether it is left out for now."),
    FIELD(struct schedule, next_at, OUT | ROW, "When it comes next; null for never."),
    FIELD(struct schedule, last_at, OUT | ROW, "The instant for which it came last."),
    FIELD(struct schedule, fired, OUT | ROW | REQUIRED, "How often it came."),
    FIELD(struct schedule, skipped, OUT | ROW | REQUIRED,
          "How often it was left out because the job of the time before still waited or ran."),
};
const struct schema SCHEDULE = SCHEMA(struct schedule, "Schedule", FIELDS);

struct leader {
    struct uuid holder;
};
static const struct field LEADER_FIELDS[] = {FIELD(struct leader, holder, ROW, "")};
static const struct schema LEADER_ROW = SCHEMA(struct leader, "Leader", LEADER_FIELDS);
struct next {
    struct instant next_at;
};
static const struct field NEXT_FIELDS[] = {FIELD(struct next, next_at, ROW, "")};
static const struct schema NEXT_ROW = SCHEMA(struct next, "ScheduleNext", NEXT_FIELDS);

#define COLUMNS \
    "org_id, name, cron, time_zone, own_cron, own_time_zone, paused, next_at, last_at, fired, skipped"
#define DUE "next_at IS NOT NULL AND NOT paused"

enum {
    ROWS_ALL = SCHEDULE_PAGE_ALL + 1,
    GET_ONE,
    ADD,
    CORRECT,
    DUE_NOW,
    FIRE,
    SKIP,
    SET,
    NEXT,
    TAKE,
    HOLDER,
    LEAVE
};
const struct stmt SCHEDULE_STMTS[] = {
    [SCHEDULE_PAGE] = {"schedule_page", TENANT,
                       "SELECT " COLUMNS " FROM job_schedule WHERE org_id = $org"
                       " AND ($3 IS NULL OR name > $3) AND $4 IS NULL ORDER BY name LIMIT $1 OFFSET $2",
                       "SELECT " COLUMNS " FROM job_schedule WHERE org_id = $org"
                       " AND ($3::text IS NULL OR name > $3) AND $4::text IS NULL"
                       " ORDER BY name LIMIT $1 OFFSET $2",
                       &SCHEDULE},
    /* The cursor's organisation is NULL where it is nil. */
    [SCHEDULE_PAGE_ALL] = {"schedule_page_all", SYSTEM,
                           "SELECT " COLUMNS " FROM job_schedule WHERE"
                           " ($4 IS NULL OR (org_id, name) > (COALESCE($3, zeroblob(16)), $4))"
                           " ORDER BY org_id, name LIMIT $1 OFFSET $2",
                           "SELECT " COLUMNS " FROM job_schedule WHERE ($4::text IS NULL OR (org_id, name) >"
                           " (COALESCE($3, '00000000-0000-0000-0000-000000000000'::uuid), $4))"
                           " ORDER BY org_id, name LIMIT $1 OFFSET $2",
                           &SCHEDULE},
    [ROWS_ALL] = {"schedule_rows_all", SYSTEM, "SELECT " COLUMNS " FROM job_schedule ORDER BY org_id, name",
                  NULL, &SCHEDULE},
    [GET_ONE] = {"schedule_get", TENANT,
                 "SELECT " COLUMNS " FROM job_schedule WHERE org_id = $org AND name = $1", NULL, &SCHEDULE},
    [ADD] = {"schedule_add", TENANT,
             "INSERT INTO job_schedule (org_id, name, cron, time_zone, paused, next_at, fired, skipped)"
             " VALUES ($org, $1, $2, $3, FALSE, $4, 0, 0) ON CONFLICT (org_id, name) DO NOTHING",
             NULL, NULL},
    [CORRECT] = {"schedule_correct", TENANT,
                 "UPDATE job_schedule SET cron = $2, time_zone = $3, next_at = $4,"
                 " last_at = CASE WHEN last_at <= $8 THEN last_at END WHERE org_id = $org"
                 " AND name = $1 AND cron = $5 AND time_zone = $6 AND next_at IS NOT DISTINCT FROM $7",
                 NULL, NULL},
    [DUE_NOW] = {"schedule_due", SYSTEM,
                 "SELECT " COLUMNS " FROM job_schedule WHERE " DUE " AND next_at <= $1"
                 " ORDER BY next_at LIMIT 100",
                 NULL, &SCHEDULE},
    [FIRE] = {"schedule_fire", TENANT,
              "UPDATE job_schedule SET last_at = next_at, next_at = $3, fired = fired + 1"
              " WHERE org_id = $org AND name = $1 AND next_at = $2",
              NULL, NULL},
    [SKIP] = {"schedule_skip", TENANT,
              "UPDATE job_schedule SET fired = fired - 1, skipped = skipped + 1"
              " WHERE org_id = $org AND name = $1",
              NULL, NULL},
    [SET] =
        {"schedule_set", TENANT,
         "INSERT INTO job_schedule (org_id, name, cron, time_zone, own_cron, own_time_zone, paused,"
         " next_at, fired, skipped) VALUES ($org, $1, $2, $3, $4, $5, $6, $7, 0, 0)"
         " ON CONFLICT (org_id, name) DO UPDATE SET cron = $2, time_zone = $3, own_cron = $4,"
         " own_time_zone = $5, paused = $6, next_at = $7 WHERE job_schedule.own_cron IS NOT DISTINCT FROM $8"
         " AND job_schedule.own_time_zone IS NOT DISTINCT FROM $9 AND job_schedule.paused = $10"
         " AND job_schedule.next_at IS NOT DISTINCT FROM $11",
         NULL, NULL},
    [NEXT] = {"schedule_next_due", SYSTEM,
              "SELECT next_at FROM job_schedule WHERE " DUE " ORDER BY next_at LIMIT 1", NULL, &NEXT_ROW},
    /* One process owns a SQLite file, and its lease ends are moments of its own. */
    [TAKE] = {"schedule_lead", SYSTEM,
              "INSERT INTO job_leader (name, holder, held_until) VALUES ($1, $2, $3)"
              " ON CONFLICT (name) DO UPDATE SET holder = $2, held_until = $3"
              " WHERE job_leader.holder <> $2 AND $4 IS NOT NULL",
              "INSERT INTO job_leader (name, holder, held_until) VALUES ($1, $2, $3)"
              " ON CONFLICT (name) DO UPDATE SET holder = $2, held_until = $3"
              " WHERE job_leader.holder = $2 OR job_leader.held_until <= $4",
              NULL},
    [HOLDER] = {"schedule_leader", SYSTEM, "SELECT holder FROM job_leader WHERE name = $1", NULL,
                &LEADER_ROW},
    [LEAVE] = {"schedule_leave", SYSTEM, "DELETE FROM job_leader WHERE name = $1 AND holder = $2", NULL,
               NULL},
};

enum err schedule_timing(struct ctx *cx, const struct job_type *type, const struct schedule *row,
                         struct timing *out) {
    const char *problem;
    const struct settings *settings = cx->modules->settings;
    struct timing t = {
        .cron = row && row->own_cron.p ? row->own_cron : str_of(type->schedule),
        .time_zone = row && row->own_time_zone.p ? row->own_time_zone
                     : type->zone                ? str_of(type->zone)
                     : settings                  ? setting_text(settings, "TIME_ZONE")
                                                 : S("UTC"),
    };
    if (!cron_parse(t.cron, &t.parsed, &problem))
        return fail_field(cx, S("cron"), "is no schedule: %s", problem);
    enum err e = zone_load(cx, cx->mem, t.time_zone, &t.zone);
    if (e == ERR_INVALID) {
        fault_clear(cx);
        return fail_field(cx, S("time_zone"), "is not in the tz database of this machine");
    }
    if (!e)
        *out = t;
    return e;
}

struct instant schedule_next(const struct timing *t, struct instant now, struct instant last_at) {
    bool holds = last_at.us > now.us && last_at.us - now.us <= SCHEDULE_BACK_US;
    return cron_next(&t->parsed, t->zone, holds ? last_at : now);
}

/* What a check found to do, worked out outside the writer. */
struct repair {
    struct schedule row; /* as it is; org_id and name of one that is missing */
    bool missing;
    struct str cron, time_zone;
    struct instant next_at;
};
struct repairs {
    struct repair *v;
    size_t n;
};

static void examine(struct ctx *cx, const struct job_type *type, struct uuid org, const struct schedule *row,
                    struct repairs *out) {
    struct timing t;
    struct repair r = {.row = row ? *row : (struct schedule){.org_id = org, .name = str_of(type->name)},
                       .missing = !row};
    if (!schedule_timing(cx, type, row, &t)) {
        r.cron = t.cron;
        r.time_zone = t.time_zone;
        r.next_at = schedule_next(&t, cx->now, r.row.last_at);
    } else {
        log_fault(cx, LOG_ERROR, "jobs", S("schedule cannot be followed"));
        fault_clear(cx);
        r.cron = r.time_zone = S("unknown");
    }
    bool ahead = row && row->last_at.us - cx->now.us > SCHEDULE_BACK_US; /* by a clock that was wrong */
    bool due = row && row->next_at.us && row->next_at.us <= cx->now.us;
    if (!row || ahead || !str_eq(row->cron, r.cron) || !str_eq(row->time_zone, r.time_zone) ||
        (!due && row->next_at.us != r.next_at.us))
        out->v[out->n++] = r;
}

/* Rows come by organisation and name. */
static const struct schedule *row_of(struct list rows, struct uuid org, struct str name) {
    const struct schedule *all = rows.items;
    size_t low = 0, high = rows.n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = memcmp(all[middle].org_id.b, org.b, sizeof org.b);
        if (!order)
            order = str_cmp(all[middle].name, name);
        if (!order)
            return &all[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static enum err examine_all(struct ctx *cx, struct list rows, struct list orgs, struct repairs *out) {
    const struct organisation *all = orgs.items;
    const struct modules *m = cx->modules;
    size_t types = 0;
    for (size_t i = 0; i < m->n; i++)
        types += m->list[i]->n_jobs;
    out->v = NEW_N(cx->mem, struct repair, types * (orgs.n + 1) + 1);
    if (!out->v)
        return fail(cx, ERR_MEMORY, "There is no memory for the schedules.");
    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; k < m->list[i]->n_jobs; k++) {
            const struct job_type *type = &m->list[i]->jobs[k];
            struct str name = str_of(type->name);
            if (!type->schedule)
                continue;
            if (type->of_server)
                examine(cx, type, (struct uuid){0}, row_of(rows, (struct uuid){0}, name), out);
            for (size_t o = 0; !type->of_server && o < orgs.n; o++)
                examine(cx, type, all[o].id, row_of(rows, all[o].id, name), out);
        }
    return OK;
}

static enum err repair_closure(struct ctx *cx, void *arg) {
    const struct repairs *all = arg;
    const struct instant latest = {cx->now.us + SCHEDULE_BACK_US};
    enum err e = OK;
    for (size_t i = 0; !e && i < all->n; i++) {
        const struct repair *r = &all->v[i];
        cx->actor.org = r->row.org_id;
        if (r->missing)
            e = db_exec(cx, &SCHEDULE_STMTS[ADD],
                        ARGS(A(r->row.name), A(r->cron), A(r->time_zone), A(r->next_at)), NULL);
        else
            e = db_exec(cx, &SCHEDULE_STMTS[CORRECT],
                        ARGS(A(r->row.name), A(r->cron), A(r->time_zone), A(r->next_at), A(r->row.cron),
                             A(r->row.time_zone), A(r->row.next_at), A(latest)),
                        NULL);
    }
    cx->actor.org = (struct uuid){0};
    return e;
}

enum err schedule_check(struct ctx *cx) {
    struct list rows = {0}, orgs = {0};
    struct repairs repairs = {0};
    enum err e = db_read_begin(cx);
    if (!e && !(e = db_list(cx, &SCHEDULE_STMTS[ROWS_ALL], ARGS(), &rows)))
        e = organisation_list(cx, &orgs);
    db_read_end(cx);
    if (e || (e = examine_all(cx, rows, orgs, &repairs)) || !repairs.n)
        return e;
    return db_write_wait(cx, repair_closure, &repairs);
}

enum err schedule_lead(struct ctx *cx, struct uuid holder, bool *leads) {
    struct instant now = db_time(cx->database), until = {now.us + LEASE_US};
    struct leader row = {0};
    bool found;
    enum err e = db_exec(cx, &SCHEDULE_STMTS[TAKE], ARGS(A(S(LEADER)), A(holder), A(until), A(now)), NULL);
    if (!e)
        e = db_get(cx, &SCHEDULE_STMTS[HOLDER], ARGS(A(S(LEADER))), &row, &found);
    if (!e)
        *leads = uuid_eq(row.holder, holder);
    return e;
}

enum err schedule_leave(struct ctx *cx, struct uuid holder) {
    return db_exec(cx, &SCHEDULE_STMTS[LEAVE], ARGS(A(S(LEADER)), A(holder)), NULL);
}

/* The job of one instant; none while the one before is live. */
static enum err enqueue(struct ctx *cx, const struct schedule *row) {
    char at[32];
    int64_t changed = 0;
    struct step step;
    struct str own = cx->request_id;
    cx->request_id = str_printf(cx->mem, "schedule:%.*s:%.*s", STR_FMT(row->name),
                                STR_FMT(instant_format(row->next_at, at)));
    const struct job_new job = {
        .name = str_z(cx->mem, row->name),
        .unique_key = S(SCHEDULE_KEY),
        .due_at = row->next_at,
    };
    enum err e = jobs_enqueue_step(cx, &job, &step);
    if (!e)
        e = db_exec(cx, step.st, step.args, &changed);
    if (!e && !changed)
        e = db_exec(cx, &SCHEDULE_STMTS[SKIP], ARGS(A(row->name)), NULL);
    struct metrics *m = cx->modules->metrics;
    if (!e && !changed)
        metrics_add(m, &SCHEDULE_METRICS[SCHEDULES_SKIPPED], row->name, 1);
    if (!e && changed) {
        metrics_add(m, &SCHEDULE_METRICS[SCHEDULES_FIRED], row->name, 1);
        metrics_observe(m, &SCHEDULE_METRICS[SCHEDULES_LATE], row->name, cx->now.us - row->next_at.us);
    }
    cx->request_id = own;
    return e;
}

/* A schedule that this process does not know, or cannot follow, waits for one that does. */
static enum err fire(struct ctx *cx, const struct schedule *row) {
    const struct job_type *type = job_type_find(cx->modules->list, cx->modules->n, row->name);
    struct timing t;
    struct instant next = {0};
    int64_t changed = 0;
    bool known = type && type->schedule && !schedule_timing(cx, type, row, &t);
    fault_clear(cx);
    if (known)
        next = schedule_next(&t, cx->now, row->next_at);
    cx->actor.org = row->org_id;
    enum err e =
        known ? db_exec(cx, &SCHEDULE_STMTS[FIRE], ARGS(A(row->name), A(row->next_at), A(next)), &changed)
              : db_exec(cx, &SCHEDULE_STMTS[CORRECT],
                        ARGS(A(row->name), A(S("unknown")), A(S("unknown")), A(next), A(row->cron),
                             A(row->time_zone), A(row->next_at), A(cx->now)),
                        NULL);
    return e || !changed ? e : enqueue(cx, row);
}

enum err schedule_fire(struct ctx *cx, void *arg) {
    struct firing *f = arg;
    struct list due = {0};
    enum err e = schedule_lead(cx, f->holder, &f->leads);
    if (!e && f->leads)
        e = db_list(cx, &SCHEDULE_STMTS[DUE_NOW], ARGS(A(cx->now)), &due);
    const struct schedule *rows = due.items;
    struct actor own = cx->actor;
    for (size_t i = 0; !e && i < due.n; i++)
        e = fire(cx, &rows[i]);
    cx->actor = own;
    f->more = due.n == FIRE_MAX;
    return e;
}

enum err schedule_next_due(struct ctx *cx, struct instant *out) {
    struct next row = {0};
    bool found;
    enum err e = db_get(cx, &SCHEDULE_STMTS[NEXT], ARGS(), &row, &found);
    if (!e)
        *out = row.next_at;
    return e;
}

enum err schedule_get(struct ctx *cx, struct str name, struct schedule *out, bool *found) {
    return db_get(cx, &SCHEDULE_STMTS[GET_ONE], ARGS(A(name)), out, found);
}

enum err schedule_set(struct ctx *cx, const struct schedule *was, const struct schedule *s, bool *changed) {
    int64_t n = 0;
    enum err e = db_exec(cx, &SCHEDULE_STMTS[SET],
                         ARGS(A(s->name), A(s->cron), A(s->time_zone), A(s->own_cron), A(s->own_time_zone),
                              A(s->paused), A(s->next_at), A(was->own_cron), A(was->own_time_zone),
                              A(was->paused), A(was->next_at)),
                         &n);
    *changed = n == 1;
    return e;
}
