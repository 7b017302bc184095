/* Files that travel inside the binary: migrations, pages. The build writes the table (script/embed) from
 * every .sql under migrations/ and every .html .css .js .svg under src/, sorted by path. */
#ifndef BASE_ASSET_H
#define BASE_ASSET_H

#include <stddef.h>

struct asset {
    const char *path;           /* from the root of the source tree: "migrations/0001_base_start.sql" */
    const unsigned char *bytes; /* size of them, and a NUL after the last */
    size_t size;
};

extern const struct asset assets[]; /* assets_count rows, then an empty one */
extern const size_t assets_count;

#endif
