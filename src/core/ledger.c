#include "core/ledger.h"

#include "core/item.h"
#include "core/place.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/banned.h"

static const struct field MOVE_FIELDS[] = {
    FIELD(struct move, id, OUT | ROW, "The move's own id."),
    FIELD(struct move, sku, CREATE | OUT | ROW | REQUIRED, "What is moved.", .min = 1, .max = SKU_MAX,
          .check = sku_valid, .rule = SKU_RULE),
    FIELD(struct move, quantity, CREATE | OUT | ROW | REQUIRED, "How many, in the item's unit.", .min = 1,
          .max = MOVE_MAX),
    FIELD(struct move, from, CREATE | OUT | ROW | REQUIRED, "The code of the place it leaves.",
          .column = "from_place", .min = 1, .max = 64),
    FIELD(struct move, to, CREATE | OUT | ROW | REQUIRED, "The code of the place it comes to.",
          .column = "to_place", .min = 1, .max = 64),
    FIELD(struct move, reason, CREATE | OUT | ROW, "Why it was moved, for people.", .max = 500),
    FIELD(struct move, source, CREATE | OUT | ROW, "Who reports it: a system, a device; api if not said.",
          .min = 1, .max = 64),
    FIELD(struct move, source_ref, CREATE | OUT | ROW,
          "The source's own name for the event; with it, sending twice moves once.", .min = 1, .max = 200),
    FIELD(struct move, at, OUT | ROW, "When it was recorded.", .column = "recorded_at"),
    FIELD(struct move, actor, OUT | ROW, "Who recorded it."),
    FIELD(struct move, reverses, OUT | ROW, "The move that this one takes back."),
};
const struct schema MOVE = SCHEMA(struct move, "Move", MOVE_FIELDS);

static const struct field LEVEL_FIELDS[] = {
    FIELD(struct stock_level, sku, OUT | ROW, "The item."),
    FIELD(struct stock_level, place, OUT | ROW, "The code of the place."),
    FIELD(struct stock_level, on_hand, OUT | ROW,
          "What is there; below zero in places outside, or when oversold."),
    FIELD(struct stock_level, reserved, OUT | ROW, "What of it is promised."),
    FIELD(struct stock_level, available, OUT | ROW, "On hand less reserved."),
    FIELD(struct stock_level, oversold, OUT | ROW, "More was shipped than was there; receipts clear it."),
};
const struct schema LEVEL = SCHEMA(struct stock_level, "Level", LEVEL_FIELDS);

enum { INSERT, ADD, ENSURE, OF_EVENT, OF_KEY, LEVEL_AT };
static const struct stmt SQL[] = {
    [INSERT] = {"move_insert", TENANT,
                "INSERT INTO stock_move (org_id, " MOVE_COLUMNS ")"
                " SELECT i.org_id, $1, i.sku, $3, f.code, t.code, $6, $7, $8, $9, $10, $11"
                " FROM item i, place f, place t WHERE i.org_id = $org AND i.sku = $2"
                " AND f.org_id = $org AND f.code = $4 AND t.org_id = $org AND t.code = $5"
                " ON CONFLICT (org_id, source, source_ref, sku, from_place, to_place) DO NOTHING",
                NULL, NULL},
    /* The guard and the reason to act stand in the statement: it changes nothing unless its move was
       recorded. */
    [ADD] =
        {"level_add", TENANT,
         "UPDATE stock_level SET on_hand = on_hand + $3, oversold = (bounded AND on_hand + $3 < reserved),"
         " updated_at = $4 WHERE org_id = $org AND sku = $1 AND place = $2"
         " AND (NOT bounded OR $3 > 0 OR $5 OR on_hand + $3 >= reserved)"
         " AND EXISTS (SELECT 1 FROM stock_move m WHERE m.org_id = $org AND m.id = $6)",
         NULL, NULL},
    [ENSURE] =
        {"level_ensure", TENANT,
         "INSERT INTO stock_level (org_id, sku, place, bounded, on_hand, reserved, oversold, updated_at)"
         " SELECT p.org_id, $1, p.code, p.bounded, 0, 0, FALSE, $3 FROM place p"
         " WHERE p.org_id = $org AND p.code = $2 ON CONFLICT (org_id, sku, place) DO NOTHING",
         NULL, NULL},
    [OF_EVENT] = {"moves_of_event", TENANT,
                  "SELECT " MOVE_COLUMNS
                  " FROM stock_move WHERE org_id = $org AND source = $1 AND source_ref = $2"
                  " ORDER BY sku, from_place, to_place",
                  NULL, &MOVE},
    [OF_KEY] = {"move_of_key", TENANT,
                "SELECT " MOVE_COLUMNS
                " FROM stock_move WHERE org_id = $org AND source = $1 AND source_ref = $2"
                " AND sku = $3 AND from_place = $4 AND to_place = $5",
                NULL, &MOVE},
    [LEVEL_AT] =
        {"level_at", TENANT,
         "SELECT sku, place, on_hand, reserved, on_hand - reserved AS available, oversold FROM stock_level"
         " WHERE org_id = $org AND sku = $1 AND place = $2",
         NULL, &LEVEL},
};

enum err ledger_of_event(struct ctx *cx, struct str source, struct str source_ref, struct list *moves) {
    return db_list(cx, &SQL[OF_EVENT], ARGS(A(source), A(source_ref)), moves);
}

static int by_key(const void *a, const void *b) {
    const struct move *x = a, *y = b;
    int c = str_cmp(x->sku, y->sku);
    if (c == 0)
        c = str_cmp(x->from, y->from);
    return c ? c : str_cmp(x->to, y->to);
}

/* Puts lines in key order and sums those of one key, which the ledger's key could not tell apart. */
static enum err sum_lines(struct ctx *cx, struct move *lines, size_t *n) {
    qsort(lines, *n, sizeof(*lines), by_key);
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++) {
        if (kept > 0 && by_key(&lines[kept - 1], &lines[i]) == 0) {
            lines[kept - 1].quantity += lines[i].quantity;
            if (lines[kept - 1].quantity > MOVE_MAX)
                return fail_field(cx, S("quantity"), "must be at most %d in all for one item", MOVE_MAX);
        } else {
            lines[kept++] = lines[i];
        }
    }
    *n = kept;
    return OK;
}

/* One change of one level, by one line. */
struct change {
    const struct move *line;
    struct str place;
    int64_t delta;
};

static int by_level(const void *a, const void *b) {
    const struct change *x = a, *y = b;
    int c = str_cmp(x->line->sku, y->line->sku);
    return c ? c : str_cmp(x->place, y->place);
}

/* One step a change. */
static void add_change(struct steps *steps, const struct change *c, enum posting how) {
    steps_add(steps, &SQL[ADD],
              ARGS(A(c->line->sku), A(c->place), A(c->delta), A(c->line->at), A((bool)(how == FACT)),
                   A(c->line->id)),
              NULL);
}

/* The line was not recorded: known already, or something in it does not exist. */
static enum err explain_refused(struct ctx *cx, struct move *line, bool *repeated) {
    struct move known;
    bool found = false;
    enum err e = OK;
    if (line->source_ref.p)
        e = db_get(cx, &SQL[OF_KEY],
                   ARGS(A(line->source), A(line->source_ref), A(line->sku), A(line->from), A(line->to)),
                   &known, &found);
    if (e)
        return e;
    if (found) {
        if (known.quantity != line->quantity || !str_eq(known.reason, line->reason))
            return fail(cx, ERR_CONFLICT, "%.*s %.*s was recorded before with another quantity or reason.",
                        STR_FMT(line->source), STR_FMT(line->source_ref));
        *line = known;
        *repeated = true;
        return OK;
    }
    struct item it;
    struct place p;
    if ((e = item_find(cx, line->sku, &it, &found)))
        return e;
    if (!found)
        (void)fail_field(cx, S("sku"), "%.*s is not in the catalogue", STR_FMT(line->sku));
    if ((e = place_find(cx, line->from, &p, &found)))
        return e;
    if (!found)
        (void)fail_field(cx, S("from"), "there is no place with the code %.*s", STR_FMT(line->from));
    if ((e = place_find(cx, line->to, &p, &found)))
        return e;
    if (!found)
        (void)fail_field(cx, S("to"), "there is no place with the code %.*s", STR_FMT(line->to));
    return cx->fault.code ? cx->fault.code
                          : fail(cx, ERR_CONFLICT, "%.*s was recorded at the same moment by another request.",
                                 STR_FMT(line->sku));
}

/* A level that did not change: it was not there yet, or it has too little. */
static enum err complete(struct ctx *cx, const struct change *c, enum posting how) {
    struct steps again = {.cx = cx};
    struct stock_level l;
    bool found;
    steps_add(&again, &SQL[ENSURE], ARGS(A(c->line->sku), A(c->place), A(c->line->at)), NULL);
    add_change(&again, c, how);
    enum err e = steps_run(&again);
    if (e || again.v[1].changed == 1)
        return e;
    if ((e = db_get(cx, &SQL[LEVEL_AT], ARGS(A(c->line->sku), A(c->place)), &l, &found)))
        return e;
    return fail(cx, ERR_INSUFFICIENT,
                "%" PRId64 " of %.*s are available at %.*s; the request takes %" PRId64 ".",
                found ? l.available : 0, STR_FMT(c->line->sku), STR_FMT(c->place), -c->delta);
}

/* All lines were refused as known: that is a repeat. Some were: the event has changed since. */
static enum err check_repeat(struct ctx *cx, struct move *lines, size_t n, const struct step *steps,
                             enum posted *out) {
    size_t repeats = 0;
    for (size_t i = 0; i < n; i++) {
        bool repeated = false;
        if (steps[i].changed == 1)
            continue;
        enum err e = explain_refused(cx, &lines[i], &repeated);
        if (e)
            return e;
        repeats += repeated;
    }
    if (repeats > 0 && repeats < n)
        return fail(cx, ERR_CONFLICT, "%.*s %.*s was recorded before with other lines.",
                    STR_FMT(lines[0].source), STR_FMT(lines[0].source_ref));
    *out = repeats ? REPEATED : POSTED;
    return OK;
}

/* What posting does, under way: first all moves, then all levels in key order, in one round trip. */
struct post {
    struct steps steps;
    struct change *changes;
    size_t n_lines, n_changes;
};

static enum err send(struct ctx *cx, struct move *lines, size_t n, enum posting how, bool sum,
                     struct post *p) {
    *p = (struct post){.steps = {.cx = cx}, .changes = NEW_N(cx->mem, struct change, 2 * n), .n_lines = n};
    if (!p->changes)
        return fail(cx, ERR_MEMORY, "The event has too many lines.");
    for (size_t i = 0; i < n; i++) {
        lines[i].id = uuid_new(cx->now);
        lines[i].at = cx->now;
        lines[i].actor = cx->actor.name;
        steps_add(&p->steps, &SQL[INSERT], args_of(cx, &MOVE, &lines[i], ARGS()), NULL);
        p->changes[2 * i] = (struct change){&lines[i], lines[i].from, -lines[i].quantity};
        p->changes[2 * i + 1] = (struct change){&lines[i], lines[i].to, lines[i].quantity};
    }
    qsort(p->changes, 2 * n, sizeof(*p->changes), by_level);
    for (size_t i = 0; i < 2 * n; i++) {
        if (sum && p->n_changes > 0 && by_level(&p->changes[p->n_changes - 1], &p->changes[i]) == 0)
            p->changes[p->n_changes - 1].delta += p->changes[i].delta;
        else
            p->changes[p->n_changes++] = p->changes[i];
    }
    for (size_t i = 0; i < p->n_changes; i++)
        add_change(&p->steps, &p->changes[i], how);
    return steps_run(&p->steps);
}

static enum err complete_all(struct ctx *cx, const struct post *p, enum posting how) {
    enum err e = OK;
    for (size_t i = 0; !e && i < p->n_changes; i++)
        if (p->steps.v[p->n_lines + i].changed == 0)
            e = complete(cx, &p->changes[i], how);
    return e;
}

enum err ledger_post(struct ctx *cx, struct move *lines, size_t *n, enum posting how, enum posted *out) {
    struct post p;
    assert(*n > 0);
    for (size_t i = 0; i < *n; i++)
        if (str_eq(lines[i].from, lines[i].to))
            return fail_field(cx, S("to"), "must not be the place that the item leaves");
    enum err e = sum_lines(cx, lines, n);
    if (e || (e = send(cx, lines, *n, how, false, &p)) || (e = check_repeat(cx, lines, *n, p.steps.v, out)))
        return e;
    return *out == POSTED ? complete_all(cx, &p, how) : OK;
}

enum err ledger_post_facts(struct ctx *cx, struct move *lines, size_t n) {
    struct post p;
    enum err e = send(cx, lines, n, FACT, true, &p);
    for (size_t i = 0; !e && i < n; i++)
        if (p.steps.v[i].changed == 0)
            e = fail(cx, ERR_CONFLICT, "%.*s %.*s is not a plain new event.", STR_FMT(lines[i].source),
                     STR_FMT(lines[i].source_ref));
    return e ? e : complete_all(cx, &p, FACT);
}

const struct module LEDGER_MODULE = {.name = "ledger", TABLE(stmts, SQL)};
