#include "base/uuid.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include "base/banned.h"

/* The exceptions to "no state": order is a property of the process, so every caller shares the last
 * value, and each thread keeps a small stock of random bytes, since a system call for each id would cost more
 * than the id. The stock is never inherited to any use: this process starts others only by exec. */
static _Atomic uint64_t last_time; /* milliseconds << 12 | counter within the millisecond */

struct stock {
    uint8_t bytes[256];
    size_t left;
};
static _Thread_local struct stock stock;

static void take_random(uint8_t *out, size_t n) {
    if (stock.left < n) {
        ssize_t got = getrandom(stock.bytes, sizeof stock.bytes, 0);
        assert(got == sizeof stock.bytes); /* getrandom(2): up to 256 bytes never fail once the pool is up */
        stock.left = sizeof stock.bytes;
    }
    stock.left -= n;
    memcpy(out, stock.bytes + stock.left, n);
}

/* The counter takes the place of rand_a (RFC 9562 section 6.2, method 1); when it is full or the clock goes
 * back, the time runs ahead of the clock instead. */
static uint64_t next_time(struct instant now) {
    uint64_t wanted = (uint64_t)(now.us > 0 ? now.us / US_PER_MS : 0) << 12;
    uint64_t last = atomic_load_explicit(&last_time, memory_order_relaxed), next;
    do
        next = wanted > last ? wanted : last + 1;
    while (!atomic_compare_exchange_weak_explicit(&last_time, &last, next, memory_order_relaxed,
                                                  memory_order_relaxed));
    return next;
}

/* Ids that follow from a seed; a third exception, for as long as somebody asks for it. */
struct repeat {
    bool on;
    uint64_t state, last;
};
static _Thread_local struct repeat repeat;

void uuid_repeat(uint64_t seed) { repeat = (struct repeat){.on = seed != 0, .state = seed}; }

static uint64_t repeat_time(struct instant now) {
    uint64_t wanted = (uint64_t)(now.us > 0 ? now.us / US_PER_MS : 0) << 12;
    return repeat.last = wanted > repeat.last ? wanted : repeat.last + 1;
}

/* splitmix64 */
static void repeat_random(uint8_t out[static 8]) {
    uint64_t z = repeat.state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    z ^= z >> 31;
    memcpy(out, &z, sizeof z);
}

struct uuid uuid_new(struct instant now) {
    struct uuid u;
    uint64_t time = repeat.on ? repeat_time(now) : next_time(now);
    for (int i = 0; i < 6; i++)
        u.b[i] = (uint8_t)(time >> (52 - 8 * i));
    u.b[6] = (uint8_t)(0x70 | (time >> 8 & 0x0F));
    u.b[7] = (uint8_t)time;
    if (repeat.on)
        repeat_random(u.b + 8);
    else
        take_random(u.b + 8, 8);
    u.b[8] = (uint8_t)(0x80 | (u.b[8] & 0x3F));
    return u;
}

struct uuid uuid_first(struct instant t) {
    struct uuid u = {0};
    uint64_t ms = (uint64_t)(t.us > 0 ? t.us / US_PER_MS : 0);
    for (int i = 0; i < 6; i++)
        u.b[i] = (uint8_t)(ms >> (40 - 8 * i));
    return u;
}

static int nibble(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool has_dash(size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

bool uuid_parse(struct str s, struct uuid *out) {
    if (s.n != 36)
        return false;
    struct uuid u;
    for (size_t i = 0, at = 0; i < 36;) {
        if (has_dash(i)) {
            if (s.p[i++] != '-')
                return false;
            continue;
        }
        int high = nibble(s.p[i]), low = nibble(s.p[i + 1]);
        if (high < 0 || low < 0)
            return false;
        u.b[at++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    *out = u;
    return true;
}

struct str uuid_format(struct uuid u, char buf[static 36]) {
    size_t at = 0;
    for (int i = 0; i < 16; i++) {
        if (has_dash(at))
            buf[at++] = '-';
        buf[at++] = "0123456789abcdef"[u.b[i] >> 4];
        buf[at++] = "0123456789abcdef"[u.b[i] & 15];
    }
    return (struct str){buf, 36};
}

bool uuid_eq(struct uuid a, struct uuid b) { return memcmp(a.b, b.b, sizeof a.b) == 0; }

bool uuid_is_nil(struct uuid u) {
    static const struct uuid nil;
    return uuid_eq(u, nil);
}
