/* Schemas: a resource is described once. One table of fields over a C struct decodes and validates JSON,
 * encodes it, binds and reads SQL rows (db/row.h), and documents the API. The kind of a field follows from
 * its C type.
 *
 * "No value": a str, bytes or json with p == NULL, an instant of 0, a money without currency, a nil uuid, a
 * list without items pointer, an optional_int with has == false. bool and int64_t always have a value. Fields
 * that are not REQUIRED and have no value are written as null in JSON and SQL. */
#ifndef BASE_SCHEMA_H
#define BASE_SCHEMA_H

#include "base/ctx.h"
#include "base/list.h"
#include "base/money.h"

struct json { /* one JSON value as it was written, already checked */
    struct str text;
};

struct optional_int {
    int64_t v;
    bool has;
};

enum kind {
    KIND_BOOL,
    KIND_INT,
    KIND_OPTIONAL_INT,
    KIND_STR,
    KIND_BYTES,
    KIND_INSTANT,
    KIND_UUID,
    KIND_MONEY,
    KIND_JSON,
    KIND_LIST
};

/* What a field is used for. */
enum use {
    CREATE = 1,   /* read from the body that creates */
    PATCH = 2,    /* read from the body that changes; null clears */
    OUT = 4,      /* written to answers */
    ROW = 8,      /* a column (a money: two, name_minor and name_currency), in this order */
    REQUIRED = 16 /* must be there and have a value in CREATE; never null in OUT */
};

struct field {
    const char *name; /* in JSON; the column has the same name unless column says otherwise */
    const char *column;
    enum kind kind;
    unsigned uses;
    size_t offset;
    int64_t min, max;          /* int: value; str: code points; list: items; both 0: the kind's own limits */
    const char *const *one_of; /* str: allowed values, NULL-terminated */
    bool (*check)(struct str s); /* str: further rule, told by rule in the error */
    const char *rule;
    const struct schema *of; /* list: what its items are; on a column it is stored as JSON */
    const char *doc;
};

struct schema {
    const char *name; /* in OpenAPI's components */
    size_t size;
    const struct field *fields;
    size_t n;
};

/* Ceilings of kinds whose field names none. */
#define STR_MAX_DEFAULT 4000
#define JSON_MAX_DEFAULT 65536
#define LIST_MAX_DEFAULT 1000
#define SCHEMA_FIELDS_MAX 64 /* as many as a presence bitmap has bits */

/* clang-format off */
#define KIND_OF(type, member)                                                                                \
    _Generic(((type *)0)->member, bool: KIND_BOOL, int64_t: KIND_INT, struct optional_int: KIND_OPTIONAL_INT,\
             struct str: KIND_STR, struct bytes: KIND_BYTES, struct instant: KIND_INSTANT,                   \
             struct uuid: KIND_UUID, struct money: KIND_MONEY, struct json: KIND_JSON, struct list: KIND_LIST)
/* clang-format on */
/* FIELD(struct item, sku, CREATE | OUT | ROW | REQUIRED, "What it is.", .min = 1, .max = 64); FIELD_AS where
 * the name on the wire is not the member's. */
#define FIELD(type, member, use_flags, text, ...) \
    FIELD_AS(type, member, #member, use_flags, text, ##__VA_ARGS__)
#define FIELD_AS(type, member, wire_name, use_flags, text, ...)                  \
    {                                                                            \
        .name = (wire_name), .kind = KIND_OF(type, member), .uses = (use_flags), \
        .offset = offsetof(type, member), .doc = (text), ##__VA_ARGS__           \
    }
#define SCHEMA(type, wire_name, table) \
    { .name = (wire_name), .size = sizeof(type), .fields = (table), .n = sizeof(table) / sizeof((table)[0]) }

enum unknown { REFUSE_UNKNOWN, IGNORE_UNKNOWN };

/* Reads one JSON object into out (zeroed first). ERR_MALFORMED if the text is not JSON (RFC 8259, UTF-8
 * valid, depth <= 64, no duplicate keys, nothing after it), else ERR_INVALID with every problem listed.
 * present gets bit i for field i when its key was there, null or not; NULL if not wanted. Strings with
 * escapes are copied, others point into text. */
MUST_USE enum err schema_decode(struct ctx *cx, const struct schema *s, enum use use, enum unknown unknown,
                                struct str text, void *out, uint64_t *present);
/* The same for an array of such objects, for bulk routes: each item's error is its own. items gets structs,
 * faults one struct fault per item (code OK where it is good). ERR_INVALID if there are more than max. */
MUST_USE enum err schema_decode_array(struct ctx *cx, const struct schema *s, enum use use, struct str text,
                                      size_t max, struct list *items, struct fault **faults);

/* Copies the fields that a PATCH brought (bit i of present) from one object to another of the same schema. */
void schema_merge(const struct schema *s, uint64_t present, const void *from, void *to);

void schema_encode(const struct schema *s, enum use use, const void *object, struct buf *out);
/* For a value without JSON around it: query parameters, path segments. */
MUST_USE enum err field_parse(struct ctx *cx, const struct field *f, struct str name, struct str value,
                              void *out);
const struct field *schema_field(const struct schema *s, struct str name); /* by JSON name, NULL if none */
/* JSON Schema (2020-12) of the object in this use, for OpenAPI. */
void schema_document(const struct schema *s, enum use use, struct buf *out);

#endif
