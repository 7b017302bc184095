#include "base/json.h"

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

void json_begin(struct json_reader *r, struct arena *mem, struct str text) {
    const char *p = text.p ? text.p : "";
    *r = (struct json_reader){.mem = mem, .start = p, .p = p, .end = p + text.n};
}

bool json_stop(struct json_reader *r, const char *problem) {
    if (!r->problem)
        r->problem = problem;
    return false;
}

bool json_stop_for_memory(struct json_reader *r) {
    r->out_of_memory = r->out_of_memory || !r->problem;
    return json_stop(r, "there is not enough memory");
}

static void skip_space(struct json_reader *r) {
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
        r->p++;
}

bool json_end(struct json_reader *r) {
    if (r->problem)
        return false;
    skip_space(r);
    return r->p == r->end || json_stop(r, "something follows the value");
}

enum json_type json_peek(struct json_reader *r) {
    if (r->problem)
        return JSON_BAD;
    skip_space(r);
    switch (r->p < r->end ? *r->p : '\0') {
    case 'n':
        return JSON_NULL;
    case 't':
    case 'f':
        return JSON_BOOL;
    case '"':
        return JSON_STRING;
    case '[':
        return JSON_ARRAY;
    case '{':
        return JSON_OBJECT;
    case '-':
    case '0' ... '9':
        return JSON_NUMBER;
    default:
        return JSON_BAD;
    }
}

/* Says what is wrong when a value of one type was wanted and another, or none, stands there. */
static bool expect(struct json_reader *r, enum json_type type, const char *otherwise) {
    enum json_type found = json_peek(r);
    if (found == type)
        return true;
    if (found != JSON_BAD)
        return json_stop(r, otherwise);
    return json_stop(r,
                     r->p < r->end ? "no value begins like this" : "the text ends where a value is expected");
}

#define ONES UINT64_C(0x0101010101010101)
#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Not zero if one of the eight bytes is a quote, a backslash or a control character. A byte beyond ASCII
 * never is: its high bit is masked out. */
static uint64_t has_special(uint64_t w) {
    uint64_t quote = w ^ ONES * '"', backslash = w ^ ONES * '\\';
    return ((quote - ONES) | (backslash - ONES) | (w - ONES * 0x20)) & ~w & HIGH_BITS;
}

static bool is_special(char c) { return c == '"' || c == '\\' || (unsigned char)c < 0x20; }

/* The first special character from p on, or end; *high gets bits beyond ASCII that were seen on the way. */
static const char *find_special(const char *p, const char *end, uint64_t *high) {
    uint64_t w;
    for (; end - p >= 8; p += 8) {
        memcpy(&w, p, sizeof w);
        if (has_special(w))
            break;
        *high |= w & HIGH_BITS;
    }
    for (; p < end && !is_special(*p); p++)
        *high |= (unsigned char)*p & 0x80u;
    return p;
}

static int hex4(const char *p, const char *end) {
    int v = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i], low = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            v = v << 4 | (c - '0');
        else if (low >= 'a' && low <= 'f')
            v = v << 4 | (low - 'a' + 10);
        else
            return -1;
    }
    return v;
}

static char *put_utf8(char *out, int c) {
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xC0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *out++ = (char)(0xE0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    } else {
        *out++ = (char)(0xF0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3F));
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    }
    return out;
}

/* r->p stands at the u of \uXXXX; a pair of surrogates is one character. NULL with the problem set if it is
 * none. */
static char *unicode_escape(struct json_reader *r, char *out) {
    int c = hex4(r->p + 1, r->end);
    if (c < 0)
        return json_stop(r, "\\u wants four hexadecimal digits"), NULL;
    if (c == 0)
        return json_stop(r, "a string holds the character U+0000"), NULL;
    r->p += 5;
    if (c >= 0xD800 && c <= 0xDFFF) {
        int low = c < 0xDC00 && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u'
                      ? hex4(r->p + 2, r->end)
                      : -1;
        if (low < 0xDC00 || low > 0xDFFF)
            return json_stop(r, "a surrogate stands alone"), NULL;
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        r->p += 6;
    }
    return put_utf8(out, c);
}

static char *escape(struct json_reader *r, char *out) {
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    r->p++;
    char c = r->p < r->end ? *r->p : '\0';
    if (c == 'u')
        return unicode_escape(r, out);
    const char *found = c ? strchr(letters, c) : NULL;
    if (!found)
        return json_stop(r, "a backslash begins no known escape"), NULL;
    r->p++;
    *out++ = meanings[found - letters];
    return out;
}

/* The closing quote of a string of which p is within, so that its copy can be as long as its source. */
static const char *find_close(const char *p, const char *end) {
    uint64_t high = 0;
    while ((p = find_special(p, end, &high)) < end && *p == '\\')
        p = end - p > 2 ? p + 2 : end;
    return p;
}

/* A string with escapes: text was read up to the first one, at r->p. An unescaped string is never longer. */
static bool escaped_string(struct json_reader *r, const char *text, struct str *out) {
    size_t most = (size_t)(find_close(r->p, r->end) - text);
    char *copy = arena_alloc(r->mem, most), *to = copy;
    if (!copy)
        return json_stop_for_memory(r);
    uint64_t high = 0;
    for (;;) {
        const char *special = find_special(r->p, r->end, &high);
        memcpy(to, text, (size_t)(special - text));
        to += special - text;
        r->p = special;
        if (special == r->end || *special != '\\')
            break;
        if (!(to = escape(r, to)))
            return false;
        text = r->p;
    }
    *out = (struct str){copy, (size_t)(to - copy)};
    return true;
}

bool json_string(struct json_reader *r, struct str *out) {
    if (!expect(r, JSON_STRING, "a string is expected"))
        return false;
    const char *text = ++r->p;
    uint64_t high = 0;
    r->p = find_special(text, r->end, &high);
    struct str s = {text, (size_t)(r->p - text)};
    if (r->p < r->end && *r->p == '\\') {
        high = 1; /* more may follow */
        if (!escaped_string(r, text, &s))
            return false;
    }
    if (r->p == r->end)
        return json_stop(r, "a string is not closed");
    if (*r->p != '"')
        return json_stop(r, "a string holds a control character");
    if (high && !str_utf8_valid(s))
        return json_stop(r, "a string is not valid UTF-8");
    r->p++;
    *out = s;
    return true;
}

static bool digits(struct json_reader *r) {
    const char *first = r->p;
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
        r->p++;
    return r->p > first;
}

bool json_number(struct json_reader *r, struct str *out) {
    if (!expect(r, JSON_NUMBER, "a number is expected"))
        return false;
    const char *first = r->p;
    r->p += *r->p == '-';
    const char *whole = r->p;
    if (!digits(r))
        return json_stop(r, "a number has no digits");
    if (*whole == '0' && r->p - whole > 1)
        return json_stop(r, "a number begins with a zero too many");
    if (r->p < r->end && *r->p == '.') {
        r->p++;
        if (!digits(r))
            return json_stop(r, "a number has no digits after its point");
    }
    if (r->p < r->end && (*r->p | 0x20) == 'e') {
        r->p++;
        if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
            r->p++;
        if (!digits(r))
            return json_stop(r, "a number has no digits in its exponent");
    }
    *out = (struct str){first, (size_t)(r->p - first)};
    return true;
}

static bool word(struct json_reader *r, struct str w) {
    if ((size_t)(r->end - r->p) < w.n || memcmp(r->p, w.p, w.n) != 0)
        return json_stop(r, "only true, false and null are written without quotes");
    r->p += w.n;
    return true;
}

bool json_bool(struct json_reader *r, bool *out) {
    if (!expect(r, JSON_BOOL, "true or false is expected"))
        return false;
    bool value = *r->p == 't';
    if (!word(r, value ? S("true") : S("false")))
        return false;
    *out = value;
    return true;
}

bool json_null(struct json_reader *r) {
    return expect(r, JSON_NULL, "null is expected") && word(r, S("null"));
}

bool json_enter(struct json_reader *r, enum json_type type) {
    if (!expect(r, type, type == JSON_OBJECT ? "an object is expected" : "an array is expected"))
        return false;
    if (r->depth == JSON_DEPTH_MAX)
        return json_stop(r, "it is nested too deeply");
    r->depth++;
    r->p++;
    return true;
}

static bool is_at(struct json_reader *r, char c) { return r->p < r->end && *r->p == c; }

bool json_next(struct json_reader *r, struct str *key, bool *first) {
    if (r->problem)
        return false;
    skip_space(r);
    if (is_at(r, key ? '}' : ']')) {
        r->p++;
        r->depth--;
        return false;
    }
    if (!*first) {
        if (!is_at(r, ','))
            return json_stop(r, r->p == r->end ? "an array or object is not closed"
                                               : "a comma or a bracket is missing");
        r->p++;
    }
    *first = false;
    if (!key)
        return true;
    if (!json_string(r, key))
        return false;
    skip_space(r);
    if (!is_at(r, ':'))
        return json_stop(r, "a colon is missing after a key");
    r->p++;
    return true;
}

bool json_keys_add(struct json_reader *r, struct json_keys *keys, struct str key) {
    if (keys->n == keys->cap) {
        size_t cap = keys->cap ? keys->cap * 2 : 8;
        struct str *list = NEW_N(r->mem, struct str, cap);
        if (!list)
            return json_stop_for_memory(r);
        if (keys->n)
            memcpy(list, keys->list, keys->n * sizeof *list);
        keys->list = list;
        keys->cap = cap;
    }
    keys->list[keys->n++] = key;
    return true;
}

static int compare_keys(const void *a, const void *b) {
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

bool json_keys_check(struct json_reader *r, struct json_keys *keys) {
    if (r->problem)
        return false;
    if (keys->n > 1)
        qsort(keys->list, keys->n, sizeof *keys->list, compare_keys);
    for (size_t i = 1; i < keys->n; i++)
        if (str_eq(keys->list[i - 1], keys->list[i]))
            return json_stop(r, JSON_KEY_TWICE);
    return true;
}

static bool skip_value(struct json_reader *r);

static bool skip_members(struct json_reader *r) {
    struct json_keys keys = {0};
    struct str key;
    bool first = true;
    if (!json_enter(r, JSON_OBJECT))
        return false;
    while (json_next(r, &key, &first))
        if (!json_keys_add(r, &keys, key) || !skip_value(r))
            return false;
    return json_keys_check(r, &keys);
}

static bool skip_items(struct json_reader *r) {
    bool first = true;
    if (!json_enter(r, JSON_ARRAY))
        return false;
    while (json_next(r, NULL, &first))
        if (!skip_value(r))
            return false;
    return !r->problem;
}

static bool skip_value(struct json_reader *r) {
    struct str s;
    bool b;
    switch (json_peek(r)) {
    case JSON_NULL:
        return json_null(r);
    case JSON_BOOL:
        return json_bool(r, &b);
    case JSON_NUMBER:
        return json_number(r, &s);
    case JSON_ARRAY:
        return skip_items(r);
    case JSON_OBJECT:
        return skip_members(r);
    default:
        return json_string(r, &s);
    }
}

bool json_skip(struct json_reader *r, struct str *raw) {
    json_peek(r); /* passes the space before it */
    const char *first = r->p;
    if (!skip_value(r))
        return false;
    *raw = (struct str){first, (size_t)(r->p - first)};
    return true;
}

static void put_escape(struct buf *b, char c) {
    static const char controls[] = "\b\f\n\r\t", letters[] = "bfnrt";
    const char *found = c ? strchr(controls, c) : NULL;
    buf_byte(b, '\\');
    if (found) {
        buf_byte(b, letters[found - controls]);
    } else if (c == '"' || c == '\\') {
        buf_byte(b, c);
    } else {
        buf_add(b, S("u00"));
        buf_byte(b, (char)('0' + (c >> 4)));
        buf_byte(b, "0123456789abcdef"[c & 15]);
    }
}

/* What comes from libraries or the environment may be no UTF-8; what leaves is, with U+FFFD for each wrong
 * byte. */
static void put_repaired(struct buf *b, struct str s) {
    while (s.n) {
        size_t n = str_utf8_next(s);
        buf_add(b, n ? str_sub(s, 0, n) : S("\xEF\xBF\xBD"));
        s = str_sub(s, n ? n : 1, s.n);
    }
}

void json_put_string(struct buf *b, struct str s) {
    if (!s.p) {
        buf_add(b, S("null"));
        return;
    }
    const char *p = s.p, *end = s.p + s.n;
    buf_byte(b, '"');
    while (p < end) {
        uint64_t high = 0;
        const char *special = find_special(p, end, &high);
        struct str run = {p, (size_t)(special - p)};
        if (high && !str_utf8_valid(run))
            put_repaired(b, run);
        else
            buf_add(b, run);
        if (special < end)
            put_escape(b, *special++);
        p = special;
    }
    buf_byte(b, '"');
}

void json_put_key(struct buf *b, bool *first, struct str key) {
    if (!*first)
        buf_byte(b, ',');
    *first = false;
    json_put_string(b, key);
    buf_byte(b, ':');
}
