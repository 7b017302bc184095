#include "base/csv_count.h"

#include "base/arena.h"

#include <errno.h>

#include "base/banned.h"

#define MEMORY (16 * CSV_ROW_MAX)

int csv_count(int fd, unsigned threads, struct csv_count *out) {
    struct arena *mem = arena_new(MEMORY);
    struct csv *c = mem ? csv_open(mem, fd) : NULL;
    struct csv_row row;
    (void)threads;
    *out = (struct csv_count){0};
    while (c && csv_next(c, &row)) {
        if (row.raw.n == 0)
            continue;
        if (out->columns == 0) {
            out->columns = row.n;
            continue;
        }
        out->rows++;
        if (row.problem && out->problems++ == 0) {
            out->first = row.at;
            out->problem = row.problem;
        }
    }
    if (c)
        out->dialect = csv_dialect(c);
    int e = c ? csv_error(c) : ENOMEM;
    arena_free(mem);
    return e;
}
