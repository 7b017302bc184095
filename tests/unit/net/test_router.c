#include "toy.h"

#include "net/call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static char LOCAL[] = "ENVIRONMENT=local", RATE_OFF[] = "RATE_LIMIT=0", WEBHOOKS_OFF[] = "WEBHOOK_RATE=0";
static char RATE[] = "RATE_LIMIT=2/min", WEBHOOKS[] = "WEBHOOK_RATE=1/min",
            CORS[] = "CORS_ORIGINS=https://a.example";
static char *const NO_LIMITS[] = {LOCAL, RATE_OFF, WEBHOOKS_OFF, NULL};
static char *const LIMITS[] = {LOCAL, RATE, WEBHOOKS, CORS, NULL};

static struct router *new_router(struct ctx *cx, char *const *environ) {
    struct router *r = NULL;
    *cx = (struct ctx){.mem = arena_new(1 << 24), .clock = clock_new(NULL)};
    if (toy_router(cx, &TOY_MODULE, environ, &r))
        fail_msg("no router: %.*s", STR_FMT(cx->fault.message));
    return r;
}

static void end(struct ctx *cx, struct router *r) {
    router_free(r);
    clock_free((struct clock *)cx->clock);
    arena_free(cx->mem);
}

/* One request up to the handler, as the server drives it; the status that it would get. */
struct sent {
    const char *method, *target, *role, *type, *body;
    enum origin origin;
    struct header more;
};
static int send_request(struct ctx *cx, struct router *r, struct sent s, struct call *c) {
    struct ctx *one = NEW(cx->mem, struct ctx);
    struct header *headers = NEW_N(cx->mem, struct header, 5);
    struct str body = s.body ? str_of(s.body) : S("");
    size_t n = 0;
    *one = (struct ctx){.mem = cx->mem, .clock = cx->clock, .now = clock_now(cx->clock)};
    call_begin(c, r, one, s.origin);
    headers[n++] = (struct header){S("Host"), S("toys.example")};
    if (s.role)
        headers[n++] = (struct header){S("Authorization"), str_of(s.role)};
    if (s.type)
        headers[n++] = (struct header){S("Content-Type"), str_of(s.type)};
    if (s.body)
        headers[n++] = (struct header){S("Content-Length"), str_printf(cx->mem, "%zu", body.n)};
    if (s.more.name.p)
        headers[n++] = s.more;
    c->rq.target = str_of(s.target);
    c->rq.headers = headers;
    c->rq.n_headers = n;
    c->rq.peer = S("192.0.2.1");
    c->rq.body = body;
    c->body.length = s.body ? (int64_t)body.n : -1;
    call_request_id(c);
    if (s.origin == ORIGIN_SOCKET)
        one->actor.role = ROLE_OPERATOR;
    c->outcome = call_open(c, str_of(s.method));
    if (!c->outcome && !c->answered)
        c->outcome = call_prepare(c);
    if (!c->outcome && !c->answered && c->rq.route->mode == INSTANT)
        c->outcome = call_run(c);
    return c->outcome ? err_info(c->outcome)->status : c->an.status;
}

#define JSON "application/json"
static const struct {
    struct sent sent;
    int status;
} CASES[] = {
    {{"GET", "/api/v1/toys/A", .role = "viewer"}, 200},
    {{"GET", "/api/v1/toys/A?x=1", .role = "viewer"}, 422},
    {{"GET", "/api/v1/toys/a%2Fb", .role = "viewer"}, 200},
    {{"GET", "/api/v1/toys/a%00b", .role = "viewer"}, 400},
    {{"HEAD", "/api/v1/toys/A", .role = "viewer"}, 200},
    {{"GET", "/api/v1/toys/A", .role = NULL}, 401},
    {{"GET", "/api/v1/toys/A", .role = "nobody"}, 401},
    {{"GET", "/toys/A", .role = "viewer"}, 200},
    {{"GET", "/old/toys/A", .role = "viewer"}, 200},
    {{"GET", "/toysA", .role = "viewer"}, 404},
    {{"GET", "/api/v1/toys/", .role = "viewer"}, 404},
    {{"GET", "/api/v1//toys", .role = "viewer"}, 404},
    {{"GET", "/api/v1/toys/A/b/c", .role = "viewer"}, 404},
    {{"PUT", "/api/v1/toys/A", .role = "owner"}, 405},
    {{"TRACE", "/api/v1/toys/A", .role = "owner"}, 405},
    {{"OPTIONS", "/api/v1/toys/A", .role = NULL}, 405},
    {{"GET", "/api/v1/toys/best", .role = "viewer"}, 403},
    {{"GET", "/api/v1/toys/best", .role = "clerk"}, 200},
    {{"POST", "/api/v1/toys/best/wind", .role = "clerk"}, 200},
    {{"POST", "/api/v1/toys/A/wind", .role = "viewer"}, 403},
    {{"POST", "/api/v1/toys/A/wind", .role = "clerk", .type = JSON, .body = "{}"}, 200},
    {{"POST", "/api/v1/toys/A/wind", .role = "clerk", .type = JSON, .body = "{\"turns\":3}"}, 422},
    {{"POST", "/api/v1/toys", .role = "owner", .type = JSON, .body = "{\"sku\":\"A\",\"quantity\":1}"}, 201},
    {{"POST", "/api/v1/toys", .role = "owner", .type = "Application/JSON; charset=utf-8",
      .body = "{\"sku\":\"A\",\"quantity\":1}"},
     201},
    {{"POST", "/api/v1/toys", .role = "owner", .type = "text/plain",
      .body = "{\"sku\":\"A\",\"quantity\":1}"},
     415},
    {{"POST", "/api/v1/toys", .role = "owner", .type = NULL, .body = "{\"sku\":\"A\",\"quantity\":1}"}, 415},
    {{"POST", "/api/v1/toys", .role = "viewer", .type = "text/plain", .body = "x"}, 403},
    {{"POST", "/api/v1/toys", .role = "owner", .type = JSON, .body = "{\"sku\":"}, 400},
    {{"POST", "/api/v1/toys", .role = "owner", .type = JSON, .body = "{\"sku\":\"A\"}"}, 422},
    {{"POST", "/api/v1/toys", .role = "owner"}, 400},
    {{"PATCH", "/api/v1/toys/A", .role = "owner", .type = JSON, .body = "{\"quantity\":7}"}, 200},
    {{"GET", "/api/v1/open", .role = NULL}, 200},
    {{"DELETE", "/api/v1/box", .role = "owner"}, 404},
    {{"POST", "/api/v1/box", .role = "owner"}, 404},
    {{"DELETE", "/api/v1/box", .origin = ORIGIN_SOCKET}, 204},
    {{"POST", "/api/v1/box", .origin = ORIGIN_SOCKET}, 405},
    {{"GET", "/api/v1/toys/A", .origin = ORIGIN_SOCKET}, 200},
    {{"POST", "/webhooks/toy", .role = NULL}, 411},
    {{"POST", "/webhooks/toy", .type = NULL, .body = "01234567890"}, 413},
    {{"POST", "/webhooks/toy", .type = "text/plain", .body = "0123456789"}, 200},
    {{"GET", "/", .role = NULL}, 200},
    {{"GET", "/healthz?probe=1", .role = NULL}, 200},
    {{"GET", "/openapi.json", .role = NULL}, 200},
    {{"GET", "/docs", .role = NULL}, 200},
};

static void statuses(void **state) {
    (void)state;
    struct ctx cx;
    struct router *r = new_router(&cx, NO_LIMITS);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct call c;
        if (str_eq(str_of(CASES[i].sent.target), S("/")))
            continue; /* asks which database there is */
        int got = send_request(&cx, r, CASES[i].sent, &c);
        if (got != CASES[i].status)
            fail_msg("%s %s as %s: %d, expected %d (%.*s)", CASES[i].sent.method, CASES[i].sent.target,
                     CASES[i].sent.role ? CASES[i].sent.role : "nobody", got, CASES[i].status,
                     STR_FMT(c.cx->fault.message));
        call_finish(&c);
        assert_int_equal(c.an.status, CASES[i].status);
        assert_true(c.cx->request_id.n > 0);
        if (got >= 400)
            assert_true(str_starts(buf_str(&c.an.body), S("{\"data\":null,\"error\":{\"code\":\"")));
    }
    end(&cx, r);
}

static struct str header_of(const struct call *c, struct str name) {
    for (size_t i = 0; i < c->an.n_headers; i++)
        if (str_eq(c->an.headers[i].name, name))
            return c->an.headers[i].value;
    return (struct str){0};
}

static void says_what_is_allowed(void **state) {
    (void)state;
    struct ctx cx;
    struct router *r = new_router(&cx, NO_LIMITS);
    struct call c;
    send_request(&cx, r, (struct sent){"PUT", "/api/v1/toys/A", .role = NULL}, &c);
    call_finish(&c);
    assert_true(str_eq(header_of(&c, S("Allow")), S("GET, HEAD, PATCH")));
    end(&cx, r);
}

static void limits(void **state) {
    (void)state;
    struct ctx cx;
    struct router *r = new_router(&cx, LIMITS);
    struct call c;
    const struct sent by_owner = {"GET", "/api/v1/toys/A", .role = "owner"},
                      by_clerk = {"GET", "/api/v1/toys/A", .role = "clerk"};
    const struct sent hook = {"POST", "/webhooks/toy", .body = "{}"};
    assert_int_equal(send_request(&cx, r, by_owner, &c), 200);
    assert_int_equal(send_request(&cx, r, by_owner, &c), 200);
    assert_int_equal(send_request(&cx, r, by_owner, &c), 429);
    call_finish(&c);
    int64_t seconds = 0;
    assert_true(str_int(header_of(&c, S("Retry-After")), &seconds) && seconds >= 29 && seconds <= 30);
    assert_int_equal(send_request(&cx, r, by_clerk, &c), 200);
    /* Tokens that do not hold are counted on their address. */
    assert_int_equal(send_request(&cx, r, (struct sent){"GET", "/api/v1/toys/A", .role = "x"}, &c), 401);
    assert_int_equal(send_request(&cx, r, (struct sent){"GET", "/api/v1/toys/A", .role = "y"}, &c), 401);
    assert_int_equal(send_request(&cx, r, (struct sent){"GET", "/api/v1/toys/A", .role = "z"}, &c), 429);
    assert_int_equal(send_request(&cx, r, (struct sent){"GET", "/api/v1/open", .role = NULL}, &c), 429);
    /* Webhooks have their own rate; health has none; the socket has none. */
    assert_int_equal(send_request(&cx, r, hook, &c), 200);
    assert_int_equal(send_request(&cx, r, hook, &c), 429);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(send_request(&cx, r, (struct sent){"GET", "/healthz", .role = NULL}, &c), 200);
        const struct sent local = {"GET", "/api/v1/toys/A", .origin = ORIGIN_SOCKET};
        assert_int_equal(send_request(&cx, r, local, &c), 200);
    }
    end(&cx, r);
}

static void preflight(void **state) {
    (void)state;
    struct ctx cx;
    struct router *r = new_router(&cx, LIMITS);
    struct call c;
    struct sent s = {"OPTIONS", "/api/v1/toys", .more = {S("Origin"), S("https://a.example")}};
    assert_int_equal(send_request(&cx, r, s, &c), 204);
    assert_true(c.answered);
    assert_true(str_eq(c.cors_origin, S("https://a.example")));
    assert_true(str_eq(header_of(&c, S("Access-Control-Allow-Methods")), S("GET, HEAD, POST")));
    s.more.value = S("https://b.example");
    assert_int_equal(send_request(&cx, r, s, &c), 405);
    assert_null(c.cors_origin.p);
    end(&cx, r);
}

static void request_ids(void **state) {
    (void)state;
    struct ctx cx;
    struct router *r = new_router(&cx, NO_LIMITS);
    struct call c;
    struct sent s = {"GET", "/healthz", .more = {S("X-Request-ID"), S("Safe.id_1-2")}};
    send_request(&cx, r, s, &c);
    assert_true(str_eq(c.cx->request_id, S("Safe.id_1-2")));
    const struct str refused[] = {S(""), S("a b"), S("\xc3\xbc"), S("{}"),
                                  S("12345678901234567890123456789012345678901234567890123456789012345")};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        s.more.value = refused[i];
        send_request(&cx, r, s, &c);
        assert_int_equal(c.cx->request_id.n, 36);
    }
    end(&cx, r);
}

#define GOOD_ROW ROUTE(GET, "/x", INSTANT, AREA_SELF, NEED_READ, toy_nothing, "Does nothing.")
static const struct listing NO_STATEMENT = {&TOY, (const struct listing_sort[]){{"sku", NULL, "sku", NULL}},
                                            1, NULL, 0};
static const struct listing NO_KEY = {
    &TOY, (const struct listing_sort[]){{"sku", &TOY_STMTS[0], "nope", NULL}}, 1, NULL, 0};
static const struct route BAD_ROWS[][2] = {
    {ROUTE(GET, "/x", INSTANT, AREA_NONE, NEED_READ, toy_nothing, "No area."), GOOD_ROW},
    {ROUTE(GET, "/y", INSTANT, AREA_SELF, 0, toy_nothing, "No need."), GOOD_ROW},
    {ROUTE(GET, "/y", 0, AREA_SELF, NEED_READ, toy_nothing, "No mode."), GOOD_ROW},
    {ROUTE(GET, "/y", INSTANT, AREA_SELF, NEED_READ, NULL, "No function."), GOOD_ROW},
    {ROUTE(GET, "/x", INSTANT, AREA_SELF, NEED_READ, toy_nothing, "There twice."), GOOD_ROW},
    {ROUTE(GET, "/{a}/{b", INSTANT, AREA_SELF, NEED_READ, toy_nothing, "No path."), GOOD_ROW},
    {ROUTE(GET, "/A", INSTANT, AREA_SELF, NEED_READ, toy_nothing, "Capitals."), GOOD_ROW},
    {ROUTE(GET, "/y", READ, AREA_SELF, NEED_READ, listing_answer, "No listing.", .flags = ROUTE_LIST),
     GOOD_ROW},
    {ROUTE(GET, "/y", READ, AREA_SELF, NEED_READ, listing_answer, "No statement.", .flags = ROUTE_LIST,
           .listing = &NO_STATEMENT),
     GOOD_ROW},
    {ROUTE(GET, "/y", READ, AREA_SELF, NEED_READ, listing_answer, "No key.", .flags = ROUTE_LIST,
           .listing = &NO_KEY),
     GOOD_ROW},
    {ROUTE(POST, "/y", WRITE, AREA_PUBLIC, NEED_WRITE, toy_nothing, "No head.", .flags = ROUTE_WEBHOOK),
     GOOD_ROW},
    {ROUTE(POST, "/y", INSTANT, AREA_SELF, NEED_WRITE, toy_nothing, "Writes nothing.",
           .flags = ROUTE_IDEMPOTENT),
     GOOD_ROW},
};

static void refuses_bad_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(BAD_ROWS) / sizeof(BAD_ROWS[0]); i++) {
        struct ctx cx = {.mem = arena_new(1 << 24)};
        struct module m = {.name = "bad", .routes = BAD_ROWS[i], .n_routes = 2};
        struct router *r = NULL;
        if (toy_router(&cx, &m, NO_LIMITS, &r) != ERR_USAGE)
            fail_msg("row %zu (%s) was taken", i, BAD_ROWS[i][0].doc);
        assert_true(cx.fault.message.n > 0);
        arena_free(cx.mem);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses),    cmocka_unit_test(says_what_is_allowed),
        cmocka_unit_test(limits),      cmocka_unit_test(preflight),
        cmocka_unit_test(request_ids), cmocka_unit_test(refuses_bad_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
