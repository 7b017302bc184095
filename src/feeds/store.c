#include "feeds/store.h"

#include "core/place.h"
#include "identity/audit.h"
#include "net/listing.h"

#include "base/banned.h"

bool store_code_valid(struct str s) {
    return code_readable(s) && s.n <= 64 && !str_eq(s, S(".")) && !str_eq(s, S(".."));
}

static const struct field FIELDS[] = {
    FIELD(struct store, store_code, CREATE | OUT | ROW | REQUIRED,
          "What its files and the feeds' rows call it.", .min = 1, .max = 64, .check = store_code_valid,
          .rule = "must be visible ASCII without space or /, and not . or .."),
    FIELD(struct store, store_name, CREATE | PATCH | OUT | ROW, "A name for people.", .max = 200),
    FIELD(struct store, etl_flag, CREATE | PATCH | OUT | ROW, "Its files are fetched and taken in."),
    FIELD(struct store, report_flag, CREATE | PATCH | OUT | ROW, "It stands in the reports; needs etl_flag."),
    FIELD(struct store, revision, ROW, "Counts the changes; the ETag."),
    FIELD(struct store, updated_at, OUT | ROW, "When it was changed last."),
};
const struct schema STORE = SCHEMA(struct store, "Store", FIELDS);

enum { INSERT, UPDATE, GET_ONE, BY_CODE, ALL, TO_INGEST, TO_REPORT, REMOVE };
#define COLUMNS "store_code, store_name, etl_flag, report_flag, revision, updated_at"
static const struct stmt SQL[] = {
    [INSERT] = {"store_insert", TENANT,
                "INSERT INTO store_master (org_id, " COLUMNS ") VALUES ($org, $1, $2, $3, $4, $5, $6)"
                " ON CONFLICT (org_id, store_code) DO NOTHING",
                NULL, NULL},
    [UPDATE] = {"store_update", TENANT,
                "UPDATE store_master SET store_name = $2, etl_flag = $3, report_flag = $4, revision = $5,"
                " updated_at = $6 WHERE org_id = $org AND store_code = $1 AND revision = $5 - 1",
                NULL, NULL},
    [GET_ONE] = {"store_get", TENANT,
                 "SELECT " COLUMNS " FROM store_master WHERE org_id = $org AND store_code = $1", NULL,
                 &STORE},
    [BY_CODE] = {"store_by_code", TENANT,
                 "SELECT " COLUMNS " FROM store_master WHERE org_id = $org"
                 " AND store_code > COALESCE($3, '') AND CAST($4 AS text) IS NULL"
                 " AND (CAST($5 AS boolean) IS NULL OR etl_flag = $5)"
                 " AND (CAST($6 AS boolean) IS NULL OR report_flag = $6)"
                 " ORDER BY store_code LIMIT $1 OFFSET $2",
                 NULL, &STORE},
    [ALL] = {"stores_all", TENANT,
             "SELECT " COLUMNS " FROM store_master WHERE org_id = $org ORDER BY store_code", NULL, &STORE},
    [TO_INGEST] = {"stores_to_ingest", TENANT,
                   "SELECT " COLUMNS " FROM store_master WHERE org_id = $org AND etl_flag"
                   " ORDER BY store_code",
                   NULL, &STORE},
    [TO_REPORT] = {"stores_to_report", TENANT,
                   "SELECT " COLUMNS " FROM store_master WHERE org_id = $org AND report_flag"
                   " ORDER BY store_code",
                   NULL, &STORE},
    [REMOVE] = {"store_remove", TENANT, "DELETE FROM store_master WHERE org_id = $org AND store_code = $1",
                NULL, NULL},
};

static enum err flagged(struct ctx *cx, const struct stmt *st, const char *flag, struct list *out) {
    enum err e = db_list(cx, st, ARGS(), out);
    if (e || out->n > 0)
        return e;
    return fail(cx, ERR_UNAVAILABLE,
                "No store has %s: set it by /api/v1/stores or `entrepot stores import FILE.csv`.", flag);
}

enum err stores_to_ingest(struct ctx *cx, struct list *out) {
    return flagged(cx, &SQL[TO_INGEST], "etl_flag", out);
}

enum err stores_to_report(struct ctx *cx, struct list *out) {
    enum err e = flagged(cx, &SQL[TO_REPORT], "report_flag", out);
    const struct store *v = out->items;
    for (size_t i = 0; !e && i < out->n; i++)
        if (!v[i].etl_flag)
            return fail(cx, ERR_UNAVAILABLE,
                        "The store %.*s has report_flag without etl_flag: only what is taken in can be"
                        " reported.",
                        STR_FMT(v[i].store_code));
    return e;
}

enum err stores_all(struct ctx *cx, struct list *out) { return db_list(cx, &SQL[ALL], ARGS(), out); }

enum err store_put(struct ctx *cx, const struct store *before, struct store *after) {
    int64_t changed;
    if (after->report_flag && !after->etl_flag)
        return fail_field(cx, S("report_flag"), STORE_REPORT_RULE);
    after->revision = before ? before->revision + 1 : 1;
    after->updated_at = cx->now;
    enum err e = db_exec(cx, &SQL[before ? UPDATE : INSERT], args_of(cx, &STORE, after, ARGS()), &changed);
    if (e)
        return e;
    if (changed == 0)
        return before ? fail(cx, ERR_CONFLICT, "%.*s was changed by another request just now; read it again.",
                             STR_FMT(after->store_code))
                      : fail(cx, ERR_CONFLICT, "A store with the code %.*s exists already.",
                             STR_FMT(after->store_code));
    return audit_change(cx, before ? S("store.change") : S("store.create"), after->store_code, &STORE, before,
                        after);
}

static enum err require(struct ctx *cx, struct str code, struct store *out) {
    bool found;
    enum err e = db_get(cx, &SQL[GET_ONE], ARGS(A(code)), out, &found);
    if (e)
        return e;
    return found ? OK : fail(cx, ERR_NOT_FOUND, "There is no store with the code %.*s.", STR_FMT(code));
}

static enum err answer_store(struct ctx *cx, struct answer *an, int status, const struct store *s) {
    answer_etag(cx, an, s->revision);
    return answer_object(cx, an, status, &STORE, s);
}

static enum err create(struct ctx *cx, struct request *rq, struct answer *an) {
    enum err e = store_put(cx, NULL, rq->in);
    return e ? e : answer_store(cx, an, 201, rq->in);
}

static enum err get(struct ctx *cx, struct request *rq, struct answer *an) {
    struct store s;
    enum err e = require(cx, rq->param[0], &s);
    return e ? e : answer_store(cx, an, 200, &s);
}

static enum err change(struct ctx *cx, struct request *rq, struct answer *an) {
    struct store s;
    enum err e = require(cx, rq->param[0], &s);
    if (e || (e = request_if_match(cx, rq, s.revision)))
        return e;
    struct store before = s;
    schema_merge(&STORE, rq->present, rq->in, &s);
    return (e = store_put(cx, &before, &s)) ? e : answer_store(cx, an, 200, &s);
}

static enum err remove_store(struct ctx *cx, struct request *rq, struct answer *an) {
    (void)an;
    struct store s;
    enum err e = require(cx, rq->param[0], &s);
    if (e || (e = db_exec(cx, &SQL[REMOVE], ARGS(A(s.store_code)), NULL)))
        return e;
    return audit_change(cx, S("store.remove"), s.store_code, &STORE, &s, NULL);
}

static const struct listing_sort SORTS[] = {{"store_code", &SQL[BY_CODE], "store_code", NULL}};
static const struct listing_filter FILTERS[] = {{"etl_flag", NULL, NULL, &FIELDS[2], NULL},
                                                {"report_flag", NULL, NULL, &FIELDS[3], NULL}};
static const struct listing LISTING = {&STORE, SORTS, 1, FILTERS, 2};

static const enum err TAKEN[] = {ERR_CONFLICT, OK};
static const enum err CHANGED[] = {ERR_CONFLICT, ERR_STALE, OK};
static const struct route ROUTES[] = {
    ROUTE(GET, "/api/v1/stores", READ, AREA_CATALOGUE, NEED_READ, listing_answer, "Lists the stores.",
          .flags = ROUTE_LIST, .out = &STORE, .listing = &LISTING),
    ROUTE(POST, "/api/v1/stores", WRITE, AREA_CATALOGUE, NEED_WRITE, create, "Makes a store.",
          .flags = ROUTE_CREATES | ROUTE_IDEMPOTENT, .in = &STORE, .in_use = CREATE, .out = &STORE,
          .errors = TAKEN),
    ROUTE(GET, "/api/v1/stores/{store_code}", READ, AREA_CATALOGUE, NEED_READ, get, "Shows a store.",
          .out = &STORE),
    ROUTE(PATCH_, "/api/v1/stores/{store_code}", WRITE, AREA_CATALOGUE, NEED_WRITE, change,
          "Changes a store; If-Match with its ETag refuses to overwrite a newer version.", .in = &STORE,
          .in_use = PATCH, .out = &STORE, .errors = CHANGED),
    ROUTE(DELETE, "/api/v1/stores/{store_code}", WRITE, AREA_CATALOGUE, NEED_WRITE, remove_store,
          "Removes a store from the list; what it has brought stays.", .flags = ROUTE_NO_CONTENT),
};

const struct module STORE_MODULE = {.name = "stores", TABLE(routes, ROUTES), TABLE(stmts, SQL)};
