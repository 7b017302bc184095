/* What the files of ShipStation's intake share; others use shipstation.h. */
#ifndef CORE_SHIPSTATION_STATEMENTS_H
#define CORE_SHIPSTATION_STATEMENTS_H

#include "core/shipstation.h"

extern const struct stmt SHIPSTATION_ORDER_OF;
extern const char *const SHIPSTATION_LISTS[]; /* by enum shipstation_list, what a record of it is called */
/* In a transaction: an order as the service has it now, kept with the job that applies it. */
enum err shipstation_order_take(struct ctx *cx, const struct shipstation_parcel *p, struct uuid cause);
enum err shipstation_apply_records(struct ctx *cx, struct delivery *const *deliveries, size_t n);

#endif
