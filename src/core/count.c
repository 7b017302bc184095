#include "core/count.h"

#include "core/flag.h"
#include "core/item.h"
#include "core/ledger.h"
#include "core/place.h"
#include "identity/audit.h"
#include "net/listing.h"

#include <stdlib.h>

#include "base/banned.h"

#define LINES_MAX 2000  /* of one count: its approval is one transaction */
#define ENTRIES_MAX 500 /* of one request */

static const char *const STATES[] = {"open", "counted", "approved", "cancelled", NULL};

struct count {
    struct uuid id;
    struct str place, state;
    bool blind;
    struct str note;
    struct instant created_at;
    struct str created_by;
    struct instant settled_at;
    struct str settled_by;
    int64_t lines, differing;
};
static const struct field FIELDS[] = {
    FIELD(struct count, id, OUT | ROW, "The count's own id."),
    FIELD(struct count, place, CREATE | OUT | ROW | REQUIRED, "The code of the place that is counted.",
          .min = 1, .max = 64),
    FIELD(struct count, state, OUT | ROW,
          "open while it is counted, counted once handed in, then approved or cancelled.", .one_of = STATES),
    FIELD(struct count, blind, CREATE | OUT | ROW,
          "Whether the sheet keeps back what is expected until it is handed in."),
    FIELD(struct count, note, CREATE | OUT | ROW, "A remark.", .max = 500),
    FIELD(struct count, created_at, OUT | ROW, "When it began."),
    FIELD(struct count, created_by, OUT | ROW, "Who began it."),
    FIELD(struct count, settled_at, OUT | ROW, "When it was approved or cancelled."),
    FIELD(struct count, settled_by, OUT | ROW, "Who did that."),
    FIELD(struct count, lines, OUT | ROW, "How many items were counted."),
    FIELD(struct count, differing, OUT | ROW,
          "How many of them differ from what was expected; 0 while a blind count is open."),
};
static const struct schema COUNT = SCHEMA(struct count, "Count", FIELDS);

struct line {
    struct str sku, name;
    struct optional_int expected, counted, variance;
    int64_t times;
    struct instant counted_at;
    struct str counted_by;
    bool moved_since;
};
static const struct field LINE_FIELDS[] = {
    FIELD(struct line, sku, OUT | ROW, "The item."),
    FIELD(struct line, name, OUT | ROW, "Its name."),
    FIELD(struct line, expected, OUT | ROW,
          "What the ledger said when it was counted, or says now; null while a blind count is open."),
    FIELD(struct line, counted, OUT | ROW, "What was found; null when it was not counted yet."),
    FIELD(struct line, variance, OUT | ROW, "Counted less expected."),
    FIELD(struct line, times, OUT | ROW, "How many entries there were."),
    FIELD(struct line, counted_at, OUT | ROW, "When it was entered last."),
    FIELD(struct line, counted_by, OUT | ROW, "Who entered it last."),
    FIELD(struct line, moved_since, OUT | ROW,
          "Whether it moved after it was counted and before the count was settled: worth another look."),
};
static const struct schema LINE = SCHEMA(struct line, "CountLine", LINE_FIELDS);

struct entry {
    struct str sku;
    int64_t quantity;
    bool add;
};
static const struct field ENTRY_FIELDS[] = {
    FIELD(struct entry, sku, CREATE | REQUIRED, "The item.", .min = 1, .max = SKU_MAX, .check = sku_valid,
          .rule = SKU_RULE),
    FIELD(struct entry, quantity, CREATE | REQUIRED, "How many were found.", .min = 0, .max = MOVE_MAX),
    FIELD(struct entry, add, CREATE,
          "Whether they come on top of what was entered before (a scan); else they take its place."),
};
static const struct schema ENTRY = SCHEMA(struct entry, "CountEntry", ENTRY_FIELDS);

struct entries {
    struct list lines;
};
static const struct field ENTRIES_FIELDS[] = {FIELD(struct entries, lines, CREATE | REQUIRED,
                                                    "What was found, item by item.", .min = 1,
                                                    .max = ENTRIES_MAX, .of = &ENTRY)};
static const struct schema ENTRIES = SCHEMA(struct entries, "CountEntries", ENTRIES_FIELDS);
static const struct field ENTERED_FIELDS[] = {
    FIELD(struct entries, lines, OUT, "The lines as they are now.", .of = &LINE)};
static const struct schema ENTERED = SCHEMA(struct entries, "CountEntered", ENTERED_FIELDS);

struct variance {
    struct str sku;
    int64_t quantity;
};
static const struct field VARIANCE_FIELDS[] = {
    FIELD(struct variance, sku, ROW, "The item."),
    FIELD(struct variance, quantity, ROW, "Counted less expected.", .column = "variance"),
};
static const struct schema VARIANCE = SCHEMA(struct variance, "CountVariance", VARIANCE_FIELDS);

enum { INSERT, GET_ONE, UNDER_WAY, NEWEST, OPEN, ENSURE, ENTER, SETTLE, SHEET, VARIANCES };
#define LINES_OF " FROM stock_count_line n WHERE n.org_id = $org AND n.count_id = stock_count.id"
#define COLUMNS                                                                               \
    "id, place, state, blind, note, created_at, created_by, settled_at, settled_by,"          \
    " (SELECT count(*)" LINES_OF ") AS lines, CASE WHEN blind AND state = 'open' THEN 0 ELSE" \
    " (SELECT count(*)" LINES_OF " AND n.counted <> n.expected) END AS differing"
#define FILTERS " AND (CAST($5 AS text) IS NULL OR state = $5) AND (CAST($6 AS text) IS NULL OR place = $6)"
#define HIDDEN "c.blind AND c.state = 'open'"
static const struct stmt SQL[] = {
    [INSERT] = {"count_insert", TENANT,
                "INSERT INTO stock_count (org_id, id, place, state, blind, note, created_at, created_by,"
                " revision) SELECT p.org_id, $1, p.code, 'open', $3, $4, $5, $6, 1 FROM place p"
                " WHERE p.org_id = $org AND p.code = $2 AND p.bounded ON CONFLICT DO NOTHING",
                NULL, NULL},
    [GET_ONE] = {"count_get", TENANT, "SELECT " COLUMNS " FROM stock_count WHERE org_id = $org AND id = $1",
                 NULL, &COUNT},
    [UNDER_WAY] = {"count_under_way", TENANT,
                   "SELECT " COLUMNS " FROM stock_count WHERE org_id = $org AND place = $1"
                   " AND state IN ('open', 'counted')",
                   NULL, &COUNT},
    [NEWEST] =
        {"counts_newest", TENANT,
         "SELECT " COLUMNS " FROM stock_count WHERE org_id = $org"
         " AND id < COALESCE($3, x'ffffffffffffffffffffffffffffffff') AND CAST($4 AS text) IS NULL" FILTERS
         " ORDER BY id DESC LIMIT $1 OFFSET $2",
         "SELECT " COLUMNS " FROM stock_count WHERE org_id = $org"
         " AND id < COALESCE($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)"
         " AND CAST($4 AS text) IS NULL" FILTERS " ORDER BY id DESC LIMIT $1 OFFSET $2",
         &COUNT},
    /* Locks the count against whoever would settle it meanwhile. */
    [OPEN] = {"count_open", TENANT,
              "UPDATE stock_count SET revision = revision + 1 WHERE org_id = $org AND id = $1"
              " AND state = 'open' RETURNING " COLUMNS,
              NULL, &COUNT},
    [ENSURE] = {"count_ensure", TENANT,
                "INSERT INTO stock_level (org_id, sku, place, bounded, on_hand, reserved, oversold,"
                " updated_at) SELECT i.org_id, i.sku, p.code, p.bounded, 0, 0, FALSE, $3 FROM item i, place p"
                " WHERE i.org_id = $org AND i.sku = $1 AND p.org_id = $org AND p.code = $2"
                " ON CONFLICT (org_id, sku, place) DO NOTHING",
                NULL, NULL},
    [ENTER] = {"count_enter", TENANT,
               "INSERT INTO stock_count_line (org_id, count_id, sku, counted, expected, times, counted_at,"
               " counted_by) SELECT l.org_id, $1, l.sku, $4, l.on_hand, 1, $5, $6 FROM stock_level l"
               " WHERE l.org_id = $org AND l.sku = $2 AND l.place = $3"
               " ON CONFLICT (org_id, count_id, sku) DO UPDATE SET counted = excluded.counted"
               " + CASE WHEN $7 THEN stock_count_line.counted ELSE 0 END, expected = excluded.expected,"
               " times = stock_count_line.times + 1, counted_at = excluded.counted_at,"
               " counted_by = excluded.counted_by WHERE excluded.counted"
               " + CASE WHEN $7 THEN stock_count_line.counted ELSE 0 END <= 1000000000"
               " RETURNING sku, (SELECT i.name FROM item i WHERE i.org_id = $org AND"
               " i.sku = stock_count_line.sku) AS name, expected, counted, counted - expected AS variance,"
               " times, counted_at, counted_by, FALSE AS moved_since",
               NULL, &LINE},
    [SETTLE] = {"count_settle", TENANT,
                "UPDATE stock_count SET state = $2, settled_at = $5, settled_by = $6, revision = revision + 1"
                " WHERE org_id = $org AND id = $1 AND state IN ($3, $4) RETURNING " COLUMNS,
                NULL, &COUNT},
    [SHEET] =
        {"count_sheet", TENANT,
         "SELECT l.sku, i.name, CASE WHEN " HIDDEN " THEN NULL ELSE COALESCE(n.expected, l.on_hand) END AS"
         " expected, n.counted, CASE WHEN " HIDDEN " THEN NULL ELSE n.counted - n.expected END AS variance,"
         " COALESCE(n.times, 0) AS times, n.counted_at, n.counted_by, (c.state IN ('open', 'counted')"
         " AND n.sku IS NOT NULL AND l.posted_at IS NOT NULL AND l.posted_at > n.counted_at) AS moved_since"
         " FROM stock_count c CROSS JOIN stock_level l LEFT JOIN stock_count_line n ON n.org_id = $org"
         " AND n.count_id = c.id AND n.sku = l.sku LEFT JOIN item i ON i.org_id = $org AND i.sku = l.sku"
         " WHERE c.org_id = $org AND c.id = $5 AND l.org_id = $org AND l.place = c.place"
         " AND l.sku > COALESCE($3, '') AND CAST($4 AS text) IS NULL"
         " AND (l.on_hand <> 0 OR n.sku IS NOT NULL) AND (CAST($6 AS text) IS NULL"
         " OR ($6 = 'uncounted' AND n.sku IS NULL)"
         " OR ($6 = 'differing' AND NOT (" HIDDEN ") AND n.counted <> n.expected))"
         " ORDER BY l.sku LIMIT $1 OFFSET $2",
         NULL, &LINE},
    [VARIANCES] = {"count_variances", TENANT,
                   "SELECT sku, counted - expected AS variance FROM stock_count_line WHERE org_id = $org"
                   " AND count_id = $1 AND counted <> expected ORDER BY sku",
                   NULL, &VARIANCE},
};

static enum err find(struct ctx *cx, struct str text, struct count *out) {
    struct uuid id;
    bool found = false;
    enum err e = uuid_parse(text, &id) ? db_get(cx, &SQL[GET_ONE], ARGS(A(id)), out, &found) : OK;
    if (e)
        return e;
    return found ? OK : fail(cx, ERR_NOT_FOUND, "There is no count with the id %.*s.", STR_FMT(text));
}

static enum err write_audit(struct ctx *cx, struct str action, const struct count *c) {
    return audit_write(cx, action, c->place, (struct json){0}, audit_json(cx, &COUNT, c));
}

static enum err explain_not_begun(struct ctx *cx, struct str place) {
    struct place p;
    struct count other;
    char id[36];
    bool found;
    enum err e = place_find(cx, place, &p, &found);
    if (e)
        return e;
    if (!found)
        return fail_field(cx, S("place"), "there is no place with the code %.*s", STR_FMT(place));
    if (!p.bounded)
        return fail_field(cx, S("place"), "%.*s is outside and cannot be counted", STR_FMT(place));
    if ((e = db_get(cx, &SQL[UNDER_WAY], ARGS(A(place)), &other, &found)))
        return e;
    return fail(cx, ERR_CONFLICT, "%.*s is being counted already%s%.*s.", STR_FMT(place), found ? ": " : "",
                STR_FMT(found ? uuid_format(other.id, id) : S("")));
}

static enum err create(struct ctx *cx, struct request *rq, struct answer *an) {
    struct count *c = rq->in;
    int64_t made;
    c->id = uuid_new(cx->now);
    c->state = S("open");
    c->created_at = cx->now;
    c->created_by = cx->actor.name;
    enum err e =
        db_exec(cx, &SQL[INSERT],
                ARGS(A(c->id), A(c->place), A(c->blind), A(c->note), A(cx->now), A(cx->actor.name)), &made);
    if (e)
        return e;
    if (made == 0)
        return explain_not_begun(cx, c->place);
    if ((e = write_audit(cx, S("count.begin"), c)))
        return e;
    return answer_object(cx, an, 201, &COUNT, c);
}

static enum err get(struct ctx *cx, struct request *rq, struct answer *an) {
    struct count c;
    enum err e = find(cx, rq->param[0], &c);
    return e ? e : answer_object(cx, an, 200, &COUNT, &c);
}

static enum err sheet(struct ctx *cx, struct request *rq, struct answer *an) {
    struct count c;
    enum err e = find(cx, rq->param[0], &c);
    return e ? e : listing_answer(cx, rq, an);
}

static enum err refuse_entry(struct ctx *cx, const struct entry *entry, size_t i) {
    struct item it;
    bool found;
    enum err e = item_find(cx, entry->sku, &it, &found);
    if (e)
        return e;
    struct str at = str_printf(cx->mem, "lines[%zu].%s", i, found ? "quantity" : "sku");
    return found ? fail_field(cx, at, "adds up to more than %d", MOVE_MAX)
                 : fail_field(cx, at, "%.*s is not in the catalogue", STR_FMT(entry->sku));
}

static enum err hold_open(struct ctx *cx, struct str id, struct count *out) {
    bool open;
    enum err e = find(cx, id, out);
    if (e || (e = db_get(cx, &SQL[OPEN], ARGS(A(out->id)), out, &open)))
        return e;
    if (!open)
        return fail(cx, ERR_CONFLICT, "The count is no longer open; nothing can be entered.");
    return OK;
}

/* Levels are locked in key order by all who take several; one item's entries stay in the order sent. */
static int by_sku(const void *x, const void *y) {
    const struct entry *a = *(const struct entry *const *)x, *b = *(const struct entry *const *)y;
    int c = str_cmp(a->sku, b->sku);
    return c ? c : (a > b) - (a < b);
}

/* In: the entries; out: the lines that they have led to, in the same order. */
static enum err enter_lines(struct ctx *cx, const struct count *c, const struct list *in,
                            struct line *lines) {
    const struct entry *entry = in->items, **sorted = NEW_N(cx->mem, const struct entry *, in->n);
    struct steps steps = {.cx = cx};
    if (!sorted)
        return fail(cx, ERR_MEMORY, "The entries do not fit in memory.");
    for (size_t i = 0; i < in->n; i++)
        sorted[i] = &entry[i];
    qsort(sorted, in->n, sizeof(*sorted), by_sku);
    for (size_t i = 0; i < in->n; i++) {
        const struct entry *x = sorted[i];
        steps_add(&steps, &SQL[ENSURE], ARGS(A(x->sku), A(c->place), A(cx->now)), NULL);
        steps_add(
            &steps, &SQL[ENTER],
            ARGS(A(c->id), A(x->sku), A(c->place), A(x->quantity), A(cx->now), A(cx->actor.name), A(x->add)),
            &lines[x - entry]);
    }
    enum err e = steps_run(&steps);
    for (size_t i = 0; !e && i < in->n; i++)
        if (steps.v[2 * i + 1].changed == 0)
            e = refuse_entry(cx, sorted[i], (size_t)(sorted[i] - entry));
    for (size_t i = 0; !e && c->blind && i < in->n; i++)
        lines[i].expected = lines[i].variance = (struct optional_int){0};
    return e;
}

static enum err enter(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct entries *in = rq->in;
    size_t n = in->lines.n;
    struct count c;
    struct line *lines = NEW_N(cx->mem, struct line, n);
    if (!lines)
        return fail(cx, ERR_MEMORY, "The entries do not fit in memory.");
    enum err e = hold_open(cx, rq->param[0], &c);
    if (e || (e = enter_lines(cx, &c, &in->lines, lines)))
        return e;
    if (c.lines + (int64_t)n > LINES_MAX) { /* there may be lines of some of them already */
        if ((e = find(cx, rq->param[0], &c)))
            return e;
        if (c.lines > LINES_MAX)
            return fail(cx, ERR_CONFLICT, "A count takes %d items; go on with another one.", LINES_MAX);
    }
    struct entries out = {{lines, n}};
    if ((e = audit_write(cx, S("count.enter"), c.place, (struct json){0}, audit_json(cx, &ENTERED, &out))))
        return e;
    return answer_object(cx, an, 200, &ENTERED, &out);
}

/* Every way on: from which states (the second may be the first again), to which. */
struct way {
    const char *action, *from, *or_from, *to;
    bool settles;
};
static const struct way SUBMIT = {"count.submit", "open", "open", "counted", false},
                        REOPEN = {"count.reopen", "counted", "counted", "open", false},
                        APPROVE = {"count.approve", "counted", "counted", "approved", true},
                        CANCEL = {"count.cancel", "open", "counted", "cancelled", true};

/* Takes the count from one state to the next. done: it was there already, and nothing changed. */
static enum err go(struct ctx *cx, const struct request *rq, const struct way *way, struct count *c,
                   bool *done) {
    bool changed;
    *done = false;
    enum err e = find(cx, rq->param[0], c);
    if (e)
        return e;
    struct str before = c->state, to = str_of(way->to);
    if ((e = db_get(cx, &SQL[SETTLE],
                    ARGS(A(c->id), A(to), A(str_of(way->from)), A(str_of(way->or_from)),
                         A(way->settles ? cx->now : (struct instant){0}),
                         A(way->settles ? cx->actor.name : (struct str){0})),
                    c, &changed)))
        return e;
    if (changed)
        return OK;
    *done = str_eq(before, to);
    return *done ? OK : fail(cx, ERR_CONFLICT, "The count is %.*s.", STR_FMT(before));
}

static enum err step_on(struct ctx *cx, struct request *rq, struct answer *an, const struct way *way) {
    struct count c;
    bool done;
    enum err e = go(cx, rq, way, &c, &done);
    if (e || (!done && (e = write_audit(cx, str_of(way->action), &c))))
        return e;
    return answer_object(cx, an, 200, &COUNT, &c);
}

static enum err submit(struct ctx *cx, struct request *rq, struct answer *an) {
    return step_on(cx, rq, an, &SUBMIT);
}

static enum err reopen(struct ctx *cx, struct request *rq, struct answer *an) {
    return step_on(cx, rq, an, &REOPEN);
}

static enum err cancel(struct ctx *cx, struct request *rq, struct answer *an) {
    return step_on(cx, rq, an, &CANCEL);
}

/* What was counted is a fact: less than is promised may be left. */
static enum err adjust(struct ctx *cx, const struct count *c) {
    struct list list;
    char id[36];
    enum posted posted;
    enum err e = db_list(cx, &SQL[VARIANCES], ARGS(A(c->id)), &list);
    const struct variance *v = list.items;
    if (e || list.n == 0)
        return e;
    struct move *moves = NEW_N(cx->mem, struct move, list.n);
    if (!moves)
        return fail(cx, ERR_MEMORY, "The count does not fit in memory.");
    struct str ref = str_dup(cx->mem, uuid_format(c->id, id));
    for (size_t i = 0; i < list.n; i++) {
        bool more = v[i].quantity > 0;
        if (llabs(v[i].quantity) > MOVE_MAX)
            return fail(cx, ERR_CONFLICT, "%.*s differs by more than a move may take.", STR_FMT(v[i].sku));
        moves[i] = (struct move){.sku = v[i].sku,
                                 .quantity = llabs(v[i].quantity),
                                 .from = more ? S("adjustment") : c->place,
                                 .to = more ? c->place : S("adjustment"),
                                 .reason = S("counted"),
                                 .source = S("count"),
                                 .source_ref = ref};
    }
    return ledger_post(cx, moves, &list.n, FACT, &posted);
}

static enum err approve(struct ctx *cx, struct request *rq, struct answer *an) {
    struct count c;
    bool done;
    enum err e = go(cx, rq, &APPROVE, &c, &done);
    if (e ||
        (!done && ((e = adjust(cx, &c)) || (e = flag_counted(cx, c.id, c.place)) ||
                   (e = place_counted(cx, c.place)) || (e = write_audit(cx, str_of(APPROVE.action), &c)))))
        return e;
    return answer_object(cx, an, 200, &COUNT, &c);
}

static const char *const SHOWS[] = {"uncounted", "differing", NULL};
static const struct field COUNT_ID = {.name = "id", .kind = KIND_UUID, .doc = "The count."},
                          SHOW = {.name = "show",
                                  .kind = KIND_STR,
                                  .one_of = SHOWS,
                                  .doc = "Only the lines that were not counted yet, or that differ."};
static const struct listing_sort SORTS[] = {{"-created_at", &SQL[NEWEST], "id", NULL}},
                                 SHEET_SORTS[] = {{"sku", &SQL[SHEET], "sku", NULL}};
static const struct listing_filter FILTER_LIST[] = {{"state", NULL, "state", &FIELDS[2], NULL},
                                                    {"place", NULL, "place", &FIELDS[1], NULL}},
                                   SHEET_FILTERS[] = {{"id", NULL, NULL, &COUNT_ID, NULL},
                                                      {"show", NULL, "show", &SHOW, NULL}};
static const struct listing LISTING = {&COUNT, SORTS, 1, FILTER_LIST, 2},
                            SHEET_LISTING = {&LINE, SHEET_SORTS, 1, SHEET_FILTERS, 2};

static const enum err CONFLICTS[] = {ERR_CONFLICT, OK};
#define ACTION(verb, area, handler, text)                                                           \
    ROUTE(POST, "/api/v1/counts/{id}/" verb, WRITE, area, NEED_WRITE, handler, text, .out = &COUNT, \
          .errors = CONFLICTS)
static const struct route ROUTES[] = {
    ROUTE(GET, "/api/v1/counts", READ, AREA_FLOOR, NEED_READ, listing_answer,
          "Lists the counts, newest first.", .flags = ROUTE_LIST, .out = &COUNT, .listing = &LISTING),
    ROUTE(POST, "/api/v1/counts", WRITE, AREA_FLOOR, NEED_WRITE, create, "Begins to count a place.",
          .flags = ROUTE_CREATES | ROUTE_IDEMPOTENT, .in = &COUNT, .in_use = CREATE, .out = &COUNT,
          .errors = CONFLICTS),
    ROUTE(GET, "/api/v1/counts/{id}", READ, AREA_FLOOR, NEED_READ, get, "Shows a count.", .out = &COUNT),
    ROUTE(GET, "/api/v1/counts/{id}/lines", READ, AREA_FLOOR, NEED_READ, sheet,
          "The count's sheet: what is or was at the place and what was found, item by item.",
          .flags = ROUTE_LIST, .out = &LINE, .listing = &SHEET_LISTING, .path_filters = 1),
    ROUTE(POST, "/api/v1/counts/{id}/lines", WRITE, AREA_FLOOR, NEED_WRITE, enter,
          "Enters what was found, by list or scan by scan.", .flags = ROUTE_IDEMPOTENT, .in = &ENTRIES,
          .in_use = CREATE, .out = &ENTERED, .errors = CONFLICTS),
    ACTION("submit", AREA_FLOOR, submit, "Hands the count in; nothing more can be entered."),
    ACTION("reopen", AREA_FLOOR, reopen, "Sends a count that was handed in back to be counted again."),
    ACTION("approve", AREA_CATALOGUE, approve, "Posts every difference as an adjustment, all or none."),
    ACTION("cancel", AREA_FLOOR, cancel, "Ends the count without effect."),
};

const struct module COUNT_MODULE = {.name = "counts", TABLE(routes, ROUTES), TABLE(stmts, SQL)};
