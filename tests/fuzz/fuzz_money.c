/* Amounts: three letters of a currency, then the amount. What is read is written and read as the same. */
#include "base/money.h"

#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = {(const char *)data, size}, currency = str_sub(text, 0, 3);
    struct money m, again;
    char buf[32];
    int64_t n;
    if (str_int(text, &n) && size > 20)
        abort();
    if (!money_parse(str_sub(text, 3, size), currency, &m))
        return 0;
    if (!str_eq(str_of(m.currency), currency) || !money_parse(money_amount(m, buf), currency, &again) ||
        m.minor != again.minor)
        abort();
    return 0;
}
