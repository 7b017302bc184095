/* What many threads use at once: identities, counters, the clock and the log. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "fixture.h"

#define THREADS 4
#define ROUNDS 20000

static const struct metric rows[] = {
    {"entrepot_total", METRIC_COUNTER, "label", "Counted."},
    {"entrepot_seconds", METRIC_HISTOGRAM, NULL, "Timed."},
};
static const struct metric *const tables[] = {rows};
static const size_t counts[] = {COUNT(rows)};

struct work {
    pthread_t thread;
    struct metrics *metrics;
    struct clock *clock;
    struct log *log;
    struct uuid *ids;
    bool ascending;
};

static void *run(void *argument) {
    static const char *const labels[] = {"a", "b", "c"};
    struct work *w = argument;
    struct ctx cx = {.log = w->log, .clock = w->clock};
    w->ascending = true;
    for (size_t i = 0; i < ROUNDS; i++) {
        w->ids[i] = uuid_new(clock_now(w->clock));
        w->ascending =
            w->ascending && (i == 0 || memcmp(w->ids[i - 1].b, w->ids[i].b, sizeof w->ids[i].b) < 0);
        metrics_add(w->metrics, &rows[0], str_of(labels[i % COUNT(labels)]), 1);
        metrics_observe(w->metrics, &rows[1], (struct str){NULL, 0}, (int64_t)i);
        if (i % 100 == 0)
            LOG(&cx, LOG_INFO, "x", S("a line"), LOG_INT("i", (int64_t)i));
    }
    return NULL;
}

static int compare(const void *a, const void *b) { return memcmp(a, b, sizeof(struct uuid)); }

static void nothing_is_lost_or_doubled(void **state) {
    struct ctx *cx = *state;
    char clock_file[] = "/tmp/entrepot-clock-XXXXXX";
    int fd = mkstemp(clock_file);
    assert_true(fd >= 0 && write(fd, "60", 2) == 2);
    close(fd);
    struct metrics *m = metrics_new(tables, counts, 1);
    struct clock *clock = clock_new(clock_file);
    char log_file[] = "/tmp/entrepot-log-XXXXXX", aside[40];
    close(mkstemp(log_file));
    struct log *log = log_new(LOG_INFO, log_file, 20000);
    struct uuid *ids = calloc(THREADS * ROUNDS, sizeof *ids);
    struct work work[THREADS];
    int out = dup(STDOUT_FILENO);
    assert_non_null(freopen("/dev/null", "w", stdout));
    for (size_t i = 0; i < THREADS; i++) {
        work[i] = (struct work){.metrics = m, .clock = clock, .log = log, .ids = ids + i * ROUNDS};
        assert_int_equal(pthread_create(&work[i].thread, NULL, run, &work[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(work[i].thread, NULL);
        assert_true(work[i].ascending);
    }
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    qsort(ids, THREADS * ROUNDS, sizeof *ids, compare);
    for (size_t i = 1; i < THREADS * ROUNDS; i++)
        assert_true(compare(&ids[i - 1], &ids[i]) < 0);
    struct buf b = buf_new(cx->mem, 1 << 20);
    metrics_print(m, &b);
    const char *text = str_z(cx->mem, buf_str(&b));
    assert_non_null(strstr(text, "entrepot_total{label=\"a\"} 26668\nentrepot_total{label=\"b\"} 26668\n"
                                 "entrepot_total{label=\"c\"} 26664\n"));
    assert_non_null(strstr(text, "entrepot_seconds_count 80000\n"));
    snprintf(aside, sizeof aside, "%s.1", log_file);
    unlink(log_file);
    unlink(aside);
    unlink(clock_file);
    free(ids);
    log_free(log);
    clock_free(clock);
    metrics_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {TEST(nothing_is_lost_or_doubled)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
