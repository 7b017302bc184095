/* Cutting one file into stretches that are read at the same time. Whether a byte in its middle stands inside
 * a quoted cell is known only to who has read all before it, so where a row begins is guessed by how the rows
 * from there on look, and verified later by the reader of the stretch before, who finds out where it really
 * ends. */
#ifndef BASE_CSV_SPLIT_H
#define BASE_CSV_SPLIT_H

#include "base/csv.h"

/* Where, at from or behind it, a row probably begins; to when that cannot be said. width: how many cells rows
 * have, 0: unknown. */
int64_t csv_guess(struct arena *mem, int fd, struct csv_dialect dialect, int64_t from, int64_t to,
                  size_t width);

#endif
