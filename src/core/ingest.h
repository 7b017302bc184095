/* Ingest: every scan, from wherever, runs through here. An unknown SKU makes the item and receives stock; a
 * known one receives stock; quantity zero makes or touches the item without a move. A bad scan is refused
 * field by field and kept as an exception. */
#ifndef CORE_INGEST_H
#define CORE_INGEST_H

#include "core/exception.h"

struct scan {
    struct str sku, name;
    int64_t quantity;
    struct str location; /* a place's code; no value: warehouse */
    struct str barcode, scan_id;
};
extern const struct schema SCAN;

struct scan_result {
    struct str sku;
    int64_t quantity;
    struct str place;
    bool created; /* the item is new */
    struct uuid move_id;
    bool repeated; /* the scan_id was known; nothing changed */
};

/* One row of any intake, as the JSON object of a scan: reads and applies it, under its scan_id if it has one.
 * A bad one is kept as an exception of that origin (kind scan) and told by refused, with the fault still set;
 * its scan_id, or else the origin's ref, makes the same row sent again the same exception. */
MUST_USE enum err ingest_row(struct ctx *cx, const struct exception_origin *from, struct str text,
                             struct scan_result *out, bool *refused);

extern const struct module INGEST_MODULE;

#endif
