/* `entrepot exceptions …`: the administrator's routes to the same list, for any organisation. */
#include "core/exception.h"

#include "base/json.h"
#include "identity/identity.h"
#include "net/command.h"

#include <stdio.h>

#include "base/banned.h"

#define LISTED_MAX 500

struct query_body {
    struct str organisation, kind, state;
};
static const struct field QUERY_FIELDS[] = {
    FIELD(struct query_body, organisation, CREATE, "Whose, by slug or name; else the oldest.", .max = 200),
    FIELD(struct query_body, kind, CREATE, "Only those of this kind.", .max = 64),
    FIELD(struct query_body, state, CREATE, "Only those in this state; open if not said.", .max = 20),
};
static const struct schema QUERY = SCHEMA(struct query_body, "ExceptionQuery", QUERY_FIELDS);

struct end_body {
    struct str reason;
};
static const struct field END_FIELDS[] = {
    FIELD(struct end_body, reason, CREATE | REQUIRED, "Why nothing needs to be done.", .min = 1, .max = 500)};
static const struct schema END = SCHEMA(struct end_body, "ExceptionEnd", END_FIELDS);

static const struct stmt SQL[] = {
    {"exception_for_operator", TENANT,
     "SELECT " EXCEPTION_COLUMNS " FROM intake_exception WHERE org_id = $org AND state = $2"
     " AND (CAST($3 AS text) IS NULL OR kind = $3) ORDER BY id DESC LIMIT $1",
     NULL, &EXCEPTION},
};

static enum err choose(struct ctx *cx, struct str name) {
    struct organisation org = {0};
    struct list all;
    enum err e = name.p ? organisation_find(cx, name, &org) : organisation_list(cx, &all);
    if (!e && !name.p && all.n > 0)
        org = ((const struct organisation *)all.items)[0];
    if (!e)
        cx->actor.org = org.id;
    return e;
}

static enum err list(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct query_body *q = rq->in;
    struct list rows;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    if (!(e = choose(cx, q->organisation)))
        e = db_list(cx, &SQL[0], ARGS(A(LISTED_MAX), A(q->state.p ? q->state : S("open")), A(q->kind)),
                    &rows);
    db_read_end(cx);
    return e ? e : answer_list(cx, an, &EXCEPTION, rows, 0, 0, (struct str){0});
}

/* The operator names it by its id alone: whose it is, is looked for. */
static enum err find_anywhere(struct ctx *cx, struct str id, struct exception *x) {
    struct list all;
    enum err e = organisation_list(cx, &all);
    const struct organisation *orgs = all.items;
    for (size_t i = 0; !e && i < all.n; i++) {
        cx->actor.org = orgs[i].id;
        e = exception_find(cx, id, x);
        if (e != ERR_NOT_FOUND)
            return e;
        fault_clear(cx);
        e = OK;
    }
    return e ? e : fail(cx, ERR_NOT_FOUND, "There is no exception with this id.");
}

static enum err show(struct ctx *cx, struct request *rq, struct answer *an) {
    struct exception x;
    enum err e = find_anywhere(cx, rq->param[0], &x);
    return e ? e : answer_object(cx, an, 200, &EXCEPTION, &x);
}

static enum err replay(struct ctx *cx, struct request *rq, struct answer *an) {
    struct exception x;
    bool refused;
    enum err e = find_anywhere(cx, rq->param[0], &x);
    if (e || (e = exception_replay(cx, &x, (struct str){0}, (struct uuid){0}, &refused)))
        return e;
    return refused ? cx->fault.code : answer_object(cx, an, 200, &EXCEPTION, &x);
}

static enum err dismiss(struct ctx *cx, struct request *rq, struct answer *an) {
    struct exception x;
    const struct end_body *in = rq->in;
    enum err e = find_anywhere(cx, rq->param[0], &x);
    if (e || (e = exception_dismiss(cx, &x, in->reason, (struct uuid){0})))
        return e;
    return answer_object(cx, an, 200, &EXCEPTION, &x);
}

static const enum err NOT_NOW[] = {ERR_NOT_FOUND, ERR_CONFLICT, ERR_INVALID, OK};
static const struct route ROUTES[] = {
    ROUTE(POST, "/operator/exceptions/list", SLOW, AREA_OPERATOR, NEED_READ, list,
          "The newest exceptions of an organisation.", .in = &QUERY, .in_use = CREATE,
          .out_each = &EXCEPTION),
    ROUTE(GET, "/operator/exceptions/{id}", READ, AREA_OPERATOR, NEED_READ, show, "One exception.",
          .out = &EXCEPTION),
    ROUTE(POST, "/operator/exceptions/{id}/replay", WRITE, AREA_OPERATOR, NEED_WRITE, replay,
          "Applies an exception again.", .out = &EXCEPTION, .errors = NOT_NOW),
    ROUTE(POST, "/operator/exceptions/{id}/dismiss", WRITE, AREA_OPERATOR, NEED_WRITE, dismiss,
          "Ends an exception without applying it.", .in = &END, .in_use = CREATE, .out = &EXCEPTION,
          .errors = NOT_NOW),
};

enum { LIST_ORG, LIST_KIND, LIST_STATE };
static const struct option LIST_OPTIONS[] = {
    [LIST_ORG] = {"org", "NAME", false, "Whose, by name or slug; else the oldest organisation's."},
    [LIST_KIND] = {"kind", "K", false, "Only those of one kind: scan, delivery."},
    [LIST_STATE] = {"state", "S", false, "open (if not said), resolved or dismissed."},
    {0}};

static enum err list_request(struct ctx *cx, const struct command_line *line, struct str *target,
                             struct str *body) {
    static const char *const NAMES[] = {"organisation", "kind", "state"};
    struct buf b = buf_new(cx->mem, 4096);
    bool first = true;
    buf_byte(&b, '{');
    for (int i = LIST_ORG; i <= LIST_STATE; i++)
        if (line->option[i].p) {
            json_put_key(&b, &first, str_of(NAMES[i]));
            json_put_string(&b, line->option[i]);
        }
    buf_byte(&b, '}');
    *target = S("/operator/exceptions/list");
    *body = buf_str(&b);
    return b.failed ? fail(cx, ERR_USAGE, "The words of the command are too long.") : OK;
}

static enum err id_target(struct ctx *cx, const struct command_line *line, const char *after,
                          struct str *target) {
    struct uuid id;
    if (!uuid_parse(line->words[0], &id))
        return fail(cx, ERR_USAGE, "%.*s is not the id of an exception; see `entrepot exceptions list`.",
                    STR_FMT(line->words[0]));
    *target = str_printf(cx->mem, "/operator/exceptions/%.*s%s", STR_FMT(line->words[0]), after);
    return OK;
}

static enum err show_request(struct ctx *cx, const struct command_line *line, struct str *target,
                             struct str *body) {
    (void)body;
    return id_target(cx, line, "", target);
}

static enum err replay_request(struct ctx *cx, const struct command_line *line, struct str *target,
                               struct str *body) {
    (void)body;
    return id_target(cx, line, "/replay", target);
}

static const struct option DISMISS_OPTIONS[] = {{"reason", "TEXT", true, "Why nothing needs to be done."},
                                                {0}};

static enum err dismiss_request(struct ctx *cx, const struct command_line *line, struct str *target,
                                struct str *body) {
    struct buf b = buf_new(cx->mem, 8192);
    bool first = true;
    buf_byte(&b, '{');
    json_put_key(&b, &first, S("reason"));
    json_put_string(&b, line->option[0]);
    buf_byte(&b, '}');
    *body = buf_str(&b);
    return b.failed ? fail(cx, ERR_USAGE, "The reason is too long.")
                    : id_target(cx, line, "/dismiss", target);
}

static void put(const char *label, struct str value) {
    if (value.p)
        printf("%-10s %.*s\n", label, STR_FMT(value));
}

static void print_one(struct ctx *cx, struct str data) {
    struct exception x;
    char id[36], at[32];
    if (schema_decode(cx, &EXCEPTION, OUT, IGNORE_UNKNOWN, data, &x, NULL))
        return;
    put("id", uuid_format(x.id, id));
    put("state", x.state);
    put("kind", x.kind);
    put("source", x.source);
    put("ref", x.ref);
    put("since", instant_format(x.created_at, at));
    put("problems", x.problems.text);
    put("as it came", x.body);
    put("repaired", x.repaired);
    put("ended by", x.resolved_by);
    put("how", x.resolution);
}

static void print_list(struct ctx *cx, struct str data) {
    struct list rows;
    struct fault *faults;
    if (schema_decode_array(cx, &EXCEPTION, OUT, data, LISTED_MAX, &rows, &faults))
        return;
    const struct exception *x = rows.items;
    if (!rows.n)
        printf("No exceptions.\n");
    for (size_t i = 0; i < rows.n; i++) {
        char id[36], at[32];
        struct str since = instant_format(x[i].created_at, at);
        uuid_format(x[i].id, id);
        printf("%.36s  %-9.*s %-10.*s %-12.*s %.*s  %.*s\n", id, STR_FMT(x[i].state), STR_FMT(x[i].kind),
               STR_FMT(x[i].source), STR_FMT(since), STR_FMT(x[i].problems.text));
    }
}

static const struct command COMMANDS[] = {
    {.name = "exceptions list",
     .options = LIST_OPTIONS,
     .doc = "Shows what waits for a person, the newest first.",
     .method = POST,
     .request = list_request,
     .print = print_list},
    {.name = "exceptions show",
     .words = "ID",
     .doc = "Shows one of them whole.",
     .method = GET,
     .request = show_request,
     .print = print_one},
    {.name = "exceptions replay",
     .words = "ID",
     .doc = "Applies one again, as it came or as it was repaired.",
     .of_rows = true,
     .method = POST,
     .request = replay_request,
     .print = print_one},
    {.name = "exceptions dismiss",
     .words = "ID",
     .options = DISMISS_OPTIONS,
     .doc = "Ends one without applying it.",
     .method = POST,
     .request = dismiss_request,
     .print = print_one},
};

const struct module EXCEPTION_COMMAND_MODULE = {
    .name = "exception-commands", TABLE(routes, ROUTES), TABLE(stmts, SQL), TABLE(commands, COMMANDS)};
