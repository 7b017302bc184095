#include "base/schema.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/field.h"

#include "base/banned.h"

size_t kind_size(enum kind k) {
    static const size_t sizes[] = {
        [KIND_BOOL] = sizeof(bool),
        [KIND_INT] = sizeof(int64_t),
        [KIND_OPTIONAL_INT] = sizeof(struct optional_int),
        [KIND_STR] = sizeof(struct str),
        [KIND_BYTES] = sizeof(struct bytes),
        [KIND_INSTANT] = sizeof(struct instant),
        [KIND_UUID] = sizeof(struct uuid),
        [KIND_MONEY] = sizeof(struct money),
        [KIND_JSON] = sizeof(struct json),
        [KIND_LIST] = sizeof(struct list),
    };
    return sizes[k];
}

bool kind_takes_null(enum kind k) { return k != KIND_BOOL && k != KIND_INT; }

enum use item_use(enum use use) { return use == PATCH ? CREATE : use; }

static struct limits kind_limits(enum kind k) {
    switch (k) {
    case KIND_INT:
    case KIND_OPTIONAL_INT:
        return (struct limits){INT64_MIN, INT64_MAX};
    case KIND_LIST:
        return (struct limits){0, LIST_MAX_DEFAULT};
    case KIND_JSON:
    case KIND_BYTES:
        return (struct limits){0, JSON_MAX_DEFAULT};
    default:
        return (struct limits){0, STR_MAX_DEFAULT};
    }
}

/* A field that names only its min has the kind's max. */
struct limits field_limits(const struct field *f) {
    struct limits own = kind_limits(f->kind);
    if (f->min == 0 && f->max == 0)
        return own;
    return (struct limits){f->min, f->max >= f->min ? f->max : own.max};
}

static struct str limit_text(struct arena *mem, const char *bound, int64_t n, const char *unit) {
    return str_printf(mem, "must %s %" PRId64 "%s%s", bound, n, *unit ? " " : "", unit);
}

struct str field_check_count(struct arena *mem, const struct field *f, int64_t n, const char *one,
                             const char *many) {
    struct limits l = field_limits(f);
    if (n < l.min)
        return l.min == 1 ? S("must not be empty") : limit_text(mem, "have at least", l.min, many);
    if (n > l.max)
        return limit_text(mem, "have at most", l.max, l.max == 1 ? one : many);
    return (struct str){NULL, 0};
}

static struct str one_of_text(struct arena *mem, const char *const *values) {
    struct buf b = buf_new(mem, STR_MAX_DEFAULT);
    buf_add(&b, S("must be one of:"));
    for (size_t i = 0; values[i]; i++)
        buf_printf(&b, "%s %s", i ? "," : "", values[i]);
    return buf_str(&b);
}

static struct str take_int(struct arena *mem, const struct field *f, struct str text, int64_t *out) {
    int64_t v;
    if (!str_int(text, &v)) {
        size_t sign = text.n && text.p[0] == '-';
        for (size_t i = sign; i < text.n; i++)
            if (text.p[i] < '0' || text.p[i] > '9')
                return S("must be an integer");
        return text.n < 19 ? S("must be an integer") : S("must be an integer that fits into 64 bits");
    }
    struct limits l = field_limits(f);
    if (v < l.min)
        return limit_text(mem, "be at least", l.min, "");
    if (v > l.max)
        return limit_text(mem, "be at most", l.max, "");
    *out = v;
    return (struct str){NULL, 0};
}

static struct str take_str(struct arena *mem, const struct field *f, struct str text, struct str *out) {
    struct str problem = field_check_count(mem, f, (int64_t)str_utf8_count(text), "character", "characters");
    if (problem.p)
        return problem;
    if (f->one_of) {
        size_t i = 0;
        while (f->one_of[i] && !str_eq(text, str_of(f->one_of[i])))
            i++;
        if (!f->one_of[i])
            return one_of_text(mem, f->one_of);
    }
    if (f->check && !f->check(text))
        return f->rule ? str_of(f->rule) : S("has a wrong form");
    *out = text;
    return (struct str){NULL, 0};
}

static struct str take_bytes(struct arena *mem, const struct field *f, struct str text, struct bytes *out) {
    struct bytes b;
    if (!base64url_decode(mem, text, &b))
        return S("must be URL-safe base64 without padding");
    struct str problem = field_check_count(mem, f, (int64_t)b.n, "byte", "bytes");
    if (!problem.p)
        *out = b;
    return problem;
}

struct str field_take(struct arena *mem, const struct field *f, struct str text, void *out) {
    static const struct str good;
    struct instant t;
    struct uuid u;
    switch (f->kind) {
    case KIND_BOOL:
        *(bool *)out = str_eq(text, S("true"));
        return *(bool *)out || str_eq(text, S("false")) ? good : S("must be true or false");
    case KIND_INT:
        return take_int(mem, f, text, out);
    case KIND_OPTIONAL_INT:
        ((struct optional_int *)out)->has = true;
        return take_int(mem, f, text, &((struct optional_int *)out)->v);
    case KIND_STR:
        return take_str(mem, f, text, out);
    case KIND_BYTES:
        return take_bytes(mem, f, text, out);
    case KIND_INSTANT:
        if (!instant_parse(text, &t) || t.us == 0)
            return S("must be a time with its offset, such as 2026-11-20T10:00:00Z");
        *(struct instant *)out = t;
        return good;
    case KIND_UUID:
        if (!uuid_parse(text, &u) || uuid_is_nil(u))
            return S("must be a UUID");
        *(struct uuid *)out = u;
        return good;
    default:
        return S("cannot be given here");
    }
}

enum err field_parse(struct ctx *cx, const struct field *f, struct str name, struct str value, void *out) {
    bool text_good = str_utf8_valid(value) && !(value.n && memchr(value.p, '\0', value.n));
    struct str problem =
        text_good ? field_take(cx->mem, f, value, out) : S("must be valid UTF-8 without U+0000");
    return problem.p ? fail_field(cx, name, "%.*s", STR_FMT(problem)) : OK;
}

const struct field *schema_field(const struct schema *s, struct str name) {
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(str_of(s->fields[i].name), name))
            return &s->fields[i];
    return NULL;
}

void schema_merge(const struct schema *s, uint64_t present, const void *from, void *to) {
    assert(s->n <= SCHEMA_FIELDS_MAX);
    for (size_t i = 0; i < s->n; i++) {
        const struct field *f = &s->fields[i];
        if (present >> i & 1)
            memcpy((char *)to + f->offset, (const char *)from + f->offset, kind_size(f->kind));
    }
}
