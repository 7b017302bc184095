/* Forms: whatever comes, parts lie inside the body; the first line of the input is the Content-Type. */
#include "net/multipart.h"

#include <stdlib.h>

#include "base/banned.h"

static void inside(struct str outer, struct str s) {
    if (s.p && (s.p < outer.p || s.p + s.n > outer.p + outer.n))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str all = {(const char *)data, size}, type = all, body = {0};
    struct part parts[PARTS_MAX];
    size_t n = 0;
    if (!str_cut(all, '\n', &type, &body))
        return 0;
    struct str boundary = multipart_boundary(type);
    inside(type, boundary);
    if (!boundary.p || multipart_read(boundary, body, parts, &n))
        return 0;
    if (n > PARTS_MAX)
        abort();
    for (size_t i = 0; i < n; i++) {
        inside(body, parts[i].name);
        inside(body, parts[i].file_name);
        inside(body, parts[i].content);
    }
    return 0;
}
