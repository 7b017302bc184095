/* Hexadecimal, base64, UTF-8 and identities: what is decoded is encoded as the same text, and bytes as
 * themselves. */
#include "base/arena.h"
#include "base/uuid.h"

#include <stdlib.h>

#include "base/banned.h"

static bool same_bytes(struct bytes a, struct bytes b) {
    return str_eq((struct str){(const char *)a.p, a.n}, (struct str){(const char *)b.p, b.n});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena *mem = arena_new(16 << 20);
    struct str text = {(const char *)data, size};
    struct bytes bytes = {data, size}, decoded;
    struct uuid u;
    char buf[36];
    if (!mem || size > 100000)
        abort();
    if (!hex_decode(mem, hex_encode(mem, bytes), &decoded) || !same_bytes(decoded, bytes) ||
        !base64url_decode(mem, base64url_encode(mem, bytes), &decoded) || !same_bytes(decoded, bytes))
        abort();
    if ((hex_decode(mem, text, &decoded) && !str_eq_nocase(hex_encode(mem, decoded), text)) ||
        (base64url_decode(mem, text, &decoded) && !str_eq(base64url_encode(mem, decoded), text)) ||
        (uuid_parse(text, &u) && !str_eq_nocase(uuid_format(u, buf), text)))
        abort();
    size_t at = 0, n, count = 0;
    while ((n = str_utf8_next(str_sub(text, at, size))) > 0) {
        at += n;
        count++;
    }
    if ((at == size) != str_utf8_valid(text) || (at == size && count != str_utf8_count(text)))
        abort();
    arena_free(mem);
    return 0;
}
