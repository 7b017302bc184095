#include "base/json.h"
#include "base/schema.h"

#include <string.h>

#include "base/banned.h"

static void put_quoted(struct buf *b, struct str plain) {
    buf_byte(b, '"');
    buf_add(b, plain);
    buf_byte(b, '"');
}

static void put_instant(struct buf *b, struct instant t) {
    char text[32];
    if (t.us == 0)
        buf_add(b, S("null"));
    else
        put_quoted(b, instant_format(t, text));
}

static void put_uuid(struct buf *b, struct uuid u) {
    char text[36];
    if (uuid_is_nil(u))
        buf_add(b, S("null"));
    else
        put_quoted(b, uuid_format(u, text));
}

static void put_money(struct buf *b, const struct money *m) {
    char text[32];
    if (!m->currency[0]) {
        buf_add(b, S("null"));
        return;
    }
    buf_add(b, S("{\"amount\":"));
    put_quoted(b, money_amount(*m, text));
    buf_add(b, S(",\"currency\":"));
    put_quoted(b, str_of(m->currency));
    buf_byte(b, '}');
}

static void put_bytes(struct buf *b, struct bytes v) {
    struct str text = v.p ? base64url_encode(b->mem, v) : (struct str){NULL, 0};
    if (!v.p)
        buf_add(b, S("null"));
    else if (!text.p)
        b->failed = true;
    else
        put_quoted(b, text);
}

static void put_list(struct buf *b, const struct field *f, enum use use, const struct list *l) {
    if (!l->items) {
        buf_add(b, S("null"));
        return;
    }
    buf_byte(b, '[');
    for (size_t i = 0; i < l->n; i++) {
        if (i)
            buf_byte(b, ',');
        schema_encode(f->of, use, (const char *)l->items + i * f->of->size, b);
    }
    buf_byte(b, ']');
}

static void put_value(struct buf *b, const struct field *f, enum use use, const void *v) {
    switch (f->kind) {
    case KIND_BOOL:
        buf_add(b, *(const bool *)v ? S("true") : S("false"));
        return;
    case KIND_INT:
        buf_int(b, *(const int64_t *)v);
        return;
    case KIND_OPTIONAL_INT:
        if (((const struct optional_int *)v)->has)
            buf_int(b, ((const struct optional_int *)v)->v);
        else
            buf_add(b, S("null"));
        return;
    case KIND_STR:
        json_put_string(b, *(const struct str *)v);
        return;
    case KIND_BYTES:
        put_bytes(b, *(const struct bytes *)v);
        return;
    case KIND_INSTANT:
        put_instant(b, *(const struct instant *)v);
        return;
    case KIND_UUID:
        put_uuid(b, *(const struct uuid *)v);
        return;
    case KIND_MONEY:
        put_money(b, v);
        return;
    case KIND_JSON:
        buf_add(b, ((const struct json *)v)->text.p ? ((const struct json *)v)->text : S("null"));
        return;
    case KIND_LIST:
        put_list(b, f, use, v);
        return;
    }
}

void schema_encode(const struct schema *s, enum use use, const void *object, struct buf *out) {
    char before = '{';
    for (size_t i = 0; i < s->n; i++) {
        const struct field *f = &s->fields[i];
        if (!(f->uses & (unsigned)use))
            continue;
        buf_byte(out, before);
        put_quoted(out, str_of(f->name)); /* names are ours and need no escapes */
        buf_byte(out, ':');
        put_value(out, f, use, (const char *)object + f->offset);
        before = ',';
    }
    if (before == '{')
        buf_byte(out, '{');
    buf_byte(out, '}');
}
