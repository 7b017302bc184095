/* CSV as it really is, read from memory row by row: RFC 4180 with any of four delimiters, any line ends, line
 * breaks inside quotes. What cannot be read right is told row by row and nothing is swallowed: a quote that
 * is never closed ends with its line. Small and plain, for files of some megabytes. */
#ifndef BASE_CSV_H
#define BASE_CSV_H

#include "base/str.h"

#define CSV_CELLS_MAX 256
#define CSV_CELL_MAX 65536

struct csv {
    struct arena *mem; /* for cells whose quotes must be taken out */
    const char *p, *end;
    char delimiter;
    int64_t row; /* of the last one read, from 1; empty lines count as they do in a spreadsheet */
};

struct csv_row {
    int64_t number;
    struct str raw; /* as it stands in the file, without its line end */
    struct str cells[CSV_CELLS_MAX];
    size_t n;
    const char *problem; /* why its cells are not to be trusted; NULL when they are */
};

/* text is UTF-8 without byte order mark. The delimiter is the one that the first line uses most; a first line
 * `sep=;` names it and is skipped. */
void csv_begin(struct csv *c, struct arena *mem, struct str text);
bool csv_next(struct csv *c, struct csv_row *row); /* false at the end */
/* One cell as it is written: quoted where it must be; with safe, what a spreadsheet would take for a formula
 * gets an apostrophe in front, which csv_plain takes away again. */
void csv_put(struct buf *b, struct str cell, bool safe);
struct str csv_plain(struct str cell);

#endif
