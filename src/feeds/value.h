/* A cell of a feed's file as a value of its column's type, in one canonical form: what is the same value is
 * the same in the table on both databases, so that a file that spells it otherwise changes nothing.
 *
 *   - spaces around are taken away; an empty cell is NULL, whatever the type;
 *   - int: a sign, digits; a fraction of zeros, as spreadsheets write, is let pass; 64 bits;
 *   - decimal: a sign, digits, commas between thousands, a fraction; at most 38 digits. Canonical is without
 *     superfluous zeros but with two digits after the point at least: 12.50, -0.125;
 *   - bool: 1 is true, anything else is false;
 *   - date: 2026-11-25, 25-11-2026, 25/11/2026, 25.11.26, 25-Nov-2026, Nov 25, 2026, 20261125, each with or
 *     without a time behind it, which is not kept. */
#ifndef FEEDS_VALUE_H
#define FEEDS_VALUE_H

#include "db/db.h"
#include "feeds/feed.h"

#define VALUE_ROOM 64 /* for what is spelled anew */

/* How 03/04/2026 is read. */
enum date_order { ORDER_UNKNOWN, DAY_FIRST, MONTH_FIRST };

/* NULL, or why it is none: "is not a whole number". scratch is where a value that is spelled anew stands;
 * others point into the cell. */
const char *value_read(enum feed_type type, enum date_order order, struct str cell, char scratch[VALUE_ROOM],
                       struct arg *out);
extern const char VALUE_AMBIGUOUS[]; /* what value_read says of a date that needs an order */
/* What a date's cell says about the order of days and months in its file; ORDER_UNKNOWN: nothing. */
enum date_order value_order(struct str cell);

#endif
