#include "db/row.h"

#include <string.h>

#include "base/banned.h"

static const struct arg NONE = {ARG_NULL, {0}};

struct arg arg_bool(bool v) {
    return (struct arg){ARG_BOOL, {.i = v}};
}
struct arg arg_int(int64_t v) {
    return (struct arg){ARG_INT, {.i = v}};
}
struct arg arg_optional_int(struct optional_int v) {
    return v.has ? arg_int(v.v) : NONE;
}
struct arg arg_str(struct str v) {
    return v.p ? (struct arg){ARG_STR, {.s = v}} : NONE;
}
struct arg arg_bytes(struct bytes v) {
    return v.p ? (struct arg){ARG_BYTES, {.b = v}} : NONE;
}
struct arg arg_instant(struct instant v) {
    return v.us ? (struct arg){ARG_INSTANT, {.i = v.us}} : NONE;
}
struct arg arg_uuid(struct uuid v) {
    return uuid_is_nil(v) ? NONE : (struct arg){ARG_UUID, {.u = v}};
}
struct arg arg_json(struct json v) {
    return arg_str(v.text);
}

static size_t columns_of(const struct field *f) {
    return !(f->uses & ROW) ? 0 : f->kind == KIND_MONEY ? 2 : 1;
}

static size_t count_columns(const struct schema *s) {
    size_t n = 0;
    for (size_t i = 0; s && i < s->n; i++)
        n += columns_of(&s->fields[i]);
    return n;
}

/* A list is stored as a JSON array of its items' ROW fields. */
static enum err list_arg(struct ctx *cx, const struct field *f, const struct list *l, struct arg *out) {
    *out = NONE;
    if (!l->items)
        return OK;
    struct buf b = buf_new(cx->mem, JSON_MAX_DEFAULT);
    buf_byte(&b, '[');
    for (size_t i = 0; i < l->n; i++) {
        if (i)
            buf_byte(&b, ',');
        schema_encode(f->of, ROW, (const char *)l->items + i * f->of->size, &b);
    }
    buf_byte(&b, ']');
    if (b.failed)
        return fail(cx, ERR_MEMORY, "%s is too long to be stored.", f->name);
    *out = arg_str(buf_str(&b));
    return OK;
}

static enum err field_arg(struct ctx *cx, const struct field *f, const void *v, struct arg *out) {
    switch (f->kind) {
    case KIND_BOOL:
        *out = arg_bool(*(const bool *)v);
        return OK;
    case KIND_INT:
        *out = arg_int(*(const int64_t *)v);
        return OK;
    case KIND_OPTIONAL_INT:
        *out = arg_optional_int(*(const struct optional_int *)v);
        return OK;
    case KIND_STR:
        *out = arg_str(*(const struct str *)v);
        return OK;
    case KIND_BYTES:
        *out = arg_bytes(*(const struct bytes *)v);
        return OK;
    case KIND_INSTANT:
        *out = arg_instant(*(const struct instant *)v);
        return OK;
    case KIND_UUID:
        *out = arg_uuid(*(const struct uuid *)v);
        return OK;
    case KIND_JSON:
        *out = arg_json(*(const struct json *)v);
        return OK;
    case KIND_MONEY: {
        const struct money *m = v;
        out[0] = m->currency[0] ? arg_int(m->minor) : NONE;
        out[1] = m->currency[0] ? arg_str(str_of(m->currency)) : NONE;
        return OK;
    }
    case KIND_LIST:
        return list_arg(cx, f, v, out);
    }
    return OK;
}

struct args args_of(struct ctx *cx, const struct schema *s, const void *object, struct args more) {
    size_t n = 0;
    struct arg *v = NEW_N(cx->mem, struct arg, count_columns(s) + more.n);
    if (!v) {
        (void)fail(cx, ERR_MEMORY, "The row does not fit in memory.");
        return (struct args){NULL, 1};
    }
    for (size_t i = 0; i < s->n; i++) {
        const struct field *f = &s->fields[i];
        if (!(f->uses & ROW))
            continue;
        if (field_arg(cx, f, (const char *)object + f->offset, &v[n]))
            return (struct args){NULL, 1};
        n += columns_of(f);
    }
    for (size_t i = 0; i < more.n; i++)
        v[n++] = more.v[i];
    return (struct args){v, n};
}

static enum arg_kind kind_of(enum kind k) {
    switch (k) {
    case KIND_BOOL:
        return ARG_BOOL;
    case KIND_INT:
    case KIND_OPTIONAL_INT:
    case KIND_MONEY:
        return ARG_INT;
    case KIND_BYTES:
        return ARG_BYTES;
    case KIND_INSTANT:
        return ARG_INSTANT;
    case KIND_UUID:
        return ARG_UUID;
    case KIND_STR:
    case KIND_JSON:
    case KIND_LIST:
        return ARG_STR;
    }
    return ARG_NULL;
}

struct columns *columns_new(const struct schema *row) {
    size_t n = 0;
    struct columns *c = calloc(1, sizeof(*c) + count_columns(row) * sizeof(c->v[0]));
    if (!c || !row)
        return c;
    c->size = row->size;
    for (size_t i = 0; i < row->n; i++) {
        const struct field *f = &row->fields[i];
        if (!(f->uses & ROW))
            continue;
        c->v[n] = (struct column){f, "", kind_of(f->kind), f->offset};
        if (f->kind == KIND_MONEY) {
            c->v[n++].suffix = "_minor";
            c->v[n] = (struct column){f, "_currency", ARG_STR, f->offset};
        }
        n++;
    }
    c->n = n;
    return c;
}

bool column_named(const struct columns *c, size_t i, const char *name) {
    const struct field *f = c->v[i].field;
    struct str base = str_of(f->column ? f->column : f->name), suffix = str_of(c->v[i].suffix),
               whole = str_of(name);
    return whole.n == base.n + suffix.n && str_starts(whole, base) && str_ends(whole, suffix);
}

static enum err read_str(struct ctx *cx, struct str from, struct str *to) {
    *to = str_dup(cx->mem, from);
    return to->p ? OK : fail(cx, ERR_MEMORY, "The result does not fit in memory.");
}

static enum err read_bytes(struct ctx *cx, struct bytes from, struct bytes *to) {
    struct str copy;
    enum err e = read_str(cx, (struct str){(const char *)from.p, from.n}, &copy);
    if (!e)
        *to = (struct bytes){(const unsigned char *)copy.p, copy.n};
    return e;
}

static enum err read_list(struct ctx *cx, const struct field *f, struct str text, struct list *out) {
    struct fault *faults;
    struct str copy; /* items point into the text */
    enum err e = read_str(cx, text, &copy);
    if (!e)
        e = schema_decode_array(cx, f->of, ROW, copy, f->max ? (size_t)f->max : LIST_MAX_DEFAULT, out,
                                &faults);
    for (size_t i = 0; !e && i < out->n; i++)
        e = faults[i].code;
    if (e && e != ERR_MEMORY)
        return fail_cause(cx, ERR_INTERNAL, "the stored list %s cannot be read", f->name);
    return e;
}

/* One of its two columns. */
static void read_money(const struct arg *value, struct money *m) {
    if (value->kind == ARG_INT)
        m->minor = value->i;
    else if (value->s.n < sizeof(m->currency))
        memcpy(m->currency, value->s.p, value->s.n);
}

static enum err read_column(struct ctx *cx, const struct column *c, const struct arg *value, void *to) {
    switch (c->field->kind) {
    case KIND_BOOL:
        *(bool *)to = value->i != 0;
        return OK;
    case KIND_INT:
        *(int64_t *)to = value->i;
        return OK;
    case KIND_OPTIONAL_INT:
        *(struct optional_int *)to = (struct optional_int){value->i, true};
        return OK;
    case KIND_INSTANT:
        ((struct instant *)to)->us = value->i;
        return OK;
    case KIND_UUID:
        *(struct uuid *)to = value->u;
        return OK;
    case KIND_STR:
        return read_str(cx, value->s, to);
    case KIND_JSON:
        return read_str(cx, value->s, &((struct json *)to)->text);
    case KIND_BYTES:
        return read_bytes(cx, value->b, to);
    case KIND_LIST:
        return read_list(cx, c->field, value->s, to);
    case KIND_MONEY:
        read_money(value, to);
        return OK;
    }
    return OK;
}

enum err columns_read(struct ctx *cx, const struct columns *c, const struct arg *values, void *object) {
    for (size_t i = 0; i < c->n; i++) {
        if (values[i].kind == ARG_NULL)
            continue;
        enum err e = read_column(cx, &c->v[i], &values[i], (char *)object + c->v[i].offset);
        if (e)
            return e;
    }
    return OK;
}
