/* Sources: how one store's file of one feed comes here. HTTP(S) by a server that FEEDS_SOURCES names, with a
 * log-in by form whose session is kept for the run; or a folder of this machine. (An S3 prefix and a mailbox
 * become two more kinds.)
 *
 * Over HTTP a file is written as NAME.part, beside it NAME.tag with the validator of what it is the beginning
 * of; when it is whole it is synced and renamed. What is cut off, now or in a process that died, is gone on
 * with by Range and If-Range where the server gave a strong ETag or a time, else begun again. Tried again,
 * with growing pauses and chance in them, is what may pass: no answer, 408, 429, 5xx; Retry-After is heeded.
 * Not tried again: other statuses, another type than CSV, too large, an address that is not public. A log-in
 * page in place of CSV, 401 and 403 lead to a new log-in, twice at most.
 *
 * Everything here blocks and is called outside transactions. */
#ifndef FEEDS_SOURCE_H
#define FEEDS_SOURCE_H

#include "feeds/feed.h"
#include "feeds/store.h"
#include "jobs/jobs.h"

/* The sessions of a run, by server and store; any thread. NULL when memory is out. */
struct sessions;
struct sessions *sessions_new(void);
void sessions_free(struct sessions *s);

/* Where a feed's server is and how to log in, of one organisation: from FEEDS_SOURCES ("[org:]name=URL") and
 * FEEDS_LOGINS ("[org:]name=user:password"). */
struct feed_server {
    struct str url; /* without a / at its end */
    struct str user, password;
};
/* Opens a read transaction of its own. ERR_USAGE with what to set when the organisation has no such server.
 */
MUST_USE enum err feed_server_of(struct ctx *cx, const struct feed *f, struct feed_server *out);

struct feed_wish {
    const struct feed *feed;
    const struct feed_server *server; /* of an HTTP source */
    struct str store_code, org;       /* org: the slug */
    int64_t day;                      /* days since 1970-01-01 */
    struct str folder;                /* where files go; there already */
    struct sessions *sessions;
    const struct job *job; /* NULL: none */
};

/* What came of one wish. Its strings live in the memory that the function was given. */
struct fetched {
    struct str store_code;
    struct list paths; /* of struct str; several from a folder */
    bool ours;         /* they lie in the wish's folder: made by us, to be removed by us */
    int64_t bytes, attempts, logins;
    bool resumed, kept; /* gone on with after a cut; it was there already, nothing was fetched */
    enum err outcome;
    struct str problem; /* for people, when outcome is not OK */
};
/* The outcome as it is in out; out->problem has no secret in it. */
enum err feed_fetch(struct ctx *cx, const struct feed_wish *wish, struct fetched *out);

/* All stores of one feed, as many at a time as its source says; out gets stores->n results in the order of
 * the stores (one result, of no store, for a folder that is not the stores' own). A store that fails stops no
 * other. told, if set, is called after each, one at a time, on any thread. ERR_MEMORY, ERR_UNAVAILABLE for a
 * feed without a source; what became of the stores stands in their results. */
typedef void fetched_fn(void *arg, const struct fetched *f, size_t done, size_t all);
MUST_USE enum err feed_download(struct ctx *cx, const struct feed_wish *wish, const struct list *stores,
                                struct fetched *out, fetched_fn *told, void *arg);

/* Files of a folder at any depth whose names a feed (or, with feed NULL, any) has patterns for, by path.
 * Links to folders are not followed. ERR_USAGE when it cannot be read. */
struct found_file {
    const struct feed *feed;
    struct str path;
};
MUST_USE enum err feed_find_files(struct ctx *cx, const struct feeds *feeds, const struct feed *feed,
                                  struct str folder, struct list *out);

/* Inside: one file over HTTP, in source_http.c. */
MUST_USE enum err source_fetch(struct ctx *cx, const struct feed_wish *wish, struct str path,
                               struct fetched *out);
/* A copy of the session's cookies, and what they are from now on; no value: none. */
struct str session_get(struct sessions *s, struct arena *mem, struct str server, struct str store);
void session_set(struct sessions *s, struct str server, struct str store, struct str cookies);

extern const struct module SOURCE_MODULE;

#endif
