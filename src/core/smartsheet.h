/* Scans from Smartsheet: `POST /webhooks/smartsheet/scan`. Three things come there:
 *
 *   direct     one scan in the body, signed by whoever has the secret; source `smartsheet`
 *   callback   Smartsheet says which rows of a sheet changed, never what is in them; source
 * `smartsheet.callback`. The job `smartsheet.fetch` gets the rows, and each becomes a delivery of source
 * `smartsheet.row` challenge  Smartsheet wants to hear its own word back before it sends callbacks
 *
 * What callbacks missed, the job `smartsheet_sync` makes good: it asks for all rows changed since it last
 * did.
 *
 * A row of a sheet is one scan, whatever is done to it afterwards: its first good content counts. A row that
 * was not good is looked at again when it changes; one that counted and then says something else becomes an
 * exception for a person; one that is deleted takes nothing back. */
#ifndef CORE_SMARTSHEET_H
#define CORE_SMARTSHEET_H

#include "core/inbox.h"
#include "services/smartsheet.h"

/* A cell as it is kept: by its column's title, with the column's type. */
struct kept_cell {
    struct str title, type;
    struct json value;
};
struct kept_row {
    int64_t sheet, row;
    struct instant modified_at;
    struct list cells; /* of struct kept_cell; only those whose column means something here */
};
extern const struct schema KEPT_ROW;

/* The row with the cells that have a meaning and a value; none: the row is empty, as far as this is
 * concerned. */
MUST_USE enum err kept_row_make(struct ctx *cx, const struct smartsheet_page *page,
                                const struct smartsheet_row *row, struct kept_row *out);
/* As the JSON object of a scan. ERR_INVALID: a column's type cannot hold what it should, or two columns mean
 * the same; text is what could be read. */
MUST_USE enum err kept_row_scan(struct ctx *cx, const struct kept_row *row, struct str *text);

struct sheet_event {
    struct str object, event;
    int64_t id;
    struct optional_int row, row_lower; /* both spellings have been seen */
};
struct callback {
    struct str nonce, status;
    int64_t sheet;
    struct list events; /* of struct sheet_event */
};
extern const struct schema CALLBACK;

/* In the transaction of inbox.apply: what a callback leads to. */
MUST_USE enum err callback_apply(struct ctx *cx, struct delivery *const *deliveries, size_t n);
/* Members of a JSON object that a scan has; others are left out. ERR_MALFORMED. */
MUST_USE enum err scan_members(struct ctx *cx, struct str body, struct str *text);

/* In a transaction, of the organisation's own settings: the sheets of one kind, "scan=123" is 123; its token,
 * ERR_USAGE where none is set. */
MUST_USE enum err smartsheet_sheets(struct ctx *cx, const char *kind, int64_t **out, size_t *n);
MUST_USE enum err smartsheet_token(struct ctx *cx, struct str *out);

extern const struct module SMARTSHEET_SCAN_MODULE;  /* the webhook, in smartsheet_hook.c */
extern const struct module SMARTSHEET_FETCH_MODULE; /* the jobs, in smartsheet_fetch.c */

#endif
