/* Feeds: what the stores export every day, declared one feed a file (YAML), so that a new one needs no C.
 * From the file follow what is fetched (source.h), how files are merged, the feed's table (feed_table.h) and
 * what it takes for a bucket to be stopped (guards). A feed's name is the name of its bucket.
 *
 * FEEDS_DIR names a folder whose *.yaml are the feeds; not set, it is those that ship in the binary. What is
 * wrong with a file stops the server at its start, with the file, the line and what to write. */
#ifndef FEEDS_FEED_H
#define FEEDS_FEED_H

#include "base/module.h"
#include "base/schema.h"

#define FEED_COLUMNS_MAX 100
#define FEED_KEYS_MAX 8

/* What a cell holds. DECIMAL is exact: NUMERIC on PostgreSQL, its canonical text on SQLite. BOOL: `1` is
 * true, anything else is false. */
enum feed_type { FEED_TEXT, FEED_INT, FEED_DECIMAL, FEED_DATE, FEED_BOOL };

struct feed_column {
    struct str name; /* in the table: a small letter, then small letters, digits, _; no reserved word */
    struct str type_name, doc;
    struct json header; /* as declared: a string or several */
    bool required;      /* as declared; see feed_required */
    enum feed_type type;
    bool key;
    struct list headers; /* of struct str: what the column may be called in a file, the best first, the
                            column's own name last; no two columns of a feed share one, whatever the case */
};

/* Which guards stop a bucket before it writes (F12). Percentages compare with the feed's last good run and
 * are looked at only where that had FEED_GUARD_ROWS rows or more; 0 is off. */
#define FEED_GUARD_ROWS 50
struct feed_guards {
    struct optional_int min_rows, shrink_percent, change_percent; /* always have a value in a struct feed */
};

/* Where the files come from. Texts are templates: see feed_expand. */
enum feed_source_kind { FEED_FROM_NOWHERE, FEED_FROM_HTTP, FEED_FROM_FOLDER };
struct feed_pair {
    struct str name, value;
};
struct feed_login {
    struct str path, page; /* page: fetched before, for the cookies that it sets; no value: none */
    struct json form;
    struct list fields; /* of struct feed_pair: the form as it is sent */
};
struct feed_source {
    struct str kind_name;
    struct str server; /* http: the name under which FEEDS_SOURCES and FEEDS_LOGINS have it */
    struct str path;   /* http: on that server; folder: on this machine */
    struct json login_said, types_said;
    struct optional_int parallel, attempts, timeout_seconds, max_megabytes; /* always have a value */
    enum feed_source_kind kind;
    bool has_login;
    struct feed_login login;
    struct list types; /* of struct str: media types that are taken for CSV */
};

struct feed {
    struct str name, doc, table;
    struct str merged; /* merged files are called MERGED_YYYYMMDD.csv */
    struct json files_said, keys_said, source_said, guards_said;
    struct str dates;                   /* "day_first", "month_first"; no value: each file shows it, or not */
    struct list columns;                /* of struct feed_column */
    struct list patterns;               /* of struct str: names of individual files, * and ? stand for any */
    size_t keys[FEED_KEYS_MAX], n_keys; /* indexes of columns, in the order of the table's key */
    struct feed_source source;
    struct feed_guards guards;
    struct str file; /* which declares it */
};
extern const struct schema FEED; /* OUT: as GET /api/v1/feeds shows it */

struct feeds {
    const struct feed *v; /* by name */
    size_t n;
};

/* One file's text. ERR_USAGE with "FILE:LINE: what is wrong" for everything that is. */
MUST_USE enum err feed_parse(struct ctx *cx, struct str file, struct str text, struct feed *out);
/* All files of a folder, or with an empty dir those of the binary. Also refuses two feeds with one name or
 * table, and patterns by which one file would belong to two feeds as far as that can be told. */
MUST_USE enum err feeds_load(struct ctx *cx, struct str dir, struct feeds *out);

/* Those that this process has loaded at its start. */
const struct feeds *feeds_of(const struct ctx *cx);
const struct feed *feed_find(const struct feeds *feeds, struct str name); /* NULL: none */
/* Whose file it is by its name (without folders); NULL: nobody's. Case counts. */
const struct feed *feed_of_file(const struct feeds *feeds, struct str name);
const struct feed_column *feed_column(const struct feed *f, size_t i);
bool feed_required(const struct feed_column *c); /* its header must be there: keys, and what says so */
/* Which column a header of a file means: without regard to case and the spaces around; -1: none. rank gets
 * its place among the column's headers: where a file has several for one column, the least rank counts. */
int feed_header(const struct feed *f, struct str header, size_t *rank);

/* What the placeholders of a template stand for; user and password only in a log-in form. */
struct feed_values {
    struct str store_code;
    int64_t day; /* days since 1970-01-01: {date} 2026-11-20, {yyyymmdd}, {yyyy}, {mm}, {dd} */
    struct str bucket, org, user, password;
};
/* encode: percent-encodes what is put in, for URLs. No value: no memory, or longer than 4000 bytes. */
struct str feed_expand(struct arena *mem, struct str text, const struct feed_values *values, bool encode);

extern const struct module FEED_MODULE;

#endif
