/* TZif files: any bytes are a time zone or none, and one that is has spans without gaps between them. */
#include "base/zone.h"

#include <stdlib.h>

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena *mem = arena_new(8 << 20);
    const struct zone *z = zone_parse(mem, (struct bytes){data, size});
    int64_t at = INT64_C(1700000000);
    for (int i = 0; z && i < 50; i++) {
        struct zone_span span = zone_span(z, at);
        if (span.start > at || span.end <= at)
            abort();
        (void)zone_instant(z, at);
        if (span.end == INT64_MAX)
            break;
        at = span.end;
    }
    arena_free(mem);
    return 0;
}
