/* The webhook secrets as people see them: whose, since when, last used; never what they are. */
#include "core/secret_age.h"
#include "identity/identity.h"
#include "net/listing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/banned.h"

#define DAY_US (24 * 3600 * US_PER_S)
#define LISTED_MAX 500

static const char *const SERVICES[] = {"shipstation", "smartsheet", NULL};
static const struct field ROW_FIELDS[] = {
    FIELD(struct secret_row, service, OUT | REQUIRED, "Whose webhooks it proves.", .one_of = SERVICES),
    FIELD(struct secret_row, setting, OUT | ROW | REQUIRED, "The setting that holds it."),
    FIELD(struct secret_row, index, OUT,
          "The how manieth of the setting, from 1; none if it is not set any more."),
    FIELD(struct secret_row, organisation, OUT, "The organisation's slug."),
    FIELD(struct secret_row, org_id, ROW, "The organisation."),
    FIELD(struct secret_row, fingerprint, ROW, "What it is known by."),
    FIELD(struct secret_row, active, OUT | REQUIRED, "It is set, on the server that answers."),
    FIELD(struct secret_row, first_seen_at, OUT | ROW, "When a server first started with it."),
    FIELD(struct secret_row, last_used_at, OUT | ROW, "When it last proved a delivery, to the minute."),
    FIELD(struct secret_row, age_days, OUT, "Whole days since it was first seen."),
    FIELD(struct secret_row, old, OUT | REQUIRED, "It is set and older than 90 days: rotate it."),
};
const struct schema SECRET_ROW = SCHEMA(struct secret_row, "WebhookSecret", ROW_FIELDS);

/* The rows are few: as many as there ever were secrets. */
#define COLUMNS "setting, org_id, fingerprint, first_seen_at, last_used_at"
const struct stmt SECRET_STMTS[SECRET_STMTS_N] = {
    [SECRET_NOTE] = {"webhook_secret_note", SYSTEM,
                     "INSERT INTO webhook_secret (org_id, setting, fingerprint, first_seen_at, last_used_at)"
                     " VALUES ($1, $2, $3, $4, $5)"
                     " ON CONFLICT (org_id, setting, fingerprint) DO UPDATE"
                     " SET last_used_at = excluded.last_used_at WHERE excluded.last_used_at IS NOT NULL"
                     " AND (webhook_secret.last_used_at IS NULL"
                     " OR webhook_secret.last_used_at < excluded.last_used_at)",
                     NULL, NULL},
    [SECRETS_OWN] = {"webhook_secrets_own", TENANT,
                     "SELECT " COLUMNS " FROM webhook_secret WHERE org_id = $org"
                     " ORDER BY setting, first_seen_at DESC, fingerprint",
                     NULL, &SECRET_ROW},
    [SECRETS_ALL] = {"webhook_secrets_all", SYSTEM,
                     "SELECT " COLUMNS " FROM webhook_secret"
                     " ORDER BY org_id, setting, first_seen_at DESC, fingerprint",
                     NULL, &SECRET_ROW},
};

static void complete(const struct ctx *cx, const struct list *orgs, struct secret_row *row) {
    const struct organisation *org = orgs->items;
    for (size_t i = 0; i < orgs->n; i++)
        if (uuid_eq(org[i].id, row->org_id))
            row->organisation = org[i].slug;
    row->service = str_eq(row->setting, str_of(secret_setting_name(SECRETS_SMARTSHEET))) ? S("smartsheet")
                                                                                         : S("shipstation");
    if (row->first_seen_at.us)
        row->age_days = (struct optional_int){(cx->now.us - row->first_seen_at.us) / DAY_US, true};
    row->old =
        row->active && row->age_days.has && cx->now.us - row->first_seen_at.us > SECRET_OLD_DAYS * DAY_US;
}

/* The row that the table has of a secret, which is active by that; or what is known without one. */
static struct secret_row take_row(const struct secret *a, const struct list *rows) {
    struct secret_row *v = rows->items;
    struct secret_row out = {.org_id = a->org, .setting = str_of(secret_setting_name(a->of))};
    for (size_t i = 0; i < rows->n; i++)
        if (v[i].fingerprint.n == FINGERPRINT_BYTES &&
            memcmp(v[i].fingerprint.p, a->fingerprint, FINGERPRINT_BYTES) == 0) {
            v[i].active = true;
            out = v[i];
        }
    out.index = (struct optional_int){a->which, true};
    out.active = true;
    return out;
}

static enum err list(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct secrets *s = module_state(cx, &SECRETS_MODULE);
    bool everybody = cx->actor.role == ROLE_OPERATOR;
    struct list orgs, rows;
    enum err e = listing_check(cx, rq);
    if (e || (e = organisation_list(cx, &orgs)) ||
        (e = db_list(cx, &SECRET_STMTS[everybody ? SECRETS_ALL : SECRETS_OWN], ARGS(), &rows)))
        return e;
    struct secret *active = NEW_N(cx->mem, struct secret, s->most + 1);
    struct secret_row *out = NEW_N(cx->mem, struct secret_row, s->most + rows.n + 1);
    if (!active || !out)
        return fail(cx, ERR_MEMORY, "The list does not fit in memory.");
    size_t n = 0, n_active = secrets_read(s, &orgs, active);
    for (size_t i = 0; i < n_active; i++)
        if (everybody || uuid_eq(active[i].org, cx->actor.org))
            out[n++] = take_row(&active[i], &rows);
    for (size_t i = 0; i < rows.n && n < LISTED_MAX; i++)
        if (!((const struct secret_row *)rows.items)[i].active)
            out[n++] = ((const struct secret_row *)rows.items)[i];
    for (size_t i = 0; i < n; i++)
        complete(cx, &orgs, &out[i]);
    return answer_list(cx, an, &SECRET_ROW, (struct list){out, n}, 1, LISTED_MAX, (struct str){0});
}

static const struct listing_sort SORTS[] = {{"setting", &SECRET_STMTS[SECRETS_OWN], "setting", NULL}};
static const struct listing LISTING = {.row = &SECRET_ROW, .sorts = SORTS, .n_sorts = 1};

const struct route SECRET_ROUTES[] = {
    ROUTE(GET, "/api/v1/webhooks/secrets", READ, AREA_ORGANISATION, NEED_READ, list,
          "The webhook secrets of the organisation: how old, when last used; never what they are.",
          .flags = ROUTE_LIST, .out = &SECRET_ROW, .listing = &LISTING),
    ROUTE(GET, "/operator/webhooks/secrets", READ, AREA_OPERATOR, NEED_READ, list,
          "The webhook secrets of all organisations: how old, when last used.", .flags = ROUTE_LIST,
          .out = &SECRET_ROW, .listing = &LISTING),
};

static enum err list_request(struct ctx *cx, const struct command_line *line, struct str *target,
                             struct str *body) {
    (void)cx, (void)line, (void)body;
    *target = S("/operator/webhooks/secrets");
    return OK;
}

/* The first so many characters of a moment: 10 for the day, 16 for the minute. */
static void print_time(const char *label, struct instant at, size_t n, const char *zone) {
    char text[32];
    struct str said = at.us ? str_sub(instant_format(at, text), 0, n) : S("never");
    printf("  %s %-*.*s%s", label, (int)n, STR_FMT(said), at.us ? zone : " ");
}

static void list_print(struct ctx *cx, struct str data) {
    struct list rows;
    struct fault *faults;
    if (schema_decode_array(cx, &SECRET_ROW, OUT, data, LISTED_MAX, &rows, &faults))
        return;
    if (!rows.n)
        printf("No webhook secrets.\n");
    for (size_t i = 0; i < rows.n; i++) {
        const struct secret_row *r = (const struct secret_row *)rows.items + i;
        printf("%-26.*s ", STR_FMT(r->setting));
        if (r->index.has)
            printf("%" PRId64, r->index.v);
        printf("%s  %-12.*s", r->index.has ? "" : "-", STR_FMT(r->organisation));
        print_time("first seen", r->first_seen_at, 10, "");
        print_time("last used", r->last_used_at, 16, "Z");
        if (r->age_days.has)
            printf("  %3" PRId64 " days", r->age_days.v);
        printf("%s\n", r->old ? "  OLD: rotate it" : r->active ? "" : "  not set any more");
    }
}

const struct command SECRET_COMMANDS[] = {
    {.name = "secrets list",
     .doc = "Shows the webhook secrets by their place in the settings: how old, when last used.",
     .method = GET,
     .request = list_request,
     .print = list_print},
};
