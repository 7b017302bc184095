#include "base/metrics.h"

#include "fixture.h"

enum { REQUESTS, WAITING, DURATION, TOTAL };
static const struct metric rows[] = {
    [REQUESTS] = {"entrepot_requests_total", METRIC_COUNTER, "route", "Requests\nby \\ route."},
    [WAITING] = {"entrepot_waiting", METRIC_GAUGE, NULL, "How many wait."},
    [DURATION] = {"entrepot_request_seconds", METRIC_HISTOGRAM, "route", "How long."},
};
static const struct metric others[] = {
    {"entrepot_sync_seconds", METRIC_HISTOGRAM, NULL, "How long."},
};
static const struct metric *const tables[] = {rows, others};
static const size_t counts[] = {TOTAL, COUNT(others)};
static const struct str none = {NULL, 0};

static const char *print(struct ctx *cx, const struct metrics *m) {
    struct buf b = buf_new(cx->mem, 1 << 20);
    metrics_print(m, &b);
    assert_false(b.failed);
    return str_z(cx->mem, buf_str(&b));
}

static void are_printed_for_prometheus(void **state) {
    struct ctx *cx = *state;
    struct metrics *m = metrics_new(tables, counts, 2);
    metrics_add(m, &rows[REQUESTS], S("/b"), 2);
    metrics_add(m, &rows[REQUESTS], S("/a\"\\\n"), 1);
    metrics_add(m, &rows[REQUESTS], S("/b"), 1);
    metrics_set(m, &rows[WAITING], none, -7);
    metrics_observe(m, &rows[DURATION], S("/a"), 100);
    metrics_observe(m, &rows[DURATION], S("/a"), 101);
    metrics_observe(m, &rows[DURATION], S("/a"), 20000000);
    const char *text = print(cx, m);
    static const char *const lines[] = {
        "# HELP entrepot_requests_total Requests\\nby \\\\ route.\n# TYPE entrepot_requests_total counter\n"
        "entrepot_requests_total{route=\"/a\\\"\\\\\\n\"} 1\nentrepot_requests_total{route=\"/b\"} 3\n",
        "# TYPE entrepot_waiting gauge\nentrepot_waiting -7\n",
        "# TYPE entrepot_request_seconds histogram\n"
        "entrepot_request_seconds_bucket{route=\"/a\",le=\"0.000100\"} 1\n"
        "entrepot_request_seconds_bucket{route=\"/a\",le=\"0.000250\"} 2\n",
        "entrepot_request_seconds_bucket{route=\"/a\",le=\"10.000000\"} 2\n"
        "entrepot_request_seconds_bucket{route=\"/a\",le=\"+Inf\"} 3\n"
        "entrepot_request_seconds_sum{route=\"/a\"} 20.000201\nentrepot_request_seconds_count{route=\"/a\"} "
        "3\n",
        "entrepot_sync_seconds_bucket{le=\"+Inf\"} 0\nentrepot_sync_seconds_sum "
        "0.000000\nentrepot_sync_seconds_count 0\n",
    };
    for (size_t i = 0; i < COUNT(lines); i++)
        if (!strstr(text, lines[i]))
            fail_msg("%s\nis missing in\n%s", lines[i], text);
    metrics_free(m);
}

static void labels_are_bounded(void **state) {
    struct ctx *cx = *state;
    struct metrics *m = metrics_new(tables, counts, 2);
    for (int i = 0; i < 1000; i++) {
        char label[20];
        snprintf(label, sizeof label, "/%d", i);
        metrics_add(m, &rows[REQUESTS], str_of(label), 1);
        metrics_add(m, &rows[REQUESTS], str_of(label), 1);
    }
    const char *text = print(cx, m);
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, "entrepot_requests_total{")); p++)
        n++;
    assert_int_equal(n, 201);
    assert_non_null(strstr(text, "entrepot_requests_total{route=\"other\"} 1600\n"));
    metrics_free(m);
}

static void nothing_is_counted_nowhere(void **state) {
    (void)state;
    metrics_add(NULL, &rows[0], none, 1);
    metrics_set(NULL, &rows[0], none, 1);
    metrics_observe(NULL, &rows[0], none, 1);
    metrics_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(are_printed_for_prometheus),
        TEST(labels_are_bounded),
        TEST(nothing_is_counted_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
