/* CSV: rows stand in the file one behind the other and together are all of it, every row makes progress, a
 * row without a problem is UTF-8, and what is written is read back as it was. */
#include "base/arena.h"
#include "base/charset.h"
#include "base/csv.h"

#include <stdlib.h>

#include "base/banned.h"

static void check_round_trip(struct arena *mem, const struct csv_row *row) {
    struct buf b = buf_new(mem, 1 << 22);
    struct csv_row back;
    buf_add(&b, S("sep=,\n"));
    for (size_t i = 0; i < row->n; i++) {
        if (i > 0)
            buf_byte(&b, ',');
        csv_put(&b, row->cells[i], true);
    }
    struct csv *again = csv_over(mem, buf_str(&b));
    if (b.failed || !again || row->n == 0 || (row->n == 1 && row->cells[0].n == 0))
        return;
    if (!csv_next(again, &back) || back.problem || back.n != row->n)
        abort();
    for (size_t i = 0; i < row->n; i++)
        if (!str_eq(csv_plain(back.cells[i]), csv_plain(row->cells[i])))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena *mem = arena_new(64 << 20);
    struct str text;
    const char *encoding;
    if (!mem || size > 50000)
        abort();
    if (charset_to_utf8(mem, (struct bytes){data, size}, &text, &encoding)) {
        if (!str_utf8_valid(text))
            abort();
        struct csv *c = csv_over(mem, text);
        struct csv_row row;
        if (!c)
            abort();
        struct csv_place before = csv_at(c);
        for (; csv_next(c, &row); before = csv_at(c)) {
            struct csv_place after = csv_at(c);
            if (after.offset <= before.offset || row.raw.p != text.p + before.offset || row.n == 0 ||
                row.at.number != before.number || after.number != before.number + 1)
                abort();
            if (!row.problem)
                check_round_trip(mem, &row);
        }
        if (before.offset != (int64_t)text.n || csv_error(c))
            abort();
    }
    arena_free(mem);
    return 0;
}
