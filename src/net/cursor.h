/* Cursors: where a page ended, as text that callers hand back unchanged. The values are signed together with
 * what they belong to (organisation, path, sort, filters), so a changed or borrowed cursor is refused. */
#ifndef NET_CURSOR_H
#define NET_CURSOR_H

#include "db/db.h"

#define CURSOR_KEY_BYTES 32

struct cursor {
    int64_t page;        /* the number of the page that it leads to */
    struct arg key, tie; /* strings, integers, instants, uuids; tie may be ARG_NULL */
};

/* No value when memory is out. binding: all that the cursor is bound to. */
struct str cursor_format(struct arena *mem, const unsigned char key[static CURSOR_KEY_BYTES],
                         struct str binding, const struct cursor *c);
bool cursor_parse(struct arena *mem, const unsigned char key[static CURSOR_KEY_BYTES], struct str binding,
                  struct str text, struct cursor *out);

#endif
