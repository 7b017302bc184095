/* Shipments: what the events of one shipment do to orders and stock. The end does not depend on the order in
 * which the events arrive: every event looks at all that is known of its shipment and brings the whole to
 * where it belongs.
 *
 *   awaiting_shipment   reserves what is available, which stands until the shipment is shipped, cancelled or
 *                       voided; less than all of it is an exception, tried again when there is more
 *   shipped             warehouse → customer, once, with what was reserved for it; nothing if the shipment is
 *                       known to be voided
 *   cancelled           gives the reservation up; of a shipment that has left it is an exception
 *   voided              takes back exactly what shipped moved (and a return, which a voided shipment cannot
 *                       have); nothing stays or is reserved for it
 *   returned            customer → warehouse, no more than was shipped; before shipped is known it waits as
 * an exception */
#ifndef CORE_SHIPMENT_H
#define CORE_SHIPMENT_H

#include "core/ledger.h"
#include "core/shipment_event.h"

/* Reads a stored delivery back into the event that it is. */
typedef enum err shipment_read_fn(struct ctx *cx, const struct delivery *d, struct shipment_event *out);
/* In the transaction of the job: settles these deliveries and whatever else of their shipments they decide.
 */
MUST_USE enum err shipment_apply(struct ctx *cx, struct delivery *const *deliveries, size_t n,
                                 shipment_read_fn *read);

/* The lines of an event (by its status) as moves of that event. */
MUST_USE enum err shipment_moves(struct ctx *cx, struct str shipment, int status,
                                 const struct list *event_lines, struct move **out);

extern const struct module SHIPMENT_MODULE;

#endif
