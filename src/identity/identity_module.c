#include "identity/handlers.h"
#include "identity/state.h"
#include "identity/statements.h"
#include "identity/user.h"

#include "base/banned.h"

static const enum err LOGIN_ERRORS[] = {ERR_UNAUTHENTICATED, ERR_RATE, OK};
static const enum err THROTTLED[] = {ERR_RATE, OK};
static const enum err TAKEN[] = {ERR_CONFLICT, OK};
static const enum err LOOKED_UP[] = {ERR_NOT_FOUND, OK};
static const enum err CHANGED[] = {ERR_NOT_FOUND, ERR_CONFLICT, OK};

static const struct route ROUTES[] = {
    ROUTE(POST, "/api/v1/auth/login", SLOW, AREA_PUBLIC, NEED_WRITE, auth_login,
          "Logs in: a bearer token for 24 hours. After 10 failures in 15 minutes an account waits.",
          .in = &LOGIN, .in_use = CREATE, .out = &LOGGED_IN, .errors = LOGIN_ERRORS),
    ROUTE(POST, "/api/v1/auth/logout", SLOW, AREA_SELF, NEED_WRITE, auth_logout,
          "Ends the token of this request.", .flags = ROUTE_NO_CONTENT),
    ROUTE(GET, "/api/v1/auth/me", READ, AREA_SELF, NEED_READ, auth_me, "Who the token says you are.",
          .out = &ME, .errors = LOOKED_UP),
    ROUTE(POST, "/api/v1/auth/password", SLOW, AREA_INSIGHT, NEED_WRITE, auth_password,
          "Changes your own password; all your tokens end, the answer brings a new one.",
          .in = &PASSWORD_CHANGE, .in_use = CREATE, .out = &LOGGED_IN, .errors = THROTTLED),
    ROUTE(POST, "/api/v1/organisations", SLOW, AREA_ORGANISATION, NEED_WRITE, organisations_create,
          "Makes an organisation and its owner. Only for owners of the oldest organisation.",
          .flags = ROUTE_CREATES | ROUTE_IDEMPOTENT, .in = &ORGANISATION_NEW, .in_use = CREATE,
          .out = &ORGANISATION, .errors = TAKEN),
    ROUTE(GET, "/api/v1/organisations", READ, AREA_ORGANISATION, NEED_READ, organisations_get,
          "Your organisation; for owners of the oldest one, all.", .flags = ROUTE_LIST, .out = &ORGANISATION,
          .listing = &ORGANISATIONS),
    ROUTE(GET, "/api/v1/users", READ, AREA_ORGANISATION, NEED_READ, listing_answer,
          "The users of your organisation.", .flags = ROUTE_LIST, .out = &USER, .listing = &USERS),
    ROUTE(POST, "/api/v1/users", SLOW, AREA_ORGANISATION, NEED_WRITE, users_create,
          "Makes a user; without a password he cannot log in by one yet.",
          .flags = ROUTE_CREATES | ROUTE_IDEMPOTENT, .in = &USER, .in_use = CREATE, .out = &USER,
          .errors = TAKEN),
    ROUTE(GET, "/api/v1/users/{id}", READ, AREA_ORGANISATION, NEED_READ, users_get, "One user.", .out = &USER,
          .errors = LOOKED_UP),
    ROUTE(PATCH_, "/api/v1/users/{id}", SLOW, AREA_ORGANISATION, NEED_WRITE, users_patch,
          "Changes role, name, password, or disables. An organisation keeps an owner.", .in = &USER,
          .in_use = PATCH, .out = &USER, .errors = CHANGED),
    ROUTE(DELETE, "/api/v1/users/{id}", SLOW, AREA_ORGANISATION, NEED_WRITE, users_delete,
          "Removes a user; what he did stays in the audit log. An organisation keeps an owner.",
          .flags = ROUTE_NO_CONTENT, .errors = CHANGED),
    ROUTE(POST, "/operator/users", SLOW, AREA_OPERATOR, NEED_WRITE, operator_user_add,
          "Makes a user in any organisation.", .flags = ROUTE_CREATES, .in = &USER_ADD, .in_use = CREATE,
          .out = &USER_ADDED, .errors = CHANGED),
    ROUTE(GET, "/operator/organisations", READ, AREA_OPERATOR, NEED_READ, listing_answer,
          "All organisations.", .flags = ROUTE_LIST, .out = &ORGANISATION, .listing = &ORGANISATIONS),
};

static const struct setting SETTINGS[] = {
    {.name = "SECRET_KEY",
     .min = SECRET_MIN,
     .alias = "APP_SECRET_KEY",
     .type = SETTING_TEXT,
     .fallback = "",
     .secret = true,
     .production_required = true,
     .doc = "The master secret, at least 32 random bytes; other keys are derived from it. A local server "
            "without one makes its own and keeps it in the data folder."},
    {.name = "JWT_SECRET",
     .min = SECRET_MIN,
     .type = SETTING_TEXT,
     .fallback = "",
     .secret = true,
     .doc = "Signs bearer tokens (HS256), at least 32 bytes; derived from SECRET_KEY if not set."},
};

const struct metric IDENTITY_METRICS[] = {
    [LOGINS] = {"entrepot_logins_total", METRIC_COUNTER, "outcome", "Log-ins: good, refused or throttled."},
    [PROOFS] = {"entrepot_proofs_total", METRIC_COUNTER, "from",
                "Requests authenticated: by a proof that was kept or by one verified anew."},
};

static const struct command COMMANDS[] = {
    {.name = "user add",
     .words = "EMAIL",
     .options = USER_ADD_OPTIONS,
     .doc = "Makes a user of an organisation.",
     .method = POST,
     .request = user_add_request,
     .print = user_add_print},
};

static enum err start(struct ctx *cx, void **state) {
    struct identity *id;
    enum err e = identity_new(cx, cx->modules->settings, &id);
    if (!e)
        *state = id;
    return e;
}

static enum err refresh(struct ctx *cx, void *state) {
    return known_refresh(cx, ((struct identity *)state)->known);
}

static void stop(void *state) { identity_free(state); }

const struct module IDENTITY_MODULE = {.name = "identity",
                                       TABLE(routes, ROUTES),
                                       TABLE(stmts, IDENTITY_STMTS),
                                       TABLE(settings, SETTINGS),
                                       TABLE(metrics, IDENTITY_METRICS),
                                       TABLE(commands, COMMANDS),
                                       .start = start,
                                       .stop = stop,
                                       .refresh = refresh};
