/* The first sheet of an XLSX workbook, read whole into rows of text. What a stranger sends is bounded:
 * entries, bytes after inflating, how far they inflate, shared strings, rows, cells. A workbook with macros
 * is refused; a formula and a date are told cell by cell, for nobody can say what was meant. Numbers come as
 * they would be typed, without exponents, and with the leading zeros that a format of zeros shows. */
#ifndef BASE_XLSX_H
#define BASE_XLSX_H

#include "base/str.h"

struct xlsx_row {
    int64_t number; /* as the spreadsheet counts, from 1 */
    struct str *cells;
    const char **problems; /* one a cell, NULL where there is none */
    size_t n;
};

/* NULL, or what is wrong with the file, for people. rows and their texts live in mem. */
const char *xlsx_read(struct arena *mem, struct bytes file, struct xlsx_row **rows, size_t *n);

#endif
