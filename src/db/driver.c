#include "db/driver.h"

#include <stdarg.h>
#include <unistd.h>

#include "base/banned.h"

enum err conn_fail(struct db_conn *c, enum err e, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(c->problem, sizeof(c->problem), fmt, args);
    va_end(args);
    c->failed = e;
    return e;
}

void conn_reset(struct db_conn *c) {
    c->failed = OK;
    c->gone = c->again = c->undecided = false;
}

enum err conn_report(struct ctx *cx, const struct db_conn *c, enum err e) {
    return fail_cause(cx, e, "%s", c->problem);
}

void die_unsynced(const char *what) {
    fprintf(stderr,
            "entrepot: the database could not be written to the disk (%s); stopping, to recover at the next"
            " start\n",
            what);
    _exit(1);
}
