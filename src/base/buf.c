#include "base/arena.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/banned.h"

#define SMALLEST 64

struct buf buf_new(struct arena *mem, size_t max) {
    return (struct buf){.mem = mem, .max = max < PTRDIFF_MAX ? max : PTRDIFF_MAX};
}

/* Makes room for more bytes and one NUL, which vsnprintf wants; it does not count towards the ceiling. */
static bool grow(struct buf *b, size_t more) {
    if (b->failed || more > b->max - b->n) {
        b->failed = true;
        return false;
    }
    size_t wanted = b->cap * 2 > SMALLEST ? b->cap * 2 : SMALLEST;
    if (wanted > b->max + 1)
        wanted = b->max + 1;
    if (wanted < b->n + more + 1)
        wanted = b->n + more + 1;
    if (b->p && arena_extend(b->mem, b->p, b->cap, wanted)) {
        b->cap = wanted;
        return true;
    }
    char *p = arena_alloc(b->mem, wanted);
    if (!p) {
        b->failed = true;
        return false;
    }
    if (b->n)
        memcpy(p, b->p, b->n);
    b->p = p;
    b->cap = wanted;
    return true;
}

static bool has_room(struct buf *b, size_t more) {
    return (!b->failed && more < b->cap - b->n) || grow(b, more);
}

void buf_add(struct buf *b, struct str s) {
    if (s.n && has_room(b, s.n)) {
        memcpy(b->p + b->n, s.p, s.n);
        b->n += s.n;
    }
}

void buf_byte(struct buf *b, char c) {
    if (has_room(b, 1))
        b->p[b->n++] = c;
}

void buf_int(struct buf *b, int64_t v) {
    char digits[20];
    size_t at = sizeof digits;
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do
        digits[--at] = (char)('0' + left % 10);
    while (left /= 10);
    if (v < 0)
        digits[--at] = '-';
    buf_add(b, (struct str){digits + at, sizeof digits - at});
}

void buf_printf(struct buf *b, const char *fmt, ...) {
    if (b->failed)
        return;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(b->p ? b->p + b->n : NULL, b->cap - b->n, fmt, args);
    va_end(args);
    if (n < 0) {
        b->failed = true;
        return;
    }
    if ((size_t)n >= b->cap - b->n) {
        if (!grow(b, (size_t)n))
            return;
        va_start(args, fmt);
        vsnprintf(b->p + b->n, b->cap - b->n, fmt, args);
        va_end(args);
    }
    b->n += (size_t)n;
}
