/* Times: what is read can be written and read again, as the same moment. */
#include "base/instant.h"

#include <stdlib.h>

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct instant t, again;
    char buf[32];
    if (!instant_parse((struct str){(const char *)data, size}, &t))
        return 0;
    if (t.us < 0 || !instant_parse(instant_format(t, buf), &again) || again.us != t.us)
        abort();
    return 0;
}
