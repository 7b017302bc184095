/* Where a run's files are, and how they come and go: a file appears whole (written beside, synced, renamed,
 * its folder synced) or not at all. */
#ifndef FEEDS_RUN_FILES_H
#define FEEDS_RUN_FILES_H

#include "feeds/feed.h"

/* FEEDS_WORK_DIR; an organisation that is not the oldest has a folder in it, by its slug. Made when it is not
 * there. Needs a transaction. */
MUST_USE enum err files_work(struct ctx *cx, struct str *out);
struct str files_yyyymmdd(struct ctx *cx, int64_t day);
MUST_USE enum err files_make_folder(struct ctx *cx, struct str path); /* with those above it */
/* Keeps others on this machine off the date; the holder's name is that of the lock's file, so that a lease of
 * a holder that is dead is known. ERR_CONFLICT when it is held. The descriptor holds it. */
MUST_USE enum err files_lock(struct ctx *cx, struct str work, struct str run_date, int *fd,
                             struct str *holder);

/* The files of one feed below a folder, any depth, by path. What is not there has none. */
MUST_USE enum err files_of_feed(struct ctx *cx, const struct feeds *feeds, const struct feed *feed,
                                struct str folder, struct list *paths);
/* What was written to fd as PATH.part becomes PATH; closes fd. */
MUST_USE enum err files_settle(struct ctx *cx, int fd, struct str path);
/* A file, or a folder with all in it; not there is as good. */
MUST_USE enum err files_remove(struct ctx *cx, struct str path);
bool files_there(struct ctx *cx, struct str path);
struct str files_name(struct str path); /* without its folders */

#endif
