/* Throttle of log-ins: how many failures an account and an address may have within a quarter of an hour. An
 * attempt counts when it begins, so that many at once do not slip through, and is given back when it
 * succeeds. Kept in this process, in a bounded table that forgets the least guilty first. Thread-safe. */
#ifndef IDENTITY_THROTTLE_H
#define IDENTITY_THROTTLE_H

#include "base/str.h"

#define THROTTLE_WINDOW_US (15 * 60 * INT64_C(1000000))

enum throttle_by { BY_ACCOUNT, BY_ADDRESS, THROTTLES };

struct throttle;
struct throttle *throttle_new(void); /* NULL when memory is out */
void throttle_free(struct throttle *t);
/* An attempt at steady (clock_steady). 0 when it may go on, else the microseconds to wait. An IPv6 address
 * counts with all of its /64. */
int64_t throttle_take(struct throttle *t, enum throttle_by by, struct str who, int64_t steady);
/* The attempt was good: an account starts again at none, an address has one less. */
void throttle_give_back(struct throttle *t, enum throttle_by by, struct str who, int64_t steady);

#endif
