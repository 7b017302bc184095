/* The edge of a call: its answer, its one log line, its metrics. */
#include "net/answer.h"
#include "net/call.h"

#include "base/log.h"

#include "base/banned.h"

const struct metric NET_METRICS[NET_METRICS_N] = {
    [METRIC_REQUESTS] = {"entrepot_http_requests_total", METRIC_COUNTER, "class",
                         "Requests answered, by the class of their status."},
    [METRIC_DURATION] = {"entrepot_http_request_seconds", METRIC_HISTOGRAM, "route",
                         "Time from a request's head to its answer, by route."},
    [METRIC_WEBHOOK] = {"entrepot_webhook_seconds", METRIC_HISTOGRAM, "route",
                        "Time from a webhook's head to its answer, by route."},
    [METRIC_REFUSED] = {"entrepot_webhook_refused_total", METRIC_COUNTER, "code",
                        "Webhooks refused before anything of them was kept, by the error's code."},
    [METRIC_IN_FLIGHT] = {"entrepot_http_requests_in_flight", METRIC_GAUGE, NULL,
                          "Requests that are being read or answered."},
};

static bool has_header(const struct answer *an, struct str name) {
    for (size_t i = 0; i < an->n_headers; i++)
        if (str_eq_nocase(an->headers[i].name, name))
            return true;
    return false;
}

/* Of a handler that failed only Retry-After still holds: the rest described an answer that did not come
 * about. */
static void keep_retry_after(struct answer *an) {
    size_t n = 0;
    for (size_t i = 0; i < an->n_headers; i++)
        if (str_eq_nocase(an->headers[i].name, S("Retry-After")))
            an->headers[n++] = an->headers[i];
    an->n_headers = n;
}

static void answer_failure(struct call *c) {
    struct ctx *cx = c->cx;
    if (cx->fault.code != c->outcome)
        fail(cx, c->outcome, "%s", err_info(c->outcome)->doc);
    keep_retry_after(&c->an);
    answer_fault(cx, &c->an);
    if (c->an.status == 405)
        answer_header(&c->an, S("Allow"), c->allow);
    if (c->an.status == 401 && !(c->rq.route && c->rq.route->flags & ROUTE_WEBHOOK))
        answer_header(&c->an, S("WWW-Authenticate"), S("Bearer"));
}

/* True when this second has its line already; else count gets how many there were since the last line. */
static bool told(struct flood *f, int64_t second, int64_t *count) {
    int64_t last = atomic_load(&f->second);
    if (last == second || !atomic_compare_exchange_strong(&f->second, &last, second)) {
        atomic_fetch_add(&f->count, 1);
        return true;
    }
    *count = 1 + atomic_exchange(&f->count, 0);
    return false;
}

static void report(struct call *c, struct str label) {
    int status = c->an.status;
    int64_t count = 1;
    if (status < 400)
        return;
    struct flood *flood = c->rq.route ? &c->endpoint->floods[c->rq.method] : &c->router->unrouted;
    if ((status == 429 || status == 503) && told(flood, c->began / US_PER_S, &count))
        return;
    const struct fault *f = &c->cx->fault;
    struct str code = f->code ? str_of(err_info(f->code)->code) : S("answered");
    LOG(c->cx, status >= 500 ? LOG_ERROR : LOG_INFO, "net",
        f->message.p ? f->message : S("The answer is no success."), LOG_STR("route", label),
        LOG_INT("status", status), LOG_STR("code", code), LOG_STR("cause", f->cause.p ? f->cause : S("")),
        LOG_STR("peer", c->rq.peer), LOG_INT("count", count));
}

static void measure(struct call *c, struct str label) {
    static const char CLASSES[][4] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    struct metrics *m = c->router->setup.metrics;
    int class = c->an.status / 100;
    int64_t us = clock_steady() - c->began;
    metrics_add(m, &NET_METRICS[METRIC_REQUESTS], str_of(CLASSES[class >= 1 && class <= 5 ? class - 1 : 4]),
                1);
    metrics_observe(m, &NET_METRICS[METRIC_DURATION], label, us);
    if (c->rq.route && c->rq.route->flags & ROUTE_WEBHOOK)
        metrics_observe(m, &NET_METRICS[METRIC_WEBHOOK], label, us);
    if (c->rq.route && c->rq.route->flags & ROUTE_WEBHOOK && c->outcome)
        metrics_add(m, &NET_METRICS[METRIC_REFUSED], str_of(err_info(c->outcome)->code), 1);
}

void call_finish(struct call *c) {
    if (c->outcome)
        answer_failure(c);
    else
        answer_end(&c->an);
    int status = c->an.status;
    if ((status == 429 || status == 503) && !has_header(&c->an, S("Retry-After")))
        answer_header(&c->an, S("Retry-After"), str_printf(c->cx->mem, "%lld", (long long)c->retry_after));
    struct str label = c->rq.route ? c->endpoint->labels[c->rq.method] : S("none");
    report(c, label);
    measure(c, label);
}
