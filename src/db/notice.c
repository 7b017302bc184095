/* What follows a commit: the hook of this process, and, where the database has other processes, a word to
 * them and a thread that listens for theirs. */
#include "db/state.h"

#include "base/instant.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/banned.h"

#define ALL_FLAGS (~0u)
#define RETRY_MS 500

static void call_hook(struct db *db, unsigned after) {
    pthread_mutex_lock(&db->hook_lock);
    if (db->hook)
        db->hook(db->hook_arg, after);
    pthread_mutex_unlock(&db->hook_lock);
}

void notice_tell(struct db *db, struct db_conn *c, unsigned after) {
    char text[48];
    call_hook(db, after);
    if (!db->driver->announce || !c || c->lost)
        return;
    int n = snprintf(text, sizeof(text), "%lu/%u", db->identity, after);
    db->driver->announce(c, (struct str){text, (size_t)n});
}

/* Without a payload: it listens from now on, and everything may have happened before. */
static void heard(void *arg, struct str payload) {
    struct db *db = arg;
    if (!payload.p) {
        call_hook(db, ALL_FLAGS);
        return;
    }
    char mine[24];
    int n = snprintf(mine, sizeof(mine), "%lu", db->identity);
    struct str from, flags;
    int64_t after;
    if (str_cut(payload, '/', &from, &flags) && !str_eq(from, (struct str){mine, (size_t)n}) &&
        str_int(flags, &after))
        call_hook(db, (unsigned)after);
}

static bool stopped(struct db *db, int wait_ms) {
    struct pollfd p = {.fd = db->listener_stop, .events = POLLIN};
    return poll(&p, 1, wait_ms) > 0;
}

static void *listen_thread(void *arg) {
    struct db *db = arg;
    char problem[sizeof(((struct db_conn *)0)->problem)];
    while (!stopped(db, 0)) {
        struct db_conn *c;
        if (db->driver->open(db->place, CONN_READ, &c, problem) == OK) {
            (void)db->driver->listen(c, db->listener_stop, heard, db);
            db->driver->close(c);
        }
        if (stopped(db, RETRY_MS))
            break;
    }
    return NULL;
}

void db_on_commit(struct db *db, void (*hook)(void *arg, unsigned after), void *arg) {
    pthread_mutex_lock(&db->hook_lock);
    db->hook = hook;
    db->hook_arg = arg;
    bool start = hook && db->driver->listen && !db->listening;
    if (start && (db->listener_stop = eventfd(0, EFD_CLOEXEC)) >= 0)
        db->listening = pthread_create(&db->listener, NULL, listen_thread, db) == 0;
    pthread_mutex_unlock(&db->hook_lock);
}

void notice_done(struct db *db) {
    if (db->listening) {
        uint64_t one = 1;
        while (write(db->listener_stop, &one, sizeof(one)) < 0)
            continue;
        pthread_join(db->listener, NULL);
    }
    if (db->listener_stop >= 0)
        close(db->listener_stop);
}
