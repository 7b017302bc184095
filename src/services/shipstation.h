/* ShipStation's V1 API, as far as entrepot needs it: pages of shipments (labels) and fulfillments (orders
 * marked as shipped without one), each record read into a parcel.
 *
 * What the service is like (its documentation, and what integrators have seen): thin webhooks that name a
 * resource to fetch, from one of several hosts; times in US Pacific; 40 requests a minute, told by
 * X-Rate-Limit-Remaining and X-Rate-Limit-Reset (seconds); null for anything; page counts that cannot be
 * relied on; discounts among the items (adjustment). */
#ifndef SERVICES_SHIPSTATION_H
#define SERVICES_SHIPSTATION_H

#include "base/module.h"
#include "services/http.h"
#include "services/quota.h"

/* The service as one organisation has set it up. */
struct shipstation {
    struct str key, secret; /* V1; no value: not set up for this organisation */
    struct str v2_key;      /* V2, likewise */
    struct str base;        /* SHIPSTATION_BASE_URL, or no value: the vendor's own hosts */
    int64_t timeout_us;
    int64_t patience_us; /* how long a request may wait for the allowance */
    int tries;           /* of what may pass; 0: 4 */
    int *status;         /* gets the status of the newest answer, 0 when there was none; or NULL */
    const struct job *job;
};
/* For cx's organisation; outside a transaction. */
MUST_USE enum err shipstation_find(struct ctx *cx, const struct job *job, struct shipstation *out);

/* What a resource lists: V1's shipments are labels, V2's labels are the same; V1's orders are what V2 calls
 * shipments. */
enum shipstation_list {
    SHIPMENT_LIST,
    FULFILLMENT_LIST,
    ORDER_LIST,
    LABEL_LIST,
    V2_FULFILLMENT_LIST,
    V2_ORDER_LIST
};
struct str shipstation_plain_id(struct str id); /* se-1001 is 1001: V2 writes V1's ids so */
bool shipstation_is_v2(enum shipstation_list list);
bool shipstation_is_order(enum shipstation_list list);

struct shipstation_line {
    struct str sku;
    int64_t quantity;
};

/* One thing that left the house, or an order. */
struct shipstation_parcel {
    enum shipstation_list list; /* that it stood in */
    struct str ref;             /* what entrepot knows the shipment by, the same whichever API tells of it */
    struct str order;           /* the order's number */
    struct str order_id;        /* the service's own id of the order */
    bool voided, is_return;     /* is_return: a label for the way back; nothing has moved by it */
    struct instant at;          /* when it was made, or voided */
    struct instant created;
    struct str status;       /* of an order: unpaid, open, shipped or cancelled */
    struct instant modified; /* of an order */
    struct list lines;       /* of struct shipstation_line */
    bool has_lines;          /* false: the record does not tell; see shipstation_complete */
    bool known;              /* the caller's: nothing more needs to be asked about it */
    struct str raw;          /* the record as it came */
    struct str problem;      /* why it cannot be taken; no value: it can */
};

struct shipstation_page {
    struct list parcels; /* of struct shipstation_parcel */
    bool last;
};

/* Whether a resource_url of V1 or V2 may be fetched, and what it lists. problem for people: "must …". */
bool shipstation_resource(struct arena *mem, struct str base, struct str url, enum shipstation_list *list,
                          struct str *problem);
bool shipstation_v2_resource(struct arena *mem, struct str base, struct str url, enum shipstation_list *list,
                             struct str *problem);
/* One page (1…) of what a URL lists; size records a page. Faults that pass are tried again a few times. */
MUST_USE enum err shipstation_get_page(struct ctx *cx, const struct shipstation *s,
                                       enum shipstation_list list, struct str url, int64_t page, int64_t size,
                                       struct shipstation_page *out);
/* Asks for the items of a parcel's order where its record had none. */
MUST_USE enum err shipstation_complete(struct ctx *cx, const struct shipstation *s,
                                       struct shipstation_parcel *p);
/* The URL of a list of this account with its query: "createDateStart=…&…". */
struct str shipstation_url(struct ctx *cx, const struct shipstation *s, const char *path, struct str query);

/* shipstation_read.c. A page's body; ERR_UNAVAILABLE when it is none. One record of a list by itself; the
 * items of an order, for a parcel without its own. */
MUST_USE enum err shipstation_read_page(struct ctx *cx, enum shipstation_list list, struct str body,
                                        int64_t page, int64_t size, struct shipstation_page *out);
void shipstation_read_order(struct ctx *cx, struct str body, struct shipstation_parcel *p);
void shipstation_read_parcel(struct ctx *cx, enum shipstation_list list, struct str raw,
                             struct shipstation_parcel *out);

/* shipstation_v2.c, by shipstation_get_page and shipstation_complete. */
MUST_USE enum err shipstation_v2_body(struct ctx *cx, const struct shipstation *s, struct str url,
                                      int64_t page, int64_t size, struct str *body);
MUST_USE enum err shipstation_v2_complete(struct ctx *cx, const struct shipstation *s,
                                          struct shipstation_parcel *p);
bool shipstation_is_v2_host(struct str host);
/* A URL's query without what stands in ours (NULL-terminated), for the caller to add to. */
void shipstation_put_url(struct buf *b, struct str url, const char *const *ours);

/* One GET whose answer is JSON, with the allowance, learning and repeating. */
struct shipstation_call {
    const struct quota *quota;
    bool (*host)(struct str host);
    const struct header *headers;
    size_t n_headers;
    bool basic;
};
MUST_USE enum err shipstation_get(struct ctx *cx, const struct shipstation *s,
                                  const struct shipstation_call *call, struct str url, struct str *body);

extern const struct module SHIPSTATION_MODULE;

#endif
