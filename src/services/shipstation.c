#include "services/shipstation.h"

#include "base/settings.h"
#include "identity/identity.h"

#include <unistd.h>

#include "base/banned.h"

#define VENDOR S("https://ssapi.shipstation.com")
#define V2_VENDOR S("https://api.shipstation.com")
#define TRIES 4

static const struct quota QUOTA = {"ShipStation", 40, 60 * US_PER_S};

/* The setting's value, where it is the organisation's of the context. */
static struct str value_for(const struct ctx *cx, const struct list *orgs, struct str text) {
    struct uuid owner;
    if (!text.n || !orgs->n)
        return (struct str){0};
    struct str value = organisation_owner(orgs, text, &owner);
    return uuid_eq(owner, cx->actor.org) ? value : (struct str){0};
}

enum err shipstation_find(struct ctx *cx, const struct job *job, struct shipstation *out) {
    const struct settings *s = cx->modules->settings;
    struct list orgs;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = organisation_list(cx, &orgs);
    db_read_end(cx);
    if (e)
        return e;
    struct str base = setting_text(s, "SHIPSTATION_BASE_URL");
    *out = (struct shipstation){
        .key = value_for(cx, &orgs, setting_text(s, "SHIPSTATION_API_KEY")),
        .secret = setting_text(s, "SHIPSTATION_API_SECRET"),
        .v2_key = value_for(cx, &orgs, setting_text(s, "SHIPSTATION_V2_API_KEY")),
        .base = base.n ? base : (struct str){0},
        .timeout_us = setting_int(s, "SHIPSTATION_TIMEOUT") * US_PER_S,
        .patience_us = 15 * US_PER_S,
        .job = job,
    };
    return OK;
}

/* ssapi.shipstation.com, ssapi6.shipstation.com, ssapi13.… */
static bool is_vendor(struct str host) {
    struct str head = S("ssapi"), tail = S(".shipstation.com");
    if (host.n < head.n + tail.n || !str_starts(host, head) || !str_ends(host, tail))
        return false;
    for (size_t i = head.n; i < host.n - tail.n; i++)
        if (host.p[i] < '0' || host.p[i] > '9')
            return false;
    return true;
}

static struct str path_of(struct str url) {
    struct str rest = url, path, query;
    for (int i = 0; i < 3; i++) /* after the third slash */
        if (!str_cut(rest, '/', &path, &rest))
            return (struct str){0};
    path = rest;
    (void)str_cut(rest, '#', &path, &query);
    (void)str_cut(path, '?', &path, &query);
    return path;
}

/* A row for each path that may be asked for. */
struct resource {
    const char *path;
    enum shipstation_list list;
};

static bool check_resource(struct arena *mem, const struct http_request *rq, const struct resource *rows,
                           enum shipstation_list *list, struct str *problem) {
    if (rq->url.n > 500)
        *problem = S("must be at most 500 characters");
    else if (http_url_allowed(mem, rq, problem)) {
        struct str path = path_of(rq->url);
        for (const struct resource *r = rows; r->path; r++)
            if (str_eq(path, str_of(r->path))) {
                *list = r->list;
                return true;
            }
        *problem = S("must name shipments, fulfillments, labels or orders");
    }
    return false;
}

bool shipstation_resource(struct arena *mem, struct str base, struct str url, enum shipstation_list *list,
                          struct str *problem) {
    static const struct resource ROWS[] = {{"shipments", SHIPMENT_LIST},
                                           {"fulfillments", FULFILLMENT_LIST},
                                           {"orders", ORDER_LIST},
                                           {NULL, ORDER_LIST}};
    struct http_request rq = {.service = QUOTA.service, .url = url, .origin = base, .host = is_vendor};
    return check_resource(mem, &rq, ROWS, list, problem);
}

bool shipstation_v2_resource(struct arena *mem, struct str base, struct str url, enum shipstation_list *list,
                             struct str *problem) {
    static const struct resource ROWS[] = {{"v2/labels", LABEL_LIST},
                                           {"v2/fulfillments", V2_FULFILLMENT_LIST},
                                           {"v2/shipments", V2_ORDER_LIST},
                                           {NULL, V2_ORDER_LIST}};
    struct http_request rq = {
        .service = QUOTA.service, .url = url, .origin = base, .host = shipstation_is_v2_host};
    return check_resource(mem, &rq, ROWS, list, problem);
}

struct str shipstation_url(struct ctx *cx, const struct shipstation *s, const char *path, struct str query) {
    bool v2 = str_starts(str_of(path), S("v2/"));
    struct str base = s->base.p ? s->base : v2 ? V2_VENDOR : VENDOR;
    while (base.n && base.p[base.n - 1] == '/')
        base.n--;
    return str_printf(cx->mem, "%.*s/%s%s%.*s", STR_FMT(base), path, query.n ? "?" : "", STR_FMT(query));
}

#define RESET_MAX (24 * 3600) /* in seconds; the vendor's periods are a minute */

static int64_t number_of(const struct http_answer *an, struct str name, int64_t otherwise) {
    int64_t n;
    return str_int(http_header(an, name), &n) ? n : otherwise;
}

/* The headers drive the allowance; a plan may have more than the usual. */
static enum err learn(struct ctx *cx, const struct quota *q, const struct http_answer *an) {
    int64_t left = number_of(an, S("X-Rate-Limit-Remaining"), -1);
    int64_t reset = number_of(an, S("X-Rate-Limit-Reset"), -1);
    reset = reset > RESET_MAX ? RESET_MAX * US_PER_S : reset < 0 ? -1 : reset * US_PER_S;
    if (an->status == 429) {
        left = 0;
        if (reset <= 0)
            reset = an->retry_after_us ? an->retry_after_us : q->period_us;
    }
    return left >= 0 && reset >= 0 ? quota_learn(cx, q, left, reset) : OK;
}

static enum err get_once(struct ctx *cx, const struct shipstation *s, const struct shipstation_call *call,
                         struct str url, struct str *body) {
    struct http_request rq = {.service = call->quota->service,
                              .url = url,
                              .origin = s->base,
                              .host = call->host,
                              .headers = call->headers,
                              .n_headers = call->n_headers,
                              .accept = "application/json",
                              .timeout_us = s->timeout_us,
                              .job = s->job};
    struct http_answer an;
    if (call->basic) {
        rq.user = s->key;
        rq.password = s->secret;
    }
    if (s->status)
        *s->status = 0;
    enum err e = quota_take(cx, s->job, call->quota, s->patience_us);
    if (e || (e = http_fetch(cx, &rq, &an)))
        return e;
    if (s->status)
        *s->status = an.status;
    if ((e = learn(cx, call->quota, &an)) || (e = http_outcome(cx, &rq, &an)))
        return e;
    *body = an.body;
    return OK;
}

static int tries_of(const struct shipstation *s) { return s->tries ? s->tries : TRIES; }

/* A moment between two tries, broken off with the job. */
static void pause_before(int attempt, const struct job *job) {
    int64_t until = clock_steady() + (INT64_C(250) * US_PER_MS << (2 * attempt));
    while (clock_steady() < until && !job_cancelled(job))
        usleep(50000);
}

enum err shipstation_get(struct ctx *cx, const struct shipstation *s, const struct shipstation_call *call,
                         struct str url, struct str *body) {
    for (int attempt = 0;; attempt++) {
        enum err e = get_once(cx, s, call, url, body);
        bool passes = e == ERR_UNAVAILABLE || e == ERR_RATE;
        if (!passes || attempt + 1 >= tries_of(s) || job_cancelled(s->job))
            return e;
        fault_clear(cx);
        if (e == ERR_UNAVAILABLE) /* for ERR_RATE the allowance waits */
            pause_before(attempt, s->job);
    }
}

static enum err get_v1(struct ctx *cx, const struct shipstation *s, struct str url, struct str *body) {
    struct shipstation_call call = {.quota = &QUOTA, .host = is_vendor, .basic = true};
    if (!url.p)
        return fail(cx, ERR_MEMORY, "There is not enough memory.");
    return shipstation_get(cx, s, &call, url, body);
}

void shipstation_put_url(struct buf *b, struct str url, const char *const *ours) {
    struct str head = url, query = {0}, one, name, value;
    (void)str_cut(url, '#', &url, &value);
    (void)str_cut(url, '?', &head, &query);
    buf_add(b, head);
    buf_byte(b, '?');
    for (bool more = query.n > 0; more;) {
        one = query;
        more = str_cut(query, '&', &one, &query);
        name = one;
        (void)str_cut(one, '=', &name, &value);
        bool is_ours = one.n == 0;
        for (const char *const *o = ours; *o; o++)
            is_ours = is_ours || str_eq_nocase(name, str_of(*o));
        if (!is_ours) {
            buf_add(b, one);
            buf_byte(b, '&');
        }
    }
}

/* With our own paging, and with the items that webhooks ask to leave out. */
static enum err v1_body(struct ctx *cx, const struct shipstation *s, enum shipstation_list list,
                        struct str url, int64_t page, int64_t size, struct str *body) {
    static const char *const OURS[] = {"page", "pageSize", "includeShipmentItems", NULL};
    struct buf b = buf_new(cx->mem, 2048);
    shipstation_put_url(&b, url, OURS);
    if (list == SHIPMENT_LIST)
        buf_add(&b, S("includeShipmentItems=true&"));
    buf_printf(&b, "page=%lld&pageSize=%lld", (long long)page, (long long)size);
    return get_v1(cx, s, b.failed ? (struct str){0} : buf_str(&b), body);
}

enum err shipstation_get_page(struct ctx *cx, const struct shipstation *s, enum shipstation_list list,
                              struct str url, int64_t page, int64_t size, struct shipstation_page *out) {
    bool v2 = shipstation_is_v2(list);
    for (int attempt = 0;; attempt++) {
        struct str body;
        enum err e = v2 ? shipstation_v2_body(cx, s, url, page, size, &body)
                        : v1_body(cx, s, list, url, page, size, &body);
        if (e || !(e = shipstation_read_page(cx, list, body, page, size, out)) ||
            attempt + 1 >= tries_of(s) || job_cancelled(s->job))
            return e;
        fault_clear(cx); /* a body that is no page, under 200 */
        pause_before(attempt, s->job);
    }
}

enum err shipstation_complete(struct ctx *cx, const struct shipstation *s, struct shipstation_parcel *p) {
    struct str body;
    if (shipstation_is_v2(p->list))
        return shipstation_v2_complete(cx, s, p);
    if (p->has_lines || p->voided || p->is_return || p->problem.p)
        return OK;
    struct str path = str_printf(cx->mem, "orders/%.*s", STR_FMT(p->order_id));
    enum err e = path.p ? get_v1(cx, s, shipstation_url(cx, s, path.p, (struct str){0}), &body)
                        : fail(cx, ERR_MEMORY, "There is not enough memory.");
    if (!e)
        shipstation_read_order(cx, body, p);
    return e;
}

static const struct setting SETTINGS[] = {
    {.name = "SHIPSTATION_API_KEY",
     .type = SETTING_TEXT,
     .fallback = "",
     .secret = true,
     .doc = "The key of ShipStation's V1 API; org:key gives it to an organisation by its slug."},
    {.name = "SHIPSTATION_API_SECRET",
     .type = SETTING_TEXT,
     .fallback = "",
     .secret = true,
     .doc = "The secret that belongs to SHIPSTATION_API_KEY."},
    {.name = "SHIPSTATION_V2_API_KEY",
     .type = SETTING_TEXT,
     .fallback = "",
     .secret = true,
     .doc = "The key of ShipStation's V2 API; org:key gives it to an organisation by its slug."},
    {.name = "SHIPSTATION_BASE_URL",
     .type = SETTING_TEXT,
     .fallback = "",
     .check = http_origin_valid,
     .rule = "must be an address with https:// or http://, without a user in it",
     .doc = "Where ShipStation answers instead of its own hosts: a stand-in, or a gateway. This origin alone "
            "may have a private address."},
    {.name = "SHIPSTATION_TIMEOUT",
     .type = SETTING_INT,
     .fallback = "30",
     .min = 1,
     .max = 300,
     .doc = "How long one request to ShipStation may take, in seconds."},
};

const struct module SHIPSTATION_MODULE = {.name = "shipstation", TABLE(settings, SETTINGS)};
