/* Money: integer minor units and an ISO 4217 currency; no floating point anywhere. */
#ifndef BASE_MONEY_H
#define BASE_MONEY_H

#include "base/str.h"

struct money {
    int64_t minor;
    char currency[4]; /* NUL-terminated; "" means no value */
};

/* amount: "-12.50", digits as the currency has (fewer are filled, more are refused). */
bool money_parse(struct str amount, struct str currency, struct money *out);
struct str money_amount(struct money m, char buf[static 32]); /* "12.50" */
int currency_digits(struct str code); /* 0, 2, 3 …; -1 for a code that ISO 4217 does not have */

#endif
