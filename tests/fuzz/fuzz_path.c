/* Request targets: splitting and decoding keeps its promises for any bytes. */
#include "net/path.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ctx cx = {.mem = arena_new(1 << 20)};
    struct str target = {(const char *)data, size}, path, query, name, value, segments[PATH_SEGMENTS_MAX];
    size_t n;
    enum err e;
    if (!cx.mem)
        return 0;
    target_cut(target, &path, &query);
    if (path_split(&cx, path, segments, &n) == OK)
        for (size_t i = 0; i < n; i++)
            assert(str_utf8_valid(segments[i]) &&
                   (segments[i].n == 0 || !memchr(segments[i].p, 0, segments[i].n)));
    while (query_next(&cx, &query, &name, &value, &e))
        assert(str_utf8_valid(name) && str_utf8_valid(value));
    arena_free(cx.mem);
    return 0;
}
