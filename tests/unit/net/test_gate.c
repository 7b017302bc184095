#include "net/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define HOST \
    { S("Host"), S("shop.example") }
#define LINES_MAX 6

/* What libmicrohttpd 0.9.75 lets through, and what must become of it. */
static const struct {
    const char *name;
    struct str method, target, version;
    struct header headers[LINES_MAX];
    enum err expected;
} CASES[] = {
    {"plain", S("GET"), S("/a?b=c"), S("HTTP/1.1"), {HOST}, OK},
    {"old client without Host", S("GET"), S("/"), S("HTTP/1.0"), {{{0}, {0}}}, OK},
    {"body with a length", S("POST"), S("/"), S("HTTP/1.1"), {HOST, {S("Content-Length"), S("12")}}, OK},
    {"body in chunks", S("POST"), S("/"), S("HTTP/1.1"), {HOST, {S("Transfer-Encoding"), S("Chunked")}}, OK},
    {"GET with length 0", S("GET"), S("/"), S("HTTP/1.1"), {HOST, {S("content-length"), S("0")}}, OK},
    {"odd but legal method", S("M-SEARCH"), S("/"), S("HTTP/1.1"), {HOST}, OK},
    {"tab in a value", S("GET"), S("/"), S("HTTP/1.1"), {HOST, {S("X"), S("a\tb")}}, OK},
    {"UTF-8 in a value", S("GET"), S("/"), S("HTTP/1.1"), {HOST, {S("X"), S("gr\xc3\xbc\xc3\x9f")}}, OK},

    {"length and chunks",
     S("POST"),
     S("/"),
     S("HTTP/1.1"),
     {HOST, {S("Content-Length"), S("4")}, {S("Transfer-Encoding"), S("chunked")}},
     ERR_MALFORMED},
    {"two lengths",
     S("POST"),
     S("/"),
     S("HTTP/1.1"),
     {HOST, {S("Content-Length"), S("4")}, {S("Content-Length"), S("40")}},
     ERR_MALFORMED},
    {"the same length twice",
     S("POST"),
     S("/"),
     S("HTTP/1.1"),
     {HOST, {S("Content-Length"), S("4")}, {S("content-length"), S("4")}},
     ERR_MALFORMED},
    {"list of lengths",
     S("POST"),
     S("/"),
     S("HTTP/1.1"),
     {HOST, {S("Content-Length"), S("4, 4")}},
     ERR_MALFORMED},
    {"signed length",
     S("POST"),
     S("/"),
     S("HTTP/1.1"),
     {HOST, {S("Content-Length"), S("+4")}},
     ERR_MALFORMED},
    {"negative length",
     S("POST"),
     S("/"),
     S("HTTP/1.1"),
     {HOST, {S("Content-Length"), S("-4")}},
     ERR_MALFORMED},
    {"hexadecimal length",
     S("POST"),
     S("/"),
     S("HTTP/1.1"),
     {HOST, {S("Content-Length"), S("0x4")}},
     ERR_MALFORMED},
    {"empty length", S("POST"), S("/"), S("HTTP/1.1"), {HOST, {S("Content-Length"), S("")}}, ERR_MALFORMED},
    {"length past 2^63",
     S("POST"),
     S("/"),
     S("HTTP/1.1"),
     {HOST, {S("Content-Length"), S("9223372036854775808")}},
     ERR_MALFORMED},
    {"unknown coding",
     S("POST"),
     S("/"),
     S("HTTP/1.1"),
     {HOST, {S("Transfer-Encoding"), S("gzip")}},
     ERR_NOT_IMPLEMENTED},
    {"two codings in one",
     S("POST"),
     S("/"),
     S("HTTP/1.1"),
     {HOST, {S("Transfer-Encoding"), S("gzip, chunked")}},
     ERR_NOT_IMPLEMENTED},
    {"chunked, dressed up",
     S("POST"),
     S("/"),
     S("HTTP/1.1"),
     {HOST,
      {S("Transfer-Encoding"), S("\x0b"
                                 "chunked")}},
     ERR_MALFORMED},
    {"chunked twice",
     S("POST"),
     S("/"),
     S("HTTP/1.1"),
     {HOST, {S("Transfer-Encoding"), S("chunked")}, {S("Transfer-Encoding"), S("chunked")}},
     ERR_MALFORMED},
    {"chunks from an old client",
     S("POST"),
     S("/"),
     S("HTTP/1.0"),
     {HOST, {S("Transfer-Encoding"), S("chunked")}},
     ERR_MALFORMED},
    {"space before the colon",
     S("POST"),
     S("/"),
     S("HTTP/1.1"),
     {HOST, {S("Transfer-Encoding "), S("chunked")}},
     ERR_MALFORMED},
    {"folded line glued to a name",
     S("POST"),
     S("/"),
     S("HTTP/1.1"),
     {HOST, {S("Transfer-Encodin\tg"), S("chunked")}},
     ERR_MALFORMED},
    {"empty name", S("GET"), S("/"), S("HTTP/1.1"), {HOST, {S(""), S("x")}}, ERR_MALFORMED},
    {"name that is no token", S("GET"), S("/"), S("HTTP/1.1"), {HOST, {S("A(b)"), S("x")}}, ERR_MALFORMED},
    {"name with UTF-8",
     S("GET"),
     S("/"),
     S("HTTP/1.1"),
     {HOST,
      {S("Gr\xc3\xb6\xc3\x9f"
         "e"),
       S("x")}},
     ERR_MALFORMED},
    {"carriage return in a value",
     S("GET"),
     S("/"),
     S("HTTP/1.1"),
     {HOST, {S("X"), S("a\rb")}},
     ERR_MALFORMED},
    {"NUL in a value", S("GET"), S("/"), S("HTTP/1.1"), {HOST, {S("X"), S("a\0b")}}, ERR_MALFORMED},
    {"two hosts", S("GET"), S("/"), S("HTTP/1.1"), {HOST, {S("host"), S("other.example")}}, ERR_MALFORMED},
    {"no host", S("GET"), S("/"), S("HTTP/1.1"), {{{0}, {0}}}, ERR_MALFORMED},
    {"list of hosts",
     S("GET"),
     S("/"),
     S("HTTP/1.1"),
     {{S("Host"), S("a.example, b.example")}},
     ERR_MALFORMED},
    {"user in the host", S("GET"), S("/"), S("HTTP/1.1"), {{S("Host"), S("a@b.example")}}, ERR_MALFORMED},
    {"HTTP/1.9", S("GET"), S("/"), S("HTTP/1.9"), {HOST}, ERR_MALFORMED},
    {"HTTP/2.0", S("GET"), S("/"), S("HTTP/2.0"), {HOST}, ERR_MALFORMED},
    {"no version", S("GET"), S("/"), S(""), {HOST}, ERR_MALFORMED},
    {"method that is no token", S("GE T"), S("/"), S("HTTP/1.1"), {HOST}, ERR_MALFORMED},
    {"empty target", S("GET"), S(""), S("HTTP/1.1"), {HOST}, ERR_MALFORMED},
    {"absolute target", S("GET"), S("http://other.example/"), S("HTTP/1.1"), {HOST}, ERR_MALFORMED},
    {"target with a space", S("GET"), S("/a b"), S("HTTP/1.1"), {HOST}, ERR_MALFORMED},
    {"target with a fragment", S("GET"), S("/a#b"), S("HTTP/1.1"), {HOST}, ERR_MALFORMED},
    {"target with raw UTF-8", S("GET"), S("/\xc3\xbc"), S("HTTP/1.1"), {HOST}, ERR_MALFORMED},
    {"GET with a body",
     S("GET"),
     S("/"),
     S("HTTP/1.1"),
     {HOST, {S("Content-Length"), S("5")}},
     ERR_MALFORMED},
    {"HEAD with chunks",
     S("HEAD"),
     S("/"),
     S("HTTP/1.1"),
     {HOST, {S("Transfer-Encoding"), S("chunked")}},
     ERR_MALFORMED},
};

static void table(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct gate_head head = {CASES[i].method, CASES[i].target, CASES[i].version, CASES[i].headers, 0};
        struct gate_body body;
        const char *why = NULL;
        while (head.n_headers < LINES_MAX && CASES[i].headers[head.n_headers].name.p)
            head.n_headers++;
        enum err got = gate_check(&head, &body, &why);
        if (got != CASES[i].expected || (got != OK) != (why != NULL))
            fail_msg("%s: got %d (%s), expected %d", CASES[i].name, got, why ? why : "-", CASES[i].expected);
    }
}

static void tells_about_the_body(void **state) {
    (void)state;
    const struct header length[] = {HOST, {S("Content-Length"), S("1024")}};
    const struct header chunks[] = {HOST, {S("Transfer-Encoding"), S("chunked")}};
    struct gate_head head = {S("POST"), S("/"), S("HTTP/1.1"), length, 2};
    struct gate_body body;
    const char *why;
    assert_int_equal(gate_check(&head, &body, &why), OK);
    assert_int_equal(body.length, 1024);
    assert_false(body.chunked);
    head.headers = chunks;
    assert_int_equal(gate_check(&head, &body, &why), OK);
    assert_int_equal(body.length, -1);
    assert_true(body.chunked);
    head.n_headers = 1;
    assert_int_equal(gate_check(&head, &body, &why), OK);
    assert_int_equal(body.length, -1);
    assert_false(body.chunked);
}

static void sizes(void **state) {
    (void)state;
    static char long_text[GATE_HEADER_BYTES_MAX];
    static struct header many[GATE_HEADERS_MAX + 1];
    memset(long_text, 'a', sizeof(long_text));
    long_text[0] = '/';
    many[0] = (struct header)HOST;
    for (size_t i = 1; i <= GATE_HEADERS_MAX; i++)
        many[i] = (struct header){S("X"), S("1")};
    struct gate_head head = {S("GET"), {long_text, GATE_TARGET_MAX}, S("HTTP/1.1"), many, GATE_HEADERS_MAX};
    struct gate_body body;
    const char *why;
    assert_int_equal(gate_check(&head, &body, &why), OK);
    head.target.n++;
    assert_int_equal(gate_check(&head, &body, &why), ERR_HEADERS_TOO_LARGE);
    head.target.n = 1;
    head.n_headers++;
    assert_int_equal(gate_check(&head, &body, &why), ERR_HEADERS_TOO_LARGE);
    head.n_headers = 2;
    many[1].value = (struct str){long_text, sizeof(long_text)};
    assert_int_equal(gate_check(&head, &body, &why), ERR_HEADERS_TOO_LARGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(tells_about_the_body),
        cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
