#include "base/str.h"

#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/banned.h"

struct str str_of(const char *z) {
    return (struct str){z, z ? strlen(z) : 0};
}

bool str_eq(struct str a, struct str b) { return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); }

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

bool str_eq_nocase(struct str a, struct str b) {
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

int str_cmp(struct str a, struct str b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, struct str prefix) {
    return s.n >= prefix.n && str_eq((struct str){s.p, prefix.n}, prefix);
}

bool str_ends(struct str s, struct str suffix) {
    return s.n >= suffix.n && str_eq(str_sub(s, s.n - suffix.n, suffix.n), suffix);
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

struct str str_trim(struct str s) {
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    while (s.n && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    return s;
}

bool str_cut(struct str s, char at, struct str *head, struct str *tail) {
    const char *found = s.n ? memchr(s.p, at, s.n) : NULL;
    if (!found)
        return false;
    size_t n = (size_t)(found - s.p);
    *head = (struct str){s.p, n};
    *tail = (struct str){found + 1, s.n - n - 1};
    return true;
}

struct str str_sub(struct str s, size_t from, size_t n) {
    if (!s.p)
        return s;
    if (from > s.n)
        from = s.n;
    return (struct str){s.p + from, n < s.n - from ? n : s.n - from};
}

char *str_z(struct arena *mem, struct str s) {
    char *z = arena_alloc(mem, s.n + 1);
    if (z && s.n)
        memcpy(z, s.p, s.n);
    return z;
}

struct str str_dup(struct arena *mem, struct str s) {
    char *p = s.p ? str_z(mem, s) : NULL;
    return (struct str){p, p ? s.n : 0};
}

struct str str_printf(struct arena *mem, const char *fmt, ...) {
    char small[256];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    char *p = n < 0 ? NULL : arena_alloc(mem, (size_t)n + 1);
    if (!p)
        return (struct str){NULL, 0};
    if ((size_t)n < sizeof small) {
        memcpy(p, small, (size_t)n);
    } else {
        va_start(args, fmt);
        vsnprintf(p, (size_t)n + 1, fmt, args);
        va_end(args);
    }
    return (struct str){p, (size_t)n};
}

bool str_int(struct str s, int64_t *out) {
    size_t i = s.n && s.p[0] == '-';
    bool negative = i == 1;
    if (i == s.n || s.n - i > 19 || (s.p[i] == '0' && s.n > 1))
        return false;
    uint64_t v = 0; /* 19 digits fit */
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    if (v > (uint64_t)INT64_MAX + negative)
        return false;
    *out = (int64_t)(negative ? 0 - v : v);
    return true;
}

#define HIGH_BITS UINT64_C(0x8080808080808080)

static bool is_ascii_word(const char *p) {
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return !(w & HIGH_BITS);
}

/* Length of the sequence at p, 0 if it is none that RFC 3629 allows. */
static size_t sequence(const unsigned char *p, size_t left) {
    unsigned char c = p[0];
    if (c < 0x80)
        return 1;
    if (c < 0xC2 || c > 0xF4)
        return 0;
    size_t n = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    if (n > left)
        return 0;
    unsigned char least = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    unsigned char most = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < least || p[1] > most)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return n;
}

size_t str_utf8_next(struct str s) { return s.n ? sequence((const unsigned char *)s.p, s.n) : 0; }

bool str_utf8_valid(struct str s) {
    for (size_t i = 0, n; i < s.n; i += n) {
        if (s.n - i >= sizeof(uint64_t) && is_ascii_word(s.p + i))
            n = sizeof(uint64_t);
        else if (!(n = sequence((const unsigned char *)s.p + i, s.n - i)))
            return false;
    }
    return true;
}

size_t str_utf8_count(struct str s) {
    size_t count = 0;
    for (size_t i = 0; i < s.n; i++)
        count += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return count;
}
