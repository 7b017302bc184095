#include "core/shipstation_keys.h"

#include "base/settings.h"
#include "jobs/jobs.h"
#include "services/http.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

#define OLD_US (12 * 3600 * US_PER_S)
#define AGAIN_US (20 * US_PER_S)
#define KEYS_MAX 50
#define BITS_MIN 2048
#define VENDOR S("https://api.shipengine.com")

struct key {
    struct str kid;
    struct bytes modulus, exponent;
    struct instant fetched_at;
};
static const struct field KEY_FIELDS[] = {
    FIELD(struct key, kid, ROW, "Its name."),
    FIELD(struct key, modulus, ROW, "n, big-endian."),
    FIELD(struct key, exponent, ROW, "e, big-endian."),
    FIELD(struct key, fetched_at, ROW, "When it was fetched."),
};
static const struct schema KEY = SCHEMA(struct key, "ShipStationKey", KEY_FIELDS);

enum { LIST, CLEAR, ADD };
static const struct stmt SQL[] = {
    [LIST] = {"shipstation_keys", SYSTEM, "SELECT kid, modulus, exponent, fetched_at FROM shipstation_key",
              NULL, &KEY},
    [CLEAR] = {"shipstation_keys_clear", SYSTEM, "DELETE FROM shipstation_key", NULL, NULL},
    [ADD] = {"shipstation_key_add", SYSTEM,
             "INSERT INTO shipstation_key (kid, modulus, exponent, fetched_at) VALUES ($1, $2, $3, $4)", NULL,
             NULL},
};

struct shipstation_keys {
    pthread_mutex_t lock;
    struct arena *mem;
    struct list list; /* of struct key, in mem */
};

struct shipstation_keys *shipstation_keys_new(void) {
    struct shipstation_keys *k = calloc(1, sizeof(*k));
    if (k && !(k->mem = arena_new(1 << 20))) {
        free(k);
        return NULL;
    }
    if (k)
        pthread_mutex_init(&k->lock, NULL);
    return k;
}

void shipstation_keys_free(struct shipstation_keys *k) {
    if (!k)
        return;
    pthread_mutex_destroy(&k->lock);
    arena_free(k->mem);
    free(k);
}

/* With the lock. */
static void keep(struct shipstation_keys *k, const struct list *rows) {
    const struct key *from = rows->items;
    arena_reset(k->mem);
    struct key *to = NEW_N(k->mem, struct key, rows->n + 1);
    size_t n = 0;
    for (size_t i = 0; to && i < rows->n; i++) {
        struct str m = {(const char *)from[i].modulus.p, from[i].modulus.n},
                   e = {(const char *)from[i].exponent.p, from[i].exponent.n};
        m = str_dup(k->mem, m);
        e = str_dup(k->mem, e);
        to[n] = (struct key){str_dup(k->mem, from[i].kid),
                             {(const unsigned char *)m.p, m.n},
                             {(const unsigned char *)e.p, e.n},
                             from[i].fetched_at};
        n += to[n].kid.p && m.p && e.p;
    }
    k->list = (struct list){to, n};
}

enum err shipstation_keys_refresh(struct ctx *cx, struct shipstation_keys *k) {
    struct list rows;
    enum err e = db_list(cx, &SQL[LIST], ARGS(), &rows);
    if (e)
        return e;
    pthread_mutex_lock(&k->lock);
    keep(k, &rows);
    pthread_mutex_unlock(&k->lock);
    return OK;
}

/* A copy in cx's memory. */
static bool look_up(struct ctx *cx, struct shipstation_keys *k, struct str kid, struct key *out) {
    bool found = false;
    pthread_mutex_lock(&k->lock);
    const struct key *v = k->list.items;
    for (size_t i = 0; i < k->list.n && !found; i++)
        if (str_eq(v[i].kid, kid)) {
            struct str m = str_dup(cx->mem, (struct str){(const char *)v[i].modulus.p, v[i].modulus.n}),
                       e = str_dup(cx->mem, (struct str){(const char *)v[i].exponent.p, v[i].exponent.n});
            *out = (struct key){
                kid, {(const unsigned char *)m.p, m.n}, {(const unsigned char *)e.p, e.n}, v[i].fetched_at};
            found = m.p && e.p;
        }
    pthread_mutex_unlock(&k->lock);
    return found;
}

static EVP_PKEY *make_key(const struct key *key) {
    BIGNUM *n = BN_bin2bn(key->modulus.p, (int)key->modulus.n, NULL);
    BIGNUM *e = BN_bin2bn(key->exponent.p, (int)key->exponent.n, NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY *out = NULL;
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    if (n && e && build && maker && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) &&
        (params = OSSL_PARAM_BLD_to_param(build)) && EVP_PKEY_fromdata_init(maker) == 1 &&
        EVP_PKEY_fromdata(maker, &out, EVP_PKEY_PUBLIC_KEY, params) != 1)
        out = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(maker);
    BN_free(n);
    BN_free(e);
    return out;
}

static bool verifies(const struct key *key, struct str text, struct bytes signature) {
    EVP_PKEY *public = make_key(key);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool good = public && md && EVP_PKEY_get_bits(public) >= BITS_MIN &&
                EVP_DigestVerifyInit_ex(md, NULL, "SHA256", NULL, NULL, public, NULL) == 1 &&
                EVP_DigestVerify(md, signature.p, signature.n, (const unsigned char *)text.p, text.n) == 1;
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(public);
    return good;
}

/* Base64 in either alphabet, with padding or without. */
static bool decode_signature(struct ctx *cx, struct str text, struct bytes *out) {
    char *p = str_z(cx->mem, text);
    size_t n = text.n;
    while (n > 0 && text.p[n - 1] == '=')
        n--;
    for (size_t i = 0; p && i < n; i++)
        p[i] = (char)(p[i] == '+' ? '-' : p[i] == '/' ? '_' : p[i]);
    return p && n && base64url_decode(cx->mem, (struct str){p, n}, out);
}

enum err shipstation_keys_verify(struct ctx *cx, struct shipstation_keys *k,
                                 const struct shipstation_signature *s, struct str body, enum verdict *out,
                                 bool *stale) {
    struct key key = {0};
    struct bytes signature;
    *stale = false;
    if (!look_up(cx, k, s->key_id, &key)) {
        *out = KEY_UNKNOWN;
        return OK;
    }
    *stale = cx->now.us - key.fetched_at.us > OLD_US;
    struct str text = str_printf(cx->mem, "%.*s.%.*s", STR_FMT(s->timestamp), STR_FMT(body));
    bool good = text.p && decode_signature(cx, s->signature, &signature) && verifies(&key, text, signature);
    *out = good ? SIGNED : NOT_SIGNED;
    return OK;
}

bool shipstation_timestamp(struct str text, struct instant *out) {
    int64_t n;
    if (!str_int(text, &n))
        return instant_parse(text, out);
    if (n < 0 || n > INT64_C(99999999999999))
        return false;
    out->us = n > INT64_C(99999999999) ? n * US_PER_MS : n * US_PER_S;
    return true;
}

enum err shipstation_keys_want(struct ctx *cx) {
    return jobs_enqueue(cx, &(struct job_new){.name = "shipstation.keys", .unique_key = S("keys")});
}

/* The key set as it stands on the wire (RFC 7517). */
struct wire_set {
    struct list keys;
};
struct wire_key {
    struct str kty, kid, n, e;
};
static const struct field WIRE_KEY_FIELDS[] = {
    FIELD(struct wire_key, kty, CREATE, "RSA."),
    FIELD(struct wire_key, kid, CREATE, "Its name."),
    FIELD(struct wire_key, n, CREATE, "Modulus."),
    FIELD(struct wire_key, e, CREATE, "Exponent."),
};
static const struct schema WIRE_KEY = SCHEMA(struct wire_key, "JsonWebKey", WIRE_KEY_FIELDS);
static const struct field WIRE_SET_FIELDS[] = {
    FIELD(struct wire_set, keys, CREATE | REQUIRED, "The keys.", .max = KEYS_MAX, .of = &WIRE_KEY)};
static const struct schema WIRE_SET = SCHEMA(struct wire_set, "JsonWebKeySet", WIRE_SET_FIELDS);

static enum err replace(struct ctx *cx, void *arg) {
    const struct list *keys = arg;
    const struct key *k = keys->items;
    enum err e = db_exec(cx, &SQL[CLEAR], ARGS(), NULL);
    for (size_t i = 0; !e && i < keys->n; i++)
        e = db_exec(cx, &SQL[ADD], ARGS(A(k[i].kid), A(k[i].modulus), A(k[i].exponent), A(cx->now)), NULL);
    return e;
}

static size_t take_keys(struct ctx *cx, const struct wire_set *set, struct key *out) {
    const struct wire_key *w = set->keys.items;
    size_t n = 0;
    for (size_t i = 0; i < set->keys.n; i++) {
        struct key k = {.kid = w[i].kid};
        bool known = false;
        for (size_t j = 0; j < n; j++)
            known = known || str_eq(out[j].kid, k.kid);
        if (!known && str_eq(w[i].kty, S("RSA")) && k.kid.n &&
            base64url_decode(cx->mem, w[i].n, &k.modulus) && base64url_decode(cx->mem, w[i].e, &k.exponent))
            out[n++] = k;
    }
    return n;
}

static enum err fetched_lately(struct ctx *cx, bool *lately) {
    struct list rows;
    *lately = false;
    enum err e = db_read_begin(cx);
    if (e)
        return e;
    e = db_list(cx, &SQL[LIST], ARGS(), &rows);
    db_read_end(cx);
    for (size_t i = 0; !e && i < rows.n; i++)
        *lately = *lately || cx->now.us - ((const struct key *)rows.items)[i].fetched_at.us < AGAIN_US;
    return e;
}

static bool is_key_host(struct str host) { return str_eq(host, S("api.shipengine.com")); }

static enum err get_set(struct ctx *cx, const struct job *job, struct wire_set *set) {
    struct str base = setting_text(cx->modules->settings, "SHIPSTATION_BASE_URL");
    struct str origin = base.n ? base : VENDOR;
    struct http_answer an;
    while (origin.n && origin.p[origin.n - 1] == '/')
        origin.n--;
    struct http_request rq = {.service = "ShipStation keys",
                              .url = str_printf(cx->mem, "%.*s/jwks", STR_FMT(origin)),
                              .origin = base.n ? base : (struct str){0},
                              .host = is_key_host,
                              .max = 1 << 18,
                              .job = job};
    enum err e = http_fetch(cx, &rq, &an);
    if (e || (e = http_outcome(cx, &rq, &an)))
        return e;
    if (schema_decode(cx, &WIRE_SET, CREATE, IGNORE_UNKNOWN, an.body, set, NULL)) {
        fault_clear(cx);
        return fail(cx, ERR_UNAVAILABLE, "ShipStation answered without a key set.");
    }
    return OK;
}

static enum err fetch(struct ctx *cx, const struct job *job) {
    struct wire_set set;
    bool lately;
    cx->now = clock_now(cx->clock);
    enum err e = fetched_lately(cx, &lately);
    if (e || (lately && job->lease) || (e = get_set(cx, job, &set)))
        return e;
    struct key *v = NEW_N(cx->mem, struct key, set.keys.n + 1);
    if (!v)
        return fail(cx, ERR_MEMORY, "The key set does not fit in memory.");
    struct list keys = {v, take_keys(cx, &set, v)};
    if (keys.n == 0)
        return fail(cx, ERR_UNAVAILABLE, "ShipStation's key set holds no RSA key.");
    return job_write(cx, job, replace, &keys);
}

static const struct job_type JOBS[] = {
    {.name = "shipstation.keys",
     .mode = JOB_THREAD,
     .run = fetch,
     .doc = "Fetches the public keys that sign ShipStation's V2 webhooks."},
};

const struct module SHIPSTATION_KEYS_MODULE = {
    .name = "shipstation_keys", TABLE(stmts, SQL), TABLE(jobs, JOBS)};
