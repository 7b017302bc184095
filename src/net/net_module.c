/* What the network layer answers by itself: health, metrics, the documents, and the page at / until there is
 * a console; its settings, metrics and statements. */
#include "net/answer.h"
#include "net/call.h"
#include "net/html.h"
#include "net/idempotency.h"
#include "net/peer.h"
#include "net/pulse.h"

#include "base/banned.h"

#define WARNINGS_MAX 100
#define TYPE_HTML S("text/html; charset=utf-8")

struct health {
    struct str status, service, version, db;
    struct list warnings; /* of struct warning */
};
static const char *const STATUSES[] = {"ok", "unavailable", NULL};
static const char *const DB_STATES[] = {"connected", "unreachable", NULL};
static const struct field WARNING_FIELDS[] = {
    FIELD(struct warning, code, OUT | REQUIRED, "What it is, for programs."),
    FIELD(struct warning, message, OUT | REQUIRED, "What to do, for people."),
};
static const struct schema WARNING = SCHEMA(struct warning, "warning", WARNING_FIELDS);
static const struct field HEALTH_FIELDS[] = {
    FIELD(struct health, status, OUT | REQUIRED, "ok when every part works.", .one_of = STATUSES),
    FIELD(struct health, service, OUT | REQUIRED, "entrepot."),
    FIELD(struct health, version, OUT | REQUIRED, "The version that runs."),
    FIELD(struct health, db, OUT | REQUIRED, "The database.", .one_of = DB_STATES),
    FIELD(struct health, warnings, OUT | REQUIRED, "What the administrator should see to although all works.",
          .of = &WARNING),
};
static const struct schema HEALTH = SCHEMA(struct health, "health", HEALTH_FIELDS);
static const struct schema LIFE = {
    .name = "life", .size = sizeof(struct health), .fields = HEALTH_FIELDS, .n = 3};

static enum err life(struct ctx *cx, struct request *rq, struct answer *an) {
    (void)rq;
    struct health h = {.status = S("ok"), .service = S("entrepot"), .version = S(ENTREPOT_VERSION)};
    return answer_object(cx, an, 200, &LIFE, &h);
}

static struct list warnings(struct ctx *cx) {
    const struct modules *m = cx->modules;
    struct warning *v = NEW_N(cx->mem, struct warning, WARNINGS_MAX);
    size_t n = 0;
    for (size_t i = 0; v && m && i < m->n; i++)
        if (m->list[i]->warn)
            n += m->list[i]->warn(cx, m->state[i], v + n, WARNINGS_MAX - n);
    return (struct list){v, n};
}

static enum err health(struct ctx *cx, struct request *rq, struct answer *an) {
    struct pulse *pulse = rq->router->pulse;
    bool good = pulse ? pulse_good(pulse) : db_ping(cx->database) == OK;
    struct health h = {good ? S("ok") : S("unavailable"), S("entrepot"), S(ENTREPOT_VERSION),
                       good ? S("connected") : S("unreachable"), warnings(cx)};
    return answer_object(cx, an, good ? 200 : 503, &HEALTH, &h);
}

static enum err print_metrics(struct ctx *cx, struct request *rq, struct answer *an) {
    struct metrics *m = rq->router->setup.metrics;
    struct buf b = buf_new(cx->mem, ANSWER_MAX);
    metrics_set(m, &NET_METRICS[METRIC_IN_FLIGHT], (struct str){0}, atomic_load(&rq->router->in_flight));
    if (m)
        metrics_print(m, &b);
    if (b.failed)
        return fail(cx, ERR_MEMORY, "The metrics are too large.");
    return answer_text(cx, an, 200, S("text/plain; version=0.0.4; charset=utf-8"), buf_str(&b));
}

static enum err print_document(struct ctx *cx, struct request *rq, struct answer *an) {
    return answer_text(cx, an, 200, TYPE_JSON, rq->router->document);
}

static enum err answer_page(struct ctx *cx, const struct router *r, struct answer *an, struct str page) {
    answer_header(an, S("Content-Security-Policy"), r->policy);
    answer_header(an, S("Referrer-Policy"), S("no-referrer"));
    return answer_text(cx, an, 200, TYPE_HTML, page);
}

/* Open where developers work; elsewhere for whoever has a log-in. */
static enum err print_docs(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct router_setup *setup = &rq->router->setup;
    if (!settings_local(setup->settings) && cx->actor.role != ROLE_OPERATOR) {
        enum err e = setup->authenticate(cx, rq, setup->authenticate_arg);
        if (e)
            return e;
    }
    return answer_page(cx, rq->router, an, rq->router->docs);
}

static void put_uptime(struct buf *b, int64_t us) {
    long long s = us / US_PER_S;
    if (s >= 86400)
        buf_printf(b, "%lld d %lld h", s / 86400, s / 3600 % 24);
    else if (s >= 3600)
        buf_printf(b, "%lld h %lld min", s / 3600, s / 60 % 60);
    else
        buf_printf(b, "%lld min %lld s", s / 60, s % 60);
}

static enum err print_home(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct router *r = rq->router;
    struct buf b = buf_new(cx->mem, ANSWER_MAX);
    html_begin(&b, r, S("entrepot"));
    buf_add(&b, S("<h1>entrepot</h1>\n<p>Inventory and order operations: one ledger, every channel.</p>\n<dl>"
                  "<dt>Version</dt><dd>" ENTREPOT_VERSION "</dd><dt>Database</dt><dd>"));
    buf_add(&b, db_reads_inline(cx->database) ? S("SQLite") : S("PostgreSQL"));
    buf_add(&b, S("</dd><dt>Running for</dt><dd>"));
    put_uptime(&b, clock_steady() - r->started);
    buf_add(&b, S("</dd></dl>\n<nav><a href=\"/docs\">API for people</a><a href=\"/openapi.json\">API for "
                  "programs</a>"
                  "<a href=\"/status/health\">Health</a><a href=\"/metrics\">Metrics</a></nav>\n"));
    html_end(&b);
    if (b.failed)
        return fail(cx, ERR_MEMORY, "The page is too large.");
    return answer_page(cx, r, an, buf_str(&b));
}

#define OPEN(path_, handler_, doc_, ...)                                                                     \
    ROUTE(GET, path_, INSTANT, AREA_PUBLIC, NEED_READ, handler_, doc_, .flags = ROUTE_RAW | ROUTE_UNLIMITED, \
          ##__VA_ARGS__)

static const enum err CREDENTIALS[] = {ERR_UNAUTHENTICATED, OK};
static const struct route ROUTES[] = {
    OPEN("/", print_home, "The start page.", .out_type = "text/html"),
    OPEN("/docs", print_docs, "This API for people.", .out_type = "text/html", .errors = CREDENTIALS),
    OPEN("/openapi.json", print_document, "This API for programs."),
    OPEN("/metrics", print_metrics, "Metrics as Prometheus reads them.", .out_type = "text/plain"),
    OPEN("/healthz", life, "Says that the process runs.", .out = &LIFE),
    OPEN("/health", health, "Says whether every part works.", .out = &HEALTH),
    OPEN("/status/health", health, "Says whether every part works.", .out = &HEALTH),
};

static bool is_network(struct str s) {
    struct network n;
    return network_parse(s, &n);
}

static const struct setting SETTINGS[] = {
    {.name = "HOST",
     .type = SETTING_TEXT,
     .fallback = "127.0.0.1",
     .doc = "The address that the server listens on."},
    {.name = "PORT",
     .type = SETTING_INT,
     .fallback = "8000",
     .min = 0,
     .max = 65535,
     .doc = "The port that the server listens on; 0 takes a free one."},
    {.name = "RATE_LIMIT",
     .type = SETTING_RATE,
     .fallback = "100/min",
     .doc = "Requests per token, or per address without one; 0 is off."},
    {.name = "WEBHOOK_RATE",
     .type = SETTING_RATE,
     .fallback = "100/s",
     .doc = "Webhooks per address, of Smartsheet's only what is not rightly signed; 0 is off."},
    {.name = "CORS_ORIGINS",
     .type = SETTING_LIST,
     .fallback = "",
     .doc = "Origins of web pages that may call the API, such as https://shop.example; none without it."},
    {.name = "TRUSTED_PROXIES",
     .type = SETTING_LIST,
     .fallback = "",
     .doc = "Addresses and networks of proxies whose X-Forwarded-For is believed.",
     .check = is_network,
     .rule = "must be addresses or networks, such as 10.0.0.0/8"},
};

const struct module NET_MODULE = {
    .name = "net",
    TABLE(routes, ROUTES),
    TABLE(settings, SETTINGS),
    .metrics = NET_METRICS,
    .n_metrics = NET_METRICS_N,
    .stmts = IDEMPOTENCY_STMTS,
    .n_stmts = IDEMPOTENCY_STMTS_N,
};
