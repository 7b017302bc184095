/* Smartsheet's API 2.0: one page of a sheet; its webhooks are in smartsheet_hook.h. Ids are whole numbers
 * near 2^53. A cell without content has no value. Calls block, keep to SMARTSHEET_RATE, and after an answer
 * that says "too many" no other is made for a minute. */
#ifndef SERVICES_SMARTSHEET_H
#define SERVICES_SMARTSHEET_H

#include "services/http.h"

struct smartsheet_column {
    int64_t id;
    struct str title, type;
};
struct smartsheet_cell {
    int64_t column;
    struct json value; /* a string, number or boolean; no value: empty */
};
struct smartsheet_row {
    int64_t id;
    struct instant modified_at;
    struct list cells; /* of struct smartsheet_cell */
};
struct smartsheet_page {
    int64_t id;
    struct list columns; /* of struct smartsheet_column */
    struct list rows;    /* of struct smartsheet_row */
};

#define SMARTSHEET_PAGE 500 /* rows */

struct smartsheet_wish {
    int64_t sheet;
    struct str token;
    const int64_t *rows;  /* only these; NULL: all */
    size_t n_rows;        /* at most SMARTSHEET_PAGE */
    struct instant since; /* only rows changed at this time or later; 0: all */
    int64_t page;         /* from 1 */
};

/* ERR_RATE, ERR_UNAVAILABLE and what else of http_fetch; ERR_SERVICE when Smartsheet refuses for good. */
MUST_USE enum err smartsheet_page(struct ctx *cx, const struct job *job, const struct smartsheet_wish *wish,
                                  struct smartsheet_page *out);

/* One request of any kind; what is decoded by `of` has its CREATE fields. Errors as above. */
struct smartsheet_question {
    const char *method; /* NULL: GET */
    struct str path;    /* after the base URL: "/webhooks?includeAll=true" */
    struct str token, body;
    int64_t timeout_us; /* 0: as of http_fetch */
};
MUST_USE enum err smartsheet_ask(struct ctx *cx, const struct job *job, const struct smartsheet_question *q,
                                 const struct schema *of, void *out);

extern const struct module SMARTSHEET_MODULE;

#endif
