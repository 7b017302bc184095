/* The rejects file of a bucket: line, byte_offset, column, reason, raw: the row as it stands in the file that
 * it was in. Rows that the merge could not read are in an individual file, which the reason names; rows with
 * a bad value are in the merged file. */
#ifndef FEEDS_REJECT_H
#define FEEDS_REJECT_H

#include "base/csv.h"
#include "base/ctx.h"

struct rejects {
    struct str path;
    int fd; /* of PATH.part; -1: nothing was rejected yet */
    struct buf text;
    int64_t n;
};
void rejects_begin(struct rejects *r, struct str path);
MUST_USE enum err rejects_add(struct ctx *cx, struct rejects *r, struct csv_place at, struct str column,
                              struct str reason, struct str raw);
/* The file appears, or, when nothing was rejected, goes. */
MUST_USE enum err rejects_end(struct ctx *cx, struct rejects *r);
void rejects_drop(struct ctx *cx, struct rejects *r); /* after a failure */

#endif
