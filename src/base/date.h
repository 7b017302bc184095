/* The Gregorian calendar on plain numbers: days since 1970-01-01, which was a Thursday. */
#ifndef BASE_DATE_H
#define BASE_DATE_H

#include <stdbool.h>
#include <stdint.h>

struct date {
    int64_t year;
    int month, day; /* from 1 */
};

int64_t date_days(struct date d); /* also for days beyond the month's end */
struct date date_of(int64_t days);
int date_weekday(int64_t days); /* 0: Sunday */
int date_month_days(int64_t year, int month);
bool date_is_leap(int64_t year);

#endif
