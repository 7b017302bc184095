/* The pulse: asks the database once a second on a thread of its own whether it is there, so that the health
 * answer never waits for one that is not. */
#ifndef NET_PULSE_H
#define NET_PULSE_H

#include "db/db.h"

struct pulse;
struct pulse *
pulse_start(struct db *db);       /* asks once before it returns; NULL when memory or threads are out */
void pulse_stop(struct pulse *p); /* takes NULL */
bool pulse_good(struct pulse *p); /* the last question was answered well, and not long ago */

#endif
