/* Rate limits: a bucket per key (a token's hash, an address) in a table of fixed size, so that inventing keys
 * costs the server nothing; when its set is full, the bucket that is nearest to full again is forgotten.
 * Thread-safe. */
#ifndef NET_LIMIT_H
#define NET_LIMIT_H

#include "base/settings.h"

struct limiter;
struct limiter *limiter_new(struct rate rate); /* NULL when memory is out */
void limiter_free(struct limiter *l);
/* Takes one from the key's bucket; rate.count may be taken at once, then one each period/count. 0, or how
 * many microseconds until there is one again; then nothing was taken. now is clock_steady(). Rate 0 always
 * gives 0. */
int64_t limiter_take(struct limiter *l, struct str key, int64_t now);

#endif
