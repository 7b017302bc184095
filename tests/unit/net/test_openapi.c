#include "toy.h"

#include "net/openapi.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

struct world {
    struct ctx cx;
    struct router *router;
    json_t *document;
};

static int start(void **state) {
    static struct world w;
    char *const environ[] = {NULL};
    w.cx = (struct ctx){.mem = arena_new(1 << 24)};
    if (toy_router(&w.cx, &TOY_MODULE, environ, &w.router))
        return -1;
    struct buf b = buf_new(w.cx.mem, 8 << 20);
    if (router_document(w.router, &b))
        return -1;
    w.document = json_loadb(b.p, b.n, JSON_REJECT_DUPLICATES, NULL);
    *state = &w;
    return w.document ? 0 : -1;
}

static int stop(void **state) {
    struct world *w = *state;
    json_decref(w->document);
    router_free(w->router);
    arena_free(w->cx.mem);
    return 0;
}

static json_t *operation(struct world *w, const char *path, const char *verb) {
    json_t *op = json_object_get(json_object_get(json_object_get(w->document, "paths"), path), verb);
    if (!op)
        fail_msg("%s %s is not in the document", verb, path);
    return op;
}

/* Every reference leads to something. */
static void follow(json_t *root, json_t *value) {
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_array(value))
        json_array_foreach(value, i, item) follow(root, item);
    if (!json_is_object(value))
        return;
    json_object_foreach(value, key, item) {
        if (strcmp(key, "$ref") == 0) {
            char path[200];
            const char *text = json_string_value(item);
            assert_true(text && strncmp(text, "#/components/", 13) == 0 && strlen(text) < sizeof(path));
            strcpy(path, text + 13);
            char *slash = strchr(path, '/');
            *slash = '\0';
            json_t *group = json_object_get(json_object_get(root, "components"), path);
            if (!json_object_get(group, slash + 1))
                fail_msg("%s leads nowhere", text);
        }
        follow(root, item);
    }
}

static void references_lead_somewhere(void **state) {
    struct world *w = *state;
    assert_string_equal(json_string_value(json_object_get(w->document, "openapi")), "3.1.0");
    follow(w->document, w->document);
}

static void every_row_is_there_once(void **state) {
    struct world *w = *state;
    static const char *const VERBS[METHODS] = {"get", "post", "patch", "put", "delete"};
    json_t *ids = json_object();
    for (size_t i = 0; i < sizeof(TOY_ROUTES) / sizeof(TOY_ROUTES[0]); i++) {
        const struct route *route = &TOY_ROUTES[i];
        if (route->area == AREA_OPERATOR) {
            assert_null(json_object_get(json_object_get(w->document, "paths"), route->path));
            continue;
        }
        json_t *op = operation(w, route->path, VERBS[route->method]);
        const char *id = json_string_value(json_object_get(op, "operationId"));
        assert_non_null(id);
        assert_null(json_object_get(ids, id));
        json_object_set_new(ids, id, json_true());
        assert_string_equal(json_string_value(json_object_get(op, "summary")), route->doc);
        for (size_t k = 0; ROLE_NAMES[k]; k++) {
            enum role role;
            assert_true(role_parse(str_of(ROLE_NAMES[k]), &role));
            const char *said =
                json_string_value(json_object_get(json_object_get(op, "x-access"), ROLE_NAMES[k]));
            assert_string_equal(said, access_allowed(route->area, route->need, role) ? "allow" : "deny");
        }
        assert_int_equal(json_object_get(op, "security") != NULL, route->area == AREA_PUBLIC);
    }
    json_decref(ids);
}

static void check_statuses(struct world *w, const char *path, const char *verb, const int *expected) {
    json_t *responses = json_object_get(operation(w, path, verb), "responses");
    size_t n = 0;
    for (; expected[n]; n++) {
        char text[8];
        snprintf(text, sizeof(text), "%d", expected[n]);
        if (!json_object_get(responses, text))
            fail_msg("%s %s does not tell of %s", verb, path, text);
    }
    assert_int_equal(json_object_size(responses), n);
}

static void tells_every_status(void **state) {
    struct world *w = *state;
    check_statuses(w, "/api/v1/toys", "get", (int[]){200, 400, 401, 422, 429, 431, 500, 501, 503, 0});
    check_statuses(w, "/api/v1/toys", "post",
                   (int[]){200, 201, 400, 401, 403, 409, 413, 415, 422, 429, 431, 500, 501, 503, 0});
    check_statuses(w, "/api/v1/toys/{sku}", "patch",
                   (int[]){200, 400, 401, 403, 404, 412, 413, 415, 422, 429, 431, 500, 501, 503, 0});
    check_statuses(w, "/webhooks/toy", "post", (int[]){200, 400, 411, 413, 429, 431, 500, 501, 503, 0});
    check_statuses(w, "/healthz", "get", (int[]){200, 400, 431, 500, 501, 503, 0});
}

static bool has_parameter(json_t *op, const char *name, const char *where) {
    json_t *parameters = json_object_get(op, "parameters"), *p;
    size_t i;
    json_array_foreach(parameters, i, p) {
        if (strcmp(json_string_value(json_object_get(p, "name")), name) == 0)
            return strcmp(json_string_value(json_object_get(p, "in")), where) == 0;
    }
    return false;
}

static void tells_every_parameter(void **state) {
    struct world *w = *state;
    json_t *list = operation(w, "/api/v1/toys", "get");
    static const char *const QUERY[] = {"page",        "page_size", "cursor", "sort", "filter[quantity][gte]",
                                        "filter[sku]", "sku",       NULL};
    for (size_t i = 0; QUERY[i]; i++)
        assert_true(has_parameter(list, QUERY[i], "query"));
    assert_true(has_parameter(operation(w, "/api/v1/toys/{sku}", "get"), "sku", "path"));
    assert_true(has_parameter(operation(w, "/api/v1/toys/{sku}", "patch"), "If-Match", "header"));
    assert_true(has_parameter(operation(w, "/api/v1/toys", "post"), "Idempotency-Key", "header"));
    assert_false(has_parameter(operation(w, "/api/v1/toys/{sku}/wind", "post"), "Idempotency-Key", "header"));
}

static void the_page_tells_the_same_paths(void **state) {
    struct world *w = *state;
    for (size_t i = 0; i < sizeof(TOY_ROUTES) / sizeof(TOY_ROUTES[0]); i++) {
        const char *path = TOY_ROUTES[i].path;
        bool there = memmem(w->router->docs.p, w->router->docs.n, path, strlen(path)) != NULL;
        assert_int_equal(there, TOY_ROUTES[i].area != AREA_OPERATOR);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_lead_somewhere),
        cmocka_unit_test(every_row_is_there_once),
        cmocka_unit_test(tells_every_status),
        cmocka_unit_test(tells_every_parameter),
        cmocka_unit_test(the_page_tells_the_same_paths),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
