/* Files of NAME=value lines (.env): blank lines and lines that begin with # are passed by, "export " before a
 * name is allowed, a value may stand in single quotes (taken as it is) or double quotes (\n \t \" \\ \$ are
 * escapes); without quotes it ends at " #" and is trimmed. Values are on one line and nothing in them is
 * expanded. */
#ifndef BASE_DOTENV_H
#define BASE_DOTENV_H

#include "base/list.h"
#include "base/str.h"

struct pair {
    struct str name, value;
};

/* The pairs of a file's text in their order, in mem; of a name that comes twice the last one counts. line
 * gets 0, or the number of the first line that cannot be read, and then problem says why. False when memory
 * is out. */
bool dotenv_parse(struct arena *mem, struct str text, struct list *pairs, size_t *line, const char **problem);
bool pairs_find(struct list pairs, struct str name, struct str *value); /* the last one of that name */

#endif
