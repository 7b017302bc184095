/* CSV as it really is, row by row, in memory that does not grow with the file.
 *
 * A file is read in pieces into a window; rows are slices of it. Any line ends (LF, CRLF, a lone CR), line
 * breaks inside quotes, the delimiters , ; tab | found by themselves or named by a first line `sep=;`, UTF-8
 * with and without byte order mark, UTF-16 of both orders, and rows in Windows-1252 are read. Every row is
 * either given right or given with its problem; nothing is swallowed:
 *
 *   - a quote inside a cell that does not begin with one is a character: 12" monitor;
 *   - a quoted cell ends with a quote that a delimiter or a line end follows, spaces between them allowed;
 *     a cell that does not end so within CSV_ROW_MAX bytes is a problem of the line it begins in, and reading
 *     goes on with the next line;
 *   - rows of more than CSV_ROW_MAX bytes or CSV_CELLS_MAX cells, NUL characters and bytes that are neither
 *     UTF-8 nor, by the whole row, Windows-1252, are problems.
 *
 * How wide a row should be is for the caller to judge. The same bytes give the same rows however they are cut
 * into pieces and whichever instructions the processor has (csv_index.h). */
#ifndef BASE_CSV_H
#define BASE_CSV_H

#include "base/str.h"

#define CSV_CELLS_MAX 16384
#define CSV_ROW_MAX ((size_t)16 << 20)
#define CSV_EXCERPT 65536 /* of a row longer than CSV_ROW_MAX raw has so much */

enum csv_charset { CSV_UTF8, CSV_UTF8_MARKED, CSV_UTF16LE, CSV_UTF16BE };
struct csv_dialect {
    char delimiter;
    enum csv_charset charset;
};

/* Where a row begins. */
struct csv_place {
    int64_t offset; /* bytes from the beginning of the file, in the file's own encoding */
    int64_t line;   /* from 1, as a text editor counts */
    int64_t number; /* of the row, from 1, empty ones too, as a spreadsheet counts */
};

struct csv_row {
    struct csv_place at;
    struct str raw; /* as it stands in the file, without its line end; of UTF-16 as UTF-8 */
    const struct str *cells;
    size_t n;            /* an empty line is one empty cell */
    const char *problem; /* why its cells are not to be trusted: "has a NUL character"; NULL when they are */
    size_t column;       /* the cell that it is about, from 1; 0: the row */
    bool exact;          /* raw is RFC 4180 in UTF-8: written as it stands it means the same */
};

struct csv;

/* A reader lives in mem, and so does what it reads into: at most 4 * CSV_ROW_MAX, usually 1 MiB. NULL when
 * memory is out. The descriptor stays the caller's and is read with pread from its beginning. */
struct csv *csv_open(struct arena *mem, int fd);
/* Over UTF-8 text without byte order mark that outlives it. */
struct csv *csv_over(struct arena *mem, struct str text);
/* The rows of a file from a place where a row begins up to the offset to, as if it ended there. */
struct csv *csv_part(struct arena *mem, int fd, struct csv_dialect dialect, struct csv_place from,
                     int64_t to);

/* False at the end, and when reading fails. What row refers to holds until the next call. */
bool csv_next(struct csv *c, struct csv_row *row);
int csv_error(const struct csv *c);           /* errno of what failed; 0 at the end of the file */
struct csv_place csv_at(const struct csv *c); /* where the next row begins */
struct csv_dialect csv_dialect(const struct csv *c);

/* One cell as it is written: quoted where it must be; with safe, what a spreadsheet would take for a formula
 * gets an apostrophe in front, which csv_plain takes away again. */
void csv_put(struct buf *b, struct str cell, bool safe);
struct str csv_plain(struct str cell);

#endif
