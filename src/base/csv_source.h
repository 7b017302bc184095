/* Where the text of a CSV reader comes from: pieces of a file, brought from UTF-16 to UTF-8. */
#ifndef BASE_CSV_SOURCE_H
#define BASE_CSV_SOURCE_H

#include "base/csv.h"

struct csv_source {
    int fd;
    int64_t next, end; /* offsets of the next piece and of the last */
    enum csv_charset charset;
    unsigned char *units; /* UTF-16 as it was read */
    size_t n_units;       /* bytes of it, of half a character, that wait for the rest */
    int error;
};

bool csv_source_init(struct csv_source *s, struct arena *mem, int fd, int64_t from, int64_t to);
/* Knows the charset by the first bytes and skips a byte order mark; gives its length. */
size_t csv_source_sniff(struct csv_source *s);
/* Up to room bytes of text; 0 at the end, and where reading fails, which sets error. room is at least 64. */
size_t csv_source_read(struct csv_source *s, char *to, size_t room);
/* How many bytes text is long in the file. */
int64_t csv_source_length(const struct csv_source *s, struct str text);

#endif
