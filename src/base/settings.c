#include "base/settings.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/dotenv.h"

#include "base/banned.h"

#define FILE_MAX 65536
#define DISTINCT_LEAST 8 /* different bytes in a secret that is not obviously typed by hand */

struct value {
    const struct setting *row;
    struct str text;
    struct list list;
    struct rate rate;
    int64_t number;
};

struct settings {
    struct value *values;
    size_t n;
    struct str environment;
};

/* Where values come from, in the order in which they count. */
enum source { ENVIRONMENT, DOTENV_OF_ENVIRONMENT, DOTENV, SOURCES };

struct loading {
    struct ctx *cx;
    struct str dir;
    struct list sources[SOURCES]; /* of struct pair */
    struct settings *s;
};

static void complain(struct loading *l, const char *name, const char *what) {
    (void)!fail_field(l->cx, str_of(name), "%s", what);
}

/* No value when there is no such file, which is a problem only of a file that a setting names. */
static struct str read_file(struct loading *l, struct str path, const char *name, bool must_be) {
    char text[FILE_MAX], *z = str_z(l->cx->mem, path);
    int fd = z ? open(z, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 && errno == ENOENT && !must_be)
        return (struct str){NULL, 0};
    size_t n = 0;
    ssize_t got = fd;
    while (got >= 0 && n < FILE_MAX && (got = read(fd, text + n, FILE_MAX - n)) > 0)
        n += (size_t)got;
    int problem = got < 0 ? errno : n == FILE_MAX ? EFBIG : 0;
    if (fd >= 0)
        close(fd);
    if (problem) {
        (void)!fail_field(l->cx, str_dup(l->cx->mem, str_of(name)), "cannot be read from %.*s: %s",
                          STR_FMT(path), strerror(problem));
        return (struct str){NULL, 0};
    }
    return str_dup(l->cx->mem, (struct str){text, n});
}

static void load_dotenv(struct loading *l, enum source source, const char *file) {
    struct str path = str_printf(l->cx->mem, "%.*s/%s", STR_FMT(l->dir), file);
    struct str text = read_file(l, path, file, false);
    size_t line = 0;
    const char *problem;
    if (!text.p)
        return;
    if (!dotenv_parse(l->cx->mem, text, &l->sources[source], &line, &problem))
        complain(l, file, "cannot be read: out of memory");
    else if (line)
        (void)!fail_field(l->cx, str_dup(l->cx->mem, str_of(file)), "line %zu: %s", line, problem);
}

static void load_environment(struct loading *l, char *const *environment) {
    size_t n = 0, count = 0;
    while (environment[n])
        n++;
    struct pair *pairs = NEW_N(l->cx->mem, struct pair, n);
    for (size_t i = 0; pairs && i < n; i++)
        count += str_cut(str_of(environment[i]), '=', &pairs[count].name, &pairs[count].value);
    l->sources[ENVIRONMENT] = (struct list){pairs, count};
    if (!pairs)
        complain(l, "environment", "cannot be read: out of memory");
}

static bool find_in(struct loading *l, enum source from, const struct setting *row, struct str *out) {
    return pairs_find(l->sources[from], str_of(row->name), out) ||
           (row->alias && pairs_find(l->sources[from], str_of(row->alias), out));
}

static void check_alias(struct loading *l, const struct setting *row) {
    struct str value, other;
    for (enum source from = ENVIRONMENT; row->alias && from < SOURCES; from++)
        if (pairs_find(l->sources[from], str_of(row->name), &value) &&
            pairs_find(l->sources[from], str_of(row->alias), &other) && !str_eq(value, other))
            (void)!fail_field(l->cx, str_of(row->name), "and its alias %s are both set, to different values",
                              row->alias);
}

/* The content of the file that NAME_FILE names, without the line's end that editors leave. */
static struct str secret_file(struct loading *l, const char *name) {
    struct str variable = str_printf(l->cx->mem, "%s_FILE", name), path = S(""), text = {NULL, 0};
    enum source from = ENVIRONMENT;
    while (from < SOURCES && !pairs_find(l->sources[from], variable, &path))
        from++;
    if (path.n)
        text = read_file(l, path, name, true);
    while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    return text;
}

static struct str find_value(struct loading *l, const struct setting *row, bool *is_set) {
    struct str text = {NULL, 0};
    *is_set = true;
    if (find_in(l, ENVIRONMENT, row, &text))
        return text;
    if (row->secret && row->type != SETTING_LIST &&
        ((text = secret_file(l, row->name)).p || (row->alias && (text = secret_file(l, row->alias)).p)))
        return text;
    if (find_in(l, DOTENV_OF_ENVIRONMENT, row, &text) || find_in(l, DOTENV, row, &text))
        return text;
    *is_set = false;
    return str_of(row->fallback ? row->fallback : "");
}

static void split(struct str text, char at, struct str *items, size_t *n) {
    while (text.n) {
        struct str one = text, rest = S("");
        str_cut(text, at, &one, &rest);
        if (str_ends(one, S("\r")))
            one = str_sub(one, 0, one.n - 1);
        one = str_trim(one);
        if (one.n)
            items[(*n)++] = one;
        text = rest;
    }
}

static void read_list(struct loading *l, const struct setting *row, struct value *v) {
    struct str lines = row->secret ? secret_file(l, row->name) : S("");
    struct str more = row->secret && row->alias ? secret_file(l, row->alias) : S("");
    struct str *items = NEW_N(l->cx->mem, struct str, v->text.n + lines.n + more.n + 1);
    if (!items) {
        complain(l, row->name, "is too long");
        return;
    }
    split(v->text, ',', items, &v->list.n);
    split(lines, '\n', items, &v->list.n);
    split(more, '\n', items, &v->list.n);
    v->list.items = items;
}

static void read_int(struct loading *l, const struct setting *row, struct value *v) {
    if (!str_int(str_trim(v->text), &v->number))
        complain(l, row->name, "must be an integer");
    else if ((row->min || row->max) && (v->number < row->min || v->number > row->max))
        (void)!fail_field(l->cx, str_of(row->name), "must be from %" PRId64 " to %" PRId64, row->min,
                          row->max);
}

static void read_bool(struct loading *l, const struct setting *row, struct value *v) {
    static const char *const words[] = {"0", "1", "false", "true", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (str_eq_nocase(v->text, str_of(words[i]))) {
            v->number = i % 2;
            return;
        }
    }
    complain(l, row->name, "must be 1 or 0 (or true, false, yes, no, on, off)");
}

static void read_choice(struct loading *l, const struct setting *row, struct value *v) {
    struct buf b = buf_new(l->cx->mem, 4096);
    for (size_t i = 0; row->choices[i]; i++) {
        if (str_eq_nocase(v->text, str_of(row->choices[i]))) {
            v->text = str_of(row->choices[i]);
            return;
        }
        buf_printf(&b, "%s%s", i ? ", " : "", row->choices[i]);
    }
    (void)!fail_field(l->cx, str_of(row->name), "must be one of: %.*s", STR_FMT(buf_str(&b)));
}

static bool parse_rate(struct str text, struct rate *out) {
    struct str count = text, unit = S("s");
    int64_t n, period = US_PER_S;
    str_cut(text, '/', &count, &unit);
    unit = str_trim(unit);
    if (str_eq(unit, S("min")) || str_eq(unit, S("m")))
        period = 60 * US_PER_S;
    else if (str_eq(unit, S("h")))
        period = 3600 * US_PER_S;
    else if (!str_eq(unit, S("s")))
        return false;
    if (!str_int(str_trim(count), &n) || n < 0 || n > 1000000000)
        return false;
    *out = (struct rate){n, period};
    return true;
}

/* In production a secret must be as long as its row's min says and not a few keys held down; where no min is
 * given (a URL with a password in it) nothing can be said. */
static void check_text(struct loading *l, const struct setting *row, struct str text) {
    if (!text.n || (!row->min && !row->max) || (row->secret && !settings_production(l->s)))
        return;
    size_t distinct = 0;
    bool seen[256] = {false};
    for (size_t i = 0; i < text.n; i++) {
        distinct += !seen[(unsigned char)text.p[i]];
        seen[(unsigned char)text.p[i]] = true;
    }
    if ((int64_t)text.n < row->min)
        (void)!fail_field(l->cx, str_of(row->name), "must have at least %" PRId64 " bytes", row->min);
    else if (row->max >= row->min && (int64_t)text.n > row->max)
        (void)!fail_field(l->cx, str_of(row->name), "must have at most %" PRId64 " bytes", row->max);
    else if (row->secret && distinct < DISTINCT_LEAST)
        complain(l, row->name, "is too easy to guess; make one with: openssl rand -hex 32");
}

static void check_rule(struct loading *l, const struct setting *row, const struct value *v) {
    const struct str *items = row->type == SETTING_LIST ? v->list.items : &v->text;
    size_t n = row->type == SETTING_LIST ? v->list.n : v->text.n > 0;
    for (size_t i = 0; row->check && i < n; i++)
        if (!row->check(items[i])) {
            complain(l, row->name, row->rule);
            return;
        }
    if (row->check_all && !row->check_all(&v->list))
        complain(l, row->name, row->rule_all);
}

static void read_value(struct loading *l, const struct setting *row, struct value *v) {
    bool is_set;
    *v = (struct value){.row = row, .text = find_value(l, row, &is_set)};
    check_alias(l, row);
    bool may_be_empty = row->type == SETTING_TEXT || row->type == SETTING_LIST;
    if (is_set && !v->text.n && !may_be_empty)
        v->text = str_of(row->fallback ? row->fallback : "");
    if (strcmp(row->name, "ENVIRONMENT") == 0)
        v->text = l->s->environment;
    if (row->type == SETTING_LIST)
        read_list(l, row, v);
    else if (row->type == SETTING_TEXT)
        check_text(l, row, v->text);
    if (row->production_required && settings_production(l->s) && !v->text.n && !v->list.n)
        complain(l, row->name, "is required in production");
    check_rule(l, row, v);
    if (!v->text.n)
        return;
    if (row->type == SETTING_INT)
        read_int(l, row, v);
    else if (row->type == SETTING_BOOL)
        read_bool(l, row, v);
    else if (row->type == SETTING_CHOICE)
        read_choice(l, row, v);
    else if (row->type == SETTING_RATE && !parse_rate(v->text, &v->rate))
        complain(l, row->name, "must be a number of events per s, min or h, such as 100/s; 0 is off");
}

/* The name of the environment says which .env files count, so it is found first. */
static void find_environment(struct loading *l) {
    static const struct setting row = {.name = "ENVIRONMENT"};
    struct str text = S("");
    if (!find_in(l, ENVIRONMENT, &row, &text) || !text.n)
        find_in(l, DOTENV, &row, &text);
    text = text.n ? text : S("production");
    if (str_eq_nocase(text, S("prod")) || str_eq_nocase(text, S("production")))
        l->s->environment = S("production");
    else if (str_eq_nocase(text, S("stage")))
        l->s->environment = S("stage");
    else if (str_eq_nocase(text, S("local")))
        l->s->environment = S("local");
    else
        complain(l, "ENVIRONMENT", "must be one of: local, stage, production");
    if (l->s->environment.p) {
        char file[32];
        snprintf(file, sizeof file, ".env.%.*s", STR_FMT(l->s->environment));
        load_dotenv(l, DOTENV_OF_ENVIRONMENT, file);
    }
}

enum err settings_load(struct ctx *cx, const struct setting *const *tables, const size_t *counts, size_t n,
                       char *const *environ, struct str dir, struct settings **out) {
    struct settings *s = NEW(cx->mem, struct settings);
    struct loading l = {.cx = cx, .dir = dir, .s = s};
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += counts[i];
    if (!s || !(s->values = NEW_N(cx->mem, struct value, total)))
        return fail(cx, ERR_MEMORY, "The settings do not fit into memory.");
    load_environment(&l, environ);
    load_dotenv(&l, DOTENV, ".env");
    find_environment(&l);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < counts[i]; k++)
            read_value(&l, &tables[i][k], &s->values[s->n++]);
    if (cx->fault.code) {
        cx->fault.code = ERR_USAGE;
        cx->fault.message = S("A setting is missing or wrong.");
        return ERR_USAGE;
    }
    *out = s;
    return OK;
}

static const struct value *find(const struct settings *s, const char *name) {
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->values[i].row->name, name) == 0)
            return &s->values[i];
    assert(!"no table has a setting of that name");
    return NULL;
}

struct str setting_text(const struct settings *s, const char *name) {
    return find(s, name)->text;
}

int64_t setting_int(const struct settings *s, const char *name) { return find(s, name)->number; }

bool setting_bool(const struct settings *s, const char *name) { return find(s, name)->number != 0; }

struct list setting_list(const struct settings *s, const char *name) {
    return find(s, name)->list;
}

struct rate setting_rate(const struct settings *s, const char *name) {
    return find(s, name)->rate;
}

bool settings_production(const struct settings *s) { return str_eq(s->environment, S("production")); }

bool settings_local(const struct settings *s) { return str_eq(s->environment, S("local")); }

/* A value as dotenv_parse reads it back. */
static void print_value(struct str text, struct buf *out) {
    bool plain = true;
    for (size_t i = 0; i < text.n; i++)
        plain = plain && text.p[i] > ' ' && !strchr("\"'\\#$", text.p[i]);
    if (plain) {
        buf_add(out, text);
        return;
    }
    buf_byte(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\n' || c == '\t' || c == '"' || c == '\\' || c == '$')
            buf_byte(out, '\\');
        buf_byte(out, c == '\n' ? 'n' : c == '\t' ? 't' : c);
    }
    buf_byte(out, '"');
}

static void print_row(const struct setting *row, const struct settings *show, struct buf *out) {
    struct str fallback = str_of(row->fallback ? row->fallback : "");
    buf_printf(out, "# %s\n", row->doc);
    if (row->alias)
        buf_printf(out, "# Also read as %s.\n", row->alias);
    if (row->secret)
        buf_printf(out, "# A secret: it may stand in a file that %s_FILE names.\n", row->name);
    for (size_t i = 0; row->type == SETTING_CHOICE && row->choices[i]; i++)
        buf_printf(out, "%s%s%s", i ? " | " : "# One of: ", row->choices[i], row->choices[i + 1] ? "" : "\n");
    struct str value = show ? find(show, row->name)->text : fallback;
    bool hidden = row->secret && value.n;
    if (!show || hidden)
        buf_add(out, S("# "));
    buf_printf(out, "%s=", row->name);
    if (hidden && show)
        buf_add(out, S("(set)"));
    else
        print_value(value, out);
    buf_add(out, S("\n\n"));
}

void settings_print(const struct setting *const *tables, const size_t *counts, size_t n,
                    const struct settings *show, struct buf *out) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < counts[i]; k++)
            print_row(&tables[i][k], show, out);
}
