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
    struct instant created_at, last_counted_at;
};
extern const struct schema PLACE;

/* The four that exist from the start: warehouse, supplier, customer, adjustment. In a transaction;
 * idempotent. */
MUST_USE enum err place_ensure_standard(struct ctx *cx);

/* What stands on labels and in URLs: visible ASCII without space or '/'; the length is the field's. A place's
 * code is neither "." nor ".." besides, which most clients cannot send as a part of a path. */
bool code_readable(struct str s);

/* Notes that a place was counted just now. */
MUST_USE enum err place_counted(struct ctx *cx, struct str code);

MUST_USE enum err place_find(struct ctx *cx, struct str code, struct place *out, bool *found);

extern const struct module PLACE_MODULE;

#endif
