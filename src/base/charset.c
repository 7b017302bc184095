#include "base/charset.h"

#include "base/arena.h"

#include <string.h>

#include "base/banned.h"

/* 0x80 to 0x9f; the five that Windows-1252 leaves open stand for themselves. */
static const uint16_t HIGH[32] = {0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                  0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8d,   0x017d, 0x8f,
                                  0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                  0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,   0x017e, 0x0178};

static char *put(char *p, uint32_t c) {
    if (c < 0x80) {
        *p++ = (char)c;
    } else if (c < 0x800) {
        *p++ = (char)(0xc0 | c >> 6);
        *p++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *p++ = (char)(0xe0 | c >> 12);
        *p++ = (char)(0x80 | (c >> 6 & 0x3f));
        *p++ = (char)(0x80 | (c & 0x3f));
    } else {
        *p++ = (char)(0xf0 | c >> 18);
        *p++ = (char)(0x80 | (c >> 12 & 0x3f));
        *p++ = (char)(0x80 | (c >> 6 & 0x3f));
        *p++ = (char)(0x80 | (c & 0x3f));
    }
    return p;
}

size_t charset_from_1252(struct bytes in, char *out) {
    char *p = out;
    for (size_t i = 0; i < in.n; i++)
        p = put(p, in.p[i] >= 0x80 && in.p[i] < 0xa0 ? HIGH[in.p[i] - 0x80] : in.p[i]);
    return (size_t)(p - out);
}

static uint32_t unit(const unsigned char *p, bool big) {
    return big ? (uint32_t)(p[0] << 8 | p[1]) : (uint32_t)(p[1] << 8 | p[0]);
}

static bool is_high(uint32_t unit) { return unit >= 0xd800 && unit < 0xdc00; }
static bool is_low(uint32_t unit) { return unit >= 0xdc00 && unit <= 0xdfff; }

size_t charset_from_16(struct bytes in, bool big, bool final, char *out, size_t *taken) {
    char *p = out;
    size_t i = 0;
    for (; i + 2 <= in.n; i += 2) {
        uint32_t c = unit(in.p + i, big);
        bool pair = is_high(c) && i + 4 <= in.n && is_low(unit(in.p + i + 2, big));
        if (is_high(c) && i + 4 > in.n && !final)
            break;
        if (pair) {
            c = 0x10000 + ((c - 0xd800) << 10) + (unit(in.p + i + 2, big) - 0xdc00);
            i += 2;
        }
        p = put(p, c); /* half a pair has three bytes that RFC 3629 does not allow */
    }
    if (final && i < in.n) {
        *p++ = (char)0xff;
        i++;
    }
    *taken = i;
    return (size_t)(p - out);
}

bool charset_looks_like_16(struct bytes in, bool *big) {
    size_t n = in.n < 64 ? in.n / 2 : 32, even = 0, odd = 0;
    for (size_t i = 0; i < n; i++) {
        even += in.p[2 * i] == 0;
        odd += in.p[2 * i + 1] == 0;
    }
    *big = even > odd;
    return n >= 2 && (even > odd ? even * 4 >= n * 3 && odd == 0 : odd * 4 >= n * 3 && even == 0);
}

static bool all_from_1252(struct arena *mem, struct bytes in, struct str *out) {
    char *to = arena_alloc_n(mem, 3, in.n + 1);
    if (to)
        *out = (struct str){to, charset_from_1252(in, to)};
    return to != NULL;
}

static bool all_from_16(struct arena *mem, struct bytes in, bool big, struct str *out) {
    char *to = arena_alloc_n(mem, 3, in.n / 2 + 1);
    size_t taken;
    if (!to)
        return false;
    struct str text = {to, charset_from_16(in, big, true, to, &taken)};
    if (!str_utf8_valid(text))
        return false;
    *out = text;
    return true;
}

bool charset_to_utf8(struct arena *mem, struct bytes in, struct str *out, const char **encoding) {
    struct str text = {(const char *)in.p, in.n};
    bool big = in.n >= 2 && in.p[0] == 0xfe && in.p[1] == 0xff;
    if (str_starts(text, S("\xef\xbb\xbf")))
        text = str_sub(text, 3, text.n);
    if (big || (in.n >= 2 && in.p[0] == 0xff && in.p[1] == 0xfe)) {
        *encoding = big ? "UTF-16BE" : "UTF-16LE";
        return all_from_16(mem, (struct bytes){in.p + 2, in.n - 2}, big, out);
    }
    if (charset_looks_like_16(in, &big)) {
        *encoding = big ? "UTF-16BE" : "UTF-16LE";
        return all_from_16(mem, in, big, out);
    }
    if (str_utf8_valid(text)) {
        *encoding = "UTF-8";
        *out = text;
        return true;
    }
    *encoding = "Windows-1252";
    return all_from_1252(mem, in, out);
}
