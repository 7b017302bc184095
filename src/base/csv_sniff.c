#include "base/csv_sniff.h"

#include "base/banned.h"

#define ROWS 64

static const char DELIMITERS[] = {',', ';', '\t', '|'};

struct score {
    size_t rows, width; /* how many rows have the width that most have */
};

static struct score score_of(struct str text, bool whole, char delimiter, struct csv_cells *cells) {
    size_t widths[ROWS], n = 0;
    struct score best = {0, 0};
    while (text.n > 0 && n < ROWS) {
        csv_cells_begin(cells);
        struct csv_record record = csv_record(text, whole, delimiter, cells);
        if (record.whole == 0)
            break;
        if (!cells->problem && cells->n > 1)
            widths[n++] = cells->n;
        text = str_sub(text, record.whole, text.n);
    }
    for (size_t i = 0; i < n; i++) {
        size_t rows = 0;
        for (size_t k = 0; k < n; k++)
            rows += widths[k] == widths[i];
        if (rows > best.rows || (rows == best.rows && widths[i] > best.width))
            best = (struct score){rows, widths[i]};
    }
    return best;
}

char csv_sniff_delimiter(struct str text, bool whole, struct csv_cells *cells) {
    struct score best = {0, 0};
    char delimiter = ',';
    whole = whole && text.n <= CSV_SNIFF_MAX;
    for (size_t i = 0; i < sizeof DELIMITERS; i++) {
        struct score s = score_of(str_sub(text, 0, CSV_SNIFF_MAX), whole, DELIMITERS[i], cells);
        if (s.rows > best.rows || (s.rows == best.rows && s.width > best.width)) {
            best = s;
            delimiter = DELIMITERS[i];
        }
    }
    csv_cells_begin(cells);
    return delimiter;
}

size_t csv_sniff_named(struct str text, char *delimiter) {
    if (text.n < 6 || !str_eq_nocase(str_sub(text, 0, 4), S("sep=")))
        return 0;
    char c = text.p[4];
    bool crlf = text.n > 6 && text.p[5] == '\r' && text.p[6] == '\n';
    if (c == '"' || c == '\n' || c == '\r' || c == 0 || (unsigned char)c >= 0x80 ||
        (text.p[5] != '\n' && text.p[5] != '\r'))
        return 0;
    *delimiter = c;
    return crlf ? 7 : 6;
}
