/* How many rows a CSV file has, on as many cores as it is worth, in constant memory. */
#ifndef BASE_CSV_COUNT_H
#define BASE_CSV_COUNT_H

#include "base/csv.h"

struct csv_count {
    int64_t rows; /* without empty lines and without the first row, the headings; those with problems too */
    int64_t problems;       /* rows that have one */
    struct csv_place first; /* the first of those, and what it is */
    const char *problem;
    size_t columns; /* headings */
    struct csv_dialect dialect;
};

/* 0, or errno of what failed. threads: 0: as many as there are cores, at most 4. */
int csv_count(int fd, unsigned threads, struct csv_count *out);

#endif
