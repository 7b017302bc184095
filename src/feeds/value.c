#include "feeds/value.h"

#include "base/date.h"

#include <inttypes.h>
#include <string.h>

#include "base/banned.h"

#define DIGITS_MAX 38

const char VALUE_AMBIGUOUS[] =
    "may be day and month or month and day; say which in the feed's file (dates: day_first)";

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static struct str trim_all(struct str s) {
    while (s.n > 0 && strchr(" \t\r\n", s.p[0]))
        s = str_sub(s, 1, s.n);
    while (s.n > 0 && strchr(" \t\r\n", s.p[s.n - 1]))
        s.n--;
    return s;
}

/* A number in parts: sign, digits before the point without leading zeros, digits behind it. */
struct number {
    bool negative;
    char whole[DIGITS_MAX + 1], fraction[DIGITS_MAX + 1];
    size_t n_whole, n_fraction;
};

/* Digits, with commas between thousands: a first group of one to three, then groups of three. */
static bool read_whole(struct str *s, struct number *n) {
    size_t group = 0, commas = 0, seen = 0;
    while (s->n > 0 && (is_digit(s->p[0]) || s->p[0] == ',')) {
        char c = s->p[0];
        *s = str_sub(*s, 1, s->n);
        if (c == ',') {
            if (group == 0 || group > 3 || (commas > 0 && group != 3))
                return false;
            commas++;
            group = 0;
            continue;
        }
        group++;
        seen++;
        if (c == '0' && n->n_whole == 0)
            continue;
        if (n->n_whole == DIGITS_MAX)
            return false;
        n->whole[n->n_whole++] = c;
    }
    return seen > 0 && (commas == 0 || group == 3);
}

static bool read_number(struct str s, struct number *n) {
    *n = (struct number){.negative = s.n > 0 && s.p[0] == '-'};
    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_sub(s, 1, s.n);
    bool whole = s.n > 0 && s.p[0] == '.' ? true : read_whole(&s, n);
    if (!whole || (s.n > 0 && s.p[0] != '.'))
        return false;
    s = str_sub(s, 1, s.n);
    if (s.n == 0)
        return true;
    for (; s.n > 0; s = str_sub(s, 1, s.n)) {
        if (!is_digit(s.p[0]) || n->n_fraction == DIGITS_MAX)
            return false;
        n->fraction[n->n_fraction++] = s.p[0];
    }
    while (n->n_fraction > 0 && n->fraction[n->n_fraction - 1] == '0')
        n->n_fraction--;
    return n->n_whole + n->n_fraction <= DIGITS_MAX;
}

static const char *read_int(struct str cell, struct arg *out) {
    struct number n;
    int64_t v = 0;
    if (!read_number(cell, &n) || n.n_fraction > 0 || memchr(cell.p, ',', cell.n))
        return "is not a whole number";
    for (size_t i = 0; i < n.n_whole; i++)
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_sub_overflow(v, n.whole[i] - '0', &v)) /* downwards: there is one more below zero */
            return "is a number that is too large";
    if (!n.negative && __builtin_sub_overflow((int64_t)0, v, &v))
        return "is a number that is too large";
    *out = arg_int(v);
    return NULL;
}

static const char *read_decimal(struct str cell, char scratch[VALUE_ROOM], struct arg *out) {
    struct number n;
    char *to = scratch;
    if (!read_number(cell, &n))
        return "is not a decimal number";
    while (n.n_fraction < 2)
        n.fraction[n.n_fraction++] = '0';
    bool zero = n.n_whole == 0;
    for (size_t i = 0; i < n.n_fraction; i++)
        zero = zero && n.fraction[i] == '0';
    if (n.negative && !zero)
        *to++ = '-';
    if (n.n_whole == 0)
        *to++ = '0';
    memcpy(to, n.whole, n.n_whole);
    to += n.n_whole;
    *to++ = '.';
    memcpy(to, n.fraction, n.n_fraction);
    to += n.n_fraction;
    *out = arg_str((struct str){scratch, (size_t)(to - scratch)});
    return NULL;
}

/* Three parts of a date as they stand, and what follows them. */
struct parts {
    int64_t v[3];
    size_t digits[3];
    int month_at; /* which part is a month by name; -1 none */
    struct str rest;
};

static int month_of(struct str word) {
    static const char *const MONTHS[] = {"january",   "february", "march",    "april",
                                         "may",       "june",     "july",     "august",
                                         "september", "october",  "november", "december"};
    for (int m = 0; m < 12 && word.n >= 3; m++) {
        struct str name = str_of(MONTHS[m]);
        if ((word.n == 3 || word.n == name.n || (m == 8 && word.n == 4)) &&
            str_eq_nocase(word, str_sub(name, 0, word.n)))
            return m + 1;
    }
    return 0;
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static bool take_part(struct str *s, struct parts *p, int i) {
    size_t n = 0;
    while (n < s->n && is_digit(s->p[n]))
        n++;
    if (n > 0) {
        struct str digits = str_sub(*s, 0, n);
        if (n > 4)
            return false;
        for (size_t k = 0; k < n; k++)
            p->v[i] = p->v[i] * 10 + (digits.p[k] - '0');
        p->digits[i] = n;
    } else {
        while (n < s->n && is_letter(s->p[n]))
            n++;
        p->v[i] = month_of(str_sub(*s, 0, n));
        if (p->month_at >= 0 || p->v[i] == 0)
            return false;
        p->month_at = i;
    }
    *s = str_sub(*s, n, s->n);
    return true;
}

/* One of - / . or spaces, a comma in front of them allowed. */
static bool take_separator(struct str *s) {
    size_t n = 0;
    while (n < s->n && strchr("-/., ", s->p[n]))
        n++;
    bool good = n == 1 || (n == 2 && s->p[1] == ' ' && (s->p[0] == ',' || s->p[0] == '.'));
    *s = str_sub(*s, n, s->n);
    return good;
}

static bool split_date(struct str s, struct parts *p) {
    *p = (struct parts){.month_at = -1};
    if (s.n >= 8 && (s.n == 8 || !is_digit(s.p[8]))) { /* 20261125 */
        size_t n = 0;
        while (n < 8 && is_digit(s.p[n]))
            p->v[n < 4 ? 0 : n < 6 ? 1 : 2] = p->v[n < 4 ? 0 : n < 6 ? 1 : 2] * 10 + (s.p[n] - '0'), n++;
        if (n == 8) {
            memcpy(p->digits, (size_t[]){4, 2, 2}, sizeof(p->digits));
            p->rest = str_sub(s, 8, s.n);
            return true;
        }
        *p = (struct parts){.month_at = -1};
    }
    for (int i = 0; i < 3; i++)
        if (!take_part(&s, p, i) || (i < 2 && !take_separator(&s)))
            return false;
    p->rest = s;
    return true;
}

/* " 10:30", "T10:30:00.5Z", " 9:05 PM", ", 10:30 +0530" */
static bool is_time(struct str s) {
    if (s.n == 0)
        return true;
    if (!strchr("T ,", s.p[0]))
        return false;
    bool digit = false;
    for (size_t i = 1; i < s.n; i++) {
        digit = digit || is_digit(s.p[i]);
        if (!is_digit(s.p[i]) && !strchr(":. +-ZzAaPpMmUuTtCc", s.p[i]))
            return false;
    }
    return digit;
}

/* Where day, month and year stand among the parts; false: it cannot be told without an order. */
static bool arrange(const struct parts *p, enum date_order order, struct date *out, bool *ambiguous) {
    int year = p->digits[0] == 4 ? 0 : 2, month, day;
    *ambiguous = false;
    if (p->month_at >= 0) {
        month = p->month_at;
        day = 3 - year - month;
        if (month == year)
            return false;
    } else if (year == 0) {
        month = 1;
        day = 2;
    } else {
        bool by_day = order == DAY_FIRST, by_month = order == MONTH_FIRST;
        if (order == ORDER_UNKNOWN) {
            by_day = p->v[0] > 12 || p->v[0] == p->v[1];
            by_month = p->v[1] > 12;
            *ambiguous = !by_day && !by_month;
        }
        day = by_month ? 1 : 0;
        month = 1 - day;
    }
    if (p->digits[day] > 2 || p->digits[month] > 2 || (p->digits[year] != 4 && p->digits[year] != 2))
        return false;
    *out = (struct date){p->v[year] + (p->digits[year] == 2 ? 2000 : 0), (int)p->v[month], (int)p->v[day]};
    return out->year >= 1 && out->month >= 1 && out->month <= 12 && out->day >= 1 &&
           out->day <= date_month_days(out->year, out->month);
}

static const char *read_date(struct str cell, enum date_order order, char scratch[VALUE_ROOM],
                             struct arg *out) {
    struct parts p;
    struct date d;
    bool ambiguous;
    if (!split_date(cell, &p) || !is_time(p.rest) || !arrange(&p, order, &d, &ambiguous))
        return "is not a date";
    if (ambiguous)
        return VALUE_AMBIGUOUS;
    int n = snprintf(scratch, VALUE_ROOM, "%04" PRId64 "-%02d-%02d", d.year, d.month, d.day);
    *out = arg_str((struct str){scratch, (size_t)n});
    return NULL;
}

enum date_order value_order(struct str cell) {
    struct parts p;
    if (!split_date(trim_all(cell), &p) || p.month_at >= 0 || p.digits[0] == 4)
        return ORDER_UNKNOWN;
    return p.v[0] > 12 && p.v[1] <= 12   ? DAY_FIRST
           : p.v[1] > 12 && p.v[0] <= 12 ? MONTH_FIRST
                                         : ORDER_UNKNOWN;
}

const char *value_read(enum feed_type type, enum date_order order, struct str cell, char scratch[VALUE_ROOM],
                       struct arg *out) {
    struct str s = trim_all(cell);
    *out = (struct arg){.kind = ARG_NULL};
    if (s.n == 0)
        return NULL;
    switch (type) {
    case FEED_INT:
        return read_int(s, out);
    case FEED_DECIMAL:
        return read_decimal(s, scratch, out);
    case FEED_DATE:
        return read_date(s, order, scratch, out);
    case FEED_BOOL:
        *out = arg_bool(s.n == 1 && s.p[0] == '1');
        return NULL;
    case FEED_TEXT:
        break;
    }
    *out = arg_str(s);
    return NULL;
}
