/* Routes: a row says everything about one operation: method, path, how it touches the database, who may, what
 * goes in and out, which errors it documents, and the function. The router decodes and validates, so a
 * handler gets good input; it is called inside its transaction (READ, WRITE) and its answer leaves after the
 * commit. */
#ifndef NET_ROUTE_H
#define NET_ROUTE_H

#include "base/schema.h"
#include "db/db.h"
#include "net/access.h"

enum method { GET, POST, PATCH_, PUT, DELETE, METHODS };

/* READ: one read transaction. WRITE: a closure. SLOW: a thread of its own pool, no transaction; it opens its
 * own with db_read_begin or db_write_wait. INSTANT: on the HTTP thread, no transaction, microseconds only. */
enum mode { READ = 1, WRITE, SLOW, INSTANT };

enum route_flag {
    ROUTE_RAW = 1,         /* the answer is as the handler writes it, without {"data", "error"} */
    ROUTE_WEBHOOK = 2,     /* head checks by its head function, WEBHOOK_RATE, any Content-Type, raw body */
    ROUTE_LIST = 4,        /* answers a page; query parameters of its listing */
    ROUTE_IDEMPOTENT = 8,  /* takes Idempotency-Key: a repeat within 24 h gets the first answer */
    ROUTE_CREATES = 16,    /* success is 201 (200 for a repeat) */
    ROUTE_NO_CONTENT = 32, /* success is 204 without a body */
    ROUTE_BODY_ANY =
        64, /* JSON of any shape: the handler reads rq->body itself (arrays as well as objects) */
    /* No rate limit: health, metrics, documents, pages. Of a webhook: none for what is rightly signed; what
     * is not, and what its prepare function answers, counts by peer. */
    ROUTE_UNLIMITED = 128,
    ROUTE_BODY_OPTIONAL = 256, /* nothing of its body is required: none is as good as {} */
    ROUTE_FILE = 512 /* the body is multipart/form-data with one file, in the field `file`: net/multipart.h */
};

struct router;

struct header {
    struct str name, value;
};

#define PATH_PARAMS_MAX 4
struct request {
    enum method method;
    struct str target;                 /* as it came, path and query */
    struct str param[PATH_PARAMS_MAX]; /* decoded {…} segments in order */
    const struct header *headers;
    size_t n_headers;
    struct str peer; /* address of the peer, or of the client when it came by a trusted proxy */
    struct str body;
    void *in;         /* the decoded body, of route->in */
    uint64_t present; /* which of its fields were there */
    const struct route *route;
    void *prepared;        /* what the prepare function left for the handler */
    struct router *router; /* the one that calls */
};
/* The one value of a header, by its name without regard to case. count gets how often it is there. */
struct str request_header(const struct request *rq, struct str name, size_t *count);
/* The decoded value of a query parameter; no value when it is not there. Twice is ERR_INVALID. */
MUST_USE enum err request_query(struct ctx *cx, const struct request *rq, struct str name, struct str *out);
/* For head functions: ERR_LENGTH_REQUIRED without Content-Length, ERR_TOO_LARGE when it says more than
 * max. */
MUST_USE enum err request_length(struct ctx *cx, const struct request *rq, size_t max);

struct answer {
    int status;
    struct buf body;
    struct str content_type; /* JSON unless said */
    struct header headers[8];
    size_t n_headers;
    bool raw;   /* of a ROUTE_RAW or ROUTE_WEBHOOK: objects are written without {"data": …} */
    bool whole; /* set by a prepare function that has answered: the handler is not called */
};
/* Answers an object or a page of them, by a schema's OUT fields, inside {"data": …}. status 0 is the route's
 * own; page_size 0 writes the items without "page". The last answer of a handler counts. */
MUST_USE enum err answer_object(struct ctx *cx, struct answer *an, int status, const struct schema *s,
                                const void *o);
MUST_USE enum err answer_list(struct ctx *cx, struct answer *an, const struct schema *s, struct list rows,
                              int64_t page, int64_t page_size, struct str next_cursor);
MUST_USE enum err answer_text(struct ctx *cx, struct answer *an, int status, struct str type,
                              struct str text);
void answer_header(struct answer *an, struct str name,
                   struct str value); /* texts live as long as the request */
/* The version of what is answered, and the caller's claim about it: If-Match with another one is
 * ERR_STALE. */
void answer_etag(struct ctx *cx, struct answer *an, int64_t revision);
MUST_USE enum err request_if_match(struct ctx *cx, const struct request *rq, int64_t revision);

typedef enum err handler_fn(struct ctx *cx, struct request *rq, struct answer *an);

/* Requests of one route and organisation at once: each is answered as its handler would have, or it is an
 * error and their handlers run. The transaction is in the first's context; memory for what an answer needs
 * comes from each one's own. */
struct piece {
    struct ctx *cx;
    struct request *rq;
    struct answer *an;
};
typedef enum err lot_fn(const struct piece *v, size_t n);

/* A query parameter beside those of a listing, for reading and documents. */
struct query {
    const char *name;
    const struct field *field; /* type, limits, doc */
};

struct listing;
struct route {
    enum method method;
    const char *path; /* "/api/v1/catalog/{sku}" */
    enum mode mode;
    enum area area;
    enum need need;
    handler_fn *handler;
    const char *doc;
    unsigned flags;
    const struct schema *in;
    enum use in_use;
    const struct schema *out;
    const struct schema
        *out_each;        /* BODY_ANY: what an array in the body is answered with, one of these an item */
    const char *out_type; /* media type of a ROUTE_RAW without out, for the documents */
    int out_status;       /* what success is; 0: 200, or as the flags say */
    size_t body_max;      /* 0: 64 KiB */
    const struct listing *listing;
    size_t
        path_filters; /* so many filters of the listing are no parameters but the {…} of the path, in order */
    const struct query *query; /* name NULL ends */
    const enum err *errors;    /* OK ends; those beyond what mode, area and body bring by themselves */
    /* WRITE only. prepare runs on the HTTP thread once the body is there, before the closure: signatures, and
     * anything that needs no database. head runs before the body is read, for webhooks. */
    handler_fn *head, *prepare;
    /* READ only: whether this request may have to wait, and runs where SLOW routes do. */
    bool (*patient)(struct ctx *cx, const struct request *rq);
    enum lane lane;
    lot_fn *lot; /* optional, for routes that many ask at once; not for requests with an Idempotency-Key */
};

/* A row without an area or a need does not compile: they are arguments of the macro, in this order. */
#define ROUTE(method_, path_, mode_, area_, need_, handler_, doc_, ...)                          \
    {                                                                                            \
        .method = (method_), .path = (path_), .mode = (mode_), .area = (area_), .need = (need_), \
        .handler = (handler_), .doc = (doc_), ##__VA_ARGS__                                      \
    }

/* A second path of earlier designs for the same operations: prefix → prefix. */
struct alias {
    const char *from, *to;
};

#endif
