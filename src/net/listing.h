/* Listings: what a GET of many may be sorted and filtered by. Each sort is one constant statement whose first
 * arguments are fixed: $1 limit, $2 offset, $3 and $4 the cursor's two values (NULL on the first page: the
 * sort column and the tie-breaker; $4 is NULL for a sort by a unique column), then from $5 one argument a
 * filter, NULL when it is not given. The sort column has a value in every row. Cursors are opaque, bound to
 * organisation, sort and filters by a keyed hash, and end with null. */
#ifndef NET_LISTING_H
#define NET_LISTING_H

#include "net/route.h"

#define PAGE_SIZE_DEFAULT 50
#define PAGE_SIZE_MAX 500
#define PAGE_DEPTH_MAX 10000

struct listing_sort {
    const char *name; /* "sku", "-created_at" */
    const struct stmt *st;
    const char *key, *tie; /* fields of the row whose values the cursor holds; tie NULL for a unique key */
};
/* A field of time whose column is "id" goes as the first id (UUIDv7) of its millisecond, so that a span of
 * time is a range of the key. "filter[kind]" → name "kind"; "filter[created_at][gte]" → name "created_at", op
 * "gte". short_name, if set, takes the plain parameter as well ("sku=…"). */
struct listing_filter {
    const char *name, *op, *short_name;
    const struct field *field;
    const struct stmt
        *st; /* takes the sort's place when this filter is given, for one with an index of its own */
};
struct listing {
    const struct schema *row;
    const struct listing_sort *sorts; /* the first is the default */
    size_t n_sorts;
    const struct listing_filter *filters;
    size_t n_filters;
};

/* Does the whole: reads the parameters, runs the statement, answers the page. */
MUST_USE enum err listing_answer(struct ctx *cx, struct request *rq, struct answer *an);
/* Only refuses what is wrong in the parameters: for a short list that is made in memory and answered whole.
 */
MUST_USE enum err listing_check(struct ctx *cx, const struct request *rq);

#endif
