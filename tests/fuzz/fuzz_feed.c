/* Feed files: whatever comes ends in a feed that holds together, or in a sentence that names the file. */
#include "feeds/feed.h"

#include <stdlib.h>

#include "base/banned.h"

static void check(struct arena *mem, const struct feed *f) {
    size_t rank;
    if (f->columns.n == 0 || f->n_keys == 0 || f->patterns.n == 0)
        abort();
    for (size_t i = 0; i < f->columns.n; i++) {
        const struct list *headers = &feed_column(f, i)->headers;
        for (size_t k = 0; k < headers->n; k++)
            if (feed_header(f, ((const struct str *)headers->items)[k], &rank) != (int)i || rank != k)
                abort();
    }
    for (size_t i = 0; i < f->n_keys; i++)
        if (!feed_column(f, f->keys[i])->key)
            abort();
    if (f->source.kind == FEED_FROM_HTTP) {
        struct feed_values v = {.store_code = S("S1/.."), .day = 20777, .bucket = f->name, .org = S("o")};
        struct str path = feed_expand(mem, f->source.path, &v, true);
        if (path.p && (!str_starts(path, S("/")) || str_starts(path, S("//"))))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena *mem = arena_new(64 << 20);
    struct ctx cx = {.mem = mem};
    struct feed f;
    if (!mem)
        abort();
    enum err e = feed_parse(&cx, S("fuzz.yaml"), (struct str){(const char *)data, size}, &f);
    if (!e)
        check(mem, &f);
    else if (e != ERR_MEMORY && !(e == ERR_USAGE && str_starts(cx.fault.message, S("fuzz.yaml"))))
        abort();
    arena_free(mem);
    return 0;
}
