/* One record of CSV by the rules of csv.h, byte by byte: the reference that the fast path (csv_index.h) must
 * agree with, and what reads a record that is not plain RFC 4180. */
#ifndef BASE_CSV_RECORD_H
#define BASE_CSV_RECORD_H

#include "base/str.h"

/* Cells of a row, and room for those that do not stand in the text as they are; both are reused. */
struct csv_cells {
    struct arena *mem;
    struct str *at;
    size_t n, cap;
    char *scratch;
    size_t used, room;
    const char *problem;
    size_t column;
};

struct csv_record {
    size_t raw;    /* its length without line end */
    size_t whole;  /* with it; 0: more text is needed */
    int64_t lines; /* line ends in it, its own too */
    bool exact;
};

void csv_cells_begin(struct csv_cells *cells); /* makes them empty */
void csv_cells_add(struct csv_cells *cells, struct str cell);
void csv_cells_problem(struct csv_cells *cells, const char *problem); /* of the cell added next; first wins */
char *csv_cells_room(struct csv_cells *cells, size_t n); /* valid until begin; NULL when memory is out */
/* The inside of a quoted cell with doubled quotes made single. */
struct str csv_cells_unquote(struct csv_cells *cells, struct str inside);

/* The record that begins at text, which is not empty. With final nothing follows text, or nothing of it
 * counts. Gives whole = 0 without final where the record may go on behind text. */
struct csv_record csv_record(struct str text, bool final, char delimiter, struct csv_cells *cells);

#endif
