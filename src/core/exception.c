#include "core/exception.h"

#include "base/json.h"
#include "identity/audit.h"
#include "net/answer.h"
#include "net/listing.h"
#include "net/path.h"

#include "base/banned.h"

#define ROW_MAX (1 << 20)

static const char *const STATES[] = {"open", "resolved", "dismissed", NULL};
enum { F_KIND = 1, F_SOURCE = 2, F_STATE = 6, F_UPLOAD = 9, F_RUN = 17 };
static const struct field FIELDS[] = {
    FIELD(struct exception, id, OUT | ROW | REQUIRED,
          "The exception's own id; of a delivery, the delivery's."),
    FIELD(struct exception, kind, OUT | ROW | REQUIRED, "What sort of row it is: scan, delivery, …",
          .max = 64),
    FIELD(struct exception, source, OUT | ROW | REQUIRED, "Which way it came in.", .max = 64),
    FIELD(struct exception, body, OUT | ROW, "The row as it came; never changed.", .max = ROW_MAX),
    FIELD(struct exception, repaired, OUT | ROW, "The row as it was repaired.", .max = ROW_MAX),
    FIELD(struct exception, problems, OUT | ROW, "What is wrong with it, field by field.", .max = ROW_MAX),
    FIELD(struct exception, state, OUT | ROW, "open until it was applied or dismissed.", .one_of = STATES),
    FIELD(struct exception, ref, OUT | ROW, "The source's own name for it: a scan id, an event id."),
    FIELD(struct exception, delivery_id, OUT | ROW, "The delivery that brought it."),
    FIELD(struct exception, upload_id, OUT | ROW, "The upload that brought it."),
    FIELD(struct exception, row_number, OUT | ROW, "The row of the file; the headings are row 1."),
    FIELD(struct exception, seen, OUT | ROW, "How often the very same was refused."),
    FIELD(struct exception, created_at, OUT | ROW, "Since when it waits."),
    FIELD(struct exception, actor, OUT | ROW, "Who sent it."),
    FIELD(struct exception, resolved_at, OUT | ROW, "When it ended."),
    FIELD(struct exception, resolved_by, OUT | ROW, "Who ended it."),
    FIELD(struct exception, resolution, OUT | ROW, "How it ended: what was done, or why it was dismissed."),
    FIELD(struct exception, run_id, OUT | ROW, "The bulk run that touched it last."),
    FIELD(struct exception, result, OUT, "What replaying it came to, as its own route answers."),
};
const struct schema EXCEPTION = SCHEMA(struct exception, "Exception", FIELDS);

struct kind_count {
    struct str kind, source, state;
    int64_t count;
};
static const struct field COUNT_FIELDS[] = {
    FIELD(struct kind_count, kind, OUT | ROW, "What sort of row."),
    FIELD(struct kind_count, source, OUT | ROW, "Which way it came in."),
    FIELD(struct kind_count, state, OUT | ROW, "open, resolved or dismissed."),
    FIELD(struct kind_count, count, OUT | ROW, "How many."),
};
static const struct schema COUNT = SCHEMA(struct kind_count, "ExceptionCount", COUNT_FIELDS);

enum { INSERT, GET_ONE, NEWEST, NEWEST_STATE, COUNTS, END, REOPEN, REPAIR, MADE_GOOD, DELIVERY, SETTLED };
#define BEFORE_SQLITE " id < COALESCE($3, x'ffffffffffffffffffffffffffffffff') AND CAST($4 AS text) IS NULL"
#define BEFORE_POSTGRES \
    " id < COALESCE($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid) AND CAST($4 AS text) IS NULL"
#define LIST_HEAD "SELECT " EXCEPTION_COLUMNS " FROM intake_exception WHERE org_id = $org AND"
#define LIST_TAIL " ORDER BY id DESC LIMIT $1 OFFSET $2"
#define FROM_DELIVERY(text)                                                                                  \
    "INSERT INTO intake_exception (org_id, id, kind, source, body, problems, state, ref, delivery_id, seen," \
    " created_at, actor) SELECT org_id, id, 'delivery', source, " text ", $2, 'open', event_id, id, 1, $3,"  \
    " source FROM inbox WHERE org_id = $org AND id = $1 ON CONFLICT (org_id, id) DO UPDATE SET"              \
    " state = 'open', problems = excluded.problems, resolved_at = NULL, resolved_by = NULL,"                 \
    " resolution = NULL"
static const struct stmt SQL[] = {
    /* The same row once more: another text of an open one is its repair, and what is wrong with it counts. */
    [INSERT] = {"exception_insert", TENANT,
                "INSERT INTO intake_exception (org_id, " EXCEPTION_COLUMNS ", origin_key)"
                " VALUES ($org, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,"
                " $18, $19) ON CONFLICT (org_id, origin_key) DO UPDATE SET seen = intake_exception.seen + 1,"
                " problems = CASE WHEN intake_exception.state = 'open' AND (intake_exception.repaired IS NULL"
                " OR intake_exception.body <> excluded.body) THEN excluded.problems"
                " ELSE intake_exception.problems END,"
                " repaired = CASE WHEN intake_exception.state = 'open'"
                " AND intake_exception.body <> excluded.body THEN excluded.body"
                " ELSE intake_exception.repaired END",
                NULL, NULL},
    [GET_ONE] = {"exception_get", TENANT,
                 "SELECT " EXCEPTION_COLUMNS " FROM intake_exception WHERE org_id = $org AND id = $1", NULL,
                 &EXCEPTION},
    [NEWEST] = {"exception_newest", TENANT,
                LIST_HEAD BEFORE_SQLITE EXCEPTION_LIKE_SQLITE " AND ($11 IS NULL OR run_id = $11)" LIST_TAIL,
                LIST_HEAD BEFORE_POSTGRES EXCEPTION_LIKE_POSTGRES
                " AND (CAST($11 AS uuid) IS NULL OR run_id = $11)" LIST_TAIL,
                &EXCEPTION},
    [NEWEST_STATE] = {"exception_newest_of_state", TENANT,
                      LIST_HEAD BEFORE_SQLITE EXCEPTION_LIKE_SQLITE
                      " AND ($11 IS NULL OR run_id = $11) AND state = $7" LIST_TAIL,
                      LIST_HEAD BEFORE_POSTGRES EXCEPTION_LIKE_POSTGRES
                      " AND (CAST($11 AS uuid) IS NULL OR run_id = $11) AND state = $7" LIST_TAIL,
                      &EXCEPTION},
    [COUNTS] = {"exception_counts", TENANT,
                "SELECT kind, source, state, count(*) AS count FROM intake_exception WHERE org_id = $org"
                " GROUP BY kind, source, state ORDER BY kind, source, state",
                NULL, &COUNT},
    [END] = {"exception_end", TENANT,
             "UPDATE intake_exception SET state = $2, resolved_at = $3, resolved_by = $4, resolution = $5,"
             " repaired = COALESCE($6, repaired), run_id = COALESCE($7, run_id)"
             " WHERE org_id = $org AND id = $1 AND state = 'open'",
             NULL, NULL},
    [REOPEN] = {"exception_reopen", TENANT,
                "UPDATE intake_exception SET state = 'open', resolved_at = NULL, resolved_by = NULL,"
                " resolution = NULL, problems = $2 WHERE org_id = $org AND id = $1",
                NULL, NULL},
    [REPAIR] = {"exception_repair", TENANT,
                "UPDATE intake_exception SET repaired = $2, problems = $3, run_id = COALESCE($4, run_id)"
                " WHERE org_id = $org AND id = $1 AND state = 'open'",
                NULL, NULL},
    [MADE_GOOD] = {"exception_made_good", TENANT,
                   "UPDATE intake_exception SET state = 'resolved', resolved_at = $2, resolved_by = $3,"
                   " resolution = 'It was sent again and taken.'"
                   " WHERE org_id = $org AND origin_key = $1 AND state = 'open'",
                   NULL, NULL},
    [DELIVERY] = {"exception_of_delivery", TENANT, FROM_DELIVERY("CAST(body AS text)"),
                  FROM_DELIVERY("convert_from(body, 'UTF8')"), NULL},
    [SETTLED] = {"exception_delivery_settled", TENANT,
                 "UPDATE intake_exception SET state = 'resolved', resolved_at = $2, resolved_by = $3,"
                 " resolution = $4 WHERE org_id = $org AND id = $1 AND state = 'open'",
                 NULL, NULL},
};

bool exception_refusal(enum err e) { return e == ERR_INVALID || e == ERR_CONFLICT || e == ERR_INSUFFICIENT; }

const struct exception_kind *exception_kind(const struct ctx *cx, struct str name) {
    for (size_t m = 0; m < cx->modules->n; m++)
        for (size_t i = 0; i < cx->modules->list[m]->n_exceptions; i++)
            if (str_eq(name, str_of(cx->modules->list[m]->exceptions[i].name)))
                return &cx->modules->list[m]->exceptions[i];
    return NULL;
}

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

struct json exception_problems(struct ctx *cx) {
    struct buf b = buf_new(cx->mem, 1 << 16);
    bool first = true;
    buf_byte(&b, '[');
    for (size_t i = 0; i < cx->fault.n; i++)
        put_problem(&b, &first, cx->fault.problems[i].field, cx->fault.problems[i].problem);
    if (cx->fault.n == 0 && cx->fault.code)
        put_problem(&b, &first, (struct str){0}, cx->fault.message);
    buf_byte(&b, ']');
    return (struct json){b.failed ? S("[]") : buf_str(&b)};
}

static struct str origin_key(struct ctx *cx, struct str source, struct str ref) {
    return ref.p ? str_printf(cx->mem, "%.*s:%.*s", STR_FMT(source), STR_FMT(ref)) : (struct str){0};
}

enum err exception_add(struct ctx *cx, const struct exception_origin *from, struct str body,
                       struct uuid *id) {
    return exception_add_with(cx, from, body, exception_problems(cx), id);
}

enum err exception_add_with(struct ctx *cx, const struct exception_origin *from, struct str body,
                            struct json problems, struct uuid *id) {
    struct exception x = {.id = uuid_new(cx->now),
                          .kind = from->kind,
                          .source = from->source,
                          .body = body,
                          .problems = problems,
                          .state = S("open"),
                          .ref = from->ref,
                          .delivery_id = from->delivery_id,
                          .upload_id = from->upload_id,
                          .row_number = from->row_number,
                          .seen = 1,
                          .created_at = cx->now,
                          .actor = cx->actor.name.p ? cx->actor.name : S("system")};
    struct str key = origin_key(cx, from->source, from->ref);
    *id = x.id;
    return db_exec(cx, &SQL[INSERT], args_of(cx, &EXCEPTION, &x, ARGS(A(key))), NULL);
}

enum err exception_made_good(struct ctx *cx, struct str source, struct str ref) {
    return db_exec(cx, &SQL[MADE_GOOD], ARGS(A(origin_key(cx, source, ref)), A(cx->now), A(cx->actor.name)),
                   NULL);
}

void exception_of_delivery(struct steps *steps, struct uuid delivery, struct str problem) {
    struct buf b = buf_new(steps->cx->mem, 1 << 16);
    bool first = true;
    buf_byte(&b, '[');
    put_problem(&b, &first, (struct str){0}, problem);
    buf_byte(&b, ']');
    struct json problems = {b.failed ? S("[]") : buf_str(&b)};
    steps_add(steps, &SQL[DELIVERY], ARGS(A(delivery), A(problems), A(steps->cx->now)), NULL);
}

void exception_delivery_settled(struct steps *steps, struct uuid delivery, struct str state) {
    struct str how = str_printf(steps->cx->mem, "The delivery is %.*s.", STR_FMT(state));
    steps_add(steps, &SQL[SETTLED], ARGS(A(delivery), A(steps->cx->now), A(steps->cx->actor.name), A(how)),
              NULL);
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

/* Ends it, unless another did before: of two at once one does. */
static enum err end(struct ctx *cx, struct exception *x, struct str state, struct str how,
                    struct str repaired, struct uuid run) {
    int64_t changed;
    enum err e = db_exec(cx, &SQL[END],
                         ARGS(A(x->id), A(state), A(cx->now), A(cx->actor.name), A(how), A(repaired), A(run)),
                         &changed);
    if (e)
        return e;
    if (changed == 0)
        return fail(cx, ERR_CONFLICT, "This exception has ended already.");
    x->state = state;
    x->resolved_at = cx->now;
    x->resolved_by = cx->actor.name;
    x->resolution = how;
    x->repaired = repaired.p ? repaired : x->repaired;
    return OK;
}

static enum err audit(struct ctx *cx, struct str action, const struct exception *before,
                      const struct exception *after) {
    char id[36];
    return audit_write(cx, action, uuid_format(after->id, id), audit_json(cx, &EXCEPTION, before),
                       audit_json(cx, &EXCEPTION, after));
}

enum err exception_replay(struct ctx *cx, struct exception *x, struct str repaired, struct uuid run,
                          bool *refused) {
    const struct exception_kind *kind = exception_kind(cx, x->kind);
    struct exception before = *x;
    struct actor actor = cx->actor;
    *refused = false;
    if (!kind)
        return fail(cx, ERR_CONFLICT, "Nothing here replays exceptions of the kind %.*s; dismiss it.",
                    STR_FMT(x->kind));
    bool edited = repaired.p || x->repaired.p;
    struct str text = repaired.p ? repaired : edited ? x->repaired : x->body;
    enum err e = end(cx, x, S("resolved"), edited ? S("Repaired and applied.") : S("Applied as it came."),
                     repaired, run);
    if (e)
        return e;
    e = kind->replay(cx, x, text, &x->result);
    cx->actor = actor;
    if (!exception_refusal(e))
        return e ? e : audit(cx, S("exception.replay"), &before, x);
    *refused = true;
    *x = before;
    x->problems = exception_problems(cx);
    return db_exec(cx, &SQL[REOPEN], ARGS(A(x->id), A(x->problems)), NULL);
}

enum err exception_dismiss(struct ctx *cx, struct exception *x, struct str reason, struct uuid run) {
    struct exception before = *x;
    const struct exception_kind *kind = exception_kind(cx, x->kind);
    bool more = kind && kind->dismissed && str_eq(x->state, S("open"));
    /* What it stands for is locked before it, as who applies a delivery does. */
    enum err e = more ? kind->dismissed(cx, x, reason) : OK;
    if (!e)
        e = end(cx, x, S("dismissed"), reason, (struct str){0}, run);
    if (more && e == ERR_CONFLICT) /* no refusal that may be committed: it has been dealt with by then */
        return fail(cx, ERR_UNAVAILABLE, "This exception is being dealt with just now; look again.");
    return e ? e : audit(cx, S("exception.dismiss"), &before, x);
}

struct member {
    struct str key, value;
};
#define MEMBERS_MAX 200

/* The members of an object; none when the text is no object. */
static enum err members(struct ctx *cx, struct str text, struct member *out, size_t *n) {
    struct json_reader r;
    struct str key;
    bool first = true;
    *n = 0;
    json_begin(&r, cx->mem, text);
    if (json_peek(&r) != JSON_OBJECT || !json_enter(&r, JSON_OBJECT))
        return OK;
    while (json_next(&r, &key, &first)) {
        struct member m = {.key = key};
        if (!json_skip(&r, &m.value))
            break;
        if (*n == MEMBERS_MAX)
            return fail_field(cx, S("body"), "must have at most %d members", MEMBERS_MAX);
        out[(*n)++] = m;
    }
    return OK;
}

static bool among(const struct member *m, size_t n, struct str key) {
    for (size_t i = 0; i < n; i++)
        if (str_eq(m[i].key, key))
            return true;
    return false;
}

/* The row with the members of patch in place of its own; a null takes the member away. */
static enum err lay_over(struct ctx *cx, struct str row, struct str patch, struct member *new, size_t *n_new,
                         struct str *out) {
    struct member *old = NEW_N(cx->mem, struct member, MEMBERS_MAX);
    struct buf b = buf_new(cx->mem, ROW_MAX);
    bool first = true;
    size_t n_old;
    if (!old)
        return fail(cx, ERR_MEMORY, "The row does not fit in memory.");
    enum err e = members(cx, row, old, &n_old);
    if (e || (e = members(cx, patch, new, n_new)))
        return e;
    buf_byte(&b, '{');
    for (size_t i = 0; i < n_old + *n_new; i++) {
        const struct member *m = i < n_old ? &old[i] : &new[i - n_old];
        if (i < n_old ? among(new, *n_new, m->key) : str_eq(m->value, S("null")))
            continue;
        json_put_key(&b, &first, m->key);
        buf_add(&b, m->value);
    }
    buf_byte(&b, '}');
    *out = buf_str(&b);
    return b.failed ? fail(cx, ERR_TOO_LARGE, "The repaired row is too large.") : OK;
}

/* Whether a problem is about what the patch brought, and not about what else is wrong with the row. */
static bool about(const struct fault *f, const struct member *m, size_t n) {
    for (size_t i = 0; i < f->n; i++)
        for (size_t k = 0; k < n; k++) {
            struct str rest = str_sub(f->problems[i].field, m[k].key.n, f->problems[i].field.n);
            if (str_starts(f->problems[i].field, m[k].key) &&
                (rest.n == 0 || rest.p[0] == '[' || rest.p[0] == '.'))
                return true;
        }
    return false;
}

enum err exception_repair(struct ctx *cx, struct exception *x, struct str patch, struct uuid run) {
    const struct exception_kind *kind = exception_kind(cx, x->kind);
    struct member *new = NEW_N(cx->mem, struct member, MEMBERS_MAX);
    struct exception before = *x;
    size_t n_new;
    struct str row;
    if (!kind || !kind->row)
        return fail(cx, ERR_CONFLICT, "A row of the kind %.*s cannot be edited here.", STR_FMT(x->kind));
    void *out = arena_alloc(cx->mem, kind->row->size);
    if (!new || !out)
        return fail(cx, ERR_MEMORY, "The row does not fit in memory.");
    enum err e = lay_over(cx, x->repaired.p ? x->repaired : x->body, patch, new, &n_new, &row);
    if (e)
        return e;
    e = schema_decode(cx, kind->row, CREATE, REFUSE_UNKNOWN, row, out, NULL);
    if (e && (e != ERR_INVALID || about(&cx->fault, new, n_new)))
        return e;
    x->problems = exception_problems(cx);
    x->repaired = row;
    fault_clear(cx);
    int64_t changed;
    if ((e = db_exec(cx, &SQL[REPAIR], ARGS(A(x->id), A(row), A(x->problems), A(run)), &changed)))
        return e;
    return changed ? audit(cx, S("exception.repair"), &before, x)
                   : fail(cx, ERR_CONFLICT, "This exception has ended already.");
}

static enum err get(struct ctx *cx, struct request *rq, struct answer *an) {
    struct exception x;
    enum err e = exception_find(cx, rq->param[0], &x);
    return e ? e : answer_object(cx, an, 200, &EXCEPTION, &x);
}

bool exception_search(struct ctx *cx, const struct request *rq) {
    struct str path, query, name, value;
    enum err e;
    target_cut(rq->target, &path, &query);
    if (str_ends(path, S("/counts")) || str_ends(path, S("/export")))
        return true;
    while (query_next(cx, &query, &name, &value, &e))
        if (str_eq(name, S("filter[text]")) || str_eq(name, S("filter[field]")))
            return true;
    fault_clear(cx); /* a broken query is for the handler to refuse */
    return false;
}

static enum err counts(struct ctx *cx, struct request *rq, struct answer *an) {
    (void)rq;
    struct list rows;
    enum err e = db_list(cx, &SQL[COUNTS], ARGS(), &rows);
    return e ? e : answer_list(cx, an, &COUNT, rows, 0, 0, (struct str){0});
}

/* A refusal without a row in the body keeps what is wrong now; a row that is refused leaves no trace. */
static enum err replay(struct ctx *cx, struct request *rq, struct answer *an) {
    struct exception x;
    bool refused;
    struct str row = str_trim(rq->body).n ? rq->body : (struct str){0};
    enum err e = exception_find(cx, rq->param[0], &x);
    if (e || (e = exception_replay(cx, &x, row, (struct uuid){0}, &refused)))
        return e;
    if (!refused)
        return answer_object(cx, an, 201, &EXCEPTION, &x);
    if (row.p)
        return cx->fault.code;
    answer_fault(cx, an);
    fault_clear(cx); /* the refusal is the answer; the problems are to be committed */
    return OK;
}

static enum err repair(struct ctx *cx, struct request *rq, struct answer *an) {
    struct exception x;
    struct json_reader r;
    struct str whole;
    enum err e = exception_find(cx, rq->param[0], &x);
    json_begin(&r, cx->mem, rq->body);
    if (!e && json_peek(&r) != JSON_OBJECT)
        e = fail_field(cx, S("body"), "must be an object of the fields to correct");
    if (!e && (!json_skip(&r, &whole) || !json_end(&r)))
        e = fail(cx, ERR_MALFORMED, "The body is not JSON: %s.", r.problem);
    if (e || (e = exception_repair(cx, &x, rq->body, (struct uuid){0})))
        return e;
    return answer_object(cx, an, 200, &EXCEPTION, &x);
}

struct dismissal {
    struct str reason;
};
static const struct field DISMISSAL_FIELDS[] = {FIELD(struct dismissal, reason, CREATE | REQUIRED,
                                                      "Why nothing needs to be done.", .min = 1, .max = 500)};
static const struct schema DISMISSAL = SCHEMA(struct dismissal, "ExceptionDismissal", DISMISSAL_FIELDS);

static enum err dismiss(struct ctx *cx, struct request *rq, struct answer *an) {
    struct exception x;
    const struct dismissal *in = rq->in;
    enum err e = exception_find(cx, rq->param[0], &x);
    if (e || (e = exception_dismiss(cx, &x, in->reason, (struct uuid){0})))
        return e;
    return answer_object(cx, an, 200, &EXCEPTION, &x);
}

static const struct field FIELD_NAME = {
    .name = "field", .kind = KIND_STR, .max = 200, .doc = "Only those with something wrong with this field."};
static const struct field TEXT = {.name = "text",
                                  .kind = KIND_STR,
                                  .min = 1,
                                  .max = 200,
                                  .doc = "Only those that hold this text anywhere."};
static const struct listing_sort SORTS[] = {{"-created_at", &SQL[NEWEST], "id", NULL}};
static const struct listing_filter FILTERS[] = {
    {"kind", NULL, NULL, &FIELDS[F_KIND], NULL},
    {"source", NULL, NULL, &FIELDS[F_SOURCE], NULL},
    {"state", NULL, NULL, &FIELDS[F_STATE], &SQL[NEWEST_STATE]},
    {"field", NULL, NULL, &FIELD_NAME, NULL},
    {"text", NULL, NULL, &TEXT, NULL},
    {"upload_id", NULL, NULL, &FIELDS[F_UPLOAD], NULL},
    {"run_id", NULL, NULL, &FIELDS[F_RUN], NULL},
};
static const struct listing LISTING = {&EXCEPTION, SORTS, 1, FILTERS, 7};

static const enum err REFUSED[] = {ERR_INVALID, ERR_CONFLICT, OK};
#define PATH "/api/v1/catalog/exceptions"
static const struct route ROUTES[] = {
    ROUTE(GET, PATH, READ, AREA_FLOOR, NEED_READ, listing_answer,
          "Lists every row and event that was refused and waits for a person, newest first.",
          .flags = ROUTE_LIST, .out = &EXCEPTION, .listing = &LISTING, .patient = exception_search),
    ROUTE(GET, PATH "/counts", READ, AREA_FLOOR, NEED_READ, counts,
          "Counts the exceptions of each kind, source and state.", .out_each = &COUNT,
          .patient = exception_search),
    ROUTE(GET, PATH "/{id}", READ, AREA_FLOOR, NEED_READ, get, "Shows an exception.", .out = &EXCEPTION),
    ROUTE(PATCH_, PATH "/{id}", WRITE, AREA_FLOOR, NEED_WRITE, repair,
          "Corrects fields of the row, null takes one away; what came is kept. It is applied by replay.",
          .flags = ROUTE_BODY_ANY, .out = &EXCEPTION, .errors = REFUSED),
    ROUTE(POST, PATH "/{id}/replay", WRITE, AREA_FLOOR, NEED_WRITE, replay,
          "Applies an exception again: as it came, as it was repaired, or as the row in the body.",
          .flags = ROUTE_CREATES | ROUTE_BODY_ANY, .out = &EXCEPTION, .errors = REFUSED),
    ROUTE(POST, PATH "/{id}/dismiss", WRITE, AREA_FLOOR, NEED_WRITE, dismiss,
          "Ends an exception without applying it.", .in = &DISMISSAL, .in_use = CREATE, .out = &EXCEPTION,
          .errors = REFUSED),
};

const struct module EXCEPTION_MODULE = {.name = "exceptions", TABLE(routes, ROUTES), TABLE(stmts, SQL)};
