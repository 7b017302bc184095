/* Errors: what can fail returns enum err, OK is 0; the detail stands in the context. Library layers report
 * through fail() and never log; the edge (the router, a job's end, a command) logs once. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/str.h"

struct ctx;

enum err {
    OK = 0,
#define ERR(name, code, status, retry, exit, doc) name,
#include "base/err.def"
#undef ERR
    ERR_COUNT
};

enum retry { RETRY, PERMANENT };

struct err_info {
    const char *name, *code, *doc;
    int status, exit;
    enum retry retry;
};
const struct err_info *err_info(enum err e); /* e is an error, not OK */

/* One thing that is wrong with one field: "items[0].quantity", "must be at least 1". */
struct problem {
    struct str field, problem;
};

/* What went wrong in this context, told to the caller (message, problems) and to the log (cause). */
struct fault {
    enum err code;
    struct str message, cause;
    struct problem *problems;
    size_t n, cap;
};

#define PROBLEMS_MAX 50 /* past these only the message says that there are more */

/* Sets the fault and returns its code: `return fail(cx, ERR_NOT_FOUND, "No item has the SKU %.*s.", …)`. */
enum err fail(struct ctx *cx, enum err code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Sets the code and adds a cause for the log, not for the caller, who gets the message of the same code that
 * stands already or else what the code means. */
enum err fail_cause(struct ctx *cx, enum err code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds a problem with a field; sets ERR_INVALID if nothing is set yet. Returns ERR_INVALID. */
enum err fail_field(struct ctx *cx, struct str field, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void fault_clear(struct ctx *cx);

#define MUST_USE __attribute__((warn_unused_result))

#endif
