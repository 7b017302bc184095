#include "net/gate.h"

#include "base/banned.h"

static enum err refuse(enum err e, const char **why, const char *text) {
    *why = text;
    return e;
}

/* RFC 9110 section 5.6.2: the characters of methods and header names. */
static bool token(struct str s) {
    static const char MARKS[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == 0 || !memchr(MARKS, c, sizeof(MARKS) - 1)))
            return false;
    }
    return s.n > 0;
}

static bool value_clean(struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static enum err check_line(const struct gate_head *h, const char **why) {
    if (!token(h->method) || h->method.n > 16)
        return refuse(ERR_MALFORMED, why, "The method is not a token.");
    if (!str_eq(h->version, S("HTTP/1.1")) && !str_eq(h->version, S("HTTP/1.0")))
        return refuse(ERR_MALFORMED, why, "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
    if (h->target.n > GATE_TARGET_MAX)
        return refuse(ERR_HEADERS_TOO_LARGE, why, "The request target is longer than 8 KiB.");
    if (h->target.n == 0 || h->target.p[0] != '/')
        return refuse(ERR_MALFORMED, why, "The request target must begin with a slash.");
    for (size_t i = 0; i < h->target.n; i++) {
        unsigned char c = (unsigned char)h->target.p[i];
        if (c <= 0x20 || c >= 0x7f)
            return refuse(ERR_MALFORMED, why, "The request target has bytes that a URL may not have.");
        if (c == '#')
            return refuse(ERR_MALFORMED, why, "A request target has no fragment.");
    }
    return OK;
}

static bool length_parse(struct str s, int64_t *out) {
    int64_t v = 0;
    if (s.n == 0 || s.n > 18)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (s.p[i] - '0');
    }
    *out = v;
    return true;
}

static enum err check_host(struct str host, const char **why) {
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        if (c == ' ' || c == '\t' || c == '/' || c == '\\' || c == '@' || c == ',' || c == '?' || c == '#')
            return refuse(ERR_MALFORMED, why, "Host is not a name or address with an optional port.");
    }
    return OK;
}

static enum err check_headers(const struct gate_head *h, struct gate_body *body, const char **why) {
    size_t hosts = 0, lengths = 0, codings = 0, bytes = 0;
    for (size_t i = 0; i < h->n_headers; i++) {
        struct str name = h->headers[i].name, value = h->headers[i].value;
        bytes += name.n + value.n;
        if (!token(name))
            return refuse(ERR_MALFORMED, why, "A header name has characters that a name may not have.");
        if (!value_clean(value))
            return refuse(ERR_MALFORMED, why, "A header value has control characters.");
        if (str_eq_nocase(name, S("Host"))) {
            hosts++;
            if (check_host(value, why))
                return ERR_MALFORMED;
        } else if (str_eq_nocase(name, S("Content-Length"))) {
            lengths++;
            if (!length_parse(value, &body->length))
                return refuse(ERR_MALFORMED, why, "Content-Length is not a whole number.");
        } else if (str_eq_nocase(name, S("Transfer-Encoding"))) {
            codings++;
            if (!str_eq_nocase(value, S("chunked")))
                return refuse(ERR_NOT_IMPLEMENTED, why, "The only transfer coding is chunked.");
            body->chunked = true;
        }
    }
    if (bytes > GATE_HEADER_BYTES_MAX)
        return refuse(ERR_HEADERS_TOO_LARGE, why, "The headers are larger than 16 KiB.");
    if (lengths > 1 || codings > 1 || (lengths && codings))
        return refuse(ERR_MALFORMED, why, "The request says twice where its body ends.");
    if (hosts > 1 || (hosts == 0 && str_eq(h->version, S("HTTP/1.1"))))
        return refuse(ERR_MALFORMED, why, "HTTP/1.1 wants exactly one Host.");
    if (codings && str_eq(h->version, S("HTTP/1.0")))
        return refuse(ERR_MALFORMED, why, "HTTP/1.0 has no transfer codings.");
    return OK;
}

enum err gate_check(const struct gate_head *head, struct gate_body *body, const char **why) {
    *body = (struct gate_body){.length = -1};
    enum err e = check_line(head, why);
    if (e)
        return e;
    if (head->n_headers > GATE_HEADERS_MAX)
        return refuse(ERR_HEADERS_TOO_LARGE, why, "There are more than 100 headers.");
    if ((e = check_headers(head, body, why)))
        return e;
    bool get = str_eq(head->method, S("GET")) || str_eq(head->method, S("HEAD"));
    if (get && (body->chunked || body->length > 0))
        return refuse(ERR_MALFORMED, why, "GET and HEAD take no body.");
    return OK;
}
