#include "base/instant.h"

#include "base/date.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/banned.h"

#define LOOK_EVERY (10 * US_PER_MS)
#define US_PER_DAY (86400 * US_PER_S)
#define OFFSET_MAX (INT64_C(100000000000) * US_PER_S) /* some 3,000 years */
#define LATEST INT64_C(253402300799999999)            /* 9999-12-31T23:59:59.999999Z */

/* The file that moves the clock, and what was read from it. Any thread may look; one at a time does. */
struct offset {
    char *file;
    _Atomic int64_t us, looked_at;
    struct timespec
        modified; /* of the content that us comes from; only whoever won looked_at touches these */
    int64_t size;
};

struct clock {
    struct offset *offset; /* NULL: plain wall time */
};

static int64_t read_clock(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

int64_t clock_steady(void) { return read_clock(CLOCK_MONOTONIC); }

static bool digit(char c) { return c >= '0' && c <= '9'; }

/* "-3600", "+1.5": seconds to microseconds, digits after the sixth are cut. */
static bool parse_offset(struct str s, int64_t *out) {
    while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
        s.n--;
    s = str_trim(s);
    bool negative = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_sub(s, 1, s.n);
    struct str whole = s, fraction = S("0");
    str_cut(s, '.', &whole, &fraction);
    if (!whole.n || !fraction.n || whole.n > 12)
        return false;
    int64_t us = 0, unit = US_PER_S / 10;
    for (size_t i = 0; i < whole.n; i++) {
        if (!digit(whole.p[i]))
            return false;
        us = us * 10 + (whole.p[i] - '0') * US_PER_S;
    }
    for (size_t i = 0; i < fraction.n; i++, unit /= 10) {
        if (!digit(fraction.p[i]))
            return false;
        us += (fraction.p[i] - '0') * unit;
    }
    if (us > OFFSET_MAX)
        return false;
    *out = negative ? -us : us;
    return true;
}

/* False, with the last good offset kept, while the file is missing or half written. */
static bool read_offset(struct offset *o) {
    FILE *f = fopen(o->file, "re");
    if (!f)
        return false;
    struct stat st;
    char text[64];
    bool good = fstat(fileno(f), &st) == 0;
    size_t n = good ? fread(text, 1, sizeof text, f) : 0;
    fclose(f);
    int64_t us;
    if (!good || n == sizeof text || !parse_offset((struct str){text, n}, &us))
        return false;
    o->us = us;
    o->modified = st.st_mtim;
    o->size = st.st_size;
    return true;
}

/* A file written twice within one tick of the file system's clock keeps its time, so a young one is read
 * again. */
static bool has_changed(const struct offset *o) {
    struct stat st;
    if (stat(o->file, &st))
        return false;
    int64_t modified = (int64_t)st.st_mtim.tv_sec * US_PER_S + st.st_mtim.tv_nsec / 1000;
    return st.st_size != o->size || st.st_mtim.tv_sec != o->modified.tv_sec ||
           st.st_mtim.tv_nsec != o->modified.tv_nsec ||
           read_clock(CLOCK_REALTIME) - modified < 10 * LOOK_EVERY;
}

struct clock *clock_new(const char *offset_file) {
    struct clock *c = calloc(1, sizeof *c);
    if (!c || !offset_file)
        return c;
    c->offset = calloc(1, sizeof *c->offset);
    if (c->offset)
        c->offset->file = strdup(offset_file);
    if (!c->offset || !c->offset->file || !read_offset(c->offset)) {
        clock_free(c);
        return NULL;
    }
    c->offset->looked_at = clock_steady();
    return c;
}

void clock_free(struct clock *c) {
    if (c && c->offset) {
        free(c->offset->file);
        free(c->offset);
    }
    free(c);
}

/* Whoever moves looked_at on is the one that looks; it is set beyond reach meanwhile. */
static int64_t current_offset(struct offset *o) {
    int64_t now = clock_steady(), last = o->looked_at;
    if (now - last >= LOOK_EVERY && last != INT64_MAX &&
        atomic_compare_exchange_strong(&o->looked_at, &last, INT64_MAX)) {
        if (has_changed(o))
            read_offset(o);
        o->looked_at = now;
    }
    return o->us;
}

struct instant clock_now(const struct clock *c) {
    int64_t us = read_clock(CLOCK_REALTIME);
    return (struct instant){c->offset ? us + current_offset(c->offset) : us};
}

/* n digits at p as a number, -1 if they are none. */
static int number(const char *p, int n) {
    int v = 0;
    for (int i = 0; i < n; i++) {
        if (!digit(p[i]))
            return -1;
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

/* The fraction and the offset; p stands after the seconds. */
static bool parse_rest(const char *p, const char *end, int64_t *fraction, int64_t *offset) {
    *fraction = *offset = 0;
    if (p < end && *p == '.') {
        int64_t unit = US_PER_S / 10;
        const char *first = ++p;
        for (; p < end && digit(*p); p++, unit /= 10)
            *fraction += (*p - '0') * unit;
        if (p == first || p - first > 9)
            return false;
    }
    if (end - p == 1)
        return *p == 'Z' || *p == 'z';
    if (end - p != 6 || (*p != '+' && *p != '-') || p[3] != ':')
        return false;
    int h = number(p + 1, 2), m = number(p + 4, 2);
    *offset = (h * 60 + m) * 60 * US_PER_S * (*p == '-' ? -1 : 1);
    return h >= 0 && h < 24 && m >= 0 && m < 60;
}

bool instant_parse(struct str s, struct instant *out) {
    if (s.n < 20 || s.p[4] != '-' || s.p[7] != '-' || (s.p[10] != 'T' && s.p[10] != 't') || s.p[13] != ':' ||
        s.p[16] != ':')
        return false;
    int y = number(s.p, 4), mo = number(s.p + 5, 2), d = number(s.p + 8, 2);
    int h = number(s.p + 11, 2), mi = number(s.p + 14, 2), sec = number(s.p + 17, 2);
    int64_t fraction, offset;
    if (y < 1970 || mo < 1 || mo > 12 || d < 1 || d > date_month_days(y, mo) || h < 0 || h > 23 || mi < 0 ||
        mi > 59 || sec < 0 || sec > 60 || !parse_rest(s.p + 19, s.p + s.n, &fraction, &offset))
        return false;
    int64_t seconds = (h * 60 + mi) * 60 + (sec == 60 ? 59 : sec);
    int64_t us = date_days((struct date){y, mo, d}) * US_PER_DAY + seconds * US_PER_S + fraction - offset;
    if (us < 0 || us > LATEST)
        return false;
    out->us = us;
    return true;
}

static char *put_digits(char *p, int64_t v, int n) {
    for (int i = n - 1; i >= 0; i--, v /= 10)
        p[i] = (char)('0' + v % 10);
    return p + n;
}

struct str instant_format(struct instant t, char buf[static 32]) {
    int64_t us = t.us < 0 ? 0 : t.us > LATEST ? LATEST : t.us;
    int64_t in_day = us % US_PER_DAY;
    struct date d = date_of(us / US_PER_DAY);
    char *p = put_digits(buf, d.year, 4);
    *p++ = '-';
    p = put_digits(p, d.month, 2);
    *p++ = '-';
    p = put_digits(p, d.day, 2);
    *p++ = 'T';
    p = put_digits(p, in_day / (3600 * US_PER_S), 2);
    *p++ = ':';
    p = put_digits(p, in_day / (60 * US_PER_S) % 60, 2);
    *p++ = ':';
    p = put_digits(p, in_day / US_PER_S % 60, 2);
    if (us % US_PER_S) {
        *p++ = '.';
        p = put_digits(p, us % US_PER_S, 6);
    }
    *p++ = 'Z';
    return (struct str){buf, (size_t)(p - buf)};
}
