/* A connection apart from the pool, for the one thread that watches the database: it waits for no reader. */
#include "db/state.h"

#include <assert.h>

#include "base/banned.h"

static void drop(struct db *db) {
    if (db->watch)
        db->driver->close(db->watch);
    db->watch = NULL;
}

static enum err reach(struct ctx *cx, struct db *db) {
    char problem[sizeof(db->watch->problem)] = "no memory";
    if (db->watch && !db->driver->alive(db->watch))
        drop(db);
    if (db->watch)
        return OK;
    enum err e = db->driver->open(db->place, CONN_READ, &db->watch, problem);
    return e ? fail_cause(cx, e, "%s", problem) : OK;
}

enum err db_watch_begin(struct ctx *cx) {
    struct db *db = cx->database;
    struct instant now;
    assert(!cx->db);
    enum err e = reach(cx, db);
    if (e)
        return e;
    if ((e = db->driver->time(db->watch, &now)) || (e = db->driver->begin(db->watch))) {
        (void)conn_report(cx, db->watch, e);
        drop(db);
        return e;
    }
    if (db->driver->shared)
        time_set(db, now);
    cx->db = db->watch;
    return OK;
}

void db_watch_end(struct ctx *cx) {
    struct db *db = cx->database;
    if (!cx->db)
        return;
    cx->db = NULL;
    if (db->watch->failed || db->driver->commit(db->watch))
        db->driver->rollback(db->watch);
    if (db->watch->lost)
        drop(db);
}

void watch_done(struct db *db) { drop(db); }
