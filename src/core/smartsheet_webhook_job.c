/* The job smartsheet.webhooks: makes, switches on and off, and gives new secrets, by what Smartsheet itself
 * says there is. Each step is written down before the next, so that one that was broken off is gone on with:
 * a webhook that was made and not yet written down is found by its address, and a secret that got lost is
 * exchanged. */
#include "core/exception.h"
#include "core/smartsheet_webhook.h"
#include "identity/audit.h"
#include "services/smartsheet_hook.h"

#include "base/banned.h"

#define SOURCE S("smartsheet.webhook")
#define ATTEMPTS_MAX 10
#define FIRST_WAIT_US (10 * 60 * US_PER_S)
#define WAIT_MAX_US (6 * 3600 * US_PER_S)

const char *const WEBHOOK_ACTIONS[] = {"check", "enable", "disable", "rotate", NULL};
static const struct field ORDER_FIELDS[] = {
    FIELD(struct webhook_order, sheet_id, CREATE | OUT, "The sheet; all of the organisation's if not said.",
          .min = 1, .max = INT64_MAX),
    FIELD(
        struct webhook_order, action, CREATE | OUT,
        "check (if not said) makes and switches on what is missing; enable tries whatever was tried before.",
        .one_of = WEBHOOK_ACTIONS),
    FIELD(struct webhook_order, asked_at, CREATE | OUT, "Of rotate: a secret that is newer is left."),
};
const struct schema WEBHOOK_ORDER = SCHEMA(struct webhook_order, "SmartsheetWebhookOrder", ORDER_FIELDS);

enum { LOCK, SAVE };
static const struct stmt SQL[] = {
    [LOCK] = {"smartsheet_webhook_lock", TENANT,
              "INSERT INTO smartsheet_webhook (org_id, sheet_id, attempts) VALUES ($org, $1, 0)"
              " ON CONFLICT (org_id, sheet_id) DO UPDATE SET attempts = smartsheet_webhook.attempts"
              " RETURNING " WEBHOOK_COLUMNS,
              NULL, &SHEET_WEBHOOK},
    [SAVE] = {"smartsheet_webhook_save", TENANT,
              "INSERT INTO smartsheet_webhook (org_id, sheet_id, webhook_id, callback_url, status, problem,"
              " checked_at, enabled_at, off_since, attempts, next_attempt_at, secret, secret_at)"
              " VALUES ($org, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
              " ON CONFLICT (org_id, sheet_id) DO UPDATE SET webhook_id = excluded.webhook_id,"
              " callback_url = excluded.callback_url, status = excluded.status, problem = excluded.problem,"
              " checked_at = excluded.checked_at, enabled_at = excluded.enabled_at,"
              " off_since = excluded.off_since, attempts = excluded.attempts,"
              " next_attempt_at = excluded.next_attempt_at,"
              " secret_before = CASE WHEN excluded.secret IS NULL THEN smartsheet_webhook.secret_before"
              " ELSE smartsheet_webhook.secret END,"
              " secret = COALESCE(excluded.secret, smartsheet_webhook.secret),"
              " secret_at = COALESCE(excluded.secret_at, smartsheet_webhook.secret_at)",
              NULL, NULL},
};

/* What a status means for us. ASK: a person has to act, and is told; QUIET: somebody has, on purpose. */
enum meaning { ON, RETRY_IT, ASK, GONE, QUIET };
static const struct {
    const char *status;
    enum meaning meaning;
    const char *advice;
} STATUSES[] = {
    {"ENABLED", ON, NULL},
    {"NEW_NOT_VERIFIED", RETRY_IT, "It has not been verified yet."},
    {"DISABLED_CALLBACK_FAILED", RETRY_IT, "Smartsheet's callbacks did not get through to this server."},
    {"DISABLED_VERIFICATION_FAILED", RETRY_IT,
     "Smartsheet called and got no echo: is this server running and reachable there from outside, with a "
     "certificate that others trust?"},
    {"DISABLED_SCOPE_INACCESSIBLE", ASK,
     "The sheet was deleted, or is no longer shared with the owner of SMARTSHEET_TOKEN. Smartsheet switches "
     "it "
     "on by itself when it is there again."},
    {"DISABLED_ADMINISTRATIVE", ASK,
     "Smartsheet's support has switched it off: write to api@smartsheet.com."},
    {"DISABLED_APP_REVOKED", GONE,
     "The app that made it has lost its access: `entrepot smartsheet enable` makes another one."},
    {"DISABLED_BY_OWNER", QUIET,
     "It was switched off on purpose: `entrepot smartsheet enable` switches it on."},
};
#define STATUSES_N (sizeof(STATUSES) / sizeof(STATUSES[0]))

static size_t status_of(struct str status) {
    size_t i = 0;
    while (i < STATUSES_N && !str_eq(status, str_of(STATUSES[i].status)))
        i++;
    return i;
}
static enum meaning meaning_of(struct str status) {
    size_t i = status_of(status);
    return i < STATUSES_N ? STATUSES[i].meaning : ASK;
}

/* One sheet's webhook on its way. */
struct tending {
    struct ctx *cx;
    const struct job *job;
    struct str token, url;
    bool enable, disable, rotate;
    struct instant asked_at;
    struct sheet_webhook before, now;
    bool sync; /* what was missed is to be fetched */
};

static struct str ref_of(struct ctx *cx, const struct sheet_webhook *w) {
    char at[32];
    return str_printf(cx->mem, "%lld:%.*s", (long long)w->sheet_id,
                      STR_FMT(instant_format(w->off_since, at)));
}

static bool told(const struct sheet_webhook *w) {
    return w->off_since.us && w->problem.p && meaning_of(w->status) != QUIET;
}

/* The list of exceptions has it for as long as it is off, once each time. */
static enum err tell(struct ctx *cx, const struct sheet_webhook *before, const struct sheet_webhook *now) {
    struct uuid id;
    bool other = before->off_since.us != now->off_since.us || (told(before) && !told(now));
    enum err e = before->off_since.us && other ? exception_made_good(cx, SOURCE, ref_of(cx, before)) : OK;
    if (e || !told(now) || (!other && told(before) && str_eq(before->problem, now->problem)))
        return e;
    struct exception_origin from = {.kind = S("webhook"), .source = SOURCE, .ref = ref_of(cx, now)};
    struct str body = str_printf(cx->mem, "{\"sheet_id\":%lld}", (long long)now->sheet_id);
    struct fault kept = cx->fault;
    fault_clear(cx);
    (void)fail_field(cx, S("webhook"), "%.*s", STR_FMT(now->problem));
    e = exception_add(cx, &from, body, &id);
    cx->fault = kept;
    return e;
}

static enum err save(struct ctx *cx, void *arg) {
    const struct tending *t = arg;
    struct sheet_webhook was, w = t->now;
    bool found;
    struct bytes fresh = w.secret.p != t->before.secret.p ? w.secret : (struct bytes){0};
    struct instant fresh_at = fresh.p ? w.secret_at : (struct instant){0};
    enum err e = db_get(cx, &SQL[LOCK], ARGS(A(w.sheet_id)), &was, &found);
    if (e)
        return e;
    if (w.off_since.us && was.off_since.us && !t->enable) /* another run may have found it off before */
        w.off_since = was.off_since;
    e = db_exec(cx, &SQL[SAVE],
                ARGS(A(w.sheet_id), A(w.webhook_id), A(w.callback_url), A(w.status), A(w.problem),
                     A(w.checked_at), A(w.enabled_at), A(w.off_since), A(w.attempts), A(w.next_attempt_at),
                     A(fresh), A(fresh_at)),
                NULL);
    if (!e)
        e = tell(cx, &was, &w);
    if (!e && t->sync)
        e = jobs_enqueue(cx, &(struct job_new){.name = "smartsheet_sync", .unique_key = S("callback")});
    return e;
}

static enum err write_down(struct tending *t) {
    t->now.checked_at = t->cx->now;
    enum err e = job_write(t->cx, t->job, save, t);
    if (!e)
        t->before = t->now;
    t->sync = t->sync && e;
    return e;
}

/* The one that Smartsheet uses of those that are alike: the oldest that is on, else the oldest. */
static const struct smartsheet_hook *pick(const struct tending *t, const struct list *hooks) {
    const struct smartsheet_hook *v = hooks->items, *best = NULL;
    for (size_t i = 0; i < hooks->n; i++) {
        const struct smartsheet_hook *h = &v[i];
        if (!str_eq(h->scope, S("sheet")) || !h->sheet.has || h->sheet.v != t->now.sheet_id ||
            !str_eq(h->url, t->url) || (t->enable && meaning_of(h->status) == GONE))
            continue;
        if (!best || h->enabled > best->enabled ||
            (h->enabled == best->enabled && str_cmp(h->created_at.text, best->created_at.text) < 0))
            best = h;
    }
    return best;
}

static enum err take_secret(struct tending *t, struct str secret) {
    struct ctx *cx = t->cx;
    enum err e = vault_seal(cx, webhook_vault(cx), webhook_about(cx, cx->actor.org, t->now.sheet_id), secret,
                            &t->now.secret);
    t->now.secret_at = cx->now;
    return e;
}

static bool secret_known(const struct tending *t, const struct smartsheet_hook *h) {
    struct ctx *cx = t->cx;
    return t->now.webhook_id.has && t->now.webhook_id.v == h->id &&
           vault_open(cx->mem, webhook_vault(cx), webhook_about(cx, cx->actor.org, t->now.sheet_id),
                      t->now.secret)
               .p;
}

/* Of a webhook that was found: its secret is in one of two answers, or a new one is made. */
static enum err adopt(struct tending *t, const struct smartsheet_hook *h) {
    struct smartsheet_hook whole = *h;
    struct ctx *cx = t->cx;
    bool known = secret_known(t, h);
    bool renew = t->rotate && (!known || t->now.secret_at.us < t->asked_at.us);
    enum err e = OK;
    t->now.webhook_id = (struct optional_int){h->id, true};
    t->now.callback_url = h->url;
    if (known && !renew)
        return OK;
    if (!renew && !whole.secret.n)
        e = smartsheet_hook_get(cx, t->job, t->token, h->id, &whole);
    if (!e && (renew || !whole.secret.n))
        e = smartsheet_hook_new_secret(cx, t->job, t->token, h->id, &whole.secret);
    if (e || (e = take_secret(t, whole.secret)))
        return e;
    return write_down(t); /* before anything is signed with it */
}

/* What is known of it now. */
static void note(struct tending *t, const struct smartsheet_hook *h) {
    struct sheet_webhook *w = &t->now;
    struct ctx *cx = t->cx;
    size_t i = status_of(h->status);
    bool was_off = w->off_since.us || !w->enabled_at.us;
    w->status = h->status;
    w->enabled = h->enabled;
    if (h->enabled) {
        t->sync = was_off;
        w->enabled_at = was_off ? cx->now : w->enabled_at;
        w->off_since = w->next_attempt_at = (struct instant){0};
        w->problem = (struct str){0};
        w->attempts = 0;
        return;
    }
    if (!w->off_since.us || t->enable) /* tried by hand: another story from here on */
        w->off_since = cx->now;
    w->problem = str_printf(cx->mem, "%.*s: %s%s%.*s", STR_FMT(h->status),
                            i < STATUSES_N ? STATUSES[i].advice : "Smartsheet says no more of it.",
                            h->details.n ? " It says: " : "", STR_FMT(h->details));
}

static void failed_once_more(struct tending *t) {
    struct sheet_webhook *w = &t->now;
    int64_t wait = FIRST_WAIT_US << (w->attempts < 6 ? w->attempts : 6);
    w->attempts++;
    w->next_attempt_at.us = t->cx->now.us + (wait < WAIT_MAX_US ? wait : WAIT_MAX_US);
    if (w->attempts < ATTEMPTS_MAX)
        return;
    w->next_attempt_at.us = 0;
    w->problem = str_printf(t->cx->mem, "%.*s It is not tried again by itself: `entrepot smartsheet enable`.",
                            STR_FMT(w->problem));
}

static bool is_due(const struct tending *t) {
    const struct sheet_webhook *w = &t->now;
    return t->enable || ((!w->status.p || meaning_of(w->status) == RETRY_IT) && w->attempts < ATTEMPTS_MAX &&
                         w->next_attempt_at.us <= t->cx->now.us);
}

/* The sheet's webhook, made where there is none; wanted false: there is none, and none is to be made now. */
static enum err find_or_make(struct tending *t, struct smartsheet_hook *h, bool *wanted) {
    struct sheet_webhook *w = &t->now;
    struct list hooks;
    *wanted = true;
    enum err e = smartsheet_hooks(t->cx, t->job, t->token, &hooks);
    if (e)
        return e;
    const struct smartsheet_hook *found = pick(t, &hooks);
    if (found) {
        *h = *found;
        return OK;
    }
    w->webhook_id = (struct optional_int){0};
    w->status = (struct str){0};
    w->enabled = false;
    *wanted = !t->disable && is_due(t);
    struct str name = str_printf(t->cx->mem, "entrepot: scans of sheet %lld", (long long)w->sheet_id);
    return *wanted ? smartsheet_hook_create(t->cx, t->job, t->token, w->sheet_id, name, t->url, h) : OK;
}

/* By Smartsheet's own account of what there is. */
static enum err bring_about(struct tending *t) {
    struct smartsheet_hook h = {0};
    bool wanted;
    enum err e = find_or_make(t, &h, &wanted);
    if (e || !wanted || (e = adopt(t, &h)))
        return e;
    if (t->disable && h.enabled && (e = smartsheet_hook_enable(t->cx, t->job, t->token, h.id, false, &h)))
        return e;
    note(t, &h);
    if (h.enabled || t->disable || !is_due(t))
        return OK;
    if ((e = smartsheet_hook_enable(t->cx, t->job, t->token, h.id, true, &h)))
        return e;
    note(t, &h);
    if (!h.enabled)
        failed_once_more(t);
    return OK;
}

/* What Smartsheet refuses for good stands in the row like a status; what passes is tried again by the job. */
static enum err tend(struct tending *t, int64_t sheet) {
    struct ctx *cx = t->cx;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = webhook_load(cx, sheet, &t->now);
    db_read_end(cx);
    t->before = t->now;
    if (e)
        return e;
    enum err wrong = bring_about(t);
    struct fault why = cx->fault;
    if (wrong && wrong != ERR_SERVICE && wrong != ERR_UNAVAILABLE)
        return wrong;
    fault_clear(cx);
    if (wrong) {
        t->now.problem = why.message;
        t->now.off_since = t->now.enabled        ? (struct instant){0}
                           : t->now.off_since.us ? t->now.off_since
                                                 : cx->now;
        if (wrong == ERR_SERVICE)
            failed_once_more(t);
    }
    if ((e = write_down(t)))
        return e;
    if (wrong == ERR_SERVICE &&
        t->job->lease) /* it stands in the row, for people; the job has done its work */
        return OK;
    cx->fault = why;
    return wrong;
}

struct plan {
    struct str token;
    int64_t *sheets;
    size_t n;
};

static enum err make_plan(struct ctx *cx, const struct webhook_order *o, struct plan *p) {
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = smartsheet_sheets(cx, "scan", &p->sheets, &p->n);
    if (!e && p->n > 0)
        e = smartsheet_token(cx, &p->token);
    db_read_end(cx);
    bool known = !o->sheet_id.has;
    for (size_t i = 0; !e && !known && i < p->n; i++)
        if (p->sheets[i] == o->sheet_id.v) {
            *p->sheets = o->sheet_id.v;
            p->n = 1;
            known = true;
        }
    return e || known ? e
                      : fail(cx, ERR_NOT_FOUND, "SMARTSHEET_SHEETS has no scan=%lld for this organisation.",
                             (long long)o->sheet_id.v);
}

static enum err run(struct ctx *cx, const struct job *job) {
    struct webhook_order o;
    struct plan plan = {0};
    struct tending t = {.cx = cx, .job = job};
    enum err e = schema_decode(cx, &WEBHOOK_ORDER, CREATE, REFUSE_UNKNOWN, job->args.text, &o, NULL),
             first = OK;
    if (e || (e = make_plan(cx, &o, &plan)) || plan.n == 0)
        return e;
    if (!webhooks_managed(cx) && job->lease)
        return OK;
    if ((e = webhook_callback_url(cx, &t.url)))
        return e;
    cx->now = clock_now(cx->clock);
    t.token = plan.token;
    t.enable = str_eq(o.action, S("enable"));
    t.disable = str_eq(o.action, S("disable"));
    t.rotate = str_eq(o.action, S("rotate"));
    t.asked_at = o.asked_at.us ? o.asked_at : job->created_at;
    for (size_t i = 0; i < plan.n; i++) {
        if (job_cancelled(job))
            return fail(cx, ERR_UNAVAILABLE, "It was told to break off.");
        job_progress(job, (int64_t)i, (int64_t)plan.n, S("webhooks"));
        enum err wrong = tend(&t, plan.sheets[i]);
        first = first ? first : wrong;
    }
    return first;
}

/* A person has seen to what was in the way. */
static enum err replay(struct ctx *cx, const struct exception *x, struct str text, struct json *result) {
    struct webhook_order o = {0};
    enum err e = schema_decode(cx, &WEBHOOK_ORDER, CREATE, REFUSE_UNKNOWN, text, &o, NULL);
    (void)x, (void)result;
    o.action = S("enable");
    return e ? e
             : jobs_enqueue(
                   cx, &(struct job_new){.name = WEBHOOK_JOB, .args = audit_json(cx, &WEBHOOK_ORDER, &o)});
}

static const struct exception_kind EXCEPTIONS[] = {
    {"webhook", NULL, replay, NULL, "A webhook of Smartsheet that is off; a replay tries to switch it on."},
};

static const struct job_type JOBS[] = {
    {.name = WEBHOOK_JOB,
     .mode = JOB_THREAD,
     .run = run,
     .args = &WEBHOOK_ORDER,
     .by_hand = true,
     .doc = "Makes the webhooks of the scan sheets at Smartsheet and switches them on; smartsheet_sync has "
            "it run."},
};

const struct module SMARTSHEET_WEBHOOK_JOB_MODULE = {
    .name = "smartsheet_webhooks", TABLE(stmts, SQL), TABLE(jobs, JOBS), TABLE(exceptions, EXCEPTIONS)};
