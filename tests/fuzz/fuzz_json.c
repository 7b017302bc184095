/* The JSON reader, and decoding by a schema: what is read once is written, read again and written the same.
 */
#include "base/json.h"
#include "base/schema.h"

#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

struct part {
    struct str sku;
    int64_t quantity;
};
static const struct field part_fields[] = {
    FIELD(struct part, sku, CREATE | OUT | REQUIRED, "SKU.", .min = 1, .max = 20),
    FIELD(struct part, quantity, CREATE | OUT, "How many.", .min = -5, .max = 1000),
};
static const struct schema part_schema = SCHEMA(struct part, "part", part_fields);

struct thing {
    struct str s;
    bool b;
    int64_t i;
    struct optional_int o;
    struct bytes y;
    struct instant t;
    struct uuid u;
    struct money m;
    struct json j;
    struct list l;
};
static const struct field thing_fields[] = {
    FIELD(struct thing, s, CREATE | PATCH | OUT, "Text."),
    FIELD(struct thing, b, CREATE | PATCH | OUT, "Truth."),
    FIELD(struct thing, i, CREATE | PATCH | OUT, "Number."),
    FIELD(struct thing, o, CREATE | PATCH | OUT, "Perhaps a number."),
    FIELD(struct thing, y, CREATE | PATCH | OUT, "Bytes."),
    FIELD(struct thing, t, CREATE | PATCH | OUT, "Time."),
    FIELD(struct thing, u, CREATE | PATCH | OUT, "Identity."),
    FIELD(struct thing, m, CREATE | PATCH | OUT, "Money."),
    FIELD(struct thing, j, CREATE | PATCH | OUT, "Anything."),
    FIELD(struct thing, l, CREATE | PATCH | OUT, "Parts.", .max = 10, .of = &part_schema),
};
static const struct schema thing_schema = SCHEMA(struct thing, "thing", thing_fields);

static struct str encode(struct arena *mem, const struct thing *t) {
    struct buf b = buf_new(mem, 1 << 20);
    schema_encode(&thing_schema, OUT, t, &b);
    if (b.failed)
        abort();
    return buf_str(&b);
}

static void decode(struct ctx *cx, struct str text, enum use use, enum unknown unknown, bool well_formed) {
    struct thing first, second;
    fault_clear(cx);
    enum err e = schema_decode(cx, &thing_schema, use, unknown, text, &first, NULL);
    if (e == ERR_MEMORY)
        return;
    if (e != cx->fault.code || (e == ERR_MALFORMED) == well_formed || (e == ERR_INVALID && cx->fault.n == 0))
        abort();
    if (e)
        return;
    struct str once = encode(cx->mem, &first);
    if (schema_decode(cx, &thing_schema, OUT, REFUSE_UNKNOWN, once, &second, NULL) ||
        !str_eq(encode(cx->mem, &second), once))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena *mem = arena_new(16 << 20);
    struct ctx cx = {.mem = mem};
    struct str text = {(const char *)data, size}, raw;
    struct json_reader r;
    struct list rows;
    struct fault *faults;
    json_begin(&r, mem, text);
    bool good = json_skip(&r, &raw) && json_end(&r);
    if (good == (r.problem != NULL) || (good && !str_utf8_valid(raw)))
        abort();
    if (!r.out_of_memory) {
        decode(&cx, text, CREATE, REFUSE_UNKNOWN, good);
        decode(&cx, text, PATCH, IGNORE_UNKNOWN, good);
        fault_clear(&cx);
        enum err e = schema_decode_array(&cx, &thing_schema, CREATE, text, 5, &rows, &faults);
        if (e != ERR_MEMORY && (e == ERR_MALFORMED) == good)
            abort();
    }
    arena_free(mem);
    return 0;
}
