#include "net/call.h"

#include "net/answer.h"
#include "net/idempotency.h"
#include "net/path.h"
#include "net/peer.h"
#include "net/pulse.h"

#include "base/banned.h"

void call_begin(struct call *c, struct router *r, struct ctx *cx, enum origin origin) {
    *c = (struct call){.router = r, .cx = cx, .origin = origin, .retry_after = 1, .began = clock_steady()};
    c->body.length = -1;
    c->rq.router = r;
    c->an.body = buf_new(cx->mem, ANSWER_MAX);
}

static bool request_id_valid(struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '.' && c != '_' && c != '-')
            return false;
    }
    return s.n >= 1 && s.n <= 64;
}

void call_request_id(struct call *c) {
    size_t n;
    struct str given = request_header(&c->rq, S("X-Request-ID"), &n);
    char text[36];
    c->cx->request_id = n == 1 && request_id_valid(given)
                            ? given
                            : str_dup(c->cx->mem, uuid_format(uuid_new(c->cx->now), text));
}

static bool method_parse(struct str s, enum method *out, bool *options) {
    *options = str_eq(s, S("OPTIONS"));
    if (str_eq(s, S("HEAD"))) {
        *out = GET;
        return true;
    }
    for (int m = 0; m < METHODS; m++)
        if (str_eq(s, str_of(METHOD_NAMES[m]))) {
            *out = (enum method)m;
            return true;
        }
    return false;
}

static void find_cors_origin(struct call *c) {
    struct list origins = c->router->cors_origins;
    if (origins.n == 0)
        return;
    struct str origin = request_header(&c->rq, S("Origin"), NULL);
    for (size_t i = 0; i < origins.n && origin.p; i++) {
        struct str allowed = ((const struct str *)origins.items)[i];
        if (str_eq(allowed, origin) || str_eq(allowed, S("*")))
            c->cors_origin = origin;
    }
}

static void answer_preflight(struct call *c) {
    c->answered = true;
    c->an.status = 204;
    answer_header(&c->an, S("Access-Control-Allow-Methods"), c->allow);
    answer_header(&c->an, S("Access-Control-Allow-Headers"),
                  S("Authorization, Content-Type, Idempotency-Key, If-Match, X-Request-ID"));
    answer_header(&c->an, S("Access-Control-Max-Age"), S("600"));
}

static enum err find_route(struct call *c, struct str method) {
    struct str path, query;
    target_cut(c->rq.target, &path, &query);
    enum err e = router_match(c->router, c->cx, path, c->rq.param, &c->endpoint);
    if (e)
        return e;
    bool operator_too = c->origin != ORIGIN_NET, options;
    bool known = method_parse(method, &c->rq.method, &options);
    const struct route *route = known ? c->endpoint->routes[c->rq.method] : NULL;
    if (route && (operator_too || route->area != AREA_OPERATOR)) {
        c->rq.route = route;
        answer_begin(c->cx, &c->an, route);
        return OK;
    }
    c->allow = router_allow(c->endpoint, c->cx->mem, operator_too);
    if (!c->allow.p)
        return fail(c->cx, ERR_NOT_FOUND, "There is nothing at this path.");
    if (options && c->cors_origin.p) {
        answer_preflight(c);
        return OK;
    }
    return fail(c->cx, ERR_METHOD, "This path answers %.*s.", STR_FMT(c->allow));
}

static enum err limited(struct call *c, int64_t wait_us) {
    c->retry_after = (wait_us + US_PER_S - 1) / US_PER_S;
    return fail(c->cx, ERR_RATE, "Too many requests; try again in %lld s.", (long long)c->retry_after);
}

static enum err take(struct call *c, struct limiter *limiter, struct str key) {
    int64_t wait = limiter_take(limiter, key, c->began);
    return wait > 0 ? limited(c, wait) : OK;
}

static enum err take_by_peer(struct call *c, struct limiter *limiter) {
    char key[16];
    return take(c, limiter, peer_limit_key(c->rq.peer, key));
}

/* Counted per token, and per address without one. A token that does not hold is counted on its address, so
 * that making them up gains nothing. */
static enum err authenticate(struct call *c) {
    const struct route *route = c->rq.route;
    struct str token = request_header(&c->rq, S("Authorization"), NULL);
    bool counts = c->origin == ORIGIN_NET && !(route->flags & ROUTE_UNLIMITED);
    bool by_token = token.p && route->area != AREA_PUBLIC;
    enum err e = OK;
    for (struct str scheme, rest; str_cut(str_trim(token), ' ', &scheme, &rest);)
        token = rest; /* however it is spaced, and whatever the scheme's case, it is one token */
    if (counts)
        e = by_token ? take(c, c->router->limit, token) : take_by_peer(c, c->router->limit);
    if (e || c->origin != ORIGIN_NET || route->area == AREA_PUBLIC)
        return e;
    e = c->router->setup.authenticate(c->cx, &c->rq, c->router->setup.authenticate_arg);
    if (e == ERR_UNAUTHENTICATED && counts && by_token && take_by_peer(c, c->router->limit))
        return ERR_RATE;
    return e;
}

static bool takes_body(const struct call *c) { return c->body.chunked || c->body.length > 0; }

size_t call_body_max(const struct call *c) {
    return c->rq.route && c->rq.route->body_max ? c->rq.route->body_max : BODY_MAX_DEFAULT;
}

static enum err check_size(struct call *c) {
    size_t max = call_body_max(c);
    if (c->body.length > 0 && (uint64_t)c->body.length > max)
        return fail(c->cx, ERR_TOO_LARGE, "The body may have at most %zu bytes.", max);
    return OK;
}

static enum err check_media_type(struct call *c) {
    if (!takes_body(c))
        return OK;
    struct str type = request_header(&c->rq, S("Content-Type"), NULL), rest;
    str_cut(type, ';', &type, &rest);
    if (c->rq.route->flags & ROUTE_FILE)
        return type.p && str_eq_nocase(str_trim(type), S("multipart/form-data"))
                   ? OK
                   : fail(c->cx, ERR_MEDIA_TYPE,
                          "Send the file as multipart/form-data, in the field `file`.");
    if (!type.p || !str_eq_nocase(str_trim(type), S("application/json")))
        return fail(c->cx, ERR_MEDIA_TYPE, "Send the body as application/json.");
    return OK;
}

static enum err open_webhook(struct call *c) {
    enum err e = c->rq.route->head(c->cx, &c->rq, &c->an);
    if (e || (e = check_size(c)))
        return e;
    return c->rq.route->flags & ROUTE_UNLIMITED ? OK : take_by_peer(c, c->router->webhook_limit);
}

static enum err check_idempotency_key(struct call *c) {
    size_t n;
    struct str key = request_header(&c->rq, S("Idempotency-Key"), &n);
    if (n == 0 || !(c->rq.route->flags & ROUTE_IDEMPOTENT))
        return OK;
    if (n > 1 || !idempotency_key_valid(key))
        return fail(c->cx, ERR_MALFORMED, "Idempotency-Key is one value of 1 to %d visible ASCII characters.",
                    IDEMPOTENCY_KEY_MAX);
    c->idempotency_key = key;
    return OK;
}

enum err call_open(struct call *c, struct str method) {
    find_cors_origin(c);
    enum err e = find_route(c, method);
    if (e || c->answered)
        return e;
    const struct route *route = c->rq.route;
    if (route->mode != INSTANT && c->router->pulse && !pulse_good(c->router->pulse))
        return fail(c->cx, ERR_DATABASE, "The database cannot be reached.");
    c->rq.peer = peer_client(c->router->trusted_proxies, c->rq.peer, c->rq.headers, c->rq.n_headers);
    if (route->flags & ROUTE_WEBHOOK)
        return open_webhook(c);
    if ((e = authenticate(c)))
        return e;
    if (!access_allowed(route->area, route->need, c->cx->actor.role))
        return fail(c->cx, ERR_FORBIDDEN, "Your role may not do this.");
    if ((e = check_media_type(c)) || (e = check_size(c)))
        return e;
    return check_idempotency_key(c);
}

static const struct query *find_query(const struct route *route, struct str name) {
    for (const struct query *q = route->query; q && q->name; q++)
        if (str_eq(str_of(q->name), name))
            return q;
    return NULL;
}

/* A listing reads its own parameters; here are those of other routes. */
static enum err check_query(struct call *c) {
    const struct route *route = c->rq.route;
    if (route->flags & (ROUTE_LIST | ROUTE_RAW | ROUTE_WEBHOOK))
        return OK;
    struct str path, query, name, value;
    target_cut(c->rq.target, &path, &query);
    enum err e, first = OK;
    while (query_next(c->cx, &query, &name, &value, &e)) {
        _Alignas(max_align_t) unsigned char scratch[64];
        const struct query *q = find_query(route, name);
        enum err wrong = q ? field_parse(c->cx, q->field, name, value, scratch)
                           : fail_field(c->cx, name, "is not a parameter of this route");
        first = first ? first : wrong;
    }
    return e ? e : first;
}

static const struct schema NOTHING = {.name = "nothing"};

static enum err decode(struct call *c) {
    const struct route *route = c->rq.route;
    if (route->flags & (ROUTE_WEBHOOK | ROUTE_BODY_ANY | ROUTE_FILE) || route->method == GET)
        return OK;
    if (!route->in) { /* an empty object is as good as nothing; more would be silently ignored */
        char unused;
        return c->rq.body.n == 0
                   ? OK
                   : schema_decode(c->cx, &NOTHING, CREATE, REFUSE_UNKNOWN, c->rq.body, &unused, NULL);
    }
    if (!(c->rq.in = arena_alloc(c->cx->mem, route->in->size)))
        return fail(c->cx, ERR_MEMORY, "There is not enough memory.");
    enum use use = route->in_use ? route->in_use : CREATE;
    bool none = c->rq.body.n == 0 && (route->flags & ROUTE_BODY_OPTIONAL);
    return schema_decode(c->cx, route->in, use, REFUSE_UNKNOWN, none ? S("{}") : c->rq.body, c->rq.in,
                         &c->rq.present);
}

enum err call_prepare(struct call *c) {
    const struct route *route = c->rq.route;
    enum err e = check_query(c);
    if (e || (e = decode(c)) || !route->prepare)
        return e;
    e = route->prepare(c->cx, &c->rq, &c->an);
    c->answered = !e && c->an.whole;
    bool unproven = c->answered || e == ERR_BAD_SIGNATURE;
    if (unproven && (route->flags & ROUTE_WEBHOOK) && (route->flags & ROUTE_UNLIMITED) &&
        take_by_peer(c, c->router->webhook_limit))
        return ERR_RATE;
    return e;
}

enum err call_run(struct call *c) {
    const struct route *route = c->rq.route;
    if (route->mode != READ)
        return route->handler(c->cx, &c->rq, &c->an);
    enum err e = db_read_begin(c->cx);
    if (e)
        return e;
    e = route->handler(c->cx, &c->rq, &c->an);
    db_read_end(c->cx);
    return e;
}

enum err call_closure(struct ctx *cx, void *call) {
    struct call *c = call;
    fault_clear(cx);
    answer_begin(cx, &c->an, c->rq.route);
    if (c->idempotency_key.p)
        return idempotency_run(cx, &c->rq, &c->an, c->idempotency_key);
    return c->rq.route->handler(cx, &c->rq, &c->an);
}

bool call_goes_in_lots(const struct call *c) { return c->rq.route->lot && !c->idempotency_key.p; }

enum err call_lot(struct write *const *writes, size_t n) {
    struct piece asked[LOT_MAX];
    for (size_t i = 0; i < n; i++) {
        struct call *c = writes[i]->arg;
        asked[i] = (struct piece){c->cx, &c->rq, &c->an};
        fault_clear(c->cx);
        answer_begin(c->cx, &c->an, c->rq.route);
    }
    return asked[0].rq->route->lot(asked, n);
}

enum err router_call(struct router *r, struct ctx *cx, enum method method, struct str target, struct str body,
                     struct answer *an) {
    struct call c;
    call_begin(&c, r, cx, ORIGIN_PROCESS);
    c.rq.target = target;
    c.rq.body = body;
    c.rq.peer = S("local");
    enum err e = call_open(&c, str_of(METHOD_NAMES[method]));
    if (e || (e = call_prepare(&c)))
        return e;
    if (!c.answered)
        e = c.rq.route->mode == WRITE ? db_write_wait(cx, call_closure, &c) : call_run(&c);
    if (!e) {
        answer_end(&c.an);
        *an = c.an;
    }
    return e;
}
