#include "net/path.h"

#include "base/banned.h"

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool plain(struct str s, bool plus) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '%' || s.p[i] == '\0' || (plus && s.p[i] == '+') || (s.p[i] & 0x80))
            return false;
    return true;
}

bool path_decode(struct arena *mem, struct str s, bool plus, struct str *out) {
    if (plain(s, plus)) {
        *out = s;
        return true;
    }
    char *p = arena_alloc(mem, s.n);
    if (!p)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        int c = (unsigned char)s.p[i];
        if (c == '+' && plus)
            c = ' ';
        if (c == '%') {
            int high = i + 2 < s.n ? hex_value(s.p[i + 1]) : -1;
            int low = i + 2 < s.n ? hex_value(s.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = high * 16 + low;
            i += 2;
        }
        if (c == 0)
            return false;
        p[n++] = (char)c;
    }
    struct str text = {p, n};
    if (!str_utf8_valid(text))
        return false;
    *out = text;
    return true;
}

enum err path_split(struct ctx *cx, struct str path, struct str segments[static PATH_SEGMENTS_MAX],
                    size_t *n) {
    *n = 0;
    if (path.n == 0 || path.p[0] != '/')
        return fail(cx, ERR_MALFORMED, "A path begins with a slash.");
    struct str rest = str_sub(path, 1, path.n);
    for (bool more = rest.n > 0; more;) {
        struct str head = rest, tail = rest;
        more = str_cut(rest, '/', &head, &tail);
        if (*n == PATH_SEGMENTS_MAX)
            return fail(cx, ERR_NOT_FOUND, "There is nothing at this path.");
        if (!path_decode(cx->mem, head, false, &segments[*n]))
            return fail(cx, ERR_MALFORMED, "The path has a broken escape, or is not UTF-8.");
        ++*n;
        rest = tail;
    }
    return OK;
}

void target_cut(struct str target, struct str *path, struct str *query) {
    *path = target;
    *query = (struct str){0};
    str_cut(target, '?', path, query);
}

bool query_next(struct ctx *cx, struct str *query, struct str *name, struct str *value, enum err *e) {
    *e = OK;
    while (query->n > 0) {
        struct str pair = *query, rest = {"", 0};
        str_cut(*query, '&', &pair, &rest);
        *query = rest;
        if (pair.n == 0)
            continue;
        struct str key = pair, text = {"", 0};
        str_cut(pair, '=', &key, &text);
        if (path_decode(cx->mem, key, true, name) && path_decode(cx->mem, text, true, value))
            return true;
        *e = fail(cx, ERR_MALFORMED, "The query has a broken escape, or is not UTF-8.");
        return false;
    }
    return false;
}

void path_encode(struct buf *b, struct str value) {
    static const char HEX[] = "0123456789ABCDEF";
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '_' || c == '.' || c == '~';
        if (!plain) {
            buf_byte(b, '%');
            buf_byte(b, HEX[c >> 4]);
            c = (unsigned char)HEX[c & 15];
        }
        buf_byte(b, (char)c);
    }
}

void query_put(struct buf *b, const char *name, struct str value) {
    if (!value.p)
        return;
    buf_printf(b, "%s=", name);
    path_encode(b, value);
    buf_byte(b, '&');
}
