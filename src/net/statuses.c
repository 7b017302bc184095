/* Which statuses an operation can answer: said once here, printed by both documents. */
#include "net/openapi.h"

#include "base/banned.h"

static void set(bool statuses[static 600], enum err e) { statuses[err_info(e)->status] = true; }

static bool any_role_refused(const struct route *route) {
    for (enum role role = ROLE_VIEWER; role <= ROLE_OWNER; role++)
        if (!access_allowed(route->area, route->need, role))
            return true;
    return false;
}

/* What the gate, the router and the server bring, without the handler. */
static void general(const struct route *route, bool statuses[static 600]) {
    static const enum err ALWAYS[] = {ERR_MALFORMED, ERR_HEADERS_TOO_LARGE, ERR_INTERNAL, ERR_NOT_IMPLEMENTED,
                                      ERR_UNAVAILABLE};
    bool webhook = (route->flags & ROUTE_WEBHOOK) != 0;
    for (size_t i = 0; i < sizeof(ALWAYS) / sizeof(ALWAYS[0]); i++)
        set(statuses, ALWAYS[i]);
    if (webhook || !(route->flags & ROUTE_UNLIMITED))
        set(statuses, ERR_RATE);
    if (route->area != AREA_PUBLIC)
        set(statuses, ERR_UNAUTHENTICATED);
    if (route->area != AREA_PUBLIC && any_role_refused(route))
        set(statuses, ERR_FORBIDDEN);
    if (strchr(route->path, '{'))
        set(statuses, ERR_NOT_FOUND);
    if (webhook)
        set(statuses, ERR_LENGTH_REQUIRED);
    if (route->method != GET)
        set(statuses, ERR_TOO_LARGE);
    if (route->method != GET && !webhook) {
        set(statuses, ERR_MEDIA_TYPE);
        set(statuses, ERR_INVALID);
    }
    if (!(route->flags & (ROUTE_RAW | ROUTE_WEBHOOK)))
        set(statuses, ERR_INVALID); /* unknown query parameters */
    if (route->flags & ROUTE_IDEMPOTENT)
        set(statuses, ERR_CONFLICT);
}

size_t route_statuses(const struct route *route, int out[static STATUSES_MAX]) {
    bool statuses[600] = {false};
    size_t n = 0;
    general(route, statuses);
    for (const enum err *e = route->errors; e && *e; e++)
        set(statuses, *e);
    for (int status = 400; status < 600 && n < STATUSES_MAX; status++)
        if (statuses[status])
            out[n++] = status;
    return n;
}

size_t route_successes(const struct route *route, int out[static 2]) {
    size_t n = 0;
    if (route->flags & ROUTE_CREATES && !route->out_status)
        out[n++] = 200;
    if (route->out_status)
        out[n++] = route->out_status;
    else
        out[n++] = route->flags & ROUTE_NO_CONTENT ? 204 : route->flags & ROUTE_CREATES ? 201 : 200;
    return n;
}
