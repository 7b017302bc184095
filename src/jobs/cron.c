#include "jobs/cron.h"

#include "base/date.h"

#include "base/banned.h"

#define DAY_S 86400
#define NONE INT64_MIN
#define HORIZON_DAYS 3660 /* 29 February may be eight years away */

struct range {
    int least, most;
    const char *const *names; /* the first is least's */
    const char *problem;
};
static const char *const MONTHS[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                     "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const WEEKDAYS[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};
enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };
static const struct range RANGES[FIELDS] = {
    [MINUTE] = {0, 59, NULL, "the minute must be of 0 to 59"},
    [HOUR] = {0, 23, NULL, "the hour must be of 0 to 23"},
    [DAY] = {1, 31, NULL, "the day of the month must be of 1 to 31"},
    [MONTH] = {1, 12, MONTHS, "the month must be of 1 to 12 or jan to dec"},
    [WEEKDAY] = {0, 7, WEEKDAYS, "the day of the week must be of 0 to 7 or sun to sat"},
};

static const struct {
    const char *name, *fields;
} SHORT[] = {
    {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
    {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"},
};

static bool value_of(struct str s, const struct range *r, int *out) {
    int64_t v;
    for (int i = 0; r->names && r->names[i]; i++)
        if (str_eq_nocase(s, str_of(r->names[i]))) {
            *out = r->least + i;
            return true;
        }
    while (s.n > 1 && s.p[0] == '0') /* "05" is usual */
        s = str_sub(s, 1, s.n);
    if (!str_int(s, &v) || v < r->least || v > r->most)
        return false;
    *out = (int)v;
    return true;
}

/* "*", "5", "1-5", each with "/2" or not. A single value takes no step. */
static bool part(struct str s, const struct range *r, uint64_t *bits) {
    struct str base = s, step_text, from, to;
    int64_t step = 1;
    int low = r->least, high = r->most;
    bool stepped = str_cut(s, '/', &base, &step_text);
    if (stepped && (!str_int(step_text, &step) || step < 1 || step > r->most))
        return false;
    if (str_cut(base, '-', &from, &to)) {
        if (!value_of(from, r, &low) || !value_of(to, r, &high) || low > high)
            return false;
    } else if (!str_eq(base, S("*"))) {
        if (stepped || !value_of(base, r, &low))
            return false;
        high = low;
    }
    for (int64_t v = low; v <= high; v += step)
        *bits |= UINT64_C(1) << v;
    return true;
}

static bool field(struct str s, const struct range *r, uint64_t *bits) {
    struct str one = s, rest;
    *bits = 0;
    for (bool more = true; more; s = rest) {
        more = str_cut(s, ',', &one, &rest);
        if (!part(more ? one : s, r, bits))
            return false;
        if (!more)
            break;
    }
    return true;
}

/* The next word of what blanks separate; no value at the end. */
static struct str word(struct str *text) {
    size_t i = 0, n = 0;
    while (i < text->n && (text->p[i] == ' ' || text->p[i] == '\t'))
        i++;
    while (i + n < text->n && text->p[i + n] != ' ' && text->p[i + n] != '\t')
        n++;
    struct str w = n ? str_sub(*text, i, n) : (struct str){NULL, 0};
    *text = str_sub(*text, i + n, text->n);
    return w;
}

/* Some month that may be has some day that may be. */
static bool ever_comes(const struct cron *c) {
    if (c->either_day)
        return true;
    for (int m = 1; m <= 12; m++)
        for (int d = 1; c->months >> m & 1 && d <= date_month_days(2000, m); d++)
            if (c->days >> d & 1)
                return true;
    return false;
}

bool cron_parse(struct str text, struct cron *out, const char **problem) {
    uint64_t bits[FIELDS];
    struct str words[FIELDS];
    if (text.n > CRON_MAX)
        return *problem = "it is too long", false;
    for (size_t i = 0; i < sizeof SHORT / sizeof SHORT[0]; i++)
        if (str_eq(text, str_of(SHORT[i].name)))
            text = str_of(SHORT[i].fields);
    for (int i = 0; i < FIELDS; i++) {
        words[i] = word(&text);
        if (!words[i].n)
            return *problem = "it must have five fields: minute hour day month weekday", false;
        if (!field(words[i], &RANGES[i], &bits[i]))
            return *problem = RANGES[i].problem, false;
    }
    if (word(&text).n)
        return *problem = "it must have five fields: minute hour day month weekday", false;
    struct cron c = {
        .minutes = bits[MINUTE],
        .hours = (uint32_t)bits[HOUR],
        .days = (uint32_t)bits[DAY],
        .months = (uint32_t)bits[MONTH],
        .weekdays = (uint32_t)((bits[WEEKDAY] | bits[WEEKDAY] >> 7) & 0x7f),
        .either_day = words[DAY].p[0] != '*' && words[WEEKDAY].p[0] != '*',
        .by_time = words[MINUTE].p[0] == '*' || words[HOUR].p[0] == '*',
    };
    if (!ever_comes(&c))
        return *problem = "no year has such a day", false;
    *out = c;
    return true;
}

static bool day_fits(const struct cron *c, struct date d, int64_t days) {
    bool day = c->days >> d.day & 1, weekday = c->weekdays >> date_weekday(days) & 1;
    return c->months >> d.month & 1 && (c->either_day ? day || weekday : day && weekday);
}

/* The first time of a day from a second on; NONE: none is left. */
static int64_t time_from(const struct cron *c, int64_t second) {
    int64_t from = (second + 59) / 60; /* a minute begins at its second 0 */
    for (int64_t h = from / 60; h < 24; h++)
        for (int64_t m = h == from / 60 ? from % 60 : 0; c->hours >> h & 1 && m < 60; m++)
            if (c->minutes >> m & 1)
                return (h * 60 + m) * 60;
    return NONE;
}

/* The first fitting second of the wall clock from one on. */
static int64_t wall_from(const struct cron *c, int64_t wall) {
    int64_t second = (wall % DAY_S + DAY_S) % DAY_S, days = (wall - second) / DAY_S,
            last = days + HORIZON_DAYS;
    for (; days <= last; days++, second = 0) {
        struct date d = date_of(days);
        if (!(c->months >> d.month & 1)) {
            days += date_month_days(d.year, d.month) - d.day;
            continue;
        }
        int64_t time = day_fits(c, d, days) ? time_from(c, second) : NONE;
        if (time != NONE)
            return days * DAY_S + time;
    }
    return NONE;
}

struct instant cron_next(const struct cron *c, const struct zone *z, struct instant after) {
    int64_t utc = after.us / US_PER_S + (after.us >= 0), last = utc + (int64_t)HORIZON_DAYS * DAY_S;
    while (utc < last) {
        struct zone_span span = zone_span(z, utc);
        int64_t from = utc + span.offset;
        if (!c->by_time && span.start != INT64_MIN) {
            int64_t left = span.start + span.before; /* what the clock came to at the change */
            if (utc == span.start && left < from) {
                int64_t skipped = wall_from(c, left);
                if (skipped != NONE && skipped < from)
                    return (struct instant){utc * US_PER_S};
            }
            from = left > from ? left : from; /* until then the clock repeats itself */
        }
        int64_t wall = wall_from(c, from);
        if (wall != NONE && wall - span.offset < span.end)
            return (struct instant){(wall - span.offset) * US_PER_S};
        if (span.end == INT64_MAX)
            break;
        utc = span.end;
    }
    return (struct instant){0};
}
