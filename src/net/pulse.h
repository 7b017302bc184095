/* The pulse: a thread that asks the database four times a second, on a connection of its own, whether it is
 * there, and on the way lets the modules look at what requests may know without asking it (module.refresh).
 * HTTP threads take what it has found and never wait for the database: not for health, not to find out who
 * asks, and not when the database is frozen rather than dead. */
#ifndef NET_PULSE_H
#define NET_PULSE_H

#include "base/module.h"
#include "db/db.h"

struct pulse;
/* cx gives database, clock, log and modules, which outlive it. Beats once before it returns; NULL when memory
 * or threads are out. */
struct pulse *pulse_start(const struct ctx *cx);
void pulse_stop(struct pulse *p);       /* takes NULL */
bool pulse_good(const struct pulse *p); /* the last beat was good, and none has been under way for long */

#endif
