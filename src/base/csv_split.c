#include "base/csv_split.h"

#include "base/arena.h"
#include "base/csv_record.h"

#include <unistd.h>

#include "base/banned.h"

#define LOOK ((size_t)64 << 10)
#define CANDIDATES 200
#define ROWS 16

/* The next rows are plain and equally wide. */
static bool looks_right(struct str text, char delimiter, size_t width, struct csv_cells *cells) {
    size_t n = 0;
    for (; n < ROWS && text.n > 0; n++) {
        csv_cells_begin(cells);
        struct csv_record record = csv_record(text, false, delimiter, cells);
        if (record.whole == 0)
            break;
        if (n == 0 && width == 0)
            width = cells->n;
        if (!record.exact || cells->n != width)
            return false;
        text = str_sub(text, record.whole, text.n);
    }
    return n > 0;
}

int64_t csv_guess(struct arena *mem, int fd, struct csv_dialect dialect, int64_t from, int64_t to,
                  size_t width) {
    char *window = arena_alloc(mem, LOOK);
    struct csv_cells cells = {.mem = mem};
    size_t most = to - from < (int64_t)LOOK ? (size_t)(to - from) : LOOK, tried = 0;
    ssize_t n = window && dialect.charset < CSV_UTF16LE ? pread(fd, window, most, from) : 0;
    int64_t first = to;
    /* A line end at the very end might be the first half of a CRLF. */
    for (size_t i = 0; n > 1 && i < (size_t)n - 1 && tried < CANDIDATES; i++) {
        if (window[i] != '\n' && (window[i] != '\r' || window[i + 1] == '\n'))
            continue;
        struct str rest = {window + i + 1, (size_t)n - i - 1};
        if (looks_right(rest, dialect.delimiter, width, &cells))
            return from + (int64_t)i + 1;
        if (tried++ == 0)
            first = from + (int64_t)i + 1;
    }
    return first;
}
