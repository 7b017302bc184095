/* Times as ShipStation's V1 writes them: US Pacific, mostly without an offset, with 0 to 9 fraction digits,
 * or a date alone; by the tz database (base/zone.h). A time in November's repeated hour is the first of the
 * two, one in March's missing hour the instant of the change; whoever polls by such times lets the windows
 * overlap by more than an hour. */
#ifndef SERVICES_PACIFIC_H
#define SERVICES_PACIFIC_H

#include "base/arena.h"
#include "base/instant.h"

/* An offset in the text counts; without one the time is Pacific. Whole or not at all; false as well where the
 * machine has no tz database. */
bool pacific_parse(struct str s, struct instant *out);
/* "2026-03-02 09:15:00", as queries want it; cut to seconds. No value when memory is out, or the tz database
 * is not there. */
struct str pacific_format(struct arena *mem, struct instant t);

#endif
