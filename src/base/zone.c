#include "base/zone.h"

#include "base/date.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/banned.h"

#define FOLDER "/usr/share/zoneinfo/"
#define FILE_MAX_BYTES 65536
#define DAY_S 86400
#define FARTHEST (INT64_C(400000) * 366 * DAY_S) /* so far ahead no rule of a year is looked at */
#define CHANGE_MAX (INT64_C(1) << 60)            /* RFC 8536 wants none before -2^59 */
#define OFFSET_MAX 93599                         /* RFC 8536: 25:59:59 ahead, 24:59:59 behind */
#define OFFSET_MIN (-89999)

/* One date of the rule that goes on for ever (POSIX TZ): Mm.w.d, Jn (the leap day is never counted), or n. */
struct rule_date {
    enum { MONTHLY, JULIAN, DAY } form;
    int month, week, day;
    int64_t time; /* on the wall clock that is being left, from the day's midnight */
};

struct rule {
    bool there, summer;
    int64_t standard, ahead; /* offsets: as always, and between begin and end */
    struct rule_date begin, end;
};

struct zone {
    const int64_t *at;     /* n changes, ascending */
    const int64_t *offset; /* n + 1: [0] before the first of them */
    size_t n;
    struct rule rule; /* after the last of them */
};

/* What is left of a file; any reading past its end is remembered. */
struct reader {
    const unsigned char *p;
    size_t n;
    bool failed;
};

static const unsigned char *take(struct reader *r, size_t n) {
    static const unsigned char nothing[64];
    const unsigned char *p = r->p;
    if (r->failed || r->n < n) {
        r->failed = true;
        return nothing;
    }
    r->p += n;
    r->n -= n;
    return p;
}

static int64_t big_endian(const unsigned char *p, int bytes) {
    uint64_t v = p[0] & 0x80 ? UINT64_MAX : 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return (int64_t)v;
}

/* In the order of the file. */
enum { UT_MARKS, STANDARD_MARKS, LEAPS, TIMES, TYPES, CHARS, COUNTS };
#define VERSION_AT 4

/* A header; the version, or 0 where there is none. */
static int header(struct reader *r, size_t count[COUNTS]) {
    const unsigned char *p = take(r, 44);
    if (r->failed || memcmp(p, "TZif", 4) != 0)
        return 0;
    for (int i = 0; i < COUNTS; i++) {
        int64_t n = big_endian(p + 20 + i * 4, 4);
        if (n < 0 || n > FILE_MAX_BYTES)
            return 0;
        count[i] = (size_t)n;
    }
    return p[VERSION_AT] >= '2' ? p[VERSION_AT] : 0;
}

static bool number(struct reader *r, int64_t most, int64_t *out) {
    size_t digits = 0;
    *out = 0;
    while (r->n && *r->p >= '0' && *r->p <= '9' && digits++ < 4)
        *out = *out * 10 + (*take(r, 1) - '0');
    return digits > 0 && *out <= most;
}

static bool next_is(struct reader *r, char c) {
    if (!r->n || *r->p != (unsigned char)c)
        return false;
    take(r, 1);
    return true;
}

/* "EST", "<+03>": of no use here. */
static bool skip_name(struct reader *r) {
    size_t n = 0;
    if (next_is(r, '<')) {
        while (r->n && !next_is(r, '>'))
            take(r, 1), n++;
        return n > 0;
    }
    while (r->n && ((*r->p | 32) >= 'a' && (*r->p | 32) <= 'z'))
        take(r, 1), n++;
    return n > 0;
}

/* [+-]h[h[h]][:mm[:ss]] */
static bool clock_time(struct reader *r, int64_t hours_max, int64_t *out) {
    int64_t sign = next_is(r, '-') ? -1 : 1, h, m = 0, s = 0;
    if (sign == 1)
        (void)next_is(r, '+');
    if (!number(r, hours_max, &h) || (next_is(r, ':') && !number(r, 59, &m)) ||
        (m >= 0 && next_is(r, ':') && !number(r, 59, &s)))
        return false;
    *out = sign * (h * 3600 + m * 60 + s);
    return true;
}

static bool rule_date(struct reader *r, struct rule_date *d) {
    int64_t month = 1, week = 1, day;
    d->time = 7200;
    if (!next_is(r, ','))
        return false;
    if (next_is(r, 'M')) {
        d->form = MONTHLY;
        if (!number(r, 12, &month) || !next_is(r, '.') || !number(r, 5, &week) || !next_is(r, '.') ||
            !number(r, 6, &day) || month < 1 || week < 1)
            return false;
    } else {
        d->form = next_is(r, 'J') ? JULIAN : DAY;
        if (!number(r, 365, &day) || (d->form == JULIAN && day < 1))
            return false;
    }
    d->month = (int)month;
    d->week = (int)week;
    d->day = (int)day;
    return !next_is(r, '/') || clock_time(r, 167, &d->time);
}

/* The text between the two last line ends; an empty one says that nothing is known. Offsets count westward
 * there. */
static bool footer(struct reader *r, struct rule *rule) {
    int64_t west;
    if (!next_is(r, '\n'))
        return false;
    if (next_is(r, '\n'))
        return true;
    if (!skip_name(r) || !clock_time(r, 24, &west))
        return false;
    *rule = (struct rule){.there = true, .standard = -west, .ahead = 3600 - west};
    if (next_is(r, '\n'))
        return true;
    if (!skip_name(r))
        return false;
    if (r->n && *r->p != ',') {
        if (!clock_time(r, 24, &west))
            return false;
        rule->ahead = -west;
    }
    rule->summer = true;
    return rule_date(r, &rule->begin) && rule_date(r, &rule->end) && next_is(r, '\n');
}

/* Changes and what the offset is after each. */
static bool changes(struct arena *mem, struct reader *r, const size_t count[COUNTS], struct zone *z) {
    const unsigned char *at = take(r, count[TIMES] * 8), *type = take(r, count[TIMES]);
    const unsigned char *types = take(r, count[TYPES] * 6);
    take(r, count[CHARS]);
    take(r, count[STANDARD_MARKS]);
    take(r, count[UT_MARKS]);
    int64_t *when = NEW_N(mem, int64_t, count[TIMES] + 1), *offset = NEW_N(mem, int64_t, count[TIMES] + 1);
    if (r->failed || !when || !offset)
        return false;
    offset[0] = big_endian(types, 4);
    for (size_t i = 0; i < count[TIMES]; i++) {
        when[i] = big_endian(at + i * 8, 8);
        if (type[i] >= count[TYPES] || (i > 0 && when[i] <= when[i - 1]) || when[i] > CHANGE_MAX ||
            when[i] < -CHANGE_MAX)
            return false;
        offset[i + 1] = big_endian(types + (size_t)type[i] * 6, 4);
    }
    for (size_t i = 0; i <= count[TIMES]; i++)
        if (offset[i] < OFFSET_MIN || offset[i] > OFFSET_MAX)
            return false;
    z->at = when;
    z->offset = offset;
    z->n = count[TIMES];
    return true;
}

const struct zone *zone_parse(struct arena *mem, struct bytes file) {
    struct reader r = {file.p, file.n, file.n > FILE_MAX_BYTES};
    size_t count[COUNTS];
    struct zone *z = NEW(mem, struct zone);
    if (!z || !header(&r, count))
        return NULL;
    take(&r, count[TIMES] * 5 + count[TYPES] * 6 + count[CHARS] + count[LEAPS] * 8 + count[STANDARD_MARKS] +
                 count[UT_MARKS]);
    if (!header(&r, count) || count[LEAPS] || !count[TYPES] || !changes(mem, &r, count, z) ||
        !footer(&r, &z->rule))
        return NULL;
    return z;
}

static bool name_valid(struct str name) {
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                     c == '+' || c == '-' || (c == '/' && i > 0 && name.p[i - 1] != '/');
        if (!plain)
            return false;
    }
    return name.n > 0 && name.n <= ZONE_NAME_MAX;
}

/* How many bytes; -1 where there is no such file. */
static ssize_t read_file(struct str name, unsigned char *bytes) {
    char path[sizeof FOLDER + ZONE_NAME_MAX] = FOLDER;
    memcpy(path + sizeof FOLDER - 1, name.p, name.n);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = 0, got;
    while (n < FILE_MAX_BYTES && (got = read(fd, bytes + n, (size_t)(FILE_MAX_BYTES - n))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            n = -1;
            break;
        }
        n += got;
    }
    close(fd);
    return n;
}

enum err zone_load(struct ctx *cx, struct arena *mem, struct str name, const struct zone **out) {
    if (str_eq(name, S("UTC"))) {
        static const int64_t always = 0;
        static const struct zone utc = {.offset = &always};
        *out = &utc;
        return OK;
    }
    unsigned char bytes[FILE_MAX_BYTES];
    ssize_t n = name_valid(name) ? read_file(name, bytes) : -1;
    const struct zone *z = n > 0 ? zone_parse(mem, (struct bytes){bytes, (size_t)n}) : NULL;
    if (!z)
        return fail(cx, ERR_INVALID, "The tz database of this machine has no time zone %.*s.", STR_FMT(name));
    *out = z;
    return OK;
}

bool zone_known(struct str name) {
    struct arena *mem = arena_new((size_t)FILE_MAX_BYTES * 8);
    struct ctx cx = {.mem = mem};
    const struct zone *z;
    bool known = mem && !zone_load(&cx, mem, name, &z);
    arena_free(mem);
    return known;
}

/* Midnight of the date in a year, as days since 1970. */
static int64_t rule_day(const struct rule_date *d, int64_t year) {
    int64_t first = date_days((struct date){year, 1, 1});
    if (d->form == DAY)
        return first + d->day;
    if (d->form == JULIAN)
        return first + d->day - 1 + (d->day >= 60 && date_is_leap(year));
    int64_t day = date_days((struct date){year, d->month, 1});
    int64_t last = day + date_month_days(year, d->month) - 1;
    day += (d->day - date_weekday(day) + 7) % 7 + (d->week - 1) * 7;
    return day > last ? day - 7 : day;
}

struct change {
    int64_t at, offset;
};

/* The changes of the years around an instant by the rule, ascending, each of which does change something. The
 * first stands for what was before. */
static size_t rule_changes(const struct rule *rule, int64_t utc, struct change out[8]) {
    int64_t days = (utc - (utc % DAY_S + DAY_S) % DAY_S) / DAY_S, year = date_of(days).year - 1;
    size_t n = 0, kept = 0;
    struct change all[6];
    for (int i = 0; i < 3; i++, year++) {
        struct change begin = {
            rule_day(&rule->begin, year) * DAY_S + rule->begin.time - rule->standard,
            rule->ahead,
        };
        struct change end = {
            rule_day(&rule->end, year) * DAY_S + rule->end.time - rule->ahead,
            rule->standard,
        };
        all[n++] = begin;
        all[n++] = end;
        for (size_t k = n - 1; k > 0 && all[k].at < all[k - 1].at; k--) {
            struct change later = all[k - 1];
            all[k - 1] = all[k];
            all[k] = later;
        }
    }
    out[kept++] = (struct change){INT64_MIN, all[0].offset == rule->ahead ? rule->standard : rule->ahead};
    for (size_t i = 0; i < n; i++)
        if ((i + 1 == n || all[i + 1].at > all[i].at) && all[i].offset != out[kept - 1].offset)
            out[kept++] = all[i];
    return kept;
}

static struct zone_span ruled_span(const struct zone *z, int64_t utc) {
    int64_t since = z->n ? z->at[z->n - 1] : INT64_MIN, before = z->offset[z->n ? z->n - 1 : 0];
    if (!z->rule.there)
        return (struct zone_span){since, INT64_MAX, z->offset[z->n], before};
    if (!z->rule.summer || utc > FARTHEST || utc < -FARTHEST)
        return (struct zone_span){since, INT64_MAX, z->rule.standard, before};
    struct change all[8];
    size_t n = rule_changes(&z->rule, utc, all), i = n - 1;
    while (all[i].at > utc)
        i--;
    struct zone_span span = {
        .start = all[i].at,
        .end = i + 1 < n ? all[i + 1].at : INT64_MAX,
        .offset = all[i].offset,
        .before = i ? all[i - 1].offset : all[i].offset,
    };
    if (span.start <= since) {
        span.start = since;
        span.before = before;
    }
    return span;
}

struct zone_span zone_span(const struct zone *z, int64_t utc) {
    if (!z->n || utc >= z->at[z->n - 1])
        return ruled_span(z, utc);
    size_t low = 0, high = z->n; /* how many changes are not after utc */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (z->at[middle] <= utc)
            low = middle + 1;
        else
            high = middle;
    }
    return (struct zone_span){
        .start = low ? z->at[low - 1] : INT64_MIN,
        .end = z->at[low],
        .offset = z->offset[low],
        .before = z->offset[low ? low - 1 : 0],
    };
}

int64_t zone_instant(const struct zone *z, int64_t wall) {
    struct zone_span span = zone_span(z, wall - OFFSET_MAX - 1); /* surely before */
    while (span.end != INT64_MAX && wall >= span.end + span.offset)
        span = zone_span(z, span.end);
    if (span.start != INT64_MIN && wall < span.start + span.offset)
        return span.start;
    return wall - span.offset;
}
