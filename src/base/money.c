#include "base/money.h"

#include <string.h>

#include "base/banned.h"

/* ISO 4217: each code and the digits of its minor unit, in order. Codes for which the standard names no minor
 * unit (metals, units of account, tests) are left out: nothing has a price in them. */
static const char currencies[] =
    "AED2AFN2ALL2AMD2ANG2AOA2ARS2AUD2AWG2AZN2BAM2BBD2BDT2BGN2BHD3BIF0BMD2BND2BOB2BOV2BRL2BSD2BTN2BWP2"
    "BYN2BZD2CAD2CDF2CHE2CHF2CHW2CLF4CLP0CNY2COP2COU2CRC2CUC2CUP2CVE2CZK2DJF0DKK2DOP2DZD2EGP2ERN2ETB2"
    "EUR2FJD2FKP2GBP2GEL2GHS2GIP2GMD2GNF0GTQ2GYD2HKD2HNL2HRK2HTG2HUF2IDR2ILS2INR2IQD3IRR2ISK0JMD2JOD3"
    "JPY0KES2KGS2KHR2KMF0KPW2KRW0KWD3KYD2KZT2LAK2LBP2LKR2LRD2LSL2LYD3MAD2MDL2MGA2MKD2MMK2MNT2MOP2MRU2"
    "MUR2MVR2MWK2MXN2MXV2MYR2MZN2NAD2NGN2NIO2NOK2NPR2NZD2OMR3PAB2PEN2PGK2PHP2PKR2PLN2PYG0QAR2RON2RSD2"
    "RUB2RWF0SAR2SBD2SCR2SDG2SEK2SGD2SHP2SLE2SLL2SOS2SRD2SSP2STN2SVC2SYP2SZL2THB2TJS2TMT2TND3TOP2TRY2"
    "TTD2TWD2TZS2UAH2UGX0USD2USN2UYI0UYU2UYW4UZS2VED2VES2VND0VUV0WST2XAF0XCD2XCG2XOF0XPF0YER2ZAR2ZMW2"
    "ZWL2";
#define ROW 4

int currency_digits(struct str code) {
    if (code.n != 3)
        return -1;
    size_t low = 0, high = (sizeof currencies - 1) / ROW;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int c = memcmp(code.p, currencies + middle * ROW, 3);
        if (c == 0)
            return currencies[middle * ROW + 3] - '0';
        if (c < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

/* Reads digits into a number that is kept negative, since the negative range is the larger one. */
static bool add_digits(struct str digits, int64_t *v) {
    for (size_t i = 0; i < digits.n; i++)
        if (digits.p[i] < '0' || digits.p[i] > '9' || __builtin_mul_overflow(*v, 10, v) ||
            __builtin_sub_overflow(*v, digits.p[i] - '0', v))
            return false;
    return true;
}

bool money_parse(struct str amount, struct str currency, struct money *out) {
    int digits = currency_digits(currency);
    bool negative = amount.n && amount.p[0] == '-';
    struct str number = negative ? str_sub(amount, 1, amount.n) : amount;
    struct str whole = number, fraction = {NULL, 0};
    bool point = str_cut(number, '.', &whole, &fraction);
    if (digits < 0 || !whole.n || (point && !fraction.n) || fraction.n > (size_t)digits ||
        (whole.p[0] == '0' && whole.n > 1))
        return false;
    int64_t v = 0;
    struct str fill = str_sub(S("0000"), 0, (size_t)digits - fraction.n);
    if (!add_digits(whole, &v) || !add_digits(fraction, &v) || !add_digits(fill, &v) ||
        (!negative && v == INT64_MIN))
        return false;
    *out = (struct money){.minor = negative ? v : -v};
    memcpy(out->currency, currency.p, 3);
    return true;
}

struct str money_amount(struct money m, char buf[static 32]) {
    int digits = currency_digits(str_of(m.currency));
    uint64_t left = m.minor < 0 ? 0 - (uint64_t)m.minor : (uint64_t)m.minor;
    char *p = buf + 32;
    for (int i = 0; i < digits; i++, left /= 10)
        *--p = (char)('0' + left % 10);
    if (digits > 0)
        *--p = '.';
    do
        *--p = (char)('0' + left % 10);
    while (left /= 10);
    if (m.minor < 0)
        *--p = '-';
    return (struct str){p, (size_t)(buf + 32 - p)};
}
