/* Merge: the files of a bucket become one, without duplicates. Rows are counted, mapped to the columns of the
 * output by the headings of their file, and deduplicated by key: of rows with one key the last in the order
 * of the files wins, and stands where it stood.
 *
 *   - Headings are the first row that names all required columns, within the first MERGE_HEADINGS_IN rows;
 * what stands above them is passed over and counted as preamble. Without such a row that file fails and the
 * others go on. A column that is not matched is passed over, one that is missing and not required is empty.
 *   - A row is rejected when CSV tells a problem with it (base/csv.h) or when it has not as many cells as
 * there are headings; empty cells behind the last heading do not count. Rows whose cells are all empty,
 * headings repeated further down and what keep refuses are skipped. Empty lines are no rows.
 *   - read = accepted + rejected + duplicates + skipped, for each file, each group and the total.
 *
 * Files are read twice, first for the keys, then to write, on as many cores as there are, and need not fit in
 * memory: of a row only a fingerprint of its key is kept (96 bits, keyed at random: that two keys of ten
 * million have one is less likely than 1 in 10^15), and past merge.memory those lie in a temporary file. At
 * the end there are two bits a row. The output is UTF-8 with line feeds; it appears whole (written as
 * OUT.part, synced, renamed) or not at all. What is the same in the input and in the order of files is the
 * same in the output, whatever the number of threads. */
#ifndef FEEDS_MERGE_H
#define FEEDS_MERGE_H

#include "base/csv.h"
#include "base/err.h"
#include "base/list.h"

#define MERGE_COLUMNS_MAX 1024
#define MERGE_KEYS_MAX 16
#define MERGE_HEADINGS_IN 20
#define MERGE_SCRATCH 256

struct merge_counts {
    int64_t read, accepted, rejected, duplicates, skipped;
};

struct merge_column {
    struct str name; /* as it is headed in the output */
    bool required;   /* a file without it fails */
};

struct merge_file {
    struct str path;
    /* What became of it: */
    struct str
        failed; /* why nothing of it was taken: "has no column headed order_id"; no value: it was read */
    struct merge_counts counts;
    int64_t preamble;    /* rows above the headings */
    struct list unknown; /* of struct str: headings that no column is called by */
    struct list absent;  /* of struct str: columns that no heading names */
    struct csv_dialect dialect;
};

struct merge_reject {
    const struct merge_file *file;
    struct csv_place at;
    struct str column;  /* the file's heading; empty when it is the row */
    struct str problem; /* "has a quote that is never closed" */
    struct str raw;     /* as in the file, in its encoding (of UTF-16 as UTF-8), without line end */
};

struct merge_group {
    struct str value;
    struct merge_counts counts;
};

struct merge {
    struct merge_file *files; /* in the order in which the last one wins */
    size_t n_files;
    const struct merge_column *columns; /* of the output, in order */
    size_t n_columns;
    size_t keys[MERGE_KEYS_MAX], n_keys; /* indexes of columns */
    bool full_keys;                      /* a row with an empty key cell is rejected */
    struct str out;                      /* a path; no value: nothing is written, all else is the same */
    /* Which column a heading means, spaces and byte order mark taken away; -1: none. Of several headings for
     * one column that with the least rank counts. NULL: the column's name, without regard to case. */
    int (*match)(void *arg, struct str heading, size_t *rank);
    /* Whether a row is in scope, by its cells in the order of columns. NULL: all are. Asked from several
     * threads, and for some rows twice: it answers by the cells alone. */
    bool (*keep)(void *arg, const struct str *cells);
    /* One spelling of a key cell, so that 7 and 07 are one number. NULL: without the spaces around. Also
     * asked from several threads. */
    struct str (*spell)(void *arg, size_t column, struct str cell, char scratch[MERGE_SCRATCH]);
    /* Each rejected row, once, in order, by one thread at a time. NULL: they are only counted. */
    enum err (*reject)(struct ctx *cx, void *arg, const struct merge_reject *reject);
    void *arg;
    bool grouped; /* counts by the value of one column are wanted; rows that do not have it: "" */
    size_t group;
    size_t memory;    /* for fingerprints; 0: 24 MiB */
    unsigned threads; /* 0: as many as there are cores and the input is worth, at most 4 */
    /* What became of all: */
    struct merge_counts counts;
    struct list groups; /* of struct merge_group, by value */
};

/* OK when at least one file was read, whatever the others; else, and where the output cannot be written, the
 * error, and there is no output. What it gives lives in cx->mem. */
MUST_USE enum err merge_run(struct ctx *cx, struct merge *m);

/* A heading as it is compared: spaces and a byte order mark taken away. */
struct str merge_heading(struct str cell);

#endif
