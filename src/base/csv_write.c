#include "base/csv.h"

#include "base/banned.h"

static bool number(struct str s) {
    size_t i = s.n > 0 && s.p[0] == '-';
    bool digits = i < s.n;
    for (; i < s.n; i++)
        digits = digits && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '.');
    return digits;
}

/* No NUL among them: it ends the list. */
static bool one_of(const char *list, char c) {
    while (*list && *list != c)
        list++;
    return *list != 0;
}

static bool formula(struct str s) { return s.n > 0 && one_of("=+-@\t\r", s.p[0]) && !number(s); }

void csv_put(struct buf *b, struct str cell, bool safe) {
    bool guard = safe && formula(cell), quote = guard;
    for (size_t i = 0; i < cell.n; i++)
        quote = quote || one_of(",;\t|\"\r\n", cell.p[i]);
    if (quote)
        buf_byte(b, '"');
    if (guard)
        buf_byte(b, '\'');
    for (size_t i = 0; i < cell.n; i++) {
        if (cell.p[i] == '"')
            buf_byte(b, '"');
        buf_byte(b, cell.p[i]);
    }
    if (quote)
        buf_byte(b, '"');
}

struct str csv_plain(struct str cell) {
    struct str rest = str_sub(cell, 1, cell.n);
    return cell.n > 1 && cell.p[0] == '\'' && formula(rest) ? rest : cell;
}
