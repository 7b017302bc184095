#include "identity/slug.h"

#include "base/banned.h"

struct str slug_make(struct arena *mem, struct str name) {
    struct buf b = buf_new(mem, SLUG_MAX);
    bool gap = false;
    for (size_t i = 0; i < name.n && b.n + 2 <= SLUG_MAX; i++) {
        char c = name.p[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c + ('a' - 'A'));
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9')) {
            gap = b.n > 0;
            continue;
        }
        if (gap)
            buf_byte(&b, '-');
        gap = false;
        buf_byte(&b, c);
    }
    if (b.failed)
        return (struct str){0};
    return b.n ? buf_str(&b) : S("organisation");
}
