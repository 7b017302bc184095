/* The webhooks at Smartsheet that call `POST /webhooks/smartsheet/scan`: one for each scan sheet, made and
 * switched on by the job `smartsheet.webhooks` where PUBLIC_URL says how Smartsheet reaches this server. What
 * Smartsheet has switched off is switched on again, ever more seldom and not for ever; what the owner has
 * switched off stays off; all else waits for a person, in the list of exceptions and in health.
 *
 * Smartsheet gives each webhook a secret of its own, which is kept sealed and proves callbacks beside those
 * of SMARTSHEET_WEBHOOK_SECRET. */
#ifndef CORE_SMARTSHEET_WEBHOOK_H
#define CORE_SMARTSHEET_WEBHOOK_H

#include "core/smartsheet.h"
#include "identity/vault.h"
#include "net/command.h"

struct sheet_webhook {
    int64_t sheet_id;
    struct optional_int webhook_id;
    struct str callback_url, status, problem;
    bool enabled;
    struct instant checked_at, enabled_at, off_since;
    int64_t attempts; /* to switch it on that have failed */
    struct instant next_attempt_at;
    struct bytes secret, secret_before; /* sealed */
    struct instant secret_at;
};
extern const struct schema SHEET_WEBHOOK;
#define WEBHOOK_COLUMNS                                                                                 \
    "sheet_id, webhook_id, callback_url, status, problem, checked_at, enabled_at, off_since, attempts," \
    " next_attempt_at, secret, secret_before, secret_at"
enum { WEBHOOK_GET, WEBHOOK_STMTS_N = 2 };
extern const struct stmt WEBHOOK_STMTS[WEBHOOK_STMTS_N];

/* What the job is to do; each does nothing the second time. */
struct webhook_order {
    struct optional_int sheet_id; /* none: all of the organisation's */
    struct str action;            /* check, enable, disable, rotate */
    struct instant asked_at;      /* of rotate: a secret that is newer is left */
};
extern const struct schema WEBHOOK_ORDER;
extern const char *const WEBHOOK_ACTIONS[];
#define WEBHOOK_JOB "smartsheet.webhooks"

/* Where Smartsheet calls; ERR_USAGE, with what to set, where it cannot. */
MUST_USE enum err webhook_callback_url(struct ctx *cx, struct str *out);
bool webhooks_managed(const struct ctx *cx); /* PUBLIC_URL is set */
/* Has the organisation's webhooks looked at by the job, in a transaction. */
MUST_USE enum err webhooks_want(struct ctx *cx);

/* In a transaction: of a sheet, zeroed but for its number where there is none; of all scan sheets. */
MUST_USE enum err webhook_load(struct ctx *cx, int64_t sheet, struct sheet_webhook *out);
MUST_USE enum err webhook_list(struct ctx *cx, struct list *out);
/* The name that its secret is sealed under. */
struct str webhook_about(struct ctx *cx, struct uuid org, int64_t sheet);
const struct vault *webhook_vault(const struct ctx *cx);

/* Which webhook's secret signs body so; found is false for none. */
MUST_USE enum err webhook_verify(struct ctx *cx, struct str signature, struct str body, struct uuid *org,
                                 bool *found);

extern const struct module SMARTSHEET_WEBHOOK_MODULE;        /* rows and secrets */
extern const struct module SMARTSHEET_WEBHOOK_JOB_MODULE;    /* in smartsheet_webhook_job.c */
extern const struct module SMARTSHEET_WEBHOOK_ROUTES_MODULE; /* in smartsheet_webhook_routes.c */

#endif
