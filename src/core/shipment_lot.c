#include "core/shipment_lot.h"

#include "core/inbox.h"
#include "core/ledger.h"
#include "core/order.h"
#include "core/shipment.h"

#include "base/banned.h"

enum { ADD };
static const struct stmt SQL[] = {
    [ADD] = {"shipments_add_shipped", TENANT,
             "INSERT INTO shipment (org_id, shipment_ref, order_id, state, updated_at, shipped_id,"
             " shipped_done, voided_done, returned_done)"
             " VALUES ($org, $1, $2, 'shipped', $3, $4, TRUE, FALSE, FALSE)"
             " ON CONFLICT (org_id, shipment_ref) DO NOTHING",
             "INSERT INTO shipment (org_id, shipment_ref, order_id, state, updated_at, shipped_id,"
             " shipped_done, voided_done, returned_done)"
             " SELECT $org, u.shipment_ref, u.order_id, 'shipped', u.updated_at, u.shipped_id, TRUE, FALSE,"
             " FALSE FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::uuid[])"
             " AS u(shipment_ref, order_id, updated_at, shipped_id)"
             " ON CONFLICT (org_id, shipment_ref) DO NOTHING",
             NULL},
};

static bool same_order(const struct shipment_event *a, const struct shipment_event *b) {
    return str_eq(a->channel, b->channel) && str_eq(a->order, b->order);
}

static struct instant earliest(const struct lot *lot, size_t i) {
    const struct shipment_event *first = lot->v[i].event;
    struct instant at = first->at;
    for (; i < lot->n && same_order(lot->v[i].event, first); i++)
        at = lot->v[i].event->at.us < at.us ? lot->v[i].event->at : at;
    return at;
}

/* Orders, shipments and lines. All of them are new, or it is not plain. */
static enum err add_records(struct ctx *cx, const struct lot *lot) {
    struct steps steps = {.cx = cx};
    struct uuid order = {0};
    size_t orders = 0, shipments = 0;
    for (size_t i = 0; i < lot->n; i++) {
        const struct shipment_event *ev = lot->v[i].event;
        if (i == 0 || !same_order(lot->v[i - 1].event, ev)) {
            order = uuid_new(cx->now);
            orders = order_add_shipped(&steps, order, ev->channel, ev->order, earliest(lot, i));
        }
        shipments = steps_add_row(&steps, &SQL[ADD],
                                  ARGS(A(ev->shipment), A(order), A(cx->now), A(lot->v[i].delivery)));
        const struct shipment_line *l = ev->lines.items;
        for (size_t k = 0; k < ev->lines.n; k++)
            order_add_shipped_line(&steps, order,
                                   &(struct order_line){ev->shipment, l[k].sku, l[k].quantity});
    }
    enum err e = steps_run(&steps);
    if (e)
        return e;
    bool all = steps.v[orders].changed == (int64_t)steps.v[orders].n_rows &&
               steps.v[shipments].changed == (int64_t)lot->n;
    return all ? OK : fail(cx, ERR_CONFLICT, "Something is known already of one of these shipments.");
}

static enum err post(struct ctx *cx, const struct lot *lot) {
    size_t total = 0, at = 0;
    for (size_t i = 0; i < lot->n; i++)
        total += lot->v[i].event->lines.n;
    struct move *all = NEW_N(cx->mem, struct move, total), *m;
    if (!all)
        return fail(cx, ERR_MEMORY, "The shipments have too many lines.");
    for (size_t i = 0; i < lot->n; i++) {
        const struct shipment_event *ev = lot->v[i].event;
        enum err e = shipment_moves(cx, ev->shipment, SHIPPED, &ev->lines, &m);
        if (e)
            return e;
        for (size_t k = 0; k < ev->lines.n; k++) {
            all[at] = m[k];
            all[at++].actor = cx->actor.name;
        }
    }
    return ledger_post_lot(cx, all, total, FACT);
}

enum err shipment_lot(struct ctx *cx, void *arg) {
    const struct lot *lot = arg;
    struct steps last = {.cx = cx};
    enum err e = add_records(cx, lot);
    if (e || (e = post(cx, lot)))
        return e;
    for (size_t i = 0; i < lot->n; i++)
        inbox_applied_first(&last, lot->v[i].delivery);
    return steps_tell(&last);
}

const struct module SHIPMENT_LOT_MODULE = {.name = "shipment_lots", TABLE(stmts, SQL)};
