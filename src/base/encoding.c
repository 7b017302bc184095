#include "base/arena.h"
#include "base/str.h"

#include "base/banned.h"

struct str hex_encode(struct arena *mem, struct bytes b) {
    char *p = arena_alloc_n(mem, 2, b.n);
    if (!p)
        return (struct str){NULL, 0};
    for (size_t i = 0; i < b.n; i++) {
        p[2 * i] = "0123456789abcdef"[b.p[i] >> 4];
        p[2 * i + 1] = "0123456789abcdef"[b.p[i] & 15];
    }
    return (struct str){p, 2 * b.n};
}

static int nibble(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool hex_decode(struct arena *mem, struct str s, struct bytes *out) {
    unsigned char *p = s.n % 2 == 0 ? arena_alloc(mem, s.n / 2) : NULL;
    if (!p)
        return false;
    for (size_t i = 0; i < s.n; i += 2) {
        int high = nibble(s.p[i]), low = nibble(s.p[i + 1]);
        if (high < 0 || low < 0)
            return false;
        p[i / 2] = (unsigned char)(high << 4 | low);
    }
    *out = (struct bytes){p, s.n / 2};
    return true;
}

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

struct str base64url_encode(struct arena *mem, struct bytes b) {
    size_t n = b.n / 3 * 4 + (b.n % 3 ? b.n % 3 + 1 : 0);
    char *p = arena_alloc(mem, n);
    if (!p)
        return (struct str){NULL, 0};
    uint32_t bits = 0;
    unsigned held = 0;
    size_t at = 0;
    for (size_t i = 0; i < b.n; i++) {
        bits = bits << 8 | b.p[i];
        for (held += 8; held >= 6; held -= 6)
            p[at++] = base64url[bits >> (held - 6) & 63];
    }
    if (held)
        p[at] = base64url[bits << (6 - held) & 63];
    return (struct str){p, n};
}

static int sextet(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* One text for one value: bits that are left over must be zero, as RFC 4648 section 3.5 lets a decoder
 * insist. */
bool base64url_decode(struct arena *mem, struct str s, struct bytes *out) {
    size_t n = s.n / 4 * 3 + (s.n % 4 ? s.n % 4 - 1 : 0);
    unsigned char *p = s.n % 4 != 1 ? arena_alloc(mem, n) : NULL;
    if (!p)
        return false;
    uint32_t bits = 0;
    unsigned held = 0;
    size_t at = 0;
    for (size_t i = 0; i < s.n; i++) {
        int v = sextet(s.p[i]);
        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        held += 6;
        if (held >= 8) {
            held -= 8;
            p[at++] = (unsigned char)(bits >> held);
        }
    }
    if (bits & ((1u << held) - 1))
        return false;
    *out = (struct bytes){p, n};
    return true;
}
