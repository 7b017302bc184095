#include "core/order.h"

#include "net/listing.h"

#include "base/banned.h"

static const struct field LINE_FIELDS[] = {
    FIELD(struct order_line, shipment, OUT | ROW, "The shipment it goes with.", .column = "shipment_ref"),
    FIELD(struct order_line, sku, OUT | ROW, "What was sold."),
    FIELD(struct order_line, quantity, OUT | ROW, "How many."),
};
static const struct schema ORDER_LINE = SCHEMA(struct order_line, "OrderLine", LINE_FIELDS);

static const struct field ORDERED_FIELDS[] = {
    FIELD(struct order_wish, part, OUT | ROW, "The service's own id of the order, or of its part.",
          .column = "part_ref"),
    FIELD(struct order_wish, status, OUT | ROW, "What it says of itself: unpaid, open, shipped, cancelled."),
    FIELD(struct order_wish, sku, OUT | ROW, "What was ordered."),
    FIELD(struct order_wish, quantity, OUT | ROW, "How many."),
};
static const struct schema ORDER_WISH = SCHEMA(struct order_wish, "OrderedLine", ORDERED_FIELDS);

static const char *const STATES[] = {"PENDING", "PAID", "SHIPPED", "CANCELLED", NULL};
static const struct field FIELDS[] = {
    FIELD(struct sales_order, id, OUT | ROW, "The order's own id."),
    FIELD(struct sales_order, channel, OUT | ROW, "Where it was sold."),
    FIELD(struct sales_order, order_id, OUT | ROW, "The channel's name for it.", .column = "order_ref"),
    FIELD(struct sales_order, status, OUT | ROW, "How far it is.", .column = "state", .one_of = STATES),
    FIELD(struct sales_order, ordered_at, OUT | ROW, "The earliest time that its events name."),
    FIELD(struct sales_order, updated_at, OUT | ROW, "When something of it changed last."),
    FIELD(struct sales_order, lines, OUT | ROW, "What its shipments hold.", .max = 1000000,
          .of = &ORDER_LINE),
    FIELD(struct sales_order, ordered, OUT | ROW,
          "What was ordered, as the shipping service has it; empty where only shipments are reported.",
          .max = 1000000, .of = &ORDER_WISH),
};
const struct schema SALES_ORDER = SCHEMA(struct sales_order, "Order", FIELDS);
static const struct field HEAD_FIELDS[] = {
    FIELD(struct order_head, id, ROW, "The order's own id."),
    FIELD(struct order_head, promised, ROW, "Whether something is or was to be reserved for it."),
};
static const struct schema HEAD = SCHEMA(struct order_head, "OrderHead", HEAD_FIELDS);

enum { TOUCH_ORDER, LOCK_ORDER, SETTLE_ORDER, LINE, CLEAR_LINES, ADD_SHIPPED, ADD_LINES, GET_ONE, NEWEST };
/* An order whole: its lines are JSON, by shipment and SKU. */
#define COLUMNS "o.id, o.channel, o.order_ref, o.state, o.ordered_at, o.updated_at, "
#define LINES_OF                                                                                           \
    "FROM (SELECT * FROM sales_order_line WHERE org_id = $org AND order_id = o.id ORDER BY shipment_ref, " \
    "sku)"
#define ORDERED_OF                                                                                    \
    "FROM (SELECT p.part_ref, p.status, w.sku, w.quantity FROM order_part p JOIN order_part_line w"   \
    " ON w.org_id = p.org_id AND w.part_ref = p.part_ref WHERE p.org_id = $org AND p.order_id = o.id" \
    " ORDER BY p.part_ref, w.sku)"
#define SELECT_SQLITE                                                                                      \
    "SELECT " COLUMNS "(SELECT json_group_array(json_object('shipment', l.shipment_ref, 'sku', l.sku,"     \
    " 'quantity', l.quantity)) " LINES_OF " l) AS lines, (SELECT json_group_array(json_object('part',"     \
    " w.part_ref, 'status', w.status, 'sku', w.sku, 'quantity', w.quantity)) " ORDERED_OF " w) AS ordered" \
    " FROM sales_order o WHERE o.org_id = $org"
#define SELECT_POSTGRES                                                                                \
    "SELECT " COLUMNS "(SELECT COALESCE(json_agg(json_build_object('shipment', l.shipment_ref, 'sku'," \
    " l.sku, 'quantity', l.quantity)), '[]') " LINES_OF " l) AS lines, (SELECT"                        \
    " COALESCE(json_agg(json_build_object('part', w.part_ref, 'status', w.status, 'sku', w.sku,"       \
    " 'quantity', w.quantity)), '[]') " ORDERED_OF " w) AS ordered FROM sales_order o"                 \
    " WHERE o.org_id = $org"
#define FILTERS_AND_ORDER                                                                                  \
    " AND CAST($4 AS text) IS NULL AND (CAST($5 AS text) IS NULL OR o.state = $5)"                         \
    " AND (CAST($6 AS text) IS NULL OR o.channel = $6) AND (CAST($7 AS text) IS NULL OR o.order_ref = $7)" \
    " ORDER BY o.id DESC LIMIT $1 OFFSET $2"
#define PARTS "SELECT 1 FROM order_part p WHERE p.org_id = $org AND p.order_id = $1"
static const struct stmt SQL[] = {
    [TOUCH_ORDER] =
        {"order_touch", TENANT,
         "INSERT INTO sales_order (org_id, id, channel, order_ref, state, ordered_at, updated_at,"
         " promised) SELECT $org, $1, $2, $3, 'PAID', $4, $5, $7 WHERE NOT EXISTS (SELECT 1 FROM shipment s"
         " JOIN sales_order o ON o.org_id = s.org_id AND o.id = s.order_id WHERE s.org_id = $org"
         " AND s.shipment_ref = $6 AND (o.channel <> $2 OR o.order_ref <> $3))"
         " ON CONFLICT (org_id, channel, order_ref) DO UPDATE SET updated_at = excluded.updated_at,"
         " ordered_at = CASE WHEN excluded.ordered_at < sales_order.ordered_at"
         " THEN excluded.ordered_at ELSE sales_order.ordered_at END,"
         " promised = sales_order.promised OR excluded.promised RETURNING id, promised",
         NULL, &HEAD},
    [LOCK_ORDER] = {"order_lock", TENANT,
                    "UPDATE sales_order SET updated_at = updated_at WHERE org_id = $org AND id = $1", NULL,
                    NULL},
    [SETTLE_ORDER] = {"order_settle", TENANT,
                      "UPDATE sales_order SET updated_at = $2, state = CASE"
                      " WHEN EXISTS (SELECT 1 FROM shipment s WHERE s.org_id = $org AND s.order_id = $1"
                      " AND s.state IN ('shipped', 'returned')) THEN 'SHIPPED'"
                      " WHEN EXISTS (SELECT 1 FROM shipment s WHERE s.org_id = $org AND s.order_id = $1"
                      " AND s.state = 'cancelled') THEN 'CANCELLED'"
                      " WHEN NOT EXISTS (" PARTS ") THEN 'PAID'"
                      " WHEN NOT EXISTS (" PARTS " AND p.status <> 'cancelled') THEN 'CANCELLED'"
                      " WHEN NOT EXISTS (" PARTS " AND p.status NOT IN ('cancelled', 'unpaid'))"
                      " THEN 'PENDING' ELSE 'PAID' END"
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
    [ADD_SHIPPED] =
        {"orders_add_shipped", TENANT,
         "INSERT INTO sales_order (org_id, id, channel, order_ref, state, ordered_at, updated_at)"
         " VALUES ($org, $1, $2, $3, 'SHIPPED', $4, $5) ON CONFLICT (org_id, channel, order_ref) DO NOTHING",
         "INSERT INTO sales_order (org_id, id, channel, order_ref, state, ordered_at, updated_at)"
         " SELECT $org, u.id, u.channel, u.order_ref, 'SHIPPED', u.ordered_at, u.updated_at"
         " FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])"
         " AS u(id, channel, order_ref, ordered_at, updated_at)"
         " ON CONFLICT (org_id, channel, order_ref) DO NOTHING",
         NULL},
    [ADD_LINES] = {"order_lines_add", TENANT,
                   "INSERT INTO sales_order_line (org_id, order_id, shipment_ref, sku, quantity)"
                   " VALUES ($org, $1, $2, $3, $4)",
                   "INSERT INTO sales_order_line (org_id, order_id, shipment_ref, sku, quantity)"
                   " SELECT $org, u.* FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[]) AS u",
                   NULL},
    [GET_ONE] = {"order_get", TENANT, SELECT_SQLITE " AND o.id = $1", SELECT_POSTGRES " AND o.id = $1",
                 &SALES_ORDER},
    [NEWEST] = {"order_newest", TENANT,
                SELECT_SQLITE
                " AND o.id < COALESCE($3, x'ffffffffffffffffffffffffffffffff')" FILTERS_AND_ORDER,
                SELECT_POSTGRES
                " AND o.id < COALESCE($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)" FILTERS_AND_ORDER,
                &SALES_ORDER},
};

void order_touch(struct steps *steps, struct str channel, struct str order, struct instant at,
                 struct str shipment, bool promises, struct order_head *out) {
    struct instant now = steps->cx->now;
    steps_add(steps, &SQL[TOUCH_ORDER],
              ARGS(A(uuid_new(now)), A(channel), A(order), A(at), A(now), A(shipment), A(promises)), out);
}

void order_lock(struct steps *steps, struct uuid order_id) {
    steps_add(steps, &SQL[LOCK_ORDER], ARGS(A(order_id)), NULL);
}

void order_clear_lines(struct steps *steps, struct uuid order_id, struct str shipment) {
    steps_add(steps, &SQL[CLEAR_LINES], ARGS(A(order_id), A(shipment)), NULL);
}

void order_add_line(struct steps *steps, struct uuid order_id, const struct order_line *line) {
    steps_add(steps, &SQL[LINE], ARGS(A(order_id), A(line->shipment), A(line->sku), A(line->quantity)), NULL);
}

size_t order_add_shipped(struct steps *steps, struct uuid id, struct str channel, struct str order,
                         struct instant at) {
    return steps_add_row(steps, &SQL[ADD_SHIPPED],
                         ARGS(A(id), A(channel), A(order), A(at), A(steps->cx->now)));
}

void order_add_shipped_line(struct steps *steps, struct uuid order_id, const struct order_line *line) {
    (void)steps_add_row(steps, &SQL[ADD_LINES],
                        ARGS(A(order_id), A(line->shipment), A(line->sku), A(line->quantity)));
}

void order_settle(struct steps *steps, struct uuid order_id) {
    steps_add(steps, &SQL[SETTLE_ORDER], ARGS(A(order_id), A(steps->cx->now)), NULL);
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
    return answer_object(cx, an, 200, &SALES_ORDER, &o);
}

static const struct listing_sort SORTS[] = {{"-created_at", &SQL[NEWEST], "id", NULL}};
static const struct listing_filter FILTERS[] = {{"status", NULL, NULL, &FIELDS[3], NULL},
                                                {"channel", NULL, NULL, &FIELDS[1], NULL},
                                                {"order_id", NULL, NULL, &FIELDS[2], NULL}};
static const struct listing LISTING = {&SALES_ORDER, SORTS, 1, FILTERS, 3};

static const struct route ROUTES[] = {
    ROUTE(GET, "/api/v1/orders", READ, AREA_FLOOR, NEED_READ, listing_answer,
          "Lists the orders with their lines, newest first.", .flags = ROUTE_LIST, .out = &SALES_ORDER,
          .listing = &LISTING),
    ROUTE(GET, "/api/v1/orders/{id}", READ, AREA_FLOOR, NEED_READ, get, "Shows an order with its lines.",
          .out = &SALES_ORDER),
};

const struct module ORDER_MODULE = {.name = "orders", TABLE(routes, ROUTES), TABLE(stmts, SQL)};
