#include "base/dotenv.h"

#include "base/arena.h"

#include <string.h>

#include "base/banned.h"

static bool is_name(struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return s.n > 0;
}

static bool is_comment(struct str s) {
    s = str_trim(s);
    return s.n == 0 || s.p[0] == '#';
}

/* s begins with the quote; the value ends at the next one that is not escaped. */
static const char *quoted(struct arena *mem, struct str s, struct str *value) {
    char quote = s.p[0], *p = arena_alloc(mem, s.n);
    size_t n = 0, i = 1;
    if (!p)
        return "there is not enough memory";
    for (; i < s.n && s.p[i] != quote; i++) {
        char c = s.p[i];
        if (quote == '"' && c == '\\' && i + 1 < s.n) {
            c = s.p[++i];
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
        }
        p[n++] = c;
    }
    if (i >= s.n)
        return "a quote is not closed";
    if (!is_comment(str_sub(s, i + 1, s.n)))
        return "something follows the closing quote";
    *value = (struct str){p, n};
    return NULL;
}

static struct str unquoted(struct str s) {
    for (size_t i = 1; i < s.n; i++)
        if (s.p[i] == '#' && (s.p[i - 1] == ' ' || s.p[i - 1] == '\t'))
            return str_trim(str_sub(s, 0, i));
    return s;
}

static const char *parse_line(struct arena *mem, struct str line, struct pair *out) {
    struct str name, value;
    if (!str_cut(line, '=', &name, &value))
        return "it is not of the form NAME=value";
    name = str_trim(name);
    if (str_starts(name, S("export ")) || str_starts(name, S("export\t")))
        name = str_trim(str_sub(name, 7, name.n));
    if (!is_name(name))
        return "a name takes letters, digits and _ and begins with no digit";
    value = str_trim(value);
    out->name = name;
    out->value = S("");
    if (value.n && (value.p[0] == '"' || value.p[0] == '\''))
        return quoted(mem, value, &out->value);
    if (value.n && value.p[0] != '#')
        out->value = unquoted(value);
    return NULL;
}

static size_t count_lines(struct str s) {
    size_t n = 1;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '\n';
    return n;
}

bool dotenv_parse(struct arena *mem, struct str text, struct list *pairs, size_t *line,
                  const char **problem) {
    struct pair *list = NEW_N(mem, struct pair, count_lines(text));
    size_t n = 0;
    *line = 0;
    if (!list)
        return false;
    if (str_starts(text, S("\xEF\xBB\xBF")))
        text = str_sub(text, 3, text.n);
    for (size_t number = 1; text.n; number++) {
        struct str one = text, rest = S("");
        str_cut(text, '\n', &one, &rest);
        text = rest;
        if (str_ends(one, S("\r")))
            one = str_sub(one, 0, one.n - 1);
        if (is_comment(one))
            continue;
        const char *wrong = memchr(one.p, '\0', one.n) ? "it holds a NUL" : parse_line(mem, one, &list[n]);
        if (!wrong) {
            n++;
        } else if (!*line) {
            *line = number;
            *problem = wrong;
        }
    }
    *pairs = (struct list){list, n};
    return true;
}

bool pairs_find(struct list pairs, struct str name, struct str *value) {
    const struct pair *list = pairs.items;
    for (size_t i = pairs.n; i-- > 0;) {
        if (str_eq(list[i].name, name)) {
            *value = list[i].value;
            return true;
        }
    }
    return false;
}
