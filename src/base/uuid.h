/* UUIDv7 (RFC 9562): 48 bits of milliseconds, then random bits; a process hands them out in ascending order,
 * so that new rows go to the end of an index. */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include "base/instant.h"

struct uuid {
    uint8_t b[16];
};

struct uuid uuid_new(struct instant now); /* thread-safe */
/* From now on this thread's ids follow from the seed and from the instants that they are asked for, so that
 * what is made up (a demo company) comes out the same again; 0 ends it. */
void uuid_repeat(uint64_t seed);
struct uuid uuid_first(struct instant t); /* below every id of t's millisecond or later, above all before */
bool uuid_parse(struct str s, struct uuid *out); /* 36 characters, either case */
struct str uuid_format(struct uuid u, char buf[static 36]);
bool uuid_eq(struct uuid a, struct uuid b);
bool uuid_is_nil(struct uuid u);

#endif
