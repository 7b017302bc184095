#include "core/verify.h"

#include "base/json.h"

#include "identity/identity.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/banned.h"

static const struct field FINDING_FIELDS[] = {
    FIELD(struct finding, org_id, ROW, "Whose, by number."),
    FIELD(struct finding, organisation, OUT | ROW, "Whose.", .column = "slug"),
    FIELD(struct finding, sku, OUT | ROW, "Which item."),
    FIELD(struct finding, place, OUT | ROW, "Where."),
    FIELD(struct finding, stored, OUT | ROW, "What the level says."),
    FIELD(struct finding, moved, OUT | ROW, "What the moves, or the reservations, add up to."),
    FIELD(struct finding, problem, OUT | ROW, "What does not agree."),
};
const struct schema FINDING = SCHEMA(struct finding, "LedgerFinding", FINDING_FIELDS);

#define FINDINGS_MAX 4000 /* of a few statements with a limit of 1,000 each */
struct extent {
    int64_t moves, levels;
    struct list findings;
};
static const struct field EXTENT_FIELDS[] = {
    FIELD(struct extent, moves, OUT | ROW, "How many moves were added up."),
    FIELD(struct extent, levels, OUT | ROW, "How many levels they were compared with."),
    FIELD(struct extent, findings, OUT, "What does not agree; empty when all is well.", .of = &FINDING,
          .max = FINDINGS_MAX),
};
static const struct schema EXTENT = SCHEMA(struct extent, "LedgerVerification", EXTENT_FIELDS);

static const struct field ARGS_FIELDS[] = {
    FIELD(struct ledger_args, organisation, CREATE, "Only this one, by slug or name.", .max = 200)};
const struct schema LEDGER_ARGS = SCHEMA(struct ledger_args, "LedgerVerify", ARGS_FIELDS);

enum { LEVELS, RESERVED, POSTED, FINDINGS, EXTENTS = FINDINGS };
/* Of one organisation, or of all. */
#define ORGS "(SELECT id FROM organisation WHERE CAST($1 AS text) IS NULL OR slug = $1)"
#define SIDES                                                                           \
    "(SELECT org_id, id, sku, to_place AS place, quantity, recorded_at FROM stock_move" \
    " UNION ALL SELECT org_id, id, sku, from_place, -quantity, recorded_at FROM stock_move) side"
#define REPORT                                                                              \
    " SELECT f.org_id, o.slug, f.sku, f.place, f.stored, f.moved, f.problem FROM finding f" \
    " JOIN organisation o ON o.id = f.org_id WHERE f.problem IS NOT NULL"                   \
    " ORDER BY o.slug, f.sku, f.place LIMIT 1000"
static const struct stmt SQL[] = {
    [LEVELS] =
        {"verify_levels", SYSTEM,
         "WITH total AS (SELECT org_id, sku, place, CAST(sum(quantity) AS bigint) AS moved,"
         " max(recorded_at) AS newest FROM " SIDES " WHERE org_id IN " ORGS " GROUP BY org_id, sku, place),"
         " finding AS (SELECT l.org_id, l.sku, l.place, l.on_hand AS stored, COALESCE(t.moved, 0) AS moved,"
         " CASE WHEN l.on_hand <> COALESCE(t.moved, 0) THEN 'the level is not the sum of the moves'"
         " WHEN l.bounded <> p.bounded THEN 'the level and its place differ on bounded'"
         " WHEN l.oversold <> (l.bounded AND l.on_hand < l.reserved) THEN 'the mark oversold is wrong'"
         " WHEN t.newest IS NOT NULL AND (l.posted_at IS NULL OR l.posted_at < t.newest)"
         " THEN 'the level does not know its newest move' END AS problem"
         " FROM stock_level l JOIN place p ON p.org_id = l.org_id AND p.code = l.place"
         " LEFT JOIN total t ON t.org_id = l.org_id AND t.sku = l.sku AND t.place = l.place"
         " WHERE l.org_id IN " ORGS " UNION ALL SELECT t.org_id, t.sku, t.place, 0, t.moved,"
         " 'there are moves but no level' FROM total t WHERE NOT EXISTS (SELECT 1 FROM stock_level l"
         " WHERE l.org_id = t.org_id AND l.sku = t.sku AND l.place = t.place))" REPORT,
         NULL, &FINDING},
    [RESERVED] =
        {"verify_reserved", SYSTEM,
         "WITH promised AS (SELECT org_id, sku, place, CAST(sum(quantity) AS bigint) AS held"
         " FROM reservation WHERE state = 'pending' AND org_id IN " ORGS " GROUP BY org_id, sku, place),"
         " finding AS (SELECT l.org_id, l.sku, l.place, l.reserved AS stored, COALESCE(h.held, 0) AS moved,"
         " CASE WHEN l.reserved <> COALESCE(h.held, 0)"
         " THEN 'reserved is not the sum of the pending reservations' END AS problem FROM stock_level l"
         " LEFT JOIN promised h ON h.org_id = l.org_id AND h.sku = l.sku AND h.place = l.place"
         " WHERE l.org_id IN " ORGS " UNION ALL SELECT h.org_id, h.sku, h.place, 0, h.held,"
         " 'there are reservations but no level' FROM promised h WHERE NOT EXISTS (SELECT 1"
         " FROM stock_level l WHERE l.org_id = h.org_id AND l.sku = h.sku AND l.place = h.place))" REPORT,
         NULL, &FINDING},
    /* Each posting is a side of a move, there are as many as sides, and the balances run on from zero. */
    [POSTED] =
        {"verify_postings", SYSTEM,
         "WITH running AS (SELECT p.org_id, p.sku, p.place, p.quantity, p.balance,"
         " sum(p.quantity) OVER (PARTITION BY p.org_id, p.sku, p.place ORDER BY p.recorded_at, p.line) AS"
         " total, CASE WHEN m.id IS NULL OR m.sku <> p.sku OR m.recorded_at <> p.recorded_at"
         " OR NOT ((m.to_place = p.place AND m.quantity = p.quantity)"
         " OR (m.from_place = p.place AND m.quantity = -p.quantity)) THEN 1 ELSE 0 END AS strange"
         " FROM stock_posting p LEFT JOIN stock_move m ON m.org_id = p.org_id AND m.id = p.move_id"
         " WHERE p.org_id IN " ORGS "),"
         " posted AS (SELECT org_id, sku, place, count(*) AS n, CAST(sum(quantity) AS bigint) AS quantity,"
         " sum(strange) AS strange, sum(CASE WHEN balance <> total THEN 1 ELSE 0 END) AS wrong FROM running"
         " GROUP BY org_id, sku, place),"
         " moved AS (SELECT org_id, sku, place, count(*) AS n, CAST(sum(quantity) AS bigint) AS quantity"
         " FROM " SIDES " WHERE org_id IN " ORGS " GROUP BY org_id, sku, place),"
         " finding AS (SELECT m.org_id, m.sku, m.place, COALESCE(p.quantity, 0) AS stored,"
         " m.quantity AS moved, CASE WHEN p.n IS NULL OR p.n <> m.n OR p.strange > 0"
         " THEN 'the postings are not those of the moves'"
         " WHEN p.wrong > 0 THEN 'the balances of the postings do not run on' END AS problem FROM moved m"
         " LEFT JOIN posted p ON p.org_id = m.org_id AND p.sku = m.sku AND p.place = m.place"
         " UNION ALL SELECT p.org_id, p.sku, p.place, p.quantity, 0, 'there are postings but no moves'"
         " FROM posted p WHERE NOT EXISTS (SELECT 1 FROM moved m WHERE m.org_id = p.org_id"
         " AND m.sku = p.sku AND m.place = p.place))" REPORT,
         NULL, &FINDING},
    [EXTENTS] = {"ledger_extent", SYSTEM,
                 "SELECT (SELECT count(*) FROM stock_move WHERE org_id IN " ORGS ") AS moves,"
                 " (SELECT count(*) FROM stock_level WHERE org_id IN " ORGS ") AS levels",
                 NULL, &EXTENT},
};

enum err ledger_organisation(struct ctx *cx, struct str name, struct str *slug) {
    struct organisation org;
    enum err e = name.p ? organisation_find(cx, name, &org) : OK;
    if (!e)
        *slug = name.p ? org.slug : (struct str){0};
    return e;
}

static int by_level(const void *a, const void *b) {
    const struct finding *x = a, *y = b;
    int c = str_cmp(x->organisation, y->organisation);
    if (c == 0)
        c = str_cmp(x->sku, y->sku);
    return c ? c : str_cmp(x->place, y->place);
}

enum err ledger_findings(struct ctx *cx, struct str slug, struct list *findings) {
    struct list kind[FINDINGS];
    size_t n = 0;
    enum err e = db_patient(cx);
    for (size_t i = 0; !e && i < FINDINGS; i++) {
        e = db_list(cx, &SQL[i], ARGS(A(slug)), &kind[i]);
        n += e ? 0 : kind[i].n;
    }
    if (e)
        return e;
    struct finding *all = NEW_N(cx->mem, struct finding, n + 1);
    if (!all)
        return fail(cx, ERR_MEMORY, "The findings do not fit in memory.");
    *findings = (struct list){all, n};
    for (size_t i = 0; i < FINDINGS; i++)
        for (size_t k = 0; k < kind[i].n; k++)
            *all++ = ((const struct finding *)kind[i].items)[k];
    qsort(findings->items, n, sizeof(struct finding), by_level);
    return OK;
}

static enum err examine(struct ctx *cx, struct str organisation, struct extent *out) {
    struct str slug;
    bool found;
    enum err e = ledger_organisation(cx, organisation, &slug);
    if (e || (e = db_patient(cx)) || (e = db_get(cx, &SQL[EXTENTS], ARGS(A(slug)), out, &found)))
        return e;
    return ledger_findings(cx, slug, &out->findings);
}

static enum err verify(struct ctx *cx, struct request *rq, struct answer *an) {
    struct extent x;
    const struct ledger_args *in = rq->in;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = examine(cx, in->organisation, &x);
    db_read_end(cx);
    return e ? e : answer_object(cx, an, 200, &EXTENT, &x);
}

static const struct route ROUTES[] = {
    ROUTE(POST, "/operator/ledger/verify", SLOW, AREA_OPERATOR, NEED_READ, verify,
          "Adds all moves up and compares them with the levels.", .in = &LEDGER_ARGS, .in_use = CREATE,
          .out = &EXTENT),
};

enum err ledger_body(struct ctx *cx, const struct command_line *line, struct str *body) {
    struct buf b = buf_new(cx->mem, 1024);
    bool first = true;
    buf_byte(&b, '{');
    json_put_key(&b, &first, S("organisation"));
    json_put_string(&b, line->option[0]);
    buf_byte(&b, '}');
    *body = buf_str(&b);
    return b.failed ? fail(cx, ERR_USAGE, "The name of the organisation is too long.") : OK;
}

static enum err request(struct ctx *cx, const struct command_line *line, struct str *target,
                        struct str *body) {
    *target = S("/operator/ledger/verify");
    return ledger_body(cx, line, body);
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
    {.name = "ledger verify",
     .options = OPTIONS,
     .doc = "Adds all moves up and compares them with the stored levels.",
     .method = POST,
     .request = request,
     .print = print,
     .judge = judge},
};

const struct module VERIFY_MODULE = {
    .name = "verify", TABLE(routes, ROUTES), TABLE(stmts, SQL), TABLE(commands, COMMANDS)};
