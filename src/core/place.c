#include "core/place.h"

#include "identity/audit.h"
#include "net/listing.h"

#include "base/banned.h"

static const char *const KINDS[] = {"warehouse", "box",        "channel", "supplier",
                                    "customer",  "adjustment", NULL};

bool code_readable(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '/')
            return false;
    return s.n > 0;
}

static bool code_valid(struct str s) { return code_readable(s) && !str_eq(s, S(".")) && !str_eq(s, S("..")); }

static const struct field FIELDS[] = {
    FIELD(struct place, code, CREATE | OUT | ROW | REQUIRED,
          "What the place is called in moves and on labels.", .min = 1, .max = 64, .check = code_valid,
          .rule = "must be visible ASCII without space or /, and not . or .."),
    FIELD(struct place, kind, CREATE | OUT | ROW | REQUIRED,
          "What sort of place it is; warehouse, box and channel are bounded.", .one_of = KINDS),
    FIELD(struct place, name, CREATE | PATCH | OUT | ROW, "A name for people.", .max = 200),
    FIELD(struct place, bounded, OUT | ROW, "Whether it can hold no less than is reserved in it."),
    FIELD(struct place, created_at, OUT | ROW, "When it was made."),
    FIELD(struct place, last_counted_at, OUT | ROW, "When what is there was counted last."),
};
const struct schema PLACE = SCHEMA(struct place, "Place", FIELDS);

enum { INSERT, GET_ONE, BY_CODE, RENAME, COUNTED, REMOVE, USED };
#define COLUMNS "code, kind, name, bounded, created_at, last_counted_at"
static const struct stmt SQL[] = {
    [INSERT] = {"place_insert", TENANT,
                "INSERT INTO place (org_id, " COLUMNS ") VALUES ($org, $1, $2, $3, $4, $5, $6)"
                " ON CONFLICT (org_id, code) DO NOTHING",
                NULL, NULL},
    [GET_ONE] = {"place_get", TENANT, "SELECT " COLUMNS " FROM place WHERE org_id = $org AND code = $1", NULL,
                 &PLACE},
    [BY_CODE] = {"place_by_code", TENANT,
                 "SELECT " COLUMNS " FROM place WHERE org_id = $org"
                 " AND code > COALESCE($3, '') AND (CAST($5 AS text) IS NULL OR kind = $5)"
                 " AND CAST($4 AS text) IS NULL ORDER BY code LIMIT $1 OFFSET $2",
                 NULL, &PLACE},
    [RENAME] = {"place_rename", TENANT, "UPDATE place SET name = $2 WHERE org_id = $org AND code = $1", NULL,
                NULL},
    [COUNTED] = {"place_counted", TENANT,
                 "UPDATE place SET last_counted_at = $2 WHERE org_id = $org AND code = $1", NULL, NULL},
    [REMOVE] = {"place_remove", TENANT, "DELETE FROM place WHERE org_id = $org AND code = $1", NULL, NULL},
    [USED] = {"place_used", TENANT,
              "SELECT " COLUMNS " FROM place WHERE org_id = $org AND code = $1 AND EXISTS"
              " (SELECT 1 FROM stock_level l WHERE l.org_id = $org AND l.place = $1)",
              NULL, &PLACE},
};

static bool bounded(struct str kind) {
    return str_eq(kind, S("warehouse")) || str_eq(kind, S("box")) || str_eq(kind, S("channel"));
}

static const char *const STANDARD[][2] = {{"warehouse", "Warehouse"},
                                          {"supplier", "Suppliers"},
                                          {"customer", "Customers"},
                                          {"adjustment", "Adjustments"}};

enum err place_ensure_standard(struct ctx *cx) {
    for (size_t i = 0; i < sizeof(STANDARD) / sizeof(STANDARD[0]); i++) {
        struct str code = str_of(STANDARD[i][0]);
        struct place p = {.code = code,
                          .kind = code,
                          .name = str_of(STANDARD[i][1]),
                          .bounded = bounded(code),
                          .created_at = cx->now};
        enum err e = db_exec(cx, &SQL[INSERT], args_of(cx, &PLACE, &p, ARGS()), NULL);
        if (e)
            return e;
    }
    return OK;
}

enum err place_find(struct ctx *cx, struct str code, struct place *out, bool *found) {
    return db_get(cx, &SQL[GET_ONE], ARGS(A(code)), out, found);
}

enum err place_counted(struct ctx *cx, struct str code) {
    return db_exec(cx, &SQL[COUNTED], ARGS(A(code), A(cx->now)), NULL);
}

static enum err require(struct ctx *cx, struct str code, struct place *out) {
    bool found;
    enum err e = place_find(cx, code, out, &found);
    if (e)
        return e;
    return found ? OK : fail(cx, ERR_NOT_FOUND, "There is no place with the code %.*s.", STR_FMT(code));
}

static enum err create(struct ctx *cx, struct request *rq, struct answer *an) {
    struct place *p = rq->in;
    p->bounded = bounded(p->kind);
    p->created_at = cx->now;
    int64_t changed;
    enum err e = db_exec(cx, &SQL[INSERT], args_of(cx, &PLACE, p, ARGS()), &changed);
    if (e)
        return e;
    if (changed == 0)
        return fail(cx, ERR_CONFLICT, "A place with the code %.*s exists already.", STR_FMT(p->code));
    if ((e = audit_change(cx, S("place.create"), p->code, &PLACE, NULL, p)))
        return e;
    return answer_object(cx, an, 201, &PLACE, p);
}

static enum err get(struct ctx *cx, struct request *rq, struct answer *an) {
    struct place p;
    enum err e = require(cx, rq->param[0], &p);
    return e ? e : answer_object(cx, an, 200, &PLACE, &p);
}

static enum err change(struct ctx *cx, struct request *rq, struct answer *an) {
    struct place p;
    enum err e = require(cx, rq->param[0], &p);
    if (e)
        return e;
    struct place before = p;
    schema_merge(&PLACE, rq->present, rq->in, &p);
    if ((e = db_exec(cx, &SQL[RENAME], ARGS(A(p.code), A(p.name)), NULL)))
        return e;
    if ((e = audit_change(cx, S("place.change"), p.code, &PLACE, &before, &p)))
        return e;
    return answer_object(cx, an, 200, &PLACE, &p);
}

static enum err remove_place(struct ctx *cx, struct request *rq, struct answer *an) {
    (void)an;
    struct place p, used;
    bool found;
    enum err e = require(cx, rq->param[0], &p);
    if (e || (e = db_get(cx, &SQL[USED], ARGS(A(p.code)), &used, &found)))
        return e;
    if (found)
        return fail(cx, ERR_CONFLICT, "%.*s has a stock history, so it cannot be removed.", STR_FMT(p.code));
    for (size_t i = 0; i < sizeof(STANDARD) / sizeof(STANDARD[0]); i++)
        if (str_eq(p.code, str_of(STANDARD[i][0])))
            return fail(cx, ERR_CONFLICT, "%.*s is one of the places that every organisation has.",
                        STR_FMT(p.code));
    if ((e = db_exec(cx, &SQL[REMOVE], ARGS(A(p.code)), NULL)))
        return e;
    return audit_change(cx, S("place.remove"), p.code, &PLACE, &p, NULL);
}

static const struct listing_sort SORTS[] = {{"code", &SQL[BY_CODE], "code", NULL}};
static const struct listing_filter FILTERS[] = {{"kind", NULL, NULL, &FIELDS[1], NULL}};
static const struct listing LISTING = {&PLACE, SORTS, 1, FILTERS, 1};

static const enum err TAKEN[] = {ERR_CONFLICT, OK};
static const struct route ROUTES[] = {
    ROUTE(GET, "/api/v1/places", READ, AREA_CATALOGUE, NEED_READ, listing_answer, "Lists the places.",
          .flags = ROUTE_LIST, .out = &PLACE, .listing = &LISTING),
    ROUTE(POST, "/api/v1/places", WRITE, AREA_CATALOGUE, NEED_WRITE, create, "Makes a place.",
          .flags = ROUTE_CREATES | ROUTE_IDEMPOTENT, .in = &PLACE, .in_use = CREATE, .out = &PLACE,
          .errors = TAKEN),
    ROUTE(GET, "/api/v1/places/{code}", READ, AREA_CATALOGUE, NEED_READ, get, "Shows a place.",
          .out = &PLACE),
    ROUTE(PATCH_, "/api/v1/places/{code}", WRITE, AREA_CATALOGUE, NEED_WRITE, change, "Renames a place.",
          .in = &PLACE, .in_use = PATCH, .out = &PLACE),
    ROUTE(DELETE, "/api/v1/places/{code}", WRITE, AREA_CATALOGUE, NEED_WRITE, remove_place,
          "Removes a place that has never held stock.", .flags = ROUTE_NO_CONTENT, .errors = TAKEN),
};

const struct module PLACE_MODULE = {.name = "places", TABLE(routes, ROUTES), TABLE(stmts, SQL)};
