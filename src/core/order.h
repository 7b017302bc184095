/* Order records: what was sold through which channel, written from shipping events; sales metrics count from
 * them. An order is known by its channel and the channel's own name for it. Its state follows from its
 * shipments: SHIPPED when one of them left, else CANCELLED when one was cancelled. Where no shipment says so,
 * it follows from what the shipping service has of the order itself: CANCELLED, PENDING while it is unpaid,
 * else PAID. */
#ifndef CORE_ORDER_H
#define CORE_ORDER_H

#include "base/module.h"
#include "net/route.h"

struct order_line {
    struct str shipment, sku;
    int64_t quantity;
};

/* One line of what was ordered, before it is known what goes with which shipment. */
struct order_wish {
    struct str part, status, sku;
    int64_t quantity;
};

struct sales_order {
    struct uuid id;
    struct str channel, order_id, status;
    struct instant ordered_at, updated_at;
    struct list lines;   /* of struct order_line, by shipment and SKU */
    struct list ordered; /* of struct order_wish, by part and SKU */
};
extern const struct schema SALES_ORDER;

/* What it is when it is touched. */
struct order_head {
    struct uuid id;
    bool promised; /* something is or was to be reserved for it: core/promise.h */
};
/* Makes it or finds it, locked for the rest of the transaction. at: when the channel says it happened; the
 * earliest becomes the order's date. promises: from now on it is promised. Nothing if the shipment is known
 * to belong to another order. */
void order_touch(struct steps *steps, struct str channel, struct str order, struct instant at,
                 struct str shipment, bool promises, struct order_head *out);
/* One that is there, locked likewise. */
void order_lock(struct steps *steps, struct uuid order_id);
/* A shipment's lines: clear takes away what an earlier status announced. */
void order_clear_lines(struct steps *steps, struct uuid order_id, struct str shipment);
void order_add_line(struct steps *steps, struct uuid order_id, const struct order_line *line);
/* In lots: a new order, all of whose shipments have left, and lines that nothing was announced of before;
 * which steps they are is given. The order is none of them if it is known. */
size_t order_add_shipped(struct steps *steps, struct uuid id, struct str channel, struct str order,
                         struct instant at);
void order_add_shipped_line(struct steps *steps, struct uuid order_id, const struct order_line *line);
/* Brings the order's state to what its shipments say. */
void order_settle(struct steps *steps, struct uuid order_id);

extern const struct module ORDER_MODULE;

#endif
