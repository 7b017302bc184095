/* Uploads of scans: a CSV or XLSX file is read whole and looked at row by row (what would it do?) before
 * anything happens; then it is applied in pieces, each in one transaction with the row it has come to, so
 * that every row counts once whatever breaks. Rows without a scan_id are named by the file's digest and their
 * number: the same file uploaded again finds its rows applied. Bad rows become exceptions.
 *
 * At any time, read = accepted + rejected + duplicate + those not yet applied. */
#ifndef CORE_UPLOAD_H
#define CORE_UPLOAD_H

#include "core/exception.h"
#include "net/multipart.h"

struct upload {
    struct uuid id;
    struct str name, format, encoding;
    int64_t size;
    struct str digest;
    struct json columns;  /* {"heading": "field"} of those that are read */
    struct json warnings; /* texts */
    struct str state;     /* reading, ready, applying, applied, failed */
    int64_t total_rows, to_create, to_receive, to_touch, to_repair, to_reject, to_skip; /* the preview */
    int64_t accepted, rejected, duplicate;                                              /* what came of it */
    struct instant created_at;
    struct str actor;
    struct instant applied_at;
    struct str applied_by;
    int64_t cursor_row;
    struct str ref_prefix; /* of its rows' names in the ledger, once it is applied */
    struct str problem;    /* why it failed */
    struct instant dropped_at;
    struct uuid same_as; /* an upload of the same bytes that was applied before */
};
extern const struct schema UPLOAD;
#define UPLOAD_COLUMNS                                                                                 \
    "id, name, format, encoding, size, digest, columns, warnings, state, total_rows, to_create, "      \
    "to_receive, to_touch, to_repair, to_reject, to_skip, accepted, rejected, duplicate, created_at, " \
    "actor, "                                                                                          \
    "applied_at, applied_by, cursor_row, ref_prefix, problem, dropped_at"

struct upload_row {
    struct uuid upload_id;
    int64_t row_number;
    struct str original; /* {"heading": "cell"} as it came */
    struct str scan;     /* what of it is read, as the JSON of a scan */
    struct str sku;
    struct optional_int quantity;
    struct str verdict; /* create, receive, touch, repair, rejected, duplicate */
    struct json problems;
    struct uuid exception_id; /* the row corrects this exception */
    struct str outcome;       /* accepted, rejected, duplicate; no value: not yet applied */
    struct uuid move_id;
};
extern const struct schema UPLOAD_ROW;
#define UPLOAD_ROW_COLUMNS                                                                             \
    "upload_id, row_number, original, scan, sku, quantity, verdict, problems, exception_id, outcome, " \
    "move_id"

/* Row by row out of a file. */
struct sheet;
struct sheet_row {
    int64_t number;
    const struct str *cells;
    size_t n;
    const char *problem;        /* of the row as a whole; NULL: none */
    const char **cell_problems; /* one a cell, NULL where there is none; NULL: none at all */
};
/* Tells by its content what it is. ERR_INVALID naming `file` with what is wrong with it. */
MUST_USE enum err sheet_open(struct ctx *cx, struct str content, struct sheet **out);
bool sheet_next(struct sheet *s, struct sheet_row *row);            /* empty rows are left out */
MUST_USE enum err sheet_end(struct ctx *cx, const struct sheet *s); /* whether that was the end of the file */
const char *sheet_format(const struct sheet *s);
const char *sheet_encoding(const struct sheet *s); /* NULL where there is none to tell */

/* Reads the file into the tables, with what each row would do. Not in a transaction. */
MUST_USE enum err upload_read(struct ctx *cx, const struct part *file, struct upload *out);
extern const struct stmt UPLOAD_READ_STMTS[];
#define UPLOAD_READ_STMTS_N 5

/* upload_sweep.c: what was not read to its end fails, what has been kept long enough loses its rows. */
extern const struct module UPLOAD_MODULE, UPLOAD_READ_MODULE, UPLOAD_SWEEP_MODULE;

#endif
