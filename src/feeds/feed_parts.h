/* Inside the reading of feed files: a file on its way, and the checks of what schemas cannot say. For
 * feed*.c only. */
#ifndef FEEDS_FEED_PARTS_H
#define FEEDS_FEED_PARTS_H

#include "base/yaml.h"
#include "feeds/feed.h"

struct feed_file {
    struct ctx *cx;
    struct str name;
    struct yaml yaml;
};

/* ERR_USAGE: "FILE:LINE: PATH problem". */
enum err feed_bad(struct feed_file *f, struct str path, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A string, or several: into a list of struct str with at least one that is not empty. */
MUST_USE enum err feed_strings(struct feed_file *f, struct str path, struct json said, struct list *out);
/* An object of strings: into a list of struct feed_pair. */
MUST_USE enum err feed_pairs(struct feed_file *f, struct str path, struct json said, struct list *out);

bool feed_word(struct str s); /* a small letter, then small letters, digits and _; no reserved word of SQL */
/* What only stands together: keys among the columns, headers of one column only, patterns, templates. */
MUST_USE enum err feed_check(struct feed_file *f, struct feed *feed);
bool feed_matches(struct str pattern, struct str name);

#endif
