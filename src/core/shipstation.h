/* What ShipStation's own messages lead to. Its webhooks are thin: they only name a resource. Such a message
 * is kept in the inbox as it came (source shipstation-v1 or shipstation-v2); the job shipstation.fetch reads
 * the resource and puts every parcel into the inbox as an event of its shipment, in the webhook's direct form
 * (source shipstation). The job shipstation_sync does the same for everything since its last run. So one
 * shipment and status are one event, whatever path reports it:
 *
 *   direct form  shipmentId 1001      the same shipment, known as 1001: V2 writes V1's ids with "se-"
 *   V1, sync     shipmentId 1001      before them
 *   V2           label_id se-1001
 *   fulfillment  fulfillmentId 77     known as fulfillment-77: an order marked as shipped without a label
 *
 * An order is kept as one event for each of its states (source shipstation.order, shipstation_order.c): the
 * newest by the service's own time says what is reserved for it (core/promise.h).
 *
 * Not counted: labels for the way back, discount lines, items without a SKU. What cannot be read is kept as a
 * delivery of source shipstation-record, for a person. */
#ifndef CORE_SHIPSTATION_H
#define CORE_SHIPSTATION_H

#include "core/inbox.h"
#include "services/shipstation.h"

#define SHIPSTATION_V1 S("shipstation-v1")
#define SHIPSTATION_V2 S("shipstation-v2")
#define SHIPSTATION_RECORD S("shipstation-record")

/* The body of a thin payload. */
struct shipstation_notice {
    struct str resource_url, resource_type;
};
extern const struct schema SHIPSTATION_NOTICE;
/* Reads and checks the body of a message; a signed one may name a resource of V2 as well. source says which
 * it is. ERR_MALFORMED, ERR_INVALID. */
MUST_USE enum err shipstation_notice_read(struct ctx *cx, bool is_signed, struct str body,
                                          struct shipstation_notice *out, struct str *source);

/* In a transaction: the parcel as an event of its shipment, or kept for a person. Nothing when known. cause:
 * the delivery it was fetched for, or nil. */
MUST_USE enum err shipstation_take(struct ctx *cx, enum shipstation_list list,
                                   const struct shipstation_parcel *p, struct uuid cause);

/* All pages of what a URL lists, each taken in a transaction of its own that holds the job's lease; with it
 * runs along, if given: its pages are the last of the list. parcels counts.
 *
 * A page that the service cannot answer (500, whatever the number of tries) is asked for in ever smaller
 * ones, until one record is left that it cannot give. That one is passed over, if others are answered, and
 * kept as a delivery with resource_type SHIPSTATION_GAP that waits for a person; replaying it reads the list
 * again. */
#define SHIPSTATION_PAGES_MAX 2000
#define SHIPSTATION_GAPS_MAX 20 /* beyond that the service is down, not a record bad */
#define SHIPSTATION_GAP S("GAP")
struct shipstation_walk {
    const struct shipstation *service;
    enum shipstation_list list;
    struct str url;
    int64_t size; /* records a page, at most */
    enum err (*along)(struct ctx *cx, const struct shipstation_page *page,
                      void *arg); /* in the transaction */
    void *arg;
    struct uuid cause; /* the delivery that it is read for, or nil */
    int64_t parcels, gaps;
};
MUST_USE enum err shipstation_walk(struct ctx *cx, const struct job *job, struct shipstation_walk *w);

extern const struct module SHIPSTATION_INTAKE_MODULE, SHIPSTATION_ORDER_MODULE, SHIPSTATION_SYNC_MODULE;

#endif
