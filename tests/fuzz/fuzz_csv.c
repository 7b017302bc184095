/* CSV: every row makes progress, rows stand in the file one behind the other and together are all of it; what
 * is written is read back as it was. */
#include "base/arena.h"
#include "base/charset.h"
#include "base/csv.h"

#include <stdlib.h>

#include "base/banned.h"

static void check_round_trip(struct arena *mem, const struct csv_row *row) {
    struct buf b = buf_new(mem, 1 << 22);
    struct csv again;
    struct csv_row back;
    buf_add(&b, S("sep=,\n"));
    for (size_t i = 0; i < row->n; i++) {
        if (i > 0)
            buf_byte(&b, ',');
        csv_put(&b, row->cells[i], true);
    }
    csv_begin(&again, mem, buf_str(&b));
    if (b.failed || row->n == 0 || (row->n == 1 && row->cells[0].n == 0))
        return;
    if (!csv_next(&again, &back) || back.n != row->n)
        abort();
    for (size_t i = 0; i < row->n; i++)
        if (!str_eq(csv_plain(back.cells[i]), csv_plain(row->cells[i])))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena *mem = arena_new(64 << 20);
    struct csv_row *row = mem ? NEW(mem, struct csv_row) : NULL;
    struct str text;
    const char *encoding;
    struct csv c;
    if (!row || size > 50000)
        abort();
    if (charset_to_utf8(mem, (struct bytes){data, size}, &text, &encoding)) {
        if (!str_utf8_valid(text))
            abort();
        csv_begin(&c, mem, text);
        const char *last = c.p;
        for (int64_t number = c.row; csv_next(&c, row); number++) {
            if (c.p <= last || row->raw.p != last || row->number != number + 1 || row->n == 0)
                abort();
            last = c.p;
            if (!row->problem)
                check_round_trip(mem, row);
        }
        if (c.p != text.p + text.n)
            abort();
    }
    arena_free(mem);
    return 0;
}
