#include "base/json.h"
#include "base/schema.h"

#include <assert.h>
#include <string.h>

#include "base/field.h"

#include "base/banned.h"

/* Where a value stands, from the inside out; written as text only when there is a problem. */
struct place {
    const struct place *up;
    struct str name; /* no value: an item of a list, with its index */
    size_t index;
};

struct decoding {
    struct ctx *cx;
    struct json_reader r;
    enum unknown unknown;
    bool bad; /* a problem was found in what is well-formed */
};

static void put_place(const struct place *at, struct buf *b) {
    if (at->up)
        put_place(at->up, b);
    if (at->name.p && b->n)
        buf_byte(b, '.');
    if (at->name.p)
        buf_add(b, at->name);
    else
        buf_printf(b, "[%zu]", at->index);
}

static void complain(struct decoding *d, const struct place *at, struct str problem) {
    struct str field = S("");
    if (at && !at->up && at->name.p) {
        field = at->name;
    } else if (at) {
        struct buf b = buf_new(d->cx->mem, STR_MAX_DEFAULT);
        put_place(at, &b);
        field = buf_str(&b);
    }
    d->bad = true;
    (void)!fail_field(d->cx, field, "%.*s", STR_FMT(problem));
}

/* Passes a value of another type by, with a complaint. */
static bool is_type(struct decoding *d, const struct place *at, enum json_type type, const char *problem) {
    struct str raw;
    if (json_peek(&d->r) == type)
        return true;
    if (json_skip(&d->r, &raw))
        complain(d, at, str_of(problem));
    return false;
}

static const char *type_text(enum kind k) {
    static const char *const texts[] = {
        [KIND_BOOL] = "must be true or false",
        [KIND_INT] = "must be an integer",
        [KIND_OPTIONAL_INT] = "must be an integer",
        [KIND_STR] = "must be a string",
        [KIND_BYTES] = "must be a string in URL-safe base64",
        [KIND_INSTANT] = "must be a time in a string, such as 2026-11-20T10:00:00Z",
        [KIND_UUID] = "must be a UUID in a string",
        [KIND_MONEY] = "must be an object with amount and currency",
        [KIND_JSON] = "must be a value",
        [KIND_LIST] = "must be an array",
    };
    return texts[k];
}

static void read_scalar(struct decoding *d, const struct field *f, const struct place *at, void *out) {
    bool is_number = f->kind == KIND_INT || f->kind == KIND_OPTIONAL_INT;
    struct str text;
    if (!is_type(d, at, is_number ? JSON_NUMBER : JSON_STRING, type_text(f->kind)) ||
        !(is_number ? json_number(&d->r, &text) : json_string(&d->r, &text)))
        return;
    struct str problem = field_take(d->cx->mem, f, text, out);
    if (problem.p)
        complain(d, at, problem);
}

struct money_text {
    struct str amount, currency;
};
static const struct field money_fields[] = {
    FIELD(struct money_text, amount, CREATE | REQUIRED, "Decimal number.", .min = 1, .max = 32),
    FIELD(struct money_text, currency, CREATE | REQUIRED, "ISO 4217 code.", .min = 3, .max = 3),
};
static const struct schema money_schema = SCHEMA(struct money_text, "money", money_fields);

static void read_object(struct decoding *d, const struct schema *s, enum use use, const struct place *at,
                        void *out, uint64_t *present);

static void read_money(struct decoding *d, const struct place *at, struct money *out) {
    struct money_text text;
    bool bad = d->bad;
    d->bad = false;
    read_object(d, &money_schema, CREATE, at, &text, NULL);
    if (!d->bad && !d->r.problem && !money_parse(text.amount, text.currency, out)) {
        bool known = currency_digits(text.currency) >= 0;
        struct place inner = {at, known ? S("amount") : S("currency"), 0};
        complain(d, &inner,
                 known
                     ? S("must be a decimal number with no more digits than the currency has, such as 12.50")
                     : S("must be a currency code of ISO 4217, such as USD"));
    }
    d->bad = d->bad || bad;
}

static void read_json(struct decoding *d, const struct field *f, const struct place *at, struct json *out) {
    struct str raw;
    if (!json_skip(&d->r, &raw))
        return;
    struct str problem = field_check_count(d->cx->mem, f, (int64_t)raw.n, "byte", "bytes");
    if (problem.p)
        complain(d, at, problem);
    else
        out->text = raw;
}

/* Room for one more at the end; NULL with the reader stopped when there is none. */
static void *one_more(struct decoding *d, void **items, size_t n, size_t *cap, size_t size) {
    if (n == *cap) {
        size_t wanted = *cap ? *cap * 2 : 4;
        void *p = arena_alloc_n(d->cx->mem, size, wanted);
        if (!p) {
            json_stop_for_memory(&d->r);
            return NULL;
        }
        if (n)
            memcpy(p, *items, n * size);
        *items = p;
        *cap = wanted;
    }
    return (char *)*items + n * size;
}

static void read_list(struct decoding *d, const struct field *f, enum use use, const struct place *at,
                      struct list *out) {
    struct limits l = field_limits(f);
    size_t n = 0, cap = 0;
    bool first = true;
    struct str raw;
    if (!is_type(d, at, JSON_ARRAY, type_text(KIND_LIST)) || !json_enter(&d->r, JSON_ARRAY) ||
        !one_more(d, &out->items, 0, &cap, f->of->size)) /* also without items it is a value */
        return;
    for (; json_next(&d->r, NULL, &first); n++) {
        if ((int64_t)n >= l.max) {
            json_skip(&d->r, &raw);
            continue;
        }
        void *item = one_more(d, &out->items, out->n, &cap, f->of->size);
        if (!item)
            return;
        out->n++;
        read_object(d, f->of, item_use(use), &(struct place){at, {NULL, 0}, n}, item, NULL);
    }
    struct str problem =
        d->r.problem ? (struct str){NULL, 0} : field_check_count(d->cx->mem, f, (int64_t)n, "item", "items");
    if (problem.p)
        complain(d, at, problem);
}

static void read_field(struct decoding *d, const struct field *f, enum use use, const struct place *at,
                       void *out) {
    if (json_peek(&d->r) == JSON_NULL && kind_takes_null(f->kind)) {
        if (json_null(&d->r) && f->uses & REQUIRED)
            complain(d, at, S("must not be null"));
        return;
    }
    switch (f->kind) {
    case KIND_BOOL:
        if (is_type(d, at, JSON_BOOL, type_text(KIND_BOOL)))
            json_bool(&d->r, out);
        return;
    case KIND_MONEY:
        if (is_type(d, at, JSON_OBJECT, type_text(KIND_MONEY)))
            read_money(d, at, out);
        return;
    case KIND_JSON:
        read_json(d, f, at, out);
        return;
    case KIND_LIST:
        read_list(d, f, use, at, out);
        return;
    default:
        read_scalar(d, f, at, out);
    }
}

/* Keys mostly come in the order of the table, so the search begins after the last one found. */
static size_t find_field(const struct schema *s, struct str key, size_t from) {
    for (size_t i = 0; i < s->n; i++) {
        size_t at = from + i < s->n ? from + i : from + i - s->n;
        const char *name = s->fields[at].name;
        if (strncmp(name, key.p, key.n) == 0 && name[key.n] == '\0')
            return at;
    }
    return s->n;
}

static void read_other(struct decoding *d, const struct place *at, bool known) {
    struct str raw;
    if (json_skip(&d->r, &raw) && d->unknown == REFUSE_UNKNOWN)
        complain(d, at, known ? S("cannot be set here") : S("is not a field of this resource"));
}

static void read_object(struct decoding *d, const struct schema *s, enum use use, const struct place *at,
                        void *out, uint64_t *present) {
    assert(s->n <= SCHEMA_FIELDS_MAX);
    memset(out, 0, s->size);
    uint64_t seen = 0;
    struct json_keys others = {0};
    struct str key;
    bool first = true;
    if (!is_type(d, at, JSON_OBJECT, "must be an object") || !json_enter(&d->r, JSON_OBJECT))
        return;
    for (size_t next = 0; json_next(&d->r, &key, &first);) {
        size_t i = find_field(s, key, next);
        bool known = i < s->n;
        struct place inner = {at, key, 0};
        if (known ? seen >> i & 1 : !json_keys_add(&d->r, &others, key)) {
            json_stop(&d->r, JSON_KEY_TWICE);
        } else if (known && s->fields[i].uses & (unsigned)use) {
            read_field(d, &s->fields[i], use, &inner, (char *)out + s->fields[i].offset);
        } else {
            read_other(d, &inner, known);
        }
        if (known) {
            seen |= UINT64_C(1) << i;
            next = i + 1;
        }
    }
    if (!json_keys_check(&d->r, &others))
        return;
    for (size_t i = 0; use != PATCH && i < s->n; i++)
        if (s->fields[i].uses & REQUIRED && s->fields[i].uses & (unsigned)use && !(seen >> i & 1))
            complain(d, &(struct place){at, str_of(s->fields[i].name), 0}, S("is required"));
    if (present)
        *present = seen;
}

static enum err finish(struct decoding *d) {
    json_end(&d->r);
    if (d->r.out_of_memory)
        return fail(d->cx, ERR_MEMORY, "The request needs more memory than it may have.");
    if (d->r.problem)
        return fail(d->cx, ERR_MALFORMED, "The JSON cannot be read: %s, at byte %zu.", d->r.problem,
                    (size_t)(d->r.p - d->r.start));
    return d->bad ? ERR_INVALID : OK;
}

enum err schema_decode(struct ctx *cx, const struct schema *s, enum use use, enum unknown unknown,
                       struct str text, void *out, uint64_t *present) {
    struct decoding d = {.cx = cx, .unknown = unknown};
    uint64_t seen = 0;
    json_begin(&d.r, cx->mem, text);
    read_object(&d, s, use, NULL, out, &seen);
    enum err e = finish(&d);
    if (present && !e)
        *present = seen;
    return e;
}

/* One object of an array with a fault of its own; what was wrong before stays as it was. */
static bool read_row(struct decoding *d, const struct schema *s, enum use use, void *item,
                     struct fault *fault) {
    struct fault before = d->cx->fault;
    bool bad = d->bad;
    fault_clear(d->cx);
    read_object(d, s, use, NULL, item, NULL);
    *fault = d->cx->fault;
    d->cx->fault = before;
    d->bad = bad;
    return !d->r.problem;
}

enum err schema_decode_array(struct ctx *cx, const struct schema *s, enum use use, struct str text,
                             size_t max, struct list *items, struct fault **faults) {
    struct decoding d = {.cx = cx, .unknown = REFUSE_UNKNOWN};
    void *rows = NULL, *row_faults = NULL;
    size_t n = 0, rows_cap = 0, faults_cap = 0;
    bool first = true;
    struct str raw;
    json_begin(&d.r, cx->mem, text);
    if (is_type(&d, NULL, JSON_ARRAY, type_text(KIND_LIST)) && json_enter(&d.r, JSON_ARRAY) &&
        one_more(&d, &rows, 0, &rows_cap, s->size)) {
        for (; json_next(&d.r, NULL, &first); n++) {
            if (n >= max) {
                json_skip(&d.r, &raw);
                continue;
            }
            void *row = one_more(&d, &rows, n, &rows_cap, s->size);
            struct fault *fault = row ? one_more(&d, &row_faults, n, &faults_cap, sizeof *fault) : NULL;
            if (!fault || !read_row(&d, s, use, row, fault))
                break;
        }
        if (n > max && !d.r.problem)
            complain(&d, NULL, str_printf(cx->mem, "must have at most %zu items", max));
    }
    enum err e = finish(&d);
    if (!e) {
        *items = (struct list){rows, n};
        *faults = row_faults;
    }
    return e;
}
