/* The public keys that sign ShipStation's V2 webhooks (RSA-SHA256): fetched by a job from the vendor's key
 * set, kept in the database, and read from there into this process. They sign for all of the vendor's
 * customers, so a good signature says that the vendor sent it, not for whom: the token in the URL says that.
 *
 * What is signed: the timestamp header exactly as it came, a dot, and the body. */
#ifndef CORE_SHIPSTATION_KEYS_H
#define CORE_SHIPSTATION_KEYS_H

#include "base/module.h"
#include "net/route.h"

struct shipstation_keys;
struct shipstation_keys *shipstation_keys_new(void); /* NULL when memory is out */
void shipstation_keys_free(struct shipstation_keys *k);

/* In a read transaction, by one thread: what the database has of them now. */
MUST_USE enum err shipstation_keys_refresh(struct ctx *cx, struct shipstation_keys *k);

enum verdict { SIGNED, NOT_SIGNED, KEY_UNKNOWN };
struct shipstation_signature {
    struct str key_id, timestamp, signature;
};
/* By what the last refresh saw. stale: the keys should be fetched again. ERR_MEMORY. */
MUST_USE enum err shipstation_keys_verify(struct ctx *cx, struct shipstation_keys *k,
                                          const struct shipstation_signature *s, struct str body,
                                          enum verdict *out, bool *stale);
/* In a transaction: has the keys fetched. */
MUST_USE enum err shipstation_keys_want(struct ctx *cx);
/* The timestamp header: RFC 3339, or seconds or milliseconds since 1970. */
bool shipstation_timestamp(struct str text, struct instant *out);

extern const struct module SHIPSTATION_KEYS_MODULE;

#endif
