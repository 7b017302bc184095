#include "net/route.h"

#include "net/path.h"

#include "base/banned.h"

struct str request_header(const struct request *rq, struct str name, size_t *count) {
    struct str value = {0};
    size_t n = 0;
    for (size_t i = 0; i < rq->n_headers; i++)
        if (str_eq_nocase(rq->headers[i].name, name) && n++ == 0)
            value = rq->headers[i].value;
    if (count)
        *count = n;
    return value;
}

enum err request_query(struct ctx *cx, const struct request *rq, struct str name, struct str *out) {
    struct str path, query, key, value, found = {0};
    target_cut(rq->target, &path, &query);
    enum err e;
    while (query_next(cx, &query, &key, &value, &e)) {
        if (!str_eq(key, name))
            continue;
        if (found.p)
            return fail_field(cx, name, "is given more than once");
        found = value;
    }
    if (!e)
        *out = found;
    return e;
}

enum err request_length(struct ctx *cx, const struct request *rq, size_t max) {
    struct str text = request_header(rq, S("Content-Length"), NULL);
    int64_t length = 0;
    if (!text.p)
        return fail(cx, ERR_LENGTH_REQUIRED, "Send the body with a Content-Length.");
    /* The gate has let only digits through; what str_int refuses is too many of them. */
    if (!str_int(text, &length) || (uint64_t)length > max)
        return fail(cx, ERR_TOO_LARGE, "The body may have at most %zu bytes.", max);
    return OK;
}

enum err request_if_match(struct ctx *cx, const struct request *rq, int64_t revision) {
    struct str value = request_header(rq, S("If-Match"), NULL);
    if (!value.p || str_eq(value, S("*")))
        return OK;
    struct str current = str_printf(cx->mem, "\"%lld\"", (long long)revision);
    if (!current.p)
        return fail(cx, ERR_MEMORY, "There is not enough memory.");
    for (bool more = true; more;) {
        struct str one = value, rest = value;
        more = str_cut(value, ',', &one, &rest);
        if (str_eq(str_trim(one), current))
            return OK;
        value = rest;
    }
    return fail(cx, ERR_STALE, "It has changed since you read it; read it again and repeat the change.");
}
