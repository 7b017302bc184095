#include "core/verify.h"

#include "base/json.h"

#include "identity/identity.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/banned.h"

struct finding {
    struct str organisation, sku, place;
    int64_t stored, moved;
    struct str problem;
};
static const struct field FINDING_FIELDS[] = {
    FIELD(struct finding, organisation, OUT | ROW, "Whose.", .column = "slug"),
    FIELD(struct finding, sku, OUT | ROW, "Which item."),
    FIELD(struct finding, place, OUT | ROW, "Where."),
    FIELD(struct finding, stored, OUT | ROW, "What the level says."),
    FIELD(struct finding, moved, OUT | ROW, "What the moves, or the reservations, add up to."),
    FIELD(struct finding, problem, OUT | ROW, "What does not agree."),
};
static const struct schema FINDING = SCHEMA(struct finding, "LedgerFinding", FINDING_FIELDS);

struct extent {
    int64_t moves, levels;
    struct list findings;
};
static const struct field EXTENT_FIELDS[] = {
    FIELD(struct extent, moves, OUT | ROW, "How many moves were added up."),
    FIELD(struct extent, levels, OUT | ROW, "How many levels they were compared with."),
    FIELD(struct extent, findings, OUT, "What does not agree; empty when all is well.", .of = &FINDING),
};
static const struct schema EXTENT = SCHEMA(struct extent, "LedgerVerification", EXTENT_FIELDS);

struct verify_args {
    struct str organisation;
};
static const struct field ARGS_FIELDS[] = {
    FIELD(struct verify_args, organisation, CREATE, "Only this one, by slug or name.", .max = 200)};
static const struct schema VERIFY_ARGS = SCHEMA(struct verify_args, "LedgerVerify", ARGS_FIELDS);

enum { FINDINGS, EXTENTS };
#define ONLY(column) \
    "(CAST($1 AS text) IS NULL OR " column " IN (SELECT id FROM organisation WHERE slug = $1))"
static const struct stmt SQL[] = {
    [FINDINGS] =
        {"ledger_findings", SYSTEM,
         "WITH posting AS (SELECT org_id, sku, to_place AS place, quantity AS delta FROM stock_move"
         " UNION ALL SELECT org_id, sku, from_place, -quantity FROM stock_move),"
         " total AS (SELECT org_id, sku, place, CAST(sum(delta) AS bigint) AS moved FROM posting"
         " WHERE " ONLY(
             "org_id") " GROUP BY org_id, sku, place),"
                       " promised AS (SELECT org_id, sku, place, CAST(sum(quantity) AS bigint) AS held FROM "
                       "reservation"
                       " WHERE state = 'pending' AND " ONLY(
                           "org_id") " GROUP BY org_id, sku, place),"
                                     " finding AS (SELECT l.org_id, l.sku, l.place, l.on_hand AS stored, "
                                     "COALESCE(t.moved, 0) AS moved,"
                                     " CASE WHEN l.on_hand <> COALESCE(t.moved, 0) THEN 'the level is not "
                                     "the sum of the moves'"
                                     " WHEN l.bounded <> p.bounded THEN 'the level and its place differ on "
                                     "bounded'"
                                     " WHEN l.oversold <> (l.bounded AND l.on_hand < l.reserved) THEN 'the "
                                     "mark oversold is wrong'"
                                     " END AS problem FROM stock_level l JOIN place p ON p.org_id = l.org_id "
                                     "AND p.code = l.place"
                                     " LEFT JOIN total t ON t.org_id = l.org_id AND t.sku = l.sku AND "
                                     "t.place = l.place"
                                     " WHERE " ONLY(
                                         "l.org_id") " UNION ALL SELECT t.org_id, t.sku, t.place, 0, "
                                                     "t.moved, 'there are moves but no level'"
                                                     " FROM total t WHERE NOT EXISTS (SELECT 1 FROM "
                                                     "stock_level l WHERE l.org_id = t.org_id"
                                                     " AND l.sku = t.sku AND l.place = t.place)"
                                                     " UNION ALL SELECT l.org_id, l.sku, l.place, "
                                                     "l.reserved, COALESCE(h.held, 0),"
                                                     " 'reserved is not the sum of the pending reservations' "
                                                     "FROM stock_level l"
                                                     " LEFT JOIN promised h ON h.org_id = l.org_id AND h.sku "
                                                     "= l.sku AND h.place = l.place"
                                                     " WHERE l.reserved <> COALESCE(h.held, 0) AND " ONLY(
                                                         "l.org_id") " UNION ALL SELECT h.org_id, h.sku, "
                                                                     "h.place, 0, h.held, 'there are "
                                                                     "reservations but no level'"
                                                                     " FROM promised h WHERE NOT EXISTS "
                                                                     "(SELECT 1 FROM stock_level l WHERE "
                                                                     "l.org_id = h.org_id"
                                                                     " AND l.sku = h.sku AND l.place = "
                                                                     "h.place))"
                                                                     " SELECT o.slug, f.sku, f.place, "
                                                                     "f.stored, f.moved, f.problem FROM "
                                                                     "finding f"
                                                                     " JOIN organisation o ON o.id = "
                                                                     "f.org_id WHERE f.problem IS NOT NULL"
                                                                     " ORDER BY o.slug, f.sku, f.place LIMIT "
                                                                     "1000",
         NULL, &FINDING},
    [EXTENTS] = {"ledger_extent", SYSTEM,
                 "SELECT (SELECT count(*) FROM stock_move WHERE " ONLY(
                     "org_id") ") AS moves,"
                               " (SELECT count(*) FROM stock_level WHERE " ONLY("org_id") ") AS levels",
                 NULL, &EXTENT},
};

static enum err examine(struct ctx *cx, struct str organisation, struct extent *out) {
    struct organisation org;
    struct str slug = {0};
    bool found;
    enum err e = OK;
    if (organisation.p && (e = organisation_find(cx, organisation, &org)))
        return e;
    if (organisation.p)
        slug = org.slug;
    if ((e = db_get(cx, &SQL[EXTENTS], ARGS(A(slug)), out, &found)))
        return e;
    return db_list(cx, &SQL[FINDINGS], ARGS(A(slug)), &out->findings);
}

static enum err verify(struct ctx *cx, struct request *rq, struct answer *an) {
    struct extent x;
    const struct verify_args *in = rq->in;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = examine(cx, in->organisation, &x);
    db_read_end(cx);
    return e ? e : answer_object(cx, an, 200, &EXTENT, &x);
}

static const struct route ROUTES[] = {
    ROUTE(POST, "/operator/ledger/verify", SLOW, AREA_OPERATOR, NEED_READ, verify,
          "Adds all moves up and compares them with the levels.", .in = &VERIFY_ARGS, .in_use = CREATE,
          .out = &EXTENT),
};

static enum err request(struct ctx *cx, const struct command_line *line, struct str *target,
                        struct str *body) {
    struct buf b = buf_new(cx->mem, 1024);
    bool first = true;
    buf_byte(&b, '{');
    json_put_key(&b, &first, S("organisation"));
    json_put_string(&b, line->option[0]);
    buf_byte(&b, '}');
    *target = S("/operator/ledger/verify");
    *body = buf_str(&b);
    return b.failed ? fail(cx, ERR_USAGE, "The name of the organisation is too long.") : OK;
}

static void print(struct ctx *cx, struct str data) {
    struct extent x;
    if (schema_decode(cx, &EXTENT, OUT, IGNORE_UNKNOWN, data, &x, NULL))
        return;
    const struct finding *f = x.findings.items;
    for (size_t i = 0; i < x.findings.n; i++)
        printf("%.*s: %.*s at %.*s: %.*s (level %" PRId64 ", moves %" PRId64 ")\n",
               STR_FMT(f[i].organisation), STR_FMT(f[i].sku), STR_FMT(f[i].place), STR_FMT(f[i].problem),
               f[i].stored, f[i].moved);
    printf("%" PRId64 " moves, %" PRId64 " levels: %s\n", x.moves, x.levels,
           x.findings.n ? "the ledger does not agree with itself" : "every level is the sum of its moves");
}

static int judge(struct ctx *cx, struct str data) {
    struct extent x;
    return schema_decode(cx, &EXTENT, OUT, IGNORE_UNKNOWN, data, &x, NULL) || x.findings.n ? 1 : 0;
}

static const struct option OPTIONS[] = {{"org", "NAME", false, "Only this organisation."}, {0}};
static const struct command COMMANDS[] = {
    {"ledger verify", NULL, OPTIONS, "Adds all moves up and compares them with the stored levels.", POST,
     request, print, judge, false},
};

const struct module VERIFY_MODULE = {
    .name = "verify", TABLE(routes, ROUTES), TABLE(stmts, SQL), TABLE(commands, COMMANDS)};
