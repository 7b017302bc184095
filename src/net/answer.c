#include "net/answer.h"

#include "base/json.h"

#include <assert.h>

#include "base/banned.h"

int answer_status(const struct route *route) {
    if (route->out_status)
        return route->out_status;
    if (route->flags & ROUTE_NO_CONTENT)
        return 204;
    return route->flags & ROUTE_CREATES ? 201 : 200;
}

void answer_begin(struct ctx *cx, struct answer *an, const struct route *route) {
    *an = (struct answer){.status = answer_status(route),
                          .body = buf_new(cx->mem, ANSWER_MAX),
                          .content_type = TYPE_JSON,
                          .raw = (route->flags & (ROUTE_RAW | ROUTE_WEBHOOK)) != 0};
}

void answer_end(struct answer *an) {
    if (an->status != 204 && an->body.n == 0 && !an->raw)
        buf_add(&an->body, S("{\"data\":null,\"error\":null}"));
}

static void start(struct answer *an, int status, struct str type) {
    if (status)
        an->status = status;
    an->content_type = type;
    an->body.n = 0;
}

static enum err finish(struct ctx *cx, struct answer *an) {
    return an->body.failed ? fail(cx, ERR_MEMORY, "The answer is too large; ask for less at once.") : OK;
}

enum err answer_object(struct ctx *cx, struct answer *an, int status, const struct schema *s, const void *o) {
    start(an, status, TYPE_JSON);
    if (!an->raw)
        buf_add(&an->body, S("{\"data\":"));
    schema_encode(s, OUT, o, &an->body);
    if (!an->raw)
        buf_add(&an->body, S(",\"error\":null}"));
    return finish(cx, an);
}

enum err answer_list(struct ctx *cx, struct answer *an, const struct schema *s, struct list rows,
                     int64_t page, int64_t page_size, struct str next_cursor) {
    start(an, 200, TYPE_JSON);
    buf_add(&an->body, an->raw ? S("[") : S("{\"data\":["));
    for (size_t i = 0; i < rows.n; i++) {
        if (i > 0)
            buf_byte(&an->body, ',');
        schema_encode(s, OUT, (const char *)rows.items + i * s->size, &an->body);
    }
    buf_byte(&an->body, ']');
    if (!an->raw) {
        buf_add(&an->body, S(",\"error\":null"));
        if (page_size > 0) {
            buf_printf(&an->body,
                       ",\"page\":{\"page\":%lld,\"page_size\":%lld,\"next_cursor\":", (long long)page,
                       (long long)page_size);
            json_put_string(&an->body, next_cursor);
            buf_byte(&an->body, '}');
        }
        buf_byte(&an->body, '}');
    }
    return finish(cx, an);
}

enum err answer_text(struct ctx *cx, struct answer *an, int status, struct str type, struct str text) {
    start(an, status, type);
    buf_add(&an->body, text);
    return finish(cx, an);
}

void answer_header(struct answer *an, struct str name, struct str value) {
    assert(an->n_headers < sizeof(an->headers) / sizeof(an->headers[0]));
    an->headers[an->n_headers++] = (struct header){name, value};
}

void answer_etag(struct ctx *cx, struct answer *an, int64_t revision) {
    struct str tag = str_printf(cx->mem, "\"%lld\"", (long long)revision);
    if (tag.p) /* without memory for a tag the answer is still right, only not conditional */
        answer_header(an, S("ETag"), tag);
}

static void put_problems(struct buf *b, const struct fault *fault) {
    buf_add(b, S(",\"details\":["));
    for (size_t i = 0; i < fault->n; i++) {
        buf_add(b, i ? S(",{\"field\":") : S("{\"field\":"));
        json_put_string(b, fault->problems[i].field);
        buf_add(b, S(",\"problem\":"));
        json_put_string(b, fault->problems[i].problem);
        buf_byte(b, '}');
    }
    buf_byte(b, ']');
}

void answer_fault(struct ctx *cx, struct answer *an) {
    const struct fault *fault = &cx->fault;
    const struct err_info *info = err_info(fault->code);
    /* What our own layers say about a failure of ours is for the log. */
    bool ours = fault->code == ERR_INTERNAL || fault->code == ERR_DATABASE || fault->code == ERR_MEMORY;
    struct str message = ours || !fault->message.p ? str_of(info->doc) : fault->message;
    an->body = buf_new(cx->mem, ANSWER_MAX);
    start(an, info->status, TYPE_JSON);
    struct buf *b = &an->body;
    buf_add(b, S("{\"data\":null,\"error\":{\"code\":"));
    json_put_string(b, str_of(info->code));
    buf_add(b, S(",\"message\":"));
    json_put_string(b, message);
    put_problems(b, ours ? &(struct fault){0} : fault);
    buf_add(b, S(",\"request_id\":"));
    json_put_string(b, cx->request_id);
    buf_add(b, S("}}"));
    if (b->failed) { /* no memory for it: the status alone has to say it */
        b->n = 0;
        an->content_type = (struct str){0};
    }
}
