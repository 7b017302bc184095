/* What is reported of a shipment, whatever path reports it: the webhook's direct form, the service's thin
 * payloads, the sync. One shipment and status are one event, known to the inbox by that name, so its stock
 * moves once. */
#ifndef CORE_SHIPMENT_EVENT_H
#define CORE_SHIPMENT_EVENT_H

#include "core/inbox.h"

#define SHIPMENT_SOURCE S("shipstation") /* of deliveries, moves and reservations */

struct shipment_line {
    struct str sku;
    int64_t quantity;
};

struct shipment_event {
    struct str shipment, order, channel, status;
    struct instant at;
    struct list lines; /* of struct shipment_line, summed, by SKU */
};

enum { AWAITING_SHIPMENT, SHIPPED, CANCELLED, VOIDED, RETURNED, STATUSES };
extern const char *const SHIPMENT_STATUS[]; /* NULL-terminated, in this order */

/* "<shipment>:<status>": the event's id in the inbox and the source_ref of its moves. No value when memory is
 * out. */
struct str shipment_event_id(struct ctx *cx, struct str shipment, struct str status);
/* In SKU order, one line a SKU. ERR_INVALID names items when one SKU has too many in all. */
MUST_USE enum err shipment_sum_lines(struct ctx *cx, struct list *lines);
/* Of what the event says about order and stock; its time may differ between two reports of it. */
MUST_USE enum err shipment_fingerprint(struct ctx *cx, const struct shipment_event *ev, struct bytes *out);

/* The delivery that an event makes when nothing else brought it: in the webhook's direct form. */
MUST_USE enum err shipment_delivery(struct ctx *cx, const struct shipment_event *ev, struct delivery *out);
/* Takes an event that was read already, in a transaction: kept as a delivery in the webhook's direct form,
 * with the job that applies it. DUPLICATE when it is known, by whatever path it came; DIFFERENT when it is
 * known with another order or other items, and then this one is an exception without effect. All members have
 * a value; ids are 1 to 100 characters; only voided and cancelled may have no lines. cause: the delivery that
 * led to it, or nil. */
MUST_USE enum err shipment_take(struct ctx *cx, const struct shipment_event *ev, struct uuid cause,
                                enum received *out);

#endif
