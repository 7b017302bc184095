#include "app/schema_commands.h"

#include "db/migrate.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/banned.h"

struct schema_state {
    int64_t version;
    struct list revisions; /* of struct migration_state */
};
static const struct field FIELDS[] = {
    FIELD(struct schema_state, version, OUT, "The newest revision that the schema has; 0 for none."),
    FIELD(struct schema_state, revisions, OUT, "All revisions of this binary.", .of = &MIGRATION_STATE),
};
static const struct schema SCHEMA_STATE = SCHEMA(struct schema_state, "SchemaState", FIELDS);

enum err schema_check_stmts(struct ctx *cx) {
    enum err e = OK;
    for (size_t i = 0; !e && i < cx->modules->n; i++)
        e = db_check_stmts(cx, cx->modules->list[i]->stmts, cx->modules->list[i]->n_stmts);
    return e;
}

enum err schema_tables(struct ctx *cx, bool make) {
    enum err e = OK;
    for (size_t i = 0; !e && i < cx->modules->n; i++)
        if (cx->modules->list[i]->tables)
            e = cx->modules->list[i]->tables(cx, make);
    return e;
}

static enum err show(struct ctx *cx, struct request *rq, struct answer *an) {
    (void)rq;
    struct schema_state s;
    enum err e = migrate_current(cx, &s.version);
    if (e || (e = migrate_history(cx, &s.revisions)))
        return e;
    return answer_object(cx, an, 200, &SCHEMA_STATE, &s);
}

static enum err check(struct ctx *cx, struct request *rq, struct answer *an) {
    enum err e = migrate_check(cx);
    if (e || (e = schema_check_stmts(cx)) || (e = schema_tables(cx, false)))
        return e;
    return show(cx, rq, an);
}

static const enum err DRIFTED[] = {ERR_UNAVAILABLE, ERR_USAGE, OK};
static const struct route ROUTES[] = {
    ROUTE(GET, "/operator/schema", SLOW, AREA_OPERATOR, NEED_READ, show, "The schema's revision and history.",
          .out = &SCHEMA_STATE),
    ROUTE(GET, "/operator/schema/check", SLOW, AREA_OPERATOR, NEED_READ, check,
          "Compares the schema with the files, every statement and every feed's table.", .out = &SCHEMA_STATE,
          .errors = DRIFTED),
};

static enum err request_show(struct ctx *cx, const struct command_line *line, struct str *target,
                             struct str *body) {
    (void)cx, (void)line;
    *target = S("/operator/schema");
    *body = S("");
    return OK;
}

static enum err request_check(struct ctx *cx, const struct command_line *line, struct str *target,
                              struct str *body) {
    (void)cx, (void)line;
    *target = S("/operator/schema/check");
    *body = S("");
    return OK;
}

static bool read_state(struct ctx *cx, struct str data, struct schema_state *out) {
    return schema_decode(cx, &SCHEMA_STATE, OUT, IGNORE_UNKNOWN, data, out, NULL) == OK;
}

static void print_current(struct ctx *cx, struct str data) {
    struct schema_state s;
    if (read_state(cx, data, &s))
        printf("%04" PRId64 "\n", s.version);
}

static void print_history(struct ctx *cx, struct str data) {
    struct schema_state s;
    char at[32];
    if (!read_state(cx, data, &s))
        return;
    const struct migration_state *m = s.revisions.items;
    for (size_t i = 0; i < s.revisions.n; i++)
        printf("%04" PRId64 "  %-32.*s %.*s\n", m[i].version, STR_FMT(m[i].name),
               STR_FMT(m[i].applied ? instant_format(m[i].applied_at, at) : S("not applied")));
}

static void print_check(struct ctx *cx, struct str data) {
    (void)cx, (void)data;
    puts("The schema is current and every statement fits it.");
}

static const struct command COMMANDS[] = {
    {.name = "db current",
     .doc = "Prints the schema's revision.",
     .method = GET,
     .request = request_show,
     .print = print_current,
     .any_schema = true},
    {.name = "db history",
     .doc = "Lists all revisions and when they were applied.",
     .method = GET,
     .request = request_show,
     .print = print_history,
     .any_schema = true},
    {.name = "db check",
     .doc = "Compares schema, files and statements.",
     .method = GET,
     .request = request_check,
     .print = print_check,
     .any_schema = true},
};

const struct module SCHEMA_MODULE = {.name = "schema", TABLE(routes, ROUTES), TABLE(commands, COMMANDS)};
