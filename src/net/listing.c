#include "net/listing.h"

#include "net/cursor.h"
#include "net/path.h"
#include "net/router.h"

#include "base/banned.h"

#define FILTERS_MAX 16
#define BINDING_MAX 16384

/* What the query asked for. */
struct wish {
    const struct listing *listing;
    const struct listing_sort *sort;
    const struct stmt *st;
    int64_t page, page_size;
    bool has_page, has_size;
    struct str cursor;
    struct str filters[FILTERS_MAX]; /* as given; no value when not */
    struct arg args[4 + FILTERS_MAX];
};

static bool filter_named(const struct listing_filter *f, struct str name) {
    if (f->short_name && str_eq(name, str_of(f->short_name)))
        return true;
    if (!str_starts(name, S("filter[")) || !str_ends(name, S("]")))
        return false;
    struct str inner = str_sub(name, 7, name.n - 8), field = inner, op = {0};
    size_t n = strlen(f->name);
    if (f->op) {
        if (inner.n < n + 2 || inner.p[n] != ']' || inner.p[n + 1] != '[')
            return false;
        field = str_sub(inner, 0, n);
        op = str_sub(inner, n + 2, inner.n);
        return str_eq(field, str_of(f->name)) && str_eq(op, str_of(f->op));
    }
    return str_eq(field, str_of(f->name));
}

/* The value of a field as an argument: ARG_NULL for kinds that no sort or filter has. */
static struct arg arg_of(enum kind kind, const void *value) {
    switch (kind) {
    case KIND_BOOL:
        return arg_bool(*(const bool *)value);
    case KIND_INT:
        return arg_int(*(const int64_t *)value);
    case KIND_OPTIONAL_INT:
        return arg_optional_int(*(const struct optional_int *)value);
    case KIND_STR:
        return arg_str(*(const struct str *)value);
    case KIND_INSTANT:
        return arg_instant(*(const struct instant *)value);
    case KIND_UUID:
        return arg_uuid(*(const struct uuid *)value);
    case KIND_BYTES:
    case KIND_MONEY:
    case KIND_JSON:
    case KIND_LIST:
        break;
    }
    return (struct arg){.kind = ARG_NULL};
}

static struct arg filter_arg(const struct field *f, const void *value) {
    bool as_id = f->kind == KIND_INSTANT && str_eq(str_of(f->column), S("id"));
    return as_id ? arg_uuid(uuid_first(*(const struct instant *)value)) : arg_of(f->kind, value);
}

static enum err take_filter(struct ctx *cx, const struct route *route, struct wish *w, struct str name,
                            struct str value) {
    for (size_t i = route->path_filters; i < w->listing->n_filters; i++) {
        const struct listing_filter *f = &w->listing->filters[i];
        _Alignas(max_align_t) unsigned char parsed[64];
        if (!filter_named(f, name))
            continue;
        if (w->filters[i].p)
            return fail_field(cx, name, "is given more than once");
        enum err e = field_parse(cx, f->field, name, value, parsed);
        if (e)
            return e;
        w->filters[i] = value;
        w->args[4 + i] = filter_arg(f->field, parsed);
        if (f->st && w->sort == &w->listing->sorts[0])
            w->st = f->st;
        return OK;
    }
    return fail_field(cx, name, "is not a parameter or filter of this list");
}

/* What the path says is filtered by as well. */
static enum err take_params(struct ctx *cx, const struct request *rq, struct wish *w) {
    for (size_t i = 0; i < rq->route->path_filters; i++) {
        const struct listing_filter *f = &w->listing->filters[i];
        _Alignas(max_align_t) unsigned char parsed[64];
        enum err e = field_parse(cx, f->field, str_of(f->name), rq->param[i], parsed);
        if (e)
            return e;
        w->filters[i] = rq->param[i];
        w->args[4 + i] = arg_of(f->field->kind, parsed);
    }
    return OK;
}

static enum err take_number(struct ctx *cx, struct str name, struct str value, int64_t max, int64_t *out) {
    int64_t v;
    if (!str_int(value, &v) || v < 1 || v > max)
        return fail_field(cx, name, "must be a whole number from 1 to %lld", (long long)max);
    *out = v;
    return OK;
}

static enum err take_sort(struct ctx *cx, struct wish *w, struct str value) {
    for (size_t i = 0; i < w->listing->n_sorts; i++)
        if (str_eq(value, str_of(w->listing->sorts[i].name))) {
            w->sort = &w->listing->sorts[i];
            w->st = w->sort->st;
            return OK;
        }
    return fail_field(cx, S("sort"), "is not a sort of this list");
}

static bool own_query(const struct route *route, struct str name) {
    for (const struct query *q = route->query; q && q->name; q++)
        if (str_eq(str_of(q->name), name))
            return true;
    return false;
}

static enum err take_parameter(struct ctx *cx, const struct route *route, struct wish *w, struct str name,
                               struct str value) {
    if (str_eq(name, S("sort")))
        return OK; /* has been read before the others */
    if (str_eq(name, S("page_size"))) {
        if (w->has_size)
            return fail_field(cx, name, "is given more than once");
        w->has_size = true;
        return take_number(cx, name, value, PAGE_SIZE_MAX, &w->page_size);
    }
    if (str_eq(name, S("page"))) {
        if (w->has_page)
            return fail_field(cx, name, "is given more than once");
        w->has_page = true;
        return take_number(cx, name, value, PAGE_DEPTH_MAX, &w->page);
    }
    if (str_eq(name, S("cursor"))) {
        if (w->cursor.p)
            return fail_field(cx, name, "is given more than once");
        w->cursor = value;
        return OK;
    }
    return own_query(route, name) ? OK : take_filter(cx, route, w, name, value);
}

static enum err read_query(struct ctx *cx, const struct request *rq, struct wish *w) {
    struct str path, query, name, value, sort = {0};
    enum err e = request_query(cx, rq, S("sort"), &sort);
    if (e || (e = take_params(cx, rq, w)))
        return e;
    enum err first = sort.p ? take_sort(cx, w, sort) : OK;
    target_cut(rq->target, &path, &query);
    while (query_next(cx, &query, &name, &value, &e)) {
        enum err wrong = take_parameter(cx, rq->route, w, name, value);
        first = first ? first : wrong;
    }
    if (e || first)
        return e ? e : first;
    if (w->cursor.p && w->has_page)
        return fail_field(cx, S("page"), "cannot be given together with cursor");
    if (!w->cursor.p && w->page * w->page_size > PAGE_DEPTH_MAX)
        return fail_field(cx, S("page"), "page × page_size may be at most %d; go on with next_cursor",
                          PAGE_DEPTH_MAX);
    return OK;
}

/* All that a cursor belongs to, each part with its length, so that no two bindings read the same. */
static enum err bind_cursor(struct ctx *cx, const struct request *rq, const struct wish *w, struct str *out) {
    struct buf b = buf_new(cx->mem, BINDING_MAX);
    buf_add(&b, (struct str){(const char *)cx->actor.org.b, sizeof(cx->actor.org.b)});
    buf_printf(&b, "%s\n%s\n", rq->route->path, w->sort->name);
    for (size_t i = 0; i < w->listing->n_filters; i++)
        if (w->filters[i].p) {
            buf_printf(&b, "%zu:%zu:", i, w->filters[i].n);
            buf_add(&b, w->filters[i]);
        }
    *out = buf_str(&b);
    return b.failed ? fail_field(cx, S("filter"), "is too long") : OK;
}

static struct arg row_value(const struct schema *s, const char *name, const void *row) {
    const struct field *f = name ? schema_field(s, str_of(name)) : NULL;
    return f ? arg_of(f->kind, (const char *)row + f->offset) : (struct arg){.kind = ARG_NULL};
}

static struct str next_cursor(struct ctx *cx, const struct request *rq, const struct wish *w,
                              struct str binding, const void *last) {
    const struct schema *s = w->listing->row;
    struct cursor c = {w->page + 1, row_value(s, w->sort->key, last), row_value(s, w->sort->tie, last)};
    return cursor_format(cx->mem, rq->router->cursor_key, binding, &c);
}

/* What the request asks for, all of it good. */
static enum err read_wish(struct ctx *cx, const struct request *rq, struct wish *w, struct cursor *at,
                          struct str *binding) {
    const struct listing *l = rq->route->listing;
    *w = (struct wish){
        .listing = l, .sort = &l->sorts[0], .st = l->sorts[0].st, .page = 1, .page_size = PAGE_SIZE_DEFAULT};
    *at = (struct cursor){0};
    if (l->n_filters > FILTERS_MAX)
        return fail(cx, ERR_INTERNAL, "The listing has more than %d filters.", FILTERS_MAX);
    enum err e = read_query(cx, rq, w);
    if (e || (e = bind_cursor(cx, rq, w, binding)))
        return e;
    if (w->cursor.p && !cursor_parse(cx->mem, rq->router->cursor_key, *binding, w->cursor, at))
        return fail_field(cx, S("cursor"), "is not one that this list, sort and filter gave out");
    if (w->cursor.p)
        w->page = at->page;
    return OK;
}

enum err listing_check(struct ctx *cx, const struct request *rq) {
    struct wish w;
    struct cursor at;
    struct str binding;
    return read_wish(cx, rq, &w, &at, &binding);
}

enum err listing_answer(struct ctx *cx, struct request *rq, struct answer *an) {
    const struct listing *l = rq->route->listing;
    struct wish w;
    struct str binding, next = {0};
    struct cursor at;
    enum err e = read_wish(cx, rq, &w, &at, &binding);
    if (e)
        return e;
    w.args[0] = arg_int(w.page_size + 1); /* one more tells whether there is a next page */
    w.args[1] = arg_int(w.cursor.p ? 0 : (w.page - 1) * w.page_size);
    w.args[2] = at.key;
    w.args[3] = at.tie;
    struct list rows;
    if ((e = db_list(cx, w.st, (struct args){w.args, 4 + l->n_filters}, &rows)))
        return e;
    if ((int64_t)rows.n > w.page_size) {
        rows.n = (size_t)w.page_size;
        next = next_cursor(cx, rq, &w, binding, (const char *)rows.items + (rows.n - 1) * l->row->size);
        if (!next.p)
            return fail(cx, ERR_MEMORY, "There is not enough memory for the cursor.");
    }
    return answer_list(cx, an, l->row, rows, w.page, w.page_size, next);
}
