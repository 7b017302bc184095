/* Workbooks: whatever comes ends in rows of texts, or in a sentence about what is wrong. */
#include "base/arena.h"
#include "base/xlsx.h"

#include <stdlib.h>

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena *mem = arena_new(32 << 20);
    struct xlsx_row *rows = NULL;
    size_t n = 0;
    if (!mem)
        abort();
    if (!xlsx_read(mem, (struct bytes){data, size}, &rows, &n))
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < rows[i].n; k++)
                if (!rows[i].cells[k].p || !str_utf8_valid(rows[i].cells[k]) ||
                    (i > 0 && rows[i].number <= rows[i - 1].number))
                    abort();
    arena_free(mem);
    return 0;
}
