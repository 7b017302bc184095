/* Cron expressions: any text is read or refused with a reason; what is read comes at minutes, ever later. */
#include "jobs/cron.h"

#include <stdlib.h>

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *problem = NULL;
    struct cron c;
    struct arena *mem = arena_new(1 << 20);
    struct ctx cx = {.mem = mem};
    const struct zone *utc;
    struct instant at = {INT64_C(1767225600) * US_PER_S}, next;
    if (!cron_parse((struct str){(const char *)data, size}, &c, &problem)) {
        if (!problem)
            abort();
        arena_free(mem);
        return 0;
    }
    if (zone_load(&cx, mem, S("UTC"), &utc))
        abort();
    for (int i = 0; i < 3 && (next = cron_next(&c, utc, at)).us; i++, at = next)
        if (next.us <= at.us || next.us % (60 * US_PER_S))
            abort();
    arena_free(mem);
    return 0;
}
