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
};
extern const struct schema RESERVATION;

/* Makes it, with the job that ends it. With a source_ref, REPEATED: it is there already, and r is what is
 * stored. Errors: ERR_INVALID naming sku, place or expires_at; ERR_CONFLICT when the source_ref is known with
 * another content; ERR_INSUFFICIENT. After an error the closure must fail. */
MUST_USE enum err reservation_make(struct ctx *cx, struct reservation *r, enum posted *out);

/* The reservations of one event (source and source_ref) by SKU, whatever their state, locked. */
MUST_USE enum err reservation_of_event(struct ctx *cx, struct str source, struct str source_ref,
                                       struct list *reservations);
/* Takes as much as is available of what each of these reservations of one event still lacks: quantity says
 * how many in all, in SKU order, at one place. One that is settled stays as it is. taken gets how many each
 * holds afterwards. The event's other steps are serialised by the caller's lock. */
MUST_USE enum err reservation_take_available(struct ctx *cx, const struct reservation *wanted, size_t n,
                                             int64_t *taken);
/* Ends pending reservations in the caller's steps, without their levels: state is "posted" or "voided". Who
 * calls gives the ledger the holds that fall with them. */
void reservation_settle(struct steps *steps, struct uuid id, struct str state, int64_t posted);

extern const struct module RESERVATION_MODULE;

#endif
