#include "services/http.h"

#include "base/metrics.h"
#include "net/path.h"
#include "services/address.h"

#include <curl/curl.h>
#include <string.h>
#include <unistd.h>

#include "base/banned.h"

#define BODY_MAX ((size_t)8 << 20)
#define HEADERS_MAX 64
#define HEADER_MAX 8192
#define TIMEOUT_US (30 * US_PER_S)
#define CONNECT_MS 10000L
#define URL_MAX 2048
#define STALLED_S 30L

enum { SECONDS, FAILED, REFUSED };
static const struct metric METRICS[] = {
    [SECONDS] = {"entrepot_call_out_seconds", METRIC_HISTOGRAM, "service",
                 "How long requests to outside services took."},
    [FAILED] = {"entrepot_call_out_failed_total", METRIC_COUNTER, "service",
                "Requests to outside services that got no answer, or one that is not 2xx."},
    [REFUSED] = {"entrepot_call_out_refused_total", METRIC_COUNTER, "service",
                 "Requests that were not made because they led to a private address or another host."},
};

/* One part of a parsed URL, copied; no value when it has none. */
static struct str part_of(struct arena *mem, CURLU *url, CURLUPart part, unsigned flags) {
    char *text = NULL;
    struct str copy = {0};
    if (curl_url_get(url, part, &text, flags) == CURLUE_OK)
        copy = str_dup(mem, str_of(text));
    curl_free(text);
    return copy;
}

static CURLU *parse(struct arena *mem, struct str text) {
    char *z = text.n && text.n <= URL_MAX ? str_z(mem, text) : NULL;
    CURLU *url = z && strlen(z) == text.n ? curl_url() : NULL;
    if (url && curl_url_set(url, CURLUPART_URL, z, 0) != CURLUE_OK) {
        curl_url_cleanup(url);
        return NULL;
    }
    return url;
}

struct origin {
    struct str scheme, host, port;
};

static struct origin origin_of(struct arena *mem, CURLU *url) {
    return (struct origin){part_of(mem, url, CURLUPART_SCHEME, 0), part_of(mem, url, CURLUPART_HOST, 0),
                           part_of(mem, url, CURLUPART_PORT, CURLU_DEFAULT_PORT)};
}

static bool is_configured(struct arena *mem, const struct origin *o, struct str configured) {
    CURLU *url = configured.p ? parse(mem, configured) : NULL;
    if (!url)
        return false;
    struct origin c = origin_of(mem, url);
    curl_url_cleanup(url);
    bool http = str_eq_nocase(c.scheme, S("http")) || str_eq_nocase(c.scheme, S("https"));
    return http && str_eq_nocase(o->scheme, c.scheme) && str_eq_nocase(o->host, c.host) &&
           str_eq(o->port, c.port);
}

static struct str problem_of(struct arena *mem, const struct http_request *rq, CURLU *url, bool *configured) {
    struct origin o = origin_of(mem, url);
    struct str user = part_of(mem, url, CURLUPART_USER, 0),
               password = part_of(mem, url, CURLUPART_PASSWORD, 0);
    if (!o.scheme.p || !o.host.p || !o.port.p)
        return S("must be an absolute URL");
    if (user.p || password.p)
        return S("must not name a user");
    if ((*configured = is_configured(mem, &o, rq->origin)))
        return (struct str){0};
    if (!str_eq_nocase(o.scheme, S("https")))
        return S("must begin with https://");
    if (!str_eq(o.port, S("443")))
        return S("must not name a port");
    if (rq->host && !rq->host(o.host))
        return S("must lead to a host of the service");
    return (struct str){0};
}

static bool origin_valid(struct str text, bool secure) {
    struct arena *mem = arena_new((size_t)1 << 16);
    CURLU *url = mem ? parse(mem, text) : NULL;
    bool good = false;
    if (url) {
        struct origin o = origin_of(mem, url);
        bool https = o.scheme.p && str_eq_nocase(o.scheme, S("https")),
             http = o.scheme.p && str_eq_nocase(o.scheme, S("http")),
             here = o.host.p && (str_eq(o.host, S("127.0.0.1")) || str_eq(o.host, S("[::1]")) ||
                                 str_eq_nocase(o.host, S("localhost")));
        bool user = part_of(mem, url, CURLUPART_USER, 0).p || part_of(mem, url, CURLUPART_PASSWORD, 0).p;
        good = o.host.n > 0 && !user && (https || (http && (here || !secure)));
    }
    curl_url_cleanup(url);
    arena_free(mem);
    return good;
}

bool http_origin_valid(struct str url) { return origin_valid(url, false); }
bool http_origin_secure(struct str url) { return origin_valid(url, true); }

/* The URL as it will be used, so that nothing is read in two ways. NULL with the problem set. */
static CURLU *checked(struct arena *mem, const struct http_request *rq, bool *configured,
                      struct str *problem) {
    CURLU *url = parse(mem, rq->url);
    *configured = false;
    *problem = url ? problem_of(mem, rq, url, configured) : S("must be a URL");
    if (url && problem->p) {
        curl_url_cleanup(url);
        return NULL;
    }
    return url;
}

struct str http_resolve(struct arena *mem, struct str base, struct str location) {
    CURLU *url = parse(mem, base);
    struct str out = {0};
    if (url && location.n && location.n <= URL_MAX &&
        curl_url_set(url, CURLUPART_URL, str_z(mem, location), 0) == CURLUE_OK)
        out = part_of(mem, url, CURLUPART_URL, 0);
    curl_url_cleanup(url);
    return out;
}

bool http_same_origin(struct arena *mem, struct str a, struct str b) {
    CURLU *url = parse(mem, a);
    if (!url)
        return false;
    struct origin o = origin_of(mem, url);
    curl_url_cleanup(url);
    return o.scheme.p && o.host.p && o.port.p && is_configured(mem, &o, b);
}

bool http_url_allowed(struct arena *mem, const struct http_request *rq, struct str *problem) {
    bool configured;
    CURLU *url = checked(mem, rq, &configured, problem);
    curl_url_cleanup(url);
    return url != NULL;
}

/* One request under way. */
struct call {
    struct ctx *cx;
    const struct http_request *rq;
    struct http_answer *an;
    struct buf body;
    CURL *curl;
    bool asked, sunk; /* the sink was asked; it takes the body */
    bool configured;  /* goes to the configured origin, wherever that is */
    bool refused;     /* an address was not public */
    bool too_large;
};

/* libcurl asks for the socket of each address that it is about to connect to. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a) {
    struct call *c = arg;
    if (purpose != CURLSOCKTYPE_IPCXN || (!c->configured && !address_public(&a->addr, a->addrlen))) {
        c->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static size_t take_header(char *p, size_t size, size_t n, void *arg) {
    struct call *c = arg;
    struct str line = {p, size * n}, name, value;
    if (str_starts(line, S("HTTP/"))) {
        c->an->n_headers = 0;
        return line.n;
    }
    while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == '\n'))
        line.n--;
    if (c->an->n_headers == HEADERS_MAX || line.n > HEADER_MAX || !str_cut(line, ':', &name, &value))
        return size * n;
    struct header h = {str_dup(c->cx->mem, name), str_dup(c->cx->mem, str_trim(value))};
    if (h.name.p && h.value.p)
        c->an->headers[c->an->n_headers++] = h;
    return size * n;
}

static size_t take_body(char *p, size_t size, size_t n, void *arg) {
    struct call *c = arg;
    struct http_sink *sink = c->rq->sink;
    long status = 0;
    if (sink && !c->asked) {
        c->asked = true;
        (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
        c->an->status = (int)status;
        c->sunk = sink->begin(sink->arg, c->an);
    }
    if (c->sunk) {
        sink->stopped = !sink->take(sink->arg, (struct str){p, size * n});
        return sink->stopped ? 0 : size * n;
    }
    buf_add(&c->body, (struct str){p, size * n});
    c->too_large = c->body.failed;
    return c->body.failed ? 0 : size * n;
}

static int go_on(void *arg, curl_off_t a, curl_off_t b, curl_off_t x, curl_off_t y) {
    const struct call *c = arg;
    (void)a, (void)b, (void)x, (void)y;
    return c->rq->job && job_cancelled(c->rq->job);
}

static bool add_header(struct arena *mem, struct curl_slist **list, struct str name, struct str value) {
    struct str line = str_printf(mem, "%.*s: %.*s", STR_FMT(name), STR_FMT(value));
    bool good = line.p && !memchr(line.p, '\n', line.n) && !memchr(line.p, '\r', line.n);
    struct curl_slist *longer = good ? curl_slist_append(*list, line.p) : NULL;
    if (longer)
        *list = longer;
    return longer != NULL;
}

static struct curl_slist *headers_of(struct ctx *cx, const struct http_request *rq) {
    struct curl_slist *list = NULL;
    bool good = add_header(cx->mem, &list, S("User-Agent"), S("entrepot/" ENTREPOT_VERSION));
    if (good && rq->accept)
        good = add_header(cx->mem, &list, S("Accept"), str_of(rq->accept));
    if (good && cx->request_id.p)
        good = add_header(cx->mem, &list, S("X-Request-ID"), cx->request_id);
    for (size_t i = 0; good && i < rq->n_headers; i++)
        good = add_header(cx->mem, &list, rq->headers[i].name, rq->headers[i].value);
    if (good)
        return list;
    curl_slist_free_all(list);
    return NULL;
}

static CURLcode set_limits(CURL *curl, const struct http_request *rq, bool configured) {
    int64_t timeout = rq->timeout_us ? rq->timeout_us : TIMEOUT_US;
    CURLcode e = curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(timeout / US_PER_MS));
    e = e ? e : curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    e = e ? e : curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, configured ? "http,https" : "https");
    if (rq->sink) {
        e = e ? e : curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        e = e ? e : curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALLED_S);
    }
    e = e ? e : curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    e = e ? e : curl_easy_setopt(curl, CURLOPT_PROXY, "");
    e = e ? e : curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    e = e ? e : curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    return e;
}

static CURLcode set_hooks(CURL *curl, struct call *c) {
    CURLcode e = curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    e = e ? e : curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, c);
    e = e ? e : curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    e = e ? e : curl_easy_setopt(curl, CURLOPT_HEADERDATA, c);
    e = e ? e : curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    e = e ? e : curl_easy_setopt(curl, CURLOPT_WRITEDATA, c);
    e = e ? e : curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, go_on);
    e = e ? e : curl_easy_setopt(curl, CURLOPT_XFERINFODATA, c);
    e = e ? e : curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    return e;
}

static CURLcode set_request(struct ctx *cx, CURL *curl, const struct http_request *rq, CURLU *url,
                            struct curl_slist *headers) {
    CURLcode e = curl_easy_setopt(curl, CURLOPT_CURLU, url);
    e = e ? e : curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (!e && rq->body.p) {
        e = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)rq->body.n);
        e = e ? e : curl_easy_setopt(curl, CURLOPT_POSTFIELDS, rq->body.p);
    }
    if (!e && rq->method)
        e = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, rq->method);
    if (!e && rq->user.p) {
        e = curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        e = e ? e : curl_easy_setopt(curl, CURLOPT_USERNAME, str_z(cx->mem, rq->user));
        e = e ? e : curl_easy_setopt(curl, CURLOPT_PASSWORD, str_z(cx->mem, rq->password));
    }
    return e;
}

static CURLcode perform(struct call *c, CURLU *url) {
    CURL *curl = c->curl = curl_easy_init();
    struct curl_slist *headers = headers_of(c->cx, c->rq);
    long status = 0;
    CURLcode e = curl && headers ? CURLE_OK : CURLE_OUT_OF_MEMORY;
    e = e ? e : set_limits(curl, c->rq, c->configured);
    e = e ? e : set_hooks(curl, c);
    e = e ? e : set_request(c->cx, curl, c->rq, url, headers);
    e = e ? e : curl_easy_perform(curl);
    if (!e)
        e = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    c->an->status = (int)status;
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return e;
}

struct str http_header(const struct http_answer *an, struct str name) {
    for (size_t i = 0; i < an->n_headers; i++)
        if (str_eq_nocase(an->headers[i].name, name))
            return an->headers[i].value;
    return (struct str){0};
}

/* RFC 9110 section 10.2.3: seconds, or a date. */
static int64_t retry_after(struct ctx *cx, const struct http_answer *an) {
    struct str text = http_header(an, S("Retry-After"));
    int64_t seconds;
    if (!text.p)
        return 0;
    if (!str_int(text, &seconds))
        seconds = (int64_t)curl_getdate(str_z(cx->mem, text), NULL) - cx->now.us / US_PER_S;
    return seconds > 0 && seconds <= 86400 ? seconds * US_PER_S : 0;
}

static bool has_type(const struct http_answer *an, const char *wanted) {
    struct str type = http_header(an, S("Content-Type")), rest;
    (void)str_cut(type, ';', &type, &rest);
    return type.p && str_eq_nocase(str_trim(type), str_of(wanted));
}

static enum err judge(struct call *c, CURLcode outcome) {
    const struct http_request *rq = c->rq;
    if (outcome != CURLE_OK && c->refused)
        return fail(c->cx, ERR_ADDRESS, "%s would be reached at an address that is not public.", rq->service);
    if (c->too_large)
        return fail(c->cx, ERR_TOO_LARGE, "The answer of %s is larger than it may be.", rq->service);
    if (outcome != CURLE_OK) {
        (void)fail(c->cx, ERR_UNAVAILABLE, "%s did not answer: %s.", rq->service,
                   curl_easy_strerror(outcome));
        return ERR_UNAVAILABLE;
    }
    c->an->body = buf_str(&c->body);
    c->an->retry_after_us = retry_after(c->cx, c->an);
    if (rq->accept && c->an->status / 100 == 2 && !has_type(c->an, rq->accept))
        return fail(c->cx, ERR_UNAVAILABLE, "%s answered something other than %s.", rq->service, rq->accept);
    return OK;
}

static void count(const struct ctx *cx, const char *service, int metric) {
    if (cx->modules)
        metrics_add(cx->modules->metrics, &METRICS[metric], str_of(service), 1);
}

enum err http_fetch(struct ctx *cx, const struct http_request *rq, struct http_answer *out) {
    struct http_answer an = {.headers = NEW_N(cx->mem, struct header, HEADERS_MAX)};
    struct call c = {.cx = cx, .rq = rq, .an = &an, .body = buf_new(cx->mem, rq->max ? rq->max : BODY_MAX)};
    struct str problem;
    if (!an.headers)
        return fail(cx, ERR_MEMORY, "The request needs more memory than it may have.");
    CURLU *url = checked(cx->mem, rq, &c.configured, &problem);
    if (!url) {
        count(cx, rq->service, REFUSED);
        return fail(cx, ERR_ADDRESS, "The URL of %s %.*s.", rq->service, STR_FMT(problem));
    }
    int64_t begun = clock_steady();
    CURLcode outcome = perform(&c, url);
    curl_url_cleanup(url);
    enum err e = judge(&c, outcome);
    if (cx->modules)
        metrics_observe(cx->modules->metrics, &METRICS[SECONDS], str_of(rq->service), clock_steady() - begun);
    if (e || an.status / 100 != 2)
        count(cx, rq->service, e == ERR_ADDRESS ? REFUSED : FAILED);
    if (!e)
        *out = an;
    return e;
}

enum err http_outcome(struct ctx *cx, const struct http_request *rq, const struct http_answer *an) {
    enum err e = ERR_SERVICE;
    if (an->status / 100 == 2)
        return OK;
    if (an->status == 429)
        e = ERR_RATE;
    else if (an->status >= 500 || an->status == 408 || an->status / 100 == 3)
        e = ERR_UNAVAILABLE;
    return fail(cx, e, "%s answered with status %d.", rq->service, an->status);
}

void http_put_encoded(struct buf *b, struct str text) { path_encode(b, text); }

static enum err start(struct ctx *cx, void **state) {
    *state = NULL;
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK
               ? OK
               : fail(cx, ERR_MEMORY, "The client for outside services could not start.");
}

static void stop(void *state) {
    (void)state;
    curl_global_cleanup();
}

const struct module HTTP_MODULE = {.name = "http", TABLE(metrics, METRICS), .start = start, .stop = stop};
