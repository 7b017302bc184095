#include "base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

#define LABELS_MAX 200
#define PLACES 256 /* a power of two above LABELS_MAX + 1, so that a search always meets an empty place */

static const int64_t bounds_us[] = {100,   250,    500,    1000,   2500,    5000,    10000,   25000,
                                    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};
#define BOUNDS (sizeof bounds_us / sizeof bounds_us[0])

struct series {
    _Atomic int64_t value; /* of a histogram the sum in microseconds */
    struct str label;
    _Atomic int64_t buckets[]; /* of a histogram BOUNDS + 1, the last for what is longer than all bounds */
};

/* The series of one row. Without a label there is one, in the first place; with one they are hashed by it. A
 * series is only ever added, so a reader needs no lock. */
struct slot {
    const struct metric *row;
    struct series *_Atomic *places;
    _Atomic size_t n;
};

struct metrics {
    const struct metric *const *tables;
    const size_t *counts;
    size_t n;
    struct slot **slots; /* by table and row */
};

static struct series *series_new(const struct metric *row, struct str label) {
    size_t buckets = row->type == METRIC_HISTOGRAM ? BOUNDS + 1 : 0;
    size_t head = sizeof(struct series) + buckets * sizeof(_Atomic int64_t);
    struct series *s = calloc(1, head + label.n + 1);
    if (s) {
        char *copy = (char *)s + head;
        if (label.n)
            memcpy(copy, label.p, label.n);
        s->label = (struct str){copy, label.n};
    }
    return s;
}

static bool slot_init(struct slot *slot, const struct metric *row) {
    slot->row = row;
    slot->places = calloc(row->label ? PLACES : 1, sizeof *slot->places);
    if (slot->places && !row->label)
        slot->places[0] = series_new(row, S(""));
    return slot->places && (row->label || slot->places[0]);
}

struct metrics *metrics_new(const struct metric *const *tables, const size_t *counts, size_t n) {
    struct metrics *m = calloc(1, sizeof *m);
    if (!m || !(m->slots = calloc(n ? n : 1, sizeof *m->slots))) {
        free(m);
        return NULL;
    }
    m->tables = tables;
    m->counts = counts;
    m->n = n;
    for (size_t i = 0; i < n; i++) {
        m->slots[i] = calloc(counts[i] ? counts[i] : 1, sizeof **m->slots);
        for (size_t k = 0; k < counts[i]; k++) {
            if (!m->slots[i] || !slot_init(&m->slots[i][k], &tables[i][k])) {
                metrics_free(m);
                return NULL;
            }
        }
    }
    return m;
}

static size_t places_of(const struct slot *s) { return s->row && s->row->label ? PLACES : 1; }

void metrics_free(struct metrics *m) {
    if (!m)
        return;
    for (size_t i = 0; i < m->n; i++) {
        for (size_t k = 0; m->slots[i] && k < m->counts[i]; k++) {
            struct slot *s = &m->slots[i][k];
            for (size_t p = 0; s->places && p < places_of(s); p++)
                free(s->places[p]);
            free(s->places);
        }
        free(m->slots[i]);
    }
    free(m->slots);
    free(m);
}

static struct slot *find_slot(struct metrics *m, const struct metric *row) {
    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; k < m->counts[i]; k++)
            if (&m->tables[i][k] == row)
                return &m->slots[i][k];
    assert(!"no table has this metric");
    return NULL;
}

static size_t
hash(struct str s) { /* FNV-1a; labels are ours or bounded in number, nobody can gain by collisions */
    uint64_t h = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * UINT64_C(1099511628211);
    return (size_t)(h ^ h >> 32);
}

static struct series *find_series(struct slot *slot, struct str label, bool is_last_resort) {
    for (size_t at = hash(label), tries = 0; tries < PLACES; at++, tries++) {
        struct series *_Atomic *place = &slot->places[at % PLACES];
        struct series *found = atomic_load_explicit(place, memory_order_acquire);
        if (!found) {
            if (!is_last_resort && atomic_fetch_add(&slot->n, 1) >= LABELS_MAX) {
                atomic_fetch_sub(&slot->n, 1);
                return NULL;
            }
            struct series *made = series_new(slot->row, label);
            if (made && atomic_compare_exchange_strong(place, &found, made))
                return made;
            free(made);
            if (!is_last_resort)
                atomic_fetch_sub(&slot->n, 1);
            if (!made)
                return NULL;
        }
        if (str_eq(found->label, label))
            return found;
    }
    return NULL;
}

/* NULL when memory is out: then the event goes uncounted. */
static struct series *series_of(struct metrics *m, const struct metric *row, struct str label) {
    struct slot *slot = find_slot(m, row);
    if (!row->label)
        return slot->places[0];
    struct series *s = find_series(slot, label, false);
    return s ? s : find_series(slot, S("other"), true);
}

void metrics_add(struct metrics *m, const struct metric *row, struct str label, int64_t by) {
    struct series *s = m ? series_of(m, row, label) : NULL;
    if (s)
        atomic_fetch_add_explicit(&s->value, by, memory_order_relaxed);
}

void metrics_set(struct metrics *m, const struct metric *row, struct str label, int64_t value) {
    struct series *s = m ? series_of(m, row, label) : NULL;
    if (s)
        atomic_store_explicit(&s->value, value, memory_order_relaxed);
}

void metrics_observe(struct metrics *m, const struct metric *row, struct str label, int64_t us) {
    struct series *s = m ? series_of(m, row, label) : NULL;
    if (!s)
        return;
    assert(row->type == METRIC_HISTOGRAM);
    size_t i = 0;
    while (i < BOUNDS && us > bounds_us[i])
        i++;
    atomic_fetch_add_explicit(&s->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->value, us, memory_order_relaxed);
}

static void print_escaped(struct buf *out, struct str s, bool quotes) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' || s.p[i] == '\n' || (quotes && s.p[i] == '"'))
            buf_byte(out, '\\');
        buf_byte(out, s.p[i] == '\n' ? 'n' : s.p[i]);
    }
}

static void print_label(const struct metric *row, const struct series *s, struct buf *out) {
    buf_printf(out, "%s=\"", row->label);
    print_escaped(out, s->label, true);
    buf_byte(out, '"');
}

static void print_name(const struct metric *row, const struct series *s, const char *suffix,
                       struct buf *out) {
    buf_printf(out, "%s%s", row->name, suffix);
    if (row->label) {
        buf_byte(out, '{');
        print_label(row, s, out);
        buf_byte(out, '}');
    }
    buf_byte(out, ' ');
}

static void print_seconds(int64_t us, struct buf *out) {
    buf_printf(out, "%s%" PRId64 ".%06" PRId64, us < 0 ? "-" : "", us < 0 ? -(us / US_PER_S) : us / US_PER_S,
               us < 0 ? -(us % US_PER_S) : us % US_PER_S);
}

static void print_histogram(const struct metric *row, const struct series *s, struct buf *out) {
    int64_t count = 0;
    for (size_t i = 0; i <= BOUNDS; i++) {
        count += s->buckets[i];
        buf_printf(out, "%s_bucket{", row->name);
        if (row->label) {
            print_label(row, s, out);
            buf_byte(out, ',');
        }
        buf_add(out, S("le=\""));
        if (i < BOUNDS)
            print_seconds(bounds_us[i], out);
        else
            buf_add(out, S("+Inf"));
        buf_printf(out, "\"} %" PRId64 "\n", count);
    }
    print_name(row, s, "_sum", out);
    print_seconds(s->value, out);
    buf_byte(out, '\n');
    print_name(row, s, "_count", out);
    buf_printf(out, "%" PRId64 "\n", count);
}

static int by_label(const void *a, const void *b) {
    return str_cmp((*(struct series *const *)a)->label, (*(struct series *const *)b)->label);
}

static void print_slot(const struct slot *slot, struct buf *out) {
    static const char *const types[] = {"counter", "gauge", "histogram"};
    const struct metric *row = slot->row;
    const struct series *list[PLACES];
    size_t n = 0;
    for (size_t i = 0; i < places_of(slot); i++)
        if ((list[n] = slot->places[i]))
            n++;
    qsort(list, n, sizeof list[0], by_label);
    buf_printf(out, "# HELP %s ", row->name);
    print_escaped(out, str_of(row->doc), false);
    buf_printf(out, "\n# TYPE %s %s\n", row->name, types[row->type]);
    for (size_t i = 0; i < n; i++) {
        if (row->type == METRIC_HISTOGRAM) {
            print_histogram(row, list[i], out);
            continue;
        }
        print_name(row, list[i], "", out);
        buf_printf(out, "%" PRId64 "\n", list[i]->value);
    }
}

void metrics_print(const struct metrics *m, struct buf *out) {
    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; k < m->counts[i]; k++)
            print_slot(&m->slots[i][k], out);
}
