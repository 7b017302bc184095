#include "feeds/feed_parts.h"

#include "base/json.h"

#include <inttypes.h>
#include <stdarg.h>

#include "base/banned.h"

#define WORD_RULE "must be a small letter and then small letters, digits or _, and no reserved word of SQL"

static const char *const TYPES[] = {"text", "int", "decimal", "date", "bool", NULL};
static const char *const DATES[] = {"day_first", "month_first", NULL};
static const char *const KINDS[] = {"http", "folder", NULL};

static const struct field COLUMN_FIELDS[] = {
    FIELD(struct feed_column, name, CREATE | OUT | REQUIRED, "The column of the feed's table.", .min = 1,
          .max = 48, .check = feed_word, .rule = WORD_RULE),
    FIELD_AS(struct feed_column, type_name, "type", CREATE | OUT, "What its cells hold; text if not said.",
             .one_of = TYPES),
    FIELD(struct feed_column, header, CREATE | OUT,
          "What files call it: a string or several, the best first; its own name counts as well."),
    FIELD(struct feed_column, required, CREATE | OUT,
          "A file without it is refused; the columns of the key are required anyway."),
    FIELD(struct feed_column, doc, CREATE | OUT, "What it is, for people.", .max = 500),
};
static const struct schema COLUMN = SCHEMA(struct feed_column, "FeedColumn", COLUMN_FIELDS);

static const struct field FIELDS[] = {
    FIELD(struct feed, name, CREATE | OUT | REQUIRED, "The feed, and its bucket.", .min = 1, .max = 40,
          .check = feed_word, .rule = WORD_RULE),
    FIELD(struct feed, doc, CREATE | OUT, "What it is, for people.", .max = 500),
    FIELD_AS(struct feed, files_said, "files", CREATE | OUT | REQUIRED,
             "Patterns of the names of its individual files: * stands for anything, ? for one character."),
    FIELD(struct feed, merged, CREATE | OUT,
          "Merged files are called by it and the day; merged_ and the feed's name if not said.", .min = 1,
          .max = 80, .check = feed_word, .rule = WORD_RULE),
    FIELD(struct feed, table, CREATE | OUT | REQUIRED, "The table that its rows go to.", .min = 1, .max = 48,
          .check = feed_word, .rule = WORD_RULE),
    FIELD_AS(struct feed, keys_said, "keys", CREATE | OUT | REQUIRED,
             "The columns by which a row is the same one; store_code is among them."),
    FIELD(struct feed, dates, CREATE | OUT,
          "What 03/04/2026 is; not said: each file shows it by a day over 12.", .one_of = DATES),
    FIELD(struct feed, columns, CREATE | OUT | REQUIRED, "What its files hold, in the table's order.",
          .of = &COLUMN, .min = 1, .max = FEED_COLUMNS_MAX),
    FIELD_AS(struct feed, source_said, "source", CREATE, "Where its files come from."),
    FIELD_AS(struct feed, source.kind_name, "source_kind", OUT, "Where its files come from.",
             .one_of = KINDS),
    FIELD_AS(struct feed, source.server, "source_server", OUT, "The server's name in FEEDS_SOURCES."),
    FIELD_AS(struct feed, source.path, "source_path", OUT, "The path there, a template."),
    FIELD_AS(struct feed, guards_said, "guards", CREATE | OUT, "What stops it before it writes."),
};
const struct schema FEED = SCHEMA(struct feed, "Feed", FIELDS);

static const struct field GUARD_FIELDS[] = {
    FIELD(struct feed_guards, min_rows, CREATE, "Fewer rows than these stop the bucket.", .min = 0,
          .max = 1000000000),
    FIELD(struct feed_guards, shrink_percent, CREATE, "So much fewer rows than the last time stop it.",
          .min = 0, .max = 100),
    FIELD(struct feed_guards, change_percent, CREATE, "So many of the known rows changed stop it.", .min = 0,
          .max = 100),
};
static const struct schema GUARDS = SCHEMA(struct feed_guards, "FeedGuards", GUARD_FIELDS);

static const struct field SOURCE_FIELDS[] = {
    FIELD_AS(struct feed_source, kind_name, "kind", CREATE | REQUIRED, "http or folder.", .one_of = KINDS),
    FIELD(struct feed_source, server, CREATE, "http: the server's name in FEEDS_SOURCES.", .min = 1,
          .max = 40, .check = feed_word, .rule = WORD_RULE),
    FIELD(struct feed_source, path, CREATE | REQUIRED, "A template.", .min = 1, .max = 1000),
    FIELD_AS(struct feed_source, login_said, "login", CREATE, "http: how to log in."),
    FIELD_AS(struct feed_source, types_said, "types", CREATE, "http: media types that are taken for CSV."),
    FIELD(struct feed_source, parallel, CREATE, "http: downloads at a time.", .min = 1, .max = 32),
    FIELD(struct feed_source, attempts, CREATE, "http: how often one file is tried.", .min = 1, .max = 20),
    FIELD(struct feed_source, timeout_seconds, CREATE, "http: the time that one attempt may take.", .min = 1,
          .max = 7200),
    FIELD(struct feed_source, max_megabytes, CREATE, "The largest file.", .min = 1, .max = 100000),
};
static const struct schema SOURCE = SCHEMA(struct feed_source, "FeedSource", SOURCE_FIELDS);

static const struct field LOGIN_FIELDS[] = {
    FIELD(struct feed_login, path, CREATE | REQUIRED, "Where the form is sent.", .min = 1, .max = 1000),
    FIELD(struct feed_login, page, CREATE, "A page that is fetched before.", .min = 1, .max = 1000),
    FIELD(struct feed_login, form, CREATE | REQUIRED, "The fields of the form; templates."),
};
static const struct schema LOGIN = SCHEMA(struct feed_login, "FeedLogin", LOGIN_FIELDS);

enum err feed_bad(struct feed_file *f, struct str path, const char *fmt, ...) {
    struct buf b = buf_new(f->cx->mem, STR_MAX_DEFAULT);
    char text[500];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    buf_printf(&b, "%.*s:%" PRId64 ": %.*s%s%s.", STR_FMT(f->name), yaml_line(&f->yaml, path), STR_FMT(path),
               path.n ? " " : "", text);
    struct str whole = buf_str(&b);
    return fail(f->cx, ERR_USAGE, "%.*s", STR_FMT(whole));
}

/* What a schema found wrong, each with its line. */
static enum err explain(struct feed_file *f, const char *prefix) {
    struct fault found = f->cx->fault;
    struct buf b = buf_new(f->cx->mem, STR_MAX_DEFAULT);
    for (size_t i = 0; i < found.n; i++) {
        struct str field = found.problems[i].field;
        struct str path =
            str_printf(f->cx->mem, "%s%s%.*s", prefix, *prefix && field.n ? "." : "", STR_FMT(field));
        buf_printf(&b, "%s%.*s:%" PRId64 ": %.*s %.*s", i ? "; " : "", STR_FMT(f->name),
                   yaml_line(&f->yaml, path), STR_FMT(path), STR_FMT(found.problems[i].problem));
    }
    fault_clear(f->cx);
    struct str whole = buf_str(&b);
    return b.failed ? fail(f->cx, ERR_USAGE, "%.*s has more faults than can be listed.", STR_FMT(f->name))
                    : fail(f->cx, ERR_USAGE, "%.*s.", STR_FMT(whole));
}

/* One part of the file by its schema; prefix is its path. */
static enum err read_part(struct feed_file *f, const char *prefix, const struct schema *s, struct str json,
                          void *out) {
    enum err e = schema_decode(f->cx, s, CREATE, REFUSE_UNKNOWN, json, out, NULL);
    if (e == ERR_INVALID)
        return explain(f, prefix);
    return e == ERR_MALFORMED ? feed_bad(f, str_of(prefix), "cannot be read") : e;
}

static void set_default(struct optional_int *v, int64_t fallback) {
    if (!v->has)
        *v = (struct optional_int){fallback, true};
}

static enum err read_guards(struct feed_file *f, struct feed *feed) {
    struct str said = feed->guards_said.text.p ? feed->guards_said.text : S("{}");
    enum err e = read_part(f, "guards", &GUARDS, said, &feed->guards);
    set_default(&feed->guards.min_rows, 1);
    set_default(&feed->guards.shrink_percent, 80);
    set_default(&feed->guards.change_percent, 80);
    return e;
}

static enum err read_login(struct feed_file *f, struct feed_source *source) {
    source->has_login = source->login_said.text.p != NULL;
    if (!source->has_login)
        return OK;
    enum err e = read_part(f, "source.login", &LOGIN, source->login_said.text, &source->login);
    return e ? e : feed_pairs(f, S("source.login.form"), source->login.form, &source->login.fields);
}

static enum err read_source(struct feed_file *f, struct feed *feed) {
    struct feed_source *source = &feed->source;
    if (!feed->source_said.text.p)
        return OK;
    enum err e = read_part(f, "source", &SOURCE, feed->source_said.text, source);
    if (e || (e = read_login(f, source)))
        return e;
    struct json types = source->types_said;
    if (!types.text.p)
        types.text = S("[\"text/csv\",\"application/csv\",\"text/plain\",\"application/octet-stream\","
                       "\"application/vnd.ms-excel\"]");
    source->kind = str_eq(source->kind_name, S("http")) ? FEED_FROM_HTTP : FEED_FROM_FOLDER;
    set_default(&source->parallel, 4);
    set_default(&source->attempts, 5);
    set_default(&source->timeout_seconds, 300);
    set_default(&source->max_megabytes, 2048);
    return feed_strings(f, S("source.types"), types, &source->types);
}

static enum err read_columns(struct feed_file *f, struct feed *feed) {
    struct feed_column *c = feed->columns.items;
    for (size_t i = 0; i < feed->columns.n; i++) {
        struct str path = str_printf(f->cx->mem, "columns[%zu].header", i);
        for (size_t t = 0; TYPES[t]; t++)
            if (str_eq(c[i].type_name, str_of(TYPES[t])))
                c[i].type = (enum feed_type)t;
        if (!c[i].type_name.p)
            c[i].type_name = S("text");
        enum err e = c[i].header.text.p ? feed_strings(f, path, c[i].header, &c[i].headers) : OK;
        if (e)
            return e;
    }
    return OK;
}

enum err feed_parse(struct ctx *cx, struct str file, struct str text, struct feed *out) {
    struct feed_file f = {.cx = cx, .name = file};
    struct feed feed = {0};
    enum err e = yaml_read(cx, file, text, &f.yaml);
    if (e || (e = read_part(&f, "", &FEED, f.yaml.json, &feed)))
        return e;
    if (!feed.merged.p)
        feed.merged = str_printf(cx->mem, "merged_%.*s", STR_FMT(feed.name));
    if ((e = read_columns(&f, &feed)) ||
        (e = feed_strings(&f, S("files"), feed.files_said, &feed.patterns)) || (e = read_guards(&f, &feed)) ||
        (e = read_source(&f, &feed)) || (e = feed_check(&f, &feed)))
        return e;
    feed.file = file;
    *out = feed;
    return OK;
}
