#include "base/csv_source.h"

#include "base/arena.h"
#include "base/charset.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/banned.h"

#define UNITS_MAX 65536 /* bytes of UTF-16 read at once */

bool csv_source_init(struct csv_source *s, struct arena *mem, int fd, int64_t from, int64_t to) {
    *s = (struct csv_source){.fd = fd, .next = from, .end = to};
    s->units = arena_alloc(mem, UNITS_MAX);
    return s->units != NULL;
}

static size_t read_piece(struct csv_source *s, void *to, size_t room) {
    if ((int64_t)room > s->end - s->next)
        room = (size_t)(s->end - s->next);
    ssize_t n;
    do
        n = room > 0 ? pread(s->fd, to, room, s->next) : 0;
    while (n < 0 && errno == EINTR);
    if (n < 0)
        s->error = errno;
    if (n <= 0)
        return 0;
    s->next += n;
    return (size_t)n;
}

size_t csv_source_sniff(struct csv_source *s) {
    int64_t start = s->next;
    size_t n = read_piece(s, s->units, 64), mark = 2;
    bool big = n >= 2 && s->units[0] == 0xfe && s->units[1] == 0xff;
    if (n >= 3 && memcmp(s->units, "\xef\xbb\xbf", 3) == 0) {
        s->charset = CSV_UTF8_MARKED;
        mark = 3;
    } else if (big || (n >= 2 && s->units[0] == 0xff && s->units[1] == 0xfe)) {
        s->charset = big ? CSV_UTF16BE : CSV_UTF16LE;
    } else {
        mark = 0;
        if (charset_looks_like_16((struct bytes){s->units, n}, &big))
            s->charset = big ? CSV_UTF16BE : CSV_UTF16LE;
    }
    s->next = start + (int64_t)mark;
    return mark;
}

/* Fills the room, for what asks for more looks at all of it again. */
static size_t read_units(struct csv_source *s, char *to, size_t room) {
    size_t written = 0, most, taken;
    while ((most = (room - written) / 3 * 2) > sizeof(uint32_t)) {
        most = most < UNITS_MAX ? most : UNITS_MAX;
        size_t n = read_piece(s, s->units + s->n_units, most - s->n_units), all = s->n_units + n;
        if (s->error || all == 0)
            break;
        written += charset_from_16((struct bytes){s->units, all}, s->charset == CSV_UTF16BE, n == 0,
                                   to + written, &taken);
        s->n_units = all - taken;
        memmove(s->units, s->units + taken, s->n_units);
    }
    return written;
}

size_t csv_source_read(struct csv_source *s, char *to, size_t room) {
    if (s->error)
        return 0;
    return s->charset < CSV_UTF16LE ? read_piece(s, to, room) : read_units(s, to, room);
}

int64_t csv_source_length(const struct csv_source *s, struct str text) {
    if (s->charset < CSV_UTF16LE)
        return (int64_t)text.n;
    int64_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        n += c == 0xff ? 1 : c >= 0xf0 ? 4 : c < 0x80 || c >= 0xc0 ? 2 : 0; /* 0xff: half a unit */
    }
    return n;
}
