/* Which delimiter a text has: the one by which most of its first rows are equally wide, and wider than one
 * cell; among equals the one that makes them wider, and else a comma. A first line alone is easily fooled, by
 * a comment above the headings or by decimal commas. */
#ifndef BASE_CSV_SNIFF_H
#define BASE_CSV_SNIFF_H

#include "base/csv_record.h"

#define CSV_SNIFF_MAX 65536 /* bytes that are looked at */

/* whole: nothing follows text. cells is used and left empty. */
char csv_sniff_delimiter(struct str text, bool whole, struct csv_cells *cells);
/* A first line `sep=;`: gives the delimiter that it names, and its length with its line end; 0 if it is none.
 */
size_t csv_sniff_named(struct str text, char *delimiter);

#endif
