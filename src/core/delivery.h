/* Deliveries as people see them: what came in, what became of it, and applying it again. The operator's
 * routes, which the commands call, do the same for an organisation that is named. */
#ifndef CORE_DELIVERY_H
#define CORE_DELIVERY_H

#include "core/inbox.h"
#include "net/command.h"

/* With body_size in place of headers and body. */
extern const struct schema DELIVERY_LISTED;

/* The order that a shipping event belongs to, as far as a delivery knows it. */
struct delivery_order {
    struct uuid id;
    struct str channel, order_id, status, shipment;
};

/* One delivery with all that it led to. */
struct delivery_detail {
    struct delivery d; /* first: its fields are those of every view */
    struct str text;
    struct list moves;   /* of struct move */
    struct list orders;  /* of struct delivery_order, none or one */
    struct list jobs;    /* of struct job, none or one */
    struct list derived; /* of struct delivery, listed: what was fetched for it */
};
extern const struct schema DELIVERY_DETAIL;

/* What POST deliveries/replay takes and answers, and the job it leaves carries. */
struct replay_range {
    struct str source, state;
    struct instant from, to;
    bool preview;
    struct str organisation;
};
struct replay_started {
    int64_t count;
    bool more;
    struct uuid job_id;
};
extern const struct schema REPLAY_STARTED;

extern const struct command DELIVERY_COMMANDS[];
#define DELIVERY_COMMANDS_N 3
extern const struct module DELIVERY_MODULE;

#endif
