/* Exceptions: rows of scans that were refused, kept as they came with what is wrong, until a person repairs
 * them. */
#ifndef CORE_EXCEPTION_H
#define CORE_EXCEPTION_H

#include "base/module.h"
#include "net/route.h"

struct exception {
    struct uuid id;
    struct str source, body;
    struct json problems; /* [{"field", "problem"}] */
    struct str state;     /* open, resolved */
    struct instant created_at, resolved_at;
    struct str actor;
};
extern const struct schema EXCEPTION;

/* Keeps a refused row with the context's fault, which stays as it is. */
MUST_USE enum err exception_keep(struct ctx *cx, struct str source, struct str body, struct uuid *id);
MUST_USE enum err exception_find(struct ctx *cx, struct str id, struct exception *out); /* ERR_NOT_FOUND */
/* ERR_CONFLICT if it was resolved before: call it first, so that of two at once one repairs. */
MUST_USE enum err exception_resolve(struct ctx *cx, struct uuid id);

extern const struct module EXCEPTION_MODULE;

#endif
