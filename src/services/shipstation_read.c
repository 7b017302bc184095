/* ShipStation's records: what is wire and what is meant. */
#include "base/json.h"
#include "services/pacific.h"
#include "services/shipstation.h"

#include "base/banned.h"

#define RECORDS_MAX ((int64_t)8 << 20)

/* A page. Which of the lists is there depends on what was asked for. */
struct wire_page {
    struct json list[4], pages;
};
static const struct field PAGE_FIELDS[] = {
    FIELD_AS(struct wire_page, list[0], "shipments", CREATE, "Shipments.", .max = RECORDS_MAX),
    FIELD_AS(struct wire_page, list[1], "fulfillments", CREATE, "Fulfillments.", .max = RECORDS_MAX),
    FIELD_AS(struct wire_page, list[2], "labels", CREATE, "Labels, of V2.", .max = RECORDS_MAX),
    FIELD_AS(struct wire_page, list[3], "orders", CREATE, "Orders.", .max = RECORDS_MAX),
    FIELD(struct wire_page, pages, CREATE, "How many pages there are, it says."),
};
static const struct schema PAGE = SCHEMA(struct wire_page, "ShipStationPage", PAGE_FIELDS);

/* A record. What may be of any type or null is kept as JSON, so that one odd value spoils nothing else. */
struct wire_record {
    struct json id, order_id, order_number, voided, is_return, created, voided_at, items, status, modified;
};
static const struct field SHIPMENT_FIELDS[] = {
    FIELD_AS(struct wire_record, id, "shipmentId", CREATE, "Its id."),
    FIELD_AS(struct wire_record, order_id, "orderId", CREATE, "Its order's id."),
    FIELD_AS(struct wire_record, order_number, "orderNumber", CREATE, "Its order's number."),
    FIELD_AS(struct wire_record, voided, "voided", CREATE, "Whether it was voided."),
    FIELD_AS(struct wire_record, is_return, "isReturnLabel", CREATE, "Whether it is for the way back."),
    FIELD_AS(struct wire_record, created, "createDate", CREATE, "When it was made."),
    FIELD_AS(struct wire_record, voided_at, "voidDate", CREATE, "When it was voided."),
    FIELD_AS(struct wire_record, items, "shipmentItems", CREATE, "What is in it.", .max = RECORDS_MAX),
};
static const struct schema SHIPMENT = SCHEMA(struct wire_record, "ShipStationShipment", SHIPMENT_FIELDS);
static const struct field FULFILLMENT_FIELDS[] = {
    FIELD_AS(struct wire_record, id, "fulfillmentId", CREATE, "Its id."),
    FIELD_AS(struct wire_record, order_id, "orderId", CREATE, "Its order's id."),
    FIELD_AS(struct wire_record, order_number, "orderNumber", CREATE, "Its order's number."),
    FIELD_AS(struct wire_record, voided, "voided", CREATE, "Whether it was voided."),
    FIELD_AS(struct wire_record, created, "createDate", CREATE, "When it was made."),
    FIELD_AS(struct wire_record, voided_at, "voidDate", CREATE, "When it was voided."),
};
static const struct schema FULFILLMENT =
    SCHEMA(struct wire_record, "ShipStationFulfillment", FULFILLMENT_FIELDS);
static const struct field LABEL_FIELDS[] = {
    FIELD_AS(struct wire_record, id, "label_id", CREATE, "Its id."),
    FIELD_AS(struct wire_record, order_id, "shipment_id", CREATE, "The id of what V1 calls its order."),
    FIELD_AS(struct wire_record, status, "status", CREATE, "completed, voided, processing or error."),
    FIELD_AS(struct wire_record, voided, "voided", CREATE, "Whether it was voided."),
    FIELD_AS(struct wire_record, is_return, "is_return_label", CREATE, "Whether it is for the way back."),
    FIELD_AS(struct wire_record, created, "created_at", CREATE, "When it was made."),
    FIELD_AS(struct wire_record, voided_at, "voided_at", CREATE, "When it was voided."),
};
static const struct schema LABEL = SCHEMA(struct wire_record, "ShipStationLabel", LABEL_FIELDS);
static const struct field V2_FULFILLMENT_FIELDS[] = {
    FIELD_AS(struct wire_record, id, "fulfillment_id", CREATE, "Its id."),
    FIELD_AS(struct wire_record, order_id, "shipment_id", CREATE, "The id of what V1 calls its order."),
    FIELD_AS(struct wire_record, voided, "voided", CREATE, "Whether it was voided."),
    FIELD_AS(struct wire_record, created, "created_at", CREATE, "When it was made."),
    FIELD_AS(struct wire_record, voided_at, "voided_at", CREATE, "When it was voided."),
};
static const struct schema V2_FULFILLMENT =
    SCHEMA(struct wire_record, "ShipStationFulfillmentV2", V2_FULFILLMENT_FIELDS);
static const struct field V2_ORDER_FIELDS[] = {
    FIELD_AS(struct wire_record, id, "shipment_id", CREATE, "Its id."),
    FIELD_AS(struct wire_record, status, "shipment_status", CREATE, "pending, label_purchased …"),
    FIELD_AS(struct wire_record, is_return, "is_return", CREATE, "Whether it is one for the way back."),
    FIELD_AS(struct wire_record, created, "created_at", CREATE, "When it was made."),
    FIELD_AS(struct wire_record, modified, "modified_at", CREATE, "When it was changed."),
    FIELD_AS(struct wire_record, order_number, "shipment_number", CREATE, "The order's number."),
    FIELD_AS(struct wire_record, items, "items", CREATE, "What is in it.", .max = RECORDS_MAX),
};
static const struct schema V2_ORDER = SCHEMA(struct wire_record, "ShipStationOrderV2", V2_ORDER_FIELDS);

static const struct field ORDER_FIELDS[] = {
    FIELD_AS(struct wire_record, id, "orderId", CREATE, "Its id."),
    FIELD_AS(struct wire_record, order_number, "orderNumber", CREATE, "Its number."),
    FIELD_AS(struct wire_record, status, "orderStatus", CREATE, "awaiting_shipment, cancelled …"),
    FIELD_AS(struct wire_record, created, "createDate", CREATE, "When it was made."),
    FIELD_AS(struct wire_record, modified, "modifyDate", CREATE, "When it was changed."),
    FIELD_AS(struct wire_record, items, "items", CREATE, "What is in it.", .max = RECORDS_MAX),
};
static const struct schema ORDER = SCHEMA(struct wire_record, "ShipStationOrder", ORDER_FIELDS);

/* By enum shipstation_list: the record, and which member of a page lists them. */
static const struct {
    const struct schema *record;
    const char *name;
    int member;
} LISTS[] = {
    [SHIPMENT_LIST] = {&SHIPMENT, "shipments", 0},
    [FULFILLMENT_LIST] = {&FULFILLMENT, "fulfillments", 1},
    [ORDER_LIST] = {&ORDER, "orders", 3},
    [LABEL_LIST] = {&LABEL, "labels", 2},
    [V2_FULFILLMENT_LIST] = {&V2_FULFILLMENT, "fulfillments", 1},
    [V2_ORDER_LIST] = {&V2_ORDER, "shipments", 0},
};

bool shipstation_is_v2(enum shipstation_list list) { return list >= LABEL_LIST; }
bool shipstation_is_order(enum shipstation_list list) { return list == ORDER_LIST || list == V2_ORDER_LIST; }

struct wire_item {
    struct json sku, quantity, adjustment;
};
static const struct field ITEM_FIELDS[] = {
    FIELD(struct wire_item, sku, CREATE, "What it is."),
    FIELD(struct wire_item, quantity, CREATE, "How many."),
    FIELD(struct wire_item, adjustment, CREATE, "A discount, and no thing."),
};
static const struct schema ITEM = SCHEMA(struct wire_item, "ShipStationItem", ITEM_FIELDS);

static bool is_true(struct json v) { return str_eq(v.text, S("true")); }

/* A text, or a number as it is written; no value for anything else. */
static struct str text_of(struct ctx *cx, struct json v) {
    struct json_reader r;
    struct str s = {0};
    json_begin(&r, cx->mem, v.text);
    if (v.text.p && json_peek(&r) == JSON_STRING)
        return json_string(&r, &s) ? s : (struct str){0};
    if (v.text.p && json_peek(&r) == JSON_NUMBER)
        return json_number(&r, &s) ? s : (struct str){0};
    return s;
}

static bool whole(struct str s) {
    int64_t n;
    return str_int(s, &n) && n >= 0;
}

/* The raw records of an array; false when it is none. */
static bool each_of(struct ctx *cx, struct str array, struct list *out) {
    struct json_reader r;
    struct str one;
    size_t n = 0, cap = 0;
    struct str *v = NULL;
    bool first = true;
    json_begin(&r, cx->mem, array);
    if (json_peek(&r) != JSON_ARRAY || !json_enter(&r, JSON_ARRAY))
        return false;
    while (json_next(&r, NULL, &first)) {
        if (!json_skip(&r, &one))
            return false;
        if (n == cap) {
            struct str *more = NEW_N(cx->mem, struct str, cap = cap ? 2 * cap : 64);
            for (size_t i = 0; more && i < n; i++)
                more[i] = v[i];
            if (!(v = more))
                return false;
        }
        v[n++] = one;
    }
    *out = (struct list){v, n};
    return !r.problem;
}

/* Decodes leniently: false when it is no object. */
static bool decode(struct ctx *cx, const struct schema *s, struct str raw, void *out) {
    bool good = schema_decode(cx, s, CREATE, IGNORE_UNKNOWN, raw, out, NULL) == OK;
    if (!good)
        fault_clear(cx);
    return good;
}

/* Discounts are no things; what has no SKU is not of the catalogue. */
static struct str read_item(struct ctx *cx, struct str raw, struct shipstation_line *out, bool *counts) {
    struct wire_item w;
    *counts = false;
    if (str_eq(raw, S("null")))
        return (struct str){0};
    if (!decode(cx, &ITEM, raw, &w))
        return S("One of its items cannot be read.");
    struct str sku = str_trim(text_of(cx, w.sku)), quantity = text_of(cx, w.quantity);
    if (is_true(w.adjustment) || sku.n == 0)
        return (struct str){0};
    if (!whole(quantity) || !str_int(quantity, &out->quantity))
        return str_printf(cx->mem, "The quantity of %.*s is not a whole number.", STR_FMT(sku));
    out->sku = sku;
    *counts = out->quantity > 0;
    return (struct str){0};
}

static void read_items(struct ctx *cx, struct json items, struct shipstation_parcel *p) {
    struct list raw = {0};
    if (!items.text.p)
        return;
    if (!each_of(cx, items.text, &raw)) {
        p->problem = S("Its items are not a list.");
        return;
    }
    struct shipstation_line *v = NEW_N(cx->mem, struct shipstation_line, raw.n + 1);
    size_t n = 0;
    for (size_t i = 0; v && i < raw.n && !p->problem.p; i++) {
        bool counts;
        p->problem = read_item(cx, ((const struct str *)raw.items)[i], &v[n], &counts);
        n += counts;
    }
    p->lines = (struct list){v, n};
    p->has_lines = true;
}

static void read_times(struct ctx *cx, const struct wire_record *w, struct shipstation_parcel *p) {
    if (!pacific_parse(text_of(cx, w->created), &p->created))
        p->created = (struct instant){0};
    p->at = p->created.us ? p->created : cx->now;
    struct instant voided;
    if (p->voided && pacific_parse(text_of(cx, w->voided_at), &voided))
        p->at = voided;
}

/* V2 writes V1's ids with a prefix: se-1001 is 1001. */
struct str shipstation_plain_id(struct str id) {
    struct str rest = str_starts(id, S("se-")) ? str_sub(id, 3, id.n) : id;
    return whole(rest) ? rest : id;
}

static struct str problem_of(enum shipstation_list list, struct str id, const struct shipstation_parcel *p) {
    bool v2 = shipstation_is_v2(list);
    if (v2 ? id.n == 0 || id.n > 80 : !whole(id))
        return S("Its id is not one of ShipStation's.");
    if (!v2 && (!p->order.n || p->order.n > 100))
        return S("Its order has no number.");
    if ((v2 || (list == FULFILLMENT_LIST && !p->voided)) && (!p->order_id.n || p->order_id.n > 80))
        return S("It does not name its order.");
    return (struct str){0};
}

/* What an order wants: nothing while it is unpaid, its lines until it is shipped or cancelled. */
static struct str status_of_order(struct str theirs) {
    static const struct {
        const char *theirs, *ours;
    } ROWS[] = {
        {"awaiting_payment", "unpaid"},
        {"awaiting_shipment", "open"},
        {"on_hold", "open"},
        {"pending_fulfillment", "open"},
        {"rejected_fulfillment", "open"},
        {"shipped", "shipped"},
        {"cancelled", "cancelled"},
        {"pending", "open"}, /* from here on V2 */
        {"processing", "open"},
        {"label_purchased", "shipped"},
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++)
        if (str_eq(theirs, str_of(ROWS[i].theirs)))
            return str_of(ROWS[i].ours);
    return (struct str){0};
}

static void read_order(struct ctx *cx, const struct wire_record *w, struct shipstation_parcel *out) {
    out->status = status_of_order(text_of(cx, w->status));
    if (!out->problem.p && !pacific_parse(text_of(cx, w->modified), &out->modified))
        out->problem = S("It does not say when it was changed.");
    else if (!out->problem.p && !out->status.p)
        out->problem = S("Its status is not one that is known.");
    if (!out->problem.p)
        read_items(cx, w->items, out);
    out->has_lines = true;
}

void shipstation_read_parcel(struct ctx *cx, enum shipstation_list list, struct str raw,
                             struct shipstation_parcel *out) {
    struct wire_record w;
    *out = (struct shipstation_parcel){.list = list, .raw = raw};
    if (!decode(cx, LISTS[list].record, raw, &w)) {
        out->problem = S("The record cannot be read.");
        return;
    }
    struct str id = shipstation_plain_id(text_of(cx, w.id)), status = text_of(cx, w.status);
    bool label = list == SHIPMENT_LIST || list == LABEL_LIST;
    out->order = text_of(cx, w.order_number);
    out->order_id = text_of(cx, w.order_id);
    out->voided = is_true(w.voided) || str_eq(status, S("voided"));
    out->is_return = is_true(w.is_return) || str_eq(status, S("processing")) || str_eq(status, S("error"));
    bool order = shipstation_is_order(list);
    out->ref = label || order ? id : str_printf(cx->mem, "fulfillment-%.*s", STR_FMT(id));
    if (order)
        out->order_id = id;
    if (!out->order.n)
        out->order = out->order_id;
    out->problem = problem_of(list, id, out);
    read_times(cx, &w, out);
    if (order)
        read_order(cx, &w, out);
    if (list == SHIPMENT_LIST && !out->problem.p)
        read_items(cx, w.items, out);
    if (list == SHIPMENT_LIST && !out->has_lines && !whole(out->order_id) && !out->voided && !out->problem.p)
        out->problem = S("It names neither items nor an order's id.");
}

void shipstation_read_order(struct ctx *cx, struct str body, struct shipstation_parcel *p) {
    struct wire_record w;
    bool v2 = shipstation_is_v2(p->list);
    if (decode(cx, v2 ? &V2_ORDER : &ORDER, body, &w))
        read_items(cx, w.items, p);
    struct str number = text_of(cx, w.order_number);
    if (number.n)
        p->order = number;
    if (!p->has_lines && !p->problem.p)
        p->problem = S("Its order has no items.");
}

/* Page counts are wrong at times: a full page is followed by another look, an empty one is the last. */
static bool is_last(struct ctx *cx, struct json pages, int64_t page, int64_t size, size_t n) {
    int64_t said;
    if (n == 0)
        return true;
    if (n >= (size_t)size)
        return false;
    return !str_int(text_of(cx, pages), &said) || page >= said;
}

enum err shipstation_read_page(struct ctx *cx, enum shipstation_list list, struct str body, int64_t page,
                               int64_t size, struct shipstation_page *out) {
    struct wire_page w;
    struct list raw = {0};
    uint64_t present = 0;
    enum err e = schema_decode(cx, &PAGE, CREATE, IGNORE_UNKNOWN, body, &w, &present);
    const struct json records = w.list[LISTS[list].member];
    bool there = present & (UINT64_C(1) << LISTS[list].member);
    if (e || !there || (records.text.p && !each_of(cx, records.text, &raw))) {
        fault_clear(cx);
        return fail(cx, ERR_UNAVAILABLE, "ShipStation answered without a list of %s.", LISTS[list].name);
    }
    struct shipstation_parcel *v = NEW_N(cx->mem, struct shipstation_parcel, raw.n + 1);
    if (!v)
        return fail(cx, ERR_MEMORY, "The page does not fit in memory.");
    for (size_t i = 0; i < raw.n; i++)
        shipstation_read_parcel(cx, list, ((const struct str *)raw.items)[i], &v[i]);
    *out = (struct shipstation_page){{v, raw.n}, is_last(cx, w.pages, page, size, raw.n)};
    return OK;
}
