/* The jobs that get rows from Smartsheet. */
#include "base/settings.h"
#include "core/smartsheet.h"
#include "core/smartsheet_webhook.h"
#include "identity/audit.h"
#include "identity/identity.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/banned.h"

#define ROWS_A_CALL 100
#define HASH 16
#define PAGE_MEMORY ((size_t)64 << 20)
/* Clocks differ, and a row may be changed while it is read: what is seen twice counts once. */
#define OVERLAP_US (15 * 60 * US_PER_S)

struct fetch_args {
    struct uuid id;
};
static const struct field FETCH_FIELDS[] = {
    FIELD(struct fetch_args, id, CREATE | OUT | REQUIRED, "The delivery of the callback."),
};
static const struct schema FETCH = SCHEMA(struct fetch_args, "SmartsheetFetch", FETCH_FIELDS);

struct synced {
    struct instant synced_to;
};
static const struct field SYNCED_FIELDS[] = {FIELD(struct synced, synced_to, ROW, "Up to when it is known.")};
static const struct schema SYNCED = SCHEMA(struct synced, "SmartsheetSynced", SYNCED_FIELDS);

enum { GET_SYNCED, SET_SYNCED };
static const struct stmt SQL[] = {
    [GET_SYNCED] = {"smartsheet_synced", TENANT,
                    "SELECT synced_to FROM smartsheet_sheet WHERE org_id = $org AND sheet_id = $1", NULL,
                    &SYNCED},
    [SET_SYNCED] = {"smartsheet_set_synced", TENANT,
                    "INSERT INTO smartsheet_sheet (org_id, sheet_id, synced_to) VALUES ($org, $1, $2)"
                    " ON CONFLICT (org_id, sheet_id) DO UPDATE SET synced_to = excluded.synced_to"
                    " WHERE smartsheet_sheet.synced_to < excluded.synced_to",
                    NULL, NULL},
};

/* The items of a setting that belong to the context's organisation, without their prefix; those without one
 * belong to the oldest. In a transaction. */
static enum err own_items(struct ctx *cx, const char *setting, struct list *out) {
    struct list all = setting_list(cx->modules->settings, setting), orgs;
    enum err e = organisation_list(cx, &orgs);
    struct str *own = e ? NULL : NEW_N(cx->mem, struct str, all.n + 1);
    if (e || !own)
        return e ? e : fail(cx, ERR_MEMORY, "The setting %s does not fit in memory.", setting);
    *out = (struct list){own, 0};
    for (size_t i = 0; orgs.n > 0 && i < all.n; i++) {
        struct uuid owner;
        struct str text = organisation_owner(&orgs, ((const struct str *)all.items)[i], &owner);
        if (uuid_eq(owner, cx->actor.org))
            own[out->n++] = text;
    }
    return OK;
}

enum err smartsheet_sheets(struct ctx *cx, const char *kind, int64_t **out, size_t *n) {
    struct list items;
    enum err e = own_items(cx, "SMARTSHEET_SHEETS", &items);
    *n = 0;
    if (e)
        return e;
    if (!(*out = NEW_N(cx->mem, int64_t, items.n + 1)))
        return fail(cx, ERR_MEMORY, "The setting SMARTSHEET_SHEETS does not fit in memory.");
    for (size_t i = 0; i < items.n; i++) {
        struct str name, id;
        if (str_cut(((const struct str *)items.items)[i], '=', &name, &id) &&
            str_eq(str_trim(name), str_of(kind)) && str_int(str_trim(id), &(*out)[*n]))
            ++*n;
    }
    return OK;
}

enum err smartsheet_token(struct ctx *cx, struct str *out) {
    struct list items;
    enum err e = own_items(cx, "SMARTSHEET_TOKEN", &items);
    if (!e && items.n == 0)
        return fail(cx, ERR_USAGE, "SMARTSHEET_TOKEN is not set for this organisation.");
    if (!e)
        *out = ((const struct str *)items.items)[0];
    return e;
}

static enum err read_callback(struct ctx *cx, const struct delivery *d, struct callback *out) {
    return schema_decode(cx, &CALLBACK, CREATE, IGNORE_UNKNOWN,
                         (struct str){(const char *)d->body.p, d->body.n}, out, NULL);
}

/* What the events of a callback come to: rows to be fetched, each once, and how many were deleted. */
struct changes {
    int64_t *rows;
    size_t n, deleted;
};

static int64_t row_of(const struct sheet_event *ev) {
    if (str_eq(ev->object, S("row")))
        return ev->id;
    if (!str_eq(ev->object, S("cell")))
        return 0;
    return ev->row.has ? ev->row.v : ev->row_lower.v;
}

static int by_id(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void keep_each_once(struct changes *c) {
    size_t n = 0;
    qsort(c->rows, c->n, sizeof(*c->rows), by_id);
    for (size_t i = 0; i < c->n; i++)
        if (i == 0 || c->rows[i] != c->rows[n - 1])
            c->rows[n++] = c->rows[i];
    c->n = n;
}

static enum err changes_of(struct ctx *cx, const struct callback *c, struct changes *out) {
    const struct sheet_event *ev = c->events.items;
    *out = (struct changes){.rows = NEW_N(cx->mem, int64_t, c->events.n + 1)};
    if (!out->rows)
        return fail(cx, ERR_MEMORY, "The callback does not fit in memory.");
    for (size_t i = 0; i < c->events.n; i++) {
        int64_t row = row_of(&ev[i]);
        bool gone = str_eq(ev[i].object, S("row")) && str_eq(ev[i].event, S("deleted"));
        out->deleted += gone;
        if (row > 0 && !gone)
            out->rows[out->n++] = row;
    }
    keep_each_once(out);
    return OK;
}

static enum err enqueue_sync(struct ctx *cx) {
    return jobs_enqueue(cx, &(struct job_new){.name = "smartsheet_sync", .unique_key = S("callback")});
}

/* About the webhook itself: what happened while it was off is fetched once it is on again. One of our own is
 * seen to by its job, which tells of it as well. */
static enum err apply_status(struct ctx *cx, struct steps *steps, const struct delivery *d,
                             const struct callback *c) {
    if (webhooks_managed(cx)) {
        inbox_settle(steps, d->id, S("applied"), (struct str){0});
        return webhooks_want(cx);
    }
    if (!str_eq(c->status, S("ENABLED"))) {
        inbox_settle(
            steps, d->id, S("exception"),
            str_printf(cx->mem,
                       "Smartsheet says that the webhook is %.*s: it sends nothing until it is enabled "
                       "again; smartsheet_sync fetches what is missed.",
                       STR_FMT(c->status)));
        return OK;
    }
    inbox_settle(steps, d->id, S("applied"), (struct str){0});
    return enqueue_sync(cx);
}

#define DELETED                                                                                \
    S("Rows were deleted from the sheet; what was scanned by them stays in stock until it is " \
      "counted or taken back.")

static enum err apply_events(struct ctx *cx, struct steps *steps, const struct delivery *d,
                             const struct callback *c) {
    struct changes changes;
    struct fetch_args a = {d->id};
    enum err e = changes_of(cx, c, &changes);
    if (e)
        return e;
    if (changes.n == 0) {
        inbox_settle(steps, d->id, changes.deleted ? S("applied") : S("ignored"),
                     changes.deleted ? DELETED : S("No row was made or changed."));
        return OK;
    }
    struct uuid job = uuid_new(cx->now);
    inbox_give_job(steps, d->id, job);
    return jobs_enqueue(
        cx, &(struct job_new){.name = "smartsheet.fetch", .args = audit_json(cx, &FETCH, &a), .id = job});
}

enum err callback_apply(struct ctx *cx, struct delivery *const *deliveries, size_t n) {
    struct steps steps = {.cx = cx};
    int64_t *sheets;
    size_t n_sheets;
    enum err e = smartsheet_sheets(cx, "scan", &sheets, &n_sheets);
    for (size_t i = 0; !e && i < n; i++) {
        struct callback c;
        bool ours = false;
        if ((e = read_callback(cx, deliveries[i], &c)))
            return e;
        for (size_t k = 0; k < n_sheets; k++)
            ours = ours || sheets[k] == c.sheet;
        if (!ours)
            inbox_settle(&steps, deliveries[i]->id, S("ignored"),
                         str_printf(cx->mem, "SMARTSHEET_SHEETS has no scan=%lld for this organisation.",
                                    (long long)c.sheet));
        else
            e = c.status.p ? apply_status(cx, &steps, deliveries[i], &c)
                           : apply_events(cx, &steps, deliveries[i], &c);
    }
    return e ? e : steps_run(&steps);
}

/* One row as a delivery: its name is the row's, with what tells its contents apart. */
static enum err make_delivery(struct ctx *cx, const struct kept_row *row, struct uuid cause,
                              struct delivery *out) {
    struct buf body = buf_new(cx->mem, 1 << 20);
    unsigned char *hash = NEW_N(cx->mem, unsigned char, HASH);
    struct kept_row content = *row;
    struct json text;
    content.modified_at = (struct instant){0}; /* touching a row without changing it is nothing new */
    text = audit_json(cx, &KEPT_ROW, &content);
    schema_encode(&KEPT_ROW, OUT, row, &body);
    if (!hash || !text.text.p || body.failed)
        return fail(cx, ERR_MEMORY, "A row does not fit in memory.");
    crypto_generichash(hash, HASH, (const unsigned char *)text.text.p, text.text.n, NULL, 0);
    struct bytes fingerprint = {hash, HASH};
    *out = (struct delivery){.source = S("smartsheet.row"),
                             .event_id = str_printf(cx->mem, "row:%lld:%lld@%.*s", (long long)row->sheet,
                                                    (long long)row->row,
                                                    STR_FMT(hex_encode(cx->mem, (struct bytes){hash, 8}))),
                             .fingerprint = fingerprint,
                             .body = {(const unsigned char *)buf_str(&body).p, body.n},
                             .verdict = inbox_verdict(cx, "fetched", 0),
                             .cause_id = cause};
    return OK;
}

/* What came of one page, on its way into the inbox. */
struct haul {
    struct delivery *rows;
    size_t n;
    struct uuid cause; /* the callback, settled with it when it is done */
    struct str problem;
    int64_t sheet; /* the sync's sheet, known up to then once it is done */
    struct instant until;
    bool done;
};

static enum err gather(struct ctx *cx, const struct smartsheet_page *page, struct haul *h) {
    const struct smartsheet_row *rows = page->rows.items;
    enum err e = OK;
    h->n = 0;
    if (!(h->rows = NEW_N(cx->mem, struct delivery, page->rows.n + 1)))
        return fail(cx, ERR_MEMORY, "The rows do not fit in memory.");
    for (size_t i = 0; !e && i < page->rows.n; i++) {
        struct kept_row row;
        e = kept_row_make(cx, page, &rows[i], &row);
        if (!e && row.cells.n > 0) /* an empty row is not yet a scan */
            e = make_delivery(cx, &row, h->cause, &h->rows[h->n++]);
    }
    return e;
}

static enum err land(struct ctx *cx, void *arg) {
    const struct haul *h = arg;
    struct steps steps = {.cx = cx};
    enum err e = OK;
    for (size_t i = 0; !e && i < h->n; i++) {
        struct delivery d = h->rows[i]; /* a copy: the closure may run again */
        enum received received;
        e = inbox_put(cx, &d, &received);
    }
    if (!e && h->done && !uuid_is_nil(h->cause))
        inbox_settle(&steps, h->cause, S("applied"), h->problem);
    if (!e && h->done && h->sheet)
        steps_add(&steps, &SQL[SET_SYNCED], ARGS(A(h->sheet), A(h->until)), NULL);
    return e ? e : steps_run(&steps);
}

/* One page into the inbox, with memory of its own: all of them may be more than a job may take. A sheet's
 * page that is not full is its last, whatever the answer says of how many there are. */
static enum err take_page(struct ctx *cx, const struct job *job, const struct smartsheet_wish *wish,
                          struct haul *h) {
    struct ctx own = *cx;
    struct smartsheet_page page;
    if (!(own.mem = arena_new(PAGE_MEMORY)))
        return fail(cx, ERR_MEMORY, "There is not enough memory for a page.");
    enum err e = smartsheet_page(&own, job, wish, &page);
    if (!e && h->sheet)
        h->done = page.rows.n < SMARTSHEET_PAGE;
    if (!e && !(e = gather(&own, &page, h)))
        e = job_write(&own, job, land, h);
    if (e)
        (void)fail(cx, e, "%.*s", STR_FMT(own.fault.message));
    arena_free(own.mem);
    return e;
}

static enum err load(struct ctx *cx, struct uuid id, struct delivery *d, struct str *token) {
    bool found = false;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = inbox_to_apply(cx, id, d, &found);
    if (!e)
        e = found ? smartsheet_token(cx, token)
                  : fail(cx, ERR_NOT_FOUND, "There is no delivery with this id.");
    db_read_end(cx);
    return e;
}

/* The job `smartsheet.fetch`: the rows that a callback names. */
static enum err fetch(struct ctx *cx, const struct job *job) {
    struct fetch_args a;
    struct delivery d;
    struct callback c;
    struct changes changes;
    struct smartsheet_wish wish = {.page = 1};
    enum err e = schema_decode(cx, &FETCH, CREATE, REFUSE_UNKNOWN, job->args.text, &a, NULL);
    if (e || (e = load(cx, a.id, &d, &wish.token)) || (e = read_callback(cx, &d, &c)) ||
        (e = changes_of(cx, &c, &changes)))
        return e;
    struct haul h = {.cause = d.id, .problem = changes.deleted ? DELETED : (struct str){0}};
    wish.sheet = c.sheet;
    for (size_t at = 0; !e && !h.done; at += wish.n_rows) {
        wish.rows = changes.rows + at;
        wish.n_rows = changes.n - at < ROWS_A_CALL ? changes.n - at : ROWS_A_CALL;
        h.done = at + wish.n_rows == changes.n;
        e = take_page(cx, job, &wish, &h);
    }
    return e;
}

static enum err synced_to(struct ctx *cx, int64_t sheet, struct instant *out) {
    struct synced s = {0};
    bool found;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = db_get(cx, &SQL[GET_SYNCED], ARGS(A(sheet)), &s, &found);
    db_read_end(cx);
    *out = s.synced_to;
    return e;
}

/* All rows of a sheet that changed since it was last asked; the first time, all. */
static enum err sync_sheet(struct ctx *cx, const struct job *job, struct str token, int64_t sheet) {
    struct haul h = {.sheet = sheet, .until = {cx->now.us - OVERLAP_US}};
    struct smartsheet_wish wish = {.sheet = sheet, .token = token, .page = 1};
    enum err e = synced_to(cx, sheet, &wish.since);
    for (; !e && !h.done; wish.page++) {
        e = take_page(cx, job, &wish, &h);
        job_progress(job, wish.page, 0, S("pages read"));
    }
    return e;
}

static enum err look_after(struct ctx *cx, void *arg) {
    (void)arg;
    return webhooks_want(cx);
}

/* The job `smartsheet_sync`. A sheet that fails does not keep the others from being read. Whether the
 * webhooks are still on is another job's to see, which has this one run again when one was not. */
static enum err sync(struct ctx *cx, const struct job *job) {
    int64_t *sheets;
    size_t n = 0;
    struct str token = {0};
    enum err e = db_read_begin(cx), first = OK;
    if (e)
        return e;
    e = smartsheet_sheets(cx, "scan", &sheets, &n);
    if (!e && n > 0)
        e = smartsheet_token(cx, &token);
    db_read_end(cx);
    if (!e && n > 0 && webhooks_managed(cx))
        e = job_write(cx, job, look_after, NULL);
    for (size_t i = 0; !e && i < n; i++) {
        if (job_cancelled(job))
            return fail(cx, ERR_UNAVAILABLE, "The sync was broken off.");
        enum err wrong = sync_sheet(cx, job, token, sheets[i]);
        first = first ? first : wrong;
    }
    return e ? e : first;
}

static bool sheet_item(struct str s) {
    struct str kind, id;
    int64_t n;
    return str_cut(s, '=', &kind, &id) && str_trim(kind).n > 0 && str_int(str_trim(id), &n) && n > 0;
}

static const struct setting SETTINGS[] = {
    {.name = "SMARTSHEET_SHEETS",
     .type = SETTING_LIST,
     .fallback = "",
     .check = sheet_item,
     .rule = "must be a kind, = and the id of a sheet, as in scan=123",
     .doc = "Which sheets are used for what: scan=123,draft_porf=456; org:scan=123 for an organisation by "
            "its slug, "
            "without a prefix for the oldest. Rows of scan sheets are scans."},
};

static const struct job_type JOBS[] = {
    {.name = "smartsheet.fetch",
     .mode = JOB_THREAD,
     .run = fetch,
     .args = &FETCH,
     .doc = "Gets the rows that a callback of Smartsheet names."},
    {.name = "smartsheet_sync",
     .mode = JOB_THREAD,
     .run = sync,
     .keep_done = true,
     .schedule = "*/10 * * * *",
     .doc = "Gets the rows of scan sheets that changed since it last ran: what callbacks have missed."},
};

const struct module SMARTSHEET_FETCH_MODULE = {
    .name = "smartsheet_fetch", TABLE(stmts, SQL), TABLE(settings, SETTINGS), TABLE(jobs, JOBS)};
