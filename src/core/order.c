#include "core/order.h"

#include "net/listing.h"

#include "base/banned.h"

static const struct field LINE_FIELDS[] = {
    FIELD(struct order_line, shipment, OUT | ROW, "The shipment it goes with.", .column = "shipment_ref"),
    FIELD(struct order_line, sku, OUT | ROW, "What was sold."),
    FIELD(struct order_line, quantity, OUT | ROW, "How many."),
};
static const struct schema ORDER_LINE = SCHEMA(struct order_line, "OrderLine", LINE_FIELDS);

static const char *const STATES[] = {"PENDING", "PAID", "SHIPPED", "CANCELLED", NULL};
static const struct field FIELDS[] = {
    FIELD(struct sales_order, id, OUT | ROW, "The order's own id."),
    FIELD(struct sales_order, channel, OUT | ROW, "Where it was sold."),
    FIELD(struct sales_order, order_id, OUT | ROW, "The channel's name for it.", .column = "order_ref"),
    FIELD(struct sales_order, status, OUT | ROW, "How far it is.", .column = "state", .one_of = STATES),
    FIELD(struct sales_order, ordered_at, OUT | ROW, "The earliest time that its events name."),
    FIELD(struct sales_order, updated_at, OUT | ROW, "When something of it changed last."),
    FIELD(struct sales_order, lines, OUT, "What is in it.", .of = &ORDER_LINE),
};
const struct schema SALES_ORDER = SCHEMA(struct sales_order, "Order", FIELDS);

static const struct field SHIPMENT_FIELDS[] = {
    FIELD(struct order_shipment, order_id, ROW, "The order it belongs to."),
    FIELD(struct order_shipment, state, ROW, "What it has come to."),
};
static const struct schema SHIPMENT = SCHEMA(struct order_shipment, "OrderShipment", SHIPMENT_FIELDS);

enum {
    TOUCH_ORDER,
    TOUCH_SHIPMENT,
    SETTLE_SHIPMENT,
    SETTLE_ORDER,
    LINE,
    CLEAR_LINES,
    GET_ONE,
    NEWEST,
    LINES_OF
};
#define COLUMNS "id, channel, order_ref, state, ordered_at, updated_at"
static const struct stmt SQL[] = {
    [TOUCH_ORDER] =
        {"order_touch", TENANT,
         "INSERT INTO sales_order (org_id, id, channel, order_ref, state, ordered_at, updated_at)"
         " VALUES ($org, $1, $2, $3, 'PAID', $4, $5)"
         " ON CONFLICT (org_id, channel, order_ref) DO UPDATE SET updated_at = excluded.updated_at,"
         " ordered_at = CASE WHEN excluded.ordered_at < sales_order.ordered_at"
         " THEN excluded.ordered_at ELSE sales_order.ordered_at END",
         NULL, NULL},
    [TOUCH_SHIPMENT] = {"shipment_touch", TENANT,
                        "INSERT INTO shipment (org_id, shipment_ref, order_id, state, updated_at)"
                        " SELECT o.org_id, $1, o.id, 'known', $4 FROM sales_order o"
                        " WHERE o.org_id = $org AND o.channel = $2 AND o.order_ref = $3"
                        " ON CONFLICT (org_id, shipment_ref) DO UPDATE SET updated_at = excluded.updated_at"
                        " RETURNING order_id, state",
                        NULL, &SHIPMENT},
    [SETTLE_SHIPMENT] =
        {"shipment_settle", TENANT,
         "UPDATE shipment SET state = $2, updated_at = $3 WHERE org_id = $org AND shipment_ref = $1", NULL,
         NULL},
    [SETTLE_ORDER] = {"order_settle", TENANT,
                      "UPDATE sales_order SET updated_at = $2, state = CASE"
                      " WHEN EXISTS (SELECT 1 FROM shipment s WHERE s.org_id = $org AND s.order_id = $1"
                      " AND s.state IN ('shipped', 'returned')) THEN 'SHIPPED'"
                      " WHEN EXISTS (SELECT 1 FROM shipment s WHERE s.org_id = $org AND s.order_id = $1"
                      " AND s.state = 'cancelled') THEN 'CANCELLED' ELSE 'PAID' END"
                      " WHERE org_id = $org AND id = $1",
                      NULL, NULL},
    [LINE] = {"order_line", TENANT,
              "INSERT INTO sales_order_line (org_id, order_id, shipment_ref, sku, quantity)"
              " VALUES ($org, $1, $2, $3, $4) ON CONFLICT (org_id, order_id, shipment_ref, sku)"
              " DO UPDATE SET quantity = excluded.quantity",
              NULL, NULL},
    [CLEAR_LINES] =
        {"order_clear_lines", TENANT,
         "DELETE FROM sales_order_line WHERE org_id = $org AND order_id = $1 AND shipment_ref = $2", NULL,
         NULL},
    [GET_ONE] = {"order_get", TENANT, "SELECT " COLUMNS " FROM sales_order WHERE org_id = $org AND id = $1",
                 NULL, &SALES_ORDER},
    [NEWEST] =
        {"order_newest", TENANT,
         "SELECT " COLUMNS " FROM sales_order WHERE org_id = $org AND ($3 IS NULL OR id < $3)"
         " AND CAST($4 AS text) IS NULL AND (CAST($5 AS text) IS NULL OR state = $5)"
         " AND (CAST($6 AS text) IS NULL OR channel = $6) AND (CAST($7 AS text) IS NULL OR order_ref = $7)"
         " ORDER BY id DESC LIMIT $1 OFFSET $2",
         "SELECT " COLUMNS " FROM sales_order WHERE org_id = $org"
         " AND id < COALESCE($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)"
         " AND CAST($4 AS text) IS NULL AND (CAST($5 AS text) IS NULL OR state = $5)"
         " AND (CAST($6 AS text) IS NULL OR channel = $6) AND (CAST($7 AS text) IS NULL OR order_ref = $7)"
         " ORDER BY id DESC LIMIT $1 OFFSET $2",
         &SALES_ORDER},
    [LINES_OF] =
        {"order_lines", TENANT,
         "SELECT shipment_ref, sku, quantity FROM sales_order_line WHERE org_id = $org AND order_id = $1"
         " ORDER BY shipment_ref, sku",
         NULL, &ORDER_LINE},
};

enum err order_touch(struct ctx *cx, struct str channel, struct str order, struct str shipment,
                     struct instant at, struct order_shipment *out) {
    struct step steps[] = {
        {.st = &SQL[TOUCH_ORDER],
         .args = ARGS(A(uuid_new(cx->now)), A(channel), A(order), A(at), A(cx->now))},
        {.st = &SQL[TOUCH_SHIPMENT], .args = ARGS(A(shipment), A(channel), A(order), A(cx->now)), .row = out},
    };
    return db_steps(cx, steps, 2);
}

enum err order_settle(struct ctx *cx, struct uuid order_id, struct str shipment, struct str state,
                      struct order_lines lines, const struct step *also, size_t n_also) {
    struct step *steps = NEW_N(cx->mem, struct step, lines.n + n_also + 3);
    struct arg *args = NEW_N(cx->mem, struct arg, 4 * lines.n + 1);
    struct args clear = ARGS(A(order_id), A(shipment));
    size_t n = 0;
    if (!steps || !args)
        return fail(cx, ERR_MEMORY, "The order has too many lines.");
    if (lines.replace)
        steps[n++] = (struct step){.st = &SQL[CLEAR_LINES], .args = clear};
    for (size_t i = 0; i < lines.n; i++) {
        struct arg *v = args + 4 * i;
        v[0] = A(order_id), v[1] = A(shipment), v[2] = A(lines.v[i].sku), v[3] = A(lines.v[i].quantity);
        steps[n++] = (struct step){.st = &SQL[LINE], .args = {v, 4}};
    }
    steps[n++] = (struct step){.st = &SQL[SETTLE_SHIPMENT], .args = ARGS(A(shipment), A(state), A(cx->now))};
    steps[n++] = (struct step){.st = &SQL[SETTLE_ORDER], .args = ARGS(A(order_id), A(cx->now))};
    for (size_t i = 0; i < n_also; i++)
        steps[n++] = also[i];
    return db_steps(cx, steps, n);
}

static enum err get(struct ctx *cx, struct request *rq, struct answer *an) {
    struct uuid id;
    struct sales_order o;
    bool found = false;
    enum err e = OK;
    if (uuid_parse(rq->param[0], &id))
        e = db_get(cx, &SQL[GET_ONE], ARGS(A(id)), &o, &found);
    if (e)
        return e;
    if (!found)
        return fail(cx, ERR_NOT_FOUND, "There is no order with this id.");
    if ((e = db_list(cx, &SQL[LINES_OF], ARGS(A(id)), &o.lines)))
        return e;
    return answer_object(cx, an, 200, &SALES_ORDER, &o);
}

static const struct listing_sort SORTS[] = {{"-created_at", &SQL[NEWEST], "id", NULL}};
static const struct listing_filter FILTERS[] = {{"status", NULL, NULL, &FIELDS[3], NULL},
                                                {"channel", NULL, NULL, &FIELDS[1], NULL},
                                                {"order_id", NULL, NULL, &FIELDS[2], NULL}};
static const struct listing LISTING = {&SALES_ORDER, SORTS, 1, FILTERS, 3};

static const struct route ROUTES[] = {
    ROUTE(GET, "/api/v1/orders", READ, AREA_FLOOR, NEED_READ, listing_answer,
          "Lists the orders, newest first.", .flags = ROUTE_LIST, .out = &SALES_ORDER, .listing = &LISTING),
    ROUTE(GET, "/api/v1/orders/{id}", READ, AREA_FLOOR, NEED_READ, get, "Shows an order with its lines.",
          .out = &SALES_ORDER),
};

const struct module ORDER_MODULE = {.name = "orders", TABLE(routes, ROUTES), TABLE(stmts, SQL)};
