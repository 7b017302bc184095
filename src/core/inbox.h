/* The inbox: every delivery from outside is kept as it came, unique by organisation, source and event id,
 * together with the job that will apply it, in one transaction; only then is it acknowledged. Applying is the
 * job's work and may be done again at any time: what it does to stock is keyed by the event.
 *
 * States: pending → applied | exception (a person or a missing item must act; it is tried again when that
 * changes) | ignored (good, but without effect by the rules). */
#ifndef CORE_INBOX_H
#define CORE_INBOX_H

#include "base/module.h"
#include "jobs/jobs.h"
#include "net/route.h"

struct delivery {
    struct uuid id;
    struct str source, event_id;
    struct instant received_at;
    struct bytes fingerprint; /* of what the event says, so that the same id with other content is noticed */
    struct bytes body;        /* as it came */
    struct str state, problem;
    struct instant settled_at;
    struct str request_id;
    struct json headers, verdict; /* what came with the body, and how it was proven; see below */
    struct uuid job_id;           /* the newest job that applies it */
    struct uuid cause_id;         /* the delivery that it was fetched for; nil: it came by itself */
    struct uuid conflicts_with;   /* the one that said something else under this event's name */
    struct instant forgotten_at;  /* when its body was dropped (DELIVERY_BODY_DAYS) */
    int64_t body_size;            /* where it is listed without its body */
};
extern const struct schema DELIVERY;
#define DELIVERY_COLUMNS                                                                             \
    "id, source, event_id, received_at, fingerprint, body, state, problem, settled_at, request_id, " \
    "headers, verdict, job_id, cause_id, conflicts_with, forgotten_at"
extern const char *const DELIVERY_STATES[];

/* How a delivery was received. */
enum received { RECEIVED, DUPLICATE, DIFFERENT };

/* Keeps it with its job, for cx's organisation. DUPLICATE: known, with the same fingerprint. DIFFERENT: the
 * event is known with another content: this one is kept beside it under an id of its own as an exception, and
 * applied never. */
MUST_USE enum err inbox_put(struct ctx *cx, struct delivery *d, enum received *out);
/* In lots: one more delivery, by cx's request, with its job; then all of them, ERR_CONFLICT when one is not
 * new. */
MUST_USE enum err inbox_put_row(struct steps *rows, struct ctx *cx, struct delivery *d);
MUST_USE enum err inbox_put_rows(struct steps *rows);
/* The same question without keeping anything: RECEIVED means that it is not known. */
MUST_USE enum err inbox_known(struct ctx *cx, const struct delivery *d, enum received *out);

/* For the two members of a delivery: the headers of a request that are worth keeping, by a list of names that
 * holds no credentials; and {"scheme", "secret"}, which secret of its setting verified, counted from 1 (0:
 * there is only one). No value when memory is out. */
struct json inbox_headers(struct ctx *cx, const struct request *rq);
struct json inbox_verdict(struct ctx *cx, const char *scheme, int64_t secret);

/* Has it applied again, whatever became of it: what it does to stock is keyed by the event, so nothing moves
 * twice. ERR_CONFLICT where its body is gone or it may have no effect. */
MUST_USE enum err inbox_replay(struct ctx *cx, const struct delivery *d);

MUST_USE enum err inbox_get(struct ctx *cx, struct uuid id, struct delivery *out, bool *found);
/* The same as it is to be applied: body is what a person corrected it to, if it took effect so. */
MUST_USE enum err inbox_to_apply(struct ctx *cx, struct uuid id, struct delivery *out, bool *found);
MUST_USE enum err inbox_of_event(struct ctx *cx, struct str source, struct str event_id, struct delivery *out,
                                 bool *found);
/* Under which source and source_ref its moves stand. A source is called after its service ("smartsheet"), or
 * "service.kind"; moves have the service. What comes after an @ in the event id of a "service.row" tells the
 * contents of one row apart; moves go by what stands before. */
struct str inbox_service(const struct delivery *d);
struct str inbox_ref(const struct delivery *d);
/* It is pending again, and this job sees to it: as a step. */
void inbox_give_job(struct steps *steps, struct uuid id, struct uuid job);
/* What became of it, as steps: one that waits for a person stands in the list of exceptions, under its own
 * id, until it is settled otherwise. */
void inbox_settle(struct steps *steps, struct uuid id, struct str state, struct str problem);
/* The same of one that was pending and now is applied or ignored: it never was an exception. */
void inbox_settle_first(struct steps *steps, struct uuid id, struct str state, struct str problem);
void inbox_applied_first(struct steps *steps, struct uuid id); /* in lots */
/* The delivery waits for this SKU: it is tried again when the catalogue gets it. come: it has it by now, and
 * nothing waits. */
MUST_USE enum err inbox_wait(struct ctx *cx, struct uuid id, struct str sku, bool *come);
/* By who makes the item, after it has been inserted. */
MUST_USE enum err inbox_wake_waiting(struct ctx *cx, struct str sku);

/* A row of a module: who applies the deliveries of a source, in the transaction of the job `inbox.apply`.
 * Several come together when several wait; an error with more than one has them sent again in smaller lots,
 * at last each by itself. */
struct intake_source {
    const char *name;
    enum err (*apply)(struct ctx *cx, struct delivery *const *deliveries, size_t n);
};
extern const struct module INBOX_MODULE;

#endif
