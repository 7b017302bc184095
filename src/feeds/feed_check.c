/* What the schemas of a feed's file cannot say: lists of strings, names, and what must fit together. */
#include "feeds/feed_parts.h"

#include "base/json.h"

#include <inttypes.h>

#include "base/banned.h"

#define STRINGS_MAX 64

static const char *const RESERVED[] = {
    "add",
    "all",
    "alter",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "autoincrement",
    "between",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "commit",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "delete",
    "desc",
    "distinct",
    "do",
    "drop",
    "else",
    "end",
    "escape",
    "except",
    "exists",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "index",
    "initially",
    "inner",
    "insert",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "nothing",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "raise",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "set",
    "similar",
    "some",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "transaction",
    "true",
    "union",
    "unique",
    "update",
    "user",
    "using",
    "values",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
};

bool feed_word(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!(s.p[i] >= 'a' && s.p[i] <= 'z') &&
            (i == 0 || !((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_')))
            return false;
    for (size_t i = 0; i < sizeof(RESERVED) / sizeof(RESERVED[0]); i++)
        if (str_eq(s, str_of(RESERVED[i])))
            return false;
    return s.n > 0 && !str_starts(s, S("sqlite_")) && !str_starts(s, S("pg_"));
}

static enum err no_memory(struct feed_file *f) {
    return fail(f->cx, ERR_MEMORY, "%.*s does not fit in memory.", STR_FMT(f->name));
}

enum err feed_strings(struct feed_file *f, struct str path, struct json said, struct list *out) {
    struct str *v = NEW_N(f->cx->mem, struct str, STRINGS_MAX);
    struct json_reader r;
    size_t n = 0;
    bool first = true, good = true;
    if (!v)
        return no_memory(f);
    json_begin(&r, f->cx->mem, said.text);
    if (json_peek(&r) == JSON_STRING) {
        good = json_string(&r, &v[n++]);
    } else {
        good = json_peek(&r) == JSON_ARRAY && json_enter(&r, JSON_ARRAY);
        while (good && json_next(&r, NULL, &first))
            good = n < STRINGS_MAX && json_peek(&r) == JSON_STRING && json_string(&r, &v[n++]);
    }
    for (size_t i = 0; good && i < n; i++)
        good = (v[i] = str_trim(v[i])).n > 0;
    if (r.out_of_memory)
        return no_memory(f);
    if (!good || r.problem || n == 0)
        return feed_bad(f, path, "must be a text, or a list of 1 to %d texts", STRINGS_MAX);
    *out = (struct list){v, n};
    return OK;
}

enum err feed_pairs(struct feed_file *f, struct str path, struct json said, struct list *out) {
    struct feed_pair *v = NEW_N(f->cx->mem, struct feed_pair, STRINGS_MAX);
    struct json_reader r;
    size_t n = 0;
    bool first = true;
    if (!v)
        return no_memory(f);
    json_begin(&r, f->cx->mem, said.text);
    bool good = json_peek(&r) == JSON_OBJECT && json_enter(&r, JSON_OBJECT);
    while (good && json_next(&r, &v[n % STRINGS_MAX].name, &first)) {
        good = n < STRINGS_MAX && json_peek(&r) == JSON_STRING && json_string(&r, &v[n].value);
        n++;
    }
    if (r.out_of_memory)
        return no_memory(f);
    if (!good || r.problem || n == 0)
        return feed_bad(f, path, "must be a mapping of 1 to %d names to texts", STRINGS_MAX);
    *out = (struct list){v, n};
    return OK;
}

/* Its headers, its own name last; none twice, and none that another column before it has. */
static enum err check_headers(struct feed_file *f, struct feed *feed, size_t i) {
    struct feed_column *c = (struct feed_column *)feed->columns.items + i;
    struct str *v = NEW_N(f->cx->mem, struct str, c->headers.n + 1), path;
    const struct str *said = c->headers.items;
    size_t n = 0, rank;
    if (!v)
        return no_memory(f);
    for (size_t k = 0; k <= c->headers.n; k++) {
        struct str header = k < c->headers.n ? said[k] : c->name;
        bool there = false;
        for (size_t j = 0; j < n; j++)
            there = there || str_eq_nocase(v[j], header);
        if (!there)
            v[n++] = header;
    }
    c->headers = (struct list){v, n};
    path = str_printf(f->cx->mem, "columns[%zu]", i);
    for (size_t k = 0; k < n; k++) {
        int other = feed_header(feed, v[k], &rank);
        if (other >= 0 && other < (int)i)
            return feed_bad(f, path, "has the header %.*s, and so has %.*s", STR_FMT(v[k]),
                            STR_FMT(feed_column(feed, (size_t)other)->name));
    }
    return OK;
}

static enum err check_columns(struct feed_file *f, struct feed *feed) {
    const struct feed_column *c = feed->columns.items;
    static const char *const OURS[] = {"org_id", "ingested_at", "run_id"};
    enum err e = OK;
    for (size_t i = 0; !e && i < feed->columns.n; i++) {
        struct str path = str_printf(f->cx->mem, "columns[%zu].name", i);
        for (size_t k = 0; k < sizeof(OURS) / sizeof(OURS[0]); k++)
            if (str_eq(c[i].name, str_of(OURS[k])))
                return feed_bad(f, path, "is a column that every feed's table has by itself");
        for (size_t k = 0; k < i; k++)
            if (str_eq(c[i].name, c[k].name))
                return feed_bad(f, path, "is the name of another column already: %.*s", STR_FMT(c[i].name));
        e = check_headers(f, feed, i);
    }
    return e;
}

static enum err add_key(struct feed_file *f, struct feed *feed, struct str name, struct str path) {
    struct feed_column *c = feed->columns.items;
    for (size_t i = 0; i < feed->columns.n; i++) {
        if (!str_eq(c[i].name, name))
            continue;
        if (c[i].key)
            return feed_bad(f, path, "is named twice: %.*s", STR_FMT(name));
        c[i].key = true;
        feed->keys[feed->n_keys++] = i;
        return OK;
    }
    return feed_bad(f, path, "is no column of the feed: %.*s", STR_FMT(name));
}

static enum err check_keys(struct feed_file *f, struct feed *feed) {
    struct list names;
    bool store = false;
    enum err e = feed_strings(f, S("keys"), feed->keys_said, &names);
    const struct str *v = names.items;
    if (!e && names.n > FEED_KEYS_MAX)
        return feed_bad(f, S("keys"), "has more than %d columns", FEED_KEYS_MAX);
    for (size_t i = 0; !e && i < names.n; i++) {
        e = add_key(f, feed, v[i], str_printf(f->cx->mem, "keys[%zu]", i));
        store = store || str_eq(v[i], S("store_code"));
    }
    if (!e && !store)
        return feed_bad(f, S("keys"), "must have store_code among them: two stores may use one number");
    for (size_t i = 0; !e && i < feed->n_keys; i++)
        if (str_eq(feed_column(feed, feed->keys[i])->name, S("store_code")) &&
            feed_column(feed, feed->keys[i])->type != FEED_TEXT)
            return feed_bad(f, S("columns"), "store_code must be text");
    return e;
}

static enum err check_patterns(struct feed_file *f, const struct feed *feed) {
    const struct str *v = feed->patterns.items;
    for (size_t i = 0; i < feed->patterns.n; i++) {
        struct str path = str_printf(f->cx->mem, "files[%zu]", i), folder, rest;
        if (str_cut(v[i], '/', &folder, &rest))
            return feed_bad(f, path, "is a name without folders: they may be of any depth");
        if (feed_matches(v[i], str_printf(f->cx->mem, "%.*s_20261231.csv", STR_FMT(feed->merged))) ||
            feed_matches(v[i], str_printf(f->cx->mem, "rejects_%.*s_20261231.csv", STR_FMT(feed->name))))
            return feed_bad(f, path, "would take what the run writes itself for an individual file");
    }
    return OK;
}

/* Every {…} of a template has a meaning. */
static enum err check_template(struct feed_file *f, struct str path, struct str text, bool form) {
    static const char *const KNOWN[] = {"store_code", "date", "yyyymmdd", "yyyy",
                                        "mm",         "dd",   "bucket",   "org"};
    struct str before, rest = text, name;
    while (str_cut(rest, '{', &before, &rest)) {
        if (!str_cut(rest, '}', &name, &rest))
            return feed_bad(f, path, "has a { without its }");
        bool good = form && (str_eq(name, S("user")) || str_eq(name, S("password")));
        for (size_t i = 0; i < sizeof(KNOWN) / sizeof(KNOWN[0]); i++)
            good = good || str_eq(name, str_of(KNOWN[i]));
        if (!good)
            return feed_bad(f, path,
                            "has {%.*s}; there are {store_code} {date} {yyyymmdd} {yyyy} {mm} {dd}"
                            " {bucket} {org}%s",
                            STR_FMT(name), form ? " {user} {password}" : "");
    }
    return OK;
}

/* A path on the server: nothing that could lead to another one. */
static enum err check_url_path(struct feed_file *f, struct str path, struct str text) {
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ' || text.p[i] > '~' || text.p[i] == '\\' || text.p[i] == '#')
            return feed_bad(f, path, "has a character that a URL's path and query do not have");
    if (text.p[0] != '/' || (text.n > 1 && text.p[1] == '/'))
        return feed_bad(f, path, "must begin with one /: the server stands in FEEDS_SOURCES");
    return check_template(f, path, text, false);
}

static enum err check_login(struct feed_file *f, const struct feed_login *login) {
    const struct feed_pair *v = login->fields.items;
    enum err e = check_url_path(f, S("source.login.path"), login->path);
    if (!e && login->page.p)
        e = check_url_path(f, S("source.login.page"), login->page);
    for (size_t i = 0; !e && i < login->fields.n; i++)
        e = check_template(f, str_printf(f->cx->mem, "source.login.form.%.*s", STR_FMT(v[i].name)),
                           v[i].value, true);
    return e;
}

static enum err check_source(struct feed_file *f, const struct feed *feed) {
    const struct feed_source *s = &feed->source;
    struct str first = ((const struct str *)feed->patterns.items)[0];
    if (s->kind == FEED_FROM_NOWHERE)
        return OK;
    if (s->kind == FEED_FROM_FOLDER) {
        if (s->has_login || s->server.p)
            return feed_bad(f, S("source"), "is a folder, which has no server and no login");
        if (s->path.p[0] != '/')
            return feed_bad(f, S("source.path"), "must be an absolute path");
        return check_template(f, S("source.path"), s->path, false);
    }
    if (!s->server.p)
        return feed_bad(f, S("source"), "needs server: its name in FEEDS_SOURCES");
    if (!memchr(first.p, '*', first.n))
        return feed_bad(f, S("files"), "must begin with a name that has a *, which the store's code fills");
    enum err e = check_url_path(f, S("source.path"), s->path);
    return e || !s->has_login ? e : check_login(f, &s->login);
}

enum err feed_check(struct feed_file *f, struct feed *feed) {
    enum err e = check_columns(f, feed);
    if (e || (e = check_keys(f, feed)) || (e = check_patterns(f, feed)))
        return e;
    return check_source(f, feed);
}
