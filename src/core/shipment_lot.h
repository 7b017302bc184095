/* Shipped events in lots, the plain case: each is the first that is heard of its shipment and of its order. A
 * handful of statements does for all what the general way (shipment.c) does for one. */
#ifndef CORE_SHIPMENT_LOT_H
#define CORE_SHIPMENT_LOT_H

#include "core/shipment_event.h"

struct shipped {
    struct uuid delivery;
    const struct shipment_event *event;
};
struct lot {
    struct shipped *v; /* in the order of channel, order and shipment */
    size_t n;
};
/* For db_attempt. ERR_CONFLICT when one of them is not plain; then nothing is to be left of it. */
enum err shipment_lot(struct ctx *cx, void *lot);

extern const struct module SHIPMENT_LOT_MODULE;

#endif
