#include "core/demo_year.h"
#include "net/answer.h"

#include <assert.h>

#include "base/banned.h"

/* The data of an answer, and of that its id. */
struct envelope {
    struct json data;
};
static const struct field ENVELOPE_FIELDS[] = {FIELD(struct envelope, data, CREATE, "What was made.")};
static const struct schema ENVELOPE = SCHEMA(struct envelope, "Answer", ENVELOPE_FIELDS);
struct made {
    struct uuid id;
};
static const struct field MADE_FIELDS[] = {FIELD(struct made, id, CREATE | REQUIRED, "Its id.")};
static const struct schema MADE = SCHEMA(struct made, "Made", MADE_FIELDS);

static const struct route *find(const struct ctx *cx, enum method method, struct str path) {
    for (size_t m = 0; m < cx->modules->n; m++)
        for (size_t i = 0; i < cx->modules->list[m]->n_routes; i++) {
            const struct route *r = &cx->modules->list[m]->routes[i];
            if (r->method == method && str_eq(path, str_of(r->path)))
                return r;
        }
    return NULL;
}

static enum err decode(struct ctx *cx, struct request *rq) {
    const struct route *route = rq->route;
    if (!route->in || (route->flags & ROUTE_BODY_ANY))
        return OK;
    if (!(rq->in = arena_alloc(cx->mem, route->in->size)))
        return fail(cx, ERR_MEMORY, "There is not enough memory.");
    return schema_decode(cx, route->in, route->in_use, REFUSE_UNKNOWN, rq->body.n ? rq->body : S("{}"),
                         rq->in, &rq->present);
}

enum err demo_call(struct ctx *cx, enum method method, const char *path, struct str param, struct str body,
                   struct uuid *id) {
    struct request rq = {.method = method,
                         .target = str_of(path),
                         .param = {param},
                         .body = body,
                         .route = find(cx, method, str_of(path))};
    struct answer an;
    struct envelope envelope;
    struct made made;
    assert(rq.route && rq.route->mode == WRITE);
    enum err e = decode(cx, &rq);
    if (e)
        return e;
    answer_begin(cx, &an, rq.route);
    if ((e = rq.route->handler(cx, &rq, &an)) || !id)
        return e;
    if ((e = schema_decode(cx, &ENVELOPE, CREATE, IGNORE_UNKNOWN, buf_str(&an.body), &envelope, NULL)) ||
        (e = schema_decode(cx, &MADE, CREATE, IGNORE_UNKNOWN, envelope.data.text, &made, NULL)))
        return e;
    *id = made.id;
    return OK;
}
