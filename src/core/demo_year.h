/* What happens at the demo company, day by day: goods come in and are shipped, moved to boxes, counted and
 * corrected. The year is a pure function of its days; with a context it happens in the ledger, without one it
 * only goes by, so that a load that was broken off can catch up with what is there. */
#ifndef CORE_DEMO_YEAR_H
#define CORE_DEMO_YEAR_H

#include "core/demo.h"
#include "core/demo_goods.h"
#include "core/shipment_event.h"

#define DEMO_DAYS 364
#define DEMO_BOXES 6
#define DEMO_SLOTS 10
#define DEMO_LINES 3
#define DEMO_LATER 256

struct demo_order {
    int64_t day, number, n; /* n: how many lines */
    size_t item[DEMO_LINES];
    int64_t quantity[DEMO_LINES];
};

/* What will become of a shipment, and when. */
struct demo_later {
    int64_t day;
    int status;
    struct demo_order order;
};

struct demo_slot {
    size_t item;
    int64_t quantity; /* 0: empty */
};

/* All that one day leaves to the next. A plain value: a closure that may run twice works on a copy. */
struct demo_year {
    struct ctx *cx; /* NULL: the year goes by without leaving a trace */
    struct instant start;
    int64_t day;
    uint64_t chance;
    int64_t free[DEMO_ITEMS]; /* what nobody has ordered yet, in the warehouse */
    struct demo_slot box[DEMO_BOXES][DEMO_SLOTS];
    struct demo_later later[DEMO_LATER];
    size_t n_later;
};

#define DEMO_ITEM_STEPS 10 /* the catalogue and its first stock come in as many steps */
MUST_USE enum err demo_first_goods(struct demo_year *y, int64_t step);
MUST_USE enum err demo_day(struct demo_year *y, int64_t day);

/* The rest is for demo_today.c as well. */
uint64_t demo_chance(struct demo_year *y, uint64_t below); /* the same each time */
/* Posts moves of the company's own under a name; lines are received from suppliers or go where they say. */
struct move;
MUST_USE enum err demo_post(struct demo_year *y, struct move *lines, size_t n, struct str ref,
                            struct str reason);
/* Events of one status, as if the shipping service had sent them just now, applied at once. */
MUST_USE enum err demo_deliver(struct demo_year *y, const struct demo_order *orders, size_t n, int status);
MUST_USE enum err demo_deliver_events(struct demo_year *y, struct shipment_event *events, size_t n);
/* One of the server's own WRITE routes in this transaction. id, if set, gets the id that the answer has. */
MUST_USE enum err demo_call(struct ctx *cx, enum method method, const char *path, struct str param,
                            struct str body, struct uuid *id);

#endif
