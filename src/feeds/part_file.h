/* A file on its way: NAME.part grows, beside it NAME.tag says what it is the beginning of; finished, it is
 * synced and becomes NAME. Whatever instant the process dies at, NAME is whole or not there. */
#ifndef FEEDS_PART_FILE_H
#define FEEDS_PART_FILE_H

#include "base/ctx.h"

struct part_file {
    struct str path, part, tag_path;
    int fd;
    int64_t size;   /* of what is there */
    struct str tag; /* the validator for If-Range; no value: it cannot be gone on with */
};

/* Opens or makes the part, with what a process before left of it. ERR_UNAVAILABLE: the disk refuses. */
MUST_USE enum err part_open(struct ctx *cx, struct str path, struct part_file *out);
/* From the beginning, under another validator (no value: none). */
MUST_USE enum err part_begin(struct ctx *cx, struct part_file *f, struct str tag);
bool part_add(struct part_file *f, struct str piece); /* false: the disk refuses, errno says why */
MUST_USE enum err part_finish(struct ctx *cx, struct part_file *f); /* and closes */
void part_close(struct part_file *f);                               /* what is there stays */
void part_drop(struct part_file *f);                                /* what is there goes */

#endif
