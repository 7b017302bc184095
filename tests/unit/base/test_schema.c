#include "base/schema.h"

#include "base/json.h"

#include "fixture.h"

struct line {
    struct str sku;
    int64_t quantity;
};
static const struct field line_fields[] = {
    FIELD(struct line, sku, CREATE | OUT | REQUIRED, "SKU.", .min = 1, .max = 8),
    FIELD(struct line, quantity, CREATE | OUT | REQUIRED, "How many.", .min = 1, .max = 1000),
};
static const struct schema line_schema = SCHEMA(struct line, "line", line_fields);

struct thing {
    struct uuid id;
    struct str name, kind, note;
    bool active;
    int64_t count;
    struct optional_int limit;
    struct bytes blob;
    struct instant at;
    struct money price;
    struct json extra;
    struct list lines;
};

static bool is_lower(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 'a' || s.p[i] > 'z')
            return false;
    return true;
}

static const char *const kinds[] = {"product", "part", "garment", NULL};
static const struct field thing_fields[] = {
    FIELD(struct thing, id, OUT | REQUIRED, "Identity."),
    FIELD(struct thing, name, CREATE | PATCH | OUT | REQUIRED, "Name.", .min = 1, .max = 5),
    FIELD(struct thing, kind, CREATE | PATCH | OUT, "Kind.", .one_of = kinds),
    FIELD_AS(struct thing, note, "remark", CREATE | PATCH | OUT, "Note.", .check = is_lower,
             .rule = "must be in lower case"),
    FIELD(struct thing, active, CREATE | PATCH | OUT, "Whether it is."),
    FIELD(struct thing, count, CREATE | PATCH | OUT, "A number.", .min = -5, .max = 100),
    FIELD(struct thing, limit, CREATE | PATCH | OUT, "A number or none.", .min = 1),
    FIELD(struct thing, blob, CREATE | OUT, "Bytes."),
    FIELD(struct thing, at, CREATE | PATCH | OUT, "When."),
    FIELD(struct thing, price, CREATE | PATCH | OUT, "Price."),
    FIELD(struct thing, extra, CREATE | OUT, "Anything."),
    FIELD(struct thing, lines, CREATE | PATCH | OUT, "Lines.", .max = 3, .of = &line_schema),
};
static const struct schema thing_schema = SCHEMA(struct thing, "thing", thing_fields);

/* All problems as "field: problem|field: problem". */
static struct str problems(struct ctx *cx) {
    struct buf b = buf_new(cx->mem, 100000);
    for (size_t i = 0; i < cx->fault.n; i++)
        buf_printf(&b, "%s%.*s: %.*s", i ? "|" : "", STR_FMT(cx->fault.problems[i].field),
                   STR_FMT(cx->fault.problems[i].problem));
    return buf_str(&b);
}

static const struct {
    enum use use;
    enum unknown unknown;
    const char *text;
    enum err code;
    const char *problems;
} cases[] = {
    {CREATE, 0, "{\"name\":\"a\"}", OK, ""},
    {CREATE, 0, " { \"name\" : \"a\" } ", OK, ""},
    {CREATE, 0, "{}", ERR_INVALID, "name: is required"},
    {CREATE, 0, "[]", ERR_INVALID, ": must be an object"},
    {CREATE, 0, "null", ERR_INVALID, ": must be an object"},
    {CREATE, 0, "7", ERR_INVALID, ": must be an object"},
    {CREATE, 0, "", ERR_MALFORMED, ""},
    {CREATE, 0, "{\"name\":\"a\"", ERR_MALFORMED, ""},
    {CREATE, 0, "{\"name\":\"a\"}}", ERR_MALFORMED, ""},
    {CREATE, 0, "{\"name\":7,\"x\":[1,}", ERR_MALFORMED, ""},
    {CREATE, 0, "{\"name\":\"a\",\"name\":\"a\"}", ERR_MALFORMED, ""},
    {CREATE, 0, "{\"name\":\"a\",\"n\\u0061me\":\"a\"}", ERR_MALFORMED, ""},
    {CREATE, IGNORE_UNKNOWN, "{\"name\":\"a\",\"x\":1,\"x\":2}", ERR_MALFORMED, ""},
    {CREATE, IGNORE_UNKNOWN, "{\"name\":\"a\",\"x\":{\"y\":1,\"y\":2}}", ERR_MALFORMED, ""},
    {CREATE, IGNORE_UNKNOWN, "{\"name\":\"a\",\"x\":{\"y\":1},\"z\":2,\"id\":7}", OK, ""},
    {CREATE, 0, "{\"name\":\"a\",\"x\":1}", ERR_INVALID, "x: is not a field of this resource"},
    {CREATE, 0, "{\"name\":\"a\",\"\":1}", ERR_INVALID, ": is not a field of this resource"},
    {CREATE, 0, "{\"name\":\"a\",\"id\":1}", ERR_INVALID, "id: cannot be set here"},
    {CREATE, 0, "{\"name\":\"a\",\"note\":\"a\"}", ERR_INVALID, "note: is not a field of this resource"},
    {CREATE, 0, "{\"name\":\"\"}", ERR_INVALID, "name: must not be empty"},
    {CREATE, 0, "{\"name\":\"123456\"}", ERR_INVALID, "name: must have at most 5 characters"},
    {CREATE, 0, "{\"name\":\"\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\"}", OK, ""},
    {CREATE, 0, "{\"name\":null}", ERR_INVALID, "name: must not be null"},
    {CREATE, 0, "{\"name\":[\"a\"]}", ERR_INVALID, "name: must be a string"},
    {CREATE, 0, "{\"name\":\"a\",\"kind\":\"car\"}", ERR_INVALID,
     "kind: must be one of: product, part, garment"},
    {CREATE, 0, "{\"name\":\"a\",\"kind\":\"part\"}", OK, ""},
    {CREATE, 0, "{\"name\":\"a\",\"kind\":null}", OK, ""},
    {CREATE, 0, "{\"name\":\"a\",\"remark\":\"A\"}", ERR_INVALID, "remark: must be in lower case"},
    {CREATE, 0, "{\"name\":\"a\",\"active\":1}", ERR_INVALID, "active: must be true or false"},
    {CREATE, 0, "{\"name\":\"a\",\"active\":null}", ERR_INVALID, "active: must be true or false"},
    {CREATE, 0, "{\"name\":\"a\",\"count\":-6}", ERR_INVALID, "count: must be at least -5"},
    {CREATE, 0, "{\"name\":\"a\",\"count\":101}", ERR_INVALID, "count: must be at most 100"},
    {CREATE, 0, "{\"name\":\"a\",\"count\":1.0}", ERR_INVALID, "count: must be an integer"},
    {CREATE, 0, "{\"name\":\"a\",\"count\":1e1}", ERR_INVALID, "count: must be an integer"},
    {CREATE, 0, "{\"name\":\"a\",\"count\":-0}", ERR_INVALID, "count: must be an integer"},
    {CREATE, 0, "{\"name\":\"a\",\"count\":\"1\"}", ERR_INVALID, "count: must be an integer"},
    {CREATE, 0, "{\"name\":\"a\",\"count\":null}", ERR_INVALID, "count: must be an integer"},
    {CREATE, 0, "{\"name\":\"a\",\"count\":9223372036854775808}", ERR_INVALID,
     "count: must be an integer that fits into 64 bits"},
    {CREATE, 0, "{\"name\":\"a\",\"count\":01}", ERR_MALFORMED, ""},
    {CREATE, 0, "{\"name\":\"a\",\"limit\":9223372036854775807}", OK, ""},
    {CREATE, 0, "{\"name\":\"a\",\"limit\":0}", ERR_INVALID, "limit: must be at least 1"},
    {CREATE, 0, "{\"name\":\"a\",\"limit\":null}", OK, ""},
    {CREATE, 0, "{\"name\":\"a\",\"blob\":\"Zg==\"}", ERR_INVALID,
     "blob: must be URL-safe base64 without padding"},
    {CREATE, 0, "{\"name\":\"a\",\"at\":\"2026-11-20\"}", ERR_INVALID,
     "at: must be a time with its offset, such as 2026-11-20T10:00:00Z"},
    {CREATE, 0, "{\"name\":\"a\",\"at\":1}", ERR_INVALID,
     "at: must be a time in a string, such as 2026-11-20T10:00:00Z"},
    {CREATE, 0, "{\"name\":\"a\",\"price\":\"1\"}", ERR_INVALID,
     "price: must be an object with amount and currency"},
    {CREATE, 0, "{\"name\":\"a\",\"price\":{}}", ERR_INVALID,
     "price.amount: is required|price.currency: is required"},
    {CREATE, 0, "{\"name\":\"a\",\"price\":{\"amount\":\"1\",\"currency\":\"ABC\"}}", ERR_INVALID,
     "price.currency: must be a currency code of ISO 4217, such as USD"},
    {CREATE, 0, "{\"name\":\"a\",\"price\":{\"amount\":\"1.234\",\"currency\":\"USD\"}}", ERR_INVALID,
     "price.amount: must be a decimal number with no more digits than the currency has, such as 12.50"},
    {CREATE, 0, "{\"name\":\"a\",\"price\":{\"amount\":1,\"currency\":\"USD\"}}", ERR_INVALID,
     "price.amount: must be a string"},
    {CREATE, 0, "{\"name\":\"a\",\"price\":{\"amount\":\"1\",\"currency\":\"USD\",\"x\":1}}", ERR_INVALID,
     "price.x: is not a field of this resource"},
    {CREATE, 0, "{\"name\":\"a\",\"lines\":{}}", ERR_INVALID, "lines: must be an array"},
    {CREATE, 0, "{\"name\":\"a\",\"lines\":[1]}", ERR_INVALID, "lines[0]: must be an object"},
    {CREATE, 0, "{\"name\":\"a\",\"lines\":[{\"sku\":\"A\",\"quantity\":1},{\"sku\":\"\",\"quantity\":0}]}",
     ERR_INVALID, "lines[1].sku: must not be empty|lines[1].quantity: must be at least 1"},
    {CREATE, 0, "{\"name\":\"a\",\"lines\":[{\"quantity\":1}]}", ERR_INVALID, "lines[0].sku: is required"},
    {CREATE, 0, "{\"name\":\"a\",\"lines\":[{},{},{},{}]}", ERR_INVALID,
     "lines[0].sku: is required|lines[0].quantity: is required|lines[1].sku: is required|"
     "lines[1].quantity: is required|lines[2].sku: is required|lines[2].quantity: is required|"
     "lines: must have at most 3 items"},
    {CREATE, 0, "{\"count\":\"x\",\"active\":0,\"y\":{}}", ERR_INVALID,
     "count: must be an integer|active: must be true or false|y: is not a field of this resource|name: is "
     "required"},
    {PATCH, 0, "{}", OK, ""},
    {PATCH, 0, "{\"name\":null}", ERR_INVALID, "name: must not be null"},
    {PATCH, 0, "{\"kind\":null,\"price\":null,\"at\":null,\"limit\":null}", OK, ""},
    {PATCH, 0, "{\"count\":null}", ERR_INVALID, "count: must be an integer"},
    {PATCH, 0, "{\"blob\":\"Zg\"}", ERR_INVALID, "blob: cannot be set here"},
    {PATCH, 0, "{\"lines\":[{\"sku\":\"A\"}]}", ERR_INVALID, "lines[0].quantity: is required"},
};

static void decoding_tells_every_problem(void **state) {
    struct ctx *cx = *state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct thing t;
        fault_clear(cx);
        enum err e =
            schema_decode(cx, &thing_schema, cases[i].use, cases[i].unknown, str_of(cases[i].text), &t, NULL);
        if (e != cases[i].code || cx->fault.code != e || !str_eq(problems(cx), str_of(cases[i].problems)))
            fail_msg("%s: %d, \"%.*s\", \"%.*s\"", cases[i].text, (int)e, STR_FMT(problems(cx)),
                     STR_FMT(cx->fault.message));
    }
}

static const char whole[] =
    "{\"id\":\"0190f5d2-7a3c-7cde-8abc-0123456789ab\",\"name\":\"\xC3\xA4\\\"\",\"kind\":\"part\",\"remark\":"
    "\"x\","
    "\"active\":true,\"count\":-5,\"limit\":9,\"blob\":\"AP8\",\"at\":\"2026-11-20T10:00:00.000001Z\","
    "\"price\":{\"amount\":\"-12.50\",\"currency\":\"USD\"},\"extra\":{\"a\":[1,2.50,null]},"
    "\"lines\":[{\"sku\":\"A\",\"quantity\":2},{\"sku\":\"B\",\"quantity\":1}]}";
static const char empty[] =
    "{\"id\":null,\"name\":null,\"kind\":null,\"remark\":null,\"active\":false,\"count\":0,"
    "\"limit\":null,\"blob\":null,\"at\":null,\"price\":null,\"extra\":null,\"lines\":null}";

static void what_is_read_is_written_again(void **state) {
    struct ctx *cx = *state;
    struct thing t;
    uint64_t present;
    assert_int_equal(schema_decode(cx, &thing_schema, OUT, REFUSE_UNKNOWN, str_of(whole), &t, &present), OK);
    assert_int_equal(present, 0xFFF);
    assert_str(t.name, S("\xC3\xA4\""));
    assert_true(t.active && t.count == -5 && t.limit.has && t.limit.v == 9 && t.blob.n == 2 &&
                t.blob.p[1] == 0xFF);
    assert_true(t.price.minor == -1250 && t.lines.n == 2 && ((struct line *)t.lines.items)[1].quantity == 1);
    struct buf b = buf_new(cx->mem, 10000);
    schema_encode(&thing_schema, OUT, &t, &b);
    assert_str(buf_str(&b), str_of(whole));
    struct thing none = {0};
    b = buf_new(cx->mem, 10000);
    schema_encode(&thing_schema, OUT, &none, &b);
    assert_str(buf_str(&b), str_of(empty));
    b = buf_new(cx->mem, 10);
    schema_encode(&thing_schema, OUT, &t, &b);
    assert_true(b.failed);
}

static void a_patch_changes_what_it_names(void **state) {
    struct ctx *cx = *state;
    struct thing old = {.name = S("old"), .kind = S("part"), .count = 3, .limit = {7, true}}, change;
    uint64_t present = 0;
    assert_int_equal(schema_decode(cx, &thing_schema, PATCH, REFUSE_UNKNOWN,
                                   S("{\"limit\":null,\"name\":\"new\",\"lines\":[]}"), &change, &present),
                     OK);
    assert_int_equal(present, 1 << 1 | 1 << 6 | 1 << 11);
    assert_true(change.lines.items && change.lines.n == 0);
    schema_merge(&thing_schema, present, &change, &old);
    assert_str(old.name, S("new"));
    assert_str(old.kind, S("part"));
    assert_true(old.count == 3 && !old.limit.has && old.lines.items);
}

static void each_row_of_an_array_has_its_own_fault(void **state) {
    struct ctx *cx = *state;
    struct list rows;
    struct fault *faults;
    struct str text =
        S("[{\"sku\":\"A\",\"quantity\":1},{\"sku\":\"A\",\"quantity\":0},7,{\"sku\":\"B\",\"quantity\":2}]");
    assert_int_equal(schema_decode_array(cx, &line_schema, CREATE, text, 4, &rows, &faults), OK);
    assert_int_equal(rows.n, 4);
    assert_true(faults[0].code == OK && faults[1].code == ERR_INVALID && faults[2].code == ERR_INVALID &&
                !faults[3].code);
    assert_str(faults[1].problems[0].field, S("quantity"));
    assert_int_equal(((struct line *)rows.items)[3].quantity, 2);
    assert_int_equal(cx->fault.code, OK);
    assert_int_equal(schema_decode_array(cx, &line_schema, CREATE, text, 3, &rows, &faults), ERR_INVALID);
    assert_str(problems(cx), S(": must have at most 3 items"));
    assert_int_equal(schema_decode_array(cx, &line_schema, CREATE, S("[{},]"), 3, &rows, &faults),
                     ERR_MALFORMED);
    fault_clear(cx);
    assert_int_equal(schema_decode_array(cx, &line_schema, CREATE, S("{}"), 3, &rows, &faults), ERR_INVALID);
    fault_clear(cx);
    assert_int_equal(schema_decode_array(cx, &line_schema, CREATE, S("[]"), 3, &rows, &faults), OK);
    assert_true(rows.items && rows.n == 0);
}

static void values_without_json(void **state) {
    struct ctx *cx = *state;
    int64_t n;
    bool b;
    struct str s;
    struct instant t;
    const struct field *count = schema_field(&thing_schema, S("count"));
    assert_int_equal(field_parse(cx, count, S("count"), S("7"), &n), OK);
    assert_int_equal(n, 7);
    assert_int_equal(field_parse(cx, count, S("filter[count]"), S("x"), &n), ERR_INVALID);
    assert_int_equal(field_parse(cx, schema_field(&thing_schema, S("active")), S("active"), S("true"), &b),
                     OK);
    assert_true(b);
    assert_int_equal(field_parse(cx, schema_field(&thing_schema, S("active")), S("active"), S("1"), &b),
                     ERR_INVALID);
    assert_int_equal(field_parse(cx, schema_field(&thing_schema, S("remark")), S("r"), S("a\xFF"), &s),
                     ERR_INVALID);
    assert_int_equal(field_parse(cx, schema_field(&thing_schema, S("remark")), S("r"), S("a\0"), &s),
                     ERR_INVALID);
    assert_int_equal(
        field_parse(cx, schema_field(&thing_schema, S("at")), S("at"), S("2026-01-01T00:00:00Z"), &t), OK);
    assert_int_equal(field_parse(cx, schema_field(&thing_schema, S("price")), S("p"), S("1"), &s),
                     ERR_INVALID);
    assert_str(problems(cx), S("filter[count]: must be an integer|active: must be true or false|"
                               "r: must be valid UTF-8 without U+0000|r: must be valid UTF-8 without U+0000|"
                               "p: cannot be given here"));
    assert_null(schema_field(&thing_schema, S("nothing")));
}

static void problems_are_bounded(void **state) {
    struct ctx *cx = *state;
    struct buf b = buf_new(cx->mem, 100000);
    struct thing t;
    buf_add(&b, S("{\"name\":\"a\""));
    for (int i = 0; i < 200; i++)
        buf_printf(&b, ",\"x%d\":1", i);
    buf_byte(&b, '}');
    assert_int_equal(schema_decode(cx, &thing_schema, CREATE, REFUSE_UNKNOWN, buf_str(&b), &t, NULL),
                     ERR_INVALID);
    assert_int_equal(cx->fault.n, PROBLEMS_MAX);
    assert_str(cx->fault.message, S("More fields are missing or wrong than are listed."));
}

static void memory_has_an_end(void **state) {
    (void)state;
    struct arena *mem = arena_new(3000);
    struct ctx cx = {.mem = mem};
    struct thing t;
    char text[8000] = "{\"name\":\"a\",\"remark\":\"\\n";
    memset(text + strlen(text), 'x', 6000);
    struct str s = str_of(text);
    text[s.n - 2] = '"';
    text[s.n - 1] = '}';
    assert_int_equal(schema_decode(&cx, &thing_schema, CREATE, REFUSE_UNKNOWN, s, &t, NULL), ERR_MEMORY);
    arena_free(mem);
}

static void the_document_says_the_same(void **state) {
    struct ctx *cx = *state;
    struct buf b = buf_new(cx->mem, 10000);
    schema_document(&line_schema, CREATE, &b);
    assert_str(buf_str(&b),
               S("{\"type\":\"object\",\"properties\":{\"sku\":{\"type\":\"string\",\"minLength\":1,"
                 "\"maxLength\":8,\"description\":\"SKU.\"},\"quantity\":{\"type\":\"integer\","
                 "\"format\":\"int64\",\"minimum\":1,\"maximum\":1000,\"description\":\"How many.\"}},"
                 "\"required\":[\"sku\",\"quantity\"],\"additionalProperties\":false}"));
    static const enum use uses[] = {CREATE, PATCH, OUT};
    for (size_t i = 0; i < COUNT(uses); i++) {
        b = buf_new(cx->mem, 100000);
        schema_document(&thing_schema, uses[i], &b);
        struct json_reader r;
        struct str raw;
        json_begin(&r, cx->mem, buf_str(&b));
        assert_true(json_skip(&r, &raw) && json_end(&r));
    }
    assert_non_null(strstr(str_z(cx->mem, buf_str(&b)), "\"enum\":[\"product\",\"part\",\"garment\",null]"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(decoding_tells_every_problem),
        TEST(what_is_read_is_written_again),
        TEST(a_patch_changes_what_it_names),
        TEST(each_row_of_an_array_has_its_own_fault),
        TEST(values_without_json),
        TEST(problems_are_bounded),
        TEST(memory_has_an_end),
        TEST(the_document_says_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
