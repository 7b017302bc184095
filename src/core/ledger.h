/* The stock ledger: double entry. A move takes a quantity of an item from one place to another; moves are
 * append-only and a correction is a move that names the one it reverses. Levels are derived and kept in the
 * same transaction; at any moment, adding the moves up gives exactly the levels (verify.h).
 *
 * Invariants, guarded inside the statements and by CHECK constraints, never by a read before:
 * - a move is applied once: its key is (organisation, source, source_ref, sku, from, to); without source_ref
 * it has none;
 * - a request never takes more than is available from a bounded place; a FACT (something that has happened
 * outside) always does, and marks the level oversold until receipts make up for it;
 * - the lines of one event are summed per item and places first, locked in key order, and applied all or
 * none. */
#ifndef CORE_LEDGER_H
#define CORE_LEDGER_H

#include "base/module.h"
#include "net/route.h"

struct move {
    struct uuid id;
    struct str sku;
    int64_t quantity; /* 1 to MOVE_MAX */
    struct str from, to, reason, source, source_ref;
    struct instant at; /* when it was recorded */
    struct str actor;
    struct uuid reverses;
};
extern const struct schema MOVE;
#define MOVE_COLUMNS \
    "id, sku, quantity, from_place, to_place, reason, source, source_ref, recorded_at, actor, reverses"
#define MOVE_MAX 1000000000

struct stock_level {
    struct str sku, place;
    int64_t on_hand, reserved, available;
    bool oversold;
    bool unknown; /* nobody vouches for on_hand: core/flag.h */
};
extern const struct schema LEVEL;
#define LEVEL_COLUMNS                                                                            \
    "sku, place, on_hand, reserved, on_hand - reserved AS available, oversold, EXISTS (SELECT 1" \
    " FROM stock_unknown u WHERE u.org_id = $org AND u.sku = stock_level.sku"                    \
    " AND u.place = stock_level.place) AS unknown"

/* Puts lines of any sort in the order of their key and sums those of one key; n becomes how many are left.
 * quantity: where in a line its int64_t stands. False when one comes to more than MOVE_MAX. */
MUST_USE bool ledger_sum_lines(void *lines, size_t *n, size_t size, size_t quantity,
                               int (*order)(const void *a, const void *b));

/* REQUEST: refused with ERR_INSUFFICIENT when short. FACT: always recorded. */
enum posting { REQUEST, FACT };

/* A change of what is reserved at a level: above zero a promise is made, below zero one is kept or given up.
 * Who writes the rows of the promises themselves is core/reservation.h. */
struct hold {
    struct str sku, place;
    int64_t delta;
};
struct holds {
    struct hold *v;
    size_t n;
};

/* How a posting that changed nothing came out, beside errors. */
enum posted { POSTED, REPEATED };

/* Posts the lines of one event (one source and source_ref), all or none, in cx's transaction; lines are
 * summed and put in key order (n becomes their number) and get id, at and actor. REPEATED: this very event
 * was posted before, nothing changed, and lines are the stored moves. Errors: ERR_INVALID naming sku, from or
 * to that do not exist; ERR_CONFLICT when the key is known with other content; ERR_INSUFFICIENT. After an
 * error the closure must fail too: what the lines before the bad one did is undone by its rollback. */
MUST_USE enum err ledger_post(struct ctx *cx, struct move *lines, size_t *n, enum posting how,
                              enum posted *out);

/* The same together with changes of what is reserved, so that a move may use what is promised to it: each
 * level sees its whole change at once. Nothing of it happens when the event is REPEATED. */
MUST_USE enum err ledger_post_holds(struct ctx *cx, struct move *lines, size_t *n, struct holds holds,
                                    enum posting how, enum posted *out);
/* Only changes of what is reserved, all or none. A promise needs what is available; promises that have passed
 * their expiry make way. Errors: ERR_INSUFFICIENT; then the closure must fail. */
MUST_USE enum err ledger_hold(struct ctx *cx, struct holds holds);

/* The levels of one place as they stand, locked in key order for the rest of the transaction; skus are in
 * order. available has an entry a SKU: 0 where there is no level, below zero where it is oversold. */
MUST_USE enum err ledger_lock_available(struct ctx *cx, const struct str *skus, size_t n, struct str place,
                                        int64_t *available);

/* The lines of several events at once, in the order given, the plain case: every line is new, known to the
 * catalogue, and as a REQUEST covered by what is there when it comes. Lines get id and at, and bring their
 * actor; those of one event are summed already. What does not come out so is an error; the closure must fail,
 * and the caller post event by event. */
MUST_USE enum err ledger_post_lot(struct ctx *cx, struct move *lines, size_t n, enum posting how);

/* The moves of one event in key order, none if there was no such event. */
MUST_USE enum err ledger_of_event(struct ctx *cx, struct str source, struct str source_ref,
                                  struct list *moves);

extern const struct module LEDGER_MODULE;

#endif
