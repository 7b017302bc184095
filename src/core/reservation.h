/* Reservations: promises of stock in two phases. One is made pending, if as much is available, and takes that
 * away from what others may have; then it is posted (the goods leave by a move), voided (given up) or
 * expires. Every step happens once; a repeat gets what came of the first.
 *
 * A level's reserved is the sum of its pending reservations, kept in the same transaction; `ledger verify`
 * adds them up again. One that has passed its expires_at can be posted no more and makes way at once for who
 * needs what it holds; levels show it as reserved until its job has let it go, which is within two seconds.
 *
 * Rows are locked before levels, levels in key order. */
#ifndef CORE_RESERVATION_H
#define CORE_RESERVATION_H

#include "core/ledger.h"

struct reservation {
    struct uuid id;
    struct str sku, place;
    int64_t quantity;
    int64_t posted; /* how much of it left, once state is posted */
    struct str state;
    struct instant expires_at; /* no value: stands until it is posted or voided */
    struct str source, source_ref;
    struct instant created_at, settled_at;
    struct str actor;
    struct str settled_by; /* who posted or voided it; no value: the events of its service, or its expiry */
    struct uuid order_id;  /* the order that it is for, if it is an order's */
};
extern const struct schema RESERVATION;
#define RESERVATION_COLUMNS                                                                             \
    "id, sku, place, quantity, posted, state, expires_at, source, source_ref, created_at, settled_at, " \
    "actor, settled_by, order_id"

/* Makes it, with the job that ends it. With a source_ref, REPEATED: it is there already, and r is what is
 * stored. Errors: ERR_INVALID naming sku, place or expires_at; ERR_CONFLICT when the source_ref is known with
 * another content; ERR_INSUFFICIENT. After an error the closure must fail. */
MUST_USE enum err reservation_make(struct ctx *cx, struct reservation *r, enum posted *out);

/* The reservations of one event (source and source_ref) by SKU, whatever their state, locked. */
MUST_USE enum err reservation_of_event(struct ctx *cx, struct str source, struct str source_ref,
                                       struct list *reservations);
/* The same of all that one order has, its shipments' among them. */
MUST_USE enum err reservation_of_order(struct ctx *cx, struct uuid order_id, struct list *reservations);
/* In the caller's steps, without their levels: that one of an order is pending with this quantity, whatever
 * it was; that pending ones end, as "posted" or "voided". Who calls gives the ledger the holds that change
 * with them, and has the event or the order locked. */
void reservation_put(struct steps *steps, struct reservation *r);
void reservation_settle(struct steps *steps, struct uuid id, struct str state, int64_t posted);

extern const struct module RESERVATION_MODULE;

#endif
