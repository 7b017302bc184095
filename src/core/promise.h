/* What orders are promised before they ship. An order's reservations are those of its shipments (source
 * "shipstation", made by awaiting_shipment) and its own, one an item (source "shipstation.order", made by
 * what the shipping service has of the order). All of them follow from what is known of the order, whatever
 * the way and the order in which it came to be known:
 *
 *   a shipment that awaits   wants what it announces, unless the service has the whole order as cancelled
 *   the order itself         wants what its open parts hold, less what its shipments have taken over: those
 *                            that await, have left, came back or were cancelled (a voided one has not);
 *                            nothing once it is CANCELLED
 *
 * So nothing is promised twice, and who ships uses what is promised to the order. Where stock is short, what
 * the order holds of an item and what is available of it go to its shipments by their names, then to the
 * order itself. Between orders the first that came is served first: what an earlier one lacks is left to it.
 * A lack is an exception at the deliveries that want it, and tried again every minute.
 *
 * Locks: the order, then its reservations, then levels. */
#ifndef CORE_PROMISE_H
#define CORE_PROMISE_H

#include "core/order.h"

/* In a transaction that has the order locked, before levels are: locks its reservations. */
MUST_USE enum err promise_lock(struct ctx *cx, struct uuid order_id);
/* After all that is known has been written: reserves and lets go, and settles the deliveries that want it. */
MUST_USE enum err promise_balance(struct ctx *cx, struct uuid order_id);

extern const struct module PROMISE_MODULE;

#endif
