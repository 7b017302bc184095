#include "core/demo.h"

#include "core/demo_today.h"
#include "core/ledger.h"

#include "base/banned.h"

#define STEPS (DEMO_ITEM_STEPS + DEMO_DAYS / 7 + 1)
#define DAY (INT64_C(86400) * US_PER_S)
#define STEP_MEMORY ((size_t)256 << 20)
#define PALLET DEMO_SKU_PREFIX "PALLET"

struct foreign {
    struct str sku;
};
static const struct field FOREIGN_FIELDS[] = {
    FIELD(struct foreign, sku, ROW, "An item of the organisation's own.")};
static const struct schema FOREIGN = SCHEMA(struct foreign, "ForeignItem", FOREIGN_FIELDS);

struct told {
    struct instant sealed_at;
};
static const struct field TOLD_FIELDS[] = {
    FIELD(struct told, sealed_at, ROW, "Up to when its history has been told.")};
static const struct schema TOLD = SCHEMA(struct told, "HistoryTold", TOLD_FIELDS);

static const struct field COUNT_FIELDS[] = {
    FIELD(struct demo_count, items, ROW, "Items there are."),
    FIELD(struct demo_count, moves, ROW, "Moves there are."),
    FIELD(struct demo_count, deliveries, ROW, "Deliveries there are."),
};
static const struct schema COUNT = SCHEMA(struct demo_count, "DemoCount", COUNT_FIELDS);

enum { OWN_ITEM, HISTORY_TOLD, COUNTS };
static const struct stmt SQL[] = {
    [OWN_ITEM] = {"demo_own_item", TENANT,
                  "SELECT sku FROM item WHERE org_id = $org AND sku NOT LIKE '" DEMO_SKU_PREFIX "%'"
                  " AND sku <> 'TEST-SKU-001' ORDER BY sku LIMIT 1",
                  NULL, &FOREIGN},
    [HISTORY_TOLD] = {"demo_history_told", TENANT,
                      "SELECT sealed_at FROM stock_seal WHERE org_id = $org AND sealed_at > $1", NULL, &TOLD},
    [COUNTS] = {"demo_counts", TENANT,
                "SELECT (SELECT count(*) FROM item WHERE org_id = $org) AS items,"
                " (SELECT count(*) FROM stock_move WHERE org_id = $org) AS moves,"
                " (SELECT count(*) FROM inbox WHERE org_id = $org) AS deliveries",
                NULL, &COUNT},
};

/* Each step leaves its mark in the ledger: one more empty pallet. */
static struct str mark_of(struct arena *mem, int64_t step) { return str_printf(mem, "step-%02d", (int)step); }

static enum err leave_mark(struct demo_year *y, int64_t step) {
    struct item it = {.sku = S(PALLET), .kind = S("part"), .name = S("Empty pallet")};
    struct move m = {.sku = it.sku, .quantity = 1};
    bool created;
    enum err e = step == 0 ? item_create(y->cx, &it, &created) : OK;
    return e ? e : demo_post(y, &m, 1, mark_of(y->cx->mem, step), S("a step of the demo year"));
}

static enum err take_step(struct demo_year *y, int64_t step) {
    if (step < DEMO_ITEM_STEPS)
        return demo_first_goods(y, step);
    int64_t week = step - DEMO_ITEM_STEPS;
    for (int64_t day = 7 * week; day < 7 * (week + 1); day++) {
        enum err e = demo_day(y, day);
        if (e)
            return e;
    }
    return OK;
}

struct loading {
    struct demo_year year, done; /* before and after the step */
    int64_t step;
    uint64_t seed;
};

/* The closure of one step: the mark, and all that happens in it. */
static enum err load_step(struct ctx *cx, void *arg) {
    struct loading *l = arg;
    struct instant now = cx->now;
    struct actor actor = cx->actor;
    arena_reset(cx->mem);
    l->done = l->year;
    l->done.cx = cx;
    uuid_repeat(l->seed + (uint64_t)l->step);
    bool last = l->step == STEPS - 1;
    if (!last)
        cx->now.us =
            l->year.start.us + (l->step < DEMO_ITEM_STEPS ? 0 : (l->step - DEMO_ITEM_STEPS) * 7 * DAY);
    enum err e = last ? demo_today(&l->done) : OK;
    if (!e && !(e = leave_mark(&l->done, l->step)) && !last)
        e = take_step(&l->done, l->step);
    uuid_repeat(0);
    l->done.cx = NULL;
    cx->now = now;
    cx->actor = actor;
    return e;
}

/* In memory of its own, so that a year does not pile up. */
static enum err run_step(struct ctx *cx, struct loading *l) {
    struct ctx step = *cx;
    if (!(step.mem = arena_new(STEP_MEMORY)))
        return fail(cx, ERR_MEMORY, "There is not enough memory for the demo company.");
    enum err e = db_write_wait(&step, load_step, l);
    if (e)
        e = fail(cx, e, "The demo company broke off at step %d of %d: %.*s", (int)l->step + 1, STEPS,
                 STR_FMT(str_dup(cx->mem, step.fault.message)));
    else
        l->year = l->done;
    arena_free(step.mem);
    return e;
}

/* How far an earlier load has come, and when it began. */
static enum err find_marks(struct ctx *cx, int64_t *steps, struct instant *began) {
    struct list moves;
    for (*steps = 0; *steps < STEPS; (*steps)++) {
        int64_t look = *steps ? *steps : STEPS - 1; /* most often it is complete */
        enum err e = ledger_of_event(cx, S("seed"), mark_of(cx->mem, look), &moves);
        if (e)
            return e;
        if (look == STEPS - 1 && moves.n) {
            *steps = STEPS;
            return OK;
        }
        if (*steps == 0 && (e = ledger_of_event(cx, S("seed"), mark_of(cx->mem, 0), &moves)))
            return e;
        if (moves.n == 0)
            return OK;
        if (*steps == 0)
            *began = ((const struct move *)moves.items)->at;
    }
    return OK;
}

static enum err check_fresh(struct ctx *cx, struct instant start, bool beside) {
    struct foreign own;
    struct told told;
    bool found;
    enum err e = beside ? OK : db_get(cx, &SQL[OWN_ITEM], ARGS(), &own, &found);
    if (e)
        return e;
    if (!beside && found)
        return fail(
            cx, ERR_CONFLICT,
            "This organisation has items of its own (%.*s); name another one with --org, or say --force"
            " to put the demo company beside them.",
            STR_FMT(own.sku));
    if ((e = db_get(cx, &SQL[HISTORY_TOLD], ARGS(A(start)), &told, &found)))
        return e;
    return found
               ? fail(cx, ERR_CONFLICT,
                      "This organisation has been asked for past levels, which stay as they were told; name "
                      "another one with --org.")
               : OK;
}

static enum err look(struct ctx *cx, bool beside, int64_t *step, struct instant *start) {
    int64_t today = cx->now.us - cx->now.us % DAY;
    struct instant began = {today - DEMO_DAYS * DAY};
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = find_marks(cx, step, &began);
    *start = began;
    if (!e && *step == 0)
        e = check_fresh(cx, began, beside);
    db_read_end(cx);
    return e;
}

static enum err counts(struct ctx *cx, struct demo_count *out) {
    bool found;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = db_get(cx, &SQL[COUNTS], ARGS(), out, &found);
    db_read_end(cx);
    return e;
}

/* FNV-1a: companies of other names have other ids. */
static uint64_t seed_of(struct str slug) {
    uint64_t seed = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < slug.n; i++)
        seed = (seed ^ (unsigned char)slug.p[i]) * UINT64_C(0x100000001B3);
    return seed;
}

enum err demo_load(struct ctx *cx, struct str slug, bool beside, struct demo_count *added) {
    struct loading *l = NEW(cx->mem, struct loading);
    struct demo_count before;
    int64_t first = 0;
    if (!l)
        return fail(cx, ERR_MEMORY, "There is not enough memory for the demo company.");
    l->seed = seed_of(slug);
    *added = (struct demo_count){0};
    enum err e = look(cx, beside, &first, &l->year.start);
    if (e || first == STEPS || (e = counts(cx, &before)))
        return e;
    for (l->step = 0; !e && l->step < STEPS; l->step++)
        e = l->step < first ? take_step(&l->year, l->step) : run_step(cx, l);
    if (e || (e = counts(cx, added)))
        return e;
    added->items -= before.items;
    added->moves -= before.moves;
    added->deliveries -= before.deliveries;
    return OK;
}

const struct module DEMO_MODULE = {.name = "demo", TABLE(stmts, SQL)};
