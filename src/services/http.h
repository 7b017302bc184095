/* The one HTTP client: every request that the server makes to an outside system goes through http_fetch.
 *
 * Where it may go: https on port 443 to a host of the service (`host`), or to any public host where there is
 * no such list; besides exactly the origin (scheme, host, port) that the administrator has configured
 * (`origin`, a <NAME>_BASE_URL), which alone may be plain http and have a private address. The address is
 * checked where the socket is made, so it is the one connected to, whatever DNS said before. Redirects are
 * not followed: a 3xx comes back as an answer. No proxy of the environment, no cookies, no .netrc, no user
 * name in the URL, no compressed bodies.
 *
 * Calls block: for THREAD jobs and SLOW routes, never inside a transaction. */
#ifndef SERVICES_HTTP_H
#define SERVICES_HTTP_H

#include "base/module.h"
#include "jobs/jobs.h"
#include "net/route.h"

struct http_request {
    const char *service;           /* for metrics and messages: "ShipStation" */
    const char *method;            /* NULL: GET */
    struct str url;                /* absolute */
    struct str origin;             /* the configured base URL; no value: none */
    bool (*host)(struct str host); /* which hosts beside it; NULL: any public one */
    const struct header *headers;
    size_t n_headers;
    struct str user, password; /* Basic authentication, when user has a value */
    struct str body;           /* sent when it has a value, with a Content-Type among the headers */
    const char *accept;        /* "application/json": a 2xx of another media type is ERR_UNAVAILABLE */
    size_t max;                /* bytes of the answer's body; 0: 8 MiB */
    int64_t timeout_us;        /* for all of it; 0: 30 s */
    struct http_sink *sink;    /* NULL: the body is in the answer */
    const struct job *job;     /* broken off when that is to end; NULL: none */
};

struct http_answer;
/* Where a body goes that is not to be held in memory. begin sees status and headers and says whether this one
 * does; else it goes into the answer. take gets it piece by piece; when it says false the fetch ends, with
 * stopped set, and so it does when less than a byte a second came for half a minute. */
struct http_sink {
    bool (*begin)(void *arg, const struct http_answer *head);
    bool (*take)(void *arg, struct str piece);
    void *arg;
    bool stopped;
};

struct http_answer {
    int status;
    struct header *headers; /* of the last response, in order */
    size_t n_headers;
    struct str body;
    int64_t retry_after_us; /* Retry-After in seconds or as a date; 0: not said */
};

/* Whether the URL may be fetched, by its form alone. problem, for people, when not: "must …". */
bool http_url_allowed(struct arena *mem, const struct http_request *rq, struct str *problem);

/* For rows of settings that hold a <NAME>_BASE_URL: an absolute http or https URL without a user in it; the
 * second one takes http for this machine only. */
bool http_origin_valid(struct str url);
bool http_origin_secure(struct str url);

/* Where a redirect leads: location resolved against the URL that answered it; no value when it is none. */
struct str http_resolve(struct arena *mem, struct str url, struct str location);
bool http_same_origin(struct arena *mem, struct str a, struct str b);

/* One request. OK with any status once a whole answer is there. ERR_ADDRESS: it leads where it must not;
 * ERR_UNAVAILABLE: no connection, cut off, too slow, or not of the wanted type; ERR_TOO_LARGE. */
MUST_USE enum err http_fetch(struct ctx *cx, const struct http_request *rq, struct http_answer *out);

/* The first header with the name, without regard to case; no value when there is none. */
struct str http_header(const struct http_answer *an, struct str name);
/* What a status other than 2xx means for a job: ERR_RATE for 429, ERR_UNAVAILABLE for 408, 5xx and redirects,
 * ERR_SERVICE (permanent) for the rest; OK for 2xx. */
MUST_USE enum err http_outcome(struct ctx *cx, const struct http_request *rq, const struct http_answer *an);

/* Adds text to a URL, percent-encoded as RFC 3986 wants it of a query's value. */
void http_put_encoded(struct buf *b, struct str text);

extern const struct module HTTP_MODULE;

#endif
