/* clang-format off */
/* Migrations: numbered files, up and down, one at a time across processes, checksummed. Text is the same for
 * both databases but for tokens:
 *   {int} {text} {bool} {time} {json} {bytes} {uuid} {date} {decimal}   column types
 *   {table_end}     closes a table with its own row ids
 *   {table_keyed}   closes one that is stored by its primary key
 *   {xact}          type of the column that orders commits on PostgreSQL
 *   {tenant NAME}   row-level security for the table, forced, by its org_id
 *   {sqlite} … {end} and {postgres} … {end}: what lies between goes to that database only
 * Down begins at the line `-- down`; `-- irreversible: WHY` in its place stops `downgrade` with that
 * sentence. */
/* clang-format on */
#ifndef DB_MIGRATE_H
#define DB_MIGRATE_H

#include "db/db.h"

struct migration_state {
    int64_t version;
    struct str name;
    bool applied;
    struct instant applied_at;
};
extern const struct schema MIGRATION_STATE;

/* Up to the newest (target < 0) or to a version; under a lock that other processes wait for. */
MUST_USE enum err migrate_up(struct ctx *cx, int64_t target);
MUST_USE enum err migrate_down(struct ctx *cx, int64_t target); /* undoes all above target */
MUST_USE enum err migrate_history(struct ctx *cx, struct list *states);
MUST_USE enum err migrate_current(struct ctx *cx, int64_t *version);
/* Other processes of entrepot that have the database open, as "4711@host"; none where one process owns it. */
MUST_USE enum err migrate_others(struct ctx *cx, struct list *names); /* of struct process_name */
struct process_name {
    struct str name;
};
/* ERR_UNAVAILABLE with what to run when the schema is older or newer than the binary or a file's checksum
 * differs. */
MUST_USE enum err migrate_check(struct ctx *cx);

#endif
