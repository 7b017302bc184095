#include "net/exchange.h"

#include "net/answer.h"
#include "net/links.h"

#include "base/banned.h"

#define ARENA_MAX (96u << 20)
#define DRAIN_MAX BODY_MAX_DEFAULT /* of a refused body that is read all the same, to keep the connection */

enum stage {
    HEAD,    /* the head is there */
    BODY,    /* the body comes, for the route or to be dropped */
    WAITING, /* suspended, or about to be called again */
    SENT
};

struct exchange {
    struct door *door;
    struct link *link;
    struct MHD_Connection *connection;
    struct arena *mem;
    struct ctx cx;
    struct call call;
    struct str target;
    enum stage stage;
    bool open; /* between the target and the completion */
    bool close;
    struct buf body;
    size_t dropped;
    struct task task;
    struct write write;
    struct handed handed;
};

struct exchange *exchange_new(struct door *door, struct link *link) {
    struct exchange *x = calloc(1, sizeof(*x));
    if (!x)
        return NULL;
    x->door = door;
    x->link = link;
    if (!(x->mem = arena_new(ARENA_MAX))) {
        free(x);
        return NULL;
    }
    return x;
}

void exchange_free(struct exchange *x) {
    if (!x)
        return;
    arena_free(x->mem);
    free(x);
}

void *exchange_target(void *door, const char *uri, struct MHD_Connection *connection) {
    (void)door;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (!info || !info->socket_context)
        return NULL;
    struct exchange *x = link_exchange(info->socket_context);
    x->connection = connection;
    x->stage = HEAD;
    x->close = false;
    x->open = true;
    x->dropped = 0;
    x->target = str_dup(x->mem, str_of(uri));
    atomic_fetch_add(&x->door->site->router->in_flight, 1);
    return x;
}

void exchange_completed(void *door, struct MHD_Connection *connection, void **request,
                        enum MHD_RequestTerminationCode why) {
    (void)door;
    (void)connection;
    (void)why;
    struct exchange *x = *request;
    if (!x || !x->open)
        return;
    x->open = false;
    x->body = (struct buf){0};
    arena_reset(x->mem);
    link_waits(x->link, true);
    atomic_fetch_sub(&x->door->site->router->in_flight, 1);
    *request = NULL;
}

struct gathering {
    struct header *headers;
    size_t n, cap;
};

static enum MHD_Result gather(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_n,
                              const char *value, size_t value_n) {
    (void)kind;
    struct gathering *g = arg;
    if (g->n == g->cap)
        return MHD_NO;
    g->headers[g->n++] = (struct header){{name ? name : "", name_n}, {value ? value : "", value_n}};
    return MHD_YES;
}

/* The context and the request as they came; the texts are the connection's and live as long as the
 * request. */
static bool begin(struct exchange *x) {
    struct router *r = x->door->site->router;
    x->cx = (struct ctx){.mem = x->mem,
                         .clock = r->setup.clock,
                         .now = clock_now(r->setup.clock),
                         .log = r->setup.log,
                         .database = r->setup.db,
                         .modules = r->modules};
    call_begin(&x->call, r, &x->cx, x->door->origin);
    int count = MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND, NULL, NULL);
    struct gathering g = {.cap = count > 0 ? (size_t)count : 0};
    if (!x->target.p || (g.cap > 0 && !(g.headers = NEW_N(x->mem, struct header, g.cap))))
        return false;
    MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND, gather, &g);
    struct request *rq = &x->call.rq;
    rq->target = x->target;
    rq->headers = g.headers;
    rq->n_headers = g.n;
    rq->peer = link_peer(x->link);
    if (x->door->origin == ORIGIN_SOCKET)
        x->cx.actor = (struct actor){.name = S("operator"), .role = ROLE_OPERATOR};
    call_request_id(&x->call);
    return true;
}

/* One header; a failure to add it is a failure of memory, and the answer goes without. */
static void add(struct MHD_Response *response, struct arena *mem, struct str name, struct str value) {
    char *n = str_z(mem, name), *v = str_z(mem, value);
    if (n && v)
        MHD_add_response_header(response, n, v);
}

static void add_headers(struct exchange *x, struct MHD_Response *response) {
    const struct call *c = &x->call;
    const struct answer *an = &c->an;
    if (an->body.n > 0)
        add(response, x->mem, S("Content-Type"), an->content_type);
    add(response, x->mem, S("X-Request-ID"), x->cx.request_id);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    for (size_t i = 0; i < an->n_headers; i++)
        add(response, x->mem, an->headers[i].name, an->headers[i].value);
    if (c->cors_origin.p) {
        add(response, x->mem, S("Access-Control-Allow-Origin"), c->cors_origin);
        MHD_add_response_header(response, "Vary", "Origin");
        MHD_add_response_header(response, "Access-Control-Expose-Headers", "ETag, Retry-After, X-Request-ID");
    }
    if (x->close || atomic_load(&x->door->site->draining))
        MHD_add_response_header(response, "Connection", "close");
}

static enum MHD_Result reply(struct exchange *x) {
    call_finish(&x->call);
    struct buf *body = &x->call.an.body;
    /* The body stays in the exchange's arena until the request is completed. */
    struct MHD_Response *response = MHD_create_response_from_buffer(body->n, body->p, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    add_headers(x, response);
    enum MHD_Result queued = MHD_queue_response(x->connection, (unsigned)x->call.an.status, response);
    MHD_destroy_response(response);
    x->stage = SENT;
    link_waits(x->link, false);
    return queued;
}

/* Refused by its head. A response on this first callback ends the connection, so it is used when the rest of
 * the request cannot be trusted or would be long; else the body is read and dropped, and the connection
 * lives. */
static enum MHD_Result refuse(struct exchange *x, bool doubtful) {
    const struct gate_body *body = &x->call.body;
    bool waits = request_header(&x->call.rq, S("Expect"), NULL).p != NULL;
    bool large = body->chunked || body->length > DRAIN_MAX || (waits && body->length > 0);
    if (doubtful || large) {
        x->close = true;
        return reply(x);
    }
    x->stage = BODY;
    return MHD_YES;
}

static enum MHD_Result take_head(struct exchange *x, const char *method, const char *version) {
    struct call *c = &x->call;
    const char *why = NULL;
    if (!begin(x))
        return MHD_NO;
    struct gate_head head = {str_of(method), c->rq.target, str_of(version), c->rq.headers, c->rq.n_headers};
    if ((c->outcome = gate_check(&head, &c->body, &why))) {
        fail(&x->cx, c->outcome, "%s", why);
        return refuse(x, true);
    }
    if ((c->outcome = call_open(c, head.method)))
        return refuse(x, false);
    x->body = buf_new(x->mem, call_body_max(c));
    x->stage = BODY;
    return MHD_YES;
}

/* Nothing can be answered while a body comes in: one that is refused is dropped, up to a limit. */
static enum MHD_Result take_body(struct exchange *x, const char *data, size_t *size) {
    struct call *c = &x->call;
    if (!c->outcome && !c->answered) {
        buf_add(&x->body, (struct str){data, *size});
        if (x->body.failed)
            c->outcome =
                fail(&x->cx, ERR_TOO_LARGE, "The body may have at most %zu bytes.", call_body_max(c));
    } else {
        x->dropped += *size;
        if (x->dropped > 16 * DRAIN_MAX)
            return MHD_NO;
    }
    *size = 0;
    return MHD_YES;
}

/* After it the request may be answered and gone at any moment; server_stop waits for the count. */
static void resume(struct exchange *x) {
    x->handed.connection = x->connection;
    loop_hand_back(x->door->loop, &x->handed);
}

static void run_task(void *arg) {
    struct exchange *x = arg;
    x->call.outcome = call_run(&x->call);
    resume(x);
}

static void written(struct write *w, enum err outcome) {
    struct call *c = w->arg;
    struct exchange *x = (struct exchange *)((char *)w - offsetof(struct exchange, write));
    c->outcome = outcome;
    resume(x);
}

static enum err submit(struct exchange *x, struct pool *pool) {
    x->task = (struct task){.run = run_task, .arg = x};
    return pool_submit(pool, &x->task) ? OK : fail(&x->cx, ERR_UNAVAILABLE, "The server is busy; try again.");
}

static enum err write_out(struct exchange *x) {
    struct call *c = &x->call;
    x->write = (struct write){.cx = &x->cx,
                              .run = call_closure,
                              .lot = call_goes_in_lots(c) ? call_lot : NULL,
                              .kind = c->rq.route,
                              .done = written,
                              .arg = c,
                              .lane = c->rq.route->lane};
    return db_write(x->cx.database, &x->write);
}

/* Whoever takes the request over may resume it before this returns, so it is suspended first and not touched
 * after. */
static enum MHD_Result hand_over(struct exchange *x, enum mode mode) {
    struct site *site = x->door->site;
    x->stage = WAITING;
    atomic_fetch_add(&site->suspended, 1);
    if (atomic_load(&site->closed)) { /* a request that came over an idle connection while the server ends */
        atomic_fetch_sub(&site->suspended, 1);
        return MHD_NO;
    }
    MHD_suspend_connection(x->connection);
    enum err e = mode == WRITE ? write_out(x) : submit(x, mode == SLOW ? site->slow : site->reads);
    if (e) {
        x->call.outcome = e;
        resume(x);
    }
    return MHD_YES;
}

static enum MHD_Result run(struct exchange *x) {
    struct call *c = &x->call;
    link_waits(x->link, false);
    if (c->outcome || c->answered)
        return reply(x);
    c->rq.body = buf_str(&x->body);
    if ((c->outcome = call_prepare(c)) || c->answered)
        return reply(x);
    const struct route *route = c->rq.route;
    bool waits = route->mode == READ && route->patient && route->patient(c->cx, &c->rq);
    enum mode mode = waits ? SLOW : route->mode;
    if (mode == WRITE || mode == SLOW || (mode == READ && !x->door->site->reads_inline))
        return hand_over(x, mode);
    c->outcome = call_run(c);
    return reply(x);
}

enum MHD_Result exchange_handle(void *door, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *data, size_t *size,
                                void **request) {
    (void)door;
    (void)connection;
    (void)url;
    struct exchange *x = *request;
    if (!x)
        return MHD_NO;
    switch (x->stage) {
    case HEAD:
        return take_head(x, method, version);
    case BODY:
        return *size > 0 ? take_body(x, data, size) : run(x);
    case WAITING:
        return reply(x);
    case SENT:
        break;
    }
    return MHD_YES;
}
