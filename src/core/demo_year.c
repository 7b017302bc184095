#include "core/demo_year.h"

#include "core/ledger.h"

#include "base/banned.h"

#define DAY_S 86400
#define AT(hour, minute) (((hour)*60 + (minute)) * 60)
#define LOT 32 /* deliveries that are applied together */
#define ORDERS_MOST 64
#define RECEIPT_LINES 45
#define WAREHOUSE S("warehouse")

/* splitmix64 */
uint64_t demo_chance(struct demo_year *y, uint64_t below) {
    uint64_t z = y->chance += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (z ^ z >> 31) % below;
}

static void at(struct demo_year *y, int64_t second) {
    if (y->cx)
        y->cx->now.us = y->start.us + (y->day * DAY_S + second) * US_PER_S;
}

static bool is_there(const struct demo_year *y, size_t i) { return demo_since(i) * 7 <= y->day; }

static struct str box_code(struct arena *mem, size_t b) { return str_printf(mem, "demo-box-%zu", b + 1); }

enum err demo_post(struct demo_year *y, struct move *lines, size_t n, struct str ref, struct str reason) {
    enum posted posted;
    for (size_t i = 0; i < n; i++) {
        lines[i].from = lines[i].from.p ? lines[i].from : S("supplier");
        lines[i].to = lines[i].to.p ? lines[i].to : WAREHOUSE;
        lines[i].source = S("seed");
        lines[i].source_ref = ref;
        lines[i].reason = reason;
    }
    y->cx->actor.name = S("goods-in");
    return ledger_post(y->cx, lines, &n, REQUEST, &posted);
}

static enum err create_item(struct demo_year *y, size_t i) {
    struct item it;
    bool created;
    if (!y->cx)
        return OK;
    demo_item(y->cx->mem, i, &it);
    y->cx->actor.name = S("catalogue");
    return item_create(y->cx, &it, &created);
}

/* Brings these items to what the company likes to have. */
static enum err receive(struct demo_year *y, const size_t *items, size_t n, struct str ref) {
    struct move *lines = y->cx ? NEW_N(y->cx->mem, struct move, n) : NULL;
    if (y->cx && !lines)
        return fail(y->cx, ERR_MEMORY, "The receipt has too many lines.");
    for (size_t k = 0; k < n; k++) {
        size_t i = items[k];
        if (lines)
            lines[k] = (struct move){.sku = demo_sku(y->cx->mem, i), .quantity = demo_target(i) - y->free[i]};
        y->free[i] = demo_target(i);
    }
    return lines && n ? demo_post(y, lines, n, ref, S("goods received")) : OK;
}

enum err demo_first_goods(struct demo_year *y, int64_t step) {
    size_t items[DEMO_ITEMS], n = 0;
    y->day = 0;
    at(y, AT(6, step));
    for (size_t i = (size_t)step; i < DEMO_ITEMS; i += DEMO_ITEM_STEPS) {
        if (demo_since(i) != 0)
            continue;
        enum err e = create_item(y, i);
        if (e)
            return e;
        items[n++] = i;
    }
    for (size_t b = 0; y->cx && step == 0 && b < DEMO_BOXES; b++) {
        struct str body =
            str_printf(y->cx->mem, "{\"code\":\"%.*s\",\"kind\":\"box\",\"name\":\"Demo box %zu\"}",
                       STR_FMT(box_code(y->cx->mem, b)), b + 1);
        enum err e = demo_call(y->cx, POST, "/api/v1/places", (struct str){0}, body, NULL);
        if (e)
            return e;
    }
    struct str ref = y->cx ? str_printf(y->cx->mem, "opening-%d", (int)step) : S("");
    return receive(y, items, n, ref);
}

/* What enters the catalogue in the course of the year. */
static enum err new_goods(struct demo_year *y) {
    at(y, AT(7, 0));
    for (size_t i = 0; i < DEMO_ITEMS; i++) {
        enum err e = demo_since(i) > 0 && demo_since(i) * 7 == y->day ? create_item(y, i) : OK;
        if (e)
            return e;
    }
    return OK;
}

static enum err restock(struct demo_year *y) {
    size_t items[RECEIPT_LINES], n = 0;
    at(y, AT(9, 0));
    size_t first = demo_chance(y, DEMO_ITEMS);
    for (size_t k = 0; k < DEMO_ITEMS && n < RECEIPT_LINES; k++) {
        size_t i = (first + k) % DEMO_ITEMS;
        if (is_there(y, i) && y->free[i] * 3 < demo_target(i))
            items[n++] = i;
    }
    struct str ref = y->cx ? str_printf(y->cx->mem, "receipt-%03d", (int)y->day) : S("");
    return receive(y, items, n, ref);
}

/* --- shipments --- */

static const char *const CHANNELS[] = {"web-shop", "market", "outlet"};

static bool make_event(struct ctx *cx, const struct demo_order *o, int status, struct shipment_event *ev) {
    struct shipment_line *l = NEW_N(cx->mem, struct shipment_line, DEMO_LINES);
    *ev = (struct shipment_event){.shipment = str_printf(cx->mem, "D%03d-%02d", (int)o->day, (int)o->number),
                                  .order = str_printf(cx->mem, "DEMO-%03d-%02d", (int)o->day, (int)o->number),
                                  .channel = str_of(CHANNELS[(o->day + o->number) % 3]),
                                  .status = str_of(SHIPMENT_STATUS[status]),
                                  .at = cx->now,
                                  .lines = {l, (size_t)o->n}};
    for (int64_t k = 0; l && k < o->n; k++)
        l[k] = (struct shipment_line){demo_sku(cx->mem, o->item[k]), o->quantity[k]};
    return l != NULL;
}

static const struct intake_source *shipping_source(const struct ctx *cx) {
    for (size_t m = 0; m < cx->modules->n; m++)
        for (size_t i = 0; i < cx->modules->list[m]->n_sources; i++)
            if (str_eq(SHIPMENT_SOURCE, str_of(cx->modules->list[m]->sources[i].name)))
                return &cx->modules->list[m]->sources[i];
    return NULL;
}

/* Kept as a webhook's delivery is; its job is taken back, for what it would do is done here. */
static enum err keep(struct ctx *cx, struct shipment_event *ev, struct delivery *d, bool *open) {
    enum received received;
    enum err e = shipment_sum_lines(cx, &ev->lines);
    if (e || (e = shipment_delivery(cx, ev, d)))
        return e;
    d->headers.text = S("[{\"name\":\"User-Agent\",\"value\":\"demo\"}]");
    if ((e = inbox_put(cx, d, &received)))
        return e;
    *open = received == RECEIVED;
    return *open ? jobs_take_back(cx, d->job_id) : OK;
}

enum err demo_deliver_events(struct demo_year *y, struct shipment_event *events, size_t n) {
    const struct intake_source *source = shipping_source(y->cx);
    struct delivery *kept = NEW_N(y->cx->mem, struct delivery, n), *lot[LOT];
    size_t waiting = 0;
    if (!kept || !source)
        return fail(y->cx, ERR_MEMORY, "The deliveries do not fit in memory.");
    for (size_t i = 0; i < n; i++) {
        bool open;
        y->cx->actor.name = SHIPMENT_SOURCE;
        enum err e = keep(y->cx, &events[i], &kept[i], &open);
        if (!e && open)
            lot[waiting++] = &kept[i];
        if (!e && waiting && (waiting == LOT || i + 1 == n)) {
            e = source->apply(y->cx, lot, waiting);
            waiting = 0;
            y->cx->now.us += US_PER_S;
        }
        if (e)
            return e;
    }
    return OK;
}

enum err demo_deliver(struct demo_year *y, const struct demo_order *orders, size_t n, int status) {
    if (!y->cx || n == 0)
        return OK;
    struct shipment_event *events = NEW_N(y->cx->mem, struct shipment_event, n);
    for (size_t i = 0; i < n; i++) {
        if (!events || !make_event(y->cx, &orders[i], status, &events[i]))
            return fail(y->cx, ERR_MEMORY, "The shipments do not fit in memory.");
    }
    return demo_deliver_events(y, events, n);
}

static void remember(struct demo_year *y, const struct demo_order *o, int status, int64_t days) {
    if (y->n_later < DEMO_LATER)
        y->later[y->n_later++] = (struct demo_later){y->day + days, status, *o};
}

/* Those of a status whose day has come. What does not leave the house is free again. */
static enum err due(struct demo_year *y, int status, int64_t second) {
    struct demo_order orders[DEMO_LATER];
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < y->n_later; i++) {
        const struct demo_later *l = &y->later[i];
        if (l->status != status || l->day != y->day) {
            y->later[kept++] = *l;
            continue;
        }
        orders[n++] = l->order;
        for (int64_t k = 0; status != SHIPPED && k < l->order.n; k++)
            y->free[l->order.item[k]] += l->order.quantity[k];
    }
    y->n_later = kept;
    at(y, second);
    return demo_deliver(y, orders, n, status);
}

/* Something that is there, what sells well more often than the rest. */
static bool pick(struct demo_year *y, size_t *item) {
    for (int try = 0; try < 60; try++) {
        size_t i = demo_chance(y, DEMO_ITEMS);
        if (is_there(y, i) && y->free[i] >= 4 && demo_chance(y, 160) < (uint64_t)demo_target(i)) {
            *item = i;
            return true;
        }
    }
    return false;
}

static bool make_order(struct demo_year *y, int64_t number, struct demo_order *o) {
    int64_t wanted = 1 + (int64_t)demo_chance(y, DEMO_LINES);
    *o = (struct demo_order){.day = y->day, .number = number};
    for (size_t item; o->n < wanted && pick(y, &item); o->n++) {
        o->item[o->n] = item;
        o->quantity[o->n] = 1 + (int64_t)(demo_chance(y, 4) == 0) + (int64_t)(demo_chance(y, 9) == 0);
        y->free[item] -= o->quantity[o->n];
    }
    return o->n > 0;
}

/* A week has its rhythm, and the last weeks are the busiest. */
static int64_t orders_of(struct demo_year *y) {
    static const int64_t OF_DAY[] = {22, 19, 17, 16, 20, 12, 10};
    return OF_DAY[y->day % 7] + (int64_t)demo_chance(y, 6) + (y->day > DEMO_DAYS - 30 ? 9 : 0);
}

/* The day's orders: announced today and shipped or cancelled later, or shipped in two waves. */
static enum err sell(struct demo_year *y) {
    struct demo_order announced[ORDERS_MOST], wave[2][ORDERS_MOST], o;
    size_t n_announced = 0, n_wave[2] = {0, 0};
    int64_t orders = orders_of(y);
    enum err e;
    for (int64_t k = 0; k < orders; k++) {
        if (!make_order(y, k + 1, &o))
            continue;
        uint64_t fate = demo_chance(y, 100);
        if (fate < 9) {
            announced[n_announced++] = o;
            remember(y, &o, fate < 2 ? CANCELLED : SHIPPED, 1 + (int64_t)(fate % 3));
            continue;
        }
        wave[k % 2][n_wave[k % 2]++] = o;
        if (fate < 13)
            remember(y, &o, RETURNED, 4 + (int64_t)demo_chance(y, 9));
        else if (fate < 14)
            remember(y, &o, VOIDED, 1);
    }
    at(y, AT(10, 30));
    if ((e = demo_deliver(y, announced, n_announced, AWAITING_SHIPMENT)) || (e = due(y, SHIPPED, AT(11, 0))))
        return e;
    at(y, AT(11, 30));
    if ((e = demo_deliver(y, wave[0], n_wave[0], SHIPPED)))
        return e;
    at(y, AT(16, 30));
    return demo_deliver(y, wave[1], n_wave[1], SHIPPED);
}

/* --- inside the house --- */

static enum err move_box(struct demo_year *y, size_t b, const struct demo_slot *s, bool out, int64_t k) {
    if (!y->cx)
        return OK;
    struct move m = {.sku = demo_sku(y->cx->mem, s->item),
                     .quantity = s->quantity,
                     .from = out ? box_code(y->cx->mem, b) : WAREHOUSE,
                     .to = out ? WAREHOUSE : box_code(y->cx->mem, b)};
    return demo_post(y, &m, 1, str_printf(y->cx->mem, "transfer-%03d-%d", (int)y->day, (int)k),
                     out ? S("back to the shelf") : S("set aside"));
}

/* Into a free slot of a box; a full box gives something back first. */
static enum err transfer(struct demo_year *y, int64_t k) {
    size_t b = demo_chance(y, DEMO_BOXES), slot = demo_chance(y, DEMO_SLOTS), item;
    struct demo_slot *s = &y->box[b][slot];
    at(y, AT(17, 0) + 60 * k);
    if (s->quantity) {
        enum err e = move_box(y, b, s, true, k);
        y->free[s->item] += s->quantity;
        s->quantity = 0;
        return e;
    }
    if (!pick(y, &item))
        return OK;
    for (size_t i = 0; i < DEMO_SLOTS; i++)
        if (y->box[b][i].quantity && y->box[b][i].item == item)
            return OK;
    *s = (struct demo_slot){item, 1 + y->free[item] / 4};
    y->free[item] -= s->quantity;
    return move_box(y, b, s, false, k);
}

/* A receipt that was booked twice, seen and taken back. */
static enum err mistake(struct demo_year *y) {
    size_t item;
    struct uuid id;
    char text[36];
    if (!pick(y, &item) || !y->cx)
        return OK;
    struct ctx *cx = y->cx;
    at(y, AT(17, 10));
    cx->actor.name = S("goods-in");
    struct str body =
        str_printf(cx->mem,
                   "{\"sku\":\"%.*s\",\"quantity\":12,\"from\":\"supplier\",\"to\":\"warehouse\","
                   "\"reason\":\"delivery note %d\",\"source_ref\":\"demo-note-%03d\"}",
                   STR_FMT(demo_sku(cx->mem, item)), (int)y->day, (int)y->day);
    enum err e = demo_call(cx, POST, "/api/v1/stock/moves", (struct str){0}, body, &id);
    if (e)
        return e;
    at(y, AT(17, 15));
    return demo_call(cx, POST, "/api/v1/stock/moves/{id}/reverse", str_dup(cx->mem, uuid_format(id, text)),
                     S("{\"reason\":\"booked twice\"}"), NULL);
}

static enum err scan(struct demo_year *y, int64_t k) {
    size_t item;
    if (!pick(y, &item))
        return OK;
    y->free[item] += 2;
    if (!y->cx)
        return OK;
    at(y, AT(9, 30) + 60 * k);
    y->cx->actor.name = S("scanner");
    struct str body = str_printf(y->cx->mem, "{\"sku\":\"%.*s\",\"quantity\":2,\"scan_id\":\"demo-%03d-%d\"}",
                                 STR_FMT(demo_sku(y->cx->mem, item)), (int)y->day, (int)k);
    return demo_call(y->cx, POST, "/api/v1/catalog/ingest", (struct str){0}, body, NULL);
}

static enum err new_price(struct demo_year *y) {
    size_t item;
    if (!pick(y, &item) || !y->cx)
        return OK;
    at(y, AT(17, 20));
    y->cx->actor.name = S("catalogue");
    struct str body = str_printf(y->cx->mem, "{\"price\":{\"amount\":\"%d.90\",\"currency\":\"USD\"}}",
                                 (int)(3 + y->day % 60));
    return demo_call(y->cx, PATCH_, "/api/v1/catalog/{sku}", demo_sku(y->cx->mem, item), body, NULL);
}

/* --- counting --- */

/* What is found in a box: mostly what should be there. */
static struct str find_lines(struct demo_year *y, size_t b) {
    struct buf lines = buf_new(y->cx ? y->cx->mem : NULL, 8192);
    bool any = false;
    for (size_t i = 0; i < DEMO_SLOTS; i++) {
        struct demo_slot *s = &y->box[b][i];
        if (!s->quantity)
            continue;
        bool off = demo_chance(y, 4) == 0;
        s->quantity -= off;
        if (y->cx)
            buf_printf(&lines, "%s{\"sku\":\"%.*s\",\"quantity\":%lld}", any ? "," : "{\"lines\":[",
                       STR_FMT(demo_sku(y->cx->mem, s->item)), (long long)s->quantity);
        any = true;
    }
    if (!y->cx || !any)
        return (struct str){0};
    buf_add(&lines, S("]}"));
    return buf_str(&lines);
}

static enum err count_box(struct demo_year *y) {
    size_t b = demo_chance(y, DEMO_BOXES);
    struct str lines = find_lines(y, b);
    struct ctx *cx = y->cx;
    struct uuid id;
    char text[36];
    if (!lines.p)
        return OK;
    at(y, AT(18, 0));
    cx->actor.name = S("stocktake");
    struct str body = str_printf(cx->mem, "{\"place\":\"%.*s\",\"note\":\"Fortnightly count\"}",
                                 STR_FMT(box_code(cx->mem, b)));
    enum err e = demo_call(cx, POST, "/api/v1/counts", (struct str){0}, body, &id);
    struct str of = str_dup(cx->mem, uuid_format(id, text));
    if (e || (e = demo_call(cx, POST, "/api/v1/counts/{id}/lines", of, lines, NULL)))
        return e;
    at(y, AT(18, 30));
    e = demo_call(cx, POST, "/api/v1/counts/{id}/submit", of, (struct str){0}, NULL);
    return e ? e : demo_call(cx, POST, "/api/v1/counts/{id}/approve", of, (struct str){0}, NULL);
}

enum err demo_day(struct demo_year *y, int64_t day) {
    y->day = day;
    y->chance = (uint64_t)day * UINT64_C(0xD1342543DE82EF95) + 1;
    enum err e = day % 7 ? OK : new_goods(y);
    if (e || (e = due(y, RETURNED, AT(8, 0))) || (e = restock(y)))
        return e;
    for (int64_t k = 0; !e && k < 2; k++)
        e = scan(y, k);
    if (e || (e = sell(y)))
        return e;
    for (int64_t k = 0; !e && k < 3; k++)
        e = transfer(y, k);
    if (!e && day % 7 == 3)
        e = mistake(y);
    if (!e && day % 3 == 1)
        e = new_price(y);
    if (e || (e = due(y, CANCELLED, AT(17, 30))) || (e = due(y, VOIDED, AT(17, 40))))
        return e;
    return day % 14 == 4 ? count_box(y) : OK;
}
