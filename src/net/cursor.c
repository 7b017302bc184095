#include "net/cursor.h"

#include <sodium.h>

#include "base/banned.h"

#define MAC_BYTES 16
#define PAYLOAD_MAX 8192

static void sign(const unsigned char key[static CURSOR_KEY_BYTES], struct str binding, struct str payload,
                 unsigned char mac[static MAC_BYTES]) {
    crypto_generichash_state state;
    uint64_t n = binding.n;
    crypto_generichash_init(&state, key, CURSOR_KEY_BYTES, MAC_BYTES);
    crypto_generichash_update(&state, (const unsigned char *)&n, sizeof(n));
    crypto_generichash_update(&state, (const unsigned char *)binding.p, binding.n);
    crypto_generichash_update(&state, (const unsigned char *)payload.p, payload.n);
    crypto_generichash_final(&state, mac, MAC_BYTES);
}

static void put_int(struct buf *b, uint64_t v) {
    for (int shift = 56; shift >= 0; shift -= 8)
        buf_byte(b, (char)(v >> shift & 0xff));
}

static void put_value(struct buf *b, const struct arg *a) {
    buf_byte(b, (char)a->kind);
    switch (a->kind) {
    case ARG_BOOL:
    case ARG_INT:
    case ARG_INSTANT:
        put_int(b, (uint64_t)a->i);
        break;
    case ARG_UUID:
        buf_add(b, (struct str){(const char *)a->u.b, sizeof(a->u.b)});
        break;
    case ARG_STR:
    case ARG_BYTES:
        put_int(b, a->s.n);
        buf_add(b, a->s);
        break;
    case ARG_NULL:
        break;
    }
}

struct str cursor_format(struct arena *mem, const unsigned char key[static CURSOR_KEY_BYTES],
                         struct str binding, const struct cursor *c) {
    unsigned char mac[MAC_BYTES];
    struct buf b = buf_new(mem, PAYLOAD_MAX);
    put_int(&b, (uint64_t)c->page);
    put_value(&b, &c->key);
    put_value(&b, &c->tie);
    sign(key, binding, buf_str(&b), mac);
    buf_add(&b, (struct str){(const char *)mac, MAC_BYTES});
    if (b.failed)
        return (struct str){0};
    return base64url_encode(mem, (struct bytes){(const unsigned char *)b.p, b.n});
}

static bool take(struct str *s, size_t n, struct str *out) {
    if (s->n < n)
        return false;
    *out = (struct str){s->p, n};
    *s = (struct str){s->p + n, s->n - n};
    return true;
}

static bool take_int(struct str *s, uint64_t *out) {
    struct str raw;
    uint64_t v = 0;
    if (!take(s, 8, &raw))
        return false;
    for (size_t i = 0; i < 8; i++)
        v = v << 8 | (unsigned char)raw.p[i];
    *out = v;
    return true;
}

static bool take_value(struct str *s, struct arg *out) {
    struct str raw;
    uint64_t v;
    if (!take(s, 1, &raw))
        return false;
    *out = (struct arg){.kind = (enum arg_kind)raw.p[0]};
    switch (out->kind) {
    case ARG_NULL:
        return true;
    case ARG_BOOL:
    case ARG_INT:
    case ARG_INSTANT:
        if (!take_int(s, &v))
            return false;
        out->i = (int64_t)v;
        return true;
    case ARG_UUID:
        if (!take(s, sizeof(out->u.b), &raw))
            return false;
        memcpy(out->u.b, raw.p, sizeof(out->u.b));
        return true;
    case ARG_STR:
    case ARG_BYTES:
        return take_int(s, &v) && v <= s->n && take(s, (size_t)v, &out->s);
    }
    return false;
}

bool cursor_parse(struct arena *mem, const unsigned char key[static CURSOR_KEY_BYTES], struct str binding,
                  struct str text, struct cursor *out) {
    struct bytes raw;
    unsigned char mac[MAC_BYTES];
    if (text.n > PAYLOAD_MAX * 2 || !base64url_decode(mem, text, &raw) || raw.n < MAC_BYTES)
        return false;
    struct str payload = {(const char *)raw.p, raw.n - MAC_BYTES};
    sign(key, binding, payload, mac);
    if (sodium_memcmp(mac, raw.p + payload.n, MAC_BYTES) != 0)
        return false;
    uint64_t page;
    struct cursor c = {0};
    if (!take_int(&payload, &page) || !take_value(&payload, &c.key) || !take_value(&payload, &c.tie) ||
        payload.n > 0)
        return false;
    c.page = (int64_t)page;
    *out = c;
    return true;
}
