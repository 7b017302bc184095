/* Smartsheet's webhooks for people: what they are, and having them switched on and off. */
#include "base/json.h"
#include "core/smartsheet_webhook.h"
#include "identity/audit.h"
#include "identity/identity.h"
#include "net/listing.h"
#include "net/path.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/banned.h"

#define LISTED_MAX 500
#define TARGET_MAX 1024
#define PATH "/api/v1/webhooks/smartsheet"
#define OPERATOR "/operator/webhooks/smartsheet"

static enum err list(struct ctx *cx, struct request *rq, struct answer *an) {
    struct list rows;
    enum err e = listing_check(cx, rq);
    if (e || (e = webhook_list(cx, &rows)))
        return e;
    return answer_list(cx, an, &SHEET_WEBHOOK, rows, 1, LISTED_MAX, (struct str){0});
}

static const struct listing_sort SORTS[] = {{"sheet_id", &WEBHOOK_STMTS[WEBHOOK_GET], "sheet_id", NULL}};
static const struct listing LISTING = {.row = &SHEET_WEBHOOK, .sorts = SORTS, .n_sorts = 1};

struct started {
    int64_t sheet_id;
    struct uuid job_id;
};
static const struct field STARTED_FIELDS[] = {
    FIELD(struct started, sheet_id, OUT | REQUIRED, "The sheet."),
    FIELD(struct started, job_id, OUT | REQUIRED, "The job that does it; the list shows what came of it."),
};
static const struct schema STARTED = SCHEMA(struct started, "SmartsheetWebhookStarted", STARTED_FIELDS);

/* By a job: Smartsheet calls back before it answers, and may be slow. */
static enum err start(struct ctx *cx, struct request *rq, struct answer *an, const char *action) {
    struct webhook_order o = {.sheet_id.has = true, .action = str_of(action), .asked_at = cx->now};
    struct started out = {.job_id = uuid_new(cx->now)};
    struct str url;
    int64_t *sheets;
    size_t n, i = 0;
    enum err e = smartsheet_sheets(cx, "scan", &sheets, &n);
    if (e)
        return e;
    while (i < n && !(str_int(rq->param[0], &o.sheet_id.v) && sheets[i] == o.sheet_id.v))
        i++;
    if (i == n)
        return fail(cx, ERR_NOT_FOUND, "SMARTSHEET_SHEETS has no such scan sheet for this organisation.");
    if ((e = webhook_callback_url(cx, &url)))
        return fail(cx, ERR_CONFLICT, "%.*s", STR_FMT(cx->fault.message));
    struct json args = audit_json(cx, &WEBHOOK_ORDER, &o);
    out.sheet_id = o.sheet_id.v;
    if ((e = jobs_enqueue(cx, &(struct job_new){.name = WEBHOOK_JOB, .args = args, .id = out.job_id})) ||
        (e = audit_write(cx, str_printf(cx->mem, "smartsheet.webhook.%s", action), rq->param[0],
                         (struct json){0}, args)))
        return e;
    return answer_object(cx, an, 202, &STARTED, &out);
}

static enum err enable(struct ctx *cx, struct request *rq, struct answer *an) {
    return start(cx, rq, an, "enable");
}
static enum err disable(struct ctx *cx, struct request *rq, struct answer *an) {
    return start(cx, rq, an, "disable");
}
static enum err rotate(struct ctx *cx, struct request *rq, struct answer *an) {
    return start(cx, rq, an, "rotate");
}

static enum err operator_list(struct ctx *cx, struct request *rq, struct answer *an) {
    struct str organisation;
    enum err e = request_query(cx, rq, S("organisation"), &organisation);
    return e || (e = organisation_choose(cx, organisation)) ? e : list(cx, rq, an);
}

struct operator_order {
    struct str organisation, action;
    struct optional_int sheet_id;
};
static const struct field ORDER_FIELDS[] = {
    FIELD(struct operator_order, organisation, CREATE, "Whose, by name or slug; the oldest's if not said.",
          .max = 200),
    FIELD(struct operator_order, action, CREATE | REQUIRED, "What to do.", .one_of = WEBHOOK_ACTIONS),
    FIELD(struct operator_order, sheet_id, CREATE, "The sheet; all if not said.", .min = 1, .max = INT64_MAX),
};
static const struct schema ORDER = SCHEMA(struct operator_order, "SmartsheetWebhookAct", ORDER_FIELDS);
static const struct query OF_ORGANISATION[] = {{"organisation", &ORDER_FIELDS[0]}, {NULL, NULL}};

/* At once, and waits for what comes of it. */
static enum err operator_act(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct operator_order *in = rq->in;
    struct webhook_order o = {.sheet_id = in->sheet_id, .action = in->action, .asked_at = cx->now};
    struct runner_setup setup = {.modules = cx->modules->list, .n_modules = cx->modules->n};
    struct list rows;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = organisation_choose(cx, in->organisation);
    db_read_end(cx);
    if (e || (e = runner_foreground(cx, &setup, S(WEBHOOK_JOB), audit_json(cx, &WEBHOOK_ORDER, &o).text)) ||
        (e = db_read_begin(cx)))
        return e;
    e = webhook_list(cx, &rows);
    db_read_end(cx);
    return e ? e : answer_list(cx, an, &SHEET_WEBHOOK, rows, 0, 0, (struct str){0});
}

static const enum err NOT_NOW[] = {ERR_NOT_FOUND, ERR_CONFLICT, OK};
static const enum err NOT_SET[] = {ERR_NOT_FOUND, OK};
static const struct route ROUTES[] = {
    ROUTE(GET, PATH, READ, AREA_ORGANISATION, NEED_READ, list,
          "The webhooks of the organisation's scan sheets at Smartsheet, as they were when last looked at.",
          .flags = ROUTE_LIST, .out = &SHEET_WEBHOOK, .listing = &LISTING),
    ROUTE(POST, PATH "/{sheet}/enable", WRITE, AREA_ORGANISATION, NEED_WRITE, enable,
          "Makes a sheet's webhook if there is none, and switches it on, whatever was tried before.",
          .out = &STARTED, .out_status = 202, .errors = NOT_NOW),
    ROUTE(POST, PATH "/{sheet}/disable", WRITE, AREA_ORGANISATION, NEED_WRITE, disable,
          "Switches a sheet's webhook off, until it is enabled again.", .out = &STARTED, .out_status = 202,
          .errors = NOT_NOW),
    ROUTE(POST, PATH "/{sheet}/rotate", WRITE, AREA_ORGANISATION, NEED_WRITE, rotate,
          "Gives a sheet's webhook a new secret; the one before is good for another hour.", .out = &STARTED,
          .out_status = 202, .errors = NOT_NOW),
    ROUTE(GET, OPERATOR, READ, AREA_OPERATOR, NEED_READ, operator_list,
          "The webhooks of an organisation's scan sheets at Smartsheet.", .flags = ROUTE_LIST,
          .out = &SHEET_WEBHOOK, .listing = &LISTING, .query = OF_ORGANISATION),
    ROUTE(POST, OPERATOR, SLOW, AREA_OPERATOR, NEED_WRITE, operator_act,
          "Acts on the webhooks of an organisation's scan sheets at Smartsheet, and says what came of it.",
          .in = &ORDER, .in_use = CREATE, .out = &SHEET_WEBHOOK, .errors = NOT_SET),
};

/* --- commands --- */

enum { ORG, OPTIONS };
static const struct option WHOSE[] = {
    [ORG] = {"org", "NAME", false, "Of this organisation, by name or slug; else of the oldest."},
    [OPTIONS] = {NULL, NULL, false, NULL},
};

static enum err list_request(struct ctx *cx, const struct command_line *line, struct str *target,
                             struct str *body) {
    struct buf b = buf_new(cx->mem, TARGET_MAX);
    (void)body;
    buf_add(&b, S(OPERATOR "?"));
    query_put(&b, "organisation", line->option[ORG]);
    *target = buf_str(&b);
    return b.failed ? fail(cx, ERR_USAGE, "The words of the command are too long.") : OK;
}

static enum err act_request(struct ctx *cx, const struct command_line *line, const char *action,
                            struct str *target, struct str *body) {
    struct buf b = buf_new(cx->mem, TARGET_MAX);
    int64_t sheet;
    bool all = line->n_words == 0 || str_eq(line->words[0], S("all"));
    if (!all && !str_int(line->words[0], &sheet))
        return fail(cx, ERR_USAGE, "%.*s is not the id of a sheet; see `entrepot smartsheet list`.",
                    STR_FMT(line->words[0]));
    buf_printf(&b, "{\"action\":\"%s\"", action);
    if (!all)
        buf_printf(&b, ",\"sheet_id\":%" PRId64, sheet);
    if (line->option[ORG].p) {
        buf_add(&b, S(",\"organisation\":"));
        json_put_string(&b, line->option[ORG]);
    }
    buf_byte(&b, '}');
    *target = S(OPERATOR);
    *body = buf_str(&b);
    return b.failed ? fail(cx, ERR_USAGE, "The words of the command are too long.") : OK;
}
static enum err enable_request(struct ctx *cx, const struct command_line *line, struct str *target,
                               struct str *body) {
    return act_request(cx, line, "enable", target, body);
}
static enum err disable_request(struct ctx *cx, const struct command_line *line, struct str *target,
                                struct str *body) {
    return act_request(cx, line, "disable", target, body);
}
static enum err rotate_request(struct ctx *cx, const struct command_line *line, struct str *target,
                               struct str *body) {
    return act_request(cx, line, "rotate", target, body);
}

static void print_one(const struct sheet_webhook *w) {
    char at[32];
    struct instant since = w->enabled ? w->enabled_at : w->off_since;
    printf("%-20" PRId64 "  %-28.*s", w->sheet_id, STR_FMT(w->status.p ? w->status : S("not made yet")));
    if (since.us)
        printf("  since %.*sZ", STR_FMT(str_sub(instant_format(since, at), 0, 16)));
    printf("%s%.*s\n", w->problem.p ? "  " : "", STR_FMT(w->problem));
    if (w->next_attempt_at.us && !w->enabled)
        printf("%20s  tried again at %.*sZ\n", "",
               STR_FMT(str_sub(instant_format(w->next_attempt_at, at), 0, 16)));
}

static void list_print(struct ctx *cx, struct str data) {
    struct list rows;
    struct fault *faults;
    if (schema_decode_array(cx, &SHEET_WEBHOOK, OUT, data, LISTED_MAX, &rows, &faults))
        return;
    if (!rows.n)
        printf("No scan sheets: SMARTSHEET_SHEETS names none for this organisation.\n");
    for (size_t i = 0; i < rows.n; i++)
        print_one((const struct sheet_webhook *)rows.items + i);
}

#define ACT(verb, text)                                                                                   \
    {                                                                                                     \
        .name = "smartsheet " #verb, .words = "[SHEET]", .options = WHOSE, .doc = (text), .method = POST, \
        .request = verb##_request, .print = list_print                                                    \
    }
static const struct command COMMANDS[] = {
    {.name = "smartsheet list",
     .options = WHOSE,
     .doc = "Shows the webhooks of the scan sheets at Smartsheet, and what stands in their way.",
     .method = GET,
     .request = list_request,
     .print = list_print,
     .pages = true},
    ACT(enable, "Makes the webhook of a sheet, or of all, if there is none, and switches it on."),
    ACT(disable, "Switches the webhook of a sheet, or of all, off until it is enabled again."),
    ACT(rotate, "Gives the webhook of a sheet, or of all, a new secret."),
};

const struct module SMARTSHEET_WEBHOOK_ROUTES_MODULE = {
    .name = "smartsheet_webhook_routes", TABLE(routes, ROUTES), TABLE(commands, COMMANDS)};
