#include "core/item.h"

#include "core/inbox.h"
#include "core/place.h"
#include "identity/audit.h"
#include "net/listing.h"

#include "base/banned.h"

static const char *const KINDS[] = {"product", "part", "garment", NULL};
static const char *const BARCODES[] = {"UPC", "EAN", "ASIN", "LPN", "MPN", "OTHER", NULL};

bool sku_valid(struct str s) {
    return code_readable(s) && !str_eq(s, S("ingest")) && !str_eq(s, S("exceptions"));
}

static const struct field BARCODE_FIELDS[] = {
    FIELD(struct barcode, type, CREATE | PATCH | OUT | ROW | REQUIRED, "Which numbering it belongs to.",
          .one_of = BARCODES),
    FIELD(struct barcode, code, CREATE | PATCH | OUT | ROW | REQUIRED, "What a scanner reads.", .min = 1,
          .max = 128),
};
static const struct schema BARCODE = SCHEMA(struct barcode, "Barcode", BARCODE_FIELDS);

#define EDIT (CREATE | PATCH | OUT | ROW)
static const struct field FIELDS[] = {
    FIELD(struct item, sku, CREATE | OUT | ROW | REQUIRED, "The stock keeping unit; compared exactly.",
          .min = 1, .max = SKU_MAX, .check = sku_valid, .rule = SKU_RULE),
    FIELD(struct item, kind, EDIT, "What sort of item it is; product if not said.", .one_of = KINDS),
    FIELD(struct item, name, EDIT, "A name for people.", .max = 500),
    FIELD(struct item, description, EDIT, "A longer text.", .max = 20000),
    FIELD(struct item, brand, EDIT, "Who makes it.", .max = 200),
    FIELD(struct item, category, EDIT, "What it is filed under.", .max = 200),
    FIELD(struct item, cost, EDIT, "What one costs us."),
    FIELD(struct item, price, EDIT, "What one sells for when no channel says otherwise."),
    FIELD(struct item, measurements, EDIT, "Sizes and weights, as an object."),
    FIELD(struct item, attributes, EDIT, "Anything else that is known, as an object."),
    FIELD(struct item, barcodes, EDIT, "The codes that stand on it.", .max = 50, .of = &BARCODE),
    FIELD(struct item, needs_refill, EDIT,
          "Whether it is to be refilled; a receipt from a supplier clears it."),
    FIELD(struct item, created_at, OUT | ROW, "When it entered the catalogue."),
    FIELD(struct item, updated_at, OUT | ROW, "When it was last changed."),
    FIELD(struct item, revision, ROW, "Counts the changes; the ETag."),
};
const struct schema ITEM = SCHEMA(struct item, "Item", FIELDS);

enum { INSERT, GET_ONE, BY_SKU, NEWEST, UPDATE };
#define COLUMNS                                                                                              \
    "sku, kind, name, description, brand, category, cost_minor, cost_currency, price_minor, price_currency," \
    " measurements, attributes, barcodes, needs_refill, created_at, updated_at, revision"
/* The SKU stands between bounds, so that one text uses the key both ways. */
#define FILTER                                                                                     \
    " AND (CAST($5 AS text) IS NULL OR kind = $5) AND (CAST($6 AS text) IS NULL OR category = $6)" \
    " AND (CAST($7 AS text) IS NULL OR brand = $7)"                                                \
    " AND (CAST($8 AS boolean) IS NULL OR needs_refill = $8)"                                      \
    " AND sku BETWEEN COALESCE($9, '') AND COALESCE($9, '\x7f')"
static const struct stmt SQL[] = {
    [INSERT] = {"item_insert", TENANT,
                "INSERT INTO item (org_id, " COLUMNS
                ") VALUES ($org, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10,"
                " $11, $12, $13, $14, $15, $16, $17) ON CONFLICT (org_id, sku) DO NOTHING",
                NULL, NULL},
    [GET_ONE] = {"item_get", TENANT, "SELECT " COLUMNS " FROM item WHERE org_id = $org AND sku = $1", NULL,
                 &ITEM},
    [BY_SKU] = {"item_by_sku", TENANT,
                "SELECT " COLUMNS " FROM item WHERE org_id = $org AND sku > COALESCE($3, '')"
                " AND CAST($4 AS text) IS NULL" FILTER " ORDER BY sku LIMIT $1 OFFSET $2",
                NULL, &ITEM},
    [NEWEST] = {"item_newest", TENANT,
                "SELECT " COLUMNS " FROM item WHERE org_id = $org"
                " AND (created_at, sku) < (COALESCE($3, 9223372036854775807), COALESCE($4, ''))" FILTER
                " ORDER BY created_at DESC, sku DESC LIMIT $1 OFFSET $2",
                "SELECT " COLUMNS " FROM item WHERE org_id = $org"
                " AND (created_at, sku) < (COALESCE($3, 'infinity'::timestamptz), COALESCE($4, ''))" FILTER
                " ORDER BY created_at DESC, sku DESC LIMIT $1 OFFSET $2",
                &ITEM},
    [UPDATE] =
        {"item_update", TENANT,
         "UPDATE item SET kind = $2, name = $3, description = $4, brand = $5, category = $6, cost_minor = $7,"
         " cost_currency = $8, price_minor = $9, price_currency = $10, measurements = $11, attributes = $12,"
         " barcodes = $13, needs_refill = $14, created_at = $15, updated_at = $16, revision = $17"
         " WHERE org_id = $org AND sku = $1 AND revision = $17 - 1",
         NULL, NULL},
};

enum err item_find(struct ctx *cx, struct str sku, struct item *out, bool *found) {
    return db_get(cx, &SQL[GET_ONE], ARGS(A(sku)), out, found);
}

static enum err require(struct ctx *cx, struct str sku, struct item *out) {
    bool found;
    enum err e = item_find(cx, sku, out, &found);
    if (e)
        return e;
    return found ? OK : fail(cx, ERR_NOT_FOUND, "There is no item with the SKU %.*s.", STR_FMT(sku));
}

enum err item_create(struct ctx *cx, struct item *it, bool *created) {
    if (!it->kind.p)
        it->kind = S("product");
    it->created_at = it->updated_at = cx->now;
    it->revision = 1;
    int64_t changed;
    enum err e = db_exec(cx, &SQL[INSERT], args_of(cx, &ITEM, it, ARGS()), &changed);
    if (e)
        return e;
    *created = changed == 1;
    if (!*created)
        return OK;
    if ((e = audit_change(cx, S("item.create"), it->sku, &ITEM, NULL, it)))
        return e;
    return inbox_wake_waiting(cx, it->sku);
}

/* Free JSON fields are objects; the schema knows only that they are JSON. */
static enum err check_values(struct ctx *cx, const struct item *it) {
    if (it->measurements.text.p && it->measurements.text.p[0] != '{')
        return fail_field(cx, S("measurements"), "must be an object");
    if (it->attributes.text.p && it->attributes.text.p[0] != '{')
        return fail_field(cx, S("attributes"), "must be an object");
    if (it->cost.minor < 0)
        return fail_field(cx, S("cost"), "must not be negative");
    if (it->price.minor < 0)
        return fail_field(cx, S("price"), "must not be negative");
    return OK;
}

static enum err answer_item(struct ctx *cx, struct answer *an, int status, const struct item *it) {
    answer_etag(cx, an, it->revision);
    return answer_object(cx, an, status, &ITEM, it);
}

static enum err create(struct ctx *cx, struct request *rq, struct answer *an) {
    struct item *it = rq->in;
    bool created;
    enum err e = check_values(cx, it);
    if (e || (e = item_create(cx, it, &created)))
        return e;
    if (!created)
        return fail(cx, ERR_CONFLICT, "An item with the SKU %.*s exists already.", STR_FMT(it->sku));
    return answer_item(cx, an, 201, it);
}

static enum err get(struct ctx *cx, struct request *rq, struct answer *an) {
    struct item it;
    enum err e = require(cx, rq->param[0], &it);
    return e ? e : answer_item(cx, an, 200, &it);
}

static enum err change(struct ctx *cx, struct request *rq, struct answer *an) {
    struct item it;
    enum err e = check_values(cx, rq->in);
    if (e || (e = require(cx, rq->param[0], &it)) || (e = request_if_match(cx, rq, it.revision)))
        return e;
    struct item before = it;
    schema_merge(&ITEM, rq->present, rq->in, &it);
    if (!it.kind.p)
        it.kind = S("product");
    it.updated_at = cx->now;
    it.revision++;
    int64_t changed;
    if ((e = db_exec(cx, &SQL[UPDATE], args_of(cx, &ITEM, &it, ARGS()), &changed)))
        return e;
    if (changed == 0)
        return fail(cx, ERR_CONFLICT, "%.*s was changed by another request just now; read it again.",
                    STR_FMT(it.sku));
    if ((e = audit_change(cx, S("item.change"), it.sku, &ITEM, &before, &it)))
        return e;
    return answer_item(cx, an, 200, &it);
}

/* Any text: here the words that mean something below catalog/ can be asked for as well. */
static const struct field OF_SKU = {
    .name = "sku", .kind = KIND_STR, .min = 1, .max = SKU_MAX, .doc = "Only this item."};
static const struct listing_sort SORTS[] = {{"sku", &SQL[BY_SKU], "sku", NULL},
                                            {"-created_at", &SQL[NEWEST], "created_at", "sku"}};
static const struct listing_filter FILTERS[] = {{"kind", NULL, NULL, &FIELDS[1], NULL},
                                                {"category", NULL, NULL, &FIELDS[5], NULL},
                                                {"brand", NULL, NULL, &FIELDS[4], NULL},
                                                {"needs_refill", NULL, NULL, &FIELDS[11], NULL},
                                                {"sku", NULL, "sku", &OF_SKU, NULL}};
static const struct listing LISTING = {&ITEM, SORTS, 2, FILTERS, 5};

static const enum err TAKEN[] = {ERR_CONFLICT, OK};
static const enum err CHANGED[] = {ERR_CONFLICT, ERR_STALE, OK};
static const struct route ROUTES[] = {
    ROUTE(GET, "/api/v1/catalog", READ, AREA_CATALOGUE, NEED_READ, listing_answer, "Lists the items.",
          .flags = ROUTE_LIST, .out = &ITEM, .listing = &LISTING),
    ROUTE(POST, "/api/v1/catalog", WRITE, AREA_CATALOGUE, NEED_WRITE, create, "Makes an item.",
          .flags = ROUTE_CREATES | ROUTE_IDEMPOTENT, .in = &ITEM, .in_use = CREATE, .out = &ITEM,
          .errors = TAKEN),
    ROUTE(GET, "/api/v1/catalog/{sku}", READ, AREA_CATALOGUE, NEED_READ, get, "Shows an item.", .out = &ITEM),
    ROUTE(PATCH_, "/api/v1/catalog/{sku}", WRITE, AREA_CATALOGUE, NEED_WRITE, change,
          "Changes an item; If-Match with its ETag refuses to overwrite a newer version.", .in = &ITEM,
          .in_use = PATCH, .out = &ITEM, .errors = CHANGED),
};

const struct module ITEM_MODULE = {.name = "catalogue", TABLE(routes, ROUTES), TABLE(stmts, SQL)};
