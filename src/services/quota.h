/* Allowances of outside services ("40 requests a minute"), shared by all processes of a database: one row an
 * organisation and service, counted down before each request and set right by what the service's own headers
 * say afterwards. */
#ifndef SERVICES_QUOTA_H
#define SERVICES_QUOTA_H

#include "base/module.h"
#include "jobs/jobs.h"

struct quota {
    const char *service;
    int64_t count, period_us; /* until the service says otherwise */
};

/* One request of the allowance, for cx's organisation. Waits while that is at most patience_us, else, or when
 * the job is to end, ERR_RATE. Outside a transaction. */
MUST_USE enum err quota_take(struct ctx *cx, const struct job *job, const struct quota *q,
                             int64_t patience_us);
/* What the service says is left, and for how long. */
MUST_USE enum err quota_learn(struct ctx *cx, const struct quota *q, int64_t remaining, int64_t resets_in_us);

extern const struct module QUOTA_MODULE;

#endif
