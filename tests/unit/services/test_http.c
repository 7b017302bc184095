/* The way out, by tables: which URLs may be fetched by their form, which addresses are public, and what a
 * fetch does against names, DNS answers, redirects and broken answers. The resolver is replaced here, so that
 * the test says what a name means. */
#include "services/http.h"

#include "../base/fixture.h"
#include "services/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* libcurl's own calls land here, because a program's function goes before that of a library. */
static int resolved;
__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints, struct addrinfo **out);
__attribute__((visibility("default"))) void freeaddrinfo(struct addrinfo *list);

struct answer_of_dns {
    const char *name, *address[2];
};
static const struct answer_of_dns NAMES[] = {
    {"loopback.example", {"127.0.0.1"}},         {"private.example", {"10.1.2.3"}},
    {"metadata.example", {"169.254.169.254"}},   {"v6-loopback.example", {"::1"}},
    {"v6-unique-local.example", {"fd00::1"}},    {"v6-link-local.example", {"fe80::1"}},
    {"v6-mapped.example", {"::ffff:127.0.0.1"}}, {"v6-nat64.example", {"64:ff9b::7f00:1"}},
    {"v6-6to4.example", {"2002:7f00:1::1"}},     {"two-private.example", {"192.168.1.1", "127.0.0.1"}},
    {"ssapi6.shipstation.com", {"127.0.0.1"}}, /* the right name, the wrong answer */
};

static struct addrinfo *one(const char *text, int port) {
    struct sockaddr_storage *a = calloc(1, sizeof(*a));
    struct addrinfo *ai = calloc(1, sizeof(*ai));
    struct sockaddr_in *v4 = (struct sockaddr_in *)a;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)a;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        ai->ai_addrlen = sizeof(*v4);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        ai->ai_addrlen = sizeof(*v6);
    }
    ai->ai_family = a->ss_family;
    ai->ai_socktype = SOCK_STREAM;
    ai->ai_protocol = IPPROTO_TCP;
    ai->ai_addr = (struct sockaddr *)a;
    return ai;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out) {
    int port = service ? (int)strtol(service, NULL, 10) : 0;
    (void)hints;
    resolved++;
    for (size_t i = 0; i < COUNT(NAMES); i++)
        if (strcmp(NAMES[i].name, name) == 0) {
            *out = one(NAMES[i].address[0], port);
            if (NAMES[i].address[1])
                (*out)->ai_next = one(NAMES[i].address[1], port);
            return 0;
        }
    return EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *list) {
    for (struct addrinfo *next; list; list = next) {
        next = list->ai_next;
        free(list->ai_addr);
        free(list);
    }
}

static bool vendor(struct str host) {
    return str_eq(host, S("ssapi.shipstation.com")) || str_eq(host, S("ssapi6.shipstation.com"));
}

static const struct {
    const char *url, *origin;
    bool by_vendor, allowed;
} URLS[] = {
    {"https://ssapi.shipstation.com/shipments?batchId=1", NULL, true, true},
    {"https://SSAPI6.shipstation.com/", NULL, true, false}, /* the list is compared exactly */
    {"https://ssapi.shipstation.com:443/", NULL, true, true},
    {"https://ssapi.shipstation.com:8443/", NULL, true, false},
    {"http://ssapi.shipstation.com/", NULL, true, false},
    {"https://user:secret@ssapi.shipstation.com/", NULL, true, false},
    {"https://ssapi.shipstation.com@evil.example/", NULL, true, false},
    {"https://ssapi.shipstation.com.evil.example/", NULL, true, false},
    {"https://evil.example/?https://ssapi.shipstation.com/", NULL, true, false},
    {"https://evil.example#@ssapi.shipstation.com/", NULL, true, false},
    {"https://evil.example\\@ssapi.shipstation.com/", NULL, true, false},
    {"https://any.example/", NULL, false, true},
    {"ftp://any.example/", NULL, false, false},
    {"file:///etc/passwd", NULL, false, false},
    {"gopher://any.example/", NULL, false, false},
    {"//any.example/", NULL, false, false},
    {"any.example/path", NULL, false, false},
    {"", NULL, false, false},
    {"https://", NULL, false, false},
    {"http://127.0.0.1:9000/x", "http://127.0.0.1:9000", true, true},
    {"http://127.0.0.1:9000/x", "http://127.0.0.1:9000/base/", true, true},
    {"http://127.0.0.1:9001/x", "http://127.0.0.1:9000", true, false},
    {"https://127.0.0.1:9000/x", "http://127.0.0.1:9000", true, false},
    {"http://localhost:9000/x", "http://127.0.0.1:9000", true, false},
    {"http://stand-in.example/x", "http://stand-in.example:80", true, true},
    {"http://user@127.0.0.1:9000/x", "http://127.0.0.1:9000", true, false},
    {"https://ssapi.shipstation.com/x", "http://127.0.0.1:9000", true, true},
};

static void urls(void **state) {
    struct ctx *cx = *state;
    for (size_t i = 0; i < COUNT(URLS); i++) {
        struct str problem;
        struct http_request rq = {.service = "test",
                                  .url = str_of(URLS[i].url),
                                  .origin = str_of(URLS[i].origin),
                                  .host = URLS[i].by_vendor ? vendor : NULL};
        bool allowed = http_url_allowed(cx->mem, &rq, &problem);
        assert_case(URLS[i].url, allowed == URLS[i].allowed && allowed == !problem.p);
    }
}

static const struct {
    const char *address;
    bool is_public;
} ADDRESSES[] = {
    {"8.8.8.8", true},
    {"0.0.0.0", false},
    {"0.1.2.3", false},
    {"10.255.255.255", false},
    {"11.0.0.0", true},
    {"100.63.255.255", true},
    {"100.64.0.1", false},
    {"100.127.255.255", false},
    {"100.128.0.0", true},
    {"127.0.0.1", false},
    {"127.255.255.254", false},
    {"169.254.169.254", false},
    {"172.15.255.255", true},
    {"172.16.0.1", false},
    {"172.31.255.255", false},
    {"172.32.0.0", true},
    {"192.0.0.8", false},
    {"192.0.2.1", false},
    {"192.88.99.1", false},
    {"192.167.255.255", true},
    {"192.168.0.1", false},
    {"192.169.0.0", true},
    {"198.17.255.255", true},
    {"198.18.0.1", false},
    {"198.19.255.255", false},
    {"198.51.100.7", false},
    {"203.0.113.7", false},
    {"223.255.255.255", true},
    {"224.0.0.1", false},
    {"239.1.1.1", false},
    {"240.0.0.1", false},
    {"255.255.255.255", false},
    {"::", false},
    {"::1", false},
    {"::7f00:1", false},
    {"::ffff:8.8.8.8", false},
    {"::ffff:10.0.0.1", false},
    {"::ffff:0:127.0.0.1", false},
    {"64:ff9b::8.8.8.8", false},
    {"64:ff9b::10.0.0.1", false},
    {"64:ff9b:1::1", false},
    {"100::1", false},
    {"2001::1", false},
    {"2001:20::1", false},
    {"2001:1ff:ffff::1", false},
    {"2001:200::1", true},
    {"2001:db8::1", false},
    {"2002:7f00:1::", false},
    {"2002:808:808::", false},
    {"2606:4700::1111", true},
    {"2a00:1450::1", true},
    {"3fff:fff::1", false},
    {"3fff:1000::1", true},
    {"4000::1", false},
    {"fc00::1", false},
    {"fd12:3456::1", false},
    {"fe80::1", false},
    {"fec0::1", false},
    {"ff02::1", false},
};

static void addresses(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(ADDRESSES); i++) {
        struct addrinfo *ai = one(ADDRESSES[i].address, 443);
        assert_case(ADDRESSES[i].address,
                    address_public(ai->ai_addr, ai->ai_addrlen) == ADDRESSES[i].is_public);
        assert_false(address_public(ai->ai_addr, 2)); /* cut short */
        freeaddrinfo(ai);
    }
    struct sockaddr local = {.sa_family = AF_UNIX};
    assert_false(address_public(&local, sizeof(local)));
}

/* A server on loopback that answers each path in its own way and counts what it is asked. */
struct stand_in {
    int listener, port, asked;
    pthread_t thread;
    char last[4096];
};

static const struct {
    const char *path, *answer;
} ANSWERS[] = {
    {"/good", "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nX-Rate-Limit-Reset: 17\r\n"
              "Retry-After: 7\r\nContent-Length: 8\r\n\r\n{\"a\": 1}"},
    {"/html", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"},
    {"/untyped", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"},
    {"/half", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 800\r\n\r\n{\"a\": "},
    {"/half-chunk", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "5\r\n{\"a\":\r\n"},
    {"/nothing", ""},
    {"/noise", "\x16\x03\x01 what is this\r\n\r\n"},
    {"/redirect",
     "HTTP/1.1 302 Found\r\nLocation: http://loopback.example:1/secret\r\nContent-Length: 0\r\n\r\n"},
    {"/busy", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n"},
    {"/broken", "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"},
    {"/denied", "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"},
    {"/slow", NULL},
};

static void *serve(void *arg) {
    struct stand_in *s = arg;
    for (int client; (client = accept(s->listener, NULL, NULL)) >= 0; close(client)) {
        ssize_t n = read(client, s->last, sizeof(s->last) - 1);
        s->last[n > 0 ? n : 0] = 0;
        s->asked++;
        for (size_t i = 0; i < COUNT(ANSWERS); i++) {
            struct str path = str_of(ANSWERS[i].path), line = {s->last + 4, path.n + 1};
            if (n < 20 || !str_starts(line, path) || line.p[path.n] != ' ')
                continue;
            if (!ANSWERS[i].answer)
                usleep(600000);
            else if (write(client, ANSWERS[i].answer, strlen(ANSWERS[i].answer)) < 0)
                break;
        }
    }
    return NULL;
}

static void stand_in_start(struct stand_in *s) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    *s = (struct stand_in){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(bind(s->listener, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(s->listener, 8), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &n), 0);
    s->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stand_in_stop(struct stand_in *s) {
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
}

static const struct {
    const char *url;
    bool by_vendor;
} REFUSED[] = {
    {"https://loopback.example/", false},
    {"https://private.example/", false},
    {"https://metadata.example/latest", false},
    {"https://v6-loopback.example/", false},
    {"https://v6-unique-local.example/", false},
    {"https://v6-link-local.example/", false},
    {"https://v6-mapped.example/", false},
    {"https://v6-nat64.example/", false},
    {"https://v6-6to4.example/", false},
    {"https://two-private.example/", false},
    {"https://ssapi6.shipstation.com/", true},
    {"https://127.0.0.1/", false},
    {"https://127.1/", false},
    {"https://0x7f000001/", false},
    {"https://2130706433/", false},
    {"https://0177.0.0.1/", false},
    {"https://0/", false},
    {"https://169.254.169.254/", false},
    {"https://[::1]/", false},
    {"https://[::ffff:127.0.0.1]/", false},
    {"https://[::ffff:7f00:1]/", false},
    {"https://[64:ff9b::127.0.0.1]/", false},
    {"https://[2002:7f00:1::]/", false},
    {"https://[fe80::1%25lo]/", false},
    {"https://[fd00::1]/", false},
    {"http://loopback.example/", false},
    {"file:///etc/passwd", false},
    {"https://loopback.example:22/", false},
};

/* W8, issue 3: a fetch never reaches a private address, by name, redirect, DNS answer or IPv6 form. */
static void private_addresses(void **state) {
    struct ctx *cx = *state;
    for (size_t i = 0; i < COUNT(REFUSED); i++) {
        struct http_request rq = {.service = "test",
                                  .url = str_of(REFUSED[i].url),
                                  .host = REFUSED[i].by_vendor ? vendor : NULL,
                                  .origin = S("http://127.0.0.1:9")};
        struct http_answer an;
        fault_clear(cx);
        assert_case(REFUSED[i].url, http_fetch(cx, &rq, &an) == ERR_ADDRESS);
    }
    assert_true(resolved > 0); /* it was this resolver that was asked */
}

static enum err fetch(struct ctx *cx, const struct stand_in *s, const char *path, struct http_answer *an) {
    struct str origin = str_printf(cx->mem, "http://127.0.0.1:%d", s->port);
    struct http_request rq = {.service = "test",
                              .url = str_printf(cx->mem, "%.*s%s", STR_FMT(origin), path),
                              .origin = origin,
                              .accept = "application/json",
                              .user = S("key"),
                              .password = S("secret"),
                              .max = 4096,
                              .timeout_us = str_eq(str_of(path), S("/slow")) ? 300 * US_PER_MS : 0};
    fault_clear(cx);
    enum err e = http_fetch(cx, &rq, an);
    return e ? e : http_outcome(cx, &rq, an);
}

static const struct {
    const char *path;
    enum err outcome;
} OUTCOMES[] = {
    {"/good", OK},
    {"/html", ERR_UNAVAILABLE},
    {"/untyped", ERR_UNAVAILABLE},
    {"/half", ERR_UNAVAILABLE},
    {"/half-chunk", ERR_UNAVAILABLE},
    {"/nothing", ERR_UNAVAILABLE},
    {"/noise", ERR_UNAVAILABLE},
    {"/redirect", ERR_UNAVAILABLE},
    {"/busy", ERR_RATE},
    {"/broken", ERR_UNAVAILABLE},
    {"/denied", ERR_SERVICE},
    {"/slow", ERR_UNAVAILABLE},
};

static void outcomes(void **state) {
    struct ctx *cx = *state;
    struct stand_in s, proxy;
    struct http_answer an;
    stand_in_start(&s);
    stand_in_start(&proxy);
    char url[64];
    assert_true(snprintf(url, sizeof(url), "http://127.0.0.1:%d", proxy.port) > 0);
    assert_int_equal(setenv("http_proxy", url, 1) | setenv("ALL_PROXY", url, 1), 0);
    cx->request_id = S("request-7");
    assert_int_equal(fetch(cx, &s, "/good", &an), OK);
    assert_str(an.body, S("{\"a\": 1}"));
    assert_str(http_header(&an, S("x-rate-limit-reset")), S("17"));
    assert_int_equal(an.retry_after_us, 7 * US_PER_S);
    assert_non_null(strstr(s.last, "Authorization: Basic a2V5OnNlY3JldA==\r\n"));
    assert_non_null(strstr(s.last, "X-Request-ID: request-7\r\n"));
    assert_null(strstr(s.last, "Accept-Encoding"));
    for (size_t i = 0; i < COUNT(OUTCOMES); i++)
        assert_case(OUTCOMES[i].path, fetch(cx, &s, OUTCOMES[i].path, &an) == OUTCOMES[i].outcome);
    stand_in_stop(&s);
    assert_int_equal(s.asked, (int)COUNT(OUTCOMES) + 1); /* once each, and the redirect led nowhere */
    stand_in_stop(&proxy);
    assert_int_equal(proxy.asked, 0);
}

static void too_large(void **state) {
    struct ctx *cx = *state;
    struct stand_in s;
    struct http_answer an;
    stand_in_start(&s);
    struct str origin = str_printf(cx->mem, "http://127.0.0.1:%d", s.port);
    struct http_request rq = {.service = "test",
                              .url = str_printf(cx->mem, "%.*s/good", STR_FMT(origin)),
                              .origin = origin,
                              .max = 7};
    assert_int_equal(http_fetch(cx, &rq, &an), ERR_TOO_LARGE);
    stand_in_stop(&s);
}

static int start(void **state) {
    void *kept;
    struct ctx cx = {0};
    (void)state;
    return HTTP_MODULE.start(&cx, &kept) == OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {TEST(urls), TEST(addresses), TEST(private_addresses), TEST(outcomes),
                                       TEST(too_large)};
    return cmocka_run_group_tests(tests, start, NULL);
}
