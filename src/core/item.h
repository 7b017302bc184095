/* The catalogue: one item per SKU inside an organisation. What belongs to a sales channel is a listing, not
 * here. */
#ifndef CORE_ITEM_H
#define CORE_ITEM_H

#include "base/module.h"
#include "net/route.h"

struct barcode {
    struct str type, code;
};

struct item {
    struct str sku, kind, name, description, brand, category;
    struct money cost, price;
    struct json measurements, attributes;
    struct list barcodes; /* of struct barcode */
    bool needs_refill;    /* core/flag.h */
    struct instant created_at, updated_at;
    int64_t revision; /* grows with every change: the ETag */
};
extern const struct schema ITEM;

#define SKU_MAX 64
/* code_readable (place.h), and no word that has a meaning of its own below catalog/. */
bool sku_valid(struct str s);
#define SKU_RULE "must be visible ASCII without space or /, and not ingest or exceptions"

MUST_USE enum err item_find(struct ctx *cx, struct str sku, struct item *out, bool *found);
/* Inserts it unless the SKU is taken (created says), with its audit row, and sends the deliveries that waited
 * for this SKU back to the queue. Fills in what has no value: kind, times, revision. */
MUST_USE enum err item_create(struct ctx *cx, struct item *it, bool *created);

extern const struct module ITEM_MODULE;

#endif
