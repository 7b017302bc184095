/* Places: where stock can be. A bounded place (warehouse, box, channel) holds what is really there; supplier,
 * customer and adjustment stand for the world outside and may go below zero. Whether a place is bounded
 * follows from its kind. */
#ifndef CORE_PLACE_H
#define CORE_PLACE_H

#include "base/module.h"
#include "net/route.h"

struct place {
    struct str code, kind, name;
    bool bounded;
    struct instant created_at;
};
extern const struct schema PLACE;

/* The four that exist from the start: warehouse, supplier, customer, adjustment. In a transaction;
 * idempotent. */
MUST_USE enum err place_ensure_standard(struct ctx *cx);

MUST_USE enum err place_find(struct ctx *cx, struct str code, struct place *out, bool *found);

extern const struct module PLACE_MODULE;

#endif
