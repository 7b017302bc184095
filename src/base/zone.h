/* Time zones of the system's tz database (package tzdata), read from its TZif files (RFC 8536, version 2 and
 * later) by a parser of our own: glibc knows one zone a process, set through the environment, and is not safe
 * to ask from several threads. A zone is read-only once it is there. "UTC" needs no file.
 *
 * Seconds here are whole seconds since 1970-01-01T00:00:00, in UTC or on a wall clock, as named. */
#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include "base/ctx.h"

struct zone;

#define ZONE_NAME_MAX 64
/* By its name, "Europe/Berlin"; lives in mem. ERR_INVALID where the database has none of the name. */
MUST_USE enum err zone_load(struct ctx *cx, struct arena *mem, struct str name, const struct zone **out);
bool zone_known(struct str name); /* as a setting's check */
/* The content of a TZif file; NULL where it is none, uses leap seconds, or memory is out. */
const struct zone *zone_parse(struct arena *mem, struct bytes file);

/* The stretch of time around an instant in which the wall clock runs evenly: from start (inclusive) to end
 * (exclusive) it is offset seconds ahead of UTC; just before start it was before seconds ahead. Without a
 * change on a side, that end is INT64_MIN or INT64_MAX. */
struct zone_span {
    int64_t start, end, offset, before;
};
struct zone_span zone_span(const struct zone *z, int64_t utc);

/* The instant of a wall clock's second: the first one where a clock that is set back shows it twice; where a
 * clock that is set forward never shows it, the instant of the change. */
int64_t zone_instant(const struct zone *z, int64_t wall);

#endif
