#include "core/demo_today.h"

#include "jobs/jobs.h"

#include "base/banned.h"

#define HOUR (3600 * US_PER_S)
#define PACKING 6

/* An item of which at least this many are there. */
static size_t plenty(struct demo_year *y, int64_t least) {
    size_t i = demo_chance(y, DEMO_ITEMS);
    for (size_t k = 0; k < DEMO_ITEMS && y->free[i] < least; k++)
        i = (i + 1) % DEMO_ITEMS;
    return i;
}

static struct demo_order order_of(struct demo_year *y, int64_t number, size_t item, int64_t quantity) {
    return (struct demo_order){
        .day = y->day, .number = number, .n = 1, .item = {item}, .quantity = {quantity}};
}

/* Announced this morning and not yet shipped: they hold their stock. */
static enum err to_pack(struct demo_year *y) {
    struct demo_order o[PACKING];
    for (int64_t k = 0; k < PACKING; k++) {
        size_t item = plenty(y, 5);
        o[k] = order_of(y, k + 1, item, 1 + k % 3);
        y->free[item] -= o[k].quantity[0];
    }
    return demo_deliver(y, o, PACKING, AWAITING_SHIPMENT);
}

static enum err reserve(struct demo_year *y, int64_t number, int64_t expires_us, struct uuid *id) {
    char at[32];
    size_t item = plenty(y, 6);
    struct instant expires = {y->cx->now.us + expires_us};
    struct str body = str_printf(
        y->cx->mem,
        "{\"sku\":\"%.*s\",\"quantity\":%d,\"source_ref\":\"demo-basket-%d\",\"expires_at\":\"%.*s\"}",
        STR_FMT(demo_sku(y->cx->mem, item)), (int)(1 + number % 3), (int)number,
        STR_FMT(instant_format(expires, at)));
    y->free[item] -= 1 + number % 3;
    y->cx->actor.name = S("web-shop");
    return demo_call(y->cx, POST, "/api/v1/stock/reservations", (struct str){0}, body, id);
}

/* Some stand until tomorrow; one was posted, one given up. One ends in the past: its job ends it as soon as
 * there is somebody to run it. */
static enum err promises(struct demo_year *y) {
    struct uuid id[6];
    char text[36];
    struct instant now = y->cx->now;
    y->cx->now.us -= 2 * HOUR;
    enum err e = reserve(y, 1, HOUR, &id[0]);
    y->cx->now = now;
    for (int64_t k = 1; !e && k < 6; k++)
        e = reserve(y, k + 1, (18 + k) * HOUR, &id[k]);
    if (e || (e = demo_call(y->cx, POST, "/api/v1/stock/reservations/{id}/post",
                            str_dup(y->cx->mem, uuid_format(id[1], text)), (struct str){0}, NULL)))
        return e;
    return demo_call(y->cx, POST, "/api/v1/stock/reservations/{id}/void",
                     str_dup(y->cx->mem, uuid_format(id[2], text)), (struct str){0}, NULL);
}

/* Refused by the door that they came through, each for a reason of its own. */
static enum err bad_scans(struct demo_year *y) {
    static const char *const SCANS[] = {
        "{\"sku\":\"DEMO MUG 3\",\"quantity\":4,\"scan_id\":\"demo-bad-1\"}",
        "{\"sku\":\"DEMO-MUG-03-BLU\",\"quantity\":-2,\"scan_id\":\"demo-bad-2\"}",
        "{\"sku\":\"DEMO-MUG-03-BLU\",\"quantity\":\"two\",\"scan_id\":\"demo-bad-3\"}",
        "{\"sku\":\"DEMO-PAN-01-RED\",\"quantity\":6,\"location\":\"box-99\",\"scan_id\":\"demo-bad-4\"}",
        "{\"sku\":\"DEMO-PAN-02-RED\",\"quantity\":1,\"location\":\"customer\",\"scan_id\":\"demo-bad-5\"}",
        "{\"quantity\":3,\"name\":\"Label torn off\",\"scan_id\":\"demo-bad-6\"}",
        "{\"sku\":\"DEMO-TNT-05-GRN\",\"qty\":3,\"scan_id\":\"demo-bad-7\"}",
        "{\"sku\":\"DEMO-TNT-05-GRN\",\"quantity\":2,\"scan_id\":\"demo-000-0\"}",
    };
    enum err e = OK;
    y->cx->actor.name = S("scanner");
    for (size_t i = 0; !e && i < sizeof(SCANS) / sizeof(SCANS[0]); i++)
        e = demo_call(y->cx, POST, "/api/v1/catalog/ingest", (struct str){0}, str_of(SCANS[i]), NULL);
    return e;
}

static enum err send(struct demo_year *y, const char *shipment, const char *order, int status, struct str sku,
                     int64_t quantity) {
    struct shipment_line *line = NEW(y->cx->mem, struct shipment_line);
    if (!line)
        return fail(y->cx, ERR_MEMORY, "The shipment does not fit in memory.");
    *line = (struct shipment_line){sku, quantity};
    struct shipment_event ev = {.shipment = str_of(shipment),
                                .order = str_of(order),
                                .channel = S("market"),
                                .status = str_of(SHIPMENT_STATUS[status]),
                                .at = y->cx->now,
                                .lines = {line, 1}};
    return demo_deliver_events(y, &ev, 1);
}

/* Deliveries of which each waits for somebody. */
static enum err bad_deliveries(struct demo_year *y) {
    struct str sku = demo_sku(y->cx->mem, plenty(y, 12));
    enum err e;
    if ((e = send(y, "D-unknown-1", "DEMO-X-1", SHIPPED, S("DEMO-NOT-LISTED-1"), 1)) ||
        (e = send(y, "D-unknown-2", "DEMO-X-2", SHIPPED, S("DEMO-NOT-LISTED-2"), 2)) ||
        (e = send(y, "D-early", "DEMO-X-3", RETURNED, sku, 1)) ||
        (e = send(y, "D-twice", "DEMO-X-4", SHIPPED, sku, 1)) ||
        (e = send(y, "D-twice", "DEMO-X-4", SHIPPED, sku, 2)) ||
        (e = send(y, "D-moved", "DEMO-X-5", SHIPPED, sku, 1)) ||
        (e = send(y, "D-moved", "DEMO-X-6", VOIDED, sku, 1)) ||
        (e = send(y, "D-much", "DEMO-X-7", SHIPPED, sku, 1)))
        return e;
    return send(y, "D-much", "DEMO-X-7", RETURNED, sku, 5);
}

/* More was shipped than was there. */
static enum err oversell(struct demo_year *y) {
    struct demo_order o[3];
    for (int64_t k = 0; k < 3; k++) {
        size_t item = plenty(y, 3);
        o[k] = order_of(y, PACKING + 1 + k, item, y->free[item] + 2 + k);
        y->free[item] = 0;
    }
    return demo_deliver(y, o, 3, SHIPPED);
}

/* One that can only fail, one that goes through yesterday's deliveries again without moving anything. */
static enum err jobs(struct demo_year *y) {
    struct ctx *cx = y->cx;
    char id[36], from[32], to[32];
    struct instant yesterday = {cx->now.us - 24 * HOUR};
    struct json lost = {
        str_printf(cx->mem, "{\"id\":\"%.*s\"}", STR_FMT(uuid_format(uuid_new(cx->now), id)))};
    struct json range = {str_printf(cx->mem, "{\"source\":\"shipstation\",\"from\":\"%.*s\",\"to\":\"%.*s\"}",
                                    STR_FMT(instant_format(yesterday, from)),
                                    STR_FMT(instant_format((struct instant){cx->now.us}, to)))};
    enum err e = jobs_enqueue(cx, &(struct job_new){.name = "inbox.apply", .args = lost});
    return e ? e : jobs_enqueue(cx, &(struct job_new){.name = "inbox.replay", .args = range});
}

enum err demo_today(struct demo_year *y) {
    enum err e;
    y->day = DEMO_DAYS;
    y->chance = UINT64_C(0xD1342543DE82EF95);
    y->cx->now.us -= HOUR / 60;
    if ((e = promises(y)) || (e = to_pack(y)) || (e = bad_scans(y)) || (e = bad_deliveries(y)) ||
        (e = oversell(y)))
        return e;
    return jobs(y);
}
