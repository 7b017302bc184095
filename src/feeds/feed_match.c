/* What a feed says about names: of files, of headers, and in templates. */
#include "feeds/feed_parts.h"

#include "base/date.h"
#include "services/http.h"

#include <inttypes.h>

#include "base/banned.h"

#define EXPANDED_MAX 4000

const struct feed *feed_find(const struct feeds *feeds, struct str name) {
    for (size_t i = 0; i < feeds->n; i++)
        if (str_eq(feeds->v[i].name, name))
            return &feeds->v[i];
    return NULL;
}

/* A * that has to take more than it did is gone back to; the last one is enough. */
bool feed_matches(struct str pattern, struct str name) {
    size_t p = 0, n = 0, star = SIZE_MAX, from = 0;
    while (n < name.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            from = n;
        } else if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == name.p[n])) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

const struct feed *feed_of_file(const struct feeds *feeds, struct str name) {
    for (size_t i = 0; i < feeds->n; i++) {
        const struct str *patterns = feeds->v[i].patterns.items;
        for (size_t k = 0; k < feeds->v[i].patterns.n; k++)
            if (feed_matches(patterns[k], name))
                return &feeds->v[i];
    }
    return NULL;
}

const struct feed_column *feed_column(const struct feed *f, size_t i) {
    return (const struct feed_column *)f->columns.items + i;
}

bool feed_required(const struct feed_column *c) { return c->key || c->required; }

int feed_header(const struct feed *f, struct str header, size_t *rank) {
    struct str wanted = str_trim(header);
    for (size_t i = 0; i < f->columns.n; i++) {
        const struct list *headers = &feed_column(f, i)->headers;
        for (size_t k = 0; k < headers->n; k++)
            if (str_eq_nocase(((const struct str *)headers->items)[k], wanted)) {
                *rank = k;
                return (int)i;
            }
    }
    return -1;
}

static struct str value_of(struct str name, const struct feed_values *v, char text[static 32]) {
    struct date d = date_of(v->day);
    const struct {
        struct str name, value;
    } known[] = {{S("store_code"), v->store_code},
                 {S("bucket"), v->bucket},
                 {S("org"), v->org},
                 {S("user"), v->user},
                 {S("password"), v->password}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (str_eq(name, known[i].name))
            return known[i].value;
    if (str_eq(name, S("date")))
        snprintf(text, 32, "%04" PRId64 "-%02d-%02d", d.year, d.month, d.day);
    else if (str_eq(name, S("yyyymmdd")))
        snprintf(text, 32, "%04" PRId64 "%02d%02d", d.year, d.month, d.day);
    else if (str_eq(name, S("yyyy")))
        snprintf(text, 32, "%04" PRId64, d.year);
    else
        snprintf(text, 32, "%02d", str_eq(name, S("mm")) ? d.month : d.day);
    return str_of(text);
}

struct str feed_expand(struct arena *mem, struct str text, const struct feed_values *values, bool encode) {
    struct buf b = buf_new(mem, EXPANDED_MAX);
    struct str before, name, value;
    char room[32];
    while (str_cut(text, '{', &before, &text) && str_cut(text, '}', &name, &text)) {
        buf_add(&b, before);
        value = value_of(name, values, room);
        if (encode)
            http_put_encoded(&b, value);
        else
            buf_add(&b, value);
    }
    buf_add(&b, text);
    return b.failed ? (struct str){0} : buf_str(&b);
}
