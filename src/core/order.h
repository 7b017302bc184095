/* Order records: what was sold through which channel, written from shipping events; sales metrics count from
 * them. An order is known by its channel and the channel's own name for it. Its state follows from its
 * shipments: SHIPPED when one of them left, else CANCELLED when one was cancelled, else PAID. */
#ifndef CORE_ORDER_H
#define CORE_ORDER_H

#include "base/module.h"
#include "net/route.h"

struct order_line {
    struct str shipment, sku;
    int64_t quantity;
};

struct sales_order {
    struct uuid id;
    struct str channel, order_id, status;
    struct instant ordered_at, updated_at;
    struct list lines; /* of struct order_line; only where one order is shown */
};
extern const struct schema SALES_ORDER;

/* A shipment and its order, locked for the rest of the transaction. */
struct order_shipment {
    struct uuid order_id;
    struct str state; /* known until something is decided */
};
/* Makes or finds both. at: when the channel says it happened; the earliest becomes the order's date. */
MUST_USE enum err order_touch(struct ctx *cx, struct str channel, struct str order, struct str shipment,
                              struct instant at, struct order_shipment *out);
/* What is in a shipment; replace: lines that an earlier status announced go. */
struct order_lines {
    struct order_line *v;
    size_t n;
    bool replace;
};
/* What the shipment has come to, its lines, the order's state, and the caller's own steps, in one round trip.
 */
MUST_USE enum err order_settle(struct ctx *cx, struct uuid order_id, struct str shipment, struct str state,
                               struct order_lines lines, const struct step *also, size_t n_also);

extern const struct module ORDER_MODULE;

#endif
