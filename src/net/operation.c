#include "net/operation.h"

#include "net/listing.h"

#include "base/json.h"

#include "base/banned.h"

static void put(struct buf *b, const char *text) { buf_add(b, str_of(text)); }

static void put_quoted(struct buf *b, const char *text) { json_put_string(b, str_of(text)); }

struct str schema_suffix(enum use use) {
    return use == PATCH ? S("_patch") : use == OUT ? S("") : S("_create");
}

void schema_reference(struct buf *b, const struct schema *s, enum use use) {
    struct str suffix = schema_suffix(use);
    buf_printf(b, "{\"$ref\":\"#/components/schemas/%s%.*s\"}", s->name, STR_FMT(suffix));
}

/* "get_catalog_by_sku" */
static void put_operation_id(struct buf *b, const struct route *route) {
    static const char *const VERBS[METHODS] = {"get", "post", "patch", "put", "delete"};
    struct str path = str_of(route->path), prefix = S("/api/v1");
    if (str_starts(path, prefix))
        path = str_sub(path, prefix.n, path.n);
    put(b, "\"operationId\":\"");
    put(b, VERBS[route->method]);
    put(b, path.n == 1 ? "_home" : "");
    for (size_t i = 0; i < path.n; i++) {
        char c = path.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (c == '{')
            put(b, "by_");
        else if (letter)
            buf_byte(b, c);
        else if (c != '}' && i + 1 < path.n)
            buf_byte(b, '_');
    }
    put(b, "\"");
}

/* The first word of the path below /api/v1, or "platform". */
static void put_tag(struct buf *b, const struct route *route) {
    struct str path = str_of(route->path), prefix = S("/api/v1/"), rest;
    if (str_starts(path, prefix)) {
        path = str_sub(path, prefix.n, path.n);
        str_cut(path, '/', &path, &rest);
    } else {
        path = route->flags & ROUTE_WEBHOOK ? S("webhooks") : S("platform");
    }
    put(b, ",\"tags\":[");
    json_put_string(b, path);
    put(b, "]");
}

static void put_limits(struct buf *b, const struct field *f, const char *least, const char *most) {
    if (f->min == 0 && f->max == 0)
        return;
    buf_printf(b, ",\"%s\":%lld,\"%s\":%lld", least, (long long)f->min, most, (long long)f->max);
}

static void put_parameter_schema(struct buf *b, const struct field *f) {
    switch (f->kind) {
    case KIND_BOOL:
        put(b, "{\"type\":\"boolean\"");
        break;
    case KIND_INT:
    case KIND_OPTIONAL_INT:
        put(b, "{\"type\":\"integer\"");
        put_limits(b, f, "minimum", "maximum");
        break;
    case KIND_INSTANT:
        put(b, "{\"type\":\"string\",\"format\":\"date-time\"");
        break;
    case KIND_UUID:
        put(b, "{\"type\":\"string\",\"format\":\"uuid\"");
        break;
    case KIND_STR:
        put(b, "{\"type\":\"string\"");
        put_limits(b, f, "minLength", "maxLength");
        for (size_t i = 0; f->one_of && f->one_of[i]; i++) {
            put(b, i ? "," : ",\"enum\":[");
            put_quoted(b, f->one_of[i]);
        }
        put(b, f->one_of ? "]" : "");
        break;
    case KIND_BYTES:
    case KIND_MONEY:
    case KIND_JSON:
    case KIND_LIST:
        put(b, "{\"type\":\"string\"");
        break;
    }
    put(b, "}");
}

static void begin_parameter(struct buf *b, bool *first, struct str name, const char *where, bool required,
                            const char *doc) {
    put(b, *first ? "{\"name\":" : ",{\"name\":");
    *first = false;
    json_put_string(b, name);
    buf_printf(b, ",\"in\":\"%s\",\"required\":%s,\"description\":", where, required ? "true" : "false");
    put_quoted(b, doc ? doc : "");
    put(b, ",\"schema\":");
}

static void path_parameters(struct buf *b, bool *first, const char *path) {
    for (const char *p = strchr(path, '{'); p; p = strchr(p + 1, '{')) {
        struct str name = {p + 1, strcspn(p + 1, "}")};
        begin_parameter(b, first, name, "path", true, "");
        put(b, "{\"type\":\"string\",\"minLength\":1}}");
    }
}

static void listing_parameters(struct buf *b, bool *first, const struct route *route) {
    const struct listing *l = route->listing;
    begin_parameter(b, first, S("page"), "query", false,
                    "Which page, from 1; page × page_size is at most 10,000.");
    put(b, "{\"type\":\"integer\",\"minimum\":1,\"maximum\":10000,\"default\":1}}");
    begin_parameter(b, first, S("page_size"), "query", false, "How many rows a page has.");
    put(b, "{\"type\":\"integer\",\"minimum\":1,\"maximum\":500,\"default\":50}}");
    begin_parameter(b, first, S("cursor"), "query", false, "The next_cursor of the page before.");
    put(b, "{\"type\":\"string\"}}");
    begin_parameter(b, first, S("sort"), "query", false, "The order; - is descending.");
    put(b, "{\"type\":\"string\",\"enum\":[");
    for (size_t i = 0; i < l->n_sorts; i++) {
        put(b, i ? "," : "");
        put_quoted(b, l->sorts[i].name);
    }
    put(b, "],\"default\":");
    put_quoted(b, l->sorts[0].name);
    put(b, "}}");
    for (size_t i = route->path_filters; i < l->n_filters; i++) {
        const struct listing_filter *f = &l->filters[i];
        char name[200];
        snprintf(name, sizeof(name), f->op ? "filter[%s][%s]" : "filter[%s]", f->name, f->op);
        begin_parameter(b, first, str_of(name), "query", false, f->field->doc);
        put_parameter_schema(b, f->field);
        put(b, "}");
        if (f->short_name) {
            begin_parameter(b, first, str_of(f->short_name), "query", false, f->field->doc);
            put_parameter_schema(b, f->field);
            put(b, "}");
        }
    }
}

static bool answers(const struct route *route, enum err e) {
    for (const enum err *p = route->errors; p && *p; p++)
        if (*p == e)
            return true;
    return false;
}

static void put_parameters(struct buf *b, const struct route *route) {
    bool first = true;
    put(b, ",\"parameters\":[");
    path_parameters(b, &first, route->path);
    if (route->flags & ROUTE_LIST)
        listing_parameters(b, &first, route);
    for (const struct query *q = route->query; q && q->name; q++) {
        begin_parameter(b, &first, str_of(q->name), "query", q->field->uses & REQUIRED, q->field->doc);
        put_parameter_schema(b, q->field);
        put(b, "}");
    }
    if (route->flags & ROUTE_IDEMPOTENT) {
        begin_parameter(b, &first, S("Idempotency-Key"), "header", false,
                        "A repeat with the same key and body within 24 hours gets the first answer.");
        put(b, "{\"type\":\"string\",\"minLength\":1,\"maxLength\":255}}");
    }
    if (answers(route, ERR_STALE)) {
        begin_parameter(b, &first, S("If-Match"), "header", false, "The ETag that the change is based on.");
        put(b, "{\"type\":\"string\"}}");
    }
    put(b, "]");
}

static void put_request_body(struct buf *b, const struct route *route) {
    bool webhook = (route->flags & ROUTE_WEBHOOK) != 0;
    if (route->flags & ROUTE_FILE) {
        put(b, ",\"requestBody\":{\"required\":true,\"content\":{\"multipart/form-data\":{\"schema\":"
               "{\"type\":\"object\",\"required\":[\"file\"],\"properties\":{\"file\":{\"type\":\"string\","
               "\"contentMediaType\":\"application/octet-stream\"}}}}}}");
        return;
    }
    if (!route->in && !(route->flags & ROUTE_BODY_ANY) && !webhook)
        return;
    enum use use = route->in_use ? route->in_use : CREATE;
    put(b, route->flags & ROUTE_BODY_OPTIONAL ? ",\"requestBody\":{\"required\":false"
                                              : ",\"requestBody\":{\"required\":true");
    put(b, ",\"content\":{\"application/json\":{\"schema\":");
    if (!route->in) {
        put(b, "{}");
    } else if (route->flags & ROUTE_BODY_ANY) {
        put(b, "{\"anyOf\":[");
        schema_reference(b, route->in, use);
        put(b, ",{\"type\":\"array\",\"items\":");
        schema_reference(b, route->in, use);
        put(b, "}]}");
    } else {
        schema_reference(b, route->in, use);
    }
    put(b, "}}}");
}

static void put_data_schema(struct buf *b, const struct route *route, int status) {
    if (route->flags & ROUTE_LIST) {
        put(b, "{\"type\":\"array\",\"items\":");
        schema_reference(b, route->listing->row, OUT);
        put(b, "}");
    } else if (route->out_each && status == 200) {
        put(b, "{\"anyOf\":[");
        schema_reference(b, route->out ? route->out : route->out_each, OUT);
        put(b, ",{\"type\":\"array\",\"items\":");
        schema_reference(b, route->out_each, OUT);
        put(b, "}]}");
    } else if (route->out) {
        schema_reference(b, route->out, OUT);
    } else {
        put(b, "{}");
    }
}

static void put_content(struct buf *b, const struct route *route, int status) {
    if (status == 204)
        return;
    if (route->flags & (ROUTE_RAW | ROUTE_WEBHOOK)) {
        put(b, ",\"content\":{");
        put_quoted(b, route->out_type ? route->out_type : "application/json");
        put(b, ":{\"schema\":");
        bool json = !route->out_type || str_eq(str_of(route->out_type), S("application/json"));
        if (json)
            put_data_schema(b, route, status);
        else
            put(b, "{\"type\":\"string\"}");
        put(b, "}}");
        return;
    }
    put(b,
        ",\"content\":{\"application/json\":{\"schema\":{\"type\":\"object\",\"additionalProperties\":false,"
        "\"properties\":{\"data\":");
    put_data_schema(b, route, status);
    put(b, ",\"error\":{\"type\":\"null\"}");
    bool list = (route->flags & ROUTE_LIST) != 0;
    if (list)
        put(b, ",\"page\":{\"$ref\":\"#/components/schemas/page\"}");
    put(b,
        list ? "},\"required\":[\"data\",\"error\",\"page\"]}}}" : "},\"required\":[\"data\",\"error\"]}}}");
}

/* Health answers 503 with the same object as 200, because its reader wants to know which part is down. */
static void put_bad_news(struct buf *b, const struct route *route) {
    put(b, ",\"503\":{\"description\":\"A part is not working, or the server is busy.\",\"content\":"
           "{\"application/json\":{\"schema\":{\"anyOf\":[");
    schema_reference(b, route->out, OUT);
    put(b, ",{\"$ref\":\"#/components/schemas/error\"}]}}}}");
}

static void put_responses(struct buf *b, const struct route *route) {
    int successes[2], statuses[STATUSES_MAX];
    size_t n = route_successes(route, successes), n_errors = route_statuses(route, statuses);
    put(b, ",\"responses\":{");
    for (size_t i = 0; i < n; i++) {
        const char *what = successes[i] == 201   ? "Created."
                           : successes[i] == 204 ? "Done; there is nothing to tell."
                           : n == 2              ? "It was there already, or the body was an array."
                                                 : "Done.";
        buf_printf(b,
                   "%s\"%d\":{\"description\":\"%s\",\"headers\":{\"X-Request-ID\":{\"$ref\":"
                   "\"#/components/headers/X-Request-ID\"}}",
                   i ? "," : "", successes[i], what);
        put_content(b, route, successes[i]);
        put(b, "}");
    }
    for (size_t i = 0; i < n_errors; i++) {
        if (statuses[i] == 503 && route->flags & ROUTE_RAW && route->out)
            put_bad_news(b, route);
        else
            buf_printf(b, ",\"%d\":{\"$ref\":\"#/components/responses/error_%d\"}", statuses[i], statuses[i]);
    }
    put(b, "}");
}

static void put_access(struct buf *b, const struct route *route) {
    if (route->area == AREA_PUBLIC)
        put(b, ",\"security\":[]");
    put(b, ",\"x-access\":{");
    for (size_t i = 0; ROLE_NAMES[i]; i++) {
        enum role role = ROLE_NONE;
        bool known = role_parse(str_of(ROLE_NAMES[i]), &role);
        bool allowed = known && access_allowed(route->area, route->need, role);
        buf_printf(b, "%s\"%s\":\"%s\"", i ? "," : "", ROLE_NAMES[i], allowed ? "allow" : "deny");
    }
    put(b, "}");
}

void operation_print(struct buf *b, const struct route *route) {
    put(b, "{");
    put_operation_id(b, route);
    put(b, ",\"summary\":");
    put_quoted(b, route->doc);
    put_tag(b, route);
    put_parameters(b, route);
    put_request_body(b, route);
    put_responses(b, route);
    put_access(b, route);
    put(b, "}");
}
