/* Metrics: counters, gauges and histograms, declared as rows by the modules that own them, printed as
 * Prometheus text (exposition format 0.0.4). Values are atomics inside the row's slot; reading never blocks
 * writing. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/ctx.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric {
    const char *name; /* entrepot_…; histograms are in seconds and end in _seconds */
    enum metric_type type;
    const char *label; /* NULL, or the one label's name */
    const char *doc;
};

struct metrics;
/* One registry per process over the modules' tables, which it refers to. NULL when memory is out. */
struct metrics *metrics_new(const struct metric *const *tables, const size_t *counts, size_t n);
void metrics_free(struct metrics *m);
/* value of the label, or no value when the row has none; at most 200 label values a row, more share "other".
 * A metric that no table has is a bug and asserts. NULL m does nothing. */
void metrics_add(struct metrics *m, const struct metric *row, struct str label, int64_t by);
void metrics_set(struct metrics *m, const struct metric *row, struct str label, int64_t value);
void metrics_observe(struct metrics *m, const struct metric *row, struct str label, int64_t us);
void metrics_print(const struct metrics *m, struct buf *out);

#endif
