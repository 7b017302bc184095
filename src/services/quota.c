#include "services/quota.h"

#include <unistd.h>

#include "base/banned.h"

#define SLICE_US (50 * US_PER_MS)
#define RESET_MAX_US (15 * 60 * US_PER_S)

struct state {
    int64_t remaining;
    struct instant resets_at;
};
static const struct field FIELDS[] = {
    FIELD(struct state, remaining, ROW, "Requests that are left."),
    FIELD(struct state, resets_at, ROW, "When there are as many as ever again."),
};
static const struct schema STATE = SCHEMA(struct state, "ServiceQuota", FIELDS);

enum { TAKE, SHOW, LEARN };
static const struct stmt SQL[] = {
    [TAKE] =
        {"quota_take", TENANT,
         "INSERT INTO service_quota (org_id, service, remaining, resets_at) VALUES ($org, $1, $2, $3)"
         " ON CONFLICT (org_id, service) DO UPDATE SET remaining = CASE WHEN service_quota.resets_at <= $4"
         " THEN excluded.remaining ELSE service_quota.remaining - 1 END,"
         " resets_at = CASE WHEN service_quota.resets_at <= $4"
         " THEN excluded.resets_at ELSE service_quota.resets_at END"
         " WHERE service_quota.remaining > 0 OR service_quota.resets_at <= $4",
         NULL, NULL},
    [SHOW] = {"quota_show", TENANT,
              "SELECT remaining, resets_at FROM service_quota WHERE org_id = $org AND service = $1", NULL,
              &STATE},
    [LEARN] = {"quota_learn", TENANT,
               "INSERT INTO service_quota (org_id, service, remaining, resets_at) VALUES ($org, $1, $2, $3)"
               " ON CONFLICT (org_id, service) DO UPDATE SET remaining = excluded.remaining,"
               " resets_at = excluded.resets_at",
               NULL, NULL},
};

struct taking {
    const struct quota *q;
    int64_t wait_us; /* 0: taken */
};

static enum err take(struct ctx *cx, void *arg) {
    struct taking *t = arg;
    struct str service = str_of(t->q->service);
    struct instant reset = {cx->now.us + t->q->period_us};
    struct state s;
    int64_t changed;
    bool found;
    enum err e =
        db_exec(cx, &SQL[TAKE], ARGS(A(service), A(t->q->count - 1), A(reset), A(cx->now)), &changed);
    t->wait_us = 0;
    if (e || changed || (e = db_get(cx, &SQL[SHOW], ARGS(A(service)), &s, &found)))
        return e;
    t->wait_us = found && s.resets_at.us > cx->now.us ? s.resets_at.us - cx->now.us : SLICE_US;
    return OK;
}

enum err quota_take(struct ctx *cx, const struct job *job, const struct quota *q, int64_t patience_us) {
    int64_t end = clock_steady() + patience_us;
    for (;;) {
        struct taking t = {.q = q};
        cx->now = clock_now(cx->clock);
        enum err e = db_write_wait(cx, take, &t);
        if (e || t.wait_us == 0)
            return e;
        int64_t until = clock_steady() + t.wait_us;
        if (until > end)
            return fail(cx, ERR_RATE, "%s allows no more requests for %lld s.", q->service,
                        (long long)t.wait_us / US_PER_S + 1);
        while (clock_steady() < until && !job_cancelled(job))
            usleep((unsigned)SLICE_US);
        if (job_cancelled(job))
            return fail(cx, ERR_UNAVAILABLE, "The job was to end while it waited for %s.", q->service);
    }
}

struct learnt {
    const struct quota *q;
    int64_t remaining, resets_in_us;
};

static enum err learn(struct ctx *cx, void *arg) {
    const struct learnt *l = arg;
    struct instant reset = {cx->now.us + l->resets_in_us};
    return db_exec(cx, &SQL[LEARN], ARGS(A(str_of(l->q->service)), A(l->remaining), A(reset)), NULL);
}

enum err quota_learn(struct ctx *cx, const struct quota *q, int64_t remaining, int64_t resets_in_us) {
    struct learnt l = {q, remaining < 0 ? 0 : remaining, resets_in_us};
    if (l.resets_in_us > RESET_MAX_US)
        l.resets_in_us = RESET_MAX_US;
    cx->now = clock_now(cx->clock);
    return db_write_wait(cx, learn, &l);
}

const struct module QUOTA_MODULE = {.name = "quotas", TABLE(stmts, SQL)};
