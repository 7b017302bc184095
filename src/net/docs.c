/* The page at /docs: the API for people, from the same rows as the OpenAPI document. */
#include "net/html.h"
#include "net/listing.h"
#include "net/openapi.h"

#include "base/banned.h"

static void put(struct buf *b, const char *text) { buf_add(b, str_of(text)); }

static void put_escaped(struct buf *b, const char *text) { html_text(b, str_of(text)); }

static const char *kind_name(const struct field *f) {
    switch (f->kind) {
    case KIND_BOOL:
        return "true or false";
    case KIND_INT:
    case KIND_OPTIONAL_INT:
        return "integer";
    case KIND_STR:
        return "text";
    case KIND_BYTES:
        return "bytes";
    case KIND_INSTANT:
        return "time (RFC 3339)";
    case KIND_UUID:
        return "UUID";
    case KIND_MONEY:
        return "{amount, currency}";
    case KIND_JSON:
        return "JSON";
    case KIND_LIST:
        return "list";
    }
    return "";
}

static void put_field(struct buf *b, struct str name, const struct field *f, bool required) {
    put(b, "<tr><td><code>");
    html_text(b, name);
    put(b, required ? "</code> *</td><td>" : "</code></td><td>");
    put(b, kind_name(f));
    for (size_t i = 0; f->one_of && f->one_of[i]; i++) {
        put(b, i ? " | " : ": ");
        put_escaped(b, f->one_of[i]);
    }
    if (f->kind == KIND_LIST && f->of) {
        put(b, " of ");
        put_escaped(b, f->of->name);
    }
    put(b, "</td><td>");
    put_escaped(b, f->doc ? f->doc : "");
    put(b, "</td></tr>");
}

static void put_schema(struct buf *b, const char *title, const struct schema *s, enum use use) {
    if (!s)
        return;
    put(b, "<h4>");
    put(b, title);
    put(b, "</h4><table>");
    for (size_t i = 0; i < s->n; i++)
        if (s->fields[i].uses & use)
            put_field(b, str_of(s->fields[i].name), &s->fields[i],
                      use == CREATE && s->fields[i].uses & REQUIRED);
    put(b, "</table>");
}

static void put_query(struct buf *b, const struct route *route) {
    const struct listing *l = route->flags & ROUTE_LIST ? route->listing : NULL;
    if (!l && !route->query)
        return;
    put(b, "<h4>Query</h4><table>");
    for (size_t i = 0; l && i < l->n_filters; i++) {
        char name[200];
        const struct listing_filter *f = &l->filters[i];
        snprintf(name, sizeof(name), f->op ? "filter[%s][%s]" : "filter[%s]", f->name, f->op);
        put_field(b, str_of(f->short_name ? f->short_name : name), f->field, false);
    }
    for (const struct query *q = route->query; q && q->name; q++)
        put_field(b, str_of(q->name), q->field, q->field->uses & REQUIRED);
    put(b, "</table>");
    for (size_t i = 0; l && i < l->n_sorts; i++) {
        put(b, i ? ", <code>"
                 : "<p>Lists take <code>page</code>, <code>page_size</code>, <code>cursor</code> and "
                   "<code>sort</code>: <code>");
        put_escaped(b, l->sorts[i].name);
        put(b, "</code>");
    }
    put(b, l ? ".</p>" : "");
}

static void put_who(struct buf *b, const struct route *route) {
    bool first = true;
    if (route->area == AREA_PUBLIC) {
        put(b, route->flags & ROUTE_WEBHOOK ? "<p>Who: whoever can sign it.</p>" : "<p>Who: everyone.</p>");
        return;
    }
    put(b, "<p>Who: ");
    for (enum role role = ROLE_OWNER; role >= ROLE_VIEWER; role--) {
        if (!access_allowed(route->area, route->need, role))
            continue;
        put(b, first ? "" : ", ");
        html_text(b, role_name(role));
        first = false;
    }
    put(b, ".</p>");
}

static void put_answers(struct buf *b, const struct route *route) {
    int successes[2], errors[STATUSES_MAX];
    size_t n = route_successes(route, successes), n_errors = route_statuses(route, errors);
    put(b, "<p>Answers: ");
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "%s<b>%d</b>", i ? ", " : "", successes[i]);
    for (size_t i = 0; i < n_errors; i++)
        if (errors[i] != 431 && errors[i] != 501) /* of broken heads only */
            buf_printf(b, ", %d", errors[i]);
    put(b, ".</p>");
}

static void put_operation(struct buf *b, const struct route *route) {
    put(b, "<details><summary><span class=\"verb\">");
    put(b, METHOD_NAMES[route->method]);
    put(b, "</span> <span class=\"path\">");
    put_escaped(b, route->path);
    put(b, "</span> <span class=\"doc\">");
    put_escaped(b, route->doc);
    put(b, "</span></summary>");
    put_who(b, route);
    put_query(b, route);
    put_schema(b, route->in_use == PATCH ? "Body (any of)" : "Body (* required)", route->in,
               route->in_use ? route->in_use : CREATE);
    put_schema(b, "Data", route->flags & ROUTE_LIST ? route->listing->row : route->out, OUT);
    if (route->flags & ROUTE_IDEMPOTENT)
        put(b, "<p>Takes <code>Idempotency-Key</code>: a repeat within 24 hours gets the first answer.</p>");
    put_answers(b, route);
    put(b, "</details>\n");
}

/* The word that operations are grouped by: the first below /api/v1. */
static struct str group(const char *path) {
    struct str s = str_of(path), rest;
    if (!str_starts(s, S("/api/v1/")))
        return str_starts(s, S("/webhooks/")) ? S("webhooks") : S("platform");
    s = str_sub(s, 8, s.n);
    str_cut(s, '/', &s, &rest);
    return s;
}

static bool seen_before(const struct router *r, const struct endpoint *at) {
    for (const struct endpoint *ep = r->endpoints; ep != at; ep = ep->next)
        if (str_eq(group(ep->path), group(at->path)))
            return true;
    return false;
}

static void put_group(struct buf *b, const struct endpoint *from) {
    struct str name = group(from->path);
    bool open = false;
    for (const struct endpoint *ep = from; ep; ep = ep->next)
        for (int m = 0; m < METHODS; m++) {
            if (!ep->routes[m] || ep->routes[m]->area == AREA_OPERATOR || !str_eq(group(ep->path), name))
                continue;
            if (!open) {
                put(b, "<h2>");
                html_text(b, name);
                put(b, "</h2>\n");
            }
            open = true;
            put_operation(b, ep->routes[m]);
        }
}

static void put_errors(struct buf *b) {
    put(b,
        "<h2>Errors</h2>\n<p>An error is <code>{\"data\": null, \"error\": {code, message, details: [{field, "
        "problem}], request_id}}</code>.</p>\n<table>");
    for (enum err e = OK + 1; e < ERR_COUNT; e++) {
        buf_printf(b, "<tr><td>%d</td><td><code>%s</code></td><td>", err_info(e)->status, err_info(e)->code);
        put_escaped(b, err_info(e)->doc);
        put(b, "</td></tr>");
    }
    put(b, "</table>\n");
}

void docs_print(const struct router *r, struct buf *b) {
    html_begin(b, r, S("entrepot: API"));
    put(b, "<h1>entrepot " ENTREPOT_VERSION
           "</h1>\n<p>Every operation, from the table that routes it. For programs: <a "
           "href=\"/openapi.json\">/openapi.json</a>. Log in with <code>POST /api/v1/auth/login</code> and "
           "send the token "
           "as <code>Authorization: Bearer …</code>.</p>\n");
    for (const struct endpoint *ep = r->endpoints; ep; ep = ep->next)
        if (!seen_before(r, ep))
            put_group(b, ep);
    put_errors(b);
    html_end(b);
}
