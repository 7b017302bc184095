/* A small module with one route of each kind, and a router over it, for the tests of net. Its handlers need
 * no database: what they would write, they answer. */
#ifndef TESTS_UNIT_NET_TOY_H
#define TESTS_UNIT_NET_TOY_H

#include "net/listing.h"
#include "net/router.h"

struct toy {
    struct str sku;
    int64_t quantity;
};
static const struct field TOY_FIELDS[] = {
    FIELD(struct toy, sku, CREATE | OUT | ROW | REQUIRED, "Its SKU.", .min = 1, .max = 8),
    FIELD(struct toy, quantity, CREATE | PATCH | OUT | ROW | REQUIRED, "How many.", .min = 0, .max = 100),
};
static const struct schema TOY = SCHEMA(struct toy, "toy", TOY_FIELDS);
static const struct stmt TOY_STMTS[] = {{"toy_list", TENANT, "SELECT", NULL, &TOY}};
static const struct listing_sort TOY_SORTS[] = {{"sku", &TOY_STMTS[0], "sku", NULL}};
static const struct listing_filter TOY_FILTERS[] = {{"quantity", "gte", NULL, &TOY_FIELDS[1], NULL},
                                                    {"sku", NULL, "sku", &TOY_FIELDS[0], NULL}};
static const struct listing TOY_LISTING = {&TOY, TOY_SORTS, 1, TOY_FILTERS, 2};

static enum err toy_show(struct ctx *cx, struct request *rq, struct answer *an) {
    struct toy t = {rq->param[0].p ? rq->param[0] : S("-"), 1};
    return answer_object(cx, an, 0, &TOY, &t);
}

static enum err toy_echo(struct ctx *cx, struct request *rq, struct answer *an) {
    return answer_object(cx, an, 0, &TOY, rq->in);
}

static enum err toy_nothing(struct ctx *cx, struct request *rq, struct answer *an) {
    (void)cx, (void)rq, (void)an;
    return OK;
}

static enum err toy_head(struct ctx *cx, struct request *rq, struct answer *an) {
    (void)an;
    return request_length(cx, rq, 10);
}

static const enum err TOY_STALE[] = {ERR_STALE, OK};
static const struct route TOY_ROUTES[] = {
    ROUTE(GET, "/api/v1/toys", READ, AREA_CATALOGUE, NEED_READ, listing_answer, "Lists toys.",
          .flags = ROUTE_LIST, .listing = &TOY_LISTING),
    ROUTE(POST, "/api/v1/toys", WRITE, AREA_CATALOGUE, NEED_WRITE, toy_echo, "Makes a toy.",
          .flags = ROUTE_CREATES | ROUTE_IDEMPOTENT, .in = &TOY, .in_use = CREATE, .out = &TOY),
    ROUTE(GET, "/api/v1/toys/{sku}", INSTANT, AREA_CATALOGUE, NEED_READ, toy_show, "Shows a toy.",
          .out = &TOY),
    ROUTE(PATCH_, "/api/v1/toys/{sku}", INSTANT, AREA_CATALOGUE, NEED_WRITE, toy_echo, "Changes a toy.",
          .in = &TOY, .in_use = PATCH, .out = &TOY, .errors = TOY_STALE),
    ROUTE(POST, "/api/v1/toys/{sku}/wind", INSTANT, AREA_FLOOR, NEED_WRITE, toy_nothing, "Winds a toy up."),
    ROUTE(GET, "/api/v1/toys/best", INSTANT, AREA_JOBS, NEED_READ, toy_show, "Shows the best toy.",
          .out = &TOY),
    ROUTE(GET, "/api/v1/open", INSTANT, AREA_PUBLIC, NEED_READ, toy_show, "Shows a toy to all.", .out = &TOY),
    ROUTE(DELETE, "/api/v1/box", INSTANT, AREA_OPERATOR, NEED_WRITE, toy_nothing, "Empties the box.",
          .flags = ROUTE_NO_CONTENT),
    ROUTE(POST, "/webhooks/toy", WRITE, AREA_PUBLIC, NEED_WRITE, toy_nothing, "Takes news of toys.",
          .flags = ROUTE_WEBHOOK, .head = toy_head),
};
static const struct setting TOY_SETTINGS[] = {
    {.name = "SECRET_KEY", .type = SETTING_TEXT, .fallback = "a secret of the toys", .doc = "A secret."},
    {.name = "ENVIRONMENT", .type = SETTING_TEXT, .fallback = "local", .doc = "Where it runs."},
};
static const struct module TOY_MODULE = {
    .name = "toy", TABLE(routes, TOY_ROUTES), TABLE(settings, TOY_SETTINGS)};
static const struct alias TOY_ALIASES[] = {{"/toys", "/api/v1/toys"}, {"/old/toys", "/api/v1/toys"}};

/* The token is the name of a role. */
static enum err toy_authenticate(struct ctx *cx, const struct request *rq, void *arg) {
    (void)arg;
    struct str token = request_header(rq, S("Authorization"), NULL);
    return token.p && role_parse(token, &cx->actor.role) ? OK : fail(cx, ERR_UNAUTHENTICATED, "Log in.");
}

/* cx: only its arena. environ: settings, NULL-terminated. The clock and the settings live in the router's
 * setup. */
__attribute__((unused)) static enum err toy_router(struct ctx *cx, const struct module *toys,
                                                   char *const *environ, struct router **out) {
    const struct setting *const tables[] = {NET_MODULE.settings, TOY_SETTINGS};
    const size_t counts[] = {NET_MODULE.n_settings, sizeof(TOY_SETTINGS) / sizeof(TOY_SETTINGS[0])};
    const struct module **modules = NEW_N(cx->mem, const struct module *, 2);
    struct settings *settings;
    modules[0] = &NET_MODULE;
    modules[1] = toys;
    enum err e = settings_load(cx, tables, counts, 2, environ, S("/nonexistent"), &settings);
    struct router_setup setup = {.modules = modules,
                                 .n_modules = 2,
                                 .aliases = TOY_ALIASES,
                                 .n_aliases = 2,
                                 .authenticate = toy_authenticate,
                                 .settings = settings};
    return e ? e : router_new(cx, &setup, out);
}

#endif
