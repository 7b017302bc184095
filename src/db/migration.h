/* Inside migrations: a set of files, so that tests can bring their own, and the text that one expands to. */
#ifndef DB_MIGRATION_H
#define DB_MIGRATION_H

#include "base/asset.h"
#include "db/migrate.h"

struct migration {
    int64_t version;
    struct str name; /* "core_stock" */
    struct str text;
    struct str checksum; /* SHA-256 of the file, hexadecimal */
};

/* Those of the assets that stand under migrations/, by version; ERR_INTERNAL where names or numbers are
 * amiss. */
MUST_USE enum err migration_files(struct ctx *cx, const struct asset *files, size_t n, struct list *out);

enum direction { UP, DOWN };
/* The half of the file for this direction with its tokens expanded. DOWN fails with the file's own sentence
 * where it is irreversible. */
MUST_USE enum err migration_text(struct ctx *cx, const struct migration *m, enum direction way, bool postgres,
                                 struct str *out);

/* In a closure, for tables that no migration makes: excludes migrations of other processes until it ends; and
 * runs a text with tokens as a migration would. */
MUST_USE enum err migration_lock(struct ctx *cx);
MUST_USE enum err migration_run(struct ctx *cx, struct str text);

MUST_USE enum err migration_up(struct ctx *cx, struct list files, int64_t target);
MUST_USE enum err migration_down(struct ctx *cx, struct list files, int64_t target);
MUST_USE enum err migration_check(struct ctx *cx, struct list files);
MUST_USE enum err migration_history(struct ctx *cx, struct list files, struct list *states);

#endif
