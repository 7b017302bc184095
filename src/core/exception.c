#include "core/exception.h"

#include "base/json.h"
#include "net/listing.h"

#include "base/banned.h"

static const char *const STATES[] = {"open", "resolved", NULL};
static const struct field FIELDS[] = {
    FIELD(struct exception, id, OUT | ROW, "The exception's own id."),
    FIELD(struct exception, source, OUT | ROW, "Where the row came from."),
    FIELD(struct exception, body, OUT | ROW, "The row as it came."),
    FIELD(struct exception, problems, OUT | ROW, "What is wrong with it, field by field."),
    FIELD(struct exception, state, OUT | ROW, "open until it was repaired and applied.", .one_of = STATES),
    FIELD(struct exception, created_at, OUT | ROW, "When it was refused."),
    FIELD(struct exception, resolved_at, OUT | ROW, "When it was repaired."),
    FIELD(struct exception, actor, OUT | ROW, "Who sent it."),
};
const struct schema EXCEPTION = SCHEMA(struct exception, "Exception", FIELDS);

enum { INSERT, GET_ONE, NEWEST, RESOLVE };
#define COLUMNS "id, source, body, problems, state, created_at, resolved_at, actor"
static const struct stmt SQL[] = {
    [INSERT] = {"exception_insert", TENANT,
                "INSERT INTO intake_exception (org_id, " COLUMNS
                ") VALUES ($org, $1, $2, $3, $4, $5, $6, $7, $8)",
                NULL, NULL},
    [GET_ONE] = {"exception_get", TENANT,
                 "SELECT " COLUMNS " FROM intake_exception WHERE org_id = $org AND id = $1", NULL,
                 &EXCEPTION},
    [NEWEST] = {"exception_newest", TENANT,
                "SELECT " COLUMNS " FROM intake_exception WHERE org_id = $org AND id < COALESCE($3, "
                "x'ffffffffffffffffffffffffffffffff')"
                " AND CAST($4 AS text) IS NULL AND (CAST($5 AS text) IS NULL OR state = $5)"
                " ORDER BY id DESC LIMIT $1 OFFSET $2",
                "SELECT " COLUMNS " FROM intake_exception WHERE org_id = $org"
                " AND id < COALESCE($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)"
                " AND CAST($4 AS text) IS NULL AND (CAST($5 AS text) IS NULL OR state = $5)"
                " ORDER BY id DESC LIMIT $1 OFFSET $2",
                &EXCEPTION},
    [RESOLVE] = {"exception_resolve", TENANT,
                 "UPDATE intake_exception SET state = 'resolved', resolved_at = $2"
                 " WHERE org_id = $org AND id = $1 AND state = 'open'",
                 NULL, NULL},
};

static void put_problem(struct buf *b, bool *first, struct str field, struct str problem) {
    bool inner = true;
    buf_add(b, *first ? S("{") : S(",{"));
    *first = false;
    json_put_key(b, &inner, S("field"));
    json_put_string(b, field);
    json_put_key(b, &inner, S("problem"));
    json_put_string(b, problem);
    buf_byte(b, '}');
}

enum err exception_keep(struct ctx *cx, struct str source, struct str body, struct uuid *id) {
    struct buf b = buf_new(cx->mem, 1 << 16);
    bool first = true;
    buf_byte(&b, '[');
    for (size_t i = 0; i < cx->fault.n; i++)
        put_problem(&b, &first, cx->fault.problems[i].field, cx->fault.problems[i].problem);
    if (cx->fault.n == 0)
        put_problem(&b, &first, (struct str){0}, cx->fault.message);
    buf_byte(&b, ']');
    if (b.failed)
        return fail(cx, ERR_MEMORY, "The row has too many problems.");
    struct exception x = {.id = uuid_new(cx->now),
                          .source = source,
                          .body = body,
                          .problems = {buf_str(&b)},
                          .state = S("open"),
                          .created_at = cx->now,
                          .actor = cx->actor.name};
    *id = x.id;
    return db_exec(cx, &SQL[INSERT], args_of(cx, &EXCEPTION, &x, ARGS()), NULL);
}

enum err exception_find(struct ctx *cx, struct str id, struct exception *out) {
    struct uuid u;
    bool found = false;
    enum err e = OK;
    if (uuid_parse(id, &u))
        e = db_get(cx, &SQL[GET_ONE], ARGS(A(u)), out, &found);
    if (e)
        return e;
    return found ? OK : fail(cx, ERR_NOT_FOUND, "There is no exception with this id.");
}

enum err exception_resolve(struct ctx *cx, struct uuid id) {
    int64_t changed;
    enum err e = db_exec(cx, &SQL[RESOLVE], ARGS(A(id), A(cx->now)), &changed);
    if (e || changed == 1)
        return e;
    return fail(cx, ERR_CONFLICT, "This exception was repaired already.");
}

static const struct listing_sort SORTS[] = {{"-created_at", &SQL[NEWEST], "id", NULL}};
static const struct listing_filter FILTERS[] = {{"state", NULL, NULL, &FIELDS[4], NULL}};
static const struct listing LISTING = {&EXCEPTION, SORTS, 1, FILTERS, 1};
static const struct route ROUTES[] = {
    ROUTE(GET, "/api/v1/catalog/exceptions", READ, AREA_FLOOR, NEED_READ, listing_answer,
          "Lists the scans that were refused, newest first.", .flags = ROUTE_LIST, .out = &EXCEPTION,
          .listing = &LISTING),
};

const struct module EXCEPTION_MODULE = {.name = "exceptions", TABLE(routes, ROUTES), TABLE(stmts, SQL)};
