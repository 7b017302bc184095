/* The request gate. Input: a line "METHOD target version", then lines "name: value", of any bytes. What
 * passes must not be ambiguous about its end. */
#include "net/gate.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count(const struct gate_head *head, struct str name) {
    size_t n = 0;
    for (size_t i = 0; i < head->n_headers; i++)
        n += str_eq_nocase(head->headers[i].name, name);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct header headers[GATE_HEADERS_MAX + 8];
    struct str rest = {(const char *)data, size}, line = rest, tail = {0};
    struct gate_head head = {.headers = headers};
    struct gate_body body;
    const char *why = NULL;
    bool more = str_cut(rest, '\n', &line, &tail);
    head.method = line;
    str_cut(line, ' ', &head.method, &head.target);
    str_cut(head.target, ' ', &head.target, &head.version);
    for (; more && head.n_headers < sizeof(headers) / sizeof(headers[0]); head.n_headers++) {
        rest = line = tail;
        more = str_cut(rest, '\n', &line, &tail);
        struct header *h = &headers[head.n_headers];
        *h = (struct header){line, {"", 0}};
        str_cut(line, ':', &h->name, &h->value);
        h->value = str_trim(h->value);
    }
    if (gate_check(&head, &body, &why) == OK) {
        assert(count(&head, S("Content-Length")) + count(&head, S("Transfer-Encoding")) <= 1);
        assert(count(&head, S("Host")) <= 1);
        assert(body.length >= -1 && !(body.chunked && body.length >= 0));
        assert(head.target.n <= GATE_TARGET_MAX);
    } else {
        assert(why);
    }
    return 0;
}
