/* YAML files that people write (feeds, export templates) as JSON, so that a schema decodes and checks them
 * like anything else; and the line on which each value stands, so that an error can name it.
 *
 * Of YAML 1.1: one document of mappings, sequences and scalars. Plain whole numbers become numbers; plain
 * true, false, null, ~ and nothing become what they say; all other scalars are strings. Anchors, aliases,
 * tags, the same key twice, keys that are no scalars and nesting beyond YAML_DEPTH_MAX are refused. */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/ctx.h"

#define YAML_BYTES_MAX ((size_t)64 << 10)
#define YAML_VALUES_MAX 4000
#define YAML_DEPTH_MAX 8

struct yaml_place {
    struct str path; /* as schema.h names fields: "columns[2].type" */
    int64_t line;    /* from 1 */
};
struct yaml {
    struct str json;
    struct yaml_place *places;
    size_t n_places;
};

/* file names the text in errors: ERR_USAGE with "FILE:LINE: what is wrong". */
MUST_USE enum err yaml_read(struct ctx *cx, struct str file, struct str text, struct yaml *out);
/* Where the value of a path stands, or, for one that is not there, what it would be part of. */
int64_t yaml_line(const struct yaml *y, struct str path);

#endif
