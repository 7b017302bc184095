/* The binary form of values, as the types' send and receive functions have it (src/backend/utils/adt). */
#include "db/postgres.h"

#include <endian.h>
#include <string.h>

#include "base/banned.h"

enum {
    T_BOOL = 16,
    T_BYTEA = 17,
    T_NAME = 19,
    T_INT8 = 20,
    T_INT2 = 21,
    T_INT4 = 23,
    T_TEXT = 25,
    T_JSON = 114,
    T_BPCHAR = 1042,
    T_VARCHAR = 1043,
    T_TIMESTAMPTZ = 1184,
    T_UUID = 2950,
    T_JSONB = 3802
};
#define ARRAY_MAX (64u << 20)               /* bytes */
#define EPOCH_2000 INT64_C(946684800000000) /* microseconds from 1970 to 2000 */

static bool put_int(int64_t v, size_t size, unsigned char *slot, const char **value, int *length) {
    uint64_t big = htobe64((uint64_t)v);
    int64_t most = size == 8 ? INT64_MAX : (INT64_C(1) << (size * 8 - 1)) - 1;
    if (v > most || v < -most - 1)
        return false;
    memcpy(slot, (const char *)&big + 8 - size, size);
    *value = (const char *)slot;
    *length = (int)size;
    return true;
}

static bool encode_int(Oid type, int64_t v, unsigned char *slot, const char **value, int *length) {
    size_t size = type == T_INT8 ? 8 : type == T_INT4 ? 4 : type == T_INT2 ? 2 : 0;
    return size && put_int(v, size, slot, value, length);
}

static bool encode_str(struct arena *mem, Oid type, struct str s, const char **value, int *length) {
    *value = s.p;
    *length = (int)s.n;
    if (type == T_JSONB) { /* a version, then the text */
        char *copy = arena_alloc(mem, s.n + 1);
        if (!copy)
            return false;
        copy[0] = 1;
        memcpy(copy + 1, s.p, s.n);
        *value = copy;
        *length = (int)s.n + 1;
    }
    return s.n < INT32_MAX && (type == T_TEXT || type == T_VARCHAR || type == T_BPCHAR || type == T_NAME ||
                               type == T_JSON || type == T_JSONB);
}

bool value_encode(struct arena *mem, Oid type, const struct arg *a, unsigned char slot[VALUE_SIZE],
                  const char **value, int *length) {
    switch (a->kind) {
    case ARG_NULL:
        *value = NULL;
        *length = 0;
        return true;
    case ARG_BOOL:
        slot[0] = a->i != 0;
        *value = (const char *)slot;
        *length = 1;
        return type == T_BOOL;
    case ARG_INT:
        return encode_int(type, a->i, slot, value, length);
    case ARG_INSTANT:
        return type == T_TIMESTAMPTZ && put_int(a->i - EPOCH_2000, 8, slot, value, length);
    case ARG_STR:
        return encode_str(mem, type, a->s, value, length);
    case ARG_BYTES:
        *value = (const char *)a->b.p;
        *length = (int)a->b.n;
        return type == T_BYTEA && a->b.n < INT32_MAX;
    case ARG_UUID:
        *value = (const char *)a->u.b;
        *length = sizeof(a->u.b);
        return type == T_UUID;
    }
    return false;
}

static Oid element_of(Oid array) {
    static const Oid TYPES[][2] = {{1000, T_BOOL}, {1001, T_BYTEA}, {1016, T_INT8}, {1005, T_INT2},
                                   {1007, T_INT4}, {1009, T_TEXT},  {199, T_JSON},  {1185, T_TIMESTAMPTZ},
                                   {2951, T_UUID}, {3807, T_JSONB}};
    for (size_t i = 0; i < sizeof(TYPES) / sizeof(TYPES[0]); i++)
        if (TYPES[i][0] == array)
            return TYPES[i][1];
    return 0;
}

static void put_word(struct buf *b, int64_t v) {
    uint32_t big = htobe32((uint32_t)v);
    buf_add(b, (struct str){(const char *)&big, sizeof(big)});
}

bool value_encode_rows(struct arena *mem, Oid type, const struct args *rows, size_t n, size_t arg,
                       const char **value, int *length) {
    unsigned char slot[VALUE_SIZE];
    struct buf b = buf_new(mem, ARRAY_MAX);
    Oid element = element_of(type);
    const char *p;
    int size;
    put_word(&b, 1); /* dimensions */
    put_word(&b, 1); /* there may be NULLs */
    put_word(&b, element);
    put_word(&b, (int64_t)n);
    put_word(&b, 1); /* the index of the first */
    for (size_t i = 0; i < n; i++) {
        if (arg >= rows[i].n || !value_encode(mem, element, &rows[i].v[arg], slot, &p, &size))
            return false;
        put_word(&b, p ? size : -1);
        buf_add(&b, (struct str){p, (size_t)size});
    }
    *value = buf_str(&b).p;
    *length = (int)b.n;
    return element && !b.failed;
}

static int64_t get_int(const char *value, int length) {
    uint64_t big = (unsigned char)value[0] & 0x80 ? UINT64_MAX : 0;
    for (int i = 0; i < length; i++)
        big = big << 8 | (unsigned char)value[i];
    return (int64_t)big;
}

int64_t value_instant(const char *value) { return get_int(value, 8) + EPOCH_2000; }

static bool decode_str(Oid type, const char *value, int length, struct str *out) {
    if (type == T_JSONB && length > 0)
        value++, length--;
    *out = (struct str){value, (size_t)length};
    return type == T_TEXT || type == T_VARCHAR || type == T_BPCHAR || type == T_NAME || type == T_JSON ||
           type == T_JSONB;
}

bool value_decode(Oid type, enum arg_kind wanted, const char *value, int length, struct arg *out) {
    out->kind = wanted;
    switch (wanted) {
    case ARG_BOOL:
        if (type != T_BOOL)
            return false;
        out->i = value[0] != 0;
        return true;
    case ARG_INT:
        if (type != T_INT8 && type != T_INT4 && type != T_INT2)
            return false;
        out->i = get_int(value, length);
        return true;
    case ARG_INSTANT:
        if (type != T_TIMESTAMPTZ)
            return false;
        out->i = value_instant(value);
        return true;
    case ARG_STR:
        return decode_str(type, value, length, &out->s);
    case ARG_BYTES:
        out->b = (struct bytes){(const unsigned char *)value, (size_t)length};
        return type == T_BYTEA;
    case ARG_UUID:
        if (type != T_UUID || length != sizeof(out->u.b))
            return false;
        memcpy(out->u.b, value, sizeof(out->u.b));
        return true;
    case ARG_NULL:
        break;
    }
    return false;
}
