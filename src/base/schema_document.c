#include "base/json.h"
#include "base/schema.h"

#include <inttypes.h>

#include "base/field.h"

#include "base/banned.h"

static const char *json_type_of(enum kind k) {
    static const char *const types[] = {
        [KIND_BOOL] = "boolean", [KIND_INT] = "integer",  [KIND_OPTIONAL_INT] = "integer",
        [KIND_STR] = "string",   [KIND_BYTES] = "string", [KIND_INSTANT] = "string",
        [KIND_UUID] = "string",  [KIND_MONEY] = "object", [KIND_JSON] = NULL,
        [KIND_LIST] = "array",
    };
    return types[k];
}

static void put_type(struct buf *b, const struct field *f, bool nullable) {
    const char *type = json_type_of(f->kind);
    if (type && nullable)
        buf_printf(b, "\"type\":[\"%s\",\"null\"]", type);
    else if (type)
        buf_printf(b, "\"type\":\"%s\"", type);
}

static void put_one_of(struct buf *b, const struct field *f, bool nullable) {
    buf_add(b, S(",\"enum\":["));
    for (size_t i = 0; f->one_of[i]; i++) {
        if (i)
            buf_byte(b, ',');
        json_put_string(b, str_of(f->one_of[i]));
    }
    buf_add(b, nullable ? S(",null]") : S("]"));
}

static void put_range(struct buf *b, const struct field *f, const char *min, const char *max) {
    struct limits l = field_limits(f);
    if (l.min != 0 && l.min != INT64_MIN)
        buf_printf(b, ",\"%s\":%" PRId64, min, l.min);
    if (l.max != INT64_MAX)
        buf_printf(b, ",\"%s\":%" PRId64, max, l.max);
}

static void put_number_range(struct buf *b, const struct field *f) {
    struct limits l = field_limits(f);
    buf_add(b, S(",\"format\":\"int64\""));
    if (l.min != INT64_MIN)
        buf_printf(b, ",\"minimum\":%" PRId64, l.min);
    if (l.max != INT64_MAX)
        buf_printf(b, ",\"maximum\":%" PRId64, l.max);
}

/* What is read is held to its limits; what is written may be older than they are. */
static void put_limits(struct buf *b, const struct field *f, enum use use, bool nullable) {
    switch (f->kind) {
    case KIND_INT:
    case KIND_OPTIONAL_INT:
        if (use == OUT)
            buf_add(b, S(",\"format\":\"int64\""));
        else
            put_number_range(b, f);
        return;
    case KIND_STR:
        if (f->one_of)
            put_one_of(b, f, nullable);
        else if (use != OUT)
            put_range(b, f, "minLength", "maxLength");
        return;
    case KIND_BYTES:
        buf_add(b, S(",\"contentEncoding\":\"base64url\""));
        return;
    case KIND_INSTANT:
        buf_add(b, S(",\"format\":\"date-time\""));
        return;
    case KIND_UUID:
        buf_add(b, S(",\"format\":\"uuid\""));
        return;
    case KIND_MONEY:
        buf_add(b,
                S(",\"properties\":{\"amount\":{\"type\":\"string\",\"pattern\":"
                  "\"^-?(0|[1-9][0-9]*)([.][0-9]+)?$\"},\"currency\":{\"type\":\"string\",\"pattern\":"
                  "\"^[A-Z]{3}$\"}},\"required\":[\"amount\",\"currency\"],\"additionalProperties\":false"));
        return;
    case KIND_LIST:
        if (use != OUT)
            put_range(b, f, "minItems", "maxItems");
        buf_add(b, S(",\"items\":"));
        schema_document(f->of, item_use(use), b);
        return;
    case KIND_BOOL:
    case KIND_JSON:
        return;
    }
}

static void put_field(struct buf *b, const struct field *f, enum use use) {
    bool nullable = kind_takes_null(f->kind) && !(f->uses & REQUIRED);
    size_t start = b->n + 1;
    buf_byte(b, '{');
    put_type(b, f, nullable);
    put_limits(b, f, use, nullable);
    if (f->doc) {
        if (b->n > start)
            buf_byte(b, ',');
        buf_add(b, S("\"description\":"));
        json_put_string(b, str_of(f->doc));
    }
    buf_byte(b, '}');
}

/* An answer has every field; of what is sent only those that must be there are named. */
static bool is_always_there(const struct field *f, enum use use) {
    return use == OUT || (use != PATCH && f->uses & REQUIRED);
}

void schema_document(const struct schema *s, enum use use, struct buf *out) {
    buf_add(out, S("{\"type\":\"object\",\"properties\":{"));
    bool first = true;
    for (size_t i = 0; i < s->n; i++) {
        if (s->fields[i].uses & (unsigned)use) {
            json_put_key(out, &first, str_of(s->fields[i].name));
            put_field(out, &s->fields[i], use);
        }
    }
    buf_byte(out, '}');
    first = true;
    for (size_t i = 0; i < s->n; i++) {
        if (s->fields[i].uses & (unsigned)use && is_always_there(&s->fields[i], use)) {
            buf_add(out, first ? S(",\"required\":[") : S(","));
            json_put_string(out, str_of(s->fields[i].name));
            first = false;
        }
    }
    buf_add(out, first ? S(",\"additionalProperties\":false}") : S("],\"additionalProperties\":false}"));
}
