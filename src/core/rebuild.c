#include "core/rebuild.h"

#include "core/verify.h"

#include "base/json.h"
#include "identity/audit.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/banned.h"

#define PASSES_MAX 1000

/* What stands at a level. */
struct numbers {
    int64_t on_hand, reserved;
    bool bounded, oversold;
    struct instant newest;
};
static const struct field NUMBERS_FIELDS[] = {
    FIELD(struct numbers, on_hand, OUT | ROW, "What is there."),
    FIELD(struct numbers, reserved, OUT | ROW, "What of it is promised."),
    FIELD(struct numbers, bounded, OUT | ROW, "Whether it holds no less than is reserved."),
    FIELD(struct numbers, oversold, OUT | ROW, "More was shipped than was there."),
    FIELD(struct numbers, newest, OUT | ROW, "Its newest move.", .column = "posted_at"),
};
static const struct schema NUMBERS = SCHEMA(struct numbers, "LevelNumbers", NUMBERS_FIELDS);

struct change {
    struct str organisation, sku, place, problem;
    int64_t was, is, reserved_was, reserved_is;
};
static const struct field CHANGE_FIELDS[] = {
    FIELD(struct change, organisation, OUT, "Whose."),
    FIELD(struct change, sku, OUT, "Which item."),
    FIELD(struct change, place, OUT, "Where."),
    FIELD(struct change, problem, OUT, "What did not agree."),
    FIELD(struct change, was, OUT, "What was on hand by the level before."),
    FIELD(struct change, is, OUT, "What the moves add up to, and the level says now."),
    FIELD(struct change, reserved_was, OUT, "What was reserved before."),
    FIELD(struct change, reserved_is, OUT, "What the pending reservations add up to."),
};
static const struct schema CHANGE = SCHEMA(struct change, "LedgerChange", CHANGE_FIELDS);

struct outcome {
    struct list changes;
};
static const struct field OUTCOME_FIELDS[] = {
    FIELD(struct outcome, changes, OUT, "The levels that were made anew; empty when all was well.",
          .of = &CHANGE, .max = 1000000)};
static const struct schema OUTCOME = SCHEMA(struct outcome, "LedgerRebuild", OUTCOME_FIELDS);

enum { LOCK, COUNT, WRITE_LEVEL, CLEAR, FILL };
#define SIDES                                                                                             \
    " FROM (SELECT id, recorded_at, CASE WHEN to_place = $2 THEN quantity ELSE -quantity END AS quantity" \
    " FROM stock_move WHERE org_id = $org AND sku = $1 AND (from_place = $2 OR to_place = $2)) AS side"
static const struct stmt SQL[] = {
    [LOCK] = {"rebuild_lock", TENANT,
              "INSERT INTO stock_level (org_id, sku, place, bounded, on_hand, reserved, oversold, updated_at)"
              " SELECT p.org_id, $1, p.code, p.bounded, 0, 0, FALSE, $3 FROM place p"
              " WHERE p.org_id = $org AND p.code = $2"
              " ON CONFLICT (org_id, sku, place) DO UPDATE SET updated_at = excluded.updated_at"
              " RETURNING on_hand, reserved, bounded, oversold, posted_at",
              NULL, &NUMBERS},
    [COUNT] = {"rebuild_count", TENANT,
               "SELECT m.on_hand, r.reserved, p.bounded, (p.bounded AND m.on_hand < r.reserved) AS oversold,"
               " m.posted_at FROM place p, (SELECT CAST(COALESCE(sum(quantity), 0) AS bigint) AS on_hand,"
               " max(recorded_at) AS posted_at" SIDES ") m,"
               " (SELECT CAST(COALESCE(sum(quantity), 0) AS bigint) AS reserved FROM reservation"
               " WHERE org_id = $org AND sku = $1 AND place = $2 AND state = 'pending') r"
               " WHERE p.org_id = $org AND p.code = $2",
               NULL, &NUMBERS},
    [WRITE_LEVEL] = {"rebuild_level", TENANT,
                     "UPDATE stock_level SET on_hand = $3, reserved = $4, bounded = $5, oversold = $6,"
                     " posted_at = CASE WHEN posted_at > $7 THEN posted_at ELSE $7 END"
                     " WHERE org_id = $org AND sku = $1 AND place = $2",
                     NULL, NULL},
    [CLEAR] = {"rebuild_clear", TENANT,
               "DELETE FROM stock_posting WHERE org_id = $org AND sku = $1 AND place = $2", NULL, NULL},
    [FILL] =
        {"rebuild_fill", TENANT,
         "INSERT INTO stock_posting (org_id, sku, place, recorded_at, line, move_id, quantity, balance)"
         " SELECT $org, $1, $2, recorded_at, row_number() OVER (PARTITION BY recorded_at ORDER BY id) - 1,"
         " id, quantity, sum(quantity) OVER (ORDER BY recorded_at, id)" SIDES,
         NULL, NULL},
};

struct repair {
    const struct finding *finding;
    struct change *out;
    bool done;
};

/* The closure of one level: with its row locked, nobody adds to it. */
static enum err repair_level(struct ctx *cx, void *arg) {
    struct repair *r = arg;
    const struct finding *f = r->finding;
    struct numbers was, is;
    bool held, counted;
    cx->actor.org = f->org_id;
    cx->actor.name = S("operator");
    enum err e = db_patient(cx);
    if (e || (e = db_get(cx, &SQL[LOCK], ARGS(A(f->sku), A(f->place), A(cx->now)), &was, &held)) ||
        (e = db_get(cx, &SQL[COUNT], ARGS(A(f->sku), A(f->place)), &is, &counted)))
        return e;
    if (!held || !counted)
        return fail(cx, ERR_NOT_FOUND, "There is no place with the code %.*s.", STR_FMT(f->place));
    if ((e = db_exec(cx, &SQL[WRITE_LEVEL],
                     ARGS(A(f->sku), A(f->place), A(is.on_hand), A(is.reserved), A(is.bounded),
                          A(is.oversold), A(is.newest)),
                     NULL)) ||
        (e = db_exec(cx, &SQL[CLEAR], ARGS(A(f->sku), A(f->place)), NULL)) ||
        (e = db_exec(cx, &SQL[FILL], ARGS(A(f->sku), A(f->place)), NULL)))
        return e;
    *r->out = (struct change){f->organisation, f->sku,     f->place,     f->problem,
                              was.on_hand,     is.on_hand, was.reserved, is.reserved};
    struct str target = str_printf(cx->mem, "%.*s at %.*s", STR_FMT(f->sku), STR_FMT(f->place));
    return audit_write(cx, S("ledger.rebuild"), target, audit_json(cx, &NUMBERS, &was),
                       audit_json(cx, &NUMBERS, &is));
}

static bool same_level(const struct finding *a, const struct finding *b) {
    return uuid_eq(a->org_id, b->org_id) && str_eq(a->sku, b->sku) && str_eq(a->place, b->place);
}

static enum err repair_all(struct ctx *cx, const struct list *findings, struct outcome *out) {
    const struct finding *f = findings->items;
    struct change *all = NEW_N(cx->mem, struct change, out->changes.n + findings->n + 1);
    struct actor before = cx->actor;
    enum err e = OK;
    if (!all)
        return fail(cx, ERR_MEMORY, "The changes do not fit in memory.");
    for (size_t i = 0; i < out->changes.n; i++)
        all[i] = ((const struct change *)out->changes.items)[i];
    out->changes.items = all;
    for (size_t i = 0; !e && i < findings->n; i++) {
        struct repair r = {.finding = &f[i], .out = &all[out->changes.n]};
        if (i > 0 && same_level(&f[i - 1], &f[i]))
            continue;
        e = db_write_wait(cx, repair_level, &r);
        out->changes.n += !e;
    }
    cx->actor = before;
    return e;
}

static enum err look(struct ctx *cx, struct str slug, struct list *findings) {
    enum err e = db_read_begin(cx);
    if (!e)
        e = ledger_findings(cx, slug, findings);
    db_read_end(cx);
    return e;
}

/* What is found is limited, so it looks again until nothing is left. */
static enum err rebuild(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct ledger_args *in = rq->in;
    struct outcome out = {{NULL, 0}};
    struct str slug;
    struct list findings;
    enum err e = db_read_begin(cx);
    if (!e)
        e = ledger_organisation(cx, in->organisation, &slug);
    db_read_end(cx);
    for (int pass = 0; !e && pass < PASSES_MAX; pass++) {
        if ((e = look(cx, slug, &findings)) || findings.n == 0)
            break;
        e = repair_all(cx, &findings, &out);
    }
    return e ? e : answer_object(cx, an, 200, &OUTCOME, &out);
}

static const struct route ROUTES[] = {
    ROUTE(POST, "/operator/ledger/rebuild", SLOW, AREA_OPERATOR, NEED_WRITE, rebuild,
          "Makes levels and postings that do not agree with the moves anew.", .in = &LEDGER_ARGS,
          .in_use = CREATE, .out = &OUTCOME),
};

static enum err request(struct ctx *cx, const struct command_line *line, struct str *target,
                        struct str *body) {
    *target = S("/operator/ledger/rebuild");
    return ledger_body(cx, line, body);
}

static void print(struct ctx *cx, struct str data) {
    struct outcome x;
    if (schema_decode(cx, &OUTCOME, OUT, IGNORE_UNKNOWN, data, &x, NULL))
        return;
    const struct change *c = x.changes.items;
    for (size_t i = 0; i < x.changes.n; i++)
        printf("%.*s: %.*s at %.*s: %.*s; on hand %" PRId64 " is now %" PRId64 ", reserved %" PRId64
               " is now %" PRId64 "\n",
               STR_FMT(c[i].organisation), STR_FMT(c[i].sku), STR_FMT(c[i].place), STR_FMT(c[i].problem),
               c[i].was, c[i].is, c[i].reserved_was, c[i].reserved_is);
    printf("%zu levels made anew\n", x.changes.n);
}

static const struct option OPTIONS[] = {{"org", "NAME", false, "Only this organisation."}, {0}};
static const struct command COMMANDS[] = {
    {.name = "ledger rebuild",
     .options = OPTIONS,
     .doc = "Makes levels anew from the moves where they do not agree.",
     .method = POST,
     .request = request,
     .print = print},
};

const struct module REBUILD_MODULE = {
    .name = "rebuild", TABLE(routes, ROUTES), TABLE(stmts, SQL), TABLE(commands, COMMANDS)};
